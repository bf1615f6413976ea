"""What is measured of music: each value worked out by hand."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.scores.measures import (
    FAULTS,
    HIGHER,
    MEASURES,
    Figure,
    average,
    compare,
    degrees_of,
    describe,
    empty_beats,
    final_tonic,
    groove_consistency,
    intervals_of,
    is_stuck,
    measure,
    notes_per_bar,
    overlap,
    pitch_range,
    polyphony,
    repeated_bars,
    scale_consistency,
    sonorities,
    stuck,
)
from seqgen.scores.notation import parse
from seqgen.scores.piece import TICKS, Note, Part, Piece

SCALE = "C4 D4 E4 F4 G4 A4 B4 C5"
DRUMS = "Kit (drums): 36 38"


def only_drums() -> Piece:
    return parse(DRUMS)


def test_degrees_are_above_the_tonic_of_the_key() -> None:
    assert degrees_of(parse("key: G major\nVoice: G4 A4 F#4 D4")) == [0, 2, 11, 7]


def test_degrees_follow_a_change_of_key() -> None:
    assert degrees_of(parse("key: C major @2 G major\nVoice: C4 G4 G4 A4")) == [0, 7, 0, 2]


def test_without_a_key_the_one_that_fits_best_is_taken() -> None:
    assert degrees_of(parse("D4:4 E4 F#4 G4 A4:4 B4 C#5 D5:4")) == [0, 2, 4, 5, 7, 9, 11, 0]


def test_steps_are_those_of_single_voices() -> None:
    assert intervals_of(parse("Tune: C4 D4 r A3\nChords: C4+E4 D4 G4\nBass: C3 C3")) == [2, -5, 0]


def test_scale_consistency_is_the_largest_share_of_notes_in_a_scale() -> None:
    assert scale_consistency(parse(SCALE)) == 1
    assert scale_consistency(parse(f"{SCALE} C#4 D#4")) == 0.8
    assert scale_consistency(parse("A3 B3 C4 D4 E4 F4 G4 A4")) == 1  # natural minor


def test_groove_consistency_is_the_share_of_places_that_agree_in_successive_bars() -> None:
    assert groove_consistency(parse("C4 C4 C4 C4 D4 D4 D4 D4")) == 1
    # Places 0, 4, 8 and 12, then 0 and 8: two of 16 differ; then none differs.
    assert groove_consistency(parse("C4 C4 C4 C4 C4:2 C4:2 C4:2 C4:2")) == pytest.approx((14 / 16 + 1) / 2)


def test_groove_is_compared_only_between_bars_of_one_length() -> None:
    assert groove_consistency(parse("pickup: 1\nVoice: C4 C4:4 C4:4")) == 1
    assert groove_consistency(parse("metre: 4/4 @4 3/4\nVoice: C4 C4 C4 C4 C4:3 C4:3")) == 1
    assert groove_consistency(parse("C4:4")) is None


def test_drums_are_part_of_the_groove_and_of_no_pitch() -> None:
    piece = parse("Voice: C4:4 C4:4\nKit (drums): r 36:7")
    assert groove_consistency(piece) == 15 / 16
    assert pitch_range(piece) == 0
    assert pitch_range(only_drums()) is None


def test_polyphony_counts_the_notes_at_once_while_any_sounds() -> None:
    assert polyphony(parse("C4+E4+G4:2 r:4 C4:2")) == 2  # 3 for two quarters, 1 for two quarters
    assert polyphony(only_drums()) is None


def test_empty_beats_are_quarters_without_a_sounding_note() -> None:
    assert empty_beats(parse("C4:0.5 r:0.5 r C4:2 r:3 C4")) == 0.5  # beats 2, 5, 6 and 7 of 8
    assert empty_beats(parse("C4:4")) == 0


def test_beats_stand_in_step_with_the_bars() -> None:
    # After an upbeat of half a quarter: beats from 0.5, 1.5 and 2.5 on, and the second is empty.
    assert empty_beats(parse("pickup: 0.5\nVoice: C4:0.5 C4 r C4")) == pytest.approx(1 / 3)


def test_a_bar_repeats_when_its_melody_has_stood_before() -> None:
    piece = parse("C4 D4 E4 C4 | G4:4 | C4 D4 E4 C4 | C4 D4 E4:2 | G4:4")
    assert repeated_bars(piece) == pytest.approx(2 / 5)
    assert repeated_bars(parse("Tune: C4:4 D4:4\nBass: C3:4 C3:4")) == 0  # the first part alone
    assert repeated_bars(parse("C4:4 r:8 C4:4")) == 0.5  # empty bars are none
    assert repeated_bars(only_drums()) is None


def test_stuck_is_the_longest_time_with_one_chord_held_or_repeated() -> None:
    assert stuck(parse("C4 D4:2 E4")) == 2
    assert stuck(parse("C4 D4 D4 D4:0.5 E4")) == 2.5
    assert stuck(parse("C4+E4 C4+E4 C4+E4 C4+F4")) == 3
    assert stuck(Piece(())) == 0


def test_a_short_rest_keeps_a_chord_and_a_long_one_does_not() -> None:
    assert stuck(parse("C4:0.5 r:0.5 C4:0.5 r:0.5 C4:0.5")) == 2.5
    assert stuck(parse("C4 r C4")) == 3
    assert stuck(parse("C4 r:1.5 C4")) == 1


def test_a_voice_that_moves_beside_a_held_one_is_not_stuck() -> None:
    assert stuck(parse("Upper: C5 D5 E5 F5\nLower: C4:4")) == 1
    assert stuck(parse("Upper: C5 C5 C5 C5\nLower: C4:4")) == 4


def test_more_than_two_bars_of_one_note_are_stuck() -> None:
    assert is_stuck(parse("C4:4 C4:4 D4")) == 0
    assert is_stuck(parse("C4:4 C4:4 C4:0.5")) == 1
    assert is_stuck(parse("metre: 2/4\nVoice: C4:4.5")) == 1


def test_the_end_is_on_the_tonic_when_the_last_lowest_note_is() -> None:
    key = "key: G major"
    assert final_tonic(parse(f"{key}\nUpper: D5 B4\nLower: D3 G3")) == 1
    assert final_tonic(parse(f"{key}\nUpper: D5 G4\nLower: D3 B3")) == 0
    assert final_tonic(parse(f"{key}\nLower: D3 G3\nUpper: D5 B4")) == 1  # by height, not by order
    assert final_tonic(parse(f"{key}\nVoice: D4 G4+B4+D5")) == 1  # the lowest note of the chord
    assert final_tonic(only_drums()) is None


def test_notes_per_bar_counts_all_parts_and_the_pickup_as_a_bar() -> None:
    assert notes_per_bar(parse("pickup: 1\nUpper: C4 C4 C4 C4:2\nLower: C3 C3:4")) == 3
    assert notes_per_bar(Piece(())) is None


def test_pitch_range_is_in_semitones() -> None:
    assert pitch_range(parse("Upper: C5 D5\nLower: C4 G4")) == 14


def test_a_sonority_ends_wherever_a_note_begins_or_ends() -> None:
    piece = parse("Upper: C5 r C5\nLower: C4:0.5 D4:0.5")
    half = TICKS // 2
    assert list(sonorities(piece)) == [
        (0, half, frozenset({60, 72})),
        (half, TICKS, frozenset({62, 72})),
        (2 * TICKS, 3 * TICKS, frozenset({72})),
    ]


def test_two_voices_on_one_note_sound_until_the_second_ends() -> None:
    assert [stop for _, stop, _ in sonorities(parse("Upper: C4:2\nLower: C4"))] == [TICKS, 2 * TICKS]


def test_an_overlap_is_what_two_histograms_share() -> None:
    assert overlap({0: 0.5, 7: 0.5}, {0: 0.25, 4: 0.75}) == 0.25
    assert overlap({0: 1.0}, {0: 1.0}) == 1
    assert overlap({0: 1.0}, {1: 1.0}) == 0
    assert overlap({}, {0: 1.0}) is None


def test_each_piece_counts_as_much_in_a_histogram_however_long_it_is() -> None:
    profile = describe([parse("key: C major\nVoice: C4"), parse("key: C major\nVoice: G4:2 G4:2 G4:2"), only_drums()])
    assert profile.degrees == {0: 0.5, 7: 0.5}
    assert profile.lengths == {TICKS: 0.5, 2 * TICKS: 0.5}
    assert profile.pieces == 3


def test_a_mean_comes_with_its_standard_error() -> None:
    figure = average("some", "notes", [1.0, 3.0])
    assert figure.value == 2 and figure.error == pytest.approx(1)  # deviation 2**0.5, over 2**0.5
    assert average("some", "notes", [2.0])[2:4] == (2, None)
    assert average("some", "notes", [])[2:4] == (None, None)


def test_comparing_gives_overlaps_first_and_then_each_measure_once() -> None:
    one, other = describe([parse("key: C major\nVoice: C4 G4")]), describe([parse("key: C major\nVoice: C4 E4")])
    figures = compare(one, other)
    assert figures[0] == Figure("pitch classes in common", "share", 0.5, None, HIGHER)
    assert figures[1].value == 1
    assert figures[2].value == 0  # up a fifth, and up a third
    assert [figure.name for figure in figures[3:]] == [*(one.name for one in MEASURES), *FAULTS]
    values = {figure.name: figure.value for figure in figures}
    assert values["pitch range"] == 7
    assert values["parallel fifths"] is None  # there are no two voices


def test_faults_of_voices_are_given_per_hundred_notes() -> None:
    assert measure(parse("Upper: G4 A4\nLower: C4 D4"))["parallel fifths"] == 25  # one in four notes


def test_nothing_can_be_said_of_pieces_without_notes() -> None:
    for pieces in ([], [Piece(())], [Piece((Part(()),))]):
        figures = compare(describe(pieces), describe(pieces))
        assert {figure.value for figure in figures if figure.name not in ("longest held", "stuck over two bars")} == {
            None
        }


NOTES = st.lists(
    st.builds(
        Note,
        st.integers(0, 12).map(lambda at: at * 120),
        st.integers(1, 6).map(lambda at: at * 120),
        st.integers(40, 80),
    ),
    min_size=1,
    max_size=12,
)


@given(st.lists(NOTES, min_size=1, max_size=3), st.integers(-12, 12))
def test_measures_do_not_depend_on_the_transposition(parts: list[list[Note]], semitones: int) -> None:
    piece = Piece(tuple(Part(tuple(sorted(notes))) for notes in parts), keys=parse("key: C major\nV: C4").keys)
    values, moved = measure(piece), measure(piece.transposed(semitones))
    assert moved == pytest.approx(values)
    shares = [values[one.name] for one in MEASURES if one.unit == "share" and one.name in values]
    assert all(0 <= share <= 1 for share in shares)
    assert overlap(describe([piece]).degrees, describe([piece.transposed(semitones)]).degrees) == pytest.approx(1)


def test_a_key_that_the_notes_do_not_follow_shows_in_the_overlap() -> None:
    real = parse("key: C major\nVoice: C4 E4 G4 C5")
    wrong = dataclasses.replace(real, keys=(real.keys[0]._replace(tonic=2),))
    assert overlap(describe([wrong]).degrees, describe([real]).degrees) == 0
