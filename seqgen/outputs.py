"""Files that are written where a user says: whole or not at all, and none over another by chance."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from seqgen.errors import DataError, UsageError


def check_output(path: Path, force: bool) -> None:
    """Refuses to overwrite a file, before any work is done.

    Raises:
        UsageError: it exists and `--force` was not given, it is a folder, or its folder does not exist.
    """
    if path.is_dir():
        raise UsageError("this is a folder", where=str(path), hint="Name a file in it.")
    taken = path.is_file() or (path.is_symlink() and not path.exists())  # a device or a pipe may be written to
    if taken and not force:
        raise UsageError(
            "this file exists already", where=str(path), hint="Choose another name, or overwrite it with --force."
        )
    if not path.absolute().parent.is_dir():
        raise UsageError("there is no such folder", where=str(path), hint=f"Make {path.parent} first.")


def write_file(path: Path, data: bytes) -> None:
    """Writes a whole file or none. A device or a pipe is written to, not replaced by a file.

    Raises:
        DataError: it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        descriptor, beside = tempfile.mkstemp(dir=path.absolute().parent, prefix=".seqgen-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)  # else a file that is replaced may be lost with the new one when the power fails
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(beside, 0o666 & ~umask)
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", where=str(path)) from error


def numbered(path: Path, index: int, count: int) -> Path:
    """`p.txt` for a sole result, `p-01.txt`, `p-02.txt`... for several."""
    return path if count == 1 else path.with_name(f"{path.stem}-{index + 1:0{max(2, len(str(count)))}d}{path.suffix}")
