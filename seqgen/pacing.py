"""How long a run is: a time, steps or epochs become a schedule, which is corrected when the machine turns out otherwise.

Pure arithmetic on seconds and steps; the clock is handed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from seqgen.errors import UsageError
from seqgen.recipe import TrainingSettings, parse_duration

Course = dict[str, Any]
"""The fields `steps` and `schedule` of the training settings."""

DEFAULT_SECONDS = 180.0
LOOKS = 12
"""Looks at the validation text in a run, besides the early ones."""
CHECKS = (0.02, 0.06, 0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.87, 0.92, 0.96, 0.98)
"""Where in its course, by its steps or by the clock, a timed run asks whether it will be done in time."""
TOLERANCE = 0.01
"""A schedule is corrected when its rest is off by more than this share of the whole run (what was prolonged counts anew)."""
LATE, LATE_TOLERANCE = 0.9, 2.0
"""From this share of a run on it is corrected, too, when it would end so many seconds too early or too late: of half an hour, a
hundredth is long. But not by less than a look at the validation text takes, which each correction brings with it."""
RESUME_PROGRESS = 0.4
"""Where the learning rate's course is taken up again when a finished run is prolonged."""
WIND_UP = 2.0
"""Seconds to write the checkpoint, draw the loss curve and leave."""


@dataclass(frozen=True)
class Budget:
    """How much to train: one of the three. `more` adds to what was done before.

    Attributes:
        seconds: wall time from the command to its last line.
        steps: updates.
        epochs: passes over the training text.
        more: in addition to a former run.
    """

    seconds: float | None = None
    steps: int | None = None
    epochs: float | None = None
    more: bool = False

    @classmethod
    def parse(cls, time: str | float | None, steps: str | int | None, epochs: str | float | None) -> Budget | None:
        """From what the user gave; a text may begin with `+`. None where nothing was given.

        Raises:
            UsageError: more than one was given, or one that is not above zero.
        """
        given = {
            name: str(value)
            for name, value in (("time", time), ("steps", steps), ("epochs", epochs))
            if value is not None
        }
        if len(given) > 1:
            raise UsageError(f"--{' and --'.join(given)} contradict each other", hint="Give only one of them.")
        for name, text in given.items():
            more, text = text.startswith("+"), text.removeprefix("+")
            if name == "time":
                return cls(seconds=parse_duration(text), more=more)
            try:
                number = int(text) if name == "steps" else float(text)
            except ValueError:
                number = 0
            if not 0 < number < 1e12:
                raise UsageError(f"--{name} {text!r} is not a number above 0")
            return cls(steps=int(number), more=more) if name == "steps" else cls(epochs=float(number), more=more)
        return None

    def to_dict(self) -> dict[str, float]:
        """What was given, for the record."""
        return {
            name: value
            for name, value in (("seconds", self.seconds), ("steps", self.steps), ("epochs", self.epochs))
            if value is not None
        }


def plan(budget: Budget, steps_per_epoch: float, step_seconds: float, available: float) -> int:
    """How many steps a budget buys, at least one.

    Args:
        budget: what the user wants.
        steps_per_epoch: that one pass over the training text takes.
        step_seconds: measured.
        available: seconds left for training, for a budget of time.
    """
    if budget.steps is not None:
        return budget.steps
    if budget.epochs is not None:
        return max(1, round(budget.epochs * steps_per_epoch))
    return max(1, int(available / step_seconds))


def looks_for(steps: int, symbols_per_step: float, valid_symbols: int) -> dict[str, int]:
    """How often validation text is looked at, and how much of it: a few percent of the work in all."""
    symbols = max(4096, int(0.005 * steps * symbols_per_step))
    return {"evaluate_every": max(1, steps // LOOKS), "evaluate_symbols": max(1, min(symbols, valid_symbols - 1))}


def bend(settings: TrainingSettings, step: int, last: int, progress: float) -> Course:
    """The course that goes on from a step at some progress and ends at another last step. What was before stays as it is,
    so that the whole course can be repeated bit for bit."""
    before = tuple(segment for segment in settings.segments if segment[0] < step)
    return {"steps": last, "schedule": (*before, (step, progress, (1 - progress) / (last - step)))}


def prolong(settings: TrainingSettings, step: int, more_steps: int) -> Course:
    """The course of a run that goes on for some steps from where it is: a finished one rises again, another goes on."""
    return bend(settings, step, step + more_steps, min(RESUME_PROGRESS, settings.progress(step)))


class Pacer:
    """Corrects the schedule of a timed run so that it ends in time.

    Args:
        deadline: when the run must end, on the clock that `correct` is told.
        began: when its first step began.
        first_step: its number.
    """

    def __init__(self, deadline: float, began: float, first_step: int) -> None:
        self.deadline, self.began, self.first_step = deadline, began, first_step
        self.reserve = WIND_UP
        """Seconds kept for what comes after the last step, on a machine as fast as when it was planned."""
        self.planned_step = math.inf
        """Seconds that a step took then."""
        self.look = 0.0
        """Seconds that the latest look at the validation text took; there is one behind the last step, too."""
        self._checked = -1.0
        self._since: tuple[int, float] | None = None

    def correct(self, settings: TrainingSettings, step: int, now: float) -> Course | None:
        """Another course for the steps after this one, or None where the present one will do."""
        whole = max(1, settings.steps - self.first_step)
        spent = (now - self.began) / max(1e-9, self.deadline - self.reserve - self.began)
        due = max((check for check in CHECKS if check <= max((step - self.first_step) / whole, spent)), default=-1.0)
        if due <= self._checked or not self.first_step < step < settings.steps:
            return None
        since_step, since = self._since or (self.first_step, self.began)
        step_seconds = (now - since) / (step - since_step)  # lately: what was before says little on a shared machine
        self._checked, self._since = due, (step, now)
        slower = max(1.0, step_seconds / self.planned_step)
        left = self.deadline - WIND_UP - (self.reserve - WIND_UP) * slower - self.look - now
        tolerance = TOLERANCE * whole
        if due >= LATE:
            tolerance = min(tolerance, max(LATE_TOLERANCE, self.look) / step_seconds)
        if abs(step + left / step_seconds - settings.steps) <= tolerance:
            return None
        last = step + max(1, int((left - self.look) / step_seconds))
        return bend(settings, step, last, settings.progress(step))
