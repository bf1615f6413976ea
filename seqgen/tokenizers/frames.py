"""Frames: each step of a grid its pitches from high to low, then a step word. The form in which piano rolls are compared."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from seqgen.errors import UsageError
from seqgen.recipe import GRIDS, TokenizerSettings
from seqgen.scores.piece import HIGHEST, LOWEST, TICKS, Note, Part, Piece
from seqgen.scores.pitches import name_pitch
from seqgen.tokenizers.base import DOCUMENT
from seqgen.tokenizers.grid import round_to
from seqgen.tokenizers.scores import BEYOND, ScoreTokenizer, Wanted
from seqgen.tokenizers.soundness import check_about, list_of, whole

STEP = "step"
PITCH = whole(LOWEST, HIGHEST)


class FramesTokenizer(ScoreTokenizer):
    """Words: `pitch 67` and `step`. What is held cannot be told from what is struck again, and played as held.

    `about` holds: `grid` (steps of a quarter note), and the `range` of the training pieces.
    """

    name = "frames"
    pattern = re.compile(r"step|pitch (\d{1,2}|1[01]\d|12[0-7])")
    title = "all notes of a step at once: piano rolls"

    def __init__(self, words: Sequence[str], about: dict[str, Any]) -> None:
        super().__init__(words, about)
        check_about(about, grid=lambda grid: whole(1, max(GRIDS))(grid) and grid in GRIDS, range=list_of(PITCH, 2))
        if STEP not in self.ids:
            raise ValueError("no word for a step")
        self.step = TICKS // int(about["grid"])
        self.range: tuple[int, int] = (about["range"][0], about["range"][1])

    @classmethod
    def build_from(cls, pieces: Iterable[Piece], settings: TokenizerSettings) -> Self:
        """Every pitch in the range of the training pieces, and a little beyond."""
        low, high = HIGHEST, LOWEST
        for piece in pieces:
            sounding = [note.pitch for part in piece.parts if not part.drums for note in part.notes]
            low, high = min([low, *sounding]), max([high, *sounding])
        pitches = range(max(LOWEST, low - BEYOND), min(HIGHEST, high + BEYOND) + 1)
        return cls([STEP, *(f"pitch {pitch}" for pitch in pitches)], {"grid": settings.grid, "range": [low, high]})

    @classmethod
    def refuses(cls, piece: Piece, settings: TokenizerSettings) -> str | None:
        """Only drums."""
        return None if any(part.notes and not part.drums for part in piece.parts) else "no notes but drums"

    def encode_piece(self, piece: Piece) -> list[str]:
        """The pitches that sound in each step, and its word."""
        notes = [note for part in piece.parts if not part.drums for note in part.notes]
        sounding: list[set[int]] = [set() for _ in range(round_to(piece.end, self.step))]
        for note in notes:
            for place in range(round_to(note.start, self.step), round_to(note.end, self.step)):
                sounding[place].add(self._known(note.pitch))
        return [
            word for frame in sounding for word in (*(f"pitch {pitch}" for pitch in sorted(frame, reverse=True)), STEP)
        ]

    def _known(self, pitch: int) -> int:
        """The pitch; where no piece for training comes near it, octaves nearer to their range."""
        low, high = self.range
        if low - BEYOND <= pitch <= high + BEYOND:
            return pitch
        octaves = math.ceil((pitch - high) / 12) if pitch > high else -math.ceil((low - pitch) / 12)
        return min(max(pitch - 12 * octaves, low), high)

    def decode_piece(self, words: Sequence[str]) -> Piece:
        """The pitches of each step; one that also sounds in the next step is held."""
        sounding: dict[int, Note] = {}
        notes: list[Note] = []
        frame: set[int] = set()
        place = 0
        for word in [*words, STEP]:
            if word != STEP:
                frame.add(int(word.partition(" ")[2]))
                continue
            notes += [note for pitch, note in sounding.items() if pitch not in frame]
            sounding = {
                pitch: sounding[pitch]._replace(duration=sounding[pitch].duration + self.step)
                if pitch in sounding
                else Note(place * self.step, self.step, pitch)
                for pitch in frame
            }
            frame, place = set(), place + 1
        notes += sounding.values()
        return Piece((Part(tuple(sorted(notes, key=lambda note: (note.start, note.pitch)))),))

    def guide(self, wanted: Wanted) -> FramesGuide:
        """What leads one sample."""
        return FramesGuide(self, wanted)

    def transposed(self, word: str, semitones: int) -> str:
        """Pitches move, within the range of the training pieces."""
        if word == STEP:
            return word
        pitch = int(word.partition(" ")[2]) + semitones
        return f"pitch {pitch}" if self.range[0] <= pitch <= self.range[1] else ""

    def say(self, word: str) -> str:
        """A pitch by its name; `|` where a step ends."""
        return "|" if word == STEP else name_pitch(int(word.partition(" ")[2]))

    def is_note(self, word: str) -> bool:
        """A pitch."""
        return word != STEP

    def is_frame(self, word: str) -> bool:
        """The word of a step."""
        return word == STEP


class FramesGuide:
    """Pitches of a step go down; the seed's steps come first.

    Args:
        tokenizer: whose words they are.
        wanted: what the sample should be like.

    Raises:
        UsageError: it cannot be had of this model.
    """

    def __init__(self, tokenizer: FramesTokenizer, wanted: Wanted) -> None:
        if wanted.key or wanted.metre:
            raise UsageError(
                "this model learned frames, which know no key and no metre", hint="Leave --key and --metre out."
            )
        self._tokenizer, self._wanted = tokenizer, wanted
        self._forced = [] if wanted.seed is None else self._seed_ids(wanted.seed)
        self._place = 0
        self._steps = 0
        self._last = HIGHEST + 1
        self.notes = 0
        low, high = max(tokenizer.range[0], wanted.pitches[0]), min(tokenizer.range[1], wanted.pitches[1])
        if low > high:
            first, last = map(name_pitch, tokenizer.range)
            raise UsageError("the range leaves no pitch", hint=f"The model knows {first} to {last}.")
        self._pitches = np.array([self._pitch(word) for word in tokenizer.words])
        self._within = (self._pitches >= low) & (self._pitches <= high)

    def allowed(self) -> npt.NDArray[np.bool_]:
        """A lower pitch than the last one of this step, or the step's word; the end where a step is complete."""
        mask = np.zeros(self._tokenizer.size, dtype=np.bool_)
        if self._place < len(self._forced):
            mask[self._forced[self._place]] = True
            return mask
        mask[1:] = self._within & (self._pitches < self._last)
        mask[self._tokenizer.ids[STEP]] = True
        if self.is_whole() and self._is_over():
            mask[:] = False
        mask[DOCUMENT] = self.is_whole() and self._steps > 0 and (self._wanted.bars is None or not mask.any())
        return mask

    def _is_over(self) -> bool:
        """Whether there are as many bars of four quarter notes as are wanted."""
        if self._wanted.ends_with_seed:
            return True  # it has been brought in as a whole
        bars = self._wanted.bars
        return bars is not None and self._steps >= bars * 4 * TICKS // self._tokenizer.step

    def feed(self, symbol: int) -> None:
        """Takes note of a word."""
        if symbol == DOCUMENT:
            return
        self._place += 1
        word = self._tokenizer.words[symbol - 1]
        if word == STEP:
            self._steps, self._last = self._steps + 1, HIGHEST + 1
            return
        self._last = self._pitch(word)
        self.notes += self._place > len(self._forced)

    def is_whole(self) -> bool:
        """Whether no step has begun."""
        return self._last == HIGHEST + 1

    def _pitch(self, word: str) -> int:
        return -1 if word == STEP else int(word.partition(" ")[2])

    def _seed_ids(self, seed: Piece) -> list[int]:
        first, last = (name_pitch(pitch) for pitch in self._tokenizer.range)
        for pitch in (note.pitch for part in seed.parts if not part.drums for note in part.notes):
            if f"pitch {pitch}" not in self._tokenizer.ids:
                raise UsageError(
                    f"{name_pitch(pitch)} (MIDI {pitch}) in the seed is out of the model's range",
                    hint=f"It knows {first} to {last}.",
                )
        return [self._tokenizer.ids[word] for word in self._tokenizer.encode_piece(seed)]
