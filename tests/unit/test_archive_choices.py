"""What the settings do to a picture: tone, saturation, abstaining, samples, the uncertainty."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from archive_room import contents, fake_model, grey, read, run, save, sidecar
from photochrom.archive.colorize import Job, colorize_rows
from photochrom.archive.plan import plan_archive
from photochrom.archive.provenance import Settings
from photochrom.calibration import Calibration
from photochrom.color import lab_to_rgb, rgb_to_lab
from photochrom.models import Model
from photochrom.models.base import Distribution
from photochrom.runtime import StageError


class Halves(Distribution):
    """Sure of a red on the left; on the right red or blue. Decoded as red everywhere."""

    multiple = 4

    def __init__(self) -> None:
        super().__init__(np.array([[40, 30], [10, -40]], np.float32), 1, 0.38)

    def predict(self, L: Tensor, *seen: Tensor) -> tuple[Tensor, Tensor]:
        right = (torch.linspace(-1, 1, L.shape[-1]) > 0).float().expand_as(L)
        red = torch.tensor([40 / 110, 30 / 110]).reshape(1, 2, 1, 1)
        return torch.cat([30 + 0 * L, 30 * right], dim=1), red.expand(1, 2, *L.shape[2:])


def halves() -> Model:
    return Model(Halves().eval(), {"network": {"name": "halves"}}, "a" * 64, 16, 4)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    save(tmp_path / "scans" / "a.png", np.full((40, 80), 30_000, np.uint16))
    return tmp_path / "scans"


def chroma(out: Path) -> Any:
    lab = rgb_to_lab(read(out / "a.colorized.png").numpy()[..., :3] / 65535)
    return np.hypot(lab[..., 1], lab[..., 2])


def test_saturation_is_a_factor(scan: Path, tmp_path: Path) -> None:
    for factor in (0.0, 0.5, 1.0):
        run(scan, tmp_path / "out", model=halves(), settings=Settings(saturation=factor))
        assert chroma(tmp_path / "out") == pytest.approx(50 * factor, abs=0.2)


def test_colour_is_withheld_where_the_model_does_not_know(scan: Path, tmp_path: Path) -> None:
    run(scan, tmp_path / "out", model=halves(), settings=Settings(abstain=0.5))
    found = chroma(tmp_path / "out")
    assert found[:, :30] == pytest.approx(50, abs=0.2)
    assert found[:, 50:].max() < 0.1


def test_the_uncertainty_is_shown_and_summed(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    statuses = run(scan, out, model=halves())
    said = sidecar(out, statuses["a.png"])["uncertainty"]
    assert said["kind"] == "entropy"
    assert said["mean"] == pytest.approx(0.5, abs=0.05)
    assert said["confidence"] is None
    assert said["calibration"] == "no calibration was given"
    shown = read(out / "a.colorized.png.uncertainty.png")
    assert (shown.width, shown.height, shown.bands, shown.format) == (80, 40, 1, "uchar")
    assert shown.numpy()[:, 5].max() == 0
    assert shown.numpy()[:, 75].min() == 255
    run(scan, tmp_path / "none", model=halves(), settings=Settings(uncertainty=False))
    assert sorted(contents(tmp_path / "none")) == ["a.colorized.png", "a.colorized.png.json"]


def test_a_calibrated_model_gives_a_confidence(scan: Path, tmp_path: Path) -> None:
    curves = Calibration((0.0, 1.0), (0.9, 0.1), (4.0, 16.0), 120)
    job = Job(tmp_path / "out", halves(), Settings(), 1, calibration=curves)
    (status,) = colorize_rows(plan_archive(str(scan)), job)
    said = sidecar(tmp_path / "out", status)["uncertainty"]
    assert said["confidence"] == pytest.approx(0.5, abs=0.05)
    assert said["expected_ciede2000"] == pytest.approx(10, abs=0.6)
    assert said["calibration"] == "120 photographs"


def test_samples_lie_beside_the_derivative_and_are_repeatable(scan: Path, tmp_path: Path) -> None:
    sheets = []
    for folder in ("one", "two"):
        run(scan, tmp_path / folder, model=halves(), settings=Settings(samples=4))
        sheets.append(contents(tmp_path / folder)["a.colorized.png.samples.jpg"])
    assert sheets[0] == sheets[1]
    sheet = read(tmp_path / "one" / "a.colorized.png.samples.jpg")
    assert (sheet.width, sheet.height) == (2 * 80 + 8, 2 * 40 + 8)


def test_samples_of_a_model_without_bins_are_refused_before_any_work(
    scan: Path, tmp_path: Path
) -> None:
    with pytest.raises(StageError, match="zhang16 or photochrom"):
        run(scan, tmp_path / "out", settings=Settings(samples=4))
    assert not (tmp_path / "out").exists()


def test_toned_prints_are_neutralised_and_it_is_said(tmp_path: Path) -> None:
    L = rgb_to_lab(np.repeat(grey(60, 90)[..., None], 3, 2))[..., 0]
    sepia = np.stack([L, 0.002 * L * (100 - L), 0.1 * L * (1 - L / 150)], axis=-1)
    save(tmp_path / "scans" / "s.png", np.rint(lab_to_rgb(sepia) * 255).astype(np.uint8))
    none = fake_model(strength=0)
    statuses = run(tmp_path / "scans", tmp_path / "out", model=none)
    assert "toned: its tint (mean chroma " in statuses["s.png"].reason
    made = read(tmp_path / "out" / "s.colorized.png").numpy()
    assert np.ptp(made, axis=-1).max() == 0
    assert sidecar(tmp_path / "out", statuses["s.png"])["notes"]
    skipped = run(tmp_path / "scans", tmp_path / "no", settings=Settings(toned="skip"))["s.png"]
    assert skipped.status == "skipped"
    assert skipped.reason.startswith("toned (mean chroma ")


def test_the_limit_of_colour_is_a_setting(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    save(tmp_path / "scans" / "c.png", rng.integers(0, 256, (40, 40, 3)).astype(np.uint8))
    assert run(tmp_path / "scans", tmp_path / "out")["c.png"].status == "skipped"
    lax = Settings(coloured_deviation=100.0)
    assert run(tmp_path / "scans", tmp_path / "out", settings=lax)["c.png"].status == "done"
