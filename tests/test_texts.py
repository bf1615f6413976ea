"""Bytes become text in chunks, and it is the same text however they are cut."""

from __future__ import annotations

import codecs
import io
import re
from encodings.aliases import aliases
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.errors import DataError, UsageError
from seqgen.sources import Source, base, check_encoding, texts
from seqgen.sources.texts import read_text
from tests.sources import not_hanging, read, write

CHUNKS = [1, 2, 3, 7, 1 << 22]
in_chunks = pytest.mark.parametrize("chunk", CHUNKS)
MARKS = [
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
]


def decode(data: bytes, encoding: str = "utf-8", chunk: int = 1 << 22, name: str = "f") -> str:
    """The text of some bytes that are read so many at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "CHUNK", chunk)
        pieces = list(texts.decode(io.BytesIO(data), encoding, name))
    assert all(pieces)
    return "".join(pieces)


@in_chunks
def test_line_ends_become_line_feeds(chunk: int) -> None:
    assert decode(b"a\r\nb\rc\nd\r\n\r\ne\r", chunk=chunk) == "a\nb\nc\nd\n\ne\n"


@in_chunks
@pytest.mark.parametrize(("mark", "encoding"), MARKS)
@pytest.mark.parametrize("asked", ["utf-8", "latin-1", "utf-16"])
def test_a_byte_order_mark_is_dropped_and_overrules_the_encoding(
    mark: bytes, encoding: str, asked: str, chunk: int
) -> None:
    assert decode(mark + "aé€😀\r\n".encode(encoding), asked, chunk) == "aé€😀\n"
    assert decode(mark, asked, chunk) == ""


def test_only_the_mark_at_the_beginning_is_one() -> None:
    assert decode(codecs.BOM_UTF8 + b"a" + codecs.BOM_UTF8) == "a\ufeff"


@in_chunks
@pytest.mark.parametrize(("encoding", "same"), [("utf-16", "utf-16-le"), ("UTF_32", "utf-32-le")])
def test_without_a_mark_the_lower_byte_comes_first(encoding: str, same: str, chunk: int) -> None:
    assert decode("aé€😀\n".encode(same), encoding, chunk) == "aé€😀\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32", "utf-16-le", "gb18030"])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\r\0\ufeff")), chunk=st.sampled_from(CHUNKS))
def test_a_text_is_read_as_it_was_written(encoding: str, text: str, chunk: int) -> None:
    assert decode(text.encode(encoding), encoding, chunk) == text


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252", "utf-16", "utf-32-be", "gb18030", "shift_jis"])
@given(
    data=st.lists(
        st.sampled_from([b"\r", b"\n", b"\r\n", "é€😀".encode(), "é文".encode("gb18030")]) | st.binary(), max_size=8
    ),
    chunk=st.integers(1, 9),
)
def test_any_bytes_give_the_text_or_the_error_of_the_whole_however_they_are_cut(
    encoding: str, data: list[bytes], chunk: int
) -> None:
    whole = b"".join(data).replace(b"\0", b"a")
    if any(whole.startswith(mark) for mark, _ in MARKS):
        return
    asked = encoding + "-le" * (encoding == "utf-16")
    try:
        expected = whole.decode(asked).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        place = re.escape(f"at byte {error.start} (0x{whole[error.start]:02x})")
        with pytest.raises(DataError, match=f"not {asked} {place}"):
            decode(whole, encoding, chunk)
    else:
        assert decode(whole, encoding, chunk) == expected


@in_chunks
@pytest.mark.parametrize(
    ("data", "place"), [(b"\0", 0), (b"abc\0d\0", 3), (codecs.BOM_UTF8 + b"ab\0", 5), (b"a" * 60_000 + b"\0", 60_000)]
)
def test_a_zero_byte_is_refused_with_its_place(data: bytes, place: int, chunk: int) -> None:
    with pytest.raises(DataError, match=f"binary.* at byte {place}\\b") as caught:
        decode(data, chunk=chunk, name="photo.jpg")
    assert caught.value.where == "photo.jpg"


@in_chunks
@pytest.mark.parametrize("probe", range(1, 20))
def test_a_zero_byte_behind_the_beginning_is_a_character(
    chunk: int, probe: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "_BINARY_PROBE", probe)
    assert decode(b"a" * probe + b"\0", chunk=chunk) == "a" * probe + "\0"
    with pytest.raises(DataError, match=f"at byte {probe - 1}\\b"):
        decode(b"a" * (probe - 1) + b"\0", chunk=chunk)


@pytest.mark.parametrize("encoding", ["utf-16-le", "UTF_16LE", "U32"])
def test_the_zero_bytes_of_wide_characters_make_no_binary_file(encoding: str) -> None:
    assert decode("abc".encode(encoding), encoding) == "abc"


@in_chunks
@pytest.mark.parametrize(
    ("data", "place", "byte"),
    [
        (b"caf\xe9 noir", 3, "e9"),
        (codecs.BOM_UTF8 + b"a\xff", 4, "ff"),
        (b"ab\xe2\x82", 2, "e2"),
        ("é€😀".encode() * 9 + b"\xf0\x9f\x98x", 81, "f0"),
    ],
)
def test_what_is_not_of_the_encoding_is_refused_with_file_byte_and_a_way_out(
    data: bytes, place: int, byte: str, chunk: int
) -> None:
    with pytest.raises(DataError, match=rf"not utf-8 at byte {place} \(0x{byte}\)") as caught:
        decode(data, chunk=chunk, name="menu.txt")
    assert caught.value.where == "menu.txt"
    assert "--encoding latin-1" in str(caught.value.hint)


def test_latin_1_is_an_error_until_it_is_named() -> None:
    write(Path("menu.txt"), "café\r\nthé\n".encode("latin-1"))
    with pytest.raises(DataError, match="at byte 3"):
        read("menu.txt")
    assert read("menu.txt", encoding="latin-1") == (["café\nthé\n"], {})


def test_a_text_comes_before_all_of_it_has_been_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "CHUNK", 1000)
    file = io.BytesIO(b"no line feed " * 10_000)
    chunks = texts.decode(file, "utf-8", "f")
    assert next(chunks).startswith("no line feed")
    assert file.tell() < 3000
    assert max(map(len, chunks)) <= 1000


def test_of_nothing_comes_nothing() -> None:
    assert decode(b"") == ""
    assert list(read_text(Source("x"), "utf-8")) == []


class _Broken(io.BytesIO):
    """A file on a disk that fails after its beginning."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() > 10:
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_a_file_that_fails_while_it_is_read_is_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_broken(path: str) -> BinaryIO:
        return _Broken(b"some words " * 10)

    write(Path("c/a.txt"))
    monkeypatch.setattr(base, "open_file", open_broken)
    monkeypatch.setattr(texts, "CHUNK", 20)
    assert read("c") == ([], {"cannot be read: Input/output error": ["a.txt"]})
    with pytest.raises(DataError, match="cannot be read: Input/output error") as caught:
        read("c/a.txt")
    assert caught.value.where == str(Path("c/a.txt"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_a_file_of_terabytes_that_takes_no_room_is_no_text(encoding: str) -> None:
    path = write(Path("a.txt"), ("words, " * 20_000).encode(encoding))
    with path.open("rb+") as file:
        try:
            file.truncate(1 << 40)
        except OSError:
            pytest.skip("no such files on this disk")
    with (
        not_hanging(),
        pytest.raises(DataError, match="nothing but zero bytes at byte"),
    ):
        for _ in read_text(Source("a.txt", path), encoding):
            pass


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "latin-1", "cp1252", "utf-16", "shift_jis", "gb18030"])
def test_common_encodings_are_known(encoding: str) -> None:
    check_encoding(encoding)


@pytest.mark.parametrize(
    "encoding", ["nonsense", "", "rot13", "hex", "utf\0", "zip", "idna", "punycode", "unicode_escape", "undefined"]
)
def test_an_encoding_that_no_file_has_is_refused_with_common_ones(encoding: str) -> None:
    with pytest.raises(UsageError, match="there is no text encoding") as caught:
        check_encoding(encoding)
    assert "cp1252" in str(caught.value.hint)


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_no_encoding_of_python_makes_a_traceback_of_any_bytes(chunk: int) -> None:
    data = bytes(range(1, 256)) + "é€😀".encode() + b"+2A- \x1b$B"
    accepted = 0
    for encoding in {*aliases.values(), "utf_8_sig", "koi8_u", "cp874"}:
        try:
            check_encoding(encoding)
        except UsageError:
            continue
        accepted += 1
        for begin in range(0, 250, 25):
            try:
                assert decode(data[begin:], encoding, chunk)
            except DataError as error:
                assert "at byte" in error.what
    assert accepted > 80
