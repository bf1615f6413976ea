"""A piece is played by a program of this machine: nothing that is downloaded, and no shell."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from seqgen.errors import DataError
from seqgen.scores.to_wav import find_soundfont

INSTEAD = (
    "/save piece.mid writes it for a music program. Players that are found: fluidsynth, timidity, and what plays .wav."
)
PATIENCE = 0.05
"""Seconds between two looks whether somebody wants it to stop."""


class Player(NamedTuple):
    """A program that plays files.

    Attributes:
        command: its arguments, the file's name to be added.
        suffix: of the files.
    """

    command: Sequence[str]
    suffix: str


_OF_WAV = (
    ("afplay",),
    ("pw-play",),
    ("paplay",),
    ("aplay", "-q"),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "quiet"),
)
_OF_MIDI = (("timidity", "-idq"),)
_ON_WINDOWS = "import sys, winsound; winsound.PlaySound(sys.argv[1], winsound.SND_FILENAME)"


def find_player() -> Player | None:
    """A program of this machine that plays MIDI, or sound if there is a SoundFont to make it with; None: there is none."""
    soundfont = find_soundfont()
    if soundfont is not None:
        if sys.platform == "win32":
            return Player((sys.executable, "-c", _ON_WINDOWS), ".wav")
        if fluidsynth := shutil.which("fluidsynth"):
            return Player((fluidsynth, "-i", "-q", str(soundfont)), ".mid")
    for suffix, commands in ((".mid", _OF_MIDI), (".wav", _OF_WAV if soundfont is not None else ())):
        for name, *arguments in commands:
            if found := shutil.which(name):
                return Player((found, *arguments), suffix)
    return None


def play(render: Callable[[str], bytes], halted: Callable[[], bool]) -> None:
    """Plays until the end, or until somebody wants it to stop.

    Args:
        render: the piece as a file with this ending.
        halted: whether somebody does.

    Raises:
        DataError: there is no player, or it fails.
    """
    player = find_player()
    if player is None:
        raise DataError("there is no program on this machine that plays it", hint=INSTEAD)
    handle, name = tempfile.mkstemp(suffix=player.suffix, prefix="seqgen-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(render(player.suffix))
        _run([*player.command, name], halted)
    finally:
        with contextlib.suppress(OSError):
            Path(name).unlink()


def _run(command: Sequence[str], halted: Callable[[], bool]) -> None:
    nothing = subprocess.DEVNULL
    try:
        # In a group of its own: an interrupt is for us, and we end it.
        process = subprocess.Popen(  # noqa: S603 - no shell, our own arguments
            command, start_new_session=True, stdin=nothing, stdout=nothing, stderr=nothing
        )
    except OSError as error:
        raise DataError(f"{command[0]} cannot be started: {error.strerror}", hint=INSTEAD) from error
    try:
        while process.poll() is None:
            if halted():
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
    finally:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode:
        raise DataError(f"{Path(command[0]).name} could not play it (exit code {process.returncode})", hint=INSTEAD)
