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
    """What momentum needs of a parameter, all of one shape: gradient and momentum, float32, and where to write the direction, of
    any floating type."""

    gradient: Tensor
    momentum: Tensor
    wanted: Tensor


class Updating(NamedTuple):
    """A parameter, float32, and its change, of its shape and of any floating type."""

    param: Tensor
    change: Tensor


class _Matrix(Structure):
    _fields_ = (("first", c_void_p), ("second", c_void_p), ("third", c_void_p), ("numbers", c_int64))


class _Pair(Structure):
    _fields_ = (("first", c_void_p), ("second", c_void_p), ("numbers", c_int64))


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
    matrices = [each._replace(gradient=each.gradient.contiguous()) for each in matrices]
    compiled = [each for each in matrices if _is_compiled(each.gradient, each.momentum, low=each.wanted)]
    if compiled:
        table = (_Matrix * len(compiled))(
            *(_Matrix(*map(Tensor.data_ptr, each), each.momentum.numel()) for each in compiled)
        )
        _run("follow", _Followings(ctypes.addressof(table), len(compiled), SHARES, memory))
    for gradient, momentum, wanted in matrices:
        if not _is_compiled(gradient, momentum, low=wanted):
            wanted.copy_(gradient.lerp(momentum.lerp_(gradient, 1 - memory), memory))


def update(matrices: Sequence[Updating], kept: float, rate: float) -> None:
    """Takes so much of each change from what is kept of its parameter.

    Args:
        matrices: all that are to be changed.
        kept: share of the parameters.
        rate: of the changes.
    """
    matrices = [each._replace(change=each.change.contiguous()) for each in matrices]
    compiled = [each for each in matrices if _is_compiled(each.param, low=each.change)]
    if compiled:
        table = (_Pair * len(compiled))(*(_Pair(*map(Tensor.data_ptr, each), each.param.numel()) for each in compiled))
        _run("update", _Updatings(ctypes.addressof(table), len(compiled), SHARES, kept, rate))
    for param, change in matrices:
        if not _is_compiled(param, low=change):
            param.mul_(kept).add_(change, alpha=-rate)


def _is_compiled(*tensors: Tensor, low: Tensor) -> bool:
    """Whether the compiled path knows such tensors."""
    known = low.dtype == torch.bfloat16 and all(each.dtype == torch.float32 for each in tensors)
    here = all(each.device.type == "cpu" and each.is_contiguous() for each in (*tensors, low))
    return known and here and load_library(SOURCE) is not None


def _run(name: str, table: Structure) -> None:
    library = load_library(SOURCE)
    assert library is not None
    share(library[name], ctypes.byref(table), SHARES)
