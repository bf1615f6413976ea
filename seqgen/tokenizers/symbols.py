"""Symbols of any kind with whitespace between them: genes, moves, chords, words.

One space between two known symbols is implied. All other whitespace, and every symbol that has no id of its own, is
spelled in half-bytes (see `spelling`), so that any text comes back as it was.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np

from seqgen.recipe import MOST_SYMBOLS, TokenizerSettings
from seqgen.tokenizers.base import Ids, Opening, TextTokenizer, as_array, bytes_of, encode_each, id_type, read_object
from seqgen.tokenizers.spelling import FIRST_KNOWN, SPELLING_KEYS, SpellingDecoder, spell, spelled_before, unspell

LONGEST = 256
"""Characters of a symbol; a longer one never gets an id."""
LARGEST = 7 << 20
"""Bytes of all symbols in a file: those beyond get no id, or it could not be read again."""
_IMPLIED = " "
_MARK = b"\0"
"""Stands on both sides of each symbol where texts are looked for among them."""
_WHITESPACE = re.compile(r"(\s+)")
_ONE_SYMBOL = re.compile(r"\S+")


class SymbolTokenizer(TextTokenizer):
    """Ids: the document symbol, 16 half-bytes, then the known symbols in the order given.

    Args:
        symbols: the known symbols, each once.
    """

    name = "symbols"
    by_line = True
    suffix = "json"
    note = ""

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = list(symbols)
        self._ids = {symbol: FIRST_KNOWN + place for place, symbol in enumerate(symbols)}
        if len(self._ids) != len(symbols):
            raise ValueError("a symbol stands twice in the vocabulary")
        self._bytes = [bytes_of(symbol) for symbol in symbols]

    @classmethod
    def build(cls, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """The symbols that occur at least `min_count` times, at most `max_size` of them, sorted.

        Of too many the most frequent are kept, and of equally frequent ones the first.
        """
        return cls(_most_frequent(_count(texts), settings.min_count, settings.max_size))

    def extended(self, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """With the new symbols that occur at least `min_count` times in other texts, up to `max_size` in all."""
        counts = _count(texts)
        for symbol in self.symbols:
            counts.pop(symbol, None)
        room = max(0, settings.max_size - len(self.symbols))
        return type(self)([*self.symbols, *_most_frequent(counts, settings.min_count, room)])

    @property
    def size(self) -> int:
        """How many ids there are."""
        return FIRST_KNOWN + len(self.symbols)

    def encode(self, text: str) -> Ids:
        """One id for each known symbol, two for each byte of what is neither known nor implied; shape (ids,)."""
        parts = _WHITESPACE.split(text)  # symbol, whitespace, symbol, ... ; the first and the last may be empty
        ids = np.zeros(len(parts), dtype=id_type(self.size))
        ids[::2] = [self._ids.get(part, 0) for part in parts[::2]]
        known = ids[::2] > 0
        spelled = ids == 0
        spelled[1::2] &= ~(known[:-1] & known[1:] & np.array([part == _IMPLIED for part in parts[1::2]], dtype=bool))
        data = [bytes_of(parts[place]) for place in np.flatnonzero(spelled)]
        lengths = (ids > 0).astype(np.int64)
        lengths[spelled] = [2 * len(each) for each in data]
        ids = np.repeat(ids, lengths)
        ids[ids == 0] = spell(b"".join(data))
        return ids

    encode_all = encode_each

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text of these ids."""
        return unspell(as_array(ids), self._bytes, _IMPLIED.encode())

    def decoder(self) -> SpellingDecoder:
        """A fresh streaming decoder: the implied space comes with the symbol after it."""
        return SpellingDecoder(self._bytes, between=_IMPLIED.encode())

    def sizes(self) -> Ids:
        """Characters, with the space between two symbols."""
        return np.array([0] * FIRST_KNOWN + [len(symbol) + len(_IMPLIED) for symbol in self.symbols])

    def writes(self) -> list[bytes | int]:
        """The half-bytes, and each symbol between marks, so that it is not found in the midst of another."""
        return spelled_before([_MARK + each + _MARK for each in self._bytes])

    def phrase(self, text: str) -> bytes:
        """Its symbols between marks."""
        return b"".join(_MARK + bytes_of(symbol) + _MARK for symbol in text.split())

    def unknown(self, text: str) -> list[str]:
        """The distinct symbols that are spelled in bytes."""
        return [symbol for symbol in dict.fromkeys(text.split()) if symbol not in self._ids]

    def reopen(self, ids: Sequence[int]) -> Opening:
        """As it is: no symbol is the beginning of another."""
        return Opening(list(ids))

    def keys(self) -> list[str]:
        """The document symbol, the half-bytes and the symbols."""
        return [*SPELLING_KEYS, *(f"symbol {symbol}" for symbol in self.symbols)]

    def to_bytes(self) -> bytes:
        """JSON: the known symbols."""
        return json.dumps({"symbols": self.symbols}, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The tokenizer again; ValueError where the symbols are none, or not distinct."""
        symbols = read_object(data).get("symbols")
        if not isinstance(symbols, list) or not all(type(each) is str and _can_be_known(each) for each in symbols):
            raise ValueError("symbols is not a list of texts without whitespace")
        if len(symbols) > MOST_SYMBOLS:
            raise ValueError(f"there are more than {MOST_SYMBOLS:,} symbols")
        return cls(symbols)


def _count(texts: Iterable[str]) -> Counter[str]:
    """How often each symbol occurs."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text.split())
    return counts


def _most_frequent(counts: Counter[str], min_count: int, limit: int) -> list[str]:
    frequent = [symbol for symbol, count in counts.items() if count >= min_count and _can_be_known(symbol)]
    kept = sorted(frequent, key=lambda symbol: (-counts[symbol], symbol))[:limit]
    room = itertools.accumulate(len(json.dumps(symbol, ensure_ascii=False).encode()) + 2 for symbol in kept)
    return sorted(symbol for symbol, taken in zip(kept, room, strict=True) if taken <= LARGEST)


def _can_be_known(symbol: str) -> bool:
    """Whether it is one symbol, not too long, and can be written to a file of UTF-8: lone surrogates cannot."""
    surrogates = any("\ud800" <= character <= "\udfff" for character in symbol)
    return len(symbol) <= LONGEST and not surrogates and _ONE_SYMBOL.fullmatch(symbol) is not None
