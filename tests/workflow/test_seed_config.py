"""workflow/configs/seed.yaml on a made set in the Kaggle layout."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from snakemake.utils import update_config

from config_help import complete, read_yaml
from kaggle_layout import find_photographs, make_layout
from miniature import ROOT, Workspace
from photochrom.images import png_bytes
from photochrom.lab_arrays import COLOUR, LIGHTNESS

CONFIG = "workflow/configs/seed.yaml"
SIDE = 32


def snakemake(fresh: Workspace, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.run(
        [*command, "--configfile", CONFIG],
        cwd=fresh.path,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )


def make_set(folder: Path) -> Path:
    """60 photographs of coarse colours, some of them dark or grey, as the Kaggle set has them."""
    generator = np.random.default_rng(1)
    photos = folder / "photos-of-the-set"
    photos.mkdir()
    for number in range(60):
        coarse = generator.integers(60, 200, (4, 4, 3)).astype(float)
        if number % 5 == 1:
            coarse = coarse[..., :1].repeat(3, axis=2)
        if number % 7 == 2:
            coarse *= 0.3
        fine = np.kron(coarse.astype("u1"), np.ones((8, 8, 1), "u1"))
        (photos / f"{number:02}.png").write_bytes(png_bytes(fine))
    assert make_layout(find_photographs(photos, SIDE), folder / "set", SIDE) == [24, 24, 12]
    return folder / "set"


def test_the_seeds_configuration_is_the_seeds() -> None:
    config = read_yaml(ROOT / "config.yaml")
    update_config(config, read_yaml(ROOT / CONFIG))
    schema = read_yaml(ROOT / "workflow" / "schemas" / "config.schema.yaml")
    data = complete(config, schema, "config")["data"]
    assert data["sources"] == [{"kind": "kaggle"}]
    assert data["size"] == 128
    on = {name: value for name, value in data["filters"].items() if value is not None}
    assert on == {"brightness": [50, 170], "chroma_std": 10}
    assert [data["split"][name] for name in ("train", "val", "test")] == [0.81, 0.09, 0.1]
    assert data["split"]["assign"] is None


def test_the_made_set_goes_through_to_the_split(fresh: Workspace) -> None:
    made = make_set(fresh.path)
    text = yaml.safe_dump({"sources": [{"kind": "kaggle", "path": "set"}]}, default_flow_style=True)
    done = snakemake(fresh, "data", "--config", f"data={text.strip()}")
    assert done.returncode == 0, done.stdout[-6000:]

    mean = np.load(made / LIGHTNESS).mean(axis=(1, 2))
    colour = np.concatenate([np.load(made / name) for name in COLOUR.values()])
    keep = (mean >= 50) & (mean <= 170) & (colour.std(axis=(1, 2, 3)) > 10)
    assert 20 < keep.sum() < 50
    catalog = fresh.table("results/data/catalog.csv")
    assert [row["verdict"] == "keep" for row in catalog] == keep.tolist()
    assert Counter(row["part"] for row in catalog) == {"1": 24, "2": 24, "3": 12}
    split = fresh.table("results/data/split.csv")
    part_of = {row["id"]: row["part"] for row in catalog}
    assert all(row["part"] == part_of[row["id"]] for row in split)
    assert {row["split"] for row in split} == {"train", "val", "test"}
    assert {row["part"] for row in split} == {"1", "2", "3"}

    done = snakemake(fresh, "data", "--dry-run", "--config", f"data={text.strip()}")
    assert "Nothing to be done" in done.stdout
    # Another array is noticed, although its name is the old one.
    array = np.load(made / COLOUR[3])
    array[0] ^= 1
    np.save(made / COLOUR[3], array)
    done = snakemake(fresh, "data", "--dry-run", "--config", f"data={text.strip()}")
    assert "rule download" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--dry-run",)])
def test_without_credentials_nothing_starts(fresh: Workspace, arguments: tuple[str, ...]) -> None:
    environment = {name: "" for name in os.environ if name.startswith("KAGGLE")}
    done = snakemake(fresh, *arguments, **environment | {"HOME": str(fresh.path / "home")})
    assert done.returncode == 4, done.stdout
    assert "KAGGLE_USERNAME and KAGGLE_KEY" in done.stdout
    assert "kaggle.json" in done.stdout
    assert not (fresh.path / "results").exists()
