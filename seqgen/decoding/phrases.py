"""Texts that are banned or preferred: an automaton that follows a history and says what each next symbol would do.

It reads what symbols write (Aho and Corasick 1975): half-bytes, since rare characters are spelled in them. So a text is
recognised however it is cut into symbols. Its states are the beginnings of these texts that a history may end with.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqgen.errors import UsageError

Spelled = Sequence[bytes | int]
"""What each symbol writes: bytes, or the value of one half of a byte."""
LARGEST = 1 << 24
"""States times symbols of an automaton."""
ROOT, ODD = 0, 1
"""The states in which no text has begun: between two bytes, and in the midst of one."""
_ATOMS = 32
"""Half-bytes: 16 high ones, 16 low ones."""


@dataclass(frozen=True)
class Phrases:
    """The automaton over symbols.

    Attributes:
        next: the state after each symbol, (states, symbols).
        raises: what is added to the logit of each symbol, minus infinity where it would complete a banned text;
            (states, symbols).
        depth: symbols of a history that decide the state.
    """

    next: Tensor
    raises: Tensor
    depth: int

    def place(self, history: Tensor) -> Tensor:
        """The state after each history (batch, time); (batch,)."""
        steps = self.next.to(history.device)
        state = torch.zeros(len(history), dtype=torch.long, device=history.device)
        for ids in history[:, -self.depth :].t():
            state = steps[state, ids]
        return state


def build_phrases(spelled: Spelled, ban: Sequence[bytes], prefer: Sequence[bytes], preference: float) -> Phrases | None:
    """The automaton for these texts; None where there are none.

    Args:
        spelled: what each symbol writes.
        ban: never completed.
        prefer: begun and gone on with more often. One that begins with a letter is begun only after something else.
        preference: how many times as likely what begins or continues them becomes.

    Raises:
        UsageError: they are too many.
    """
    preferred = [border + text for text in prefer for border in _borders(text)]
    if not ban and not preferred:
        return None
    trie = _Trie([*map(_atoms, ban), *map(_atoms, preferred)])
    if len(trie.steps) * len(spelled) > LARGEST:
        raise UsageError(
            f"{len(ban) + len(prefer)} texts to ban and prefer are too many for {len(spelled)} symbols",
            hint="Give fewer or shorter ones.",
        )
    steps, reached = trie.over(spelled, ends=set(map(_atoms, ban)))
    raises = np.where(reached, -np.inf, 0.0).astype(np.float32)
    better = math.log(preference)
    for text in preferred:
        _prefer(raises, trie, spelled, text, better)
    depth = 2 * max(len(text) for text in (*ban, *preferred)) + 1
    return Phrases(torch.from_numpy(steps), torch.from_numpy(raises), depth)


def _borders(text: bytes) -> list[bytes]:
    """What must stand before a preferred text: nothing, or, where it begins in the manner of a word, space or line end."""
    return [b" ", b"\n"] if text[:1].isalnum() else [b""]


def _atoms(text: bytes) -> tuple[int, ...]:
    return tuple(half for byte in text for half in (byte >> 4, 16 + (byte & 15)))


class _Trie:
    """The beginnings of texts, and where each half-byte leads from there.

    Attributes:
        names: the beginning that each state stands for.
        steps: (states, half-bytes).
    """

    def __init__(self, texts: Sequence[tuple[int, ...]]) -> None:
        self.names: list[tuple[int, ...]] = [(), ()]
        known: dict[tuple[int, ...], int] = {(): ROOT}
        for text in texts:
            for size in range(1, len(text) + 1):
                if text[:size] not in known:
                    known[text[:size]] = len(self.names)
                    self.names.append(text[:size])
        self.steps = np.zeros((len(self.names), _ATOMS), np.int64)
        self.steps[:, :16] = ODD
        self.falls = [ROOT] * len(self.names)  # the longest other beginning that a state ends with
        waiting = deque([ROOT])
        while waiting:
            state = waiting.popleft()
            name, fall = self.names[state], self.falls[state]
            if state != ROOT:
                self.steps[state] = self.steps[fall]
            for atom in range(_ATOMS):
                child = known.get((*name, atom))
                if child is not None:
                    self.falls[child] = int(self.steps[state, atom])
                    self.steps[state, atom] = child
                    waiting.append(child)

    def over(self, spelled: Spelled, ends: set[tuple[int, ...]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """The state after each symbol, and whether it completes one of the texts; both (states, symbols)."""
        count = len(self.names)
        final = np.array([self._ends_with(state, ends) for state in range(count)])
        odd = np.array([state == ODD or len(name) % 2 == 1 for state, name in enumerate(self.names)])
        whole = np.where(odd, ROOT, np.arange(count))  # half a byte that bytes follow is nothing
        after = np.zeros((count, len(spelled)), np.int64)
        reached = np.zeros((count, len(spelled)), np.bool_)
        for symbol, written in enumerate(spelled):
            if isinstance(written, int):
                state = self.steps[np.arange(count), np.where(odd, 16 + written, written)]
                reached[:, symbol] = final[state]
            else:
                state = whole if written else np.zeros(count, np.int64)
                for atom in _atoms(written):
                    state = self.steps[state, atom]
                    reached[:, symbol] |= final[state]
            after[:, symbol] = state
        return after, reached

    def _ends_with(self, state: int, ends: set[tuple[int, ...]]) -> bool:
        while state not in (ROOT, ODD):
            if self.names[state] in ends:
                return True
            state = self.falls[state]
        return False


def _prefer(raises: npt.NDArray[np.float32], trie: _Trie, spelled: Spelled, text: bytes, better: float) -> None:
    """Raises what goes on with a text, wherever a history ends with a beginning of it."""
    border = 2 if text[:1] in (b" ", b"\n") and text[1:2].isalnum() else 0
    atoms = _atoms(text)
    for done in range(len(atoms)):
        ahead = atoms[done:]
        fitting = np.array([_goes_on(ahead, written, done % 2, border - done) for written in spelled])
        begun = np.array(
            [trie.names[state][len(trie.names[state]) - done :] == atoms[:done] for state in range(len(raises))]
        )
        begun[ODD] = False
        rows = raises[begun]
        rows[:, fitting] = np.maximum(rows[:, fitting], np.where(np.isinf(rows[:, fitting]), -np.inf, better))
        raises[begun] = rows


def _goes_on(ahead: tuple[int, ...], written: bytes | int, odd: int, border: int) -> bool:
    """Whether a symbol writes what is ahead in a text, or the first part of it, and more of it than the border."""
    atoms = (16 + written if odd else written,) if isinstance(written, int) else _atoms(written)
    size = min(len(atoms), len(ahead))
    return size > max(0, border) and atoms[:size] == ahead[:size]
