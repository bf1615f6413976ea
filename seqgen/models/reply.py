"""An encoder-decoder: a message -> the distribution of its reply, symbol by symbol.

A bidirectional recurrent network reads the message. Its last states are the thought vector, from which a bridge makes the
first state of the decoder. The first layer of the decoder asks the attention what of the message matters now; the layers
above it read the answer, too (as in Wu et al. 2016, section 3), so that a whole reply is trained without a loop over time.
Without attention the answer is the thought vector, at each step (Cho et al. 2014). Where the model learns to match replies with
messages, the gist of the message is a part of the thought vector, and that is a part of every answer. Where it has a table of
phrases, what the last symbols of the reply were goes to the output directly, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.alphabet import Alphabet
from seqgen.models.attention import ATTENTIONS, NO_ATTENTION, Memory, attend
from seqgen.models.base import Model
from seqgen.models.cells import CELLS, LayerState
from seqgen.models.layers import RecurrentLayer, State, embedding_dropout, locked_dropout
from seqgen.models.matching import Matching
from seqgen.models.phrases import LONGEST, Phrases, windows
from seqgen.models.stepping import Apart, Joined, prepare
from seqgen.native.nats import cross_entropy
from seqgen.recipe import ModelSettings

DOCUMENT = 0
"""Opens and ends a reply, and ends a message."""
MOST_LOGITS = 1 << 25
"""Of replies that are measured at once."""
ROWS = 256
"""Logits are made of a multiple of so many targets: for each new number of them torch would prepare its kernels anew."""


class Exchanges(NamedTuple):
    """Messages and their replies, padded at the end with the document symbol.

    Attributes:
        messages: (positions, batch), each with the document symbol at its end.
        lengths: of the messages, that symbol counted, (batch,).
        inputs: what the decoder reads, (time, batch): the document symbol, then the reply.
        targets: what follows each of it, (time, batch): the reply, then the document symbol.
        wanted: False where a target is padding, (time, batch).
    """

    messages: Tensor
    lengths: Tensor
    inputs: Tensor
    targets: Tensor
    wanted: Tensor


@dataclass(frozen=True)
class ReplyState:
    """What a decoder remembers of a message and of the reply so far. Only the model looks inside.

    Attributes:
        layers: for each layer its tensors, each (rows, hidden).
        memory: of the messages that the rows answer.
        owner: which of these messages each row answers, (rows,).
        thoughts: the thought vector of each message, (messages, hidden).
        recent: the last symbols of each reply, the document symbol before its beginning, (rows, `LONGEST`).
    """

    layers: tuple[LayerState, ...]
    memory: Memory
    owner: Tensor
    thoughts: Tensor
    recent: Tensor

    def select(self, rows: Tensor) -> ReplyState:
        """The state of these rows, in this order; a row may be taken more than once. Of messages that no row answers any more
        nothing is kept, and the others are not copied for each of their rows."""
        layers = tuple(tuple(tensor.index_select(0, rows) for tensor in layer) for layer in self.layers)
        messages, owner = torch.unique(self.owner[rows], return_inverse=True)
        memory, thoughts = self.memory, self.thoughts
        if len(messages) < len(thoughts):
            memory, thoughts = Memory(*(tensor[messages] for tensor in memory)), thoughts[messages]
        return ReplyState(layers, memory, owner, thoughts, self.recent[rows])

    def places(self) -> tuple[Tensor, int]:
        """Where each row stands among those of its message, (rows,), and the most rows that a message has."""
        counts = torch.bincount(self.owner, minlength=len(self.thoughts))
        order = self.owner.argsort(stable=True)
        firsts = (counts.cumsum(0) - counts)[self.owner[order]]
        places = torch.empty_like(order)
        places[order] = torch.arange(len(order), device=order.device) - firsts
        return places, int(counts.max())


class ReplyModel(Model):
    """A bidirectional encoder, a bridge, a decoder, and attention between them.

    Both directions of the encoder together have as many units as the decoder. Messages and replies share one embedding. The
    output has one of its own: at a rate at which that learns well, embeddings would learn too little.

    Args:
        alphabet: the symbols, which messages and replies share.
        settings: the shape and the dropouts.
    """

    name = "reply"
    symbol_rows = ("embedding", "output", "output_bias", "matching.messages", "matching.replies")

    def __init__(self, alphabet: Alphabet, settings: ModelSettings) -> None:
        super().__init__()
        self.size, self.settings = alphabet.size, settings
        cell, hidden, width = CELLS[settings.cell], settings.hidden, settings.embedding
        widths = [width] + [hidden] * (settings.layers - 1)
        half, dropout = hidden // 2, settings.weight_dropout
        self.embedding = nn.Parameter(torch.empty(self.size, width))
        self.forwards = nn.ModuleList(RecurrentLayer(cell, inputs, half, dropout) for inputs in widths)
        self.backwards = nn.ModuleList(RecurrentLayer(cell, inputs, half, dropout) for inputs in widths)
        self.bridge = nn.Parameter(torch.empty(settings.layers * cell.states * hidden, hidden))
        self.bridge_bias = nn.Parameter(torch.empty(settings.layers * cell.states * hidden))
        above = [width] + [2 * hidden] * (settings.layers - 1)
        self.layers = nn.ModuleList(RecurrentLayer(cell, inputs, hidden, dropout) for inputs in above)
        self.attention = None if settings.attention == NO_ATTENTION else ATTENTIONS[settings.attention](hidden)
        self.matching = Matching(self.size, hidden) if settings.matching else None
        self.phrases = Phrases(width) if settings.phrases else None
        self.combine = nn.Parameter(torch.empty(width, 2 * hidden))
        self.output = nn.Parameter(torch.empty(self.size, width))
        self.output_bias = nn.Parameter(torch.empty(self.size))
        self.noise = None
        self.recall = None
        self._steps: list[Joined | Apart] | None = None

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Fresh weights, a function of the generator alone."""
        nn.init.normal_(self.embedding, generator=generator)
        nn.init.normal_(self.output, std=self.settings.embedding**-0.5, generator=generator)
        for part in (*self._recurrent(), self.attention, self.matching, self.phrases):
            if part is not None:
                part.reset_parameters(generator)
        for matrix in (self.bridge, self.combine):
            nn.init.xavier_uniform_(matrix, generator=generator)
        for bias in (self.bridge_bias, self.output_bias):
            nn.init.zeros_(bias)

    def matrices(self) -> list[tuple[nn.Parameter, int]]:
        """Those of the recurrent layers, those of the bridge to each tensor of a state, those of attention, and that before the
        output."""
        attention = () if self.attention is None else self.attention.parameters()
        single = [self.combine, *(param for param in attention if param.dim() == 2)]
        parts = len(self.bridge) // self.settings.hidden
        return [*super().matrices(), (self.bridge, parts), *((matrix, 1) for matrix in single)]

    def zero_state(self, batch: int) -> State:
        """Nothing: each pair is read by itself."""
        return State(())

    def encode(self, messages: Tensor, lengths: Tensor) -> tuple[Memory, Tensor]:
        """Reads messages (positions, batch) of these lengths (batch,): what the decoder may look at, and the thought vectors
        (batch, hidden)."""
        noise = self.noise if self.training else None
        values, batch = self._embed(messages, noise), messages.shape[1]
        positions = torch.arange(len(messages), device=messages.device).unsqueeze(1)
        turned = torch.where(positions < lengths, lengths - 1 - positions, positions)  # (positions, batch)
        turned = turned.unsqueeze(-1)
        last = len(self.forwards) - 1
        for number, (ahead, back) in enumerate(zip(*map(_layers, (self.forwards, self.backwards)), strict=True)):
            there, _ = ahead(values, ahead.zero_state(batch), noise)
            again, _ = back(values.gather(0, turned.expand_as(values)), back.zero_state(batch), noise)
            values = torch.cat([there, again.gather(0, turned.expand_as(again))], dim=-1)  # (positions, batch, hidden)
            if number < last:
                values = locked_dropout(values, self.settings.hidden_dropout, noise)
        ends = (lengths - 1).view(1, -1, 1).expand(1, -1, there.shape[-1])
        thoughts = torch.cat([there.gather(0, ends), values[:1, :, there.shape[-1] :]], dim=-1).squeeze(0)
        if self.matching is not None:
            thoughts = thoughts + self.matching.of_messages(messages, positions < lengths)
        values = locked_dropout(values, self.settings.hidden_dropout, noise).transpose(0, 1)
        padding = (positions >= lengths).t()
        keys = values if self.attention is None else self.attention.keys(values)
        return Memory(values, keys, padding), thoughts

    def forward(self, batch: Exchanges) -> Tensor:
        """Logits of the wanted targets, (wanted targets, symbols), in the order of `targets[wanted]`."""
        logits = self._decode(batch, *self.encode(batch.messages, batch.lengths))
        return logits[: int(batch.wanted.sum())]

    def _decode(self, batch: Exchanges, memory: Memory, thoughts: Tensor) -> Tensor:
        """The same, with rows for nothing behind them, up to the next multiple of `ROWS`."""
        noise = self.noise if self.training else None
        states = self._first_states(thoughts)
        values, context = self._embed(batch.inputs, noise), None
        for number, (layer, state) in enumerate(zip(_layers(self.layers), states, strict=True)):
            values, _ = layer(values, state, noise)  # (time, batch, hidden)
            if context is None:
                context = self._look(values.transpose(0, 1), memory, thoughts)[0].transpose(0, 1).to(values.dtype)
            if number < len(states) - 1:
                values = torch.cat([locked_dropout(values, self.settings.hidden_dropout, noise), context], dim=-1)
        assert context is not None
        both = torch.cat([values, context], dim=-1)
        combined = functional.linear(both, self.combine).tanh()
        if self.phrases is not None:
            combined = combined + self.phrases(windows(batch.inputs)).to(combined.dtype)
        combined = locked_dropout(combined, self.settings.output_dropout, noise)
        return functional.linear(_fill(combined[batch.wanted]), self.output, self.output_bias)

    def loss(self, batch: Exchanges, state: State) -> tuple[Tensor, State]:
        """Nats for each wanted target, shape (wanted targets,). The state stays.

        In training their gradients are those of the nats with smoothed labels and of the weighted nats of picking each message's
        own reply among those of the batch. The values are not, so that they can be compared with those of evaluation.
        Some replies answer nothing in training, where messages are dropped.
        """
        batch, kept = self._drop_messages(batch)
        memory, thoughts = self.encode(batch.messages, batch.lengths)
        logits, targets = self._decode(batch, memory, thoughts), batch.targets[batch.wanted]
        smoothing = self.settings.label_smoothing if self.training else 0.0
        nats = cross_entropy(logits, _fill(targets), smoothing)[: len(targets)]
        if not self.training or self.matching is None:
            return nats, state
        scores = (thoughts @ self.matching.of_replies(batch.targets, batch.wanted).t()).float()
        charges = functional.cross_entropy(scores[kept], kept, reduction="sum") / max(1, len(kept))
        charged = self.settings.matching * charges
        return nats + (charged - charged.detach()), state

    @torch.no_grad()
    def gains(self, nats: Tensor, replies: Tensor, real: Tensor) -> Tensor | None:
        """How many nats likelier replies are after their messages than after none (pointwise mutual information, Li et al. 2016);
        None where the model has not learned what is said anyhow.

        Args:
            nats: of the replies after their messages, (replies,).
            replies: each with the document symbol at its end, (positions, replies).
            real: False where they are padding, (positions, replies).
        """
        if not self.settings.message_dropout:
            return None
        anyhow, most = torch.zeros_like(nats), max(1, MOST_LOGITS // (len(replies) * self.size))
        for first in range(0, len(nats), most):
            rows = slice(first, first + most)
            targets, wanted = replies[:, rows], real[:, rows]
            nothing = torch.full_like(targets[:1], DOCUMENT)
            alone = Exchanges(nothing, torch.ones_like(nothing[0]), targets.roll(1, dims=0), targets, wanted)
            told, _ = self.loss(alone, State(()))
            anyhow[rows].index_add_(0, wanted.nonzero()[:, 1], told.to(nats))
        return anyhow - nats

    @torch.no_grad()
    def match(self, state: ReplyState, owners: Tensor, replies: Tensor, real: Tensor) -> Tensor | None:
        """How many nats more likely replies are after their messages than they are anyhow, roughly; None where the model has not
        learned to match.

        Args:
            state: after the messages, as `open` gives it.
            owners: the message that each reply is for, (replies,).
            replies: each with the document symbol at its end, (positions, replies).
            real: False where they are padding, (positions, replies).
        """
        if self.matching is None:
            return None
        return (state.thoughts[owners] * self.matching.of_replies(replies, real)).sum(-1)

    def start(self, prompt_ids: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, ReplyState]:
        """Reads messages (batch, positions), each with the document symbol at its end: the logits of the first symbol of a reply
        (batch, symbols), and the state to go on from.

        Args:
            prompt_ids: padded at the end where lengths differ.
            lengths: of the messages, (batch,); None: all are whole.
        """
        opening = torch.full((len(prompt_ids),), DOCUMENT, device=prompt_ids.device)
        return self.step(opening, self.open(prompt_ids, lengths))

    @torch.no_grad()
    def open(self, prompt_ids: Tensor, lengths: Tensor | None = None) -> ReplyState:
        """Reads messages as `start` does: the state before the document symbol that opens a reply."""
        batch, positions = prompt_ids.shape
        if lengths is None:
            lengths = torch.full((batch,), positions, device=prompt_ids.device)
        memory, thoughts = self.encode(prompt_ids.t(), lengths)
        rows = torch.arange(batch, device=prompt_ids.device)
        recent = torch.full((batch, LONGEST), DOCUMENT, device=prompt_ids.device)
        return ReplyState(tuple(self._first_states(thoughts)), memory, rows, thoughts, recent)

    @torch.no_grad()
    def step(self, ids: Tensor, state: ReplyState) -> tuple[Tensor, ReplyState]:
        """Reads one symbol for each row (rows,): logits (rows, symbols) and the new state. For writing, without gradients."""
        logits, state, _ = self.trace(ids, state)
        return logits, state

    @torch.no_grad()
    def trace(self, ids: Tensor, state: ReplyState) -> tuple[Tensor, ReplyState, Tensor | None]:
        """The same, and what of its message each row looked at: (rows, positions), None without attention."""
        if self._steps is None:
            self._steps = [prepare(layer) for layer in _layers(self.layers)]
        values, context, looked, new = self._embed(ids, None), None, None, []
        for step, layer_state in zip(self._steps, state.layers, strict=True):
            inputs = values if context is None else torch.cat([values, context], dim=-1)
            new.append(step.step(inputs, layer_state))
            values = new[-1][0]
            if context is None:
                context, looked = self._look_from_rows(values, state)
        assert context is not None
        recent = torch.cat([state.recent[:, 1:], ids.unsqueeze(1)], dim=1)
        combined = functional.linear(torch.cat([values, context], dim=-1), self.combine).tanh()
        if self.phrases is not None:
            combined = combined + self.phrases(recent)
        logits = functional.linear(combined, self.output, self.output_bias)
        return logits, ReplyState(tuple(new), state.memory, state.owner, state.thoughts, recent), looked

    def train(self, mode: bool = True) -> ReplyModel:
        """Training or evaluation mode; forgets the weights that were prepared for stepping."""
        self._steps = None
        return super().train(mode)

    def _look_from_rows(self, queries: Tensor, state: ReplyState) -> tuple[Tensor, Tensor | None]:
        """Contexts (rows, hidden) and weights (rows, positions) of a query (rows, hidden) for each row."""
        places, most = state.places()  # so that a memory need not be copied for each row of its message
        table = queries.new_zeros(len(state.thoughts), most, queries.shape[-1])
        table[state.owner, places] = queries
        contexts, weights = self._look(table, state.memory, state.thoughts)
        return contexts[state.owner, places], None if weights is None else weights[state.owner, places]

    def _embed(self, ids: Tensor, noise: torch.Generator | None) -> Tensor:
        """Symbols (time, batch) -> (time, batch, embedding)."""
        table = embedding_dropout(self.embedding, self.settings.embedding_dropout, noise)
        return locked_dropout(functional.embedding(ids, table), self.settings.input_dropout, noise)

    def _drop_messages(self, batch: Exchanges) -> tuple[Exchanges, Tensor]:
        """The batch with some of its messages empty, in training; and the places of the others."""
        share, noise, lengths = self.settings.message_dropout, self.noise, batch.lengths
        if not self.training or noise is None or share == 0:
            return batch, torch.arange(len(lengths), device=lengths.device)
        dropped = torch.rand(lengths.shape, generator=noise, device=noise.device) < share
        messages = batch.messages.masked_fill(dropped, DOCUMENT)
        kept = (~dropped).nonzero().flatten()
        return batch._replace(messages=messages, lengths=lengths.masked_fill(dropped, 1)), kept

    def _first_states(self, thoughts: Tensor) -> list[LayerState]:
        """The decoder's state before a reply."""
        parts = (
            functional.linear(thoughts, self.bridge, self.bridge_bias)
            .tanh()
            .chunk(len(self.bridge) // self.settings.hidden, -1)
        )
        states = CELLS[self.settings.cell].states
        return [
            tuple(part.contiguous() for part in parts[first : first + states]) for first in range(0, len(parts), states)
        ]

    def _look(self, queries: Tensor, memory: Memory, thoughts: Tensor) -> tuple[Tensor, Tensor | None]:
        """Contexts of queries (messages, steps, hidden), and the weights where there is attention."""
        if self.attention is None:
            return thoughts.unsqueeze(1).expand(-1, queries.shape[1], -1), None
        contexts, weights = attend(self.attention, queries, memory)
        return contexts if self.matching is None else contexts + thoughts.unsqueeze(1), weights

    def _recurrent(self) -> Iterator[RecurrentLayer]:
        for group in (self.forwards, self.backwards, self.layers):
            yield from _layers(group)


def _layers(group: nn.ModuleList) -> list[RecurrentLayer]:
    return [layer for layer in group if isinstance(layer, RecurrentLayer)]


def _fill(values: Tensor) -> Tensor:
    """With zeros behind the last row, up to the next multiple of `ROWS`."""
    return functional.pad(values, (0, 0) * (values.dim() - 1) + (0, -len(values) % ROWS))
