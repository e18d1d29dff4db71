"""What is seen of a network while it learns: measures on the validation split, and some pictures.

The same pictures are looked at in all phases, at the same size, so that curves go on from phase to
phase. What sRGB cannot show is clipped. The figures of the report come from `photochrom.metrics`,
at full protocol.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photochrom.batches import load_batch, shrunk
from photochrom.color import colourfulness_torch, denormalize, lab_to_rgb_torch, rgb_to_lab_torch
from photochrom.metrics import batched
from photochrom.metrics.distances import frechet, kernel
from photochrom.metrics.frechet import (
    FID_MIN_IMAGES,
    NotComputedError,
    frechet_distance,
    inception_features,
    load_inception,
)
from photochrom.metrics.lite2 import MIN_PICTURES, lite2_features, load_lite2
from photochrom.models.base import Colorizer
from photochrom.shards import TrainingSet
from photochrom.strips import PICTURES

# Sees sRGB (N,3,H,W), whole levels of 0..255, and gives features (N,F).
Eye = Callable[[Tensor], NDArray[np.floating[Any]]]
# What is measured of each picture, in this order.
MEASURES = (
    "psnr_rgb",
    "ciede2000",
    "colourfulness",
    "colourfulness_truth",
    "auc",
    "auc_balanced",
    "l1",
)


@dataclass
class Judges:
    """The networks whose features tell how far predictions are from photographs as a whole.

    `missing` says for each distance that cannot be had why; `truth` holds the features of the
    photographs, by the name of the eye, once they have been seen.
    """

    eyes: dict[str, Eye] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    truth: dict[str, NDArray[np.floating[Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Look:
    """Means over all pictures and distances, by name; and some predictions (n,H,W,3), sRGB.

    `each` holds MEASURES of every picture, (len(MEASURES), N).
    """

    values: dict[str, float]
    each: NDArray[np.float64]
    pictures: NDArray[np.uint8]


def load_judges(pictures: int, device: torch.device) -> Judges:
    """The judges of so many validation pictures; what cannot be had is missing, with the reason."""
    judges = Judges()
    try:
        _enough(pictures, MIN_PICTURES)
        lite2 = load_lite2(device)
        judges.eyes["lite2"] = lambda rgb: lite2_features(lite2, rgb / 255)
    except NotComputedError as error:
        judges.missing |= {name: f"not computed: {error}" for name in ("fd_lite2", "kid_lite2")}
    try:
        _enough(pictures, FID_MIN_IMAGES)
        inception = load_inception(device)
        judges.eyes["inception"] = lambda rgb: inception_features(inception, to_pictures(rgb))
    except NotComputedError as error:
        judges.missing["fid"] = f"not computed: {error}"
    return judges


def watched_size(network: Colorizer, data: TrainingSet) -> int:
    """The side in pixels at which a network is looked at, whatever the phase's own.

    That of the stored pictures, or the largest below it that the network can take.
    """
    return data.L.shape[-1] // network.multiple * network.multiple


@torch.no_grad()
def validate(
    network: Colorizer,
    data: TrainingSet,
    size: int,
    batch: int,
    device: torch.device,
    between_batches: Callable[[], None],
    judges: Judges | None = None,
) -> Look:
    """Measure `network` on the pictures of `data`, reduced to `size` pixels.

    `psnr_rgb` in dB compares predicted with true sRGB; `ciede2000` is the mean colour difference,
    `auc` and `auc_balanced` are the shares of thresholds (0..100) that the error of ab stays below,
    the latter with each colour of a picture counted alike; `colourfulness` is that of the
    predictions, `colourfulness_truth` that of the photographs; `l1` is the mean error of ab in
    network units. `fd_lite2`, `kid_lite2` and `fid` are distances between predictions and
    photographs as a whole, where `judges` has eyes for them. `between_batches` is called before
    each batch and may raise.
    """
    network.eval()
    judges = judges or Judges()
    measures: list[Tensor] = []
    strip: list[NDArray[np.uint8]] = []
    seen: dict[str, list[NDArray[np.floating[Any]]]] = {name: [] for name in judges.eyes}
    photographs: dict[str, list[NDArray[np.floating[Any]]]] = {name: [] for name in judges.eyes}
    for first in range(0, len(data.ids), batch):
        between_batches()
        rows = np.arange(first, min(first + batch, len(data.ids)))
        L, ab = shrunk(*load_batch(data, rows, device), size)
        predicted = network(network.see(L))
        shown, truth = to_srgb(L, predicted), to_srgb(L, ab)
        measures.append(_measured(shown, truth, predicted, ab))
        if first < PICTURES:
            strip.append(to_pictures(shown[: PICTURES - first]))
        for name, eye in judges.eyes.items():
            seen[name].append(eye(shown))
            if name not in judges.truth:
                photographs[name].append(eye(truth))
    judges.truth |= {name: np.concatenate(rows) for name, rows in photographs.items() if rows}
    each = torch.cat(measures, dim=1).cpu().double()
    values = dict(zip(MEASURES, each.mean(dim=1).tolist(), strict=True))
    features = {name: np.concatenate(rows) for name, rows in seen.items()}
    if "lite2" in features:
        values["fd_lite2"] = frechet(features["lite2"], judges.truth["lite2"])
        values["kid_lite2"] = kernel(features["lite2"], judges.truth["lite2"])
    if "inception" in features:
        try:  # by pytorch-fid's own formula, as the name says
            values["fid"] = frechet_distance(
                *_moments(features["inception"]), *_moments(judges.truth["inception"])
            )
        except NotComputedError as error:
            judges.missing["fid"] = f"not computed: {error}"
    return Look(values, each.numpy(), np.concatenate(strip))


def watched_pictures(data: TrainingSet, size: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The pictures of the strip in grey and in their true colours, each (n,H,W,3), sRGB."""
    rows = np.arange(min(PICTURES, len(data.ids)))
    L, ab = shrunk(*load_batch(data, rows, torch.device("cpu")), size)
    return to_pictures(to_srgb(L, torch.zeros_like(ab))), to_pictures(to_srgb(L, ab))


def to_srgb(L: Tensor, ab: Tensor) -> Tensor:
    """Normalized L (N,1,H,W) and ab (N,2,H,W) as sRGB (N,3,H,W), whole levels from 0 to 255."""
    return (255 * lab_to_rgb_torch(*denormalize(L, ab))).round()


def to_pictures(rgb: Tensor) -> NDArray[np.uint8]:
    """sRGB (N,3,H,W), whole levels, as pictures (N,H,W,3)."""
    return np.asarray(rgb.permute(0, 2, 3, 1).to(torch.uint8).cpu())


def _measured(shown: Tensor, truth: Tensor, predicted: Tensor, ab: Tensor) -> Tensor:
    """MEASURES of each picture, (len(MEASURES), N)."""
    lab, true_lab = (torch.cat(rgb_to_lab_torch(rgb / 255), dim=1) for rgb in (shown, truth))
    return torch.stack(
        [
            batched.psnr(shown, truth),
            batched.ciede2000(true_lab, lab),
            colourfulness_torch(shown),
            colourfulness_torch(truth),
            *batched.auc(true_lab[:, 1:], lab[:, 1:]),
            (predicted - ab).abs().mean(dim=(1, 2, 3)),
        ]
    )


def _moments(
    features: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Mean (F,) and covariance (F, F) of features (N, F)."""
    return features.mean(axis=0), np.cov(features, rowvar=False)


def _enough(pictures: int, least: int) -> None:
    if pictures < least:
        raise NotComputedError(f"{pictures:,} validation pictures, {least:,} are needed")
