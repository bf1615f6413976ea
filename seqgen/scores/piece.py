"""A piece of music as plain data: parts of notes, and where metre, key and tempo change.

All times are integers, in ticks of 1/480 of a quarter note: binary divisions down to a 128th note, triplets and quintuplets
are whole numbers of them.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

TICKS = 480
"""Ticks of a quarter note."""
DEFAULT_TEMPO = 120.0
"""Quarter notes per minute where a piece says nothing: what MIDI assumes, too."""
LOWEST, HIGHEST = 0, 127
"""MIDI's pitches; 60 is C4."""


class Note(NamedTuple):
    """A sounding note; start and duration in ticks."""

    start: int
    duration: int
    pitch: int
    velocity: int = 0
    """How hard it is struck, 1 to 127; 0: not said."""
    fermata: bool = False

    @property
    def end(self) -> int:
        """Where it has stopped sounding."""
        return self.start + self.duration


class Metre(NamedTuple):
    """A time signature from `start` on: 6/8 is `beats` 6, `unit` 8."""

    start: int
    beats: int
    unit: int

    @property
    def bar(self) -> int:
        """Ticks of a bar."""
        return self.beats * 4 * TICKS // self.unit

    def __str__(self) -> str:
        return f"{self.beats}/{self.unit}"


class Key(NamedTuple):
    """A key from `start` on, by its tonic's pitch class (C is 0) and mode."""

    start: int
    tonic: int
    minor: bool


class Tempo(NamedTuple):
    """Quarter notes per minute from `start` on."""

    start: int
    bpm: float


class Mark(NamedTuple):
    """A sign at a barline: `|:` and `:|` for repeats, `[1` and `[2` where endings begin, `||` where a section ends,
    `|]` where the piece does."""

    start: int
    sign: str


FINAL = "|]"
"""The final barline. Only a seed needs one: it says that the piece ends there."""
SIGNS = ("|:", ":|", "[1", "[2", "||", FINAL)
COMMON_TIME = Metre(0, 4, 4)


@dataclass(frozen=True)
class Part:
    """What one voice or instrument plays.

    Attributes:
        notes: sorted by start, then pitch.
        name: for people; may be empty.
        program: the General MIDI instrument, 0 to 127.
        drums: whether pitches name drums.
    """

    notes: tuple[Note, ...]
    name: str = ""
    program: int = 0
    drums: bool = False

    @property
    def end(self) -> int:
        """Where the last note has stopped, in ticks."""
        return max((note.end for note in self.notes), default=0)

    def is_voice(self) -> bool:
        """Whether no two notes sound at once."""
        return all(first.end <= second.start for first, second in zip(self.notes, self.notes[1:], strict=False))


@dataclass(frozen=True)
class Piece:
    """A piece of music.

    Attributes:
        parts: the highest voice first, in a score.
        metres: with the first at 0; empty: not known.
        keys: likewise.
        tempos: likewise.
        pickup: ticks before the first whole bar; 0: there is no upbeat.
        marks: repeats and endings.
        title: for people; may be empty.
    """

    parts: tuple[Part, ...]
    metres: tuple[Metre, ...] = ()
    keys: tuple[Key, ...] = ()
    tempos: tuple[Tempo, ...] = ()
    pickup: int = 0
    marks: tuple[Mark, ...] = ()
    title: str = ""

    @property
    def end(self) -> int:
        """Where the last note has stopped, in ticks."""
        return max((part.end for part in self.parts), default=0)

    @property
    def notes(self) -> int:
        """How many notes it has in all parts together."""
        return sum(len(part.notes) for part in self.parts)

    def bars(self) -> Iterator[tuple[int, int]]:
        """Where each bar begins and ends, the pickup first, until every note has ended; 4/4 where no metre is known."""
        metres = self.metres or (COMMON_TIME,)
        starts = [metre.start for metre in metres]
        start, end = 0, self.end
        while start < end:
            metre = metres[max(0, bisect.bisect_right(starts, start) - 1)]
            stop = start + (self.pickup if start == 0 and self.pickup else max(1, metre.bar))
            change = bisect.bisect_right(starts, start)
            if change < len(starts):  # a metre that changes within a bar ends it
                stop = min(stop, starts[change])
            yield start, stop
            start = stop

    def between(self, first: int, last: int) -> Piece:
        """The notes that begin from one barline up to another, as a piece of its own, none sounding on beyond it.

        What begins at 0 keeps the pickup.
        """
        parts = tuple(
            dataclasses.replace(
                part,
                notes=tuple(
                    note._replace(start=note.start - first, duration=min(note.duration, last - note.start))
                    for note in part.notes
                    if first <= note.start < last
                ),
            )
            for part in self.parts
        )
        return dataclasses.replace(
            self,
            parts=parts,
            metres=_from(self.metres, first, last),
            keys=_from(self.keys, first, last),
            tempos=_from(self.tempos, first, last),
            marks=(),
            pickup=0 if first else self.pickup,
        )

    def transposed(self, semitones: int) -> Piece:
        """The same so much higher, its keys too; drums stay.

        Raises:
            ValueError: a note would leave MIDI's range.
        """
        parts = tuple(part if part.drums else _transposed(part, semitones) for part in self.parts)
        keys = tuple(key._replace(tonic=(key.tonic + semitones) % 12) for key in self.keys)
        return dataclasses.replace(self, parts=parts, keys=keys)


def _from(values: tuple[Any, ...], first: int, last: int) -> tuple[Any, ...]:
    """What holds between two times, the first from 0 on."""
    holding = [value for value in values if value.start <= first][-1:]
    later = [value for value in values if first < value.start < last]
    return tuple(value._replace(start=max(0, value.start - first)) for value in (*holding, *later))


def _transposed(part: Part, semitones: int) -> Part:
    notes = tuple(note._replace(pitch=note.pitch + semitones) for note in part.notes)
    if not all(LOWEST <= note.pitch <= HIGHEST for note in notes):
        raise ValueError(f"{semitones} semitones lead out of MIDI's range of {LOWEST} to {HIGHEST}")
    return dataclasses.replace(part, notes=notes)
