"""Where a piece repeats what stands in other pieces: whether samples are copies of what a model was trained on.

A passage is copied where its notes are the same in some transposition: each as long, and each as much later and higher than
the one before. All passages of the training pieces stand in a suffix array (Manber and Myers 1993) of the steps from note
to note, so that the longest one that a piece shares with them is found, whatever its length. Steps are compared by 64 bits
of a hash: among a million different ones, two are taken for equal with a probability of 1 in 30 million.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqgen.scores.measures import Figure, average
from seqgen.scores.piece import TICKS, Note, Part, Piece

NGRAM = 8
"""Notes of the short passages of which `Copies.share` tells how many are known."""
SEPARATOR = np.uint64(0)
"""Stands between lines, where no step is, so that no passage goes on into the next line."""
Ints = npt.NDArray[np.int64]
Digests = npt.NDArray[np.uint64]
Words = npt.NDArray[np.uint32]
_WORD = np.dtype(">u4")
"""With the highest byte first, the order of the bytes is the order of the numbers."""
_FIRST_LOOK = 16
"""Words that are compared first: most passages in common are shorter."""


class Source(NamedTuple):
    """A place in the training pieces.

    Attributes:
        piece: which of them, from 0.
        title: its title; may be empty.
        part: which of its parts, from 0.
        bar: from 1; a pickup is bar 0.
    """

    piece: int
    title: str
    part: int
    bar: int


class Passage(NamedTuple):
    """A passage of a piece that stands in the training pieces, too.

    Attributes:
        notes: how many notes it has; of a passage in all voices, how many sonorities begin in it.
        quarters: how long it is, in quarter notes.
        part: of the piece, from 0; of a passage in all voices 0.
        bar: of the piece, in which it begins, from 1; a pickup is bar 0.
        source: the first place in the training pieces at which it stands.
        start: where in the piece it begins, in quarter notes.
    """

    notes: int
    quarters: float
    part: int
    bar: int
    source: Source
    start: float


class Copies(NamedTuple):
    """What a piece shares with the training pieces.

    Attributes:
        melody: the passage of one part with the most notes; None where no two notes are alike.
        texture: the longest passage of all parts together; None where there is none, or but one part.
        share: of the passages of `NGRAM` notes of its parts, those that are known; None where no part is so long.
        parts: how many the piece has, drums aside.
    """

    melody: Passage | None
    texture: Passage | None
    share: float | None
    parts: int


class Passages:
    """All passages of the training pieces, in parts and in all voices together; drums are left out.

    It takes some 25 bytes a note.

    Args:
        pieces: the training pieces.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._melodies = _Index((number, line) for number, piece in enumerate(pieces) for line in _melodies(piece))
        self._textures = _Index((number, line) for number, piece in enumerate(pieces) for line in _textures(piece))
        self._titles = [piece.title for piece in pieces]

    def find(self, piece: Piece) -> Copies:
        """What a piece shares with the training pieces; it should not be one of them."""
        lines = list(_melodies(piece))
        known = [self._melodies.match(line) for line in lines]
        windows = [lengths[: max(0, len(lengths) - NGRAM + 2)] >= NGRAM - 1 for lengths in known]
        count = sum(len(window) for window in windows)
        share = sum(int(window.sum()) for window in windows) / count if count else None
        found = [
            self._longest(self._melodies, line, lengths, lengths) for line, lengths in zip(lines, known, strict=True)
        ]
        melody = max((one for one in found if one), key=lambda passage: passage.notes, default=None)
        texture = None
        for line in _textures(piece):
            lengths = self._textures.match(line)
            texture = self._longest(self._textures, line, lengths, line.spans(lengths))
        return Copies(melody, texture, share, len(lines))

    def _longest(self, index: _Index, line: _Line, lengths: Ints, sizes: Ints) -> Passage | None:
        """The first of the largest passages of a line, if any of them has a step.

        Args:
            index: of the training pieces.
            line: of the piece that is asked about.
            lengths: of the longest passage from each step on, in steps.
            sizes: by which the largest is chosen.
        """
        if not lengths.any():
            return None
        first = int(np.argmax(np.where(lengths > 0, sizes, -1)))
        steps = int(lengths[first])
        piece, part, bar = index.find_first(line, first, steps)
        quarters = int(line.spans(lengths)[first]) / TICKS
        source = Source(piece, self._titles[piece], part, bar)
        return Passage(steps + 1, quarters, line.part, int(line.bars[first]), source, int(line.starts[first]) / TICKS)


def average_copies(copies: Sequence[Copies]) -> list[Figure]:
    """The means over some pieces of what `Passages.find` says of each; beside those of held-out pieces, they show copying."""
    melodies = [float(one.melody.notes if one.melody else 0) for one in copies]
    textures = [one.texture.quarters if one.texture else 0.0 for one in copies if one.parts > 1]
    return [
        average("longest copied melody", "notes", melodies),
        average("longest copied texture", "quarter notes", textures),
        average(f"copied {NGRAM}-note passages", "share", [one.share for one in copies if one.share is not None]),
    ]


class _Line(NamedTuple):
    """Notes or sonorities one after another, as steps that are equal in each transposition.

    Attributes:
        part: its number in the piece, from 0.
        steps: a hash of each, from one note or sonority to the next, shape (notes - 1,).
        starts: of the notes, in ticks; one more than steps.
        ends: likewise.
        bars: the number of the bar in which each step begins.
    """

    part: int
    steps: Digests
    starts: Ints
    ends: Ints
    bars: Ints

    def spans(self, lengths: Ints) -> Ints:
        """How many ticks each passage lasts, from its first note's beginning to its last one's end.

        Args:
            lengths: of the passage from each step on, in steps.
        """
        firsts = np.arange(len(lengths))
        return np.asarray(self.ends[firsts + lengths] - self.starts[firsts])


class _Index:
    """The steps of many lines, and in which order all their passages are.

    Args:
        lines: each with the number of its piece.
    """

    def __init__(self, lines: Iterator[tuple[int, _Line]]) -> None:
        steps: list[Digests] = [np.zeros(0, dtype=np.uint64)]
        bars: list[npt.NDArray[np.int32]] = [np.zeros(0, dtype=np.int32)]
        self._parts: list[tuple[int, int]] = []
        for piece, line in lines:
            self._parts.append((piece, line.part))
            steps.append(np.append(line.steps, SEPARATOR))
            bars.append(np.append(line.bars, 0).astype(np.int32))
        self._begins = np.cumsum([0, *(len(line) for line in steps[1:])])
        self._bars = np.concatenate(bars)
        self._known, words = np.unique(np.concatenate(steps), return_inverse=True)
        self._words = words.astype(_WORD)
        self._bytes = self._words.tobytes()
        self._order = sort_suffixes(words.astype(np.int64)).astype(np.uint32)

    def match(self, line: _Line) -> Ints:
        """How many steps the longest known passage from each step of a line on has, shape (steps,)."""
        words = self._encode(line)
        lengths = np.zeros(len(words), dtype=np.int64)
        for first in range(len(words)):
            size = _FIRST_LOOK
            while (length := self._count_known(words[first : first + size])) == size:
                size *= 2
            lengths[first] = length
        return lengths

    def find_first(self, line: _Line, first: int, steps: int) -> tuple[int, int, int]:
        """Piece, part and bar of the first place at which a passage stands, which must be known."""
        passage = self._encode(line)[first : first + steps].tobytes()
        place = self._bisect(passage)
        after = self._bisect(passage + b"\xff" * _WORD.itemsize)
        where = int(self._order[place:after].min())
        piece, part = self._parts[int(np.searchsorted(self._begins, where, side="right")) - 1]
        return piece, part, int(self._bars[where])

    def _encode(self, line: _Line) -> Words:
        """The numbers of the steps; that of an unknown one stands nowhere."""
        numbers = np.searchsorted(self._known, line.steps)
        return np.where(np.isin(line.steps, self._known), numbers, len(self._known)).astype(_WORD)

    def _count_known(self, words: Words) -> int:
        """How many words from the first on stand somewhere as they are."""
        place = self._bisect(words.tobytes())
        # Of all passages, the two between which this one would stand have the most in common with it.
        nearest = self._order[max(0, place - 1) : place + 1]
        return max((_count_common(words, self._words[near : near + len(words)]) for near in nearest), default=0)

    def _bisect(self, passage: bytes) -> int:
        """Where in the order of all passages this one is, or would be."""
        size, width = len(passage), _WORD.itemsize
        return bisect.bisect_left(
            self._order, passage, key=lambda at: self._bytes[int(at) * width : int(at) * width + size]
        )


def sort_suffixes(words: Ints) -> Ints:
    """The places of a sequence in the order of what follows from each on, by prefix doubling; shape as given.

    Args:
        words: numbers from 0 on; what ends sooner comes first.
    """
    ranks, known = words, 1
    order = np.argsort(ranks, kind="stable")
    while len(words):
        keys = ranks * (int(ranks.max()) + 2)
        keys[:-known] += ranks[known:] + 1
        order = np.argsort(keys, kind="stable")
        ranks = np.empty_like(words)
        ranks[order] = np.cumsum(np.diff(keys[order], prepend=keys[order[0]]) != 0)
        known *= 2
        if ranks[order[-1]] == len(words) - 1 or known >= len(words):
            break
    return order


def _count_common(words: Words, others: Words) -> int:
    """How many words two sequences have in common at the beginning."""
    size = min(len(words), len(others))
    differing = np.flatnonzero(words[:size] != others[:size])
    return int(differing[0]) if len(differing) else size


def _melodies(piece: Piece) -> Iterator[_Line]:
    """The parts as lines of notes."""
    for number, part in _pitched(piece):
        yield _line_of(piece, number, [[note] for note in part.notes])


def _textures(piece: Piece) -> Iterator[_Line]:
    """All parts as one line of what begins together, if there is more than one part."""
    parts = [part for _, part in _pitched(piece)]
    if len(parts) > 1:
        notes = sorted(
            (note for part in parts for note in part.notes), key=lambda note: (note.start, note.pitch, note.duration)
        )
        yield _line_of(piece, 0, [list(group) for _, group in groupby(notes, key=lambda note: note.start)])


def _pitched(piece: Piece) -> Iterator[tuple[int, Part]]:
    return ((number, part) for number, part in enumerate(piece.parts) if part.notes and not part.drums)


def _line_of(piece: Piece, part: int, groups: list[list[Note]]) -> _Line:
    shapes = [tuple((note.pitch - group[0].pitch, note.duration) for note in group) for group in groups]
    # A step holds the shapes at both ends: so many equal steps are equal passages, with the last note's length, too.
    steps = [
        (after[0].pitch - before[0].pitch, after[0].start - before[0].start, shape, next_shape)
        for (before, after), (shape, next_shape) in zip(pairwise(groups), pairwise(shapes), strict=True)
    ]
    digests = np.array([_digest(step) for step in steps], dtype=np.uint64)
    starts = np.array([group[0].start for group in groups], dtype=np.int64)
    ends = np.array([min(note.end for note in group) for group in groups], dtype=np.int64)
    bars = np.searchsorted([start for start, _ in piece.bars()], starts[:-1], side="right") - int(piece.pickup > 0)
    return _Line(part, digests, starts, ends, bars)


def _digest(step: tuple[object, ...]) -> int:
    return int.from_bytes(hashlib.blake2b(repr(step).encode(), digest_size=8).digest())
