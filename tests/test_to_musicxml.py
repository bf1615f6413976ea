"""MusicXML of pieces: that every note is in it, that measures are full, and that it reads as musicians write."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.errors import DataError
from seqgen.scores.engraving import write_voice
from seqgen.scores.notation import parse
from seqgen.scores.piece import Key, Metre, Note, Part, Piece
from seqgen.scores.pitches import LETTERS, parse_pitch
from seqgen.scores.staves import measures_of, snap, voices_of
from seqgen.scores.to_musicxml import write_musicxml

Played = tuple[int, int, int]
CHORALE = """
title: A test
key: G minor
metre: 4/4
pickup: 1
tempo: 90
Soprano: G4 A4 Bb4 C5 D5^ | D5 Eb5:0.5 D5:0.5 C5 Bb4 | A4 F#4 G4^
Alto: D4 F4 G4 F4 F4^ | F4 G4 G4 G4 | D4 D4 D4^
Tenor: Bb3 C4 D4 C4 Bb3^ | Bb3 Bb3 C4 D4 | D4 A3 B3^
Bass: G3 F3 Eb3 F3 Bb2^ | Bb3 Eb3:0.5 F3:0.5 E3 G3 | F#3 D3 G2^
"""
METRES = [(4, 4), (3, 4), (2, 4), (6, 8), (3, 8), (5, 8), (7, 8), (3, 2), (2, 2), (9, 16), (5, 4), (12, 8)]


def root_of(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(write_musicxml(parse(text)))


def notes_in(data: bytes) -> list[Played]:
    """Start, duration and pitch of the notes in a file; those that are tied as one."""
    return sorted(note for part in ElementTree.fromstring(data).findall("part") for note in _notes_in_part(part))


def _notes_in_part(part: ElementTree.Element) -> list[Played]:
    found: list[Played] = []
    tied: dict[tuple[str | None, int], int] = {}
    clock = before = 0
    for element in part.findall("measure/*"):
        duration = int(element.findtext("duration", "0"))
        assert duration * 480 % 10080 == 0 and element.tag != "forward"
        duration = duration * 480 // 10080
        if element.tag == "backup":
            clock -= duration
        elif element.tag == "note":
            start = before if element.find("chord") is not None else clock
            before, clock = start, start + duration
            if element.find("pitch") is not None:
                note = (element.findtext("voice"), midi_of(element))
                ties = {tie.get("type") for tie in element.findall("tie")}
                begun = tied.pop(note) if "stop" in ties else start
                if "start" in ties:
                    tied[note] = begun
                else:
                    found.append((begun, clock - begun, note[1]))
    assert not tied
    return found


def midi_of(note: ElementTree.Element) -> int:
    step, alter = note.findtext("pitch/step", ""), int(note.findtext("pitch/alter", "0"))
    return 12 * (int(note.findtext("pitch/octave", "")) + 1) + LETTERS[step] + alter


def notes_of(piece: Piece) -> list[Played]:
    return sorted((note.start, note.duration, note.pitch) for part in piece.parts for note in part.notes)


def texts(root: ElementTree.Element, path: str) -> list[str]:
    return [element.text or "" for element in root.findall(f".//{path}")]


def written(text: str, voice: int = 0) -> list[str]:
    """A part's signs: kind and dots, r for rests, ~ for a tie to the next, brackets of tuplets, | for barlines."""
    piece = snap(parse(text))
    sounds = voices_of(piece.parts[0])[voice]
    bars = []
    for measure in measures_of(piece):
        words = []
        for sign in write_voice(sounds, measure):
            word = f"{'' if sign.pitches else 'r'}{sign.kind}{'.' * sign.dots}{'~' if sign.tied_on else ''}"
            begins, ends = sign.tuplet in ("start", "startStop"), sign.tuplet in ("stop", "startStop")
            words.append(f"{'[' * begins}{word}{']' * ends}")
        bars.append(" ".join(words))
    return bars


def beams(text: str) -> list[str]:
    """The outermost beam of each note."""
    piece = parse(text)
    sounds = voices_of(piece.parts[0])[0]
    return [
        sign.beams[0] if sign.beams else "-" for measure in measures_of(piece) for sign in write_voice(sounds, measure)
    ]


@st.composite
def voices(draw: st.DrawFn, longest: int = 12) -> tuple[Note, ...]:
    """Notes and rests one after another, each quarter on one grid: eighths and the like, or triplets."""
    clock, notes = 0, []
    for _ in range(draw(st.integers(1, longest))):
        within = clock % 480
        triplet = within % 120 != 0 or (within == 0 and draw(st.integers(0, 5)) == 0)
        length = draw(st.sampled_from([80, 160, 320] if triplet else [60, 120, 240, 360, 480, 600, 720, 960, 2040]))
        if triplet:
            length = min(length, 480 - within)
        elif within % 120:
            length = 120 - within % 120
        if draw(st.integers(0, 4)):
            notes.append(Note(clock, length, draw(st.integers(21, 108)), 0, draw(st.booleans())))
        clock += length
    return tuple(notes)


@st.composite
def pieces(draw: st.DrawFn) -> Piece:
    beats, unit = draw(st.sampled_from(METRES))
    parts = [Part(notes) for notes in draw(st.lists(voices(), min_size=1, max_size=5))]
    if not any(part.notes for part in parts):
        parts.append(Part((Note(0, 480, 60),)))
    keys = [Key(0, draw(st.integers(0, 11)), draw(st.booleans()))] if draw(st.booleans()) else []
    metre = Metre(0, beats, unit)
    pickup = draw(st.sampled_from([0, 0, 120, 240, 480]))
    return Piece(tuple(parts), (metre,), tuple(keys), pickup=pickup if pickup < metre.bar else 0)


@given(pieces())
@settings(max_examples=25)
def test_every_note_comes_back(piece: Piece) -> None:
    assert notes_in(write_musicxml(piece)) == notes_of(piece)


@given(pieces())
def test_signs_fill_every_measure_and_have_the_lengths_they_say(piece: Piece) -> None:
    from music21.duration import convertTypeToQuarterLength

    for part in piece.parts:
        for measure in measures_of(piece):
            for sounds in voices_of(part):
                clock = measure.start
                for sign in write_voice(sounds, measure):
                    actual, normal = sign.ratio or (1, 1)
                    assert sign.start == clock
                    assert sign.duration * actual == 480 * normal * convertTypeToQuarterLength(sign.kind, sign.dots)
                    clock += sign.duration
                assert clock == measure.stop


def test_a_chorale_is_on_two_braced_staves_of_two_voices() -> None:
    root = root_of(CHORALE)
    assert texts(root, "part-name") == ["Soprano, Alto", "Tenor, Bass"]
    assert texts(root, "group-symbol") == ["brace"] and texts(root, "clef/sign") == ["G", "F"]
    for part in root.findall("part"):
        for measure in part.findall("measure"):
            stems = {(note.findtext("voice"), note.findtext("stem")) for note in measure.findall("note")}
            assert stems == {("1", "up"), ("2", "down")}


def test_every_voice_of_a_measure_is_full() -> None:
    lengths: list[list[int]] = []
    for part in root_of(CHORALE).findall("part"):
        for measure in part.findall("measure"):
            voices = {note.findtext("voice") for note in measure.findall("note")}
            sums = [
                sum(
                    int(note.findtext("duration", ""))
                    for note in measure.findall("note")
                    if note.findtext("voice") == voice
                )
                for voice in sorted(map(str, voices))
            ]
            lengths.append([total // 10080 for total in sums])
    assert lengths == 2 * [[1, 1], [4, 4], [4, 4], [3, 3]]


def test_the_pickup_is_measure_0_and_not_counted() -> None:
    measures = root_of(CHORALE).findall("part/measure")[:4]
    assert [(measure.get("number"), measure.get("implicit")) for measure in measures] == [
        ("0", "yes"), ("1", "no"), ("2", "no"), ("3", "no"),
    ]  # fmt: skip


def test_a_chorale_says_title_key_metre_tempo_and_fermatas() -> None:
    root = root_of(CHORALE)
    assert texts(root, "movement-title") == ["A test"]
    assert texts(root, "fifths") == ["-2", "-2"] and texts(root, "mode") == ["minor", "minor"]
    assert texts(root, "beats") == ["4", "4"] and texts(root, "beat-type") == ["4", "4"]
    assert texts(root, "per-minute") == ["90"]
    assert len(texts(root, "fermata")) == 8
    assert notes_in(write_musicxml(parse(CHORALE))) == notes_of(parse(CHORALE))


def test_music21_reads_what_was_written() -> None:
    from music21 import converter

    piece = parse(CHORALE)
    score = converter.parse(write_musicxml(piece), format="musicxml", forceSource=True)
    found = sorted(
        (round(480 * note.getOffsetInHierarchy(score)), round(480 * note.quarterLength), note.pitch.midi)
        for note in score.recurse().notes
    )
    assert found == notes_of(piece)


def test_the_last_barline_is_final_on_every_staff() -> None:
    for part in root_of(CHORALE).findall("part"):
        *others, last = part.findall("measure")
        assert last.findtext("barline/bar-style") == "light-heavy"
        assert not [measure for measure in others if measure.findall("barline")]


def test_equal_pieces_give_equal_bytes_in_any_process() -> None:
    script = (
        "import sys; from seqgen.scores.notation import parse; from seqgen.scores.to_musicxml import write_musicxml\n"
    )
    script += f"sys.stdout.buffer.write(write_musicxml(parse({CHORALE!r})))"
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert other.stdout == write_musicxml(parse(CHORALE)) == write_musicxml(parse(CHORALE))
    assert b"encoding-date" not in other.stdout and b"Music21</creator>" not in other.stdout


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("G minor", "G A Bb C D Eb E F F#"),
        ("Eb major", "Eb F G Ab A Bb C Db D"),
        ("E major", "E F# G# A A# B C# D D#"),
    ],
)
def test_spelling_follows_the_key(key: str, expected: str) -> None:
    numbers = " ".join(str(parse_pitch(f"{name}4")) for name in expected.split())
    root = root_of(f"key: {key}\n{numbers}")
    signs = {"1": "#", "-1": "b", "0": "", "": ""}
    names = [f"{pitch.findtext('step')}{signs[pitch.findtext('alter', '')]}" for pitch in root.findall(".//pitch")]
    assert names == expected.split()


def test_spelling_follows_a_change_of_key_and_accidentals_are_shown_once() -> None:
    root = root_of("key: C major @4 Eb major\nF#4 F#4 F#4 F4 | Eb4 Ab4 Bb4 B4")
    assert texts(root, "fifths") == ["0", "-3"]
    shown = [note.findtext("accidental") for note in root.findall(".//note")]
    assert shown == ["sharp", None, None, "natural", None, None, None, "natural"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C4:5", ["whole~", "quarter rquarter rhalf"]),
        ("r:3 C4:2", ["rhalf rquarter quarter~", "quarter rquarter rhalf"]),
        ("C4:1.25 r:0.75 C4:2", ["quarter~ 16th r16th reighth half"]),
        ("C4:2.5 r:1.5", ["half~ eighth reighth rquarter"]),
        ("C4:0.5 C4 C4 C4 C4:0.5", ["eighth quarter quarter quarter eighth"]),
        ("metre: 6/8\nC4:2.5 r:0.5", ["quarter.~ quarter reighth"]),
        ("metre: 5/4\nC4:5", ["whole~ quarter"]),
        ("metre: 3/2\nC4:5 r:1", ["whole~ quarter rquarter"]),
        ("pickup: 1\nC4 C4:4 C4:3", ["quarter", "whole", "half."]),
        ("C4:1/3 C4:1/3 C4:1/3 C4:3", ["[eighth eighth eighth] half."]),
        ("C4:2/3 C4:1/3 C4:3", ["[quarter eighth] half."]),
        ("C4:2/3 C4:2/3 C4:2/3 C4:2", ["[quarter quarter quarter] half"]),
        ("C4:0.5 C4:1/6 r:1/6 C4:1/6 C4:3", ["[eighth. 16th r16th 16th] half."]),
        ("C4:0.2 C4:0.2 C4:0.2 C4:0.4 C4:3", ["[16th 16th 16th eighth] half."]),
        ("r:2/3 C4:4/3 C4:2", ["[rquarter half] half"]),
        ("marks: |: @2 :|\nC4:4 C4:4", ["half~", "half", "whole"]),
    ],
)
def test_lengths_are_written_with_the_fewest_signs_that_show_the_beat(text: str, expected: list[str]) -> None:
    assert written(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("C4:0.5 C4:0.5 C4:0.5 C4:0.5 C4 C4", "( ) ( ) - -"),
        ("metre: 6/8\nC4:0.5 C4:0.5 C4:0.5 C4:0.5 C4:0.5 C4:0.5", "( + ) ( + )"),
        ("metre: 5/8\nC4:0.5 C4:0.5 C4:0.5 C4:0.5 C4:0.5", "( + ) ( )"),
        ("metre: 3/2\nC4:0.5 C4:0.5 C4:0.5 C4:0.5 C4:4", "( + + ) -"),
        ("C4:0.5 r:0.5 C4:0.75 C4:0.25 C4:2", "- - ( ) -"),
        ("C4:0.25 C4:0.5 C4:0.25 C4:1/3 C4:1/3 C4:1/3 C4:2", "( + ) ( + ) -"),
    ],
)
def test_beams_stay_within_a_beat(text: str, expected: str) -> None:
    signs = {"start": "(", "continue": "+", "stop": ")", "-": "-"}
    assert " ".join(signs[beam] for beam in beams(text)) == expected


def test_a_short_note_beside_a_longer_one_has_a_stub_of_a_beam() -> None:
    found = [(beam.get("number"), beam.text) for beam in root_of("C4:0.75 C4:0.25 C4:3").findall(".//beam")]
    assert found == [("1", "begin"), ("1", "end"), ("2", "backward hook")]


def test_triplets_are_tuplets_in_the_file() -> None:
    root = root_of("C4:1/3 D4:1/3 E4:1/3 C4:3")
    assert texts(root, "actual-notes") == ["3", "3", "3"] and texts(root, "normal-notes") == ["2", "2", "2"]
    assert [tuplet.get("type") for tuplet in root.findall(".//tuplet")] == ["start", "stop"]


def test_repeats_and_endings_become_barlines_and_brackets() -> None:
    root = root_of("marks: |: @4 [1 @8 :| @8 [2 @12 ||\nC4:4 D4:4 E4:4 F4:4")
    found = []
    for measure in root.findall(".//measure"):
        for line in measure.findall("barline"):
            ending, repeat = line.find("ending"), line.find("repeat")
            sign = f"[{ending.get('number')} {ending.get('type')}" if ending is not None else ""
            found.append((measure.get("number"), line.get("location"), sign,
                          repeat.get("direction") if repeat is not None else line.findtext("bar-style")))  # fmt: skip
    assert found == [
        ("1", "left", "", "forward"),
        ("2", "left", "[1 start", None),
        ("2", "right", "[1 stop", "backward"),
        ("3", "left", "[2 start", None),
        ("3", "right", "[2 stop", "light-light"),
        ("4", "right", "", "light-heavy"),
    ]


def test_a_repeat_within_a_bar_divides_it() -> None:
    measures = root_of("metre: 3/4\npickup: 1\nmarks: @3 :| @3 |:\nC4 D4:2 E4 F4:3 G4:2").findall(".//measure")
    numbers = [(measure.get("number"), measure.get("implicit")) for measure in measures]
    assert numbers == [("0", "yes"), ("1", "no"), ("1", "yes"), ("2", "no"), ("3", "no")]
    assert measures[1].find("barline/repeat") is not None and measures[2].find("barline/repeat") is not None


def test_overlapping_notes_share_a_staff_as_chords_and_voices() -> None:
    text = "Piano (program 0): C4+E4+G4:2 @0 C5 D5 E5:2"
    root = root_of(text)
    assert len(root.findall("part")) == 1 and len(root.findall(".//chord")) == 2
    assert {note.findtext("voice") for note in root.findall(".//note")} == {"1", "2"}
    assert notes_in(write_musicxml(parse(text))) == notes_of(parse(text))


def test_of_more_voices_than_a_staff_takes_every_note_still_begins() -> None:
    late = [Note(240 * place, 1920, 60 + place) for place in range(12)]
    together = [Note(0, 300 + 60 * place, 40 + place) for place in range(6)]
    piece = Piece((Part(tuple(sorted([*late, *together]))),))
    found = notes_in(write_musicxml(piece))
    assert sorted((note[0], note[2]) for note in found) == sorted((note[0], note[2]) for note in notes_of(piece))


def test_times_off_every_grid_move_to_the_nearest_64th() -> None:
    piece = Piece((Part((Note(3, 471, 60), Note(481, 7, 62), Note(958, 963, 64))),))
    assert notes_in(write_musicxml(piece)) == [(0, 480, 60), (480, 30, 62), (960, 960, 64)]


@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 3000), st.integers(0, 127)), min_size=1, max_size=12))
@settings(max_examples=15)
def test_a_performance_at_any_times_can_be_written(played: list[Played]) -> None:
    piece = Piece(
        (Part(tuple(sorted(Note(*note) for note in played))),), (Metre(0, 3, 4), Metre(1447, 5, 8)), pickup=77
    )
    assert {pitch for _, _, pitch in notes_in(write_musicxml(piece))} == {pitch for _, _, pitch in played}


def test_low_parts_have_a_bass_clef_and_drums_none() -> None:
    root = root_of("Low (program 42): C2 D2\nHigh (program 73): C5 D5\nKit (drums): 36+42 38 36:2")
    assert texts(root, "clef/sign") == ["F", "G", "percussion"]
    assert texts(root, "midi-program") == ["43", "74"] and texts(root, "midi-channel") == ["1", "2", "10"]
    assert len(root.findall("part[3]//unpitched")) == 4 and root.find("part[3]//pitch") is None


def test_a_part_that_is_silent_has_rests() -> None:
    root = root_of("A: C4 D4 E4 F4 G4:4\nB: r:4 C4:4")
    rests = root.findall("part[2]/measure/note/rest")
    assert [rest.get("measure") for rest in rests] == ["yes"]


def test_metres_that_change_are_written() -> None:
    root = root_of("metre: 3/4 @6 4/4\nC4:3 D4:3 E4:4")
    assert texts(root, "beats") == ["3", "4"]
    assert len(root.findall(".//measure")) == 3


def test_more_parts_than_midi_channels_are_written_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    piece = Piece(tuple(Part((Note(0, 480, 60),), program=place) for place in range(40)))
    root = ElementTree.fromstring(write_musicxml(piece))
    assert len({part.get("id") for part in root.findall("part")}) == 40
    assert capfd.readouterr() == ("", "")


def test_names_that_xml_cannot_hold_are_cleaned() -> None:
    piece = Piece((Part((Note(0, 480, 60),), "a\0<b>\ud800&"),), title="\x1b[0m\n x")
    root = ElementTree.fromstring(write_musicxml(piece))
    assert texts(root, "part-name") == ["a<b>&"] and texts(root, "movement-title") == ["[0m x"]


def test_a_piece_without_notes_is_an_error() -> None:
    with pytest.raises(DataError, match="no notes"):
        write_musicxml(Piece((Part(()),)))
