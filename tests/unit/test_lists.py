"""Manifests beside photographs, and other tables that people write."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from photochrom.images import png_bytes
from photochrom.runtime import StageError, sha256_file
from photochrom.sources import SourceImage, list_all
from photochrom.tables import read_list


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sea").mkdir(parents=True)
    for tone, name in enumerate(["a.png", "sea/b.png"]):
        (folder / name).write_bytes(png_bytes(np.full((4, 6, 3), tone, np.uint8)))
    return folder


def listed(path: Path, manifest: Path) -> list[SourceImage]:
    source = {"kind": "folder", "path": str(path), "manifest": str(manifest)}
    return list(list_all([source], path.parent / "images"))


def table(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_manifest_gives_licence_and_attribution(photos: Path, tmp_path: Path) -> None:
    manifest = table(
        tmp_path / "m.csv",
        'licence,file,year,attribution\nCC0,sea/b.png,1905,"Björk, Å."\nCC BY 4.0,other.png,,X\n',
    )
    first, second = listed(photos, manifest)
    assert (first.licence, first.attribution, first.error) == ("", "", "")
    assert (second.licence, second.attribution, second.error) == ("CC0", "Björk, Å.", "")


def test_names_are_those_on_disk_however_they_are_spelt(photos: Path, tmp_path: Path) -> None:
    hostile = ["100% cotton.png", "a\nb.png", "cafe\u0301.png"]  # the accent parted, as on macOS
    for tone, name in enumerate(hostile, start=5):
        (photos / name).write_bytes(png_bytes(np.full((4, 6, 3), tone, np.uint8)))
    wrong = "0" * 64
    manifest = table(
        tmp_path / "m.csv",
        "file,licence,attribution,sha256\n"
        f'100% cotton.png,CC0,A,{wrong}\n"a\nb.png",CC0,B,\ncaf\u00e9.png,CC0,C,\n./a.png,CC0,D,\n',
    )
    images = {image.attribution: image for image in listed(photos, manifest)}
    assert sorted(images) == ["", "A", "B", "C", "D"]
    assert images["A"].error.startswith("differs from its sha256")
    assert images[""].original_name == "sea/b.png"


def test_a_manifest_of_a_zip(photos: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(photos / "a.png", "./photos/a.png")
    manifest = table(tmp_path / "m.tsv", "file\tlicence\tattribution\nphotos/a.png\tCC0\tA, B\n")
    (image,) = listed(tmp_path / "a.zip", manifest)
    assert (image.licence, image.attribution) == ("CC0", "A, B")


def test_a_manifest_may_say_what_pictures_show(photos: Path, tmp_path: Path) -> None:
    rows = "a.png,CC0,,trees\nsea/b.png,CC0,,\n"
    manifest = table(tmp_path / "m.csv", f"file,licence,attribution,subject\n{rows}")
    assert [image.subject for image in listed(photos, manifest)] == ["trees", ""]


def test_a_digest_in_a_manifest_is_checked(photos: Path, tmp_path: Path) -> None:
    digest = sha256_file(photos / "a.png")
    rows = f"a.png,CC0,,{digest.upper()}\nsea/b.png,CC0,,{digest}\n"
    manifest = table(tmp_path / "m.csv", f"file,licence,attribution,sha256\n{rows}")
    first, second = listed(photos, manifest)
    assert first.error == ""
    assert second.error == "differs from its sha256 in m.csv: damaged or replaced"
    assert (second.width, second.licence) == (0, "CC0")


def test_unusable_files_keep_their_reason_and_get_their_licence(
    photos: Path, tmp_path: Path
) -> None:
    (photos / "a.png").write_bytes(b"")
    manifest = table(tmp_path / "m.csv", "file,licence,attribution,sha256\na.png,CC0,A,00\n")
    image = listed(photos, manifest)[0]
    assert (image.error, image.licence) == ("zero bytes", "CC0")


def test_pictures_that_a_manifest_does_not_name_are_counted(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from photochrom.runtime import log

    monkeypatch.setattr(log, "propagate", True)
    manifest = table(tmp_path / "m.csv", "file,licence,attribution\na.png,CC0,\n")
    listed(photos, manifest)
    assert "does not name 1 of the pictures" in caplog.text


def test_contradictions_are_refused_and_repetitions_are_not(photos: Path, tmp_path: Path) -> None:
    head = "file,licence,attribution\na.png,CC0,\n"
    assert listed(photos, table(tmp_path / "m.csv", f"{head}a.png,CC0,\n"))[0].licence == "CC0"
    with pytest.raises(StageError, match=r"line 3 contradicts what it said of a\.png"):
        listed(photos, table(tmp_path / "m.csv", f"{head}a.png,CC BY 4.0,\n"))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("m.csv", "file,license,attribution\n", "lacks the column licence; rename its column lic"),
        ("m.csv", "name,x\n", "lacks the column file; it has name, x"),
        ("m.csv", "", "lacks the column file; it is empty"),
        ("m.csv", 'file,licence,attribution\n"a,b\n', "not a UTF-8 CSV or TSV table"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(StageError, match=says):
        read_list(table(tmp_path / name, text), ("file", "licence"), ())


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"cannot read .*none\.csv: No such file"):
        read_list(tmp_path / "none.csv", ("file",), ())
    (tmp_path / "latin.csv").write_bytes(b"file\ncaf\xe9\n")
    with pytest.raises(StageError, match="not a UTF-8 CSV"):
        read_list(tmp_path / "latin.csv", ("file",), ())


def test_rows_as_spreadsheets_write_them(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b'\xef\xbb\xbffile , licence\r\n"two\r\nlines", CC0 \r\nb\r\n')
    assert read_list(tmp_path / "m.csv", ("file",), ("licence", "more")) == [
        {"file": "two\r\nlines", "licence": "CC0", "more": "", "line": "3"},
        {"file": "b", "licence": "", "more": "", "line": "4"},
    ]
