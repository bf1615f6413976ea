"""Windows of LSTMs by the compiled path: the same numbers as torch in float32, as near as bfloat16 comes, and always the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from ctypes import Structure, c_int32, c_void_p
from typing import Any

import pytest
import torch
from torch import Tensor

from seqgen.alphabet import Alphabet
from seqgen.models import CELLS, Batch, LanguageModel
from seqgen.models.cells import Weights
from seqgen.native import sharing, windows
from seqgen.recipe import ModelSettings

pytestmark = pytest.mark.skipif(
    not windows.is_available(), reason="no C compiler here, or a processor that does not multiply bfloat16"
)

SHAPES = [(1, 1, 32, 5), (7, 3, 32, 32), (12, 4, 64, 16), (9, 16, 96, 20), (5, 21, 64, 64)]
"""Time, rows, hidden, features."""


@pytest.fixture(params=["vectors", "tiles", "tiles of shared units"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether products are taken from the processor's matrix unit, and whether threads share units then, not streams."""
    way = str(request.param)
    if way != "vectors" and not windows.has_tiles():
        pytest.skip("this processor has no matrix unit, or the system does not lend it")
    monkeypatch.setattr(windows, "has_tiles", lambda: way != "vectors")
    monkeypatch.setattr(windows, "CACHED", 0 if "shared" in way else 1 << 30)
    return way


def layer(time: int, rows: int, hidden: int, features: int) -> tuple[list[Tensor], Weights]:
    """What a layer is fed (inputs, hidden and cell state) and its weights, all wanting gradients."""
    draw = torch.Generator().manual_seed(1)

    def tensor(*shape: int, scale: float) -> Tensor:
        return (torch.randn(shape, generator=draw) * scale).bfloat16().float().requires_grad_()

    fed = [tensor(time, rows, features, scale=1.0), tensor(rows, hidden, scale=0.3), tensor(rows, hidden, scale=1.0)]
    weights = Weights(
        tensor(4 * hidden, features, scale=features**-0.5),
        tensor(4 * hidden, hidden, scale=hidden**-0.5),
        tensor(4 * hidden, scale=0.5),
        tensor(4 * hidden, scale=0.5),
    )
    return fed, weights


def gradients(outputs: Tensor, state: tuple[Tensor, ...], leaves: list[Tensor]) -> list[Tensor]:
    """Of all leaves, where outputs and both last states count."""
    draw = torch.Generator().manual_seed(2)
    parts = [outputs, *state]
    loss = sum((torch.randn(part.shape, generator=draw) * part.float()).sum() for part in parts)
    assert isinstance(loss, Tensor)
    return list(torch.autograd.grad(loss, leaves))


def difference(found: Tensor, wanted: Tensor) -> float:
    found, wanted = found.detach().float(), wanted.detach()
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("shape", SHAPES)
def test_it_computes_what_the_kernel_of_torch_does_and_its_gradients(
    shape: tuple[int, int, int, int], threads: int, way: str
) -> None:
    (inputs, *state), weights = layer(*shape)
    leaves = [inputs, *state, *weights]
    cell = CELLS["lstm"]
    wanted, last = cell.run(inputs, tuple(state), weights, True)
    outputs, found = cell.run_compiled(inputs, tuple(state), weights)
    assert outputs.dtype == torch.bfloat16 and outputs.shape == wanted.shape
    assert difference(outputs, wanted) < 0.01
    for one, other in zip(found, last, strict=True):
        assert difference(one, other) < 0.01
    for one, other in zip(gradients(outputs, found, leaves), gradients(wanted, last, leaves), strict=True):
        assert one.dtype == torch.float32 and one.shape == other.shape
        assert difference(one, other) < 0.02


def test_gates_may_be_wide_open_or_shut(way: str) -> None:
    (inputs, *state), weights = layer(6, 3, 32, 8)
    wild = (inputs.detach() * 1e4).requires_grad_()
    outputs, last = CELLS["lstm"].run_compiled(wild, tuple(state), weights)
    assert outputs.abs().max() <= 1 and outputs.abs().max() > 0.9
    assert all(gradient.isfinite().all() for gradient in gradients(outputs, last, [wild, *state, *weights]))


def test_a_stream_does_not_depend_on_those_beside_it_nor_on_threads(way: str) -> None:
    (inputs, *state), weights = layer(8, 13, 64, 16)
    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        outputs, (_, cell) = windows.run_lstm(inputs, tuple(state), *weights[:3])
        results.append((outputs, cell, *torch.autograd.grad(outputs.float().square().sum(), [inputs, *state])))
    torch.set_num_threads(before)
    for others in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(results[0], others, strict=True))
    some = windows.run_lstm(inputs[:, 2:9], tuple(each[2:9] for each in state), *weights[:3])[0]
    torch.testing.assert_close(
        some, results[0][0][:, 2:9], rtol=0, atol=0.01
    )  # but for the product beforehand, the same


def test_the_matrix_unit_is_asked_for_both_ways(way: str, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    def recorded(share: Callable[..., None]) -> Callable[..., None]:
        def also(call: Any, table: Any, *numbers: int) -> None:
            share(call, table, *numbers)
            asked.append((call.__name__, bool(getattr(getattr(table, "_obj", table), "tiles", False))))

        return also

    monkeypatch.setattr(windows, "share", recorded(sharing.share))
    monkeypatch.setattr(windows, "share_in_step", recorded(sharing.share_in_step))
    (inputs, *state), weights = layer(3, 2, 64, 8)
    torch.autograd.grad(windows.run_lstm(inputs, tuple(state), *weights[:3])[0].sum(), [inputs])
    end = "_of_units" if "shared" in way and threads > 1 else ""
    assert asked == [("pack", False), (f"forward{end}", way != "vectors"), (f"backward{end}", way != "vectors")]


def test_threads_that_wait_for_each_other_do_not_wait_for_one_that_never_comes(threads: int) -> None:
    ended: list[int] = []

    class Table(Structure):
        _fields_ = (("done", c_void_p), ("threads", c_int32))

    def call(table: Any, first: c_int32, last: c_int32) -> None:
        if not first.value:
            raise KeyboardInterrupt
        done, patience = c_int32.from_address(table._obj.done), time.monotonic() + 5
        while done.value < table._obj.threads and time.monotonic() < patience:
            time.sleep(0.001)
        if done.value >= table._obj.threads:
            ended.append(first.value)

    with pytest.raises(KeyboardInterrupt):
        sharing.share_in_step(call, Table(), 96, 32)
    assert sorted(ended) == [32, 64][: threads - 1]


def test_where_not_all_threads_can_begin_none_is_left_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[threading.Thread] = []
    start = threading.Thread.start

    def begin(thread: threading.Thread) -> None:
        if len(begun) == 2:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", begin)
    sharing._pool.cache_clear()
    with pytest.raises(RuntimeError):
        sharing._pool(3)
    monkeypatch.undo()
    for thread in begun:
        thread.join(5)
    assert len(begun) == 2 and not any(thread.is_alive() for thread in begun)


def test_products_of_torch_come_out_as_before_between_windows(way: str) -> None:
    (inputs, *state), weights = layer(8, 5, 64, 16)  # five rows: other tiles than those of the products below
    left = torch.randn(64, 96, generator=torch.Generator().manual_seed(4)).bfloat16()
    wanted = left @ left.t()
    for _ in range(3):
        windows.run_lstm(inputs, tuple(state), *weights[:3])
        assert torch.equal(left @ left.t(), wanted)


def test_a_model_uses_it_in_training_alone_and_only_where_it_fits() -> None:
    ids = torch.randint(9, (20, 4), generator=torch.Generator().manual_seed(3))
    for cell, hidden, fits in (("lstm", 64, True), ("lstm", 40, False), ("gru", 64, False), ("rnn", 64, False)):
        model = LanguageModel(Alphabet(9), ModelSettings(cell=cell, hidden=hidden, embedding=8, layers=2))
        model.reset_parameters(torch.Generator().manual_seed(1))
        batch, state = Batch(ids[:-1], ids[1:]), model.zero_state(4)
        plain = model.eval().loss(batch, state)[0]
        assert model.use_compiled() == fits
        assert [each.compiled for each in model.recurrent_layers()] == [fits, fits]
        assert torch.equal(model.loss(batch, state)[0], plain)
        model.train().noise = torch.Generator().manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16):
            trained = model.loss(batch, state)[0]
        torch.testing.assert_close(trained, plain, rtol=0, atol=0.05)
