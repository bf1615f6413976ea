"""Training, validation and test text: which part of which document goes where, and what a split is once it is ids."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from seqgen.tokenizers import Ids, Tokenizer

SPLITS = ("train", "valid", "test")
MANY_DOCUMENTS = 20
"""From this many on, a corpus is split by document."""
PARTS_OF_A_SPLIT = (8, 2)
"""No group of documents fills more than an eighth of a held-out split; where documents are few, half of it."""
SMALL_ENOUGH = 0.5
"""Share of the text that must be in groups as small as that: what is held out must be like the rest."""


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


def replies_in(split: Split, tokenizer: Tokenizer) -> Split:
    """The replies alone of a split in which messages and replies take turns."""
    bounds = np.append(split.starts, len(split)).astype(np.int64)
    lengths = np.diff(bounds)
    ids = split.ids[np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)]
    starts = np.cumsum(lengths[1::2]) - lengths[1::2]
    return Split(ids, starts, tokenizer.count(ids), split.baselines)


def documents_in(split: Split, tokenizer: Tokenizer) -> Iterator[str]:
    """The documents of a split as texts; those that were cut are parts."""
    bounds = [*split.starts.tolist(), len(split)]
    return (tokenizer.decode(split.ids[first:last]) for first, last in itertools.pairwise(bounds))


@dataclass(frozen=True)
class Measured:
    """What is known of the documents before any of them is put into a split; all arrays of shape (documents,).

    Attributes:
        lengths: in characters.
        digests: 64 bits of a hash of each text.
        groups: equal for documents that are equal or nearly so, which must stay together.
    """

    lengths: Ids
    digests: npt.NDArray[np.uint64]
    groups: Ids

    def __len__(self) -> int:
        return len(self.lengths)


@dataclass(frozen=True)
class Plan:
    """Which part of which document goes where.

    Attributes:
        by: "document" or "position", how that was decided.
        where: the number of each document's split, by document; None by position.
        shares: of training, validation and test.
    """

    by: str
    where: npt.NDArray[np.int8] | None
    shares: tuple[float, float, float]

    def cut(self, document: int, length: int) -> list[tuple[str, int, int]]:
        """The parts of a document: the split, and where the part begins and ends in characters."""
        if self.where is not None:
            return [(SPLITS[self.where[document]], 0, length)]
        train, valid, test = self.shares
        bounds = [0, int(length * train + 1e-6), int(length * (train + valid) + 1e-6), length]
        if test == 0:
            bounds[2] = length
        if valid == test == 0:
            bounds[1] = length
        parts = zip(SPLITS, bounds, bounds[1:], strict=False)
        return [(name, start, stop) for name, start, stop in parts if stop > start]


def plan_split(measured: Measured, shares: tuple[float, float, float]) -> Plan:
    """Which part of which document goes where.

    By document where there are many and most of the text is in small ones: in the order of their hashes, so that it
    depends on the texts alone, and near-duplicates stay together. Large documents are for training then, so that none
    of them is most of what is measured. Else each document is cut by position: equal ones at the same place, but what two
    of them share at different places can stand on both sides.

    Args:
        measured: the documents.
        shares: of training, validation and test, adding up to 1.
    """
    if len(measured) >= MANY_DOCUMENTS:
        groups = _Groups(measured)
        largest = groups.largest_held_out(shares)
        if largest is not None:
            return Plan("document", groups.assign(shares, largest)[groups.of_document].astype(np.int8), shares)
    return Plan("position", None, shares)


class _Groups:
    """The groups of documents that stay together, in the order of the smallest hash of each."""

    def __init__(self, measured: Measured) -> None:
        _, of_document = np.unique(measured.groups, return_inverse=True)
        smallest = np.full(int(of_document.max()) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
        np.minimum.at(smallest, of_document, measured.digests)
        rank = np.empty(len(smallest), dtype=np.int64)
        rank[np.argsort(smallest, kind="stable")] = np.arange(len(smallest))
        self.of_document = rank[of_document]
        self.lengths = np.bincount(self.of_document, weights=measured.lengths, minlength=len(smallest))

    def largest_held_out(self, shares: tuple[float, float, float]) -> float | None:
        """The size up to which groups may be held out: small beside their split if most of the text is in such groups.

        None where documents are too large to be held out whole, or all the same.
        """
        held_out = [share for share in shares[1:] if share > 0]
        if not held_out:
            return None
        total = self.lengths.sum()
        needed = min(1.0, max(SMALL_ENOUGH, 2 * sum(held_out))) * total
        for part in PARTS_OF_A_SPLIT:
            limit = float(min(held_out) * total / part)
            if self.lengths[self.lengths <= limit].sum() >= needed:
                return limit
        return None

    def assign(self, shares: tuple[float, float, float], largest: float) -> npt.NDArray[np.int8]:
        """The split of each group. A larger one than that would fill a held-out split, and is left for training."""
        quotas = [share * self.lengths.sum() for share in shares]
        where = np.zeros(len(self.lengths), dtype=np.int8)
        taken = [0.0, 0.0, 0.0]
        for group in np.flatnonzero(self.lengths <= largest):
            split = next((split for split in (1, 2) if taken[split] < quotas[split]), 0)
            if split == 0:
                break
            where[group] = split
            taken[split] += self.lengths[group]
        return where
