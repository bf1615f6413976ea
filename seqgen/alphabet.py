"""What a model must know of the symbols that it reads: how many there are, what they are made of, and which facts they say.

Facts are of music: which voice sings which pitch, in which key, how many bars are left. A model keeps them in registers,
each of which holds what was written to it last; see `models/registers.py`. The first registers hold the pitches of the
voices, the next one the tonic, and then comes one for each kind of other facts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

PITCHES, CLASSES = 128, 12
NOBODY = -1
KEPT = -1
"""In `Registers.writes`: the register stays what it is."""
EMPTY = 0
"""What a register holds that nothing was written to."""


@dataclass(frozen=True)
class Meaning:
    """The facts in a word.

    Attributes:
        voice: whose pitch it says.
        pitch: a MIDI pitch; None: it says none.
        tonic: the pitch class of a key's tonic; None: it says none.
        facts: name -> value of whatever else is worth to be remembered.
        begins_step: whether all voices go on from here: what they sing now is what they come from.
        turn: the voice whose pitch may come next, or `NOBODY`.
    """

    voice: int = 0
    pitch: int | None = None
    tonic: int | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    begins_step: bool = False
    turn: int = NOBODY


class Registers(NamedTuple):
    """Tables of what symbols mean.

    Attributes:
        writes: what each symbol writes to each register, (symbols, registers): a value above 0, `EMPTY` or `KEPT`.
            Pitches and pitch classes stand there plus 1.
        begins_step: (symbols,).
        pitch: the MIDI pitch that each symbol means, (symbols,), or -1.
        turn: the voice whose pitch may come after each symbol, (symbols,), or `NOBODY`.
        sizes: how many values each register may hold, `EMPTY` included.
        voices: how many registers hold pitches. The one behind them holds the tonic.
        contexts: the registers that together decide which degrees of the scale are likely.
    """

    writes: npt.NDArray[np.int64]
    begins_step: npt.NDArray[np.bool_]
    pitch: npt.NDArray[np.int64]
    turn: npt.NDArray[np.int64]
    sizes: list[int]
    voices: int
    contexts: list[list[int]]


class Alphabet(NamedTuple):
    """The symbols of a tokenizer, as a model sees them.

    Attributes:
        size: how many there are.
        parts: which parts each has, ones in (symbols, parts); None: each stands for itself.
        registers: which facts they write into registers; None: none.
    """

    size: int
    parts: npt.NDArray[np.float32] | None = None
    registers: Registers | None = None


def registers_of(
    meanings: Sequence[Meaning], voices: int, names: Sequence[str], contexts: Sequence[Sequence[str]]
) -> Registers:
    """The tables of an alphabet: the document symbol, which empties all registers, and the words with these meanings.

    Args:
        meanings: of the words. One that is added at the end changes nothing of the others but what it adds to the sizes.
        voices: how many sing.
        names: of the facts.
        contexts: those of them that together decide which degrees of the scale are likely.
    """
    values: dict[str, dict[str, int]] = {name: {} for name in names}
    first = voices + 1
    writes = np.full((1 + len(meanings), first + len(names)), KEPT, dtype=np.int64)
    writes[0] = EMPTY
    pitch, turn = (np.full(1 + len(meanings), nothing, dtype=np.int64) for nothing in (-1, NOBODY))
    for symbol, meaning in enumerate(meanings, 1):
        turn[symbol] = meaning.turn
        if meaning.pitch is not None:
            pitch[symbol], writes[symbol, meaning.voice] = meaning.pitch, meaning.pitch + 1
        if meaning.tonic is not None:
            writes[symbol, voices] = meaning.tonic + 1
        for name, value in meaning.facts.items():
            number = values[name].setdefault(value, len(values[name]) + 1)
            writes[symbol, first + names.index(name)] = number
    return Registers(
        writes,
        np.array([False, *(meaning.begins_step for meaning in meanings)]),
        pitch,
        turn,
        [*[PITCHES + 1] * voices, CLASSES + 1, *(len(values[name]) + 1 for name in names)],
        voices,
        [[first + names.index(name) for name in each] for each in contexts],
    )
