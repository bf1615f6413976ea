"""Texts that are banned or preferred: an automaton that follows a history and says what each next symbol would do.

It reads what symbols write (Aho and Corasick 1975): half-bytes, since rare characters are writes in them. So a text is
recognised however it is cut into symbols. Its states are the beginnings of these texts that a history may end with.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqgen.errors import UsageError

Writes = Sequence[bytes | int]
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
        halves: which symbols write but half a byte, (symbols,).
        depth: symbols of a history that decide the state.
    """

    next: Tensor
    raises: Tensor
    halves: Tensor
    depth: int

    def on(self, device: torch.device) -> Phrases:
        """The same on a device."""
        return Phrases(self.next.to(device), self.raises.to(device), self.halves.to(device), self.depth)

    def place(self, history: Tensor) -> Tensor:
        """The state after each history (batch, time); (batch,)."""
        recent = history[:, -self.depth :]
        state = torch.full((len(history),), ROOT, dtype=torch.long, device=history.device)
        if recent.shape[1] < history.shape[1] and bool(self.halves[recent[:, 0]].any()):
            before = self.halves[history[:, : -self.depth].flip(1)].long().cumprod(1).sum(1)
            state = torch.where(before % 2 == 1, ODD, state)  # the first of them ends a byte
        for ids in recent.t():
            state = self.next[state, ids]
        return state


def build_phrases(writes: Writes, ban: Sequence[bytes], prefer: Sequence[bytes], preference: float) -> Phrases | None:
    """The automaton for these texts; None where there are none.

    Args:
        writes: what each symbol writes.
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
    if len(trie.steps) * len(writes) > LARGEST:
        raise UsageError(
            f"{len(ban) + len(prefer)} texts to ban and prefer are too many for {len(writes)} symbols",
            hint="Give fewer or shorter ones.",
        )
    steps, reached = trie.over(writes, ends=set(map(_atoms, ban)))
    raises = np.where(reached, -np.inf, 0.0).astype(np.float32)
    better = math.log(preference)
    atoms_of = _AtomsOf(writes)
    for text in preferred:
        _prefer(raises, trie, atoms_of, text, better)
    depth = 2 * max(len(text) for text in (*ban, *preferred)) + 1
    halves = torch.tensor([isinstance(written, int) for written in writes])
    return Phrases(torch.from_numpy(steps), torch.from_numpy(raises), halves, depth)


def _borders(text: bytes) -> list[bytes]:
    """What must stand before a preferred text: nothing, or, where it begins in the manner of a word, space or line end."""
    return [b" ", b"\n"] if _begins_a_word(text) else [b""]


def _begins_a_word(text: bytes) -> bool:
    return text.decode("utf-8", "replace")[:1].isalnum()


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

    def over(self, writes: Writes, ends: set[tuple[int, ...]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """The state after each symbol, and whether it completes one of the texts; both (states, symbols)."""
        count = len(self.names)
        final = np.array([self._ends_with(state, ends) for state in range(count)])
        odd = np.array([state == ODD or len(name) % 2 == 1 for state, name in enumerate(self.names)])
        whole = np.where(odd, ROOT, np.arange(count))  # half a byte that bytes follow is nothing
        after = np.zeros((count, len(writes)), np.int64)
        reached = np.zeros((count, len(writes)), np.bool_)
        for symbol, written in enumerate(writes):
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


def _prefer(raises: npt.NDArray[np.float32], trie: _Trie, atoms_of: _AtomsOf, text: bytes, better: float) -> None:
    """Raises what goes on with a text, wherever a history ends with a beginning of it."""
    border = 2 if text[:1] in (b" ", b"\n") and _begins_a_word(text[1:]) else 0
    atoms = _atoms(text)
    for done in range(len(atoms)):
        least = max(0, border - done)
        fitting = [symbol for symbol, size in atoms_of.that_go_on(atoms[done:]) if size > least]
        begun = [
            state for state, name in enumerate(trie.names) if state != ODD and name[len(name) - done :] == atoms[:done]
        ]
        rows = raises[np.ix_(begun, fitting)]
        raises[np.ix_(begun, fitting)] = np.where(np.isinf(rows), rows, np.maximum(rows, better))


class _AtomsOf:
    """What symbols write in half-bytes, by the first of them."""

    def __init__(self, writes: Writes) -> None:
        self._by_first: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
        for symbol, written in enumerate(writes):
            for atoms in ((written,), (16 + written,)) if isinstance(written, int) else (_atoms(written),):
                if atoms:
                    self._by_first.setdefault(atoms[0], []).append((symbol, atoms))

    def that_go_on(self, ahead: tuple[int, ...]) -> Iterator[tuple[int, int]]:
        """The symbols that write what is ahead in a text, or the first part of it: each with how much of it."""
        for symbol, atoms in self._by_first.get(ahead[0], []):
            size = min(len(atoms), len(ahead))
            if atoms[:size] == ahead[:size]:
                yield symbol, size
