"""The five data stages, run as commands are, on a handful of photographs."""

import ast
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import download
import filter as filter_stage
import measure
import normalize
import split
from photochrom.color import denormalize, rgb_to_lab
from photochrom.images import load_square, png_bytes
from photochrom.runtime import EXIT_OK, EXIT_REJECTED, StageError
from photochrom.shards import load_split, read_shard
from photochrom.tables import (
    CATALOG_COLUMNS,
    MEASURES_COLUMNS,
    MOVES_COLUMNS,
    SHARDS_COLUMNS,
    SOURCES_COLUMNS,
    SPLIT_COLUMNS,
    read_table,
)

SCRIPTS = Path(normalize.__file__).parent
SOURCES = "[{kind: folder, path: photos}]"
FILTERS = "{brightness: [15, 240], chroma_std: 4, colourfulness: null}"
SPLIT = (
    "{train: 0.8, val: 0.1, test: 0.1, key: k, assign: {p0.png: train, p1.png: val, p2.png: test}}"
)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with five colour pictures, a grey one, a damaged one and a letter."""
    generator = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        coarse = generator.integers(0, 256, (5, 6, 3)).astype(np.uint8)
        (folder / f"p{number}.png").write_bytes(
            png_bytes(np.kron(coarse, np.ones((9, 9, 1), "u1")))
        )
    (folder / "grey.png").write_bytes(png_bytes(np.full((40, 40, 3), 128, np.uint8)))
    whole = (folder / "p0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "letter.jpg").write_text("not a picture")
    monkeypatch.chdir(tmp_path)
    yield folder
    for handler in logging.getLogger("photochrom").handlers:
        handler.close()


def options(**values: object) -> list[str]:
    """Command-line options: near_bits=4 becomes --near-bits=4, True an option without a value."""
    return [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in values.items()
    ]


def run_to_catalog(filters: str = FILTERS, near_bits: object = 4) -> None:
    download.main(options(sources=SOURCES, images="images", out="sources.csv", allow_rejects=True))
    measure.main(options(sources="sources.csv", out="measures.csv", allow_rejects=True))
    filter_stage.main(
        options(
            sources="sources.csv",
            measures="measures.csv",
            filters=filters,
            near_bits=near_bits,
            out="catalog.csv",
        )
    )


def run_shard(index: int, out: str) -> int:
    place = options(catalog="catalog.csv", shard_size=3, size=16, index=index, out=out)
    return normalize.main(["shard", *place])


def test_from_a_folder_to_a_training_set(photos: Path) -> None:
    run_to_catalog()
    sources = read_table(Path("sources.csv"), SOURCES_COLUMNS, "")
    assert len(sources) == 8
    measures = read_table(Path("measures.csv"), MEASURES_COLUMNS, "")
    assert [row["id"] for row in measures] == [row["id"] for row in sources]
    catalog = read_table(Path("catalog.csv"), CATALOG_COLUMNS, "")
    assert {row["original_name"]: row["reason"] for row in catalog if row["verdict"] == "drop"} == {
        "cut.png": "unreadable: truncated or damaged",
        "grey.png": "chroma_std: 0.0 below 4",
        "letter.jpg": "unreadable: not an image",
    }
    for index in range(2):
        assert run_shard(index, f"shards/shard-0000{index}.h5") == EXIT_OK
    files = ["shards/shard-00000.h5", "shards/shard-00001.h5"]
    normalize.main(["index", "--shards", *files, "--out", "shards.csv"])
    shards = read_table(Path("shards.csv"), SHARDS_COLUMNS, "")
    assert [(row["shard"], row["path"], row["rows"], row["size"]) for row in shards] == [
        ("shard-00000", "shards/shard-00000.h5", "3", "16"),
        ("shard-00001", "shards/shard-00001.h5", "2", "16"),
    ]
    split.main(options(shards="shards.csv", catalog="catalog.csv", split=SPLIT, out="split.csv"))
    rows = read_table(Path("split.csv"), SPLIT_COLUMNS, "")
    assert [row["id"] for row in rows] == [row["id"] for row in catalog if not row["reason"]]
    assert [row["split"] for row in rows][:3] == ["train", "val", "test"]

    train = load_split(Path("shards.csv"), Path("split.csv"), "train")
    L, ab = denormalize(train.L[0, 0] * train.scale, train.ab[0] * train.scale)
    expected = rgb_to_lab(load_square(photos / "p0.png", 16))
    np.testing.assert_allclose(L, expected[..., 0], atol=0.005)
    np.testing.assert_allclose(ab.transpose(1, 2, 0), expected[..., 1:], atol=0.03)


def test_a_split_before_that_is_no_table_is_told_and_replaced(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_to_catalog()
    for index in range(2):
        run_shard(index, f"shards/shard-0000{index}.h5")
    files = ["shards/shard-00000.h5", "shards/shard-00001.h5"]
    normalize.main(["index", "--shards", *files, "--out", "shards.csv"])
    arguments = options(shards="shards.csv", catalog="catalog.csv", split=SPLIT, out="split.csv")
    split.main(arguments)
    assert "placed anew" not in capsys.readouterr().err
    whole = Path("split.csv").read_bytes()
    Path("split.csv").write_bytes(whole[: len(whole) // 2])
    split.main(arguments)
    told = capsys.readouterr().err
    assert "placed anew, because of the split before: split.csv is not a usable table" in told
    assert Path("split.csv").read_bytes() == whole


def test_where_nothing_is_kept_each_reason_is_still_written(photos: Path) -> None:
    with pytest.raises(StageError, match=r"Each one's reasons are in catalog-of-none\.csv"):
        run_to_catalog("{chroma_std: 99}")
    rows = read_table(Path("catalog-of-none.csv"), CATALOG_COLUMNS, "")
    assert len(rows) == 8
    assert all(row["reason"] for row in rows)
    assert not Path("catalog.csv").exists()


def test_moves_are_listed_ever_since_the_first_split(photos: Path) -> None:
    run_to_catalog()
    for index in range(2):
        run_shard(index, f"shards/shard-0000{index}.h5")
    files = ["shards/shard-00000.h5", "shards/shard-00001.h5"]
    normalize.main(["index", "--shards", *files, "--out", "shards.csv"])
    tables = {
        "shards": "shards.csv",
        "catalog": "catalog.csv",
        "moves": "moves.csv",
    }

    def moves(assign: str) -> list[tuple[str, str]]:
        named = SPLIT.replace("assign: {", f"assign: {{{assign}, ")
        split.main(options(split=named, out="split.csv", **tables))
        listed = read_table(Path("moves.csv"), MOVES_COLUMNS, "")
        return [(row["before"], row["after"]) for row in listed]

    assert moves("p4.png: train") == []
    assert moves("p4.png: test") == [("train", "test")]
    assert moves("p4.png: test") == [("train", "test")]
    assert moves("p4.png: val") == [("train", "test"), ("test", "val")]


def test_equal_inputs_give_equal_bytes(photos: Path) -> None:
    run_to_catalog()
    run_shard(0, "a.h5")
    tables = {
        name: Path(name).read_bytes() for name in ("sources.csv", "measures.csv", "catalog.csv")
    }
    run_to_catalog()
    run_shard(0, "b.h5")
    assert Path("a.h5").read_bytes() == Path("b.h5").read_bytes()
    assert {name: Path(name).read_bytes() for name in tables} == tables


def test_rejected_inputs_show_in_the_exit_code(photos: Path) -> None:
    arguments = options(sources=SOURCES, images="i", out="s.csv")
    assert download.main(arguments) == EXIT_REJECTED
    assert download.main([*arguments, "--allow-rejects"]) == EXIT_OK
    assert measure.main(options(sources="s.csv", out="m.csv")) == EXIT_REJECTED
    (photos / "letter.jpg").unlink()
    (photos / "cut.png").unlink()
    assert download.main(arguments) == EXIT_OK
    assert measure.main(options(sources="s.csv", out="m.csv")) == EXIT_OK


def test_measuring_in_threads_gives_the_same_table(photos: Path) -> None:
    run_to_catalog()
    one = Path("measures.csv").read_bytes()
    measure.main(options(sources="sources.csv", out="measures.csv", threads=3, allow_rejects=True))
    assert Path("measures.csv").read_bytes() == one


def test_a_folder_without_pictures_is_refused(photos: Path) -> None:
    for path in photos.glob("*.png"):
        path.unlink()
    arguments = options(sources=SOURCES, images="i", out="s.csv")
    with pytest.raises(StageError, match=r"no images in .* 1 files there cannot be used"):
        download.main(arguments)
    assert not Path("s.csv").exists()


def test_filters_that_drop_all_are_refused(photos: Path) -> None:
    with pytest.raises(StageError, match=r"none of the 8 .* chroma_std 6, unreadable 2"):
        run_to_catalog("{chroma_std: 120}")


@pytest.mark.parametrize("bits", ["some", "-1", "1.5", "64", "true"])
def test_near_bits_must_be_a_number_of_bits(photos: Path, bits: str) -> None:
    with pytest.raises(StageError, match="near_bits"):
        run_to_catalog(near_bits=bits)


def test_a_photograph_changed_since_it_was_listed_is_refused(photos: Path) -> None:
    run_to_catalog()
    (photos / "p1.png").write_bytes((photos / "p2.png").read_bytes())
    with pytest.raises(StageError, match=r"p1\.png was changed since it was listed"):
        run_shard(0, "a.h5")
    (photos / "p1.png").unlink()
    with pytest.raises(StageError, match=r"p1\.png cannot be read any more"):
        run_shard(0, "a.h5")
    assert not Path("a.h5").exists()


def test_there_is_no_shard_beyond_the_last(photos: Path) -> None:
    run_to_catalog()
    with pytest.raises(StageError, match="too few pictures for a shard 2"):
        run_shard(2, "a.h5")


def test_a_damaged_shard_is_not_indexed(photos: Path) -> None:
    run_to_catalog()
    run_shard(0, "a.h5")
    assert len(read_shard(Path("a.h5")).ids) == 3
    data = bytearray(Path("a.h5").read_bytes())
    data[len(data) // 2] ^= 1
    Path("a.h5").write_bytes(data)
    with pytest.raises(StageError, match=r"a\.h5 cannot be used"):
        normalize.main(["index", "--shards", "a.h5", "--out", "shards.csv"])


def test_a_fault_is_one_line_and_an_exit_code(tmp_path: Path) -> None:
    arguments = options(sources="[{kind: foldr}]", images="i", out="s.csv")
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "download.py"), *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("photochrom download: ")
    assert "did you mean folder?" in done.stderr


@pytest.mark.parametrize("stage", ["download", "measure", "filter", "normalize", "split"])
def test_the_data_stages_import_neither_torch_nor_pandas(stage: str) -> None:
    heavy = {"torch", "pandas", "scipy", "skimage", "matplotlib"}
    todo, seen = [SCRIPTS / f"{stage}.py"], set()
    while todo:
        path = todo.pop()
        seen.add(path)
        functions = {
            "colourfulness_torch",
            "lab_to_rgb_torch",
            "rgb_to_lab_torch",
            "_mix",
            "pick_device",
        }
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name in functions:
                node.body = []
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                node.body = []
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            assert not heavy & {name.split(".")[0] for name in names}, path
            for name in names:
                stem = SCRIPTS.joinpath(*name.split("."))
                files = {stem.with_suffix(".py"), stem / "__init__.py"}
                todo += [file for file in files - seen if file.is_file()]
