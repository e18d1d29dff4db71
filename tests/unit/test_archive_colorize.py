"""Derivatives of whole archives: formats, metadata, and what each faulty file gets."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import pyvips

from archive_room import (
    contents,
    fake_model,
    grey,
    make_scans,
    pillow_bytes,
    read,
    run,
    save,
    sidecar,
)
from photochrom.archive.plan import NAMING
from photochrom.archive.provenance import Settings
from photochrom.archive.xmp import DIGITAL_SOURCE_TYPES, SOURCE_TYPES
from photochrom.color import rgb_to_lab
from photochrom.images import load_lightness, open_image, path_from_text
from photochrom.runtime import sha256_file

SOURCE_TYPE = DIGITAL_SOURCE_TYPES + SOURCE_TYPES[0]


def colour_picture(height: int = 60, width: int = 80) -> np.ndarray:
    """Every hue: nobody would take it for a toned print."""
    red, green = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([red, green, 255 - red], axis=-1).astype(np.uint8)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    return make_scans(tmp_path / "scans")


def test_every_format_keeps_size_depth_and_lightness(scans: Path, tmp_path: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in scans.rglob("*.*")}
    out = tmp_path / "out"
    statuses = run(scans, out)
    assert {row.path: (row.status, row.output) for row in statuses.values()} == {
        "a.jpg": ("done", "a.colorized.jpg"),
        "b/c.png": ("done", "b/c.colorized.png"),
        "b/d.tif": ("done", "b/d.colorized.tif"),
        "e.webp": ("done", "e.colorized.webp"),
    }
    for row in statuses.values():
        source, made = read(scans / row.path), read(out / row.output)
        assert made.get("vips-loader") == source.get("vips-loader")
        assert (made.width, made.height) == (source.width, source.height)
        assert (made.bands, made.format) == (3, source.format)
        deep = source.format == "ushort"
        assert float(row.max_dL) <= (0.05 if deep else 0.5)
        assert float(row.mean_dL) <= float(row.max_dL)
        L = load_lightness(open_image(scans / row.path))
        lab = rgb_to_lab(made.numpy() / (65535.0 if deep else 255.0))
        assert np.hypot(lab[..., 1], lab[..., 2]).mean() > 5
        off = np.abs(lab[..., 0] - L).max()
        if row.path != "a.jpg":  # JPEG loses more in its coding
            assert off == pytest.approx(float(row.max_dL), abs=2e-3)
        record = sidecar(out, row)
        assert record["output"]["sha256"] == row.output_sha256 == sha256_file(out / row.output)
        assert record["key"]["original_sha256"] == row.source_sha256
        assert record["key"]["model_sha256"] == row.model_sha256 == "d" * 64
        assert str(tmp_path) not in (out / row.sidecar).read_text()
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in scans.rglob("*.*")}
    assert after == before


def test_originals_need_no_write_permission_and_are_opened_for_reading_only(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[str, int]] = []
    real = os.open

    def watched(path: str, flags: int, *rest: int, **options: int) -> int:
        opened.append((os.fspath(path), flags))
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", watched)
    for path in scans.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert {row.status for row in run(scans, tmp_path / "out").values()} == {"done"}
    flags = [flags for path, flags in opened if str(path).startswith(str(scans))]
    assert flags
    assert all(flag & os.O_ACCMODE == os.O_RDONLY for flag in flags)


def test_equal_runs_give_equal_bytes(scans: Path, tmp_path: Path) -> None:
    run(scans, tmp_path / "one")
    run(scans, tmp_path / "two", threads=3)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one == two
    assert len(one) == 12


def resolution(path: Path) -> list[float]:
    """The tags XResolution, YResolution and ResolutionUnit as Pillow reads them."""
    from PIL import Image

    with Image.open(path) as image:
        tags = image.getexif()
        return [float(tags[tag]) for tag in (282, 283, 296)]


@pytest.mark.parametrize(
    ("options", "dpi"),
    [({"resunit": "inch"}, 600), ({"resunit": "cm"}, 400), ({"resunit": "inch"}, 72)],
)
def test_tiff_keeps_its_resolution_tags(tmp_path: Path, options: dict, dpi: int) -> None:
    path = tmp_path / "scans" / "a.tif"
    image = pyvips.Image.new_from_array(grey(20, 20, bits=16)).copy(
        interpretation="grey16", xres=dpi / 25.4, yres=dpi / 25.4
    )
    path.parent.mkdir()
    image.tiffsave(str(path), **options)
    statuses = run(path.parent, tmp_path / "out")
    was, made = (resolution(name) for name in (path, tmp_path / "out" / statuses["a.tif"].output))
    assert made == pytest.approx(was, rel=1e-5)  # rationals, so rounded


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_a_derivative_is_upright_says_what_it_is_and_keeps_metadata(
    tmp_path: Path, suffix: str
) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn right
    exif[0x010E] = "The mill at dusk"
    exif[0x013B] = "Jane Doe"
    exif.get_ifd(0x8769)[0x9003] = "1931:05:06 07:08:09"
    (tmp_path / "scans").mkdir()
    path = tmp_path / "scans" / "mill.jpg"
    path.write_bytes(pillow_bytes(grey(40, 24), exif=exif, dpi=(600, 600)))
    if suffix in (".png", ".webp"):  # as a camera or a converter would hand it on
        image = read(path)
        path.unlink()
        path = path.with_suffix(suffix)
        path.write_bytes(image.write_to_buffer(suffix))
    settings = Settings("tiff") if suffix == ".tif" else Settings()
    row = run(tmp_path / "scans", tmp_path / "out", settings=settings)[path.name]
    made = read(tmp_path / "out" / row.output)
    assert (made.width, made.height) == (40, 24)
    assert made.get("orientation") == 1 if made.get_typeof("orientation") else True
    assert SOURCE_TYPE.encode() in made.get("xmp-data")
    assert row.source_sha256.encode() in made.get("xmp-data")
    assert b"sRGB" in made.get("icc-profile-data") or b"s\0R\0G\0B" in made.get("icc-profile-data")
    if suffix != ".webp":  # which has no place for it
        assert made.xres == pytest.approx(600 / 25.4, rel=1e-4)
    if suffix != ".tif":
        with Image.open(tmp_path / "out" / row.output) as image:
            kept = image.getexif()
            assert kept[0x0112] == 1
            assert kept[0x010E] == "The mill at dusk"
            assert kept[0x013B] == "Jane Doe"
            assert kept.get_ifd(0x8769)[0x9003] == "1931:05:06 07:08:09"
            assert kept.get_ifd(0x8769)[0xA001] == 1  # sRGB
    assert sidecar(tmp_path / "out", row)["digital_source_type"] == SOURCE_TYPE


def test_transparency_is_kept(tmp_path: Path) -> None:
    alpha = np.tile(np.linspace(0, 255, 30).astype(np.uint8), (20, 1))
    save(tmp_path / "scans" / "la.png", np.stack([grey(20, 30), alpha], -1))
    deep = np.stack([grey(20, 30, bits=16), alpha.astype(np.uint16) * 257], -1)
    image = pyvips.Image.new_from_array(deep).copy(interpretation="grey16")
    (tmp_path / "scans" / "deep.tif").write_bytes(image.write_to_buffer(".tif"))
    statuses = run(tmp_path / "scans", tmp_path / "out")
    assert {row.status for row in statuses.values()} == {"done"}
    made = read(tmp_path / "out" / statuses["la.png"].output).numpy()
    assert np.array_equal(made[..., 3], alpha)
    made = read(tmp_path / "out" / statuses["deep.tif"].output).numpy()
    assert made.dtype == np.uint16
    assert np.array_equal(made[..., 3], deep[..., 1])
    assert float(statuses["la.png"].max_dL) <= 0.5
    row = run(tmp_path / "scans", tmp_path / "jpeg", settings=Settings("jpeg"))["deep.tif"]
    assert row.status == "done-with-warning"
    assert row.reason == (
        "16 bits became 8, more than which JPEG does not hold; "
        "its transparency was left out, which JPEG does not hold"
    )


def test_faults_are_rows_and_the_rest_goes_on(tmp_path: Path) -> None:
    archive = tmp_path / "scans"
    good = save(archive / "good.jpg", grey(40, 60))
    tiff = save(archive / "whole.tif", grey(50, 50), compression="deflate")
    (archive / "cut.jpg").write_bytes(good.read_bytes()[:-400])
    (archive / "cut.tif").write_bytes(tiff.read_bytes()[:1500])
    (archive / "empty.jpg").touch()
    (archive / "text.jpg").write_text("no picture")
    (archive / "readme.txt").write_text("about these scans")
    (archive / "list.pdf").write_bytes(b"%PDF-1.7 ...")
    (archive / "old.jp2").write_bytes(b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(60))
    (archive / "renamed.dat").write_bytes(save(tmp_path / "r.png", grey(9, 9)).read_bytes())
    os.mkfifo(archive / "pipe.jpg")
    (archive / "self.jpg").symlink_to("self.jpg")
    (archive / "loop").symlink_to(".", target_is_directory=True)
    save(archive / "colour.png", colour_picture())
    save(archive / "grey-as-rgb.png", np.repeat(grey(20, 20)[..., None], 3, 2))
    pages = pyvips.Image.arrayjoin([pyvips.Image.new_from_array(grey(8, 8))] * 3, across=1)
    pages.tiffsave(str(archive / "pages.tif"), page_height=8)
    statuses = run(archive, tmp_path / "out")
    assert {path: (row.status, row.reason) for path, row in statuses.items()} == {
        "good.jpg": ("done", ""),
        "whole.tif": ("done", ""),
        "cut.jpg": ("failed", "truncated or damaged"),
        "cut.tif": ("failed", statuses["cut.tif"].reason),
        "empty.jpg": ("failed", "zero bytes"),
        "text.jpg": ("failed", "not an image"),
        "readme.txt": ("skipped", "not an image"),
        "list.pdf": ("skipped", "format not supported: PDF"),
        "old.jp2": ("failed", "truncated or damaged"),
        "renamed.dat": ("done", ""),
        "pipe.jpg": ("failed", "not a regular file"),
        "self.jpg": ("failed", "unreadable: too many levels of symbolic links"),
        "loop": ("skipped", "a link to a folder, not followed"),
        "colour.png": ("skipped", statuses["colour.png"].reason),
        "grey-as-rgb.png": ("done", ""),
        "pages.tif": ("skipped", "multi-page: 3 pages or frames"),
    }
    assert re.fullmatch(r"already in colour \(deviation \d+\.\d\)", statuses["colour.png"].reason)
    assert statuses["renamed.dat"].output == "renamed.colorized.png"
    made = {row.output for row in statuses.values() if row.output}
    beside = {f"{name}.{end}" for name in made for end in ("json", "uncertainty.png")}
    assert set(contents(tmp_path / "out")) == made | beside


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_a_file_cut_anywhere_never_gives_a_derivative(tmp_path: Path, suffix: str) -> None:
    whole = save(tmp_path / f"whole{suffix}", grey(60, 60)).read_bytes()
    archive = tmp_path / "scans"
    archive.mkdir()
    for index, share in enumerate(np.linspace(0.02, 0.97, 12)):
        (archive / f"{index}{suffix}").write_bytes(whole[: int(len(whole) * share)])
    statuses = run(archive, tmp_path / "out")
    assert {row.status for row in statuses.values()} == {"failed"}
    assert not (tmp_path / "out").exists()


def test_hostile_names_come_through(tmp_path: Path) -> None:
    archive = tmp_path / "scans"
    names = [
        *(b"\xff\xfe.jpg", b"new\nline.jpg", b"-rf.jpg", b"'\"$(x)`.jpg", b"100%.jpg", b"n" * 250),
        *("\u202egpj.png".encode(), b"\xff" * 200 + b"/" + b"\xfe" * 200),
    ]
    for index, name in enumerate(names):
        path = archive / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(save(tmp_path / "x.jpg", grey(9, 9, seed=index)).read_bytes())
    statuses = run(archive, tmp_path / "out")
    assert {os.fsencode(path_from_text(path)) for path in statuses} == set(names)
    for row in statuses.values():
        assert row.status == "done"
        made = tmp_path / "out" / path_from_text(row.output)
        assert sha256_file(made) == row.output_sha256
        assert (tmp_path / "out" / path_from_text(row.sidecar)).is_file()
        assert str(made).isprintable()


def test_a_collision_of_names_is_said_in_status_and_sidecar(tmp_path: Path) -> None:
    archive, out = tmp_path / "scans", tmp_path / "out"
    for seed, name in enumerate(("a.png", "b.jpg", "copy.png", "other.png")):
        save(archive / name, grey(20, 20, seed=seed))
    (archive / "other.png").rename(archive / "a.dat")
    for name in ("Copy.png", "copy again.png"):  # of the same content as copy.png
        (archive / name).write_bytes((archive / "copy.png").read_bytes())
    rows = run(archive, out)
    for name, level in (("a.png", 1), ("a.dat", 1), ("b.jpg", 0), ("copy.png", 2)):
        assert rows[name].status == "done"
        assert NAMING[level] in rows[name].reason
        assert sidecar(out, rows[name])["notes"] == [NAMING[level]] * bool(level)
    assert sidecar(out, rows["copy again.png"])["notes"] == []
    assert "same file as" in rows["copy again.png"].reason


def test_tiny_and_thin_pictures_keep_their_size(tmp_path: Path) -> None:
    for height, width in ((1, 1), (1, 7), (900, 1), (2, 3000)):
        save(tmp_path / "scans" / f"{height}x{width}.png", grey(height, width))
    for row in run(tmp_path / "scans", tmp_path / "out").values():
        made = read(tmp_path / "out" / row.output)
        assert f"{made.height}x{made.width}.png" == row.path


def test_pictures_left_grey_are_pointed_out(tmp_path: Path) -> None:
    save(tmp_path / "scans" / "a.png", grey(9, 9))
    row = run(tmp_path / "scans", tmp_path / "out", model=fake_model(strength=0.001))["a.png"]
    assert row.status == "done-with-warning"
    assert row.reason.startswith("hardly any colour")


def test_a_profile_that_does_not_fit_is_pointed_out(tmp_path: Path) -> None:
    colours = np.repeat(grey(20, 20)[..., None], 3, 2)
    srgb = pyvips.Image.new_from_array(colours).copy(interpretation="srgb")
    profile = read(save(tmp_path / "srgb.png", srgb.numpy(), profile="srgb")).get(
        "icc-profile-data"
    )
    (tmp_path / "scans").mkdir()
    for name, pixels, icc in (
        ("good.jpg", colours, profile),
        ("cut.jpg", colours, profile[:200]),
        ("garbage.jpg", colours, b"garbage" * 40),
        ("of-colour-on-grey.jpg", grey(20, 20), profile),
    ):
        (tmp_path / "scans" / name).write_bytes(pillow_bytes(pixels, icc_profile=icc))
    statuses = run(tmp_path / "scans", tmp_path / "out")
    assert statuses.pop("good.jpg").status == "done"
    assert {(row.status, row.reason) for row in statuses.values()} == {
        ("done-with-warning", "its colour profile cannot be used and was ignored")
    }


def test_xmp_that_cannot_be_kept_is_pointed_out(tmp_path: Path) -> None:
    image = pyvips.Image.new_from_array(grey(20, 20)).copy()
    image.set_type(pyvips.GValue.blob_type, "xmp-data", b"<x")
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.png").write_bytes(image.write_to_buffer(".png"))
    row = run(tmp_path / "scans", tmp_path / "out")["a.png"]
    assert (row.status, row.reason) == (
        "done-with-warning",
        "its XMP cannot be read and was left out",
    )
    assert SOURCE_TYPE.encode() in read(tmp_path / "out" / row.output).get("xmp-data")
