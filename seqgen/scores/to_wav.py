"""A piece as sound: its MIDI file, played by symusic's synthesizer with a SoundFont, as a WAV file.

A SoundFont is a file from anywhere, and what reads it is native code; so that happens in a process of its own:
``python -m seqgen.scores.to_wav SOUNDFONT``, with MIDI going in and WAV coming out. Nothing is ever downloaded.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seqgen.errors import DataError
from seqgen.scores.piece import Piece

RATE = 44_100
"""Samples a second."""
LONGEST = 15 * 60
"""Seconds of sound that are made at most: all of it is in the memory at once."""
PATIENCE = 300.0
"""Seconds that the other process may take."""
HINT = "Give one: --soundfont FILE (.sf2 or .sf3)."
_SHARED = ("sounds/sf2", "sounds/sf3", "soundfonts")
_ROOTS = ("/usr/local/share", "/usr/share", "/opt/homebrew/share", "~/.local/share")
_PACKAGES = ("pretty_midi",)
"""Packages for Python that come with a SoundFont."""
_SUFFIXES = (".sf2", ".sf3")
_PACKAGE = Path(__file__).parents[2]


def write_wav(piece: Piece, soundfont: Path | None = None) -> bytes:
    """A piece as a WAV file: stereo, 16 bits, 44,100 samples a second; quieter where it would be too loud for that.

    Args:
        piece: at most `LONGEST` seconds of music.
        soundfont: a file with the instruments; None: one that is on this machine.

    Raises:
        DataError: no notes, too long, no SoundFont, or one that cannot be played.
    """
    if not piece.notes:
        raise DataError("no notes to play")
    soundfont = soundfont or find_soundfont()
    if soundfont is None:
        raise DataError("there is no SoundFont on this machine, which has the sounds of the instruments", hint=HINT)
    _check(soundfont)
    return _render(_midi(piece), soundfont)


def find_soundfont() -> Path | None:
    """A SoundFont that the system, a package or symusic has put on this machine; None if there is none."""
    for folder in _folders():
        try:
            files = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
        except OSError:  # no such folder, or not ours to read
            continue
        if files:
            return min(files, key=lambda path: (not path.stem.startswith("default"), path.name))
    return None


def _folders() -> Iterator[Path]:
    """Where SoundFonts are put."""
    for root in _ROOTS:
        yield from (Path(root).expanduser() / shared for shared in _SHARED)
    for package in _PACKAGES:
        found = importlib.util.find_spec(package)
        yield from map(Path, (found.submodule_search_locations if found else None) or ())
    if importlib.util.find_spec("symusic"):
        from symusic import BuiltInSF3

        yield BuiltInSF3.MuseScoreGeneral().path(download=False).parent


def _check(soundfont: Path) -> None:
    try:
        with soundfont.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise DataError(f"it cannot be read: {error.strerror}", where=str(soundfont), hint=HINT) from error
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise DataError("this is not a SoundFont", where=str(soundfont), hint=HINT)


def _midi(piece: Piece) -> bytes:
    import mido

    from seqgen.scores.to_midi import write_midi

    midi = write_midi(piece)
    seconds = mido.MidiFile(file=io.BytesIO(midi)).length
    if seconds > LONGEST:
        raise DataError(
            f"this piece takes {seconds / 60:.0f} minutes, and sound is made for {LONGEST // 60} at most",
            hint="Make it shorter or faster, or write .mid instead.",
        )
    return midi


def _render(midi: bytes, soundfont: Path) -> bytes:
    """The other process's answer."""
    # -P and the paths: it finds the modules that we found, and none that lies in the working folder by chance.
    command = [sys.executable, "-P", "-m", __name__, str(soundfont.absolute())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(_PACKAGE)])}
    where = str(soundfont)
    try:
        done = subprocess.run(  # noqa: S603 - our own Python, our own code
            command, input=midi, env=environment, capture_output=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"it was not played within {PATIENCE:g} seconds", where=where, hint=HINT) from error
    except OSError as error:
        raise DataError(f"no process to play it could be started: {error}", where=where) from error
    if done.returncode == 0:
        return done.stdout
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    reason = lines[-1] if done.returncode == 1 and lines else "it crashes the library that reads it"
    raise DataError(f"this SoundFont cannot be played: {reason}", where=where, hint=HINT)


def _synthesize(midi: bytes, soundfont: str) -> npt.NDArray[np.float32]:
    """Sound of shape (2, samples), about -1 to 1."""
    import symusic

    score = symusic.Score.from_midi(midi)
    synthesizer: Any = symusic.core.Synthesizer(soundfont, RATE, 0)
    try:
        return np.asarray(synthesizer.render(score, True), dtype=np.float32)
    except TypeError as error:  # symusic 0.6.0 lacks the step from its own arrays to numpy's
        version = importlib.metadata.version("symusic")
        raise RuntimeError(f"symusic {version} cannot hand over its sound; try another version of it") from error


def _encode(sound: npt.NDArray[np.float32]) -> bytes:
    """Sound of shape (2, samples) as a WAV file.

    Raises:
        ValueError: there is none to be heard.
    """
    peak = float(np.abs(sound).max(initial=0.0))
    if not 0.0 < peak < float("inf"):  # nor is one that is not a number
        raise ValueError("it has no sound for these notes")
    samples = np.round(sound.T * np.float32(32767 / max(1.0, peak))).astype("<i2")
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return data.getvalue()


def _main() -> None:
    """The other process: the WAV goes out where nothing that a library prints can get into it."""
    answer = os.dup(1)
    os.dup2(2, 1)
    try:
        wav = _encode(_synthesize(sys.stdin.buffer.read(), sys.argv[1]))
    except Exception as error:  # whatever the library raises is the reason why not
        sys.exit(" ".join(str(error).split()) or type(error).__name__)
    with os.fdopen(answer, "wb") as file:
        file.write(wav)


if __name__ == "__main__":
    _main()
