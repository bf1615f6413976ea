"""The last symbols of a reply are looked up at once."""

from __future__ import annotations

import itertools
import math

import torch

from seqgen.models.phrases import LONGEST, ROWS, Phrases, windows


def table(features: int = 16) -> Phrases:
    phrases = Phrases(features)
    phrases.reset_parameters(torch.Generator().manual_seed(1))
    return phrases


def test_a_window_holds_the_last_symbols_and_nothing_from_another_reply() -> None:
    ids = torch.tensor([[1, 6], [2, 7], [3, 8], [4, 9], [5, 10]])  # (time, batch)
    seen = windows(ids)
    assert seen.shape == (5, 2, LONGEST)
    assert seen[:, 0].tolist() == [[0, 0, 0, 1], [0, 0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5]]
    assert seen[4, 1].tolist() == [7, 8, 9, 10]


def test_each_of_the_last_symbols_counts_and_so_does_their_order() -> None:
    phrases, usual = table(), torch.tensor([3, 4, 5, 6])
    said = phrases(usual)
    for place in range(LONGEST):
        other = usual.clone()
        other[place] += 1
        assert not torch.allclose(phrases(other), said)
    orders = [phrases(torch.tensor(order)) for order in itertools.permutations(usual.tolist())]
    assert len({tuple(each.tolist()) for each in orders}) == len(orders)


def test_phrases_that_end_alike_share_what_is_learned_of_their_end() -> None:
    """Of two, three and four symbols one row each: replies that part four symbols ago share two of them."""
    phrases = table()
    phrases.table = torch.nn.Parameter(torch.eye(ROWS))  # so that the sum says which rows were read
    one, other, apart = (phrases(torch.tensor(recent)) for recent in ([1, 4, 5, 6], [2, 4, 5, 6], [4, 5, 6, 7]))
    assert one.sum() == LONGEST - 1 == other.sum()
    assert (one * other).sum() == LONGEST - 2
    assert (one * apart).sum() == 0


def test_long_ids_find_a_row() -> None:
    assert table()(torch.full((LONGEST,), 2**20)).isfinite().all()


def test_phrases_are_spread_over_the_rows() -> None:
    phrases = table(1)
    phrases.table = torch.nn.Parameter(torch.arange(float(ROWS)).unsqueeze(1))
    recent = torch.tensor(list(itertools.product(range(20), repeat=3)))
    recent = torch.cat([torch.zeros(len(recent), 1, dtype=torch.long), recent], dim=1)
    of_two = phrases(recent.index_fill(1, torch.tensor([1]), 0))  # its three rows are one
    of_three = (phrases(recent) - of_two / 3) / 2
    assert len(of_three.unique()) > 0.8 * ROWS * (1 - math.exp(-len(recent) / ROWS))  # of what chance would fill
