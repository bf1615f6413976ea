"""What a trained model says of a text: how it is read, by the kind of its corpus, before it is scored or goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from seqgen.checkpoint import Checkpoint
from seqgen.errors import DataError, UsageError
from seqgen.machine import default_threads, torch_settings
from seqgen.mail.masks import mask
from seqgen.modalities import MODALITIES
from seqgen.models import Model
from seqgen.scoring import find_next, score
from seqgen.surprises import Next, Score
from seqgen.tokenizers import DOCUMENT, Tokenizer
from seqgen.units import BITS_PER_CHARACTER


class Scorer:
    """Reads texts for a trained model.

    Args:
        checkpoint: of the model.
        model: in evaluation mode.
        tokenizer: its own.
        device: where it is.
        prompt: the ids of a text as a seed, which may stand at the beginning of a document or within one.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        model: Model,
        tokenizer: Tokenizer,
        device: str,
        prompt: Callable[[str], list[int]],
    ) -> None:
        self._checkpoint, self._model, self._tokenizer = checkpoint, model, tokenizer
        self._device, self._prompt = device, prompt
        self._modality = MODALITIES[checkpoint.recipe.corpus.kind]

    def score(self, text: str, message: str | None, recall: bool) -> Score:
        """See `Loaded.score`."""
        answers = self._modality.sequences is not None
        prompt, ids = self._read(text.strip() if answers else text, message)
        characters = self._tokenizer.count(np.array(ids, dtype=np.int64))
        whole = [*ids, DOCUMENT] if answers else ids  # that a reply ends there is predicted, too
        with torch_settings(default_threads(), self._device):
            found = score(self._model, self._tokenizer, prompt, whole, characters, recall)
        valid, key = self._checkpoint.manifest.metrics.get("valid") or {}, self._tokenizer.unit.key
        alone = valid.get(f"{key}_without_recall", valid.get(key))
        return dataclasses.replace(found, held_out=valid.get(key) if recall else alone, held_out_without_recall=alone)

    def next(self, text: str, count: int, message: str | None, recall: bool) -> list[Next]:
        """See `Loaded.next`."""
        if count < 1:
            raise UsageError(f"{count} symbols cannot be told", hint="Ask for 1 or more.")
        if self._tokenizer.unit != BITS_PER_CHARACTER:
            raise UsageError(
                "a piece of music is read as a whole, so nothing comes next", hint="Let it go on: seqgen sample --seed."
            )
        prompt, ids = self._read(text, message)
        with torch_settings(default_threads(), self._device):
            return find_next(self._model, self._tokenizer, prompt, ids, count, recall)

    def _read(self, text: str, message: str | None) -> tuple[list[int], list[int]]:
        """What is read before a text, and the ids of the text."""
        masked = self._checkpoint.recipe.corpus.mask
        if self._modality.sequences is None:
            if message is not None:
                raise UsageError(
                    f"this model writes {self._modality.name}, and answers no message", hint="Leave the message out."
                )
            self._check(text)
            ids = self._tokenizer.encode(mask(text) if masked else text).tolist()
            whole = self._prompt(text) if self._modality.lead else [DOCUMENT, *ids]
            return whole[: len(whole) - len(ids)], ids
        if message is None:
            raise UsageError(
                "a model of replies scores a reply, given its message", hint="Say what it answers, with --message."
            )
        message, reply = (mask(side) if masked else side for side in (message, text))
        return self._modality.prompt(self._tokenizer, message), self._tokenizer.encode(reply).tolist()

    def _check(self, text: str) -> None:
        if text and (reason := self._tokenizer.refusal(text, self._checkpoint.recipe.tokenizer)):
            self._modality.count(text)  # says in which line it is no music, if it is none
            raise DataError(
                f"this model cannot read the {self._modality.document}: {reason}",
                hint="Give a whole one such as it was trained on; seqgen sample -o writes one.",
            )
