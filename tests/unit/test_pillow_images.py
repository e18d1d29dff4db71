"""JPEG 2000, HEIC and CIELab TIFF: the samples of a reference, or one clear reason."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms

from archive_room import run
from photochrom.images import ImageError, load_lightness, load_rgb, open_image
from photochrom.pillow_images import jp2_depths

GREY = np.linspace(0, 255, 48 * 64).reshape(48, 64).astype(np.uint8)
RGB = np.stack([GREY, GREY[::-1] // 2, np.full_like(GREY, 90)], axis=-1)
DEEP = np.linspace(0, 65535, 48 * 64).reshape(48, 64).astype(np.uint16)


def jp2(path: Path, picture: Image.Image) -> Path:
    picture.save(path, "JPEG2000", irreversible=False)
    return path


def heic(path: Path, picture: Image.Image, **options: object) -> Path:
    pillow_heif.from_pillow(picture).save(path, quality=-1, chroma=444, **options)
    return path


@pytest.mark.parametrize("suffix", ["jp2", "j2k", "jpg"])  # a name decides nothing
def test_jpeg_2000_comes_back_exactly(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    jp2(path, Image.fromarray(RGB))
    np.testing.assert_array_equal(load_rgb(path), RGB)
    jp2(path, Image.fromarray(GREY))
    np.testing.assert_array_equal(load_rgb(path), np.dstack([GREY] * 3))


def test_sixteen_bit_jpeg_2000_keeps_its_bits(tmp_path: Path) -> None:
    picture = open_image(jp2(tmp_path / "deep.jp2", Image.fromarray(DEEP)))
    assert picture.format == "ushort"
    np.testing.assert_array_equal(picture.numpy(), DEEP)


def test_jpeg_2000_with_alpha(tmp_path: Path) -> None:
    half = np.dstack([np.full_like(RGB, 100), np.full_like(GREY, 128)])
    path = jp2(tmp_path / "a.jp2", Image.fromarray(half))
    assert open_image(path).bands == 4
    assert abs(int(load_rgb(path)[0, 0, 0]) - (100 * 128 + 255 * 127) / 255) <= 1


def test_deep_colour_that_would_lose_its_depth_is_refused(tmp_path: Path) -> None:
    data = bytearray(jp2(tmp_path / "a.jp2", Image.fromarray(RGB)).read_bytes())
    depths = data.index(b"\xff\x4f\xff\x51") + 42
    data[depths : depths + 9 : 3] = bytes([15, 15, 15])
    (tmp_path / "a.jp2").write_bytes(data)
    assert jp2_depths(bytes(data)) == [16, 16, 16]
    with pytest.raises(ImageError, match="3 x 16 bits; convert it to TIFF"):
        open_image(tmp_path / "a.jp2")


def test_heic_is_close_and_upright(tmp_path: Path) -> None:
    path = heic(tmp_path / "a.heic", Image.fromarray(GREY).convert("RGB"))
    assert np.abs(load_rgb(path).astype(int) - GREY[..., None]).max() <= 3
    # As cameras do it: the file's own property turns it, and EXIF says so once more.
    turned = Image.fromarray(GREY[:, :32]).convert("RGB")
    exif = turned.getexif()
    exif[0x112] = 6
    pillow_heif.register_heif_opener()  # the writer that turns such a property out of EXIF
    turned.save(tmp_path / "turned.heic", quality=-1, chroma=444, exif=exif.tobytes())
    loaded = load_rgb(tmp_path / "turned.heic")
    assert loaded.shape == (32, 48, 3)
    expected = np.rot90(GREY[:, :32], -1)
    assert np.abs(loaded[..., 0].astype(int) - expected).max() <= 3


@pytest.mark.parametrize("name", ["a.jp2", "a.heic"])
def test_cut_off_files_are_refused(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = (jp2 if name == "a.jp2" else heic)(tmp_path / name, Image.fromarray(noise))
    whole = path.read_bytes()
    for size in np.linspace(12, len(whole) - 40, 25).astype(int):
        path.write_bytes(whole[:size])
        with pytest.raises(ImageError, match="truncated or damaged"):
            load_rgb(path)


@pytest.mark.parametrize("name", ["a.jp2", "a.heic", "a.tif"])
def test_the_header_alone_refuses_too_many_pixels(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.tif":
        tifffile.imwrite(path, RGB, photometric="cielab")
    else:
        (jp2 if name == "a.jp2" else heic)(path, Image.fromarray(RGB))
    with pytest.raises(ImageError, match="too large"):
        open_image(path, max_pixels=3000)


def test_a_heic_of_several_pictures_is_not_one(tmp_path: Path) -> None:
    container = pillow_heif.from_pillow(Image.fromarray(RGB))
    container.add_from_pillow(Image.fromarray(RGB[::-1]))
    container.save(tmp_path / "a.heic")
    with pytest.raises(ImageError, match="multi-page: 2"):
        open_image(tmp_path / "a.heic")


def test_lab_tiff_keeps_its_lightness(tmp_path: Path) -> None:
    lab = np.zeros((48, 64, 3), np.uint8)
    lab[..., 0] = GREY  # a* and b* are signed bytes: 0 is neutral
    tifffile.imwrite(tmp_path / "a.tif", lab, photometric="cielab")
    picture = open_image(tmp_path / "a.tif")
    assert np.abs(load_lightness(picture) - GREY / 2.55).max() < 0.01
    lab[..., 1], lab[..., 2] = 20, 256 - 30
    lab[..., 0] = 140
    tifffile.imwrite(tmp_path / "b.tif", lab, photometric="cielab")
    from skimage.color import rgb2lab

    seen = rgb2lab(load_rgb(tmp_path / "b.tif") / 255)[0, 0]
    np.testing.assert_allclose(seen, [140 / 2.55, 20, -30], atol=0.5)


def test_deep_lab_tiff_keeps_its_lightness(tmp_path: Path) -> None:
    lab = np.dstack([DEEP, 0 * DEEP, 0 * DEEP])
    tifffile.imwrite(tmp_path / "a.tif", lab, photometric="cielab")
    picture = open_image(tmp_path / "a.tif")
    assert picture.format == "ushort"
    assert np.abs(load_lightness(picture) - DEEP / 655.35).max() < 0.02


def test_lab_tiff_written_by_another_program_and_compressed(tmp_path: Path) -> None:
    lab = ImageCms.profileToProfile(
        Image.fromarray(RGB),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    assert lab is not None
    lab.save(tmp_path / "a.tif", compression="tiff_lzw")
    # 8 bits of a* and b* are steps of one unit, which is up to a few levels of sRGB.
    assert np.abs(load_rgb(tmp_path / "a.tif").astype(int) - RGB).mean() < 3


def test_a_profile_travels(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    file = BytesIO()
    Image.fromarray(RGB).save(file, "PNG", icc_profile=profile)
    path = heic(tmp_path / "a.heic", Image.open(file))
    assert open_image(path).get("icc-profile-data") == profile


def test_heic_of_more_than_eight_bits_becomes_sixteen(tmp_path: Path) -> None:
    deep = np.dstack([DEEP] * 3)
    path = tmp_path / "a.heic"
    pillow_heif.encode("RGB;16", (64, 48), deep.tobytes(), path, quality=-1, chroma=444)
    picture = open_image(path)
    assert picture.format == "ushort"
    # 10 or 12 bits coded: a step of 10 bits is 64, and HEVC loses a few of them.
    assert np.abs(picture.numpy().astype(int) - deep).max() <= 256


def test_lab_tiffs_of_floating_point_keep_their_lightness(tmp_path: Path) -> None:
    """libvips writes 32-bit floats when it is given Lab."""
    lab = np.zeros((48, 64, 3), np.float32)
    lab[..., 0] = np.linspace(0, 100, 48 * 64).reshape(48, 64)
    for name, place, value in (
        ("good", (0, 0), 0),
        ("broken", (1, 1), np.nan),
        ("dark", (0, 0), -9),
        ("wild", (1, 1), 300),
    ):
        lab[3, 5][list(place)] = value
        picture = pyvips.Image.new_from_array(lab).copy(interpretation="lab")
        picture.tiffsave(str(tmp_path / f"{name}.tif"))
        lab[3, 5, 1] = 0
    lab[3, 5, 0] = 0
    lightness = load_lightness(open_image(tmp_path / "good.tif"))
    np.testing.assert_allclose(lightness, lab[..., 0], atol=0.01)
    for name, says in (
        ("broken", "a sample is not a finite number"),
        ("dark", "L* outside 0..100 (-9 to 100)"),
        ("wild", "Lab values outside -128..128 (-9 to 300)"),
    ):
        with pytest.raises(ImageError) as caught:
            open_image(tmp_path / f"{name}.tif")
        assert caught.value.reason == says


def test_they_are_colorized_beside_the_others(tmp_path: Path) -> None:
    archive = tmp_path / "scans"
    archive.mkdir()
    exif = Image.Exif()
    exif[0x13B] = "A. Photographer"
    jp2(archive / "deep.jp2", Image.fromarray(DEEP))
    pillow_heif.register_heif_opener()
    Image.fromarray(GREY).convert("RGB").save(archive / "phone.heic", exif=exif.tobytes())
    tifffile.imwrite(
        archive / "lab.tif", np.dstack([GREY, 0 * GREY, 0 * GREY]), photometric="cielab"
    )
    (archive / "cut.heic").write_bytes((archive / "phone.heic").read_bytes()[:300])
    before = {path: path.read_bytes() for path in archive.iterdir()}
    rows = run(archive, tmp_path / "out")
    assert {path: row.status for path, row in rows.items()} == {
        "deep.jp2": "done",
        "phone.heic": "done",
        "lab.tif": "done",
        "cut.heic": "failed",
    }
    assert rows["cut.heic"].reason == "truncated or damaged"
    assert rows["deep.jp2"].reason == "written as PNG: derivatives cannot be JPEG 2000"
    assert rows["phone.heic"].reason == "written as PNG: derivatives cannot be HEIC or AVIF"
    assert rows["lab.tif"].reason == ""
    assert open_image(tmp_path / "out" / rows["deep.jp2"].output).format == "ushort"
    assert float(rows["deep.jp2"].max_dL) <= 0.05
    assert float(rows["lab.tif"].max_dL) <= 0.05
    assert float(rows["phone.heic"].max_dL) <= 0.5
    assert {path: path.read_bytes() for path in archive.iterdir()} == before
