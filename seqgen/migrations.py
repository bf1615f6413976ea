"""What checkpoints of earlier formats say, put as today's format says it. A new format is one function and one line here.

Checkpoints themselves are never rewritten to be read; a training that goes on with one writes it in today's format.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Data = dict[str, Any]
"""What a `checkpoint.json` holds."""
FORMAT = 4
"""What this seqgen writes. 1: models without recall. 2: models that may recall; the networks of music and of replies were still
being found. 3: networks that stay. 4: models that may recall repeats."""
SETTLED = 3
"""The first format whose weights fit the networks of every later seqgen."""
WITH_REPEATS = 4
"""The first whose tables of recall have a slot for repeats; earlier ones get it, and nothing in it (`checkpoint.py`)."""


def migrate(data: Data) -> Data:
    """A manifest of any format up to today's, as one of today's; the number of its own format stays in it.

    Args:
        data: with a `format` from 1 to `FORMAT`. It is not changed.

    Raises:
        KeyError: what its format must hold is missing.
        TypeError: it holds something of another type.
    """
    for number in range(data["format"], FORMAT):
        data = MIGRATIONS[number](data)
    return data


def _without_recall(data: Data) -> Data:
    """Trainings did not end by finding out what is to be recalled, and nor does one that goes on or is repeated."""
    recipe = data["recipe"]
    return {**data, "recipe": {**recipe, "training": {**recipe["training"], "recall_symbols": 0}}}


def _as_it_is(data: Data) -> Data:
    """What is said did not change, but what the weights must be like did (`SETTLED`)."""
    return data


MIGRATIONS: dict[int, Callable[[Data], Data]] = {1: _without_recall, 2: _as_it_is, 3: _as_it_is}
"""Format -> what makes it one of the next."""
