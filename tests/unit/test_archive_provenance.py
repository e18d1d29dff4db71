"""A derivative says what it is; a sidecar tells whether it is finished."""

import ast
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from photochrom.archive import provenance
from photochrom.archive.provenance import (
    CODE,
    SIDECAR_FORMAT,
    Key,
    Settings,
    code_digest,
    finished,
    parse_settings,
    settings_digest,
)
from photochrom.archive.xmp import (
    DIGITAL_SOURCE_TYPES,
    SOURCE_TYPES,
    STATEMENT,
    XmpError,
    xmp_packet,
)
from photochrom.runtime import StageError, sha256_file, write_json

DIGITAL_SOURCE_TYPE = DIGITAL_SOURCE_TYPES + SOURCE_TYPES[0]
PACKAGE = Path(provenance.__file__).resolve().parents[1]
ROOT = PACKAGE.parents[2]
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
ORIGINAL = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="uuid:1" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:my="http://example.org/my/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" tiff:Orientation="6" my:box="12">
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">The mill</rdf:li></rdf:Alt></dc:description>
<e:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/negativeFilm</e:DigitalSourceType>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>  \0"""


def parsed(packet: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(packet.decode().strip())


def test_a_packet_names_the_source_type_the_original_and_the_model() -> None:
    packet = xmp_packet("ab" * 32)
    root = parsed(packet)
    assert [element.text for element in root.iter(IPTC)] == [DIGITAL_SOURCE_TYPE]
    assert DIGITAL_SOURCE_TYPE.startswith("http://cv.iptc.org/newscodes/digitalsourcetype/")
    text = packet.decode()
    assert "sha256:" + "ab" * 32 in text
    assert STATEMENT in text
    assert "Photochrom" in text
    assert xmp_packet("ab" * 32) == packet


def test_the_originals_packet_is_kept_but_for_what_is_no_longer_true() -> None:
    text = xmp_packet("ab" * 32, ORIGINAL).decode()
    root = parsed(text.encode())
    assert "The mill" in text
    # The archive's own description stays alone; what this is stands in its history.
    (described,) = root.iter("{http://purl.org/dc/elements/1.1/}description")
    assert "".join(described.itertext()).strip() == "The mill"
    assert text.count(STATEMENT) == 1
    assert 'box="12"' in text
    assert "Orientation" not in text
    assert [element.text for element in root.iter(IPTC)] == [DIGITAL_SOURCE_TYPE]
    assert text.count('about="uuid:1"') == 2
    # Whatever was read before, equal input gives equal bytes.
    xmp_packet("cd" * 32)
    assert xmp_packet("ab" * 32, ORIGINAL).decode() == text
    # A derivative of a derivative has a longer history, and is else the same.
    again = xmp_packet("ab" * 32, text.encode()).decode()
    assert [again.count(words) for words in ("derived<", "The mill", "DigitalSourceType>")] == [
        *(2, 1, 2)  # an element has two tags
    ]


def test_the_originals_identifiers_become_those_of_what_it_derives_from() -> None:
    packet = ORIGINAL.replace(
        b'my:box="12"',
        b'xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmpMM:DocumentID="uuid:doc" '
        b'xmpMM:InstanceID="uuid:instance"',
    )
    text = xmp_packet("ab" * 32, packet).decode()
    assert "documentID>uuid:doc<" in text
    assert "uuid:instance" not in text
    assert 'DocumentID="' not in text


@pytest.mark.parametrize("kind", SOURCE_TYPES)
def test_the_source_type_is_a_choice(kind: str) -> None:
    assert f"digitalsourcetype/{kind}<" in xmp_packet("ab" * 32, None, kind).decode()
    with pytest.raises(StageError, match="algorithmicallyEnhanced"):
        parse_settings({"digital_source_type": "print"})


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"garbage",
        b"<x/>",
        b"\xff\xfe\x00",
        ORIGINAL[:300],
        b'<!DOCTYPE x [<!ENTITY a "b">]>' + ORIGINAL,
        ORIGINAL.replace(b"The mill", b"m" * 70_000),
    ],
)
def test_a_packet_that_cannot_be_kept_is_refused(packet: bytes) -> None:
    with pytest.raises(XmpError, match="XMP"):
        xmp_packet("ab" * 32, packet)


def test_finished_is_what_the_same_digests_made(tmp_path: Path) -> None:
    output, sidecar = tmp_path / "a.png", tmp_path / "a.png.json"
    key = Key("1", "2", "3", "4")
    output.write_bytes(b"picture")
    record = {"format": SIDECAR_FORMAT, "key": asdict(key), "output": {"sha256": ""}}
    assert finished(output, sidecar, key) is None
    write_json(sidecar, record)
    assert finished(output, sidecar, key) is None
    record["output"] = {"sha256": sha256_file(output)}
    write_json(sidecar, record)
    assert finished(output, sidecar, key) == record
    for name in asdict(key):
        assert finished(output, sidecar, replace(key, **{name: "other"})) is None
    output.write_bytes(b"pictura")
    assert finished(output, sidecar, key) is None
    output.unlink()
    assert finished(output, sidecar, key) is None
    for damaged in ("", "{", "[]", "null", json.dumps({"format": SIDECAR_FORMAT})):
        sidecar.write_text(damaged)
        assert finished(output, sidecar, key) is None


def test_the_code_digest_covers_what_makes_the_pixels() -> None:
    """CODE is what archive/colorize.py imports of us, but for tables, logs and the version.

    And the other backend, which the script imports.
    """
    todo, seen = ["archive/colorize.py", "models/onnx.py"], set()
    while todo:
        name = todo.pop()
        seen.add(name)
        for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("photochrom."):
                path = "/".join((node.module or "").split(".")[1:])
                file = f"{path}.py" if (PACKAGE / f"{path}.py").is_file() else f"{path}/__init__.py"
                if file not in seen:
                    todo.append(file)
    others = {"runtime.py", "version.py", "tables.py", "shipped.py", "archive/records.py"}
    assert seen - others == set(CODE)


def test_the_code_digest_follows_the_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(PACKAGE, tmp_path / "photochrom", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "photochrom/archive/provenance.py"))
    before = code_digest()
    for name in CODE:
        path = tmp_path / "photochrom" / name
        text = path.read_text()
        path.write_text(text + "#\n")
        assert code_digest() != before, name
        path.write_text(text)
    for name in ("runtime.py", "models/patchgan.py"):
        (tmp_path / "photochrom" / name).write_text("#\n")
    assert code_digest() == before


def test_settings_are_checked() -> None:
    assert parse_settings({}) == Settings("same", True)
    assert parse_settings({"format": "png", "skip_coloured": False}) == Settings("png", False)
    assert settings_digest(Settings()) != settings_digest(Settings("png"))
    assert settings_digest(parse_settings({"saturation": 1})) == settings_digest(Settings())
    assert settings_digest(Settings(), {"hints": []}) != settings_digest(Settings())
    for given, words in (
        ({"fromat": "png"}, "did you mean format"),
        ({"format": "bmp"}, "same, png"),
        ({"skip_coloured": "yes"}, "true or false"),
        ({"uncertainty": 1}, "true or false"),
        ({"toned": "keep"}, "neutralise, skip"),
        ({"saturation": -1}, "from 0 to 4"),
        ({"saturation": True}, "from 0 to 4"),
        ({"abstain": 1.5}, "from 0 to 1"),
        ({"samples": 2.5}, "from 0 to 16"),
        ({"coloured_deviation": None}, "from 0 to 100"),
        (None, "must name"),
        ([1], "must name"),
    ):
        with pytest.raises(StageError, match=words):
            parse_settings(given)


def test_a_sidecar_follows_the_published_schema(tmp_path: Path) -> None:
    from jsonschema import Draft202012Validator

    from archive_room import make_scans, run, sidecar
    from photochrom.archive.records import FORMATS

    schema = json.loads((ROOT / "workflow/schemas/sidecar.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    scans = make_scans(tmp_path / "scans")
    for name in FORMATS:
        rows = run(scans, tmp_path / name, settings=Settings(name))
        for row in rows.values():
            record = sidecar(tmp_path / name, row)
            assert list(validator.iter_errors(record)) == []
            assert set(record["settings"]) == set(asdict(Settings()))
            loses = record["output"]["format"] == "jpeg"
            assert record["encoding"]["lossless"] is not loses
            assert (record["encoding"]["max_dL"] is not None) is loses
    record["uncertainty"]["mean"] = 2
    del record["key"]["code_sha256"]
    record["surprise"] = 1
    assert len(list(validator.iter_errors(record))) == 3
