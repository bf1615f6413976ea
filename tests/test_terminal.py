"""`seqgen repl` as it is typed, at a pseudo-terminal."""

from __future__ import annotations

import re
import signal
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rehearsal import make_models
from tests.terminals import ALT_ENTER, CTRL_C, CTRL_D, CTRL_R, ENTER, UP, Typed
from tests.untrained import untrained

pytest.importorskip("pty", reason="there are no pseudo-terminals on this system")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models to play with, and one that writes what would drive a terminal."""
    folder = tmp_path_factory.mktemp("terminal")
    make_models(folder)
    untrained(folder / "checkpoints" / "wild", ["\x1b[2J\x07\x9b\r\x08" * 9], ends=-9.0)
    return folder


def at_text(folder: Path, *options: str, **environment: str) -> Typed:
    """A session at its first prompt."""
    environment = {"SEQGEN_STATE": str(folder / "state"), "SEQGEN_CACHE": str(folder), **environment}
    typed = Typed("repl", "text", "--random-seed", "3", *options, folder=folder, environment=environment)
    typed.wait_for_prompt("text")
    return typed


@pytest.fixture(scope="module")
def at_terminal(folder: Path) -> Iterator[Typed]:
    """One session for many tests: each begins by loading its model."""
    with at_text(folder) as typed:
        yield typed


@pytest.fixture
def play(at_terminal: Typed) -> Typed:
    assert at_terminal.process.poll() is None, at_terminal.text[-500:]
    at_terminal.answer("/load text", "text")
    return at_terminal


def recorded(folder: Path, typed: Typed, prompt: str) -> list[str]:
    """The lines that the session has recorded."""
    typed.answer("/save session.txt --force", prompt)
    return (folder / "session.txt").read_text(encoding="utf-8").splitlines()


def test_a_seed_is_answered(play: Typed) -> None:
    play.answer("/length 20", "text")
    shown = play.answer("my own", "text")
    answer = shown.split("\r\n")[1]
    assert answer.startswith("my own") and len(answer) > len("my own")
    assert re.search(r"random seed \d+", shown)
    again = play.answer("/again", "text")
    assert re.search(r"\r\nmy own", again) and again != shown


def test_ctrl_c_stops_an_answer_and_not_the_session(play: Typed) -> None:
    play.answer("/length 2000000", "text")
    play.answer("/set min-length 1000000", "text")  # it shall not end by itself, however late the key comes
    play.type("my own" + ENTER)
    play.wait_for(r"\nmy own")
    play.type(CTRL_C)
    assert "interrupted, random seed" in play.wait_for_prompt("text")
    play.answer("/set min-length 0", "text")
    play.answer("/length 5", "text")
    assert "my own" in play.answer("my own", "text")


def test_many_ctrl_c_stop_no_session(folder: Path) -> None:
    with at_text(folder) as typed:
        for _ in range(40):
            typed.process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        typed.type("/temp 0.5" + ENTER)
        assert "Traceback" not in typed.wait_for("Traceback|temperature: 0.5")


def test_ctrl_c_at_the_prompt_takes_back_what_was_typed(play: Typed, folder: Path) -> None:
    play.type("/temp 0.123")
    play.wait_for("0.123")
    play.type(CTRL_C)
    play.answer("/temp 0.25", "text")
    lines = recorded(folder, play, "text")
    assert "/set temperature 0.25" in lines and not any("0.123" in line for line in lines)


def test_ctrl_c_leaves_a_search_of_the_history(folder: Path) -> None:
    with at_text(folder) as typed:
        typed.answer("/temp 0.75", "text")
        for keys in (CTRL_R + "0.7", CTRL_C, CTRL_C, "/temp 0.5", ENTER, ENTER):
            typed.type(keys)
            while typed.pump(0.1):
                pass
        assert "temperature: 0.5" in typed.text


def test_tab_completes_commands_values_and_words(play: Typed) -> None:
    for begun, completed in (("/tem\t", "/temp"), ("0.75", "0.75")):
        play.type(begun)
        play.wait_for(completed)
    assert "temperature: 0.75" in play.answer("", "text")
    for begun, completed in (("/set unt\t", "until"), ("sen\t", "sentence")):
        play.type(begun)
        play.wait_for(completed)
    assert "until: sentence" in play.answer("", "text")
    play.type("/load repl\t")
    play.wait_for("/load replies")
    play.answer("", "replies")


def test_a_seed_can_have_several_lines_that_are_indented(play: Typed, folder: Path) -> None:
    play.answer("/load code", "code")
    play.answer("/length 5", "code")
    play.answer("def total(x):" + ALT_ENTER + "if x:" + ALT_ENTER + "return", "code")
    assert recorded(folder, play, "code")[-1] == '/seed "def total(x):\\n    if x:\\n        return"'


def test_code_is_coloured(play: Typed) -> None:
    play.answer("/load code", "code")
    play.answer("/length 5", "code")
    place = len(play.sent)
    play.answer("return 'a'", "code")
    assert b"\x1b[35mreturn" in play.sent[place:] and b"\x1b[32ma" in play.sent[place:]


def test_what_a_model_writes_is_shown_and_does_not_drive_the_terminal(play: Typed) -> None:
    play.answer("/load wild", "wild")
    play.answer("/length 300", "wild")
    place = len(play.sent)
    shown = play.answer("J", "wild")
    assert "\\x1b" in shown and "\\x07" in shown and "\\x9b" in shown and "\\x08" in shown
    # Behind the seed, which stands out, nothing but what was written and the end of the line.
    answer = play.sent[place:].split(b"\x1b[1mJ\x1b[0m")[1].split(b"\r\n")[0].decode()
    assert all(character.isprintable() for character in answer), answer


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no file can have such a name")
def test_what_tab_offers_and_what_it_completes_does_not_drive_the_terminal(play: Typed, folder: Path) -> None:
    for end in "ab":
        (folder / f"odd\x1b[2J\u202e\x9b{end}").touch()
    place = len(play.sent)
    play.type("/save od\t")
    play.wait_for(r"odd\\x1b\[2J\\u202e\\x9bb")
    play.type(CTRL_C)
    assert "temperature" in play.answer("/temp", "text")
    sent = play.sent[place:].decode()
    assert "\x1b[2J" not in sent and not set(sent) & {"\u202e", "\x9b"}


def test_music_is_drawn_bar_by_bar_and_voice_by_voice(play: Typed, folder: Path) -> None:
    play.answer("/load voices", "voices")
    play.answer("/set bars 3", "voices")
    shown = play.answer("G4", "voices")
    rows = [line for line in shown.split("\r\n") if line.count("\u2502") >= 3 or line.count("|") >= 3]
    assert len(rows) > 5, shown
    play.answer("/save piece.mid --force", "voices")
    assert (folder / "piece.mid").read_bytes().startswith(b"MThd")


def test_a_chat_suggests_replies_and_a_number_takes_one(play: Typed, folder: Path) -> None:
    play.answer("/load replies", "replies")
    play.answer("/length 5", "replies")
    shown = play.answer("Where is the tea?", "replies")
    numbered = re.findall(r"\n([123])  ", shown)
    assert numbered == ["1", "2", "3"]
    assert "taken: " in play.answer("2", "replies")
    assert recorded(folder, play, "replies")[-2:] == ["Where is the tea?", "2"]


def test_what_cannot_be_done_is_said_with_what_to_do(play: Typed) -> None:
    shown = play.answer("/temp warm", "text")
    assert "error: temperature: 'warm' is no number" in shown
    assert "/help" not in shown.split("error: ")[1] and "below 1 safer" in shown


def test_bytes_that_are_no_text_are_refused(play: Typed) -> None:
    play.type(b"caf\xe9" + ENTER.encode())
    assert "error: " in play.wait_for_prompt("text")


def test_what_was_typed_is_remembered_by_the_next_session_and_for_its_owner_alone(folder: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with at_text(folder, SEQGEN_STATE=str(state)) as typed:
        typed.answer("/temp 0.625", "text")
        typed.type(CTRL_D)
        assert typed.leave() == 0
    (file,) = [path for path in state.rglob("*") if path.is_file()]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and b"/temp 0.625" in file.read_bytes()
    with at_text(folder, SEQGEN_STATE=str(state)) as typed:
        typed.type(UP)
        typed.wait_for("/temp 0.625")
        assert "temperature: 0.625" in typed.answer("", "text")
        typed.type("/bye" + ENTER)
        assert typed.leave() == 0


def test_without_history_and_colours_there_are_none(folder: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with at_text(folder, "--no-history", SEQGEN_STATE=str(state), NO_COLOR="1") as typed:
        typed.answer("/load code", "code")
        typed.answer("/length 9", "code")
        typed.answer("return 'a'", "code")
        typed.answer("/load voices", "voices")
        typed.answer("/set bars 2", "voices")
        typed.answer("G4", "voices")
        typed.type("/exit" + ENTER)
        assert typed.leave() == 0
    assert not state.exists()
    assert not colours(typed.sent)


def colours(sent: bytes) -> set[int]:
    """The colours of what was sent: bold and dim are none."""
    numbers = {int(number) for found in re.findall(rb"\x1b\[([\d;]*)m", sent) for number in found.split(b";") if number}
    return {number for number in numbers if 30 <= number < 50 or number >= 90}


def test_an_error_has_no_colour_either(folder: Path) -> None:
    with at_text(folder, NO_COLOR="1") as typed:
        typed.answer("/temp warm", "text")
        assert not colours(typed.sent)


def test_a_history_that_cannot_be_kept_is_said(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with at_text(folder, SEQGEN_STATE=str(tmp_path / "file" / "state")) as typed:
        assert "not remembered" in typed.text
        typed.answer("/temp 0.5", "text")
        typed.type(CTRL_D)
        assert typed.leave() == 0
