"""Content credentials: who signed, what is claimed, and that a change shows."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import c2pa
import jsonschema
import numpy as np
import pytest

from archive_room import fake_model, grey, read, save
from certificates import make_seal
from photochrom.archive.colorize import colorize_rows
from photochrom.archive.job import Job
from photochrom.archive.plan import plan_archive
from photochrom.archive.provenance import Settings
from photochrom.archive.signing import MEDIA_TYPES, read_seal
from photochrom.runtime import StageError, sha256_file

SCHEMA = Path(__file__).resolve().parents[2] / "workflow" / "schemas" / "sidecar.schema.json"
NAMES = {"a.jpg": "jpeg", "b.png": "png", "c.tif": "tiff", "d.webp": "webp"}


@pytest.fixture
def job(tmp_path: Path) -> Job:
    for number, name in enumerate(NAMES):
        save(tmp_path / "scans" / name, grey(40, 30, seed=number))
    seal = read_seal(*make_seal(tmp_path / "keys"), "es256")
    return Job(tmp_path / "out", fake_model(), Settings(), 1, seal=seal)


def seen(content: bytes, name: str) -> dict[str, Any]:
    """What a C2PA reader says of a file."""
    report: dict[str, Any] = json.loads(c2pa.Reader(MEDIA_TYPES[name], io.BytesIO(content)).json())
    return report


def test_every_format_is_signed_and_says_what_it_is(job: Job, tmp_path: Path) -> None:
    rows = plan_archive(str(tmp_path / "scans"))
    statuses = colorize_rows(rows, job)
    assert {status.status for status in statuses} == {"done"}
    for row, status in zip(rows, statuses, strict=True):
        path = job.out / status.output
        report = seen(path.read_bytes(), NAMES[row.path])
        assert report["validation_state"] == "Valid"
        manifest = report["manifests"][report["active_manifest"]]
        assert manifest["signature_info"]["common_name"] == "Archive"
        assert row.sha256 in manifest["title"]
        assert "compositeWithTrainedAlgorithmicMedia" in json.dumps(manifest["assertions"])
        assert b"Iptc4xmpExt:DigitalSourceType" in read(path).get("xmp-data")
        assert status.output_sha256 == sha256_file(path)
        sidecar = json.loads(path.with_name(f"{path.name}.json").read_text())
        jsonschema.validate(sidecar, json.loads(SCHEMA.read_text()))
        chain = sha256_file(tmp_path / "keys" / "chain.pem")
        assert sidecar["signature"] == {"certificate_sha256": chain}
    assert not list(job.out.rglob("*.signed"))


def test_the_pixels_are_those_of_an_unsigned_derivative(job: Job, tmp_path: Path) -> None:
    rows = plan_archive(str(tmp_path / "scans"))
    signed = colorize_rows(rows, job)
    plain = colorize_rows(rows, replace(job, out=tmp_path / "plain", seal=None))
    for one, other in zip(signed, plain, strict=True):
        pictures = [read(job.out / one.output), read(tmp_path / "plain" / other.output)]
        np.testing.assert_array_equal(*(picture.numpy() for picture in pictures))
        assert one.output_sha256 != other.output_sha256


def test_a_change_after_the_signature_shows(job: Job, tmp_path: Path) -> None:
    row = plan_archive(str(tmp_path / "scans"))[1]
    (status,) = colorize_rows([row], job)
    content = bytearray((job.out / status.output).read_bytes())
    content[-30] ^= 1
    assert seen(bytes(content), "png")["validation_state"] == "Invalid"


def test_another_certificate_makes_derivatives_anew_and_the_same_does_not(
    job: Job, tmp_path: Path
) -> None:
    rows = plan_archive(str(tmp_path / "scans"))
    first = colorize_rows(rows, job)
    again = colorize_rows(rows, job)
    assert [one.output_sha256 for one in first] == [one.output_sha256 for one in again]
    other = replace(job, seal=read_seal(*make_seal(tmp_path / "others"), "es256"))
    anew = colorize_rows(rows, other)
    assert all(a.output_sha256 != b.output_sha256 for a, b in zip(first, anew, strict=True))


def test_what_cannot_sign_is_refused_at_once(tmp_path: Path) -> None:
    chain, key = make_seal(tmp_path / "keys")
    with pytest.raises(StageError, match=r"cannot read .*none\.pem"):
        read_seal(chain, tmp_path / "none.pem", "es256")
    with pytest.raises(StageError, match="no algorithm rot13"):
        read_seal(chain, key, "rot13")
    key.write_text("no key")
    with pytest.raises(StageError, match="cannot sign"):
        read_seal(chain, key, "es256")
