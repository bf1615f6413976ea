"""The documentation says what the program does: made pages are fresh, links lead somewhere, commands exist."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from seqgen import SeqgenError, __version__
from seqgen.cli.main import program
from seqgen.recipe import SECTIONS, parse_assignment

ROOT = Path(__file__).parent.parent
NOT_OURS = {"build", "dist"}
PAGES = sorted(
    {
        *ROOT.glob("*.md"),
        *(
            page
            for folder in ROOT.iterdir()
            if folder.is_dir() and not folder.name.startswith(".") and folder.name not in NOT_OURS
            for page in folder.rglob("*.md")
        ),
    }
)
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]

FENCED = re.compile(r"^( *)```[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"\]\(<?([^)\s>]+)[^)]*\)|^\[[^\]]+\]:\s+(\S+)|(?:src|href)=\"([^\"]+)\"", re.MULTILINE)
COMMAND = re.compile(r"(?:.*\| )?(?:\$ )?(?:\.venv/bin/)?seqgen (.+)")


def prose(text: str) -> str:
    """A page without its code."""
    return INLINE.sub("", FENCED.sub("", text))


def links(text: str) -> Iterator[str]:
    """The links of a page that lead to files, and to headings of its own."""
    for match in LINK.finditer(prose(text)):
        target = next(group for group in match.groups() if group)
        if not re.match(r"[a-z][a-z+.-]*:", target):
            yield target


def anchors(text: str) -> set[str]:
    """The names under which a page's headings can be reached."""
    headings = re.findall(r"^#+ +(.+?) *$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(text: str) -> Iterator[str]:
    """What a page quotes of the command line, without the program's name: lines of code blocks, and code in sentences."""
    lines = [line for match in FENCED.finditer(text) for line in match[2].replace("\\\n", " ").splitlines()]
    lines += [code.replace("\n", " ") for code in INLINE.findall(FENCED.sub("", text))]
    for line in lines:
        if match := COMMAND.fullmatch(line.strip()):
            yield match[1]


def problem(quoted: str) -> str | None:
    """What is wrong with a quoted command: a verb, option or setting that does not exist. None: nothing."""
    lexer = shlex.shlex(quoted, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError as error:
        return str(error)
    end = next((place for place, word in enumerate(words) if set(word) <= set("|&;<>")), len(words))
    words = words[:end]
    command: click.Command = program
    context = click.Context(command)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        verb = words.pop(0)
        if verb.isupper():  # stands for any verb
            return None
        found = command.get_command(context, verb)
        if found is None:
            return f"there is no verb {verb}"
        command, context = found, click.Context(found, parent=context)
    try:
        given = command.make_parser(context).parse_args(words)[0]
        for assignment in given.get("assignments", []):
            if assignment != "section.key=value":
                parse_assignment(assignment)
    except click.NoSuchOption as error:
        return error.format_message()
    except click.UsageError:  # an option named in a sentence, without its value
        return None
    except SeqgenError as error:
        return str(error)
    return None


@pytest.mark.parametrize("page", ["cli.md", "settings.md"])
def test_a_made_page_is_up_to_date(page: str) -> None:
    made = runpy.run_path(str(ROOT / "docs" / "make.py"))["pages"]()[page]
    assert (ROOT / "docs" / page).read_text(encoding="utf-8") == made, f"docs/{page} is stale; run: make docs"


def test_the_check_names_what_is_stale_and_make_mends_it(tmp_path: Path) -> None:
    shutil.copy(ROOT / "docs" / "make.py", tmp_path)

    def make(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, str(tmp_path / "make.py"), *arguments], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    assert make() == (0, "")
    stale = tmp_path / "settings.md"
    stale.write_text(stale.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    code, words = make("--check")
    assert code == 1
    assert "settings.md" in words
    assert "cli.md" not in words
    assert make() == (0, "")
    assert make("--check") == (0, "")


def test_every_verb_and_every_setting_is_on_its_page() -> None:
    cli = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert program.list_commands(click.Context(program))
    for verb in program.list_commands(click.Context(program)):
        assert f"## seqgen {verb}\n" in cli
    settings = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for section, fields in SECTIONS.items():
        for name in fields.__dataclass_fields__:
            assert f"| `{section}.{name}` |" in settings


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    broken = []
    for target in links(page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        if not there.exists() or (
            anchor and there.suffix == ".md" and anchor not in anchors(there.read_text(encoding="utf-8"))
        ):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("name", NAMES)
def test_every_quoted_command_exists(name: str) -> None:
    quoted = list(commands((ROOT / name).read_text(encoding="utf-8")))
    wrong = {f"seqgen {command}": found for command in quoted if (found := problem(command))}
    assert wrong == {}


def test_the_pages_quote_commands_and_wrong_ones_are_found() -> None:
    assert 'sample diary --seed "Dear "' in commands((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    text = "Say `seqgen trian`:\n\n```sh\n$ seqgen sample diary --sed x | head\n.venv/bin/seqgen list  # all\n```\n"
    assert [problem(command) is None for command in commands(text)] == [False, True, False]
    assert problem("train a.txt --set model.hiden=3") is not None
    assert problem("corpus lst") is not None
    assert problem("train a.txt --set model.hidden=3 --time +10m") is None


def test_the_changelog_has_an_entry_for_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entry = re.search(rf"^## \[{re.escape(__version__)}\].*?(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    assert entry, f"CHANGELOG.md says nothing of {__version__}"
    assert re.search(r"^- \S", entry[0], re.MULTILINE), "the entry is empty"
