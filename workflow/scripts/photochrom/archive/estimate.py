"""What colorizing an archive will take, told before anything is written to the output folder.

One picture of middling size in each format is colorized in a scratch folder, exactly as it will be,
and thrown away; the headers of others tell how large the rest is.
"""

import json
import resource
import shutil
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from photochrom.archive.colorize import colorize_rows
from photochrom.archive.encode import format_of
from photochrom.archive.job import Job
from photochrom.archive.records import DONE, WARNING, Planned, sidecar_path
from photochrom.images import ImageError, open_image, path_from_text
from photochrom.runtime import StageError, duration

# Headers read in each format to know the sizes of all.
SAMPLE = 100
# Scans tried in each format for the timing: some cannot be decoded, or are in colour already.
TRIES = 10


@dataclass(frozen=True)
class Trial:
    """One picture colorized: how long it took, what it left on the disk, and its pixels."""

    seconds: float
    size: int
    pixels: int


def estimate(rows: Sequence[Planned], job: Job) -> list[str]:
    """Lines for a person: counts by format and status, time, disk, memory.

    `rows` are those of the plan. Nothing is written to the job's output folder.
    """
    todo = [row for row in rows if not row.status]
    refused = Counter(f"{row.status} ({row.reason})" for row in rows if row.status)
    left: dict[str, list[Planned]] = {}
    for row in todo:
        if not _is_there(row, job):
            left.setdefault(_format(row, job), []).append(row)
    count = sum(map(len, left.values()))
    lines = [
        f"files: {len(rows):,}",
        f"to colorize: {_listed(Counter(_format(row, job) for row in todo)) or 'none'}",
        f"not to be colorized: {_listed(refused) or 'none'}",
        f"seem finished already: {len(todo) - count:,}",
    ]
    if not count:
        return [*lines, "nothing is left to do"]
    seconds = size = 0.0
    for name, group in left.items():
        trial, pixels = _trial(group, job), _mean_pixels(group)
        if trial is None or pixels is None:
            lines.append(f"{name}: unknown, as none of the files tried can be colorized")
            continue
        seconds += len(group) * trial.seconds * pixels / trial.pixels
        size += len(group) * trial.size * pixels / trial.pixels
        lines.append(
            f"{name}: {len(group):,} files of {pixels / 1e6:.2f} megapixels on average; "
            f"one of {trial.pixels / 1e6:.2f} took {trial.seconds:.2f} s "
            f"and {_bytes(trial.size)} with what stands beside it"
        )
    if not size:
        return [*lines, "time, disk and memory: unknown"]
    free = _free(job.out)
    return [
        *lines,
        f"time: about {duration(seconds)} in one process of {job.threads} thread"
        + ("s" if job.threads > 1 else ""),
        f"disk: about {_bytes(size)}; {_bytes(free)} are free"
        + ("" if free > size else ", WHICH IS TOO LITTLE"),
        f"memory: {_bytes(_peak())} with this model and these pictures",
    ]


def _listed(counts: "Counter[str]") -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common())


def _format(row: Planned, job: Job) -> str:
    return format_of(path_from_text(row.output), job.settings.format)


def _is_there(row: Planned, job: Job) -> bool:
    """Whether a derivative of this content by this model lies there, by its sidecar alone."""
    output = job.out / path_from_text(row.output)
    try:
        key = json.loads(sidecar_path(output).read_text(encoding="utf-8"))["key"]
        made_of = key["original_sha256"], key["model_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return made_of == (row.sha256, job.model.digest) and output.is_file()


def _pixels(row: Planned) -> int | None:
    """By the header alone; None where there is none to read."""
    try:
        image = open_image(path_from_text(row.source))
    except (ImageError, OSError):
        return None
    return int(image.width * image.height)


def _mean_pixels(group: Sequence[Planned]) -> float | None:
    """Of up to SAMPLE files spread over the archive."""
    sizes = [_pixels(row) for row in group[:: -(-len(group) // SAMPLE)]]
    known = [size for size in sizes if size is not None]
    return statistics.fmean(known) if known else None


def _trial(group: Sequence[Planned], job: Job) -> Trial | None:
    """The first picture, from the middle by bytes on, that can be colorized."""
    by_size = sorted(group, key=lambda row: int(row.bytes))
    middle = len(by_size) // 2
    for row in (by_size[middle:] + by_size[:middle][::-1])[:TRIES]:
        with tempfile.TemporaryDirectory(prefix="photochrom-") as scratch:
            (status,) = colorize_rows([row], replace(job, out=Path(scratch)))
            size = sum(path.stat().st_size for path in Path(scratch).rglob("*") if path.is_file())
        pixels = _pixels(row)
        if status.status in (DONE, WARNING) and pixels:
            return Trial(float(status.seconds), size, pixels)
    return None


def _free(out: Path) -> int:
    """Bytes free where the output folder is or will be."""
    there = out.absolute()
    while not there.exists():
        there = there.parent
    try:
        return shutil.disk_usage(there).free
    except OSError as error:
        raise StageError(f"cannot look at the disk of {out}: {error.strerror}") from error


def _peak() -> int:
    """The most memory that this process has held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _bytes(count: float) -> str:
    """Two digits at least, in the largest unit that leaves 1 or more."""
    power = min(4, max(0, (len(str(int(count))) - 1) // 3))
    value = count / 1000**power
    unit = ("bytes", "kB", "MB", "GB", "TB")[power]
    return f"{value:.1f} {unit}" if power and value < 10 else f"{value:.0f} {unit}"
