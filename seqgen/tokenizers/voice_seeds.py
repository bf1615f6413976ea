"""What a seed wants of each voice of a sample; and what those who follow the words of voices must know of the tokenizer."""

from __future__ import annotations

from typing import Any, Protocol

from seqgen.errors import UsageError
from seqgen.scores.piece import Note, Part, Piece
from seqgen.scores.pitches import name_pitch
from seqgen.tokenizers.grid import cells_of, round_to
from seqgen.tokenizers.scores import Wanted


class Vocabulary(Protocol):
    """What the guide must know of the tokenizer; see `VoicesTokenizer`."""

    words: list[str]
    ids: dict[str, int]
    about: dict[str, Any]
    voices: int
    held: bool
    step: int
    order: list[int]
    ranges: list[tuple[int, int]]

    @property
    def size(self) -> int:
        """How many ids there are."""
        ...

    def wanted_head(self, wanted: Wanted, step: int) -> dict[str, str]:
        """The words of key, metre and pickup that are wanted."""
        ...


def voice_order(voices: int) -> list[int]:
    """The outer voices first: soprano, bass, alto, tenor."""
    return [0, *([voices - 1] if voices > 1 else []), *range(1, voices - 1)]


def seed_cells(seed: Piece | None, tokenizer: Vocabulary) -> list[list[str | None]]:
    """What a seed wants of each voice in each of its steps; None: nothing."""
    if seed is None:
        return []
    parts = _seed_parts(seed, tokenizer.voices)
    total = max(1, round_to(seed.end, tokenizer.step))
    wanted: list[list[str | None]] = [[None] * tokenizer.voices for _ in range(total)]
    for voice, part in parts.items():
        for place, cell in enumerate(cells_of(part, tokenizer.step, total, tokenizer.held)):
            word = {-1: "-", -2: "r"}.get(cell, str(cell))
            if f"{voice} {word}" not in tokenizer.ids:
                raise _out_of_range(cell, voice, tokenizer)
            wanted[place][voice] = word
    return wanted


def _seed_parts(seed: Piece, voices: int) -> dict[int, Part]:
    """Which voice sings which part of the seed; chords of a sole part are shared out, the outer voices first."""
    parts = [part for part in seed.parts if part.notes and not part.drums]
    if len(parts) > voices:
        raise UsageError(f"the seed has {len(parts)} parts, but the model writes {voices} voices")
    if len(parts) == 1 and not parts[0].is_voice():
        return _share_out(parts[0], voices)
    places = sorted([0, voices - 1, *range(1, voices - 1)][: len(parts)])
    return dict(zip(places, parts, strict=True))


def _share_out(part: Part, voices: int) -> dict[int, Part]:
    shared: dict[int, list[Note]] = {}
    for start in sorted({note.start for note in part.notes}):
        chord = sorted((note for note in part.notes if note.start == start), key=lambda note: -note.pitch)
        if len(chord) > voices:
            raise UsageError(f"a chord of the seed has {len(chord)} notes, but the model writes {voices} voices")
        places = sorted([0, voices - 1, *range(1, voices - 1)][: len(chord)])
        for place, note in zip(places, chord, strict=True):
            shared.setdefault(place, []).append(note)
    return {place: Part(tuple(notes)) for place, notes in sorted(shared.items())}


def _out_of_range(pitch: int, voice: int, tokenizer: Vocabulary) -> UsageError:
    low, high = tokenizer.ranges[voice]
    name = tokenizer.about["names"][voice] or f"voice {voice + 1}"
    return UsageError(
        f"{name_pitch(pitch)} (MIDI {pitch}) in the seed is out of the range of {name}",
        hint=f"It sings from {name_pitch(low)} ({low}) to {name_pitch(high)} ({high}).",
    )
