"""Symbols with whitespace between them: one space is implied, everything else is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.recipe import TokenizerSettings
from seqgen.tokenizers import DOCUMENT, TOKENIZERS, Tokenizer

PIECES = ["e4", "e5", "Nf3", "x", " ", "  ", "\n", "\t", "\u00a0", "\u2028", "\x1c", "\u00e9", "\ud800", "\0"]


def build(*texts: str, min_count: int = 1, max_size: int = 8192) -> Tokenizer:
    settings = TokenizerSettings(kind="symbols", min_count=min_count, max_size=max_size)
    return TOKENIZERS["symbols"].build(texts, settings)


CHESS = build("e4 e5 Nf3")
"""e4 is 17, e5 18... in the order of code points: Nf3, e4, e5."""


def spelled(text: str) -> list[int]:
    return [1 + half for byte in text.encode() for half in (byte >> 4, byte & 15)]


@given(parts=st.lists(st.sampled_from(PIECES)))
def test_symbols_and_whitespace_of_any_kind_come_back(parts: list[str]) -> None:
    text = "".join(parts)
    assert CHESS.decode(CHESS.encode(text)) == text


def test_a_space_between_two_known_symbols_takes_no_id() -> None:
    assert CHESS.encode("e4 e5 Nf3").tolist() == [18, 19, 17]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("e4  e5", [18, *spelled("  "), 19]),
        ("e4\ne5", [18, *spelled("\n"), 19]),
        (" e4 ", [*spelled(" "), 18, *spelled(" ")]),
        ("e4 x e5", [18, *spelled(" x "), 19]),
        ("e4e5", spelled("e4e5")),
        ("", []),
        ("\n", spelled("\n")),
    ],
)
def test_everything_else_is_spelled_in_half_bytes(text: str, ids: list[int]) -> None:
    assert CHESS.encode(text).tolist() == ids


def test_a_sample_after_a_seed_begins_with_the_implied_space() -> None:
    for seed, said in (("e4", b" e5"), ("e4 ", b"e5"), ("x", b"e5"), ("", b"e5")):
        decoder = CHESS.decoder()
        for symbol in [DOCUMENT, *CHESS.encode(seed).tolist()]:
            decoder.feed(symbol)
        assert decoder.feed(19) == said


def test_a_document_begins_without_a_space() -> None:
    assert CHESS.decode([18, DOCUMENT, 19]) == "e4e5"


def test_the_most_frequent_symbols_get_an_id_sorted() -> None:
    assert build("c c c b b a a d", max_size=2).keys()[17:] == ["symbol a", "symbol c"]
    assert build("c c c b b a a d", min_count=2).keys()[17:] == ["symbol a", "symbol b", "symbol c"]


def test_a_symbol_that_is_too_long_or_no_unicode_never_gets_an_id() -> None:
    assert build("a " + "b" * 256 + " " + "c" * 257 + " \ud83d\ude00" * 3).keys()[17:] == [
        "symbol a",
        "symbol " + "b" * 256,
    ]


def test_new_symbols_come_after_the_old_ones() -> None:
    extended = CHESS.extended(["d4 d4 c5 e4 e4 e4 Nf3", "c5"], TokenizerSettings(kind="symbols"))
    assert extended.keys()[17:] == ["symbol Nf3", "symbol e4", "symbol e5", "symbol c5", "symbol d4"]
    capped = CHESS.extended(["d4 d4 c5 c5 c5"], TokenizerSettings(kind="symbols", max_size=4))
    assert capped.keys()[20:] == ["symbol c5"]


def test_unknown_symbols_are_named_once_each() -> None:
    assert CHESS.unknown("e4 Qh5\nx Qh5 e5") == ["Qh5", "x"]


@pytest.mark.parametrize(
    "symbols", [None, "abc", ["a", "a"], ["a b"], [""], [1], ["a\n"], ["\ud800"], ["x" * 257], {"a": 1}]
)
def test_a_damaged_list_of_symbols_is_refused(symbols: Any) -> None:
    with pytest.raises(ValueError, match=r"symbols|twice"):
        TOKENIZERS["symbols"].from_bytes(json.dumps({"symbols": symbols}).encode())
