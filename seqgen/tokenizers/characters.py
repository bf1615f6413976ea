"""Unicode characters as symbols; those that have no id of their own are spelled in half-bytes (see `spelling`).

Characters seen less often than ``min_count`` are spelled that way in training too, so the model learns how it goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from seqgen.recipe import MOST_SYMBOLS, TokenizerSettings
from seqgen.tokenizers.base import (
    DOCUMENT,
    Ids,
    Opening,
    TextTokenizer,
    as_array,
    bytes_of,
    id_type,
    in_blocks,
    read_object,
)
from seqgen.tokenizers.spelling import FIRST_KNOWN, SPELLING_KEYS, SpellingDecoder, spell, spelled_before, unspell

CODE_POINTS = 0x110000
BLOCK = 1 << 16
"""Characters that are counted or encoded at once: few enough to stay in the processor's cache."""
_UNKNOWN = 0
"""In the table of ids: the document symbol's id, which no character has."""


class CharacterTokenizer(TextTokenizer):
    """Ids: the document symbol, 16 half-bytes, then the known characters in the order given.

    Args:
        characters: the known characters, each once.
    """

    name = "characters"
    by_line = False
    suffix = "json"
    note = ""

    def __init__(self, characters: str) -> None:
        if len(set(characters)) != len(characters):
            raise ValueError("a character stands twice in the vocabulary")
        self.characters = characters
        self._ids = np.full(CODE_POINTS, _UNKNOWN, dtype=id_type(self.size))
        self._ids[_code_points(characters)] = np.arange(FIRST_KNOWN, self.size)
        self._points = np.concatenate([np.zeros(FIRST_KNOWN, dtype="<u4"), _code_points(characters)]).astype("<u4")
        self._bytes = [bytes_of(character) for character in characters]
        self._ascii = bytes(self._ids[:256].astype(np.uint8)) if self.size <= 256 else b""

    @classmethod
    def build(cls, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """The characters that occur at least `min_count` times, at most `max_size` of them, in order of code points.

        Of too many the most frequent are kept, and of equally frequent ones the first.
        """
        return cls(_most_frequent(_count(texts), settings.min_count, settings.max_size))

    def extended(self, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """With the new characters that occur at least `min_count` times in other texts, up to `max_size` in all."""
        counts = _count(texts)
        counts[_code_points(self.characters)] = 0
        room = max(0, settings.max_size - len(self.characters))
        return type(self)(self.characters + _most_frequent(counts, settings.min_count, room))

    @property
    def size(self) -> int:
        """How many ids there are."""
        return FIRST_KNOWN + len(self.characters)

    def encode(self, text: str) -> Ids:
        """One id for each known character, two for each byte of an unknown one; shape (symbols,)."""
        if len(text) <= BLOCK:
            return self._encode_block(text)
        return np.concatenate([self._encode_block(text[at : at + BLOCK]) for at in range(0, len(text), BLOCK)])

    def encode_all(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        """The ids of many texts one after another, shape (symbols,), and how many each has, shape (texts,)."""
        text = "".join(texts)
        ids = self.encode(text)
        if len(texts) == 1:
            return ids, np.array([len(ids)])
        counts = np.array([len(text) for text in texts], dtype=np.int64)
        if len(ids) > len(text):  # something is spelled
            ends = np.append(0, np.cumsum(self._lengths(_code_points(text))))
            counts = np.diff(ends[np.cumsum(counts)], prepend=0)
        return ids, counts

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text of these ids."""
        symbols = as_array(ids)
        if ((symbols == DOCUMENT) | (symbols >= FIRST_KNOWN)).all():
            return str(self._points[symbols[symbols != DOCUMENT]].tobytes(), "utf-32-le", "surrogatepass")
        return unspell(symbols, self._bytes)

    def decoder(self) -> SpellingDecoder:
        """A fresh streaming decoder."""
        return SpellingDecoder(self._bytes)

    def writes(self) -> list[bytes | int]:
        """The half-bytes and the characters."""
        return spelled_before(self._bytes)

    def unknown(self, text: str) -> list[str]:
        """The distinct characters that are spelled in bytes."""
        known = set(self.characters)
        return [character for character in dict.fromkeys(text) if character not in known]

    def reopen(self, ids: Sequence[int]) -> Opening:
        """As it is: no symbol is the beginning of another."""
        return Opening(list(ids))

    def keys(self) -> list[str]:
        """The document symbol, the half-bytes and the characters."""
        return [*SPELLING_KEYS, *(f"character {character}" for character in self.characters)]

    def to_bytes(self) -> bytes:
        """JSON: the known characters, as code points (a lone surrogate could not be written to a file of UTF-8)."""
        return json.dumps({"code_points": [ord(character) for character in self.characters]}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The tokenizer again; ValueError where the code points are none, or not distinct."""
        points = read_object(data).get("code_points")
        if not isinstance(points, list) or not all(type(point) is int and 0 <= point < CODE_POINTS for point in points):
            raise ValueError("code_points is not a list of Unicode code points")
        if len(points) > MOST_SYMBOLS:
            raise ValueError(f"there are more than {MOST_SYMBOLS:,} characters")
        return cls("".join(map(chr, points)))

    def _encode_block(self, text: str) -> Ids:
        if self._ascii and text.isascii():
            data = bytearray(text, "ascii").translate(self._ascii)
            if _UNKNOWN not in data:
                return np.frombuffer(data, dtype=np.uint8)
        points = _code_points(text)
        ids = self._ids[points]
        unknown = points[ids == _UNKNOWN].astype("<u4")
        if len(unknown) == 0:
            return ids
        ids = np.repeat(ids, self._lengths(points))
        ids[ids == _UNKNOWN] = spell(bytes_of(unknown.tobytes().decode("utf-32-le", "surrogatepass")))
        return ids

    def _lengths(self, points: npt.NDArray[np.uint8] | npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
        """How many ids each code point needs, shape (characters,)."""
        lengths = np.ones(len(points), dtype=np.int64)
        places = np.flatnonzero(self._ids[points] == _UNKNOWN)
        unknown = points[places]
        lengths[places] = 2 + 2 * sum((unknown >= least).astype(np.int64) for least in (0x80, 0x800, 0x10000))
        return lengths


def _code_points(text: str) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint32]:
    """Shape (characters,); ASCII, which needs no wider numbers, is four times as fast without them."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _count(texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """How often each code point occurs, shape (CODE_POINTS,)."""
    counts = np.zeros(CODE_POINTS, dtype=np.int64)
    for block in in_blocks(texts, BLOCK):
        found = np.bincount(_code_points(block))
        counts[: len(found)] += found
    return counts


def _most_frequent(counts: npt.NDArray[np.int64], min_count: int, limit: int) -> str:
    """At most `limit` characters that occur at least `min_count` times, in order of their code points."""
    points = np.flatnonzero(counts >= min_count)
    kept = points[np.argsort(-counts[points], kind="stable")[:limit]]
    return "".join(map(chr, np.sort(kept)))
