"""The table of first choices: a recipe for this corpus, this machine and this much time.

``choose()`` is pure arithmetic on a few measured facts, so that it can be read, tested and argued with.
``docs/defaults.md`` tells where the numbers come from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from seqgen.recipe import Overrides, Recipe

NOMINAL_SECONDS = 180.0
"""Assumed training time where the user gave steps or epochs instead of a time."""
NOMINAL_RATE = 4e11
"""Assumed with it: floating point operations per second in large matrix products."""
EFFICIENCY = 0.33
"""Share of the machine's matrix rate that training reaches, roughly."""
GPU_LANES = 128


@dataclass(frozen=True)
class Facts:
    """What the choice depends on.

    Attributes:
        symbols: of the training text.
        vocabulary: distinct symbols.
        seconds: of training.
        matrix_rate: floating point operations per second in large matrix products.
        device: "cpu", "cuda" or "mps".
    """

    symbols: int
    vocabulary: int
    seconds: float
    matrix_rate: float
    device: str = "cpu"


def choose(facts: Facts) -> Overrides:
    """Size, batch, window, learning rates and dropout."""
    budget = EFFICIENCY * facts.matrix_rate * facts.seconds  # floating point operations
    by_time = 256 * (budget / 2.6e13) ** 0.25
    by_corpus = 96 * (facts.symbols / 1e4) ** 0.25
    hidden = _round(min(by_time, by_corpus * 1.5), 32, 64, 1024)
    embedding = _round(min(hidden, 16 + 4 * math.sqrt(facts.vocabulary) + facts.vocabulary / 16), 16, 16, 256)
    per_symbol = 6 * (4 * hidden * (embedding + 3 * hidden) + hidden * facts.vocabulary)
    epochs = budget / per_symbol / max(1, facts.symbols)
    dropout = _between(0.13 * math.log2(max(1.0, epochs / 4)), 0.0, 0.5)
    lanes, window = _batch(facts)
    return {
        "model": {
            "layers": 2,
            "hidden": hidden,
            "embedding": embedding,
            "hidden_dropout": round(dropout, 3),
            "output_dropout": round(dropout, 3),
        },
        "training": {"lanes": lanes, "window": window, "patience": 8},
    }


def describe(recipe: Recipe, facts: Facts) -> str:
    """The resolved choice in one line for people."""
    model, training = recipe.model, recipe.training
    return (
        f"{model.layers} layers of {model.hidden} ({model.cell}), {training.lanes} lanes, windows of {training.window}, "
        f"dropout {model.hidden_dropout:g}, for {facts.symbols:,} symbols of {facts.vocabulary} kinds"
    )


def _batch(facts: Facts) -> tuple[int, int]:
    """Lanes and window: fewer and shorter for a small text, so that an epoch still has some steps."""
    lanes, window = (GPU_LANES, 128) if facts.device == "cuda" else (16, 128)
    while lanes * window * 8 > facts.symbols and lanes > 4:
        lanes //= 2
    while lanes * (window + 2) * 8 > facts.symbols * 7 and window > 8:
        window //= 2
    while lanes * (window + 2) * 8 > facts.symbols * 7 and lanes > 1:
        lanes //= 2
    return lanes, window


def _round(value: float, step: int, least: int, most: int) -> int:
    return int(_between(step * round(value / step), least, most))


def _between(value: float, least: float, most: float) -> float:
    return max(least, min(most, value))
