"""Which choices of the recipe photochrom-cpu pay: one changed at a time, all else alike.

    python benchmarks/search_recipes.py SHARDS.csv SPLIT.csv [--photographs 4000] [--size 128]
        [--epochs 2] [--validation 512] [--seeds 3]

Each row is the recipe's first phase, shortened, with one thing changed, on the first photographs of
the training split; it is looked at on the same validation pictures (`photochrom.validation`). The
three rows of the best gain over grey in balanced AuC are trained again with other seeds. What the
frozen encoder sees is computed once for all rows that can share it.
"""

import argparse
import os
import platform
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import torch
from compare_recipes import CPU, Constant, Table, first, new_network, recipes_of

from photochrom.recipes import Augment, Discriminator, Recipe
from photochrom.shards import TrainingSet, load_split
from photochrom.training import train_phase

BOTH = {"rebalanced-ce": 1.0, "smooth_l1": 2.0}
PATCHGAN = Discriminator("patchgan", 32, 3, 0.0001, (0.5, 0.999))
AS_THEY_ARE = Augment(flip=False, crop=1.0, chroma=(1.0, 1.0))
# What is changed: the row's name, options of the network, keys of the phase. `taken` says which
# photographs: half of those of the other rows, or as many at equal distances in the split.
CHANGES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("as it is", {}, {}),
    ("classes alone", {}, {"losses": {"rebalanced-ce": 1.0}}),
    ("regression alone", {}, {"losses": {"smooth_l1": 10.0}}),
    ("smooth_l1 10", {}, {"losses": {"rebalanced-ce": 1.0, "smooth_l1": 10.0}}),
    ("perceptual 1", {}, {"losses": {**BOTH, "perceptual": 1.0}}),
    ("uniform 0.5", {"uniform": 0.5}, {}),
    ("uniform 0.9", {"uniform": 0.9}, {}),
    ("uniform 1, not rebalanced", {"uniform": 1.0}, {}),
    ("one bin a colour", {"neighbours": 1}, {}),
    ("ten bins a colour", {"neighbours": 10}, {}),
    ("queries, 1 round", {"rounds": 1}, {}),
    ("queries, 3 rounds", {"rounds": 3}, {}),
    ("width 64", {"width": 64}, {}),
    ("width 128", {"width": 128}, {}),
    ("stride 4", {"stride": 4}, {}),
    ("size 96", {}, {"size": 96}),
    ("size 160", {}, {"size": 160}),
    ("learning rate 0.0003", {}, {"lr": 0.0003}),
    ("learning rate 0.002", {}, {"lr": 0.002}),
    ("last weights, no average", {}, {"ema": None}),
    ("encoder trained along", {}, {"encoder": "trained", "lr": 0.0003}),
    ("against a PatchGAN", {}, {"losses": {**BOTH, "gan-hinge": 0.1}, "discriminator": PATCHGAN}),
    ("mirrored", {}, {"encoder": "frozen", "augment": replace(AS_THEY_ARE, flip=True)}),
    ("cropped, scaled", {}, {"encoder": "frozen", "augment": replace(AS_THEY_ARE, crop=0.5)}),
    ("half made old", {}, {"encoder": "frozen", "augment": replace(AS_THEY_ARE, aged=0.5)}),
    ("half of them, twice as often", {}, {"encoder": "frozen", "taken": "half", "epochs": 4}),
    ("as many from all sources", {}, {"encoder": "frozen", "taken": "spread"}),
]
BEST = 3


def changed(
    base: Recipe, network: dict[str, Any], phase: dict[str, Any], seed: int, size: int, epochs: int
) -> Recipe:
    """The recipe of a row."""
    keys = {"size": size, "epochs": epochs, **phase}
    keys.pop("taken", None)
    optimizer = replace(base.phase.optimizer, warmup=50)
    if "lr" in keys:
        optimizer = replace(optimizer, lr=keys.pop("lr"))
    of_phase = replace(
        base.phase,
        **{"evaluate_every": 10**9, "optimizer": optimizer, **keys},
    )
    return replace(base, seed=seed, network={**base.network, **network}, phase=of_phase)


def every(data: TrainingSet, distance: int) -> TrainingSet:
    """The pictures at that distance from one another."""
    ids, L, ab = data.ids[::distance], data.L[::distance], data.ab[::distance]
    return replace(data, ids=ids, L=L, ab=ab)


def learn(recipe: Recipe, train: TrainingSet, few: TrainingSet, seen: Path) -> Any:
    """The trained network of a row; `seen` keeps what encoders see, by stride and size."""
    network = new_network(recipe, train)
    kept = seen / f"{recipe.network['stride']}-{recipe.phase.size}"
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for path in kept.glob("features*"):
            (place / path.name).symlink_to(path)
        train_phase(recipe, network, train, few, CPU, place, 1e9)
        if recipe.phase.encoder == "cached" and not kept.exists():
            kept.mkdir(parents=True)
            for path in place.glob("features*"):
                path.rename(kept / path.name)
    return network


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shards", type=Path, metavar="SHARDS.csv")
    parser.add_argument("split", type=Path, metavar="SPLIT.csv")
    parser.add_argument("--photographs", type=int, default=4000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--validation", type=int, default=512, metavar="PICTURES")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    everything = load_split(arguments.shards, arguments.split, "train")
    train = first(everything, arguments.photographs)
    taken = {
        "half": first(train, len(train.ids) // 2),
        "spread": first(every(everything, len(everything.ids) // len(train.ids)), len(train.ids)),
    }
    val = first(load_split(arguments.shards, arguments.split, "val"), arguments.validation)
    base = recipes_of("photochrom-cpu")[0]
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}")
    print(
        f"{len(train.ids)} training pictures, {arguments.epochs} epochs at {arguments.size} px; "
        f"{len(val.ids)} validation pictures of {val.size} px"
    )
    table = Table(val)
    table.add("grey", Constant(torch.zeros(1, 2, 1, 1)))
    with tempfile.TemporaryDirectory() as folder:

        def row(change: tuple[str, dict[str, Any], dict[str, Any]], seed: int) -> float:
            name, network, phase = change
            recipe = changed(base, network, phase, seed, arguments.size, arguments.epochs)
            shown = taken.get(phase.get("taken", ""), train)
            learned = learn(recipe, shown, first(val, 2), Path(folder))
            return table.add(f"{name}, seed {seed}" if seed > 1 else name, learned)

        gains = [(row(change, 1), number) for number, change in enumerate(CHANGES)]
        for _, number in sorted(gains, reverse=True)[:BEST]:
            for seed in range(2, arguments.seeds + 1):
                row(CHANGES[number], seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
