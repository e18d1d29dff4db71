"""The Fréchet distance on known distributions, the absence of weights."""

import urllib.error
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from pytorch_fid import inception as published

from photochrom.metrics import frechet
from photochrom.metrics.frechet import (
    NotComputedError,
    clean_resized,
    frechet_distance,
    inception_features,
    load_inception,
)


def covariance(seed: int, size: int = 24) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(size * 3, size))
    return np.cov(rows @ np.diag(np.linspace(0.1, 2, size)), rowvar=False)


def test_equal_covariances_leave_the_squared_distance_of_the_means() -> None:
    shift = np.linspace(-1, 1, 24)
    distance = frechet_distance(np.zeros(24), covariance(0), shift, covariance(0))
    assert distance == pytest.approx(float(shift @ shift), abs=1e-6)


def test_commuting_covariances() -> None:
    first, second = np.array([4.0, 9.0, 1.0]), np.array([1.0, 4.0, 25.0])
    expected = ((np.sqrt(first) - np.sqrt(second)) ** 2).sum()
    mean = np.zeros(3)
    assert frechet_distance(mean, np.diag(first), mean, np.diag(second)) == pytest.approx(expected)


def test_agrees_with_the_eigenvalue_form() -> None:
    """Tr sqrt(AB) is the sum of the roots of the eigenvalues of sqrt(A) B sqrt(A)."""
    a, b = covariance(1), covariance(2)
    values, vectors = np.linalg.eigh(a)
    root = vectors * np.sqrt(values) @ vectors.T
    trace = np.sqrt(np.linalg.eigvalsh(root @ b @ root)).sum()
    expected = np.trace(a) + np.trace(b) - 2 * trace
    mean = np.zeros(24)
    assert frechet_distance(mean, a, mean, b) == pytest.approx(expected, abs=1e-3)
    assert frechet_distance(mean, b, mean, a) == pytest.approx(expected, abs=1e-3)


def test_says_nothing_on_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frechet_distance(np.zeros(24), covariance(1), np.zeros(24), covariance(2))
    assert capfd.readouterr() == ("", "")


class MeanColour(torch.nn.Module):
    """Stands in for the Inception network: a list of one map (N, 3, 1, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, batch: torch.Tensor) -> list[torch.Tensor]:
        return [self.scale * batch.mean(dim=(2, 3), keepdim=True)]


def test_features_are_taken_of_pictures_in_0_to_1() -> None:
    pictures = np.zeros((2, 8, 8, 3), np.uint8)
    pictures[1] = [255, 51, 0]
    features = inception_features(MeanColour(), pictures)
    assert features.dtype == np.float64
    assert features == pytest.approx(np.array([[0, 0, 0], [1, 0.2, 0]]))


def test_clean_resizing_keeps_flat_pictures_and_does_not_round() -> None:
    flat = np.zeros((64, 80, 3), np.uint8)
    flat[:] = [10, 128, 255]
    assert clean_resized(flat) == pytest.approx(np.broadcast_to([10, 128, 255], (299, 299, 3)))
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 200, axis=0).repeat(3, axis=2)
    middle = clean_resized(ramp)[150, 50:250, 0]
    # Pixel i of 299 lies at (i + 1/2) 200 / 299 - 1/2 of 200.
    assert middle == pytest.approx((np.arange(50, 250) + 0.5) * 200 / 299 - 0.5, abs=1e-3)


def test_clean_resizing_takes_in_every_pixel() -> None:
    """Fine stripes become their mean; bilinear interpolation alone would see none of them."""
    stripes = np.zeros((1196, 1196, 3), np.uint8)  # four times 299
    stripes[:, ::4] = 200
    batch = torch.from_numpy(stripes).permute(2, 0, 1)[None].float()
    assert torch.nn.functional.interpolate(batch, (299, 299), mode="bilinear").max() == 0
    inner = clean_resized(stripes)[10:-10, 10:-10]
    assert inner == pytest.approx(np.full_like(inner, 50), abs=1e-3)


def test_clean_resizing_stays_within_the_range() -> None:
    edge = np.zeros((100, 100, 3), np.uint8)
    edge[:, 50:] = 255  # bicubic would overshoot
    found = clean_resized(edge)
    assert (found.min(), found.max()) == (0, 255)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints" / published.FID_WEIGHTS_URL.rsplit("/", 1)[-1]


def test_weights_that_cannot_be_fetched(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(NotComputedError, match=r"weights cannot be had .*\(no route to host\)"):
        load_inception(torch.device("cpu"))
    assert not cache.exists()


def test_other_weights_in_the_cache_are_refused(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*args: object, **options: object) -> None:
        pytest.fail("weights of another digest were loaded")

    monkeypatch.setattr(published, "load_state_dict_from_url", load)
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"other weights")
    with pytest.raises(NotComputedError, match="not the published file; delete it"):
        load_inception(torch.device("cpu"))


def test_the_network_is_pytorch_fids(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the digest taken as right, the published network gives 2048 features a picture."""
    cache.parent.mkdir(parents=True)
    cache.write_bytes(b"")
    monkeypatch.setattr(frechet, "sha256_file", lambda path: "6726825d")
    asked = []
    monkeypatch.setattr(published, "load_state_dict_from_url", lambda url, **_: asked.append(url))
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", lambda self, state: None)
    network = load_inception(torch.device("cpu"))
    assert asked == [published.FID_WEIGHTS_URL]
    assert not network.training
    features = inception_features(network, np.zeros((1, 32, 32, 3), np.uint8))
    assert features.shape == (1, frechet.FEATURES)
