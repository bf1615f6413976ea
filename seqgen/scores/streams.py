"""music21's streams as pieces."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

from music21 import bar, chord, harmony, key, meter, note, spanner, stream, tempo

from seqgen.scores.piece import HIGHEST, LOWEST, SIGNS, TICKS, Key, Mark, Metre, Note, Part, Piece
from seqgen.scores.pitches import key_of_signature
from seqgen.scores.repairs import finish, from_the_beginning, plain_name, repair_metres, repair_tempos, without_overlaps

_ORDER = (":|", "||", "|:", "[1", "[2")
"""Of signs at one barline, as one reads them."""
_MINOR_MODES = ("minor", "dorian", "phrygian", "aeolian", "locrian")
_DRUM_CHANNEL = 9


class _Sounding(NamedTuple):
    """A note of a voice, and whether it goes on from or into another."""

    note: Note
    voice: int
    tie: str


@dataclasses.dataclass
class _Staff:
    """What stands in one part of a score, at its times in ticks."""

    sounding: list[_Sounding] = dataclasses.field(default_factory=list)
    measures: list[tuple[int, Any]] = dataclasses.field(default_factory=list)
    other: list[tuple[int, Any]] = dataclasses.field(default_factory=list)
    drums: bool = False

    def of(self, *kinds: type) -> list[tuple[int, Any]]:
        """The elements of these kinds."""
        return [(start, element) for start, element in self.other if isinstance(element, kinds)]


def read_stream(score: Any, major_is_said: bool = True) -> Piece:
    """The piece of a score of music21's: at sounding pitch, ties joined, without grace notes and chord symbols.

    A part whose voices sound together becomes a part for each of them.

    Args:
        score: a Score, or a Part alone.
        major_is_said: whether a major mode that is stated was stated on purpose; if not, the last bass note can show that the
            piece is in the relative minor.

    Raises:
        DataError: it has no notes, too many of them, or is too long.
    """
    voices: list[Part] = []
    staves: list[_Staff] = []
    for part in list(score.parts) if isinstance(score, stream.Score) else [score]:
        instruments = list(part.getInstruments(returnDefault=False, recurse=True))
        if any(instrument.transposition is not None for instrument in instruments):
            part.toSoundingPitch(inPlace=True)
        staff = _Staff()
        _collect(part, Fraction(0), 0, staff)
        instrument = instruments[0] if instruments else None
        voices += _parts(staff, plain_name(part.partName or (instrument and instrument.partName) or ""), instrument)
        staves.append(staff)
    first = staves[0] if staves else _Staff()
    notes = [each for voice in voices for each in voice.notes if not voice.drums]
    metres, pickup = _metres(first)
    title = score.metadata.bestTitle if score.metadata else None
    return finish(
        Piece(
            tuple(voices),
            metres,
            _keys(next((staff for staff in staves if staff.of(key.KeySignature)), first), notes, major_is_said),
            repair_tempos(_tempos(staves)),
            pickup,
            _marks(first),
            plain_name(title or ""),
        )
    )


def _collect(container: Any, start: Fraction, voice: int, staff: _Staff) -> None:
    voices = 0
    for element in container.elements:
        at = start + Fraction(container.elementOffset(element))
        if isinstance(element, stream.Voice):
            _collect(element, at, voices, staff)
            voices += 1
        elif isinstance(element, stream.Stream):
            if isinstance(element, stream.Measure):
                staff.measures.append((round(at * TICKS), element))
            _collect(element, at, voice, staff)
        elif isinstance(element, note.GeneralNote):
            _collect_notes(element, at, voice, staff)
        else:
            staff.other.append((round(at * TICKS), element))


def _collect_notes(element: Any, at: Fraction, voice: int, staff: _Staff) -> None:
    """A note or the notes of a chord; rests, grace notes (which have no length) and chord symbols are none."""
    length = Fraction(element.quarterLength)
    if isinstance(element, note.Rest | harmony.Harmony) or length == 0 or element.duration.isGrace:
        return
    start = round(at * TICKS)
    duration = max(1, round((at + length) * TICKS) - start)
    fermata = any("Fermata" in expression.classes for expression in element.expressions)
    struck: list[Any] = list(element.notes) if isinstance(element, chord.ChordBase) else [element]
    for each in struck:
        unpitched = isinstance(each, note.Unpitched)
        staff.drums |= unpitched
        if not unpitched and not math.isfinite(each.pitch.ps):  # an alteration of 1e999
            continue
        pitch = _drum(each) if unpitched else each.pitch.midi
        if LOWEST <= pitch <= HIGHEST:
            tie = each.tie or element.tie
            sounding = Note(start, duration, pitch, 0, fermata)
            staff.sounding.append(_Sounding(sounding, voice, tie.type if tie else ""))


def _drum(struck: Any) -> int:
    """The drum's MIDI number; where the score does not say, the place on the staff stands for it."""
    number = getattr(struck.storedInstrument, "percMapPitch", None)
    return int(number) if number is not None else int(struck.displayPitch().midi)


def _parts(staff: _Staff, name: str, instrument: Any) -> Iterator[Part]:
    """One part, or one for each of the voices that sound together."""
    channel, program = (instrument.midiChannel, instrument.midiProgram) if instrument else (None, None)
    drums = staff.drums or channel == _DRUM_CHANNEL
    joined = _join_ties(staff.sounding)
    voices = sorted({sounding.voice for sounding in joined})
    split = len(voices) > 1 and _overlap(joined)
    for number, voice in enumerate(voices if split else voices[:1], 1):
        notes = [sounding.note for sounding in joined if not split or sounding.voice == voice]
        yield Part(without_overlaps(notes), f"{name} {number}".strip() if split else name, program or 0, drums)


def _join_ties(notes: Iterable[_Sounding]) -> list[_Sounding]:
    """Notes with those that they are tied to, in whichever voice these stand."""
    joined: list[_Sounding] = []
    open_ties: dict[tuple[int, int], int] = {}  # by pitch and end: where the tied note stands in `joined`
    for sounding in sorted(notes):
        now = sounding.note
        place = open_ties.pop((now.pitch, now.start), None) if sounding.tie in ("stop", "continue") else None
        if place is None:
            place = len(joined)
            joined.append(sounding)
        else:
            before = joined[place].note
            longer = before._replace(duration=now.end - before.start, fermata=before.fermata or now.fermata)
            joined[place] = joined[place]._replace(note=longer)
        if sounding.tie in ("start", "continue"):
            open_ties[now.pitch, now.end] = place
    return joined


def _overlap(notes: list[_Sounding]) -> bool:
    """Whether notes of two voices sound at once."""
    ends: dict[int, int] = {}
    for sounding in sorted(notes):
        if any(end > sounding.note.start for voice, end in ends.items() if voice != sounding.voice):
            return True
        ends[sounding.voice] = max(ends.get(sounding.voice, 0), sounding.note.end)
    return False


def _metres(staff: _Staff) -> tuple[tuple[Metre, ...], int]:
    """The metres, and the length of the upbeat: of a first measure that is shorter than a bar.

    Where later measures begin off the bars that follow from that, the metre is stated again, which begins a bar. A measure
    that is cut in two, as by a repeat, leaves them where they are.
    """
    signatures = staff.of(meter.TimeSignature)
    metres = repair_metres((start, sign.numerator, sign.denominator) for start, sign in signatures)
    starts = [start for start, _ in staff.measures]
    end = starts[-1] + round(staff.measures[-1][1].quarterLength * TICKS) if starts else 0
    if not metres or len(starts) < 2:
        return metres, 0
    pickup = starts[1] if starts[1] < metres[0].bar else 0
    restated: list[Metre] = []
    anchor, now = pickup, metres[0]
    changes = {metre.start: metre for metre in metres[1:]}
    for start, following in zip(starts[1:], [*starts[2:], end], strict=True):
        if start in changes:
            anchor, now = start, changes[start]
        elif (start - anchor) % now.bar and (following - anchor) % now.bar:
            anchor, now = start, now._replace(start=start)
            restated.append(now)
    return tuple(sorted([*metres, *restated])), pickup


def _keys(staff: _Staff, notes: list[Note], major_is_said: bool) -> tuple[Key, ...]:
    signatures: dict[int, Any] = {}
    for start, signature in staff.of(key.KeySignature):
        if signature.sharps is not None and (start not in signatures or isinstance(signature, key.Key)):
            signatures[start] = signature
    starts = sorted(signatures)
    keys = []
    for start, stop in zip(starts, [*starts[1:], None], strict=False):
        found = _key(signatures[start], _last_bass(notes, stop), major_is_said)
        keys.append(found._replace(start=start))
    return from_the_beginning(keys)


def _key(signature: Any, bass: int, major_is_said: bool) -> Key:
    """As stated; by the last bass note where no mode is stated, or major may be stated for want of anything better."""
    if not isinstance(signature, key.Key):
        return key_of_signature(signature.sharps, bass)
    tonic = signature.tonic.pitchClass
    minor = signature.mode in _MINOR_MODES
    if not minor and not major_is_said and bass == (tonic + 9) % 12:
        return Key(0, bass, True)
    return Key(0, tonic, minor)


def _last_bass(notes: list[Note], stop: int | None) -> int:
    """The pitch class of the lowest of the notes that sound last before a time."""
    before = [
        (note.end if stop is None else min(note.end, stop), note.pitch)
        for note in notes
        if stop is None or note.start < stop
    ]
    last = max((end for end, _ in before), default=0)
    return min((pitch for end, pitch in before if end == last), default=0) % 12


def _tempos(staves: list[_Staff]) -> Iterator[tuple[int, float]]:
    """Those that are said in numbers: what Allegro means is not."""
    for staff in staves:
        for start, mark in staff.of(tempo.MetronomeMark):
            implied = mark.numberImplicit and mark.numberSounding is None
            with contextlib.suppress(ZeroDivisionError):  # where the beat has no length, a tempo says nothing
                if not implied and (bpm := mark.getQuarterBPM()) is not None:
                    yield start, float(bpm)


def _marks(staff: _Staff) -> tuple[Mark, ...]:
    marks = set()
    places = {id(measure): start for start, measure in staff.measures}
    end = max((sounding.note.end for sounding in staff.sounding), default=0)
    for start, line in staff.of(bar.Barline):
        if isinstance(line, bar.Repeat):
            marks.add(Mark(start, "|:" if line.direction == "start" else ":|"))
        elif line.type == "double" or (line.type == "final" and start < end):
            marks.add(Mark(start, "||"))
    for _, bracket in staff.of(spanner.RepeatBracket):
        measure, numbers = bracket.getFirst(), bracket.numberRange
        sign = next((sign for sign in SIGNS if sign[0] == "[" and int(sign[1]) in numbers), None)
        if sign and id(measure) in places:
            marks.add(Mark(places[id(measure)], sign))
    return tuple(sorted(marks, key=lambda mark: (mark.start, _ORDER.index(mark.sign))))
