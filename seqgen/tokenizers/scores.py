"""What tokenizers of music share: pieces in and out as text, a table of words, and the guide of a sample.

A word is what one id means: `bar`, `soprano 62`. A tokenizer of music turns a piece into words and back; texts that a piece
can be read from (`scores/notation.py`) are all that it encodes.
"""

from __future__ import annotations

import itertools
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from seqgen.alphabet import Meaning, Registers, registers_of
from seqgen.errors import DataError, UsageError
from seqgen.recipe import TokenizerSettings
from seqgen.scores import notation
from seqgen.scores.notation import parse_metre
from seqgen.scores.piece import COMMON_TIME, HIGHEST, LOWEST, Key, Metre, Piece
from seqgen.scores.pitches import name_key, parse_key
from seqgen.tokenizers.base import (
    DOCUMENT,
    DOCUMENT_KEY,
    END,
    Ids,
    Opening,
    as_array,
    encode_each,
    id_type,
    read_object,
)
from seqgen.tokenizers.grid import round_to
from seqgen.tokenizers.soundness import MOST_CELLS, MOST_WORDS, try_out
from seqgen.units import NATS_PER_NOTE

TRANSPOSITIONS = range(-6, 6)
"""All twelve keys, each as near as can be."""


BEYOND = 5
"""Semitones beyond the range of the training pieces that a voice can still be read at, though it is moved to no key there."""


@dataclass(frozen=True)
class Wanted:
    """What a sample of music should be like; None: as the model likes.

    Attributes:
        seed: what it begins with: its first part is the top voice.
        bars: how many there are in all, the pickup not counted.
        key: that it is in.
        metre: that it begins with.
        pitches: the lowest and the highest that may occur.
        ends_with_seed: as many bars as the seed has: what is missing is sampled beside it, and nothing after it.
    """

    seed: Piece | None = None
    bars: int | None = None
    key: Key | None = None
    metre: Metre | None = None
    pitches: tuple[int, int] = (LOWEST, HIGHEST)
    ends_with_seed: bool = False


class Guide(Protocol):
    """Keeps one sample well-formed, and to what was wanted. It is asked before each symbol and told each that was drawn."""

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Which symbols may come next, shape (symbols,); at least one."""
        ...

    def feed(self, symbol: int) -> None:
        """Takes note of the symbol that was drawn, which was allowed."""
        ...

    def is_whole(self) -> bool:
        """Whether the music may be cut here without tearing notes that belong together."""
        ...

    @property
    def notes(self) -> int:
        """How many notes have been drawn that the seed did not bring."""
        ...


class ScoreTokenizer(ABC):
    """A table of words, and what every tokenizer of music does with it.

    Args:
        words: what the ids after the document symbol mean, each once.
        about: whatever else the tokenizer must know, as plain data.
    """

    name = ""
    suffix = "json"
    note = ""
    by_line = False
    unit = NATS_PER_NOTE
    line_end = None
    keeps_parts = True
    """Whether the parts of a seed come back as the first parts of a sample."""
    pattern = re.compile(r"[ -~]{1,80}")
    """What a word looks like: a file from elsewhere is not trusted."""
    facts: tuple[str, ...] = ()
    """The kinds of facts that words say."""
    contexts: tuple[tuple[str, ...], ...] = ()
    """Facts that together decide which degrees of the scale are likely; see `models/experts.py`."""
    title = ""
    """What it suits, in a few words."""
    opens_line: tuple[str, ...] = ()
    """Where words are shown to people: those that begin a line, a bar, by what stands before their first space."""
    joins: tuple[str, ...] = ()
    """Those that stand right behind the word before them."""

    def __init__(self, words: Sequence[str], about: dict[str, Any]) -> None:
        self.words, self.about = list(words), about
        self.ids = {word: place for place, word in enumerate(self.words, DOCUMENT + 1)}
        self._tables: dict[int, Ids] = {}
        if len(self.ids) != len(self.words):
            raise ValueError("a word stands twice in the vocabulary")

    @classmethod
    @abstractmethod
    def build_from(cls, pieces: Iterable[Piece], settings: TokenizerSettings) -> Self:
        """A tokenizer for these training pieces."""

    @abstractmethod
    def encode_piece(self, piece: Piece) -> list[str]:
        """The words of a piece.

        Raises:
            DataError: the piece is none of this tokenizer's kind.
        """

    @abstractmethod
    def decode_piece(self, words: Sequence[str]) -> Piece:
        """The piece of these words, as far as they make sense: it may stop anywhere."""

    @abstractmethod
    def guide(self, wanted: Wanted) -> Guide:
        """What leads one sample.

        Raises:
            UsageError: what is wanted cannot be had of this tokenizer.
        """

    @abstractmethod
    def transposed(self, word: str, semitones: int) -> str:
        """A word so much higher; it may be one that is not in the table."""

    def say(self, word: str) -> str:
        """A word as people are shown it: short, pitches by their names."""
        return word

    def names(self) -> list[str]:
        """What people are shown for the document symbol and the words."""
        return [f"\u27e8{END}\u27e9", *map(self.say, self.words)]

    def flow(self, ids: Sequence[int]) -> list[str]:
        """The same for the words of a piece, with the space or line feed before them: a bar is a line."""
        shown: list[str] = []
        for symbol in ids:
            word = "" if symbol == DOCUMENT else self.words[symbol - 1]
            head = word.partition(" ")[0]
            between = "" if not shown or not word or head in self.joins else "\n" if head in self.opens_line else " "
            shown.append(f"{between}{self.say(word)}" if word else "")
        return shown

    def parts_of(self, word: str) -> list[str]:
        """What a word is made of, by names that other words share; empty: it shares nothing."""
        return []

    def parts(self) -> list[list[str]]:
        """The parts of the document symbol, which has none, and of each word."""
        return [[], *map(self.parts_of, self.words)]

    def meaning_of(self, word: str) -> Meaning:
        """The facts in a word."""
        return Meaning()

    def registers(self) -> Registers | None:
        """What the document symbol and the words write; None where no word says a pitch."""
        meanings = list(map(self.meaning_of, self.words))
        if all(meaning.pitch is None for meaning in meanings):
            return None
        return registers_of(meanings, 1 + max(meaning.voice for meaning in meanings), self.facts, self.contexts)

    @abstractmethod
    def is_note(self, word: str) -> bool:
        """Whether a note begins with this word."""

    @abstractmethod
    def is_frame(self, word: str) -> bool:
        """Whether each step in time has one such word; False for all where steps have none."""

    @classmethod
    @abstractmethod
    def refuses(cls, piece: Piece, settings: TokenizerSettings) -> str | None:
        """Why a piece cannot be encoded, in words that fit after "left out"; None: it can."""

    @classmethod
    def refusal(cls, text: str, settings: TokenizerSettings) -> str | None:
        """The same for a piece in its text form."""
        try:
            return cls.refuses(notation.parse(text), settings)
        except DataError as error:
            return error.what

    @classmethod
    def build(cls, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """A tokenizer for these training texts."""
        return cls.build_from(map(notation.parse, texts), settings)

    def extended(self, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """The same, with the words that are new in other pieces after its own."""
        other = type(self).build(texts, settings)
        return type(self)([*self.words, *(word for word in other.words if word not in self.ids)], self.about)

    @property
    def size(self) -> int:
        """How many ids there are, the document symbol included."""
        return 1 + len(self.words)

    def ids_of(self, words: Iterable[str]) -> Ids:
        """The ids of words, shape (words,); one that is not in the table stands for nothing, and has none."""
        known = [place for word in words if (place := self.ids.get(word)) is not None]
        return np.array(known, dtype=id_type(self.size))

    def words_of(self, ids: Sequence[int] | Ids) -> list[str]:
        """The words of ids, document symbols left out."""
        return [self.words[place - 1] for place in as_array(ids).tolist() if place != DOCUMENT]

    def encode(self, text: str) -> Ids:
        """The ids of a piece in its text form."""
        return self.ids_of(self.encode_piece(notation.parse(text)))

    encode_all = encode_each

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text form of the pieces, a blank line between two."""
        pieces = map(self.decode_piece, self.documents_of(as_array(ids)))
        return "\n".join(notation.write(piece) for piece in pieces if piece.notes)

    def decoder(self) -> ScoreDecoder:
        """A fresh decoder; all its bytes come in the end."""
        return ScoreDecoder(self)

    def unknown(self, text: str) -> list[str]:
        """None: what the model has not learned of a seed is an error, see `guide`."""
        return []

    def reopen(self, ids: Sequence[int]) -> Opening:
        """As it is: no symbol is the beginning of another."""
        return Opening(list(ids))

    def keys(self) -> list[str]:
        """The document symbol and the words."""
        return [DOCUMENT_KEY, *self.words]

    def count(self, ids: Ids) -> int:
        """Notes."""
        return int(self._marked(self.is_note)[ids].sum())

    def sizes(self) -> Ids:
        """Which words are notes."""
        return self._marked(self.is_note).astype(np.int64)

    def writes(self) -> list[bytes | int]:
        """Nothing: words of music are no text."""
        return []

    def phrase(self, text: str) -> bytes:
        """Nothing, likewise."""
        return b""

    def figures(self, ids: Ids, nats: npt.NDArray[np.float64]) -> dict[str, float]:
        """Nats of a step in time, over all of them and without the first of each piece, as it is often published."""
        frames = self._marked(self.is_frame)[ids[1:]]
        if not frames.any():
            return {}
        # The words of a frame stand before or behind its own word; what opens or ends a piece belongs to all its frames.
        ends = np.flatnonzero(frames | (ids[1:] == DOCUMENT))
        each = np.add.reduceat(nats, np.append(0, ends[:-1] + 1))
        opened = np.append(True, ids[1:][ends[:-1]] == DOCUMENT)
        own = ids[1:][ends] != DOCUMENT
        total, count = float(nats.sum()), self.frames(ids)
        later = total - float(each[opened & own].sum())
        return {
            "frames": count,
            "nats_per_frame": total / count,
            "nats_per_frame_from_second": later / max(1, count - int((own & opened).sum())),
        }

    def frames(self, ids: Ids) -> int:
        """Steps in time."""
        return int(self._marked(self.is_frame)[ids].sum())

    def documents_of(self, ids: Ids) -> list[list[str]]:
        """The words of each piece."""
        bounds = [0, *np.flatnonzero(ids == DOCUMENT).tolist(), len(ids)]
        each = (self.words_of(ids[first:last]) for first, last in itertools.pairwise(bounds))
        return [words for words in each if words]

    def _marked(self, is_such: Callable[[str], bool]) -> npt.NDArray[np.bool_]:
        """Which ids are words of some sort, shape (symbols,)."""
        return np.array([False, *map(is_such, self.words)], dtype=np.bool_)

    def copies(self, ids: Ids) -> list[Ids]:
        """The same piece in other keys, wherever all its words are in the table."""
        return [
            moved for semitones in TRANSPOSITIONS if semitones and (moved := self._moved(ids, semitones)) is not None
        ]

    def _moved(self, ids: Ids, semitones: int) -> Ids | None:
        if semitones not in self._tables:
            moved_words = (self.ids.get(self.transposed(word, semitones), -1) for word in self.words)
            self._tables[semitones] = np.array([DOCUMENT, *moved_words])
        moved = self._tables[semitones][ids]
        return None if (moved < 0).any() else moved.astype(ids.dtype)

    def to_bytes(self) -> bytes:
        """JSON: the words, and what else it must know."""
        return json.dumps({"words": self.words, **self.about}, ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The tokenizer again; ValueError where the data describes none."""
        about = read_object(data)
        words = about.pop("words", None)
        if not isinstance(words, list) or not all(type(word) is str and cls.pattern.fullmatch(word) for word in words):
            raise ValueError(f"words is not a list of words of {cls.name}")
        if not 0 < len(words) <= MOST_WORDS:
            raise ValueError(f"there are no words, or more than {MOST_WORDS:,}")
        try:
            tokenizer = cls(words, about)
            names = set(itertools.chain.from_iterable(tokenizer.parts()))
            if len(names) * len(words) > MOST_CELLS:
                raise ValueError("its words are made of far too many parts")
            tokenizer.registers()
            try_out(lambda: tokenizer.guide(Wanted()))
        except (KeyError, IndexError, TypeError, AttributeError, ArithmeticError, DataError) as error:
            raise ValueError(f"what it must know is missing or wrong: {error}") from error
        return tokenizer

    def wanted_head(self, wanted: Wanted, step: int) -> dict[str, str]:
        """The words of key, metre and pickup that are wanted, by the user or by the seed; `step`: ticks of the grid.

        Raises:
            UsageError: the model has not learned one, or the pickup is no shorter than a bar.
        """
        seed, forced = wanted.seed, {}
        key = wanted.key or (seed.keys[0] if seed and seed.keys else None)
        metre = wanted.metre or (seed.metres[0] if seed and seed.metres else None)
        if key is not None:
            forced["key"] = self.known(f"key {name_key(key)}", f"the key {name_key(key)}")
        if metre is not None:
            forced["metre"] = self.known(f"metre {metre}", f"the metre {metre}")
        if seed and (seed.metres or seed.pickup):
            said, steps = f"a pickup of {notation.write_length(seed.pickup)} quarter notes", round_to(seed.pickup, step)
            forced["pickup"] = self.known(f"pickup {steps}", said)
            learned = (word.partition(" ")[2] for word in self.words if word.startswith("metre "))
            metres = [metre] if metre else [parse_metre(name) if name != "?" else COMMON_TIME for name in learned]
            if seed.pickup >= max(each.bar for each in metres):
                raise UsageError(
                    f"{said} is not shorter than a bar", hint="Choose another --metre, or a shorter pickup."
                )
        return forced

    def known(self, word: str, what: str) -> str:
        """A word that the user wants, if the model has learned it.

        Raises:
            UsageError: it has not; the others of its kind are named.
        """
        if word not in self.ids:
            kind = word.partition(" ")[0]
            others = [each.removeprefix(f"{kind} ") for each in self.words if each.startswith(f"{kind} ")]
            known = ", ".join(other for other in others if other != "?")
            raise UsageError(
                f"the model has not learned {what}", hint=f"It knows: {known}." if known else f"It knows no {kind}."
            )
        return word


def keys_of(seed: Piece | None, words: list[str]) -> list[str]:
    """Of the words of keys those to whose scales all of a seed belongs; all where it belongs to none, or there is no seed."""
    classes = {note.pitch % 12 for part in seed.parts for note in part.notes if not part.drums} if seed else set()
    return [word for word in words if classes <= _scale(word)] or words


def _scale(word: str) -> set[int]:
    """The pitch classes of a key, with the raised degrees of minor; of one that is not known all."""
    name = word.partition(" ")[2]
    if name == "?":
        return set(range(12))
    key = parse_key(name)
    degrees = (0, 2, 3, 5, 7, 8, 9, 10, 11) if key.minor else (0, 2, 4, 5, 7, 9, 11)
    return {(key.tonic + degree) % 12 for degree in degrees}


class ScoreDecoder:
    """Collects ids; the bytes of their piece come when it ends."""

    def __init__(self, tokenizer: ScoreTokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []

    def feed(self, symbol: int) -> bytes:
        """Nothing yet: a line of notes is known when all of it is."""
        self._ids.append(symbol)
        return b""

    def finish(self) -> bytes:
        """The text form of the piece."""
        return self._tokenizer.decode(self._ids).encode()
