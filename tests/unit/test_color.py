"""Colour science against scikit-image, published values and its own promises."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage import color as reference

from photochrom import color

CHANNELS = arrays(np.uint8, (3, 4, 3))
LAB = st.tuples(
    st.floats(0, 100, width=32), st.floats(-128, 128, width=32), st.floats(-128, 128, width=32)
)


@pytest.fixture(scope="module")
def every_tone() -> np.ndarray:
    """A lattice over sRGB with both ends of every channel, (33, 33, 33, 3) uint8."""
    steps = np.rint(np.linspace(0, 255, 33)).astype(np.uint8)
    return np.stack(np.meshgrid(steps, steps, steps), axis=-1)


def test_rgb_to_lab_is_scikit_images(every_tone: np.ndarray) -> None:
    np.testing.assert_allclose(
        color.rgb_to_lab(every_tone), reference.rgb2lab(every_tone), atol=1e-10
    )


def test_rgb_to_lab_keeps_float32() -> None:
    rgb = np.linspace(0, 1, 300, dtype=np.float32).reshape(10, 10, 3)
    lab = color.rgb_to_lab(rgb)
    assert lab.dtype == np.float32
    np.testing.assert_allclose(lab, reference.rgb2lab(rgb.astype(np.float64)), atol=1e-3)


def test_rgb_to_lab_of_known_colours() -> None:
    white, black, red = color.rgb_to_lab(np.array([[255] * 3, [0] * 3, [255, 0, 0]], np.uint8))
    np.testing.assert_allclose(white, [100, 0, 0], atol=0.01)
    np.testing.assert_allclose(black, [0, 0, 0], atol=0.01)
    np.testing.assert_allclose(red, [53.24, 80.09, 67.20], atol=0.01)  # Lindbloom's calculator


def test_lab_to_rgb_is_scikit_images_even_outside_the_gamut() -> None:
    generator = np.random.default_rng(0)
    lab = generator.uniform([0, -120, -120], [100, 120, 120], (50, 50, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of negative Z
        expected = reference.lab2rgb(lab)
    np.testing.assert_allclose(color.lab_to_rgb(lab), expected, atol=1e-10)


@given(CHANNELS)
@settings(deadline=None)
def test_eight_bits_survive_the_way_through_lab(rgb: np.ndarray) -> None:
    back = color.lab_to_rgb(color.rgb_to_lab(rgb))
    np.testing.assert_array_equal(np.rint(back * 255).astype(np.uint8), rgb)


def test_lightness_of_luminance() -> None:
    rgb = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    lightness = color.luminance_to_lightness(color.rgb_to_linear(rgb)[:, 0])
    np.testing.assert_allclose(lightness, color.rgb_to_lab(rgb)[:, 0], atol=1e-9)
    assert color.luminance_to_lightness(np.array([0.18418651851244416]))[0] == pytest.approx(50)


def test_networks_see_every_srgb_colour_within_one(every_tone: np.ndarray) -> None:
    lab = color.rgb_to_lab(every_tone)
    L, ab = color.normalize(lab[..., 0], lab[..., 1:])
    assert L.min() == pytest.approx(-1)
    assert L.max() == pytest.approx(1)
    assert np.abs(ab).max() <= 1
    np.testing.assert_allclose(color.denormalize(L, ab)[0], lab[..., 0], atol=1e-12)
    np.testing.assert_allclose(color.denormalize(L, ab)[1], lab[..., 1:], atol=1e-12)


def test_normalize_works_alike_on_tensors() -> None:
    L, ab = color.normalize(torch.tensor([0.0, 100.0]), torch.tensor([-110.0, 55.0]))
    assert L.tolist() == [-1.0, 1.0]
    assert ab.tolist() == [-1.0, 0.5]


def test_colourfulness_by_hand() -> None:
    grey = np.full((8, 8, 3), 77, np.uint8)
    assert color.colourfulness(grey) == 0.0
    # Half red, half green: rg is +255 and -255 (mean 0, deviation 255), yb 127.5 throughout.
    halves = np.zeros((2, 2, 3), np.uint8)
    halves[0, :, 0] = 255
    halves[1, :, 1] = 255
    assert color.colourfulness(halves) == pytest.approx(255 + 0.3 * 127.5)


def test_the_torch_twins_agree_with_numpy(every_tone: np.ndarray) -> None:
    rgb = torch.from_numpy(every_tone[::4].reshape(-1, 33, 33, 3) / 255.0).float()
    L, ab = color.rgb_to_lab_torch(rgb.permute(0, 3, 1, 2))
    lab = torch.cat([L, ab], dim=1).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(lab, reference.rgb2lab(rgb.double().numpy()), atol=1e-3)
    back = color.lab_to_rgb_torch(L, ab).permute(0, 2, 3, 1)
    np.testing.assert_allclose(back, rgb, atol=1e-4)


def test_the_torch_twin_agrees_outside_the_gamut() -> None:
    generator = np.random.default_rng(1)
    lab = generator.uniform([0, -120, -120], [100, 120, 120], (20, 20, 3))
    tensor = torch.from_numpy(lab).float().permute(2, 0, 1)[None]
    rgb = color.lab_to_rgb_torch(tensor[:, :1], tensor[:, 1:])[0].permute(1, 2, 0)
    np.testing.assert_allclose(rgb, color.lab_to_rgb(lab), atol=1e-4)


def test_gradients_are_finite_at_the_knees_and_ends() -> None:
    levels = torch.tensor([0.0, 1e-6, 0.0031308, 0.04045, 0.5, 1.0])
    rgb = torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, 6, 36).requires_grad_()
    L, ab = color.rgb_to_lab_torch(rgb)
    (L.sum() + ab.sum() + color.lab_to_rgb_torch(L, ab).sum()).backward()
    assert rgb.grad is not None
    assert torch.isfinite(rgb.grad).all()
    lab = torch.tensor([[0.0, 0.0, 0.0], [50.0, 120.0, -120.0], [100.0, 0.0, 0.0]])
    lab = lab.T.reshape(1, 3, 1, 3).requires_grad_()
    color.lab_to_rgb_torch(lab[:, :1], lab[:, 1:]).sum().backward()
    assert lab.grad is not None
    assert torch.isfinite(lab.grad).all()


def test_what_srgb_can_show_is_in_gamut(every_tone: np.ndarray) -> None:
    assert color.in_gamut(color.rgb_to_lab(every_tone)).all()
    beyond = np.array([[50.0, 120, 0], [50, 0, -120], [100, 10, 10], [0, 0, 5], [101, 0, 0]])
    assert not color.in_gamut(beyond).any()


@given(LAB)
@settings(max_examples=300, deadline=None)
def test_reducing_chroma_keeps_lightness_and_hue(colour: tuple[float, float, float]) -> None:
    L, ab = np.array([colour[0]]), np.array([colour[1:]])
    reduced = color.reduce_chroma(L, ab)
    lab = np.concatenate([L[:, None], reduced], axis=1)
    assert color.in_gamut(lab).all()
    # As shown: after the clipping that lab_to_rgb does and the way back.
    shown = color.rgb_to_lab(color.lab_to_rgb(lab))
    assert abs(shown[0, 0] - L[0]) < 0.1
    # Straight toward grey: same direction, and never more chroma.
    assert np.abs(ab[0, 0] * reduced[0, 1] - ab[0, 1] * reduced[0, 0]) < 1e-6
    assert (np.abs(reduced) <= np.abs(ab)).all()
    assert (reduced * ab >= 0).all()


def test_reducing_chroma_gives_away_no_more_than_it_must() -> None:
    L, ab = np.array([50.0]), np.array([[100.0, 60.0]])
    reduced = color.reduce_chroma(L, ab)
    slightly_more = reduced + ab * 2 / 2**color.GAMUT_STEPS
    assert not color.in_gamut(np.concatenate([L[:, None], slightly_more], axis=1)).any()


def test_reducing_chroma_leaves_shown_colours_and_works_in_strips() -> None:
    generator = np.random.default_rng(2)
    L = generator.uniform(0, 100, (30, 20)).astype(np.float32)
    ab = generator.uniform(-90, 90, (30, 20, 2)).astype(np.float32)
    shown = color.in_gamut(np.concatenate([L[..., None], ab], axis=-1))
    assert 0 < shown.mean() < 1
    whole = color.reduce_chroma(L, ab)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(whole[shown], ab[shown])
    assert (np.linalg.norm(whole, axis=-1) < np.linalg.norm(ab, axis=-1))[~shown].all()
    strips = [color.reduce_chroma(L[at : at + 7], ab[at : at + 7]) for at in range(0, 30, 7)]
    np.testing.assert_array_equal(np.concatenate(strips), whole)
