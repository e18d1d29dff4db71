"""A digest of a folder's names and contents, so that any change below it is noticed.

Snakemake compares a directory by its own time only and sees neither nested additions nor edits.
The digest becomes a parameter of the first rule that reads the folder. A file is read again only
when its size or times changed; touching a file therefore costs one reading and changes nothing.
Only the standard library is used, because this runs while the workflow is planned.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path


def regular_files(root: Path) -> Iterator[tuple[bytes, os.stat_result]]:
    """Names relative to `root` (bytes, sorted) of its regular files, hidden ones left out.

    Links to directories are not followed, so that loops cannot trap; links to files are.
    """
    base = os.fsencode(root)
    for folder, names, files in os.walk(base):
        names[:] = sorted(name for name in names if not name.startswith(b"."))
        for name in sorted(files):
            if name.startswith(b"."):
                continue
            path = os.path.join(folder, name)
            try:
                status = os.stat(path)
            except OSError:
                continue  # a dangling link: the stage that reads the folder reports it
            if os.path.isfile(path):
                yield os.path.relpath(path, base), status


def tree_digest(root: Path, cache: Path) -> str:
    """Hex SHA-256 over the names and contents below `root` (or of the one file `root`).

    `cache` is a folder for the digests of single files, keyed by size, time and inode. A file
    that cannot be read counts with that fact; the stage that reads the folder reports it.
    """
    if root.is_file():
        files: Iterator[tuple[bytes, os.stat_result]] = iter([(b"", root.stat())])
    else:
        files = regular_files(root)
    store = cache / f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]}.json"
    known = _read_cache(store)
    fresh: dict[str, list[object]] = {}
    total = hashlib.sha256()
    told = time.monotonic()
    for count, (name, status) in enumerate(files, start=1):
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        key = name.hex()
        entry = known.get(key)
        if entry is not None and entry[:4] == stamp:
            digest = str(entry[4])
        else:
            digest = _file_digest(os.path.join(os.fsencode(root), name) if name else root)
        fresh[key] = [*stamp, digest]
        total.update(len(name).to_bytes(4, "big") + name + digest.encode())
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print(
                f"photochrom: reading {root} to notice changes: {count} files so far "
                "(once; later runs read only what changed)",
                file=sys.stderr,
            )
    if fresh != known:
        _write_cache(store, fresh)
    return total.hexdigest()


def _file_digest(path: bytes | Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _read_cache(store: Path) -> dict[str, list[object]]:
    try:
        known = json.loads(store.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}  # no cache, or a damaged one: read everything
    return known if isinstance(known, dict) else {}


def _write_cache(store: Path, entries: dict[str, list[object]]) -> None:
    store.parent.mkdir(parents=True, exist_ok=True)
    temporary = store.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(entries), encoding="ascii")
    temporary.replace(store)
