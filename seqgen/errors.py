"""Every error that seqgen raises on purpose, and the exit code that each becomes.

::

    SeqgenError            1   something that a person can act on
    ├── UsageError         2   an option or setting that cannot be meant
    ├── DataError          3   a corpus, file or seed that cannot be used
    ├── CheckpointError    4   a checkpoint that is missing, damaged, newer or in use
    └── TrainingError      1   a training that cannot go on (the last good state is kept)

They are caught once, at the edge (``seqgen/cli/main.py``). An error says what is wrong, where, and what to do.
"""

from __future__ import annotations


class SeqgenError(Exception):
    """What is wrong, where (file, line or byte) and what to do about it."""

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        where = self.where.replace("\n", "\\n") if self.where else ""  # a file's name may be of several lines
        text = f"{where}: {self.what}" if where else self.what
        return f"{text}\n{self.hint}" if self.hint else text


class UsageError(SeqgenError):
    """An option or setting that cannot be meant."""

    exit_code = 2


class DataError(SeqgenError):
    """A corpus, file or seed that cannot be used."""

    exit_code = 3


class CheckpointError(SeqgenError):
    """A checkpoint that is missing, damaged, of a newer format, or in use by another training."""

    exit_code = 4


class TrainingError(SeqgenError):
    """A training that cannot go on; the last good state is kept."""
