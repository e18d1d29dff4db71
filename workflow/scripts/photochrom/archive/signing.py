"""Content credentials (C2PA): a derivative signed with the archive's own certificate.

The claim says what the XMP says too, that the picture is of a trained model's making, and names the
original by its digest; the signature shows who says so, and any later change to the file. It is
made with random numbers, so that signed derivatives differ from run to run in their bytes (not in
their pixels), and without a network: there is no time stamp of an authority.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photochrom.archive.encode import EncodeError
from photochrom.archive.xmp import DIGITAL_SOURCE_TYPES
from photochrom.runtime import EXIT_MISSING, StageError
from photochrom.version import __version__

ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")
MEDIA_TYPES = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "tiff": "image/tiff",
    "pyramid": "image/tiff",
    "webp": "image/webp",
}


@dataclass(frozen=True)
class Seal:
    """What derivatives are signed with.

    `sign(path, format, source type, sha256 of the original)` signs the file in place; EncodeError
    when it cannot be signed. `certificate` is the SHA-256 of the file of certificates.
    """

    sign: Callable[[Path, str, str, str], None]
    certificate: str


def read_seal(certificate: Path, key: Path, algorithm: str) -> Seal:
    """A seal of a chain of certificates and its private key, both PEM without a password.

    Raises StageError when a file cannot be read, the two do not fit, or the package is missing.
    """
    if algorithm not in ALGORITHMS:
        raise StageError(f"c2pa: no algorithm {algorithm}; there is {', '.join(ALGORITHMS)}")
    try:
        import c2pa
    except ImportError:
        raise StageError(
            "c2pa: signing needs the package c2pa-python; install the extras with: make extras",
            EXIT_MISSING,
        ) from None
    try:
        chain, secret = certificate.read_bytes(), key.read_bytes()
    except OSError as error:
        raise StageError(f"c2pa: cannot read {error.filename}: {error.strerror}") from error
    try:
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(algorithm.encode(), chain, secret, None))
        # Without this a thumbnail many times the size of a small scan would go into each file.
        plain = c2pa.Settings.from_dict({"builder": {"thumbnail": {"enabled": False}}})
        context = c2pa.Context.builder().with_settings(plain).with_signer(signer).build()
    except c2pa.C2paError as error:
        raise StageError(f"c2pa: {certificate} and {key} cannot sign: {_words(error)}") from error

    def sign(path: Path, name: str, source_type: str, original: str) -> None:
        signed = path.with_name(f"{path.name}.signed")
        try:
            with path.open("rb") as file, signed.open("w+b") as target:
                claim = json.dumps(_claim(source_type, original))
                builder = c2pa.Builder.from_json(claim, context)
                builder.sign(MEDIA_TYPES[name], file, target)
            os.replace(signed, path)
        except c2pa.C2paError as error:
            raise EncodeError(f"cannot be signed as {name.upper()}: {_words(error)}") from error
        finally:
            signed.unlink(missing_ok=True)

    return Seal(sign, hashlib.sha256(chain).hexdigest())


def _claim(source_type: str, original: str) -> dict[str, Any]:
    action = {"action": "c2pa.created", "digitalSourceType": DIGITAL_SOURCE_TYPES + source_type}
    return {
        "claim_generator_info": [{"name": "Photochrom", "version": __version__}],
        "title": f"colorized derivative of sha256:{original}",
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
    }


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
