"""Trainings that are killed: at a step of the system that saves them, or after some time.

A process that has loaded all that a training needs forks one for each, so that a kill costs no start of a program.
"""

from __future__ import annotations

import dataclasses
import gc
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch

import seqgen
from seqgen import training
from seqgen.checkpoint import Checkpoint
from seqgen.errors import SeqgenError
from seqgen.manifest import MANIFEST, METRICS
from seqgen.modalities import MODALITIES
from seqgen.models import CELLS
from seqgen.recipe import Overrides, merge
from seqgen.scores.to_midi import write_midi
from tests.exchanges import exchanges
from tests.pieces import corpus as pieces
from tests.power import System
from tests.texts import verse

DROPOUTS = {"hidden_dropout": 0.2, "output_dropout": 0.2, "weight_dropout": 0.2, "embedding_dropout": 0.1}
SMALL: dict[str, dict[str, Any]] = {
    "model": {"hidden": 8, "embedding": 4, **DROPOUTS},
    "training": {"dtype": "float32", "kernels": "torch", "threads": 1, "evaluate_every": 4, "evaluate_symbols": 200},
}
LANES: Overrides = {"training": {"lanes": 4, "window": 16}}
REPLIES: Overrides = {"corpus": {"kind": "replies"}, "training": {"batch_symbols": 300}}
STEPS = 14
"""Of each training: some epochs of the small corpora, with the edges of documents in them."""
KILLED, FINISHED = "killed", "finished"


@dataclass(frozen=True)
class Variant:
    """A training to be killed: what is learned, and how."""

    name: str
    corpus: str
    settings: dict[str, dict[str, Any]]

    def __str__(self) -> str:
        return self.name


def variants() -> list[Variant]:
    """Every cell and tokenizer of text, every tokenizer of music, and replies."""
    made = []
    settings: Overrides
    for tokenizer in MODALITIES["text"].tokenizers:
        for cell in CELLS:
            settings = {
                "model": {"cell": cell},
                "tokenizer": {"kind": tokenizer, "vocabulary": 300},
                "corpus": {"documents": "line"},
            }
            made.append(Variant(f"text-{tokenizer}-{cell}", "verse.txt", merge(LANES, settings)))
    for tokenizer in MODALITIES["music"].tokenizers:
        corpus = "tunes" if tokenizer == "melody" else "music"
        made.append(Variant(f"music-{tokenizer}", corpus, merge(LANES, {"tokenizer": {"kind": tokenizer}})))
    for cell in CELLS:
        settings = {"model": {"cell": cell}, "tokenizer": {"kind": "characters"}}
        made.append(Variant(f"replies-{cell}", "pairs.tsv", merge(REPLIES, settings)))
    for kernels in ("torch", "compiled"):
        settings = {"training": {"dtype": "bfloat16", "kernels": kernels}, "corpus": {"documents": "line"}}
        settings["model"] = {"hidden": 32}
        made.append(Variant(f"text-characters-lstm-bfloat16-{kernels}", "verse.txt", merge(LANES, settings)))
    settings = {"training": {"stretch": 2}, "corpus": {"documents": "file"}}
    return [*made, Variant("text-characters-lstm-stretches", "verse.txt", merge(LANES, settings))]


def write_corpora(folder: Path) -> None:
    """What the variants learn from."""
    (folder / "verse.txt").write_text(verse(1500), encoding="utf-8")
    for name, parts in (("music", 4), ("tunes", 1)):
        (folder / name).mkdir()
        for number, piece in enumerate(pieces(12)):
            midi = write_midi(dataclasses.replace(piece, parts=piece.parts[:parts]))
            (folder / name / f"{number}.mid").write_bytes(midi)
    (folder / "pairs.tsv").write_text("".join(f"{one}\t{two}\n" for one, two in exchanges()), encoding="utf-8")


class Trainings:
    """Runs trainings in a folder, each in a process of its own that can be killed.

    Args:
        folder: holds the corpora, and will hold the checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_corpora(folder)
        environment = {**os.environ, "SEQGEN_CACHE": str(folder / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.killing"], cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def __enter__(self) -> Trainings:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin and self._server.stdout
        self._server.stdin.close()
        self._server.wait(60)
        self._server.stdout.close()

    def run(
        self, variant: Variant, out: str, at: int | None = None, after: float | None = None
    ) -> tuple[str, int, float]:
        """Begins a training, or goes on with it; how it ended, at which step of the system, and after how many seconds.

        Args:
            variant: what is trained.
            out: the checkpoint's folder.
            at: the step of the system before which it is killed.
            after: seconds after which it is killed.
        """
        assert self._server.stdin and self._server.stdout
        order = {"corpus": variant.corpus, "settings": variant.settings, "out": out, "at": at, "after": after}
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        status, steps, seconds = json.loads(self._server.stdout.readline())
        assert status in (KILLED, FINISHED), f"{variant} in {out}, killed at {at} or after {after}: {status}"
        return status, steps, seconds

    def survives(self, variant: Variant, kills: int, seed: int = 0) -> int:
        """Kills trainings again and again, and lets each of them end: returns how many trainings that took.

        After each kill the folder holds no checkpoint yet, or one that can be loaded and gone on with.

        Args:
            variant: what is trained.
            kills: how many.
            seed: of the moments.

        Raises:
            AssertionError: one ended with other bits than a training that was never killed.
        """
        whole = self.folder / f"whole-{variant}"
        _, steps, seconds = self.run(variant, whole.name)
        orders = at_random(seed, steps, seconds)
        killed = 0
        for number in itertools.count(1):
            out = f"{variant}-{seed}-{number}"
            while killed < kills and self.run(variant, out, **next(orders))[0] == KILLED:
                killed += 1
            assert self.run(variant, out)[0] == FINISHED
            assert bits(self.folder / out) == bits(whole), f"{variant} in {out} ended with other bits"
            if killed == kills:
                return number
        raise AssertionError("unreachable")


def bits(folder: Path) -> dict[str, Any]:
    """What a training has come to, whenever it was saved on the way: all but clocks, and states before the newest."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    names = [METRICS, manifest["weights"], manifest["tokenizer"], *manifest.pop("states")[-1]]
    manifest.pop("files")
    return {MANIFEST: manifest, **{name: (folder / name).read_bytes() for name in names}}


class _Killing(System):
    """Kills its process before a step. Nothing is synced: what a process has written outlives it anyhow."""

    def __init__(self, at: int | None) -> None:
        super().__init__()
        self.at = at

    def step(self, name: str, *arguments: Any) -> None:
        if self.steps == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _telling(self, name: str) -> Any:
        telling = super()._telling(name)
        return (lambda descriptor: self.count("fsync", descriptor)) if name == "fsync" else telling


def _train(order: dict[str, Any], report: int) -> NoReturn:
    """The forked process: loads what is there, then trains to the end."""
    system, code = _Killing(order["at"]), 1
    try:
        out = Path(order["out"])
        if begun := (out / MANIFEST).exists():
            checkpoint = Checkpoint(out)
            checkpoint.load_model(checkpoint.tokenizer())
            begun = checkpoint.manifest.status != "finished"
            if not begun:
                os._exit(0)
        with system.installed():
            if begun:
                seqgen.train(out=out, resume=True)
            else:
                seqgen.train(order["corpus"], steps=STEPS, out=out, settings=merge(SMALL, order["settings"]))
        os.write(report, str(system.steps).encode())
        code = 0
    except BaseException as error:
        where = "" if isinstance(error, SeqgenError) else traceback.format_exc()
        os.write(report, f"{where}{error}".encode())
    finally:
        os._exit(code)


def _serve() -> None:
    """Forks a training for each line of standard input, kills it when its time has come, and says how it ended."""
    training.SAVE_EVERY = -1.0  # after each step
    torch.set_num_threads(1)  # what is forked must not have threads
    seqgen.train(
        "verse.txt", steps=2, out="warm", settings=merge(SMALL, LANES)
    )  # what is done only once need not be in each
    gc.freeze()
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        begun = time.perf_counter()
        child = os.fork()
        if not child:
            _train(order, writing)
        os.close(writing)
        if order["after"] is not None:
            while not os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if time.perf_counter() - begun > order["after"]:
                    os.kill(child, signal.SIGKILL)
                    break
                time.sleep(0.0005)
        with os.fdopen(reading, encoding="utf-8") as said:
            words = said.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        ended = KILLED if killed else FINISHED if status == 0 else words or f"status {status}"
        steps = int(words or 0) if ended == FINISHED else order["at"] or 0
        sys.stdout.write(json.dumps([ended, steps, time.perf_counter() - begun]) + "\n")
        sys.stdout.flush()


def at_random(seed: int, steps: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Kills one after another: at a step of the system, or after some time."""
    chance = random.Random(seed)
    while True:
        part = chance.random() * chance.choice((0.1, 0.3, 1.0))  # so that a training is killed more than once
        yield {"at": 1 + int(part * steps)} if chance.random() < 0.5 else {"after": part * seconds}


if __name__ == "__main__":
    _serve()
