"""The text form of a piece: what a seed is typed in, what ``sample`` prints, and what a corpus of music is read as.

    key: G major
    metre: 3/4 @24 4/4
    pickup: 1
    Soprano: r G4 A4:0.5 B4:0.5 | C5:2^ ...
    Piano (program 0): C4+E4+G4:2 @0 C3:4v80

A line is a part, or says something of the piece. An item is a pitch (``C4``, ``F#3``, ``60``), a chord of them joined by ``+``
or a rest ``r``; behind it stand its length in quarter notes (``:0.5``, ``:1/3``; 1 where there is none), its velocity
(``v80``) and a fermata (``^``). ``@24`` says that what follows begins 24 quarter notes after the beginning; else an item
begins where the one before has ended. Barlines may stand anywhere and are for the eye alone, but for the final one, ``|]``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TypeVar

from seqgen.errors import DataError
from seqgen.scores.piece import FINAL, SIGNS, TICKS, Mark, Metre, Note, Part, Piece, Tempo
from seqgen.scores.pitches import name_key, name_pitch, parse_key, parse_pitch, sharps_of

SUFFIX = ".notes"
"""How files of this form end."""
LONGEST = 100_000
"""Quarter notes that a time may be: a day of music. More is a mistake, or an attack on the memory."""
SHORT = 100_000
"""Characters of a text that may be kept as a piece for a while."""
EXAMPLE = "For example: C4 D4:0.5 r:0.5 C4+E4+G4:2"
_ITEM = re.compile(r"(?P<what>[^:^@]+?)(?::(?P<length>[\d./]+))?(?:v(?P<velocity>\d{1,9}))?(?P<fermata>\^)?")
_PART = re.compile(
    r"(?P<name>[^:()]*?)\s*(?:\((?P<kind>drums|program (?P<program>\d{1,9}))\))?\s*:(?:\s+|$)(?P<items>.*)"
)
_ABOUT = ("title", "key", "metre", "pickup", "tempo", "marks")
_UNNAMED = "part"
_Timed = TypeVar("_Timed")


def parse(text: str) -> Piece:
    """A piece from its text form; a text without any line that says what it is, is one part.

    Raises:
        DataError: it is not of that form; says the line and the item.
    """
    return _parse_short(text) if len(text) <= SHORT else _parse(text)


@functools.lru_cache(maxsize=64)  # a text is asked about several times in a row: what it suits, what it holds
def _parse_short(text: str) -> Piece:
    return _parse(text)


def _parse(text: str) -> Piece:
    about: dict[str, str] = {}
    parts: list[Part] = []
    final: list[Mark] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("# "):
            continue
        try:
            match = _PART.fullmatch(stripped)
            name = match["name"].strip() if match else ""
            if match and name.lower() in _ABOUT and not match["kind"]:
                about[name.lower()] = match["items"].strip()
            else:
                parts.append(_parse_part(match["items"] if match else stripped, name, match, final))
        except DataError as error:
            raise DataError(error.what, where=f"line {number}", hint=error.hint or EXAMPLE) from error
    if not any(part.notes for part in parts):
        raise DataError("no notes in it", hint=EXAMPLE)
    return Piece(
        tuple(parts),
        metres=_timed(about.get("metre", ""), parse_metre),
        keys=_timed(about.get("key", ""), parse_key),
        tempos=_timed(about.get("tempo", ""), _parse_tempo),
        pickup=parse_length(about["pickup"]) if "pickup" in about else 0,
        marks=(*_timed(about.get("marks", ""), _parse_mark), *final[:1]),
        title=about.get("title", ""),
    )


def write(piece: Piece, barlines: bool = True) -> str:
    """The text form of a piece, a line each part; `parse` gives the piece back.

    Args:
        piece: with each part's notes sorted.
        barlines: also show them, for people.
    """
    about = {
        "title": " ".join(piece.title.split()),
        "key": _untimed(piece.keys, name_key),
        "metre": _untimed(piece.metres, str),
        "pickup": write_length(piece.pickup) if piece.pickup else "",
        "tempo": _untimed(piece.tempos, lambda tempo: f"{tempo.bpm:.6g}"),
        "marks": _untimed(piece.marks, lambda mark: mark.sign),
    }
    bars = [start for start, _ in piece.bars()][1:] if barlines else []
    lines = [f"{name}: {value}" for name, value in about.items() if value]
    return "\n".join(
        [*lines, *(_write_part(part, number, piece, bars) for number, part in enumerate(piece.parts, 1)), ""]
    )


def parse_length(text: str) -> int:
    """A time in quarter notes (`0.5`, `1/3`, `2`) in ticks.

    Raises:
        DataError: it is none, or an absurd one.
    """
    try:
        if not re.fullmatch(r"[\d./]{1,99}", text):  # Fraction would spend days on 1e999999999
            raise ValueError(text)
        length = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise DataError(f"{text!r} is not a length in quarter notes", hint="Write 1, 0.5 or 1/3.") from error
    if not 0 <= length <= LONGEST:
        raise DataError(f"a length of {text} quarter notes is not from 0 to {LONGEST}")
    return round(length * TICKS)


def write_length(ticks: int) -> str:
    """Ticks as quarter notes: `0.5` where two decimals are exact, else `1/3`."""
    length = Fraction(ticks, TICKS)
    return f"{float(length):g}" if 100 % length.denominator == 0 and ticks < 1000 * TICKS else str(length)


def parse_metre(text: str, start: int = 0) -> Metre:
    """A time signature: `3/4`.

    Raises:
        DataError: it is none.
    """
    match = re.fullmatch(r"([0-9]{1,2})/(1|2|4|8|16|32)", text.strip())
    if not match or match[1].strip("0") == "":
        raise DataError(f"{text!r} is not a metre", hint="Write it as 4/4, 3/4 or 6/8.")
    return Metre(start, int(match[1]), int(match[2]))


def _parse_tempo(text: str, start: int) -> Tempo:
    try:
        bpm = float(text)
    except ValueError:
        bpm = 0.0
    if not 1 <= bpm <= 2000:
        raise DataError(f"{text!r} is not a tempo", hint="Give quarter notes per minute, from 1 to 2000.")
    return Tempo(start, bpm)


def _parse_mark(text: str, start: int) -> Mark:
    if text not in SIGNS:
        raise DataError(f"{text!r} is not a mark", hint=f"There are: {' '.join(SIGNS)}")
    return Mark(start, text)


def _timed(text: str, parse_one: Callable[[str, int], _Timed]) -> tuple[_Timed, ...]:
    """`G major @24 E minor`: values, each from its time on."""
    values, start = [], 0
    for place, part in enumerate(re.split(r"\s*@(\S+)\s*", text)):
        if place % 2:
            start = parse_length(part)
        elif part:
            values.append(parse_one(part, start))
    return tuple(values)


def _untimed(values: tuple[_Timed, ...], write_one: Callable[[_Timed], str]) -> str:
    words: list[str] = []
    for value in values:
        start: int = value.start  # type: ignore[attr-defined]
        words.append(f"@{write_length(start)} {write_one(value)}" if start or words else write_one(value))
    return " ".join(words)


def _parse_part(items: str, name: str, match: re.Match[str] | None, marks: list[Mark]) -> Part:
    notes: list[Note] = []
    clock = 0
    for place, item in enumerate(items.split(), 1):
        if item in SIGNS or item == "|":
            if item == FINAL:
                marks.append(Mark(clock, FINAL))
            continue
        try:
            if item.startswith("@"):
                clock = parse_length(item[1:])
                continue
            sounding, length = _parse_item(item, clock)
        except DataError as error:
            raise DataError(f"item {place}, {item!r}: {error.what}", hint=error.hint) from error
        notes += sounding
        clock += length
        if clock > LONGEST * TICKS:
            raise DataError(f"item {place}: longer than {LONGEST} quarter notes")
    program = int((match and match["program"]) or 0)
    if program > 127:
        raise DataError(f"there is no program {program}", hint="General MIDI's programs are 0 to 127.")
    notes.sort(key=lambda note: (note.start, note.pitch))
    name = "" if re.fullmatch(rf"{_UNNAMED} \d+", name) else name
    return Part(tuple(notes), name, program, bool(match and match["kind"] == "drums"))


def _parse_item(item: str, start: int) -> tuple[list[Note], int]:
    """The notes of an item, and how long it is."""
    pitches, length, velocity, fermata = _read_item(item)
    return [Note(start, length, pitch, velocity, fermata) for pitch in pitches], length


@functools.lru_cache(maxsize=1 << 16)  # a corpus says the same few things again and again
def _read_item(item: str) -> tuple[tuple[int, ...], int, int, bool]:
    """Pitches, length in ticks, velocity, and whether there is a fermata."""
    match = _ITEM.fullmatch(item)
    if not match:
        if ":-" in item:
            raise DataError("a length below 0", hint=EXAMPLE)
        raise DataError("neither a note, a chord nor a rest", hint=EXAMPLE)
    length = parse_length(match["length"]) if match["length"] else TICKS
    if length == 0:
        raise DataError("a length of 0", hint=EXAMPLE)
    if match["what"] in ("r", "R"):
        return (), length, 0, False
    velocity = int(match["velocity"] or 0)
    if velocity > 127:
        raise DataError(f"velocity {velocity} is above 127")
    pitches = sorted({parse_pitch(part) for part in match["what"].split("+")})
    return tuple(pitches), length, velocity, match["fermata"] is not None


def _write_part(part: Part, number: int, piece: Piece, bars: list[int]) -> str:
    kind = " (drums)" if part.drums else f" (program {part.program})" if part.program else ""
    name = " ".join(re.sub(r"[:()#\s]+", " ", part.name).split())
    if not name or name.lower() in _ABOUT or re.fullmatch(rf"{_UNNAMED} \d+", name):
        name = f"{_UNNAMED} {number}"
    sharps = sharps_of(piece.keys[0]) if piece.keys else 0
    return f"{name}{kind}: {' '.join(_items(part, sharps, bars))}"


def _items(part: Part, sharps: int, bars: list[int]) -> Iterator[str]:
    """The items of a part; notes that are alike but for the pitch become a chord."""
    clock, waiting, place = 0, iter(bars), 0
    bar = next(waiting, None)
    while place < len(part.notes):
        first = part.notes[place]
        chord = [first.pitch]
        place += 1
        while place < len(part.notes) and part.notes[place]._replace(pitch=first.pitch) == first:
            chord.append(part.notes[place].pitch)
            place += 1
        while bar is not None and bar <= max(clock, first.start):
            if clock < bar:
                yield _with_length("r", bar - clock)
                clock = bar
            yield "|"
            bar = next(waiting, None)
        if first.start > clock:
            yield _with_length("r", first.start - clock)
        elif first.start < clock:
            yield f"@{write_length(first.start)}"
        names = "+".join(name_pitch(pitch, sharps) for pitch in chord)
        velocity, fermata = f"v{first.velocity}" if first.velocity else "", "^" if first.fermata else ""
        yield f"{_with_length(names, first.duration)}{velocity}{fermata}"
        clock = first.end


def _with_length(what: str, ticks: int) -> str:
    return what if ticks == TICKS else f"{what}:{write_length(ticks)}"
