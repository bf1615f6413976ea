"""Documents -> ids -> splits. The ids live in a memory-mapped cache that only its owner can read."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import platformdirs

from seqgen.baselines import bits_per_character
from seqgen.errors import DataError, SeqgenError, UsageError
from seqgen.modalities import MODALITIES
from seqgen.reading import LeftOut, Source, check_encoding, find_sources, guess, read_documents, without_folders
from seqgen.recipe import CorpusSettings, Overrides, TokenizerSettings
from seqgen.splits import SPLITS, Piece, Split, plan_split
from seqgen.tokenizers import DOCUMENT, TOKENIZERS, Ids, Tokenizer

CACHE_VERSION = 2
_ENTRY = re.compile(r"[0-9a-f]{32}|\.making-.*")
"""Names in the cache folder that are ours: it may be a folder that holds other things, too."""
_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, SeqgenError)
"""What a missing or damaged entry of the cache raises when it is opened."""
Encoded = tuple[npt.NDArray[Any], Ids, int]
"""Ids, starts of documents, characters."""


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus: its settings with every guess resolved, its tokenizer, and the ids of its splits."""

    settings: CorpusSettings
    tokenizer_settings: TokenizerSettings
    tokenizer: Tokenizer
    splits: dict[str, Split]
    left_out: dict[str, list[str]]
    split_by: str
    documents: int
    digest: str
    folder: Path
    fresh: bool
    """Prepared just now, not found in the cache."""

    @property
    def characters(self) -> int:
        """Characters in all splits together."""
        return sum(split.characters for split in self.splits.values())


def cache_folder() -> Path:
    """Where prepared corpora are kept: `$SEQGEN_CACHE`, or the system's folder for caches."""
    return Path(os.environ.get("SEQGEN_CACHE") or platformdirs.user_cache_dir("seqgen", appauthor=False))


def reopen(settings: CorpusSettings, tokenizer: TokenizerSettings, entry: str, digest: str) -> Corpus:
    """The very corpus that a run was trained on: from the cache, or prepared again from its sources.

    Args:
        settings: resolved, from the run's recipe.
        tokenizer: likewise.
        entry: its name in the cache.
        digest: what its ids must hash to.

    Raises:
        DataError: it is gone or has changed.
    """
    with contextlib.suppress(*_DAMAGE):
        corpus = _open(cache_folder() / entry, fresh=False)
        if corpus.digest == digest:
            return corpus
    if "-" in settings.sources:
        raise DataError(
            "this corpus came from standard input and is no longer in the cache", hint="Pipe it into a new training."
        )
    corpus = prepare({"corpus": vars(settings), "tokenizer": vars(tokenizer)})
    if corpus.digest != digest:
        raise DataError(
            "the corpus has changed since this training began",
            where=", ".join(settings.sources),
            hint="Bring back the old files, or train anew under another --name.",
        )
    return corpus


def read_split(
    sources: tuple[str, ...], settings: CorpusSettings, tokenizer: Tokenizer, learned: Split | None
) -> Split:
    """Other text, encoded whole with the tokenizer of a trained model, so that the model can be evaluated on it.

    Args:
        sources: files, folders, globs or names of cards.
        settings: of the corpus that the model was trained on.
        tokenizer: of the model.
        learned: the model's training split, for the baselines; None where it is not at hand.

    Raises:
        DataError: there is no text.
    """
    left_out = LeftOut()
    found, card = find_sources(sources, left_out)
    _, documents = guess(found, settings.kind, card, settings.encoding)
    found = without_folders(found, MODALITIES[settings.kind], left_out)
    texts = _Texts(found, replace(settings, sources=sources, documents=documents), left_out)
    pieces = [Piece(index, 0, length, "all") for index, (length, _) in enumerate(texts.measure())]
    ids, starts, characters = _encode(texts.pieces(pieces, "all"), tokenizer)
    simple = bits_per_character(learned.ids, ids, tokenizer.size, characters) if learned else {}
    return Split(ids, starts, characters, simple)


def summarize(corpus: Corpus) -> dict[str, Any]:
    """What a corpus holds, as plain data; the alphabet is sorted by frequency."""
    counts = np.sum(
        [np.bincount(split.ids, minlength=corpus.tokenizer.size) for split in corpus.splits.values()], axis=0
    )
    by_frequency = np.argsort(-counts, kind="stable")
    texts = {int(symbol): corpus.tokenizer.decode([int(symbol)]) for symbol in by_frequency if counts[symbol] > 0}
    alphabet = [text for symbol, text in texts.items() if corpus.tokenizer.encode(text).tolist() == [symbol]]
    return {
        "kind": corpus.settings.kind,
        "documents_are": corpus.settings.documents,
        "documents": corpus.documents,
        "characters": corpus.characters,
        "split_by": corpus.split_by,
        "alphabet": "".join(alphabet),
        "splits": {
            name: {
                "documents": len(split.starts),
                "characters": split.characters,
                "symbols": len(split),
                "baselines": split.baselines,
            }
            for name, split in corpus.splits.items()
        },
    }


def clean_cache() -> tuple[int, int]:
    """Empties the cache; returns how many corpora and bytes it held."""
    root = cache_folder()
    entries = [path for path in root.glob("*") if path.is_dir() and _ENTRY.fullmatch(path.name)]
    size = sum(path.stat().st_size for entry in entries for path in entry.rglob("*") if path.is_file())
    for entry in entries:
        shutil.rmtree(entry, ignore_errors=True)
    return len(entries), size


def prepare(overrides: Overrides) -> Corpus:
    """Finds the corpus in the cache, or reads, splits and tokenizes it.

    Args:
        overrides: `corpus.sources` and whatever else of the sections corpus and tokenizer is set; the rest is guessed.

    Raises:
        DataError: the corpus cannot be used.
    """
    asked = overrides.get("corpus", {})
    left_out = LeftOut()
    check_encoding(asked.get("encoding", "utf-8"))
    if (kind := asked.get("kind")) is not None and kind not in MODALITIES:
        raise UsageError(f"there is no kind {kind!r} of corpus", hint=f"There are: {', '.join(MODALITIES)}.")
    tokenizer_settings = TokenizerSettings(**overrides.get("tokenizer", {}))
    tokenizer_class = _tokenizer_class(tokenizer_settings.kind)
    sources, card = find_sources(tuple(asked.get("sources", ())), left_out)
    folder = cache_folder() / _cache_key(sources, asked, tokenizer_settings)
    with contextlib.suppress(*_DAMAGE):  # made anew
        return _open(folder, fresh=False)

    kind, documents = guess(sources, kind, card, asked.get("encoding", "utf-8"))
    resolved = {**asked, "kind": kind, "documents": asked.get("documents", documents)}
    resolved["sources"] = tuple(map(absolute_source, asked.get("sources", ())))
    settings = CorpusSettings(**resolved)
    sources = without_folders(sources, MODALITIES[kind], left_out)
    texts = _Texts(sources, settings, left_out)
    measured = texts.measure()
    pieces, split_by = plan_split(measured, settings.shares)
    tokenizer = tokenizer_class.build(texts.pieces(pieces, "train"), tokenizer_settings)
    meta = {"settings": vars(settings), "tokenizer_settings": vars(tokenizer_settings), "tokenizer": tokenizer.to_json(),
            "left_out": left_out.names, "split_by": split_by, "documents": len(measured)}  # fmt: skip
    encoded = {name: _encode(texts.pieces(pieces, name), tokenizer) for name in SPLITS}
    meta["baselines"] = {name: _baselines(encoded, name, tokenizer.size) for name in ("valid", "test")}
    _write(folder, encoded, meta)
    return _open(folder, fresh=True)


class _Texts:
    """The documents of a corpus, read again at each pass so that they need not be held in memory."""

    def __init__(self, sources: list[Source], settings: CorpusSettings, left_out: LeftOut) -> None:
        self.sources, self.settings, self.left_out = sources, settings, left_out

    def measure(self) -> list[tuple[int, bytes]]:
        """Length in characters and hash of each document; counts what is left out."""
        measured = [(len(text), _hash(text)) for text in self._read(self.left_out)]
        if sum(length for length, _ in measured) == 0:
            names = ", ".join(self.settings.sources)
            reasons = "; ".join(f"{len(files)} {reason}" for reason, files in self.left_out.names.items())
            raise DataError(
                "no text in it" + (f" (left out: {reasons})" if reasons else ""),
                where=names,
                hint="Point at a file or folder of text, or say what it is with --kind text or --kind code.",
            )
        return measured

    def pieces(self, pieces: list[Piece], split: str) -> Iterator[str]:
        """The texts of one split, in the order of the documents."""
        wanted: dict[int, list[Piece]] = {}
        for piece in pieces:
            if piece.split == split:
                wanted.setdefault(piece.document, []).append(piece)
        for index, text in enumerate(self._read(LeftOut())):
            for piece in wanted.get(index, ()):
                yield text[piece.start : piece.stop]

    def _read(self, left_out: LeftOut) -> Iterator[str]:
        modality = MODALITIES[self.settings.kind]
        return read_documents(self.sources, modality, self.settings.documents, self.settings.encoding, left_out)


def _encode(texts: Iterator[str], tokenizer: Tokenizer) -> Encoded:
    """Ids with document symbols, the documents' starts, and the number of characters."""
    dtype = np.uint8 if tokenizer.size <= 1 << 8 else np.uint16 if tokenizer.size <= 1 << 16 else np.uint32
    parts, starts, characters, position = [np.zeros(0, dtype=dtype)], [], 0, 0
    opening = np.array([DOCUMENT], dtype=dtype)
    for text in texts:
        ids = tokenizer.encode(text).astype(dtype)
        parts += [opening, ids]
        starts.append(position)
        position += 1 + len(ids)
        characters += len(text)
    return np.concatenate(parts), np.array(starts, dtype=np.int64), characters


def _baselines(encoded: dict[str, Encoded], name: str, size: int) -> dict[str, float]:
    (learned, _, _), (ids, _, characters) = encoded["train"], encoded[name]
    return bits_per_character(learned, ids, size, characters) if len(ids) > 1 else {}


def _write(folder: Path, encoded: dict[str, Encoded], meta: dict[str, Any]) -> None:
    """Writes the entry beside its place and moves it there whole."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".making-") as made:  # created for its owner alone
            entry = Path(made) / "entry"
            entry.mkdir(mode=0o700)
            digest = hashlib.sha256(json.dumps(meta["tokenizer"]).encode())
            for name, (ids, starts, _) in encoded.items():
                np.save(entry / f"{name}.npy", ids)
                np.save(entry / f"{name}-starts.npy", starts)
                digest.update(ids.tobytes() + name.encode())
            meta = {
                **meta,
                "digest": digest.hexdigest(),
                "characters": {name: count for name, (_, _, count) in encoded.items()},
            }
            (entry / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
            with contextlib.suppress(*_DAMAGE):  # another process made the same entry just now: it may be in use
                _open(folder, fresh=False)
                return
            shutil.rmtree(folder, ignore_errors=True)
            entry.replace(folder)
    except OSError as error:
        raise DataError(
            f"the prepared corpus cannot be written: {error.strerror or error}",
            where=str(folder.parent),
            hint="Free some space there (seqgen corpus clean), or set SEQGEN_CACHE to another folder.",
        ) from error


def _open(folder: Path, fresh: bool) -> Corpus:
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    splits = {}
    for name in SPLITS:
        path = folder / f"{name}.npy"
        ids = np.load(path, mmap_mode="r", allow_pickle=False)
        splits[name] = Split(
            ids,
            np.load(folder / f"{name}-starts.npy", allow_pickle=False),
            meta["characters"][name],
            meta["baselines"].get(name, {}),
        )
    tokenizer_settings = TokenizerSettings(**meta["tokenizer_settings"])
    return Corpus(
        settings=CorpusSettings(**{**meta["settings"], "sources": tuple(meta["settings"]["sources"])}),
        tokenizer_settings=tokenizer_settings,
        tokenizer=TOKENIZERS[tokenizer_settings.kind].from_json(meta["tokenizer"]),
        splits=splits,
        left_out=meta["left_out"],
        split_by=meta["split_by"],
        documents=meta["documents"],
        digest=meta["digest"],
        folder=folder,
        fresh=fresh,
    )


def _cache_key(sources: list[Source], asked: dict[str, Any], tokenizer: TokenizerSettings) -> str:
    wanted = {name: value for name, value in asked.items() if name != "sources"}
    text = json.dumps([CACHE_VERSION, [source.stamp() for source in sources], wanted, vars(tokenizer)], sort_keys=True)
    return _hash(text).hex()[:32]


def absolute_source(name: str) -> str:
    """A path or glob that means the same from every folder; the name of a card and `-` stay as they are."""
    is_path = name != "-" and (Path(name).exists() or glob.has_magic(name))
    return str(Path(name).absolute()) if is_path else name


def _tokenizer_class(kind: str) -> type[Tokenizer]:
    if kind not in TOKENIZERS:
        raise UsageError(f"there is no tokenizer {kind!r}", hint=f"There are: {', '.join(TOKENIZERS)}.")
    return TOKENIZERS[kind]


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
