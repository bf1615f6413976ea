"""Checkpoints of models that have learned nothing, made at once: enough to see whether what they say is told rightly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from seqgen.manifest import Manifest
from seqgen.modalities import MODALITIES
from seqgen.models import MODELS
from seqgen.recipe import Recipe
from seqgen.saving import CheckpointWriter
from seqgen.tokenizers import DOCUMENT, TOKENIZERS, alphabet_of

VALID = {
    "unit": "bits_per_character",
    "symbols": 1000,
    "characters": 1000,
    "bits_per_character": 1.87,
    "bits_per_character_without_recall": 2.05,
    "baselines": {},
}


def untrained(
    folder: Path,
    texts: Sequence[str],
    kind: str = "text",
    kind_of_tokenizer: str = "characters",
    corpus: dict[str, Any] | None = None,
    ends: float = 0.0,
    **tokenizer: Any,
) -> Path:
    """A checkpoint with weights that are large enough for one symbol to be likelier than another.

    Args:
        folder: where it is made.
        texts: from which its tokenizer is built.
        kind: of the corpus.
        kind_of_tokenizer: its name.
        corpus: what it says of the corpus that it has not read.
        ends: nats by which the end of a document is likelier than it would be.
        tokenizer: its settings.
    """
    network = MODALITIES[kind].model
    parts: dict[str, Any] = {
        "model": {"hidden": 16, "embedding": 8, "layers": 1},
        "corpus": {"kind": kind, "sources": ["a.txt"]},
        "tokenizer": {"kind": kind_of_tokenizer, **tokenizer},
    }
    recipe = Recipe.from_dict(parts)
    built = TOKENIZERS[recipe.tokenizer.kind].build(texts, recipe.tokenizer)
    model = MODELS[network](alphabet_of(built), recipe.model)
    model.reset_parameters(torch.Generator().manual_seed(3))
    weights = {name: tensor * (4 if "output" in name else 1) for name, tensor in model.state_dict().items()}
    weights["output_bias"][DOCUMENT] += ends
    writer = CheckpointWriter(folder)
    metrics = {"valid": VALID} if kind == "text" else {}
    writer.commit(Manifest(recipe, model=network, metrics=metrics, corpus=corpus or {}), weights, built)
    writer.close()
    return folder
