"""Chroma smoothed where the lightness is even, and left at its edges."""

from pathlib import Path

import numpy as np
import pytest
import torch

from photochrom.inference import predict_ab
from photochrom.models import build, load_model, save_model
from photochrom.models.onnx import export, read_onnx
from photochrom.smoothing import ATTENUATION, EDGE, TURNS, smoothed
from photochrom.uncertainty import judge, sample_ab

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


def test_a_model_smooths_as_it_says_in_all_that_it_answers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build(NETWORK)
    with torch.no_grad():  # as a new one has no opinion
        for value in network.parameters():
            if value.ndim == 1:
                value.add_(torch.randn(value.shape))
    L = np.random.default_rng(0).uniform(0, 100, (4, 4)).repeat(16, 0).repeat(16, 1).astype("f4")
    models = {}
    for strength in (0.0, 3.0):
        path = tmp_path / f"{strength}.safetensors"
        save_model(path, network, {"network": {**NETWORK, "smooth": strength}, "size": 64})
        models[strength] = load_model(path)
    plain, smooth = models[0.0], models[3.0]
    expected = smoothed(L, predict_ab(plain, L), 3)
    assert np.abs(expected - predict_ab(plain, L)).max() > 0.1
    np.testing.assert_array_equal(predict_ab(smooth, L), expected)
    np.testing.assert_allclose(judge(smooth, L)[0], expected, atol=1e-5)
    np.testing.assert_array_equal(judge(smooth, L)[1], judge(plain, L)[1])
    samples = [sample_ab(model, L, 1, seed=0)[0] for model in (plain, smooth)]
    np.testing.assert_allclose(samples[1], smoothed(L, samples[0], 3), atol=1e-5)
    np.testing.assert_allclose(predict_ab(read_onnx(export(smooth), "m"), L), expected, atol=0.1)


def test_no_strength_is_below_zero() -> None:
    with pytest.raises(ValueError, match="smooth -1 is below 0"):
        build({**NETWORK, "smooth": -1})
