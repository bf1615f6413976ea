"""A small training that is saved at every step of it, and what may be on the disk if the power fails meanwhile."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import seqgen
from seqgen import training
from seqgen.checkpoint import Checkpoint
from seqgen.corpus import prepare
from seqgen.manifest import MANIFEST, METRICS
from seqgen.recipe import Overrides
from tests.killing import bits
from tests.power import Disk, Recorder, System

SETTINGS: Overrides = {
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


def record(corpus: Path, root: Path) -> Recorder:
    """A training in a new folder, saved at every step, step by step of the system. What it learns from is prepared before."""
    root.mkdir()
    recorder = Recorder(root)
    prepare({"corpus": {"sources": (str(corpus),)}})
    with recorder.installed():
        train(corpus, root / "checkpoints/model")
    return recorder


def train(corpus: Path, out: Path, **options: Any) -> seqgen.Outcome:
    """Trains; a save is due at every step."""
    with mock.patch.object(training, "SAVE_EVERY", -1.0):
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


def saves_of(recorder: Recorder) -> list[int]:
    """After how many steps a checkpoint was replaced, each time: before training, after each update, before it looks back, in the
    end."""
    log = enumerate(recorder.log, 1)
    return [place for place, entry in log if entry[0] == "move" and entry[2].endswith(MANIFEST)]


def saved_by(recorder: Recorder) -> list[int]:
    """The training's step that each of them holds."""
    written = {number: data for what, number, _, data in (entry for entry in recorder.log if entry[0] == "write")}
    return [json.loads(written[recorder.log[place - 1][3]])["step"] for place in saves_of(recorder)]


def check(recorder: Recorder, disk: Path, steps: int, policy: str, wanted: Path | None = None) -> None:
    """Refuses a disk on which there is not the latest checkpoint, or the one before while the latest may not last.

    Args:
        recorder: of the training.
        disk: what is on it after so many steps.
        steps: of the system.
        policy: of what was not synced.
        wanted: what the training comes to if it goes on to its end; None: it need not.
    """
    folder, saved = disk / "checkpoints/model", [-1, *saved_by(recorder)]
    found, latest = whole(folder), sum(place <= steps for place in saves_of(recorder))
    assert found in (saved[latest], saved[max(0, latest - 1)]), (steps, policy)
    if steps == len(recorder.log) or policy == "all of it":
        assert found == saved[latest], (steps, policy)
    if wanted and found >= 0:
        if Checkpoint(folder).manifest.status != "finished":
            seqgen.train(out=folder, resume=True)
        assert bits(folder) == bits(wanted), (steps, policy)


class _Killed(BaseException):
    pass


class _Killing(Recorder):
    """A recorder of a training that is killed before a step, as far as the disk is concerned."""

    at: int | None = None

    def step(self, name: str, *arguments: Any) -> None:
        if self.at is not None and self.steps >= self.at:  # nor does it sweep up
            raise _Killed


def record_killed(corpus: Path, root: Path, at: int) -> tuple[Recorder, int]:
    """A training that is killed before a step of the system and then gone on with, or begun again; also, after how many steps in
    the log that was."""
    root.mkdir()
    recorder = _Killing(root)
    recorder.at = at
    out = root / "checkpoints/model"
    with recorder.installed():
        with contextlib.suppress(_Killed):
            train(corpus, out)
        killed = len(recorder.log)
        recorder.at = None
        if (out / MANIFEST).exists():
            with mock.patch.object(training, "SAVE_EVERY", -1.0):
                seqgen.train(out=out, resume=True)
        else:
            train(corpus, out)
    return recorder, killed


def train_through(system: System, corpus: Path, out: Path, **options: Any) -> list[str]:
    """A training on a system that fails; returns what it said."""
    said: list[str] = []
    with system.installed(), mock.patch.object(training, "TRY_EVERY", 0.0):
        train(corpus, out, progress=lambda progress: said.append(progress.message or ""), **options)
    return said
