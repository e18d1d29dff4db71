"""Made photographs as the data stages leave them, a small network, and the stage that measures."""

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvips
import torch

import evaluate
from photochrom.images import write_png
from photochrom.metrics.protocols import PROTOCOLS
from photochrom.models import NETWORKS, build, save_model
from photochrom.models.base import Colorizer
from photochrom.runtime import run_stage, sha256_file
from photochrom.shards import write_shard

SIDE = 32
NETWORK = {"name": "small"}
CATALOG = ["id", "path", "sha256", "width", "height", "source", "original_name"]
CATALOG += ["colourfulness", "mean_L"]


class Small(Colorizer):
    """Three convolutions; enough for a result that rounding could move."""

    multiple = 4

    def __init__(self) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = [torch.nn.Conv2d(1, 24, 5, padding=2), torch.nn.SiLU()]
        layers += [torch.nn.Conv2d(24, 24, 5, padding=2), torch.nn.SiLU()]
        layers += [torch.nn.Conv2d(24, 2, 5, padding=2), torch.nn.Tanh()]
        self.layers = torch.nn.Sequential(*layers)

    def forward(self, L: torch.Tensor) -> torch.Tensor:
        return self.layers(L)


def small_world(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A fixture's body: small pictures and networks, and the process' thread settings put back."""
    monkeypatch.setitem(NETWORKS, "small", Small)
    for name in ("paired-256crop", "disjoint"):
        protocol = replace(PROTOCOLS[name], size=SIDE, description="small")
        monkeypatch.setitem(PROTOCOLS, name, protocol)
    torch_threads, vips_threads = torch.get_num_threads(), pyvips.concurrency_get()
    yield
    torch.set_num_threads(torch_threads)
    pyvips.concurrency_set(vips_threads)


def write_table(path: Path, columns: list[str], rows: list[tuple]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


class Data:
    """Six test photographs in three groups and two training pictures, as the data stages leave."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        generator = np.random.default_rng(5)
        catalog, split = [], []
        self.paths = {}
        for number in range(8):
            name = f"t{number}"
            path = self.paths[name] = folder / f"original {number}%.png"
            coarse = generator.integers(0, 256, (4, 5, 3), dtype=np.uint8)
            write_png(path, coarse.repeat(12, axis=0).repeat(12, axis=1))
            text = str(path).replace("%", "%25")
            source = "odd" if number % 2 else "even"
            original = f"original {number}%.png"
            catalog.append((name, text, sha256_file(path), 60, 48, source, original, 40, 50))
            kind = "test" if number < 6 else "train"
            split.append((name, "shard-00000", number, f"group {3 + number % 3}", 1, kind))
        write_table(folder / "catalog.csv", CATALOG, catalog)
        columns = ["id", "shard", "row", "group", "part", "split"]
        write_table(folder / "split.csv", columns, split)
        ab = np.broadcast_to(np.array([0.1, -0.2]), (8, 4, 4, 2))
        write_shard(folder / "shard-00000.h5", list(self.paths), np.zeros((8, 4, 4)), ab, "")
        row = ("shard-00000", folder / "shard-00000.h5", 8, "", 4)
        digest = sha256_file(folder / "shard-00000.h5")
        write_table(
            folder / "shards.csv",
            ["shard", "path", "rows", "sha256", "size"],
            [(*row[:3], digest, row[4])],
        )

    def catalogue_again(self) -> None:
        """The catalog of originals that were replaced."""
        with (self.folder / "catalog.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            row["sha256"] = sha256_file(self.paths[row["id"]])
        write_table(self.folder / "catalog.csv", CATALOG, [tuple(row.values()) for row in rows])

    def model(self) -> Path:
        torch.manual_seed(0)
        path = self.folder / "model.safetensors"
        metadata = {"network": NETWORK, "size": 16, "experiment": "quick", "phase": "gan"}
        save_model(path, build(NETWORK), metadata)
        return path

    def evaluate(self, *options: str, out: str = "row") -> int:
        self.out, self.pictures = self.folder / f"{out}.json", self.folder / f"{out}.pictures"
        self.per_image = self.folder / f"{out}.per_image.csv"
        arguments = ["--row", "a row", "--catalog", self.folder / "catalog.csv"]
        arguments += ["--split", self.folder / "split.csv", "--device", "cpu"]
        arguments += ["--out", self.out, "--per-image", self.per_image]
        arguments += ["--pictures", self.pictures, *options]
        return run_stage("evaluate", lambda: evaluate.main([str(value) for value in arguments]))

    def row(self) -> dict:
        return json.loads(self.out.read_text(encoding="utf-8"))

    def figure(self, metric: str) -> dict:
        (found,) = [figure for figure in self.row()["figures"] if figure["metric"] == metric]
        return found

    def digest(self, names: str) -> str:
        lines = [f"{name} {sha256_file(self.paths[name])}\n" for name in names.split()]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
