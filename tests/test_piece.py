"""A piece as plain data: bars, stretches and transposition."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.scores.piece import TICKS, Key, Mark, Metre, Note, Part, Piece, Tempo
from tests.pieces import any_pieces, bare, chorale


def line(*pitches: int, **about: object) -> Piece:
    """A quarter note of each pitch."""
    notes = tuple(Note(place * TICKS, TICKS, pitch) for place, pitch in enumerate(pitches))
    return dataclasses.replace(Piece((Part(notes),)), **about)  # type: ignore[arg-type]


def in_quarters(piece: Piece) -> list[tuple[float, float]]:
    return [(start / TICKS, end / TICKS) for start, end in piece.bars()]


@given(any_pieces())
def test_bars_cover_a_piece_without_a_gap(piece: Piece) -> None:
    bars = [*piece.bars()]
    assert bars[0][0] == 0
    assert all(start < end for start, end in bars)
    assert all(first[1] == second[0] for first, second in itertools.pairwise(bars))
    assert bars[-1][0] < piece.end <= bars[-1][1]


@given(any_pieces())
def test_each_change_of_metre_begins_a_bar(piece: Piece) -> None:
    starts = {start for start, _ in piece.bars()}
    assert {metre.start for metre in piece.metres if metre.start < piece.end} <= starts


def test_a_bar_is_four_quarters_where_no_metre_is_known() -> None:
    assert in_quarters(line(60, 62, 64, 65, 67)) == [(0, 4), (4, 8)]


def test_a_pickup_is_a_short_first_bar() -> None:
    piece = line(60, 62, 64, 65, 67, metres=(Metre(0, 3, 4),), pickup=TICKS)
    assert in_quarters(piece) == [(0, 1), (1, 4), (4, 7)]


def test_a_metre_changes_the_bars_from_its_place_on() -> None:
    piece = line(*[60] * 8, metres=(Metre(0, 3, 4), Metre(3 * TICKS, 2, 4), Metre(6 * TICKS, 6, 8)))
    assert in_quarters(piece) == [(0, 3), (3, 5), (5, 6), (6, 9)]


@pytest.mark.parametrize(("beats", "unit", "quarters"), [(4, 4, 4), (6, 8, 3), (2, 2, 4), (5, 16, 1.25)])
def test_a_bar_of_a_metre_is_so_many_quarters(beats: int, unit: int, quarters: float) -> None:
    assert Metre(0, beats, unit).bar == quarters * TICKS


def test_a_piece_without_notes_has_no_bars_and_no_end() -> None:
    piece = Piece((Part(()),))
    assert ([*piece.bars()], piece.end, piece.notes) == ([], 0, 0)


def test_notes_at_once_or_overlapping_are_no_voice() -> None:
    assert Part((Note(0, 480, 60), Note(480, 480, 60))).is_voice()
    assert Part(()).is_voice()
    assert not Part((Note(0, 481, 60), Note(480, 480, 60))).is_voice()
    assert not Part((Note(0, 480, 60), Note(0, 480, 64))).is_voice()


def test_a_stretch_begins_at_0_and_holds_what_was_in_force() -> None:
    piece = line(
        *range(60, 72),
        metres=(Metre(0, 4, 4), Metre(8 * TICKS, 2, 4)),
        keys=(Key(0, 7, False), Key(4 * TICKS, 9, True)),
        tempos=(Tempo(0, 90.0), Tempo(5 * TICKS, 60.0)),
        pickup=TICKS,
        marks=(Mark(0, "|:"),),
    )
    middle = piece.between(4 * TICKS, 9 * TICKS)
    assert bare(middle) == [[(place * TICKS, TICKS, 64 + place) for place in range(5)]]
    assert middle.metres == (Metre(0, 4, 4), Metre(4 * TICKS, 2, 4))
    assert middle.keys == (Key(0, 9, True),)
    assert middle.tempos == (Tempo(0, 90.0), Tempo(TICKS, 60.0))
    assert (middle.pickup, middle.marks) == (0, ())
    assert piece.between(0, TICKS).pickup == TICKS


@given(any_pieces(), st.integers(0, 40))
def test_two_stretches_hold_every_note_once_and_the_first_ends_where_it_should(piece: Piece, quarters: int) -> None:
    cut = quarters * TICKS
    first, second = piece.between(0, cut), piece.between(cut, piece.end + 1)
    for part, before, after in zip(piece.parts, first.parts, second.parts, strict=True):
        assert [note._replace(duration=0) for note in part.notes] == [
            *(note._replace(duration=0) for note in before.notes),
            *(note._replace(duration=0, start=note.start + cut) for note in after.notes),
        ]
        lengths = [min(note.duration, cut - note.start) if note.start < cut else note.duration for note in part.notes]
        assert lengths == [note.duration for note in (*before.notes, *after.notes)]
    assert first.end <= cut


@given(st.integers(0, 40), st.integers(-12, 12))
def test_a_transposition_moves_notes_and_keys_and_nothing_else(seed: int, semitones: int) -> None:
    piece = chorale(seed)
    moved = piece.transposed(semitones)
    assert moved.transposed(-semitones) == piece
    assert [(note[0], note[1], note[2] - semitones) for note in moved.parts[3].notes] == bare(piece)[3]
    assert moved.keys[0].tonic == (piece.keys[0].tonic + semitones) % 12
    assert dataclasses.replace(moved, parts=piece.parts, keys=piece.keys) == piece


def test_drums_are_not_transposed() -> None:
    drums = Part((Note(0, TICKS, 127),), drums=True)
    piece = Piece((Part((Note(0, TICKS, 60),)), drums))
    assert piece.transposed(60).parts == (Part((Note(0, TICKS, 120),)), drums)


@pytest.mark.parametrize(("pitch", "semitones"), [(127, 1), (0, -1), (60, 68)])
def test_no_note_leaves_the_range_of_midi(pitch: int, semitones: int) -> None:
    with pytest.raises(ValueError, match="0 to 127"):
        line(pitch).transposed(semitones)
    assert line(pitch).transposed(-semitones if pitch != 60 else 67)
