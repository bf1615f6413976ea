"""Piano rolls: that every part is seen in them, in pictures and in terminals of any size."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.collections import PathCollection
from matplotlib.image import imread

from seqgen.scores.notation import parse
from seqgen.scores.piece import Metre, Note, Part, Piece
from seqgen.scores.text_rolls import text_roll
from seqgen.scores.to_png import COLORS, write_png

PICTURE = Path("roll.png")
QUARTET = """
title: Cost: $5 to $6
key: G minor
metre: 4/4
pickup: 1
tempo: 90
Soprano: G4 A4 Bb4 C5 D5^ | D5 D5 D5 r
Alto: D4 F4 G4 F4 F4^ | F4:2 F4 r
Tenor: Bb3 C4 D4 C4 Bb3^ | Bb3:4
Bass: G3 F3 Eb3 F3 Bb2^ | Bb2:4
"""
BEAT = "Bass (program 33): A2:0.5 A2:0.5 r A2 C3\nKit (drums): 36+42 42 38+42 46"
ANSI = re.compile(r"\x1b\[[\d;]*m")


def whole_notes(bars: int) -> Piece:
    return Piece((Part(tuple(Note(1920 * bar, 1920, 60 + bar % 12) for bar in range(bars))),), (Metre(0, 4, 4),))


def drawn(piece: Piece) -> Any:
    """The picture's pixels, shape (rows, columns, 3), from 0 to 255."""
    PICTURE.write_bytes(write_png(piece))
    return np.round(255 * imread(PICTURE)[..., :3]).astype(int)


def pixels_of(picture: Any, color: str) -> Any:
    """Where a colour is."""
    wanted = [int(color[place : place + 2], 16) for place in (1, 3, 5)]
    return (picture == wanted).all(axis=2)


def figure_of(piece: Piece, monkeypatch: pytest.MonkeyPatch) -> Any:
    figures = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, *_, **__: figures.append(figure))
    PICTURE.write_bytes(write_png(piece))
    return figures[0]


def labels_of(figure: Any) -> list[str]:
    return [label.get_text() for axes in figure.axes for label in axes.get_yticklabels()]


def numbers_of(figure: Any) -> list[list[str]]:
    """The bar numbers on each row."""
    return [[text.get_text() for text in axes.texts] for axes in figure.axes]


def seen(text: str) -> list[str]:
    return ANSI.sub("", text).split("\n")


def test_every_part_is_seen_in_its_colour() -> None:
    picture = drawn(parse(QUARTET))
    assert [bool(pixels_of(picture, color).sum() > 500) for color in COLORS[:5]] == [True] * 4 + [False]


def test_a_part_that_doubles_another_is_not_hidden() -> None:
    picture = drawn(parse("A: C4:4\nB: C4:4\nC: C5"))
    together = pixels_of(picture, COLORS[0]).any(axis=0) & pixels_of(picture, COLORS[1]).any(axis=0)
    assert together.sum() > 500


def test_repeated_notes_are_apart_and_rests_are_gaps() -> None:
    for text, runs in (("C4 C4 C4 C4", 4), ("C4:4", 1), ("C4 r C4 r", 2)):
        columns = pixels_of(drawn(parse(text)), COLORS[0]).any(axis=0)
        assert (np.diff(columns.astype(int)) == 1).sum() == runs


def test_bars_are_numbered_after_the_pickup(monkeypatch: pytest.MonkeyPatch) -> None:
    assert numbers_of(figure_of(parse(QUARTET), monkeypatch)) == [["1", "2"]]


def test_title_key_metre_and_tempo_stand_above(monkeypatch: pytest.MonkeyPatch) -> None:
    heading = figure_of(parse(QUARTET), monkeypatch).get_suptitle()
    assert heading == "Cost: $5 to $6  ·  G minor  ·  4/4  ·  90 quarter notes a minute"


def test_octaves_and_drums_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert labels_of(figure_of(parse(BEAT), monkeypatch)) == [
        "bass drum",
        "snare",
        "closed hi-hat",
        "open hi-hat",
        "C3",
    ]


def test_a_fermata_is_drawn_over_each_held_note(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, held in (("C4 D4^ E4^", 2), ("C4 D4 E4", 0)):
        (axes,) = figure_of(parse(text), monkeypatch).axes
        points = [each for each in axes.collections if isinstance(each, PathCollection)]
        assert [len(np.asarray(each.get_offsets())) for each in points] == [held, held][:held]


@pytest.mark.parametrize(("bars", "rows", "most"), [(1, 1, 1), (10, 1, 10), (11, 2, 6), (40, 5, 8), (400, 12, 34)])
def test_long_pieces_go_on_in_further_rows(bars: int, rows: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = numbers_of(figure_of(whole_notes(bars), monkeypatch))
    assert len(numbers) == rows
    shown = [int(number) for row in numbers for number in row]
    assert shown == (list(range(1, bars + 1)) if most <= 20 else sorted(set(shown)))
    assert max(len(row) for row in numbers) <= min(most, 20)


@pytest.mark.parametrize(
    "piece",
    [
        Piece(()),
        Piece((Part(()),)),
        Piece((Part((Note(0, 1, 0),)),)),
        Piece((Part((Note(0, 480, 0), Note(480, 480, 127))),)),
        Piece((Part((Note(0, 1_000_000, 60),)),)),
        Piece(tuple(Part((Note(0, 480, 40 + part),), "_" * part) for part in range(20))),
        parse("Kit (drums): 36 38 99"),
    ],
)
def test_every_piece_can_be_drawn(piece: Piece) -> None:
    PICTURE.write_bytes(write_png(piece))
    assert PICTURE.read_bytes().startswith(b"\x89PNG")
    for colour in (False, True):
        assert_fits(text_roll(piece, 60, 20, colour), 60, 20)


def assert_fits(text: str, width: int, height: int) -> None:
    lines = seen(text)
    assert max(map(len, lines)) <= width
    assert len(lines) <= height


def test_letters_show_who_sings_what_and_where_it_begins() -> None:
    text = text_roll(parse("Soprano: E4:2 F4 F4\nAlto: C4:1.5 r:0.5 D4:2"), 60, 20, colour=False)
    assert text.split("\n") == [
        "     1",
        "  F4 │                Sssssss Ssssssss│",
        "     │Ssssssssssssssss                │",
        "     │                                │",
        "     │                Aaaaaaaaaaaaaaaa│",
        "     │                                │",
        "  C4 │Aaaaaaaaaaaa                    │",
        "S Soprano  A Alto",
    ]


def test_parts_whose_names_begin_alike_are_numbered() -> None:
    text = text_roll(parse("Violin: E5:2\nViola: C4:2\nr: C3"), 60, 30, colour=False)
    assert "1---" in text and "2---" in text and text.endswith("1 Violin  2 Viola  3 r")


def test_colours_are_two_semitones_a_line() -> None:
    text = text_roll(parse("A: E5:4\nB: D#5:4"), 24, 20, colour=True)
    assert "\x1b[38;5;33m" in text and "\x1b[38;5;208m" in text
    assert seen(text) == ["     1", "  E5 │▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄│", "  D5 │▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀│", "■ A  ■ B"]
    assert text_roll(parse("A: C#5:4\nB: C5:4"), 24, 20, colour=True).count("\x1b[38;5;33m\x1b[48;5;208m▀") == 1


def test_without_colour_there_are_no_codes() -> None:
    for piece in (parse(QUARTET), parse(BEAT)):
        assert "\x1b" not in text_roll(piece, 80, 24, colour=False)
        assert "\x1b" in text_roll(piece, 80, 24, colour=True)


def test_a_line_ends_as_plain_text() -> None:
    lines = text_roll(parse(QUARTET), 80, 24, colour=True).split("\n")
    assert all(ANSI.findall(line)[-1] == "\x1b[0m" for line in lines if "\x1b" in line)


def test_of_a_long_piece_the_beginning_is_shown() -> None:
    first, *_, last = text_roll(whole_notes(100), 50, 24, colour=False).split("\n")
    assert first.split() == ["1", "2", "3", "4"] and last == "… 96 bars more"
    assert text_roll(whole_notes(5), 50, 24, colour=False).endswith("\n… 1 bar more")
    assert "more" not in text_roll(whole_notes(4), 50, 24, colour=False)


def test_a_note_goes_on_behind_the_barline() -> None:
    line = text_roll(parse("C4:8"), 50, 24, colour=False).split("\n")[1]
    assert line == f"  C4 │1{'-' * 15}│{'-' * 16}│"


def test_drums_have_lines_with_names() -> None:
    lines = text_roll(parse(BEAT), 80, 24, colour=False).split("\n")
    assert [line.split(" │")[0].strip() for line in lines[-5:-1]] == [
        "open hi-hat",
        "closed hi-hat",
        "snare",
        "bass drum",
    ]
    assert [line.count("K") for line in lines[-5:-1]] == [1, 3, 1, 1]


def test_drums_that_have_no_line_share_one() -> None:
    kit = "Kit (drums): " + " ".join(str(drum) for drum in range(35, 60))
    lines = text_roll(parse(kit), 120, 12, colour=False).split("\n")
    assert_fits("\n".join(lines), 120, 12)
    assert sum(line.count("K") for line in lines[:-1]) == 25
    assert [line.strip()[:11] for line in lines[:-1]].count("other drums") == 1


@given(
    notes=st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 9000), st.integers(0, 127)), max_size=12),
    size=st.tuples(st.integers(20, 120), st.integers(8, 50)),
    kinds=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    metre=st.sampled_from([(4, 4), (3, 8), (99, 1), (1, 32)]),
)
@settings(max_examples=100)
def test_a_text_roll_fits_every_terminal(
    notes: list[tuple[int, int, int]],
    size: tuple[int, int],
    kinds: tuple[bool, bool, bool],
    metre: tuple[int, int],
) -> None:
    colour, drums, pickup = kinds
    first = Part(tuple(sorted(Note(*note) for note in notes)), "A long name of a part that goes on")
    second = Part(first.notes[::2], drums=drums)
    piece = Piece((first, second), (Metre(0, *metre),), pickup=45 if pickup else 0)
    assert_fits(text_roll(piece, *size, colour), *size)


def test_the_name_of_a_part_does_not_drive_the_terminal() -> None:
    piece = Piece((Part((Note(0, 480, 60),), "a\x1b[2J\u202e\rb"),))
    assert text_roll(piece, 80, 24, colour=False).endswith(" a\\x1b[2J\\u202e b")
