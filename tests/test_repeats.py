"""Repeats: where a document goes on as it did before."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgen.models import recall
from seqgen.models.recall import KINDS, SLOTS, TABLE_SHAPE, Memory, Reminder
from seqgen.models.repeats import KINDS as REPEATS
from seqgen.models.repeats import LEAST, LENGTHS, MENDED, RESUMED, RESUMED_LENGTHS, WELL_BEGUN, Precedent

LINE = list(range(10, 22))
"""Twelve symbols, all different."""


def read(ids: Sequence[int]) -> Iterator[tuple[Memory, int, int]]:
    """The memory of a document after each symbol, and what it makes of repeats: a candidate, and its kind."""
    memory = Memory(0)
    memory.feed(0)
    for symbol in ids:
        candidates, kinds = memory.feed(symbol)
        yield memory, candidates[-1], kinds[-1]


def test_a_line_that_comes_again_is_followed_from_its_fourth_symbol_on() -> None:
    guesses = [(candidate, kind) for _, candidate, kind in read([*LINE, 1, *LINE, 2])]
    assert guesses[: len(LINE) + LEAST] == [(0, 0)] * (len(LINE) + LEAST)
    followed = guesses[len(LINE) + LEAST :]
    assert [candidate for candidate, _ in followed[:-1]] == [*LINE[LEAST:], 1]
    assert [kind for _, kind in followed[:-1]] == [
        1 + sum(length >= bound for bound in LENGTHS) for length in range(4, 13)
    ]
    assert followed[-1][0] == LINE[0], "behind the other symbol it goes on"
    assert followed[-1][1] == 2 + len(LENGTHS)


@pytest.mark.parametrize("alike, goes_on", [(WELL_BEGUN - 1, False), (WELL_BEGUN, True)])
def test_only_a_repeat_that_is_well_begun_goes_on_behind_another_symbol(alike: int, goes_on: bool) -> None:
    line = list(range(10, 40))
    *_, (memory, candidate, kind) = read([*line, *line[:alike], 99])
    assert (memory.here.precedent is not None) == goes_on
    assert (candidate, kind) == ((line[alike + 1], 2 + len(LENGTHS)) if goes_on else (0, 0))


@pytest.mark.parametrize("alike, goes_on", [(RESUMED - 1, False), (RESUMED, True)])
def test_behind_a_second_one_it_goes_on_sooner(alike: int, goes_on: bool) -> None:
    line = list(range(10, 40))
    again = [*line[:10], 98, *line[11 : 11 + alike], 99]
    *_, (memory, _, _) = read([*line, *again])
    assert (memory.here.precedent is not None) == goes_on


def test_after_a_while_it_no_longer_matters_that_one_was_different() -> None:
    line = list(range(10, 60))
    kinds = [kind for _, _, kind in read([*line, *line[:10], 98, *line[11:]])][-len(line) + 10 :]
    lengths = range(1, len(line) - 10)
    later = 2 + len(LENGTHS)
    wanted = [later] + [
        later + sum(length >= bound for bound in RESUMED_LENGTHS)
        if length < MENDED
        else 1 + sum(length >= bound for bound in LENGTHS)
        for length in lengths
    ]
    assert kinds == wanted


def test_the_latest_place_counts() -> None:
    *_, (_, candidate, _) = read([*LINE, 1, *LINE, 2, 9, 9, 9, *LINE[-5:]])
    assert candidate == 2


def test_every_kind_has_a_row_of_the_table() -> None:
    kinds = {Precedent(1, length, varied).kind for length, varied in itertools.product(range(100), (False, True))}
    assert kinds == set(range(1, REPEATS + 1)) and REPEATS < KINDS == TABLE_SHAPE[1] and TABLE_SHAPE[0] == SLOTS


@given(st.lists(st.integers(1, 3), max_size=200))
def test_what_is_followed_stands_there(ids: list[int]) -> None:
    for end, (memory, candidate, kind) in enumerate(read(ids), 1):
        repeat = memory.here.precedent
        if repeat is None:
            assert (candidate, kind) == (0, 0)
            assert ids[end - LEAST : end] not in [ids[start : start + LEAST] for start in range(end - LEAST)]
            continue
        place, length, varied = repeat
        assert LEAST <= place < end and candidate == ids[place] and kind == repeat.kind
        assert ids[place - length : place] == ids[end - length : end]
        if varied:
            assert ids[place - length - 1] != ids[end - length - 1] and length < MENDED
        else:
            assert length >= LEAST


def test_what_is_forgotten_is_no_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "REMEMBERED", 50)
    one, other = list(range(100, 200)), list(range(200, 320))
    *_, (_, candidate, kind) = read([*one, *other, *one[:40]])
    assert (candidate, kind) == (0, 0)
    *_, (_, candidate, kind) = read([*one, *other, *other[90:110]])
    assert candidate == other[110] and kind


def test_a_repeat_is_followed_over_the_end_of_what_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has begun in what is remembered, and is forgotten on the way, never guesses what did not stand there."""
    monkeypatch.setattr(recall, "REMEMBERED", 30)
    cycle = list(range(1, 48))
    guesses = [(candidate, kind) for _, candidate, kind in read(cycle * 8)]
    coming = [*cycle[1:], cycle[0]] * 8
    told = [(guess, symbol) for (guess, kind), symbol in zip(guesses, coming, strict=True) if kind]
    assert told and all(guess == symbol for guess, symbol in told)


def test_a_sample_goes_on_with_the_seed_and_not_beyond_its_end() -> None:
    table = torch.zeros(TABLE_SHAPE)
    table[-1, 1:, 0] = 2.0  # repeats alone are trusted
    reminder = Reminder(table, 0, [0, *LINE, 1, *LINE[:6]], width=2)
    logits = torch.zeros(2, 100)
    raised = []
    for symbol in LINE[6:]:
        raised.append(int(reminder.bend(logits)[0].argmax()))
        reminder.feed([symbol, 50])
    assert raised == LINE[6:]
    assert int(reminder.bend(logits)[0].argmax()) == 1
    assert torch.allclose(reminder.bend(logits)[1], logits[1].log_softmax(-1)), "the other one wrote something else"
    for symbol in (1, *LINE[:6]):
        reminder.feed([symbol, symbol])
    end = reminder.bend(logits)
    assert torch.allclose(end, logits.log_softmax(-1)), "behind the seed nothing is known"
