"""What a disk holds after the power failed: every step of `seqgen.disk` is noted, and then done again on a disk of one's own.

As on real disks, a write is only sure to last once its file was synced, and a new, moved or removed name once its folder
was. What was not synced may have reached the disk or not, in any order, in part, or as blocks of rubbish.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from seqgen import disk
from seqgen.manifest import MANIFEST

STEPS = ("open", "write", "ftruncate", "fsync", "replace", "unlink", "mkdir")
"""What `seqgen.disk` asks of the system, and what can therefore fail."""


class System:
    """Stands in the place of `os` in `seqgen.disk`: what it is asked for is done, after `step` was told of it."""

    def __init__(self) -> None:
        self.steps = 0
        """How many it was asked for."""
        for name in STEPS:
            setattr(self, name, self._telling(name))

    def count(self, name: str, *arguments: Any) -> None:
        """Counts a step."""
        self.steps += 1
        self.step(name, *arguments)

    def step(self, name: str, *arguments: Any) -> None:
        """Told of each step before it is done; may raise, or end the process."""

    def done(self, name: str, result: Any, *arguments: Any) -> None:
        """Told of each step after it was done."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def _telling(self, name: str) -> Any:
        def tell(*arguments: Any) -> Any:
            self.count(name, *arguments)
            result = getattr(os, name)(*arguments)
            self.done(name, result, *arguments)
            return result

        return tell

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Has `seqgen.disk` ask this system."""
        with mock.patch.object(disk, "os", self):
            yield


class Failing(System):
    """Fails at one step, or from it on; to remove and to cut needs no room, and still works.

    Args:
        at: the number of the step, from 0.
        error: of the system.
        until: the number of the first step that succeeds again.
    """

    def __init__(self, at: int, error: int, until: int | None = None) -> None:
        super().__init__()
        self.at, self.error, self.until = at, error, at + 1 if until is None else until

    def step(self, name: str, *arguments: Any) -> None:
        if self.at < self.steps <= self.until and name not in ("unlink", "ftruncate"):
            raise OSError(self.error, os.strerror(self.error))


class Short(System):
    """A system that writes a few bytes at a time."""

    def _telling(self, name: str) -> Any:
        whole = super()._telling(name)
        return (lambda file, data: whole(file, data[:1000])) if name == "write" else whole


@dataclass
class _File:
    """A file's content on the disk, and what was done to it since it was synced."""

    synced: bytes = b""
    since: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Places and bytes written there; None: cut there."""


@dataclass
class _Folder:
    synced: dict[str, int] = field(default_factory=dict)
    since: list[dict[str, int | None]] = field(default_factory=list)
    """What became of names, each at once: a file's number, or None where the name is gone."""


class Recorder(System):
    """Notes each step in a folder.

    Args:
        root: the folder, which is there; what it holds at the beginning has lasted.
    """

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root.absolute()
        self.log: list[tuple[Any, ...]] = []
        """What was done."""
        self.saves: list[int] = []
        """How many steps the system had been asked for when a checkpoint was replaced, each time."""
        self._numbers: dict[str, int] = {}
        self._open: dict[int, str] = {}
        self._next = 0
        self.first: dict[str, bytes | None] = {}
        for path in [root, *sorted(root.rglob("*"))]:
            self.first[self._name(path)] = None if path.is_dir() else path.read_bytes()
        for name in self.first:
            self._number(name)
        self.before = dict(self._numbers)

    def done(self, name: str, result: Any, *arguments: Any) -> None:
        if name == "open":
            path, flags = self._name(Path(arguments[0])), arguments[1]
            self._open[result] = path
            if flags & os.O_CREAT and path not in self._numbers and not path.startswith(".."):
                self.log.append(("name", path, self._number(path)))
            return
        path = self._open[arguments[0]] if name in ("write", "ftruncate", "fsync") else self._name(Path(arguments[0]))
        if (path not in self._numbers and name != "mkdir") or path.startswith(".."):
            return  # it lies elsewhere, or is no file of `seqgen.disk`, such as a lock
        if name == "write":
            end = os.lseek(arguments[0], 0, os.SEEK_CUR)
            self.log.append(("write", self._numbers[path], end - result, bytes(arguments[1][:result])))
        elif name == "ftruncate":
            self.log.append(("cut", self._numbers[path], arguments[1]))
        elif name == "fsync":
            self.log.append(("sync folder", path) if (self.root / path).is_dir() else ("sync", self._numbers[path]))
        elif name == "replace":
            target = self._name(Path(arguments[1]))
            self._numbers[target] = self._numbers.pop(path)
            self.log.append(("move", path, target, self._numbers[target]))
            self.saves += [self.steps] if target.endswith(MANIFEST) else []
        elif name == "unlink":
            self._numbers.pop(path)
            self.log.append(("gone", path))
        elif name == "mkdir":
            self.log.append(("folder", path, self._number(path)))

    def after(self, steps: int, policy: str, chance: random.Random) -> Disk:
        """The disk if the power fails after so many of the steps in the log."""
        made = Disk(self.first, self.before)
        for entry in self.log[:steps]:
            made.do(*entry)
        made.fail(policy, chance)
        return made

    def _name(self, path: Path) -> str:
        return os.path.relpath(path.absolute(), self.root)

    def _number(self, name: str) -> int:
        self._numbers[name] = self._next
        self._next += 1
        return self._numbers[name]


class Disk:
    """Files and folders, and what of them would last.

    Args:
        first: names -> content, or None for a folder; all of it lasts.
        numbers: of those names.
    """

    POLICIES = ("all of it", "nothing", "names only", "half of the data", "rubbish", "by chance")
    """What of that which was not synced is there after the power failed."""

    def __init__(self, first: dict[str, bytes | None], numbers: dict[str, int]) -> None:
        self.files: dict[int, _File] = {}
        self.folders: dict[int, _Folder] = {}
        self.names = dict(numbers)
        self.root = numbers["."]
        self.folders[self.root] = _Folder()
        for name, data in first.items():
            number = numbers[name]
            if data is None:
                self.folders.setdefault(number, _Folder())
            else:
                self.files[number] = _File(data)
            if name != ".":
                self._folder(name).synced[Path(name).name] = number

    def do(self, what: str, *about: Any) -> None:
        """Does a step of a log."""
        if what in ("name", "folder"):
            name, number = about
            made: Any = self.files if what == "name" else self.folders
            made[number] = _File() if what == "name" else _Folder()
            self.names[name] = number
            self._folder(name).since.append({Path(name).name: number})
        elif what == "write":
            number, place, data = about
            self.files[number].since.append((place, data))
        elif what == "cut":
            self.files[about[0]].since.append((about[1], None))
        elif what == "sync":
            file = self.files[about[0]]
            file.synced, file.since = _applied(file.synced, file.since), []
        elif what == "sync folder":
            folder = self.folders[self.root if about[0] == "." else self.names[about[0]]]
            for change in folder.since:
                _rename(folder.synced, change)
            folder.since = []
        elif what == "move":
            source, target, number = about
            self.names.pop(source)
            self.names[target] = number
            self._folder(target).since.append({Path(source).name: None, Path(target).name: number})
        elif what == "gone":
            self.names.pop(about[0])
            self._folder(about[0]).since.append({Path(about[0]).name: None})

    def fail(self, policy: str, chance: random.Random) -> None:
        """The power fails: what was not synced is there in part."""
        for folder in self.folders.values():
            for change in folder.since:
                if policy != "nothing" and (policy != "by chance" or chance.random() < 0.5):
                    _rename(folder.synced, change)
            folder.since = []
        for file in self.files.values():
            for place, data in file.since:
                if policy == "all of it" or (policy == "by chance" and chance.random() < 0.5):
                    file.synced = _applied(file.synced, [(place, data)])
                elif policy == "half of the data" and data is not None:
                    file.synced = _applied(file.synced, [(place, data[: len(data) // 2])])
                elif policy in ("rubbish", "by chance") and data is not None:
                    rubbish = bytes(len(data)) if chance.random() < 0.5 else chance.randbytes(len(data))
                    file.synced = _applied(file.synced, [(place, rubbish)])
            file.since = []

    def write(self, folder: Path) -> None:
        """Writes what is there now into a new folder."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self._write(self.root, folder)

    def _write(self, number: int, folder: Path) -> None:
        for name, member in self.folders[number].synced.items():
            if member in self.folders:
                (folder / name).mkdir()
                self._write(member, folder / name)
            else:
                (folder / name).write_bytes(self.files[member].synced)

    def _folder(self, name: str) -> _Folder:
        above = os.path.dirname(name)
        return self.folders[self.names[above] if above else self.root]


def _applied(data: bytes, changes: list[tuple[int, bytes | None]]) -> bytes:
    for place, written in changes:
        if written is None:
            data = data[:place].ljust(place, b"\0")
        else:
            data = data[:place].ljust(place, b"\0") + written + data[place + len(written) :]
    return data


def _rename(names: dict[str, int], change: dict[str, int | None]) -> None:
    for name, number in change.items():
        if number is None:
            names.pop(name, None)
        else:
            names[name] = number
