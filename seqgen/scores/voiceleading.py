"""How the voices of a piece move beside each other: what teachers of counterpoint mark, counted."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqgen.scores.piece import Part, Piece

Pitches = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
SILENT = -1
FIFTH, OCTAVE = 7, 12
TRIADS = ((0, 4, 7), (0, 3, 7), (0, 3, 6))
"""Major, minor and diminished, in semitones above the root."""
SEVENTHS = ((0, 4, 7, 10), (0, 3, 7, 10), (0, 4, 7, 11), (0, 3, 6, 10), (0, 3, 6, 9))
"""Dominant, minor, major, half-diminished and diminished."""
CHORDS = np.array(
    sorted({sum(1 << (root + step) % 12 for step in chord) for chord in TRIADS + SEVENTHS for root in range(12)})
)
"""Each of those chords on each root, as bits: bit 0 is C."""


class Faults(NamedTuple):
    """How often each is found in a piece, and in how many notes.

    Attributes:
        fifths: parallel fifths.
        octaves: parallel octaves and unisons.
        crossings: moments at which a voice stands below the next lower one.
        overlaps: moves of two neighbours that put one beyond where the other just was.
        leaps: of one voice, by more than an octave.
        notes: of all voices together.
    """

    fifths: int
    octaves: int
    crossings: int
    overlaps: int
    leaps: int
    notes: int


@dataclass(frozen=True)
class Moments:
    """What the voices do whenever a note begins in any of them; all of shape (voices, moments), the highest voice first.

    Attributes:
        pitches: what each voice sounds; `SILENT` where it rests.
        lefts: the pitch of the note that a voice leaves for a new one; `SILENT` where it does not, or comes out of a rest.
        begins: where a voice begins a note.
    """

    pitches: Pitches
    lefts: Pitches
    begins: Flags


def voices_of(piece: Piece) -> list[Part]:
    """The parts of a piece that are single voices, the highest first."""
    voices = [part for part in piece.parts if part.notes and not part.drums and part.is_voice()]
    return sorted(voices, key=lambda part: -sum(note.pitch for note in part.notes) / len(part.notes))


def find_faults(piece: Piece) -> Faults | None:
    """The faults between and within the voices of a piece; None where it has fewer than two voices.

    Parallels are two voices that begin a note together, move in the same direction, and are a perfect fifth (an octave
    or unison) apart before and after, octaves between them aside. A move out of a rest or, in any voice, of a fermata
    begins a phrase, and is no parallel, overlap or leap.
    """
    voices = voices_of(piece)
    if len(voices) < 2:
        return None
    moments = align(voices)
    pairs = list(combinations(range(len(voices)), 2))
    neighbours = list(pairwise(range(len(voices))))
    leaping = (moments.lefts != SILENT) & (np.abs(moments.pitches - moments.lefts) > OCTAVE)
    return Faults(
        fifths=sum(_count_parallels(moments, upper, lower, FIFTH) for upper, lower in pairs),
        octaves=sum(_count_parallels(moments, upper, lower, 0) for upper, lower in pairs),
        crossings=sum(int(_crossed(moments, upper, lower).sum()) for upper, lower in neighbours),
        overlaps=sum(_count_overlaps(moments, upper, lower) for upper, lower in neighbours),
        leaps=int(leaping.sum()),
        notes=sum(len(part.notes) for part in voices),
    )


def share_of_chords(piece: Piece) -> float | None:
    """The share of moments with three or more voices at which they are exactly a triad or seventh chord, in any inversion.

    Passing notes make other sonorities in any real music. None where three voices never sound together.
    """
    voices = voices_of(piece)
    if len(voices) < 3:
        return None
    pitches = align(voices).pitches
    sounding = pitches != SILENT
    classes = np.bitwise_or.reduce(np.where(sounding, 1 << pitches % 12, 0), axis=0)
    full = sounding.sum(axis=0) >= 3
    return float(np.isin(classes[full], CHORDS).mean()) if full.any() else None


def align(voices: list[Part]) -> Moments:
    """What the voices do at each moment at which any of them begins a note.

    Args:
        voices: with notes, of which no two in one voice sound at once; the highest voice first.
    """
    times = np.unique([note.start for voice in voices for note in voice.notes])
    shape = len(voices), len(times)
    pitches, lefts = np.full(shape, SILENT, dtype=np.int64), np.full(shape, SILENT, dtype=np.int64)
    begins, closing = np.zeros(shape, dtype=bool), np.zeros(len(times), dtype=bool)
    for row, voice in enumerate(voices):
        starts = np.array([note.start for note in voice.notes])
        ends = np.array([note.end for note in voice.notes])
        sounds = np.array([note.pitch for note in voice.notes])
        latest = np.searchsorted(starts, times, side="right") - 1  # the note that began last; -1: none yet
        pitches[row] = np.where((latest >= 0) & (times < ends[latest]), sounds[latest], SILENT)
        where = np.searchsorted(times, starts)
        begins[row, where] = True
        lefts[row, where[1:]] = np.where(ends[:-1] == starts[1:], sounds[:-1], SILENT)
        closing |= np.isin(times, ends[[note.fermata for note in voice.notes]])
    lefts[:, closing] = SILENT
    return Moments(pitches, lefts, begins)


def _count_parallels(moments: Moments, upper: int, lower: int, interval: int) -> int:
    before, now = moments.lefts[[upper, lower]], moments.pitches[[upper, lower]]
    together = (before != SILENT).all(axis=0)
    along = np.prod(np.sign(now - before), axis=0) > 0
    kept = (np.abs(before[0] - before[1]) % OCTAVE == interval) & (np.abs(now[0] - now[1]) % OCTAVE == interval)
    return int((together & along & kept).sum())


def _crossed(moments: Moments, upper: int, lower: int) -> Flags:
    """The moments at which one of two voices begins a note and the upper stands below the lower."""
    over, under = moments.pitches[upper], moments.pitches[lower]
    begins = moments.begins[upper] | moments.begins[lower]
    return np.asarray(begins & (over != SILENT) & (under != SILENT) & (over < under))


def _count_overlaps(moments: Moments, upper: int, lower: int) -> int:
    """Only where both move: beyond a note that is held would be a crossing."""
    before, now = moments.lefts[[upper, lower]], moments.pitches[[upper, lower]]
    together = (before != SILENT).all(axis=0) & (before[0] >= before[1]) & ~_crossed(moments, upper, lower)
    return int((together & ((now[0] < before[1]) | (now[1] > before[0]))).sum())
