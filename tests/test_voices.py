"""Voices on a grid: what becomes of a piece as words, that it comes back, and its copies in other keys."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.alphabet import KEPT, NOBODY
from seqgen.models import LanguageModel
from seqgen.recipe import ModelSettings, TokenizerSettings
from seqgen.scores.notation import parse, write
from seqgen.scores.piece import TICKS, Key, Metre, Note, Part, Piece
from seqgen.tokenizers import DOCUMENT, TOKENIZERS, Ids, alphabet_of
from seqgen.tokenizers.grid import (
    COUNTED_DOWN,
    FAR,
    HOLD,
    REST,
    bar_word,
    bars_on,
    cells_of,
    distances_to_fermatas,
    goals_of,
    is_event,
    round_to,
)
from seqgen.tokenizers.voice_seeds import voice_order
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


@pytest.mark.parametrize(
    ("upper", "lower", "goals"),
    [
        ("C5 D5^ E5:2", "C3 G3 C3:2", [55, 48]),  # a fermata in another part; behind it the end
        ("C5 D5:2^ E5 F5 G5^", "C3 G2:2 A2 B2 E3", [43, 52, 52]),  # one that is held over the barline
        ("C5:2 D5^ E5^", "C3:2 D3 E3", [50, 50]),  # one on the barline, and the first of two in a bar
        ("C5:6", "C3:2 D3:2 E3:2", [52, 52, 52]),  # none: the end of the piece
        ("C5:1.5 D5:2.5^", "C3 D3 E3 F3^", [50, 53]),  # one in the middle of a note of the bass, and one above
        ("C5 D5^ E5:2", "C3:0.5 r:2.5 D3", [48, 50]),  # a rest of the bass: what it sang last
        ("C5 D5^ E5:2", "r:2 D3:2", [50, 50]),  # it has not begun
        ("C5 D5^ E5:2", "r:4", [None, None]),
    ],
)  # fmt: skip
def test_a_bar_goes_to_where_the_bass_ends_its_phrase(upper: str, lower: str, goals: list[int | None]) -> None:
    piece = duet(upper, lower, "metre: 2/4")
    assert goals_of(piece, STEP, bars_on(piece, STEP)) == goals


def test_a_goal_that_begins_a_little_late_is_one_all_the_same() -> None:
    upper = Part((Note(0, 2 * STEP, 72), Note(2 * STEP, 2 * STEP, 74, fermata=True)))
    lower = Part((Note(0, 2 * STEP + 5, 48), Note(2 * STEP + 5, 2 * STEP - 5, 55)))
    piece = Piece((upper, lower), (Metre(0, 1, 4),))
    assert cells_of(lower, STEP, 4, held=False) == [48, 48, 55, 55]
    assert goals_of(piece, STEP, bars_on(piece, STEP)) == [55]


# Words


def test_a_piece_is_told_event_by_event_the_outer_voices_first() -> None:
    piece = parse("key: G major\nmetre: 2/4\npickup: 1/2\nS: G4:0.5 A4^ r\nA: D4:2.5\nT: B3:0.5 C4:2\nB: G2:0.5 G2:2")
    tokenizer = build([piece], grid=2)
    assert tokenizer.encode_piece(piece) == [
        "key G major", "metre 2/4", "pickup 1", "to 0",
        "step 3 1", "0 67", "3 43", "1 62", "2 59",
        "bar 1", "to 0",
        "step 0 0", "0 69", "3 43", "1 -", "2 60",
        "step 2 4", "0 r", "3 -", "1 -", "2 -",
        "end 4",
    ]  # fmt: skip
    assert {*tokenizer.encode_piece(piece)} <= {*tokenizer.words}


@pytest.mark.parametrize("seed", range(6))
def test_each_bar_and_the_upbeat_say_on_which_degree_their_phrase_ends(seed: int) -> None:
    piece = PIECES[seed]
    words = CHORALES.encode_piece(piece)
    begins = [place for place, word in enumerate(words) if word.startswith("bar")] + [2] * bool(piece.pickup)
    goal = f"to {(piece.parts[-1].notes[-1].pitch - piece.keys[0].tonic) % 12}"
    assert {words[place + 1] for place in begins} == {goal}
    assert len([word for word in words if word.startswith("to")]) == len(begins) == len([*piece.bars()])
    assert {word for word in CHORALES.encode_piece(piece.transposed(1)) if word.startswith("to")} == {goal}
    unknown = CHORALES.encode_piece(dataclasses.replace(piece, keys=()))
    assert unknown[1:] == [word for word in words[1:] if not word.startswith("to")]
    assert not [word for word in build([dataclasses.replace(piece, keys=())]).words if word.startswith("to")]


def test_a_degree_is_counted_from_the_tonic() -> None:
    piece = parse("key: B minor\nmetre: 2/4\nS: B4:2 A4^ B4\nB: B2:2 F#2 C3")
    words = build([piece], voices=2).encode_piece(piece)
    assert [word for word in words if word.startswith("to")] == ["to 7", "to 7"]
    piece = parse("key: B minor\nmetre: 2/4\nS: B4 A4^ B4:2\nB: B2 F#2 C3:2")
    assert [word for word in build([piece], voices=2).encode_piece(piece) if word.startswith("to")] == ["to 7", "to 1"]


def test_a_piece_with_a_key_is_encoded_where_no_training_piece_had_one() -> None:
    tokenizer = build([parse("metre: 4/4\nS: C5:4")], voices=1)
    words = tokenizer.words_of(tokenizer.encode("key: C major\nmetre: 4/4\nS: C5:4"))
    assert words == ["key ?", "metre 4/4", "pickup 0", "bar 1", "step 0 4", "0 72", "end 16"]


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
    matrix = alphabet_of(tokenizer).parts
    assert matrix is not None
    assert matrix.shape[0] == tokenizer.size
    assert matrix.sum() == sum(map(len, tokenizer.parts()))
    assert alphabet_of(TOKENIZERS["bytes"]()).parts is None


# What words mean


@pytest.mark.parametrize("voices", [1, 2, 4, 5])
@pytest.mark.parametrize("held", [True, False])
def test_what_words_write_is_what_is_sung(voices: int, held: bool) -> None:
    pieces = [dataclasses.replace(piece, parts=(piece.parts * 2)[:voices]) for piece in PIECES[:6]]
    tokenizer = build(pieces, voices=voices, held=held)
    tables = tokenizer.registers()
    assert tables is not None and tables.voices == voices
    for piece in pieces:
        words = tokenizer.encode_piece(piece)
        ids = [DOCUMENT, *tokenizer.ids_of(words).tolist()]
        nexts = [int(word[0]) if word[0].isdigit() else NOBODY for word in words]
        assert tables.turn[ids].tolist() == [*nexts, NOBODY]
        steps = [word.startswith("step ") for word in words]
        assert tables.begins_step[ids].tolist() == [False, *steps]
        cells = [
            *zip(*(cells_of(part, STEP, round_to(piece.end, STEP), False) for part in piece.parts), strict=True)
        ]  # fmt: skip
        values, sung = tables.writes[DOCUMENT], []
        for symbol in ids:
            values = np.where(tables.writes[symbol] == KEPT, values, tables.writes[symbol])
            if tables.turn[symbol] == NOBODY and tokenizer.keys()[symbol].startswith(f"{voice_order(voices)[-1]} "):
                sung.append(tuple((values[:voices] - 1).tolist()))
        assert list(dict.fromkeys(sung)) == list(dict.fromkeys(cells))
        assert values[voices] == piece.keys[0].tonic + 1


def test_every_word_says_its_facts_and_the_same_in_every_key() -> None:
    said: dict[str, set[str]] = {}
    for word in CHORALES.words:
        meaning, head, value = CHORALES.meaning_of(word), *word.partition(" ")[::2]
        higher = CHORALES.meaning_of(CHORALES.transposed(word, 1) or word)
        if head.isdigit() and value.isdigit():
            assert (meaning.voice, meaning.pitch, higher.pitch) == (
                int(head), int(value), int(value) + (CHORALES.transposed(word, 1) != ""),
            )  # fmt: skip
        else:
            assert meaning.pitch is None
        assert (meaning.tonic is None) == (head != "key" or value == "?")
        assert meaning.tonic is None or higher.tonic == (meaning.tonic + 1) % 12
        unmoved = dataclasses.replace(meaning, pitch=None, tonic=None)
        assert unmoved == dataclasses.replace(higher, pitch=None, tonic=None)
        assert {*meaning.facts} <= ({"place", "near"} if head == "step" else {head})
        for name, fact in meaning.facts.items():
            said.setdefault(name, set()).add(fact)
    assert CHORALES.meaning_of("key F# minor").tonic == 6
    assert CHORALES.meaning_of("step 12 3").facts == {"place": "12", "near": "3"}
    assert CHORALES.meaning_of("key F# minor").facts == {"key": "minor"}
    assert said == {
        "key": {"major", "minor", "?"},
        "metre": {"4/4", "3/4", "?"},
        "bar": {"", *(str(left) for left in range(1, COUNTED_DOWN + 1))},
        "to": {str(degree) for degree in range(12)},
        "place": {str(place) for place in range(16)},
        "near": {str(near) for near in range(FAR + 1)},
    }


def test_degrees_are_likely_by_fermata_and_goal_and_by_mode_and_bars_left() -> None:
    tables = CHORALES.registers()
    assert tables is not None
    keys = {name: CHORALES.ids[name] for name in ("step 0 0", "to 0", "key A minor", "bar 1")}
    written = {name: {*np.flatnonzero(tables.writes[symbol] != KEPT).tolist()} for name, symbol in keys.items()}
    near_to, key_bar = map(set, tables.contexts)
    assert near_to < written["step 0 0"] | written["to 0"] and len(near_to & written["step 0 0"]) == 1
    assert key_bar == (written["key A minor"] | written["bar 1"]) - {tables.voices}


def test_a_bass_that_is_always_silent_does_no_harm() -> None:
    piece = parse("metre: 4/4\nS: C5:4\nB: r:4")
    tokenizer = build([piece], voices=2)
    model = LanguageModel(alphabet_of(tokenizer), ModelSettings(hidden=4, embedding=4))
    model.reset_parameters(torch.Generator().manual_seed(1))
    ids = torch.tensor([tokenizer.encode(write(piece)).tolist()])
    assert model.start(ids)[0].isfinite().all()


def test_what_is_learned_without_keys_is_taken_over_to_pieces_with_keys() -> None:
    settings, text = TokenizerSettings(kind="voices", voices=2), "metre: 4/4\nS: C5:4\nB: C4:4"
    tokenizer = VoicesTokenizer.build([text], settings)
    extended = tokenizer.extended([f"key: D major\n{text}"], settings)
    models = [LanguageModel(alphabet_of(each), ModelSettings(hidden=4, embedding=4)) for each in (tokenizer, extended)]
    for model in models:
        model.reset_parameters(torch.Generator().manual_seed(1))
    assert models[0].experts is not None
    for table in models[0].experts.degrees:
        table.data.fill_(0.5)
    models[1].adopt(
        models[0].state_dict(), torch.arange(extended.size).where(torch.arange(extended.size) < tokenizer.size, -1)
    )
    old, new = (model.experts for model in models)
    assert old is not None and new is not None
    for tables, wider in ((old.inputs, new.inputs), (old.outputs, new.outputs), (old.degrees, new.degrees)):
        for table in tables:  # each is the beginning of one in the new model
            block = tuple(map(slice, table.shape))
            assert any(other[block].shape == table.shape and other[block].equal(table) for other in wider)


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
