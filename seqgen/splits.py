"""Training, validation and test text: which part of which document goes where, and what a split is once it is ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from seqgen.tokenizers import Ids

SPLITS = ("train", "valid", "test")
MANY_DOCUMENTS = 20
"""From this many on, a corpus is split by document."""


@dataclass(frozen=True)
class Split:
    """One part of a corpus as ids, each document opened by the document symbol.

    Attributes:
        ids: memory-mapped unsigned integers, shape (symbols,).
        starts: where each document begins, shape (documents,).
        characters: how many characters of text the ids stand for.
        baselines: what simple models that learned from the training split need for this one, in bits per character.
    """

    ids: npt.NDArray[Any]
    starts: Ids
    characters: int
    baselines: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Piece:
    """A stretch of one document, in characters, and the split that it belongs to."""

    document: int
    start: int
    stop: int
    split: str


def plan_split(measured: Sequence[tuple[int, bytes]], shares: tuple[float, float, float]) -> tuple[list[Piece], str]:
    """Which part of which document goes where, and in words how that was decided.

    By document where there are many and none is too large: in the order of their hashes, so that it depends on the
    texts alone, and equal documents stay together. Else each document is cut by position; equal ones at the same place.

    Args:
        measured: length in characters and hash of each document.
        shares: of training, validation and test, adding up to 1.
    """
    if len(measured) >= MANY_DOCUMENTS and _can_split_by_document(measured, shares):
        return _split_by_document(measured, shares), "document"
    pieces = []
    for index, (length, _) in enumerate(measured):
        bounds = [0, int(length * shares[0] + 1e-6), int(length * (shares[0] + shares[1]) + 1e-6), length]
        if shares[2] == 0:
            bounds[2] = length
        if shares[1] == shares[2] == 0:
            bounds[1] = length
        pieces += [
            Piece(index, start, stop, name)
            for name, start, stop in zip(SPLITS, bounds, bounds[1:], strict=False)
            if stop > start
        ]
    return pieces, "position"


def _can_split_by_document(measured: Sequence[tuple[int, bytes]], shares: tuple[float, float, float]) -> bool:
    """Whether no document is too large for that, and enough is left without what is too large because it was copied."""
    held_out = [share for share in shares[1:] if share > 0]
    if not held_out:
        return False
    copies = _copies(measured)
    total = sum(copies.values())
    limit = min(held_out) * total / 2
    small = sum(length for length in copies.values() if length <= limit)
    return max(length for length, _ in measured) <= limit and small >= min(1.0, 2 * sum(held_out)) * total


def _copies(measured: Sequence[tuple[int, bytes]]) -> dict[bytes, int]:
    """The length of all equal documents together, by their hash, in the order of the hashes."""
    lengths: dict[bytes, int] = {}
    for length, digest in sorted(measured, key=lambda document: document[1]):
        lengths[digest] = lengths.get(digest, 0) + length
    return lengths


def _split_by_document(measured: Sequence[tuple[int, bytes]], shares: tuple[float, float, float]) -> list[Piece]:
    copies = _copies(measured)
    total = sum(copies.values())
    where = dict.fromkeys(copies, "train")
    taken = {"valid": 0, "test": 0}
    quota = {"valid": shares[1] * total, "test": shares[2] * total}
    for digest, length in copies.items():
        for name in taken:  # what was copied too often would fill a split by itself, and is left for training
            if taken[name] < quota[name] and length <= quota[name] / 2:
                where[digest] = name
                taken[name] += length
                break
    return [Piece(index, 0, length, where[digest]) for index, (length, digest) in enumerate(measured)]
