"""One file over HTTP: resumed, retried, and given up in good time.

requests follows redirects, finds proxies and checks certificates. What it leaves open is done
here: a transfer that was cut goes on from its `.part` file; Retry-After is honoured for the whole
host; answers 4xx but 429 are final; an answer that comes in drips, which no time-out of a socket
notices, is ended; pages of HTML are not taken for pictures; content is checked against its digest.
"""

import contextlib
import hashlib
import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from photochrom.runtime import duration
from photochrom.version import __version__

ATTEMPTS = 5
BACKOFF = 1.0  # seconds before the second attempt; doubled before each further one
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0  # without a byte
HEADER_SECONDS = 60.0  # until the head of an answer is there, however it drips
RATE_SECONDS = 10.0  # over which the rate is judged
MAX_BYTES = 2 << 30
MAX_REDIRECTS = 5

BAD_ADDRESS = "not a usable address"

_CHUNK = 1 << 18
_HTML = (b"<!doctype html", b"<html", b"<head", b"<!--")


class FetchError(Exception):
    """A file that could not be had; `reason` says why in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _AgainError(Exception):
    """A fault that another attempt may mend, after `wait` seconds at least."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


@dataclass
class Terms:
    """What all transfers of a source share.

    `deadline` is on the clock of time.monotonic; `minimum_rate` is bytes a second. `closed` says
    until when a host has asked to be left alone.
    """

    deadline: float
    minimum_rate: float
    closed: dict[str, float] = field(default_factory=dict)

    def wait(self, seconds: float, reason: str) -> None:
        """Sleep, unless the deadline comes first."""
        if time.monotonic() + seconds > self.deadline:
            raise FetchError(f"{reason}: the deadline comes before another attempt")
        time.sleep(max(0.0, seconds))

    def wait_for(self, host: str) -> None:
        while (left := self.closed.get(host, 0.0) - time.monotonic()) > 0:
            self.wait(left, f"the server asks to wait {duration(left)}")


def fetch(session: requests.Session, url: str, target: Path, sha256: str, terms: Terms) -> None:
    """Fetch `url` to `target`, which appears when it is complete and right.

    `sha256` is its hex digest, or empty. Bytes that an earlier run left in `target`'s .part file
    are used only with a digest to check the whole by. Raises FetchError.
    """
    part = target.with_name(target.name + ".part")
    version = _Version(sha256)
    if not sha256:
        part.unlink(missing_ok=True)
    try:
        host = urlsplit(url).netloc
    except ValueError as error:
        raise FetchError(BAD_ADDRESS) from error
    for attempt in range(1, ATTEMPTS + 1):
        terms.wait_for(host)
        try:
            try:
                if not (sha256 and _digest(part) == sha256):
                    _transfer(session, url, part, version, terms)
                break
            except (
                requests.RequestException,
                urllib3.exceptions.HTTPError,
                ValueError,  # a host name, or an address to go to, that none can be
            ) as error:
                raise _classified(error) from error
        except _AgainError as fault:
            if fault.wait:
                terms.closed[host] = time.monotonic() + fault.wait
            if attempt == ATTEMPTS:
                raise FetchError(f"{fault.reason} ({ATTEMPTS} attempts)") from fault
            terms.wait(max(fault.wait, BACKOFF * 2 ** (attempt - 1)), fault.reason)
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(target)


def new_session() -> requests.Session:
    """A session for one thread."""
    session = requests.Session()
    session.max_redirects = MAX_REDIRECTS
    session.headers["User-Agent"] = f"photochrom/{__version__}"
    # Packed answers could neither be resumed nor measured.
    session.headers["Accept-Encoding"] = "identity"
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session


@dataclass
class _Version:
    """What tells one version of a file from another: its digest, or what the server calls it."""

    sha256: str
    validator: str = ""


def _transfer(
    session: requests.Session, url: str, part: Path, version: _Version, terms: Terms
) -> None:
    """Bring `part` to its end, or as far as it goes.

    It is gone on with where `version` can show that what comes is of the same file.
    """
    known = version.sha256 or version.validator
    have = part.stat().st_size if known and part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and version.validator:
        headers["If-Range"] = version.validator
    timeout = (CONNECT_SECONDS, SILENCE_SECONDS)
    with session.get(url, headers=headers, stream=True, timeout=timeout) as response:
        _check_status(response, part)
        resumed = response.status_code == 206
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise _AgainError("the server sent another range than was asked for")
        if not resumed:
            have = 0
        version.validator = _validator(response.headers)
        packed = response.headers.get("Content-Encoding", "identity")
        if packed != "identity":
            raise FetchError(f"sent packed ({_said(packed)}), which was not asked for")
        expected = _length(response.headers)
        expected = None if expected is None else expected + have
        if expected is not None and expected > MAX_BYTES:
            raise FetchError(f"too large: {expected / 1e9:.1f} GB")
        with part.open("ab" if resumed else "wb") as file:
            have += _copy(response.raw, file, have, terms)
    if expected is not None and have < expected:
        raise _AgainError(f"cut off after {have} of {expected} bytes")
    # Where no length was stated, a cut shows in the digest alone.
    _check_content(part, version.sha256, resumed or expected is None)


def _copy(raw: Any, file: Any, have: int, terms: Terms) -> int:
    """Copy an answer's body; the number of bytes. What came before a fault is in `file`."""
    copied = since = 0
    started = time.monotonic()
    while chunk := raw.read1(_CHUNK):  # read() would wait for a whole chunk, however slow
        file.write(chunk)
        copied += len(chunk)
        since += len(chunk)
        if have + copied > MAX_BYTES:
            raise FetchError(f"too large: over {MAX_BYTES / 1e9:.1f} GB")
        now = time.monotonic()
        if now > terms.deadline:
            raise FetchError("the deadline passed during the transfer")
        if now - started >= RATE_SECONDS:
            rate = since / (now - started)
            if rate < terms.minimum_rate:
                raise _AgainError(f"slower than {terms.minimum_rate:g} bytes a second ({rate:.0f})")
            since, started = 0, now
    return copied


def _check_status(response: requests.Response, part: Path) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    reason = f"HTTP {status} {_said(response.reason or '')}".strip()
    if status == 416:  # what is in `part` is no beginning of the file
        part.unlink(missing_ok=True)
        raise _AgainError(reason)
    if status == 429 or status >= 500:
        raise _AgainError(reason, _retry_after(response.headers))
    raise FetchError(reason)


def _check_content(part: Path, sha256: str, again: bool) -> None:
    """Look at what came; `again` says whether another attempt may bring something else."""
    with part.open("rb") as file:
        start = file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(_HTML):
        part.unlink()
        raise FetchError("a page of HTML instead of an image (a login or an error?)")
    if sha256 and _digest(part) != sha256:
        part.unlink()
        reason = "differs from its sha256 in the list"
        raise _AgainError(reason) if again else FetchError(reason)


def _classified(error: Exception) -> Exception:
    """A fault of requests or urllib3 as one of ours."""
    if isinstance(error, requests.exceptions.TooManyRedirects):
        return FetchError(f"more than {MAX_REDIRECTS} redirects")
    if isinstance(error, requests.exceptions.SSLError):
        return FetchError("the server's certificate is not trusted, or its encryption too old")
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return FetchError(BAD_ADDRESS)
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError):
        return _AgainError("no answer in time")
    if isinstance(error, requests.exceptions.ConnectionError):
        return _AgainError("no connection")
    if isinstance(error, requests.RequestException | urllib3.exceptions.HTTPError):
        return _AgainError("the connection broke off")
    return FetchError(BAD_ADDRESS)


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return max(0.0, Retry().parse_retry_after(headers.get("Retry-After", "0")))
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):  # no number, no date
        return 0.0


def _validator(headers: Mapping[str, str]) -> str:
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text) if text.isdecimal() and len(text) < 20 else None


def _said(text: str) -> str:
    """A server's own words as tables and terminals can bear them."""
    return "".join(each if each.isprintable() else "?" for each in text[:40])


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


class _Prompt:
    """A connection that hangs up where the head of an answer is not there in time."""

    def getresponse(self) -> Any:
        late = threading.Event()
        watch = threading.Timer(HEADER_SECONDS, _hang_up, [getattr(self, "sock", None), late])
        watch.daemon = True
        watch.start()
        try:
            answer = super().getresponse()  # type: ignore[misc]
        finally:
            watch.cancel()
        if late.is_set():  # http.client takes half a head for a whole one
            raise TimeoutError("the head of the answer took too long")
        return answer


def _hang_up(connection: socket.socket | None, late: threading.Event) -> None:
    late.set()
    if connection is not None:
        # It may be closed already.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _HTTP(_Prompt, urllib3.connection.HTTPConnection):
    pass


class _HTTPS(_Prompt, urllib3.connection.HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTP


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPS


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class _Adapter(HTTPAdapter):
    """requests' adapter with connections that hang up."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = _POOLS
        return manager
