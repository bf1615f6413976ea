"""Rules that bend the logits before a symbol is drawn: ``(logits, history) -> logits``.

Logits are float, shape (batch, symbols); the history is all that was read so far, the prompt included, shape (batch,
time). A rule masks a symbol by setting its logit to minus infinity, and what an earlier rule masked stays masked; a rule
that would mask all that is left does nothing. They are applied in the order of ``RULES``, each to what the one before it
left: first what may be written at all, then what is to be likelier or less likely, then the temperature, and last what
cuts off the unlikely.

A rule is one function that makes it and one line in the table. ``native/streams.c`` knows the same rules, for speed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seqgen.decoding.phrases import Phrases
from seqgen.errors import UsageError

Rule = Callable[[Tensor, Tensor], Tensor]

RECENT = 64
"""Symbols of the history that the repetition penalty looks at."""
WINDOW = 1 << 14
"""Symbols of the history in which no n-gram is to come twice."""
PREFERENCE = 4.0
"""How many times as likely a preferred text becomes, symbol by symbol, beside all others."""
ARGMAX_BELOW = 1e-6
"""A temperature below it is 0."""
HOTTEST = 1e30
"""Highest temperature: float32 has hardly any higher number."""
MOST = 1 << 30
"""Highest value of a rule that counts symbols."""
LARGE_ENOUGH = 0.01
"""From this temperature on no logit can overflow when it is divided."""


@dataclass(frozen=True)
class RuleSettings:
    """How a sample is drawn. None (and temperature 1, and an empty list) leaves a rule out."""

    temperature: float = 0.8
    """Logits are divided by it: below 1 safer, above 1 wilder; 0 always takes the likeliest symbol."""
    final_temperature: float | None = None
    """Where the temperature is to be at the end of a sample of a given length; None: the same all along."""
    top_k: int | None = None
    """Draw among this many of the likeliest symbols."""
    top_p: float | None = None
    """Draw among the likeliest symbols that together have this probability (Holtzman et al. 2020)."""
    min_p: float | None = None
    """Draw among symbols at least this share as likely as the likeliest (Nguyen et al. 2024)."""
    repetition_penalty: float | None = None
    """Symbols that were among the latest become less likely: positive logits are divided by it, others multiplied
    (Keskar et al. 2019)."""
    no_repeat: int | None = None
    """No run of so many symbols comes twice (Paulus et al. 2018)."""
    ban: tuple[str, ...] = ()
    """Texts that are never written."""
    prefer: tuple[str, ...] = ()
    """Texts that become likelier."""

    def __post_init__(self) -> None:
        for name in ("temperature", "final_temperature"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= HOTTEST:
                raise UsageError(
                    f"temperature {value:g} is not from 0 to {HOTTEST:g}",
                    hint="0 is argmax, 0.8 a good start, 1 the model as it is.",
                )
        for name, least in (("top_k", 1), ("no_repeat", 2)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{_spoken(name)} {value} is below {least}")
            if value is not None and value > MOST:
                raise UsageError(f"{_spoken(name)} {value} is above {MOST}")
        for name in ("top_p", "min_p"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise UsageError(f"{_spoken(name)} {value:g} is not in (0, 1]")
        penalty = self.repetition_penalty
        if penalty is not None and not 1 <= penalty <= 1000:
            raise UsageError(
                f"repetition-penalty {penalty:g} is not from 1 to 1000", hint="1 is none, 1.2 a good start."
            )
        for name in ("ban", "prefer"):
            if "" in getattr(self, name):
                raise UsageError(f"an empty text to {name} means nothing", hint=f"Leave --{name} out.")


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What rules must know of the symbols and of the sample, beside its logits and its history.

    Attributes:
        sizes: how many characters each symbol adds, (symbols,); empty: no rule asks.
        prompt: how many symbols of a history were there before anything was drawn.
        given: characters that are drawn first although they stand in the seed already, see `tokenizers.Opening`.
        length: how many characters the sample will have; None: not known.
        least: characters before which no document ends.
        phrases: the texts that are banned or preferred; None: there are none.
    """

    sizes: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    prompt: int = 0
    given: int = 0
    length: int | None = None
    least: int = 0
    phrases: Phrases | None = None

    def written(self, history: Tensor) -> Tensor:
        """How many new characters of each history were drawn, (batch,)."""
        return self.sizes[history[:, self.prompt :]].sum(-1) - self.given

    def on(self, device: torch.device) -> Ground:
        """The same, where the logits are."""
        known = self.phrases
        moved = None if known is None else known.on(device)
        return dataclasses.replace(self, sizes=self.sizes.to(device), phrases=moved)


def phrases(settings: RuleSettings, ground: Ground) -> Rule | None:
    """Masks what would complete a banned text, and raises what begins a preferred one or goes on with it."""
    known = ground.phrases
    if known is None:
        return None

    def rule(logits: Tensor, history: Tensor) -> Tensor:
        return _unless_empty(logits, logits + known.raises[known.place(history)].to(logits))

    return rule


def min_length(settings: RuleSettings, ground: Ground) -> Rule | None:
    """Masks the end of the document while the sample is too short."""
    if ground.least <= 0:
        return None

    def rule(logits: Tensor, history: Tensor) -> Tensor:
        masked = torch.zeros_like(logits, dtype=torch.bool)
        masked[:, 0] = ground.written(history) < ground.least
        return _unless_empty(logits, logits.masked_fill(masked, -math.inf))

    return rule


def no_repeat(settings: RuleSettings, ground: Ground) -> Rule | None:
    """Masks what would complete an n-gram that stands in the history already (Paulus et al. 2018)."""
    size = settings.no_repeat
    if size is None:
        return None

    def rule(logits: Tensor, history: Tensor) -> Tensor:
        history = history[:, -WINDOW:]
        if history.shape[1] < size:
            return logits
        runs = history.unfold(1, size, 1)  # (batch, runs, size)
        same = (runs[..., :-1] == history[:, None, 1 - size :]).all(-1)
        hits = torch.zeros_like(logits).scatter_add_(1, runs[..., -1], same.to(logits))
        return _unless_empty(logits, logits.masked_fill(hits > 0, -math.inf))

    return rule


def repetition_penalty(settings: RuleSettings, ground: Ground) -> Rule | None:
    """Makes the latest symbols less likely (Keskar et al. 2019)."""
    penalty = settings.repetition_penalty
    if penalty is None or penalty == 1:
        return None

    def rule(logits: Tensor, history: Tensor) -> Tensor:
        recent = history[:, -RECENT:]
        values = logits.gather(1, recent)
        return logits.scatter(1, recent, torch.where(values > 0, values / penalty, values * penalty))

    return rule


def temperature(settings: RuleSettings, ground: Ground) -> Rule | None:
    """Divides the logits; 0 leaves only the likeliest symbol (the first of equals). A slope needs the sample's length."""
    first, last = settings.temperature, settings.final_temperature
    if last is None or last == first:
        return _constant(first)
    if ground.length is None:
        raise UsageError("a temperature that changes along the sample needs its length", hint="Give -n, too.")
    length = max(1, ground.length)

    def slope(logits: Tensor, history: Tensor) -> Tensor:
        along = (ground.written(history) / length).clamp(0, 1).to(logits).unsqueeze(1)
        return _divided(logits, first + (last - first) * along)

    return slope


def top_k(settings: RuleSettings, ground: Ground) -> Rule | None:
    """Keeps the likeliest symbols, so many of them."""
    count = settings.top_k
    if count is None:
        return None

    def rule(logits: Tensor, history: Tensor) -> Tensor:
        if count >= logits.shape[-1]:
            return logits
        order = logits.argsort(dim=-1, descending=True, stable=True)[:, :count]
        return _keep(logits, torch.zeros_like(logits, dtype=torch.bool).scatter_(-1, order, True))

    return rule


def top_p(settings: RuleSettings, ground: Ground) -> Rule | None:
    """Keeps the smallest set of likeliest symbols that reaches a probability (Holtzman et al. 2020)."""
    least = settings.top_p
    if least is None or least >= 1:  # a sum of rounded probabilities may reach 1 before the last of them
        return None
    tiny = torch.finfo(torch.float32).tiny  # what is less would be 0 beside the logits, and keep no symbol at all

    def rule(logits: Tensor, history: Tensor) -> Tensor:
        ordered, order = logits.sort(dim=-1, descending=True, stable=True)
        probabilities = ordered.softmax(-1)
        before = probabilities.cumsum(-1) - probabilities
        kept = torch.zeros_like(logits, dtype=torch.bool).scatter_(-1, order, before < max(least, tiny))
        return _keep(logits, kept)

    return rule


def min_p(settings: RuleSettings, ground: Ground) -> Rule | None:
    """Keeps the symbols whose probability is at least a share of the highest one (Nguyen et al. 2024)."""
    share = settings.min_p
    if share is None:
        return None
    return lambda logits, history: _keep(logits, logits >= logits.amax(-1, keepdim=True) + math.log(share))


RULES: dict[str, Callable[[RuleSettings, Ground], Rule | None]] = {
    rule.__name__: rule
    for rule in (phrases, min_length, no_repeat, repetition_penalty, temperature, top_k, top_p, min_p)
}


def build_rules(settings: RuleSettings, ground: Ground) -> list[Rule]:
    """The rules that these settings turn on, in the order of `RULES`.

    Raises:
        UsageError: a temperature that changes along a sample of unknown length.
    """
    return list(rules_on(settings, ground).values())


def rules_on(settings: RuleSettings, ground: Ground) -> dict[str, Rule]:
    """The same by their names."""
    made = {name: make(settings, ground) for name, make in RULES.items()}
    return {name: rule for name, rule in made.items() if rule is not None}


def bend(logits: Tensor, history: Tensor, chain: Sequence[Rule]) -> Tensor:
    """The logits after all rules, in order."""
    for rule in chain:
        logits = rule(logits, history)
    return logits


def _constant(value: float) -> Rule | None:
    """The same temperature all along."""
    if value == 1:
        return None
    if value < LARGE_ENOUGH:
        return lambda logits, history: _divided(logits, torch.full_like(logits[:, :1], value))
    return lambda logits, history: logits / value


def _divided(logits: Tensor, temperatures: Tensor) -> Tensor:
    """Logits by the temperature of each row (batch, 1). They are at most 0 then, so that none can overflow."""
    best = logits.argmax(-1, keepdim=True)
    greedy = torch.full_like(logits, -math.inf).scatter_(-1, best, logits.gather(-1, best))
    divided = (logits - logits.gather(-1, best)) / temperatures.clamp(min=ARGMAX_BELOW)
    return torch.where(temperatures < ARGMAX_BELOW, greedy, divided)


def _keep(logits: Tensor, kept: Tensor) -> Tensor:
    return logits.masked_fill(~kept, -math.inf)


def _unless_empty(before: Tensor, after: Tensor) -> Tensor:
    """What a rule made of the logits, but for rows in which it would leave nothing."""
    return torch.where((after > -math.inf).any(-1, keepdim=True), after, before)


def _spoken(name: str) -> str:
    return name.replace("_", "-")
