"""Chroma enlarged along the edges of the lightness."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photochrom.guided import MARGIN, along, lines
from photochrom.inference import resize


def halves(size: int, at: int) -> tuple[np.ndarray, np.ndarray]:
    """Dark red beside light blue, the border at column `at`."""
    L = np.full((size, size), 30, np.float32)
    L[:, at:] = 80
    ab = np.where(
        L[..., None] < 50, np.array([40, 20], np.float32), np.array([-5, -30], np.float32)
    )
    return L, ab.astype(np.float32)


def enlarged(L: np.ndarray, narrow: np.ndarray, ab: np.ndarray) -> np.ndarray:
    return along(resize(lines(narrow, ab), L.shape[1], L.shape[0]), L)


def test_colour_stops_at_an_edge_where_bilinear_bleeds() -> None:
    L, truth = halves(96, 50)
    narrow, ab = resize(L, 12, 12), resize(truth, 12, 12)
    guided = np.abs(enlarged(L, narrow, ab) - truth).mean()
    bilinear = np.abs(resize(ab, 96, 96) - truth).mean()
    assert guided < bilinear / 3


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 9))
def test_at_its_own_size_the_networks_chroma_is_untouched(seed: int, h: int, w: int) -> None:
    generator = np.random.default_rng(seed)
    L = generator.uniform(0, 100, (h, w)).astype(np.float32)
    ab = generator.uniform(-110, 110, (h, w, 2)).astype(np.float32)
    assert along(lines(L, ab), L) == pytest.approx(ab, abs=1e-3)


def test_even_lightness_is_enlarged_bilinearly() -> None:
    narrow = np.full((6, 7), 42, np.float32)
    ab = np.random.default_rng(0).normal(0, 30, (6, 7, 2)).astype(np.float32)
    L = np.full((30, 35), 42, np.float32)
    assert enlarged(L, narrow, ab) == pytest.approx(resize(ab, 35, 30), abs=1e-3)


def test_one_colour_stays_one_colour_whatever_the_lightness() -> None:
    generator = np.random.default_rng(1)
    L = generator.uniform(0, 100, (40, 40)).astype(np.float32)
    ab = np.broadcast_to(np.array([12, -7], np.float32), (10, 10, 2))
    assert enlarged(L, resize(L, 10, 10), ab) == pytest.approx(
        np.broadcast_to([12, -7], (40, 40, 2)), abs=1e-3
    )


def test_a_scratch_is_coloured_like_what_it_crosses() -> None:
    """Chroma rises with lightness from 20 to 40; a white line across must not go on to 100."""
    narrow = np.tile(np.linspace(20, 40, 16, dtype=np.float32), (16, 1))
    ab = np.stack([narrow, -narrow], axis=-1)
    L = resize(narrow, 128, 128)
    L[64] = 100
    scratch = enlarged(L, narrow, ab)[64]
    assert np.abs(scratch).max() <= 40 + MARGIN
