"""The words of voices, back to a piece."""

from __future__ import annotations

import itertools

from seqgen.scores.notation import parse_metre
from seqgen.scores.piece import COMMON_TIME, Metre, Note, Part, Piece
from seqgen.scores.pitches import parse_key
from seqgen.tokenizers.grid import FAR
from seqgen.tokenizers.voice_seeds import Vocabulary


class VoicesReader:
    """Turns words back into a piece, one at a time.

    Args:
        tokenizer: whose words they are.
    """

    def __init__(self, tokenizer: Vocabulary) -> None:
        self.tokenizer = tokenizer
        self.key = ""
        self.metres: list[Metre] = []
        self.pickup = 0
        self.bar = self.place = 0
        """Where the bar begins, as if an upbeat were whole, and the step in it; in steps."""
        self.length = COMMON_TIME.bar // tokenizer.step
        self.ended = False
        self.notes: list[list[Note]] = [[] for _ in range(tokenizer.voices)]
        self.sounding = [False] * tokenizer.voices
        self.near = FAR
        self.metre: Metre | None = None

    def read(self, word: str) -> None:
        """Takes the next word; one that makes no sense here is let pass."""
        head, _, value = word.partition(" ")
        if head == "key":
            self.key = value
        elif head == "metre" and value != "?":
            self.metre = parse_metre(value)
        elif head == "pickup":
            self._begin(int(value))
        elif head == "bar":
            self._begin_bar()
        elif head == "step":
            self.place, self.near = map(int, value.split())
            self.ended = False
        elif head == "end":
            self.place, self.ended = int(value), True
        elif head.isdigit():
            self._voice(int(head), value)

    def end(self) -> int:
        """Where the piece ends, in steps: as it says, or with the last step."""
        return max(0, self.bar + self.place + (not self.ended))

    def _begin(self, pickup: int) -> None:
        self._change_metre(0)
        self.pickup = min(pickup, self.length - 1)
        self.bar = self.pickup - self.length

    def _begin_bar(self) -> None:
        self.bar += self.place if self.ended else self.length
        self._change_metre(self.bar)
        self.place, self.ended = 0, False

    def _change_metre(self, place: int) -> None:
        if self.metre is not None:
            if place and not self.metres:  # it was not known before
                self.metres.append(COMMON_TIME)
            self.metres.append(self.metre._replace(start=place * self.tokenizer.step))
            self.length = self.metre.bar // self.tokenizer.step
            self.metre = None

    def _voice(self, voice: int, value: str) -> None:
        time, notes = max(0, self.bar + self.place) * self.tokenizer.step, self.notes[voice]
        same = not self.tokenizer.held and self.sounding[voice] and value == str(notes[-1].pitch)
        if value == "-" or same:
            return
        self._stop(voice, time)
        if value != "r":
            notes.append(Note(time, self.tokenizer.step, int(value), fermata=self.near == 0))
            self.sounding[voice] = True

    def _stop(self, voice: int, time: int) -> None:
        if self.sounding[voice]:
            last = self.notes[voice][-1]
            self.notes[voice][-1] = last._replace(duration=max(1, time - last.start))
            self.sounding[voice] = False

    def piece(self) -> Piece:
        """What was read; notes that still sound end with it."""
        about = self.tokenizer.about
        for voice in range(self.tokenizer.voices):
            self._stop(voice, self.end() * self.tokenizer.step)
        parts = [
            Part(tuple(_one_fermata(notes)), name, program)
            for notes, name, program in zip(self.notes, about["names"], about["programs"], strict=True)
        ]
        keys = () if self.key in ("", "?") else (parse_key(self.key),)
        return Piece(tuple(parts), tuple(self.metres), keys, pickup=self.pickup * self.tokenizer.step)


def _one_fermata(notes: list[Note]) -> list[Note]:
    """Notes that follow each other under one fermata: it stands over the last of them."""
    return [
        note._replace(fermata=note.fermata and not (after is not None and after.fermata and after.start == note.end))
        for note, after in itertools.zip_longest(notes, notes[1:])
    ]
