"""Damaged music files of all kinds, as a corpus of them is read: to pieces, to text, and back."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path

from fuzz.damage import BINARY, DAMAGES, damaged
from fuzz.target import Case, Target
from seqgen.errors import DataError
from seqgen.scores import notation
from seqgen.scores.reading import SUFFIXES
from seqgen.scores.worker import MIDI
from seqgen.scores.writing import write_piece

PIECES = (
    "title: Ode\nkey: G major\nmetre: 4/4\npickup: 1\ntempo: 96\n"
    "Tune: D5 B4:0.5 C5:0.5 D5 E5 | D5:2^ r B4:1/3 C5:1/3 D5:1/3 | G4:4 |]",
    "key: E minor\nmetre: 3/4 @6 2/4\nSoprano: E5 F#5 G5 | A5:3 | B5:2\nBass (program 32): E3:3 | A2:1.5 A2:0.5 B2 | E3:2",
    "Piano: C4+E4+G4:2v80 @0 C3:4v60 F4+A4:0.25 r:0.75 C4:2\nBeat (drums): 36:1 42:0.5 42:0.5 38:1",
)
TUNES = b"""%abc-2.1
X:1
T:First & last
M:6/8
L:1/8
Q:3/8=100
K:Ador
|:"Am"e2A "G"B2d|1 {g}e>dB (3ABc d2:|2 [CEG]2 z =c^c _b, z4|]
w: la le--li * lu
V:2 bass
A,3-A,3|"""
KERN = b"""!!!OTL: Air
**kern\t**kern
*clefF4\t*clefG2
*k[f#]\t*k[f#]
*M3/4\t*M3/4
=1\t=1
4G\t(8b
.\t8cc)
2D\t[2dd
=2\t=2
*\t*^
2.G\t4dd]\t2.g
.\t4r\t.
.\t6ee;\t.
==\t==\t==
*-\t*-\t*-
"""


def specimens() -> list[Case]:
    """Three pieces in the files that seqgen writes, and two in others."""
    found = [Case("tunes.abc", TUNES), Case("air.krn", KERN)]
    for number, text in enumerate(PIECES, 1):
        piece = notation.parse(text)
        found.append(Case(f"{number}.mid", write_piece(piece, ".mid")))
        found.append(Case(f"{number}.musicxml", write_piece(piece, ".musicxml")))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr(
            "META-INF/container.xml", '<container><rootfiles><rootfile full-path="a.xml"/></rootfiles></container>'
        )
        package.writestr("a.xml", found[3].data)
    return [*found, Case("packed.mxl", buffer.getvalue())]


def mutate(case: Case, specimens: Sequence[Case], draw: random.Random) -> Case:
    """Bytes are damaged; of a text also lines."""
    is_text = Path(case.name).suffix not in (*MIDI, ".mxl")
    return damaged(case, draw, DAMAGES if is_text else BINARY)


def run(case: Case) -> None:
    """Reads a file as a worker does, and its text again as a corpus is read. Where a worker would say that a file is too deeply
    nested, so does this."""
    suffix = Path(case.name).suffix.lower()
    try:
        if suffix in MIDI:
            from seqgen.scores.from_midi import read_midi

            pieces = [read_midi(case.data)]
        else:
            from seqgen.scores.from_sheets import read_sheet

            pieces, _ = read_sheet(case.data, suffix)
    except RecursionError as error:
        raise DataError("too deeply nested") from error
    for piece in pieces:
        text = notation.write(piece, barlines=False)
        assert notation.write(notation.parse(text), barlines=False) == text, "a piece is read again as another one"


MUSIC = Target(
    "music", "music files: MIDI, MusicXML, ABC, Humdrum", specimens, mutate, run, SUFFIXES, seconds=30, in_worker=True
)
