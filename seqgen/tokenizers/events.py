"""The guides of a sample of events: what may come next, so that it is well-formed, keeps to the seed, and ends in time.

A moment is all that begins at one time: `Program 0`, `Pitch 67`, `Velocity 79`, `Duration 1.0.12`, `Pitch 64`... Its programs
come in order, drums last, and the pitches of each from high to low; so nothing is said twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from seqgen.errors import UsageError
from seqgen.scores.notation import parse_metre
from seqgen.scores.piece import COMMON_TIME, HIGHEST, LOWEST, TICKS, Metre
from seqgen.scores.pitches import name_key, name_pitch
from seqgen.tokenizers.barring import (
    BAR,
    DRUM,
    DRUMS,
    DURATION,
    LAST,
    METRE,
    PICKUP,
    PITCH,
    POSITION,
    PROGRAM,
    SHIFT,
    TEMPO,
    VELOCITY,
    beat_ticks,
    grain_of,
    rank,
    time_ticks,
)
from seqgen.tokenizers.base import DOCUMENT
from seqgen.tokenizers.scores import Wanted

Mask = npt.NDArray[np.bool_]
SLACK = 4
"""Bars that a sample may go on after a seed as long as the longest training piece."""


class Vocabulary(Protocol):
    """What the guides must know of the tokenizer; see `NotesTokenizer`."""

    words: list[str]
    ids: dict[str, int]
    longest: int
    range: tuple[int, int]
    changes: bool

    def number(self, place: int) -> int:
        """The number that a word says."""
        ...

    @property
    def size(self) -> int:
        """How many ids there are."""
        ...

    def kinds(self) -> dict[str, list[int]]:
        """The ids of each kind of word."""
        ...

    def seed_ids(self, wanted: Wanted) -> list[int]:
        """The words that a sample begins with."""
        ...


class EventsGuide:
    """Follows the moments of one sample; where time goes on, `BarsGuide` and `ShiftsGuide` know.

    Args:
        tokenizer: whose words they are.
        wanted: what the sample should be like.

    Raises:
        UsageError: it cannot be had of this model.
    """

    def __init__(self, tokenizer: Vocabulary, wanted: Wanted) -> None:
        if wanted.key:
            raise UsageError(
                f"this model was not taught keys, and cannot keep to {name_key(wanted.key)}", hint="Leave --key out."
            )
        self._tokenizer, self._wanted = tokenizer, wanted
        self._kinds = tokenizer.kinds()
        self._pitches = self._within(wanted.pitches)
        self._forced = tokenizer.seed_ids(wanted)
        self._place = 0
        self.notes = 0
        self._last = ""
        """The kind of the last word; empty at the beginning."""
        self._program: int | None = None
        self._rank, self._pitch = -1, HIGHEST + 1
        """The program that this moment has come to, and the pitch in it; both only go on."""
        self._now = 0
        """The time of the moment in ticks, from the beginning of the first bar."""
        self._ends: dict[tuple[int | None, int], int] = {}
        """When the last note on each pitch of each program ends; one that is struck again has ended."""
        self._free_from = 0
        """When the notes that are not the seed's may begin."""

    def allowed(self) -> Mask:
        """The seed's words, then what the moment allows."""
        mask = np.zeros(self._tokenizer.size, dtype=np.bool_)
        if self._place < len(self._forced):
            mask[self._forced[self._place]] = True
            return mask
        mask[self._candidates()] = True
        if not mask.any():  # not even silence is left: a vocabulary of very few words
            mask[DOCUMENT] = True
        return mask

    def feed(self, symbol: int) -> None:
        """Takes note of a word."""
        if symbol == DOCUMENT:
            return
        self._place += 1
        head, _, value = self._tokenizer.words[symbol - 1].partition(" ")
        if head == PROGRAM:
            self._program = int(value)
            self._rank, self._pitch = rank(self._program), HIGHEST + 1
        elif head in (PITCH, DRUM):
            self._rank, self._pitch = rank(self._program or 0), int(value)
            self.notes += self._place > len(self._forced)
        elif head == DURATION:
            self._ends[self._program, self._pitch] = self._now + time_ticks(value, self._beat())
        elif head not in (VELOCITY, TEMPO):
            self._go_on(head, value)
            self._rank, self._pitch = -1, HIGHEST + 1
        self._last = head
        if self._place == len(self._forced):
            self._free_from, self._pitch, self._rank = self._sounding, LOWEST, LAST + 1

    def is_whole(self) -> bool:
        """Whether the last moment is complete, because another has begun."""
        return self._last in (BAR, METRE, POSITION, SHIFT)

    @property
    def _sounding(self) -> int:
        """Until when the notes so far sound, in ticks."""
        return max(self._ends.values(), default=0)

    def _go_on(self, head: str, value: str) -> None:
        """A word of time."""
        raise NotImplementedError

    def _beat(self) -> int:
        """Ticks of the beat that durations are counted in."""
        raise NotImplementedError

    def _later(self) -> list[int]:
        """The ids with which time may go on, or the piece end."""
        raise NotImplementedError

    def _durations(self) -> list[int]:
        """The ids of durations that may be chosen."""
        return self._kinds[DURATION]

    def _candidates(self) -> list[int]:
        if self._last in (PITCH, DRUM) and self._kinds[VELOCITY]:
            return self._kinds[VELOCITY]
        if self._last in (PITCH, DRUM, VELOCITY):
            return self._durations()
        if self._last == PROGRAM:
            return self._struck()
        if self._last in (POSITION, SHIFT):
            return [*self._kinds[TEMPO], *self._begun()]
        return [*self._begun(), *self._later()] if self._last in (DURATION, TEMPO) else self._later()

    def _begun(self) -> list[int]:
        """The ids with which a note may begin."""
        programs = [
            place
            for place, value in zip(self._kinds[PROGRAM], self._values(PROGRAM), strict=True)
            if value != self._program and rank(value) > self._rank and (value == DRUMS or self._pitches)
        ]
        return [*programs, *self._struck()]

    def _struck(self) -> list[int]:
        """The ids of pitches that the program may still strike in this moment."""
        if self._program is None or rank(self._program) < self._rank:
            return []
        pitches = zip(self._kinds[DRUM], self._values(DRUM), strict=True) if self._program == DRUMS else self._pitches
        return [place for place, pitch in pitches if pitch < self._pitch]

    def _values(self, head: str) -> Iterable[int]:
        return (self._tokenizer.number(place) for place in self._kinds[head])

    def _within(self, wanted: tuple[int, int]) -> list[tuple[int, int]]:
        """The pitches that may be written: those that the model was trained with, in the range that is wanted."""
        low, high = self._tokenizer.range
        known = zip(self._kinds[PITCH], self._values(PITCH), strict=True)
        found = [(place, pitch) for place, pitch in known if max(low, wanted[0]) <= pitch <= min(high, wanted[1])]
        if not found and self._kinds[PITCH]:
            raise UsageError(
                "the range leaves no pitch", hint=f"The model knows {name_pitch(low)} to {name_pitch(high)}."
            )
        return found


class BarsGuide(EventsGuide):
    """REMI: positions go on within the bar, and the last bar has something that sounds."""

    def __init__(self, tokenizer: Vocabulary, wanted: Wanted) -> None:
        super().__init__(tokenizer, wanted)
        self._metres = {
            place: parse_metre(tokenizer.words[place - 1].partition(" ")[2]) for place in self._kinds[METRE]
        }
        self._metre = COMMON_TIME
        self._first: int | None = None
        """The id of the metre so far."""
        self._bars = self._start = 0
        """Bars so far without a pickup, and where the one that goes on begins."""
        self._in_pickup = False
        pickup = tokenizer.ids.get(PICKUP)
        seeded = sum(tokenizer.words[place - 1] == BAR for place in self._forced)
        self._most = max(wanted.bars or tokenizer.longest, seeded + (0 if wanted.bars else SLACK))
        fitting = [place for place in self._metres if self._positions_in(self._metres[place], 1)]
        self._with_pickup = fitting if wanted.metre is None else [place for place in fitting if self._wants(place)]
        self._bar_ids = [tokenizer.ids[BAR], *([pickup] if pickup and self._with_pickup else [])]

    def _go_on(self, head: str, value: str) -> None:
        if head == BAR:
            self._start += self._metre.bar if self._last else 0
            self._now, self._in_pickup = self._start, value != ""
            self._bars += value == ""
        elif head == METRE:
            self._metre, self._first = parse_metre(value), self._tokenizer.ids[f"{head} {value}"]
        else:
            self._now = self._start + int(value) * grain_of(self._metre)

    def _beat(self) -> int:
        return beat_ticks(self._metre)

    def _later(self) -> list[int]:
        if not self._last:
            return self._bar_ids
        if self._last == BAR:
            return self._metre_ids()
        found = self._later_positions()
        sounds = self._sounding > self._start
        if self._in_pickup and not sounds:
            return found
        if sounds and self._bars >= (1 if self._wanted.bars is None else self._most):
            found.append(DOCUMENT)
        return [*found, self._tokenizer.ids[BAR]] if self._bars < self._most else found

    def _candidates(self) -> list[int]:
        if self._in_pickup and self._last in (POSITION, TEMPO) and self._now == self._start:
            return self._kinds[TEMPO] if self._last == POSITION else self._later_positions()
        return super()._candidates()

    def _later_positions(self) -> list[int]:
        """Positions of this bar that are still to come; the first one of a pickup has no notes."""
        first = (max(self._now, self._free_from) - self._start + grain_of(self._metre) - 1) // grain_of(self._metre)
        if self._last != METRE:
            first = max(first, (self._now - self._start) // grain_of(self._metre) + 1)
        if self._in_pickup and not self._kinds[TEMPO]:
            first = max(1, first)
        return self._positions_in(self._metre, first)

    def _positions_in(self, metre: Metre, first: int) -> list[int]:
        known = zip(self._kinds[POSITION], self._values(POSITION), strict=True)
        return [place for place, position in known if first <= position < metre.bar // grain_of(metre)]

    def _metre_ids(self) -> list[int]:
        """The metre that is wanted, or the one before; another where metres of the training pieces change."""
        if self._first is None:
            known = self._with_pickup if self._in_pickup else list(self._metres)
            return [place for place in known if self._wanted.metre is None or self._wants(place)]
        return list(self._metres) if self._tokenizer.changes and not self._wanted.metre else [self._first]

    def _wants(self, place: int) -> bool:
        return self._wanted.metre is not None and self._metres[place][1:] == self._wanted.metre[1:]


class ShiftsGuide(EventsGuide):
    """TSD: time goes on by shifts, each greater one before the smaller ones; a bar is one of 4/4."""

    def __init__(self, tokenizer: Vocabulary, wanted: Wanted) -> None:
        super().__init__(tokenizer, wanted)
        if wanted.metre:
            raise UsageError(
                "this model learned music that is played freely, and knows no metre", hint="Leave --metre out."
            )
        bars = None if wanted.bars is None else wanted.bars * COMMON_TIME.bar
        seeded = self._length_of_seed()
        self._end = max(bars or tokenizer.longest, seeded)
        if bars is None:
            self._end = max(self._end, seeded + SLACK * COMMON_TIME.bar)
        elif seeded > bars:
            self._end = math.ceil(seeded / COMMON_TIME.bar) * COMMON_TIME.bar
        self._shifts = {place: self._ticks(place) for place in self._kinds[SHIFT]}
        self._lengths = {place: self._ticks(place) for place in self._kinds[DURATION]}
        self._shortest = min(self._lengths.values(), default=TICKS)
        self._longest = max(self._shifts.values(), default=TICKS)
        self._shift = 0
        """The last shift in a row of them, in ticks."""

    def _go_on(self, head: str, value: str) -> None:
        self._shift = time_ticks(value, TICKS)
        self._now += self._shift

    def _beat(self) -> int:
        return TICKS

    def _ticks(self, place: int) -> int:
        return time_ticks(self._tokenizer.words[place - 1].partition(" ")[2], TICKS)

    def _later(self) -> list[int]:
        found = [place for place, shift in self._shifts.items() if self._may_shift(shift)]
        if not self._last:
            return [*found, *self._kinds[TEMPO], *self._begun()]
        last_bar = self._end - COMMON_TIME.bar if self._wanted.bars is not None else 0
        return [*found, DOCUMENT] if self._last != SHIFT and self._sounding > last_bar else found

    def _candidates(self) -> list[int]:
        if self._last != SHIFT:
            return super()._candidates()
        return self._later() if self._now < self._free_from else [*super()._candidates(), *self._later()]

    def _may_shift(self, shift: int) -> bool:
        latest = self._end - self._shortest
        if self._now + shift > latest or self._free_from > latest:
            return False
        return self._last != SHIFT or self._now < self._free_from or shift < self._shift or shift == self._longest

    def _durations(self) -> list[int]:
        """Those that end in time, or the shortest."""
        left = max(self._shortest, self._end - self._now)
        return [place for place, length in self._lengths.items() if length <= left]

    def _length_of_seed(self) -> int:
        now = end = 0
        for place in self._forced:
            head = self._tokenizer.words[place - 1].partition(" ")[0]
            now += self._ticks(place) if head == SHIFT else 0
            end = max(end, now + self._ticks(place)) if head == DURATION else end
        return end
