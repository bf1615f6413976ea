"""The kinds of files that a piece is written to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from seqgen.errors import DataError, UsageError
from seqgen.scores.notation import parse
from seqgen.scores.to_abc import write_abc
from seqgen.scores.to_midi import write_midi
from seqgen.scores.writing import WRITERS, Options, write_piece

TUNE = parse("title: Étude\nkey: G major\nmetre: 3/4\nG4 A4 B4 C5:3")


def test_a_suffix_decides_what_is_written() -> None:
    assert write_piece(TUNE, ".mid") == write_piece(TUNE, ".midi") == write_midi(TUNE)
    assert write_piece(TUNE, ".abc") == write_abc(TUNE)
    for suffix in (".txt", ".notes"):
        assert parse(write_piece(TUNE, suffix).decode("utf-8")) == TUNE


def test_capital_letters_in_a_suffix_are_fine() -> None:
    assert write_piece(TUNE, ".MID") == write_piece(TUNE, ".mid")


@pytest.mark.parametrize("suffix", [".pdf", "", "mid", ".mid "])
def test_an_unknown_suffix_is_refused_with_those_that_there_are(suffix: str) -> None:
    with pytest.raises(UsageError) as error:
        write_piece(TUNE, suffix)
    assert all(name in str(error.value.hint) for name in WRITERS)


def test_the_soundfont_reaches_the_sound(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        write_piece(TUNE, ".wav", Options(soundfont=tmp_path / "none.sf2"))
    assert error.value.where == str(tmp_path / "none.sf2")


def test_no_slow_library_is_loaded_before_it_is_needed() -> None:
    code = "import sys, seqgen.scores.writing; print(*({'mido', 'music21', 'symusic', 'numpy', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
