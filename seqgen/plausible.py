"""Whether what a `checkpoint.json` says can be: what is later told, compared or divided by must be there, and of its type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from seqgen.units import UNITS, Unit

MOST_FILES = 64
"""That belong to a checkpoint: weights, tokenizer, and two for each training state."""
_NAME = re.compile(r"(resume/)?[\w-]+\.\w+", re.ASCII)
_ENTRY = re.compile(r"[0-9a-f]*")


def check_files(weights: str, tokenizer: str, states: list[Any], files: Mapping[str, Any]) -> None:
    """Refuses names of files that could not belong to a checkpoint.

    Raises:
        ValueError: the first of them; there are too many; or what stands for a name is none.
    """
    if len(files) > MOST_FILES or len(states) > MOST_FILES:
        raise ValueError("it names far too many files")
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in states):
        raise ValueError("its states are no pairs of files")
    for name in (weights, tokenizer, *files, *(name for pair in states for name in pair)):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"it names a file {name!r:.80}, which cannot belong to it")
    if not all(isinstance(digest, str) for digest in files.values()):
        raise ValueError("a digest of a file is no text")


def check_corpus(corpus: Mapping[str, Any]) -> None:
    """Refuses what is said of a corpus if it cannot be.

    Raises:
        ValueError: what is wrong.
    """
    for name in ("entry", "digest", "ending", "split_by"):
        if not isinstance(corpus.get(name, ""), str):
            raise ValueError(f"corpus.{name} is no text")
    if not _ENTRY.fullmatch(corpus.get("entry", "")):
        raise ValueError("corpus.entry cannot be one of the cache's")
    if not all(_is_number(corpus.get(name, 0)) for name in ("characters", "documents")):
        raise ValueError("corpus.characters or corpus.documents is no number")


def check_metrics(metrics: Mapping[str, Any], unit: Unit) -> None:
    """Refuses figures if they cannot be.

    Args:
        metrics: of each split that was measured.
        unit: in which the tokenizer of this checkpoint tells surprise.

    Raises:
        ValueError: what is wrong.
    """
    for split, measured in metrics.items():
        where = f"metrics.{split:.20}"
        if not isinstance(measured, dict) or not isinstance(measured.get("baselines"), dict):
            raise ValueError(f"{where} is none")
        if not isinstance(measured.get("unit"), str) or UNITS.get(measured["unit"]) != unit:
            raise ValueError(f"{where}.unit is not {unit.key}")
        alone = f"{unit.key}_without_recall"
        told = [measured.get(name) for name in (unit.key, "symbols", f"{unit.counted}s")]
        if not all(map(_is_number, [*told, measured.get(alone, 0.0), *measured["baselines"].values()])):
            raise ValueError(f"a figure of {where} is no number, or missing")
        if measured["symbols"] <= 0:
            raise ValueError(f"{where} is of no symbols")


def check_record(name: str, values: Mapping[str, Any], kind: type) -> None:
    """Refuses a value that is not of this type: text, or a number.

    Raises:
        ValueError: there is one.
    """
    if not all(isinstance(value, str) if kind is str else _is_number(value) for value in values.values()):
        raise ValueError(f"a value of {name} is of the wrong type")


def _is_number(value: Any) -> bool:
    """Whether it is a number, perhaps one that is not finite, which can be told as well."""
    return type(value) in (int, float)
