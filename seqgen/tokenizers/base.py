"""The promise that every tokenizer keeps: ``decode(encode(x)) == x`` for every string."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from seqgen.recipe import TokenizerSettings

Ids = npt.NDArray[np.int64]
DOCUMENT = 0
"""The id of the document symbol in every tokenizer: it opens each document and is the prompt of an empty seed."""


class Decoder(Protocol):
    """Turns ids into UTF-8 bytes one by one, holding back what is not yet a whole character."""

    def feed(self, symbol: int) -> bytes:
        """The bytes that are complete with this id; empty while a character is still unfinished."""
        ...

    def finish(self) -> bytes:
        """What is left over: an unfinished character's bytes as they are."""
        ...


class Tokenizer(Protocol):
    """Symbols <-> ids. Id 0 is the document symbol; texts never contain it."""

    name: str

    @classmethod
    def build(cls, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """A tokenizer for these training texts."""
        ...

    @property
    def size(self) -> int:
        """How many ids there are, the document symbol included."""
        ...

    def encode(self, text: str) -> Ids:
        """The ids of a text, shape (symbols,). Never fails: what is unknown is spelled in bytes."""
        ...

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text of these ids; bytes that are no UTF-8 become replacement characters, document symbols nothing."""
        ...

    def decoder(self) -> Decoder:
        """A fresh streaming decoder."""
        ...

    def unknown(self, text: str) -> list[str]:
        """The distinct characters of a text that have no id of their own, in order of appearance."""
        ...

    def to_json(self) -> dict[str, Any]:
        """All that `from_json` needs, as plain data."""
        ...

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The tokenizer again.

        Raises:
            ValueError: the data does not describe one.
        """
        ...


def text_of(data: bytes) -> str:
    """UTF-8 bytes as text. Lone surrogates, which Python strings may hold, come back; other invalid bytes are replaced."""
    return data.decode("utf-8", "seqgen.surrogates")


def _surrogate_or_replacement(error: UnicodeError) -> tuple[str | bytes, int]:
    try:
        return codecs.lookup_error("surrogatepass")(error)
    except UnicodeError:
        return codecs.lookup_error("replace")(error)


codecs.register_error("seqgen.surrogates", _surrogate_or_replacement)


def bytes_of(text: str) -> bytes:
    """Text as UTF-8 bytes, lone surrogates included."""
    return text.encode("utf-8", "surrogatepass")


def decode_all(decoder: Decoder, ids: Iterable[int]) -> str:
    """The text of a whole sequence of ids, through a streaming decoder."""
    return text_of(b"".join([*map(decoder.feed, ids), decoder.finish()]))
