"""seqgen: sequence models for a corpus of your own.

>>> import seqgen
>>> seqgen.train("diary.txt", time="3m")                      # doctest: +SKIP
>>> model = seqgen.load("diary")                              # doctest: +SKIP
>>> print("".join(model.sample("Dear ")))                     # doctest: +SKIP
>>> model.score("Dear diary").nats_per_symbol                 # doctest: +SKIP

The names below are the public surface; they are imported when first used, so that ``import seqgen`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from seqgen.errors import CheckpointError, DataError, SeqgenError, TrainingError, UsageError

if TYPE_CHECKING:
    from seqgen.api import Loaded, load
    from seqgen.decoding.rules import RuleSettings
    from seqgen.generation import SampleSettings
    from seqgen.progress import Outcome, Progress
    from seqgen.recipe import Recipe
    from seqgen.replying import Reply, ReplySettings
    from seqgen.samples import Sample
    from seqgen.surprises import Next, Score
    from seqgen.training import train

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "DataError",
    "Loaded",
    "Next",
    "Outcome",
    "Progress",
    "Recipe",
    "Reply",
    "ReplySettings",
    "RuleSettings",
    "Sample",
    "SampleSettings",
    "Score",
    "SeqgenError",
    "TrainingError",
    "UsageError",
    "__version__",
    "load",
    "train",
]

_HOMES = {
    "Loaded": "api",
    "Sample": "samples",
    "SampleSettings": "generation",
    "RuleSettings": "decoding.rules",
    "Next": "surprises",
    "Score": "surprises",
    "load": "api",
    "Recipe": "recipe",
    "Reply": "replying",
    "ReplySettings": "replying",
    "Outcome": "progress",
    "Progress": "progress",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"seqgen.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'seqgen' has no attribute {name!r}")
