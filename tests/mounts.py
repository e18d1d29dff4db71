"""Small and read-only file systems, for the faults of disks."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[bool]:
    """A tmpfs at `folder` for a while; false where this system does not let us mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    there = os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0
    try:
        yield there
    finally:
        if there:
            # Lazily, because the traceback of a fault that was raised may hold a file open.
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
