"""How well a text is predicted, as plain data: of each symbol, and of the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from seqgen.units import BITS_PER_CHARACTER, Unit


class Predictions(NamedTuple):
    """What was predicted for some symbols of a text.

    Attributes:
        places: of these symbols, counted from the second symbol of the text; (predicted,).
        alone: log-probabilities by the network without what it recalls of the document; (predicted, symbols).
        log_p: the same with it.
        targets: the symbols; (predicted,).
    """

    places: npt.NDArray[np.int64]
    alone: Tensor
    log_p: Tensor
    targets: Tensor


class Prediction(NamedTuple):
    """How each symbol of a text after the first was predicted; all of shape (symbols - 1,).

    Attributes:
        nats: the surprise.
        alone: by the network without what it recalls of the document.
        right: whether it was the likeliest.
    """

    nats: npt.NDArray[np.float64]
    alone: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Dynamic:
    """How well a text is predicted by a model that learns from it on the way (`adaptation.py`).

    Attributes:
        nats: the surprise of all symbols together.
        nats_without_recall: by the network alone.
        preparing: seconds until it could begin.
        reading: seconds of reading and learning.
    """

    nats: float
    nats_without_recall: float
    preparing: float
    reading: float


@dataclass(frozen=True)
class Evaluation:
    """How well a text is predicted.

    Attributes:
        split: which part of the corpus.
        symbols: how many symbols were predicted.
        characters: how many characters of text, or notes of music, they stand for.
        nats: the surprise of all symbols together.
        nats_without_recall: by the network alone; the same where it does not recall.
        accuracy: the share of symbols that were the likeliest one.
        baselines: what simpler models need for the whole split, in the unit.
        unit: in which people are told.
        figures: whatever else the tokenizer makes of it: nats per frame.
        words: of replies, their ends counted, too; None: words are not counted.
        dynamic: the same where the model learns on the way; None: not measured.
    """

    split: str
    symbols: int
    characters: int
    nats: float
    nats_without_recall: float
    accuracy: float
    baselines: dict[str, float]
    unit: Unit = BITS_PER_CHARACTER
    figures: dict[str, float] = field(default_factory=dict)
    words: int | None = None
    dynamic: Dynamic | None = None

    def in_unit(self, nats: float) -> float:
        """Nats of all symbols together in the unit: comparable whatever the symbols are."""
        return nats * self.unit.scale / self.characters

    @property
    def value(self) -> float:
        """Surprise in the unit."""
        return self.in_unit(self.nats)

    @property
    def value_without_recall(self) -> float:
        """The same by the network alone."""
        return self.in_unit(self.nats_without_recall)

    @property
    def nats_per_symbol(self) -> float:
        """Nats for each symbol."""
        return self.nats / self.symbols

    @property
    def bits_per_character(self) -> float | None:
        """Bits for each character of text; None for what has none."""
        return self.value if self.unit == BITS_PER_CHARACTER else None

    def perplexity_per_word(self, value: float) -> float | None:
        """The perplexity of a word where a model needs so much in the unit; None where words are not counted."""
        return math.exp(value / self.unit.scale * self.characters / self.words) if self.words else None

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        counted = self.unit.counted
        by_word = (
            {}
            if self.words is None
            else {
                "words": self.words,
                "perplexity_per_word": self.perplexity_per_word(self.value),
                "baselines_per_word": {name: self.perplexity_per_word(value) for name, value in self.baselines.items()},
            }
        )
        return {
            "split": self.split,
            "symbols": self.symbols,
            "characters": None,
            "bits_per_character": None,
            f"{counted}s": self.characters,
            "nats_per_symbol": self.nats_per_symbol,
            f"nats_per_{counted}": self.nats / self.characters,
            self.unit.key: self.value,
            f"{self.unit.key}_without_recall": self.value_without_recall,
            **self._learning(),
            **self.figures,
            **by_word,
            "perplexity": math.exp(self.nats_per_symbol),
            "accuracy": self.accuracy,
            "unit": self.unit.key,
            "baselines": self.baselines,
        }

    def _learning(self) -> dict[str, Any]:
        if self.dynamic is None:
            return {}
        return {
            f"{self.unit.key}_dynamic": self.in_unit(self.dynamic.nats),
            f"{self.unit.key}_dynamic_without_recall": self.in_unit(self.dynamic.nats_without_recall),
            f"dynamic_{self.unit.counted}s_per_second": self.characters / self.dynamic.reading,
            "dynamic_preparing_seconds": self.dynamic.preparing,
            "dynamic_sizes": "written by the model",
        }
