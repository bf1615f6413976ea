"""The text of a mail, out of whatever parts, encodings and charsets it comes in."""

from __future__ import annotations

import base64
import codecs
import quopri

import pytest

from seqgen.mail import bodies
from seqgen.mail.charsets import decode, decode_words
from seqgen.mail.markup import text_of
from tests.test_mail_letters import mail, mixed, only

WORDS = "Schöne Grüße, déjà vu"
RUSSIAN = "Привет, лестница уже стоит во дворе, приходи завтра утром."


@pytest.mark.parametrize(
    ("data", "declared", "text"),
    [
        (WORDS.encode(), "utf-8", WORDS),
        (WORDS.encode(), None, WORDS),
        (WORDS.encode(), "iso-8859-1", WORDS),
        (WORDS.encode(), "us-ascii", WORDS),
        (WORDS.encode(), "no-such-charset", WORDS),
        (WORDS.encode("latin-1"), "iso-8859-1", WORDS),
        (WORDS.encode("latin-1"), "utf-8", WORDS),
        (WORDS.encode("latin-1"), "x-unknown", WORDS),
        (WORDS.encode("latin-1"), None, WORDS),
        (WORDS.encode("latin-1"), ' "ISO-8859-1" ', WORDS),
        ("“5 €”".encode("cp1252"), "iso-8859-1", "“5 €”"),
        ("5 €".encode("iso8859-15"), "iso-8859-15", "5 €"),
        (RUSSIAN.encode("koi8-r"), "koi8-r", RUSSIAN),
        (RUSSIAN.encode("cp1251"), None, RUSSIAN),
        (RUSSIAN.encode("cp1251"), "utf-8", RUSSIAN),
        ("你好㐀".encode("gb18030"), "gb2312", "你好㐀"),
        ("梯子".encode("iso2022_jp"), "iso-2022-jp", "梯子"),
        (WORDS.encode("utf-16"), "utf-16", WORDS),
        (WORDS.encode(), "utf-16", WORDS),
        (codecs.BOM_UTF8 + WORDS.encode("latin-1"), "utf-8-sig", "\xef\xbb\xbf" + WORDS),
        (WORDS.encode() + b" \xe4", "utf-8", WORDS + " \ufffd"),
        (RUSSIAN.encode() + b"\xff", None, RUSSIAN + "\ufffd"),
        (b"", "utf-8", ""),
    ],
)
def test_bytes_become_the_text_that_was_meant(data: bytes, declared: str | None, text: str) -> None:
    assert decode(data, declared) == text


@pytest.mark.parametrize(
    "declared",
    [
        *("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "hex", "zlib", "rot13", "base64"),
        *("uu", "mbcs", "aliases", "../x", "a\0b", "x" * 10_000, "ü", "", "utf-32", "utf-7", "charmap"),
    ],
)
def test_codecs_of_python_that_no_mail_is_in_neither_hang_nor_fail(declared: str) -> None:
    assert len(decode(b"\xe4" * 1000, declared)) == 1000
    letter = only(mail(b"It is here.\n" + b"\xe4" * 1000, Content_Type=f'text/plain; charset="{declared}"'))
    assert letter.text.startswith("It is here.\n")


@pytest.mark.parametrize("codec", ["unicode_escape", "rot13", "hex"])
def test_a_declared_codec_that_is_no_charset_is_not_used(codec: str) -> None:
    assert decode(rb"a\x41", codec) == r"a\x41"


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("=?utf-8?Q?Sch=C3=B6n?=", "Schön"),
        ("=?utf-8?B?U2Now7Zu?= =?latin1?Q?_gro=DF?= it is", "Schön groß it is"),
        ("=?cp1252?Q?=80?=", "€"),
        ("=?x-no-such?Q?sch=F6n?=", "schön"),
        ("=?utf-8?B?U2Now7Z?=", "Schö"),
        ("=?utf-8?B?U?=", "=?utf-8?B?U?="),
        ("plain", "plain"),
    ],
)
def test_encoded_words_in_headers_are_decoded_and_broken_ones_left(header: str, text: str) -> None:
    assert decode_words(header) == text


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1"])
@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("quoted-printable", quopri.encodestring),
        ("base64", base64.encodebytes),
        ("8bit", bytes),
        ("BASE64", base64.encodebytes),
        ("x-no-such", bytes),
    ],
)
def test_transfer_encodings_are_undone(encoding: str, encode: type[bytes], charset: str) -> None:
    data = encode((WORDS + "\n").encode(charset))
    text = only(mail(data, Content_Type=f"text/plain; charset={charset}", Content_Transfer_Encoding=encoding)).text
    assert text == WORDS


def test_damaged_base64_and_quoted_printable_are_read_as_far_as_they_go() -> None:
    cut = base64.b64encode(b"It is here. And more.")[:-3]
    assert only(mail(cut, Content_Transfer_Encoding="base64")).text.startswith("It is here.")
    assert only(mail("It is=20here=ZZ.=\n", Content_Transfer_Encoding="quoted-printable")).text == "It is here=ZZ."


@pytest.mark.parametrize(
    ("sent", "delsp", "text"),
    [
        ("It is \nhere.\nAnd new.\n", "no", "It is here.\nAnd new."),
        ("long \nwords\n", "yes", "longwords"),
        (" From here\n", "no", "From here"),
        ("It is here.\n-- \nAnna\n", "no", "It is here."),
        ("It is here. \n-- \nAnna\n", "no", "It is here."),
        ("It is \n> quoted\n", "no", "It is"),
    ],
)
def test_flowed_lines_are_joined(sent: str, delsp: str, text: str) -> None:
    assert only(mail(sent, Content_Type=f"text/plain; format=flowed; delsp={delsp}")).text == text


def test_flowed_quotes_are_joined_within_their_depth() -> None:
    letter = only(mail("> It is \n> here, \n>> is it\n> or not\n\nYes.\n", Content_Type="text/plain; format=flowed"))
    assert (letter.text, letter.quoted) == ("Yes.", "It is here,\n\nor not")


PLAIN = b"--b\nContent-Type: text/plain\n\nPlain.\n"
HTML = b"--b\nContent-Type: text/html\n\n<p>Marked &amp; up.</p>\n"


@pytest.mark.parametrize(
    ("kind", "parts", "text"),
    [
        ("alternative", [PLAIN, HTML], "Plain."),
        ("alternative", [HTML, PLAIN], "Plain."),
        ("alternative", [HTML], "Marked & up."),
        ("alternative", [b"--b\nContent-Type: text/plain\n\n \n", HTML], "Marked & up."),
        ("alternative", [b"--b\n\nYour program shows no HTML.\n", HTML], "Marked & up."),
        ("mixed", [PLAIN, HTML], "Plain.\n\nMarked & up."),
        ("related", [HTML], "Marked & up."),
        ("signed", [PLAIN, b"--b\nContent-Type: application/pgp-signature\n\nx\n"], "Plain."),
        ("no-such-subtype", [PLAIN], "Plain."),
    ],
)
def test_the_text_is_taken_from_the_part_that_says_it(kind: str, parts: list[bytes], text: str) -> None:
    assert only(mixed(*parts, kind=kind)).text == text


def test_parts_without_a_last_boundary_and_without_any_are_read() -> None:
    assert only(mail(PLAIN, Content_Type="multipart/mixed; boundary=b")).text == "Plain."
    assert only(mail("Plain.\n", Content_Type="multipart/mixed")).text == "Plain."
    assert only(mail("Plain.\n", Content_Type="nonsense")).text == "Plain."


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>One</p><p>Two<br>three</p>", "One\n\nTwo\nthree"),
        ("<div>One</div><div><br></div><div>Two</div>", "One\n\nTwo"),
        ("<ul><li>bread</li><li>milk</li></ul>", "* bread\n* milk"),
        ("<p>a&nbsp;b &lt;c&gt; &eacute;</p>", "a b <c> é"),
        ("<style>p {}</style><script>x()</script><p>One</p><!-- no -->", "One"),
        ('<?xml version="1.0" encoding="utf-8"?><p>One</p>', "One"),
        ("One<blockquote>Two<blockquote>Three</blockquote></blockquote>Four", "One\n> Two\n> > Three\nFour"),
        ('One<div class="gmail_signature">Anna<br>Berg Ltd</div>', "One"),
        ('<div id="Signature">Anna</div>One', "One"),
        ("<p>One", "One"),
        ("ha<br>ha<br>ha", "ha\nha\nha"),
        ("<br>a<br><br><br><br>b", "a\n\nb"),
        ("", ""),
        ("<!-- nothing -->", ""),
        ("One \ud800 two", "One"),
    ],
)
def test_a_page_becomes_the_plain_text_that_a_mail_would_have(page: str, text: str) -> None:
    found = text_of(page).strip()
    assert found.startswith(text) if "\ud800" in page else found == text


@pytest.mark.parametrize("page", ["<div>" * 50_000 + "x", "<table><tr><td>" * 3000 + "x", "<p>" * 80_000 + "x"])
def test_pages_of_many_levels_fail_nothing(page: str) -> None:
    assert len(text_of(page)) < 10


def test_a_table_stays_readable_and_a_huge_one_is_not_padded() -> None:
    row = "<tr><td>{}</td><td>{}</td></tr>"
    assert text_of(f"<table>{row.format('Monday', 'bread')}{row.format('Tuesday', 'milk')}</table>").split("\n")[
        :2
    ] == [
        "Monday   bread",
        "Tuesday  milk",
    ]
    huge = "<table>" + row.format("a" * 50_000, "b") + row.format("c", "d") * 5000 + "</table>"
    assert text_of(huge).strip().split("\n")[-2:] == ["c", "d"]


def test_no_more_of_a_mail_is_read_than_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = []
    monkeypatch.setattr(bodies, "text_of", lambda page: pages.append(page) or text_of(page))  # type: ignore[func-returns-value]
    page = b"--b\nContent-Type: text/html\n\n" + b"<p>hello there</p>" * 10_000 + b"\n"
    last = b"--b\n\nThe end.\n"
    letter = only(
        mixed(b"--b\n\nIt is here.\n\nOn 4 Mar 2024, at 09:12, Tom <t@x.example> wrote:\n\n", *[page] * 9, last)
    )
    assert (letter.text, letter.quoted) == ("It is here.", "")
    assert 1 < len(pages) < 5
