"""The networks whose features tell how far pictures are from photographs as a whole.

`lite2` is the offline evaluation network, `inception` pytorch-fid's, and `inception-clean` the same
on pictures that are resized as clean-fid does. What they see in the test photographs is the same
for every row, so it is seen once and kept in a file, the reference.
"""

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from photochrom.metrics.frechet import (
    FID_MIN_IMAGES,
    NotComputedError,
    clean_resized,
    inception_features,
    load_inception,
)
from photochrom.metrics.lite2 import MIN_PICTURES, lite2_features, load_lite2
from photochrom.metrics.perceptual import load_lpips
from photochrom.metrics.photographs import Photograph
from photochrom.metrics.pixel import Picture
from photochrom.runtime import StageError, existing_file, write_bytes

Features = NDArray[np.float32]
NAMES = ("lite2", "inception", "inception-clean")


@dataclass(frozen=True)
class Eyes:
    """`see[name]` gives the features (F,) of a picture; `missing[name]` says why one cannot.

    `lpips` is the network of `perceptual`, which compares pair by pair, or None.
    """

    see: Mapping[str, Callable[[Picture], Features]]
    missing: Mapping[str, str]
    lpips: Any = None


@dataclass(frozen=True)
class Reference:
    """What the eyes see in the photographs: features (N, F) by name, in the order of `ids`.

    `contents` are the photographs' digests, `colourfulness` (N,) is theirs when `thinned`.
    """

    ids: Sequence[str]
    contents: Sequence[str]
    colourfulness: NDArray[np.float64]
    features: Mapping[str, Features]
    missing: Mapping[str, str]

    def lacks(self, ids: Sequence[str]) -> int:
        """How many of some photographs are not in it."""
        return len(set(ids) - set(self.ids))

    def of(self, name: str, ids: Sequence[str]) -> Features:
        """The features (n, F) of some photographs."""
        return self.features[name][self._places(ids)]

    def mean_colourfulness(self, ids: Sequence[str]) -> float:
        """The mean colourfulness of some photographs, thinned."""
        return float(self.colourfulness[self._places(ids)].mean())

    def _places(self, ids: Sequence[str]) -> list[int]:
        places = {id: place for place, id in enumerate(self.ids)}
        return [places[id] for id in ids]


def load_eyes(count: int, device: torch.device, distances: bool = True) -> Eyes:
    """The eyes for so many photographs, as far as they can be had; or that of LPIPS alone."""
    if not distances:
        lpips, without = _lpips(device)
        return Eyes({}, without, lpips)
    see: dict[str, Callable[[Picture], Features]] = {}
    missing: dict[str, str] = {}
    try:
        _enough(count, MIN_PICTURES, "these distances need")
        lite2 = load_lite2(device)
        see["lite2"] = lambda picture: lite2_features(lite2, _batch(picture, device))[0]
    except NotComputedError as error:
        missing["lite2"] = f"not computed: {error}"
    try:
        _enough(count, FID_MIN_IMAGES, "a FID needs", "; kid_lite2 needs fewer")
        inception = load_inception(device)
        see["inception"] = lambda picture: _inception(inception, picture)
        see["inception-clean"] = lambda picture: _inception(inception, clean_resized(picture))
    except NotComputedError as error:
        missing |= dict.fromkeys(("inception", "inception-clean"), f"not computed: {error}")
    lpips, without = _lpips(device)
    return Eyes(see, missing | without, lpips)


def _lpips(device: torch.device) -> tuple[Any, dict[str, str]]:
    """The network of LPIPS, or why there is none."""
    try:
        return load_lpips(device), {}
    except NotComputedError as error:
        return None, {"lpips": f"not computed: {error}"}


def write_reference(
    path: Path,
    photographs: Sequence[Photograph],
    colourfulness: Sequence[float],
    features: Mapping[str, Sequence[Features]],
    missing: Mapping[str, str],
) -> None:
    """Write what the eyes see in the photographs, atomically; equal content, equal bytes."""
    arrays: dict[str, NDArray[Any]] = {
        "ids": np.array([photograph.id for photograph in photographs], str),
        "contents": np.array([photograph.sha256 for photograph in photographs], str),
        "colourfulness": np.array(colourfulness, np.float64),
        "missing": np.array([f"{name} {missing[name]}" for name in NAMES if name in missing], str),
        **{f"features {name}": np.stack(rows) for name, rows in features.items() if rows},
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())


def read_reference(path: Path, photographs: Sequence[Photograph]) -> Reference:
    """Read the reference; StageError when it is damaged or of other photographs."""
    try:
        with np.load(existing_file(path, "reference.py"), allow_pickle=False) as file:
            ids, contents = file["ids"].tolist(), file["contents"].tolist()
            colourfulness = file["colourfulness"]
            missing = dict(text.split(" ", 1) for text in file["missing"].tolist())
            features = {
                name: file[f"features {name}"] for name in NAMES if f"features {name}" in file
            }
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise StageError(f"{path} cannot be used ({error}); make it again: reference.py") from error
    expected = {photograph.id: photograph.sha256 for photograph in photographs}
    if any(expected.get(id) != content for id, content in zip(ids, contents, strict=True)):
        raise StageError(f"{path} is of other photographs; make it again: reference.py")
    return Reference(ids, contents, colourfulness, features, missing)


def _inception(inception: torch.nn.Module, picture: NDArray[Any]) -> Features:
    return inception_features(inception, picture[None])[0].astype(np.float32)


def _batch(picture: Picture, device: torch.device) -> torch.Tensor:
    """sRGB uint8 (H, W, 3) as (1, 3, H, W) in [0, 1] on the device."""
    channels = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
    return channels[None].to(device).float() / 255


def _enough(count: int, least: int, needs: str, instead: str = "") -> None:
    if count < least:
        raise NotComputedError(f"{count:,} pictures, {needs} {least:,} or more{instead}")
