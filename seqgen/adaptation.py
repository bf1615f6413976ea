"""``Adapter``: a trained model that goes on learning from what it reads (dynamic evaluation).

Each segment of a text is predicted first, and that is what counts; then the weights take a step of gradient descent on it,
and the next segment is predicted with what they have learned:

    weights += -rate * gradient / size + decay * size / mean size * (weights at first - weights)

The rate is lower for matrices of small weights (`USUAL_WEIGHT`). A step goes by how large the gradient of a weight usually is:
its root mean square and a little more, the `size`. What hardly ever matters must not be moved much by one segment that
differs (Krause, Kahembwe, Murray and Renals 2018, "Dynamic evaluation of neural sequence models"). They gather the sizes from
the training text. Here they come from text that the model writes itself: the mean square is then the diagonal of the Fisher
information of its own distribution. It predicts as well, needs no corpus at hand and no room in a checkpoint, and is a
function of the weights alone. The checkpoint is never touched.

One thread does the work: a window of a single lane is too little for two to share.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqgen.courses import COURSES, AdaptationSettings, Told
from seqgen.errors import DataError
from seqgen.machine import torch_settings
from seqgen.models import Model
from seqgen.predictions import Dynamic
from seqgen.splits import Split
from seqgen.tokenizers import Tokenizer
from seqgen.units import Unit

LARGEST_STEP = 2.0
"""How large a step may be, where one is 1 in what the model writes itself. What is quite unlike that would carry the weights
away."""
USUAL_WEIGHT = 0.1
"""Root mean square of a matrix's weights, below which they learn so much slower: strong weight decay leaves weights that usual
steps carry away within a page."""
PASSES = 3
"""How often a text is read that a model is to write like."""
TOGETHER = 16
"""Segments whose predictions are handed out at once."""
LEAST = 32
"""Symbols that a text must have for a model to learn from it before it writes."""
TOLD = 10_000
"""Symbols from which on people are told before anything is read."""
LONG = 3.0
"""Seconds of reading from which on people are told how far it is."""
MOST = 500_000
"""Symbols that it may have: more is a matter of minutes, and of a training."""


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
        means = [float(weight.square().mean().sqrt()) for weight in self._first]
        self._scales = [min(1.0, mean / USUAL_WEIGHT) / size for mean, size in zip(means, sizes, strict=True)]
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
        while_reading: the same as it was read for the first time, each segment before it was learned; of a text that is a
            single segment that is the same.
        after: the same by the weights that have learned it.
        unit: of all three.
    """

    characters: int
    passes: int
    before: float
    while_reading: float
    after: float
    unit: Unit


def adapt(
    model: Model,
    tokenizer: Tokenizer,
    split: Split,
    name: str,
    passes: int,
    announce: Callable[[str], None] = lambda words: None,
) -> Adaptation:
    """Lets a model learn from a text, and leaves it so.

    Args:
        model: in evaluation mode.
        tokenizer: what the ids mean.
        split: the text.
        name: what it is called.
        passes: how often it is read.
        announce: is told of what takes a while.

    Raises:
        DataError: it is too short or too long.
    """
    if len(split) < LEAST:
        what = f"only {len(split)} symbols, too little to learn from"
        raise DataError(what, where=name, hint="Give a longer text.")
    if len(split) > MOST:
        what = f"{len(split):,} symbols are too many to be learned one after another, {MOST:,} at most"
        raise DataError(what, where=name, hint="Train on it: seqgen train FILE --init-from CHECKPOINT")
    if len(split) > TOLD:
        announce(f"learning from {split.characters:,} {tokenizer.unit.counted}s, {passes} times")
    with torch_settings(1, model.device.type):
        still = COURSES[model.name].still
        before, adapter, nats = still(model, split), Adapter(model), []
        for number in range(passes):
            began = time.perf_counter()
            nats.append(math.fsum(adapter.read(split.ids).tolist()))
            seconds = time.perf_counter() - began
            if number + 1 < passes and seconds > LONG:
                announce(f"read {number + 1} of {passes} times, {seconds:.0f} s each")
        after = still(model, split)
    scale = tokenizer.unit.scale / max(1, split.characters)
    return Adaptation(split.characters, passes, before * scale, nats[0] * scale, after * scale, tokenizer.unit)
