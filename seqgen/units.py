"""In what surprise is told to people: bits per character of text, nats per note of music."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Unit:
    """A unit of surprise.

    Attributes:
        name: for people: "bits per character".
        short: the same where there is little room.
        counted: what it is told for each of: "character".
        matter: what is made of those: "text".
        scale: how much of it a nat is.
    """

    name: str
    short: str
    counted: str
    matter: str
    scale: float

    @property
    def key(self) -> str:
        """Its name in JSON."""
        return self.name.replace(" ", "_")


BITS_PER_CHARACTER = Unit("bits per character", "bits/char", "character", "text", 1 / math.log(2))
NATS_PER_NOTE = Unit("nats per note", "nats/note", "note", "music", 1.0)
UNITS = {unit.key: unit for unit in (BITS_PER_CHARACTER, NATS_PER_NOTE)}
