"""Training text in lanes: the order in which it is read, as a function of the random seed and the epoch."""

from __future__ import annotations

import numpy as np

from seqgen.errors import DataError
from seqgen.splits import Split
from seqgen.tokenizers import DOCUMENT, Ids

FEW_SYMBOLS = 100
OPENING_SEARCH = 1000
"""Symbols in which a stretch looks for a line end to begin at; a sixteenth of a short one."""
PROBED = 100_000
"""Symbols at the beginning of a text, in which a line ends if it has lines; else its stretches begin anywhere."""


class Lanes:
    """The training text as streams side by side, cut into windows for truncated backpropagation through time.

    Each epoch the documents are laid end to end in a new order, the ring they form is turned by a random amount and cut
    into equal stretches, which the lanes read one after another in a random order. Where a lane reads only a few windows
    at one place, what follows in the next steps is not more of the same: the network is drawn less to where it happens to
    read, and ends better. A stretch begins at the first line end or document near its place, and its first input is the
    document symbol, from the zero state: so a sample without a seed begins as lines do, and not in the middle of a word. Where
    there is none near, it begins at its place with what stands there.
    The order is a function of the random seed and the epoch alone, so a position is just (epoch, window).

    Args:
        split: the training text.
        lanes: streams side by side.
        window: symbols of each stream in a batch.
        random_seed: of the order.
        line_end: the id of the line feed, where there is one.
        stretch: windows that a lane reads at one place; 0: as many as there are.

    Raises:
        DataError: there is not one window for each lane.
    """

    def __init__(
        self,
        split: Split,
        lanes: int,
        window: int,
        random_seed: int,
        line_end: int | None = None,
        stretch: int = 0,
    ) -> None:
        self.split, self.lanes, self.window, self.random_seed = split, lanes, window, random_seed
        self._openings = [DOCUMENT] if line_end is None else [DOCUMENT, line_end]
        self._has_lines = line_end is not None and line_end in split.ids[:PROBED]
        lane_length = len(split) // lanes
        wanted = stretch * window * 16 // 15 + 2  # with the search, and a first symbol
        self.turns = max(1, lane_length // wanted) if stretch else 1
        """Stretches that a lane reads in an epoch."""
        self.stretch_length = lane_length // self.turns
        self.search = min(OPENING_SEARCH, self.stretch_length // 16)
        self.windows_per_stretch = (self.stretch_length - self.search - 1) // window  # so that none overlap
        if self.windows_per_stretch < 1:
            raise DataError(
                f"the training text has {len(split)} symbols, too few for {lanes} lanes with windows of {window}",
                hint="Bring more text: a few hundred characters at least."
                if len(split) < FEW_SYMBOLS
                else "Bring more text, or set training.lanes or training.window lower: "
                f"with {lanes} lanes a window can be {max(0, self.stretch_length - self.search - 1)} at most.",
            )
        self.windows_per_epoch = self.windows_per_stretch * self.turns
        self._at = (-1, -1)
        self._order = self._bounds = self._places = np.zeros(0, dtype=np.int64)
        self._turn = 0
        self._first: list[int] = []
        self._opens = np.zeros(0, dtype=np.bool_)

    def begins(self, window: int) -> bool:
        """Whether the lanes go on elsewhere with this window of an epoch, from the zero state."""
        return window % self.windows_per_stretch == 0

    def batch(self, epoch: int, window: int) -> tuple[Ids, Ids]:
        """Inputs and targets of one window, each of shape (time, lanes): a target is the symbol after its input."""
        turn, part = divmod(window, self.windows_per_stretch)
        if (epoch, turn) != self._at:
            self._go_to(epoch, turn)
        rows = np.stack([self._read(first + part * self.window, self.window + 1) for first in self._first], axis=1)
        if part == 0:
            rows[0, self._opens] = DOCUMENT
        return rows[:-1], rows[1:]

    def _go_to(self, epoch: int, turn: int) -> None:
        if epoch != self._at[0]:
            generator = np.random.default_rng([self.random_seed, epoch])
            self._order = generator.permutation(len(self.split.starts))
            lengths = np.diff(np.append(self.split.starts, len(self.split)))
            self._bounds = np.concatenate([[0], np.cumsum(lengths[self._order])])
            self._turn = int(generator.integers(len(self.split)))
            self._places = generator.permutation(self.lanes * self.turns) * self.stretch_length
        places = self._places[turn * self.lanes : (turn + 1) * self.lanes]
        found = [self._opening(int(place)) for place in places]
        self._first = [place for place, _ in found]
        self._opens = np.array([opens or not self._has_lines for _, opens in found])
        self._at = (epoch, turn)

    def _opening(self, place: int) -> tuple[int, bool]:
        """The first line end or document at a place or soon after it, and True; or the place itself, and False."""
        near = np.isin(self._read(place, self.search + 1), self._openings)
        return place + int(near.argmax()), bool(near.any())

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
