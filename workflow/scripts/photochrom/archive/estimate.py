"""What colorizing an archive will take, told before anything is written.

One picture of middling size is colorized, and thrown away; the headers of some others tell how
large the rest is.
"""

import json
import resource
import shutil
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from photochrom.archive.encode import DEPTHS, format_of
from photochrom.archive.job import Job
from photochrom.archive.picture import colorize_picture
from photochrom.archive.records import Planned, sidecar_path
from photochrom.archive.scan import open_scan
from photochrom.images import ImageError, open_image, path_from_text
from photochrom.runtime import StageError, duration

# Headers read to know the sizes of all.
SAMPLE = 200
# Scans tried for the timing: some cannot be decoded.
TRIES = 20
# Bytes a pixel of a JPEG of colour at high quality and full chroma, measured on photographs.
JPEG_BYTES = 1.0


def estimate(rows: Sequence[Planned], job: Job) -> list[str]:
    """Lines for a person: counts by format and status, time, disk, memory. Nothing is written."""
    todo = [row for row in rows if not row.status]
    formats = Counter(format_of(path_from_text(row.output), job.settings.format) for row in todo)
    refused = Counter(f"{row.status} ({row.reason})" for row in rows if row.status)
    finished = sum(_is_there(row, job) for row in todo)
    lines = [
        f"files: {len(rows):,}",
        "  to colorize: " + (_listed(formats) or "none"),
        *(["  not to be colorized: " + _listed(refused)] if refused else []),
        *([f"  seem finished already: {finished:,}"] if finished else []),
    ]
    left = len(todo) - finished
    if not left:
        return [*lines, "nothing is left to do"]
    sizes = _sizes(todo, job)
    timed = _timed(todo, job)
    if timed is None or not sizes:
        return [*lines, "time, disk and memory: unknown, as none of the files tried is a picture"]
    seconds, pixels = timed
    mean_pixels = statistics.fmean(size for size, _ in sizes)
    total_time = left * seconds * mean_pixels / pixels
    total_bytes = left * statistics.fmean(size for _, size in sizes)
    free = _free(job.out)
    return [
        *lines,
        f"time: about {duration(total_time)} for {left:,} files of {mean_pixels / 1e6:.2f} megapixels "
        f"each with {job.threads} thread{'s' if job.threads > 1 else ''} "
        f"({seconds:.2f} s for the one of {pixels / 1e6:.2f} megapixels that was timed)",
        f"disk: at most about {_bytes(total_bytes)}, of which {_bytes(free)} are free"
        + ("" if free > total_bytes else "; THAT IS TOO LITTLE"),
        f"memory: {_bytes(_peak())} with this model and that picture",
    ]


def _listed(counts: "Counter[str]") -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.most_common())


def _is_there(row: Planned, job: Job) -> bool:
    """Whether a derivative of this content by this model lies there, by its sidecar alone."""
    output = job.out / path_from_text(row.output)
    try:
        key = json.loads(sidecar_path(output).read_text(encoding="utf-8"))["key"]
        made_of = key["original_sha256"], key["model_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return made_of == (row.sha256, job.model.digest) and output.is_file()


def _sizes(todo: list[Planned], job: Job) -> list[tuple[int, float]]:
    """Pixels, and bytes at most of the derivative, of up to SAMPLE files spread over the archive."""
    found = []
    for row in todo[:: -(-len(todo) // SAMPLE)]:
        try:
            image = open_image(path_from_text(row.source))
        except (ImageError, OSError):
            continue
        name = format_of(path_from_text(row.output), job.settings.format)
        pixels = image.width * image.height
        bits = min(16 if image.format == "ushort" else 8, DEPTHS[name])
        each = {"jpeg": JPEG_BYTES, "pyramid": 4 / 3 * 3 * bits / 8}.get(name, 3 * bits / 8)
        found.append((pixels, pixels * each))
    return found


def _timed(todo: list[Planned], job: Job) -> tuple[float, int] | None:
    """Seconds and pixels of the first picture, from the middle size on, that can be colorized."""
    by_size = sorted(todo, key=lambda row: int(row.bytes))
    middle = len(by_size) // 2
    for row in (by_size[middle:] + by_size[:middle][::-1])[:TRIES]:
        started = time.monotonic()
        try:
            scan = open_scan(path_from_text(row.source))
            name = format_of(path_from_text(row.output), job.settings.format)
            made = colorize_picture(
                scan.picture, job.model, min(scan.bits, DEPTHS[name]), job.threads
            )
            made.picture.tiffsave_buffer(compression="deflate")
        except (ImageError, OSError):
            continue
        return time.monotonic() - started, scan.picture.width * scan.picture.height
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
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            break
        count /= 1000
    else:
        unit = "TB"
    return f"{count:.0f} {unit}" if unit == "bytes" or count >= 10 else f"{count:.1f} {unit}"
