"""Momentum and the update of parameters by the compiled path (``updates.c``) where updates are of bfloat16: each number is read
and written once. Torch, which is the reference, does so three times as often. All matrices go at once, since to wake a thread
takes as long as some of them.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import Structure, c_float, c_int32, c_int64, c_void_p
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from seqgen.native.compiling import load_library
from seqgen.native.sharing import share

SOURCE = Path(__file__).with_name("updates.c")
SHARES = 64
"""Parts of each matrix that are shared among threads: of more threads some would have nothing to do."""


class Following(NamedTuple):
    """What momentum needs of a parameter, all of its shape: gradient and momentum, float32, and where to write the direction, of
    any floating type."""

    gradient: Tensor
    momentum: Tensor
    wanted: Tensor


class Updating(NamedTuple):
    """A parameter, float32, and its change, of its shape and of any floating type."""

    param: Tensor
    change: Tensor


class _Following(Structure):
    _fields_ = (("gradient", c_void_p), ("momentum", c_void_p), ("wanted", c_void_p), ("numbers", c_int64))


class _Updating(Structure):
    _fields_ = (("param", c_void_p), ("change", c_void_p), ("numbers", c_int64))


class _Followings(Structure):
    _fields_ = (("matrices", c_void_p), ("count", c_int32), ("shares", c_int32), ("memory", c_float))


class _Updatings(Structure):
    _fields_ = (("matrices", c_void_p), ("count", c_int32), ("shares", c_int32), ("kept", c_float), ("rate", c_float))


def follow(matrices: Sequence[Following], memory: float) -> None:
    """Changes momentum by gradients, and writes where Nesterov's momentum wants to go.

    Args:
        matrices: all that are to be changed.
        memory: the share of the momentum that stays.
    """
    compiled: list[Following] = []
    for gradient, momentum, wanted in matrices:
        gradient = gradient.contiguous()
        if _is_compiled(gradient, momentum, low=wanted):
            compiled.append(Following(gradient, momentum, wanted))
        else:
            wanted.copy_(gradient.lerp(momentum.lerp_(gradient, 1 - memory), memory))
    if compiled:
        rows = [_Following(*map(Tensor.data_ptr, each), each.momentum.numel()) for each in compiled]
        table = (_Following * len(rows))(*rows)
        _run("follow", _Followings(ctypes.addressof(table), len(rows), SHARES, memory))


def update(matrices: Sequence[Updating], kept: float, rate: float) -> None:
    """Takes so much of each change from what is kept of its parameter.

    Args:
        matrices: all that are to be changed.
        kept: share of the parameters.
        rate: of the changes.
    """
    compiled: list[Updating] = []
    for param, change in matrices:
        change = change.contiguous()
        if _is_compiled(param, low=change):
            compiled.append(Updating(param, change))
        else:
            param.mul_(kept).add_(change, alpha=-rate)
    if compiled:
        rows = [_Updating(*map(Tensor.data_ptr, each), each.param.numel()) for each in compiled]
        table = (_Updating * len(rows))(*rows)
        _run("update", _Updatings(ctypes.addressof(table), len(rows), SHARES, kept, rate))


def _is_compiled(*tensors: Tensor, low: Tensor) -> bool:
    """Whether the compiled path knows such tensors."""
    known = low.dtype == torch.bfloat16 and all(each.dtype == torch.float32 for each in tensors)
    here = all(each.device.type == "cpu" and each.is_contiguous() for each in (*tensors, low))
    return known and here and load_library(SOURCE) is not None


def _run(name: str, table: Structure) -> None:
    library = load_library(SOURCE)
    assert library is not None
    share(library[name], ctypes.byref(table), SHARES)
