"""Zips and tars as sources: what is in them comes out, and what should not does not."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import stat
import tarfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from photochrom import containers
from photochrom.images import load_rgb, path_from_text, png_bytes
from photochrom.runtime import StageError
from photochrom.sources import SourceImage, container, list_all


def picture(tone: int = 100) -> bytes:
    return png_bytes(np.full((4, 6, 3), tone, np.uint8))


Entry = tuple[str, bytes]


def make_zip(path: Path, entries: list[Entry], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore")  # of names that come up twice
        for name, content in entries:
            archive.writestr(name, content)
    return path


def make_tar(path: Path, entries: list[Entry], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in entries:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


MAKERS: dict[str, Callable[[Path, list[Entry]], Path]] = {
    "a.zip": make_zip,
    "stored.zip": lambda path, entries: make_zip(path, entries, zipfile.ZIP_STORED),
    "a.tar": make_tar,
    "a.tar.gz": lambda path, entries: make_tar(path, entries, "w:gz"),
    "a.tar.bz2": lambda path, entries: make_tar(path, entries, "w:bz2"),
    "a.tar.xz": lambda path, entries: make_tar(path, entries, "w:xz"),
}


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def listed(path: Path) -> list[SourceImage]:
    return list(list_all([{"kind": "folder", "path": str(path)}], Path("images")))


def errors(path: Path) -> dict[str, str]:
    return {image.original_name: image.error for image in listed(path)}


def unpacked() -> list[Path]:
    return sorted(path for path in Path("images").rglob("*") if path.is_file())


@pytest.mark.parametrize("name", MAKERS)
def test_pictures_come_out_of_every_kind(name: str, tmp_path: Path) -> None:
    entries = [("b/Ä 1.PNG", picture(1)), ("a.png", picture(2)), ("./c/d", picture(3))]
    path = MAKERS[name](tmp_path / name, entries)
    images = listed(path)
    assert [image.original_name for image in images] == ["b/Ä 1.PNG", "a.png", "c/d"]
    for image, (_, content) in zip(images, entries, strict=True):
        assert image.error == ""
        assert image.sha256 == hashlib.sha256(content).hexdigest()
        assert image.id == image.sha256[:16]
        assert (image.width, image.height) == (6, 4)
        assert image.source == f"folder:{path}"
        assert path_from_text(image.path).read_bytes() == content
        assert load_rgb(path_from_text(image.path)).shape == (4, 6, 3)
    assert len(unpacked()) == 3
    assert {path.suffix for path in unpacked()} == {".png", ""}


def test_a_kind_is_known_by_content(tmp_path: Path) -> None:
    assert errors(make_tar(tmp_path / "photos.zip", [("a.png", picture())])) == {"a.png": ""}
    assert errors(make_zip(tmp_path / "photos.tar", [("a.png", picture())])) == {"a.png": ""}
    # A zip at the end of a tar is a member of it.
    inner = make_zip(tmp_path / "inner.zip", [("b.png", picture())]).read_bytes()
    outer = make_tar(tmp_path / "outer.tar", [("a.png", picture()), ("inner.zip", inner)])
    assert errors(outer) == {"a.png": "", "inner.zip": container.NESTED}


def test_running_again_gives_the_same_and_tidies_up(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "a.tar", [("a.png", picture(1)), ("b.png", picture(2))])
    first = listed(path)
    files = unpacked()
    files[0].write_bytes(b"torn by a power cut")
    files[0].with_name("unpacking.1.tmp").touch()
    assert listed(path) == first
    assert unpacked() == files
    for image in first:
        content = path_from_text(image.path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == image.sha256
    make_tar(path, [("b.png", picture(2))])
    assert len(listed(path)) == 1
    assert len(unpacked()) == 1


def test_exact_copies_share_a_file_and_have_ids_of_their_own(tmp_path: Path) -> None:
    images = listed(make_zip(tmp_path / "a.zip", [("a.png", picture()), ("b.png", picture())]))
    assert images[0].path == images[1].path
    assert images[1].id == f"{images[0].id}-2"


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_hidden_members_and_folders_are_passed_over(
    make: Callable[[Path, list[Entry]], Path], tmp_path: Path
) -> None:
    names = [".DS_Store", "__MACOSX/._a.png", "a/.thumbs/b.png", "a.png"]
    assert errors(make(tmp_path / "a", [(name, picture()) for name in names])) == {"a.png": ""}


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_no_name_leads_out_of_the_work_folder(
    make: Callable[[Path, list[Entry]], Path], tmp_path: Path
) -> None:
    absolute = tmp_path / "absolute.png"
    names = [
        "../out.png",
        "a/../../out.png",
        str(absolute),
        "..\\out.png",
        "C:\\out.png",
        "C:/out.png",
        "//host/share/out.png",
    ]
    before = sorted(tmp_path.rglob("*"))
    path = make(tmp_path / "evil", [*((name, picture()) for name in names), ("a.png", picture())])
    found = listed(path)
    assert len(found) == len(names) + 1
    assert [image.error for image in found[:-1]] == [
        "its name leads out of the archive",
        "its name leads out of the archive",
        "its name is an absolute path",
        "its name leads out of the archive",
        "its name is an absolute path",
        "its name is an absolute path",
        "its name is an absolute path",
    ]
    assert found[-1].error == ""
    new = [each for each in sorted(tmp_path.rglob("*")) if each not in before and each != path]
    assert all((tmp_path / "work" / "images") in (each, *each.parents) for each in new)
    assert len(unpacked()) == 1


def test_links_and_other_kinds_in_a_tar(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(picture())
    path = tmp_path / "a.tar"
    kinds = {
        "link.png": tarfile.SYMTYPE,
        "hard.png": tarfile.LNKTYPE,
        "pipe.png": tarfile.FIFOTYPE,
        "disk.png": tarfile.BLKTYPE,
        "screen.png": tarfile.CHRTYPE,
    }
    with tarfile.open(path, "w") as archive:
        for name, kind in kinds.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(tmp_path / "secret")
            archive.addfile(info)
        info = tarfile.TarInfo("a.png")
        info.size = len(picture())
        archive.addfile(info, io.BytesIO(picture()))
    assert errors(path) == {
        "link.png": "a link, not followed",
        "hard.png": "a link, not followed",
        "pipe.png": "not a regular file",
        "disk.png": "not a regular file",
        "screen.png": "not a regular file",
        "a.png": "",
    }


def test_links_and_other_kinds_in_a_zip(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, kind in (("link.png", stat.S_IFLNK), ("pipe.png", stat.S_IFIFO)):
            info = zipfile.ZipInfo(name)
            info.external_attr = (kind | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
        archive.writestr("a.png", picture())
    assert errors(path) == {
        "link.png": "a link, not followed",
        "pipe.png": "not a regular file",
        "a.png": "",
    }


def test_a_name_that_comes_up_twice(tmp_path: Path) -> None:
    for make in (make_zip, make_tar):
        path = make(tmp_path / "a", [("a.png", picture(1)), ("./a.png", picture(2))])
        first, second = listed(path)
        assert first.error == ""
        assert second.error == "the name comes up twice in the archive"
        assert load_rgb(path_from_text(first.path))[0, 0, 0] == 1


def test_members_without_a_name(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", [("x.png", picture(1)), (".", picture(2))])
    data = path.read_bytes()  # zipfile cuts names at a NUL
    path.write_bytes(data.replace(b"x.png", b"\0.png"))
    assert [image.error for image in listed(path)] == ["it has no name"] * 2
    path = make_tar(tmp_path / "a.tar", [("", picture()), (".", picture()), ("a.png", picture())])
    assert [image.error for image in listed(path)] == ["it has no name", "it has no name", ""]


@pytest.mark.parametrize("name", MAKERS)
def test_what_is_no_picture_is_a_row_and_no_file(name: str, tmp_path: Path) -> None:
    nested = make_tar(tmp_path / "n.tar", [("b.png", picture())], "w:gz").read_bytes()
    entries = [
        ("letter.txt", b"hello"),
        ("zero.png", b""),
        ("half.png", picture()[:20]),
        ("inside.tgz", nested),
        ("a.png", picture()),
    ]
    assert errors(MAKERS[name](tmp_path / name, entries)) == {
        "letter.txt": "not an image",
        "zero.png": "zero bytes",
        "half.png": "truncated or damaged",
        "inside.tgz": container.NESTED,
        "a.png": "",
    }
    assert len(unpacked()) == 1


def test_encrypted_and_strange_members_of_a_zip(tmp_path: Path) -> None:
    entries = [("locked.png", picture()), ("odd.png", picture()), ("a.png", picture())]
    path = make_zip(tmp_path / "a.zip", entries, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    for number, offset, value in ((0, 8, 1), (1, 10, 9)):  # flag "encrypted"; method Deflate64
        at = -1
        for _ in range(number + 1):
            at = data.index(b"PK\x01\x02", at + 1)
        data[at + offset] = value
    path.write_bytes(data)
    assert errors(path) == {
        "locked.png": "encrypted",
        "odd.png": "compressed in a way that is not supported (method 9)",
        "a.png": "",
    }


def test_a_damaged_member_of_a_zip(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", [("bad.png", picture(1)), ("a.png", picture(2))])
    data = bytearray(path.read_bytes())
    data[data.index(b"bad.png") + 7 + 40] ^= 0xFF
    path.write_bytes(data)
    found = errors(path)
    assert found["bad.png"].startswith("truncated or damaged in the archive: ")
    assert found["a.png"] == ""
    assert not list(Path("images").rglob("*.tmp"))


def test_bombs_in_a_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "RATIO_ALLOWANCE", 100_000)
    zeros = bytes(1_000_000)
    entries = [("bomb.png", zeros), ("a.png", picture())]
    reasons = errors(make_zip(tmp_path / "a.zip", entries))
    assert reasons["bomb.png"] == "would unpack to over 200 times its size: taken for a bomb"
    assert reasons["a.png"] == ""
    # Many members, none of them a bomb by itself.
    small = [(f"{number}.png", bytes(90_000)) for number in range(9)]
    reasons = errors(make_zip(tmp_path / "b.zip", small))
    assert "taken for a bomb and not read from" in reasons["b.zip"]
    assert len(reasons) < 9


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_bombs_in_a_tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setattr(containers, "RATIO_ALLOWANCE", 100_000)
    entries = [("a.png", picture()), ("bomb.png", bytes(4_000_000)), ("b.png", picture())]
    path = make_tar(tmp_path / "a.tar", entries, mode)
    assert errors(path) == {
        "a.png": "",
        "a.tar": "would unpack to over 200 times its size: taken for a bomb and not read "
        "from bomb.png on",
    }


def test_what_is_packed_is_never_unpacked_in_one_go(tmp_path: Path) -> None:
    """50 MB of zeros in a few bytes of bzip2: tarfile by itself takes 150 MB for them."""
    bomb = tmp_path / "a.tar.bz2"
    bomb.write_bytes(bz2.compress(bytes(50 << 20)))
    lie = make_zip(tmp_path / "a.zip", [("a.png", bytes(1 << 20))], zipfile.ZIP_BZIP2)
    tracemalloc.start()
    try:
        errors(bomb)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    assert errors(lie) == {"a.png": "compressed in a way that is not supported (method 12)"}


def test_limits_of_size_and_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_MEMBER_BYTES", 5000)
    monkeypatch.setattr(containers, "MAX_MEMBERS", 3)
    entries = [("large.png", bytes(6000)), *((f"{n}.png", picture(n)) for n in range(4))]
    for make in (make_zip, make_tar):
        assert errors(make(tmp_path / "a", entries)) == {
            "large.png": "too large: 0.0 GB, limit 0.0 GB",
            "0.png": "",
            "1.png": "",
            "a": "more than 3 members: the rest is not read",
        }


def test_a_sparse_member_is_not_blown_up(tmp_path: Path) -> None:
    info = tarfile.TarInfo("sparse.png")
    info.size, info.type = 0, tarfile.GNUTYPE_SPARSE
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"77777777777\0"  # real size: 8 GB
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    good = make_tar(tmp_path / "good.tar", [("a.png", picture())]).read_bytes()
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(header) + good)
    assert errors(path) == {"sparse.png": "a sparse file, not read", "a.png": ""}


def test_a_name_as_long_as_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 50 << 30
    good = make_tar(tmp_path / "good.tar", [("a.png", picture())]).read_bytes()
    path = tmp_path / "a.tar"
    path.write_bytes(good[:1024] + info.tobuf(tarfile.GNU_FORMAT))
    assert errors(path) == {
        "a.png": "",
        "a.tar": f"the archive is cut off or damaged: a name of {50 << 30} bytes",
    }


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_name_that_no_file_could_have(
    make: Callable[[Path, list[Entry]], Path], tmp_path: Path
) -> None:
    names = ["x" * 60_000 + ".png", "x" * 60_001 + ".png", "\n" * 60_000, "y/" * 2000 + "a.png"]
    found = listed(make(tmp_path / "a", [(name, picture()) for name in names]))
    assert [image.error for image in found] == [
        "its name is too long: 60004 characters",
        "its name is too long: 60005 characters",
        "its name is too long: 60000 characters",
        "",
    ]
    assert len({image.id for image in found}) == len(names)
    assert all(len(image.path) < 20_000 > len(image.original_name) for image in found)


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_hostile_names(make: Callable[[Path, list[Entry]], Path], tmp_path: Path) -> None:
    names = ["new\nline.png", "-rf.png", "$(touch hacked).png", "quo\"te',;.png", "a.png[page=1]"]
    images = listed(make(tmp_path / "a", [(name, picture(t)) for t, name in enumerate(names)]))
    assert [path_from_text(image.original_name).as_posix() for image in images] == names
    assert [image.error for image in images] == [""] * len(names)
    assert len({path_from_text(image.path).read_bytes() for image in images}) == len(names)


def test_headers_upon_headers(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type = tarfile.XHDTYPE
    good = make_tar(tmp_path / "good.tar", [("a.png", picture())]).read_bytes()
    path = tmp_path / "a.tar"
    path.write_bytes(good[:1024] + info.tobuf(tarfile.USTAR_FORMAT) * 5000)
    found = errors(path)
    assert found["a.png"] == ""
    assert found["a.tar"].startswith("the archive is cut off or damaged: ")


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz"])
def test_a_tar_that_is_cut_off_keeps_what_came_before(name: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
    entries = [(f"{number}.png", png_bytes(noise + number)) for number in range(20)]
    whole = MAKERS[name](tmp_path / "whole", entries).read_bytes()
    path = tmp_path / name
    for share in (0.4, 0.6, 0.85):
        path.write_bytes(whole[: int(len(whole) * share)])
        found = errors(path)
        assert found[name].startswith("the archive is cut off or damaged: ")
        good = [each for each, error in found.items() if not error]
        assert good == [entry[0] for entry in entries[: len(good)]]
        # bzip2 and xz hand out what they unpack in blocks.
        assert len(good) >= (0 if name.endswith(("bz2", "xz")) else 6)


def test_a_plain_tar_cut_between_members_or_damaged_in_a_header(tmp_path: Path) -> None:
    entries = [("a.png", picture(1)), ("b.png", picture(2))]
    whole = make_tar(tmp_path / "whole", entries).read_bytes()
    path = tmp_path / "a.tar"
    path.write_bytes(whole[:1024])
    ended = "the archive is cut off or damaged: it has no end mark"
    assert errors(path) == {"a.png": "", "a.tar": ended}
    path.write_bytes(whole[:1024] + b"\xff" * 512 + whole[1536:])
    assert errors(path) == {"a.png": "", "a.tar": ended}


def test_a_zip_that_is_cut_off(tmp_path: Path) -> None:
    whole = make_zip(tmp_path / "whole", [("a.png", picture())]).read_bytes()
    path = tmp_path / "a.zip"
    path.write_bytes(whole[: len(whole) // 2])
    assert list(errors(path)) == ["a.zip"]
    assert errors(path)["a.zip"].startswith("the archive is cut off or damaged: ")
    path.write_bytes(b"")
    assert errors(path) == {"a.zip": "the archive is cut off or damaged: empty file"}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_flipped_bytes_never_stop_a_listing(name: str, tmp_path: Path) -> None:
    entries = [(f"{number}.png", picture(number)) for number in range(5)]
    whole = MAKERS[name](tmp_path / "whole", entries).read_bytes()
    path = tmp_path / name
    generator = np.random.default_rng(0)
    for _ in range(30):
        data = bytearray(whole)
        for place in generator.integers(4, len(data), 3):
            data[place] = generator.integers(256)
        path.write_bytes(data)
        try:
            found = listed(path)
        except StageError as fault:
            assert "neither a folder nor a zip or tar" in str(fault)  # noqa: PT017
            continue
        assert found
        for image in found:
            if not image.error:
                content = path_from_text(image.path).read_bytes()
                assert hashlib.sha256(content).hexdigest() == image.sha256


def test_names_of_any_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", encoding="utf-8", errors="surrogateescape") as archive:
        for name in (b"caf\xe9.png", b"new\nline.png", b"50%.png"):
            info = tarfile.TarInfo(os.fsdecode(name))
            info.size = len(picture())
            archive.addfile(info, io.BytesIO(picture()))
    assert errors(path) == {"caf%E9.png": "", "new%0Aline.png": "", "50%25.png": ""}


def test_what_is_no_container_is_refused(tmp_path: Path) -> None:
    for name, content in {
        "a.png": picture(),
        "a.txt": b"hello",
        "empty": b"",
        "zeros": bytes(4096),
        "one.gz": gzip.compress(picture()),
        "one.bz2": bz2.compress(picture()),
        "one.xz": lzma.compress(picture()),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(StageError, match="neither a folder nor a zip or tar"):
            listed(tmp_path / name)


def test_a_full_disk_is_no_fault_of_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_zip(tmp_path / "a.zip", [("a.png", picture())])

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        listed(path)
