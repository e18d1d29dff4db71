"""The one image loader on the files that trip decoders."""

import os
import stat
import struct
import threading
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from skimage.color import rgb2lab

from photochrom import color, images
from photochrom.images import ImageError, load_lightness, load_rgb, load_square, open_image
from photochrom.runtime import log

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture(scope="module")
def grey() -> np.ndarray:
    """A ramp over all 256 values, (48, 64)."""
    return np.linspace(0, 255, 48 * 64).reshape(48, 64).astype(np.uint8)


@pytest.fixture(scope="module")
def rgb(grey: np.ndarray) -> np.ndarray:
    """A colour picture that no rotation or flip leaves as it is, (48, 64, 3)."""
    return np.stack([grey, grey[::-1] // 2, grey.T.reshape(48, 64)], axis=-1)


def reason(path: Path, read: Callable[[Path], object] = load_rgb) -> str:
    with pytest.raises(ImageError) as caught:
        read(path)
    return caught.value.reason


def save(path: Path, array: np.ndarray, **options: Any) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def test_plain_pictures_come_back_exactly(
    tmp_path: Path, rgb: np.ndarray, grey: np.ndarray
) -> None:
    np.testing.assert_array_equal(load_rgb(save(tmp_path / "a.png", rgb)), rgb)
    np.testing.assert_array_equal(load_rgb(save(tmp_path / "a.tif", rgb)), rgb)
    np.testing.assert_array_equal(load_rgb(save(tmp_path / "a.webp", rgb, lossless=True)), rgb)
    tripled = np.repeat(grey[..., None], 3, axis=2)
    np.testing.assert_array_equal(load_rgb(save(tmp_path / "g.png", grey)), tripled)
    jpeg = load_rgb(save(tmp_path / "a.jpg", rgb, quality=100, subsampling=0))
    assert np.abs(jpeg.astype(int) - rgb).max() <= 4


def test_the_type_is_found_by_content(tmp_path: Path, rgb: np.ndarray) -> None:
    path = tmp_path / "png.jpg"
    path.write_bytes(save(tmp_path / "a.png", rgb).read_bytes())
    np.testing.assert_array_equal(load_rgb(path), rgb)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_truncated_files_are_refused_wherever_they_are_cut(
    tmp_path: Path, rgb: np.ndarray, suffix: str
) -> None:
    noisy = np.random.default_rng(0).integers(0, 256, (120, 160, 3)).astype(np.uint8)
    whole = save(tmp_path / f"whole.{suffix}", noisy).read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    for share in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97):
        cut.write_bytes(whole[: int(len(whole) * share)])
        assert reason(cut) in ("truncated or damaged", "not an image")
        assert reason(cut, lambda path: load_square(path, 16)) == reason(cut)
    cut.write_bytes(whole[: len(whole) // 2])
    assert reason(cut) == "truncated or damaged"


def test_a_flipped_byte_in_a_png_is_refused(tmp_path: Path, rgb: np.ndarray) -> None:
    data = bytearray(save(tmp_path / "a.png", rgb).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.png").write_bytes(data)
    assert reason(tmp_path / "a.png") == "truncated or damaged"


def test_what_is_no_picture_is_said_to_be_none(tmp_path: Path) -> None:
    texts = {
        "zero.png": b"",
        "text.jpg": b"hello, this is a letter\n" * 50,
        "matrix.tif": b"2 2\n1 2\n3 4\n",
        "a.svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'></svg>",
        "a.pdf": b"%PDF-1.7\n",
        "a.heic": b"\x00\x00\x00\x18ftypheic" + bytes(60),
    }
    for name, data in texts.items():
        (tmp_path / name).write_bytes(data)
    assert {name: reason(tmp_path / name) for name in texts} == {
        "zero.png": "zero bytes",
        "text.jpg": "not an image",
        "matrix.tif": "not an image",
        "a.svg": "format not supported: SVG",
        "a.pdf": "format not supported: PDF",
        "a.heic": "truncated or damaged",
    }


@pytest.mark.parametrize(("suffix", "name"), [("bmp", "BMP"), ("ppm", "PPM")])
def test_pictures_of_other_formats_are_not_said_to_be_none(
    tmp_path: Path, rgb: np.ndarray, suffix: str, name: str
) -> None:
    path = save(tmp_path / f"a.{suffix}", rgb)
    assert reason(path) == f"format not supported: {name}"


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(reason(pipe)), daemon=True)
    reader.start()
    reader.join(timeout=5)
    assert found == ["not a regular file"]
    os.mknod(tmp_path / "socket.png", stat.S_IFSOCK | 0o600)
    assert reason(tmp_path / "socket.png") == "not a regular file"
    assert reason(tmp_path) == "not a regular file"
    assert reason(tmp_path / "none.png") == "unreadable: no such file or directory"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert reason(tmp_path / "loop").startswith("unreadable: ")


def test_a_file_without_permission_is_named_so(
    tmp_path: Path, rgb: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    path = save(tmp_path / "a.png", rgb)
    monkeypatch.setattr(os, "open", refuse)  # root, as in a container, may read anything
    assert reason(path) == "unreadable: permission denied"


def test_any_bytes_may_be_a_name(tmp_path: Path, rgb: np.ndarray) -> None:
    for name in (b"caf\xe9.png", b"new\nline.png", "größe 50%.png".encode(), b"-q.png[0]"):
        path = tmp_path / os.fsdecode(name)
        path.write_bytes(images.png_bytes(rgb))
        np.testing.assert_array_equal(load_rgb(path), rgb)


def test_the_size_is_limited_by_the_header(tmp_path: Path, rgb: np.ndarray) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    def bomb(width: int, height: int) -> Path:
        header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
        path = tmp_path / "bomb.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b""))
        return path

    assert reason(bomb(30_000, 30_000)) == "too large: 900 MP, limit 300 MP"
    assert reason(bomb(2**31 - 1, 2**31 - 1)).startswith("too large")
    small = save(tmp_path / "a.jpg", rgb)
    assert reason(small, lambda path: open_image(path, 3000)) == "too large: 0 MP, limit 0 MP"
    assert open_image(small, 48 * 64).width == 64


def test_sixteen_bits_are_scaled_and_not_clipped(
    tmp_path: Path, rgb: np.ndarray, grey: np.ndarray
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", rgb.astype(np.uint16) * 257, photometric="rgb")
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.tif"), rgb)
    save(tmp_path / "g.png", grey.astype(np.uint16) * 257)
    np.testing.assert_array_equal(load_rgb(tmp_path / "g.png")[..., 1], grey)
    # To the nearest of 256 values, not downward.
    between = np.array([[0, 128, 129, 65407, 65535]], np.uint16)
    tifffile.imwrite(tmp_path / "b.tif", between, photometric="minisblack")
    assert load_rgb(tmp_path / "b.tif")[0, :, 0].tolist() == [0, 0, 1, 255, 255]


def test_float_samples_have_a_range_rule(tmp_path: Path, rgb: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", (rgb / 255).astype(np.float32), photometric="rgb")
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.tif"), rgb)
    tifffile.imwrite(tmp_path / "b.tif", rgb.astype(np.float32), photometric="rgb")
    assert reason(tmp_path / "b.tif") == "floating-point values outside 0..1 (0 to 255)"
    tifffile.imwrite(tmp_path / "i.tif", rgb[..., 0].astype(np.int32), photometric="minisblack")
    assert reason(tmp_path / "i.tif") == "samples of type int are not supported"


def test_one_bit_palette_and_inverted_grey(
    tmp_path: Path, rgb: np.ndarray, grey: np.ndarray
) -> None:
    Image.fromarray(grey > 99).save(tmp_path / "bit.png")
    np.testing.assert_array_equal(load_rgb(tmp_path / "bit.png")[..., 2], (grey > 99) * 255)
    palette = Image.fromarray(rgb).quantize(16)
    palette.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(load_rgb(tmp_path / "palette.png"), palette.convert("RGB"))
    tifffile.imwrite(tmp_path / "white.tif", 255 - grey, photometric="miniswhite")
    np.testing.assert_array_equal(load_rgb(tmp_path / "white.tif")[..., 0], grey)


def test_cmyk_has_three_channels_and_the_right_way_round(tmp_path: Path) -> None:
    patches = np.repeat(np.array([[[255] * 3, [200, 30, 30], [30, 30, 200]]], np.uint8), 8, axis=0)
    patches = np.repeat(patches, 8, axis=1)
    for name in ("a.jpg", "a.tif"):
        Image.fromarray(patches).convert("CMYK").save(tmp_path / name)
        paper, red, blue = load_rgb(tmp_path / name)[4, 4::8].astype(int)
        assert paper.min() >= 254
        assert red[0] > red[2] + 80
        assert blue[2] > blue[0] + 40


def test_alpha_is_flattened_on_white(tmp_path: Path, rgb: np.ndarray, grey: np.ndarray) -> None:
    save(tmp_path / "a.png", np.dstack([rgb, grey]))
    alpha = grey[..., None] / 255
    expected = rgb * alpha + 255 * (1 - alpha)
    assert np.abs(load_rgb(tmp_path / "a.png") - expected).max() <= 1
    save(tmp_path / "la.png", np.dstack([grey, np.zeros_like(grey)]))
    assert (load_rgb(tmp_path / "la.png") == 255).all()


def test_other_channels_are_refused(tmp_path: Path, rgb: np.ndarray, grey: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "five.tif", np.dstack([rgb, grey, grey]), photometric="rgb")
    assert reason(tmp_path / "five.tif") == "5 channels"


def test_pages_are_never_channels(tmp_path: Path, rgb: np.ndarray, grey: np.ndarray) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([grey] * 3), photometric="minisblack")
    assert reason(tmp_path / "a.tif") == "multi-page: 3 pages or frames"
    frames = [Image.fromarray(rgb), Image.fromarray(rgb[::-1])]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert reason(tmp_path / "a.gif") == "multi-page: 2 pages or frames"


@pytest.mark.parametrize("orientation", [*range(1, 9), 99])
def test_orientation_is_applied_once(tmp_path: Path, rgb: np.ndarray, orientation: int) -> None:
    # What a camera stores so that applying the tag gives `rgb` (EXIF 2.32, tag 0x0112).
    stored = {
        2: rgb[:, ::-1],
        3: rgb[::-1, ::-1],
        4: rgb[::-1],
        5: rgb.transpose(1, 0, 2),
        6: rgb.transpose(1, 0, 2)[::-1],
        7: rgb.transpose(1, 0, 2)[::-1, ::-1],
        8: rgb.transpose(1, 0, 2)[:, ::-1],
    }.get(orientation, rgb)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(stored)
    save(tmp_path / "a.png", stored, exif=exif)
    save(tmp_path / "a.webp", stored, exif=exif, lossless=True)
    if orientation != 99:  # which libtiff refuses
        tags = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extratags=tags)
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_array_equal(load_rgb(path), rgb)
        image = open_image(path)
        assert (image.width, image.height) == (64, 48)
        left = image.get("orientation") if image.get_typeof("orientation") else 1
        assert left == 1


def test_colour_profiles_are_converted_through(tmp_path: Path, rgb: np.ndarray) -> None:
    plain = pyvips.Image.new_from_array(rgb)
    plain.icc_transform("p3", input_profile="srgb").pngsave(str(tmp_path / "p3.png"))
    wide = Image.open(tmp_path / "p3.png")
    assert np.abs(np.asarray(wide).astype(int) - rgb).max() > 20
    expected = ImageCms.profileToProfile(
        wide,
        ImageCms.ImageCmsProfile(BytesIO(wide.info["icc_profile"])),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    converted = load_rgb(tmp_path / "p3.png").astype(int)
    assert np.abs(converted - np.asarray(expected).astype(int)).max() <= 2


def test_profiles_that_do_not_fit_are_ignored(
    tmp_path: Path, rgb: np.ndarray, grey: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(log, "warning", lambda text, *values: told.append(text % values))
    save(tmp_path / "srgb.png", rgb, icc_profile=SRGB)
    assert np.abs(load_rgb(tmp_path / "srgb.png").astype(int) - rgb).max() <= 1
    save(tmp_path / "garbage.png", rgb, icc_profile=b"garbage" * 40)
    np.testing.assert_array_equal(load_rgb(tmp_path / "garbage.png"), rgb)
    assert told == []  # libvips' PNG loader leaves such profiles out
    load_rgb(save(tmp_path / "garbage.jpg", rgb, icc_profile=b"garbage" * 40))
    assert told == [f"{tmp_path}/garbage.jpg: its colour profile does not fit it and is ignored"]
    save(tmp_path / "grey.png", grey, icc_profile=SRGB)
    assert np.abs(load_rgb(tmp_path / "grey.png")[..., 0].astype(int) - grey).max() <= 1


def test_lightness_is_exact_for_eight_bits(
    tmp_path: Path, rgb: np.ndarray, grey: np.ndarray
) -> None:
    for array in (rgb, grey):
        lightness = load_lightness(open_image(save(tmp_path / "a.png", array)))
        tripled = array if array.ndim == 3 else np.repeat(array[..., None], 3, axis=2)
        assert lightness.dtype == np.float32
        assert lightness.shape == (48, 64)
        np.testing.assert_allclose(lightness, rgb2lab(tripled)[..., 0], atol=0.01)


def test_lightness_keeps_sixteen_bits(tmp_path: Path) -> None:
    fine = np.linspace(20_000, 20_999, 1000).astype(np.uint16).reshape(25, 40)
    save(tmp_path / "a.png", fine)
    lightness = load_lightness(open_image(tmp_path / "a.png"))
    expected = color.luminance_to_lightness(color.rgb_to_linear(fine / 65535))
    np.testing.assert_allclose(lightness, expected, atol=0.002)
    assert len(np.unique(lightness)) == 1000


def test_lightness_of_crops_is_a_crop_of_the_lightness(tmp_path: Path, rgb: np.ndarray) -> None:
    image = open_image(save(tmp_path / "a.png", rgb, icc_profile=SRGB))
    whole = load_lightness(image)
    np.testing.assert_array_equal(load_lightness(image.crop(0, 10, 64, 7)), whole[10:17])


def test_lightness_of_a_damaged_file_is_refused(tmp_path: Path, rgb: np.ndarray) -> None:
    data = save(tmp_path / "a.jpg", rgb).read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[: len(data) * 2 // 3])
    assert reason(tmp_path / "a.jpg", lambda path: load_lightness(open_image(path))) == (
        "truncated or damaged"
    )


def test_a_square_is_the_centre_resized(tmp_path: Path) -> None:
    wide = np.zeros((40, 100, 3), np.uint8)
    wide[:, 30:70] = (10, 200, 90)
    path = save(tmp_path / "a.png", wide)
    for size in (16, 40, 64):
        square = load_square(path, size)
        assert square.shape == (size, size, 3)
        assert (square == (10, 200, 90)).all()
    tall = save(tmp_path / "b.png", np.ascontiguousarray(wide.transpose(1, 0, 2)))
    assert (load_square(tall, 20) == (10, 200, 90)).all()


def test_a_square_does_not_alias(tmp_path: Path) -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    shrunk = load_square(save(tmp_path / "a.png", stripes), 60)
    assert np.abs(shrunk[5:-5, 5:-5].astype(int) - 127.5).max() < 6


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_tiny_pictures(tmp_path: Path, shape: tuple[int, int]) -> None:
    array = np.full((*shape, 3), 90, np.uint8)
    path = save(tmp_path / "a.png", array)
    np.testing.assert_array_equal(load_rgb(path), array)
    assert load_lightness(open_image(path)).shape == shape
    assert (load_square(path, 8) == 90).all()


def test_shrinking_keeps_the_aspect_and_never_enlarges(rgb: np.ndarray) -> None:
    assert images.shrink(rgb, 24).shape == (24, 32, 3)
    np.testing.assert_array_equal(images.shrink(rgb, 48), rgb)


def test_writing(tmp_path: Path, rgb: np.ndarray, grey: np.ndarray) -> None:
    images.write_png(tmp_path / "deep" / "a.png", rgb)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "deep" / "a.png")), rgb)
    assert images.png_bytes(grey) == images.png_bytes(grey.copy())
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(images.png_bytes(grey)))), grey)
    jpeg = Image.open(BytesIO(images.jpeg_bytes(rgb, 98)))
    assert np.abs(np.asarray(jpeg).astype(int) - rgb).mean() < 2


@given(
    st.binary(min_size=1, max_size=20).filter(lambda name: b"/" not in name and b"\0" not in name)
)
@settings(deadline=None)
def test_paths_in_tables_are_reversible_text(name: bytes) -> None:
    path = Path("photos") / os.fsdecode(name)
    text = images.path_to_text(path)
    assert os.fsencode(images.path_from_text(text)) == os.fsencode(path)
    assert text.isprintable()
    text.encode("utf-8")


def test_ordinary_paths_in_tables_stay_as_they_are() -> None:
    for name in ("photos/Café à Paris (1907), 2.jpg", "日本/写真.png"):
        assert images.path_to_text(Path(name)) == name
    assert images.path_to_text(Path("100%.png")) == "100%25.png"


def test_libvips_logs_call_no_python(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """A signal that arrives in such a call is lost."""
    with caplog.at_level(1):
        cut = tmp_path / "cut.jpg"
        buffer = BytesIO()
        Image.effect_noise((64, 64), 50).save(buffer, "JPEG")
        cut.write_bytes(buffer.getvalue()[:-200])
        with pytest.raises(pyvips.Error):
            pyvips.Image.new_from_file(str(cut), fail_on="truncated").avg()
        pyvips.Image.black(8, 8).avg()
    assert not [record for record in caplog.records if record.name == "pyvips"]
