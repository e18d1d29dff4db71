"""The Kaggle source on a made set: from the arrays to a split, by hand from a local copy."""

import builtins
import errno
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import download
import filter as filter_stage
import measure
import normalize
import split
from kaggle_layout import find_photographs, make_layout
from photochrom import lab_arrays
from photochrom.color import denormalize
from photochrom.images import ImageError, load_lab_square, load_square, png_bytes
from photochrom.lab_arrays import COLOUR, LIGHTNESS, decode_lab8, read_row
from photochrom.metrics.photographs import load_original, read_photographs
from photochrom.runtime import EXIT_MISSING, EXIT_OK, EXIT_REJECTED, StageError
from photochrom.shards import load_split, read_shard
from photochrom.sources import kaggle
from photochrom.tables import (
    CATALOG_COLUMNS,
    MEASURES_COLUMNS,
    SHARDS_COLUMNS,
    SOURCES_COLUMNS,
    SPLIT_COLUMNS,
    Row,
    read_table,
)

SIDE = 32
COUNT = 25
SOURCES = "[{kind: kaggle, path: set}]"
FILTERS = "{brightness: [50, 170], chroma_std: 10, colourfulness: null}"
SPLIT = "{train: 0.5, val: 0.25, test: 0.25, key: h}"


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with 25 photographs and `set`, the arrays made of them."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(5)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(COUNT):
        coarse = generator.integers(60, 200, (4, 5, 3)).astype(float)
        if number % 4 == 1:  # nearly grey
            coarse = coarse[..., :1] + generator.uniform(-4, 4, (4, 5, 3))
        if number % 7 == 2:  # dark
            coarse *= [0.5, 0.1, 0.3]
        if number == 13:  # both
            coarse *= 0.2
        fine = np.kron(coarse.clip(0, 255).astype("u1"), np.ones((11, 11, 1), "u1"))
        (photos / f"{number:02}.png").write_bytes(png_bytes(fine))
    (photos / "copy.png").write_bytes((photos / "00.png").read_bytes())
    (photos / "letter.jpg").write_text("not a picture")
    found = find_photographs(photos, SIDE)
    assert [path.name for path in found] == [f"{number:02}.png" for number in range(COUNT)]
    assert make_layout(found, tmp_path / "set", SIDE) == [10, 10, 5]
    return tmp_path / "set"


def run(command: str, **values: object) -> int:
    stages = {"download": download, "measure": measure, "filter": filter_stage, "split": split}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]
    if command in ("shard", "index"):
        return normalize.main([command, *words])
    return stages[command].main(words)


def run_to_catalog(allow_rejects: bool = False) -> list[Row]:
    done = run("download", sources=SOURCES, images="images", out="sources.csv")
    assert done == (EXIT_REJECTED if allow_rejects else EXIT_OK)
    run("measure", sources="sources.csv", out="measures.csv")
    tables = {"sources": "sources.csv", "measures": "measures.csv"}
    run("filter", **tables, filters=FILTERS, near_bits="null", out="catalog.csv")
    return read_table(Path("catalog.csv"), CATALOG_COLUMNS, "")


def test_the_same_pictures_come_back(made: Path) -> None:
    catalog = run_to_catalog()
    kept = [row for row in catalog if row["verdict"] == "keep"]
    run("shard", catalog="catalog.csv", shard_size=100, size=SIDE, index=0, out="shard-00000.h5")
    run("index", shards="shard-00000.h5", out="shards.csv")
    run("split", shards="shards.csv", catalog="catalog.csv", split=SPLIT, out="split.csv")
    rows = read_table(Path("split.csv"), SPLIT_COLUMNS, "")
    shard = read_shard(Path("shard-00000.h5"))
    assert [row["id"] for row in rows] == shard.ids == [row["id"] for row in kept]

    L, ab = denormalize(shard.L * shard.scale, shard.ab * shard.scale)
    lightness = np.load(made / LIGHTNESS)
    starts = {1: 0, 2: 10, 3: 20}
    for place, row in enumerate(rows):
        part, number = int(row["part"]), int(row["id"][-5:])
        source_L = lightness[starts[part] + number].astype(float) * 100 / 255
        source_ab = np.load(made / COLOUR[part])[number].astype(float) - 128
        assert np.abs(L[place] - source_L).max() < 0.0008
        assert np.abs(ab[place] - source_ab).max() < 0.0018
        # And they are the photographs that the set was made of, to half a level of 8-bit Lab.
        photograph = Path("photos") / f"{starts[part] + number:02}.png"
        lab, _ = load_lab_square(photograph, SIDE)
        assert np.abs(L[place] - lab[..., 0]).max() < 0.1971
        assert np.abs(ab[place] - lab[..., 1:]).max() < 0.502

    for part in (1, 2, 3):  # a phase may train on one part
        ids = {row["id"] for row in rows if row["part"] == str(part) and row["split"] == "train"}
        assert ids, "another key of the split is needed for this test"
        assert set(load_split(Path("shards.csv"), Path("split.csv"), "train", [part]).ids) == ids
    assert Counter(row["part"] for row in catalog) == {"1": 10, "2": 10, "3": 5}


def test_the_filters_are_the_seeds_and_none_undoes_another(made: Path) -> None:
    """The seed lost the first by indexing the unfiltered arrays for the second."""
    lightness = np.load(made / LIGHTNESS)
    colour = np.concatenate([np.load(made / name) for name in COLOUR.values()])
    mean, spread = lightness.mean(axis=(1, 2)), colour.std(axis=(1, 2, 3))
    bright = (mean >= 50) & (mean <= 170)
    colourful = spread > 10
    catalog = run_to_catalog()
    assert [row["verdict"] == "keep" for row in catalog] == (bright & colourful).tolist()
    # The made set has each of the four cases, so that a filter that is lost is noticed.
    assert {(bool(one), bool(two)) for one, two in zip(bright, colourful, strict=True)} == {
        *((True, True), (True, False), (False, True), (False, False))
    }
    for row, one, two in zip(catalog, bright, colourful, strict=True):
        named = [name for name, fine in (("brightness", one), ("chroma_std", two)) if not fine]
        assert [text.split(":")[0] for text in row["reason"].split(";") if text] == named
    measures = read_table(Path("measures.csv"), MEASURES_COLUMNS, "")
    assert np.allclose([float(row["mean_L"]) * 2.55 for row in measures], mean, atol=5e-4)
    assert np.allclose([float(row["chroma_std"]) for row in measures], spread, atol=2e-4)


def test_the_catalog_says_what_is_known_of_licence_and_names(made: Path) -> None:
    rows = run_to_catalog()
    assert len({row["id"] for row in rows}) == COUNT
    assert rows[0]["path"] == "set/ab/ab/ab1.npy#0"
    assert rows[-1]["path"] == "set/ab/ab/ab3.npy#4"
    assert {(row["width"], row["height"], row["source"]) for row in rows} == {
        ("32", "32", "kaggle")
    }
    assert {row["licence"] for row in rows} == {kaggle.LICENCE}
    assert "Creative Commons, attribution required" in kaggle.LICENCE
    assert "not named" in rows[0]["attribution"]
    assert "MIRFLICKR-25K" in rows[0]["attribution"]


def test_each_stage_goes_over_the_arrays_once_and_in_order(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped: list[tuple[str, int]] = []
    map_row = lab_arrays._map_row

    def recorded(array: Any, row: int) -> np.ndarray:
        mapped.append((array.path.name, row))
        return map_row(array, row)

    monkeypatch.setattr(lab_arrays, "_map_row", recorded)
    every = [("gray_scale.npy", number) for number in range(COUNT)]
    for command, values in (
        ("download", {"sources": SOURCES, "images": "images", "out": "sources.csv"}),
        ("measure", {"sources": "sources.csv", "out": "measures.csv"}),
    ):
        run(command, **values)
        assert [one for one in mapped if one[0] == "gray_scale.npy"] == every
        assert max(Counter(mapped).values()) == 1
        assert len(mapped) == 2 * COUNT
        mapped.clear()
    tables = {"sources": "sources.csv", "measures": "measures.csv"}
    run("filter", **tables, filters=FILTERS, near_bits=4, out="catalog.csv")
    assert not mapped
    kept = [
        row
        for row in read_table(Path("catalog.csv"), CATALOG_COLUMNS, "")
        if row["verdict"] == "keep"
    ]
    for index in range(-(-len(kept) // 4)):
        run("shard", catalog="catalog.csv", shard_size=4, size=16, index=index, out=f"{index}.h5")
    colour = [one for one in mapped if one[0] != "gray_scale.npy"]
    assert [f"set/ab/ab/{name}#{row}" for name, row in colour] == [row["path"] for row in kept]
    assert len(mapped) == 2 * len(kept)


def test_an_array_that_cannot_be_used_is_a_row_with_its_reason(made: Path) -> None:
    """The rest goes on, paired as before."""
    third = read_row(made, 3, 4)
    whole = (made / COLOUR[2]).read_bytes()
    (made / COLOUR[2]).write_bytes(whole[: len(whole) // 2])
    catalog = run_to_catalog(allow_rejects=True)
    assert Counter(row["part"] for row in catalog) == {"1": 10, "2": 1, "3": 5}
    faulty = catalog[10]
    assert faulty["id"] == "ab2"
    assert faulty["reason"].startswith("unreadable: truncated: ")
    run("shard", catalog="catalog.csv", shard_size=100, size=SIDE, index=0, out="a.h5")
    shard = read_shard(Path("a.h5"))
    last = catalog[-1]
    if last["verdict"] == "keep":
        L, _ = denormalize(shard.L[-1] * shard.scale, shard.ab[-1])
        assert np.abs(L - decode_lab8(third)[..., 0]).max() < 0.0008


def test_damaged_lightness_leaves_the_other_sources(made: Path) -> None:
    (made / LIGHTNESS).write_bytes(b"\x93NUMPY")
    sources = "[{kind: kaggle, path: set}, {kind: folder, path: photos}]"
    assert run("download", sources=sources, images="i", out="s.csv") == EXIT_REJECTED
    rows = read_table(Path("s.csv"), SOURCES_COLUMNS, "")
    assert (rows[0]["id"], rows[0]["error"]) == ("gray_scale", "not an .npy array")
    assert sum(not row["error"] for row in rows) == COUNT + 1
    with pytest.raises(StageError, match="no images"):
        run("download", sources=SOURCES, images="i", out="s.csv")


def test_an_array_that_changed_since_it_was_listed_is_refused(made: Path) -> None:
    kept = [row for row in run_to_catalog() if row["verdict"] == "keep"]
    array = np.load(made / COLOUR[1])
    array[int(kept[0]["id"][-5:])] ^= 1
    np.save(made / COLOUR[1], array)
    with pytest.raises(StageError, match=r"ab1\.npy#\d+ was changed since it was listed"):
        run("shard", catalog="catalog.csv", shard_size=9, size=SIDE, index=0, out="a.h5")
    (made / COLOUR[1]).unlink()
    with pytest.raises(StageError, match=r"cannot be read any more \(missing\)"):
        run("shard", catalog="catalog.csv", shard_size=9, size=SIDE, index=0, out="a.h5")


def test_evaluation_reads_the_rows_that_the_catalog_names(made: Path) -> None:
    run_to_catalog()
    run("shard", catalog="catalog.csv", shard_size=100, size=16, index=0, out="a.h5")
    run("index", shards="a.h5", out="shards.csv")
    run("split", shards="shards.csv", catalog="catalog.csv", split=SPLIT, out="split.csv")
    photographs = read_photographs(Path("catalog.csv"), Path("split.csv"), "test")
    for photograph in photographs:
        part, number = int(photograph.id[2]), int(photograph.id[-5:])
        file = Path("photos") / f"{10 * (part - 1) + number:02}.png"
        difference = load_original(photograph, SIDE).astype(int) - load_square(file, SIDE)
        assert np.abs(difference).max() <= 4  # 8-bit Lab is coarser than sRGB in places
        assert np.abs(difference).mean() < 1
    (made / COLOUR[1]).write_bytes((made / COLOUR[2]).read_bytes())
    with pytest.raises(ImageError, match="changed since it was catalogued"):
        load_original(next(one for one in photographs if one.id.startswith("ab1")), SIDE)


def test_a_folder_that_is_not_the_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"is not the Kaggle set: there is no l/gray_scale\.npy"):
        list(kaggle.list_images({"kind": "kaggle", "path": str(tmp_path)}, tmp_path))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """kagglehub's cache, empty."""
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "datasets" / "shravankumar9892" / "image-colorization"


def test_the_newest_complete_version_in_the_cache_needs_no_kagglehub(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    for version in ("2", "10", "11"):
        (cache / "versions" / version).mkdir(parents=True)
    for version in ("2", "10"):  # the download of 11 was interrupted
        (cache / f"{version}.complete").touch()
    assert kaggle.downloaded() == cache / "versions" / "10"


def test_without_kagglehub_the_two_ways_out_are_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_module = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == "kagglehub":
            raise ImportError(name)
        return import_module(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(StageError, match="pip install kagglehub; or name a copy") as fault:
        kaggle.downloaded()
    assert fault.value.code == EXIT_MISSING


def fake_kagglehub(monkeypatch: pytest.MonkeyPatch, result: str | Exception) -> list[str]:
    asked: list[str] = []

    def dataset_download(handle: str) -> str:
        asked.append(handle)
        if isinstance(result, Exception):
            raise result
        return result

    module = SimpleNamespace(dataset_download=dataset_download)
    monkeypatch.setitem(sys.modules, "kagglehub", module)
    return asked


def test_without_a_path_kagglehub_is_asked(
    made: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = fake_kagglehub(monkeypatch, str(made))
    for source in ({"kind": "kaggle"}, {"kind": "kaggle", "path": None}):
        assert len(list(kaggle.list_images(source, made))) == COUNT
    assert asked == ["shravankumar9892/image-colorization"] * 2


@pytest.mark.parametrize("error", [RuntimeError("403 Forbidden\nfor url"), OSError("no route")])
def test_a_failed_download_names_the_ways_to_give_credentials(
    cache: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fake_kagglehub(monkeypatch, error)
    with pytest.raises(
        StageError, match=r"cannot download .* \((403 Forbidden|no route)\)"
    ) as fault:
        kaggle.downloaded()
    assert fault.value.code == EXIT_MISSING
    for word in ("KAGGLE_USERNAME", "KAGGLE_KEY", "kaggle.json", "path: FOLDER"):
        assert word in str(fault.value)


def test_a_full_disk_is_not_taken_for_a_lack_of_credentials(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_kagglehub(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        kaggle.downloaded()


def test_shards_of_arrays_are_the_same_bytes_again(made: Path) -> None:
    run_to_catalog()
    for name in ("a.h5", "b.h5"):
        run("shard", catalog="catalog.csv", shard_size=9, size=24, index=0, out=name)
    assert Path("a.h5").read_bytes() == Path("b.h5").read_bytes()
    run("index", shards="a.h5", out="shards.csv")
    assert read_table(Path("shards.csv"), SHARDS_COLUMNS, "")[0]["size"] == "24"


def test_three_photographs_are_the_fewest(made: Path) -> None:
    photographs = sorted((made.parent / "photos").glob("*.png"))
    with pytest.raises(ValueError, match="too few for three parts"):
        make_layout(photographs[:2], made.parent / "small", SIDE)
