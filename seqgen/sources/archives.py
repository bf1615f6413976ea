"""Archives read in place, never unpacked to disk: .zip, .tar, and .gz, .bz2 or .xz of a file or a tar.

A compressed tar cannot be entered in its middle. Its members therefore come in the order in which they lie, and it stays
open between two of them, so that reading them in that order is one pass; those of other archives are sorted by name.
Only the archive that was read last stays open.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import re
import stat
import struct
import tarfile
import weakref
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath
from typing import BinaryIO, Generic, TypeVar, cast

from seqgen.errors import DataError

MAX_EXPANDED = 8 << 30
"""Bytes that an archive may expand to."""
MAX_RATIO = 250
"""How many times its packed size an archive may expand to; text rarely goes beyond 10."""
FREE_EXPANSION = 64 << 20
"""Bytes that do not count for the ratio: a small file of blanks may be packed very well."""
MAX_MEMBERS = 1_000_000
MAX_DIRECTORY = 160 << 20
"""Bytes that the list of the files in a zip may take: that of a million has half as many."""
MAX_HEADER = 16 << 20
"""Bytes that the tar format's own records may take: they are held in memory."""
DUPLICATE = "a later one in the archive has the same name"

_BLOCK = 512
_END, _END64, _LOCATOR = struct.Struct("<12xI6x"), struct.Struct("<40xQ8x"), struct.Struct("<20x")
"""What stands behind the directory of a zip, of which we want its size alone; in a large one the second and third come first."""
_LONGEST_COMMENT = (1 << 16) - 1
_CHUNK = 1 << 16
_SMALL_CHUNK = 1 << 12
"""Packed bytes to expand at once where Python cannot bound what they become (bzip2 and LZMA in a zip)."""
_BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_METHODS = (*_BOUNDED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_UNPACK = "If you trust it, unpack it yourself and name the folder."

LeaveOut = Callable[[str, str], None]
"""Takes the name of what is left out, and why."""
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Member:
    """One file in an archive.

    Attributes:
        name: such as "letters.zip!inner/a.txt".
        size: in bytes, as the archive says; None where it does not.
        open: the bytes of it, to be read from the beginning as often as one likes; not seekable.
    """

    name: str
    size: int | None
    open: Callable[[], BinaryIO]


@dataclass
class Budget:
    """How far an archive may expand. What is read again is counted once.

    Args:
        name: of the archive.
        packed: its size in bytes.
    """

    name: str
    packed: int
    _reached: dict[str, int] = field(default_factory=dict)
    _total: int = 0

    def count(self, part: str, position: int) -> None:
        """Notes that a part of the archive reaches to this byte, declared or really read.

        Raises:
            DataError: all parts together are more than the limits allow.
        """
        more = position - self._reached.get(part, 0)
        if more <= 0:
            return
        self._reached[part] = position
        self._total += more
        if self._total > MAX_EXPANDED:
            raise self._exceeded(f"{MAX_EXPANDED / (1 << 30):.3g} GiB")
        if self._total > FREE_EXPANSION + MAX_RATIO * self.packed:
            raise self._exceeded(f"{MAX_RATIO} times its packed size")

    def _exceeded(self, limit: str) -> DataError:
        return DataError(f"this expands to more than {limit}", where=self.name, hint=_UNPACK)


def is_archive(name: str) -> bool:
    """Whether a file is an archive, as its suffix says."""
    return _suffix(name) is not None


def list_members(path: Path, name: str, leave_out: LeaveOut) -> list[Member]:
    """The files in an archive, in a fixed order that is also the order to read them in.

    Args:
        path: of the archive.
        name: what to call it; its suffix says what it is.
        leave_out: told of every folder, link, device, encrypted file, archive in the archive, duplicate, and name that
            climbs out of the archive.

    Raises:
        DataError: damaged, cut short, not an archive, or beyond the limits; also later, while a member is read.
    """
    suffix = _suffix(name)
    if suffix is None:
        raise ValueError(f"{name} is not named as an archive")
    with _explained(name):
        if path.stat().st_size == 0:
            raise DataError("this file is empty, not an archive", where=name, hint="Copy or download it again.")
        if suffix == ".zip":
            return _Zip(path, name).list_members(leave_out)
        expand, is_tar = _STREAMS[suffix]
        if is_tar:
            return _Tar(path, name, expand).list_members(leave_out)
        return _Single(path, name, expand).list_members(name[: -len(suffix)], leave_out)


def is_plain(info: zipfile.ZipInfo) -> bool:
    """Whether an entry of a zip is a plain one, that expands piece by piece within bounds."""
    return not info.flag_bits & 1 and info.compress_type in _BOUNDED


def check_directory(file: BinaryIO, name: str) -> None:
    """Refuses a zip whose directory is too large, before Python holds all of that in memory, ten times as large.

    Args:
        file: that can seek; where it stands afterwards is not said.
        name: of it.

    Raises:
        DataError: the directory is larger than `MAX_DIRECTORY`.
    """
    file.seek(max(0, file.seek(0, io.SEEK_END) - _END.size - _LONGEST_COMMENT - _END64.size - _LOCATOR.size))
    tail = file.read()
    for match in re.finditer(b"(?=PK\x05\x06)", tail):  # each that Python could take for the end of the directory
        place = match.start()
        if place + _END.size > len(tail):
            continue
        (size,) = _END.unpack_from(tail, place)
        before = place - _LOCATOR.size - _END64.size
        if before >= 0 and tail.startswith(b"PK\6\6", before):
            (size,) = _END64.unpack_from(tail, before)
        if size > MAX_DIRECTORY:
            raise DataError(f"its list of files is larger than {MAX_DIRECTORY >> 20} MiB", where=name, hint=_UNPACK)


def _suffix(name: str) -> str | None:
    base = PurePath(name).name.lower()
    known = sorted((".zip", *_STREAMS), key=len, reverse=True)
    return next((suffix for suffix in known if base.endswith(suffix) and base != suffix), None)


def _plain(path: Path) -> BinaryIO:
    return path.open("rb")


def _gzip(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path))


def _bzip2(path: Path) -> BinaryIO:
    return cast(BinaryIO, bz2.open(path))


def _xz(path: Path) -> BinaryIO:
    return cast(BinaryIO, lzma.open(path))


_STREAMS: dict[str, tuple[Callable[[Path], BinaryIO], bool]] = {
    ".tar": (_plain, True),
    ".tar.gz": (_gzip, True),
    ".tgz": (_gzip, True),
    ".tar.bz2": (_bzip2, True),
    ".tbz2": (_bzip2, True),
    ".tar.xz": (_xz, True),
    ".txz": (_xz, True),
    ".gz": (_gzip, False),
    ".bz2": (_bzip2, False),
    ".xz": (_xz, False),
}
"""How a file is expanded, and whether a tar comes out."""


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turns whatever goes wrong in here into a DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # for damaged bytes the libraries raise nearly anything, also KeyError and struct.error
        if isinstance(error, OSError) and error.strerror:
            raise DataError(
                f"cannot be read: {error.strerror}", where=where, hint="Check the path and its permissions."
            ) from error
        raise _damaged(where, str(error) or type(error).__name__) from error


def _damaged(where: str, how: str) -> DataError:
    return DataError(
        f"this archive is damaged, cut short or not what its name says ({how})",
        where=where,
        hint="Copy or download it again, or unpack it yourself and name the folder.",
    )


class _Archive:
    """An archive that is opened when it is read, and closed when another one is."""

    _last: weakref.ref[_Archive] | None = None

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.stamp = self._now()
        self.budget = Budget(name, path.stat().st_size)

    def prepare(self) -> None:
        """Closes the archive that was read before, and makes sure that this one is still the same."""
        last = _Archive._last() if _Archive._last else None
        if last is self:
            return
        if last is not None:
            last.close()
        if self._now() != self.stamp:
            raise DataError("this archive has changed since it was listed", where=self.name, hint="Start again.")
        _Archive._last = weakref.ref(self)

    def close(self) -> None:
        """Closes what is open; reading opens it again."""
        raise NotImplementedError

    def __del__(self) -> None:
        self.close()

    def _now(self) -> tuple[int, int]:
        status = self.path.stat()
        return status.st_size, status.st_mtime_ns


class _Zip(_Archive):
    """A zip; its directory is read once for all members."""

    _file: zipfile.ZipFile | None = None

    def list_members(self, leave_out: LeaveOut) -> list[Member]:
        found = _Listing[zipfile.ZipInfo](self.name, leave_out)
        for info in self._opened().infolist():
            found.add(info.filename, _unusable_zip(info), info)
        for name, info in found.kept.items():  # what it declares; what it really is counts as it is read
            self.budget.count(name, info.file_size)
        return [
            Member(f"{self.name}!{name}", info.file_size, partial(self._open, name, info))
            for name, info in sorted(found.kept.items())
        ]

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def _opened(self) -> zipfile.ZipFile:
        self.prepare()
        if self._file is None:
            with self.path.open("rb") as file:
                check_directory(file, self.name)
            self._file = zipfile.ZipFile(self.path)
        return self._file

    def _open(self, name: str, info: zipfile.ZipInfo) -> BinaryIO:
        where = f"{self.name}!{name}"
        with _explained(where):
            entry = self._opened().open(info)
        most = _CHUNK if info.compress_type in _BOUNDED else _SMALL_CHUNK

        def read(position: int, size: int) -> bytes:
            data = entry.read(min(size, most))
            self.budget.count(name, position + len(data))
            if not data and position < info.file_size:
                raise _damaged(where, f"it ends at byte {position} of {info.file_size}")
            return data

        return _member_file(where, read, entry.close)


class _Stream(_Archive):
    """A file of bytes, perhaps compressed, to be read from any place; forwards is quick."""

    _file: BinaryIO | None = None

    def __init__(self, path: Path, name: str, expand: Callable[[Path], BinaryIO]) -> None:
        super().__init__(path, name)
        self.expand = expand
        self.at = 0

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def read(self, size: int) -> bytes:
        """Up to so many bytes from where we are; all that are asked for, unless the file ends."""
        if not 0 <= size <= MAX_HEADER:
            raise ValueError(f"a record of {size} bytes")
        self.prepare()
        if self._file is None:
            self._file = self.expand(self.path)
        self._file.seek(self.at)
        data = self._file.read(size)
        self.at += len(data)
        self.budget.count("", self.at)
        return data

    def seek(self, position: int) -> None:
        """Goes to a byte of the expanded file, if it lies within the limits: going there expands all before it."""
        if position < 0:
            raise ValueError(f"a record at byte {position}")
        self.budget.count("", position)
        self.at = position

    def tell(self) -> int:
        return self.at

    def open_part(self, where: str, start: int, size: int | None) -> BinaryIO:
        """A part of the expanded file as a file of its own; all of it where no size is given."""

        def read(position: int, wanted: int) -> bytes:
            left = wanted if size is None else size - position
            self.seek(start + position)
            data = self.read(min(wanted, left, _CHUNK))
            if left and size is not None and not data:
                raise _damaged(where, f"it ends at byte {position} of {size}")
            return data

        return _member_file(where, read)


class _Single(_Stream):
    """One compressed file."""

    def list_members(self, name: str, leave_out: LeaveOut) -> list[Member]:
        self.read(1)  # whether it can be expanded at all
        found = _Listing[None](self.name, leave_out)
        found.add(PurePath(name).name, None, None)
        return [Member(full, None, partial(self.open_part, full, 0, None)) for full in found.names()]


class _Tar(_Stream):
    """A tar, perhaps compressed."""

    def list_members(self, leave_out: LeaveOut) -> list[Member]:
        found = _Listing[tuple[int, int]](self.name, leave_out)
        end = 0
        tar = tarfile.open(fileobj=cast(BinaryIO, self), mode="r:")  # noqa: SIM115 (it holds no file of its own)
        while (info := tar.next()) is not None:
            if info.size < 0 or info.offset < end:
                raise ValueError(f"a record at byte {info.offset} that leads backwards")
            end = tar.offset
            found.add(info.name, _unusable_tar(info), (info.offset_data, info.size))
            tar.members.clear()  # type: ignore[attr-defined] # they are not needed, and may be a million
        self._check_end(tar.offset, leave_out)
        kept = found.kept.items() if self.expand is not _plain else sorted(found.kept.items())
        members = [(f"{self.name}!{name}", start, size) for name, (start, size) in kept]
        return [Member(name, size, partial(self.open_part, name, start, size)) for name, start, size in members]

    def _check_end(self, offset: int, leave_out: LeaveOut) -> None:
        """A tar ends with blocks of zeros; reading on to the very end also checks the sum of what was compressed."""
        self.seek(offset)
        if self.read(_BLOCK) != bytes(_BLOCK):
            raise _damaged(self.name, f"no header and no end mark at byte {offset}")
        behind = False
        while data := self.read(_CHUNK):
            behind = behind or data.strip(b"\0") != b""
        if behind:
            leave_out(self.name, "more data after the end mark of the archive")


class _Listing(Generic[Entry]):
    """What is read of an archive: the last entry of each name, in the order of the entries."""

    def __init__(self, archive: str, leave_out: LeaveOut) -> None:
        self.archive, self.leave_out = archive, leave_out
        self.kept: dict[str, Entry] = {}
        self._count = 0

    def add(self, name: str, reason: str | None, entry: Entry) -> None:
        """Takes one entry, or leaves it out for the reason."""
        self._count += 1
        if self._count > MAX_MEMBERS:
            raise DataError(f"there are more than {MAX_MEMBERS} files in it", where=self.archive, hint=_UNPACK)
        full = f"{self.archive}!{name}"
        if reason := reason or _unusable_name(name):
            self.leave_out(full, reason)
            return
        tidy = "/".join(part for part in name.split("/") if part not in ("", "."))
        if self.kept.pop(tidy, None) is not None:
            self.leave_out(full, DUPLICATE)
        self.kept[tidy] = entry

    def names(self) -> Iterable[str]:
        return [f"{self.archive}!{name}" for name in self.kept]


def _unusable_name(name: str) -> str | None:
    parts = re.split(r"[/\\]", name)
    if name[:1] in ("/", "\\") or ".." in parts or re.match("[A-Za-z]:", name):
        return "its name leads out of the archive"
    if not any(part not in ("", ".") for part in parts):
        return "it has no name"
    return "archive in an archive" if is_archive(name) else None


def _unusable_zip(info: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)  # as Unix has it; 0 where the zip was made elsewhere
    if info.is_dir():
        return "folder"
    if kind == stat.S_IFLNK:
        return "link"
    if kind not in (0, stat.S_IFREG):
        return "not a regular file"
    if info.flag_bits & 1:
        return "encrypted"
    return None if info.compress_type in _METHODS else f"packed in an unknown way (method {info.compress_type})"


def _unusable_tar(info: tarfile.TarInfo) -> str | None:
    if info.isdir():
        return "folder"
    if info.issym() or info.islnk():
        return "link"
    if info.issparse():
        return "sparse file"
    return None if info.isreg() else "not a regular file"


class _MemberFile(io.RawIOBase):
    """A file made of a function from (position, size) to bytes."""

    def __init__(self, where: str, read: Callable[[int, int], bytes], finish: Callable[[], None] | None) -> None:
        self._where, self._read, self._finish = where, read, finish
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # what BufferedReader and readall hand over
        with _explained(self._where):
            data = self._read(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed and self._finish is not None:
            self._finish()
        super().close()


def _member_file(where: str, read: Callable[[int, int], bytes], finish: Callable[[], None] | None = None) -> BinaryIO:
    return io.BufferedReader(_MemberFile(where, read, finish), _CHUNK)
