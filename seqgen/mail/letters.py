"""Letters: what people wrote to each other by mail, out of mailboxes and files of single messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from typing import BinaryIO

from seqgen.errors import DataError
from seqgen.mail.bodies import body, is_attached, parts
from seqgen.mail.charsets import decode_words, header
from seqgen.mail.cleaning import clean
from seqgen.mail.screening import refusal, refusal_of_parts
from seqgen.mail.splitting import messages

MAX_CHARACTERS = 20_000
"""Characters of the longest text of a letter. A longer one is left out: cut, it would end in the middle of a thought."""
NO_TEXT = "no text of its own"
TOO_LONG = f"longer than {MAX_CHARACTERS:,} characters"
BROKEN = "message that cannot be read"
ATTACHMENT = "attachment"

LeaveOut = Callable[[str, str], None]
"""Takes the name and the reason of what is left out."""

_KNOWN = ("From", "Date", "Message-ID", "Received", "Subject", "To", "Return-Path", "MIME-Version")
_ID = re.compile(r"<([^<>\s]{1,500})>")
_BRACKETED = re.compile(r"<([^<>\s]{1,250}@[^<>\s]{1,250})>")
_ADDRESS = re.compile(r"[^\s<>,;:\"()]{1,250}@[^\s<>,;:\"()]{1,250}")
_LONGEST_HEADER = 10_000
_MOST_MULTIPARTS = 100
"""Boundaries in a message that is read: Python's parser compares each line with all that are open."""


@dataclass(frozen=True)
class Letter:
    """What somebody wrote in a mail.

    Attributes:
        message_id: without its brackets; empty where the mail has none.
        parents: ids of the mails that it may answer, the nearest first.
        sender: the bare address in lower case; empty where there is none.
        text: what the sender wrote.
        quoted: what they quoted of the mail that they answer; empty where they quoted nothing, or too much.
        name: where it stands, such as "archive.mbox, message 12".
    """

    message_id: str
    parents: tuple[str, ...]
    sender: str
    text: str
    quoted: str
    name: str


def read_letters(open_file: Callable[[], BinaryIO], name: str, leave_out: LeaveOut) -> Iterator[Letter]:
    """The letters in a file, in its order; neither names nor reasons say what is in them.

    Args:
        open_file: opens the file: a mailbox (mbox), a message (.eml), or one of a Maildir.
        name: of the file.
        leave_out: is told of every message that is no letter, and of every attachment of those that are.

    Raises:
        DataError: the file is empty, no mail, cannot be read, or a library for mail is not installed.
    """
    for place, data in messages(open_file, name):
        try:
            letter = _read(data, place, leave_out)
        except (DataError, MemoryError):
            raise
        except Exception:  # for broken headers Python's parser raises nearly anything, RecursionError for deep trees
            letter = BROKEN
        if letter is BROKEN and place == name:
            raise DataError("no mail that can be read", where=name, hint="Take it out, or export it again.")
        if isinstance(letter, str):
            leave_out(place, letter)
        else:
            yield letter


def _read(data: bytes, place: str, leave_out: LeaveOut) -> Letter | str:
    """The letter in a message, or why it is none."""
    parser: BytesParser[Message] = BytesParser()
    headers = parser.parsebytes(data, headersonly=True)
    if not any(name in headers for name in _KNOWN):
        return BROKEN
    if reason := refusal(headers):
        return reason
    if data.lower().count(b"boundary=") > _MOST_MULTIPARTS:
        return BROKEN
    message = parser.parsebytes(data)
    if reason := refusal_of_parts(message):
        return reason
    sender, sender_name = _sender(message)
    text, quoted = clean(body(message), sender_name)
    if not text:
        return NO_TEXT
    if len(text) > MAX_CHARACTERS:
        return TOO_LONG
    for number in range(1, sum(map(is_attached, parts(message))) + 1):
        leave_out(f"{place}, attachment {number}", ATTACHMENT)
    own_id = next(iter(_ids(message, "Message-ID")), "")
    parents = [*_ids(message, "In-Reply-To"), *reversed(_ids(message, "References"))]
    return Letter(
        message_id=own_id,
        parents=tuple(dict.fromkeys(parent for parent in parents if parent != own_id)),
        sender=sender,
        text=text,
        quoted=quoted if len(quoted) <= MAX_CHARACTERS else "",
        name=place,
    )


def _sender(message: Message) -> tuple[str, str]:
    """The address of who wrote, in lower case, and their name, or what of the address can be one."""
    for each in ("From", "Sender", "Reply-To"):
        value = decode_words(_value(message, each))
        match = _BRACKETED.search(value)
        if match:
            return match[1].lower(), value[: match.start()].strip("\"' ") or _local_part(match[1])
        match = _ADDRESS.search(value)
        if match:
            return match.group().lower(), _local_part(match.group())
    return "", ""


def _local_part(address: str) -> str:
    return " ".join(re.split(r"[\W\d_]+", address.partition("@")[0]))


def _ids(message: Message, name: str) -> list[str]:
    """The ids in a header; one without brackets is taken where it is all that the header says."""
    value = _value(message, name)
    found = _ID.findall(value)
    return found or ([value] if value and not re.search(r"[\s<>]", value) else [])


def _value(message: Message, name: str) -> str:
    """The first header of that name, on one line; of a very long one its end, where the nearest ids are."""
    return " ".join(header(message, name)[-_LONGEST_HEADER:].split())
