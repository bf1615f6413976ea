"""``COURSES``: what a model that goes on learning does with what it reads, by its name.

A stream, or messages and their replies, are cut into segments, and the model says of each what should be learned from it. It
also writes such segments itself, to see how large its gradients usually are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from seqgen.errors import UsageError
from seqgen.evaluation import predict
from seqgen.generation import choose
from seqgen.models import Batch, Exchanges, Model, State
from seqgen.pair_evaluation import read_pairs
from seqgen.pairs import Pairs
from seqgen.splits import Split
from seqgen.tokenizers import DOCUMENT

WRITTEN = 64
"""Texts that the model writes itself, to see how large its gradients usually are."""
LONGEST_WRITTEN = 40
"""Symbols of the messages and replies among them."""


@dataclass(frozen=True)
class AdaptationSettings:
    """How a model goes on learning."""

    rate: float = 6e-4
    """What a usual gradient moves a weight by."""
    decay: float = 4e-3
    """The share of what it has learned that a weight of usual gradients forgets after each segment."""
    floor: float = 0.2
    """Added to the sizes, as a share of their mean: what has hardly any gradient is not to be thrown about by a sudden one."""
    segment: int = 96
    """Symbols that are predicted before the model learns from them."""
    pairs: int = 4
    """Of messages and replies, likewise."""

    def __post_init__(self) -> None:
        for name in ("rate", "decay", "floor"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"{name} {getattr(self, name)} is no number from 0 on")
        for name in ("segment", "pairs"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)} is below 1")


class Told(NamedTuple):
    """What a model says of a segment.

    Attributes:
        nats: the surprise of its symbols, in their order; (symbols,).
        log_p: what was expected in the place of each, (symbols, vocabulary); None where nobody asks.
        loss: what the weights should lower.
        state: after the segment.
    """

    nats: Tensor
    log_p: Tensor | None
    loss: Tensor
    state: Any


class Learner(Protocol):
    """What learns from what it reads: an `Adapter`."""

    @property
    def model(self) -> Model:
        """Whose weights change."""

    def read(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Reads a text, and learns from it: the nats of its symbols; see `Adapter.read`."""

    def windows(
        self, ids: npt.NDArray[Any], begin: int, end: int
    ) -> Iterator[tuple[npt.NDArray[np.int64], Tensor, Tensor]]:
        """Reads a stretch of a stream likewise; see `Adapter.windows`."""


# Streams


def _cut_stream(ids: npt.NDArray[Any], settings: AdaptationSettings) -> Iterator[Batch]:
    for start in range(0, len(ids) - 1, settings.segment):
        window = torch.from_numpy(ids[start : start + settings.segment + 1].astype(np.int64)).unsqueeze(1)
        yield Batch(window[:-1], window[1:])


def _tell_stream(model: Model, batch: Batch, state: State) -> Told:
    logits, state = model(batch.inputs, state)
    log_p = logits.squeeze(1).log_softmax(-1)
    nats = functional.nll_loss(log_p, batch.targets.squeeze(1), reduction="none")
    return Told(nats, log_p, nats.sum(), state)


def _write_stream(model: Model, settings: AdaptationSettings) -> Iterator[tuple[Batch, State]]:
    """Segments of texts that the model writes, each after what stands before it."""
    openings = torch.full((WRITTEN, 1), DOCUMENT, device=model.device)
    drawn = _draw(model, *model.start(openings), 2 * settings.segment)
    texts = torch.cat([openings.t(), drawn])  # (symbols, texts)
    _, states = model(texts[: settings.segment], model.zero_state(WRITTEN))
    for row in range(WRITTEN):
        window = texts[settings.segment :, row : row + 1]
        yield Batch(window[:-1], window[1:]), states.select(torch.tensor([row], device=model.device))


def _measure_stream(learner: Learner, ids: npt.NDArray[Any]) -> tuple[float, float]:
    predicted = predict(learner.model, ids, read=learner.windows)
    return math.fsum(predicted.nats.tolist()), math.fsum(predicted.alone.tolist())


def _still_stream(model: Model, split: Split) -> float:
    return math.fsum(predict(model, split.ids).alone.tolist())


# Messages and replies


def _cut_pairs(ids: npt.NDArray[Any], settings: AdaptationSettings) -> Iterator[Exchanges]:
    pairs = Pairs(Split(ids, np.flatnonzero(ids == DOCUMENT), 0))
    for first in range(0, len(pairs), settings.pairs):
        yield pairs.exchanges(np.arange(first, min(first + settings.pairs, len(pairs))))


def _tell_pairs(model: Model, batch: Exchanges, state: State) -> Told:
    nats, state = model.loss(batch, state)  # its gradients are those of training
    loss = nats.sum()
    if share := model.settings.message_dropout:  # as in training, what is said anyhow is learned, too
        nothing = torch.full_like(batch.messages[:1], DOCUMENT)
        anyhow, _ = model.loss(batch._replace(messages=nothing, lengths=torch.ones_like(batch.lengths)), state)
        loss = (1 - share) * loss + share * anyhow.sum()
    places = torch.zeros_like(batch.wanted, dtype=torch.long)
    places[batch.wanted] = torch.arange(len(nats), device=nats.device)
    return Told(nats[places.t()[batch.wanted.t()]], None, loss, state)


def _write_pairs(model: Model, settings: AdaptationSettings) -> Iterator[tuple[Exchanges, State]]:
    """Replies that the model writes to messages that it has written itself, which answered nothing."""
    count = WRITTEN * settings.pairs
    nothing = torch.full((count, 1), DOCUMENT, device=model.device)
    messages = _until_end(_draw(model, *model.start(nothing), LONGEST_WRITTEN))
    table = torch.full((max(map(len, messages)) + 1, count), DOCUMENT)
    for column, message in enumerate(messages):
        table[: len(message), column] = torch.from_numpy(message)
    lengths = torch.tensor([len(message) + 1 for message in messages], device=model.device)
    logits, state = model.start(table.t().to(model.device), lengths)  # type: ignore[call-arg]
    replies = _until_end(_draw(model, logits, state, LONGEST_WRITTEN))
    opening = np.array([DOCUMENT])
    parts = (part for each in zip(messages, replies, strict=True) for text in each for part in (opening, text))
    for batch in _cut_pairs(np.concatenate([*parts]), settings):
        yield batch, model.zero_state(1)


def _measure_pairs(learner: Learner, ids: npt.NDArray[Any]) -> tuple[float, float]:
    nats = math.fsum(learner.read(ids).tolist())
    return nats, nats


def _still_pairs(model: Model, split: Split) -> float:
    return math.fsum(read_pairs(model, split).nats.tolist())


# What a model writes by itself


def _draw(model: Model, logits: Tensor, state: Any, length: int) -> Tensor:
    """So many symbols for each row, drawn as the model would have them; (length, rows). The same at each call."""
    generator, drawn = torch.Generator().manual_seed(0), []
    for _ in range(length):
        uniform = torch.rand(len(logits), generator=generator, dtype=torch.float64)
        drawn.append(choose(logits.cpu(), uniform).to(model.device))
        logits, state = model.step(drawn[-1], state)
    return torch.stack(drawn)


def _until_end(drawn: Tensor) -> list[npt.NDArray[np.int64]]:
    """The rows of (length, rows), each up to its first document symbol."""
    rows = drawn.t().cpu().tolist()
    return [np.array([*itertools.takewhile(lambda symbol: symbol != DOCUMENT, row)], dtype=np.int64) for row in rows]


class Course(NamedTuple):
    """How what a model of some name reads is cut, told, and written by itself; what it needs for a text, learning and not."""

    cut: Callable[[npt.NDArray[Any], AdaptationSettings], Iterator[Any]]
    tell: Callable[[Model, Any, Any], Told]
    written: Callable[[Model, AdaptationSettings], Iterator[tuple[Any, Any]]]
    measure: Callable[[Learner, npt.NDArray[Any]], tuple[float, float]]
    still: Callable[[Model, Split], float]


COURSES = {
    "language": Course(_cut_stream, _tell_stream, _write_stream, _measure_stream, _still_stream),
    "reply": Course(_cut_pairs, _tell_pairs, _write_pairs, _measure_pairs, _still_pairs),
}
"""By the name of the model."""
