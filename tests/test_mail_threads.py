"""Letters find the letters that they answer, and what belongs together stays together."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable

import pytest

from seqgen.conversations import Conversation, Pair
from seqgen.mail.letters import Letter
from seqgen.mail.threads import digest_of, threads_of

ANNA, TOM, EVA = "anna@berg.example", "tom@gray.example", "eva@poe.example"


def letter(name: str, sender: str, *parents: str, quoted: str = "", text: str = "") -> Letter:
    return Letter(name, parents, sender, text or f"text of {name}", quoted, name)


def conversations(letters: Iterable[Letter], mine: list[str] | None = None) -> list[Conversation]:
    return [thread.pairs for thread in threads_of(letters, mine or [])]


ASKED, ANSWER, MORE = letter("a", ANNA), letter("b", TOM, "a"), letter("c", ANNA, "b", "a")


def test_a_thread_is_one_conversation_of_its_pairs() -> None:
    other = [letter("x", EVA), letter("y", TOM, "x")]
    assert conversations([ASKED, other[0], ANSWER, MORE, other[1]]) == [
        [Pair("text of a", "text of b"), Pair("text of b", "text of c")],
        [Pair("text of x", "text of y")],
    ]


def test_a_thread_knows_its_first_letter_though_that_is_no_reply() -> None:
    other = [letter("x", EVA), letter("", TOM, quoted="what was asked", text="yes")]
    assert [thread.first for thread in threads_of([*other, ANSWER, ASKED])] == [other[1], ANSWER]
    assert [thread.first for thread in threads_of([ASKED, *other, ANSWER])] == [other[1], ASKED]


@pytest.mark.parametrize("order", list(itertools.permutations([ASKED, ANSWER, MORE])))
def test_letters_may_come_in_any_order(order: tuple[Letter, ...]) -> None:
    [thread] = conversations(order)
    assert sorted(thread) == [Pair("text of a", "text of b"), Pair("text of b", "text of c")]


def test_the_nearest_parent_that_is_here_is_the_message() -> None:
    assert conversations([ASKED, letter("d", TOM, "gone", "a")]) == [[Pair("text of a", "text of d")]]


def test_what_is_quoted_is_the_message_where_the_mail_is_not_here() -> None:
    reply = letter("d", TOM, "gone", "a", quoted="what was asked")
    assert conversations([ASKED, reply]) == [[Pair("what was asked", "text of d")]]
    assert conversations([letter("d", TOM, quoted="what was asked")]) == [[Pair("what was asked", "text of d")]]


def test_the_whole_mail_is_the_message_rather_than_what_is_quoted_of_it() -> None:
    assert conversations([ASKED, letter("b", TOM, "a", quoted="text")]) == [[Pair("text of a", "text of b")]]


def test_a_mail_of_the_same_sender_is_no_message() -> None:
    later = letter("c", TOM, "b", "a", quoted="text of b")
    assert conversations([ASKED, ANSWER, later]) == [[Pair("text of a", "text of b"), Pair("text of a", "text of c")]]
    assert conversations([letter("a", TOM), letter("b", TOM, "a")]) == []


def test_mails_without_a_sender_are_not_of_the_same() -> None:
    assert conversations([letter("a", ""), letter("b", "", "a")]) == [[Pair("text of a", "text of b")]]


def test_a_letter_that_answers_nothing_makes_no_pair() -> None:
    assert conversations([ASKED, letter("d", TOM, "gone"), letter("", TOM)]) == []


def test_only_mine_are_replies_and_my_address_is_known_by_its_digest() -> None:
    mine = [digest_of(" Tom@Gray.example ")]
    assert conversations([ASKED, ANSWER, MORE], mine) == [[Pair("text of a", "text of b")]]
    assert conversations([ASKED, ANSWER, MORE], [*mine, digest_of(ANNA)]) == conversations([ASKED, ANSWER, MORE])
    assert mine == [hashlib.sha256(TOM.encode()).hexdigest()[:16]]


def test_a_letter_in_several_folders_counts_once() -> None:
    copy = letter("b", TOM, "a", text="another text")
    assert conversations([ASKED, ANSWER, copy, ASKED]) == [[Pair("text of a", "text of b")]]
    nameless = letter("", TOM, "a", text="yes")
    assert conversations([ASKED, nameless, nameless]) == [[Pair("text of a", "yes")]]
    quoting = letter("", TOM, quoted="what was asked", text="yes")
    assert conversations([quoting, quoting]) == [[Pair("what was asked", "yes")]]


def test_two_who_answer_a_mail_that_is_not_here_are_one_conversation() -> None:
    replies = [letter("b", TOM, "gone", quoted="asked"), letter("c", EVA, "gone", quoted="asked, too")]
    assert conversations(replies) == [[Pair("asked", "text of b"), Pair("asked, too", "text of c")]]


def test_threads_that_a_later_letter_connects_are_one() -> None:
    letters = [letter("b", TOM, "a", quoted="one"), letter("y", TOM, "x", quoted="two"), letter("z", EVA, "y", "b")]
    assert [len(thread) for thread in conversations(letters)] == [3]


def test_letters_without_ids_are_threads_of_their_own() -> None:
    letters = [letter("", TOM, quoted="one", text="yes"), letter("", TOM, quoted="two", text="no")]
    assert conversations(letters) == [[Pair("one", "yes")], [Pair("two", "no")]]


def test_cycles_and_letters_that_answer_themselves_end() -> None:
    circle = [letter("a", ANNA, "b"), letter("b", TOM, "c"), letter("c", EVA, "a", "c"), letter("d", EVA, "d")]
    assert conversations(circle) == [
        [Pair("text of b", "text of a"), Pair("text of c", "text of b"), Pair("text of a", "text of c")]
    ]


def test_a_very_long_thread_is_connected() -> None:
    letters = [letter(f"{number}", (ANNA, TOM)[number % 2], f"{number - 1}") for number in range(5000)]
    assert [len(thread) for thread in conversations(reversed(letters))] == [4999]


def test_a_digest_can_be_made_of_any_text() -> None:
    assert len(digest_of("\udce4@x")) == 16
