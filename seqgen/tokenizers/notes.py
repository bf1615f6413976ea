"""Music at large as MidiTok's REMI and TSD: several instruments, drums, tempos and velocities in one stream of words.

REMI (Huang and Yang 2020, with the programs and metres of von Rütte et al. 2022) says bars and positions in them; TSD
(Fradet et al. 2021) says how much time passes, for what was played freely. MidiTok turns a score into tokens and back. What
it would lose is settled here: upbeats, metres that change within a bar, bars at the end, and positions where a metre counts
halves. It is loaded when the first piece is encoded or decoded.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from seqgen.errors import UsageError
from seqgen.recipe import TokenizerSettings
from seqgen.scores.notation import parse_metre
from seqgen.scores.piece import COMMON_TIME, TICKS, Metre, Note, Part, Piece, Tempo
from seqgen.scores.pitches import name_pitch
from seqgen.scores.repairs import from_the_beginning, without_overlaps
from seqgen.tokenizers import barring
from seqgen.tokenizers.barring import (
    BAR,
    DRUM,
    DURATION,
    METRE,
    PICKUP,
    PITCH,
    POSITION,
    PROGRAM,
    SHIFT,
    VELOCITY,
)
from seqgen.tokenizers.base import DOCUMENT, Ids
from seqgen.tokenizers.coding import REMI, TSD, Coding, Notes, decode, encode, gather, in_bars, in_quarters, plain
from seqgen.tokenizers.events import BarsGuide, ShiftsGuide
from seqgen.tokenizers.scores import ScoreTokenizer, Wanted
from seqgen.tokenizers.vocabulary import Seen, check, number_of, size_of

FAMILY = 8
"""General MIDI's programs are in families of so many: pianos, organs, strings..."""
_HEADS = {METRE: "metre", DRUM: "drum"}
"""What people are shown of words whose first part is no word of English."""


class NotesTokenizer(ScoreTokenizer):
    """Words of MidiTok, such as `Pitch 67`, and what REMI and TSD share.

    `about` holds: `coding` (MidiTok's settings), `range` of the training pieces, `velocity` (that of all notes; null where
    there are words for it), `longest` (bars, or ticks), `changes` (whether metres do), and the most common `metre`, `tempo`
    (null: none) and `program`.
    """

    keeps_parts = False
    opens_line = (BAR,)
    joins = (VELOCITY, DURATION)

    coding: Coding

    def __init__(self, words: Sequence[str], about: dict[str, Any]) -> None:
        super().__init__(words, about)
        if about.get("coding") != plain(self.coding):
            raise ValueError("the coding is another than this version's")
        unknown = set(words) - self.coding.words()
        if unknown:
            raise ValueError(f"{min(unknown)!r} is no word of {self.name}")
        if missing := set(self.base_words()) - set(words):
            raise ValueError(f"{min(missing)!r} is missing")
        check(about)
        self.range: tuple[int, int] = (about["range"][0], about["range"][1])
        self.longest: int = about["longest"]
        self.changes: bool = about["changes"]
        self.metre = parse_metre(about["metre"])
        self._numbers = [number_of(word) for word in words]
        self._nearest_words: dict[str, str] = {}

    @classmethod
    def build_from(cls, pieces: Iterable[Piece], settings: TokenizerSettings) -> Self:
        """The words that occur, and every pitch in the range of the training pieces."""
        seen = Seen(cls.base_words())
        for piece in pieces:
            words = cls.write(piece, cls.coding.knows, COMMON_TIME)
            seen.add(piece, words, cls.length(piece, words))
        return cls(seen.words(), {"coding": plain(cls.coding), **seen.about()})

    @classmethod
    @abstractmethod
    def write(cls, piece: Piece, knows: Callable[[Metre], bool], usual: Metre) -> list[str]:
        """The words of a piece, velocities among them, whether they are in a vocabulary or not."""

    @classmethod
    @abstractmethod
    def length(cls, piece: Piece, words: list[str]) -> int:
        """How long a piece is, in what samples are limited by."""

    @classmethod
    @abstractmethod
    def base_words(cls) -> list[str]:
        """The words without which not every sample could go on."""

    def encode_piece(self, piece: Piece) -> list[str]:
        """The words of a piece: each part as the nearest program that was learned, in a metre that was."""
        words = self.write(self._fitted(piece), self._knows, self.metre)
        return words if self.about["velocity"] is None else [word for word in words if not word.startswith(VELOCITY)]

    def _knows(self, metre: Metre) -> bool:
        return f"{METRE} {metre}" in self.ids

    def _fitted(self, piece: Piece) -> Piece:
        """A piece with the programs that were learned; drums have none that is nearest."""
        parts = []
        for part in piece.parts:
            program = self.nearest(f"{PROGRAM} {barring.DRUMS if part.drums else part.program}")
            if program in self.ids:
                parts.append(dataclasses.replace(part, program=max(0, number_of(program))))
        return dataclasses.replace(piece, parts=tuple(parts))

    def ids_of(self, words: Iterable[str]) -> Ids:
        """The ids of words; of what never occurred in training, the nearest thing that did."""
        return super().ids_of(word if word in self.ids else self.nearest(word) for word in words)

    def nearest(self, word: str) -> str:
        """A word that is in the table: the pitch an octave nearer, a program of the same family, the nearest number."""
        if word in self.ids:
            return word
        if word not in self._nearest_words:
            self._nearest_words[word] = self._find_nearest(word)
        return self._nearest_words[word]

    def _find_nearest(self, word: str) -> str:
        head, _, value = word.partition(" ")
        if head == BAR:
            return BAR
        if head == METRE:
            return f"{METRE} {self.metre}"
        alike = [each for each in self.words if each.partition(" ")[0] == head]
        if word == f"{PROGRAM} {barring.DRUMS}":
            return ""
        if head == PROGRAM:
            family = [each for each in alike if number_of(each) // FAMILY == int(value) // FAMILY]
            alike = family or [f"{PROGRAM} {self.about['program']}"]
        if head == PITCH:
            alike = [each for each in alike if (number_of(each) - int(value)) % 12 == 0] or alike
        return min(alike, key=lambda each: abs(size_of(each) - size_of(word)), default="")

    def transposed(self, word: str, semitones: int) -> str:
        """Pitches move, within the range of the training pieces; drums stay."""
        if not self.is_note(word) or word.startswith(DRUM):
            return word
        low, high = self.range
        own = number_of(word)
        # What lies beyond the range in the first place may be moved back into it, and not further away.
        return f"{PITCH} {own + semitones}" if min(low, own) <= own + semitones <= max(high, own) else ""

    def say(self, word: str) -> str:
        """`G4`, `v79` and `:0.5` of a note, its velocity and its beats; `@1.5` of a place in a bar, `+2` of time that passes."""
        head, _, value = word.partition(" ")
        if head == PITCH:
            return name_pitch(int(value))
        if head in (DURATION, SHIFT):
            beats, parts, resolution = map(int, value.split("."))
            return f"{':' if head == DURATION else '+'}{beats + parts / resolution:.3g}"
        if head == POSITION:
            return f"@{int(value) / barring.POSITIONS:.3g}"
        return f"v{value}" if head == VELOCITY else f"{_HEADS.get(head, head.lower())} {value}".rstrip()

    def is_note(self, word: str) -> bool:
        """A pitch or a drum."""
        return word.startswith(PITCH)

    def is_frame(self, word: str) -> bool:
        """None: time has no steps of its own."""
        return False

    def kinds(self) -> dict[str, list[int]]:
        """The ids of each kind of words."""
        found: dict[str, list[int]] = {head: [] for head in barring.KINDS}
        for word, place in self.ids.items():
            found[word.partition(" ")[0]].append(place)
        return found

    def number(self, place: int) -> int:
        """The number that a word with this id says."""
        return self._numbers[place - 1]

    def seed_ids(self, wanted: Wanted) -> list[int]:
        """The ids of a seed; empty where there is none.

        Raises:
            UsageError: it has what the model has not learned.
        """
        if wanted.seed is None:
            return []
        seed = self._completed(wanted.seed, wanted)
        for part in (part for part in seed.parts if part.notes):
            program, what = (barring.DRUMS, "drums") if part.drums else (part.program, f"program {part.program}")
            self.known(f"{PROGRAM} {program}", what)
            for note in part.notes:
                self._check_pitch(note, part)
        return [place for place in self.ids_of(self.encode_piece(seed)).tolist() if place != DOCUMENT]

    def _check_pitch(self, note: Note, part: Part) -> None:
        if part.drums:
            self.known(f"{DRUM} {note.pitch}", f"the drum {note.pitch}")
        elif f"{PITCH} {note.pitch}" not in self.ids:
            first, last = map(name_pitch, self.range)
            raise UsageError(
                f"{name_pitch(note.pitch)} (MIDI {note.pitch}) in the seed is out of the model's range",
                hint=f"It knows {first} to {last}.",
            )

    def _completed(self, seed: Piece, wanted: Wanted) -> Piece:
        """A seed with the tempo, program and metre that are most common, where it says none of its own."""
        parts, metres = seed.parts, seed.metres or (self.metre,)
        typed = not seed.tempos and not any(part.program or part.drums for part in parts)
        if typed:
            parts = tuple(dataclasses.replace(part, program=self.about["program"]) for part in parts)
        if wanted.metre and metres[0][1:] != wanted.metre[1:]:
            metres = (wanted.metre,)
        usual = self.about["tempo"]
        tempos = seed.tempos or (() if usual is None else (Tempo(0, float(usual)),))
        return dataclasses.replace(seed, parts=parts, metres=metres, tempos=tempos)

    def _read(self, words: Sequence[str]) -> tuple[Notes, tuple[Tempo, ...]]:
        """The notes and tempos of words, in ticks."""
        with_velocities = self.about["velocity"] is None
        return decode([word.replace(" ", "_", 1) for word in words], self.coding, with_velocities)

    def _piece(self, notes: Notes, tempos: tuple[Tempo, ...], moved: int = 0, stop: int | None = None) -> Piece:
        """A piece of notes that begin so much earlier and have ended by `stop`, its programs in order."""
        velocity = self.about["velocity"]
        parts = []
        for program in sorted(notes, key=barring.rank):
            played = [_ending(note, stop) for note in notes[program] if stop is None or note.start < stop]
            said = [note if velocity is None else note._replace(velocity=velocity) for note in played]
            shifted = without_overlaps(note._replace(start=note.start - moved) for note in said)
            parts.append(Part(shifted, "", max(0, program), program == barring.DRUMS))
        changes = [tempo._replace(start=max(0, tempo.start - moved)) for tempo in tempos]
        return Piece(tuple(parts), tempos=from_the_beginning(changes))


class RemiTokenizer(NotesTokenizer):
    """Words: `Bar` or `Bar pickup`, `TimeSig 3/4`, `Position 12`, `Tempo 120.0`, `Program 0`, `Pitch 67`, `Velocity 79`..."""

    name = "remi"
    title = "several instruments, in bars: MIDI that was written"
    coding = REMI

    @classmethod
    def refuses(cls, piece: Piece, settings: TokenizerSettings) -> str | None:
        """Played freely, or of a metre with more than can be counted."""
        if not piece.notes:
            return "no notes"
        for metre in piece.metres:
            if not cls.coding.knows(metre):
                return f"a metre of {metre}"
        return None if barring.is_quantised(piece) else "played freely, not on a grid"

    @classmethod
    def write(cls, piece: Piece, knows: Callable[[Metre], bool], usual: Metre) -> list[str]:
        """MidiTok's words, with the metres as they are written, up to the bar in which the last note ends."""
        if not piece.notes:
            return []
        bars, moved = barring.bars_of(piece, knows, usual)
        notes = gather(piece, lambda time: barring.on_grid(time + moved, bars))
        tempos = [
            Tempo(barring.on_grid(tempo.start + moved if tempo.start else 0, bars), tempo.bpm) for tempo in piece.tempos
        ]
        first = min(note.start for played in notes.values() for note in played)
        opening = PICKUP if moved and 0 < first < bars[0].metre.bar else BAR
        return in_bars(encode(notes, tempos, cls.coding, bars), bars, opening)

    @classmethod
    def length(cls, piece: Piece, words: list[str]) -> int:
        """Bars without the pickup."""
        return words.count(BAR)

    @classmethod
    def base_words(cls) -> list[str]:
        """A bar, and its beginning."""
        return [BAR, f"{POSITION} 0"]

    def decode_piece(self, words: Sequence[str]) -> Piece:
        """The piece of these words; its notes end by the last barline."""
        bars: list[barring.Bar] = []
        tokens = []
        for word in words:
            head, _, value = word.partition(" ")
            if head == BAR:
                start = bars[-1].start + bars[-1].metre.bar if bars else 0
                bars.append(barring.Bar(start, bars[-1].metre if bars else self.metre))
                tokens.append(f"{BAR} None")
            elif head == METRE and bars:
                metre = parse_metre(value)
                bars[-1] = barring.Bar(bars[-1].start, metre)
                tokens.append(f"{METRE} {in_quarters(metre)}")
            elif bars:
                tokens.append(word)
        if not bars:
            return Piece(())
        notes, tempos = self._read(tokens)
        first_bar = bars[0].metre.bar
        first = min((note.start for played in notes.values() for note in played), default=0)
        moved = first if words[0] == PICKUP and first < first_bar else 0
        piece = self._piece(notes, tempos, moved, bars[-1].start + bars[-1].metre.bar)
        metres = from_the_beginning(bar.metre._replace(start=max(0, bar.start - moved)) for bar in bars)
        return dataclasses.replace(piece, metres=metres, pickup=first_bar - moved if moved else 0)

    def guide(self, wanted: Wanted) -> BarsGuide:
        """What leads one sample."""
        said = [wanted.metre] if wanted.metre else wanted.seed.metres if wanted.seed else ()
        for metre in said:
            self.known(f"{METRE} {metre}", f"the metre {metre}")
        return BarsGuide(self, wanted)


class TsdTokenizer(NotesTokenizer):
    """Words: `TimeShift 0.6.24`, `Tempo 120.0`, `Program 0`, `Pitch 67`, `Velocity 79`, `Duration 1.0.12`..."""

    name = "tsd"
    title = "several instruments, played freely: MIDI that was recorded"
    coding = TSD

    @classmethod
    def refuses(cls, piece: Piece, settings: TokenizerSettings) -> str | None:
        """Silence alone."""
        return None if piece.notes else "no notes"

    @classmethod
    def write(cls, piece: Piece, knows: Callable[[Metre], bool], usual: Metre) -> list[str]:
        """MidiTok's words; metres are not among them."""
        if not piece.notes:
            return []
        step = TICKS // max(parts for _, _, parts in cls.coding.steps)
        notes = gather(piece, lambda time: (2 * time + step) // (2 * step) * step)
        tokens = encode(notes, [tempo._replace(start=tempo.start // step * step) for tempo in piece.tempos], cls.coding)
        return [token.replace("_", " ", 1) for token in tokens]

    @classmethod
    def length(cls, piece: Piece, words: list[str]) -> int:
        """Ticks."""
        return piece.end

    @classmethod
    def base_words(cls) -> list[str]:
        """A quarter note of time."""
        return [f"{SHIFT} 1.0.12"]

    def decode_piece(self, words: Sequence[str]) -> Piece:
        """The piece of these words, in no metre."""
        return self._piece(*self._read(words))

    def guide(self, wanted: Wanted) -> ShiftsGuide:
        """What leads one sample."""
        return ShiftsGuide(self, wanted)


def _ending(note: Note, stop: int | None) -> Note:
    return note if stop is None else note._replace(duration=min(note.duration, stop - note.start))
