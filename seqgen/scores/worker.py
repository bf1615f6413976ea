"""A process that reads music files sent to it: ``python -m seqgen.scores.worker``, started by `seqgen.scores.reading`.

Readers of music files are large, and files come from anywhere: here a crash costs one file, time and memory are bounded,
and neither the network nor any file can be touched.

A request is a JSON object (``suffix`` and ``seconds``) and the file's bytes, an answer is a JSON
object: ``text`` and ``skipped``, or ``what`` and ``hint``. Each of them stands behind its length.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import signal
import struct
import sys
import time
import warnings
from typing import IO, Any

from seqgen.errors import DataError
from seqgen.scores import notation
from seqgen.scores.piece import Piece

MIDI = frozenset({".mid", ".midi", ".kar", ".smf"})
TINY = ".tinynotation"
"""Not the ending of a file: music21's own short form, as people type it."""
MEMORY = 2 << 30
"""Bytes of address space of a worker."""
SECONDS = 30
"""For one file."""
BYTES_A_SECOND = 10_000
"""By which a collection of tunes may take longer."""
_LENGTH = struct.Struct(">Q")
_FORBIDDEN = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "os.spawn", "os.startfile",
              "os.remove", "os.rename", "os.rmdir", "os.mkdir", "shutil.", "tempfile.", "urllib.", "webbrowser.")  # fmt: skip


def main() -> None:
    """Answers until there are no more requests."""
    requests, answers = sys.stdin.buffer, _take_output()
    _limit()
    while (header := receive(requests)) is not None:
        data = receive(requests) or b""
        request = json.loads(header)
        _allow_seconds(request["seconds"])
        answer = _answer(request["suffix"], data)
        send(answers, json.dumps(answer).encode())
        del data, answer


def send(file: IO[bytes], message: bytes) -> None:
    """Writes a message behind its length."""
    file.write(_LENGTH.pack(len(message)))
    file.write(message)
    file.flush()


def receive(file: IO[bytes]) -> bytes | None:
    """The next message; None where the other side has gone."""
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    message = file.read(length)
    return message if len(message) == length else None


def _answer(suffix: str, data: bytes) -> dict[str, Any]:
    try:
        pieces, skipped = _read(suffix, data)
        return {
            "text": "\n\n".join(notation.write(piece, barlines=False).strip() for piece in pieces),
            "skipped": skipped,
        }
    except DataError as error:
        return {"what": error.what, "hint": error.hint}
    except MemoryError:
        return {"what": f"needs more than {MEMORY >> 30} GB of memory to be read", "hint": None, "memory": True}
    except RecursionError:
        return {"what": "too deeply nested", "hint": None}
    except Exception as error:  # a reader's own: they raise anything
        return {"what": f"its reader failed ({type(error).__name__}: {str(error)[:200]})", "hint": None}


def _read(suffix: str, data: bytes) -> tuple[list[Piece], list[str]]:
    if suffix in MIDI:
        from seqgen.scores.from_midi import read_midi

        return [read_midi(data)], []
    from seqgen.scores.from_sheets import read_sheet, read_tinynotation

    if suffix == TINY:
        return [read_tinynotation(data.decode())], []
    return read_sheet(data, suffix)


def _take_output() -> IO[bytes]:
    """The pipe to the parent; whatever a reader prints goes nowhere."""
    answers = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return answers


def _limit() -> None:
    """Bounds what a reader may do, as far as the system can."""
    with contextlib.suppress(ValueError, OSError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and ends its workers
    warnings.simplefilter("ignore")
    sys.addaudithook(_forbid)
    with contextlib.suppress(ImportError):
        import resource

        for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(what, (most, most))
    gc.set_threshold(200_000)  # scores are cyclic; collecting as often as usual would double the time


def _allow_seconds(seconds: float) -> None:
    """The processor's time that the next file may take; the parent's clock is the limit where there is none."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + math.ceil(seconds), most))


def _forbid(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: no network, no other program, and no file but for reading."""
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"{event} is forbidden while music is read")
    if event == "open":
        flags = arguments[2] if len(arguments) > 2 else 0
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise PermissionError(f"writing to {arguments[0]!r} is forbidden while music is read")


if __name__ == "__main__":
    main()
