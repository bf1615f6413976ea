"""What a source of text is, and the account of what was left out."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import BinaryIO, NamedTuple

from seqgen.errors import DataError
from seqgen.inputs import open_file


@dataclass(frozen=True, slots=True)
class Source:
    """One thing to read: a file, a member of an archive, or data that is already here (standard input, a card's entry).

    A corpus may have a million of them. Its paths are plain texts therefore, which take a third of the memory.
    """

    name: str
    path: str | Path | None = None
    """The file on the disk; of a member, the archive."""
    data: bytes | None = None
    opener: Callable[[], BinaryIO] | None = None
    """How a member of an archive is opened."""
    inside: str | None = None
    """Its path inside the folder or archive that the user named; the name ends in it (with ! behind an archive)."""
    listed: str = ""
    """The stamp of the archive when its members were listed."""
    asked_for: bool = False
    """Named by the user, so that it may not be left out in silence: an unusable one is an error."""
    of_many: bool = False
    """Named by a glob that found others, too: of those an unusable one is left out."""
    converted: bool = False
    """Its text was made of something else, in which nobody can look a line up."""

    def stamp(self) -> str:
        """What the cache knows the source by: path, size and time of a file, the hash of other data, and how it was named."""
        named = f"{self.name}:{self.inside}:{self.asked_for}"
        if self.path is None:
            return f"{named}:{hashlib.sha256(self.data or b'').hexdigest()}"
        try:
            status = Path(self.path).stat()
        except OSError as error:  # gone meanwhile, or in a locked folder: reading it says what is wrong
            return f"{named}:{self.path}:{error.strerror}"
        return f"{named}:{self.path}:{status.st_size}:{status.st_mtime_ns}{self.listed}"

    def open(self) -> BinaryIO:
        """A stream of its bytes; OSError where it cannot be read."""
        if self.opener is not None:
            return self.opener()
        return io.BytesIO(self.data or b"") if self.path is None else open_file(self.path)

    @property
    def is_needed(self) -> bool:
        """Whether it is an error if it cannot be used."""
        return self.asked_for and not self.of_many

    @property
    def place(self) -> PurePath:
        """Its path inside the folder or archive that the user named, or its name."""
        return PurePath(self.name if self.inside is None else self.inside)

    @property
    def suffix(self) -> str:
        """The ending of its name in lower case, with the dot."""
        return self.place.suffix.lower()  # "a.zip!Sent" has none


@dataclass
class LeftOut:
    """Why what was left out: reason -> names.

    Attributes:
        strict: what cannot be used is an error instead.
    """

    names: dict[str, list[str]] = field(default_factory=dict)
    strict: bool = False
    _seen: set[tuple[str, str]] = field(default_factory=set, repr=False)

    def copy(self) -> LeftOut:
        """An account that begins with what this one holds."""
        return LeftOut({reason: [*names] for reason, names in self.names.items()}, self.strict, {*self._seen})

    def refuse(self, name: str, reason: str) -> None:
        """Counts what should be usable and is not.

        Raises:
            DataError: it may not be left out.
        """
        if self.strict:
            raise DataError(
                reason, where=name, hint="Take it out of the corpus; without --strict it would be left out."
            )
        self.add(name, reason)

    def add(self, name: str, reason: str) -> None:
        """Counts one file or folder, once however often it is found."""
        if (name, reason) not in self._seen:
            self._seen.add((name, reason))
            self.names.setdefault(reason, []).append(name)


class Asking(NamedTuple):
    """What a conversion of files to text goes by, besides the files.

    Attributes:
        encoding: of text files.
        columns: of tables of pairs: those of the message and the reply; empty: guessed.
        mine: of mail: digests of the addresses whose letters are replies; empty: all are.
        mask: whether numbers, links and addresses become marks.
        least: pairs that there must be.
    """

    encoding: str = "utf-8"
    columns: tuple[str, ...] = ()
    mine: tuple[str, ...] = ()
    mask: bool = False
    least: int = 1


Converted = Iterator[tuple[Source, str | DataError | None]]
"""Each source with its text; None where it is text already, an error where it cannot be converted. Of several that make one
text one stands for all."""
