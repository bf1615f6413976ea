"""Music at large as REMI and TSD: what comes back, what is refused, and what a sample may become."""

from __future__ import annotations

import dataclasses
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.errors import UsageError
from seqgen.recipe import TokenizerSettings
from seqgen.scores import notation
from seqgen.scores.piece import Metre, Note, Part, Piece
from seqgen.tokenizers import DOCUMENT
from seqgen.tokenizers.barring import is_quantised
from seqgen.tokenizers.coding import REMI, TSD, _miditok
from seqgen.tokenizers.notes import NotesTokenizer, RemiTokenizer, TsdTokenizer
from seqgen.tokenizers.scores import Wanted

SETTINGS = TokenizerSettings()
BAND = notation.parse("""
metre: 3/4 @13 6/8
pickup: 1
tempo: 90 @7 120
Flute (program 73): G4v79 | A4:2v95 B4v31 | C5:3v63 | D5:3v79 | E5:3v79 | F5:1.5v95 G5:1.5v95
Piano: r C3+E3:3v47 F3:3v47 | G3:3v47 C3:3v47
Kit (drums): r 36:1v127 38:1/3v95 42:1/3v95 42:1/3v95
""")
DUO = notation.parse("""
metre: 4/4
tempo: 120
Piano: C4+E4+G4:2v63 F4:2v79 | E4:4v95 | D4:0.25v63 E4:0.75v63 C4:6v95
Bass (program 33): C2:4v79 G2:4v95 C2:4v111
""")
FREE = Piece(
    (
        Part(tuple(Note(place * 217, 131, 60 + place, 30 + 9 * place) for place in range(9))),
        Part(tuple(Note(place * 501 + 7, 93, 40 + place % 3, 90) for place in range(4)), program=32),
        Part((Note(33, 40, 36, 127), Note(977, 40, 38, 111)), drums=True),
    )
)
both = pytest.mark.parametrize("kind", [RemiTokenizer, TsdTokenizer])
Kind = type[NotesTokenizer]


def sounding(piece: Piece) -> Counter[tuple[int, int, int, int]]:
    """Program, start, duration and pitch of all notes; drums are program -1."""
    return Counter(
        (-1 if part.drums else part.program, note.start, note.duration, note.pitch)
        for part in piece.parts
        for note in part.notes
    )


def velocities(piece: Piece) -> dict[tuple[int, int, int], int]:
    return {
        (-1 if part.drums else part.program, note.start, note.pitch): note.velocity
        for part in piece.parts
        for note in part.notes
    }


def again(tokenizer: NotesTokenizer, piece: Piece) -> Piece:
    return tokenizer.decode_piece(tokenizer.words_of(tokenizer.ids_of(tokenizer.encode_piece(piece))))


def trained(kind: Kind, *pieces: Piece) -> NotesTokenizer:
    return kind.build_from(pieces or (BAND, DUO), SETTINGS)


def one_part(text: str, metre: str = "4/4") -> Piece:
    return notation.parse(f"metre: {metre}\nPiano: {text}")


def walk(tokenizer: NotesTokenizer, wanted: Wanted, number: int) -> list[str]:
    """The words of a sample whose every word is drawn blindly among those that are allowed."""
    draw, guide = random.Random(number), tokenizer.guide(wanted)
    ids: list[int] = []
    while len(ids) < 5000:
        symbol = draw.choice(np.flatnonzero(guide.allowed()).tolist())
        guide.feed(symbol)
        if symbol == DOCUMENT:
            return tokenizer.words_of(ids)
        ids.append(symbol)
    raise AssertionError("the sample does not end")


def bars_in(piece: Piece) -> int:
    return sum(1 for _ in piece.bars()) - (piece.pickup > 0)


def moments(words: list[str]) -> Iterator[list[str]]:
    """What begins together, each note with its program."""
    program, moment = "", list[str]()
    for word in words:
        kind = word.partition(" ")[0]
        if kind in ("Position", "TimeShift", "Bar"):
            yield moment
            moment = []
        elif kind == "Program":
            program = word
        elif kind.startswith("Pitch"):
            moment.append(f"{program} {word}")
    yield moment


@both
@pytest.mark.parametrize("piece", [BAND, DUO], ids=["band", "duo"])
def test_written_music_comes_back_with_programs_drums_and_tempos(kind: Kind, piece: Piece) -> None:
    back = again(trained(kind), piece)
    assert sounding(back) == sounding(piece)
    assert back.tempos == piece.tempos
    told = velocities(piece)
    assert all(abs(velocity - told[place]) <= 8 for place, velocity in velocities(back).items())


@pytest.mark.parametrize("piece", [BAND, DUO], ids=["band", "duo"])
def test_bars_come_back_with_pickup_and_changes_of_metre(piece: Piece) -> None:
    back = again(trained(RemiTokenizer), piece)
    assert (back.metres, back.pickup) == (piece.metres, piece.pickup)
    assert bars_in(back) == bars_in(piece)


def test_free_playing_comes_back_within_half_a_step() -> None:
    back = again(trained(TsdTokenizer, FREE), FREE)
    for part, own in zip(sorted(FREE.parts, key=lambda part: (part.drums, part.program)), back.parts, strict=True):
        assert (own.program, own.drums) == (part.program, part.drums)
        for played, note in zip(part.notes, own.notes, strict=True):
            assert played.pitch == note.pitch
            assert abs(played.start - note.start) <= 10
            assert abs(played.duration - note.duration) <= 10


PLAYED = st.tuples(
    st.integers(0, 120), st.integers(1, 48), st.integers(0, 127), st.sampled_from([0, 24, 127]), st.booleans()
)


@both
@given(rows=st.lists(PLAYED, min_size=1, max_size=20))
def test_any_notes_on_the_grid_come_back(kind: Kind, rows: list[tuple[int, int, int, int, bool]]) -> None:
    free = {(program, drums, pitch): (start, length) for start, length, pitch, program, drums in rows}
    parts = tuple(
        Part((Note(start * 40, length * 40, pitch, 79),), "", 0 if drums else program, drums)
        for (program, drums, pitch), (start, length) in free.items()
    )
    kept = {(part.drums, part.program, part.notes[0].pitch): part for part in parts}  # drums have one program
    piece = Piece(tuple(kept.values()), (Metre(0, 4, 4),))
    assert sounding(again(trained(kind, piece), piece)) == sounding(piece)


@pytest.mark.parametrize("metre", ["2/2", "3/2", "9/8", "12/8", "5/8", "7/8", "5/4", "3/16", "4/1"])
def test_no_metre_is_lost_and_sixteenths_fit_in_all(metre: str) -> None:
    piece = one_part("C4:0.25 D4:0.25 E4:1/3 F4:2/3 G4:3 A4:2.5 C4 D4 E4 F4", metre)
    back = again(trained(RemiTokenizer, piece), piece)
    assert sounding(back) == sounding(piece)
    assert [str(each) for each in back.metres] == [metre]
    assert bars_in(back) == bars_in(piece)


def test_a_metre_that_was_not_learned_moves_barlines_and_no_note() -> None:
    tokenizer = trained(RemiTokenizer, one_part("C4 D4 E4 F4 " * 3))
    piece = one_part("C4 D4 E4 F4 G4 A4 D4", "7/8")
    words = tokenizer.encode_piece(piece)
    assert sounding(tokenizer.decode_piece(words)) == sounding(piece)
    assert {word for word in words if word.startswith("TimeSig")} == {"TimeSig 4/4"}


def test_a_metre_that_changes_within_a_bar_makes_a_short_bar() -> None:
    piece = notation.parse("metre: 4/4 @6 3/4\nPiano: C4:4 D4:2 E4:3 F4:3")
    back = again(trained(RemiTokenizer, piece), piece)
    assert sounding(back) == sounding(piece)
    assert [str(metre) for metre in back.metres] == ["4/4", "2/4", "3/4"]


def test_a_metre_with_too_much_in_a_bar_is_refused_with_it_named() -> None:
    assert RemiTokenizer.refuses(one_part("C4", "99/32"), SETTINGS) == "a metre of 99/32"


def test_what_was_played_freely_is_for_shifts_and_not_for_bars() -> None:
    assert is_quantised(BAND)
    assert not is_quantised(FREE)
    assert RemiTokenizer.refuses(FREE, SETTINGS) == "played freely, not on a grid"
    assert RemiTokenizer.refuses(BAND, SETTINGS) is None
    assert TsdTokenizer.refuses(FREE, SETTINGS) is None
    assert TsdTokenizer.refuses(Piece(()), SETTINGS) == "no notes"


@both
def test_what_was_never_heard_becomes_the_nearest_thing(kind: Kind) -> None:
    tokenizer = trained(kind)
    other = notation.parse("metre: 4/4\ntempo: 101\nPart (program 75): C8v5 E2:7/12v5 | C4:2\nKit (drums): 39")
    back = again(tokenizer, other)
    assert back.notes == other.notes
    assert [(part.program, part.drums) for part in back.parts] == [(73, False), (0, True)]
    assert [note.pitch % 12 for note in back.parts[0].notes] == [0, 4, 0]
    assert back.tempos[0].bpm == 90


@both
def test_two_parts_of_one_program_never_strike_a_pitch_twice_at_once(kind: Kind) -> None:
    piece = notation.parse("metre: 4/4\nOne: C4 D4 E4\nTwo: C4:3 E4")
    back = again(trained(kind, piece), piece)
    assert [(note.start, note.duration, note.pitch) for note in back.parts[0].notes] == [
        (0, 1440, 60),
        (480, 480, 62),
        (960, 480, 64),
        (1440, 480, 64),
    ]


@both
def test_pitches_move_to_other_keys_and_drums_stay(kind: Kind) -> None:
    tokenizer = trained(kind)
    ids = tokenizer.ids_of(tokenizer.encode_piece(BAND))
    copies = [tokenizer.decode_piece(tokenizer.words_of(copy)) for copy in tokenizer.copies(ids)]
    assert copies
    for copy in copies:
        (semitones,) = {
            own.pitch - note.pitch
            for part, moved in zip(again(tokenizer, BAND).parts, copy.parts, strict=True)
            for note, own in zip(part.notes, moved.notes, strict=True)
            if not part.drums
        }
        assert sounding(copy) == sounding(BAND.transposed(semitones))


@both
def test_a_piece_may_stop_after_any_word(kind: Kind) -> None:
    tokenizer = trained(kind)
    words = tokenizer.encode_piece(BAND)
    counts = [tokenizer.decode_piece(words[:length]).notes for length in range(len(words) + 1)]
    assert counts == sorted(counts)
    assert counts[-1] == BAND.notes


@both
def test_one_velocity_needs_no_words(kind: Kind) -> None:
    alike, unsaid = one_part("C4v80 D4v80"), one_part("C4 D4")
    assert not any(word.startswith("Velocity") for word in trained(kind, alike).words)
    assert [note.velocity for note in again(trained(kind, alike), alike).parts[0].notes] == [79, 79]
    assert [note.velocity for note in again(trained(kind, unsaid), unsaid).parts[0].notes] == [0, 0]
    assert any(word.startswith("Velocity") for word in trained(kind, alike, DUO).words)


@both
def test_the_file_gives_the_tokenizer_back_and_bad_ones_are_refused(kind: Kind) -> None:
    tokenizer = trained(kind)
    same = kind.from_bytes(tokenizer.to_bytes())
    assert (same.words, same.about) == (tokenizer.words, tokenizer.about)
    plain = json.loads(tokenizer.to_bytes())
    for field, value in [
        ("words", [*tokenizer.words, "Pitch 200"]),
        ("words", [*tokenizer.words, "Velocity 80"]),
        ("coding", {}),
        ("range", [3]),
        ("longest", -1),
        ("metre", "4/3"),
        ("tempo", "fast"),
        ("program", 128),
        ("velocity", "loud"),
        ("changes", 1),
    ]:
        with pytest.raises(ValueError, match=r".+"):
            kind.from_bytes(json.dumps({**plain, field: value}).encode())


@pytest.mark.parametrize("coding", [REMI, TSD])
def test_the_words_are_those_of_miditok(coding: object) -> None:
    assert coding in (REMI, TSD)
    own = REMI if coding == REMI else TSD
    theirs = {word.replace("_", " ", 1) for word in _miditok(own, True, True).vocab if not word.endswith("None")}
    ours = {word for word in own.words() if not word.startswith("Bar")}
    halves = {word for word in ours if word.endswith(("/1", "/2"))}
    assert ours - halves == theirs


SEEDS = [None, notation.parse("C4 E4 G4 E4:2"), notation.parse("C4:3 D4:6"), BAND]


@both
@pytest.mark.parametrize("bars", [None, 1, 3, 12])
@pytest.mark.parametrize("number", range(12))
def test_blind_draws_end_in_music_that_keeps_to_what_was_wanted(kind: Kind, bars: int | None, number: int) -> None:
    tokenizer = trained(kind)
    metre = notation.parse_metre("6/8") if kind is RemiTokenizer and number % 3 == 0 else None
    wanted = Wanted(bars=bars, metre=metre, pitches=(48, 72))
    words = walk(tokenizer, wanted, number)
    piece = tokenizer.decode_piece(words)
    assert piece.notes
    assert bars_in(piece) == bars if bars else bars_in(piece) <= 12
    assert all(48 <= note.pitch <= 72 for part in piece.parts if not part.drums for note in part.notes)
    assert all(max(Counter(moment).values(), default=1) == 1 for moment in moments(words))
    if metre:
        assert [str(each) for each in piece.metres] == ["6/8"]


@both
@pytest.mark.parametrize("seed", SEEDS[1:], ids=["short", "long", "band"])
@pytest.mark.parametrize("number", range(6))
def test_a_sample_begins_with_its_seed(kind: Kind, seed: Piece, number: int) -> None:
    tokenizer = trained(kind)
    piece = tokenizer.decode_piece(walk(tokenizer, Wanted(seed=seed, bars=8), number))
    assert bars_in(piece) == 8
    told = {(note.start, note.pitch) for part in seed.parts for note in part.notes}
    here = {(note.start, note.pitch) for part in piece.parts for note in part.notes if note.start < seed.end}
    assert here == told
    assert piece.notes > seed.notes


def test_a_typed_seed_takes_the_usual_tempo_program_and_metre() -> None:
    guitars = notation.parse("metre: 3/4\ntempo: 70\nGuitar (program 24): C4 E4 G4 C5:3")
    tokenizer = trained(RemiTokenizer, guitars)
    piece = tokenizer.decode_piece(walk(tokenizer, Wanted(seed=notation.parse("C4 D4"), bars=2), 1))
    assert piece.tempos[0].bpm == 70
    assert {part.program for part in piece.parts} == {24}
    assert [str(metre) for metre in piece.metres] == ["3/4"]


@both
@pytest.mark.parametrize(
    ("wanted", "what"),
    [
        (Wanted(key=notation.parse("key: G\nC4").keys[0]), "keys"),
        (Wanted(metre=Metre(0, 5, 4)), "metre"),
        (Wanted(pitches=(120, 127)), "no pitch"),
        (Wanted(seed=notation.parse("C9")), "out of the model's range"),
        (Wanted(seed=notation.parse("tempo: 90\nOrgan (program 19): C4")), "program 19"),
        (Wanted(seed=notation.parse("Kit (drums): 50")), "drum"),
    ],
)
def test_what_was_not_learned_is_an_error_that_says_so(kind: Kind, wanted: Wanted, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        trained(kind).guide(wanted)


@both
def test_only_drums_are_music_too(kind: Kind) -> None:
    beat = notation.parse("metre: 4/4\nKit (drums): 36 38 36 38 36+42 38 36 38")
    tokenizer = trained(kind, beat)
    assert sounding(again(tokenizer, beat)) == sounding(beat)
    piece = tokenizer.decode_piece(walk(tokenizer, Wanted(bars=2), 3))
    assert bars_in(piece) == 2
    assert [part.drums for part in piece.parts] == [True]


def test_notes_are_counted_and_only_the_new_ones_by_the_guide() -> None:
    tokenizer = trained(RemiTokenizer)
    words = tokenizer.encode_piece(DUO)
    assert tokenizer.count(tokenizer.ids_of(words)) == DUO.notes
    guide = tokenizer.guide(Wanted(seed=DUO))
    for word in words:
        guide.feed(tokenizer.ids[word])
    assert guide.notes == 0


NOTHING_HEAVY = """
import sys
import seqgen.tokenizers.notes as notes
assert not {"miditok", "symusic", "huggingface_hub", "tokenizers", "torch"} & set(sys.modules)

def audit(event, arguments):
    if event.startswith("socket.") and event != "socket.__new__" or event.startswith("pickle"):
        raise SystemExit(f"{event} {arguments}")

sys.addaudithook(audit)
from seqgen.scores import notation
from seqgen.recipe import TokenizerSettings
piece = notation.parse("C4 D4")
tokenizer = notes.RemiTokenizer.build_from([piece], TokenizerSettings())
assert tokenizer.decode_piece(tokenizer.encode_piece(piece)).notes == 2
assert "torch" not in sys.modules
print("done")
"""


def test_nothing_is_loaded_before_it_is_used_and_no_server_is_asked() -> None:
    done = subprocess.run([sys.executable, "-c", NOTHING_HEAVY], capture_output=True, text=True, check=False)
    assert done.stdout == "done\n", done.stderr + done.stdout


@both
def test_more_pieces_bring_new_words_behind_the_old_ones(kind: Kind) -> None:
    tokenizer = trained(kind, DUO)
    wider = tokenizer.extended([notation.write(BAND)], SETTINGS)
    assert wider.words[: len(tokenizer.words)] == tokenizer.words
    assert sounding(again(wider, dataclasses.replace(BAND, title=""))) == sounding(BAND)
