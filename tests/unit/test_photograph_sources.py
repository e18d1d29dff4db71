"""Where photographs come from: folders as people have them, and the builtin tiles."""

import dataclasses
import hashlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from photochrom.images import load_rgb, path_from_text, png_bytes
from photochrom.runtime import StageError
from photochrom.sources import SourceImage, builtin, list_all
from photochrom.tables import SOURCES_COLUMNS


def picture(path: Path, tone: int = 100, width: int = 6) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(np.full((4, width, 3), tone, np.uint8)))
    return path


def listed(folder: Path) -> list[SourceImage]:
    return list(list_all([{"kind": "folder", "path": str(folder)}], folder / "unused"))


def test_the_record_has_the_columns_of_the_table() -> None:
    assert tuple(field.name for field in dataclasses.fields(SourceImage)) == SOURCES_COLUMNS


def test_a_folder_is_listed_to_any_depth_in_a_fixed_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for tone, name in enumerate(["b.png", "a/z.png", "a/b/c.PNG", "Ä.png"]):
        picture(tmp_path / "photos" / name, tone)
    images = listed(Path("photos"))
    assert [image.original_name for image in images] == ["a/b/c.PNG", "a/z.png", "b.png", "Ä.png"]
    first = images[0]
    content = (tmp_path / "photos/a/b/c.PNG").read_bytes()
    assert first.sha256 == hashlib.sha256(content).hexdigest()
    assert first.id == first.sha256[:16]
    assert first.path == "photos/a/b/c.PNG"
    assert (first.width, first.height, first.error) == (6, 4, "")
    assert first.source == "folder:photos"


def test_paths_elsewhere_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "photos" / "a.png")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert listed(Path("../photos"))[0].path == str(tmp_path.resolve() / "photos" / "a.png")
    assert listed(tmp_path / "photos")[0].path == str(tmp_path / "photos" / "a.png")


def test_exact_copies_have_ids_of_their_own(tmp_path: Path) -> None:
    for name in ("c.png", "a.png", "b.png"):
        picture(tmp_path / name)
    images = listed(tmp_path)
    base = images[0].sha256[:16]
    assert [image.id for image in images] == [base, f"{base}-2", f"{base}-3"]
    assert [image.original_name for image in images] == ["a.png", "b.png", "c.png"]


def test_what_cannot_be_used_is_a_row_all_the_same(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    (tmp_path / "zero.jpg").touch()
    (tmp_path / "letter.txt").write_text("hello")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert {image.original_name: image.error for image in listed(tmp_path)} == {
        "good.png": "",
        "zero.jpg": "zero bytes",
        "letter.txt": "not an image",
        "gone.png": "unreadable: no such file or directory",
    }


def test_rows_without_a_digest_still_have_ids(tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        (tmp_path / name).symlink_to(tmp_path / "nowhere")
    images = listed(tmp_path)
    assert len({image.id for image in images}) == 2
    assert all(image.sha256 == "" and image.id.startswith("unread-") for image in images)


def test_hidden_files_pipes_and_loops(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / ".hidden.png")
    picture(tmp_path / ".cache" / "b.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "linked.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "pipe-link.png").symlink_to(tmp_path / "pipe.png")
    (tmp_path / "loop").symlink_to(tmp_path)
    images = listed(tmp_path)
    assert [(image.original_name, image.error) for image in images] == [
        ("a.png", ""),
        ("linked.png", ""),
        ("loop", "a link to a folder, not followed"),
        ("pipe-link.png", "not a regular file"),
        ("pipe.png", "not a regular file"),
    ]


def test_names_of_any_bytes_are_text_and_reversible(tmp_path: Path) -> None:
    for name in (b"caf\xe9.png", b"new\nline.png", b"100%.png"):
        picture(tmp_path / os.fsdecode(name), tone=len(name))
    images = listed(tmp_path)
    assert [image.original_name for image in images] == [
        "100%25.png",
        "caf%E9.png",
        "new%0Aline.png",
    ]
    for image in images:
        assert load_rgb(path_from_text(image.path))[0, 0, 0] == len(
            os.fsencode(path_from_text(image.original_name))
        )


def test_archives_in_a_folder_are_not_opened(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(tmp_path / "a.png")
    assert [image.error for image in listed(tmp_path)] == [
        "",
        "an archive in the source, not opened: name it in data.sources itself",
    ]


def test_folders_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"none does not exist"):
        listed(tmp_path / "none")
    with pytest.raises(StageError, match="needs a path"):
        list(list_all([{"kind": "folder"}], tmp_path))


@pytest.mark.parametrize(
    ("source", "hint"),
    [({"kind": "foldr", "path": "x"}, "did you mean folder"), ("photos", "known kinds: builtin")],
)
def test_unknown_kinds_are_refused(tmp_path: Path, source: dict[str, str], hint: str) -> None:
    with pytest.raises(StageError, match=hint):
        list(list_all([source], tmp_path))


def test_ids_are_unique_over_sources(tmp_path: Path) -> None:
    picture(tmp_path / "one" / "a.png")
    picture(tmp_path / "two" / "a.png")
    sources = [{"kind": "folder", "path": str(tmp_path / name)} for name in ("one", "two")]
    first, second = list_all(sources, tmp_path)
    assert second.id == f"{first.id}-2"
    assert first.source != second.source


@pytest.mark.parametrize("length", [240, 241, 300, 320, 321, 480, 711])
def test_tiles_cover_a_side_flush_at_both_ends(length: int) -> None:
    starts = builtin.tile_starts(length)
    assert starts[0] == 0
    assert starts[-1] == length - builtin.TILE
    steps = np.diff(starts)
    assert (steps > 0).all()
    assert (steps <= builtin.STRIDE + 1).all()


def test_the_builtin_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    few = {name: builtin.PHOTOGRAPHS[name] for name in ("chelsea", "rocket")}
    monkeypatch.setattr(builtin, "PHOTOGRAPHS", few)
    images = list(list_all([{"kind": "builtin"}], Path("images")))
    assert len(images) == 8 + 24
    assert {image.original_name for image in images} == set(few)
    assert all((image.width, image.height, image.error) == (240, 240, "") for image in images)
    assert images[0].id == "chelsea-r0-c0"
    assert images[0].path == "images/builtin/chelsea-r0-c0.png"
    assert images[0].licence == "CC0"
    assert images[0].attribution == "Stefan van der Walt"
    # Overlapping parts of one photograph.
    one, next_one = (load_rgb(Path(image.path)) for image in images[:2])
    step = builtin.tile_starts(451)[1]
    np.testing.assert_array_equal(one[:, step:], next_one[:, :-step])
    assert list(list_all([{"kind": "builtin"}], Path("images"))) == images


def test_every_builtin_photograph_is_there_and_credited() -> None:
    folder = builtin._data_folder()
    for photograph in builtin.PHOTOGRAPHS.values():
        assert (folder / photograph.file).is_file()
        assert photograph.licence
        assert photograph.attribution


def test_a_missing_builtin_photograph_is_a_missing_dependency(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtin, "_data_folder", lambda: tmp_path)
    with pytest.raises(StageError, match="reinstall scikit-image") as caught:
        list(list_all([{"kind": "builtin"}], tmp_path))
    assert caught.value.code == 4
