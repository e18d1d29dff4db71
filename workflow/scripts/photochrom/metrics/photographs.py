"""The photographs that are measured: which they are, whether they are still what was catalogued."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from photochrom.images import (
    ImageError,
    content_sha256,
    load_rgb,
    load_square,
    path_from_text,
    path_to_text,
    shrink,
)
from photochrom.runtime import StageError, log, sha256_text
from photochrom.tables import SPLIT_COLUMNS, read_table

COLUMNS = (
    *("id", "path", "sha256", "width", "height", "source", "original_name"),
    *("colourfulness", "mean_L"),
)
# The long side, in pixels, to which larger whole photographs are reduced.
WHOLE_LIMIT = 2048
# Photographs that messages name, where many are missing.
NAMED = 5


@dataclass(frozen=True)
class Photograph:
    """An original, `width` x `height` pixels; `sha256` is its content's when it was catalogued.

    `source` names where it is from, `stem` is its original file's name without the ending;
    `colourfulness` and `mean_lightness` (0..100) are the catalogue's; `subject` is what it shows,
    where that is known.
    """

    id: str
    group: str
    path: Path
    sha256: str
    source: str = ""
    stem: str = ""
    width: int = 0
    height: int = 0
    colourfulness: float = 0.0
    mean_lightness: float = 0.0
    subject: str = ""


def read_photographs(catalog: Path, split_csv: Path, split: str) -> list[Photograph]:
    """The photographs of one split ("train", "val" or "test"), in the order of their ids.

    Raises StageError when there are none or when the two tables do not belong together.
    """
    groups = {
        row["id"]: row["group"]
        for row in read_table(split_csv, SPLIT_COLUMNS, "split.py")
        if row["split"] == split
    }
    if not groups:
        raise StageError(f"{split_csv} has no photographs in split {split}; change data.split")
    found = [
        Photograph(
            row["id"],
            groups[row["id"]],
            path_from_text(row["path"]),
            row["sha256"],
            row["source"],
            PurePosixPath(row["original_name"]).stem,
            int(row["width"]),
            int(row["height"]),
            float(row["colourfulness"]),
            float(row["mean_L"]),
            row.get("subject", ""),
        )
        for row in read_table(catalog, COLUMNS, "filter.py")
        if row["id"] in groups
    ]
    absent = groups.keys() - {photograph.id for photograph in found}
    if absent:
        raise StageError(f"{catalog} lacks {min(absent)}, which {split_csv} names; run split again")
    return sorted(found, key=lambda photograph: photograph.id)


def load_original(photograph: Photograph, size: int | None) -> NDArray[np.uint8]:
    """The central square of the original, sRGB uint8 (size, size, 3), or the whole without `size`.

    Raises ImageError when it cannot be read or is no longer what was catalogued.
    """
    # Decoded before it is hashed, because the decoder also refuses what would never end, a pipe.
    loaded = load_square(photograph.path, size) if size else load_whole(photograph.path)
    if content_sha256(photograph.path) != photograph.sha256:
        raise ImageError("its content changed since it was catalogued")
    return loaded


def load_whole(path: Path) -> NDArray[np.uint8]:
    """A whole picture, sRGB uint8 (H, W, 3), its long side reduced to WHOLE_LIMIT if longer.

    Raises ImageError.
    """
    whole = load_rgb(path)
    short, long = sorted(whole.shape[:2])
    return shrink(whole, max(1, round(short * min(1, WHOLE_LIMIT / long))))


def complain_of_missing(
    missing: Sequence[tuple[Photograph, str]], total: int, needed: bool = True
) -> None:
    """Log the first of the photographs that cannot be measured, of `total`, with the reasons.

    Raises StageError when none can, if any is `needed`.
    """
    texts = [
        f"{photograph.id} ({path_to_text(photograph.path)}): {reason}"
        for photograph, reason in missing
    ]
    if len(texts) == total and needed:
        raise StageError(
            f"none of the {total} photographs can be measured, the first is {texts[0]}; bring the "
            "originals back or run the workflow again from download"
        )
    for text in texts[:NAMED]:
        log.warning("left out: %s", text)
    if len(texts) > NAMED:
        log.warning("left out: %d more, all named in the row", len(texts) - NAMED)


def data_digest(photographs: Iterable[Photograph]) -> str:
    """Digest of the ids and contents of a set of photographs, in any order."""
    lines = sorted(f"{photograph.id} {photograph.sha256}\n" for photograph in photographs)
    return sha256_text("".join(lines))


def choose_pictures(photographs: Iterable[Photograph], count: int) -> frozenset[str]:
    """The ids of at most `count` photographs to show, the same for every row and every order.

    Groups take turns, so that as many different photographs as possible are seen; the order of
    the groups and within a group follows a hash.
    """
    by_group: dict[str, list[str]] = {}
    for photograph in photographs:
        by_group.setdefault(photograph.group, []).append(photograph.id)
    ranked = sorted(
        (turn, sha256_text(group), name)
        for group, names in by_group.items()
        for turn, name in enumerate(sorted(names, key=sha256_text))
    )
    return frozenset(name for _, _, name in ranked[:count])
