"""The kinds of files that a piece is written to, by their suffix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seqgen.errors import UsageError
from seqgen.scores import notation
from seqgen.scores.piece import Piece


@dataclass(frozen=True)
class Options:
    """What a writer may want to know besides the piece.

    Attributes:
        soundfont: the instruments for sound; None: what is on this machine.
    """

    soundfont: Path | None = None


@dataclass(frozen=True)
class Writer:
    """A kind of file.

    Attributes:
        title: what it is, for people.
        write: makes the file's bytes.
    """

    title: str
    write: Callable[[Piece, Options], bytes]


def write_piece(piece: Piece, suffix: str, options: Options | None = None) -> bytes:
    """The bytes of a file of a piece; equal pieces give equal ones.

    Args:
        piece: what to write.
        suffix: `.mid`, in lower or upper case.
        options: what some kinds need.

    Raises:
        UsageError: no kind of file has that suffix.
        DataError: the piece cannot be written so.
    """
    writer = WRITERS.get(suffix.lower())
    if writer is None:
        known = ", ".join(f"{name} ({writer.title})" for name, writer in WRITERS.items())
        raise UsageError(f"music is not written to {suffix or 'a file without a suffix'}", hint=f"There are: {known}.")
    return writer.write(piece, options or Options())


# The libraries are slow to load, so each is imported when its kind of file is written.


def _midi(piece: Piece, options: Options) -> bytes:
    from seqgen.scores.to_midi import write_midi

    return write_midi(piece)


def _abc(piece: Piece, options: Options) -> bytes:
    from seqgen.scores.to_abc import write_abc

    return write_abc(piece)


def _musicxml(piece: Piece, options: Options) -> bytes:
    from seqgen.scores.to_musicxml import write_musicxml

    return write_musicxml(piece)


def _png(piece: Piece, options: Options) -> bytes:
    from seqgen.scores.to_png import write_png

    return write_png(piece)


def _wav(piece: Piece, options: Options) -> bytes:
    from seqgen.scores.to_wav import write_wav

    return write_wav(piece, options.soundfont)


def _text(piece: Piece, options: Options) -> bytes:
    return notation.write(piece).encode("utf-8")


WRITERS: dict[str, Writer] = {
    ".mid": Writer("MIDI", _midi),
    ".midi": Writer("MIDI", _midi),
    ".musicxml": Writer("MusicXML", _musicxml),
    ".xml": Writer("MusicXML", _musicxml),
    ".png": Writer("a piano roll", _png),
    ".abc": Writer("ABC, one voice", _abc),
    ".wav": Writer("sound, needs a SoundFont", _wav),
    ".txt": Writer("text", _text),
    ".notes": Writer("text", _text),
}
"""Another kind of file is one function above and one line here."""
