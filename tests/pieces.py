"""Little pieces of music made by rule, for corpora that learn quickly; and strategies for hypothesis."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import strategies as st

from seqgen.scores.piece import TICKS, Key, Metre, Note, Part, Piece, Tempo

STEP = TICKS // 4
NAMES = ("Soprano", "Alto", "Tenor", "Bass")
RANGES = ((62, 79), (57, 72), (50, 67), (41, 60))
"""The lowest and the highest pitch of each voice."""
SCALE = (0, 2, 4, 5, 7, 9, 11)
METRES = (Metre(0, 4, 4), Metre(0, 3, 4))
_VOICES = [*zip(NAMES, RANGES, strict=True)]
LENGTHS = (2, 4, 4, 8)
"""Of notes, in steps."""


def chorale(seed: int, bars: int = 3, pickup: int | None = None, metre: Metre | None = None) -> Piece:
    """Four voices that wander through one of five major keys in whole bars, under a fermata in the end.

    Args:
        seed: another one, another piece.
        bars: how many, the pickup not counted; the last one lacks it.
        pickup: in quarter notes; None: 1 in every second piece.
        metre: None: 3/4 in every third piece.
    """
    draw = random.Random(seed)
    metre = metre or METRES[seed % 3 == 2]
    pickup = seed % 2 * TICKS if pickup is None else pickup * TICKS
    parts = [Part(_wander(draw, (low + high) // 2, bars * metre.bar), name) for name, (low, high) in _VOICES]
    piece = Piece(tuple(parts), (metre,), (Key(0, 0, False),), pickup=pickup)
    return piece.transposed((-4, 0, 4, -2, 2)[seed % 5])


def _wander(draw: random.Random, middle: int, end: int) -> tuple[Note, ...]:
    """Notes of the scale of C, at most 5 semitones from the middle."""
    allowed = [pitch for pitch in range(middle - 5, middle + 6) if pitch % 12 in SCALE]
    place, start, last = len(allowed) // 2, 0, end - TICKS  # where the chord under the fermata begins
    notes: list[Note] = []
    while start < last:
        length = min(draw.choice(LENGTHS) * STEP, last - start)
        notes.append(Note(start, length, allowed[place]))
        start += length
        place = min(max(place + draw.choice((-2, -1, 1, 2)), 0), len(allowed) - 1)
    return (*notes, Note(last, TICKS, allowed[place], fermata=True))


def corpus(count: int = 30, bars: int = 3) -> list[Piece]:
    """So many little pieces in two metres and five keys, some with a pickup."""
    return [chorale(seed, bars) for seed in range(count)]


def bare(piece: Piece) -> list[list[tuple[int, int, int]]]:
    """Start, duration and pitch of the notes of each part."""
    return [[note[:3] for note in part.notes] for part in piece.parts]


@st.composite
def voices(draw: st.DrawFn, low: int = 0, high: int = 127, most: int = 12) -> tuple[Note, ...]:
    """The notes of a voice on a grid of sixteenths: no two at once, rests between some of them."""
    lengths = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(low, high)), max_size=most))
    notes, start = [], 0
    for rest, length, pitch in lengths:
        start += rest * STEP
        notes.append(Note(start, length * STEP, pitch))
        start += length * STEP
    return tuple(notes)


@st.composite
def grid_pieces(draw: st.DrawFn, ranges: Sequence[tuple[int, int]] = RANGES) -> Piece:
    """Pieces of voices on a grid of sixteenths, with at least one note."""
    parts = [Part(draw(voices(low, high)), name) for name, (low, high) in zip(NAMES, ranges, strict=False)]
    if not any(part.notes for part in parts):
        parts[0] = Part((Note(0, STEP, ranges[0][0]),), NAMES[0])
    metre = draw(st.sampled_from([Metre(0, 4, 4), Metre(0, 3, 4), Metre(0, 6, 8)]))
    metres = (metre, *draw(st.sampled_from([(), (Metre(2 * metre.bar, 2, 4),)])))
    pickup = draw(st.sampled_from([0, 0, TICKS, 2 * STEP])) if len(metres) == 1 else 0
    keys = draw(st.sampled_from([(), (Key(0, 7, False),), (Key(0, 3, True),)]))
    return Piece(tuple(parts), metres, keys, pickup=pickup)


@st.composite
def any_pieces(draw: st.DrawFn) -> Piece:
    """Pieces off any grid: chords, overlaps, drums, velocities, fermatas, and changes on the way."""
    times = st.integers(0, 40 * TICKS)
    notes = st.builds(Note, times, st.integers(1, 9 * TICKS), st.integers(0, 127), st.integers(0, 127), st.booleans())
    names = st.text("abc XYZ-'é1", max_size=6).map(lambda name: " ".join(name.split()))
    parts = draw(
        st.lists(
            st.builds(
                lambda notes, name, program, drums: Part(
                    tuple(sorted(notes, key=lambda note: (note.start, note.pitch))),
                    name,
                    0 if drums else program,
                    drums,
                ),
                st.lists(notes, max_size=8, unique_by=lambda note: (note.start, note.pitch)),
                names,
                st.integers(0, 127),
                st.booleans(),
            ),
            min_size=1,
            max_size=4,
        ).filter(lambda parts: any(part.notes for part in parts))
    )
    later = draw(st.lists(times.filter(bool), max_size=2, unique=True).map(sorted))
    metres = tuple(
        Metre(start, draw(st.integers(1, 12)), draw(st.sampled_from([2, 4, 8, 16]))) for start in [0, *later]
    )
    keys = tuple(Key(start, draw(st.integers(0, 11)), draw(st.booleans())) for start in [0, *later])
    tempos = tuple(Tempo(start, draw(st.integers(20, 300)) / 2) for start in [0, *later])
    return Piece(
        tuple(parts),
        draw(st.sampled_from([(), metres])),
        draw(st.sampled_from([(), keys])),
        draw(st.sampled_from([(), tempos])),
        draw(st.sampled_from([0, 480, 160])),
        title=draw(names),
    )
