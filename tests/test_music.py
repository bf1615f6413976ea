"""Music as a kind of corpus: how it is recognised, what is left out, where a piece is cut, and in which keys it is learned."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.corpus import Corpus
from seqgen.errors import DataError, UsageError
from seqgen.modalities import MODALITIES, guess_kind
from seqgen.modalities.music import divide, notice, read_seed
from seqgen.scores.notation import parse, write
from seqgen.scores.piece import TICKS, Piece
from seqgen.scores.writing import write_piece
from seqgen.splits import SPLITS
from tests.corpora import documents_of, prepared
from tests.corpora import write as write_file
from tests.pieces import any_pieces, bare, chorale, corpus
from tests.test_voices import moved

MUSIC = MODALITIES["music"]
PIECES = corpus()
BY_PIECE = "60/20/20"
"""So that there are enough of the thirty pieces in each split to hold out whole ones."""


def in_folder(folder: str = "c", pieces: list[Piece] = PIECES) -> str:
    for number, piece in enumerate(pieces):
        write_file(f"{folder}/{number:02}.notes", write(piece))
    return folder


def pieces_of(corpus: Corpus, name: str) -> list[Piece]:
    return [parse(text) for text in documents_of(corpus, name)]


# What is music


@pytest.mark.parametrize(
    ("names", "kind"),
    [(["a.mid", "b.MIDI"], "music"), (["a.musicxml", "b.mxl", "readme.txt"], "music"), (["a.abc"], "music"), (["a.krn"], "music"),
     (["a.notes"], "music"), (["a.txt", "b.md"], "text"), (["a.py", "b.py", "c.mid"], "code"), (["a.png.txt"], "text")],
)  # fmt: skip
def test_the_kind_is_guessed_by_the_names(names: list[str], kind: str) -> None:
    assert guess_kind(map(Path, names)) == kind


def test_a_folder_of_music_is_music_and_its_pieces_are_documents() -> None:
    corpus = prepared(in_folder())
    assert (corpus.settings.kind, corpus.documents) == ("music", 30)
    assert (corpus.tokenizer_settings.kind, corpus.tokenizer_settings.voices) == ("voices", 4)
    assert corpus.characters == sum(piece.notes for piece in PIECES)


@pytest.mark.parametrize("separator", ["\n", "\n\n", "\n# a hymn\n"], ids=["one", "two", "comment"])
def test_a_file_may_hold_many_pieces(separator: str) -> None:
    write_file("book.notes", separator.join(["\n", *map(write, PIECES)]))
    assert prepared("book.notes").documents == 30


def voices_of(number: int, count: int = 5) -> list[str]:
    """Pieces of so many voices."""
    return [write(Piece((piece.parts * 3)[:number], piece.metres, piece.keys)) for piece in PIECES[:count]]


@pytest.mark.parametrize("number", [2, 3, 4, 5, 8])
def test_the_voices_that_most_pieces_have_are_noticed(number: int) -> None:
    others = [write(parse("C4+E4 G4")), *voices_of(7, 2)]
    assert notice([*voices_of(number), *others]) == {"kind": "voices", "voices": number}
    assert notice(["\n".join(voices_of(number))]) == {"kind": "voices", "voices": number}


def test_chords_and_triplets_and_single_lines_are_not_taken_for_voices() -> None:
    assert notice(["S: C4+E4\nA: C4", "S: C4:1/3\nA: C4:1/3"])["kind"] != "voices"
    assert notice(voices_of(9))["kind"] != "voices"
    assert notice(voices_of(1))["kind"] != "voices"
    assert notice([])["kind"] in MUSIC.tokenizers


def test_what_is_noticed_is_known_beforehand() -> None:
    for number in (2, 4):
        choice = notice(voices_of(number))
        assert choice in MUSIC.noticed


def test_a_head_that_is_cut_short_does_not_matter() -> None:
    cut = write(PIECES[0])[:-9] + ":"
    assert notice([*voices_of(4), cut, "no music"]) == {"kind": "voices", "voices": 4}


def test_text_is_read_by_no_tokenizer_of_music_nor_the_other_way_round() -> None:
    with pytest.raises(UsageError, match="characters does not read music"):
        prepared(in_folder(), tokenizer={"kind": "characters"})
    write_file("a.txt", "some words\n" * 50)
    with pytest.raises(UsageError, match="voices does not read text"):
        prepared("a.txt", tokenizer={"kind": "voices"})


# What is left out


def test_what_cannot_be_used_is_left_out_and_named() -> None:
    in_folder()
    write_file("c/line.notes", "C4 D4 E4")
    write_file("c/bad.notes", "S: C4 H9")
    write_file("c/.hidden.notes", "C4")
    write_file("c/readme.txt", "about\n")
    write_file("c/book.notes", "\n".join([write(PIECES[0]), "C4 D4\n", write(PIECES[1])]))
    corpus = prepared("c")
    reasons = {reason: [Path(name).name for name in names] for reason, names in corpus.left_out.items()}
    (bad,) = [reason for reason in reasons if "H9" in reason]
    assert reasons == {
        "not 4 voices": ["book.notes, document 2", "line.notes"],
        bad: ["bad.notes"],
        "hidden": [".hidden.notes"],
        "not music": ["readme.txt"],
    }
    assert corpus.documents == 32


def test_what_the_user_has_named_is_refused_with_the_reason() -> None:
    write_file("line.notes", "C4 D4 E4")
    with pytest.raises(DataError, match="not 4 voices") as error:
        prepared("line.notes", tokenizer={"kind": "voices"})
    assert error.value.where and "line.notes" in error.value.where and error.value.hint
    write_file("bad.notes", "C4 H9")
    with pytest.raises(DataError, match="H9"):
        prepared("bad.notes")


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_a_corpus_without_a_note_is_refused(text: str) -> None:
    write_file("c/a.notes", text)
    with pytest.raises(DataError):
        prepared("c", kind="music")


# Cut at barlines


@given(any_pieces(), st.sampled_from([(0.9, 0.05, 0.05), (0.5, 0.25, 0.25), (1.0, 0.0, 0.0), (0.4, 0.6, 0.0)]))
def test_a_piece_is_cut_at_barlines_and_no_note_is_lost(piece: Piece, shares: tuple[float, ...]) -> None:
    parts = divide(write(piece), shares)
    assert len(parts) == 3
    barlines = [0, *(end for _, end in piece.bars())]
    offset = 0
    found: list[list[tuple[int, int]]] = [[] for _ in piece.parts]
    for text in parts:
        if not text:
            continue
        # Where a stretch begins is known from its first note, which must be a note of the piece.
        stretch = parse(text)
        offsets = [start for start in barlines if start >= offset and _is_within(stretch, piece, start)]
        assert offsets
        offset = offsets[0]
        for notes, part in zip(found, starts_of(stretch), strict=True):
            notes += [(start + offset, pitch) for start, pitch in part]
    assert found == starts_of(piece)


def starts_of(piece: Piece) -> list[list[tuple[int, int]]]:
    """Start and pitch of the notes of each part."""
    return [[(note.start, note.pitch) for note in part.notes] for part in piece.parts]


def _is_within(stretch: Piece, piece: Piece, offset: int) -> bool:
    """Whether all notes of a stretch are notes of a piece, so much later."""
    return all(
        {(start + offset, pitch) for start, pitch in part} <= {*whole}
        for part, whole in zip(starts_of(stretch), starts_of(piece), strict=True)
    )


def test_a_long_piece_is_cut_near_the_shares() -> None:
    piece = chorale(0, bars=40)
    parts = [parse(text) for text in divide(write(piece), (0.8, 0.1, 0.1))]
    assert [len([*part.bars()]) for part in parts] == [32, 4, 4]
    assert max(note.end for part in parts[0].parts for note in part.notes) == 32 * 4 * TICKS
    assert [part.keys for part in parts] == [piece.keys] * 3
    assert [note.fermata for part in parts for note in part.parts[0].notes[-1:]] == [False, False, True]


@pytest.mark.parametrize("shares", [(1.0, 0.0, 0.0), (0.9, 0.1, 0.0), (0.95, 0.0, 0.05), (0.7, 0.2, 0.1)])
@pytest.mark.parametrize("bars", [3, 40])
def test_a_share_of_nothing_gets_nothing(shares: tuple[float, float, float], bars: int) -> None:
    parts = divide(write(chorale(1, bars)), shares)
    assert not [part for part, share in zip(parts, shares, strict=True) if part and not share]
    assert sum(parse(part).notes for part in parts if part) == chorale(1, bars).notes


def test_few_pieces_are_each_cut_by_position() -> None:
    corpus = prepared(in_folder(pieces=[chorale(seed, bars=20) for seed in range(3)]), split="80/10/10")
    assert corpus.split_by == "position"
    assert [len(split.starts) for split in corpus.splits.values()][1:] == [3, 3]
    lengths = [
        sum(len([*piece.bars()]) - (piece.pickup > 0) for piece in pieces_of(corpus, name)) for name in SPLITS[1:]
    ]
    assert lengths == [6, 6]


# Other keys


def test_copies_in_other_keys_are_of_training_pieces_alone() -> None:
    corpus = prepared(in_folder(), split=BY_PIECE)
    assert corpus.split_by == "document"
    held_out = [piece for name in SPLITS[1:] for piece in pieces_of(corpus, name)]
    train = pieces_of(corpus, "train")
    own = [piece for piece in train if piece in PIECES]
    assert len(held_out) > 8 and len(own) + len(held_out) == 30
    assert all(piece in PIECES for piece in held_out)
    assert len(train) > 2 * len(own)
    steps = [_intervals(piece) for piece in held_out]
    assert not [piece for piece in train if _intervals(piece) in steps]


def _intervals(piece: Piece) -> list[list[tuple[int, int, int]]]:
    """The notes of each part, seen from its first pitch: the same in any key."""
    return [[(start, length, pitch - part[0][2]) for start, length, pitch in part] for part in bare(piece)]


def test_each_copy_stands_behind_its_piece_and_stays_in_the_ranges() -> None:
    corpus = prepared(in_folder(), split=BY_PIECE)
    train = pieces_of(corpus, "train")
    ranges = [
        (min(pitches), max(pitches))
        for voice in range(4)
        for pitches in [[note.pitch for piece in train if piece in PIECES for note in piece.parts[voice].notes]]
    ]
    groups = [[*group] for _, group in itertools.groupby(train, key=_intervals)]
    assert len(groups) == len([piece for piece in train if piece in PIECES])
    for original, *copies in groups:
        assert original in PIECES
        semitones = [moved(original, copy) for copy in copies]
        assert len({0, *semitones}) == len(copies) + 1
        assert [original.transposed(number) for number in semitones] == copies
        for piece in copies:
            for part, (low, high) in zip(piece.parts, ranges, strict=True):
                assert all(low <= note.pitch <= high for note in part.notes)


def test_pieces_are_learned_in_their_own_keys_if_the_user_wants_so() -> None:
    corpus = prepared(in_folder(), split=BY_PIECE, transpose=False)
    assert sum(len(split.starts) for split in corpus.splits.values()) == 30
    assert sorted(map(write, itertools.chain(*(pieces_of(corpus, name) for name in SPLITS)))) == sorted(
        map(write, PIECES)
    )


def test_notes_are_counted_once_in_the_corpus_and_with_their_copies_in_training() -> None:
    corpus = prepared(in_folder(), split=BY_PIECE)
    assert corpus.characters == sum(piece.notes for piece in PIECES)
    assert corpus.splits["train"].characters == sum(piece.notes for piece in pieces_of(corpus, "train"))
    lengths = np.load(corpus.folder / "lengths.npy")
    assert sorted(lengths.tolist()) == sorted(piece.notes for piece in PIECES)


# Folders that say what is for what


def in_split_folders() -> None:
    for name, pieces in zip(SPLITS, (PIECES[:6], PIECES[6:9], PIECES[9:10]), strict=True):
        in_folder(f"c/{name}", pieces)


def test_folders_may_say_what_is_for_training() -> None:
    in_split_folders()
    corpus = prepared("c", split="folders", transpose=False)
    assert (corpus.split_by, corpus.documents) == ("folder", 10)
    assert [pieces_of(corpus, name) for name in SPLITS] == [PIECES[:6], PIECES[6:9], PIECES[9:10]]


def test_in_folders_too_only_training_pieces_are_transposed() -> None:
    in_split_folders()
    corpus = prepared("c", split="folders")
    assert len(corpus.splits["train"].starts) > 6
    assert [pieces_of(corpus, name) for name in SPLITS[1:]] == [PIECES[6:9], PIECES[9:10]]


def test_a_piece_in_no_such_folder_is_refused() -> None:
    in_split_folders()
    write_file("c/other/train.notes", write(PIECES[20]))
    with pytest.raises(DataError, match="in no folder called train, valid or test") as error:
        prepared("c", split="folders")
    assert error.value.where and error.value.where.endswith("train.notes")


def test_folders_without_a_training_piece_are_refused() -> None:
    in_folder("c/test", PIECES[:3])
    with pytest.raises(DataError, match="nothing in a folder called train"):
        prepared("c", split="folders")


# Seeds


def test_a_seed_may_be_the_first_bars_of_a_piece() -> None:
    for piece in PIECES[:6]:
        seed = parse(read_seed(write(piece), None, "", 2))
        starts = [note.start for part in seed.parts for note in part.notes]
        assert max(starts) < piece.pickup + 2 * piece.metres[0].bar == seed.end
        assert (seed.keys, seed.metres, seed.pickup) == (piece.keys, piece.metres, piece.pickup)
    whole = read_seed(write(PIECES[0]), None, "", 99)
    assert bare(parse(whole)) == bare(PIECES[0])


def test_the_first_bars_hold_no_note_that_sounds_on_beyond_them() -> None:
    assert parse(read_seed("metre: 2/4\nC4 D4:2 E4", None, "", 1)).end == 2 * TICKS


@pytest.mark.parametrize("suffix", [".mid", ".MID", ".musicxml", ".notes"])
def test_a_seed_is_read_from_a_file(suffix: str) -> None:
    data = write_piece(PIECES[1], suffix)
    assert bare(parse(read_seed("", data, f"a{suffix}", None))) == bare(PIECES[1])


def test_midi_is_recognised_whatever_it_is_called() -> None:
    assert bare(parse(read_seed("", write_piece(PIECES[1], ".mid"), "-", None))) == bare(PIECES[1])


def test_of_a_file_with_many_pieces_the_first_is_the_seed() -> None:
    book = "\n".join(map(write, PIECES[:3])).encode()
    assert bare(parse(read_seed("", book, "book.notes", None))) == bare(PIECES[0])


@pytest.mark.parametrize(
    ("data", "name"), [(b"\xff\xfe\x00", "a.notes"), (b"MThd\0", "a.mid"), (b"", "a.mid"), (b"x", "a.musicxml")]
)
def test_a_file_that_is_no_music_is_no_seed(data: bytes, name: str) -> None:
    with pytest.raises(DataError) as error:
        read_seed("", data, name, None)
    assert error.value.where == name


@pytest.mark.parametrize("asked", [{}, {"kind": "voices"}, {"kind": "voices", "grid": 8}])
def test_as_many_voices_as_the_pieces_have_are_learned_also_where_the_form_is_asked_for(asked: dict[str, Any]) -> None:
    trios = [dataclasses.replace(piece, parts=piece.parts[:3]) for piece in PIECES]
    folder = in_folder("trios", trios)
    for fresh in (True, False):
        corpus = prepared(folder, tokenizer=asked)
        assert (corpus.tokenizer_settings.kind, corpus.tokenizer_settings.voices) == ("voices", 3)
        assert corpus.tokenizer_settings.grid == asked.get("grid", 4)
        assert corpus.documents == len(trios)
        assert corpus.fresh == fresh
