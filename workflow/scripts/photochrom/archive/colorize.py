"""Colorize the files of one shard: each becomes a derivative with a sidecar, or a stated reason.

Originals are only ever opened for reading. A derivative is written before its sidecar, each
atomically, so that a sidecar stands for a whole picture; what a killed run has finished is known by
the digests in it and is not done again.
"""

import errno
import os
import shutil
import stat
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from photochrom.archive.decisions import REJECT, Decision
from photochrom.archive.encode import (
    DEPTHS,
    EncodeError,
    format_of,
    probe_room,
    write_picture,
)
from photochrom.archive.hints import Hint, cited, hints_for, within
from photochrom.archive.job import Job
from photochrom.archive.metadata import Copy, exiftool_version, lost_tags, tag_copier
from photochrom.archive.picture import Colorized, colorize_picture, reduced_hints
from photochrom.archive.provenance import (
    Key,
    Settings,
    code_digest,
    finished,
    settings_digest,
)
from photochrom.archive.records import (
    DONE,
    FAILED,
    ORIGINALS,
    SKIPPED,
    WARNING,
    Planned,
    Status,
    samples_path,
    sidecar_path,
    uncertainty_path,
)
from photochrom.archive.samples import contact_sheet, uncertainty_png
from photochrom.archive.scan import Scan, open_scan
from photochrom.archive.sidecar import sidecar_record, warnings_of
from photochrom.archive.xmp import XmpError, xmp_packet
from photochrom.images import ImageError, path_from_text
from photochrom.runtime import (
    StageError,
    atomic_path,
    cannot_write,
    log,
    progress,
    sha256_file,
    write_bytes,
    write_json,
)
from photochrom.uncertainty import check_samples

# Suffixes by which a file says that it is a photograph: if it is none, that is a failure. Any
# other file (a text, a catalogue) is passed over.
PHOTOGRAPH_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "tif", "tiff", "webp"),
        *("gif", "bmp", "heic", "heif", "avif", "jp2", "jxl"),
    )
)

# `images.open_image`'s words for what is no photograph, if its name does not claim to be one.
NOT_PHOTOGRAPHS = ("not an image", "format not supported: PDF", "format not supported: SVG")


# Pixels a millimetre of a picture that states no resolution: libvips writes them as if they were.
NO_RESOLUTION = (1.0, 1.0)

# What formats are called that derivatives cannot have.
FORMAT_NAMES = {"jpeg2000": "JPEG 2000", "heif": "HEIC or AVIF"}


class RefusedError(Exception):
    """A file that gets no derivative: its status (failed or skipped) and the reason."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def colorize_rows(rows: list[Planned], job: Job) -> list[Status]:
    """Colorize the files of a shard; a status for every row, in the order of the rows.

    Files with the same content are computed once. Raises StageError when an original lies in the
    output folder (but for those that the plan unpacked there), or when that cannot be written to.
    """
    target = job.out.resolve()
    for row in rows:
        original = path_from_text(row.source).resolve()
        unpacked = original.parent == target / "plan" / ORIGINALS
        if original.is_relative_to(target) and not unpacked:
            raise StageError(
                f"the original {original} lies in the output folder {job.out}; choose another"
            )
    check_format(rows, job.settings)
    if job.settings.samples:
        check_samples(job.model)
    code = code_digest()
    by_path = {row.path: row for row in rows}
    first: dict[str, Planned] = {}
    for row in rows:
        first.setdefault(row.sha256, row)
    made: dict[Key, dict[str, Any]] = {}
    before = 0
    statuses = []
    with tag_copier() as copy:
        for row in progress(rows, len(rows), "colorize"):
            started = time.monotonic()
            hints = hints_for(job.hints, row.path)
            decision = _decision(row, job)
            here = (
                job if decision is None else replace(job, settings=decision.settings(job.settings))
            )
            key = Key(row.sha256, job.model.digest, _settings_digest(here, hints, copy), code)
            output = job.out / path_from_text(row.output)
            same_as = "" if first[row.sha256] is row else first[row.sha256].path
            try:
                if decision and decision.decision == REJECT:
                    _drop(output, job.out)
                    raise RefusedError(SKIPPED, decision.words())
                record = _finished(row, output, key)
                if record:
                    before += 1
                elif key in made:
                    record = _copy(row, output, made[key], by_path, here)
                else:
                    record = _make(row, output, key, hints, here, copy)
                made.setdefault(key, record)
                statuses.append(_status(row, record, same_as, time.monotonic() - started))
            except RefusedError as refusal:
                log.info("%s: %s (%s)", row.path, refusal.status, refusal.reason)
                statuses.append(
                    Status(
                        path=row.path,
                        status=refusal.status,
                        reason=refusal.reason,
                        source=row.source,
                        source_sha256=row.sha256,
                        model_sha256=job.model.digest,
                        seconds=f"{time.monotonic() - started:.3f}",
                    )
                )
    if before:
        log.info("%d already finished", before)
    return statuses


def check_apart(archive: Path, out: Path) -> None:
    """StageError unless the archive and the output folder lie outside each other."""
    root, target = archive.resolve(), out.resolve()
    if target.is_relative_to(root):
        raise StageError(
            f"the output folder {out} lies inside the archive {archive}; choose one outside"
        )
    if root.is_relative_to(target):
        raise StageError(
            f"the archive {archive} lies inside the output folder {out}; choose another output"
        )


def check_format(rows: list[Planned], settings: Settings) -> None:
    """StageError when the plan named the outputs for another format than the settings ask for."""
    for row in rows:
        named = format_of(path_from_text(row.output), settings.format)
        if settings.format not in ("same", named):
            raise StageError(
                f"the plan names {row.output}, the settings ask for format {settings.format}; "
                "make the plan again with plan.py --format"
            )


def _finished(row: Planned, output: Path, key: Key) -> dict[str, Any] | None:
    record = finished(output, sidecar_path(output), key)
    if record is None or record["original"]["path"] != row.path:
        return None
    return record if not row.reason or row.reason in record["notes"] else None


def _decision(row: Planned, job: Job) -> Decision | None:
    """What a person decided about this file and its colours, if anything."""
    decision = job.review.get(row.path)
    applies = decision is not None and decision.applies(row.sha256, job.model.digest)
    return decision if applies else None


def _drop(output: Path, out: Path) -> None:
    """Take a rejected derivative away, its sidecar first: what stands without one is unfinished."""

    def drop() -> None:
        for path in (sidecar_path(output), output, uncertainty_path(output), samples_path(output)):
            path.unlink(missing_ok=True)

    _write(output, out, drop)


def _settings_digest(job: Job, hints: list[Hint], copy: Copy | None) -> str:
    """The digest of everything but pixels and model that shapes one file's derivative."""
    calibration = None if job.calibration is None else asdict(job.calibration)
    extra: dict[str, Any] = {
        "hints": cited(hints),
        "calibration": calibration,
        "exiftool": copy is not None,
    }
    if job.seal:
        extra["seal"] = job.seal.certificate
    return settings_digest(job.settings, extra)


def _make(
    row: Planned, output: Path, key: Key, hints: list[Hint], job: Job, copy: Copy | None
) -> dict[str, Any]:
    """Colorize one file: the sidecar of the derivative written. Raises RefusedError."""
    source = path_from_text(row.source)
    state = _state(source)
    name = format_of(output, job.settings.format)
    try:
        if sha256_file(source) != row.sha256:
            raise RefusedError(FAILED, "changed since the plan was made; run the plan again")
        scan = open_scan(source, job.max_pixels)
        notes = [*([row.reason] if row.reason else []), *_judge_tint(scan, job.settings)]
        notes += _another_format(scan, name, job.settings.format)
        hints, doubts = within(hints, scan.picture.width, scan.picture.height)
        doubts += reduced_hints(scan.picture, hints)
        picture = colorize_picture(
            scan.picture,
            job.model,
            min(scan.bits, DEPTHS[name]),
            job.threads,
            saturation=job.settings.saturation,
            abstain=job.settings.abstain,
            hints=hints,
        )
        sheet = _sheet(scan, picture, row.sha256, job)
    except ImageError as error:
        raise _refusal(source, error.reason) from error
    except OSError as error:
        raise _unreadable(error) from error
    except MemoryError as error:
        raise RefusedError(FAILED, f"too large for the memory: {row.bytes} bytes") from error
    if _state(source) != state:
        raise RefusedError(FAILED, "changed while it was read; run the plan again")
    packet, fault = _packet(row.sha256, scan, job.settings.digital_source_type)
    metadata: dict[str, Any] = {"exiftool": None, "not_carried": ["XMP"] if fault else []}
    if (scan.picture.xres, scan.picture.yres) == NO_RESOLUTION:
        metadata["resolution"] = "the original states none; 25.4 dpi stand for none here"

    def finish(encoded: Path) -> None:
        _carry(encoded, source=source, scan=scan, copy=copy, metadata=metadata)
        if job.seal:
            job.seal.sign(encoded, name, job.settings.digital_source_type, row.sha256)

    _write(
        output,
        job.out,
        lambda: write_picture(
            output, picture.picture, scan, packet, name, finish, job.settings.caption
        ),
    )
    for path, content in _beside(output, picture, sheet, job):
        _write(output, job.out, partial(write_bytes, path, content))
    record = sidecar_record(
        row=row,
        key=key,
        job=job,
        scan=scan,
        picture=picture,
        output=output,
        metadata=metadata,
        hints=hints,
        notes=notes,
        warnings=warnings_of(scan, picture, name) + doubts + fault,
    )
    _write(output, job.out, lambda: write_json(sidecar_path(output), record))
    return record


def _carry(
    encoded: Path, *, source: Path, scan: Scan, copy: Copy | None, metadata: dict[str, Any]
) -> None:
    """Bring the original's tags into the encoded file; `metadata` gets what could not come."""
    lost = lost_tags(source, scan.picture, encoded)
    if lost and copy is not None:
        complaint = copy(source, encoded)
        if complaint:
            descriptor = os.open(encoded, os.O_WRONLY | os.O_CLOEXEC)
            try:
                probe_room(descriptor)
            finally:
                os.close(descriptor)
            metadata["complaint"] = complaint
        metadata["exiftool"] = exiftool_version()
        lost = lost_tags(source, scan.picture, encoded)
    metadata["not_carried"] += lost


def _judge_tint(scan: Scan, settings: Settings) -> list[str]:
    """What is to be said of the colour that a scan has; RefusedError where it is to be skipped."""
    limit, tint = settings.coloured_deviation, scan.tint
    if settings.skip_coloured and tint.coloured(limit):
        raise RefusedError(SKIPPED, f"already in colour (deviation {tint.deviation:.1f})")
    if not tint.toned(limit):
        return []
    if settings.toned == "skip":
        raise RefusedError(SKIPPED, f"toned (mean chroma {tint.chroma:.1f})")
    return [f"toned: its tint (mean chroma {tint.chroma:.1f}) was taken out"]


def _another_format(scan: Scan, name: str, wanted: str) -> list[str]:
    """What is to be said where a derivative was to have the scan's format and cannot."""
    kind = scan.loader.split("load")[0].removeprefix("pillow-").removesuffix("-tiff")
    if wanted != "same" or name != "png" or kind == "png":
        return []
    return [f"written as PNG: derivatives cannot be {FORMAT_NAMES.get(kind, kind.upper())}"]


def _sheet(scan: Scan, picture: Colorized, sha256: str, job: Job) -> bytes | None:
    """The contact sheet of samples, where one is asked for."""
    if not job.settings.samples:
        return None
    return contact_sheet(scan.picture, job.model, picture.seen, job.settings.samples, sha256)


def _beside(
    output: Path, picture: Colorized, sheet: bytes | None, job: Job
) -> list[tuple[Path, bytes]]:
    """The pictures that stand beside a derivative: (path, content)."""
    made = []
    if job.settings.uncertainty:
        size = picture.picture.width, picture.picture.height
        made.append((uncertainty_path(output), uncertainty_png(picture.uncertainty, *size)))
    if sheet is not None:
        made.append((samples_path(output), sheet))
    return made


def _packet(original_sha256: str, scan: Scan, kind: str) -> tuple[bytes, list[str]]:
    """The derivative's XMP, and a warning where the scan's own could not be carried over."""
    try:
        return xmp_packet(original_sha256, scan.xmp, kind), []
    except XmpError as error:
        return xmp_packet(original_sha256, None, kind), [f"{error} and was left out"]


def _copy(
    row: Planned, output: Path, twin: dict[str, Any], by_path: dict[str, Planned], job: Job
) -> dict[str, Any]:
    """The derivative of a file whose twin, the same to the bit, has one already."""

    source = job.out / path_from_text(twin["output"]["path"])

    def copy(name: Callable[[Path], Path]) -> None:
        with atomic_path(name(output)) as temporary:
            shutil.copyfile(name(source), temporary)

    names: list[Callable[[Path], Path]] = [lambda path: path]
    names += [uncertainty_path] if job.settings.uncertainty else []
    names += [samples_path] if job.settings.samples else []
    for name in names:
        _write(output, job.out, partial(copy, name))
    of_twin = by_path[twin["original"]["path"]].reason
    notes = [note for note in twin["notes"] if note != of_twin]
    record = {
        **twin,
        "original": {**twin["original"], "path": row.path},
        "output": {**twin["output"], "path": row.output},
        "notes": [*([row.reason] if row.reason else []), *notes],
    }
    _write(output, job.out, lambda: write_json(sidecar_path(output), record))
    return record


def _write(output: Path, out: Path, write: Callable[[], None]) -> None:
    """Write something beside or at `output`; StageError when the file system refuses for good."""
    if not output.parent.resolve().is_relative_to(out.resolve()):
        raise StageError(f"{output.parent} leads out of the output folder {out}: a link?")
    try:
        write()
    except EncodeError as error:
        raise RefusedError(FAILED, str(error)) from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise RefusedError(FAILED, "the path of its derivative is too long") from error
        raise cannot_write(error, output) from error


def _refusal(source: Path, reason: str) -> RefusedError:
    """Whether a file that cannot be decoded failed, or never claimed to be a photograph."""
    if reason.startswith("multi-page"):
        return RefusedError(SKIPPED, reason)
    claims = source.suffix.lower() in PHOTOGRAPH_SUFFIXES
    other = reason in NOT_PHOTOGRAPHS
    return RefusedError(SKIPPED if other and not claims else FAILED, reason)


def _unreadable(error: OSError) -> RefusedError:
    return RefusedError(FAILED, f"unreadable: {(error.strerror or str(error)).lower()}")


def _state(source: Path) -> tuple[int, ...]:
    """What changes when a file is written to or replaced."""
    try:
        status = source.stat()
    except OSError as error:
        raise _unreadable(error) from error
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError(FAILED, "not a regular file")
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _status(row: Planned, record: dict[str, Any], same_as: str, seconds: float) -> Status:
    reasons = [*record["warnings"], *record["notes"]]
    confidence = record["uncertainty"]["confidence"]
    if same_as:
        reasons.append(f"same file as {same_as}")
    return Status(
        path=row.path,
        status=WARNING if record["warnings"] else DONE,
        reason="; ".join(reasons),
        output=row.output,
        sidecar=row.output + ".json",
        source=row.source,
        source_sha256=row.sha256,
        output_sha256=record["output"]["sha256"],
        model_sha256=record["key"]["model_sha256"],
        max_dL=f"{record['lightness']['max_dL']:.5f}",
        mean_dL=f"{record['lightness']['mean_dL']:.5f}",
        confidence="" if confidence is None else f"{confidence:.4f}",
        seconds=f"{seconds:.3f}",
    )
