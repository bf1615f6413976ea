"""The power fails, the disk is full or breaks: the checkpoint is the old one or the new one, whole, and no work is lost."""

from __future__ import annotations

import errno
import itertools
import os
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import seqgen
from seqgen import training
from seqgen.checkpoint import MANIFEST, METRICS, Checkpoint, read_lines
from seqgen.corpus import prepare
from seqgen.errors import CheckpointError
from seqgen.saving import CheckpointWriter
from tests.interrupts import CtrlC
from tests.killing import bits
from tests.power import Disk, Failing, Recorder, Short, System
from tests.texts import verse

SETTINGS: dict[str, dict[str, Any]] = {
    "model": {"hidden": 6, "embedding": 4, "hidden_dropout": 0.2, "weight_dropout": 0.2},
    "training": {
        "lanes": 2,
        "window": 8,
        "dtype": "float32",
        "threads": 1,
        "evaluate_every": 2,
        "evaluate_symbols": 100,
    },
}
STEPS = 5


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "verse.txt"
    path.write_text(verse(1500), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def _saved_at_every_step(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "SAVE_EVERY", -1.0)
    monkeypatch.setenv("SEQGEN_CACHE", str(corpus.parent / "cache"))  # prepared once


def train(corpus: Path, out: Path, **options: Any) -> seqgen.Outcome:
    return seqgen.train(corpus, steps=STEPS, out=out, settings=SETTINGS, **options)


def whole(folder: Path) -> int:
    """The step of the checkpoint in this folder, all of which is read; -1 where there is none yet."""
    if not (folder / MANIFEST).exists():
        return -1
    checkpoint = Checkpoint(folder)
    checkpoint.load_model(checkpoint.tokenizer())
    state = checkpoint.training_state()
    metrics = folder / METRICS
    assert state.values["step"] == checkpoint.manifest.step
    assert state.values["metrics_length"] <= (metrics.stat().st_size if metrics.exists() else 0)
    return checkpoint.manifest.step


def outages(recorder: Recorder, steps: Iterable[int]) -> Iterator[tuple[int, str, Disk]]:
    """The disk after so many steps, in each way in which the power may fail."""
    for number, policy in itertools.product(steps, Disk.POLICIES):
        yield number, policy, recorder.after(number, policy, random.Random(f"{number} {policy}"))


@pytest.fixture(scope="module")
def recorded(corpus: Path) -> Recorder:
    """A training that was saved at every step, step by step of the system."""
    root = corpus.parent / "disk"
    root.mkdir()
    recorder = Recorder(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "SAVE_EVERY", -1.0)
        patch.setenv("SEQGEN_CACHE", str(corpus.parent / "cache"))
        prepare({"corpus": {"sources": (str(corpus),)}})
        with recorder.installed():
            train(corpus, root / "checkpoints/model")
    return recorder


def test_nothing_is_written_past_the_steps_that_can_fail(recorded: Recorder, tmp_path: Path) -> None:
    recorded.after(len(recorded.log), "nothing", random.Random(0)).write(tmp_path / "copy")
    there, copied = recorded.root / "checkpoints/model", tmp_path / "copy/checkpoints/model"
    names = {path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()}
    assert names - {path.relative_to(copied).as_posix() for path in copied.rglob("*")} == {".lock", "loss.png"}
    assert bits(copied) == bits(there)


def test_after_the_power_failed_at_any_step_there_is_the_old_state_or_the_new_one_whole(
    recorded: Recorder, tmp_path: Path
) -> None:
    """All steps of the first save, and of one that follows a look; `benchmarks/trust.py` tries those of all saves."""
    saves = saves_of(recorded)
    for number, (steps, policy, disk) in enumerate(
        outages(recorded, [*range(0, saves[0], 4), *range(saves[1], saves[2] + 3)])
    ):
        disk.write(tmp_path / "copy")
        check(recorded, tmp_path / "copy", steps, policy, resumed=number % 60 == 59)
    assert number > 100


def saves_of(recorder: Recorder) -> list[int]:
    """After how many steps a checkpoint was replaced, each time: before training, after each update, before it looks back, in the
    end."""
    log = enumerate(recorder.log, 1)
    return [place for place, entry in log if entry[0] == "move" and entry[2].endswith(MANIFEST)]


def check(recorder: Recorder, disk: Path, steps: int, policy: str, resumed: bool) -> None:
    """Refuses a disk on which there is not the latest checkpoint, or the one before while the latest may not last."""
    folder, wanted = disk / "checkpoints/model", recorder.root / "checkpoints/model"
    saved = [-1, *range(STEPS + 1), STEPS, STEPS]
    assert len(saved) == len(saves_of(recorder)) + 1
    found, latest = whole(folder), sum(place <= steps for place in saves_of(recorder))
    assert found in (saved[latest], saved[max(0, latest - 1)]), (steps, policy)
    if steps == len(recorder.log) or policy == "all of it":
        assert found == saved[latest], (steps, policy)
    if resumed and found >= 0:
        if Checkpoint(folder).manifest.status != "finished":
            seqgen.train(out=folder, resume=True)
        assert bits(folder) == bits(wanted), (steps, policy)


def train_through(system: System, corpus: Path, out: Path, **options: Any) -> list[str]:
    """A training on a system that fails; returns what it said."""
    said: list[str] = []
    with system.installed(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "TRY_EVERY", 0.0)
        train(corpus, out, progress=lambda progress: said.append(progress.message or ""), **options)
    return said


def test_a_training_goes_on_where_a_save_fails_and_ends_with_the_same_bits(
    corpus: Path, tmp_path: Path, recorded: Recorder
) -> None:
    """Steps fail, once or for a while, up to the last save."""
    wanted = bits(recorded.root / "checkpoints/model")
    for at in range(recorded.saves[0] + 2, recorded.saves[-1], 37):
        error = (errno.ENOSPC, errno.EIO)[at % 2]
        out = tmp_path / f"failing-{at}"
        said = train_through(Failing(at, error, until=at + 1 + at % 3 * 30), corpus, out)
        assert bits(out) == wanted
        assert not [path for path in out.rglob("*") if path.suffix == ".tmp" or path.name == "model"]
        belonging = Checkpoint(out).manifest.files
        assert all(f"resume/{path.name}" in belonging for path in (out / "resume").iterdir())
        told = [each for each in said if "Not saved" in each]
        assert all(os.strerror(error) in each and str(out) in each for each in told)
        assert bool(told) == any("Saved again" in each for each in said)


def test_it_is_said_once_that_nothing_can_be_saved_and_the_last_state_stays(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "model"
    interrupted = CtrlC(3)
    seqgen.train(corpus, steps=STEPS, out=out, settings=SETTINGS, progress=interrupted)
    before = bits(out)
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch, Failing(2, errno.ENOSPC, until=10**9).installed():
        patch.setattr(training, "LAST_PATIENCE", 0.0)
        with pytest.raises(CheckpointError, match="No space left") as raised:
            seqgen.train(out=out, resume=True, progress=lambda progress: said.append(progress.message or ""))
    assert "What was saved before is whole" in str(raised.value) and "Free some space" in str(raised.value)
    assert bits(out) == before
    seqgen.train(out=out, resume=True)
    assert Checkpoint(out).manifest.status == "finished"


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_training_that_cannot_save_at_all_ends_before_it_begins(corpus: Path, tmp_path: Path, error: int) -> None:
    train(corpus, tmp_path / "first")  # so that the corpus is prepared
    for at in (0, 5, 12):
        with (
            Failing(at, error, until=10**9).installed(),
            pytest.raises(CheckpointError, match=os.strerror(error)) as raised,
        ):
            train(corpus, tmp_path / "model")
        assert "Nothing was saved" in str(raised.value)
        assert not list((tmp_path / "model").rglob("model-*")) and not list((tmp_path / "model").rglob("*.tmp"))
    train(corpus, tmp_path / "model")
    assert bits(tmp_path / "model") == bits(tmp_path / "first")


def test_a_system_that_writes_a_few_bytes_at_a_time_writes_all_of_them(
    corpus: Path, tmp_path: Path, recorded: Recorder
) -> None:
    with Short().installed():
        train(corpus, tmp_path / "model")
    assert bits(tmp_path / "model") == bits(recorded.root / "checkpoints/model")


def test_a_line_that_could_not_be_written_comes_with_the_next_and_half_a_line_never_stays(tmp_path: Path) -> None:
    writer = CheckpointWriter(tmp_path / "model")
    lengths = [writer.append(METRICS, {"step": 1})]
    for error in range(2, 5):
        with HalfWritten().installed():
            lengths.append(writer.append(METRICS, {"step": error}))
    assert lengths == [12, 24, 36, 48]
    assert (tmp_path / "model" / METRICS).read_bytes()[:12] == b'{"step": 1}\n'
    assert writer.append(METRICS, {"step": 5}) == 60
    writer.close()
    assert [record["step"] for record in read_lines(tmp_path / "model" / METRICS)] == []


class HalfWritten(System):
    """Writes half of what it is given, and then fails; nor does it cut what it has written."""

    def done(self, name: str, result: Any, *arguments: Any) -> None:
        if name == "write":
            raise OSError(errno.EIO, "Input/output error")

    def step(self, name: str, *arguments: Any) -> None:
        if name == "ftruncate" and os.fstat(arguments[0]).st_size > arguments[1]:
            raise OSError(errno.EIO, "Input/output error")

    def _telling(self, name: str) -> Any:
        whole = super()._telling(name)
        return (lambda file, data: whole(file, data[:6])) if name == "write" else whole
