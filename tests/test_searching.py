"""Beam search: exact where the beam holds all, greedy where it holds one, the same in a batch as alone."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from seqgen.alphabet import Alphabet
from seqgen.errors import UsageError
from seqgen.models import ReplyModel
from seqgen.recipe import ModelSettings
from seqgen.searching import Found, SearchSettings, _without_repeats, search

SYMBOLS, LONGEST = 4, 4
MESSAGES = [[1, 2, 0], [3, 0], [2, 2, 1, 3, 1, 0]]


def build(symbols: int = SYMBOLS) -> ReplyModel:
    model = ReplyModel(Alphabet(symbols), ModelSettings(hidden=8, embedding=6, layers=2, phrases=True))
    model.reset_parameters(torch.Generator().manual_seed(1))
    for parameter in model.parameters():
        parameter.data.mul_(2.5)  # sure enough of itself for the order to matter
    return model.double().eval()


def found(model: ReplyModel, messages: list[list[int]], **settings: Any) -> list[list[Found]]:
    longest = max(map(len, messages))
    table = torch.tensor([message + [0] * (longest - len(message)) for message in messages])
    logits, state = model.start(table, torch.tensor([len(message) for message in messages]))
    return search(model, logits, state, SearchSettings(**{"no_repeat": 0, "longest": LONGEST, **settings}))


def nats_of(model: ReplyModel, message: list[int], ids: tuple[int, ...]) -> float:
    logits, state = model.start(torch.tensor([message]))
    nats = 0.0
    for symbol in (*ids, 0):
        nats -= float(logits[0].double().log_softmax(-1)[symbol].detach())
        logits, state = model.step(torch.tensor([symbol]), state)
    return nats


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_wide_beam_finds_what_an_exhaustive_search_finds(power: float) -> None:
    model = build()
    for message in MESSAGES:
        sequences = [ids for length in range(LONGEST) for ids in itertools.product(range(1, SYMBOLS), repeat=length)]
        scores = {ids: -nats_of(model, message, ids) / (len(ids) + 1) ** power for ids in sequences}
        ranked = sorted(scores, key=lambda ids: -scores[ids])
        results = found(model, [message], beam=200, length_power=power)[0]
        assert [tuple(one.ids) for one in results] == ranked
        assert [one.score for one in results] == pytest.approx([scores[ids] for ids in ranked])


def test_a_beam_of_one_is_greedy() -> None:
    model = build(20)
    for message in MESSAGES:
        logits, state = model.start(torch.tensor([message]))
        greedy: list[int] = []
        while len(greedy) < 11 and (symbol := int(logits[0].argmax())) != 0:
            greedy.append(symbol)
            logits, state = model.step(torch.tensor([symbol]), state)
        assert [one.ids for one in found(model, [message], beam=1, longest=12)[0]] == [greedy]


def test_many_prompts_at_once_give_what_each_gives_alone() -> None:
    model = build(20)
    together = found(model, MESSAGES, beam=3, longest=12)
    for message, results in zip(MESSAGES, together, strict=True):
        alone = found(model, [message], beam=3, longest=12)[0]
        assert [one.ids for one in results] == [one.ids for one in alone]
        assert [one.nats for one in results] == pytest.approx([one.nats for one in alone], abs=1e-9)


def test_the_nats_told_are_those_of_the_model() -> None:
    model = build(20)
    for one in found(model, [MESSAGES[0]], beam=6, longest=8)[0]:
        assert one.nats == pytest.approx(nats_of(model, MESSAGES[0], tuple(one.ids)), abs=1e-6)


class Stutterer:
    """A model that always finds 1 and 2 in turn the likeliest, and the end nearly as likely as others."""

    def step(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        logits = torch.zeros(len(ids), 5)
        logits[torch.arange(len(ids)), torch.where(ids == 1, 2, 1)] = 5.0
        return logits, state

    class State:
        def select(self, rows: Tensor) -> Any:
            return self


def test_no_sequence_stands_twice_where_that_is_not_wanted() -> None:
    model = Stutterer()
    logits, _ = model.step(torch.tensor([2]), None)
    free = search(model, logits, Stutterer.State(), SearchSettings(1, no_repeat=0, longest=9))  # type: ignore[arg-type]
    assert free[0][0].ids == [1, 2, 1, 2, 1, 2, 1, 2]
    bound = search(model, logits, Stutterer.State(), SearchSettings(2, no_repeat=3, longest=9))  # type: ignore[arg-type]
    for one in bound[0]:
        windows = list(zip(one.ids, one.ids[1:], one.ids[2:], strict=False))
        assert len(windows) == len(set(windows))


def test_first_symbols_that_are_not_allowed_do_not_come_first() -> None:
    model = build(20)
    logits, state = model.start(torch.tensor([MESSAGES[0]]))
    allowed = torch.zeros(20, dtype=torch.bool)
    allowed[[7, 9]] = True
    results = search(model, logits, state, SearchSettings(3, longest=6), allowed)[0]
    assert results and all(one.ids[0] in (7, 9) for one in results)


def shares_of(model: ReplyModel, message: list[int], temperature: float) -> dict[tuple[int, ...], float]:
    """How likely each sequence is to be drawn, where all end with the last symbol."""
    shares: dict[tuple[int, ...], float] = {}

    def follow(ids: tuple[int, ...], share: float, logits: Tensor, state: Any) -> None:
        if len(ids) == LONGEST - 1:
            shares[ids] = share
            return
        chances = (logits[0] / temperature).softmax(-1).tolist()
        shares[ids] = share * chances[0]
        for symbol in range(1, SYMBOLS):
            follow((*ids, symbol), share * chances[symbol], *model.step(torch.tensor([symbol]), state))

    follow((), 1.0, *model.start(torch.tensor([message])))
    return shares


@pytest.mark.parametrize("temperature", [1.0, 0.4])
def test_what_is_drawn_is_a_sample_without_replacement(temperature: float) -> None:
    model, message, seeds = build(), MESSAGES[0], 500
    shares = shares_of(model, message, temperature)
    assert sum(shares.values()) == pytest.approx(1)
    counts = dict.fromkeys(shares, 0)
    for seed in range(seeds):
        drawn = [
            tuple(one.ids) for one in found(model, [message], beam=2, temperature=temperature, random_seed=seed)[0]
        ]
        assert len(set(drawn)) == 2
        for ids in drawn:
            counts[ids] += 1
    for ids, share in shares.items():
        second = sum(other * share / (1 - other) for name, other in shares.items() if name != ids)
        assert counts[ids] / seeds == pytest.approx(share + second, abs=0.07)
    assert max(counts.values()) > 0.3 * seeds


def test_a_temperature_is_what_a_model_of_so_much_larger_logits_is_at_one() -> None:
    model, sharper = build(20), build(20)
    for part in (sharper.output, sharper.output_bias):
        part.data /= 0.5
    for seed in range(20):
        settings = {"beam": 6, "longest": 8, "random_seed": seed}
        drawn = found(model, MESSAGES, temperature=0.5, **settings)
        for one, other in zip(drawn, found(sharper, MESSAGES, temperature=1.0, **settings), strict=True):
            assert sorted(each.ids for each in one) == sorted(each.ids for each in other)


class Dice:
    """A model that finds three symbols equally likely, whatever came before, and then the end certain."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        self.steps += 1
        logits = torch.full((len(ids), 4), -torch.inf)
        logits[:, 0 if self.steps % 3 == 0 else slice(1, 4)] = 0.0
        return logits, state


def test_what_is_drawn_side_by_side_has_noise_of_its_own() -> None:
    unlike = 0
    for seed in range(20):
        model = Dice()
        settings = SearchSettings(2, temperature=1.0, random_seed=seed, no_repeat=0)
        drawn = search(model, model.step(torch.tensor([0]), None)[0], Stutterer.State(), settings)[0]  # type: ignore[arg-type]
        first, second = (one.ids for one in drawn)
        assert len(first) == len(second) == 2 and model.steps == 3
        unlike += first[0] != second[0] and first[1] != second[1]
    assert unlike > 3


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_nothing_is_followed_that_cannot_be_among_the_best_any_more(temperature: float) -> None:
    model = Stutterer()
    counted: list[int] = []

    def step(ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        counted.append(len(ids))
        logits = torch.zeros(len(ids), 5)
        logits[:, 0] = 8.0 - 2 * temperature  # most end at once
        return logits, state

    model.step = step  # type: ignore[method-assign]
    logits, _ = step(torch.tensor([2]), None)
    settings = SearchSettings(2, longest=50, temperature=temperature, no_repeat=0)
    assert len(search(model, logits, Stutterer.State(), settings)[0]) == 2  # type: ignore[arg-type]
    assert len(counted) < 6 and max(counted[1:]) == 1


def test_a_draw_wide_enough_for_all_has_each_once_with_the_nats_of_the_model() -> None:
    model = build()
    drawn = found(model, [MESSAGES[1]], beam=200, temperature=0.7)[0]
    assert sorted(tuple(one.ids) for one in drawn) == sorted(shares_of(model, MESSAGES[1], 1.0))
    assert [one.nats for one in drawn] == pytest.approx([nats_of(model, MESSAGES[1], tuple(one.ids)) for one in drawn])


def test_many_draws_at_once_give_what_each_gives_alone_and_every_seed_others() -> None:
    model = build(20)
    together = found(model, MESSAGES, beam=3, longest=12, temperature=1.0, random_seed=5)
    for message, results in zip(MESSAGES, together, strict=True):
        alone = found(model, [message], beam=3, longest=12, temperature=1.0, random_seed=5)[0]
        assert [one.ids for one in results] == [one.ids for one in alone]
    others = found(model, MESSAGES, beam=3, longest=12, temperature=1.0, random_seed=6)
    assert [[one.ids for one in each] for each in together] != [[one.ids for one in each] for each in others]


@pytest.mark.parametrize("temperature", [-0.5, float("inf"), float("nan")])
def test_a_temperature_is_a_number_from_zero_on(temperature: float) -> None:
    with pytest.raises(UsageError, match="temperature"):
        SearchSettings(temperature=temperature)


@pytest.mark.parametrize("name", ["beam", "longest"])
def test_nothing_cannot_be_followed(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        SearchSettings(**{name: 0})


def test_only_what_would_repeat_is_forbidden_and_the_end_never_is() -> None:
    history = torch.tensor([[1, 2, 3, 1, 2], [1, 2, 3, 2, 1]])
    allowed = _without_repeats(torch.zeros(2, SYMBOLS), history, 3).isfinite()
    assert allowed.tolist() == [[True, True, True, False], [True] * SYMBOLS]
