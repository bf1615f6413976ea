"""Corpus cards: corpora that have a name. A card is one TOML file, in ``./corpora`` or among those of the package."""

from __future__ import annotations

import difflib
import importlib.util
import re
import sysconfig
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from seqgen.errors import DataError

STDLIB = "stdlib"
"""What a card calls the folder of Python's standard library; any other folder is a path."""
PACKAGES = ("music21",)
"""The packages whose folders a card may name."""
MODULES = ("pydoc_data.topics",)
"""The modules that a card may name. Importing one runs it, and a card may come from anybody."""
_SPLIT = re.compile(r"(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)")
_FILE = re.compile(r"\w([\w. -]{0,198}\w)?")
"""A name of a file that is a name everywhere: no folder, not hidden, nothing that a terminal or Windows would bend."""
_TABLE: dict[str, type] = {
    "title": str,
    "kind": str,
    "documents": str,
    "licence": str,
    "split": str,
    "source": dict,
    "about": str,
    "mask": bool,
}
_SOURCES: dict[str, dict[str, type]] = {
    "folder": {"folder": str, "package": str, "suffixes": list, "exclude": list},
    "module": {"module": str, "attribute": str},
    "url": {"url": str, "sha256": str, "size": int, "file": str},
}
_OPTIONAL = {"about", "mask", "package", "suffixes", "exclude"}
_CALLED = {str: "a text", bool: "true or false", int: "a whole number", list: "a list of texts", dict: "a table"}


@dataclass(frozen=True)
class Address:
    """A file on the web, and how to tell that it is the right one.

    Attributes:
        url: of http or https.
        sha256: of the whole file, in hexadecimal.
        size: in bytes.
        file: the name under which it is kept.
    """

    url: str
    sha256: str
    size: int
    file: str


@dataclass(frozen=True)
class Card:
    """A named corpus: what it is, where it is read from, and under which licence."""

    name: str
    path: Path
    """The card itself."""
    title: str
    kind: str
    documents: str
    licence: str
    split: str
    """Percentages of training, validation and test text, where the user sets no others."""
    source: dict[str, Any]
    """One of: `folder` (of a `package`, with `suffixes` and folders to `exclude`), `module` and `attribute` (a dict of
    texts), or what an `Address` holds."""
    about: str = ""
    mask: bool = False
    """Replies: learn marks in the places of numbers, links and addresses."""

    @property
    def folder(self) -> Path:
        """The folder that the card reads in place; a relative path begins in the package, or else where the card lies.

        Raises:
            DataError: the package is not installed.
        """
        named = str(self.source["folder"])
        if package := self.source.get("package"):
            return _folder_of(package) / named
        return Path(sysconfig.get_paths()[STDLIB]) if named == STDLIB else self.path.parent / named

    @property
    def address(self) -> Address | None:
        """Where the corpus is fetched from; None where it is on this machine anyway."""
        return Address(**self.source) if "url" in self.source else None


def _folder_of(package: str) -> Path:
    """Where a package is installed; it is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"{package} is not installed", hint=f"Install it: pip install {package}")
    return Path(spec.submodule_search_locations[0])


def cards_folder() -> Path:
    """Where the package's cards lie: beside the installed package, or at the top of a checkout."""
    packaged = Path(__file__).parent / "corpora"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "corpora"


def card_names() -> list[str]:
    """The names of all cards, sorted."""
    return sorted(_card_files())


def load_card(name: str) -> Card:
    """The card of this name: the user's own in `./corpora`, or else the package's.

    Raises:
        DataError: there is none, or it is no proper card.
    """
    files = _card_files()
    if name not in files:
        close = difflib.get_close_matches(name, files, n=1)
        nearest = f"Did you mean {close[0]}? " if close else ""
        raise DataError(f"there is no corpus card {name!r}", hint=f"{nearest}There are: {', '.join(sorted(files))}.")
    path = files[name]
    data = _read(path)
    _check_fields(data, _TABLE, path)
    _check_values(data, path)
    _check_source(data["source"], path)
    return Card(name=name, path=path, **data)


def is_installed(source: str) -> bool:
    """Whether a source is a card whose texts came with Python, with a package or with seqgen, and change with their version."""
    try:
        card = load_card(source)
    except DataError:
        return False
    outside = "module" in card.source or "package" in card.source or card.source.get("folder") == STDLIB
    return outside or ("folder" in card.source and card.path.parent == cards_folder().absolute())


def find_fault(url: str) -> str | None:
    """What is wrong with a web address, or None."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # a port that is no number is a ValueError
    except ValueError as error:
        return f"is no web address ({error})"
    if not re.fullmatch(r"[!-~]+", url):
        return "holds spaces or characters that are not ASCII, which an address spells with %"
    if parts.scheme not in ("http", "https"):
        return "is not of http or https"
    if not host or "@" in parts.netloc:
        return "names no host" if not host else "holds a user's name or password"
    return None


def _card_files() -> dict[str, Path]:
    """Name -> file. Of two cards of one name, the user's own counts; in a checkout both folders are the same one."""
    found: dict[str, Path] = {}
    for folder in (Path("corpora"), cards_folder()):
        for path in folder.glob("*.toml"):
            if not path.name.startswith("."):  # hidden files are an editor's, and their stem might be ".."
                found.setdefault(path.stem, path.absolute())
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():  # reading a pipe could take for ever
            raise DataError("a corpus card is a file, and this is none", where=str(path))
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"this corpus card cannot be read: {error.strerror}", where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"this corpus card is not proper TOML: {error}", where=str(path), hint="Correct it, or move it away."
        ) from error


def _check_fields(table: Mapping[str, Any], known: Mapping[str, type], path: Path) -> None:
    """Refuses a field that is unknown, missing, of the wrong type or empty."""
    for name in table:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known)}."
            raise DataError(f"a corpus card has no field {name!r} here", where=str(path), hint=hint)
    for name, wanted in known.items():
        if name not in table:
            if name not in _OPTIONAL:
                raise DataError(f"{name} is missing in this corpus card", where=str(path), hint=_advice(name, wanted))
            continue
        value = table[name]
        items = value if isinstance(value, list) else [value] if isinstance(value, str) else []
        if type(value) is not wanted or not all(type(item) is str for item in items):  # True is no number
            raise DataError(f"{name} is not {_CALLED[wanted]}", where=str(path), hint=_advice(name, wanted))
        if name != "documents" and not all(item.isprintable() for item in items):
            raise DataError(
                f"{name} holds a line break or another character without a shape",
                where=str(path),
                hint="Write it on one line.",
            )
        if value == "" and name not in _OPTIONAL:
            raise DataError(f"{name} is empty", where=str(path), hint=_advice(name, wanted))


def _advice(name: str, wanted: type) -> str:
    return f"Give {name} as {_CALLED[wanted]}."


def _check_values(data: Mapping[str, Any], path: Path) -> None:
    match = _SPLIT.fullmatch(data["split"])
    shares = [float(part) / 100 for part in match.groups()] if match else []
    if not (shares and shares[0] > 0 and abs(sum(shares) - 1) < 1e-6):
        raise DataError(
            f"{data['split']!r} is not a split",
            where=str(path),
            hint='Give three percentages that add up to 100, the first above 0: split = "90/5/5"',
        )


def _check_source(source: Mapping[str, Any], path: Path) -> None:
    kinds = [kind for kind in _SOURCES if kind in source]
    if len(kinds) != 1:
        raise DataError(
            f"source names {' and '.join(kinds) or 'nothing to read'}",
            where=str(path),
            hint=f"Give exactly one of {', '.join(_SOURCES)}.",
        )
    _check_fields(source, _SOURCES[kinds[0]], path)
    if fault := _find_source_fault(source):
        raise DataError(f"source: {fault}", where=str(path), hint="Correct the card.")


def _find_source_fault(source: Mapping[str, Any]) -> str | None:
    if "folder" in source:
        known = source.get("package", PACKAGES[0]) in PACKAGES
        return None if known else f"{source['package']!r} is no package for a card; there is {', '.join(PACKAGES)}"
    if "module" in source:
        known = source["module"] in MODULES
        return None if known else f"{source['module']!r} is no module for a card; there is {', '.join(MODULES)}"
    if fault := find_fault(source["url"]):
        return f"{source['url']!r} {fault}"
    if not re.fullmatch(r"[0-9a-f]{64}", source["sha256"]):
        return f"{source['sha256']!r} is no SHA-256 (64 digits and small letters a to f)"
    if source["size"] <= 0:
        return f"size {source['size']} is not above 0"
    return None if _FILE.fullmatch(source["file"]) else f"{source['file']!r} is no plain name of a file"
