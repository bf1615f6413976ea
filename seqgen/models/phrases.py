"""Phrases: what the last symbols of a reply were, looked up at once, so that the network need not learn set phrases by heart.

The last two, three and four symbols each point by a hash to a row of one table; the rows add up, and the sum goes to the
output beside what the network says. Different phrases may share a row; then they differ in the others. These are the features
of a maximum entropy model that is trained together with the network (Mikolov et al. 2011), in as few dimensions as the output
has.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

ROWS = 8192
MULTIPLIERS = (104729, 7919, 15485863, 32452843)
"""Of the last symbol and those before it: primes, so that phrases spread over the rows."""
LONGEST = len(MULTIPLIERS)
"""Symbols of a phrase at most; two at least."""
SCALE = 0.02
"""Of the fresh table: small beside what the network says, so that it begins as if there were none."""


class Phrases(nn.Module):
    """A table of phrases.

    Args:
        features: of a row.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(ROWS, features))

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Fresh weights."""
        nn.init.normal_(self.table, std=SCALE, generator=generator)

    def forward(self, recent: Tensor) -> Tensor:
        """What the last symbols (..., LONGEST), the latest at the end, say of the next: (..., features)."""
        places = [recent[..., -1] * MULTIPLIERS[0]]
        for back in range(1, LONGEST):
            places.append(places[-1] + recent[..., -1 - back] * MULTIPLIERS[back])
        return functional.embedding(torch.stack(places[1:], dim=-1) % ROWS, self.table).sum(-2)


def windows(ids: Tensor) -> Tensor:
    """The last symbols at each step of sequences (time, batch), with document symbols before: (time, batch, LONGEST)."""
    return functional.pad(ids, (0, 0, LONGEST - 1, 0)).unfold(0, LONGEST, 1)
