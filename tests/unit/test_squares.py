"""Squares for shards: by the quick way for plain JPEG files, else by the one loader."""

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data

from photochrom.color import denormalize, rgb_to_lab
from photochrom.images import ImageError, load_square
from photochrom.squares import _shrunk_jpeg, decoded_square, stored_square
from photochrom.stored import SCALE_FACTOR

PHOTOGRAPH = Image.fromarray(data.coffee())  # 600 x 400


def jpeg(image: Image.Image = PHOTOGRAPH, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "JPEG", **{"quality": 92, **options})
    return buffer.getvalue()


def square_lab(path: Path, size: int) -> np.ndarray:
    square, sha256 = decoded_square(path, size)
    L, ab = stored_square(square)
    assert sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    lightness, colour = denormalize(L * SCALE_FACTOR, ab * SCALE_FACTOR)
    return np.concatenate([lightness[..., None], colour], axis=-1)


@pytest.mark.parametrize("size", [32, 64, 100, 128, 200, 300, 400])
def test_a_plain_jpeg_looks_as_the_loader_shows_it(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg())
    assert _shrunk_jpeg(path.read_bytes(), size) is not None
    difference = np.abs(square_lab(path, size) - rgb_to_lab(load_square(path, size)))
    assert difference[..., 0].mean() < 1.0
    assert difference[..., 1:].mean() < 1.0
    # A picture shifted by a quarter of a pixel would differ by more.
    shifted = load_square(path, 4 * size)[3:-1, 3:-1]
    moved = np.asarray(Image.fromarray(shifted).resize((size - 1, size - 1), Image.Resampling.BOX))
    own = rgb_to_lab(load_square(path, size))[:-1, :-1, 0]
    assert difference[..., 0].mean() < np.abs(rgb_to_lab(moved)[..., 0] - own).mean()


def test_enlarging_is_the_loaders() -> None:
    assert _shrunk_jpeg(jpeg(), 401) is None


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_and_progressive_jpegs_are_plain(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(PHOTOGRAPH.convert(mode), progressive=True))
    assert _shrunk_jpeg(path.read_bytes(), 64) is not None
    difference = np.abs(square_lab(path, 64) - rgb_to_lab(load_square(path, 64)))
    assert difference.mean() < 1.0


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return jpeg(exif=exif.tobytes())


def profiled() -> bytes:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return jpeg(icc_profile=profile.tobytes())


@pytest.mark.parametrize(
    "content",
    [turned(), profiled(), jpeg(PHOTOGRAPH.convert("CMYK"))],
    ids=["turned", "profiled", "CMYK"],
)
def test_jpegs_with_something_to_them_go_through_the_loader(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert _shrunk_jpeg(content, 64) is None
    np.testing.assert_allclose(
        square_lab(path, 64), rgb_to_lab(load_square(path, 64, quick=True)), atol=0.03
    )


def test_other_formats_are_the_loaders(tmp_path: Path) -> None:
    for suffix in ("png", "webp", "tiff"):
        path = tmp_path / f"a.{suffix}"
        PHOTOGRAPH.save(path)
        np.testing.assert_allclose(
            square_lab(path, 50), rgb_to_lab(load_square(path, 50)), atol=0.03
        )


def test_damaged_jpegs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    for content in (jpeg()[:-900], jpeg()[:300], b"\xff\xd8\xff"):
        path.write_bytes(content)
        with pytest.raises(ImageError):
            decoded_square(path, 64)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="not a regular file"):
        decoded_square(tmp_path, 64)
    with pytest.raises(ImageError, match="not a regular file"):
        decoded_square(tmp_path / "none.jpg", 64)
