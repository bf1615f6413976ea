"""`--init-from`: known symbols keep their weights exactly, and such a run can be resumed and repeated like any other."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import seqgen
from seqgen import training
from seqgen.alphabet import Alphabet
from seqgen.checkpoint import Checkpoint
from seqgen.errors import CheckpointError, UsageError
from seqgen.inheritance import SHAPE, inherit
from seqgen.manifest import read_lines
from seqgen.modalities import MODALITIES
from seqgen.models import MODELS, LanguageModel
from seqgen.recipe import ModelSettings, merge
from seqgen.trainer import Trainer
from tests.commands import SMALL, Run
from tests.texts import verse

TINY: dict[str, dict[str, Any]] = {
    "model": {"hidden": 12, "embedding": 6, "hidden_dropout": 0.2, "weight_dropout": 0.1},
    "training": {"lanes": 4, "window": 16, "dtype": "float32", "threads": 1, "evaluate_every": 8, "patience": 0},
}
ADDED = "ß漢"


def old_text() -> Path:
    path = Path("old.txt")
    path.write_text(verse(6000), encoding="utf-8")
    return path


def new_text() -> Path:
    """Verse of the same kind, with two characters and a word that the old one has not."""
    path = Path("new.txt")
    lines = verse(4000, seed=7).splitlines(keepends=True)
    path.write_text("".join(f"{ADDED[number % 2]} {line}" for number, line in enumerate(lines)), encoding="utf-8")
    return path


def train(path: Path | None = None, **options: Any) -> seqgen.Outcome:
    settings = merge(TINY, options.pop("settings", {}))
    return seqgen.train(*([path] if path else []), settings=settings, **options)


def base(steps: int = 30, **settings: dict[str, Any]) -> seqgen.Outcome:
    return train(old_text(), name="base", steps=steps, settings=settings)


def at_the_beginning(monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """Fills itself with the weights that the next training has before its first step."""
    weights: dict[str, Tensor] = {}
    step = Trainer.step

    def first(self: Trainer) -> float:
        if not weights:
            weights.update({name: tensor.clone() for name, tensor in self.model.state_dict().items()})
        return step(self)

    monkeypatch.setattr(Trainer, "step", first)
    return weights


@pytest.mark.parametrize(
    ("kind", "cell"), [*((kind, "lstm") for kind in MODALITIES["text"].tokenizers), ("characters", "gru")]
)
def test_known_symbols_keep_their_rows_and_new_ones_come_after(
    kind: str, cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = base(tokenizer={"kind": kind, "vocabulary": 300}, model={"cell": cell})
    old = seqgen.load(made.checkpoint)
    weights = at_the_beginning(monkeypatch)
    new = seqgen.load(train(new_text(), steps=1, init_from=made.checkpoint).checkpoint)
    keys = new.tokenizer.keys()
    size = old.tokenizer.size
    assert keys[:size] == old.tokenizer.keys()
    grows = kind in ("characters", "symbols")
    assert new.tokenizer.size == size + len(ADDED) if grows else new.tokenizer.keys() == old.tokenizer.keys()
    for name, tensor in old.model.state_dict().items():
        known = weights[name][:size] if name in LanguageModel.symbol_rows else weights[name]
        assert torch.equal(known, tensor)
    if grows:
        assert len(weights["embedding"]) == new.tokenizer.size
        assert bool(weights["embedding"][size:].std() > 0) and not bool(weights["output_bias"][size:].any())


def test_a_training_that_begins_from_a_model_begins_better() -> None:
    old = base(steps=150)
    path = Path("similar.txt")
    path.write_text(verse(3000, seed=5), encoding="utf-8")
    first = {}
    for name, init_from in (("scratch", None), ("begun", old.checkpoint)):
        outcome = train(path, name=name, steps=8, init_from=init_from)
        first[name] = read_lines(outcome.checkpoint / "metrics.jsonl")[0]["train_nats"]
    assert first["begun"] < first["scratch"] - 0.5


def test_the_shape_comes_from_the_model_and_not_from_defaults() -> None:
    made = base(model={"layers": 1, "hidden": 16, "embedding": 16, "tied": True, "cell": "gru"})
    outcome = seqgen.train(new_text(), steps=1, init_from=made.checkpoint, settings={"training": TINY["training"]})
    model = outcome.recipe.model
    assert (model.layers, model.hidden, model.embedding, model.tied, model.cell) == (1, 16, 16, True, "gru")


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("model", "cell", "gru"),
        ("model", "layers", 3),
        ("model", "hidden", 13),
        ("model", "embedding", 7),
        ("tokenizer", "kind", "bytes"),
        ("tokenizer", "vocabulary", 300),
    ],
)
def test_another_shape_or_kind_of_symbols_is_refused_by_its_name(section: str, name: str, value: Any) -> None:
    made = base(steps=1)
    with pytest.raises(UsageError, match=rf"{section}\.{name} is {value!r}, but the model to begin from has") as caught:
        train(new_text(), steps=1, init_from=made.checkpoint, settings={section: {name: value}})
    assert "--init-from" in str(caught.value.hint)
    assert [path.name for path in Path("checkpoints").iterdir()] == ["base"]


def test_the_same_shape_may_be_asked_for() -> None:
    made = base(steps=1)
    settings = {"model": {"cell": "lstm", "layers": 2}, "tokenizer": {"kind": "characters"}}
    assert train(new_text(), steps=1, init_from=made.checkpoint, settings=settings).finished


def test_how_often_a_new_symbol_must_occur_can_be_set() -> None:
    made = base(steps=1)
    outcome = train(new_text(), steps=1, init_from="base", settings={"tokenizer": {"min_count": 1000}})
    assert outcome.recipe.tokenizer.min_count == 1000
    assert seqgen.load(outcome.checkpoint).tokenizer.size == seqgen.load(made.checkpoint).tokenizer.size


class Killed(BaseException):
    """The end of a process that nothing can catch."""


def kill_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends the next training at a step; what it has saved by then is all that is left of it."""
    real = Trainer.step

    def killed(self: Trainer) -> float:
        if self.counters.step == step:
            raise Killed
        return real(self)

    monkeypatch.setattr(Trainer, "step", killed)
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)


def assert_same(one: Path, two: Path) -> None:
    assert (one / "metrics.jsonl").read_bytes() == (two / "metrics.jsonl").read_bytes()
    assert Checkpoint(one).manifest.weights == Checkpoint(two).manifest.weights
    assert Checkpoint(one).manifest.tokenizer == Checkpoint(two).manifest.tokenizer
    states = [Checkpoint(folder).training_state() for folder in (one, two)]
    assert states[0].values == states[1].values
    assert all(torch.equal(tensor, states[1].tensors[name]) for name, tensor in states[0].tensors.items())


def test_a_killed_and_resumed_run_ends_bit_identical(monkeypatch: pytest.MonkeyPatch) -> None:
    base()
    whole = train(new_text(), name="whole", steps=20, init_from="base")
    for name, step in (("early", 0), ("late", 13)):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_at(step, patch)
            train(new_text(), name=name, steps=20, init_from="base")
        resumed = seqgen.train(name=name, resume=True)
        assert resumed.finished and resumed.steps == 20
        assert_same(resumed.checkpoint, whole.checkpoint)


def test_a_killed_run_goes_on_without_the_model_that_it_began_from(monkeypatch: pytest.MonkeyPatch) -> None:
    made = base()
    whole = train(new_text(), name="whole", steps=20, init_from="base")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(9, patch)
        train(new_text(), name="killed", steps=20, init_from="base")
    shutil.rmtree(made.checkpoint)
    assert_same(seqgen.train(name="killed", resume=True).checkpoint, whole.checkpoint)


def test_resume_with_the_same_command_goes_on_and_with_another_model_does_not() -> None:
    base()
    train(old_text(), name="other", steps=1)
    train(new_text(), name="more", steps=5, init_from="base")
    assert train(new_text(), name="more", steps="+5", init_from="base", resume=True).steps == 10
    base_folder = Path("checkpoints/base").absolute()
    assert train(new_text(), name="more", steps="+5", init_from=base_folder, resume=True).steps == 15
    with pytest.raises(UsageError, match=r"training\.init_from is 'other', was .*base"):
        train(new_text(), name="more", steps="+5", init_from="other", resume=True)
    with pytest.raises(UsageError, match=r"training\.init_from is 'base', was ''"):
        train(old_text(), name="other", steps="+5", init_from="base", resume=True)


def test_a_recipe_of_such_a_run_repeats_it_bit_for_bit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    base()
    first = train(new_text(), name="first", steps=20, init_from="base")
    Path("elsewhere").mkdir()
    checkpoint = first.checkpoint.absolute()
    monkeypatch.chdir("elsewhere")
    repeated = seqgen.train(recipe=checkpoint, name="repeated")
    assert_same(repeated.checkpoint, checkpoint)
    Path("mine.toml").write_text(first.recipe.to_toml(), encoding="utf-8")
    assert_same(seqgen.train(recipe="mine.toml", name="again").checkpoint, checkpoint)


def test_a_model_that_was_trained_on_since_is_not_taken_for_the_old_one(run: Run) -> None:
    base()
    train(new_text(), name="first", steps=5, init_from="base")
    seqgen.train(name="base", resume=True, steps="+5")
    result = run("train", "--recipe", "first", "--name", "repeated")
    assert (result.code, result.out) == (4, "")
    assert "the model to begin from has been trained on since" in result.err and "--init-from" in result.err
    assert not Path("checkpoints/repeated").exists()
    assert train(new_text(), name="anew", steps=1, init_from="base").finished


def test_a_model_to_begin_from_is_found_by_name_and_path_and_a_missing_one_named() -> None:
    made = base(steps=1)
    sources = {inherit(str(name)).source for name in ("base", made.checkpoint, made.checkpoint.absolute())}
    assert sources == {made.checkpoint.absolute() / Checkpoint(made.checkpoint).manifest.weights}
    assert inherit(str(sources.copy().pop())).source in sources
    with pytest.raises(CheckpointError, match="nobody"):
        train(new_text(), steps=1, init_from="nobody")


def test_a_model_begun_from_another_one_is_one_to_begin_from(run: Run) -> None:
    base()
    text = str(new_text())
    for name, init_from in (("second", "base"), ("third", "second")):
        result = run("train", text, "--name", name, "--init-from", init_from, "--steps", "3", "-q", *SMALL)
        assert (result.code, result.out) == (0, f"checkpoints/{name}\n")
    assert seqgen.load("third").tokenizer.keys() == seqgen.load("second").tokenizer.keys()
    assert run("sample", "third", "--seed", "the ß", "-n", "5").code == 0
    result = run("train", text, "--init-from", "base", "--tokenizer", "bytes", "--steps", "3", *SMALL)
    assert result.code == 2 and "tokenizer.kind" in result.err


def test_settings_of_a_run_do_not_touch_the_model_that_it_began_from() -> None:
    made = base()
    before = {path: path.read_bytes() for path in made.checkpoint.rglob("*") if path.is_file()}
    train(new_text(), steps=5, init_from="base", settings={"model": {"output_dropout": 0.3}})
    assert {path: path.read_bytes() for path in made.checkpoint.rglob("*") if path.is_file()} == before


def test_it_is_said_where_the_model_to_begin_from_has_read_the_same_text() -> None:
    base()
    messages: list[str] = []

    def hear(progress: seqgen.Progress) -> None:
        messages.append(progress.message or "")

    train(old_text(), name="again", steps=1, init_from="base", progress=hear)
    assert any(
        "begins from base" in message and "has read" in message and "too good" in message for message in messages
    )
    messages.clear()
    train(new_text(), name="other", steps=1, init_from="base", progress=hear)
    assert not any("has read" in message for message in messages)


@pytest.mark.parametrize("name", MODELS)
def test_every_setting_that_says_which_weights_there_are_is_taken_over(name: str) -> None:
    """Otherwise a model would look for weights that the other does not have."""

    def shapes(**changed: Any) -> dict[str, torch.Size]:
        settings = ModelSettings(**{"hidden": 8, "embedding": 8, **changed})
        return {key: value.shape for key, value in MODELS[name](Alphabet(5), settings).state_dict().items()}

    names: dict[str, Any] = {"cell": "gru", "attention": "none"}
    for field in dataclasses.fields(ModelSettings):
        now, other = getattr(ModelSettings(), field.name), names.get(field.name)
        if other is None:
            other = not now if isinstance(now, bool) else now + (0.5 if isinstance(now, float) else 2)
        if field.name not in ("hidden", "embedding") and shapes(**{field.name: other}) != shapes():
            assert field.name in SHAPE
    assert {"hidden", "embedding"} <= set(SHAPE)
