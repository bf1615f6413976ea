"""Sound: a SoundFont is played in a process of its own, so that a bad one is an error message and not a crash."""

from __future__ import annotations

import importlib.metadata
import io
import math
import socket
import struct
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from seqgen.errors import DataError
from seqgen.scores import to_wav
from seqgen.scores.notation import parse
from seqgen.scores.piece import Part, Piece
from seqgen.scores.to_wav import find_soundfont, write_wav

A4 = parse("tempo: 240\nA4:2")
HEAD = b"RIFF\4\0\0\0sfbk"
RATE = 44_100
PITCH = 440.0
broken_synthesizer = pytest.mark.xfail(
    importlib.metadata.version("symusic") == "0.6.0",
    reason="symusic 0.6.0 has no way to hand its sound to Python (TypeError in Synthesizer.render)",
)
SYNTHESIZER = """
import os, time
import numpy as np

class Score:
    @staticmethod
    def from_midi(data):
        assert data.startswith(b"MThd")

class core:
    class Synthesizer:
        def __init__(self, path, rate, quality):
            assert os.path.exists(path)
            self.rate = rate

        def render(self, score, stereo):
            print("a library may print", flush=True)
            {render}
"""
"""In the place of symusic: what the other process makes of each way that it can behave."""


def chunk(name: bytes, *data: bytes) -> bytes:
    body = b"".join(data)
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def soundfont() -> bytes:
    """A SoundFont 2.01 of one instrument: four periods of a sine, looped, as A4."""
    length = round(4 * RATE / PITCH)
    sine = [round(20_000 * math.sin(2 * math.pi * 4 * place / length)) for place in range(length)]
    version = chunk(b"ifil", struct.pack("<HH", 2, 1)) + chunk(b"isng", b"EMU8000\0") + chunk(b"INAM", b"sine\0\0")
    presets = struct.pack("<20s3H3I", b"sine", 0, 0, 0, 0, 0, 0) + struct.pack("<20s3H3I", b"EOP", 0, 0, 1, 0, 0, 0)
    instruments = struct.pack("<20sH", b"sine", 0) + struct.pack("<20sH", b"EOI", 1)
    sample = struct.pack("<20s5IBbHH", b"sine", 0, length, 0, length - 1, RATE, 69, 0, 0, 1)
    tables = [
        chunk(b"phdr", presets),
        chunk(b"pbag", struct.pack("<4H", 0, 0, 1, 0)),
        chunk(b"pmod", bytes(10)),
        chunk(b"pgen", struct.pack("<HH", 41, 0), bytes(4)),  # the instrument
        chunk(b"inst", instruments),
        chunk(b"ibag", struct.pack("<4H", 0, 0, 2, 0)),
        chunk(b"imod", bytes(10)),
        chunk(b"igen", struct.pack("<4H", 54, 1, 53, 0), bytes(4)),  # looped, the sample
        chunk(b"shdr", sample, struct.pack("<20s5IBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0)),
    ]
    waves = chunk(b"smpl", struct.pack(f"<{length + 46}h", *sine, *[0] * 46))
    lists = [chunk(b"LIST", b"INFO", version), chunk(b"LIST", b"sdta", waves), chunk(b"LIST", b"pdta", *tables)]
    return chunk(b"RIFF", b"sfbk", *lists)


def samples(wav: bytes) -> npt.NDArray[np.int16]:
    """Of shape (samples, 2)."""
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, 2)


def pretend(render: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A synthesizer that does this in the place of symusic; gives a file that looks like a SoundFont."""
    (folder / "modules").mkdir()
    (folder / "modules" / "symusic.py").write_text(SYNTHESIZER.replace("{render}", render), encoding="utf-8")
    monkeypatch.syspath_prepend(folder / "modules")
    font = folder / "font.sf2"
    font.write_bytes(HEAD)
    return font


@broken_synthesizer
def test_a_soundfont_is_played_in_tune(tmp_path: Path) -> None:
    (tmp_path / "sine.sf2").write_bytes(soundfont())
    sound = samples(write_wav(A4, tmp_path / "sine.sf2"))[: RATE // 4, 0].astype(float)
    loudest = int(np.abs(np.fft.rfft(sound)).argmax()) * 4
    assert loudest == pytest.approx(PITCH, abs=4)


def test_what_the_synthesizer_plays_is_written_as_stereo_of_16_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    font = pretend("return np.array([[0.5, -0.5, 0.0], [0.25, 1.0, 0.0]], np.float32)", tmp_path, monkeypatch)
    assert samples(write_wav(A4, font)).tolist() == [[16384, 8192], [-16384, 32767], [0, 0]]


def test_what_is_too_loud_is_made_quieter_and_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    font = pretend("return np.array([[4.0, -2.0], [0.0, 1.0]], np.float32)", tmp_path, monkeypatch)
    assert samples(write_wav(A4, font)).tolist() == [[32767, 0], [-16384, 8192]]


@pytest.mark.parametrize(
    ("render", "what"),
    [
        ("os.abort()", "crashes"),
        ("raise RuntimeError('bad\\nsample')", "bad sample"),
        ("return np.zeros((2, 100), np.float32)", "no sound"),
        ("return np.zeros((2, 0), np.float32)", "no sound"),
        ("return np.full((2, 9), np.nan, np.float32)", "no sound"),
    ],
)
def test_a_soundfont_that_cannot_be_played_is_an_error_message(
    render: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    font = pretend(render, tmp_path, monkeypatch)
    with pytest.raises(DataError, match=what) as error:
        write_wav(A4, font)
    assert error.value.where == str(font) and "--soundfont" in str(error.value.hint)


def test_a_soundfont_that_never_comes_to_an_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    font = pretend("time.sleep(100)", tmp_path, monkeypatch)
    monkeypatch.setattr(to_wav, "PATIENCE", 0.5)
    with pytest.raises(DataError, match=r"within 0\.5 seconds"):
        write_wav(A4, font)


def test_a_module_in_the_working_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    font = pretend("return np.ones((2, 1), np.float32)", tmp_path, monkeypatch)
    Path("symusic.py").write_text("raise SystemExit('run')", encoding="utf-8")
    assert samples(write_wav(A4, font)).tolist() == [[32767, 32767]]


@pytest.mark.parametrize("damage", [0, 12, 60, 300, 900])
def test_a_damaged_soundfont_is_an_error_message(damage: int, tmp_path: Path) -> None:
    (tmp_path / "damaged.sf2").write_bytes(soundfont()[:damage])
    with pytest.raises(DataError) as error:
        write_wav(A4, tmp_path / "damaged.sf2")
    assert error.value.where == str(tmp_path / "damaged.sf2") and "hand over" not in error.value.what


def test_a_file_that_is_no_soundfont_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.sf2").write_text("not a SoundFont", encoding="utf-8")
    with pytest.raises(DataError, match="not a SoundFont"):
        write_wav(A4, tmp_path / "text.sf2")
    for path in (tmp_path / "none.sf2", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            write_wav(A4, path)


def nowhere(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A machine on which nothing but this folder has SoundFonts."""
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    monkeypatch.setattr(to_wav, "_ROOTS", (str(folder / "share"),))
    monkeypatch.setattr(to_wav, "_PACKAGES", ())


def test_without_a_soundfont_the_user_is_told_to_give_one_and_nothing_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", connect)
    nowhere(monkeypatch, tmp_path)
    assert find_soundfont() is None
    with pytest.raises(DataError, match="no SoundFont on this machine") as error:
        write_wav(A4)
    assert "--soundfont FILE" in str(error.value.hint)


def test_a_soundfont_of_the_system_or_of_a_package_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere(monkeypatch, tmp_path)
    package = tmp_path / "modules" / "with_a_soundfont"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('it is not imported')", encoding="utf-8")
    (package / "small.sf2").write_bytes(HEAD)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.setattr(to_wav, "_PACKAGES", ("not_installed", "with_a_soundfont"))
    assert find_soundfont() == package / "small.sf2"
    system = tmp_path / "share" / "soundfonts"
    system.mkdir(parents=True)
    for name in ("b.SF3", "a.txt", "c.sf2"):
        (system / name).write_bytes(HEAD)
    assert find_soundfont() == system / "b.SF3"
    (system / "default-GM.sf2").write_bytes(HEAD)
    assert find_soundfont() == system / "default-GM.sf2"


def test_a_piece_without_notes_or_of_hours_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    (tmp_path / "font.sf2").write_bytes(HEAD)
    with pytest.raises(DataError, match="no notes"):
        write_wav(Piece((Part(()),)), tmp_path / "font.sf2")
    with pytest.raises(DataError, match="takes 25 minutes"):
        write_wav(parse("tempo: 4\nC4:100"), tmp_path / "font.sf2")
