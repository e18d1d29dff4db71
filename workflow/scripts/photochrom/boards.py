"""What TensorBoard shows of a training phase: `tensorboard --logdir results/models`.

The files hold times and the machine's name, so they are no declared output; log.jsonl is.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photochrom.runtime import log

_NO_VALUE = {"kind", "phase", "step", "epoch"}


def open_board(folder: Path | None, records: Sequence[Mapping[str, Any]]) -> Any:
    """A writer that shows `records` and what is added; None for none, or without tensorboardX."""
    if folder is None:
        return None
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        log.info("nothing for TensorBoard: tensorboardX is not installed")
        return None
    shutil.rmtree(folder, ignore_errors=True)  # all is in the records, also from before a kill
    board = SummaryWriter(str(folder), flush_secs=30)
    for record in records:
        add_record(board, record)
    return board


def add_record(board: Any, record: Mapping[str, Any]) -> None:
    """Show the numbers of a record of the log, as train/l1, val/psnr_rgb and so on."""
    if board is None:
        return
    for name, value in record.items():
        if name not in _NO_VALUE and isinstance(value, int | float):
            board.add_scalar(f"{record['kind']}/{name}", value, record["step"])


def add_pictures(board: Any, pictures: NDArray[np.uint8], step: int) -> None:
    """Show predictions (N,H,W,3), sRGB."""
    if board is not None:
        board.add_images("validation", pictures, step, dataformats="NHWC")
