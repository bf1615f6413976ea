"""Melodies as ABC: music21 reads back what was written, and the text is what a person would write."""

from __future__ import annotations

import dataclasses
import random
from fractions import Fraction
from typing import Any

import music21
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.errors import DataError
from seqgen.scores.notation import parse
from seqgen.scores.piece import TICKS, Key, Metre, Note, Part, Piece
from seqgen.scores.pitches import sharps_of
from seqgen.scores.to_abc import write_abc

LENGTHS = (60, 80, 96, 120, 160, 160, 160, 180, 240, 240, 320, 360, 480, 480, 600, 720, 960, 1200, 7)


def abc(text: str) -> str:
    return write_abc(parse(text)).decode()


def body(text: str) -> str:
    """The lines behind the head."""
    return abc(text).partition("\nK:")[2].partition("\n")[2].strip()


def read_back(text: str) -> Any:
    return music21.converter.parse(text, format="abc", forceSource=True)


def heard(text: str) -> list[tuple[Fraction, Fraction, int]]:
    """Onset, length and pitch of each note that music21 finds, ties joined; in quarter notes."""
    joined: list[tuple[Fraction, Fraction, int]] = []
    for note in read_back(text).flatten().notes:
        start, length, pitch = Fraction(note.offset), Fraction(note.quarterLength), note.pitch.midi
        if note.tie and note.tie.type != "start" and joined and joined[-1][2] == pitch:
            start, length = joined[-1][0], joined.pop()[1] + length
        joined.append((start, length, pitch))
    return joined


def written(piece: Piece) -> list[tuple[Fraction, Fraction, int]]:
    notes = piece.parts[0].notes
    return [(Fraction(note.start, TICKS), Fraction(note.duration, TICKS), note.pitch) for note in notes]


def melody(seed: int, count: int) -> Piece:
    """Notes, rests and runs of triplets in any metre and key, with or without an upbeat."""
    generator = random.Random(seed)
    clock, notes = 0, []
    for _ in range(count):
        length = generator.choice(LENGTHS)
        for _ in range(3 if length in (80, 160, 320) and generator.random() < 0.8 else 1):
            if generator.random() < 0.9:
                notes.append(Note(clock, length, generator.randrange(40, 90), fermata=generator.random() < 0.1))
            clock += length
    metre = generator.choice([Metre(0, 4, 4), Metre(0, 3, 4), Metre(0, 6, 8), Metre(0, 2, 2), Metre(0, 5, 8)])
    key = (Key(0, generator.randrange(12), generator.random() < 0.5),) if generator.random() < 0.9 else ()
    pickup = generator.choice([0, metre.bar // metre.beats])
    return Piece((Part(tuple(notes) or (Note(0, 480, 60),)),), (metre,), key, pickup=pickup)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 25))
def test_music21_reads_every_note_back(seed: int, count: int) -> None:
    piece = melody(seed, count)
    found, wanted = heard(write_abc(piece).decode()), written(piece)
    assert [pitch for *_, pitch in found] == [pitch for *_, pitch in wanted]
    times = [(float(start), float(length)) for start, length, _ in found]
    assert times == [
        pytest.approx((start / TICKS, length / TICKS), abs=1e-4) for start, length, *_ in piece.parts[0].notes
    ]


def test_the_head_says_what_is_known() -> None:
    head = abc("title: Up 100%\nkey: F# minor\nmetre: 6/8\ntempo: 90\nC4").split("\n")[:7]
    assert head == ["%abc-2.1", "X:1", "T:Up 100\\%", "L:1/8", "M:6/8", "Q:1/4=90", "K:F#m"]
    unknown = abc("C4")
    assert "Q:" not in unknown and "\nT:\n" in unknown and "\nK:none\n" in unknown


@pytest.mark.parametrize("minor", [False, True])
@pytest.mark.parametrize("tonic", range(12))
def test_every_key_and_its_chromatic_scale_come_back(tonic: int, minor: bool) -> None:
    key = Key(0, tonic, minor)
    piece = Piece((Part(tuple(Note(240 * place, 240, 55 + place) for place in range(24))),), keys=(key,))
    text = write_abc(piece).decode()
    found = read_back(text).flatten().getElementsByClass(music21.key.Key).first()
    assert (found.sharps, found.mode, found.tonic.pitchClass) == (sharps_of(key), "minor" if minor else "major", tonic)
    assert heard(text) == written(piece)


def test_notes_of_the_key_have_no_accidental_and_cancelled_ones_are_written() -> None:
    assert body("key: Eb major\nEb4 Bb4 E4 Eb4") == "E2 B2 =E2 _E2 |]"
    assert body("key: G major\nF#4 F4 F#4 F4 F#4") == "F2 =F2 ^F2 =F2 | F2 z6 |]"


def test_an_accidental_holds_to_the_barline_and_is_written_again_in_another_octave() -> None:
    assert body("C#4 C#4 C#5 C5 C#4 C4") == "^C2 C2 ^c2 =c2 | ^C2 =C2 z4 |]"
    assert body("C#4 C5 C4:2") == "^C2 =c2 =C4 |]"


def test_octaves_are_commas_and_small_letters() -> None:
    assert body("C2 C3 C4 B4 C5 B5 C6 C7") == "C,,2 C,2 C2 B2 | c2 b2 c'2 c''2 |]"


def test_triplets_are_marked_and_other_lengths_are_fractions() -> None:
    assert body("C4:1/3 D4:1/3 E4:1/3 C4:2/3 D4:1/3 r:1/3 D4:2/3 E4") == "(3CDE (3:2:2C2D (3:2:2zD2 E2 |]"
    assert body("C4:1/6 C4:1/6 C4:1/6 C4:0.5 C4:3") == "(3C/C/C/C C6 |]"
    assert body("C4:0.2 D4:0.8 E4:3") == "C2/5D8/5 E6 |]"


def test_notes_are_beamed_by_the_beat() -> None:
    assert body("metre: 6/8\n" + "C4:0.5 " * 6) == "CCC CCC |]"
    assert body("metre: 3/4\n" + "C4:0.5 " * 6) == "CC CC CC |]"
    assert body("metre: 6/8\npickup: 1\n" + "C4:0.5 " * 6) == "CC | CCC C |]"


def test_a_note_across_a_barline_is_tied_and_so_is_one_of_an_odd_length() -> None:
    assert body("C4:3 D4:2") == "C6 D2- | D2 z6 |]"
    assert body("C4:2.5 D4:1.5") == "C4- CD3 |]"


def test_a_fermata_stands_on_the_end_of_a_note() -> None:
    assert body("C4:3 D4:2^") == "C6 D2- | !fermata!D2 z6 |]"


def test_an_upbeat_is_a_short_bar_and_the_last_bar_is_shorter_by_it() -> None:
    text = "metre: 3/4\npickup: 1\nC4 D4:3 E4:2"
    assert body(text) == "C2 | D6 | E4 |]"
    measures = read_back(abc(text)).parts[0].getElementsByClass(music21.stream.Measure)
    assert [measure.duration.quarterLength for measure in measures] == [1, 3, 2]


def test_repeats_and_endings_are_signs() -> None:
    text = "metre: 2/4\nmarks: @0 |: @4 [1 @6 :| @6 [2 @8 || @10 |: @12 :|\nC4:2 D4:2 E4:2 F4:2 G4:2 A4:2"
    assert body(text) == "|:C4 | D4 |1 E4 :|2 F4 ||\nG4 |: A4 :|"
    brackets = read_back(abc(text)).recurse().getElementsByClass(music21.spanner.RepeatBracket)
    assert [bracket.number for bracket in brackets] == ["1", "2"]
    assert body("metre: 2/4\nmarks: :| @2 :| @2 |:\nC4:2 D4:2") == "C4 :: D4 |]"
    assert body("marks: @4 :| @4 [2\n" + "C4:4 " * 5) == "C8 :|2 C8 | C8 | C8 |\nC8 |]"


def test_a_repeat_within_a_bar_stands_there() -> None:
    assert (
        body("metre: 3/4\npickup: 1\nmarks: |: @6 :| @6 |:\nC4 D4:3 E4:2 C4 F4:3 G4:2")
        == "|:C2 | D6 | E4 :: C2 | F6 | G4 |]"
    )


def test_there_are_four_bars_on_a_line_and_an_upbeat_is_none() -> None:
    lines = body("metre: 2/4\npickup: 1\nC4 " + "C4:2 " * 8).split("\n")
    assert [line.count("|") for line in lines] == [5, 4]
    assert body("marks: @16 |:\n" + "C4:4 " * 5) == "C8 | C8 | C8 | C8 |\n|:C8 |]"


def test_changes_of_metre_key_and_tempo_come_at_barlines() -> None:
    text = "key: C major @5 Bb major\nmetre: 2/4 @8 3/4\ntempo: 60 @4 90\nC4:2 D4:2 Bb4:2 Bb4:2 Eb4:3"
    assert body(text) == "C4 | D4 |\nQ:1/4=90\n_B4 |\nK:Bb\nB4 |\nM:3/4\nE6 |]"
    assert [pitch for *_, pitch in heard(abc(text))] == [60, 62, 70, 70, 63]


def test_a_title_of_several_lines_stays_one_line() -> None:
    piece = dataclasses.replace(parse("C4"), title="a\nK:Eb\x00b")
    assert "T:a K:Eb b\n" in write_abc(piece).decode()


@pytest.mark.parametrize(
    ("text", "what"),
    [("C4+E4", "at once"), ("C4:2 @1 D4", "at once"), ("A: C4\nB: D4", "2 parts"), ("A (drums): C4", "no drums")],
)
def test_what_is_no_single_voice_is_refused_with_what_to_write_instead(text: str, what: str) -> None:
    with pytest.raises(DataError, match=what) as error:
        abc(text)
    assert ".mid" in str(error.value.hint)


def test_a_piece_without_notes_is_refused() -> None:
    with pytest.raises(DataError, match="no notes"):
        write_abc(Piece((Part(()),)))
