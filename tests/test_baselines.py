"""Counting models: values worked out by hand, and a slow and simple model to compare with."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen import baselines
from seqgen.baselines import BASELINES, bits_per_character, ngram, unigram

SMALL = st.integers(2, 4).flatmap(
    lambda size: st.tuples(
        st.just(size), st.lists(st.integers(0, size - 1), max_size=25), st.lists(st.integers(0, size - 1), max_size=8)
    )
)
"""The number of symbols, ids to learn from, and other ids."""
every_baseline = pytest.mark.parametrize("name", BASELINES)


def nats(name: str, train: Sequence[int], test: Sequence[int], size: int) -> list[float]:
    return list(BASELINES[name](np.array(train, int), np.array(test, int), size))


def slow_probability(train: Sequence[int], context: tuple[int, ...], symbol: int, size: int) -> float:
    """Witten and Bell's estimate, method C, by its recursive definition."""
    if not context:
        return (list(train).count(symbol) + 1) / (len(train) + size)
    lower = slow_probability(train, context[1:], symbol, size)
    length = len(context)
    followers = [train[at + length] for at in range(len(train) - length) if tuple(train[at : at + length]) == context]
    types = len(set(followers))
    return (followers.count(symbol) + types * lower) / (len(followers) + types) if followers else lower


def test_unigram_counts_every_symbol_plus_one() -> None:
    result = unigram(np.array([1, 1, 2]), np.array([0, 1, 2, 3]), 4)
    assert result.tolist() == pytest.approx([-math.log(3 / 7), -math.log(2 / 7), -math.log(1 / 7)])


def test_a_bigram_mixes_counts_with_the_unigram_by_the_number_of_followers() -> None:
    train = np.array([1, 2, 1, 2, 1])
    after_one = (2 + 1 * 3 / 8) / (2 + 1)  # 1 was followed by 2 twice and by nothing else; alone, 2 has 3 of 8
    after_zero = 4 / 8  # 0 was never seen: the unigram's 4 of 8 for 1
    assert ngram(train, np.array([1, 2]), 3, order=2).tolist() == pytest.approx([-math.log(after_one)])
    assert ngram(train, np.array([0, 1]), 3, order=2).tolist() == pytest.approx([-math.log(after_zero)])


@given(case=SMALL, order=st.integers(1, 4))
def test_an_ngram_is_witten_and_bells_recursion(case: tuple[int, list[int], list[int]], order: int) -> None:
    size, train, test = case
    expected = [
        -math.log(slow_probability(train, tuple(test[max(0, at - order + 1) : at]), test[at], size))
        for at in range(1, len(test))
    ]
    assert ngram(np.array(train, int), np.array(test, int), size, order).tolist() == pytest.approx(expected)


@every_baseline
@given(case=SMALL)
def test_probabilities_of_the_next_symbol_sum_to_one(name: str, case: tuple[int, list[int], list[int]]) -> None:
    size, train, context = case
    context = [*context, 0]
    total = math.fsum(math.exp(-nats(name, train, [*context, symbol], size)[-1]) for symbol in range(size))
    assert total == pytest.approx(1)


@every_baseline
@given(case=SMALL)
def test_there_is_a_figure_for_each_symbol_after_the_first(name: str, case: tuple[int, list[int], list[int]]) -> None:
    size, train, test = case
    figures = nats(name, train, test, size)
    assert len(figures) == max(0, len(test) - 1)
    assert all(math.isfinite(figure) and figure > 0 for figure in figures)


@every_baseline
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_narrow_ids_do_not_overflow(name: str, dtype: type[np.unsignedinteger]) -> None:
    generator = np.random.default_rng(0)
    train, test = generator.integers(0, 250, 3000), generator.integers(0, 250, 50)
    narrow = BASELINES[name](train.astype(dtype), test.astype(dtype), 250)
    assert narrow.tolist() == nats(name, train.tolist(), test.tolist(), 250)


@pytest.mark.parametrize("size", [3, 257, 8192, 60_000, 2_000_000])
def test_an_ngram_of_a_large_alphabet_still_tells_its_contexts_apart(size: int) -> None:
    train = np.array([size - 1, size - 2, size - 1, 0] * 50)
    (surprise,) = np.exp(-ngram(train, np.array([size - 2, size - 1]), size))
    (other,) = np.exp(-ngram(train, np.array([size - 1, size - 2]), size))
    assert surprise > 0.9
    assert 0.4 < other < 0.6


def test_contexts_are_as_long_as_a_number_of_63_bits_can_tell_apart() -> None:
    size, generator = 60_000, np.random.default_rng(0)
    symbols = generator.integers(0, size, 3)
    train, test = symbols[generator.integers(0, 3, 60)], symbols[generator.integers(0, 3, 12)]
    assert ngram(train, test, size, order=6).tolist() == ngram(train, test, size, order=3).tolist()
    assert ngram(train, test, size, order=3).tolist() != ngram(train, test, size, order=2).tolist()


def test_an_ngram_knows_structure_that_a_unigram_cannot() -> None:
    sentence = [ord(character) - 96 if character != " " else 27 for character in "the cat sat on the mat and "]
    structured, shuffled = sentence * 40, np.random.default_rng(0).permutation(sentence * 40).tolist()
    assert sum(nats("6-gram", structured, sentence, 28)) < 0.2 * sum(nats("unigram", structured, sentence, 28))
    assert sum(nats("6-gram", shuffled, sentence, 28)) > 0.8 * sum(nats("unigram", shuffled, sentence, 28))


def test_bits_per_character_is_nats_shared_among_the_characters() -> None:
    figures = bits_per_character(np.array([1, 1, 2]), np.array([0, 1, 2]), 4, characters=5)
    assert set(figures) == set(BASELINES)
    assert figures["unigram"] == pytest.approx((math.log2(7 / 3) + math.log2(7 / 2)) / 5)


def test_no_text_needs_no_bits() -> None:
    nothing = np.zeros(0, dtype=np.uint8)
    assert bits_per_character(np.array([1, 2]), nothing, 4, characters=0) == dict.fromkeys(BASELINES, 0.0)


def test_a_baseline_learns_from_the_beginning_of_a_very_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "TRAINING_SYMBOLS", 6)
    test, beginning = np.array([1, 2, 1]), [1, 2, 1, 2, 1, 2]
    whole = bits_per_character(np.array([*beginning, *[3] * 50]), test, 4, 3)
    assert whole == bits_per_character(np.array(beginning), test, 4, 3)
