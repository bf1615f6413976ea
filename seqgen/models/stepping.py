"""One symbol at a time, fast: the weights of a model prepared once for stepping.

A fused kernel prepares its weights at every call, which for a window of one symbol costs more than the step itself.
Here the products of the first layer with every embedding are a table, so that its input costs a look-up; in the other
layers input and recurrent weights are joined where the cell allows, so that a layer is one matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seqgen.models.cells import Cell, LayerState
from seqgen.models.layers import RecurrentLayer


class Stepper:
    """A model's weights, laid out for stepping.

    Args:
        embedding: (symbols, embedding).
        layers: the recurrent layers, the lowest first.
        output: (symbols, hidden).
        output_bias: (symbols,).
    """

    @torch.no_grad()
    def __init__(
        self, embedding: Tensor, layers: Sequence[RecurrentLayer], output: Tensor, output_bias: Tensor
    ) -> None:
        first = layers[0]
        self.table = torch.addmm(first.input_bias, embedding, first.input.t())  # (symbols, gates * hidden)
        self.first, self.input = first.cell, first.input.t().contiguous()
        self.recurrent = first.recurrent.t().contiguous(), first.recurrent_bias.detach()
        self.upper = [prepare(layer) for layer in layers[1:]]
        self.output = output.t().contiguous(), output_bias.detach()

    @torch.no_grad()
    def step(
        self, ids: Tensor, state: Sequence[LayerState], beside: Tensor | None = None
    ) -> tuple[Tensor, Tensor, tuple[LayerState, ...]]:
        """Reads one symbol for each row.

        Args:
            ids: (batch,).
            state: before them.
            beside: what is added to their embeddings, (batch, embedding).

        Returns:
            Logits (batch, symbols), the output of the last layer (batch, hidden), and the state after them.
        """
        matrix, bias = self.recurrent
        inputs = self.table[ids] if beside is None else torch.addmm(self.table[ids], beside, self.input)
        new = [self.first.step(inputs, torch.addmm(bias, state[0][0], matrix), state[0])]
        for layer, layer_state in zip(self.upper, state[1:], strict=True):
            new.append(layer.step(new[-1][0], layer_state))
        matrix, bias = self.output
        return torch.addmm(bias, new[-1][0], matrix), new[-1][0], tuple(new)


class Joined:
    """A layer above the first whose products with input and hidden state are one."""

    def __init__(self, layer: RecurrentLayer) -> None:
        self.cell: Cell = layer.cell
        self.weights = (
            torch.cat([layer.input, layer.recurrent], dim=1).t().contiguous()
        )  # (input + hidden, gates * hidden)
        self.bias = layer.input_bias + layer.recurrent_bias
        self.nothing = torch.zeros_like(self.bias)

    def step(self, inputs: Tensor, state: LayerState) -> LayerState:
        """Inputs (rows, input) -> the state after them."""
        both = torch.cat([inputs, state[0]], dim=-1)
        return self.cell.step(torch.addmm(self.bias, both, self.weights), self.nothing, state)


class Apart:
    """A layer above the first whose cell needs both products apart."""

    def __init__(self, layer: RecurrentLayer) -> None:
        self.cell: Cell = layer.cell
        self.input = layer.input.t().contiguous(), layer.input_bias.detach()
        self.recurrent = layer.recurrent.t().contiguous(), layer.recurrent_bias.detach()

    def step(self, inputs: Tensor, state: LayerState) -> LayerState:
        """Inputs (rows, input) -> the state after them."""
        (from_input, input_bias), (from_hidden, hidden_bias) = self.input, self.recurrent
        return self.cell.step(
            torch.addmm(input_bias, inputs, from_input), torch.addmm(hidden_bias, state[0], from_hidden), state
        )


def prepare(layer: RecurrentLayer) -> Joined | Apart:
    """A layer laid out for stepping."""
    return Joined(layer) if layer.cell.additive else Apart(layer)
