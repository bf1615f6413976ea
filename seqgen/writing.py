"""What every kind of sample has in common: the limits that a user sets, and the writing that grows symbol by symbol."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from seqgen.errors import UsageError

WEIGHTS = ("float32", "int8")
"""What weights may be while samples are drawn: as they were trained, or bytes with a scale for each row."""
PRECISIONS = ("auto", *WEIGHTS)
"""The same as a setting."""
LONGEST = 1 << 40
"""Characters, notes or words that can be asked for: more than anybody can wait for."""
UNTIL = ("line", "sentence", "document")
"""Where a sample of text may end: with its first line, its first sentence (of code: block), or where the model ends it."""


@dataclass(frozen=True)
class Limits:
    """How long a sample is and what must be in it. What a kind of corpus has no use for, it refuses."""

    length: int | None = None
    """What people count (characters, notes) to write at most, the seed not counted; None: until a document or a unit ends."""
    stop: tuple[str, ...] = ()
    """Text: end before the first of these."""
    until: str | None = None
    """Where a text ends, one of `UNTIL`; None: after the first sentence beyond a fair length."""
    min_length: int | None = None
    """Text: characters before which it does not end by itself."""
    bars: int | None = None
    """Music: so many in all, the pickup not counted."""
    key: str | None = None
    """Music: `D minor`, one that the model has learned."""
    metre: str | None = None
    """Music: `3/4`, likewise."""
    pitches: str | None = None
    """Music: the lowest and the highest, `C3-C6`."""

    def __post_init__(self) -> None:
        if self.length is not None and self.length < 0:
            raise UsageError(f"length {self.length} is below 0")
        if self.length is not None and self.length > LONGEST:
            raise UsageError(f"length {self.length} is above {LONGEST}")
        if self.until is not None and self.until not in UNTIL:
            raise UsageError(f"{self.until!r} is no end of a sample", hint=f"One of: {', '.join(UNTIL)}.")
        if self.min_length is not None and self.min_length < 0:
            raise UsageError(f"min-length {self.min_length} is below 0")
        if self.length is not None and self.min_length is not None and self.min_length > self.length:
            raise UsageError(f"min-length {self.min_length} is above the length, {self.length}")
        if self.bars is not None and self.bars < 1:
            raise UsageError(f"{self.bars} bars are no piece", hint="Give --bars 1 or more.")
        if "" in self.stop:
            raise UsageError("an empty stop text would stop at once", hint="Leave --stop out instead.")


@dataclass(frozen=True)
class Rendering:
    """How a sample of music is played, where it is written to a file.

    Attributes:
        tempo: in quarter notes per minute; None: the piece's own.
        program: the General MIDI instrument of all parts; None: their own.
        transpose: semitones.
        soundfont: the instruments for sound files.
    """

    tempo: float | None = None
    program: int | None = None
    transpose: int = 0
    soundfont: Path | None = None


class Writing(Protocol):
    """One sample as it grows. It says what may come next, takes what was drawn, and knows where it ends."""

    ids: array[int]
    """The symbols that were drawn and written, the end of the document not among them."""
    stopped_by: str | None
    """Why it ended; None while it has not."""

    def begin(self) -> str:
        """What can be shown before anything is drawn."""
        ...

    def allowed(self) -> npt.NDArray[np.bool_] | None:
        """Which symbols may come next, shape (symbols,); None: all."""
        ...

    def is_free(self) -> bool:
        """Whether all symbols may come from now on, so that nobody need ask again."""
        ...

    def feed(self, symbol: int) -> str:
        """Takes the next id; returns what can be shown now. Sets `stopped_by` when the sample is complete."""
        ...

    def feed_all(self, symbols: Sequence[int]) -> str:
        """The same for several ids, of which those beyond the end are left alone."""
        ...

    def is_done(self) -> bool:
        """Whether the sample is complete."""
        ...

    def finish(self) -> str:
        """Ends the sample where it is, for a user who interrupts; returns what was held back."""
        ...

    @property
    def whole(self) -> str:
        """The seed and what was written."""
        ...

    @property
    def continuation(self) -> str:
        """What was written, without the seed where the two can be told apart."""
        ...

    @property
    def data(self) -> bytes:
        """The whole as it goes to standard output."""
        ...

    def render(self, suffix: str, rendering: Rendering) -> bytes:
        """The whole as a file with this ending.

        Raises:
            UsageError: there is no such format for it.
        """
        ...

    def picture(self, width: int, colour: bool) -> str:
        """What people see beside it; empty where the text says it all."""
        ...

    def pictures(self, width: int, colour: bool) -> list[str]:
        """The same of all of it, in parts that each fit a screen; none where the text says it all."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        ...
