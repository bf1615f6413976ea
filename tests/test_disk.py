"""Writes that outlast a power cut: what is on the disk at which moment."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from seqgen.disk import replace_file

PLACE = Path("file.json")


@pytest.mark.skipif(os.name != "posix", reason="only POSIX can sync a folder")
def test_data_is_on_the_disk_before_its_name_and_the_name_before_it_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    sync, replace = os.fsync, os.replace

    def note_sync(descriptor: int) -> None:
        sync(descriptor)
        events.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")

    def note_replace(source: Path, target: Path) -> None:
        assert source.read_bytes() == b"new"
        events.append("rename")
        replace(source, target)

    if not Path("/proc/self/fd").exists():
        pytest.skip("what is synced cannot be named here")
    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "replace", note_replace)
    replace_file(PLACE, b"new")
    assert events == ["sync file.json.tmp", "rename", f"sync {Path.cwd().name}"]
    assert PLACE.read_bytes() == b"new" and list(Path().iterdir()) == [PLACE]


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    PLACE.write_bytes(b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(PLACE, b"new")
    assert PLACE.read_bytes() == b"old" and list(Path().iterdir()) == [PLACE]


@pytest.mark.skipif(os.name != "posix", reason="only POSIX can sync a folder")
@pytest.mark.parametrize("error", [errno.EINVAL, errno.EIO], ids=["syncs no folders", "breaks"])
def test_a_file_system_that_syncs_no_folders_can_be_written_to_and_one_that_breaks_is_told(
    monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    sync = os.fsync

    def refuse(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(error, os.strerror(error))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    if error == errno.EINVAL:
        replace_file(PLACE, b"new")
    else:
        with pytest.raises(OSError, match=os.strerror(error)):
            replace_file(PLACE, b"new")
    assert PLACE.read_bytes() == b"new"
