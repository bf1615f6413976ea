"""Names of pitches and keys: C4 is MIDI 60. How a pitch is spelled follows the key."""

from __future__ import annotations

import re
from collections.abc import Iterable

from seqgen.errors import DataError
from seqgen.scores.piece import HIGHEST, LOWEST, Key, Note

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
FIFTHS = "FCGDAEB"
"""The letters as a line of fifths: F is one fifth below C."""
HOW = "C4 is MIDI 60; numbers work, too"
_PITCH = re.compile(r"([A-Ga-g])(#{1,2}|b{1,2}|x)?(-?\d)")
_KEY = re.compile(r"([A-Ga-g])(#|b)?\s*(m|maj|min|major|minor)?", re.IGNORECASE)
_ACCIDENTALS = {"": 0, "#": 1, "##": 2, "x": 2, "b": -1, "bb": -2}
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""How well each degree fits a key: the profiles of Krumhansl and Kessler 1982."""


def parse_pitch(text: str) -> int:
    """The MIDI number of a pitch: `C4`, `F#3`, `Bb5` or `60`.

    Raises:
        DataError: it names none, or one out of MIDI's range.
    """
    if re.fullmatch("[0-9]{1,9}", text):
        pitch = int(text)
    elif match := _PITCH.fullmatch(text):
        letter, accidental, octave = match.groups()
        pitch = 12 * (int(octave) + 1) + LETTERS[letter.upper()] + _ACCIDENTALS[accidental or ""]
    else:
        raise DataError(f"{text!r} is not a pitch", hint=f"Write C4, F#3, Bb5 or a MIDI number ({HOW}).")
    if not LOWEST <= pitch <= HIGHEST:
        raise DataError(
            f"pitch {text} is MIDI {pitch}, out of the range from {name_pitch(LOWEST)} (0) to {name_pitch(HIGHEST)} (127)"
        )
    return pitch


def name_pitch(pitch: int, sharps: int = 0) -> str:
    """The name of a MIDI pitch as a key with so many sharps (flats below 0) spells it: 60 is `C4`."""
    letter, alteration = spell(pitch % 12, sharps)
    octave = (pitch - alteration) // 12 - 1
    return f"{letter}{'#' * alteration}{'b' * -alteration}{octave}"


def spell(pitch_class: int, sharps: int) -> tuple[str, int]:
    """Letter and alteration (1 is a sharp) of a pitch class in a key: the spelling nearest to it on the line of fifths."""
    center = sharps + 2  # the middle of the scale: D in C major
    # A fifth up is 7 semitones, so 7 * pitch_class is the place on the line, up to multiples of 12.
    place = 7 * pitch_class % 12
    place += 12 * round((center - place) / 12)
    if place - center == -6:  # two ways as far: the raised one is the leading tone of the minor key
        place += 12
    return FIFTHS[(place + 1) % 7], (place + 1) // 7


def sharps_of(key: Key) -> int:
    """The signature of a key: how many sharps, or flats below 0; from -6 to 6 where it can be spelled two ways."""
    place = 7 * key.tonic % 12 - (3 if key.minor else 0)
    place = (place + 5) % 12 - 5  # -5 to 6
    return place - 12 if key.minor and place == 6 else place  # E flat minor rather than D sharp minor


def name_key(key: Key) -> str:
    """Its name: `G major`, `F# minor`."""
    letter, alteration = spell(key.tonic, sharps_of(key))
    return f"{letter}{'#' * alteration}{'b' * -alteration} {'minor' if key.minor else 'major'}"


def parse_key(text: str, start: int = 0) -> Key:
    """A key by its name: `D minor`, `Dm`, `Bb`.

    Raises:
        DataError: it names none.
    """
    match = _KEY.fullmatch(text.strip())
    if not match:
        raise DataError(f"{text!r} is not a key", hint='Write it as "G major", "F# minor" or "Bb".')
    letter, accidental, mode = match.groups()
    tonic = (LETTERS[letter.upper()] + _ACCIDENTALS[(accidental or "").lower()]) % 12
    return Key(start, tonic, mode == "m" or (mode or "").lower().startswith("min"))


def key_of_signature(sharps: int, last_bass: int) -> Key:
    """The key of a piece by its signature and the pitch class of its last bass note.

    Old minor keys are often written with a flat fewer, as the Dorian mode; such a piece counts as minor on its last note.
    """
    tonic = 7 * sharps % 12
    degree = (last_bass - tonic) % 12
    if degree in (9, 4):  # 4: a half cadence in the relative minor
        return Key(0, (tonic + 9) % 12, True)
    return Key(0, last_bass, True) if degree == 2 else Key(0, tonic, False)


def find_key(notes: Iterable[Note]) -> Key | None:
    """The key that the notes, weighted by their durations, fit best (Krumhansl 1990); None where there are none."""
    weights = [0.0] * 12
    for note in notes:
        weights[note.pitch % 12] += note.duration
    if not any(weights):
        return None
    candidates = [Key(0, tonic, minor) for minor in (False, True) for tonic in range(12)]
    return max(candidates, key=lambda key: _correlation(weights[key.tonic :] + weights[: key.tonic], key.minor))


def _correlation(weights: list[float], minor: bool) -> float:
    profile = _MINOR if minor else _MAJOR
    mean, expected = sum(weights) / 12, sum(profile) / 12
    covariance = sum((weight - mean) * (value - expected) for weight, value in zip(weights, profile, strict=True))
    norm = sum((value - expected) ** 2 for value in profile) * sum((weight - mean) ** 2 for weight in weights)
    return covariance / norm**0.5 if norm else 0.0
