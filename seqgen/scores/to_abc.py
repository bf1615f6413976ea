"""A melody as ABC 2.1 (abcnotation.com): text that people share tunes in.

Notes that cross a barline are tied; notes of two thirds of a plain length become triplets; any other length is a fraction
(``C2/5``). Changes of metre, key and tempo stand at barlines: one within a bar is written at the next.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from seqgen.errors import DataError
from seqgen.scores import performing
from seqgen.scores.piece import TICKS, Key, Piece, Tempo
from seqgen.scores.pitches import FIFTHS, LETTERS, sharps_of, spell

UNIT = TICKS // 2
"""Ticks of a note without a length: an eighth."""
BARS_A_LINE = 4
_FINEST = TICKS // 32
"""Ticks of a 128th note, the shortest that is written plainly."""
_POWERS = tuple(_FINEST << power for power in range(11))
_PLAIN = tuple(sorted({*_POWERS, *(length * 3 // 2 for length in _POWERS[1:])}))
"""Lengths that one note can have: powers of two, and these with a dot."""
_LONGEST_TUPLET = 2 * TICKS
_ACCIDENTALS = {-2: "__", -1: "_", 0: "=", 1: "^", 2: "^^"}
_OTHERWISE = "Write .mid or .musicxml instead."
_Timed = TypeVar("_Timed", Key, Tempo)


@dataclass(frozen=True)
class _Item:
    """A note or rest, or what of it is in one bar and one length; in ticks."""

    start: int
    duration: int
    pitch: int | None
    tied: bool = False
    fermata: bool = False

    @property
    def end(self) -> int:
        return self.start + self.duration


class _Speller:
    """Which accidentals the notes of a bar need.

    Some programs let an accidental hold in its own octave, some in all of them; one is written wherever either would err.
    """

    def __init__(self, sharps: int) -> None:
        self.sharps = sharps
        self.signature = {letter: (sharps + 6 - place) // 7 for place, letter in enumerate(FIFTHS)}
        self.letters = dict(self.signature)
        self.octaves: dict[tuple[str, int], int] = {}

    def spell(self, pitch: int) -> str:
        """A pitch as ABC has it: C4 is `C`, C5 `c`."""
        letter, alteration = spell(pitch % 12, self.sharps)
        octave = (pitch - alteration - LETTERS[letter]) // 12 - 1
        expected = {self.letters[letter], self.octaves.get((letter, octave), self.signature[letter])}
        held = expected == {alteration} and abs(alteration) < 2  # music21 forgets double ones
        accidental = "" if held else _ACCIDENTALS[alteration]
        self.letters[letter] = self.octaves[letter, octave] = alteration
        name = letter.lower() if octave > 4 else letter
        return accidental + name + ("'" * (octave - 5) if octave > 4 else "," * (4 - octave))


def write_abc(piece: Piece) -> bytes:
    """A piece of one voice as an ABC tune, in UTF-8; velocities and the instrument are not in it.

    Raises:
        DataError: it has more than one part, chords, drums, or no notes.
    """
    _check(piece)
    end = performing.last_barline(piece)
    title = "".join(letter if letter.isprintable() else " " for letter in piece.title).strip()
    fields = _fields(piece, 0)
    if not _holding(piece.keys, 0):
        fields.append("K:none")  # the key is what ends the head of a tune
    lines = ["%abc-2.1", "X:1", f"T:{title}".replace("%", "\\%"), "L:1/8", *fields, _body(piece, end)]
    return "\n".join(lines).encode("utf-8", "replace")


def _check(piece: Piece) -> None:
    if len(piece.parts) != 1:
        raise DataError(
            f"ABC files are for one voice here, and this piece has {len(piece.parts)} parts", hint=_OTHERWISE
        )
    part = piece.parts[0]
    if part.drums:
        raise DataError("ABC has no drums", hint=_OTHERWISE)
    if not part.notes:
        raise DataError("no notes to write")
    if not part.is_voice():
        raise DataError("ABC files are for one voice here, and this part has notes that sound at once", hint=_OTHERWISE)


def _key(key: Key) -> str:
    letter, alteration = spell(key.tonic, sharps_of(key))
    return f"K:{letter}{'#' * alteration}{'b' * -alteration}{'m' if key.minor else ''}"


def _tempo(tempo: Tempo) -> str:
    return f"Q:1/4={tempo.bpm:.6g}"


def _body(piece: Piece, end: int) -> str:
    """The bars with the signs between them, four on a line."""
    signs = _signs(piece, end)
    sections = _sections(piece, end, [tick for tick in signs if tick < end])
    text = "|:" if "|:" in signs.get(0, set()) else ""
    bars = 0
    for begin, stop, bar in sections:
        key = _holding(piece.keys, begin)
        text += _bar(_items(piece, begin, stop), _Speller(sharps_of(key) if key else 0), piece, bar)
        if stop == end:
            continue
        fields = _changes(piece, begin, stop)
        bars += stop == bar[1] and not (bar[0] == 0 and piece.pickup)
        new_line = bool(fields) or (stop == bar[1] and bars > 0 and bars % BARS_A_LINE == 0)
        line_break = "\n" + "".join(f"{field}\n" for field in fields) if new_line else ""
        text += _sign(signs.get(stop, set()), line_break)
    last = signs.get(end, set())
    return text + (" :|" if ":|" in last else " |]") + "\n"


def _signs(piece: Piece, end: int) -> dict[int, set[str]]:
    signs: dict[int, set[str]] = {}
    for mark in piece.marks:
        if 0 <= mark.start <= end:
            signs.setdefault(mark.start, set()).add(mark.sign)
    return signs


def _sections(piece: Piece, end: int, cuts: list[int]) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """Where bars begin and end, cut at the signs within them; with the whole bar."""
    for start, stop in piece.bars():
        stop = min(stop, end)
        places = sorted({start, stop, *(cut for cut in cuts if start < cut < stop)})
        for begin, until in itertools.pairwise(places):
            yield begin, until, (start, stop)


def _sign(signs: set[str], line_break: str) -> str:
    """A barline with its signs; a line break comes before what belongs to the bar behind it."""
    repeat = "|:" if "|:" in signs else ""
    ending = next((f"[{number} " for number in "12" if f"[{number}" in signs), "")
    close = ":|" if ":|" in signs else "||" if "||" in signs and not repeat else "|"
    if line_break:
        return f" {close}{line_break}{repeat}{ending}"
    if repeat:
        return f" {'::' if close == ':|' else '|:'} {ending}"
    return f" {close}{ending.removeprefix('[') or ' '}"


def _changes(piece: Piece, begin: int, stop: int) -> list[str]:
    """The fields that are new at the end of a bar."""
    before = _fields(piece, begin)
    return [field for field in _fields(piece, stop) if field not in before]


def _fields(piece: Piece, tick: int) -> list[str]:
    """Metre, key and tempo as they hold at a tick; what is not known is not said."""
    key, tempo = _holding(piece.keys, tick), _holding(piece.tempos, tick)
    return [f"M:{performing.metre_at(piece, tick)}", *([_tempo(tempo)] if tempo else []), *([_key(key)] if key else [])]


def _holding(events: tuple[_Timed, ...], tick: int) -> _Timed | None:
    place = bisect.bisect_right(events, tick, key=lambda event: event.start)
    return events[place - 1] if place else None


def _items(piece: Piece, begin: int, stop: int) -> list[_Item]:
    """Notes and rests from one tick to another, without gaps; in lengths that can be written."""
    items: list[_Item] = []
    clock = begin
    notes = piece.parts[0].notes
    first = bisect.bisect_right(notes, begin, key=lambda note: note.end)
    last = bisect.bisect_left(notes, stop, key=lambda note: note.start)
    for note in notes[first:last]:
        start, end = max(note.start, begin), min(note.end, stop)
        if start > clock:
            items.append(_Item(clock, start - clock, None))
        tied = note.end > end
        items.append(_Item(start, end - start, note.pitch, tied, note.fermata and not tied))
        clock = end
    if clock < stop:
        items.append(_Item(clock, stop - clock, None))
    return [part for item in items for part in _split(item)]


def _split(item: _Item) -> Iterator[_Item]:
    """An item as plain lengths, the longest first; one that is none such as a whole."""
    while item.duration % _FINEST == 0 and item.duration not in _PLAIN:
        length = max(plain for plain in _PLAIN if plain < item.duration)
        yield dataclasses.replace(item, duration=length, tied=item.pitch is not None, fermata=False)
        rest = item.duration - length
        item = dataclasses.replace(item, start=item.start + length, duration=rest)
    yield item


def _bar(items: list[_Item], speller: _Speller, piece: Piece, bar: tuple[int, int]) -> str:
    """The items as text, those of one beat joined so that they share a beam."""
    beat = performing.beat_of(performing.metre_at(piece, bar[0]))
    origin = bar[1] if bar[0] == 0 and piece.pickup else bar[0]  # an upbeat is counted from the barline behind it
    text, before, place = "", origin, 0
    while place < len(items):
        size = _tuplet(items, place)
        mark = "" if not size else "(3" if size == 3 else f"(3:2:{size}"
        for item in items[place : place + max(1, size)]:
            if text and (item.start - origin) // beat != (before - origin) // beat:
                text += " "
            text += mark + _text(item, speller, Fraction(3, 2) if size else Fraction(1))
            mark, before = "", item.start
        place += max(1, size)
    return text


def _tuplet(items: list[_Item], place: int) -> int:
    """How many items from a place on are a triplet: two thirds of plain lengths that add up to a plain one; 0: none."""
    if items[place].duration % _FINEST == 0:
        return 0
    total = 0
    for size, item in enumerate(items[place:], 1):
        total += item.duration
        if item.duration * 3 % 2 or item.duration * 3 // 2 not in _PLAIN or total > _LONGEST_TUPLET:
            return 0
        if total in _PLAIN:
            return size
    return 0


def _text(item: _Item, speller: _Speller, stretch: Fraction) -> str:
    length = Fraction(item.duration, UNIT) * stretch
    above = "" if length.numerator == 1 else str(length.numerator)
    below = "" if length.denominator == 1 else "/" if length.denominator == 2 else f"/{length.denominator}"
    name = "z" if item.pitch is None else speller.spell(item.pitch)
    return f"{'!fermata!' if item.fermata else ''}{name}{above}{below}{'-' if item.tied else ''}"
