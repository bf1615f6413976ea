"""`seqgen repl` with a script in place of a person: results on standard output, words on standard error, an exit code."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import seqgen
from tests.commands import Result, Run
from tests.rehearsal import SEEDS

Script = Callable[..., Result]


@pytest.fixture
def script(run: Run, models: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Runs lines, or bytes, through the program, in this process."""
    Path("checkpoints").symlink_to(models / "checkpoints")

    def play(name: str, *lines: str | bytes, options: tuple[str, ...] = ()) -> Result:
        data = b"".join(line if isinstance(line, bytes) else f"{line}\n".encode() for line in lines)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        return run("repl", name, "--random-seed", "7", *options)

    return play


def test_results_are_all_of_standard_output(script: Script) -> None:
    result = script("text", "/length 9", "the ", "/temp 0.5", "/again", "/help", "/show")
    loaded = seqgen.load("text")
    answers = [
        loaded.sample("the ", length=9, random_seed=7),
        loaded.sample("the ", length=9, temperature=0.5, random_seed=8),
    ]
    texts = ["".join([sample.text, *sample]) and sample.text for sample in answers]
    assert result.code == 0
    assert result.out == "".join(f"{text}\n" for text in [*texts, texts[-1]]), "and what /show shows"
    for words in (
        "text: text: prose, verse, lists",
        "> /temp 0.5",
        "temperature: 0.5",
        "random seed 7",
        "Anything else",
    ):
        assert words in result.err and words not in result.out


def test_quietly_there_are_results_alone(script: Script) -> None:
    loud = script("text", "/length 9", "the ", "/count 2", "my ")
    quiet = script("text", "/length 9", "the ", "/count 2", "my ", options=("-q",))
    assert (quiet.code, quiet.err, quiet.out) == (0, "", loud.out)


def test_what_is_asked_for_is_told_quietly_too(script: Script) -> None:
    result = script("text", "/length 9", "/set length", options=("-q",))
    assert result.out == "" and "characters or notes to write at most" in result.err


def test_what_could_come_next_is_a_table(script: Script) -> None:
    result = script("text", "/next the ")
    rows = [line.split("\t") for line in result.out.splitlines()]
    assert 3 <= len(rows) <= 9 and all(len(row) == 2 and "%" in row[0] and row[1] for row in rows)


def test_replies_are_lines(script: Script) -> None:
    result = script("replies", "/length 5", SEEDS["replies"])
    assert result.code == 0 and len(result.out.splitlines()) == 3


def test_a_note_and_a_file_as_it_is_promised(script: Script) -> None:
    result = script("voices", "/length 9", "G4", "/save a.mid")
    assert result.code == 0 and Path("a.mid").read_bytes().startswith(b"MThd")
    assert "Soprano: G4" in result.out and "a.mid" in result.err and "a.mid" not in result.out


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["the "], 0),
        ([], 0),
        (["/bye", "/temp warm"], 0),
        (["/temp warm", "the "], 2),
        (['/seed "\\ud800"', "/temp warm"], 3),
        (["/temp warm", '/seed "\\ud800"'], 2),
        (["/load nobody"], 4),
        (["/temp warm", "/bye"], 2),
    ],
)
def test_the_exit_code_is_that_of_the_first_line_that_cannot_be_done(
    script: Script, lines: list[str], code: int
) -> None:
    assert script("text", "/length 5", *lines, "the ").code == code


def test_what_follows_a_line_that_cannot_be_done_is_done_all_the_same(script: Script) -> None:
    result = script("text", "/length 5", "/temp warm", "/load nobody", "the ")
    assert result.out.startswith("the ") and result.err.count("error: ") == 2


def test_no_model_no_session(script: Script) -> None:
    result = script("nobody", "the ")
    assert (result.code, result.out) == (4, "") and "no such checkpoint" in result.err


def test_a_script_with_a_mark_and_line_ends_of_windows_is_the_same(script: Script) -> None:
    plain = script("text", b"/length 9\nthe \n1\nmy\n")
    assert script("text", b"\xef\xbb\xbf/length 9\r\nthe \r\n1\r\nmy\r\n") == plain
    assert script("text", b"/length 9\nthe \n1\nmy") == plain, "without a last line end"


def test_a_line_that_is_no_text_is_named_and_the_others_are_done(script: Script) -> None:
    result = script("text", b"/length 9\nthe \n\xff\xfe\nmy \n")
    assert "line 3: not utf-8 at byte 0 of the line" in result.err
    assert result.out.startswith("the ") and "\nmy " in result.out


def test_a_line_that_is_no_text_is_bad_input(script: Script) -> None:
    assert script("text", b"\xff\xfe\n").code == 3


def test_blank_lines_are_not_told(script: Script) -> None:
    assert script("text", b"\n \n\t\n/length 9\n").err.count("> ") == 1


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        (
            "text",
            [
                "/length 9",
                "the ",
                "/next",
                "1",
                "/more",
                "/cut 4",
                "/length 90",
                '/seed "a\\nb"',
                "/again",
                "/undo",
                "1",
            ],
        ),
        ("voices", ["/length 9", "G4", "/cut 20", "/more", "/next", "1", "/again"]),
        ("replies", ["/length 5", "Where is it?", "2", "/again", "/temp 1.1", "Do we have ink?", "/next", "1"]),
        ("text", ["/length 9", "the ", "/keep", "/adapt on", "/again", "/keep", "/again", "/adapt off", "/again"]),
    ],
    ids=str,
)
def test_a_saved_session_is_repeated_to_the_last_byte(script: Script, name: str, lines: list[str]) -> None:
    first = script(name, *lines, "/save session.txt")
    saved = Path("session.txt").read_bytes()
    again = script(name, saved, b"/save session-2.txt\n")
    assert (first.code, again.code) == (0, 0) and first.out == again.out and first.out
    second = Path("session-2.txt").read_text(encoding="utf-8").splitlines()
    assert second[2:] == saved.decode().splitlines()[1:], "the same lines, behind the random seed of the command line"


def test_several_answers_have_a_line_each(script: Script) -> None:
    result = script("text", "/length 9", '/set ban "\\n"', "/count 3", "the ")
    assert [line[:4] for line in result.out.splitlines()] == ["the "] * 3


def test_an_answer_that_never_began_ends_its_line(script: Script) -> None:
    result = script("text", "/length 9", "/cut 0", "the ", "my ")
    assert result.out.startswith("the \nmy ")


def spawn(models: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "seqgen", "repl", "text", "--random-seed", "7", *options]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe, cwd=models)


def test_a_reader_that_goes_away_ends_it_quietly(models: Path) -> None:
    with spawn(models) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write(b"/length 9\n" + b"the \n" * 3)
        assert process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b"/length 200000\nthe \nmy \n")
        process.stdin.close()
        said = process.stderr.read().decode()
        assert process.wait(60) == 0
    assert "Traceback" not in said and "error" not in said


@pytest.mark.skipif(os.name == "nt", reason="signals are of another kind there")
def test_ctrl_c_ends_a_script_behind_the_answer_that_it_interrupts(models: Path) -> None:
    with spawn(models, "-q") as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b'/length 100000000\n/set min-length 100000000\n/set ban "\\n"\nthe \nmy \n')
        first = process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        rest, err = process.communicate(timeout=60)
    assert process.returncode == 130 and first == b"t" and rest.startswith(b"he ") and rest.endswith(b"\n")
    assert b"\nmy " not in rest
    assert err.decode().strip() == "interrupted"


def test_any_random_seed_can_be_replayed(script: Script) -> None:
    first = script("text", "/length 9", "the ", "/save session.txt", options=("--random-seed", str(2**63)))
    again = script("text", Path("session.txt").read_bytes())
    assert first.out == again.out and first.out.startswith("the ")


def test_music_without_a_note_more_is_its_seed(script: Script) -> None:
    assert "G4" in script("melody", "/length 0", "G4").out
