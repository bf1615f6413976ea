"""Small texts made by rule, for corpora that learn quickly."""

from __future__ import annotations

import random

_WHO = ("the old fox", "a grey heron", "my neighbour", "the miller", "a tired clerk", "the moon", "one small boat")
_DOES = ("waits for", "sings to", "forgets", "remembers", "follows", "paints", "counts")
_WHAT = ("the river", "a red door", "seven stones", "the last train", "her brother", "an empty house", "the rain")


def verse(characters: int, seed: int = 1) -> str:
    """Lines of three parts, a stanza of four lines each."""
    choose = random.Random(seed)
    lines: list[str] = []
    while sum(map(len, lines)) < characters:
        lines.append(f"{choose.choice(_WHO)} {choose.choice(_DOES)} {choose.choice(_WHAT)}{choose.choice('.,.')}\n")
        if len(lines) % 5 == 4:
            lines.append("\n")
    return "".join(lines)[:characters]
