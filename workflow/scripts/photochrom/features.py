"""What a frozen encoder sees of the training pictures, seen once and kept in files.

A phase that does not train the encoder spends most of its time on the same pictures' features.
They are kept as float16, which rounds them by 0.05 %, for each picture and, where training mirrors
pictures, for its mirror image.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from photochrom.batches import load_batch, shrunk, step_plan
from photochrom.models.base import Pretrained
from photochrom.recipes import Phase, Recipe
from photochrom.runtime import StageError, progress
from photochrom.shards import ShardSet, TrainingSet, read_pictures
from photochrom.team import Team

# Pictures that the encoder sees at a time.
BATCH = 32

Features = list[NDArray[np.float16]]


def with_features(
    batch_at: Callable[[int], tuple[Tensor, ...]],
    network: Pretrained,
    train: TrainingSet | ShardSet,
    recipe: Recipe,
    device: torch.device,
    folder: Path,
    team: Team,
) -> Callable[[int], tuple[Tensor, ...]]:
    """`batch_at`, joined by what the network's encoder sees of the pictures of each step.

    The features are read from `folder`, where they are first made if they are not there. Equal
    network, pictures and recipe give equal ones, so a run that goes on may make them anew.
    """
    phase = recipe.phase
    with team.first_goes_first():
        features = _kept(network, train, phase, device, folder)
    plan = partial(
        step_plan, recipe.seed, phase, count=len(train.ids), rank=team.rank, size=team.size
    )

    def batch_with_features(step: int) -> tuple[Tensor, ...]:
        rows, chances = plan(step)
        # As `batches.augmented` decides it.
        mirrored = (chances[:, 0] < 0.5).astype(int) * phase.augment.flip
        seen = (torch.from_numpy(each[mirrored, rows]) for each in features)
        return *batch_at(step), *(each.to(device).float() for each in seen)

    return batch_with_features


def _kept(
    network: Pretrained,
    train: TrainingSet | ShardSet,
    phase: Phase,
    device: torch.device,
    folder: Path,
) -> Features:
    """For each scale, features (1 or 2, N, C, h, w): of the pictures and of their mirror images."""
    finished = folder / "features.done"
    if not finished.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _make(network, train, phase, device, folder)
        finished.touch()
    return [np.load(path, mmap_mode="r") for path in sorted(folder.glob("features-*.npy"))]


@torch.no_grad()
def _make(
    network: Pretrained,
    train: TrainingSet | ShardSet,
    phase: Phase,
    device: torch.device,
    folder: Path,
) -> None:
    count, views = len(train.ids), 2 if phase.augment.flip else 1
    network.eval()
    files: list[np.memmap[Any, np.dtype[np.float16]]] = []
    starts = range(0, count, BATCH)
    for start in progress(starts, len(starts), "what the encoder sees", unit="batches"):
        rows = np.arange(start, min(start + BATCH, count))
        L = shrunk(*_pictures(train, rows, device), phase.size)[0]
        for view in range(views):
            seen = network.seen(network.see(L.flip(-1) if view else L))
            if not files:
                shapes = [(views, count, *each.shape[1:]) for each in seen]
                files = _files(folder, shapes)
            for file, each in zip(files, seen, strict=True):
                half = each.half()
                if not torch.isfinite(half).all():
                    raise StageError(
                        f"phase {phase.name}: what the encoder sees does not fit in float16; "
                        "set encoder to frozen"
                    )
                file[view, rows] = half.cpu().numpy()
    for file in files:
        file.flush()


def _files(
    folder: Path, shapes: list[tuple[int, ...]]
) -> list[np.memmap[Any, np.dtype[np.float16]]]:
    """A file for each scale, its whole room on the disk taken: OSError where there is none."""
    files = []
    try:
        for scale, shape in enumerate(shapes):
            path = folder / f"features-{scale}.npy"
            files.append(np.lib.format.open_memmap(path, "w+", np.float16, shape))
            # Writing to a map that the disk cannot hold would end the process with SIGBUS.
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except OSError as error:
        for path in folder.glob("features-*.npy"):
            path.unlink()
        raise OSError(error.errno, os.strerror(error.errno or 0), str(folder)) from error
    return files


def _pictures(
    train: TrainingSet | ShardSet, rows: NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Tensor]:
    """L and ab of some rows, as `batches.load_batch` gives them."""
    if isinstance(train, TrainingSet):
        return load_batch(train, rows, device)
    L, ab = read_pictures(train.places[row] for row in rows)
    return (
        torch.from_numpy(L).to(device).float() * train.scale,
        torch.from_numpy(ab).to(device).float() * train.scale,
    )
