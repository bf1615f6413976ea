"""What every tokenizer in the table promises, and what is special about characters and bytes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.modalities import MODALITIES
from seqgen.recipe import TokenizerSettings
from seqgen.tokenizers import DOCUMENT, TOKENIZERS, Tokenizer, bytes_of, id_type, text_of
from seqgen.tokenizers.base import in_blocks
from tests.texts import verse

EDGES = list(
    "ab \n\t\r\u2581\u2585\0\x7f\x80\u07ff\u0800\u0fff\ud800\udbff\udc00\udfff\ufffd\uffff\U00010000\U0010ffffé€😀"
)
ANY_TEXT = st.lists(st.characters() | st.sampled_from(EDGES), max_size=24).map("".join)
"""Python's strings may hold lone surrogates, and a high one beside a low one is still two characters."""
every_tokenizer = pytest.mark.parametrize("kind", MODALITIES["text"].tokenizers)


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
@given(texts=st.lists(ANY_TEXT, min_size=1, max_size=6))
def test_many_texts_at_once_are_each_of_them_one_after_another(kind: str, texts: list[str]) -> None:
    tokenizer = build(kind, "a b\ncd")
    ids, counts = tokenizer.encode_all(texts)
    parts = np.split(ids, np.cumsum(counts)[:-1])
    assert [part.tolist() for part in parts] == [tokenizer.encode(text).tolist() for text in texts]


@every_tokenizer
@given(learned=ANY_TEXT, text=ANY_TEXT)
def test_ids_of_a_text_are_in_range_and_never_the_document_symbol(kind: str, learned: str, text: str) -> None:
    tokenizer = build(kind, learned)
    ids = tokenizer.encode(text)
    assert ids.dtype == id_type(tokenizer.size)
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
def test_a_tokenizer_survives_its_file(kind: str, learned: str, text: str) -> None:
    tokenizer = build(kind, learned)
    stored = tokenizer.to_bytes()
    again = TOKENIZERS[kind].from_bytes(stored)
    assert again.to_bytes() == stored
    assert again.size == tokenizer.size
    assert again.encode(text).tolist() == tokenizer.encode(text).tolist()
    if tokenizer.suffix == "json":
        json.loads(stored.decode("utf-8"))


@every_tokenizer
@given(learned=ANY_TEXT, text=ANY_TEXT)
def test_unknown_names_each_part_that_takes_more_than_its_own_id_once(kind: str, learned: str, text: str) -> None:
    tokenizer = build(kind, learned)
    unknown = tokenizer.unknown(text)
    assert len(set(unknown)) == len(unknown)
    if kind not in ("symbols", "bytes"):
        assert [text.index(character) for character in unknown] == sorted(
            text.index(character) for character in unknown
        )
        assert {character for character in text if len(tokenizer.encode(character)) > 1} <= {*unknown}
    if kind == "characters":
        assert set(unknown) == set(text) - set(learned)


@every_tokenizer
def test_building_in_pieces_is_building_at_once(kind: str) -> None:
    text = verse(20_000)
    lines = text.splitlines(keepends=True)
    pieces = ["".join(lines[place : place + 7]) for place in range(0, len(lines), 7)]
    assert build(kind, text).to_bytes() == build(kind, *pieces).to_bytes()


@every_tokenizer
def test_nothing_is_learned_across_the_end_of_a_text(kind: str) -> None:
    keys = build(kind, *["in"] * 500, *["on"] * 500).keys()
    assert not [key for key in keys if key.endswith(("nin", "non", "ni", "no"))]


@every_tokenizer
def test_a_tokenizer_of_no_text_spells_everything(kind: str) -> None:
    tokenizer = build(kind)
    assert tokenizer.decode(tokenizer.encode(verse(500))) == verse(500)


@every_tokenizer
def test_every_id_has_a_key_of_its_own(kind: str) -> None:
    tokenizer = build(kind, verse(5000))
    assert len(tokenizer.keys()) == len(set(tokenizer.keys())) == tokenizer.size
    other = build(kind, verse(5000)[::2])
    shared = {*tokenizer.keys()} & {*other.keys()} - {"document"}
    assert len(shared) >= 16
    mine, others = ({key: place for place, key in enumerate(each.keys())} for each in (tokenizer, other))
    assert all(tokenizer.decode([mine[key]]) == other.decode([others[key]]) for key in shared)


@every_tokenizer
@given(learned=ANY_TEXT, other=ANY_TEXT, text=ANY_TEXT, max_size=st.integers(1, 30))
def test_an_extended_tokenizer_keeps_its_ids(kind: str, learned: str, other: str, text: str, max_size: int) -> None:
    tokenizer = build(kind, learned, max_size=max_size)
    before = tokenizer.keys()
    settings = TokenizerSettings(kind=kind, min_count=1, max_size=max_size)
    extended = tokenizer.extended([other, text], settings)
    assert tokenizer.keys() == before == extended.keys()[: len(before)]
    assert extended.size <= max(tokenizer.size, 17 + max_size)
    assert extended.decode(extended.encode(text)) == text
    assert extended.extended([other, text], settings).keys() == extended.keys()
    again = TOKENIZERS[kind].from_bytes(extended.to_bytes())
    assert again.keys() == extended.keys()


@every_tokenizer
def test_the_seen_and_new_is_what_an_extension_adds(kind: str) -> None:
    tokenizer = build(kind, "a a b b ")
    added = tokenizer.extended(["b c c x ", "c y y a "], TokenizerSettings(kind=kind)).keys()[tokenizer.size :]
    assert added == {"characters": ["character c", "character y"], "symbols": ["symbol c", "symbol y"]}.get(kind, [])


@every_tokenizer
@given(prompt=ANY_TEXT, text=ANY_TEXT, place=st.integers(0, 60))
def test_a_decoder_that_was_fed_a_prompt_goes_on_as_if_it_had_written_it(
    kind: str, prompt: str, text: str, place: int
) -> None:
    tokenizer = build(kind, prompt + text)
    ids = tokenizer.encode(f"{prompt} {text}").tolist()
    whole = stream(tokenizer, ids)
    primed = tokenizer.decoder()
    for symbol in ids[:place]:
        primed.feed(symbol)
    assert [*map(primed.feed, ids[place:]), primed.finish()] == whole[place:] or place > len(ids)


@every_tokenizer
@pytest.mark.parametrize(
    "text", ["a" * 60_000, "\u0301" * 60_000, "\u2581a" * 30_000, "\ud800" * 50_000, " " * 60_000, "\n" * 60_000,
             "\0" * 50_000, "".join(map(chr, range(0x20000, 0x20000 + 40_000)))],
    ids=["a", "combining", "marks", "surrogates", "spaces", "lines", "nul", "ideographs"],
)  # fmt: skip
def test_a_long_line_of_anything_comes_back(kind: str, text: str) -> None:
    tokenizer = build(kind, "a few words\n" * 40)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(texts=st.lists(ANY_TEXT), size=st.integers(1, 9))
def test_blocks_are_the_same_text_in_equal_lengths(texts: list[str], size: int) -> None:
    blocks = [*in_blocks(texts, size)]
    assert "".join(blocks) == "".join(texts)
    assert all(len(block) == size for block in blocks[:-1])
    assert all(blocks)


@pytest.mark.parametrize(
    ("size", "name"), [(2, "uint8"), (256, "uint8"), (257, "uint16"), (65536, "uint16"), (65537, "uint32")]
)
def test_ids_are_of_the_smallest_type_that_holds_them(size: int, name: str) -> None:
    assert id_type(size) == np.dtype(name)


@pytest.mark.parametrize("kind", [kind for kind in MODALITIES["text"].tokenizers if TOKENIZERS[kind].suffix == "json"])
@pytest.mark.parametrize("data", [b"", b"[]", b"1", b"{", b"\xff", b"[" * 100_000, b"null"])
def test_what_is_no_json_object_is_no_tokenizer(kind: str, data: bytes) -> None:
    with pytest.raises(ValueError):
        TOKENIZERS[kind].from_bytes(data)


def test_characters_of_any_order_are_a_vocabulary() -> None:
    tokenizer = TOKENIZERS["characters"].from_bytes(json.dumps({"code_points": [0x62, 0x61]}).encode())
    assert tokenizer.encode("ab").tolist() == [18, 17]


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
    assert tokenizer.keys()[17:] == ["character w", "character y", "character z"]


def test_of_equally_frequent_characters_the_first_code_points_get_an_id() -> None:
    letters = "".join(map(chr, range(0x4E00, 0x4E00 + 500)))
    assert build("characters", letters[::-1], max_size=3).unknown(letters) == list(letters[3:])


def test_half_a_byte_without_its_other_half_becomes_nothing() -> None:
    tokenizer = build("characters", "a")
    assert tokenizer.decode([1 + 0x6, *tokenizer.encode("a").tolist(), 1 + 0x6]) == "a"


@pytest.mark.parametrize(
    "data", [{}, {"code_points": "abc"}, {"code_points": [97, 97]}, {"code_points": [-1]}, {"code_points": [0x110000]},
             {"code_points": [97.0]}, {"code_points": [True]}, {"code_points": None}],
)  # fmt: skip
def test_a_damaged_list_of_characters_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"code_points|twice"):
        TOKENIZERS["characters"].from_bytes(json.dumps(data).encode())


def test_lone_surrogates_stay_beside_bytes_that_are_replaced() -> None:
    assert text_of(b"a\xff\xed\xa0\x80b\xe2\x82") == "a\ufffd\ud800b\ufffd"


@given(text=ANY_TEXT)
def test_bytes_of_a_text_are_its_text_again(text: str) -> None:
    assert text_of(bytes_of(text)) == text
