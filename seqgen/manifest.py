"""What `checkpoint.json` says, and the lines of figures beside it: read within limits, and refused in words."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import io
import platform
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqgen import __version__
from seqgen.errors import CheckpointError, SeqgenError, UsageError
from seqgen.guarded import LARGEST_JSON, load_json, open_within, read_file
from seqgen.migrations import FORMAT, migrate
from seqgen.modalities import MODALITIES
from seqgen.plausible import check_corpus, check_files, check_metrics, check_record
from seqgen.recipe import Recipe
from seqgen.tokenizers import TOKENIZERS

MANIFEST = "checkpoint.json"
RESUME = "resume"
"""The folder of training states beside it."""
METRICS, TIMING, LOSS_PLOT = "metrics.jsonl", "timing.jsonl", "loss.png"
LARGEST_LINES, MOST_LINES = 8 << 20, 50_000
"""Bytes and records of a `.jsonl` file that are read: the last ones."""
LONGEST_REASON = 500
"""Characters."""
_LINE = 1 << 12
"""Bytes of one record, at most."""


def versions() -> dict[str, str]:
    """The versions that a result depends on. Corpora of cards come with Python and music21, so they change with those."""
    return {
        "seqgen": __version__,
        "python": platform.python_version(),
        "torch": _version("torch"),
        "music21": _version("music21"),
    }


@functools.cache
def _version(package: str) -> str:
    """Of an installed package; to look it up takes some milliseconds."""
    return importlib.metadata.version(package)


@dataclass
class Manifest:
    """What `checkpoint.json` says."""

    recipe: Recipe
    model: str = "language"
    status: str = "running"
    """`running`, `interrupted`, or `finished`."""
    step: int = 0
    metrics: dict[str, Any] = field(default_factory=dict)
    corpus: dict[str, Any] = field(default_factory=dict)
    """Of the corpus: its digest, characters, documents, how it was split, how many files were left out and why."""
    budget: dict[str, float] = field(default_factory=dict)
    """What the run was asked to be, so that the same command with --resume is known again."""
    weights: str = ""
    tokenizer: str = ""
    states: list[list[str]] = field(default_factory=list)
    """The complete training states, oldest first: names of tensors and of JSON."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file that belongs to the checkpoint."""
    made_by: str = ""
    """The command that makes it again; empty: that of its recipe does (`--recipe`)."""
    versions: dict[str, str] = field(default_factory=versions)
    format: int = FORMAT


def read_manifest(folder: Path, links: bool = False) -> Manifest:
    """What the `checkpoint.json` of a folder says.

    Args:
        folder: of the checkpoint.
        links: whether links are followed.

    Raises:
        CheckpointError: it is missing, damaged, of a newer format, or says what cannot be.
    """
    path = folder / MANIFEST
    try:
        data = load_json(read_file(folder, MANIFEST, LARGEST_JSON, links), finite=False)
        if not isinstance(data, dict) or not isinstance(data.get("format"), int) or data["format"] < 1:
            raise CheckpointError("not a seqgen checkpoint", where=str(path))
        if data["format"] > FORMAT:
            raise CheckpointError(
                f"its format is {data['format']}, and this seqgen reads up to {FORMAT}",
                where=str(path),
                hint="Install a newer seqgen.",
            )
        if not isinstance(data.get("recipe"), dict):
            raise ValueError("its recipe is missing, or none")
        data = migrate(data)
        if unknown := data.keys() - {field_.name for field_ in dataclasses.fields(Manifest)}:
            raise ValueError(f"no checkpoint says {min(unknown)!r:.80}")
        manifest = Manifest(**{**data, "recipe": Recipe.from_dict(data["recipe"])})
        _check_types(manifest)
        if manifest.recipe.corpus.kind not in MODALITIES:
            raise CheckpointError(
                f"its kind {manifest.recipe.corpus.kind!r:.80} is unknown",
                where=str(path),
                hint="A newer seqgen may know it.",
            )
        check_files(manifest.weights, manifest.tokenizer, manifest.states, manifest.files)
        check_corpus(manifest.corpus)
        if tokenizer := TOKENIZERS.get(manifest.recipe.tokenizer.kind):
            check_metrics(manifest.metrics, tokenizer.unit)
        check_record("versions", manifest.versions, str)
        check_record("budget", manifest.budget, float)
        return manifest
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, UsageError) as error:
        raise CheckpointError(
            f"damaged: {short(error)}", where=str(path), hint="Copy the whole folder again."
        ) from error


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a `.jsonl` file, of very many the last; what is none, as a last line that was cut short, is left out."""
    records: deque[dict[str, Any]] = deque(maxlen=MOST_LINES)
    with contextlib.suppress(FileNotFoundError), open_within(path.parent, path.name) as file:
        file.seek(max(0, file.seek(0, io.SEEK_END) - LARGEST_LINES))
        for line in io.BytesIO(file.read(LARGEST_LINES)):
            with contextlib.suppress(ValueError):
                record = load_json(line, finite=False) if len(line) <= _LINE else None
                if isinstance(record, dict) and record and not any(map(_is_container, record.values())):
                    records.append(record)
    return [*records]


def _is_container(value: object) -> bool:
    return isinstance(value, dict | list)


def _check_types(manifest: Manifest) -> None:
    """Refuses what is of another type than seqgen writes.

    Raises:
        TypeError: the first field that is.
        ValueError: a number that counts something is negative.
    """
    made = Manifest(manifest.recipe)
    for field_ in dataclasses.fields(Manifest):
        if type(getattr(manifest, field_.name)) is not type(getattr(made, field_.name)):
            raise TypeError(f"{field_.name} is of the wrong type")
    if manifest.step < 0 or manifest.format < 1:
        raise ValueError("its step or its format is negative")


def short(error: Exception) -> str:
    """What is wrong, where a file from elsewhere may have made it as long as it liked."""
    text = error.what if isinstance(error, SeqgenError) else str(error)
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."
