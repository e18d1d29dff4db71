"""Pretrained encoders: the offline weights are mapped strictly and see what is there."""

import numpy as np
import pytest
import skimage.data
import timm
import torch
from torch.nn import functional as F

from photochrom.color import rgb_to_lab_torch
from photochrom.models import encoders, weights_sha256
from photochrom.models.encoders import OFFLINE, OFFLINE_TENSORS, Classifier, Encoder, grey_rgb
from photochrom.runtime import EXIT_MISSING, StageError

# Of the package's tensors by timm's names.
MAPPED_SHA256 = "b74918d7d2733b5c74599728baffddd1c2592031706f669625969cc55c6b3dea"
# ImageNet's classes (0 to 999) of cats, and of what a cup of coffee may be called.
CATS = {281, 282, 283, 284, 285}
COFFEE = {504, 967, 968}


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    network = Classifier()
    network.begin()
    return network


def square(picture: np.ndarray, side: int) -> torch.Tensor:
    """The middle square of an sRGB picture (H,W,3) uint8 as (1,3,side,side) in [0,1]."""
    height, width = picture.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    middle = torch.from_numpy(picture[top : top + short, left : left + short] / 255.0).float()
    return F.interpolate(
        middle.permute(2, 0, 1)[None], (side, side), mode="bilinear", antialias=True
    )


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize(("name", "classes"), [("chelsea", CATS), ("coffee", COFFEE)])
def test_it_knows_the_cat_and_the_coffee(
    classifier: Classifier, name: str, classes: set[int], grey: bool
) -> None:
    rgb = square(getattr(skimage.data, name)(), 224)
    if grey:
        rgb = grey_rgb(rgb_to_lab_torch(rgb)[0] / 50 - 1)
    with torch.no_grad():
        likeliest = classifier(rgb)[0].topk(3).indices.tolist()
    assert set(likeliest) & classes
    assert likeliest[0] in classes


def test_the_encoder_is_the_body_of_the_classifier(classifier: Classifier) -> None:
    encoder = Encoder(OFFLINE).eval()
    encoder.begin()
    whole = classifier.network.state_dict()
    for name, value in encoder.network.state_dict().items():
        assert torch.equal(value, whole[name]), name
    mapped = encoders._offline_weights()
    assert len(mapped) == OFFLINE_TENSORS
    assert weights_sha256(mapped) == MAPPED_SHA256
    L = torch.rand(1, 1, 32, 64) * 2 - 1
    features = encoder(L)
    assert [each.shape[1] for each in features] == encoder.channels == [16, 24, 40, 112, 320]
    assert [64 // each.shape[3] for each in features] == encoder.reductions == [2, 4, 8, 16, 32]
    assert (encoder.mean, encoder.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def test_grey_has_three_equal_channels_of_the_same_lightness() -> None:
    L = torch.linspace(-1, 1, 21).reshape(1, 1, 3, 7)
    rgb = grey_rgb(L)
    assert rgb.min() == pytest.approx(0, abs=1e-4)
    assert rgb.max() == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(rgb[:, :1].expand(-1, 3, -1, -1), rgb, rtol=0, atol=2e-4)
    torch.testing.assert_close(rgb_to_lab_torch(rgb)[0] / 50 - 1, L, rtol=0, atol=1e-3)


def test_training_leaves_imagenets_statistics_alone() -> None:
    encoder = Encoder(OFFLINE)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder.train()(torch.rand(2, 1, 32, 32))[-1].sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(weight.grad is not None for weight in encoder.parameters())


def test_a_frozen_classifier_has_no_gradients(classifier: Classifier) -> None:
    assert not classifier.train().network.training
    assert not any(weight.requires_grad for weight in classifier.parameters())


@pytest.mark.parametrize(("name", "first"), [("resnet18", 2), ("convnext_atto", 4)])
def test_other_timm_networks_serve_too(name: str, first: int) -> None:
    encoder = Encoder(name).eval()
    assert encoder.reductions[0] == first
    assert encoder.mean == (0.485, 0.456, 0.406)
    with torch.no_grad():
        features = encoder(torch.zeros(1, 1, 64, 64))
    assert [each.shape[1] for each in features] == encoder.channels


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no_such_net", r"timm \S+ cannot build the encoder 'no_such_net'"),
        ("vit_tiny_patch16_224", "shrinks by"),
        ("swin_tiny_patch4_window7_224", "cannot be kept in a file"),
    ],
)
def test_networks_that_cannot_serve_are_named(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as fault, torch.device("meta"):
        Encoder(name)
    assert "\n" not in str(fault.value)


def test_weights_that_cannot_be_fetched_end_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder("resnet18")

    def create_model(*names: object, **options: object) -> None:
        raise OSError("no route to the hub\nwith a long explanation")

    monkeypatch.setattr(timm, "create_model", create_model)
    with pytest.raises(StageError, match=r"of resnet18 cannot be fetched: no route") as fault:
        encoder.begin()
    assert fault.value.code == EXIT_MISSING
    assert "\n" not in str(fault.value)


def test_another_weights_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(encoders, "OFFLINE_SHA256", "0" * 64)
        with pytest.raises(StageError, match="install its package again"):
            Encoder(OFFLINE).begin()
    real = torch.load

    def load(*arguments: object, **options: object) -> dict[str, torch.Tensor]:
        state = real(*arguments, **options)  # type: ignore[arg-type]
        names = list(state)
        swapped = dict(state)
        swapped[names[0]], swapped[names[1]] = state[names[1]], state[names[0]]
        return swapped

    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", load)
        with pytest.raises(StageError, match=r"is not timm's conv_stem\.weight"):
            Encoder(OFFLINE).begin()
    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", lambda *a, **o: {"one": torch.zeros(1)})
        with pytest.raises(StageError, match="has 1 tensors"):
            Encoder(OFFLINE).begin()
