"""How like real pieces samples are, and how much of them is copied: each measure beside what held-out pieces give."""

from __future__ import annotations

from collections.abc import Sequence

from seqgen.modalities.base import Likeness
from seqgen.scores import notation
from seqgen.scores.copying import Copies, Passages, average_copies
from seqgen.scores.measures import Figure, compare, describe
from seqgen.scores.piece import Piece


def compare_pieces(samples: Sequence[str], held_out: Sequence[str], training: Sequence[str]) -> list[Likeness]:
    """The measures of samples and of held-out pieces, both beside the training pieces; all in their text form."""
    known = _distinct(map(notation.parse, training))
    passages, profile = Passages(known), describe(known)
    figures, copies = [], []
    for texts in (samples, held_out):
        pieces = [notation.parse(text) for text in texts]
        found = [passages.find(piece) for piece in pieces]
        figures.append([*compare(describe(pieces), profile), *average_copies(found)])
        copies.append(found)
    rows = [
        Likeness(mine.name, mine.unit, mine.value, theirs.value, mine.error)
        for mine, theirs in zip(*figures, strict=True)
        if _is_worth_telling(mine, theirs)
    ]
    longest = [max(map(_longest, found), default=0) for found in copies]
    return [*rows, Likeness("the longest copied melody of all", "notes", longest[0], longest[1], None)]


def _is_worth_telling(mine: Figure, theirs: Figure) -> bool:
    return mine.value is not None and theirs.value is not None


def _longest(copies: Copies) -> int:
    return copies.melody.notes if copies.melody else 0


def _distinct(pieces: Sequence[Piece] | map[Piece]) -> list[Piece]:
    """The pieces without those that are another one in a different key."""
    seen: dict[tuple[object, ...], Piece] = {}
    for piece in pieces:
        lowest = min(note.pitch for part in piece.parts for note in part.notes)
        shape = tuple(
            tuple((note.start, note.duration, note.pitch - lowest) for note in part.notes) for part in piece.parts
        )
        seen.setdefault(shape, piece)
    return list(seen.values())
