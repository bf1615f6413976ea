"""Nothing that seqgen did not write itself drives the terminal: texts, names of files, arguments, checkpoints from elsewhere."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen import cli
from seqgen.cli import info
from seqgen.cli import main as program
from seqgen.cli.display import display_for
from seqgen.manifest import MANIFEST
from seqgen.progress import Progress
from seqgen.visible import VISIBLE, escaped_in_json, one_line, visible
from tests.commands import SMALL, Run
from tests.texts import verse
from tests.untrained import VALID, untrained

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no file can have such a name")

EVIL = "[bold]\x1b[2J\x1b]0;owned\x07\x1b[8m\r\x08\x7f\x9b2J\u202e\u2066\u2029\udc9b\x85"
"""What clears the screen, names the window, hides what follows, overwrites, and turns the direction; and rich's markup."""
NAME = f"{EVIL}\nforged"
LINE = EVIL.replace("\udc9b", "")
"""The same as text that can be read from a file."""
TEXT = LINE * 9
_OWN = re.compile(r"\x1b\[(?:[\d;]*m|\d*A|J|2?K|\?25[lh])|\r(?=\x1b|[^\r\n]*\x1b\[K)")
"""What seqgen and rich send: colours, a few rows up, a line again, clearing behind the cursor, hiding the cursor."""

Say = Callable[..., tuple[int, str, str]]


class Screen(io.TextIOWrapper):
    """What is taken for a terminal."""

    def __init__(self) -> None:
        self.sent = io.BytesIO()
        super().__init__(self.sent, encoding="utf-8", errors="replace", newline="", write_through=True)

    def isatty(self) -> bool:
        return True


def obeyed(sent: str) -> set[str]:
    """The characters of what was sent that a terminal would obey, beside what seqgen itself sends."""
    assert "\x1b[8m" not in sent
    return {character for character in _OWN.sub("", sent) if ord(character) in VISIBLE}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose files, corpora and checkpoints are all of somebody who means harm."""
    folder = tmp_path_factory.mktemp("home")
    models = folder / "checkpoints"
    untrained(models / "text", [TEXT], ends=-9.0)
    untrained(models / "code", [TEXT + "'"], "code", corpus={"ending": ".py"}, ends=-9.0)
    untrained(models / "symbols", [f"{LINE} {EVIL[:9]}\n"], kind_of_tokenizer="symbols", ends=-9.0)
    untrained(models / "replies", [TEXT], "replies")
    untrained(models / "tune", ["Tune: C4 D4 E4:2 | G4:2 E4 C4 |]"], "music", kind_of_tokenizer="melody")
    shutil.copytree(models / "text", models / NAME)
    about = json.loads((models / NAME / MANIFEST).read_bytes())
    about |= {"made_by": NAME, "versions": {NAME: NAME}, "metrics": {NAME: {**VALID, "baselines": {NAME: 1.0}}}}
    about |= {"status": NAME, "corpus": {"ending": NAME}}
    about["recipe"]["corpus"] |= {"sources": [NAME], "documents": NAME}
    (models / NAME / MANIFEST).write_text(json.dumps(about), encoding="utf-8")
    (folder / f"{NAME}.txt").write_text(TEXT + verse(1000), encoding="utf-8")
    (folder / "symbols.txt").write_text(f"{EVIL[:20]} a\n" * 99, encoding="utf-8")
    (folder / "odd.csv").write_text("\x1b]0;owned\x07\u202e,text\n" + "1,one two three\n" * 30, encoding="utf-8")
    (folder / "bad.csv").write_text(f'{EVIL[:20]},text\n"', encoding="utf-8")
    (folder / "corpus").mkdir()
    (folder / "corpus" / f"{NAME}.txt").write_bytes(b"\xff")
    (folder / "corpus" / "good.txt").write_text(verse(3000), encoding="utf-8")
    with zipfile.ZipFile(folder / "packed.zip", "w") as file:
        file.writestr(f"{EVIL[:20]}.txt", b"\xff")
        file.writestr("good.txt", verse(3000))
    (folder / "corpora").mkdir()
    (folder / "corpora" / f"{NAME}.toml").write_text("title = 1\n", encoding="utf-8")
    (folder / f"{NAME}.toml").write_text(f"[training]\n{json.dumps(NAME[:30])} = 1\n", encoding="utf-8")
    return folder


@pytest.fixture
def at_terminal(home: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """The program in the home of somebody who means harm, at a terminal: its exit code, and what came to it."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("SEQGEN_CACHE", str(home / "cache"))  # what is compiled is compiled once
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")  # rich remembers how it has shown a colour
    monkeypatch.delenv("NO_COLOR", raising=False)

    def say(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        out, err = Screen(), Screen()
        stdin = SimpleNamespace(buffer=io.BytesIO(typed.encode("utf-8", "surrogateescape")), isatty=lambda: False)
        for name, stream in (("stdin", stdin), ("stdout", out), ("stderr", err)):
            monkeypatch.setattr(sys, name, stream)
        monkeypatch.setattr(sys, "argv", ["seqgen", *arguments])
        code = program._run()
        return code, out.sent.getvalue().decode(), err.sent.getvalue().decode()

    return say


DRAWN = ("-n", "300", "--random-seed", "1")
CASES: dict[str, list[tuple[int, tuple[str, ...]]]] = {
    "train": [
        (0, ("train", f"{NAME}.txt", "--steps", "2", "--out", f"out{NAME}", *SMALL)),
        (2, ("train", "odd.csv", "--recipe", f"{NAME}.toml")),
        (2, ("train", "odd.csv", "--set", f"training.{NAME}=1")),
        (2, ("train", "odd.csv", "--set", f"training.dtype={NAME}")),
        (3, ("train", NAME)),
        (3, ("train", "bad.csv", "--column", NAME)),
        (2, ("train", "odd.csv", "--encoding", NAME)),
    ],
    "sample": [
        (0, ("sample", "text", *DRAWN)),
        (0, ("sample", "text", *DRAWN, "--count", "2")),
        (0, ("sample", "text", *DRAWN, "--count", "2", "--json")),
        (0, ("sample", "text", *DRAWN, "-o", "-")),
        (0, ("sample", "code", *DRAWN)),
        (0, ("sample", "symbols", *DRAWN)),
        (0, ("sample", NAME, "--seed", TEXT, *DRAWN, "--check")),
        (0, ("sample", "text", "--seed", "x", "-o", f"{NAME}.out", "--force", *DRAWN)),
        (2, ("sample", "text", "-o", f"{NAME}/x")),
        (3, ("sample", "text", "--seed-file", f"no{NAME}")),
        (0, ("sample", "tune", "--seed", "\x1b]0;owned\x07\u202e: C4", "--bars", "2")),
        (3, ("sample", "tune", "--seed", LINE)),
        (2, ("sample", "tune", "--key", NAME)),
        (4, ("sample", f"no{NAME}")),
    ],
    "repl": [(4, ("repl", "text", "--random-seed", "1")), (4, ("repl", f"no{NAME}"))],
    "reply": [
        (0, ("reply", "replies", TEXT, "-t", "1.5")),
        (0, ("reply", "replies", TEXT, "--json", "-t", "1.5")),
        (2, ("reply", "replies", "a", "--attention", f"{NAME}/a.png")),
    ],
    "eval": [(0, ("eval", NAME, f"{NAME}.txt")), (3, ("eval", "text", f"no{NAME}"))],
    "score": [
        (0, ("score", "text", TEXT, "--next", "9")),
        (0, ("score", "text", TEXT, "--next", "9", "--json")),
        (0, ("score", "replies", TEXT, "--message", TEXT)),
        (0, ("score", NAME, TEXT, "--html", f"{NAME}.html", "--force")),
        (3, ("score", "text", "--file", f"no{NAME}")),
    ],
    "corpus": [
        (3, ("corpus", "list")),
        (3, ("corpus", "show", NAME)),
        (3, ("corpus", "fetch", NAME)),
        (0, ("corpus", "stats", "corpus", "--documents", "line")),
        (0, ("corpus", "stats", "corpus", "--json")),
        (0, ("corpus", "stats", "packed.zip")),
        (0, ("corpus", "stats", "odd.csv")),
        (0, ("corpus", "stats", "symbols.txt", "--tokenizer", "symbols")),
        (0, ("corpus", "stats", f"{NAME}.txt", "--documents", NAME[:20])),
        (2, ("corpus", "stats", "corpus", "--kind", NAME)),
        (3, ("corpus", "stats", "odd.csv", "--column", NAME)),
    ],
    "list": [(0, ("list",)), (0, ("list", "--json"))],
    "info": [(0, ("info", "text")), (0, ("info", NAME)), (0, ("info", NAME, "--json")), (4, ("info", f"no{NAME}"))],
    "completion": [(2, ("completion", NAME)), (2, ("completion", "bash", NAME)), (2, ("completion", f"--{NAME}"))],
}
"""Of each verb: exit codes, and arguments that bring what would drive a terminal to all places that it can stand in."""
TYPED = (
    f"/load code\n/length 200\n{LINE}\n/more\n/keep\n/show\n/set\n/next\n1\n/undo\n/load symbols\n/length 99\nx\n/show\n"
    f"/save {LINE}.x --force\n/save session{LINE}.txt --force\n/load replies\n{LINE}\n1\n/show\n/load tune\n/set bars 2\n"
    f"C4\n/show\n/load {LINE}\n/temp {LINE}\n/help {LINE}\n/tem{LINE}\n/ban {LINE}\n/set ban {LINE}\n/adapt {LINE}\n"
)
"""A session of the same kind; what cannot be done in it is said, and it goes on."""


def test_every_verb_is_tried() -> None:
    assert set(CASES) == set(program.VERBS)


@pytest.mark.parametrize("verb", CASES)
def test_nothing_that_others_wrote_drives_the_terminal(verb: str, at_terminal: Say) -> None:
    for wanted, arguments in CASES[verb]:
        code, out, err = at_terminal(*arguments, typed=TYPED)
        assert code == wanted, (arguments, err)
        assert not obeyed(out) | obeyed(err), arguments
        assert not re.search(r"^forged", err, re.MULTILINE), arguments
        if any(NAME in argument or argument == LINE for argument in arguments):
            assert "owned" in out + err and re.search(r"\\x1b|\\u001b", out + err), arguments


def test_a_file_and_a_pipe_get_what_the_model_wrote(home: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    piped = run("sample", "text", *DRAWN, "-q")
    assert {"\x1b", "\x07", "\r", "\x9b", "\u202e"} <= set(piped.out) and "\\x1b" not in piped.out
    run("sample", "text", *DRAWN, "-q", "-o", "written.txt", "--force")
    written = (home / "written.txt").read_bytes()
    assert written.decode("utf-8", "replace") == piped.out.removesuffix("\n")


def test_names_on_standard_error_are_in_one_line_also_in_a_log(
    home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    result = run("train", f"no{NAME}", "--set", f"{NAME}=1")
    assert result.code == 2 and "owned" in result.err and not obeyed(result.err) and "\nforged" not in result.err


def test_a_recipe_cannot_be_forged_in_what_info_says_of_a_checkpoint(
    home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    lines = run("info", NAME).out.splitlines()
    assert sum("owned" in line for line in lines) >= 4  # its folder, status, versions and what made it
    assert all(line.startswith("#") for line in lines if line.startswith(("made", "forged")) or "# made" in line)


def test_shells_are_offered_no_name_that_would_drive_them(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    offered = info.command.params[0].shell_complete(click.Context(info.command), "")
    assert [one.value for one in offered] == ["code", "replies", "symbols", "text", "tune"]


def test_a_training_shows_what_the_model_writes_and_its_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    err = Screen()
    monkeypatch.setattr(sys, "stderr", err)
    with display_for(as_json=False, quiet=False, tensorboard=False) as tell:
        tell(Progress("training", sample="a\x1b[2J\u202e\r\nb\t\u4e16[bold]"))
    sent = err.sent.getvalue().decode()
    assert "a\\x1b[2J\\u202e\\x0d\u23ceb\u21e5\u4e16[bold]" in sent and not obeyed(sent)


def test_warnings_of_libraries_are_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    program._warn(UserWarning(NAME), UserWarning, "a.py", 3)
    said = capsys.readouterr().err
    assert said.startswith("warning: [bold]\\x1b") and said.count("\n") == 1 and not obeyed(said)


@given(st.text(st.characters() | st.sampled_from([chr(code) for code in VISIBLE]), max_size=20))
def test_what_is_shown_holds_nothing_that_a_terminal_obeys_and_json_says_the_same(text: str) -> None:
    assert not {ord(character) for character in visible(text)} & set(VISIBLE)
    assert not set(one_line(text)) & {"\n", *map(chr, VISIBLE)}
    plain = escaped_in_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(plain) == text and not {ord(character) for character in plain} & set(VISIBLE)
    harmless = "".join(character for character in text if ord(character) not in VISIBLE)
    assert visible(harmless) == harmless


def test_all_that_terminals_obey_is_known() -> None:
    unseen = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(chr(code)) in ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")
    ]
    assert not set(unseen) - {"\n", "\t"} - set(map(chr, VISIBLE))


DOORS = {"common.py", "stages.py", "heat.py", "main.py", "display.py"}
"""The files of `cli/` that write to a terminal; all others ask `common.py` to."""


def test_there_are_few_doors_to_the_terminal() -> None:
    found = []
    for file in Path(cli.__file__).parents[1].rglob("*.py"):
        if (file.parent.name, file.name) in (
            *(("cli", door) for door in DOORS),
            ("seqgen", "__init__.py"),
            ("seqgen", "disk.py"),
        ):
            continue
        for line in file.read_text(encoding="utf-8").splitlines():
            if re.search(r"click\.s?echo|(?<![\w.])print\(|std(?:out|err)\.write|os\.write", line):
                found.append(f"{file.name}: {line.strip()}")
    assert not found
