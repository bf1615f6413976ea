"""What a model is measured on: a split of its own corpus, or another text."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from seqgen.checkpoint import Checkpoint
from seqgen.corpus import Corpus, read_split
from seqgen.errors import DataError, UsageError
from seqgen.runs import reopen_corpus
from seqgen.splits import SPLITS, Split
from seqgen.tokenizers import Tokenizer


class HeldOut(NamedTuple):
    """Text to measure a model on.

    Attributes:
        corpus: the model's own, where it is at hand.
        split: the text.
        name: what it is called.
    """

    corpus: Corpus | None
    split: Split
    name: str


def find_held_out(
    checkpoint: Checkpoint,
    tokenizer: Tokenizer,
    corpora: tuple[str, ...],
    split: str | None,
    columns: tuple[str, ...] | None = None,
) -> HeldOut:
    """The text that is meant.

    Args:
        checkpoint: of the model.
        tokenizer: its own.
        corpora: other texts; none: the model's own corpus.
        split: of the own corpus; None: `test`, or `valid` where there is no test text.
        columns: of message and reply in other tables; None: those of the model's own.

    Raises:
        DataError: the corpus has changed or cannot be read.
        UsageError: an unknown split, one beside another text, or not two different columns.
    """
    if corpora and split:
        raise UsageError("a split belongs to the model's own corpus, so it cannot be given with another text")
    if split is not None and split not in SPLITS:
        raise UsageError(f"there is no split {split!r}", hint=f"There are: {', '.join(SPLITS)}.")
    corpus = None
    try:
        corpus = reopen_corpus(checkpoint)
    except DataError:
        if not corpora:
            raise
    if corpora:
        recipe = checkpoint.recipe
        settings = recipe.corpus if columns is None else replace(recipe.corpus, columns=columns)
        return HeldOut(corpus, read_split(corpora, settings, recipe.tokenizer, tokenizer, corpus), ", ".join(corpora))
    assert corpus is not None
    split = split or ("test" if len(corpus.splits["test"]) > 1 else "valid")
    return HeldOut(corpus, corpus.with_baselines().with_xz(split).splits[split], split)
