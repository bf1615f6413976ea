"""Text as it grows: what is drawn becomes characters, and the sample ends at a length, a stop text or a whole unit."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seqgen.errors import UsageError
from seqgen.modalities.base import Modality
from seqgen.tokenizers import DOCUMENT, Opening, Tokenizer, bytes_of, text_of
from seqgen.writing import Limits, Rendering

KEPT_BORDERS = 4096
KEPT_TEXT = 1 << 14
"""Characters at the end of a text that are looked at; what stands before them is set aside."""
LOOK_BACK = 256
"""Characters before what is new in which the end of a unit may begin."""
LAST_OPENING = 4096
"""Symbols of an opening that decide how the first one after it is decoded."""
HARD_LIMIT = 5
"""A sample without a length is cut at the first line end after this many times the length after which it may end."""
DOCUMENT_LIMIT = 100_000
"""Characters after which a sample ends that is to go on until something comes which need never come."""
LAST_LINE = 200
"""Characters after which such a sample is cut even within a line."""


class Growing:
    """A text that grows. To add to it costs the same however long it is."""

    def __init__(self, kept: int) -> None:
        self._kept, self._old = kept, list[str]()
        self._set_aside = 0
        self._tail = ""

    def __len__(self) -> int:
        return self._set_aside + len(self._tail)

    def __str__(self) -> str:
        return "".join([*self._old, self._tail])

    def add(self, text: str) -> None:
        """Writes something more."""
        tail = self._tail + text
        if len(tail) > 2 * self._kept:
            self._old.append(tail[: -self._kept])
            self._set_aside += len(tail) - self._kept
            tail = tail[-self._kept :]
        self._tail = tail

    def find(self, text: str, begin: int) -> int:
        """Where something stands, looked for from a place that is not long ago; -1: nowhere."""
        place = self._tail.find(text, max(0, begin - self._set_aside))
        return place if place < 0 else place + self._set_aside

    def part(self, begin: int, end: int | None = None) -> str:
        """What stands from one place, not long ago, to another."""
        first = max(0, begin - self._set_aside)
        return self._tail[first:] if end is None else self._tail[first : max(0, end - self._set_aside)]

    def cut(self, length: int) -> None:
        """Takes back what stands behind a place that is not long ago."""
        self._tail = self._tail[: max(0, length - self._set_aside)]


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
        self._text = Growing(max([KEPT_TEXT, *(2 * len(stop) for stop in settings.stop)]))
        self._written = bytearray()
        self.ids = array("i")
        self.stopped_by: str | None = "length" if settings.length == 0 else None
        self._decoder = tokenizer.decoder()
        for symbol in opening.ids[-LAST_OPENING:]:
            self._decoder.feed(symbol)
        self._first = opening.allowed
        self._taken_back = len(opening.taken_back)
        self._shown = 0
        self._line_from: int | None = None
        self._borders = deque([(0, 0)], maxlen=KEPT_BORDERS)
        """The latest places, in characters and in bytes, where a drawn symbol was complete."""

    @property
    def text(self) -> str:
        """What was written; invalid bytes are shown as replacement characters."""
        return str(self._text)

    @property
    def written(self) -> bytes:
        """The same as bytes, as they were drawn."""
        return bytes(self._written)

    def begin(self) -> str:
        """The seed."""
        return self.seed

    def allowed(self) -> npt.NDArray[np.bool_] | None:
        """The first symbol may have to begin with what was taken back of the seed."""
        return self._first

    def is_free(self) -> bool:
        """Once the first symbol is there."""
        return self._first is None

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

    def pictures(self, width: int, colour: bool) -> list[str]:
        """None."""
        return []

    def to_dict(self) -> dict[str, Any]:
        """Both texts."""
        return {"text": self.whole, "continuation": self.text}

    def feed(self, symbol: int) -> str:
        """Takes the next id; returns what can be shown now. Sets `stopped_by` when the sample is complete."""
        return self.feed_all((symbol,))

    def feed_all(self, symbols: Sequence[int]) -> str:
        """The same for several ids. What cannot be the end is taken at once, which is many times as fast."""
        if self.is_done() or not symbols:
            return ""
        self._first = None
        own = symbols[: symbols.index(DOCUMENT)] if DOCUMENT in symbols else symbols
        parts = [self._decoder.feed(symbol) for symbol in own]
        if len(parts) > 1 and self._goes_on_after(b"".join(parts)):
            self.ids.extend(own)
            self._take(b"".join(parts))
        else:
            for symbol, part in zip(own, parts, strict=True):
                self.ids.append(symbol)
                self._take(part)
                if self.is_done():
                    return self._show()
        if len(own) < len(symbols):
            self._take(self._decoder.finish())
            self.stopped_by = self.stopped_by or "document"
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
        self._written += data
        before = len(self._text)
        self._text.add(text_of(data))
        self._borders.append((len(self._text), len(self._written)))
        ends = [(place + len(stop), place, "stop") for stop, place in self._stops(before)]
        ends += [(place, place, reason) for place, reason in self._end_of_length(before)]
        if ends:
            _, place, reason = min(ends)  # the one that was complete first
            self._cut(place, reason)

    def _goes_on_after(self, data: bytes) -> bool:
        """Whether the sample surely does not end within these bytes."""
        length = self.settings.length
        if length is None or self.settings.until or self._taken_back or "\ufffd" in (text := text_of(data)):
            return False
        longest = max((len(stop) for stop in self.settings.stop), default=0)
        tail = self._text.part(len(self._text) - longest) + text
        return len(self._text) + len(text) < length and not any(stop in tail for stop in self.settings.stop)

    def _stops(self, before: int) -> list[tuple[str, int]]:
        """The stop texts that what is new has completed, and where they stand."""
        found = ((stop, self._text.find(stop, before - len(stop))) for stop in self.settings.stop)
        return [(stop, place) for stop, place in found if place >= 0]

    def _end_of_length(self, before: int) -> list[tuple[int, str]]:
        """Where the text is long enough: as long as was asked for, or at the end of what it is to be."""
        length, until = self.settings.length, self.settings.until
        ends = [] if length is None or len(self._text) < length else [(length, "length")]
        if length is None or until:
            ends += ENDS[until](self, before)
        return ends

    def end_of_unit(self, fair_length: int, before: int) -> list[tuple[int, str]]:
        """The end of the first whole unit beyond a length, if what is new has completed one."""
        least = max(fair_length, self.settings.min_length or 0)
        if len(self._text) <= least:
            return []
        start = max(least, before - LOOK_BACK)
        while start > least and self._text.part(start, start + 1).isspace():
            start -= 1
        place = self.modality.end(self._text.part(start))
        return [] if place is None else [(start + place, self.modality.end_name)]

    def end_of_line(self, before: int) -> list[tuple[int, str]]:
        """The end of the first line that is not empty, likewise."""
        if self._line_from is None:
            new = self._text.part(before)
            if not new.strip():
                return []
            self._line_from = before + len(new) - len(new.lstrip())
        place = self._text.find("\n", max(self._line_from, before, self.settings.min_length or 0))
        return [] if place < 0 else [(place, "line")]

    def hard_end(self, limit: int) -> list[tuple[int, str]]:
        """Where a text ends that is to have no length and has no other end: the first line end after so many characters, or
        what is somewhat longer."""
        if self.settings.length is not None:
            return []
        limit = max(limit, self.settings.min_length or 0)
        line_end = self._text.find("\n", limit)
        if line_end >= 0:
            return [(line_end + 1, "length")]
        return [(limit + LAST_LINE, "length")] if len(self._text) >= limit + LAST_LINE else []

    def _cut(self, length: int, reason: str) -> None:
        characters, size = max((border for border in self._borders if border[0] <= length), default=(0, 0))
        del self._written[size:]
        self._written += bytes_of(self._text.part(characters, length))  # as it was drawn, up to a whole character
        self._text.cut(length)
        self.stopped_by = reason

    def _show(self) -> str:
        tail = self._text.part(self._shown)
        held = 0
        if not self.is_done():
            held = max([_overlap(tail, stop) for stop in self.settings.stop], default=0)
            if self.settings.length is None or self.settings.until:
                held = max(held, len(tail) - len(tail.rstrip()))
        ready = len(tail) - min(held, KEPT_TEXT)
        self._shown += ready
        return tail[:ready]


def _end_by_itself(writing: TextWriting, before: int) -> list[tuple[int, str]]:
    fair = writing.modality.unit_length
    return writing.end_of_unit(fair, before) or writing.hard_end(HARD_LIMIT * fair)


ENDS: dict[str | None, Callable[[TextWriting, int], list[tuple[int, str]]]] = {
    None: _end_by_itself,
    "line": lambda writing, before: writing.end_of_line(before) or writing.hard_end(DOCUMENT_LIMIT),
    "sentence": lambda writing, before: writing.end_of_unit(0, before) or writing.hard_end(DOCUMENT_LIMIT),
    "document": lambda writing, before: writing.hard_end(DOCUMENT_LIMIT),
}
"""Where a text ends, by `Limits.until`."""


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of a text are the beginning of a stop text."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
