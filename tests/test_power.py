"""The power fails, the disk is full or breaks: the checkpoint is the old one or the new one, whole, and no work is lost."""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import seqgen
from seqgen import training
from seqgen.checkpoint import Checkpoint
from seqgen.errors import CheckpointError
from seqgen.manifest import MANIFEST, METRICS, Manifest, read_lines
from seqgen.saving import CheckpointWriter
from seqgen.trainer import Trainer
from tests.interrupts import CtrlC
from tests.killing import bits
from tests.outages import SETTINGS, STEPS, check, outages, record, record_killed, saves_of, train, train_through
from tests.power import Failing, Recorder, Short, System
from tests.texts import verse


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "verse.txt"
    path.write_text(verse(1500), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def _prepared_once(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQGEN_CACHE", str(corpus.parent / "cache"))  # prepared once


@pytest.fixture(scope="module")
def recorded(corpus: Path) -> Recorder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQGEN_CACHE", str(corpus.parent / "cache"))
        return record(corpus, corpus.parent / "disk")


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
    saves, finished = saves_of(recorded), recorded.root / "checkpoints/model"
    for number, (steps, policy, disk) in enumerate(
        outages(recorded, [*range(0, saves[0], 4), *range(saves[1], saves[2] + 3)])
    ):
        disk.write(tmp_path / "copy")
        check(recorded, tmp_path / "copy", steps, policy, finished if number % 60 == 59 else None)
    assert number > 100


def test_what_a_killed_training_wrote_and_did_not_sync_is_synced_by_the_next(
    recorded: Recorder, tmp_path: Path
) -> None:
    corpus, first, second = recorded.root.parent / "verse.txt", *recorded.saves[:2]
    for at, save in ((first - 6, 0), (first - 13, 0), (second - 6, 2)):  # between a rename in a folder and its sync
        recorder, killed = record_killed(corpus, tmp_path / f"disk-{at}", at)
        assert recorder.log[killed - 1][0] == "move"
        after = saves_of(recorder)[save]
        for steps, policy, disk in outages(recorder, range(after, after + 3)):
            disk.write(tmp_path / "copy")
            check(recorder, tmp_path / "copy", steps, policy)


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
        assert all((out / name).is_file() for name in belonging)
        assert all(f"resume/{path.name}" in belonging for path in (out / "resume").iterdir())
        assert not [each for each in said if "\n" in each], "what is told is shown on a line"
        told = [each for each in said if "Not saved" in each]
        assert all(os.strerror(error) in each and str(out) in each for each in told)
        assert bool(told) == any("Saved again" in each for each in said)


def test_a_slow_disk_is_not_written_to_at_every_step(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps of a second, and saves that take longer than the time between two of them."""
    passed, steps = 0.0, []
    step, commit = Trainer.step, CheckpointWriter.commit

    def slow_step(trainer: Trainer) -> float:
        nonlocal passed
        passed += 1
        return step(trainer)

    def slow_commit(writer: CheckpointWriter, manifest: Manifest, *rest: Any) -> None:
        nonlocal passed
        steps.append(manifest.step)
        passed += 40
        commit(writer, manifest, *rest)

    monkeypatch.setattr(Trainer, "step", slow_step)
    monkeypatch.setattr(CheckpointWriter, "commit", slow_commit)
    monkeypatch.setattr(training, "clock", SimpleNamespace(monotonic=lambda: passed, time=lambda: passed))
    seqgen.train(corpus, steps=100, out=tmp_path / "model", settings=SETTINGS)
    between = [later - earlier for earlier, later in itertools.pairwise(steps[:-2])]
    assert len(between) > 3 and min(between[1:]) > 10


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


def test_a_commit_that_fails_leaves_neither_files_nor_another_manifest(corpus: Path, tmp_path: Path) -> None:
    before = tmp_path / "before"
    seqgen.train(corpus, steps=STEPS, out=before, settings=SETTINGS, progress=CtrlC(3))
    checkpoint = Checkpoint(before)
    tokenizer, state = checkpoint.tokenizer(), checkpoint.training_state()
    weights = {name: tensor + 1 for name, tensor in checkpoint.load_model(tokenizer).state_dict().items()}
    state.values["step"] += 1
    failures = 0
    for at in itertools.count(1):
        out = Path(shutil.copytree(before, tmp_path / f"at-{at}"))
        files, manifest = {path: path.read_bytes() for path in out.rglob("*.*")}, Checkpoint(out).manifest
        writer, system = CheckpointWriter(out), Failing(at, errno.ENOSPC)
        try:
            with system.installed():
                writer.commit(manifest, weights, tokenizer, state)
        except CheckpointError:
            failures += 1
            if (out / MANIFEST).read_bytes() == files[out / MANIFEST]:  # else it is in its place, and may not last
                assert {path: path.read_bytes() for path in out.rglob("*.*")} == files
            assert manifest == checkpoint.manifest
        finally:
            writer.close()
        if system.steps <= at:
            break
    assert failures > 15 and manifest != checkpoint.manifest


def test_what_does_not_pass_by_itself_is_not_waited_for(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def waits(_: float) -> None:
        raise AssertionError("it waits")

    out = tmp_path / "model"
    seqgen.train(corpus, steps=STEPS, out=out, settings=SETTINGS, progress=CtrlC(3))
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=waits)
    monkeypatch.setattr(training, "clock", clock)
    for error, raised in (
        (errno.EROFS, CheckpointError),
        (errno.EACCES, CheckpointError),
        (errno.ENOSPC, AssertionError),
    ):
        with Failing(8, error, until=10**9).installed(), pytest.raises(raised):
            seqgen.train(out=out, resume=True)


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
