"""Which messages are no letters from somebody to somebody, and why."""

from __future__ import annotations

import re
from email.message import Message

from seqgen.mail.bodies import is_attached, parts
from seqgen.mail.charsets import decode_words, header

LIST = "mailing list or newsletter"
AUTOMATIC = "automatic reply"
BOUNCE = "bounce or delivery report"
INVITATION = "calendar invitation"
ENCRYPTED = "encrypted mail"
DELETED = "deleted mail"

_LIST_HEADERS = ("List-Id", "List-Unsubscribe", "List-Post")
_ANSWERED_BY_PROGRAM = ("X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Autoreply-From")
_AWAY = re.compile(
    r"\s*(?:automatic reply|auto(?:matic)?[- ]?(?:re(?:ply|sponse)|: )|out of (?:the )?office|i am out of (?:the )?office"
    r"|abwesenheit(?:snotiz|sbenachrichtigung|smeldung)?\b|automatische (?:antwort|beantwortung)|nicht im (?:büro|haus)"
    r"|réponse automatique|absence du bureau|message d['’]absence|respuesta automática|fuera de (?:la )?oficina"
    r"|risposta automatica|fuori (?:sede|ufficio)|automatisch antwoord|afwezigheid|resposta automática|autosvar)",
    re.IGNORECASE,
)
_POSTMASTER = re.compile(r"(?:^|[<\s])(?:mailer-daemon|postmaster|mail-daemon)(?:@|$)", re.IGNORECASE)
_ERASED = 0x8
"""The bit in X-Mozilla-Status of what Thunderbird has deleted, and not yet taken out of the file."""
_SEALED = {"application/pkcs7-mime", "application/x-pkcs7-mime"}


def refusal(headers: Message) -> str:
    """Why a message with these headers is no letter; empty where it is one."""
    precedence = _value(headers, "Precedence")
    if _is_report(headers):
        return BOUNCE
    if _is_automatic(headers, precedence):
        return AUTOMATIC
    if any(name in headers for name in _LIST_HEADERS) or precedence in ("list", "bulk", "junk"):
        return LIST
    if "".join(_value(headers, "Return-Path").split()) == "<>" or _POSTMASTER.search(_value(headers, "From")):
        return BOUNCE
    return DELETED if _is_deleted(headers) else ""


def refusal_of_parts(message: Message) -> str:
    """Why a message with these parts is no letter; empty where it is one."""
    for part in parts(message):
        content_type = part.get_content_type()
        if content_type == "text/calendar" and (
            part is message or "attachment" not in _value(part, "Content-Disposition")
        ):
            return INVITATION
        if content_type in _SEALED or (message.get_content_type() == "multipart/encrypted"):
            return ENCRYPTED
        if content_type == "text/plain" and not is_attached(part) and _is_sealed(part):
            return ENCRYPTED
    return ""


def _is_report(headers: Message) -> bool:
    return headers.get_content_type() == "multipart/report" or "X-Failed-Recipients" in headers


def _is_automatic(headers: Message, precedence: str) -> bool:
    """Whether a program has written this: only Exchange's own header for "do not answer" is a hint, and not a proof."""
    submitted = _value(headers, "Auto-Submitted")
    return (
        (submitted != "" and not submitted.startswith("no"))
        or precedence == "auto_reply"
        or any(name in headers for name in _ANSWERED_BY_PROGRAM)
        or bool({"all", "oof"} & set(re.findall(r"\w+", _value(headers, "X-Auto-Response-Suppress"))))
        or _AWAY.match(decode_words(_value(headers, "Subject"))) is not None
    )


def _is_deleted(headers: Message) -> bool:
    try:
        return bool(int(_value(headers, "X-Mozilla-Status") or "0", 16) & _ERASED)
    except ValueError:
        return False


def _is_sealed(part: Message) -> bool:
    payload = part.get_payload(decode=True)
    return isinstance(payload, bytes) and payload.lstrip().startswith(b"-----BEGIN PGP MESSAGE-----")


def _value(headers: Message, name: str) -> str:
    """A header in lower case without white space around it, no more than its beginning."""
    return header(headers, name)[:1000].strip().lower()
