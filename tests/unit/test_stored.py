"""What shards store of 8-bit sRGB: the way there and back over the cube, and the two ways there."""

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000

from photochrom.color import (
    AB_SCALE,
    L_SCALE,
    denormalize,
    lab_to_rgb,
    lab_to_rgb_torch,
    normalize,
    rgb_to_lab,
)
from photochrom.stored import SCALE_FACTOR, rgb_to_stored, to_stored


@pytest.fixture(scope="module")
def cube() -> np.ndarray:
    """A sample of the 8-bit cube: 52 levels a channel, both ends, all greys, (N, 3) uint8."""
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    return np.concatenate([lattice, greys])


def lab_of(L: np.ndarray, ab: np.ndarray) -> np.ndarray:
    lightness, colour = denormalize(L * SCALE_FACTOR, ab * SCALE_FACTOR)
    return np.concatenate([lightness[..., None], colour], axis=-1)


def test_the_cube_survives_storage(cube: np.ndarray) -> None:
    """RGB -> Lab -> int16 -> Lab -> RGB: every colour of the sample comes back as it was.

    Before the last rounding to 8 bits, dE2000 is 0.0007 in the mean and 0.003 at most for the exact
    integers, 0.0010 and 0.046 for the quick ones.
    """
    lab = rgb_to_lab(cube)
    L, ab = normalize(lab[:, 0], lab[:, 1:])
    exact = (to_stored(L), to_stored(ab))
    for stored, mean, largest in ((exact, 0.001, 0.003), (rgb_to_stored(cube), 0.0015, 0.05)):
        back = lab_to_rgb(lab_of(*stored))
        np.testing.assert_array_equal(np.rint(back * 255).astype(np.uint8), cube)
        difference = deltaE_ciede2000(lab, rgb_to_lab(back))
        assert difference.mean() < mean
        assert difference.max() < largest


def test_the_quick_way_is_the_exact_one_within_what_it_states(cube: np.ndarray) -> None:
    error = np.abs(lab_of(*rgb_to_stored(cube)) - rgb_to_lab(cube))
    assert error[:, 0].max() < 0.005
    assert error[:, 1:].max() < 0.04
    grey = lab_of(*rgb_to_stored(cube[-256:]))
    assert np.abs(grey[:, 1:]).max() < 0.04  # neutral stays neutral


def test_shapes_and_types() -> None:
    L, ab = rgb_to_stored(np.zeros((4, 5, 3), np.uint8))
    assert (L.shape, ab.shape, L.dtype.str, ab.dtype.str) == ((4, 5), (4, 5, 2), "<i2", "<i2")
    assert (L == -32767).all()
    white = rgb_to_stored(np.full((1, 1, 3), 255, np.uint8))
    assert white[0][0, 0] == 32767


def test_strided_pictures_give_the_same(cube: np.ndarray) -> None:
    picture = cube[: 52 * 52].reshape(52, 52, 3)
    whole, part = rgb_to_stored(picture), rgb_to_stored(picture[::2, ::-3])
    np.testing.assert_array_equal(part[0], whole[0][::2, ::-3])
    np.testing.assert_array_equal(part[1], whole[1][::2, ::-3])


def test_the_sums_stay_within_their_fields() -> None:
    """Every pair of red and green with every end of blue: no field runs into the next."""
    red, green = np.meshgrid(np.arange(256), np.arange(256))
    for blue in (0, 255):
        rgb = np.stack([red, green, np.full_like(red, blue)], axis=-1).astype(np.uint8)
        assert np.abs(lab_of(*rgb_to_stored(rgb)) - rgb_to_lab(rgb)).max() < 0.04


def test_stored_integers_train_through_torch(cube: np.ndarray) -> None:
    """What a network gets decodes in torch to the colours put in, with gradients everywhere."""
    L, ab = (torch.from_numpy(part * np.float32(SCALE_FACTOR)) for part in rgb_to_stored(cube))
    ab.requires_grad_()
    rgb = lab_to_rgb_torch(((L + 1) * L_SCALE)[None, None, None], (ab * AB_SCALE).T[None, :, None])
    rgb.square().sum().backward()
    assert ab.grad is not None
    assert torch.isfinite(ab.grad).all()
    assert (ab.grad[1:-256].abs().sum(dim=1) > 0).float().mean() > 0.9
    decoded = rgb.detach()[0, :, 0].T.numpy()
    assert np.abs(decoded - cube / 255).max() < 1e-3


def test_values_beyond_the_scale_are_an_error() -> None:
    with pytest.raises(ValueError, match="within"):
        to_stored(np.array([1.5]))
