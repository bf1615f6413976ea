"""What a loaded model hands out: samples that are drawn while they are iterated."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from seqgen.generation import SampleSettings
from seqgen.likelihood import mean_nats
from seqgen.modalities import Modality
from seqgen.models import Model
from seqgen.sampling import Task, Way, choose_way, ground_of
from seqgen.tokenizers import Opening, Tokenizer
from seqgen.writing import Rendering, Writing


class Sample(Iterator[str]):
    """One sample, drawn while it is iterated: the seed first, then piece by piece what the model writes. A piece may be empty:
    something was drawn, and nothing of it can be shown yet.

    Attributes:
        index: its number among the samples of one call.
        seed: what it grows from.
        random_seed: with the index it makes the sample repeatable.
        path: "native", "single" or "tile", the way it was computed.
        precision: of the weights.
        divergence: of the distributions it was drawn from, from those of float32, in nats per symbol; None: it is float32.
        seconds: that drawing took; of many samples, from the beginning of the first to the end of this one.
        nats_per_symbol: its mean surprise by the network alone, if it was measured.
    """

    def __init__(
        self, index: int, seed: str, random_seed: int, way: Way, writing: Writing, pieces: Generator[str]
    ) -> None:
        self.index, self.seed, self.random_seed = index, seed, random_seed
        self.path, self.precision, self.divergence = way.path, way.precision, way.divergence
        self.seconds = 0.0
        self.nats_per_symbol: float | None = None
        self._writing, self._pieces = writing, pieces

    def __next__(self) -> str:
        start = time.perf_counter()
        try:
            return next(self._pieces)
        finally:
            self.seconds += time.perf_counter() - start

    @property
    def continuation(self) -> str:
        """What the model has written so far, without the seed."""
        return self._writing.continuation

    @property
    def text(self) -> str:
        """Seed and continuation so far, music in its text form."""
        return self._writing.whole

    @property
    def data(self) -> bytes:
        """Seed and continuation so far as raw bytes."""
        return self._writing.data

    def render(self, suffix: str, rendering: Rendering | None = None) -> bytes:
        """The whole as a file with this ending: `.mid`, `.musicxml`, `.png`...; a text as it is.

        Raises:
            UsageError: it cannot be written so.
        """
        return self._writing.render(suffix, rendering or Rendering())

    def picture(self, width: int = 80, colour: bool = False) -> str:
        """A small picture of it for a terminal of that width; empty where the text says it all."""
        return self._writing.picture(width, colour)

    def pictures(self, width: int, colour: bool = False) -> list[str]:
        """The same of all of it, in parts that each fit a screen."""
        return self._writing.pictures(width, colour)

    @property
    def symbols(self) -> int:
        """How many symbols the model has drawn."""
        return len(self._writing.ids)

    @property
    def ids(self) -> Sequence[int]:
        """Those symbols."""
        return self._writing.ids

    @property
    def stopped_by(self) -> str | None:
        """Why it ended: "length", "stop", "document", "line", "sentence", "block", "bars", "interrupt"; None while it has not."""
        return self._writing.stopped_by

    def finish(self) -> str:
        """Ends it here; returns what was held back."""
        self._pieces.close()
        return self._writing.finish()

    def to_dict(self, files: list[str], settings: SampleSettings) -> dict[str, Any]:
        """As plain data, for `--json`."""
        plain = dataclasses.asdict(settings)
        return {
            "index": self.index,
            "seed": self.seed,
            **self._writing.to_dict(),
            "files": files,
            "symbols": self.symbols,
            "seconds": self.seconds,
            "stopped_by": self.stopped_by,
            "random_seed": self.random_seed,
            "path": self.path,
            "precision": self.precision,
            "divergence": self.divergence,
            **({} if self.nats_per_symbol is None else {"nats_per_symbol": self.nats_per_symbol}),
            "settings": {**plain.pop("rules"), **plain},
        }


def draw_samples(
    model: Model,
    tokenizer: Tokenizer,
    modality: Modality,
    opening: Opening,
    seed: str,
    settings: SampleSettings,
    indices: Sequence[int],
    random_seed: int,
    many: bool,
) -> Iterator[Sample]:
    """Samples as they are drawn, in order; of no indices none.

    Args:
        model: in evaluation mode.
        tokenizer: what its ids mean.
        modality: what becomes of them.
        opening: the ids that all samples grow from.
        seed: the same as the user gave it.
        settings: what they should be like.
        indices: their numbers, ascending.
        random_seed: of all of them.
        many: whether they are drawn as some of many; a sole one may be drawn as a stream instead.

    Raises:
        UsageError: settings that this model has no use for.
    """
    task = Task(model, opening, settings, ground_of(tokenizer, settings, opening), random_seed)
    way = choose_way(task, many)

    def new() -> Writing:
        return modality.writing(modality, tokenizer, settings, opening, seed)

    if not many and indices:
        (index,) = indices
        writing = new()
        return iter([Sample(index, seed, random_seed, way, writing, _stream(way, task, writing, index))])
    first = new()  # likewise
    writings = ((index, first if place == 0 else new()) for place, index in enumerate(indices))
    return _complete(way, task, seed, writings)


def _stream(way: Way, task: Task, writing: Writing, index: int) -> Generator[str]:
    if begun := writing.begin():
        yield begun
    if not writing.is_done():
        yield from way.one(task, writing, index)


def _complete(way: Way, task: Task, seed: str, writings: Iterator[tuple[int, Writing]]) -> Iterator[Sample]:
    start = time.perf_counter()
    for group in way.many(task, writings):
        for index, writing in group:
            sample = Sample(index, seed, task.random_seed, way, writing, _told(writing))
            sample.seconds = time.perf_counter() - start
            yield sample


def _told(writing: Writing) -> Generator[str]:
    """A complete sample, as a single piece."""
    yield writing.whole


def rank(model: Model, prompt: Sequence[int], samples: Sequence[Sample], typical: float, symbols: int) -> list[Sample]:
    """Samples by how near their mean surprise is to that of real text, the nearest first; empty ones last.

    Args:
        model: that drew them.
        prompt: that they grow from.
        samples: complete ones.
        typical: the mean surprise of held-out text, in nats per symbol.
        symbols: how many the model knows.
    """
    for sample, nats in zip(
        samples, mean_nats(model, prompt, [sample.ids for sample in samples], symbols), strict=True
    ):
        sample.nats_per_symbol = nats
    return sorted(samples, key=lambda sample: (not sample.ids, abs((sample.nats_per_symbol or 0) - typical)))
