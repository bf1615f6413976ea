"""Files of tensors (safetensors) that somebody else may have made: their header is checked before anything is read by it."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from seqgen.guarded import load_json, open_within

if TYPE_CHECKING:  # what only looks at a header need not wait for torch
    from torch import Tensor

FLOATING = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8}
"""Bytes of the numbers that weights may be."""
_DTYPES = {**FLOATING, "BOOL": 1, "U8": 1, "I64": 8}
CHANGED = "the file was changed or cut short since it was written"
LARGEST_HEADER = 1 << 20
"""Bytes: some thousands of tensors."""
_LENGTH = 8
"""Bytes of the length of the header, which stands before it."""
_DIMENSIONS = 8
_METADATA = "__metadata__"
_CONTAINER = Path("/sys/fs/cgroup/memory.max")


class Entry(NamedTuple):
    """What a header says of a tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def numbers(self) -> int:
        """How many it holds."""
        return math.prod(self.shape)


class TensorFile:
    """An open file of tensors: a context manager.

    Args:
        folder: where it lies.
        name: its path there.
        links: whether links are followed.

    Attributes:
        entries: what its header says of each tensor.
        size: of the file, in bytes; the header accounts for each of them.

    Raises:
        OSError: it cannot be opened or read.
        ValueError: it is no such file, or no file at all.
    """

    def __init__(self, folder: Path, name: str, links: bool = False) -> None:
        self._file = open_within(folder, name, links)
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            length = int.from_bytes(self._file.read(_LENGTH), "little")
            if length > self.size - _LENGTH:
                raise ValueError("its header is longer than the file, which was cut short")
            if length > LARGEST_HEADER:
                raise ValueError("its header is far too long to be what seqgen writes")
            self.entries = _entries(load_json(self._file.read(length)), self.size - _LENGTH - length)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, digest: str | None) -> dict[str, Tensor]:
        """The tensors, if the file has this SHA-256.

        Raises:
            OSError: it cannot be read.
            ValueError: they are more than fits into the memory of this machine; or the file has another digest.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        memory = _memory()
        if memory is not None and self.size > memory // 2:  # as bytes and as tensors
            raise ValueError(f"its {self.size / 1e9:,.1f} GB do not fit into the memory of this machine")
        self._file.seek(0)
        data = self._file.read(self.size)
        if hashlib.sha256(data).hexdigest() != digest:
            raise ValueError(CHANGED)
        try:
            return load(data)
        except SafetensorError as error:
            raise ValueError(str(error)) from error


def _entries(header: Any, size: int) -> dict[str, Entry]:
    """What a header says, if it accounts for each byte behind it."""
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    header.pop(_METADATA, None)
    entries: dict[str, Entry] = {}
    spans: list[tuple[int, int]] = []
    for name, said in header.items():
        entry, span = _entry(said)
        if span[1] - span[0] != entry.numbers * _DTYPES[entry.dtype]:
            raise ValueError("a tensor in it is not of the size that its shape says")
        entries[name] = entry
        spans.append(span)
    place = 0
    for start, stop in sorted(spans):
        if start != place:
            raise ValueError("its tensors do not follow each other")
        place = stop
    if place != size:
        raise ValueError("it is not of the size that its header says, so it was changed or cut short")
    return entries


def _entry(said: Any) -> tuple[Entry, tuple[int, int]]:
    if not isinstance(said, dict) or said.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError("its header describes a tensor in other terms than it should")
    dtype, shape, span = said["dtype"], said["shape"], said["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"a tensor in it is of none of the types {', '.join(_DTYPES)}")
    if not _are_sizes(shape) or len(shape) > _DIMENSIONS or not _are_sizes(span) or len(span) != 2:
        raise ValueError("a shape or an offset in its header is none")
    return Entry(dtype, tuple(shape)), (span[0], span[1])


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 1 << 48 for value in values)


def _memory() -> int | None:
    """Bytes of this machine, or of the container that this process is in; None where neither says."""
    sizes: list[int] = []
    with contextlib.suppress(AttributeError, ValueError, OSError):
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(ValueError, OSError):  # "max" where there is no limit
        sizes.append(int(_CONTAINER.read_text(encoding="ascii")))
    return min(sizes, default=None)
