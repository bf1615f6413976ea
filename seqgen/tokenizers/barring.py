"""Words of events by kind, and the bars and grids that notes are counted in."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from typing import NamedTuple

from seqgen.scores.performing import metre_at
from seqgen.scores.piece import TICKS, Metre, Piece

BAR, PICKUP, METRE, POSITION, SHIFT, TEMPO = "Bar", "Bar pickup", "TimeSig", "Position", "TimeShift", "Tempo"
PROGRAM, PITCH, DRUM, VELOCITY, DURATION = "Program", "Pitch", "PitchDrum", "Velocity", "Duration"
KINDS = (BAR, METRE, POSITION, SHIFT, TEMPO, PROGRAM, PITCH, DRUM, VELOCITY, DURATION)
DRUMS = -1
"""The program of drums."""
LAST = 128
"""The rank of drums among programs."""
POSITIONS = 12
"""Of a beat."""
NEAR_GRID = 4
"""Ticks that a note may lie beside the grid and still be on it: rounding does as much in files of few ticks."""
ON_GRID = 0.8
"""Share of the notes that must lie on the grid where a piece was written, not played."""


class Bar(NamedTuple):
    """A bar as it is counted: a pickup as a whole one."""

    start: int
    metre: Metre


def is_quantised(piece: Piece) -> bool:
    """Whether most notes begin on a grid of 12 steps to a quarter note."""
    step = TICKS // POSITIONS
    beside = (note.start % step for part in piece.parts for note in part.notes)
    near = sum(min(rest, step - rest) <= NEAR_GRID for rest in beside)
    return near >= ON_GRID * piece.notes


def beat_ticks(metre: Metre) -> int:
    """Ticks of what a metre counts; quarters where it counts halves, whose positions would be too coarse."""
    return 4 * TICKS // max(4, metre.unit)


def grain_of(metre: Metre) -> int:
    """Ticks of a position."""
    return beat_ticks(metre) // POSITIONS


def time_ticks(value: str, beat: int) -> int:
    """Ticks of a length such as `1.6.12`: beats, and so many parts of a beat."""
    beats, parts, resolution = map(int, value.split("."))
    return (beats * resolution + parts) * beat // resolution


def bars_of(piece: Piece, knows: Callable[[Metre], bool], usual: Metre) -> tuple[list[Bar], int]:
    """The bars of a piece in metres that are known, and by how many ticks it moves so that a pickup fills its bar.

    A bar that is cut short by the next metre is one of its own metre: 2/4 within 4/4. Where a metre is not known, that of a
    bar as long is taken for it, or the usual one; the notes stay where they are.

    Args:
        piece: with notes.
        knows: which metres may be used.
        usual: the one that is used in need.
    """
    bars: list[Bar] = []
    moved = 0
    for start, stop in piece.bars():
        metre = metre_at(piece, start)
        if start == 0 and stop == piece.pickup < metre.bar:
            moved = metre.bar - piece.pickup
        elif stop - start != metre.bar:
            metre = metre._replace(beats=max(1, (stop - start) * metre.unit // (4 * TICKS)))
        if not knows(metre) or metre.bar != stop - start + (0 if bars else moved):
            return _counted_anew(piece, knows, usual)
        bars.append(Bar(start + (moved if bars else 0), metre))
    return bars, moved


def _counted_anew(piece: Piece, knows: Callable[[Metre], bool], usual: Metre) -> tuple[list[Bar], int]:
    """Bars of known metres alone, each of which begins where the bar before has ended."""

    def metre_of(start: int) -> Metre:
        metre = metre_at(piece, start)
        alike = (Metre(0, metre.bar * unit // (4 * TICKS), unit) for unit in (4, 2, 8, 16, 32))
        return next((each for each in (metre, *alike) if each.bar == metre.bar and knows(each)), usual)

    first = metre_of(0).bar
    moved = first - piece.pickup if 0 < piece.pickup < first else 0
    bars: list[Bar] = []
    clock = 0
    while clock < piece.end + moved:
        bars.append(Bar(clock, metre_of(max(0, clock - moved))))
        clock += bars[-1].metre.bar
    return bars, moved


def on_grid(time: int, bars: list[Bar]) -> int:
    """The position nearest to a time, in ticks."""
    start, metre = bars[max(0, bisect.bisect_right(bars, time, key=lambda bar: bar.start) - 1)]
    grain = grain_of(metre)
    return start + (2 * (time - start) + grain - 1) // (2 * grain) * grain


def rank(program: int) -> int:
    """The order of programs in a moment."""
    return LAST if program == DRUMS else program
