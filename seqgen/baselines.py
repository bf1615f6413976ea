"""Simple models that every figure stands beside: what counting alone achieves. No torch here.

A baseline is one function ``(train ids, test ids, symbols) -> nats of each test symbol after the first`` and one line
in ``BASELINES``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Nats = npt.NDArray[np.float64]
TRAINING_SYMBOLS = 20_000_000
"""A baseline learns from this many symbols of the training text at most, from its beginning."""
Baseline = Callable[[npt.NDArray[Any], npt.NDArray[Any], int], Nats]


def unigram(train: npt.NDArray[Any], test: npt.NDArray[Any], size: int) -> Nats:
    """Every symbol by its frequency, plus one."""
    return -np.log(_unigram_probabilities(train, size)[np.asarray(test[1:], dtype=np.int64)])


def ngram(train: npt.NDArray[Any], test: npt.NDArray[Any], size: int, order: int = 6) -> Nats:
    """An interpolated n-gram with Witten-Bell smoothing (Witten and Bell 1991, method C).

    Each order's estimate is mixed with the lower one's, weighted by how many different symbols have followed its
    context: p(s | c) = (count(c s) + types(c) * lower(s)) / (count(c) + types(c)).
    """
    order = min(order, int(62 / math.log2(max(2, size))))  # contexts are numbers of 63 bits
    train, test = np.asarray(train, dtype=np.int64), np.asarray(test, dtype=np.int64)
    probability = _unigram_probabilities(train, size)[test[1:]]
    for context in range(1, order):
        if len(train) <= context:
            break
        seen_grams, gram_counts = np.unique(_grams(train, context + 1, size), return_counts=True)
        seen_contexts, first, types = np.unique(seen_grams // size, return_index=True, return_counts=True)
        totals = np.add.reduceat(gram_counts, first)
        grams = _grams(test, context + 1, size)
        if len(grams) == 0:
            break
        place, known = _find(seen_contexts, grams // size)
        gram_place, gram_known = _find(seen_grams, grams)
        count = np.where(gram_known, gram_counts[gram_place], 0)
        total, kinds = np.where(known, totals[place], 0), np.where(known, types[place], 1)
        tail = probability[context - 1 :]
        probability[context - 1 :] = np.where(known, (count + kinds * tail) / (total + kinds), tail)
    return np.asarray(-np.log(probability), dtype=np.float64)


BASELINES: dict[str, Baseline] = {"unigram": unigram, "6-gram": ngram}


def bits_per_character(train: npt.NDArray[Any], test: npt.NDArray[Any], size: int, characters: int) -> dict[str, float]:
    """What each baseline needs for the test symbols after the first, in bits for each character that they stand for."""
    learned = train[:TRAINING_SYMBOLS]
    return {
        name: float(baseline(learned, test, size).sum()) / math.log(2) / max(1, characters)
        for name, baseline in BASELINES.items()
    }


def _unigram_probabilities(train: npt.NDArray[Any], size: int) -> Nats:
    counts = np.bincount(np.asarray(train, dtype=np.int64), minlength=size) + 1.0
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def _grams(ids: npt.NDArray[np.int64], length: int, size: int) -> npt.NDArray[np.int64]:
    """Each run of `length` ids as one number in base `size`; shape (symbols - length + 1,)."""
    count = len(ids) - length + 1
    numbers = np.zeros(max(0, count), dtype=np.int64)
    for offset in range(length if count > 0 else 0):
        numbers = numbers * size + ids[offset : offset + count]
    return numbers


def _find(
    sorted_values: npt.NDArray[np.int64], wanted: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    place = np.minimum(np.searchsorted(sorted_values, wanted), len(sorted_values) - 1)
    return place, sorted_values[place] == wanted
