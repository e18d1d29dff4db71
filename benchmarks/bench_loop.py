"""The training loop beside its bare step: what all but the arithmetic costs.

    python benchmarks/bench_loop.py [--experiment photochrom-quick] [--device cpu] [--steps 30]

The loop is `train_phase` itself on made pictures: batches from the shards' integers, augmentation,
moving average, log and checkpoints. The bare step is the same `update` on one batch that stays on
the device. Both in turn, three times; the aim is a ratio of 0.9 or more on a GPU.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "workflow" / "scripts"), str(ROOT / "workflow" / "rules")]

import numpy as np
import torch
from compare_recipes import lasting, new_network, recipes_of
from torch import Tensor

from photochrom import training
from photochrom.loading import batch_source
from photochrom.recipes import Recipe
from photochrom.runtime import pick_device
from photochrom.shards import TrainingSet
from photochrom.stored import SCALE_FACTOR

PICTURES = 512
WARM = 5  # steps that are not counted


def pictures(count: int, size: int) -> TrainingSet:
    random = np.random.default_rng(0)
    L = random.integers(-30000, 30000, (count, 1, size, size)).astype(np.int16)
    ab = random.integers(-9000, 9000, (count, 2, size, size)).astype(np.int16)
    return TrainingSet([str(number) for number in range(count)], L, ab, SCALE_FACTOR, "")


def now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def looped(recipe: Recipe, train: TrainingSet, device: torch.device, steps: int) -> float:
    """Steps a second of train_phase, from the first counted one to the last."""
    times: list[float] = []
    bare = training.update

    def timed(*arguments: Any) -> Tensor:
        if len(times) in (WARM, WARM + steps):
            times.append(now(device))
        else:
            times.append(0.0)
        return bare(*arguments)

    training.update = timed  # type: ignore[assignment]
    try:
        with tempfile.TemporaryDirectory() as folder:
            network = new_network(recipe, train)
            few = pictures(2, train.size)
            phase = lasting(recipe, WARM + steps + 1)
            training.train_phase(phase, network, train, few, device, Path(folder), 30)
    finally:
        training.update = bare
    return steps / (times[WARM + steps] - times[WARM])


def fixed(recipe: Recipe, train: TrainingSet, device: torch.device, steps: int) -> float:
    """Steps a second of `update` on one batch."""
    state = training.start(recipe, new_network(recipe, train), device)
    batch = batch_source(train, recipe, 1, device, "always", 0, state.team)(0)
    for _ in range(WARM):
        training.update(state, recipe.phase, *batch)
    started = now(device)
    for _ in range(steps):
        training.update(state, recipe.phase, *batch)
    return steps / (now(device) - started)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--experiment", default="photochrom-quick")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=30)
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    print(f"machine: {name}, {os.cpu_count()} cores, torch {torch.__version__}")
    print("| phase | loop, steps/s | bare step, steps/s | ratio, median of 3 |\n|---|---|---|---|")
    for recipe in recipes_of(arguments.experiment):
        train = pictures(PICTURES, recipe.phase.size)
        pairs = [
            (
                looped(recipe, train, device, arguments.steps),
                fixed(recipe, train, device, arguments.steps),
            )
            for _ in range(3)
        ]
        loop, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(one / other for one, other in pairs)
        print(f"| {recipe.phase.name} | {loop:.2f} | {bare:.2f} | {ratio:.3f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
