"""Which part of which document is for training, and which is kept apart."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.splits import MANY_DOCUMENTS, SPLITS, Measured, Plan, plan_split


class Piece(NamedTuple):
    """A stretch of one document, in characters, and its split."""

    document: int
    split: str
    start: int
    stop: int


Shares = tuple[float, float, float]
USUAL: Shares = (0.9, 0.05, 0.05)
SHARES = st.sampled_from(
    [USUAL, (0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.8, 0.2, 0.0), (0.9, 0.0, 0.1), (1.0, 0.0, 0.0), (0.1, 0.1, 0.8)]
)
FEW = st.lists(st.text("abc", min_size=1, max_size=12), min_size=1, max_size=MANY_DOCUMENTS - 1)


@st.composite
def many(draw: st.DrawFn) -> list[str]:
    """Documents of all sizes in any order, some of them copied a few times and one perhaps very often."""
    count, seed = draw(st.integers(MANY_DOCUMENTS, 400)), draw(st.integers(0, 10**6))
    longest, often = draw(st.integers(1, 40)), draw(st.sampled_from([0, 1, 30, 300]))
    generator = random.Random(seed)
    texts = [f"{index} " * generator.randint(1, longest) for index in range(count)]
    texts += generator.choices(texts, k=count // 5) + [texts[0]] * often
    generator.shuffle(texts)
    return texts


def measure(texts: list[str], groups: list[int] | None = None) -> Measured:
    """Without groups, equal texts are one."""
    digests = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) for text in texts]
    numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    return Measured(
        np.array([len(text) for text in texts], dtype=np.int64),
        np.array(digests, dtype=np.uint64),
        np.array([numbers[text] for text in texts] if groups is None else groups, dtype=np.int64),
    )


def plan(texts: list[str], shares: Shares = USUAL, groups: list[int] | None = None) -> tuple[list[Piece], str]:
    """All pieces of all texts, in order, and how that was decided."""
    decided = plan_split(measure(texts, groups), shares)
    pieces = [Piece(index, *part) for index, text in enumerate(texts) for part in decided.cut(index, len(text))]
    return pieces, decided.by


def parts(texts: list[str], shares: Shares = USUAL, groups: list[int] | None = None) -> dict[str, list[str]]:
    """The texts of each split."""
    result: dict[str, list[str]] = {name: [] for name in SPLITS}
    for piece in plan(texts, shares, groups)[0]:
        result[piece.split].append(texts[piece.document][piece.start : piece.stop])
    return result


@given(texts=FEW | many(), shares=SHARES)
def test_every_character_is_in_exactly_one_split(texts: list[str], shares: Shares) -> None:
    seen = Counter((piece.document, at) for piece in plan(texts, shares)[0] for at in range(piece.start, piece.stop))
    assert set(seen.values()) == {1}
    assert set(seen) == {(index, at) for index, text in enumerate(texts) for at in range(len(text))}


@given(texts=FEW | many(), shares=SHARES)
def test_pieces_come_in_the_order_of_the_text_and_none_is_empty(texts: list[str], shares: Shares) -> None:
    pieces = plan(texts, shares)[0]
    assert [(piece.document, piece.start) for piece in pieces] == sorted(
        (piece.document, piece.start) for piece in pieces
    )
    assert all(piece.start < piece.stop for piece in pieces)


@given(texts=many(), shares=SHARES)
def test_equal_documents_are_never_on_both_sides(texts: list[str], shares: Shares) -> None:
    pieces, how = plan(texts, shares)
    if how == "document":
        sides = parts(texts, shares)
        for name, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
            assert not set(sides[name]) & set(sides[other])
    else:  # the same text is cut at the same places
        cuts: dict[str, set[tuple[int, str]]] = {}
        for index, text in enumerate(texts):
            mine = {(piece.start, piece.split) for piece in pieces if piece.document == index}
            assert cuts.setdefault(text, mine) == mine


@given(texts=many(), shares=SHARES, seed=st.integers(0, 100), kinds=st.integers(1, 500))
def test_near_duplicates_are_never_on_both_sides(texts: list[str], shares: Shares, seed: int, kinds: int) -> None:
    generator = random.Random(seed)
    groups = [generator.randrange(kinds) for _ in texts]
    decided = plan_split(measure(texts, groups), shares)
    if decided.where is None:
        assert decided.by == "position"
    else:
        assert len({(group, int(split)) for group, split in zip(groups, decided.where, strict=True)}) == len(
            set(groups)
        )


def test_near_duplicates_are_held_out_together() -> None:
    texts = [f"draft {index % 3} of letter {index // 3}" for index in range(600)]
    sides = parts(texts, groups=[index // 3 for index in range(600)])
    letters = [{text.partition("of ")[2] for text in side} for side in sides.values()]
    assert [len(side) for side in letters] == [180, 10, 10]
    assert set.union(*letters) == {f"letter {index}" for index in range(200)}


@given(texts=many(), shares=SHARES, seed=st.integers(0, 100))
def test_what_the_groups_are_called_does_not_matter(texts: list[str], shares: Shares, seed: int) -> None:
    names = random.Random(seed).sample(range(-(2**40), 2**40), len(texts))
    groups = [names[int(number)] for number in measure(texts).groups]
    assert parts(texts, shares, groups) == parts(texts, shares)


@given(texts=many(), shares=SHARES)
def test_by_document_each_side_gets_its_share_and_half_of_it_more_at_most(texts: list[str], shares: Shares) -> None:
    pieces, how = plan(texts, shares)
    if how == "position":
        return
    total = sum(map(len, texts))
    for name, share in zip(SPLITS[1:], shares[1:], strict=True):
        taken = sum(piece.stop - piece.start for piece in pieces if piece.split == name)
        assert taken <= 1.5 * share * total + 1e-6
        assert taken >= share * total - 1e-6 or shares[0] < 0.5


@given(texts=FEW, shares=SHARES)
def test_by_position_each_document_is_cut_at_its_shares_to_the_character(texts: list[str], shares: Shares) -> None:
    pieces, how = plan(texts, shares)
    assert how == "position"
    for index, text in enumerate(texts):
        for name, share in zip(SPLITS, shares, strict=True):
            taken = sum(piece.stop - piece.start for piece in pieces if (piece.document, piece.split) == (index, name))
            assert abs(taken - share * len(text)) < 1
            assert taken == 0 or share > 0


@given(texts=many(), shares=SHARES, seed=st.integers(0, 100))
def test_the_split_depends_on_the_texts_alone_and_not_on_their_order(
    texts: list[str], shares: Shares, seed: int
) -> None:
    shuffled = random.Random(seed).sample(texts, len(texts))
    assert {name: sorted(part) for name, part in parts(texts, shares).items()} == {
        name: sorted(part) for name, part in parts(shuffled, shares).items()
    }


def test_a_novel_is_cut_by_position_with_its_end_kept_apart() -> None:
    novel = "".join(map(str, range(10_000)))
    pieces, how = plan([novel])
    assert how == "position"
    assert [(piece.split, round(piece.start / len(novel), 3)) for piece in pieces] == [
        ("train", 0),
        ("valid", 0.9),
        ("test", 0.95),
    ]


def test_two_thousand_titles_are_split_by_document() -> None:
    titles = [f"title {index}" for index in range(2000)]
    assert plan(titles)[1] == "document"
    assert [round(len(part) / 20) for part in parts(titles).values()] == [90, 5, 5]


def test_a_title_that_stands_there_over_and_over_is_left_for_training() -> None:
    for often in (f"untitled {index}" for index in range(10)):  # some of whose hashes come first
        texts = [often] * 300 + [f"title {index}" for index in range(1000)]
        sides = parts(texts)
        assert plan(texts)[1] == "document"
        assert sides["train"].count(often) == 300
        assert len(sides["valid"]) < 100


def test_one_long_document_among_many_is_cut_by_position() -> None:
    notes = [f"note {index}" for index in range(200)]
    for length in (400, 3000):  # three fifths of the text, and nearly all
        assert plan([*notes, "novel " * length])[1] == "position"
    assert plan(notes)[1] == "document"


def test_a_large_document_among_many_is_left_for_training_and_never_most_of_what_is_measured() -> None:
    for number in range(10):
        notes = [f"note {number} {index}" for index in range(1000)]
        manual = f"manual {number} " * 100
        sides = parts([*notes, manual])
        assert plan([*notes, manual])[1] == "document" and manual in sides["train"]
        total = sum(map(len, [*notes, manual]))
        assert all(sum(map(len, sides[name])) >= 0.05 * total for name in ("valid", "test"))


@given(texts=many())
def test_where_small_documents_suffice_none_fills_more_than_an_eighth_of_a_split(texts: list[str]) -> None:
    lengths = {text: len(text) * texts.count(text) for text in texts}
    total = sum(map(len, texts))
    eighth = 0.05 * total / 8
    if sum(length for length in lengths.values() if length <= eighth) < total / 2:
        return
    sides = parts(texts)
    assert max(lengths[text] for name in ("valid", "test") for text in sides[name]) <= eighth + 1e-6


def test_where_all_documents_are_equal_they_are_cut_by_position_and_something_is_left_to_learn_from() -> None:
    texts = ["all work and no play"] * 100
    assert plan(texts)[1] == "position"
    assert len("".join(parts(texts)["train"])) == 100 * 18


@pytest.mark.parametrize("count", [MANY_DOCUMENTS - 1, MANY_DOCUMENTS, 200])
def test_without_anything_kept_apart_all_is_for_training(count: int) -> None:
    texts = [f"document {index}" for index in range(count)]
    assert parts(texts, (1.0, 0.0, 0.0)) == {"train": texts, "valid": [], "test": []}


@given(length=st.integers(0, 10**12), shares=SHARES, document=st.integers(0, 3))
def test_a_plan_cuts_a_document_of_any_length_into_parts_that_touch(length: int, shares: Shares, document: int) -> None:
    by_position = Plan("position", None, shares).cut(document, length)
    assert [start for _, start, _ in by_position] == [0, *(stop for _, _, stop in by_position)][: len(by_position)]
    assert sum(stop - start for _, start, stop in by_position) == length
    where = np.array([0, 1, 2, 1], dtype=np.int8)
    assert Plan("document", where, shares).cut(document, length) == [(SPLITS[where[document]], 0, length)]


def test_a_million_documents_are_planned_in_a_moment() -> None:
    count = 1_000_000
    generator = np.random.default_rng(1)
    lengths = generator.integers(1, 100, count)
    digests = generator.integers(0, 2**63, count).astype(np.uint64)
    decided = plan_split(Measured(lengths, digests, np.arange(count)), USUAL)
    assert decided.where is not None
    assert [round(float(lengths[decided.where == split].sum() / lengths.sum()), 2) for split in range(3)] == [
        0.9,
        0.05,
        0.05,
    ]
