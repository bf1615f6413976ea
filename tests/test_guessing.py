"""What a corpus is, is guessed from the names of its files and from their beginnings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from seqgen.cards import load_card
from seqgen.modalities import MODALITIES
from seqgen.modalities.text import TEXT
from seqgen.sources import LeftOut, Source, documents_of, find_sources, guessing, kind_of, without_folders
from tests.sources import pack, write
from tests.test_modalities import titles, verse, wrapped_prose


def guess_of(*names: str, kind: str | None = None) -> tuple[str, str]:
    """The kind and what a document is; the kind may be known."""
    sources, card = find_sources(names, LeftOut())
    kind = kind or kind_of(sources, card)
    sources = without_folders(sources, MODALITIES[kind], LeftOut())
    return kind, documents_of(sources, kind, card, "utf-8")[0]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("titles.txt", titles(2000), ("text", "line")),
        ("novel.txt", wrapped_prose(30), ("text", "file")),
        ("verse.txt", verse(80), ("text", "file")),
        ("main.py", titles(2000), ("code", "file")),
    ],
)
def test_kind_and_documents_are_guessed_from_names_and_content(
    name: str, content: str, expected: tuple[str, str]
) -> None:
    write(Path("c", name), content)
    pack(Path("c.zip"), {f"c/{name}": content})
    assert guess_of(f"c/{name}") == guess_of("c") == guess_of("c.zip") == expected


def test_a_kind_that_was_asked_for_is_kept() -> None:
    write(Path("main.py"), titles(2000))
    assert guess_of("main.py", kind="text") == ("text", "line")


@pytest.mark.parametrize("folder", ["venv", "build", "third_party"])
def test_code_that_others_wrote_does_not_make_code_of_some_notes(folder: str) -> None:
    write(Path("c/titles.txt"), titles(2000))
    for index in range(30):
        write(Path(f"c/{folder}/lib/{index}.py"), "x = 1\n")
    assert guess_of("c")[0] == "text"
    assert guess_of(f"c/{folder}")[0] == "code"


def test_documents_are_guessed_without_what_the_kind_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    without_drafts = dataclasses.replace(TEXT, skip_folder=lambda path: "a draft" if path.name == "drafts" else None)
    write(Path("c/titles.txt"), titles(200))
    for index in range(5):
        write(Path(f"c/drafts/{index}.txt"), wrapped_prose(20))
    assert guess_of("c") == ("text", "file")
    monkeypatch.setitem(MODALITIES, "text", without_drafts)
    assert guess_of("c") == ("text", "line")


def test_an_unreadable_file_of_a_folder_does_not_spoil_the_guess() -> None:
    write(Path("c/photo.jpg"), b"\0")
    write(Path("c/titles.txt"), titles(2000))
    assert guess_of("c") == ("text", "line")


def test_a_card_says_what_it_is_but_not_what_stands_beside_it_is() -> None:
    card = dataclasses.replace(load_card("python"), kind="code", documents="---")
    its_own = [Source("python:titles.txt", data=titles(200).encode())]
    beside = Source("titles.txt", data=titles(200).encode())
    assert kind_of(its_own, card) == "code"
    assert documents_of(its_own, "code", card, "utf-8")[0] == "---"
    assert documents_of(its_own, "replies", card, "utf-8")[0] == "conversation"
    assert kind_of([*its_own, beside], card) == "text"
    assert documents_of([*its_own, beside], "text", card, "utf-8")[0] == "line"


def test_the_guess_looks_at_the_beginnings_of_some_files_from_all_over_the_corpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guessing, "PROBED", 5)
    for index in range(23):
        write(Path(f"c/{index:02}.txt"), f"text {index}")
    sources, _ = find_sources(("c",), LeftOut())
    _, heads = documents_of(sources, "text", None, "utf-8")
    assert heads == [f"text {index}" for index in (0, 4, 8, 12, 16, 20)]
