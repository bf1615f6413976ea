"""What a document says again: a memory of its last symbols, and weights that say how far to trust it.

Names, phrases and lines come back within a document, and a small network has forgotten them by then. So beside the
network stands a memory that only counts: when the last 1, 2, 3 or 5 symbols stood in this document before, which
symbols followed them then? Each of the likeliest followers is a candidate in one of `SLOTS` slots; of what `kind` it is
says how often the context was seen and how much of that the candidate had, the latest counting most. The last slot has what
came next where the document went on longest as it does now (`repeats.py`), and its kind says for how long. The logit of a
candidate is raised by ``b + c (log p + CENTRE)``, where p is what the network gives it, and b and c stand in a table
with a row for each slot and kind: a log-linear model, whose table is learned from validation text after the training.
The weights of the network stay as they are, and nothing from any other document is remembered.

A cache language model (Kuhn & De Mori 1990; for recurrent networks Grave et al. 2017) over the contexts of prediction
by partial matching (Cleary & Witten 1984), combined by maximum entropy (Rosenfeld 1996).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqgen.models.repeats import KINDS as REPEATS
from seqgen.models.repeats import Precedent, Repeats

CONTEXTS = ((1, 6), (2, 4), (3, 2), (5, 1))
"""How many symbols a context has, the longest last, and how many of those that followed it are candidates."""
SLOTS = sum(candidates for _, candidates in CONTEXTS) + 1
FOLLOWERS = 8
"""So many of the latest followers of a context are remembered, each worth half of the one after it."""
VISITS = (2, 4, 8)
SHARES = (0.35, 0.55, 0.75, 0.9, 0.999)
LOWER_SHARES = (0.05, 0.1, 0.2, 0.3, 0.4)
"""Where the kinds of a candidate meet: times that the context was seen, and the candidate's share of what followed (of
the second and later candidates: the lower bounds)."""
KINDS = 1 + max((len(VISITS) + 1) * (len(SHARES) + 1), REPEATS)
"""Kind 0 is an empty slot."""
TABLE_SHAPE = (SLOTS, KINDS, 2)
EARLIER_SHAPE = (13, 25, 2)
"""Of tables that were learned before there was a slot for repeats."""
LEAST_SEED = 64
"""Symbols of a seed, for a sample to recall any of it."""
REMEMBERED = 1 << 15
"""Symbols of a document after which the memory begins to forget its beginning."""
CENTRE = 2.0
FLOOR = -12.0
"""Least log-probability that the raise depends on."""
MOST = 8.0
"""Largest raise of one slot."""
LEAST_REST = 1e-12
"""Sum of all probabilities, before it is brought back to 1, that rounding must leave."""
PRIOR = 3.0
"""Weight of the squares of the table in its loss, in nats for the whole text."""
ITERATIONS = 25
LEAST_SYMBOLS = 2000
"""Of validation text, for a table to be learned at all."""
ENOUGH_SYMBOLS = 10_000
"""Of which a half says as much as the whole."""
LEAST_GAIN = 0.005
"""Share of the surprise that a table must save to be worth its time."""

Ids = npt.NDArray[np.int64]
Context = tuple[int, ...]
Slots = tuple[list[int], list[int]]
"""Candidates for the next symbol, and of what kind each is; one of each for every slot."""
NOTHING: Slots = ([0] * SLOTS, [0] * SLOTS)


class Here(NamedTuple):
    """Where a reader is in a document that is remembered, or in what follows it.

    Attributes:
        recent: the last symbols.
        precedent: where the document went on as it does now; None: nowhere.
    """

    recent: Context = ()
    precedent: Precedent | None = None


class Memory:
    """What followed which symbols in the document so far.

    Args:
        document: the symbol that opens a document, and empties the memory.

    Attributes:
        here: behind its last symbol.
    """

    def __init__(self, document: int) -> None:
        self._document = document
        self._forget()

    def _forget(self) -> None:
        self._followers: dict[Context, list[int]] = {}
        self._older: dict[Context, list[int]] = {}
        self._repeats = Repeats()
        self._open: list[list[int]] = []
        self._age = 0
        self.here = Here()

    def feed(self, symbol: int) -> Slots:
        """Reads a symbol, and remembers that it followed those before it: what could come next."""
        if symbol == self._document:
            self._forget()
            return NOTHING
        for followers in self._open:
            if len(followers) == FOLLOWERS:
                del followers[0]
            followers.append(symbol)
        self._age += 1
        if self._age == REMEMBERED:
            self._older, self._followers, self._age = self._followers, {}, 0
            self._repeats.age()
        self.here = self.follow(self.here, symbol)
        recent = self.here.recent
        self._repeats.add(symbol, recent)
        self._open = [self._keep(recent[-size:]) for size, _ in CONTEXTS if len(recent) >= size]
        return self.look(self.here)

    def _keep(self, context: Context) -> list[int]:
        known = self._followers.get(context)
        if known is None:
            known = self._followers[context] = list(self._older.get(context, ()))
        return known

    def follow(self, here: Here, symbol: int) -> Here:
        """Behind one more symbol, which is not remembered."""
        recent = (*here.recent[1 - CONTEXTS[-1][0] :], symbol)
        return Here(recent, self._repeats.follow(here.precedent, symbol, recent))

    def look(self, here: Here) -> Slots:
        """What could come next."""
        candidates: list[int] = []
        kinds: list[int] = []
        for size, wanted in CONTEXTS:
            context = here.recent[-size:]
            known = self._followers.get(context) or self._older.get(context) or []
            _rank(known, wanted, candidates, kinds)
        coming = here.precedent and self._repeats.next(here.precedent)
        candidates.append(coming or 0)
        kinds.append(here.precedent.kind if here.precedent and coming is not None else 0)
        return candidates, kinds


def _rank(followers: Sequence[int], wanted: int, candidates: list[int], kinds: list[int]) -> None:
    """Appends the likeliest followers and their kinds; empty slots where there are fewer."""
    first = len(kinds)
    if followers:
        seen = 1 + bisect_right(VISITS, len(followers)) * (len(SHARES) + 1)
        shares: dict[int, float] = {}
        weight = 1.0
        for symbol in reversed(followers):
            shares[symbol] = shares.get(symbol, 0.0) + weight
            weight /= 2
        total = 2 - 2 * weight
        for rank, (symbol, share) in enumerate(sorted(shares.items(), key=lambda item: -item[1])[:wanted]):
            candidates.append(symbol)
            kinds.append(seen + bisect_right(LOWER_SHARES if rank else SHARES, share / total))
    missing = wanted - (len(kinds) - first)
    candidates.extend([0] * missing)
    kinds.extend([0] * missing)


def candidates_of(memory: Memory, ids: Sequence[int]) -> tuple[Ids, Ids]:
    """Reads ids: after each of them, the candidates for the next one and their kinds; both (symbols, slots)."""
    candidates, kinds = np.zeros((len(ids), SLOTS), np.int64), np.zeros((len(ids), SLOTS), np.int64)
    for place, symbol in enumerate(ids):
        candidates[place], kinds[place] = memory.feed(symbol)
    return candidates, kinds


def raised(log_probabilities: Tensor, table: Tensor, candidates: Tensor, kinds: Tensor) -> Tensor:
    """Logits of the next symbol, from what the network says and the memory knows.

    Args:
        log_probabilities: (..., symbols), of the network; minus infinity stays as it is.
        table: (slots, kinds, 2).
        candidates: (..., slots).
        kinds: (..., slots).
    """
    raises = _raises(log_probabilities.gather(-1, candidates), table, kinds)
    return log_probabilities.scatter_add(-1, candidates, raises.to(log_probabilities.dtype))


def _raises(log_p: Tensor, table: Tensor, kinds: Tensor) -> Tensor:
    """How much each slot raises its candidate; (..., slots)."""
    rows = table[torch.arange(SLOTS, device=table.device), kinds]  # (..., slots, 2)
    raises = rows[..., 0] + rows[..., 1] * (log_p.clamp(min=FLOOR) + CENTRE)
    return raises.clamp(-MOST, MOST).masked_fill(kinds == 0, 0.0)


def with_all_slots(table: Tensor) -> Tensor:
    """An earlier table as one of today, which makes as little of repeats: (slots, kinds, 2)."""
    return torch.cat([table, table.new_zeros(SLOTS - len(table), *table.shape[1:])])


class Reminder:
    """What samples that grow side by side recall of the seed that they share.

    What they wrote themselves they do not recall: a model that trusts its own words as it trusts a document repeats
    itself without end.

    Args:
        table: (slots, kinds, 2).
        document: the symbol that opens a document.
        prompt: the seed, after the document symbol.
        width: how many samples there are.
    """

    def __init__(self, table: Tensor, document: int, prompt: Sequence[int], width: int) -> None:
        self._table = table
        self._memory = Memory(document)
        for symbol in prompt:
            last = self._memory.feed(symbol)
        self._here = [self._memory.here] * width
        self._now = [last] * width

    def bend(self, logits: Tensor) -> Tensor:
        """Logits (batch, symbols) of the network, with what the memory knows added."""
        candidates, kinds = (torch.tensor(part, device=logits.device) for part in zip(*self._now, strict=True))
        return raised(logits.log_softmax(-1), self._table, candidates, kinds)

    def feed(self, ids: Sequence[int]) -> None:
        """Reads the symbol that each sample has drawn."""
        self._here = [self._memory.follow(here, symbol) for here, symbol in zip(self._here, ids, strict=True)]
        self._now = [self._memory.look(here) for here in self._here]


class Observed:
    """What a table is learned from: for each symbol what the network gave to it and to the candidates.

    Args:
        targets: the symbols; (symbols,).
        nats: of each by the network alone; (symbols,).
        candidates: (symbols, slots).
        kinds: (symbols, slots).
        log_p: of the candidates by the network; (symbols, slots).
    """

    def __init__(self, targets: Tensor, nats: Tensor, candidates: Tensor, kinds: Tensor, log_p: Tensor) -> None:
        self._parts = targets, nats, candidates, kinds, log_p
        self.alone, self._kinds, self._log_p = nats.double(), kinds, log_p.double()
        same = (candidates.unsqueeze(2) == candidates.unsqueeze(1)) & (kinds > 0).unsqueeze(1)
        self._owner = same.int().argmax(-1)  # the first slot with the same candidate: its raises add up there
        first = (self._owner == torch.arange(SLOTS)) & (kinds > 0)
        self._p = self._log_p.exp() * first
        self._hit = (first & (candidates == targets.unsqueeze(-1))).double()

    def __len__(self) -> int:
        return len(self.alone)

    def part(self, places: Tensor) -> Observed:
        """Some of the symbols."""
        return Observed(*(tensor[places] for tensor in self._parts))

    def nats(self, table: Tensor) -> Tensor:
        """Nats of each symbol with a table; (symbols,)."""
        raises = _raises(self._log_p, table, self._kinds)
        totals = torch.zeros_like(raises).scatter_add(-1, self._owner, raises)
        more = (self._p * totals.expm1()).sum(-1)  # above -1, but for rounding
        return self.alone - (self._hit * totals).sum(-1) + more.clamp(min=LEAST_REST - 1).log1p()


def learn(observed: Observed) -> tuple[Tensor | None, Tensor]:
    """The table that predicts a text best, and the nats of its symbols by tables that have not seen them: the text is cut in
    two folds, a short one in five, and each is predicted by what was learned from the others.

    Returns:
        The table, float32 (slots, kinds, 2), or None where the text is too short or the gain too small; nats (symbols,).
    """
    if len(observed) < LEAST_SYMBOLS:
        return None, observed.alone
    places, nats = torch.arange(len(observed)), torch.empty_like(observed.alone)
    for fold in places.chunk(2 if len(observed) >= ENOUGH_SYMBOLS else 5):
        others = torch.cat([places[: fold[0]], places[fold[-1] + 1 :]])
        nats[fold] = observed.part(fold).nats(_fit(observed.part(others)))
    if not nats.sum() < (1 - LEAST_GAIN) * observed.alone.sum():
        return None, observed.alone
    return _fit(observed).float(), nats


@torch.enable_grad()
def _fit(observed: Observed) -> Tensor:
    table = torch.zeros(TABLE_SHAPE, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([table], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = observed.nats(table).mean() + PRIOR / len(observed) * table.square().sum()
        torch.autograd.backward(loss)
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return table.detach()
