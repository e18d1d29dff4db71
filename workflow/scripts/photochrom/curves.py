"""curves.svg: how one training phase went."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

Record = Mapping[str, Any]

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


def curves_svg(records: Sequence[Record], title: str) -> str:
    """The log of one phase as an SVG drawing, in panels that share the axis of steps.

    The panels are the L1 error on training and validation pictures, the adversarial losses where
    the phase has them, and PSNR and colourfulness of the validation pictures.
    """
    train = [record for record in records if record["kind"] == "train"]
    val = [record for record in records if record["kind"] == "val"]
    adversarial = any("d" in record for record in train)
    with plt.rc_context(STYLE):
        rows = 4 if adversarial else 3
        figure, panels = plt.subplots(
            rows, 1, sharex=True, figsize=(7.5, 2.1 * rows + 0.8), layout="constrained"
        )
        remaining = iter(panels)
        panel = next(remaining)
        _line(panel, train, "l1", "training")
        _line(panel, val, "l1", "validation", marker="o")
        _finish(panel, "Mean error of a*, b*", "110 Lab units")
        if adversarial:
            panel = next(remaining)
            for name in ADVERSARIAL:  # a phase has one of them
                _line(panel, train, name, "network")
            _line(panel, train, "d", "discriminator")
            _finish(panel, "Adversarial losses", "cross-entropy, nats" if "gan" in train[0] else "")
        panel = next(remaining)
        _line(panel, val, "psnr_rgb", "predictions", marker="o")
        _finish(panel, "PSNR of the validation pictures, sRGB", "dB")
        panel = next(remaining)
        _line(panel, val, "colourfulness", "predictions", marker="o")
        _line(panel, val, "colourfulness_truth", "photographs", linestyle="--")
        _finish(panel, "Colourfulness of the validation pictures", "Hasler–Süsstrunk")
        panel.set_ylim(bottom=0)
        panel.set_xlabel("step")
        figure.suptitle(title, x=0.01, ha="left", fontsize=14)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
    return buffer.getvalue()


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
