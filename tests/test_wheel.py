"""The wheel: built, installed elsewhere, it trains and samples with nothing of the checkout at hand; the sdist holds as much."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.texts import verse

CHECKOUT = Path(__file__).parent.parent
MODELS = CHECKOUT / "checkpoints" / "shipped"
SHIPPED = sorted(path.relative_to(MODELS).as_posix() for path in MODELS.rglob("*") if path.is_file())
"""The files of the models that come with seqgen."""


def build(what: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "build", f"--{what}", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(folder)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    return folder


@pytest.fixture
def installed(site: Path) -> Callable[..., str]:
    """What Python prints in the test's folder, where it finds the installed wheel first."""
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}

    def python(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    where = python("-c", "import seqgen; print(seqgen.__file__)")
    assert Path(where.strip()).is_relative_to(site)
    return python


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


def test_the_wheel_and_the_sdist_hold_the_models_that_come_with_seqgen(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {name.removeprefix("seqgen/shipped/") for name in archive.namelist() if "/shipped/" in name}
    assert inside == set(SHIPPED) != set()
    with tarfile.open(build("sdist", tmp_path / "sdist")) as source:
        found = {name.partition("/checkpoints/shipped/")[2] for name in source.getnames() if "/shipped/" in name}
    assert found == set(SHIPPED)


def test_an_installed_wheel_trains_and_samples(installed: Callable[..., str]) -> None:
    Path("verse.txt").write_text(verse(4000), encoding="utf-8")
    assert "python" in installed("-m", "seqgen", "corpus", "list")
    trained = installed("-m", "seqgen", "train", "verse.txt", "--steps", "3", "--set", "model.hidden=8", "-q")
    assert trained == "checkpoints/verse\n"
    assert installed("-m", "seqgen", "sample", "verse", "--seed", "the ", "-n", "8", "-q").startswith("the ")


@pytest.mark.skipif("bach/checkpoint.json" not in SHIPPED, reason="it does not come with this seqgen")
def test_an_installed_wheel_samples_a_model_that_came_with_it(installed: Callable[..., str], site: Path) -> None:
    installed("-m", "seqgen", "sample", "bach", "--seed", "G4", "--bars", "2", "-o", "x.mid")
    assert Path("x.mid").read_bytes().startswith(b"MThd")
    assert [path.name for path in Path().iterdir()] == ["x.mid"]
    listed = {line["name"]: line for line in map(json.loads, installed("-m", "seqgen", "list", "--json").splitlines())}
    assert listed["bach"]["shipped"] and Path(listed["bach"]["folder"]).is_relative_to(site)
