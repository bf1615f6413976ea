"""Marks stand for what no model can know, and what is put back into a reply is the message's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.mail.masks import fill, is_whole, mask

MESSY = st.text(st.sampled_from("a1.-/@:+() \n,'[]wW²①٣é%") | st.characters(), max_size=60) | st.lists(
    st.sampled_from(["[number]", "[link]", "[address]", "www.", "https://", "a@b.co", "12", "x/y", " ", ".", "(", "A-"])
).map("".join)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Call +44 (0)20 7946 0958 or 020-7946-0958.", "Call [number] or [number]."),
        ("On 12.03.2024 at 9:12, or 3:30 pm", "On [number] at [number], or [number] pm"),
        ("DE89 3704 0044 0532 0130 00", "[number]"),
        ("€1,234.56 and 5 % and 5€", "€[number] and [number] % and [number]€"),
        ("order AB-C12-3, 13 and 14a", "order [number], [number] and [number]"),
        ("x² and ① and ٣", "[number] and [number] and [number]"),
        ("covid19, the 3rd", "[number], the [number]"),
        ("see https://a.example/x?y=1.", "see [link]."),
        ("(www.a.example), docs.a.example/b, http://x", "([link]), [link], [link]"),
        ("and/or, e.g. this, a.b", "and/or, e.g. this, a.b"),
        ("mail a.b+c@d1.example.org, please", "mail [address], please"),
        ("no digits", "no digits"),
        ("", ""),
    ],
)
def test_numbers_links_and_addresses_become_marks(text: str, masked: str) -> None:
    assert mask(text) == masked


@given(MESSY)
def test_no_digit_is_left(text: str) -> None:
    assert not any(character.isdigit() for character in mask(text))


@given(MESSY)
def test_a_masked_text_stays_as_it_is(text: str) -> None:
    assert mask(mask(text)) == mask(text)


@pytest.mark.parametrize("digit", [chr(number) for number in range(0x110000) if chr(number).isdigit()][::7])
def test_digits_of_every_script_are_masked(digit: str) -> None:
    assert mask(f"no {digit} here") == "no [number] here"


def test_a_reply_gets_what_the_message_has_in_its_order() -> None:
    message = "On 3 May at 9:30? See https://a.example/b, or write to tom@gray.example or anna@berg.example."
    reply = "[number] it is, [number] then. [address] sent me [link], not [address]."
    assert fill(reply, message) == (
        "3 it is, 9:30 then. tom@gray.example sent me https://a.example/b, not anna@berg.example."
    )


def test_marks_for_which_the_message_has_nothing_stay() -> None:
    assert fill("[number], [number] and [link]", "Number 5.") == "5, [number] and [link]"


@pytest.mark.parametrize("broken", ["Call [number].", "Call number].", "Call [", "see [link", "onnumbernumber and"])
def test_a_reply_with_a_mark_or_a_part_of_one_is_not_whole(broken: str) -> None:
    assert not is_whole(broken)
    assert is_whole("The number of the house, its address and a link are below (see there).")


@given(MESSY)
def test_a_masked_message_filled_with_itself_is_the_message(text: str) -> None:
    if not any(mark in text for mark in ("[number]", "[link]", "[address]")):
        assert fill(mask(text), text) == text
