"""Messages and their replies as plain data, and their text form: what a corpus of replies holds.

A conversation is what must stay together when a corpus is split: the pairs of a thread of mail, of a dialogue, or the
replies to one message. In the text form ASCII's own separators stand between its parts, so that it needs no escapes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

CONVERSATION, PAIR, REPLY = "\x1d", "\x1e", "\x1f"
"""What stands behind a conversation, behind a pair in it, and between a message and its reply."""
WHOLE_CONVERSATION = "conversation"
"""The setting `corpus.documents` of a corpus of replies."""
_SEPARATORS = str.maketrans(dict.fromkeys((CONVERSATION, PAIR, REPLY), " "))


class Pair(NamedTuple):
    """A message and one reply to it."""

    message: str
    reply: str


Conversation = list[Pair]


def pack(conversations: Iterable[Conversation]) -> str:
    """The text form of conversations."""
    return "".join(PAIR.join(map(_pack_pair, pairs)) + CONVERSATION for pairs in conversations if pairs)


def unpack(text: str) -> Conversation:
    """The pairs in the text form of one conversation, with or without the separator behind it."""
    parts = (pair.partition(REPLY) for pair in text.removesuffix(CONVERSATION).split(PAIR))
    return [Pair(message, reply) for message, _, reply in parts if reply]


def tidy(text: str) -> str:
    """A message or a reply as it is learned: without separators, and without blanks at its ends."""
    return text.translate(_SEPARATORS).strip()


def _pack_pair(pair: Pair) -> str:
    return REPLY.join(map(tidy, pair))
