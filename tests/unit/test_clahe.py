"""Contrast-limited adaptive histogram equalization against OpenCV's, and where it is applied."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from miniature import photograph
from photochrom.clahe import Clahe, equalized
from photochrom.inference import predict_ab
from photochrom.models import build, load_model, save_model
from photochrom.models.base import Colorizer
from photochrom.runtime import StageError

NETWORK = {"name": "unet", "width": 8, "depth": 2, "dropout": 0.0}

# cv2.createCLAHE(clip, (tiles, tiles)).apply(camera[box])[rows, columns], opencv 5.0.0.
OPENCV: list[tuple[Clahe, tuple[slice, slice], tuple[slice, slice], list[list[int]]]] = [
    (
        Clahe(2.0, 8),
        (slice(0, 512), slice(0, 512)),
        (slice(16, None, 96), slice(16, None, 96)),
        [
            [189, 184, 186, 186, 180, 184],
            [212, 217, 33, 212, 197, 204],
            [116, 65, 106, 232, 103, 220],
            [54, 46, 149, 159, 150, 172],
            [35, 63, 142, 151, 216, 196],
            [28, 122, 122, 107, 228, 139],
        ],
    ),
    (  # sides that the tiles do not divide
        Clahe(2.0, 8),
        (slice(100, 163), slice(200, 290)),
        (slice(3, None, 12), slice(5, None, 17)),
        [
            [66, 79, 17, 31, 248],
            [44, 121, 106, 36, 217],
            [18, 120, 46, 42, 245],
            [64, 148, 219, 39, 235],
            [125, 217, 165, 131, 99],
        ],
    ),
    (
        Clahe(40.0, 3),
        (slice(100, 110), slice(200, 213)),
        (slice(0, None, 3), slice(0, None, 4)),
        [[76, 201, 170, 243], [96, 83, 75, 66], [178, 88, 216, 19], [152, 115, 87, 56]],
    ),
]


@pytest.mark.parametrize("case", range(len(OPENCV)))
def test_within_a_level_of_opencv(case: int) -> None:
    clahe, box, places, expected = OPENCV[case]
    L = torch.from_numpy(photograph("camera.png")[box] / 127.5 - 1.0).float()
    found = (equalized(L[None, None], clahe)[0, 0] + 1) * 127.5
    assert np.abs(found[places].numpy() - np.array(expected)).max() <= 1.0


def test_each_picture_of_a_batch_on_its_own() -> None:
    L = torch.rand(3, 1, 20, 28) * 2 - 1
    whole = equalized(L, Clahe(2.0, 4))
    assert whole.shape == L.shape
    assert -1 <= whole.min() <= whole.max() <= 1
    for one, together in zip(L, whole, strict=True):
        assert torch.equal(equalized(one[None], Clahe(2.0, 4))[0], together)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 3), (9, 17)])
def test_pictures_smaller_than_their_tiles(shape: tuple[int, int]) -> None:
    assert equalized(torch.zeros(1, 1, *shape), Clahe(2.0, 8)).isfinite().all()


@pytest.mark.parametrize("options", [{"clip": 0, "tiles": 8}, {"clip": 2, "tiles": 0}])
def test_impossible_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="clahe: "):
        Clahe(**options)


class Mirror(Colorizer):
    """Gives back what it sees."""

    multiple = 4

    def forward(self, L: torch.Tensor) -> torch.Tensor:
        return L.repeat(1, 2, 1, 1)


def test_a_model_remembers_it_and_inference_applies_it(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    clahe = {"clip": 3.0, "tiles": 2}
    save_model(path, build(NETWORK), {"network": NETWORK, "size": 8, "input": {"clahe": clahe}})
    model = load_model(path)
    assert model.network.clahe == Clahe(3.0, 2)
    L = np.random.default_rng(0).uniform(0, 100, (11, 14)).astype(np.float32)
    mirror = Mirror()
    mirror.clahe = model.network.clahe
    object.__setattr__(model, "network", mirror)
    seen = equalized(torch.from_numpy(L / 50 - 1)[None, None], Clahe(3.0, 2))[0, 0].numpy()
    np.testing.assert_allclose(predict_ab(model, L)[..., 0], seen * 110, atol=1e-3)


@pytest.mark.parametrize("metadata", [{}, {"input": {"clahe": None}}])
def test_models_without_it_see_what_is_there(tmp_path: Path, metadata: dict[str, Any]) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, build(NETWORK), {"network": NETWORK, "size": 8, **metadata})
    model = load_model(path)
    L = torch.rand(1, 1, 8, 8)
    assert model.network.see(L) is L


@pytest.mark.parametrize("clahe", [{"clip": 3.0, "tails": 2}, {"clip": -1.0, "tiles": 2}])
def test_an_unknown_transform_is_refused(tmp_path: Path, clahe: dict[str, Any]) -> None:
    path = tmp_path / "model.safetensors"
    save_model(path, build(NETWORK), {"network": NETWORK, "size": 8, "input": {"clahe": clahe}})
    with pytest.raises(StageError, match="is refused"):
        load_model(path)
