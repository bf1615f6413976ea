"""Files of tokenizers from elsewhere that a library in C++ will read: a crafted one could crash the program.

So an unknown file is first read in a process of its own, and remembered by its SHA-256 where that went well.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from seqgen.folders import cache_folder

PATIENCE = 60.0
"""Seconds that the other process may take."""
MEGABYTES = 150
"""By which it may grow, where the system can say that: this one would grow as much."""
_WORKER = """
import contextlib, os, sys
from seqgen.tokenizers import TOKENIZERS
make, most, data = TOKENIZERS[sys.argv[1]], int(sys.argv[2]) << 20, sys.stdin.buffer.read()
with contextlib.suppress(ImportError, OSError, ValueError):
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 4 * most, now + 4 * most))
def peak():
    with contextlib.suppress(ImportError):
        import resource
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return 0
before = peak()
try:
    make(data)
except ValueError as error:
    sys.exit(str(error))
except MemoryError:
    sys.exit("it takes too much memory")
if peak() - before > most:
    sys.exit("it takes too much memory")
"""
_PACKAGE = Path(__file__).parents[2]


def check(kind: str, data: bytes) -> None:
    """Makes sure that this file can be read without harm.

    Args:
        kind: the tokenizer's name; its class takes the bytes of the file.
        data: of the file.

    Raises:
        ValueError: the other process refused it, crashed, or did not come to an end.
    """
    with contextlib.suppress(OSError):
        if _known(data).exists():
            return
    # -P and the paths: the worker finds the modules that we found, and none that lies in the working folder by chance.
    command = [sys.executable, "-P", "-c", _WORKER, kind, str(MEGABYTES)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_PACKAGE), *filter(None, sys.path)])}
    try:
        done = subprocess.run(  # noqa: S603 - our own Python, our own code
            command, input=data, env=environment, capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"it was not read within {PATIENCE:g} seconds") from error
    except OSError as error:
        raise ValueError(f"it could not be tried out: {error}") from error
    if done.returncode != 0:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ValueError(lines[-1][:300] if done.returncode == 1 and lines else "it crashes the library that reads it")
    remember(data)


def remember(data: bytes) -> None:
    """Notes that a file is harmless; not being able to is no harm, it is tried again then."""
    known = _known(data)
    with contextlib.suppress(OSError):
        known.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        known.touch(mode=0o600)


def _known(data: bytes) -> Path:
    """The empty file that stands for a file that was read without harm."""
    return cache_folder() / "known-models" / hashlib.sha256(data).hexdigest()
