"""What a model is trained on, step by step: the table of ways to hand out a split of a corpus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

from seqgen.lanes import Lanes
from seqgen.models import Batch
from seqgen.pairs import PairBatches
from seqgen.recipe import TrainingSettings
from seqgen.splits import Split


class Feed(Protocol):
    """Training text as batches, in an order that is a function of the random seed and the epoch alone."""

    steps_per_epoch: int
    symbols_per_step: float
    """Of the split, on average."""

    def batch(self, epoch: int, step: int) -> Any:
        """What the model's `loss` takes: a NamedTuple of tensors."""
        ...

    def begins(self, step: int) -> bool:
        """Whether what this step of an epoch reads follows on nothing before it: then the model begins from its zero state."""
        ...


class Stream:
    """Windows of lanes: what a language model reads.

    Args:
        split: the training text.
        settings: lanes, window, stretch and random seed.
        line_end: the id of the line feed, where there is one.

    Raises:
        DataError: there is too little text.
    """

    def __init__(self, split: Split, settings: TrainingSettings, line_end: int | None) -> None:
        self._lanes = Lanes(split, settings.lanes, settings.window, settings.random_seed, line_end, settings.stretch)
        self.steps_per_epoch = self._lanes.windows_per_epoch
        self.symbols_per_step = float(settings.lanes * settings.window)

    def batch(self, epoch: int, step: int) -> Batch:
        """A window of every lane."""
        inputs, targets = self._lanes.batch(epoch, step)
        return Batch(torch.from_numpy(inputs), torch.from_numpy(targets))

    def begins(self, step: int) -> bool:
        """Whether the lanes go on elsewhere."""
        return self._lanes.begins(step)


def _pairs(split: Split, settings: TrainingSettings, line_end: int | None) -> PairBatches:
    return PairBatches(split, settings.batch_symbols, settings.window, settings.random_seed)


FEEDS: dict[str, Callable[[Split, TrainingSettings, int | None], Feed]] = {"language": Stream, "reply": _pairs}
"""By the name of the model."""
