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
    """The sequences that are followed for some prompts, in places by prompt and rank. Only those that go on have a row."""

    def __init__(self, prompts: int, beam: int, device: torch.device) -> None:
        self.nats = torch.full((prompts, beam), torch.inf, dtype=torch.float64, device=device)
        """Of the sequence in each place; infinite where there is none that goes on."""
        self.nats[:, 0] = 0.0
        self.room = torch.full((prompts,), beam, device=device)
        """How many sequences of each prompt have not ended."""
        self.history = torch.zeros(prompts, 0, dtype=torch.long, device=device)
        """Of the rows, (rows, time)."""


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
    beam = settings.beam
    found: list[list[Found]] = [[] for _ in logits]
    beams = _Beams(len(logits), beam, logits.device)
    if allowed is not None:
        logits = logits.masked_fill(~allowed, -torch.inf)
    for time in range(1, settings.longest + 1):
        parents, ids = _extend(beams, *_likeliest(logits, beams.history, settings, time == settings.longest))
        ended = (ids == DOCUMENT) & beams.nats.isfinite()
        for prompt, rank in ended.nonzero().tolist():
            total = float(beams.nats[prompt, rank])
            ids_found = beams.history[parents[prompt, rank]].tolist()
            found[prompt].append(Found(ids_found, total, -total / time**settings.length_power))
        beams.room -= ended.sum(-1)
        beams.nats.masked_fill_(ended, torch.inf)
        going = beams.nats.isfinite()
        if not going.any():
            break
        parents, ids = parents[going], ids[going]
        beams.history = torch.cat([beams.history[parents], ids.unsqueeze(1)], dim=1)
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
    """Chooses the best continuations; returns the row that each comes from, and its symbol, both (prompts, beam).

    Args:
        beams: whose nats become those of the continuations, infinite where there is none.
        nats: of what may follow each row, (rows, candidates).
        symbols: these, likewise.
    """
    (prompts, beam), (rows, candidates) = beams.nats.shape, nats.shape
    followed = beams.nats.isfinite()
    total = nats.new_full((prompts, beam, candidates), torch.inf)
    total[followed] = beams.nats[followed].unsqueeze(1) + nats
    best = total.flatten(1).topk(beam, largest=False)
    row_of = torch.zeros(prompts, beam, dtype=torch.long, device=nats.device)
    row_of[followed] = torch.arange(rows, device=nats.device)
    parents = row_of.gather(1, best.indices // candidates)
    beyond = torch.arange(beam, device=nats.device) >= beams.room.unsqueeze(1)
    beams.nats = best.values.masked_fill(beyond, torch.inf)
    return parents, symbols[parents, best.indices % candidates]


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
