"""``Adapter``: a trained model that goes on learning from what it reads (dynamic evaluation).

Each segment of a text is predicted first, and that is what counts; then the weights take a step of gradient descent on it,
and the next segment is predicted with what they have learned:

    weights += -rate * gradient / size + decay * size / mean size * (weights at first - weights)

A step goes by how large the gradient of a weight usually is: its root mean square and a little more, the `size`. What
hardly ever matters must not be moved much by one segment that differs (Krause, Kahembwe, Murray and Renals 2018, "Dynamic
evaluation of neural sequence models"). They gather the sizes from the training text. Here they come from text that the model
writes itself: the mean square is then the diagonal of the Fisher information of its own distribution. It predicts as well,
needs no corpus at hand and no room in a checkpoint, and is a function of the weights alone. The checkpoint is never touched.

One thread does the work: a window of a single lane is too little for two to share.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from seqgen.errors import DataError, UsageError
from seqgen.evaluation import predict
from seqgen.generation import choose
from seqgen.machine import torch_settings
from seqgen.models import Batch, Exchanges, Model, State
from seqgen.pair_evaluation import read_pairs
from seqgen.pairs import Pairs
from seqgen.predictions import Dynamic
from seqgen.splits import Split
from seqgen.tokenizers import DOCUMENT, Tokenizer
from seqgen.units import Unit

WRITTEN = 64
"""Texts that the model writes itself, to see how large its gradients usually are."""
LONGEST_WRITTEN = 40
"""Symbols of the messages and replies among them."""
LARGEST_STEP = 4.0
"""How large a step may be, where one is 1 in what the model writes itself. What is quite unlike that would carry the weights
away."""
PASSES = 3
"""How often a text is read that a model is to write like."""
TOGETHER = 16
"""Segments whose predictions are handed out at once."""
LEAST = 32
"""Symbols that a text must have for a model to learn from it before it writes."""
MOST = 500_000
"""Symbols that it may have: more is a matter of minutes, and of a training."""


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


class Adapter:
    """Lets a trained model learn from what it reads. Its weights change in place, until `reset()`.

    Args:
        model: in evaluation mode.
        settings: how it learns.
    """

    def __init__(self, model: Model, settings: AdaptationSettings | None = None) -> None:
        self.model, self.settings = model, settings or AdaptationSettings()
        self._course = COURSES[model.name]
        self._weights: list[Tensor] = list(model.parameters())
        self._first = [weight.detach().clone() for weight in self._weights]
        self._state: Any = None
        sizes = self._gather()
        count = sum(map(Tensor.numel, sizes))
        mean = max(math.fsum(float(size.sum(dtype=torch.float64)) for size in sizes) / count, 1e-12)
        self._most = LARGEST_STEP * math.sqrt(count)
        sizes = [size + max(self.settings.floor, 1e-6) * mean for size in sizes]
        self._scales = [1 / size for size in sizes]
        self._pulls = [(size * (self.settings.decay / mean)).clamp_(max=1) for size in sizes]

    def read(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Reads a text from its beginning, and learns from it.

        Args:
            ids: the document symbol, and what follows it; of messages and replies each is opened by one, in turn.

        Returns:
            The nats of each symbol after the first, by the weights that had not yet learned from it nor from any later one; of
            messages and replies those of the replies and their ends.
        """
        self._begin()
        nats = [self._learn(batch).nats.cpu().double().numpy() for batch in self._course.cut(ids, self.settings)]
        return np.concatenate([np.zeros(0), *nats])

    def windows(
        self, ids: npt.NDArray[Any], begin: int, end: int
    ) -> Iterator[tuple[npt.NDArray[np.int64], Tensor, Tensor]]:
        """Reads a stretch of a stream, as `evaluation.predict` wants it: from symbol `begin` on, up to `end`; from anywhere but
        the beginning it goes on from where it was.

        Yields:
            The places of the symbols that were read, (time, 1); the log-probabilities of the symbols after them; and those.
        """
        if begin == 0:
            self._begin()
        batches = self._course.cut(ids[begin : end + 1], self.settings)
        while batch := [*itertools.islice(batches, TOGETHER)]:
            log_p = torch.cat([self._expect(each) for each in batch])
            targets = torch.cat([each.targets for each in batch]).to(log_p.device)
            yield np.arange(begin, begin + len(log_p))[:, None], log_p.unsqueeze(1), targets
            begin += len(log_p)

    @torch.inference_mode(False)
    @torch.no_grad()
    def reset(self) -> None:
        """Forgets all that was learned."""
        for weight, first in zip(self._weights, self._first, strict=True):
            weight.copy_(first)
        self.model.eval()  # forgets the weights that were prepared for stepping

    @torch.inference_mode(False)
    def _begin(self) -> None:
        self._state = self.model.zero_state(1)

    @torch.inference_mode(False)
    def _learn(self, batch: Any) -> Told:
        """One segment: predicted, then learned from."""
        told, gradients = self._gradients(batch, self._state)
        self._state = told.state.detach()
        with torch.no_grad():
            steps = torch._foreach_mul(gradients, self._scales)
            size = math.sqrt(math.fsum(norm * norm for norm in torch.stack(torch._foreach_norm(steps)).tolist()))
            if math.isfinite(size):  # else nothing can be learned from it
                torch._foreach_sub_(
                    self._weights, steps, alpha=self.settings.rate * min(1.0, self._most / max(size, 1e-12))
                )
                torch._foreach_lerp_(self._weights, self._first, self._pulls)
        return Told(told.nats.detach(), None if told.log_p is None else told.log_p.detach(), told.loss, self._state)

    def _expect(self, batch: Any) -> Tensor:
        log_p = self._learn(batch).log_p
        assert log_p is not None
        return log_p

    def _gradients(self, batch: Any, state: Any) -> tuple[Told, list[Tensor]]:
        """What the model says, and the gradient of the loss for each weight."""
        batch = type(batch)(
            *(tensor.to(self.model.device, copy=True) for tensor in batch)
        )  # none made in inference mode
        asked = [weight.requires_grad for weight in self._weights]
        self.model.requires_grad_(True).train()  # without noise, nothing is dropped
        noise, self.model.noise = self.model.noise, None
        try:
            with torch.enable_grad():
                told = self._course.tell(self.model, batch, state)
                gradients = torch.autograd.grad(told.loss, self._weights, materialize_grads=True)
        finally:
            self.model.noise = noise
            self.model.eval()
            for weight, before in zip(self._weights, asked, strict=True):
                weight.requires_grad_(before)
        return told, list(gradients)

    @torch.inference_mode(False)
    @torch.no_grad()
    def _gather(self) -> list[Tensor]:
        """How large the gradient of each weight is in text that the model writes: its root mean square over segments."""
        squares, count = [torch.zeros_like(weight) for weight in self._weights], 0
        for batch, state in self._course.written(self.model, self.settings):
            _, gradients = self._gradients(batch, state)
            torch._foreach_addcmul_(squares, gradients, gradients)
            count += 1
        return [square.div_(count).sqrt_() for square in squares]


def evaluate_dynamic(model: Model, ids: npt.NDArray[Any]) -> Dynamic:
    """How well a model predicts a text while it learns from it; afterwards it is as it was.

    Args:
        model: in evaluation mode.
        ids: as `Adapter.read` takes them.
    """
    with torch_settings(1, model.device.type):
        began = time.perf_counter()
        adapter = Adapter(model)
        prepared = time.perf_counter()
        try:
            nats, alone = COURSES[model.name].measure(adapter, ids)
        finally:
            adapter.reset()
        return Dynamic(nats, alone, prepared - began, time.perf_counter() - prepared)


@dataclass(frozen=True)
class Adaptation:
    """What a model has learned from a text.

    Attributes:
        characters: or notes, that it has.
        passes: how often it was read.
        before: the surprise of the text without learning, in the unit.
        while_reading: the same as it was read for the first time, each segment before it was learned.
        unit: of both.
    """

    characters: int
    passes: int
    before: float
    while_reading: float
    unit: Unit


def adapt(model: Model, tokenizer: Tokenizer, split: Split, name: str, passes: int) -> Adaptation:
    """Lets a model learn from a text, and leaves it so.

    Args:
        model: in evaluation mode.
        tokenizer: what the ids mean.
        split: the text.
        name: what it is called.
        passes: how often it is read.

    Raises:
        DataError: it is too short or too long.
    """
    if len(split) < LEAST:
        what = f"only {len(split)} symbols, too little to learn from"
        raise DataError(what, where=name, hint="Give a longer text.")
    if len(split) > MOST:
        what = f"{len(split):,} symbols are too many to be learned one after another, {MOST:,} at most"
        raise DataError(what, where=name, hint="Train on it: seqgen train FILE --init-from CHECKPOINT")
    with torch_settings(1, model.device.type):
        before = COURSES[model.name].still(model, split)
        adapter = Adapter(model)
        first, *_ = [math.fsum(adapter.read(split.ids).tolist()) for _ in range(passes)]
    scale = tokenizer.unit.scale / max(1, split.characters)
    return Adaptation(split.characters, passes, before * scale, first * scale, tokenizer.unit)


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


def _measure_stream(adapter: Adapter, ids: npt.NDArray[Any]) -> tuple[float, float]:
    predicted = predict(adapter.model, ids, read=adapter.windows)
    return math.fsum(predicted.nats.tolist()), math.fsum(predicted.alone.tolist())


def _still_stream(model: Model, split: Split) -> float:
    return math.fsum(predict(model, split.ids).alone.tolist())


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


def _measure_pairs(adapter: Adapter, ids: npt.NDArray[Any]) -> tuple[float, float]:
    nats = math.fsum(adapter.read(ids).tolist())
    return nats, nats


def _still_pairs(model: Model, split: Split) -> float:
    return math.fsum(read_pairs(model, split).nats.tolist())


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
    measure: Callable[[Adapter, npt.NDArray[Any]], tuple[float, float]]
    still: Callable[[Model, Split], float]


COURSES = {
    "language": Course(_cut_stream, _tell_stream, _write_stream, _measure_stream, _still_stream),
    "reply": Course(_cut_pairs, _tell_pairs, _write_pairs, _measure_pairs, _still_pairs),
}
"""By the name of the model."""
