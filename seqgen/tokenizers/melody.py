"""Tunes of one line, folk tunes above all: each note a word for its pitch and one for its length.

A tune begins with its key, metre and pickup. A `|` word begins each bar, the last ones with one that counts them down; then
come notes and rests, each with its length, as in `note 62`, `length 12`. Two words a note keep the vocabulary small: every
pitch shares what is learned of every length. The pitch stands first, as in ABC, so that a rest and a tie take the same
lengths as a note. A note that sounds across a barline or a sign is cut there, and what follows is a `tie`.
Repeats and endings are words, too, at their places; they are not played out.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

from seqgen.alphabet import Meaning
from seqgen.recipe import TokenizerSettings
from seqgen.scores.notation import write_length
from seqgen.scores.piece import HIGHEST, LOWEST, Key, Piece
from seqgen.scores.pitches import name_key, name_pitch, parse_key
from seqgen.tokenizers.base import Ids
from seqgen.tokenizers.grid import COUNTED_DOWN, OFF_GRID
from seqgen.tokenizers.scores import BEYOND, ScoreTokenizer, Wanted
from seqgen.tokenizers.soundness import LONGEST, check_about, is_flag, list_of, whole
from seqgen.tokenizers.tune_words import (
    BAR,
    GRID,
    LENGTH,
    NOTE,
    REST,
    SIGN_ORDER,
    STEP,
    TIE,
    UNKNOWN,
    bar_word,
    body_of,
    head_of,
    length_word,
    read_words,
)
from seqgen.tokenizers.tunes import MelodyGuide

MOST_LENGTHS = 2000
"""A guide goes through all of them to see what fills a bar."""


class MelodyTokenizer(ScoreTokenizer):
    """Words: `key D major`, `metre 6/8`, `pickup 12`, `|`, `| 16`...`| 1`, `note 62`, `rest`, `tie`, `length 12`, signs.

    A metre inside a tune is one that changes, or the same again where a bar is shorter, as beside a repeat. Of keys that
    change, the first is kept; fermatas and velocities are dropped.

    `about` holds: the `range` of the training pieces, `longest` (bars), `shortest` (length that occurs: shorter ones only
    spell what never occurred), `changes` and `restarts`: whether another metre, or the same again, occurs inside tunes, and
    the `program`.
    """

    name = "melody"
    pattern = re.compile(
        r"key (\?|[A-G][#b]? (major|minor))|metre (\?|[1-9]\d?/(1|2|4|8|16|32))|pickup \d{1,5}|\|( \d{1,3})?"
        r"|\|:|:\||\[1|\[2|\|\||note (\d{1,2}|1[01]\d|12[0-7])|rest|tie|length [1-9]\d{0,4}"
    )
    title = "tunes of one line: folk songs, reels, jigs"
    opens_line = (BAR,)
    joins = (LENGTH,)
    facts = ("key", "metre", "bar", "length")
    contexts = (("key", "bar"),)

    def __init__(self, words: Sequence[str], about: dict[str, Any]) -> None:
        super().__init__(words, about)
        check_about(
            about,
            range=list_of(whole(LOWEST, HIGHEST), 2),
            longest=whole(0, LONGEST),
            shortest=whole(1, LONGEST),
            changes=is_flag,
            restarts=is_flag,
            program=whole(0, 127),
        )
        self.range = (about["range"][0], about["range"][1])
        self.lengths = sorted(int(word.partition(" ")[2]) for word in self.words if word.startswith(f"{LENGTH} "))
        if self.lengths[:1] != [1]:
            raise ValueError("no word for the shortest length")
        if len(self.lengths) > MOST_LENGTHS:
            raise ValueError(f"there are more than {MOST_LENGTHS:,} lengths")

    @classmethod
    def build_from(cls, pieces: Iterable[Piece], settings: TokenizerSettings) -> Self:
        """All keys, the metres, pickups, lengths and signs that occur, and every pitch in the range and a little beyond."""
        seen = _Seen()
        for piece in pieces:
            seen.add(piece)
        return cls(seen.words(), seen.about())

    @classmethod
    def refuses(cls, piece: Piece, settings: TokenizerSettings) -> str | None:
        """Not one line of notes, or not on the grid."""
        parts = [part for part in piece.parts if part.notes]
        if len(parts) != 1 or parts[0].drums:
            return "not one sounding part" if len(parts) != 1 else "drums"
        if not parts[0].is_voice():
            return "chords"
        off = sum(note.start % STEP != 0 or note.duration % STEP != 0 for note in parts[0].notes)
        if off > OFF_GRID * len(parts[0].notes):
            return f"not on a grid of {GRID} steps to a quarter note"
        if any(ticks % STEP for bar in piece.bars() for ticks in bar):
            return "a barline that is not on the grid"
        return None

    def encode_piece(self, piece: Piece) -> list[str]:
        """Header, bars, notes and signs; a length that is not in the table is spelled by others that are."""
        return [*head_of(piece), *self.spelled(body_of(piece))]

    def spelled(self, words: Iterable[str]) -> Iterator[str]:
        """The same words with every length as lengths of the table, tied."""
        before = ""
        for word in words:
            if word.startswith(f"{LENGTH} ") and word not in self.ids:
                yield from self._spell(int(word.partition(" ")[2]), REST if before == REST else TIE)
            else:
                yield word
            before = word

    def _spell(self, length: int, following: str) -> Iterator[str]:
        largest = max(each for each in self.lengths if each <= length)
        yield length_word(largest)
        while length := length - largest:
            largest = max(each for each in self.lengths if each <= length)
            yield following
            yield length_word(largest)

    def ids_of(self, words: Iterable[str]) -> Ids:
        """The ids of words; of what never occurred in training, the nearest thing that did."""
        return super().ids_of(word if word in self.ids else self._nearest(word) for word in words)

    def _nearest(self, word: str) -> str:
        head, _, value = word.partition(" ")
        if head in ("key", "metre"):
            return f"{head} {UNKNOWN}"
        if head == "pickup":
            return min(self._of("pickup"), key=lambda each: abs(int(each.partition(" ")[2]) - int(value)))
        if head == NOTE:  # a pitch beyond the range: an octave nearer
            pitch, low, high = int(value), self.range[0] - BEYOND, self.range[1] + BEYOND
            pitch += 12 * (-((pitch - low) // 12) if pitch < low else -((pitch - high + 11) // 12))
            return f"{NOTE} {min(max(pitch, low, LOWEST), high, HIGHEST)}"
        return word  # a sign

    def seed_words(self, seed: Piece) -> list[str]:
        """The words behind the header of what is to go on."""
        return list(self.spelled(body_of(seed, whole=False)))

    def _of(self, head: str) -> list[str]:
        return [word for word in self.words if word.startswith(f"{head} ")]

    def decode_piece(self, words: Sequence[str]) -> Piece:
        """The piece of these words, as far as they make sense."""
        return read_words(words, int(self.about["program"]))

    def guide(self, wanted: Wanted) -> MelodyGuide:
        """What leads one sample; the seed is its beginning."""
        return MelodyGuide(self, wanted)

    def transposed(self, word: str, semitones: int) -> str:
        """Pitches and keys move, within the range of the training pieces; the rest stays."""
        head, _, value = word.partition(" ")
        if head == "key" and value != UNKNOWN:
            key = parse_key(value)
            return f"key {name_key(key._replace(tonic=(key.tonic + semitones) % 12))}"
        if head != NOTE:
            return word
        low, high = self.range
        pitch = int(value) + semitones
        # What lies beyond the range in the first place may be moved back into it, and not further away.
        return f"{NOTE} {pitch}" if min(low, int(value)) <= pitch <= max(high, int(value)) else ""

    def say(self, word: str) -> str:
        """`D4` and `:0.5` of a note and its length, `r` of a rest, `~` of a tie, `(3 left)` of bars."""
        head, _, value = word.partition(" ")
        if head in (LENGTH, "pickup"):
            length = write_length(int(value) * STEP)
            return f":{length}" if head == LENGTH else f"{head} {length}"
        if head == BAR and value:
            return f"{BAR} ({value} left)"
        return name_pitch(int(value)) if head == NOTE else {REST: "r", TIE: "~"}.get(word, word)

    def meaning_of(self, word: str) -> Meaning:
        """The facts in a word."""
        head, _, value = word.partition(" ")
        if head == NOTE:
            return Meaning(pitch=int(value), begins_step=True, turn=0)
        if head == "key":
            key = None if value == UNKNOWN else parse_key(value)
            mode = UNKNOWN if key is None else "minor" if key.minor else "major"
            return Meaning(tonic=None if key is None else key.tonic, facts={head: mode}, turn=0)
        facts = {"metre": ("metre", value), BAR: ("bar", value), LENGTH: ("length", value)}
        return Meaning(facts=dict([facts[head]]) if head in facts else {}, turn=0)

    def is_note(self, word: str) -> bool:
        """A pitch: a tie goes on with a note that has begun."""
        return word.startswith(f"{NOTE} ")

    def is_frame(self, word: str) -> bool:
        """None: a note takes as long as it says."""
        return False


class _Seen:
    """What occurs in the training pieces."""

    def __init__(self) -> None:
        self.heads: set[str] = {"pickup 0"}
        self.signs: set[str] = set()
        self.lengths: Counter[int] = Counter()
        self.low, self.high = HIGHEST, LOWEST
        self.longest = 0
        self.changes = self.restarts = False
        self.programs: Counter[int] = Counter()

    def add(self, piece: Piece) -> None:
        body = body_of(piece)
        self.heads |= {*head_of(piece), *(f"metre {metre}" for metre in piece.metres)}
        self.signs |= set(body) & set(SIGN_ORDER)
        self.lengths.update(int(word.partition(" ")[2]) for word in body if word.startswith(LENGTH))
        self.longest = max(self.longest, sum(word.startswith(f"{BAR} ") or word == BAR for word in body))
        for before, after in itertools.pairwise(piece.metres):
            self.changes |= before[1:] != after[1:]
            self.restarts |= before[1:] == after[1:]
        part = next(part for part in piece.parts if part.notes)
        self.programs[part.program] += 1
        pitches = [note.pitch for note in part.notes]
        self.low, self.high = min([self.low, *pitches]), max([self.high, *pitches])

    def words(self) -> list[str]:
        keys = [f"key {name_key(Key(0, tonic, minor))}" for minor in (False, True) for tonic in range(12)]
        heads = sorted(word for word in self.heads if not word.startswith("key ") and not word.endswith(UNKNOWN))
        pitches = range(max(self.low - BEYOND, LOWEST), min(self.high + BEYOND, HIGHEST) + 1)
        return [
            *(keys if any(word.startswith("key ") and not word.endswith(UNKNOWN) for word in self.heads) else []),
            *(f"key {UNKNOWN}", f"metre {UNKNOWN}", *heads),
            *map(bar_word, range(1, COUNTED_DOWN + 2)),
            *(sign for sign in SIGN_ORDER if sign in self.signs),
            *(f"{NOTE} {pitch}" for pitch in pitches),
            *(REST, TIE),
            *map(length_word, sorted({1, *self.lengths})),
        ]

    def about(self) -> dict[str, Any]:
        return {
            "range": [self.low, self.high],
            "longest": self.longest,
            "shortest": min(self.lengths, default=1),
            "changes": self.changes,
            "restarts": self.restarts,
            "program": next((program for program, _ in self.programs.most_common(1)), 0),
        }
