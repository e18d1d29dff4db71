"""The leakage audit: exact and near copies are found whatever the groups say."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

import audit
import download
import filter as filter_stage
import measure
from photochrom.leakage import MAX_PAIRS, Comparison, Hashed, Pair, compare
from photochrom.leakage import audit as audit_sets
from photochrom.runtime import StageError, csv_text
from photochrom.tables import CATALOG_COLUMNS, SPLIT_COLUMNS, read_table


def hashed(name: str, value: int | None, sha256: str | None = None) -> Hashed:
    return Hashed(name, sha256 or f"of {name}", "" if value is None else f"{value:016x}")


def test_exact_and_near_copies_are_told_apart() -> None:
    train = [hashed("a", 0), hashed("b", 2**40 - 1), hashed("flat", None)]
    test = [
        hashed("a again", 0, "of a"),
        hashed("a crop", 0b111),
        hashed("other", 2**63 - 1),
        hashed("flat again", None, "of flat"),
    ]
    assert compare("train", train, "test", test, bits=4) == Comparison(
        one="train",
        other="test",
        one_pictures=3,
        other_pictures=4,
        exact=2,
        near=1,
        nearest=0,
        flat=2,
        pairs=[
            Pair("a", "a again", None),
            Pair("flat", "flat again", None),
            Pair("a", "a crop", 3),
        ],
    )
    assert compare("train", train, "test", test, bits=2).near == 0


def test_empty_sets_share_nothing() -> None:
    assert compare("train", [], "f", [hashed("a", 1)], 6).nearest is None
    assert compare("train", [hashed("a", 1)], "f", [], 6).exact == 0


def test_all_are_counted_and_some_listed() -> None:
    many = [hashed(f"{number}", None, "one") for number in range(MAX_PAIRS + 20)]
    found = compare("train", many[:1], "test", many, 6)
    assert found.exact == MAX_PAIRS + 20
    assert len(found.pairs) == MAX_PAIRS


def test_everything_is_compared_with_everything() -> None:
    splits = {"train": [hashed("a", 1)], "val": [hashed("b", 2)], "test": [hashed("c", 4)]}
    found = audit_sets(splits, {"evaluation": [hashed("d", 8)]}, 0)
    assert [(each.one, each.other) for each in found] == [
        ("train", "val"),
        ("train", "test"),
        ("val", "test"),
        ("train", "evaluation"),
        ("val", "evaluation"),
        ("test", "evaluation"),
    ]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six photographs as a catalog, and an evaluation folder with a copy and a cropped one."""
    monkeypatch.chdir(tmp_path)
    names = ["astronaut", "coffee", "chelsea", "rocket", "retina", "immunohistochemistry"]
    for folder in ("photos", "evaluation"):
        Path(folder).mkdir()
    for name in names:
        Image.fromarray(getattr(data, name)()).resize((300, 300)).save(f"photos/{name}.png")
    Path("evaluation/same.png").write_bytes(Path("photos/coffee.png").read_bytes())
    cropped = Image.open("photos/rocket.png").crop((3, 3, 297, 297))
    cropped.save("evaluation/cropped.jpg", quality=80)
    noise = np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(noise).resize((200, 200)).save("evaluation/new.png")
    Path("evaluation/letter.txt").write_text("no picture")
    download.main(["--sources=[{kind: folder, path: photos}]", "--images=i", "--out=sources.csv"])
    measure.main(["--sources=sources.csv", "--out=measures.csv"])
    filter_stage.main(
        [
            *("--sources=sources.csv", "--measures=measures.csv", "--filters={}"),
            *("--near-bits=6", "--out=catalog.csv"),
        ]
    )
    catalog = read_table(Path("catalog.csv"), CATALOG_COLUMNS, "")
    places = {"coffee.png": "train", "rocket.png": "val", "retina.png": "test"}
    rows = [
        (row["id"], "s", at, row["group"], 1, places.get(row["original_name"], "train"))
        for at, row in enumerate(catalog)
    ]
    Path("split.csv").write_text(csv_text(SPLIT_COLUMNS, rows))
    return tmp_path


def run(*more: str) -> dict[str, object]:
    audit.main(["--catalog=catalog.csv", "--split=split.csv", "--out=out/audit.json", *more])
    found = json.loads(Path("out/audit.json").read_text())
    assert isinstance(found, dict)
    return found


def test_the_splits_of_different_photographs_share_nothing(work: Path) -> None:
    found = run()
    assert found["bits"] == audit.DEFAULT_BITS
    assert [(each["exact"], each["near"]) for each in found["comparisons"]] == [(0, 0)] * 3  # type: ignore[attr-defined]


def test_an_evaluation_folder_is_compared(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run("--folders", "evaluation", "--near-bits=6", "--threads=2")
    assert found["unusable"] == {"evaluation": 1}
    shared = {
        each["one"]: each["pairs"]
        for each in found["comparisons"]  # type: ignore[attr-defined]
        if each["other"] == "evaluation" and each["pairs"]
    }
    assert [pair["other"] for pair in shared["train"]] == ["same.png"]
    assert shared["train"][0]["bits"] is None
    assert [pair["other"] for pair in shared["val"]] == ["cropped.jpg"]
    assert "val and evaluation share 0 pictures exactly and 1 nearly" in capsys.readouterr().err
    assert [path.name for path in Path("out").iterdir()] == ["audit.json"]


def test_a_split_of_other_pictures_is_refused(work: Path) -> None:
    text = Path("split.csv").read_text().splitlines()
    Path("split.csv").write_text("\n".join([*text, "unknown,s,9,g,1,train"]) + "\n")
    with pytest.raises(StageError, match="unknown"):
        run()


def test_what_cannot_be_listed_is_named_as_what_it_is(work: Path) -> None:
    with pytest.raises(StageError, match=r"data\.audit: evaluation/letter\.txt is neither"):
        run("--folders", "evaluation/letter.txt")


def test_a_folder_without_pictures_is_no_clean_bill(work: Path) -> None:
    Path("words").mkdir()
    Path("words/letter.txt").write_text("Dear audit")
    with pytest.raises(StageError, match=r"no pictures in words \(not an image 1\)"):
        run("--folders", "words")
    assert not Path("out/audit.json").exists()


@pytest.mark.parametrize("option", ["--folders=none", "--near-bits=some", "--near-bits=99"])
def test_arguments_that_make_no_sense_are_refused(work: Path, option: str) -> None:
    with pytest.raises(StageError, match=r"does not exist|whole number"):
        run(option)
