"""The guide of a sample in voices: whatever is drawn, a piece comes of it that is as it was wanted."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable

import numpy as np
import pytest

from seqgen.errors import UsageError
from seqgen.recipe import TokenizerSettings
from seqgen.scores.notation import parse, parse_metre
from seqgen.scores.piece import TICKS, Key, Metre, Piece
from seqgen.scores.pitches import parse_key
from seqgen.tokenizers import DOCUMENT
from seqgen.tokenizers.grid import HOLD, REST, cells_of, round_to
from seqgen.tokenizers.scores import Guide, ScoreTokenizer, Wanted
from seqgen.tokenizers.voice_seeds import voice_order
from seqgen.tokenizers.voices import VoicesTokenizer
from tests.pieces import chorale, corpus

STRIDE = 2
"""Steps of a quarter note."""
LENGTH = TICKS // STRIDE


def build(*pieces: Piece, **settings: bool | int) -> VoicesTokenizer:
    chosen = TokenizerSettings(**{"kind": "voices", "grid": STRIDE, **settings})  # type: ignore[arg-type]
    return VoicesTokenizer.build_from(pieces, chosen)


# Pickups as long as a bar of the other metre are among them.
PIECES = [*corpus(), *(chorale(seed, pickup=3, metre=Metre(0, 4, 4)) for seed in range(5))]
CHORALES = build(*PIECES)
STRUCK = build(*PIECES, held=False)
CHANGES = [
    dataclasses.replace(chorale(seed, bars=24, pickup=0), metres=(Metre(0, 4, 4), Metre(1920, 3, 4)))
    for seed in range(5)
]
CHANGING = build(*CHANGES, dataclasses.replace(CHANGES[0], metres=()))


def walk(
    tokenizer: ScoreTokenizer, wanted: Wanted, seed: int, look: Callable[[Guide, list[int]], None] | None = None
) -> list[int]:
    """Draws evenly among what is allowed until the piece ends."""
    draw, guide, ids = random.Random(seed), tokenizer.guide(wanted), list[int]()
    while len(ids) < 20_000:
        choices = np.flatnonzero(guide.allowed()).tolist()
        assert choices, f"nothing may follow {tokenizer.words_of(ids[-8:])}"
        symbol = draw.choice(choices)
        guide.feed(symbol)
        if symbol == DOCUMENT:
            return ids
        ids.append(symbol)
        if look:
            look(guide, ids)
    raise AssertionError("it does not end")


def check(tokenizer: VoicesTokenizer, ids: list[int], wanted: Wanted) -> Piece:
    """The piece, which is well-formed and as it was wanted."""
    words = tokenizer.words_of(ids)
    piece = tokenizer.decode_piece(words)
    check_bars(tokenizer, words, piece, wanted)
    seed = wanted.seed
    for name in ("keys", "metres"):
        asked = getattr(wanted, name[:-1]) or next(iter(getattr(seed, name, ())), None)
        assert asked is None or getattr(piece, name)[0][1:] == asked[1:]
    total = round_to(piece.end, LENGTH)
    cells = [cells_of(part, LENGTH, total, tokenizer.held) for part in piece.parts]
    asked = seed_cells(seed, tokenizer.held)
    for voice, (drawn, (low, high)) in enumerate(zip(cells, tokenizer.ranges, strict=True)):
        # A seed's rests in the end of all voices are no notes of the piece.
        assert [*drawn, *[REST] * 99][: len(asked.get(voice, []))] == asked.get(voice, [])
        free = [cell for cell in drawn[len(asked.get(voice, [])) :] if cell not in (HOLD, REST)]
        if tokenizer.held and voice in asked and len(asked[voice]) < len(drawn) and not wanted.ends_with_seed:
            assert drawn[len(asked[voice])] != HOLD  # no note of the seed is made longer
        if not tokenizer.held and asked.get(voice):
            continue  # a pitch that sounds on from the seed cannot be told from one that is struck
        assert all(max(low, wanted.pitches[0]) <= cell <= min(high, wanted.pitches[1]) for cell in free)
    return piece


def check_bars(tokenizer: VoicesTokenizer, words: list[str], piece: Piece, wanted: Wanted) -> None:
    """Each bar is full, but for the pickup and what the last one lacks of it, and there are as many as were wanted."""
    barlines, end, last = read_bars(words)
    pickup = [0] if piece.pickup else []
    assert barlines[0] == piece.pickup
    assert [start for start, _ in piece.bars()] == [start for start in [*pickup, *barlines] if start < piece.end]
    assert end - barlines[-1] in (last.bar, last.bar - piece.pickup)
    assert piece.end <= end
    assert len({metre.start for metre in piece.metres}) == len(piece.metres)
    assert not piece.metres or piece.metres[0].start == 0
    if wanted.bars:
        needed = (
            0 if wanted.seed is None else -(-(round_to(wanted.seed.end, LENGTH) * LENGTH - piece.pickup) // last.bar)
        )
        assert len(barlines) == max(wanted.bars, needed)
    counted = [word for word in words if word.startswith("bar ")]
    assert counted == [f"bar {left}" for left in range(len(counted), 0, -1)]


def read_bars(words: list[str]) -> tuple[list[int], int, Metre]:
    """Where bars begin and the last one ends, and its metre; each step lies behind the one before, in its bar."""
    metre, barlines, begin, length, place = Metre(0, 4, 4), list[int](), 0, 0, -1
    for word in words:
        head, *values = word.split()
        if head == "metre" and values != ["?"]:
            metre = parse_metre(values[0])
        elif head == "pickup":
            length = metre.bar // LENGTH
            begin, place = int(values[0]) - length, length - int(values[0]) - 1
        elif head == "bar":
            begin, length, place = begin + length, metre.bar // LENGTH, -1
            barlines.append(begin * LENGTH)
        elif head == "step":
            assert place < int(values[0]) < length
            place = int(values[0])
    assert [word.split()[0] for word in words].index("end") == len(words) - 1
    end = int(words[-1].split()[1])
    assert place < end
    return barlines, (begin + end) * LENGTH, metre


def seed_cells(seed: Piece | None, held: bool) -> dict[int, list[int]]:
    """What the seed wants of each voice that it has."""
    if seed is None:
        return {}
    total = round_to(seed.end, LENGTH)
    parts = dict(zip({1: [0], 2: [0, 3], 3: [0, 1, 3], 4: [0, 1, 2, 3]}[len(seed.parts)], seed.parts, strict=True))
    return {voice: cells_of(part, LENGTH, total, held) for voice, part in parts.items()}


def request(seed: int) -> Wanted:
    """Any combination of what a user may want."""
    draw = random.Random(seed)
    seeds = [None, None, melody(draw), melody(draw, "metre: 3/4\npickup: 1\n"), melody(draw, "metre: 4/4\npickup: 3\n"),
             chorale(draw.randrange(99), bars=2), _first(chorale(draw.randrange(99)), 3)]  # fmt: skip
    piece = seeds[seed % len(seeds)]
    return Wanted(
        seed=piece,
        bars=draw.choice([None, 1, 2, 5, 18]),
        key=draw.choice([None, Key(0, draw.randrange(12), draw.random() < 0.5)]),
        metre=draw.choice([None, Metre(0, 3, 4), Metre(0, 4, 4)]) if piece is None or not piece.metres else None,
        pitches=draw.choice([(0, 127), (50, 70), (55, 64)]),
    )


def melody(draw: random.Random, about: str = "") -> Piece:
    items = [f"{draw.choice(['r', draw.randrange(66, 77)])}:{draw.choice(['0.5', '1', '1.5'])}" for _ in range(5)]
    return parse(f"{about}S: {' '.join(items)} 70")


def _first(piece: Piece, parts: int) -> Piece:
    """The seed of some parts only."""
    return dataclasses.replace(piece, parts=(*piece.parts[: parts - 1], piece.parts[3]))


@pytest.mark.parametrize("seed", range(42))
def test_whatever_is_drawn_the_piece_is_as_it_was_wanted(seed: int) -> None:
    wanted = request(seed)
    check(CHORALES, walk(CHORALES, wanted, seed), wanted)


@pytest.mark.parametrize("seed", range(7))
def test_likewise_where_nothing_is_held(seed: int) -> None:
    wanted = request(seed)
    check(STRUCK, walk(STRUCK, wanted, seed), wanted)


@pytest.mark.parametrize("seed", range(8))
def test_likewise_where_metres_change(seed: int) -> None:
    wanted = Wanted(key=Key(0, 0, False), seed=melody(random.Random(seed)) if seed % 2 else None)
    check(CHANGING, walk(CHANGING, wanted, seed), wanted)


def test_metres_change_if_they_did_in_training_and_none_is_wanted() -> None:
    changed = [len(check(CHANGING, walk(CHANGING, Wanted(), seed), Wanted()).metres) > 1 for seed in range(12)]
    assert any(changed)
    for seed in range(3):
        wanted = Wanted(metre=Metre(0, 3, 4))
        assert len(check(CHANGING, walk(CHANGING, wanted, seed), wanted).metres) == 1


def test_pieces_without_a_seed_are_of_many_lengths() -> None:
    bars = {len([*check(CHORALES, walk(CHORALES, Wanted(), seed), Wanted()).bars()]) for seed in range(12)}
    assert len(bars) > 5


@pytest.mark.parametrize("tokenizer", [CHORALES, STRUCK], ids=["held", "struck"])
def test_what_is_encoded_may_be_drawn(tokenizer: VoicesTokenizer) -> None:
    """A guide that forbids what occurs in training bends the model."""
    for piece in PIECES[:12]:
        guide = tokenizer.guide(Wanted())
        for symbol in [*tokenizer.ids_of(tokenizer.encode_piece(piece)).tolist(), DOCUMENT]:
            assert guide.allowed()[symbol]
            guide.feed(symbol)


def test_all_words_of_a_walk_come_back() -> None:
    piece = check(CHORALES, walk(CHORALES, Wanted(bars=3), 5), Wanted(bars=3))
    plain = [tuple(note._replace(fermata=False) for note in part.notes) for part in piece.parts]
    again = CHORALES.decode_piece(CHORALES.encode_piece(piece))
    assert [tuple(note._replace(fermata=False) for note in part.notes) for part in again.parts] == plain


@pytest.mark.parametrize(
    ("seed", "voices"), [("C5+E4:2 D5+F4", (0, 3)), ("C5+G4+E4", (0, 1, 3)), ("C5+G4+E4+C4", (0, 1, 2, 3))]
)
def test_chords_are_shared_out_from_high_to_low(seed: str, voices: tuple[int, ...]) -> None:
    piece = check_seed(parse(seed))
    chord = sorted((note.pitch for note in parse(seed).parts[0].notes if note.start == 0), reverse=True)
    assert [next(note.pitch for note in piece.parts[voice].notes) for voice in voices] == chord
    assert all(piece.parts[voice].notes[0].start == 0 for voice in voices)


def check_seed(seed: Piece) -> Piece:
    wide = build(*PIECES, *(piece.transposed(number) for piece in PIECES[:2] for number in (-12, 12)))
    return wide.decode_piece(wide.words_of(walk(wide, Wanted(seed=seed, bars=2), 1)))


@pytest.mark.parametrize(
    ("voices", "order"), [(1, [0]), (2, [0, 1]), (3, [0, 2, 1]), (4, [0, 3, 1, 2]), (5, [0, 4, 1, 2, 3])]
)
def test_outer_voices_come_first(voices: int, order: list[int]) -> None:
    assert voice_order(voices) == order


@pytest.mark.parametrize("voices", [1, 2, 3, 5])
def test_any_number_of_voices_is_led(voices: int) -> None:
    pieces = [dataclasses.replace(piece, parts=(piece.parts * 2)[:voices]) for piece in PIECES[:4]]
    tokenizer = build(*pieces, voices=voices)
    piece = tokenizer.decode_piece(tokenizer.words_of(walk(tokenizer, Wanted(bars=2), 1)))
    assert len(piece.parts) == voices and piece.notes > voices


@pytest.mark.parametrize("seed", range(6))
def test_only_what_sounds_is_held(seed: int) -> None:
    words = CHORALES.words_of(walk(CHORALES, request(seed), seed))
    for voice in range(4):
        said = ["r", *(word.split()[1] for word in words if word.startswith(f"{voice} "))]
        assert ("r", "-") not in itertools.pairwise(said)


def test_notes_are_counted_without_those_of_the_seed() -> None:
    seed, counts = chorale(4, bars=2, pickup=0), []
    ids = walk(CHORALES, Wanted(seed=seed, bars=4), 3, lambda guide, ids: counts.append(guide.notes))
    own = sum(cell >= 0 for voice in seed_cells(seed, held=True).values() for cell in voice)
    drawn = CHORALES.count(np.array(ids))
    assert counts[-1] == drawn - own > 0
    assert counts[0] == 0 and sorted(counts) == counts


def test_music_is_whole_where_every_voice_has_had_its_say() -> None:
    def look(guide: Guide, ids: list[int]) -> None:
        words = CHORALES.words_of(ids)
        voices, steps = sum(word[0].isdigit() for word in words), sum(word.startswith("step") for word in words)
        if words[-1].split()[0] not in ("key", "metre", "pickup", "bar"):
            assert guide.is_whole() == (voices == 4 * steps)

    walk(CHORALES, Wanted(bars=2), 2, look)


def test_a_seed_in_an_upbeat_that_says_no_metre_keeps_its_upbeat() -> None:
    wanted = Wanted(seed=parse("pickup: 1\nS: 70 72 74"), bars=2)
    assert check(CHORALES, walk(CHORALES, wanted, 1), wanted).pickup == TICKS


def test_a_seed_longer_than_the_bars_that_are_counted_down_is_kept_whole() -> None:
    wanted = Wanted(seed=parse("metre: 3/4\nS: " + "70 72 74 " * 20))
    piece = check(CHORALES, walk(CHORALES, wanted, 1), wanted)
    assert len([*piece.bars()]) >= 20


@pytest.mark.parametrize("key", ["key ?", "key D minor"])
@pytest.mark.parametrize("pickup", [0, STRIDE])
def test_a_goal_is_demanded_where_a_bar_begins_in_a_known_key(key: str, pickup: int) -> None:
    tokenizer = build(*PIECES[:6], dataclasses.replace(PIECES[0], keys=()))
    draw, guide = random.Random(1), tokenizer.guide(Wanted(bars=3))
    goals = {f"to {degree}" for degree in range(12)}
    asked, head, word = list[str](), [key, "metre 3/4", f"pickup {pickup}"], ""
    while True:
        choices = np.flatnonzero(guide.allowed()).tolist()
        allowed = {tokenizer.keys()[symbol] for symbol in choices}
        begins = word.startswith("bar") or (word.startswith("pickup") and pickup > 0)
        assert allowed & goals == (goals if begins and key != "key ?" else set())
        if allowed & goals:
            assert allowed == goals and not guide.is_whole()
            asked.append(word)
        symbol = tokenizer.ids[head.pop(0)] if head else draw.choice(choices)
        assert symbol in choices
        if symbol == DOCUMENT:
            break
        guide.feed(symbol)
        word = tokenizer.keys()[symbol]
    upbeat = [f"pickup {pickup}"] if pickup else []
    assert asked == ([] if key == "key ?" else [*upbeat, "bar 3", "bar 2", "bar 1"])


REFUSED = {
    "has not learned the metre 9/8": Wanted(metre=Metre(0, 9, 8)),
    "has not learned the metre 2/4": Wanted(seed=parse("metre: 2/4\nS: 70")),
    "has not learned a pickup of 2 quarter": Wanted(seed=parse("metre: 4/4\npickup: 2\nS: 70")),
    "leaves no pitch to Soprano": Wanted(pitches=(20, 40)),
    "leaves no pitch to Bass": Wanted(pitches=(60, 100)),
    "has 5 parts": Wanted(seed=parse("70\n70\n70\n70\n70")),
    "has 5 notes": Wanted(seed=parse("70+71+72+73+74")),
    r"C9 \(MIDI 120\) in the seed is out of the range of Soprano": Wanted(seed=parse("70 C9")),
    "is out of the range of Bass": Wanted(seed=parse("70\n60\n50\n90")),
    "pickup": Wanted(seed=parse("metre: 4/4\npickup: 3\nS: 70"), metre=Metre(0, 3, 4)),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_the_model_has_not_learned_is_refused(reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as error:
        CHORALES.guide(REFUSED[reason])
    assert error.value.hint is None or "?" not in error.value.hint


def test_what_is_known_is_named_where_something_is_not() -> None:
    with pytest.raises(UsageError) as error:
        CHORALES.guide(Wanted(metre=Metre(0, 9, 8)))
    assert error.value.hint == "It knows: 3/4, 4/4."
    keyless = build(dataclasses.replace(PIECES[0], keys=()))
    with pytest.raises(UsageError, match="D minor") as error:
        keyless.guide(Wanted(key=parse_key("Dm")))
    assert error.value.hint and "?" not in error.value.hint


@pytest.mark.parametrize("seed", range(4))
def test_a_whole_piece_is_harmonised_up_to_its_end(seed: int) -> None:
    tune = chorale(seed, bars=4)
    wanted = Wanted(seed=dataclasses.replace(tune, parts=tune.parts[:1]), ends_with_seed=True)
    piece = check(CHORALES, walk(CHORALES, wanted, seed), wanted)
    assert len([*piece.bars()]) == 4 + (tune.pickup > 0)
    assert [note[:3] for note in piece.parts[0].notes if note.start < tune.end] == [
        note[:3] for note in tune.parts[0].notes
    ]


@pytest.mark.parametrize("tokenizer", [CHORALES, STRUCK], ids=["held", "struck"])
@pytest.mark.parametrize("seed", ["70 72 74", "70", "metre: 3/4\npickup: 1\nS: 70 72:2.5", "70:4 72:3.5"])
def test_a_seed_that_is_no_whole_number_of_bars_ends_with_its_last_bar(tokenizer: VoicesTokenizer, seed: str) -> None:
    wanted = Wanted(seed=parse(seed), ends_with_seed=True)
    for number in range(3):
        piece = check(tokenizer, walk(tokenizer, wanted, number), wanted)
        assert [note.pitch for note in piece.parts[0].notes] == [note.pitch for note in parse(seed).parts[0].notes]


def test_a_seed_brings_a_key_to_whose_scale_it_belongs() -> None:
    def keys(seed: str) -> set[str]:
        guide = CHORALES.guide(Wanted(seed=parse(seed)))
        return {CHORALES.words[place - 1] for place in np.flatnonzero(guide.allowed()).tolist()}

    assert "key G major" in keys("G4") and "key F# major" not in keys("G4")
    assert keys("C4 D4 E4 F4 G4 A4 B4") == {"key C major", "key A minor", "key D minor"}
    assert len(keys("C4 C#4 D4 D#4 E4 F4 F#4")) == 24  # it belongs to none
