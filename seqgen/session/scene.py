"""What a session is at one moment. Nothing in it changes: a line that is typed makes a new one, and `/undo` goes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

Picture = Callable[[int, bool], list[str]]
"""What an answer looks like, given the width of a terminal and whether it has colours: parts that each fit a screen, the latest
last; none where its text says it all."""
NOTHING_SET: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Passage:
    """What is on the table: an answer, as far as it was written.

    Attributes:
        seed: what it grew from; of a reply the message that it answers.
        text: the whole, the seed in it; music in its text form; of a reply the reply.
        ids: the symbols that were drawn for it, where these and not the text are gone on from.
        random_seed: that repeats it; None: nothing was drawn.
        stopped_by: why it ended; None: it is being written choice by choice.
    """

    seed: str
    text: str
    ids: tuple[int, ...] = ()
    random_seed: int | None = None
    stopped_by: str | None = None


class Choice(NamedTuple):
    """Something to take by its number.

    Attributes:
        label: what people see.
        passage: what is on the table when it is taken.
        detail: what is said beside it: a probability, a score.
        goes_on: whether what could come next is shown again once it is taken.
    """

    label: str
    passage: Passage
    detail: str = ""
    goes_on: bool = False


class Turn(NamedTuple):
    """What was said in a chat, and what was answered."""

    message: str
    reply: str


@dataclass(frozen=True)
class Scene:
    """A moment.

    Attributes:
        random_seed: of the next answer.
        values: what was set, by names; for the rest the defaults hold.
        passage: what is on the table.
        base: what that goes on from; None: from its seed.
        choices: what a number takes.
        shown: how many replies to the last message were shown, by a chat.
        turns: what was said, likewise, the latest last.
        kept: what was kept.
        adapting: whether the model learns from that.
    """

    random_seed: int
    values: Mapping[str, Any] = field(default_factory=lambda: NOTHING_SET)
    passage: Passage | None = None
    base: Passage | None = None
    choices: tuple[Choice, ...] = ()
    shown: int = 0
    turns: tuple[Turn, ...] = ()
    kept: tuple[Passage, ...] = ()
    adapting: bool = False


class About(NamedTuple):
    """What a stage must know of a model.

    Attributes:
        name: of the checkpoint.
        title: of its kind of corpus: "music: MIDI, MusicXML, ABC, Humdrum".
        ending: of the files that it learned from, where what it writes is shown as such files are; else empty.
        answers: whether it answers messages.
    """

    name: str
    title: str
    ending: str
    answers: bool


class Stage(Protocol):
    """Where a session is shown."""

    def enter(self, about: About) -> None:
        """A model takes its place."""

    def begin(self, given: str, number: int | None) -> None:
        """An answer begins with what was given; of several it has a number."""

    def grow(self, piece: str, picture: Picture) -> None:
        """More of it is there, perhaps nothing that can be shown yet."""

    def end(self, passage: Passage, picture: Picture) -> None:
        """It is complete, or was interrupted."""

    def show(self, passage: Passage, picture: Picture) -> None:
        """A passage as it stands."""

    def offer(self, choices: tuple[Choice, ...]) -> None:
        """There is something to choose from."""

    def tell(self, words: str) -> None:
        """Words for people."""

    def report(self, words: str) -> None:
        """The same where somebody has asked for them."""

    def halted(self) -> bool:
        """Whether the user has interrupted what is going on."""
