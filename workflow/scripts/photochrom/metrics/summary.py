"""From the figures of single photographs to those of a row: values with their intervals."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photochrom.images import path_to_text
from photochrom.metrics import METRICS, Figure
from photochrom.metrics.bootstrap import group_sums, percentile_interval, resampled_sums
from photochrom.metrics.colour import AB_BINS
from photochrom.metrics.measuring import DEGRADED, PER_IMAGE, Bins, Measurement
from photochrom.metrics.photographs import Photograph, data_digest
from photochrom.metrics.slices import slices_of
from photochrom.runtime import csv_text
from photochrom.version import __version__

# More than any figure means, and the same text on equal runs.
DECIMALS = 6

# Value, interval's ends, number of photographs, and the reason where one of the former is missing.
Estimate = tuple[float | None, float | None, float | None, int, str | None]

# The estimate of every figure of a row without photographs.
NOBODY: Estimate = (None, None, None, 0, "not computed: no photograph could be measured")
ONE_PHOTOGRAPH = "interval not computed: all pictures are of one photograph"


def row_record(
    row: str,
    kind: str,
    description: str,
    model_digest: str,
    everyone: Sequence[Photograph],
    measurements: Sequence[Measurement],
    distances: Mapping[str, Mapping[str, Estimate]],
    pictures: Iterable[str],
    floors: Iterable[dict[str, Any]] = (),
) -> dict[str, Any]:
    """A row as JSON has it: what it is, its figures, and the photographs left out by name.

    `kind` is "experiment", "yardstick" or "compared"; `everyone` is all test photographs;
    `distances` are those of each protocol by name; `pictures` are the ids of the photographs shown;
    `floors` those of `sets.floors_of`.
    `n` and `groups` count the photographs and their groups under the first protocol.
    """
    first = measurements[0].photographs
    missing: dict[tuple[str, str], dict[str, Any]] = {}
    for measurement in measurements:
        for photograph, reason in measurement.missing:
            entry = {"id": photograph.id, "path": path_to_text(photograph.path), "reason": reason}
            known = missing.setdefault((photograph.id, reason), entry | {"protocols": []})
            known["protocols"].append(measurement.protocol.name)
    return {
        "row": row,
        "kind": kind,
        "description": description,
        "n": len(first),
        "groups": len({photograph.group for photograph in first}),
        "protocols": {
            measurement.protocol.name: measurement.protocol.description
            for measurement in measurements
        },
        "figures": [
            figure.record()
            for measurement in measurements
            for figure in figures(measurement, model_digest, distances[measurement.protocol.name])
        ],
        "slices": [
            record
            for measurement in measurements
            if measurement.values
            for record in slice_records(measurement, model_digest, everyone)
        ],
        "calibration": next(
            (calibration(one, model_digest) for one in measurements if one.values), None
        ),
        "floors": list(floors),
        "missing": [missing[name] for name in sorted(missing)],
        "pictures": sorted(pictures),
        "software_version": __version__,
    }


def per_image_text(measurements: Sequence[Measurement]) -> str:
    """The table of the single photographs: CSV, a line for each photograph and protocol.

    A figure that a photograph cannot have is left empty.
    """
    rows = [
        [
            photograph.id,
            photograph.group,
            measurement.protocol.name,
            photograph.source,
            *(_cell(values[name]) for name in PER_IMAGE),
            "" if uncertainty is None else _cell(1 - uncertainty),
        ]
        for measurement in measurements
        if measurement.values
        for photograph, values, uncertainty in zip(
            measurement.photographs, measurement.values, measurement.uncertainty, strict=True
        )
    ]
    return csv_text(["id", "group", "protocol", "source", *PER_IMAGE, "confidence"], rows)


def figures(
    measurement: Measurement, model_digest: str, distances: Mapping[str, Estimate]
) -> list[Figure]:
    """Every figure of a row under one protocol, in the order of METRICS, with its interval."""
    photographs = measurement.photographs
    estimates = {**_estimates(photographs, measurement.values, measurement.bins), **distances}
    if not photographs and measurement.protocol.reference != "disjoint":
        estimates = dict.fromkeys((metric.name for metric in METRICS), NOBODY)
    compared = [*photographs, *measurement.against]
    used = _used(photographs, measurement.values)
    return _figures(estimates, compared, used, measurement.protocol.name, model_digest)


def slice_records(
    measurement: Measurement, model_digest: str, everyone: Sequence[Photograph]
) -> list[dict[str, Any]]:
    """The figures of the photographs of each slice and level, and those of degraded ones.

    `everyone` is all test photographs, also those that could not be measured.
    """
    records = []

    def add(
        name: str,
        level: str,
        photographs: Sequence[Photograph],
        values: Sequence[Mapping[str, float]],
        bins: Sequence[Bins],
    ) -> None:
        estimates = _estimates(photographs, values, bins)
        used = _used(photographs, values)
        found = _figures(estimates, photographs, used, measurement.protocol.name, model_digest)
        records.append(
            {
                "slice": name,
                "level": level,
                "protocol": measurement.protocol.name,
                "n": len(photographs),
                "groups": len({photograph.group for photograph in photographs}),
                "figures": [figure.record() for figure in found],
            }
        )

    for name, level, places in slices_of(measurement.photographs, everyone):
        add(
            name,
            level,
            [measurement.photographs[place] for place in places],
            [measurement.values[place] for place in places],
            [measurement.bins[place] for place in places],
        )
    for name, again in measurement.degraded.items():
        values, bins = zip(*again, strict=True)
        add("degradation", name, measurement.photographs, values, bins)
    if measurement.degraded:
        plain = [{key: row[key] for key in DEGRADED} for row in measurement.values]
        add("degradation", "none", measurement.photographs, plain, measurement.bins)
    return records


def calibration(measurement: Measurement, model_digest: str) -> dict[str, Any] | None:
    """How a painter's confidence, 1 - its mean uncertainty, goes with its true error.

    Spearman's rank correlation with the negative CIEDE2000, with its bootstrap interval over
    groups, and the mean error in ten classes of rising confidence. None for a painter that says no
    uncertainty or always the same, or of fewer than ten photographs.
    """
    from scipy.stats import rankdata

    known = [
        (photograph, 1 - uncertainty, values["ciede2000"])
        for photograph, values, uncertainty in zip(
            measurement.photographs, measurement.values, measurement.uncertainty, strict=True
        )
        if uncertainty is not None
    ]
    if len(known) < 10:
        return None
    photographs = [photograph for photograph, _, _ in known]
    groups = [photograph.group for photograph in photographs]
    confidence, error = (np.array(column) for column in list(zip(*known, strict=True))[1:])
    if len(np.unique(confidence)) == 1 or len(np.unique(error)) == 1:
        return None
    one, other = rankdata(confidence), rankdata(-error)
    # A resample's correlation of the ranks among all photographs: ranks anew would differ little.
    products = np.column_stack([np.ones(len(one)), one, other, one**2, other**2, one * other])
    sums = group_sums(products, groups)

    def correlation(totals: NDArray[np.float64]) -> NDArray[np.float64]:
        n, x, y, xx, yy, xy = totals.T
        with np.errstate(invalid="ignore"):  # all alike
            return np.asarray((n * xy - x * y) / np.sqrt((n * xx - x**2) * (n * yy - y**2)))

    value = float(correlation(sums.sum(axis=0, keepdims=True))[0])
    low: float | None = None
    high: float | None = None
    if len(sums) > 1:
        resampled = correlation(resampled_sums(sums))
        low, high = percentile_interval(resampled[np.isfinite(resampled)])
    order = np.argsort(confidence, kind="stable")
    return {
        "protocol": measurement.protocol.name,
        "data_digest": data_digest(photographs),
        "model_digest": model_digest,
        "spearman": {
            "value": _rounded(value),
            "ci_low": _rounded(low),
            "ci_high": _rounded(high),
            "n": len(known),
        },
        "bins": [
            {
                "confidence": _rounded(float(confidence[places].mean())),
                "error": _rounded(float(error[places].mean())),
                "n": len(places),
            }
            for places in np.array_split(order, 10)
        ],
    }


def _figures(
    estimates: Mapping[str, Estimate],
    photographs: Sequence[Photograph],
    used: Mapping[str, str],
    protocol: str,
    model_digest: str,
) -> list[Figure]:
    """`used` has the digests of the photographs that a figure comes of where they are not all."""
    digest = data_digest(photographs)
    found = []
    for metric in METRICS:
        if metric.name not in estimates:
            continue
        value, low, high, count, reason = estimates[metric.name]
        found.append(
            Figure(
                metric=metric.name,
                title=metric.title,
                unit=metric.unit,
                better=metric.better,
                value=_rounded(value),
                ci_low=_rounded(low),
                ci_high=_rounded(high),
                n=count,
                protocol=protocol,
                data_digest=used.get(metric.name, digest),
                model_digest=model_digest,
                reason=reason,
            )
        )
    return found


def _used(
    photographs: Sequence[Photograph], values: Sequence[Mapping[str, float]]
) -> dict[str, str]:
    """The digests of the photographs that have a figure, for figures that some do not have."""
    found: dict[str, str] = {}
    digests: dict[bytes, str] = {}
    for name in PER_IMAGE if values else ():
        has = np.array([math.isfinite(row.get(name, 0.0)) for row in values])
        if has.any() and not has.all():
            mask = has.tobytes()
            if mask not in digests:
                digests[mask] = data_digest(
                    [one for one, kept in zip(photographs, has, strict=True) if kept]
                )
            found[name] = digests[mask]
    return found


def _estimates(
    photographs: Sequence[Photograph],
    values: Sequence[Mapping[str, float]],
    bins: Sequence[Bins],
) -> dict[str, Estimate]:
    """Every figure that comes of single photographs: means over those that have it."""
    if not values:
        return {}
    groups = [photograph.group for photograph in photographs]
    names = [name for name in PER_IMAGE if name in values[0]]
    table = np.array([[row[name] for name in names] for row in values])
    has = np.isfinite(table)
    sums = group_sums(np.column_stack([np.where(has, table, 0), has]), groups)
    counts = dict(zip(names, has.sum(axis=0).tolist(), strict=True))
    found = {
        name: _estimated(statistic, sums, counts.get(name, len(groups)))
        for name, statistic in _statistics(names).items()
    }
    found["auc_balanced_pooled"] = _estimated(
        _pooled, group_sums(_bin_rows(bins), groups), len(groups), centred=True
    )
    return found


Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _estimated(
    statistic: Statistic, sums: NDArray[np.float64], count: int, centred: bool = False
) -> Estimate:
    """A statistic (R,) of sums (R, K): of all groups, and its interval over their resamples.

    Where it is `centred`, the resamples are moved by their mean distance from the value: the mean
    over the colours that occur is another in a resample, which loses the rare ones.
    """
    if not count:
        return None, None, None, 0, "not computed: no photograph has it"
    value = float(statistic(sums.sum(axis=0, keepdims=True))[0])
    if len(sums) == 1:
        return value, None, None, count, ONE_PHOTOGRAPH
    resampled = statistic(resampled_sums(sums))
    resampled = resampled[np.isfinite(resampled)]
    if centred:
        resampled += value - resampled.mean()
    return value, *percentile_interval(resampled), count, None


def _statistics(names: Sequence[str]) -> dict[str, Statistic]:
    """Figures by name, from sums (R, 2 K) of the columns `names` and of who has them."""

    def mean(name: str) -> Statistic:
        place = names.index(name)

        def of(sums: NDArray[np.float64]) -> NDArray[np.float64]:
            with np.errstate(invalid="ignore"):  # a resample in which no photograph has it
                return np.asarray(sums[:, place] / sums[:, len(names) + place])

        return of

    found = {name: mean(name) for name in names if not name.endswith("_truth")}
    if "colourfulness_truth" in names:
        truth, own = mean("colourfulness_truth"), mean("colourfulness")
        found["colourfulness_difference"] = lambda sums: np.abs(own(sums) - truth(sums))
    return found


def _pooled(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """The class-balanced AuC in % from sums (R, 2 K): scores by bin, and pixels by bin."""
    scores, pixels = np.split(sums, 2, axis=1)
    occurs = pixels > 0
    means = np.divide(scores, pixels, out=np.zeros_like(scores), where=occurs)
    return np.asarray(100 * means.sum(axis=1) / occurs.sum(axis=1))


def _bin_rows(bins: Sequence[Bins]) -> NDArray[np.float64]:
    """The photographs' scores by bin and pixels by bin, (N, 2 K), of the K bins that occur."""
    rows = np.zeros((len(bins), 2, AB_BINS))
    for row, (places, scores, pixels) in zip(rows, bins, strict=True):
        # Shares of a photograph's pixels: those of all sizes count alike.
        row[0, places], row[1, places] = scores / pixels.sum(), pixels / pixels.sum()
    occurs = rows[:, 1].any(axis=0)
    return rows[:, :, occurs].reshape(len(bins), -1)


def _cell(value: float) -> str:
    return f"{value:.{DECIMALS}f}" if np.isfinite(value) else ""


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
