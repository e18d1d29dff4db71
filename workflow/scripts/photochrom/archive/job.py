"""What is the same for all files of a run of `colorize`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from photochrom.archive.decisions import Decision
from photochrom.archive.hints import Hint
from photochrom.archive.provenance import Settings
from photochrom.archive.signing import Seal
from photochrom.calibration import Calibration
from photochrom.images import MAX_PIXELS
from photochrom.models import Model


@dataclass(frozen=True)
class Job:
    """The output folder, the model, and what the configuration asks for.

    `calibration` is None where the model's uncertainty was never compared with true errors;
    `uncalibrated` then says why. `review` holds what a person decided, by the path in the archive.
    Scans of more than `max_pixels` are refused by their headers. `seal` signs derivatives, if any.
    """

    out: Path
    model: Model
    settings: Settings
    threads: int
    hints: Sequence[Hint] = ()
    calibration: Calibration | None = None
    uncalibrated: str = "no calibration was given"
    review: Mapping[str, Decision] = field(default_factory=dict)
    max_pixels: int = MAX_PIXELS
    seal: Seal | None = None
