"""What every kind of corpus in the table declares, and how text and code are told, cut and ended."""

from __future__ import annotations

import random
import textwrap
from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.modalities import MODALITIES, guess_kind
from seqgen.modalities.code import CODE
from seqgen.modalities.text import TEXT

WRITING = st.text(st.sampled_from("ab \t\n.!?…)]}'\"”»。！？」』”)＃（）"), max_size=40)
"""Text in which sentences and blocks end."""
WORDS = "river stone the of under morning house letter winter a blue garden night old road sea light we song child"
every_modality = pytest.mark.parametrize("name", MODALITIES)


def words(count: int, seed: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS.split(), k=count))


def titles(count: int) -> str:
    """One title a line, of one to nine words."""
    return "".join(f"{words(1 + seed * 7 % 9, seed).capitalize()}\n" for seed in range(count))


def wrapped_prose(paragraphs: int, columns: int = 72) -> str:
    """Paragraphs without blank lines between them, wrapped at a column."""
    return "".join(textwrap.fill(words(200, seed), columns) + "\n" for seed in range(paragraphs))


def verse(stanzas: int) -> str:
    """Short, uneven lines with a blank line after each four."""
    return "\n".join(
        "".join(words(4 + line % 3, 4 * stanza + line) + "\n" for line in range(4)) for stanza in range(stanzas)
    )


# Every kind


@every_modality
def test_the_table_knows_a_kind_by_its_own_name_and_people_by_its_title(name: str) -> None:
    modality = MODALITIES[name]
    assert modality.name == name
    assert modality.title.startswith(f"{name}: ")
    assert modality.unit_length > 0 or modality.end("A piece. It ends.\n\n\nX") is None
    assert modality.end_name or not modality.unit_length


@every_modality
@pytest.mark.parametrize("path", ["a.txt", "a.py", "A.PY", "Makefile", "a", ".hidden", "a.tar.gz", "", "x:/y/z.md"])
def test_how_sure_a_name_makes_is_from_0_to_1(name: str, path: str) -> None:
    assert 0 <= MODALITIES[name].affinity(PurePath(path)) <= 1


@every_modality
def test_a_guess_of_documents_is_one_that_can_be_cut(name: str) -> None:
    for texts in ([], [""], ["a"], [titles(100)], [verse(30)], [titles(30), titles(40)]):
        assert MODALITIES[name].guess_documents(texts) in ("file", "line", "blank-line", "conversation")


@every_modality
@pytest.mark.parametrize("folder", [".git", ".venv", "__pycache__", "node_modules"])
def test_what_no_one_wrote_is_left_out_for_a_reason(name: str, folder: str) -> None:
    assert MODALITIES[name].skip_folder(PurePath("corpus", folder))


@every_modality
@pytest.mark.parametrize("folder", ["chapters", "src", "2024", "git", "venison"])
def test_a_folder_that_someone_named_is_kept(name: str, folder: str) -> None:
    assert MODALITIES[name].skip_folder(PurePath("corpus", folder)) is None


@every_modality
@pytest.mark.parametrize("text", ["", " \n\t\n"])
def test_an_empty_file_is_left_out(name: str, text: str) -> None:
    for path in ("a.txt", "a.py"):
        assert MODALITIES[name].skip_file(PurePath(path), text)


@every_modality
@given(text=WRITING)
def test_an_end_is_in_the_text_and_stays_where_it_is_when_the_text_grows(name: str, text: str) -> None:
    ends = [MODALITIES[name].end(text[:length]) for length in range(len(text) + 1)]
    found = [end for end in ends if end is not None]
    assert ends[: len(ends) - len(found)] == [None] * (len(ends) - len(found))
    assert len(set(found)) <= 1
    assert all(0 < end <= len(text) - len(found) + 1 for end in found)


# Which kind


def test_nothing_that_speaks_is_text() -> None:
    assert guess_kind([]) == "text"
    assert guess_kind([PurePath("standard input")]) == "text"


@pytest.mark.parametrize(
    ("paths", "kind"),
    [
        (["diary.txt"], "text"),
        (["diary"], "text"),
        (["notes.md", "more.rst"], "text"),
        (["main.py"], "code"),
        (["Makefile"], "code"),
        (["MAIN.C", "util.h"], "code"),
        (["main.rs", "lib.rs", "README.md"], "code"),
        (["README.md", "NOTES.txt", "convert.py"], "text"),
    ],
)
def test_the_kind_is_what_most_names_speak_for(paths: list[str], kind: str) -> None:
    assert guess_kind(map(PurePath, paths)) == kind


# Text


def test_two_thousand_titles_a_line_each_are_documents_a_line() -> None:
    assert TEXT.guess_documents([titles(2000)]) == "line"


def test_a_list_in_a_few_files_is_still_a_list() -> None:
    assert TEXT.guess_documents([titles(300), titles(200)]) == "line"


@pytest.mark.parametrize("columns", [40, 72, 100])
def test_wrapped_prose_is_a_document_a_file(columns: int) -> None:
    assert TEXT.guess_documents([wrapped_prose(20, columns)]) == "file"


def test_wrapped_prose_with_blank_lines_is_a_document_a_file() -> None:
    assert TEXT.guess_documents([wrapped_prose(1, 60) + "\n" + wrapped_prose(30, 60)]) == "file"


def test_verse_with_blank_lines_is_a_document_a_file() -> None:
    assert TEXT.guess_documents([verse(100)]) == "file"


def test_verse_whose_lines_run_on_is_a_document_a_file() -> None:
    lines = [words(4 + line % 3, line) + ("," if line % 2 else "") for line in range(200)]
    assert TEXT.guess_documents(["\n".join(lines)]) == "file"


def test_code_in_a_text_file_is_a_document_a_file() -> None:
    code = "def area(width, height):\n    if width < 0:\n        return 0\n    return width * height\n" * 50
    assert TEXT.guess_documents([code]) == "file"
    assert CODE.guess_documents([code, titles(2000)]) == "file"


def test_a_paragraph_a_line_is_a_document_a_file() -> None:
    assert TEXT.guess_documents(["\n".join(words(10 + 37 * seed % 150, seed) for seed in range(60))]) == "file"


def test_a_short_note_is_a_document_a_file() -> None:
    assert TEXT.guess_documents(["milk\nbread\napples\n"]) == "file"
    assert TEXT.guess_documents(["milk\nbread\napples\n"] * 50) == "file"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("It rained. We", "It rained."),
        ("It rained.\n", "It rained."),
        ("“Who?” she", "“Who?”"),
        ("Wait... what", "Wait..."),
        ("Oh!!) no", "Oh!!)"),
        ("Pi is 3.14 or so. Yes", "Pi is 3.14 or so."),
        ("雨だ。外", "雨だ。"),
        ("「雨だ！？」と", "「雨だ！？」"),
        ("雨だ。\n", "雨だ。"),
    ],
)
def test_a_sentence_ends_after_its_mark_and_what_closes_it(text: str, first: str) -> None:
    assert TEXT.end(text) == len(first)


@pytest.mark.parametrize("text", ["", "It rained", "It rained.", "3.1", "a.b.c", "雨だ。", "「雨だ。」", "…"])
def test_a_sentence_that_may_go_on_has_not_ended(text: str) -> None:
    assert TEXT.end(text) is None


def test_a_hidden_file_is_no_text_of_the_corpus() -> None:
    assert TEXT.skip_file(PurePath("a/.draft.txt"), "words") == "hidden"
    assert TEXT.skip_file(PurePath(".a/draft.txt"), "words") is None


# Code


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("x = 1\n\ny = 2", "x = 1\n"),
        ("def f():\n    a\n\n    b\n\n\ng", "def f():\n    a\n\n    b\n"),
        ("f(\n\n)\n\nx", "f(\n\n)\n"),
        ("\n\n\nx = 1\n \t\ny", "\n\n\nx = 1\n"),
    ],
)
def test_a_block_ends_before_a_blank_line_with_a_new_block_at_the_margin(text: str, first: str) -> None:
    assert CODE.end(text) == len(first)


@pytest.mark.parametrize("text", ["", "\n\n\nx", "x = 1\n\n", "def f():\n\n    b", "x\ny\nz"])
def test_a_block_that_may_go_on_has_not_ended(text: str) -> None:
    assert CODE.end(text) is None


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("a.py", "x = 1\n", None),
        ("Makefile", "all:\n", None),
        ("a.txt", "x = 1\n", "not source code"),
        ("a.py", "# This file was automatically generated by a tool\nx = 1\n", "generated"),
        ("a.py", "# DO NOT EDIT\nx = 1\n", "generated"),
        ("a.py", "x = 1\n" * 300 + "# do not edit\n", None),
        ("a.js", "a=1;" * 300, "minified"),
        ("a.js", "a=1;\n" * 300, None),
    ],
)
def test_only_source_that_someone_wrote_is_read(path: str, text: str, reason: str | None) -> None:
    assert CODE.skip_file(PurePath(path), text) == reason


@pytest.mark.parametrize("folder", ["venv", "build", "site-packages", "vendor", "seqgen.egg-info", ".mypy_cache"])
def test_environments_caches_and_build_output_are_no_source(folder: str) -> None:
    assert CODE.skip_folder(PurePath("project", folder))
