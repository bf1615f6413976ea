"""Which documents are the same or nearly so, and how much a text repeats itself."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.duplicates import STRETCH, Indices, Repetition, Sketcher, first_equal, repetition

BLOCK = 1 << 17
"""Characters that are looked at together; what is longer is taken piece by piece."""
choose = random.Random(7)
WORDS = ["".join(choose.choices("etaoinshrdlu", k=choose.randint(1, 9))) for _ in range(3000)]
FREQUENCIES = [1 / rank for rank in range(1, len(WORDS) + 1)]
Words = list[str]


def document(words: int) -> Words:
    """Words as frequent as those of a language: unrelated documents share many of them."""
    return choose.choices(WORDS, FREQUENCIES, k=words)


def sketched(texts: Sequence[str], many: int = 10_000) -> Sketcher:
    sketcher = Sketcher(many)
    for text in texts:
        sketcher.add(text)
    return sketcher


def groups(*texts: str) -> list[int]:
    return [int(number) for number in sketched(texts).groups()]


def share_grouped(numbers: Indices) -> float:
    """Documents that are not alone."""
    return float((np.bincount(numbers)[numbers] > 1).mean())


def with_other_words(words: Words) -> str:
    """One word in fifty."""
    words = list(words)
    for place in range(choose.randrange(min(50, len(words))), len(words), 50):
        words[place] = choose.choice(WORDS)
    return " ".join(words)


def with_a_header(words: Words) -> str:
    return f"Chapter {choose.choice(WORDS)}, by {choose.choice(WORDS)}\n\n{' '.join(words)}"


def without_a_paragraph(words: Words) -> str:
    """A twentieth is gone."""
    start = choose.randrange(len(words))
    return " ".join(words[:start] + words[start + len(words) // 20 :])


@pytest.mark.parametrize("change", [with_other_words, with_a_header, without_a_paragraph])
@pytest.mark.parametrize("words", [40, 150, 3500])
def test_a_document_and_its_edited_copy_are_one_group(change: Callable[[Words], str], words: int) -> None:
    documents = [document(words) for _ in range(200 if words < 1000 else 20)]
    found = sketched([*map(" ".join, documents), *map(change, documents)]).groups()
    originals, copies = found[: len(documents)], found[len(documents) :]
    assert originals.tolist() == list(range(len(documents)))
    assert (copies == originals).mean() > 0.99


@pytest.mark.parametrize("words", [20, 60, 400])
def test_documents_that_only_share_a_style_stay_apart(words: int) -> None:
    assert share_grouped(sketched([" ".join(document(words)) for _ in range(2000)]).groups()) < 0.001


def test_titles_that_share_most_of_their_words_are_different_documents() -> None:
    patterns = ["the history of the {} {}s", "a short introduction to {} and {}", "{} international airport of {}"]
    titles = {choose.choice(patterns).format(*choose.sample(WORDS, 2)) for _ in range(5000)}
    distinct = sorted(title for title in titles if 20 <= len(title) <= 60)
    assert len(distinct) > 4000
    assert share_grouped(sketched(distinct).groups()) < 0.01


def test_a_group_is_named_by_its_first_document() -> None:
    one, other = " ".join(document(100)), " ".join(document(100))
    assert groups("x", one, other, f"{one} and more", other, "x") == [0, 1, 2, 1, 2, 0]


def test_what_is_near_to_a_near_duplicate_belongs_to_its_group() -> None:
    words = document(400)
    steps = [" ".join(words[start : start + 200]) for start in range(0, 201, 10)]
    assert groups(steps[0], steps[-1]) == [0, 1]
    assert groups(*steps) == [0] * len(steps)


def test_equality_is_known_apart_from_nearness() -> None:
    one = " ".join(document(100))
    sketcher = sketched([one, f"{one} and more", one])
    assert sketcher.equal().tolist() == [0, 1, 0]
    assert sketcher.groups().tolist() == [0, 0, 0]


@pytest.mark.parametrize("text", ["a b", "Dear reader", "Çà et là \N{GREEK CAPITAL LETTER SIGMA}\N{CJK RADICAL SUN}"])
def test_white_space_and_case_make_no_difference(text: str) -> None:
    other = "\n\t" + text.upper().replace(" ", " \r\n\u3000") + "  "
    assert groups(text, other, text + ".") == [0, 0, 2]


@pytest.mark.parametrize(("one", "other"), [("", "a"), ("a", "b"), ("a", "aa"), ("ab c", "abc"), ("a\0", "a")])
def test_short_documents_are_grouped_only_if_they_are_equal(one: str, other: str) -> None:
    assert groups(one, other, one, other) == [0, 1, 0, 1]


@given(
    texts=st.lists(st.text("aB \n\0\ud800é", max_size=30), max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=4),
    size=st.integers(9, 100),
)
def test_pieces_and_blocks_make_no_difference(texts: list[str], cuts: list[int], size: int) -> None:
    """Whatever the pieces are, and wherever a block ends: in a word, between two spaces, at a document's end."""
    in_pieces = Sketcher()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqgen.duplicates._BLOCK", size)
        for text in texts:
            bounds = [0, *sorted(cuts), len(text)]
            for start, stop in itertools.pairwise(bounds):
                in_pieces.add(text[start:stop], last=False)
            in_pieces.add("")
        found = in_pieces.equal().tolist()
    folded = [" ".join(text.lower().split()) for text in texts]
    assert found == [folded.index(text) for text in folded]


def test_a_long_document_is_the_same_in_one_piece_or_in_many() -> None:
    words = document(BLOCK // 2)
    text = " ".join(words)
    assert len(text) > 2 * BLOCK
    sketcher = sketched([text, "between", with_other_words(words), text[: len(text) // 2]])
    for start in range(0, len(text), 999):
        sketcher.add(text[start : start + 999], last=False)
    sketcher.add("\n")
    assert sketcher.equal().tolist() == [0, 1, 2, 3, 0]
    assert sketcher.groups().tolist() == [0, 1, 0, 3, 0]


def test_the_sketch_of_a_document_does_not_depend_on_its_pieces() -> None:
    texts = [" ".join(document(60)) for _ in range(20)]
    whole, in_pieces = sketched([*texts, *(f"Once more: {text}" for text in texts)]), Sketcher()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqgen.duplicates._BLOCK", 100)
        for text in [*texts, *(f"Once more: {text}" for text in texts)]:
            in_pieces.add(text[:77], last=False)
            in_pieces.add(text[77:])
        found = in_pieces.groups().tolist()
    assert found == whole.groups().tolist() == [*range(20), *range(20)]


def test_after_many_documents_only_equal_ones_are_found() -> None:
    one, other = " ".join(document(100)), " ".join(document(100))
    texts = [one, other, f"{one} and more", other]
    assert sketched(texts, many=1).groups().tolist() == [0, 1, 2, 1]


def test_millions_of_documents_may_be_empty() -> None:
    assert not sketched([""] * 50_000).groups().any()


def test_no_documents_are_no_groups() -> None:
    assert groups() == []


def test_a_document_must_end_before_it_is_judged() -> None:
    sketcher = Sketcher()
    sketcher.add("a piece", last=False)
    with pytest.raises(ValueError, match="has not ended"):
        sketcher.groups()


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 20), max_size=200))
def test_the_first_of_equal_values_is_found(values: list[int]) -> None:
    assert first_equal(np.array(values, dtype=np.uint64)).tolist() == [values.index(value) for value in values]


def test_the_first_of_equal_values_is_found_among_many() -> None:
    values = np.random.default_rng(1).integers(0, 200_000, 300_000).astype(np.uint64) << np.uint64(40)
    _, first, places = np.unique(values, return_index=True, return_inverse=True)
    assert (first_equal(values) == first[places]).all()


def repeated_characters(text: str) -> int:
    """By the definition: in a stretch of 50 characters that began somewhere before."""
    seen: set[str] = set()
    repeated: set[int] = set()
    for start in range(len(text) - STRETCH + 1):
        window = text[start : start + STRETCH]
        if window in seen:
            repeated.update(range(start, start + STRETCH))
        seen.add(window)
    return len(repeated)


@given(st.lists(st.sampled_from(["a" * 30, "ab" * 20, "xyz" * 25, "q", "é\U0001f600" * 15, "\n"]), max_size=12))
def test_a_repeated_stretch_is_counted_where_it_occurs_again(parts: list[str]) -> None:
    text = "".join(parts)
    assert repetition(text).characters * len(text) == pytest.approx(repeated_characters(text))


def test_a_text_copied_once_repeats_half_of_itself() -> None:
    text = "\n".join(" ".join(document(10)) for _ in range(50)) + "\n"
    assert repetition(text) == Repetition(0.0, 0.0)
    assert repetition(text + text) == Repetition(0.5, 0.5)


def test_a_stretch_below_fifty_characters_is_no_repetition() -> None:
    stretch = " ".join(document(100))[: STRETCH - 1]
    assert repetition(f"1{stretch}2{stretch}3").characters == 0


def test_empty_lines_are_no_repeated_lines() -> None:
    assert repetition("one\n\n\n  \n \ntwo\n\none\n").lines == pytest.approx(1 / 3)


def test_a_text_without_anything_repeats_nothing() -> None:
    assert repetition("") == Repetition(0.0, 0.0)
