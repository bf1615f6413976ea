"""What targets cost by the compiled path: the numbers of torch in float64, as near as bfloat16 comes, and always the same."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from seqgen.alphabet import Alphabet
from seqgen.models import Batch, LanguageModel
from seqgen.native import nats
from seqgen.native.compiling import load_library
from seqgen.native.nats import cross_entropy
from seqgen.recipe import ModelSettings

compiled = pytest.mark.skipif(load_library(nats.SOURCE) is None, reason="no C compiler here")


def table(rows: int, symbols: int, scale: float = 3.0) -> tuple[Tensor, Tensor, Tensor]:
    """Logits in bfloat16, targets, and gradients of their nats."""
    draw = torch.Generator().manual_seed(rows * symbols)
    logits = (torch.randn(rows, symbols, generator=draw) * scale).bfloat16()
    return logits, torch.randint(symbols, (rows,), generator=draw), torch.rand(rows, generator=draw)


def told(logits: Tensor, targets: Tensor, weights: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Nats, and the gradients of the logits."""
    logits = logits.clone().requires_grad_()
    found = cross_entropy(logits, targets, smoothing)
    (gradients,) = torch.autograd.grad(found, [logits], weights.to(found.dtype))
    return found.detach(), gradients


@compiled
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(1, 256), (9, 300), (64, 4001), (33, 1024)])
def test_nats_and_gradients_are_those_of_torch(shape: tuple[int, int], smoothing: float, threads: int) -> None:
    logits, targets, weights = table(*shape)
    found, gradients = told(logits, targets, weights, smoothing)
    wide = logits.double().requires_grad_()
    wanted = functional.cross_entropy(wide, targets, reduction="none")
    torch.testing.assert_close(found.double(), wanted.detach(), rtol=1e-6, atol=1e-5)
    smoothed = functional.cross_entropy(wide, targets, reduction="none", label_smoothing=smoothing)
    (other,) = torch.autograd.grad(smoothed, [wide], weights.double())
    assert gradients.dtype == torch.bfloat16
    torch.testing.assert_close(gradients.double(), other, rtol=2**-8, atol=1e-9)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_without_it_they_are_the_same_in_float32_and_of_few_symbols(
    smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits, targets, weights = table(20, 300)
    found = told(logits, targets, weights, smoothing)
    wide = told(logits.float(), targets, weights, smoothing)
    monkeypatch.setattr(nats, "load_library", lambda source: None)
    for other in (wide, told(logits, targets, weights, smoothing)):
        torch.testing.assert_close(found[0], other[0], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found[1].float(), other[1].float(), rtol=2**-7, atol=1e-9)
    few = told(*table(20, 30), smoothing)
    assert few[0].dtype == torch.float32 and few[1].dtype == torch.bfloat16


@compiled
def test_a_row_depends_on_nothing_beside_it_nor_on_threads() -> None:
    logits, targets, weights = table(13, 400)
    before, results = torch.get_num_threads(), []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        results.append(told(logits, targets, weights))
    torch.set_num_threads(before)
    alone = [told(logits[row : row + 1], targets[row : row + 1], weights[row : row + 1]) for row in range(13)]
    results.append((torch.cat([each for each, _ in alone]), torch.cat([each for _, each in alone])))
    for others in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(results[0], others, strict=True))


@compiled
def test_what_is_very_sure_stays_finite_and_what_is_no_number_is_told() -> None:
    logits, targets, weights = table(4, 256, scale=1e4)
    found, gradients = told(logits, targets, weights)
    assert found.isfinite().all() and gradients.isfinite().all()
    for strange in (float("nan"), float("inf")):
        logits[2, 7] = strange
        found, _ = told(logits, targets, weights)
        assert found.isfinite().tolist() == [True, True, False, True]


@compiled
def test_no_targets_cost_nothing() -> None:
    found, gradients = told(*table(0, 256))
    assert found.shape == (0,) and gradients.shape == (0, 256)


@compiled
def test_models_with_many_symbols_are_trained_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def load(source: Path) -> ctypes.CDLL | None:
        asked.append(source)
        return load_library(source)

    monkeypatch.setattr(nats, "load_library", load)
    for symbols, used in ((300, True), (9, False)):
        model = LanguageModel(Alphabet(symbols), ModelSettings(hidden=32, embedding=8, layers=1))
        model.reset_parameters(torch.Generator().manual_seed(1))
        ids = torch.randint(symbols, (20, 4), generator=torch.Generator().manual_seed(3))
        asked.clear()
        with torch.autocast("cpu", torch.bfloat16):
            found, _ = model.train().loss(Batch(ids[:-1], ids[1:]), model.zero_state(4))
        found.mean().backward()  # type: ignore[no-untyped-call]
        assert bool(asked) == used
        with torch.no_grad():
            wanted, _ = model.eval().loss(Batch(ids[:-1], ids[1:]), model.zero_state(4))
        torch.testing.assert_close(found.detach(), wanted, rtol=0, atol=0.05)
