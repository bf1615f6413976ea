"""Where a session is shown: pictures that grow in place, and Ctrl-C as a wish that is looked at."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import click
import pytest

from seqgen.cli import stages
from seqgen.cli.stages import Interrupts, Terminal, summary
from seqgen.session.scene import About, Choice, Passage, Picture
from tests.screen import Screen

Shown = Callable[[], list[str]]
DONE = Passage("", "text", random_seed=3, stopped_by="length")


@pytest.fixture(autouse=True)
def _command() -> Iterator[None]:
    with click.Context(click.Command("repl")):
        yield


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "10")
    return Terminal(Interrupts(), colour=True)


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> Shown:
    """What is on the screen by now."""
    screen = Screen(40)

    def look() -> list[str]:
        screen.send(capsys.readouterr().out)
        return [line for line in screen.lines if line]

    return look


def picture(*parts: str) -> Picture:
    return lambda width, colour: list(parts)


def test_a_picture_grows_in_its_place(terminal: Terminal, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "REDRAWN", 0.0)
    terminal.begin("", None)
    for text in ("one\n  two", "ONE\n  two\nthree", "1"):
        terminal.grow("", picture("long past", text))
        assert shown() == [line.rstrip() for line in text.split("\n")], "the latest part alone"
    terminal.end(DONE, picture("first", "second"))
    assert shown() == ["first", "second", "ended by length, random seed 3"], "and all of it at the end"


def test_a_picture_is_not_drawn_more_often_than_one_can_see(terminal: Terminal, shown: Shown) -> None:
    terminal.begin("", None)
    for number in range(20):
        terminal.grow("", picture(f"roll {number}"))
    assert shown() == ["roll 0"]


def test_the_first_picture_does_not_wait(terminal: Terminal, shown: Shown) -> None:
    terminal.begin("", None)
    terminal.grow("", picture())
    terminal.grow("", picture("roll"))
    assert shown() == ["roll"]


def test_a_picture_that_is_higher_than_the_screen_is_drawn_below(
    terminal: Terminal, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "REDRAWN", 0.0)
    high = "\n".join("abcdefghijkl")
    terminal.begin("", None)
    terminal.grow("", picture(high))
    terminal.grow("", picture("z"))
    assert shown() == [*"abcdefghijkl", "z"]


def test_what_is_given_stands_out_and_what_is_written_follows(terminal: Terminal, shown: Shown) -> None:
    terminal.begin("the \x1b[2J", 2)
    terminal.grow("fo\x07x", picture())
    terminal.end(DONE, picture())
    assert shown() == ["2", "the \\x1b[2Jfo\\x07x", "ended by length, random seed 3"]


def test_code_is_painted_as_files_of_its_ending_are(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.enter(About("it", "code", ".py", False))
    terminal.begin("return", None)
    terminal.grow(" 12", picture())
    assert "\x1b[35mreturn" in (out := capsys.readouterr().out) and "\x1b[36m12" in out


def test_without_colours_nothing_is_painted(capsys: pytest.CaptureFixture[str]) -> None:
    plain = Terminal(Interrupts(), colour=False)
    plain.enter(About("it", "code", ".py", False))
    plain.begin("return", 1)
    plain.grow(" 12", picture())
    plain.offer((Choice("a", DONE, "50.0%", True), Choice("b", DONE)))
    plain.end(DONE, picture())
    assert "\x1b" not in capsys.readouterr().out


def test_choices_are_numbered_and_said_to_be_taken_by_number(terminal: Terminal, shown: Shown) -> None:
    terminal.offer((Choice("a\n", DONE, "50.0%", True), Choice("Yes.", DONE, "-0.50")))
    lines = shown()
    assert lines[0].startswith("1  ") and "50.0%" in lines[0] and lines[1].startswith("2  Yes.")
    assert "a number takes one" in lines[2] and len(lines) == 3
    terminal.offer(())
    assert shown() == lines


@pytest.mark.parametrize(
    ("stopped_by", "random_seed", "words"),
    [
        ("length", 5, "ended by length, random seed 5"),
        ("interrupt", 5, "interrupted, random seed 5"),
        (None, 5, "random seed 5"),
        ("document", None, "ended by document"),
    ],
)
def test_it_is_said_how_an_answer_ended_and_what_repeats_it(
    stopped_by: str | None, random_seed: int | None, words: str
) -> None:
    assert summary(Passage("", "", random_seed=random_seed, stopped_by=stopped_by)) == words


# Interrupts


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def has_heard(interrupts: Interrupts) -> bool:
    return interrupts.heard


def test_a_ctrl_c_is_a_wish_while_a_line_is_done_and_the_second_an_exception() -> None:
    interrupts = Interrupts()
    with interrupts.listening():
        with interrupts.working():
            assert not has_heard(interrupts)
            press()
            assert has_heard(interrupts)
            with pytest.raises(KeyboardInterrupt):
                press()
        with interrupts.working():
            assert not has_heard(interrupts), "each line begins anew"


def test_between_lines_a_ctrl_c_has_no_effect() -> None:
    interrupts = Interrupts()
    with interrupts.listening():
        press()
        press()
        with interrupts.working():
            assert not interrupts.heard
        press()
    with pytest.raises(KeyboardInterrupt):  # and afterwards it is what it was
        press()


def test_an_error_leaves_nothing_behind() -> None:
    interrupts = Interrupts()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="x"), interrupts.listening(), interrupts.working():
        raise ValueError("x")
    assert signal.getsignal(signal.SIGINT) == before
