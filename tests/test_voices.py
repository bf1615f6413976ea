"""Voices on a grid: what becomes of a piece as words, that it comes back, and its copies in other keys."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.recipe import TokenizerSettings
from seqgen.scores.notation import parse, write
from seqgen.scores.piece import TICKS, Key, Metre, Note, Part, Piece
from seqgen.tokenizers import DOCUMENT, TOKENIZERS, Ids, parts_matrix
from seqgen.tokenizers.grid import (
    COUNTED_DOWN,
    FAR,
    HOLD,
    REST,
    bar_word,
    bars_on,
    cells_of,
    distances_to_fermatas,
    is_event,
    round_to,
)
from seqgen.tokenizers.voices import VoicesTokenizer
from tests.pieces import RANGES, STEP, bare, corpus, grid_pieces


def build(pieces: Sequence[Piece], **settings: Any) -> VoicesTokenizer:
    return VoicesTokenizer.build_from(pieces, TokenizerSettings(kind="voices", **settings))


def duet(upper: str, lower: str, about: str = "") -> Piece:
    """Two parts from their text forms."""
    return parse(f"{about}\nupper: {upper}\nlower: {lower}")


def again(tokenizer: VoicesTokenizer, piece: Piece) -> Piece:
    """A piece by way of ids."""
    return parse(tokenizer.decode(tokenizer.encode(write(piece))))


PIECES = corpus()
CHORALES = build(PIECES)
EXTREMES = [
    Piece(
        tuple(Part((Note(0, STEP, low), Note(STEP, STEP, high))) for low, high in RANGES),
        (Metre(0, beats, unit), Metre(TICKS * 4, 2, 4)),
        (Key(0, 0, False),),
        pickup=pickup,
    )
    for beats, unit, pickup in [(4, 4, 0), (3, 4, TICKS), (6, 8, 2 * STEP)]
]
WIDE = build(EXTREMES)
"""Knows whatever `grid_pieces` may draw."""


# The grid


@pytest.mark.parametrize(("ticks", "steps"), [(0, 0), (59, 0), (60, 0), (61, 1), (120, 1), (180, 1), (181, 2)])
def test_the_nearest_step_is_taken_and_a_half_is_rounded_down(ticks: int, steps: int) -> None:
    assert round_to(ticks, 120) == steps


def test_a_voice_strikes_holds_or_rests() -> None:
    part = parse("C4:0.5 r:0.25 D4:0.25 D4:0.5").parts[0]
    assert cells_of(part, STEP, 8, held=True) == [60, HOLD, REST, 62, 62, HOLD, REST, REST]
    assert cells_of(part, STEP, 8, held=False) == [60, 60, REST, 62, 62, 62, REST, REST]


def test_what_lies_between_two_steps_is_moved_and_what_is_too_short_is_left_out() -> None:
    part = Part((Note(10, 110, 60), Note(130, 20, 61), Note(170, 200, 62)))
    assert cells_of(part, STEP, 4, held=True) == [60, 62, HOLD, REST]


def test_bars_are_counted_from_the_end() -> None:
    bars = bars_on(parse("metre: 3/4\nC4 D4:3"), TICKS)
    assert [(bar.first, bar.last, bar.offset, bar.left, bar.changes) for bar in bars] == [
        (0, 3, 0, 2, False),
        (3, 6, 0, 1, False),
    ]


def test_a_pickup_is_counted_from_the_end_of_its_bar_and_the_last_bar_may_lack_it() -> None:
    bars = bars_on(parse("metre: 3/4\npickup: 1\nC4 D4 D4 D4 E4 F4"), TICKS)
    assert [(bar.first, bar.last, bar.offset) for bar in bars] == [(0, 1, 2), (1, 4, 0), (4, 6, 0)]
    bars = bars_on(parse("metre: 3/4\npickup: 1\nC4 D4 D4 D4 E4 F4 G4"), TICKS)
    assert [(bar.first, bar.last, bar.offset) for bar in bars] == [(0, 1, 2), (1, 4, 0), (4, 7, 0)]


def test_a_new_metre_stands_where_it_changes_only() -> None:
    bars = bars_on(parse("metre: 3/4 @3 2/4 @5 2/4 @7 3/4\nC4:10"), TICKS)
    assert [(bar.first, str(bar.metre), bar.changes) for bar in bars] == [
        (0, "3/4", False), (3, "2/4", True), (5, "2/4", False), (7, "3/4", True),
    ]  # fmt: skip


def test_something_happens_where_a_note_or_a_rest_begins() -> None:
    assert is_event([REST, REST], [])
    assert is_event([60, HOLD], [62, 50])
    assert is_event([REST, HOLD], [62, 50])
    assert not is_event([REST, HOLD], [REST, 50])
    assert not is_event([HOLD, HOLD], [62, HOLD])


def test_steps_say_how_many_quarters_it_is_to_the_next_fermata() -> None:
    piece = duet("C4:0.5 D4:6 E4:2^ F4", "C3:8.5 r:0.5 D3:0.5")
    near = [4] * 5 + [4, 4, 4, 3, 3, 2, 2, 1, 1] + [0] * 4 + [4, 4]
    assert distances_to_fermatas(piece, STEP * 2, 19)[-15:] == near[-15:]
    assert distances_to_fermatas(parse("C4:8"), STEP, 32) == [FAR] * 32


# Words


def test_a_piece_is_told_event_by_event_the_outer_voices_first() -> None:
    piece = parse("key: G major\nmetre: 2/4\npickup: 1/2\nS: G4:0.5 A4^ r\nA: D4:2.5\nT: B3:0.5 C4:2\nB: G2:0.5 G2:2")
    tokenizer = build([piece], grid=2)
    assert tokenizer.encode_piece(piece) == [
        "key G major", "metre 2/4", "pickup 1",
        "step 3 1", "0 67", "3 43", "1 62", "2 59",
        "bar 1", "key G major",
        "step 0 0", "0 69", "3 43", "1 -", "2 60",
        "step 2 4", "0 r", "3 -", "1 -", "2 -",
        "end 4",
    ]  # fmt: skip
    assert {*tokenizer.encode_piece(piece)} <= {*tokenizer.words}


def test_bars_are_counted_down_at_the_end() -> None:
    piece = parse("metre: 1/4\nS: " + "C4 " * (COUNTED_DOWN + 3))
    words = build([piece], voices=1).encode_piece(piece)
    bars = [word for word in words if word.startswith("bar")]
    assert bars == ["bar"] * 3 + [f"bar {left}" for left in range(COUNTED_DOWN, 0, -1)]
    assert [bar_word(left) for left in (1, COUNTED_DOWN, COUNTED_DOWN + 1, 99)] == ["bar 1", "bar 16", "bar", "bar"]


@given(grid_pieces())
def test_notes_on_the_grid_come_back(piece: Piece) -> None:
    result = again(WIDE, piece)
    assert bare(result) == bare(piece)
    assert (result.metres[0], result.keys, result.pickup) == (piece.metres[0], piece.keys, piece.pickup)
    assert [*result.bars()] == [*piece.bars()]


@given(grid_pieces())
def test_what_is_decoded_is_encoded_as_it_was(piece: Piece) -> None:
    ids = WIDE.encode(write(piece))
    assert WIDE.encode(WIDE.decode(ids)).tolist() == ids.tolist()


@pytest.mark.parametrize("piece", PIECES[:12], ids=range(12))
def test_a_little_chorale_comes_back_with_all_that_it_has(piece: Piece) -> None:
    assert again(CHORALES, piece) == piece


@given(grid_pieces())
def test_without_holds_each_step_says_what_sounds(piece: Piece) -> None:
    tokenizer = build(EXTREMES, held=False)
    result = again(tokenizer, piece)
    cells = [
        [cells_of(part, STEP, round_to(piece.end, STEP), held=False) for part in each.parts] for each in (piece, result)
    ]
    assert cells[0] == cells[1]
    assert not [word for word in tokenizer.words if word.endswith("-")]


def test_words_end_anywhere_and_still_make_a_piece() -> None:
    ids = CHORALES.encode(write(PIECES[2]))
    whole = bare(CHORALES.decode_piece(CHORALES.words_of(ids)))
    for size in range(len(ids)):
        part = CHORALES.decode_piece(CHORALES.words_of(ids[:size]))
        for cut, full in zip(bare(part), whole, strict=True):
            assert [(note[0], note[2]) for note in cut] == [(note[0], note[2]) for note in full][: len(cut)]


@given(st.lists(st.integers(0, CHORALES.size - 1), max_size=60))
def test_any_words_make_a_piece(ids: list[int]) -> None:
    text = CHORALES.decode(ids)
    assert all(parse(each).notes for each in text.split("\n\n") if text)


def test_pieces_are_divided_by_the_document_symbol() -> None:
    ids = [CHORALES.encode(write(piece)).tolist() for piece in PIECES[:3]]
    text = CHORALES.decode([DOCUMENT, *ids[0], DOCUMENT, *ids[1], DOCUMENT, DOCUMENT, *ids[2]])
    assert [*map(parse, text.split("\n\n"))] == PIECES[:3]


def test_names_and_programs_are_those_of_most_pieces() -> None:
    other = dataclasses.replace(PIECES[0], parts=tuple(Part(part.notes, "x", 40) for part in PIECES[0].parts))
    tokenizer = build([other, *PIECES[1:3]])
    assert [part.name for part in again(tokenizer, other).parts] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert {part.program for part in again(build([other]), other).parts} == {40}


def test_a_tokenizer_comes_back_from_its_file() -> None:
    stored = CHORALES.to_bytes()
    other = VoicesTokenizer.from_bytes(stored)
    assert (other.to_bytes(), other.keys()) == (stored, CHORALES.keys())
    assert again(other, PIECES[5]) == PIECES[5]


@pytest.mark.parametrize(
    "change",
    [{"words": None}, {"words": [1]}, {"words": ["bar", "bar"]}, {"voices": 3}, {"grid": 7}, {"ranges": []}],
)
def test_a_damaged_file_is_no_tokenizer(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        VoicesTokenizer.from_bytes(json.dumps(json.loads(CHORALES.to_bytes()) | change).encode())


def test_an_extended_tokenizer_keeps_its_ids_and_knows_more() -> None:
    tokenizer = build(PIECES[:3])
    low = parse("metre: 5/4\nS: C3:5\nA: C3:5\nT: C3:5\nB: C2:5")
    extended = tokenizer.extended([write(low)], TokenizerSettings(kind="voices"))
    assert extended.keys()[: tokenizer.size] == tokenizer.keys()
    assert bare(again(extended, low)) == bare(low)


# Pieces that are not as those in training


@given(grid_pieces(ranges=((0, 127),) * 4))
def test_a_piece_with_words_never_seen_is_encoded_all_the_same(piece: Piece) -> None:
    narrow = build([PIECES[0]])
    ids = narrow.encode(write(piece))
    words = narrow.words_of(ids)
    assert len(words) == len(narrow.encode_piece(piece))  # none is left out
    assert narrow.count(ids) == piece.notes
    for voice, part in enumerate(piece.parts):
        sung = [int(word.split()[1]) for word in words if word.startswith(f"{voice} ") and word[-1].isdigit()]
        low, high = narrow.ranges[voice][0] - 5, narrow.ranges[voice][1] + 5
        assert all(low <= pitch <= high for pitch in sung)
        for note, pitch in zip(part.notes, sung, strict=True):  # an octave nearer, where one fits
            assert (
                pitch == note.pitch if low <= note.pitch <= high else (pitch - note.pitch) % 12 == 0 or high - low < 11
            )


def test_keys_metres_and_pickups_never_seen_become_what_is_nearest() -> None:
    tokenizer = build([PIECES[0], PIECES[1]])
    words = tokenizer.words_of(tokenizer.ids_of(["key H", "metre 9/8", "pickup 3", "pickup 1", "step 99 2"]))
    assert words == ["key ?", "metre ?", "pickup 4", "pickup 0", "step 15 2"]


REFUSED = {
    "not 4 voices": "C4",
    "chords in a voice": "S: C4+E4\nA: C4\nT: C4\nB: C4",
    "not on a grid of 4 steps to a quarter note": "S: C4:1/3 D4:1/3 E4:1/3\nA: C4\nT: C4\nB: C4",
    "a metre that does not fit the grid": "metre: 1/32\nS: C4\nA: C4\nT: C4\nB: C4",
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_are_no_voices_is_refused(reason: str) -> None:
    assert VoicesTokenizer.refusal(REFUSED[reason], TokenizerSettings(kind="voices")) == reason


def test_drums_are_no_voice_and_a_grid_may_be_finer() -> None:
    drums = "S: C4\nA: C4\nT: C4\nB (drums): 36"
    assert VoicesTokenizer.refusal(drums, TokenizerSettings(kind="voices")) == "not 4 voices"
    triplets = REFUSED["not on a grid of 4 steps to a quarter note"]
    assert VoicesTokenizer.refusal(triplets, TokenizerSettings(kind="voices", grid=12)) is None
    assert VoicesTokenizer.refusal(triplets, TokenizerSettings(kind="voices", voices=3)) == "not 3 voices"


def test_a_text_that_is_no_piece_is_refused_with_what_is_wrong() -> None:
    reason = VoicesTokenizer.refusal("S: H9", TokenizerSettings(kind="voices"))
    assert reason and "'H9'" in reason


def test_few_notes_off_the_grid_are_moved() -> None:
    text = "C4 " * 40 + "D4:1/3"
    assert VoicesTokenizer.refusal(text + " D4:2/3", TokenizerSettings(kind="voices", voices=1)) is None
    assert VoicesTokenizer.refusal(text * 3, TokenizerSettings(kind="voices", voices=1))


# Other keys


def moved(piece: Piece, copy: Piece) -> int:
    """By how many semitones all notes have moved."""
    pairs = zip(bare(piece), bare(copy), strict=True)
    differences = {
        (b[0] - a[0], b[1] - a[1], b[2] - a[2])
        for first, second in pairs
        for a, b in zip(first, second, strict=True)
    }  # fmt: skip
    (((start, length, semitones)),) = differences
    assert (start, length) == (0, 0)
    return semitones


@pytest.mark.parametrize("tokenizer", [CHORALES, build(PIECES, held=False)], ids=["held", "struck"])
@pytest.mark.parametrize("seed", [0, 7, 14])
def test_copies_are_the_piece_in_other_keys_within_the_ranges(tokenizer: VoicesTokenizer, seed: int) -> None:
    original = tokenizer.decode_piece(tokenizer.words_of(tokenizer.encode(write(PIECES[seed]))))
    ids = tokenizer.encode(write(PIECES[seed]))
    copies = [tokenizer.decode_piece(tokenizer.words_of(copy)) for copy in tokenizer.copies(ids)]
    semitones = [moved(original, copy) for copy in copies]
    assert 0 not in semitones and len(set(semitones)) == len(semitones)
    assert copies == [original.transposed(number) for number in semitones]
    fitting = [
        number for number in range(-6, 6) if number and all(
            low <= note.pitch + number <= high
            for part, (low, high) in zip(original.parts, tokenizer.ranges, strict=True) for note in part.notes
        )
    ]  # fmt: skip
    assert semitones == fitting
    assert fitting


def test_there_are_copies_in_all_keys_where_the_ranges_allow() -> None:
    middle = parse("key: C major\nmetre: 4/4\nS: C5:4\nA: C4:4\nT: C4:4\nB: C3:4")
    wide = build([middle.transposed(12), middle.transposed(-12), middle])
    copies = wide.copies(wide.encode(write(middle)))
    keys = [parse(wide.decode(copy)).keys[0].tonic for copy in copies]
    assert sorted([*keys, 0]) == list(range(12))
    assert {copy.dtype for copy in copies} == {wide.encode(write(middle)).dtype}


def test_a_piece_without_a_key_has_copies_without_one() -> None:
    middle = parse("S: C5:4")
    tokenizer = build([middle, middle.transposed(3)], voices=1)
    (copy, *others) = tokenizer.copies(tokenizer.encode(write(middle)))
    assert [tokenizer.words_of(each)[0] for each in (copy, *others)] == ["key ?"] * 3


# What is counted


def test_notes_are_counted_and_without_holds_every_voice_of_every_step() -> None:
    piece = PIECES[0]
    assert CHORALES.count(CHORALES.encode(write(piece))) == piece.notes
    struck = build(PIECES, held=False)
    assert struck.count(struck.encode(write(piece))) == 4 * piece.end // STEP


def test_figures_are_means_over_the_steps_of_each_piece() -> None:
    draw = np.random.default_rng(1)
    ids: Ids = np.concatenate([[DOCUMENT, *CHORALES.encode(write(piece))] for piece in PIECES[:3]])
    nats = draw.random(len(ids) - 1)
    later, steps, place = 0.0, 0, 0
    for piece in PIECES[:3]:
        words = CHORALES.encode_piece(piece)
        first = words.index(next(word for word in words if word.startswith("2 "))) + 1  # its header, and its first step
        end = place + len(words) + 1  # with the document symbol that ends it
        later += nats[place + first : end].sum()
        steps += piece.end // STEP  # those in which nothing new happens, too
        place = end
    assert CHORALES.figures(ids, nats) == pytest.approx(
        {"frames": steps, "nats_per_frame": nats.sum() / steps, "nats_per_frame_from_second": later / (steps - 3)}
    )


def test_words_share_what_is_the_same_in_music() -> None:
    tokenizer = build([parse("key: G minor\nmetre: 2/4\nS: G4 A4^\nA: G3:2\nT: D3:2\nB: G2:2")])
    parts = dict(zip(tokenizer.words, tokenizer.parts()[1:], strict=True))
    assert tokenizer.parts()[0] == []
    assert (
        {"pitch 67", "class 7"} <= {*parts["0 67"]} and "class 7" in parts["1 55"] and "class 7" in parts["key G minor"]
    )
    assert not {*parts["0 67"]} & {*parts["step 0 4"]}
    matrix = parts_matrix(tokenizer)
    assert matrix is not None
    assert matrix.shape[0] == tokenizer.size
    assert matrix.sum() == sum(map(len, tokenizer.parts()))
    assert parts_matrix(TOKENIZERS["bytes"]()) is None


@pytest.mark.parametrize(
    "change",
    [{"words": ["step x 1"]}, {"words": ["0 128"]}, {"voices": 3}, {"grid": 0}, {"names": ["S"]}, {"programs": ["a"] * 4},
     {"ranges": None}, {"longest": ...}],
    ids=str,
)  # fmt: skip
def test_a_file_that_is_not_of_this_kind_is_refused(change: dict[str, Any]) -> None:
    tokenizer = build([*corpus(2)])
    data = {"words": tokenizer.words, **tokenizer.about, **change}
    plain = json.dumps({name: value for name, value in data.items() if value is not ...}).encode()
    with pytest.raises(ValueError, match=r"words|know|fit|missing|longer"):
        VoicesTokenizer.from_bytes(plain)
