"""Networks, and the model file that must come back exactly as it was written or not at all."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from photochrom.models import build, load_model, save_model, weights_sha256
from photochrom.models.base import Distribution
from photochrom.models.patchgan import PatchGAN
from photochrom.models.unet import UNet
from photochrom.runtime import EXIT_MISSING, EXIT_MODEL, StageError, sha256_file

NETWORK = {"name": "unet", "width": 8, "depth": 3, "dropout": 0.2}
METADATA: dict[str, Any] = {"network": NETWORK, "size": 16, "experiment": "mini", "phase": "l1"}


def network(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build(NETWORK)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(path, network(), METADATA)
    return path


def refused(path: Path, says: str) -> None:
    with pytest.raises(StageError, match=says) as fault:
        load_model(path)
    assert fault.value.code == EXIT_MODEL
    assert str(path) in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("shape", [(8, 8), (16, 40), (24, 8)])
@pytest.mark.parametrize("width", [8, 24, 32])
def test_the_unet_takes_any_multiple_and_stays_in_range(shape: tuple[int, int], width: int) -> None:
    unet = UNet(width=width, depth=3, dropout=0.5).eval()
    assert unet.multiple == 8
    with torch.no_grad():
        ab = unet(torch.rand(2, 1, *shape) * 2 - 1)
    assert ab.shape == (2, 2, *shape)
    assert ab.abs().max() <= 1
    assert ab.std() > 0


def test_a_photograph_is_coloured_the_same_whatever_its_batch() -> None:
    unet = UNet(width=16, depth=3, dropout=0.5).eval()
    L = torch.rand(4, 1, 16, 16) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(unet(L)[2:3], unet(L[2:3]), rtol=1e-5, atol=1e-6)


def test_dropout_works_in_training_only() -> None:
    # Two single passes through so few channels may well drop the same ones.
    unet, L = UNet(width=8, depth=3, dropout=0.5), torch.rand(1, 1, 8, 8)
    unet.train()
    assert len({unet(L).sum().item() for _ in range(32)}) > 1
    unet.eval()
    assert torch.equal(unet(L), unet(L))


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"name": "umet", "width": 8, "depth": 3, "dropout": 0.0}, "no network is called 'umet'"),
        ({"name": "unet", "width": 12, "depth": 3, "dropout": 0.0}, "width 12"),
        ({"name": "unet", "width": 8, "depth": 1, "dropout": 0.0}, "depth 1"),
        ({"name": "unet", "width": 8, "depth": 3, "dropout": 1.0}, "dropout 1.0"),
        ({"name": "unet", "width": 8, "depth": 3, "dropout": 0.0, "hue": 1}, "hue"),
        ({"width": 8}, "no network is called None"),
    ],
)
def test_impossible_networks_are_named(config: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build(config)


def test_the_patchgan_judges_patches_of_seventy_pixels() -> None:
    critic = PatchGAN(width=4, layers=3)
    assert critic(torch.zeros(1, 1, 64, 64), torch.zeros(1, 2, 64, 64)).shape == (1, 1, 6, 6)
    # The receptive field: which input pixels move the logit in the middle.
    L, ab = torch.rand(1, 1, 128, 128, requires_grad=True), torch.rand(1, 2, 128, 128)
    layers = [layer for layer in critic.stages if not isinstance(layer, torch.nn.InstanceNorm2d)]
    # Without the norms, by which every pixel moves every other.
    torch.nn.Sequential(*layers)(torch.cat([L, ab], dim=1))[0, 0, 7, 7].backward()
    assert L.grad is not None
    touched = np.flatnonzero(L.grad[0, 0].abs().sum(dim=0).numpy())
    assert touched.max() - touched.min() + 1 == 70


def test_the_patchgan_says_how_small_a_picture_it_can_judge() -> None:
    critic = PatchGAN(width=4, layers=2)
    side = critic.smallest
    assert critic(torch.zeros(1, 1, side, side), torch.zeros(1, 2, side, side)).shape[-1] == 1
    with pytest.raises((RuntimeError, ValueError)):
        critic(torch.zeros(1, 1, side - 1, side - 1), torch.zeros(1, 2, side - 1, side - 1))
    with pytest.raises(ValueError, match="layers 0"):
        PatchGAN(width=4, layers=0)


def test_a_model_comes_back_as_it_was(saved: Path) -> None:
    model = load_model(saved)
    assert (model.size, model.multiple) == (16, 8)
    assert not model.network.training
    assert model.metadata["experiment"] == "mini"
    assert (model.metadata["L_scale"], model.metadata["ab_scale"]) == (50.0, 110.0)
    L = torch.rand(1, 1, 16, 16)
    assert torch.equal(model.network(L), network().eval()(L))
    assert all(weight.requires_grad for weight in model.network.parameters())


def test_equal_weights_give_equal_bytes(saved: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    save_model(again, network(), dict(reversed(METADATA.items())))
    assert again.read_bytes() == saved.read_bytes()
    save_model(again, network(seed=1), METADATA)
    assert again.read_bytes() != saved.read_bytes()


def test_weights_that_are_not_finite_are_never_written(tmp_path: Path) -> None:
    broken = network()
    with torch.no_grad():
        next(broken.parameters())[0] = torch.nan
    with pytest.raises(StageError, match="not finite") as fault:
        save_model(tmp_path / "model.safetensors", broken, METADATA)
    assert fault.value.code == EXIT_MODEL
    assert not list(tmp_path.iterdir())


def test_any_flipped_bit_is_refused(saved: Path) -> None:
    whole = saved.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    generator = np.random.default_rng(0)
    # Half of them in the header, where names, shapes and the metadata are.
    places = [*generator.integers(0, header, 60), *generator.integers(header, len(whole), 60)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << generator.integers(0, 8)
        if damaged[8:header].split() == whole[8:header].split() and place < header:
            continue  # white space that pads the header
        saved.write_bytes(damaged)
        refused(saved, "is refused")


@pytest.mark.parametrize("share", [0.0, 0.0005, 0.05, 0.5, 0.999])
def test_truncated_files_are_refused(saved: Path, share: float) -> None:
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    refused(saved, "not a whole safetensors file")


def test_files_of_other_kinds_are_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"there is no model at .*absent.*train") as fault:
        load_model(tmp_path / "absent.safetensors")
    assert fault.value.code == EXIT_MISSING
    saved.write_bytes(b"\x89PNG" + bytes(1000))
    refused(saved, "not a whole safetensors file")
    saved.write_bytes(safetensors.torch.save(network().state_dict()))
    refused(saved, "not written by Photochrom")
    torch.save(network().state_dict(), saved)
    refused(saved, "is refused")


def forge(path: Path, changes: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """A file whose checksums are right but whose content differs from what it should be."""
    from photochrom import models

    entry = {**load_model(path).metadata, **changes, "weights_sha256": weights_sha256(tensors)}
    entry["metadata_sha256"] = models.metadata_sha256(entry)
    path.write_bytes(safetensors.torch.save(tensors, {"photochrom": json.dumps(entry)}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"network": {**NETWORK, "width": 16}}, "another architecture than it says"),
        ({"network": {**NETWORK, "depth": 4}}, "another architecture than it says"),
        ({"network": {**NETWORK, "depth": 2}}, "is not part of it"),
        ({"network": {**NETWORK, "name": "vnet"}}, "no network is called 'vnet'"),
        ({"network": None}, "does not say"),
        ({"size": "large"}, "does not say"),
        ({"ab_scale": 128.0}, "its colour constants are L 50.0, ab 128.0"),
        ({"L_scale": 100.0}, "its colour constants are L 100.0, ab 110.0"),
        ({"format_version": 99}, "its format is 99"),
    ],
)
def test_other_architectures_constants_and_formats_are_refused(
    saved: Path, changes: dict, says: str
) -> None:
    forge(saved, changes, network().state_dict())
    refused(saved, says)


def test_only_the_file_that_was_published_is_taken(saved: Path) -> None:
    """As `sha256sum` writes NAME.sha256; also a file that is whole in itself can be another."""
    published = sha256_file(saved)
    saved.with_suffix(".sha256").write_text(f"{published}  {saved.name}\n")
    assert load_model(saved).digest == published
    whole = saved.read_bytes()
    forge(saved, {"experiment": "another"}, network(1).state_dict())
    another = sha256_file(saved)
    refused(saved, rf"not the one .*SHA-256 is {another}, expected is {published}; restore it")
    saved.write_bytes(whole[:-100])
    refused(saved, f"not a whole safetensors file.* expected is {published}")
    saved.with_suffix(".sha256").unlink()
    refused(saved, "none is on record beside it")


def test_another_type_of_weights_is_refused(saved: Path) -> None:
    forge(saved, {}, {name: value.half() for name, value in network().state_dict().items()})
    refused(saved, "float16")


def test_other_colour_bins_are_refused(tmp_path: Path) -> None:
    config = {"name": "zhang16", "width": 1, "neighbours": 5, "temperature": 0.38}
    network = build(config)
    assert isinstance(network, Distribution)
    network.bins[0] += 1
    path = tmp_path / "model.safetensors"
    save_model(path, network, {"network": config, "size": 16})
    refused(path, "its colour bins are not those of this software")
