"""A piece on a grid: bars and steps, and what each voice does in a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from seqgen.scores.piece import COMMON_TIME, TICKS, Metre, Part, Piece

CHOIR = ("soprano", "alto", "tenor", "bass")
COUNTED_DOWN = 16
"""Bars at the end that say how many are left."""
COUNTED_UNHELD = 4
"""The same where each step is written out: a bar is so long then that a model does not remember the count before."""
FAR = 4
"""Quarter notes to the next fermata from which on it is far away."""
HOLD, REST = -1, -2
"""What a voice does in a step where it strikes no pitch."""
OFF_GRID = 0.05
"""Share of a piece's notes that may begin between two steps; they are moved to the nearest."""


class Bar(NamedTuple):
    """A bar on the grid, in steps.

    Attributes:
        first: where it begins.
        last: where it ends.
        offset: how many steps of a whole bar it lacks at its beginning, as an upbeat does.
        left: how many bars are left with it; the upbeat counts none.
        metre: of the bar.
        changes: whether it is another metre than before.
    """

    first: int
    last: int
    offset: int
    left: int
    metre: Metre
    changes: bool


def choir(piece: Piece, voices: int) -> Piece:
    """The piece with its singing parts alone, where there are soprano, alto, tenor and bass beside instruments."""
    if len(piece.parts) == voices or voices != len(CHOIR):
        return piece
    found = [[part for part in piece.parts if name in part.name.casefold()] for name in CHOIR]
    if any(len(parts) != 1 for parts in found):
        return piece
    return replace(piece, parts=tuple(part for (part,) in found))


def bar_word(left: int, counted: int = COUNTED_DOWN) -> str:
    """The word that begins a bar when so many are left with it, of which the last so many are counted."""
    return f"bar {left}" if left <= counted else "bar"


def cells_of(part: Part, step: int, steps: int, held: bool) -> list[int]:
    """What a voice does in each step: a pitch, `HOLD` or `REST`. Notes too short for the grid are left out."""
    cells = [REST] * steps
    for note in part.notes:
        first, last = round_to(note.start, step), min(round_to(note.end, step), steps)
        for place in range(first, last):
            cells[place] = HOLD if held and place > first else note.pitch
    return cells


def round_to(ticks: int, step: int) -> int:
    """Ticks in steps, a half rounded down."""
    return (2 * ticks + step - 1) // (2 * step)


def bars_on(piece: Piece, step: int) -> list[Bar]:
    """The bars of a piece on a grid whose steps have so many ticks; the last one may lack what the upbeat has."""
    bounds = list(piece.bars())
    if piece.pickup and len(bounds) > 1 and piece.end <= bounds[-1][1] - piece.pickup:
        bounds[-1] = (bounds[-1][0], bounds[-1][1] - piece.pickup)
    bars: list[Bar] = []
    for number, (start, end) in enumerate(bounds):
        first, last, metre = round_to(start, step), round_to(end, step), _metre_at(piece, start)
        offset = metre.bar // step - (last - first) if number == 0 and piece.pickup else 0
        changes = bool(bars) and metre[1:] != bars[-1].metre[1:]
        bars.append(Bar(first, last, offset, len(bounds) - number, metre, changes))
    return bars


def is_event(cells: Sequence[int], before: Sequence[int]) -> bool:
    """Whether any voice does something new in a step; `before` is the step before, empty at the beginning."""
    return not before or any(
        cell not in (HOLD, REST) or (cell == REST and last != REST) for cell, last in zip(cells, before, strict=True)
    )


def goals_of(piece: Piece, step: int, bars: Sequence[Bar]) -> list[int | None]:
    """For each bar the lowest part's pitch where its phrase ends: at the next fermata, or with the piece; None: it has none."""
    bass = piece.parts[-1].notes
    if not bass:
        return [None] * len(bars)
    ends = sorted({round_to(note.start, step) for part in piece.parts for note in part.notes if note.fermata})
    goals: list[int | None] = []
    for bar in bars:
        end = next((end for end in ends if end >= bar.first), bars[-1].last)
        goals.append(next((note.pitch for note in reversed(bass) if round_to(note.start, step) <= end), bass[0].pitch))
    return goals


def _metre_at(piece: Piece, start: int) -> Metre:
    return next((metre for metre in reversed(piece.metres) if metre.start <= start), COMMON_TIME)


def distances_to_fermatas(piece: Piece, step: int, steps: int) -> list[int]:
    """Quarter notes from each step to the next fermata, rounded up; 0 under one, at most `FAR`."""
    distances = [FAR] * steps
    for note in (note for part in piece.parts for note in part.notes if note.fermata):
        first, last = round_to(note.start, step), round_to(note.end, step)
        for place in range(max(0, first - FAR * TICKS // step), min(last, steps)):
            distances[place] = min(distances[place], max(0, -((place - first) * step // TICKS)))
    return distances
