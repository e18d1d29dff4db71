"""Distances between a row's pictures and the photographs, as sets, with their intervals."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from photochrom.metrics.distances import frechet, frechet_infinity, kernel_with_error
from photochrom.metrics.eyes import Eyes, Features, Reference
from photochrom.metrics.frechet import FID_MIN_IMAGES, NotComputedError, frechet_distance
from photochrom.metrics.lite2 import MIN_PICTURES
from photochrom.metrics.measuring import Measurement, ordered_map
from photochrom.metrics.photographs import Photograph, data_digest
from photochrom.metrics.pixel import Picture
from photochrom.metrics.protocols import Protocol, in_first_half
from photochrom.metrics.saturation import matching_factor, thinned, with_chroma_scaled
from photochrom.metrics.summary import DECIMALS, ONE_PHOTOGRAPH, Estimate
from photochrom.runtime import sha256_text

# Blocks of groups that the jackknife leaves out in turn, and Student's 97.5 % quantile for them.
BLOCKS = 10
STUDENT = 2.262
NO_REFERENCE = "not computed: no --reference"
NO_DISTANCE = "not computed: photographs of all shapes; see the protocols of squares"

# Pictures that an eye needs, and the names of its distances.
LEAST = {
    "lite2": MIN_PICTURES,
    "inception": FID_MIN_IMAGES,
    "inception-clean": FID_MIN_IMAGES,
}
DISTANCES = {
    "lite2": ("fd_lite2", "fd_lite2_infinity", "kid_lite2"),
    "inception": ("fid", "fid_infinity", "kid"),
    "inception-clean": ("fid_clean",),
}
# Those of pictures at the truth's colourfulness.
CORRECTED = {"lite2": "hi_fd_lite2", "inception": "hi_fid"}
# A normal distribution's central 95 % reach so many standard deviations.
NORMAL = 1.96


def halved(
    measurement: Measurement, protocol: Protocol, everyone: Sequence[Photograph]
) -> Measurement:
    """What a measurement of squares says under a disjoint protocol.

    Kept are the pictures of the first half of the groups, against photographs of the second:
    equally many, in an order that does not depend on the others.
    """

    def in_order(photographs: Sequence[Photograph]) -> list[Photograph]:
        return sorted(photographs, key=lambda photograph: sha256_text(photograph.id))

    painted = in_order([p for p in measurement.photographs if in_first_half(p.group)])
    against = in_order([p for p in everyone if not in_first_half(p.group)])
    count = min(len(painted), len(against))
    places = {photograph.id: place for place, photograph in enumerate(measurement.photographs)}
    kept = [places[photograph.id] for photograph in painted[:count]]
    return replace(
        Measurement(protocol),
        photographs=painted[:count],
        against=against[:count],
        missing=measurement.missing,
        features={
            name: [rows[place] for place in kept] for name, rows in measurement.features.items()
        },
    )


def distances_of(
    measurement: Measurement, reference: Reference | None, eyes: Eyes, threads: int
) -> dict[str, Estimate]:
    """Every distance by name, and LPIPS where it is missing; a reason where there is no value.

    Those at the truth's colourfulness are told of measurements that have kept their pictures.
    """
    photographs = measurement.photographs
    against = measurement.against or photographs
    found: dict[str, Estimate] = {}
    for eye, names in DISTANCES.items():
        reason = _reason(measurement, reference, eyes, eye)
        if reason is not None or reference is None:
            found |= {name: (None, None, None, len(photographs), reason) for name in names}
            continue
        pictures = np.stack(measurement.features[eye])
        truth = reference.of(eye, [photograph.id for photograph in against])
        if eye == "lite2":
            far = _jackknifed(pictures, truth, _blocks(photographs), _blocks(against))
        else:
            far = _fid(pictures, truth)
        found[names[0]] = far
        if len(names) == 1:
            continue
        endless, near = names[1:]
        found[endless] = _endless(pictures, truth)
        groups, theirs = ([one.group for one in side] for side in (photographs, against))
        value, error = kernel_with_error(pictures, truth, groups, theirs)
        if np.isfinite(error):
            low, high = value - NORMAL * error, value + NORMAL * error
            found[near] = value, low, high, len(photographs), None
        else:
            found[near] = value, None, None, len(photographs), ONE_PHOTOGRAPH
    if measurement.pictures is not None and reference is not None:
        found |= _corrected(measurement, measurement.pictures, reference, eyes, threads)
    if eyes.lpips is None and measurement.values:
        reason = eyes.missing.get("lpips", "not computed: no network of LPIPS")
        found["lpips"] = None, None, None, len(photographs), reason
    return found


def floors_of(
    measurement: Measurement, reference: Reference | None, eyes: Eyes
) -> list[dict[str, Any]]:
    """Photographs against photographs, of exactly those of a row that lacks some; else nothing.

    The row `real` has all of them, and a distance depends on how many there are.
    """
    found: list[dict[str, Any]] = []
    if not measurement.missing or not measurement.against or reference is None:
        return found
    photographs, against = measurement.photographs, measurement.against
    for eye in DISTANCES:
        if _reason(measurement, reference, eyes, eye) is None:
            painted, truth = (
                reference.of(eye, [one.id for one in side]) for side in (photographs, against)
            )
            value = frechet(painted, truth) if eye == "lite2" else _fid(painted, truth)[0]
            if value is not None:
                found.append(
                    {
                        "metric": DISTANCES[eye][0],
                        "protocol": measurement.protocol.name,
                        "value": round(value, DECIMALS),
                        "n": len(photographs),
                        "data_digest": data_digest([*photographs, *against]),
                    }
                )
    return found


def _corrected(
    measurement: Measurement,
    pictures: Callable[[], Iterator[Picture]],
    reference: Reference,
    eyes: Eyes,
    threads: int,
) -> dict[str, Estimate]:
    """The distances of the pictures (S, S, 3) at the mean colourfulness of the photographs."""
    photographs = measurement.photographs
    ids = [photograph.id for photograph in photographs]
    reasons = {eye: _reason(measurement, reference, eyes, eye) for eye in CORRECTED}
    factor = math.nan
    if not all(reasons.values()):
        try:
            wanted = reference.mean_colourfulness(ids)
            factor = matching_factor([thinned(picture) for picture in pictures()], wanted)
        except NotComputedError as error:
            reasons = dict.fromkeys(CORRECTED, f"not computed: {error}")
    found: dict[str, Estimate] = {}
    for eye, name in CORRECTED.items():
        if reasons[eye]:
            found[name] = None, None, None, len(photographs), reasons[eye]
            continue
        look = partial(_corrected_features, eyes.see[eye], factor)
        features = np.stack(list(ordered_map(look, pictures(), threads)))
        truth = reference.of(eye, ids)
        if eye == "lite2":
            found[name] = _jackknifed(features, truth, _blocks(photographs), _blocks(photographs))
        else:
            found[name] = _fid(features, truth)
    return found


def _corrected_features(
    see: Callable[[Picture], Features], factor: float, picture: Picture
) -> Features:
    return see(with_chroma_scaled(picture, factor))


def _reason(
    measurement: Measurement, reference: Reference | None, eyes: Eyes, eye: str
) -> str | None:
    """Why there are no distances by this eye, if there are none."""
    if measurement.protocol.size is None:
        return NO_DISTANCE
    if eye in eyes.missing:
        return eyes.missing[eye]
    if reference is None or eye in reference.missing:
        return NO_REFERENCE if reference is None else reference.missing[eye]
    if len(measurement.photographs) < LEAST[eye]:
        count = len(measurement.photographs)
        return f"not computed: {count:,} pictures, {LEAST[eye]:,} are needed"
    lacks = reference.lacks([one.id for one in (*measurement.photographs, *measurement.against)])
    if lacks:
        return f"not computed: the reference lacks {lacks:,} of the photographs; make it again"
    return None


def _fid(pictures: Features, truth: Features) -> Estimate:
    """By pytorch-fid's formula, as the name says; its arithmetic is good to three decimals."""
    moments = (
        part.astype(np.float64)
        for rows in (pictures, truth)
        for part in (rows.mean(axis=0), np.cov(rows, rowvar=False))
    )
    reason = "interval not computed: pytorch-fid's formula takes too long to repeat; see kid"
    try:
        return round(frechet_distance(*moments), 3), None, None, len(pictures), reason
    except NotComputedError as error:
        return None, None, None, len(pictures), f"not computed: {error}"


def _endless(pictures: Features, truth: Features) -> Estimate:
    """The distance of endlessly many pictures, by extrapolation."""
    try:
        value = frechet_infinity(pictures, truth)
    except ValueError as error:
        return None, None, None, len(pictures), f"not computed: {error}"
    reason = "interval not computed: the spread of an extrapolation is not known"
    return value, None, None, len(pictures), reason


def _jackknifed(
    pictures: Features,
    truth: Features,
    blocks: Sequence[int],
    truth_blocks: Sequence[int],
) -> Estimate:
    """The Fréchet distance with its interval by the delete-block jackknife.

    Resampling with replacement repeats pictures, which a distance between sets takes for a lack of
    variety; leaving out a tenth of the groups in turn does not (Davison and Hinkley 1997, 2.7).
    """
    value = frechet(pictures, truth)
    mine, theirs = np.asarray(blocks), np.asarray(truth_blocks)
    if len({*blocks, *truth_blocks}) < BLOCKS:
        reason = f"interval not computed: fewer than {BLOCKS} groups of photographs"
        return value, None, None, len(pictures), reason
    left_out = [frechet(pictures[mine != block], truth[theirs != block]) for block in range(BLOCKS)]
    spread = np.var(left_out) * (BLOCKS - 1)
    reach = STUDENT * float(np.sqrt(spread))
    return value, value - reach, value + reach, len(pictures), None


def _blocks(photographs: Sequence[Photograph]) -> list[int]:
    """The block of each photograph: that of its group, by a hash."""
    groups = sorted({photograph.group for photograph in photographs}, key=sha256_text)
    block = {group: place % BLOCKS for place, group in enumerate(groups)}
    return [block[photograph.group] for photograph in photographs]
