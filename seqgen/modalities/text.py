"""Text: novels, diaries, verse, lists of titles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from seqgen.defaults import looks_like_symbols
from seqgen.errors import DataError, UsageError
from seqgen.modalities.base import Modality, Reason
from seqgen.modalities.streaming import TextWriting
from seqgen.tokenizers import DOCUMENT, Tokenizer
from seqgen.writing import Limits, Rendering

SUFFIXES = {
    ".txt",
    ".text",
    ".md",
    ".rst",
    ".tex",
    ".log",
    ".csv",
    ".tsv",
    ".srt",
    ".org",
    ".adoc",
    ".fountain",
    ".jsonl",
}
FORMATS = {".docx", ".epub", ".pdf", ".html", ".htm", ".xhtml"}
_CACHES = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
FOLDERS = {
    ".git",
    ".hg",
    ".svn",
    ".venv",
    "venv",
    ".tox",
    ".nox",
    "site-packages",
    "dist-packages",
    "node_modules",
} | _CACHES

_WIDE_END, _WIDE_CLOSING = r"\u3002\uff01\uff1f", r"\u300d\u300f\u201d\uff09"
_SENTENCE_END = re.compile(
    rf"""[.!?\u2026][)\]"'\u2019\u201d\u00bb]*(?=\s)|[{_WIDE_END}]+[{_WIDE_CLOSING}]*(?=[^{_WIDE_END}{_WIDE_CLOSING}])"""
)


def affinity(path: PurePath) -> float:
    """Known endings are text; anything else that decodes might be."""
    return 0.9 if path.suffix.lower() in SUFFIXES | FORMATS else 0.2


def skip_folder(path: PurePath) -> Reason | None:
    """Leaves out what no writer means: version control, caches, installed packages."""
    return "version control, cache or environment" if path.name in FOLDERS else None


def skip_file(path: PurePath, text: str) -> Reason | None:
    """Leaves out hidden files and empty ones."""
    if path.name.startswith("."):
        return "hidden"
    return None if text.strip() else "empty"


def guess_documents(texts: Sequence[str]) -> str:
    """A list of titles is a document a line; everything else a document a file.

    A list has many lines, next to none of them empty or indented, and they are short and uneven; the lines of wrapped
    prose all stop near the same column instead.
    """
    lines = [line for text in texts for line in text[:200_000].splitlines()]
    if len(lines) < 20 or len(lines) < 5 * len(texts):
        return "file"
    lengths = sorted(len(line) for line in lines)
    empty = sum(not line.strip() for line in lines) / len(lines)
    indented = sum(line[:1].isspace() for line in lines) / len(lines)
    median, near_full = lengths[len(lengths) // 2], lengths[int(len(lengths) * 0.98)]
    wrapped = sum(length > 0.8 * near_full for length in lengths) / len(lines) > 0.5
    unfinished = sum(line.rstrip().endswith((",", ";", "-")) for line in lines) / len(lines)
    if empty < 0.01 and indented < 0.05 and median <= 120 and not wrapped and unfinished < 0.1:
        return "line"
    return "file"


def notice(heads: Sequence[str]) -> dict[str, Any]:
    """Whitespace-separated symbols of another kind than words: moves, chords."""
    return SYMBOLS if looks_like_symbols(heads) else {}


def prompt(tokenizer: Tokenizer, seed: str) -> list[int]:
    """The beginning of a document, and the seed."""
    return [DOCUMENT, *tokenizer.encode(seed).tolist()]


def read_seed(seed: str, data: bytes | None, name: str, bars: int | None) -> str:
    """What was typed; or a file of UTF-8, but for one final newline.

    Raises:
        DataError: it is not UTF-8.
        UsageError: a text has no bars.
    """
    if bars is not None:
        raise UsageError("--seed-bars is for music", hint="Leave it out.")
    if data is None:
        return seed
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"not utf-8 at byte {error.start}", where=name, hint="Convert it to UTF-8 first.") from error


def check_files(suffixes: Sequence[str], rendering: Rendering) -> None:
    """A text may be called anything, but it is not played."""
    if rendering != Rendering():
        raise UsageError("--tempo, --program, --transpose and --soundfont are for music", hint="Leave them out.")


def end(text: str) -> int | None:
    """After the first full stop, question or exclamation mark that is followed by white space; a wide one by anything."""
    match = _SENTENCE_END.search(text)
    return match.end() if match else None


def go_on(text: str, limits: Limits) -> tuple[str, Limits]:
    """From its last character, and not ending at once."""
    least = max(1, limits.min_length or 0)
    return text, limits if limits.length is not None and limits.length < least else replace(limits, min_length=least)


TEXT_TOKENIZERS = ("characters", "bytes", "bpe", "unigram", "symbols")
SYMBOLS = {"kind": "symbols"}

TEXT = Modality(
    name="text",
    title="text: prose, verse, lists",
    model="language",
    document="document",
    affinity=affinity,
    skip_folder=skip_folder,
    skip_file=skip_file,
    conversion="formats",
    notice=notice,
    noticed=[SYMBOLS],
    tokenizers=TEXT_TOKENIZERS,
    outline=None,
    count=len,
    divide=None,
    sequences=None,
    guess_documents=guess_documents,
    writing=TextWriting,
    prompt=prompt,
    read_seed=read_seed,
    check_files=check_files,
    compare=None,
    originality=None,
    name_document=None,
    end=end,
    lead="",
    open_ended=True,
    go_on=go_on,
    highlighted=False,
    end_name="sentence",
    unit_length=300,
)
