"""Every file of an archive is a row, every row a name that no other has."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive_room import grey, save
from photochrom.archive.plan import (
    BUILTIN_PHOTOGRAPHS,
    NAMING,
    content_format,
    name_outputs,
    plan_archive,
    shard_count,
    shard_rows,
)
from photochrom.archive.records import Planned, read_rows, write_rows
from photochrom.images import path_from_text, path_to_text
from photochrom.runtime import StageError
from plan import main

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"


def planned(folder: Path) -> dict[str, Planned]:
    return {row.path: row for row in plan_archive(str(folder))}


def rows_of(*names: str, kind: str = "jpeg") -> list[Planned]:
    return [
        Planned(path_to_text(Path(name)), "", f"{i:064x}", "1", kind, "", "")
        for i, name in enumerate(names)
    ]


def outputs(*names: str, kind: str = "jpeg", output_format: str = "same") -> list[str]:
    named = name_outputs(rows_of(*names, kind=kind), output_format)
    return [str(path_from_text(row.output)) for row in named]


def test_a_derivative_is_named_after_the_stem_in_a_mirrored_tree() -> None:
    assert outputs("a/b/scan 1.jpg", "scan.JPEG", "x.y.jpg") == [
        "a/b/scan 1.colorized.jpg",
        "scan.colorized.JPEG",
        "x.y.colorized.jpg",
    ]


def test_the_suffix_tells_the_content() -> None:
    assert outputs("photo.jpg", "noending", "-.gif", kind="png") == [
        "photo.colorized.png",
        "noending.colorized.png",
        "-.colorized.png",
    ]
    assert outputs("a.png", kind="png", output_format="tiff") == ["a.colorized.tif"]


def test_full_names_only_where_stems_collide() -> None:
    assert outputs("a.png", "a.tif", "b.png", output_format="jpeg") == [
        "a.png.colorized.jpg",
        "a.tif.colorized.jpg",
        "b.colorized.jpg",
    ]


def test_names_that_differ_in_case_or_unicode_form_alone_get_a_digest() -> None:
    for pair in (("scan.jpg", "Scan.JPG"), ("\u00e9.jpg", "e\u0301.jpg"), ("A/x.jpg", "a/x.jpg")):
        names = outputs(*pair)
        assert all("~" in name for name in names), names
        assert len({name.casefold() for name in names}) == 2


def test_an_unusual_name_is_explained() -> None:
    rows = name_outputs(rows_of("a.png", "a.tif", "b.png", "scan.png", "Scan.png"), "png")
    assert [row.reason for row in rows] == [NAMING[level] for level in (1, 1, 0, 2, 2)]


def test_a_derivative_is_never_named_like_a_folder_or_a_sidecar() -> None:
    names = outputs("a.jpg", "a.colorized.jpg/b.jpg", "c.jpg", "c.colorized.jpg.json/d.jpg")
    assert names[0] == "a.jpg.colorized.jpg"
    assert names[2] == "c.jpg.colorized.jpg"


def test_folders_that_gather_writes_are_left_to_it() -> None:
    assert outputs("review/a.jpg", "Plan/a.jpg", "x/review/a.jpg") == [
        "_review/a.colorized.jpg",
        "_Plan/a.colorized.jpg",
        "x/review/a.colorized.jpg",
    ]


def test_long_names_are_shortened_and_stay_apart() -> None:
    names = outputs(f"{'n' * 240}1.jpg", f"{'n' * 240}2.jpg", f"{'é' * 120}/{'ü' * 120}.jpg")
    assert len(set(names)) == 3
    for name in names:
        assert all(len(part.encode()) <= 200 for part in Path(name).parts)


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0\n.") | st.sampled_from("aA.bé%~"),
    min_size=1,
    max_size=6,
).filter(lambda name: not name.startswith("."))


@settings(deadline=None, max_examples=60)
@given(
    st.sets(
        st.tuples(st.lists(NAMES, max_size=2), NAMES).map(lambda p: "/".join([*p[0], p[1]])),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(["same", "png", "jpeg", "tiff"]),
)
def test_no_two_derivatives_or_sidecars_share_a_name(names: set[str], output_format: str) -> None:
    ordered = sorted(names)
    made = outputs(*ordered, output_format=output_format)
    files = [*made, *(f"{name}.json" for name in made)]
    assert len({name.casefold() for name in files}) == len(files)
    assert all(name.isprintable() for name in files)
    # No order of the files changes a name.
    assert outputs(*ordered[::-1], output_format=output_format) == made[::-1]


def test_any_byte_name_is_planned_and_comes_back(tmp_path: Path) -> None:
    names = [b"\xff\xfe.jpg", b"new\nline.jpg", b"-rf.jpg", b"'\"$(x).jpg", b"100%.jpg", b" .jpg"]
    for name in names:
        save(tmp_path / os.fsdecode(name), grey(4, 4))
    rows = plan_archive(str(tmp_path))
    assert {os.fsencode(path_from_text(row.path)) for row in rows} == set(names)
    assert all(path_from_text(row.source).is_file() for row in rows)
    assert all(row.path.isprintable() and row.output.isprintable() for row in rows)
    by_path = {row.path: row.output for row in rows}
    assert by_path["100%25.jpg"] == "100%25.colorized.jpg"
    assert path_from_text(by_path["100%25.jpg"]) == Path("100%.colorized.jpg")
    write_rows(tmp_path / "t.csv", Planned, rows)
    assert read_rows(tmp_path / "t.csv", Planned, "plan.py") == rows


def test_what_is_no_picture_by_the_file_systems_word_has_a_reason(tmp_path: Path) -> None:
    save(tmp_path / "good.jpg", grey(4, 4))
    (tmp_path / "empty.jpg").touch()
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket.jpg"))
        (tmp_path / "dangling.jpg").symlink_to("nowhere.jpg")
        (tmp_path / "self.jpg").symlink_to("self.jpg")
        (tmp_path / "link.jpg").symlink_to("good.jpg")
        (tmp_path / "loop").symlink_to(".", target_is_directory=True)
        (tmp_path / ".hidden.jpg").write_bytes(b"x")
        (tmp_path / ".cache").mkdir()
        (tmp_path / ".cache" / "a.jpg").write_bytes(b"x")
        rows = planned(tmp_path)
    assert {path: (row.status, row.reason) for path, row in rows.items()} == {
        "good.jpg": ("", ""),
        "link.jpg": ("", ""),
        "empty.jpg": ("failed", "zero bytes"),
        "pipe.jpg": ("failed", "not a regular file"),
        "socket.jpg": ("failed", "not a regular file"),
        "dangling.jpg": ("failed", "unreadable: no such file or directory"),
        "self.jpg": ("failed", "unreadable: too many levels of symbolic links"),
        "loop": ("skipped", "a link to a folder, not followed"),
    }
    assert not any(row.output for row in rows.values() if row.status)


@contextmanager
def unprivileged(*folders: Path) -> Iterator[None]:
    """Without root's right to read everything; `folders` are opened to everyone for a while."""
    if os.geteuid() != 0:
        yield
        return
    modes = {folder: folder.stat().st_mode for folder in folders}
    for folder, mode in modes.items():
        folder.chmod(mode | 0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        for folder, mode in modes.items():
            folder.chmod(mode)


def test_unreadable_files_and_folders_are_rows(tmp_path: Path) -> None:
    archive = tmp_path / "scans"
    save(archive / "locked.jpg", grey(4, 4)).chmod(0)
    save(archive / "good.jpg", grey(4, 4))
    save(archive / "vault" / "a.jpg", grey(4, 4))
    (archive / "vault").chmod(0)
    above = [folder for folder in tmp_path.parents if str(folder) not in ("/", "/tmp")]
    try:
        with unprivileged(tmp_path, *above):
            rows = plan_archive(str(archive))
    finally:
        (archive / "vault").chmod(0o755)
    assert [(row.path, row.status, row.reason) for row in rows] == [
        ("good.jpg", "", ""),
        ("locked.jpg", "failed", "unreadable: permission denied"),
        ("vault", "failed", "unreadable folder: permission denied"),
    ]


@pytest.mark.parametrize(
    ("archive", "words"),
    [("nowhere", "does not exist"), ("file", "neither a folder nor a zip"), ("empty", "no files")],
)
def test_no_archive(tmp_path: Path, archive: str, words: str) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "empty" / "below").mkdir(parents=True)
    with pytest.raises(StageError, match=words) as caught:
        plan_archive(str(tmp_path / archive))
    assert caught.value.code == 2


def test_the_builtin_archive_is_grey_photographs() -> None:
    import pyvips

    rows = plan_archive("builtin")
    assert [row.path for row in rows] == sorted(BUILTIN_PHOTOGRAPHS)
    for row in rows:
        assert pyvips.Image.new_from_file(row.source).bands == 1


def test_shards_are_of_the_wanted_size_on_average() -> None:
    assert [shard_count(n, 200) for n in (0, 1, 200, 201, 400, 401, 1601)] == [1, 1, 1, 2, 2, 4, 16]
    with pytest.raises(StageError, match="shard size"):
        shard_count(3, 0)


def test_a_grown_archive_changes_few_shards_and_copies_meet(tmp_path: Path) -> None:
    for index in range(12):
        save(tmp_path / f"{index}.png", grey(3, 3, seed=index))
    before = shard_rows(plan_archive(str(tmp_path)), 4)
    save(tmp_path / "new.png", grey(3, 3, seed=99))
    (tmp_path / "copy.png").write_bytes((tmp_path / "0.png").read_bytes())
    after = shard_rows(plan_archive(str(tmp_path)), 4)
    assert len(before) == len(after) == 4
    assert sum(map(len, after)) == 14
    changed = [index for index in range(4) if before[index] != after[index]]
    assert 1 <= len(changed) <= 2
    together = [{row.path for row in shard} for shard in after]
    assert any({"0.png", "copy.png"} <= paths for paths in together)


def test_the_stage_writes_a_plan_and_takes_old_shards_away(tmp_path: Path) -> None:
    for index in range(6):
        save(tmp_path / "scans" / f"{index}.png", grey(3, 3, seed=index))
    out = tmp_path / "plan"
    arguments = [str(tmp_path / "scans"), "--out", str(out)]
    assert main([*arguments, "--shard-size", "1"]) == 0
    assert len(list(out.glob("shard-*.csv"))) == 8
    assert main([*arguments, "--shard-size", "3"]) == 0
    shards = sorted(out.glob("shard-*.csv"))
    assert [shard.name for shard in shards] == ["shard-00000.csv", "shard-00001.csv"]
    rows = [row for shard in shards for row in read_rows(shard, Planned, "plan.py")]
    plan = read_rows(out / "plan.csv", Planned, "plan.py")
    assert sorted(rows, key=lambda row: row.path) == plan
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    assert main([*arguments, "--shard-size", "3"]) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first


def test_formats_are_told_by_content() -> None:
    assert content_format(b"\xff\xd8\xff\xe0") == "jpeg"
    assert content_format(b"II*\0abcd") == content_format(b"MM\0*abcd") == "tiff"
    assert content_format(b"II+\0\x08\0\0\0") == "tiff"
    assert content_format(b"RIFF\x10\0\0\0WEBPVP8 ") == "webp"
    assert content_format(b"GIF89a") == content_format(b"\x89PNG\r\n\x1a\n") == "png"
