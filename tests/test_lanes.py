"""The training text as streams side by side: nothing is torn apart, skipped or seen twice on the way."""

from __future__ import annotations

import itertools
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seqgen.errors import DataError
from seqgen.lanes import Lanes
from seqgen.splits import Split
from seqgen.tokenizers import DOCUMENT, Ids

LENGTHS = st.lists(st.integers(0, 30), min_size=1, max_size=12)
"""How many symbols each document has after its document symbol."""
LANES, WINDOWS, SEEDS, EPOCHS = st.integers(1, 5), st.integers(1, 7), st.integers(0, 2**63), st.integers(0, 50)
STRETCHES = st.integers(0, 4)


def split_of(lengths: list[int], dtype: type[np.unsignedinteger] = np.uint16) -> Split:
    """Documents whose symbols are all different and rise by one: 0 1 2 3, 0 4 5, ..."""
    ids: list[int] = []
    starts: list[int] = []
    symbol = 1
    for length in lengths:
        starts.append(len(ids))
        ids += [DOCUMENT, *range(symbol, symbol + length)]
        symbol += length
    return Split(np.array(ids, dtype=dtype), np.array(starts, dtype=np.int64), characters=symbol - 1)


def lanes_of(lengths: list[int], lanes: int, window: int, random_seed: int, stretch: int = 0) -> Lanes:
    split = split_of(lengths)
    assume(len(split) >= lanes * (window + 1))
    return Lanes(split, lanes, window, random_seed, stretch=stretch)


def epoch_of(lanes: Lanes, epoch: int) -> list[tuple[Ids, Ids]]:
    return [lanes.batch(epoch, window) for window in range(lanes.windows_per_epoch)]


def streams(lanes: Lanes, epoch: int) -> list[list[int]]:
    """What each lane reads of each stretch in an epoch: its first input, then all targets."""
    batches, several = epoch_of(lanes, epoch), []
    for first in range(0, len(batches), lanes.windows_per_stretch):
        stretch = batches[first : first + lanes.windows_per_stretch]
        whole = np.concatenate([stretch[0][0][:1], *(targets for _, targets in stretch)])
        several += [column.tolist() for column in whole.T]
    return several


@given(lengths=LENGTHS, lanes=LANES, window=WINDOWS, seed=SEEDS, stretch=STRETCHES, epoch=EPOCHS)
def test_targets_are_inputs_shifted_by_one_and_a_lane_continues_where_it_left_off_in_its_stretch(
    lengths: list[int], lanes: int, window: int, seed: int, stretch: int, epoch: int
) -> None:
    text = lanes_of(lengths, lanes, window, seed, stretch)
    batches = epoch_of(text, epoch)
    for inputs, targets in batches:
        assert inputs.shape == targets.shape == (window, lanes)
        assert inputs.dtype == targets.dtype == np.int64
        assert np.array_equal(inputs[1:], targets[:-1])
    assert text.begins(0)
    for step, ((_, before), (after, _)) in enumerate(pairwise(batches), 1):
        assert text.begins(step) or np.array_equal(before[-1], after[0])


@given(lengths=LENGTHS, lanes=LANES, window=WINDOWS, seed=SEEDS, stretch=STRETCHES, epoch=EPOCHS)
def test_a_stretch_begins_with_the_document_symbol(
    lengths: list[int], lanes: int, window: int, seed: int, stretch: int, epoch: int
) -> None:
    text = lanes_of(lengths, lanes, window, seed, stretch)
    for step in filter(text.begins, range(text.windows_per_epoch)):
        inputs, _ = text.batch(epoch, step)
        assert inputs[0].tolist() == [DOCUMENT] * lanes


@given(lengths=LENGTHS, lanes=LANES, window=WINDOWS, seed=SEEDS, stretch=STRETCHES, epoch=EPOCHS)
def test_documents_stay_whole_and_begin_with_the_document_symbol(
    lengths: list[int], lanes: int, window: int, seed: int, stretch: int, epoch: int
) -> None:
    bounds = np.cumsum([0, *lengths]).tolist()
    firsts = {bound + 1 for bound, length in zip(bounds, lengths, strict=False) if length}
    lasts = set(bounds)
    for stream in streams(lanes_of(lengths, lanes, window, seed, stretch), epoch):
        for symbol, following in pairwise(stream[1:]):
            if symbol == DOCUMENT:
                assert following == DOCUMENT or following in firsts
            elif symbol in lasts:
                assert following == DOCUMENT
            else:
                assert following == symbol + 1


@given(lengths=LENGTHS, lanes=LANES, window=WINDOWS, seed=SEEDS, stretch=STRETCHES, epoch=EPOCHS)
def test_no_symbol_is_learned_twice_in_an_epoch_and_few_are_skipped(
    lengths: list[int], lanes: int, window: int, seed: int, stretch: int, epoch: int
) -> None:
    text = lanes_of(lengths, lanes, window, seed, stretch)
    learned = [symbol for stream in streams(text, epoch) for symbol in stream[1:]]
    counts = Counter(learned)
    assert counts.pop(DOCUMENT, 0) <= len(lengths)
    assert set(counts.values()) <= {1}
    assert len(learned) == text.windows_per_epoch * window * lanes
    skipped = len(text.split) - len(learned)
    # in each stretch a first symbol, a piece of a window and what was passed over for a line end; and the rest
    assert skipped < lanes * text.turns * (text.search + window + 1) + lanes * (text.turns + 1)


@given(
    lengths=LENGTHS,
    lanes=LANES,
    window=WINDOWS,
    seed=SEEDS,
    stretch=STRETCHES,
    epochs=st.lists(EPOCHS, min_size=1, max_size=5),
)
def test_the_order_is_a_function_of_random_seed_and_epoch_alone(
    lengths: list[int], lanes: int, window: int, seed: int, stretch: int, epochs: list[int]
) -> None:
    used, fresh = lanes_of(lengths, lanes, window, seed, stretch), lanes_of(lengths, lanes, window, seed, stretch)
    for epoch in epochs:
        used.batch(epoch, 0)
    last = epochs[-1]
    assert streams(used, last) == streams(lanes_of(lengths, lanes, window, seed, stretch), last)
    backwards = [fresh.batch(last, window) for window in reversed(range(fresh.windows_per_epoch))]
    for one, other in zip(reversed(backwards), epoch_of(used, last), strict=True):
        assert np.array_equal(one, other)


def test_another_epoch_and_another_random_seed_are_another_order() -> None:
    lengths = list(range(5, 40))
    orders = [streams(Lanes(split_of(lengths), 3, 10, seed), epoch) for seed in range(3) for epoch in range(3)]
    assert all(one != other for index, one in enumerate(orders) for other in orders[:index])


def test_each_epoch_shuffles_the_documents() -> None:
    text = Lanes(split_of([3] * 12), 1, 40, random_seed=0)
    neighbours = set()
    for epoch in range(4):
        (stream,) = streams(text, epoch)
        firsts = [symbol for symbol in stream[1:] if symbol % 3 == 1]
        neighbours.add(
            frozenset(itertools.pairwise(firsts))
        )  # whatever the turn, these are the same for the same order
    assert len(neighbours) == 4
    assert all(any(after != before + 3 for before, after in pairs) for pairs in neighbours)


def test_each_epoch_cuts_a_sole_document_elsewhere() -> None:
    text = Lanes(split_of([100]), 2, 7, random_seed=0)
    assert len({tuple(streams(text, epoch)[0]) for epoch in range(6)}) > 3


def test_over_some_epochs_every_symbol_is_learned() -> None:
    text = Lanes(split_of([7, 40, 3, 11]), 4, 6, random_seed=0)
    learned = {symbol for epoch in range(20) for stream in streams(text, epoch) for symbol in stream[1:]}
    assert learned == set(range(1 + 7 + 40 + 3 + 11))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32])
def test_ids_of_every_width_are_read_alike(dtype: type[np.unsignedinteger]) -> None:
    lengths = [40, 60, 100]
    assert streams(Lanes(split_of(lengths, dtype), 2, 5, 1), 3) == streams(Lanes(split_of(lengths), 2, 5, 1), 3)


def test_the_shortest_text_that_fits_is_taken_and_a_shorter_one_refused_with_what_would_fit() -> None:
    assert Lanes(split_of([111]), lanes=4, window=26, random_seed=0).windows_per_epoch == 1
    with pytest.raises(DataError, match="has 111 symbols") as caught:
        Lanes(split_of([110]), lanes=4, window=26, random_seed=0)
    assert "a window can be 25 at most" in str(caught.value.hint)
    with pytest.raises(DataError, match="has 23 symbols") as caught:
        Lanes(split_of([22]), lanes=4, window=5, random_seed=0)
    assert "a few hundred characters" in str(caught.value.hint)


def test_a_text_of_nothing_is_refused() -> None:
    nothing = Split(np.zeros(0, np.uint8), np.zeros(0, np.int64), characters=0)
    with pytest.raises(DataError, match="has 0 symbols"):
        Lanes(nothing, lanes=1, window=1, random_seed=0)


def test_a_lane_begins_at_a_line_end_near_its_place() -> None:
    line_end = 9
    ids = np.array([DOCUMENT, *([1, 2, 3, 4, line_end] * 200)], dtype=np.uint8)
    lanes = Lanes(Split(ids, np.array([0]), 1000), 4, 8, 3, line_end)
    for epoch in range(3):
        inputs, targets = lanes.batch(epoch, 0)
        assert inputs[0].tolist() == [DOCUMENT] * 4
        assert set(targets[0].tolist()) == {1}


def test_where_no_line_ends_nearby_a_stretch_begins_with_what_stands_there() -> None:
    line_end = 9
    ids = np.array([DOCUMENT, *([line_end, *[1, 2, 3, 4] * 20] * 60)], dtype=np.uint8)
    lanes = Lanes(Split(ids, np.array([0]), len(ids) - 1), 4, 16, 3, line_end, stretch=2)
    assert lanes.search < 20
    opened = []
    for step in filter(lanes.begins, range(lanes.windows_per_epoch)):
        inputs, targets = lanes.batch(0, step)
        for first, second in zip(inputs[0].tolist(), targets[0].tolist(), strict=True):
            assert (
                second == 1
                if first == DOCUMENT
                else second == (line_end if first == 4 and second == 9 else first % 4 + 1)
            )
            opened.append(first == DOCUMENT)
    assert 0 < sum(opened) < len(opened)


def test_a_stretch_is_as_many_windows_as_asked_where_the_text_is_long_enough() -> None:
    split = split_of([20_000])
    for stretch in (1, 4, 9):
        text = Lanes(split, lanes=4, window=32, random_seed=0, stretch=stretch)
        assert stretch <= text.windows_per_stretch <= stretch + 1
        assert sum(map(text.begins, range(text.windows_per_epoch))) == text.turns > 10
    whole = Lanes(split, lanes=4, window=32, random_seed=0)
    assert [step for step in range(whole.windows_per_epoch) if whole.begins(step)] == [0]
    short = Lanes(split_of([300]), lanes=4, window=32, random_seed=0, stretch=9)
    assert short.turns == 1 and short.windows_per_epoch == 2


def test_stretches_that_are_read_side_by_side_lie_anywhere() -> None:
    text = Lanes(split_of([20_000]), lanes=2, window=10, random_seed=0, stretch=2)
    firsts = [stream[1] for stream in streams(text, 0)]
    steps = {after - before for before, after in pairwise(firsts)}
    assert len(steps) > 100


def test_a_lane_begins_at_its_place_where_there_is_no_line_end() -> None:
    ids = np.array([DOCUMENT, *([1, 2, 3] * 2000)], dtype=np.uint8)
    lanes = Lanes(Split(ids, np.array([0]), 6000), 2, 8, 3, 9)
    inputs, targets = lanes.batch(0, 0)
    assert inputs[1:].tolist() == targets[:-1].tolist()
