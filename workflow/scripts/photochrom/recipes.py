"""The recipe of one training phase: what `train.py` is given.

The workflow makes it from an experiment file, whose schema holds the defaults; here every key is
required, so that a recipe says all that shapes the result.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photochrom import losses
from photochrom.clahe import Clahe
from photochrom.runtime import StageError, parse_yaml, sha256_text


@dataclass(frozen=True)
class Optimizer:
    """How the network's weights move.

    `decay` is the share of the phase, at its end, over which `lr` falls to zero, along a line or
    half a cosine as `shape` says; `warmup` the steps, at its start, over which it rises linearly.
    `weight_decay` is AdamW's. Gradients whose norm exceeds `clip` are shortened to it.
    """

    name: str
    lr: float
    betas: tuple[float, float]
    decay: float
    shape: str = "linear"
    warmup: int = 0
    weight_decay: float = 0.0
    clip: float | None = None


@dataclass(frozen=True)
class Augment:
    """What is done to a training picture, anew in each epoch.

    `flip`: mirror it left to right in half the cases. `crop`: show a square of at least this
    share of its side; 1 shows all of it. `chroma`: multiply its chroma by a factor from this
    range; below 1 the network learns to colour with restraint. `aged`: the share of pictures whose
    lightness is made that of an old photograph (`photochrom.ageing`).
    """

    flip: bool
    crop: float
    chroma: tuple[float, float]
    aged: float = 0.0


@dataclass(frozen=True)
class Discriminator:
    """The discriminator and its Adam; its learning rate decays as the network's does."""

    name: str
    width: int
    layers: int
    lr: float
    betas: tuple[float, float]


@dataclass(frozen=True)
class OnNaN:
    """What follows a loss or weight that is not finite: stop, or go back with a smaller rate.

    `rollbacks` is how often training goes back to the last good state it kept (that of the last
    look at the validation split); each time the learning rates are multiplied by `factor`.
    """

    rollbacks: int = 0
    factor: float = 0.5


@dataclass(frozen=True)
class Compute:
    """How the device calculates.

    `precision` is fp32 or bf16: the networks' passes under autocast, weights and losses in
    float32. `memory_format` is contiguous or channels_last. `compile` uses torch.compile where
    it works. `deterministic` keeps to cuDNN's reproducible kernels (no matter on the CPU).
    """

    precision: str = "fp32"
    memory_format: str = "contiguous"
    compile: bool = False
    deterministic: bool = True


@dataclass(frozen=True)
class Phase:
    """One training phase.

    `size` is the side of the pictures in pixels, `batch` the pictures in a step, `parts` the
    parts of the training split to use (all when None), `losses` the weight of each loss by name,
    `evaluate_every` the steps between two looks at the validation split. `discriminator` is
    there exactly when `losses` has an adversarial one. Its length is given in `epochs` or in
    `steps`, the other being None. `ema` is the decay of the average over the weights of all steps
    that is validated and published, or None for the last weights. `encoder` says whether a
    pretrained one is trained, frozen, or cached: frozen, and what it sees kept in a file.
    """

    name: str
    size: int
    epochs: int | None
    batch: int
    parts: tuple[int, ...] | None
    losses: dict[str, float]
    optimizer: Optimizer
    augment: Augment
    evaluate_every: int
    discriminator: Discriminator | None
    steps: int | None = None
    ema: float | None = None
    encoder: str = "trained"
    on_nan: OnNaN = OnNaN()
    compute: Compute = Compute()


@dataclass(frozen=True)
class Input:
    """What is done to the lightness that the network sees: `photochrom.clahe` or nothing."""

    clahe: Clahe | None = None


@dataclass(frozen=True)
class Recipe:
    """One phase of an experiment, with the network's config, {name, options...}."""

    experiment: str
    seed: int
    network: dict[str, Any]
    phase: Phase
    input: Input = Input()


ENCODERS = ("trained", "frozen", "cached")
SHAPES = ("linear", "cosine")
PRECISIONS = ("fp32", "bf16")
MEMORY_FORMATS = ("contiguous", "channels_last")


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
    on_nan = OnNaN(**_keys(phase["on_nan"], OnNaN, "on_nan"))
    compute = Compute(**_keys(phase["compute"], Compute, "compute"))
    discriminator = phase["discriminator"]
    if discriminator is not None:
        discriminator = dict(_keys(discriminator, Discriminator, "discriminator"))
        _positive(discriminator, ["width", "layers", "lr"], "discriminator")
        discriminator["betas"] = tuple(discriminator["betas"])
        discriminator = Discriminator(**discriminator)
    if (phase["epochs"] is None) == (phase["steps"] is None):
        raise ValueError(
            f"phase: epochs is {phase['epochs']} and steps is {phase['steps']}; "
            "give exactly one of them"
        )
    length = "steps" if phase["epochs"] is None else "epochs"
    _positive(phase, ["size", length, "batch", "evaluate_every"], "phase")
    if phase["ema"] is not None and not 0 < phase["ema"] < 1:
        raise ValueError(f"phase: ema is {phase['ema']}, not between 0 and 1")
    _one_of(phase["encoder"], ENCODERS, "phase: encoder")
    _check_optimizer(optimizer)
    if on_nan.rollbacks < 0 or not 0 < on_nan.factor < 1:
        raise ValueError(
            f"on_nan: rollbacks is {on_nan.rollbacks} and factor {on_nan.factor}; they are at "
            "least 0, and between 0 and 1"
        )
    _one_of(compute.precision, PRECISIONS, "compute: precision")
    _one_of(compute.memory_format, MEMORY_FORMATS, "compute: memory_format")
    optimizer["betas"] = tuple(optimizer["betas"])
    if not 0 < augment["crop"] <= 1:
        raise ValueError(f"augment: crop is {augment['crop']}, not above 0 and at most 1")
    if not 0 <= augment["aged"] <= 1:
        raise ValueError(f"augment: aged is {augment['aged']}, not a share from 0 to 1")
    for name, plain in (("crop", 1), ("aged", 0)):
        if phase["encoder"] == "cached" and augment[name] != plain:
            raise ValueError(
                f"encoder is cached, and augment: {name} is {augment[name]}: what the encoder "
                f"sees of ever other pictures cannot be kept; set {name} to {plain}, or encoder "
                "to frozen"
            )
    augment["chroma"] = tuple(augment["chroma"])
    if not 0 <= augment["chroma"][0] <= augment["chroma"][1]:
        raise ValueError(f"augment: chroma is {augment['chroma']}, not a range from 0 up")
    _check_losses(phase["losses"], discriminator is not None)
    phase |= {
        "parts": None if phase["parts"] is None else tuple(phase["parts"]),
        "optimizer": Optimizer(**optimizer),
        "augment": Augment(**augment),
        "discriminator": discriminator,
        "on_nan": on_nan,
        "compute": compute,
    }
    clahe = _keys(recipe["input"], Input, "input")["clahe"]
    recipe["input"] = Input(clahe and Clahe(**_keys(clahe, Clahe, "clahe")))
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


def _one_of(value: Any, allowed: Sequence[str], where: str) -> None:
    if value not in allowed:
        raise ValueError(f"{where} is {value!r}, not {' or '.join(allowed)}")


def _check_optimizer(optimizer: Mapping[str, Any]) -> None:
    _positive(optimizer, ["lr"] if optimizer["clip"] is None else ["lr", "clip"], "optimizer")
    if not 0 <= optimizer["decay"] <= 1:
        raise ValueError(f"optimizer: decay is {optimizer['decay']}, not from 0 to 1")
    _one_of(optimizer["shape"], SHAPES, "optimizer: shape")
    if optimizer["warmup"] < 0:
        raise ValueError(f"optimizer: warmup is {optimizer['warmup']}, below zero")
    if optimizer["weight_decay"] < 0:
        raise ValueError(f"optimizer: weight_decay is {optimizer['weight_decay']}, below zero")
    if optimizer["weight_decay"] and optimizer["name"] == "adam":
        raise ValueError("optimizer: weight_decay is for adamw; choose name: adamw or leave it 0")


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
