"""How surprising each symbol of a text is to a model, what the model had expected in its place, and what could come next.

A text is read once, a window at a time, and of each prediction only a few numbers are kept. So a megabyte takes little memory.
"""

from __future__ import annotations

import copy
import heapq
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqgen.errors import DataError
from seqgen.evaluation import LANES, predictions
from seqgen.models import Model
from seqgen.models.recall import REMEMBERED, Reminder
from seqgen.models.reply import Exchanges
from seqgen.predictions import Predictions
from seqgen.surprises import Next, Score
from seqgen.tokenizers import DOCUMENT, Tokenizer

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
