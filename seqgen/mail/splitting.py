"""A file of mail -> its messages as bytes, one after the other, without what attachments are long for."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import BinaryIO

from seqgen.errors import DataError

MAX_PART = 1 << 18
"""Bytes of a part of a message that are kept; the text of a longer one would be left out."""
MAX_MESSAGE = 1 << 24
"""Bytes of a message that are kept."""
_PIECE = 1 << 16
"""Bytes of a line that are read at once."""
_HEADER = re.compile(rb"[!-9;-~]+[ \t]*:|>From |From ")
_DATED = re.compile(rb"From \S+ .*\d:\d\d.*\b\d{4}\b")
_MAILBOXES = {".mbox", ".mbx"}
_HINT = "Name mailboxes (mbox), .eml files or the messages of a Maildir; programs of mail can export these."


def messages(open_file: Callable[[], BinaryIO], name: str) -> Iterator[tuple[str, bytes]]:
    """Where each message of a file stands, and its bytes.

    A mailbox is known by its first line. It is split here rather than by the standard library's `mailbox`, which needs
    a path, holds whole messages in memory and takes each line that begins with "From " for a new message.

    Args:
        open_file: opens the file: a mailbox, or one message.
        name: of the file.

    Raises:
        DataError: the file is empty, no mail, or cannot be read.
    """
    try:
        with open_file() as file:
            lines = _without_blanks(file)
            first = next(lines, b"")
            if not first:
                raise DataError("this file is empty, and no mail", where=name, hint=_HINT)
            if first.startswith(b"From "):
                for number, message in enumerate(_split(lines), 1):
                    yield f"{name}, message {number}", message
            elif PurePath(name).suffix.lower() in _MAILBOXES:
                raise DataError('no mailbox: its first line does not begin with "From "', where=name, hint=_HINT)
            elif not _HEADER.match(first):
                raise DataError("no mail: it does not begin with headers", where=name, hint=_HINT)
            else:
                yield name, _Message(first).rest(lines)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise DataError(f"cannot be read: {reason}", where=name, hint="Check the path and its permissions.") from error


def _without_blanks(file: BinaryIO) -> Iterator[bytes]:
    """The lines, or pieces of long ones, without a byte order mark and empty lines at the beginning."""
    started = False
    while line := file.readline(_PIECE):
        if not started:
            line = line.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
            started = bool(line)
        if line:
            yield line


def _split(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The messages of a mailbox, behind its first line.

    A new one begins before a header with "From ", behind an empty line or with a date: programs that do not write ">"
    before that word in a text are forgiven, and those that leave out the empty line.
    """
    message = _Message()
    separator, empty, whole = b"", False, True
    for line in lines:
        if separator:
            if _HEADER.match(line):
                yield message.data()
                message = _Message()
            else:
                message.add(separator)
            separator = b""
        if whole and line.startswith(b"From ") and (empty or _DATED.match(line)):
            separator = line
        else:
            message.add(re.sub(rb"^>(>*From )", rb"\1", line) if whole else line)
        empty = whole and not line.strip()
        whole = line.endswith(b"\n")
    if separator:
        message.add(separator)
    yield message.data()


class _Message:
    """The lines of a message; of its parts, which begin with "--", no more than the limits."""

    def __init__(self, *lines: bytes) -> None:
        self._lines = list(lines)
        self._part = self._size = sum(map(len, lines))

    def add(self, line: bytes) -> None:
        """Takes a line, or leaves it out where its part has been long enough."""
        if line.startswith(b"--"):
            self._part = 0
        self._part += len(line)
        if self._part <= MAX_PART and self._size <= MAX_MESSAGE:
            self._size += len(line)
            self._lines.append(line)

    def rest(self, lines: Iterator[bytes]) -> bytes:
        """All of the message: these lines are the rest of it."""
        for line in lines:
            self.add(line)
        return self.data()

    def data(self) -> bytes:
        """What was kept."""
        return b"".join(self._lines)
