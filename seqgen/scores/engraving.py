"""How a voice is written: notes that one sign can say, with ties, tuplets and beams.

A note ends at each barline and goes on behind it, tied; so does one whose length no single sign has.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from seqgen.scores.piece import TICKS, Metre
from seqgen.scores.staves import Measure, Sound

_KINDS = ("longa", "breve", "whole", "half", "quarter", "eighth", "16th", "32nd", "64th", "128th")
_FLAGS = {kind: place - 4 for place, kind in enumerate(_KINDS) if place > 4}
_LONGEST = 16 * TICKS
SIGNS = {
    (_LONGEST >> place) * (2 ** (dots + 1) - 1) // 2**dots: (kind, dots)
    for dots in (2, 1, 0)
    for place, kind in enumerate(_KINDS[: len(_KINDS) - 2 * dots])
}
"""Ticks -> the note that is so long, and its dots."""
_FINER = (TICKS, 240, 120, 60, 30, 15)
_TRIPLET, _QUINTUPLET = (3, 2), (5, 4)


class Sign(NamedTuple):
    """One written note, chord or rest (no pitches); start and duration in ticks, from the beginning of the piece."""

    start: int
    duration: int
    kind: str
    dots: int
    pitches: tuple[int, ...] = ()
    ratio: tuple[int, int] | None = None
    """Of a tuplet: so many in the time of so many."""
    tuplet: str | None = None
    """Whether one begins (`start`) or ends (`stop`) here, or both (`startStop`)."""
    tied_back: bool = False
    tied_on: bool = False
    fermata: bool = False
    beams: tuple[str, ...] = ()
    """From the outermost: `start`, `continue`, `stop`, or a stub to the `left` or `right`."""


class _Cell(NamedTuple):
    """Where a tuplet stands."""

    start: int
    stop: int
    ratio: tuple[int, int]


def write_voice(sounds: Sequence[Sound], measure: Measure) -> list[Sign]:
    """The signs of one voice in one measure; they fill it."""
    spans = _spans(sounds, measure)
    cells = _tuplets({edge for start, end, _ in spans for edge in (start, end)}, measure)
    signs: list[Sign] = []
    for start, end, sound in spans:
        edges = {edge for cell in cells for edge in (cell.start, cell.stop) if start < edge < end}
        cuts = [start, *sorted(edges), end] if cells else [start, end]
        for begin, stop in itertools.pairwise(cuts):
            cell = next((cell for cell in cells if cell.start <= begin < cell.stop), None)
            signs += _signs(begin, stop, sound, measure, cell)
    return _beamed(_bracketed(signs, cells), measure)


def _spans(sounds: Sequence[Sound], measure: Measure) -> list[tuple[int, int, Sound | None]]:
    """What sounds in a measure, and the rests between."""
    place = bisect.bisect_right(sounds, measure.start, key=lambda sound: sound.end)
    spans: list[tuple[int, int, Sound | None]] = []
    clock = measure.start
    while place < len(sounds) and sounds[place].start < measure.stop:
        sound = sounds[place]
        start, end = max(sound.start, measure.start), min(sound.end, measure.stop)
        if clock < start:
            spans.append((clock, start, None))
        spans.append((start, end, sound))
        clock, place = end, place + 1
    return [*spans, (clock, measure.stop, None)] if clock < measure.stop else spans


@functools.lru_cache(maxsize=1024)
def beats_of(metre: Metre) -> tuple[int, ...]:
    """Where the beats of a bar begin, in ticks, and last where it ends: threes in 6/8 and its kin, 3+2 in 5/8."""
    unit = 4 * TICKS // metre.unit
    groups = [1] * metre.beats
    if metre.unit >= 8:
        twos = metre.beats // 2 if metre.beats in (2, 4) else -metre.beats % 3
        groups = [3] * ((metre.beats - 2 * twos) // 3) + [2] * twos if metre.beats > 1 else [1]
    edges = [0]
    for group in groups:
        edges.append(edges[-1] + group * unit)
    return tuple(edges)


@functools.lru_cache(maxsize=1024)
def _cells_of(metre: Metre) -> tuple[int, ...]:
    """Where tuplets may begin and end: quarter notes, or what a beat is made of."""
    edges: list[int] = []
    for start, stop in itertools.pairwise(beats_of(metre)):
        step = (stop - start) // 3 if metre.unit >= 8 and (stop - start) % 45 == 0 else min(TICKS, stop - start)
        edges += range(start, stop, step)
    return (*edges, metre.bar)


def _tuplets(edges: set[int], measure: Measure) -> list[_Cell]:
    """The cells that need a tuplet, where notes begin and end at those edges."""
    places = [measure.origin + place for place in _cells_of(measure.metre)]
    cells: list[_Cell] = []
    place = 0
    while place < len(places) - 1:
        start, stop = places[place : place + 2]
        wide = places[place + 2] if place + 2 < len(places) and place % 2 == 0 else stop
        inside = {edge - start for edge in edges if start < edge < wide}
        is_wide = wide - start == 2 * TICKS and TICKS not in inside and all(edge % 160 == 0 for edge in inside)
        stop = wide if is_wide and inside else stop
        inside = {edge for edge in inside if edge < stop - start}
        if any(edge % 15 for edge in inside):
            ratio = _TRIPLET if all(edge % 20 == 0 for edge in inside) else _QUINTUPLET
            cells.append(_Cell(start, stop, ratio))
        place += 2 if is_wide and inside else 1
    return cells


def _signs(start: int, end: int, sound: Sound | None, measure: Measure, cell: _Cell | None) -> list[Sign]:
    """The tied notes, or the rests, that fill a span."""
    spelled = _spell(start, end, sound is None, measure, cell)
    if sound is None:
        return spelled
    return [
        sign._replace(
            pitches=sound.pitches,
            tied_back=sign.start > sound.start,
            tied_on=sign.start + sign.duration < sound.end,
            fermata=sound.fermata and sign.start + sign.duration == sound.end,
        )
        for sign in spelled
    ]


def _spell(start: int, end: int, is_rest: bool, measure: Measure, cell: _Cell | None) -> list[Sign]:
    ratio = cell.ratio if cell else None
    written = (end - start) * ratio[0] / ratio[1] if ratio else end - start
    if written in SIGNS and (ratio is None or SIGNS[int(written)][1] < 2):
        kind, dots = SIGNS[int(written)]
        if cell or not is_rest or _is_plain_rest(start, end, dots, measure):
            return [Sign(start, end - start, kind, dots, ratio=ratio)]
    cut = _best_cut(start, end, measure, cell)
    if cut is None:  # a pickup that is on no grid of its notes
        return [Sign(start, end - start, _KINDS[-1], 0, ratio=ratio)]
    return _spell(start, cut, is_rest, measure, cell) + _spell(cut, end, is_rest, measure, cell)


def _is_plain_rest(start: int, end: int, dots: int, measure: Measure) -> bool:
    """Whether one rest may stand there: a whole measure, some whole beats from a strong one on, or part of a beat."""
    if (start, end) == (measure.start, measure.stop):
        return True
    if dots > 1:
        return False
    beats = [measure.origin + beat for beat in beats_of(measure.metre)]
    if any(start < beat < end for beat in beats):
        if start not in beats or end not in beats:
            return False
        count = beats.index(end) - beats.index(start)
        return count & (count - 1) == 0 and beats.index(start) % count == 0
    within = start - max(beat for beat in beats if beat <= start)
    return within % ((end - start) * 2 // 3 if dots else end - start) == 0


def _best_cut(start: int, end: int, measure: Measure, cell: _Cell | None) -> int | None:
    """Where to divide what one sign cannot say: at a beat, the strongest of those that leave two plain lengths; within a
    beat at the coarsest division.
    """
    if cell:
        levels = [((cell.stop - cell.start) // cell.ratio[0] >> power, cell.start) for power in range(7)]
    else:
        beats = [measure.origin + beat for beat in beats_of(measure.metre)]
        inside = [place for place, beat in enumerate(beats) if start < beat < end]
        if inside:
            return beats[max(inside, key=lambda place: (_plain(start, beats[place], end), place & -place, -place))]
        levels = [(step, max(beat for beat in beats if beat <= start)) for step in _FINER]
    for step, zero in levels:
        inside = list(range(start + step - (start - zero) % step, end, step)) if step else []
        if inside:
            return max(inside, key=lambda cut: ((cut - zero) // step & -((cut - zero) // step), -cut))
    return None


def _plain(start: int, cut: int, end: int) -> int:
    return (cut - start in SIGNS) + (end - cut in SIGNS)


def _bracketed(signs: list[Sign], cells: list[_Cell]) -> list[Sign]:
    """With the beginnings and ends of tuplets."""
    for cell in cells:
        inside = [place for place, sign in enumerate(signs) if cell.start <= sign.start < cell.stop]
        first, last = inside[0], inside[-1]
        signs[last] = signs[last]._replace(tuplet="stop" if first < last else "startStop")
        if first < last:
            signs[first] = signs[first]._replace(tuplet="start")
    return signs


def _beamed(signs: list[Sign], measure: Measure) -> list[Sign]:
    """With beams between the notes that begin in one beat, unless a rest or a longer note stands between them."""
    beats = beats_of(measure.metre)
    groups: list[list[int]] = []
    latest = None
    for place, sign in enumerate(signs):
        beat = bisect.bisect_right(beats, sign.start - measure.origin) if sign.pitches and sign.kind in _FLAGS else None
        if beat is not None:
            if beat == latest:
                groups[-1].append(place)
            else:
                groups.append([place])
        latest = beat
    for group in groups:
        if len(group) > 1:
            counts = [_FLAGS[signs[place].kind] for place in group]
            for order, place in enumerate(group):
                beams = tuple(_beam(counts, order, level) for level in range(1, counts[order] + 1))
                signs[place] = signs[place]._replace(beams=beams)
    return signs


def _beam(counts: Sequence[int], place: int, level: int) -> str:
    from_left = place > 0 and counts[place - 1] >= level
    to_right = place + 1 < len(counts) and counts[place + 1] >= level
    if from_left or to_right:
        return "continue" if from_left and to_right else "stop" if from_left else "start"
    return "left" if place else "right"
