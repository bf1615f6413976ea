"""The guide of a sample in voices: what may come next, so that it is well-formed, keeps to the seed, and ends on a barline."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from seqgen.errors import UsageError
from seqgen.scores.notation import parse_metre
from seqgen.scores.piece import COMMON_TIME, Metre
from seqgen.scores.pitches import name_pitch
from seqgen.tokenizers.base import DOCUMENT
from seqgen.tokenizers.grid import FAR, bar_word
from seqgen.tokenizers.scores import Wanted, keys_of
from seqgen.tokenizers.voice_seeds import Vocabulary, seed_cells

Mask = npt.NDArray[np.bool_]
_BAR, _STEP, _END, _FIRST_VOICE, _GOAL = "bar", "step", "end", "0", "to"
_HEAD = ("key", "metre", "pickup")


class VoicesGuide:
    """Follows one sample through its words.

    Args:
        tokenizer: whose words they are.
        wanted: what the sample should be like.

    Raises:
        UsageError: it cannot be had of this model.
    """

    def __init__(self, tokenizer: Vocabulary, wanted: Wanted) -> None:
        self._tokenizer, self._wanted = tokenizer, wanted
        self._words: dict[str, list[int]] = {}
        for word, place in tokenizer.ids.items():
            self._words.setdefault(word.partition(" ")[0], []).append(place)
        self._seed = seed_cells(wanted.seed, tokenizer)
        self._forced = tokenizer.wanted_head(wanted, tokenizer.step)
        self._within = [self._pitches(voice) for voice in range(tokenizer.voices)]
        self.notes = 0
        self._expected: str = _HEAD[0]
        self._metre: Metre = COMMON_TIME
        self._pickup = self._bars = 0
        self._length = COMMON_TIME.bar // tokenizer.step
        self._begin = 0
        """Where the bar begins, as if an upbeat were whole, in steps."""
        self._place = 0
        """The step in the bar that was written last; one before the first where none was."""
        self._left: int | None = None
        """Bars left with the one that goes on, once they are counted down."""
        self._key = "?"
        self._changed = False
        """Whether the bar that comes next has another metre."""
        self._sounding = [False] * tokenizer.voices

    def allowed(self) -> Mask:
        """Which words may come next."""
        mask = np.zeros(self._tokenizer.size, dtype=np.bool_)
        mask[self._candidates()] = True
        return mask

    def is_whole(self) -> bool:
        """Whether the last step is complete, and the seed with it."""
        return self._expected in (_BAR, _STEP, _END) and self._begin + self._place + 1 >= len(self._seed)

    def feed(self, symbol: int) -> None:
        """Takes note of a word."""
        if symbol == DOCUMENT:
            return
        head, _, value = self._tokenizer.words[symbol - 1].partition(" ")
        if head == _GOAL:
            self._expected = _STEP
        elif head in _HEAD:
            self._feed_head(head, value)
        elif head == _BAR:
            self._begin += self._length
            self._length = self._metre.bar // self._tokenizer.step
            self._bars, self._place = self._bars + 1, -1
            self._expected = self._begins_bar()
            self._left, self._changed = int(value) if value else None, False
        elif head == _STEP:
            self._place, self._expected = int(value.split()[0]), _FIRST_VOICE
        elif head == _END:
            self._expected = _END
        else:
            self._feed_voice(int(head), value)

    def _feed_head(self, head: str, value: str) -> None:
        if head == "key":
            self._key = value
        if head == "metre" and value != "?":
            self._metre = parse_metre(value)
        if self._bars:  # a metre that changes on the way
            self._expected, self._changed = _BAR, True
        elif head == "pickup":
            self._length = self._metre.bar // self._tokenizer.step
            self._pickup = min(int(value), self._length - 1)
            self._begin = self._pickup - self._length
            self._place = self._length - self._pickup - 1
            self._expected = self._begins_bar() if self._pickup else _BAR
        else:
            self._expected = _HEAD[_HEAD.index(head) + 1]

    def _begins_bar(self) -> str:
        return _STEP if self._key == "?" else _GOAL

    def _feed_voice(self, voice: int, value: str) -> None:
        self._sounding[voice] = value != "r"
        tokenizer = self._tokenizer
        if (value.isdigit() or not tokenizer.held) and self._seeded(voice) is None:
            self.notes += 1
        following = tokenizer.order.index(voice) + 1
        self._expected = str(tokenizer.order[following]) if following < len(tokenizer.order) else _STEP

    def _candidates(self) -> list[int]:
        """The ids that may come next."""
        head = self._expected
        if head in self._forced:
            return self._ids([self._forced[head]])
        if head == "pickup":
            whole = self._metre.bar // self._tokenizer.step
            shorter = [place for place in self._words[head] if int(self._tokenizer.words[place - 1].split()[1]) < whole]
            return shorter or self._words[head]
        if head in _HEAD:
            known = [place for place in self._words[head] if not self._tokenizer.words[place - 1].endswith("?")]
            known = self._words[head] if head in self._tokenizer.about["open"] else known
            words = [self._tokenizer.words[place - 1] for place in known]
            return self._ids(keys_of(self._wanted.seed, words)) if head == "key" else known
        if head == _END:
            return [DOCUMENT]
        if head == _GOAL:
            return self._words[_GOAL]
        if head == _BAR:
            return self._bar_candidates()
        return self._step_candidates() if head == _STEP else self._voice_candidates(int(head))

    def _step_candidates(self) -> list[int]:
        """The steps that are left in the bar, up to the first in which something must happen; or what follows the bar."""
        must = self._next_must()
        last = self._length - 1 if must is None else must
        steps = range(self._place + 1, last + 1)
        if self._left == 1 and self._wanted.ends_with_seed:
            steps = range(self._place + 1, min(last + 1, len(self._seed) - self._begin))
        found = self._ids(f"step {place} {near}" for place in steps for near in range(FAR + 1))
        if must is None:
            return [*found, *self._after_bar()]
        may_end = self._left == 1 and must == self._length - self._pickup and self._begin + must >= len(self._seed)
        return [*found, *self._ids([f"{_END} {must}"])] if may_end else found

    def _next_must(self) -> int | None:
        """The first step left in the bar that may not be skipped; None: the bar may end."""
        begins = self._place == -1 or self._begin + self._place < 0
        for place in range(self._place + 1, self._length):
            time = self._begin + place
            if self._left == 1 and self._wanted.ends_with_seed and time >= len(self._seed):
                return None
            if not self._tokenizer.held or (begins and time == 0):
                return place
            if time == len(self._seed) > 0:  # the seed's last note ends here, perhaps with the piece
                return place
            if 0 < time < len(self._seed) and any(
                cell not in (None, "-") and not (cell == "r" and self._seed[time - 1][voice] == "r")
                for voice, cell in enumerate(self._seed[time])
            ):
                return place
        return None

    def _after_bar(self) -> list[int]:
        """The end of the last bar, which may lack what the upbeat has; or the next bar."""
        if self._left != 1:
            return self._bar_candidates()
        ends = {self._length, self._length - self._pickup}
        least = max(self._place + 1, min(self._length, len(self._seed) - self._begin))
        found = self._ids(f"{_END} {place}" for place in sorted(ends) if place >= least)
        return found[:1] if self._wanted.ends_with_seed else found

    def _bar_candidates(self) -> list[int]:
        """Whether the piece goes on, and how many bars it still has."""
        changing = self._tokenizer.about["changes"] and self._bars and "metre" not in self._forced and not self._changed
        metres = [place for place in self._words["metre"] if changing and self._tokenizer.words[place - 1] != "metre ?"]
        if self._left is not None:
            return [*self._ids([f"bar {self._left - 1}"]), *metres]
        counted, needed = int(self._tokenizer.about["counted"]), self._seed_bars() - self._bars
        if self._wanted.bars is not None or self._wanted.ends_with_seed:
            return self._ids([bar_word(max(1, (self._wanted.bars or 0) - self._bars, needed), counted)])
        longest = int(self._tokenizer.about["longest"])
        if self._bars >= longest - counted and needed <= counted and self._bars:
            return self._ids([bar_word(counted, counted)])
        # A piece that has gone on without counting has as many bars left as are counted, or more.
        least = counted if self._bars else 1
        ending = [bar_word(left, counted) for left in range(max(least, needed), counted + 1)]
        return [*self._ids([bar_word(counted + 1, counted), *ending]), *metres]

    def _voice_candidates(self, voice: int) -> list[int]:
        cell = self._seeded(voice)
        if cell is not None:
            return self._ids([f"{voice} {cell}"])
        after_seed = (
            self._begin + self._place == len(self._seed) and self._seed[-1:] and self._seed[-1][voice] is not None
        )
        may_hold = self._tokenizer.held and self._sounding[voice] and not after_seed
        held = self._ids([f"{voice} -"]) if may_hold else []
        return [*held, *self._ids([f"{voice} r"]), *self._within[voice]]

    def _seeded(self, voice: int) -> str | None:
        """What the seed wants of a voice in the step that has begun; None: it leaves it free."""
        time = self._begin + self._place
        return self._seed[time][voice] if time < len(self._seed) else None

    def _seed_bars(self) -> int:
        """Bars that the seed needs, the pickup not counted."""
        return math.ceil(max(0, len(self._seed) - self._pickup) / self._length)

    def _ids(self, words: Iterable[str]) -> list[int]:
        return [self._tokenizer.ids[word] for word in words if word in self._tokenizer.ids]

    def _pitches(self, voice: int) -> list[int]:
        """The pitches that a voice may sing: those that it was trained with, in the range that is wanted."""
        low, high = self._tokenizer.ranges[voice]
        first, last = max(low, self._wanted.pitches[0]), min(high, self._wanted.pitches[1])
        found = self._ids(f"{voice} {pitch}" for pitch in range(first, last + 1))
        if not found:
            name = self._tokenizer.about["names"][voice] or f"voice {voice + 1}"
            raise UsageError(
                f"the range leaves no pitch to {name}", hint=f"It sings from {name_pitch(low)} to {name_pitch(high)}."
            )
        return found
