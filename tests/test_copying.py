"""Passages of training pieces are found in a piece, and nothing else is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.scores.copying import NGRAM, Copies, Passages, Source, average_copies, sort_suffixes
from seqgen.scores.notation import parse
from seqgen.scores.piece import TICKS, Note, Part, Piece

TUNE = "C4 D4:0.5 E4:0.5 F4 G4 | A4 G4 F4:2 | E4:0.5 D4:0.5 C4:3"
CHORALE = "title: One\nUpper: E4 F4 G4:2 A4 B4 C5:2\nLower: C4:2 B3 C4 F3 G3 C3:2"


def find(piece: str, *training: str) -> Copies:
    return Passages([parse(text) for text in training]).find(parse(piece))


def test_a_copy_in_another_key_is_found_whole() -> None:
    copies = Passages([parse(TUNE)]).find(parse(TUNE).transposed(5))
    assert copies.melody == (11, 12.0, 0, 1, Source(0, "", 0, 1), 0.0)
    assert copies.share == 1


def test_a_passage_ends_where_the_first_interval_or_length_or_gap_differs() -> None:
    for last in ("A4", "G4:2", "r G4", "G4:0.5"):
        copies = find(f"C4 D4 E4 F4 {last}", "C4 D4 E4 F4 G4")
        assert copies.melody is not None and copies.melody.notes == 4, last


def test_the_first_note_of_a_passage_must_be_as_long_too() -> None:
    copies = find("C4:0.5 D4 E4 G4", "C4 D4 E4 G4")
    assert copies.melody is not None and copies.melody.notes == 3


def test_it_says_where_a_passage_stands_on_both_sides() -> None:
    training = ["title: Other\nVoice: C4 C4", "title: Source\npickup: 1\nBass: C3:9\nVoice: F4 | E4:4 | D4 F#4 Bb4 A4"]
    copies = find("C4:4 | C4:3 C4 | G4 B4 Eb5 D5", *training)
    assert copies.melody == (4, 4.0, 0, 3, Source(1, "Source", 1, 2), 8.0)


def test_of_many_places_the_first_is_named() -> None:
    piece = "C4 D4 F4"
    copies = find(
        piece, "title: No\nVoice: C4 C#4", f"title: First\nVoice: E4:4 {piece}", f"title: Second\nVoice: {piece}"
    )
    assert copies.melody is not None and copies.melody.source == Source(1, "First", 0, 2)


def test_a_passage_does_not_run_from_one_part_into_the_next() -> None:
    copies = find("C4 D4 E4 F4", "Upper: C4 D4\nLower: E4 F4", "E4 F4")
    assert copies.melody is not None and copies.melody.notes == 2


def test_one_note_is_no_passage() -> None:
    assert find("C4 D4", "C4 E4") == Copies(None, None, None, 1)
    assert find("C4", "C4").melody is None


def test_drums_are_not_copied() -> None:
    beat = "Kit (drums): 36 38 36 38"
    assert find(beat, beat) == Copies(None, None, None, 0)


def test_without_training_pieces_nothing_is_known() -> None:
    assert Passages([]).find(parse(TUNE)) == Copies(None, None, 0.0, 1)


def test_the_share_counts_passages_of_eight_notes() -> None:
    eight = "C4 D4 E4 F4 G4 A4 B4 C5"
    assert find(f"{eight} F#5", eight).share == 0.5  # of two such passages, one is known
    assert find("C4 D4 E4 F4 G4 A4 B4", eight).share is None
    # Two parts: one passage and two, of which one and none are known.
    assert find(f"Upper: {eight}\nLower: {'C4:2 ' * (NGRAM + 1)}", eight).share == pytest.approx(1 / 3)


def test_a_copied_texture_has_all_voices_in_one_transposition() -> None:
    training, piece = parse(CHORALE), parse(CHORALE).transposed(-3)
    copies = Passages([training]).find(piece)
    assert copies.texture == (7, 8.0, 0, 1, Source(0, "One", 0, 1), 0.0)
    upper, lower = training.parts
    apart = Piece((upper, Piece((lower,)).transposed(-1).parts[0]))
    copies = Passages([training]).find(apart)
    assert copies.melody is not None and copies.melody.notes == 6  # each part alone is copied
    assert copies.texture is None


def test_a_texture_ends_where_one_voice_differs() -> None:
    copies = find(CHORALE.replace("B3 C4 F3", "B3 C4 D3"), CHORALE)
    # Sonorities begin at 0, 1, 2, 3, 4, 5 and 6; the one at 4 differs. The lower voice's note at 3 is the last.
    assert copies.texture is not None and (copies.texture.notes, copies.texture.quarters) == (4, 4.0)


def test_a_texture_is_as_long_as_all_its_voices_sound() -> None:
    copies = find("Upper: C5 D5 E5\nLower: C4 D4:2", "Upper: C5 D5 F5\nLower: C4 D4:2")
    assert copies.texture is not None and copies.texture.quarters == 2


def test_a_single_voice_has_no_texture() -> None:
    assert find(TUNE, TUNE).texture is None


def test_means_leave_out_what_has_no_meaning() -> None:
    alone = average_copies([find("C4 D4 E4", "C4 D4 E4"), find("C4 D4", "C4 E4")])
    assert [figure.value for figure in alone] == [1.5, None, None]
    together = average_copies([find(CHORALE, CHORALE), find(CHORALE, "C4")])
    assert [figure.value for figure in together] == [3.0, 4.0, None]


LINES = st.lists(st.integers(0, 2), min_size=1, max_size=40)


def line(pitches: list[int]) -> Piece:
    return Piece((Part(tuple(Note(TICKS * at, TICKS, 60 + pitch) for at, pitch in enumerate(pitches))),))


def longest(pitches: list[int], training: list[list[int]]) -> int:
    """The slow way: all passages of all lines."""
    steps = np.diff(pitches).tolist()
    others = [np.diff(other).tolist() for other in training]
    lengths = [0]
    for other, first, place in product(range(len(others)), range(len(steps)), range(40)):
        size = 0
        while steps[first + size : first + size + 1] == others[other][place + size : place + size + 1] != []:
            size += 1
        lengths.append(size)
    return max(lengths)


@given(LINES, st.lists(LINES, max_size=3))
def test_the_longest_passage_is_what_the_slow_way_finds(pitches: list[int], training: list[list[int]]) -> None:
    copies = Passages([line(other) for other in training]).find(line(pitches))
    steps = longest(pitches, training)
    assert (copies.melody.notes if copies.melody else 1) == steps + 1


@given(LINES)
def test_suffixes_are_sorted_as_lists_are(words: list[int]) -> None:
    order = sort_suffixes(np.array(words, dtype=np.int64)).tolist()
    assert order == sorted(range(len(words)), key=lambda at: words[at:])


def test_a_long_passage_is_found_as_well_as_a_short_one() -> None:
    pitches = np.random.default_rng(1).integers(0, 12, 500).tolist()
    copies = Passages([line(pitches)]).find(line([0, *pitches[100:450], 30]))
    assert copies.melody is not None
    assert copies.melody.notes == 350 and copies.melody.source.bar == 26  # note 100 is the first of the 26th bar
