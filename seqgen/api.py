"""What a script or a notebook uses: ``load()`` a checkpoint, then ``sample()`` and ``score()`` it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from seqgen.adaptation import PASSES, Adaptation, adapt, evaluate_dynamic
from seqgen.checkpoint import Checkpoint, find_checkpoint
from seqgen.corpus import read_split
from seqgen.decoding.rules import RuleSettings
from seqgen.errors import DataError, UsageError
from seqgen.evaluation import Evaluation, evaluate, nats_of, predict
from seqgen.generation import TILE, SampleSettings, generate, new_random_seed
from seqgen.held_out import HeldOut, find_held_out
from seqgen.machine import default_threads, pick_device, torch_settings
from seqgen.mail.masks import mask
from seqgen.modalities import MODALITIES, Likeness
from seqgen.modalities.reply_measures import Quality
from seqgen.models import ReplyModel
from seqgen.reply_evaluation import ComparisonSettings, compare_replies
from seqgen.replying import Near, Replier, Reply, ReplySettings
from seqgen.runs import reopen_corpus
from seqgen.samples import Sample, Score
from seqgen.splits import SPLITS, documents_in
from seqgen.tokenizers import DOCUMENT, Opening
from seqgen.writing import Rendering, Writing

COMPARED = 64
"""Symbols of a seed that tell whether it is the beginning of a document."""


class Loaded:
    """A trained model, ready to be played with.

    Args:
        checkpoint: an opened checkpoint.
        device: `auto`, `cpu`, `cuda` or `mps`.
    """

    def __init__(self, checkpoint: Checkpoint, device: str = "auto") -> None:
        self.checkpoint = checkpoint
        self.device = pick_device(device)
        self.tokenizer = checkpoint.tokenizer()
        self.modality = MODALITIES[checkpoint.recipe.corpus.kind]
        self.model = checkpoint.load_model(self.tokenizer, self.device)
        self.masked = checkpoint.recipe.corpus.mask

    def sample(
        self,
        seed: str = "",
        *,
        length: int | None = None,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        stop: tuple[str, ...] = (),
        recall: bool = True,
        random_seed: int | None = None,
    ) -> Sample:
        """One sample as an iterator of pieces of text, the seed first: ``"".join(model.sample("def "))``.

        Args:
            seed: what it grows from.
            length: characters to write at most; None: until a document or a sentence ends.
            temperature: see `RuleSettings`, as for `top_k`, `top_p` and `min_p`.
            top_k: among the likeliest so many.
            top_p: among the likeliest with this probability together.
            min_p: among those at least this share as likely as the likeliest.
            stop: end before the first of these texts.
            recall: use the names and phrases of a long seed again, if the model has learned to recall.
            random_seed: for a sample that can be repeated.

        Raises:
            UsageError: a setting that cannot be meant.
            DataError: the seed cannot be read.
        """
        rules = RuleSettings(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
        settings = SampleSettings(rules=rules, length=length, stop=tuple(stop), recall=recall)
        return next(self.samples(seed, settings, count=1, random_seed=random_seed))

    def samples(
        self, seed: str, settings: SampleSettings, count: int, random_seed: int | None = None
    ) -> Iterator[Sample]:
        """Many samples of one seed, in order. A sole one streams; of several each comes when it is complete."""
        random_seed = new_random_seed() if random_seed is None else random_seed
        opening = self.tokenizer.reopen(self.prompt(seed))
        if count == 1:
            writing = self._writing(settings, opening, seed)
            yield Sample(
                0, seed, random_seed, "single", writing, self._stream(seed, opening, settings, random_seed, writing)
            )
            return
        for first in range(0, count, TILE):
            yield from self._tile(seed, opening, settings, random_seed, range(first, min(count, first + TILE)))

    def reply(self, message: str, settings: ReplySettings | None = None) -> list[Reply]:
        """Replies to a message that differ, the likeliest first.

        Raises:
            UsageError: this is no model of replies.
            DataError: the message is empty or cannot be read.
        """
        return self.replies([message], settings or ReplySettings())[0]

    def replies(self, messages: Sequence[str], settings: ReplySettings) -> list[list[Reply]]:
        """The same for many messages, which are answered side by side."""
        replier = self.replier()
        for message in messages:
            self._check_message(message)
        with torch_settings(default_threads(), self.device):
            return replier.replies(messages, settings)

    def nearest_messages(self, message: str, count: int) -> list[Near]:
        """The training messages whose thought vectors lie nearest to that of a message.

        Raises:
            UsageError: this is no model of replies.
            DataError: the message is empty or cannot be read, or the model's own corpus has changed or cannot be read.
        """
        replier = self.replier()
        self._check_message(message)
        return replier.nearest(message, reopen_corpus(self.checkpoint).splits["train"], count)

    def replier(self) -> Replier:
        """What answers messages.

        Raises:
            UsageError: this is no model of replies.
        """
        if self.modality.sequences is None:
            raise UsageError(
                f"this model writes {self.modality.name}, and answers nothing",
                hint="Sample it (seqgen sample), or train one of replies: seqgen train replies --time 2m",
            )
        by_heart = self.checkpoint.recipe.training.by_heart
        return Replier(cast(ReplyModel, self.model), self.tokenizer, self.masked, by_heart)

    def score(self, text: str) -> Score:
        """How surprising each symbol of a text is, read as the beginning of a document.

        Raises:
            UsageError: this is a model of replies, to which a text alone means nothing.
            DataError: the text cannot be read.
        """
        if self.modality.sequences is not None:
            raise UsageError("a model of replies scores no text by itself", hint="Measure it with seqgen eval.")
        ids = self._prompt(text)
        with torch_settings(default_threads(), self.device):
            nats = predict(self.model, np.array(ids), lanes=1).nats
        decoder = self.tokenizer.decoder()
        shown = tuple(decoder.feed(symbol).decode("utf-8", "replace") for symbol in ids[1:])
        return Score(shown, tuple(nats.tolist()), len(text))

    def adapt(self, *corpora: str, passes: int = PASSES) -> Adaptation:
        """Lets the model learn from a text, of the kind that it was trained on, until it is loaded again. The checkpoint stays
        as it is.

        Args:
            corpora: files, folders or names of cards, as for a training.
            passes: how often they are read.

        Raises:
            DataError: there is nothing in them that it can learn from.
        """
        recipe = self.checkpoint.recipe
        try:
            split = read_split(corpora, recipe.corpus, recipe.tokenizer, self.tokenizer, None)
        except DataError as error:  # its hint is for those who train
            hint = (
                f"A model learns from more of its own kind ({self.modality.title}), text in {recipe.corpus.encoding}."
            )
            raise DataError(error.what, where=error.where, hint=hint) from error
        return adapt(self.model, self.tokenizer, split, ", ".join(corpora), passes)

    def evaluate(self, *corpora: str, split: str | None = None, dynamic: bool = False) -> Evaluation:
        """How well the model predicts a split of the corpus that it was trained on, or the whole of another text.

        Args:
            corpora: another text; none: the model's own corpus.
            split: `train`, `valid` or `test` of the own corpus; default: `test`, or `valid` where there is no test text.
            dynamic: also where it learns from each segment once it has predicted it; see `adaptation.py`.

        Raises:
            DataError: the corpus has changed or cannot be read, or the split is empty.
            UsageError: an unknown split, or one beside another text.
        """
        return self._evaluated(self._held_out(corpora, split), dynamic)

    def compare_replies(
        self, *corpora: str, split: str | None = None, settings: ComparisonSettings | None = None
    ) -> dict[str, Quality]:
        """What the model's replies are like, beside the real ones and simple ways to answer; see `reply_evaluation.py`.

        Args:
            corpora: as for `evaluate`.
            split: likewise.
            settings: how many messages are answered, and how.

        Raises:
            DataError: the corpus has changed or cannot be read, or the split is empty.
            UsageError: this is no model of replies, an unknown split, or one beside another text.
        """
        self.replier()
        return self._compared(self._held_out(corpora, split), settings)

    def evaluate_replies(
        self,
        *corpora: str,
        split: str | None = None,
        columns: tuple[str, ...] | None = None,
        settings: ComparisonSettings | None = None,
        dynamic: bool = False,
    ) -> tuple[Evaluation, dict[str, Quality]]:
        """What `evaluate` and `compare_replies` say, of a corpus that is read once for both.

        Args:
            corpora: as for them.
            split: likewise.
            columns: of message and reply in other tables, where they are not called as in the model's own.
            settings: as for `compare_replies`.
            dynamic: as for `evaluate`.

        Raises:
            DataError: as for them.
            UsageError: likewise, or not two different columns.
        """
        self.replier()
        part = self._held_out(corpora, split, columns)
        return self._evaluated(part, dynamic), self._compared(part, settings)

    def _held_out(self, corpora: tuple[str, ...], split: str | None, columns: tuple[str, ...] | None = None) -> HeldOut:
        return find_held_out(self.checkpoint, self.tokenizer, corpora, split, columns)

    def _evaluated(self, part: HeldOut, dynamic: bool) -> Evaluation:
        with torch_settings(default_threads(), self.device):
            result = evaluate(self.model, self.tokenizer, part.split, part.name)
        return replace(result, dynamic=evaluate_dynamic(self.model, part.split.ids)) if dynamic else result

    def _compared(self, part: HeldOut, settings: ComparisonSettings | None) -> dict[str, Quality]:
        learned = None if part.corpus is None else part.corpus.splits["train"]
        with torch_settings(default_threads(), self.device):
            return compare_replies(self.replier(), part.split, learned, settings or ComparisonSettings())

    def compare(self, count: int = 100, random_seed: int = 0) -> list[Likeness]:
        """What samples without a seed are like, at the default settings, beside what held-out documents are like.

        Args:
            count: how many samples.
            random_seed: of the samples.

        Raises:
            DataError: the model's own corpus has changed or cannot be read, or holds nothing out.
            UsageError: there is no measure for this kind of corpus.
        """
        if self.modality.compare is None:
            raise UsageError(f"samples of {self.modality.name} are not measured", hint="Leave --samples out.")
        corpus = reopen_corpus(self.checkpoint)
        held_out = [text for name in SPLITS[1:] for text in documents_in(corpus.splits[name], self.tokenizer)]
        if not held_out:
            raise DataError("this corpus holds nothing out to compare with", hint="Train with another corpus.split.")
        with torch_settings(default_threads(), self.device):
            samples = [sample.text for sample in self.samples("", SampleSettings(), max(2, count), random_seed)]
        return self.modality.compare(
            [text for text in samples[:count] if text],
            held_out,
            list(documents_in(corpus.splits[SPLITS[0]], self.tokenizer)),
        )

    def prompt(self, seed: str) -> list[int]:
        """The ids that a sample of this seed grows from: the document symbol, what stands before the seed, and the seed.

        A seed is the beginning of a document; or it stands in the midst of one, after what the modality says (code: two blank
        lines), if it is likelier there.
        """
        self._check(seed)
        seed = mask(seed) if self.masked else seed
        beginning, lead = self.modality.prompt(self.tokenizer, seed), self.modality.lead
        if not seed or not lead:
            return beginning
        inside = self._prompt(lead + seed)
        surprise = self._nats(inside[: len(inside) - len(beginning) + COMPARED]) - self._nats(self._prompt(lead))
        return inside if surprise < self._nats(beginning[:COMPARED]) else beginning

    def read_seed(self, seed: str | None, data: bytes | None = None, name: str = "", bars: int | None = None) -> str:
        """A seed as text: what the user typed, or what a file holds.

        Args:
            seed: as it was typed.
            data: the bytes of a file, instead.
            name: of that file.
            bars: of music, only so many.

        Raises:
            DataError: it cannot be read.
            UsageError: bars of what has none.
        """
        return self.modality.read_seed(seed or "", data, name, bars)

    def check_suffixes(self, suffixes: Sequence[str], rendering: Rendering) -> None:
        """Refuses to write what a sample cannot be, before it is drawn.

        Raises:
            UsageError: there is no such format, or a setting that belongs to another kind.
        """
        self.modality.check_files(suffixes, rendering)

    def unknown(self, seed: str) -> list[str]:
        """The characters of a seed that the model never learned as such."""
        return self.tokenizer.unknown(seed)

    def _prompt(self, text: str) -> list[int]:
        self._check(text)
        return [DOCUMENT, *self.tokenizer.encode(text).tolist()]

    def _check_message(self, message: str) -> None:
        self._check(message)
        if not message.strip():
            raise DataError("the message is empty", hint="Give a message to answer.")

    def _check(self, text: str) -> None:
        if any("\ud800" <= character <= "\udfff" for character in text):
            place = next(place for place, character in enumerate(text) if "\ud800" <= character <= "\udfff")
            raise DataError(
                f"the text is not valid Unicode: character {place} is half of a pair", hint="Pass it as UTF-8."
            )

    def _nats(self, ids: list[int]) -> float:
        return float(nats_of(self.model, torch.tensor(ids)).sum())

    def _writing(self, settings: SampleSettings, opening: Opening, seed: str) -> Writing:
        return self.modality.writing(self.modality, self.tokenizer, settings, opening, seed)

    def _draw(
        self,
        opening: Opening,
        settings: SampleSettings,
        random_seed: int,
        indices: list[int],
        writings: Sequence[Writing],
    ) -> Iterator[list[int]]:
        def allowed() -> npt.NDArray[np.bool_] | None:
            masks = [writing.allowed() for writing in writings]
            known = [mask for mask in masks if mask is not None]
            return np.stack(known) if len(known) == len(masks) else None

        return generate(self.model, opening.ids, settings.rules, random_seed, indices, allowed, settings.recall)

    def _stream(
        self, seed: str, opening: Opening, settings: SampleSettings, random_seed: int, writing: Writing
    ) -> Iterator[str]:
        if begun := writing.begin():
            yield begun
        if writing.is_done():
            return
        for (symbol,) in self._draw(opening, settings, random_seed, [0], [writing]):
            if piece := writing.feed(symbol):
                yield piece
            if writing.is_done():
                return

    def _tile(
        self, seed: str, opening: Opening, settings: SampleSettings, random_seed: int, indices: range
    ) -> Iterator[Sample]:
        start = time.perf_counter()
        writings, interrupted = [self._writing(settings, opening, seed) for _ in indices], False
        if not all(writing.is_done() for writing in writings):
            # A tile's numbers do not depend on how many of its rows are wanted, so every one runs as a whole.
            padded = [*indices] if len(indices) > 1 else [indices[0], indices[0] + 1]
            try:
                for symbols in self._draw(opening, settings, random_seed, padded, writings):
                    for writing, symbol in zip(writings, symbols, strict=False):
                        writing.feed(symbol)
                    if all(writing.is_done() for writing in writings):
                        break
            except KeyboardInterrupt:  # what is there is handed out first
                interrupted = True
                for writing in writings:
                    writing.finish()
        for index, writing in zip(indices, writings, strict=True):
            sample = Sample(index, seed, random_seed, "tile", writing, iter([writing.whole]))
            sample.seconds = time.perf_counter() - start
            yield sample
        if interrupted:
            raise KeyboardInterrupt


def load(name: str | Path, device: str = "auto") -> Loaded:
    """A trained model by the path of its folder, or by its name in `./checkpoints`.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    return Loaded(find_checkpoint(str(name)), device)
