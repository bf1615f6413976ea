"""``generate()`` draws symbols from a model, in plain torch; what becomes of them is the business of a ``Writing``.
``searching.py`` looks for the likeliest sequences instead, ``sampling.py`` knows a faster way for many models.

Each index has a random number generator of its own, and several samples run in tiles of one fixed width, padded if need
be, so that none depends on how many there are. A sole sample runs as a single stream, which is faster.
"""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqgen.decoding.rules import Ground, RuleSettings, bend, build_rules
from seqgen.errors import UsageError
from seqgen.models import Model
from seqgen.models.recall import LEAST_SEED, Reminder
from seqgen.tokenizers import DOCUMENT
from seqgen.writing import PRECISIONS, Limits

TILE = 64
"""Samples that run side by side."""
PREPARED_DRAWS = 256


@dataclass(frozen=True)
class SampleSettings(Limits):
    """What a sample should be like."""

    rules: RuleSettings = field(default_factory=RuleSettings)
    """How each symbol is drawn."""
    recall: bool = True
    """Use the names and phrases of a long seed again, if the model has learned to recall."""
    precision: str = "auto"
    """Of the weights: `float32`, or `int8`, which is faster and nearly the same; `auto`: int8 for several samples where the
    machine has instructions for it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        first, last = self.rules.temperature, self.rules.final_temperature
        if self.length is None and last not in (None, first):
            raise UsageError("a temperature that changes along the sample needs its length", hint="Give -n, too.")
        if self.precision not in PRECISIONS:
            raise UsageError(f"unknown precision {self.precision!r}", hint=f"One of: {', '.join(PRECISIONS)}.")


def new_random_seed() -> int:
    """A random seed for those who gave none; small enough to type."""
    return secrets.randbelow(1 << 31)


@torch.inference_mode()
def generate(
    model: Model,
    prompt: Sequence[int],
    rules: RuleSettings,
    random_seed: int,
    indices: Sequence[int],
    allowed: Callable[[], npt.NDArray[np.bool_] | None] = lambda: None,
    recall: bool = True,
    begun: Sequence[int] = (),
    ground: Ground | None = None,
) -> Iterator[list[int]]:
    """Draws one symbol after another for each index, without end: yields lists of ids, one id for each index.

    Args:
        model: in evaluation mode.
        prompt: the ids that all samples grow from, at least one.
        rules: how a symbol is drawn.
        random_seed: together with an index it decides a sample's random numbers.
        indices: which samples; one alone runs as a single stream, more as a tile; -1 is padding.
        allowed: asked before each draw: which symbols may come next, shape (symbols,) or (indices, symbols); None: all.
        recall: whether the model recalls a long prompt, if it has learned to.
        begun: what is written already, after a prompt that is no beginning of it: the first words of a reply.
        ground: what the rules must know; None: none of them asks.
    """
    device = model.device
    width = 1 if len(indices) == 1 else TILE
    if len(indices) > width:
        raise ValueError(f"{len(indices)} samples do not fit a tile of {width}")
    read = [*prompt, *begun]
    ground = dataclasses.replace(ground or Ground(), prompt=len(read)).on(device)
    chain = build_rules(rules, ground)
    logits, state = model.start(torch.tensor([list(prompt)], device=device))
    for symbol in begun:
        logits, state = model.step(torch.tensor([symbol], device=device), state)
    if width > 1:
        rows = torch.zeros(width, dtype=torch.long, device=device)
        logits, state = logits.index_select(0, rows), state.select(rows)
    reminder = None
    if recall and model.recall is not None and len(prompt) > LEAST_SEED:
        reminder = Reminder(model.recall, DOCUMENT, prompt, width)
    draws = Draws(random_seed, [*indices, *[-1] * (width - len(indices))])
    history = torch.tensor([read], device=device).repeat(width, 1)
    for time in range(len(read), 2**63):
        if time == history.shape[1]:
            history = torch.cat([history, torch.zeros_like(history)], dim=1)
        if reminder is not None:
            logits = reminder.bend(logits)
        bent = bend(masked(logits, allowed()), history[:, :time], chain)
        ids = choose(bent.cpu(), torch.from_numpy(draws.take(1)[:, 0])).to(
            device
        )  # in float64, which not every device has
        history.select(1, time).copy_(ids)
        drawn = ids.tolist()
        yield drawn[: len(indices)]
        if reminder is not None:
            reminder.feed(drawn)
        logits, state = model.step(ids, state)


def masked(logits: Tensor, allowed: npt.NDArray[np.bool_] | None) -> Tensor:
    """The logits (batch, symbols) with what is not allowed at minus infinity; rows beyond those of a mask are padding."""
    if allowed is None:
        return logits
    mask = torch.from_numpy(np.atleast_2d(allowed)).to(logits.device)
    mask = mask[torch.arange(len(logits)).clamp(max=len(mask) - 1)]
    return logits.masked_fill(~mask, -torch.inf)


def choose(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draws an id for each row by inverting the cumulative distribution, in float64.

    Args:
        logits: (batch, symbols); minus infinity is never drawn.
        uniform: (batch,) numbers in [0, 1).
    """
    cumulative = logits.softmax(-1, dtype=torch.float64).cumsum(-1)
    threshold = uniform.unsqueeze(-1) * cumulative[:, -1:]  # below the last one, since the number is below 1
    return torch.searchsorted(cumulative, threshold, right=True).squeeze(-1)


class Draws:
    """Uniform random numbers in [0, 1), a generator for each index; index -1 is padding."""

    def __init__(self, random_seed: int, indices: Sequence[int]) -> None:
        self._generators = [torch.Generator().manual_seed(mix(random_seed, index)) for index in indices]
        self._prepared = np.zeros((len(indices), 0))

    def take(self, count: int) -> npt.NDArray[np.float64]:
        """The next numbers of each index, (indices, count)."""
        while self._prepared.shape[1] < count:
            block = [torch.rand(PREPARED_DRAWS, generator=each, dtype=torch.float64) for each in self._generators]
            self._prepared = np.concatenate([self._prepared, torch.stack(block).numpy()], axis=1)
        taken, self._prepared = self._prepared[:, :count], self._prepared[:, count:]
        return taken

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these of the indices alone."""
        self._generators = [self._generators[row] for row in rows]
        self._prepared = self._prepared[list(rows)]


def mix(random_seed: int, index: int) -> int:
    """A generator's seed from the user's random seed and the index of the sample."""
    return int.from_bytes(hashlib.sha256(f"{random_seed}:{index}".encode()).digest()[:8]) >> 1
