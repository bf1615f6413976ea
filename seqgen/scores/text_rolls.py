"""Small piano rolls for a terminal: half blocks in colours, or letters."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from seqgen.scores.piece import Note, Part, Piece
from seqgen.scores.pitches import name_pitch, sharps_of
from seqgen.scores.to_png import Bar, bars_of, drum_name, part_name
from seqgen.visible import one_line

LEAST_WIDTH, LEAST_HEIGHT = 20, 8
_COLORS = (33, 208, 36, 175, 220, 117, 97, 245)
"""Of a terminal's 256, near those of the pictures."""
_DIM = 242
_PLAIN = "\x1b[0m"
_DIGITS = "123456789abcdefghijklmnopqrstuvwxyz"
_STEPS = (60, 120, 240)
"""Ticks that a column stands for: the finest at which the piece fits, else the last."""
_PITCH_LABEL, _DRUM_LABEL = 4, 13
_AROUND = 3
"""Lines that hold no notes: bar numbers, the legend, how much more there is."""
_OTHERS = -1
"""Stands for all drums that have no line of their own."""

_Cells = dict[tuple[int, int], tuple[int, bool]]
"""Line and column -> the part that sounds there, and whether it begins there."""

_Line = Sequence[tuple[int, bool] | None]
"""The same by columns."""


class _Time(NamedTuple):
    """Which bars are shown, ticks a column, and the columns of the barlines, the last one too."""

    bars: Sequence[Bar]
    step: int
    starts: Sequence[int]


class _Lines(NamedTuple):
    """Which pitches are shown: the lowest, semitones a line, and how many lines."""

    low: int
    semitones: int
    total: int


def text_roll(piece: Piece, width: int, height: int, colour: bool) -> str:
    """A piano roll as text; a column is a 32nd to an eighth note, unless bars are too long for that.

    Of a piece that is too long its beginning is shown, and how many bars there are more. Letters are capital where a
    note begins. Drums have lines of their own below.

    Args:
        piece: of any length, also without notes.
        width: of the terminal in columns; below 20 counts as 20.
        height: lines at most; below 8 counts as 8.
        colour: a colour for each part, by ANSI codes; else a letter or digit for each.
    """
    roll = _Roll(piece, width, height, colour)
    time, more = roll.time(0)
    rows = [*roll.rows(time), *roll.legend()]
    if more:
        rows.append(f"… {more:,} bar{'s' * (more != 1)} more"[: roll.width])
    return "\n".join(rows)


def text_rolls(piece: Piece, width: int, height: int, colour: bool) -> list[str]:
    """The same of a whole piece: as many rolls below one another as it takes, of the same pitches, the last with the legend.

    Args:
        piece: of any length, also without notes.
        width: as for `text_roll`, as is colour.
        height: of each, with the legend.
        colour: see there.
    """
    roll, found, first, more = _Roll(piece, width, height, colour), [], 0, 1
    while more:
        time, more = roll.time(first)
        first += len(time.bars)
        found.append("\n".join(roll.rows(time) if more else [*roll.rows(time), *roll.legend()]))
    return found


class _Roll:
    """What all rolls of a piece have in common; its arguments are those of `text_roll`."""

    def __init__(self, piece: Piece, width: int, height: int, colour: bool) -> None:
        self.width, height = max(width, LEAST_WIDTH), max(height, LEAST_HEIGHT)
        self._parts, self._colour = piece.parts, colour
        self._sharps = sharps_of(piece.keys[0]) if piece.keys else 0
        self._drums = _drums_shown(piece.parts, (height - _AROUND) // 2)
        names = (len(_drum_label(drum)) for drum in self._drums)
        self._label = min(max([_PITCH_LABEL, *names]), _DRUM_LABEL, self.width // 2)
        self._bars = bars_of(piece)
        self._step = _that_fit(self._bars, self._room, _STEPS).step
        self._halves = 2 if colour else 1
        self._lines = _pitch_lines(piece.parts, height - _AROUND - len(self._drums), self._halves)
        self._letters = _letters(piece.parts)

    @property
    def _room(self) -> int:
        return self.width - self._label - 1

    def time(self, first: int) -> tuple[_Time, int]:
        """The bars from one on that fit, and how many there are more."""
        bars = self._bars[first:]
        time = _that_fit(bars, self._room, [self._step])
        return time, len(bars) - len(time.bars)

    def rows(self, time: _Time) -> list[str]:
        """The lines of some bars, the highest first; their numbers above them."""
        pitched, struck = _painted(self._parts, time, self._lines, self._drums)
        rows = [" " * (self._label + 1) + _bar_numbers(time)]
        for row in reversed(range(self._lines.total // self._halves)):
            name = _row_name(self._lines, row * self._halves, self._halves, self._sharps)
            cells = [_row(pitched, row * self._halves + half, time) for half in range(self._halves)]
            rows.append(f"{name:>{self._label}} {self._drawn(cells[-1], cells[0], time)}")
        for place, drum in reversed(list(enumerate(self._drums))):
            cells = [_row(struck, place, time)]
            name = _drum_label(drum)[: self._label]
            rows.append(f"{name:>{self._label}} {self._drawn(cells[0], cells[0], time)}")
        return [row.rstrip() for row in rows]

    def legend(self) -> list[str]:
        """Which colour or letter is whose."""
        return [row.rstrip() for row in _legend(self._parts, self._letters, self.width, self._colour)]

    def _drawn(self, upper: _Line, lower: _Line, time: _Time) -> str:
        return _drawn(upper, lower, time, self._letters, self._colour)


def _columns(bar: Bar, step: int) -> int:
    """Its barline and its notes."""
    return 1 + -(-(bar.stop - bar.start) // step)


def _that_fit(bars: Sequence[Bar], room: int, steps: Sequence[int]) -> _Time:
    """The bars that fit, with the barline behind the last, at the finest step at which all do or else the coarsest."""
    for step in steps:
        starts = _starts(bars[:room], step)
        if len(bars) < room and starts[-1] < room:
            return _Time(bars, step, starts)
    step = steps[-1]
    while _columns(bars[0], step) >= room:
        step *= 2
    starts = [start for start in _starts(bars[:room], step) if start < room]
    return _Time(bars[: len(starts) - 1], step, starts)


def _starts(bars: Sequence[Bar], step: int) -> list[int]:
    return list(itertools.accumulate((_columns(bar, step) for bar in bars), initial=0))


def _drums_shown(parts: Sequence[Part], room: int) -> list[int]:
    """The lowest first; where there are too many, the most frequent ones, and one line for all others."""
    counts = Counter(note.pitch for part in parts if part.drums for note in part.notes)
    if len(counts) <= room:
        return sorted(counts)
    return [_OTHERS, *sorted(drum for drum, _ in counts.most_common(room - 1))]


def _drum_label(drum: int) -> str:
    return "other drums" if drum == _OTHERS else drum_name(drum)


def _pitch_lines(parts: Sequence[Part], room: int, halves: int) -> _Lines:
    """Lines for all pitches, each for so few semitones as the room allows."""
    pitches = [note.pitch for part in parts if not part.drums for note in part.notes]
    if not pitches and any(part.drums and part.notes for part in parts):
        return _Lines(60, 1, 0)
    low, high = min(pitches, default=60), max(pitches, default=71)
    semitones = 1
    while True:
        per_row = semitones * halves
        bottom = low // per_row * per_row
        rows = (high - bottom) // per_row + 1
        if rows <= room:
            return _Lines(bottom, semitones, rows * halves)
        semitones += 1


def _painted(parts: Sequence[Part], time: _Time, lines: _Lines, drums: Sequence[int]) -> tuple[_Cells, _Cells]:
    """What sounds where, of pitches and of drums; the highest part is painted first, and none over another."""
    pitched: _Cells = {}
    struck: _Cells = {}
    place_of = {drum: place for place, drum in enumerate(drums)}
    for number, part in enumerate(parts):
        repeats = {(note.start, note.pitch) for note in part.notes}
        for note in part.notes:
            for begins, columns in _places(note, time):
                if part.drums and begins:
                    line = place_of.get(note.pitch, 0)
                    struck.setdefault((line, columns.start), (number, True))
                if part.drums:
                    continue
                if (note.end, note.pitch) in repeats and len(columns) > 1:
                    columns = columns[:-1]  # a gap before the same note again
                for column in columns:
                    cell = ((note.pitch - lines.low) // lines.semitones, column)
                    pitched.setdefault(cell, (number, begins and column == columns.start))
    return pitched, struck


def _places(note: Note, time: _Time) -> list[tuple[bool, range]]:
    """The columns of a note in each bar, and whether it begins there."""
    found = []
    for bar, first in zip(time.bars, time.starts, strict=False):
        if bar.stop <= note.start:
            continue
        if bar.start >= note.end:
            break
        start, stop = max(note.start, bar.start) - bar.start, min(note.end, bar.stop) - bar.start
        begin = first + 1 + start // time.step
        end = max(begin + 1, first + 1 + (stop + time.step // 2) // time.step)
        found.append((note.start >= bar.start, range(begin, end)))
    return found


def _row(cells: _Cells, line: int, time: _Time) -> list[tuple[int, bool] | None]:
    return [cells.get((line, column)) for column in range(time.starts[-1] + 1)]


def _drawn(
    upper: _Line,
    lower: _Line,
    time: _Time,
    letters: str,
    colour: bool,
) -> str:
    """A line of text: with colours its cells are halves above one another, with letters they are the same ones."""
    barlines = set(time.starts)
    text, latest = [], ""
    for column, (above, below) in enumerate(zip(upper, lower, strict=True)):
        if column in barlines:
            code, character = _foreground(_DIM), "│"
        elif above is None and below is None:
            code, character = "", " "
        elif not colour:
            number, begins = above or below or (0, False)
            code, character = (
                "",
                letters[number] if begins else letters[number].lower() if letters[0].isupper() else "-",
            )
        else:
            code, character = _half_block(above, below)
        if colour and code != latest:
            text.append((_PLAIN if latest else "") + code)
            latest = code
        text.append(character)
    return "".join(text).rstrip() + (_PLAIN if latest else "")


def _half_block(above: tuple[int, bool] | None, below: tuple[int, bool] | None) -> tuple[str, str]:
    if above is None or below is None:
        number = (above or below or (0, False))[0]
        return _foreground(_color(number)), "▀" if below is None else "▄"
    if above[0] == below[0]:
        return _foreground(_color(above[0])), "█"
    return f"{_foreground(_color(above[0]))}\x1b[48;5;{_color(below[0])}m", "▀"


def _foreground(color: int) -> str:
    return f"\x1b[38;5;{color}m"


def _color(number: int) -> int:
    return _COLORS[number % len(_COLORS)]


def _letters(parts: Sequence[Part]) -> str:
    """A letter for each part: its name's first where all differ, else digits and so on."""
    initials = "".join(part.name.strip()[:1].upper() for part in parts)
    if len(set(initials)) == len(parts) and initials.isascii() and initials.isalpha():
        return initials
    return "".join(_DIGITS[number % len(_DIGITS)] for number in range(len(parts)))


def _row_name(lines: _Lines, line: int, halves: int, sharps: int) -> str:
    """The C that is in a row, or in the lowest and the highest row what begins there."""
    low = lines.low + line * lines.semitones
    pitches = range(low, low + halves * lines.semitones)
    c = next((pitch for pitch in pitches if pitch % 12 == 0), None)
    is_edge = line == 0 or line + halves >= lines.total
    return name_pitch(c) if c is not None else name_pitch(low, sharps) if is_edge else ""


def _bar_numbers(time: _Time) -> str:
    text = ""
    for bar, column in zip(time.bars, time.starts, strict=False):
        if bar.number and len(text) <= column and column + len(str(bar.number)) <= time.starts[-1]:
            text = f"{text:<{column}}{bar.number} "
    return text.rstrip()


def _legend(parts: Sequence[Part], letters: str, width: int, colour: bool) -> list[str]:
    """The names of the parts that have notes, as many as a line holds."""
    words, room = [], width
    for number, part in enumerate(parts):
        if part.notes:
            name = one_line(part_name(part, number))
            mark = f"{_foreground(_color(number))}■{_PLAIN}" if colour else letters[number]
            room -= len(name) + 4
            if room < -2:
                break
            words.append(f"{mark} {name}")
    return ["  ".join(words)] if words else []
