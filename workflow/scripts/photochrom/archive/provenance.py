"""What a derivative says of itself: the XMP inside it, the JSON sidecar beside it.

The sidecar also tells whether a derivative is finished: it names the digests of everything that
went in, and of the picture that came out.
"""

import difflib
import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from photochrom.archive.records import FORMATS
from photochrom.runtime import StageError, sha256_file, sha256_text
from photochrom.version import __version__

# Of the sidecar: a number that grows when its meaning changes.
SIDECAR_FORMAT = 2

# IPTC's word for a photograph that a trained model has added to (cv.iptc.org).
DIGITAL_SOURCE_TYPE = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)
STATEMENT = (
    "Colorized derivative. The colours are estimates of a trained model, not a record of the "
    "scene; the lightness is that of the original."
)

# What decides how a derivative looks, besides the libraries: a change here makes all of them
# stale. Relative to the package photochrom; a test holds it against the imports.
CODE = (
    "archive/colorize.py",
    "archive/encode.py",
    "archive/hints.py",
    "archive/integers.py",
    "archive/picture.py",
    "archive/provenance.py",
    "archive/samples.py",
    "archive/scan.py",
    "archive/spreading.py",
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
    "models/photochrom.py",
    "models/unet.py",
    "models/zhang16.py",
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

# A JPEG segment holds 64 KiB; an original's XMP above this is not carried over.
MAX_XMP_BYTES = 60_000

_NAMESPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stRef": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    # Not ours, but often met: some readers know these by their customary prefix only.
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
}
# Properties that describe the original's pixels or its making, and would be false here.
_NOT_KEPT = (
    "tiff:Orientation",
    "tiff:BitsPerSample",
    "tiff:SamplesPerPixel",
    "tiff:PhotometricInterpretation",
    "tiff:ImageWidth",
    "tiff:ImageLength",
    "exif:ColorSpace",
    "exif:PixelXDimension",
    "exif:PixelYDimension",
    "photoshop:ColorMode",
    "photoshop:ICCProfile",
    "xmpMM:DerivedFrom",
    "Iptc4xmpExt:DigitalSourceType",
)


class XmpError(Exception):
    """An original's XMP that cannot be carried over; the text says why in a few words."""


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
    if settings.toned not in TONED:
        raise StageError(f"toned is {settings.toned}; it may be {', '.join(TONED)}")
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


def sidecar_record(
    *,
    key: Key,
    original: dict[str, Any],
    output: dict[str, Any],
    lightness: dict[str, Any],
    chroma: dict[str, Any],
    uncertainty: dict[str, Any],
    hints: list[dict[str, Any]],
    model: dict[str, Any],
    settings: Settings,
    notes: list[str],
    warnings: list[str],
) -> dict[str, Any]:
    """A sidecar's content. It holds no times and no absolute paths, so that equal runs are equal.

    `original` and `output` describe the two files, `lightness` and `chroma` what was measured,
    `uncertainty` how sure the model was, `hints` whose colours it was given and from where, `model`
    what it says of itself. `notes` say what was done and is no cause for doubt, `warnings` what is.
    """
    return {
        "format": SIDECAR_FORMAT,
        "statement": STATEMENT,
        "digital_source_type": DIGITAL_SOURCE_TYPE,
        "key": asdict(key),
        "original": original,
        "output": output,
        "lightness": lightness,
        "chroma": chroma,
        "uncertainty": uncertainty,
        "hints": hints,
        "model": model,
        "settings": asdict(settings),
        "software": {
            "photochrom": __version__,
            **{name: version(name) for name in ("pyvips", "pyvips-binary", "numpy", "torch")},
        },
        "notes": notes,
        "warnings": warnings,
    }


def xmp_packet(original_sha256: str, existing: bytes | None = None) -> bytes:
    """The XMP of a derivative: the original's, with what it is now.

    Set are the IPTC digital source type and what it derives from; a description and the creator
    tool only where the original has none; properties of the original's pixels are left out.
    Raises XmpError when `existing` cannot be carried over.
    """
    for prefix, uri in _NAMESPACES.items():
        ElementTree.register_namespace(prefix, uri)
    root = ElementTree.Element(_name("rdf:RDF")) if existing is None else _parse(existing)
    descriptions = root.findall(_name("rdf:Description"))
    for description in descriptions:
        for name in map(_name, _NOT_KEPT):
            description.attrib.pop(name, None)
            for element in description.findall(name):
                description.remove(element)
        if not len(description) and set(description.attrib) <= {_name("rdf:about")}:
            root.remove(description)
    ours = ElementTree.SubElement(root, _name("rdf:Description"), {_name("rdf:about"): ""})
    if descriptions:  # all descriptions of a packet are about the same resource
        ours.set(_name("rdf:about"), descriptions[0].get(_name("rdf:about"), ""))
    ElementTree.SubElement(ours, _name("Iptc4xmpExt:DigitalSourceType")).text = DIGITAL_SOURCE_TYPE
    derived = ElementTree.SubElement(
        ours, _name("xmpMM:DerivedFrom"), {_name("rdf:parseType"): "Resource"}
    )
    ElementTree.SubElement(derived, _name("stRef:instanceID")).text = f"sha256:{original_sha256}"
    if not _has(descriptions, "xmp:CreatorTool"):
        ElementTree.SubElement(ours, _name("xmp:CreatorTool")).text = f"Photochrom {__version__}"
    if not _has(descriptions, "dc:description"):
        texts = ElementTree.SubElement(
            ElementTree.SubElement(ours, _name("dc:description")), _name("rdf:Alt")
        )
        text = ElementTree.SubElement(
            texts,
            _name("rdf:li"),
            {"{http://www.w3.org/XML/1998/namespace}lang": "x-default"},
        )
        text.text = STATEMENT
    meta = ElementTree.Element(_name("x:xmpmeta"))
    meta.append(root)
    body = ElementTree.tostring(meta, encoding="unicode")
    packet = (
        f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n{body}\n<?xpacket end="w"?>'
    ).encode()
    if len(packet) > MAX_XMP_BYTES:
        raise XmpError(f"its XMP is too large ({len(packet)} bytes)")
    return packet


def _parse(packet: bytes) -> ElementTree.Element:
    """The rdf:RDF element of a packet."""
    # A document type could define entities that grow without bound.
    if b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        raise XmpError("its XMP has a document type")
    try:
        root = ElementTree.fromstring(packet.strip(b"\0 \n\r\t"))
    except (ElementTree.ParseError, ValueError) as error:
        raise XmpError("its XMP cannot be read") from error
    found = root if root.tag == _name("rdf:RDF") else root.find(_name("rdf:RDF"))
    if found is None:
        raise XmpError("its XMP has no RDF")
    return found


def _has(descriptions: list[ElementTree.Element], name: str) -> bool:
    return any(
        description.find(_name(name)) is not None or _name(name) in description.attrib
        for description in descriptions
    )


def _name(name: str) -> str:
    """`prefix:local` as ElementTree writes it."""
    prefix, local = name.split(":")
    return f"{{{_NAMESPACES[prefix]}}}{local}"
