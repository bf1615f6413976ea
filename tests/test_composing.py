"""A piece as it grows: seeds of every form, how it ends, and how it is played and told."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from seqgen.errors import DataError, UsageError
from seqgen.modalities import MODALITIES
from seqgen.modalities.composing import Composition, parse_range, parse_seed, performed
from seqgen.scores.notation import parse, write
from seqgen.scores.piece import TICKS, Tempo
from seqgen.tokenizers import DOCUMENT, Opening
from seqgen.tokenizers.scores import ScoreTokenizer
from seqgen.writing import Limits, Rendering
from tests.pieces import bare, chorale
from tests.test_frames import FRAMES
from tests.test_voicing import CHORALES

MUSIC = MODALITIES["music"]


def compose(seed: str = "", tokenizer: ScoreTokenizer = CHORALES, **limits: Any) -> Composition:
    return Composition(MUSIC, tokenizer, Limits(**limits), Opening([DOCUMENT]), seed)


def drawn(writing: Composition, number: int = 1) -> tuple[Composition, str]:
    """The same with what was shown, drawn evenly among what is allowed."""
    draw, shown = random.Random(number), writing.begin()
    while not writing.is_done():
        shown += writing.feed(draw.choice(np.flatnonzero(writing.allowed()).tolist()))
    return writing, shown


def test_the_notes_are_shown_once_when_the_piece_is_complete() -> None:
    writing, shown = drawn(compose(bars=2))
    assert shown == writing.whole == writing.continuation == writing.data.decode()
    assert parse(shown) == writing.piece
    assert (writing.stopped_by, writing.feed(1), writing.finish(), writing.whole) == ("bars", "", "", shown)


def test_it_ends_where_the_document_does() -> None:
    writing, _ = drawn(compose())
    assert writing.stopped_by == "document"
    assert len(writing.ids) == len(CHORALES.encode(writing.whole)) or writing.piece.end % TICKS == 0


@pytest.mark.parametrize("length", [1, 7, 30])
@pytest.mark.parametrize("tokenizer", [CHORALES, FRAMES], ids=["voices", "frames"])
def test_a_length_ends_it_after_a_whole_step(length: int, tokenizer: ScoreTokenizer) -> None:
    writing = compose(tokenizer=tokenizer, length=length, bars=17)
    _, shown = drawn(writing)
    assert writing.stopped_by == "length"
    if tokenizer is CHORALES:
        assert length <= writing.piece.notes < length + 4
    assert parse(shown) == writing.piece


def test_no_length_at_all_is_the_seed() -> None:
    writing = compose("C5:2 D5", length=0)
    assert (writing.is_done(), writing.stopped_by) == (True, "length")
    assert bare(parse(writing.whole))[0] == bare(parse("C5:2 D5"))[0]


def test_an_interrupt_keeps_what_there_is() -> None:
    writing, draw = compose(bars=30), random.Random(1)
    for _ in range(60):
        writing.feed(draw.choice(np.flatnonzero(writing.allowed()).tolist()))
    shown = writing.finish()
    assert (writing.stopped_by, parse(shown)) == ("interrupt", writing.piece)
    assert writing.finish() == ""


def test_a_seed_that_was_brought_in_is_a_part_of_the_whole() -> None:
    _writing, shown = drawn(compose("tempo: 66\nC5:2 D5 E5", bars=1))
    assert bare(parse(shown))[0][:2] == [(0, 960, 72), (960, 480, 74)]
    assert parse(shown).tempos == (Tempo(0, 66.0),)


def test_the_instruments_are_those_of_the_seed() -> None:
    seed = chorale(1, bars=1)
    text = write(seed).replace("Soprano:", "Soprano (program 40):").replace("Bass:", "Bass (program 43):")
    writing, _ = drawn(compose(text, bars=2))
    assert [part.program for part in writing.piece.parts] == [40, 0, 0, 43]


def test_tinynotation_and_notes_are_the_same_seed() -> None:
    tiny = parse_seed("tinynotation: 3/4 c'4 d'8 e' f'2")
    assert tiny and bare(tiny) == bare(parse("C5 D5:0.5 E5:0.5 F5:2"))
    assert str(tiny.metres[0]) == "3/4"
    assert parse_seed("C5 D5:0.5") == parse("C5 D5:0.5")
    assert parse_seed(" \n") is None


@pytest.mark.parametrize("seed", ["H9", "C4:-1", "r r", "key: H\nC4", "tinynotation: xyz!", "tinynotation:"])
def test_a_seed_that_is_no_music_is_refused(seed: str) -> None:
    with pytest.raises(DataError):
        compose(seed)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [({"stop": ("x",)}, "--stop is for text"),
         ({"until": "line"}, "--until is for text"), ({"min_length": 5}, "--min-length is for text"),
         ({"key": "H"}, "'H' is not a key"), ({"metre": "3"}, "'3' is not a metre"),
     ({"metre": "9/8"}, "has not learned the metre 9/8"), ({"pitches": "C3"}, "'C3' is not a range"),
     ({"pitches": "C5-C4"}, "'C5-C4' is not a range"), ({"pitches": "H1-C4"}, "'H1'"), ({"pitches": "-"}, "is not a range"),
     ({"pitches": "C8-C9"}, "leaves no pitch")],
)  # fmt: skip
def test_what_cannot_be_wanted_is_refused(limits: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as error:
        compose(**limits)
    assert error.value.hint


@pytest.mark.parametrize("limits", [{"bars": 0}, {"bars": -1}, {"length": -1}])
def test_a_piece_has_at_least_a_bar(limits: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        Limits(**limits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "pitches"),
    [("C3-C6", (48, 84)), (" c3 - 84 ", (48, 84)), ("C-1-G9", (0, 127)), ("C4-C4", (60, 60)), ("0-127", (0, 127)),
     ("C-1-C-1", (0, 0))],
)  # fmt: skip
def test_a_range_is_two_pitches(text: str, pitches: tuple[int, int]) -> None:
    assert parse_range(text) == pitches


def test_key_metre_and_range_are_kept() -> None:
    writing, _ = drawn(compose(key="D minor", metre="3/4", pitches="50-66", bars=3))
    told = writing.to_dict()
    assert (told["key"], told["metre"], told["bars"]) == ("D minor", "3/4", 3)
    assert told["notes"] == writing.whole
    assert all(50 <= note.pitch <= 66 for part in writing.piece.parts for note in part.notes)


def test_a_pickup_is_no_bar() -> None:
    writing, _ = drawn(compose("metre: 4/4\npickup: 1\nS: C5 D5 E5", bars=2))
    assert writing.to_dict()["bars"] == 2


def test_a_piece_is_played_as_it_should_be() -> None:
    piece = parse("tempo: 60\nS (program 3): C4\nKit (drums): 36")
    assert performed(piece, Rendering()) == piece
    played = performed(piece, Rendering(tempo=90.0, program=11, transpose=-12))
    assert played.tempos == (Tempo(0, 90.0),)
    assert [(part.program, part.notes[0].pitch) for part in played.parts] == [(11, 48), (0, 36)]
    with pytest.raises(UsageError, match="--transpose 80"):
        performed(piece, Rendering(transpose=80))


def test_it_is_written_as_every_kind_of_file() -> None:
    writing, _ = drawn(compose(bars=1))
    assert writing.render(".mid", Rendering())[:4] == b"MThd"
    assert b"<score-partwise" in writing.render(".musicxml", Rendering())
    assert parse(writing.render(".notes", Rendering(transpose=1)).decode()) == writing.piece.transposed(1)


def test_a_picture_fits_the_screen() -> None:
    writing, _ = drawn(compose(bars=2))
    lines = writing.picture(40, colour=False).splitlines()
    assert lines and max(map(len, lines)) <= 40
    assert compose(bars=2).picture(40, colour=False) == ""
