"""Sheet music (MusicXML, ABC, Humdrum's kern, tinynotation) as pieces, by music21."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from music21 import abcFormat, stream, tinyNotation
from music21.abcFormat import translate
from music21.humdrum.spineParser import HumdrumDataCollection
from music21.musicxml.xmlToM21 import MusicXMLImporter

from seqgen.errors import DataError
from seqgen.scores.music_xml import parse_xml, unpack
from seqgen.scores.piece import Piece
from seqgen.scores.repairs import plain_name
from seqgen.scores.streams import read_stream

Built = TypeVar("Built")
_ABC: Any = translate.abcToStreamScore
_MUSIC_XML: Any = MusicXMLImporter
_TINY: Any = tinyNotation.Converter  # music21 has few types
_TUNE = re.compile(r"^(?=X:)", re.MULTILINE)
_FIELD = re.compile(r"^(?:[A-Zw]:|%).*$", re.MULTILINE)
"""Lines that are no music, as music21 tells them."""
_TITLE = re.compile(r"^T:\s*(.+?)\s*$", re.MULTILINE)
_WORDS = re.compile(r'"[^"\n]*"|%.*')
"""What is written among the notes."""
_ENDLESS = re.compile(r"^(?!(?![LMQ]:)[A-Zw]:).*?(\d{5,})", re.MULTILINE)
"""A number that no length or metre has, where one may stand: music21 would build a note of it bar by bar."""
_UNIT = re.compile(r"^L:\s*(\d{1,4})/(\d{1,4})\b", re.MULTILINE)
_BEATS = {
    kind: re.compile(pattern, re.MULTILINE)
    for kind, pattern in {"MusicXML": r"(\d{3,})", "kern": r"\*M(\d{3,})/", "ABC": r"(\d{3,})"}.items()
}
"""Numbers of beats that no metre has."""
_FIFTHS = re.compile(r"\d{3,}")
"""Numbers of sharps or flats that no key has: music21 would count them one by one."""
_SUM = re.compile(r"^M:\s*\(?(\d{1,2}(?:\s*\+\s*\d{1,2})+)\)?\s*/", re.MULTILINE)
"""A metre of unequal beats, (3+2+2)/8, whose digits music21 would take together."""
_METRE = re.compile(r"^M:([^\n]*)/", re.MULTILINE)
"""What stands before the slash of an ABC metre: music21 takes all digits in it together, those of FREI4 and 1e999 alike."""
_NOTE = re.compile(r"[A-Ga-gxyzXZ]")
_LENGTH = re.compile(r"[A-Ga-gxz][,']*(\d{3,4})")
MOST_UNITS = 500
"""Of a note in a tune: music21 takes a minute to find a metre for a bar of twice as many."""
MOST_IN_A_BAR = 1000
"""Notes between two barlines of a tune: music21's time grows with their square."""
_BAD = "Open it in a music editor and export it again."


def read_sheet(data: bytes, suffix: str) -> tuple[list[Piece], list[str]]:
    """The pieces of a file, and a line for each tune in it that cannot be read.

    Args:
        data: the file.
        suffix: its ending in lower case, with the dot.

    Raises:
        DataError: nothing in it can be read.
    """
    if not data.strip():
        raise DataError("an empty file")
    if suffix == ".abc":
        return _read_tunes(_decode(data))
    if suffix == ".krn":
        return _read_kern(_decode(data)), []
    if suffix == ".mxl":
        data = unpack(data)
    return [_read_music_xml(data)], []


def read_tinynotation(text: str) -> Piece:
    """The piece that music21's tinynotation says: `4/4 c4 d8 e f2`.

    Raises:
        DataError: it is not of that form.
    """
    text = re.sub(r"^\s*tinynotation:", "", text, flags=re.IGNORECASE)
    try:
        converted = _TINY(text, raiseExceptions=True).parse().stream
    except tinyNotation.TinyNotationException as error:
        raise DataError(f"not tinynotation: {error}", hint="Write it like 4/4 c4 d8 e f2, without barlines.") from error
    return read_stream(converted)


def _read_music_xml(data: bytes) -> Piece:
    root = parse_xml(data)
    _check_beats("".join(f"{element.text}\n" for element in root.iter("beats")), _BEATS["MusicXML"])
    for element in root.iter("fifths"):
        if found := _FIFTHS.search(element.text or ""):
            raise DataError(f"a key of {found[0][:12]} sharps or flats", hint="No key has a hundred.")
    importer: Any = _MUSIC_XML()

    def build() -> Piece:
        importer.xmlRootToScore(root, importer.stream)
        # Many editors write "major" wherever nobody has said which mode it is.
        return read_stream(importer.stream, major_is_said=False)

    return _call(build, "MusicXML")


def _read_kern(text: str) -> list[Piece]:
    if "**kern" not in text:
        raise DataError("no **kern in it, which begins a part of such a file", hint="Only Humdrum's kern can be read.")
    _check_beats(text, _BEATS["kern"])

    def build() -> list[Piece]:
        collection = HumdrumDataCollection(text)
        collection.parse()
        built: Any = collection.stream
        return [read_stream(score) for score in (built.scores if isinstance(built, stream.Opus) else [built])]

    return _call(build, "kern")


def _read_tunes(text: str) -> tuple[list[Piece], list[str]]:
    """Each tune on its own: one that cannot be read costs no other."""
    header, *tunes = _TUNE.split(text)
    shared = _FIELD.findall(header)
    if len(tunes) < 2:
        return [_read_tune("\n".join([*shared, *tunes]) if tunes else header)], []
    pieces, skipped = [], []
    for tune in tunes:
        try:
            pieces.append(_read_tune("\n".join([*shared, tune])))
        except DataError as error:
            number = tune.partition("\n")[0].strip()
            title = _TITLE.search(tune)
            skipped.append(f"{number}{f' ({plain_name(title[1])})' if title else ''}: {error.what}")
    if not pieces:
        raise DataError(f"none of its tunes can be read; the first: {skipped[0]}")
    return pieces, skipped


def _read_tune(text: str) -> Piece:
    if not re.search(r"^K:", text, re.MULTILINE):
        raise DataError("no K: field, which ends the head of a tune", hint="Write K:C before the notes.")
    if number := _ENDLESS.search(_WORDS.sub("", text)):
        raise DataError(f"a number of {len(number[1])} digits among its notes: no length is as large")
    text = _SUM.sub(lambda found: f"M:{sum(map(int, found[1].split('+')))}/", text)
    _check_beats("\n".join(re.sub(r"\D", "", metre) for metre in _METRE.findall(text)), _BEATS["ABC"])
    bars = _WORDS.sub("", _FIELD.sub("", text)).split("|")
    if longest := next((units for bar in bars for units in _LENGTH.findall(bar) if int(units) > MOST_UNITS), ""):
        raise DataError(f"a note of {longest} units of length", hint=f"At most {MOST_UNITS} can be read.")
    fullest = max(len(_NOTE.findall(bar)) for bar in bars)
    if fullest > MOST_IN_A_BAR:
        raise DataError(
            f"{fullest:,} notes between two barlines", hint=f"Write barlines: {MOST_IN_A_BAR:,} can be read."
        )
    unit = _UNIT.search(text)
    if unit and int(unit[1]) > int(unit[2]):
        raise DataError(f"a unit of {unit[1]}/{unit[2]} whole notes (L:)", hint="It is 1/8 as a rule, and 1/1 at most.")

    def build() -> Piece:
        with _without_beams():
            return read_stream(_ABC(abcFormat.ABCFile().readstr(text)))

    return _call(build, "ABC")


@contextlib.contextmanager
def _without_beams() -> Iterator[None]:
    """Beams are for the eye, and to work them out takes two thirds of the time."""
    streams: Any = stream.Stream
    beams = streams.makeBeams
    streams.makeBeams = lambda self, **_: self
    try:
        yield
    finally:
        streams.makeBeams = beams


def _check_beats(text: str, beats: re.Pattern[str]) -> None:
    """Refuses metres over which music21 would think for hours."""
    if found := beats.search(text):
        raise DataError(f"a metre of {found[1][:12]} beats", hint="No bar has a hundred.")


def _call(build: Callable[[], Built], kind: str) -> Built:
    """What music21 reads, and what is read of that: it looks at much only when it is asked."""
    try:
        return build()
    except (DataError, MemoryError, RecursionError):
        raise
    except Exception as error:  # music21 raises anything on a damaged file
        reason = f"{type(error).__name__}: {plain_name(str(error))}"
        raise DataError(f"damaged {kind}, or of a kind that music21 cannot read ({reason})", hint=_BAD) from error


def _decode(data: bytes) -> str:
    """Text in UTF-8 (or UTF-16 where it says so), else in the Latin of old files; its lines end in one way."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")
