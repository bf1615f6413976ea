"""Measures of music, to see whether sampled pieces are like real ones.

Each piece gives one value a measure; `describe` collects those of many pieces, and `compare` says their means, and how much
of their histograms they have in common with other pieces (Yang and Lerch 2020). No measure says what is good music: what
real pieces give is what samples should give, and figures of samples are to be read beside those of held-out pieces.
"""

from __future__ import annotations

import bisect
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from seqgen.scores.piece import TICKS, Key, Note, Part, Piece
from seqgen.scores.pitches import find_key
from seqgen.scores.voiceleading import find_faults, share_of_chords, voices_of

POSITIONS = 16
"""Places in a bar at which the groove is looked at."""
REST = TICKS
"""A rest of up to so many ticks between a chord and the same chord is still the same chord, played short."""
STUCK_BARS = 2
MAJOR_SCALE = (0, 2, 4, 5, 7, 9, 11)
HIGHER, NEARER = "higher", "nearer"
"""Which value is better: a higher one, or one nearer to that of real pieces."""
PER_NOTES = 100


class Figure(NamedTuple):
    """A measure of some pieces.

    Attributes:
        name: of the measure.
        unit: of its value.
        value: the mean over the pieces; None where the measure has no meaning for any of them.
        error: the standard error of that mean; None where it is not known.
        better: `HIGHER` or `NEARER`.
    """

    name: str
    unit: str
    value: float | None
    error: float | None
    better: str


class Measure(NamedTuple):
    """What is measured of a piece: a value, or None where the measure has no meaning for the piece."""

    name: str
    unit: str
    of: Callable[[Piece], float | None]


@dataclass(frozen=True)
class Profile:
    """What was measured of some pieces.

    Attributes:
        pieces: how many.
        degrees: the share of the notes of each pitch class above the tonic; each piece counts as much.
        lengths: the share of each note length, in ticks; likewise.
        intervals: the share of each step from note to note of a voice, in semitones; likewise.
        values: of each measure, those of the pieces for which it has a meaning.
    """

    pieces: int
    degrees: Mapping[int, float]
    lengths: Mapping[int, float]
    intervals: Mapping[int, float]
    values: Mapping[str, tuple[float, ...]]


def describe(pieces: Sequence[Piece]) -> Profile:
    """What can be measured of some pieces: samples, held-out or training pieces."""
    values: dict[str, list[float]] = defaultdict(list)
    for piece in pieces:
        for name, value in measure(piece).items():
            values[name].append(value)
    return Profile(
        len(pieces),
        _mean_shares([degrees_of(piece) for piece in pieces]),
        _mean_shares([[note.duration for note in _pitched(piece)] for piece in pieces]),
        _mean_shares([intervals_of(piece) for piece in pieces]),
        {name: tuple(found) for name, found in values.items()},
    )


def compare(profile: Profile, others: Profile) -> list[Figure]:
    """The figures of some pieces: overlaps with other pieces, and means.

    Overlaps are of samples with the training set; what is to be expected of them is the overlap of held-out pieces
    with the training set. Few pieces have less in common with any others than many.
    """
    overlaps = [
        Figure("pitch classes in common", "share", overlap(profile.degrees, others.degrees), None, HIGHER),
        Figure("note lengths in common", "share", overlap(profile.lengths, others.lengths), None, HIGHER),
        Figure("melodic steps in common", "share", overlap(profile.intervals, others.intervals), None, HIGHER),
    ]
    units = {one.name: one.unit for one in MEASURES} | dict.fromkeys(FAULTS, f"per {PER_NOTES} notes")
    return overlaps + [average(name, unit, profile.values.get(name, ())) for name, unit in units.items()]


def measure(piece: Piece) -> dict[str, float]:
    """The value of each measure that has a meaning for the piece."""
    values = {one.name: one.of(piece) for one in MEASURES}
    if faults := find_faults(piece):
        values |= {name: PER_NOTES * getattr(faults, field) / faults.notes for name, field in FAULTS.items()}
    return {name: value for name, value in values.items() if value is not None}


def overlap(shares: Mapping[int, float], others: Mapping[int, float]) -> float | None:
    """What two histograms that add up to 1 have in common, 0 to 1; None where one is empty."""
    if not shares or not others:
        return None
    return sum(min(share, others.get(value, 0.0)) for value, share in shares.items())


def average(name: str, unit: str, values: Sequence[float]) -> Figure:
    """The mean of values, one a piece, with its standard error."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
    return Figure(name, unit, statistics.fmean(values) if values else None, error, NEARER)


def degrees_of(piece: Piece) -> list[int]:
    """The pitch class of each note above the tonic: of the key that the piece says, else of the one that fits best."""
    notes = _pitched(piece)
    keys = _keys_of(piece)
    return [(note.pitch - _key_at(keys, note.start).tonic) % 12 for note in notes]


def intervals_of(piece: Piece) -> list[int]:
    """The steps from note to note of its single-voice parts, in semitones; up is above 0."""
    return [after.pitch - before.pitch for voice in voices_of(piece) for before, after in pairwise(voice.notes)]


def scale_consistency(piece: Piece) -> float | None:
    """The largest share of notes that stand in one major scale, which is also that of a natural minor (Mogren 2016)."""
    classes = Counter(note.pitch % 12 for note in _pitched(piece))
    if not classes:
        return None
    return max(sum(classes[(root + step) % 12] for step in MAJOR_SCALE) for root in range(12)) / classes.total()


def groove_consistency(piece: Piece) -> float | None:
    """How alike the onsets of successive bars of one length are, 0 to 1 (grooving similarity; Wu and Yang 2020).

    It is the share of `POSITIONS` places in a bar at which notes begin in both bars or in neither.
    """
    bars = np.array(list(piece.bars()), dtype=np.int64).reshape(-1, 2)
    grooves = np.zeros((len(bars), POSITIONS), dtype=bool)
    onsets = np.array([note.start for part in piece.parts for note in part.notes], dtype=np.int64)
    lengths = bars[:, 1] - bars[:, 0]
    at = np.searchsorted(bars[:, 0], onsets, side="right") - 1
    grooves[at, (onsets - bars[at, 0]) * POSITIONS // lengths[at]] = True
    alike = (grooves[1:] == grooves[:-1]).mean(axis=1)[lengths[1:] == lengths[:-1]]
    return float(alike.mean()) if len(alike) else None


def polyphony(piece: Piece) -> float | None:
    """How many notes sound at once while any does (Dong et al. 2020)."""
    notes = _pitched(piece)
    sounding = sum(stop - start for start, stop, _ in sonorities(piece))
    return sum(note.duration for note in notes) / sounding if sounding else None


def empty_beats(piece: Piece) -> float | None:
    """The share of quarter notes, in step with the bars, in which nothing sounds (after Dong et al. 2018)."""
    first = piece.pickup % TICKS
    sounding = np.zeros(max(0, -(-(piece.end - first) // TICKS)), dtype=bool)
    for part in piece.parts:
        for note in part.notes:
            sounding[max(0, (note.start - first) // TICKS) : (note.end - 1 - first) // TICKS + 1] = True
    return float(1 - sounding.mean()) if len(sounding) else None


def repeated_bars(piece: Piece) -> float | None:
    """The share of bars of the first part, those in which a note begins, that have stood before in the piece."""
    melody = next(_melodies(piece), None)
    if melody is None:
        return None
    starts = [start for start, _ in piece.bars()]
    bars: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for note in melody.notes:
        bar = starts[bisect.bisect_right(starts, note.start) - 1]
        bars[bar].append((note.start - bar, note.duration, note.pitch))
    return 1 - len({tuple(bar) for bar in bars.values()}) / len(bars)


def stuck(piece: Piece) -> float:
    """The longest time that one note or chord is held or repeated while nothing else sounds, in quarter notes."""
    longest = began = end = 0
    held: frozenset[int] = frozenset()
    for start, stop, sounding in sonorities(piece):
        if sounding != held or start - end > REST:
            began, held = start, sounding
        end = stop
        longest = max(longest, end - began)
    return longest / TICKS


def is_stuck(piece: Piece) -> float:
    """1 where one note or chord is held or repeated for more than two of the longest bars of the piece, else 0."""
    longest = max((stop - start for start, stop in piece.bars()), default=0)
    return float(stuck(piece) * TICKS > STUCK_BARS * longest)


def final_tonic(piece: Piece) -> float | None:
    """1 where the last note of the lowest part is the tonic of the key, else 0."""
    parts = list(_melodies(piece))
    if not parts:
        return None
    lowest = min(parts, key=lambda part: statistics.fmean(note.pitch for note in part.notes))
    last = max(lowest.notes, key=lambda note: (note.start, -note.pitch))
    return float(last.pitch % 12 == _key_at(_keys_of(piece), last.start).tonic)


def notes_per_bar(piece: Piece) -> float | None:
    """How many notes of all parts a bar has; a pickup is a bar, too."""
    bars = sum(1 for _ in piece.bars())
    return piece.notes / bars if bars else None


def pitch_range(piece: Piece) -> float | None:
    """Semitones from the lowest to the highest note."""
    pitches = [note.pitch for note in _pitched(piece)]
    return float(max(pitches) - min(pitches)) if pitches else None


MEASURES = (
    Measure("scale consistency", "share", scale_consistency),
    Measure("groove consistency", "share", groove_consistency),
    Measure("notes at once", "notes", polyphony),
    Measure("notes a bar", "notes", notes_per_bar),
    Measure("pitch range", "semitones", pitch_range),
    Measure("empty beats", "share", empty_beats),
    Measure("repeated bars", "share", repeated_bars),
    Measure("longest held", "quarter notes", stuck),
    Measure("stuck over two bars", "share", is_stuck),
    Measure("ends on the tonic", "share", final_tonic),
    Measure("chords", "share", share_of_chords),
)
FAULTS = {
    "parallel fifths": "fifths",
    "parallel octaves": "octaves",
    "voice crossings": "crossings",
    "voice overlaps": "overlaps",
    "leaps over an octave": "leaps",
}


def sonorities(piece: Piece) -> Iterator[tuple[int, int, frozenset[int]]]:
    """What sounds from when to when, in ticks, while any pitched note does; one ends wherever a note begins or ends."""
    changes: dict[int, Counter[int]] = defaultdict(Counter)
    for note in _pitched(piece):
        changes[note.start][note.pitch] += 1
        changes[note.end][note.pitch] -= 1
    times = sorted(changes)
    sounding: Counter[int] = Counter()
    for start, stop in pairwise(times):
        sounding.update(changes[start])
        if now := frozenset(pitch for pitch, voices in sounding.items() if voices):
            yield start, stop, now


def _melodies(piece: Piece) -> Iterator[Part]:
    return (part for part in piece.parts if part.notes and not part.drums)


def _pitched(piece: Piece) -> list[Note]:
    return [note for part in _melodies(piece) for note in part.notes]


def _keys_of(piece: Piece) -> tuple[Key, ...]:
    if piece.keys:
        return piece.keys
    found = find_key(_pitched(piece))
    return (found,) if found else ()


def _key_at(keys: Sequence[Key], time: int) -> Key:
    return keys[max(0, bisect.bisect_right(keys, time, key=lambda key: key.start) - 1)]


def _mean_shares(values_of_pieces: Sequence[Sequence[int]]) -> dict[int, float]:
    """A histogram to which each piece that has values adds as much; adds up to 1."""
    filled = [values for values in values_of_pieces if values]
    shares: dict[int, float] = defaultdict(float)
    for values in filled:
        for value, count in Counter(values).items():
            shares[value] += count / len(values) / len(filled)
    return dict(shares)
