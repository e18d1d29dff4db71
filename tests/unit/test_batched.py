"""The batched figures beside those of one picture."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000

from photochrom import color
from photochrom.metrics import batched
from photochrom.metrics.colour import auc_scores, balanced_auc
from sharma import SHARMA


def pictures(seed: int) -> np.ndarray:
    """Lab (N,H,W,3) of random sRGB, with grey and equal pixels among them."""
    rgb = np.random.default_rng(seed).integers(0, 256, (5, 12, 9, 3), dtype=np.uint8)
    rgb[0] = 128
    rgb[1, :6] = rgb[1, :6, :, :1]
    return color.rgb_to_lab(rgb)


def channels_first(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.moveaxis(array, -1, 1).astype(np.float32))


def test_ciede2000_is_scikit_images() -> None:
    truth, lab = pictures(1), pictures(2)
    lab[3] = truth[3]
    found = batched.ciede2000(channels_first(truth), channels_first(lab))
    expected = deltaE_ciede2000(truth, lab).mean(axis=(1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert found[3] == 0


@pytest.mark.parametrize("pair", SHARMA, ids=range(1, 35))
def test_all_of_sharmas_pairs(pair: np.ndarray) -> None:
    one, other = (torch.from_numpy(lab.copy()).reshape(1, 3, 1, 1) for lab in (pair[:3], pair[3:6]))
    assert batched.ciede2000(one, other).item() == pytest.approx(pair[6], abs=1e-4)
    assert batched.ciede2000(other, one).item() == pytest.approx(pair[6], abs=1e-4)


def test_auc_is_that_of_the_report() -> None:
    truth, lab = pictures(3)[..., 1:], pictures(4)[..., 1:]
    plain, balanced = batched.auc(channels_first(truth), channels_first(lab))
    for index in range(len(truth)):
        scores = auc_scores(truth[index], lab[index])
        assert plain[index].item() == pytest.approx(100 * scores.mean(), abs=0.02)
        assert balanced[index].item() == pytest.approx(
            100 * balanced_auc(truth[index], scores), abs=0.05
        )


def test_the_truth_scores_all() -> None:
    truth = channels_first(pictures(5)[..., 1:])
    assert all(figure.tolist() == [100.0] * 5 for figure in batched.auc(truth, truth))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_batched_colourfulness_is_that_of_the_colour_module(seed: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (3, 6, 5, 3), dtype=np.uint8)
    batched = color.colourfulness_torch(torch.from_numpy(rgb).permute(0, 3, 1, 2).float())
    np.testing.assert_allclose(batched, [color.colourfulness(one) for one in rgb], rtol=1e-5)


def test_psnr_of_a_known_error() -> None:
    truth = torch.full((1, 3, 4, 4), 100.0)
    assert batched.psnr(truth + 255, truth).item() == pytest.approx(0, abs=1e-5)
    assert batched.psnr(truth + 25.5, truth).item() == pytest.approx(20)
    assert batched.psnr(truth, truth).item() == 100
