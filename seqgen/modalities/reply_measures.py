"""What replies are like: beside real ones, the most frequent one, and the reply to the nearest message that was learned."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seqgen.conversations import Pair

GENERIC_SHARE, GENERIC_LEAST = 0.01, 3
"""A reply that is given to more than this share of the messages, and to so many of them at least, is generic."""
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Quality:
    """What the replies to some messages are like.

    Attributes:
        bleu: of the whole (Papineni et al. 2002, by sacrebleu), 0 to 100; None for the real replies themselves.
        chrf: F-score of characters (Popovic 2015, by sacrebleu), 0 to 100; None likewise.
        distinct_1: different words as a share of all (Li et al. 2016).
        distinct_2: the same for pairs of words.
        generic: share of the messages whose reply is given to many others, too.
        copied: share of the replies that stand in the training text word for word.
        words: in a reply, on average.
    """

    bleu: float | None
    chrf: float | None
    distinct_1: float
    distinct_2: float
    generic: float
    copied: float
    words: float


def measure(
    replies: Sequence[str], references: Sequence[Sequence[str]] | None, learned: set[str], tokenized: bool = False
) -> Quality:
    """Measures one reply to each of some messages.

    Args:
        replies: one for each message.
        references: the real replies to each; None: these are the real ones.
        learned: the replies of the training text.
        tokenized: words and marks are apart already, so that BLEU need not take them apart.
    """
    words = [_WORD.findall(reply.casefold()) for reply in replies]
    counts = Counter(" ".join(each) for each in words)
    least = max(GENERIC_LEAST, GENERIC_SHARE * len(replies))
    bleu = chrf = None
    if references is not None:
        bleu, chrf = _overlap(replies, references, tokenized)
    return Quality(
        bleu,
        chrf,
        _distinct(words, 1),
        _distinct(words, 2),
        sum(count for count in counts.values() if count >= least) / len(replies),
        sum(reply in learned for reply in replies) / len(replies),
        sum(map(len, words)) / len(replies),
    )


def most_frequent(pairs: Sequence[Pair]) -> str:
    """The most frequent reply, the first of equals."""
    return Counter(pair.reply for pair in pairs).most_common(1)[0][0]


class Nearest:
    """The reply to the nearest learned message, by the cosine of TF-IDF vectors (Salton and Buckley 1988).

    Args:
        pairs: that were learned.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = pairs
        counted = [Counter(_WORD.findall(pair.message.casefold())) for pair in pairs]
        frequency = Counter(word for counts in counted for word in counts)
        self._rarity = {word: math.log(len(pairs) / count) + 1 for word, count in frequency.items()}
        places: dict[str, list[int]] = {word: [] for word in frequency}
        weights: dict[str, list[float]] = {word: [] for word in frequency}
        for place, counts in enumerate(counted):
            vector = {word: count * self._rarity[word] for word, count in counts.items()}
            length = math.hypot(*vector.values()) or 1.0
            for word, weight in vector.items():
                places[word].append(place)
                weights[word].append(weight / length)
        self._postings = {word: (np.array(places[word]), np.array(weights[word])) for word in frequency}

    def reply(self, message: str) -> str:
        """The reply to the message that is nearest, the first of equals."""
        scores: npt.NDArray[np.float64] = np.zeros(len(self._pairs))
        for word, count in Counter(_WORD.findall(message.casefold())).items():
            if word in self._postings:
                places, weights = self._postings[word]
                scores[places] += count * self._rarity[word] * weights
        return self._pairs[int(scores.argmax())].reply


def _overlap(replies: Sequence[str], references: Sequence[Sequence[str]], tokenized: bool) -> tuple[float, float]:
    """BLEU and chrF; a message with fewer references than others has none in their places."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    most = max(map(len, references))
    streams: Any = [[each[number] if number < len(each) else None for each in references] for number in range(most)]
    bleu = BLEU(tokenize="none" if tokenized else "13a", force=True)
    return bleu.corpus_score(replies, streams).score, CHRF().corpus_score(replies, streams).score


def _distinct(texts: Sequence[Sequence[str]], length: int) -> float:
    grams = [tuple(words[place : place + length]) for words in texts for place in range(len(words) - length + 1)]
    return len(set(grams)) / max(1, len(grams))
