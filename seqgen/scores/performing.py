"""How a written piece is played: repeats played out, where its last bar ends, how loud each note is, where time stands
still.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from seqgen.scores.piece import COMMON_TIME, TICKS, Key, Metre, Note, Part, Piece, Tempo

USUAL_VELOCITY = 76
DOWNBEAT, BEAT, BETWEEN = 6, 2, -2
"""How much louder a note is on a bar's first beat, on another one, and between beats."""
TOP_VOICE = 4
ARCH = 6
"""How much louder the middle of a phrase is than its ends."""
PHRASE_END = -8
PHRASE_BARS = 4
"""A phrase ends with a fermata, or after so many bars."""
_Event = TypeVar("_Event", Key, Tempo)
_ORDER = (":|", "[2", "||", "|:", "[1")
"""What comes first of the signs at one barline."""


class _Stretch(NamedTuple):
    """A stretch of the written piece, and where it is played; all in ticks."""

    start: int
    stop: int
    at: int


def unfold(piece: Piece) -> Piece:
    """The piece as it is played: each repeat twice, first and second endings in their turn; it has no marks any more.

    A repeat without a beginning goes back to the double bar or repeat before it. Signs that make no sense are passed over.
    """
    if not piece.marks:
        return piece
    stretches = _stretches(piece)
    if len(stretches) < 2:
        return dataclasses.replace(piece, marks=())
    return dataclasses.replace(
        piece,
        parts=tuple(_unfold_part(part, stretches) for part in piece.parts),
        metres=_unfold_metres(piece, stretches) if piece.metres else (),
        keys=_unfold_events(piece.keys, stretches),
        tempos=_unfold_events(piece.tempos, stretches),
        marks=(),
    )


def last_barline(piece: Piece) -> int:
    """Where the last bar ends, in ticks; after an upbeat, the last bar is shorter by that where the notes allow it."""
    end = piece.end
    start, stop = max(piece.bars(), default=(0, 0))
    signs = [mark.start for mark in piece.marks if mark.sign == ":|" and max(end, start + 1) <= mark.start <= stop]
    if signs:
        return signs[0]
    shortened = stop - piece.pickup
    return shortened if start > 0 and shortened >= end and shortened > start else stop


def beat_of(metre: Metre) -> int:
    """Ticks of a beat: three eighths in 6/8, else what the metre counts."""
    unit = max(1, 4 * TICKS // metre.unit)
    return 3 * unit if metre.unit >= 8 and metre.beats % 3 == 0 else unit


def metre_at(piece: Piece, start: int) -> Metre:
    """The metre that holds at a tick; 4/4 where none is known."""
    place = bisect.bisect_right(piece.metres, start, key=lambda metre: metre.start)
    return piece.metres[max(0, place - 1)] if piece.metres else COMMON_TIME


def fermatas(piece: Piece) -> list[tuple[int, int]]:
    """From where to where notes with a fermata sound, in ticks; sorted and apart."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted({(note.start, note.end) for part in piece.parts for note in part.notes if note.fermata}):
        if merged and start < merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def shape(piece: Piece) -> Piece:
    """The same with a velocity for every note: those that have one keep it, the others follow metre and phrase."""
    bars = [start for start, _ in piece.bars()]
    phrases = _phrases(piece, bars)
    top = next((number for number, part in enumerate(piece.parts) if not part.drums), -1)
    parts = []
    for number, part in enumerate(piece.parts):
        highest = {note.start: note.pitch for note in part.notes} if number == top else {}
        notes = [
            note
            if note.velocity
            else note._replace(velocity=_velocity(note, piece, bars, phrases, highest.get(note.start) == note.pitch))
            for note in part.notes
        ]
        parts.append(dataclasses.replace(part, notes=tuple(notes)))
    return dataclasses.replace(piece, parts=tuple(parts))


def _velocity(note: Note, piece: Piece, bars: list[int], phrases: list[int], top: bool) -> int:
    place = bisect.bisect_right(bars, note.start) - 1
    within = note.start - bars[place]
    if place == 0 and piece.pickup:  # an upbeat is counted from the barline that it leads to
        within = note.start - piece.pickup
    accent = DOWNBEAT if within == 0 else BETWEEN if within % beat_of(metre_at(piece, note.start)) else BEAT
    phrase = bisect.bisect_right(phrases, note.start)
    begin, end = phrases[phrase - 1], phrases[min(phrase, len(phrases) - 1)]
    arch = ARCH * math.sin(math.pi * (note.start - begin) / max(1, end - begin))
    return round(USUAL_VELOCITY + accent + arch + (TOP_VOICE if top else 0) + (PHRASE_END if note.fermata else 0))


def _phrases(piece: Piece, bars: list[int]) -> list[int]:
    """Where phrases begin, and where the last one ends."""
    ends = {end for _, end in fermatas(piece)}
    whole = bars[1:] if piece.pickup else bars  # the upbeat belongs to the phrase that it leads to
    regular = set() if ends else set(whole[PHRASE_BARS::PHRASE_BARS])
    return sorted({0, *ends, *regular, piece.end})


def _stretches(piece: Piece) -> list[_Stretch]:
    """What is played one after the other."""
    end = last_barline(piece)
    marks = sorted((mark for mark in piece.marks if 0 <= mark.start <= end and mark.sign in _ORDER), key=_order)
    played: list[tuple[int, int]] = []
    reached = section = 0
    explicit, first, second = False, -1, False
    for at, sign in marks:
        if sign == "|:" or (sign == "||" and not explicit):
            section, explicit, first, second = at, sign == "|:", -1, False
        elif sign == "[1":
            first = at
        elif sign == "[2":
            second = True
        elif sign == ":|":
            if not second and at > section:  # behind a second ending it is only its end
                played += [(reached, at), (section, first if first > section else at)]
                reached = at
            section, explicit, first, second = at, False, -1, False
    return _join([*played, (reached, end)])


def _order(mark: tuple[int, str]) -> tuple[int, int]:
    return mark[0], _ORDER.index(mark[1])


def _join(played: Iterable[tuple[int, int]]) -> list[_Stretch]:
    """Stretches with their places; what follows without a jump is one."""
    stretches: list[_Stretch] = []
    for start, stop in played:
        if start >= stop:
            continue
        last = stretches[-1] if stretches else None
        if last and last.stop == start:
            stretches[-1] = last._replace(stop=stop)
        else:
            stretches.append(_Stretch(start, stop, last.at + last.stop - last.start if last else 0))
    return stretches


def _unfold_part(part: Part, stretches: list[_Stretch]) -> Part:
    """Notes that a jump cuts end there."""
    starts = [note.start for note in part.notes]
    notes: list[Note] = []
    for stretch in stretches:
        first, last = bisect.bisect_left(starts, stretch.start), bisect.bisect_left(starts, stretch.stop)
        shift = stretch.at - stretch.start
        for note in part.notes[first:last]:
            duration = min(note.end, stretch.stop) - note.start
            notes.append(note._replace(start=note.start + shift, duration=duration))
    return dataclasses.replace(part, notes=tuple(notes))


def _unfold_events(events: tuple[_Event, ...], stretches: list[_Stretch]) -> tuple[_Event, ...]:
    moved: list[_Event] = []
    for stretch in stretches:
        place = bisect.bisect_right(events, stretch.start, key=lambda event: event.start)
        holding = [events[place - 1]._replace(start=stretch.at)] if place else []
        inside = [event for event in events[place:] if event.start < stretch.stop]
        holding += [event._replace(start=event.start - stretch.start + stretch.at) for event in inside]
        for event in holding:
            if not moved or moved[-1]._replace(start=event.start) != event:
                moved.append(event)
    return tuple(moved)


def _unfold_metres(piece: Piece, stretches: list[_Stretch]) -> tuple[Metre, ...]:
    """The metres, and one more wherever a jump would leave the barlines at the wrong places."""
    moved = [piece.metres[0]]
    begin = piece.pickup  # where bars are counted from
    barlines = [start for start, _ in piece.bars() if start or not piece.pickup]
    for stretch in stretches:
        for barline in barlines:
            if not stretch.start <= barline < stretch.stop:
                continue
            metre = metre_at(piece, barline)._replace(start=barline - stretch.start + stretch.at)
            same = moved[-1]._replace(start=metre.start) == metre
            if metre.start and (not same or (metre.start - begin) % max(1, metre.bar)):
                moved.append(metre)
                begin = metre.start
    return tuple(moved)
