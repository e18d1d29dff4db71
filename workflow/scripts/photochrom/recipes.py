"""The recipe of one training phase: what `train.py` is given.

The workflow makes it from an experiment file, whose schema holds the defaults; here every key is
required, so that a recipe says all that shapes the result.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photochrom import losses
from photochrom.runtime import StageError, parse_yaml, sha256_text


@dataclass(frozen=True)
class Optimizer:
    """`decay` is the share of the phase, at its end, over which `lr` falls linearly to zero."""

    name: str
    lr: float
    betas: tuple[float, float]
    decay: float


@dataclass(frozen=True)
class Augment:
    """What is done to a training picture, anew in each epoch.

    `flip`: mirror it left to right in half the cases. `crop`: show a square of at least this
    share of its side; 1 shows all of it. `chroma`: multiply its chroma by a factor from this
    range; below 1 the network learns to colour with restraint.
    """

    flip: bool
    crop: float
    chroma: tuple[float, float]


@dataclass(frozen=True)
class Discriminator:
    """The discriminator and its Adam; its learning rate decays as the network's does."""

    name: str
    width: int
    layers: int
    lr: float
    betas: tuple[float, float]


@dataclass(frozen=True)
class Phase:
    """One training phase.

    `size` is the side of the pictures in pixels, `batch` the pictures in a step, `parts` the
    parts of the training split to use (all when None), `losses` the weight of each loss by name,
    `evaluate_every` the steps between two looks at the validation split. `discriminator` is
    there exactly when `losses` has an adversarial one.
    """

    name: str
    size: int
    epochs: int
    batch: int
    parts: tuple[int, ...] | None
    losses: dict[str, float]
    optimizer: Optimizer
    augment: Augment
    evaluate_every: int
    discriminator: Discriminator | None


@dataclass(frozen=True)
class Recipe:
    """One phase of an experiment, with the network's config, {name, options...}."""

    experiment: str
    seed: int
    network: dict[str, Any]
    phase: Phase


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file (YAML); StageError when something is missing, unknown or impossible."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StageError(f"there is no recipe at {path}") from None
    try:
        return parse_recipe(parse_yaml(text, str(path)))
    except (TypeError, ValueError) as error:
        raise StageError(f"recipe {path}: {error}") from error


def parse_recipe(value: Any) -> Recipe:
    """A Recipe from parsed YAML; ValueError says which key is wrong."""
    recipe = dict(_keys(value, Recipe, "the recipe"))
    phase = dict(_keys(recipe["phase"], Phase, "phase"))
    optimizer = dict(_keys(phase["optimizer"], Optimizer, "optimizer"))
    augment = dict(_keys(phase["augment"], Augment, "augment"))
    discriminator = phase["discriminator"]
    if discriminator is not None:
        discriminator = dict(_keys(discriminator, Discriminator, "discriminator"))
        _positive(discriminator, ["width", "layers", "lr"], "discriminator")
        discriminator["betas"] = tuple(discriminator["betas"])
        discriminator = Discriminator(**discriminator)
    _positive(phase, ["size", "epochs", "batch", "evaluate_every"], "phase")
    _positive(optimizer, ["lr"], "optimizer")
    if not 0 <= optimizer["decay"] <= 1:
        raise ValueError(f"optimizer: decay is {optimizer['decay']}, not from 0 to 1")
    optimizer["betas"] = tuple(optimizer["betas"])
    if not 0 < augment["crop"] <= 1:
        raise ValueError(f"augment: crop is {augment['crop']}, not above 0 and at most 1")
    augment["chroma"] = tuple(augment["chroma"])
    if not 0 <= augment["chroma"][0] <= augment["chroma"][1]:
        raise ValueError(f"augment: chroma is {augment['chroma']}, not a range from 0 up")
    _check_losses(phase["losses"], discriminator is not None)
    phase |= {
        "parts": None if phase["parts"] is None else tuple(phase["parts"]),
        "optimizer": Optimizer(**optimizer),
        "augment": Augment(**augment),
        "discriminator": discriminator,
    }
    return Recipe(**(recipe | {"phase": Phase(**phase)}))


def recipe_sha256(recipe: Recipe) -> str:
    """Hex SHA-256 of what a recipe says, whatever the order of its keys in the file."""
    return sha256_text(json.dumps(dataclasses.asdict(recipe), sort_keys=True))


def _keys(value: Any, record: type, where: str) -> Mapping[str, Any]:
    """`value` itself, when it is a mapping with exactly the fields of the dataclass `record`."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} is not a mapping of keys to values")
    expected = {field.name for field in dataclasses.fields(record)}
    for name in sorted(expected - value.keys()):
        raise ValueError(f"{where}: {name} is missing")
    for name in value.keys() - expected:
        raise ValueError(f"{where}: {name} is unknown; there is {', '.join(sorted(expected))}")
    return value


def _positive(values: Mapping[str, Any], names: list[str], where: str) -> None:
    for name in names:
        value = values[name]
        if isinstance(value, str):  # YAML 1.1 reads 2e-4 as a text, 2.0e-4 as a number
            raise ValueError(f"{where}: {name} is the text {value!r}; write it like 0.0002")
        if not value > 0:
            raise ValueError(f"{where}: {name} is {value}, not above zero")


def _check_losses(weights: Mapping[str, float], has_discriminator: bool) -> None:
    if not weights:
        raise ValueError(f"losses is empty; there is {', '.join(losses.NAMES)}")
    for name in weights:
        if name not in losses.NAMES:
            raise ValueError(f"no loss is called {name!r}; there is {', '.join(losses.NAMES)}")
    adversarial = [name for name in weights if name in losses.GAN_LOSSES]
    if len(adversarial) > 1:
        raise ValueError(f"losses has {' and '.join(adversarial)}; a discriminator learns by one")
    if bool(adversarial) != has_discriminator:
        raise ValueError(
            f"an adversarial loss ({', '.join(losses.GAN_LOSSES)}) and a discriminator go "
            "together: give both or neither"
        )
