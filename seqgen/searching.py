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
    """Sequences that are followed at once."""
    length_power: float = 1.0
    """Sequences are compared by their nats over this power of their length; 1: by the mean."""
    no_repeat: int = 4
    """No sequence of so many symbols stands twice in a result; 0: any may."""
    longest: int = 200
    """Symbols at most."""

    def __post_init__(self) -> None:
        for name in ("beam", "longest"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)} is below 1")


class Found(NamedTuple):
    """A sequence that ends.

    Attributes:
        ids: without the document symbol at its end.
        nats: of it and its end.
        score: minus the nats, made comparable between lengths: the higher, the likelier.
    """

    ids: list[int]
    nats: float
    score: float


class _Beams:
    """The sequences that are followed for some prompts: rows stand by prompt and rank."""

    def __init__(self, prompts: int, beam: int, device: torch.device) -> None:
        self.prompts = torch.arange(prompts, device=device)
        """The numbers of the prompts that are not done."""
        self.history = torch.zeros(prompts * beam, 0, dtype=torch.long, device=device)
        self.nats = torch.full((prompts, beam), torch.inf, dtype=torch.float64, device=device)
        self.nats[:, 0] = 0.0
        self.room = torch.full((prompts,), beam, device=device)
        """How many sequences of each prompt have not ended."""


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
        For each prompt what was found, the best first; at most `beam`.
    """
    count, beam = len(logits), settings.beam
    found: list[list[Found]] = [[] for _ in range(count)]
    beams = _Beams(count, beam, logits.device)
    rows = torch.arange(count, device=logits.device).repeat_interleave(beam)
    logits, state = logits[rows], state.select(rows)
    if allowed is not None:
        logits = logits.masked_fill(~allowed, -torch.inf)
    for time in range(1, settings.longest + 1):
        parents, ids = _extend(beams, *_likeliest(logits, beams.history, settings, time == settings.longest))
        history = torch.cat([beams.history[parents], ids.unsqueeze(1)], dim=1)
        ended = (ids == DOCUMENT).view_as(beams.nats) & beams.nats.isfinite()
        for prompt, rank in ended.nonzero().tolist():
            total = float(beams.nats[prompt, rank])
            ids_found = history[prompt * beam + rank, :-1].tolist()
            found[int(beams.prompts[prompt])].append(Found(ids_found, total, -total / time**settings.length_power))
        beams.room -= ended.sum(-1)
        beams.nats.masked_fill_(ended, torch.inf)
        going = beams.nats.isfinite().any(1)
        if not going.any():
            break
        beams.history = history
        if not going.all():  # rows of prompts that are done need no more work
            kept = going.repeat_interleave(beam)
            parents, ids, beams.history = parents[kept], ids[kept], history[kept]
            for name in ("prompts", "nats", "room"):
                setattr(beams, name, getattr(beams, name)[going])
        logits, state = model.step(ids, state.select(parents))
    return [sorted(each, key=lambda one: -one.score) for each in found]


def _likeliest(logits: Tensor, history: Tensor, settings: SearchSettings, last: bool) -> tuple[Tensor, Tensor]:
    """The nats of as many symbols after each row as can go on at all, and these symbols, both (rows, beam or fewer).

    Args:
        logits: (rows, symbols).
        history: of the rows, (rows, time).
        settings: of the search.
        last: whether all must end here.
    """
    whole = logits.logsumexp(-1, keepdim=True)
    if last:
        ends = torch.full((len(logits), 1), DOCUMENT, device=logits.device)
        return (whole - logits.gather(1, ends)).double(), ends
    best = _without_repeats(logits, history, settings.no_repeat).topk(min(settings.beam, logits.shape[1]))
    return (whole - best.values).double(), best.indices


def _extend(beams: _Beams, nats: Tensor, symbols: Tensor) -> tuple[Tensor, Tensor]:
    """Chooses the best continuations; returns the row that each comes from, and its symbol, both (rows,).

    Args:
        beams: whose nats become those of the continuations, infinite where there is none.
        nats: of what may follow each row, (rows, candidates).
        symbols: these, likewise.
    """
    prompts, beam = beams.nats.shape
    candidates = nats.shape[-1]
    total = (beams.nats.unsqueeze(-1) + nats.view(prompts, beam, candidates)).flatten(1)
    best = total.topk(min(beam, total.shape[1]), largest=False)
    missing = (0, beam - best.values.shape[1])
    values = functional.pad(best.values, missing, value=torch.inf)
    places = functional.pad(best.indices, missing)
    beyond = torch.arange(beam, device=nats.device) >= beams.room.unsqueeze(1)
    beams.nats = values.masked_fill(beyond, torch.inf)
    first = (torch.arange(prompts, device=nats.device) * beam).unsqueeze(1)
    return (first + places // candidates).flatten(), symbols.reshape(prompts, -1).gather(1, places).flatten()


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
