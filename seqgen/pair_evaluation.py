"""How well a model of replies predicts them, given their messages."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqgen.machine import DTYPES
from seqgen.models import Model
from seqgen.pairs import Pairs
from seqgen.splits import Split
from seqgen.tokenizers import Ids, Tokenizer

BATCH_SYMBOLS = 8192
"""Symbols of the messages and replies that are read at once; padding is counted."""


class ReadPairs(NamedTuple):
    """What was read of a split.

    Attributes:
        pairs: all pairs of it.
        read: which of them were read.
        nats: the surprise of each symbol of their replies, and of the ends of these.
        right: whether each was the likeliest.
    """

    pairs: Pairs
    read: Ids
    nats: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]

    def text(self, tokenizer: Tokenizer) -> tuple[int, int]:
        """The characters and the words of the replies; each end counts as a word."""
        replies = [tokenizer.decode(self.pairs.reply(pair)) for pair in self.read.tolist()]
        return sum(map(len, replies)), sum(len(reply.split()) + 1 for reply in replies)


@torch.inference_mode()
def read_pairs(model: Model, split: Split, symbols: int | None = None, dtype: str = "float32") -> ReadPairs:
    """Reads replies to given messages.

    Args:
        model: in evaluation mode.
        split: of a corpus of replies.
        symbols: so many of messages and replies together, about; None: all.
        dtype: of the arithmetic.
    """
    pairs, device = Pairs(split), model.device
    read = np.arange(len(pairs))
    if symbols is not None and symbols < len(split):  # some from everywhere, since neighbours are alike
        count = max(1, round(len(pairs) * symbols / len(split)))
        read = read[:count] * len(pairs) // count
    nats, right = [np.zeros(0)], [np.zeros(0, dtype=np.bool_)]
    for batch in pairs.batches(BATCH_SYMBOLS, read):
        exchanges = pairs.exchanges(batch, device)
        with torch.autocast(torch.device(device).type, DTYPES[dtype], enabled=dtype != "float32"):
            logits = model(exchanges)
        log_p = logits.float().log_softmax(-1)
        targets = exchanges.targets[exchanges.wanted]
        nats.append(surprise(log_p, targets))
        right.append(guessed(log_p, targets))
    return ReadPairs(pairs, read, np.concatenate(nats), np.concatenate(right))


def surprise(log_p: Tensor, targets: Tensor) -> npt.NDArray[np.float64]:
    """Nats of each target (...), given log-probabilities (..., symbols)."""
    return -log_p.gather(-1, targets.unsqueeze(-1)).squeeze(-1).cpu().double().numpy()


def guessed(log_p: Tensor, targets: Tensor) -> npt.NDArray[np.bool_]:
    """Whether each target is the likeliest symbol."""
    return (log_p.argmax(-1) == targets).cpu().numpy()
