"""A model that learns from what is kept, and forgets it again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seqgen.adaptation import PASSES, Adapter
from seqgen.errors import DataError
from seqgen.machine import torch_settings
from seqgen.models import Model

Lesson = npt.NDArray[np.int64]
"""Ids as `Adapter.read` takes them."""


class Apprentice:
    """Keeps the weights of a model at what it was trained on and some lessons, whatever they were before.

    Args:
        model: in evaluation mode.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._adapter: Adapter | None = None
        self._learned: list[Lesson] | None = []
        """None: nobody knows, since it was broken off."""

    def learn(self, lessons: Sequence[Lesson]) -> tuple[float, float] | None:
        """Brings the model to where it has learned these lessons and nothing else, in their order.

        Returns:
            The nats per symbol of the last lesson as it was first and last read; None where nothing new was learned.

        Raises:
            DataError: the first lesson that holds nothing to learn.
        """
        if any(len(lesson) < 2 for lesson in lessons):
            raise DataError("there is nothing in it to learn from")
        known = self._learned
        if known is None or len(known) > len(lessons) or not all(map(np.array_equal, known, lessons)):
            known = []
            self._learned = None
            if self._adapter is not None:
                self._adapter.reset()
        new = lessons[len(known) :]
        self._learned = None
        result = None
        for lesson in new:
            result = self._read(lesson)
        self._learned = list(lessons)
        return result

    def _read(self, lesson: Lesson) -> tuple[float, float]:
        with torch_settings(1, self._model.device.type):
            self._adapter = self._adapter or Adapter(self._model)
            nats = [self._adapter.read(lesson) for _ in range(PASSES)]
        return float(nats[0].mean()), float(nats[-1].mean())
