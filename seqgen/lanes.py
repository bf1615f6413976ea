"""Training text in lanes: the order in which it is read, as a function of the random seed and the epoch."""

from __future__ import annotations

import numpy as np

from seqgen.errors import DataError
from seqgen.splits import Split
from seqgen.tokenizers import DOCUMENT, Ids


class Lanes:
    """The training text as streams side by side, cut into windows for truncated backpropagation through time.

    Each epoch the documents are laid end to end in a new order, the ring they form is turned by a random amount and cut
    into equal lanes. A lane's first input is the document symbol, and its state begins at zero there.
    The order is a function of the random seed and the epoch alone, so a position is just (epoch, window).
    """

    def __init__(self, split: Split, lanes: int, window: int, random_seed: int) -> None:
        self.split, self.lanes, self.window, self.random_seed = split, lanes, window, random_seed
        self.lane_length = len(split) // lanes
        self.windows_per_epoch = (self.lane_length - 1) // window
        if self.windows_per_epoch < 1:
            raise DataError(
                f"the training text has {len(split)} symbols, too few for {lanes} lanes with windows of {window}",
                hint=f"Bring more text, or set training.lanes x (training.window + 1) to {len(split)} at most.",
            )
        self._epoch = -1
        self._order = self._bounds = np.zeros(0, dtype=np.int64)
        self._turn = 0

    def batch(self, epoch: int, window: int) -> tuple[Ids, Ids]:
        """Inputs and targets of one window, each of shape (time, lanes): a target is the symbol after its input."""
        if epoch != self._epoch:
            self._lay_out(epoch)
        first = window * self.window
        rows = np.stack(
            [self._read(lane * self.lane_length + first, self.window + 1) for lane in range(self.lanes)], axis=1
        )
        if window == 0:
            rows[0] = DOCUMENT
        return rows[:-1], rows[1:]

    def _lay_out(self, epoch: int) -> None:
        generator = np.random.default_rng([self.random_seed, epoch])
        self._order = generator.permutation(len(self.split.starts))
        lengths = np.diff(np.append(self.split.starts, len(self.split)))
        self._bounds = np.concatenate([[0], np.cumsum(lengths[self._order])])
        self._turn = int(generator.integers(len(self.split)))
        self._epoch = epoch

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
