"""A whole row on made photographs: the figures, what they are of, and what is left out."""

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import pyvips
import torch

import evaluate
from photochrom.images import load_square, write_png
from photochrom.metrics.measuring import PER_IMAGE, Measurement, ordered_map
from photochrom.metrics.photographs import (
    Photograph,
    choose_pictures,
    complain_of_missing,
    data_digest,
    read_photographs,
)
from photochrom.metrics.protocols import PROTOCOLS, Protocol, parse_protocols
from photochrom.metrics.summary import figures
from photochrom.models import NETWORKS, build, save_model
from photochrom.models.base import Colorizer
from photochrom.models.baselines import grey
from photochrom.runtime import (
    EXIT_OK,
    EXIT_REJECTED,
    EXIT_USAGE,
    StageError,
    run_stage,
    sha256_file,
    start_log,
)
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


@pytest.fixture(autouse=True)
def leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small pictures and networks, and the process' thread settings put back."""
    monkeypatch.setitem(NETWORKS, "small", Small)
    name = "paired-256crop"
    monkeypatch.setitem(PROTOCOLS, name, Protocol(name, SIDE, "paired", "small"))
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
            split.append((name, "shard-00000", number, f"group {number % 3}", 1, kind))
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
        assert figure["data_digest"] == digest
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
    assert rows[4]["group"] == "group 1"
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
