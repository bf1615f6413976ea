"""Code that is coloured while it is written: whatever pieces it comes in, it ends up on the screen as it is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seqgen.cli import painting
from seqgen.cli.painting import Painter, find_lexer, styled_rest, visible_length
from tests.screen import Screen

CODE = '''import os  # of the system


@decorated
class Box(Base):
    """A box.

    Of wood.
    """

    def open(self, lid=None, *rest):
        if lid is not None and 12.5 < len(rest):
            return [f"{one!r:>5}" for one in rest], 'it''s', 0x1f
\tprint("tabs", end="\\n")
        raise ValueError("unfinished
x = """
still
'''
LEXER = find_lexer(".py")
assert LEXER is not None
WIDE = 200
"""Columns that every line here fits."""


def painted(pieces: list[str], width: int) -> Screen:
    """What is on a screen of so many columns at the end."""
    painter, screen = Painter(LEXER, width), Screen(width)
    for piece in pieces:
        screen.send(painter.add(piece))
    return screen


def expected(text: str) -> list[str]:
    return [line.rstrip(" ") for line in text.split("\n")]


def cut(text: str, places: list[int]) -> list[str]:
    """A text in pieces."""
    return [text[first:last] for first, last in itertools.pairwise([0, *sorted(places), len(text)])]


def cuts(text: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.integers(0, len(text)), max_size=12).map(lambda places: cut(text, places))


ALPHABET = st.sampled_from([*" \n\t'\"#:=()[]{}.,\\@_09abefir", "é", "\u4e2d", "\U0001f98a", "e\u0301"])
WORDS = st.sampled_from(["def ", "class ", "import ", "return", "None", '"""', "'''", "# ", "f'", "    ", "not ", "\n"])
TEXTS = st.lists(ALPHABET | WORDS, max_size=60).map("".join)
PIECES = TEXTS.flatmap(cuts)
WIDTHS = st.sampled_from([WIDE, 40, 11, 8])


@given(PIECES, WIDTHS)
@example(list(CODE), 20)
@example(list(CODE), WIDE)
@example(["if", "\n", "x" * 30, " = None"], 10)
@example(["\u4e2d" * 8, "'", "a'"], 11)
@settings(max_examples=300)
def test_the_text_is_on_the_screen_whatever_pieces_it_comes_in(pieces: list[str], width: int) -> None:
    assert painted(pieces, width).lines == expected("".join(pieces))


@given(cuts(CODE), st.sampled_from([WIDE, 30, 12]))
def test_real_code_is_on_the_screen_whatever_pieces_it_comes_in(pieces: list[str], width: int) -> None:
    assert painted(pieces, width).lines == expected(CODE)


ENDED = "".join(line for line in CODE.splitlines(True) if not any(part in line for part in ('"""', "unfinished", "\t")))
"""Without what reaches over the end of its line, and tabs."""


@given(cuts(ENDED))
@example(list(ENDED))
def test_colours_are_those_of_the_whole_whatever_pieces_it_comes_in(pieces: list[str]) -> None:
    whole = painted([ENDED], WIDE)
    assert painted(pieces, WIDE).colours == whole.colours
    assert len({colour for line in whole.colours for _, colour in line}) > 5


@pytest.mark.parametrize(
    ("text", "colour"),
    [("if", "35"), ("None", "35"), ("not", "35"), ("12", "36"), ("'a'", "32"), ("# a", "2"), ("len", "36"), ("a", "")],
)
def test_what_it_is_has_its_colour(text: str, colour: str) -> None:
    ((*cells,),) = painted([text], WIDE).colours
    assert {found for _, found in cells} == {colour}


def test_a_word_becomes_a_keyword_with_its_last_letter_and_none_with_one_more() -> None:
    assert painted([*"whil"], WIDE).colours[0][0][1] == ""
    assert painted([*"while"], WIDE).colours[0][0][1] == "35"
    assert painted([*"whiles"], WIDE).colours[0][0][1] == ""


def test_a_docstring_has_its_colour_in_all_its_lines() -> None:
    text = '"""One.\n\nTwo.\n"""\n'
    assert {colour for line in painted([*text], WIDE).colours[1:3] for _, colour in line} == {"32"}


def test_of_a_line_that_does_not_fit_what_is_there_stays() -> None:
    screen = painted(["x" * 18 + " non", "e" + "local"], 20)
    assert screen.lines == ["x" * 18 + " nonelocal"]
    sent = Painter(LEXER, 20)
    assert "\r" not in sent.add("y" * 30) + sent.add(" 'a") + sent.add("'")


def test_a_line_that_is_indented_by_tabs_is_painted_like_others() -> None:
    assert painted([*"\treturn x\n"], WIDE).colours == painted(["\treturn x\n"], WIDE).colours


def test_nothing_is_sent_twice_where_nothing_turns_into_something_else() -> None:
    painter = Painter(LEXER, WIDE)
    for letter in "a = b + c(d)\n":
        assert "\r" not in painter.add(letter)


@pytest.mark.parametrize("blank_lines", [True, False])
def test_what_is_long_past_is_forgotten_and_the_screen_stays_right(
    monkeypatch: pytest.MonkeyPatch, blank_lines: bool
) -> None:
    monkeypatch.setattr(painting, "REREAD", 60)
    text = "".join(f"def f{number}(a):\n    return 'a{number}'\n{chr(10) * 2 * blank_lines}" for number in range(30))
    painter, screen, so_far = Painter(LEXER, WIDE), Screen(WIDE), ""
    for letter in text:
        screen.send(painter.add(letter))
        so_far += letter
        assert screen.lines[-1] == expected(so_far)[-1], "not even for a moment is it something else"
        assert len(painter._text) <= 4 * 60
    assert screen.lines == expected(text)
    assert screen.colours == painted([text], WIDE).colours


def test_one_endless_line_is_painted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painting, "REREAD", 60)
    text = "x = [" + "'a', 12, " * 30
    assert painted([*text], 30).lines == expected(text)


def test_of_an_endless_line_the_beginning_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(painting, "REREAD", 60)
    painter = Painter(LEXER, WIDE)
    for _ in range(60):
        painter.add("'a', 12, ")
    assert len(painter._text) <= 4 * 60


@given(st.lists(st.tuples(st.sampled_from(["", "\x1b[35m", "\x1b[2m"]), st.text("abc é", min_size=1, max_size=5))))
def test_a_rest_keeps_its_colours(parts: list[tuple[str, str]]) -> None:
    styled = "".join(f"{code}{text}\x1b[0m" if code else text for code, text in parts)
    plain = "".join(text for _, text in parts)
    assert visible_length(styled) == len(plain)
    whole = Screen(WIDE)
    whole.send(styled)
    for skipped in range(len(plain)):
        rest = Screen(WIDE)
        rest.send(styled_rest(styled, skipped))
        assert rest._cells[0] == whole._cells[0][skipped:]
    assert styled_rest(styled, len(plain)) == ""


@pytest.mark.parametrize(
    ("ending", "name"), [(".py", "Python"), (".c", "C"), (".js", "JavaScript"), ("", None), (".no-such-thing", None)]
)
def test_the_ending_of_its_files_says_which_language_it_is(ending: str, name: str | None) -> None:
    lexer = find_lexer(ending)
    assert (None if lexer is None else lexer.name) == name
