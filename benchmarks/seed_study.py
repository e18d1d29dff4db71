"""Why the seed's recipe is no better than grey: its code, its losses, or its network?

    python benchmarks/seed_study.py SHARDS.csv SPLIT.csv [--minutes 10] [--model SEED.safetensors]

Each line changes one thing of seed-quick and trains for the same processor time of one thread, as
in compare_recipes.py:

    memory        32 training pictures alone, at the size at which they are then looked at
                  themselves, without dropout: can the code learn at all?
    l1 alone      no adversary
    weak l1       lambda 10 instead of 100: more adversary
    smooth design another U-Net of as many channels, with the same losses
    batch norm    the network of --model as it is, and normalized by the statistics of each batch
                  of 16, as pix2pix and the seed's notebooks do when they show pictures
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from compare_recipes import Constant, Table, first, learned_of, recipes_of
from torch import Tensor

from photochrom.models import load_model
from photochrom.models.base import Colorizer
from photochrom.recipes import Recipe
from photochrom.shards import load_split

REMEMBERED = 32


class BatchStatistics(Colorizer):
    """A network that normalizes by each batch, in evaluation too, without dropout."""

    def __init__(self, network: Colorizer) -> None:
        super().__init__()
        self.network, self.multiple = network, network.multiple

    def forward(self, L: Tensor) -> Tensor:
        for part in self.network.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.train()
        return self.network(L)


def l1_alone(recipe: Recipe) -> Recipe:
    return replace(recipe, phase=replace(recipe.phase, losses={"l1": 100.0}, discriminator=None))


def weak_l1(recipe: Recipe) -> Recipe:
    return replace(recipe, phase=replace(recipe.phase, losses={"l1": 10.0, "gan": 1.0}))


def smooth(recipe: Recipe) -> Recipe:
    return replace(recipe, network={**recipe.network, "design": "smooth"})


def at_size(recipe: Recipe, size: int) -> Recipe:
    phase = replace(recipe.phase, size=size)
    return replace(recipe, phase=phase, network={**recipe.network, "dropout": 0.0})


CHANGES: dict[str, Callable[[Recipe], Recipe]] = {
    "l1 alone": l1_alone,
    "weak l1": weak_l1,
    "smooth design": smooth,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shards", type=Path, metavar="SHARDS.csv")
    parser.add_argument("split", type=Path, metavar="SPLIT.csv")
    parser.add_argument("--minutes", type=float, default=10, help="of one thread, for each line")
    parser.add_argument("--validation", type=int, default=1024, metavar="PICTURES")
    parser.add_argument("--memory-only", action="store_true", help="the first line alone")
    parser.add_argument("--model", type=Path, metavar="SEED.safetensors")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train = load_split(arguments.shards, arguments.split, "train")
    val = first(load_split(arguments.shards, arguments.split, "val"), arguments.validation)
    grey = Constant(torch.zeros(1, 2, 1, 1))
    recipes = recipes_of("seed-quick")
    seconds = 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        few = first(train, REMEMBERED)
        remembered = Table(few)
        remembered.add("grey", grey)
        memorizing = [at_size(recipe, remembered.size) for recipe in recipes]
        network, steps = learned_of(memorizing, seconds, few, first(val, 2), place / "memory")
        remembered.add("memory", network, str(steps[0]))
        if arguments.memory_only:
            return 0
        table = Table(val)
        table.add("grey", grey)
        if arguments.model:
            seed = load_model(arguments.model).network
            table.add("as trained", seed)
            table.add("batch norm", BatchStatistics(seed))
        for words, change in CHANGES.items():
            changed = [change(recipe) for recipe in recipes]
            network, steps = learned_of(changed, seconds, train, first(val, 2), place / words)
            table.add(words, network, str(steps[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
