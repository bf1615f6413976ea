"""How voices move: what is counted as a fault, and what is none."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.scores.notation import parse
from seqgen.scores.piece import TICKS, Note, Part, Piece
from seqgen.scores.voiceleading import Faults, find_faults, share_of_chords, voices_of


def faults(*voices: str) -> Faults:
    """Of voices in the text form, the highest first."""
    found = find_faults(score(*voices))
    assert found is not None
    return found


def score(*voices: str) -> Piece:
    return parse("\n".join(f"Voice {number}: {voice}" for number, voice in enumerate(voices)))


def test_two_voices_a_fifth_apart_that_both_rise_are_a_parallel_fifth() -> None:
    assert faults("G4 A4", "C4 D4") == Faults(fifths=1, octaves=0, crossings=0, overlaps=0, leaps=0, notes=4)


def test_octaves_between_the_voices_do_not_hide_a_parallel() -> None:
    assert faults("G5 A4", "C3 D2").fifths == 1  # both fall: a fifth and two octaves, then the same
    assert faults("C5 D5 E5", "C4 D4 E3").octaves == 1  # the second: one rises while the other falls


def test_parallel_unisons_count_as_octaves() -> None:
    assert faults("C4 D4", "C4 D4").octaves == 1


@pytest.mark.parametrize(
    ("upper", "lower", "why"),
    [
        ("G4 G4", "C4 C4", "nobody moves"),
        ("G4 A4", "C4 C4", "one stays"),
        ("G4 D5", "C5 G4", "contrary motion"),
        ("G4 r A4", "C4 r D4", "a rest between"),
        ("G4^ A4", "C4 D4", "a fermata ends the phrase"),
        ("G4 A4", "C4 D4^", None),
        ("F#4 G4", "C4 C#4", "from diminished fifth to diminished fifth"),
        ("G4 A4:0.5 r:0.5", "C4:0.5 D4:1.5", "they do not move together"),
    ],
)
def test_only_a_move_of_both_voices_in_one_direction_is_parallel(upper: str, lower: str, why: str | None) -> None:
    assert faults(upper, lower).fifths == (0 if why else 1)


def test_a_fermata_in_any_voice_begins_a_phrase_for_all() -> None:
    assert faults("C5 C5", "G4 A4", "C4 D4").fifths == 1
    assert faults("C5^ C5", "G4 A4", "C4 D4").fifths == 0


def test_each_pair_of_voices_is_looked_at() -> None:
    # Soprano and tenor move in fifths, soprano and bass too, tenor and bass in octaves; the alto stays.
    assert faults("G4 A4", "E4 E4", "C4 D4", "C3 D3")[:2] == (2, 1)


def test_a_voice_below_the_next_lower_one_is_a_crossing_at_each_moment_that_a_note_begins() -> None:
    assert faults("C5 C4:2 C5", "G4 G4 G4 G4").crossings == 2
    assert faults("C5 G4 C5", "G4 G4 G4").crossings == 0  # a unison is none


def test_a_crossing_counts_for_the_notes_that_cross_alone() -> None:
    assert faults("C6 C6 C6", "E4:2 C5", "G4:2 C4").crossings == 1  # what the first voice does meanwhile is no matter
    assert faults("C4 r C5", "G3 D4 G3").crossings == 0  # C4 has ended when D4 begins


def test_a_move_beyond_where_the_neighbour_just_was_is_an_overlap() -> None:
    assert faults("E5 F4 E5", "G4 D4 D4").overlaps == 1  # F4 is below the G4 that the lower voice leaves
    assert faults("G4 D5", "C4 A4").overlaps == 1  # A4 is above the G4 that the upper voice leaves
    assert faults("E5 G4 E5", "G4 D4 D4").overlaps == 0  # just where it was


def test_a_crossing_is_not_an_overlap_too() -> None:
    found = faults("E5 F4 E5:2", "G4 A4 C4 C4")
    assert (found.crossings, found.overlaps) == (1, 0)


def test_voices_that_come_back_from_a_crossing_do_not_overlap() -> None:
    found = faults("C4 E4 G5", "G4 D4 C4")
    assert (found.crossings, found.overlaps) == (1, 0)


def test_a_leap_of_more_than_an_octave_counts_and_an_octave_does_not() -> None:
    assert faults("C5 C6 C5 C#6 r C4", "C4:6").leaps == 1  # what follows a rest is not a leap


def test_voices_are_ordered_by_height_not_by_the_order_of_the_parts() -> None:
    assert faults("C4 C4 C4", "C5 D5 E5").crossings == 0


def test_chords_and_drums_are_no_voices() -> None:
    piece = parse("Tune: C5 D5\nChords: C4+E4+G4 D4\nKit (drums): 36 38\nBass: C3 D3")
    assert [part.name for part in voices_of(piece)] == ["Tune", "Bass"]
    assert find_faults(parse("Tune: C5 D5\nChords: C4+E4 D4")) is None
    assert find_faults(Piece(())) is None


def test_triads_and_sevenths_in_any_inversion_are_chords() -> None:
    assert share_of_chords(score("C5", "G4", "E4")) == 1
    assert share_of_chords(score("C5", "F4", "D4", "A3")) == 1  # a minor seventh chord upon its fifth
    assert share_of_chords(score("C5 D5", "G4 G4", "E4 E4")) == 0.5  # D is in no chord with E and G alone


def test_moments_with_fewer_than_three_voices_are_not_asked_for_chords() -> None:
    assert share_of_chords(score("C5 C5", "G4 G4", "E4 r")) == 1
    assert share_of_chords(score("C5", "G4")) is None
    assert share_of_chords(score("C5 r r", "r G4 r", "r r E4")) is None


PITCHES = st.lists(st.integers(48, 72), min_size=4, max_size=4)


@given(st.lists(PITCHES, min_size=2, max_size=4), st.integers(-12, 12))
def test_faults_do_not_depend_on_the_transposition(voices: list[list[int]], semitones: int) -> None:
    parts = [Part(tuple(Note(TICKS * at, TICKS, pitch) for at, pitch in enumerate(voice))) for voice in voices]
    piece = Piece(tuple(parts))
    assert find_faults(piece.transposed(semitones)) == find_faults(piece)
    backwards = dataclasses.replace(piece, parts=piece.parts[::-1])
    found, other = find_faults(piece), find_faults(backwards)
    assert found and other and (found.fifths, found.octaves) == (other.fifths, other.octaves)
