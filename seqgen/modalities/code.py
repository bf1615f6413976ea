"""Code: a folder of source files, without what no one wrote by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from seqgen.modalities.base import Modality, Reason
from seqgen.modalities.streaming import TextWriting
from seqgen.modalities.text import TEXT_TOKENIZERS, check_files, go_on, prompt, read_seed

_ENDINGS = """
py pyi c h cc cpp cxx hh hpp cs java kt scala js jsx mjs ts tsx go rs rb php pl pm lua r jl swift m mm hs ml mli ex exs erl
clj lisp el scm sh bash zsh fish ps1 bat sql css scss vue svelte f f90 for pas d zig nim dart groovy gradle cmake mk asm
s v vhd tcl proto awk sed vim
"""
SUFFIXES = {f".{ending}" for ending in _ENDINGS.split()}
PAGES = {".html", ".htm"}
"""Source among other source, but a folder of nothing else is text."""
FILE_NAMES = {"Makefile", "Dockerfile", "CMakeLists.txt", "Rakefile", "Gemfile"}
FOLDERS = {
    folder: reason
    for reason, folders in {
        "version control": (".git", ".hg", ".svn"),
        "virtual environment": (".venv", "venv", "env"),
        "installed packages": ("site-packages", "dist-packages", "node_modules", "vendor", "third_party"),
        "cache": ("__pycache__", ".tox", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache"),
        "build output": ("build", "dist", "target"),
    }.items()
    for folder in folders
}
_GENERATED = re.compile(
    r"(?i)auto-?generated|automatically generated|generated (?:by|from|file)|do not edit|@generated"
)
_MINIFIED_COLUMNS = 500
_BLOCK_END = re.compile(r"\n(?:[ \t]*\n)+(?=[^\s)\]}])")


def affinity(path: PurePath) -> float:
    """Known endings and file names are code, nothing else; web pages might be."""
    if path.suffix.lower() in PAGES:
        return 0.3
    return 1.0 if path.suffix.lower() in SUFFIXES or path.name in FILE_NAMES else 0.0


def skip_folder(path: PurePath) -> Reason | None:
    """Leaves out version control, environments, installed packages, caches and build output."""
    if path.name.endswith(".egg-info"):
        return "build output"
    return FOLDERS.get(path.name)


def skip_file(path: PurePath, text: str) -> Reason | None:
    """Leaves out files that are not source, say that they are generated, are minified, or are empty."""
    if affinity(path) == 0:
        return "not source code"
    if not text.strip():
        return "empty"
    if _GENERATED.search(text[:1000]):
        return "generated"
    lines = text.count("\n") + 1
    return "minified" if len(text) / lines > _MINIFIED_COLUMNS else None


def guess_documents(texts: Sequence[str]) -> str:
    """A source file is a document."""
    return "file"


def end(text: str) -> int | None:
    """Before the first blank line that is followed by a new block at the left margin."""
    match = _BLOCK_END.search(text, len(text) - len(text.lstrip()))
    return match.start() + 1 if match else None


CODE = Modality(
    name="code",
    title="code: source files of any language",
    model="language",
    document="document",
    affinity=affinity,
    skip_folder=skip_folder,
    skip_file=skip_file,
    conversion="",
    notice=lambda heads: {},
    noticed=(),
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
    lead="\n\n\n",
    open_ended=True,
    go_on=go_on,
    highlighted=True,
    end_name="block",
    unit_length=200,
)
