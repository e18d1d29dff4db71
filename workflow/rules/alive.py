"""Whether a run still works in this folder, and removing the lock of one that does not.

A Snakemake that was killed leaves its lock behind, and sometimes its jobs: removing the lock while
an orphaned job still writes would let two processes write the same file. Each process of a run
therefore holds a file lock in results/.running, which the kernel drops however the process ends.
Run as a program (`make run` does), this removes a stale lock, and refuses while anything lives.
"""

import atexit
import fcntl
import os
import socket
import sys
import time
from pathlib import Path
from typing import TextIO

RUNNING = Path("results/.running")
LOCKS = Path(".snakemake/locks")

# A process that was just killed may need this long to vanish.
GRACE_SECONDS = 3.0

_held: list[TextIO] = []


def hold(name: str, folder: Path = RUNNING) -> None:
    """Hold a lock named after this process until it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{socket.gethostname()}-{os.getpid()}"
    file = path.open("w", encoding="utf-8")
    file.write(name)
    file.flush()
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _held.append(file)  # open for as long as the process lives
    atexit.register(path.unlink, missing_ok=True)


def living(folder: Path = RUNNING) -> list[str]:
    """Descriptions ("process 4711 (train)") of the other processes that hold a lock here.

    Files of processes that are gone are removed.
    """
    found = []
    for path in sorted(folder.glob("*")):
        host, _, number = path.name.rpartition("-")
        if (host, number) == (socket.gethostname(), str(os.getpid())):
            continue
        try:
            with path.open(encoding="utf-8") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    where = "" if host == socket.gethostname() else f" on {host}"
                    found.append(f"process {number}{where} ({file.read()})")
                    continue
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue  # it ended while we looked
    return found


def living_after_grace() -> list[str]:
    """`living`, after a moment for processes that were just killed to vanish."""
    deadline = time.monotonic() + GRACE_SECONDS
    others = living()
    while others and time.monotonic() < deadline:
        time.sleep(0.2)
        others = living()
    return others


def lock_left_behind(locks: Path = LOCKS) -> bool:
    """Whether a Snakemake lock exists in this folder."""
    return locks.is_dir() and any(locks.iterdir())


def main() -> int:
    """Remove a stale lock; 1 and one line when a process of the old run still lives."""
    others = living_after_grace()
    if others:
        print(
            f"photochrom: {', '.join(others)} of a run in this folder still works; "
            "wait for it, or stop it with kill and its number, then run again",
            file=sys.stderr,
        )
        return 1
    if lock_left_behind():
        # As `snakemake --unlock` does, without its need of a valid configuration.
        for lock in LOCKS.iterdir():
            lock.unlink()
        print("photochrom: removed the lock of a run that was killed; going on", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
