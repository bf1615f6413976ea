"""``search()`` looks for the likeliest sequences, with beams, over the same ``step`` and ``select`` as ``generate()`` draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

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
    count = len(logits)
    width = settings.groups * settings.beam
    found: list[list[Found]] = [[] for _ in range(count)]
    beams = _Beams(count, settings, logits.device)
    rows = torch.arange(count, device=logits.device).repeat_interleave(width)
    logits, state = logits[rows], state.select(rows)
    if allowed is not None:
        logits = logits.masked_fill(~allowed, -torch.inf)
    for time in range(1, settings.longest + 1):
        parents, ids = _extend(beams, _likeliest(logits, beams.history, settings, time == settings.longest), settings)
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


class _Likeliest(NamedTuple):
    """Symbols that may follow each row and their nats, the likeliest first, (rows, candidates)."""

    nats: Tensor
    ids: Tensor


def _likeliest(logits: Tensor, history: Tensor, settings: SearchSettings, last: bool) -> _Likeliest:
    """As many symbols as decide who goes on: each group wants `beam`, though those before it have taken as many each.

    Args:
        logits: (rows, symbols).
        history: of the rows, (rows, time).
        settings: of the search.
        last: whether all must end here.
    """
    whole = logits.logsumexp(-1, keepdim=True).double()
    if last:
        ends = torch.full((len(logits), 1), DOCUMENT, device=logits.device)
        return _Likeliest(whole - logits.gather(1, ends), ends)
    best = _without_repeats(logits, history, settings.no_repeat).topk(
        min(settings.groups * settings.beam, logits.shape[1])
    )
    return _Likeliest(whole - best.values, best.indices)


def _extend(beams: _Beams, candidates: _Likeliest, settings: SearchSettings) -> tuple[Tensor, Tensor]:
    """Chooses the best continuations, group after group; returns the row that each comes from, and its symbol.

    Args:
        beams: whose nats become those of the continuations, infinite where there is none.
        candidates: what may follow each row.
        settings: of the search.
    """
    prompts, groups, beam = beams.nats.shape
    nats, symbols = (tensor.view(prompts, groups, beam, -1) for tensor in candidates)
    parents = torch.empty(prompts, groups, beam, dtype=torch.long, device=nats.device)
    ids = torch.zeros_like(parents)
    first = (torch.arange(prompts, device=nats.device) * groups * beam).unsqueeze(1)
    ranks = torch.arange(beam, device=nats.device)
    for group in range(groups):
        total = (beams.nats[:, group].unsqueeze(-1) + nats[:, group]).flatten(1)  # (prompts, beam * candidates)
        penalised = (beams.penalised[:, group].unsqueeze(-1) + nats[:, group]).flatten(1)
        followers = symbols[:, group].flatten(1)
        for other in range(group):  # an infinite one is no choice that was made
            made = beams.nats[:, other].isfinite().unsqueeze(1)
            uses = ((followers.unsqueeze(-1) == ids[:, other].unsqueeze(1)) & made).sum(-1)
            penalised = penalised + settings.diversity * uses
        best = penalised.topk(min(beam, penalised.shape[1]), largest=False)
        missing = (0, beam - best.values.shape[1])
        values = functional.pad(best.values, missing, value=torch.inf)
        places = functional.pad(best.indices, missing)
        beyond = (ranks >= beams.room[:, group].unsqueeze(1)) | ~values.isfinite()
        beams.nats[:, group] = total.gather(1, places).masked_fill(beyond, torch.inf)
        beams.penalised[:, group] = values.masked_fill(beyond, torch.inf)
        parents[:, group] = first + group * beam + places // nats.shape[-1]
        ids[:, group] = followers.gather(1, places)
    return parents.flatten(), ids.flatten()


def _without_repeats(logits: Tensor, history: Tensor, length: int) -> Tensor:
    """The logits (rows, symbols), minus infinity for what would complete a sequence of this length that the row's history has."""
    if length < 1 or history.shape[1] < length:
        return logits
    windows = history.unfold(1, length, 1)  # (rows, places, length)
    last = history[:, history.shape[1] - length + 1 :].unsqueeze(1)
    repeats = (windows[..., :-1] == last).all(-1)  # (rows, places)
    if not repeats.any():
        return logits
    completing = torch.where(repeats, windows[..., -1], DOCUMENT)
    ends = logits[:, DOCUMENT].clone()
    logits = logits.scatter(1, completing, -torch.inf)
    logits[:, DOCUMENT] = ends
    return logits
