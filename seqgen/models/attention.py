"""Attention: what of a message each step of a reply looks at.

Every mechanism scores each position of the message for each step of the reply; a softmax over the positions makes weights,
and the weighted mean of what the encoder says of them is the step's context. They differ in the score alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn


class Memory(NamedTuple):
    """What a decoder may look at of some messages.

    Attributes:
        values: what the encoder says of each position, (messages, positions, hidden).
        keys: what the queries are compared with, (messages, positions, features).
        padding: True beyond the end of a message, (messages, positions).
    """

    values: Tensor
    keys: Tensor
    padding: Tensor


class Attention(Protocol):
    """One way to score positions."""

    def keys(self, values: Tensor) -> Tensor:
        """What queries are compared with: (messages, positions, hidden) -> (messages, positions, features)."""
        ...

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Scores (messages, steps, positions) of queries (messages, steps, hidden)."""
        ...

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Fresh weights."""
        ...


class Dot(nn.Module):
    """The product of query and value (Luong et al. 2015, section 3.1, "dot")."""

    def __init__(self, hidden: int) -> None:
        super().__init__()

    def keys(self, values: Tensor) -> Tensor:
        """The values themselves."""
        return values

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Products."""
        return _products(queries, keys)

    def reset_parameters(self, generator: torch.Generator) -> None:
        """There are none."""


class General(nn.Module):
    """The product of query and value with a learned matrix between them (Luong et al. 2015, section 3.1, "general")."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.empty(hidden, hidden))

    def keys(self, values: Tensor) -> Tensor:
        """The values, seen through the matrix: once for a message, not for each step."""
        return values @ self.matrix

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Products."""
        return _products(queries, keys)

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Uniform (Glorot and Bengio 2010)."""
        nn.init.xavier_uniform_(self.matrix, generator=generator)


class Bahdanau(nn.Module):
    """A small network of query and value (Bahdanau et al. 2015, appendix A.1.2), asked with the state after the step's input,
    as Luong et al. do, so that all steps of a reply are scored at once."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.from_query = nn.Parameter(torch.empty(hidden, hidden))
        self.from_value = nn.Parameter(torch.empty(hidden, hidden))
        self.weights = nn.Parameter(torch.empty(hidden))

    def keys(self, values: Tensor) -> Tensor:
        """Their share of the hidden layer."""
        return values @ self.from_value

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """The network's output; its hidden layer is (messages, steps, positions, hidden) large."""
        hidden = (queries @ self.from_query).unsqueeze(2) + keys.unsqueeze(1)
        return hidden.tanh() @ self.weights

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Uniform (Glorot and Bengio 2010)."""
        for matrix in (self.from_query, self.from_value):
            nn.init.xavier_uniform_(matrix, generator=generator)
        nn.init.uniform_(self.weights, -(len(self.weights) ** -0.5), len(self.weights) ** -0.5, generator=generator)


NO_ATTENTION = "none"
"""The name of the model without any: all that the decoder has of a message is the thought vector."""
ATTENTIONS: dict[str, type[Dot] | type[General] | type[Bahdanau]] = {
    "dot": Dot,
    "general": General,
    "bahdanau": Bahdanau,
}


def attend(attention: Attention, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
    """Contexts (messages, steps, hidden) and weights (messages, steps, positions) of queries (messages, steps, hidden)."""
    scores = attention.scores(queries, memory.keys)
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    weights = scores.masked_fill(memory.padding.unsqueeze(1), -math.inf).softmax(-1)
    return weights.to(memory.values.dtype) @ memory.values, weights


def _products(queries: Tensor, keys: Tensor) -> Tensor:
    """Divided by the root of their length (Vaswani et al. 2017, section 3.2.1): else one position soon has all the weight, for
    no good reason, and nothing is learned of the others."""
    return queries @ keys.mT / math.sqrt(queries.shape[-1])
