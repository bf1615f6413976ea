"""A recurrent language model: ids -> the distribution of the next id."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.alphabet import Alphabet
from seqgen.models.base import Model
from seqgen.models.cells import CELLS
from seqgen.models.experts import Experts
from seqgen.models.layers import RecurrentLayer, State, embedding_dropout, locked_dropout
from seqgen.models.plain import PlainLayer, PlainNetwork
from seqgen.models.registers import Held
from seqgen.models.stepping import Stepper
from seqgen.native.nats import cross_entropy
from seqgen.recipe import ModelSettings

PROMPT_WINDOW = 512
"""Symbols of a prompt that are read at once."""


class Batch(NamedTuple):
    """A window of every lane; both (time, lanes). A target is the symbol that follows its input."""

    inputs: Tensor
    targets: Tensor


class LanguageModel(Model):
    """Embedding, stacked recurrent layers, and a linear output that may share the embedding.

    Args:
        alphabet: the symbols. Where they are made of parts, a symbol's rows are its own and those of its parts added up, so
            that what is learned of one symbol holds for others with that part; where they write to registers, experts on
            intervals go by what these hold.
        settings: the shape and the dropouts.
    """

    name = "language"
    symbol_rows = ("embedding", "output", "output_bias")

    def __init__(self, alphabet: Alphabet, settings: ModelSettings) -> None:
        super().__init__()
        self.size, self.settings = alphabet.size, settings
        parts, tables = alphabet.parts, alphabet.registers
        cell, hidden = CELLS[settings.cell], settings.hidden
        widths = [settings.embedding] + [hidden] * (settings.layers - 1)
        self.embedding = nn.Parameter(torch.empty(self.size, settings.embedding))
        self.layers = nn.ModuleList(RecurrentLayer(cell, width, hidden, settings.weight_dropout) for width in widths)
        self.output = None if settings.tied else nn.Parameter(torch.empty(self.size, hidden))
        self.output_bias = nn.Parameter(torch.empty(self.size))
        self.parts: Tensor | None
        # Moves with the weights, and is none of them: the tokenizer has it.
        self.register_buffer("parts", None if parts is None else torch.from_numpy(parts), persistent=False)
        if parts is not None:
            self.embedding_parts = nn.Parameter(torch.empty(parts.shape[1], settings.embedding))
            self.output_parts = None if settings.tied else nn.Parameter(torch.empty(parts.shape[1], hidden))
        self.experts = None if tables is None else Experts(tables, settings.embedding, hidden)
        self.noise = None
        self.recall = None
        self._stepper: Stepper | None = None

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Fresh weights, a function of the generator alone. A tied embedding is scaled for the output, another for the input."""
        output_scale = self.settings.hidden**-0.5
        nn.init.normal_(self.embedding, std=output_scale if self.output is None else 1.0, generator=generator)
        for layer in self.recurrent_layers():
            layer.reset_parameters(generator)
        if self.output is not None:
            nn.init.normal_(self.output, std=output_scale, generator=generator)
        nn.init.zeros_(self.output_bias)
        if self.parts is not None:  # half of the variance is a symbol's own
            share = (0.5 / max(1.0, float(self.parts.sum(1).mean()))) ** 0.5
            for own, shared in ((self.embedding, self.embedding_parts), (self.output, self.output_parts)):
                if own is not None and shared is not None:
                    nn.init.normal_(shared, std=share * float(own.detach().std()), generator=generator)
                    own.data.mul_(0.5**0.5)
        if self.experts is not None:
            self.experts.reset_parameters(generator)

    def tables(self) -> tuple[Tensor, Tensor]:
        """Each symbol's row at the input (symbols, embedding) and at the output (symbols, hidden), with those of its parts."""
        if self.parts is None:
            return self.embedding, self.embedding if self.output is None else self.output
        embedding = torch.addmm(self.embedding, self.parts, self.embedding_parts)
        if self.output is None or self.output_parts is None:
            return embedding, embedding
        return embedding, torch.addmm(self.output, self.parts, self.output_parts)

    def recurrent_layers(self) -> list[RecurrentLayer]:
        """The recurrent layers, the lowest first."""
        return [layer for layer in self.layers if isinstance(layer, RecurrentLayer)]

    def zero_state(self, batch: int) -> State:
        """The state before anything was read."""
        layers = tuple(layer.zero_state(batch) for layer in self.recurrent_layers())
        return State(layers, () if self.experts is None else self.experts.registers.empty(batch))

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """Inputs (time, batch) -> logits (time, batch, symbols) and the state after the last of them."""
        noise = self.noise if self.training else None
        settings = self.settings
        embedding, output = self.tables()
        values = functional.embedding(inputs, embedding_dropout(embedding, settings.embedding_dropout, noise))
        if self.experts is not None:
            held: Held = self.experts.registers(inputs, Held(*state.registers))
            values = values + self.experts.read(held)
        values = locked_dropout(values, settings.input_dropout, noise)  # (time, batch, embedding)
        states = []
        layers = self.recurrent_layers()
        for number, (layer, layer_state) in enumerate(zip(layers, state.layers, strict=True)):
            values, layer_state = layer(values, layer_state, noise)  # (time, batch, hidden)
            states.append(layer_state)
            last = number == len(layers) - 1
            values = locked_dropout(values, settings.output_dropout if last else settings.hidden_dropout, noise)
        logits = functional.linear(values, output, self.output_bias)
        if self.experts is None:
            return logits, State(tuple(states))
        return logits + self.experts.weigh(values, inputs, held), State(tuple(states), held.last)

    def loss(self, batch: Batch, state: State) -> tuple[Tensor, State]:
        """Nats for each target, shape (time, batch), and the state after the window."""
        logits, state = self(batch.inputs, state)
        nats = cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
        return nats.view_as(batch.targets), state

    def start(self, prompt_ids: Tensor) -> tuple[Tensor, State]:
        """Reads a prompt (batch, time): logits of the next symbol (batch, symbols), and the state to go on from."""
        state = self.zero_state(len(prompt_ids))
        for window in torch.split(prompt_ids.t(), PROMPT_WINDOW):  # so that a long prompt takes no memory
            logits, state = self(window, state)
        return logits[-1], state

    @torch.no_grad()
    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Reads one symbol for each row (batch,): logits (batch, symbols) and the new state. For sampling, without gradients."""
        if self._stepper is None:
            embedding, output = self.tables()
            self._stepper = Stepper(embedding, self.recurrent_layers(), output, self.output_bias)
        if self.experts is None:
            logits, _, layers = self._stepper.step(ids, state.layers)
            return logits, State(layers)
        held = self.experts.registers(ids.unsqueeze(0), Held(*state.registers)).last
        logits, hidden, layers = self._stepper.step(ids, state.layers, self.experts.read(held))
        return logits + self.experts.weigh(hidden, ids, held), State(layers, held)

    @torch.no_grad()
    def plain(self) -> PlainNetwork | None:
        """Its bare matrices, but for a model with experts."""
        if self.experts is not None:
            return None
        embedding, output = self.tables()
        first, *upper = self.recurrent_layers()
        table = torch.addmm(first.input_bias, embedding, first.input.t())
        layers = [PlainLayer(None, None, first.recurrent, first.recurrent_bias)]
        layers += [PlainLayer(layer.input, layer.input_bias, layer.recurrent, layer.recurrent_bias) for layer in upper]
        settings = self.settings
        return PlainNetwork(settings.cell, settings.hidden, table, tuple(layers), output, self.output_bias)

    @torch.no_grad()
    def scale_logits(self, factor: float) -> None:
        """Scales what logits are linear in. Where the embedding is the output, too, the first layer reads it as it was."""
        self._stepper = None
        tied = self.output is None
        scaled = [self.output_bias, self.embedding if self.output is None else self.output]
        if self.parts is not None:
            scaled.append(self.embedding_parts if self.output_parts is None else self.output_parts)
        if self.experts is not None:
            scaled += [*self.experts.weighing(), *(self.experts.inputs if tied else ())]
        for table in scaled:
            table.mul_(factor)
        if tied:
            self.recurrent_layers()[0].input.div_(factor)

    def train(self, mode: bool = True) -> LanguageModel:
        """Training or evaluation mode; forgets the weights that were prepared for stepping."""
        self._stepper = None
        return super().train(mode)
