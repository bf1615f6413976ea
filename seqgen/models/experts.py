"""Music by its intervals: what the registers add to the input and to the output of a network.

At the input, the network sees for each register what it holds, and for each voice the degree of the scale that it sings,
how far it has moved in this step, and its distance from each other voice, now and when the step began.

At the output, several experts weigh each pitch, and their logits are added to those of the symbols: a product of experts
(Hinton 2002; on intervals and degrees of the scale, Johnson, Keller and Weintraut 2017).

- By its distance from what each voice sings, and by its degree: the network says which distances and which degrees it
  wants, so what is learned in one key holds in all.
- By what the interval with another voice was when the step began, how both voices move, and what it would become. This
  and the next one are tables that ask the network nothing: what they know holds wherever a piece goes. Without them,
  samples have parallel fifths that the training pieces do not have, and end in whatever key they have come to.
- By its degree in a context of a few facts: under a fermata, with so many bars left, on the way to that goal.
"""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from seqgen.alphabet import CLASSES, EMPTY, NOBODY, PITCHES
from seqgen.alphabet import Registers as Tables
from seqgen.models.registers import Held, Registers

FARTHEST = 24
"""Semitones up to which intervals are told apart."""
INTERVALS = 2 * FARTHEST + 2
"""Kinds of intervals; the last: one of the two is missing."""
MOTIONS = 3
"""Down, not at all, up."""
GAIN = 3.0
"""What the tables that ask the network nothing are multiplied with: an optimizer moves each number by about its learning
rate in a step, which is little for a logit."""


class Experts(nn.Module):
    """The registers, and the tables of all experts on what they hold.

    Args:
        tables: what the symbols mean.
        embedding: width of the input.
        hidden: width of the layer below the output.
    """

    span: Tensor
    place: Tensor
    turn: Tensor
    pairs: Tensor
    offsets: Tensor

    def __init__(self, tables: Tables, embedding: int, hidden: int) -> None:
        super().__init__()
        self.registers = Registers(tables)
        self.voices, self.contexts = tables.voices, tables.contexts
        known = tables.pitch[tables.pitch >= 0]
        lowest = int(known.min(initial=PITCHES))
        span = np.arange(lowest, known.max(initial=0) + 1)
        pairs = np.array(list(itertools.combinations(range(self.voices), 2)), dtype=np.int64).reshape(-1, 2).T
        degrees, distances = [CLASSES + 1] * self.voices, [CLASSES + 1] * pairs.shape[1]
        rows = [*tables.sizes, *degrees, *[INTERVALS] * (self.voices + pairs.shape[1]), *distances, *distances]
        buffers = {
            "span": span,
            "place": np.where(tables.pitch < 0, len(span), tables.pitch - lowest),
            "turn": tables.turn,
            "pairs": pairs.copy(),
            "offsets": np.array([0, *itertools.accumulate(rows[:-1])]),
        }
        for name, values in buffers.items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)  # the tokenizer has it
        self.inputs = nn.ParameterList(nn.Parameter(torch.empty(each, embedding)) for each in rows)
        outputs = [INTERVALS] * self.voices + [CLASSES]
        self.outputs = nn.ParameterList(nn.Parameter(torch.empty(each, hidden)) for each in outputs)
        progressions = MOTIONS * CLASSES * MOTIONS * CLASSES + 1
        self.progressions = nn.Parameter(torch.empty(progressions)) if self.voices > 1 else None
        sizes = [[1 + self.voices, *(tables.sizes[each] for each in context)] for context in self.contexts]
        self.degrees = nn.ParameterList(nn.Parameter(torch.empty(*size, CLASSES)) for size in sizes)

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Fresh weights, a function of the generator alone."""
        for table in self.inputs:
            nn.init.normal_(table, std=len(self.inputs) ** -0.5, generator=generator)
        for table in self.outputs:
            nn.init.normal_(table, std=(table.shape[1] * len(self.outputs)) ** -0.5, generator=generator)
        for table in [*self.degrees, *([] if self.progressions is None else [self.progressions])]:
            nn.init.zeros_(table)

    def weighing(self) -> list[nn.Parameter]:
        """All that the logits are linear in."""
        return [*self.outputs, *self.degrees, *([] if self.progressions is None else [self.progressions])]

    def read(self, held: Held) -> Tensor:
        """What is added to the input, (..., embedding)."""
        rows = self._rows(held)
        bags = functional.embedding_bag(rows.flatten(0, -2), torch.cat(list(self.inputs)), mode="sum")
        return bags.view(*rows.shape[:-1], -1)

    def _rows(self, held: Held) -> Tensor:
        """The row of each feature in all tables of the input, one below the other; (..., features)."""
        values, before = held
        sung, tonic = values[..., : self.voices], values[..., self.voices, None]
        degrees = torch.where((sung == EMPTY) | (tonic == EMPTY), CLASSES, (sung - tonic) % CLASSES)
        moves = _interval(sung - before, (sung == EMPTY) | (before == EMPTY))
        features = [values, degrees, moves]
        first, second = sung[..., self.pairs[0]], sung[..., self.pairs[1]]
        features.append(_interval(first - second, (first == EMPTY) | (second == EMPTY)))
        for pitches in (sung, before):
            first, second = pitches[..., self.pairs[0]], pitches[..., self.pairs[1]]
            features.append(torch.where((first == EMPTY) | (second == EMPTY), CLASSES, (first - second) % CLASSES))
        return torch.cat(features, -1) + self.offsets

    def weigh(self, hidden: Tensor, symbols: Tensor, held: Held) -> Tensor:
        """What is added to the logits of the next symbol, (..., size).

        Args:
            hidden: what the network has come to, (..., hidden).
            symbols: that were read last, (...).
            held: after them.
        """
        sung, tonic = held.values[..., : self.voices], held.values[..., self.voices, None]
        scores = functional.linear(hidden, torch.cat(list(self.outputs)))
        distances = _interval(self.span + 1 - sung[..., None], (sung == EMPTY)[..., None])  # (..., voices, span)
        by_distance = scores[..., :-CLASSES].reshape(*sung.shape, INTERVALS)
        weights = by_distance.gather(-1, distances).sum(-2)
        by_degree = scores[..., -CLASSES:]
        for context, table in zip(self.contexts, self.degrees, strict=True):
            index = self.turn[symbols] - NOBODY
            for place, size in zip(context, table.shape[1:-1], strict=True):
                index = index * size + held.values[..., place]
            by_degree = by_degree + GAIN * functional.embedding(index, table.flatten(0, -2))
        degrees = by_degree.gather(-1, (self.span + 1 - tonic) % CLASSES)
        weights = weights + torch.where(tonic == EMPTY, 0.0, degrees)
        if self.progressions is not None:
            weights = weights + GAIN * self._progress(self.progressions, symbols, held)
        return functional.pad(weights, (0, 1)).index_select(-1, self.place)

    def _progress(self, table: Tensor, symbols: Tensor, held: Held) -> Tensor:
        """How well each pitch goes on from the intervals when the step began, (..., span)."""
        sung, turn = held.values[..., : self.voices], self.turn[symbols][..., None]
        own = sung.gather(-1, turn.clamp(min=0))
        voices = torch.arange(self.voices, device=symbols.device)
        upward = torch.where(voices < turn, 1, -1)  # so that a fifth is one, whoever of the two has the upper note
        last = upward * (held.before - own) % CLASSES
        coming = upward[..., None] * (sung[..., None] - self.span - 1) % CLASSES  # (..., voices, span)
        their, mine = (sung - held.before).sign() + 1, (self.span + 1 - own).sign() + 1
        index = ((their * CLASSES + last)[..., None] * MOTIONS + mine[..., None, :]) * CLASSES + coming
        nothing = (turn == NOBODY) | (voices == turn) | (own == EMPTY) | (sung == EMPTY) | (held.before == EMPTY)
        index = torch.where(nothing[..., None], len(table) - 1, index)
        scores = table.gather(0, index.flatten())  # an embedding's gradients would take twenty times as long
        return scores.view_as(index).sum(-2)


def _interval(semitones: Tensor, missing: Tensor) -> Tensor:
    return torch.where(missing, INTERVALS - 1, semitones.clamp(-FARTHEST, FARTHEST) + FARTHEST)
