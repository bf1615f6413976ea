"""Driving the program as a user does: what a command printed, and how it ended."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SMALL = [
    "--threads",
    "1",
    "--set",
    "model.hidden=12",
    "--set",
    "training.lanes=4",
    "--set",
    "training.window=16",
    "--set",
    "training.dtype=float32",
]
"""Options of a training that takes next to no time."""


@dataclass(frozen=True)
class Result:
    """What a command came to."""

    code: int
    out: str
    err: str

    def json(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def refusal(self) -> str:
        """The reason why bad input was refused: one line, with a hint after it, and no result."""
        assert (self.code, self.out) == (3, "")
        reason, *hint = self.err[self.err.index("error: ") :].splitlines()
        assert len(hint) <= 1
        return reason


Run = Callable[..., Result]


def spawn(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "seqgen", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
