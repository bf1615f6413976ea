"""What can be set in a session: read, refused, written as it can be typed, and set back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.errors import UsageError
from seqgen.session.settings import OF_CHATTING, OF_WRITING, Setting, find_setting, written
from tests.rehearsal import SEEDS, Play

ALL = {**OF_WRITING, **OF_CHATTING}
TYPED: dict[str, list[tuple[str, Any, str]]] = {
    "temperature": [("0.5", (0.5, None), "0.5"), ("0.5..1.25", (0.5, 1.25), "0.5..1.25"), ("1e0", (1.0, None), "1.0")],
    "top-k": [("40", 40, "40")],
    "top-p": [("0.9", 0.9, "0.9")],
    "min-p": [(".05", 0.05, "0.05")],
    "repetition-penalty": [("1.1", 1.1, "1.1")],
    "no-repeat": [("4", 4, "4")],
    "length": [("9", 9, "9")],
    "count": [("2", 2, "2")],
    "min-length": [("3", 3, "3")],
    "until": [("line", "line", "line"), ("document", "document", "document")],
    "stop": [("a b", ("a b",), '"a b"'), ('"a" " b"', ("a", " b"), '"a" " b"'), ('"\\n"', ("\n",), '"\\n"')],
    "ban": [("e", ("e",), '"e"'), ('"é"', ("é",), '"é"')],
    "prefer": [("ou", ("ou",), '"ou"')],
    "recall": [("off", False, "off"), ("on", True, "on")],
    "precision": [("float32", "float32", "float32"), ("auto", "auto", "auto")],
    "bars": [("4", 4, "4")],
    "key": [("C major", "C major", "C major")],
    "metre": [("4/4", "4/4", "4/4")],
    "range": [("C3-C6", "C3-C6", "C3-C6")],
    "tempo": [("90.5", 90.5, "90.5")],
    "program": [("19", 19, "19")],
    "transpose": [("-2", -2, "-2")],
    "soundfont": [("some where.sf2", Path("some where.sf2"), "some where.sf2")],
    "random-seed": [("99", 99, "99")],
    "beam": [("8", 8, "8")],
    "start": [("In the", "In the", "In the")],
}
REFUSED: dict[str, list[str]] = {
    "temperature": ["x", "-1", "nan", "inf", "0.5..", "..1", "1e999", "0.5..-1"],
    "top-k": ["0", "x", "1.5", "-1", "9" * 5000],
    "top-p": ["0", "1.01", "x", "-inf"],
    "min-p": ["-0.1", "1.01", "x"],
    "repetition-penalty": ["0.5", "x", "nan"],
    "no-repeat": ["0", "1", "x"],
    "length": ["-1", "x", "1.5"],
    "count": ["0", "101", "x"],
    "min-length": ["-1", "x", "13"],
    "until": ["noon", "LINE"],
    "stop": ['""', '"a', '"a" b', '"a" 1', "[" * 9 + '"', '"a" ' + "[" * 100_000][:4],
    "ban": ['""', '"a'],
    "prefer": ['""', '"a'],
    "recall": ["yes", "True"],
    "precision": ["int4"],
    "bars": ["0", "x"],
    "key": ["Q", "C#  major minor"],
    "metre": ["3", "0/4", "x"],
    "range": ["C3", "C6-C3", "x-y"],
    "tempo": ["x", "nan"],
    "program": ["128", "-1"],
    "transpose": ["128", "x"],
    "soundfont": [],
    "random-seed": ["-1", "x", "1" + "0" * 99],
    "beam": ["0", "65"],
    "start": [],
}


def player_of(name: str) -> str:
    """A model for which a setting has a meaning."""
    if name in OF_CHATTING and name not in OF_WRITING:
        return "replies"
    return "voices" if ALL[name].matter == "music" else "text"


def test_the_tables_here_are_whole() -> None:
    assert set(TYPED) == set(REFUSED) == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_a_value_is_read_shown_as_it_can_be_typed_and_set_back(models: Path, name: str) -> None:
    play = Play(models, player_of(name))
    usual = play.session.value(name)
    for typed, value, shown in TYPED[name]:
        play.hear(f"/set {name} {typed}")
        assert play.session.value(name) == shown
        if name == "random-seed":
            assert play.scene.random_seed == value
            continue
        assert play.scene.values[name] == value
        play.hear(f"/set {name} {shown}")
        assert play.scene.values[name] == value, "what is shown means what was typed"
        play.hear(f"/set {name} default")
        assert name not in play.scene.values
        if name != "length":
            assert play.session.value(name) == usual


@pytest.mark.parametrize(("name", "typed"), [(name, typed) for name in ALL for typed in REFUSED[name]], ids=str)
def test_a_value_that_cannot_be_meant_is_refused_by_name(models: Path, name: str, typed: str) -> None:
    play = Play(models, player_of(name))
    error = play.refusal(f"/set {name} {typed}")
    assert isinstance(error, UsageError)
    words = f"{error.what} {error.hint}"
    if "range of pitches" not in words and name not in ("metre", "key", "ban", "prefer", "stop"):
        assert name in words, words


@pytest.mark.parametrize("name", SEEDS)
def test_all_that_can_be_set_is_told(models: Path, name: str) -> None:
    play = Play(models, name).hear("/set")
    lines = play.stage.told.splitlines()
    assert [line.split()[0] for line in lines] == list(play.session.player.settings)
    assert any(line.split()[:2] == ["length", "12"] for line in lines)
    one = Play(models, name).hear("/set top-p")
    assert one.stage.told in lines and len(one.stage.told.splitlines()) == 1


def test_a_setting_of_another_kind_of_model_has_no_meaning(models: Path) -> None:
    for kind in ("text", "melody", "replies"):
        play = Play(models, kind)
        for name in ALL:
            if name not in play.session.player.settings:
                assert "has no meaning for this model" in play.refusal(f"/set {name} 1").what


@pytest.mark.parametrize("typed", ["temperature", "temp", "t", "--temperature", "--temp"])
def test_names_may_be_those_of_the_command_line(typed: str) -> None:
    assert find_setting(OF_WRITING, typed) == "temperature"
    assert find_setting(OF_WRITING, "min_length") == find_setting(OF_WRITING, "--min-length") == "min-length"


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("/temp 0.5", "temperature", (0.5, None)),
        ("/top-p 0.5", "top-p", 0.5),
        ("/length 5", "length", 5),
        ("/count 5", "count", 5),
    ],
)
def test_some_settings_have_a_command(models: Path, line: str, name: str, value: object) -> None:
    play = Play(models, "text", line)
    assert play.scene.values[name] == value
    play.stage.seen.clear()
    play.hear(line.split()[0])
    assert play.stage.told == play.session.about_setting(name)
    play.hear(f"{line.split()[0]} default")
    assert name not in play.scene.values


def test_settings_that_cannot_be_meant_together_are_refused(models: Path) -> None:
    play = Play(models, "text", "/temp 0.5..1.2")
    assert isinstance(play.refusal("/length default"), UsageError)
    play.hear("/temp default", "/length default")
    assert isinstance(play.refusal("/temp 0.5..1.2"), UsageError)


def test_two_temperatures_have_two_dots_between_them(models: Path) -> None:
    Play(models, "text").refusal("/temp 0.5...1")


def test_a_new_random_seed_is_recorded_as_what_it_is(models: Path) -> None:
    play = Play(models, "text", "/set random-seed default")
    assert play.session.record[-1] == f"/set random-seed {play.scene.random_seed}"


@given(st.floats(allow_nan=False, allow_infinity=False), st.none() | st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_written_so_that_it_is_read_again(first: float, last: float | None) -> None:
    setting: Setting = OF_WRITING["temperature"]
    assert setting.read(written((first, last))) == (first, last)
    assert OF_WRITING["top-p"].read(written(first)) == first


@given(st.lists(st.text(max_size=9), min_size=1, max_size=4).map(tuple))
def test_all_texts_are_written_so_that_they_are_read_again(texts: tuple[str, ...]) -> None:
    assert OF_WRITING["stop"].read(written(texts)) == texts
