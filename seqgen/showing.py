"""What people see of a scored symbol: steps of surprise, and white space in sight."""

from __future__ import annotations

import re
from bisect import bisect_right

from seqgen.surprises import Next, Score
from seqgen.visible import visible

STEPS = (2, 4, 6, 9, 12)
"""Bits of surprise at which the colour changes: a symbol of 2 bits had a chance of 1 in 4, one of 12 bits of 1 in 4,096."""
END_MARK = "\u25fc"
"""What is shown where a text ends, which has no text of its own."""
MARKS = {" ": "\u2423", "\n": "\u21b5", "\t": "\u21e5", "": "\u27e8end\u27e9"}
"""Symbols that could not be seen by themselves."""
LONGEST_WORD = 40
"""Characters of a word that are shown in a list."""
_BEGUN = re.compile(r"[\w'\u2019]*\Z")


def level(bits: float) -> int:
    """How many of the steps so much surprise has reached: from 0, hardly any, to the number of steps."""
    return bisect_right(STEPS, bits)


def chance(bits: float) -> str:
    """A probability as people say it: "1 in 64"."""
    return f"1 in {2**bits:,.0f}"


def label(text: str) -> str:
    """A symbol by itself: blanks and line feeds as marks."""
    if text in MARKS:
        return MARKS[text]
    return "".join(MARKS.get(character, character) for character in visible(text))


def grown(text: str, following: Next) -> tuple[str, str]:
    """The word that stands unfinished at the end of a text, and what a next symbol makes of it."""
    begun = _BEGUN.search(text[-LONGEST_WORD:]) if following.word[:1].isalnum() else None
    return (begun[0] if begun else "", label(following.word))


def percent(probability: float) -> str:
    """A probability in per cent, with as many digits as say something."""
    share = 100 * probability
    if share >= 10 or share == 0:
        return f"{share:.0f} %"
    return f"{share:.1f} %" if share >= 0.1 else "under 0.1 %"


def parted(score: Score, text: str) -> tuple[str, str]:
    """What stands between a symbol and the one before it, and the symbol: in music blanks belong to no word."""
    rest = text if score.is_text else text.lstrip()
    return text[: len(text) - len(rest)], rest


def name_of(score: Score, text: str) -> str:
    """A symbol or a word by itself, as people are shown it in a list: the beginning of a very long one."""
    _, rest = parted(score, text)
    shown = label(rest) if score.is_text or not rest else visible(rest)
    return shown if len(shown) <= LONGEST_WORD else f"{shown[: LONGEST_WORD - 1]}\u2026"


def expectations(score: Score, place: int) -> str:
    """The symbols that were thought likeliest in the place of one, in words."""
    return ", ".join(f"{name_of(score, one.text)} {percent(one.probability)}" for one in score.expected(place))
