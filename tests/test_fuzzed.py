"""What fuzzing has found (`benchmarks/fuzzing.py`): inputs that once crashed or held up a reader, and what they come to now."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqgen.errors import DataError, UsageError
from seqgen.recipe import LONGEST_SHOWN, Recipe, parse_assignment, read_recipe
from seqgen.replying import LONGEST_REPLY, ReplySettings
from seqgen.scores.from_sheets import MOST_IN_A_BAR
from tests.test_from_sheets import items, measure, note, read_abc, read_xml, refusal, xml

ENDLESS = "9" * 5000
"""More digits than Python reads or writes of an integer."""
NESTED = "[" * 3000 + "]" * 3000


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        (f"[model]\nhidden = {NESTED}", "nested too deep"),
        ("a = " + "{b = " * 1000 + "1" + "}" * 1000, "nested too deep"),
        (f"[model]\nhidden = {ENDLESS}", "cannot be read as a recipe: Exceeds the limit"),
        (f"[model]\nhidden = -{ENDLESS}", "cannot be read as a recipe: Exceeds the limit"),
        (f"[model]\nhidden = 0x{'f' * 5000}", "model.hidden=a number of thousands of digits is not of type int"),
        (f"[model]\ntied = 0b1{'0' * 20000}", "model.tied=a number of thousands of digits is not of type bool"),
        (f"[corpus]\ncolumns = [0x{'f' * 5000}]", "is not of type str"),
        (f"corpus = 0x{'f' * 5000}", "corpus=a number of thousands of digits is not a section"),
    ],
    ids=["list", "table", "digits", "negative", "hexadecimal", "binary", "column", "section"],
)
def test_a_recipe_of_absurd_values_is_refused(toml: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(toml, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        Recipe.from_dict(read_recipe(path))
    assert reason in caught.value.what
    assert caught.value.where == str(path)


def test_of_a_long_value_an_error_shows_the_beginning() -> None:
    with pytest.raises(UsageError) as caught:
        parse_assignment(f"model.hidden={ENDLESS}")
    assert caught.value.what == f"model.hidden='{'9' * (LONGEST_SHOWN - 1)}... is not of type int"


@pytest.mark.parametrize("alteration", ["1e999", "-1e999", "nan", "9" * 400])
def test_a_note_altered_beyond_all_pitches_is_left_out(alteration: str) -> None:
    altered = note("D4").replace("<octave>", f"<alter>{alteration}</alter><octave>")
    altered = altered.replace("<notations>", "<accidental>natural</accidental><notations>")
    piece = read_xml(xml(measure(1, note("C4"), altered, note("E4", 4))))
    assert items(piece.parts[0]) == "C4 r E4:2"


@pytest.mark.parametrize("tempo", ["Q:3/8=0", "Q:3/inf=100", "Q:0/8=100"])
def test_a_tempo_of_beats_without_a_length_says_nothing(tempo: str) -> None:
    piece = read_abc(f"X:1\nM:4/4\nL:1/4\n{tempo}\nK:C\nCDEF|")
    assert (items(piece.parts[0]), piece.tempos) == ("C4 D4 E4 F4", ())


@pytest.mark.parametrize("fifths", ["4294967296", "-999999999999999999999999999999"])
def test_a_key_of_more_sharps_than_there_are_is_refused_at_once(fifths: str) -> None:
    keyed = xml(measure(1, f"<attributes><key><fifths>{fifths}</fifths></key></attributes>", note("C4", 4)))
    with pytest.raises(DataError, match=r"a key of \d{10,12} sharps or flats"):
        read_xml(keyed)


@pytest.mark.parametrize(("metre", "beats"), [("1e999", 1999), ('6"B9d|1 {g', 691), ("  1 000", 1000)])
def test_beats_are_counted_as_music21_does_it(metre: str, beats: int) -> None:
    assert refusal(f"X:1\nM:{metre}/8\nL:1/4\nK:C\nC|".encode(), ".abc") == f"a metre of {beats} beats"


def test_a_metre_with_words_before_it_is_read() -> None:
    assert str(read_abc("X:1\nM: FREI4/4\nL:1/4\nK:C\nCDEF|").metres[0]) == "4/4"


@pytest.mark.parametrize("place", ["head", "tune"])
def test_a_bar_of_thousands_of_notes_is_refused_at_once(place: str) -> None:
    many = "a" * (MOST_IN_A_BAR + 1)
    head = f"L{many}\n" if place == "head" else ""
    tune = f"X:1\nM:4/4\nL:1/4\n{head}K:C\n{'' if head else many}|CDEF|"
    assert "notes between two barlines" in refusal(tune.encode(), ".abc")


def test_a_note_longer_than_any_piece_is_refused_before_music21_looks_for_its_metre() -> None:
    tune = "X:1\nM:6/8\nL:1/8\nK:C\nCDE|A,{}-A,3|"
    assert refusal(tune.format("999").encode(), ".abc") == "a note of 999 units of length"
    assert items(read_abc(tune.format("32")).parts[0]) == "C4:0.5 D4:0.5 E4:0.5 A3:17.5"


def test_a_reply_begins_with_no_more_than_a_reply_can_hold() -> None:
    with pytest.raises(UsageError, match="cannot begin with 401 characters"):
        ReplySettings(start="e" * (LONGEST_REPLY + 1))
    assert ReplySettings(start="e" * LONGEST_REPLY).start


def test_words_and_fields_among_notes_are_no_notes() -> None:
    words = "w: " + "cage " * MOST_IN_A_BAR
    assert items(read_abc(f"X:1\nM:4/4\nL:1/4\nK:C\nCDEF|\n{words}\n").parts[0]) == "C4 D4 E4 F4"


def test_a_drum_on_no_line_of_the_staff_is_a_damaged_score() -> None:
    struck = note("C4", 4).replace(
        "<pitch><step>C</step><octave>4</octave></pitch>", "<unpitched><display-step>s</display-step></unpitched>"
    )
    assert "unpitched" in struck
    with pytest.raises(DataError, match="damaged MusicXML"):
        read_xml(xml(measure(1, struck)))


def test_a_line_that_only_looks_like_a_field_is_music() -> None:
    """music21 reads it as notes, so its numbers are bounded like theirs."""
    assert "10 digits" in refusal(b'X:1\nL:1/8\nK:C\nf:"Am"e2A z4294967296|]\n', ".abc")
