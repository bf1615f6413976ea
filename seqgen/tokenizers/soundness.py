"""Whether the vocabulary of a tokenizer of music, as a file from elsewhere describes it, is one that music can be made with."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from seqgen.errors import UsageError

MOST_WORDS = 20_000
MOST_CELLS = 1 << 24
"""Of the matrix that says which parts each word is made of."""
LONGEST = 100_000
"""Bars of a piece; beats, where there are no bars."""
_TRIES, _DRAWN = 3, 64
"""Samples that are tried, and words of each."""
Check = Callable[[Any], bool]


class Guide(Protocol):
    """What leads a sample; see `scores.Guide`."""

    def allowed(self) -> npt.NDArray[np.bool_]:
        """Which symbols may come next."""
        ...

    def feed(self, symbol: int) -> None:
        """Takes note of a symbol."""
        ...


def check_about(about: Mapping[str, Any], **checks: Check) -> None:
    """Refuses what a tokenizer must know besides its words, if it cannot be.

    Raises:
        ValueError: the first value that is missing or cannot be.
    """
    for name, is_right in checks.items():
        if name not in about or not is_right(about[name]):
            raise ValueError(f"what it must know is missing or wrong: {name} cannot be {about.get(name)!r:.80}")


def whole(least: int, most: int) -> Check:
    """A whole number in a range."""
    return lambda value: type(value) is int and least <= value <= most


def is_flag(value: object) -> bool:
    """True or false."""
    return isinstance(value, bool)


def list_of(check: Check, length: int | None = None) -> Check:
    """A list whose values pass a check."""
    return lambda value: (
        isinstance(value, list | tuple)
        and (length is None or len(value) == length)
        and all(check(each) for each in value)
    )


def try_out(begin: Callable[[], Guide]) -> None:
    """Lets the guides of some samples lead through words drawn at random.

    Args:
        begin: makes the guide of a sample.

    Raises:
        ValueError: one allows nothing at some place; also whatever else a word that is missing leads to.
    """
    for attempt in range(_TRIES):
        draw = random.Random(attempt)  # noqa: S311 - a trial, no secret
        try:
            guide = begin()
        except UsageError:  # in words, and so it will be told to who wants a sample
            return
        for _ in range(_DRAWN):
            allowed = np.flatnonzero(guide.allowed())
            if len(allowed) == 0:
                raise ValueError("there is a place at which no word may come next")
            symbol = int(draw.choice(allowed))
            if symbol == 0:
                break
            guide.feed(symbol)
