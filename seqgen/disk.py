"""Writes that outlast a power cut.

Whatever must last goes through here, in steps of the system that can be counted: so tests can let each of them fail, be
the last one before the power is gone, or the one at which the process is killed (`tests/power.py`, `tests/killing.py`).
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

OWNER = 0o600
"""The mode of a file that its owner alone can read and write."""
OWNER_FOLDER = 0o700
_WRITABLE = os.O_RDWR
"""How a file is opened to be synced: some systems sync only what could be written."""
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would change the ends of lines
_NO_WAY = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.ENOSYS}
"""What file systems that sync no folders say to it, as those of some networks and of folders shared with a virtual machine."""


def replace_file(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Writes a file beside its place, and puts it there once it is whole on the disk: the old one or the new one is there,
    whatever happens.

    Args:
        path: of the file.
        data: what it is to hold.
        mode: who may read it, in so far as the umask lets them.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """
    beside = path.with_name(path.name + ".tmp")
    try:
        remove(beside)  # it may be a link, or of another mode
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode)
        try:
            _write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            remove(beside)
        raise
    sync_folder(path.parent)


def append(path: Path, data: bytes, length: int, mode: int = 0o666) -> int:
    """Writes behind what a file holds, to last; returns its new length in bytes.

    Args:
        path: of the file, which is made if it is not there.
        data: what is to be added.
        length: of what it holds; what stands behind that, a write that failed has left there.
        mode: who may read a new file, in so far as the umask lets them.

    Raises:
        OSError: it cannot be written; up to `length` the file is as it was.
    """
    made = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY, mode)
    try:
        if os.fstat(descriptor).st_size > length:
            os.ftruncate(descriptor, length)
        _write(descriptor, data)
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, length)
        raise
    finally:
        os.close(descriptor)
    if made:
        sync_folder(path.parent)
    return length + len(data)


def cut(path: Path, length: int) -> None:
    """Cuts a file back to this length, to last; a shorter one, and one that is not there, stays as it is.

    Raises:
        OSError: it cannot be cut.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | _BINARY)
    except FileNotFoundError:
        return
    try:
        if os.fstat(descriptor).st_size > length:
            os.ftruncate(descriptor, length)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Removes a file, if it is there.

    Raises:
        OSError: it cannot be removed.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Makes a folder, and those above it, to last; one that is there stays as it is.

    Args:
        path: of the folder.
        mode: who may look into it, in so far as the umask lets them; those above it are made with the system's usual mode.

    Raises:
        OSError: it cannot be made, or there is a file of that name.
    """
    if path.is_dir():
        return
    if not path.parent.is_dir():
        make_folder(path.parent)
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if not path.is_dir():
            raise
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Makes what another process, which may have been killed since, has written to a file last, and the file's name.

    Raises:
        OSError: it cannot be synced.
    """
    _sync(path, _WRITABLE)
    sync_folder(path.parent)


def sync_tree(folder: Path) -> None:
    """Makes a folder's files and names last, and those of the folders in it.

    Raises:
        OSError: one of them cannot be synced.
    """
    for path in folder.iterdir():
        if path.is_dir():
            sync_tree(path)
        else:
            _sync(path, _WRITABLE)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder last, where the system has a way to do that.

    Raises:
        OSError: it cannot be synced.
    """
    if os.name == "posix":
        try:
            _sync(folder, os.O_RDONLY)
        except OSError as error:
            if error.errno not in _NO_WAY:
                raise


def _sync(path: Path, flags: int) -> None:
    """Makes what is in a file or folder last."""
    descriptor = os.open(path, flags | _BINARY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    """Writes all of it: the system may take a part at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
