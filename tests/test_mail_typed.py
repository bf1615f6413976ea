"""A message from standard input is text as it is, or what was written in a whole mail."""

from __future__ import annotations

import codecs

import pytest

from seqgen.errors import DataError
from seqgen.mail.typed import read_message
from tests.test_mail_letters import mail, mbox

DATE = {"Date": "Mon, 4 Mar 2024 09:12:00 +0000"}


@pytest.mark.parametrize(
    "text",
    [
        "Is the ladder there?",
        "Note: bring milk\n\nAnd bread.",
        "Subject: the ladder\n\nIs it there?",
        "Two things:\nFrom: the yard\nDate: tomorrow",
        "To: all\nFrom: Tom\n\nIs it there?",
        "Hi Tom,\n\nthis stays.\n\nBest,\nAnna\n",
        "https://a.example/b",
        "",
    ],
)
def test_a_text_stays_as_it_is_even_where_it_looks_a_little_like_headers(text: str) -> None:
    assert read_message(text.encode()) == text


def test_a_byte_order_mark_is_no_part_of_a_text() -> None:
    assert read_message(codecs.BOM_UTF8 + b"Hello?") == "Hello?"


@pytest.mark.parametrize("wrap", [bytes, mbox, lambda data: data.replace(b"\n", b"\r\n"), lambda data: b"\n" + data])
def test_a_whole_mail_gives_its_cleaned_text(wrap: type[bytes]) -> None:
    text = (
        "Hi Tom,\n\nschön, is it there?\n\nBest,\nAnna\n\nOn 4 Mar 2024, at 09:12, Tom <t@x.example> wrote:\n> Hello\n"
    )
    data = mail(text.encode("latin-1"), Content_Type="text/plain; charset=iso-8859-1", headers=DATE)
    assert read_message(wrap(data)) == "schön, is it there?"
    assert read_message(codecs.BOM_UTF8 + data) == "schön, is it there?"


@pytest.mark.parametrize("first", ["Delivered-To: tom@gray.example", "X-Anything: 1", "Return-Path: <a@b.example>"])
def test_a_mail_may_begin_with_any_header(first: str) -> None:
    assert read_message(first.encode() + b"\n" + mail("Is it there?\n", headers=DATE)) == "Is it there?"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (mail("Secret.\n", Subject="Automatic reply: away"), "automatic reply"),
        (mail("Secret.\n", List_Id="<walks.example>"), "mailing list or newsletter"),
        (mail("\n"), "no text of its own"),
    ],
)
def test_a_mail_with_nothing_to_answer_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(DataError) as error:
        read_message(data)
    assert error.value.what == f"there is nothing to answer in this mail: {why}"
    assert error.value.where == "standard input"
    assert error.value.hint == "Give the message itself, without headers."


def test_bytes_that_are_no_utf_8_are_refused_with_the_first_of_them() -> None:
    with pytest.raises(DataError) as error:
        read_message(b"sch\xf6n")
    assert error.value.what == "not utf-8 at byte 3"
    assert error.value.where == "standard input"
    assert error.value.hint == "Convert it to UTF-8 first."
