"""A trained model made small enough to come with seqgen: its weights rounded, and nothing of the training but the record.

What is left is an ordinary checkpoint folder, half as large: weights of two bytes (bfloat16), the symbols, the recipe, the
looks at the validation text, and figures that were measured with the very weights that lie there.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor

from seqgen.cards import card_names
from seqgen.checkpoint import RECALL, Checkpoint
from seqgen.disk import replace_file
from seqgen.errors import DataError, UsageError
from seqgen.evaluation import evaluate, look_back
from seqgen.held_out import find_held_out
from seqgen.machine import default_threads, torch_settings
from seqgen.manifest import LOSS_PLOT, METRICS, Manifest, versions
from seqgen.migrations import FORMAT
from seqgen.models import Model
from seqgen.predictions import Evaluation
from seqgen.saving import LOCK, CheckpointWriter

LARGEST = 6_000_000
"""Bytes of a folder that comes with seqgen."""
LARGEST_PLOT = 100_000
"""Bytes of a loss curve that is worth its place."""
VALID, TEST = "valid", "test"


def ship(checkpoint: Checkpoint, folder: Path, made_by: str) -> dict[str, Evaluation]:
    """Writes a small copy of a trained model, and measures it on what its corpus holds out.

    The network's weights are rounded to bfloat16. What it recalls of a document is learned anew beside the rounded weights, as
    at the end of a training, and stays float32: it is a few hundred numbers. There is no training state, no timing and no
    name of a file of this machine in the copy.

    Args:
        checkpoint: of a finished training on corpora that have a name, the same on each machine.
        folder: where the copy goes; one that is there already is replaced.
        made_by: the command that makes the model again.

    Returns:
        What the copy needs for validation text and, if there is any, for test text.

    Raises:
        UsageError: the training is not finished, or depends on files of this machine.
        DataError: its corpus has changed, cannot be read, or holds nothing out.
        CheckpointError: the copy cannot be written.
    """
    _check(checkpoint)
    tokenizer, recipe = checkpoint.tokenizer(), checkpoint.recipe
    model = checkpoint.load_model(tokenizer)
    weights = _round(model)
    figures: dict[str, Evaluation] = {}
    held_out = find_held_out(checkpoint, tokenizer, (), VALID)
    if len(held_out.split) < 2:
        raise DataError("nothing was held out of this corpus, so that nothing says how good the model is")
    with torch_settings(default_threads(), "cpu"):
        figures[VALID] = look_back(model, tokenizer, held_out.split, recipe.training.recall_symbols)
        test = find_held_out(checkpoint, tokenizer, (), TEST).split
        if len(test) > 1:
            figures[TEST] = evaluate(model, tokenizer, test, TEST)
    if model.recall is not None:
        weights[RECALL] = model.recall
    manifest = dataclasses.replace(
        checkpoint.manifest,
        metrics={name: figure.to_dict() for name, figure in figures.items()},
        corpus={name: value for name, value in checkpoint.manifest.corpus.items() if name != "entry"},
        states=[],
        files={},
        made_by=made_by,
        versions={**versions(), **checkpoint.manifest.versions},  # the corpus was the same just now, so these fit, too
        format=FORMAT,
    )
    _write(checkpoint, folder, manifest, weights)
    return figures


def size_of(folder: Path) -> int:
    """The bytes of all files in a folder and below."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _check(checkpoint: Checkpoint) -> None:
    """Refuses a model that the same command would not make again elsewhere."""
    recipe, where = checkpoint.recipe, str(checkpoint.folder)
    if checkpoint.manifest.status != "finished":
        raise UsageError(f"this training is {checkpoint.manifest.status}", where=where, hint="Finish it: --resume.")
    unknown = [source for source in recipe.corpus.sources if source not in card_names()]
    if unknown or recipe.training.init_from:
        what = "from another model" if not unknown else f"on {', '.join(unknown)}"
        raise UsageError(
            f"it was trained {what}, which only this machine has",
            where=where,
            hint="Train it on a card (seqgen corpus list), from scratch.",
        )


def _round(model: Model) -> dict[str, Tensor]:
    """Rounds a network's weights to bfloat16, in place; returns them in two bytes each."""
    weights = {name: tensor.to(torch.bfloat16) for name, tensor in model.state_dict().items()}
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    model.eval()  # what was laid out of the old weights is made anew
    return weights


def _write(checkpoint: Checkpoint, folder: Path, manifest: Manifest, weights: dict[str, Tensor]) -> None:
    writer = CheckpointWriter(folder)
    try:
        for name, largest in ((METRICS, LARGEST), (LOSS_PLOT, LARGEST_PLOT)):
            path = checkpoint.folder / name
            if path.is_file() and path.stat().st_size <= largest:
                replace_file(folder / name, path.read_bytes())
        writer.commit(manifest, weights, checkpoint.tokenizer())
    finally:
        writer.close()
    (folder / "resume").rmdir()
    (folder / LOCK).unlink(missing_ok=True)
