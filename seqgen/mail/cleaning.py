"""A mail's text -> what its sender said: no quotes, greetings, closings, signatures and notices, and whole paragraphs.

What nothing but a greeting or thanks is stays, since then this is what was said.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from seqgen.mail.phrases import (
    ADVERT,
    BANNER,
    CLOSING,
    CONTACT,
    DISCLAIMING,
    GREETING,
    GREETING_BEFORE,
    NAME,
    POSTSCRIPT,
    SAYING,
    SIGNATURE,
)
from seqgen.mail.quotes import split

ANYBODY = "*"
"""The name of a sender who is not known: a name alone in the last paragraph is theirs."""
_SHORT = 120
"""Characters of the longest line that is compared with phrases."""
_WIDEST = 100
"""Characters of the longest line of a text that a program wrapped."""
_NARROWEST = 50
"""Characters that the longest line has at least where lines were wrapped, and not ended on purpose."""
_NOTICES = 2
"""How often a paragraph must sound like a legal notice."""

_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff\ue000]")
_BREAK = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_BLANK = re.compile(r"(?:[^\S\n]|[\x00-\x08\x0e-\x1f\x7f])+")
_ARMOUR = re.compile(
    r"^-----BEGIN PGP SIGNED MESSAGE-----\n(?:\w+: .*\n)*|^-----BEGIN PGP SIGNATURE-----\n[\s\S]*?(?:^-----END PGP.*$|\Z)",
    re.MULTILINE,
)
_REPEATED_LINK = re.compile(r"(?<=\S)<(?:https?|mailto|tel):[^\s<>]{1,2000}>", re.IGNORECASE)
_ITEM = re.compile(r"(?:[-*•·–—+]|\d{1,3}[.)]|[A-Za-z]\)) ")


class Cleaned(NamedTuple):
    """What somebody wrote, and what they quoted of the mail that they answer; empty where there is nothing."""

    text: str
    quoted: str


def clean(text: str, name: str = "") -> Cleaned:
    """What the sender of a mail wrote and quoted.

    Args:
        text: of a mail, as its program shows it.
        name: of the sender, if it is known; as a line of its own at the end it is a signature.

    Raises:
        DataError: the library that finds quotes is not installed.
    """
    own, quoted = split(_normalise(text))
    kept = [_tidy(part, name) for part in own]
    said = "\n\n".join(part for part, _ in kept if part) or next((spare for _, spare in kept if spare), "")
    answered, spare = _tidy(quoted, ANYBODY)
    return Cleaned(said, answered or spare)


def _normalise(text: str) -> str:
    """The text with line feeds, plain blanks, and nothing that cannot be seen or that UTF-8 cannot hold."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    text = _BLANK.sub(" ", _INVISIBLE.sub("", _BREAK.sub("\n", text)))
    text = "\n".join(line.strip() for line in text.split("\n"))
    return _REPEATED_LINK.sub("", _ARMOUR.sub("", text))


def _tidy(text: str, name: str) -> tuple[str, str]:
    """What a text says; beside it, if it says nothing, the thanks or the greeting that it consists of."""
    lines = _without_notices(_written(text.split("\n")))
    lines, greeting = _without_greeting(_strip(lines))
    lines, closing = _without_closing(lines)
    lines = _without_contact(lines, name)
    said = _join(lines)
    if said:
        return said, ""
    if closing:
        return "", closing.rstrip(" ,") if SAYING.fullmatch(closing) else ""
    return "", "" if greeting.endswith((",", ":")) else greeting


def _written(lines: list[str]) -> list[str]:
    """The lines that no program wrote, up to a signature."""
    result = []
    for line in lines:
        if SIGNATURE.fullmatch(line):
            break
        if not (len(line) <= _SHORT and ADVERT.fullmatch(line)):
            result.append(line)
    return result


def _without_notices(lines: list[str]) -> list[str]:
    """The lines without a legal notice at their end, and without a server's warning at their beginning."""
    lines = _strip(lines)
    if lines and BANNER.fullmatch(lines[0][: 2 * _SHORT]):
        lines = _strip(lines[_paragraph_end(lines, 0) :])
    start = _paragraph_end(lines, 0)
    while start < len(lines):
        end = _paragraph_end(lines, start + 1)
        if len({match.lower() for match in DISCLAIMING.findall(" ".join(lines[start:end]))}) >= _NOTICES:
            return _strip(lines[:start])
        start = end
    return lines


def _paragraph_end(lines: list[str], start: int) -> int:
    return next((index for index in range(start, len(lines)) if not lines[index]), len(lines))


def _without_greeting(lines: list[str]) -> tuple[list[str], str]:
    """The lines without the greeting that they begin with, and that greeting."""
    first = lines[0] if lines else ""
    if len(first) <= _SHORT and GREETING.fullmatch(first) and not CLOSING.fullmatch(first):
        return _strip(lines[1:]), first
    match = GREETING_BEFORE.match(first[:_SHORT])
    if match is None or CLOSING.fullmatch(match.group().strip()):
        return lines, ""
    return [first[match.end() :], *lines[1:]], ""


def _without_closing(lines: list[str]) -> tuple[list[str], str]:
    """The lines without the closing, the name and what else stands below it; and that closing."""
    for index, line in enumerate(lines):
        if line and len(line) <= _SHORT and CLOSING.fullmatch(line):
            below = lines[index + 1 :]
            end = next((at for at, each in enumerate(below) if POSTSCRIPT.match(each)), len(below))
            if _is_signature(_strip(below[:end])):
                return _strip([*lines[:index], *below[end:]]), line
    return lines, ""


def _is_signature(lines: list[str]) -> bool:
    """Whether lines below a closing only say who writes: a name and anything, or a few short lines."""
    if not lines:
        return True
    if len(lines[0]) <= _SHORT and (NAME.fullmatch(lines[0]) or CLOSING.fullmatch(lines[0])):
        return True
    return len(lines) <= 8 and all(not line or _is_title(line) for line in lines)


def _is_title(line: str) -> bool:
    """Whether a line is like a name, a position or an address: capitals and figures rather than words."""
    words = line.split()
    marked = sum(not word[0].islower() for word in words)
    return len(line) <= _SHORT and (2 * marked > len(words) or CONTACT.fullmatch(line) is not None)


def _without_contact(lines: list[str], name: str) -> list[str]:
    """The lines without what tells at their end, below no closing, who writes and how to reach them."""
    for _ in range(3):
        start = max((index + 1 for index, line in enumerate(lines) if not line), default=0)
        block = lines[start:]
        told = len(block) > 1 and any(CONTACT.fullmatch(line) for line in block if len(line) <= _SHORT)
        asked_for = start > 1 and lines[start - 2].endswith(":")
        if not start or not told or asked_for or not all(map(_is_title, block)):
            break
        lines = _strip(lines[:start])
    return _strip(lines[:-1]) if len(lines) > 1 and _names(lines[-1], lines[-2], name) else lines


def _names(line: str, above: str, name: str) -> bool:
    """Whether a line is a name: the sender's, a part of it or its initials; or any behind a dash that makes no list."""
    words = re.findall(r"\w+", line.lower())
    known = re.findall(r"\w+", name.lower())
    if not words or len(words) > 4 or len(line) > 40:
        return False
    if re.match("[-–—~/] ?[^\\W\\d_]", line) and NAME.fullmatch(line):
        return not line.lstrip("-–—~/ ")[0].islower() and not above.endswith(":") and not _ITEM.match(above)
    if name == ANYBODY:
        return (
            not above
            and len(words) <= 2
            and _is_title(line)
            and re.fullmatch(r"[^\W\d_][^\d!?.:]*\.?", line) is not None
        )
    initials = "".join(word[0] for word in known)
    return bool(known) and (all(word in known for word in words) or words == [initials] or words == [initials[:1]])


def _join(lines: list[str]) -> str:
    """The paragraphs of a text, lines that a program wrapped joined."""
    widest = max((len(line) for line in lines if " " in line), default=0)
    wrapped = _NARROWEST <= widest <= _WIDEST
    result = ""
    for before, line in zip(["", *lines], lines, strict=False):
        if not line:
            continue
        if not result:
            result = line
        elif not before:
            result += "\n\n" + line
        elif wrapped and not _ITEM.match(line) and len(before) + 1 + len(line.split(" ", 1)[0]) > widest:
            result += " " + line
        else:
            result += "\n" + line
    return result


def _strip(lines: list[str]) -> list[str]:
    """Lines without the empty ones at both ends."""
    start = next((index for index, line in enumerate(lines) if line), len(lines))
    end = next((index for index in range(len(lines), start, -1) if lines[index - 1]), start)
    return lines[start:end]
