"""What is fuzzed: a target is how its specimens are made, how one is damaged, and what reads it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Case(NamedTuple):
    """An input.

    Attributes:
        name: of a file, whose ending may say what it is.
        data: what is in it; of a target that reads text or lines, their UTF-8.
    """

    name: str
    data: bytes

    @property
    def text(self) -> str:
        """The data as text, whatever it is."""
        return self.data.decode("utf-8", "surrogateescape")


def text_case(name: str, text: str) -> Case:
    """An input that is read as text; it may hold lone surrogates of damaged UTF-8."""
    return Case(name, text.encode("utf-8", "surrogateescape"))


Mutate = Callable[[Case, Sequence[Case], random.Random], Case]
"""A specimen, all of them, and where chance comes from -> an input. It must use no other chance, nor what ran before."""


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote. All of it runs in a child process, in an empty folder that is its own.

    Attributes:
        name: by which it is chosen.
        about: what is damaged and what reads it, in a line.
        specimens: makes sound inputs, always the same in the same order. Heavy libraries are best imported in here.
        mutate: makes an input of one of them.
        run: reads it as a user's would be read. It may return anything or raise a SeqgenError with a reason. Whatever else it
            raises is a finding, an AssertionError too: so a target says what must hold of what was read.
        endings: of the files that can be specimens as well, for `--specimens`.
        seconds: that an input may take.
        in_worker: whether the program reads it in a process of its own, which it ends like that, with a reason, when a library
            crashes, takes too long or too much memory. Here that is no finding, and counted for itself.
        megabytes: by which the process may grow for an input.
    """

    name: str
    about: str
    specimens: Callable[[], Sequence[Case]]
    mutate: Mutate
    run: Callable[[Case], object]
    endings: frozenset[str] = frozenset()
    seconds: float = 10.0
    megabytes: int = 200
    in_worker: bool = False
