"""MIDI files as pieces, by symusic."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from seqgen.errors import DataError
from seqgen.scores.piece import HIGHEST, LOWEST, TICKS, Key, Metre, Note, Part, Piece
from seqgen.scores.repairs import (
    check_size,
    finish,
    from_the_beginning,
    plain_name,
    repair_metres,
    repair_tempos,
    without_overlaps,
)

if TYPE_CHECKING:
    from symusic.core import ScoreTick, TrackTick

_CHUNK = struct.Struct(">4sI")
_HEADER = struct.Struct(">HHH")
_BAD = "Open it in a music editor and export it as MIDI again."


def read_midi(data: bytes) -> Piece:
    """The piece of a MIDI file: each channel of each track that has notes is a part.

    A note that is never ended is left out: how long it was meant to be is not known.

    Args:
        data: the file.

    Raises:
        DataError: it is no MIDI file, damaged, of a kind that has no quarter notes, empty, or too large.
    """
    _check(data)
    from symusic import Score

    try:
        score: ScoreTick = Score.from_midi(data)  # type: ignore[assignment]
    except MemoryError:
        raise
    except Exception as error:  # what symusic raises is not said anywhere
        raise DataError(f"damaged MIDI ({str(error).removeprefix('MiniMidi: ')})", hint=_BAD) from error
    tracks = [track for track in score.tracks if len(track.notes)]
    quarter = score.ticks_per_quarter
    _check_tracks(tracks, quarter)
    metres = repair_metres((_scale(m.time, quarter), m.numerator, m.denominator) for m in score.time_signatures)
    metres, pickup = _pickup(metres)
    return finish(
        Piece(
            tuple(_part(track, quarter) for track in tracks),
            metres,
            from_the_beginning(_keys(score, quarter)),
            repair_tempos((_scale(tempo.time, quarter), tempo.qpm) for tempo in score.tempos),
            pickup,
        )
    )


def _check(data: bytes) -> None:
    """Walks over the chunks: symusic says nothing of some faults, and little of others."""
    if not data:
        raise DataError("an empty file")
    if data[:4] != b"MThd":
        raise DataError("not a MIDI file: it does not begin with MThd", hint="Does its name end in what it is?")
    start, number = 0, 0
    while start + _CHUNK.size <= len(data):
        name, length = _CHUNK.unpack_from(data, start)
        left = len(data) - start - _CHUNK.size
        if length > left:
            cut = f"cut short: a chunk of {length:,} bytes at byte {start:,}, where only {left:,} bytes are left"
            raise DataError(cut, hint="Get the file again.")
        if start == 0:
            _check_header(data[_CHUNK.size : _CHUNK.size + length])
        number += name == b"MTrk"
        start += _CHUNK.size + length
    if number == 0:
        raise DataError("a MIDI file without tracks")


def _check_header(header: bytes) -> None:
    if len(header) < _HEADER.size:
        raise DataError("damaged MIDI (its header is too short)", hint=_BAD)
    form, _, division = _HEADER.unpack_from(header)
    if form > 1:
        raise DataError(f"MIDI of format {form}, which is not one piece", hint="Export it as MIDI of format 0 or 1.")
    if division & 0x8000:
        seconds = "its times are in seconds (SMPTE), not in quarter notes"
        raise DataError(seconds, hint="Export it with a division in ticks per quarter note.")
    if division == 0:
        raise DataError("damaged MIDI (0 ticks per quarter note)", hint=_BAD)


def _check_tracks(tracks: list[TrackTick], quarter: int) -> None:
    """Before any list is made of a million notes; times that ran over 32 bits are below 0."""
    end = 0
    for track in tracks:
        arrays = track.notes.numpy()
        ends = arrays["time"].astype("int64") + arrays["duration"]
        if int(arrays["time"].min()) < 0 or int(arrays["duration"].min()) < 0:
            raise DataError("damaged MIDI (its times add up to more than 32 bits)", hint=_BAD)
        end = max(end, int(ends.max()))
    check_size(sum(len(track.notes) for track in tracks), _scale(end, quarter))


def _scale(time: int, quarter: int) -> int:
    """In ticks of ours; a half is rounded up."""
    return (2 * time * TICKS + quarter) // (2 * quarter)


def _part(track: TrackTick, quarter: int) -> Part:
    columns = track.notes.numpy()
    rows = zip(*(columns[name].tolist() for name in ("time", "duration", "pitch", "velocity")), strict=True)
    notes = []
    for time, duration, pitch, velocity in rows:
        if LOWEST <= pitch <= HIGHEST:
            start = _scale(time, quarter)
            notes.append(Note(start, max(1, _scale(time + duration, quarter) - start), pitch, velocity))
    return Part(without_overlaps(notes), plain_name(track.name), track.program, track.is_drum)


def _keys(score: ScoreTick, quarter: int) -> list[Key]:
    """Tonality 1 is minor; seven sharps or flats are the most there are."""
    keys = []
    for key in score.key_signatures:
        if abs(key.key) <= 7 and key.tonality in (0, 1):
            tonic = (7 * key.key + 9 * key.tonality) % 12
            keys.append(Key(_scale(key.time, quarter), tonic, key.tonality == 1))
    return keys


def _pickup(metres: tuple[Metre, ...]) -> tuple[tuple[Metre, ...], int]:
    """An upbeat stands in MIDI as one short bar of a metre of its own (1/4, then 3/4); else it cannot be told."""
    if len(metres) > 1:
        first, second = metres[:2]
        if second.start <= first.bar and second.start < second.bar:
            return (second._replace(start=0), *metres[2:]), second.start
    return metres, 0
