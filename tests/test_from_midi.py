"""MIDI files as pieces; the files are built here byte by byte."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.errors import DataError
from seqgen.scores import notation
from seqgen.scores.from_midi import read_midi
from seqgen.scores.piece import TICKS, Key, Metre, Note, Tempo
from seqgen.scores.repairs import MOST_NOTES

Event = tuple[int, bytes]


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack(">I", len(data)) + data


def delta(ticks: int) -> bytes:
    """MIDI's numbers of variable length."""
    groups = [ticks & 127]
    while ticks := ticks >> 7:
        groups.append(ticks & 127 | 128)
    return bytes(reversed(groups))


def track(*events: Event) -> bytes:
    """Each event behind the ticks since the one before."""
    return chunk(b"MTrk", b"".join(delta(ticks) + event for ticks, event in (*events, (0, b"\xff\x2f\x00"))))


def midi(*tracks: bytes, form: int = 1, division: int = 480) -> bytes:
    return chunk(b"MThd", struct.pack(">HHH", form, len(tracks), division)) + b"".join(tracks)


def on(pitch: int, channel: int = 0, velocity: int = 64) -> bytes:
    return bytes([0x90 | channel, pitch, velocity])


def off(pitch: int, channel: int = 0) -> bytes:
    return bytes([0x80 | channel, pitch, 0])


def metre(beats: int, power: int) -> bytes:
    return bytes([0xFF, 0x58, 4, beats, power, 24, 8])


def tempo(microseconds: int) -> bytes:
    return b"\xff\x51\x03" + microseconds.to_bytes(3, "big")


def meta(kind: int, text: bytes) -> bytes:
    return bytes([0xFF, kind, len(text)]) + text


A_NOTE = (0, on(60)), (480, off(60))


def refusal(data: bytes) -> str:
    with pytest.raises(DataError) as caught:
        read_midi(data)
    return caught.value.what


def test_a_track_with_notes_is_a_part_with_its_name_and_program() -> None:
    piano = track((0, meta(3, b"Right\nhand")), (0, b"\xc0\x05"), *A_NOTE)
    piece = read_midi(midi(track((0, meta(3, b"title"))), piano, piano))
    assert [(part.name, part.program, part.drums) for part in piece.parts] == [("Right hand", 5, False)] * 2
    assert piece.parts[0].notes == (Note(0, 480, 60, 64),)
    assert (piece.metres, piece.keys, piece.tempos, piece.pickup) == ((), (), (), 0)


def test_the_channels_of_a_single_track_are_parts_and_the_tenth_is_for_drums() -> None:
    events = (0, on(60)), (0, on(48, 1)), (0, on(36, 9)), (480, off(60)), (0, off(48, 1)), (0, off(36, 9))
    piece = read_midi(midi(track(*events), form=0))
    assert [(part.notes[0].pitch, part.drums) for part in piece.parts] == [(60, False), (48, False), (36, True)]


@given(division=st.integers(1, 0x7FFF), lengths=st.lists(st.integers(0, 5000), min_size=1, max_size=20))
def test_times_are_scaled_without_drifting_and_every_note_has_a_length(division: int, lengths: list[int]) -> None:
    if sum(lengths) > 90_000 * division:
        return
    events = [event for length in lengths for event in ((0, on(60)), (length, off(60)), (1, on(62)), (1, off(62)))]
    piece = read_midi(midi(track(*events), division=division))
    assert all(note.duration >= 1 for note in piece.parts[0].notes)
    end = sum(lengths) + 2 * len(lengths)
    assert abs(piece.end - end * TICKS / division) <= 1.5
    assert notation.parse(notation.write(piece, barlines=False)) == piece


def test_metre_key_and_tempo_are_read_once_however_many_tracks_say_them() -> None:
    said = track((0, metre(6, 3)), (0, b"\xff\x59\x02\xfd\x01"), (0, tempo(600_000)), (1440, metre(3, 2)), *A_NOTE)
    piece = read_midi(midi(said, said))
    assert piece.metres == (Metre(0, 6, 8), Metre(1440, 3, 4))
    assert piece.keys == (Key(0, 0, True),)
    assert piece.tempos == (Tempo(0, 100.0),)


def test_a_first_bar_of_a_shorter_metre_is_an_upbeat() -> None:
    piece = read_midi(midi(track((0, metre(1, 2)), *A_NOTE, (0, metre(3, 2)), *A_NOTE, (0, metre(4, 2)), *A_NOTE)))
    assert piece.pickup == 480
    assert piece.metres == (Metre(0, 3, 4), Metre(960, 4, 4))


def test_impossible_metres_keys_and_tempos_are_left_out() -> None:
    impossible = [
        (0, event) for event in (metre(0, 2), metre(3, 7), metre(4, 255), tempo(0), tempo(1), tempo(2**24 - 1))
    ]
    piece = read_midi(midi(track(*impossible, (0, b"\xff\x59\x02\x63\x07"), *A_NOTE)))
    assert (piece.metres, piece.keys) == ((), ())
    assert [round(tempo.bpm, 2) for tempo in piece.tempos] == [3.58]


def test_a_metre_in_units_too_small_is_said_in_larger_ones() -> None:
    assert read_midi(midi(track((0, metre(12, 7)), *A_NOTE))).metres == (Metre(0, 3, 32),)


def test_what_is_said_later_only_holds_not_from_the_beginning() -> None:
    piece = read_midi(midi(track(*A_NOTE * 5, (0, metre(3, 2)), (0, tempo(600_000)), *A_NOTE)))
    assert piece.metres == (Metre(0, 4, 4), Metre(2400, 3, 4))
    assert piece.tempos == (Tempo(0, 120.0), Tempo(2400, 100.0))


def test_a_note_that_never_ends_does_not_swallow_the_piece() -> None:
    piece = read_midi(midi(track((0, on(40)), *A_NOTE, (480_000, on(62)), (480, off(62)))))
    assert [(note.pitch, note.duration) for note in piece.parts[0].notes] == [(60, 480), (62, 480)]


def test_a_note_ends_where_the_next_on_its_pitch_begins() -> None:
    both = track((0, on(60)), (240, on(60)), (0, on(60)), (240, off(60)), (240, off(60)), (240, off(60)))
    notes = read_midi(midi(both)).parts[0].notes
    assert [(note.start, note.duration) for note in notes] == [(0, 240), (240, 720)]


def test_a_file_that_is_no_midi_says_why() -> None:
    assert "empty" in refusal(b"")
    assert "does not begin with MThd" in refusal(b"RIFF....RMIDdata")
    assert "does not begin with MThd" in refusal(b"<html>404</html>")


@pytest.mark.parametrize("length", range(4, len(midi(track(*A_NOTE)))))
def test_a_file_cut_anywhere_says_that_it_is_cut_or_has_no_tracks(length: int) -> None:
    assert any(word in refusal(midi(track(*A_NOTE))[:length]) for word in ("cut short", "without tracks"))


def test_a_chunk_that_claims_four_gigabytes_is_not_believed() -> None:
    claiming = midi(track(*A_NOTE)).replace(b"MTrk" + midi(track(*A_NOTE))[18:22], b"MTrk\xff\xff\xff\xff")
    assert refusal(claiming).startswith("cut short: a chunk of 4,294,967,295 bytes at byte 14")


def test_kinds_of_midi_without_quarter_notes_are_refused() -> None:
    assert "SMPTE" in refusal(midi(track(*A_NOTE), division=0xE728))
    assert "format 2" in refusal(midi(track(*A_NOTE), form=2))
    assert "0 ticks" in refusal(midi(track(*A_NOTE), division=0))


def test_a_file_without_tracks_or_notes_says_so() -> None:
    assert "without tracks" in refusal(midi())
    assert refusal(midi(track())) == "no notes in it"
    assert refusal(midi(track((0, on(60))))) == "no notes in it"


def test_a_million_notes_are_refused_with_their_number() -> None:
    notes = b"\x00\x90\x3c\x40\x01\x3c\x00" * (MOST_NOTES + 1)
    assert "200,001 notes" in refusal(midi(chunk(b"MTrk", notes + b"\x00\xff\x2f\x00")))


def test_a_piece_of_days_is_refused_and_times_beyond_32_bits_are_too() -> None:
    assert "quarter notes long" in refusal(midi(track((2**28 - 1, on(60)), (1, off(60)))))
    assert "32 bits" in refusal(midi(track(*[(2**28 - 1, event) for _ in range(9) for event in (on(60), off(60))])))
