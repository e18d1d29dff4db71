"""Train one phase of an experiment: a recipe and shards in, weights, log and curves out.

The same command goes on where a killed one stopped.
"""

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photochrom.runtime import (
    EXIT_MODEL,
    EXIT_OK,
    StageError,
    duration,
    log,
    pick_device,
    run_stage,
    sha256_file,
    sha256_text,
    stage_parser,
    start_log,
    write_bytes,
    write_text,
)

if TYPE_CHECKING:
    from photochrom.models.base import Colorizer
    from photochrom.recipes import Recipe
    from photochrom.shards import ShardSet, TrainingSet


def main(argv: Sequence[str] | None = None) -> int:
    parser = stage_parser(__doc__)
    parser.add_argument(
        "--recipe", type=Path, required=True, help="YAML, one phase of one experiment"
    )
    parser.add_argument("--shards", type=Path, required=True, help="shards.csv")
    parser.add_argument("--split", type=Path, required=True, help="split.csv")
    parser.add_argument("--parent", type=Path, help="the model of the phase before")
    parser.add_argument(
        "--history", type=Path, nargs="*", default=[], help="log.jsonl of the phases before"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--resume", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument(
        "--checkpoint-seconds", type=float, default=30.0, help="time between checkpoints"
    )
    parser.add_argument(
        "--checkpoint-steps", type=int, default=0, help="steps between checkpoints; 0: time alone"
    )
    parser.add_argument(
        "--resident",
        choices=["auto", "always", "never"],
        default="auto",
        help="keep the training pictures on the GPU; auto when half of its free memory holds them",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        help="processes that read the training pictures from the shards; 0 keeps them in memory",
    )
    parser.add_argument(
        "--require-parts",
        type=part_numbers,
        default=[],
        metavar="any|1,2,...",
        help="parts of the data that other phases will need; nothing is trained without them",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--threads", type=int, help="CPU threads; all of them when left out")
    args = parser.parse_args(argv)
    first = os.environ.get("RANK", "0") == "0"
    start_log("train", args.log if first else None)
    if not first:
        log.setLevel("ERROR")  # the first process of a team speaks for all
    train(args)
    return EXIT_OK


def part_numbers(text: str) -> list[int]:
    """Parts of the data from the command line."""
    return [] if text == "any" else [int(number) for number in text.split(",")]


def train(args: argparse.Namespace) -> None:
    """Train as the arguments say; publish model.safetensors, log.jsonl, curves.svg, strip.jpg."""
    import dataclasses

    import torch

    from photochrom.curves import curves_svg, read_phase
    from photochrom.models import save_model
    from photochrom.recipes import read_recipe, recipe_sha256
    from photochrom.shards import list_split, load_split, require_parts
    from photochrom.strips import strip
    from photochrom.team import assemble
    from photochrom.training import train_phase
    from photochrom.validation import watched_pictures, watched_size

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    team, device = assemble(pick_device(args.device))
    recipe = read_recipe(args.recipe)
    phase = recipe.phase
    require_parts(args.split, [*(phase.parts or []), *args.require_parts])
    training: TrainingSet | ShardSet = (list_split if args.workers else load_split)(
        args.shards, args.split, "train", phase.parts
    )
    validation = load_split(args.shards, args.split, "val")
    before = [read_phase(path) for path in args.history]
    network, parent_digest = first_network(recipe, args.parent, training)
    origin = {
        "recipe_sha256": recipe_sha256(recipe),
        "data_sha256": sha256_text(training.digest + validation.digest),
        "parent_sha256": parent_digest,
    }
    key = sha256_text(json.dumps([origin, source_digests()]))
    log.info(
        "%s/%s: %d training and %d validation pictures at %d px, on %s",
        recipe.experiment,
        phase.name,
        len(training.ids),
        len(validation.ids),
        phase.size,
        device,
    )
    records = train_phase(
        recipe,
        network,
        training,
        validation,
        device,
        args.resume / key,
        args.checkpoint_seconds,
        args.checkpoint_steps,
        args.resident,
        args.workers,
        team,
        args.out / "tensorboard",
    )
    team.leave()
    if team.rank:
        return
    last = records[-1]
    text = "".join(json.dumps(record) + "\n" for record in records)
    write_text(args.out / "log.jsonl", text)
    curves = curves_svg([*before, records], f"{recipe.experiment}, phase {phase.name}")
    write_text(args.out / "curves.svg", curves)
    grey, truth = watched_pictures(validation, watched_size(network, validation))
    write_bytes(args.out / "strip.jpg", strip(args.resume / key, grey, truth))
    metadata = {
        **origin,
        "experiment": recipe.experiment,
        "phase": phase.name,
        "network": recipe.network,
        "input": dataclasses.asdict(recipe.input),
        "size": phase.size,
        "steps": last["step"],
    }
    save_model(args.out / "model.safetensors", network, metadata)
    remove_checkpoints(args.resume)
    log.info(
        "made %s: %d steps in %s, validation PSNR %.2f dB, colourfulness %.1f (photographs %.1f)",
        args.out / "model.safetensors",
        last["step"],
        duration(last["seconds"]),
        last["psnr_rgb"],
        last["colourfulness"],
        last["colourfulness_truth"],
    )


def first_network(
    recipe: "Recipe", parent: Path | None, training: "TrainingSet | ShardSet"
) -> "tuple[Colorizer, str]":
    """The network before the first step, and the digest of the model it comes from, if any."""
    import torch

    from photochrom.batches import random_key
    from photochrom.models import build, load_model
    from photochrom.shards import colours

    if parent is None:
        torch.manual_seed(random_key(recipe.seed, "network"))
        try:
            network = build(recipe.network, recipe.input.clahe)
        except ValueError as error:
            raise StageError(f"experiment {recipe.experiment}: {error}") from error
        network.begin(colours(training), training.scale)
        return network, ""
    model = load_model(parent)
    if model.metadata["network"] != recipe.network:
        raise StageError(
            f"{parent} holds the network {model.metadata['network']}, the recipe asks for "
            f"{recipe.network}; train the phase before again",
            EXIT_MODEL,
        )
    if model.network.clahe != recipe.input.clahe:
        raise StageError(
            f"{parent} was trained with the input transform {model.network.clahe}, the recipe "
            f"asks for {recipe.input.clahe}; train the phase before again",
            EXIT_MODEL,
        )
    return model.network, model.digest


def source_digests() -> dict[str, str]:
    """SHA-256 of this script and of each photochrom module it has loaded, by file name.

    They are part of the checkpoint's key: changed code starts afresh.
    """
    modules: list[Any] = [
        module for name, module in sys.modules.items() if name.split(".")[0] == "photochrom"
    ]
    # Resolved, because a script that is named by a way round (../x/train.py) keeps that name, and
    # its modules do not.
    names = [__file__, *(module.__file__ for module in modules if module.__file__)]
    files = {Path(name).resolve() for name in names}
    root = Path(__file__).resolve().parent
    return {str(file.relative_to(root)): sha256_file(file) for file in sorted(files)}


def remove_checkpoints(folder: Path) -> None:
    """Remove every recipe's checkpoints in `folder`, and nothing else that may lie there."""
    for each in folder.iterdir():
        if re.fullmatch(r"[0-9a-f]{64}", each.name):
            shutil.rmtree(each)
    if not any(folder.iterdir()):
        folder.rmdir()


if __name__ == "__main__":
    sys.exit(run_stage("train", main))
