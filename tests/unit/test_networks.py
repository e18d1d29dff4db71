"""The networks: their papers' sizes, and the contract that all of them keep."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from config_help import ConfigError
from photochrom.colour_bins import entropy, rebalancing_weights
from photochrom.models import NETWORKS, build, load_model, save_model
from photochrom.models.attention import SelfAttention
from photochrom.models.base import Colorizer, Distribution, count
from photochrom.models.patchgan import PatchGAN, SeedPatchGAN
from photochrom.models.photochrom import Photochrom, bilinear_mixture, mixed
from photochrom.models.unet import SeedUNet
from preflight import NETWORKS_OF_BINS, check_size

LITE0 = "tf_efficientnet_lite0"
SEED = {"name": "unet", "design": "seed", "width": 64, "depth": 7, "dropout": 0.5}
TINY: dict[str, dict[str, Any]] = {
    "unet": {"width": 8, "depth": 3, "dropout": 0.2, "attention": True},
    "seed": {"name": "unet", "design": "seed", "width": 8, "depth": 4, "dropout": 0.5},
    "encoder-unet": {"encoder": LITE0, "width": 16},
    "zhang16": {"width": 4, "neighbours": 5, "temperature": 0.38},
    "fusion": {"width": 4},
    "photochrom": {"encoder": LITE0, "width": 16, "neighbours": 5, "temperature": 0.38},
}
CHOOSING = ["zhang16", "photochrom"]
SIDE = 32
# Two training pictures, one orange and one blue, in stored integers.
COLOURS = np.array([[40, 60], [10, -60]])[:, :, None, None] * np.ones((1, 1, 8, 8))
PICTURES = np.rint(COLOURS * 100).astype(np.int16)
SCALE = 0.01 / 110


def config(name: str) -> dict[str, Any]:
    return {"name": name, **TINY[name]}


def begun(name: str) -> Colorizer:
    torch.manual_seed(0)
    network = build(config(name))
    network.begin([PICTURES], SCALE)
    return network


def lightness(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def on_meta(options: dict[str, Any]) -> Colorizer:
    with torch.device("meta"):
        return build(options)


def test_the_seeds_generator_stage_by_stage() -> None:
    network = on_meta(SEED)
    assert isinstance(network, SeedUNet)
    assert [count(stage) for stage in network.down] == [
        *(1_024, 131_584, 525_312, 2_099_200, 4_196_352, 4_196_352, 4_196_352),
    ]
    assert [count(stage) for stage in network.up] == [
        *(4_196_352, 8_390_656, 8_390_656, 4_195_328, 1_049_088, 262_400),
    ]
    assert count(network.head) == 4_098
    assert count(network) == 41_834_754
    L = torch.zeros(2, 1, 128, 128, device="meta")
    sizes = []
    for stage in network.down:
        L = stage(L)
        sizes.append((L.shape[1], L.shape[2]))
    assert sizes == [(64, 64), (128, 32), (256, 16), (512, 8), (512, 4), (512, 2), (512, 1)]
    drops = [stage[2].p for stage in network.up]  # type: ignore[index]
    assert drops == [0.5, 0.5, 0.5, 0, 0, 0]
    assert network.down[1][-1].negative_slope == 0.3  # type: ignore[index]
    assert network.down[1][1].eps == 1e-3  # type: ignore[index]


def test_the_seeds_discriminator() -> None:
    with torch.device("meta"):
        critic = SeedPatchGAN(width=64, layers=3)
        logits = critic(torch.zeros(1, 1, 128, 128), torch.zeros(1, 2, 128, 128))
    assert count(critic) == 2_767_361
    assert logits.shape == (1, 1, 14, 14)


def test_the_sizes_of_the_others() -> None:
    zhang = on_meta({"name": "zhang16", "width": 64, "neighbours": 5, "temperature": 0.38})
    assert sum(weight.numel() for weight in zhang.parameters()) == pytest.approx(32.2e6, rel=0.002)
    ours = on_meta(
        {"name": "photochrom", "encoder": LITE0, "width": 128, "neighbours": 5, "temperature": 0.38}
    )
    assert sum(weight.numel() for weight in ours.parameters()) < 30e6


def test_which_networks_choose_is_known_before_any_work() -> None:
    choosing = {name for name in TINY if isinstance(on_meta(config(name)), Distribution)}
    assert choosing == set(CHOOSING) == set(NETWORKS_OF_BINS)


def test_the_sizes_that_a_network_takes_are_known_before_any_work() -> None:
    for name in TINY:
        network = {"depth": 4, **config(name)}  # the default depth
        multiple = on_meta(config(name)).multiple
        phase: dict[str, Any] = {"size": multiple, "discriminator": None}
        check_size("here", phase, network)
        for size in range(1, multiple):
            with pytest.raises(ConfigError, match="is not a multiple"):
                check_size("here", {**phase, "size": size}, network)
    for layers in (1, 3):
        smallest = PatchGAN(8, layers).smallest
        phase = {"size": smallest - 2, "discriminator": {"layers": layers}}
        with pytest.raises(ConfigError, match=f"is below {smallest}, the least"):
            check_size("here", phase, {"name": "unet", "depth": 1})


def test_every_network_is_tried_here() -> None:
    assert set(NETWORKS) == {config(name)["name"] for name in TINY}


@pytest.mark.parametrize("name", TINY)
def test_it_colours_and_comes_back_from_its_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = begun(name).eval()
    assert SIDE % network.multiple == 0
    L = lightness(2, 1, SIDE, 2 * SIDE)
    with torch.no_grad():
        ab = network(L)
        assert ab.shape == (2, 2, SIDE, 2 * SIDE)
        assert ab.abs().max() <= 1
        # A photograph's colours do not depend on what else is in the batch.
        torch.testing.assert_close(network(L[1:]), ab[1:], rtol=1e-4, atol=1e-5)
    path = tmp_path / "model.safetensors"
    save_model(path, network, {"network": config(name), "size": SIDE})

    def begin(self: object, *rest: object) -> None:
        raise AssertionError("a saved network has all it needs")

    for part in {type(network), *(type(each) for each in network.modules())}:
        if hasattr(part, "begin"):
            monkeypatch.setattr(part, "begin", begin)
    model = load_model(path)
    with torch.no_grad():
        assert torch.equal(model.network(L), ab)
    assert model.multiple == network.multiple
    learned = {name: weight.requires_grad for name, weight in network.named_parameters()}
    assert learned == {
        name: weight.requires_grad for name, weight in model.network.named_parameters()
    }


@pytest.mark.parametrize("name", TINY)
def test_every_weight_that_may_learn_does(name: str) -> None:
    network = begun(name).train()
    L = lightness(2, 1, SIDE, SIDE)
    if isinstance(network, Distribution):
        logits, ab = network.predict(L)
        value = logits.square().mean() + (ab - 0.3).square().mean()
    else:
        value = (network(L) - 0.3).square().mean()
    value.backward()
    for weight_name, weight in network.named_parameters():
        if weight.requires_grad:
            assert weight.grad is not None, weight_name
            assert weight.grad.isfinite().all(), weight_name
        else:
            assert name == "fusion"
            assert weight.grad is None


BINS = {"zhang16": 313, "photochrom": 261}


@pytest.mark.parametrize("name", CHOOSING)
def test_networks_that_choose_give_logits_colours_and_uncertainty(name: str) -> None:
    network = begun(name).eval()
    assert isinstance(network, Distribution)
    L = lightness(1, 1, SIDE, SIDE)
    with torch.no_grad():
        logits, ab = network.predict(L)
        assert logits.shape == (1, BINS[name], SIDE // 4, SIDE // 4)
        assert torch.equal(ab, network(L))
        assert torch.equal(logits, network.logits(L))
        uncertainty = network.uncertainty(L)
    assert uncertainty.shape == L.shape
    assert 0 <= uncertainty.min() <= uncertainty.max() <= 1
    assert network.prior.sum() == pytest.approx(1, abs=1e-5)
    assert (network.prior * network.weights).sum() == pytest.approx(1, abs=1e-5)
    likeliest = network.bins[network.prior.topk(2).indices].tolist()
    assert sorted(likeliest) == [[10, -60], [40, 60]]


@pytest.mark.parametrize("name", CHOOSING)
def test_uncertainty_takes_the_rebalancing_back(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that learned only how often colours are is as open as the pictures are."""
    network = begun(name).eval()
    assert isinstance(network, Distribution)
    learned = (network.prior * network.weights).log()[None, :, None, None]
    monkeypatch.setattr(network, "predict", lambda L: (learned, torch.zeros(1, 2, 1, 1)))
    as_is = network.prior.log()[None, :, None, None]
    assert network.uncertainty(lightness(1, 1, 1, 1)).item() == pytest.approx(
        entropy(as_is).item(), abs=1e-5
    )
    assert entropy(learned).item() > entropy(as_is).item() + 0.01


def test_photochrom_starts_from_the_rebalanced_prior() -> None:
    network = begun("photochrom").eval()
    assert isinstance(network, Photochrom)
    with torch.no_grad():
        shares = torch.softmax(network.logits(lightness(1, 1, SIDE, SIDE)), dim=1)
    expected = (network.prior * network.weights)[None, :, None, None].expand_as(shares)
    assert (shares - expected).abs().sum(dim=1).max() < 0.2


def test_photochroms_gain_multiplies_the_chroma_alone() -> None:
    plain = begun("photochrom").eval()
    more = build({**config("photochrom"), "gain": 1.5}).eval()
    more.load_state_dict(plain.state_dict())
    assert isinstance(plain, Photochrom)
    assert isinstance(more, Photochrom)
    L = lightness(1, 1, SIDE, SIDE)
    with torch.no_grad():
        (logits, ab), (same, vivid) = plain.predict(L), more.predict(L)
    assert torch.equal(logits, same)
    assert torch.allclose(vivid, 1.5 * ab, rtol=1e-5, atol=1e-6)


def test_photochrom_without_rounds_scores_by_the_place_alone() -> None:
    network = build({**config("photochrom"), "rounds": 0}).eval()
    assert isinstance(network, Photochrom)
    x = torch.rand(2, 16, 4, 4)
    with torch.no_grad():
        near = network.scores(x, [torch.rand(2, 16, 2, 2)])
        assert torch.equal(near, network.scores(x, [torch.rand(2, 16, 2, 2)]))


def test_a_uniform_share_of_one_counts_all_pixels_alike() -> None:
    prior = np.array([0.7, 0.2, 0.1])
    assert rebalancing_weights(prior, 1.0) == pytest.approx([1, 1, 1])
    mild, strong = rebalancing_weights(prior, 0.9), rebalancing_weights(prior)
    assert strong[2] / strong[0] > mild[2] / mild[0] > 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": "zhang16", "width": 4, "neighbours": 0, "temperature": 0.4}, "neighbours 0"),
        ({"name": "zhang16", "width": 4, "neighbours": 5, "temperature": 0.0}, "temperature 0.0"),
        ({"name": "zhang16", "width": 0, "neighbours": 5, "temperature": 0.4}, "width 0"),
        ({"name": "fusion", "width": 3}, "width 3"),
        ({"name": "encoder-unet", "encoder": LITE0, "width": 12}, "width 12"),
        ({"name": "encoder-unet", "encoder": "nothing", "width": 16}, "the encoder 'nothing'"),
        ({"name": "photochrom", **TINY["photochrom"], "width": 24}, "width 24"),
        ({"name": "photochrom", **TINY["photochrom"], "stride": 16}, "stride 16"),
        ({"name": "photochrom", **TINY["photochrom"], "rounds": 4, "stride": 8}, "rounds 4"),
        ({"name": "photochrom", **TINY["photochrom"], "uniform": 0.0}, "uniform 0.0"),
        ({"name": "photochrom", **TINY["photochrom"], "gain": 0.0}, "gain 0.0"),
        ({"name": "unet", **TINY["unet"], "design": "round"}, "design 'round'"),
        ({"name": "unet", **TINY["unet"], "depth": 2}, "attention needs a depth of 3"),
    ],
)
def test_impossible_networks_are_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build(options)


@pytest.mark.parametrize("design", ["smooth", "seed"])
def test_attention_starts_as_the_network_without(design: str) -> None:
    options = {"name": "unet", "design": design, "width": 8, "depth": 4, "dropout": 0.0}
    plain, attentive = build(options), build({**options, "attention": True})
    missing, strange = attentive.load_state_dict(plain.state_dict(), strict=False)
    assert not strange
    assert {name.split(".")[0] for name in missing} == {"attention"}
    L = lightness(2, 1, 32, 32)
    assert torch.equal(plain.eval()(L), attentive.eval()(L))
    with torch.no_grad():
        for part in attentive.modules():
            if isinstance(part, SelfAttention):
                part.gate.fill_(1.0)
    assert not torch.equal(plain(L), attentive(L))


def test_attention_is_the_weighted_sum_that_it_should_be() -> None:
    attention = SelfAttention(8)
    with torch.no_grad():
        attention.gate.fill_(1.0)
        attention.query.weight.zero_()  # all places count alike
    x = lightness(1, 8, 3, 5)
    mean = attention.back(attention.value(x).mean(dim=(2, 3), keepdim=True))
    torch.testing.assert_close(attention(x), x + mean.expand_as(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stride", [4, 8])
def test_the_mixture_starts_as_bilinear_enlarging_and_invents_no_colour(stride: int) -> None:
    coarse = lightness(2, 2, 5, 7)
    start = bilinear_mixture(stride)[None, :, None, None].expand(2, -1, 5, 7)
    wanted = F.interpolate(coarse, scale_factor=stride, mode="bilinear", align_corners=False)
    torch.testing.assert_close(mixed(coarse, start, stride), wanted, rtol=0, atol=0.01)
    anything = mixed(coarse, 10 * torch.randn(start.shape, generator=torch.Generator()), stride)
    assert anything.min() >= coarse.min() - 1e-6
    assert anything.max() <= coarse.max() + 1e-6


def test_an_encoder_that_begins_at_a_quarter_serves_too() -> None:
    for name in ("encoder-unet", "photochrom"):
        network = build({**config(name), "encoder": "convnext_atto"}).eval()
        with torch.no_grad():
            assert network(lightness(1, 1, 32, 32)).shape == (1, 2, 32, 32)
