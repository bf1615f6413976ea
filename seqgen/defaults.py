"""The table of first choices: a recipe for this corpus, this machine and this much time.

``choose()`` is pure arithmetic on a few measured facts, so that it can be read, tested and argued with.
``docs/defaults.md`` tells where the numbers come from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from seqgen.recipe import Overrides, Recipe, TrainingSettings

NOMINAL_SECONDS = 180.0
"""Assumed training time where the user gave steps or epochs instead of a time."""
NOMINAL_RATE = 4e11
"""Assumed with it: floating point operations per second in large matrix products."""
EFFICIENCY = 0.33
"""Share of the machine's matrix rate that training reaches, roughly."""
MOST_USEFUL = 8e11
"""Of processors, floating point operations per second: however fast matrix products are, a recurrent network also goes step by
step, so that of a rate r of products a training has the use of r / (1 + r / MOST_USEFUL)."""
GPU_LANES = 128
RATES = {name: getattr(TrainingSettings(), name) for name in ("learning_rate", "matrix_rate")}
LEAST_INHERITED_RATE = 0.3
"""Share of the usual learning rates for a training on a tiny text that begins with a trained model."""
LONG_LEARNED, BY_LENGTH, MOST_MORE_UNITS = 4.4e13, 0.15, 1.25
"""Floating point operations of a training above which pieces in forms that are alike have more units, by which power of them, and
how many times as many at most: read so often and regularized so strongly, they are learned better by more units."""
WEIGHT_DECAY, BY_FORMS = 0.04, 0.65
"""For one form, and the power of the number of alike forms by which it rises: what is read so often is to be forgotten sooner."""
OFTEN_HEARD, BY_PASSES = 10.0, 0.45
"""Times that such a piece is read, in whichever form, above which it rises further, and by which power of them. For a text of one
form it does not: read 26 times, verse is worse for more."""
MOST_DECAY = 0.35
"""With 0.45, chorales are learned too little."""
ENOUGH_SYMBOLS = 40_000
"""With so many symbols such a training may go at the usual rates."""
PIECES = ((2.5, 4096), (14, 2048), (45, 1024))
"""Up to how many seconds of training, over the square of the millions of characters, a text is learned in how many
pieces. The square, since pieces of a short text are sooner learned by heart."""
MOST_PIECES = ((75, 1024), (400, 2048))
"""Up to how many seconds there are how many pieces at most: each must be met often enough to be learned."""
UNREAD = 0.5
"""Seconds over the square of the millions of characters, below which a text is so much longer than what can be read of it
that only the first of these limits holds."""
LEAST_FOR_PIECES = 400_000
"""Characters of a text that pieces can be learned from."""
LARGEST_ALPHABET = 400
"""With more characters than this, each of them says as much as a piece does: Chinese, for example."""
STRETCH = 4
"""Windows that a lane reads of a long document, before it goes on elsewhere."""
LONG_DOCUMENT = 16
"""Windows of a document above which it is long; shorter ones are shuffled as they are."""
DROPOUTS = ("hidden_dropout", "output_dropout")
"""The settings of the model that are dropouts behind its layers; they are alike."""
DROPOUT, AGAIN_DROPOUT = 0.11, 0.035
"""For each doubling of the times that a text is read, from five times up; and from `READ_AGAIN` times up, where weights are
dropped, too."""
MOST_DROPOUT = 0.6
READ_AGAIN, WEIGHT_DROPOUT, MOST_BOTH = 10.0, 0.133, 0.4
"""Times that a text is read, above which recurrent weights are dropped; how many of them for each doubling; and at most, as of
the other dropout beside them: with more of either a network learns too little."""
MOST_FORMS = 4.0
"""More forms than this, of those that are not alike, save no more dropout."""
SHORT_TEXT = 100_000
"""Symbols of training text below which it is sooner learned by heart."""
RECALL_SYMBOLS, RECALL_BY_TIME = 600, 4000
"""The symbols from which it learns to recall: so many for each second of training, or for its square root, whichever are fewer.
That takes three percent of the time, or less."""
REPLY_BUDGET = 1.7e13
"""Floating point operations of a training of two minutes, for which a model of replies has 192 units."""
MATCHING = 0.3
"""Its weight where replies are answers."""
ECHO = 0.6
"""Correlation of lengths above which a reply says the same as its message, as a translation does: 0.87 from German to English,
0.1 to 0.2 in conversations. All that it says is in the message then, so nothing need be learned of what fits what."""
OFTEN_READ = 8.0
"""Times that pairs are read, above which a model of replies has two layers, and one of translations smoothed labels."""
KNOWN_BY_HEART = 24.0
"""Times above which nothing is learned of what fits what, nor of phrases: of a few thousand pairs that are read so often, both
only learn the training text by heart. Such a model learns what is said anyhow instead."""
MESSAGE_DROPOUT = 0.15
"""Share of the messages that are left out for that."""
TOO_FEW = 100_000
"""Symbols of such pairs below which it had better know them by heart: what they teach of the language is not enough to write a
sentence of its own."""
PROBED_CHARACTERS = 100_000
"""Of each file, to see whether it holds language."""
MANY_WORDS = 200
OFTEN = 20
"""Times that a symbol stands there on average; a word of a language does so ten times less often."""
LONGEST_SYMBOL = 16


class Forms(NamedTuple):
    """The forms in which a document is read: a piece in other keys.

    Attributes:
        number: of them; 1: as itself alone.
        alike: whether they are the same to the model: to one that hears intervals, keys are.
    """

    number: float = 1.0
    alike: bool = False


ONE_FORM = Forms()


@dataclass(frozen=True)
class Facts:
    """What the choice depends on.

    Attributes:
        symbols: of the training text.
        vocabulary: distinct symbols.
        seconds: of training.
        matrix_rate: floating point operations per second in large matrix products, as far as they are of use (`useful_rate`).
        device: "cpu", "cuda" or "mps".
        hidden: units of the model that the training begins from; None: it begins from nothing.
        forms: in which a document is read.
        echo: of messages and replies: the correlation of their lengths.
        documents: of the training text.
    """

    symbols: int
    vocabulary: int
    seconds: float
    matrix_rate: float
    device: str = "cpu"
    hidden: int | None = None
    forms: Forms = ONE_FORM
    echo: float = 0.0
    documents: int = 1


@dataclass(frozen=True)
class TextFacts:
    """What the choice of symbols depends on.

    Attributes:
        characters: of the whole corpus.
        alphabet: different characters, as far as was looked.
        noticed: the tokenizer settings that its content calls for, whatever the time; empty: none.
    """

    characters: int
    alphabet: int
    noticed: dict[str, Any]


def choose_tokenizer(facts: TextFacts, seconds: float = NOMINAL_SECONDS) -> dict[str, Any]:
    """What a symbol is: pieces of words where there is more text than the time lets the model read often, and where an
    alphabet spells them. They are three times fewer than characters, so three times as much is read in the same time.

    Args:
        facts: of the text.
        seconds: of training on a machine of `NOMINAL_RATE`.
    """
    if facts.noticed:
        return facts.noticed
    if facts.characters >= LEAST_FOR_PIECES and facts.alphabet <= LARGEST_ALPHABET:
        fitting = [size for most, size in PIECES if seconds <= most * (facts.characters / 1e6) ** 2]
        if fitting:
            unread = seconds <= UNREAD * (facts.characters / 1e6) ** 2
            limits = [size for most, size in (MOST_PIECES[:1] if unread else MOST_PIECES) if seconds <= most]
            return {"kind": "bpe", "vocabulary": min([max(fitting), *limits])}
    return {"kind": "characters"}


CHOICES: tuple[dict[str, Any], ...] = (
    {"kind": "characters"},
    *({"kind": "bpe", "vocabulary": vocabulary} for _, vocabulary in PIECES),
)
"""All that `choose_tokenizer` can say where nothing was noticed."""


def looks_like_symbols(heads: Sequence[str]) -> bool:
    """Whether texts are sequences of some kind (chords, moves, bases) and not language: few words, each of them often,
    and hardly any punctuation."""
    words = [word for head in heads for word in head[:PROBED_CHARACTERS].split()]
    kinds = set(words)
    if len(words) < MANY_WORDS or len(kinds) > len(words) / OFTEN:
        return False
    ended = sum(word[-1] in ".,;:!?\u3002\uff0c" for word in words)
    return ended < 0.005 * len(words) and max(map(len, kinds)) <= LONGEST_SYMBOL


def useful_rate(matrix_rate: float, device: str) -> float:
    """The rate of matrix products of the nominal kind of machine that would train as fast; see `MOST_USEFUL`.

    Args:
        matrix_rate: floating point operations per second in large matrix products.
        device: "cpu", "cuda" or "mps".
    """
    if device != "cpu":
        return matrix_rate
    return matrix_rate * (1 + NOMINAL_RATE / MOST_USEFUL) / (1 + matrix_rate / MOST_USEFUL)


def choose(facts: Facts) -> Overrides:
    """Size, batch, window, learning rates and dropout."""
    budget = EFFICIENCY * facts.matrix_rate * facts.seconds  # floating point operations
    by_time = 256 * (budget / 2.6e13) ** 0.25
    if facts.forms.alike:
        by_time *= _between((budget / LONG_LEARNED) ** BY_LENGTH, 1.0, MOST_MORE_UNITS)
    by_corpus = 96 * (facts.symbols / 1e4) ** 0.25
    hidden = facts.hidden or _round(min(by_time, by_corpus * 1.5), 32, 64, 1024)
    embedding = _round(min(hidden, 16 + 4 * math.sqrt(facts.vocabulary) + facts.vocabulary / 16), 16, 16, 256)
    per_symbol = 6 * (4 * hidden * (embedding + 3 * hidden) + hidden * facts.vocabulary)
    epochs = budget / per_symbol / max(1, facts.symbols)
    regularization = choose_regularization(epochs, facts.symbols, facts.forms)
    lanes, window = _batch(facts)
    chosen: Overrides = {
        "model": {"layers": 2, "hidden": hidden, "embedding": embedding, **regularization["model"]},
        "training": {
            "lanes": lanes,
            "window": window,
            "stretch": STRETCH if facts.symbols > LONG_DOCUMENT * window * facts.documents else 0,
            "patience": 8,
            "recall_symbols": min(
                TrainingSettings().recall_symbols,
                int(RECALL_SYMBOLS * facts.seconds),
                int(RECALL_BY_TIME * facts.seconds**0.5),
            ),
        },
    }
    if facts.hidden is None:
        chosen["training"] |= regularization["training"]
    else:  # a tiny text must not make the model forget what it knows
        share = _between(facts.symbols / ENOUGH_SYMBOLS, LEAST_INHERITED_RATE, 1.0)
        chosen["training"] |= {name: round(rate * share, 4) for name, rate in RATES.items()}
    return chosen


def choose_regularization(epochs: float, symbols: float, forms: Forms = ONE_FORM) -> Overrides:
    """What keeps a model from learning by heart what it reads so often.

    Args:
        epochs: how often the text is read, in all its forms.
        symbols: of training text, all forms counted.
        forms: in which a document is read.
    """
    dropout = choose_dropout(epochs, symbols, forms)
    return {
        "model": {**dict.fromkeys(DROPOUTS, dropout), "weight_dropout": choose_weight_dropout(epochs, forms)},
        "training": {"weight_decay": choose_weight_decay(epochs, forms)},
    }


def choose_weight_decay(epochs: float, forms: Forms = ONE_FORM) -> float:
    """What a text of its own needs; more where a piece is read in several forms that are alike, and again where that is often."""
    if not forms.alike:
        return WEIGHT_DECAY
    number = max(1.0, forms.number)
    often = max(1.0, epochs * number / OFTEN_HEARD)
    return round(min(MOST_DECAY, WEIGHT_DECAY * float(number**BY_FORMS * often**BY_PASSES)), 3)


def choose_reply(facts: Facts) -> Overrides:
    """The same for a model of replies. What is read often may have two layers, and must be kept from being learned by heart;
    what is read a few times must be learned fast. Where replies are answers, it also learns what fits what, or, of few, what is
    said anyhow; of too few it learns whole sentences by heart."""
    budget = EFFICIENCY * facts.matrix_rate * facts.seconds
    by_time = 192 * (budget / REPLY_BUDGET) ** 0.125
    by_corpus = 256 * (facts.symbols / 2e5) ** 0.25
    hidden = facts.hidden or _round(min(by_time, by_corpus), 32, 32, 512)
    embedding = min(hidden, 256)
    per_symbol = 6 * (8 * hidden * (embedding + hidden) + embedding * facts.vocabulary)
    epochs = budget / per_symbol / max(1, facts.symbols / 2)  # half of the symbols are replies
    often = epochs > OFTEN_READ
    answers = facts.echo < ECHO
    matched = answers and epochs <= KNOWN_BY_HEART
    few = answers and not matched
    return {
        "model": {
            "layers": 2 if often else 1,
            "hidden": hidden,
            "embedding": embedding,
            "embedding_dropout": 0.2 if few else 0.1 if often else 0.0,
            "label_smoothing": 0.1 if often and not answers else 0.0,
            "matching": MATCHING if matched else 0.0,
            "message_dropout": MESSAGE_DROPOUT if few else 0.0,
            "phrases": matched,
            **choose_reply_regularization(epochs, facts.symbols)["model"],
        },
        "training": {
            "learning_rate": 0.012 if often else 0.03,
            "matrix_rate": 0.02 if often else 0.04,
            "window": 256,
            "batch_symbols": 3072 if often else 4096,
            "patience": 8,
            "by_heart": few and facts.symbols < TOO_FEW,
            "recall_symbols": 0,
        },
    }


def choose_reply_regularization(epochs: float, symbols: float, forms: Forms = ONE_FORM) -> Overrides:
    """No dropout while pairs are read a few times, then the more, the more often."""
    dropout = round(_between(0.1 * math.log2(max(1.0, epochs / 3)), 0.0, 0.4), 3)
    return {"model": dict.fromkeys(DROPOUTS, dropout)}


def choose_dropout(epochs: float, symbols: float, forms: Forms = ONE_FORM) -> float:
    """Nothing while a text is read a few times; then the more, the more often it is read and the shorter it is.

    Args:
        epochs: how often it is read, in all its forms.
        symbols: of training text, all forms counted.
        forms: in which a document is read. Where they are alike, a text is read so much more often; where they are not,
            they are worth more text.
    """
    if forms.alike:
        symbols /= max(1.0, forms.number)
    read = _times_read(epochs, forms)
    shorter = max(1.0, SHORT_TEXT / max(1.0, symbols)) ** 0.125
    if forms.alike or read <= READ_AGAIN:
        return round(_between(DROPOUT * math.log2(max(1.0, read / 5)) * shorter, 0.0, MOST_DROPOUT), 3)
    dropout = DROPOUT * math.log2(READ_AGAIN / 5) + AGAIN_DROPOUT * math.log2(read / READ_AGAIN)
    return round(_between(dropout * shorter, 0.0, MOST_BOTH), 3)


def choose_weight_dropout(epochs: float, forms: Forms = ONE_FORM) -> float:
    """Of the recurrent weights, where a text is read so often that dropout alone does not keep it from being learned by heart.
    None of music that is heard in intervals: its weights decay for that.

    Args:
        epochs: how often it is read, in all its forms.
        forms: in which a document is read.
    """
    if forms.alike:
        return 0.0
    share = WEIGHT_DROPOUT * math.log2(max(1.0, _times_read(epochs, forms) / READ_AGAIN))
    return round(_between(share, 0.0, MOST_BOTH), 3)


def _times_read(epochs: float, forms: Forms) -> float:
    """How often a document is read as the model hears it: in forms that are alike as one, in others as so much more text."""
    number = max(1.0, forms.number)
    return epochs * number if forms.alike else epochs / min(number, MOST_FORMS)


class Choosers(NamedTuple):
    """What chooses for a model.

    Attributes:
        settings: first choices.
        regularization: once it is known how often the text will be read.
    """

    settings: Callable[[Facts], Overrides]
    regularization: Callable[[float, float, Forms], Overrides]


CHOOSERS = {
    "language": Choosers(choose, choose_regularization),
    "reply": Choosers(choose_reply, choose_reply_regularization),
}
"""By the name of the model."""


def describe(recipe: Recipe, symbols: int, vocabulary: int, replies: bool = False) -> str:
    """The resolved choice in one line for people."""
    model, training = recipe.model, recipe.training
    batch = f"{training.lanes} lanes, windows of {training.window}"
    if replies:
        batch = f"{model.attention} attention, batches of {training.batch_symbols}"
    of_weights = f" ({model.weight_dropout:g} of recurrent weights)" if model.weight_dropout else ""
    return (
        f"{model.layers} layers of {model.hidden} ({model.cell}), {batch}, "
        f"dropout {model.hidden_dropout:g}{of_weights}, for {symbols:,} symbols of {vocabulary} kinds"
    )


def _batch(facts: Facts) -> tuple[int, int]:
    """Lanes and window: fewer and shorter for a small text, so that an epoch still has some steps."""
    lanes, window = (GPU_LANES, 128) if facts.device == "cuda" else (16, 128)
    while lanes * window * 8 > facts.symbols and lanes > 4:
        lanes //= 2
    while lanes * (window + 2) * 8 > facts.symbols * 7 and window > 8:
        window //= 2
    while lanes * (window + 2) * 8 > facts.symbols * 7 and lanes > 1:
        lanes //= 2
    return lanes, window


def _round(value: float, step: int, least: int, most: int) -> int:
    return int(_between(step * round(value / step), least, most))


def _between(value: float, least: float, most: float) -> float:
    return max(least, min(most, value))
