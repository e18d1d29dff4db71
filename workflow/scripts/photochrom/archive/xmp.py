"""The XMP inside a derivative: the original's, with what the derivative is and comes from."""

from xml.etree import ElementTree

from photochrom.version import __version__

# IPTC's vocabulary of how a picture came to be (cv.iptc.org), and those of its words that may be
# said of a colorized scan: edited, altered or made by a trained model.
DIGITAL_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOURCE_TYPES = (
    "compositeWithTrainedAlgorithmicMedia",
    "algorithmicallyEnhanced",
    "trainedAlgorithmicMedia",
)
STATEMENT = (
    "Colorized derivative. The colours are estimates of a trained model, not a record of the "
    "scene; the lightness is that of the original."
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
    "xmpNote": "http://ns.adobe.com/xmp/note/",
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
    "xmpMM:DocumentID",
    "xmpMM:InstanceID",
    "Iptc4xmpExt:DigitalSourceType",
    "xmpNote:HasExtendedXMP",  # only the first segment's XMP is carried
)


class XmpError(Exception):
    """An original's XMP that cannot be carried over; the text says why in a few words."""


def xmp_packet(
    original_sha256: str, existing: bytes | None = None, source_type: str = SOURCE_TYPES[0]
) -> bytes:
    """The XMP of a derivative: the original's, with what it is now.

    Set are the IPTC digital source type, what it derives from, and a line of its history in plain
    words; a description and the creator tool only where the original has none. Properties of the
    original's pixels are left out, and its identifiers become those of what this derives from.
    Raises XmpError when `existing` cannot be carried over.
    """
    for prefix, uri in _NAMESPACES.items():
        ElementTree.register_namespace(prefix, uri)
    root = ElementTree.Element(_name("rdf:RDF")) if existing is None else _parse(existing)
    descriptions = root.findall(_name("rdf:Description"))
    identifier = _text(descriptions, "xmpMM:DocumentID")
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
    ElementTree.SubElement(ours, _name("Iptc4xmpExt:DigitalSourceType")).text = (
        DIGITAL_SOURCE_TYPES + source_type
    )
    derived = ElementTree.SubElement(
        ours, _name("xmpMM:DerivedFrom"), {_name("rdf:parseType"): "Resource"}
    )
    ElementTree.SubElement(derived, _name("stRef:instanceID")).text = f"sha256:{original_sha256}"
    if identifier:
        ElementTree.SubElement(derived, _name("stRef:documentID")).text = identifier
    _add_history(descriptions, ours)
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


def _add_history(descriptions: list[ElementTree.Element], ours: ElementTree.Element) -> None:
    """An event of the resource's history: derived, by whom, and how, in plain words."""
    steps = None
    for description in descriptions:
        steps = description.find(f"{_name('xmpMM:History')}/{_name('rdf:Seq')}")
        if steps is not None:
            break
    if steps is None:
        history = ElementTree.SubElement(ours, _name("xmpMM:History"))
        steps = ElementTree.SubElement(history, _name("rdf:Seq"))
    step = ElementTree.SubElement(steps, _name("rdf:li"), {_name("rdf:parseType"): "Resource"})
    for name, text in (
        ("stEvt:action", "derived"),
        ("stEvt:softwareAgent", f"Photochrom {__version__}"),
        ("stEvt:parameters", STATEMENT),
    ):
        ElementTree.SubElement(step, _name(name)).text = text


def _text(descriptions: list[ElementTree.Element], name: str) -> str:
    """A simple property's value, or nothing."""
    for description in descriptions:
        element = description.find(_name(name))
        value = description.get(_name(name)) if element is None else element.text
        if value:
            return value
    return ""


def _has(descriptions: list[ElementTree.Element], name: str) -> bool:
    return any(
        description.find(_name(name)) is not None or _name(name) in description.attrib
        for description in descriptions
    )


def _name(name: str) -> str:
    """`prefix:local` as ElementTree writes it."""
    prefix, local = name.split(":")
    return f"{{{_NAMESPACES[prefix]}}}{local}"
