"""From the figures of single photographs to those of a row: values with their intervals."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photochrom.images import path_to_text
from photochrom.metrics import METRICS, Figure
from photochrom.metrics.bootstrap import group_sums, percentile_interval, resampled_sums
from photochrom.metrics.photographs import data_digest
from photochrom.metrics.protocols import PER_IMAGE, Measurement
from photochrom.runtime import csv_text
from photochrom.version import __version__

# More than any figure means, and the same text on equal runs.
DECIMALS = 6


def row_record(
    row: str,
    kind: str,
    description: str,
    model_digest: str,
    measurements: Sequence[Measurement],
    pictures: Iterable[str],
) -> dict[str, Any]:
    """A row as JSON has it: what it is, its figures, and the photographs left out by name.

    `kind` is "experiment" or "yardstick"; `pictures` are the ids of the photographs shown. `n` and
    `groups` count the photographs and their groups under the first protocol.
    """
    first = measurements[0].photographs
    missing = {
        photograph.id: {
            "id": photograph.id,
            "path": path_to_text(photograph.path),
            "reason": reason,
        }
        for measurement in measurements
        for photograph, reason in measurement.missing
    }
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
            for figure in figures(measurement, model_digest)
        ],
        "missing": [missing[name] for name in sorted(missing)],
        "pictures": sorted(pictures),
        "software_version": __version__,
    }


def per_image_text(measurements: Sequence[Measurement]) -> str:
    """The table of the single photographs: CSV, a line for each photograph and protocol."""
    rows = [
        [
            photograph.id,
            photograph.group,
            measurement.protocol.name,
            *(f"{values[name]:.{DECIMALS}f}" for name in PER_IMAGE),
        ]
        for measurement in measurements
        for photograph, values in zip(measurement.photographs, measurement.values, strict=True)
    ]
    return csv_text(["id", "group", "protocol", *PER_IMAGE], rows)


def figures(measurement: Measurement, model_digest: str) -> list[Figure]:
    """Every figure that a row has under one protocol, in the order of METRICS, with its interval.

    Expects one measured photograph or more.
    """
    groups = [photograph.group for photograph in measurement.photographs]
    estimates = _estimates(measurement, groups)
    found = []
    for metric in METRICS:
        if metric.name not in estimates:
            continue
        value, low, high, reason = estimates[metric.name]
        found.append(
            Figure(
                metric=metric.name,
                title=metric.title,
                unit=metric.unit,
                better=metric.better,
                value=_rounded(value),
                ci_low=_rounded(low),
                ci_high=_rounded(high),
                n=len(groups),
                protocol=measurement.protocol.name,
                data_digest=data_digest(measurement.photographs),
                model_digest=model_digest,
                reason=reason,
            )
        )
    return found


_Estimate = tuple[float | None, float | None, float | None, str | None]


def _estimates(measurement: Measurement, groups: Sequence[str]) -> dict[str, _Estimate]:
    """Value, interval's ends and reason of every figure by name."""
    table = np.array([[row[name] for name in PER_IMAGE] for row in measurement.values])
    sums = group_sums(np.column_stack([np.ones(len(table)), table]), groups)
    values = _statistics(sums.sum(axis=0, keepdims=True))
    if len(sums) == 1:
        reason = "interval not computed: all pictures are of one photograph"
        found: dict[str, _Estimate] = {
            name: (float(value[0]), None, None, reason) for name, value in values.items()
        }
    else:
        resampled = _statistics(resampled_sums(sums))
        found = {
            name: (float(value[0]), *percentile_interval(resampled[name]), None)
            for name, value in values.items()
        }
    fid_reason = measurement.fid_reason or "interval not computed: a FID has no value per picture"
    found["fid"] = (measurement.fid, None, None, fid_reason)
    return found


def _statistics(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Figures (R,) by name from sums (R, 1 + columns), whose first column counts the images."""
    means = dict(zip(PER_IMAGE, (sums[:, 1:] / sums[:, :1]).T, strict=True))
    truth = means.pop("colourfulness_truth")
    means["colourfulness_difference"] = np.abs(means["colourfulness"] - truth)
    return means


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
