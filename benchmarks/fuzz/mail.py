"""Damaged mail: mailboxes, single mails and Maildirs, as they are learned, and a mail on standard input to be answered."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

from fuzz.damage import damaged
from fuzz.target import Case, Target
from seqgen.errors import DataError
from seqgen.mail.typed import read_message
from seqgen.sources.base import Asking, LeftOut, Source
from seqgen.sources.exchanges import convert_exchanges
from seqgen.sources.finding import find_sources

MAILDIR = "maildir"
"""The name of an input whose mails become the files of a Maildir."""
_FROM = b"From anna@berg.example Mon Mar  4 09:12:00 2024\n"
PLAIN = b"""From: Anna Berg <anna@berg.example>
To: tom@gray.example
Date: Mon, 4 Mar 2024 09:12:00 +0100
Subject: =?utf-8?q?Ladder_f=C3=BCr_Tom?=
Message-ID: <one@berg.example>

Dear Tom,

is the ladder there? Call 0171 5551234 or see https://x.example/a.

Best regards,
Anna
--\x20
Anna Berg, Roofs
"""
ANSWER = b"""From: "Gray, Tom" <tom@gray.example>
Subject: Re: Ladder
Message-ID: <two@gray.example>
In-Reply-To: <one@berg.example>
References: <zero@berg.example> <one@berg.example>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain; charset=utf-8; format=flowed
Content-Transfer-Encoding: quoted-printable

Yes, it is sch=C3=B6n =
and here.

On 4 Mar 2024, at 09:12, Anna Berg <anna@berg.example> wrote:
> is the ladder there?
>> Really?

--c
Content-Type: text/html; charset=iso-8859-1
Content-Transfer-Encoding: base64

PHA+SGk8L3A+PGJsb2NrcXVvdGU+eTwvYmxvY2txdW90ZT4=
--c--
--b
Content-Type: application/pdf; name*0*=utf-8''a; name*1=b
Content-Disposition: attachment; filename="a.pdf"

AAAA
--b--
"""
PAGE = b"""From: =?utf-8?q?A=C3=A4?= <a@x.example>
Message-ID: <three@x.example>
References: <two@gray.example>
Content-Type: text/html; charset=gb2312

<div class=gmail_signature>\xc4\xe3<table><tr><td>a<td>b</table><ol><li value=3>x</ol></div><p>Thank you, Tom.
<div class="gmail_quote"><blockquote>Yes, it is</blockquote></div>
"""
PIECES = (
    *(b"--b\n", b"--c--\n", b"=?utf-8?b?a?=", b"=?x?q?=ZZ?=", b"=?utf-8?q?" + b"a" * 5000, b"charset=idna"),
    *(b"charset=punycode", b"charset=hex", b"charset=utf-7", b"charset*=''x", b"charset=utf-16", b"multipart/"),
    *(b"message/rfc822", b"text/", b"\n> " * 300, b"Content-Type: "),
    *(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" * 50, b"\nFrom ", b"boundary*0=", b"*", b"(" * 300, b"@"),
    *(b">" * 3000, b"Content-Transfer-Encoding: base64\n", b"Content-Transfer-Encoding: x-uuencode\n"),
    *(b"begin 644 a\n", b"+AAA", b"<table>" * 30, b"&#55555;", b"<?xml encoding='x'?>", b"\xc2\x85"),
    *(b"filename*=utf-8''%ff", b"<li value=\xc2\xb2>", b"-----BEGIN PGP MESSAGE-----", b"Date: 99 99 99999\n"),
    *(b"In-Reply-To: <one@berg.example>\n", b"Message-ID: <one@berg.example>\n", b"References: " + b"<a@b> " * 500),
    *(b"\n\n" + _FROM, b"a\n\n" * 500, b"Am 4.3.2024 um 9:12 schrieb T <t@x.example>:\n> Hallo\n", b"-- \n"),
    *(b"________________________________\nFrom: a\nSent: b\nTo: c\n",),
)  # fmt: skip


def specimens() -> list[Case]:
    """A thread of three mails as a mailbox and as a Maildir, and each of them alone."""
    box = b"".join(_FROM + each + b"\n" for each in (PLAIN, ANSWER, PAGE))
    crossed = box.replace(b"\n", b"\r\n")
    mails = [Case(f"{number}.eml", data) for number, data in enumerate((PLAIN, ANSWER, PAGE), 1)]
    return [Case("all.mbox", box), Case("crossed.mbox", crossed), Case(MAILDIR, box), *mails]


def mutate(case: Case, specimens: Sequence[Case], draw: random.Random) -> Case:
    """Pieces are put in, taken out and doubled."""
    return damaged(case, draw, pieces=PIECES)


def run(case: Case) -> None:
    """Reads it as mail to learn from, where one pair is enough, and as a message to answer. What is read can be written."""
    shutil.rmtree("mail", ignore_errors=True)
    if case.name == MAILDIR:
        home = Path("mail", "cur")
        home.mkdir(parents=True)
        for number, each in enumerate(case.data.split(_FROM)[1:]):
            (home / f"{number}.host:2,S").write_bytes(each)
    else:
        home = Path("mail")
        home.mkdir()
        (home / case.name).write_bytes(case.data)
    with contextlib.suppress(DataError):
        read_message(case.data)
    left_out = LeftOut()
    sources, _ = find_sources(("mail",), left_out)
    for mask in (False, True):
        _convert(sources, left_out, Asking(mask=mask))


def _convert(sources: list[Source], left_out: LeftOut, asking: Asking) -> None:
    for _, text in convert_exchanges(sources, left_out, asking):
        if isinstance(text, str):
            text.encode()
            assert "\0" not in text, "a zero byte came through"


MAIL = Target("mail", "mailboxes, mails and Maildirs", specimens, mutate, run, frozenset({".mbox", ".eml"}))
