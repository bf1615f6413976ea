"""What a script or a notebook uses: ``load()`` a checkpoint, then ``sample()`` and ``score()`` it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from seqgen.adaptation import PASSES, Adaptation, adapt, evaluate_dynamic
from seqgen.checkpoint import Checkpoint, find_checkpoint
from seqgen.corpus import read_split
from seqgen.decoding.rules import RuleSettings
from seqgen.errors import CheckpointError, DataError, UsageError
from seqgen.evaluation import evaluate, nats_of
from seqgen.generation import SampleSettings, new_random_seed
from seqgen.held_out import HeldOut, find_held_out
from seqgen.machine import default_threads, pick_device, torch_settings
from seqgen.mail.masks import mask
from seqgen.modalities import MODALITIES, Likeness
from seqgen.modalities.reply_measures import Quality
from seqgen.models import ReplyModel
from seqgen.originality import open_judge
from seqgen.overlaps import Judge, Originality
from seqgen.predictions import Evaluation
from seqgen.reply_evaluation import ComparisonSettings, compare_replies
from seqgen.replying import Near, Replier, Reply, ReplySettings
from seqgen.runs import reopen_corpus
from seqgen.samples import Sample, draw_samples, rank
from seqgen.scorer import Scorer
from seqgen.splits import SPLITS, documents_in
from seqgen.surprises import Next, Score
from seqgen.tokenizers import DOCUMENT
from seqgen.writing import Rendering

COMPARED = 64
"""Symbols of a seed that tell whether it is the beginning of a document."""
MOST_READINGS = 3
"""Of a checkpoint that is saved all the while."""


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
        self._judge: Judge | None = None

    def sample(
        self,
        seed: str = "",
        *,
        length: int | None = None,
        min_length: int | None = None,
        until: str | None = None,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        stop: Sequence[str] = (),
        ban: Sequence[str] = (),
        prefer: Sequence[str] = (),
        recall: bool = True,
        random_seed: int | None = None,
    ) -> Sample:
        """One sample as an iterator of pieces of text, the seed first: ``"".join(model.sample("def "))``. `samples` takes all
        that there is to set.

        Args:
            seed: what it grows from.
            length: characters to write at most; None: until a document or a sentence ends.
            min_length: characters before which it does not end by itself.
            until: `line`, `sentence` or `document`: where it ends.
            temperature: see `RuleSettings`, as for `top_k`, `top_p` and `min_p`.
            top_k: among the likeliest so many.
            top_p: among the likeliest with this probability together.
            min_p: among those at least this share as likely as the likeliest.
            stop: end before the first of these texts.
            ban: texts that are never written.
            prefer: texts that become likelier.
            recall: use the names and phrases of a long seed again, if the model has learned to recall.
            random_seed: for a sample that can be repeated.

        Raises:
            UsageError: a setting that cannot be meant.
            DataError: the seed cannot be read.
        """
        bent = RuleSettings(temperature, None, top_k, top_p, min_p, ban=tuple(ban), prefer=tuple(prefer))
        limits = SampleSettings(length, tuple(stop), until, min_length)
        settings = dataclasses.replace(limits, rules=bent, recall=recall)
        return next(self.samples(seed, settings, count=1, random_seed=random_seed))

    def samples(
        self,
        seed: str,
        settings: SampleSettings,
        count: int,
        random_seed: int | None = None,
        indices: Sequence[int] | None = None,
    ) -> Iterator[Sample]:
        """Many samples of one seed, in order. A sole one streams; of several each comes when it is complete.

        Args:
            seed: what they grow from.
            settings: what they should be like.
            count: how many.
            random_seed: for samples that can be repeated.
            indices: which of many samples, in ascending order, instead of the first `count`: those again that had these
                numbers among any others.
        """
        random_seed = new_random_seed() if random_seed is None else random_seed
        opening, which = self.tokenizer.reopen(self.prompt(seed)), range(count) if indices is None else indices
        many = indices is not None or count != 1
        parts = self.model, self.tokenizer, self.modality, opening
        return draw_samples(*parts, seed, settings, which, random_seed, many)

    def ranked(
        self, seed: str, settings: SampleSettings, count: int, of: int, random_seed: int | None = None
    ) -> list[Sample]:
        """Of many samples those whose mean surprise is nearest to that of text that was held out, the nearest first.

        The likeliest samples are the dullest: real text is more surprising than they are.

        Args:
            seed: what they grow from.
            settings: what they should be like.
            count: how many are wanted.
            of: how many are drawn.
            random_seed: with the index it makes each of them repeatable.
        """
        typical = self.typical_nats()  # before anything is drawn: there may be none
        samples = list(self.samples(seed, settings, of, random_seed, range(of)))
        prompt = self.tokenizer.reopen(self.prompt(seed)).ids
        with torch_settings(default_threads(), self.device):
            return rank(self.model, prompt, samples, typical, self.tokenizer.size)[:count]

    def typical_nats(self) -> float:
        """The mean surprise of held-out text, in nats per symbol, by the network alone.

        Raises:
            UsageError: it was never measured.
        """
        valid = self.checkpoint.manifest.metrics.get("valid")
        if not valid:
            raise UsageError("this training held nothing out to compare with", hint="Leave --rank out.")
        unit = self.tokenizer.unit
        per_unit = valid.get(f"{unit.key}_without_recall", valid[unit.key]) / unit.scale
        return float(per_unit * valid[f"{unit.counted}s"] / valid["symbols"])

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

    def score(self, text: str, message: str | None = None, *, recall: bool = True) -> Score:
        """How surprising each symbol of a text is, read as the beginning of a document; or, of code, as what stands within one,
        if it is likelier there.

        Args:
            text: text, a piece of music in its text form, or a reply.
            message: what the reply answers; for models of replies alone.
            recall: let the model recall what stood in the text before, if it has learned to.

        Raises:
            UsageError: a reply without its message, or a message where nothing is answered.
            DataError: the text cannot be read.
        """
        return self._scorer(text, message).score(text, message, recall)

    def next(self, text: str = "", count: int = 5, message: str | None = None, *, recall: bool = True) -> list[Next]:
        """What could come next after a text, the likeliest first.

        Args:
            text: as for `score`, as are `message` and `recall`.
            count: how many symbols.
            message: see there.
            recall: see there.

        Raises:
            UsageError: as for `score`, or a count below 1, or this is a model of music, which reads whole pieces.
            DataError: as for `score`.
        """
        return self._scorer(text, message).next(text, count, message, recall)

    def check(self, text: str, seed: str = "") -> Originality:
        """How much of a text stands in what the model learned from, beside the same of held-out text.

        Args:
            text: such as a sample has; of music in its text form.
            seed: what it grew from, which the model did not write.

        Raises:
            DataError: the text cannot be read, or the model's own corpus has changed, cannot be read or is too large.
        """
        self._judge = self._judge or open_judge(self.checkpoint)
        return self._judge.judge(text, seed)

    def adapt(
        self, *corpora: str, passes: int = PASSES, announce: Callable[[str], None] = lambda words: None
    ) -> Adaptation:
        """Lets the model learn from a text, of the kind that it was trained on, until it is loaded again. The checkpoint stays
        as it is.

        Args:
            corpora: files, folders or names of cards, as for a training.
            passes: how often they are read.
            announce: is told of what takes a while.

        Raises:
            DataError: there is nothing in them that it can learn from.
        """
        recipe = self.checkpoint.recipe
        try:
            split = read_split(corpora, recipe.corpus, recipe.tokenizer, self.tokenizer, None)
        except DataError as error:  # its hint is for those who train
            hint = f"This model can learn from {self.modality.title}: a file, a folder, or a name that seqgen corpus list shows."
            raise DataError(error.what, where=error.where, hint=hint) from error
        return adapt(self.model, self.tokenizer, split, ", ".join(corpora), passes, announce)

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

    def _scorer(self, text: str, message: str | None) -> Scorer:
        """What reads these, if they can be read."""
        self._check(text)
        if message is not None:
            self._check_message(message)
        return Scorer(self.checkpoint, self.model, self.tokenizer, self.device, self.prompt)

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


def load(name: str | Path, device: str = "auto") -> Loaded:
    """A trained model by the path of its folder, or by its name: in `./checkpoints`, or one that came with seqgen.

    Where a training saves a newer one into the folder meanwhile, and removes what was to be read, that is read instead.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    found = find_checkpoint(str(name))
    for _ in range(MOST_READINGS - 1):
        try:
            return Loaded(found, device)
        except CheckpointError:
            before, found = found, find_checkpoint(str(name))
            if found.manifest.files == before.manifest.files:
                raise
    return Loaded(found, device)
