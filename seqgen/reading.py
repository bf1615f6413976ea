"""Paths, globs, cards and standard input -> documents. What is left out is counted and named, never silent."""

from __future__ import annotations

import codecs
import glob
import hashlib
import importlib
import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from seqgen.cards import Card, card_names, load_card
from seqgen.errors import DataError, UsageError
from seqgen.modalities import MODALITIES, Modality, guess_kind

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_BINARY_PROBE = 1 << 16
_NOT_REGULAR = "not a regular file"


@dataclass(frozen=True)
class Source:
    """One text to read: a file, or a text that is already here (standard input, a card's entry)."""

    name: str
    path: Path | None = None
    data: bytes | None = None
    root: Path | None = None
    """The folder that the user named, where the file was found in one."""
    asked_for: bool = False
    """Named by the user, so that it may not be left out in silence: an unusable one is an error."""

    def stamp(self) -> str:
        """What the cache knows the source by: path, size and time of a file, the hash of other data."""
        if self.path is None:
            return f"{self.name}:{hashlib.sha256(self.data or b'').hexdigest()}"
        status = self.path.stat()
        return f"{self.path}:{status.st_size}:{status.st_mtime_ns}"

    def read(self) -> bytes:
        """The bytes of the source; OSError where the file cannot be read."""
        return self.data if self.path is None else self.path.read_bytes()  # type: ignore[return-value]


@dataclass
class LeftOut:
    """Why what was left out: reason -> names."""

    names: dict[str, list[str]] = field(default_factory=dict)
    _seen: set[tuple[str, str]] = field(default_factory=set, repr=False)

    def add(self, name: str, reason: str) -> None:
        """Counts one file or folder, once however often it is found."""
        if (name, reason) not in self._seen:
            self._seen.add((name, reason))
            self.names.setdefault(reason, []).append(name)


def find_sources(corpora: tuple[str, ...], left_out: LeftOut) -> tuple[list[Source], Card | None]:
    """What the arguments of the user name, in a fixed order; the card, where one of them is a card's name.

    Raises:
        DataError: nothing of that name, or standard input is empty.
    """
    sources: list[Source] = []
    card = None
    for name in corpora:
        if name == "-":
            sources.append(Source("standard input", data=sys.stdin.buffer.read(), asked_for=True))
        elif _exists(name):
            sources += _walk(Path(name), left_out) if _is_folder(Path(name)) else [_named_file(Path(name))]
        elif glob.has_magic(name) and (found := sorted(glob.glob(name, recursive=True))):
            sources += _matches(found, left_out)
        elif name in card_names():
            card = load_card(name)
            sources += _card_sources(card, left_out)
        else:
            raise DataError(
                "no such file, folder or corpus card",
                where=name,
                hint=f"Give a path, a glob in quotes, - for standard input, or a card: {', '.join(card_names())}.",
            )
    unique: dict[Path | int, Source] = {}
    for index, source in enumerate(sources):
        if source.asked_for or source.path not in unique:
            unique[source.path or index] = source
    return list(unique.values()), card


def without_folders(sources: list[Source], modality: Modality, left_out: LeftOut) -> list[Source]:
    """The sources that lie in no folder that this kind of corpus leaves out."""
    kept = []
    for source in sources:
        inside = source.path.relative_to(source.root).parents if source.path and source.root else ()
        for folder in list(inside)[-2::-1]:  # from the outermost
            if reason := modality.skip_folder(folder):
                left_out.add(str(source.root / folder) if source.root else str(folder), reason)
                break
        else:
            kept.append(source)
    return kept


def read_documents(
    sources: list[Source], modality: Modality, documents: str, encoding: str, left_out: LeftOut
) -> Iterator[str]:
    """The documents of all sources, in order. What is left out is added to `left_out`.

    Raises:
        DataError: a source that the user named cannot be used (with the byte where it stops being text).
    """
    for source in sources:
        text = _read_text(source, encoding, left_out)
        if text is None:
            continue
        if not source.asked_for and (reason := modality.skip_file(PurePath(source.name), text)):
            left_out.add(source.name, reason)
            continue
        yield from cut(text, documents)


def cut(text: str, documents: str) -> list[str]:
    """A file's text as documents; empty ones are dropped."""
    if documents == "file":
        parts = [text]
    elif documents == "line":
        parts = text.split("\n")
    elif documents == "blank-line":
        parts = [part.strip("\n") for part in re.split(r"\n[ \t]*\n", text)]
    else:
        parts = text.split(documents.replace("\\n", "\n").replace("\\t", "\t"))
    return [part for part in parts if part.strip()] if documents != "file" else [part for part in parts if part]


def guess(sources: list[Source], kind: str | None, card: Card | None, encoding: str) -> tuple[str, str]:
    """The kind and the `documents` setting that suit the sources."""
    if card is not None and all(source.name.startswith(f"{card.name}:") for source in sources):
        return kind or card.kind, card.documents
    written = sources  # by people: an environment beside a few notes does not make them code
    for modality in MODALITIES.values():
        written = without_folders(written, modality, LeftOut())
    kind = kind or guess_kind(PurePath(source.name) for source in written or sources)
    sources = without_folders(sources, MODALITIES[kind], LeftOut())
    step = max(1, len(sources) // 50)
    texts = [text for source in sources[::step] if (text := _read_text(source, encoding, LeftOut())) is not None]
    return kind, MODALITIES[kind].guess_documents(texts)


def decode(data: bytes, encoding: str, name: str) -> str:
    """Text from bytes: a byte order mark overrules the encoding, line ends become line feeds.

    Raises:
        DataError: the bytes are binary or not of that encoding, with the place of the first that is not.
    """
    mark = next((mark for mark in sorted(_MARKS, key=len, reverse=True) if data.startswith(mark)), b"")
    if mark:
        encoding, data = (_MARKS[mark], data) if _MARKS[mark] != "utf-8" else ("utf-8", data[len(mark) :])
    wide = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
    dropped = len(mark) if mark == codecs.BOM_UTF8 else 0
    if not wide and (nul := data.find(b"\0", 0, _BINARY_PROBE)) >= 0:
        raise DataError(
            f"this is a binary file, not text (a zero byte at byte {dropped + nul})",
            where=name,
            hint="Convert it to text first.",
        )
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"not {encoding} at byte {dropped + error.start} (0x{data[error.start]:02x})",
            where=name,
            hint="Name the encoding that it has, for example --encoding latin-1 or --encoding cp1252.",
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def check_encoding(encoding: str) -> None:
    """Refuses a text encoding that Python does not know.

    Raises:
        UsageError: it is unknown.
    """
    try:
        "a".encode(encoding)  # of an empty text Python does not look at the name
    except (LookupError, ValueError) as error:
        raise UsageError(
            f"there is no text encoding {encoding!r}",
            hint="Common ones: utf-8, latin-1, cp1252, utf-16, shift_jis, gb18030.",
        ) from error


def _read_text(source: Source, encoding: str, left_out: LeftOut) -> str | None:
    try:
        return decode(source.read(), encoding, source.name)
    except DataError as error:
        if source.asked_for:
            raise
        left_out.add(source.name, "binary" if "binary" in error.what else f"not {encoding}")
    except OSError as error:
        if source.asked_for:
            raise DataError(
                f"cannot be read: {error.strerror}", where=source.name, hint="Check the path and its permissions."
            ) from error
        left_out.add(source.name, f"cannot be read: {error.strerror}")
    return None


def _exists(name: str) -> bool:
    """Whether there is such a path, as far as can be told."""
    try:
        return name != "" and Path(name).exists()  # an empty path would be the folder where we are
    except PermissionError:
        return True  # reading it says what is wrong
    except OSError:
        return False  # a name that is too long, say


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _matches(found: list[str], left_out: LeftOut) -> list[Source]:
    """What a glob has found. A pipe among it was not named by anybody: waiting for it could take for ever."""
    sources: list[Source] = []
    for path in map(Path, found):
        if _is_folder(path):
            sources += _walk(path, left_out)
        elif _unusable(path) == _NOT_REGULAR:
            left_out.add(str(path.absolute()), _NOT_REGULAR)
        else:
            sources.append(_named_file(path))
    return sources


def _named_file(path: Path) -> Source:
    """A file that the user named; a pipe is read at once, since it can be read only once."""
    absolute = path.absolute()
    try:
        if stat.S_ISREG(absolute.stat().st_mode):
            return Source(str(path), absolute, asked_for=True)
        return Source(str(path), data=absolute.read_bytes(), asked_for=True)
    except OSError as error:
        raise DataError(
            f"cannot be read: {error.strerror}", where=str(path), hint="Check the path and its permissions."
        ) from error


def _walk(
    folder: Path, left_out: LeftOut, suffixes: tuple[str, ...] = (), exclude: frozenset[str] = frozenset()
) -> list[Source]:
    """The regular files under a folder, sorted; links to folders are not followed, so there is no loop."""
    found: list[Source] = []

    def unreadable(error: OSError) -> None:
        left_out.add(str(error.filename), f"cannot be read: {error.strerror}")

    for root, folders, files in os.walk(folder.absolute(), onerror=unreadable):
        kept = []
        for name in sorted(folders):
            path = Path(root, name)
            if _is_checkpoint(path):
                left_out.add(str(path), "seqgen checkpoint")
            elif name in exclude:
                left_out.add(str(path), "excluded by the card")
            elif all(reasons := [modality.skip_folder(path) for modality in MODALITIES.values()]):
                left_out.add(str(path), reasons[-1] or "")  # of no kind; what one kind leaves out waits for the guess
            elif _is_link(path):
                left_out.add(str(path), "link to a folder")
            else:
                kept.append(name)
        folders[:] = kept
        for name in sorted(files):
            path = Path(root, name)
            if reason := _unusable(path):
                left_out.add(str(path), reason)
            elif _is_link(path) and not path.resolve().is_relative_to(folder.resolve()):
                left_out.add(str(path), "link out of the folder")
            elif not suffixes or path.suffix in suffixes:
                found.append(Source(str(path), path, root=folder.absolute()))
    return found


def _is_checkpoint(path: Path) -> bool:
    try:
        return (path / "checkpoint.json").is_file()
    except OSError:
        return False  # the walk finds out, and says why


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except OSError:
        return False  # the walk finds out, and says why


def _unusable(path: Path) -> str | None:
    """Why what lies at a path cannot be read as a file, or None."""
    try:
        return None if stat.S_ISREG(path.stat().st_mode) else _NOT_REGULAR
    except PermissionError as error:
        return f"cannot be read: {error.strerror}"
    except OSError:
        return _NOT_REGULAR  # a link to nothing, or to itself


def _card_sources(card: Card, left_out: LeftOut) -> list[Source]:
    if "folder" in card.source:
        found = _walk(
            card.folder, left_out, tuple(card.source.get("suffixes", ())), frozenset(card.source.get("exclude", ()))
        )
        return [Source(f"{card.name}:{source.path}", source.path, root=source.root) for source in found]
    entries: dict[str, str] = getattr(importlib.import_module(card.source["module"]), card.source["attribute"])
    return [Source(f"{card.name}:{key}", data=text.encode()) for key, text in sorted(entries.items())]
