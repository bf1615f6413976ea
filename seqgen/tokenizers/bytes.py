"""Bytes of UTF-8 as symbols: 256 and the document symbol, for any text in any script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

from seqgen.recipe import TokenizerSettings
from seqgen.tokenizers.base import DOCUMENT, Ids, bytes_of, decode_all


class ByteTokenizer:
    """Byte b is id b + 1."""

    name = "bytes"
    size = 257

    @classmethod
    def build(cls, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """Nothing to learn: the alphabet is fixed."""
        return cls()

    def encode(self, text: str) -> Ids:
        """One id for each byte of the text's UTF-8, shape (bytes,)."""
        return np.frombuffer(bytes_of(text), dtype=np.uint8).astype(np.int64) + 1

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text of these ids."""
        return decode_all(self.decoder(), (int(symbol) for symbol in ids))

    def decoder(self) -> ByteDecoder:
        """A fresh streaming decoder."""
        return ByteDecoder()

    def unknown(self, text: str) -> list[str]:
        """None: every byte is known."""
        return []

    def to_json(self) -> dict[str, Any]:
        """Nothing to keep."""
        return {}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Nothing to restore."""
        return cls()


class ByteDecoder:
    """Hands on whole characters; bytes that can no longer become one are handed on as they are."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, symbol: int) -> bytes:
        """The bytes that are complete with this id."""
        if symbol == DOCUMENT:
            return self.finish()
        self._pending += bytes([symbol - 1])
        ready = len(self._pending) - unfinished(self._pending)
        done, self._pending = self._pending[:ready], self._pending[ready:]
        return done

    def finish(self) -> bytes:
        """The bytes of an unfinished character."""
        done, self._pending = self._pending, b""
        return done


def unfinished(data: bytes) -> int:
    """How many bytes at the end may still grow into a character of UTF-8."""
    for back in range(1, min(3, len(data)) + 1):
        lead = data[-back]
        if lead >= 0xC2:
            length = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4 if lead < 0xF5 else 1
            return back if length > back else 0
        if lead < 0x80:
            return 0
    return 0
