"""What stands on a staff: measures, and voices in which no two notes overlap.

Times off every grid that notes are written on (128ths, triplets, quintuplets) move to the nearest 64th.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from seqgen.scores.piece import COMMON_TIME, TICKS, Metre, Note, Part, Piece

VOICES = 4
"""On one staff; more cannot be told apart."""
_GRIDS = (15, 20, 24)
"""What divides a quarter into 128ths, triplets of 64ths, quintuplets of 64ths."""
_COARSE = 30
_STRUCTURE = 120
"""Barlines are on every grid at once."""


class Measure(NamedTuple):
    """What stands between two barlines, in ticks; `origin` is where the bar would begin were it whole."""

    number: int
    counted: bool
    start: int
    stop: int
    origin: int
    metre: Metre


class Sound(NamedTuple):
    """A note or a chord, in ticks."""

    start: int
    end: int
    pitches: tuple[int, ...]
    fermata: bool


def snap(piece: Piece) -> Piece:
    """The piece with every time on a grid that notes can be written on; most are already."""
    edges = [edge for part in piece.parts for note in part.notes for edge in (note.start, note.end)]
    pickup = _nearest([piece.pickup, *(piece.pickup - edge for edge in edges if edge < piece.pickup)], piece.pickup)

    def to_barline(time: int) -> int:
        return max(0, pickup + (time - pickup + _STRUCTURE // 2) // _STRUCTURE * _STRUCTURE) if time else 0

    return dataclasses.replace(
        piece,
        parts=tuple(dataclasses.replace(part, notes=_snapped(part.notes, pickup)) for part in piece.parts),
        metres=tuple(metre._replace(start=to_barline(metre.start)) for metre in piece.metres),
        marks=tuple(mark._replace(start=to_barline(mark.start)) for mark in piece.marks),
        pickup=pickup,
    )


def _snapped(notes: Iterable[Note], pickup: int) -> tuple[Note, ...]:
    """Each quarter note's time has one grid, and all that begins or ends in it is on that."""
    notes = list(notes)
    times: defaultdict[int, list[int]] = defaultdict(list, {-pickup // TICKS: [-pickup]})
    for note in notes:
        for time in (note.start - pickup, note.end - pickup):
            times[time // TICKS].append(time)
    moved = []
    for note in notes:
        start, end = note.start - pickup, note.end - pickup
        start = max(_nearest(times[start // TICKS], start), -pickup)
        end = max(_nearest(times[end // TICKS], end), start + _grid(times[start // TICKS]))
        moved.append(note._replace(start=start + pickup, duration=end - start))
    return tuple(sorted(moved))


def _grid(times: Sequence[int]) -> int:
    return next((grid for grid in _GRIDS if all(time % grid == 0 for time in times)), _COARSE)


def _nearest(times: Sequence[int], time: int) -> int:
    grid = _grid(times)
    return (time + grid // 2) // grid * grid


def measures_of(piece: Piece) -> list[Measure]:
    """The measures; a bar with a mark inside becomes two, and the last may lack what the pickup has."""
    metres = piece.metres or (COMMON_TIME,)
    marks = sorted({mark.start for mark in piece.marks})
    bars = list(piece.bars())
    found: list[Measure] = []
    number = 0 if piece.pickup else 1
    for start, stop in bars:
        metre = next((metre for metre in reversed(metres) if metre.start <= start), metres[0])
        is_pickup = number == 0
        if stop == bars[-1][1] and piece.pickup and piece.pickup % _COARSE == 0 and not is_pickup:
            shortened = start + metre.bar - piece.pickup
            stop = shortened if start < piece.end <= shortened else stop
        origin = min(start, stop - metre.bar) if is_pickup else start
        edges = [start, *(mark for mark in marks if start < mark < stop), stop]
        found += [
            Measure(number, not is_pickup and begin == start, begin, end, origin, metre)
            for begin, end in itertools.pairwise(edges)
        ]
        number += 1
    return found


def voices_of(part: Part) -> list[list[Sound]]:
    """A part's notes as voices in which no two overlap: notes that begin and end together are a chord, others go to the
    first voice that is free. Where more than four would be needed, a new note ends the one that has sounded longest.
    """
    chords: defaultdict[tuple[int, int], list[Note]] = defaultdict(list)
    for note in part.notes:
        chords[note.start, note.end].append(note)
    sounds = [
        Sound(start, end, tuple(sorted({note.pitch for note in notes})), any(note.fermata for note in notes))
        for (start, end), notes in chords.items()
    ]
    voices: list[list[Sound]] = []
    for sound in sorted(sounds, key=lambda sound: (sound.start, -sound.pitches[-1], sound.end)):
        free = next((voice for voice in voices if voice[-1].end <= sound.start), None)
        if free is not None:
            free.append(sound)
        elif len(voices) < VOICES:
            voices.append([sound])
        else:
            _squeeze_in(voices, sound)
    return voices or [[]]


def _squeeze_in(voices: list[list[Sound]], sound: Sound) -> None:
    oldest = min(voices, key=lambda voice: voice[-1].start)
    last = oldest[-1]
    if last.start < sound.start:
        oldest[-1] = last._replace(end=sound.start)
        oldest.append(sound)
    else:  # all began just now: one chord more
        nearest = min(voices, key=lambda voice: abs(voice[-1].end - sound.end))
        nearest[-1] = nearest[-1]._replace(pitches=tuple(sorted({*nearest[-1].pitches, *sound.pitches})))
