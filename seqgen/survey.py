"""``summarize()``: what a corpus is like, for those who look before they train."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seqgen.cache import LENGTHS
from seqgen.corpus import Corpus
from seqgen.duplicates import Repetition, repetition
from seqgen.splits import Split
from seqgen.tokenizers import Ids, Tokenizer
from seqgen.units import BITS_PER_CHARACTER

LOOKED_AT = 6_000_000
"""Symbols at most that are looked at: a third of them at the beginning of each split."""

LONGEST_CHARACTER = 8
"""Symbols at most that spell a character: two half-bytes for each of four bytes."""


@dataclass(frozen=True)
class Summary:
    """What a corpus holds.

    Attributes:
        lengths: of its documents, in characters or notes.
        alphabet: its characters, or words of music, with their counts, the most frequent first; of the beginning of a large
            corpus.
        repetition: how much of that beginning stands there before; None for music.
        looked_at: how many characters that beginning has.
    """

    lengths: Ids
    alphabet: list[tuple[str, int]]
    repetition: Repetition | None
    looked_at: int


def summarize(corpus: Corpus) -> Summary:
    """What a corpus holds, as far as a look at the beginning of each split can tell."""
    lengths = np.load(corpus.folder / LENGTHS, allow_pickle=False)
    if corpus.tokenizer.unit != BITS_PER_CHARACTER:
        return Summary(lengths, _words(corpus), None, corpus.characters)
    text, added = _beginnings(corpus)
    points, counts = np.unique(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32), return_counts=True)
    counts[points == ord("\n")] -= added
    order = np.argsort(-counts, kind="stable")
    alphabet = [(chr(points[place]), int(counts[place])) for place in order if counts[place] > 0]
    return Summary(lengths, alphabet, repetition(text), len(text) - added)


def _words(corpus: Corpus) -> list[tuple[str, int]]:
    """The words of a corpus of music with their counts, the most frequent first; pieces in other keys are counted, too."""
    counts = sum(
        np.bincount(split.ids[:LOOKED_AT], minlength=corpus.tokenizer.size) for split in corpus.splits.values()
    )
    counted = zip(corpus.tokenizer.keys()[1:], np.asarray(counts)[1:].tolist(), strict=True)
    return sorted(((word, count) for word, count in counted if count), key=lambda pair: -pair[1])


def _beginnings(corpus: Corpus) -> tuple[str, int]:
    """The beginnings of all splits, with a line end put before each document; and how many were put there."""
    texts, added = [], 0
    line_end = corpus.tokenizer.encode("\n")
    for split in corpus.splits.values():
        length = min(LOOKED_AT // 3, len(split))
        text = _decode(split, length, line_end, corpus.tokenizer)
        if length < len(split) and text.endswith("\ufffd"):  # a character was cut through, or is really this one
            longer = _decode(split, length + LONGEST_CHARACTER, line_end, corpus.tokenizer)
            while not longer.startswith(text):
                text = text[:-1]
        texts.append(text)
        added += int((split.starts < length).sum())
    return "".join(texts), added


def _decode(split: Split, length: int, line_end: Ids, tokenizer: Tokenizer) -> str:
    """The text of the first ids of a split, with a line end before each document."""
    ids, starts = split.ids[:length], split.starts[split.starts < length]
    return tokenizer.decode(np.insert(ids, np.repeat(starts, len(line_end)), np.tile(line_end, len(starts))))
