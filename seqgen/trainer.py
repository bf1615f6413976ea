"""One training run in memory: what it computes, step by step, and everything that it must remember to go on."""

from __future__ import annotations

import copy
import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seqgen.alphabet import Registers
from seqgen.checkpoint import TrainingState
from seqgen.confidence import can_learn
from seqgen.corpus import Corpus
from seqgen.errors import CheckpointError, TrainingError, UsageError
from seqgen.evaluation import validation_nats
from seqgen.feeds import FEEDS, Feed
from seqgen.inheritance import Inheritance
from seqgen.machine import DTYPES
from seqgen.models import MODELS, Model
from seqgen.optimizers import OPTIMIZERS, Optimizer
from seqgen.pacing import Course
from seqgen.recipe import MOST_STEPS, Recipe
from seqgen.tokenizers import alphabet_of

FOLLOWING = ("averaged", "best")
"""Groups of a training state that hold the model's weights as they were: before the first step they are these, and left out."""


@dataclass
class Counters:
    """Everything of a run that is a number, and goes into the training state as it is."""

    step: int = 0
    epoch: int = 0
    window: int = 0
    """The next step of the epoch."""
    nats: float = 0.0
    """Sum of the batches' mean nats since the last look at the validation text."""
    batches: int = 0
    best_nats: float = math.inf
    """The best look so far, in nats per symbol."""
    best_step: int = 0
    looks_since_best: int = 0
    metrics_length: int = 0
    """Length of `metrics.jsonl` in bytes."""
    steps: int = 0
    schedule: tuple[tuple[int, float, float], ...] = ()
    """With `steps`, the course of the learning rate as last corrected, as in the training settings."""


@dataclass(frozen=True)
class Look:
    """A look at the validation text after some steps: the learning rate's share in the last of them, nats per symbol; those of
    validation text by weights that are as sure of it as they may be."""

    step: int
    epoch: float
    rate: float
    train_nats: float
    valid_nats: float | None


class Trainer:
    """Model, averages, optimiser, feed and counters of a run.

    The same recipe and corpus give the same weights, bit for bit, on the same machine and versions; `state()` and
    `restore()` carry all of it, so that a run that was stopped goes on as if it had not been.

    Args:
        recipe: resolved.
        corpus: prepared as the recipe says.
        model: a name from `MODELS`.
        inheritance: a trained model to begin from.
    """

    def __init__(
        self, recipe: Recipe, corpus: Corpus, model: str = "language", inheritance: Inheritance | None = None
    ) -> None:
        settings = recipe.training
        self.recipe, self.corpus = recipe, corpus
        self.feed = feed_of(recipe, corpus, model)
        alphabet = alphabet_of(corpus.tokenizer)
        self.model: Model = MODELS[model](alphabet, recipe.model)
        self.model.reset_parameters(torch.Generator().manual_seed(settings.random_seed))
        if inheritance is not None:
            inheritance.pass_on(self.model, corpus.tokenizer)
        self.model.to(settings.device).train()
        if settings.kernels == "compiled" and settings.dtype == "bfloat16" and settings.device == "cpu":
            self.model.use_compiled()
        self.noise = torch.Generator(settings.device).manual_seed(settings.random_seed + 1)
        self.model.noise = self.noise
        self.averaged = copy.deepcopy(self.model.state_dict())
        self.best = copy.deepcopy(self.averaged)
        self.optimizers = OPTIMIZERS[settings.optimizer](self.model, settings)
        self.hidden = self.model.zero_state(settings.lanes)
        self.counters = Counters(steps=settings.steps, schedule=settings.schedule)
        judge: Model = MODELS[model](alphabet, recipe.model)
        self._judge = judge.to(settings.device).eval()

    @property
    def finished(self) -> bool:
        """Whether the schedule has ended or patience has."""
        settings = self.recipe.training
        patience = 0 if settings.by_heart else settings.patience
        return self.counters.step >= settings.steps or 0 < patience <= self.counters.looks_since_best

    @property
    def kept(self) -> dict[str, Tensor]:
        """The weights that a checkpoint keeps: the best on validation text. The last averages where the text is to be known by
        heart, before the first look, and without validation text."""
        by_heart, seen = self.recipe.training.by_heart, self.counters.best_nats < math.inf
        return self.best if seen and not by_heart else self.averaged

    def step(self) -> float:
        """One batch: forward, backward, update. Returns the mean nats per symbol of the batch.

        Raises:
            TrainingError: the loss or the gradient is not finite; the weights are those of the step before.
        """
        settings, counters = self.recipe.training, self.counters
        if counters.window == self.feed.steps_per_epoch:
            counters.epoch, counters.window = counters.epoch + 1, 0
        if self.feed.begins(counters.window):
            self.hidden = self.model.zero_state(settings.lanes)
        tensors = self.feed.batch(counters.epoch, counters.window)
        batch = type(tensors)(*(tensor.to(settings.device) for tensor in tensors))
        with torch.autocast(settings.device, DTYPES[settings.dtype], enabled=settings.dtype != "float32"):
            nats, hidden = self.model.loss(batch, self.hidden)
        loss = nats.mean()
        self.model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [param.grad for param in self.model.parameters() if param.grad is not None]
        norm, value = torch.nn.utils.get_total_norm(gradients), loss.item()
        if norm > settings.clip:
            torch.nn.utils.clip_grads_with_norm_(self.model.parameters(), settings.clip, norm)
        if not (math.isfinite(value) and math.isfinite(norm.item())):
            raise TrainingError(
                f"the loss or its gradient stopped being a finite number at step {counters.step}",
                hint=f"Train again with a lower rate, for example --set training.learning_rate={settings.learning_rate / 3:.1g}"
                f" --set training.matrix_rate={settings.matrix_rate / 3:.1g}",
            )
        self._update(settings.rate(counters.step))
        self.hidden = hidden.detach()
        counters.nats, counters.batches = counters.nats + value, counters.batches + 1
        counters.step, counters.window = counters.step + 1, counters.window + 1
        return value

    def look(self) -> Look:
        """Reads validation text with the averaged weights, remembers the best, and starts a new mean of the training loss."""
        settings, counters = self.recipe.training, self.counters
        valid = self.corpus.splits["valid"]
        nats = None
        if len(valid) > 1:
            self._judge.load_state_dict(self.averaged)
            calibrated = can_learn(settings.recall_symbols, len(valid) - 1)  # as the kept weights will be
            symbols, dtype = settings.evaluate_symbols, settings.dtype
            nats = validation_nats(self._judge.eval(), valid, symbols, dtype, calibrated=calibrated)
        if nats is None or nats < counters.best_nats:
            counters.best_nats, counters.best_step, counters.looks_since_best = nats or math.inf, counters.step, 0
            self.best = {name: tensor.clone() for name, tensor in self.averaged.items()}
        else:
            counters.looks_since_best += 1
        if settings.begins_segment(counters.step):  # as `change_course` did when this run was first made
            counters.looks_since_best = 0
        look = Look(
            step=counters.step,
            epoch=counters.epoch + counters.window / self.feed.steps_per_epoch,
            rate=settings.rate(counters.step - 1),
            train_nats=counters.nats / max(1, counters.batches),
            valid_nats=nats,
        )
        counters.nats, counters.batches = 0.0, 0
        return look

    def change_course(self, course: Course) -> None:
        """Gives the rest of the run another course, and remembers it; patience begins anew."""
        self.recipe = self.recipe.replace(**course)
        self.counters.steps, self.counters.schedule = course["steps"], course["schedule"]
        self.counters.looks_since_best = 0

    def state(self) -> TrainingState:
        """All that `restore` needs."""
        groups = {
            **self._groups(),
            **{f"optimizer{number}": _pack(optimizer) for number, optimizer in enumerate(self.optimizers)},
        }
        if self.counters.step == 0:  # a run waits for its first save before its first step
            for name in FOLLOWING:
                del groups[name]
        tensors = {f"{group}/{name}": tensor for group, members in groups.items() for name, tensor in members.items()}
        return TrainingState(tensors, dataclasses.asdict(self.counters))

    def restore(self, state: TrainingState) -> None:
        """Goes back to where `state()` was taken.

        Raises:
            CheckpointError: it was taken of another run, or is damaged. Then this one is as it was, or to be thrown away.
        """
        try:
            self._restore(state)
        except torch.OutOfMemoryError:
            raise
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError, UsageError) as error:
            raise CheckpointError(
                f"the training state does not belong to this run: {error!s:.300}",
                hint="Remove its files to go on from the state before it, or train anew.",
            ) from error

    def _restore(self, state: TrainingState) -> None:
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in state.tensors.items():
            group, _, member = name.partition("/")
            groups.setdefault(group, {})[member] = tensor
        counters = self._counters(state.values)
        recipe = self.recipe.replace(steps=counters.steps, schedule=counters.schedule)
        if counters.step > counters.steps:
            raise ValueError("it is beyond its last step")
        if counters.step == 0:
            for name in FOLLOWING:
                groups[name] = {member: tensor.clone() for member, tensor in groups.get("model", {}).items()}
        for name, own in self._groups().items():
            # Between windows a hidden state is of the numbers that the window was computed with, and at first of float32.
            also = DTYPES[self.recipe.training.dtype] if name == "hidden" else None
            _check_alike(groups.get(name, {}), own, name, also)
        _check_registers(groups.get("hidden", {}), alphabet_of(self.corpus.tokenizer).registers)
        for number, optimizer in enumerate(self.optimizers):
            _check_optimizer(groups.get(f"optimizer{number}", {}), optimizer)
        self.model.load_state_dict(groups["model"])
        device = self.recipe.training.device
        self.averaged = {name: tensor.to(device) for name, tensor in groups["averaged"].items()}
        self.best = {name: tensor.to(device) for name, tensor in groups["best"].items()}
        self.hidden = self.hidden.with_tensors(groups.get("hidden", {}))
        self.noise.set_state(groups["noise"]["state"])
        for number, optimizer in enumerate(self.optimizers):
            _unpack(optimizer, groups.get(f"optimizer{number}", {}))
        self.counters, self.recipe = counters, recipe

    def _groups(self) -> dict[str, dict[str, Tensor]]:
        """The tensors of which a state of this run has the same, in groups."""
        return {
            "model": self.model.state_dict(),
            "averaged": self.averaged,
            "best": self.best,
            "hidden": self.hidden.tensors(),
            "noise": {"state": self.noise.get_state()},
        }

    def _counters(self, values: dict[str, Any]) -> Counters:
        """The counters that a state holds, each of its type and in its range."""
        counters = Counters(**{**values, "schedule": tuple(tuple(segment) for segment in values["schedule"])})
        for field in dataclasses.fields(Counters):
            value: Any = getattr(counters, field.name)
            kind = type(field.default)
            if type(value) is not kind and not (kind is float and type(value) is int):
                raise ValueError(f"{field.name} is of the wrong type")
            if isinstance(value, int) and kind is int and not 0 <= value <= MOST_STEPS:
                raise ValueError(f"{field.name} is out of range")
        if not all(isinstance(number, int | float) for segment in counters.schedule for number in segment):
            raise ValueError("its schedule holds what is no number")
        if counters.window > self.feed.steps_per_epoch:
            raise ValueError("it stands behind the end of the text")
        return counters

    def _update(self, rate: float) -> None:
        settings = self.recipe.training
        for optimizer in self.optimizers:
            optimizer.step(rate)
        taken = self.counters.step + 1
        decay = min(settings.averaging, taken / (10 + taken)) if settings.averaging else 0.0
        current = self.model.state_dict()
        torch._foreach_lerp_(list(self.averaged.values()), [current[name] for name in self.averaged], 1 - decay)


def feed_of(recipe: Recipe, corpus: Corpus, model: str = "language") -> Feed:
    """What such a run is going to read, step by step.

    Args:
        recipe: resolved.
        corpus: prepared as the recipe says.
        model: a name from `MODELS`.
    """
    return FEEDS[model](corpus.splits["train"], recipe.training, corpus.tokenizer.line_end)


def _check_alike(found: dict[str, Tensor], own: dict[str, Tensor], what: str, also: torch.dtype | None) -> None:
    """Refuses, with a ValueError, tensors that could not stand in the places of a run's own; those of float32 may also be of the
    other type."""
    if {name: tensor.shape for name, tensor in found.items()} != {name: tensor.shape for name, tensor in own.items()}:
        raise ValueError(f"{what} is of another shape")
    for name, tensor in own.items():
        if found[name].dtype != tensor.dtype and (found[name].dtype != also or tensor.dtype != torch.float32):
            raise ValueError(f"{what} is of another type")


def _check_registers(hidden: dict[str, Tensor], registers: Registers | None) -> None:
    """The same for what stands in registers: tables are read by it."""
    for name, tensor in hidden.items():
        if registers and name.startswith("registers."):
            most = tensor.new_tensor(registers.sizes[: tensor.shape[-1]])
            if not bool(((tensor >= 0) & (tensor < most)).all()):
                raise ValueError("a register holds what it cannot")


def _check_optimizer(found: dict[str, Tensor], optimizer: Optimizer) -> None:
    """The same for what an optimiser remembers of each parameter: nothing, or all that it does."""
    members: dict[str, set[str]] = {}
    for key, tensor in found.items():
        index, _, name = key.partition("/")
        if not (index.isdecimal() and index.isascii() and len(index) < 8 and int(index) < len(optimizer.params)):
            raise ValueError("an optimiser is of other parameters")
        members.setdefault(index, set()).add(name)
        shape = () if name == "step" else optimizer.params[int(index)].shape
        if tensor.shape != shape or tensor.dtype != torch.float32:
            raise ValueError("what an optimiser remembers is of another shape")
    if any(names != set(optimizer.remembers) for names in members.values()):
        raise ValueError("an optimiser remembers other things")


def _pack(optimizer: Optimizer) -> dict[str, Tensor]:
    return {f"{place}/{name}": tensor for place, state in enumerate(optimizer.state) for name, tensor in state.items()}


def _unpack(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    optimizer.state = [{} for _ in optimizer.params]
    for key, tensor in tensors.items():
        place, _, name = key.partition("/")
        param = optimizer.params[int(place)]
        optimizer.state[int(place)][name] = tensor.to(param.device, copy=True)
