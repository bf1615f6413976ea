"""What a training tells while it runs; what it came to, and what its figures say in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqgen.predictions import Evaluation
from seqgen.recipe import Recipe
from seqgen.trainer import Look
from seqgen.units import BITS_PER_CHARACTER, Unit

FEW_STEPS = 8
"""After fewer steps than this a curve says nothing."""
NOT_BY_HEART = 0.6
"""Nats per symbol of training text, above which a model does not know it by heart: then it writes words that are none."""


@dataclass(frozen=True)
class Progress:
    """What a training tells while it runs.

    Attributes:
        phase: "preparing", "prepared", "planned", "training" or "evaluating".
        message: a line for people, where there is something to say.
        step: updates so far.
        steps: planned in all.
        seconds: since training began.
        seconds_left: an estimate.
        symbols_per_second: lately.
        train: the surprise of the latest batches, in the unit.
        valid: of the latest look, likewise.
        unit: bits per character, nats per note.
        look: a new look at the validation text.
        sample: now and then what the model writes by itself.
        folder: of the checkpoint.
    """

    phase: str
    message: str | None = None
    step: int = 0
    steps: int = 0
    seconds: float = 0.0
    seconds_left: float = 0.0
    symbols_per_second: float = 0.0
    train: float | None = None
    valid: float | None = None
    unit: Unit = BITS_PER_CHARACTER
    look: Look | None = None
    sample: str | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Verdict:
    """What a run's figures say: "interrupted", "overfitted", "improving", "by-heart" or "done", and a sentence for people."""

    name: str
    sentence: str


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes:
        checkpoint: the folder.
        finished: False where the user interrupted it.
        steps: updates done in all.
        seconds: wall time of this run's training.
        symbols_per_second: over this run.
        valid: the kept weights on the validation text; None where there is none.
        verdict: what happened and what to do next.
        recipe: as resolved, corrections of the schedule included.
    """

    checkpoint: Path
    finished: bool
    steps: int
    seconds: float
    symbols_per_second: float
    valid: Evaluation | None
    verdict: Verdict
    recipe: Recipe = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        return {
            "checkpoint": str(self.checkpoint),
            "finished": self.finished,
            "steps": self.steps,
            "seconds": self.seconds,
            "symbols_per_second": self.symbols_per_second,
            "valid": self.valid.to_dict() if self.valid else None,
            "verdict": self.verdict.name,
            "recipe": self.recipe.to_dict(),
        }


Listener = Callable[[Progress], None]


def judge(
    looks: list[dict[str, Any]], steps: int, interrupted: bool, stopped_early: bool, by_heart: bool = False
) -> Verdict:
    """The verdict on a run of so many steps from its looks at the validation text.

    Args:
        looks: as they were written down.
        steps: that were done.
        interrupted: by the user.
        stopped_early: by patience.
        by_heart: the last weights were kept, however well they predict.
    """
    if interrupted and steps == 0:
        return Verdict("interrupted", "Interrupted before the first step, and saved: nothing is learned yet.")
    if interrupted:
        return Verdict("interrupted", "Interrupted, and saved: the model can be used as it is, or trained on.")
    seen = [(look["step"], look["valid_nats"], look["train_nats"]) for look in looks if look["valid_nats"] is not None]
    if not seen:
        return Verdict(
            "done", "Done. There was no validation text, so nothing says how good it is on text it has not seen."
        )
    if steps < FEW_STEPS:
        return Verdict(
            "improving",
            f"Only {steps} step{'s' * (steps != 1)}: too little time to learn from. More time will make it better.",
        )
    if by_heart:
        *_, train = seen[-1]
        if train > NOT_BY_HEART:
            return Verdict(
                "improving", "So few pairs should be known by heart, and are not yet. More time will make it better."
            )
        return Verdict(
            "by-heart",
            "Learned by heart, since there are few pairs: it answers with what it has read. More pairs would help more than more "
            "time.",
        )
    best_step, best, _ = min(seen, key=lambda look: look[1])
    last_step, last, _ = seen[-1]
    if stopped_early or (last > best + 0.01 and looks[-1]["epoch"] > 1):  # what was read once is not learned by heart
        return Verdict(
            "overfitted",
            f"Overfitted after step {best_step:,}: the weights of that step were kept. More text would help more than more time.",
        )
    before = next((nats for step, nats, _ in reversed(seen) if step <= 0.75 * last_step), seen[0][1])
    if before - last > 0.005:
        return Verdict(
            "improving",
            f"Still improving: {before - last:.3f} nats per symbol gained in the last quarter. More time will make it better.",
        )
    return Verdict(
        "done",
        "Done: the last quarter gained next to nothing. More text, or a larger model.hidden, would help more than more time.",
    )
