"""The model that comes with the workflow: whole, documented, and better than grey."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import yaml

from config_help import complete
from photochrom.calibration import read
from photochrom.color import lab_to_rgb, rgb_to_lab
from photochrom.inference import colorize_lightness
from photochrom.metrics.colour import ciede2000
from photochrom.models import Model, load_model
from photochrom.runtime import sha256_file
from preflight import read_experiments, read_schema

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "workflow" / "models"
FILE = FOLDER / "photochrom-1.safetensors"
CARD = (FOLDER / "photochrom-1.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(FILE)


def test_its_digest_is_published_and_it_is_small(model: Model) -> None:
    published = (FOLDER / "photochrom-1.sha256").read_text().split()
    assert published == [sha256_file(FILE), FILE.name]
    assert model.digest == published[0]
    assert published[0] in CARD
    assert FILE.stat().st_size < 64e6


def test_it_is_what_its_recipe_makes(model: Model) -> None:
    config = yaml.safe_load((ROOT / "workflow" / "configs" / "photochrom-1.yaml").read_text())
    config = complete(config, read_schema(ROOT, "config"), "config")
    experiments = read_experiments(config["experiments"], ROOT)
    assert model.metadata["experiment"] in experiments
    experiment = experiments[model.metadata["experiment"]]
    assert model.metadata["phase"] == experiment["phases"][-1]["name"]
    assert model.metadata["size"] == experiment["phases"][-1]["size"]
    # Chosen after training, on the validation photographs.
    decoding = {"temperature", "gain", "smooth"}
    wanted, found = experiment["network"], model.metadata["network"]
    assert {key: found[key] for key in found.keys() - decoding} == {
        key: wanted[key] for key in wanted.keys() - decoding
    }


def test_its_photographs_are_listed_with_digests_and_licences() -> None:
    with (FOLDER / "photochrom-1.photographs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(re.fullmatch(r"[0-9a-f]{64}", row["sha256"]) for row in rows)
    assert len({row["sha256"] for row in rows}) == len({row["url"] for row in rows}) == len(rows)
    assert all(row["licence"] for row in rows)
    assert f"{len(rows):,}" in CARD


def test_its_uncertainty_is_calibrated(model: Model) -> None:
    calibration, reason = read(FOLDER / "calibration.json", model.digest)
    assert calibration is not None, reason
    assert calibration.photographs > 500
    assert calibration.confidence[0] > calibration.confidence[-1]


@pytest.mark.parametrize("name", ["coffee", "chelsea", "astronaut"])
def test_it_paints_photographs_better_than_grey(model: Model, name: str) -> None:
    truth = rgb_to_lab(getattr(skimage.data, name)())
    ab = colorize_lightness(model, truth[..., 0])
    painted = np.concatenate([truth[..., :1], ab], axis=-1)
    grey = painted * [1, 0, 0]
    assert ciede2000(truth, painted) < ciede2000(truth, grey)
    assert np.hypot(*ab.T).mean() > 5
    assert np.isfinite(lab_to_rgb(painted)).all()
