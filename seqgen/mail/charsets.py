"""Bytes of a mail -> text, whatever encoding they are said to have."""

from __future__ import annotations

import codecs
import contextlib
import re
from email.errors import HeaderParseError
from email.header import Header, decode_header
from email.message import Message

from seqgen.mail.extras import missing

_NO_CHARSETS = re.compile("idna|punycode|unicode|raw|undefined|mbcs|oem")
"""Codecs of Python that no mail is in; some take very long."""
_WIDER = {
    "ascii": "utf-8",
    "utf-8-sig": "utf-8",
    "iso8859-1": "cp1252",
    "gb2312": "gb18030",
    "euc_kr": "cp949",
    "shift_jis": "cp932",
}
"""What programs write that name the first."""
_LATIN = {"cp1252", "iso8859-15"}
_WIDE = ("utf-16", "utf-32")
_BROKEN = 0.25
"""The share of characters beyond ASCII that a damaged text can have lost; with more it is in another encoding."""
_GUESSES = ["cp1251", "koi8_r", "cp932", "gb18030", "cp949", "big5", "cp1253", "cp1255", "cp1256"]
"""Encodings in which most bytes of a text can lie beyond ASCII."""


def decode(data: bytes, declared: str | None) -> str:
    """The text: in the encoding that it is said to have, in UTF-8, in a guessed one, or in Windows-1252.

    A byte that the encoding does not have becomes U+FFFD.

    Guesses of short texts in Latin letters are wrong as often as right: these are taken for Windows-1252.

    Args:
        data: the bytes.
        declared: the name of an encoding, perhaps unknown or wrong.

    Raises:
        DataError: charset-normalizer is needed and not installed.
    """
    name = _known(declared)
    if name and name.startswith(_WIDE) and b"\0" not in data:
        name = None  # a program has recoded the text, and not said so
    for encoding in ("utf-8", name) if name in _LATIN else (name, "utf-8"):
        with contextlib.suppress(ValueError):
            if encoding:
                return data.decode(encoding)
    for encoding in (name, "utf-8"):
        text = data.decode(encoding, "replace") if encoding else ""
        if text.count("\ufffd") < _BROKEN * sum(character > "\x7f" for character in text):
            return text
    others = sum(byte > 127 for byte in data[:10_000])
    if 3 * others > len(data[:10_000].translate(None, b" \r\n\t")):
        return _guess(data)
    return data.decode("cp1252", "replace")


def header(message: Message, name: str) -> str:
    """The first header of that name; empty where there is none. Raw bytes in it become encoded words."""
    value: object = message.get(name, "")
    return value.encode() if isinstance(value, Header) else str(value)


def decode_words(value: str) -> str:
    """A header with its encoded words (RFC 2047) decoded; as it is where they are broken."""
    try:
        parts = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    return "".join(part if isinstance(part, str) else decode(part, charset) for part, charset in parts)


def _known(declared: str | None) -> str | None:
    """The name of a declared encoding in Python; None where there is none that can be used."""
    try:
        name = codecs.lookup((declared or "").strip("\"' ").lower()).name
        b" ".decode(name, "replace")  # not of nothing, for which no codec is asked
    except (LookupError, ValueError):  # the first also where a codec is not one of text, the second for odd names
        return None
    return None if _NO_CHARSETS.match(name) else _WIDER.get(name, name)


def _guess(data: bytes) -> str:
    try:
        from charset_normalizer import from_bytes
    except ImportError as error:
        raise missing(error) from error
    best = from_bytes(data[:10_000], cp_isolation=_GUESSES).best()
    return data.decode(best.encoding if best else "cp1252", "replace")
