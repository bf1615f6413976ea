"""Frames: the pitches of each step, and the guide that keeps them in order."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given

from seqgen.errors import UsageError
from seqgen.recipe import TokenizerSettings
from seqgen.scores.notation import parse, write
from seqgen.scores.piece import TICKS, Key, Metre, Part, Piece
from seqgen.tokenizers import DOCUMENT, Ids
from seqgen.tokenizers.frames import STEP, FramesTokenizer
from seqgen.tokenizers.grid import cells_of, round_to
from seqgen.tokenizers.scores import Wanted
from tests.pieces import RANGES, bare, chorale, corpus, grid_pieces
from tests.test_voicing import walk

GRID = TICKS // 4
PIECES = corpus()


def build(*pieces: Piece, grid: int = 4) -> FramesTokenizer:
    return FramesTokenizer.build_from(pieces, TokenizerSettings(kind="frames", grid=grid))


FRAMES = build(*PIECES)
WIDE = build(parse("36+84"))


def sounding(piece: Piece) -> list[set[int]]:
    """The pitches of each step; those after the last note have none and are not among them."""
    total = round_to(piece.end, GRID)
    voices = [
        cells_of(Part((note,)), GRID, total, held=False)
        for part in piece.parts
        if not part.drums
        for note in part.notes
    ]
    return [{cell for cell in step if cell >= 0} for step in zip(*voices, strict=True)]


def again(tokenizer: FramesTokenizer, piece: Piece) -> Piece:
    return parse(tokenizer.decode(tokenizer.encode(write(piece))))


def test_each_step_has_its_pitches_from_high_to_low_and_a_word_of_its_own() -> None:
    piece = parse("S: C4:0.5 r:0.25 E4:0.25\nB: C3+G3:0.75 C4:0.25\nKit (drums): 36:2")
    assert FRAMES.encode_piece(parse(write(piece).replace("Kit (drums): C2:2", "")))[:15] == [
        "pitch 60", "pitch 55", "pitch 48", STEP,
        "pitch 60", "pitch 55", "pitch 48", STEP,
        "pitch 55", "pitch 48", STEP,
        "pitch 64", "pitch 60", STEP,
    ]  # fmt: skip
    assert "pitch 36" not in FRAMES.encode_piece(piece)


@given(grid_pieces(RANGES))
def test_what_sounds_in_each_step_comes_back(piece: Piece) -> None:
    assert sounding(again(WIDE, piece)) == sounding(piece)


@given(grid_pieces(RANGES))
def test_what_is_decoded_is_encoded_as_it_was(piece: Piece) -> None:
    ids = WIDE.encode(write(piece))
    assert WIDE.encode(WIDE.decode(ids)).tolist() == ids.tolist()
    (part,) = parse(WIDE.decode(ids)).parts
    assert list(part.notes) == sorted(part.notes, key=lambda note: (note.start, note.pitch))


def test_what_sounds_on_is_one_note() -> None:
    assert bare(again(FRAMES, parse("C4:2 r:0.5 C4 D4"))) == [[(0, 960, 60), (1200, 480, 60), (1680, 480, 62)]]


@pytest.mark.parametrize("seed", range(10))
def test_copies_are_the_piece_in_other_keys_within_the_range(seed: int) -> None:
    narrow = build(*PIECES[:5])
    piece = again(narrow, PIECES[seed])
    copies = [narrow.decode_piece(narrow.words_of(copy)) for copy in narrow.copies(narrow.encode(write(piece)))]
    pitches = [note.pitch for note in piece.parts[0].notes]
    low, high = min(pitches) - narrow.range[0], narrow.range[1] - max(pitches)
    assert copies == [piece.transposed(number) for number in range(-6, 6) if number and -low <= number <= high]


def test_a_held_out_piece_beyond_the_range_is_encoded_all_the_same() -> None:
    narrow = build(parse("C4 E4"))
    piece = again(narrow, parse("C4+C2 E4 C7"))
    assert bare(piece) == [[(0, 480, 60), (480, 480, 64), (960, 480, 60)]]
    assert narrow.encode_piece(parse("C2:0.25 C7:0.25")) == ["pitch 60", STEP] * 2


def test_only_drums_are_refused() -> None:
    settings = TokenizerSettings(kind="frames")
    assert FramesTokenizer.refusal("Kit (drums): 36", settings) == "no notes but drums"
    assert FramesTokenizer.refusal("Kit (drums): 36\nS: C4+E4:1/3", settings) is None
    assert "H9" in str(FramesTokenizer.refusal("H9", settings))


def test_a_tokenizer_comes_back_from_its_file() -> None:
    other = FramesTokenizer.from_bytes(FRAMES.to_bytes())
    assert (other.to_bytes(), other.range) == (FRAMES.to_bytes(), FRAMES.range)
    with pytest.raises((ValueError, KeyError)):
        FramesTokenizer.from_bytes(b'{"words": ["step"], "grid": 4}')


def test_figures_are_means_over_all_frames_and_without_the_first_ones() -> None:
    ids: Ids = np.concatenate([[DOCUMENT, *FRAMES.encode(write(piece))] for piece in PIECES[:3]])
    nats = np.random.default_rng(2).random(len(ids) - 1)
    words = [FRAMES.words[symbol - 1] if symbol else "document" for symbol in ids[1:].tolist()]
    later, steps, opening = 0.0, words.count(STEP), True
    for word, surprise in zip(words, nats.tolist(), strict=True):
        later += 0 if opening else surprise
        opening = word == "document" or (opening and word != STEP)
    assert FRAMES.figures(ids, nats) == pytest.approx(
        {"frames": steps, "nats_per_frame": nats.sum() / steps, "nats_per_frame_from_second": later / (steps - 3)}
    )
    assert FRAMES.count(ids) == len(ids) - 3 - steps
    assert FRAMES.figures(ids[:2], nats[:1]) == {}


# The guide


def request(seed: int) -> Wanted:
    draw = random.Random(seed)
    return Wanted(
        seed=[None, chorale(seed, bars=1), parse("C4+E4:2 r D4:0.5"), parse("r:2 C4")][seed % 4],
        bars=draw.choice([1, 2, 3]) if seed % 3 else None,
        pitches=draw.choice([(0, 127), (58, 64)]),
    )


@pytest.mark.parametrize("seed", range(24))
def test_whatever_is_drawn_the_piece_is_as_it_was_wanted(seed: int) -> None:
    wanted = request(seed)
    ids = walk(FRAMES, wanted, seed)
    words = FRAMES.words_of(ids)
    assert words[-1] == STEP
    frames = [[int(word.split()[1]) for word in frame.split(",") if word] for frame in ",".join(words).split(STEP)[:-1]]
    assert all(frame == sorted(set(frame), reverse=True) for frame in frames)
    own = sounding(wanted.seed) if wanted.seed else []
    assert [set(frame) for frame in frames[: len(own)]] == own
    low, high = wanted.pitches
    assert all(low <= pitch <= high for frame in frames[len(own) :] for pitch in frame)
    if wanted.bars:
        assert len(frames) == max(16 * wanted.bars, len(own))
    piece = FRAMES.decode_piece(words)
    assert sounding(piece) == [set(frame) for frame in frames][: round_to(piece.end, GRID)]


def test_notes_are_counted_without_those_of_the_seed_and_music_is_whole_between_steps() -> None:
    seed = parse("C4+E4:2")
    counts: list[tuple[int, bool]] = []
    ids = walk(FRAMES, Wanted(seed=seed, bars=1), 1, lambda guide, ids: counts.append((guide.notes, guide.is_whole())))
    words = FRAMES.words_of(ids)
    assert [whole for _, whole in counts] == [word == STEP for word in words]
    assert counts[-1][0] == len(words) - words.count(STEP) - 16
    assert counts[23][0] == 0


def test_nothing_comes_after_a_whole_seed() -> None:
    seed = parse("C4 D4 E4")
    ids = walk(FRAMES, Wanted(seed=seed, ends_with_seed=True), 1)
    assert bare(FRAMES.decode_piece(FRAMES.words_of(ids))) == bare(seed)


REFUSED = {
    "no key and no metre": Wanted(key=Key(0, 0, False)),
    "key and no metre": Wanted(metre=Metre(0, 4, 4)),
    "leaves no pitch": Wanted(pitches=(0, 20)),
    r"C9 \(MIDI 120\) in the seed": Wanted(seed=parse("C4 C9")),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_frames_cannot_have_is_refused(reason: str) -> None:
    with pytest.raises(UsageError, match=reason) as error:
        FRAMES.guide(REFUSED[reason])
    assert error.value.hint


def test_a_pitch_beyond_the_range_is_read_octaves_nearer_and_not_lost() -> None:
    tokenizer = FramesTokenizer.build_from([parse("C4 E4 G4 C5")], TokenizerSettings(kind="frames"))
    notes = tokenizer.decode_piece(tokenizer.words_of(tokenizer.encode("C8:0.5 D1:0.5"))).parts[0].notes
    assert [note.pitch for note in notes] == [72, 62]
