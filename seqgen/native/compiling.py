"""A C source of seqgen's own becomes a library that this process can call, compiled once for each machine.

The library lies in the cache. It is code, so it is made and loaded only where nobody but this user can have written it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from seqgen.disk import sync_file
from seqgen.folders import NATIVE, cache_folder

SWITCH = "SEQGEN_NATIVE"
"""The environment variable: `off` leaves the compiled path alone."""
FLAGS = ("-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
FOR_THIS_PROCESSOR: tuple[list[str], ...] = (["-march=native"], ["-mcpu=native"], [])
"""Ways to ask for all that the processor can do; compilers differ. The last asks for nothing."""
PATIENCE = 30.0
"""Seconds that a compiler may take."""
FAILED = ".failed"
"""Ends the name of a file that says why there is no library, so that nobody tries again each time."""
_VERSION = 1


def find_compilers() -> Iterator[list[str]]:
    """The commands of C compilers at hand: `$CC`, `cc`, `gcc`, `clang`, and the one in the package `ziglang`."""
    with contextlib.suppress(ValueError):
        if command := shlex.split(os.environ.get("CC", "")):
            yield command
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            yield [path]
    if importlib.util.find_spec("ziglang"):
        yield [sys.executable, "-m", "ziglang", "cc"]


@functools.cache
def load_library(source: Path) -> ctypes.CDLL | None:
    """The library of a C source, compiled if need be.

    Returns:
        None where it is switched off, there is no compiler, or it does not compile or load: there is another way for all
        that it does.
    """
    if os.environ.get(SWITCH, "").lower() in ("off", "0", "no"):
        return None
    compilers = list(find_compilers())
    key = "\n".join([str(_VERSION), *map(shlex.join, compilers), *FLAGS, platform.platform(), _processor()]).encode()
    folder = cache_folder() / NATIVE
    library = folder / f"{source.stem}-{hashlib.sha256(source.read_bytes() + key).hexdigest()[:32]}.so"
    with contextlib.suppress(OSError):
        _make(folder)
        if not compilers or not all(map(_is_ours_alone, (folder.absolute(), *folder.absolute().parents))):
            return None
        if not library.is_file() and not library.with_suffix(FAILED).is_file():
            _compile(compilers, source, library)
        if library.is_file() and _is_ours_alone(library):
            return ctypes.CDLL(str(library))
    return None


def _compile(compilers: list[list[str]], source: Path, library: Path) -> None:
    """Writes the library beside its place and moves it there whole; where no compiler can, a note that says why."""
    said = []
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        made = Path(scratch) / library.name
        for compiler in compilers:
            for flags in FOR_THIS_PROCESSOR:
                command = [*compiler, *flags, *FLAGS, str(source), "-o", str(made), "-lm"]
                error = _run(command)
                if error is None and made.is_file():
                    made.chmod(0o700)  # whatever the umask is
                    sync_file(made)  # a library of zeros, after the power failed, would end every process that loads it
                    made.replace(library)
                    return
                said.append(f"{shlex.join(command)}\n{error}")
        note = Path(scratch) / "note"
        note.write_text("\n\n".join(said), encoding="utf-8")
        note.replace(library.with_suffix(FAILED))


def _run(command: list[str]) -> str | None:
    """Runs a compiler to its end; what it says if it fails."""
    pipe = subprocess.PIPE
    try:  # the command is the user's own compiler, the source is ours
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        return str(error)
    with process:
        try:
            said, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            _end(process)
            return f"did not end within {PATIENCE:g} seconds"
        except BaseException:
            _end(process)
            raise
    return None if process.returncode == 0 else said.decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a compiler and those that it has started."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _is_ours_alone(path: Path) -> bool:
    """Whether nobody but this user and the system's can put something else in the place of a file or folder."""
    if not hasattr(os, "getuid"):
        return True
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):  # of a parent; what it leads to is looked at, too
        return status.st_uid in (0, os.getuid()) and all(map(_is_ours_alone, (path.resolve(), *path.resolve().parents)))
    others = stat.S_IWOTH if _is_private(status.st_gid) else stat.S_IWOTH | stat.S_IWGRP
    shared = bool(status.st_mode & others) and not status.st_mode & stat.S_ISVTX
    return status.st_uid in (0, os.getuid()) and not shared


def _is_private(group: int) -> bool:
    """Whether a group has this user and nobody else in it, as many systems make one for each user."""
    import grp
    import pwd

    with contextlib.suppress(KeyError):
        user, known = pwd.getpwuid(os.getuid()), grp.getgrgid(group)
        return user.pw_gid == group and known.gr_name == user.pw_name and set(known.gr_mem) <= {user.pw_name}
    return False


def _make(folder: Path) -> None:
    """A folder and those above it that are missing, each for this user alone."""
    for missing in (*reversed(folder.parents), folder):
        if not missing.exists():
            missing.mkdir(mode=0o700, exist_ok=True)


def _processor() -> str:
    """What the compiler goes by: a cache on a shared disk may be used by machines of several kinds."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return platform.processor()
