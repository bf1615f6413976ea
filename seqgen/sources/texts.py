"""Bytes -> text, in chunks: a file of any size takes the memory of one chunk."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO

from seqgen.errors import DataError, UsageError
from seqgen.sources.base import Source

CHUNK = 1 << 16
"""Bytes that are read at once: few enough that a chunk stays in the processor's cache on its way to ids, which is three
times as fast as with megabytes."""
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",  # before the mark of UTF-16 that it begins with
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
    codecs.BOM_UTF8: "utf-8",
}
_UNMARKED = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}
"""What these mean where no byte order mark says it: Python's own readers would insist on one."""
_NOT_OF_FILES = {"idna", "punycode", "unicode-escape", "raw-unicode-escape"}
"""How Python writes names of hosts and texts in programs: no file is in such an encoding."""
_BINARY_PROBE = 1 << 16
_HOLE = 1 << 12
"""Zero bytes in a row that no text has: a file that was never written to its end, or one of terabytes that takes no room."""


def read_text(source: Source, encoding: str) -> Iterator[str]:
    """The text of a source in chunks, none of them empty: a byte order mark overrules the encoding, line ends are line feeds.

    Whether all of it is text is known when it has all been read: whoever leaves unusable files out must take back what
    came before.

    Raises:
        DataError: it is binary, not of that encoding (with the place of the first byte that is not), or cannot be read.
    """
    try:
        with source.open() as file:
            yield from decode(file, encoding, source.name)
    except OSError as error:
        raise unreadable(source.name, error) from error


def unreadable(name: str, error: OSError) -> DataError:
    """The error for what the system does not let us read."""
    return DataError(
        f"cannot be read: {error.strerror or error}", where=name, hint="Check the path and its permissions."
    )


def decode(file: BinaryIO, encoding: str, name: str) -> Iterator[str]:
    """Text from a stream of bytes, in chunks.

    Raises:
        DataError: the bytes are binary or not of that encoding, with the place of the first that is not.
    """
    begin = file.read(max(map(len, _MARKS)))
    mark = next(filter(begin.startswith, _MARKS), b"")
    encoding = _MARKS.get(mark) or _UNMARKED.get(codecs.lookup(encoding).name, encoding)
    wide = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
    decoder = codecs.getincrementaldecoder(encoding)()
    position = len(mark)
    held = ""  # a carriage return whose line feed may stand in the next chunk
    for data in chain([begin[len(mark) :] + file.read(CHUNK)], iter(lambda: file.read(CHUNK), b""), [b""]):
        if not wide and position < _BINARY_PROBE and (nul := data.find(b"\0", 0, _BINARY_PROBE - position)) >= 0:
            raise DataError(
                f"this is a binary file, not text (a zero byte at byte {position + nul})",
                where=name,
                hint="Convert it to text first.",
            )
        if len(data) >= _HOLE and not data.strip(b"\0"):
            raise DataError(
                f"this is a binary file, not text (nothing but zero bytes at byte {position})",
                where=name,
                hint="Copy it again: it was not written to its end, perhaps.",
            )
        pending = len(decoder.getstate()[0])  # bytes of a character that the last chunk has cut
        try:
            text = held + decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            raise DataError(
                f"not {encoding} at byte {position - pending + error.start} (0x{error.object[error.start]:02x})",
                where=name,
                hint="Name the encoding that it has, for example --encoding latin-1 or --encoding cp1252.",
            ) from error
        position += len(data)
        held = "\r" if data and text.endswith("\r") else ""
        text = text.removesuffix(held)
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if text:
            yield text


def check_encoding(encoding: str) -> None:
    """Refuses a text encoding that Python does not know.

    Raises:
        UsageError: it is unknown.
    """
    try:
        "a".encode(encoding)  # of an empty text Python does not look at the name
        known = codecs.lookup(encoding).name not in _NOT_OF_FILES
    except (LookupError, ValueError):
        known = False
    if not known:
        raise UsageError(
            f"there is no text encoding {encoding!r}",
            hint="Common ones: utf-8, latin-1, cp1252, utf-16, shift_jis, gb18030.",
        )
