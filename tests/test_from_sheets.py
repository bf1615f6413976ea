"""MusicXML, ABC, kern and tinynotation as pieces."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import music21
import pytest

from seqgen.errors import DataError
from seqgen.scores import music_xml, notation
from seqgen.scores.from_sheets import read_sheet, read_tinynotation
from seqgen.scores.piece import TICKS, Key, Mark, Metre, Note, Part, Piece

BACH = Path(music21.__file__).parent / "corpus" / "bach"
SCORE = "<score-partwise><part-list>{parts}</part-list>{music}</score-partwise>"


def xml(*parts: str) -> bytes:
    """A score of these parts, each given as its measures."""
    listed = "".join(f'<score-part id="P{n}"><part-name>Voice {n}</part-name></score-part>' for n in range(len(parts)))
    music = "".join(f'<part id="P{number}">{measures}</part>' for number, measures in enumerate(parts))
    return SCORE.format(parts=listed, music=music).encode()


def measure(number: int, *items: str, start: str = "", key: str = "", beats: int = 4) -> str:
    attributes = f"<divisions>2</divisions>{key}<time><beats>{beats}</beats><beat-type>4</beat-type></time>{start}"
    return f'<measure number="{number}"><attributes>{attributes}</attributes>{"".join(items)}</measure>'


def note(name: str, duration: int = 2, more: str = "", voice: int = 1, chord: bool = False) -> str:
    pitch = f"<pitch><step>{name[0]}</step><octave>{name[1]}</octave></pitch>"
    tie = "".join(f'<tie type="{kind}"/>' for kind in ("stop", "start") if kind in more)
    marks = "<fermata/>" if "fermata" in more else ""
    length = "" if "grace" in more else f"<duration>{duration}</duration>"
    first = ("<grace/>" if "grace" in more else "") + ("<chord/>" if chord else "")
    return f"<note>{first}{pitch}{length}{tie}<voice>{voice}</voice><notations>{marks}</notations></note>"


def read_xml(data: bytes) -> Piece:
    pieces, skipped = read_sheet(data, ".musicxml")
    assert not skipped
    return pieces[0]


def read_abc(text: str) -> Piece:
    return read_sheet(text.encode(), ".abc")[0][0]


def items(part: Part) -> str:
    return notation.write(Piece((part,)), barlines=False).partition(": ")[2].strip()


def refusal(data: bytes, suffix: str = ".musicxml") -> str:
    with pytest.raises(DataError) as caught:
        read_sheet(data, suffix)
    return caught.value.what


def zipped(**files: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("_", "."), data)
    return held.getvalue()


ONE = measure(1, note("C4", 8))


def test_parts_stand_in_the_order_of_the_score_with_their_names() -> None:
    piece = read_xml(xml(ONE, measure(1, note("G3", 4), note("A3", 4))))
    assert [(part.name, items(part)) for part in piece.parts] == [("Voice 0", "C4:4"), ("Voice 1", "G3:2 A3:2")]
    assert piece.metres == (Metre(0, 4, 4),)


def test_tied_notes_are_one_also_in_a_chord_and_over_a_barline() -> None:
    first = measure(1, note("E4", 6), note("C4", 2, "start"), note("G4", 2, chord=True))
    second = measure(2, note("C4", 4, "stop start"), note("C4", 4, "stop fermata"))
    assert items(read_xml(xml(first + second)).parts[0]) == "E4:3 C4:5^ @3 G4"


def test_a_repeated_note_is_not_a_tied_one() -> None:
    assert items(read_xml(xml(measure(1, note("C4", 4), note("C4", 4)))).parts[0]) == "C4:2 C4:2"


def test_grace_notes_and_chord_symbols_are_dropped_and_chords_are_not() -> None:
    symbol = "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>"
    piece = read_xml(xml(measure(1, symbol, note("D4", 0, "grace"), note("C4", 8), note("E4", 8, chord=True))))
    assert items(piece.parts[0]) == "C4+E4:4"


def test_voices_that_sound_together_become_parts_and_others_stay_one() -> None:
    back = "<backup><duration>8</duration></backup>"
    together = xml(measure(1, note("E4", 8), back, note("C4", 4, voice=2), note("D4", 4, voice=2)))
    assert [(part.name, items(part)) for part in read_xml(together).parts] == [
        ("Voice 0 1", "E4:4"),
        ("Voice 0 2", "C4:2 D4:2"),
    ]
    rest = "<note><rest/><duration>4</duration><voice>2</voice></note>"
    in_turn = xml(measure(1, note("E4", 4), back, rest, note("C4", 4, voice=2)))
    assert [items(part) for part in read_xml(in_turn).parts] == ["E4:2 C4:2"]


def test_a_transposing_instrument_is_read_as_it_sounds() -> None:
    horn = "<transpose><diatonic>-4</diatonic><chromatic>-7</chromatic></transpose>"
    assert items(read_xml(xml(measure(1, note("C5", 8), start=horn))).parts[0]) == "F4:4"


@pytest.mark.parametrize(
    ("mode", "bass", "expected"),
    [
        ("", "G3", Key(0, 7, False)),
        ("", "E3", Key(0, 4, True)),
        ("<mode>major</mode>", "E3", Key(0, 4, True)),  # as many editors write it for E minor
        ("<mode>major</mode>", "B3", Key(0, 7, False)),
        ("<mode>minor</mode>", "G3", Key(0, 4, True)),
        ("<mode>dorian</mode>", "G3", Key(0, 9, True)),
    ],
)
def test_the_key_is_as_stated_or_else_follows_from_the_last_bass_note(mode: str, bass: str, expected: Key) -> None:
    key = f"<key><fifths>1</fifths>{mode}</key>"
    assert read_xml(xml(measure(1, note(bass, 8), key=key))).keys == (expected,)


def test_a_short_first_measure_is_an_upbeat() -> None:
    piece = read_xml(xml(measure(0, note("G4", 2)) + measure(1, note("C5", 8))))
    assert piece.pickup == TICKS
    assert list(piece.bars()) == [(0, TICKS), (TICKS, 5 * TICKS)]


def test_repeats_and_endings_are_marks_and_are_not_played() -> None:
    start = '<barline location="left"><repeat direction="forward"/></barline>'
    first = '<barline location="left"><ending number="1" type="start"/></barline>'
    back = '<barline location="right"><ending number="1" type="stop"/><repeat direction="backward"/></barline>'
    second = '<barline location="left"><ending number="2" type="start"/></barline>'
    stop = '<barline location="right"><ending number="2" type="discontinue"/></barline>'
    whole = note("C4", 8)
    piece = read_xml(
        xml(
            measure(1, start, whole)
            + measure(2, first, whole, back)
            + measure(3, second, whole, stop)
            + measure(4, whole)
        )
    )
    bar = 4 * TICKS
    assert piece.marks == (Mark(0, "|:"), Mark(bar, "[1"), Mark(2 * bar, ":|"), Mark(2 * bar, "[2"))
    assert piece.end == 4 * bar


def test_bars_go_on_from_a_short_ending_and_a_bar_cut_by_a_repeat_does_not_move_them() -> None:
    ended = read_abc("X:1\nM:3/4\nL:1/4\nK:C\nC|:DEF|1 GA:|2 GAB|cde|]")
    assert ended.metres == (Metre(0, 3, 4), Metre(6 * TICKS, 3, 4))
    cut = read_abc("X:1\nM:3/4\nL:1/4\nK:C\nC|DEF|GA:|B|cde|fga|]")
    assert cut.metres == (Metre(0, 3, 4),)
    assert cut.pickup == ended.pickup == TICKS


def test_an_abc_tune_is_read_with_title_key_tempo_and_marks() -> None:
    piece = read_abc('X:1\nT:The Long Way\nM:6/8\nL:1/8\nQ:3/8=80\nK:Ador\n|:"Am"A2B c{d}e^c|1 A6:|2 (3ABc A4|]\n')
    assert (piece.title, piece.keys, piece.metres) == ("The Long Way", (Key(0, 9, True),), (Metre(0, 6, 8),))
    assert [tempo.bpm for tempo in piece.tempos] == [120.0]
    assert items(piece.parts[0]) == "A4 B4:0.5 C5:0.5 E5:0.5 C#5:0.5 A4:3 A4:1/3 B4:1/3 C5:1/3 A4:2"
    assert piece.marks == (Mark(0, "|:"), Mark(3 * TICKS, "[1"), Mark(6 * TICKS, ":|"), Mark(6 * TICKS, "[2"))


def test_each_tune_of_a_file_is_a_piece_and_one_that_cannot_be_read_is_named() -> None:
    tunes = "%abc\n\nX:1\nT:One\nL:1/4\nK:C\nCDEF|\n\nX:2\nT:Bad\nno key\n\nX:3\nT:Three\nL:1/4\nK:G\nGABc|\n"
    pieces, skipped = read_sheet(tunes.encode(), ".abc")
    assert [piece.title for piece in pieces] == ["One", "Three"]
    assert len(skipped) == 1 and skipped[0].startswith("X:2 (Bad): no K: field")


def test_an_abc_length_no_piece_has_is_refused_before_it_is_built() -> None:
    assert "13 digits" in refusal(b"X:1\nL:1/4\nK:C\nC1000000000000|", ".abc")


def test_a_metre_that_would_take_hours_is_refused_at_once() -> None:
    assert refusal(xml(measure(1, note("C4", 8), beats=65536))) == "a metre of 65536 beats"
    assert refusal(b"**kern\n*M65536/2\n4c\n*-\n", ".krn") == "a metre of 65536 beats"
    assert refusal(b"X:1\nM:6553/4\nL:1/4\nK:C\nC|", ".abc") == "a metre of 6553 beats"
    assert refusal(b"X:1\nM:4/4\nL:255/8\nK:C\nC|", ".abc") == "a unit of 255/8 whole notes (L:)"


def test_old_letters_and_line_ends_are_read() -> None:
    piece = read_abc("X:1\r\nT:Caf\u00e9\r\nL:1/4\r\nK:C\r\nCDEF|\r\n")
    assert piece.title == "Caf\u00e9"
    assert read_sheet("X:1\rT:Caf\u00e9\rL:1/4\rK:C\rCDEF|\r".encode("latin-1"), ".abc")[0][0] == piece


def test_kern_is_read_from_the_highest_part_down() -> None:
    kern = "**kern\t**kern\n*M3/4\t*M3/4\n*G:\t*G:\n4G\t4d\n=1\t=1\n4.D;\t[4f#\n.\t4f#]\n8E\t.\n4D\t8a 8cc\n.\t8r\n*-\t*-\n"
    pieces, _ = read_sheet(kern.encode(), ".krn")
    assert [items(part) for part in pieces[0].parts] == ["D4 F#4:2 A4+C5:0.5", "G3 D3:1.5^ E3:0.5 D3"]
    assert (pieces[0].keys, pieces[0].pickup) == ((Key(0, 7, False),), TICKS)


def test_tinynotation_is_read_and_mistakes_in_it_are_named() -> None:
    piece = read_tinynotation("tinyNotation: 3/4 c4 d8 e~ e4 trip{f8 g a} BB-4")
    assert items(piece.parts[0]) == "C4 D4:0.5 E4:1.5 F4:1/3 G4:1/3 A4:1/3 Bb2"
    assert piece.metres == (Metre(0, 3, 4),)
    with pytest.raises(DataError, match="h4"):
        read_tinynotation("4/4 c4 h4")
    with pytest.raises(DataError, match="no notes"):
        read_tinynotation("4/4")


def test_a_chorale_has_the_notes_that_music21_itself_finds() -> None:
    data = (BACH / "bwv26.6.mxl").read_bytes()
    piece = read_sheet(data, ".mxl")[0][0]
    score: Any = music21.converter.parseData(music_xml.unpack(data).decode(), format="musicxml")
    expected = {
        (round(element.offset * TICKS), round(element.quarterLength * TICKS), pitch.midi)
        for part in score.stripTies().parts
        for element in part.flatten().notes
        for pitch in element.pitches
    }
    assert {(note.start, note.duration, note.pitch) for part in piece.parts for note in part.notes} == expected
    assert [part.name for part in piece.parts] == ["Soprano", "Alto", "Tenor", "Bass"]
    assert all(part.is_voice() for part in piece.parts)
    assert piece.parts[0].notes[3] == Note(3 * TICKS, TICKS, 72, 0, True)


def test_xml_that_is_no_score_says_what_it_is() -> None:
    assert "its root is <html>" in refusal(b"<html><body/></html>", ".xml")
    assert "score-timewise" in refusal(b"<score-timewise/>", ".xml")
    assert refusal(xml(ONE)[:-30]).startswith("damaged XML")
    assert refusal(xml(measure(1))) == "no notes in it"
    assert refusal(b" \n") == "an empty file"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused_in_every_encoding_and_files_are_not_fetched(encoding: str) -> None:
    declared = '<?xml version="1.0" encoding="{}"?><!DOCTYPE score-partwise [{}]>{}'
    bomb = '<!ENTITY a "ha"><!ENTITY b "&a;&a;">'
    outside = '<!ENTITY a SYSTEM "file:///etc/passwd">'
    for entities in (bomb, outside, '<!ENTITY % a SYSTEM "http://localhost/a.dtd"> %a;'):
        text = declared.format(encoding, entities, xml(ONE).decode().replace("Voice 0", "&a;"))
        assert "entities" in refusal(text.encode(encoding))
    usual = (
        '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 3.0 Partwise//EN" "http://localhost/partwise.dtd">'
    )
    assert read_xml(usual.encode() + xml(ONE)).notes == 1


def test_a_compressed_score_is_found_by_its_container_or_by_being_the_only_one() -> None:
    container = b'<container><rootfiles><rootfile full-path="b.xml"/></rootfiles></container>'
    other = xml(measure(1, note("D4", 8)))
    named = io.BytesIO(zipped(a_xml=other, b_xml=xml(ONE)))
    with zipfile.ZipFile(named, "a") as archive:
        archive.writestr("META-INF/container.xml", container)
    assert items(read_sheet(named.getvalue(), ".mxl")[0][0].parts[0]) == "C4:4"
    assert items(read_sheet(zipped(only_musicxml=other), ".mxl")[0][0].parts[0]) == "D4:4"


def test_a_damaged_or_exploding_archive_is_refused() -> None:
    whole = zipped(a_xml=xml(ONE))
    for damaged in (whole[:40], whole[:-10], b"PK", whole.replace(whole[40:50], bytes(10))):
        assert refusal(damaged, ".mxl").startswith("damaged .mxl")
    assert "without a score" in refusal(zipped(a_txt=b"hello"), ".mxl")
    assert "more than 64 MB" in refusal(zipped(a_xml=bytes(music_xml.LARGEST + 1)), ".mxl")


def test_too_many_notes_are_refused_before_they_are_built() -> None:
    many = xml(measure(1, note("C4") * 500_000))
    assert "500,000 notes" in refusal(many)


@pytest.mark.parametrize("metre", ["(3+2+2)/8", "3+2+2/8", "(3 + 4)/8"])
def test_a_metre_of_unequal_beats_is_their_sum(metre: str) -> None:
    piece = read_abc(f"X:1\nM:{metre}\nL:1/8\nK:C\nCDEFGAB|cBAGFED|")
    assert [(found.beats, found.unit) for found in piece.metres] == [(7, 8)]
