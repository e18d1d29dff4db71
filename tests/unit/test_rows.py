"""Rows of other protocols, of others' pictures, of plates and of degraded photographs."""

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import pyvips
import torch

import reference
from evaluation_data import SIDE, Data, small_world
from photochrom.color import colourfulness
from photochrom.images import load_square, write_png
from photochrom.metrics import sets
from photochrom.metrics.colour import auc_by_bin
from photochrom.metrics.distances import frechet
from photochrom.metrics.eyes import Eyes
from photochrom.metrics.measuring import DEGRADED, Measurement
from photochrom.metrics.photographs import Photograph, read_photographs
from photochrom.metrics.protocols import PROTOCOLS, in_first_half
from photochrom.metrics.slices import slices_of
from photochrom.metrics.summary import calibration, figures
from photochrom.runtime import EXIT_OK, EXIT_REJECTED, EXIT_USAGE, run_stage

NO_INCEPTION = "not computed: 6 pictures, a FID needs 2,048 or more; kid_lite2 needs fewer"


@pytest.fixture(autouse=True)
def leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from small_world(monkeypatch)


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path)


def mean_colour(picture: np.ndarray) -> np.ndarray:
    return np.asarray(picture.mean(axis=(0, 1)) / 255, np.float32)


@pytest.fixture
def seeing(data: Data, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reference of the test photographs, by an eye that sees mean colours of few pictures."""
    missing = {"inception": NO_INCEPTION, "inception-clean": NO_INCEPTION}

    def load_eyes(count: int, device: torch.device, distances: bool = True) -> Eyes:
        assert count == 6
        return Eyes({"lite2": mean_colour}, missing)

    monkeypatch.setattr("photochrom.metrics.eyes.load_eyes", load_eyes)
    monkeypatch.setattr(sets, "LEAST", dict.fromkeys(sets.LEAST, 2))
    monkeypatch.setattr(reference, "SIZE", SIDE)
    path = data.folder / "reference.npz"
    arguments = ["--catalog", data.folder / "catalog.csv", "--split", data.folder / "split.csv"]
    arguments += ["--out", path, "--device", "cpu"]
    given = [str(value) for value in arguments]
    assert run_stage("reference", lambda: reference.main(given)) == EXIT_OK
    return path


def squares(data: Data, ids: list[str]) -> np.ndarray:
    return np.stack([mean_colour(load_square(data.paths[name], SIDE)) for name in ids])


# Protocols.


def test_distances_to_the_photographs_and_between_halves(data: Data, seeing: Path) -> None:
    protocols = ["--protocols", "paired-256crop,disjoint", "--reference", str(seeing)]
    assert data.evaluate("--yardstick", "grey", *protocols) == EXIT_OK
    row = data.row()
    assert set(row["protocols"]) == {"paired-256crop", "disjoint"}
    by_name = {(one["protocol"], one["metric"]): one for one in row["figures"]}
    assert by_name["paired-256crop", "fd_lite2"]["value"] > 0.001
    assert by_name["paired-256crop", "fid"]["reason"] == NO_INCEPTION
    assert ("disjoint", "psnr_rgb") not in by_name
    # Of the three groups of two photographs, one is in the other half.
    assert {one.group for one in photographs(data) if not in_first_half(one.group)} == {"group 4"}
    assert by_name["disjoint", "kid_lite2"]["n"] == 2
    reason = by_name["paired-256crop", "hi_fd_lite2"]["reason"]
    assert "too little colour" in reason
    # Only the paired protocol has lines for single photographs.
    with data.per_image.open(encoding="utf-8", newline="") as file:
        assert {line["protocol"] for line in csv.DictReader(file)} == {"paired-256crop"}
    assert not list(data.folder.glob(".pictures-*"))


def photographs(data: Data) -> list[Photograph]:
    return read_photographs(data.folder / "catalog.csv", data.folder / "split.csv", "test")


def test_photographs_against_photographs(data: Data, seeing: Path) -> None:
    options = ["--protocols", "paired-256crop,disjoint", "--reference", str(seeing)]
    assert data.evaluate("--yardstick", "real", *options) == EXIT_OK
    row = data.row()
    assert list(row["protocols"]) == ["disjoint"]
    assert row["pictures"] == []
    half = sets.halved(
        Measurement(PROTOCOLS["disjoint"], photographs(data)),
        PROTOCOLS["disjoint"],
        photographs(data),
    )
    mine, theirs = ([one.id for one in side] for side in (half.photographs, half.against))
    expected = frechet(squares(data, mine), squares(data, theirs))
    assert data.figure("fd_lite2")["value"] == pytest.approx(expected, abs=1e-5)
    assert data.evaluate("--yardstick", "real") == EXIT_USAGE


def test_a_row_that_lacks_photographs_has_a_floor_of_its_own(data: Data, seeing: Path) -> None:
    options = ["--protocols", "paired-256crop,disjoint", "--reference", str(seeing)]
    folder = data.folder / "theirs"
    folder.mkdir()
    for name in ("t0", "t1", "t3", "t4", "t5"):
        write_png(folder / f"{name}.png", load_square(data.paths[name], SIDE))
    assert data.evaluate("--compare", str(folder), *options) == EXIT_REJECTED
    row = data.row()
    # The pictures are the photographs themselves, so the row's distance is that of its floor.
    (floor,) = row["floors"]
    assert (floor["metric"], floor["protocol"]) == ("fd_lite2", "disjoint")
    (own,) = [
        one
        for one in row["figures"]
        if (one["protocol"], one["metric"]) == ("disjoint", "fd_lite2")
    ]
    assert floor["value"] == pytest.approx(own["value"], abs=1e-3)
    assert (floor["n"], floor["data_digest"]) == (own["n"], own["data_digest"])
    (missing,) = row["missing"]
    assert missing["protocols"] == ["paired-256crop", "disjoint"]
    assert data.evaluate("--yardstick", "grey", *options) == EXIT_OK
    assert data.row()["floors"] == []


def test_a_narrow_photograph_lacks_what_needs_a_window(data: Data) -> None:
    """Under `native` an original may have fewer pixels than the window of SSIM."""
    write_png(data.paths["t2"], np.random.default_rng(0).integers(0, 256, (8, 200, 3), np.uint8))
    write_png(data.paths["t3"], np.full((1, 1, 3), 90, np.uint8))
    data.catalogue_again()
    assert data.evaluate("--yardstick", "grey", "--protocols", "native") == EXIT_OK
    assert data.figure("ssim")["n"] == 4
    assert data.figure("psnr_rgb")["n"] == data.figure("ciede2000")["n"] == 6


def test_a_sample_that_is_no_number_is_said(data: Data) -> None:
    samples = np.full((48, 60, 3), 0.5, np.float32)
    samples[3:5] = np.nan
    data.paths["t2"].unlink()
    tiff = data.paths["t2"].with_suffix(".tif")
    pyvips.Image.new_from_array(samples).copy(interpretation="rgb").tiffsave(str(tiff))
    tiff.rename(data.paths["t2"])  # types go by content
    data.catalogue_again()
    assert data.evaluate("--yardstick", "grey") == EXIT_REJECTED
    assert [(one["id"], one["reason"]) for one in data.row()["missing"]] == [
        ("t2", "a sample is not a finite number")
    ]


def test_native_is_the_whole_photograph(data: Data) -> None:
    assert data.evaluate("--yardstick", "truth", "--protocols", "native") == EXIT_OK
    assert data.figure("psnr_rgb")["value"] > 55
    assert load_square(data.pictures / "t0.webp", 48).shape == (48, 48, 3)
    assert data.figure("kid_lite2")["reason"].endswith("see the protocols of squares")
    found = np.mean([colourfulness(load_whole(path)) for path in list(data.paths.values())[:6]])
    assert data.figure("colourfulness")["value"] == pytest.approx(found, rel=0.02)


def load_whole(path: Path) -> np.ndarray:
    from photochrom.images import load_rgb

    return load_rgb(path)


# Pictures of others.


def test_pictures_by_id_and_by_name(data: Data) -> None:
    folder = data.folder / "theirs"
    folder.mkdir()
    for number in range(3):
        write_png(folder / f"t{number}.png", load_square(data.paths[f"t{number}"], SIDE))
    shutil.copy(data.paths["t3"], folder / "original 3%.png")
    write_png(folder / "t4.png", np.zeros((10, 20, 3), np.uint8))
    assert data.evaluate("--compare", str(folder)) == EXIT_REJECTED
    row = data.row()
    assert (row["kind"], row["n"]) == ("compared", 4)
    reasons = {one["id"]: one["reason"] for one in row["missing"]}
    assert reasons["t4"] == (
        "its picture has 20 x 10 pixels, not the original's 60 x 48 nor the 32 x 32 that are "
        "compared"
    )
    assert reasons["t5"] == "no picture of it in the folder"
    assert data.figure("psnr_rgb")["value"] == pytest.approx(58.92, abs=0.01)  # no error
    assert data.figure("gamut_overflow")["reason"] == "not computed: no photograph has it"

    write_png(folder / "t0.jpg", np.zeros((SIDE, SIDE, 3), np.uint8))
    (folder / "t1.png").write_bytes(b"damaged")
    assert data.evaluate("--compare", str(folder)) == EXIT_REJECTED
    reasons = {one["id"]: one["reason"] for one in data.row()["missing"]}
    assert reasons["t0"] == "several pictures of it in the folder: t0.jpg, t0.png"
    assert "t1" in reasons


def test_a_folder_of_nothing(data: Data, capsys: pytest.CaptureFixture[str]) -> None:
    """The row says so and has no value; the report goes on with the others."""
    (data.folder / "theirs").mkdir()
    options = ("--compare", str(data.folder / "theirs"), "--protocols", "paired-256crop,disjoint")
    assert data.evaluate(*options) == EXIT_REJECTED
    row = data.row()
    assert (row["n"], len(row["missing"])) == (0, 6)
    assert {figure["value"] for figure in row["figures"]} == {None}
    assert {figure["n"] for figure in row["figures"]} == {0}
    reasons = {one["reason"] for one in row["figures"] if one["metric"] in ("ssim", "auc")}
    assert reasons == {"not computed: no photograph could be measured"}
    said = capsys.readouterr().err
    assert "holds no picture of any of the 6 test photographs" in said
    assert "such as t0.png, or as the original, original 0%.png" in said


# Slices and degradations.


def test_degraded_photographs_are_a_slice(data: Data) -> None:
    options = ["--model", str(data.model()), "--degradations", "jpeg,blue-sensitive"]
    assert data.evaluate(*options) == EXIT_OK
    slices = {one["level"]: one for one in data.row()["slices"] if one["slice"] == "degradation"}
    assert list(slices) == ["jpeg", "blue-sensitive", "none"]
    values = {
        level: {figure["metric"]: figure["value"] for figure in one["figures"]}
        for level, one in slices.items()
    }
    told = {name for name in DEGRADED if not name.endswith("_truth")}
    assert set(values["jpeg"]) == told | {"auc_balanced_pooled", "colourfulness_difference"}
    assert values["none"]["ciede2000"] == data.figure("ciede2000")["value"]
    assert values["none"]["auc_balanced_pooled"] == data.figure("auc_balanced_pooled")["value"]
    assert values["jpeg"]["ciede2000"] != values["none"]["ciede2000"]
    assert data.evaluate(*options[:2], "--degradations", "rust") == EXIT_USAGE


def test_quarters_and_sources() -> None:
    everyone = [
        Photograph(
            str(number),
            "g",
            Path("x"),
            "",
            "ab"[number % 2],
            colourfulness=number,
            mean_lightness=9,
            subject=["sea", "", "trees", ""][number % 4],
        )
        for number in range(40)
    ]
    found = {(name, level): places for name, level, places in slices_of(everyone[::4], everyone)}
    assert [len(found[key]) for key in found if key[0] == "colourfulness"] == [3, 2, 3, 2]
    assert found["colourfulness", "0 to 10"] == [0, 1, 2]
    assert found["source", "a"] == list(range(10))
    assert ("source", "b") not in found
    # Where it is not known, a photograph is of no subject.
    assert found["subject", "sea"] == list(range(10))
    assert {level for name, level in found if name == "subject"} == {"sea"}
    # Nothing to tell apart: all are alike.
    assert [len(places) for (name, _), places in found.items() if name.startswith("bright")] == [10]
    assert list(slices_of(everyone[:7], everyone[:7])) == []


# Plates.


def test_plates_are_a_protocol_of_their_own(data: Data) -> None:
    for name in ("scans", "truths"):
        (data.folder / name).mkdir()
    colour = np.random.default_rng(1).integers(60, 200, (40, 30, 3), dtype=np.uint8)
    for name in ("emir", "icon"):
        write_png(data.folder / f"truths/{name}_colour.png", colour)
        write_png(data.folder / f"scans/{name}_plate.png", colour[..., 1:2].repeat(3, axis=-1))
    plates = ["--plates", "old", str(data.folder / "scans"), str(data.folder / "truths")]
    assert data.evaluate("--yardstick", "grey", *plates) == EXIT_OK
    row = data.row()
    assert set(row["protocols"]) == {"paired-256crop", "plates-old"}
    (found,) = [
        figure
        for figure in row["figures"]
        if (figure["protocol"], figure["metric"]) == ("plates-old", "ciede2000")
    ]
    assert found["n"] == 2
    assert found["value"] > 5
    assert sorted(row["pictures"]) == [f"t{number}" for number in range(6)]
    write_png(data.folder / "scans/icon_plate.png", colour[:30])
    assert data.evaluate("--yardstick", "grey", *plates) == EXIT_REJECTED
    assert [one["id"] for one in data.row()["missing"]] == ["icon"]
    write_png(data.folder / "scans/emir_plate.png", colour[:30])
    assert data.evaluate("--yardstick", "grey", *plates) == EXIT_USAGE


# How sure, and how right.


def judged(confidence: np.ndarray, error: np.ndarray) -> Measurement:
    count = len(error)
    return Measurement(
        PROTOCOLS["paired-256crop"],
        [Photograph(f"p{n}", f"g{n}", Path("x"), "") for n in range(count)],
        [{"ciede2000": float(value)} for value in error],
        [auc_by_bin(np.zeros((1, 1, 2)), np.ones((1, 1)))] * count,
        [float(1 - value) for value in confidence],
    )


def test_confidence_against_error() -> None:
    error = np.random.default_rng(0).permutation(np.linspace(1, 30, 50))
    found = calibration(judged(1 / error, error), "digest")
    assert found is not None
    assert found["spearman"] == {"value": 1, "ci_low": 1, "ci_high": 1, "n": 50}
    assert [one["n"] for one in found["bins"]] == [5] * 10
    assert found["bins"][0]["error"] > 25
    assert found["bins"][-1]["error"] < 5
    opposite = calibration(judged(error / 30, error), "digest")
    assert opposite is not None
    assert opposite["spearman"]["value"] == -1
    noise = calibration(judged(np.random.default_rng(1).uniform(size=50), error), "digest")
    assert noise is not None
    assert noise["spearman"]["ci_low"] < 0 < noise["spearman"]["ci_high"]


def test_no_calibration_of_a_few_of_the_silent_or_of_the_always_equally_sure() -> None:
    error = np.linspace(1, 9, 9)
    assert calibration(judged(error, error), "digest") is None
    several = judged(np.linspace(0, 1, 20), np.linspace(1, 2, 20))
    several.uncertainty = [0.5] * 20
    assert calibration(several, "digest") is None
    several.uncertainty = [None] * 20
    assert calibration(several, "digest") is None


def test_a_balanced_figure_over_all_photographs_counts_each_colour_once() -> None:
    """One bin is met in a photograph of nothing else and in a hundredth of another."""
    first, second = np.array([0]), np.array([0, 1])
    bins = [
        (first, np.array([100.0]), np.array([100])),
        (second, np.array([0.0, 99.0]), np.array([1, 99])),
    ]
    rows = judged(np.ones(2), np.ones(2))
    rows.bins = bins
    (found,) = [one for one in figures(rows, "", {}) if one.metric == "auc_balanced_pooled"]
    assert found.value == pytest.approx(100 * (1 / 1.01 + 1) / 2)


def test_the_interval_of_a_pooled_figure_holds_its_value() -> None:
    """Resamples lose rare colours: here those that the row paints worst, one in each photograph."""
    count = 40
    rows = judged(np.ones(count), np.ones(count))
    rows.bins = [
        (np.array([0, 1 + n]), np.array([90.0 + n % 3, 10.0 * (n % 2)]), np.array([99, 1]))
        for n in range(count)
    ]
    (found,) = [one for one in figures(rows, "", {}) if one.metric == "auc_balanced_pooled"]
    assert found.ci_low is not None
    assert found.value is not None
    assert found.ci_high is not None
    assert found.ci_low < found.value < found.ci_high
