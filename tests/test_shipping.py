"""Models that come with seqgen: how one is made, how it is found by name, and that nothing is written to it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
import torch

import seqgen
from seqgen.checkpoint import Checkpoint, list_checkpoints
from seqgen.cli.sample import command as sample_command
from seqgen.errors import UsageError
from seqgen.generation import SampleSettings
from seqgen.manifest import MANIFEST
from seqgen.saving import CheckpointWriter
from seqgen.shipping import ship, size_of
from tests.commands import Run
from tests.exchanges import write_tsv
from tests.texts import verse
from tests.trained import SMALL

CARD = """
title = "for a test"
kind = "{kind}"
documents = "{documents}"
licence = "MIT"
split = "80/10/10"

[source]
folder = "{folder}"
suffixes = [".txt", ".tsv"]
"""
KINDS = {"verse": ("text", "line"), "answers": ("replies", "conversation")}
COMMAND = "seqgen train {} --time 10m --name {}"


class Copies(NamedTuple):
    """A folder with cards, and in it each model as it was trained and as it was shipped."""

    home: Path
    trained: Path
    shipped: Path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("shipping")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SEQGEN_CACHE", str(folder / "cache"))
        Path("corpora").mkdir()
        for name, (kind, documents) in KINDS.items():
            card = CARD.format(kind=kind, documents=documents, folder=f"../{name}-texts")
            Path("corpora", f"{name}.toml").write_text(card, encoding="utf-8")
            Path(f"{name}-texts").mkdir()
        Path("verse-texts/verse.txt").write_text(verse(20_000), encoding="utf-8")
        write_tsv("answers-texts/pairs.tsv")
        for name, steps in (("verse", 120), ("answers", 20)):
            model = {"hidden": 32, "embedding": 8}
            training = dict(SMALL["training"]) if name == "verse" else {"dtype": "float32", "threads": 1}
            trained = seqgen.train(name, steps=steps, settings={"model": model, "training": training}, name=name)
            ship(Checkpoint(trained.checkpoint), folder / "shipped" / name, COMMAND.format(name, name))
        yield folder


@pytest.fixture(params=KINDS)
def copies(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Copies:
    monkeypatch.setenv("SEQGEN_CACHE", str(home / "cache"))
    monkeypatch.chdir(home)
    return Copies(home, home / "checkpoints" / request.param, home / "shipped" / request.param)


@pytest.fixture
def elsewhere(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with nothing in it but the card, where the models of `home` are those that came with seqgen."""
    shipped = tmp_path / "package" / "shipped"
    shutil.copytree(home / "shipped", shipped)
    monkeypatch.setattr("seqgen.checkpoint.SHIPPED", (shipped,))
    monkeypatch.setenv("SEQGEN_CACHE", str(home / "cache"))
    return shipped


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    model = Checkpoint(folder).load_model(Checkpoint(folder).tokenizer())
    return dict(model.state_dict())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}


def test_a_shipped_model_is_half_as_large_and_holds_nothing_of_the_training(copies: Copies) -> None:
    manifest = Checkpoint(copies.shipped).manifest
    names = {path.name for path in copies.shipped.iterdir()}
    assert names - {"loss.png"} == {MANIFEST, "metrics.jsonl", manifest.weights, manifest.tokenizer}
    assert manifest.states == [] and set(manifest.files) == {manifest.weights, manifest.tokenizer}
    before = copies.trained / Checkpoint(copies.trained).manifest.weights
    assert (copies.shipped / manifest.weights).stat().st_size < 0.6 * before.stat().st_size
    assert size_of(copies.shipped) == sum(path.stat().st_size for path in copies.shipped.iterdir())
    assert (copies.shipped / "metrics.jsonl").read_bytes() == (copies.trained / "metrics.jsonl").read_bytes()


def test_its_weights_are_the_rounded_ones(copies: Copies) -> None:
    trained, shipped = weights_of(copies.trained), weights_of(copies.shipped)
    assert trained.keys() == shipped.keys()
    assert all(torch.equal(shipped[name], trained[name].bfloat16().float()) for name in trained)
    assert any(not torch.equal(shipped[name], trained[name]) for name in trained)


def test_it_writes_what_the_rounded_weights_write(home: Path) -> None:
    shipped, rounded = seqgen.load(home / "shipped/verse"), seqgen.load(home / "checkpoints/verse")
    weights = weights_of(home / "checkpoints/verse")
    rounded.model.load_state_dict({name: each.bfloat16().float() for name, each in weights.items()})
    rounded.model.eval()
    rounded.model.recall = shipped.model.recall
    texts = [[sample.text for sample in each.samples("the ", SampleSettings(), 20, 5)] for each in (shipped, rounded)]
    assert texts[0] == texts[1] and len(set(texts[0])) > 10


def test_its_figures_were_measured_with_the_weights_that_lie_there(copies: Copies) -> None:
    metrics = Checkpoint(copies.shipped).manifest.metrics
    loaded = seqgen.load(copies.shipped)
    for split in ("valid", "test"):
        measured = loaded.evaluate(split=split)
        alone = metrics[split]["bits_per_character_without_recall"]
        assert alone == pytest.approx(measured.value_without_recall, abs=1e-6)
        assert metrics[split]["baselines"] == measured.baselines != {}
    assert metrics["test"]["bits_per_character"] == pytest.approx(loaded.evaluate(split="test").value, abs=1e-6)
    trained = seqgen.load(copies.trained).evaluate(split="test").value
    assert 0 < abs(metrics["test"]["bits_per_character"] - trained) < 0.02


def test_it_names_no_file_of_this_machine(copies: Copies) -> None:
    entry = Checkpoint(copies.trained).manifest.corpus["entry"]
    for path in copies.shipped.iterdir():
        data = path.read_bytes()
        assert not [each for each in (entry, str(copies.home), str(Path.home())) if each.encode() in data], path.name
    assert Checkpoint(copies.shipped).recipe.corpus.sources == (copies.shipped.name,)


def test_what_another_machine_would_not_make_again_is_refused(home: Path, tmp_path: Path) -> None:
    def refusal(change: Any) -> str:
        copy = Path(shutil.copytree(home / "checkpoints/verse", tmp_path / "copy"))
        data = json.loads((copy / MANIFEST).read_text(encoding="utf-8"))
        change(data)
        (copy / MANIFEST).write_text(json.dumps(data), encoding="utf-8")
        with pytest.raises(UsageError) as error:
            ship(Checkpoint(copy), tmp_path / "out", "seqgen train")
        shutil.rmtree(copy)
        return str(error.value)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        assert "this training is running" in refusal(lambda data: data.update(status="running"))
        assert "/home/me/diary.txt" in refusal(
            lambda data: data["recipe"]["corpus"].update(sources=["/home/me/diary.txt"])
        )
        assert "another model" in refusal(
            lambda data: data["recipe"]["training"].update(init_from="/x/model-1.safetensors")
        )
    assert not (tmp_path / "out").exists()


def test_shipping_again_replaces_the_model_and_leaves_nothing_of_the_old_one(home: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(home / "shipped/verse", tmp_path / "verse"))
    before = contents(folder)
    writer = CheckpointWriter(folder)
    manifest = Checkpoint(folder).manifest
    manifest.step += 1
    other = {name: each + 1 for name, each in weights_of(folder).items()}
    writer.commit(manifest, other, Checkpoint(folder).tokenizer())
    writer.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setenv("SEQGEN_CACHE", str(home / "cache"))
        ship(Checkpoint(Path("checkpoints/verse")), folder, COMMAND.format("verse", "verse"))
    assert contents(folder) == before


def test_an_older_checkpoint_that_knows_no_command_loads(home: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(home / "checkpoints/verse", tmp_path / "verse"))
    data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert data.pop("made_by") == ""
    (folder / MANIFEST).write_text(json.dumps(data), encoding="utf-8")
    assert Checkpoint(folder).manifest.made_by == ""


def test_info_says_the_command_and_both_figures(run: Run, elsewhere: Path) -> None:
    lines = run("info", "verse").out.splitlines()
    assert f"# made by: {COMMAND.format('verse', 'verse')}" in lines
    figure = re.compile(r"# (validation|test): \d\.\d{3} bits per character.*counting alone: ")
    assert [match[1] for line in lines if (match := figure.match(line))] == ["validation", "test"]
    assert run("info", "verse", "--json").json()[0]["made_by"] == COMMAND.format("verse", "verse")


def test_a_shipped_model_writes_and_answers_by_its_name_in_an_empty_folder(run: Run, elsewhere: Path) -> None:
    assert list(Path().iterdir()) == []
    assert run("sample", "verse", "--seed", "the ", "-n", "8", "-q").out.startswith("the ")
    assert len(run("reply", "answers", "Where is the tea?", "--json").json()[0]["replies"]) == 3
    assert list(Path().iterdir()) == []


def test_the_list_tells_shipped_models_from_ones_own(run: Run, home: Path, elsewhere: Path) -> None:
    shutil.copytree(home / "checkpoints/verse", "checkpoints/verse")
    lines = {line["name"]: line for line in run("list", "--json").json()}
    assert {name: line["shipped"] for name, line in lines.items()} == {"verse": False, "answers": True}
    assert lines["verse"]["folder"] == str(Path("checkpoints/verse"))
    shown = run("list")
    rows = {cells[1]: line for line in shown.out.splitlines() if len(cells := line.split()) > 3}
    assert "finished" in rows["verse"] and "shipped" in rows["answers"]
    assert "verse is your own" in shown.err and "answers" not in shown.err


def test_ones_own_model_is_what_a_name_means_even_if_it_is_damaged(run: Run, home: Path, elsewhere: Path) -> None:
    Path("checkpoints/verse").mkdir(parents=True)
    Path("checkpoints/verse", MANIFEST).write_text("{", encoding="utf-8")
    assert [found.name for found in list_checkpoints()] == ["answers"]
    assert "damaged" in run("sample", "verse").err


def test_shipped_names_are_completed(home: Path, elsewhere: Path) -> None:
    shutil.copytree(home / "checkpoints/verse", "checkpoints/vera")
    argument = sample_command.params[0]
    found = argument.shell_complete(click.Context(sample_command), "ver")
    assert [item.value for item in found] == ["vera", "verse"]


def test_training_under_the_name_of_a_shipped_model_makes_ones_own(run: Run, home: Path, elsewhere: Path) -> None:
    before = contents(elsewhere)
    shutil.copytree(home / "corpora", "corpora")
    shutil.copytree(home / "verse-texts", "verse-texts")
    small = ["--steps", "2", "--set", "model.hidden=8", "-q"]
    assert run("train", "verse", *small).out == "checkpoints/verse\n"
    assert run("info", "verse").out.startswith(f"# {Path('checkpoints/verse')}")
    assert contents(elsewhere) == before


@pytest.mark.parametrize("how", [["--name", "verse"], ["verse"], ["--out", "SHIPPED/verse"]])
def test_a_shipped_model_cannot_be_resumed_and_nothing_is_written_to_it(
    run: Run, elsewhere: Path, how: list[str]
) -> None:
    before = contents(elsewhere)
    result = run("train", *(each.replace("SHIPPED", str(elsewhere)) for each in how), "--resume", "--time", "+10s")
    assert result.code == 4 and "--init-from verse" in result.err and "came with seqgen" in result.err
    assert contents(elsewhere) == before and list(Path().iterdir()) == []


def test_ones_own_model_without_a_state_says_how_to_go_on(run: Run, home: Path) -> None:
    shutil.copytree(home / "shipped/verse", "given")
    before = contents(Path("given"))
    result = run("train", "--out", "given", "--resume", "--time", "+10s")
    assert result.code == 4 and "--init-from given" in result.err
    assert contents(Path("given")) == before


@pytest.mark.parametrize("how", [["--init-from", "verse"], ["--recipe", "verse"]])
def test_a_training_can_begin_from_a_shipped_model_or_repeat_it(run: Run, elsewhere: Path, how: list[str]) -> None:
    Path("mine.txt").write_text(verse(3000), encoding="utf-8")
    before = contents(elsewhere)
    result = run("train", "mine.txt", "--steps", "1", "--json", *how)
    assert result.code == 0
    assert result.json()[-1]["recipe"]["model"]["hidden"] == 32
    assert contents(elsewhere) == before
    if how[0] == "--init-from":
        begun, shipped = weights_of(Path("checkpoints/mine")), weights_of(elsewhere / "verse")
        name = "layers.0.recurrent"
        assert (begun[name] - shipped[name]).abs().max() < 0.1 < shipped[name].abs().max()


def change_the_text(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The card of `home`, now with another text, and an empty cache."""
    monkeypatch.setenv("SEQGEN_CACHE", str(folder / "another cache"))
    (folder / "verse-texts").mkdir()
    (folder / "verse-texts/verse.txt").write_text(verse(9000), encoding="utf-8")


def test_another_text_of_an_installed_card_is_explained(
    run: Run, home: Path, elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(home / "corpora", tmp_path / "package/corpora")
    monkeypatch.setattr("seqgen.cards.cards_folder", lambda: tmp_path / "package/corpora")
    change_the_text(tmp_path / "package", monkeypatch)
    path = elsewhere / "verse" / MANIFEST
    data = json.loads(path.read_text(encoding="utf-8"))
    data["versions"]["python"] = "3.0.1"
    path.write_text(json.dumps(data), encoding="utf-8")
    told = run("eval", "verse")
    checked = run("sample", "verse", "--seed", "the ", "-n", "8", "--check")
    assert told.code == 3 and checked.code == 0 and "not checked" in checked.err
    for result in (told, checked):
        assert "python was 3.0.1, is 3." in result.err and "Bring back" not in result.err
        assert "seqgen info verse" in result.err and "seqgen eval verse FILE" in result.err
    Path("other.txt").write_text(verse(500), encoding="utf-8")
    assert run("eval", "verse", "other.txt").code == 0


def test_another_text_of_ones_own_card_is_to_be_brought_back(
    run: Run, home: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(home / "corpora", "corpora")
    change_the_text(Path(), monkeypatch)
    result = run("eval", "verse")
    assert result.code == 3 and "Bring back the old files" in result.err
