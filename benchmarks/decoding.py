"""How a model that chooses among colours is best decoded: temperature and gain, on validation.

    python benchmarks/decoding.py MODEL.safetensors SHARDS.csv SPLIT.csv [--validation 512]
        [--temperatures 0.2,0.38,0.7,1] [--gains 1,1.15,1.3] [--publish TEMPERATURE,GAIN,SMOOTH OUT]

A row for each pair, all by the same weights on the same validation pictures at one size, as in
training (`photochrom.validation`). With --publish, the model is written to OUT with those options
of its network (for SMOOTH see bench_smoothing.py), and OUT's digest beside it, as `sha256sum -c`
reads it; nothing is measured.
"""

import argparse
import os
import platform
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import torch
from compare_recipes import CPU, Constant, Table, first

from photochrom.models import load_model, save_model
from photochrom.models.photochrom import Photochrom
from photochrom.runtime import sha256_file, write_text
from photochrom.shards import load_split

# What save_model adds itself.
ADDED = ("format_version", "L_scale", "ab_scale", "weights_sha256", "metadata_sha256")


def publish(model: Path, decoding: dict[str, float], out: Path) -> None:
    """Write the model with other decoding options, and its digest."""
    given = load_model(model)
    metadata = {key: value for key, value in given.metadata.items() if key not in ADDED}
    metadata["network"] = {**metadata["network"], **decoding}
    save_model(out, given.network, metadata)
    write_text(out.with_suffix(".sha256"), f"{sha256_file(out)}  {out.name}\n")
    load_model(out)


def numbers(text: str) -> list[float]:
    return [float(value) for value in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("shards", type=Path)
    parser.add_argument("split", type=Path)
    parser.add_argument("--validation", type=int, default=512, metavar="PICTURES")
    parser.add_argument("--temperatures", type=numbers, default=[0.2, 0.38, 0.7, 1.0])
    parser.add_argument("--gains", type=numbers, default=[1.0, 1.15, 1.3])
    parser.add_argument("--publish", nargs=2, metavar=("TEMPERATURE,GAIN,SMOOTH", "OUT"))
    arguments = parser.parse_args()
    if arguments.publish:
        decoding = dict(
            zip(("temperature", "gain", "smooth"), numbers(arguments.publish[0]), strict=True)
        )
        publish(arguments.model, decoding, Path(arguments.publish[1]))
        return 0
    network = load_model(arguments.model).network
    if not isinstance(network, Photochrom):
        parser.error("the model's network is not photochrom")
    val = first(load_split(arguments.shards, arguments.split, "val"), arguments.validation)
    print(f"machine: {os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}")
    print(f"{len(val.ids)} validation pictures of {val.size} px")
    table = Table(val)
    table.add("grey", Constant(torch.zeros(1, 2, 1, 1)))
    for network.temperature in arguments.temperatures:
        for network.gain in arguments.gains:
            table.add(f"T {network.temperature:g}, gain {network.gain:g}", network.to(CPU))
    return 0


if __name__ == "__main__":
    sys.exit(main())
