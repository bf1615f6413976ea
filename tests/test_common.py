"""Careful writing: to the screen, and to files that are there whole or not at all."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.cli.common import shown, uninterrupted
from seqgen.errors import DataError, UsageError
from seqgen.outputs import check_output, numbered, write_file

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


def names() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


# Writing files


@pytest.mark.parametrize("data", [b"", b"\xff\0\r\n", b"x" * 100_000])
def test_a_file_is_written_byte_for_byte_and_nothing_beside_it(data: bytes) -> None:
    write_file(Path("out.txt"), data)
    assert Path("out.txt").read_bytes() == data
    assert names() == ["out.txt"]


def test_an_old_file_is_replaced() -> None:
    Path("out.txt").write_text("a longer old text")
    write_file(Path("out.txt"), b"new")
    assert Path("out.txt").read_bytes() == b"new"


def test_when_writing_fails_the_old_file_is_whole_and_nothing_is_left_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    Path("out.txt").write_text("old")
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DataError, match="No space left on device") as caught:
        write_file(Path("out.txt"), b"new")
    assert caught.value.where == "out.txt"
    assert Path("out.txt").read_text() == "old"
    assert names() == ["out.txt"]


def test_an_interrupt_while_writing_leaves_the_old_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: object, mode: int) -> None:
        raise KeyboardInterrupt

    Path("out.txt").write_text("old")
    monkeypatch.setattr(os, "chmod", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(Path("out.txt"), b"new")
    assert (names(), Path("out.txt").read_text()) == (["out.txt"], "old")


@pytest.mark.parametrize("path", ["nowhere/out.txt", "folder"])
def test_a_place_where_no_file_can_be_is_an_error_that_names_it(path: str) -> None:
    Path("folder").mkdir()
    with pytest.raises(DataError, match="cannot be written") as caught:
        write_file(Path(path), b"new")
    assert caught.value.where == path


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_that_the_user_has_set(umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_file(Path("out.txt"), b"new")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("out.txt").stat().st_mode) == mode


def test_the_longest_name_that_the_system_takes_can_be_written() -> None:
    path = Path("n" * 251 + ".txt")
    write_file(path, b"new")
    assert path.read_bytes() == b"new"


@needs_pipes
def test_a_pipe_is_written_to_and_not_replaced_by_a_file() -> None:
    os.mkfifo("pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_bytes()), daemon=True)
    reader.start()
    write_file(Path("pipe"), b"through")
    assert Path("pipe").is_fifo()
    reader.join()
    assert read == [b"through"]


# Refusing to


def test_a_new_file_in_a_folder_is_fine() -> None:
    check_output(Path("out.txt"), force=False)
    check_output(Path.cwd() / "out.txt", force=False)
    assert names() == []


def test_an_existing_file_is_refused_unless_forced_and_never_touched() -> None:
    Path("out.txt").write_text("old")
    with pytest.raises(UsageError, match="exists already") as caught:
        check_output(Path("out.txt"), force=False)
    assert caught.value.where == "out.txt"
    assert "--force" in str(caught.value.hint)
    check_output(Path("out.txt"), force=True)
    assert Path("out.txt").read_text() == "old"


@pytest.mark.skipif(os.name != "posix", reason="there is no such device")
def test_a_device_may_be_written_to_and_a_link_to_nothing_is_not_replaced() -> None:
    check_output(Path("/dev/null"), force=False)
    Path("out.txt").symlink_to("nowhere.txt")
    with pytest.raises(UsageError, match="exists already"):
        check_output(Path("out.txt"), force=False)


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_and_a_file_in_no_folder_are_refused_even_when_forced(force: bool) -> None:
    Path("folder").mkdir()
    with pytest.raises(UsageError, match="this is a folder"):
        check_output(Path("folder"), force)
    with pytest.raises(UsageError, match="no such folder"):
        check_output(Path("nowhere/out.txt"), force)


# Numbers in names


@pytest.mark.parametrize(
    ("path", "index", "count", "name"),
    [
        ("p.txt", 0, 1, "p.txt"),
        ("p.txt", 0, 2, "p-01.txt"),
        ("a/p.txt", 9, 10, "a/p-10.txt"),
        ("p.txt", 6, 100, "p-007.txt"),
        ("p", 1, 3, "p-02"),
        ("p.tar.gz", 1, 3, "p.tar-02.gz"),
        ("../p.txt", 0, 2, "../p-01.txt"),
    ],
)
def test_several_results_are_numbered_before_the_ending(path: str, index: int, count: int, name: str) -> None:
    assert numbered(Path(path), index, count) == Path(name)


@given(count=st.integers(1, 1200))
def test_numbered_names_differ_and_sort_in_their_order(count: int) -> None:
    paths = [str(numbered(Path("a/p.txt"), index, count)) for index in range(count)]
    assert len(set(paths)) == count
    assert paths == sorted(paths)


# The screen


def test_control_characters_are_shown_on_a_terminal_and_kept_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a\x1b[2J\x07\r\x9b\x7f\tb\né"
    assert shown(text) == text
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert shown(text) == "a\\x1b[2J\\x07\\x0d\\x9b\\x7f\tb\né"


def test_what_is_uninterrupted_is_done_to_its_end_and_then_interrupted() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(signal.SIGINT)
        done.append("all of it")
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
