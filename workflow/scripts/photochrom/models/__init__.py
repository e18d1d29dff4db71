"""Networks by name, and the one file format in which their weights are kept.

A model is a safetensors file. Its only metadata entry, `photochrom`, is JSON with sorted keys (one
entry, because safetensors writes several in random order), so that equal weights and equal
metadata give equal bytes.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from photochrom.clahe import Clahe
from photochrom.color import AB_SCALE, L_SCALE
from photochrom.models.base import Colorizer, Distribution
from photochrom.models.encoder_unet import EncoderUNet
from photochrom.models.fusion import Fusion
from photochrom.models.photochrom import Photochrom
from photochrom.models.unet import unet
from photochrom.models.zhang16 import Zhang16
from photochrom.runtime import EXIT_MISSING, EXIT_MODEL, StageError, write_bytes
from photochrom.shipped import cure, missing, published_digest

FORMAT_VERSION = 1

NETWORKS: dict[str, Callable[..., Colorizer]] = {
    "encoder-unet": EncoderUNet,
    "fusion": Fusion,
    "photochrom": Photochrom,
    "unet": unet,
    "zhang16": Zhang16,
}


@dataclass(frozen=True)
class Model:
    """A trained network, in evaluation mode, and where it comes from.

    `digest` is the hex SHA-256 of the file, `size` the side in pixels of the last training
    phase, `multiple` what height and width must be multiples of, `smooth` how much its chroma
    is smoothed where it is enlarged (`smoothing`).
    """

    network: Colorizer
    metadata: dict[str, Any]
    digest: str
    size: int
    multiple: int
    smooth: float = 0.0


def build(network: Mapping[str, Any], clahe: Clahe | None = None) -> Colorizer:
    """A new network from its config, {name, options...}. ValueError when there is no such one.

    `clahe` is done to the lightness that it sees.
    """
    options = {key: value for key, value in network.items() if key != "name"}
    name = network.get("name")
    if name not in NETWORKS:
        raise ValueError(f"no network is called {name!r}; there is {', '.join(sorted(NETWORKS))}")
    try:
        built = NETWORKS[name](**options)
    except TypeError as error:
        raise ValueError(f"network {name}: {error}") from error
    built.clahe = clahe
    return built


def save_model(path: Path, module: nn.Module, metadata: Mapping[str, Any]) -> None:
    """Write weights and metadata atomically; equal arguments give equal bytes.

    `metadata` is JSON and names at least `network` (its config) and `size`; format version,
    colour constants and digests are added here. Weights that are not finite are never written.
    """
    tensors = {name: value.cpu().contiguous() for name, value in module.state_dict().items()}
    broken = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if broken:
        raise StageError(f"{path} is not written: {broken[0]} is not finite", EXIT_MODEL)
    complete = {
        **metadata,
        "format_version": FORMAT_VERSION,
        "L_scale": L_SCALE,
        "ab_scale": AB_SCALE,
        "weights_sha256": weights_sha256(tensors),
    }
    complete["metadata_sha256"] = metadata_sha256(complete)
    entry = json.dumps(complete, sort_keys=True, allow_nan=False)
    write_bytes(path, safetensors.torch.save(tensors, {"photochrom": entry}))


def load_model(path: Path, device: torch.device | str = "cpu") -> Model:
    """Read a model; StageError with EXIT_MODEL when it is not exactly what was written.

    Refused are files that are truncated or altered, come from another program or a newer format,
    hold another architecture than their metadata says, or were trained with other colour
    constants; and where a NAME.sha256 lies beside NAME.safetensors, any other file than it names.
    EXIT_MISSING when there is no such file.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise StageError(missing(path), EXIT_MISSING) from None
    found = hashlib.sha256(data).hexdigest()
    expected = published_digest(path)
    try:
        model = _read_model(data, torch.device(device))
        if expected not in (None, found):
            raise ValueError("it is not the one that was published")
    except ValueError as error:
        known = "none is on record beside it" if expected is None else f"expected is {expected}"
        raise StageError(
            f"model {path} is refused: {error}; its SHA-256 is {found}, {known}; {cure(path)}",
            EXIT_MODEL,
        ) from error
    return model


def _read_model(data: bytes, device: torch.device) -> Model:
    """The model in a file's content; ValueError says why it is refused."""
    try:
        tensors = safetensors.torch.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        entry = header.get("__metadata__", {}).get("photochrom")
        metadata = None if entry is None else json.loads(entry)
    except (SafetensorError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"it is not a whole safetensors file ({error})") from error
    if not isinstance(metadata, dict):
        raise ValueError("it was not written by Photochrom")
    if metadata.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"its format is {metadata.get('format_version')}, this software reads {FORMAT_VERSION}"
        )
    if metadata.get("metadata_sha256") != metadata_sha256(metadata) or metadata.get(
        "weights_sha256"
    ) != weights_sha256(tensors):
        raise ValueError("its checksum does not match: it was damaged or altered")
    if (metadata.get("L_scale"), metadata.get("ab_scale")) != (L_SCALE, AB_SCALE):
        raise ValueError(
            f"its colour constants are L {metadata.get('L_scale')}, ab {metadata.get('ab_scale')}; "
            f"this software uses L {L_SCALE}, ab {AB_SCALE}"
        )
    if not isinstance(metadata.get("network"), dict) or not isinstance(metadata.get("size"), int):
        raise ValueError("it does not say which network it holds, or of what size")
    with torch.device("meta"):  # no memory and no random numbers before the shapes are compared
        network = build(metadata["network"], input_of(metadata))
    _compare_shapes(network.state_dict(), tensors)
    network.to_empty(device=device)
    network.load_state_dict(tensors)
    if isinstance(network, Distribution) and not np.array_equal(
        network.bins.cpu().numpy(), network.own_bins
    ):
        raise ValueError("its colour bins are not those of this software")
    return Model(
        network=network.eval(),
        metadata=metadata,
        digest=hashlib.sha256(data).hexdigest(),
        size=metadata["size"],
        multiple=network.multiple,
        smooth=metadata["network"].get("smooth", 0.0),
    )


def input_of(metadata: Mapping[str, Any]) -> Clahe | None:
    """The input transform that a model was trained with; files without the key had none."""
    clahe = (metadata.get("input") or {}).get("clahe")
    try:
        return None if clahe is None else Clahe(**clahe)
    except TypeError as error:
        raise ValueError(f"its input transform is unknown: {error}") from error


def _compare_shapes(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """ValueError unless both have the same names, shapes and types."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            raise ValueError(f"another architecture than it says: {name} is missing")
        if name not in expected:
            raise ValueError(f"another architecture than it says: {name} is not part of it")
        mine, its = expected[name], found[name]
        if mine.shape != its.shape or mine.dtype != its.dtype:
            raise ValueError(
                f"another architecture than it says: {name} is {its.dtype} {list(its.shape)}, "
                f"not {mine.dtype} {list(mine.shape)}"
            )


def weights_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Hex SHA-256 over the names, types, shapes and bytes of tensors, in the order of names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def metadata_sha256(metadata: Mapping[str, Any]) -> str:
    """Hex SHA-256 over the metadata but this digest itself."""
    rest = {key: value for key, value in metadata.items() if key != "metadata_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
