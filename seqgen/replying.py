"""``reply()``: what a trained model answers to messages; what it looked at, and which messages that it learned from are near."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqgen.conversations import tidy
from seqgen.decoding.rules import RuleSettings
from seqgen.errors import UsageError
from seqgen.generation import TILE, generate, mix
from seqgen.mail.masks import fill, is_whole, mask
from seqgen.models import ReplyModel, ReplyState
from seqgen.pairs import Pairs
from seqgen.searching import Found, SearchSettings, search
from seqgen.splits import Split
from seqgen.tokenizers import DOCUMENT, Tokenizer

TOGETHER = 64
"""Messages that are answered side by side at most."""
MOST_CHOICES = 1 << 23
"""Symbols that may follow what is followed for these messages, at most: each is a few numbers."""
LONGEST_MESSAGE = 4000
"""Symbols of a message that are read."""
LONGEST_REPLY = 400
"""Symbols of a reply."""
BEAM = 24
"""Replies that are followed at once."""
DRAWN_AT = 0.85
"""Temperature at which replies are drawn where the model knows what is said anyhow: the likeliest would all be that."""
GAIN = 0.06
"""What a nat by which a reply is likelier after its message than anyhow counts, beside a nat of its mean symbol."""
FLUENCY, FLUENCY_BY_HEART = 0.2, 2.0
"""What a nat counts by which a reply is likelier than others of its length, beside one by which the message makes it likelier.
Without it, the most telling replies are those that hardly hang together; with much of it, those that can always be given. What
was learned by heart is told from what is made up of its parts."""
USUAL, LENGTH_POWER = 12, 0.5
"""Symbols of a usual answer, and how much worse the mean symbol of a longer one counts. The mean alone flatters it: once it is
begun, its rest is certain."""
DIFFERENCE = 0.5
"""Nats of its mean symbol that a reply costs whose every piece an earlier one has, too."""


@dataclass(frozen=True)
class ReplySettings:
    """What replies should be like."""

    count: int = 3
    """How many, unlike each other."""
    beam: int = BEAM
    """Replies that are followed at once, from which these are chosen; as many as are wanted at least. 1: a sole one is greedy."""
    start: str = ""
    """What they begin with."""
    rules: RuleSettings | None = None
    """Draw each by itself by these rules, instead of choosing from those that are followed at once."""
    words: int | None = None
    """Words at most, without those of the start."""
    random_seed: int = 0
    """For those that are drawn at random."""
    raw: bool = False
    """The message is as it was learned, and marks stay marks: to compare with what was learned."""

    def __post_init__(self) -> None:
        for name in ("count", "beam"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)} is below 1")
        if len(self.start) > LONGEST_REPLY:
            what = f"a reply cannot begin with {len(self.start):,} characters"
            raise UsageError(what, hint=f"{LONGEST_REPLY} at most.")
        if self.rules is not None and self.count > TILE:
            raise UsageError(f"{self.count} replies are too many to be drawn", hint=f"{TILE} at most.")


class Reply(NamedTuple):
    """A reply and its score: the mean log-probability of its symbols, in nats, 0 at most."""

    text: str
    score: float


class Look(NamedTuple):
    """What each piece of a reply looked at.

    Attributes:
        message: its pieces, the end last.
        reply: its pieces, the end last.
        weights: of the pieces of the message for each of the reply, (reply, message); each row sums to 1.
    """

    message: list[str]
    reply: list[str]
    weights: npt.NDArray[np.float32]


class Near(NamedTuple):
    """A message that was learned, its reply, and the cosine between its thought vector and another's."""

    message: str
    reply: str
    similarity: float


class Replier:
    """Answers messages with a trained model.

    Args:
        model: in evaluation mode.
        tokenizer: its own.
        masked: whether it has learned marks in the places of numbers, links and addresses; then what a message has of those is
            put into the replies.
        by_heart: whether it knows what it has read by heart, and hardly anything else.
    """

    def __init__(self, model: ReplyModel, tokenizer: Tokenizer, masked: bool, by_heart: bool = False) -> None:
        self.model, self.tokenizer, self.masked = model, tokenizer, masked
        self._fluency = FLUENCY_BY_HEART if by_heart else FLUENCY

    def replies(self, messages: Sequence[str], settings: ReplySettings) -> list[list[Reply]]:
        """Replies to each of some messages, the best first; fewer than asked for where no more differ."""
        results: list[list[Reply]] = [[] for _ in messages]
        ids = [self._message(message) for message in messages]
        order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
        together = max(1, min(TOGETHER, MOST_CHOICES // (max(settings.beam, settings.count) * self.tokenizer.size)))
        for first in range(0, len(order), together):
            places = order[first : first + together]
            answer = self._searched if settings.rules is None else self._drawn
            for place, found in zip(places, answer([ids[place] for place in places], settings), strict=True):
                results[place] = self._told(found, messages[place], settings)
        return results

    def look(self, message: str, reply: str) -> Look:
        """What each piece of a reply would look at of a message.

        Raises:
            UsageError: the model has no attention.
        """
        prompt = self._message(message)
        wanted = [*self.tokenizer.encode(self._masked(reply)).tolist(), DOCUMENT]
        state, rows = self.model.open(torch.tensor([prompt], device=self.model.device)), []
        for symbol in [DOCUMENT, *wanted[:-1]]:
            _, state, looked = self.model.trace(torch.tensor([symbol], device=self.model.device), state)
            if looked is None:
                raise UsageError(
                    "this model has no attention", hint="Train one without --set model.attention=none to see it."
                )
            rows.append(looked[0].cpu().numpy())
        return Look(self._pieces(prompt), self._pieces(wanted), np.stack(rows))

    def nearest(self, message: str, split: Split, count: int) -> list[Near]:
        """The messages of a split whose thought vectors lie nearest to that of a message, each once, the nearest first."""
        pairs, wanted = Pairs(split), self._message(message)
        thoughts = torch.nn.functional.normalize(self._thoughts(pairs), dim=-1)
        own = self.model.encode(*_table([wanted], self.model.device))[1].cpu()
        similar = (thoughts @ torch.nn.functional.normalize(own, dim=-1).t()).squeeze(-1)
        near: dict[str, Near] = {}
        for place in similar.argsort(descending=True).tolist():
            text = self.tokenizer.decode(pairs.message(place))
            near.setdefault(text, Near(text, self.tokenizer.decode(pairs.reply(place)), float(similar[place])))
            if len(near) == count:
                break
        return list(near.values())

    @torch.inference_mode()
    def _thoughts(self, pairs: Pairs) -> Tensor:
        """The thought vectors of all messages, (pairs, hidden)."""
        thoughts = torch.empty(len(pairs), self.model.settings.hidden)
        for batch in pairs.batches(1 << 15, np.arange(len(pairs))):
            exchanges = pairs.exchanges(batch, self.model.device)
            thoughts[torch.from_numpy(batch)] = self.model.encode(exchanges.messages, exchanges.lengths)[1].cpu()
        return thoughts

    @torch.inference_mode()
    def _searched(self, prompts: list[list[int]], settings: ReplySettings) -> list[list[Found]]:
        messages, lengths = _table(prompts, self.model.device)
        logits, state = self.model.start(messages.t(), lengths)
        opening = self.tokenizer.reopen(self.tokenizer.encode(settings.start).tolist())
        for symbol in opening.ids:
            logits, state = self.model.step(torch.full((len(prompts),), symbol, device=self.model.device), state)
        allowed = None if opening.allowed is None else torch.from_numpy(opening.allowed).to(self.model.device)
        beam = max(settings.beam, settings.count)
        temperature = DRAWN_AT if self.model.settings.message_dropout and beam > 1 else 0.0
        seed = mix(settings.random_seed, 0)
        wanted = SearchSettings(beam, longest=LONGEST_REPLY, temperature=temperature, random_seed=seed)
        found = [
            [one._replace(ids=[*opening.ids, *one.ids]) for one in each]
            for each in search(self.model, logits, state, wanted, allowed)
        ]
        return [
            _unlike(each, merits)
            for each, merits in zip(found, self._merits(found, state, len(opening.ids)), strict=True)
        ]

    def _merits(self, found: list[list[Found]], state: ReplyState, begun: int) -> list[list[float]]:
        """How good each reply is: where the model knows how likely it is anyhow, how much likelier the message makes it, and how
        well it is said; else its score, and of an answer also its length and how well it matches the message. So many symbols at
        their beginning were given, and have no nats."""
        device = self.model.device
        owners = torch.tensor([place for place, each in enumerate(found) for _ in each], device=device)
        table, lengths = _table([[*one.ids, DOCUMENT] for each in found for one in each], device)
        real = torch.arange(len(table), device=device).unsqueeze(1) < lengths
        nats = torch.tensor([one.nats for each in found for one in each], device=device)
        merits = torch.tensor([one.score for each in found for one in each], device=device)
        if (gains := self.model.gains(nats, table, real)) is not None:
            merits = GAIN * (gains + self._fluency * (_usual(nats, lengths - begun, owners) - nats))
        elif (matches := self.model.match(state, owners, table, real)) is not None:
            merits = merits * (lengths / USUAL) ** LENGTH_POWER + GAIN * matches
        told = iter(merits.tolist())
        return [[next(told) for _ in each] for each in found]

    def _drawn(self, prompts: list[list[int]], settings: ReplySettings) -> list[list[Found]]:
        return [sorted(self._draw(prompt, settings), key=lambda one: -one.score) for prompt in prompts]

    def _draw(self, prompt: list[int], settings: ReplySettings) -> Iterator[Found]:
        """Replies drawn at random."""
        assert settings.rules is not None
        opening = self.tokenizer.reopen(self.tokenizer.encode(settings.start).tolist())
        first = [opening.allowed]
        drawn: list[list[int]] = [[] for _ in range(settings.count)]
        going = set(range(settings.count))
        columns = generate(
            self.model,
            prompt,
            settings.rules,
            settings.random_seed,
            range(settings.count),
            lambda: first.pop() if first else None,
            begun=opening.ids,
        )
        for time, symbols in enumerate(columns):
            for row in list(going):
                if symbols[row] == DOCUMENT:
                    going.discard(row)
                else:
                    drawn[row].append(symbols[row])
            if not going or time == LONGEST_REPLY:
                break
        for ids in drawn:
            whole = [*opening.ids, *ids]
            nats = self._nats(prompt, whole)
            yield Found(whole, nats, -nats / (len(whole) + 1))

    @torch.inference_mode()
    def _nats(self, prompt: list[int], reply: list[int]) -> float:
        logits, state = self.model.start(torch.tensor([prompt], device=self.model.device))
        nats = 0.0
        for symbol in [*reply, DOCUMENT]:
            nats -= float(logits[0].log_softmax(-1)[symbol])
            logits, state = self.model.step(torch.tensor([symbol], device=self.model.device), state)
        return nats

    def _told(self, found: list[Found], message: str, settings: ReplySettings) -> list[Reply]:
        """The first that say something new, as many as are wanted; last those with a mark that the message does not fill."""
        told: dict[str, Reply] = {}
        texts = [_shorten(_written(self.tokenizer.decode(one.ids)), settings) for one in found]
        order = list(range(len(texts)))
        if self.masked and not settings.raw:
            texts = [fill(text, message) for text in texts]
            order.sort(key=lambda place: not is_whole(texts[place]))
        for text, one in ((texts[place], found[place]) for place in order):
            plain = "".join(character for character in text.casefold() if character.isalnum()) or text
            if text and plain not in told:
                told[plain] = Reply(text, one.score)
        return list(told.values())[: settings.count]

    def _message(self, message: str) -> list[int]:
        """The ids of a message, as it would have been learned, and its end."""
        return [*self.tokenizer.encode(tidy(self._masked(message))).tolist()[:LONGEST_MESSAGE], DOCUMENT]

    def _masked(self, text: str) -> str:
        return mask(text) if self.masked else text

    def _pieces(self, ids: list[int]) -> list[str]:
        return [self.tokenizer.decode([symbol]) or "\u25fc" for symbol in ids]


def _unlike(found: list[Found], merits: list[float]) -> list[Found]:
    """From the best on, always that which is good and unlike those before it (maximal marginal relevance, Carbonell and
    Goldstein 1998)."""
    pieces = [set(one.ids) for one in found]
    alike = [0.0] * len(found)
    left, chosen = set(range(len(found))), []
    while left:
        best = max(left, key=lambda place: (merits[place] - DIFFERENCE * alike[place], -place))
        left.remove(best)
        chosen.append(found[best])
        for place in left:
            fewest = max(1, min(len(pieces[place]), len(pieces[best])))
            alike[place] = max(alike[place], len(pieces[place] & pieces[best]) / fewest)
    return chosen


def _usual(nats: Tensor, lengths: Tensor, owners: Tensor) -> Tensor:
    """The nats of usual replies of these lengths, by all that were found for the same message; all (replies,)."""
    sums = nats.new_zeros(2, int(owners.max()) + 1).index_add(1, owners, torch.stack([nats, lengths.to(nats)]))
    return lengths * (sums[0] / sums[1])[owners]


def _table(prompts: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Messages as one table (positions, messages), and their lengths (messages,)."""
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    table = torch.full((int(lengths.max()), len(prompts)), DOCUMENT)
    for column, prompt in enumerate(prompts):
        table[: len(prompt), column] = torch.tensor(prompt)
    return table.to(device), lengths.to(device)


def _written(text: str) -> str:
    """A text that can be written to a file: half a character, which a model may spell, is replaced."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()


def _shorten(text: str, settings: ReplySettings) -> str:
    if settings.words is None:
        return text
    return " ".join(text.split()[: len(settings.start.split()) + settings.words])
