"""Paths, globs, archives, cards and standard input -> sources. What is left out is counted and named, never silent."""

from __future__ import annotations

import contextlib
import glob
import importlib
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath

from seqgen.cards import Card, card_names, load_card
from seqgen.errors import DataError
from seqgen.fetching import need
from seqgen.inputs import NOT_REGULAR, read_named, read_typed
from seqgen.modalities import MODALITIES, Modality
from seqgen.sources.archives import is_archive, list_members
from seqgen.sources.base import LeftOut, Source
from seqgen.sources.texts import unreadable


def find_sources(corpora: tuple[str, ...], left_out: LeftOut) -> tuple[list[Source], Card | None]:
    """What the arguments of the user name, in a fixed order; the card, where one of them is a card's name.

    Raises:
        DataError: nothing of that name, or what the user named cannot be read.
    """
    sources: list[Source] = []
    card = None
    for name in corpora:
        if name == "-":
            sources.append(Source("standard input", data=read_typed(), asked_for=True))
        elif _exists(name):
            sources += _walk(Path(name), left_out) if _is_folder(Path(name)) else [_named_file(Path(name))]
        elif glob.has_magic(name) and (found := sorted(set(_expand(name)))):
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
    if len(corpora) > 1 or not all(map(_exists, corpora)):  # of one folder each file is found once
        sources = _once(sources)
    return [member for source in sources for member in _unpacked(source, left_out)], card


def _once(sources: list[Source]) -> list[Source]:
    """Each file once, as the user has named it where they have."""
    unique: dict[str | int, Source] = {}
    for index, source in enumerate(sources):
        key = index if source.path is None else str(source.path)
        if source.asked_for or key not in unique:
            unique[key] = source
    return list(unique.values())


def without_folders(sources: list[Source], modality: Modality, left_out: LeftOut) -> list[Source]:
    """The sources that lie in no folder that this kind of corpus leaves out."""
    kept = []
    unwanted: dict[str, tuple[PurePath, str] | None] = {}  # by the folder that a file lies in
    for source in sources:
        if source.inside is None:
            kept.append(source)
            continue
        folder = source.inside.rpartition("/")[0]
        if folder not in unwanted:
            unwanted[folder] = _unwanted(PurePath(folder), modality)
        if (found := unwanted[folder]) is None:
            kept.append(source)
        else:
            outermost, reason = found
            below = len(source.inside) - len(str(outermost))
            left_out.add(source.name[:-below], reason)
    return kept


def _unwanted(folder: PurePath, modality: Modality) -> tuple[PurePath, str] | None:
    """The outermost of a folder and those around it that is left out, and why."""
    for each in (*reversed(folder.parents), folder):
        if each.name and (reason := modality.skip_folder(each)):
            return each, reason
    return None


def _unpacked(source: Source, left_out: LeftOut) -> list[Source]:
    """A source as it is, or the members of an archive."""
    if source.path is None or not is_archive(source.name):
        return [source]
    listed = source.stamp()
    try:
        members = list_members(Path(source.path), source.name, left_out.add)
    except DataError as error:
        if source.is_needed:
            raise
        left_out.add(source.name, error.what)
        return []
    around, begin = f"{source.inside}/" if source.inside else "", len(f"{source.name}!")
    asked_for = source.asked_for and len(members) == 1  # a compressed file is what the user named; one of many is not
    return [
        Source(
            each.name,
            source.path,
            opener=each.open,
            inside=around + each.name[begin:],
            listed=listed,
            asked_for=asked_for,
            of_many=source.of_many,
        )
        for each in members
    ]


def _exists(name: str) -> bool:
    """Whether there is such a path, as far as can be told."""
    try:
        return name != "" and Path(name).exists()  # an empty path would be the folder where we are
    except PermissionError:
        return True  # reading it says what is wrong
    except OSError:
        return False  # a name that is too long, say


def _is_folder(path: Path | os.DirEntry[str]) -> bool:
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
        elif (reason := _unusable(path)) == NOT_REGULAR or (reason and len(found) > 1):
            left_out.add(str(path.absolute()), reason)
        else:
            sources.append(replace(_named_file(path), of_many=len(found) > 1))
    return sources


def _expand(pattern: str) -> list[str]:
    """What a glob means. `**` enters no link to a folder: two that lead to where they lie would never come to an end."""
    parts = Path(pattern).parts
    if "**" not in parts:
        return glob.glob(pattern)
    place = parts.index("**")
    rest = parts[place + 1 :]
    tops = glob.glob(str(Path(*parts[:place]))) if place else [""]
    if not rest:
        return [top or os.curdir for top in tops]
    return [
        found for top in tops for folder in _folders(top) for found in _expand(str(Path(glob.escape(folder), *rest)))
    ]


def _folders(top: str) -> Iterator[str]:
    """A folder and those below it, as far as a glob sees them: the hidden ones are not among them."""
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        yield folder
        with contextlib.suppress(OSError), os.scandir(folder or os.curdir) as entries:
            waiting += [
                f"{folder}{os.sep}{entry.name}" if folder else entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            ]


def _named_file(path: Path) -> Source:
    """A file that the user named; a pipe is read at once, since it can be read only once.

    Raises:
        DataError: it cannot be read, or is a device that may never end.
    """
    absolute = path.absolute()
    try:
        if stat.S_ISREG(absolute.stat().st_mode):
            return Source(str(path), str(absolute), asked_for=True)
        return Source(str(path), data=read_named(path), asked_for=True)
    except OSError as error:
        raise unreadable(str(path), error) from error


def _walk(
    folder: Path, left_out: LeftOut, suffixes: tuple[str, ...] = (), exclude: frozenset[str] = frozenset()
) -> list[Source]:
    """The regular files under a folder, sorted; links to folders are not followed, so there is no loop."""
    top = folder.absolute()
    found: list[Source] = []
    begin = len(str(top).rstrip(os.sep)) + len(os.sep)  # of what is inside of it
    waiting = [str(top)]
    while waiting:
        folders = []
        for entry in _entries(Path(waiting.pop()), left_out):
            if _is_folder(entry):
                if reason := _folder_reason(Path(entry.path), entry, exclude):
                    left_out.add(entry.path, reason)
                else:
                    folders.append(entry.path)
            elif reason := _file_reason(entry, top):
                left_out.add(entry.path, reason)
            elif not suffixes or PurePath(entry.name).suffix in suffixes:
                found.append(Source(entry.path, entry.path, inside=entry.path[begin:].replace(os.sep, "/")))
        waiting += reversed(folders)
    return found


def _entries(folder: Path, left_out: LeftOut) -> list[os.DirEntry[str]]:
    """What lies in a folder, sorted by name. Of nearly all entries the system has told what they are: that saves asking."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        left_out.add(str(folder), f"cannot be read: {error.strerror}")
        return []


def _folder_reason(path: Path, entry: os.DirEntry[str], exclude: frozenset[str]) -> str | None:
    """Why a folder in a folder is left out, or None. What only some kinds of corpus leave out waits for the guess."""
    if _is_checkpoint(path):
        return "seqgen checkpoint"
    if path.name in exclude:
        return "excluded by the card"
    reasons = [modality.skip_folder(path) for modality in MODALITIES.values()]
    if all(reasons):
        return reasons[-1]
    return "link to a folder" if entry.is_symlink() else None


def _file_reason(entry: os.DirEntry[str], top: Path) -> str | None:
    """Why a file in a folder is left out, or None."""
    if reason := _unusable(entry):
        return reason
    if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(top.resolve()):
        return "link out of the folder"
    return None


def _is_checkpoint(path: Path) -> bool:
    try:
        return (path / "checkpoint.json").is_file()
    except OSError:
        return False  # the walk finds out, and says why


def _unusable(path: Path | os.DirEntry[str]) -> str | None:
    """Why what lies at a path cannot be read as a file, or None."""
    try:
        return None if path.is_file() else NOT_REGULAR
    except PermissionError as error:
        return f"cannot be read: {error.strerror}"
    except OSError:
        return NOT_REGULAR  # a link to itself


def _card_sources(card: Card, left_out: LeftOut) -> list[Source]:
    """What a card stands for. Its files count as found, not as named by the user: an unusable one is left out.

    Raises:
        DataError: the card is of no known kind, its file has not been fetched, or its texts are none.
    """
    if card.kind not in MODALITIES:
        raise DataError(
            f"there is no kind {card.kind!r} of corpus",
            where=str(card.path),
            hint=f"There are: {', '.join(MODALITIES)}.",
        )
    if "url" in card.source:
        path = need(card)
        return [Source(f"{card.name}:{path}", str(path), asked_for=True)]
    if "folder" in card.source:
        found = _walk(
            card.folder, left_out, tuple(card.source.get("suffixes", ())), frozenset(card.source.get("exclude", ()))
        )
        return [Source(f"{card.name}:{source.path}", source.path, inside=source.inside) for source in found]
    return [Source(f"{card.name}:{key}", data=text.encode()) for key, text in sorted(_module_texts(card).items())]


def _module_texts(card: Card) -> dict[str, str]:
    """The texts that a module holds, by their names."""
    module, attribute = card.source["module"], card.source["attribute"]
    texts: object = None
    with contextlib.suppress(ImportError):  # some Pythons come without part of their library
        texts = getattr(importlib.import_module(module), attribute, None)
    if isinstance(texts, dict) and all(type(each) is str for pair in texts.items() for each in pair):
        return texts
    raise DataError(
        f"{module}.{attribute} is no dict of texts in this Python",
        where=str(card.path),
        hint="Name another attribute in the card.",
    )
