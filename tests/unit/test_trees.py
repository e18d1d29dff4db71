"""The digest of a folder changes with any name or content below it, and with nothing else."""

import os
from pathlib import Path

import pytest

import trees
from trees import tree_digest


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "a.jpg").write_bytes(b"a")
    (root / "deep" / "er" / "b.jpg").write_bytes(b"b")
    return root


def digest(root: Path) -> str:
    return tree_digest(root, root.parent / "cache")


def test_touching_changes_nothing(tree: Path) -> None:
    before = digest(tree)
    os.utime(tree / "a.jpg", (0, 0))
    os.utime(tree / "deep")
    assert digest(tree) == before


def test_adding_editing_removing_and_renaming_below_are_noticed(tree: Path) -> None:
    seen = [digest(tree)]
    (tree / "deep" / "er" / "c.jpg").write_bytes(b"c")
    seen.append(digest(tree))
    (tree / "deep" / "er" / "b.jpg").write_bytes(b"B")
    seen.append(digest(tree))
    (tree / "a.jpg").rename(tree / "aa.jpg")
    seen.append(digest(tree))
    (tree / "aa.jpg").unlink()
    seen.append(digest(tree))
    assert len(set(seen)) == 5


def test_an_edit_of_the_same_size_with_the_old_time_is_noticed(tree: Path) -> None:
    before = digest(tree)
    times = (tree / "a.jpg").stat()
    (tree / "a.jpg").write_bytes(b"z")
    os.utime(tree / "a.jpg", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert digest(tree) != before


def test_unchanged_files_are_not_read_again(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(tree)
    (tree / "new.jpg").write_bytes(b"n")
    read = []
    real = trees._file_digest

    def reading(path: bytes | Path) -> str:
        read.append(path)
        return real(path)

    monkeypatch.setattr(trees, "_file_digest", reading)
    after = digest(tree)
    assert after != before
    assert [os.path.basename(path) for path in read] == [b"new.jpg"]


def test_a_damaged_cache_is_rebuilt(tree: Path) -> None:
    before = digest(tree)
    for store in (tree.parent / "cache").iterdir():
        store.write_text("{broken")
    assert digest(tree) == before


def test_loops_hidden_files_and_strange_names(tree: Path) -> None:
    before = digest(tree)
    (tree / ".hidden").write_bytes(b"h")
    (tree / "deep" / "loop").symlink_to(tree)
    (tree / "dangling").symlink_to(tree / "nowhere")
    os.mkfifo(tree / "pipe")
    assert digest(tree) == before
    Path(os.fsdecode(os.fsencode(tree) + b"/\xff\n'\".jpg")).write_bytes(b"x")
    assert digest(tree) != before


def test_a_single_file(tree: Path) -> None:
    before = digest(tree / "a.jpg")
    (tree / "a.jpg").write_bytes(b"other")
    assert digest(tree / "a.jpg") != before
