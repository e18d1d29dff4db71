"""Where photographs come from: one module per kind, each with the same `list_images`."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from photochrom.runtime import StageError
from photochrom.sources import builtin, folder, kaggle, urls
from photochrom.sources.record import SourceImage, fault_kind

__all__ = ["KINDS", "SourceImage", "faults_by_source", "list_all"]

KINDS = {
    "builtin": builtin.list_images,
    "folder": folder.list_images,
    "kaggle": kaggle.list_images,
    "urls": urls.list_images,
}


def list_all(sources: Sequence[dict[str, Any]], images_dir: Path) -> Iterator[SourceImage]:
    """The pictures of several sources in order, each with an id of its own.

    A source is a dict with `kind` and what that kind needs. Where an id comes up again (exact
    copies), the later ones end in -2, -3, ... Raises StageError for a source that does not exist.
    """
    taken: dict[str, int] = {}
    for source in sources:
        for image in _lister(source)(source, images_dir):
            taken[image.id] = taken.get(image.id, 0) + 1
            if taken[image.id] > 1:
                image = dataclasses.replace(image, id=f"{image.id}-{taken[image.id]}")
            yield image


def faults_by_source(images: Iterable[SourceImage]) -> dict[str, Counter[str]]:
    """How many files of each source cannot be used, by kind of fault."""
    faults: dict[str, Counter[str]] = {}
    for image in images:
        if image.error:
            faults.setdefault(image.source, Counter())[fault_kind(image.error)] += 1
    return faults


def _lister(source: Any) -> Any:
    kind = source.get("kind") if isinstance(source, dict) else None
    if kind in KINDS:
        return KINDS[kind]
    close = get_close_matches(str(kind), KINDS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known kinds: {', '.join(KINDS)}"
    raise StageError(f"data.sources: {source!r} names no known kind of source; {hint}")
