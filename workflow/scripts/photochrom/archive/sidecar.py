"""The sidecar of a derivative: what it was made from, by what, and what was measured on it.

Its schema is workflow/schemas/sidecar.schema.json. It holds no times and no absolute paths, so that
equal runs give equal bytes.
"""

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from photochrom.archive.encode import ENCODERS, LOSSY, format_of, margin_of
from photochrom.archive.hints import Hint, cited
from photochrom.archive.integers import LIGHTNESS_LIMIT
from photochrom.archive.job import Job
from photochrom.archive.picture import Colorized, lightness_loss
from photochrom.archive.provenance import SIDECAR_FORMAT, Key
from photochrom.archive.records import Planned
from photochrom.archive.scan import Scan
from photochrom.archive.xmp import DIGITAL_SOURCE_TYPES, STATEMENT
from photochrom.images import open_image
from photochrom.runtime import sha256_file
from photochrom.version import __version__

# Mean chroma (Lab units) below which nobody would see that a picture was colorized.
HARDLY_ANY_COLOUR = 1.0

SOFTWARE = ("pyvips", "pyvips-binary", "numpy", "torch")
MODEL_KEYS = ("experiment", "phase", "network", "exported_from")


def sidecar_record(
    *,
    row: Planned,
    key: Key,
    job: Job,
    scan: Scan,
    picture: Colorized,
    output: Path,
    metadata: dict[str, Any],
    hints: list[Hint],
    notes: list[str],
    warnings: list[str],
) -> dict[str, Any]:
    """The content of the sidecar of the derivative that lies at `output`.

    `metadata` says how the original's tags came along and which did not. `notes` say what was done
    and is no cause for doubt, `warnings` what is.
    """
    size = {"width": scan.picture.width, "height": scan.picture.height}
    margin = margin_of(scan.picture.width, scan.picture.height, job.settings.caption)
    name = format_of(output, job.settings.format)
    exported = job.model.metadata.get("exported_from")
    software = (*SOFTWARE, "onnxruntime") if exported else SOFTWARE
    return {
        "format": SIDECAR_FORMAT,
        "statement": STATEMENT,
        "digital_source_type": DIGITAL_SOURCE_TYPES + job.settings.digital_source_type,
        "key": asdict(key),
        "original": {
            "path": row.path,
            "bytes": int(row.bytes),
            **size,
            "bits": scan.bits,
            "loader": scan.loader,
            "tint": {what: round(value, 3) for what, value in asdict(scan.tint).items()},
        },
        "output": {
            "path": row.output,
            "sha256": sha256_file(output),
            "width": size["width"],
            "height": size["height"] + margin,
            **({"margin": margin} if margin else {}),
            "bits": picture.bits,
            "format": name,
            "encoder": ENCODERS[name],
            "profile": "sRGB",
        },
        "lightness": {
            "max_dL": round(picture.max_error, 5),
            "mean_dL": round(picture.mean_error, 5),
            "limit": LIGHTNESS_LIMIT[picture.bits],
            "measured": "|dL*| of every pixel, scan against the integers before encoding",
        },
        "encoding": _encoding(picture, output, name, job.threads),
        "metadata": metadata,
        **({"signature": {"certificate_sha256": job.seal.certificate}} if job.seal else {}),
        "chroma": {
            "mean": round(picture.chroma, 3),
            "share_of_pixels_reduced": round(picture.reduced, 6),
        },
        "uncertainty": _uncertainty(picture, job),
        "hints": cited(hints),
        "model": {
            **{name: job.model.metadata.get(name) for name in MODEL_KEYS},
            "network_size": list(reversed(picture.seen.shape)),
        },
        "settings": asdict(job.settings),
        "software": {"photochrom": __version__, **{name: version(name) for name in software}},
        "notes": notes,
        "warnings": warnings,
    }


def warnings_of(scan: Scan, picture: Colorized, name: str) -> list[str]:
    """What a person should know of a derivative made all the same in the format `name`."""
    depth = picture.bits
    warnings = []
    if not scan.profile_fits:
        warnings.append("its colour profile cannot be used and was ignored")
    if depth < scan.bits:
        warnings.append(
            f"{scan.bits} bits became {depth}, more than which {name.upper()} does not hold"
        )
    if scan.alpha is not None and name == "jpeg":
        warnings.append("its transparency was left out, which JPEG does not hold")
    if picture.max_error > LIGHTNESS_LIMIT[depth]:
        warnings.append(f"its lightness is off by up to {picture.max_error:.2f}")
    if picture.chroma < HARDLY_ANY_COLOUR:
        warnings.append(f"hardly any colour: mean chroma {picture.chroma:.1f}")
    return warnings


def _encoding(picture: Colorized, output: Path, name: str, threads: int) -> dict[str, Any]:
    """What the encoder itself did to the lightness, measured where it loses any."""
    if name not in LOSSY:
        return {"lossless": True, "max_dL": None, "mean_dL": None}
    # A margin adds less than its least height or the picture's own.
    width, height = picture.picture.width, picture.picture.height
    written = open_image(output, width * (2 * height + 100))
    largest, mean = lightness_loss(picture.picture, written, threads)
    return {"lossless": False, "max_dL": round(largest, 5), "mean_dL": round(mean, 5)}


def _uncertainty(picture: Colorized, job: Job) -> dict[str, Any]:
    """How sure the model was of a picture, and what that is worth."""
    mean = float(picture.uncertainty.mean(dtype=float))
    kind = "entropy" if hasattr(job.model.network, "judged") else "disagreement"
    known = job.calibration
    worth: dict[str, Any]
    if known is None:
        worth = {"confidence": None, "expected_ciede2000": None, "calibration": job.uncalibrated}
    else:
        worth = {
            "confidence": round(known.confidence_at(mean), 4),
            "expected_ciede2000": round(known.error_at(mean), 3),
            "calibration": f"{known.photographs} photographs",
        }
    return {"mean": round(mean, 5), "kind": kind, **worth}
