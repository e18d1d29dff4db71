"""A phase of seconds: the adversarial one with all augmentations and dropout, on noise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from photochrom import training
from photochrom.models import build, weights_sha256
from photochrom.recipes import Augment, Discriminator, Optimizer, Phase, Recipe
from photochrom.shards import SCALE_FACTOR, TrainingSet
from photochrom.training import train_phase

CPU = torch.device("cpu")
NEVER = 1e9
GAN = Phase(
    name="gan",
    size=8,
    epochs=7,
    batch=4,
    parts=None,
    losses={"l1": 100.0, "gan": 1.0},
    optimizer=Optimizer("adam", 0.001, (0.5, 0.999), decay=0.5),
    augment=Augment(flip=True, crop=0.5, chroma=(0.5, 1.0), aged=0.5),
    evaluate_every=7,
    discriminator=Discriminator("patchgan", 8, 1, 0.001, (0.5, 0.999)),
)
NETWORK = {"name": "unet", "width": 8, "depth": 2, "dropout": 0.3}
RECIPE = Recipe("mini", 1, NETWORK, GAN)
STEPS = 7 * 3  # epochs times whole batches of 14 pictures


class Killed(BaseException):
    """What kill -9 leaves: nothing runs any more, not even a handler."""


def pictures(count: int, size: int = 12, seed: int = 0) -> TrainingSet:
    generator = np.random.default_rng(seed)
    L = generator.integers(-30000, 30000, (count, 1, size, size)).astype(np.int16)
    ab = np.concatenate([L // 4, -L // 3], axis=1)  # something to learn
    return TrainingSet([str(number) for number in range(count)], L, ab, SCALE_FACTOR, "digest")


def train(
    folder: Path, every: float = NEVER, recipe: Recipe = RECIPE, count: int = 14, steps: int = 0
) -> tuple[str, list[dict[str, Any]]]:
    """Train from the start or from a checkpoint; the weights' digest and the log."""
    torch.manual_seed(0)
    network = build(recipe.network)
    torch.manual_seed(np.random.default_rng().integers(2**31))  # must not matter
    val = pictures(3, seed=9)
    records = train_phase(recipe, network, pictures(count), val, CPU, folder, every, steps)
    return weights_sha256(network.state_dict()), records


def untimed(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in each.items() if key != "seconds"} for each in records]


def at_step(
    monkeypatch: pytest.MonkeyPatch, step: int, do: Callable[[training.State], None]
) -> None:
    """Let something happen in the middle of the step that follows `step` steps."""
    real = training.update

    def update(state: training.State, *rest: Any) -> torch.Tensor:
        values = real(state, *rest)
        if state.step == step:
            do(state)
        return values

    monkeypatch.setattr(training, "update", update)


def kill(state: training.State) -> None:
    raise Killed
