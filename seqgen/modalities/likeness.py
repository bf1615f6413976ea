"""How like real pieces samples are, and how much of them is copied: each measure beside what held-out pieces give."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from seqgen.modalities.base import Likeness
from seqgen.overlaps import Learned, Ordinary, Originality, Run
from seqgen.scores import notation
from seqgen.scores.copying import NGRAM, Copies, Passage, Passages, average_copies
from seqgen.scores.measures import Figure, compare, describe
from seqgen.scores.piece import TICKS, Note, Part, Piece

MOST_HELD_OUT = 50
"""Held-out pieces that a sample is compared with."""


def compare_pieces(samples: Sequence[str], held_out: Sequence[str], training: Sequence[str]) -> list[Likeness]:
    """The measures of samples and of held-out pieces, both beside the training pieces; all in their text form."""
    pieces = [notation.parse(text) for text in training]
    known = [pieces[number] for number in _choose_distinct(pieces)]
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


class ScoreJudge:
    """Says how much of a piece stands in the training pieces, in whatever key; see `seqgen.scores.copying`.

    Args:
        training: the training pieces, in their text form; of one in several keys the first counts.
        held_out: pieces that were not learned from.
    """

    def __init__(self, training: Sequence[Learned], held_out: Sequence[str]) -> None:
        pieces = [notation.parse(one.text) for one in training]
        chosen = _choose_distinct(pieces)
        self._places = [training[number].place for number in chosen]
        self._passages = Passages([pieces[number] for number in chosen])
        chosen_texts = held_out[:: -(-len(held_out) // MOST_HELD_OUT) or 1]
        self._held_out = [notation.parse(text) for text in chosen_texts]
        self._known: dict[int, Ordinary | None] = {}

    def judge(self, text: str, seed: str) -> Originality:
        """Of a piece, without the notes that its seed has brought in.

        Raises:
            DataError: it is no piece.
        """
        piece = _without_seed(notation.parse(text), seed)
        copies = self._passages.find(piece)
        return Originality(
            "note",
            "melody",
            "pieces",
            piece.notes,
            self._run(copies.melody, lambda passage: _notes_of(piece, passage)),
            {NGRAM: copies.share},
            self._ordinary(piece.end, piece.notes),
            {"texture": self._run(copies.texture, lambda passage: notation.write(_section(piece, passage)))},
        )

    def _ordinary(self, end: int, notes: int) -> Ordinary | None:
        """What held-out pieces have in common with them, each cut to so many ticks; looked up once for each such length."""
        if end not in self._known:
            cut = [other for each in self._held_out if (other := each.between(0, end)).notes]
            found = [self._passages.find(other) for other in cut]
            melodies = [_longest(copies) for copies in found]
            shares = [copies.share for copies in found if copies.share is not None]
            share = sum(shares) / len(shares) if shares else None
            self._known[end] = (
                Ordinary(len(found), notes, sum(melodies) / len(found), max(melodies), {NGRAM: share})
                if found
                else None
            )
        return self._known[end]

    def _run(self, passage: Passage | None, write: Callable[[Passage], str]) -> Run | None:
        if passage is None:
            return None
        source, place = passage.source, self._places[passage.source.piece]
        where: dict[str, int | None] = {"part": source.part + 1, "bar": source.bar}
        details = {"part": passage.part + 1, "bar": passage.bar, "quarters": passage.quarters}
        return Run(passage.notes, write(passage), details, dataclasses.replace(place, details=where))


def _notes_of(piece: Piece, passage: Passage) -> str:
    """The notes of a passage of one part in their text form."""
    notes, section = piece.parts[passage.part].notes, _section(piece, passage)
    first = next(number for number, note in enumerate(notes) if note.start >= round(passage.start * TICKS))
    begin = notes[first].start
    moved = tuple(note._replace(start=note.start - begin) for note in notes[first : first + passage.notes])
    return notation.write(Piece((Part(moved),), keys=section.keys), barlines=False).splitlines()[-1].partition(": ")[2]


def _section(piece: Piece, passage: Passage) -> Piece:
    """What sounds in all parts while a passage lasts."""
    start = round(passage.start * TICKS)
    return dataclasses.replace(
        piece.between(start, start + round(passage.quarters * TICKS)), tempos=(), pickup=0, title=""
    )


def _without_seed(piece: Piece, seed: str) -> Piece:
    """A piece without what its seed has brought in: in each part that sings a part of it, all up to the last of those notes."""
    parts = list(piece.parts)
    for brought in notation.parse(seed).parts if seed.strip() else ():
        known = set(map(_sound, brought.notes))
        if shared := [sum(_sound(note) in known for note in part.notes) for part in parts]:
            singing = shared.index(max(shared))
            notes = parts[singing].notes
            last = max((place for place, note in enumerate(notes) if _sound(note) in known), default=-1)
            parts[singing] = dataclasses.replace(parts[singing], notes=notes[last + 1 :])
    return dataclasses.replace(piece, parts=tuple(parts))


def _sound(note: Note) -> tuple[int, int, int]:
    return note.start, note.duration, note.pitch


def _is_worth_telling(mine: Figure, theirs: Figure) -> bool:
    return mine.value is not None and theirs.value is not None


def _longest(copies: Copies) -> int:
    return copies.melody.notes if copies.melody else 0


def _choose_distinct(pieces: Sequence[Piece]) -> list[int]:
    """The numbers of the pieces, without those that are another one in a different key."""
    seen: dict[tuple[object, ...], int] = {}
    for number, piece in enumerate(pieces):
        lowest = min((note.pitch for part in piece.parts for note in part.notes), default=0)
        shape = tuple(
            tuple((note.start, note.duration, note.pitch - lowest) for note in part.notes) for part in piece.parts
        )
        seen.setdefault(shape, number)
    return list(seen.values())
