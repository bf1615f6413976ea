"""A message that somebody hands over to be answered: typed, or a whole mail."""

from __future__ import annotations

import codecs
import io
import re

from seqgen.errors import DataError
from seqgen.mail.letters import read_letters

_HEADER = re.compile(rb"[!-9;-~]{1,70}:[ \t]")
_TELLING = re.compile(rb"^(from|received|subject|date|message-id|return-path|mime-version):", re.I | re.M)
_HEAD = 1 << 14


def read_message(data: bytes) -> str:
    """The text of a message: what its writer wrote where it is a whole mail, else all of it.

    Args:
        data: as it came; a text in UTF-8, or a mail in any encoding that it declares.

    Raises:
        DataError: it is a mail with nothing in it to answer, or no text.
    """
    if _is_mail(data):
        reasons: list[str] = []
        letters = list(read_letters(lambda: io.BytesIO(data), "the mail", lambda name, reason: reasons.append(reason)))
        if not letters:
            raise DataError(
                f"there is nothing to answer in this mail: {reasons[0] if reasons else 'no text'}",
                where="standard input",
                hint="Give the message itself, without headers.",
            )
        return letters[0].text
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"not utf-8 at byte {error.start}", where="standard input", hint="Convert it to UTF-8 first."
        ) from error


def _is_mail(data: bytes) -> bool:
    """Whether it begins with headers, of which two at least are those of a mail."""
    head = data[:_HEAD].removeprefix(codecs.BOM_UTF8).lstrip().replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    lines = head.split(b"\n")
    if lines[0].startswith(b"From "):
        lines = lines[1:]
    begins = bool(lines) and _HEADER.match(lines[0]) is not None
    return begins and len(set(map(bytes.lower, _TELLING.findall(head)))) >= 2
