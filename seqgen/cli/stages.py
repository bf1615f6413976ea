"""Where a session is shown: a terminal, or what reads standard output."""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from seqgen.cli.common import draw, is_quiet, say, tell, write
from seqgen.cli.painting import Painter, find_lexer
from seqgen.showing import label
from seqgen.visible import visible

if TYPE_CHECKING:
    from seqgen.session.scene import About, Choice, Passage, Picture

PIPE_WIDTH = 100
"""Columns of a picture where there is no terminal."""
REDRAWN = 0.1
"""Seconds between two pictures of music that grows."""
_NUMBER, _DIM, _BOLD = "\x1b[1;33m", "\x1b[2m", "\x1b[1m"


class Interrupts:
    """While a line is done, a Ctrl-C is a wish that whatever goes on looks at; a second one, before it has, is an exception."""

    def __init__(self) -> None:
        self.heard = False
        self._is_working = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Hears of every Ctrl-C in here; one that comes while no line is done has no effect."""
        before = signal.signal(signal.SIGINT, self._hear)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """A line is done in here."""
        self.heard, self._is_working = False, True
        try:
            yield
        finally:
            self._is_working = False

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._is_working and self.heard:
            raise KeyboardInterrupt
        self.heard = self._is_working


class Pipe:
    """Answers on standard output, each with a line end behind it; words on standard error."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._answers = False

    def enter(self, about: About) -> None:
        """Says which model it is."""
        self._answers = about.answers
        say(f"{about.name}: {about.title}", dim=True)

    def begin(self, given: str, number: int | None) -> None:
        """What was given is a part of the result."""
        write(given)

    def grow(self, piece: str, picture: Picture) -> None:
        """More of the result."""
        if piece:
            write(piece)

    def end(self, passage: Passage, picture: Picture) -> None:
        """A line end, and what it looks like."""
        write("\n")
        for drawn in picture(PIPE_WIDTH, False):
            draw(drawn)
        say(summary(passage), dim=True)

    def show(self, passage: Passage, picture: Picture) -> None:
        """A result as it stands."""
        write(f"{passage.text}\n")

    def offer(self, choices: tuple[Choice, ...]) -> None:
        """Replies as lines of text; what could come next with its probability."""
        for choice in choices:
            write(
                f"{choice.label}\n"
                if not choice.goes_on and self._answers
                else f"{choice.detail}\t{label(choice.label)}\n"
            )

    def tell(self, words: str) -> None:
        """On standard error."""
        for line in words.split("\n"):
            say(line, dim=True)

    def report(self, words: str) -> None:
        """Likewise, also with `--quiet`."""
        for line in words.split("\n"):
            tell(line)

    def halted(self) -> bool:
        """Whether there was a Ctrl-C."""
        return self._interrupts.heard


class Terminal:
    """Answers as they are written; code in colours, music as a piano roll that grows."""

    def __init__(self, interrupts: Interrupts, colour: bool) -> None:
        self._interrupts, self._colour = interrupts, colour
        self._painter: Painter | None = None
        self._lexer: Any = None
        self._answers = False
        self._lines = 0
        """Of the picture that is on the screen."""
        self._drawn_at = 0.0
        self._is_drawn = False

    def enter(self, about: About) -> None:
        """Says which model it is."""
        self._lexer, self._answers = find_lexer(about.ending) if self._colour else None, about.answers
        self.tell(f"{about.name}: {about.title}")

    def begin(self, given: str, number: int | None) -> None:
        """What was given stands out."""
        self._painter = Painter(self._lexer, self._width) if self._lexer is not None else None
        self._lines, self._is_drawn, self._drawn_at = 0, False, 0.0
        if number is not None:
            self._send(self._styled(f"{number}\n", _NUMBER))
        if self._painter is not None:
            self._send(self._painter.add(visible(given)))
        else:
            self._send(self._styled(visible(given), _BOLD))

    def grow(self, piece: str, picture: Picture) -> None:
        """Writes on; of what is drawn, the latest part some times a second."""
        now = time.monotonic()
        if now - self._drawn_at >= REDRAWN and (parts := picture(self._width - 1, self._colour)[-1:]):
            self._drawn_at = now
            self._draw(parts)
        if piece and not self._is_drawn:
            self._send(self._painter.add(visible(piece)) if self._painter is not None else visible(piece))

    def end(self, passage: Passage, picture: Picture) -> None:
        """The whole picture, or the end of the line; and how it can be repeated."""
        self._draw(picture(self._width - 1, self._colour))
        if not (self._is_drawn or passage.text.endswith("\n")):
            self._send("\n")
        self.tell(summary(passage))

    def show(self, passage: Passage, picture: Picture) -> None:
        """As it would have been written."""
        self.begin(passage.text, None)
        self._send("\n")
        self._draw(picture(self._width - 1, self._colour))

    def offer(self, choices: tuple[Choice, ...]) -> None:
        """A numbered list."""
        width = len(str(len(choices)))
        for number, choice in enumerate(choices, 1):
            text = label(choice.label) if choice.goes_on else visible(choice.label)
            detail = self._styled(f"   {choice.detail}", _DIM) if choice.detail else ""
            self._send(self._styled(f"{number:>{width}}", _NUMBER) + f"  {text}{detail}\n")
        if choices:
            self.tell(f"a number takes one; anything else is {'a message' if self._answers else 'a seed'}")

    def tell(self, words: str) -> None:
        """Dim, so that answers stand out."""
        if words and not is_quiet():
            self._send(self._styled(visible(words), _DIM) + "\n")

    def report(self, words: str) -> None:
        """As it stands."""
        self._send(f"{visible(words)}\n")

    def halted(self) -> bool:
        """Whether there was a Ctrl-C."""
        return self._interrupts.heard

    @property
    def _width(self) -> int:
        return shutil.get_terminal_size().columns

    def _draw(self, parts: list[str]) -> None:
        """Puts a picture in the place of the one before."""
        if not parts:
            return
        lines = sum(part.count("\n") + 1 for part in parts)
        back = f"\x1b[{self._lines}A\r\x1b[J" if 0 < self._lines < shutil.get_terminal_size().lines else ""
        self._send(back + "".join(f"{part}\n" for part in parts))
        self._lines, self._is_drawn = lines, True

    def _styled(self, text: str, code: str) -> str:
        return f"{code}{text}\x1b[0m" if self._colour and text else text

    def _send(self, text: str) -> None:
        click.echo(text, nl=False, color=True)  # what is no colour moves the cursor


def summary(passage: Passage) -> str:
    """How an answer ended, and what repeats it."""
    ended = {"interrupt": "interrupted, ", None: ""}.get(passage.stopped_by, f"ended by {passage.stopped_by}, ")
    return ended.removesuffix(", ") if passage.random_seed is None else f"{ended}random seed {passage.random_seed}"
