"""Text -> documents, as a stream that needs little memory however long a document is."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import PurePath
from typing import TypeAlias

from seqgen.conversations import CONVERSATION, WHOLE_CONVERSATION
from seqgen.errors import DataError
from seqgen.modalities import Modality
from seqgen.sources.base import LeftOut, Source
from seqgen.sources.tables import SUFFIXES as TABLES
from seqgen.sources.tables import read_column
from seqgen.sources.texts import read_text

Stream = Iterator[str | None]
"""Documents one after another: the pieces of each, and None after its last."""
Begins: TypeAlias = "array[int]"
"""The line of its file on which each document begins, from 1. Negative: the last line of a row of a table, whose text has lines
of its own. 0: not known."""
LONGEST_PIECE = 1 << 22
"""Characters of a document that are held back at most while its end is looked for."""
HEAD = 1 << 20
"""Characters of a file that tell what it is."""
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_BEGUN_BLANK_LINE = re.compile(r"\n[ \t]*\Z")


@dataclass(frozen=True)
class Reader:
    """How sources are read: what a file means, what a document is, the encoding, and the column of a table."""

    modality: Modality
    documents: str
    encoding: str
    column: str = ""

    def read(self, source: Source, left_out: LeftOut, begins: Begins | None = None) -> Stream:
        """The documents of one source; nothing, where its kind of corpus leaves it out.

        Args:
            source: to read.
            left_out: takes what is left out.
            begins: takes the line on which each document begins.

        Raises:
            DataError: it cannot be used.
        """
        chunks = read_text(source, self.encoding)
        begun = _begin(chunks)
        if not source.asked_for and (reason := self.modality.skip_file(PurePath(source.name), "".join(begun)[:HEAD])):
            left_out.add(source.name, reason)
            return
        whole = chain(begun, chunks)
        begins = array("q") if begins is None else begins
        if self.column:
            yield from self._read_rows(source, whole, left_out, begins)
        else:
            yield from cut(whole, self.documents, begins)

    def _read_rows(self, source: Source, chunks: Iterator[str], left_out: LeftOut, begins: Begins) -> Stream:
        if source.suffix not in TABLES:
            raise DataError(
                "not a table, but a column was asked for",
                where=source.name,
                hint=f"Tables end in {', '.join(TABLES)}; leave --column out to read it as text.",
            )
        lines = _Counted(lines_of(chunks))
        for value in read_column(lines, source.suffix, self.column, source.name, left_out.add):
            begins.append(-lines.count)
            yield value
            yield None


def read_head(source: Source, encoding: str) -> str:
    """The beginning of a source's text; empty where it is none."""
    try:
        return "".join(_begin(read_text(source, encoding)))[:HEAD]
    except DataError:
        return ""


def _begin(chunks: Iterator[str]) -> list[str]:
    """The first chunks, up to the one in which the head ends."""
    begun: list[str] = []
    missing = HEAD
    while missing > 0 and (chunk := next(chunks, "")):
        begun.append(chunk)
        missing -= len(chunk)
    return begun


def cut(chunks: Iterable[str], documents: str, begins: Begins | None = None) -> Stream:
    """A file's text as documents; empty ones are dropped.

    Args:
        chunks: of the text.
        documents: the setting `corpus.documents`.
        begins: takes the line on which each document begins, before its end is handed out.
    """
    begins = array("q") if begins is None else begins
    if documents == "file":
        yield from _whole(chunks, begins)
    elif documents == "blank-line":
        yield from _cut_at(chunks, _BLANK_LINE.split, _begun_blank_line, 2, begins, trim="\n")
    elif documents == WHOLE_CONVERSATION:
        lines = CONVERSATION.count("\n")
        yield from _cut_at(chunks, lambda text: text.split(CONVERSATION), lambda text: 0, lines, begins)
    else:
        separator = "\n" if documents == "line" else documents.replace("\\n", "\n").replace("\\t", "\t")
        lines, begun = separator.count("\n"), len(separator) - 1
        yield from _cut_at(chunks, lambda text: text.split(separator), lambda text: begun, lines, begins)


def lines_of(chunks: Iterable[str]) -> Iterator[str]:
    """Lines with their ends; only the line feed ends one."""
    held: list[str] = []
    for chunk in chunks:
        first, *rest = chunk.split("\n")
        held.append(first)
        for after in rest:
            yield "".join(held) + "\n"
            held = [after]
    if held and (last := "".join(held)):
        yield last


class _Counted(Iterator[str]):
    """Lines, and how many of them have been read."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.count = 0

    def __next__(self) -> str:
        line = next(self._lines)
        self.count += 1
        return line


def _whole(chunks: Iterable[str], begins: Begins) -> Stream:
    """One document. Its pieces end after a line where they can, so that a tokenizer meets no half words."""
    held: list[str] = []  # chunks without a line feed
    size, empty = 0, True
    for chunk in chunks:
        empty = False
        held.append(chunk)
        size += len(chunk)
        if "\n" in chunk or size > LONGEST_PIECE:
            text = "".join(held)
            end = text.rfind("\n") + 1 or max(text.rfind(" "), text.rfind("\t")) + 1 or size
            yield text[:end]
            held = [text[end:]]
            size -= end
    if size:
        yield "".join(held)
    if not empty:
        begins.append(1)
        yield None


def _cut_at(
    chunks: Iterable[str],
    split: Callable[[str], list[str]],
    begun: Callable[[str], int],
    lines: int,
    begins: Begins,
    trim: str = "",
) -> Stream:
    """Documents between separators; a long one is handed on in pieces before its end is known.

    Args:
        chunks: of the text.
        split: a text at its separators.
        begun: how many characters at the end of a text may be the beginning of a separator.
        lines: how many line feeds a separator has.
        begins: takes the line on which each document begins.
        trim: what is taken off at both ends of a document: line feeds, or nothing.
    """
    document = _Document(trim, begins)
    held, line = "", 1

    def held_back() -> int:
        return len(held)

    for text in _joined(chunks, held_back):
        *whole, held = split(held + text)
        if whole:
            yield from document.end(whole[0], line)
            line += whole[0].count("\n") + lines
        for part in islice(whole, 1, None):  # none of which has begun before: a list of titles has millions
            stripped = part.strip(trim) if trim else part
            if stripped and not stripped.isspace():
                begins.append(line + (len(part) - len(part.lstrip(trim)) if trim else 0))
                yield stripped
                yield None
            line += part.count("\n") + lines
        ready = len(held) - begun(held) if len(held) > LONGEST_PIECE else 0
        if ready > 0:
            yield from document.add(held[:ready], line)
            line += held.count("\n", 0, ready)
            held = held[ready:]
    yield from document.end(held, line)


def _joined(chunks: Iterable[str], held_back: Callable[[], int]) -> Iterator[str]:
    """The same text in chunks as long as what is held back, which is looked through again with each of them."""
    waiting: list[str] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= held_back() or size + held_back() > LONGEST_PIECE:
            yield "".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield "".join(waiting)


class _Document:
    """What is known of a document while its end is looked for: white space waits until something follows it."""

    def __init__(self, trim: str, begins: Begins) -> None:
        self._trim, self._begins = trim, begins
        self._line = 0
        self._blank: list[str] = []  # pieces at its beginning
        self._begun = False

    def add(self, text: str, line: int) -> Iterator[str]:
        """Hands on what may be handed on, now that the document goes on with this text, which begins on that line."""
        if not self._begun and not self._blank:
            stripped = text.lstrip(self._trim) if self._trim else text
            self._line = line + len(text) - len(stripped)
            text = stripped
        if self._begun:
            yield text
        elif text.strip():
            yield from self._blank
            yield text
            self._begun = True
            self._begins.append(self._line)
        elif text:
            self._blank.append(text)

    def end(self, text: str, line: int) -> Stream:
        """The same for its last piece; what follows is another document."""
        if self._trim:
            text = text.rstrip(self._trim)
        if text:
            yield from self.add(text, line)
        if self._begun:
            yield None
        self._blank.clear()
        self._begun = False


def _begun_blank_line(text: str) -> int:
    match = _BEGUN_BLANK_LINE.search(text)
    return len(text) - match.start() if match else 0
