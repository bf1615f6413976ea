"""How what has no id of its own is spelled: by the bytes of its UTF-8, each as two half-bytes.

That is 16 more ids in the vocabulary instead of 256, which on an alphabet of 65 characters would have been most of
the output layer. Ids: the document symbol, the half-bytes, then what is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqgen.tokenizers.base import DOCUMENT, DOCUMENT_KEY, Ids, text_of
from seqgen.tokenizers.bytes import ByteDecoder

FIRST_HALF_BYTE = DOCUMENT + 1
FIRST_KNOWN = FIRST_HALF_BYTE + 16
SPELLING_KEYS = [DOCUMENT_KEY, *(f"half byte {half:x}" for half in range(16))]
"""What the ids below `FIRST_KNOWN` mean."""


def spelled_before(known: Sequence[bytes]) -> list[bytes | int]:
    """What each id writes: the document symbol nothing, then the half-bytes, then what is known."""
    return [b"", *range(16), *known]


def spell(data: bytes) -> Ids:
    """The half-bytes of these bytes as ids, the high half first; shape (2 * bytes,)."""
    values = np.frombuffer(data, dtype=np.uint8)
    return np.stack([values >> 4, values & 15], axis=1).ravel() + np.uint8(FIRST_HALF_BYTE)


def unspell(symbols: Ids, known: Sequence[bytes], between: bytes = b"") -> str:
    """The text of a whole sequence of ids: what `SpellingDecoder` gives for them one by one, 10 times as fast.

    Args:
        symbols: the ids, shape (symbols,).
        known: the bytes of each symbol from `FIRST_KNOWN` on.
        between: what stands between two known symbols that follow each other at once.
    """
    is_known = symbols >= FIRST_KNOWN
    is_half = ~is_known & (symbols != DOCUMENT)
    places = np.arange(len(symbols), dtype=np.int32)
    since_other = places - np.maximum.accumulate(np.where(is_half, -1, places))
    pairs = np.flatnonzero(is_half[:-1] & is_half[1:] & (since_other[:-1] % 2 == 1))
    follows = np.flatnonzero(is_known[:-1] & is_known[1:]) + 1
    table = [b"", *known, *(between + each for each in known), *(bytes([byte]) for byte in range(256))]
    codes = np.where(is_known, symbols.astype(np.int32) - (FIRST_KNOWN - 1), 0)
    codes[follows] += len(known)
    high, low = (symbols[at].astype(np.int32) - FIRST_HALF_BYTE for at in (pairs, pairs + 1))
    codes[pairs] = 16 * high + low + 1 + 2 * len(known)
    return text_of(b"".join([table[code] for code in codes[codes > 0].tolist()]))


class SpellingDecoder:
    """Joins half-bytes to bytes and bytes to characters; a half-byte without its other half becomes nothing.

    Args:
        known: the bytes of each symbol from `FIRST_KNOWN` on.
        between: what stands between two known symbols that follow each other at once.
    """

    def __init__(self, known: Sequence[bytes], between: bytes = b"") -> None:
        self._known, self._between = known, between
        self._follows_known = False
        self._high: int | None = None
        self._bytes = ByteDecoder()

    def feed(self, symbol: int) -> bytes:
        """The bytes that are complete with this id."""
        if symbol >= FIRST_KNOWN:
            before = self._between if self._follows_known else self.finish()
            self._follows_known = True
            return before + self._known[symbol - FIRST_KNOWN]
        if symbol == DOCUMENT:
            return self.finish()
        self._follows_known = False
        half = symbol - FIRST_HALF_BYTE
        if self._high is None:
            self._high = half
            return b""
        byte, self._high = 16 * self._high + half, None
        return self._bytes.feed(byte + 1)

    def finish(self) -> bytes:
        """The bytes of an unfinished character."""
        self._follows_known, self._high = False, None
        return self._bytes.finish()
