"""`seqgen score`: the text in colours, lines for programs, JSON, pages; and what of a text could harm a terminal or a browser."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

import seqgen
from seqgen import score_page
from seqgen.cli import heat, score
from seqgen.showing import STEPS, label, level, percent
from seqgen.visible import escaped, visible
from tests.commands import Run
from tests.test_scoring import TEXT, TUNE
from tests.untrained import untrained

NASTY = "a</script><img src=x onerror=alert(1)>\"'&\x1b[31m\x07\0\x9b2J\u202eb\r\n\tc</title></b>"
FIELDS = ["text", "bits", "probability", "rank", "line", "column", "ids", "expected"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(untrained(tmp_path_factory.mktemp("score") / "model", [TEXT]))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As rich sees a terminal of many colours."""
    for name, value in {
        "FORCE_COLOR": "1",
        "COLORTERM": "truecolor",
        "TERM": "xterm-256color",
        "COLUMNS": "100",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return monkeypatch


def plain(text: str) -> str:
    """A text without the escape codes of colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", text)


# Lines for programs


def test_a_pipe_gets_a_line_for_each_symbol_and_the_words_go_to_stderr(trained: str, run: Run) -> None:
    result = run("score", trained, "the fox\n\tsang")
    rows = [line.split("\t") for line in result.out.splitlines()]
    found = seqgen.load(trained).score("the fox\n\tsang")
    assert [row[3] for row in rows] == [*"the fox", "\\n", "\\t", *"sang"]
    assert [row[1] for row in rows[6:9]] == ["1:7", "1:8", "2:1"]
    assert [float(row[0]) for row in rows] == pytest.approx([span.bits for span in found.spans()], abs=1e-3)
    assert [int(row[2]) for row in rows] == [found.ranks[span.first] for span in found.spans()]
    assert all(len(row) == 6 for row in rows)
    assert f"{found.bits_per_character:.2f} bits per character" in result.err
    assert "held out of the model's own corpus has 1.87; 2.05 by the network alone" in result.err
    assert run("score", trained, "the fox", "-q").err == ""


def test_top_gives_a_pipe_so_many_of_the_most_surprising(trained: str, run: Run) -> None:
    every = run("score", trained, TEXT[:200]).out.splitlines()
    most = run("score", trained, TEXT[:200], "--top", "3").out.splitlines()
    assert most == sorted(every, key=lambda line: -float(line.split("\t")[0]))[:3]


def test_next_gives_a_pipe_lines_of_its_own(trained: str, run: Run) -> None:
    (told,) = run("score", trained, "", "--next", "3", "--json").json()
    assert told["bits"] == 0 and told["perplexity"] is told["bits_per_character"] is told["nats_per_symbol"] is None
    lines = run("score", trained, "", "--next", "3").out.splitlines()
    following = seqgen.load(trained).next("", 3)
    assert [line.split("\t")[:2] for line in lines] == [["next", f"{one.probability:.6f}"] for one in following]


def test_what_comes_back_is_free_of_control_characters(trained: str, run: Run) -> None:
    result = run("score", trained, NASTY, "--next", "5")
    assert result.code == 0
    assert not set(result.out + result.err) & {"\x1b", "\x07", "\0", "\r", "\x9b"}
    assert "\\x1b" in result.out


# JSON


def test_json_says_it_all(trained: str, run: Run) -> None:
    text = "the \N{FOX FACE}\nfox"
    [told] = run("score", trained, text, "--json", "--next", "4", "--top", "2").json()
    found = seqgen.load(trained).score(text)
    assert told["text"] == "".join(one["text"] for one in told["symbols"]) == text
    assert [list(one) for one in told["symbols"]] == [FIELDS] * len(text)
    assert sum(one["bits"] for one in told["symbols"]) == pytest.approx(told["bits"], abs=0.01)
    for one in told["symbols"]:
        assert one["probability"] == pytest.approx(2 ** -one["bits"], rel=1e-2)
        assert len(one["expected"]) == 3 and one["rank"] >= 1
    assert len(told["symbols"][4]["ids"]) == 8 and told["symbols"][6]["line"] == 2
    assert told["bits_per_character"] == pytest.approx(found.bits / len(text)) and told["characters"] == len(text)
    assert told["perplexity"] == pytest.approx(math.exp(told["nats_per_symbol"]))
    assert told["held_out"] == {"bits_per_character": 1.87, "bits_per_character_without_recall": 2.05}
    assert told["top"][0]["text"] == "\N{FOX FACE}" and len(told["top"]) == len(told["words"]) == 2
    assert [list(one) for one in told["next"]] == [["text", "probability", "word", "word_probability"]] * 4


def test_json_of_music_counts_notes(run: Run) -> None:
    untrained(Path("tune"), [TUNE], "music", kind_of_tokenizer="melody")
    [told] = run("score", "tune", TUNE, "--json").json()
    assert (told["unit"], told["notes"], told["bits_per_character"], told["characters"]) == (
        "nats_per_note",
        6,
        None,
        None,
    )
    assert told["nats_per_note"] == pytest.approx(told["bits"] * math.log(2) / 6)
    assert told["symbols"][0]["text"] == "key G major" and told["symbols"][0]["bar"] == 0
    assert told["held_out"] == {"nats_per_note": None, "nats_per_note_without_recall": None}


# Terminals


def test_a_terminal_gets_the_text_in_colours_with_lists_and_a_legend(
    trained: str, run: Run, terminal: pytest.MonkeyPatch
) -> None:
    text = "the fox\nsings zebra"
    out = run("score", trained, text, "--next", "3").out
    assert "\x1b[38;2;" in out and "48;2;" in out
    lines = plain(out).splitlines()
    assert [line.rstrip("\u21b5") for line in lines[:2]] == text.splitlines()
    assert "1 in 4,096" in plain(out)
    assert all(title in plain(out) for title in ("most surprising symbols", "most surprising words", "what could come"))
    assert "most surprising" not in run("score", trained, text, "--top", "0").out


def test_without_colours_digits_stand_under_the_text_and_there_are_no_escape_codes(
    trained: str, run: Run, terminal: pytest.MonkeyPatch
) -> None:
    terminal.setenv("NO_COLOR", "1")
    out = run("score", trained, "the 狐fox", "--next", "3").out
    assert "\x1b" not in out
    above, below = out.splitlines()[:2]
    assert above == "the 狐fox"
    spans = list(seqgen.load(trained).score("the 狐fox").spans())
    wanted = "".join(
        (" " if span.bits < 2 else "+" if span.bits >= 10 else str(int(span.bits))) + " " * (span.text == "狐")
        for span in spans
    )
    assert below == wanted.rstrip() and wanted[4] == "+"


def test_a_long_line_without_colours_is_broken_where_the_screen_ends(trained: str) -> None:
    out = io.StringIO()
    screen = Console(file=out, color_system=None, force_terminal=True, width=40)
    heat.show_text(screen, seqgen.load(trained).score(TEXT[:300].replace("\n", " ")))
    assert max(map(len, out.getvalue().splitlines())) == 40


@pytest.mark.parametrize("colours", ["truecolor", "256", "standard", None])
def test_nothing_in_a_text_drives_a_terminal(trained: str, colours: str | None) -> None:
    out = io.StringIO()
    screen = Console(file=out, color_system=colours, force_terminal=True, width=60)  # type: ignore[arg-type]
    model = seqgen.load(trained)
    found = model.score(NASTY + " [bold]x[/] [link=http://a]")
    heat.show_text(screen, found)
    heat.show_lists(screen, found, 50)
    heat.show_next(screen, found, model.next(NASTY, 5))
    left = plain(out.getvalue())
    assert not set(left) & {"\x1b", "\x07", "\0", "\r", "\x9b", "\u202e"}
    assert "\\x1b[31m" in left and "\\u202e" in left and "[bold]x[/] [link=http://a]" in left.replace("\n", "")


def test_a_very_long_word_is_listed_by_its_beginning(trained: str, run: Run, terminal: pytest.MonkeyPatch) -> None:
    terminal.setenv("NO_COLOR", "1")
    listed = run("score", trained, "a" * 500).out.partition("most surprising words")[2]
    assert listed.split()[-1] == "a" * 39 + "\u2026"
    _, page = page_of(run, trained, "a" * 500)
    assert max(map(len, page.cells)) < 100


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
def test_a_real_terminal_is_known_as_one(trained: str) -> None:
    ours, theirs = os.openpty()
    variables = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": os.pathsep.join(sys.path)}
    for name in ("NO_COLOR", "FORCE_COLOR"):
        variables.pop(name, None)
    with subprocess.Popen(
        [sys.executable, "-m", "seqgen", "score", trained, "the fox", "--top", "0"],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=variables,
    ) as drawing:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
    os.close(ours)
    assert drawing.returncode == 0
    assert b"\x1b[38;5;" in shown and plain(shown.decode()).startswith("the fox")


def contrast(first: str, second: str) -> float:
    """Of two colours, as the Web Content Accessibility Guidelines 2 define it."""

    def light(colour: str) -> float:
        parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((light(first), light(second)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [heat.COLOURS, score_page.LIGHT, score_page.DARK])
def test_text_can_be_read_in_every_colour(colours: tuple[tuple[str, str], ...]) -> None:
    assert all(contrast(*pair) >= 4.5 for pair in colours)
    assert len(colours) in (len(STEPS), len(STEPS) + 1)


def test_symbols_are_shown_as_people_can_see_them() -> None:
    assert [level(bits) for bits in (0, 1.99, 2, 5, 11.9, 12, 99)] == [0, 0, 1, 2, 4, 5, 5]
    assert [label(text) for text in (" ", "\n", "\t", "", "\0", " a\n")] == ["␣", "↵", "⇥", "⟨end⟩", "\\x00", "␣a↵"]
    assert visible("\x1b[0m\x85\u2067a\n\t") == "\\x1b[0m\\x85\\u2067a\n\t"
    assert escaped("a\\\n\t\x7f") == "a\\\\\\n\\t\\x7f"
    assert [percent(share) for share in (1, 0.5, 0.0421, 0.0004)] == ["100 %", "50 %", "4.2 %", "under 0.1 %"]


# Pages


class Page(HTMLParser):
    """Reads a page: whether it is well-formed, what it would load, and its text."""

    VOID = ("meta", "!doctype")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.shown = ""
        self.scripts: list[str] = []
        self.cells: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)
        elif self.open[-1:] == ["td"]:
            self.cells.append(data)
        elif "div" in self.open and self.open[-1] != "i":
            self.shown += data


def page_of(run: Run, trained: str, text: str, *options: str) -> tuple[str, Page]:
    Path("text.txt").write_text(text, encoding="utf-8", newline="")
    result = run("score", trained, "--file", "text.txt", "--html", "page.html", "--force", *options)
    assert result.code == 0, result.err
    html = Path("page.html").read_text(encoding="utf-8")
    return html, Page(html)


def test_a_page_shows_the_text_and_the_figures_of_each_symbol(trained: str, run: Run) -> None:
    html, page = page_of(run, trained, "the fox\n  sings", "--next", "3")
    assert page.open == [] and page.shown == "the fox\n  sings"
    titles = [value for name, value in page.attributes if name == "title"]
    found = seqgen.load(trained).score("the fox\n  sings")
    assert len(titles) == 15
    assert titles[0].startswith(f"t  {next(found.spans()).bits:.1f} bits, probability")
    assert f"rank {found.ranks[0]}. Expected: " in titles[0] and titles[0].count("%") == 4
    assert "prefers-color-scheme: dark" in html and "What could come next" in html


@pytest.mark.parametrize(
    "text", [NASTY, "</div></b><script>alert(1)</script>", "<!-- a", "&lt;b&gt; &amp;", "]]> --> {{x}}"]
)
def test_nothing_in_a_text_is_markup(trained: str, run: Run, text: str) -> None:
    html, page = page_of(run, trained, text, "--next", "5")
    assert page.shown == visible(text.replace("\r\n", "\n"))
    assert page.open == [] and set(page.tags) <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "span", "div", "b", "i"),
        *("table", "thead", "tbody", "tr", "th", "td", "output", "script"),
    }
    assert len(page.scripts) == 1 and page.tags.count("script") == 1
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert not set(html) & {"\x1b", "\x07", "\0", "\u202e"}


def test_a_page_loads_nothing_and_allows_its_own_script_alone(trained: str, run: Run) -> None:
    html, page = page_of(run, trained, "the fox")
    assert not {name for name, _ in page.attributes} & {"src", "href", "action", "srcset", "data", "style"}
    assert "url(" not in html and "@import" not in html and "//" not in html.replace("--", "")
    policy = next(value for name, value in page.attributes if name == "content" and "default-src" in value)
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy


def test_a_long_text_has_a_page_of_its_beginning(trained: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_page, "SHOWN", 50)
    _, page = page_of(run, trained, TEXT[:200].strip())
    assert page.shown == TEXT[:50]
    said = run("score", trained, "--file", "text.txt", "--html", "page.html", "--force").err
    assert f"page.html, with the first 50 of {len(TEXT[:200].strip())} symbols" in said


def test_a_page_of_music_and_of_a_reply(run: Run) -> None:
    untrained(Path("tune"), [TUNE], "music", kind_of_tokenizer="melody")
    _, page = page_of(run, "tune", TUNE)
    assert page.shown.splitlines()[1].startswith("| (2 left) G4:1")
    untrained(Path("replies"), ["Yes, gladly.", "Are you free?"], "replies", kind_of_tokenizer="characters")
    html, page = page_of(run, "replies", "Yes.", "--message", "Are <you> free?")
    assert page.shown == "Yes." and "&lt;you&gt;" in html


def test_a_page_is_not_overwritten_unasked(trained: str, run: Run) -> None:
    Path("page.html").write_text("mine", encoding="utf-8")
    assert run("score", trained, "the fox", "--html", "page.html").code == 2
    assert Path("page.html").read_text(encoding="utf-8") == "mine"
    assert run("score", trained, "the fox", "--html", "page.html", "--force").out == ""
    assert "<title>\u201cthe fox\u201d, as model reads it</title>" in Path("page.html").read_text(encoding="utf-8")


# What is read


def test_a_text_comes_from_an_argument_a_file_or_standard_input(
    trained: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.txt").write_bytes("\ufeffthe fox\r\nsang\n".encode())
    typed = run("score", trained, "the fox\nsang").out
    assert run("score", trained, "--file", "a.txt").out == typed
    for arguments in (["-"], [], ["--file", "-"]):
        stdin = SimpleNamespace(buffer=io.BytesIO(b"the fox\nsang\n"), isatty=lambda: False)
        monkeypatch.setattr(sys, "stdin", stdin)
        assert run("score", trained, *arguments).out == typed


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "There is no text"),
        (["a", "--file", "a.txt"], 2, "contradict"),
        ([""], 3, "nothing to score"),
        (["--file", "missing.txt"], 3, "missing.txt: cannot be read"),
        (["--file", "."], 3, "cannot be read"),
        (["--file", "empty.txt"], 3, "empty.txt: there is nothing to score"),
        (["--file", "binary"], 3, "binary: not utf-8 at byte 0"),
        (["--file", "huge.txt"], 3, "huge.txt: more than 4 MiB"),
        (["a\udcff"], 3, "not valid Unicode"),
        (["a", "--message", "b"], 2, "answers no message"),
        (["a", "--next", "0"], 2, "--next"),
        (["a", "--html", "nowhere/page.html"], 2, "no such folder"),
    ],
)
def test_what_cannot_be_read_or_meant_is_refused_in_a_line(
    trained: str, run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, said: str
) -> None:
    Path("empty.txt").touch()
    Path("binary").write_bytes(b"\xff\xfe\0\1")
    with Path("huge.txt").open("wb") as file:
        file.truncate(score.MOST + 1)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(), isatty=lambda: True))
    result = run("score", trained, *arguments)
    assert (result.code, result.out) == (code, "")
    assert said in result.err and "Traceback" not in result.err


def test_what_was_never_learned_is_named(trained: str, run: Run) -> None:
    assert "spelled in bytes: '\N{FOX FACE}'" in run("score", trained, "a \N{FOX FACE}").err


def test_numbers_are_marks_where_the_model_has_learned_marks(run: Run) -> None:
    folder = untrained(Path("masked"), ["call [number] now"] * 9)
    manifest = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
    manifest["recipe"]["corpus"]["mask"] = True
    (folder / "checkpoint.json").write_text(json.dumps(manifest), encoding="utf-8")
    result = run("score", "masked", "call 555-1234", "--json")
    assert result.json()[0]["text"] == "call [number]"
    assert "read as marks" in result.err and "spelled in bytes" not in result.err


def test_no_recall_is_handed_on(run: Run, monkeypatch: pytest.MonkeyPatch, trained: str) -> None:
    told = run("score", trained, "the fox", "--no-recall", "--json").json()[0]
    assert told["held_out"]["bits_per_character"] == 2.05


def test_a_reply_is_scored_with_its_message(run: Run) -> None:
    untrained(Path("replies"), ["Yes, gladly.", "Are you free?"], "replies", kind_of_tokenizer="characters")
    refused = run("score", "replies", "Yes.")
    assert refused.code == 2 and "--message" in refused.err
    [told] = run("score", "replies", "Yes.", "--message", "Are you free?", "--json", "--next", "2").json()
    assert [one["text"] for one in told["symbols"]] == ["Y", "e", "s", ".", ""] and len(told["next"]) == 2
    assert json.dumps(told)
