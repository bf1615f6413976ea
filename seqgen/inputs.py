"""Files, pipes and standard input that a user names: read without waiting for ever, and without filling the memory."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
import time
from pathlib import Path
from typing import BinaryIO

from seqgen.errors import DataError

MOST = 2 << 30
"""Bytes that are taken of what can be read only once, since they are held in memory."""
MOST_GROWTH = 16 << 20
"""Bytes by which a file may have grown when we come to its end. What is written faster than we read has none."""
PATIENCE = 10.0
"""Seconds to wait for somebody who writes to a named pipe."""
NOT_REGULAR = "not a regular file"
TO_A_FILE = "Write it to a file, and name that."
_CHUNK = 1 << 20
_BUFFER = 1 << 16
_STEP = 0.02


def open_file(path: str | Path) -> BinaryIO:
    """The bytes of a regular file. It may have become something else since it was found: a pipe would be waited for.

    Raises:
        OSError: it is none, or cannot be read; also later, where it grows without end.
    """
    descriptor = _opened(path)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(21, "Is a directory", str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, NOT_REGULAR, str(path))
    except BaseException:
        os.close(descriptor)
        raise
    return io.BufferedReader(_Ending(descriptor, status.st_size + MOST_GROWTH), _BUFFER)


def read_named(name: str | Path, most: int = MOST, hint: str = TO_A_FILE) -> bytes:
    """All of a file, a pipe or a terminal that the user named; `-` is standard input.

    Args:
        name: its path.
        most: bytes that it may have.
        hint: what to do with more.

    Raises:
        DataError: it is longer, a device that may never end, or a pipe that nobody writes to.
        OSError: it cannot be read.
    """
    if str(name) == "-":
        return read_typed(most, hint)
    descriptor = _opened(name)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        kind = os.fstat(descriptor).st_mode
        data = _first_of_pipe(file, str(name)) if stat.S_ISFIFO(kind) and _is_named_pipe(name) else b""
        if hasattr(os, "set_blocking"):
            os.set_blocking(descriptor, True)
        return _read(file, data, str(name), most, hint)


def read_typed(most: int = MOST, hint: str = TO_A_FILE) -> bytes:
    """All of standard input; nothing where the program was started without one.

    Raises:
        DataError: it is longer than this, or a device that may never end.
    """
    return _read(sys.stdin.buffer, b"", "standard input", most, hint) if sys.stdin else b""


def _opened(path: str | Path) -> int:
    """A descriptor, without waiting for the other end of a pipe."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
    return os.open(path, flags | getattr(os, "O_CLOEXEC", 0))


def _read(file: BinaryIO | io.FileIO, data: bytes, name: str, most: int, hint: str) -> bytes:
    parts, size = [data], len(data)
    endless = _may_be_endless(file)
    while size <= most and (part := file.read(min(_CHUNK, most + 1 - size))):
        if endless:
            raise DataError("a device, which may never end", where=name, hint="Name a file or a folder.")
        parts.append(part)
        size += len(part)
    if size > most:
        raise DataError(f"more than {most >> 20:,} MiB", where=name, hint=hint)
    return b"".join(parts)


def _may_be_endless(file: BinaryIO | io.FileIO) -> bool:
    """Whether this is a device, and no terminal: at its end we do not want to be."""
    with contextlib.suppress(OSError, ValueError):  # what tests put in the place of standard input is none
        kind = os.fstat(file.fileno()).st_mode
        return stat.S_ISBLK(kind) or (stat.S_ISCHR(kind) and not os.isatty(file.fileno()))
    return False


def _is_named_pipe(name: str | Path) -> bool:
    """Whether a pipe lies in a folder, so that somebody may still come to write to it; a shell's `<(...)` lies in none."""
    with contextlib.suppress(OSError):
        return stat.S_ISFIFO(os.lstat(os.path.realpath(name)).st_mode)
    return False


def _first_of_pipe(file: BinaryIO | io.FileIO, name: str) -> bytes:
    """The first bytes of a pipe that is not waited for; empty where there are none yet, but somebody who will write some."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        data = file.read(_CHUNK)
        if data != b"":  # None: nothing yet
            return data or b""
        time.sleep(_STEP)
    raise DataError(
        f"a pipe to which nobody wrote for {PATIENCE:g} seconds", where=name, hint="Start what writes to it first."
    )


class _Ending(io.RawIOBase):
    """A file that ends somewhere, even if somebody adds to it faster than we read."""

    def __init__(self, descriptor: int, most: int) -> None:
        self._file, self._most = io.FileIO(descriptor, "rb"), most

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._file.fileno()

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # what BufferedReader hands over
        count = self._file.readinto(buffer) or 0
        if count and self.tell() > self._most:
            raise OSError(0, "it grew while it was read")
        return count

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self.read(_CHUNK) or b"", b""))

    def close(self) -> None:
        self._file.close()
        super().close()
