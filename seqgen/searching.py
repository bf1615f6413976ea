"""``search()`` looks for several sequences at once, with beams, over the same ``step`` and ``select`` as ``generate()``: for the
likeliest, or for different ones drawn at random."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqgen.errors import UsageError
from seqgen.models import Model
from seqgen.tokenizers import DOCUMENT


@dataclass(frozen=True)
class SearchSettings:
    """How sequences are looked for, or drawn."""

    beam: int = 5
    """Sequences that are followed at once."""
    length_power: float = 1.0
    """Sequences are compared by their nats over this power of their length; 1: by the mean."""
    no_repeat: int = 4
    """No sequence of so many symbols stands twice in a result; 0: any may."""
    longest: int = 200
    """Symbols at most."""
    temperature: float = 0.0
    """0: the likeliest are looked for. Else sequences are drawn at this temperature, no two the same (Kool et al. 2019)."""
    random_seed: int = 0
    """Of what is drawn; the same noise for every prompt."""

    def __post_init__(self) -> None:
        for name in ("beam", "longest"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)} is below 1")
        if not 0 <= self.temperature < math.inf:
            raise UsageError(f"temperature {self.temperature} is not a finite number from 0 on")


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


class _Choices(NamedTuple):
    """What may follow rows: sequences that are one symbol longer, (rows, choices) each.

    Attributes:
        keys: what they are chosen by, the lowest first.
        nats: of the whole sequences.
        sharp: the same at the temperature that is drawn at.
        symbols: their last.
    """

    keys: Tensor
    nats: Tensor
    sharp: Tensor
    symbols: Tensor


class _Beams:
    """The sequences that are followed for some prompts, in places by prompt and rank. Only those that go on have a row."""

    def __init__(self, prompts: int, beam: int, device: torch.device) -> None:
        self.keys = torch.full((prompts, beam), torch.inf, dtype=torch.float64, device=device)
        """What the sequence in each place was chosen by; infinite where there is none that goes on."""
        self.keys[:, 0] = 0.0
        self.nats, self.sharp = self.keys.clone(), self.keys.clone()
        self.ended = torch.full_like(self.keys, torch.inf)
        """The keys of those that ended, the lowest first."""
        self.history = torch.zeros(prompts, 0, dtype=torch.long, device=device)
        """Of the rows, (rows, time)."""

    @property
    def going(self) -> Tensor:
        """Where there is a row, (prompts, beam)."""
        return self.keys.isfinite()

    def extend(self, choices: _Choices) -> tuple[Tensor, Tensor]:
        """Chooses the best continuations; returns the row that each comes from, and its symbol, both (prompts, beam)."""
        going, width = self.going, choices.keys.shape[1]
        table = choices.keys.new_full((*going.shape, width), torch.inf)
        table[going] = choices.keys
        best = table.flatten(1).topk(going.shape[1], largest=False)
        row_of = torch.zeros(going.shape, dtype=torch.long, device=going.device)
        row_of[going] = torch.arange(len(choices.keys), device=going.device)
        parents, places = row_of.gather(1, best.indices // width), best.indices % width
        before = (self.ended.unsqueeze(1) <= best.values.unsqueeze(2)).sum(-1)  # those that ended keep their places
        ranks = torch.arange(going.shape[1], device=going.device)
        self.keys = best.values.masked_fill(ranks + before >= going.shape[1], torch.inf)
        self.nats, self.sharp = choices.nats[parents, places], choices.sharp[parents, places]
        return parents, choices.symbols[parents, places]

    def end(self, ended: Tensor, keys: Tensor) -> None:
        """These sequences, (prompts, beam), have ended and keep their places by these keys."""
        both = torch.cat([self.ended, keys.masked_fill(~ended, torch.inf)], dim=1)
        self.ended = both.topk(keys.shape[1], largest=False).values
        self.keys = self.keys.masked_fill(ended, torch.inf)


@torch.inference_mode()
def search(
    model: Model, logits: Tensor, state: Any, settings: SearchSettings, allowed: Tensor | None = None
) -> list[list[Found]]:
    """Looks for several sequences with beams, for many prompts at once.

    A likely sequence that ends takes a place of its beam, so that a beam of one is greedy, and a beam wide enough for all is
    exact. What is drawn is a sample without replacement of whole sequences, as far as none repeats itself.

    Args:
        model: in evaluation mode.
        logits: of the first symbol after each prompt, (prompts, symbols).
        state: after the prompts.
        settings: of the search.
        allowed: which symbols may come first, (symbols,); None: all.

    Returns:
        For each prompt what was found, the best first; at most `beam`.
    """
    found: list[list[tuple[float, Found]]] = [[] for _ in logits]
    beams = _Beams(len(logits), settings.beam, logits.device)
    noise = torch.Generator().manual_seed(settings.random_seed)
    if allowed is not None:
        logits = logits.masked_fill(~allowed, -torch.inf)
    for time in range(1, settings.longest + 1):
        parents, ids = beams.extend(_choices(logits, beams, settings, noise, last=time == settings.longest))
        ended = (ids == DOCUMENT) & beams.going
        keys = beams.keys if settings.temperature else torch.full_like(beams.keys, -torch.inf)
        for prompt, rank in ended.nonzero().tolist():
            nats = float(beams.nats[prompt, rank])
            one = Found(beams.history[parents[prompt, rank]].tolist(), nats, -nats / time**settings.length_power)
            found[prompt].append((float(keys[prompt, rank]), one))
        beams.end(ended, keys)
        going = beams.going
        if not going.any():
            break
        parents, ids = parents[going], ids[going]
        beams.history = torch.cat([beams.history[parents], ids.unsqueeze(1)], dim=1)
        logits, state = model.step(ids, state.select(parents))
    kept = ([one for _, one in sorted(each, key=lambda pair: pair[0])[: settings.beam]] for each in found)
    return [sorted(each, key=lambda one: -one.score) for each in kept]


def _choices(logits: Tensor, beams: _Beams, settings: SearchSettings, noise: torch.Generator, last: bool) -> _Choices:
    """As many symbols after each row as can go on at all.

    Args:
        logits: (rows, symbols).
        beams: with their history.
        settings: of the search.
        noise: for what is drawn.
        last: whether all must end here.
    """
    going = beams.going
    keys, nats, sharp = (each[going].unsqueeze(1) for each in (beams.keys, beams.nats, beams.sharp))
    whole = logits.logsumexp(-1, keepdim=True)
    if last:
        ends = torch.full((len(logits), 1), DOCUMENT, device=logits.device)
        return _Choices(keys, nats + (whole - logits.gather(1, ends)).double(), sharp, ends)
    free, width = _without_repeats(logits, beams.history, settings.no_repeat), min(settings.beam, logits.shape[1])
    if not settings.temperature:
        best = free.topk(width)
        nats = nats + (whole - best.values).double()
        return _Choices(nats, nats, nats, best.indices)
    sharp = sharp - (free.double() / settings.temperature).log_softmax(-1)
    uniform = torch.rand(settings.beam, logits.shape[1], generator=noise, dtype=torch.float64).to(logits.device)
    keys, symbols = _perturbed(sharp, keys, uniform[going.nonzero()[:, 1]]).topk(width, largest=False)
    return _Choices(keys, nats + (whole - logits.gather(1, symbols)).double(), sharp.gather(1, symbols), symbols)


def _perturbed(nats: Tensor, parents: Tensor, uniform: Tensor) -> Tensor:
    """The nats of sequences less Gumbel noise, such that the lowest of each row is that of the row before: then the lowest of
    all are a sample without replacement (Kool et al. 2019, section 4.1).

    Args:
        nats: (rows, symbols).
        parents: the perturbed nats of the rows, (rows, 1).
        uniform: noise from 0 to 1, (rows, symbols).
    """
    values = nats + (-uniform.log()).log()
    excess = values - parents + torch.log1p(-(values.amin(-1, keepdim=True) - values).exp())
    return parents + excess.clamp(min=0) + torch.log1p((-excess.abs()).exp())


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
