"""What the compiled path works on, shared among torch's threads."""

from __future__ import annotations

import ctypes
import functools
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from ctypes import c_int32
from typing import Any

import torch

_TOGETHER = threading.Lock()
"""Whoever wants threads that all run at once has to wait until they are free: if two had some each, both would wait for ever."""


def share(call: Callable[..., Any], table: Any, rows: int) -> None:
    """Has each thread do some of the rows; a call into C lets the others run.

    Args:
        call: takes the table, the first of its rows and the one behind the last.
        table: what is worked on.
        rows: how many there are.
    """
    parts = _parts(rows)
    others = [_pool(len(parts) - 1).submit(call, table, *part) for part in parts[1:]]
    call(table, *parts[0])
    for other in others:
        other.result()


def share_in_step(call: Callable[..., Any], table: Any, units: int, wide: int) -> None:
    """The same for work whose threads wait for each other, step by step.

    Args:
        call: takes the table, the first of its units and the one behind the last.
        table: what is worked on; here it is told how many threads do, and where they count the steps that are done.
        units: how many there are.
        wide: how many of them cannot be parted.
    """
    parts, done = _parts(units, wide), c_int32(0)
    table.threads, table.done = len(parts), ctypes.addressof(done)
    with _TOGETHER:
        others: list[Future[Any]] = []
        try:
            for part in parts[1:]:
                others.append(_pool(len(parts) - 1).submit(call, ctypes.byref(table), *part))
            call(ctypes.byref(table), *parts[0])
        except BaseException:  # a second Ctrl-C between the two: nobody is to wait for who never comes
            done.value = 1 << 30
            raise
        finally:
            for other in others:
                other.result()


def _parts(count: int, wide: int = 1) -> list[tuple[c_int32, c_int32]]:
    """For each thread the first of its share and the one behind the last, in multiples of `wide`."""
    blocks = count // wide
    threads = max(1, min(torch.get_num_threads(), blocks))
    bounds = [blocks * part // threads * wide for part in range(threads + 1)]
    return [(c_int32(first), c_int32(last)) for first, last in itertools.pairwise(bounds)]


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """So many threads, all of them begun: one that could not begin later would leave its part to be done when its table is gone.

    Raises:
        RuntimeError: the system has no room for so many.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="seqgen")
    begun = threading.Barrier(threads + 1)
    try:
        for _ in range(threads):
            pool.submit(begun.wait)
        begun.wait()
    except BaseException:
        begun.abort()
        raise
    return pool
