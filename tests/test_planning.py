"""What a run can afford: the faster arithmetic, time kept for the end, and dropout from the measured speed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import seqgen
from seqgen import planning, runs, training
from seqgen.defaults import Facts, Forms, choose, useful_rate
from seqgen.errors import TrainingError
from seqgen.models import CELLS
from seqgen.pacing import WIND_UP
from seqgen.planning import (
    FINAL_LOOK_LEAST,
    FINAL_LOOK_SHARE,
    SEEN,
    TRIAL,
    Way,
    plan_end,
    time_steps,
    ways,
    with_regularization,
)
from seqgen.recipe import Recipe, TrainingSettings
from seqgen.trainer import Counters
from tests.commands import Run
from tests.texts import verse

BOTH = ("float32", "bfloat16")
ALL = ("float32", "compiled", "bfloat16")


class FakeFeed:
    """Batches of different sizes; some are larger, but come too late."""

    steps_per_epoch, fullest = 20, 3

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        rows = 8 if step == self.fullest else 3 if step < SEEN else 9
        return torch.zeros(rows, 4), torch.zeros(rows)


class FakeTrainer:
    """Steps that take a known time on a clock of their own, or cannot be taken."""

    now = 0.0
    speeds: dict[str, float | Exception]
    steps: list[str]

    def __init__(self, recipe: Recipe, *_: object) -> None:
        training = recipe.training
        self.dtype = training.dtype if training.kernels == "torch" else training.kernels
        self.feed, self.counters = FakeFeed(), Counters()

    def step(self) -> None:
        assert self.counters.window == FakeFeed.fullest
        self.counters.window += 1
        speed = type(self).speeds[self.dtype]
        if isinstance(speed, Exception):
            raise speed
        FakeTrainer.now += speed
        FakeTrainer.steps.append(self.dtype)


def timed(
    monkeypatch: pytest.MonkeyPatch,
    speeds: dict[str, float | Exception],
    dtypes: tuple[str, ...] = BOTH,
) -> tuple[str, float]:
    """The name of the fastest way, `compiled` for the compiled kernels, and its seconds."""
    FakeTrainer.speeds, FakeTrainer.steps = speeds, []
    monkeypatch.setattr(planning, "Trainer", FakeTrainer)
    monkeypatch.setattr("time.monotonic", lambda: FakeTrainer.now)
    tried = [{"dtype": "bfloat16", "kernels": name} if name == "compiled" else way(name) for name in dtypes]
    best, took = time_steps(Recipe(), None, "language", tried)  # type: ignore[arg-type]
    return best["dtype"] if best["kernels"] == "torch" else best["kernels"], took


def way(dtype: str) -> Way:
    return {"dtype": dtype, "kernels": "torch"}


@pytest.mark.parametrize(
    ("float32", "bfloat16", "chosen"), [(0.1, 0.05, "bfloat16"), (0.1, 0.095, "float32"), (0.1, 0.3, "float32")]
)
def test_the_other_arithmetic_must_be_clearly_faster(
    monkeypatch: pytest.MonkeyPatch, float32: float, bfloat16: float, chosen: str
) -> None:
    speeds: dict[str, float | Exception] = {"float32": float32, "bfloat16": bfloat16}
    dtype, seconds = timed(monkeypatch, speeds)
    assert dtype == chosen and seconds == pytest.approx(speeds[chosen])
    assert set(FakeTrainer.steps) == set(BOTH)


@pytest.mark.parametrize(("compiled", "chosen"), [(0.04, "compiled"), (0.052, "compiled"), (0.06, "bfloat16")])
def test_the_compiled_kernels_are_preferred_to_those_of_torch(
    monkeypatch: pytest.MonkeyPatch, compiled: float, chosen: str
) -> None:
    speeds: dict[str, float | Exception] = {"float32": 0.1, "bfloat16": 0.05, "compiled": compiled}
    assert timed(monkeypatch, speeds, dtypes=ALL)[0] == chosen


@pytest.mark.parametrize("compiles", [True, False])
def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch, compiles: bool) -> None:
    monkeypatch.setattr(CELLS["lstm"], "compiles", lambda hidden: compiles)
    recipe = Recipe()
    here = {"dtype": "bfloat16", "kernels": "compiled" if compiles else "torch"}
    assert ways(recipe, ()) == ([here] if compiles else [way("float32"), way("bfloat16")])
    assert ways(recipe.replace(dtype="float32"), ("dtype",)) == [way("float32")]
    assert ways(recipe.replace(dtype="bfloat16"), ("dtype",)) == [here]
    assert ways(recipe.replace(kernels="torch"), ("kernels",)) == [way("float32"), way("bfloat16")]
    both = recipe.replace(dtype="bfloat16", kernels="compiled")
    assert ways(both, ("dtype", "kernels")) == [here]
    gated = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, cell="gru"))
    assert ways(gated, ()) == [way("float32"), way("bfloat16")]


def test_arithmetic_that_does_not_work_here_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert timed(monkeypatch, {"float32": 0.1, "bfloat16": RuntimeError("no kernel")})[0] == "float32"
    assert timed(monkeypatch, {"float32": MemoryError(), "bfloat16": 0.1})[0] == "bfloat16"


def test_where_nothing_works_it_says_why_and_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = RuntimeError("cannot allocate 9 GB\nat line 5")
    with pytest.raises(TrainingError, match="cannot allocate") as caught:
        timed(monkeypatch, {"float32": MemoryError(), "bfloat16": problem})
    assert "line 5" not in caught.value.what and "model.hidden" in str(caught.value.hint)


def test_timing_takes_a_fraction_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    before = FakeTrainer.now
    timed(monkeypatch, {"float32": 0.01, "bfloat16": 0.01})
    assert 2 * TRIAL <= FakeTrainer.now - before < 2 * TRIAL + 0.05
    timed(monkeypatch, {"float32": 0.01, "bfloat16": 0.01}, dtypes=("bfloat16",))
    assert set(FakeTrainer.steps) == {"bfloat16"}


def test_a_long_validation_text_is_read_in_part_and_a_short_one_whole() -> None:
    settings = TrainingSettings(lanes=10, window=100, recall_symbols=0)
    reading = 0.3 / 2 / 1000
    assert plan_end(settings, 16_000, 1000, 0.3, 60.0)[0] == 16_000
    symbols, reserve = plan_end(settings, 500_000, 1000, 0.3, 60.0)
    assert symbols == int(FINAL_LOOK_SHARE * 60.0 / reading)
    assert FINAL_LOOK_SHARE * 60.0 < reserve - WIND_UP < 1.5 * FINAL_LOOK_SHARE * 60.0
    assert plan_end(settings, 500_000, 1000, 0.3, 1.0)[0] == FINAL_LOOK_LEAST


def test_learning_to_recall_is_given_time() -> None:
    settings = TrainingSettings(lanes=10, window=100, recall_symbols=50_000)
    with_it = plan_end(settings, 20_000, 1000, 0.03, 60.0)[1]
    without = plan_end(TrainingSettings(lanes=10, window=100, recall_symbols=0), 20_000, 1000, 0.03, 60.0)[1]
    assert 0.5 < with_it - without < 3.0


@pytest.mark.parametrize(("step_seconds", "dropout", "of_weights"), [(1.0, 0.0, 0.0), (1e-5, 0.4, 0.4)])
def test_dropout_follows_from_the_measured_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_seconds: float, dropout: float, of_weights: float
) -> None:
    monkeypatch.setattr(training, "time_steps", lambda *_: (way("float32"), step_seconds))
    path = tmp_path / "verse.txt"
    path.write_text(verse(6000), encoding="utf-8")
    asked: dict[str, dict[str, Any]] = {"training": {"threads": 1}, "model": {"hidden": 16}}
    model = seqgen.train(path, time="4s", settings=asked, name="a").recipe.model
    assert (model.hidden_dropout, model.output_dropout, model.weight_dropout) == (dropout, dropout, of_weights)
    asked["model"] = {"hidden": 16, "hidden_dropout": 0.2}
    model = seqgen.train(path, time="4s", settings=asked, name="b").recipe.model
    assert (model.hidden_dropout, model.output_dropout) == (0.2, dropout)


@pytest.mark.parametrize("settings", [["training.dtype=float32"], ["training.dtype=bfloat16", "model.cell=gru"]])
def test_compiled_kernels_are_refused_where_there_can_be_none(settings: list[str], tmp_path: Path, run: Run) -> None:
    (tmp_path / "verse.txt").write_text(verse(4000), encoding="utf-8")
    asked = [part for setting in ["training.kernels=compiled", *settings] for part in ("--set", setting)]
    said = run("train", str(tmp_path / "verse.txt"), "--steps", "2", *asked)
    assert said.code == 2 and "LSTMs in bfloat16" in said.err


def test_a_machine_of_very_fast_products_gets_no_larger_model_than_it_has_use_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "verse.txt"
    path.write_text(verse(200_000), encoding="utf-8")
    monkeypatch.setattr(runs, "matrix_rate", lambda *_: 1e15)
    useful = Facts(180_000, 40, 3.0, matrix_rate=useful_rate(1e15, "cpu"))
    unbounded = dataclasses.replace(useful, matrix_rate=1e15)
    hidden = seqgen.train(path, time="3s", out=tmp_path / "out").recipe.model.hidden
    assert hidden == choose(useful)["model"]["hidden"] < choose(unbounded)["model"]["hidden"]


def test_what_keeps_a_model_from_learning_by_heart_follows_how_often_it_reads_but_for_what_is_settled() -> None:
    first, keys = Recipe(), Forms(7, alike=True)
    chosen = with_regularization(first, "language", 5, 10**6, keys, {})
    assert chosen.training.weight_decay > 0.2 and chosen.model.hidden_dropout == chosen.model.output_dropout > 0.2
    settled = with_regularization(
        first, "language", 5, 10**6, keys, {"training": {"weight_decay": 0.0}, "model": {"hidden_dropout": 0.0}}
    )
    assert settled.training.weight_decay == first.training.weight_decay
    assert settled.model.hidden_dropout == first.model.hidden_dropout
    assert settled.model.output_dropout == chosen.model.output_dropout
    inherited = with_regularization(first.replace(init_from="folk"), "language", 5, 10**6, keys, {})
    assert inherited.training.weight_decay == first.training.weight_decay
    assert inherited.model == chosen.model
