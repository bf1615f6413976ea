"""Training text in lanes: the order in which it is read, as a function of the random seed and the epoch."""

from __future__ import annotations

import numpy as np

from seqgen.errors import DataError
from seqgen.splits import Split
from seqgen.tokenizers import DOCUMENT, Ids

FEW_SYMBOLS = 100
OPENING_SEARCH = 1000
"""Symbols in which a lane looks for a line end to begin at; an eighth of a short lane."""


class Lanes:
    """The training text as streams side by side, cut into windows for truncated backpropagation through time.

    Each epoch the documents are laid end to end in a new order, the ring they form is turned by a random amount and cut
    into equal lanes. A lane begins at the first line end or document near its place, and its first input is the document
    symbol, from the zero state: so a sample without a seed begins as lines do, and not in the middle of a word.
    The order is a function of the random seed and the epoch alone, so a position is just (epoch, window).

    Args:
        split: the training text.
        lanes: streams side by side.
        window: symbols of each stream in a batch.
        random_seed: of the order.
        line_end: the id of the line feed, where there is one.

    Raises:
        DataError: there is not one window for each lane.
    """

    def __init__(self, split: Split, lanes: int, window: int, random_seed: int, line_end: int | None = None) -> None:
        self.split, self.lanes, self.window, self.random_seed = split, lanes, window, random_seed
        self._openings = [DOCUMENT] if line_end is None else [DOCUMENT, line_end]
        self.lane_length = len(split) // lanes
        self.search = min(OPENING_SEARCH, self.lane_length // 8)
        self.windows_per_epoch = (self.lane_length - self.search - 1) // window  # so that lanes never overlap
        if self.windows_per_epoch < 1:
            raise DataError(
                f"the training text has {len(split)} symbols, too few for {lanes} lanes with windows of {window}",
                hint="Bring more text: a few hundred characters at least."
                if len(split) < FEW_SYMBOLS
                else "Bring more text, or set training.lanes or training.window lower: "
                f"with {lanes} lanes a window can be {max(0, self.lane_length - self.search - 1)} at most.",
            )
        self._epoch = -1
        self._order = self._bounds = np.zeros(0, dtype=np.int64)
        self._turn = 0
        self._first: list[int] = []

    def batch(self, epoch: int, window: int) -> tuple[Ids, Ids]:
        """Inputs and targets of one window, each of shape (time, lanes): a target is the symbol after its input."""
        if epoch != self._epoch:
            self._lay_out(epoch)
        rows = np.stack([self._read(first + window * self.window, self.window + 1) for first in self._first], axis=1)
        if window == 0:
            rows[0] = DOCUMENT
        return rows[:-1], rows[1:]

    def _lay_out(self, epoch: int) -> None:
        generator = np.random.default_rng([self.random_seed, epoch])
        self._order = generator.permutation(len(self.split.starts))
        lengths = np.diff(np.append(self.split.starts, len(self.split)))
        self._bounds = np.concatenate([[0], np.cumsum(lengths[self._order])])
        self._turn = int(generator.integers(len(self.split)))
        self._first = [self._opening(lane * self.lane_length) for lane in range(self.lanes)]
        self._epoch = epoch

    def _opening(self, place: int) -> int:
        """The first line end or document at a place or soon after it; the place itself where there is none."""
        near = np.isin(self._read(place, self.search + 1), self._openings)
        return place + int(near.argmax())

    def _read(self, position: int, length: int) -> Ids:
        """A stretch of the ring of documents, shape (length,)."""
        parts, total = [], len(self.split)
        position = (position + self._turn) % total
        while length > 0:
            place = int(np.searchsorted(self._bounds, position, side="right")) - 1
            taken = min(length, int(self._bounds[place + 1]) - position)
            start = int(self.split.starts[self._order[place]]) + position - int(self._bounds[place])
            parts.append(self.split.ids[start : start + taken])
            length, position = length - taken, (position + taken) % total
        return np.concatenate(parts).astype(np.int64)
