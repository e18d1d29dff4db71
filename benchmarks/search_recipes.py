"""Which choices of the recipe photochrom-cpu pay: one changed at a time, all else alike.

    python benchmarks/search_recipes.py SHARDS.csv SPLIT.csv [--photographs 1500] [--size 128]
        [--epochs 2] [--validation 256] [--seeds 3] [--only NAME ...] [--colour SHARE]

Each row is the recipe's first phase, shortened, with one thing changed from the start of the
search, on photographs at equal distances in the training split, so that all sources have their
share; it is looked at on the same validation pictures, taken likewise (`photochrom.validation`).
`over_second` is the gain in balanced AuC over the start, picture by picture, with its 95 %
interval. The three rows of the best balanced AuC are trained again with other seeds. What the
frozen encoder sees is computed once for all rows that can share it. With --colour each row is
decoded at the gain that gives it this share of the colourfulness of some of the photographs: colour
costs PSNR, so that only rows of equal colour say which loss is better.
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

from photochrom.models.photochrom import Photochrom
from photochrom.recipes import Augment, Discriminator, Recipe
from photochrom.shards import TrainingSet, load_split
from photochrom.training import train_phase
from photochrom.validation import validate

# The recipe's own.
BOTH = {"rebalanced-ce": 1.0, "smooth_l1": 2.0}
PATCHGAN = Discriminator("patchgan", 32, 3, 0.0001, (0.5, 0.999))
NOT_MIRRORED = Augment(flip=False, crop=1.0, chroma=(1.0, 1.0))
# What is changed: the row's name, options of the network, keys of the phase. `taken` says which
# photographs: half of those of the other rows, or as many from the split's beginning.
CHANGES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("the start", {}, {}),
    ("classes alone", {}, {"losses": {"rebalanced-ce": 1.0}}),
    ("regression alone", {}, {"losses": {"smooth_l1": 10.0}}),
    ("smooth_l1 10", {}, {"losses": {"rebalanced-ce": 1.0, "smooth_l1": 10.0}}),
    ("smooth_l1 10, classes 0.2", {}, {"losses": {"rebalanced-ce": 0.2, "smooth_l1": 10.0}}),
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
    ("not mirrored", {}, {"augment": NOT_MIRRORED}),
    (
        "cropped, not mirrored",
        {},
        {"encoder": "frozen", "augment": replace(NOT_MIRRORED, crop=0.5)},
    ),
    (
        "half made old, not mirrored",
        {},
        {"encoder": "frozen", "augment": replace(NOT_MIRRORED, aged=0.5)},
    ),
    ("half of them, twice as often", {}, {"encoder": "frozen", "taken": "half", "epochs": 4}),
    ("as many of fewer sources", {}, {"encoder": "frozen", "taken": "first"}),
]
BEST = 3
# How often a gain is set anew; what sRGB cannot show makes colourfulness lag behind it.
CORRECTIONS = 3
# Photographs by which it is set: enough for rows to agree to 1 %, a few seconds each time.
JUDGED = 64


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


def spread(data: TrainingSet, count: int) -> TrainingSet:
    """So many pictures, at equal distances from one another; all of them when there are fewer."""
    count = min(count, len(data.ids))
    taken = [number * len(data.ids) // count for number in range(count)]
    ids = [data.ids[number] for number in taken]
    return replace(data, ids=ids, L=data.L[taken], ab=data.ab[taken])


def learn(recipe: Recipe, train: TrainingSet, few: TrainingSet, seen: Path) -> Photochrom:
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
    assert isinstance(network, Photochrom)
    return network


def colour(network: Photochrom, share: float, pictures: TrainingSet) -> None:
    """Set the gain at which what `network` gives is as colourful as `share` of the photographs."""
    for _ in range(CORRECTIONS):
        seen = validate(network, pictures, pictures.size // 32 * 32, 16, CPU, lambda: None).values
        network.gain *= share * seen["colourfulness_truth"] / seen["colourfulness"]


def main() -> int:
    names = [name for name, _, _ in CHANGES]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shards", type=Path, metavar="SHARDS.csv")
    parser.add_argument("split", type=Path, metavar="SPLIT.csv")
    parser.add_argument("--photographs", type=int, default=1500)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--validation", type=int, default=256, metavar="PICTURES")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=names, help="after the first")
    parser.add_argument("--colour", type=float, metavar="SHARE")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    everything = load_split(arguments.shards, arguments.split, "train")
    train = spread(everything, arguments.photographs)
    taken = {
        "half": spread(train, len(train.ids) // 2),
        "first": first(everything, len(train.ids)),
    }
    val = spread(load_split(arguments.shards, arguments.split, "val"), arguments.validation)
    base = recipes_of("photochrom-cpu")[0]
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}")
    print(
        f"{len(train.ids)} training pictures, {arguments.epochs} epochs at {arguments.size} px; "
        f"{len(val.ids)} validation pictures of {val.size} px"
    )
    table = Table(val, over_second=True)
    table.add("grey", Constant(torch.zeros(1, 2, 1, 1)))
    with tempfile.TemporaryDirectory() as folder:

        def row(change: tuple[str, dict[str, Any], dict[str, Any]], seed: int) -> float:
            name, network, phase = change
            recipe = changed(base, network, phase, seed, arguments.size, arguments.epochs)
            shown = taken.get(phase.get("taken", ""), train)
            learned = learn(recipe, shown, first(val, 2), Path(folder))
            if arguments.colour:
                colour(learned, arguments.colour, spread(val, JUDGED))
                name = f"{name}, gain {learned.gain:.2f}"
            return table.add(f"{name}, seed {seed}" if seed > 1 else name, learned)

        changes = [CHANGES[0], *(c for c in CHANGES[1:] if c[0] in (arguments.only or {c[0]}))]
        gains = [(row(change, 1), number) for number, change in enumerate(changes)]
        for _, number in sorted(gains, reverse=True)[:BEST]:
            for seed in range(2, arguments.seeds + 1):
                row(changes[number], seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
