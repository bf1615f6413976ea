"""One folder holds all that a trained model is: weights, recipe, tokenizer, metrics. What is in it, and its only reader.

Nothing in it is code: weights are safetensors, the rest is JSON. `saving.py` writes it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import itertools
import json
import math
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from seqgen import __version__
from seqgen.errors import CheckpointError, SeqgenError, UsageError
from seqgen.migrations import FORMAT, SETTLED, migrate
from seqgen.modalities import MODALITIES
from seqgen.recipe import Recipe
from seqgen.tokenizers import TOKENIZERS, Tokenizer, alphabet_of

if TYPE_CHECKING:  # torch is imported where tensors are touched, so that `seqgen list` need not wait for it
    from torch import Tensor

    from seqgen.models import Model

RECALL = "recall"
MANIFEST = "checkpoint.json"
METRICS, TIMING, LOSS_PLOT = "metrics.jsonl", "timing.jsonl", "loss.png"
OWN = Path("checkpoints")
"""Where trainings write."""
_PACKAGE = Path(__file__).parent
SHIPPED = (_PACKAGE / "shipped", _PACKAGE.parent / "checkpoints" / "shipped")
"""Where the models lie that came with seqgen: in an installed package, in a checkout. Nothing is written there."""
LARGEST_JSON = 64 << 20


def versions() -> dict[str, str]:
    """The versions that a result depends on. Corpora of cards come with Python and music21, so they change with those."""
    return {
        "seqgen": __version__,
        "python": platform.python_version(),
        "torch": _version("torch"),
        "music21": _version("music21"),
    }


@functools.cache
def _version(package: str) -> str:
    """Of an installed package; to look it up takes some milliseconds."""
    return importlib.metadata.version(package)


@dataclass
class Manifest:
    """What `checkpoint.json` says."""

    recipe: Recipe
    model: str = "language"
    status: str = "running"
    """`running`, `interrupted`, or `finished`."""
    step: int = 0
    metrics: dict[str, Any] = field(default_factory=dict)
    corpus: dict[str, Any] = field(default_factory=dict)
    """Of the corpus: its digest, characters, documents, how it was split, how many files were left out and why."""
    budget: dict[str, float] = field(default_factory=dict)
    """What the run was asked to be, so that the same command with --resume is known again."""
    weights: str = ""
    tokenizer: str = ""
    states: list[list[str]] = field(default_factory=list)
    """The complete training states, oldest first: names of tensors and of JSON."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file that belongs to the checkpoint."""
    made_by: str = ""
    """The command that makes it again; empty: that of its recipe does (`--recipe`)."""
    versions: dict[str, str] = field(default_factory=versions)
    format: int = FORMAT


@dataclass(frozen=True)
class TrainingState:
    """All that a training needs to go on as if it had never stopped.

    Attributes:
        tensors: weights, averages, best weights, optimiser, hidden states, generators.
        values: step, position in the corpus, counters, and the length of `metrics.jsonl` in bytes.
    """

    tensors: dict[str, Tensor]
    values: dict[str, Any]


class Checkpoint:
    """A checkpoint folder, opened for reading.

    Raises:
        CheckpointError: there is none, it is damaged, or it is of a newer format.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _read_manifest(folder)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def is_shipped(self) -> bool:
        """Whether it came with seqgen."""
        return self.folder.absolute().parent in SHIPPED

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe that it was trained with."""
        return self.manifest.recipe

    def tokenizer(self) -> Tokenizer:
        """The tokenizer, its file verified."""
        kind = self.recipe.tokenizer.kind
        if kind not in TOKENIZERS:
            raise CheckpointError(
                f"unknown tokenizer {kind!r}", where=str(self.folder), hint="A newer seqgen may know it."
            )
        path = self.folder / self.manifest.tokenizer
        try:
            return TOKENIZERS[kind].from_bytes(self._read(self.manifest.tokenizer))
        except ValueError as error:
            raise CheckpointError(f"not a tokenizer of kind {kind}: {error}", where=str(path)) from error

    def load_model(self, tokenizer: Tokenizer, device: str = "cpu") -> Model:
        """The trained network in evaluation mode, its file verified before anything is allocated.

        Args:
            tokenizer: the checkpoint's own.
            device: where the weights go.
        """
        import torch
        from safetensors.torch import load as load_tensors

        from seqgen.models import MODELS
        from seqgen.models.recall import TABLE_SHAPE

        path = self.folder / self.manifest.weights
        try:
            weights = load_tensors(self._read(self.manifest.weights))
            recall = weights.pop(RECALL, None)
        except SafetensorError as error:
            raise CheckpointError(f"not a file of weights: {error}", where=str(path)) from error
        self._check_network()
        alphabet = alphabet_of(tokenizer)
        with torch.device("meta"):
            model = MODELS[self.manifest.model](alphabet, self.recipe.model)
        wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
        misshapen = recall is not None and recall.shape != TABLE_SHAPE
        if misshapen or {name: tensor.shape for name, tensor in weights.items()} != wanted:
            raise CheckpointError(
                "the weights are not of the shape that the recipe says", where=str(path), hint=self._other_shape()
            )
        tensors = [*weights.values(), *([] if recall is None else [recall])]
        if not all(bool(tensor.isfinite().all()) for tensor in tensors):
            raise CheckpointError(
                "the weights hold numbers that are not finite", where=str(path), hint="Train or copy it again."
            )
        model.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, assign=True)
        model.recall = None if recall is None else recall.float().to(device)
        return model.to(device).requires_grad_(False).eval()

    def _other_shape(self) -> str:
        """What to do where the weights do not fit."""
        if self.manifest.format >= SETTLED:
            return "Train or copy it again."
        before = f"It is of format {self.manifest.format}, from before the networks were settled"
        return f"{before}: train it again, --recipe {self.name}."

    def _check_network(self) -> None:
        """Refuses a network that this seqgen cannot build."""
        from seqgen.models import ATTENTIONS, CELLS, NO_ATTENTION

        settings, modality = self.recipe.model, MODALITIES[self.recipe.corpus.kind]
        for what, name, known in (
            ("model", self.manifest.model, [modality.model]),
            ("cell", settings.cell, CELLS),
            ("attention", settings.attention, [NO_ATTENTION, *ATTENTIONS]),
        ):
            if name not in known:
                raise CheckpointError(
                    f"unknown {what} {name!r} of {modality.name}",
                    where=str(self.folder),
                    hint="A newer seqgen may know it.",
                )
        if modality.sequences is not None and settings.hidden % 2:
            raise CheckpointError(
                f"model.hidden={settings.hidden} cannot be halved",
                where=str(self.folder),
                hint="Train or copy it again.",
            )

    def parameters(self) -> int:
        """How many numbers the model has, from the header of its file."""
        path = self.folder / self.manifest.weights
        try:
            with safe_open(path, framework="numpy") as file:
                names = [name for name in file.keys() if name != RECALL]  # noqa: SIM118 - not a dict
                return sum(math.prod(file.get_slice(name).get_shape()) for name in names)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"not a file of weights: {error}", where=str(path)) from error

    def training_state(self) -> TrainingState:
        """The newest training state; where its files were removed, the one before.

        Raises:
            CheckpointError: there is none, or the newest is damaged.
        """
        from safetensors.torch import load as load_tensors

        for tensors, values in reversed(self.manifest.states):
            if not ((self.folder / tensors).is_file() and (self.folder / values).is_file()):
                continue
            try:
                return TrainingState(load_tensors(self._read(tensors)), json.loads(self._read(values)))
            except (CheckpointError, SafetensorError, ValueError) as error:
                raise CheckpointError(
                    f"the newest training state is damaged: {error.what if isinstance(error, CheckpointError) else error}",
                    where=str(self.folder / tensors),
                    hint="The model itself can still be used. Remove this file to go on from the state before it.",
                ) from error
        raise CheckpointError("it holds no training state to go on from", where=str(self.folder))

    def _read(self, name: str) -> bytes:
        """The bytes of a file that belongs to the checkpoint, if they are the ones that were written."""
        path = self.folder / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CheckpointError(
                f"cannot be read: {error.strerror}",
                where=str(path),
                hint="The checkpoint is incomplete; copy the whole folder.",
            ) from error
        if hashlib.sha256(data).hexdigest() != self.manifest.files.get(name):
            raise CheckpointError(
                "the file was changed or cut short since it was written",
                where=str(path),
                hint="Copy the whole folder again.",
            )
        return data


def find_checkpoint(name: str) -> Checkpoint:
    """The checkpoint of this path or name: a folder, or one found in `./checkpoints` first and among the shipped ones second.

    Raises:
        CheckpointError: there is none.
    """
    for folder in (Path(name), *(root / name for root in checkpoint_roots())):
        if _is_there(folder / MANIFEST):
            return Checkpoint(folder)
    if _is_there(Path(name)) and Path(name).is_dir():
        raise CheckpointError(
            f"this folder holds no {MANIFEST}, so it is no checkpoint",
            where=name,
            hint="Give the folder that seqgen train printed.",
        )
    known = ", ".join(checkpoint.name for checkpoint in list_checkpoints())
    hint = f"At hand: {known}." if known else "Train one first: seqgen train YOUR-FILE --time 3m"
    raise CheckpointError("no such checkpoint", where=name, hint=hint)


def _is_there(path: Path) -> bool:
    """Whether there is a file or folder of this name; what can be none, too long or with a zero byte, is not."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def list_checkpoints() -> Iterator[Checkpoint]:
    """The checkpoints at hand that can be read, each one that a name means: those in `./checkpoints` first."""
    for folder in checkpoint_folders().values():
        with contextlib.suppress(SeqgenError):
            yield Checkpoint(folder)


def checkpoint_folders() -> dict[str, Path]:
    """Name -> folder. Of two of one name, the user's own counts."""
    found: dict[str, Path] = {}
    for root in checkpoint_roots():
        for path in sorted(root.glob(f"*/{MANIFEST}")):
            found.setdefault(path.parent.name, path.parent)
    return found


def shipped_folder(name: str) -> Path | None:
    """The folder of the model of this name that came with seqgen; None where none did."""
    return next((root / name for root in SHIPPED if (root / name / MANIFEST).is_file()), None)


def checkpoint_roots() -> list[Path]:
    """Where names are looked up: `./checkpoints`, then what came with seqgen."""
    return [OWN, *SHIPPED]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a `.jsonl` file; a last line that was cut short is left out."""
    records = []
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                records.append(json.loads(line))
    return records


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise CheckpointError("far too large to be what seqgen writes", where=str(path))
        data = json.loads(path.read_bytes())
        if not isinstance(data, dict) or not isinstance(data.get("format"), int):
            raise CheckpointError("not a seqgen checkpoint", where=str(path))
        if not 0 < data["format"] <= FORMAT:
            raise CheckpointError(
                f"its format is {data['format']}, and this seqgen reads up to {FORMAT}",
                where=str(path),
                hint="Install a newer seqgen.",
            )
        data = migrate(data)
        manifest = Manifest(**{**data, "recipe": Recipe.from_dict(data["recipe"])})
        _check_types(manifest)
        if manifest.recipe.corpus.kind not in MODALITIES:
            raise CheckpointError(
                f"its kind {manifest.recipe.corpus.kind!r} is unknown",
                where=str(path),
                hint="A newer seqgen may know it.",
            )
        for name in (
            manifest.weights,
            manifest.tokenizer,
            *manifest.files,
            *(name for pair in manifest.states for name in pair),
        ):
            if not re.fullmatch(r"(resume/)?[\w-]+\.\w+", name):
                raise CheckpointError(f"it names a file {name!r}, which cannot belong to it", where=str(path))
        return manifest
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except (ValueError, TypeError, KeyError, RecursionError, UsageError) as error:
        raise CheckpointError(f"damaged: {error}", where=str(path), hint="Copy the whole folder again.") from error


def _check_types(manifest: Manifest) -> None:
    """Refuses what is of another type than seqgen writes.

    Raises:
        TypeError: the first field that is.
    """
    for field_ in dataclasses.fields(Manifest):
        made = Manifest(manifest.recipe)
        if type(getattr(manifest, field_.name)) is not type(getattr(made, field_.name)):
            raise TypeError(f"{field_.name} is of the wrong type")
    texts = [manifest.corpus.get("entry", ""), manifest.corpus.get("digest", ""), *manifest.files.values()]
    pairs_are_pairs = all(isinstance(pair, list) and len(pair) == 2 for pair in manifest.states)
    if not pairs_are_pairs or not all(isinstance(text, str) for text in [*texts, *itertools.chain(*manifest.states)]):
        raise TypeError("a name is not text")
    if not re.fullmatch(r"[0-9a-f]*", manifest.corpus.get("entry", "")):
        raise TypeError("corpus.entry cannot be one of the cache's")
