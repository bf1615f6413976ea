"""Rows of a table that the compiled path works on, shared among torch's threads."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from ctypes import c_int32
from typing import Any

import torch


def share(call: Callable[..., Any], table: Any, rows: int) -> None:
    """Has each thread do some of the rows; a call into C lets the others run.

    Args:
        call: takes the table, the first of its rows and the one behind the last.
        table: what is worked on.
        rows: how many there are.
    """
    threads = max(1, min(torch.get_num_threads(), rows))
    bounds = [rows * part // threads for part in range(threads + 1)]
    parts = [(c_int32(first), c_int32(last)) for first, last in itertools.pairwise(bounds)]
    others = [_pool(threads - 1).submit(call, table, *part) for part in parts[1:]]
    call(table, *parts[0])
    for other in others:
        other.result()


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="seqgen")
