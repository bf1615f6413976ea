"""Rules that bend the logits before a symbol is drawn: ``(logits, history) -> logits``.

Logits are float, shape (batch, symbols); the history is the ids drawn so far, shape (batch, time). A rule masks a
symbol by setting its logit to minus infinity, and what an earlier rule masked stays masked. They are applied in the
order of ``RULES``: first temperature, then top-k, top-p and min-p, each on what the one before it left.
A rule is one function that makes it and one line in the table.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from seqgen.errors import UsageError

Rule = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class RuleSettings:
    """How a sample is drawn. Each field is a rule of the same name; None (and temperature 1) leaves it out."""

    temperature: float = 0.8
    """Logits are divided by it: below 1 safer, above 1 wilder; 0 always takes the likeliest symbol."""
    top_k: int | None = None
    """Draw among this many of the likeliest symbols."""
    top_p: float | None = None
    """Draw among the likeliest symbols that together have this probability (Holtzman et al. 2020)."""
    min_p: float | None = None
    """Draw among symbols at least this share as likely as the likeliest (Nguyen et al. 2024)."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise UsageError(
                f"temperature {self.temperature:g} is not 0 or above",
                hint="0 is argmax, 0.8 a good start, 1 the model as it is.",
            )
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"top-k {self.top_k} is below 1")
        for name in ("top_p", "min_p"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise UsageError(f"{name.replace('_', '-')} {value:g} is not in (0, 1]")


def temperature(value: float) -> Rule:
    """Divides the logits; 0 leaves only the likeliest symbol (the first of equals)."""

    def argmax(logits: Tensor, history: Tensor) -> Tensor:
        return _keep(
            logits, torch.zeros_like(logits, dtype=torch.bool).scatter_(-1, logits.argmax(-1, keepdim=True), True)
        )

    def divide(logits: Tensor, history: Tensor) -> Tensor:
        if value < 0.01:
            logits = logits - logits.amax(-1, keepdim=True)  # at most 0, so that a tiny temperature cannot overflow
        return logits / value

    return divide if value >= 1e-6 else argmax


def top_k(value: int) -> Rule:
    """Keeps the `value` likeliest symbols."""

    def rule(logits: Tensor, history: Tensor) -> Tensor:
        if value >= logits.shape[-1]:
            return logits
        kept = torch.zeros_like(logits, dtype=torch.bool).scatter_(-1, logits.topk(value, dim=-1).indices, True)
        return _keep(logits, kept)

    return rule


def top_p(value: float) -> Rule:
    """Keeps the smallest set of likeliest symbols whose probability reaches `value` (Holtzman et al. 2020)."""
    tiny = torch.finfo(torch.float32).tiny  # what is less would be 0 beside the logits, and keep no symbol at all

    def rule(logits: Tensor, history: Tensor) -> Tensor:
        if value >= 1:  # a sum of rounded probabilities may reach 1 before the last of them
            return logits
        probabilities, order = logits.softmax(-1).sort(dim=-1, descending=True, stable=True)
        before = probabilities.cumsum(-1) - probabilities
        kept = torch.zeros_like(logits, dtype=torch.bool).scatter_(-1, order, before < max(value, tiny))
        return _keep(logits, kept)

    return rule


def min_p(value: float) -> Rule:
    """Keeps the symbols whose probability is at least `value` times the highest one (Nguyen et al. 2024)."""

    def rule(logits: Tensor, history: Tensor) -> Tensor:
        return _keep(logits, logits >= logits.amax(-1, keepdim=True) + math.log(value))

    return rule


RULES: dict[str, Callable[..., Rule]] = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p}


def build_rules(settings: RuleSettings) -> list[Rule]:
    """The rules that these settings turn on, in the order of `RULES`."""
    values = dataclasses.asdict(settings)
    off = {name for name, value in values.items() if value is None} | (
        {"temperature"} if settings.temperature == 1 else set()
    )
    return [
        RULES[name](value)
        for name, value in sorted(values.items(), key=lambda item: list(RULES).index(item[0]))
        if name not in off
    ]


def _keep(logits: Tensor, kept: Tensor) -> Tensor:
    return logits.masked_fill(~kept, -math.inf)
