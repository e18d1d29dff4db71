"""The measuring of one row: every photograph painted, compared, and let go again.

Photographs are streamed and only their figures are kept. Each is worked on by a single thread
from decoding to figures, so the results do not depend on the number of threads.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from photochrom.color import colourfulness, reduce_chroma, rgb_to_lab
from photochrom.degradations import DEGRADATIONS
from photochrom.images import ImageError
from photochrom.metrics.behaviour import (
    colour_coverage,
    edge_bleeding,
    gamut_overflow,
    neutral_drift,
)
from photochrom.metrics.colour import (
    auc_by_bin,
    auc_scores,
    balanced_auc,
    ciede2000,
    colourfulness_abs,
)
from photochrom.metrics.eyes import Eyes, Features
from photochrom.metrics.painting import Paint, Painting, repainted
from photochrom.metrics.perceptual import lpips_distance
from photochrom.metrics.photographs import Photograph
from photochrom.metrics.pixel import (
    Picture,
    lightness_error,
    lightness_error_max,
    psnr_ab,
    psnr_rgb,
    ssim,
)
from photochrom.metrics.protocols import Protocol
from photochrom.runtime import progress, sha256_text

T = TypeVar("T")
R = TypeVar("R")

# A photograph and its painting, as they are compared. Raises ImageError when one cannot be had.
Source = Callable[[Photograph], tuple[Picture, Painting]]
# Bins of the truth's ab, the sums of the scores of their pixels, and the numbers of pixels: (K,).
Bins = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]

# The figures of a single photograph, in the order of the table's columns.
PER_IMAGE = (
    "psnr_rgb",
    "psnr_ab",
    "ssim",
    "lpips",
    "ciede2000",
    "auc",
    "auc_balanced",
    "colourfulness",
    "colourfulness_truth",
    "colourfulness_error",
    "colourfulness_abs",
    "neutral_drift",
    "edge_bleeding",
    "colour_coverage",
    "gamut_overflow",
    "gamut_excess",
    "lightness_error",
    "lightness_error_max",
)
# Those that are told of a degraded photograph: of colour alone, for its lightness is another.
DEGRADED = ("ciede2000", "auc", "auc_balanced", "colourfulness", "colourfulness_truth")


@dataclass(frozen=True)
class Measured:
    """One photograph's figures, its picture, what the eyes see in it, and what degradations do."""

    values: Mapping[str, float]
    bins: Bins
    picture: Picture
    uncertainty: float | None
    features: Mapping[str, Features]
    degraded: Mapping[str, tuple[Mapping[str, float], Bins]]


@dataclass
class Measurement:
    """What is kept under one protocol: lists over the photographs that could be measured.

    `missing` holds the others, each with the reason; `features` the pictures' by eye; `pictures`,
    where asked for, gives them (S, S, 3) themselves in turn; `degraded` the figures by degradation.
    Under a disjoint protocol there are no figures of single photographs, and `against` holds the
    photographs of the other half.
    """

    protocol: Protocol
    photographs: list[Photograph] = field(default_factory=list)
    values: list[Mapping[str, float]] = field(default_factory=list)
    bins: list[Bins] = field(default_factory=list)
    uncertainty: list[float | None] = field(default_factory=list)
    missing: list[tuple[Photograph, str]] = field(default_factory=list)
    features: dict[str, list[Features]] = field(default_factory=dict)
    pictures: Callable[[], Iterator[Picture]] | None = None
    degraded: dict[str, list[tuple[Mapping[str, float], Bins]]] = field(default_factory=dict)
    against: list[Photograph] = field(default_factory=list)


def compare(truth: Picture, painting: Painting, lpips: Any = None) -> tuple[dict[str, float], Bins]:
    """The PER_IMAGE figures of a picture, NaN where it can have none, and its scores by bin.

    `lpips` is the network of that figure, where there is one.
    """
    picture = painting.picture
    truth_lab, lab = rgb_to_lab(truth), rgb_to_lab(picture)
    scores = auc_scores(truth_lab[..., 1:], lab[..., 1:])
    colour_truth, colour = colourfulness(truth), colourfulness(picture)
    truth_ab, ab = truth_lab[..., 1:], lab[..., 1:]
    overflow, excess = math.nan, math.nan
    if painting.ab is not None:
        overflow, excess = gamut_overflow(painting.ab, reduce_chroma(lab[..., 0], painting.ab))
    return {
        "psnr_rgb": psnr_rgb(truth, picture),
        "psnr_ab": psnr_ab(truth_ab, ab),
        "ssim": ssim(truth, picture),
        "lpips": math.nan if lpips is None else lpips_distance(lpips, truth, picture),
        "ciede2000": ciede2000(truth_lab, lab),
        "auc": 100 * float(scores.mean()),
        "auc_balanced": 100 * balanced_auc(truth_lab[..., 1:], scores),
        "colourfulness": colour,
        "colourfulness_truth": colour_truth,
        "colourfulness_error": abs(colour - colour_truth),
        "colourfulness_abs": colourfulness_abs(picture),
        "neutral_drift": neutral_drift(truth_ab, ab),
        "edge_bleeding": 100 * edge_bleeding(truth_ab, ab),
        "colour_coverage": 100 * colour_coverage(truth_ab, ab),
        "gamut_overflow": 100 * overflow,
        "gamut_excess": excess,
        "lightness_error": lightness_error(truth_lab[..., 0], lab[..., 0]),
        "lightness_error_max": lightness_error_max(truth_lab[..., 0], lab[..., 0]),
    }, auc_by_bin(truth_lab[..., 1:], scores)


def measure(
    photographs: Sequence[Photograph],
    protocol: Protocol,
    source: Source,
    threads: int,
    eyes: Eyes,
    keep: Callable[[Photograph, Picture], None],
    paint: Paint | None = None,
    degradations: Sequence[str] = (),
    spool: Path | None = None,
) -> Measurement:
    """Measure a row over `photographs`, in their order.

    `keep` is given each picture as it comes; `paint` paints anew what `degradations` leave of a
    photograph; `spool`, a file to be made, takes up the pictures of a protocol of squares. Without
    an LPIPS network its figure is NaN.
    """

    def work(photograph: Photograph) -> Measured | str:
        """The photograph measured, or why it cannot be."""
        try:
            truth, painting = source(photograph)
        except ImageError as error:
            return error.reason
        degraded = {}
        for name in degradations:
            assert paint is not None
            seed = int(sha256_text(photograph.id)[:8], 16)
            L = DEGRADATIONS[name](truth, seed)
            again, bins_again = compare(truth, Painting(repainted(truth, L, paint)))
            degraded[name] = {key: again[key] for key in DEGRADED}, bins_again
        features = {name: see(painting.picture) for name, see in eyes.see.items()}
        values, bins = compare(truth, painting, eyes.lpips)
        return Measured(values, bins, painting.picture, painting.uncertainty, features, degraded)

    result = Measurement(protocol)
    outcomes = ordered_map(work, photographs, threads)
    with spool.open("wb") if spool else nullcontext() as file:
        for photograph, outcome in zip(
            photographs, progress(outcomes, len(photographs), protocol.name), strict=True
        ):
            if isinstance(outcome, str):
                result.missing.append((photograph, outcome))
                continue
            keep(photograph, outcome.picture)
            if file is not None:
                file.write(outcome.picture.tobytes())
            result.photographs.append(photograph)
            result.values.append(outcome.values)
            result.bins.append(outcome.bins)
            result.uncertainty.append(outcome.uncertainty)
            for name, row in outcome.features.items():
                result.features.setdefault(name, []).append(row)
            for name, again in outcome.degraded.items():
                result.degraded.setdefault(name, []).append(again)
    if spool is not None and protocol.size is not None and result.photographs:
        result.pictures = partial(read_squares, spool, protocol.size)
    return result


def read_squares(path: Path, size: int) -> Iterator[Picture]:
    """The pictures (size, size, 3) that `measure` left in a file, one after the other.

    Read and not mapped: of a mapped file, all pages that were looked at count as memory.
    """
    with path.open("rb") as file:
        while content := file.read(size * size * 3):
            yield np.frombuffer(content, np.uint8).reshape(size, size, 3)


def ordered_map(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """`function` of each item, in order, computed by `threads` threads a few items ahead."""
    with ThreadPoolExecutor(threads) as pool:
        ahead: deque[Future[R]] = deque()
        try:
            for item in items:
                ahead.append(pool.submit(function, item))
                if len(ahead) > 2 * threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()
