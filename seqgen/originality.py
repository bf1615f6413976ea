"""Whether what a model wrote is copied: how much of a sample stands in the text that it was trained on.

For each n, the share of the n-grams of a sample that stand in the training text, and the longest run that does: what McCoy et
al. (2023) ask of a language model, and Carlini et al. (2023) of what it remembers. Text that nobody has learned shares phrases
with the training text, too. So the same is told of held-out text of the same length, which shows what is ordinary.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqgen.cache import DAMAGE, Origins, new_part, read_origins
from seqgen.checkpoint import Checkpoint
from seqgen.corpus import Corpus
from seqgen.errors import DataError
from seqgen.modalities import MODALITIES
from seqgen.overlaps import Judge, Learned, Ordinary, Originality, Place, Run
from seqgen.passages import Lengths, Passages, write_passages
from seqgen.runs import reopen_corpus
from seqgen.splits import SPLITS, Split, documents_in
from seqgen.tokenizers import Tokenizer

NGRAMS = (20, 50, 200)
"""Characters: some four words, a clause, and about the 50 tokens that Carlini et al. (2023) call memorized."""
PART, HELD_OUT = "passages-1", "held-out.npy"
LONGEST = 100_000
"""Characters of a text that are looked at."""
EXCERPT = 50_000
"""Characters of held-out text that are looked up."""
SPANS = 10
"""Places from which they are taken, where there is more of it."""
STRETCHES = 200
"""Of held-out text at most."""
Announce = Callable[[str], None]


def open_judge(checkpoint: Checkpoint, announce: Announce = lambda words: None) -> Judge:
    """What tells how much of a text stands in the training text of a model.

    Args:
        checkpoint: of the model.
        announce: is told what takes a while.

    Raises:
        DataError: the corpus has changed or cannot be read, or cannot be looked through.
        UsageError: the corpus has no such name any more.
    """
    corpus = reopen_corpus(checkpoint)
    make = MODALITIES[corpus.settings.kind].originality
    if make is None:
        return TextJudge(corpus, announce)
    held_out = [text for name in SPLITS[1:] for text in documents_in(corpus.splits[name], corpus.tokenizer)]
    return make(list(_learned(corpus)), held_out)


class TextJudge:
    """Says how much of a text stands in the training text of a corpus.

    All passages of that are put in order when they are first asked for, and then kept beside the corpus in the cache.

    Args:
        corpus: whose training split was learned.
        announce: is told what takes a while.

    Raises:
        DataError: they cannot be kept, or there is too much text.
    """

    def __init__(self, corpus: Corpus, announce: Announce = lambda words: None) -> None:
        folder = corpus.folder / PART
        try:
            self._passages, self._held_out = _open(folder)
        except DAMAGE:
            size = corpus.splits[SPLITS[0]].characters
            if size > 5_000_000:
                announce(f"putting the passages of {size / 1e6:.0f} million characters in order, once")
            try:
                _make(corpus)
                self._passages, self._held_out = _open(folder)
            except OSError as error:
                raise DataError(
                    f"the passages of the training text cannot be kept: {error.strerror or error}",
                    where=str(folder.parent.parent),
                    hint="Free some space there (seqgen corpus clean), or set SEQGEN_CACHE to another folder.",
                ) from error
            except MemoryError as error:
                raise DataError(
                    f"there is not enough memory to look through {size / 1e6:.0f} million characters",
                    hint="Check on a machine with 5 bytes of memory for each byte of the training text.",
                ) from error
        self._origins = read_origins(corpus.folder, len(corpus.splits[SPLITS[0]].starts))

    def judge(self, text: str, seed: str = "") -> Originality:
        """Of a text without its seed; of a long one the first `LONGEST` characters."""
        is_document = len(text) <= LONGEST and self._passages.holds_document(text)
        text = text.removeprefix(seed)[:LONGEST]
        lengths = self._passages.match(text)
        left = np.arange(len(text), 0, -1)
        shares = {n: _share(lengths, left, n) for n in NGRAMS}
        longest = self._run(text, lengths) if len(text) and lengths.max() else None
        ordinary = ordinary_of(self._held_out, len(text))
        return Originality("character", "run", "text", len(text), longest, shares, ordinary, is_document=is_document)

    def _run(self, text: str, lengths: Lengths) -> Run:
        first = int(np.argmax(lengths))
        passage = text[first : first + int(lengths[first])]
        found = self._passages.find(passage)
        document, source, line = _origin(self._origins, found.document)
        details = {"line": line + found.lines if line > 0 else -line or None, "offset": found.offset}
        return Run(len(passage), passage, {"start": first}, Place(document, source, "", details), found.places)


def ordinary_of(runs: Lengths, length: int) -> Ordinary | None:
    """What held-out stretches of a length have in common with the training text.

    Args:
        runs: of held-out text: how many characters the longest known run from each on has, and how many are left of its document;
            shape (2, characters).
        length: in characters; where there is less held-out text, all of that is one stretch.

    Returns:
        None where there is no such text, or nothing was asked for.
    """
    total = runs.shape[1]
    length = min(length, total)
    if not length:
        return None
    count = min(STRETCHES, total // length)
    starts = np.linspace(0, total - length, count).astype(np.int64) if count > 1 else np.zeros(1, dtype=np.int64)
    parts = [runs[:, start : start + length] for start in starts]
    room = np.arange(length, 0, -1)
    longest = [int(np.minimum(part[0], room).max()) for part in parts]
    left = np.concatenate([np.minimum(part[1], room) for part in parts])
    known = np.concatenate([part[0] for part in parts])
    shares = {n: _share(known, left, n) for n in NGRAMS}
    return Ordinary(count, length, sum(longest) / count, max(longest), shares)


def _share(lengths: Lengths, left: npt.NDArray[np.int64], n: int) -> float | None:
    """Of the places from which n characters are left, the share from which n are known; None: there is no such place."""
    whole = left >= n
    count = int(whole.sum())
    return int((lengths[whole] >= n).sum()) / count if count else None


def _open(folder: Path) -> tuple[Passages, Lengths]:
    held_out = np.load(folder / HELD_OUT, allow_pickle=False)
    if held_out.ndim != 2 or len(held_out) != 2:
        raise ValueError(f"{folder / HELD_OUT} is damaged")
    return Passages(folder), held_out


def _make(corpus: Corpus) -> None:
    with new_part(corpus.folder, PART) as folder:
        write_passages(corpus.splits[SPLITS[0]], corpus.tokenizer, folder)
        passages = Passages(folder)
        found = [np.zeros((2, 0), dtype=np.int64)]
        for text in _excerpt([corpus.predicted(name) for name in SPLITS[1:]], corpus.tokenizer):
            found.append(np.stack([passages.match(text), np.arange(len(text), 0, -1)]))
        np.save(folder / HELD_OUT, np.concatenate(found, axis=1))


def _excerpt(splits: list[Split], tokenizer: Tokenizer) -> Iterator[str]:
    """The documents of held-out splits; of many, stretches here and there. What stops within a character is cut off."""
    characters = sum(split.characters for split in splits)
    for split in splits:
        bounds = np.append(split.starts, len(split))
        spans = [(0, len(split))]
        if characters > EXCERPT:
            size = max(1, len(split) * EXCERPT // (characters * SPANS))
            spans = [(start, start + size) for start in np.linspace(0, len(split) - size, SPANS).astype(int).tolist()]
        for first, last in spans:
            inside = bounds[(bounds > first) & (bounds < last)].tolist()
            for start, stop in itertools.pairwise([first, *inside, last]):
                text = tokenizer.decode(split.ids[start:stop])
                yield text if characters <= EXCERPT else text.strip("\ufffd")


def _origin(origins: Origins | None, opening: int) -> tuple[int, str | None, int]:
    """The number of a document, from 1; its source, and the line on which it begins there."""
    if origins is None:
        return opening + 1, None, 0
    document, source, line = origins.places[opening].tolist()
    name = None
    with contextlib.suppress(IndexError):  # damaged
        name = origins.sources[source]
    return document + 1, name, line


def _learned(corpus: Corpus) -> Iterator[Learned]:
    """The training documents, each in its first form where that was noted."""
    split = corpus.splits[SPLITS[0]]
    origins = read_origins(corpus.folder, len(split.starts))
    seen: set[int] = set()
    bounds = [*split.starts.tolist(), len(split)]
    for opening, (first, last) in enumerate(itertools.pairwise(bounds)):
        document, source, _ = _origin(origins, opening)
        if document not in seen:
            seen.add(document)
            title = "".join(origins.titles[document - 1 : document]) if origins else ""
            yield Learned(corpus.tokenizer.decode(split.ids[first:last]), Place(document, source, title))
