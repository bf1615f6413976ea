"""What counting alone achieves: models that every figure stands beside. No torch here.

``ngrams()`` is interpolated modified Kneser-Ney of every order up to ten, from a single sort. All texts become one
circle of symbols with a separator after each, and its positions are sorted by the symbol there, then by the one before
it, and so on. A place in the sorted order is called a slot::

    position   0 1 2 3 4 5        slot       0   1   2   3   4   5
    symbol     a b a b c |        position   2   0   3   1   4   5
                                  ends in    ba  |a  ab  ab  bc  c|
                                  shared     -   1   0   2   0   0      symbols, with the slot before

Whatever n is, the positions where an n-gram ends are neighbours, and the next n-gram begins where a slot shares fewer
than n symbols with the slot before. So all n-grams of one length are numbered in one pass, and counts are sums over
stretches of slots: an n-gram occurs as often as its stretch has training positions, and as many different symbols stand
before it as its stretch has (n+1)-grams. The context of the n-gram that ends at a position is the (n-1)-gram that ends
one position earlier. An n-gram with a separator in it counts as never seen.
"""

from __future__ import annotations

import lzma
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Symbols = npt.NDArray[Any]
Numbers = npt.NDArray[np.int32]
Nats = npt.NDArray[np.float64]

MAX_ORDER = 10
"""The longest n-grams that are tried."""
TRAINING_SYMBOLS = 20_000_000
"""n-grams learn from this many symbols of the training text at most, from its beginning."""
HELD_OUT_SYMBOLS = 2_000_000
"""Of a longer held-out text, n-grams are measured on this many symbols, in stretches spread evenly over it."""
STRETCHES = 50
CHOOSING_SHARE = 0.05
"""How much of the end of the training text chooses the order where there is no validation text."""
XZ_DICTIONARY = 64 << 20
"""How many bytes `xz -9` can look back."""


def count_baselines(
    train: Symbols, valid: Symbols, test: Symbols, size: int, characters: Mapping[str, int]
) -> dict[str, dict[str, float]]:
    """What a unigram and the best n-gram need for the held-out texts, in bits for each character.

    The validation text chooses the order for both. Where there is none, the end of the training text does, predicted
    from the rest of it. The name of the n-gram says its order; if that is 1, the unigram stands alone.

    Args:
        train: unsigned ids below `size`, shape (symbols,); so are the others.
        valid: likewise; a text of fewer than two symbols has no figures.
        test: likewise.
        size: the number of ids that there are.
        characters: how many characters "valid" and "test" stand for.

    Returns:
        For "valid" and "test", the figures by the name of the model: {"unigram": 4.2, "7-gram": 1.9}.
    """
    train = train[:TRAINING_SYMBOLS]
    figures: dict[str, dict[str, float]] = {"valid": {}, "test": {}}
    held_out = {name: ids for name, ids in (("valid", valid), ("test", test)) if len(ids) > 1}
    if not held_out:
        return figures
    found = _nats_by_order(train, held_out, size)
    choosing = found.get("valid")
    if choosing is None:
        cut = len(train) - int(CHOOSING_SHARE * len(train))
        choosing = _nats_by_order(train[:cut], {"end": train[cut:]}, size)["end"]
    best = 1 + choosing.index(min(choosing))
    for name, by_order in found.items():
        bits = [nats / math.log(2) / max(1, characters[name]) for nats in by_order]
        figures[name] = {"unigram": bits[0]} | ({f"{best}-gram": bits[best - 1]} if best > 1 else {})
    return figures


def xz_bits(train: bytes, held_out: bytes) -> float:
    """The bits that `xz -9` needs for the held-out bytes when it has just seen the training bytes.

    That is by how much the compressed training bytes grow. A second goes by for about each megabyte, on two cores.
    """
    learned = train[-XZ_DICTIONARY:]
    dictionary = min(XZ_DICTIONARY, max(4096, len(learned) + len(held_out)))  # takes no more memory than it needs
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": dictionary}]

    def compressed(data: bytes) -> int:
        return len(lzma.compress(data, lzma.FORMAT_RAW, filters=filters))  # without headers and padding

    with ThreadPoolExecutor(2) as pool:  # lzma does not hold the interpreter
        before, after = pool.map(compressed, (learned, learned + held_out))
    return 8.0 * (after - before)


def ngrams(train: Symbols, held_out: Sequence[Symbols], size: int, max_order: int = MAX_ORDER) -> Iterator[list[Nats]]:
    """Interpolated modified Kneser-Ney (Chen and Goodman 1999) with n-grams of at most 1, 2, ... symbols.

    p(s | c) = (count(c s) - D(c s) + q(s) * sum over t of D(c t)) / sum over t of count(c t), where q is the estimate
    from the context without its first symbol, and p = q where nothing has followed c; below the unigrams, q = 1 / size.
    The longest n-grams count how often they occur, all others how many different symbols stand before them. D is
    estimated for counts of 1, 2, and 3 or more. It takes about 0.5 s and 50 MB for each million symbols.

    Args:
        train: unsigned ids below `size`, shape (symbols,), perhaps memory-mapped; so are the others.
        held_out: one or more texts to predict, each from its own beginning; with `train` less than 2**31 symbols.
        size: the number of ids that there are.
        max_order: the highest order, below 128.

    Yields:
        For each highest order, from 1, the nats of each symbol after the first of each held-out text.
    """
    grams = _Grams.sort([train, *held_out], size, max_order)
    bounds = np.cumsum([max(0, len(ids) - 1) for ids in held_out])[:-1]
    lower = np.full(len(grams.wanted), 1 / size)
    shorter, level = grams.level(0), grams.level(1)
    for order in range(1, max_order + 1):
        context = shorter.gram[grams.previous[level.first]]
        wanted = level.gram[grams.wanted], shorter.gram[grams.previous[grams.wanted]]
        probability = _interpolate(level.counts, context, *wanted, lower)
        yield np.split(-np.log(probability), bounds)
        if order < max_order:
            longer = grams.level(order + 1)
            preceding = _sums(longer.counts > 0, longer.gram[level.first])
            lower = _interpolate(preceding, context, *wanted, lower)
            shorter, level = level, longer


def _interpolate(counts: Numbers, context: Numbers, wanted_gram: Numbers, wanted_context: Numbers, lower: Nats) -> Nats:
    """The probability of each wanted symbol at one order.

    Args:
        counts: of each n-gram, shape (n-grams,).
        context: the number of its context, shape (n-grams,).
        wanted_gram: the n-gram that ends at each wanted symbol, shape (wanted,).
        wanted_context: its context, shape (wanted,).
        lower: its probability at the order below, shape (wanted,).
    """
    discount = _discounts(counts)[np.minimum(counts, 3)]
    contexts = wanted_context.max(initial=0) + 1  # at least
    total = np.bincount(context, counts, contexts)[wanted_context]
    freed = np.bincount(context, discount, contexts)[wanted_context]
    kept = counts[wanted_gram] - discount[wanted_gram]
    return np.where(total > 0, (kept + freed * lower) / np.maximum(total, 1), lower)


def _discounts(counts: Numbers) -> Nats:
    """What is taken from counts of 0, 1, 2, and 3 or more, shape (4,); k / 2 where no estimate lies between 0 and k."""
    n = np.bincount(np.minimum(counts, 5), minlength=5).tolist()  # n[k] n-grams have the count k, for k below 5
    share = n[1] / max(1, n[1] + 2 * n[2])
    discounts = [0.0]
    for k in (1, 2, 3):
        estimate = k - (k + 1) * share * n[k + 1] / max(1, n[k])
        discounts.append(estimate if 0 < estimate < k else k / 2)
    return np.array(discounts)


@dataclass(frozen=True)
class _Level:
    """The different n-grams of one length, numbered in sorted order.

    Attributes:
        first: the slot where each begins, shape (n-grams,).
        gram: the number of the n-gram at each slot, shape (slots,).
        counts: how often each occurs in the training text, shape (n-grams,).
    """

    first: npt.NDArray[np.int64]
    gram: Numbers
    counts: Numbers


@dataclass(frozen=True)
class _Grams:
    """All positions in sorted order, which is every n-gram of every length.

    Attributes:
        shared: how many symbols each slot shares with the slot before it; -1 at the first; shape (slots,).
        previous: the slot of the position before, shape (slots,).
        learned: whether each slot is a position of the training text, shape (slots,).
        beginning: the slots of the first positions of the training text.
        wanted: the slots of the held-out symbols after the first of each text.
    """

    shared: npt.NDArray[np.int8]
    previous: Numbers
    learned: npt.NDArray[np.bool_]
    beginning: Numbers
    wanted: Numbers

    @classmethod
    def sort(cls, texts: Sequence[Symbols], size: int, longest: int) -> _Grams:
        separated = [part for ids in texts for part in (ids, [size])]
        circle = np.concatenate(separated, dtype=np.min_scalar_type(size), casting="unsafe")
        order = _sort_positions(circle, size + 1, longest)
        shared = _count_shared(circle, order, longest)
        slot = np.empty_like(order)
        slot[order] = np.arange(len(order), dtype=np.int32)
        starts = np.cumsum([len(ids) + 1 for ids in texts])
        parts = [slot[start + 1 : start + len(ids)] for start, ids in zip(starts, texts[1:], strict=False)]
        wanted = np.concatenate([slot[:0], *parts])
        learned = len(texts[0])
        return cls(shared, slot[order - 1], order < learned, slot[: min(learned, longest - 1)], wanted)

    def level(self, length: int) -> _Level:
        """The n-grams of this length."""
        new = self.shared < length
        first = np.flatnonzero(new)
        gram = np.cumsum(new, dtype=np.int32)
        gram -= 1
        counts = _sums(self.learned, first)
        counts[gram[self.beginning[: max(0, length - 1)]]] = 0  # these reach back over a separator
        return _Level(first, gram, counts)


def _sort_positions(circle: Symbols, base: int, length: int) -> Numbers:
    """The positions, sorted by the `length` symbols that end there, the last one first.

    As many symbols as fit into a number are sorted at once. From there one more symbol costs a stable sort by that
    symbol alone: positions sorted by what ends before them need only be sorted by themselves.
    """
    key = circle.astype(np.int64)
    packed = 1
    while packed < length and base ** (packed + 1) <= 2**63:
        key *= base
        key += np.roll(circle, packed)
        packed += 1
    order = np.argsort(key).astype(np.int32)
    for _ in range(packed, length):
        order += 1
        order[order == len(order)] = 0
        order = order[np.argsort(circle[order], kind="stable")]
    return order


def _count_shared(circle: Symbols, order: Numbers, longest: int) -> npt.NDArray[np.int8]:
    """How many symbols that end at a sorted position are those of the position before it, at most `longest`."""
    shared = np.zeros(len(order), dtype=np.int8)
    same = np.ones(len(order) - 1, dtype=np.bool_)
    for back in range(longest):
        symbols = np.roll(circle, back)[order]
        same &= symbols[1:] == symbols[:-1]
        shared[1:] += same
    shared[0] = -1
    return shared


def _sums(flags: npt.NDArray[np.bool_], first: npt.NDArray[Any]) -> Numbers:
    """How many flags are set from each first place up to the next, or to the end."""
    before = np.zeros(len(flags) + 1, dtype=np.int32)
    np.cumsum(flags, out=before[1:])
    sums: Numbers = np.diff(before[np.append(first, len(flags))])
    return sums


def _nats_by_order(train: Symbols, held_out: Mapping[str, Symbols], size: int) -> dict[str, list[float]]:
    """The nats of each held-out text after its first symbol, for the orders 1, 2, ...; estimated for a long text."""
    stretches = [(name, ids) for name, whole in held_out.items() for ids in _stretches(whole)]
    nats: dict[str, list[float]] = {name: [] for name in held_out}
    for figures in ngrams(train, [ids for _, ids in stretches], size):
        for name, whole in held_out.items():
            measured = [part for (owner, _), part in zip(stretches, figures, strict=True) if owner == name]
            mean = math.fsum(part.sum() for part in measured) / max(1, sum(map(len, measured)))
            nats[name].append(mean * max(0, len(whole) - 1))
    return nats


def _stretches(ids: Symbols) -> list[Symbols]:
    """The whole text, or the parts of it that are measured."""
    if len(ids) <= HELD_OUT_SYMBOLS:
        return [ids]
    length = HELD_OUT_SYMBOLS // STRETCHES
    return [ids[start : start + length] for start in np.linspace(0, len(ids) - length, STRETCHES).astype(int)]
