"""``--init-from``: a training that begins with the weights of a trained model instead of fresh ones."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seqgen.checkpoint import Checkpoint, find_checkpoint
from seqgen.errors import CheckpointError, UsageError
from seqgen.modalities import MODALITIES
from seqgen.models import Model
from seqgen.recipe import ModelSettings, Overrides, TokenizerSettings
from seqgen.tokenizers import Tokenizer

SHAPE = ("cell", "layers", "hidden", "embedding", "tied", "attention", "matching", "phrases")
"""The settings that two models must share for one to take over the other's weights."""

SYMBOLS = ("kind", "vocabulary")
"""The settings of the tokenizer that must be the same; the others say which symbols are added."""


@dataclass(frozen=True)
class Inheritance:
    """What a training takes over from a trained model.

    Attributes:
        source: the file of its weights; the name holds their hash, so that other weights have another name.
        tokenizer: its symbols; new ones are added after them.
        tokenizer_settings: how that was built.
        shape: its network's settings, as far as they must be the same.
        weights: its tensors.
        learned_from: the sources of its corpus.
        kind: of its corpus.
    """

    source: Path
    tokenizer: Tokenizer
    tokenizer_settings: TokenizerSettings
    shape: dict[str, Any]
    weights: dict[str, Tensor]
    learned_from: tuple[str, ...]
    kind: str

    def check(self, overrides: Overrides) -> None:
        """Refuses settings that contradict what is taken over.

        Raises:
            UsageError: the user set another tokenizer or another shape.
        """
        symbols = {name: getattr(self.tokenizer_settings, name) for name in SYMBOLS}
        for section, had in (("model", self.shape), ("tokenizer", symbols)):
            asked = overrides.get(section, {})
            for name, value in had.items():
                if asked.get(name, value) != value:
                    raise UsageError(
                        f"{section}.{name} is {asked[name]!r}, but the model to begin from has {value!r}",
                        hint="Leave it out, or train from scratch without --init-from.",
                    )

    def check_kind(self, kind: str) -> None:
        """Refuses a corpus that another network learns.

        Raises:
            UsageError: a model of text cannot begin one of replies, say.
        """
        if MODALITIES[kind].model != MODALITIES[self.kind].model:
            raise UsageError(
                f"a model of {self.kind} cannot begin one of {kind}", hint="Leave --init-from out, or name another."
            )

    def note(self, tokenizer: Tokenizer, sources: tuple[str, ...]) -> str:
        """What is taken over, and a warning where the model has learned from the same sources: perhaps from what is held
        out now.
        """
        known = len(set(self.tokenizer.keys()) & set(tokenizer.keys()))
        note = f"begins from {self.source.parent.name}: {known:,} symbols known to it, {tokenizer.size - known:,} new"
        shared = [name for name in sources if any(Path(name).is_relative_to(other) for other in self.learned_from)]
        if shared:
            note += f"; it has read {', '.join(shared)}: figures on held-out text may be too good"
        return note

    def pass_on(self, model: Model, tokenizer: Tokenizer) -> None:
        """Gives a model the weights: each symbol that was known keeps its rows, new symbols keep their fresh ones."""
        places = {key: place for place, key in enumerate(self.tokenizer.keys())}
        model.adopt(self.weights, torch.tensor([places.get(key, -1) for key in tokenizer.keys()]))  # noqa: SIM118


def is_source(name: str, weights: str) -> bool:
    """Whether the user's name means the checkpoint that a run took over these weights from.

    Raises:
        CheckpointError: there is no checkpoint of that name.
    """
    path = Path(name)
    folder = path.parent if path.suffix == ".safetensors" else find_checkpoint(name).folder
    return weights != "" and folder.absolute() == Path(weights).parent


def inherit(name: str) -> Inheritance:
    """What is to be taken over from a checkpoint, by its path, its name, or the path of its file of weights.

    Raises:
        CheckpointError: there is none, or its weights are not the named ones any more.
    """
    path = Path(name)
    checkpoint = Checkpoint(path.parent) if path.suffix == ".safetensors" else find_checkpoint(name)
    if path.suffix == ".safetensors" and path.name != checkpoint.manifest.weights:
        raise CheckpointError(
            "the model to begin from has been trained on since",
            where=str(path),
            hint="Begin a new training with --init-from, or bring the old checkpoint back.",
        )
    tokenizer = checkpoint.tokenizer()
    model = checkpoint.load_model(tokenizer)
    settings = {field.name: getattr(checkpoint.recipe.model, field.name) for field in dataclasses.fields(ModelSettings)}
    return Inheritance(
        (checkpoint.folder / checkpoint.manifest.weights).absolute(),
        tokenizer,
        checkpoint.recipe.tokenizer,
        {name: settings[name] for name in SHAPE},
        model.state_dict(),
        checkpoint.recipe.corpus.sources,
        checkpoint.recipe.corpus.kind,
    )
