"""Counting models: values worked out by hand, and a slow and simple model to compare with."""

from __future__ import annotations

import lzma
import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen import baselines
from seqgen.baselines import MAX_ORDER, count_baselines, ngrams, xz_bits
from tests.texts import verse

Gram = tuple[int, ...]
SMALL = st.integers(2, 5).flatmap(
    lambda size: st.tuples(
        st.just(size), st.lists(st.integers(0, size - 1), max_size=80), st.lists(st.integers(0, size - 1), max_size=12)
    )
)
"""The number of ids, ids to learn from, and ids to predict."""
NOTHING = np.zeros(0, dtype=np.uint8)


def nats(train: Sequence[int], held_out: Sequence[int], size: int, order: int) -> list[float]:
    return [list(figures) for (figures,) in ngrams(np.array(train, int), [np.array(held_out, int)], size, order)][-1]


class SlowKneserNey:
    """Interpolated modified Kneser-Ney as the paper writes it down, with dictionaries."""

    def __init__(self, train: Sequence[int], size: int, order: int) -> None:
        self.size = size
        self.followers: dict[Gram, dict[int, int]] = defaultdict(dict)
        self.discounts: dict[int, list[float]] = {}
        for length in range(1, order + 1):
            counts = Counter(self.grams(train, length))
            if length < order:
                counts = Counter(gram[1:] for gram in set(self.grams(train, length + 1)))
            self.discounts[length] = self.estimate(Counter(counts.values()))
            for (*context, symbol), count in counts.items():
                self.followers[tuple(context)][symbol] = count

    @staticmethod
    def grams(train: Sequence[int], length: int) -> list[Gram]:
        return [tuple(train[at : at + length]) for at in range(len(train) - length + 1)]

    @staticmethod
    def estimate(n: Counter[int]) -> list[float]:
        """Chen and Goodman's equation 26, and half of the count where that says nothing."""
        share = n[1] / (n[1] + 2 * n[2]) if n[1] else 0
        estimates = [k - (k + 1) * share * n[k + 1] / n[k] if n[k] else 0 for k in (1, 2, 3)]
        return [0, *(estimate if 0 < estimate < k else k / 2 for k, estimate in enumerate(estimates, 1))]

    def probability(self, context: Gram, symbol: int) -> float:
        lower = self.probability(context[1:], symbol) if context else 1 / self.size
        if not (followers := self.followers.get(context)):
            return lower
        discounts = self.discounts[len(context) + 1]
        freed = sum(discounts[min(count, 3)] for count in followers.values())
        count = followers.get(symbol, 0)
        return (count - discounts[min(count, 3)] + freed * lower) / sum(followers.values())


@given(case=SMALL, order=st.integers(1, 6))
def test_an_ngram_is_the_papers_recursion(case: tuple[int, list[int], list[int]], order: int) -> None:
    size, train, held_out = case
    slow = SlowKneserNey(train, size, order)
    expected = [
        -math.log(slow.probability(tuple(held_out[max(0, at - order + 1) : at]), held_out[at]))
        for at in range(1, len(held_out))
    ]
    assert nats(train, held_out, size, order) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3, 5, 10])
def test_long_ngrams_of_a_text_with_structure_are_the_papers_recursion(order: int) -> None:
    train, held_out = list(verse(4000).encode()), list(verse(300, seed=2).encode())
    slow = SlowKneserNey(train, 128, order)
    assert all(0 < estimate < k for k, estimate in enumerate(slow.discounts[order][1:], 1))
    expected = [
        -math.log(slow.probability(tuple(held_out[max(0, at - order + 1) : at]), held_out[at])) for at in range(1, 300)
    ]
    assert nats(train, held_out, 128, order) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_bigram_counts_pairs_and_its_unigram_counts_what_stands_before() -> None:
    train = [1, 2, 1, 2, 1, 3]
    # Pairs: 12 and 21 twice, 13 once. D1 is 1 / (1 + 2 * 2); D2 would be all of 2, so it is half of that.
    # One symbol stands before each of 1, 2 and 3. D1 would be all of 1, so it is half of that.
    unigram = (1 - 1 / 2 + 3 * 1 / 2 * 1 / 4) / 3
    after_one = (2 - 1 + (1 + 1 / 5) * unigram) / 3
    assert nats(train, [1, 2], 4, 2) == pytest.approx([-math.log(after_one)])
    assert nats(train, [0, 2], 4, 2) == pytest.approx([-math.log(unigram)])


@given(case=SMALL, order=st.integers(1, 10))
def test_probabilities_of_the_next_symbol_sum_to_one(case: tuple[int, list[int], list[int]], order: int) -> None:
    size, train, context = case
    held_out = [np.array([*context, 0, symbol]) for symbol in range(size)]
    for figures in ngrams(np.array(train, int), held_out, size, order):
        assert math.fsum(math.exp(-figure[-1]) for figure in figures) == pytest.approx(1)


@given(case=SMALL, other=st.lists(st.integers(0, 1), max_size=5))
def test_texts_are_predicted_each_by_itself(case: tuple[int, list[int], list[int]], other: list[int]) -> None:
    size, train, held_out = case
    texts = [np.array(ids, int) for ids in (other, held_out, held_out, other)]
    for figures in ngrams(np.array(train, int), texts, size, 4):
        assert [len(figure) for figure in figures] == [max(0, len(text) - 1) for text in texts]
        assert figures[1].tolist() == figures[2].tolist()
        assert all(math.isfinite(value) and value > 0 for figure in figures for value in figure.tolist())
    assert figures[1].tolist() == nats(train, held_out, size, 4)
    assert figures[3].tolist() == nats(train, other, size, 4)


@pytest.mark.parametrize("size", [77, 78, 83, 127, 257])
def test_a_lower_order_is_what_it_is_alone(size: int) -> None:
    """Also where ten symbols, or nine, are just too large for a number of 63 bits."""
    train, held_out = np.random.default_rng(0).integers(0, size, (2, 6000))
    for order, (figures,) in enumerate(ngrams(train, [held_out], size), 1):
        assert figures.tolist() == pytest.approx(nats(train.tolist(), held_out.tolist(), size, order), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
@pytest.mark.parametrize("size", [250, 255, 256])
def test_narrow_and_mapped_ids_give_the_same_figures(dtype: Any, size: int) -> None:
    generator = np.random.default_rng(0)
    train, held_out = generator.integers(size - 3, size, 3000), generator.integers(size - 3, size, 50)
    np.save("train.npy", train.astype(dtype))
    mapped: npt.NDArray[Any] = np.load("train.npy", mmap_mode="r")
    *_, (narrow,) = ngrams(mapped, [held_out.astype(dtype)], size)
    assert narrow.tolist() == nats(train.tolist(), held_out.tolist(), size, MAX_ORDER)


@pytest.mark.parametrize("size", [3, 77, 78, 257, 8192, 65_535, 65_536, 2_000_000])
def test_the_size_of_the_alphabet_does_not_shorten_contexts(size: int) -> None:
    """The symbol nine before decides, and all between them are the same."""
    generator = random.Random(0)
    filler = [size - 1] * 8
    blocks = [[first, *filler, 1 - first] for first in generator.choices([0, 1], k=300)]
    train = [symbol for block in blocks for symbol in block]
    nine, ten = (nats(train, [0, *filler, 1], size, order)[-1] for order in (9, 10))
    assert ten < 0.1 < 0.5 < nine


def test_longer_ngrams_predict_verse_better_and_then_no_longer() -> None:
    train, held_out = np.frombuffer(verse(30_000).encode(), np.uint8), np.frombuffer(verse(5000, 2).encode(), np.uint8)
    bits = [figures.mean() / math.log(2) for (figures,) in ngrams(train, [held_out], 128)]
    assert len(bits) == MAX_ORDER
    assert all(longer < 0.95 * shorter for shorter, longer in pairwise(bits[:4]))
    assert bits[0] > 4 > 1 > bits[5]
    assert max(bits[6:]) - min(bits[6:]) < 0.1


def test_shuffled_letters_cannot_be_predicted_beyond_their_frequency() -> None:
    train = np.random.default_rng(0).permutation(np.frombuffer(verse(20_000).encode(), np.uint8))
    bits = [figures.mean() / math.log(2) for (figures,) in ngrams(train[:18_000], [train[18_000:]], 128)]
    assert min(bits) > 0.99 * bits[0]


def test_figures_are_bits_shared_among_the_characters() -> None:
    train, valid, test = np.array([1, 1, 2, 1, 2]), np.array([1, 2, 1]), np.array([2, 1, 2, 1])
    figures = count_baselines(train, valid, test, 3, {"valid": 5, "test": 8})
    by_order = [[part.sum() / math.log(2) for part in parts] for parts in ngrams(train, [valid, test], 3)]
    best = min(range(10), key=lambda order: by_order[order][0])
    assert best > 0
    assert figures["valid"] == pytest.approx({"unigram": by_order[0][0] / 5, f"{best + 1}-gram": by_order[best][0] / 5})
    assert figures["test"] == pytest.approx({"unigram": by_order[0][1] / 8, f"{best + 1}-gram": by_order[best][1] / 8})


def bigrams(count: int) -> npt.NDArray[np.int64]:
    """Each symbol is one or two after the one before it: longer contexts know nothing more."""
    return np.cumsum(np.random.default_rng(count).integers(1, 3, count)) % 5


def repeated(count: int) -> npt.NDArray[np.int64]:
    """The same 40 symbols over and over, so that long contexts are best."""
    return np.resize(bigrams(40), count)


def best_name(figures: dict[str, float]) -> str:
    return next(name for name in figures if name != "unigram")


def test_the_validation_text_chooses_the_order_for_the_test_text() -> None:
    train = np.concatenate([bigrams(2000), repeated(2000)])
    for valid, test, orders in ((bigrams(900), repeated(800), {2, 3}), (repeated(800), bigrams(900), range(5, 11))):
        figures = count_baselines(train, valid, test, 5, {"valid": 1, "test": 1})
        assert set(figures["valid"]) == set(figures["test"])
        assert best_name(figures["test"]) in {f"{order}-gram" for order in orders}


def test_without_validation_text_the_end_of_the_training_text_chooses_and_never_the_test_text() -> None:
    for end, test, orders in ((bigrams(500), repeated(700), {2, 3}), (repeated(500), bigrams(700), range(5, 11))):
        train = np.concatenate([bigrams(4000), repeated(5500), end])
        figures = count_baselines(train, NOTHING, test, 5, {"test": 1})
        assert figures["valid"] == {}
        assert best_name(figures["test"]) in {f"{order}-gram" for order in orders}
        order = int(best_name(figures["test"]).split("-")[0])
        assert figures["test"][f"{order}-gram"] == pytest.approx(
            sum(nats(train.tolist(), test.tolist(), 5, order)) / math.log(2)
        )  # the end of the training text taught, too


def test_where_longer_ngrams_do_not_help_the_unigram_stands_alone() -> None:
    generator = np.random.default_rng(0)
    train, valid = generator.integers(0, 50, 300), generator.integers(0, 50, 3000)
    assert set(count_baselines(train, valid, NOTHING, 50, {"valid": 1})["valid"]) == {"unigram"}


@pytest.mark.parametrize("train", [[], [1], [1, 2] * 20])
def test_a_text_of_no_symbol_or_one_has_no_figures(train: list[int]) -> None:
    learned, one, two = np.array(train, np.uint8), np.array([1], np.uint8), np.array([1, 2], np.uint8)
    assert count_baselines(learned, NOTHING, one, 3, {"valid": 0, "test": 1}) == {"valid": {}, "test": {}}
    figures = count_baselines(learned, one, two, 3, {"valid": 1, "test": 0})
    assert figures["valid"] == {}
    assert figures["test"]["unigram"] > 0


def test_ngrams_learn_from_the_beginning_of_a_very_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "TRAINING_SYMBOLS", 600)
    valid, characters = bigrams(100), {"valid": 100, "test": 0}
    whole = count_baselines(np.concatenate([bigrams(600), [3] * 900]), valid, NOTHING, 5, characters)
    assert whole == count_baselines(bigrams(600), valid, NOTHING, 5, characters)


def test_a_very_long_held_out_text_is_measured_on_stretches_all_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    train, long = bigrams(2000), np.concatenate([bigrams(10_000), repeated(10_000), np.zeros(10_000, int)])
    expected = count_baselines(train, long, NOTHING, 5, {"valid": 100})["valid"]
    monkeypatch.setattr(baselines, "HELD_OUT_SYMBOLS", 3000)
    estimated = count_baselines(train, long, NOTHING, 5, {"valid": 100})["valid"]
    assert estimated == pytest.approx(expected, rel=0.1) and estimated != expected


def test_xz_needs_little_for_what_it_has_seen_and_all_of_what_is_new() -> None:
    generator = random.Random(0)
    seen, new = generator.randbytes(20_000), generator.randbytes(5000)
    assert xz_bits(seen, seen[3000:8000]) < 0.1 * 8 * 5000
    assert 8 * 5000 <= xz_bits(seen, new) < 1.01 * 8 * 5000
    assert xz_bits(seen, b"") == 0
    assert xz_bits(b"", b"") == 0


def test_xz_bits_are_what_the_file_grows_by() -> None:
    train, held_out = verse(50_000).encode(), verse(9000, seed=2).encode()
    sizes = [len(lzma.compress(data, preset=9)) for data in (train, train + held_out)]
    assert xz_bits(train, held_out) == pytest.approx(8 * (sizes[1] - sizes[0]), rel=0.01, abs=8 * 8)


def test_xz_looks_back_no_further_than_its_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(0)
    far, near = generator.randbytes(6000), generator.randbytes(6000)
    monkeypatch.setattr(baselines, "XZ_DICTIONARY", 6000)
    assert xz_bits(far + near, far[:1000]) > 0.99 * 8 * 1000
    assert xz_bits(far + near, near[2000:3000]) < 0.1 * 8 * 1000
