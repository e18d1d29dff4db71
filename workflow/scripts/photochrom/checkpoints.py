"""The resume state of a training phase on disk: two generations, each proven by its checksum.

A state file is called `step-000000120.<sha256>.pt`. Carrying the checksum in the name makes one
rename publish both, so a kill at any moment leaves only whole generations. Files are loaded with
`weights_only`, so that a file from elsewhere cannot run code.
"""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch

from photochrom.runtime import log, sha256_file, write_bytes

GENERATIONS = 2


def save_state(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write `state` (tensors, numbers, texts, lists and dicts of these) as the newest generation.

    Atomic and synced; removed afterwards are generations older than the last two, and another
    state of the same step.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    newest = folder / f"step-{step:09d}.{hashlib.sha256(data).hexdigest()}.pt"
    write_bytes(newest, data)
    others = [path for path in _generations(folder) if path != newest]
    same = [path for path in others if path.name.split(".")[0] == newest.name.split(".")[0]]
    older = [path for path in others if path not in same]
    for path in same + older[GENERATIONS - 1 :]:
        path.unlink()


def load_state(folder: Path) -> dict[str, Any] | None:
    """The newest state in `folder` that is whole, on the CPU, or None when there is none.

    A damaged one is removed with a warning, and what a killed writer left without.
    """
    for leftover in folder.glob(".step-*.tmp.pt"):
        leftover.unlink()
    for path in _generations(folder):
        try:
            if sha256_file(path) != path.name.split(".")[1]:
                raise ValueError("its checksum does not match")
            return torch.load(path, map_location="cpu", weights_only=True)
        except (ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            reason = str(error).splitlines()[0]
            log.warning("checkpoint %s is damaged and removed: %s", path, reason)
            path.unlink()
    return None


def drop_after(folder: Path, step: int) -> None:
    """Remove the states of later steps than `step`."""
    for path in _generations(folder):
        if int(path.name.split(".")[0].removeprefix("step-")) > step:
            path.unlink()


def _generations(folder: Path) -> list[Path]:
    """State files, the newest step first."""
    return sorted((each for each in folder.glob("step-*.*.pt") if each.is_file()), reverse=True)
