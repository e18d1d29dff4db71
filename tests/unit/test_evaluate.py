"""A whole row on made photographs: the figures, what they are of, and what is left out."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import evaluate
from evaluation_data import CATALOG, SIDE, Data, small_world, write_table
from photochrom.images import load_square, write_png
from photochrom.metrics.measuring import PER_IMAGE, Measurement, ordered_map
from photochrom.metrics.photographs import (
    Photograph,
    choose_pictures,
    complain_of_missing,
    data_digest,
    read_photographs,
)
from photochrom.metrics.protocols import PROTOCOLS, parse_protocols
from photochrom.metrics.summary import figures
from photochrom.models.baselines import grey
from photochrom.runtime import (
    EXIT_OK,
    EXIT_REJECTED,
    EXIT_USAGE,
    StageError,
    sha256_file,
    start_log,
)


@pytest.fixture(autouse=True)
def leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from small_world(monkeypatch)


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path)


def test_the_grey_row(data: Data) -> None:
    assert data.evaluate("--yardstick", "grey") == EXIT_OK
    row = data.row()
    assert (row["row"], row["kind"], row["n"], row["groups"]) == ("a row", "yardstick", 6, 3)
    assert row["missing"] == []
    digest = data.digest("t0 t1 t2 t3 t4 t5")
    for figure in row["figures"]:
        # Not every photograph has grey areas, or edges of colour.
        assert figure["n"] == 6 or figure["metric"] in ("neutral_drift", "edge_bleeding")
        assert figure["protocol"] == "paired-256crop"
        # The digest is of those that have the figure.
        assert (figure["data_digest"] == digest) == (figure["n"] in (0, 6))
        assert figure["model_digest"] == grey().digest
        if figure["value"] is None:
            assert figure["reason"].startswith("not computed: ")
        else:
            assert "reason" not in figure
            assert figure["ci_low"] <= figure["value"] <= figure["ci_high"]
    for distance in ("fid", "kid_lite2"):
        assert data.figure(distance)["reason"] == "not computed: no --reference"
    assert data.figure("colourfulness")["value"] < 1
    assert data.figure("lightness_error")["value"] < 0.2


def test_the_table_and_the_pictures(data: Data) -> None:
    data.evaluate("--yardstick", "grey")
    with data.per_image.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["t0", "t1", "t2", "t3", "t4", "t5"]
    assert list(rows[0]) == ["id", "group", "protocol", "source", *PER_IMAGE, "confidence"]
    assert (rows[3]["source"], rows[3]["confidence"], rows[3]["lpips"]) == ("odd", "", "")
    assert rows[4]["group"] == "group 4"
    for name in ("psnr_rgb", "ssim", "ciede2000", "auc_balanced"):
        mean = np.mean([float(row[name]) for row in rows])
        assert data.figure(name)["value"] == pytest.approx(mean, abs=2e-6)
    assert data.row()["pictures"] == ["t0", "t1", "t2", "t3", "t4", "t5"]
    assert sorted(path.name for path in data.pictures.iterdir()) == [f"t{i}.webp" for i in range(6)]
    shown = load_square(data.pictures / "t3.webp", SIDE)
    assert np.ptp(shown, axis=-1).max() <= 2


def test_the_truth_is_the_floor(data: Data) -> None:
    data.evaluate("--yardstick", "truth")
    assert data.figure("psnr_rgb")["value"] == pytest.approx(58.92, abs=0.01)
    assert data.figure("ciede2000")["value"] == 0
    assert data.figure("auc_balanced")["value"] == 100
    assert data.figure("colourfulness_error")["value"] == 0


def test_the_constant_row_is_the_training_mean(data: Data) -> None:
    shards = str(data.folder / "shards.csv")
    assert data.evaluate("--yardstick", "constant", "--shards", shards) == EXIT_OK
    assert (
        "a* 11.00 and b* -22.00, the mean of the 2 training pictures" in data.row()["description"]
    )
    value = data.figure("colourfulness")["value"]
    assert value > 10
    with pytest.raises(SystemExit):
        data.evaluate("--yardstick", "constant")


def test_the_model_row_does_not_depend_on_the_number_of_threads(data: Data) -> None:
    model = data.model()
    results = []
    for threads in ("1", "3"):
        assert data.evaluate("--model", str(model), "--threads", threads, out=threads) == EXIT_OK
        files = [data.out, data.per_image, *sorted(data.pictures.iterdir())]
        results.append([path.read_bytes() for path in files])
    assert results[0] == results[1]
    row = data.row()
    assert (row["kind"], row["description"]) == ("experiment", "experiment quick after phase gan")
    assert {figure["model_digest"] for figure in row["figures"]} == {sha256_file(model)}


def test_the_model_sees_nothing_but_the_lightness(data: Data) -> None:
    """Two photographs of one lightness are painted alike."""
    arguments = [f"--model={data.model()}", "--row=r", "--catalog=c", "--split=s", "--out=o"]
    arguments += ["--per-image=i", "--pictures=p"]
    parsed = evaluate.parse_arguments(arguments)
    painter = evaluate.make_painter(parsed, torch.device("cpu"))
    lab = np.random.default_rng(0).uniform(0, 100, (20, 30, 3))
    without = lab * [1, 0, 0]
    assert np.array_equal(painter.paint(lab), painter.paint(without))
    assert np.array_equal(painter.paint(lab)[..., 0], lab[..., 0])
    assert np.abs(painter.paint(lab)[..., 1:]).max() > 1


def test_missing_and_changed_originals_are_named_and_not_counted(
    data: Data, capsys: pytest.CaptureFixture[str]
) -> None:
    data.paths["t1"].unlink()
    write_png(data.paths["t4"], np.zeros((50, 60, 3), np.uint8))
    data.paths["t5"].write_bytes(data.paths["t5"].read_bytes()[:-40])
    assert data.evaluate("--yardstick", "grey") == EXIT_REJECTED
    row = data.row()
    assert row["n"] == 3
    reasons = {entry["id"]: entry["reason"] for entry in row["missing"]}
    assert list(reasons) == ["t1", "t4", "t5"]
    assert "no such file" in reasons["t1"]
    assert reasons["t4"] == "its content changed since it was catalogued"
    assert "truncated" in reasons["t5"]
    assert row["missing"][0]["path"].endswith("original 1%25.png")
    assert {figure["data_digest"] for figure in row["figures"]} == {data.digest("t0 t2 t3")}
    assert data.figure("psnr_rgb")["n"] == data.figure("kid_lite2")["n"] == 3
    assert row["pictures"] == ["t0", "t2", "t3"]
    messages = capsys.readouterr().err
    assert "left out: t4 " in messages
    assert "3 photographs in 2 groups measured, 3 missing" in messages
    assert data.evaluate("--yardstick", "grey", "--allow-rejects") == EXIT_OK


def test_no_original_at_all(data: Data, capsys: pytest.CaptureFixture[str]) -> None:
    for path in data.paths.values():
        path.unlink()
    assert data.evaluate("--yardstick", "grey", "--allow-rejects") == EXIT_USAGE
    assert "none of the 6 photographs can be measured" in capsys.readouterr().err
    assert not data.out.exists()


def test_many_missing_originals_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    missing = [(Photograph(f"p{i}", "g", Path("x%.png"), ""), "zero bytes") for i in range(8)]
    start_log("evaluate")
    complain_of_missing(missing, 9)
    messages = capsys.readouterr().err.splitlines()
    assert len(messages) == 6
    assert messages[0].endswith("left out: p0 (x%25.png): zero bytes")
    assert messages[5].endswith("left out: 3 more, all named in the row")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--protocols", "paired-256corp"], "did you mean paired-256crop?"),
        (["--protocols", "x"], "there is paired-256crop, disjoint, native"),
        (["--split", "elsewhere.csv"], "elsewhere.csv does not exist; it is made by split.py"),
    ],
)
def test_wrong_arguments(
    data: Data, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert data.evaluate("--yardstick", "grey", *options) == EXIT_USAGE
    assert message in capsys.readouterr().err


def test_protocols_are_measured_once_each() -> None:
    (protocol,) = parse_protocols("paired-256crop, paired-256crop")
    assert protocol is PROTOCOLS["paired-256crop"]


def test_tables_that_do_not_belong_together(data: Data) -> None:
    catalog, split_csv = data.folder / "catalog.csv", data.folder / "split.csv"
    with pytest.raises(StageError, match="no photographs in split val"):
        read_photographs(catalog, split_csv, "val")
    write_table(catalog, CATALOG, [("t0", "a.png", "", 1, 1, "s", "a.png", 1, 1)])
    with pytest.raises(StageError, match=r"lacks t1, which .* run split again"):
        read_photographs(catalog, split_csv, "test")


def test_ids_and_groups_stay_text(tmp_path: Path) -> None:
    """Hexadecimal ids may look like numbers."""
    catalog, split_csv = tmp_path / "catalog.csv", tmp_path / "split.csv"
    ids = ["0012", "12e4", "nan"]
    write_table(catalog, CATALOG, [(n, "a.png", n, 1, 1, "s", "a.png", 1, 1) for n in ids])
    rows = [(name, "s", 0, "007", 1, "test") for name in reversed(ids)]
    write_table(split_csv, ["id", "shard", "row", "group", "part", "split"], rows)
    found = read_photographs(catalog, split_csv, "test")
    assert [photograph.id for photograph in found] == ids
    assert {photograph.group for photograph in found} == {"007"}


# From figures of single photographs to those of the row.


def measurement(values: Sequence[Mapping[str, float]], groups: str) -> Measurement:
    """Per-image figures as given, 0 where not; a letter of `groups` for each photograph."""
    photographs = [
        Photograph(f"p{number}", group, Path("p.png"), "") for number, group in enumerate(groups)
    ]
    complete: list[Mapping[str, float]] = [
        {**dict.fromkeys(PER_IMAGE, 0.0), **row} for row in values
    ]
    nowhere = np.zeros(1, int), np.ones(1), np.ones(1, int)
    return Measurement(PROTOCOLS["paired-256crop"], photographs, complete, [nowhere] * len(groups))


def test_photographs_count_alike_whatever_the_size_of_their_group() -> None:
    rows = [{"psnr_rgb": value} for value in (10.0, 10.0, 10.0, 30.0)]
    found = figures(measurement(rows, "aaab"), "", {})[0]
    assert found.value == 15.0
    # A resample holds a alone, b alone or both, so the interval is the range.
    assert (found.ci_low, found.ci_high) == (10.0, 30.0)


def test_no_interval_from_one_photograph() -> None:
    found = figures(measurement([{"ssim": 0.5}, {"ssim": 0.7}], "aa"), "", {})
    (ssim,) = [figure for figure in found if figure.metric == "ssim"]
    assert (ssim.value, ssim.ci_low, ssim.ci_high, ssim.n) == (0.6, None, None, 2)
    assert ssim.reason == "interval not computed: all pictures are of one photograph"


def test_means_of_colourfulness_hide_what_single_pictures_lack() -> None:
    rows = [
        {"colourfulness": 50.0, "colourfulness_truth": 30.0, "colourfulness_error": 20.0},
        {"colourfulness": 10.0, "colourfulness_truth": 30.0, "colourfulness_error": 20.0},
    ]
    found = {figure.metric: figure.value for figure in figures(measurement(rows, "ab"), "", {})}
    assert found["colourfulness"] == 30
    assert found["colourfulness_difference"] == 0
    assert found["colourfulness_error"] == 20


def test_data_digest_sees_contents_and_not_the_order() -> None:
    one, two = Photograph("a", "g", Path("x"), "01"), Photograph("b", "g", Path("y"), "02")
    changed = Photograph("b", "g", Path("y"), "03")
    assert data_digest([one, two]) == data_digest([two, one])
    assert len({data_digest(s) for s in ([one, two], [one], [one, changed], [])}) == 4


def test_pictures_are_chosen_over_groups_first() -> None:
    photographs = [
        Photograph(f"{group}{number}", group, Path("x"), "")
        for group, count in (("a", 30), ("b", 2), ("c", 7))
        for number in range(count)
    ]
    chosen = choose_pictures(photographs, 12)
    assert chosen == choose_pictures(reversed(photographs), 12)
    counts = [sum(name.startswith(group) for name in chosen) for group in "abc"]
    assert sum(counts) == 12
    assert counts[1] == 2
    assert {counts[0], counts[2]} == {5}
    assert {name[0] for name in choose_pictures(photographs, 3)} == {"a", "b", "c"}
    assert len(choose_pictures(photographs[:5], 12)) == 5


def test_ordered_map_keeps_order_and_stays_close() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = ordered_map(lambda item: item * item, items(), 3)
    assert next(results) == 0
    assert len(taken) <= 8  # a bounded number of pictures is in memory
    assert list(results) == [item * item for item in range(1, 100)]


def test_ordered_map_passes_faults_on() -> None:
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(lambda item: 1 // item, [1, 0, 2], 2))
