"""What a piece from a file must pass before it is used: no overlaps on one pitch, possible metres and tempos, a bounded size."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TypeVar

from seqgen.errors import DataError
from seqgen.scores.notation import LONGEST
from seqgen.scores.piece import COMMON_TIME, DEFAULT_TEMPO, TICKS, Key, Metre, Note, Piece, Tempo

MOST_NOTES = 200_000
"""Of a piece; a long opera has fewer."""
LONGEST_NAME = 100
_TEMPOS = (1.0, 2000.0)
_UNITS = (1, 2, 4, 8, 16, 32)
_MOST_BEATS = 99
_Timed = TypeVar("_Timed", Metre, Key, Tempo)


def without_overlaps(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Sorted; a note ends where the next one on its pitch begins, and of two that begin together the longer one stays."""
    kept: list[Note] = []
    for _, on_pitch in itertools.groupby(
        sorted(notes, key=lambda note: (note.pitch, note.start, -note.duration)), _pitch
    ):
        last: Note | None = None
        for note in on_pitch:
            if last and last.start == note.start:
                continue
            if last:
                kept.append(last._replace(duration=min(last.duration, note.start - last.start)))
            last = note
        if last:
            kept.append(last)
    return tuple(sorted(kept, key=lambda note: (note.start, note.pitch)))


def repair_metres(metres: Iterable[tuple[int, int, int]]) -> tuple[Metre, ...]:
    """The metres that can be: 6/64 becomes 3/32, 0/4 and 3/64 go. In 4/4 at first, as in MIDI, where that is not said.

    Args:
        metres: start in ticks, beats and unit of each.
    """
    possible = []
    for start, beats, unit in metres:
        while unit > _UNITS[-1] and unit % 2 == beats % 2 == 0:
            beats, unit = beats // 2, unit // 2
        if 1 <= beats <= _MOST_BEATS and unit in _UNITS:
            possible.append(Metre(start, beats, unit))
    return from_the_beginning(possible, COMMON_TIME)


def repair_tempos(tempos: Iterable[tuple[int, float]]) -> tuple[Tempo, ...]:
    """The tempos that can be, of start in ticks and quarter notes per minute; those of 0 or infinity go."""
    slowest, fastest = _TEMPOS
    possible = [Tempo(start, float(f"{bpm:.6g}")) for start, bpm in tempos if slowest <= bpm <= fastest]
    return from_the_beginning(possible, Tempo(0, DEFAULT_TEMPO))


def from_the_beginning(values: Iterable[_Timed], first: _Timed | None = None) -> tuple[_Timed, ...]:
    """Sorted, each a change, the last one of those that begin together; with one at 0, where there are any at all.

    Args:
        values: in any order.
        first: what holds before the first of them; the first of them itself if there is none.
    """
    latest = {value.start: value for value in sorted(values, key=lambda value: value.start)}
    if not latest:
        return ()
    found = list(latest.values())
    if found[0].start > 0:
        found.insert(0, first or found[0]._replace(start=0))
    changes = found[:1]
    for value in found[1:]:
        if value[1:] != changes[-1][1:]:
            changes.append(value)
    return tuple(changes)


def check_size(notes: int, end: int) -> None:
    """Refuses a piece that is too large.

    Args:
        notes: how many it has.
        end: where it ends, in ticks.

    Raises:
        DataError: it has no notes, too many of them, or is too long.
    """
    if notes == 0:
        raise DataError("no notes in it")
    if notes > MOST_NOTES:
        raise DataError(f"{notes:,} notes in one piece: more than {MOST_NOTES:,}", hint="Cut it into pieces.")
    if end > LONGEST * TICKS:
        long = f"{end // TICKS:,} quarter notes long: more than {LONGEST:,}"
        raise DataError(long, hint="One note may stand far behind the others; if not, cut it into pieces.")


def finish(piece: Piece) -> Piece:
    """The piece, without what changes only after its end.

    Raises:
        DataError: as `check_size` does.
    """
    check_size(piece.notes, piece.end)
    last = max((end for _, end in piece.bars()), default=piece.end)  # a repeat may follow a rest
    return Piece(
        piece.parts,
        tuple(metre for metre in piece.metres if metre.start < piece.end),
        tuple(key for key in piece.keys if key.start < piece.end),
        tuple(tempo for tempo in piece.tempos if tempo.start < piece.end),
        piece.pickup,
        tuple(mark for mark in piece.marks if mark.start <= last),
        piece.title,
    )


def plain_name(name: str) -> str:
    """A title or name on one line, without control characters."""
    return "".join(letter for letter in " ".join(name.split()) if letter.isprintable() and letter != "\ufffd")[
        :LONGEST_NAME
    ]


def _pitch(note: Note) -> int:
    return note.pitch
