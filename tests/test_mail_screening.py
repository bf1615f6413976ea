"""What no person wrote to a person is left out with its reason, and nothing of its text is told."""

from __future__ import annotations

import pytest

from seqgen.mail.screening import AUTOMATIC, BOUNCE, DELETED, ENCRYPTED, INVITATION, LIST
from tests.test_mail_letters import mail, mixed, only, read, reason

SECRET = "The safe opens with a spoon.\n"
SEALED = "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n"
CALENDAR = b"--b\nContent-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\n"


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"List-Id": "<walks.example>"}, LIST),
        ({"List-Unsubscribe": "<mailto:off@walks.example>"}, LIST),
        ({"Precedence": "bulk"}, LIST),
        ({"precedence": " List "}, LIST),
        ({"Auto-Submitted": "auto-replied"}, AUTOMATIC),
        ({"Auto-Submitted": "auto-generated (by a program)"}, AUTOMATIC),
        ({"X-Autoreply": "yes"}, AUTOMATIC),
        ({"Precedence": "auto_reply"}, AUTOMATIC),
        ({"X-Auto-Response-Suppress": "DR, OOF, AutoReply"}, AUTOMATIC),
        ({"Subject": "Automatic reply: Ladder"}, AUTOMATIC),
        ({"Subject": "Out of Office: Ladder"}, AUTOMATIC),
        ({"Subject": "Abwesenheitsnotiz: Leiter"}, AUTOMATIC),
        ({"Subject": "Automatische Antwort: Leiter"}, AUTOMATIC),
        ({"Subject": "=?utf-8?Q?R=C3=A9ponse_automatique_=3A_=C3=A9chelle?="}, AUTOMATIC),
        ({"Subject": "Réponse automatique : échelle"}, AUTOMATIC),
        ({"Subject": "Respuesta automática: escalera"}, AUTOMATIC),
        ({"Content-Type": "multipart/report; report-type=delivery-status; boundary=b"}, BOUNCE),
        ({"X-Failed-Recipients": "a@b.example"}, BOUNCE),
        ({"Return-Path": "<>"}, BOUNCE),
        ({"Return-Path": "< >"}, BOUNCE),
        ({"From": "Mail Delivery System <MAILER-DAEMON@x.example>"}, BOUNCE),
        ({"From": "postmaster@x.example"}, BOUNCE),
        ({"X-Mozilla-Status": "0009"}, DELETED),
        ({"Content-Type": "application/pkcs7-mime; smime-type=enveloped-data"}, ENCRYPTED),
        ({"Content-Type": "text/calendar"}, INVITATION),
    ],
)
def test_headers_tell_what_is_no_letter(headers: dict[str, str], why: str) -> None:
    assert reason(mail(SECRET, headers)) == why


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto-Submitted": "no"},
        {"X-Auto-Response-Suppress": "DR, RN"},
        {"Subject": "Re: automatic doors"},
        {"Subject": "The office is out of paper"},
        {"Return-Path": "<anna@berg.example>"},
        {"X-Mozilla-Status": "0001"},
        {"X-Mozilla-Status": "none"},
        {"From": "Ann Postmaster-Berg <ann@berg.example>"},
        {"Precedence": "first-class"},
    ],
)
def test_headers_that_look_a_little_like_that_leave_nothing_out(headers: dict[str, str]) -> None:
    assert only(mail(SECRET, headers)).text == SECRET.strip()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (mail(SEALED), ENCRYPTED),
        (mail("\n" + SEALED, Content_Type="text/plain; charset=utf-8"), ENCRYPTED),
        (mixed(b"--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n", kind="encrypted"), ENCRYPTED),
        (mixed(b"--b\n\n" + SECRET.encode(), b"--b\nContent-Type: application/pkcs7-mime\n\nx\n"), ENCRYPTED),
        (mixed(b"--b\n\n" + SECRET.encode(), CALENDAR, kind="alternative"), INVITATION),
    ],
)
def test_parts_tell_what_is_no_letter(data: bytes, why: str) -> None:
    assert reason(data) == why


def test_a_calendar_that_is_attached_makes_no_invitation() -> None:
    calendar = CALENDAR.replace(b"\n\n", b"\nContent-Disposition: attachment; filename=a.ics\n\n", 1)
    assert only(mixed(b"--b\n\n" + SECRET.encode(), calendar)).text == SECRET.strip()


def test_a_signed_mail_is_a_letter_without_its_armour() -> None:
    signed = (
        f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{SECRET}-----BEGIN PGP SIGNATURE-----\n\nx\n"
        "-----END PGP SIGNATURE-----\n"
    )
    assert only(mail(signed)).text == SECRET.strip()


def test_what_is_told_of_left_out_mail_says_nothing_of_what_is_in_it() -> None:
    for headers in ({"List-Id": "<safe.example>"}, {"Subject": "Automatic reply: safe"}, {"Return-Path": "<>"}):
        _, left_out = read(mail(SECRET, headers), "a.eml")
        assert [place for place, _ in left_out] == ["a.eml"]
        assert not any(word in str(left_out) for word in ("safe", "spoon", "Anna", "berg"))
