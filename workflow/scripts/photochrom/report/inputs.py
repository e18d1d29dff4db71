"""Readers of what the report is made from: tables, metrics and training logs.

A file that is missing or of another kind is a StageError that names it and the stage that makes it.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from photochrom.metrics import Figure
from photochrom.runtime import StageError, existing_file
from photochrom.tables import read_table

# A CSV table: each row by its columns, all cells as text.
Table = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Slice:
    """A row's figures on the `n` test pictures of one level of a slice, of `groups` photographs."""

    name: str
    level: str
    protocol: str
    n: int
    groups: int
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Calibration:
    """Whether a model errs less where it is sure: Spearman's rank correlation, and the deciles.

    `value` correlates the confidence in a picture with its negative CIEDE2000 error, so that 1 is
    best; `low` and `high` are the ends of the 95% interval, `n` counts pictures. Each of `bins` has
    the mean confidence, the mean error in ΔE00 and the number of its pictures.
    """

    protocol: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    bins: Sequence[tuple[float, float, int]]


@dataclass(frozen=True)
class Row:
    """One row of the metrics: what `{name}.json` and `{name}.per_image.csv` hold.

    `kind` is `experiment`, `compared` or `yardstick`; `protocols` describes each by its name;
    `missing` names the test pictures that could not be measured; `shown` are the ids of the
    pictures in the folder `pictures`, `{id}.webp` or `{id}.png`; `floors` are distances of
    photographs from photographs, of a row that lacks some (`metrics.sets.floors_of`).
    """

    name: str
    kind: str
    description: str
    figures: Sequence[Figure]
    per_image: Table
    pictures: Path
    protocols: Mapping[str, str]
    shown: Sequence[str] = ()
    missing: Sequence[str] = ()
    slices: Sequence[Slice] = ()
    calibration: Calibration | None = None
    floors: Sequence[Mapping[str, Any]] = ()

    def values(self, metric: str, protocol: str) -> dict[str, float]:
        """The values of one measure under one protocol, by the pictures' ids."""
        found = {
            one["id"]: parsed(one.get(metric))
            for one in self.per_image
            if one["protocol"] == protocol
        }
        return {name: value for name, value in found.items() if value is not None}

    def figure(self, metric: str, protocol: str) -> Figure | None:
        """The figure of one measure under one protocol, if the row has it."""
        for figure in self.figures:
            if (figure.metric, figure.protocol) == (metric, protocol):
                return figure
        return None


@dataclass(frozen=True)
class Log:
    """The training log of one phase of one experiment; a record is an object of the JSON lines.

    `strip` is the picture of the validation pictures over time, where it lies beside the log.
    """

    experiment: str
    phase: str
    records: Sequence[dict[str, Any]]
    strip: Path | None = None


def read_row(path: Path) -> Row:
    """The row that evaluate.py wrote as `path`, with what lies beside it.

    Without the table of single pictures the row has figures but cannot be compared.
    """
    try:
        content = json.loads(existing_file(path, "evaluate.py").read_text(encoding="utf-8"))
        figures = _figures(content)
        slices = [_slice(part) for part in content.get("slices") or []]
        calibration = _calibration(content.get("calibration"))
        name, kind = str(content["row"]), str(content["kind"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StageError(f"{path} is not a metrics file of evaluate.py ({error})") from error
    beside = path.with_name(f"{path.stem}.per_image.csv")
    per_image: Table = []
    if beside.is_file():
        per_image = read_table(beside, ["id", "group", "protocol"], "evaluate.py")
    return Row(
        name=name,
        kind=kind,
        description=str(content.get("description", "")),
        figures=figures,
        per_image=per_image,
        pictures=path.with_name(f"{path.stem}.pictures"),
        protocols=dict(content.get("protocols", {})),
        shown=[str(name) for name in content.get("pictures", [])],
        missing=[_missing_words(entry) for entry in content.get("missing", [])],
        slices=slices,
        calibration=calibration,
        floors=[dict(floor) for floor in content.get("floors") or []],
    )


def _figures(content: Mapping[str, Any]) -> list[Figure]:
    known = {key.name for key in fields(Figure)}
    return [
        Figure(**{key: value for key, value in figure.items() if key in known})
        for figure in content["figures"]
    ]


def _slice(part: Mapping[str, Any]) -> Slice:
    return Slice(
        name=str(part["slice"]),
        level=str(part["level"]),
        protocol=str(part["protocol"]),
        n=int(part["n"]),
        groups=int(part["groups"]),
        figures=_figures(part),
    )


def _calibration(content: Mapping[str, Any] | None) -> Calibration | None:
    if content is None:
        return None
    spearman = content["spearman"]
    return Calibration(
        protocol=str(content["protocol"]),
        # Equal confidences have no correlation: not a number.
        value=parsed(spearman["value"]),
        low=parsed(spearman["ci_low"]),
        high=parsed(spearman["ci_high"]),
        n=int(spearman["n"]),
        bins=[
            (float(one["confidence"]), float(one["error"]), int(one["n"]))
            for one in content["bins"]
        ],
    )


def _missing_words(entry: Any) -> str:
    """A picture that was left out, with the reason where the row gives one."""
    if isinstance(entry, dict):
        where = f", under {', '.join(entry['protocols'])}" if entry.get("protocols") else ""
        return f"{entry.get('id', '')} ({entry.get('reason', 'no reason given')}{where})"
    return str(entry)


def read_log(name: str, path: Path) -> Log:
    """The log of `name`, written EXPERIMENT/PHASE."""
    experiment, slash, phase = name.rpartition("/")
    if not slash or not experiment or not phase:
        raise StageError(f"--logs {name}={path}: a log is named EXPERIMENT/PHASE=FILE")
    records = []
    lines = existing_file(path, "train.py").read_text(encoding="utf-8").splitlines()
    for count, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise StageError(f"{path} is not a training log: line {count}: {error}") from error
        if not isinstance(record, dict):
            raise StageError(f"{path} is not a training log: line {count} is no object")
        records.append(record)
    strip = path.with_name("strip.jpg")
    return Log(experiment, phase, records, strip if strip.is_file() else None)


def read_audit(path: Path) -> dict[str, Any]:
    """The content of an audit.json."""
    try:
        content = json.loads(existing_file(path, "audit.py").read_text(encoding="utf-8"))
        if not {"bits", "comparisons", "unusable"} <= content.keys():
            raise ValueError("keys are missing")
    except (ValueError, AttributeError) as error:
        raise StageError(f"{path} is not an audit of audit.py ({error}); make it again") from error
    return dict(content)


def parsed(text: str | float | None) -> float | None:
    """The finite number that a cell of a table holds, if it holds one."""
    try:
        value = float("" if text is None else text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
