"""A recurrent layer with its weights and its dropout, and the state that a stack of them carries."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seqgen.models.cells import Cell, LayerState, Weights


@dataclass(frozen=True)
class State:
    """What a model remembers between symbols. Only the model that made it looks inside.

    Attributes:
        layers: for each layer its tensors, each (batch, hidden).
        registers: what `models/registers.py` follows, each (batch, registers); empty where the symbols write to none.
    """

    layers: tuple[LayerState, ...]
    registers: tuple[Tensor, ...] = ()

    def select(self, rows: Tensor) -> State:
        """The state of these rows of the batch, in this order; a row may be taken more than once."""
        return self._map(lambda tensor: tensor.index_select(0, rows))

    def detach(self) -> State:
        """The same values without their history, for truncated backpropagation."""
        return self._map(Tensor.detach)

    def _map(self, change: Callable[[Tensor], Tensor]) -> State:
        layers = tuple(tuple(change(tensor) for tensor in layer) for layer in self.layers)
        return State(layers, tuple(change(tensor) for tensor in self.registers))

    def tensors(self) -> dict[str, Tensor]:
        """The state under names, for a checkpoint."""
        groups = [*((str(number), layer) for number, layer in enumerate(self.layers)), ("registers", self.registers)]
        return {f"{name}.{index}": tensor for name, group in groups for index, tensor in enumerate(group)}

    def with_tensors(self, tensors: dict[str, Tensor]) -> State:
        """A state of the same structure with the values that `tensors` once gave, of the type that they have."""
        layers = (
            tuple(tensors[f"{number}.{index}"].to(tensor.device) for index, tensor in enumerate(layer))
            for number, layer in enumerate(self.layers)
        )
        registers = (tensors[f"registers.{index}"].to(tensor.device) for index, tensor in enumerate(self.registers))
        return State(tuple(layers), tuple(registers))


class RecurrentLayer(nn.Module):
    """One layer of a recurrent network, with dropped recurrent weights in training (Merity et al. 2018, section 2)."""

    def __init__(self, cell: Cell, inputs: int, hidden: int, weight_dropout: float) -> None:
        super().__init__()
        rows = len(cell.gates) * hidden
        self.cell, self.hidden, self.weight_dropout = cell, hidden, weight_dropout
        self.compiled = False
        """Whether the compiled path runs it in training."""
        self.input = nn.Parameter(torch.empty(rows, inputs))
        self.recurrent = nn.Parameter(torch.empty(rows, hidden))
        self.input_bias = nn.Parameter(torch.empty(rows))
        self.recurrent_bias = nn.Parameter(torch.empty(rows))

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Orthogonal recurrent weights (Saxe et al. 2014), uniform input weights (Glorot and Bengio 2010), forget-gate
        bias 1 (Jozefowicz et al. 2015); gate by gate."""
        nn.init.zeros_(self.input_bias)
        nn.init.zeros_(self.recurrent_bias)
        for number, gate in enumerate(self.cell.gates):
            rows = slice(number * self.hidden, (number + 1) * self.hidden)
            nn.init.xavier_uniform_(self.input.data[rows], generator=generator)
            nn.init.orthogonal_(self.recurrent.data[rows], generator=generator)
            if gate == "forget":
                nn.init.ones_(self.input_bias.data[rows])

    def forward(self, inputs: Tensor, state: LayerState, noise: torch.Generator | None) -> tuple[Tensor, LayerState]:
        """Inputs (time, batch, input) -> hidden states (time, batch, hidden) and the last state.

        Args:
            inputs: what the layer reads.
            state: where it left off.
            noise: draws the dropped weights; None outside training.
        """
        recurrent: Tensor = self.recurrent
        if noise is not None and self.weight_dropout > 0:
            recurrent = recurrent * weight_mask(recurrent.shape, self.weight_dropout, noise)
        weights = Weights(self.input, recurrent, self.input_bias, self.recurrent_bias)
        if self.compiled and self.training:
            return self.cell.run_compiled(inputs, state, weights)
        return self.cell.run(inputs, state, weights, self.training)

    def zero_state(self, batch: int) -> LayerState:
        """The state before anything was read."""
        return tuple(self.recurrent.new_zeros(batch, self.hidden) for _ in range(self.cell.states))


def keep_mask(shape: tuple[int, ...] | torch.Size, dropout: float, noise: torch.Generator) -> Tensor:
    """Zeros with probability `dropout`, else 1 / (1 - dropout), so that the mean stays."""
    return (torch.rand(shape, generator=noise, device=noise.device) >= dropout).float().div_(1 - dropout)


def weight_mask(shape: torch.Size, dropout: float, noise: torch.Generator) -> Tensor:
    """What `keep_mask` is, for matrices of weights: each is kept by what a byte says, since to draw a number for each of so many
    takes long. So the share that is dropped is a whole number of 256ths, at least one."""
    if noise.device.type != "cpu":  # where numbers are drawn side by side, and not all devices draw 64 bits
        return keep_mask(shape, dropout, noise)
    dropped = min(max(round(256 * dropout), 1), 255)
    words = torch.empty(math.ceil(shape.numel() / 8), dtype=torch.int64, device=noise.device)
    words.random_(torch.iinfo(torch.int64).min, None, generator=noise)  # all of their 64 bits
    drawn = words.view(torch.uint8)[: shape.numel()].view(shape)
    return torch.where(drawn >= dropped, 256 / (256 - dropped), 0.0)


def locked_dropout(values: Tensor, dropout: float, noise: torch.Generator | None) -> Tensor:
    """One mask for all steps of a window (Gal and Ghahramani 2016): values (time, batch, features)."""
    if noise is None or dropout == 0:
        return values
    mask = keep_mask((1, *values.shape[1:]), dropout, noise)
    return values * mask.to(values.dtype)


def embedding_dropout(embedding: Tensor, dropout: float, noise: torch.Generator | None) -> Tensor:
    """Drops whole symbols from an embedding (symbols, features) for a window (Gal and Ghahramani 2016)."""
    if noise is None or dropout == 0:
        return embedding
    return embedding * keep_mask((len(embedding), 1), dropout, noise)
