"""Protocols: which pictures are compared and how; the measuring of one row of a report.

Photographs are streamed and only their figures are kept. Each is worked on by a single thread
from decoding to figures, so the results do not depend on the number of threads.
"""

import difflib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from photochrom.color import colourfulness, lab_to_rgb, reduce_chroma, rgb_to_lab
from photochrom.images import ImageError
from photochrom.metrics.colour import auc_scores, balanced_auc, ciede2000
from photochrom.metrics.frechet import (
    FID_MIN_IMAGES,
    FeatureStatistics,
    NotComputedError,
    frechet_distance,
    inception_features,
    load_inception,
)
from photochrom.metrics.photographs import Photograph, load_original
from photochrom.metrics.pixel import Picture, lightness_error, psnr_rgb, ssim
from photochrom.runtime import StageError, progress

Lab = NDArray[np.floating[Any]]
# What paints a row: the Lab (H, W, 3) of a photograph in, the Lab of its picture out. All but the
# yardstick `truth` look at the lightness alone.
Paint = Callable[[Lab], Lab]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Protocol:
    """A named way to compare: the photographs' central squares at `size` pixels."""

    name: str
    size: int
    description: str


PROTOCOLS = {
    protocol.name: protocol
    for protocol in [
        Protocol(
            "paired-256crop",
            256,
            "the central square of each photograph, resized to 256 px; the picture painted from "
            "its lightness is compared with the same photograph",
        )
    ]
}

# The figures of a single photograph, in the order of the table's columns.
PER_IMAGE = (
    "psnr_rgb",
    "ssim",
    "ciede2000",
    "auc",
    "auc_balanced",
    "colourfulness",
    "colourfulness_truth",
    "colourfulness_error",
    "lightness_error",
)


@dataclass(frozen=True)
class Measured:
    """One photograph's figures, its picture and, where a FID is wanted, the features of both."""

    values: Mapping[str, float]
    picture: Picture
    features: NDArray[np.float64] | None


@dataclass
class Measurement:
    """What is kept under one protocol: lists over the photographs that could be measured.

    `missing` holds the others, each with the reason; `fid_reason` says why there is no FID.
    """

    protocol: Protocol
    photographs: list[Photograph] = field(default_factory=list)
    values: list[Mapping[str, float]] = field(default_factory=list)
    missing: list[tuple[Photograph, str]] = field(default_factory=list)
    fid: float | None = None
    fid_reason: str | None = None


def parse_protocols(text: str) -> list[Protocol]:
    """Protocols from their names, separated by commas. StageError when there is no such one."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in PROTOCOLS:
            near = difflib.get_close_matches(name, PROTOCOLS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(PROTOCOLS)}"
            raise StageError(f"unknown protocol {name!r}; {hint}")
    return [PROTOCOLS[name] for name in dict.fromkeys(names)]


def paint_picture(truth: Picture, paint: Paint) -> Picture:
    """The picture as people get it: painted, brought into sRGB at its lightness, in 8 bits."""
    lab = paint(rgb_to_lab(truth))
    shown = np.concatenate([lab[..., :1], reduce_chroma(lab[..., 0], lab[..., 1:])], axis=-1)
    return np.rint(lab_to_rgb(shown) * 255).astype(np.uint8)


def compare(truth: Picture, picture: Picture) -> dict[str, float]:
    """The PER_IMAGE figures of a picture."""
    truth_lab, lab = rgb_to_lab(truth), rgb_to_lab(picture)
    scores = auc_scores(truth_lab[..., 1:], lab[..., 1:])
    colour_truth, colour = colourfulness(truth), colourfulness(picture)
    return {
        "psnr_rgb": psnr_rgb(truth, picture),
        "ssim": ssim(truth, picture),
        "ciede2000": ciede2000(truth_lab, lab),
        "auc": 100 * float(scores.mean()),
        "auc_balanced": 100 * balanced_auc(truth_lab[..., 1:], scores),
        "colourfulness": colour,
        "colourfulness_truth": colour_truth,
        "colourfulness_error": abs(colour - colour_truth),
        "lightness_error": lightness_error(truth_lab[..., 0], lab[..., 0]),
    }


def measure(
    photographs: Sequence[Photograph],
    protocol: Protocol,
    paint: Paint,
    threads: int,
    device: torch.device,
    keep: Callable[[Photograph, Picture], None],
) -> Measurement:
    """Measure a row over `photographs`, in their order.

    `keep` is given each picture as it comes; `device` is where the FID's Inception network runs.
    """
    result = Measurement(protocol, fid_reason=_too_few(len(photographs)))
    inception = None
    if result.fid_reason is None:
        try:
            inception = load_inception(device)
        except NotComputedError as error:
            result.fid_reason = f"not computed: {error}"

    def work(photograph: Photograph) -> Measured | str:
        """The photograph measured, or why it cannot be."""
        try:
            truth = load_original(photograph, protocol.size)
        except ImageError as error:
            return error.reason
        picture = paint_picture(truth, paint)
        features = None
        if inception is not None:
            features = inception_features(inception, np.stack([truth, picture]))
        return Measured(compare(truth, picture), picture, features)

    statistics = FeatureStatistics(), FeatureStatistics()  # of the truth and of the pictures
    outcomes = ordered_map(work, photographs, threads)
    for photograph, outcome in zip(
        photographs, progress(outcomes, len(photographs), protocol.name), strict=True
    ):
        if isinstance(outcome, str):
            result.missing.append((photograph, outcome))
            continue
        keep(photograph, outcome.picture)
        result.photographs.append(photograph)
        result.values.append(outcome.values)
        if outcome.features is not None:
            for side, row in zip(statistics, outcome.features, strict=True):
                side.add(row)
    if inception is not None:
        result.fid, result.fid_reason = _fid(*statistics)
    return result


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


def _too_few(count: int) -> str | None:
    if count >= FID_MIN_IMAGES:
        return None
    return f"not computed: {count:,} pictures, a FID needs {FID_MIN_IMAGES:,} or more"


def _fid(truth: FeatureStatistics, pictures: FeatureStatistics) -> tuple[float | None, str | None]:
    """The distance, or why there is none."""
    reason = _too_few(pictures.count)
    if reason is not None:
        return None, reason
    try:
        # Its own arithmetic is good to about three decimals.
        return round(frechet_distance(*pictures.moments(), *truth.moments()), 3), None
    except NotComputedError as error:
        return None, f"not computed: {error}"
