"""What the filters and the near-duplicate search judge a photograph by.

All of it is measured on the centred square that training would see, at a reduced size; rows of
arrays at their own, so that the figures are those of the very samples.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photochrom.color import colourfulness, denormalize
from photochrom.images import ImageError, array_side, load_row, load_square
from photochrom.stored import SCALE_FACTOR, rgb_to_stored
from photochrom.tables import MEASURES_COLUMNS

MEASURED_SIZE = 256
HASH_SIZE = 32
# A hash bit says whether a frequency is stronger than the median one. Where that median is
# under this many L* units, noise decides: clear skies and blank pages would look alike.
FLAT = 1.0


@dataclass(frozen=True)
class Measures:
    """`mean_L` is 0..100; `chroma_std` the joint standard deviation of a* and b* (the seed's
    measure), in Lab units; `colourfulness` Hasler and Süsstrunk's; `max_ab` the largest |a*| or
    |b*| of any pixel; `tint_deviation` that of the function; `phash` 16 hex digits, or empty for a
    picture too flat to be told by it."""

    mean_L: float  # noqa: N815
    chroma_std: float
    colourfulness: float
    max_ab: float
    tint_deviation: float
    phash: str

    @property
    def figures(self) -> tuple[float, ...]:
        return (
            self.mean_L,
            self.chroma_std,
            self.colourfulness,
            self.max_ab,
            self.tint_deviation,
        )


def measure(path: Path) -> Measures | ImageError:
    """The measures of a picture, or the fault that keeps it from being decoded."""
    try:
        rgb, L, ab = _load(path)
    except ImageError as error:
        return error
    return Measures(
        mean_L=float(L.mean()),
        chroma_std=float(ab.std()),
        colourfulness=colourfulness(rgb),
        max_ab=float(np.abs(ab).max()),
        tint_deviation=tint_deviation(L, ab),
        phash=perceptual_hash(L),
    )


def measure_cells(id: str, found: Measures | ImageError | str) -> tuple[str, ...]:
    """One row of measures.csv; `found` may be a fault known before (as in sources.csv)."""
    if isinstance(found, Measures):
        return (id, *(f"{figure:.4f}" for figure in found.figures), found.phash, "")
    return (id, *[""] * (len(MEASURES_COLUMNS) - 2), str(found))


def tint_deviation(L: NDArray[np.floating], ab: NDArray[np.floating]) -> float:
    """How far colours lie from the one tint that explains them best: root mean square, Lab units.

    A tint is a curve over lightness: a* and b* are each a parabola of L*, fitted by least squares
    to `L` (H, W) and `ab` (H, W, 2). Sepia, selenium and cyanotype, yellowed paper and fading
    follow such a curve, whatever their strength and even where shadows and lights differ in hue;
    what is left is colour that lightness does not explain. At 2.5 it told nine sepia prints of 1865
    to 1940 (0.9 to 1.6) from 5,639 colour photographs, of which 1.1 in 100 lie below: toned ones,
    and scenes with no colour but the sea's or the sky's (figures in benchmarks/BENCHMARKS.md).
    """
    # The products of all pairs tell all: three unknowns, and what they leave unexplained. Means
    # are taken off first, so that little cancels out.
    rows = np.ones((5, L.size))
    for row, values in zip(rows[1:], (L / 100, None, ab[..., 0], ab[..., 1]), strict=True):
        if values is None:
            np.square(rows[1], out=row)
        else:
            row[:] = values.ravel()
            row -= row.mean()
    products = rows @ rows.T / L.size
    powers, mixed, colours = products[:3, :3], products[:3, 3:], products[3:, 3:]
    # lstsq copes where one tone makes them singular.
    curve, *_ = np.linalg.lstsq(powers, mixed, rcond=None)
    return float(np.sqrt(max(0.0, colours.trace() - (curve * mixed).sum())))


def perceptual_hash(L: NDArray[np.floating]) -> str:
    """A 63-bit hash of L* (H, H), 16 hex digits, that near-duplicates nearly share.

    The signs, against their median, of the 63 lowest frequencies of the cosine transform of the
    picture at 32 x 32; "" when the picture is too flat (FLAT). H is a multiple of 32.
    """
    block = L.shape[0] // HASH_SIZE
    small = L.reshape(HASH_SIZE, block, HASH_SIZE, block).mean(axis=(1, 3))
    frequencies = (_COSINES @ small @ _COSINES.T).ravel()[1:]  # without the mean
    median = np.median(frequencies)
    if np.median(np.abs(frequencies - median)) < FLAT:
        return ""
    bits = "".join("1" if frequency > median else "0" for frequency in frequencies)
    return f"{int(bits, 2):016x}"


def _load(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.floating], NDArray[np.floating]]:
    """The square that is measured: sRGB (H, H, 3), L* (H, H) and ab (H, H, 2) in Lab units.

    Lab is that of `stored.rgb_to_stored`, to within 0.005 in L* and 0.04 in a* or b*. JPEG files of
    1,024 pixels and more are decoded at reduced size, which moves the figures by 1 % at most or so.
    A row of arrays has its own side, down to what the hash can divide. Raises ImageError.
    """
    side = array_side(path)
    if side is None:
        rgb = load_square(path, MEASURED_SIZE, quick=True)
        scale = np.float32(SCALE_FACTOR)
        L, ab = denormalize(*(part * scale for part in rgb_to_stored(rgb)))
        return rgb, L, ab
    rgb, lab = load_row(path, min(MEASURED_SIZE, max(HASH_SIZE, side - side % HASH_SIZE)))
    return rgb, lab[..., 0], lab[..., 1:]


def _cosines(rows: int, size: int) -> NDArray[np.float64]:
    """The first rows of the orthonormal cosine transform (DCT-II) of `size` samples."""
    frequency, sample = np.arange(rows)[:, None], np.arange(size)[None]
    matrix = np.sqrt(2 / size) * np.cos(np.pi * (sample + 0.5) * frequency / size)
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix)


_COSINES = _cosines(8, HASH_SIZE)
