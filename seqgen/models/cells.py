"""The recurrent cells: each as equations that step once, and as the fused kernel that runs a whole window.

Weights are laid out as in ``torch.nn.LSTM``, ``GRU`` and ``RNN``: the gates' rows lie one below the other, in the order
of ``Cell.gates``. For a layer of H units fed by I numbers and a cell of G gates:

    input (G*H, I)    recurrent (G*H, H)    input_bias (G*H)    recurrent_bias (G*H)

A cell is one class here and one line in ``CELLS``.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from seqgen.native import windows

LayerState = tuple[Tensor, ...]
"""What a layer remembers: the hidden state first, then the cell state where there is one; each (batch, hidden)."""


class Weights(NamedTuple):
    """The parameters of one layer, in the order in which torch's kernels take them."""

    input: Tensor
    recurrent: Tensor
    input_bias: Tensor
    recurrent_bias: Tensor


class Cell(Protocol):
    """One kind of recurrent cell."""

    gates: tuple[str, ...]
    states: int
    """How many tensors a layer's state has."""
    additive: bool
    """Whether a step needs only the sum of what input and hidden state contribute, so that both products can be one."""

    def compiles(self, hidden: int) -> bool:
        """Whether the compiled path runs windows of a layer of so many units on this machine."""
        ...

    def step(self, from_input: Tensor, from_hidden: Tensor, state: LayerState) -> LayerState:
        """One time step.

        Args:
            from_input: W x + b of the input, shape (batch, gates * hidden).
            from_hidden: U h + b of the previous hidden state, of the same shape.
            state: the previous state.
        """
        ...

    def run(self, inputs: Tensor, state: LayerState, weights: Weights, training: bool) -> tuple[Tensor, LayerState]:
        """A window at once: inputs (time, batch, input) -> hidden states (time, batch, hidden) and the last state."""
        ...

    def run_compiled(self, inputs: Tensor, state: LayerState, weights: Weights) -> tuple[Tensor, LayerState]:
        """The same in training and in bfloat16, by the compiled path."""
        ...


class LSTM:
    """Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate: Gers et al. 2000)."""

    gates: tuple[str, ...] = ("input", "forget", "cell", "output")
    states = 2
    additive = True

    def compiles(self, hidden: int) -> bool:
        """Where there is a C compiler, and a processor that multiplies bfloat16."""
        return windows.fits(hidden)

    def step(self, from_input: Tensor, from_hidden: Tensor, state: LayerState) -> LayerState:
        """Equations: c' = f * c + i * g and h' = o * tanh(c')."""
        _, cell = state
        gates = from_input + from_hidden
        input_gate, forget_gate, _, output_gate = gates.sigmoid().chunk(4, dim=-1)  # all at once: one call is cheaper
        candidate = gates.narrow(-1, 2 * cell.shape[-1], cell.shape[-1]).tanh()
        cell = torch.addcmul(forget_gate * cell, input_gate, candidate)
        return output_gate * cell.tanh(), cell

    def run(self, inputs: Tensor, state: LayerState, weights: Weights, training: bool) -> tuple[Tensor, LayerState]:
        """The fused kernel."""
        hidden, cell = state
        outputs, hidden, cell = torch.lstm(
            inputs, (hidden.unsqueeze(0), cell.unsqueeze(0)), weights, True, 1, 0.0, training, False, False
        )
        return outputs, (hidden.squeeze(0), cell.squeeze(0))

    def run_compiled(self, inputs: Tensor, state: LayerState, weights: Weights) -> tuple[Tensor, LayerState]:
        """See `native/windows.py`."""
        bias = weights.input_bias + weights.recurrent_bias
        return windows.run_lstm(inputs, state, weights.input, weights.recurrent, bias)


class _NotCompiled:
    """A cell without a compiled path."""

    def compiles(self, hidden: int) -> bool:
        """Never."""
        return False

    def run_compiled(self, inputs: Tensor, state: LayerState, weights: Weights) -> tuple[Tensor, LayerState]:
        """Not to be asked for."""
        raise NotImplementedError


class GRU(_NotCompiled):
    """Gated recurrent unit (Cho et al. 2014), with the reset gate after the product as in cuDNN."""

    gates: tuple[str, ...] = ("reset", "update", "new")
    states = 1
    additive = False

    def step(self, from_input: Tensor, from_hidden: Tensor, state: LayerState) -> LayerState:
        """Equations: n = tanh(Wx + r * Uh) and h' = (1 - z) * n + z * h."""
        (hidden,) = state
        reset_x, update_x, new_x = from_input.chunk(3, dim=-1)
        reset_h, update_h, new_h = from_hidden.chunk(3, dim=-1)
        reset = (reset_x + reset_h).sigmoid()
        update = (update_x + update_h).sigmoid()
        new = (new_x + reset * new_h).tanh()
        return (new + update * (hidden - new),)

    def run(self, inputs: Tensor, state: LayerState, weights: Weights, training: bool) -> tuple[Tensor, LayerState]:
        """The fused kernel."""
        outputs, hidden = torch.gru(inputs, state[0].unsqueeze(0), weights, True, 1, 0.0, training, False, False)
        return outputs, (hidden.squeeze(0),)


class RNN(_NotCompiled):
    """The plain recurrent network with tanh (Elman 1990)."""

    gates: tuple[str, ...] = ("new",)
    states = 1
    additive = True

    def step(self, from_input: Tensor, from_hidden: Tensor, state: LayerState) -> LayerState:
        """Equation: h' = tanh(Wx + Uh)."""
        return ((from_input + from_hidden).tanh(),)

    def run(self, inputs: Tensor, state: LayerState, weights: Weights, training: bool) -> tuple[Tensor, LayerState]:
        """The fused kernel."""
        outputs, hidden = torch.rnn_tanh(inputs, state[0].unsqueeze(0), weights, True, 1, 0.0, training, False, False)
        return outputs, (hidden.squeeze(0),)


CELLS: dict[str, Cell] = {"lstm": LSTM(), "gru": GRU(), "rnn": RNN()}
