"""Corpus cards: corpora that have a name. A card is one TOML file in ``corpora/``."""

from __future__ import annotations

import sysconfig
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqgen.errors import DataError


@dataclass(frozen=True)
class Card:
    """A named corpus: what it is, where it is read from, and under which licence."""

    name: str
    title: str
    kind: str
    licence: str
    documents: str
    split: str
    source: dict[str, Any] = field(default_factory=dict)
    """Either `folder` (with `suffixes` and folders to `exclude`) or `module` and `attribute`, a dict of texts."""

    @property
    def folder(self) -> Path:
        """The folder that the card reads in place."""
        return Path(sysconfig.get_paths()[self.source["folder"]])


def cards_folder() -> Path:
    """Where the cards lie: beside the installed package, or at the top of a checkout."""
    packaged = Path(__file__).parent / "corpora"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "corpora"


def card_names() -> list[str]:
    """The names of all cards, sorted."""
    return sorted(path.stem for path in cards_folder().glob("*.toml"))


def load_card(name: str) -> Card:
    """The card of this name.

    Raises:
        DataError: there is none.
    """
    if name not in card_names():
        raise DataError(f"there is no corpus card {name!r}", hint=f"There are: {', '.join(card_names())}.")
    data = tomllib.loads((cards_folder() / f"{name}.toml").read_text(encoding="utf-8"))
    return Card(name=name, **data)
