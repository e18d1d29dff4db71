"""Where the batches of a phase come from: memory, the device, or processes that read the shards."""

import signal
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from photochrom.batches import as_seen, load_batch, resident, step_plan
from photochrom.recipes import Recipe
from photochrom.shards import ShardSet, TrainingSet, read_pictures
from photochrom.team import ALONE, Team

Plan = Callable[[int], tuple[NDArray[np.int64], NDArray[np.float32]]]
Stored = tuple[Tensor, Tensor, Tensor]


def batch_source(
    train: TrainingSet | ShardSet,
    recipe: Recipe,
    total: int,
    device: torch.device,
    on_device: str,
    workers: int,
    team: Team = ALONE,
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """A function that gives L and ab of a step's batch, below `total`, as training sees them.

    What a step gets depends on nothing but the recipe and the step. `on_device` (auto, always,
    never) says whether a TrainingSet is kept on the device. A ShardSet is read by `workers`
    processes, which read ahead; asking for steps in their order is therefore fast.
    """
    phase = recipe.phase
    plan = partial(
        step_plan, recipe.seed, phase, count=len(train.ids), rank=team.rank, size=team.size
    )
    if isinstance(train, ShardSet):
        read = _streamed(Steps(train, plan), total, device, workers)

        def batch_at(step: int) -> tuple[Tensor, Tensor]:
            L, ab, chances = read(step)
            L, ab = (each.to(device, non_blocking=True).float() * train.scale for each in (L, ab))
            return as_seen(L, ab, chances.numpy(), phase)

        return batch_at

    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
    pictures = resident(train, device, on_device, free)

    def gathered(step: int) -> tuple[Tensor, Tensor]:
        rows, chances = plan(step)
        return as_seen(*load_batch(pictures, rows, device), chances, phase)

    return gathered


class Steps(Dataset[Stored]):
    """The stored integers L and ab and the chances of the batch of each step."""

    def __init__(self, data: ShardSet, plan: Plan) -> None:
        self.data, self.plan = data, plan

    def __getitem__(self, step: int) -> Stored:
        rows, chances = self.plan(step)
        L, ab = read_pictures(self.data.places[row] for row in rows)
        return torch.from_numpy(L), torch.from_numpy(ab), torch.from_numpy(chances)


def _streamed(
    steps: Steps, total: int, device: torch.device, workers: int
) -> Callable[[int], Stored]:
    """A function that gives what is stored of a step's batch, read ahead by `workers` processes."""
    ahead: Iterator[Stored] = iter(())
    expected = -1

    def read(step: int) -> Stored:
        nonlocal ahead, expected
        if step != expected:
            ahead = iter(
                DataLoader(
                    steps,
                    batch_size=None,
                    sampler=range(step, total),
                    num_workers=workers,
                    worker_init_fn=_leave_signals,
                    pin_memory=device.type == "cuda",
                    generator=torch.Generator(),  # it would draw from the network's otherwise
                )
            )
        expected = step + 1
        return next(ahead)

    return read


def _leave_signals(worker: int) -> None:
    """A signal to the whole group is the training process's to answer; workers end with it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
