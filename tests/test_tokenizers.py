"""What every tokenizer in the table promises, and what is special about each."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.recipe import TokenizerSettings
from seqgen.tokenizers import DOCUMENT, TOKENIZERS, Tokenizer, bytes_of, text_of

EDGES = list("ab\0\x7f\x80\u07ff\u0800\u0fff\ud800\udbff\udc00\udfff\ufffd\uffff\U00010000\U0010ffffé€😀")
ANY_TEXT = st.lists(st.characters() | st.sampled_from(EDGES), max_size=24).map("".join)
"""Python's strings may hold lone surrogates, and a high one beside a low one is still two characters."""
every_tokenizer = pytest.mark.parametrize("kind", TOKENIZERS)


def build(kind: str, *texts: str, min_count: int = 1, max_size: int = 8192) -> Tokenizer:
    settings = TokenizerSettings(kind=kind, min_count=min_count, max_size=max_size)
    return TOKENIZERS[kind].build(texts, settings)


def stream(tokenizer: Tokenizer, ids: list[int]) -> list[bytes]:
    decoder = tokenizer.decoder()
    return [*map(decoder.feed, ids), decoder.finish()]


@every_tokenizer
def test_the_table_knows_a_tokenizer_by_its_own_name(kind: str) -> None:
    assert TOKENIZERS[kind].name == kind
    assert build(kind, "text").name == kind


@every_tokenizer
@given(learned=ANY_TEXT, text=ANY_TEXT, min_count=st.integers(1, 3), max_size=st.integers(1, 12))
def test_every_string_comes_back(kind: str, learned: str, text: str, min_count: int, max_size: int) -> None:
    tokenizer = build(kind, learned, min_count=min_count, max_size=max_size)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode(learned)) == learned


@every_tokenizer
@given(learned=ANY_TEXT, text=ANY_TEXT)
def test_ids_of_a_text_are_in_range_and_never_the_document_symbol(kind: str, learned: str, text: str) -> None:
    tokenizer = build(kind, learned)
    ids = tokenizer.encode(text)
    assert ids.dtype == np.int64
    assert ids.ndim == 1
    assert all(DOCUMENT < symbol < tokenizer.size for symbol in ids)


@every_tokenizer
@given(text=ANY_TEXT)
def test_a_text_streams_out_in_whole_characters(kind: str, text: str) -> None:
    tokenizer = build(kind, text[::2])
    pieces = stream(tokenizer, tokenizer.encode(text).tolist())
    assert b"".join(pieces) == bytes_of(text)
    for piece in pieces:
        piece.decode("utf-8", "surrogatepass")  # fails within a character


@every_tokenizer
@given(data=st.data())
def test_any_ids_stream_to_what_they_decode_to(kind: str, data: st.DataObject) -> None:
    tokenizer = build(kind, "some é€😀")
    ids = data.draw(st.lists(st.integers(0, tokenizer.size - 1), max_size=30))
    assert text_of(b"".join(stream(tokenizer, ids))) == tokenizer.decode(ids) == tokenizer.decode(np.array(ids, int))


@every_tokenizer
@given(data=st.data())
def test_invalid_bytes_look_alike_on_the_screen_and_in_the_end(kind: str, data: st.DataObject) -> None:
    tokenizer = build(kind, "some é€😀\ud800")
    ids = data.draw(st.lists(st.integers(1, tokenizer.size - 1), max_size=30))
    assert "".join(map(text_of, stream(tokenizer, ids))) == tokenizer.decode(ids)


@every_tokenizer
@given(text=ANY_TEXT)
def test_document_symbols_are_no_text(kind: str, text: str) -> None:
    tokenizer = build(kind, "abc")
    assert tokenizer.decode([DOCUMENT, *tokenizer.encode(text).tolist(), DOCUMENT]) == text


@every_tokenizer
def test_a_document_symbol_gives_up_an_unfinished_character(kind: str) -> None:
    tokenizer = build(kind, "abc")
    unfinished = tokenizer.encode("€").tolist()[:-1]
    decoder = tokenizer.decoder()
    assert b"".join(decoder.feed(symbol) for symbol in unfinished) == b""
    assert decoder.feed(DOCUMENT) == "€".encode()[:2]
    assert decoder.finish() == b""


@every_tokenizer
@given(learned=ANY_TEXT, text=ANY_TEXT)
def test_a_tokenizer_survives_a_file_of_utf_8_json(kind: str, learned: str, text: str) -> None:
    tokenizer = build(kind, learned)
    stored = json.dumps(tokenizer.to_json(), ensure_ascii=False).encode("utf-8")
    again = TOKENIZERS[kind].from_json(json.loads(stored))
    assert again.size == tokenizer.size
    assert again.encode(text).tolist() == tokenizer.encode(text).tolist()


@every_tokenizer
@given(learned=ANY_TEXT, text=ANY_TEXT)
def test_unknown_names_each_character_that_takes_more_than_its_own_id_once(kind: str, learned: str, text: str) -> None:
    tokenizer = build(kind, learned)
    unknown = tokenizer.unknown(text)
    assert len(set(unknown)) == len(unknown)
    assert [text.index(character) for character in unknown] == sorted(text.index(character) for character in unknown)
    if kind == "characters":
        assert set(unknown) == {character for character in text if len(tokenizer.encode(character)) > 1}
        assert set(unknown) == set(text) - set(learned)


@every_tokenizer
def test_building_in_pieces_is_building_at_once(kind: str) -> None:
    text = "abcab" * 25_000  # long enough for the other way of counting
    pieces = [text[place : place + 999] for place in range(0, len(text), 999)]
    assert build(kind, text).to_json() == build(kind, *pieces).to_json()


def test_bytes_are_257_symbols_with_the_document_symbol() -> None:
    tokenizer = build("bytes")
    assert tokenizer.size == 257
    assert tokenizer.encode("aé").tolist() == [0x61 + 1, 0xC3 + 1, 0xA9 + 1]


def test_a_rare_character_is_spelled_in_two_half_bytes_a_byte() -> None:
    tokenizer = build("characters", "aab", min_count=2)
    assert tokenizer.size == 1 + 16 + 1
    assert tokenizer.encode("a").tolist() == [17]
    assert tokenizer.encode("b").tolist() == [1 + 0x6, 1 + 0x2]
    assert tokenizer.encode("aéa").tolist() == [17, 1 + 0xC, 1 + 0x3, 1 + 0xA, 1 + 0x9, 17]


def test_the_most_frequent_characters_get_an_id_in_order_of_their_code_points() -> None:
    tokenizer = build("characters", "zzz", "yy", "yy", "x", "www", max_size=3)
    assert tokenizer.to_json() == {"code_points": [ord("w"), ord("y"), ord("z")]}


def test_of_equally_frequent_characters_the_first_code_points_get_an_id() -> None:
    letters = "".join(map(chr, range(0x4E00, 0x4E00 + 500)))
    assert build("characters", letters[::-1], max_size=3).to_json() == {"code_points": [0x4E00, 0x4E01, 0x4E02]}


def test_half_a_byte_without_its_other_half_becomes_nothing() -> None:
    tokenizer = build("characters", "a")
    assert tokenizer.decode([1 + 0x6, *tokenizer.encode("a").tolist(), 1 + 0x6]) == "a"


@pytest.mark.parametrize(
    "data", [{}, {"code_points": "abc"}, {"code_points": [97, 97]}, {"code_points": [-1]}, {"code_points": [0x110000]},
             {"code_points": [97.0]}, {"code_points": [True]}, {"code_points": None}],
)  # fmt: skip
def test_a_damaged_list_of_characters_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"code_points|twice"):
        TOKENIZERS["characters"].from_json(data)


def test_lone_surrogates_stay_beside_bytes_that_are_replaced() -> None:
    assert text_of(b"a\xff\xed\xa0\x80b\xe2\x82") == "a\ufffd\ud800b\ufffd"


@given(text=ANY_TEXT)
def test_bytes_of_a_text_are_its_text_again(text: str) -> None:
    assert text_of(bytes_of(text)) == text
