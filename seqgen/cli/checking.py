"""`--check`: whether what a model wrote is copied, in words and for JSON."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from seqgen.cli.common import say, tell
from seqgen.errors import SeqgenError
from seqgen.originality import open_judge
from seqgen.overlaps import summary

if TYPE_CHECKING:
    from seqgen.checkpoint import Checkpoint
    from seqgen.overlaps import Judge, Originality
    from seqgen.samples import Sample


class Check:
    """Looks samples up in the training text; where that is not at hand it says so, and the samples are still there.

    Args:
        checkpoint: of the model.
        count: how many samples there will be.
    """

    def __init__(self, checkpoint: Checkpoint, count: int) -> None:
        self._checkpoint, self._count = checkpoint, count
        self._judge: Judge | None = None
        self._note = ""
        self._found: list[Originality] = []

    def look(self, sample: Sample, interrupted: bool) -> dict[str, Any]:
        """Says how much of a sample is copied; returns it as fields for JSON."""
        if interrupted:
            return {"originality": None, "originality_note": "the sample was interrupted"}
        try:
            if self._judge is None and not self._note:
                self._judge = open_judge(self._checkpoint, say)
            start = time.perf_counter()
            found = self._judge.judge(sample.text, sample.seed) if self._judge else None
            seconds = time.perf_counter() - start
        except SeqgenError as error:
            found, self._note = None, str(error).replace("\n", ". ")
            say(f"not checked: {self._note}", fg="yellow")
        if found is None:
            return {"originality": None, "originality_note": self._note}
        self._found.append(found)
        number = f"sample {sample.index + 1}: " if self._count > 1 else ""
        lines = found.words()
        tell(f"{number}{lines[0]}")
        if not number:
            for line in lines[1:]:
                tell(line)
        return {"originality": {**found.to_dict(), "seconds": seconds}}

    def close(self) -> None:
        """Says what many samples come to."""
        if len(self._found) > 1:
            tell(summary(self._found))
