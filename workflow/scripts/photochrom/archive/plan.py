"""Plan the colorizing of an archive: every file a row, every row a name for its derivative.

Nothing is decoded here. A file is read once for its SHA-256, which says to which shard it
belongs, so that a grown archive changes few shards and copies of one picture meet in one.

An archive is a folder, a zip or tar of one, or a table that lists files. Members of a zip or tar
are unpacked, because pictures are read from files, under names made of their own digests (see
`containers`, which distrusts them).
"""

import hashlib
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from photochrom.archive.pages import PDF_START, unpacked
from photochrom.archive.records import FAILED, FORMATS, ORIGINALS, SKIPPED, SUFFIXES, Planned
from photochrom.containers import ContainerError, is_container, members, store_content
from photochrom.images import TIFF_STARTS, ImageError, path_from_text, path_to_text
from photochrom.runtime import StageError, progress
from photochrom.tables import read_list

BUILTIN = "builtin"

LISTS = (".csv", ".tsv")

# The greyscale photographs that come with scikit-image. Its other grey pictures are no
# photographs: a hologram (cell), drawings, a checkerboard, a phantom.
BUILTIN_PHOTOGRAPHS = (
    "brick.png",
    "camera.png",
    "clock_motion.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "moon.png",
    "page.png",
    "text.png",
)

# A file name may have 255 bytes; the sidecar's and the temporary name need some of them.
MAX_NAME_BYTES = 200

# What the stages write into the output folder: a mirrored folder must not be called so.
RESERVED = {
    "status.csv",
    "manifest-sha256.txt",
    "events.csv",
    "review.html",
    "review",
    "plan",
    "status",
}


# What is said of a derivative that `name_outputs` had to give more than the original's stem.
NAMING = (
    "",
    "named in full, as another original has the same stem",
    "named with a digest, as names of originals differ only in case or in how they are written",
)


# What is said of a file whose pages are rows.
NOTED = ("its page is a row of its own", "its {} pages are rows of their own")


def plan_archive(
    archive: str, output_format: str = "same", folder: Path | None = None
) -> list[Planned]:
    """A row for every file of `archive`, in the order of paths.

    `archive` is a folder, a zip or tar, whose members are unpacked below `folder` (needed for these
    alone), a table with the column file (and name, its place in the mirrored tree), or the word
    builtin. Hidden files and
    folders are passed over. What cannot be a photograph by the word of the file system or of the
    zip alone (a pipe, a broken link, an empty or unreadable file) is a row with a status. The pages
    of a TIFF or PDF are rows as if it were a folder, where there is a `folder` to unpack them to.
    StageError when there is no such archive or no file in it.
    """
    if archive == BUILTIN:
        rows = [_plan_file(root, name) for root, name in _builtin_files()]
    else:
        root = Path(os.path.abspath(archive))  # resolve() would follow links
        if not root.exists():
            raise StageError(f"the archive {archive} does not exist")
        if root.is_dir():
            rows = list(_plan_folder(root))
        elif root.suffix.lower() in LISTS:
            rows = list(_plan_list(root))
        elif is_container(root):
            assert folder is not None, "a zip or tar needs a folder to be unpacked to"
            rows = list(_plan_container(root, folder / ORIGINALS))
        else:
            raise StageError(
                f"the archive {archive} is neither a folder nor a zip, tar or CSV list, or a "
                "damaged one"
            )
    if not rows:
        raise StageError(f"no files in the archive {archive} (hidden files are passed over)")
    if folder is not None:
        rows = [each for row in rows for each in _paged(row, folder / ORIGINALS)]
        _clear(folder / ORIGINALS, rows)
    rows.sort(key=lambda row: row.path)
    return name_outputs(rows, output_format)


def shard_count(todo: int, shard_size: int) -> int:
    """The smallest power of two of shards that hold `todo` files at `shard_size` on average."""
    if shard_size < 1:
        raise StageError(f"the shard size is {shard_size}; it must be 1 or more")
    return 1 << max(0, -(-todo // shard_size) - 1).bit_length()


def shard_rows(rows: list[Planned], shard_size: int) -> list[list[Planned]]:
    """The rows that are to be colorized, by shard: the leading bits of a file's SHA-256."""
    todo = [row for row in rows if not row.status]
    shards: list[list[Planned]] = [[] for _ in range(shard_count(len(todo), shard_size))]
    for row in todo:
        shards[int(row.sha256[:8], 16) * len(shards) >> 32].append(row)
    return shards


def _builtin_files() -> Iterator[tuple[Path, str]]:
    from importlib.util import find_spec

    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise StageError("the builtin archive needs the package scikit-image")
    folder = Path(spec.origin).parent / "data"
    for name in BUILTIN_PHOTOGRAPHS:
        yield folder, name


def _plan_folder(root: Path) -> Iterator[Planned]:
    """A row for each file below `root`; links to folders are named, not followed."""
    faults: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=faults.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in folders:
            if Path(folder, name).is_symlink():
                yield _refused(
                    root, Path(folder, name), SKIPPED, "a link to a folder, not followed"
                )
        for name in files:
            if not name.startswith("."):
                yield _plan_file(root, os.path.relpath(os.path.join(folder, name), root))
    for fault in faults:
        where = Path(os.fsdecode(fault.filename))
        yield _refused(root, where, FAILED, f"unreadable folder: {_why(fault)}")


def _plan_container(path: Path, store: Path) -> Iterator[Planned]:
    """A row for each member, unpacked to `store`.

    Where reading cannot go on, a row named like the archive says so.
    """

    def failed(name: str, reason: str) -> Planned:
        source = path_to_text(path) if name == path.name else f"{path_to_text(path)}#{name}"
        return Planned(path_to_text(Path(name)), source, "", "", "", FAILED, reason)

    try:
        for member in progress(members(path), None, f"reading {path.name}"):
            if member.error:
                yield failed(member.name, member.error)
                continue
            try:
                file, digest = store_content(member, store)
            except ContainerError as fault:
                yield failed(member.name, fault.reason)
                continue
            with file.open("rb") as opened:
                yield _usable(member.name, file, digest, file.stat().st_size, opened.read(16))
    except ContainerError as fault:
        yield failed(path.name, fault.reason)


def _clear(store: Path, rows: list[Planned]) -> None:
    """Remove what an earlier plan unpacked to `store` and this one not."""
    kept = {path_from_text(row.source).name for row in rows}
    for file in store.iterdir() if store.is_dir() else ():
        if file.name not in kept:
            file.unlink()


def _paged(row: Planned, store: Path) -> Iterator[Planned]:
    """The row of a file and those of its pages; of a file of one page the row alone."""
    if row.status or row.output not in ("tiff", "pdf"):
        yield row
        return
    source, name = path_from_text(row.source), path_from_text(row.path).name
    count = 0
    try:
        for page in unpacked(source, row.output, store):
            count = page.count
            place = replace(row, path=f"{row.path}/{page.name}")
            if page.file is None:
                status = FAILED if page.fault else SKIPPED
                yield replace(place, sha256="", output="", status=status, reason=page.detail)
                continue
            yield replace(
                place,
                source=path_to_text(page.file),
                sha256=page.sha256,
                bytes=str(page.file.stat().st_size),
                output="png" if row.output == "pdf" else "tiff",
                reason=f"page {page.number} of {count} of {path_to_text(Path(name))} "
                f"(SHA-256 {row.sha256}); {page.detail}",
            )
    except ImageError as error:
        status = SKIPPED if error.reason.startswith("format not supported") else FAILED
        yield replace(row, output="", status=status, reason=error.reason)
        return
    if count:
        yield replace(row, output="", status=SKIPPED, reason=NOTED[count > 1].format(count))
    else:
        yield row


def _plan_list(table: Path) -> Iterator[Planned]:
    """A row for each line of a table; a file is named from the table's folder on, or wholly.

    Its place in the mirrored tree is its name, or else its path from that folder on.
    """
    seen: dict[str, str] = {}
    for row in read_list(table, ("file",), ("name",)):
        path = Path(os.path.normpath(table.parent / path_from_text(row["file"])))
        below = path.relative_to(table.parent if path.is_relative_to(table.parent) else "/")
        place = Path(os.path.normpath(path_from_text(row["name"]))) if row["name"] else below
        name, line = path_to_text(place), row["line"]

        def refused(reason: str, name: str = name, path: Path = path) -> Planned:
            return Planned(name, path_to_text(path), "", "", "", FAILED, reason)

        if not row["file"]:
            yield refused(f"line {line} of {table.name} names no file", f"line {line}")
        elif place.is_absolute() or place.parts[0] == "..":
            yield refused(f"line {line} of {table.name}: its name leads out of the archive")
        elif name in seen:
            yield refused(
                f"line {seen[name]} of {table.name} has its name", f"{name} (line {line})"
            )
        else:
            seen[name] = line
            planned = _plan_file(path.parent, path.name)
            yield replace(planned, path=name)


def _plan_file(root: Path, name: str) -> Planned:
    """The row of one file; `output` holds only the format until `name_outputs` has run."""
    path = root / name
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return _refused(root, path, FAILED, "not a regular file")
        # O_NONBLOCK: should the name have become a pipe since, opening it must not wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            start = file.read(16)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        return _refused(root, path, FAILED, f"unreadable: {_why(error)}")
    return _usable(name, path, digest, size, start)


def _usable(name: str, path: Path, digest: str, size: int, start: bytes) -> Planned:
    """The row of a file that could be read, and begins with `start`."""
    row = Planned(
        path=path_to_text(Path(name)),
        source=path_to_text(path),
        sha256=digest,
        bytes=str(size),
        output=content_format(start),
        status="",
        reason="",
    )
    if size == 0:
        return replace(row, output="", status=FAILED, reason="zero bytes")
    return row


def _refused(root: Path, path: Path, status: str, reason: str) -> Planned:
    name = "." if path == root else os.path.relpath(path, root)
    return Planned(path_to_text(Path(name)), path_to_text(path), "", "", "", status, reason)


def _why(error: OSError) -> str:
    """The system's words for a fault, without the errno and the path."""
    return (error.strerror or str(error)).lower()


def content_format(start: bytes) -> str:
    """The format that a file's first 12 bytes tell: jpeg, png, tiff, webp, pdf; png for any other.

    PNG holds whatever else can be decoded (GIF, PPM, ...) without a loss.
    """
    if start.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if start.startswith(TIFF_STARTS):
        return "tiff"
    if start.startswith(PDF_START):
        return "pdf"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "webp"
    return "png"


def name_outputs(rows: list[Planned], output_format: str) -> list[Planned]:
    """Give every row that is to be colorized the name of its derivative.

    `<stem>.colorized.<ext>` in a mirrored tree; the original's full name instead of its stem
    where two would collide, also on file systems that ignore case or normalize Unicode; and a
    part of the path's digest where even that collides or the name is too long. The names are
    printable: other bytes of an original's name stand as %XX in its derivative's.
    """
    if output_format not in FORMATS:
        raise StageError(f"format is {output_format}; it may be {', '.join(FORMATS)}")
    levels = {row.path: 0 for row in rows if not row.status}
    while True:
        names = {
            row.path: _output_name(row, output_format, levels[row.path])
            for row in rows
            if not row.status
        }
        taken = Counter(_folded(name) for output in names.values() for name in _files(output))
        taken.update({_folded(name) for output in names.values() for name in _folders(output)})
        clashing = [
            path
            for path, output in names.items()
            if levels[path] < 2 and any(taken[_folded(name)] > 1 for name in _files(output))
        ]
        if not clashing:
            break
        for path in clashing:
            levels[path] += 1
    return [
        replace(
            row,
            output=path_to_text(Path(names[row.path])),
            reason="; ".join(filter(None, (row.reason, NAMING[levels[row.path]]))),
        )
        if row.path in names
        else row
        for row in rows
    ]


def _output_name(row: Planned, output_format: str, level: int) -> str:
    """The derivative's path; `level` 0 keeps the stem, 1 the full name, 2 adds a digest."""
    original = PurePosixPath(row.path.replace("%25", "%"))
    # A PDF whose pages were not unpacked is refused where it is read.
    kind = "png" if row.output == "pdf" else row.output
    suffixes = SUFFIXES[kind if output_format == "same" else output_format]
    suffix = original.suffix if original.suffix.lower() in suffixes else suffixes[0]
    end = f".colorized{suffix}"
    stem = original.stem if level == 0 else original.name
    if level == 2:
        stem += "~" + hashlib.sha256(row.path.encode()).hexdigest()[:10]
    folders = [_shortened(folder, MAX_NAME_BYTES) for folder in original.parts[:-1]]
    if folders and folders[0].lower() in RESERVED:
        folders[0] = "_" + folders[0]
    return str(PurePosixPath(*folders, _shortened(stem, MAX_NAME_BYTES - len(end)) + end))


def _shortened(name: str, limit: int) -> str:
    """The name in at most `limit` bytes; one too long ends in a digest, so that it stays unique."""
    encoded = name.encode()
    if len(encoded) <= limit:
        return name
    tag = "~" + hashlib.sha256(encoded).hexdigest()[:10]
    return encoded[: limit - len(tag)].decode("utf-8", "ignore") + tag


def _files(output: str) -> tuple[str, str]:
    return output, f"{output}.json"


def _folders(output: str) -> list[str]:
    return [str(folder) for folder in PurePosixPath(output).parents][:-1]


def _folded(name: str) -> str:
    """The name as a file system sees it that ignores case and Unicode's normal forms."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
