"""Photographs from the web: a table of addresses with digests, licences and attributions."""

import dataclasses
import queue
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from photochrom.images import path_to_text
from photochrom.runtime import StageError, duration, log, progress, sha256_file, sha256_text
from photochrom.sources.record import SourceImage, describe, fault_kind, unusable
from photochrom.tables import Row, read_list

PARALLEL = 8  # transfers at a time
DEADLINE = 6 * 3600.0  # seconds for the whole list
MINIMUM_RATE = 1000.0  # bytes a second


def list_images(source: dict[str, Any], images_dir: Path) -> Iterator[SourceImage]:
    """Every address in the table `source["path"]`, in order, fetched below `images_dir`/urls.

    The table has the columns url, sha256, licence and attribution; sha256 may be empty. What an
    earlier run has fetched is not fetched again. `source` may also have `parallel` (transfers at a
    time), `deadline` (seconds for the whole list) and `minimum_rate` (bytes a second, below which
    a transfer is given up). An address that fails is a row with the reason, and the log says how
    many failed, why, and at which hosts.
    """
    if not source.get("path"):
        raise StageError("data.sources: a source of kind urls needs a path, such as list.csv")
    path = Path(source["path"]).expanduser()
    label = f"urls:{path_to_text(path)}"
    rows = read_list(path, ("url", "sha256", "licence", "attribution"), ("subject",))
    store = images_dir / "urls"
    store.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    faults = _row_faults(rows)
    todo = [row for row in rows if row["line"] not in faults and not _is_there(row, store)]
    already = len(rows) - len(faults) - len(todo)
    deadline = started + float(source.get("deadline", DEADLINE))
    rate = float(source.get("minimum_rate", MINIMUM_RATE))
    fetched = _fetch_all(todo, store, int(source.get("parallel", PARALLEL)), deadline, rate)
    for line, error in progress(fetched, len(todo), f"fetching {path}"):
        if error:
            faults[line] = error
    images = [_image(row, faults.get(row["line"], ""), store, label) for row in rows]
    _report(path, images, already, time.monotonic() - started)
    yield from images


def _row_faults(rows: list[Row]) -> dict[str, str]:
    """By line, why an address is not even tried."""
    faults: dict[str, str] = {}
    first: dict[str, str] = {}
    for row in rows:
        url, line = row["url"], row["line"]
        row["sha256"] = row["sha256"].lower()
        if not _is_address(url):
            faults[line] = "not an http or https address"
        elif row["sha256"] and not re.fullmatch("[0-9a-f]{64}", row["sha256"]):
            faults[line] = "its sha256 in the list is not 64 hexadecimal digits"
        elif first.setdefault(url, line) != line:
            faults[line] = f"in the list before, on line {first[url]}"
    return faults


def _is_address(url: str) -> bool:
    try:
        return bool(re.fullmatch(r"https?://\S+", url, re.IGNORECASE) and urlsplit(url).hostname)
    except ValueError:
        return False


def without_password(url: str) -> str:
    """An address as tables and reports may show it: without the `user:password@` in front."""
    return re.sub(r"(?<=//)[^/?#]*@", "", url, count=1)


def _host(url: str) -> str:
    return urlsplit(url).netloc if _is_address(url) else "no host"


def _target(url: str, store: Path) -> Path:
    suffix = Path(urlsplit(url).path).suffix.lower()
    suffix = suffix if re.fullmatch(r"\.[a-z0-9]{1,5}", suffix) else ""
    return store / f"{sha256_text(url)[:32]}{suffix}"


def _is_there(row: Row, store: Path) -> bool:
    """Whether an earlier run has fetched a row, and the list has not changed its mind since."""
    target = _target(row["url"], store)
    return target.is_file() and row["sha256"] in ("", sha256_file(target))


def _fetch_all(
    rows: list[Row], store: Path, parallel: int, deadline: float, minimum_rate: float
) -> Iterator[tuple[str, str]]:
    """Fetch rows in parallel; each one's line and fault ("" for none), as they come to an end.

    The threads are daemons and are not waited for after the deadline, so that no server can
    delay the end.
    """
    # requests takes a fifth of a second to import, which other sources need not wait for.
    from photochrom.sources.fetch import FetchError, Terms, fetch, new_session

    terms = Terms(deadline, minimum_rate)
    todo: queue.SimpleQueue[Row] = queue.SimpleQueue()
    ends: queue.SimpleQueue[tuple[str, Future[str]]] = queue.SimpleQueue()
    for row in rows:
        todo.put(row)

    def work() -> None:
        with new_session() as session:
            while not todo.empty() and time.monotonic() < deadline:
                try:
                    row = todo.get_nowait()
                except queue.Empty:
                    return
                end: Future[str] = Future()
                try:
                    fetch(session, row["url"], _target(row["url"], store), row["sha256"], terms)
                    end.set_result("")
                except FetchError as fault:
                    end.set_result(fault.reason)
                except BaseException as fault:  # for the main thread: a full disk, a bug
                    end.set_exception(fault)
                ends.put((row["line"], end))

    for number in range(min(parallel, len(rows))):
        threading.Thread(target=work, name=f"fetch-{number}", daemon=True).start()
    left = {row["line"] for row in rows}
    while left:
        try:
            line, end = ends.get(timeout=max(0.1, deadline + 1 - time.monotonic()))
        except queue.Empty:
            break
        left.discard(line)
        yield line, end.result()
    for row in rows:
        if row["line"] in left:
            yield row["line"], "the deadline came first"


def _image(row: Row, error: str, store: Path, label: str) -> SourceImage:
    credit = (row["licence"], row["attribution"])
    shown = without_password(row["url"]) or f"line {row['line']}"
    if not error:
        target = _target(row["url"], store)
        image = describe(target, label, shown, None, *credit)
        if not image.error:
            return dataclasses.replace(image, subject=row["subject"])
        error = image.error
        if not row["sha256"]:
            target.unlink(missing_ok=True)  # another run may get something better
    return unusable(shown, label, shown, error, "", *credit)


def _report(path: Path, images: list[SourceImage], already: int, seconds: float) -> None:
    failed = [image for image in images if image.error]
    log.info(
        "%s: %d of %d addresses usable, %d of them fetched before, in %s",
        path,
        len(images) - len(failed),
        len(images),
        already,
        duration(seconds),
    )
    hosts: dict[str, Counter[str]] = {}
    for image in failed:
        kind = fault_kind(image.error)
        hosts.setdefault(kind, Counter())[_host(image.original_name)] += 1
    for kind, counts in sorted(hosts.items(), key=lambda each: -each[1].total()):
        shown = ", ".join(f"{host} {count}" for host, count in counts.most_common(5))
        log.warning("%s: %d failed: %s (%s)", path, counts.total(), kind, shown)
