"""Training: exact resumption, interruption, pacing, best weights, and what is said at the end."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

import seqgen
from seqgen import training
from seqgen.checkpoint import Checkpoint, TrainingState
from seqgen.corpus import Corpus, prepare
from seqgen.errors import CheckpointError, DataError, TrainingError, UsageError
from seqgen.manifest import TIMING, read_lines
from seqgen.modalities import MODALITIES
from seqgen.models import CELLS
from seqgen.models.layers import RecurrentLayer
from seqgen.native import windows
from seqgen.pacing import Course, Pacer, bend
from seqgen.recipe import Recipe, TrainingSettings, merge
from seqgen.saving import CheckpointWriter
from seqgen.trainer import FOLLOWING, Trainer
from tests.interrupts import CtrlC
from tests.texts import verse

DROPOUTS = {"hidden_dropout": 0.2, "output_dropout": 0.2, "weight_dropout": 0.2, "embedding_dropout": 0.1}
TINY: dict[str, dict[str, Any]] = {
    "model": {"hidden": 12, "embedding": 6, **DROPOUTS},
    "training": {"lanes": 4, "window": 16, "dtype": "float32", "threads": 1, "patience": 0},
}
LOOKS = {"training": {"evaluate_every": 8, "evaluate_symbols": 200}}


@pytest.fixture
def corpus_file(tmp_path: Path) -> Path:
    path = tmp_path / "verse.txt"
    path.write_text(verse(6000), encoding="utf-8")
    return path


def train(path: Path | None, **options: Any) -> seqgen.Outcome:
    settings = merge(TINY, LOOKS, options.pop("settings", {}))
    return seqgen.train(*([path] if path else []), settings=settings, **options)


def trainer_for(path: Path, **settings: dict[str, Any]) -> Trainer:
    return Trainer(*prepared_for(path, **settings))


def prepared_for(path: Path, **settings: dict[str, Any]) -> tuple[Recipe, Corpus]:
    overrides = merge(TINY, LOOKS, settings, {"corpus": {"sources": (str(path),)}, "training": {"steps": 40}})
    corpus = prepare({"corpus": overrides["corpus"], "tokenizer": overrides.get("tokenizer", {})})
    resolved = {"corpus": vars(corpus.settings), "tokenizer": vars(corpus.tokenizer_settings)}
    return Recipe.from_dict(merge(overrides, resolved)), corpus


def advance(trainer: Trainer, steps: int) -> None:
    for _ in range(steps):
        trainer.step()
        if trainer.recipe.training.looks(trainer.counters.step):
            trainer.look()


def assert_same(one: TrainingState, two: TrainingState) -> None:
    assert one.values == two.values
    assert one.tensors.keys() == two.tensors.keys()
    for name, tensor in one.tensors.items():
        assert tensor.dtype == two.tensors[name].dtype and torch.equal(tensor, two.tensors[name]), name


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tokenizer", MODALITIES["text"].tokenizers)
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_restored_trainer_goes_on_bit_for_bit(corpus_file: Path, cell: str, tokenizer: str, optimizer: str) -> None:
    settings: dict[str, dict[str, Any]] = {
        "model": {"cell": cell},
        "tokenizer": {"kind": tokenizer},
        "training": {"optimizer": optimizer},
    }
    whole = trainer_for(corpus_file, **settings)
    advance(whole, 11)
    middle = whole.state()
    kept = TrainingState({name: tensor.clone() for name, tensor in middle.tensors.items()}, dict(middle.values))
    advance(whole, 20)
    resumed = trainer_for(corpus_file, **settings)
    resumed.restore(kept)
    advance(resumed, 20)
    assert_same(whole.state(), resumed.state())


def test_gradients_are_scaled_where_they_are_too_long_and_only_there(corpus_file: Path) -> None:
    def gradients(clip: float) -> Tensor:
        trainer = trainer_for(corpus_file, training={"clip": clip})
        trainer.step()
        return torch.cat([param.grad.flatten() for param in trainer.model.parameters() if param.grad is not None])

    whole = gradients(1e6)
    length = float(whole.norm())
    assert torch.equal(gradients(1.01 * length), whole)
    torch.testing.assert_close(gradients(0.1 * length), 0.1 * whole, rtol=1e-3, atol=1e-9)


def test_a_stretch_is_read_from_the_zero_state(corpus_file: Path) -> None:
    trainer = trainer_for(corpus_file, training={"stretch": 2})
    for _ in range(3 * trainer.feed.steps_per_epoch // 2):
        if trainer.counters.window < trainer.feed.steps_per_epoch and trainer.feed.begins(trainer.counters.window):
            twin = copy.deepcopy(trainer)
            twin.hidden = twin.model.zero_state(twin.recipe.training.lanes)
            assert twin.step() == trainer.step(), "whatever it was before"
        else:
            trainer.step()


def test_compiled_kernels_run_the_layers_where_the_recipe_says_so(corpus_file: Path) -> None:
    for settings, wanted in (
        ({"dtype": "bfloat16", "kernels": "compiled"}, windows.is_available()),
        ({"dtype": "bfloat16", "kernels": "torch"}, False),
    ):
        trainer = trainer_for(corpus_file, model={"hidden": 32}, training=settings)
        layers = [module for module in trainer.model.modules() if isinstance(module, RecurrentLayer)]
        assert layers and {layer.compiled for layer in layers} == {wanted}


@pytest.mark.parametrize(("cell", "kernels"), [*((cell, "torch") for cell in CELLS), ("lstm", "compiled")])
@pytest.mark.parametrize("steps", [0, 1, 11])
def test_a_trainer_of_bfloat16_goes_on_bit_for_bit(corpus_file: Path, cell: str, kernels: str, steps: int) -> None:
    """Its hidden state is of float32 before the first window, and may be of bfloat16 behind it."""
    training = {"dtype": "bfloat16", "kernels": kernels}
    prepared = prepared_for(corpus_file, model={"cell": cell, "hidden": 32}, training=training)
    whole, resumed = Trainer(*prepared), Trainer(*prepared)
    advance(whole, steps)
    resumed.restore(copy.deepcopy(whole.state()))
    assert_same(whole.state(), resumed.state())  # also before a step, or it would be saved as another state
    for trainer in (whole, resumed):
        advance(trainer, 6)
    assert_same(whole.state(), resumed.state())


def test_before_the_first_step_a_state_holds_the_weights_once(corpus_file: Path) -> None:
    whole, resumed = trainer_for(corpus_file), trainer_for(corpus_file)
    once = copy.deepcopy(whole.state())
    assert not any(name.startswith(FOLLOWING) for name in once.tensors)
    copies = {f"{group}/{name}": tensor.clone() for group in FOLLOWING for name, tensor in whole.averaged.items()}
    for state in (TrainingState({**once.tensors, **copies}, once.values), once):  # seqgen wrote the first, too
        advance(resumed, 6)
        resumed.restore(copy.deepcopy(state))
        assert_same(whole.state(), resumed.state())
        for name, tensor in whole.averaged.items():
            assert torch.equal(resumed.averaged[name], tensor) and torch.equal(resumed.best[name], tensor)
    for trainer in (whole, resumed):
        trainer.step()
    assert any(name.startswith(FOLLOWING) for name in whole.state().tensors)
    assert_same(whole.state(), resumed.state())  # none of the three is another one
    for trainer in (whole, resumed):
        advance(trainer, 5)
    assert_same(whole.state(), resumed.state())


def test_no_room_on_a_device_is_not_told_as_a_damaged_state(corpus_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("no room")

    trainer = trainer_for(corpus_file)
    monkeypatch.setattr(trainer.model, "load_state_dict", full)
    with pytest.raises(torch.OutOfMemoryError):
        trainer.restore(trainer.state())


def _parts(state: TrainingState) -> Iterator[tuple[str, str]]:
    yield from (("tensor", name) for name in state.tensors)
    yield from (("value", name) for name in state.values)


def test_every_part_of_the_state_is_needed_to_go_on_exactly(corpus_file: Path) -> None:
    """Tests the test above: with any one part left as a fresh trainer has it, the ends differ."""
    prepared = prepared_for(corpus_file)
    whole = Trainer(*prepared)
    advance(whole, 5)
    whole.change_course(bend(whole.recipe.training, 5, 39, 0.2))
    whole.counters.metrics_length = 5  # as if something had been written
    advance(whole, 14)
    whole.counters.looks_since_best = 1
    middle = whole.state()
    kept = TrainingState({name: tensor.clone() for name, tensor in middle.tensors.items()}, dict(middle.values))
    advance(whole, 4)
    wanted = whole.state()
    fresh = Trainer(*prepared).state()
    missed = []
    for kind, name in _parts(kept):
        if kind == "tensor":
            initial = fresh.tensors.get(name, torch.zeros_like(kept.tensors[name]))
            broken = TrainingState({**kept.tensors, name: initial}, kept.values)
        else:
            broken = TrainingState(kept.tensors, {**kept.values, name: fresh.values[name]})
        resumed = Trainer(*prepared)
        resumed.restore(broken)
        advance(resumed, 4)
        try:
            assert_same(wanted, resumed.state())
            missed.append(name)
        except AssertionError:
            continue
    assert missed == []


@pytest.mark.parametrize("stop_after", [1, 7, 23])
def test_an_interrupted_and_resumed_run_ends_with_the_same_files(corpus_file: Path, stop_after: int) -> None:
    stopped = train(
        corpus_file, steps=30, name="stopped", progress=CtrlC(stop_after), settings={"training": {"evaluate_every": 1}}
    )
    assert not stopped.finished
    again = train(corpus_file, steps=30, name="again", settings={"training": {"evaluate_every": 1}})
    resumed = seqgen.train(name="stopped", resume=True)
    assert resumed.finished and resumed.steps == 30
    assert (resumed.checkpoint / "metrics.jsonl").read_bytes() == (again.checkpoint / "metrics.jsonl").read_bytes()
    assert Checkpoint(resumed.checkpoint).manifest.weights == Checkpoint(again.checkpoint).manifest.weights
    assert_same(Checkpoint(resumed.checkpoint).training_state(), Checkpoint(again.checkpoint).training_state())


@pytest.mark.parametrize("seconds", [1.0, 4.0, 11.0])
def test_no_more_than_thirty_seconds_of_work_are_ever_at_stake(
    corpus_file: Path, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock on which each update takes so long."""
    now, saved = [1000.0], [1000.0]

    def step(trainer: Trainer) -> float:
        now[0] += seconds
        assert now[0] - saved[-1] <= 30
        return take(trainer)

    def commit(writer: CheckpointWriter, *arguments: Any) -> None:
        saved.append(now[0])
        keep(writer, *arguments)

    take, keep = Trainer.step, CheckpointWriter.commit
    monkeypatch.setattr(training, "clock", SimpleNamespace(monotonic=lambda: now[0], sleep=lambda _: None))
    monkeypatch.setattr(Trainer, "step", step)
    monkeypatch.setattr(CheckpointWriter, "commit", commit)
    train(corpus_file, steps=150, settings={"training": {"evaluate_every": 1000}})
    gaps = [late - early for early, late in itertools.pairwise(saved)]
    assert max(gaps) > 30 - 2 * seconds  # nor is it saved much more often in the end


def test_an_interrupted_run_can_be_sampled_at_once(corpus_file: Path) -> None:
    stopped = train(corpus_file, steps=1000, progress=CtrlC())
    assert not stopped.finished and stopped.verdict.name == "interrupted"
    assert "".join(seqgen.load(stopped.checkpoint).sample("the ", length=5)).startswith("the ")
    assert Checkpoint(stopped.checkpoint).manifest.status == "interrupted"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no such signal")
def test_a_terminal_that_is_gone_ends_a_training_with_its_work_saved(corpus_file: Path) -> None:
    stopped = train(corpus_file, steps=1000, progress=CtrlC(3, signal.SIGHUP))
    assert not stopped.finished and Checkpoint(stopped.checkpoint).manifest.status == "interrupted"
    handler = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:  # as under nohup
        assert train(corpus_file, steps=8, progress=CtrlC(3, signal.SIGHUP)).finished
    finally:
        signal.signal(signal.SIGHUP, handler)


def test_a_listener_that_fails_ends_a_training_with_its_work_saved(corpus_file: Path) -> None:
    """As where the disk is full under what it prints."""

    def tell(progress: seqgen.Progress) -> None:
        if progress.step >= 3:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        train(corpus_file, steps=1000, name="told", progress=tell)
    manifest = Checkpoint(Path("checkpoints/told")).manifest
    assert manifest.status == "interrupted" and manifest.step >= 3
    assert seqgen.train(name="told", resume=True, steps=manifest.step + 2).finished


def test_a_folder_that_is_removed_meanwhile_comes_again_with_the_work(corpus_file: Path) -> None:
    def remove(progress: seqgen.Progress) -> None:
        if progress.look and progress.step == 16:
            shutil.rmtree("checkpoints/gone")

    outcome = train(corpus_file, steps=24, name="gone", progress=remove)
    assert "".join(seqgen.load(outcome.checkpoint).sample("the ", length=5)).startswith("the ")
    assert seqgen.train(name="gone", resume=True, steps="+3").steps == 27


def test_clocks_that_cannot_be_written_down_stop_nothing(corpus_file: Path) -> None:
    train(corpus_file, steps=8, name="clocks")
    timing = Path("checkpoints/clocks") / TIMING
    timing.unlink()
    timing.mkdir()
    assert seqgen.train(name="clocks", resume=True, steps="+8").finished


def test_more_names_of_files_than_can_be_kept_are_refused_before_training(
    corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqgen.saving.LARGEST_JSON", 1000)
    with pytest.raises(UsageError, match="1 files are too many to be named one by one"):
        train(corpus_file, steps=8, name="many")
    assert not Path("checkpoints/many").exists()


def test_signal_handlers_and_torch_settings_are_put_back(corpus_file: Path) -> None:
    handler, threads = signal.getsignal(signal.SIGINT), torch.get_num_threads()
    train(corpus_file, steps=2, threads=threads + 1, settings={"training": {"threads": threads + 1}})
    assert signal.getsignal(signal.SIGINT) is handler
    assert torch.get_num_threads() == threads


def test_training_works_outside_the_main_thread(corpus_file: Path) -> None:
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(train(corpus_file, steps=2)))
    thread.start()
    thread.join()
    assert outcomes[0].finished


def test_the_same_recipe_gives_the_same_weights_and_another_random_seed_others(corpus_file: Path) -> None:
    first = train(corpus_file, steps=9)
    repeated = seqgen.train(recipe=first.checkpoint)
    other = train(corpus_file, steps=9, random_seed=5)
    names = [Checkpoint(outcome.checkpoint).manifest.weights for outcome in (first, repeated, other)]
    assert names[0] == names[1] != names[2]


def test_a_corrected_and_prolonged_run_is_repeated_bit_for_bit(corpus_file: Path) -> None:
    train(corpus_file, steps=20)
    path = Path("checkpoints/verse")
    seqgen.train(name="verse", resume=True, steps="+7")
    first = seqgen.train(name="verse", resume=True, steps="+9")
    assert len(first.recipe.training.schedule) == 3
    repeated = seqgen.train(recipe=path, name="repeated")
    assert (repeated.checkpoint / "metrics.jsonl").read_bytes() == (path / "metrics.jsonl").read_bytes()
    assert Checkpoint(repeated.checkpoint).manifest.weights == Checkpoint(path).manifest.weights


def test_a_recipe_can_be_a_toml_file(corpus_file: Path, tmp_path: Path) -> None:
    first = train(corpus_file, steps=5)
    (tmp_path / "mine.toml").write_text(first.recipe.to_toml(), encoding="utf-8")
    again = seqgen.train(recipe=tmp_path / "mine.toml")
    assert Checkpoint(again.checkpoint).manifest.weights == Checkpoint(first.checkpoint).manifest.weights


def test_a_finished_run_can_be_prolonged(corpus_file: Path) -> None:
    first = train(corpus_file, steps=10)
    more = seqgen.train(name="verse", resume=True, steps="+10")
    assert more.checkpoint == first.checkpoint and more.steps == 20
    assert [look["step"] for look in read_lines(more.checkpoint / "metrics.jsonl")][-1] == 20
    with pytest.raises(UsageError, match="finished"):
        seqgen.train(name="verse", resume=True)


def test_resume_with_other_settings_says_which_differ(corpus_file: Path) -> None:
    train(corpus_file, steps=2)
    with pytest.raises(UsageError, match=r"model\.hidden is 16, was 12"):
        seqgen.train(name="verse", resume=True, steps="+2", settings={"model": {"hidden": 16}})


def test_resume_with_the_same_command_goes_on_with_the_plan(corpus_file: Path) -> None:
    stopped = train(corpus_file, steps=20, progress=CtrlC())
    assert train(corpus_file, steps=20, resume=True).steps == 20
    assert not stopped.finished


def test_resume_notices_a_changed_corpus(corpus_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    train(corpus_file, steps=2)
    corpus_file.write_text(verse(6000, seed=9), encoding="utf-8")
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "another"))
    with pytest.raises(DataError, match="changed"):
        seqgen.train(name="verse", resume=True, steps="+2")


def test_names_count_up_and_an_existing_out_is_refused(corpus_file: Path, tmp_path: Path) -> None:
    assert [train(corpus_file, steps=1).checkpoint.name for _ in range(3)] == ["verse", "verse-2", "verse-3"]
    train(corpus_file, steps=1, out=tmp_path / "there")
    with pytest.raises(CheckpointError, match="already"):
        train(corpus_file, steps=1, out=tmp_path / "there")


def test_a_second_training_into_one_folder_is_refused(corpus_file: Path) -> None:
    train(corpus_file, steps=3)
    refused: list[bool] = []

    def intrude(progress: seqgen.Progress) -> None:
        if progress.look and not refused:
            with pytest.raises(CheckpointError, match="another training"):
                seqgen.train(name="verse", resume=True, steps="+1")
            refused.append(True)

    seqgen.train(name="verse", resume=True, steps="+3", progress=intrude)
    assert refused


def test_the_pace_is_told_how_long_a_look_takes_and_how_long_a_step_did_when_its_end_was_planned(
    corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    planned: set[float] = set()
    correct = Pacer.correct

    def recorded(self: Pacer, settings: TrainingSettings, step: int, now: float) -> Course | None:
        told.append(self.look)
        planned.add(self.planned_step)
        return correct(self, settings, step, now)

    monkeypatch.setattr(Pacer, "correct", recorded)
    outcome = train(corpus_file, time="6s")
    assert told[0] == 0
    assert 0 < told[-1] < outcome.seconds
    (step_seconds,) = planned
    assert 0 < step_seconds < 20 * outcome.seconds / outcome.steps  # its trial may be slow


def test_a_timed_run_becomes_steps_and_reports_them(corpus_file: Path) -> None:
    outcome = train(corpus_file, time="5s")
    assert outcome.finished and outcome.steps > 10
    assert outcome.recipe.training.steps == outcome.steps
    assert Checkpoint(outcome.checkpoint).recipe.training.schedule == outcome.recipe.training.schedule


def test_epochs_are_passes_over_the_training_text(corpus_file: Path) -> None:
    outcome = train(corpus_file, epochs=2)
    symbols = 2 * len(prepare({"corpus": {"sources": (str(corpus_file),)}}).splits["train"])
    assert abs(outcome.steps * 4 * 16 - symbols) < 0.1 * symbols


def test_the_best_weights_on_validation_text_are_kept(corpus_file: Path) -> None:
    outcome = train(
        corpus_file,
        steps=60,
        settings={"training": {"learning_rate": 0.05, "evaluate_symbols": 10_000, "averaging": 0.0}},
    )
    looks = read_lines(outcome.checkpoint / "metrics.jsonl")
    assert outcome.valid is not None
    best = min(look["valid_nats"] for look in looks)
    assert outcome.valid.nats_per_symbol == pytest.approx(best, abs=2e-3)


def test_patience_ends_a_run_that_gets_no_better(corpus_file: Path) -> None:
    outcome = train(
        corpus_file, steps=4000, settings={"training": {"patience": 3, "evaluate_every": 10, "learning_rate": 0.05}}
    )
    assert outcome.finished and outcome.steps < 4000 and outcome.verdict.name == "overfitted"


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_state(
    corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.step

    def poisoned(self: Trainer) -> float:
        if self.counters.step == 12:
            with torch.no_grad():
                next(self.model.parameters()).fill_(math.nan)
        return step(self)

    monkeypatch.setattr(Trainer, "step", poisoned)
    monkeypatch.setattr(training, "SAVE_EVERY", 0.0)
    with pytest.raises(TrainingError, match="step 12"):
        train(corpus_file, steps=30)
    state = Checkpoint(Path("checkpoints/verse")).training_state()
    assert state.values["step"] == 12
    assert all(bool(tensor.isfinite().all()) for tensor in state.tensors.values())
    seqgen.load("verse")


def test_a_corpus_without_validation_text_can_be_trained_on(corpus_file: Path) -> None:
    outcome = train(corpus_file, steps=5, settings={"corpus": {"split": "100/0/0"}})
    assert outcome.valid is None and outcome.finished


@pytest.mark.parametrize(
    ("text", "error"), [("", "no text"), ("sho", "too few symbols|too few for"), ("a" * 5000, None), ("ab" * 40, None)]
)
def test_odd_corpora_are_trained_on_or_refused_in_words(tmp_path: Path, text: str, error: str | None) -> None:
    path = tmp_path / "odd.txt"
    path.write_text(text, encoding="utf-8")
    settings: dict[str, dict[str, Any]] = {"training": {"dtype": "float32", "threads": 1}, "model": {"hidden": 8}}
    if error:
        with pytest.raises(DataError, match=error):
            seqgen.train(path, steps=2, settings=settings)
    else:
        assert seqgen.train(path, steps=2, settings=settings).finished


def test_progress_is_told_from_preparation_to_the_last_step(corpus_file: Path) -> None:
    told: list[seqgen.Progress] = []
    train(corpus_file, steps=17, progress=told.append)
    phases = [phase for phase, _ in itertools.groupby(progress.phase for progress in told)]
    assert phases[:4] == ["preparing", "prepared", "planned", "training"]
    looks = [progress.look for progress in told if progress.look]
    assert looks[-1].step == 17 and looks[-1].valid_nats is not None
    assert any(progress.sample for progress in told)
    assert {"step", "seconds", "symbols_per_second"} <= read_lines(Path("checkpoints/verse") / TIMING)[0].keys()


def test_counters_are_plain_numbers_that_json_keeps() -> None:
    import json

    from seqgen.trainer import Counters

    counters = Counters(step=3, nats=0.1 + 0.2, best_nats=math.inf, schedule=((0, 0.0, 0.2),))
    plain = dataclasses.asdict(counters)
    again = json.loads(json.dumps(plain))
    assert again["nats"] == counters.nats and again["best_nats"] == math.inf


def test_a_resumed_run_tells_its_folder_too(corpus_file: Path) -> None:
    """A log for TensorBoard is opened there."""
    first = train(corpus_file, steps=3)
    told: list[seqgen.Progress] = []
    seqgen.train(out=first.checkpoint, steps="+2", resume=True, progress=told.append)
    assert any(progress.folder == first.checkpoint for progress in told)
