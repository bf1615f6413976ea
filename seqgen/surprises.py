"""How surprising a text is to a model, as plain data: its symbols and words with their surprise, what was expected in the place
of each, and what could come next.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seqgen.tokenizers import DOCUMENT
from seqgen.units import BITS_PER_CHARACTER, Unit


class Expected(NamedTuple):
    """A symbol that could have stood there, and its probability. What has no text by itself is named in angle brackets."""

    text: str
    probability: float


class Span(NamedTuple):
    """A stretch of the text whose surprise can be told: a symbol, or several that spell a character together.

    Attributes:
        text: empty where the text ends.
        nats: its surprise.
        first: its first symbol, and `last` the one after its last.
        last: see there.
        start: where it begins, in characters of the joined text.
        line: its line, from 1; of music its bar, from 1, where 0 is what stands before the first barline.
        column: its place in that line, in characters, from 1; of music in words.
    """

    text: str
    nats: float
    first: int
    last: int
    start: int
    line: int
    column: int

    @property
    def bits(self) -> float:
        """Its surprise in bits."""
        return self.nats / math.log(2)

    @property
    def probability(self) -> float:
        """What the model gave it."""
        return math.exp(-self.nats)


class Next(NamedTuple):
    """A symbol that could come next.

    Attributes:
        text: the symbol; what has no text by itself is named in angle brackets.
        probability: of the symbol.
        word: what it most likely grows to, up to the end of the word: the likeliest symbols after it, one by one.
        word_probability: of the symbol and those together.
    """

    text: str
    probability: float
    word: str
    word_probability: float


def _none() -> npt.NDArray[np.int64]:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Score:
    """How surprising a text is.

    Attributes:
        symbols: the text's symbols, as text; empty for one that only completes a character with those after it.
        nats: the surprise of each symbol in nats.
        characters: how many characters of text, or notes of music, there are.
        unit: in which people are told.
        nats_without_recall: of each symbol by the network alone; the same where it does not recall.
        held_out: what text that was held out of the model's own corpus has, in the unit; None: nothing was.
        held_out_without_recall: the same by the network alone.
        ids: of the symbols, (symbols,).
        ranks: how many symbols were thought at least as likely, itself counted: 1 is the likeliest; (symbols,).
        likeliest: the ids that were thought likeliest, the first first; as many as were kept, (symbols, kept).
        probabilities: of those.
        names: what people are shown for each id.
    """

    symbols: tuple[str, ...]
    nats: tuple[float, ...]
    characters: int
    unit: Unit = BITS_PER_CHARACTER
    nats_without_recall: tuple[float, ...] = ()
    held_out: float | None = None
    held_out_without_recall: float | None = None
    ids: npt.NDArray[np.int64] = field(default_factory=_none, compare=False, repr=False)
    ranks: npt.NDArray[np.int64] = field(default_factory=_none, compare=False, repr=False)
    likeliest: npt.NDArray[np.int64] = field(default_factory=_none, compare=False, repr=False)
    probabilities: npt.NDArray[np.float32] = field(
        default_factory=lambda: _none().astype("f4"), compare=False, repr=False
    )
    names: Sequence[str] = field(default=(), compare=False, repr=False)

    @property
    def text(self) -> str:
        """The text as it was read."""
        return "".join(self.symbols)

    @property
    def total_nats(self) -> float:
        """The surprise of all symbols together."""
        return math.fsum(self.nats)

    @property
    def bits(self) -> float:
        """The same in bits."""
        return self.total_nats / math.log(2)

    @property
    def nats_per_symbol(self) -> float:
        """The mean surprise of a symbol; 0 for an empty text."""
        return self.total_nats / max(1, len(self.nats))

    @property
    def bits_per_character(self) -> float:
        """The text's information in bits for each of its characters; of music, for each note."""
        return self.bits / max(1, self.characters)

    @property
    def value(self) -> float:
        """The mean surprise in the unit."""
        return self.total_nats * self.unit.scale / max(1, self.characters)

    @property
    def value_without_recall(self) -> float:
        """The same by the network alone."""
        return math.fsum(self.nats_without_recall or self.nats) * self.unit.scale / max(1, self.characters)

    @property
    def perplexity(self) -> float:
        """Among how many equally likely symbols the model chose, on average."""
        return math.exp(self.nats_per_symbol)

    @property
    def is_text(self) -> bool:
        """Whether it is text, rather than music."""
        return self.unit.matter == BITS_PER_CHARACTER.matter

    @property
    def has_words(self) -> bool:
        """Whether there are words that are no symbols: of text whose symbols are smaller."""
        return self.is_text and any(span.last - span.first > 1 for span in self.words())

    @property
    def line_name(self) -> str:
        """What a line of it is called."""
        return "line" if self.is_text else "bar"

    def spans(self) -> Iterator[Span]:
        """The text from its beginning to its end, in the smallest parts that can be shown."""
        nats, first, start, column = 0.0, 0, 0, 1
        line = 1 if self.is_text else 0
        for place, text in enumerate(self.symbols):
            nats += self.nats[place]
            if not text and self.ids[place] != DOCUMENT and place + 1 < len(self.symbols):
                continue
            if not self.is_text and text.startswith("\n"):
                line, column = line + 1, 1
            yield Span(text, nats, first, place + 1, start, line, column)
            nats, first, start = 0.0, place + 1, start + len(text)
            if not self.is_text:
                column += 1
            elif "\n" in text:
                line, column = line + text.count("\n"), len(text) - text.rfind("\n")
            else:
                column += len(text)

    def words(self) -> Iterator[Span]:
        """The words of a text, whose symbols may be smaller; white space is part of none, and its surprise is of none."""
        held: list[Span] = []
        for span in self.spans():
            if held and (not span.text or span.text[0].isspace()):
                yield _joined(held)
                held = []
            if span.text.strip():
                held.append(span)
            if held and span.text[-1].isspace():
                yield _joined(held)
                held = []
        if held:
            yield _joined(held)

    def expected(self, place: int) -> list[Expected]:
        """The symbols that were thought likeliest in the place of one, the first first."""
        each = zip(self.likeliest[place].tolist(), self.probabilities[place].tolist(), strict=True)
        return [Expected(self.names[symbol], probability) for symbol, probability in each]

    def most_surprising(self, count: int) -> list[Span]:
        """The most surprising spans, the most surprising first."""
        return heapq.nlargest(count, self.spans(), key=lambda span: span.nats)

    def most_surprising_words(self, count: int) -> list[Span]:
        """The same of words."""
        return heapq.nlargest(count, self.words(), key=lambda span: span.nats)

    def span_to_dict(self, span: Span) -> dict[str, Any]:
        """A span as plain data, for `--json`."""
        return {
            "text": span.text,
            "bits": round(span.bits, 4),
            "probability": float(f"{span.probability:.4g}"),
            "rank": int(self.ranks[span.first]),
            self.line_name: span.line,
            "column": span.column,
            "ids": self.ids[span.first : span.last].tolist(),
            "expected": [one._asdict() for one in self.expected(span.first)],
        }

    def to_dict(self) -> dict[str, Any]:
        """All but the spans as plain data, for `--json`; of an empty text there are no means."""
        key, alone = self.unit.key, self.value_without_recall if self.nats_without_recall else self.value
        means = {
            key: self.value,
            f"{key}_without_recall": alone,
            "nats_per_symbol": self.nats_per_symbol,
            "perplexity": self.perplexity,
        }
        return {
            "bits": self.bits,
            "characters": None,
            "bits_per_character": None,
            f"{self.unit.counted}s": self.characters,
            "unit": key,
            **{name: mean if len(self.nats) else None for name, mean in means.items()},
            "held_out": {key: self.held_out, f"{key}_without_recall": self.held_out_without_recall},
        }


def _joined(spans: Sequence[Span]) -> Span:
    """Spans in a row as one, without the white space around it."""
    text, first = "".join(span.text for span in spans), spans[0]
    blanks = len(text) - len(text.lstrip())
    line, column = first.line + text.count("\n", 0, blanks), first.column + blanks
    if "\n" in text[:blanks]:
        column = blanks - text.rfind("\n", 0, blanks)
    nats = math.fsum(span.nats for span in spans)
    return Span(text.strip(), nats, first.first, spans[-1].last, first.start + blanks, line, column)
