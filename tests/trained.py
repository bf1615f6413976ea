"""Small models of verse, trained in a second or two and kept by those who share them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import seqgen
from tests.texts import verse

SMALL: dict[str, dict[str, Any]] = {
    "model": {"hidden": 32, "embedding": 8},
    "training": {"lanes": 4, "window": 32, "dtype": "float32", "threads": 1},
}
"""Settings of a training that takes next to no time."""
TINY: dict[str, dict[str, Any]] = {
    "model": {"hidden": 8, "embedding": 4},
    "training": {"lanes": 2, "window": 8, "dtype": "float32", "threads": 1},
}
"""Of one that makes files of a few thousand bytes."""


def trained_on_verse(folder: Path, steps: int = 200, characters: int = 20_000, **more: dict[str, Any]) -> Path:
    """The checkpoint of a model of verse, in a folder that outlasts a test."""
    corpus = folder / "verse.txt"
    corpus.write_text(verse(characters), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQGEN_CACHE", str(folder / "cache"))
        return seqgen.train(corpus, steps=steps, settings={**SMALL, **more}, out=folder / "model").checkpoint
