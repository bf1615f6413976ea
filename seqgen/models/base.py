"""What every model promises: one protocol for training, evaluation and writing, whatever it reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from seqgen.models.layers import RecurrentLayer
from seqgen.models.plain import PlainNetwork
from seqgen.recipe import ModelSettings


class Model(nn.Module):
    """A network: batches of ids -> nats, a prompt -> logits of what comes next."""

    name: ClassVar[str]
    """In the table of models; the tables of what feeds and reads them go by it."""
    symbol_rows: ClassVar[tuple[str, ...]]
    """The weights that have a row for each symbol."""
    settings: ModelSettings
    noise: torch.Generator | None
    """Draws the dropout masks in training mode; a training must set it."""
    recall: Tensor | None
    """What the model makes of a memory of the document, see `models/recall.py`; None: nothing. Learned after training, and
    no part of `state_dict()`."""

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Fresh weights, a function of the generator alone."""
        raise NotImplementedError

    def zero_state(self, batch: int) -> Any:
        """What it remembers before anything was read."""
        raise NotImplementedError

    def loss(self, batch: Any, state: Any) -> tuple[Tensor, Any]:
        """Nats for each target, and the state after the batch. It neither averages nor cuts gradients."""
        raise NotImplementedError

    def start(self, prompt_ids: Tensor) -> tuple[Tensor, Any]:
        """Reads a prompt (batch, time): logits of the next symbol (batch, symbols), and the state to go on from."""
        raise NotImplementedError

    def step(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Reads one symbol for each row (batch,): logits (batch, symbols) and the new state."""
        raise NotImplementedError

    def plain(self) -> PlainNetwork | None:
        """Its bare matrices, if there is nothing else to it; None: there is."""
        return None

    def scale_logits(self, factor: float) -> None:
        """Makes it as much surer, or less sure, of everything: all logits become so many times as large."""
        raise NotImplementedError

    def matrices(self) -> list[tuple[nn.Parameter, int]]:
        """The weights between hidden units, and how many maps each of them holds, one below the other: the gates of a layer.
        An optimiser may treat them as matrices."""
        layers = self._all_layers()
        return [(matrix, len(layer.cell.gates)) for layer in layers for matrix in (layer.input, layer.recurrent)]

    def use_compiled(self) -> bool:
        """Has the compiled path run the layers in training that it can run. Whether there are any."""
        layers = self._all_layers()
        for layer in layers:
            layer.compiled = layer.cell.compiles(layer.hidden)
        return any(layer.compiled for layer in layers)

    def _all_layers(self) -> list[RecurrentLayer]:
        return [module for module in self.modules() if isinstance(module, RecurrentLayer)]

    def adopt(self, weights: Mapping[str, Tensor], rows: Tensor) -> None:
        """Takes over the weights of a model of the same shape that knew other symbols.

        Args:
            weights: its `state_dict()`.
            rows: for each of this model's symbols the id that it had there, or -1 where it is new and stays as it is; (size,).
        """
        known = rows >= 0
        with torch.no_grad():
            for name, tensor in self.state_dict().items():
                if name in self.symbol_rows:
                    tensor[known] = weights[name][rows[known]]
                else:  # symbols that are added come last, and so do their parts and what they write to registers
                    tensor[tuple(map(slice, weights[name].shape))] = weights[name]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device
