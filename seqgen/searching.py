"""``search()`` looks for the likeliest sequences, with beams, over the same ``step`` and ``select`` as ``generate()`` draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqgen.errors import UsageError
from seqgen.models import Model
from seqgen.tokenizers import DOCUMENT


@dataclass(frozen=True)
class SearchSettings:
    """How the likeliest sequences are looked for."""

    beam: int = 5
    """Sequences that are followed at once, in each group."""
    groups: int = 1
    """Groups of such, each of which avoids what those before it say at the same place."""
    diversity: float = 1.0
    """Nats that a symbol costs a group for each time that an earlier group has chosen it at the same place (Vijayakumar et
    al. 2018)."""
    length_power: float = 1.0
    """Sequences are compared by their nats over this power of their length; 1: by the mean."""
    no_repeat: int = 4
    """No sequence of so many symbols stands twice in a result; 0: any may."""
    longest: int = 200
    """Symbols at most."""

    def __post_init__(self) -> None:
        for name in ("beam", "groups", "longest"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)} is below 1")


class Found(NamedTuple):
    """A sequence that ends.

    Attributes:
        ids: without the document symbol at its end.
        nats: of it and its end.
        score: minus the nats, made comparable between lengths: the higher, the likelier.
        group: which group found it.
    """

    ids: list[int]
    nats: float
    score: float
    group: int


class _Beams:
    """The sequences that are followed for some prompts: rows stand by prompt, group and rank."""

    def __init__(self, prompts: int, settings: SearchSettings, device: torch.device) -> None:
        groups, beam = settings.groups, settings.beam
        self.prompts = torch.arange(prompts, device=device)
        """The numbers of the prompts that are not done."""
        self.history = torch.zeros(prompts * groups * beam, 0, dtype=torch.long, device=device)
        self.nats = torch.full((prompts, groups, beam), torch.inf, dtype=torch.float64, device=device)
        self.nats[:, :, 0] = 0.0
        self.penalised = self.nats.clone()
        self.room = torch.full((prompts, groups), beam, device=device)
        """How many sequences of each group have not ended."""


@torch.inference_mode()
def search(
    model: Model, logits: Tensor, state: Any, settings: SearchSettings, allowed: Tensor | None = None
) -> list[list[Found]]:
    """Looks for the likeliest sequences with beams, for many prompts at once.

    A sequence that ends takes a place of its beam, so that a beam of one is greedy, and a beam wide enough for all is exact.

    Args:
        model: in evaluation mode.
        logits: of the first symbol after each prompt, (prompts, symbols).
        state: after the prompts.
        settings: of the search.
        allowed: which symbols may come first, (symbols,); None: all.

    Returns:
        For each prompt what was found, the best first; at most `beam` for each group.
    """
    count, size = logits.shape
    width = settings.groups * settings.beam
    found: list[list[Found]] = [[] for _ in range(count)]
    beams = _Beams(count, settings, logits.device)
    rows = torch.arange(count, device=logits.device).repeat_interleave(width)
    logits, state = logits[rows], state.select(rows)
    if allowed is not None:
        logits = logits.masked_fill(~allowed, -torch.inf)
    for time in range(1, settings.longest + 1):
        nats = -logits.double().log_softmax(-1)
        nats = _without_repeats(nats, beams.history, settings.no_repeat)
        if time == settings.longest:  # all must end here
            ends = nats[:, DOCUMENT].clone()
            nats.fill_(torch.inf)[:, DOCUMENT] = ends
        parents, ids = _extend(beams, nats.view(len(beams.prompts), settings.groups, settings.beam, size), settings)
        history = torch.cat([beams.history[parents], ids.unsqueeze(1)], dim=1)
        ended = (ids == DOCUMENT).view_as(beams.nats) & beams.nats.isfinite()
        for prompt, group, rank in ended.nonzero().tolist():
            total = float(beams.nats[prompt, group, rank])
            row = (prompt * settings.groups + group) * settings.beam + rank
            score = -total / time**settings.length_power
            found[int(beams.prompts[prompt])].append(Found(history[row, :-1].tolist(), total, score, group))
        beams.room -= ended.sum(-1)
        for values in (beams.nats, beams.penalised):
            values.masked_fill_(ended, torch.inf)
        going = beams.nats.isfinite().flatten(1).any(1)
        if not going.any():
            break
        beams.history = history
        if not going.all():  # rows of prompts that are done need no more work
            kept = going.repeat_interleave(width)
            parents, ids, beams.history = parents[kept], ids[kept], history[kept]
            for name in ("prompts", "nats", "penalised", "room"):
                setattr(beams, name, getattr(beams, name)[going])
        logits, state = model.step(ids, state.select(parents))
    return [sorted(each, key=lambda one: -one.score) for each in found]


def _extend(beams: _Beams, nats: Tensor, settings: SearchSettings) -> tuple[Tensor, Tensor]:
    """Chooses the best continuations, group after group; returns the row that each comes from, and its symbol.

    Args:
        beams: whose nats become those of the continuations, infinite where there is none.
        nats: of each symbol after each row, (prompts, groups, beam, symbols).
        settings: of the search.
    """
    prompts, groups, beam, size = nats.shape
    parents = torch.empty(prompts, groups, beam, dtype=torch.long, device=nats.device)
    ids = torch.empty_like(parents)
    used = nats.new_zeros(prompts, size)
    first = (torch.arange(prompts, device=nats.device) * groups * beam).unsqueeze(1)
    ranks = torch.arange(beam, device=nats.device)
    for group in range(groups):
        penalised = beams.penalised[:, group].unsqueeze(-1) + nats[:, group]  # (prompts, beam, symbols)
        if group:
            penalised = penalised + settings.diversity * used.unsqueeze(1)
        best = penalised.flatten(1).topk(beam, largest=False)
        within, symbols = best.indices // size, best.indices % size
        total = (beams.nats[:, group].unsqueeze(-1) + nats[:, group]).flatten(1).gather(1, best.indices)
        beyond = (ranks >= beams.room[:, group].unsqueeze(1)) | ~best.values.isfinite()
        beams.nats[:, group] = total.masked_fill(beyond, torch.inf)
        beams.penalised[:, group] = best.values.masked_fill(beyond, torch.inf)
        parents[:, group], ids[:, group] = first + group * beam + within, symbols
        if group < groups - 1:
            used.scatter_add_(1, symbols, (~beyond).to(used.dtype))
    return parents.flatten(), ids.flatten()


def _without_repeats(nats: Tensor, history: Tensor, length: int) -> Tensor:
    """The nats (rows, symbols), infinite for what would complete a sequence of this length that the row's history has."""
    if length < 1 or history.shape[1] < length:
        return nats
    windows = history.unfold(1, length, 1)  # (rows, places, length)
    last = history[:, history.shape[1] - length + 1 :].unsqueeze(1)
    repeats = (windows[..., :-1] == last).all(-1)  # (rows, places)
    completing = torch.where(repeats, windows[..., -1], DOCUMENT)
    ends = nats[:, DOCUMENT].clone()
    nats = nats.scatter(1, completing, torch.inf)
    nats[:, DOCUMENT] = ends
    return nats
