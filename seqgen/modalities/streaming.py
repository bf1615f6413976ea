"""Text as it grows: what is drawn becomes characters, and the sample ends at a length, a stop text or a whole unit."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from seqgen.errors import UsageError
from seqgen.modalities.base import Modality
from seqgen.tokenizers import DOCUMENT, Opening, Tokenizer, bytes_of, text_of
from seqgen.writing import Limits, Rendering

KEPT_BORDERS = 4096
HARD_LIMIT = 5
"""A sample without a length is cut at the first line end after this many times the length after which it may end."""
LAST_LINE = 200
"""Characters after which such a sample is cut even within a line."""


class TextWriting:
    """The text of one sample as it grows. What may still turn out to be cut off is held back from the screen.

    Args:
        modality: says where a unit ends, for samples without a length.
        tokenizer: turns ids into bytes.
        settings: length and stop texts.
        opening: what it goes on from; between symbols there may be a space that belongs to neither.
        seed: the same as text.

    Raises:
        UsageError: a limit that only music has.
    """

    def __init__(
        self, modality: Modality, tokenizer: Tokenizer, settings: Limits, opening: Opening, seed: str = ""
    ) -> None:
        for name in ("bars", "key", "metre", "pitches"):
            if getattr(settings, name) is not None:
                raise UsageError(f"this model writes {modality.name}, which has no {name}", hint="Leave it out.")
        self.settings, self.modality, self.seed = settings, modality, seed
        self.text = ""
        self.written = b""
        self.symbols = 0
        self.stopped_by: str | None = "length" if settings.length == 0 else None
        self._decoder = tokenizer.decoder()
        for symbol in opening.ids:
            self._decoder.feed(symbol)
        self._first = opening.allowed
        self._taken_back = len(opening.taken_back)
        self._shown = 0
        self._borders = deque([(0, 0)], maxlen=KEPT_BORDERS)
        """The latest places, in characters and in bytes, where a drawn symbol was complete."""

    def begin(self) -> str:
        """The seed."""
        return self.seed

    def allowed(self) -> npt.NDArray[np.bool_] | None:
        """The first symbol may have to begin with what was taken back of the seed."""
        return self._first

    @property
    def whole(self) -> str:
        """Seed and continuation; invalid bytes are shown as replacement characters."""
        return self.seed + self.text

    @property
    def continuation(self) -> str:
        """What the model has written so far."""
        return self.text

    @property
    def data(self) -> bytes:
        """Seed and continuation as raw bytes."""
        return bytes_of(self.seed) + self.written

    def render(self, suffix: str, rendering: Rendering) -> bytes:
        """The same, whatever the file is called."""
        return self.data

    def picture(self, width: int, colour: bool) -> str:
        """None: a text can be read."""
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Both texts."""
        return {"text": self.whole, "continuation": self.text}

    def feed(self, symbol: int) -> str:
        """Takes the next id; returns what can be shown now. Sets `stopped_by` when the sample is complete."""
        if self.is_done():
            return ""
        self._first = None
        if symbol == DOCUMENT:
            self._take(self._decoder.finish())
            self.stopped_by = self.stopped_by or "document"
        else:
            self.symbols += 1
            self._take(self._decoder.feed(symbol))
        return self._show()

    def is_done(self) -> bool:
        """Whether the sample is complete."""
        return self.stopped_by is not None

    def finish(self) -> str:
        """Ends the sample where it is, for a user who interrupts; returns what was held back."""
        self.stopped_by = self.stopped_by or "interrupt"
        return self._show()

    def _take(self, data: bytes) -> None:
        known = min(self._taken_back, len(data))  # it stands at the end of the seed already
        data, self._taken_back = data[known:], self._taken_back - known
        if not data:
            return
        self.written += data
        before = len(self.text)
        self.text += text_of(data)
        self._borders.append((len(self.text), len(self.written)))
        ends = [(place, "stop") for stop in self.settings.stop if (place := self._find(stop, before)) >= 0]
        ends += self._end_of_length()
        if ends:
            self._cut(*min(ends))

    def _find(self, stop: str, before: int) -> int:
        """Where a stop text stands, if what is new has completed it."""
        return self.text.find(stop, max(0, before - len(stop)))

    def _end_of_length(self) -> list[tuple[int, str]]:
        """Where the text is long enough: as long as was asked for, or at the end of a unit."""
        length = self.settings.length
        if length is None:
            return self._end_of_unit()
        return [(length, "length")] if len(self.text) >= length else []

    def _end_of_unit(self) -> list[tuple[int, str]]:
        """Where a sample without a length ends: after the first whole unit that is long enough, or at the hard limit."""
        modality = self.modality
        if len(self.text) <= modality.unit_length:
            return []
        place = modality.end(self.text[modality.unit_length :])
        if place is not None:
            return [(modality.unit_length + place, modality.end_name)]
        limit = HARD_LIMIT * modality.unit_length
        line_end = self.text.find("\n", limit)
        if line_end >= 0:
            return [(line_end + 1, "length")]
        return [(limit + LAST_LINE, "length")] if len(self.text) >= limit + LAST_LINE else []

    def _cut(self, length: int, reason: str) -> None:
        characters, size = max((border for border in self._borders if border[0] <= length), default=(0, 0))
        self.written = self.written[:size] + bytes_of(
            self.text[characters:length]
        )  # as it was drawn, up to a whole character
        self.text = self.text[:length]
        self.stopped_by = reason

    def _show(self) -> str:
        held = 0 if self.is_done() else max([_overlap(self.text, stop) for stop in self.settings.stop], default=0)
        if not self.is_done() and self.settings.length is None:
            held = max(held, len(self.text) - len(self.text.rstrip()))
        ready = max(self._shown, len(self.text) - held)
        shown, self._shown = self.text[self._shown : ready], ready
        return shown


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of a text are the beginning of a stop text."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
