"""What each recipe has learned after the same time on the same machine, beside grey and a constant.

    python benchmarks/compare_recipes.py SHARDS.csv SPLIT.csv [--minutes 20] [--validation 1024]
        [--experiments seed-quick tutorial-quick ...] [--models FOLDER]

Time is the processor time of one thread, which other work beside it does not stretch. The phases of
an experiment share it as they share the steps of its file; how many steps fit is found by timing a
few first. All are looked at on the same validation pictures at one size, as in training
(`photochrom.validation`); the constant is the mean colour of the training pictures. `auc_gain` is
the mean gain in balanced AuC over grey, picture by picture, with its 95 % interval.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "workflow" / "scripts"), str(ROOT / "workflow" / "rules")]

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from config_help import complete
from photochrom.batches import random_key
from photochrom.metrics.bootstrap import percentile_interval, resampled_sums
from photochrom.models import build, save_model
from photochrom.models.base import Colorizer
from photochrom.recipes import Recipe, parse_recipe
from photochrom.shards import TrainingSet, colours, load_split
from photochrom.training import total_steps, train_phase
from photochrom.validation import MEASURES, load_judges, validate

CPU = torch.device("cpu")
SHOWN = ("psnr_rgb", "ciede2000", "auc", "auc_balanced", "colourfulness", "fd_lite2", "kid_lite2")
HEADS = (*SHOWN[:4], "auc_gain", *SHOWN[4:])
BALANCED = MEASURES.index("auc_balanced")
TIMED = 4  # steps


class Constant(Colorizer):
    """Yardstick: one ab everywhere."""

    multiple = 1

    def __init__(self, ab: Tensor) -> None:
        super().__init__()
        self.ab = ab

    def forward(self, L: Tensor) -> Tensor:
        return self.ab.expand(len(L), 2, *L.shape[2:])


def recipes_of(name: str) -> list[Recipe]:
    schema = yaml.safe_load((ROOT / "workflow/schemas/experiment.schema.yaml").read_text())
    path = ROOT / "workflow" / "experiments" / f"{name}.yaml"
    experiment = complete(yaml.safe_load(path.read_text()), schema, name)
    shared = {"experiment": name, **{key: experiment[key] for key in ("seed", "network", "input")}}
    return [parse_recipe({**shared, "phase": phase}) for phase in experiment["phases"]]


def new_network(recipe: Recipe, train: TrainingSet) -> Colorizer:
    torch.manual_seed(random_key(recipe.seed, "network"))
    network = build(recipe.network, recipe.input.clahe)
    network.begin(colours(train), train.scale)
    return network


def lasting(recipe: Recipe, steps: int) -> Recipe:
    """The recipe with so many steps and no look at the validation pictures but the last."""
    optimizer = replace(recipe.phase.optimizer, warmup=min(recipe.phase.optimizer.warmup, steps))
    phase = replace(
        recipe.phase, steps=steps, epochs=None, evaluate_every=steps + 1, optimizer=optimizer
    )
    return replace(recipe, phase=phase)


def learned_of(
    recipes: list[Recipe], seconds: float, train: TrainingSet, few: TrainingSet, folder: Path
) -> tuple[Colorizer, list[int]]:
    """The network after about `seconds` of training, and the steps of its phases."""
    trial = new_network(recipes[0], train)
    rates = []
    for number, recipe in enumerate(recipes):
        place = folder / f"trial-{number}"
        train_phase(lasting(recipe, 1), trial, train, few, CPU, place / "one", 1e9)
        started = time.process_time()
        train_phase(lasting(recipe, TIMED), trial, train, few, CPU, place / "some", 1e9)
        rates.append((time.process_time() - started) / TIMED)
    planned = [total_steps(recipe.phase, len(train.ids)) for recipe in recipes]
    share = seconds / sum(rate * count for rate, count in zip(rates, planned, strict=True))
    steps = [max(1, round(count * share)) for count in planned]
    network = new_network(recipes[0], train)
    for number, (recipe, count) in enumerate(zip(recipes, steps, strict=True)):
        place = folder / f"phase-{number}"
        train_phase(lasting(recipe, count), network, train, few, CPU, place, 1e9)
    return network, steps


def first(data: TrainingSet, count: int) -> TrainingSet:
    return replace(data, ids=data.ids[:count], L=data.L[:count], ab=data.ab[:count])


class Table:
    """Prints a row for each network it is shown, and its gain over the first, which is grey.

    With `over_second` also the gain over the second, picture by picture.
    """

    def __init__(self, val: TrainingSet, over_second: bool = False) -> None:
        self.val = val
        self.size = val.size // 32 * 32  # what all networks here can take
        self.judges = load_judges(len(val.ids), CPU)
        self.balanced: list[NDArray[np.float64]] = []
        last = "over_second" if over_second else "steps"
        self.over_second = over_second
        print(f"| recipe | {' | '.join(HEADS)} | {last} |\n|{'---|' * (len(HEADS) + 2)}")

    def add(self, words: str, network: Colorizer, note: str = "") -> float:
        """Print a row; the gain."""
        look = validate(network, self.val, self.size, 16, CPU, lambda: None, self.judges)
        balanced = look.each[BALANCED]
        self.balanced.append(balanced)
        if self.over_second and len(self.balanced) > 2:
            note = gain(balanced - self.balanced[1])
        values = {name: f"{value:.4g}" for name, value in look.values.items()}
        values["auc_gain"] = gain(balanced - self.balanced[0])
        cells = [values.get(name, "not computed") for name in HEADS]
        print(f"| {words} | {' | '.join(cells)} | {note} |", flush=True)
        return float((balanced - self.balanced[0]).mean())


def gain(differences: NDArray[np.float64]) -> str:
    """The mean of differences (n,), with its 95 % interval, in words."""
    low, high = percentile_interval(resampled_sums(differences[:, None])[:, 0] / len(differences))
    return f"{differences.mean():+.2f} ({low:+.2f} to {high:+.2f})"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shards", type=Path, metavar="SHARDS.csv")
    parser.add_argument("split", type=Path, metavar="SPLIT.csv")
    parser.add_argument("--minutes", type=float, default=20, help="of one thread, for each recipe")
    parser.add_argument("--validation", type=int, default=1024, metavar="PICTURES")
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="keep the networks here")
    parser.add_argument(
        "--experiments",
        nargs="+",
        default=[
            "seed-quick",
            "seed-attention-quick",
            "seed-clahe-quick",
            "fusion-quick",
            "tutorial-quick",
            "zhang16-quick",
            "photochrom-quick",
        ],
    )
    arguments = parser.parse_args()
    train = load_split(arguments.shards, arguments.split, "train")
    val = first(load_split(arguments.shards, arguments.split, "val"), arguments.validation)
    torch.set_num_threads(1)
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}")
    print(f"{len(train.ids)} training and {len(val.ids)} validation pictures of {val.size} px")
    table = Table(val)
    mean = torch.from_numpy(train.ab.mean(axis=(0, 2, 3)) * train.scale).float().reshape(1, 2, 1, 1)
    table.add("grey", Constant(torch.zeros_like(mean)))
    table.add("constant", Constant(mean))
    for name in arguments.experiments:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            network, steps = learned_of(
                recipes_of(name), 60 * arguments.minutes, train, first(val, 2), place
            )
            table.add(name, network, ", ".join(map(str, steps)))
            if arguments.models:
                recipe = recipes_of(name)[-1]
                metadata = {
                    "experiment": name,
                    "phase": recipe.phase.name,
                    "network": recipe.network,
                    "input": asdict(recipe.input),
                    "size": recipe.phase.size,
                    "steps": sum(steps),
                }
                save_model(arguments.models / f"{name}.safetensors", network, metadata)
    return 0


if __name__ == "__main__":
    sys.exit(main())
