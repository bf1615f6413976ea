"""A piece of music as it grows: a guide keeps it well-formed, and it can be written as notes, MIDI or a score."""

from __future__ import annotations

import dataclasses
import functools
import re
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seqgen.errors import CheckpointError, DataError, UsageError
from seqgen.modalities.base import Modality
from seqgen.scores import notation
from seqgen.scores.piece import FINAL, HIGHEST, LOWEST, Piece, Tempo
from seqgen.scores.pitches import name_key, parse_key, parse_pitch
from seqgen.scores.reading import read_tinynotation
from seqgen.scores.writing import Options, write_piece
from seqgen.tokenizers import DOCUMENT, Opening, Tokenizer
from seqgen.tokenizers.scores import ScoreTokenizer, Wanted
from seqgen.writing import Limits, Rendering

TINY = "tinynotation:"
"""How a seed in music21's TinyNotation begins."""
ROLL = 16
"""Lines of a piano roll."""
WORDS_MISSING = (KeyError, ValueError, IndexError, TypeError, ArithmeticError)
"""What a guide raises that does not find the words that every vocabulary has which seqgen makes."""


class Composition:
    """The music of one sample.

    Args:
        modality: of the model.
        tokenizer: turns ids into words, and words into a piece.
        limits: what is wanted.
        opening: the document symbol alone: the guide brings the seed in.
        seed: notes in their text form, or in TinyNotation; empty: none.

    Raises:
        DataError: the seed is no music.
        UsageError: what is wanted cannot be had of this model.
        CheckpointError: the words of its tokenizer do not suffice.
    """

    def __init__(
        self, modality: Modality, tokenizer: Tokenizer, limits: Limits, opening: Opening, seed: str = ""
    ) -> None:
        for name in ("stop", "until", "min_length"):
            if getattr(limits, name):
                option = name.replace("_", "-")
                raise UsageError(f"--{option} is for text; music ends at --bars or -n", hint=f"Leave --{option} out.")
        assert isinstance(tokenizer, ScoreTokenizer)
        self._tokenizer, self._limits, self.seed = tokenizer, limits, seed
        try:
            self._guide = tokenizer.guide(_wanted(limits, parse_seed(seed)))
        except WORDS_MISSING as error:
            raise _unfit(error) from error
        self.ids = array("i")
        self.stopped_by: str | None = "length" if limits.length == 0 else None

    def begin(self) -> str:
        """Nothing, unless there will be no more: a line of notes is known when all of it is."""
        return self.whole if self.is_done() else ""

    def allowed(self) -> npt.NDArray[np.bool_]:
        """What the guide allows.

        Raises:
            CheckpointError: nothing, or it misses a word: the tokenizer is none that seqgen has made.
        """
        try:
            mask = self._guide.allowed()
        except WORDS_MISSING as error:
            raise _unfit(error) from error
        if not mask.any():
            raise _unfit("none may come next")
        return mask

    def is_free(self) -> bool:
        """Never: the guide is to be asked each time."""
        return False

    def feed_all(self, symbols: Sequence[int]) -> str:
        """One after another."""
        return "".join([self.feed(symbol) for symbol in symbols])

    def feed(self, symbol: int) -> str:
        """Takes the next word; the notes come with the last."""
        if self.is_done():
            return ""
        if symbol == DOCUMENT:
            self.stopped_by = "bars" if self._limits.bars else "document"
        else:
            self.ids.append(symbol)
            try:
                self._guide.feed(symbol)
            except WORDS_MISSING as error:
                raise _unfit(error) from error
            if self._limits.length is not None and self._guide.notes >= self._limits.length and self._guide.is_whole():
                self.stopped_by = "length"
        return self.whole if self.is_done() else ""

    def is_done(self) -> bool:
        """Whether the piece is complete."""
        return self.stopped_by is not None

    def finish(self) -> str:
        """Ends the piece where it is."""
        if self.is_done():
            return ""
        self.stopped_by = "interrupt"
        return self.whole

    @property
    def piece(self) -> Piece:
        """The music so far, the seed within it."""
        piece = self._tokenizer.decode_piece(self._tokenizer.words_of(self.ids))
        seed = parse_seed(self.seed)
        if seed is None:
            return piece
        if not self.ids:
            return seed
        programs = [part.program for part in seed.parts if self._tokenizer.keeps_parts]
        parts = tuple(
            dataclasses.replace(part, program=programs[number]) if any(programs[number : number + 1]) else part
            for number, part in enumerate(piece.parts)
        )
        return dataclasses.replace(piece, parts=parts, tempos=piece.tempos or seed.tempos)

    @property
    def whole(self) -> str:
        """The text form of the piece, which is a seed, too."""
        return notation.write(self.piece)

    @property
    def continuation(self) -> str:
        """The same: the voices of a seed and of what was written sound together."""
        return self.whole

    @property
    def data(self) -> bytes:
        """The text form as UTF-8."""
        return self.whole.encode()

    def render(self, suffix: str, rendering: Rendering) -> bytes:
        """The piece as a file of this kind: MIDI, MusicXML, a picture, sound."""
        return write_piece(performed(self.piece, rendering), suffix, Options(rendering.soundfont))

    def picture(self, width: int, colour: bool) -> str:
        """A small piano roll."""
        from seqgen.scores.text_rolls import text_roll

        return text_roll(self.piece, width, ROLL, colour) if self.piece.notes else ""

    def pictures(self, width: int, colour: bool) -> list[str]:
        """Piano rolls of all of it."""
        from seqgen.scores.text_rolls import text_rolls

        return text_rolls(self.piece, width, ROLL, colour) if self.piece.notes else []

    def to_dict(self) -> dict[str, Any]:
        """Notes, and what they are in."""
        piece = self.piece
        return {
            "notes": self.whole,
            "key": name_key(piece.keys[0]) if piece.keys else None,
            "metre": str(piece.metres[0]) if piece.metres else None,
            "bars": sum(1 for _ in piece.bars()) - (piece.pickup > 0),
        }


@functools.lru_cache(maxsize=4)
def parse_seed(seed: str, name: str = "seed") -> Piece | None:
    """A seed as a piece; None where it is empty.

    Args:
        seed: notes in their text form, or TinyNotation.
        name: what the seed is called in errors: its file.

    Raises:
        DataError: it is no music.
    """
    if not seed.strip():
        return None
    text = read_tinynotation(seed.removeprefix(TINY)) if seed.startswith(TINY) else seed
    try:
        return notation.parse(text)
    except DataError as error:
        raise DataError(error.what, where=": ".join(filter(None, (name, error.where))), hint=error.hint) from error


def performed(piece: Piece, rendering: Rendering) -> Piece:
    """A piece as it should be played.

    Raises:
        UsageError: the transposition leads out of MIDI's range.
    """
    parts = piece.parts
    if rendering.program is not None:
        parts = tuple(part if part.drums else dataclasses.replace(part, program=rendering.program) for part in parts)
    tempos = piece.tempos if rendering.tempo is None else (Tempo(0, rendering.tempo),)
    try:
        return dataclasses.replace(piece, parts=parts, tempos=tempos).transposed(rendering.transpose)
    except ValueError as error:
        raise UsageError(f"--transpose {rendering.transpose}: {error}") from error


def parse_range(text: str) -> tuple[int, int]:
    """The lowest and the highest pitch of `C3-C6`.

    Raises:
        UsageError: it is no range.
    """
    match = re.fullmatch(r"(.*?\d)\s*-(.*)", text.strip())  # a pitch may be C-1
    first, last = match.groups() if match else (text, "")
    try:
        low, high = parse_pitch(first.strip()), parse_pitch(last.strip())
    except DataError as error:
        raise UsageError(f"{text!r} is not a range of pitches: {error.what}", hint="Write it as C3-C6.") from error
    if low > high:
        raise UsageError(f"{text!r} is not a range of pitches", hint="Write the lowest and the highest: C3-C6.")
    return low, high


def _wanted(limits: Limits, seed: Piece | None) -> Wanted:
    try:
        key = parse_key(limits.key) if limits.key else None
        metre = notation.parse_metre(limits.metre) if limits.metre else None
    except DataError as error:
        raise UsageError(error.what, hint=error.hint) from error
    pitches = parse_range(limits.pitches) if limits.pitches else (LOWEST, HIGHEST)
    ends = limits.bars is None and limits.length is None and seed is not None
    whole = ends and seed is not None and any(mark.sign == FINAL for mark in seed.marks)
    return Wanted(seed, limits.bars, key, metre, pitches, ends_with_seed=whole)


def _unfit(reason: object) -> CheckpointError:
    return CheckpointError(
        f"with the words of its tokenizer no music can be made: {reason!s:.200}",
        hint="Copy the whole checkpoint again.",
    )
