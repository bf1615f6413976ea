"""The promise that every tokenizer keeps: ``decode(encode(x)) == x`` for every string."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from seqgen.alphabet import Alphabet, Registers
from seqgen.guarded import load_json
from seqgen.recipe import TokenizerSettings
from seqgen.units import BITS_PER_CHARACTER, Unit

Ids = npt.NDArray[np.integer[Any]]
"""Ids of any type of integer. `encode` gives the smallest unsigned one: widen it before arithmetic, or it may overflow."""
DOCUMENT = 0
"""The id of the document symbol in every tokenizer: it opens each document and is the prompt of an empty seed."""
DOCUMENT_KEY = "document"
"""Its name among a tokenizer's `keys`."""
END = "end"
"""What people are told that it means behind a text: there it ends."""


class Decoder(Protocol):
    """Turns ids into UTF-8 bytes one by one, holding back what is not yet a whole character.

    Fed with a prompt's ids, their bytes thrown away, it is in the right state for what comes after the prompt.
    """

    def feed(self, symbol: int) -> bytes:
        """The bytes that are complete with this id; empty while a character is still unfinished."""
        ...

    def finish(self) -> bytes:
        """What is left over: an unfinished character's bytes as they are."""
        ...


@dataclass(frozen=True)
class Opening:
    """A prompt as a model should read it.

    A text that stops in the middle of what is usually one piece ("def " before " name") leaves a model where no training
    text ever was. So the last piece is taken back, and the first one that is drawn must begin with it.

    Attributes:
        ids: without what was taken back.
        allowed: which symbols may come first, shape (symbols,); None: all.
        taken_back: the bytes that are in the prompt already.
    """

    ids: list[int]
    allowed: npt.NDArray[np.bool_] | None = None
    taken_back: bytes = b""


class Tokenizer(Protocol):
    """Symbols <-> ids. Id 0 is the document symbol; texts never contain it."""

    name: str
    suffix: str
    """How the name of its file ends: `json` or `model`."""
    note: str
    """What `build` could not do as asked, in words; empty where there is nothing to say."""
    by_line: bool
    """Whether a document is usually a line of its symbols: a game, a gene, a song."""
    unit: Unit
    """In which the surprise of what it encodes is told to people."""

    @property
    def line_end(self) -> int | None:
        """The id of the line feed; None where it is not one symbol."""
        ...

    @classmethod
    def build(cls, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """A tokenizer for these training texts: documents, or parts of long ones. No symbol reaches from one to the next."""
        ...

    @classmethod
    def refusal(cls, text: str, settings: TokenizerSettings) -> str | None:
        """Why a document cannot be encoded, in words that fit after "left out"; None: it can."""
        ...

    def extended(self, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """The same, with what is new in other texts after its own ids, which stay what they are."""
        ...

    @property
    def size(self) -> int:
        """How many ids there are, the document symbol included."""
        ...

    def encode(self, text: str) -> Ids:
        """The ids of a text, shape (symbols,), of the type `id_type`. Never fails: what is unknown is spelled in bytes."""
        ...

    def encode_all(self, texts: Sequence[str]) -> tuple[Ids, Ids]:
        """The ids of many texts one after another, shape (symbols,), and how many each has, shape (texts,)."""
        ...

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text of these ids; bytes that are no UTF-8 become replacement characters, document symbols nothing."""
        ...

    def count(self, ids: Ids) -> int:
        """How much these ids stand for of what the unit counts: characters, notes."""
        ...

    def figures(self, ids: Ids, nats: npt.NDArray[np.float64]) -> dict[str, float]:
        """What else is to be told of a text, given the surprise of each id after the first; empty for plain text."""
        ...

    def copies(self, ids: Ids) -> list[Ids]:
        """Other forms of a training document that are as good, such as a piece in other keys; none of plain text."""
        ...

    def decoder(self) -> Decoder:
        """A fresh streaming decoder."""
        ...

    def sizes(self) -> Ids:
        """How much each symbol alone adds of what the unit counts, (size,)."""
        ...

    def writes(self) -> Sequence[bytes | int]:
        """What each symbol writes, so that a text is found however it is cut: bytes, or the value of half a byte, of which the
        high one comes first. Empty where symbols are no text."""
        ...

    def phrase(self, text: str) -> bytes:
        """A text as it would stand among what symbols write."""
        ...

    def unknown(self, text: str) -> list[str]:
        """The distinct parts of a text that have no id of their own, in order of appearance."""
        ...

    def reopen(self, ids: Sequence[int]) -> Opening:
        """A prompt that may go on within its last symbol; see `Opening`."""
        ...

    def keys(self) -> list[str]:
        """What each id means: distinct, and equal for equal meaning in two tokenizers of the same name."""
        ...

    def names(self) -> list[str]:
        """What people are shown for each id by itself: its text; what has none is named in angle brackets."""
        ...

    def flow(self, ids: Sequence[int]) -> list[str]:
        """What they are shown for each of some ids in a row: joined, it is the text, or music that can be read. What only
        completes with a later id is empty."""
        ...

    def parts(self) -> list[list[str]]:
        """What each symbol is made of, by names that several symbols may share; empty: symbols share nothing."""
        ...

    def registers(self) -> Registers | None:
        """Which facts symbols write into registers; None: none."""
        ...

    def to_bytes(self) -> bytes:
        """The file that `from_bytes` reads."""
        ...

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The tokenizer again.

        Raises:
            ValueError: the data does not describe one.
        """
        ...


class TextTokenizer:
    """What all tokenizers of plain text have in common."""

    unit = BITS_PER_CHARACTER

    @classmethod
    def refusal(cls, text: str, settings: TokenizerSettings) -> str | None:
        """Any text can be encoded."""
        return None

    @property
    def line_end(self) -> int | None:
        """The id of the line feed; None where it is not one symbol."""
        ids = self.encode("\n")
        return int(ids[0]) if len(ids) == 1 else None

    def encode(self, text: str) -> Ids:
        """The ids of a text, shape (symbols,)."""
        raise NotImplementedError

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text of these ids."""
        raise NotImplementedError

    def decoder(self) -> Decoder:
        """A fresh streaming decoder."""
        raise NotImplementedError

    def keys(self) -> list[str]:
        """What each id means."""
        raise NotImplementedError

    def names(self) -> list[str]:
        """The text of each id; where it is none by itself, what it means in angle brackets."""
        each = ((key, _text_or_empty(self.decoder().feed(symbol))) for symbol, key in enumerate(self.keys()))
        return [text or f"\u27e8{name_of_key(key)}\u27e9" for key, text in each]

    def flow(self, ids: Sequence[int]) -> list[str]:
        """The text of each id, as far as it is complete."""
        decoder = self.decoder()
        return [decoder.feed(symbol).decode("utf-8", "replace") for symbol in ids]

    def count(self, ids: Ids) -> int:
        """Characters."""
        return len(self.decode(ids))

    def figures(self, ids: Ids, nats: npt.NDArray[np.float64]) -> dict[str, float]:
        """Nothing: bits per character say it all."""
        return {}

    def copies(self, ids: Ids) -> list[Ids]:
        """None."""
        return []

    def sizes(self) -> Ids:
        """Characters, each counted at its first byte."""
        written = (b"" if isinstance(each, int) else each for each in self.writes())
        return np.array([sum(byte & 0xC0 != 0x80 for byte in data) for data in written])

    def writes(self) -> Sequence[bytes | int]:
        """What each symbol writes."""
        raise NotImplementedError

    def phrase(self, text: str) -> bytes:
        """Its UTF-8."""
        return bytes_of(text)

    def parts(self) -> list[list[str]]:
        """None."""
        return []

    def registers(self) -> Registers | None:
        """None."""
        return None


def name_of_key(key: str) -> str:
    """What people are told that an id without a text is."""
    return END if key == DOCUMENT_KEY else key


def _text_or_empty(data: bytes) -> str:
    """The text of some bytes; empty where they are none."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def alphabet_of(tokenizer: Tokenizer) -> Alphabet:
    """The symbols of a tokenizer."""
    return Alphabet(tokenizer.size, _parts_matrix(tokenizer), tokenizer.registers())


def _parts_matrix(tokenizer: Tokenizer) -> npt.NDArray[np.float32] | None:
    parts = tokenizer.parts()
    names = {name: place for place, name in enumerate(dict.fromkeys(name for each in parts for name in each))}
    if not names:
        return None
    matrix = np.zeros((tokenizer.size, len(names)), dtype=np.float32)
    for symbol, each in enumerate(parts):
        matrix[symbol, [names[name] for name in each]] = 1
    return matrix


def id_type(size: int) -> np.dtype[Any]:
    """The smallest unsigned type that holds every id of a tokenizer of this size."""
    return np.min_scalar_type(size - 1)


def encode_each(self: Tokenizer, texts: Sequence[str]) -> tuple[Ids, Ids]:
    """The method `encode_all` of tokenizers that gain nothing from many texts at once."""
    each = [self.encode(text) for text in texts]
    return np.concatenate(each), np.array([len(ids) for ids in each], dtype=np.int64)


def as_array(ids: Sequence[int] | Ids) -> Ids:
    """Ids as an array, shape (symbols,); one that is one already as it is."""
    return ids if isinstance(ids, np.ndarray) else np.array(ids, dtype=np.int64)


def in_blocks(texts: Iterable[str], size: int) -> Iterator[str]:
    """The same text, in blocks of `size` characters and a shorter last one."""
    waiting: list[str] = []
    length = 0
    for text in texts:
        waiting.append(text)
        length += len(text)
        if length >= size:
            joined = "".join(waiting)
            whole = length - length % size
            for start in range(0, whole, size):
                yield joined[start : start + size]
            waiting, length = [joined[whole:]], length - whole
    if length:
        yield "".join(waiting)


def read_object(data: bytes) -> dict[str, Any]:
    """The JSON object in a tokenizer's file.

    Raises:
        ValueError: it is none, or none that seqgen would write.
    """
    value = load_json(data)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


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
