"""How a row comes by its pictures: painted from the lightness, or taken from a folder."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photochrom.color import lab_to_rgb, reduce_chroma, rgb_to_lab
from photochrom.images import ImageError, load_rgb, load_square, path_to_text
from photochrom.metrics.photographs import Photograph, load_whole
from photochrom.metrics.pixel import Picture
from photochrom.metrics.protocols import Protocol
from photochrom.runtime import StageError, log, sha256_file, sha256_text

Lab = NDArray[np.floating[Any]]
# The Lab (H, W, 3) of a photograph in, the Lab of its picture out. All but the yardsticks `truth`
# and `levin` look at the lightness alone.
Paint = Callable[[Lab], Lab]
# The same, with the mean uncertainty (0..1).
PaintJudged = Callable[[Lab], tuple[Lab, float]]


@dataclass(frozen=True)
class Painting:
    """A picture, the ab (H, W, 2) before it was brought into sRGB, and how unsure the painter was.

    `ab` is None where only the picture is known, `uncertainty` (0..1) where the painter says none.
    """

    picture: Picture
    ab: Lab | None = None
    uncertainty: float | None = None


def paint_picture(truth: Picture, paint: Paint) -> Picture:
    """The picture as people get it: painted, brought into sRGB at its lightness, in 8 bits."""
    return shown(paint(rgb_to_lab(truth)))


def painting_of(truth: Picture, paint: Paint, paint_judged: PaintJudged | None = None) -> Painting:
    """What is painted of a photograph, sRGB uint8 (H, W, 3)."""
    lab = rgb_to_lab(truth)
    uncertainty = None
    if paint_judged is None:
        painted = paint(lab)
    else:
        painted, uncertainty = paint_judged(lab)
    return Painting(shown(painted), painted[..., 1:], uncertainty)


def shown(lab: Lab) -> Picture:
    """A Lab picture (H, W, 3) in sRGB: chroma is reduced to what sRGB can show at its L*."""
    inside = np.concatenate([lab[..., :1], reduce_chroma(lab[..., 0], lab[..., 1:])], axis=-1)
    return np.rint(lab_to_rgb(inside) * 255).astype(np.uint8)


def repainted(truth: Picture, L: NDArray[np.floating[Any]], paint: Paint) -> Picture:
    """The photograph's own lightness with the colours that are painted on another, `L` (H, W).

    So only the colours are judged of what was painted from a degraded photograph.
    """
    lab = rgb_to_lab(truth)
    ab = paint(np.concatenate([L[..., None], lab[..., 1:]], axis=-1))[..., 1:]
    return shown(np.concatenate([lab[..., :1], ab], axis=-1))


class Folder:
    """Pictures that others have painted of the photographs: `compare` in the configuration.

    A picture belongs to the photograph whose id is its name's stem, or else to the one whose
    original has that stem, when there is one such photograph and one such picture. Raises
    StageError when the folder cannot be read or holds no picture of any photograph.
    """

    def __init__(self, folder: Path, photographs: Iterable[Photograph]) -> None:
        try:
            files = sorted(path for path in folder.iterdir() if path.is_file())
        except OSError as error:
            raise StageError(f"compare: {path_to_text(folder)}: {error.strerror}") from error
        by_stem: dict[str, list[Path]] = {}
        for path in files:
            by_stem.setdefault(path.stem, []).append(path)
        self.paths: dict[str, Path] = {}
        self.faults: dict[str, str] = {}
        wanted = list(photographs)
        stems: dict[str, int] = {}
        for photograph in wanted:
            stems[photograph.stem] = stems.get(photograph.stem, 0) + 1
        for photograph in wanted:
            found = by_stem.get(photograph.id, [])
            if not found and stems[photograph.stem] == 1:
                found = by_stem.get(photograph.stem, [])
            if len(found) == 1:
                self.paths[photograph.id] = found[0]
            elif found:
                names = ", ".join(path_to_text(Path(path.name)) for path in found[:3])
                self.faults[photograph.id] = f"several pictures of it in the folder: {names}"
            else:
                self.faults[photograph.id] = "no picture of it in the folder"
        if not self.paths:
            log.warning(
                "compare: %s holds no picture of any of the %d test photographs; name them by id, "
                "such as %s.png, or as the original, %s.png",
                *(path_to_text(folder), len(wanted), wanted[0].id, wanted[0].stem),
            )
        self.description = f"the pictures of the folder {path_to_text(folder)}"
        lines = (f"{name} {sha256_file(path)}\n" for name, path in sorted(self.paths.items()))
        self.digest = sha256_text("".join(lines))

    def picture(self, photograph: Photograph, truth: Picture, protocol: Protocol) -> Picture:
        """The picture as the protocol compares it. Raises ImageError when there is none that fits.

        It has either the size at which the protocol compares, or the original's shape.
        """
        if photograph.id not in self.paths:
            raise ImageError(self.faults[photograph.id])
        path = self.paths[photograph.id]
        whole = load_rgb(path)
        if whole.shape == truth.shape:
            return whole
        size, original = whole.shape[1::-1], (photograph.width, photograph.height)
        if size != original:
            raise ImageError(
                f"its picture has {size[0]} x {size[1]} pixels, not the original's {original[0]} x "
                f"{original[1]} nor the {truth.shape[1]} x {truth.shape[0]} that are compared"
            )
        return load_square(path, protocol.size) if protocol.size else load_whole(path)
