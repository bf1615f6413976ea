"""A C source of seqgen's own becomes a library that this process can call, compiled once for each machine.

The library lies in the cache. It is code, so it is loaded only where nobody but its owner could have written it.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib.util
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from seqgen.cache import cache_folder

SWITCH = "SEQGEN_NATIVE"
"""The environment variable: `off` leaves the compiled path alone."""
FOLDER = "native"
FLAGS = ("-std=gnu11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
PATIENCE = 120.0
"""Seconds that a compiler may take."""
_VERSION = 1


def find_compiler() -> list[str] | None:
    """The command of a C compiler: `$CC`, `cc`, `gcc` or `clang`, else the one in the package `ziglang`; None: there is none."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and (path := shutil.which(name)):
            return [path, "-march=native"]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc", "-mcpu=native"]
    return None


@functools.cache
def load_library(source: Path) -> ctypes.CDLL | None:
    """The library of a C source, compiled if need be.

    Returns:
        None where it is switched off, there is no compiler, or it does not compile or load: there is another way for all
        that it does.
    """
    if os.environ.get(SWITCH, "").lower() in ("off", "0", "no") or not (compiler := find_compiler()):
        return None
    code = source.read_bytes()
    key = "\n".join([str(_VERSION), *compiler, *FLAGS, platform.platform(), _processor()]).encode()
    folder = cache_folder() / FOLDER
    library = folder / f"{source.stem}-{hashlib.sha256(code + key).hexdigest()[:32]}.so"
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(folder):
            return None
        if not library.is_file():
            _compile(compiler, source, library)
        if _is_ours(library):
            return ctypes.CDLL(str(library))
    return None


def _compile(compiler: list[str], source: Path, library: Path) -> None:
    """Writes the library beside its place, and moves it there whole."""
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        made = Path(scratch) / library.name
        command = [*compiler, *FLAGS, str(source), "-o", str(made), "-lm"]
        # The command is the user's own compiler, the source is ours.
        subprocess.run(  # noqa: S603
            command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE
        )
        made.replace(library)


def _is_ours(path: Path) -> bool:
    """Whether nobody but this user can have written it."""
    if not hasattr(os, "getuid"):
        return True
    status = path.stat()
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _processor() -> str:
    """What the compiler goes by: a cache on a shared disk may be used by machines of several kinds."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return platform.processor()
