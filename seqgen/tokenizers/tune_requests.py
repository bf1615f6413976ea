"""What is wanted of a sampled tune, as words that the model knows."""

from __future__ import annotations

from typing import Any, Protocol

from seqgen.errors import UsageError
from seqgen.scores.notation import parse_metre, write_length
from seqgen.scores.piece import COMMON_TIME, FINAL, Piece
from seqgen.scores.pitches import name_key, name_pitch
from seqgen.tokenizers.grid import round_to
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


def wanted_head(tokenizer: Vocabulary, wanted: Wanted) -> dict[str, str]:
    """The words of the header that are wanted, by the user or by the seed, by their kind.

    Raises:
        UsageError: the model has not learned them, or something else in the seed.
    """
    seed = wanted.seed
    if seed:
        _check_seed(seed, tokenizer)
    key = wanted.key or (seed.keys[0] if seed and seed.keys else None)
    metre = wanted.metre or (seed.metres[0] if seed and seed.metres else None)
    forced = {}
    if key is not None:
        forced["key"] = tokenizer.known(f"key {name_key(key)}", f"the key {name_key(key)}")
    if metre is not None:
        forced["metre"] = tokenizer.known(f"metre {metre}", f"the metre {metre}")
    if seed and (seed.metres or seed.pickup):
        said, steps = f"a pickup of {write_length(seed.pickup)} quarter notes", round_to(seed.pickup, STEP)
        forced["pickup"] = tokenizer.known(f"pickup {steps}", said)
        metres = [forced["metre"]] if metre else [word for word in tokenizer.words if word.startswith("metre ")]
        if steps >= max(map(steps_of, metres)):
            raise UsageError(f"{said} is not shorter than a bar", hint="Give the seed a shorter pickup, or none.")
    return forced


def steps_of(word: str) -> int:
    """Steps of a bar of a metre."""
    value = word.partition(" ")[2]
    return (COMMON_TIME if value == UNKNOWN else parse_metre(value)).bar // STEP


def _check_seed(seed: Piece, tokenizer: Vocabulary) -> None:
    """Refuses a seed that the model cannot go on from."""
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
