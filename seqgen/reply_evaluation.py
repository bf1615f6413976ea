"""What the replies of a model are like, beside the real ones and two that need no model."""

from __future__ import annotations

from dataclasses import dataclass

from seqgen.conversations import Pair
from seqgen.errors import DataError
from seqgen.modalities.reply_measures import Nearest, Quality, measure, most_frequent
from seqgen.pairs import Pairs
from seqgen.replying import BEAM, Replier, ReplySettings
from seqgen.splits import Split
from seqgen.tokenizers import Tokenizer


@dataclass(frozen=True)
class ComparisonSettings:
    """How replies are compared."""

    messages: int = 1000
    """How many different messages are answered at most, from the beginning of the text."""
    beam: int = BEAM
    """Replies that are followed at once."""
    tokenized: bool = False
    """Words and marks are apart in the text already, so BLEU takes it as it is."""


def compare_replies(
    replier: Replier, held_out: Split, learned: Split | None, settings: ComparisonSettings
) -> dict[str, Quality]:
    """Answers messages and measures what comes of it; where a message has several real replies, all are references.

    Args:
        replier: with the model.
        held_out: messages and their real replies.
        learned: those of the training text; None where they are not at hand: then nothing stands beside the model's.
        settings: how many and how.

    Returns:
        Name -> quality: `model`, `real` (the first real reply to each message), `most frequent` and `nearest` (the reply to
        the learned message that is nearest by TF-IDF).

    Raises:
        DataError: there is no pair.
    """
    references: dict[str, list[str]] = {}
    for message, reply in texts_of(held_out, replier.tokenizer):
        references.setdefault(message, []).append(reply)
    messages = list(references)[: settings.messages]
    if not messages:
        raise DataError("there is no message with a reply in it", hint="Choose another split or another corpus.")
    real = [references[message] for message in messages]
    wanted = ReplySettings(count=1, beam=settings.beam, raw=True)
    told = [replies[0].text if replies else "" for replies in replier.replies(messages, wanted)]
    pairs = [] if learned is None else list(texts_of(learned, replier.tokenizer))
    known = {pair.reply for pair in pairs}
    qualities = {
        "model": measure(told, real, known, settings.tokenized),
        "real": measure([each[0] for each in real], None, known),
    }
    if pairs:
        nearest = Nearest(pairs)
        others = {
            "most frequent": [most_frequent(pairs)] * len(messages),
            "nearest": [nearest.reply(message) for message in messages],
        }
        qualities |= {name: measure(replies, real, known, settings.tokenized) for name, replies in others.items()}
    return qualities


def texts_of(split: Split, tokenizer: Tokenizer) -> list[Pair]:
    """The pairs of a split as text."""
    pairs = Pairs(split)
    return [
        Pair(tokenizer.decode(pairs.message(place)), tokenizer.decode(pairs.reply(place)))
        for place in range(len(pairs))
    ]
