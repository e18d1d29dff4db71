"""Manifests: what people say of photographs in a table beside them."""

import dataclasses
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from photochrom.images import path_from_text
from photochrom.runtime import StageError, log
from photochrom.sources.record import SourceImage
from photochrom.tables import Row, read_list


def credited(images: Iterator[SourceImage], manifest: Path) -> Iterator[SourceImage]:
    """Pictures with the licence and attribution that a manifest states for their names.

    The manifest has the columns file (a picture's name, as it is on disk or as tables write it),
    licence and attribution; where it also has sha256, a picture whose content differs cannot be
    used; where it has subject, that is what they show. Photographs that the manifest does not name
    keep no licence, and the log says how many.
    """
    stated = _read_manifest(manifest)
    unnamed = 0
    for image in images:
        on_disk = _plain(os.fspath(path_from_text(image.original_name)))
        row = stated.get(on_disk) or stated.get(_plain(image.original_name))
        if row is None:
            unnamed += not image.error
            yield image
            continue
        image = dataclasses.replace(
            image,
            licence=row["licence"],
            attribution=row["attribution"],
            subject=row["subject"],
        )
        expected = row["sha256"].lower()
        if expected and not image.error and image.sha256 != expected:
            error = f"differs from its sha256 in {manifest.name}: damaged or replaced"
            image = dataclasses.replace(image, width=0, height=0, error=error)
        yield image
    if unnamed:
        log.warning("%s does not name %d of the pictures; no licence is known", manifest, unnamed)


def _read_manifest(path: Path) -> dict[str, Row]:
    stated: dict[str, Row] = {}
    for row in read_list(path, ("file", "licence", "attribution"), ("sha256", "subject")):
        line, name = row.pop("line"), row["file"]
        if stated.setdefault(_plain(name), row) != row:
            raise StageError(f"{path}: line {line} contradicts what it said of {name}; mend it")
    return stated


def _plain(name: str) -> str:
    """A name as all its spellings become: no ./ in front, accents composed (macOS parts them)."""
    return unicodedata.normalize("NFC", os.path.normpath(name))
