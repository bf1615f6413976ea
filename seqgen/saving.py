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
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from seqgen import disk
from seqgen.checkpoint import TrainingState
from seqgen.errors import CheckpointError, UsageError
from seqgen.guarded import LARGEST_JSON
from seqgen.manifest import MANIFEST, METRICS, RESUME, TIMING, Manifest
from seqgen.tokenizers import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

LOCK = ".lock"
KEPT_STATES = 2
_OWN_FILES = re.compile(
    r"(model-\w+\.safetensors|tokenizer-\w+\.(json|model)|state-\d+-\w+\.(safetensors|json))(\.tmp)?"
    rf"|{re.escape(MANIFEST)}\.tmp"
)


class CheckpointWriter:
    """A checkpoint folder, held for writing by one training at a time.

    Args:
        folder: created if it does not exist, for its owner alone: who trains on letters need not think of it.

    Raises:
        CheckpointError: another training holds it, or it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._journals = {name: _Journal(folder / name) for name in (METRICS, TIMING)}
        try:
            for each in (folder, folder / RESUME):
                disk.make_folder(each, disk.OWNER_FOLDER)
            if (folder / RESUME).is_symlink():  # what is swept there would be another checkpoint's
                raise CheckpointError("this is a link, not a folder", where=str(folder / RESUME), hint="Remove it.")
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
                    disk.remove(self.folder / name)
                (self.folder / RESUME).rmdir()
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
            manifest: what it says; the names and hashes of the files are filled in, once they are there.
            weights: the model's tensors, and under `RECALL` what it makes of its memory, if it does.
            tokenizer: the symbols.
            state: the training state, where there is one to keep.

        Raises:
            CheckpointError: it cannot be written; the checkpoint is the one before, whole, and so is `manifest`.
        """
        new = dataclasses.replace(manifest, files=dict(manifest.files), states=list(manifest.states))
        stored: list[Path] = []
        data = b""
        try:
            disk.make_folder(self.folder / RESUME, disk.OWNER_FOLDER)  # somebody may have removed it meanwhile
            self._journals[METRICS].flush()
            with contextlib.suppress(OSError):  # clocks are not worth the work
                self._journals[TIMING].flush()
            new.weights = self._store("model-{}.safetensors", _tensor_bytes(weights), new, stored)
            new.tokenizer = self._store(f"tokenizer-{{}}.{tokenizer.suffix}", tokenizer.to_bytes(), new, stored)
            if state is not None:
                self._add_state(new, state, stored)
            belonging = {new.weights, new.tokenizer, *(name for names in new.states for name in names)}
            new.files = {name: digest for name, digest in new.files.items() if name in belonging}
            data = manifest_bytes(new)
            disk.replace_file(self.folder / MANIFEST, data, disk.OWNER)
        except OSError as error:
            self._discard(stored, data)
            raise _cannot_write(self.folder, error) from error
        for field in ("files", "states", "weights", "tokenizer"):
            setattr(manifest, field, getattr(new, field))
        self.sweep(manifest)

    def sweep(self, manifest: Manifest | None) -> None:
        """Removes what an interrupted write left behind. Only files that are named as seqgen names them are touched."""
        belonging = manifest.files if manifest else {}
        for folder in (self.folder, self.folder / RESUME):
            with contextlib.suppress(OSError):  # what is left does no harm, and is swept the next time
                for path in [*folder.iterdir()]:
                    if _OWN_FILES.fullmatch(path.name) and path.relative_to(self.folder).as_posix() not in belonging:
                        disk.remove(path)

    def append(self, name: str, record: Mapping[str, Any]) -> int:
        """Adds a line to a `.jsonl` file; returns the length in bytes that the file has with it.

        A line that cannot be written waits for the next one, or for `commit`, which fails while it cannot.
        """
        return self._journals[name].add(_json(record) + b"\n")

    def cut(self, name: str, length: int) -> None:
        """Cuts a `.jsonl` file back to the length that a training state remembers.

        Raises:
            CheckpointError: it cannot be cut.
        """
        try:
            self._journals[name].cut(length)
        except OSError as error:
            raise _cannot_write(self.folder, error) from error

    def _add_state(self, manifest: Manifest, state: TrainingState, stored: list[Path]) -> None:
        step = state.values["step"]
        names = [
            self._store(f"{RESUME}/state-{step}-{{}}.safetensors", _tensor_bytes(state.tensors), manifest, stored),
            self._store(f"{RESUME}/state-{step}-{{}}.json", _json(state.values), manifest, stored),
        ]
        kept = [other for other in manifest.states if other != names]
        manifest.states = [*kept, names][-KEPT_STATES:]

    def _store(self, pattern: str, data: bytes, manifest: Manifest, stored: list[Path]) -> str:
        """Writes a file, named by its content, unless it is there; notes it in the manifest, and in the list if it is new."""
        digest = hashlib.sha256(data).hexdigest()
        name = pattern.format(digest[:16])
        path = self.folder / name
        known = name in manifest.files
        if not _holds(path, data):
            if not known:
                stored.append(path)
            disk.replace_file(path, data, disk.OWNER)
        elif not known:  # a process that was killed has written it, perhaps not to last
            disk.sync_file(path)
        manifest.files[name] = digest
        return name

    def _discard(self, stored: list[Path], manifest: bytes) -> None:
        """Removes what a commit that failed has written, so that one after another cannot fill the disk. If the new manifest is
        in its place, and only not known to last, all that it names stays."""
        with contextlib.suppress(OSError):
            if (self.folder / MANIFEST).exists() and (self.folder / MANIFEST).read_bytes() == manifest:
                return
            for path in stored:
                disk.remove(path)


class _Journal:
    """A file of lines that only grows, and whose lines wait where they cannot be written at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting = b""
        self._length: int | None = None

    def add(self, line: bytes) -> int:
        """Adds a line, to last if it can; returns the file's length in bytes with all that waits."""
        self._waiting += line
        with contextlib.suppress(OSError):
            return self.flush()
        return self._written() + len(self._waiting)

    def flush(self) -> int:
        """Writes what waits; returns the file's length.

        Raises:
            OSError: it cannot be written; it waits on.
        """
        if self._waiting:
            self._length = disk.append(self._path, self._waiting, self._written(), disk.OWNER)
            self._waiting = b""
        return self._written()

    def cut(self, length: int) -> None:
        """Cuts it back.

        Raises:
            OSError: it cannot be cut.
        """
        disk.cut(self._path, length)
        self._length = None

    def _written(self) -> int:
        """The length up to which the file is whole."""
        if self._length is None:
            self._length = self._path.stat().st_size if self._path.exists() else 0
        return self._length


def _holds(path: Path, data: bytes) -> bool:
    """Whether this is a file of our own that holds just that."""
    with contextlib.suppress(OSError):
        return not path.is_symlink() and path.stat().st_size == len(data) and path.read_bytes() == data
    return False


def manifest_bytes(manifest: Manifest) -> bytes:
    """What `checkpoint.json` is to hold.

    Raises:
        UsageError: it is more than will be read; nothing else in it grows without end than the names of sources.
    """
    data = _json({**dataclasses.asdict(manifest), "recipe": manifest.recipe.to_dict()}, indent=2)
    if len(data) > LARGEST_JSON // 2:  # of which the files, the figures and the schedule may take the rest
        raise UsageError(
            f"{len(manifest.recipe.corpus.sources):,} files are too many to be named one by one",
            hint="Name their folder, or put the pattern in quotation marks.",
        )
    return data


def is_leftover(path: Path) -> bool:
    """Whether a training that was killed before its first save may have left this in its folder."""
    unsaved = not (path.parent / MANIFEST).exists()
    return path.name in (LOCK, RESUME) or (unsaved and _OWN_FILES.fullmatch(path.name) is not None)


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
