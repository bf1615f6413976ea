"""Letters -> conversations: who answered what, and what must stay together."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from typing import NamedTuple

from seqgen.conversations import Conversation, Pair
from seqgen.mail.letters import Letter

_DIGEST = 16


class Thread(NamedTuple):
    """What was written about one thing, as far as it is messages and replies.

    Attributes:
        first: the first of its letters, be it a reply or not.
        pairs: at least one.
    """

    first: Letter
    pairs: Conversation


def digest_of(address: str) -> str:
    """What stands for an address where it should not be written: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(address.strip().lower().encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]


def threads_of(letters: Iterable[Letter], mine: Collection[str] = ()) -> list[Thread]:
    """The pairs of message and reply among letters, by thread, in the order of the letters.

    The message is the mail that was answered, or else what the reply quotes, or else the nearest earlier mail of the
    thread. Mails belong to a thread if they name a common mail, be it here or not.

    Args:
        letters: in any order; of several with one id the first counts.
        mine: digests (`digest_of`) of the addresses whose letters are replies; empty: everybody's are.
    """
    kept = _distinct(letters)
    known = {letter.message_id: letter for letter in kept if letter.message_id}
    threads = _Connected()
    for letter in kept:
        threads.join(_ids(letter))
    firsts: dict[str, Letter] = {}
    found: dict[str, dict[Pair, None]] = {}
    for number, letter in enumerate(kept):
        thread = threads.root(ids[0]) if (ids := _ids(letter)) else f"\0{number}"
        firsts.setdefault(thread, letter)
        if mine and digest_of(letter.sender) not in mine:
            continue
        message = _answered(letter, known)
        if message:
            found.setdefault(thread, {}).setdefault(Pair(message, letter.text))
    return [Thread(firsts[thread], list(pairs)) for thread, pairs in found.items()]


def _distinct(letters: Iterable[Letter]) -> list[Letter]:
    """The letters, those that lie in several folders once; without an id the same ones say the same."""
    kept: dict[object, Letter] = {}
    for letter in letters:
        kept.setdefault(letter.message_id or (letter.sender, letter.parents, letter.text, letter.quoted), letter)
    return list(kept.values())


def _ids(letter: Letter) -> list[str]:
    return [each for each in (letter.message_id, *letter.parents) if each]


def _answered(letter: Letter, known: dict[str, Letter]) -> str:
    """The message that a letter replies to; empty where it is not here.

    Somebody who adds to a mail of their own quotes that one, which is no message either.
    """
    direct = known.get(letter.parents[0]) if letter.parents else None
    if direct is None and letter.quoted:
        return letter.quoted
    for each in letter.parents:
        parent = known.get(each)
        if parent is not None and parent is not letter and not (letter.sender and parent.sender == letter.sender):
            return parent.text
    return ""


class _Connected:
    """Which ids are connected: each points to another of its thread, the root to itself."""

    def __init__(self) -> None:
        self._towards: dict[str, str] = {}

    def join(self, ids: list[str]) -> None:
        """Connects the ids of a letter."""
        for each in ids:
            self._towards[self.root(each)] = self.root(ids[0])

    def root(self, each: str) -> str:
        """What stands for the thread of an id."""
        self._towards.setdefault(each, each)
        while (parent := self._towards[each]) != each:
            self._towards[each] = each = self._towards[parent]
        return each
