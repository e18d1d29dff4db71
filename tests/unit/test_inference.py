"""The size at which photographs meet a network, and the way to it and back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from photochrom.color import AB_SCALE, L_SCALE
from photochrom.inference import (
    MAX_ASPECT,
    colorize_lightness,
    network_size,
    predict_ab,
    resize,
)
from photochrom.models import Model
from photochrom.models.base import Colorizer
from photochrom.runtime import EXIT_MODEL, StageError


class Pointwise(Colorizer):
    """ab = (L, -L/2) in network units at each pixel; notes the shapes that it is given."""

    multiple = 16

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor([1.0, -0.5]).reshape(1, 2, 1, 1))
        self.seen: list[torch.Tensor] = []

    def forward(self, L: torch.Tensor) -> torch.Tensor:
        self.seen.append(L)
        return L * self.gain


def model_of(network: Colorizer, size: int = 64) -> Model:
    return Model(network.eval(), {}, "0" * 64, size, network.multiple)


def ramp(height: int, width: int) -> np.ndarray:
    """Lightness that rises from 10 to 90 along the diagonal."""
    rows, columns = np.mgrid[0:height, 0:width]
    return (10 + 80 * (rows + columns) / max(1, height + width - 2)).astype(np.float32)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (512, 512, (112, 112)),
        (768, 512, (168, 112)),
        (512, 768, (112, 168)),
        (50, 40, (140, 112)),  # smaller pictures are enlarged
        (1000, 250, (448, 112)),  # just the widest that keeps its short side
        (2000, 250, (448, 56)),  # beyond it, both sides shrink
        (65000, 1, (448, 16)),
        (1, 1, (112, 112)),
    ],
)
def test_network_size(width: int, height: int, expected: tuple[int, int]) -> None:
    assert network_size(width, height, 112, 16) == expected


@given(
    st.integers(1, 70_000),
    st.integers(1, 70_000),
    st.integers(16, 512),
    st.sampled_from([1, 8, 32]),
)
def test_network_size_is_bounded_and_keeps_the_aspect(
    width: int, height: int, size: int, multiple: int
) -> None:
    small = network_size(width, height, size, multiple)
    assert min(small) <= size
    assert max(small) <= MAX_ASPECT * size
    assert (width <= height) == (small[0] <= small[1]) or small[0] == small[1]
    if max(width, height) <= MAX_ASPECT * min(width, height):
        assert min(small) == size
        exact = size * max(width, height) / min(width, height)
        assert abs(max(small) - exact) <= 0.5


def test_no_size_below_one_pixel() -> None:
    with pytest.raises(ValueError, match="below one pixel"):
        network_size(0, 10, 112, 16)


@pytest.mark.parametrize(
    ("height", "width"), [(32, 48), (33, 47), (20, 16), (5, 3), (1, 40), (1, 1)]
)
def test_prediction_has_the_resolution_of_its_input(height: int, width: int) -> None:
    network = Pointwise()
    L = ramp(height, width)
    ab = predict_ab(model_of(network), L)
    assert ab.shape == (height, width, 2)
    assert ab.dtype == np.float32
    normalized = L / L_SCALE - 1
    assert ab == pytest.approx(
        np.stack([normalized, -normalized / 2], axis=-1) * AB_SCALE, abs=1e-4
    )
    padded = network.seen[0].shape
    assert padded[2] % 16 == padded[3] % 16 == 0
    assert padded[2] - height < 16
    assert padded[3] - width < 16


def test_padding_reflects() -> None:
    network = Pointwise()
    L = ramp(14, 16)
    predict_ab(model_of(network), L)
    rows = network.seen[0][0, 0].numpy()
    assert rows.shape == (16, 16)
    assert np.array_equal(rows[0], rows[2])
    assert np.array_equal(rows[-1], rows[-3])


def test_answers_that_are_not_finite_are_refused() -> None:
    network = Pointwise()
    network.gain.data[0, 0] = float("nan")
    with pytest.raises(StageError, match="not finite") as caught:
        predict_ab(model_of(network), ramp(16, 16))
    assert caught.value.code == EXIT_MODEL


def test_photograph_meets_the_network_at_its_size() -> None:
    network = Pointwise()
    ab = colorize_lightness(model_of(network), ramp(300, 450))
    assert ab.shape == (300, 450, 2)
    assert network.seen[0].shape == (1, 1, 64, 96)
    # A ramp survives shrinking and enlarging but for the borders, where bilinear holds its value.
    normalized = ramp(300, 450) / L_SCALE - 1
    inner = (slice(5, -5), slice(5, -5))
    assert ab[inner][..., 0] == pytest.approx(normalized[inner] * AB_SCALE, abs=0.2)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 500), (300, 2), (63, 65)])
def test_any_shape_of_photograph_is_painted(height: int, width: int) -> None:
    L = np.full((height, width), 75, np.float32)
    L.flags.writeable = False  # as decoders may hand pictures over
    ab = colorize_lightness(model_of(Pointwise()), L)
    assert ab.flags.c_contiguous
    assert ab == pytest.approx(np.broadcast_to([55, -27.5], (height, width, 2)), abs=1e-3)


def test_resize_averages_while_shrinking() -> None:
    """Stripes of one pixel become even grey: nothing aliases."""
    stripes = np.tile(np.array([0, 100], np.float32), (64, 64))
    small = resize(stripes, 16, 16)
    assert small.shape == (16, 16)
    assert small == pytest.approx(np.full((16, 16), 50), abs=4)


def test_resize_keeps_what_is_even_and_the_channels_apart() -> None:
    even = np.zeros((7, 9, 2), np.float32) + np.array([3, -4], np.float32)
    assert resize(even, 30, 20) == pytest.approx(np.broadcast_to([3, -4], (20, 30, 2)))
    assert np.array_equal(resize(even, 9, 7), even)


def test_float64_gives_what_float32_gives() -> None:
    L = ramp(40, 50)
    network = model_of(Pointwise())
    assert np.array_equal(
        colorize_lightness(network, L.astype(np.float64)), colorize_lightness(network, L)
    )


@pytest.mark.parametrize("width", [1, 2])
def test_rows_and_columns_are_resized_alike_in_any_order(width: int) -> None:
    """torch alone is wrong by as much as the values themselves, for a single column."""
    image = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    together = resize(image, width, 60)
    assert together == pytest.approx(resize(resize(image, width, 64), width, 60), abs=1e-5)
