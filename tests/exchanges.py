"""A corpus of replies for tests: messages whose answers follow from a word in them."""

from __future__ import annotations

import itertools
from pathlib import Path

OPENINGS = ("Could you bring", "Do we have", "Have you seen", "Please order", "Where is")
THINGS = ("bread", "milk", "tea", "salt", "paper", "ink", "wood", "rope")
ANSWERS = {"Could you bring": "Yes, I bring", "Do we have": "No, we need", "Have you seen": "I have not seen",
           "Please order": "I order", "Where is": "In the hall is"}  # fmt: skip


def exchanges() -> list[tuple[str, str]]:
    """40 messages, each with two replies that stand beside each other."""
    return [
        (f"{opening} the {thing}?", f"{ANSWERS[opening]} the {thing}{end}")
        for opening, thing in itertools.product(OPENINGS, THINGS)
        for end in (".", " today.")
    ]


def write_tsv(name: str, pairs: list[tuple[str, str]] | None = None) -> str:
    lines = ["\t".join(pair) for pair in (exchanges() if pairs is None else pairs)]
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return name
