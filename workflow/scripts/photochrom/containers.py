"""Zips and tars, read as a stream and distrusted.

Members are checked one by one and written under names made of their own digests, so no name in an
archive can become a path. What is not read is a member with a reason all the same: names that lead
out of the archive, links and other non-files, sparse files, encrypted or damaged members, names
that come up twice, and bombs. Where reading cannot go on (the archive is cut off, or would unpack
to too much) that is a ContainerError.
"""

import bz2
import gzip
import hashlib
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Self

from photochrom.images import path_to_text

MAX_MEMBERS = 2_000_000
MAX_MEMBER_BYTES = 2 << 30  # 300 MP of 16-bit RGB are less
# How much larger than stored a member, or the whole archive, may unpack to. Photographs, even
# uncompressed ones, shrink to a third at best; blank pages reach more, hence the allowance.
MAX_RATIO = 200
RATIO_ALLOWANCE = 64 << 20
# Tar keeps long names in members of their own, which tarfile reads into memory whole.
MAX_NAME_BYTES = 1 << 20
MAX_NAME = 4096  # characters; no file could be called more, and no cell of a table holds 2 ** 17

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")

_CHUNK = 1 << 20
_TAR_NAMES = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
# zipfile can also read bzip2 and LZMA, but only by unpacking all that it has read at once.
_ZIP_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_UNPACKERS: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
# What damaged archives make the standard library raise. RecursionError: header upon header.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RecursionError,
)


class ContainerError(Exception):
    """An archive or a member that cannot be read (further); `reason` says why in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _not_read() -> IO[bytes]:
    raise ContainerError("not read")


@dataclass(frozen=True)
class Member:
    """One file in an archive; `error` is empty, or why it is not read."""

    name: str
    error: str
    open: Callable[[], IO[bytes]] = _not_read


def is_container(path: Path) -> bool:
    """Whether a file is a zip or tar (plain, gzip, bzip2 or xz), by content."""
    try:
        with path.open("rb") as file:
            if file.read(4) in (b"PK\x03\x04", b"PK\x05\x06"):
                return True
        with _open_tar(path) as archive:
            return archive.next() is not None
    except _DAMAGE:
        return False


def members(path: Path) -> Iterator[Member]:
    """The files in an archive, without hidden ones; each must be read before the next is asked for.

    Raises ContainerError where reading cannot go on.
    """
    read = _zip_members if zipfile.is_zipfile(path) and _starts_as_zip(path) else _tar_members
    seen: set[str] = set()
    try:
        for number, member in enumerate(read(path), start=1):
            if number > MAX_MEMBERS:
                raise ContainerError(f"more than {MAX_MEMBERS} members: the rest is not read")
            parts = [part for part in member.name.split("/") if part not in ("", ".")]
            name = "/".join(parts)
            fault = _name_fault(member.name)
            if fault:
                yield Member(member.name[:MAX_NAME], fault)
            elif not parts:
                yield Member(member.name, "it has no name")
            elif parts[0] != "__MACOSX" and not any(p.startswith(".") for p in parts):
                twice = "the name comes up twice in the archive" if name in seen else ""
                seen.add(name)
                yield Member(name, member.error or twice, member.open)
    except _DAMAGE as error:
        raise ContainerError(f"the archive is cut off or damaged: {_words(error)}") from error


def _zip_members(path: Path) -> Iterator[Member]:
    limit = _unpacked_limit(path)
    unpacked = 0
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.filename.endswith("/"):  # is_dir() stumbles over an empty name
                continue
            mode = info.external_attr >> 16
            error = ""
            if stat.S_ISLNK(mode):
                error = "a link, not followed"
            elif mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                error = "not a regular file"
            elif info.flag_bits & 0x1:
                error = "encrypted"
            elif info.compress_type not in _ZIP_METHODS:
                error = f"compressed in a way that is not supported (method {info.compress_type})"
            elif info.file_size > MAX_RATIO * info.compress_size + RATIO_ALLOWANCE:
                error = f"would unpack to over {MAX_RATIO} times its size: taken for a bomb"
            error = error or _size_fault(info.file_size)
            if not error:
                unpacked += info.file_size
                if unpacked > limit:
                    raise ContainerError(_bomb(info.filename))
            yield Member(info.filename, error, partial(archive.open, info))


def _tar_members(path: Path) -> Iterator[Member]:
    limit = _unpacked_limit(path)
    unpacked = 0
    with _open_tar(path) as archive:
        while (info := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # it would remember them all
            if not info.issparse():
                # Also what is passed over has to be unpacked, since the file is a stream.
                unpacked += info.size
                if unpacked > limit:
                    raise ContainerError(_bomb(info.name))
            if info.isdir():
                continue
            error = ""
            if info.issym() or info.islnk():
                error = "a link, not followed"
            elif info.issparse():
                error = "a sparse file, not read"
            elif not info.isreg():
                error = "not a regular file"
            yield Member(info.name, error or _size_fault(info.size), partial(_open, archive, info))
        if not isinstance(archive.last_header, tarfile.EOFHeaderError):  # type: ignore[attr-defined]
            raise ContainerError("the archive is cut off or damaged: it has no end mark")


class _Tar(tarfile.TarFile):
    """A tar that remembers how its headers ended: tarfile takes a damaged one for the end."""

    last_header: Exception | None = None


class _Header(tarfile.TarInfo):
    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except Exception as error:
            tarfile.last_header = error  # type: ignore[attr-defined]
            raise

    # tarfile's own place to treat kinds of members differently.
    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _TAR_NAMES and self.size > MAX_NAME_BYTES:
            raise tarfile.ReadError(f"a name of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


@contextmanager
def _open_tar(path: Path) -> Iterator[_Tar]:
    """A tar as a stream, unpacked a little at a time, which tarfile itself would not do: a few
    bytes of bzip2 can hold gigabytes."""
    with path.open("rb") as file:
        start = file.peek(6)[:6]
        packed = (unpack for magic, unpack in _UNPACKERS.items() if start.startswith(magic))
        stream = next(packed, lambda plain: plain)(file)
        # errors: names of any bytes come through, as in the names of files.
        options: dict[str, Any] = {
            "tarinfo": _Header,
            "encoding": "utf-8",
            "errors": "surrogateescape",
        }
        with stream, _Tar.open(fileobj=stream, mode="r|", **options) as archive:
            yield archive


def _open(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(info)
    assert stream is not None, "not a regular file"
    return stream


def store_content(member: Member, store: Path) -> tuple[Path, str]:
    """Write a member to `store` under its sha256, which is returned too.

    What is there already is written again rather than believed. Raises ContainerError where the
    member is damaged; faults in writing are OSErrors as ever.
    """
    store.mkdir(parents=True, exist_ok=True)
    temporary = store / f"unpacking.{os.getpid()}.tmp"
    digest = hashlib.sha256()
    try:
        with temporary.open("wb") as file:
            for chunk in _chunks(member):
                digest.update(chunk)
                file.write(chunk)
        suffix = Path(member.name).suffix.lower()
        suffix = suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""
        final = store / f"{digest.hexdigest()}{suffix}"
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)
    return final, digest.hexdigest()


def _chunks(member: Member) -> Iterator[bytes]:
    try:
        with member.open() as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
    except _DAMAGE as error:
        raise ContainerError(f"truncated or damaged in the archive: {_words(error)}") from error


def _name_fault(name: str) -> str:
    """Why a name is too long, or could lead out of the archive, in Windows' writing too."""
    if len(name) > MAX_NAME:
        return f"its name is too long: {len(name)} characters"
    slashed = name.replace("\\", "/")
    if slashed.startswith("/") or re.match(r"[A-Za-z]:/", slashed):
        return "its name is an absolute path"
    return "its name leads out of the archive" if ".." in slashed.split("/") else ""


def _size_fault(size: int) -> str:
    if size <= MAX_MEMBER_BYTES:
        return ""
    return f"too large: {size / 1e9:.1f} GB, limit {MAX_MEMBER_BYTES / 1e9:.1f} GB"


def _unpacked_limit(path: Path) -> int:
    return MAX_RATIO * path.stat().st_size + RATIO_ALLOWANCE


def _bomb(name: str) -> str:
    shown = path_to_text(Path(name))
    return (
        f"would unpack to over {MAX_RATIO} times its size: taken for a bomb and not read "
        f"from {shown[:80]} on"
    )


def _words(error: BaseException) -> str:
    """A fault's own words on one line, shortened; zipfile puts names in them."""
    text = path_to_text(Path(" ".join(str(error).split()) or type(error).__name__))
    return text if len(text) <= 120 else text[:117] + "..."


def _starts_as_zip(path: Path) -> bool:
    # is_zipfile also finds a zip that lies at the end of a tar.
    with path.open("rb") as file:
        return file.read(2) == b"PK"
