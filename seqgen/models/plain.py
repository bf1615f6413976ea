"""A recurrent network as bare matrices, for who steps it by other means than torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


class PlainLayer(NamedTuple):
    """The weights of one layer, as in `models/cells.py`; the first layer has no input: `PlainNetwork.table` stands for it."""

    input: Tensor | None
    input_bias: Tensor | None
    recurrent: Tensor
    recurrent_bias: Tensor


@dataclass(frozen=True)
class PlainNetwork:
    """Recurrent layers between a table of symbols and a linear output, and nothing else.

    Attributes:
        cell: its name in `CELLS`.
        hidden: units of a layer.
        table: what the first layer makes of each symbol, its input bias included, (symbols, gates * hidden).
        layers: the lowest first.
        output: (symbols, hidden).
        output_bias: (symbols,).
    """

    cell: str
    hidden: int
    table: Tensor
    layers: tuple[PlainLayer, ...]
    output: Tensor
    output_bias: Tensor
