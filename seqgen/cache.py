"""Prepared corpora on the disk: a folder each, written beside its place and moved there whole, that only its owner can read."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from seqgen.disk import sync_folder, sync_tree
from seqgen.errors import DataError, SeqgenError
from seqgen.folders import NATIVE, cache_folder
from seqgen.recipe import CorpusSettings, TokenizerSettings
from seqgen.splits import SPLITS, Split
from seqgen.tokenizers import DOCUMENT, TOKENIZERS, Ids, Tokenizer
from seqgen.units import BITS_PER_CHARACTER

VERSION = 8
META, BASELINES, LENGTHS = "meta.json", "baselines.json", "lengths.npy"
ORIGINS, NAMES = "origins.npy", "names.json"
DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, SeqgenError)
"""What a missing or damaged entry of the cache raises when it is opened."""
PATIENCE = 60.0
"""Seconds to wait for another process that changes entries, which takes none of them long."""
_ENTRY = re.compile(r"[0-9a-f]{32}")
"""Names of entries. The cache may be a folder that holds other things, too, which are not ours to remove."""
_MAKING, _LOCK = ".making-", ".lock"
_KNOWN = "known-models"
"""Where `seqgen.tokenizers.trials` keeps an empty file, named by a SHA-256, for each model that is harmless."""
_KNOWN_FILE = re.compile(r"[0-9a-f]{64}")
_LIBRARY = re.compile(r"[a-z]+-[0-9a-f]{32}\.(so|failed)")
_ENDING = re.compile(r"\.\w{1,10}")
_TOGETHER = 1 << 16
"""Characters of short documents that are encoded and written together."""


def clean_cache() -> tuple[int, int]:
    """Empties the cache, but for what a living process is preparing; returns how many corpora and bytes it held.

    Raises:
        DataError: another process does not let it.
    """
    root = cache_folder()
    if not root.is_dir():
        return 0, 0
    with _changing(root):
        entries = [path for path in root.glob("*") if path.is_dir() and _ENTRY.fullmatch(path.name)]
        size = sum(map(_size, entries)) + _sweep(root)
        for entry in entries:
            shutil.rmtree(entry, ignore_errors=True)
    for path in (root / _KNOWN).glob("*"):
        if _KNOWN_FILE.fullmatch(path.name):
            path.unlink(missing_ok=True)
    for path in (root / NATIVE).glob("*"):
        if _LIBRARY.fullmatch(path.name):
            path.unlink(missing_ok=True)
    for folder in (root / _KNOWN, root / NATIVE):
        with contextlib.suppress(OSError):  # there is none, or it holds something else
            folder.rmdir()
    return len(entries), size


@dataclass(frozen=True)
class Entry:
    """What an entry of the cache holds: settings, tokenizer, splits, and whatever else was noted of the corpus."""

    folder: Path
    meta: dict[str, Any]
    settings: CorpusSettings
    tokenizer_settings: TokenizerSettings
    tokenizer: Tokenizer
    splits: dict[str, Split]


def open_entry(folder: Path) -> Entry:
    """An entry of the cache; one of `DAMAGE` where there is none, or not a whole one."""
    meta = json.loads((folder / META).read_text(encoding="utf-8"))
    data = (folder / meta["tokenizer_file"]).read_bytes()
    tokenizer = TOKENIZERS[meta["tokenizer_settings"]["kind"]].from_bytes(data)
    settings = CorpusSettings(**{**meta["settings"], "sources": tuple(meta["settings"]["sources"])})
    tokenizer_settings = TokenizerSettings(**meta["tokenizer_settings"])
    np.load(folder / LENGTHS, mmap_mode="r", allow_pickle=False)  # whoever wants it finds it whole
    baselines = _read_baselines(folder)
    splits = {}
    for name in SPLITS:
        about = meta["splits"][name]
        starts = np.load(folder / f"{name}-starts.npy", allow_pickle=False)
        ids = _map(folder / f"{name}.ids", np.dtype(about["dtype"]), about["symbols"])
        splits[name] = Split(ids, starts, about["characters"], baselines[name])
    return Entry(folder, meta, settings, tokenizer_settings, tokenizer, splits)


class Origins(NamedTuple):
    """Where the documents of a training split come from.

    Attributes:
        places: of each opening: the number of its document among those learned from, from 0, the number of its source, and the
            line of it on which the document begins (see `Begins`); shape (openings, 3).
        sources: their names.
        titles: of the documents; empty: they have none.
    """

    places: Ids
    sources: list[str]
    titles: list[str]


def read_origins(folder: Path, openings: int) -> Origins | None:
    """Where the documents of an entry's training split come from; None where that was not noted, or is damaged.

    Args:
        folder: of the entry.
        openings: that the training split has.
    """
    with contextlib.suppress(OSError, EOFError, ValueError, TypeError, KeyError):
        places = np.load(folder / ORIGINS, mmap_mode="r", allow_pickle=False)
        names = json.loads((folder / NAMES).read_text(encoding="utf-8"))
        if places.shape == (openings, 3):
            return Origins(places, [*map(str, names["sources"])], [*map(str, names["titles"])])
    return None


def usual_ending(origins: Origins | None) -> str:
    """The ending that most of the sources have, such as `.py`; empty: none is known."""
    endings = Counter(PurePath(name).suffix.lower() for name in origins.sources) if origins else Counter[str]()
    return next((ending for ending, _ in endings.most_common(1) if _ENDING.fullmatch(ending)), "")


@contextlib.contextmanager
def new_part(entry: Path, name: str) -> Iterator[Path]:
    """A folder to fill, which in the end becomes a part of an entry, as a whole and in the place of one that is there.

    Args:
        entry: folder of the entry.
        name: of the part.

    Raises:
        OSError: it cannot be written.
    """
    _sweep(entry.parent)
    making = entry.parent / f"{_MAKING}{secrets.token_hex(8)}"
    with _owned(making, PATIENCE):
        (making / name).mkdir(mode=0o700, parents=True)
        yield making / name
        sync_tree(making / name)
        with _changing(entry.parent):
            damaged = entry / name
            if damaged.exists():
                damaged.replace(making / "damaged")
            (making / name).replace(entry / name)
        sync_folder(entry)


def keep_baselines(folder: Path, baselines: dict[str, dict[str, float]]) -> None:
    """Notes what the baselines need beside an entry; not being able to is no harm."""
    with contextlib.suppress(OSError):
        beside = folder / f"{BASELINES}.{os.getpid()}"
        beside.write_text(json.dumps(baselines), encoding="utf-8")
        beside.replace(folder / BASELINES)


class SplitWriter:
    """Appends the documents of one split, as ids, to a file.

    Args:
        file: to write to.
        tokenizer: of the corpus.
        copies: also write the other forms of each document that the tokenizer knows, as is good for training.
    """

    def __init__(self, file: BinaryIO, tokenizer: Tokenizer, copies: bool = False) -> None:
        self._file, self._tokenizer, self._copies = file, tokenizer, copies
        self.dtype = np.dtype(np.uint8 if tokenizer.size <= 1 << 8 else "<u2" if tokenizer.size <= 1 << 16 else "<u4")
        self._texts: list[str] = []
        self._opens: list[bool] = []
        self._waiting = 0
        self._digest = hashlib.sha256()
        self.unit = tokenizer.unit
        self.starts = array("q")
        self.forms = array("q")
        """How many forms of each document were written; stays empty without copies."""
        self.symbols = self.characters = self.distinct = 0

    def write(self, text: str, opens: bool) -> None:
        """Adds a stretch of text; `opens` where a document begins with it."""
        self._texts.append(text)
        self._opens.append(opens)
        self._waiting += len(text)
        if self._waiting >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Encodes and writes what is waiting; `starts`, `symbols` and `characters` are of all that was written then."""
        if not self._texts:
            return
        ids, counts = self._tokenizer.encode_all(self._texts)
        if self.unit == BITS_PER_CHARACTER:
            self.characters += self._waiting
            self.distinct += self._waiting
        else:
            self.distinct += self._tokenizer.count(ids)
            ids, counts = self._with_copies(ids, counts) if self._copies else (ids, counts)
            self._opens = [True] * len(counts)
            self.characters += self._tokenizer.count(ids)
        places = (np.cumsum(counts) - counts)[self._opens]
        ids = ids.astype(self.dtype, copy=False)
        ids = np.insert(ids, places, DOCUMENT) if len(places) else ids
        self.starts.frombytes((self.symbols + places + np.arange(len(places))).tobytes())
        self.symbols += len(ids)
        self._file.write(ids.data)
        self._digest.update(ids.data)
        self._texts, self._opens, self._waiting = [], [], 0

    def _with_copies(self, ids: Ids, counts: Ids) -> tuple[Ids, Ids]:
        """The same documents, each with its copies behind it."""
        each = []
        for part in np.split(ids, np.cumsum(counts)[:-1]):
            forms = [part, *self._tokenizer.copies(part)]
            self.forms.append(len(forms))
            each += forms
        return np.concatenate(each), np.array([len(form) for form in each], dtype=np.int64)

    def finish(self) -> dict[str, Any]:
        """What is to be known of the split; its data has left this process then."""
        self.flush()
        self._file.flush()
        return {"dtype": self.dtype.str, "symbols": self.symbols, "characters": self.characters, "distinct": self.distinct,
                "digest": self._digest.hexdigest()}  # fmt: skip


class EntryWriter:
    """A new entry of the cache, not visible before `commit`.

    Args:
        folder: its place.
        tokenizer: of the corpus.
        making: a folder beside it.
        files: closes what is written.
        copies: give the training split the other forms of its documents, too.
    """

    def __init__(
        self, folder: Path, tokenizer: Tokenizer, making: Path, files: contextlib.ExitStack, copies: bool
    ) -> None:
        self.folder, self.tokenizer, self._entry = folder, tokenizer, making / "entry"
        self._entry.mkdir(mode=0o700)
        self.splits = {
            name: SplitWriter(
                files.enter_context((self._entry / f"{name}.ids").open("wb")), tokenizer, copies and name == SPLITS[0]
            )
            for name in SPLITS
        }

    def commit(self, meta: dict[str, Any], lengths: Ids, origins: Origins) -> None:
        """Makes it the entry.

        Args:
            meta: what is to be noted of the corpus.
            lengths: of its documents, in what people count.
            origins: of those in the training split.
        """
        np.save(self._entry / LENGTHS, lengths)
        forms = np.frombuffer(self.splits[SPLITS[0]].forms, dtype=np.int64)
        places = np.repeat(origins.places, forms, axis=0) if len(forms) else origins.places
        np.save(self._entry / ORIGINS, places.astype(np.int32))
        names = json.dumps({"sources": origins.sources, "titles": origins.titles})
        (self._entry / NAMES).write_text(names, encoding="utf-8")
        data = self.tokenizer.to_bytes()
        name = f"tokenizer.{self.tokenizer.suffix}"
        (self._entry / name).write_bytes(data)
        splits = {name: writer.finish() for name, writer in self.splits.items()}
        for split, writer in self.splits.items():
            np.save(self._entry / f"{split}-starts.npy", np.frombuffer(writer.starts, dtype=np.int64))
        digest = hashlib.sha256(data + json.dumps([splits[name]["digest"] for name in SPLITS]).encode()).hexdigest()
        whole = {**meta, "tokenizer_file": name, "splits": splits, "digest": digest}
        (self._entry / META).write_bytes(json.dumps(whole).encode())
        # An entry that is seen is on the disk: zeros in a file of the right length would not be noticed.
        sync_tree(self._entry)
        with _changing(self.folder.parent):
            with contextlib.suppress(*DAMAGE):  # another process made the same entry just now: it may be in use
                open_entry(self.folder)
                return
            shutil.rmtree(self.folder, ignore_errors=True)
            self._entry.replace(self.folder)
        sync_folder(self.folder.parent)


@contextlib.contextmanager
def new_entry(folder: Path, tokenizer: Tokenizer, copies: bool = False) -> Iterator[EntryWriter]:
    """A new entry for this place; what is not committed in the end is gone.

    Raises:
        DataError: it cannot be written.
    """
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sweep(folder.parent)
        making = folder.parent / f"{_MAKING}{secrets.token_hex(8)}"
        with _owned(making, PATIENCE), contextlib.ExitStack() as files:
            making.mkdir(mode=0o700)  # for its owner alone
            yield EntryWriter(folder, tokenizer, making, files, copies)
    except OSError as error:
        raise DataError(
            f"the prepared corpus cannot be written: {error.strerror or error}",
            where=str(folder.parent),
            hint="Free some space there (seqgen corpus clean), or set SEQGEN_CACHE to another folder.",
        ) from error


@contextlib.contextmanager
def _owned(making: Path, patience: float) -> Iterator[None]:
    """Holds the lock of a folder in the making, whoever made it; both are gone in the end.

    The system frees the lock of a process that was killed, so that a folder whose lock is free is nobody's. The lock
    lies beside the folder and is held before that is made: there is no moment at which it only looks like nobody's.
    """
    lock = making.with_name(f"{making.name}.lock")
    with FileLock(lock, timeout=patience):
        try:
            yield
        finally:
            shutil.rmtree(making, ignore_errors=True)
            with contextlib.suppress(OSError):  # Windows removes no file that is open; there the lock removes itself
                lock.unlink()


def _sweep(root: Path) -> int:
    """Removes what preparations that were killed have left; returns its bytes."""
    size = 0
    for making in {path.with_name(path.name.removesuffix(".lock")) for path in root.glob(f"{_MAKING}*")}:
        with contextlib.suppress(OSError), _owned(making, 0):  # a Timeout is an OSError: that one is being made
            size += _size(making)
    return size


@contextlib.contextmanager
def _changing(root: Path) -> Iterator[None]:
    """Keeps other processes from installing and removing entries; what is in the way of one is no other's new entry.

    Raises:
        DataError: another process does so all the time.
    """
    # One lock for all entries, which stays: to remove the lock of an entry is a race of its own.
    lock = FileLock(root / _LOCK, timeout=PATIENCE)
    try:
        lock.acquire()
    except Timeout as error:
        raise DataError(
            "another seqgen is changing the cache and does not end",
            where=str(root),
            hint="End it, or set SEQGEN_CACHE to another folder.",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _size(folder: Path) -> int:
    """Bytes of the files in a folder; other processes may add and remove some meanwhile."""
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            size += path.stat().st_size if path.is_file() else 0
    return size


def _read_baselines(folder: Path) -> dict[str, dict[str, float]]:
    """What was noted of the baselines of each split; nothing where that is missing or damaged."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        noted = json.loads((folder / BASELINES).read_text(encoding="utf-8"))
        return {name: {model: float(bits) for model, bits in noted.get(name, {}).items()} for name in SPLITS}
    return {name: {} for name in SPLITS}


def _map(path: Path, dtype: np.dtype[Any], symbols: int) -> npt.NDArray[Any]:
    """The ids of a split; an empty file cannot be mapped."""
    if path.stat().st_size != symbols * dtype.itemsize:
        raise ValueError(f"{path} is not of the length that was noted")
    return np.memmap(path, dtype, "r") if symbols else np.zeros(0, dtype)
