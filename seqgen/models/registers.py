"""Registers: what a model of music knows exactly of what it has read, beside the blurred memory of its state.

Which symbol writes what is a table of the tokenizer's (`alphabet.py`); a register holds what was written to
it last. So they are followed without a loop over time, and need no gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqgen.alphabet import EMPTY, KEPT
from seqgen.alphabet import Registers as Tables


class Held(NamedTuple):
    """What is in the registers.

    Attributes:
        values: of all of them, (..., registers).
        before: what those of the voices held when the step began, (..., voices).
    """

    values: Tensor
    before: Tensor

    @property
    def last(self) -> Held:
        """The same after the last of some symbols (time, ...)."""
        return Held(self.values[-1], self.before[-1])


class Registers(nn.Module):
    """The registers of a batch of streams.

    Args:
        tables: what the symbols write.
    """

    writes: Tensor
    begins_step: Tensor

    def __init__(self, tables: Tables) -> None:
        super().__init__()
        self.voices = tables.voices
        self.register_buffer("writes", torch.from_numpy(tables.writes), persistent=False)  # the tokenizer has it
        self.register_buffer("begins_step", torch.from_numpy(tables.begins_step), persistent=False)

    def empty(self, batch: int) -> Held:
        """Before anything was read."""
        values = self.writes.new_full((batch, self.writes.shape[1]), EMPTY)
        return Held(values, values[:, : self.voices].clone())

    def forward(self, symbols: Tensor, held: Held) -> Held:
        """What they hold after each symbol (time, batch), if they held `held` before the first."""
        written = self.writes[symbols]
        values = _latch(written, held.values)
        sung = torch.cat([held.values[None], values[:-1]])[..., : self.voices]
        begun = torch.where(self.begins_step[symbols][..., None], sung, KEPT)
        emptied = written[..., : self.voices] == EMPTY
        return Held(values, _latch(torch.where(emptied, EMPTY, begun), held.before))


def _latch(written: Tensor, held: Tensor) -> Tensor:
    """What a register holds after each step (time, ...): what was written last and is not `KEPT`, or what it held."""
    steps = torch.arange(1, len(written) + 1, device=written.device).view(-1, *[1] * (written.dim() - 1))
    latest = torch.where(written == KEPT, 0, steps).cummax(0).values
    return torch.cat([held[None], written]).gather(0, latest)
