"""The text of a message: out of its parts the one that was written, decoded; attachments are only counted."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from email.errors import InvalidBase64LengthDefect
from email.message import Message

from seqgen.mail.charsets import decode
from seqgen.mail.markup import text_of

MAX_CHARACTERS = 1 << 18
"""Characters of a text that are read; what somebody wrote is at its beginning."""
_WRITTEN = {"text/plain", "text/html"}
_USELESS = re.compile(r"\bhtml\b|<(?:html|div|p|br|table)\b", re.IGNORECASE)
"""What a plain text says that only tells to look at the other one."""
_USELESS_LENGTH = 300
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_DEPTH = re.compile(">*")


def parts(message: Message) -> Iterator[Message]:
    """The leaves of a message's tree; a message inside it is one of them."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        inner = _inner(part)
        if inner is None:
            yield part
        else:
            waiting += reversed(inner)


def _inner(part: Message) -> list[Message] | None:
    """The parts of one that only holds others together; None for a leaf."""
    if not part.is_multipart() or part.get_content_maintype() != "multipart":
        return None  # without asking for its text, which Python would decode as it is declared, however long it takes
    inner = part.get_payload()
    return [each for each in inner if isinstance(each, Message)] if isinstance(inner, list) else None


def is_attached(part: Message) -> bool:
    """Whether a leaf is no text of the mail itself; one that was to hold parts, and has none, is text."""
    disposition = str(part.get("Content-Disposition", "")).lower()
    return (
        (part.get_content_type() not in _WRITTEN and part.get_content_maintype() != "multipart")
        or disposition.lstrip().startswith("attachment")
        or "filename" in disposition
    )


def body(message: Message) -> str:
    """The text of a message, no more than `MAX_CHARACTERS`; of two forms the plain one, unless it says nothing.

    Raises:
        DataError: a library for it is not installed.
    """
    inner = _inner(message)
    if inner is None:
        return "" if is_attached(message) else _text(message)[:MAX_CHARACTERS]
    if message.get_content_subtype() != "alternative":
        return _joined(inner)
    plain = next((body(part) for part in inner if part.get_content_type() == "text/plain"), "")
    if plain.strip() and not (len(plain) < _USELESS_LENGTH and _USELESS.search(plain)):
        return plain
    others = (body(part) for part in reversed(inner) if part.get_content_type() != "text/plain")
    return next((text for text in others if text.strip()), plain)


def _joined(inner: list[Message]) -> str:
    """The texts of parts that are shown one below the other."""
    text = ""
    for part in inner:
        if len(text) < MAX_CHARACTERS:
            text = "\n\n".join(filter(None, [text, body(part)]))
    return text[:MAX_CHARACTERS]


def _text(part: Message) -> str:
    """The text of a leaf."""
    text = decode(_data(part), _parameter(part, "charset")).replace("\0", "")
    if part.get_content_type() == "text/html":
        return text_of(text)
    if _parameter(part, "format").lower() == "flowed":
        return _flowed(text, _parameter(part, "delsp").lower() == "yes")
    return text


def _data(part: Message) -> bytes:
    """The bytes of a leaf; of base64 that was cut off, what there is."""
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return b""
    if any(isinstance(defect, InvalidBase64LengthDefect) for defect in part.defects):
        data = _NOT_BASE64.sub(b"", data)
        return base64.b64decode(data[: len(data) // 4 * 4])
    return data


def _parameter(part: Message, name: str) -> str:
    """A parameter of the type of a part; empty where there is none, or a broken one."""
    try:
        value = part.get_param(name, "")
    except (ValueError, LookupError):
        return ""
    return str(value[2]) if isinstance(value, tuple) else str(value)


def _flowed(text: str, joined: bool) -> str:
    """Paragraphs as single lines (RFC 3676): a line that ends in a blank goes on in the next one of its depth.

    Args:
        text: as it was sent.
        joined: that blank is not part of the text.
    """
    result: list[str] = []
    open_depth = -1
    for line in text.replace("\r\n", "\n").split("\n"):
        quoted = _DEPTH.match(line)
        depth = quoted.end() if quoted else 0
        line = line[depth:].removeprefix(" ")
        goes_on = line.endswith(" ") and line != "-- "
        line = line[:-1] if goes_on and joined else line
        if depth == open_depth and line != "-- ":
            result[-1] += line
        else:
            result.append(f"{'>' * depth} {line}" if depth else line)
        open_depth = depth if goes_on else -1
    return "\n".join(result)
