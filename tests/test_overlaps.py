"""How much of a sample is copied, in words that fit on a line and in plain data."""

from __future__ import annotations

import dataclasses

import pytest

from seqgen.overlaps import SHOWN, Ordinary, Originality, Place, Run, percent, shorten, summary

PLACE = Place(12, "poems/a.txt", details={"line": 12, "offset": 300})


def overlap(length: int, share: float | None = 0.02, ordinary: bool = True) -> Originality:
    known = Ordinary(200, 500, 31.2, 58, {20: 0.05, 50: None}) if ordinary else None
    run = Run(length, ("xy" * length)[:length], {"start": 5}, PLACE, 1) if length else None
    return Originality("character", "run", "text", 500, run, {20: share, 50: 0.0}, known)


def test_it_is_told_in_two_lines_beside_held_out_text() -> None:
    assert overlap(43).words() == [
        f"longest run that stands in the training text: 43 characters, \u201c{'xy' * 21}x\u201d, poems/a.txt line 12; "
        "held-out text: 31 on average, 58 at most",
        "2 % of its runs of 20 characters stand there; held-out text: 5 %",
    ]


def test_what_is_not_known_is_not_told() -> None:
    first, second = overlap(1, share=None, ordinary=False).words()
    assert first == "longest run that stands in the training text: 1 character, \u201cx\u201d, poems/a.txt line 12"
    assert second == "0 % of its runs of 50 characters stand there"
    assert overlap(0).words() == ["nothing of it stands in the training text"]
    assert (
        overlap(500).words()[0].startswith("longest run that stands in the training text: 500 characters, all of it, ")
    )


@pytest.mark.parametrize(
    ("places", "words"), [(1, "line 12"), (2, "and another place"), (1001, "and 1,000 more places")]
)
def test_how_often_a_passage_stands_there_is_told(places: int, words: str) -> None:
    assert str(Run(3, "abc", {}, PLACE, places)).endswith(words)


def test_a_place_without_a_file_is_a_document() -> None:
    assert str(Place(7)) == "document 7"
    assert str(Place(7, "a.abc", "Tune", {"part": 1, "bar": 0})) == "\u201cTune\u201d, a.abc, bar 0"
    assert len(str(Place(7, "long/" * 50))) <= SHOWN


def test_a_passage_fits_on_a_line() -> None:
    assert shorten("a\nb\tc") == "a\\nb\\tc"
    assert len(shorten("word\n" * 1000)) <= SHOWN + 3


@pytest.mark.parametrize(
    ("share", "words"), [(None, "none"), (0.0, "0 %"), (0.001, "under 1 %"), (0.02, "2 %"), (1.0, "100 %")]
)
def test_a_share_is_told_in_percent(share: float | None, words: str) -> None:
    assert percent(share) == words


def test_many_samples_are_told_in_a_line() -> None:
    assert summary([overlap(10), overlap(43), overlap(0)]) == (
        "3 samples: the longest run has 18 characters on average, 43 at most (sample 2); held-out text: 31 on average, 58 at most"
    )


def test_plain_data_has_all_of_it() -> None:
    assert overlap(2).to_dict() == {
        "unit": "character",
        "length": 500,
        "is_document": False,
        "longest": {"length": 2, "text": "xy", "start": 5, "places": 1, "source": PLACE.to_dict()},
        "shares": {"20": 0.02, "50": 0.0},
        "held_out": {"stretches": 200, "length": 500, "mean": 31.2, "longest": 58, "shares": {"20": 0.05, "50": None}},
    }


def test_a_character_that_is_repeated_is_counted() -> None:
    assert shorten(" " * 46) == "46 times ' '"
    assert shorten("xx") == "xx"


def test_a_sample_that_is_a_document_is_told_as_one() -> None:
    whole = dataclasses.replace(overlap(500), is_document=True)
    assert "all of it, and a training document as a whole" in whole.words()[0]
    assert whole.to_dict()["is_document"] is True and overlap(500).to_dict()["is_document"] is False
