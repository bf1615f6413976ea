"""The text form of a piece: everything comes back, and what is none is refused with its place."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.errors import DataError
from seqgen.scores.notation import parse, parse_length, parse_metre, write, write_length
from seqgen.scores.piece import TICKS, Key, Mark, Metre, Note, Part, Piece, Tempo
from tests.pieces import any_pieces, bare, chorale, grid_pieces

REFUSED = [
    "", " \n", "r r:2", "# only a comment", "H9", "C4:-1", "C4:0", "C4:0/4", "C4:1/0", "C4:", "C4:x", "C4:1:1", "C4+", "+C4",
    "C4+H4", "C4++E4", "C4v", "C4v128", "C4^^", "C4^v80", "C10", "128", "C4:1/99999", "C4:100001", "C4 @-1 D4", "C4 @ D4",
    "C4 @x", "C4 @100001", "@100000 C4", "C4,D4", "C4|D4", "C4:1.2.3", "key: H minor\nC4", "metre: 3/5\nC4",
    "metre: 0/4\nC4", "metre: 100/4\nC4", "metre: 3/4 @x 4/4\nC4", "tempo: fast\nC4", "tempo: nan\nC4", "tempo: 0\nC4",
    "tempo: 2001\nC4", "pickup: x\nC4", "pickup: -1\nC4", "marks: ||:\nC4", "Piano (program 128): C4",
]  # fmt: skip
ABSURD = {
    "pitch": "9" * 5000,
    "velocity": f"C4v{'9' * 5000}",
    "length": f"C4:{'9' * 5000}",
    "program": f"Piano (program {'9' * 5000}): C4",
    "time": "@1e999999999 C4",
    "short": "@1e-999999999 C4",
    "pickup": "pickup: 1e999999999\nC4",
    "metre": f"metre: {'9' * 5000}/4\nC4",
    "tempo": f"tempo: {'9' * 5000}\nC4",
}


def notes(text: str) -> list[tuple[float, float, int]]:
    """Start and length in quarter notes, and pitch, of the notes of the first part."""
    return [(start / TICKS, length / TICKS, pitch) for start, length, pitch in bare(parse(text))[0]]


@given(any_pieces(), st.booleans())
def test_a_piece_comes_back_from_its_text(piece: Piece, barlines: bool) -> None:
    assert parse(write(piece, barlines)) == piece


@given(grid_pieces(), st.booleans())
def test_a_piece_on_a_grid_comes_back_from_its_text(piece: Piece, barlines: bool) -> None:
    assert parse(write(piece, barlines)) == piece


def test_a_text_is_what_it_always_was() -> None:
    text = (
        "title: Étude\nkey: F major\nmetre: 4/4 @5 3/4\npickup: 1\ntempo: 72.5\nmarks: :|\n"
        "Soprano: Bb4 | A4 C5+F5:0.5v80 r:0.5 C#4:1/3 r:5/3 | Bb4:2^\npart 2 (program 12): C3 | D3 @1 E3:6\n"
    )
    assert write(parse(text)) == text
    assert write(parse(text), barlines=False) == text.replace(" |", "")


def test_items_follow_each_other_and_barlines_take_no_time() -> None:
    assert notes("C4 | r:0.5 D4:1/3 |: F#3:2 [1 60 :|") == [(0, 1, 60), (1.5, 1 / 3, 62), (1.5 + 1 / 3, 2, 54),
                                                             (3.5 + 1 / 3, 1, 60)]  # fmt: skip


def test_a_chord_begins_at_once_and_its_pitches_are_told_once() -> None:
    assert notes("G4+C4+E4+C4:2 D4") == [(0, 2, 60), (0, 2, 64), (0, 2, 67), (2, 1, 62)]


def test_a_time_moves_the_clock_to_and_fro() -> None:
    assert notes("C4:4 @1 E4 @6 G4 A4") == [(0, 4, 60), (1, 1, 64), (6, 1, 67), (7, 1, 69)]


def test_velocity_and_fermata_stand_behind_a_note() -> None:
    assert parse("C4:2v80^ D4v1 E4^").parts[0].notes == (
        Note(0, 960, 60, 80, True), Note(960, 480, 62, 1), Note(1440, 480, 64, 0, True),
    )  # fmt: skip


def test_lines_say_what_they_are() -> None:
    piece = parse("# a comment\nKEY: G minor @4 D\nMetre: 3/4 @3 2/4\n\npickup: 1/2\ntempo: 90 @2 60.5\nmarks: |: @3 :|\n"
                  "title: A: b (c)\nSopran: C4\nPiano (program 12): C3+E3\n: D4\nKit (drums): 36\n")  # fmt: skip
    assert piece == Piece(
        (Part((Note(0, 480, 60),), "Sopran"), Part((Note(0, 480, 48), Note(0, 480, 52)), "Piano", 12),
         Part((Note(0, 480, 62),)), Part((Note(0, 480, 36),), "Kit", drums=True)),
        (Metre(0, 3, 4), Metre(1440, 2, 4)), (Key(0, 7, True), Key(1920, 2, False)), (Tempo(0, 90.0), Tempo(960, 60.5)),
        240, (Mark(0, "|:"), Mark(1440, ":|")), "A: b (c)",
    )  # fmt: skip


def test_a_part_may_be_called_like_something_else_of_a_piece() -> None:
    for name in ("Title", "key", "part 7", "", " ", "a: b", "x (drums)", "# y", "two\nlines", "\u2028"):
        piece = Piece((Part((Note(0, 480, 60),), name), Part((Note(0, 480, 62),), "other")))
        assert bare(parse(write(piece))) == bare(piece)
        assert not parse(write(piece)).parts[0].drums


@pytest.mark.parametrize("title", ["two\nlines", "a\x0cb", "a\u2028b", "a\x85C4", " # x ", "\n"])
def test_a_title_is_one_line(title: str) -> None:
    piece = dataclasses.replace(chorale(0), title=title)
    again = parse(write(piece))
    assert again.parts == piece.parts
    assert again.title == " ".join(title.split())


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_piece_is_refused(text: str) -> None:
    with pytest.raises(DataError) as error:
        parse(text)
    assert error.value.hint or "from " in error.value.what or "longer" in error.value.what or error.value.where


@pytest.mark.parametrize("text", ABSURD.values(), ids=ABSURD)
def test_an_absurd_number_is_refused_at_once(text: str) -> None:
    with pytest.raises(DataError):
        parse(text)


def test_a_refusal_names_line_and_item() -> None:
    with pytest.raises(DataError, match=r"item 2, 'H9'") as error:
        parse("Soprano: C4\nBass: C3 H9 D3")
    assert error.value.where == "line 2"
    with pytest.raises(DataError, match="below 0") as error:
        parse("C4:-1")
    assert error.value.where == "line 1"


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("CDEFG4:+^@v|.r/ \n"), max_size=40))
def test_any_text_is_a_piece_or_refused(text: str) -> None:
    try:
        piece = parse(text)
    except DataError:
        return
    assert parse(write(piece)).parts


@given(st.integers(1, 100_000))
def test_a_length_comes_back(ticks: int) -> None:
    assert parse_length(write_length(ticks)) == ticks


def test_lengths_are_short_where_they_can_be() -> None:
    assert [write_length(ticks) for ticks in (480, 240, 720, 160, 12, 1920)] == ["1", "0.5", "1.5", "1/3", "1/40", "4"]


@pytest.mark.parametrize("text", ["4/4", "3/4", "6/8", "12/16", "2/2", "1/1", " 3/4 "])
def test_a_metre_is_read_as_it_is_written(text: str) -> None:
    assert str(parse_metre(text)) == text.strip()


@pytest.mark.parametrize("text", ["", "4", "4/3", "0/4", "00/4", "٠/4", "4/4/4", "-3/4", "3 /4", "4/64", "C"])
def test_what_is_no_metre_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="is not a metre"):
        parse_metre(text)
