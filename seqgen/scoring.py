"""How surprising each symbol of a text is to a model, what the model had expected in its place, and what could come next.

A text is read once, a window at a time, and of each prediction only a few numbers are kept. So a megabyte takes little memory.
"""

from __future__ import annotations

import copy
import heapq
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqgen.errors import DataError
from seqgen.evaluation import LANES, Predictions, predictions
from seqgen.models import Model
from seqgen.models.recall import REMEMBERED, Reminder
from seqgen.models.reply import Exchanges
from seqgen.tokenizers import DOCUMENT, Tokenizer
from seqgen.units import BITS_PER_CHARACTER, Unit

ALTERNATIVES = 3
"""How many of the likeliest symbols are kept for each place."""
EXACT = 1 << 15
"""Symbols of a text up to which it is read as one stream. A longer one is read in lanes, as `evaluation.py` says: that is many
times as fast, and the figures of a symbol differ in the third digit or so."""
TAIL = 1 << 13
"""Symbols at the end of a text that a network reads to say what comes next: it remembers no more. What it recalls goes further
back."""
LONGEST_REPLY = 4000
"""Symbols of a message or a reply that can be read."""
LONGEST_ENDING = 24
"""Symbols of what a next symbol grows to, at most."""
CONTEXT = 16
"""Symbols before it that tell its text: whether a space belongs between them."""
_WORD = re.compile(r"\s*(?:['\u2019]?\w+(?:['\u2019]\w*)*|[^\w\s])")


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
        likeliest: the ids that were thought likeliest, the first first, (symbols, `ALTERNATIVES`).
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
        """All but the spans as plain data, for `--json`."""
        key, recalls = self.unit.key, bool(self.nats_without_recall)
        return {
            "bits": self.bits,
            "characters": None,
            "bits_per_character": None,
            f"{self.unit.counted}s": self.characters,
            key: self.value,
            "unit": key,
            "nats_per_symbol": self.nats_per_symbol,
            "perplexity": self.perplexity,
            f"{key}_without_recall": self.value_without_recall if recalls else self.value,
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


def score(
    model: Model, tokenizer: Tokenizer, prompt: Sequence[int], ids: Sequence[int], characters: int, recall: bool = True
) -> Score:
    """How surprising each of some symbols is.

    Args:
        model: in evaluation mode.
        tokenizer: what the ids mean.
        prompt: what is read before them and not scored: the document symbol, or the message that they answer.
        ids: the symbols.
        characters: how many characters or notes they are.
        recall: whether the model recalls what stood in the text before, if it has learned to.

    Raises:
        DataError: a message or reply is longer than a model of replies reads.
    """
    count, kept = len(ids), min(ALTERNATIVES, tokenizer.size)
    nats, alone, ranks = np.zeros(count), np.zeros(count), np.zeros(count, dtype=np.int64)
    likeliest, probabilities = np.zeros((count, kept), dtype=np.int64), np.zeros((count, kept), dtype=np.float32)
    for window in READERS[model.name].read(model, prompt, ids) if count else ():
        places, targets = window.places, window.targets.unsqueeze(-1)
        log_p = window.log_p if recall else window.alone
        own = log_p.gather(-1, targets)
        nats[places] = -own.squeeze(-1).cpu().double().numpy()
        alone[places] = -window.alone.gather(-1, targets).squeeze(-1).cpu().double().numpy()
        ranks[places] = ((log_p > own).sum(-1) + 1).cpu().numpy()
        best = log_p.topk(kept)
        likeliest[places], probabilities[places] = best.indices.cpu().numpy(), best.values.exp().cpu().numpy()
    return Score(
        tuple(tokenizer.flow(list(ids))),
        tuple(nats.tolist()),
        characters,
        tokenizer.unit,
        tuple(alone.tolist()),
        ids=np.array(ids, dtype=np.int64),
        ranks=ranks,
        likeliest=likeliest,
        probabilities=probabilities,
        names=tokenizer.names(),
    )


def _read_stream(model: Model, prompt: Sequence[int], ids: Sequence[int]) -> Iterator[Predictions]:
    before = len(prompt) - 1
    lanes = 1 if len(prompt) + len(ids) <= EXACT else LANES
    for window in predictions(model, np.array([*prompt, *ids]), lanes=lanes):
        wanted = window.places >= before
        if wanted.all():
            yield window._replace(places=window.places - before)
        else:
            chosen = torch.from_numpy(wanted).to(window.targets.device)
            rest = (window.alone[chosen], window.log_p[chosen], window.targets[chosen])
            yield Predictions(window.places[wanted] - before, *rest)


@torch.inference_mode()
def _read_reply(model: Model, prompt: Sequence[int], ids: Sequence[int]) -> Iterator[Predictions]:
    _check_lengths(prompt, ids)
    device = model.device
    message, reply = (torch.tensor(list(each), device=device).unsqueeze(1) for each in (prompt, ids))
    lengths = torch.tensor([len(message)], device=device)
    inputs = torch.cat([torch.full_like(reply[:1], DOCUMENT), reply[:-1]])
    log_p = model(Exchanges(message, lengths, inputs, reply, torch.ones_like(reply, dtype=torch.bool)))
    log_p = log_p.float().log_softmax(-1)
    yield Predictions(np.arange(len(ids)), log_p, log_p, reply.squeeze(1))


def _check_lengths(message: Sequence[int], reply: Sequence[int]) -> None:
    for name, ids in (("message", message), ("reply", reply)):
        if len(ids) > LONGEST_REPLY:
            raise DataError(
                f"the {name} has {len(ids):,} symbols, and at most {LONGEST_REPLY:,} are read",
                hint="Give a part of it.",
            )


# What could come next


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


@torch.inference_mode()
def find_next(
    model: Model, tokenizer: Tokenizer, prompt: Sequence[int], ids: Sequence[int], count: int, recall: bool = True
) -> list[Next]:
    """What could come after some symbols, the likeliest first.

    Where the text may have stopped within a piece of a word, both are followed: the pieces that begin with the rest, and what
    comes behind it.

    Args:
        model: in evaluation mode.
        tokenizer: what the ids mean.
        prompt: what is read before them, as for `score`.
        ids: the symbols.
        count: how many are wanted.
        recall: as for `score`.

    Raises:
        DataError: as for `score`.
    """
    width = min(count, tokenizer.size)
    opening = tokenizer.reopen(list(ids))
    after = _After(model, tokenizer, prompt, ids, width, recall)
    chosen = [(nats, after, symbol, "") for nats, symbol in after.best()]
    if opening.taken_back:
        allowed = torch.from_numpy(opening.allowed)
        inside = _After(model, tokenizer, prompt, opening.ids, width, recall)
        log_p = inside.log_p.masked_fill(~allowed.to(inside.log_p.device), -torch.inf).log_softmax(-1)
        whole = -float(log_p[ids[-1]])  # nats of the last piece as it is, which `after` goes on from
        chosen = [(whole + nats, where, symbol, begun) for nats, where, symbol, begun in chosen]
        log_p[ids[-1]] = -torch.inf
        begun = opening.taken_back.decode("utf-8", "replace")
        chosen += [(nats, inside, symbol, begun) for nats, symbol in inside.best(log_p)]
    merged: dict[str, tuple[float, list[tuple[float, _After, int, str]]]] = {}
    for one in chosen:
        text = one[1].text([one[2]]).removeprefix(one[3]) or tokenizer.names()[one[2]]
        probability, ways = merged.get(text, (0.0, []))
        merged[text] = (probability + math.exp(-one[0]), [*ways, one])
    best = heapq.nlargest(width, merged.items(), key=lambda item: item[1][0])
    found = []
    for text, (probability, ways) in best:
        nats, where, symbol, begun = min(ways, key=lambda way: way[0])
        word, more = where.grow(symbol, begun)
        found.append(Next(text, probability, word, math.exp(-nats - more)))
    return found


class _After:
    """What a model says after some symbols.

    Args:
        model: in evaluation mode.
        tokenizer: what the ids mean.
        prompt: what is read before them.
        ids: the symbols.
        width: how many are wanted.
        recall: whether the model recalls them.
    """

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        prompt: Sequence[int],
        ids: Sequence[int],
        width: int,
        recall: bool,
    ) -> None:
        self._model, self._tokenizer, self._width = model, tokenizer, width
        self._tail = list(ids)[-CONTEXT:]
        self._known = len(tokenizer.decode(self._tail))
        logits, self._state = READERS[model.name].begin(model, prompt, ids)
        remembered = [*prompt, *ids][-2 * REMEMBERED :]
        table = model.recall if recall else None
        self._reminder = None if table is None else Reminder(table, DOCUMENT, remembered, 1)
        self.log_p = _bent(logits, self._reminder)
        """Log-probabilities of the next symbol, (symbols,)."""

    def best(self, log_p: Tensor | None = None) -> list[tuple[float, int]]:
        """Nats and ids of the likeliest symbols, by other log-probabilities if there are some."""
        best = (self.log_p if log_p is None else log_p).topk(self._width)
        each = zip((-best.values).tolist(), best.indices.tolist(), strict=True)
        return [(nats, symbol) for nats, symbol in each if nats < math.inf]

    def text(self, path: Sequence[int]) -> str:
        """The text of symbols that follow; empty while it is no whole character."""
        text = self._tokenizer.decode([*self._tail, *path])[self._known :]
        return "" if text.endswith("\ufffd") else text

    def grow(self, symbol: int, begun: str) -> tuple[str, float]:
        """What a next symbol most likely grows to, without what is begun already; and the nats of what follows the symbol."""
        path, nats, state, reminder = [symbol], 0.0, self._state, copy.copy(self._reminder)
        text = self.text(path).removeprefix(begun)
        while path[-1] != DOCUMENT and len(path) < LONGEST_ENDING:
            if reminder is not None:
                reminder.feed([path[-1]])
            logits, state = self._model.step(torch.tensor([path[-1]], device=self._model.device), state)
            log_p = _bent(logits, reminder)
            likeliest = int(log_p.argmax())
            grown = self.text([*path, likeliest]).removeprefix(begun)
            word = _WORD.match(grown)
            if likeliest == DOCUMENT or (text and word and word.end() <= len(text)):
                break  # the word was whole
            path, text, nats = [*path, likeliest], grown or text, nats - float(log_p[likeliest])
        word = _WORD.match(text)
        return text[: word.end()] if word else text, nats


def _bent(logits: Tensor, reminder: Reminder | None) -> Tensor:
    """Log-probabilities (symbols,) of logits (1, symbols), with what is recalled."""
    return (logits if reminder is None else reminder.bend(logits))[0].float().log_softmax(-1)


def _begin_stream(model: Model, prompt: Sequence[int], ids: Sequence[int]) -> tuple[Tensor, Any]:
    whole = [*prompt, *ids][-TAIL:]
    return model.start(torch.tensor([whole], device=model.device))


def _begin_reply(model: Model, prompt: Sequence[int], ids: Sequence[int]) -> tuple[Tensor, Any]:
    _check_lengths(prompt, ids)
    logits, state = model.start(torch.tensor([list(prompt)], device=model.device))
    for symbol in ids:
        logits, state = model.step(torch.tensor([symbol], device=model.device), state)
    return logits, state


class Reader(NamedTuple):
    """How what a model of some name says of symbols after a prompt is read.

    Attributes:
        read: what it predicted for each of them.
        begin: the logits after them, (1, symbols), and the state to go on from.
    """

    read: Callable[[Model, Sequence[int], Sequence[int]], Iterator[Predictions]]
    begin: Callable[[Model, Sequence[int], Sequence[int]], tuple[Tensor, Any]]


READERS = {
    "language": Reader(_read_stream, _begin_stream),
    "reply": Reader(_read_reply, _begin_reply),
}
"""By the name of the model."""
