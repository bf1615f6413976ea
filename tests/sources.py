"""Small helpers of the tests of `seqgen.sources`."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

import pytest

from seqgen.errors import DataError
from seqgen.modalities import MODALITIES
from seqgen.sources import LeftOut, Reader, Source, find_sources, without_folders

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
needs_permissions = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything, and Windows asks otherwise"
)


@contextlib.contextmanager
def not_hanging() -> Iterator[None]:
    """Turns a read that would wait for ever into a failure."""

    def give_up(number: int, frame: object) -> None:
        raise AssertionError("reading hangs")

    if not hasattr(signal, "SIGALRM"):  # no alarm on this system: there a failure is a test that hangs
        yield
        return
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(20)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def write(path: Path, content: str | bytes = "some words\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pack(path: Path, files: dict[str, str | bytes]) -> Path:
    """A .zip or .tgz of these files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contents = {name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as package:
            for name, content in contents.items():
                package.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as tar:
            for name, content in contents.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def joined(stream: Iterable[str | None]) -> list[str]:
    """The documents of a stream, their pieces joined; none of the pieces may be empty."""
    documents: list[str] = []
    pieces: list[str] = []
    for piece in stream:
        if piece is None:
            documents.append("".join(pieces))
            pieces = []
        else:
            assert piece
            pieces.append(piece)
    assert not pieces, "a document without an end"
    return documents


def find(*names: str | Path, kind: str = "text") -> tuple[list[Source], LeftOut]:
    left_out = LeftOut()
    sources, _ = find_sources(tuple(map(str, names)), left_out)
    return without_folders(sources, MODALITIES[kind], left_out), left_out


def found(*names: str | Path) -> list[str]:
    """The names of the files that are found, without their folders."""
    return [PurePath(source.name).name for source in find(*names)[0]]


def read(
    *names: str | Path, kind: str = "text", documents: str = "file", encoding: str = "utf-8", column: str = ""
) -> tuple[list[str], dict[str, list[str]]]:
    """The documents, and what was left out: reason -> names of files without their folders.

    What is wrong with a file that nobody named is noted there, too, in its full length.
    """
    sources, left_out = find(*names, kind=kind)
    reader = Reader(MODALITIES[kind], documents, encoding, column)
    texts: list[str] = []
    for source in sources:
        try:
            texts += joined(reader.read(source, left_out))
        except DataError as error:
            if source.is_needed:
                raise
            left_out.add(source.name, error.what)
    return texts, {reason: sorted(Path(name).name for name in names) for reason, names in left_out.names.items()}


def type_in(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
