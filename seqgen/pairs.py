"""Messages and replies as batches: pairs of nearly equal lengths together, as many as a number of symbols allows.

In a split of a corpus of replies the document symbol opens messages and replies in turn. So the end of each is the
beginning of what follows, and that symbol is the end mark of both.
"""

from __future__ import annotations

import numpy as np
import torch

from seqgen.errors import DataError
from seqgen.models.reply import Exchanges
from seqgen.splits import Split
from seqgen.tokenizers import DOCUMENT, Ids

LEAST_FOR_ECHO = 3
"""Pairs whose lengths can correlate."""
STEP, RATIO = 2, 1.2
"""Between the lengths to which messages and replies are padded, the larger of the two. For each new shape of a batch torch
prepares its kernels anew, which can take longer than to run them. With these there are some sixty shapes, 4 % more padding."""


def echo_of(split: Split) -> float:
    """How far the lengths of replies follow those of their messages: their correlation, 0 where there is none."""
    messages, replies = Pairs(split).lengths.T.astype(np.float64)
    if len(messages) < LEAST_FOR_ECHO or messages.std() == 0 or replies.std() == 0:
        return 0.0
    return float(np.corrcoef(messages, replies)[0, 1])


class Pairs:
    """The pairs of a split.

    Args:
        split: messages and replies in turn.
        longest: symbols of a message or a reply that are read at most; None: all.
    """

    def __init__(self, split: Split, longest: int | None = None) -> None:
        self.split = split
        bounds = np.append(split.starts, len(split)).astype(np.int64)
        lengths = np.minimum(np.diff(bounds) - 1, longest or len(split))  # without the document symbol
        self._starts = bounds[:-1].reshape(-1, 2) + 1
        self.lengths: Ids = lengths.reshape(-1, 2)
        """Of message and reply, (pairs, 2)."""

    def __len__(self) -> int:
        return len(self.lengths)

    def message(self, pair: int) -> Ids:
        """The ids of a message."""
        return self._ids(pair, 0)

    def reply(self, pair: int) -> Ids:
        """The ids of a reply."""
        return self._ids(pair, 1)

    def exchanges(self, pairs: Ids, device: str | torch.device = "cpu") -> Exchanges:
        """These pairs as one batch."""
        lengths = self.lengths[pairs]
        messages, replies = (
            self._table(pairs, side, longest) for side, longest in enumerate(_padded(lengths.max(0) + 1))
        )
        inputs = np.roll(replies, 1, axis=0)  # the last row is a document symbol in each column
        wanted = np.arange(len(replies))[:, None] <= lengths[:, 1]
        parts = (messages, lengths[:, 0] + 1, inputs, replies, wanted)
        return Exchanges(*(torch.from_numpy(part).to(device) for part in parts))

    def batches(self, symbols: int, order: Ids) -> list[Ids]:
        """All pairs in batches of nearly equal lengths, none of them with more symbols than `symbols`, padding counted, unless
        one pair alone has more.

        Pairs stand by the padded lengths of their replies, then of their messages, the longest first: so that all but the last
        batch of those lengths have the same shape.

        Args:
            symbols: of the messages and replies in a batch at most.
            order: of the pairs: where lengths are equal, it says who comes first. The sizes of the batches do not depend on it.
        """
        messages, replies = _padded(self.lengths[order] + 1).T
        by_length = np.lexsort((-messages, replies))
        ordered = order[by_length]
        batches: list[Ids] = []
        first, widest = 0, 0
        sides = zip(messages[by_length].tolist(), replies[by_length].tolist(), strict=True)
        for place, (message, reply) in enumerate(sides):  # replies never become shorter
            wider = message if message > widest else widest
            if (wider + reply) * (place + 1 - first) > symbols and place > first:
                batches.append(ordered[first:place])
                first, wider = place, message
            widest = wider
        return [*batches, ordered[first:]] if len(ordered) else []

    def _ids(self, pair: int, side: int) -> Ids:
        start = int(self._starts[pair, side])
        return self.split.ids[start : start + int(self.lengths[pair, side])]

    def _table(self, pairs: Ids, side: int, positions: int) -> Ids:
        """One side of these pairs, (positions, batch), with document symbols at the end."""
        table = np.full((positions, len(pairs)), DOCUMENT, dtype=np.int64)
        for column, pair in enumerate(pairs.tolist()):
            ids = self._ids(pair, side)
            table[: len(ids), column] = ids
        return table


class PairBatches:
    """The training pairs in batches, in an order that is a function of the random seed and the epoch alone.

    Args:
        split: the training text.
        symbols: of a batch at most.
        longest: of a message or a reply.
        random_seed: of the order.

    Raises:
        DataError: there are no pairs.
    """

    def __init__(self, split: Split, symbols: int, longest: int, random_seed: int) -> None:
        self.pairs, self.symbols, self.random_seed = Pairs(split, longest), symbols, random_seed
        if not len(self.pairs):
            raise DataError("there is no pair to train on", hint="Bring more messages with replies.")
        self._batches = self.pairs.batches(symbols, np.arange(len(self.pairs)))
        self.steps_per_epoch = len(self._batches)
        self.symbols_per_step = len(split) / self.steps_per_epoch
        self._epoch = -1

    def begins(self, step: int) -> bool:
        """An epoch's first batch; what follows has no state to carry either."""
        return step == 0

    def batch(self, epoch: int, step: int) -> Exchanges:
        """The pairs of a step."""
        if epoch != self._epoch:
            generator = np.random.default_rng([self.random_seed, epoch])
            batches = self.pairs.batches(self.symbols, generator.permutation(len(self.pairs)))
            self._batches = [batches[place] for place in generator.permutation(len(batches))]
            self._epoch = epoch
        return self.pairs.exchanges(self._batches[step])


def _padded(lengths: Ids) -> Ids:
    """The lengths to which sequences of these lengths are padded."""
    steps = [1]
    while steps[-1] < lengths.max(initial=1):
        steps.append(max(steps[-1] + STEP, int(RATIO * steps[-1])))
    padded: Ids = np.array(steps)[np.searchsorted(steps, lengths)]
    return padded
