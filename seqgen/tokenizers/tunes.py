"""The guide of a sampled tune: bars are full, repeats and endings make sense, it keeps to the seed and ends on a barline."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seqgen.scores.notation import parse_metre
from seqgen.scores.piece import COMMON_TIME, Metre
from seqgen.tokenizers.base import DOCUMENT
from seqgen.tokenizers.grid import COUNTED_DOWN
from seqgen.tokenizers.scores import Wanted, keys_of
from seqgen.tokenizers.tune_requests import Vocabulary, check_seed, steps_of, wanted_pitches
from seqgen.tokenizers.tune_words import BAR, LENGTH, NOTE, REST, SIGN_ORDER, STEP, TIE, UNKNOWN, bar_word

Mask = npt.NDArray[np.bool_]
ENDINGS = 3
"""So many bars must be left, with the one at whose end a first ending begins: room for both endings."""
_HEAD = ("key", "metre", "pickup")
_OPENING = ("|:", ":|", "||")
"""The signs at which a section begins."""


@dataclass
class Section:
    """Where the section began that a repeat would go back to.

    Attributes:
        start: in steps from the beginning.
        upbeat: steps from there to the next barline.
        is_marked: whether it began with `|:`, which must be closed.
        ending: 1 or 2 in its first or second ending.
        ends_on_bar: whether its endings begin on a barline.
    """

    start: int = 0
    upbeat: int = 0
    is_marked: bool = False
    ending: int = 0
    ends_on_bar: bool = False


class MelodyGuide:
    """Follows one sample through its words.

    A bar is short only beside a sign: a section may begin with an upbeat, and the one before it end with a bar that lacks
    it. A repeat stands where bars stay full when it is played: as far before a barline as its section began.

    Args:
        tokenizer: whose words they are.
        wanted: what the sample should be like.

    Raises:
        UsageError: it cannot be had of this model.
    """

    def __init__(self, tokenizer: Vocabulary, wanted: Wanted) -> None:
        self._tokenizer, self._wanted, self._about = tokenizer, wanted, tokenizer.about
        self._words: dict[str, list[str]] = {}
        for word in tokenizer.words:
            self._words.setdefault(word.partition(" ")[0], []).append(word)
        if wanted.seed:
            check_seed(wanted.seed, tokenizer)
        self._forced = tokenizer.wanted_head(wanted, STEP)
        self._pitches = wanted_pitches(tokenizer, wanted)
        self._fillable = [True]
        self.notes = 0
        self._waiting: list[str] = []
        """Words of the seed that are still to come, the next one last."""
        self._expected = "key"
        self._item = ""
        self._metre: Metre | None = None
        self._section = Section()
        self._pickup = self._clock = self._place = self._bars = 0
        self._signs: list[str] = []
        """Those at this place."""
        self._left: int | None = None
        """Bars left with the one that goes on, once they are counted down."""
        self._has_notes = self._is_sounding = self._is_upbeat = self._has_metre = False

    def allowed(self) -> Mask:
        """Which words may come next."""
        mask = np.zeros(self._tokenizer.size, dtype=np.bool_)
        words = self._candidates()
        mask[[self._tokenizer.ids[word] for word in words if word]] = True
        mask[DOCUMENT] = "" in words
        return mask

    def is_whole(self) -> bool:
        """Whether the last note has its length."""
        return self._expected == NOTE

    def feed(self, symbol: int) -> None:
        """Takes note of a word."""
        if symbol == DOCUMENT:
            return
        head, _, value = self._tokenizer.words[symbol - 1].partition(" ")
        is_seed = bool(self._waiting)
        if is_seed:
            self._waiting.pop()
        if self._expected in _HEAD:
            self._feed_head(head, value)
        elif head == LENGTH:
            self._clock += int(value)
            self._place += int(value)
            # The last note of a seed is as long as the user says.
            goes_on = not is_seed or bool(self._waiting)
            self._is_sounding = goes_on and (self._item == NOTE or (self._item == TIE and self._is_sounding))
            self._signs, self._expected = [], NOTE
        elif head == BAR:
            self._bars += 1
            self._left = int(value) if value else None
            self._is_upbeat = self._section.start == self._clock > 0
            self._place, self._signs, self._has_metre = 0, [], False
        elif head in SIGN_ORDER:
            self._feed_sign(head)
        elif head == "metre":
            self._feed_metre(value)
        else:
            self.notes += head == NOTE and not is_seed
            self._has_notes |= head == NOTE
            self._item, self._expected = head, LENGTH

    def _feed_head(self, head: str, value: str) -> None:
        if head == "metre":
            self._metre = None if value == UNKNOWN else parse_metre(value)
        if head != "pickup":
            self._expected = _HEAD[_HEAD.index(head) + 1]
            return
        self._pickup = self._section.upbeat = int(value)
        self._place = self._bar - self._pickup
        self._expected = NOTE
        if seed := self._wanted.seed:
            metres = (self._metre, *seed.metres[1:]) if self._metre else ()
            fitted = dataclasses.replace(seed, metres=metres, pickup=self._pickup * STEP)
            self._waiting = self._tokenizer.seed_words(fitted)[::-1]

    def _feed_sign(self, sign: str) -> None:
        section = self._section
        if sign == "[1":
            section.ending, section.ends_on_bar = 1, self._place == self._bar
        elif sign == ":|" and section.ending == 1:
            section.ending, section.is_marked = 2, False
        elif sign in _OPENING and not (sign == "||" and section.is_marked):
            self._section = Section(self._clock, self._bar - self._place, sign == "|:")
        self._signs.append(sign)
        self._is_sounding = self._is_upbeat = False

    def _feed_metre(self, value: str) -> None:
        """A metre, the same or another, begins a bar wherever the one before has come to."""
        is_short, begun = self._place < self._bar, self._clock - self._place
        if is_short and self._section.start >= begun:
            self._section.upbeat = self._clock - self._section.start
        self._metre = parse_metre(value)
        self._place, self._has_metre = self._bar, True

    def _candidates(self) -> list[str]:
        """The words that may come next; "" is the end."""
        if self._expected in _HEAD:
            return self._head_candidates()
        if self._waiting:
            return self._bar_candidates() if self._waiting[-1] == BAR else self._waiting[-1:]
        if self._wanted.ends_with_seed:  # it has been brought in as a whole
            return [""]
        if self._expected == LENGTH:
            return self._length_candidates()
        if forced := self._closing():
            return [forced]
        if self._left == 1 and (self._place == self._bar or {":|", "||"} & {*self._signs}):
            return ["", *self._sign_candidates()] if not self._signs else [""]
        found = [*self._sign_candidates(), *self._metre_candidates()]
        if self._place == self._bar:
            return [*found, *self._bar_candidates()]
        may_end = self._left == 1 and self._place == self._bar - self._pickup > 0 and not self._must_close()
        return [*found, *self._item_candidates(), *([""] if may_end else [])]

    def _head_candidates(self) -> list[str]:
        head = self._expected
        if head in self._forced:
            return [self._forced[head]]
        if head == "metre":
            pickup = int(self._forced.get("pickup", "pickup 0").partition(" ")[2])
            return [word for word in self._words[head] if steps_of(word) > pickup]
        if head == "pickup":
            return [word for word in self._words[head] if int(word.partition(" ")[2]) < self._bar]
        return keys_of(self._wanted.seed, self._words[head]) if head == "key" else self._words[head]

    def _closing(self) -> str:
        """What a repeat or an ending that must be closed needs right here, if anything."""
        section, last = self._section, self._signs[-1:]
        if last == [":|"] and section.ending == 2 and "[2" in self._words:
            return "[2"
        if last == ["[2"] and section.ends_on_bar and self._place < self._bar and self._metre:
            return f"metre {self._metre}"
        is_due = self._must_close() and self._place == self._repeat_place() and self._clock > section.start
        return ":|" if is_due and ":|" in self._words else ""

    def _must_close(self) -> bool:
        """Whether this bar is the last in which the repeat or ending that is open can be closed."""
        section, left = self._section, self._left
        return (left == 1 and section.is_marked) or (left in (1, 2) and section.ending == 1)

    def _repeat_place(self) -> int:
        """The place in a bar at which the section may be repeated."""
        return self._bar - self._section.upbeat % self._bar

    def _sign_candidates(self) -> list[str]:
        if self._has_metre or self._place not in (self._bar, self._repeat_place(), self._bar - self._pickup):
            return []
        if self._clock == 0:
            return [] if self._signs else self._known_signs(["|:"])
        if self._place == 0 or self._bars == 0:
            return []
        section, is_last = self._section, self._left == 1
        found = []
        if self._place == self._repeat_place() and self._clock > section.start and section.ending != 2:
            found.append(":|")
        if section.ending != 1 and not section.is_marked:
            found += ["||"] if is_last else ["||", "|:"]
        if section.ending == 0 and not self._signs and self._has_room_for_endings():
            found.append("[1")
        order = [":|", "||", "|:", "[1"]
        reached = max((order.index(sign) for sign in self._signs if sign in order), default=-1)
        return self._known_signs(sign for sign in found if order.index(sign) > reached)

    def _known_signs(self, signs: Iterable[str]) -> list[str]:
        """Those that occur in training, with all that they need to be closed."""
        needed = {"|:": [":|"], "[1": [":|", "[2"]}
        return [sign for sign in signs if all(each in self._words for each in [sign, *needed.get(sign, [])])]

    def _has_room_for_endings(self) -> bool:
        """Whether both endings can follow, and bars stay full behind the repeat."""
        section = self._section
        has_room = self._clock > section.start and (self._left is None or self._left >= ENDINGS)
        if self._place == self._repeat_place():
            return has_room
        return has_room and self._place == self._bar and self._about["restarts"] and self._metre is not None

    def _metre_candidates(self) -> list[str]:
        if not self._metre or self._bars == 0 or self._has_metre or self._left == 1:
            return []
        same, found = f"metre {self._metre}", list[str]()
        if self._about["changes"] and "metre" not in self._forced:
            found = [word for word in self._words["metre"] if word not in (same, f"metre {UNKNOWN}")]
        if self._place == self._bar:
            return found
        begins = self._signs[-1:] != [] and self._signs[-1] in _OPENING
        ends_upbeat = self._is_upbeat and self._place > 0
        return [same, *found] if self._about["restarts"] and (begins or ends_upbeat) else []

    def _bar_candidates(self) -> list[str]:
        """Whether the tune goes on, and how many bars it still has."""
        needed = self._waiting.count(BAR)
        if self._left is not None:
            return [bar_word(self._left - 1)]
        if self._wanted.bars is not None or self._wanted.ends_with_seed:
            return [bar_word(max((self._wanted.bars or 0) - self._bars, needed, 1))]
        to_longest = int(self._about["longest"]) - self._bars
        if self._bars and to_longest <= COUNTED_DOWN and needed <= COUNTED_DOWN:
            return [bar_word(COUNTED_DOWN)]
        # A tune that has gone on without counting has as many bars left as are counted, or more.
        counted = range(max(COUNTED_DOWN if self._bars else 1, needed), COUNTED_DOWN + 1)
        uncounted = [BAR] if max(to_longest, needed) > COUNTED_DOWN else []
        return [*uncounted, *map(bar_word, counted)]

    def _item_candidates(self) -> list[str]:
        """A tune begins with a note, and its last bar with one that is struck or goes on: else it would end before."""
        may_rest = self._has_notes and not (self._left == 1 and self._place == 0)
        may_tie = self._is_sounding and self._place == 0
        return [*self._pitches, *([REST] if may_rest else []), *([TIE] if may_tie else [])]

    def _length_candidates(self) -> list[str]:
        """Those that leave room which others can fill, up to the barline or to where a repeat must stand."""
        stop = self._repeat_place() if self._must_close() and self._place < self._repeat_place() else self._bar
        room, lengths = stop - self._place, self._tokenizer.lengths
        learned = [length for length in lengths if length >= self._about["shortest"]]
        for steps in range(len(self._fillable), room + 1):
            self._fillable.append(any(length <= steps and self._fillable[steps - length] for length in learned))
        found = [length for length in learned if length <= room and self._fillable[room - length]]
        return [f"{LENGTH} {length}" for length in found or lengths if length <= room]

    @property
    def _bar(self) -> int:
        """Steps of a bar."""
        return (self._metre or COMMON_TIME).bar // STEP
