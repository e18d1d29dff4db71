"""What every stage shares: exit codes, one-line errors, logs, progress, atomic writes, devices.

Nothing here knows about images or networks, and nothing imports torch unless a device is asked
for, so that `--help` and the data stages start quickly.
"""

import argparse
import errno
import hashlib
import json
import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

EXIT_OK = 0
EXIT_USAGE = 2  # bad configuration or arguments
EXIT_REJECTED = 3  # finished, but some inputs were rejected (each is a row in a table)
EXIT_MISSING = 4  # a dependency or credentials are missing
EXIT_OUTPUT = 5  # an output cannot be written
EXIT_MEMORY = 6  # the device is out of memory
EXIT_MODEL = 7  # a model or checkpoint was refused
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

# Seconds between two progress lines where there is no terminal for a bar.
PROGRESS_SECONDS = 30.0

# The workflow names here the folder in which each process of a run holds a lock (see hold_alive).
ALIVE_VARIABLE = "PHOTOCHROM_ALIVE"

log = logging.getLogger("photochrom")
T = TypeVar("T")


class StageError(Exception):
    """A foreseeable fault: one line for a person (what, where, what to do) and an exit code."""

    def __init__(self, message: str, code: int = EXIT_USAGE) -> None:
        super().__init__(message)
        self.code = code


class Terminated(BaseException):
    """SIGTERM arrived. Not an Exception, so that no handler for faults swallows it."""


def stage_parser(description: str | None) -> argparse.ArgumentParser:
    """A command-line parser with the options that every stage has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--log", type=Path, help="also write the messages to this file")
    return parser


def start_log(stage: str, path: Path | None = None) -> None:
    """Send messages to standard error, and with times to `path` when given."""
    log.setLevel(logging.INFO)
    for handler in list(log.handlers):
        log.removeHandler(handler)
        handler.close()
    screen = logging.StreamHandler(sys.stderr)
    screen.setFormatter(logging.Formatter(f"photochrom {stage}: %(message)s"))
    log.addHandler(screen)
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = logging.FileHandler(path, mode="w", encoding="utf-8")
        except OSError as error:
            raise cannot_write(error, path) from error
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(file)
    log.propagate = False
    logging.raiseExceptions = False  # a full disk must not add logging's own traceback
    hold_alive(stage)


_alive_file: Any = None


def hold_alive(stage: str) -> None:
    """Hold a lock for as long as this process lives, in the folder that ALIVE_VARIABLE names.

    The kernel drops the lock however the process ends, so a held lock is proof that a process of
    a run still works; `workflow/rules/alive.py` reads them before a stale workflow lock is removed.
    """
    global _alive_file
    folder = os.environ.get(ALIVE_VARIABLE)
    if not folder or _alive_file is not None:
        return
    import fcntl

    path = Path(folder) / f"{socket.gethostname()}-{os.getpid()}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _alive_file = path.open("w", encoding="utf-8")
        _alive_file.write(stage)
        _alive_file.flush()
        fcntl.flock(_alive_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise cannot_write(error, path) from error


def release_alive() -> None:
    """Take this process's alive file away at its regular end."""
    global _alive_file
    if _alive_file is not None:
        Path(_alive_file.name).unlink(missing_ok=True)
        _alive_file.close()
        _alive_file = None


_asked_to_stop: list[type[BaseException]] = []


def _stop(signum: int, frame: object) -> NoReturn:
    _asked_to_stop[:] = [KeyboardInterrupt if signum == signal.SIGINT else Terminated]
    raise _asked_to_stop[0]


def heed_signals() -> None:
    """Raise again what a signal raised inside a C library's callback, where exceptions are lost."""
    if _asked_to_stop:
        raise _asked_to_stop[0]


def run_stage(stage: str, main: Callable[[], int]) -> int:
    """Run a stage's main; turn foreseeable faults into one line and the agreed exit code."""
    _asked_to_stop.clear()
    previous = {signal.SIGTERM: signal.signal(signal.SIGTERM, _stop)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored
        previous[signal.SIGINT] = signal.signal(signal.SIGINT, _stop)
    try:
        return main()
    except StageError as error:
        _complain(stage, str(error))
        return error.code
    except KeyboardInterrupt:
        _complain(stage, "interrupted; the same command goes on from here")
        return EXIT_INTERRUPTED
    except Terminated:
        _complain(stage, "terminated; the same command goes on from here")
        return EXIT_TERMINATED
    except OSError as error:
        if error.errno not in _CANNOT_WRITE:
            _keep_traceback()
            raise
        _complain(stage, str(cannot_write(error)))
        return EXIT_OUTPUT
    except Exception as error:
        if _means_no_memory(error):
            _complain(stage, f"out of memory ({error}); use a smaller batch or size")
            return EXIT_MEMORY
        _keep_traceback()
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        _asked_to_stop.clear()
        release_alive()


def _means_no_memory(error: Exception) -> bool:
    """CUDA has a class for it, numpy uses Python's, and torch on the CPU a RuntimeError."""
    return (
        type(error).__name__ == "OutOfMemoryError"
        or isinstance(error, MemoryError)
        or (type(error) is RuntimeError and "can't allocate memory" in str(error))
    )


@contextmanager
def held_signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT in the list, so that a step is never cut in half.

    One that nobody answered is delivered again afterwards. A second one is not held: who sends
    two cannot wait.
    """
    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def hold(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for each, handler in handlers.items():
            signal.signal(each, handler)

    for number in handlers:
        signal.signal(number, hold)
    try:
        yield received
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])


def _keep_traceback() -> None:
    """Write a bug's traceback to the log file; Python itself shows it on the screen."""
    for handler in log.handlers:
        if isinstance(handler, logging.FileHandler) and handler.stream is not None:
            handler.stream.write(traceback.format_exc())


def _complain(stage: str, message: str) -> None:
    if log.handlers:
        log.error(message)
    else:
        print(f"photochrom {stage}: {message}", file=sys.stderr)


_CANNOT_WRITE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG),
}


def cannot_write(error: OSError, path: Path | str | None = None) -> StageError:
    """An OSError met while writing, in words: what, where, what to do."""
    where = path or error.filename or "the output"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "the disk is full; free some space and run the same command again"
    elif error.errno == errno.EROFS:
        advice = "the file system is read-only; choose another folder with --directory"
    elif error.errno in (errno.EACCES, errno.EPERM):
        advice = "no permission; make the folder writable or choose another with --directory"
    else:
        advice = f"{(error.strerror or str(error)).lower()}; choose another path"
    return StageError(f"cannot write {where}: {advice}", EXIT_OUTPUT)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it is synced and renamed to `path`.

    Readers see the old file or the new one, never a part. On any fault the temporary file is
    removed. The suffix is kept, because image writers choose the format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem[:80]}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if error.filename is None:  # as where the disk is full in the middle of a file
            error.filename = os.fspath(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically: keys sorted, NaN refused, so that equal values give equal bytes."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    """Hex SHA-256 of a text's UTF-8 bytes."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def existing_file(path: Path, made_by: str) -> Path:
    """`path` itself, or a StageError that names the stage that makes it."""
    if not path.is_file():
        raise StageError(f"{path} does not exist; it is made by {made_by}")
    return path


def progress(
    items: Iterable[T], total: int | None, what: str, unit: str = "images", done: int = 0
) -> Iterator[T]:
    """Pass `items` through; show a bar on a terminal, else a line each PROGRESS_SECONDS.

    Between two items, a signal that a C library swallowed is heeded.
    `total` is None where only the end will tell; `done` says how many of it were finished before
    (a resumed job).
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        bar = tqdm(items, total=total, initial=done, desc=what, unit=f" {unit}", leave=False)
        for item in bar:
            heed_signals()
            yield item
        return
    started = shown = time.monotonic()
    for count, item in enumerate(items, start=1):
        heed_signals()
        yield item
        now = time.monotonic()
        if now - shown >= PROGRESS_SECONDS:
            shown = now
            rate = count / (now - started)
            if total is None:
                log.info("%s: %d %s so far, %.1f a second", what, count, unit, rate)
                continue
            left = max(0, total - done - count) / rate
            log.info(
                "%s: %d of %d %s, %.1f a second, %s left",
                what,
                done + count,
                total,
                unit,
                rate,
                duration(left),
            )


def duration(seconds: float) -> str:
    """A duration as people write it: 42 s, 3 min 05 s, 2 h 10 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def pick_device(name: str = "auto") -> Any:
    """A torch.device: `auto` takes the first CUDA device if there is one, else the CPU."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise StageError(f"device {name} was asked for but CUDA finds no GPU; use cpu or auto")
    return torch.device(name)


def parse_yaml(text: str, option: str) -> Any:
    """A command-line value written as YAML, such as '{train: 0.8, val: 0.1}'."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StageError(f"{option} is not YAML: {' '.join(str(error).split())}") from error


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A CSV table with a header and `\\n` line ends, quoted only where needed."""
    import csv
    import io

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return buffer.getvalue()
