"""What decides how a derivative looks, and the sidecar beside it, which names all of that.

The sidecar also tells whether a derivative is finished: it holds the digests of everything that
went in, and of the picture that came out. Its schema is workflow/schemas/sidecar.schema.json.
"""

import difflib
import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from photochrom.archive.records import FORMATS
from photochrom.archive.xmp import SOURCE_TYPES
from photochrom.runtime import StageError, sha256_file, sha256_text

# Of the sidecar: a number that grows when its meaning changes.
SIDECAR_FORMAT = 3

# What decides how a derivative looks, besides the libraries: a change here makes all of them
# stale. Relative to the package photochrom; a test holds it against the imports.
CODE = (
    "archive/colorize.py",
    "archive/decisions.py",
    "archive/encode.py",
    "archive/hints.py",
    "archive/integers.py",
    "archive/job.py",
    "archive/metadata.py",
    "archive/picture.py",
    "archive/provenance.py",
    "archive/samples.py",
    "archive/scan.py",
    "archive/sidecar.py",
    "archive/signing.py",
    "archive/spreading.py",
    "archive/xmp.py",
    "calibration.py",
    "clahe.py",
    "color.py",
    "colour_bins.py",
    "guided.py",
    "images.py",
    "inference.py",
    "lab_arrays.py",
    "models/__init__.py",
    "models/attention.py",
    "models/base.py",
    "models/encoder_unet.py",
    "models/encoders.py",
    "models/fusion.py",
    "models/levin.py",
    "models/onnx.py",
    "models/photochrom.py",
    "models/unet.py",
    "models/zhang16.py",
    "pillow_images.py",
    "smoothing.py",
    "uncertainty.py",
)

# What toned prints may get, and the least and greatest of the settings that are numbers.
TONED = ("neutralise", "skip")
RANGES = (
    ("coloured_deviation", 0, 100),
    ("saturation", 0, 4),
    ("abstain", 0, 1),
    ("samples", 0, 16),
)


@dataclass(frozen=True)
class Settings:
    """The config's choices that reach a picture. `format` has already named the outputs."""

    format: str = "same"
    skip_coloured: bool = True
    # Lab units of deviation from any single toning above which a picture is coloured already.
    coloured_deviation: float = 2.5
    # What becomes of toned prints: neutralise or skip.
    toned: str = "neutralise"
    # The factor on the model's chroma.
    saturation: float = 1.0
    # The uncertainty above which colour is withheld; None for never.
    abstain: float | None = None
    # Plausible colorings on the contact sheet; 0 for no sheet.
    samples: int = 0
    # Whether a map of the uncertainty is written beside each derivative.
    uncertainty: bool = True
    # What stands in a margin below the picture; empty for no margin.
    caption: str = ""
    # Of SOURCE_TYPES.
    digital_source_type: str = SOURCE_TYPES[0]


@dataclass(frozen=True)
class Key:
    """Digests of all that a derivative is made from: equal keys give equal bytes."""

    original_sha256: str
    model_sha256: str
    settings_sha256: str
    code_sha256: str


def parse_settings(given: Any) -> Settings:
    """Settings from a config's mapping; StageError for anything that is not meant."""
    names = [field.name for field in fields(Settings)]
    if not isinstance(given, dict):
        raise StageError(f"the settings are {given!r}; they must name {', '.join(names)}")
    for name in given:
        if name not in names:
            close = difflib.get_close_matches(str(name), names, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; there is {', '.join(names)}"
            raise StageError(f"unknown setting {name}{hint}")
    settings = Settings(**given)
    if settings.format not in FORMATS:
        raise StageError(f"format is {settings.format}; it may be {', '.join(FORMATS)}")
    for name in ("skip_coloured", "uncertainty"):
        if not isinstance(getattr(settings, name), bool):
            raise StageError(f"{name} is {getattr(settings, name)}; it may be true or false")
    if not isinstance(settings.caption, str):
        raise StageError(f"caption is {settings.caption}; it may be a text, or empty for none")
    if settings.toned not in TONED:
        raise StageError(f"toned is {settings.toned}; it may be {', '.join(TONED)}")
    if settings.digital_source_type not in SOURCE_TYPES:
        raise StageError(
            f"digital_source_type is {settings.digital_source_type}; "
            f"it may be {', '.join(SOURCE_TYPES)}"
        )
    for name, least, most in RANGES:
        value = getattr(settings, name)
        if name == "abstain" and value is None:
            continue
        number = isinstance(value, int if name == "samples" else int | float)
        if isinstance(value, bool) or not number or not least <= value <= most:
            raise StageError(f"{name} is {value}; it may be a number from {least:g} to {most:g}")
    # 1 and 1.0 are one setting, and must have one digest.
    return replace(
        settings,
        coloured_deviation=float(settings.coloured_deviation),
        saturation=float(settings.saturation),
        abstain=None if settings.abstain is None else float(settings.abstain),
    )


def settings_digest(settings: Settings, extra: Any = None) -> str:
    """Hex SHA-256 over the settings, in an order of their own, and what else shapes a picture.

    `extra` is JSON, such as the hints for one file; None adds nothing.
    """
    given = asdict(settings) if extra is None else {**asdict(settings), "extra": extra}
    return sha256_text(json.dumps(given, sort_keys=True))


def code_digest() -> str:
    """Hex SHA-256 over the sources named in CODE."""
    package = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for name in CODE:
        text = (package / name).read_bytes()
        digest.update(f"{name} {len(text)}\n".encode() + text)
    return digest.hexdigest()


def finished(output: Path, sidecar: Path, key: Key) -> dict[str, Any] | None:
    """The sidecar of a derivative made from exactly `key` and unaltered since, else None."""
    try:
        record = json.loads(sidecar.read_text(encoding="utf-8"))
        if record["format"] != SIDECAR_FORMAT or record["key"] != asdict(key):
            return None
        return record if record["output"]["sha256"] == sha256_file(output) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
