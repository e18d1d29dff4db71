"""The report's section on training: the curves of an experiment over all of its phases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from photochrom.pages import jpeg_uri
from photochrom.report.inputs import Log
from photochrom.report.plots import Line, Plot, curves
from photochrom.runtime import duration

# What is drawn in one plot: its title, and the quantities of the log with their names in it.
# A quantity that both training and validation log becomes two lines.
PLOTS = (
    ("L1 loss, ab from −1 to 1", {"l1": ""}),
    (
        "Adversarial losses",
        {
            **dict.fromkeys(["gan", "gan-hinge", "gan-lsgan"], "generator"),
            "d": "discriminator",
        },
    ),
    ("Validation PSNR (dB)", {"psnr_rgb": ""}),
    ("Validation colour difference (CIEDE2000)", {"ciede2000": ""}),
    ("Validation AuC (percent)", {"auc": "all pixels", "auc_balanced": "colours alike"}),
    (
        "Validation colourfulness",
        {"colourfulness": "predicted", "colourfulness_truth": "truth"},
    ),
    ("Validation Fréchet distance (lite2 features)", {"fd_lite2": ""}),
    ("Validation kernel distance (lite2 features)", {"kid_lite2": ""}),
    ("Validation FID", {"fid": ""}),
)
NO_QUANTITY = {"kind", "phase", "step", "epoch", "seconds", "not_computed"}
KINDS = {"train": "training", "val": "validation"}


@dataclass(frozen=True)
class Point:
    """One logged value at a step counted over all phases."""

    kind: str
    quantity: str
    step: float
    value: float


def training_section(logs: Sequence[Log]) -> list[dict[str, Any]]:
    """For each experiment: its phases, its plots, and what its logs lack."""
    section = []
    for experiment in dict.fromkeys(log.experiment for log in logs):
        phases = [log for log in logs if log.experiment == experiment]
        starts = phase_starts(phases)
        points = [
            point
            for log, start in zip(phases, starts, strict=True)
            for point in _points(log, start)
        ]
        boundaries = list(zip(starts, [log.phase for log in phases], strict=True))
        section.append(
            {
                "experiment": experiment,
                "phases": [_phase(log) for log in phases],
                "plots": _plots(points, boundaries),
                "strips": [
                    {"phase": log.phase, "src": jpeg_uri(log.strip.read_bytes())}
                    for log in phases
                    if log.strip
                ],
                "missing": _missing(phases),
                "notes": [note for log in phases for note in _notes(log)],
            }
        )
    return section


def phase_starts(phases: Sequence[Log]) -> list[float]:
    """The step before each phase's first, counted over all phases."""
    starts, total = [], 0.0
    for log in phases:
        starts.append(total)
        total += _last(log, "step")
    return starts


def _missing(phases: Sequence[Log]) -> list[str]:
    """What could not be computed on the validation pictures, with the reason."""
    found = {
        f"{str(name).replace('_', '-')}: {reason}": None
        for log in phases
        for record in log.records
        for name, reason in dict(record.get("not_computed") or {}).items()
    }
    return list(found)


def _step(record: dict[str, Any]) -> float:
    step = record.get("step", 0)
    return float(step) if _is_number(step) else 0.0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _points(log: Log, start: float) -> list[Point]:
    return [
        Point(str(record.get("kind")), key, start + _step(record), float(value))
        for record in log.records
        if record.get("kind") in KINDS
        for key, value in record.items()
        if key not in NO_QUANTITY and _is_number(value)
    ]


def _plots(points: Sequence[Point], boundaries: Sequence[tuple[float, str]]) -> list[Plot]:
    known = {quantity for _, quantities in PLOTS for quantity in quantities}
    others = sorted({point.quantity for point in points} - known)
    found = []
    for title, quantities in [*PLOTS, *((name, {name: ""}) for name in others)]:
        lines = [
            line
            for quantity, name in quantities.items()
            for kind in KINDS
            if (line := _line(points, quantity, kind, name))
        ]
        if lines:
            found.append(curves(title, lines, boundaries))
    return found


def _line(points: Sequence[Point], quantity: str, kind: str, name: str) -> Line | None:
    own = [point for point in points if (point.quantity, point.kind) == (quantity, kind)]
    if not own:
        return None
    return Line(
        label=name or KINDS[kind],
        x=[point.step for point in own],
        y=[point.value for point in own],
        dots=kind == "val",
    )


def _phase(log: Log) -> dict[str, Any]:
    """A phase's length and its last validation."""
    validations = [record for record in log.records if record.get("kind") == "val"]
    last = validations[-1] if validations else {}
    return {
        "name": log.phase,
        "steps": _last(log, "step"),
        "epochs": _last(log, "epoch"),
        "time": duration(_last(log, "seconds")),
        "psnr": last.get("psnr_rgb"),
        "colourfulness": last.get("colourfulness"),
    }


def _last(log: Log, key: str) -> float:
    """The largest value of a quantity that only grows."""
    return max(
        (float(record[key]) for record in log.records if _is_number(record.get(key))), default=0.0
    )


def _notes(log: Log) -> list[str]:
    where = f"The log of {log.experiment}/{log.phase}"
    kinds = {record.get("kind") for record in log.records}
    if not kinds & set(KINDS):
        return [f"{where} holds no records, so there is nothing to draw for this phase."]
    notes = []
    if "val" not in kinds:
        notes.append(
            f"{where} holds no validation: how this phase did on unseen pictures is not known."
        )
    if "train" not in kinds:
        notes.append(f"{where} holds no training losses.")
    return notes
