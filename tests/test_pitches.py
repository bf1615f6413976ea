"""Names of pitches and keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.errors import DataError
from seqgen.scores.piece import Key, Note
from seqgen.scores.pitches import (
    find_key,
    key_of_signature,
    name_key,
    name_pitch,
    parse_key,
    parse_pitch,
    sharps_of,
    spell,
)

KEYS = [Key(0, tonic, minor) for tonic in range(12) for minor in (False, True)]


@given(st.integers(0, 127), st.integers(-7, 7))
def test_a_pitch_is_read_as_it_is_named_in_any_key(pitch: int, sharps: int) -> None:
    assert parse_pitch(name_pitch(pitch, sharps)) == pitch == parse_pitch(str(pitch))


@pytest.mark.parametrize(
    ("text", "pitch"),
    [("C4", 60), ("c4", 60), ("F#3", 54), ("Gb3", 54), ("Bb5", 82), ("B#3", 60), ("Cb4", 59), ("Fx4", 67), ("F##4", 67),
     ("Ebb4", 62), ("C-1", 0), ("G9", 127), ("0", 0), ("127", 127), ("060", 60)],
)  # fmt: skip
def test_names_and_numbers_mean_pitches(text: str, pitch: int) -> None:
    assert parse_pitch(text) == pitch


@pytest.mark.parametrize(
    "text", ["", "H9", "C", "C10", "C#b4", "C4 ", "-1", "128", "G#9", "Cb-1", "C-2", "r", "6.0", "１", "1" * 5000]
)
def test_what_is_no_pitch_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        parse_pitch(text)


def test_a_pitch_out_of_range_is_told_with_its_number() -> None:
    with pytest.raises(DataError, match=r"G#9 is MIDI 128.*C-1 .*G9"):
        parse_pitch("G#9")


def test_the_key_decides_how_a_pitch_is_spelled() -> None:
    assert [name_pitch(pitch) for pitch in (60, 61, 63, 66, 68, 70)] == ["C4", "C#4", "Eb4", "F#4", "G#4", "Bb4"]
    assert name_pitch(61, -4) == "Db4"
    assert name_pitch(70, 3) == "A#4"
    assert name_pitch(60, 7) == "B#3"
    assert name_pitch(59, -7) == "Cb4"


@pytest.mark.parametrize("key", [key for key in KEYS if not key.minor])
def test_a_major_scale_has_each_letter_once(key: Key) -> None:
    scale = [spell((key.tonic + degree) % 12, sharps_of(key)) for degree in (0, 2, 4, 5, 7, 9, 11)]
    assert {letter for letter, _ in scale} == set("CDEFGAB")
    assert sum(alteration for _, alteration in scale) == sharps_of(key)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_read_as_it_is_named(key: Key) -> None:
    assert parse_key(name_key(key)) == key
    assert parse_key(name_key(key).lower().replace("minor", "min"), 7) == key._replace(start=7)


@pytest.mark.parametrize(
    ("text", "tonic", "minor"),
    [("D minor", 2, True), ("Dm", 2, True), ("dm", 2, True), ("Bb", 10, False), ("F#maj", 6, False), ("Cb", 11, False),
     (" eb  Major ", 3, False), ("b", 11, False), ("bb min", 10, True)],
)  # fmt: skip
def test_a_key_may_be_written_in_many_ways(text: str, tonic: int, minor: bool) -> None:
    assert parse_key(text) == Key(0, tonic, minor)


@pytest.mark.parametrize("text", ["", "H minor", "D dorian", "C##", "major", "1", "G major minor"])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="is not a key"):
        parse_key(text)


def test_keys_have_their_usual_signatures() -> None:
    usual = {"C major": 0, "G major": 1, "F major": -1, "A minor": 0, "E minor": 1, "D minor": -1, "Eb major": -3,
             "C# minor": 4, "Bb minor": -5, "B major": 5, "F# minor": 3}  # fmt: skip
    assert {name: sharps_of(parse_key(name)) for name in usual} == usual
    assert all(-6 <= sharps_of(key) <= 6 for key in KEYS)
    assert [name_key(Key(0, tonic, minor)) for tonic, minor in ((3, True), (6, False), (8, True))] == [
        "Eb minor", "F# major", "G# minor",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sharps", "last", "name"),
    [(0, 0, "C major"), (0, 9, "A minor"), (0, 4, "A minor"), (0, 2, "D minor"), (1, 7, "G major"), (-2, 7, "G minor"),
     (-2, 2, "G minor"), (-2, 0, "C minor"), (3, 4, "A major")],
)  # fmt: skip
def test_the_last_bass_note_decides_between_the_keys_of_a_signature(sharps: int, last: int, name: str) -> None:
    assert name_key(key_of_signature(sharps, last)) == name


@given(st.integers(0, 11), st.booleans())
def test_the_key_of_a_scale_on_its_tonic_is_found(tonic: int, minor: bool) -> None:
    scale = (0, 2, 3, 5, 7, 8, 11, 12) if minor else (0, 2, 4, 5, 7, 9, 11, 12)
    notes = [Note(0, 960 if degree in (0, 7, 12) else 240, 48 + tonic + degree) for degree in scale]
    assert find_key(notes) == Key(0, tonic, minor)


def test_notes_without_a_duration_have_no_key() -> None:
    assert find_key([]) is None
    assert find_key([Note(0, 0, 60)]) is None


def test_all_pitches_alike_have_some_key() -> None:
    assert find_key([Note(0, 480, pitch) for pitch in range(12)]) in KEYS
