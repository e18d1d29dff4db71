"""What time, chemistry and scanners do to a photograph, made from a good one.

Each degradation takes a photograph, sRGB uint8 (H,W,3), and gives the lightness (H,W) in L* units
that a network would see of the degraded one; `seed` decides what is random. Lengths go with the
photograph's short side, so that a photograph and its reduction look alike. The amounts are those
of a print in poor but usable condition, set by eye; none of them is what a network is trained on
unless its recipe says so.
"""

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from photochrom.color import linear_to_rgb, rgb_to_lab, rgb_to_linear
from photochrom.runtime import StageError

Picture = NDArray[np.uint8]
Lightness = NDArray[np.float64]

# Film grain: standard deviation in L* and its blur, as a share of the short side.
GRAIN = 5.0
GRAIN_SIZE = 1 / 400
# A faded print: L* of its black and of its white.
FADED = (28.0, 82.0)
# ITU-R BT.601: luma of gamma-coded red, green and blue.
BT601 = (0.299, 0.587, 0.114)
# Collodion and early gelatine plates see blue and violet alone; what linear red, green and blue
# add to their exposure. A red coat comes out black and a blue sky white.
BLUE_SENSITIVE = (0.02, 0.10, 0.88)
# The sepia of photo editors, as a matrix on gamma-coded red, green and blue.
SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))
# Standard deviation of a soft lens, as a share of the short side.
BLUR = 1 / 170
JPEG_QUALITY = 15


def grain(rgb: Picture, seed: int) -> Lightness:
    """Silver grain: smooth noise, strongest in the middle tones."""
    L = _lightness(rgb)
    noise = np.random.default_rng(seed).standard_normal(L.shape)
    blurred = ndimage.gaussian_filter(noise, max(0.5, GRAIN_SIZE * min(L.shape)))
    strength = GRAIN * np.sqrt(np.clip(4 * L / 100 * (1 - L / 100), 0, 1))
    return np.clip(L + strength * blurred / blurred.std(), 0, 100)


def fading(rgb: Picture, seed: int) -> Lightness:
    """A print that has lost its contrast: black is grey, white is cream."""
    black, white = FADED
    return black + (white - black) * _lightness(rgb) / 100


def sepia(rgb: Picture, seed: int) -> Lightness:
    """A toned print: what is left of it once its tone has been taken away again."""
    toned = np.clip(rgb @ np.array(SEPIA).T, 0, 255)
    return _lightness(np.rint(toned).astype(np.uint8))


def bt601(rgb: Picture, seed: int) -> Lightness:
    """The grey that software makes of gamma-coded values, in place of true lightness."""
    luma = np.rint(rgb @ np.array(BT601)).astype(np.uint8)
    return _lightness(np.repeat(luma[..., None], 3, axis=-1))


def blue_sensitive(rgb: Picture, seed: int) -> Lightness:
    """A plate that sees blue alone."""
    exposure = rgb_to_linear(rgb) @ np.array(BLUE_SENSITIVE)
    grey = np.rint(255 * np.clip(linear_to_rgb(exposure), 0, 1)).astype(np.uint8)
    return _lightness(np.repeat(grey[..., None], 3, axis=-1))


def blur(rgb: Picture, seed: int) -> Lightness:
    """A soft lens or a moved camera."""
    return np.asarray(ndimage.gaussian_filter(_lightness(rgb), BLUR * min(rgb.shape[:2])))


def jpeg(rgb: Picture, seed: int) -> Lightness:
    """A grey scan saved as a small JPEG."""
    grey = np.rint(255 / 100 * _lightness(rgb)).astype(np.uint8)
    stored = io.BytesIO()
    Image.fromarray(grey).save(stored, "jpeg", quality=JPEG_QUALITY)
    return np.asarray(Image.open(stored), np.float64) * 100 / 255


DEGRADATIONS: dict[str, Callable[[Picture, int], Lightness]] = {
    "grain": grain,
    "fading": fading,
    "sepia": sepia,
    "bt601": bt601,
    "blue-sensitive": blue_sensitive,
    "blur": blur,
    "jpeg": jpeg,
}


def check_degradations(text: str) -> list[str]:
    """Their names, separated by commas. StageError when there is no such one."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in DEGRADATIONS:
            raise StageError(f"no degradation {name!r}; there is {', '.join(DEGRADATIONS)}")
    return list(dict.fromkeys(names))


def _lightness(rgb: Picture) -> Lightness:
    return np.asarray(rgb_to_lab(rgb)[..., 0], np.float64)
