"""What a loaded model hands out: samples that are drawn while they are iterated."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

from seqgen.generation import SampleSettings
from seqgen.writing import Rendering, Writing


class Sample(Iterator[str]):
    """One sample, drawn while it is iterated: the seed first, then piece by piece what the model writes.

    Attributes:
        index: its number among the samples of one call.
        seed: what it grows from.
        random_seed: with the index it makes the sample repeatable.
        path: "single" or "tile", the way it was computed.
    """

    def __init__(
        self, index: int, seed: str, random_seed: int, path: str, writing: Writing, pieces: Iterator[str]
    ) -> None:
        self.index, self.seed, self.random_seed, self.path = index, seed, random_seed, path
        self.seconds = 0.0
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

    @property
    def symbols(self) -> int:
        """How many symbols the model has drawn."""
        return self._writing.symbols

    @property
    def stopped_by(self) -> str | None:
        """Why it ended: "length", "stop", "document", "sentence", "block"; None while it has not."""
        return self._writing.stopped_by

    def finish(self) -> str:
        """Ends it here; returns what was held back."""
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
            "settings": {**plain.pop("rules"), **plain},
        }
