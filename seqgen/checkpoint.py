"""One folder holds all that a trained model is: weights, recipe, tokenizer, metrics. What is in it, and its only reader.

Nothing in it is code: weights are safetensors, the rest is JSON. `saving.py` writes it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqgen.errors import CheckpointError, SeqgenError
from seqgen.guarded import LARGEST_JSON, LinkError, check_folder, load_json, read_file
from seqgen.manifest import MANIFEST, METRICS, RESUME, read_manifest, short
from seqgen.migrations import SETTLED, WITH_REPEATS
from seqgen.modalities import MODALITIES
from seqgen.recipe import Recipe
from seqgen.tensor_files import CHANGED, FLOATING, TensorFile
from seqgen.tokenizers import TOKENIZERS, Tokenizer, alphabet_of

if TYPE_CHECKING:  # torch is imported where tensors are touched, so that `seqgen list` need not wait for it
    from torch import Tensor

    from seqgen.models import Model

RECALL = "recall"
OWN = Path("checkpoints")
"""Where trainings write."""
_PACKAGE = Path(__file__).parent
SHIPPED = (_PACKAGE / "shipped", _PACKAGE.parent / "checkpoints" / "shipped")
"""Where the models lie that came with seqgen: in an installed package, in a checkout. Nothing is written there."""
LARGEST_TOKENIZER = 16 << 20
"""Bytes."""
LARGEST_WEIGHT = 1e6
"""Far beyond what training comes to; the sums of larger ones might not be finite."""
WITHOUT_LINKS = "Copy the folder with what its links lead to: cp -RL FOLDER COPY"
NOT_OF_RECIPE = "the weights are not of the shape that the recipe says"


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
        self._links = self.is_shipped  # as some installers of packages make them
        if not self._links:
            self._check_place(alone=False)
        self.manifest = read_manifest(folder, self._links)

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
        try:
            return TOKENIZERS[kind].from_bytes(self._read(self.manifest.tokenizer, LARGEST_TOKENIZER))
        except (ValueError, OverflowError) as error:
            where = str(self.folder / self.manifest.tokenizer)
            raise CheckpointError(
                f"not a tokenizer of kind {kind}: {short(error)}", where=where, hint=self._remedy()
            ) from error

    def load_model(self, tokenizer: Tokenizer, device: str = "cpu") -> Model:
        """The trained network in evaluation mode, its file verified before anything is allocated.

        Args:
            tokenizer: the checkpoint's own.
            device: where the weights go.
        """
        import torch

        from seqgen.models import MODELS
        from seqgen.models.recall import EARLIER_SHAPE, TABLE_SHAPE, with_all_slots

        self._check_network()
        with self._tensors(self.manifest.weights) as file:
            if self.recipe.model.layers > len(file.entries):
                raise self._misshapen()  # and a network of so many is not even begun
            with torch.device("meta"):
                model = MODELS[self.manifest.model](alphabet_of(tokenizer), self.recipe.model)
            wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
            shapes = {name: entry.shape for name, entry in file.entries.items()}
            recalled = TABLE_SHAPE if self.manifest.format >= WITH_REPEATS else EARLIER_SHAPE
            if shapes not in (wanted, {**wanted, RECALL: recalled}):
                raise self._misshapen()
            if any(entry.dtype not in FLOATING for entry in file.entries.values()):
                raise ValueError(f"the weights are of none of the types {', '.join(FLOATING)}")
            weights = file.read(self.manifest.files.get(self.manifest.weights))
            weights = {name: tensor.float() for name, tensor in weights.items()}
            if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
                raise ValueError("the weights hold numbers that are not finite")
            if any(float(tensor.abs().amax()) > LARGEST_WEIGHT for tensor in weights.values() if tensor.numel()):
                raise ValueError("the weights hold numbers far beyond what training comes to")
        recall = weights.pop(RECALL, None)
        model.load_state_dict(weights, assign=True)
        model.recall = None if recall is None else with_all_slots(recall).to(device)
        return model.to(device).requires_grad_(False).eval()

    def _misshapen(self) -> CheckpointError:
        """The weights are not of the shape that the recipe says."""
        return CheckpointError(NOT_OF_RECIPE, where=str(self.folder / self.manifest.weights), hint=self._remedy())

    def _remedy(self) -> str:
        """What to do where weights or symbols are not what this seqgen makes of the recipe."""
        if self.manifest.format >= SETTLED:
            return "Train or copy it again."
        before = f"It is of format {self.manifest.format}, from before networks and symbols were settled"
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
        with self._tensors(self.manifest.weights) as file:
            return sum(entry.numbers for name, entry in file.entries.items() if name != RECALL)

    def training_state(self) -> TrainingState:
        """The newest training state; where its files were removed, the one before.

        Raises:
            CheckpointError: there is none, or the newest is damaged.
        """
        for tensors, values in reversed(self.manifest.states):
            if not ((self.folder / tensors).is_file() and (self.folder / values).is_file()):
                continue
            try:
                with self._tensors(tensors) as file:
                    found = file.read(self.manifest.files.get(tensors))
                    counters = load_json(self._read(values, LARGEST_JSON), finite=False)
                    if not isinstance(counters, dict) or type(counters.get("step")) is not int:
                        raise ValueError("it does not say its step")
                _bound_length(counters, self.folder / METRICS)
                return TrainingState(found, counters)
            except (CheckpointError, ValueError) as error:
                raise CheckpointError(
                    f"the newest training state is damaged: {error.what if isinstance(error, CheckpointError) else error}",
                    where=str(self.folder / tensors),
                    hint="The model itself can still be used. Remove this file to go on from the state before it.",
                ) from error
        raise CheckpointError("it holds no training state to go on from", where=str(self.folder))

    def check_place(self) -> None:
        """Refuses to be written into where something in the folder is a link, or what else would lead a writer astray.

        Raises:
            CheckpointError: what it is.
        """
        self._check_place(alone=True)

    def _check_place(self, alone: bool) -> None:
        for each in (self.folder, self.folder / RESUME):
            try:
                check_folder(each, alone)
            except OSError as error:
                if each == self.folder or not isinstance(error, FileNotFoundError):
                    raise CheckpointError(f"cannot be read: {error.strerror}", where=str(each)) from error
            except ValueError as error:
                raise CheckpointError(str(error), where=str(each), hint=WITHOUT_LINKS) from error

    @contextlib.contextmanager
    def _tensors(self, name: str) -> Iterator[TensorFile]:
        """A file of tensors, open; what is wrong with it, also while it is used, becomes an error of this checkpoint."""
        with _refused(self.folder / name), TensorFile(self.folder, name, self._links) as file:
            yield file

    def _read(self, name: str, most: int) -> bytes:
        """The bytes of a file that belongs to the checkpoint, if they are the ones that were written."""
        with _refused(self.folder / name):
            data = read_file(self.folder, name, most, self._links)
            if hashlib.sha256(data).hexdigest() != self.manifest.files.get(name):
                raise ValueError(CHANGED)
            return data


@contextlib.contextmanager
def _refused(path: Path) -> Iterator[None]:
    """What reading a file raises becomes an error that names it."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"cannot be read: {error.strerror}",
            where=str(path),
            hint="The checkpoint is incomplete; copy the whole folder.",
        ) from error
    except LinkError as error:
        raise CheckpointError(str(error), where=str(path), hint=WITHOUT_LINKS) from error
    except ValueError as error:
        raise CheckpointError(short(error), where=str(path), hint="Copy the whole folder again.") from error


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


def _bound_length(counters: dict[str, Any], path: Path) -> None:
    """Lets a state remember no more of a file than there is: it would be made that long."""
    length = counters.get("metrics_length")
    if isinstance(length, int) and path.is_file():
        counters["metrics_length"] = min(length, path.stat().st_size)
