"""LPIPS against its formula, on a trunk of random weights; what is said where there is none."""

import urllib.error
from pathlib import Path

import lpips
import numpy as np
import pytest
import torch
import torchvision.models
from torch.nn import functional as F

from photochrom.metrics import frechet
from photochrom.metrics.frechet import NotComputedError
from photochrom.metrics.perceptual import LPIPS_MIN_SIDE, load_lpips, lpips_distance

URL = torchvision.models.AlexNet_Weights.IMAGENET1K_V1.url
# Where each of AlexNet's ReLUs lies among its layers.
RELUS = (1, 4, 7, 9, 11)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / URL.rsplit("/", 1)[-1]
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def trunk(cache: Path, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Sequential:
    """AlexNet's layers of random weights, which lie in the cache as if they were the published."""
    torch.manual_seed(0)
    alexnet = torchvision.models.alexnet()
    # A single zero stands for each large matrix of the classifier, which LPIPS does not use.
    state = {
        name: weight if name.startswith("features.") else torch.zeros(1).expand(weight.shape)
        for name, weight in alexnet.state_dict().items()
    }
    torch.save(state, cache)
    monkeypatch.setattr(frechet, "sha256_file", lambda path: "7be5be79")
    return alexnet.features


def pictures() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 256, (64, 80, 3), dtype=np.uint8)
    return truth, 255 - truth


def by_hand(layers: torch.nn.Sequential, one: np.ndarray, other: np.ndarray) -> float:
    """The paper's equation 1: weighted squared differences of unit-length features, averaged."""
    published = Path(lpips.__file__).parent / "weights" / "v0.1" / "alex.pth"
    weights = torch.load(published, map_location="cpu", weights_only=True)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pair = torch.from_numpy(np.stack([one, other])).float() / 255
    x = ((pair - mean) / deviation).permute(0, 3, 1, 2)
    total = 0.0
    for place, layer in enumerate(layers):
        x = layer(x.clone())  # some work in place
        if place in RELUS:
            unit = F.normalize(x, dim=1)
            squared = (unit[:1] - unit[1:]).square()
            number = RELUS.index(place)
            total += (squared * weights[f"lin{number}.model.1.weight"]).sum(dim=1).mean().item()
    return total


def test_lpips_is_its_formula(trunk: torch.nn.Sequential) -> None:
    network = load_lpips(torch.device("cpu"))
    truth, picture = pictures()
    found = lpips_distance(network, truth, picture)
    assert found > 0.01
    assert found == pytest.approx(by_hand(trunk, truth, picture), rel=1e-4)
    assert lpips_distance(network, picture, truth) == pytest.approx(found)
    assert lpips_distance(network, truth, truth) == 0
    assert not network.training
    small = truth[: LPIPS_MIN_SIDE - 1]
    assert np.isnan(lpips_distance(network, small, small))
    least = truth[:LPIPS_MIN_SIDE, :LPIPS_MIN_SIDE]
    assert lpips_distance(network, least, 255 - least) > 0


def test_weights_that_cannot_be_fetched(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(NotComputedError, match=r"the AlexNet weights .*\(no route to host\)"):
        load_lpips(torch.device("cpu"))
    assert not cache.exists()


def test_other_weights_in_the_cache_are_refused(cache: Path) -> None:
    cache.write_bytes(b"other weights")
    with pytest.raises(NotComputedError, match=r"alexnet.*not the published file"):
        load_lpips(torch.device("cpu"))
