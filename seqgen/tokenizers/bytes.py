"""Bytes of UTF-8 as symbols: 256 and the document symbol, for any text in any script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np

from seqgen.recipe import TokenizerSettings
from seqgen.tokenizers.base import (
    DOCUMENT,
    DOCUMENT_KEY,
    Ids,
    Opening,
    TextTokenizer,
    as_array,
    bytes_of,
    encode_each,
    read_object,
    text_of,
)

BYTE_KEYS = [f"byte {byte:02x}" for byte in range(256)]


class ByteTokenizer(TextTokenizer):
    """Byte b is id b + 1."""

    name = "bytes"
    by_line = False
    suffix = "json"
    note = ""
    size = 257

    @classmethod
    def build(cls, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """Nothing to learn: the alphabet is fixed."""
        return cls()

    def extended(self, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """Itself: there are no other bytes."""
        return self

    def encode(self, text: str) -> Ids:
        """One id for each byte of the text's UTF-8, shape (bytes,)."""
        return np.frombuffer(bytes_of(text), dtype=np.uint8).astype(np.uint16) + np.uint16(1)

    encode_all = encode_each

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text of these ids."""
        symbols = as_array(ids)
        return text_of((symbols[symbols != DOCUMENT] - 1).astype(np.uint8).tobytes())

    def decoder(self) -> ByteDecoder:
        """A fresh streaming decoder."""
        return ByteDecoder()

    def writes(self) -> list[bytes]:
        """The bytes."""
        return [b"", *(bytes([byte]) for byte in range(256))]

    def unknown(self, text: str) -> list[str]:
        """None: every byte is known."""
        return []

    def reopen(self, ids: Sequence[int]) -> Opening:
        """As it is: no symbol is the beginning of another."""
        return Opening(list(ids))

    def keys(self) -> list[str]:
        """The document symbol and the bytes."""
        return [DOCUMENT_KEY, *BYTE_KEYS]

    def to_bytes(self) -> bytes:
        """An empty JSON object: nothing to keep."""
        return b"{}"

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Nothing to restore; ValueError where the data is no JSON object."""
        read_object(data)
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
