"""Where a document says again what it said before, and how far it has done so by now.

Of the last `LEAST` symbols it is known where they last stood. From there on a repeat is followed: as long as the document goes
on as it did then, the symbol that came next then is the likeliest now, and the more so the longer it has gone on. Where a
word is changed in a line that comes again, or a note in a tune, the repeat goes on behind it.

After the match models of data compressors (Mahoney 2005, "Adaptive weighing of context models for lossless data compression").
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

LEAST = 4
"""Symbols that stand there again, for a repeat to begin."""
WELL_BEGUN, RESUMED = 8, 4
"""Symbols after which a repeat goes on behind one that differs, and once more behind another."""
MENDED = 20
"""Symbols after which it does not matter any more that the one before them differed."""
LENGTHS = (5, 6, 7, 8, 10, 12, 16, 20, 24, 32, 48, 64)
RESUMED_LENGTHS = (1, 2, 4, 8, 16)
"""Where the kinds of a repeat meet: symbols that it has gone on, and the same since one that differed."""
KINDS = 2 + len(LENGTHS) + len(RESUMED_LENGTHS)

Recent = tuple[int, ...]


class Precedent(NamedTuple):
    """A place where the document went on as it does now.

    Attributes:
        place: of what came next then, counted in symbols from the beginning of the document.
        length: symbols before it that are alike.
        varied: whether the one before these differed, and not long ago.
    """

    place: int
    length: int = LEAST
    varied: bool = False

    @property
    def kind(self) -> int:
        """What kind of repeat it is, from 1 to `KINDS`."""
        if self.varied:
            return 2 + len(LENGTHS) + bisect_right(RESUMED_LENGTHS, self.length)
        return 1 + bisect_right(LENGTHS, self.length)


class Repeats:
    """The symbols of a document so far, and where each few of them last stood."""

    def __init__(self) -> None:
        self._symbols: list[int] = []
        self._forgotten = self._older_end = 0
        self._places: dict[Recent, int] = {}
        self._older: dict[Recent, int] = {}

    def add(self, symbol: int, recent: Recent) -> None:
        """Remembers what the document says next.

        Args:
            symbol: the next one.
            recent: the last ones, with it.
        """
        self._symbols.append(symbol)
        if len(recent) >= LEAST:
            self._places[recent[-LEAST:]] = self._forgotten + len(self._symbols)

    def age(self) -> None:
        """Forgets what was old already, and makes the rest old."""
        self._older, self._places = self._places, {}
        del self._symbols[: self._older_end - self._forgotten]
        self._forgotten, self._older_end = self._older_end, self._older_end + len(self._symbols)

    def next(self, repeat: Precedent) -> int | None:
        """What came next then; None: that is forgotten, or it is where the document ends now."""
        if not self._forgotten <= repeat.place < self._forgotten + len(self._symbols):
            return None
        return self._symbols[repeat.place - self._forgotten]

    def follow(self, repeat: Precedent | None, symbol: int, recent: Recent) -> Precedent | None:
        """The repeat after one more symbol: the same one further on, another that begins here, or none.

        Args:
            repeat: before it.
            symbol: the next one.
            recent: the last ones, with it.
        """
        if repeat is not None:
            place, length, varied = repeat
            if symbol == self.next(repeat):
                return Precedent(place + 1, length + 1, varied and length + 1 < MENDED)
            if length >= (RESUMED if varied else WELL_BEGUN):
                return Precedent(place + 1, 0, True)
        key = recent[-LEAST:]
        begun = self._places.get(key) or self._older.get(key)  # no place is 0: symbols come before it
        return Precedent(begun) if begun else None
