"""Mailboxes, single mails and Maildirs become letters, whatever their headers look like."""

from __future__ import annotations

import io
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest

from seqgen.errors import DataError
from seqgen.mail import splitting
from seqgen.mail.letters import BROKEN, NO_TEXT, TOO_LONG, Letter, read_letters
from seqgen.sources.base import Asking, LeftOut, Source
from seqgen.sources.exchanges import convert_exchanges

HEADERS = {"From": "Anna Berg <Anna@Berg.example>", "Subject": "Ladder", "Message-ID": "<one@berg.example>"}


def mail(text: str | bytes = "The ladder is here.\n", headers: dict[str, str] | None = None, **more: str) -> bytes:
    """A mail; "_" in the name of a header is "-", and an empty value leaves it out."""
    lines = {**HEADERS, **(headers or {}), **{name.replace("_", "-"): value for name, value in more.items()}}
    head = "".join(f"{name}: {value}\n" for name, value in lines.items() if value)
    return head.encode("utf-8", "surrogateescape") + b"\n" + (text.encode() if isinstance(text, str) else text)


def mbox(*mails: bytes) -> bytes:
    return b"".join(b"From anna@berg.example Mon Mar  4 09:12:00 2024\n" + each + b"\n" for each in mails)


def read(data: bytes, name: str = "a.mbox") -> tuple[list[Letter], list[tuple[str, str]]]:
    """The letters, and what was left out with its reason."""
    left_out: list[tuple[str, str]] = []
    letters = list(read_letters(lambda: io.BytesIO(data), name, lambda place, reason: left_out.append((place, reason))))
    return letters, left_out


def only(data: bytes) -> Letter:
    letters, left_out = read(data, "a.eml")
    assert len(letters) == 1, left_out
    return letters[0]


def reason(data: bytes) -> str:
    letters, left_out = read(data, "a.eml")
    assert letters == []
    [(_, why)] = left_out
    return why


def test_a_mail_is_a_letter_with_all_that_threads_need() -> None:
    data = mail(
        "Yes.\n\nOn 4 Mar 2024, at 09:12, Tom <tom@gray.example> wrote:\n> Is it there?\n",
        In_Reply_To="<two@gray.example>",
        References="<three@berg.example> <two@gray.example>",
    )
    assert only(data) == Letter(
        message_id="one@berg.example",
        parents=("two@gray.example", "three@berg.example"),
        sender="anna@berg.example",
        text="Yes.",
        quoted="Is it there?",
        name="a.eml",
    )


def test_a_mailbox_is_read_mail_by_mail_and_its_letters_are_numbered() -> None:
    letters, left_out = read(mbox(mail("One.\n"), mail(""), mail("Three.\n")))
    assert [(letter.text, letter.name) for letter in letters] == [
        ("One.", "a.mbox, message 1"),
        ("Three.", "a.mbox, message 3"),
    ]
    assert left_out == [("a.mbox, message 2", NO_TEXT)]


def test_a_mail_that_does_not_end_in_an_empty_line_ends_before_the_next() -> None:
    letters, _ = read(mbox(mail("One."), mail("Two.")))
    assert [letter.text for letter in letters] == ["One.", "Two."]


def test_line_ends_of_windows_change_nothing() -> None:
    data = mbox(mail("One.\n\nAnd more.\n"), mail("Two.\n"))
    expected = [letter.text for letter in read(data)[0]]
    assert (
        [letter.text for letter in read(data.replace(b"\n", b"\r\n"))[0]] == expected == ["One.\n\nAnd more.", "Two."]
    )


def test_the_letters_of_a_maildir_answer_letters_in_other_files(tmp_path: Path) -> None:
    path = tmp_path / "box" / "cur" / "1204680122.1.host:2,S"
    path.parent.mkdir(parents=True)
    path.write_bytes(mail("Is it there?\n", From="tom@gray.example", Message_ID="<two@x>"))
    asked = Source(str(path), path, inside=path.name)
    answer = Source("a.eml", data=mail("Yes.\n", In_Reply_To="<two@x>"))
    found = list(convert_exchanges([asked, answer], LeftOut(), Asking(least=1)))
    assert [text for _, text in found] == ["Is it there?\x1fYes.\x1d"]


def test_an_escaped_from_is_turned_back_once_and_an_unescaped_one_in_a_text_splits_no_mail() -> None:
    text = ">From here on.\n>>From there.\n\nFrom now on we walk.\nIt is near.\n"
    letters, _ = read(mbox(mail(text), mail("Two.\n")))
    assert letters[0].text == "From here on.\n\nFrom now on we walk.\nIt is near."
    assert letters[0].quoted == "From there."
    assert letters[1].text == "Two."


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("Anna Berg <Anna@Berg.example>", "anna@berg.example"),
        ("anna@berg.example (Anna)", "anna@berg.example"),
        ("=?utf-8?B?QW5uYSBCw6RyZw==?= <anna@berg.example>", "anna@berg.example"),
        ('"Berg, Anna" <anna@berg.example>', "anna@berg.example"),
        ("=?utf-8?Q?broken <anna@berg.example>", "anna@berg.example"),
        ("=?no-such?Q?A=E4?= <anna@berg.example>", "anna@berg.example"),
        ("Anna", ""),
        ("<>", ""),
    ],
)
def test_the_sender_is_the_bare_address(written: str, address: str) -> None:
    assert only(mail(From=written, headers={"Date": "today"})).sender == address


@pytest.mark.parametrize(
    "written",
    [
        "=?utf-8?Q?J=C3=BCrgen_Fu=C3=9F?= <j@x.example>",
        "=?iso-8859-1?Q?J=FCrgen?= =?iso-8859-1?B?IEZ133M=?= <j@x.example>",
        "Jürgen Fuß <j@x.example>",
        b"J\xfcrgen Fu\xdf <j@x.example>".decode("utf-8", "surrogateescape"),
        "<juergen.jürgen@x.example>",
    ],
)
def test_a_name_in_any_encoding_is_known_for_the_signature_that_it_is(written: str) -> None:
    assert only(mail("It is here.\n\nJürgen\n", From=written)).text == "It is here."


@pytest.mark.parametrize(
    ("headers", "own", "parents"),
    [
        ({"Message-ID": ""}, "", ()),
        ({"Message-ID": "no brackets"}, "", ()),
        ({"Message-ID": "bare@x"}, "bare@x", ()),
        ({"In-Reply-To": "<one@berg.example>", "References": "<one@berg.example>"}, "one@berg.example", ()),
        ({"In-Reply-To": "Your mail of Monday <b@x>"}, "one@berg.example", ("b@x",)),
        ({"References": "<c@x>\n <b@x>\n\t<a@x>"}, "one@berg.example", ("a@x", "b@x", "c@x")),
        ({"References": "<<b@x>> <> < > <a@x"}, "one@berg.example", ("b@x",)),
    ],
)
def test_ids_are_read_out_of_broken_headers_and_no_letter_is_its_own_parent(
    headers: dict[str, str], own: str, parents: tuple[str, ...]
) -> None:
    letter = only(mail(headers=headers))
    assert letter.message_id == own
    assert letter.parents == parents


def test_of_a_very_long_list_of_ids_the_nearest_are_read() -> None:
    letter = only(mail(References=" ".join(f"<{number}@x>" for number in range(5000))))
    assert letter.parents[:2] == ("4999@x", "4998@x")
    assert 500 < len(letter.parents) < 2000


def attached(name: str, size: int = 60) -> bytes:
    head = f'--b\nContent-Type: application/pdf\nContent-Disposition: attachment; filename="{name}"\n'
    return head.encode() + b"Content-Transfer-Encoding: base64\n\n" + b"QUJD" * 15 * (size // 60) + b"\n"


def mixed(*parts: bytes, kind: str = "mixed") -> bytes:
    return mail(b"".join(parts) + b"--b--\n", Content_Type=f"multipart/{kind}; boundary=b")


def test_attachments_are_counted_and_never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    get_payload = Message.get_payload

    def spy(self: Message, i: int | None = None, decode: bool = False) -> object:
        decoded.append(self.get_content_type())
        return get_payload(self, i, decode)  # type: ignore[call-overload]

    monkeypatch.setattr(Message, "get_payload", spy)
    inner = b"--b\nContent-Type: message/rfc822\n\n" + mail("Secret.\n")
    notes = b'--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename="secret.txt"\n\nSecret.\n'
    shown = notes.replace(b"attachment;", b"inline;")
    letters, left_out = read(mixed(b"--b\n\nSee these.\n", attached("secret.pdf"), notes, shown, inner), "a.eml")
    assert [letter.text for letter in letters] == ["See these."]
    assert left_out == [(f"a.eml, attachment {number}", "attachment") for number in (1, 2, 3, 4)]
    assert "application/pdf" not in decoded
    assert "text/plain" in decoded


def test_no_more_than_a_part_of_a_huge_attachment_is_held_and_what_follows_it_is_read() -> None:
    size = 30_000_000
    line = attached("a.pdf", size)
    lines = attached("a.pdf") + b"QUJD" * 15 * 1000 + b"\n" + (b"QUJD" * 15 + b"\n") * (size // 61)
    data = mbox(mixed(line, lines, b"--b\n\nSee these.\n"), mail("Two.\n"))
    held = [len(message) for _, message in splitting.messages(lambda: io.BytesIO(data), "a.mbox")]
    assert held[0] < 3 * splitting.MAX_PART
    assert [letter.text for letter in read(data)[0]] == ["See these.", "Two."]


@pytest.mark.parametrize(
    ("data", "name", "what"),
    [
        (b"", "a.eml", "this file is empty, and no mail"),
        (b"\r\n\n", "a.mbox", "this file is empty, and no mail"),
        (b"Dear diary,\nsecret: none\n", "a.eml", "no mail: it does not begin with headers"),
        (b"\xff\xd8\xff\xe0", "a.eml", "no mail: it does not begin with headers"),
        (mail("Secret.\n"), "a.mbox", 'no mailbox: its first line does not begin with "From "'),
        (b"Note: secret\n\nBring milk.\n", "a.eml", "no mail that can be read"),
    ],
)
def test_a_file_that_is_no_mail_says_what_it_lacks_and_not_what_is_in_it(data: bytes, name: str, what: str) -> None:
    with pytest.raises(DataError) as error:
        read(data, name)
    assert error.value.what == what
    assert error.value.where == name
    assert error.value.hint
    assert "ecret" not in str(error.value)


def test_a_file_that_cannot_be_opened_says_why() -> None:
    def gone() -> io.BytesIO:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(DataError, match="cannot be read: No such file or directory"):
        list(read_letters(gone, "a.eml", lambda place, why: None))


def test_letters_come_one_by_one_and_the_next_is_not_read_before_it_is_asked_for() -> None:
    file = io.BytesIO(mbox(*(mail("word " * 100 + "\n") for _ in range(100))))
    letters: Iterator[Letter] = read_letters(lambda: file, "a.mbox", lambda place, why: None)
    next(letters)
    assert file.tell() < 3000


def test_a_byte_order_mark_and_empty_lines_before_the_headers_are_forgiven() -> None:
    assert only(b"\xef\xbb\xbf\r\n\n" + mail("One.\n")).text == "One."


def test_nul_bytes_leave_no_trace() -> None:
    letter = only(mail(b"It\0 is\0 here.\0\n", From="An\0na <anna@berg.example>"))
    assert (letter.text, letter.sender) == ("It is here.", "anna@berg.example")


def test_a_text_that_is_too_long_is_left_out_rather_than_cut() -> None:
    assert reason(mail("word " * 4001 + "\n")) == TOO_LONG
    assert len(only(mail("word " * 3999 + "\n")).text) == 5 * 3999 - 1


@pytest.mark.parametrize("depth", [3, 99, 150, 500, 5000])
def test_deeply_nested_parts_are_read_or_left_out(depth: int) -> None:
    nested = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (each, each) for each in range(depth))
    head = mail().partition(b"\n\n")[0] + b"\n"
    letters, left_out = read(mbox(head + nested + b"\nIt is here.\n", mail("Two.\n")))
    assert letters[-1].text == "Two."
    if depth < 100:
        assert [letter.text for letter in letters] == ["It is here.", "Two."]
    else:
        assert left_out == [("a.mbox, message 1", BROKEN)]
