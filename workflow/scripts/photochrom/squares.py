"""The square pictures that shards hold: decoded, cropped and resized, then made integers.

Most photographs are plain JPEG files, and most of the time went into decoding them at full size.
They are therefore decoded by Pillow, whose libjpeg-turbo leaves out the frequencies that a smaller
picture has no use for (shrink on load). Everything else, and every JPEG with something to it (a
profile, an orientation, CMYK), goes through the one image loader, as do all stages that judge
pictures. Only pictures that this loader decoded without a fault get here (`measure.py`), and the
digest tells whether the bytes are still the same.
"""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from photochrom.color import normalize
from photochrom.images import ImageError, load_lab_square, load_square
from photochrom.lab_arrays import row_name
from photochrom.runtime import sha256_file
from photochrom.stored import Stored, rgb_to_stored, to_stored

_JPEG_START = b"\xff\xd8\xff"
_ORIENTATION = 0x0112


def decoded_square(path: Path, size: int) -> tuple[NDArray[Any], str]:
    """The centred square of a picture, and the digest of its content.

    The square is uint8 sRGB, or float Lab for a row of arrays, (size, size, 3); the digest is
    `images.content_sha256`. Raises ImageError or OSError.
    """
    if row_name(path) is not None:
        return load_lab_square(path, size)
    if not path.is_file():
        raise ImageError("not a regular file")
    with path.open("rb") as file:
        content = file.read(len(_JPEG_START))
        if content == _JPEG_START:
            content += file.read()
    if len(content) > len(_JPEG_START):
        sha256, rgb = hashlib.sha256(content).hexdigest(), _shrunk_jpeg(content, size)
    else:
        sha256, rgb = sha256_file(path), None
    return load_square(path, size, quick=True) if rgb is None else rgb, sha256


def stored_square(square: NDArray[Any]) -> tuple[Stored, Stored]:
    """A square of `decoded_square` as shards store it: L (size, size) and ab (size, size, 2)."""
    if square.dtype == np.uint8:
        return rgb_to_stored(square)
    L, ab = normalize(square[..., 0], square[..., 1:])
    return to_stored(L), to_stored(ab)


def _shrunk_jpeg(content: bytes, size: int) -> NDArray[np.uint8] | None:
    """The centred square of a plain JPEG, (size, size, 3); None for one that is not plain.

    libjpeg's reduced inverse cosine transform gives half, a quarter or an eighth of the size; the
    rest of the way is Lanczos-3, as in `images.load_square`. Half is nearly as good as Lanczos
    itself; a quarter and an eighth are averages, and only taken where Lanczos still halves them.
    """
    try:
        image: Image.Image = JpegImagePlugin.JpegImageFile(io.BytesIO(content))
        if image.mode not in ("RGB", "L") or "icc_profile" in image.info or _turned(image):
            return None
        side = min(image.size)
        if side < size:
            return None
        least = size if side < 4 * size else 2 * size
        image.draft("RGB", (least, least))
        image.load()
    except (OSError, SyntaxError, ValueError, TypeError):
        return None  # the loader knows what is wrong with it
    width, height = image.size
    if image.mode != "RGB":
        image = image.convert("RGB")
    if (width, height) == (size, size):
        return np.asarray(image)
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS, box))


def _turned(image: Image.Image) -> bool:
    return "exif" in image.info and image.getexif().get(_ORIENTATION, 1) != 1
