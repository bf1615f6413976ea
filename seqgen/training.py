"""``train()``: from what the user asks to a trained checkpoint. The one training loop; it reports Progress, draws nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import math
import os
import signal
import threading
import time as clock
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from seqgen.checkpoint import RECALL
from seqgen.corpus import Corpus
from seqgen.decoding.rules import RuleSettings
from seqgen.defaults import describe
from seqgen.errors import CheckpointError
from seqgen.evaluation import learn_confidence, look_back
from seqgen.generation import generate
from seqgen.machine import prepare_training, torch_settings
from seqgen.manifest import LOSS_PLOT, METRICS, RESUME, TIMING, Manifest, read_lines
from seqgen.modalities import MODALITIES
from seqgen.models import MODELS, Model
from seqgen.pacing import Budget, Pacer, looks_for, plan, prolong
from seqgen.planning import plan_end, time_steps, ways, with_regularization
from seqgen.plots import draw_loss
from seqgen.predictions import Evaluation
from seqgen.progress import Listener, Outcome, Progress, judge
from seqgen.recipe import Overrides, Recipe
from seqgen.runs import Request, Run, open_run, start_run
from seqgen.saving import CheckpointWriter
from seqgen.sources.tables import count_left_out
from seqgen.tokenizers import DOCUMENT, Opening, alphabet_of
from seqgen.trainer import Look, Trainer, feed_of
from seqgen.writing import Limits

Weights = Mapping[str, Tensor]

SAVE_EVERY = 30.0
"""Seconds of work that a crash may cost at most, where a single step does not take longer."""
FIRST_SAVE = 2.0
"""Seconds before the first save; then they come further and further apart, up to `SAVE_EVERY`."""
LAST_PATIENCE = 3600.0
"""Seconds for which a training that is over waits where it cannot be saved: nothing else knows what it came to."""
TRY_EVERY, TELL_EVERY = 2.0, 60.0
"""Seconds after which that is tried again, and told again."""
REPORT_EVERY = 0.25
SAMPLE_LENGTH = 70


def train(
    *corpora: str | os.PathLike[str],
    time: str | float | None = None,
    steps: int | str | None = None,
    epochs: float | str | None = None,
    name: str | None = None,
    out: str | Path | None = None,
    settings: Overrides | None = None,
    recipe: str | Path | None = None,
    resume: bool = False,
    device: str | None = None,
    threads: int | None = None,
    random_seed: int | None = None,
    init_from: str | Path | None = None,
    strict: bool = False,
    progress: Listener | None = None,
    started: float | None = None,
) -> Outcome:
    """Trains a model on a corpus and writes it to a checkpoint folder.

    Args:
        corpora: files, folders, globs, names of cards, or `-` for standard input.
        time: wall time in seconds or as in `"3m"`, from `started` to the return, a first preparation of the corpus
            aside; with `resume`, `"+10m"` trains ten minutes more.
        steps: updates, instead of a time; `"+500"` likewise.
        epochs: passes over the training text, instead of a time; `"+2"` likewise.
        name: the folder is `checkpoints/NAME`; by default it is called after the corpus.
        out: the folder, instead of a name.
        settings: section -> field -> value, as in `seqgen.recipe`; what is not set is chosen.
        recipe: a TOML file, or a checkpoint whose training to repeat.
        resume: go on with an interrupted or finished run.
        device: `auto`, `cpu`, `cuda` or `mps`.
        threads: processor threads.
        random_seed: of weights, dropout and order.
        strict: a file of the corpus that cannot be used is an error, and not left out.
        init_from: a checkpoint whose weights to begin with; its symbols are kept, and new ones added.
        progress: called with each `Progress`.
        started: `time.monotonic()` when the user's command began; default now.

    Raises:
        UsageError: settings that cannot be meant.
        DataError: a corpus that cannot be used.
        CheckpointError: a folder that exists, is in use, or cannot be written.
        TrainingError: the loss stopped being finite.
    """
    request = Request(
        corpora=tuple(str(corpus) for corpus in corpora),
        budget=Budget.parse(time, steps, epochs),
        name=name,
        out=Path(out) if out is not None else None,
        settings=settings or {},
        recipe=str(recipe) if recipe is not None else None,
        device=device,
        threads=threads,
        random_seed=random_seed,
        init_from=str(init_from) if init_from is not None else None,
        started=clock.monotonic() if started is None else started,
        strict=strict,
    )
    prepare_training()
    say = progress or (lambda _: None)
    say(Progress("preparing", message="reading the corpus"))
    run = open_run(request) if resume else start_run(request)
    try:
        with torch_settings(run.recipe.training.threads, run.recipe.training.device), _Interruption() as interruption:
            return _Session(run, say, interruption).train()
    finally:
        run.writer.close()


def _will_stay(error: CheckpointError) -> bool:
    """Whether what keeps a checkpoint from being written does not pass by itself."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.EACCES, errno.EPERM, errno.EROFS)


class _Interruption:
    """Turns a first Ctrl-C (SIGTERM, the end of the terminal) into a wish that the loop fulfils after its step; a second one ends
    at once."""

    def __init__(self) -> None:
        self.wanted = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> _Interruption:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                number = getattr(signal, name, None)
                if number and not (name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN):  # as nohup has it
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: Any) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True


class _Session:
    """One sitting of a run: plans it, steps it, saves it, and looks back on it."""

    def __init__(self, run: Run, say: Listener, interruption: _Interruption) -> None:
        self.run, self.interruption = run, interruption
        self._listener = say
        self._failure: Exception | None = None
        """What the listener raised, to be raised again once the work is saved."""
        self.writer: CheckpointWriter = run.writer
        self.manifest: Manifest = run.manifest
        self.corpus: Corpus = run.corpus
        train_split = run.corpus.predicted("train")
        self.unit = run.corpus.tokenizer.unit
        self.modality = MODALITIES[run.corpus.settings.kind]
        self.train_scale = len(train_split) / max(1, train_split.characters) * self.unit.scale
        valid_split = run.corpus.predicted("valid")
        self.valid_scale = len(valid_split) / max(1, valid_split.characters) * self.unit.scale
        self.latest_valid: float | None = None
        self.unsaved = False
        """Whether the last save failed."""
        self.final_symbols: int | None = None
        """How much of the validation text the final look reads; None: all of it."""

    def say(self, progress: Progress) -> None:
        """Tells the listener. Where that fails (no room for what it prints, a terminal that is gone), the training ends as if it
        were interrupted."""
        if self._failure is None:
            try:
                self._listener(progress)
            except Exception as error:
                self._failure = error

    def train(self) -> Outcome:
        """Plans, trains, winds up."""
        outcome = self._train()
        if self._failure is not None:
            raise self._failure
        return outcome

    @property
    def _is_to_stop(self) -> bool:
        return self.interruption.wanted or self._failure is not None

    def _train(self) -> Outcome:
        self._announce()
        trainer, pacer = self._plan()
        symbols, size = len(self.corpus.splits["train"]), self.corpus.tokenizer.size
        chosen = describe(trainer.recipe, symbols, size, self.modality.sequences is not None)
        self.say(Progress("planned", message=chosen, folder=self.writer.folder))
        self.manifest.recipe = trainer.recipe
        self._save(trainer)
        began = clock.monotonic()
        if pacer:
            pacer.began = began
        self._loop(trainer, pacer, began)
        return self._wind_up(trainer, began)

    def _announce(self) -> None:
        corpus = self.corpus
        modality, counted = self.modality, f"{corpus.characters:,} {corpus.tokenizer.unit.counted}s"
        if modality.sequences is not None:
            counted = f"{sum(len(split.starts) for split in corpus.splits.values()) // 2:,} pairs"
        documents = f"{corpus.documents:,} {modality.document}{'s' if corpus.documents > 1 else ''}"
        left_out = sum(map(count_left_out, corpus.left_out.values()))
        cut = f" ({corpus.settings.documents})" if modality.divide is None else f", as {corpus.tokenizer_settings.kind}"
        what = f"{corpus.settings.kind}, {counted} in {documents}{cut}"
        split = f"split {corpus.settings.split} by {corpus.split_by}"
        missing = f", {left_out:,} left out (seqgen corpus stats names them)" if left_out else ""
        self.say(Progress("prepared", message=f"{what}, {split}{missing}"))
        for note in corpus.notes:
            self.say(Progress("prepared", message=note))
        if self.run.note:
            self.say(Progress("prepared", message=self.run.note))

    def _plan(self) -> tuple[Trainer, Pacer | None]:
        """The trainer with its course settled, and a pacer for a timed run."""
        run, budget = self.run, self.run.budget
        settled = run.chosen_by_user.get("training", {})
        seconds = budget.seconds if budget else None
        tried, step_seconds = ways(run.recipe, settled), 0.0
        way = tried[0]
        if seconds or len(tried) > 1 or "dtype" not in settled:  # this also tells whether such a model fits here
            way, step_seconds = time_steps(run.recipe, self.corpus, self.manifest.model, tried)
        recipe = run.recipe.replace(**way)
        if budget is None:
            return self._trainer(recipe), None

        now, deadline = clock.monotonic(), run.started + (seconds or 0.0)
        batch = feed_of(recipe, self.corpus, self.manifest.model).symbols_per_step
        reserve, valid_symbols = 0.0, len(self.corpus.splits["valid"])
        if seconds:
            self.final_symbols, reserve = plan_end(recipe.training, valid_symbols, batch, step_seconds, seconds)
        steps_per_epoch = len(self.corpus.splits["train"]) / batch
        steps = plan(budget, steps_per_epoch, step_seconds, deadline - now - reserve)
        if run.state is not None:
            trainer = self._trainer(recipe)
            if trainer.counters.batches:  # a repetition will look here, since the course changes
                self._look(trainer, 0.0, 0.0)
            trainer.change_course(prolong(trainer.recipe.training, trainer.counters.step, steps))
        else:
            looks = looks_for(steps, batch, valid_symbols)
            chosen = {name: value for name, value in looks.items() if name not in settled}
            recipe = recipe.replace(steps=steps, schedule=(), **chosen)
            if seconds:
                epochs, symbols = steps / steps_per_epoch, len(self.corpus.splits["train"])
                fixed, forms = run.chosen_by_user, self.corpus.forms
                recipe = with_regularization(recipe, self.manifest.model, epochs, symbols, forms, fixed)
            trainer = self._trainer(recipe)
        if not seconds:
            return trainer, None
        pacer = Pacer(deadline, now, trainer.counters.step)
        pacer.reserve, pacer.planned_step = reserve, step_seconds
        return trainer, pacer

    def _trainer(self, recipe: Recipe) -> Trainer:
        """The trainer, where the run left off if it did."""
        run = self.run
        trainer = Trainer(recipe, self.corpus, self.manifest.model, run.inheritance)
        if run.state is not None:
            try:
                trainer.restore(run.state)
            except CheckpointError as error:
                error.where = str(self.writer.folder / RESUME / f"state-{run.state.values['step']}-*")
                raise
            self.writer.cut(METRICS, trainer.counters.metrics_length)
        return trainer

    def _loop(self, trainer: Trainer, pacer: Pacer | None, began: float) -> None:
        counters = trainer.counters
        saved = reported = now = clock.monotonic()
        first = counters.step
        surprise = None
        while not trainer.finished and not self._is_to_stop:
            value = trainer.step() * self.train_scale
            surprise = value if surprise is None else 0.95 * surprise + 0.05 * value
            before, now = now, clock.monotonic()
            speed = (counters.step - first) / max(1e-9, now - began)
            if pacer and (course := pacer.correct(trainer.recipe.training, counters.step, now)):
                trainer.change_course(course)  # which wants a look, so that a repetition can look at the same step
            look = self._look(trainer, speed, now - began) if trainer.recipe.training.looks(counters.step) else None
            if pacer and look:
                pacer.look = clock.monotonic() - now
            if look or now - reported > REPORT_EVERY:
                self._report(trainer, surprise, now - began, speed, look)
                reported = now
            at_stake = now - saved + (now - before)  # if it ends just before the next chance to save
            if at_stake > min(SAVE_EVERY, FIRST_SAVE + (now - began) / 4):
                self._save_or_go_on(trainer)
                saved = now = clock.monotonic()  # else it would count as a step, and a slow disk be saved to at each

    def _look(self, trainer: Trainer, speed: float, seconds: float) -> Look:
        look = trainer.look()
        self.latest_valid = look.valid_nats
        trainer.counters.metrics_length = self.writer.append(METRICS, dataclasses.asdict(look))
        rate = speed * trainer.feed.symbols_per_step
        self.writer.append(TIMING, {"step": look.step, "seconds": round(seconds, 3), "symbols_per_second": round(rate)})
        return look

    def _report(self, trainer: Trainer, surprise: float, seconds: float, speed: float, look: Look | None) -> None:
        settings, step = trainer.recipe.training, trainer.counters.step
        valid = None if self.latest_valid is None else self.latest_valid * self.valid_scale
        self.say(
            Progress(
                "training",
                step=step,
                steps=settings.steps,
                seconds=seconds,
                seconds_left=(settings.steps - step) / speed,
                symbols_per_second=speed * trainer.feed.symbols_per_step,
                train=surprise,
                valid=valid,
                unit=self.unit,
                look=look,
                sample=self._sample(trainer) if look and look.step % settings.evaluate_every == 0 else None,
            )
        )

    def _sample(self, trainer: Trainer) -> str:
        """What the averaged weights write by themselves."""
        model = self._model(trainer, trainer.averaged)
        limits, opening = Limits(length=SAMPLE_LENGTH), Opening(self._prompt(trainer.counters.step))
        writing = self.modality.writing(self.modality, self.corpus.tokenizer, limits, opening, "")
        for (symbol,) in generate(model, opening.ids, RuleSettings(), trainer.counters.step, [0], writing.allowed):
            writing.feed(symbol)
            if writing.is_done():
                break
        return writing.continuation

    def _prompt(self, step: int) -> list[int]:
        """What a sample grows from: nothing, or a message of the validation text, with its end."""
        split = self.corpus.splits["valid"]
        if self.modality.sequences is None or len(split.starts) < 2:
            return [DOCUMENT]
        pair = 2 * (step % (len(split.starts) // 2))
        return [*split.ids[split.starts[pair] + 1 : split.starts[pair + 1]].tolist(), DOCUMENT]

    def _model(self, trainer: Trainer, weights: Mapping[str, Tensor]) -> Model:
        tokenizer = self.corpus.tokenizer
        model: Model = MODELS[self.manifest.model](alphabet_of(tokenizer), trainer.recipe.model)
        model.load_state_dict(weights)
        return model.to(trainer.recipe.training.device).eval()

    def _save(self, trainer: Trainer, status: str = "running", weights: Weights | None = None) -> None:
        self.manifest.status, self.manifest.step, self.manifest.recipe = status, trainer.counters.step, trainer.recipe
        if status != "finished":
            self.manifest.metrics = {}  # what there was belongs to other weights
        kept = trainer.kept if weights is None else weights
        self.writer.commit(self.manifest, kept, self.corpus.tokenizer, trainer.state())

    def _save_or_go_on(self, trainer: Trainer) -> None:
        """Saves. Where that fails, says so, and lets the training go on: the next time there may be room."""
        try:
            self._save(trainer)
        except CheckpointError as error:
            if not self.unsaved:
                self._tell_unsaved("training", error, "The training goes on, and tries again.")
            self.unsaved = True
        else:
            self._saved(trainer)

    def _tell_unsaved(self, phase: str, error: CheckpointError, then: str) -> None:
        """What failed, what to do, and what happens now: each is a line, since what is said is shown as one."""
        what = f"{error.where}: {error.what}" if error.where else error.what
        for message in (f"Not saved: {what}", error.hint, then):
            if message:
                self.say(Progress(phase, message=message))

    def _saved(self, trainer: Trainer) -> None:
        if self.unsaved:
            self.say(Progress("training", message=f"Saved again, at step {trainer.counters.step:,}."))
        self.unsaved = False

    def _save_at_last(self, trainer: Trainer, status: str, weights: Weights | None) -> None:
        """Saves what the training came to. Where that fails for want of room, or as disks and networks fail, waits; one more
        Ctrl-C gives it up.

        Raises:
            CheckpointError: it could not be saved.
        """
        given_up, told = clock.monotonic() + LAST_PATIENCE, -math.inf
        asked_to_stop = self.interruption.wanted
        while True:
            try:
                self._save(trainer, status, weights)
                return self._saved(trainer)
            except CheckpointError as error:
                now = clock.monotonic()
                if now > given_up or self.interruption.wanted != asked_to_stop or _will_stay(error):
                    raise
                if now - told > TELL_EVERY:
                    waits = "The training is over, and waits to be saved: it tries again. Ctrl-C gives it up."
                    self._tell_unsaved("evaluating", error, waits)
                    told, self.unsaved = now, True
                clock.sleep(TRY_EVERY)

    def _wind_up(self, trainer: Trainer, began: float) -> Outcome:
        """The last look, the verdict, the picture, the commit."""
        counters, settings = trainer.counters, trainer.recipe.training
        seconds = clock.monotonic() - began
        interrupted = self._is_to_stop and not trainer.finished
        first = self.run.state.values["step"] if self.run.state else 0
        if interrupted:
            self.say(Progress("evaluating", message="Interrupted: saving. Ctrl-C again stops without it."))
        valid = weights = None
        if not interrupted and len(self.corpus.splits["valid"]) > 1:
            self._save_or_go_on(trainer)  # to look back may take longer than a crash may cost
            self.say(Progress("evaluating", step=counters.step, steps=settings.steps, seconds=seconds))
            valid, weights = self._look_back(trainer)
            self.manifest.metrics = {"valid": valid.to_dict()}
        self._save_at_last(trainer, "interrupted" if interrupted else "finished", weights)
        looks = read_lines(self.writer.folder / METRICS)
        self._draw(looks, valid.value if valid and weights and RECALL in weights else None)
        speed = (counters.step - first) / max(1e-9, seconds) * trainer.feed.symbols_per_step
        verdict = judge(looks, counters.step, interrupted, counters.step < settings.steps, settings.by_heart)
        return Outcome(
            self.writer.folder, not interrupted, counters.step, seconds, speed, valid, verdict, trainer.recipe
        )

    def _look_back(self, trainer: Trainer) -> tuple[Evaluation, Weights]:
        """How sure the kept weights may be, what they are to recall of a document, and how well they predict the validation text
        then."""
        model, split = self._model(trainer, trainer.kept), self.corpus.splits["valid"]
        replies = self.modality.sequences is not None  # that have no use for either
        most = 0 if replies else trainer.recipe.training.recall_symbols
        if most:
            model.scale_logits(learn_confidence(model, split.ids, most))
        valid = look_back(model, self.corpus.tokenizer, split, most, symbols=self.final_symbols)
        recall = {} if model.recall is None else {RECALL: model.recall}
        return valid, {**model.state_dict(), **recall}

    def _draw(self, looks: list[dict[str, Any]], recalled: float | None) -> None:
        if len(looks) < 2:
            return
        in_bits = math.log(2) * self.unit.scale
        with contextlib.suppress(OSError):  # the picture is not worth the training
            draw_loss(
                self.writer.folder / LOSS_PLOT,
                [look["step"] for look in looks],
                [look["train_nats"] * self.train_scale for look in looks],
                [None if look["valid_nats"] is None else look["valid_nats"] * self.valid_scale for look in looks],
                self.unit.name,
                {name: bits * in_bits for name, bits in self.corpus.splits["valid"].baselines.items()},
                recalled,
            )
