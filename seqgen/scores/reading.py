"""Music files as text, read in worker processes that may crash, hang or run out of memory without harm."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from seqgen.errors import DataError
from seqgen.scores.worker import BYTES_A_SECOND, MIDI, SECONDS, TINY, receive, send

SHEETS = frozenset({".musicxml", ".mxl", ".xml", ".abc", ".krn"})
SUFFIXES = MIDI | SHEETS
"""Endings of the files that can be read, in lower case."""
LARGEST = 64 << 20
"""Bytes of a file; a larger one is refused unread."""
MOST_IN_FLIGHT = 64 << 20
"""Bytes that wait for a worker or in one."""
FILES_A_WORKER = 4
"""As many files must be there for one more worker: it takes a moment to start."""
MOST_FILES = 2000
"""That a worker reads before it makes room for a fresh one, as readers may leak."""
_BAD = "Open it in a music editor and export it again."


@dataclass(frozen=True)
class File:
    """A music file, or a member of an archive.

    Attributes:
        name: for messages.
        suffix: its ending, with the dot and in lower case; one of SUFFIXES.
        open: gives its bytes.
    """

    name: str
    suffix: str
    open: Callable[[], BinaryIO]


@dataclass(frozen=True)
class Read:
    """What a file says.

    Attributes:
        text: its pieces in the form of `seqgen.scores.notation`, with a blank line between them.
        skipped: a line for each tune in it that could not be read, and why.
    """

    text: str
    skipped: list[str] = field(default_factory=list)


def read_all(files: Iterable[File], most: int | None = None, seconds: float = SECONDS) -> Iterator[Read | DataError]:
    """One result for each file, in their order; never raises for a bad file.

    Args:
        files: opened one after another, from the thread that asks for the results.
        most: worker processes; as many as the processor has cores if None.
        seconds: that reading one file may take; a collection of tunes may take longer, by its size.
    """
    most = most or os.cpu_count() or 1
    coming = iter(files)
    first = list(itertools.islice(coming, most * FILES_A_WORKER))
    count = max(1, min(most, len(first) // FILES_A_WORKER))
    with _Pool(count, seconds) as pool:
        yield from pool.read(itertools.chain(first, coming))


def read_tinynotation(text: str) -> str:
    """The text form of music21's tinynotation, like `4/4 c4 d8 e f2`.

    Raises:
        DataError: it is not of that form.
    """
    with _Pool(1, SECONDS) as pool:
        result = pool.submit(text.encode("utf-8", "replace"), TINY, "tinynotation").result()
    if isinstance(result, DataError):
        raise result
    return result.text


class _Pool:
    """Threads that each borrow a worker process for each file; all processes end with it."""

    def __init__(self, workers: int, seconds: float) -> None:
        self.ahead = 4 * workers
        self.seconds = seconds
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="music")
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            workers = list(self._all)
        for worker in workers:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)

    def read(self, files: Iterable[File]) -> Iterator[Read | DataError]:
        """The results in order, with a few files in flight."""
        waiting: deque[tuple[int, Future[Read | DataError]]] = deque()
        for file in files:
            data = _bytes_of(file)
            size = 0 if isinstance(data, DataError) else len(data)
            while waiting and (len(waiting) >= self.ahead or sum(size for size, _ in waiting) + size > MOST_IN_FLIGHT):
                yield waiting.popleft()[1].result()
            if isinstance(data, DataError):
                done: Future[Read | DataError] = Future()
                done.set_result(data)
                waiting.append((0, done))
            else:
                waiting.append((size, self.submit(data, file.suffix, file.name)))
            del data
        while waiting:
            yield waiting.popleft()[1].result()

    def submit(self, data: bytes, suffix: str, name: str) -> Future[Read | DataError]:
        """Has a file read by the next worker that is free."""
        return self._threads.submit(self._read, data, suffix, name)

    def _read(self, data: bytes, suffix: str, name: str) -> Read | DataError:
        try:
            worker = self._borrow()
        except OSError as error:
            return DataError(f"no process can be started to read it ({error.strerror})", where=name)
        result = worker.read(data, suffix, name, self.seconds)
        self._give_back(worker)
        return result

    def _borrow(self) -> _Worker:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._closed:
                raise OSError(0, "reading was ended")
            worker = _Worker()
            self._all.add(worker)
            return worker

    def _give_back(self, worker: _Worker) -> None:
        if worker.failed or worker.files >= MOST_FILES:
            worker.kill()
            with self._lock:
                self._all.discard(worker)
        else:
            with self._lock:
                self._idle.append(worker)


class _Worker:
    """A process that reads one file at a time."""

    def __init__(self) -> None:
        # -P: the folder that seqgen is called in may hold a socket.py of somebody else.
        command = [sys.executable, "-P", "-B", "-m", "seqgen.scores.worker"]
        self._process = subprocess.Popen(  # noqa: S603  (the command is ours)
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment()
        )
        self._killing = threading.Lock()
        self.files = 0
        self.failed = False

    def read(self, data: bytes, suffix: str, name: str, seconds: float) -> Read | DataError:
        """A file's result; afterwards `failed` says whether this worker is of no more use."""
        if suffix == ".abc":
            seconds += len(data) / BYTES_A_SECOND
        late = threading.Event()

        def stop() -> None:
            late.set()
            self.kill()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            answer = self._ask(suffix, data, seconds)
        finally:
            timer.cancel()
        self.files += 1
        self.failed = answer is None or late.is_set() or "memory" in answer
        if answer is None:
            return DataError(self._epitaph(late.is_set(), seconds), where=name, hint=_BAD)
        if "what" in answer:
            return DataError(answer["what"], where=name, hint=answer["hint"])
        return Read(answer["text"], answer["skipped"])

    def kill(self) -> None:
        """Ends the process, at once."""
        with self._killing:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError, ValueError):
                if pipe:
                    pipe.close()

    def _ask(self, suffix: str, data: bytes, seconds: float) -> dict[str, Any] | None:
        """The answer; None where the process died over it."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests and answers
        try:
            send(requests, json.dumps({"suffix": suffix, "seconds": seconds}).encode())
            send(requests, data)
            answer = receive(answers)
            return None if answer is None else dict(json.loads(answer))
        except (OSError, ValueError):  # ValueError: a pipe that was closed
            return None

    def _epitaph(self, late: bool, seconds: float) -> str:
        self.kill()
        if late or self._process.returncode == -getattr(signal, "SIGXCPU", 0):
            return f"took longer than {seconds:.3g} seconds to read"
        return "crashed the reader"


def _environment() -> dict[str, str]:
    """Python finds the same modules in a worker as here, wherever seqgen lies, and a library starts no threads of its own."""
    path = [folder for folder in sys.path if folder]
    path.append(str(Path(__file__).parents[2]))
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)), "PYTHONIOENCODING": "utf-8"}


def _bytes_of(file: File) -> bytes | DataError:
    try:
        with contextlib.closing(file.open()) as opened:
            data = opened.read(LARGEST + 1)
    except DataError as error:
        return DataError(error.what, where=error.where or file.name, hint=error.hint)
    except OSError as error:  # its text would hold the path: no two reasons would be the same
        return DataError(f"cannot be read: {error.strerror or error}", where=file.name)
    except Exception as error:  # a damaged archive raises what its kind of archive raises
        return DataError(f"cannot be opened ({str(error) or type(error).__name__})", where=file.name)
    if len(data) > LARGEST:
        return DataError(f"larger than {LARGEST >> 20} MB", where=file.name, hint="No piece of music needs that much.")
    return data
