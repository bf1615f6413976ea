"""Tunes as words: what goes in comes out, and whatever is drawn under the guide is a whole tune that keeps to the request."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.alphabet import EMPTY, KEPT
from seqgen.errors import UsageError
from seqgen.recipe import TokenizerSettings
from seqgen.scores import notation
from seqgen.scores.performing import unfold
from seqgen.scores.piece import TICKS, Key, Mark, Metre, Note, Part, Piece
from seqgen.scores.pitches import parse_key
from seqgen.tokenizers.base import DOCUMENT
from seqgen.tokenizers.melody import MelodyTokenizer
from seqgen.tokenizers.scores import Wanted
from seqgen.tokenizers.tune_words import GRID, SIGN_ORDER, STEP, body_of

JIG = """
key: D major
metre: 6/8
pickup: 0.5
marks: @12 :| @24 :|
A4:0.5 | D5:0.5 F#5:0.5 A5:0.5 A5 F#5:0.5 | G5:0.5 F#5:0.5 E5:0.5 D5:1.5 | E5:1.5 A4:1 B4:0.5 | D5:1.5 D5:1
F#5:0.5 | G5:0.5 G5:0.5 G5:0.5 B5:1.5 | A5:0.5 A5:0.5 A5:0.5 F#5:1 r:0.5 | E5:1 E5:0.5 C#5:1.5 | D5:2.5
""".replace("| E5:1.5 A4:1 B4:0.5 | D5:1.5 D5:1\n", "| E5:1.5 A4:1 B4:0.5 | D5:1.5 D5:1 ")
REEL = """
key: E minor
metre: 4/4
marks: |: @8 [1 @12 :| @12 [2
E4 G4:1/3 A4:1/3 B4:1/3 E5:0.5 D5:0.5 B4 | A4:0.75 B4:0.25 A4:0.5 G4:0.5 F#4 D4 | E4:2 B4:2 | E4:3 r
"""
WALTZ = """
key: G major
metre: 3/4 @13 3/4
marks: @12 ||
G4 B4 D5 | G5:1 F#5:4 E5 | D5:2 C5:1 | B4 | D5 E5 F#5 | G5:3 | A5:2 B5:1 | G5:2
"""
AIR = """
metre: 2/4 @8 3/4
C4:0.125 D4:0.125 E4:0.25 F4:0.5 G4 | A4:2 | C5 r:0.5 B4:0.5 | G4:2 | E4 F4 G4 | C5:3
"""
TUNES = {"jig": JIG, "reel": REEL, "waltz": WALTZ, "air": AIR}
SETTINGS = TokenizerSettings()
every_tune = pytest.mark.parametrize("text", TUNES.values(), ids=TUNES)


@pytest.fixture(scope="module")
def tokenizer() -> MelodyTokenizer:
    return MelodyTokenizer.build(TUNES.values(), SETTINGS)


def draw(tokenizer: MelodyTokenizer, wanted: Wanted, seed: int, most: int = 20_000) -> list[str]:
    """The words of a sample in which each word that is allowed is as likely as any other."""
    guide, dice, words = tokenizer.guide(wanted), random.Random(seed), list[str]()
    while len(words) < most:
        symbol = dice.choice(np.flatnonzero(guide.allowed()).tolist())
        if symbol == DOCUMENT:
            return words
        words.append(tokenizer.words[symbol - 1])
        guide.feed(symbol)
    raise AssertionError("endless")


def check(words: list[str]) -> None:
    """Every bar is full, but for one beside a sign; repeats and endings are closed."""
    check_bars(words)
    signs = [word for word in words if word in SIGN_ORDER]
    assert ":|" not in words[: next(place for place, word in enumerate(words) if word.startswith("note"))]
    open_repeat = first_ending = False
    for before, sign in zip(["", *signs], signs, strict=False):
        assert not (sign == "|:" and open_repeat)
        assert (sign == "[2") == (first_ending and before == ":|")
        first_ending = sign == "[1" or (first_ending and sign == ":|")
        open_repeat = sign == "|:" or (open_repeat and sign != ":|")
    assert not open_repeat
    assert not first_ending


def check_bars(words: list[str]) -> None:
    metre, place, pickup, signs, begun_by = Metre(0, 4, 4), 0, 0, list[str](), list[str]()
    bars = 0
    for word, following in zip(words, [*words[1:], "end"], strict=True):
        kind, _, value = word.partition(" ")
        if kind == "pickup":
            pickup = int(value)
        elif kind == "length":
            place, signs = place + int(value), []
        elif word in SIGN_ORDER:
            signs.append(word)
        ends = following == "end" or (following.startswith(("|", "metre")) and following not in SIGN_ORDER)
        if ends and kind not in ("key", "metre"):
            is_full = place == metre.bar // STEP if bars else place == pickup
            is_last = following == "end" and place == metre.bar // STEP - pickup
            assert is_full or is_last or signs or begun_by, words
        if kind == "|":
            place, begun_by, signs, bars = 0, signs, [], bars + 1
        if kind == "metre" and value != "?":
            metre = notation.parse_metre(value)


def bars_of(piece: Piece) -> int:
    return sum(1 for _ in piece.bars()) - (piece.pickup > 0)


@every_tune
def test_a_tune_comes_back_as_it_was(tokenizer: MelodyTokenizer, text: str) -> None:
    piece = notation.parse(text)
    assert MelodyTokenizer.refuses(piece, SETTINGS) is None
    words = tokenizer.encode_piece(piece)
    again = tokenizer.decode_piece(tokenizer.words_of(tokenizer.ids_of(words)))
    assert again == piece
    assert notation.parse(tokenizer.decode(tokenizer.encode(text))) == piece
    assert tokenizer.count(tokenizer.encode(text)) == piece.notes
    assert sum(word.startswith("| ") or word == "|" for word in words) == bars_of(piece)


def test_bars_are_counted_down_and_filled_up(tokenizer: MelodyTokenizer) -> None:
    words = tokenizer.encode_piece(notation.parse("metre: 3/4\nC4 D4 E4 | F4"))
    assert words[2:] == [
        *("pickup 0", "| 2", "note 60", "length 24", "note 62", "length 24", "note 64", "length 24"),
        *("| 1", "note 65", "length 24", "rest", "length 48"),
    ]


def test_a_note_over_a_barline_is_cut_there_and_tied(tokenizer: MelodyTokenizer) -> None:
    words = tokenizer.encode_piece(notation.parse("metre: 2/4\nC4:3 D4"))
    assert words[3:] == ["| 2", "note 60", "length 48", "| 1", "tie", "length 24", "note 62", "length 24"]


def test_a_length_that_never_occurred_is_spelled_by_others(tokenizer: MelodyTokenizer) -> None:
    piece = notation.parse("metre: 4/4\nC4:41/24 r:11/24 D4:1/24 E4:43/24")
    ids = tokenizer.ids_of(tokenizer.encode_piece(piece))
    assert tokenizer.decode_piece(tokenizer.words_of(ids)).parts[0].notes == piece.parts[0].notes


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 5), st.integers(50, 90)), min_size=1, max_size=30),
    st.sampled_from(["4/4", "3/8", "6/8", "5/4"]),
    st.integers(0, 11),
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from(SIGN_ORDER)), max_size=6),
)
def test_any_line_on_the_grid_comes_back(
    line: list[tuple[int, int, int]], metre: str, pickup: int, marks: list[tuple[int, str]]
) -> None:
    notes, clock = [], 0
    for length, rest, pitch in line:
        notes.append(Note(clock * STEP, length * STEP, pitch))
        clock += length + rest
    signs = sorted({Mark(at * STEP, sign) for at, sign in marks if at * STEP <= notes[-1].end})
    piece = Piece((Part(tuple(notes)),), (notation.parse_metre(metre),), (), (), pickup * STEP, tuple(signs))
    assert MelodyTokenizer.refuses(piece, SETTINGS) is None
    own = MelodyTokenizer.build_from([piece], SETTINGS)
    other = MelodyTokenizer.build([WALTZ], SETTINGS)
    again = own.decode_piece(own.encode_piece(piece))
    assert again.parts == piece.parts and again.metres == piece.metres and again.pickup == piece.pickup
    assert set(again.marks) == set(piece.marks)
    assert other.decode_piece(list(other.spelled(body_of(piece)))).parts[0].notes == piece.parts[0].notes


@given(st.lists(st.integers(0, 10_000), max_size=60))
def test_any_words_can_be_read(places: list[int]) -> None:
    tokenizer = MelodyTokenizer.build(TUNES.values(), SETTINGS)
    piece = tokenizer.decode_piece([tokenizer.words[place % len(tokenizer.words)] for place in places])
    assert piece.parts[0].is_voice()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("C4 D4\nC3:2", "not one sounding part"),
        ("C4+E4 D4", "chords"),
        ("beat (drums): 36 38", "drums"),
        ("C4:1/5 D4:1/5 E4:1/5 F4:1/5 G4:1/5", f"not on a grid of {GRID} steps to a quarter note"),
        ("metre: 4/4\npickup: 1/5\nC4 D4 E4", "a barline that is not on the grid"),
    ],
)
def test_what_is_no_tune_is_refused_with_the_reason(text: str, why: str) -> None:
    assert MelodyTokenizer.refusal(text, SETTINGS) == why


def test_a_silent_part_beside_the_tune_does_not_matter() -> None:
    piece = replace(notation.parse("C4 D4"), parts=(Part(()), *notation.parse("C4 D4").parts))
    assert MelodyTokenizer.refuses(piece, SETTINGS) is None
    assert MelodyTokenizer.build_from([piece], SETTINGS).encode_piece(piece)[4:6] == ["note 60", "length 24"]


def test_copies_are_the_tune_in_other_keys(tokenizer: MelodyTokenizer) -> None:
    copies = [notation.parse(tokenizer.decode(copy)) for copy in tokenizer.copies(tokenizer.encode(JIG))]
    assert copies
    piece = notation.parse(JIG)
    for copy in copies:
        moved = copy.parts[0].notes[0].pitch - piece.parts[0].notes[0].pitch
        assert copy == piece.transposed(moved)
    low, high = tokenizer.range
    pitches = [note.pitch for copy in copies for note in copy.parts[0].notes]
    assert low <= min(pitches) and max(pitches) <= high


def test_what_was_never_seen_becomes_the_nearest(tokenizer: MelodyTokenizer) -> None:
    piece = notation.parse("key: D major\nmetre: 7/8\npickup: 2/3\nC2 C7 C4:3")
    words = tokenizer.words_of(tokenizer.ids_of(tokenizer.encode_piece(piece)))
    assert words[:3] == ["key D major", "metre ?", "pickup 12"]
    pitches = [note.pitch for note in tokenizer.decode_piece(words).parts[0].notes]
    assert [pitch % 12 for pitch in pitches] == [0, 0, 0] and all(f"note {pitch}" in words for pitch in pitches)


def test_the_file_gives_the_tokenizer_back(tokenizer: MelodyTokenizer) -> None:
    again = MelodyTokenizer.from_bytes(tokenizer.to_bytes())
    assert (again.words, again.about, again.range) == (tokenizer.words, tokenizer.about, tokenizer.range)


@pytest.mark.parametrize("seed", range(60))
def test_a_tune_drawn_at_random_is_whole(tokenizer: MelodyTokenizer, seed: int) -> None:
    words = draw(tokenizer, Wanted(), seed)
    check(words)
    piece = tokenizer.decode_piece(words)
    text = notation.write(piece)
    assert notation.parse(text) == piece
    assert MelodyTokenizer.refuses(piece, SETTINGS) is None
    assert bars_of(piece) == sum(word == "|" or word.startswith("| ") for word in words)
    assert unfold(piece).notes >= piece.notes


@pytest.mark.parametrize("text", [JIG, REEL], ids=["jig", "reel"])
@pytest.mark.parametrize("seed", range(15))
def test_bars_stay_full_when_repeats_are_played(text: str, seed: int) -> None:
    tokenizer = MelodyTokenizer.build([text], SETTINGS)
    piece = tokenizer.decode_piece(draw(tokenizer, Wanted(bars=24), seed))
    assert unfold(piece).metres == piece.metres


def test_the_key_is_one_that_a_seed_belongs_to(tokenizer: MelodyTokenizer) -> None:
    guide = tokenizer.guide(Wanted(seed=notation.parse("C#5 D5 B4 A4")))
    while not any(tokenizer.words[place - 1].startswith("key ") for place in np.flatnonzero(guide.allowed())):
        guide.feed(int(np.flatnonzero(guide.allowed())[0]))
    keys = {tokenizer.words[place - 1] for place in np.flatnonzero(guide.allowed())}
    assert "key D major" in keys
    assert "key G major" not in keys


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("bars", [1, 2, 3, 4, 5, 16, 17, 23])
def test_a_tune_has_the_bars_key_metre_and_range_that_were_wanted(
    tokenizer: MelodyTokenizer, bars: int, seed: int
) -> None:
    wanted = Wanted(bars=bars, key=parse_key("F# minor"), metre=Metre(0, 6, 8), pitches=(64, 71))
    words = draw(tokenizer, wanted, seed)
    check(words)
    piece = notation.parse(notation.write(tokenizer.decode_piece(words)))
    assert bars_of(piece) == bars
    assert piece.keys == (Key(0, 6, True),)
    assert {metre[1:] for metre in piece.metres} == {(6, 8)}
    assert all(64 <= note.pitch <= 71 for note in piece.parts[0].notes)


SEEDS = [
    *("C5", "D5:0.5 E5:0.5 F5:7 G5", JIG, REEL, WALTZ, AIR, "metre: 4/4\nG4:1/24 r:1.5 A4:5/24"),
    *("metre: 4/4\nmarks: |: @2 [1\nC5 D5:2", "metre: 3/4\npickup: 0.5\nkey: G minor\nmarks: @5.5 :|\nC5:6"),
    *("pickup: 0.5\nD5:0.5 E5", "metre: 2/4 @3 4/4\nD5 E5 F5 G5"),
]


@pytest.mark.parametrize("bars", [None, 1, 12])
@pytest.mark.parametrize("text", SEEDS)
def test_a_tune_goes_on_from_the_seed(tokenizer: MelodyTokenizer, text: str, bars: int | None) -> None:
    seed = notation.parse(text)
    for dice in range(4):
        words = draw(tokenizer, Wanted(seed=seed, bars=bars), dice)
        piece = notation.parse(notation.write(tokenizer.decode_piece(words)))
        assert piece.parts[0].notes[: seed.notes] == seed.parts[0].notes
        assert {mark for mark in piece.marks if mark.start < seed.end} == {m for m in seed.marks if m.start < seed.end}
        assert piece.metres[: len(seed.metres)] == seed.metres
        if seed.metres:
            assert piece.pickup == seed.pickup
            assert piece.keys == seed.keys or not seed.keys
            assert bars is None or bars_of(piece) == max(bars, bars_of(seed))


@pytest.mark.parametrize("text", SEEDS)
def test_a_whole_seed_ends_the_tune(tokenizer: MelodyTokenizer, text: str) -> None:
    seed = notation.parse(f"{text.rstrip()} |]")
    for dice in range(4):
        piece = tokenizer.decode_piece(draw(tokenizer, Wanted(seed=seed, ends_with_seed=True), dice))
        assert piece.parts[0].notes == seed.parts[0].notes
        assert set(piece.marks) == set(notation.parse(text).marks)


def test_the_last_note_of_a_seed_is_as_long_as_it_says(tokenizer: MelodyTokenizer) -> None:
    seed = notation.parse("metre: 4/4\nE5:4")
    for dice in range(100):
        words = draw(tokenizer, Wanted(seed=seed, bars=2), dice)
        assert tokenizer.decode_piece(words).parts[0].notes[0] == seed.parts[0].notes[0]


def test_a_tune_and_its_last_bar_begin_with_a_note(tokenizer: MelodyTokenizer) -> None:
    for seed in range(150):
        words = draw(tokenizer, Wanted(bars=1 + seed % 2, metre=Metre(0, 2, 4)), seed)
        items = [word for word in words if word.partition(" ")[0] in ("note", "rest", "tie")]
        assert items[0].startswith("note")
        assert words[words.index("| 1") + 1] != "rest"


def test_a_section_with_an_upbeat_is_repeated_as_far_before_a_barline(tokenizer: MelodyTokenizer) -> None:
    head = "key ?,metre 3/4,pickup 0,|,note 67,length 72,||,|"
    upbeat = "note 67,length 24,metre 3/4,|,note 67,length 24"
    assert ":|" not in offered(tokenizer, f"{head},{upbeat}")
    assert ":|" in offered(tokenizer, f"{head},{upbeat},note 67,length 24")
    assert ":|" not in offered(tokenizer, f"{head},{upbeat},note 67,length 48")


def test_behind_the_first_ending_comes_the_second_from_a_barline_on(tokenizer: MelodyTokenizer) -> None:
    first = "key ?,metre 6/8,pickup 12,note 67,length 12,|,note 67,length 72,[1,|,note 67,length 60,:|"
    assert offered(tokenizer, first) == ["[2"]
    assert offered(tokenizer, f"{first},[2") == ["metre 6/8"]
    assert all(word.startswith("|") for word in offered(tokenizer, f"{first},[2,metre 6/8"))


def offered(tokenizer: MelodyTokenizer, words: str) -> list[str]:
    """What the guide allows after these words, each of which it allowed."""
    guide = tokenizer.guide(Wanted(bars=30))
    for word in words.split(","):
        assert guide.allowed()[tokenizer.ids[word]], word
        guide.feed(tokenizer.ids[word])
    return [tokenizer.words[symbol - 1] for symbol in np.flatnonzero(guide.allowed()).tolist() if symbol != DOCUMENT]


def test_notes_of_the_seed_are_not_counted(tokenizer: MelodyTokenizer) -> None:
    guide = tokenizer.guide(Wanted(seed=notation.parse("C5 D5"), bars=4))
    dice, drawn = random.Random(0), 0
    while (symbol := dice.choice(np.flatnonzero(guide.allowed()).tolist())) != DOCUMENT:
        guide.feed(symbol)
        drawn += tokenizer.is_note(tokenizer.words[symbol - 1])
        assert guide.notes == max(0, drawn - 2)
    assert guide.notes == drawn - 2


def test_a_note_is_cut_off_only_with_its_length(tokenizer: MelodyTokenizer) -> None:
    guide, dice = tokenizer.guide(Wanted(bars=8)), random.Random(1)
    while (symbol := dice.choice(np.flatnonzero(guide.allowed()).tolist())) != DOCUMENT:
        guide.feed(symbol)
        head = tokenizer.words[symbol - 1].partition(" ")[0]
        assert not (head in ("key", "note", "rest", "tie") and guide.is_whole())
        assert guide.is_whole() or head != "length"


def test_signs_that_never_occurred_are_never_written() -> None:
    tokenizer = MelodyTokenizer.build([AIR, WALTZ], SETTINGS)
    signs = {word for seed in range(30) for word in draw(tokenizer, Wanted(), seed) if word in SIGN_ORDER}
    assert signs == {"||"}


def test_a_metre_changes_only_where_it_did_in_training() -> None:
    steady = MelodyTokenizer.build([JIG, REEL], SETTINGS)
    assert all(len(steady.decode_piece(draw(steady, Wanted(), seed)).metres) <= 1 for seed in range(20))
    changing = MelodyTokenizer.build([AIR], SETTINGS)
    assert any(len(changing.decode_piece(draw(changing, Wanted(), seed)).metres) > 1 for seed in range(20))


@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        (Wanted(metre=Metre(0, 7, 8)), "the metre 7/8"),
        (Wanted(pitches=(0, 20)), "the range leaves no pitch"),
        (Wanted(seed=notation.parse("C4+E4")), "the seed has chords"),
        (Wanted(seed=notation.parse("C4\nE4")), "the seed has 2 parts"),
        (Wanted(seed=notation.parse("a (drums): 36")), "drums"),
        (Wanted(seed=notation.parse("C1")), "out of the model's range"),
        (Wanted(seed=notation.parse("metre: 7/8\nC4")), "the metre 7/8"),
        (Wanted(seed=notation.parse("metre: 2/4 @2 7/8\nC4:9")), "the metre 7/8"),
        (Wanted(seed=notation.parse("metre: 4/4\npickup: 1.75\nC4")), "a pickup of 1.75 quarter notes"),
    ],
)
def test_what_cannot_be_had_is_an_error_that_helps(tokenizer: MelodyTokenizer, wanted: Wanted, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        tokenizer.guide(wanted)
    assert what in caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize("marks", ["|:", "[1 @1 :|"])
def test_a_seed_may_open_what_the_model_cannot_close(marks: str) -> None:
    tokenizer = MelodyTokenizer.build([f"metre: 2/4\nmarks: {marks}\nC4 C4 | C4 C4"], SETTINGS)
    seed = notation.parse(f"metre: 2/4\nmarks: {marks}\nC4")
    assert all(draw(tokenizer, Wanted(seed=seed, bars=3), dice) for dice in range(5))


def test_a_seed_with_a_sign_that_is_not_known_is_an_error() -> None:
    tokenizer = MelodyTokenizer.build([AIR], SETTINGS)
    with pytest.raises(UsageError, match="sign"):
        tokenizer.guide(Wanted(seed=notation.parse("marks: @1 :|\nC4 D4")))


def test_a_pickup_is_shorter_than_the_bar() -> None:
    long = MelodyTokenizer.build([WALTZ, "metre: 4/4\npickup: 3\nG4:3 | G4:4", "metre: 1/4\nG4 | G4"], SETTINGS)
    for seed in range(30):
        words = draw(long, Wanted(), seed)
        metre = words[1].partition(" ")[2]
        bar = TICKS * 4 if metre == "?" else notation.parse_metre(metre).bar
        assert int(words[2].partition(" ")[2]) * STEP < bar
        words = draw(long, Wanted(seed=notation.parse("pickup: 3\nG4:3 G4")), seed)
        assert words[1] in ("metre 4/4", "metre ?")
    with pytest.raises(UsageError, match="not shorter than a bar"):
        long.guide(Wanted(seed=notation.parse("metre: 3/4\npickup: 3\nG4:3")))


def test_every_word_says_its_facts_and_the_same_in_every_key(tokenizer: MelodyTokenizer) -> None:
    said: dict[str, set[str]] = {}
    for word in tokenizer.words:
        meaning, (head, _, value) = tokenizer.meaning_of(word), word.partition(" ")
        assert (meaning.voice, meaning.turn, meaning.begins_step) == (0, 0, head == "note")
        assert meaning.pitch == (int(value) if head == "note" else None)
        assert (meaning.tonic is None) == (head != "key" or value == "?")
        moved = tokenizer.transposed(word, 1)
        if moved and moved != word:
            higher = tokenizer.meaning_of(moved)
            assert (higher.pitch, higher.facts) == (meaning.pitch and meaning.pitch + 1, meaning.facts)
            assert higher.tonic == (None if meaning.tonic is None else (meaning.tonic + 1) % 12)
        for name, fact in meaning.facts.items():
            said.setdefault(name, set()).add(fact)
            assert name in (head, "bar") and (name == "bar") == (head == "|")
    assert tokenizer.meaning_of("key E minor").tonic == 4
    assert tokenizer.meaning_of("key E minor").facts == {"key": "minor"}
    assert said == {
        "key": {"major", "minor", "?"},
        "metre": {"2/4", "3/4", "4/4", "6/8", "?"},
        "bar": {"", *(str(left) for left in range(1, 17))},
        "length": {str(length) for length in tokenizer.lengths},
    }


@every_tune
def test_the_registers_hold_the_tune(tokenizer: MelodyTokenizer, text: str) -> None:
    tables, piece = tokenizer.registers(), notation.parse(text)
    assert tables is not None and tables.voices == 1
    values, sung = tables.writes[DOCUMENT], list[int]()
    for symbol in tokenizer.encode(text).tolist():
        values = np.where(tables.writes[symbol] == KEPT, values, tables.writes[symbol])
        sung += [int(values[0]) - 1] if tables.begins_step[symbol] else []
    assert sung == [note.pitch for note in piece.parts[0].notes]
    assert values[1] == (piece.keys[0].tonic + 1 if piece.keys else EMPTY)
    (context,) = tables.contexts  # the mode, and how many bars are left: one
    key = {int(tables.writes[place, context[0]]) for word, place in tokenizer.ids.items() if word.startswith("key")}
    assert key == {1, 2, 3} and values[context[0]] in key
    assert values[context[1]] == tables.writes[tokenizer.ids["| 1"], context[1]] != KEPT
