"""Equal and nearly equal documents, which must not stand on both sides of a split, and how much a text repeats itself.

A document is its set of shingles: every 8 characters in a row, whatever their white space and case. Two documents are
near duplicates when their sets are similar (Broder 1997, "On the resemblance and containment of documents"). One hash of
each shingle makes the sketch of a document: the hashes fall into 64 bins by their top bits, and each bin keeps its least
(Li, Owen and Zhang 2012, "One permutation hashing"), or 8 bits of it. Documents that agree on four bins in a row are
candidates (locality-sensitive hashing, Indyk and Motwani 1998, "Approximate nearest neighbors"): each is compared with
the first document that has the same four, by all 64.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Sketches = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
CodePoints = npt.NDArray[np.uint32]

SHINGLE = 8
"""Characters in a row that are compared as one."""
BINS = 64
SIMILAR = 40
"""Bins in which near duplicates agree. Those that share 0.7 of their shingles are rarely below it, and texts with too few
to fill 40 bins, such as titles that share most of their words, always are."""
MANY = 2_000_000
"""Documents whose sketches are kept, 64 bytes each; later ones are only compared for equality, by 8 bytes."""
STRETCH = 50
"""Characters in a row that hardly occur twice in a text unless they were copied."""

_BLOCK = 1 << 17
"""Characters that are hashed at once: few enough to stay in the processor's cache."""
_PART = 1 << 16
"""Values that are looked up at once, likewise."""
_SPACE = 32
_PADDING = 0x110000
"""No code point."""
_BASE = 0x9E3779B97F4A7C15
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_MODULUS = 1 << 64
_NOTHING = np.uint64(_MODULUS - 1)
"""The least hash of a bin without any."""


@dataclass(frozen=True)
class _Unfinished:
    """What is known of a document that goes on in the next block.

    Attributes:
        left: the code points that shingles still to come begin with.
        least: the least hash of each bin, shape (1, bins).
        digest: a hash of all its shingles so far.
        shingles: how many these are.
    """

    left: CodePoints = field(default_factory=lambda: np.empty(0, dtype=np.uint32))
    least: Hashes = field(default_factory=lambda: np.full((1, BINS), _NOTHING))
    digest: int = 0
    shingles: int = 0


class Sketcher:
    """Takes a corpus document by document, and says in the end which belong together.

    The first `many` documents that fill 40 bins (about 70 characters) are sketched. Those after them, and shorter ones,
    join a group only if they are equal to one of its members.

    Args:
        many: how many documents to sketch, 64 bytes each.
    """

    def __init__(self, many: int = MANY) -> None:
        self._many = many
        self._pieces: list[str] = []
        self._ends: list[int] = []
        self._size = 0
        self._unfinished = _Unfinished()
        self._is_open = False
        self._documents = 0
        self._digests = [np.empty(0, dtype=np.uint64)]
        self._sketches = [np.empty((0, BINS), dtype=np.uint8)]
        self._sketched = [np.empty(0, dtype=np.int64)]

    def add(self, text: str, *, last: bool = True) -> None:
        """Takes a document, or with `last=False` a piece of one that goes on with the next call."""
        for start in range(0, len(text), _BLOCK):
            piece = text[start : start + _BLOCK]
            self._pieces.append(piece)
            self._size += len(piece)
            if self._size >= _BLOCK:
                self._flush()
        self._is_open = not last
        if last:
            self._ends.append(self._size)
            if len(self._ends) >= _BLOCK // SHINGLE:
                self._flush()

    def equal(self) -> Indices:
        """For each document the number of the first that is equal but for white space and case, shape (documents,).

        Raises:
            ValueError: the last document has not ended.
        """
        if self._is_open:
            raise ValueError("the last document has not ended")
        self._flush()
        self._digests = [np.concatenate(self._digests)]
        return first_equal(self._digests[0])

    def groups(self) -> Indices:
        """For each document the number of the first in its group of equal and near duplicates, shape (documents,).

        What is near to a near duplicate belongs to the group, too.

        Raises:
            ValueError: the last document has not ended.
        """
        groups = self.equal()
        documents = np.concatenate(self._sketched)
        distinct = groups[documents] == documents
        documents = documents[distinct]
        groups[documents] = documents[_near(np.concatenate(self._sketches)[distinct])]
        return groups[groups]

    def _flush(self) -> None:
        """Sketches what came in since the last time."""
        before = self._unfinished
        codes = np.concatenate([before.left, _fold("".join(self._pieces))])
        ends = np.array([*self._ends, self._size], dtype=np.int64) + len(before.left)
        self._pieces, self._ends, self._size = [], [], 0

        codes, starts, lengths, space_follows = _with_single_spaces(codes, ends, is_begun=len(before.left) > 0)
        shingles = np.maximum(lengths - SHINGLE + 1, 0)
        hashes = window_hashes(codes, SHINGLE)
        hashes = hashes[_ranges(starts, shingles, len(hashes))]
        least, digests = _least_by_bin(hashes, shingles), _digests(hashes, shingles)
        least[0] = np.minimum(least[0], before.least)
        digests[0] = (int(digests[0]) * pow(_BASE, before.shingles, _MODULUS) + before.digest) % _MODULUS
        shingles[0] += before.shingles

        rest = codes[starts[-1] : starts[-1] + lengths[-1]][1 - SHINGLE :]
        left = np.append(rest, np.full(int(space_follows), _SPACE, dtype=np.uint32))
        self._unfinished = _Unfinished(left, least[-1:], int(digests[-1]), int(shingles[-1]))
        short = np.flatnonzero(shingles[:-1] == 0)
        digests[short] = _digests_of_short(codes, starts[short], lengths[short])
        self._keep(digests[:-1], least[:-1])

    def _keep(self, digests: Hashes, least: Hashes) -> None:
        """What will be needed of documents that have ended."""
        sketched = np.flatnonzero(np.count_nonzero(least != _NOTHING, axis=1) >= SIMILAR)[: self._many]
        self._many -= len(sketched)
        self._digests.append(digests)
        self._sketches.append(_to_sketches(least[sketched]))
        self._sketched.append(sketched + self._documents)
        self._documents += len(digests)


@dataclass(frozen=True)
class Repetition:
    """How much a text repeats itself.

    Attributes:
        characters: the share of its characters in a stretch of at least 50 that occurred before.
        lines: the share of its lines that occurred before; empty ones do not count.
    """

    characters: float
    lines: float


def repetition(text: str) -> Repetition:
    """How much of a text occurred before in it, at about 60 bytes of memory for each of its characters."""
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    again = len(lines) - len(set(lines))
    return Repetition(_count_repeated(text) / max(1, len(text)), again / max(1, len(lines)))


def _count_repeated(text: str) -> int:
    first = first_equal(window_hashes(_code_points(text), STRETCH))
    again = np.flatnonzero(first < np.arange(len(first)))
    # each stretch covers what is left of it by the next one, and the last is covered whole
    return int(np.minimum(np.diff(again), STRETCH).sum()) + STRETCH if len(again) else 0


def first_equal(values: Hashes) -> Indices:
    """For each value the index of the first that equals it, shape (values,)."""
    result = np.empty(len(values), dtype=np.int64)
    parts = min(256, 1 << (len(values) // _PART).bit_length())
    part = (values & np.uint64(parts - 1)).astype(np.uint8)
    order = np.argsort(part, kind="stable")
    for where in np.split(order, np.cumsum(np.bincount(part, minlength=parts))[:-1]):
        result[where] = where[_first_equal_of_part(values[where])]
    return result


def _first_equal_of_part(values: Hashes) -> Indices:
    """By a table in which the earliest value takes its slot; values that lost theirs to another one try again."""
    first = np.empty(len(values), dtype=np.int64)
    bits = len(values).bit_length() + 1
    table = np.empty(1 << bits, dtype=np.int64)
    waiting, factor = np.arange(len(values)), _BASE
    while len(waiting):
        slots = (values[waiting] * np.uint64(factor) >> np.uint64(64 - bits)).astype(np.int64)
        table[slots] = len(values)
        np.minimum.at(table, slots, waiting)
        earliest = table[slots]
        found = values[earliest] == values[waiting]
        first[waiting[found]] = earliest[found]
        waiting, factor = waiting[~found], factor * _BASE % _MODULUS
    return first


def window_hashes(codes: CodePoints, width: int) -> Hashes:
    """A hash of every `width` code points in a row, shape (code points - width + 1,)."""
    result = np.empty(max(0, len(codes) - width + 1), dtype=np.uint64)
    for start in range(0, len(result), _BLOCK):
        stop = min(start + _BLOCK, len(result))
        hashes = _polynomials(codes[start : stop + width - 1].astype(np.uint64), width)
        hashes ^= hashes >> np.uint64(32)
        hashes *= _MIX
        hashes ^= hashes >> np.uint64(32)
        result[start:stop] = hashes
    return result


def _polynomials(values: Hashes, width: int) -> Hashes:
    """Hashes of two values from those of one, of four from those of two; the width's binary digits make it up."""
    size = 1
    while not width & size:
        values, size = _joined(values, size, values, size), 2 * size
    result, done = values, size
    while done < width:
        values, size = _joined(values, size, values, size), 2 * size
        if width & size:
            result, done = _joined(result, done, values, size), done + size
    return result


def _joined(left: Hashes, left_width: int, right: Hashes, right_width: int) -> Hashes:
    right = right[left_width:]
    return left[: len(right)] * np.uint64(pow(_BASE, right_width, _MODULUS)) + right


def _code_points(text: str) -> CodePoints:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def _fold(text: str) -> CodePoints:
    """Lower case, and every kind of white space a space; one code point for one, so that pieces can be folded, too."""
    return np.take(_folding(), _code_points(text))


@functools.cache
def _folding() -> CodePoints:
    table = np.arange(_PADDING, dtype=np.uint32)
    for point in range(0x20000):  # there are no letters of two cases and no white space beyond
        folded = " " if chr(point).isspace() else chr(point).casefold()
        if len(folded) == 1:
            table[point] = ord(folded)
    return table


def _with_single_spaces(codes: CodePoints, ends: Indices, is_begun: bool) -> tuple[CodePoints, Indices, Indices, bool]:
    """Without spaces at a document's beginning or after another; those at an end stay, but are not counted.

    Args:
        codes: of all documents.
        ends: of each document.
        is_begun: whether the first one goes on from before.

    Returns:
        Code points, where each document starts, its length, and whether the last one ends in a space.
    """
    starts = np.append(0, ends[:-1])
    space = codes == _SPACE
    is_after = np.append(True, space)
    is_after[starts] = True
    is_after[0] = not is_begun
    dropped = space & is_after[:-1]
    places = np.flatnonzero(dropped)
    codes, starts, ends = codes[~dropped], *(bounds - np.searchsorted(places, bounds) for bounds in (starts, ends))
    lengths = ends - starts
    trailing = (lengths > 0) & (np.append(codes, 0)[ends - 1] == _SPACE)
    return codes, starts, lengths - trailing, bool(trailing[-1])


def _ranges(starts: Indices, lengths: Indices, size: int) -> npt.NDArray[np.bool_]:
    """Whether each of `size` places is in one of the ranges, between which there are gaps."""
    some = lengths > 0
    edges = np.zeros(size + 1, dtype=np.int8)
    edges[starts[some]] = 1
    edges[(starts + lengths)[some]] = -1
    return np.cumsum(edges[:-1], dtype=np.int8).view(np.bool_)


def _least_by_bin(hashes: Hashes, counts: Indices) -> Hashes:
    """The least hash of each bin of each document, shape (documents, bins).

    Args:
        hashes: of all documents.
        counts: how many of them each document has.
    """
    least = np.full(len(counts) * BINS, _NOTHING)
    bins = np.repeat(np.arange(len(counts)) * BINS, counts) + (hashes >> np.uint64(64 - 6)).astype(np.int64)
    np.minimum.at(least, bins, hashes)
    return least.reshape(-1, BINS)


def _digests(hashes: Hashes, counts: Indices) -> Hashes:
    """A polynomial of each document's hashes, which pieces of it add up to; shape (documents,)."""
    result = np.zeros(len(counts), dtype=np.uint64)
    some = np.flatnonzero(counts)
    if len(some):
        firsts = (np.cumsum(counts) - counts)[some]
        sums = np.add.reduceat(hashes * _powers(_BASE, len(hashes)), firsts)
        result[some] = sums * _powers(pow(_BASE, -1, _MODULUS), len(hashes))[firsts]
    return result


def _powers(base: int, count: int) -> Hashes:
    """1, base, base squared..., shape (count,)."""
    return np.append(np.uint64(1), np.full(count - 1, base, dtype=np.uint64)).cumprod()


def _digests_of_short(codes: CodePoints, starts: Indices, lengths: Indices) -> Hashes:
    """Hashes of documents that are shorter than a shingle."""
    within = np.arange(SHINGLE)
    padded = np.append(codes, np.full(SHINGLE, _PADDING, dtype=np.uint32))[starts[:, None] + within]
    padded[within >= lengths[:, None]] = _PADDING
    return window_hashes(padded.ravel(), SHINGLE)[::SHINGLE]


def _to_sketches(least: Hashes) -> Sketches:
    """8 bits of each least hash, 0 for a bin without any; shape (documents, bins)."""
    return np.where(least == _NOTHING, 0, np.maximum(least & np.uint64(0xFF), 1)).astype(np.uint8)


def _near(sketches: Sketches) -> Indices:
    """For each sketch the index of the first in its group of near duplicates, shape (sketches,)."""
    groups = np.arange(len(sketches))
    for keys in sketches.view(np.uint32).T:  # four bins are a key
        first = first_equal(keys.astype(np.uint64))
        members = np.flatnonzero((first < np.arange(len(keys))) & (keys != 0))
        for some in np.array_split(members, 1 + len(members) // _BLOCK):
            alike = some[_are_similar(sketches[some], sketches[first[some]])]
            _join(groups, alike, first[alike])
    return groups


def _are_similar(ones: Sketches, others: Sketches) -> npt.NDArray[np.bool_]:
    """Whether they agree in enough bins that are not empty, row by row."""
    agreeing: Indices = np.count_nonzero((ones == others) & (ones != 0), axis=1)
    return agreeing >= SIMILAR


def _join(groups: Indices, ones: Indices, others: Indices) -> None:
    """Joins the groups of each pair, in place: union-find in which the lower number is the root, for all pairs at once."""
    while True:
        low, high = np.sort([groups[ones], groups[others]], axis=0)
        apart = low < high
        if not apart.any():
            return
        np.minimum.at(groups, high[apart], low[apart])
        while (groups[groups] != groups).any():
            groups[:] = groups[groups]
