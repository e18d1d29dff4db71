"""Chroma smoothed where the lightness is even, and left at its edges."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvips
import torch

from photochrom.archive.picture import colorize_picture
from photochrom.color import lab_to_rgb, reduce_chroma, rgb_to_lab
from photochrom.inference import colorize_lightness, enlarge_ab, predict_ab, resize
from photochrom.models import build, load_model, save_model
from photochrom.models.onnx import export, read_onnx
from photochrom.smoothing import ATTENUATION, EDGE, TURNS, hide_steps, smoothed

NETWORK = {"name": "photochrom", "encoder": "tf_efficientnet_lite0", "width": 16, "stride": 8}
NETWORK |= {"rounds": 0, "neighbours": 5, "temperature": 0.38}


def test_each_line_is_the_solution_of_its_least_squares() -> None:
    """Of one row, the turns over columns do nothing: three dense solutions in turn."""
    generator = np.random.default_rng(0)
    L, ab = generator.uniform(0, 100, (1, 9)), generator.normal(0, 30, (1, 9, 2)).astype("f4")
    expected = ab[0].astype(float)
    for turn in range(TURNS):
        strength = 5 * 1.5 * ATTENUATION ** (TURNS - 1 - turn) / (ATTENUATION**TURNS - 1)
        system = np.eye(9)
        for one in range(8):
            tie = strength * np.exp(-abs(L[0, one + 1] - L[0, one]) / EDGE)
            step = np.zeros(9)
            step[one], step[one + 1] = -1, 1
            system += tie * np.outer(step, step)
        expected = np.linalg.solve(system, expected)
    np.testing.assert_allclose(smoothed(L, ab, 5)[0], expected, atol=1e-4)


@pytest.mark.parametrize("across", [False, True])
def test_a_step_goes_where_lightness_is_even_and_stays_at_its_edge(across: bool) -> None:
    ab = np.zeros((24, 24, 2), np.float32)
    ab[:, 12:] = 20, -10
    even, edge = np.full((24, 24), 50.0), np.full((24, 24), 30.0)
    edge[:, 12:] = 70
    if across:
        ab, edge = ab.swapaxes(0, 1), edge.T
    lost, kept = smoothed(even, ab, 10), smoothed(edge, ab, 10)
    steps = [np.abs(np.diff(one, axis=1 - across)).max() for one in (ab, lost, kept)]
    assert steps[1] < 0.2 * steps[0]
    assert steps[2] > 0.99 * steps[0]
    for one in (lost, kept):  # nothing is lost: colour is only spread
        np.testing.assert_allclose(one.mean(axis=(0, 1)), ab.mean(axis=(0, 1)), atol=1e-4)
    assert lost.dtype == np.float32


def test_nothing_happens_at_no_strength_or_to_one_pixel() -> None:
    ab = np.random.default_rng(0).normal(size=(4, 5, 2)).astype("f4")
    assert smoothed(np.zeros((4, 5)), ab, 0) is ab
    for shape in ((1, 1), (1, 5), (4, 1)):
        part = ab[: shape[0], : shape[1]]
        assert smoothed(np.zeros(shape), part, 3).shape == (*shape, 2)
    np.testing.assert_array_equal(smoothed(np.zeros((1, 1)), ab[:1, :1], 3), ab[:1, :1])


def test_a_model_is_smoothed_where_it_is_enlarged_and_everywhere_alike(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build(NETWORK)
    with torch.no_grad():  # as a new one has no opinion
        for value in network.parameters():
            if value.ndim == 1:
                value.add_(torch.randn(value.shape))
    L = np.random.default_rng(0).uniform(0, 100, (4, 4)).repeat(64, 0).repeat(64, 1).astype("f4")
    path = tmp_path / "model.safetensors"
    save_model(path, network, {"network": {**NETWORK, "smooth": 3.0}, "size": 64})
    model = load_model(path)
    narrow = resize(L, 64, 64)
    ab = predict_ab(model, narrow)
    expected = enlarge_ab(narrow, smoothed(narrow, ab, 9), L, 0)
    assert np.abs(expected - enlarge_ab(narrow, ab, L, 0)).max() > 0.1
    np.testing.assert_array_equal(colorize_lightness(model, L), expected)
    np.testing.assert_array_equal(
        colorize_lightness(model, narrow), enlarge_ab(narrow, ab, narrow, 0)
    )
    exported = read_onnx(export(model), "m")
    np.testing.assert_allclose(colorize_lightness(exported, L), expected, atol=0.1)
    # The archive's path, on a grey picture of that lightness.
    grey = np.rint(255 * lab_to_rgb(np.stack([L, 0 * L, 0 * L], axis=-1))).astype(np.uint8)
    picture = pyvips.Image.new_from_array(grey).copy(interpretation="srgb")
    plain = colorize_picture(picture, replace(model, smooth=0.0), 8)
    smooth = colorize_picture(picture, model, 8)
    found = [rgb_to_lab(one.picture.numpy())[..., 1:] for one in (plain, smooth)]
    aim = [enlarge_ab(narrow, ab, L, 0), expected]
    for one, other in zip(found, aim, strict=True):
        assert np.abs(one - reduce_chroma(L, other)).mean() < 0.5
    assert np.abs(found[0] - found[1]).max() > 0.1


def test_the_more_a_picture_is_enlarged_the_more_is_hidden() -> None:
    generator = np.random.default_rng(0)
    L, ab = np.full((20, 20), 50.0), generator.normal(0, 20, (20, 20, 2)).astype("f4")
    spread = [hide_steps(L, ab, 3, times).std() for times in (0.5, 1, 1.5, 3, 4.3, 4.4, 90)]
    assert spread[0] == spread[1] == ab.std()
    assert spread[1] > spread[2] > spread[3] > spread[4]
    assert spread[4] == pytest.approx(spread[5], rel=0.02)
    assert spread[5] == spread[6]


def test_no_strength_is_below_zero() -> None:
    with pytest.raises(ValueError, match="smooth -1 is below 0"):
        build({**NETWORK, "smooth": -1})
