"""A window of an LSTM by the compiled path (``windows.c``): what must be done step by step, where torch is slower,
above all on the way back. In bfloat16, on processors that multiply it, by their matrix unit where they have one.
"""

from __future__ import annotations

import ctypes
import functools
from ctypes import Structure, c_int32, c_void_p
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

from seqgen.native.compiling import load_library
from seqgen.native.sharing import share, share_in_step

SOURCE = Path(__file__).with_name("windows.c")
GATES = 4
CACHED = 1_500_000
"""Bytes of recurrent weights that a thread can read in each step without waiting for them: processors with a matrix unit have two
megabytes of second cache for each core."""


class _Window(Structure):
    _fields_ = (
        ("inputs", c_void_p),
        ("bias", c_void_p),
        ("packed", c_void_p),
        ("first", c_void_p),
        ("cell", c_void_p),
        ("outputs", c_void_p),
        ("gates", c_void_p),
        ("cells", c_void_p),
        ("gradients", c_void_p),
        ("changes", c_void_p),
        ("of_hidden", c_void_p),
        ("of_cell", c_void_p),
        ("done", c_void_p),
        ("time", c_int32),
        ("rows", c_int32),
        ("hidden", c_int32),
        ("threads", c_int32),
        ("tiles", c_int32),
    )


class _Packing(Structure):
    _fields_ = (("weights", c_void_p), ("there", c_void_p), ("back", c_void_p), ("hidden", c_int32))


def is_available() -> bool:
    """Whether there is a compiled path on this machine, and a processor for it."""
    library = load_library(SOURCE)
    return library is not None and bool(library.is_supported())


def fits(hidden: int) -> bool:
    """Whether the compiled path knows layers of so many units here."""
    return is_available() and hidden % int(_library().wide()) == 0


@functools.cache
def has_tiles() -> bool:
    """Whether this process may use a matrix unit, as some processors have one."""
    return bool(_library().has_tiles())


def run_lstm(
    inputs: Tensor,
    state: tuple[Tensor, ...],
    input_weights: Tensor,
    recurrent_weights: Tensor,
    bias: Tensor,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """A window of one layer, whose gradients are known.

    Args:
        inputs: (time, rows, features), of any floating type.
        state: hidden and cell state before it, each (rows, hidden).
        input_weights: (gates * hidden, features).
        recurrent_weights: (gates * hidden, hidden).
        bias: (gates * hidden).

    Returns:
        Hidden states in bfloat16, (time, rows, hidden); the last hidden and cell state.
    """
    outputs, cell = _Lstm.apply(  # type: ignore[no-untyped-call]
        inputs.to(torch.bfloat16), *state, input_weights, recurrent_weights, bias
    )
    return outputs, (outputs[-1], cell)


class _Lstm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        inputs: Tensor,
        hidden: Tensor,
        cell: Tensor,
        input_weights: Tensor,
        recurrent_weights: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, Tensor]:
        time, rows, _ = inputs.shape
        units = hidden.shape[1]
        low_input, low_recurrent = input_weights.bfloat16(), recurrent_weights.bfloat16().contiguous()
        fed = functional.linear(inputs, low_input)  # with a bias torch would copy that to each step first
        there, back = torch.empty_like(low_recurrent), torch.empty_like(low_recurrent)
        packing = _Packing(_at(low_recurrent), _at(there), _at(back), units)
        share(_library().pack, ctypes.byref(packing), units // int(_library().wide()))
        first, before, bias = hidden.bfloat16().contiguous(), cell.float().contiguous(), bias.float().contiguous()
        outputs = inputs.new_empty(time, rows, units)
        gates, cells = before.new_empty(time, rows, GATES * units), before.new_empty(time, rows, units)
        window = _Window(
            inputs=_at(fed),
            bias=_at(bias),
            packed=_at(there),
            first=_at(first),
            cell=_at(before),
            outputs=_at(outputs),
            gates=_at(gates),
            cells=_at(cells),
            time=time,
            rows=rows,
            hidden=units,
        )
        _run("forward", window)
        ctx.save_for_backward(inputs, low_input, back, first, before, outputs, gates, cells)
        return outputs, cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        inputs, low_input, back, first, before, outputs, gates, cells = ctx.saved_tensors
        time, rows, features = inputs.shape
        units = first.shape[1]
        of_outputs, of_cell = gradients[0].bfloat16().contiguous(), gradients[1].float().clone()
        of_hidden = torch.zeros_like(before)
        changes = inputs.new_empty(time, rows, GATES * units)
        window = _Window(
            packed=_at(back),
            cell=_at(before),
            gates=_at(gates),
            cells=_at(cells),
            gradients=_at(of_outputs),
            changes=_at(changes),
            of_hidden=_at(of_hidden),
            of_cell=_at(of_cell),
            time=time,
            rows=rows,
            hidden=units,
        )
        _run("backward", window)
        flat = changes.view(time * rows, GATES * units)
        previous = torch.cat([first.unsqueeze(0), outputs[:-1]]).view(time * rows, units)
        return (
            (flat @ low_input).view_as(inputs),
            of_hidden,
            of_cell,
            (flat.t() @ inputs.reshape(time * rows, features)).float(),
            (flat.t() @ previous).float(),
            flat.sum(0).float(),
        )


def _run(way: str, window: _Window) -> None:
    """All steps of a window. Threads share its streams; or its units, where each of them would have to read more weights in each
    step than its part of the cache holds."""
    library = _library()
    window.tiles = has_tiles()
    if window.tiles and 2 * GATES * window.hidden**2 > CACHED and torch.get_num_threads() > 1:
        share_in_step(library[f"{way}_of_units"], window, window.hidden, int(library.wide()))
    else:
        share(library[way], ctypes.byref(window), window.rows)


def _at(tensor: Tensor) -> c_void_p:
    return c_void_p(tensor.data_ptr())


def _library() -> ctypes.CDLL:
    library = load_library(SOURCE)
    assert library is not None, "ask `is_available` first"
    return library
