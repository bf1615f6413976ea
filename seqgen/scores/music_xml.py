"""MusicXML before music21 sees it: taken out of its archive, checked for what could harm, and parsed."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import NoReturn
from xml.etree import ElementTree
from xml.parsers import expat

from seqgen.errors import DataError
from seqgen.scores.repairs import MOST_NOTES

LARGEST = 64 << 20
"""Bytes of XML; a symphony has 30 million."""
_BAD = "Open it in a music editor and export it again."
_CONTAINER = "META-INF/container.xml"


def unpack(data: bytes) -> bytes:
    """The score in a compressed MusicXML file, as its container names it, or the only one there is.

    Raises:
        DataError: it is damaged, larger inside than LARGEST, or holds no score.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            name = _named(archive) if _CONTAINER in names else None
            if name not in names:
                scores = [
                    name for name in names if name.endswith((".xml", ".musicxml")) and not name.startswith("META-INF/")
                ]
                if not scores:
                    raise DataError("a .mxl file without a score in it", hint=_BAD)
                name = scores[0]
            return _extract(archive, name)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"damaged .mxl ({error})", hint=_BAD) from error


def parse_xml(data: bytes) -> ElementTree.Element:
    """The root of a MusicXML score, of which it is certain that it is one and that it does not grow when it is read.

    Raises:
        DataError: it is damaged, no such score, declares entities, or has too many notes.
    """
    _scan(data)
    try:
        return ElementTree.XML(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(f"damaged XML ({error})", hint=_BAD) from error


def _named(archive: zipfile.ZipFile) -> str | None:
    """The path of the score that the container names first."""
    container = _extract(archive, _CONTAINER)
    _parse(container, lambda name, attributes: None)
    for element in ElementTree.XML(container).iter():
        if element.tag.rpartition("}")[2] == "rootfile":
            return element.get("full-path")
    return None


def _extract(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as member:
        data = member.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise DataError(f"more than {LARGEST >> 20} MB when it is unpacked", hint="No piece of music needs that much.")
    return data


def _scan(data: bytes) -> None:
    """Refuses what is no score in parts, or too large a one, before any of it is built in memory."""
    root, notes = "", 0

    def open_element(name: str, attributes: dict[str, str]) -> None:
        nonlocal root, notes
        if not root:
            root = name
            _check_root(name)
        notes += name == "note"

    _parse(data, open_element)
    if notes > 2 * MOST_NOTES:  # rests and tied notes are notes here
        raise DataError(f"{notes:,} notes and rests: too many", hint="Cut it into pieces.")


def _parse(data: bytes, open_element: object) -> None:
    parser = expat.ParserCreate()
    parser.StartElementHandler = open_element  # type: ignore[assignment]
    parser.EntityDeclHandler = _refuse_entities
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"damaged XML ({error})", hint=_BAD) from error


def _refuse_entities(*_: object) -> NoReturn:
    raise DataError("XML that declares entities, which no score needs and which can fill the memory", hint=_BAD)


def _check_root(name: str) -> None:
    if name == "score-timewise":
        raise DataError(
            "MusicXML ordered by time (score-timewise)", hint="Open it in MuseScore and export it as MusicXML."
        )
    if name != "score-partwise":
        raise DataError(f"XML, but no MusicXML: its root is <{name[:40]}>, not <score-partwise>")
