"""What a run can afford on this machine: real steps are timed, time is kept for its end, and dropout and weight decay follow."""

from __future__ import annotations

import math
import time as clock
from collections.abc import Collection, Sequence

from seqgen.confidence import MOST_SYMBOLS
from seqgen.corpus import Corpus
from seqgen.defaults import CHOOSERS, Forms
from seqgen.errors import TrainingError
from seqgen.feeds import Feed
from seqgen.models import CELLS
from seqgen.pacing import WIND_UP
from seqgen.recipe import Overrides, Recipe, TrainingSettings, merge
from seqgen.trainer import Trainer

TRIAL = 0.25
"""Seconds for which each way to compute steps is timed; the pace is corrected on the way anyhow."""
SEEN = 8
"""Steps of the first epoch of which the fullest is timed."""
CLEARLY_FASTER = 0.93
"""Share of the time of the ways before it, below which the next one is taken."""
FINAL_LOOK_SHARE = 0.04
"""Share of a timed run that the final evaluation may take; a larger validation text is then read in part."""
FINAL_LOOK_LEAST = 8192
"""Symbols of validation text that it reads in any case."""
COMPARING = 0.3
"""Seconds to compare how sure a network may be, at most: of how many logits that is done is bounded (`confidence.py`)."""
REMEMBERING, LEARNING = 1.5e-5, 7e-5
"""Seconds that a symbol of validation text takes to be remembered, and to be learned to recall from; roughly."""


Way = dict[str, str]
"""How steps are computed: fields of the training settings."""
WAYS: tuple[Way, ...] = (
    {"dtype": "float32", "kernels": "torch"},
    {"dtype": "bfloat16", "kernels": "compiled"},
    {"dtype": "bfloat16", "kernels": "torch"},
)


def ways(recipe: Recipe, settled: Collection[str]) -> list[Way]:
    """The ways that are open to a training, the preferred one first.

    Args:
        recipe: of the run.
        settled: the training settings that the user has set, which stay.
    """
    training = recipe.training
    own = {name: getattr(training, name) for name in WAYS[0] if name in settled}
    compiles = training.device == "cpu" and CELLS[recipe.model.cell].compiles(recipe.model.hidden)
    possible = WAYS if compiles else [way for way in WAYS if way["kernels"] == "torch"]
    fitting = [way for way in possible if own.items() <= way.items()]
    compiled = [way for way in fitting if way["kernels"] == "compiled"]
    if compiled:  # from 64 units on nothing else was faster where it runs
        return compiled
    return fitting or [{"dtype": training.dtype, "kernels": "torch"}]  # of a recipe from a machine that has another


def time_steps(recipe: Recipe, corpus: Corpus, model: str, tried: Sequence[Way]) -> tuple[Way, float]:
    """The fastest way and the seconds that a step takes with it, by trying each on a throw-away trainer.

    Args:
        recipe: of the run.
        corpus: what it trains on.
        model: a name from `MODELS`.
        tried: ways, the preferred one first.

    Raises:
        TrainingError: none of them works, for want of memory as a rule.
    """
    best, problem = (tried[0], math.inf), ""
    for way in tried:
        try:
            trainer = Trainer(recipe.replace(**way), corpus, model)
            trainer.counters.window = place = _fullest(trainer.feed)
            trainer.step()  # the first one prepares kernels
            start, steps = clock.monotonic(), 0
            while steps < 1 or clock.monotonic() - start < TRIAL:
                trainer.counters.window = place
                trainer.step()
                steps += 1
            step_seconds = (clock.monotonic() - start) / steps
        except (RuntimeError, MemoryError) as error:  # this torch cannot run this cell in this arithmetic
            problem = str(error).splitlines()[0] if str(error) else "out of memory"
            continue
        if step_seconds < CLEARLY_FASTER * best[1]:
            best = (way, step_seconds)
    if best[1] == math.inf:
        raise TrainingError(
            f"a model of this size cannot be trained here: {problem}",
            hint="Set model.hidden, training.lanes or training.window lower.",
        )
    return best


def _fullest(feed: Feed) -> int:
    """Which of an epoch's first steps has most to read. Where steps are of different shapes, kernels are prepared for each anew,
    so one of them is timed again and again; and not one with few pairs."""
    first = range(min(SEEN, feed.steps_per_epoch))
    return max(first, key=lambda step: sum(tensor.numel() for tensor in feed.batch(0, step)))


def plan_end(
    settings: TrainingSettings, symbols: int, symbols_per_step: float, step_seconds: float, seconds: float
) -> tuple[int, float]:
    """How much of the validation text a timed run reads in the end, and the seconds to keep for its end in all.

    Args:
        settings: of the training.
        symbols: of validation text.
        symbols_per_step: of training.
        step_seconds: that a step takes.
        seconds: of the whole run.
    """
    reading = step_seconds / 2 / symbols_per_step  # reading alone, in float32, is about twice as fast
    if symbols * reading > FINAL_LOOK_SHARE * seconds:
        symbols = min(symbols, max(FINAL_LOOK_LEAST, int(FINAL_LOOK_SHARE * seconds / reading)))
    learned = min(settings.recall_symbols, symbols)
    sure = min(learned, MOST_SYMBOLS) * reading + (COMPARING if learned else 0.0)
    return symbols, WIND_UP + symbols * (reading + REMEMBERING) + learned * (reading + LEARNING) + sure


def with_regularization(
    recipe: Recipe, model: str, epochs: float, symbols: int, forms: Forms, settled: Overrides
) -> Recipe:
    """With what suits how often the text is going to be read, now that the speed is known.

    Args:
        recipe: with a first guess.
        model: a name from `MODELS`.
        epochs: how often the text is going to be read.
        symbols: of training text.
        forms: in which a document is read.
        settled: what the user has set himself, which stays.
    """
    chosen = CHOOSERS[model].regularization(epochs, symbols, forms)
    if recipe.training.init_from:  # what was learned before is not to be forgotten sooner
        chosen = {"model": chosen["model"]}
    still_open = {
        section: {name: value for name, value in fields.items() if name not in settled.get(section, {})}
        for section, fields in chosen.items()
    }
    return Recipe.from_dict(merge(recipe.to_dict(), still_open))
