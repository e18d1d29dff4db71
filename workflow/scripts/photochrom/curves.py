"""curves.svg: how training went, up to the end of one phase."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from photochrom.runtime import StageError, existing_file

Record = Mapping[str, Any]

# What is drawn of the validation pictures, with title and unit; distances where they were had.
MEASURES = {
    "psnr_rgb": ("PSNR in sRGB", "dB"),
    "ciede2000": ("Colour difference", "CIEDE2000"),
    "auc_balanced": ("Class-balanced AuC", "percent"),
    "colourfulness": ("Colourfulness", "Hasler–Süsstrunk"),
}
DISTANCES = {
    "fd_lite2": ("Fréchet distance (lite2)", "squared units"),
    "kid_lite2": ("Kernel distance (lite2)", "squared units"),
    "fid": ("FID", "squared units"),
}
# Adversarial losses and their units.
GAN_NAMES = {"gan": "cross-entropy, nats", "gan-hinge": "margin", "gan-lsgan": "squared error"}

STYLE: Any = {
    "font.size": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "text.parse_math": False,  # a dollar sign is one
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "photochrom",  # equal curves give equal bytes
}

# The adversarial losses' names in the log.
ADVERSARIAL = ("gan", "gan-hinge", "gan-lsgan")


def read_phase(path: Path) -> list[Record]:
    """The records of a phase's log.jsonl. StageError when it is missing or no log."""
    try:
        lines = existing_file(path, "train.py").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise StageError(f"{path} is no log of a training phase ({error}); train again") from error


def curves_svg(phases: Sequence[Sequence[Record]], title: str) -> str:
    """The logs of an experiment's phases as an SVG drawing, in panels that share their steps.

    The panels are the L1 error on training and validation pictures, the adversarial losses where
    there are any, and the measures of the validation pictures, which are the same in all phases.
    A dotted line stands where a phase begins.
    """
    records, starts = _joined(phases)
    train = [record for record in records if record["kind"] == "train"]
    val = [record for record in records if record["kind"] == "val"]
    adversarial = [name for name in GAN_NAMES if any(name in record for record in train)]
    distances = [name for name in DISTANCES if any(name in record for record in val)]
    with plt.rc_context(STYLE):
        rows = 5 + len(adversarial) + len(distances)
        figure, panels = plt.subplots(
            rows, 1, sharex=True, figsize=(7.5, 2.1 * rows + 0.8), layout="constrained"
        )
        remaining = iter(panels)
        panel = next(remaining)
        _line(panel, train, "l1", "training")
        _line(panel, val, "l1", "validation", marker="o")
        _finish(panel, "Mean error of a*, b*", "110 Lab units")
        for gan in adversarial:
            panel = next(remaining)
            own = [record for record in train if gan in record]
            _line(panel, own, gan, "network")
            _line(panel, own, "d", "discriminator")
            _finish(panel, "Adversarial losses", GAN_NAMES[gan])
        for name, (words, unit) in (MEASURES | {key: DISTANCES[key] for key in distances}).items():
            panel = next(remaining)
            _line(panel, val, name, "predictions", marker="o")
            _line(panel, val, f"{name}_truth", "photographs", linestyle="--")
            _finish(panel, f"{words} of the validation pictures", unit)
            if name == "colourfulness":
                panel.set_ylim(bottom=0)
        for panel in panels:
            for start in starts[1:]:
                panel.axvline(start, color="black", linestyle=":", linewidth=1)
        panels[-1].set_xlabel("step")
        figure.suptitle(title, x=0.01, ha="left", fontsize=14)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    return buffer.getvalue()


def _joined(phases: Sequence[Sequence[Record]]) -> tuple[list[Record], list[int]]:
    """All records, their steps counted over all phases, and the step before each phase's first."""
    records: list[Record] = []
    starts, start = [], 0
    for phase in phases:
        starts.append(start)
        records += [{**record, "step": start + record["step"]} for record in phase]
        start += max((record["step"] for record in phase), default=0)
    return records, starts


def _line(panel: Axes, records: Sequence[Record], name: str, label: str, **style: Any) -> None:
    """Plot one measure where it was recorded."""
    points = [(record["step"], record[name]) for record in records if name in record]
    if points:
        steps, values = zip(*points, strict=True)
        panel.plot(steps, values, label=label, markersize=4, **style)


def _finish(panel: Axes, title: str, unit: str) -> None:
    panel.set_title(title)
    panel.set_ylabel(unit)
    if len(panel.get_lines()) > 1:
        panel.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
