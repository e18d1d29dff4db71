"""Where the batches of a phase come from: memory, the device, or processes that read the shards."""

import signal
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from photochrom.batches import augmented, load_batch, resident, shrunk, step_plan
from photochrom.recipes import Phase, Recipe
from photochrom.shards import ShardSet, TrainingSet, read_pictures

Stored = tuple[Tensor, Tensor, Tensor]


def batch_source(
    train: TrainingSet | ShardSet,
    recipe: Recipe,
    total: int,
    device: torch.device,
    on_device: str,
    workers: int,
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """A function that gives L and ab of a step's batch, below `total`, as training sees them.

    What a step gets depends on nothing but the recipe and the step. `on_device` (auto, always,
    never) says whether a TrainingSet is kept on the device. A ShardSet is read by `workers`
    processes, which read ahead; asking for steps in their order is therefore fast.
    """
    phase, count = recipe.phase, len(train.ids)
    if isinstance(train, ShardSet):
        read = _streamed(train, recipe, total, device, workers)

        def batch_at(step: int) -> tuple[Tensor, Tensor]:
            L, ab, chances = read(step)
            L, ab = (each.to(device, non_blocking=True).float() * train.scale for each in (L, ab))
            return shrunk(*augmented(L, ab, chances.numpy(), phase.augment), phase.size)

        return batch_at

    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
    pictures = resident(train, device, on_device, free)

    def gathered(step: int) -> tuple[Tensor, Tensor]:
        rows, chances = step_plan(recipe.seed, phase, step, count)
        L, ab = augmented(*load_batch(pictures, rows, device), chances, phase.augment)
        return shrunk(L, ab, phase.size)

    return gathered


class Steps(Dataset[Stored]):
    """The stored integers L and ab and the chances of the batch of each step."""

    def __init__(self, data: ShardSet, seed: int, phase: Phase) -> None:
        self.data, self.seed, self.phase = data, seed, phase

    def __getitem__(self, step: int) -> Stored:
        rows, chances = step_plan(self.seed, self.phase, step, len(self.data.ids))
        L, ab = read_pictures(self.data.places[row] for row in rows)
        return torch.from_numpy(L), torch.from_numpy(ab), torch.from_numpy(chances)


def _streamed(
    data: ShardSet, recipe: Recipe, total: int, device: torch.device, workers: int
) -> Callable[[int], Stored]:
    """A function that gives what is stored of a step's batch, read ahead by `workers` processes."""
    steps = Steps(data, recipe.seed, recipe.phase)
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
