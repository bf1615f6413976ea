"""What targets cost, by the compiled path (``nats.c``) where logits are in bfloat16: torch would turn all of them into float32
and back, and read them a dozen times.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_float, c_int64, c_void_p
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

from seqgen.native.compiling import load_library
from seqgen.native.sharing import share

SOURCE = Path(__file__).with_name("nats.c")
FEW = 256
"""Symbols below which torch is as fast."""


class _Table(Structure):
    _fields_ = (
        ("logits", c_void_p),
        ("targets", c_void_p),
        ("totals", c_void_p),
        ("nats", c_void_p),
        ("gradients", c_void_p),
        ("changes", c_void_p),
        ("symbols", c_int64),
        ("smoothing", c_float),
    )


def cross_entropy(logits: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Nats of each target, (rows,), in float32 or wider.

    With smoothing, their gradients are those of the nats with smoothed labels (Szegedy et al. 2016, section 7). The values are
    not, so that they can be compared with those of evaluation.

    Args:
        logits: (rows, symbols), of any floating type.
        targets: (rows,).
        smoothing: share of a label that goes to all symbols alike.
    """
    here = logits.dtype == torch.bfloat16 and logits.device.type == "cpu" and logits.shape[1] >= FEW
    if here and load_library(SOURCE) is not None:
        nats: Tensor = _Nats.apply(logits, targets, smoothing)  # type: ignore[no-untyped-call]
        return nats
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    nats = functional.cross_entropy(logits, targets, reduction="none")
    if not smoothing:
        return nats
    smoothed = functional.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
    return nats.detach() + (smoothed - smoothed.detach())


class _Nats(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        logits, targets = logits.contiguous(), targets.contiguous()
        rows, symbols = logits.shape
        nats, totals = logits.new_empty(rows, dtype=torch.float32), logits.new_empty(rows, dtype=torch.float32)
        table = _Table(
            logits=logits.data_ptr(),
            targets=targets.data_ptr(),
            totals=totals.data_ptr(),
            nats=nats.data_ptr(),
            symbols=symbols,
        )
        _run("forward", table, rows)
        ctx.save_for_backward(logits, targets, totals)
        ctx.smoothing = smoothing  # type: ignore[attr-defined]
        return nats

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        logits, targets, totals = ctx.saved_tensors
        rows, symbols = logits.shape
        of_nats, changes = gradients[0].float().contiguous(), torch.empty_like(logits)
        table = _Table(
            logits=logits.data_ptr(),
            targets=targets.data_ptr(),
            totals=totals.data_ptr(),
            gradients=of_nats.data_ptr(),
            changes=changes.data_ptr(),
            symbols=symbols,
            smoothing=ctx.smoothing,
        )
        _run("backward", table, rows)
        return changes, None, None


def _run(name: str, table: _Table, rows: int) -> None:
    library = load_library(SOURCE)
    assert library is not None
    share(library[name], ctypes.byref(table), rows)
