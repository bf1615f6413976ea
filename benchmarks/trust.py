"""Every promise of docs/trust.md, tried: kills, power failures, full disks, damaged and hostile files, and memory over time."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import errno
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the trials are those of the tests

from broken import prepared
from common import SEQGEN, heading
from fuzz import TARGETS
from fuzz.driver import fuzz
from fuzz.flips import flip_every_byte

from seqgen.errors import SeqgenError
from seqgen.machine import describe
from tests.killing import Trainings, bits, variants
from tests.outages import check, outages, record, record_killed, train_through
from tests.power import Failing
from tests.specimens import OLD
from tests.texts import verse

PAGE = Path(__file__).parents[1] / "docs/trust.md"
BEGIN, END = "<!-- measured -->", "<!-- end of what was measured -->"
HEAD = "| tried | seen | on |\n|---|---|---|"
GROWTH = 0.01
"""The share by which memory may grow in 1,000 steps."""
FLAT = 0.02
"""The share by which memory may grow between the first tenth of a million sampled symbols and the last."""


@dataclass(frozen=True)
class Row:
    """A line of the table: what was tried, what came of it, and whether the promise was kept."""

    what: str
    came_to: str
    kept: bool


@dataclass
class Count:
    """How much was tried, and how much of it was survived."""

    tried: int = 0
    survived: int = 0

    @property
    def is_full(self) -> bool:
        """Whether all was survived."""
        return self.survived == self.tried > 0

    @contextlib.contextmanager
    def of(self, number: int) -> Iterator[None]:
        """Counts what is tried in here: survived, if nothing is raised."""
        self.tried += number
        try:
            yield
            self.survived += number
        except (AssertionError, SeqgenError, OSError, ValueError, KeyError) as error:
            print(f"not survived: {type(error).__name__}: {error}", flush=True)

    def __str__(self) -> str:
        return f"{self.survived:,} of {self.tried:,}"


@dataclass(frozen=True)
class Amount:
    """How much is tried."""

    kills: int
    seconds: float
    files: int
    steps: int
    symbols: int
    seed: int


def main() -> None:
    """Prints a row for each trial, and writes them into the page; fails where a promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"some of {', '.join(PARTS)} (default all)")
    parser.add_argument("--kills", type=int, default=240, help="how often trainings are killed (default 240)")
    parser.add_argument("--minutes", type=float, default=10, help="for each target that is fuzzed (default 10)")
    parser.add_argument("--targets", default=",".join(TARGETS), help=f"of fuzzing (default {','.join(TARGETS)})")
    parser.add_argument("--files", type=int, default=10_000, help="of a corpus with 3 %% broken ones (default 10,000)")
    parser.add_argument("--steps", type=int, default=30_000, help="of the training whose memory is watched")
    parser.add_argument("--symbols", type=int, default=1_000_000, help="of the sample whose memory is watched")
    parser.add_argument("--seed", type=int, default=0, help="of all chance")
    parser.add_argument("--write", action="store_true", help="put the rows into docs/trust.md")
    options = parser.parse_args()
    heading("Promises, tried", "Each row says what was done, how often, and how often the promise was kept.")
    amount = Amount(options.kills, 60 * options.minutes, options.files, options.steps, options.symbols, options.seed)
    broken = False
    for part in options.parts.split(","):
        trials = fuzzed(amount, options.targets.split(",")) if part == "fuzz" else PARTS[part](amount)
        for row in trials:
            print(f"{row.what}: {row.came_to}{'' if row.kept else '   A PROMISE IS BROKEN'}", flush=True)
            broken = broken or not row.kept
            if options.write:
                note(row)
    sys.exit("a promise is broken: see above" if broken else 0)


def killed(amount: Amount) -> Iterator[Row]:
    """Trainings of every kind, killed again and again, and gone on with to their end."""
    some, each = variants(), -(-amount.kills // len(variants()))
    begun, count, ended = time.perf_counter(), Count(), 0
    with tempfile.TemporaryDirectory() as folder, Trainings(Path(folder)) as trainings:
        for variant in some:
            with count.of(each):
                ended += trainings.survives(variant, each, amount.seed + 1)
    yield Row(
        f"kills (SIGKILL) at random moments and steps of a save, {len(some)} kinds of training",
        f"{count} survived; {ended} trainings ended with the same bits; {time.perf_counter() - begun:.0f} s",
        count.is_full,
    )


def failed_power(amount: Amount) -> Iterator[Row]:
    """The power fails at every step of every save of a training, and behind a kill, in every way."""
    with _corpus() as corpus, _quiet():
        recorder = record(corpus, corpus.parent / "disk")
        wanted, copy = recorder.root / "checkpoints/model", corpus.parent / "copy"
        count, resumed = Count(), 0
        for steps, policy, disk in outages(recorder, range(len(recorder.log) + 1)):
            goes_on = count.tried % 11 == 0
            disk.write(copy)
            with count.of(1):
                check(recorder, copy, steps, policy, wanted if goes_on else None)
                resumed += goes_on
        for at in range(30, recorder.saves[3], 4):
            again, begun = record_killed(corpus, corpus.parent / f"disk-{at}", at)
            for steps, policy, disk in outages(again, range(begun, len(again.log) + 1, 7)):
                disk.write(copy)
                with count.of(1):
                    check(again, copy, steps, policy)
    yield Row(
        "points at which the power failed: unsynced data and names lost, torn, garbled or out of order",
        f"{count} survived: the old state or the new one, whole; {resumed} were gone on with to the same bits",
        count.is_full,
    )


def failed_writes(amount: Amount) -> Iterator[Row]:
    """Every step of the system that saving asks for fails: once, and for a while."""
    with _corpus() as corpus, _quiet():
        recorder = record(corpus, corpus.parent / "disk")
        wanted, count = bits(recorder.root / "checkpoints/model"), Count()
        for at in range(recorder.saves[0] + 2, recorder.saves[-1]):
            error = (errno.ENOSPC, errno.EIO)[at % 2]
            out = corpus.parent / f"failing-{at}"
            with count.of(1):
                train_through(Failing(at, error, until=at + 1 + at % 3 * 25), corpus, out)
                if bits(out) != wanted:
                    raise AssertionError(f"other bits where step {at} failed with {os.strerror(error)}")
    yield Row(
        "steps of a save that failed: no room, input/output error",
        f"{count} trainings went on and ended with the same bits",
        count.is_full,
    )


def flipped(amount: Amount) -> Iterator[Row]:
    """Each byte of the JSON, the headers and the tokenizers of a checkpoint is another one, and each file ends anywhere."""
    for name in ("text", "melody", "replies"):
        figures = flip_every_byte(max(OLD.glob(f"format-*-{name}")))
        yield Row(
            f"bytes flipped and files cut, a checkpoint of {name}",
            f"{figures.tried:,} tried: {figures.refused:,} refused, {figures.harmless:,} harmless, {figures.crashed} crashes",
            not figures.crashed,
        )


def fuzzed(amount: Amount, targets: list[str]) -> Iterator[Row]:
    """Readers are given damaged files."""
    for target in targets:
        figures = fuzz(target, amount.seconds, amount.seed)
        bad = figures.crashes, figures.hangs, figures.over_memory
        for finding in figures.findings:
            print(
                f"benchmarks/fuzzing.py {target} --seed {amount.seed} --only {finding.place}: {finding.outcome.reason}"
            )
        yield Row(
            f"inputs fuzzed: {target}",
            f"{figures.inputs:,} in {figures.seconds / 60:.0f} min: {figures.read:,} read, {figures.refused:,} refused, "
            f"{f'{figures.stopped} stopped in a process of their own, ' if figures.stopped else ''}"
            f"{bad[0]} crashes, {bad[1]} hangs, {bad[2]} over 200 MB",
            not any(bad),
        )


def broken_files(amount: Amount) -> Iterator[Row]:
    """A folder of files of which some are broken."""
    for kind in ("text", "music"):
        figures = prepared(kind, amount.files)
        yield Row(
            f"a corpus of {figures.files:,} files of {kind}, {figures.broken / figures.files:.0%} broken in {figures.ways} ways",
            f"{figures.prepared:.2%} of the good ones prepared, {len(figures.lost)} lost, {len(figures.unnamed)} broken ones not "
            f"named; {figures.seconds:.0f} s, {figures.memory / 1e6:.0f} MB",
            figures.is_kept,
        )


def soaked(amount: Amount) -> Iterator[Row]:
    """Memory while a training and a sample go on and on."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "verse.txt").write_text(verse(200_000), encoding="utf-8")
        small = ["model.hidden=32", "model.layers=1", "training.lanes=8", "training.window=32", "training.patience=0"]
        command = ["train", "verse.txt", "--steps", str(amount.steps), "--json", "-q", "--threads", "1"]
        command += [word for each in small for word in ("--set", each)]
        seen = list(_memory(command, folder, _latest_step))
        warm = [(step, size) for step, size in seen if step >= amount.steps / 3]
        growth = (warm[-1][1] / warm[0][1] - 1) / ((warm[-1][0] - warm[0][0]) / 1000)
        yield Row(
            f"memory over {amount.steps:,} steps of a training, with its saves and looks",
            f"{warm[0][1] / 1e6:.0f} MB after {warm[0][0]:,}, {warm[-1][1] / 1e6:.0f} MB after {warm[-1][0]:,}: "
            f"{growth:+.3%} in 1,000 steps",
            growth < GROWTH,
        )
        command = ["sample", "python", "-q", "--seed", "def ", "--random-seed", str(amount.seed)]
        command += ["-n", str(amount.symbols), "--min-length", str(amount.symbols - 100)]
        held = list(_memory(command, folder, lambda _, length: length))
        tenth = next(size for length, size in held if length >= amount.symbols / 10)
        yield Row(
            f"memory over {amount.symbols:,} sampled symbols",
            f"{tenth / 1e6:.0f} MB after a tenth, {held[-1][1] / 1e6:.0f} MB at the end",
            held[-1][1] / tenth - 1 < FLAT,
        )


def _latest_step(text: str, length: int) -> int:
    """The step in the last line of progress that begins in a text; 0: in none."""
    return int([0, *re.findall(r'^\{"step": (\d+),', text, re.MULTILINE)][-1])


def _memory(command: list[str], folder: str, progress: Callable[[str, int], int]) -> Iterator[tuple[int, int]]:
    """How far a command has come, and the bytes of memory that it holds, again and again.

    Args:
        command: of seqgen.
        folder: where it runs.
        progress: says how far it has come, by the end of what it has printed and the length of all of it.
    """
    environment = {
        **os.environ,
        "SEQGEN_CACHE": str(Path(folder, "cache")),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    text, length, told = "", 0, 0
    with subprocess.Popen(
        [*SEQGEN, *command], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        while piece := process.stdout.read(200):
            text, length = (text + piece)[-1000:], length + len(piece)
            with contextlib.suppress(OSError, StopIteration):
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
                size = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
                if (now := progress(text, length)) > told:
                    told = now
                    yield now, size * 1024
    if process.returncode:
        sys.exit(f"seqgen {' '.join(command)} failed")


@contextlib.contextmanager
def _corpus() -> Iterator[Path]:
    """A small text, and a cache of its own."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SEQGEN_CACHE"] = str(Path(folder, "cache"))
        path = Path(folder, "verse.txt")
        path.write_text(verse(1500), encoding="utf-8")
        yield path


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the time that syncing takes: what lasts is simulated."""
    from unittest import mock

    with mock.patch.object(os, "fsync", lambda _: None):
        yield


def note(row: Row) -> None:
    """Puts a row into the page, in the place of the one of the same trial."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    table, after = rest.split(END)
    rows = [line for line in table.strip().splitlines() if line.startswith("| ") and not line.startswith(HEAD[:6])]
    kept = "" if row.kept else " **broken**"
    line = f"| {row.what} | {row.came_to}{kept} | {datetime.datetime.now(datetime.UTC):%Y-%m-%d} |"
    same = [place for place, other in enumerate(rows) if _trial(other) == _trial(line)]
    rows[same[0] if same else len(rows) : same[0] + 1 if same else len(rows)] = [line]
    machine = f"Measured by `python benchmarks/trust.py --write` on {describe()}."
    PAGE.write_text(f"{before}{BEGIN}\n{machine}\n\n{HEAD}\n" + "\n".join(rows) + f"\n{END}{after}", encoding="utf-8")


def _trial(line: str) -> str:
    """What tells the rows of one trial from others: what was tried, without how much."""
    return re.sub(r"\d[\d,.]*", "", line.split("|")[1])


PARTS: dict[str, Callable[[Amount], Iterator[Row]]] = {
    "kills": killed,
    "power": failed_power,
    "writes": failed_writes,
    "bytes": flipped,
    "fuzz": lambda amount: fuzzed(amount, list(TARGETS)),
    "broken": broken_files,
    "soak": soaked,
}
"""What is tried, in this order."""

if __name__ == "__main__":
    main()
