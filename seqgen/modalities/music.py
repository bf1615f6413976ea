"""Music: MIDI files and scores."""

from __future__ import annotations

import dataclasses
import io
import itertools
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from seqgen.errors import DataError, UsageError
from seqgen.modalities.base import Modality, Reason
from seqgen.modalities.composing import Composition, parse_seed
from seqgen.modalities.likeness import ScoreJudge, compare_pieces
from seqgen.modalities.text import skip_folder
from seqgen.recipe import TokenizerSettings
from seqgen.scores import notation
from seqgen.scores.piece import FINAL, Mark, Piece
from seqgen.scores.reading import SUFFIXES, File, read_all
from seqgen.scores.writing import WRITERS
from seqgen.tokenizers import DOCUMENT, TOKENIZERS, Tokenizer
from seqgen.writing import Limits, Rendering

_LETTERS = 0x4F00
"""Somewhere among characters that have no case and are no white space."""
PAGES = {".xml"}
"""A score, or anything else."""
MORE_BARS = 4
"""That a piece goes on for, where nothing is said."""
MOST = 0.6
"""Share of the pieces that must fit a representation for it to be chosen; the others are left out then."""
VOICES = range(2, 9)
_TITLE = re.compile(r"^title: (.*)$", re.MULTILINE)
NOTICED: list[dict[str, Any]] = [
    {"kind": "melody"},
    *({"kind": "voices", "voices": voices} for voices in VOICES),
    {"kind": "remi"},
    {"kind": "tsd"},
]


def affinity(path: PurePath) -> float:
    """Known endings are music, nothing else; an .xml might be."""
    if path.suffix.lower() in PAGES:
        return 0.3
    return 1.0 if path.suffix.lower() in SUFFIXES or path.suffix.lower() == notation.SUFFIX else 0.0


def skip_file(path: PurePath, text: str) -> Reason | None:
    """Leaves out hidden files and what is no music."""
    if path.name.startswith("."):
        return "hidden"
    return None if affinity(path) else "not music"


def guess_documents(texts: Sequence[str]) -> str:
    """A piece is a document; files are read as texts with a blank line between two pieces."""
    return "blank-line"


def notice(heads: Sequence[str]) -> dict[str, Any]:
    """The first representation that most of the pieces fit."""
    pieces = _pieces(heads)
    for choice in NOTICED:
        settings = TokenizerSettings(**choice)
        fitting = sum(refusal(text, settings) is None for text in pieces)
        if fitting >= MOST * len(pieces):
            return choice
    return NOTICED[-1]


def refusal(text: str, settings: TokenizerSettings) -> Reason | None:
    """Why a piece cannot be held by the tokenizer of these settings, or None."""
    return TOKENIZERS[settings.kind].refusal(text, settings)


def outline(text: str) -> str:
    """Steps and lengths of all parts, a letter for each: equal for pieces that are equal but for their key."""
    letters = []
    for part in notation.parse(text).parts:
        for note, after in itertools.pairwise(part.notes):
            letters += [chr(_LETTERS + after.pitch - note.pitch), chr(_LETTERS + 200 + min(note.duration // 60, 2000))]
    return "".join(letters)


def count(text: str) -> int:
    """Notes."""
    return notation.parse(text).notes


def name_document(text: str) -> str:
    """What the piece is called."""
    match = _TITLE.search(text)
    return match[1] if match else ""


def divide(text: str, shares: Sequence[float]) -> list[str]:
    """A piece cut at the barlines nearest to these shares of its length; a part without notes is empty."""
    piece = notation.parse(text)
    starts = [start for start, _ in piece.bars()]
    cuts, total = [0], 0.0
    for share in shares[:-1]:
        total += share
        places = starts if total < 1 - 1e-9 else [piece.end]  # nothing is left for a share of 0
        cuts.append(max(cuts[-1], min(places, key=lambda start: abs(start - total * piece.end))))
    bounds = zip(cuts, [*cuts[1:], piece.end + 1], strict=True)
    return [_text(piece.between(first, last)) for first, last in bounds]


def _text(piece: Piece) -> str:
    return notation.write(piece, barlines=False) if piece.notes else ""


def _pieces(heads: Sequence[str]) -> list[str]:
    """The whole pieces in the beginnings of files."""
    found = []
    for head in heads:
        for text in head.split("\n\n"):
            try:
                notation.parse(text)
            except DataError:
                continue  # cut short, or of a file that is left out
            found.append(text)
    return found


def prompt(tokenizer: Tokenizer, seed: str) -> list[int]:
    """The document symbol: the seed is brought in voice by voice, by the guide."""
    return [DOCUMENT]


def read_seed(seed: str, data: bytes | None, name: str, bars: int | None) -> str:
    """Notes as they were typed, or the first piece of a file, with its final barline; of either only so many bars.

    Raises:
        DataError: it is no music.
        UsageError: bars of no seed.
    """
    text = seed if data is None else _read_file(data, name)
    if bars is not None and not text.strip():
        raise UsageError(
            "--seed-bars says how much of a seed is taken, and there is none", hint="Give --seed-file or --seed."
        )
    piece = parse_seed(text, name or "seed") if data is not None or bars is not None else None
    if piece is None:
        return text
    ends = [end for _, end in piece.bars()]
    if bars is None:  # a whole piece: what is sampled beside it ends with it
        return notation.write(dataclasses.replace(piece, marks=(*piece.marks, Mark(ends[-1], FINAL))))
    return notation.write(piece.between(0, ends[min(len(ends), bars + (piece.pickup > 0)) - 1]))


def _read_file(data: bytes, name: str) -> str:
    suffix = PurePath(name).suffix.lower()
    if data.startswith(b"MThd"):
        suffix = ".mid"  # whatever it is called: it may come from standard input
    if suffix not in SUFFIXES:
        try:
            return re.split(r"\n\s*\n", data.decode("utf-8-sig").replace("\r\n", "\n").strip())[0]
        except UnicodeDecodeError as error:
            raise DataError(
                f"not utf-8 at byte {error.start}",
                where=name,
                hint=f"Bring notes as text, or {', '.join(sorted(SUFFIXES))}.",
            ) from error
    (result,) = read_all([File(name, suffix, lambda: io.BytesIO(data))])
    if isinstance(result, DataError):
        raise result
    return result.text.split("\n\n")[0]


def check_files(suffixes: Sequence[str], rendering: Rendering) -> None:
    """Only what music can be written as, and a way to play only where something is."""
    if rendering != Rendering() and not suffixes:
        raise UsageError(
            "--tempo, --program, --transpose and --soundfont say how a file is written", hint="Give one: -o piece.mid"
        )
    if rendering.soundfont and ".wav" not in [suffix.lower() for suffix in suffixes]:
        raise UsageError("a SoundFont is for sound", hint="Give -o piece.wav, or leave --soundfont out.")
    for suffix in suffixes:
        if suffix.lower() not in WRITERS:
            known = ", ".join(WRITERS)
            raise UsageError(
                f"music cannot be written as {suffix or 'a file without an ending'}", hint=f"There are: {known}."
            )


def go_on(text: str, limits: Limits) -> tuple[str, Limits]:
    """From its last bar, whether or not that was the final one; so many bars more as a whole sample was to have, or a few."""
    piece = notation.parse(text)
    open_piece = dataclasses.replace(piece, marks=tuple(mark for mark in piece.marks if mark.sign != FINAL))
    if limits.length is not None:
        return notation.write(open_piece), limits
    bars = sum(1 for _ in piece.bars()) - (piece.pickup > 0)
    return notation.write(open_piece), dataclasses.replace(limits, bars=bars + (limits.bars or MORE_BARS))


def end(text: str) -> int | None:
    """Nowhere: a piece says itself where it ends."""
    return None


MUSIC = Modality(
    name="music",
    title="music: MIDI, MusicXML, ABC, Humdrum",
    model="language",
    document="piece",
    affinity=affinity,
    skip_folder=skip_folder,
    skip_file=skip_file,
    conversion="scores",
    notice=notice,
    noticed=NOTICED,
    guess_documents=guess_documents,
    tokenizers=("voices", "melody", "remi", "tsd", "frames"),
    outline=outline,
    count=count,
    divide=divide,
    sequences=None,
    writing=Composition,
    prompt=prompt,
    read_seed=read_seed,
    check_files=check_files,
    compare=compare_pieces,
    originality=ScoreJudge,
    name_document=name_document,
    end=end,
    lead="",
    open_ended=False,
    go_on=go_on,
    highlighted=False,
    end_name="",
    unit_length=0,
)
