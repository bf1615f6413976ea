"""Ctrl-C in the middle of a training."""

from __future__ import annotations

import os
import signal

import seqgen


class CtrlC:
    """Presses Ctrl-C (or sends another signal) once, when a run has come to a step; before it is prepared that would end it."""

    def __init__(self, step: int = 0, number: int = signal.SIGINT) -> None:
        self.step, self.number, self.pressed = step, number, False

    def __call__(self, progress: seqgen.Progress) -> None:
        if progress.phase != "preparing" and progress.step >= self.step and not self.pressed:
            self.pressed = True
            os.kill(os.getpid(), self.number)
