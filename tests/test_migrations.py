"""Checkpoints of every format that there was are read by this seqgen, predict what they predicted, and can be gone on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import seqgen
from seqgen.checkpoint import Checkpoint
from seqgen.errors import CheckpointError, DataError
from seqgen.manifest import MANIFEST
from seqgen.migrations import FORMAT, MIGRATIONS, SETTLED, migrate
from seqgen.modalities import MODALITIES
from tests.killing import write_corpora
from tests.specimens import KINDS, OLD, nats_of

SPECIMENS = sorted(path.name for path in OLD.iterdir())
UNSETTLED = ("format-2-music", "format-2-replies")
"""Of networks that are gone: format 2 did not yet tell them from those that stayed."""


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    write_corpora(folder)
    return folder


@pytest.fixture
def old(corpora: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a specimen, where its corpus is at hand."""
    monkeypatch.chdir(corpora)
    return Path(shutil.copytree(OLD / request.param, tmp_path / "old"))


def test_every_format_has_a_specimen_and_every_older_one_a_migration() -> None:
    assert {int(name.split("-")[1]) for name in SPECIMENS} == set(range(1, FORMAT + 1))
    assert sorted(MIGRATIONS) == list(range(1, FORMAT))
    assert {name for name in SPECIMENS if name.startswith(f"format-{FORMAT}-")} == {
        f"format-{FORMAT}-{kind}" for kind in KINDS
    }
    kinds = {Checkpoint(OLD / name).recipe.corpus.kind for name in SPECIMENS}
    assert kinds == set(MODALITIES) - {"code"}  # which is as text


@pytest.mark.parametrize("old", [name for name in SPECIMENS if name not in UNSETTLED], indirect=True)
def test_a_checkpoint_of_an_earlier_format_predicts_what_it_predicted(old: Path) -> None:
    expected = json.loads((old / "expected.json").read_text(encoding="utf-8"))
    assert nats_of(old, expected["corpus"]) == pytest.approx(expected["nats_per_symbol"], abs=1e-4)
    before = (old / MANIFEST).read_bytes()
    "".join(seqgen.load(old).sample(length=5))
    assert (old / MANIFEST).read_bytes() == before


@pytest.mark.parametrize("old", ["format-2-text", f"format-{FORMAT}-text"], indirect=True)
def test_a_training_of_an_earlier_format_goes_on_in_todays(old: Path) -> None:
    step = Checkpoint(old).manifest.step
    outcome = seqgen.train(out=old, resume=True, steps="+3")
    assert outcome.steps == step + 3
    assert json.loads((old / MANIFEST).read_bytes())["format"] == FORMAT


@pytest.mark.parametrize("old", ["format-1-text"], indirect=True)
def test_a_corpus_that_an_older_seqgen_prepared_in_another_way_is_said_to_be_that(old: Path) -> None:
    with pytest.raises(DataError, match=r"An older seqgen prepared it .format 1.*--init-from"):
        seqgen.train(out=old, resume=True, steps="+3")
    assert seqgen.train("verse.txt", steps=2, init_from=old, name="begun").finished


@pytest.mark.parametrize("old", ["format-3-text"], indirect=True)
def test_where_the_format_is_settled_only_the_files_can_have_changed(
    old: Path, corpora: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shutil.copytree(corpora, tmp_path / "changed"))
    with Path("verse.txt").open("a", encoding="utf-8") as verse:
        verse.write("One more line.\n")
    with pytest.raises(DataError) as refused:
        seqgen.train(out=old, resume=True, steps="+3")
    assert "older seqgen" not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize("old", UNSETTLED, indirect=True)
def test_a_network_that_is_gone_is_refused_with_what_to_do(old: Path) -> None:
    with pytest.raises(CheckpointError, match="before networks and symbols were settled: train it again, --recipe old"):
        seqgen.load(old)


def test_a_migration_changes_a_copy() -> None:
    data = json.loads((OLD / "format-1-text" / MANIFEST).read_bytes())
    before = json.dumps(data)
    assert migrate(data)["recipe"]["training"]["recall_symbols"] == 0
    assert migrate(data)["format"] == 1 < SETTLED
    assert json.dumps(data) == before
