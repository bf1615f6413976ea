"""Whatever bytes are given for mail, letters come out of them, or an error that a person can act on."""

from __future__ import annotations

import functools
import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.errors import DataError
from seqgen.mail import letters
from seqgen.mail.letters import Letter, read_letters
from seqgen.mail.typed import read_message
from tests.test_mail_letters import mail, mbox, mixed

BOTH = mixed(
    b"--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\nContent-Type: text/plain; charset=utf-8; format=flowed\n"
    b"Content-Transfer-Encoding: quoted-printable\n\nsch=C3=B6n \n\nAm 4.3.2024 um 9:12 schrieb T <t@x.example>:\n> Hallo\n"
    b"--c\nContent-Type: text/html; charset=iso-8859-1\nContent-Transfer-Encoding: base64\n\nPHA+SGk8L3A+\n--c--\n"
    b"--b\nContent-Type: application/pdf; name*0*=utf-8''a; name*1=b\nContent-Disposition: attachment\n\nAAAA\n",
)
PAGE = mail(
    b"<div class=gmail_signature>\xc4\xe3<table><tr><td>a<td>b</table><ol><li value=3>x</ol></div><blockquote>y",
    {
        "Content-Type": "text/html; charset=gb2312",
        "References": "<a@x> <b@x>",
        "From": "=?utf-8?q?A=C3=A4?= <a@x.example>",
    },
)
SEEDS = [BOTH, PAGE, mbox(PAGE, mail("Yes.\n"), BOTH)]
PIECES = [
    *(
        b"\0",
        b"\xff",
        b"\n",
        b"\n\n",
        b"\r",
        b"=",
        b"?",
        b"--b\n",
        b"--c--\n",
        b";",
        b'"',
        b"<",
        b">",
        b":",
        b" ",
        b"\x80",
        b"%",
    ),
    *(
        b"=?utf-8?b?a?=",
        b"=?x?q?=ZZ?=",
        b"charset=idna",
        b"charset=punycode",
        b"charset=hex",
        b"charset=utf-7",
        b"charset*=''x",
    ),
    *(
        b"charset=utf-16",
        b"multipart/",
        b"message/rfc822",
        b"text/",
        b"Content-Type: ",
        b"From ",
        b"boundary*0=",
        b"*",
        b"(",
        b"@",
    ),
    *(
        b"Content-Transfer-Encoding: base64\n",
        b"Content-Transfer-Encoding: x-uuencode\n",
        b"+AAA",
        b"<table>",
        b"&#55555;",
    ),
    *(
        b"<?xml encoding='x'?>",
        b"\xc2\x85",
        b"filename*=utf-8''%ff",
        b"<li value=\xc2\xb2>",
        b"\\",
        b"-----BEGIN PGP MESSAGE-----",
    ),
]


def read(data: bytes) -> list[Letter]:
    """The letters of a file; nothing but a DataError may be raised."""
    try:
        return list(read_letters(lambda: io.BytesIO(data), "a file", lambda place, reason: None))
    except DataError as error:
        assert error.hint
        return []


def changed(data: bytes, seed: int, times: int) -> bytes:
    """A mail with pieces put in, taken out and repeated at random."""
    chance = random.Random(seed)
    mutable = bytearray(data)
    for _ in range(times):
        start, other = chance.randrange(len(mutable) + 1), chance.randrange(len(mutable) + 1)
        piece = [chance.choice(PIECES), chance.randbytes(3), bytes(mutable[other : other + chance.randrange(200)])]
        mutable[start : start + chance.choice([0, 0, chance.randrange(20)])] = chance.choice(piece)
    return bytes(mutable)


CHANGED = st.builds(changed, st.sampled_from(SEEDS), st.integers(0, 1 << 30), st.sampled_from([1, 3, 10, 40]))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: b"From: a\n" + data))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    read(data)


@settings(max_examples=600, deadline=None)
@given(CHANGED)
def test_a_damaged_mail_is_read_or_refused_and_its_letters_can_be_written(data: bytes) -> None:
    for letter in read(data):
        assert letter.text
        for text in (letter.text, letter.quoted):
            text.encode()
            assert "\0" not in text


@settings(max_examples=200, deadline=None)
@given(CHANGED | st.binary(max_size=100))
def test_a_damaged_mail_on_standard_input_is_read_or_refused(data: bytes) -> None:
    try:
        read_message(data)
    except DataError as error:
        assert error.where
        assert error.hint


def test_little_of_damaged_mail_fails_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that nobody foresaw are caught for each mail; here they are counted, so that they hide nothing."""
    failed: list[Exception] = []

    @functools.wraps(letters._read)
    def spy(data: bytes, place: str, leave_out: letters.LeaveOut) -> Letter | str:
        try:
            return read_one(data, place, leave_out)
        except Exception as error:
            failed.append(error)
            raise

    read_one = letters._read
    monkeypatch.setattr(letters, "_read", spy)
    for seed in range(600):
        read(changed(SEEDS[seed % 3], seed, 10))
    assert len(failed) <= 6


def test_an_unforeseen_error_costs_its_mail_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(message: object) -> str:
        raise AttributeError("secret")

    left_out = []
    data = mbox(mail("One.\n"), mail("Two.\n", List_Id="<x>"))
    monkeypatch.setattr(letters, "body", fail)
    list(read_letters(lambda: io.BytesIO(data), "a.mbox", lambda place, reason: left_out.append((place, reason))))
    assert left_out == [
        ("a.mbox, message 1", "message that cannot be read"),
        ("a.mbox, message 2", "mailing list or newsletter"),
    ]


@pytest.mark.parametrize("library", ["inscriptis", "quotequail"])
def test_a_library_that_is_missing_is_named_with_what_brings_it(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(DataError) as error:
        list(read_letters(lambda: io.BytesIO(PAGE), "a.eml", lambda place, reason: None))
    assert error.value.what == f"the library for mail is missing ({library})"
    assert error.value.hint == "Install the extra: pip install 'seqgen[mail]'"
