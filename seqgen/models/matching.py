"""Matching: which reply belongs to which message, told from what they hold, in whatever order.

A message and a reply have a gist each, the mean of what their symbols mean to the other side. Their product is high where the
reply is one for that message, and low where it would do for any other. It is learned by telling, for each message of a batch,
its own reply from those of the others (Henderson et al. 2017, section 3.3); then it estimates how many nats more likely a
reply is after this message than it is anyhow, and so does what maximum mutual information is for (Li et al. 2016).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SWIFTNESS = 3.0
"""The tables are kept so much smaller than they are read: at the rate of other embeddings they then learn as much faster.
What is learned first of a message is what it is about."""


class Matching(nn.Module):
    """The gists of messages and replies.

    Args:
        symbols: how many there are.
        features: of a gist.
    """

    def __init__(self, symbols: int, features: int) -> None:
        super().__init__()
        self.messages = nn.Parameter(torch.empty(symbols, features))
        self.replies = nn.Parameter(torch.empty(symbols, features))

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Fresh weights."""
        for table in (self.messages, self.replies):
            nn.init.normal_(table, std=1 / SWIFTNESS, generator=generator)

    def of_messages(self, ids: Tensor, real: Tensor) -> Tensor:
        """Gists (batch, features) of messages (positions, batch), without what is padding: where `real` is False."""
        return _gist(self.messages, ids, real)

    def of_replies(self, ids: Tensor, real: Tensor) -> Tensor:
        """The same of replies."""
        return _gist(self.replies, ids, real)


def _gist(table: Tensor, ids: Tensor, real: Tensor) -> Tensor:
    values = functional.embedding(ids, table) * real.unsqueeze(-1)
    return values.sum(0) * SWIFTNESS / real.sum(0).unsqueeze(-1)
