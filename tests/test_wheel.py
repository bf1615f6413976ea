"""The wheel: built, installed elsewhere, it trains and samples with nothing of the checkout at hand."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.texts import verse

CHECKOUT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_code_cards_and_types_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {
        "seqgen/py.typed",
        "seqgen/corpora/python.toml",
        "seqgen/corpora/manual.toml",
        "seqgen/cli/main.py",
    } <= names
    assert all(name.startswith(("seqgen/", "seqgen-")) for name in names)


def test_an_installed_wheel_trains_and_samples(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True)
    (tmp_path / "verse.txt").write_text(verse(4000), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}

    def seqgen(*arguments: str) -> str:
        command = [sys.executable, "-m", "seqgen", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
        return done.stdout

    where = subprocess.run(
        [sys.executable, "-c", "import seqgen; print(seqgen.__file__)"],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert Path(where.strip()).is_relative_to(site)
    assert "python" in seqgen("corpus", "list")
    assert seqgen("train", "verse.txt", "--steps", "3", "--set", "model.hidden=8", "-q") == "checkpoints/verse\n"
    assert seqgen("sample", "verse", "--seed", "the ", "-n", "8", "-q").startswith("the ")
