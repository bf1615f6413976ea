"""What occurs in the training pieces of events: their words, and what is most common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from seqgen.scores.notation import LONGEST
from seqgen.scores.piece import COMMON_TIME, HIGHEST, LOWEST, TICKS, Piece
from seqgen.tokenizers import barring
from seqgen.tokenizers.barring import BAR, DURATION, METRE, PITCH, SHIFT, TEMPO, VELOCITY
from seqgen.tokenizers.coding import REMI

BEYOND = 5
"""Semitones beyond the range of the training pieces that a pitch can still be read at, though no copy is moved there."""


class Seen:
    """What occurs in the training pieces."""

    def __init__(self, base: Sequence[str]) -> None:
        self.found: Counter[str] = Counter(dict.fromkeys(base, 0))
        self.first: Counter[str] = Counter()
        self.programs: Counter[int] = Counter()
        self.range = (HIGHEST, LOWEST)
        self.longest = 0
        self.changes = False
        self.says_velocity = False

    def add(self, piece: Piece, words: list[str], length: int) -> None:
        """Takes a piece in, with its words and how long it is."""
        self.found.update(words)
        for part in piece.parts:
            self.programs[part.program] += 0 if part.drums else len(part.notes)
        metres = [word for word in words if word.startswith(METRE)]
        tempos = [word for word in words if word.startswith(TEMPO)]
        self.first.update([*metres[:1], *tempos[:1]])
        self.changes |= len(set(metres)) > 1
        self.longest = max(self.longest, length)
        pitches = [number_of(word) for word in words if word.startswith(f"{PITCH} ")]
        self.range = (min([self.range[0], *pitches]), max([self.range[1], *pitches]))
        self.says_velocity |= any(note.velocity for part in piece.parts for note in part.notes)

    def words(self) -> list[str]:
        """The vocabulary, kind by kind."""
        low, high = self.range
        pitches = range(max(LOWEST, low - BEYOND), min(HIGHEST, high + BEYOND) + 1) if low <= high else ()
        found = {*self.found, *(f"{PITCH} {pitch}" for pitch in pitches)}
        if len(self._of(VELOCITY)) < 2:
            found -= set(self._of(VELOCITY))
        return sorted(found, key=lambda word: (barring.KINDS.index(word.partition(" ")[0]), size_of(word), word))

    def about(self) -> dict[str, Any]:
        """What a tokenizer must know besides."""
        velocities = self._of(VELOCITY)
        one = number_of(velocities[0]) if velocities and self.says_velocity else 0
        return {
            "range": list(self.range),
            "velocity": None if len(velocities) > 1 else one,
            "longest": self.longest,
            "changes": self.changes,
            "metre": self._usual(METRE) or str(COMMON_TIME),
            "tempo": self._usual(TEMPO),
            "program": next((program for program, _ in self.programs.most_common(1)), 0),
        }

    def _of(self, head: str) -> list[str]:
        return [word for word in self.found if word.partition(" ")[0] == head]

    def _usual(self, head: str) -> str | None:
        """What most pieces begin with."""
        counts = Counter({word: count for word, count in self.first.items() if word.startswith(head)})
        return next((word.partition(" ")[2] for word, _ in counts.most_common(1)), None)


def check(about: dict[str, Any]) -> None:
    """Refuses, with a ValueError, what is said of the training pieces if it cannot be."""
    velocity, tempo, span = about.get("velocity"), about.get("tempo"), about.get("range")
    right = {
        "range": isinstance(span, list) and len(span) == 2 and all(_isnumber_of(pitch, HIGHEST) for pitch in span),
        "velocity": ("velocity" in about and velocity is None) or _isnumber_of(velocity, 127),
        "tempo": ("tempo" in about and tempo is None) or f"{TEMPO} {tempo}" in REMI.words(),
        "program": _isnumber_of(about.get("program"), 127),
        "longest": _isnumber_of(about.get("longest"), LONGEST * TICKS),
        "changes": isinstance(about.get("changes"), bool),
        "metre": f"{METRE} {about.get('metre')}" in REMI.words(),
    }
    for name, is_right in right.items():
        if not is_right:
            raise ValueError(f"{name} cannot be {about.get(name)!r}")


def _isnumber_of(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def number_of(word: str) -> int:
    """The whole number that a word says; 0 where it says another thing."""
    value = word.partition(" ")[2]
    return int(value) if value.removeprefix("-").isdigit() else 0


def size_of(word: str) -> float:
    """The number that a word says, a length in beats; 0 where it says none."""
    head, _, value = word.partition(" ")
    if head in (DURATION, SHIFT):
        beats, part, parts = map(int, value.split("."))
        return beats + part / parts
    return float(value) if head not in (BAR, METRE) else 0.0
