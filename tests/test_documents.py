"""Text becomes documents as a stream, and they are the same documents however it comes in."""

from __future__ import annotations

import dataclasses
import gzip
import re
from array import array
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePath
from typing import BinaryIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seqgen.errors import DataError
from seqgen.modalities import MODALITIES
from seqgen.sources import LeftOut, Reader, Source, documents, read_head, texts
from seqgen.sources.documents import cut, lines_of
from tests.sources import joined, not_hanging, pack, read, write

SETTINGS = ["file", "line", "blank-line", "--", r"\n", r"\n\n", "-a-", r"\t "]
CHUNKS = st.lists(st.text(st.sampled_from("ab \n\t-"), min_size=1, max_size=9), max_size=12)


def cut_whole(text: str, setting: str) -> list[str]:
    """What a document is, said in the plainest way."""
    if setting == "file":
        return [text] if text else []
    if setting == "blank-line":
        parts = [part.strip("\n") for part in re.split(r"\n[ \t]*\n", text)]
    else:
        parts = text.split("\n" if setting == "line" else setting.replace(r"\n", "\n").replace(r"\t", "\t"))
    return [part for part in parts if part.strip()]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("file", ["one\n  \n\ntwo --- x\n\tthree\n"]),
        ("line", ["one", "two --- x", "\tthree"]),
        ("blank-line", ["one", "two --- x\n\tthree"]),
        ("---", ["one\n  \n\ntwo ", " x\n\tthree\n"]),
        (r"\n\t", ["one\n  \n\ntwo --- x", "three\n"]),
        ("nowhere", ["one\n  \n\ntwo --- x\n\tthree\n"]),
    ],
)
def test_a_text_is_cut_into_documents(setting: str, expected: list[str]) -> None:
    assert joined(cut(["one\n  \n\ntwo --- x\n\tthree\n"], setting)) == expected


@settings(max_examples=300)
@example(chunks=["  ", "\na"], setting="blank-line", longest=0)
@given(chunks=CHUNKS, setting=st.sampled_from(SETTINGS), longest=st.sampled_from([0, 1, 2, 5, 20, 1 << 22]))
def test_documents_are_the_same_however_the_text_comes_in_and_however_little_is_held_back(
    chunks: list[str], setting: str, longest: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "LONGEST_PIECE", longest)
        assert joined(cut(chunks, setting)) == cut_whole("".join(chunks), setting)


@settings(max_examples=300)
@given(chunks=CHUNKS, setting=st.sampled_from(SETTINGS), longest=st.sampled_from([0, 1, 2, 5, 20, 1 << 22]))
def test_it_is_known_on_which_line_each_document_begins(chunks: list[str], setting: str, longest: int) -> None:
    text, place = "".join(chunks), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "LONGEST_PIECE", longest)
        begins = array("q")
        expected = []
        for document in joined(cut(chunks, setting, begins)):
            place = text.index(document, place)
            expected.append(1 + text.count("\n", 0, place))
            place += len(document)
    assert begins.tolist() == expected


@given(
    text=st.text(st.sampled_from("ab \n\t-"), max_size=60),
    setting=st.sampled_from(["file", "line", "blank-line", "--", r"\n"]),
)
def test_cutting_loses_nothing_but_white_space_and_separators_and_makes_no_empty_document(
    text: str, setting: str
) -> None:
    parts = joined(cut([text] if text else [], setting))
    kept = [character for character in text.replace("--", "" if setting == "--" else "--") if not character.isspace()]
    assert [character for character in "".join(parts) if not character.isspace()] == kept
    assert all(parts)
    assert setting == "file" or all(part.strip() for part in parts)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_long_document_is_handed_on_before_its_end_is_known(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LONGEST_PIECE", 100)
    read_so_far = 0

    def chunks() -> Iterator[str]:
        nonlocal read_so_far
        for _ in range(1000):
            read_so_far += 1
            yield "no line feed, no separator; "

    pieces = cut(chunks(), setting)
    handed_on = 0
    for piece in pieces:
        assert read_so_far * 28 - handed_on <= 128  # as this piece comes
        handed_on += len(piece or "")
    assert handed_on == 28_000
    assert list(pieces) == []


@pytest.mark.parametrize("setting", ["line", "blank-line", "--"])
@pytest.mark.parametrize("blanks", [" ", "\t ", "\n"])
def test_white_space_however_long_is_no_document(setting: str, blanks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "LONGEST_PIECE", 10)
    with not_hanging():
        assert joined(cut([blanks * 10] * 100, setting)) == []
        assert joined(cut([*[blanks * 10] * 100, "a"], setting)) == cut_whole(blanks * 1000 + "a", setting)


def test_a_document_of_many_chunks_is_not_looked_through_again_with_each() -> None:
    looked_through = 0

    def split(text: str) -> list[str]:
        nonlocal looked_through
        looked_through += len(text)
        return text.split("\n")

    stream = documents._cut_at(["ten words "] * 10_000, split, lambda text: 0, 1, array("q"))
    assert joined(stream) == ["ten words " * 10_000]
    assert looked_through < 4 * 100_000


@given(chunks=CHUNKS)
def test_lines_are_the_same_however_the_text_comes_in(chunks: list[str]) -> None:
    assert list(lines_of(chunks)) == re.findall(r"[^\n]*\n|[^\n]+", "".join(chunks))


def test_only_a_line_feed_ends_a_line() -> None:
    text = "a\u2028b\x0bc\x0cd\x1ce\x85f\n"
    assert list(lines_of([text])) == [text]
    assert joined(cut([text], "line")) == [text[:-1]]


# Sources to documents


def test_the_documents_of_several_files_come_in_their_order() -> None:
    write(Path("b.txt"), "b1\nb2\n")
    write(Path("a.txt"), "a1\n")
    assert read("b.txt", "a.txt", documents="line")[0] == ["b1", "b2", "a1"]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
@pytest.mark.parametrize("setting", ["file", "line", "blank-line", "--"])
def test_a_file_has_the_same_documents_however_much_is_read_at_once(
    chunk: int, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "é€😀\r\n\r\n文--b\r\n \t\r\nc\n\n\nd--"
    write(Path("a.txt"), text)
    monkeypatch.setattr(texts, "CHUNK", chunk)
    monkeypatch.setattr(documents, "LONGEST_PIECE", 3)
    assert read("a.txt", documents=setting)[0] == cut_whole(text.replace("\r\n", "\n"), setting)


def _same(file: BinaryIO) -> BinaryIO:
    return file


def test_a_long_file_without_a_line_feed_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "CHUNK", 1 << 10)
    monkeypatch.setattr(documents, "HEAD", 1 << 10)
    monkeypatch.setattr(documents, "LONGEST_PIECE", 1 << 12)
    path = write(Path("a.txt"), b"words and words " * 10_000)
    for setting in ("file", "line", "blank-line", "--"):
        file = path.open("rb")
        source = Source("a.txt", path, opener=partial(_same, file), asked_for=True)
        pieces = Reader(MODALITIES["text"], setting, "utf-8").read(source, LeftOut())
        handed_on = 0
        for piece in pieces:
            read_so_far = 160_000 if file.closed else file.tell()
            assert read_so_far - handed_on < 1 << 14  # as this piece comes
            handed_on += len(piece or "")
        assert handed_on == 160_000


def test_what_is_not_text_is_an_error_also_in_a_folder_and_after_its_first_documents(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = write(Path("a.txt"), b"one\ntwo\nthree\xff")
    monkeypatch.setattr(texts, "CHUNK", 4)
    monkeypatch.setattr(documents, "HEAD", 4)
    stream = Reader(MODALITIES["text"], "line", "utf-8").read(Source("a.txt", path), LeftOut())
    assert next(stream) == "one"
    with pytest.raises(DataError, match="not utf-8 at byte 13"):
        list(stream)


def test_a_kind_of_corpus_leaves_out_only_what_nobody_named() -> None:
    path = write(Path(".notes.txt"), "kept")
    reader, left_out = Reader(MODALITIES["text"], "file", "utf-8"), LeftOut()
    assert joined(reader.read(Source("c/.notes.txt", path), left_out)) == []
    assert left_out.names == {"hidden": ["c/.notes.txt"]}
    assert joined(reader.read(Source(".notes.txt", path, asked_for=True), left_out)) == ["kept"]


def test_the_beginning_of_a_text_is_shown_and_of_what_is_none_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "HEAD", 4)
    assert read_head(Source("a", data=b"\xef\xbb\xbfa\r\nbcd"), "utf-8") == "a\nbc"
    assert read_head(Source("a", data=b"a\0b"), "utf-8") == ""
    assert read_head(Source("a", data=b""), "utf-8") == ""
    assert read_head(Source("a", Path("nowhere.txt")), "utf-8") == ""


@pytest.mark.parametrize("chunk", [1, 2, 3, 1 << 16])
def test_a_kind_of_corpus_sees_the_whole_head_of_a_file_however_much_is_read_at_once(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "CHUNK", chunk)
    monkeypatch.setattr(documents, "HEAD", 7)
    seen: list[str] = []

    def look(path: PurePath, head: str) -> None:
        seen.append(head)

    modality = dataclasses.replace(MODALITIES["text"], skip_file=look)
    source = Source("a.txt", write(Path("a.txt"), "é€😀\nwords and more"))
    assert read_head(source, "utf-8") == "é€😀\nwor"
    assert joined(Reader(modality, "line", "utf-8").read(source, LeftOut())) == ["é€😀", "words and more"]
    assert seen == ["é€😀\nwor"]


# Columns of tables


@pytest.mark.parametrize("chunk", [1, 3, 1 << 22])
def test_the_rows_of_a_table_are_documents(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "CHUNK", chunk)
    write(Path("a.csv"), 'id,text\r\n1,"one,\r\nand é"\r\n2,two\r\n3,\r\n')
    write(Path("b.jsonl"), '{"text": "three\\nlines"}\n{"text": null}\n{"text": "four"}\n')
    texts_, left_out = read("a.csv", "b.jsonl", column="text")
    assert texts_ == ["one,\nand é", "two", "three\nlines", "four"]
    assert left_out == {"empty": ["a.csv:5"], "null, not text": ["b.jsonl:2"]}


def test_without_a_column_a_table_is_plain_text() -> None:
    write(Path("a.csv"), "id,text\n1,one\n")
    assert read("a.csv", documents="line")[0] == ["id,text", "1,one"]


def test_the_column_of_what_is_no_table_is_an_error_that_names_the_tables() -> None:
    write(Path("c/a.csv"), "text\none\n")
    write(Path("c/notes.txt"), "notes")
    with pytest.raises(DataError, match="not a table, but a column was asked for") as caught:
        read("c/notes.txt", column="text")
    assert caught.value.where == str(Path("c/notes.txt"))
    assert ".csv" in str(caught.value.hint)
    assert read("c", column="text") == (["one"], {"not a table, but a column was asked for": ["notes.txt"]})


def test_a_table_without_the_column_is_an_error_with_its_columns() -> None:
    write(Path("a.csv"), "id,title\n1,one\n")
    with pytest.raises(DataError, match="no column 'text'") as caught:
        read("a.csv", column="text")
    assert "'title'" in str(caught.value.hint)


def test_a_table_may_be_packed() -> None:
    write(Path("rows.jsonl.gz"), gzip.compress(b'{"text": "one"}\n'))
    pack(Path("tables.zip"), {"b.tsv": "id\ttext\n1\ttwo\n"})
    assert read("rows.jsonl.gz", "tables.zip", column="text")[0] == ["one", "two"]
