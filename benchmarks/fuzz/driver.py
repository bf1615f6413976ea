"""``fuzz()``: damaged inputs to a target for some time, in a child process that may crash, hang or grow without harm."""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import NamedTuple, Protocol

from fuzz import TARGETS
from fuzz.target import Case, Target
from seqgen.errors import SeqgenError

READ, REFUSED, STOPPED, CRASH, HANG, MEMORY = "read", "refused", "stopped", "crash", "hang", "memory"
DIED = "the process died"
GRACE = 5.0
"""Seconds after its time that an input has to answer the alarm; what hangs outside of Python does not."""
STARTUP = 120.0
"""Seconds until a child has its specimens."""
HEADROOM = 4 << 30
"""Bytes that a child may ask for beyond what it has at first."""
FRESH = 20_000
"""Inputs until a child makes room for a fresh one, so that what leaks slowly is no finding."""
_THREADS = "OMP_NUM_THREADS"
LARGEST = 200_000
"""Bytes of a file that can be a specimen."""


class Outcome(NamedTuple):
    """What came of an input.

    Attributes:
        kind: READ, REFUSED, CRASH, HANG or MEMORY; STOPPED where a worker of the program would have been ended.
        reason: of equal ones the same, whatever numbers and names are in it.
        details: of a finding.
        megabytes: by which the process grew.
        seconds: that it took.
    """

    kind: str
    reason: str
    details: str = ""
    megabytes: float = 0.0
    seconds: float = 0.0


class Finding(NamedTuple):
    """An input, by its index, that should not have led to what it did."""

    place: int
    outcome: Outcome


@dataclass
class Figures:
    """What was found out of a target.

    Attributes:
        target: its name.
        seed: of all chance.
        seconds: it took.
        outcomes: inputs by what came of them and why.
        findings: all of them.
        unread: specimens that were refused undamaged.
        megabytes: by which the process grew at most for an input.
        slowest: seconds that an input took at most, and its index.
    """

    target: str
    seed: int
    seconds: float = 0.0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    megabytes: float = 0.0
    slowest: tuple[float, int] = (0.0, 0)

    @property
    def inputs(self) -> int:
        """How many were run."""
        return self.outcomes.total()

    @property
    def read(self) -> int:
        """How many of them were read."""
        return self.count(READ)

    @property
    def refused(self) -> int:
        """How many were refused with a reason."""
        return self.count(REFUSED)

    @property
    def stopped(self) -> int:
        """How many would have ended a worker of the program, which says why and goes on."""
        return self.count(STOPPED)

    @property
    def crashes(self) -> int:
        """How many raised something else, or ended the process."""
        return self.count(CRASH)

    @property
    def hangs(self) -> int:
        """How many took too long."""
        return self.count(HANG)

    @property
    def over_memory(self) -> int:
        """How many needed too much memory."""
        return self.count(MEMORY)

    def count(self, kind: str) -> int:
        """How many inputs came to this."""
        return sum(count for (each, _), count in self.outcomes.items() if each == kind)

    def add(self, index: int, outcome: Outcome) -> None:
        """One more input."""
        if TARGETS[self.target].in_worker and (outcome.kind in (HANG, MEMORY) or outcome.reason == DIED):
            outcome = outcome._replace(kind=STOPPED, reason=f"{outcome.kind}: {outcome.reason}")
        self.outcomes[outcome.kind, outcome.reason] += 1
        self.megabytes = max(self.megabytes, outcome.megabytes)
        self.slowest = max(self.slowest, (outcome.seconds, index))
        if outcome.kind not in (READ, REFUSED, STOPPED):
            self.findings.append(Finding(index, outcome))


def fuzz(
    target: str,
    seconds: float = float("inf"),
    seed: int = 0,
    count: int | None = None,
    first: int = 0,
    folder: Path | None = None,
) -> Figures:
    """Runs inputs of a target until the time is over or there were so many.

    Args:
        target: its name in `TARGETS`.
        seconds: for all inputs; starting is not counted.
        seed: of all chance. An input depends on it and on its index alone.
        count: inputs at most; None: as many as there is time for.
        first: index of the first one.
        folder: of further specimens.
    """
    figures = Figures(target, seed)
    stop = sys.maxsize if count is None else first + count
    index = first
    while index < stop and figures.seconds < seconds:
        with _child(target, seed, (index, min(stop, index + FRESH)), folder) as (child, log):
            index = _watch(child, log, figures, index, seconds)
    return figures


def make(target: Target, specimens: Sequence[Case], seed: int, index: int) -> Case:
    """The input of this index."""
    draw = random.Random(f"{target.name}/{seed}/{index}")
    return target.mutate(draw.choice(specimens), specimens, draw)


def specimens_of(target: Target, folder: Path | None) -> list[Case]:
    """The specimens of a target, and of a folder with files that can be."""
    found = list(target.specimens())
    for path in sorted(folder.rglob("*")) if folder else ():
        if path.suffix.lower() in target.endings and path.is_file() and path.stat().st_size <= LARGEST:
            found.append(Case(path.name, path.read_bytes()))
    return found


class _Child(Protocol):
    """What is asked of a child."""

    def poll(self, timeout: float) -> bool:
        """Whether there is something to receive, or it has gone."""
        ...

    def recv(self) -> object:
        """What it has sent; EOFError where it has gone."""
        ...


@contextlib.contextmanager
def _child(name: str, seed: int, indices: tuple[int, int], folder: Path | None) -> Iterator[tuple[_Child, Path]]:
    """A process that runs inputs, and where it writes; all that it has started ends with it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix="seqgen-fuzz-", ignore_cleanup_errors=True) as scratch:
        home, log = Path(scratch, "home"), Path(scratch, "log")
        home.mkdir()
        process = context.Process(
            target=_work, args=(name, seed, indices, folder and folder.absolute(), theirs, home, log)
        )
        with _single_threaded():
            process.start()
        theirs.close()
        try:
            yield ours, log
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError, TypeError):
                os.killpg(process.pid, signal.SIGKILL)  # type: ignore[arg-type] # it leads a group of its own
            process.kill()
            process.join()
            ours.close()


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """What is started in here computes with one thread: several would wait for each other in models as small as these."""
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_THREADS]
        else:
            os.environ[_THREADS] = before


def _watch(child: _Child, log: Path, figures: Figures, index: int, seconds: float) -> int:
    """Takes what a child sends until it is through, has to be ended, or the time is over; the index to go on with.

    Raises:
        RuntimeError: it could not make its specimens.
    """
    limit = TARGETS[figures.target].seconds
    if not child.poll(STARTUP):
        raise RuntimeError(f"{figures.target}: no specimens after {STARTUP:.0f} s: {_tail(log)}")
    try:
        figures.unread = child.recv()  # type: ignore[assignment]
    except EOFError:
        raise RuntimeError(f"{figures.target} cannot make its specimens: {_tail(log)}") from None
    began, before = time.monotonic(), figures.seconds
    try:
        while figures.seconds < seconds:
            if not child.poll(limit + GRACE):
                figures.add(index, Outcome(HANG, "outside of Python", _tail(log), seconds=limit + GRACE))
                return index + 1
            received = child.recv()
            if received is None:
                return index
            assert isinstance(received, Outcome)
            figures.add(index, received)
            index += 1
            figures.seconds = before + time.monotonic() - began
            if received.kind in (HANG, MEMORY):
                return index  # whatever was interrupted may not be as it was
    except EOFError:
        figures.add(index, Outcome(CRASH, DIED, _tail(log)))
        return index + 1
    finally:
        figures.seconds = before + time.monotonic() - began
    return index


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] if log.exists() else ""


def _work(
    name: str, seed: int, indices: tuple[int, int], folder: Path | None, parent: Connection, home: Path, log: Path
) -> None:
    """The child: runs the inputs with these indices, and sends what comes of each."""
    os.setsid()
    with log.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    faulthandler.enable()
    warnings.simplefilter("ignore")
    os.chdir(home)
    os.environ |= {"SEQGEN_CACHE": str(home / "cache"), "HOME": str(home), "TMPDIR": str(home)}
    stay_in(home)
    target = TARGETS[name]
    specimens = specimens_of(target, folder)
    parent.send([case.name for case in specimens if outcome(target, case).kind != READ])  # which also warms it up
    full = _bound_memory()
    for index in range(*indices):
        if _address_space() > full:
            break  # libraries keep what they have computed with: a fresh child goes on
        parent.send(outcome(target, make(target, specimens, seed, index)))
    parent.send(None)


def outcome(target: Target, case: Case) -> Outcome:
    """Runs an input within its limits."""
    before = _start_peak()
    started = time.perf_counter()
    found = _run(target, case)
    grown = (_peak() - before) / (1 << 20)
    if grown > target.megabytes and found.kind in (READ, REFUSED):
        found = Outcome(MEMORY, f"grew by more than {target.megabytes} MB", f"{found.kind}, {found.reason}")
    return found._replace(megabytes=grown, seconds=time.perf_counter() - started)


def stay_in(home: Path) -> None:
    """From now on this process changes nothing outside of a folder, speaks to no network and starts nothing but Python: what
    is fuzzed may name any file."""
    top, nowhere = os.path.realpath(home), os.path.realpath(os.devnull)

    def forbid(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            _, _, flags = arguments
            if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                check(arguments[0])
        elif event in _CHANGES:
            check(arguments[0])
        elif event == "socket.connect" or (event == "subprocess.Popen" and arguments[0] != sys.executable):
            raise PermissionError(errno.EACCES, f"no {event} while this is fuzzed")

    def check(path: object) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            real = os.path.realpath(os.fsdecode(path))
            if real != nowhere and os.path.commonpath([top, real]) != top:
                raise PermissionError(errno.EACCES, "outside of the folder while this is fuzzed", real)

    sys.addaudithook(forbid)


_CHANGES = frozenset(
    {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.link", "os.symlink"}
)


class _TimeIsOver(BaseException):
    """No Exception, so that nothing holds it for a reader's own."""


def _run(target: Target, case: Case) -> Outcome:
    def stop(number: int, frame: FrameType | None) -> None:
        raise _TimeIsOver

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, target.seconds)
    try:
        target.run(case)
    except SeqgenError as error:
        if not error.what.strip() or "internal error" in str(error).lower():
            return _finding(CRASH, error)
        return Outcome(REFUSED, general(error.what))
    except _TimeIsOver as error:
        return _finding(HANG, error)
    except MemoryError as error:
        return _finding(MEMORY, error)
    except BaseException as error:  # what a crash is: a reader may raise anything, and so it does
        return _finding(CRASH, error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return Outcome(READ, "")


def _finding(kind: str, error: BaseException) -> Outcome:
    """What was raised, and where in seqgen or, where it is not on the way, in the target."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if "/seqgen/" in frame.filename] or frames
    place = f"{Path(inside[-1].filename).name}, {inside[-1].name}" if inside else "?"
    details = "".join(traceback.format_exception(error, limit=-8))[-3000:]
    return Outcome(kind, f"{type(error).__name__} in {place}: {general(str(error))}", details)


def general(reason: str) -> str:
    """Without what differs from input to input."""
    reason = re.sub(r"'[^']*'|\"[^\"]*\"|\(.*|the first: .*", "…", reason, flags=re.DOTALL)
    return re.sub(r"\d[\d,.]*", "N", reason).strip()[:100]


def _bound_memory() -> int:
    """No more than so much beyond what there is now; what asks for more gets a MemoryError. How much half of that is."""
    now = _address_space()
    if now:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (now + HEADROOM, now + HEADROOM))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return now + HEADROOM // 2


def _address_space() -> int:
    """Bytes that this process has asked for; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    return 0


def _start_peak() -> int:
    """Bytes of memory now; from here on the peak is taken anew, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    """Bytes of memory at most since then."""
    with contextlib.suppress(OSError):
        match = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
        if match:
            return int(match[1]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
