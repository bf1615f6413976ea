"""Unicode characters as symbols, with a byte fallback for those that have no id.

An unknown character is spelled by the bytes of its UTF-8, each as two half-bytes: 16 more ids in the vocabulary
instead of 256, which on an alphabet of 65 characters would have been most of the output layer.
Characters seen less often than ``min_count`` are spelled that way in training too, so the model learns how it goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

import numpy as np

from seqgen.recipe import TokenizerSettings
from seqgen.tokenizers.base import DOCUMENT, Ids, bytes_of, decode_all
from seqgen.tokenizers.bytes import ByteDecoder

HALF_BYTES = 16
FIRST_HALF_BYTE = DOCUMENT + 1
FIRST_CHARACTER = FIRST_HALF_BYTE + HALF_BYTES
CODE_POINTS = 0x110000


class CharacterTokenizer:
    """Ids: the document symbol, 16 half-bytes, then the known characters in order of their code points.

    Args:
        characters: the known characters, each once.
    """

    name = "characters"

    def __init__(self, characters: str) -> None:
        if len(set(characters)) != len(characters):
            raise ValueError("a character stands twice in the vocabulary")
        self.characters = characters
        self._ids = np.full(CODE_POINTS, -1, dtype=np.int32)
        self._ids[_code_points(characters)] = np.arange(FIRST_CHARACTER, self.size)
        self._bytes = [bytes_of(character) for character in characters]

    @classmethod
    def build(cls, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """The characters that occur at least `min_count` times, at most `max_size` of them, the most frequent first."""
        counts = np.zeros(CODE_POINTS, dtype=np.int64)
        for text in texts:
            points = _code_points(text)
            if len(points) > 100_000:
                counts += np.bincount(points, minlength=CODE_POINTS)
            else:
                np.add.at(counts, points, 1)
        frequent = np.argsort(-counts, kind="stable")[: settings.max_size]
        kept = np.sort(frequent[counts[frequent] >= settings.min_count])
        return cls("".join(map(chr, kept)))

    @property
    def size(self) -> int:
        """How many ids there are."""
        return FIRST_CHARACTER + len(self.characters)

    def encode(self, text: str) -> Ids:
        """One id for each known character, two for each byte of an unknown one; shape (symbols,)."""
        ids = self._ids[_code_points(text)].astype(np.int64)
        places = np.flatnonzero(ids < 0)
        if len(places) == 0:
            return ids
        spelled = [_spell(text[place]) for place in places]
        lengths = np.ones(len(ids), dtype=np.int64)
        lengths[places] = [len(half_bytes) for half_bytes in spelled]
        ids = np.repeat(ids, lengths)
        ids[ids < 0] = np.concatenate(spelled)
        return ids

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text of these ids."""
        return decode_all(self.decoder(), (int(symbol) for symbol in ids))

    def decoder(self) -> CharacterDecoder:
        """A fresh streaming decoder."""
        return CharacterDecoder(self._bytes)

    def unknown(self, text: str) -> list[str]:
        """The distinct characters that are spelled in bytes."""
        known = set(self.characters)
        return list(dict.fromkeys(character for character in text if character not in known))

    def to_json(self) -> dict[str, Any]:
        """The known characters, as code points (a lone surrogate could not be written to a file of UTF-8)."""
        return {"code_points": [ord(character) for character in self.characters]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The tokenizer again; ValueError where the code points are none, or not distinct."""
        points = data.get("code_points")
        if not isinstance(points, list) or not all(type(point) is int and 0 <= point < CODE_POINTS for point in points):
            raise ValueError("code_points is not a list of Unicode code points")
        return cls("".join(map(chr, points)))


class CharacterDecoder:
    """Joins half-bytes to bytes and bytes to characters; a half-byte without its other half becomes nothing."""

    def __init__(self, characters: Sequence[bytes]) -> None:
        self._characters = characters
        self._high: int | None = None
        self._bytes = ByteDecoder()

    def feed(self, symbol: int) -> bytes:
        """The bytes that are complete with this id."""
        if FIRST_HALF_BYTE <= symbol < FIRST_CHARACTER:
            half = symbol - FIRST_HALF_BYTE
            if self._high is None:
                self._high = half
                return b""
            byte, self._high = 16 * self._high + half, None
            return self._bytes.feed(byte + 1)
        left = self.finish()
        return left if symbol == DOCUMENT else left + self._characters[symbol - FIRST_CHARACTER]

    def finish(self) -> bytes:
        """The bytes of an unfinished character."""
        self._high = None
        return self._bytes.finish()


def _code_points(text: str) -> Ids:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.int64)


def _spell(character: str) -> Ids:
    """The half-bytes of a character's UTF-8, the high half first."""
    data = np.frombuffer(bytes_of(character), dtype=np.uint8).astype(np.int64)
    return np.stack([data >> 4, data & 15], axis=1).ravel() + FIRST_HALF_BYTE
