"""Momentum and updates of parameters by the compiled path: what torch computes, to the last bit of bfloat16 but one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from seqgen.native import sharing, updates
from seqgen.native.compiling import load_library
from seqgen.native.updates import Following, Updating, follow, update

SHAPES = [(1, 1), (3, 5), (64, 80), (33, 97)]


@pytest.fixture(params=["compiled", "torch"])
def ran(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the compiled path was asked for; it is there, or it is not."""
    asked: list[str] = []
    if request.param == "torch":
        monkeypatch.setattr(updates, "load_library", lambda source: None)
    elif load_library(updates.SOURCE) is None:
        pytest.skip("no C compiler here")

    def recorded(call: Any, table: Any, numbers: int) -> None:
        asked.append(call.__name__)
        sharing.share(call, table, numbers)

    monkeypatch.setattr(updates, "share", recorded)
    yield asked
    assert bool(asked) == (request.param == "compiled")


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
def test_it_follows_gradients_with_momentum(shape: tuple[int, int], threads: int, ran: list[str]) -> None:
    gradient, momentum = draw(*shape, seed=1), draw(*shape, seed=2)
    expected = 0.95 * momentum.double() + 0.05 * gradient.double()
    direction = 0.95 * expected + 0.05 * gradient.double()
    wanted = torch.empty(shape, dtype=torch.bfloat16)
    follow([Following(gradient, momentum, wanted)], 0.95)
    torch.testing.assert_close(momentum.double(), expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(wanted.double(), direction, rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_it_takes_a_change_from_what_is_kept(shape: tuple[int, int], threads: int, ran: list[str]) -> None:
    param, change = draw(*shape, seed=3), draw(*shape, seed=4).bfloat16()
    expected = 0.9 * param.double() - 0.04 * change.double()
    update([Updating(param, change)], 0.9, 0.04)
    torch.testing.assert_close(param.double(), expected, rtol=1e-6, atol=1e-6)


def test_a_change_may_lie_in_memory_as_its_transpose(ran: list[str]) -> None:
    param, change = torch.zeros(6, 4), draw(4, 6, seed=5).bfloat16().t()
    update([Updating(param, change)], 1.0, 1.0)
    assert torch.equal(param, -change.float())


def test_bfloat16_is_rounded_to_the_nearest_and_to_the_even_of_two(ran: list[str]) -> None:
    momentum = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -1 - 2**-9, 0.0, 3e38])
    wanted = torch.empty(6, dtype=torch.bfloat16)
    follow([Following(momentum.clone(), momentum, wanted)], 0.5)
    assert torch.equal(wanted, momentum.bfloat16())


def test_numbers_of_other_types_and_other_places_are_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(updates, "share", lambda *_: pytest.fail("it is not compiled for them"))
    for dtype, low in ((torch.float32, torch.float32), (torch.float64, torch.bfloat16)):
        gradient, momentum, wanted = (torch.ones(4, dtype=each) for each in (dtype, dtype, low))
        follow([Following(gradient, momentum, wanted)], 0.5)
        update([Updating(gradient, wanted)], 1.0, 0.5)
        assert torch.equal(gradient, torch.full((4,), 0.5, dtype=dtype))
    apart = torch.ones(4, 2).t()  # a parameter whose rows do not follow each other
    update([Updating(apart, torch.ones(2, 4).bfloat16())], 1.0, 1.0)
    assert not apart.any()


def test_all_matrices_go_at_once_and_each_as_it_can(threads: int, ran: list[str]) -> None:
    shapes, types = (
        [(33, 97), (1, 1), (4, 6), (64, 80)],
        [torch.bfloat16, torch.bfloat16, torch.float32, torch.bfloat16],
    )
    alone, together = (
        [
            Following(draw(*shape, seed=seed), draw(*shape, seed=9 + seed), torch.empty(shape, dtype=dtype))
            for seed, (shape, dtype) in enumerate(zip(shapes, types, strict=True))
        ]
        for _ in range(2)
    )
    for each in alone:
        follow([each], 0.95)
        update([Updating(each.momentum, each.wanted)], 0.9, 0.04)
    before = len(ran)
    follow(together, 0.95)
    update([Updating(each.momentum, each.wanted) for each in together], 0.9, 0.04)
    assert ran[before:] == (["follow", "update"] if ran else [])
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.momentum, other.momentum) and torch.equal(one.wanted, other.wanted)
