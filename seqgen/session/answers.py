"""What all answers have in common: how far they go, what is set for them, and what could come next."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seqgen.decoding.rules import RuleSettings
from seqgen.session.scene import Stage
from seqgen.surprises import Next

NAMELESS = "\u27e8"
"""How the names of symbols begin that have no text."""
_NAMES: Mapping[str, str] = {"range": "pitches"}
"""Settings that are called otherwise than what they set."""
_OF_RULES = tuple(field.name for field in dataclasses.fields(RuleSettings))


class Budget:
    """How many steps an answer may take that is interrupted where it was before; none is limited otherwise.

    Attributes:
        most: steps, a symbol or a block of them each; None: until it is complete.
        steps: how many there were.
        interrupted: whether there would have been more.
    """

    def __init__(self, most: int | None = None) -> None:
        self.most, self.steps, self.interrupted = most, 0, False

    def ends(self, stage: Stage) -> bool:
        """Whether no more may be drawn."""
        self.interrupted = self.interrupted or stage.halted() or (self.most is not None and self.steps >= self.most)
        return self.interrupted


def rules_of(values: Mapping[str, Any]) -> RuleSettings:
    """The rules of what was set.

    Raises:
        UsageError: values that cannot be meant together.
    """
    first, last = values.get("temperature", (RuleSettings().temperature, None))
    return RuleSettings(**{**fields_of(values, _OF_RULES), "temperature": first, "final_temperature": last})


def fields_of(values: Mapping[str, Any], of: Iterable[str]) -> dict[str, Any]:
    """Those of the settings that are fields of these names, by them."""
    named = {_NAMES.get(name, name).replace("-", "_"): value for name, value in values.items()}
    return {name: value for name, value in named.items() if name in set(of)}


def word_of(following: Next) -> str:
    """What is taken of what could come next: the word that it grows to."""
    return following.word if following.word.startswith(following.text) else following.text


def has_text(following: Next, names: Sequence[str]) -> bool:
    """Whether what could come next can be taken as text: no part of a character, which has a name alone."""
    more = word_of(following)
    return not (more.startswith(NAMELESS) and more in names)


def chances(following: Next) -> str:
    """The probability of the symbol, and of the word if that is more."""
    more = word_of(following) != following.text
    return f"{following.probability:.1%}" + (f", the whole {following.word_probability:.1%}" if more else "")
