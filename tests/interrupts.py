"""Ctrl-C in the middle of a training."""

from __future__ import annotations

import os
import signal

import seqgen


class CtrlC:
    """Presses Ctrl-C once, when a run has come to a step; before it is prepared that would simply end it."""

    def __init__(self, step: int = 0) -> None:
        self.step, self.pressed = step, False

    def __call__(self, progress: seqgen.Progress) -> None:
        if progress.phase != "preparing" and progress.step >= self.step and not self.pressed:
            self.pressed = True
            os.kill(os.getpid(), signal.SIGINT)
