"""From what the user names to documents: encodings, folders with everything in them, and what is left out."""

from __future__ import annotations

import codecs
import contextlib
import dataclasses
import io
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.errors import DataError, UsageError
from seqgen.modalities import MODALITIES
from seqgen.modalities.text import TEXT
from seqgen.reading import (
    LeftOut,
    Source,
    check_encoding,
    cut,
    decode,
    find_sources,
    guess,
    read_documents,
    without_folders,
)
from tests.test_modalities import titles, verse, wrapped_prose

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
needs_permissions = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything, and Windows asks otherwise"
)


@contextlib.contextmanager
def not_hanging() -> Iterator[None]:
    """Turns a read that would wait for ever into a failure."""

    def give_up(number: int, frame: object) -> None:
        raise AssertionError("reading hangs")

    if not hasattr(signal, "SIGALRM"):  # no alarm on this system: there a failure is a test that hangs
        yield
        return
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def write(path: Path, content: str | bytes = "some words\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(
    *names: str | Path, kind: str = "text", documents: str = "file", encoding: str = "utf-8"
) -> tuple[list[str], dict[str, list[str]]]:
    """The documents, and what was left out: reason -> names of files without their folders."""
    left_out = LeftOut()
    sources, _ = find_sources(tuple(map(str, names)), left_out)
    sources = without_folders(sources, MODALITIES[kind], left_out)
    texts = list(read_documents(sources, MODALITIES[kind], documents, encoding, left_out))
    return texts, {reason: sorted(Path(name).name for name in found) for reason, found in left_out.names.items()}


def found(*names: str | Path) -> list[str]:
    """The names of the files that are found, without their folders."""
    return [PurePath(source.name).name for source in find_sources(tuple(map(str, names)), LeftOut())[0]]


def type_in(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


# Bytes to text


def test_line_ends_become_line_feeds() -> None:
    assert decode(b"a\r\nb\rc\nd\r\n\r\ne", "utf-8", "f") == "a\nb\nc\nd\n\ne"


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@pytest.mark.parametrize("asked", ["utf-8", "latin-1"])
def test_a_byte_order_mark_is_dropped_and_overrules_the_encoding(mark: bytes, encoding: str, asked: str) -> None:
    assert decode(mark + "aé€😀\r\n".encode(encoding), asked, "f") == "aé€😀\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32", "utf-16-le", "gb18030"])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\r\0\ufeff")))
def test_a_text_is_read_as_it_was_written(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding), encoding, "f") == text


@pytest.mark.parametrize(("data", "place"), [(b"\0", 0), (b"abc\0d\0", 3), (codecs.BOM_UTF8 + b"ab\0", 5)])
def test_a_zero_byte_is_refused_with_its_place(data: bytes, place: int) -> None:
    with pytest.raises(DataError, match=f"binary.* at byte {place}\\b") as caught:
        decode(data, "utf-8", "photo.jpg")
    assert caught.value.where == "photo.jpg"


@pytest.mark.parametrize(
    ("data", "place", "byte"),
    [(b"caf\xe9 noir", 3, "e9"), (codecs.BOM_UTF8 + b"a\xff", 4, "ff"), (b"ab\xe2\x82", 2, "e2")],
)
def test_what_is_not_of_the_encoding_is_refused_with_file_byte_and_a_way_out(
    data: bytes, place: int, byte: str
) -> None:
    with pytest.raises(DataError, match=rf"not utf-8 at byte {place} \(0x{byte}\)") as caught:
        decode(data, "utf-8", "menu.txt")
    assert caught.value.where == "menu.txt"
    assert "--encoding latin-1" in str(caught.value.hint)


def test_latin_1_is_an_error_until_it_is_named() -> None:
    write(Path("menu.txt"), "café\r\nthé\n".encode("latin-1"))
    with pytest.raises(DataError, match="at byte 3"):
        read("menu.txt")
    assert read("menu.txt", encoding="latin-1") == (["café\nthé\n"], {})


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "latin-1", "cp1252", "utf-16", "shift_jis", "gb18030"])
def test_common_encodings_are_known(encoding: str) -> None:
    check_encoding(encoding)


@pytest.mark.parametrize("encoding", ["nonsense", "", "rot13", "hex", "utf\0", "zip"])
def test_an_encoding_that_is_none_is_refused_with_common_ones(encoding: str) -> None:
    with pytest.raises(UsageError, match="there is no text encoding") as caught:
        check_encoding(encoding)
    assert "cp1252" in str(caught.value.hint)


# Text to documents


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ("file", ["one\n  \n\ntwo --- x\n\tthree\n"]),
        ("line", ["one", "two --- x", "\tthree"]),
        ("blank-line", ["one", "two --- x\n\tthree"]),
        ("---", ["one\n  \n\ntwo ", " x\n\tthree\n"]),
        (r"\n\t", ["one\n  \n\ntwo --- x", "three\n"]),
        ("nowhere", ["one\n  \n\ntwo --- x\n\tthree\n"]),
    ],
)
def test_a_text_is_cut_into_documents(documents: str, expected: list[str]) -> None:
    assert cut("one\n  \n\ntwo --- x\n\tthree\n", documents) == expected


@given(
    text=st.text(st.sampled_from("ab \n\t-"), max_size=60),
    documents=st.sampled_from(["file", "line", "blank-line", "--", r"\n"]),
)
def test_cutting_loses_nothing_but_white_space_and_separators_and_makes_no_empty_document(
    text: str, documents: str
) -> None:
    parts = cut(text, documents)
    kept = [character for character in text.replace("--", "" if documents == "--" else "--") if not character.isspace()]
    assert [character for character in "".join(parts) if not character.isspace()] == kept
    assert all(parts)
    assert documents == "file" or all(part.strip() for part in parts)


def test_the_documents_of_several_files_come_in_their_order() -> None:
    write(Path("b.txt"), "b1\nb2\n")
    write(Path("a.txt"), "a1\n")
    assert read("b.txt", "a.txt", documents="line")[0] == ["b1", "b2", "a1"]


# Names to sources


def test_a_folder_is_read_sorted_with_its_folders() -> None:
    for name in ("c/b.txt", "c/a.txt", "c/sub/z.md", "c/Sub/y.txt", "c/no-ending"):
        write(Path(name), name)
    texts, left_out = read("c")
    assert sorted(texts) == ["c/Sub/y.txt", "c/a.txt", "c/b.txt", "c/no-ending", "c/sub/z.md"]
    assert texts == read("c")[0]
    assert texts.index("c/a.txt") < texts.index("c/b.txt") < texts.index("c/sub/z.md")
    assert left_out == {}


def test_a_folder_counts_what_it_leaves_out_by_reason() -> None:
    write(Path("c/kept.txt"), "kept")
    write(Path("c/photo.jpg"), b"\xff\xd8\0\0")
    write(Path("c/old.txt"), b"caf\xe9")
    write(Path("c/.draft.txt"))
    write(Path("c/nothing.txt"), " \n")
    write(Path("c/.git/config"))
    write(Path("c/venv/lib/module.py"))
    write(Path("c/deep/__pycache__/x.pyc"))
    texts, left_out = read("c")
    assert texts == ["kept"]
    assert sorted(name for names in left_out.values() for name in names) == sorted(
        ["photo.jpg", "old.txt", ".draft.txt", "nothing.txt", ".git", "venv", "__pycache__"]
    )
    assert (left_out["binary"], left_out["not utf-8"]) == (["photo.jpg"], ["old.txt"])
    assert (left_out["hidden"], left_out["empty"]) == ([".draft.txt"], ["nothing.txt"])


def test_a_folder_of_code_leaves_out_what_no_one_wrote() -> None:
    write(Path("c/kept.py"), "x = 1\n")
    write(Path("c/api_pb.py"), "# generated by a compiler\nx = 1\n")
    write(Path("c/lib.min.js"), "a=1;" * 400)
    write(Path("c/notes.txt"))
    texts, left_out = read("c", kind="code")
    assert texts == ["x = 1\n"]
    assert left_out == {"generated": ["api_pb.py"], "minified": ["lib.min.js"], "not source code": ["notes.txt"]}


def test_a_folder_is_left_out_once_at_its_top_by_the_kind_that_does_not_want_it() -> None:
    write(Path("c/a.py"), "x = 1\n")
    for name in ("b.py", "c.py", "sub/d.py", "sub/build/e.py"):
        write(Path("c/build", name), "y = 1\n")
    assert read("c", kind="code") == (["x = 1\n"], {"build output": ["build"]})
    assert len(read("c", kind="text")[0]) == 5


def test_a_folder_that_was_named_is_read_whatever_its_name() -> None:
    write(Path("build/a.py"), "x = 1\n")
    write(Path(".git/a.py"), "y = 1\n")
    assert read("build", ".git", "build/a.py", kind="code")[0] == ["x = 1\n", "y = 1\n"]


def test_links_make_no_loop_and_only_a_linked_file_of_the_same_folder_is_read() -> None:
    write(Path("c/sub/a.txt"), "a")
    write(Path("c/sub/inside.txt"), "linked")
    write(Path("elsewhere.txt"), "private")
    for link, target in (
        ("c/sub/loop", ".."),
        ("c/self", "self"),
        ("c/gone", "nowhere"),
        ("c/b.txt", "sub/inside.txt"),
        ("c/outside.txt", "../elsewhere.txt"),
    ):
        Path(link).symlink_to(target)
    with not_hanging():
        texts, left_out = read("c")
    assert sorted(texts) == ["a", "linked", "linked"]
    left = {
        "link to a folder": ["loop"],
        "not a regular file": ["gone", "self"],
        "link out of the folder": ["outside.txt"],
    }
    assert left_out == left


def test_the_checkpoints_of_seqgen_are_not_a_corpus() -> None:
    write(Path("c/a.txt"), "a")
    write(Path("c/checkpoints/a/checkpoint.json"), "{}")
    texts, left_out = read("c")
    assert texts == ["a"]
    assert left_out == {"seqgen checkpoint": ["a"]}


@needs_pipes
@pytest.mark.parametrize("name", ["c", "c/*", "**/*"])
def test_a_pipe_that_nobody_named_is_left_out_and_not_waited_for(name: str) -> None:
    write(Path("c/a.txt"), "a")
    os.mkfifo("c/pipe")
    with not_hanging():
        texts, left_out = read(name)
    assert texts == ["a"]
    assert left_out == {"not a regular file": ["pipe"]}


@needs_pipes
def test_a_pipe_that_is_named_is_read_once() -> None:
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_text("through a pipe"))
    with not_hanging():
        writer.start()
        sources, _ = find_sources(("pipe",), LeftOut())
        writer.join()
        for _ in range(2):
            assert list(read_documents(sources, MODALITIES["text"], "file", "utf-8", LeftOut())) == ["through a pipe"]


@needs_permissions
def test_an_unreadable_file_is_left_out_of_a_folder_but_an_error_where_it_was_named() -> None:
    write(Path("c/a.txt"), "a")
    write(Path("c/secret.txt")).chmod(0)
    texts, left_out = read("c")
    assert texts == ["a"]
    assert left_out == {"cannot be read: Permission denied": ["secret.txt"]}
    with pytest.raises(DataError, match="cannot be read: Permission denied"):
        read("c/secret.txt")


@needs_permissions
@pytest.mark.parametrize("mode", [0, stat.S_IRUSR])
def test_a_locked_folder_is_left_out_of_a_folder_but_an_error_where_a_file_in_it_was_named(mode: int) -> None:
    write(Path("c/a.txt"), "a")
    write(Path("c/locked/sub/b.txt"))
    write(Path("c/locked/b.txt"))
    Path("c/locked").chmod(mode)
    try:
        texts, left_out = read("c")
        assert texts == ["a"]
        assert set(left_out) == {"cannot be read: Permission denied"}
        with pytest.raises(DataError, match="cannot be read: Permission denied"):
            read("c/locked/b.txt")
    finally:
        Path("c/locked").chmod(0o700)


@pytest.mark.parametrize("folder", ["stat", "lstat"])
def test_a_walk_goes_on_where_a_folder_cannot_be_looked_into(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("c/a.txt"), "a")
    write(Path("c/locked/sub/b.txt"))
    real = getattr(Path, folder)

    def refuse(path: Path, **options: bool) -> os.stat_result:
        if "locked" in path.parts[:-1]:
            raise PermissionError(13, "Permission denied")
        result: os.stat_result = real(path, **options)
        return result

    monkeypatch.setattr(Path, folder, refuse)
    texts, left_out = read("c")
    assert "a" in texts
    assert set(left_out) <= {"cannot be read: Permission denied"}


def test_a_file_that_fails_while_it_is_read_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    write(Path("c/a.txt"))
    monkeypatch.setattr(Path, "read_bytes", fail)
    assert read("c") == ([], {"cannot be read: Input/output error": ["a.txt"]})
    with pytest.raises(DataError, match="cannot be read: Input/output error") as caught:
        read("c/a.txt")
    assert caught.value.where == str(Path("c/a.txt"))


def test_a_glob_finds_files_and_folders_sorted() -> None:
    for name in ("b.txt", "a.txt", "c.md", "sub/d.txt", "x1/e.txt"):
        write(Path(name), name)
    assert found("*.txt") == ["a.txt", "b.txt"]
    assert sorted(found("**/*.txt")) == ["a.txt", "b.txt", "d.txt", "e.txt"]
    assert found("x[0-9]") == ["e.txt"]
    assert found("?.md", "a*") == ["c.md", "a.txt"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file() -> None:
    write(Path("what?.txt"), "this")
    write(Path("whats.txt"), "that")
    assert read("what?.txt")[0] == ["this"]


def test_a_file_counts_once_however_often_it_is_found() -> None:
    write(Path("c/a.txt"), "a")
    write(Path("c/b.txt"), "b")
    assert read("c/a.txt", "c", "c/*.txt", "c/a.txt")[0] == ["a", "b"]


@pytest.mark.parametrize("names", [("c/a.bin", "c"), ("c", "c/a.bin")])
def test_a_file_that_was_named_is_not_left_out_in_silence(names: tuple[str, str]) -> None:
    write(Path("c/a.bin"), b"\0")
    write(Path("c/b.txt"))
    with pytest.raises(DataError, match="binary"):
        read(*names)


def test_a_file_that_was_named_is_read_even_if_a_folder_would_leave_it_out() -> None:
    write(Path(".notes"), "kept")
    assert read(".notes") == (["kept"], {})


def test_standard_input_is_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, codecs.BOM_UTF8 + b"typed\r\nin\n")
    write(Path("a.txt"), "a")
    assert read("a.txt", "-")[0] == ["a", "typed\nin\n"]


def test_a_binary_standard_input_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, b"ab\0")
    with pytest.raises(DataError, match="at byte 2") as caught:
        read("-")
    assert caught.value.where == "standard input"


@pytest.mark.parametrize("name", ["nowhere.txt", "no/where", "*.nothing", "x" * 5000, "", "a\0b", "../../pyproject"])
def test_a_name_of_nothing_is_refused_with_what_could_be_given(name: str) -> None:
    with pytest.raises(DataError, match="no such file, folder or corpus card") as caught:
        read(name)
    assert caught.value.where == name
    assert "standard input" in str(caught.value.hint)


def test_a_folder_comes_before_a_card_of_the_same_name() -> None:
    write(Path("python/a.txt"), "mine")
    assert read("python")[0] == ["mine"]


def test_a_source_is_known_by_its_path_size_and_time_or_by_its_content() -> None:
    path = write(Path("a.txt"), "a")
    source = Source("a.txt", path.absolute())
    before = source.stamp()
    assert source.stamp() == before
    write(path, "ab")
    assert source.stamp() != before
    assert Source("x", data=b"a").stamp() == Source("x", data=b"a").stamp() != Source("x", data=b"b").stamp()


# Guesses


def guess_of(*names: str, kind: str | None = None) -> tuple[str, str]:
    sources, card = find_sources(names, LeftOut())
    return guess(sources, kind, card, "utf-8")


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
    assert guess_of(f"c/{name}") == guess_of("c") == expected


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
