"""A frozen encoder, and what it sees kept in a file: the same training, faster."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mini_training import CPU, GAN, RECIPE, Killed, at_step, kill, pictures, train
from mounts import mounted
from photochrom import features, training
from photochrom.models import build, weights_sha256
from photochrom.models.base import Pretrained
from photochrom.recipes import Augment, Recipe
from photochrom.runtime import StageError
from photochrom.training import train_phase

NETWORK = {
    "name": "photochrom",
    "encoder": "tf_efficientnet_lite0",
    "width": 16,
    "neighbours": 5,
    "temperature": 0.38,
    "stride": 8,
}
PHASE = replace(
    GAN,
    size=32,
    epochs=3,
    batch=3,
    losses={"rebalanced-ce": 1.0, "l1": 1.0},
    augment=Augment(flip=True, crop=1.0, chroma=(0.5, 1.0)),
    discriminator=None,
    encoder="cached",
)
WANTED = Recipe("mini", 1, NETWORK, PHASE)


def learned(folder: Path, recipe: Recipe = WANTED, every: float = 1e9) -> dict[str, torch.Tensor]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = build(recipe.network)
    data, val = pictures(6, size=32), pictures(3, size=32, seed=9)
    train_phase(recipe, network, data, val, CPU, folder, every)
    return dict(network.state_dict())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    return learned(tmp_path_factory.mktemp("whole"))


def test_the_encoder_stays_and_the_rest_learns(whole: dict[str, torch.Tensor]) -> None:
    torch.manual_seed(0)
    first = build(NETWORK).state_dict()
    for name, value in whole.items():
        if name.startswith("encoder."):
            assert torch.equal(value, first[name]), name
    assert not torch.equal(whole["match.weight"], first["match.weight"])


def test_cached_is_frozen_but_for_the_rounding(
    whole: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    frozen = learned(tmp_path, replace(WANTED, phase=replace(PHASE, encoder="frozen")))
    for name, value in whole.items():
        torch.testing.assert_close(value, frozen[name], rtol=0.02, atol=0.005, msg=name)
    trained = learned(tmp_path / "on", replace(WANTED, phase=replace(PHASE, encoder="trained")))
    key = next(name for name in whole if name.startswith("encoder.") and name.endswith("weight"))
    assert not torch.equal(trained[key], whole[key])


def test_features_are_those_of_each_picture_and_its_mirror_image(tmp_path: Path) -> None:
    network = build(NETWORK).eval()
    assert isinstance(network, Pretrained)
    data = pictures(6, size=32)
    batch_at = training.batch_source(data, WANTED, 6, CPU, "auto", 0)
    with_them = features.with_features(
        batch_at, network, data, WANTED, CPU, tmp_path, training.ALONE
    )
    mirrored = 0
    for step in range(6):
        L, ab, *seen = with_them(step)
        plain = batch_at(step)
        assert torch.equal(L, plain[0])
        assert torch.equal(ab, plain[1])
        with torch.no_grad():
            expected = network.seen(L)
        for one, other in zip(seen, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
        originals = torch.from_numpy(data.L).float() * data.scale
        mirrored += sum(not any(torch.equal(x, y) for y in originals) for x in L)
    assert 0 < mirrored < 18


def test_a_killed_run_ends_as_an_undisturbed_one(
    whole: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        at_step(patch, 3, kill)
        with pytest.raises(Killed):
            learned(tmp_path, every=0)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("features-*.npy")}
    assert len(stamps) == 3
    assert weights_sha256(learned(tmp_path)) == weights_sha256(whole)
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}
    # Killed while they were made: they are made anew.
    half = tmp_path / "half"
    half.mkdir()
    np.save(half / "features-0.npy", np.zeros(3, np.float16))
    assert weights_sha256(learned(half)) == weights_sha256(whole)


def test_what_float16_cannot_hold_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def seen(self: Any, L: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.full((len(L), 2, 4, 4), 1e6),)

    monkeypatch.setattr("photochrom.models.photochrom.Photochrom.seen", seen)
    with pytest.raises(StageError, match="set encoder to frozen"):
        learned(tmp_path)


def test_a_network_without_an_encoder_is_refused(tmp_path: Path) -> None:
    recipe = replace(RECIPE, phase=replace(GAN, encoder="frozen"))
    with pytest.raises(StageError, match="encoder is frozen, but the network has no pretrained"):
        train(tmp_path, recipe=recipe)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said_before_the_encoder_sees_all(
    tmp_path: Path, need: Callable[[bool, str], None]
) -> None:
    with mounted(tmp_path / "disk", "size=24k") as there:
        need(there, "mounting a tmpfs needs root")
        with pytest.raises(OSError, match="No space left"):
            learned(tmp_path / "disk")
        assert not list((tmp_path / "disk").glob("features-*"))
