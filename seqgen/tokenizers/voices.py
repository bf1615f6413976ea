"""Scores of a fixed number of voices, chorales above all: step by step on a grid, all voices of a step before the next.

A piece begins with its key, metre and pickup. Each bar begins with a `bar` word that says how many are left, as soon as
they are few, then says on which degree the bass ends the phrase. A step
says its place in the bar and how many quarter notes it is to the next fermata, where a phrase ends; then come the outer
voices and the inner ones: a pitch that is struck, `-` for one that is held, or `r` for a rest.
The order soprano, bass, alto, tenor is that in which such pieces are written by hand.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from seqgen.alphabet import NOBODY, Meaning
from seqgen.recipe import GRIDS, MOST_VOICES, TokenizerSettings
from seqgen.scores.notation import parse_metre, write_length
from seqgen.scores.piece import COMMON_TIME, HIGHEST, LOWEST, TICKS, Piece
from seqgen.scores.pitches import name_key, name_pitch, parse_key
from seqgen.tokenizers.grid import (
    COUNTED_DOWN,
    COUNTED_UNHELD,
    FAR,
    HOLD,
    OFF_GRID,
    REST,
    bar_word,
    bars_on,
    cells_of,
    choir,
    distances_to_fermatas,
    goals_of,
    is_event,
)
from seqgen.tokenizers.scores import BEYOND, ScoreTokenizer, Wanted
from seqgen.tokenizers.soundness import LONGEST, check_about, is_flag, list_of, whole
from seqgen.tokenizers.voice_reading import VoicesReader
from seqgen.tokenizers.voice_seeds import voice_order
from seqgen.tokenizers.voicing import VoicesGuide

_LETTERS = {HOLD: "-", REST: "r"}


class VoicesTokenizer(ScoreTokenizer):
    """Words: `key G major`, `metre 4/4`, `pickup 4`, `bar`, `bar 16`...`bar 1`, `to 7`, `step 12 1`, `0 67`, `0 -`, `0 r`,
    `end 16`: where the last bar, or a short one, stops.

    `about` holds: `voices`, `grid` (steps of a quarter note), `held`, `names` and `programs` of the voices, `ranges` of the
    training pieces, `longest` (bars), `counted` (of the last ones), `open` (which of key and metre some pieces do not say), and
    `changes`: whether metres change.
    """

    name = "voices"
    pattern = re.compile(
        r"key (\?|[A-G][#b]? (major|minor))|metre (\?|[1-9]\d?/(1|2|4|8|16|32))|bar( \d{1,3})?"
        r"|(pickup|end) \d{1,4}|to (\d|1[01])|step \d{1,4} \d|\d (\d{1,2}|1[01]\d|12[0-7]|[-r])"
    )
    title = "voices on a grid: chorales, quartets"
    opens_line = ("bar",)
    facts = ("key", "metre", "bar", "to", "place", "near")
    contexts = (("near", "to"), ("key", "bar"))

    def __init__(self, words: Sequence[str], about: dict[str, Any]) -> None:
        super().__init__(words, about)
        voices = about.get("voices")
        check_about(
            about,
            voices=whole(1, MOST_VOICES),
            grid=lambda grid: whole(1, max(GRIDS))(grid) and grid in GRIDS,
            held=is_flag,
            counted=whole(1, 999),
            longest=whole(0, LONGEST),
            changes=is_flag,
            open=list_of(lambda head: head in ("key", "metre")),
            names=list_of(lambda name: isinstance(name, str), voices),
            programs=list_of(whole(0, 127), voices),
            ranges=list_of(list_of(whole(LOWEST, HIGHEST), 2), voices),
        )
        self.voices, self.held = int(about["voices"]), bool(about["held"])
        self.step, self.counted = TICKS // int(about["grid"]), int(about["counted"])
        self.order = voice_order(self.voices)
        self.ranges: list[tuple[int, int]] = [(low, high) for low, high in about["ranges"]]
        initials = [str(name)[:1].upper() for name in about["names"]]
        distinct = len(set(initials)) == self.voices and all(initials)
        self._initials = initials if distinct else [str(voice + 1) for voice in range(self.voices)]
        for head, _, value in (word.partition(" ") for word in self.words):
            if head.isdigit() and int(head) >= self.voices:
                raise ValueError(f"it has words for more than {self.voices} voices")
            if head == "metre" and value != "?" and parse_metre(value).bar % self.step:
                raise ValueError(f"a metre of {value} does not fit the grid")

    @classmethod
    def build_from(cls, pieces: Iterable[Piece], settings: TokenizerSettings) -> Self:
        """The keys, metres, pickups and places that occur, and every pitch in the range of each voice."""
        seen = _Seen(settings)
        for piece in pieces:
            seen.add(piece)
        return cls(seen.words(), seen.about())

    @classmethod
    def refuses(cls, piece: Piece, settings: TokenizerSettings) -> str | None:
        """Not so many voices, or not on the grid."""
        piece = choir(piece, settings.voices)
        if len(piece.parts) != settings.voices or any(part.drums for part in piece.parts):
            return f"not {settings.voices} voices"
        if not all(part.is_voice() for part in piece.parts):
            return "chords in a voice"
        step = TICKS // settings.grid
        off = sum(note.start % step != 0 for part in piece.parts for note in part.notes)
        if off > OFF_GRID * piece.notes:
            return f"not on a grid of {settings.grid} steps to a quarter note"
        if any(metre.bar % step or metre.bar == 0 for metre in piece.metres):
            return "a metre that does not fit the grid"
        return None

    def encode_piece(self, piece: Piece) -> list[str]:
        """Header, bars and steps; where notes are held, steps in which no voice does anything new are left out.

        Each bar says where its phrase is going to: on which degree the bass ends it.
        """
        piece = choir(piece, self.voices)
        keys = [f"key {name_key(key)}" for key in piece.keys[:1]]
        metres = [f"metre {metre}" for metre in piece.metres[:1]]
        words = [*(keys or ["key ?"]), *(metres or ["metre ?"]), f"pickup {piece.pickup // self.step}"]
        bars = bars_on(piece, self.step)
        cells = list(zip(*(cells_of(part, self.step, bars[-1].last, self.held) for part in piece.parts), strict=True))
        near = distances_to_fermatas(piece, self.step, len(cells))
        goals = goals_of(piece, self.step, bars) if keys else [None] * len(bars)
        for bar, goal in zip(bars, goals, strict=True):
            words += [f"metre {bar.metre}"] if bar.changes else []
            words += [] if bar.offset else [bar_word(bar.left, self.counted)]
            words += [] if goal is None else [f"to {(goal - piece.keys[0].tonic) % 12}"]
            for place in range(bar.first, bar.last):
                if not self.held or is_event(cells[place], cells[place - 1] if place else ()):
                    words.append(f"step {place - bar.first + bar.offset} {near[place]}")
                    words += [
                        f"{voice} {_LETTERS.get(cells[place][voice], cells[place][voice])}" for voice in self.order
                    ]
            whole = bar.metre.bar // self.step
            if bar.left == 1 or bar.last - bar.first + bar.offset < whole:
                words.append(f"end {bar.last - bar.first + bar.offset}")
        return words

    def ids_of(self, words: Iterable[str]) -> npt.NDArray[np.integer[Any]]:
        """The ids of words; of what never occurred in training, the nearest thing that did."""
        return super().ids_of(word if word in self.ids else self._nearest(word) for word in words)

    def _nearest(self, word: str) -> str:
        head, _, value = word.partition(" ")
        if head in ("key", "metre"):
            return f"{head} ?"
        alike = [each for each in self.words if each.startswith(f"{head} ") and each[-1].isdigit()]
        if not alike:  # a goal, where no piece for training said its key
            return word
        if head.isdigit():  # a pitch beyond the range: an octave nearer
            pitch, low, high = int(value), self.ranges[int(head)][0] - BEYOND, self.ranges[int(head)][1] + BEYOND
            pitch += 12 * (-((pitch - low) // 12) if pitch < low else -((pitch - high + 11) // 12))
            return f"{head} {min(max(pitch, low), high)}"
        wanted = [int(part) for part in value.split()]
        return min(alike, key=lambda each: [abs(int(a) - b) for a, b in zip(each.split()[1:], wanted, strict=True)])

    def decode_piece(self, words: Sequence[str]) -> Piece:
        """The piece of these words, as far as they make sense."""
        reader = VoicesReader(self)
        for word in words:
            reader.read(word)
        return reader.piece()

    def guide(self, wanted: Wanted) -> VoicesGuide:
        """What leads one sample; the seed is its top voice, and of a seed of chords their highest notes."""
        return VoicesGuide(self, wanted)

    def transposed(self, word: str, semitones: int) -> str:
        """Pitches and keys move, within the range of the training pieces; the rest stays."""
        head, _, value = word.partition(" ")
        if head == "key" and value != "?":
            key = parse_key(value)
            return f"key {name_key(key._replace(tonic=(key.tonic + semitones) % 12))}"
        if head.isdigit() and value not in _LETTERS.values():
            low, high = self.ranges[int(head)]
            pitch = int(value) + semitones
            # What lies beyond the range in the first place may be moved back into it, and not further away.
            if not min(low, int(value)) <= pitch <= max(high, int(value)):
                return ""
            return f"{head} {pitch}"
        return word

    def say(self, word: str) -> str:
        """`S G4`, `@2.5` of a step in quarter notes, `^1` of how many there are to the fermata, `(3 left)` of bars."""
        head, _, value = word.partition(" ")
        if head.isdigit():
            return f"{self._initials[int(head)]} {name_pitch(int(value)) if value.isdigit() else value}"
        if head == "step":
            place, near = value.split()
            return f"@{write_length(int(place) * self.step)}" + (f"^{near}" if int(near) < FAR else "")
        if head in ("pickup", "end"):
            return f"{head} {write_length(int(value) * self.step)}"
        return f"{head} ({value} left)" if head == "bar" and value else word

    def parts_of(self, word: str) -> list[str]:
        """A pitch is the same in every voice, and its class the same in every octave; a key's tonic is such a class, too."""
        head, _, value = word.partition(" ")
        if head.isdigit():
            return ["voice", head, f"pitch {value}", f"class {int(value) % 12}"] if value.isdigit() else [head, value]
        if head == "step":
            place, near = value.split()
            return [head, f"place {place}", f"near {near}"]
        if head == "key" and value != "?":
            key = parse_key(value)
            return [head, f"class {key.tonic}", "minor" if key.minor else "major"]
        return [head]

    def meaning_of(self, word: str) -> Meaning:
        """The facts in a word."""
        head, _, value = word.partition(" ")
        if head.isdigit():
            following = dict(itertools.pairwise(self.order)).get(int(head), NOBODY)
            return Meaning(int(head), int(value) if value.isdigit() else None, turn=following)
        if head == "key":
            key = None if value == "?" else parse_key(value)
            mode = "?" if key is None else "minor" if key.minor else "major"
            return Meaning(tonic=None if key is None else key.tonic, facts={head: mode})
        if head == "step":
            place, near = value.split()
            return Meaning(facts={"place": place, "near": near}, begins_step=True, turn=self.order[0])
        return Meaning(facts={head: value} if head in ("metre", "bar", "to") else {})

    def is_note(self, word: str) -> bool:
        """A pitch; where nothing is held, also a rest: then each voice says something new in each step."""
        head, _, value = word.partition(" ")
        return head.isdigit() and (value.isdigit() or not self.held)

    def is_frame(self, word: str) -> bool:
        """What the last voice does, which completes a step."""
        return word.startswith(f"{self.order[-1]} ")

    def frames(self, ids: npt.NDArray[np.integer[Any]]) -> int:
        """Steps of the grid, those in which nothing new happens too."""
        total = 0
        for words in self.documents_of(ids):
            reader = VoicesReader(self)
            for word in words:
                reader.read(word)
            total += reader.end()
        return total


class _Seen:
    """What occurs in the training pieces."""

    def __init__(self, settings: TokenizerSettings) -> None:
        self.settings, self.step = settings, TICKS // settings.grid
        self.counted = COUNTED_DOWN if settings.held else COUNTED_UNHELD
        self.heads: Counter[str] = Counter()
        self.bars: set[int] = set()
        self.ends: set[int] = set()
        self.open: set[str] = set()
        self.fermatas = self.changes = False
        self.longest = 0
        self.ranges = [(HIGHEST, LOWEST)] * settings.voices
        self.names: Counter[tuple[str, ...]] = Counter()
        self.programs: Counter[tuple[int, ...]] = Counter()

    def add(self, piece: Piece) -> None:
        piece = choir(piece, self.settings.voices)
        self.open |= {head for head, known in (("key", piece.keys), ("metre", piece.metres)) if not known}
        self.heads.update(f"key {name_key(key)}" for key in piece.keys[:1])
        self.heads.update(f"metre {metre}" for metre in piece.metres)
        self.heads[f"pickup {piece.pickup // self.step}"] += 1
        self.bars |= {metre.bar // self.step for metre in piece.metres or [COMMON_TIME]}
        self.ends |= {bar.last - bar.first + bar.offset for bar in bars_on(piece, self.step)}
        self.changes |= len({metre[1:] for metre in piece.metres}) > 1
        self.fermatas |= any(note.fermata for part in piece.parts for note in part.notes)
        self.longest = max(self.longest, sum(1 for _ in piece.bars()))
        self.names[tuple(part.name for part in piece.parts)] += 1
        self.programs[tuple(part.program for part in piece.parts)] += 1
        for voice, part in enumerate(piece.parts):
            pitches = [note.pitch for note in part.notes]
            low, high = self.ranges[voice]
            self.ranges[voice] = (min([low, *pitches]), max([high, *pitches]))

    def words(self) -> list[str]:
        keys = [f"key {name_key(parse_key(f'{tonic}{mode}'))}" for mode in ("", "m") for tonic in _TONICS]
        known = any(word.startswith("key ") for word in self.heads)
        heads = [word for word in sorted(self.heads) if not word.startswith("key ")]
        bars = [bar_word(left, self.counted) for left in range(1, self.counted + 2)]
        words = [*(keys if known else []), "key ?", "metre ?", *heads, *bars]
        nears = range(FAR + 1) if self.fermatas else [FAR]
        words += [f"step {place} {near}" for place in range(max(self.bars, default=0)) for near in nears]
        pickups = {int(head.split()[1]) for head in heads if head.startswith("pickup ")}
        ends = self.ends | {bar - pickup for bar in self.bars for pickup in pickups if pickup < bar}
        words += [f"end {place}" for place in sorted(ends | self.bars)]
        words += [f"to {degree}" for degree in range(12)] if known else []
        for voice, (low, high) in enumerate(self.ranges):
            letters = [_LETTERS[HOLD]] if self.settings.held else []
            words += [f"{voice} {letter}" for letter in [*letters, _LETTERS[REST]]]
            words += [f"{voice} {pitch}" for pitch in range(max(low - BEYOND, LOWEST), min(high + BEYOND, HIGHEST) + 1)]
        return words

    def about(self) -> dict[str, Any]:
        return {
            "voices": self.settings.voices,
            "grid": self.settings.grid,
            "held": self.settings.held,
            "names": list(most_common(self.names)),
            "programs": list(most_common(self.programs)),
            "ranges": self.ranges,
            "longest": self.longest,
            "counted": self.counted,
            "open": sorted(self.open),
            "changes": self.changes,
        }


_Counted = TypeVar("_Counted")


def most_common(counts: Counter[tuple[_Counted, ...]]) -> tuple[_Counted, ...]:
    """The most frequent of some tuples, the first of equally frequent ones."""
    return next((value for value, _ in counts.most_common(1)), ())


_TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
