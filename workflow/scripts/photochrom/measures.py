"""What the filters and the near-duplicate search judge a photograph by.

All of it is measured on the centred square that training would see, at a reduced size.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photochrom.color import colourfulness, rgb_to_lab
from photochrom.images import ImageError, load_square

MEASURED_SIZE = 256
HASH_SIZE = 32
# A hash bit says whether a frequency is stronger than the median one. Where that median is
# under this many L* units, noise decides: clear skies and blank pages would look alike.
FLAT = 1.0


@dataclass(frozen=True)
class Measures:
    """`mean_L` is 0..100; `chroma_std` the joint standard deviation of a* and b* (the seed's
    measure), in Lab units; `colourfulness` Hasler and Süsstrunk's; `phash` 16 hex digits, or
    empty for a picture too flat to be told by it."""

    mean_L: float  # noqa: N815
    chroma_std: float
    colourfulness: float
    phash: str


def measure(path: Path) -> Measures | ImageError:
    """The measures of a picture, or the fault that keeps it from being decoded."""
    try:
        rgb = load_square(path, MEASURED_SIZE)
    except ImageError as error:
        return error
    lab = rgb_to_lab(rgb)
    return Measures(
        mean_L=float(lab[..., 0].mean()),
        chroma_std=float(lab[..., 1:].std()),
        colourfulness=colourfulness(rgb),
        phash=perceptual_hash(lab[..., 0]),
    )


def measure_cells(id: str, found: Measures | ImageError | str) -> tuple[str, ...]:
    """One row of measures.csv; `found` may be a fault known before (as in sources.csv)."""
    if isinstance(found, Measures):
        figures = (found.mean_L, found.chroma_std, found.colourfulness)
        return (id, *(f"{figure:.4f}" for figure in figures), found.phash, "")
    return (id, "", "", "", "", str(found))


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


def _cosines(rows: int, size: int) -> NDArray[np.float64]:
    """The first rows of the orthonormal cosine transform (DCT-II) of `size` samples."""
    frequency, sample = np.arange(rows)[:, None], np.arange(size)[None]
    matrix = np.sqrt(2 / size) * np.cos(np.pi * (sample + 0.5) * frequency / size)
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix)


_COSINES = _cosines(8, HASH_SIZE)
