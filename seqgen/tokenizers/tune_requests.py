"""What is wanted of a sampled tune, as words that the model knows."""

from __future__ import annotations

from typing import Any, Protocol

from seqgen.errors import UsageError
from seqgen.scores.notation import parse_metre
from seqgen.scores.piece import COMMON_TIME, FINAL, Piece
from seqgen.scores.pitches import name_pitch
from seqgen.tokenizers.scores import Wanted
from seqgen.tokenizers.tune_words import NOTE, STEP, UNKNOWN


class Vocabulary(Protocol):
    """What the guide must know of the tokenizer; see `MelodyTokenizer`."""

    words: list[str]
    ids: dict[str, int]
    about: dict[str, Any]
    range: tuple[int, int]
    lengths: list[int]

    @property
    def size(self) -> int:
        """How many ids there are."""
        ...

    def known(self, word: str, what: str) -> str:
        """A word that the user wants, if the model has learned it."""
        ...

    def wanted_head(self, wanted: Wanted, step: int) -> dict[str, str]:
        """The words of key, metre and pickup that are wanted."""
        ...

    def seed_words(self, seed: Piece) -> list[str]:
        """The words behind the header of what is to go on."""
        ...


def wanted_pitches(tokenizer: Vocabulary, wanted: Wanted) -> list[str]:
    """The words of the training pieces' pitches in the range that is wanted.

    Raises:
        UsageError: there is none.
    """
    low, high = tokenizer.range
    first, last = max(low, wanted.pitches[0]), min(high, wanted.pitches[1])
    if first > last:
        raise UsageError("the range leaves no pitch", hint=f"The model knows {name_pitch(low)} to {name_pitch(high)}.")
    return [f"{NOTE} {pitch}" for pitch in range(first, last + 1)]


def steps_of(word: str) -> int:
    """Steps of a bar of a metre."""
    value = word.partition(" ")[2]
    return (COMMON_TIME if value == UNKNOWN else parse_metre(value)).bar // STEP


def check_seed(seed: Piece, tokenizer: Vocabulary) -> None:
    """Refuses a seed that the model cannot go on from.

    Raises:
        UsageError: what is in it that the model does not write.
    """
    parts = [part for part in seed.parts if part.notes]
    if len(parts) != 1 or not parts[0].is_voice():
        what = "chords" if len(parts) == 1 else f"{len(parts)} parts"
        raise UsageError(f"the seed has {what}, but the model writes one line", hint="Leave one note at a time.")
    if parts[0].drums:
        raise UsageError("the seed is for drums, which the model does not write", hint="Give it a part with pitches.")
    for note in parts[0].notes:
        if f"{NOTE} {note.pitch}" not in tokenizer.ids:
            low, high = map(name_pitch, tokenizer.range)
            raise UsageError(
                f"{name_pitch(note.pitch)} (MIDI {note.pitch}) in the seed is out of the model's range",
                hint=f"It knows {low} to {high}.",
            )
    for metre in seed.metres[1:]:
        tokenizer.known(f"metre {metre}", f"the metre {metre}")
    for mark in seed.marks:
        if mark.sign not in tokenizer.ids and mark.sign != FINAL:
            raise UsageError(f"the model has not learned the sign {mark.sign}", hint="Leave it out of the seed.")
