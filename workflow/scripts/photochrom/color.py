"""Colour science: CIE Lab, the normalization that networks see, colourfulness, the sRGB gamut.

One set of constants serves the numpy functions, their torch twins and the shards. The constants
and formulas are those of scikit-image (sRGB of IEC 61966-2-1, CIE Lab with D65 and the 2 degree
observer), which the tests take as the reference. scikit-image itself is not imported, because
half a second of start-up would be paid by each job. torch is imported only by the torch twins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]

# What a network sees: L*/50 - 1 and a*, b* / 110. sRGB reaches |a*| 98.3 and |b*| 107.9, so both
# lie within [-1, 1]. Never derived from data, so that every data set and model agree.
L_SCALE = 50.0
AB_SCALE = 110.0

# Linear sRGB (rows R, G, B) to XYZ and the D65 white point, to the digits scikit-image states.
RGB_TO_XYZ = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
XYZ_TO_RGB = np.linalg.inv(RGB_TO_XYZ)
WHITE = np.array([0.95047, 1.0, 1.08883])

# The sRGB transfer curve and the CIE Lab compression, each a line near black, then a power.
SRGB_ENCODED_KNEE = 0.04045
SRGB_LINEAR_KNEE = 0.0031308
LAB_KNEE = 0.008856
LAB_COMPRESSED_KNEE = 0.2068966
LAB_SLOPE = 7.787
LAB_OFFSET = 16.0 / 116.0

# Linear light may leave [0, 1] by this much and still count as shown: the rounded constants
# above put pure white itself 8e-5 over 1. It moves L* by less than 0.1.
GAMUT_TOLERANCE = 1e-4
# Halvings in reduce_chroma: what is given away is less than 1/4096 of the chroma.
GAMUT_STEPS = 12


def rgb_to_linear(rgb: NDArray[Any]) -> Floats:
    """Undo the sRGB transfer curve: uint8 or floats in [0, 1] to linear light in [0, 1]."""
    if rgb.dtype == np.uint8:
        return _LINEAR_OF_UINT8[rgb]
    encoded = rgb if rgb.dtype.kind == "f" else rgb.astype(np.float64)
    power = np.power((np.maximum(encoded, SRGB_ENCODED_KNEE) + 0.055) / 1.055, 2.4)
    return np.where(encoded > SRGB_ENCODED_KNEE, power, encoded / 12.92).astype(encoded.dtype)


_LINEAR_OF_UINT8 = rgb_to_linear(np.arange(256) / 255.0)


def linear_to_rgb(linear: Floats) -> Floats:
    """Apply the sRGB transfer curve to linear light; the result is clipped to [0, 1]."""
    power = 1.055 * np.power(np.maximum(linear, SRGB_LINEAR_KNEE), 1 / 2.4) - 0.055
    encoded = np.where(linear > SRGB_LINEAR_KNEE, power, 12.92 * linear)
    return np.clip(encoded, 0.0, 1.0).astype(linear.dtype)


def rgb_to_lab(rgb: NDArray[Any]) -> Floats:
    """Convert sRGB to CIE Lab.

    `rgb` is (..., 3), uint8 or floats in [0, 1]. Returns (..., 3): L* in 0..100, a* and b* in
    Lab units; float32 for float32 input, else float64.
    """
    linear = rgb_to_linear(rgb)
    xyz = linear @ (RGB_TO_XYZ / WHITE[:, None]).T.astype(linear.dtype)
    x, y, z = np.moveaxis(_compress(xyz), -1, 0)
    return np.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], axis=-1)


def lab_to_rgb(lab: Floats) -> Floats:
    """Convert CIE Lab (..., 3) to sRGB (..., 3) in [0, 1], clipping what sRGB cannot show.

    Clipping changes the luminance; `reduce_chroma` first where that must not happen.
    """
    return linear_to_rgb(_lab_to_linear(lab[..., 0], lab[..., 1:]))


def luminance_to_lightness(luminance: Floats) -> Floats:
    """CIE L* (0..100) of relative luminance Y (0..1), any shape."""
    return 116.0 * _compress(luminance) - 16.0


def normalize(L: Any, ab: Any) -> tuple[Any, Any]:
    """L* 0..100 and ab in Lab units to what networks see, both within [-1, 1].

    Works alike on numpy arrays, torch tensors and numbers.
    """
    return L / L_SCALE - 1.0, ab / AB_SCALE


def denormalize(L: Any, ab: Any) -> tuple[Any, Any]:
    """The inverse of `normalize`."""
    return (L + 1.0) * L_SCALE, ab * AB_SCALE


def colourfulness(rgb: NDArray[np.uint8]) -> float:
    """Colourfulness of an sRGB picture (H, W, 3) uint8 after Hasler and Süsstrunk (2003).

    The opponent channels are signed, as published: 0 for greys, about 15 slightly, 45 quite,
    109 extremely colourful.
    """
    red, green, blue = np.moveaxis(rgb.astype(np.float64), -1, 0)
    red_green = red - green
    yellow_blue = 0.5 * (red + green) - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    mean = np.hypot(red_green.mean(), yellow_blue.mean())
    return float(spread + 0.3 * mean)


def in_gamut(lab: Floats) -> NDArray[np.bool_]:
    """Whether sRGB can show each colour of `lab` (..., 3), to GAMUT_TOLERANCE in linear light."""
    return _shown(_lab_to_linear(lab[..., 0], lab[..., 1:]))


def reduce_chroma(L: Floats, ab: Floats) -> Floats:
    """Reduce chroma, at the same lightness and hue, until sRGB can show every colour.

    `L` (...) in 0..100 and `ab` (..., 2) in Lab units; returns ab (..., 2) of the same dtype.
    Colours inside the gamut come back untouched; others move straight toward grey to the edge
    of the gamut, found by bisection, so converting them clips nothing and L* is kept. Every
    pixel is on its own, so large pictures may be worked on in strips.
    """
    outside = ~_shown(_lab_to_linear(L, ab))
    if not outside.any():
        return ab
    lightness, colour = L[outside], ab[outside]
    keep = np.zeros_like(lightness)  # the largest share of the chroma known to be shown
    step = 0.5
    for _ in range(GAMUT_STEPS):
        trial = keep + lightness.dtype.type(step)
        keep = np.where(_shown(_lab_to_linear(lightness, colour * trial[:, None])), trial, keep)
        step /= 2
    reduced = ab.copy()
    reduced[outside] = colour * keep[:, None]
    return reduced


def _shown(linear: Floats) -> NDArray[np.bool_]:
    low, high = -GAMUT_TOLERANCE, 1 + GAMUT_TOLERANCE
    return np.asarray(((linear >= low) & (linear <= high)).all(axis=-1))


def _compress(xyz: Floats) -> Floats:
    """CIE Lab's f(t) of white-relative tristimulus values."""
    return np.where(xyz > LAB_KNEE, np.cbrt(xyz), LAB_SLOPE * xyz + LAB_OFFSET).astype(xyz.dtype)


def _lab_to_linear(L: Floats, ab: Floats) -> Floats:
    """Linear sRGB (..., 3), not clipped; outside [0, 1] where sRGB cannot show the colour."""
    y = (L + 16.0) / 116.0
    x = y + ab[..., 0] / 500.0
    z = np.maximum(y - ab[..., 1] / 200.0, 0.0)  # as scikit-image: no negative Z
    compressed = np.stack([x, y, z], axis=-1)
    xyz = np.where(
        compressed > LAB_COMPRESSED_KNEE,
        compressed * compressed * compressed,
        (compressed - LAB_OFFSET) / LAB_SLOPE,
    )
    matrix = (XYZ_TO_RGB * WHITE).T.astype(compressed.dtype)
    return xyz.astype(compressed.dtype) @ matrix


# The torch twins: channels first, batched, differentiable. Each branch of a torch.where gets
# arguments at which its power is smooth; else the gradient of the branch not taken is NaN.


def lab_to_rgb_torch(L: torch.Tensor, ab: torch.Tensor) -> torch.Tensor:
    """`lab_to_rgb` for L (N, 1, H, W) and ab (N, 2, H, W) in Lab units: (N, 3, H, W) in [0, 1]."""
    import torch

    y = (L + 16.0) / 116.0
    x = y + ab[:, :1] / 500.0
    z = (y - ab[:, 1:] / 200.0).clamp(min=0.0)
    compressed = torch.cat([x, y, z], dim=1)
    xyz = torch.where(
        compressed > LAB_COMPRESSED_KNEE, compressed**3, (compressed - LAB_OFFSET) / LAB_SLOPE
    )
    linear = _mix(xyz, XYZ_TO_RGB * WHITE)
    power = 1.055 * linear.clamp(min=SRGB_LINEAR_KNEE) ** (1 / 2.4) - 0.055
    return torch.where(linear > SRGB_LINEAR_KNEE, power, 12.92 * linear).clamp(0.0, 1.0)


def rgb_to_lab_torch(rgb: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`rgb_to_lab` for (N, 3, H, W) in [0, 1]: L (N, 1, H, W) and ab (N, 2, H, W), Lab units."""
    import torch

    power = ((rgb.clamp(min=SRGB_ENCODED_KNEE) + 0.055) / 1.055) ** 2.4
    linear = torch.where(rgb > SRGB_ENCODED_KNEE, power, rgb / 12.92)
    xyz = _mix(linear, RGB_TO_XYZ / WHITE[:, None])
    root = xyz.clamp(min=LAB_KNEE) ** (1 / 3)
    x, y, z = torch.where(xyz > LAB_KNEE, root, LAB_SLOPE * xyz + LAB_OFFSET).split(1, dim=1)
    return 116.0 * y - 16.0, torch.cat([500.0 * (x - y), 200.0 * (y - z)], dim=1)


def colourfulness_torch(rgb: torch.Tensor) -> torch.Tensor:
    """`colourfulness` of each picture (N, 3, H, W), in 0..255: (N)."""
    import torch

    red, green, blue = rgb.unbind(dim=1)
    opponents = torch.stack([red - green, 0.5 * (red + green) - blue], dim=1).flatten(2)
    spread = opponents.std(dim=2, correction=0).norm(dim=1)
    return spread + 0.3 * opponents.mean(dim=2).norm(dim=1)


def _mix(channels: torch.Tensor, matrix: NDArray[np.float64]) -> torch.Tensor:
    """Multiply the channel axis of (N, 3, H, W) by a 3x3 matrix.

    Written out, because a matrix product of float32 may be rounded to TF32 or bfloat16 on a GPU.
    """
    import torch

    red, green, blue = channels.split(1, dim=1)
    rows = [red * row[0] + green * row[1] + blue * row[2] for row in matrix.tolist()]
    return torch.cat(rows, dim=1)
