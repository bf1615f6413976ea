"""Reading music files in worker processes: every file gets its text or its reason, in order, and nothing is left behind."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from seqgen.errors import DataError
from seqgen.scores import notation, reading
from seqgen.scores.reading import LARGEST, SUFFIXES, File, Read, read_all, read_tinynotation
from tests.test_from_midi import A_NOTE, midi, off, on, tempo, track

GOOD = midi(track(*A_NOTE))


def file(data: bytes, suffix: str = ".mid", name: str = "a file") -> File:
    return File(name, suffix, lambda: io.BytesIO(data))


def tune(pitch: int) -> File:
    return file(midi(track((0, on(pitch)), (480, off(pitch)))), name=str(pitch))


@pytest.fixture
def misbehaving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers whose MIDI reader does what the file says, after its first four bytes."""
    (tmp_path / "hostile.py").write_text(
        "import seqgen.scores.worker as worker, seqgen.scores.from_midi as midi\n"
        "read = midi.read_midi\n"
        "def obey(data):\n"
        "    if data[:4] != b'EVIL': return read(data)\n"
        "    exec(data[4:])\n"
        "    raise worker.DataError('survived')\n"
        "midi.read_midi = obey\n"
        "worker.main()\n"
    )
    start = subprocess.Popen

    def started(command: list[str], **options: object) -> object:
        return start([*command[:-2], str(tmp_path / "hostile.py")], **options)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "Popen", started)
    yield


def evil(code: str) -> File:
    return file(b"EVIL" + code.encode(), name="evil")


def what(result: Read | DataError) -> str:
    assert isinstance(result, DataError)
    return result.what


def test_results_come_in_the_order_of_the_files_with_two_workers_too() -> None:
    files = [tune(pitch) if pitch % 7 else file(b"", name=str(pitch)) for pitch in range(30, 90)]
    results = list(read_all(files, most=2))
    assert len(results) == len(files)
    for pitch, result in zip(range(30, 90), results, strict=True):
        if pitch % 7:
            assert isinstance(result, Read) and not result.skipped
            assert notation.parse(result.text).parts[0].notes[0].pitch == pitch
        else:
            assert isinstance(result, DataError) and result.where == str(pitch)


def test_the_pieces_of_a_file_are_parted_by_blank_lines_and_what_was_skipped_is_said() -> None:
    tunes = b"X:1\nL:1/4\nK:C\nCDEF|\n\nX:2\nbad\n\nX:3\nL:1/4\nK:G\nGABc|\n"
    (result,) = read_all([file(tunes, ".abc")])
    assert isinstance(result, Read)
    first, second = (notation.parse(text) for text in result.text.split("\n\n"))
    assert (first.keys[0].tonic, second.keys[0].tonic) == (0, 7)
    assert [line[:3] for line in result.skipped] == ["X:2"]


def test_every_ending_has_a_reader() -> None:
    results = list(read_all([file(b"?", suffix, suffix) for suffix in sorted(SUFFIXES)], most=1))
    assert all(isinstance(result, DataError) and "reader failed" not in result.what for result in results)


@pytest.mark.parametrize(
    ("data", "suffix", "reason"),
    [
        (GOOD[:30], ".mid", "cut short"),
        (b"", ".mid", "empty"),
        (midi(), ".mid", "without tracks"),
        (b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\xff\xff\xff\xff", ".mid", "4,294,967,295 bytes"),
        (midi(track(*A_NOTE * 200_001)), ".mid", "200,001 notes"),
        (b"just some text, not music at all", ".mid", "does not begin with MThd"),
        (midi(track()), ".mid", "no notes in it"),
        (midi(track(*A_NOTE), division=0xE728), ".mid", "SMPTE"),
        (midi(track(*A_NOTE), form=2), ".mid", "format 2"),
        (b"PK\3\4 and so on", ".mxl", "damaged .mxl"),
    ],
)
def test_a_hostile_file_is_refused_with_its_reason(data: bytes, suffix: str, reason: str) -> None:
    refused, good = read_all([file(data, suffix), tune(60)], most=1)
    assert reason in what(refused)
    assert isinstance(good, Read)


def test_an_endless_note_and_a_tempo_of_zero_cost_nothing_else() -> None:
    (result,) = read_all([file(midi(track((0, on(40)), (0, tempo(0)), *A_NOTE)))])
    assert isinstance(result, Read) and result.text == "part 1: C4v64"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of memory there")
def test_a_reader_that_crashes_hangs_or_takes_all_memory_costs_one_file(misbehaving: None) -> None:
    crashing = "import os; os.abort()"
    files = [tune(60), evil(crashing), evil("while True: pass"), evil("b'' * 1; bytearray(3 << 30)"), tune(62)]
    first, crashed, hung, filled, last = read_all(files, most=1, seconds=2.0)
    assert isinstance(first, Read) and isinstance(last, Read)
    assert what(crashed) == "crashed the reader"
    assert what(hung) == "took longer than 2 seconds to read"
    assert what(filled) == "needs more than 2 GB of memory to be read"


def test_a_reader_can_neither_write_nor_use_the_network_nor_print(
    misbehaving: None, capfd: pytest.CaptureFixture[str]
) -> None:
    forbidden = [
        "open('written', 'w')",
        "import socket; socket.socket()",
        "import os; os.system('true')",
        "import os; os.mkdir('made')",
    ]
    for result in read_all(map(evil, forbidden), most=1):
        assert "is forbidden while music is read" in what(result)
    (printed,) = read_all([evil("import os; print('hello'); os.write(1, b'x'); os.write(2, b'x')")])
    assert what(printed) == "survived"
    assert capfd.readouterr() == ("", "")
    assert not list(Path().iterdir())


def test_a_module_in_the_current_folder_is_not_imported() -> None:
    Path("json.py").write_text("raise SystemExit")
    assert all(isinstance(result, Read) for result in read_all([tune(60)]))


def test_a_file_too_large_or_that_cannot_be_opened_is_refused_unread() -> None:
    class Endless(io.RawIOBase):
        asked = 0

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            self.asked += size
            return bytes(size)

    def missing() -> BinaryIO:
        raise FileNotFoundError(2, "No such file")

    endless = Endless()
    large, gone, good = read_all([File("large", ".mid", lambda: endless), File("gone", ".mid", missing), tune(60)])  # type: ignore[arg-type,return-value]
    assert what(large) == "larger than 64 MB" and endless.asked == LARGEST + 1
    assert what(gone) == "cannot be read: No such file"
    assert isinstance(good, Read)


def test_only_a_few_files_are_opened_ahead() -> None:
    opened = []

    def files() -> Iterator[File]:
        for number in range(1000):
            opened.append(number)
            yield tune(60)

    results = read_all(files(), most=2)
    next(results)
    assert len(opened) < 30
    results.close()  # type: ignore[attr-defined]


def test_no_worker_is_left_when_reading_ends_early(misbehaving: None, monkeypatch: pytest.MonkeyPatch) -> None:
    workers: list[reading._Worker] = []
    start = reading._Worker.__init__

    def remember(self: reading._Worker) -> None:
        workers.append(self)
        start(self)

    monkeypatch.setattr(reading._Worker, "__init__", remember)
    results = read_all([tune(60), *[evil("while True: pass")] * 9], most=2)
    next(results)
    began = time.perf_counter()
    results.close()  # type: ignore[attr-defined]
    assert time.perf_counter() - began < 1
    assert workers and all(each._process.poll() is not None for each in workers)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are another thing there")
def test_a_worker_outlives_an_interrupt_that_its_parent_handles() -> None:
    with reading._Pool(1, 30) as pool:
        assert isinstance(pool.submit(GOOD, ".mid", "one").result(), Read)
        (process,) = (each._process for each in pool._all)
        os.kill(process.pid, signal.SIGINT)
        assert isinstance(pool.submit(GOOD, ".mid", "two").result(), Read)
        assert process.poll() is None


def test_a_single_midi_file_takes_no_music21() -> None:
    assert isinstance(next(read_all([tune(60)])), Read)
    read = "import sys; from seqgen.scores import worker; worker._read('.mid', sys.stdin.buffer.read())"
    code = f"{read}; print('music21' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], input=GOOD, capture_output=True, check=True)
    assert done.stdout.strip() == b"False"


def test_tinynotation_goes_through_a_worker() -> None:
    assert notation.parse(read_tinynotation("4/4 c4 d8")).parts[0].notes[1].pitch == 62
    with pytest.raises(DataError, match="h4"):
        read_tinynotation("4/4 h4")


def test_a_collection_of_tunes_may_take_longer_by_its_size() -> None:
    tune = b"X:1\nL:1/4\nK:C\nCDEF|\n"
    small, large = read_all([file(tune, ".abc"), file(b"%" * 99_999 + b"\n" + tune, ".abc")], most=1, seconds=0.001)
    assert "took longer" in what(small)
    assert isinstance(large, Read)
