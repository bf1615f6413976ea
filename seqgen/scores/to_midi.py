"""A piece as a Standard MIDI File: what every sequencer, notation program and synthesizer reads."""

from __future__ import annotations

import io
from collections.abc import Iterable

import mido

from seqgen.errors import DataError
from seqgen.scores import performing
from seqgen.scores.piece import DEFAULT_TEMPO, TICKS, Key, Metre, Note, Part, Piece
from seqgen.scores.pitches import name_key

FERMATA = 0.6
"""What the tempo is multiplied by while a note with a fermata sounds."""
DRUMS = 9
"""The channel of drums: the tenth, counted from 1."""
CHANNELS = tuple(channel for channel in range(16) if channel != DRUMS)
FAMILY = 8
"""General MIDI's programs are in families of so many: pianos, organs, strings..."""
_SLOWEST = 0xFFFFFF
"""Microseconds of a quarter note: the file has three bytes for them."""
_Timed = tuple[int, int, mido.Message | mido.MetaMessage]
"""Tick, rank among those at the same tick, and the message."""


def write_midi(piece: Piece) -> bytes:
    """A piece as a MIDI file of format 1, played as `performing` says: repeats played out, velocities shaped.

    The first track has title, metre, key and tempo; each part is a track with its name, key and program, on a channel of
    its own while there are enough. An upbeat is a first bar as short as it. A fermata slows the tempo to `FERMATA` of it for
    as long as its note sounds. All tracks end at the last barline.

    Raises:
        DataError: a metre that MIDI has no way to write.
    """
    played = performing.shape(performing.unfold(piece))
    end = performing.last_barline(played)
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS, charset="utf-8")
    file.tracks.append(_track(_conductor(played), end))
    for number, (part, channel) in enumerate(zip(played.parts, _channels(played.parts), strict=True), 1):
        file.tracks.append(_track(_part(part, number, channel, played.keys), end))
    data = io.BytesIO()
    file.save(file=data)
    return data.getvalue()


def _track(messages: Iterable[_Timed], end: int) -> mido.MidiTrack:
    """A track of messages at their ticks, until `end`."""
    track, clock = mido.MidiTrack(), 0
    for tick, _, message in sorted(messages, key=lambda timed: timed[:2]):
        message.time = tick - clock
        track.append(message)
        clock = tick
    track.append(mido.MetaMessage("end_of_track", time=max(0, end - clock)))
    return track


def _conductor(piece: Piece) -> list[_Timed]:
    """What holds for all parts."""
    title: list[_Timed] = [(0, 0, mido.MetaMessage("track_name", name=_text(piece.title)))] if piece.title else []
    metres: list[_Timed] = [(metre.start, 1, _time_signature(metre)) for metre in _metres(piece)]
    tempos: list[_Timed] = [(tick, 3, mido.MetaMessage("set_tempo", tempo=tempo)) for tick, tempo in _tempos(piece)]
    return [*title, *metres, *_key_signatures(piece.keys), *tempos]


def _part(part: Part, number: int, channel: int, keys: tuple[Key, ...]) -> list[_Timed]:
    """What one part plays; its name and keys first."""
    messages: list[_Timed] = [
        (0, 0, mido.MetaMessage("track_name", name=_text(part.name or f"part {number}"))),
        (0, 3, mido.Message("program_change", channel=channel, program=part.program)),
    ]
    if not part.drums:
        messages += _key_signatures(keys)
    for note in _apart(part.notes):
        on = mido.Message("note_on", channel=channel, note=note.pitch, velocity=min(127, note.velocity))
        messages.append((note.start, 5, on))
        messages.append((note.end, 4, mido.Message("note_off", channel=channel, note=note.pitch, velocity=0)))
    return messages


def _text(text: str) -> str:
    """A text without what UTF-8 has no bytes for."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _apart(notes: Iterable[Note]) -> list[Note]:
    """The notes of a part as one key of a keyboard can play them: none twice, and each ends before its pitch is struck anew."""
    kept: list[Note] = []
    before: dict[int, int] = {}
    for note in sorted(notes, key=lambda note: (note.start, note.pitch, -note.duration)):
        last = before.get(note.pitch)
        if last is not None and kept[last].start == note.start:
            continue
        if last is not None and kept[last].end > note.start:
            kept[last] = kept[last]._replace(duration=note.start - kept[last].start)
        before[note.pitch] = len(kept)
        kept.append(note._replace(duration=max(1, note.duration)))
    return kept


def _channels(parts: tuple[Part, ...]) -> list[int]:
    """A channel for each part: of its own, else one for each program, else one for each family of them."""
    pitched = [number for number, part in enumerate(parts) if not part.drums]
    groups = {number: number for number in pitched}
    for divisor in (1, FAMILY):
        if len(set(groups.values())) > len(CHANNELS):
            groups = {number: parts[number].program // divisor for number in pitched}
    order = list(dict.fromkeys(groups.values()))  # 16 families have 15 channels: the last one shares
    return [
        DRUMS if part.drums else CHANNELS[min(order.index(groups[number]), len(CHANNELS) - 1)]
        for number, part in enumerate(parts)
    ]


def _key_signatures(keys: tuple[Key, ...]) -> list[_Timed]:
    names = [(key.start, name_key(key).replace(" major", "").replace(" minor", "m")) for key in keys]
    return [(tick, 2, mido.MetaMessage("key_signature", key=name)) for tick, name in names]


def _time_signature(metre: Metre) -> mido.MetaMessage:
    if not 1 <= metre.beats <= 255 or metre.unit < 1 or metre.unit & (metre.unit - 1):
        raise DataError(
            f"a MIDI file cannot have a metre of {metre}", hint="The lower number must be 1, 2, 4, 8, 16 or 32."
        )
    return mido.MetaMessage("time_signature", numerator=metre.beats, denominator=metre.unit)


def _metres(piece: Piece) -> list[Metre]:
    """The metres, an upbeat as a bar of its own."""
    first, *others = piece.metres or (performing.metre_at(piece, 0),)
    if not piece.pickup:
        return [first, *others]
    upbeat = first
    for unit in (first.unit, 4, 8, 16, 32, 64):
        beats, rest = divmod(piece.pickup * unit, 4 * TICKS)
        if not rest and beats <= 255:
            upbeat = Metre(0, beats, unit)
            break
    # Where no metre is that short (a triplet), a metre at the first barline still makes programs begin a bar there.
    again = [] if others and others[0].start <= piece.pickup else [first._replace(start=piece.pickup)]
    return [upbeat, *again, *others]


def _tempos(piece: Piece) -> list[tuple[int, int]]:
    """Where the tempo changes, fermatas among that, and its microseconds for a quarter note."""
    held = performing.fermatas(piece)
    written = {tempo.start: tempo.bpm for tempo in piece.tempos}
    slow = {tick: inside for start, stop in held for tick, inside in ((start, True), (stop, False))}
    for start, _ in held:
        slow[start] = True  # one fermata may begin where another ends
    bpm, factor = DEFAULT_TEMPO, 1.0
    changes: list[tuple[int, int]] = []
    for tick in sorted({0, *written, *slow}):
        bpm = written.get(tick, bpm)
        if tick in slow:
            factor = FERMATA if slow[tick] else 1.0
        tempo = min(_SLOWEST, mido.bpm2tempo(bpm * factor))
        if not changes or changes[-1][1] != tempo:
            changes.append((tick, tempo))
    return changes
