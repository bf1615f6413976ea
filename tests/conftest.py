"""What all tests share: a folder of their own to write to, and how hypothesis looks for counterexamples."""

from __future__ import annotations

import os
import shutil
import tempfile

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the program does; before torch is loaded
_CACHE = tempfile.TemporaryDirectory(prefix="seqgen-tests-")  # gone when the tests are over
os.environ["SEQGEN_CACHE"] = _CACHE.name  # for what modules of tests look up when they are imported

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from seqgen.cli import main as program
from tests.commands import Result, Run

settings.register_profile("seqgen", deadline=None, derandomize=True, database=None, max_examples=30)
settings.load_profile("seqgen")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written to the checkout, and no cache and no fetched corpus is shared with the user or another test."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEQGEN_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("seqgen.checkpoint.SHIPPED", ())  # tests see the models that come with seqgen if they ask to


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """How many threads torch has, and the compiled path with it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line, run in this process."""

    def run_it(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["seqgen", *arguments])
        capsys.readouterr()
        code = program._run()
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return run_it


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint of verse, after three steps; not to be changed."""
    from tests.trained import TINY, trained_on_verse

    return trained_on_verse(tmp_path_factory.mktemp("trained"), 3, 2000, **TINY)


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `checkpoints` hold a small model of every kind, to play with."""
    from tests.rehearsal import make_models

    folder = tmp_path_factory.mktemp("models")
    make_models(folder)
    return folder
