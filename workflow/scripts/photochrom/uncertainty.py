"""How sure a network is of its colours, and other colours that it holds possible.

Uncertainty is a number in 0..1 at each pixel. A network that chooses among colour bins says it
itself: the entropy of its distribution over that of the uniform one. Any other is asked four times,
of the picture and its mirror image at two sizes: 1 - exp(-d / DISAGREEMENT), where d is the root
mean square distance of the four answers from their mean, in Lab units. The two kinds are not on one
scale; what a number is worth is measured for each model (`calibration`).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from photochrom.color import AB_SCALE
from photochrom.colour_bins import annealed_mean
from photochrom.inference import ask, predict_ab, resize
from photochrom.models import Model
from photochrom.models.base import Distribution
from photochrom.runtime import EXIT_MODEL, StageError

Floats = NDArray[np.float32]

# The distance of answers, in Lab units, at which their uncertainty is 1 - 1/e.
DISAGREEMENT = 10.0
# The other size at which a network without bins is asked, relative to the first.
SMALLER = 0.75

# Samples: the noise is drawn at this many points along each side of a picture and for all bins,
# then smoothed over bins by a Gaussian of this standard deviation in Lab units.
NOISE_POINTS = 3
NOISE_SIGMA = 20.0


def judge(model: Model, L: Floats) -> tuple[Floats, Floats]:
    """The network's ab (h, w, 2) in Lab units and its uncertainty (h, w) in 0..1.

    `L` (h, w) is in L* units; the ab is that of `inference.predict_ab`.
    """
    if hasattr(model.network, "judged"):
        planes = ask(model, L, lambda network, seen: torch.cat(network.judged(seen), dim=1))
        return planes[..., :2] * np.float32(AB_SCALE), np.clip(planes[..., 2], 0, 1)
    ab = predict_ab(model, L)
    height, width = L.shape
    smaller = resize(L, max(1, round(SMALLER * width)), max(1, round(SMALLER * height)))
    answers = np.stack(
        [
            ab,
            predict_ab(model, L[:, ::-1])[:, ::-1],
            resize(predict_ab(model, smaller), width, height),
            resize(predict_ab(model, smaller[:, ::-1])[:, ::-1], width, height),
        ]
    )
    distance = np.sqrt(((answers - answers.mean(axis=0)) ** 2).sum(axis=-1).mean(axis=0))
    return ab, (1 - np.exp(-distance / DISAGREEMENT)).astype(np.float32)


def check_samples(model: Model) -> None:
    """StageError when a model cannot be sampled."""
    if not isinstance(model.network, Distribution):
        raise StageError(
            "samples need a model that chooses among colours (network zhang16 or photochrom), by "
            "its weights; take such a model, or set samples to 0",
            EXIT_MODEL,
        )


def sample_ab(model: Model, L: Floats, count: int, seed: int) -> list[Floats]:
    """`count` plausible colorings (h, w, 2) in Lab units of a lightness (h, w), L* units.

    The Gumbel-max trick draws from a distribution by adding Gumbel noise to its logits. Drawn at
    each pixel on its own it would give confetti; here the noise varies slowly over the picture and
    from bin to bin, so that neighbours agree and each coloring hangs together. Decoded as the
    network's own answer, by the annealed mean. Equal arguments give equal samples.
    """
    check_samples(model)

    def question(network: Distribution, seen: Tensor) -> Tensor:
        logits = network.logits(seen)
        bins = network.bins.cpu().numpy().astype(np.float64)
        generator = np.random.default_rng(seed)
        drawn = []
        for _ in range(count):
            noise = torch.from_numpy(gumbel_field(generator, bins, *logits.shape[-2:]))
            ab = annealed_mean(logits + noise.to(logits), network.unit_bins, network.temperature)
            drawn.append(F.interpolate(ab, seen.shape[-2:], mode="bilinear", align_corners=False))
        return torch.cat(drawn, dim=1)

    planes = ask(model, L, question) * np.float32(AB_SCALE)
    return [planes[..., 2 * number : 2 * number + 2] for number in range(count)]


def gumbel_field(
    generator: np.random.Generator, bins: NDArray[np.float64], height: int, width: int
) -> Floats:
    """Standard Gumbel noise (Q, height, width), smooth over the picture and over the bins (Q, 2).

    Each value has the standard Gumbel distribution; neighbours are correlated.
    """
    from scipy.special import ndtr

    squared = ((bins[:, None] - bins) ** 2).sum(axis=-1)
    over_bins = _unit_rows(np.exp(-squared / (2 * NOISE_SIGMA**2)))
    down, across = (_unit_rows(_tents(side)) for side in (height, width))
    points = generator.standard_normal((len(bins), NOISE_POINTS, NOISE_POINTS))
    normal = np.einsum("qp,pij,hi,wj->qhw", over_bins, points, down, across, optimize=True)
    shares = np.clip(ndtr(normal), 1e-9, 1 - 1e-9)
    return (-np.log(-np.log(shares))).astype(np.float32)


def _tents(side: int) -> NDArray[np.float64]:
    """Shares (side, NOISE_POINTS) of evenly spaced points in each pixel: Gaussians, overlapping."""
    places = np.linspace(0, NOISE_POINTS - 1, side)
    return np.exp(-((places[:, None] - np.arange(NOISE_POINTS)) ** 2))


def _unit_rows(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows that turn independent standard normal numbers into standard normal ones."""
    return weights / np.linalg.norm(weights, axis=1, keepdims=True)
