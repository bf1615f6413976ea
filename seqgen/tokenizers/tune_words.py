"""A tune of one line as words, and words as a tune: see `seqgen.tokenizers.melody`."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

from seqgen.scores.notation import parse_metre
from seqgen.scores.performing import last_barline
from seqgen.scores.piece import TICKS, Key, Mark, Metre, Note, Part, Piece
from seqgen.scores.pitches import name_key, parse_key
from seqgen.tokenizers.grid import COUNTED_DOWN, round_to

GRID = 24
"""Steps of a quarter note: 32nd notes, and triplets of eighths and of sixteenths, are whole numbers of them."""
STEP = TICKS // GRID
BAR, NOTE, REST, TIE, LENGTH, UNKNOWN = "|", "note", "rest", "tie", "length", "?"
SIGN_ORDER = (":|", "||", "|:", "[1", "[2")
"""Of signs at one barline, as one reads them. The final barline is none of them: the tune ends with its last word."""


def length_word(steps: int) -> str:
    """The word for a length in steps of the grid."""
    return f"{LENGTH} {steps}"


def head_of(piece: Piece) -> list[str]:
    """Key, metre and pickup."""
    key = name_key(piece.keys[0]) if piece.keys else UNKNOWN
    metre = piece.metres[0] if piece.metres else UNKNOWN
    return [f"key {key}", f"metre {metre}", f"pickup {round_to(piece.pickup, STEP)}"]


def body_of(piece: Piece, whole: bool = True) -> list[str]:
    """The words behind the header; lengths are any.

    Args:
        piece: of one part that sounds.
        whole: with rests up to the last barline, and bars counted down; else it stops with its last note or sign.
    """
    piece = _on_grid(piece)
    bars = list(piece.bars())
    signs = {start: [mark.sign for mark in marks] for start, marks in _marks_by_start(piece, bars)}
    end = max([last_barline(piece) if whole else piece.end, *signs])
    metres = {metre.start: metre for metre in piece.metres[1:]}
    cuts = sorted({start for start, _ in bars} | signs.keys() | {end})
    begins = {start for start, _ in bars if start or not piece.pickup}
    sounding = _pieces_between(piece, cuts)
    words, left = [], len(begins)
    for start in cuts:
        words += signs.get(start, [])
        if start in begins:
            words += [f"metre {metres[start]}"] if start in metres else []
            words.append(bar_word(left) if whole else BAR)
            left -= 1
        words += itertools.chain.from_iterable(sounding.get(start, []))
    return words


def bar_word(left: int) -> str:
    """The word that begins a bar when so many are left with it."""
    return f"{BAR} {left}" if left <= COUNTED_DOWN else BAR


def read_words(words: Sequence[str], program: int = 0) -> Piece:
    """The tune of these words, as far as they make sense, for an instrument of this program."""
    reader = _Reader()
    for word in words:
        reader.read(word)
    marks = tuple(sorted(reader.marks, key=_mark_order))
    part = Part(tuple(reader.notes), program=program)
    return Piece((part,), tuple(reader.metres), reader.keys, pickup=reader.pickup, marks=marks)


def _on_grid(piece: Piece) -> Piece:
    """The only part that sounds, with every time on the nearest step."""

    def snap(ticks: int) -> int:
        return round_to(ticks, STEP) * STEP

    part = next(part for part in piece.parts if part.notes)
    snapped = (note._replace(start=snap(note.start), duration=snap(note.end) - snap(note.start)) for note in part.notes)
    notes = tuple(note for note in snapped if note.duration > 0)
    metres = tuple({snap(metre.start): metre._replace(start=snap(metre.start)) for metre in piece.metres}.values())
    marks = tuple(mark._replace(start=snap(mark.start)) for mark in piece.marks)
    return replace(piece, parts=(replace(part, notes=notes),), metres=metres, marks=marks, pickup=snap(piece.pickup))


def _marks_by_start(piece: Piece, bars: list[tuple[int, int]]) -> Iterator[tuple[int, list[Mark]]]:
    """The signs up to the end of the last bar, each once at one place; not the final barline."""
    last = bars[-1][1] if bars else 0
    marks = sorted(
        {mark for mark in piece.marks if 0 <= mark.start <= last and mark.sign in SIGN_ORDER}, key=_mark_order
    )
    for start, group in itertools.groupby(marks, lambda mark: mark.start):
        yield start, list(group)


def _mark_order(mark: Mark) -> tuple[int, int]:
    return mark.start, SIGN_ORDER.index(mark.sign)


def _pieces_between(piece: Piece, cuts: list[int]) -> dict[int, list[tuple[str, str]]]:
    """By the cut before them: the notes, ties and rests of a tune, each with its length. It ends at the last cut."""
    pieces: dict[int, list[tuple[str, str]]] = {cut: [] for cut in cuts}
    clock = 0
    for note in [*piece.parts[0].notes, Note(cuts[-1], 0, 0)]:
        for head, first, last in ((REST, clock, note.start), (f"{NOTE} {note.pitch}", note.start, note.end)):
            inner = [cut for cut in cuts if first < cut < last]
            for start, stop in itertools.pairwise([first, *inner, last]) if first < last else ():
                before = cuts[bisect.bisect_right(cuts, start) - 1]
                word = TIE if head != REST and start > first else head
                pieces[before].append((word, length_word((stop - start) // STEP)))
        clock = max(clock, note.end)
    return pieces


class _Reader:
    """Turns words back into a piece, one at a time."""

    def __init__(self) -> None:
        self.keys: tuple[Key, ...] = ()
        self.metres: list[Metre] = []
        self.marks: set[Mark] = set()
        self.notes: list[Note] = []
        self.pickup = self.clock = 0
        self.item = ""

    def read(self, word: str) -> None:
        head, _, value = word.partition(" ")
        if head == LENGTH:
            self._lengthen(int(value) * STEP)
        elif head in (NOTE, REST, TIE):
            self.item = word
        elif head in SIGN_ORDER:
            self.marks.add(Mark(self.clock, head))
        elif head == "pickup":
            self.pickup = int(value) * STEP
        elif head == "metre" and value != UNKNOWN:
            self.metres.append(parse_metre(value, self.clock))
        elif head == "key" and value != UNKNOWN:
            self.keys = (parse_key(value),)

    def _lengthen(self, length: int) -> None:
        """A length ends an item; a tie with nothing to go on from is a rest."""
        head, _, pitch = self.item.partition(" ")
        if head == NOTE:
            self.notes.append(Note(self.clock, length, int(pitch)))
        elif head == TIE and self.notes and self.notes[-1].end == self.clock:
            self.notes[-1] = self.notes[-1]._replace(duration=self.notes[-1].duration + length)
        self.clock += length
