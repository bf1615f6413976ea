"""MIDI files: what mido and music21, which did not write them, find in them; and how a piece is played."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import mido
import music21
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.errors import DataError
from seqgen.scores.notation import parse
from seqgen.scores.performing import last_barline, shape, unfold
from seqgen.scores.piece import SIGNS, TICKS, Key, Mark, Metre, Note, Part, Piece
from seqgen.scores.to_midi import write_midi

CHORALE = """
title: A small chorale
key: G major
metre: 4/4
pickup: 1
tempo: 80
Soprano (program 52): G4 | A4 B4 C5:0.5 B4:0.5 A4 | B4:3^ B4 | A4 G4 A4:2 | G4:3^
Alto (program 52): D4 | D4 D4 E4:0.5 D4:0.5 D4:0.5 C4:0.5 | D4:3^ D4 | D4 D4:0.5 E4:0.5 E4 D4:0.5 C4:0.5 | B3:3^
Tenor (program 52): B3 | A3 G3 G3 F#3 | G3:3^ G3 | F#3 G3 G3 F#3 | G3:3^
Bass (program 52): G3 | F#3 G3 C3 D3 | G2:3^ G3 | D3 B2 C3 D3 | G2:3^
"""


def midi(piece: Piece | str) -> mido.MidiFile:
    data = write_midi(parse(piece) if isinstance(piece, str) else piece)
    return mido.MidiFile(file=io.BytesIO(data), charset="utf-8")


def timed(track: mido.MidiTrack) -> Iterator[tuple[int, mido.Message]]:
    clock = 0
    for message in track:
        clock += message.time
        yield clock, message


def said(track: mido.MidiTrack, kind: str) -> list[tuple[int, mido.Message]]:
    return [(tick, message) for tick, message in timed(track) if message.type == kind]


def notes(track: mido.MidiTrack) -> list[Note]:
    """The notes of a track; fails where one is left open, closed twice, of no length, or struck while it sounds."""
    sounding: dict[int, tuple[int, int]] = {}
    found = []
    for tick, message in timed(track):
        if message.type == "note_on":
            assert message.velocity > 0 and message.note not in sounding
            sounding[message.note] = tick, message.velocity
        elif message.type == "note_off":
            start, velocity = sounding.pop(message.note)
            assert tick > start
            found.append(Note(start, tick - start, message.note, velocity))
    assert not sounding
    return sorted(found)


def some_piece(seed: int) -> Piece:
    """Parts with chords, rests and overlaps of different pitches; some notes with a velocity."""
    generator = random.Random(seed)
    parts = []
    for number in range(generator.randint(1, 5)):
        found: list[Note] = []
        free = dict.fromkeys(range(128), 0)  # where each pitch has stopped sounding
        clock = 0
        for _ in range(generator.randint(1, 30)):
            length, pitch = generator.choice([1, 80, 120, 160, 240, 480, 961]), generator.randrange(128)
            if free[pitch] <= clock:
                found.append(Note(clock, length, pitch, generator.choice([0, 0, 1, 80, 127]), generator.random() < 0.1))
                free[pitch] = clock + length
            clock += generator.choice([0, 120, 160, 480])
        parts.append(Part(tuple(sorted(found)), f"voice {number}", generator.randrange(128), generator.random() < 0.2))
    metre = generator.choice([Metre(0, 4, 4), Metre(0, 3, 4), Metre(0, 6, 8), Metre(0, 7, 16)])
    return Piece(
        tuple(parts), (metre,), (Key(0, generator.randrange(12), True),), pickup=generator.choice([0, 120, 160])
    )


@given(seed=st.integers(0, 10**6))
def test_mido_finds_the_same_notes_in_each_part_and_every_one_is_closed(seed: int) -> None:
    piece = some_piece(seed)
    file = midi(piece)
    assert file.type == 1 and file.ticks_per_beat == TICKS
    assert len(file.tracks) == 1 + len(piece.parts)
    for part, track in zip(piece.parts, file.tracks[1:], strict=True):
        assert [note[:3] for note in notes(track)] == [note[:3] for note in part.notes]
        for found, note in zip(notes(track), part.notes, strict=True):
            assert note.velocity in (0, found.velocity)
    ends = {[tick for tick, _ in timed(track)][-1] for track in file.tracks}
    assert ends == {last_barline(piece)}
    assert last_barline(piece) >= piece.end


@given(seed=st.integers(0, 10**6))
def test_offs_come_before_ons_and_equal_pieces_give_equal_bytes(seed: int) -> None:
    assert write_midi(some_piece(seed)) == write_midi(some_piece(seed))
    for track in midi(some_piece(seed)).tracks:
        ranks = [
            (tick, message.type == "note_on") for tick, message in timed(track) if message.type.startswith("note_")
        ]
        assert ranks == sorted(ranks)


def test_music21_reads_a_chorale_back() -> None:
    piece = parse(CHORALE)
    score: Any = music21.converter.parseData(write_midi(piece), format="midi", forceSource=True, quantizePost=False)
    assert [part.partName for part in score.parts] == ["Soprano", "Alto", "Tenor", "Bass"]
    for part, stream in zip(piece.parts, score.parts, strict=True):
        found = stream.stripTies().flatten().notes
        assert Counter((note.offset, note.quarterLength, note.pitch.midi) for note in found) == Counter(
            (note.start / TICKS, note.duration / TICKS, note.pitch) for note in part.notes
        )
        assert next(key.sharps for key in stream.flatten().getElementsByClass(music21.key.KeySignature)) == 1


def test_the_first_track_has_title_metre_key_and_tempo_and_each_part_has_name_key_and_program() -> None:
    first, *parts = midi(CHORALE).tracks
    assert first.name == "A small chorale"
    assert [message.key for _, message in said(first, "key_signature")] == ["G"]
    assert next(str(message.tempo) for _, message in said(first, "set_tempo")) == "750000"
    assert [track.name for track in parts] == ["Soprano", "Alto", "Tenor", "Bass"]
    for number, track in enumerate(parts):
        assert [(tick, message.key) for tick, message in said(track, "key_signature")] == [(0, "G")]
        programs = [(tick, message.program, message.channel) for tick, message in said(track, "program_change")]
        assert programs == [(0, 52, number)]
        assert {message.channel for _, message in said(track, "note_on")} == {number}


def test_what_a_piece_does_not_say_is_common_time_and_120_and_no_key() -> None:
    first, part = midi("C4").tracks
    assert [(message.numerator, message.denominator) for _, message in said(first, "time_signature")] == [(4, 4)]
    assert [message.tempo for _, message in said(first, "set_tempo")] == [500_000]
    assert not said(first, "key_signature") + said(part, "key_signature") + said(first, "track_name")


def test_changes_of_metre_key_and_tempo_come_at_their_ticks() -> None:
    first = midi("key: C major @4 Eb minor\nmetre: 4/4 @4 3/8\ntempo: 60 @2 90\n" + "C4 " * 8).tracks[0]
    assert [(tick, message.key) for tick, message in said(first, "key_signature")] == [(0, "C"), (1920, "Ebm")]
    assert [(tick, message.numerator) for tick, message in said(first, "time_signature")] == [(0, 4), (1920, 3)]
    assert [tick for tick, _ in said(first, "set_tempo")] == [0, 960]


@pytest.mark.parametrize(
    ("metre", "pickup", "upbeat"),
    [
        ("3/4", "1", (1, 4)),
        ("6/8", "0.5", (1, 8)),
        ("6/8", "1", (2, 8)),
        ("2/2", "1", (1, 4)),
        ("4/4", "0.75", (3, 16)),
    ],
)
def test_an_upbeat_is_a_first_bar_as_short_as_it(metre: str, pickup: str, upbeat: tuple[int, int]) -> None:
    piece = parse(f"metre: {metre}\npickup: {pickup}\nC4:{pickup} " + "D4:0.5 " * 30)
    found = [
        (tick, message.numerator, message.denominator)
        for tick, message in said(midi(piece).tracks[0], "time_signature")
    ]
    numerator, denominator = map(int, metre.split("/"))
    assert found == [(0, *upbeat), (piece.pickup, numerator, denominator)]


def test_after_an_upbeat_that_no_metre_is_as_short_as_bars_begin_anew() -> None:
    first = midi("metre: 3/4\npickup: 1/3\nC4:1/3 D4:3").tracks[0]
    assert [(tick, message.numerator) for tick, message in said(first, "time_signature")] == [(0, 3), (160, 3)]


def test_all_tracks_end_at_a_barline_that_an_upbeat_may_bring_forward() -> None:
    assert last_barline(parse("metre: 3/4\nC4:4")) == 6 * TICKS
    assert last_barline(parse("metre: 3/4\npickup: 1\nC4 D4:3 E4:2")) == 6 * TICKS
    assert last_barline(parse("metre: 3/4\npickup: 1\nC4 D4:3 E4:2.5")) == 7 * TICKS
    assert last_barline(parse("metre: 3/4\npickup: 1\nC4:0.5")) == TICKS


def test_drums_go_to_the_tenth_channel_and_no_other_part_does() -> None:
    parts = [Part((Note(0, 480, 60),), program=number) for number in range(12)]
    parts.insert(3, Part((Note(0, 480, 36),), drums=True))
    tracks = midi(Piece(tuple(parts), keys=(Key(0, 7, False),))).tracks[1:]
    channels = [message.channel for track in tracks for _, message in said(track, "note_on")]
    assert channels == [0, 1, 2, 9, 3, 4, 5, 6, 7, 8, 10, 11, 12]
    assert not said(tracks[3], "key_signature")


def test_more_parts_than_channels_share_them_by_program_and_then_by_family() -> None:
    few = [Part((Note(0, 480, 60),), program=number % 4) for number in range(20)]
    tracks = midi(Piece(tuple(few))).tracks[1:]
    assert [message.channel for track in tracks for _, message in said(track, "note_on")] == [0, 1, 2, 3] * 5
    many = [Part((Note(0, 480, 60),), program=number) for number in range(0, 128, 4)]
    tracks = midi(Piece(tuple(many))).tracks[1:]
    channels = [message.channel for track in tracks for _, message in said(track, "note_on")]
    assert set(channels) == set(range(16)) - {9}
    assert channels[0] == channels[1] != channels[2]


def test_a_pitch_struck_while_it_sounds_ends_first_and_doubles_are_one_note() -> None:
    part = Part((Note(0, 960, 60), Note(0, 960, 60), Note(0, 480, 60), Note(480, 480, 60), Note(1200, 0, 62)))
    assert [note[:3] for note in notes(midi(Piece((part,))).tracks[1])] == [(0, 480, 60), (480, 480, 60), (1200, 1, 62)]


def test_a_fermata_slows_the_tempo_for_as_long_as_its_note_sounds() -> None:
    first = midi("tempo: 100\nA: C4 D4:2^ E4\nB: C3:2 D3^ E3").tracks[0]
    found = [(tick, round(mido.tempo2bpm(message.tempo))) for tick, message in said(first, "set_tempo")]
    assert found == [(0, 100), (480, 60), (1440, 100)]
    following = midi("C4^ D4^ E4").tracks[0]
    assert [(tick, message.tempo) for tick, message in said(following, "set_tempo")] == [(0, 833333), (960, 500000)]


def test_titles_and_names_may_be_of_any_script() -> None:
    file = midi(Piece((Part((Note(0, 480, 60),), "Flöte"),), title="Ой \ud800"))
    assert (file.tracks[0].name, file.tracks[1].name) == ("Ой ?", "Flöte")
    assert midi("C4").tracks[1].name == "part 1"


def test_a_metre_that_midi_cannot_say_is_refused() -> None:
    with pytest.raises(DataError, match="4/6"):
        write_midi(Piece((Part((Note(0, 480, 60),)),), metres=(Metre(0, 4, 6),)))


def test_a_tempo_slower_than_midi_can_say_becomes_the_slowest() -> None:
    assert [message.tempo for _, message in said(midi("tempo: 1\nC4^").tracks[0], "set_tempo")] == [0xFFFFFF]


def test_velocities_follow_the_metre_the_phrase_and_the_voice_and_are_kept_where_said() -> None:
    above, below = shape(
        parse("metre: 4/4\nA: " + "C5:0.5 " * 63 + "C5:0.5^" + "\nB: " + "C4:0.5 " * 63 + "C4:0.5v99")
    ).parts
    high, low = ([note.velocity for note in part.notes] for part in (above, below))
    assert all(60 < velocity < 100 for velocity in high)
    assert high[0] > high[2] > high[1]  # downbeat, beat, between
    assert high[32] > high[8] > high[0]  # the middle of the phrase
    assert high[-1] < min(high[:-1])  # its end
    assert all(mine > other for mine, other in zip(high[:-1], low[:-1], strict=True))
    assert low[-1] == 99


def played(text: str) -> list[int]:
    """The pitches of the only part, in the order in which they are heard, without gaps."""
    piece = unfold(parse(text))
    assert not piece.marks
    clock = 0
    for note in piece.parts[0].notes:
        assert note.start == clock
        clock = note.end
    return [note.pitch - 60 for note in piece.parts[0].notes]


@pytest.mark.parametrize(
    ("marks", "order"),
    [
        ("|: @8 :|", [0, 2, 0, 2, 4, 5]),
        ("@8 :|", [0, 2, 0, 2, 4, 5]),
        ("@4 |: @12 :|", [0, 2, 4, 2, 4, 5]),
        ("|: @4 [1 @8 :| @8 [2", [0, 2, 0, 4, 5]),
        ("|: @4 [1 @8 :| @8 [2 @12 :|", [0, 2, 0, 4, 5]),
        ("@4 || @12 :|", [0, 2, 4, 2, 4, 5]),
        ("|: @4 || @8 :|", [0, 2, 0, 2, 4, 5]),
        ("@4 :| @4 |: @8 :| @16 :|", [0, 0, 2, 2, 4, 5, 4, 5]),
        ("@4 |: @8 |: @12 :|", [0, 2, 4, 4, 5]),
        (":| @16 |:", [0, 2, 4, 5]),
        ("@8 :| @8 :|", [0, 2, 0, 2, 4, 5]),
        ("@4 [1 @8 [2 @12 ||", [0, 2, 4, 5]),
        ("|: @4000 :|", [0, 2, 4, 5]),
    ],
)
def test_repeats_are_played_out_and_signs_without_sense_are_passed_over(marks: str, order: list[int]) -> None:
    assert played(f"metre: 4/4\nmarks: {marks}\nC4:4 D4:4 E4:4 F4:4") == order


@given(
    marks=st.lists(st.tuples(st.integers(0, 34), st.sampled_from(SIGNS)), max_size=12), pickup=st.sampled_from([0, 480])
)
def test_whatever_the_signs_every_note_is_heard_once_or_twice_and_the_signs_are_gone(
    marks: list[tuple[int, str]], pickup: int
) -> None:
    notes = tuple(Note(480 * place, 480, 40 + place) for place in range(32))
    signs = tuple(Mark(480 * start, sign) for start, sign in marks)
    piece = unfold(Piece((Part(notes),), (Metre(0, 4, 4),), pickup=pickup, marks=signs))
    heard = Counter(note.pitch for note in piece.parts[0].notes)
    assert set(heard) == {note.pitch for note in notes} and set(heard.values()) <= {1, 2}
    assert piece.parts[0].is_voice() and not piece.marks
    assert unfold(piece) == piece


def test_metre_key_tempo_and_fermatas_are_repeated_with_their_notes() -> None:
    text = "key: C major @4 G major\nmetre: 4/4 @4 3/4\ntempo: 60 @4 90\nmarks: @7 :|\nC4:4 D4:3^ E4:3"
    piece = unfold(parse(text))
    assert [(key.start // TICKS, key.tonic) for key in piece.keys] == [(0, 0), (4, 7), (7, 0), (11, 7)]
    assert [(metre.start // TICKS, metre.beats) for metre in piece.metres] == [(0, 4), (4, 3), (7, 4), (11, 3)]
    assert [(tempo.start // TICKS, tempo.bpm) for tempo in piece.tempos] == [(0, 60), (4, 90), (7, 60), (11, 90)]
    assert [note.fermata for note in piece.parts[0].notes] == [False, True, False, True, False]


def test_a_repeat_with_an_upbeat_keeps_the_barlines() -> None:
    well = unfold(parse("metre: 3/4\npickup: 1\nmarks: |: @6 :|\nC4 D4:3 E4:2 F4 G4:3"))
    assert (well.metres, well.pickup) == ((Metre(0, 3, 4),), TICKS)
    badly = unfold(parse("metre: 3/4\npickup: 1\nmarks: |: @4 :|\nC4 D4:3 E4:3"))  # the last bar is not shortened
    assert [bar // TICKS for bar, _ in badly.bars()] == [0, 1, 4, 5, 8]


def test_a_note_held_over_a_repeat_sign_ends_where_the_music_jumps() -> None:
    assert [note[:2] for note in unfold(parse("marks: @4 :|\nC4:6")).parts[0].notes] == [(0, 1920), (1920, 2880)]


def test_repeats_are_heard_in_the_file() -> None:
    track = midi("metre: 2/4\nmarks: |: @2 :|\nC4:2 D4:2").tracks[1]
    assert [note.pitch for note in notes(track)] == [60, 60, 62]


def test_a_piece_without_notes_is_a_file_without_notes() -> None:
    assert [notes(track) for track in midi(Piece((Part(()),))).tracks] == [[], []]
