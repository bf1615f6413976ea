"""Momentum and the update of a parameter by the compiled path (``updates.c``) where updates are of bfloat16: each number is read
and written once. Torch, which is the reference, does so three times as often.
"""

from __future__ import annotations

import ctypes
from ctypes import Structure, c_float, c_void_p
from pathlib import Path

import torch
from torch import Tensor

from seqgen.native.compiling import load_library
from seqgen.native.sharing import share

SOURCE = Path(__file__).with_name("updates.c")


class _Following(Structure):
    _fields_ = (("gradient", c_void_p), ("momentum", c_void_p), ("wanted", c_void_p), ("memory", c_float))


class _Updating(Structure):
    _fields_ = (("param", c_void_p), ("change", c_void_p), ("kept", c_float), ("rate", c_float))


def follow(gradient: Tensor, momentum: Tensor, memory: float, wanted: Tensor) -> None:
    """Changes the momentum by a gradient, and writes where Nesterov's momentum wants to go.

    Args:
        gradient: float32.
        momentum: of its shape and type.
        memory: the share of the momentum that stays.
        wanted: of its shape, of any floating type.
    """
    gradient = gradient.contiguous()
    if _is_compiled(gradient, momentum, low=wanted):
        table = _Following(gradient.data_ptr(), momentum.data_ptr(), wanted.data_ptr(), memory)
        _run("follow", table, momentum)
    else:
        wanted.copy_(gradient.lerp(momentum.lerp_(gradient, 1 - memory), memory))


def update(param: Tensor, change: Tensor, kept: float, rate: float) -> None:
    """Takes so much of a change from what is kept of a parameter.

    Args:
        param: float32.
        change: of its shape, of any floating type.
        kept: share of the parameter.
        rate: of the change.
    """
    change = change.contiguous()
    if _is_compiled(param, low=change):
        _run("update", _Updating(param.data_ptr(), change.data_ptr(), kept, rate), param)
    else:
        param.mul_(kept).add_(change, alpha=-rate)


def _is_compiled(*tensors: Tensor, low: Tensor) -> bool:
    """Whether the compiled path knows such tensors."""
    known = low.dtype == torch.bfloat16 and all(each.dtype == torch.float32 for each in tensors)
    here = all(each.device.type == "cpu" and each.is_contiguous() for each in (*tensors, low))
    return known and here and load_library(SOURCE) is not None


def _run(name: str, table: Structure, tensor: Tensor) -> None:
    library = load_library(SOURCE)
    assert library is not None
    share(library[name], ctypes.byref(table), tensor.numel())
