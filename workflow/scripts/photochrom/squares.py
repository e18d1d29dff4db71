"""The square pictures that shards hold: decoded, cropped, resized and stored in one go.

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


def stored_square(path: Path, size: int) -> tuple[Stored, Stored, str]:
    """The centred square of a picture as shards store it, and the digest of its content.

    Returns L (size, size), ab (size, size, 2) and the `images.content_sha256`. Raises ImageError
    or OSError.
    """
    if row_name(path) is not None:
        lab, sha256 = load_lab_square(path, size)
        L, ab = normalize(lab[..., 0], lab[..., 1:])
        return to_stored(L), to_stored(ab), sha256
    if not path.is_file():
        raise ImageError("not a regular file")
    with path.open("rb") as file:
        content = file.read(len(_JPEG_START))
        if content == _JPEG_START:
            content += file.read()
            sha256, rgb = hashlib.sha256(content).hexdigest(), _shrunk_jpeg(content, size)
        else:
            sha256, rgb = sha256_file(path), None
    return *rgb_to_stored(load_square(path, size) if rgb is None else rgb), sha256


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
