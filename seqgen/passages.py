"""All passages of a training text, in order: a suffix array (Manber and Myers 1993), which finds the longest that another shares.

The array is over the bytes of the text in UTF-8, whatever symbols a model reads it in. Behind each document stands a byte that
no text has, so that no passage goes on into the next document. It is made by libdivsufsort, once, and kept beside the corpus in
the cache, from where it is mapped into memory: 5 bytes for each byte of text.
"""

from __future__ import annotations

import json
import mmap
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from seqgen.errors import DataError
from seqgen.splits import Split
from seqgen.tokenizers import Ids, Tokenizer, bytes_of

TEXT, ORDER, MARKS, BEGINS, META = "text", "order", "marks.npy", "begins.npy", "passages.json"
SEPARATOR = b"\xff"
LARGEST = (1 << 31) - 1
"""Bytes of text, separators included: each place is a signed number of 32 bits."""
BLOCK = 1 << 20
"""Symbols that are decoded at once, at least."""
STEP = 1 << 16
"""Bytes from one mark to the next."""
FIRST_LOOK = 32
"""Bytes that are looked up first: most passages in common are shorter."""
_AHEAD = 16
_PLACE = np.dtype("<i4")
Lengths = npt.NDArray[np.int64]


class Found(NamedTuple):
    """Where a passage stands.

    Attributes:
        document: the number of the document in which it stands first, from 0.
        offset: characters from the beginning of that document.
        lines: line feeds from there.
        places: how often it stands anywhere.
    """

    document: int
    offset: int
    lines: int
    places: int


class Passages:
    """The passages of a training text, mapped into memory.

    Args:
        folder: that `write_passages` has filled.

    Raises:
        OSError: it is not there.
        ValueError: it is damaged.
        KeyError: likewise.
    """

    def __init__(self, folder: Path) -> None:
        size = int(json.loads((folder / META).read_text(encoding="utf-8"))["bytes"])
        for name, width in ((TEXT, 1), (ORDER, _PLACE.itemsize)):
            if (folder / name).stat().st_size != size * width:
                raise ValueError(f"{folder / name} is not of the length that was noted")
        self._text: mmap.mmap | bytes = b""
        self._places = np.zeros(0, dtype=_PLACE)
        if size:
            with (folder / TEXT).open("rb") as file:
                self._text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._places = np.asarray(np.memmap(folder / ORDER, _PLACE, "r"))
        self._order = self._places.data  # gives plain integers, faster than numpy gives its own
        self._begins = np.load(folder / BEGINS, mmap_mode="r", allow_pickle=False)
        self._marks = np.load(folder / MARKS, allow_pickle=False)
        if self._marks.shape != (-(-size // STEP) + 1, 2):
            raise ValueError(f"{folder / MARKS} is damaged")

    def match(self, text: str) -> Lengths:
        """How many characters the longest known passage from each character of a text on has, shape (characters,).

        From one character to the next, the end of that passage stays where it is or moves on. So the characters that share an
        end are found by doubling and bisection: a text that is one long copy takes few searches, and others two a character.
        """
        data = bytes_of(text)
        starts = _starts(text, data)
        ends, count = np.zeros(len(text), dtype=np.int64), len(text)
        first, end = 0, self._reach(data, starts, 0, 0) if count else 0
        while first < count:
            if end == count:
                ends[first:] = end
                break
            last, step, further = first, 1, end  # the last one that is known to end there
            while last + step < end and (further := self._reach(data, starts, last + step, end)) == end:
                last, step = last + step, 2 * step
            after = min(last + step, max(end, first + 1))
            if after >= end:
                further = self._reach(data, starts, after, end)
            while after - last > 1:
                middle = (last + after) // 2
                reached = self._reach(data, starts, middle, end)
                if reached == end:
                    last = middle
                else:
                    after, further = middle, reached
            ends[first:after] = end
            first, end = after, further
        return ends - np.arange(count)

    def find(self, passage: str) -> Found:
        """Where a passage stands, which must be known."""
        pattern = bytes_of(passage)
        first = self._bisect(pattern)
        after = bisect_right(self._order, pattern, lo=first, key=lambda at: self._text[at : at + len(pattern)])
        place = int(self._places[first:after].min())
        document = int(np.searchsorted(self._begins, place, side="right")) - 1
        begin = int(self._begins[document])
        lines, characters = self._counts(place) - self._counts(begin)
        return Found(document, int(characters), int(lines), after - first)

    def holds_document(self, text: str) -> bool:
        """Whether a text is one of the training documents as a whole."""
        whole = bytes_of(text) + SEPARATOR
        at_first = self._text[: len(whole)] == whole
        return at_first or self._count_known(SEPARATOR + whole) == len(whole) + 1

    def _reach(self, data: bytes, starts: memoryview, first: int, known: int) -> int:
        """Up to which character the longest known passage goes that begins with the first one.

        Args:
            data: the whole text in UTF-8.
            starts: where in it each character begins, and its end.
            first: number of a character.
            known: up to there a passage is known to go.
        """
        if first == len(starts) - 1:
            return first
        begin = starts[first]
        size = max(FIRST_LOOK, starts[known] - begin + _AHEAD)
        while True:
            pattern = data[begin : begin + size]
            common = self._count_known(pattern)
            if common < len(pattern) or begin + size >= len(data):
                return bisect_right(starts, begin + common) - 1  # a character counts as a whole
            size *= 2

    def _count_known(self, pattern: bytes) -> int:
        """How many bytes from the first on stand somewhere as they are."""
        place = self._bisect(pattern)
        # Of all passages, the two between which this one would stand have the most in common with it.
        nearest = self._order[max(0, place - 1) : place + 1]
        return max((_count_common(pattern, self._text[at : at + len(pattern)]) for at in nearest), default=0)

    def _bisect(self, pattern: bytes) -> int:
        """Where in the order of all passages this one is, or would be."""
        text, size = self._text, len(pattern)
        return bisect_left(self._order, pattern, key=lambda at: text[at : at + size])

    def _counts(self, place: int) -> npt.NDArray[np.int64]:
        """Line feeds and characters before a place in the text."""
        mark = place // STEP
        part = np.frombuffer(self._text[mark * STEP : place], dtype=np.uint8)
        return np.asarray(self._marks[mark] + _tally(part))


def write_passages(split: Split, tokenizer: Tokenizer, folder: Path) -> None:
    """Fills a folder with all passages of a split.

    It needs some 5 bytes of memory for each byte of text.

    Args:
        split: whose text is looked through.
        tokenizer: of its symbols.
        folder: that exists.

    Raises:
        DataError: there is too much text.
        MemoryError: there is not enough memory.
        OSError: the folder cannot be written to.
    """
    from pydivsufsort import divsufsort  # loaded where it is needed: only the first look at a corpus is

    with (folder / TEXT).open("wb") as file:
        begins = _write_text(split, tokenizer, file)
    np.save(folder / BEGINS, np.array(begins, dtype=np.int64))
    text = np.fromfile(folder / TEXT, dtype=np.uint8)
    parts = (text[start : start + STEP] for start in range(0, len(text), STEP))
    np.save(folder / MARKS, np.cumsum([np.zeros(2, dtype=np.int64), *map(_tally, parts)], axis=0))
    try:
        order = divsufsort(text) if len(text) else np.zeros(0, dtype=_PLACE)
    except Exception as error:  # it says so with nothing else when it cannot have the memory that it needs
        raise MemoryError(str(error)) from error
    order.astype(_PLACE, copy=False).tofile(folder / ORDER)
    (folder / META).write_text(json.dumps({"bytes": len(text)}), encoding="utf-8")


def _write_text(split: Split, tokenizer: Tokenizer, file: BinaryIO) -> list[int]:
    """Writes the documents with a separator behind each; returns where they begin."""
    begins, size, line_end = [], 0, tokenizer.line_end
    for first, last in pairwise([*split.starts.tolist(), len(split)]):
        begins.append(size)
        for ids in _blocks(split.ids[first:last], line_end):
            size += file.write(bytes_of(tokenizer.decode(ids)))
        size += file.write(SEPARATOR)
        if size > LARGEST:
            raise DataError(
                f"the training text has more than the {LARGEST / 1e9:.1f} GB that can be looked through",
                hint="Check samples of a model that was trained on less.",
            )
    return begins


def _blocks(ids: Ids, line_end: int | None) -> Iterator[Ids]:
    """The ids of a document in parts that can be decoded one by one: each ends with a line, where line ends are symbols."""
    first = 0
    while line_end is not None and len(ids) - first > 2 * BLOCK:
        ends = np.flatnonzero(ids[first + BLOCK : first + 2 * BLOCK] == line_end)
        if not len(ends):
            break
        after = first + BLOCK + int(ends[0]) + 1
        yield ids[first:after]
        first = after
    yield ids[first:]


def _starts(text: str, data: bytes) -> memoryview:
    """Where in the bytes of a text each character begins, and where the last one ends."""
    if len(data) == len(text):
        return np.arange(len(text) + 1).data
    codes = np.frombuffer(data, dtype=np.uint8)
    return np.append(np.flatnonzero((codes & 0xC0) != 0x80), len(data)).data


def _tally(part: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Line feeds and characters; a separator counts as one."""
    return np.array([np.count_nonzero(part == ord("\n")), np.count_nonzero((part & 0xC0) != 0x80)], dtype=np.int64)


def _count_common(pattern: bytes, other: bytes) -> int:
    """How many bytes two sequences have in common at the beginning."""
    size = min(len(pattern), len(other))
    if pattern[:size] == other[:size]:
        return size
    differing = int.from_bytes(pattern[:size]) ^ int.from_bytes(other[:size])
    return size - (differing.bit_length() + 7) // 8
