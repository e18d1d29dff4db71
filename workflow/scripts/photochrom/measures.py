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
TINT_PIECES = 32
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

    A tint is a curve over lightness: a* and b* each follow TINT_PIECES straight pieces from L* 0 to
    100, fitted by least squares to `L` (H, W) and `ab` (H, W, 2). Sepia, selenium and cyanotype,
    yellowed paper and fading follow such a curve, whatever their strength, even where shadows and
    lights differ in hue and where the lights are clipped; what is left is colour that lightness
    does not explain. It is averaged to 32 x 32 before it is squared, so that the noise of JPEG
    chroma counts little. Figures for prints, toned copies and colour photographs are in
    benchmarks/BENCHMARKS.md. H is a multiple of 32.
    """
    place = np.clip(L.ravel() / 100, 0, 1) * TINT_PIECES
    piece = np.minimum(place.astype(np.intp), TINT_PIECES - 1)
    share = place - piece
    count = TINT_PIECES + 1

    def at_knots(low: NDArray[np.floating], high: NDArray[np.floating]) -> NDArray[np.floating]:
        knots: NDArray[np.float64] = np.bincount(piece, low, count).astype(np.float64)
        return knots + np.bincount(piece + 1, high, count)

    beside = np.bincount(piece, share * (1 - share), count)[:-1]
    normal = np.diag(at_knots((1 - share) ** 2, share**2))
    normal += np.diag(beside, 1) + np.diag(beside, -1)
    normal += 1e-3 * np.eye(count)  # knots that no lightness is near leave the fit open
    unexplained = 0.0
    for colour in (ab[..., 0].ravel(), ab[..., 1].ravel()):
        knots = np.linalg.solve(normal, at_knots((1 - share) * colour, share * colour))
        rest = colour - (1 - share) * knots[piece] - share * knots[piece + 1]
        unexplained += float(np.square(_block_means(rest.reshape(L.shape))).mean())
    return float(np.sqrt(unexplained))


def perceptual_hash(L: NDArray[np.floating]) -> str:
    """A 63-bit hash of L* (H, H), 16 hex digits, that near-duplicates nearly share.

    The signs, against their median, of the 63 lowest frequencies of the cosine transform of the
    picture at 32 x 32; "" when the picture is too flat (FLAT). H is a multiple of 32.
    """
    frequencies = (_COSINES @ _block_means(L) @ _COSINES.T).ravel()[1:]  # without the mean
    median = np.median(frequencies)
    if np.median(np.abs(frequencies - median)) < FLAT:
        return ""
    bits = "".join("1" if frequency > median else "0" for frequency in frequencies)
    return f"{int(bits, 2):016x}"


def _block_means(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """(H, H) averaged to (HASH_SIZE, HASH_SIZE); H is a multiple of it."""
    block = values.shape[0] // HASH_SIZE
    return values.reshape(HASH_SIZE, block, HASH_SIZE, block).mean(axis=(1, 3))


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
