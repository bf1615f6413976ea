"""The machine at hand: its processor, its threads, what torch can use of it, and how fast that is."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from seqgen.errors import UsageError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Parameters of glibc's `mallopt`."""
_DEFAULT_TOP_PAD = 128 << 10
_MADV_HUGEPAGE = 14
"""Linux's advice to `madvise`."""
MOST_KEPT = 1 << 30
"""Bytes of freed memory that the process keeps at most."""
LARGEST_KEPT = 32 << 20
"""Bytes of the largest block that it keeps; glibc allows no more."""
LARGE_PAGE = 2 << 20
LARGE_PAGED = 256 << 20
"""Bytes of its memory, from where a training begins, that are to lie in large pages. They are taken as they are first used."""


def default_threads() -> int:
    """One thread for each processor core that this process may use, 16 at most: small models gain nothing from more."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(usable, torch.get_num_threads(), 16))


def pick_device(name: str) -> str:
    """`cpu`, `cuda` or `mps`; `auto` takes CUDA where it is at hand, else the processor.

    Raises:
        UsageError: the device is unknown or not on this machine.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return "cuda" if present["cuda"] else "cpu"
    if not present.get(name, False):
        raise UsageError(
            f"there is no device {name!r} here",
            hint=f"At hand: {', '.join(key for key, here in present.items() if here)}.",
        )
    return name


@contextlib.contextmanager
def torch_settings(threads: int, device: str) -> Iterator[None]:
    """Sets torch's thread count and, on CUDA, its deterministic algorithms; puts every one back afterwards."""
    previous_threads = torch.get_num_threads()
    previous_deterministic = torch.are_deterministic_algorithms_enabled()
    previous_tf32, workspace = torch.backends.cudnn.allow_tf32, os.environ.get(_WORKSPACE)
    try:
        torch.set_num_threads(threads)
        if device == "cuda":
            os.environ.setdefault(_WORKSPACE, ":4096:8")
            torch.use_deterministic_algorithms(True)
            torch.backends.cudnn.allow_tf32 = False  # float32 is to mean float32
        yield
    finally:
        torch.set_num_threads(previous_threads)
        if (
            device == "cuda"
        ):  # elsewhere nothing was changed, and to say so loads torch's compiler, which takes a second
            torch.use_deterministic_algorithms(previous_deterministic)
            torch.backends.cudnn.allow_tf32 = previous_tf32
            if workspace is None:
                os.environ.pop(_WORKSPACE, None)


def prepare_training() -> None:
    """Spares this process what torch and the C library do by default, and training does not need."""
    _keep_freed_memory()
    _use_large_pages()
    _leave_compiler_alone()


def _keep_freed_memory() -> None:
    """By default every large block goes back to the system and comes again page by page, filled with zeros: as much work as
    a third of the backward pass of a small model, at each step. Only glibc can be told so."""
    with contextlib.suppress(OSError, AttributeError):
        if library := _glibc():
            library.mallopt(_MMAP_THRESHOLD, LARGEST_KEPT)
            library.mallopt(_TRIM_THRESHOLD, MOST_KEPT)


@functools.cache
def _use_large_pages() -> None:
    """A step touches some hundred megabytes. To find them takes a processor up to 7 % of it where they are in pages of 4 kB, in a
    virtual machine above all; Linux gives larger ones to memory for which they are asked. So the C library's heap grows at once,
    and once in a process, and they are asked for that."""
    with contextlib.suppress(OSError, AttributeError):
        library = _glibc()
        if library is None:
            return
        library.malloc.restype = library.sbrk.restype = ctypes.c_void_p
        library.malloc.argtypes, library.sbrk.argtypes = [ctypes.c_size_t], [ctypes.c_ssize_t]
        library.free.argtypes = [ctypes.c_void_p]
        library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        library.mallopt(_TOP_PAD, LARGE_PAGED)
        start = library.sbrk(0) or 0
        library.free(
            library.malloc(LARGEST_KEPT // 2)
        )  # more than lies free, and not so much that it gets a place of its own
        end = library.sbrk(0) or 0
        library.mallopt(_TOP_PAD, _DEFAULT_TOP_PAD)
        first, last = -(-start // LARGE_PAGE) * LARGE_PAGE, end // LARGE_PAGE * LARGE_PAGE
        if first < last:  # not where a limit keeps the heap from growing
            library.madvise(first, last - first, _MADV_HUGEPAGE)


def _glibc() -> ctypes.CDLL | None:
    """The C library, where it is the one whose memory can be told how to behave."""
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def _leave_compiler_alone() -> None:
    """An optimiser's first call loads torch's compiler, to be able to tell it what not to compile. That takes 1.4 seconds, and
    nothing is compiled here: so these methods look as if they had told it."""
    for method in vars(torch.optim.Optimizer).values():
        plain = getattr(method, "__wrapped__", None)
        if plain is not None:
            vars(plain).setdefault("__dynamo_disable", plain)


def matrix_rate(dtype: torch.dtype, device: str = "cpu", size: int = 1024, seconds: float = 0.05) -> float:
    """The machine's rate of large matrix products in floating point operations per second: the best of several tries."""
    left = torch.randn(size, size, device=device).to(dtype)
    right = torch.randn(size, size, device=device).to(dtype)
    best, end = 0.0, time.perf_counter() + seconds
    (left @ right).sum().item()
    while time.perf_counter() < end:
        start = time.perf_counter()
        (left @ right)[0, 0].item()
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def describe() -> str:
    """One line for people: processor, threads, system and versions."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    system = f"{platform.system()}, Python {platform.python_version()}, torch {torch.__version__}"
    return f"{name}, {default_threads()} threads, {system}"
