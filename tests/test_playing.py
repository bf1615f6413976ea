"""A piece is played by a program that is found on the machine; here by programs that only write down what they were given."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from seqgen.errors import DataError
from seqgen.scores import playing
from seqgen.scores.playing import INSTEAD, find_player, play
from tests.rehearsal import Play

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the programs here are shell scripts")
WAV, MID = b"RIFF....WAVE", b"MThd...."


def never() -> bool:
    return False


def render(suffix: str) -> bytes:
    return {".mid": MID, ".wav": WAV}[suffix]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH; and no SoundFont."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(playing, "find_soundfont", lambda: None)
    return folder


def install(folder: Path, name: str, body: str = "") -> Path:
    """A program that writes down its arguments and a copy of its last one."""
    path, log = folder / name, folder / f"{name}.log"
    shell = shutil.which("sh", path="/bin:/usr/bin")
    script = f'#!{shell}\nPATH=/bin:/usr/bin\necho "$@" > "{log}"\nfor last; do :; done\ncat "$last" > "{log}.data"\n'
    path.write_text(script + body, encoding="utf-8")
    path.chmod(0o755)
    return log


@pytest.fixture
def soundfont(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "some.sf2"
    monkeypatch.setattr(playing, "find_soundfont", lambda: path)
    return path


def leftovers() -> set[Path]:
    """The pieces that lie about."""
    import tempfile

    return set(Path(tempfile.gettempdir()).glob("seqgen-*.mid")) | set(Path(tempfile.gettempdir()).glob("seqgen-*.wav"))


def test_where_there_is_no_player_it_is_said_what_to_do_instead(programs: Path) -> None:
    assert find_player() is None
    with pytest.raises(DataError, match="no program") as caught:
        play(render, never)
    assert caught.value.hint == INSTEAD and "/save piece.mid" in INSTEAD


@pytest.mark.parametrize("name", ["afplay", "pw-play", "paplay", "aplay", "ffplay"])
def test_without_instruments_sound_cannot_be_played(programs: Path, name: str) -> None:
    install(programs, name)
    assert find_player() is None


@pytest.mark.parametrize(
    ("name", "arguments", "data"),
    [
        ("timidity", "-idq", MID),
        ("afplay", "", WAV),
        ("pw-play", "", WAV),
        ("paplay", "", WAV),
        ("aplay", "-q", WAV),
        ("ffplay", "-nodisp -autoexit -loglevel quiet", WAV),
    ],
)
def test_a_piece_is_played_by_what_is_found(
    programs: Path, soundfont: Path, name: str, arguments: str, data: bytes
) -> None:
    log, before = install(programs, name), leftovers()
    play(render, never)
    *given, file = log.read_text(encoding="utf-8").split()
    assert " ".join(given) == arguments
    assert Path(f"{log}.data").read_bytes() == data and Path(file).suffix == (".mid" if data == MID else ".wav")
    assert not Path(file).exists() and leftovers() == before, "nothing is left behind"


@pytest.mark.skipif(sys.platform == "win32", reason="sound is played by Windows itself")
def test_fluidsynth_comes_first_and_gets_the_instruments(programs: Path, soundfont: Path) -> None:
    log, other = install(programs, "fluidsynth"), install(programs, "timidity")
    play(render, never)
    assert log.read_text(encoding="utf-8").split()[:3] == ["-i", "-q", str(soundfont)]
    assert Path(f"{log}.data").read_bytes() == MID and not other.exists()


def test_fluidsynth_is_of_no_use_without_instruments(programs: Path) -> None:
    install(programs, "fluidsynth")
    assert find_player() is None
    log = install(programs, "timidity")
    play(render, never)
    assert Path(f"{log}.data").read_bytes() == MID


def test_it_stops_when_somebody_wants_it_to(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = install(programs, "timidity", "exec sleep 60\n")
    before, asked = leftovers(), 0

    def halted() -> bool:
        nonlocal asked
        asked += 1
        return log.exists() and asked > 3

    play(render, halted)  # it would take a minute
    assert asked > 3 and leftovers() == before


def test_a_player_that_does_not_listen_is_stopped_all_the_same(programs: Path) -> None:
    log = install(programs, "timidity", f"trap '' TERM\necho $$ > '{programs}/pid'\nwhile :; do sleep 0.05; done\n")
    play(render, lambda: (programs / "pid").exists() and bool((programs / "pid").read_text()))
    assert log.exists()
    pid = int((programs / "pid").read_text(encoding="utf-8"))
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_exception_stops_it_too(programs: Path) -> None:
    install(programs, "timidity", f"echo $$ > '{programs}/pid'\nexec sleep 60\n")
    before = leftovers()

    def halted() -> bool:
        if (programs / "pid").exists() and (programs / "pid").read_text(encoding="utf-8"):
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        play(render, halted)
    with pytest.raises(ProcessLookupError):
        os.kill(int((programs / "pid").read_text(encoding="utf-8")), 0)
    assert leftovers() == before


def test_a_player_that_fails_is_named_with_its_exit_code(programs: Path) -> None:
    install(programs, "timidity", "exit 3\n")
    before = leftovers()
    with pytest.raises(DataError, match=r"timidity could not play it \(exit code 3\)") as caught:
        play(render, never)
    assert caught.value.hint == INSTEAD and leftovers() == before


def test_a_player_that_cannot_be_started_is_named(programs: Path) -> None:
    path = programs / "timidity"
    path.write_bytes(b"\x00no program")
    path.chmod(0o755)
    with pytest.raises(DataError, match=r"timidity cannot be started"):
        play(render, never)


def test_a_piece_that_cannot_be_rendered_leaves_nothing_behind(programs: Path) -> None:
    install(programs, "timidity")
    before = leftovers()

    def fail(suffix: str) -> bytes:
        raise DataError("no notes")

    with pytest.raises(DataError, match="no notes"):
        play(fail, never)
    assert leftovers() == before


def test_a_session_plays_what_is_on_the_table_as_it_is_set(models: Path, programs: Path) -> None:
    log = install(programs, "timidity")
    session = Play(models, "melody", "/set program 19", "G4", "/play")
    data = Path(f"{log}.data").read_bytes()
    assert data.startswith(b"MThd") and b"\xc0\x13" in data
    assert session.session.record[-1] == "G4", "to play changes nothing"
    assert "cannot be played" in Play(models, "text", "the ").refusal("/play").what
