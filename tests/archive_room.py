"""What the tests of the archive room share: pictures, a model without weights, a run by hand."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
import torch
from numpy.typing import NDArray
from torch import Tensor

from photochrom.archive.colorize import Job, colorize_rows
from photochrom.archive.plan import plan_archive
from photochrom.archive.provenance import Settings
from photochrom.archive.records import Status
from photochrom.images import path_from_text
from photochrom.models import Model
from photochrom.models.base import Colorizer

Samples = NDArray[Any]


class Slanted(Colorizer):
    """Chroma that grows with lightness and along the rows: every hue, in part beyond sRGB."""

    multiple = 4

    def __init__(self, strength: float = 0.5) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, L: Tensor) -> Tensor:
        along = torch.linspace(-1, 1, L.shape[-1]).expand_as(L)
        return self.strength * torch.cat([along, (L + along) / 2], dim=1)


def fake_model(strength: float = 0.5, digest: str = "d" * 64, size: int = 16) -> Model:
    metadata = {"experiment": "fake", "phase": "none", "network": {"name": "slanted"}}
    return Model(Slanted(strength).eval(), metadata, digest, size, Slanted.multiple)


def grey(height: int, width: int, bits: int = 8, seed: int = 0) -> Samples:
    """A picture with smooth tones, noise, and full black and white."""
    rng = np.random.default_rng(seed)
    tones = np.add.outer(np.linspace(0, 1, height), np.linspace(0, 1, width)) / 2
    tones = np.clip(tones + rng.normal(0, 0.05, tones.shape), 0, 1)
    tones.flat[0], tones.flat[-1] = 0, 1
    return np.rint(tones * (2**bits - 1)).astype(np.uint16 if bits == 16 else np.uint8)


def save(path: Path, pixels: Samples, **options: object) -> Path:
    """Write a picture in the format of its suffix, whatever bytes its name holds."""
    image = pyvips.Image.new_from_array(pixels)
    if pixels.dtype == np.uint16:
        image = image.copy(interpretation="grey16" if pixels.ndim == 2 else "rgb16")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image.write_to_buffer(path.suffix, **options))
    return path


def read(path: Path) -> pyvips.Image:
    return pyvips.Image.new_from_buffer(path.read_bytes(), "", fail_on="warning")


def run(
    archive: Path,
    out: Path,
    *,
    model: Model | None = None,
    settings: Settings | None = None,
    threads: int = 1,
) -> dict[str, Status]:
    """Plan and colorize a folder; the statuses by path, of planned failures too."""
    settings = settings or Settings()
    rows = plan_archive(str(archive), settings.format)
    job = Job(out, model or fake_model(), settings, threads)
    statuses = colorize_rows([row for row in rows if not row.status], job)
    refused = [Status(row.path, row.status, row.reason) for row in rows if row.status]
    return {status.path: status for status in [*statuses, *refused]}


def contents(folder: Path) -> Mapping[str, bytes]:
    """Every file below a folder, by its relative name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def pillow_bytes(pixels: Samples, **options: Any) -> bytes:
    """A JPEG by Pillow, for EXIF that libvips would tidy up."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


def sidecar(out: Path, status: Status) -> dict[str, Any]:
    """What the sidecar of a finished file says."""
    record: dict[str, Any] = json.loads((out / path_from_text(status.sidecar)).read_text())
    return record


def make_scans(archive: Path) -> Path:
    """An archive of good pictures in every format that derivatives keep."""
    save(archive / "a.jpg", grey(40, 60), Q=90)
    save(archive / "b" / "c.png", grey(30, 20, bits=16))
    save(archive / "b" / "d.tif", grey(25, 35, bits=16), compression="none")
    save(archive / "e.webp", grey(33, 21))
    return archive
