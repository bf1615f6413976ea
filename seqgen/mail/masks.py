"""Addresses, links and numbers -> marks, and marks -> those of another text: no model can know them."""

from __future__ import annotations

import re

ADDRESS, LINK, NUMBER = "[address]", "[link]", "[number]"
"""What stands for an e-mail address, for a link, and for digits of any kind."""

_REST = r"""(?: [^\s<>\[\]"]* [^\s<>\[\]".,;:!?')] )"""
_LINK = re.compile(
    rf"""
    (?: https?:// | ftp:// | (?<![\w@.-]) www\. ) {_REST}
    | (?<![\w@.-]) [^\W_] [\w-]{{0,62}} (?: \. [\w-]{{1,62}} ){{0,8}} \. [^\W\d_]{{2,24}} (?: :\d{{1,5}} )? / {_REST}?
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ADDRESS = re.compile(r"[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}\b")
# What str.isdigit() knows beside \d: raised and lowered digits, and those in circles, brackets and the like.
_DIGIT = (
    r"\d\u00b2\u00b3\u00b9\u1369-\u1371\u19da\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490"
    r"\u24ea\u24f5-\u24fd\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792\U00010a40-\U00010a43\U00010e60-\U00010e68"
    r"\U00011052-\U0001105a\U0001f100-\U0001f10a"
)
_PIECE = rf"\w*[{_DIGIT}]\w*"
_BLANK = "[ \u00a0\u202f]"
_NUMBER = re.compile(
    rf"""
    (?<!\w)
    (?: \+? \d{{0,4}} {_BLANK}? \( \d{{1,6}} \) [ /-]{{0,2}} (?=\d) | \+ (?=\d) | (?: [A-Z]{{1,6}} [-/.] ){{1,4}} (?=\w) )?
    {_PIECE}
    (?: (?: [-–/.,:'’*+] | {_BLANK} (?: [-–/+] {_BLANK}? )? ) {_PIECE} | [-/.] [A-Z]{{1,6}} \b )*
    """,
    re.VERBOSE,
)
_KINDS = ((LINK, _LINK), (ADDRESS, _ADDRESS), (NUMBER, _NUMBER))
_MARK = re.compile("|".join(re.escape(mark) for mark, _ in _KINDS))
_LEFT = re.compile(rf"[\[\]]|(?:{'|'.join(mark[1:-1] for mark, _ in _KINDS)}){{2}}")
"""A mark, or what a model that is not sure of them makes of one."""


def mask(text: str) -> str:
    """The text with marks in place of addresses, links and numbers; there is no digit in it.

    Numbers that belong together, such as those of a telephone number, a date or an account, are one mark. A sign of a
    currency or a unit stays. A masked text stays as it is.
    """
    for mark, pattern in _KINDS:
        text = pattern.sub(mark, text)
    return text


def fill(reply: str, message: str) -> str:
    """A reply with what was masked in the message in place of its marks: kind by kind, in the order of the message.

    Args:
        reply: with marks; one for which the message has nothing stays.
        message: as it was written, not masked.
    """
    found = {mark: iter(taken) for mark, taken in _taken(message).items()}
    return _MARK.sub(lambda match: next(found[match.group()], match.group()), reply)


def is_whole(reply: str) -> bool:
    """Whether a reply has no mark, nor a part of one, that nothing was put in place of."""
    return not _LEFT.search(reply)


def _taken(text: str) -> dict[str, list[str]]:
    """What `mask` takes out, by its marks."""
    taken: dict[str, list[str]] = {}
    for mark, pattern in _KINDS:
        taken[mark] = [match.group() for match in pattern.finditer(text)]
        text = pattern.sub(mark, text)
    return taken
