"""``generate()`` draws symbols from a model; ``Writing`` turns them into the text of a sample and knows where it ends.

A sample is a function of the checkpoint, the seed, the settings, the random seed and its index. Each index has a
random number generator of its own, and several samples run in tiles of one fixed width, padded if need be, so that
none depends on how many there are. A sole sample runs as a single stream, which is faster.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqgen.decoding.rules import Rule, RuleSettings, build_rules
from seqgen.errors import UsageError
from seqgen.modalities import Modality
from seqgen.models import LanguageModel
from seqgen.models.recall import LEAST_SEED, Reminder
from seqgen.tokenizers import DOCUMENT, Opening, Tokenizer, bytes_of, text_of

TILE = 64
"""Samples that run side by side."""
PREPARED_DRAWS = 256
KEPT_BORDERS = 4096
HARD_LIMIT = 5
"""A sample without a length is cut at the first line end after this many times the length after which it may end."""
LAST_LINE = 200
"""Characters after which such a sample is cut even within a line."""


NOTHING = Opening([])
"""No prompt: a sample begins where a document does."""


@dataclass(frozen=True)
class SampleSettings:
    """What a sample should be like."""

    rules: RuleSettings = field(default_factory=RuleSettings)
    """How each symbol is drawn."""
    length: int | None = None
    """Characters to write at most, the seed not counted; None: until a document or a sentence ends."""
    stop: tuple[str, ...] = ()
    """End before the first of these texts."""
    recall: bool = True
    """Use the names and phrases of a long seed again, if the model has learned to recall."""

    def __post_init__(self) -> None:
        if self.length is not None and self.length < 0:
            raise UsageError(f"length {self.length} is below 0")
        if "" in self.stop:
            raise UsageError("an empty stop text would stop at once", hint="Leave --stop out instead.")


def new_random_seed() -> int:
    """A random seed for those who gave none; small enough to type."""
    return secrets.randbelow(1 << 31)


@torch.inference_mode()
def generate(
    model: LanguageModel,
    prompt: Sequence[int],
    rules: RuleSettings,
    random_seed: int,
    indices: Sequence[int],
    allowed: npt.NDArray[np.bool_] | None = None,
    recall: bool = True,
) -> Iterator[list[int]]:
    """Draws one symbol after another for each index, without end: yields lists of ids, one id for each index.

    Args:
        model: in evaluation mode.
        prompt: the ids that all samples grow from, at least one.
        rules: how a symbol is drawn.
        random_seed: together with an index it decides a sample's random numbers.
        allowed: which symbols may come first, shape (symbols,); None: all.
        indices: which samples; one alone runs as a single stream, more as a tile.
        recall: whether the model recalls a long prompt, if it has learned to.
    """
    device = model.device
    width = 1 if len(indices) == 1 else TILE
    if len(indices) > width:
        raise ValueError(f"{len(indices)} samples do not fit a tile of {width}")
    chain = build_rules(rules)
    logits, state = model.start(torch.tensor([list(prompt)], device=device))
    if allowed is not None:
        logits = logits.masked_fill(~torch.from_numpy(allowed).to(device), -torch.inf)
    if width > 1:
        rows = torch.zeros(width, dtype=torch.long, device=device)
        logits, state = logits.index_select(0, rows), state.select(rows)
    reminder = None
    if recall and model.recall is not None and len(prompt) > LEAST_SEED:
        reminder = Reminder(model.recall, DOCUMENT, prompt, width)
    draws = _Draws(random_seed, [*indices, *[-1] * (width - len(indices))])
    history = torch.zeros(width, PREPARED_DRAWS, dtype=torch.long, device=device)
    for time in range(2**63):
        if time == history.shape[1]:
            history = torch.cat([history, torch.zeros_like(history)], dim=1)
        if reminder is not None:
            logits = reminder.bend(logits)
        bent = bend(logits, history[:, :time], chain)
        ids = choose(bent.cpu(), draws.next()).to(device)  # in float64, which not every device has
        history.select(1, time).copy_(ids)
        drawn = ids.tolist()
        yield drawn[: len(indices)]
        if reminder is not None:
            reminder.feed(drawn)
        logits, state = model.step(ids, state)


def bend(logits: Tensor, history: Tensor, chain: Sequence[Rule]) -> Tensor:
    """The logits after all rules, in order."""
    for rule in chain:
        logits = rule(logits, history)
    return logits


def choose(logits: Tensor, uniform: Tensor) -> Tensor:
    """Draws an id for each row by inverting the cumulative distribution, in float64.

    Args:
        logits: (batch, symbols); minus infinity is never drawn.
        uniform: (batch,) numbers in [0, 1).
    """
    cumulative = logits.softmax(-1, dtype=torch.float64).cumsum(-1)
    threshold = uniform.unsqueeze(-1) * cumulative[:, -1:]  # below the last one, since the number is below 1
    return torch.searchsorted(cumulative, threshold, right=True).squeeze(-1)


class _Draws:
    """Uniform random numbers in [0, 1), a generator for each index; index -1 is padding."""

    def __init__(self, random_seed: int, indices: Sequence[int]) -> None:
        self._generators = [torch.Generator().manual_seed(mix(random_seed, index)) for index in indices]
        self._prepared: list[Tensor] = []

    def next(self) -> Tensor:
        """One number for each index, shape (batch,)."""
        if not self._prepared:
            block = torch.stack(
                [torch.rand(PREPARED_DRAWS, generator=each, dtype=torch.float64) for each in self._generators]
            )
            self._prepared = list(block.t().unbind(0))[::-1]
        return self._prepared.pop()


def mix(random_seed: int, index: int) -> int:
    """A generator's seed from the user's random seed and the index of the sample."""
    return int.from_bytes(hashlib.sha256(f"{random_seed}:{index}".encode()).digest()[:8]) >> 1


class Writing:
    """The text of one sample as it grows. What may still turn out to be cut off is held back from the screen.

    Args:
        tokenizer: turns ids into bytes.
        settings: length and stop texts.
        modality: says where a unit ends, for samples without a length.
        opening: what it goes on from; between symbols there may be a space that belongs to neither.
    """

    def __init__(
        self, tokenizer: Tokenizer, settings: SampleSettings, modality: Modality, opening: Opening = NOTHING
    ) -> None:
        self.settings, self.modality = settings, modality
        self.data = b""
        self.text = ""
        self.symbols = 0
        self.stopped_by: str | None = "length" if settings.length == 0 else None
        self._decoder = tokenizer.decoder()
        for symbol in opening.ids:
            self._decoder.feed(symbol)
        self._taken_back = len(opening.taken_back)
        self._shown = 0
        self._borders = deque([(0, 0)], maxlen=KEPT_BORDERS)
        """The latest places, in characters and in bytes, where a drawn symbol was complete."""

    def feed(self, symbol: int) -> str:
        """Takes the next id; returns what can be shown now. Sets `stopped_by` when the sample is complete."""
        if self.is_done():
            return ""
        if symbol == DOCUMENT:
            self._take(self._decoder.finish())
            self.stopped_by = self.stopped_by or "document"
        else:
            self.symbols += 1
            self._take(self._decoder.feed(symbol))
        return self._show()

    def is_done(self) -> bool:
        """Whether the sample is complete."""
        return self.stopped_by is not None

    def finish(self) -> str:
        """Ends the sample where it is, for a user who interrupts; returns what was held back."""
        self.stopped_by = self.stopped_by or "interrupt"
        return self._show()

    def _take(self, data: bytes) -> None:
        known = min(self._taken_back, len(data))  # it stands at the end of the seed already
        data, self._taken_back = data[known:], self._taken_back - known
        if not data:
            return
        self.data += data
        before = len(self.text)
        self.text += text_of(data)
        self._borders.append((len(self.text), len(self.data)))
        ends = [(place, "stop") for stop in self.settings.stop if (place := self._find(stop, before)) >= 0]
        length = self.settings.length
        if length is not None and len(self.text) >= length:
            ends.append((length, "length"))
        if length is None:
            ends += self._end_of_unit()
        if ends:
            self._cut(*min(ends))

    def _find(self, stop: str, before: int) -> int:
        """Where a stop text stands, if what is new has completed it."""
        return self.text.find(stop, max(0, before - len(stop)))

    def _end_of_unit(self) -> list[tuple[int, str]]:
        """Where a sample without a length ends: after the first whole unit that is long enough, or at the hard limit."""
        modality = self.modality
        if len(self.text) <= modality.unit_length:
            return []
        place = modality.end(self.text[modality.unit_length :])
        if place is not None:
            return [(modality.unit_length + place, modality.end_name)]
        limit = HARD_LIMIT * modality.unit_length
        line_end = self.text.find("\n", limit)
        if line_end >= 0:
            return [(line_end + 1, "length")]
        return [(limit + LAST_LINE, "length")] if len(self.text) >= limit + LAST_LINE else []

    def _cut(self, length: int, reason: str) -> None:
        characters, size = max((border for border in self._borders if border[0] <= length), default=(0, 0))
        self.data = self.data[:size] + bytes_of(
            self.text[characters:length]
        )  # as it was drawn, up to a whole character
        self.text = self.text[:length]
        self.stopped_by = reason

    def _show(self) -> str:
        held = 0 if self.is_done() else max([_overlap(self.text, stop) for stop in self.settings.stop], default=0)
        if not self.is_done() and self.settings.length is None:
            held = max(held, len(self.text) - len(self.text.rstrip()))
        ready = max(self._shown, len(self.text) - held)
        shown, self._shown = self.text[self._shown : ready], ready
        return shown


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of a text are the beginning of a stop text."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
