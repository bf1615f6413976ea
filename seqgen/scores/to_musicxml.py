"""A piece as a MusicXML file, for notation programs; music21 draws what `staves` and `engraving` have laid out."""

from __future__ import annotations

import bisect
import functools
import statistics
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from seqgen.errors import DataError
from seqgen.scores.engraving import Sign, write_voice
from seqgen.scores.piece import TICKS, Key, Part, Piece
from seqgen.scores.pitches import sharps_of, spell
from seqgen.scores.staves import Measure, Sound, measures_of, snap, voices_of

_MIDDLE_C = 60
_CHORALE = 4
"""Voices that share two staves."""
_DRUM_CHANNEL = 9
_DRUMS = {35: "F4", 36: "F4", 41: "G4", 43: "A4", 45: "B4", 47: "D5", 48: "E5", 50: "F5", 44: "D4", 42: "G5", 46: "G5"}
"""Where a drum stands on the staff, as drummers read it; the snare and all that is not named: in the third space."""
_SNARE, _CYMBALS, _CYMBAL_LINE = "C5", (49, 51, 52, 53, 55, 57, 59), "A5"
_CROSSES = (42, 44, 46, *_CYMBALS)


class _Staff(NamedTuple):
    """What is written on one staff."""

    parts: Sequence[Part]
    voices: Sequence[Sequence[Sound]]
    clef: str
    always: bool
    """Whether a silent voice shows its rests."""

    @property
    def name(self) -> str:
        """Of all its parts."""
        return _printable(", ".join(part.name for part in self.parts if part.name))


def write_musicxml(piece: Piece) -> bytes:
    """A piece as MusicXML; equal pieces give equal bytes. Four single voices, as in a chorale, share two staves.

    Velocities are not written, and drums are told apart by their line alone.

    Raises:
        DataError: there are no notes in it.
    """
    if not piece.notes:
        raise DataError("no notes to write")
    m21 = _library()
    piece = snap(piece)
    staves = _staves(piece)
    measures = measures_of(piece)
    score = m21.stream.Score(id="score")
    score.insert(0, m21.metadata.Metadata(title=_printable(piece.title)))
    drawn = [_draw_staff(staff, measures, piece, number) for number, staff in enumerate(staves)]
    for part in drawn:
        score.insert(0, part)
    if len(staves) < len(piece.parts):
        score.insert(0, m21.layout.StaffGroup(drawn, symbol="brace", barTogether=True))
    exporter = m21.musicxml.m21ToXml.ScoreExporter(score, makeNotation=False)
    # music21 has sixteen MIDI channels and warns when they are all in use; more parts than that share them.
    exporter.midiChannelList = _Channels()
    exporter.parse()
    _clean(exporter.xmlRoot)
    data: bytes = exporter.asBytes()
    return data


def _library() -> Any:
    """music21, as good as untyped, and slow to load."""
    import music21

    return music21


def _clean(root: Any) -> None:
    """Takes out what music21 adds on its own: today's date, itself as the composer, titles where there are none."""
    for about in root.findall("identification"):
        for encoding in about.findall("encoding"):
            for date in encoding.findall("encoding-date"):
                encoding.remove(date)
        for creator in about.findall("creator"):
            about.remove(creator)
    for name in ("work", "movement-title"):
        for element in root.findall(name):
            if not "".join(element.itertext()).strip():
                root.remove(element)


class _Channels(list[int]):
    """Used MIDI channels, none of which is closed to others."""

    def __contains__(self, channel: object) -> bool:
        return False


def _staves(piece: Piece) -> list[_Staff]:
    parts = piece.parts
    if len(parts) == _CHORALE and all(part.is_voice() and not part.drums for part in parts):
        pairs = [(parts[:2], "treble"), (parts[2:], "bass")]
        return [_Staff(pair, [voices_of(part)[0] for part in pair], clef, True) for pair, clef in pairs]
    return [_Staff((part,), voices_of(part), _clef_of(part), False) for part in parts]


def _clef_of(part: Part) -> str:
    if part.drums:
        return "percussion"
    pitches = [note.pitch for note in part.notes]
    return "bass" if pitches and statistics.median(pitches) < _MIDDLE_C else "treble"


def _draw_staff(staff: _Staff, measures: Sequence[Measure], piece: Piece, number: int) -> Any:
    m21 = _library()
    drawn = m21.stream.Part(id=f"P{number + 1}")
    drawn.partName = staff.name or f"Part {number + 1}"
    clefs = {"treble": m21.clef.TrebleClef, "bass": m21.clef.BassClef, "percussion": m21.clef.PercussionClef}
    for place, measure in enumerate(measures):
        paper = m21.stream.Measure(number=measure.number)
        if not measure.counted:
            paper.showNumber = m21.stream.enums.ShowNumber.NEVER
        if place == 0:
            paper.clef = clefs[staff.clef]()
            paper.insert(0, _instrument(staff.parts[0], number))
        _draw_signatures(paper, measures, place, piece.keys, staff.parts[0].drums)
        _draw_voices(paper, staff, measure, piece.keys)
        if number == 0:
            _draw_tempos(paper, measures, place, piece)
        drawn.insert(_quarters(measure.start), paper)
    _draw_barlines(drawn, measures, piece)
    drawn.makeAccidentals(inPlace=True, cautionaryNotImmediateRepeat=False)
    drawn.streamStatus.beams = drawn.streamStatus.tuplets = True  # they have been drawn
    return drawn


def _instrument(part: Part, number: int) -> object:
    m21 = _library()
    drawn = m21.instrument.UnpitchedPercussion() if part.drums else m21.instrument.Instrument()
    drawn.partId, drawn.instrumentId = f"P{number + 1}", f"I{number + 1}"
    if part.drums:
        drawn.instrumentName = "Drums"
        drawn.midiChannel = _DRUM_CHANNEL
    else:  # none of music21's own: some transpose
        drawn.instrumentName = m21.instrument.instrumentFromMidiProgram(part.program).instrumentName
        drawn.midiProgram = part.program
        channel = number % 15
        drawn.midiChannel = channel + (channel >= _DRUM_CHANNEL)
    return drawn


def _draw_signatures(paper: Any, measures: Sequence[Measure], place: int, keys: Sequence[Key], is_drums: bool) -> None:
    """Draws the key and the metre where a piece begins and where they change; a key waits for a barline."""
    m21 = _library()
    here = measures[place]
    before = measures[place - 1] if place else None
    if before is None or (before.metre.beats, before.metre.unit) != (here.metre.beats, here.metre.unit):
        paper.timeSignature = m21.meter.TimeSignature(str(here.metre))
    now, earlier = key_at(keys, here.start), key_at(keys, before.start) if before else None
    if now is not None and not is_drums and (earlier is None or now[1:] != earlier[1:]):
        letter, alteration = spell(now.tonic, sharps_of(now))
        tonic = letter + "#" * alteration + "-" * -alteration
        paper.keySignature = m21.key.Key(tonic, "minor" if now.minor else "major")
    shown = here.stop - here.start
    if before is None and shown < here.metre.bar:
        paper.paddingLeft = _quarters(here.metre.bar - shown)


def key_at(keys: Sequence[Key], time: int) -> Key | None:
    """The key at a time, in ticks; None where none is known."""
    place = bisect.bisect_right(keys, time, key=lambda key: key.start)
    return keys[place - 1] if place else None


def _draw_tempos(paper: Any, measures: Sequence[Measure], place: int, piece: Piece) -> None:
    m21 = _library()
    here = measures[place]
    for mark in piece.tempos:
        if here.start <= mark.start < here.stop:
            bpm = round(mark.bpm, 2)
            drawn = m21.tempo.MetronomeMark(number=int(bpm) if bpm == int(bpm) else bpm, referent=1.0)
            paper.insert(_quarters(mark.start - here.start), drawn)


def _draw_voices(paper: Any, staff: _Staff, measure: Measure, keys: Sequence[Key]) -> None:
    m21 = _library()
    written = [(number, write_voice(sounds, measure)) for number, sounds in enumerate(staff.voices, 1)]
    if not staff.always:
        written = [(number, signs) for number, signs in written if any(sign.pitches for sign in signs)] or written[:1]
    for number, signs in written:
        target = m21.stream.Voice(id=number) if len(staff.voices) > 1 else paper
        stem = ("up" if number % 2 else "down") if len(written) > 1 else None
        for sign in signs:
            key = key_at(keys, sign.start)
            drawn = _draw_sign(sign, sharps_of(key) if key else 0, stem, staff.clef == "percussion")
            if not sign.pitches and sign.duration == measure.metre.bar:
                drawn.fullMeasure = True
            target.insert(_quarters(sign.start - measure.start), drawn)
        if target is not paper:
            paper.insert(0, target)


def _draw_sign(sign: Sign, sharps: int, stem: str | None, is_drums: bool) -> Any:
    m21 = _library()
    length = _duration(sign)
    if not sign.pitches:
        return m21.note.Rest(duration=length)
    drawn: Any
    if is_drums:
        drawn = _draw_drums(sign.pitches, length)
    elif len(sign.pitches) == 1:
        drawn = m21.note.Note(_pitch(sign.pitches[0], sharps), duration=length)
    else:
        drawn = m21.chord.Chord([_pitch(each, sharps) for each in sign.pitches], duration=length)
    if sign.tied_back or sign.tied_on:
        kind = "continue" if sign.tied_back and sign.tied_on else "stop" if sign.tied_back else "start"
        drawn.tie = m21.tie.Tie(kind)
    if sign.fermata:
        drawn.expressions.append(m21.expressions.Fermata())
    if stem:
        drawn.stemDirection = stem
    for each in sign.beams:
        drawn.beams.beamsList.append(
            m21.beam.Beam("partial", each) if each in ("left", "right") else m21.beam.Beam(each)
        )
    for level, each in enumerate(drawn.beams.beamsList, 1):
        each.number = level
    return drawn


def _draw_drums(pitches: Sequence[int], length: Any) -> Any:
    m21 = _library()
    lines = {_CYMBAL_LINE if drum in _CYMBALS else _DRUMS.get(drum, _SNARE): drum for drum in pitches}
    heads = []
    for line, drum in lines.items():
        head = m21.note.Unpitched(displayName=line, duration=length)
        head.notehead = "x" if drum in _CROSSES else "normal"
        heads.append(head)
    return heads[0] if len(heads) == 1 else m21.percussion.PercussionChord(heads, duration=length)


def _duration(sign: Sign) -> Any:
    m21 = _library()
    drawn = m21.duration.Duration(type=sign.kind, dots=sign.dots)
    if sign.ratio:
        unit = m21.duration.durationTupleFromTypeDots("eighth", 0)
        bracket = m21.duration.Tuplet(*sign.ratio, durationActual=unit, durationNormal=unit)
        bracket.type = sign.tuplet
        drawn.appendTuplet(bracket)
    return drawn


def _pitch(number: int, sharps: int) -> Any:
    m21 = _library()
    letter, alteration = spell(number % 12, sharps)
    drawn = m21.pitch.Pitch(step=letter, octave=(number - alteration) // 12 - 1)
    drawn.accidental = m21.pitch.Accidental(alteration)  # a natural, too: else it and its tied copies look different
    drawn.spellingIsInferred = False
    return drawn


def _draw_barlines(drawn: Any, measures: Sequence[Measure], piece: Piece) -> None:
    """Draws repeats, ends of sections, the final barline and the brackets of endings."""
    m21 = _library()
    papers = list(drawn.getElementsByClass("Measure"))
    signs: dict[int, set[str]] = {}
    for mark in piece.marks:
        signs.setdefault(mark.start, set()).add(mark.sign)
    for paper, measure in zip(papers, measures, strict=True):
        if "|:" in signs.get(measure.start, ()):
            paper.leftBarline = m21.bar.Repeat(direction="start")
        after = signs.get(measure.stop, set())
        if measure is measures[-1]:
            after = {sign for time, each in signs.items() if time >= measure.stop for sign in each}
        if ":|" in after:
            paper.rightBarline = m21.bar.Repeat(direction="end")
        elif measure is measures[-1]:
            paper.rightBarline = m21.bar.Barline("final")
        elif "||" in after:
            paper.rightBarline = m21.bar.Barline("double")
    times = sorted(signs)
    for mark in piece.marks:
        if mark.sign.startswith("["):
            stop = next((time for time in times if time > mark.start), measures[-1].stop)
            inside = [paper for paper, each in zip(papers, measures, strict=True) if mark.start <= each.start < stop]
            if inside:
                drawn.insert(0, m21.spanner.RepeatBracket(inside, number=int(mark.sign[1])))


def _quarters(ticks: int) -> float | Fraction:
    length = Fraction(ticks, TICKS)
    return float(length) if length.denominator & (length.denominator - 1) == 0 else length


@functools.cache
def _dropped() -> dict[int, None]:
    """Characters that XML has no way to write."""
    return dict.fromkeys([*range(9), 11, 12, *range(14, 32), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF])


def _printable(text: str) -> str:
    return " ".join(text.translate(_dropped()).split())
