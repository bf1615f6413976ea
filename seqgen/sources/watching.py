"""Whether the sources of a corpus are still what they were when its reading began."""

from __future__ import annotations

import contextlib
import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from seqgen.errors import DataError
from seqgen.sources.base import LeftOut, Source

Result = TypeVar("Result")
CHANGED = "changed while it was being read"
MOST_ROUNDS = 5
"""Readings of a corpus that changes all the while."""


class ChangedError(DataError):
    """Some of the sources are no longer what they were.

    Attributes:
        names: of them.
    """

    def __init__(self, names: set[str], where: str) -> None:
        super().__init__(
            "the corpus changed while it was being read", where=where, hint="Try again when nothing writes to it."
        )
        self.names = names


class Watch:
    """The stamps of sources as they were at first, of which little is kept: there may be a million.

    Args:
        sources: that are about to be read.
    """

    def __init__(self, sources: list[Source]) -> None:
        self._sources = sources
        self._marks = array("q")
        whole = hashlib.sha256()
        for source in sources:
            mark = _mark(source)
            self._marks.append(int.from_bytes(mark[:8], signed=True))
            whole.update(mark)
        self.digest = whole.hexdigest()
        """Of all stamps, in their order."""

    def changed(self, among: Iterable[Source]) -> set[str]:
        """The names of those among the sources that are no longer what they were."""
        names = {source.name for source in among}
        return {
            source.name
            for source, mark in zip(self._sources, self._marks, strict=True)
            if source.path is not None
            and source.name in names
            and int.from_bytes(_mark(source)[:8], signed=True) != mark
        }

    @contextlib.contextmanager
    def over(self, sources: Callable[[], Iterable[Source]]) -> Iterator[None]:
        """What is done in here has to do with the sources as they were.

        Args:
            sources: says in the end which.

        Raises:
            ChangedError: some are no longer so, whatever else went wrong for it.
        """
        try:
            yield
        except DataError as error:
            self._check(sources(), error)
            raise
        self._check(sources(), None)

    def _check(self, sources: Iterable[Source], error: DataError | None) -> None:
        if names := self.changed(sources):
            raise ChangedError(names, ", ".join(sorted(names)[:3])) from error


def read_steadily(sources: list[Source], left_out: LeftOut, read: Callable[[list[Source], LeftOut], Result]) -> Result:
    """What the reading of sources comes to. Where some of them change meanwhile, it begins anew without them.

    Args:
        sources: to read.
        left_out: what was left out before; each reading goes on with a copy of it.
        read: reads them, and raises ChangedError.

    Raises:
        DataError: the user named one that changes, or there is no end of it.
    """
    for _ in range(MOST_ROUNDS - 1):
        try:
            return read(sources, left_out.copy())
        except ChangedError as error:
            sources = without_changed(sources, error.names, left_out)
    return read(sources, left_out.copy())


def without_changed(sources: list[Source], names: set[str], left_out: LeftOut) -> list[Source]:
    """The sources but for those of these names, which are left out.

    Raises:
        DataError: the user named one of them, or nothing may be left out.
    """
    kept = []
    for source in sources:
        if source.name not in names:
            kept.append(source)
            continue
        if source.is_needed:
            raise ChangedError({source.name}, source.name)
        left_out.refuse(source.name, CHANGED)
    return kept


def _mark(source: Source) -> bytes:
    return hashlib.sha256(source.stamp().encode("utf-8", "surrogatepass")).digest()
