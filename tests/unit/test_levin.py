"""Levin, Lischinski and Weiss 2004: colours spread from hints and stop at edges."""

import numpy as np
import pytest

from photochrom.models.levin import affinity, propagate

LEFT, RIGHT = (30.0, -20.0), (-10.0, 50.0)


def halves(size: int = 24) -> np.ndarray:
    """Lightness of a picture whose left half is dark and whose right half is light."""
    L = np.full((size, size), 35.0)
    L[:, size // 2 :] = 80.0
    return L


def hinted(*places: tuple[int, int, tuple[float, float]], size: int = 24) -> tuple:
    hints, mask = np.full((size, size, 2), np.nan), np.zeros((size, size), bool)
    for y, x, colour in places:
        hints[y, x], mask[y, x] = colour, True
    return hints, mask


def test_a_two_colour_picture_comes_back_from_one_hint_each() -> None:
    ab = propagate(halves(), *hinted((12, 3, LEFT), (5, 20, RIGHT)))
    # A little leaks over the edge, the more the farther a hint is.
    assert np.abs(ab[:, :12] - LEFT).max() < 6
    assert np.abs(ab[:, 12:] - RIGHT).max() < 6
    assert np.abs(ab[:, :12] - LEFT).mean() < 3
    assert ab[12, 3].tolist() == list(LEFT)
    assert ab[5, 20].tolist() == list(RIGHT)


def test_flat_lightness_gives_a_smooth_blend_between_the_hints() -> None:
    L = np.full((1, 11), 50.0)
    hints, mask = np.zeros((1, 11, 2)), np.zeros((1, 11), bool)
    hints[0, 10], mask[0, [0, 10]] = (100.0, -50.0), True
    ab = propagate(L, hints, mask)
    np.testing.assert_allclose(ab[0, :, 0], np.linspace(0, 100, 11), atol=1e-6)
    np.testing.assert_allclose(ab[0, :, 1], np.linspace(0, -50, 11), atol=1e-6)


def test_one_colour_stays_one_colour_and_nothing_exceeds_its_hints() -> None:
    L = np.random.default_rng(0).uniform(0, 100, (16, 16))
    ab = propagate(L, *hinted((8, 8, LEFT), size=16))
    np.testing.assert_allclose(ab, np.broadcast_to(LEFT, ab.shape), atol=1e-6)
    ab = propagate(L, *hinted((1, 1, LEFT), (14, 14, RIGHT), size=16))
    assert (ab >= np.minimum(LEFT, RIGHT) - 1e-9).all()
    assert (ab <= np.maximum(LEFT, RIGHT) + 1e-9).all()


def test_all_pixels_hinted() -> None:
    hints = np.random.default_rng(0).normal(size=(4, 5, 2))
    assert (propagate(np.zeros((4, 5)), hints, np.ones((4, 5), bool)) == hints).all()


def test_weights_sum_to_one_and_prefer_the_alike() -> None:
    Y = np.array([[0.1, 0.1, 0.9], [0.1, 0.2, 0.9], [0.1, 0.1, 0.9]])
    weights = affinity(Y).toarray()
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert (weights.diagonal() == 0).all()
    assert weights[4, 3] > 100 * weights[4, 5]
    # The corner has three neighbours, two of its own lightness.
    spread = 0.6 * np.var([0.1, 0.1, 0.1, 0.2])
    raw = np.array([1, 1, np.exp(-(0.1**2) / spread)])
    np.testing.assert_allclose(weights[0, [1, 3, 4]], raw / raw.sum())


@pytest.mark.parametrize("what", ["no hint", "another shape"])
def test_what_cannot_be_solved_is_refused(what: str) -> None:
    hints, mask = hinted()
    if what == "no hint":
        with pytest.raises(ValueError, match="no hint"):
            propagate(halves(), hints, mask)
    else:
        with pytest.raises(ValueError, match="do not go together"):
            propagate(halves(), hints, np.ones((3, 3), bool))
