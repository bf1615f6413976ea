"""The only writer of a checkpoint folder.

New files get new names (with a hash of their content), are written and synced, and only then is ``checkpoint.json``
replaced by rename: the one commit point. A power cut at any moment leaves the old set or the new one, whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from seqgen.checkpoint import MANIFEST, METRICS, TIMING, Manifest, TrainingState
from seqgen.disk import replace_file
from seqgen.errors import CheckpointError
from seqgen.tokenizers import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

LOCK = ".lock"
KEPT_STATES = 2
_OWN_FILES = re.compile(
    r"(model-\w+\.safetensors|tokenizer-\w+\.(json|model)|state-\d+-\w+\.(safetensors|json)|.*\.tmp)"
)


class CheckpointWriter:
    """A checkpoint folder, held for writing by one training at a time.

    Args:
        folder: created if it does not exist.

    Raises:
        CheckpointError: another training holds it, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            (folder / "resume").mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / LOCK)
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise CheckpointError(
                "another training is writing into this folder",
                where=str(folder),
                hint="Wait for it, or choose another --name.",
            ) from error
        except OSError as error:
            raise _cannot_write(folder, error) from error

    def close(self) -> None:
        """Lets another training have the folder; one in which nothing was ever saved is removed."""
        if not (self.folder / MANIFEST).exists():
            with contextlib.suppress(OSError):
                self.sweep(None)
                for name in (METRICS, TIMING, LOCK):
                    (self.folder / name).unlink(missing_ok=True)
                (self.folder / "resume").rmdir()
                self.folder.rmdir()
        self._lock.release()

    def commit(
        self,
        manifest: Manifest,
        weights: Mapping[str, Tensor],
        tokenizer: Tokenizer,
        state: TrainingState | None = None,
    ) -> None:
        """Writes what is new and makes it the checkpoint, all at once.

        Args:
            manifest: what it says; the names and hashes of the files are filled in.
            weights: the model's tensors, and under `RECALL` what it makes of its memory, if it does.
            tokenizer: the symbols.
            state: the training state, where there is one to keep.
        """
        try:
            weights_data = _tensor_bytes(weights)
            manifest.files = {name: manifest.files[name] for names in manifest.states for name in names}
            manifest.weights = self._store("model-{}.safetensors", weights_data, manifest)
            manifest.tokenizer = self._store(f"tokenizer-{{}}.{tokenizer.suffix}", tokenizer.to_bytes(), manifest)
            if state is not None:
                self._add_state(manifest, state)
            replace_file(
                self.folder / MANIFEST,
                _json({**dataclasses.asdict(manifest), "recipe": manifest.recipe.to_dict()}, indent=2),
            )
            self.sweep(manifest)
        except OSError as error:
            raise _cannot_write(self.folder, error) from error

    def sweep(self, manifest: Manifest | None) -> None:
        """Removes what an interrupted write left behind. Only files that are named as seqgen names them are touched."""
        belonging = manifest.files if manifest else {}
        for folder in (self.folder, self.folder / "resume"):
            for path in folder.iterdir():
                if _OWN_FILES.fullmatch(path.name) and str(path.relative_to(self.folder).as_posix()) not in belonging:
                    path.unlink(missing_ok=True)

    def append(self, name: str, record: Mapping[str, Any]) -> int:
        """Adds a line to a `.jsonl` file, synced; returns the file's new length in bytes."""
        try:
            with (self.folder / name).open("ab") as file:
                file.write(_json(record) + b"\n")
                file.flush()
                os.fsync(file.fileno())
                return file.tell()
        except OSError as error:
            raise _cannot_write(self.folder, error) from error

    def cut(self, name: str, length: int) -> None:
        """Cuts a `.jsonl` file back to the length that a training state remembers."""
        path = self.folder / name
        with contextlib.suppress(FileNotFoundError):
            os.truncate(path, length)

    def _add_state(self, manifest: Manifest, state: TrainingState) -> None:
        step = state.values["step"]
        names = [
            self._store(f"resume/state-{step}-{{}}.safetensors", _tensor_bytes(state.tensors), manifest),
            self._store(f"resume/state-{step}-{{}}.json", _json(state.values), manifest),
        ]
        kept = [other for other in manifest.states if other != names]
        manifest.states = [*kept, names][-KEPT_STATES:]
        belonging = {manifest.weights, manifest.tokenizer, *(name for pair in manifest.states for name in pair)}
        manifest.files = {name: digest for name, digest in manifest.files.items() if name in belonging}

    def _store(self, pattern: str, data: bytes, manifest: Manifest) -> str:
        digest = hashlib.sha256(data).hexdigest()
        name = pattern.format(digest[:16])
        path = self.folder / name
        if not (
            path.is_file()
            and path.stat().st_size == len(data)
            and hashlib.sha256(path.read_bytes()).hexdigest() == digest
        ):
            replace_file(path, data)
        manifest.files[name] = digest
        return name


def new_folder(name: str) -> Path:
    """`checkpoints/NAME`, or the first of `NAME-2`, `NAME-3`... that is free."""
    root, number = Path("checkpoints"), 1
    while (folder := root / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def _tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    from safetensors.torch import save

    return save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})


def _json(value: Any, indent: int | None = None) -> bytes:
    return json.dumps(value, indent=indent, default=str).encode()


def _cannot_write(folder: Path, error: OSError) -> CheckpointError:
    advice = "Free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Check the folder's permissions"
    saved = (folder / MANIFEST).exists()
    before = "What was saved before is whole, and --resume goes on from it." if saved else "Nothing was saved."
    return CheckpointError(
        f"cannot be written: {error.strerror or error}",
        where=str(folder),
        hint=f"{advice}, or choose another --out. {before}",
    )
