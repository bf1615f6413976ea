"""Files that somebody else may have made: opened without following links, never read beyond a bound, parsed within limits."""

from __future__ import annotations

import json
import math
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

LARGEST_JSON = 8 << 20
"""Bytes. What seqgen writes is smaller by far, but for a vocabulary of very many long symbols."""
MOST_ENTRIES = 10_000
"""Files in a folder."""
_MEMORY = 64 << 20
"""Bytes that lists, dicts and numbers may take, beside the text itself."""
_CONTAINER, _ITEM = 256, 96
"""Bytes of a list or dict with little in it, and of a small value with its place in one: CPython's, rounded up."""
_DEEPEST = 32
"""Lists and dicts within each other."""
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_DIGITS = 20
"""Of a whole number, with its sign: what 64 bits hold."""
_ELSEWHERE = 0x2000_0000
"""Of a Windows reparse tag: it stands for another file, as links and junctions do, and files of OneDrive do not."""
_PLAIN = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)
"""To open what another program should first write to would wait for it."""
_BY_FOLDER = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY") and hasattr(os, "O_NOFOLLOW")
"""Whether each part of a path can be opened in the folder that was opened before it, so that nobody puts a link between."""


class LinkError(ValueError):
    """Something is a link that may be none."""


def open_within(folder: Path, name: str, links: bool = False) -> BinaryIO:
    """A file of a folder, for reading. The folder may be a link; the file and the folders on the way to it may be none.

    Args:
        folder: where it lies.
        name: its path there, with slashes.
        links: whether links are followed nevertheless.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is a link, or no file that just lies there: a folder, a pipe, a device.
    """
    descriptor = _descriptor(folder, name, links)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no ordinary file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_file(folder: Path, name: str, most: int, links: bool = False) -> bytes:
    """The bytes of such a file.

    Raises:
        OSError: it cannot be read.
        ValueError: as of `open_within`; or it has more than `most` bytes.
    """
    with open_within(folder, name, links) as file:
        return read_whole(file, most)


def read_whole(file: BinaryIO, most: int) -> bytes:
    """The bytes of an open file.

    Raises:
        OSError: it cannot be read.
        ValueError: it has more than `most` bytes.
    """
    size = os.fstat(file.fileno()).st_size
    if size > most:
        raise ValueError("it is far too large to be what seqgen writes")
    return file.read(size)  # what is added behind that meanwhile is not read


def check_folder(folder: Path, alone: bool = False) -> None:
    """Refuses a folder in which something is a link, a pipe or a device: to write there would change other files, or wait.

    Args:
        folder: to look into; not into those in it.
        alone: whether a file may neither have another name elsewhere, by a hard link.

    Raises:
        OSError: it cannot be read.
        ValueError: what is wrong; also that it holds more than 10,000 entries.
    """
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number == MOST_ENTRIES:
                raise ValueError("it holds far too many files")
            if entry.is_symlink():
                raise LinkError(f"{_short(entry.name)} is a link, which what belongs to a checkpoint may not be")
            if alone and entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_nlink > 1:
                raise LinkError(f"{_short(entry.name)} is also a file elsewhere, by a hard link")
            if not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
                raise ValueError(f"{_short(entry.name)} is no ordinary file")


def load_json(data: bytes, finite: bool = True) -> Any:
    """The value that some JSON describes.

    Args:
        data: the JSON, UTF-8.
        finite: whether NaN and the infinities, which Python's `json` writes, are refused.

    Raises:
        ValueError: it is none; or it is too large, too deep, holds too many values or a number too long to be what seqgen writes.
    """
    if len(data) > LARGEST_JSON:
        raise ValueError("it is far too large to be what seqgen writes")
    if _cost(data) > _MEMORY and _cost(_STRINGS.sub(b"", data)) > _MEMORY:  # symbols may be made of commas and brackets
        raise ValueError("it holds far more values than what seqgen writes")

    def number(text: str) -> float:
        value = float(text)
        if finite and not math.isfinite(value):
            raise ValueError(f"{_short(text)} is not a finite number")
        return value

    try:
        value = json.loads(data.decode("utf-8-sig"), parse_int=_whole, parse_float=number, parse_constant=number)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
    if level:
        raise ValueError("it is nested too deep")
    return value


def _cost(data: bytes) -> int:
    """Bytes that the values of some JSON take at most, told by its commas, colons and brackets."""
    containers, items = (sum(map(data.count, each)) for each in ((b"{", b"["), (b",", b":")))
    return containers * _CONTAINER + items * _ITEM


def _inside(value: Any) -> Iterable[Any]:
    """The lists and dicts in a list or dict."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return (each for each in values if isinstance(each, dict | list))


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number has {len(text)} digits")
    return int(text)


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}...")


def _descriptor(folder: Path, name: str, links: bool) -> int:
    """An open file descriptor of what has this name."""
    if links or not _BY_FOLDER:
        path = folder
        for part in PurePosixPath(name).parts:
            path = path / part
            if not links:
                _refuse(os.lstat(path), path == folder / name)
        return os.open(path, os.O_RDONLY | _PLAIN | _AT_ONCE)
    *parents, last = PurePosixPath(name).parts
    within = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _PLAIN)
    try:
        for part in parents:
            _refuse(os.lstat(part, dir_fd=within), False)
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | _PLAIN, dir_fd=within)
            os.close(within)
            within = inner
        _refuse(os.lstat(last, dir_fd=within), True)
        return os.open(last, os.O_RDONLY | os.O_NOFOLLOW | _AT_ONCE | _PLAIN, dir_fd=within)
    finally:
        os.close(within)


def _refuse(about: os.stat_result, is_last: bool) -> None:
    """Refuses a link, and what is not a file though it stands at the end of a path: to open a device may do something."""
    if stat.S_ISLNK(about.st_mode) or getattr(about, "st_reparse_tag", 0) & _ELSEWHERE:
        raise LinkError("it is a link, which what belongs to a checkpoint may not be")
    if is_last and not stat.S_ISREG(about.st_mode):
        raise ValueError("it is no ordinary file")
