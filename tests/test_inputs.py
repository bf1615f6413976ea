"""What a user names is read within limits: no device without an end, no pipe that nobody writes to, no file that only grows."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from seqgen import inputs
from seqgen.errors import DataError
from seqgen.inputs import open_file, read_named, read_typed
from seqgen.sources import LeftOut, find_sources
from tests.commands import Run
from tests.sources import needs_pipes, not_hanging, write
from tests.texts import verse
from tests.untrained import untrained

ZERO = Path("/dev/zero")
needs_devices = pytest.mark.skipif(not ZERO.is_char_device(), reason="this system has no such device")


def link_to(target: str | Path, name: str = "a.txt") -> str:
    Path(name).symlink_to(target)
    return name


@needs_devices
@pytest.mark.parametrize("name", ["/dev/zero", "a.txt"])
def test_a_device_that_never_ends_is_refused(name: str) -> None:
    link_to(ZERO)
    for read in (read_named, lambda name: find_sources((name,), LeftOut())):
        with not_hanging(), pytest.raises(DataError, match="a device, which may never end") as caught:
            read(name)
        assert caught.value.where == name


@needs_devices
def test_a_device_that_is_empty_is_read() -> None:
    assert read_named(os.devnull) == b""


@needs_devices
def test_standard_input_from_a_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with ZERO.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        with not_hanging(), pytest.raises(DataError, match="a device, which may never end"):
            read_typed()


def test_standard_input_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, fits in ((1 << 20, True), ((1 << 20) + 1, False)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a" * given)))
        if fits:
            assert len(read_named("-", 1 << 20)) == given
        else:
            with pytest.raises(DataError, match="more than 1 MiB") as caught:
                read_named("-", 1 << 20, "Cut it.")
            assert (caught.value.where, caught.value.hint) == ("standard input", "Cut it.")


@needs_pipes
def test_a_pipe_without_a_writer_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "PATIENCE", 0.1)
    os.mkfifo("pipe")
    with not_hanging(), pytest.raises(DataError, match=r"nobody wrote for 0\.1 seconds"):
        read_named(link_to("pipe"))


@needs_pipes
def test_a_pipe_whose_writer_comes_late_and_takes_its_time_is_read() -> None:
    os.mkfifo("pipe")
    begun = threading.Event()

    def write_slowly() -> None:
        begun.wait(5)
        with Path("pipe").open("wb", buffering=0) as file:
            file.write(b"one, ")
            threading.Event().wait(0.1)
            file.write(b"two")

    writer = threading.Thread(target=write_slowly)
    writer.start()
    threading.Timer(0.1, begun.set).start()
    with not_hanging():
        assert read_named("pipe") == b"one, two"
    writer.join()


@needs_pipes
@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="this system has no names for open files")
@pytest.mark.parametrize("text", [b"", b"substituted"])
def test_what_a_shell_puts_in_the_place_of_a_command_is_read(text: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    with not_hanging():
        assert read_named(f"/dev/fd/{reading}") == text
    os.close(reading)


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_a_device(path: Path) -> None:
    path.unlink()
    link_to(ZERO, str(path))


@needs_pipes
@needs_devices
@pytest.mark.parametrize("become", [become_a_pipe, become_a_folder, become_a_device])
def test_a_file_that_has_become_something_else_is_not_opened(become: Callable[[Path], None]) -> None:
    path = write(Path("c/a.txt"))
    (source,), _ = find_sources(("c",), LeftOut())
    become(path)
    with not_hanging(), pytest.raises(OSError, match=r"not a regular file|Is a directory"):
        source.open()


def test_a_file_that_grows_as_fast_as_it_is_read_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MOST_GROWTH", 100_000)
    path = write(Path("a.txt"), b"a" * 100_000)
    with path.open("ab", buffering=0) as writer, open_file(path) as file, not_hanging():
        with pytest.raises(OSError, match="it grew while it was read"):
            while file.read(1 << 16):
                writer.write(b"b" * (1 << 16))
        with pytest.raises(OSError, match="it grew while it was read"):
            file.read()


def test_a_file_is_read_whole_and_from_any_place() -> None:
    data = os.urandom(3_000_000)
    with open_file(write(Path("a.bin"), data)) as file:
        assert file.read() == data
        assert file.seek(-10, io.SEEK_END) == 2_999_990
        assert file.read(20) == data[-10:]
        assert file.seek(1_000) == 1_000 and file.read(70_000) == data[1_000:71_000]


# As a user meets them


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(untrained(tmp_path_factory.mktemp("inputs") / "model", [verse(300)]))


@needs_pipes
@needs_devices
@pytest.mark.parametrize("target", [ZERO, "pipe"])
@pytest.mark.parametrize(
    "command",
    [
        ("eval", "a.txt"),
        ("score", "--file", "a.txt"),
        ("sample", "--seed-file", "a.txt"),
        ("sample", "--adapt", "a.txt"),
    ],
    ids=lambda command: command[-2],
)
def test_no_option_waits_for_ever_or_fills_the_memory(
    run: Run, model: str, target: Path | str, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "PATIENCE", 0.05)
    os.mkfifo("pipe")
    link_to(target)
    verb, *options = command
    with not_hanging():
        reason = run(verb, model, *options).refusal()
    assert "a.txt: a device, which may" in reason or "a.txt: a pipe to which nobody wrote" in reason
