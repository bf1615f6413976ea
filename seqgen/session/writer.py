"""A model that writes on: text from a word, code from its beginning, music from a note."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqgen.api import Loaded
from seqgen.decoding.rules import RuleSettings
from seqgen.errors import DataError, UsageError
from seqgen.generation import SampleSettings, masked
from seqgen.machine import default_threads, torch_settings
from seqgen.models.recall import LEAST_SEED
from seqgen.samples import Sample
from seqgen.session.answers import Budget, chances, fields_of, has_text, rules_of, word_of
from seqgen.session.scene import Choice, Passage, Picture, Scene, Stage
from seqgen.session.settings import OF_WRITING, Setting
from seqgen.tokenizers import DOCUMENT, Opening
from seqgen.writing import Limits, Rendering, Writing

REREAD = 4000
"""Characters of a text that are read again when it is gone on from; what stands before them no model of this size remembers."""
OFFERED = 9
"""Symbols that could come next that are offered."""
SAMPLES, LENGTH = 64, 400
"""Of the text whose words the model is said to know."""
LONGEST_LESSON = 50_000
"""Symbols of a passage that is learned."""
FORCED = 64
"""Symbols at most, that must come, that are taken before there is a choice."""


@dataclass(frozen=True)
class Wishes:
    """What was set, checked and put together."""

    settings: SampleSettings
    rendering: Rendering
    count: int


class Writer:
    """Lets a language model write.

    Args:
        model: of text, code or music.
    """

    answers = False

    def __init__(self, model: Loaded) -> None:
        self.model = model
        matter = model.tokenizer.unit.matter
        self.settings: Mapping[str, Setting] = {
            name: setting for name, setting in OF_WRITING.items() if setting.matter in ("", matter)
        }

    def check(self, values: Mapping[str, Any]) -> None:
        """Refuses settings that this model has no use for.

        Raises:
            UsageError: the first of them.
        """
        wishes = _wishes(values)
        self.model.samples("", wishes.settings, 0)
        if wishes.rendering != Rendering():
            self.model.check_suffixes([".mid", ".wav"], wishes.rendering)

    def answer(self, scene: Scene, seed: str, stage: Stage, budget: Budget) -> Scene:
        """Samples of a seed, each with the next random seed.

        Raises:
            DataError: the seed cannot be read.
        """
        seed = self.model.read_seed(seed)
        if unknown := self.model.unknown(seed):
            names = ", ".join(map(repr, unknown[:10]))
            stage.tell(f"the model has not learned these parts of the seed, they are spelled in bytes: {names}")
        scene = dataclasses.replace(scene, base=None)
        given = seed if self.model.modality.open_ended else ""  # of music, the whole says it
        return self._draw(scene, seed, _wishes(scene.values), Told(seed, "", given), stage, budget)

    def again(self, scene: Scene, stage: Stage, budget: Budget) -> Scene:
        """The same with the next random seeds: an answer to the seed, or what the passage goes on with."""
        if scene.base is not None:
            return self.more(dataclasses.replace(scene, passage=scene.base), stage, budget)
        return self.answer(scene, scene.passage.seed if scene.passage else "", stage, budget)

    def more(self, scene: Scene, stage: Stage, budget: Budget) -> Scene:
        """Goes on from where the passage stopped, at its own end too.

        Raises:
            UsageError: there is none.
        """
        passage = scene.passage
        if passage is None:
            raise UsageError("there is nothing to go on from", hint="Type a seed first.")
        scene = dataclasses.replace(scene, base=passage)
        wishes, modality = _wishes(scene.values), self.model.modality
        text, limits = modality.go_on(passage.text, wishes.settings)
        assert isinstance(limits, SampleSettings)
        if not modality.open_ended:
            wishes = dataclasses.replace(wishes, settings=limits)
            return self._draw(scene, text, wishes, Told(passage.seed, "", ""), stage, budget)
        # What the model wrote itself is not to be recalled as if the corpus had said it.
        recalls = limits.recall and len(self.model.tokenizer.encode(passage.seed)) > LEAST_SEED
        wishes = dataclasses.replace(wishes, settings=dataclasses.replace(limits, recall=recalls))
        cut = _read_from(text)
        told = Told(passage.seed, text[:cut], text[text.rfind("\n") + 1 :])
        return self._draw(scene, text[cut:], wishes, told, stage, budget)

    def next(self, scene: Scene, text: str | None, stage: Stage) -> Scene:
        """Offers what could come next after the passage, or after another text, which takes its place.

        Raises:
            DataError: it cannot be read.
        """
        passage = scene.passage if text is None and scene.passage else Passage(text or "", text or "")
        find = self._next_words if self.model.modality.open_ended else self._next_symbols
        choices = find(passage)
        stage.offer(choices)
        return dataclasses.replace(scene, passage=passage, choices=choices, base=None)

    def words(self) -> Sequence[str]:
        """Those of some text that it writes, the same at each call: no corpus need be at hand."""
        if not self.model.modality.open_ended:
            return ()
        settings = SampleSettings(length=LENGTH, rules=RuleSettings(temperature=1.0))
        samples = self.model.samples("", settings, SAMPLES, random_seed=0)
        found = Counter(word for sample in samples for word in _WORD.findall(sample.text))
        return [word for word, _ in found.most_common()]

    def learned_from(self, passage: Passage) -> npt.NDArray[np.int64]:
        """The ids that the model reads to learn from a passage.

        Raises:
            DataError: it cannot be read.
        """
        tokenizer, settings = self.model.tokenizer, self.model.checkpoint.recipe.tokenizer
        if reason := tokenizer.refusal(passage.text, settings):
            raise DataError(reason)
        ids = tokenizer.encode(passage.text).astype(np.int64)
        if len(ids) > LONGEST_LESSON:
            what = f"{len(ids):,} symbols are too many to be learned while you wait, {LONGEST_LESSON:,} at most"
            raise DataError(what, hint="/save it, and give the file to seqgen sample --adapt.")
        return np.concatenate([[DOCUMENT], ids])

    def render(self, passages: Sequence[Passage] | None, scene: Scene, suffix: str) -> list[bytes]:
        """Passages as files with this ending, or what is on the table.

        Raises:
            UsageError: they cannot be written so, or there is nothing.
        """
        if passages is None:
            if scene.passage is None:
                raise UsageError("there is nothing to write yet", hint="Type a seed first.")
            passages = [scene.passage]
        rendering = _wishes(scene.values).rendering
        if suffix.lower() != ".wav":
            rendering = dataclasses.replace(rendering, soundfont=None)
        self.model.check_suffixes([suffix], rendering)
        return [self._writing(passage.text).render(suffix, rendering) for passage in passages]

    def picture(self, passage: Passage) -> Picture:
        """What a passage looks like."""
        return self._writing(passage.text).pictures

    def _draw(self, scene: Scene, seed: str, wishes: Wishes, told: Told, stage: Stage, budget: Budget) -> Scene:
        """As many samples as are wanted, of which the last may be interrupted; the first is on the table afterwards."""
        found = list[Passage]()
        for number in range(wishes.count):
            if number and budget.ends(stage):
                break
            random_seed = scene.random_seed + number
            (sample,) = self.model.samples(seed, wishes.settings, 1, random_seed)
            stage.begin(told.given, number + 1 if wishes.count > 1 else None)
            is_text = self.model.modality.open_ended
            deliver(sample, seed if is_text else "", stage, budget)
            ids = () if is_text else tuple(sample.ids)
            passage = Passage(told.seed, told.before + sample.text, ids, random_seed, sample.stopped_by)
            stage.end(passage, sample.pictures)
            found.append(passage)
        choices = tuple(Choice(passage.text, passage) for passage in found) if len(found) > 1 else ()
        random_seed = scene.random_seed + len(found)
        return dataclasses.replace(scene, passage=found[0], choices=choices, random_seed=random_seed)

    def _next_words(self, passage: Passage) -> tuple[Choice, ...]:
        """What the model would go on with, each with the word that it most likely grows to, which is taken as a whole."""
        names = self.model.tokenizer.names()
        found = []
        for one in self.model.next(passage.text[_read_from(passage.text) :], OFFERED):
            ends, more = one.text == names[DOCUMENT], word_of(one)
            if not (ends or has_text(one, names)):
                continue
            after = Passage(
                passage.seed, passage.text + ("" if ends else more), stopped_by="document" if ends else None
            )
            found.append(Choice(one.text if ends else more, after, chances(one), not ends))
        return tuple(found)

    @torch.inference_mode()
    def _next_symbols(self, passage: Passage) -> tuple[Choice, ...]:
        """The symbols that may come next by the rules of what is written; those that must come are taken before."""
        writing, names, model = self._writing(passage.seed), self.model.tokenizer.names(), self.model.model
        for symbol in passage.ids:
            writing.feed(symbol)
        ids = list(passage.ids)
        mask = writing.allowed()
        while mask is not None and mask.sum() == 1 and not mask[DOCUMENT] and len(ids) < len(passage.ids) + FORCED:
            ids.append(int(mask.argmax()))
            writing.feed(ids[-1])
            mask = writing.allowed()
        with torch_settings(default_threads(), self.model.device):
            logits, _ = model.start(torch.tensor([[DOCUMENT, *ids]], device=model.device))
            probabilities = masked(logits, mask)[0].softmax(-1)
        best, places = probabilities.topk(min(OFFERED, len(probabilities)))
        found = []
        for probability, symbol in zip(best.tolist(), places.tolist(), strict=True):
            if probability > 0:
                after = self._with_symbols(passage, ids, symbol)
                found.append(Choice(names[symbol], after, f"{probability:.1%}", symbol != DOCUMENT))
        return tuple(found)

    def _with_symbols(self, passage: Passage, ids: list[int], symbol: int) -> Passage:
        writing, end = self._writing(passage.seed), symbol == DOCUMENT
        for one in [*ids, symbol]:
            writing.feed(one)
        drawn = tuple(ids) if end else (*ids, symbol)
        return Passage(passage.seed, writing.whole, drawn, stopped_by="document" if end else None)

    def _writing(self, text: str) -> Writing:
        """A text as if it had been a seed."""
        model = self.model
        return model.modality.writing(model.modality, model.tokenizer, Limits(), Opening([DOCUMENT]), text)


@dataclass(frozen=True)
class Told:
    """What is shown of samples that go on from something.

    Attributes:
        seed: that all of it grew from.
        before: what stands before what the model reads.
        given: what is shown before what the model writes.
    """

    seed: str
    before: str
    given: str


def deliver(sample: Sample, given: str, stage: Stage, budget: Budget) -> None:
    """Draws a sample as far as it may be, and shows it as it grows, but for what was given."""
    shown = next(sample, "").removeprefix(given)
    budget.steps += 1
    while sample.stopped_by is None and not budget.ends(stage):
        stage.grow(shown, sample.pictures)
        shown = next(sample)
        budget.steps += 1
    stage.grow(shown + sample.finish(), sample.pictures)


def _read_from(text: str) -> int:
    """Where what is read of a text begins: of a long one at the beginning of a line, if there is one."""
    if len(text) <= REREAD:
        return 0
    return text.find("\n", len(text) - REREAD) + 1 or len(text) - REREAD


_WORD = re.compile(r"[^\W\d]\w{2,}")
_OF_SAMPLE = {field.name for field in dataclasses.fields(SampleSettings)} - {"rules"}
_OF_RENDERING = {field.name for field in dataclasses.fields(Rendering)}


def _wishes(values: Mapping[str, Any]) -> Wishes:
    settings = SampleSettings(rules=rules_of(values), **fields_of(values, _OF_SAMPLE))
    return Wishes(settings, Rendering(**fields_of(values, _OF_RENDERING)), values.get("count", 1))
