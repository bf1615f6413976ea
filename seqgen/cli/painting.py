"""Code in the terminal's own colours, while it is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

if TYPE_CHECKING:
    from pygments.lexer import Lexer

REREAD = 4000
"""Characters before what is new that are looked at to see what it is."""
TAB = 8
"""Columns from one stop to the next."""
_RESET = "\x1b[0m"


def find_lexer(ending: str) -> Lexer | None:
    """What reads files with this ending; None: nothing does."""
    from pygments.lexers import get_lexer_for_filename
    from pygments.util import ClassNotFound

    try:
        return get_lexer_for_filename(f"a{ending}", stripnl=False, ensurenl=False) if ending else None
    except ClassNotFound:
        return None


class Painter:
    """Colours a text that grows. What a later character turns into something else (a word into a keyword) is painted again, as
    long as its line fits the screen.

    Args:
        lexer: of its language.
        width: of the terminal, in columns.
    """

    def __init__(self, lexer: Lexer, width: int) -> None:
        self._lexer, self._width = lexer, width
        self._text = ""
        self._line = 0
        """Where the last line begins."""
        self._shown = ""
        """What is on the screen of it, with its colours."""

    def add(self, piece: str) -> str:
        """What must be sent to a terminal for a piece more to be on it."""
        if len(self._text) - self._line > 2 * REREAD:  # a line without an end
            self._text, self._line = self._text[-REREAD:], 0
            self._shown = list(self._lines())[-1][1]
        self._text += piece
        self._forget()
        lines = list(self._lines())
        sent = []
        for number, (plain, styled) in enumerate(lines):
            if number:
                sent.append("\n")
                self._shown = ""
            if styled.startswith(self._shown):
                sent.append(styled[len(self._shown) :])
            elif cell_len(plain.expandtabs(TAB)) < self._width:
                sent.append(f"\r{styled}\x1b[K")
            else:  # it has been wrapped: what is there stays as it is
                sent.append(styled_rest(styled, visible_length(self._shown)))
            self._shown = styled
        self._line = self._text.rfind("\n") + 1
        return "".join(sent)

    def _forget(self) -> None:
        """What is long past does not matter, from where a block begins at the left margin."""
        if len(self._text) <= 2 * REREAD:
            return
        end = min(self._line, len(self._text) - REREAD)
        place = self._text.rfind("\n\n", 0, end)
        cut = place + 2 if place >= 0 else self._text.rfind("\n", 0, end) + 1
        self._text, self._line = self._text[cut:], self._line - cut

    def _lines(self) -> Iterator[tuple[str, str]]:
        """The lines from the last one that is on the screen, plain and in colours."""
        plain, styled = "", ""
        for start, kind, text in self._lexer.get_tokens_unprocessed(self._text):
            if start + len(text) <= self._line:
                continue
            code = _code(kind)
            for number, part in enumerate(text[max(0, self._line - start) :].split("\n")):
                if number:
                    yield plain, styled
                    plain, styled = "", ""
                plain += part
                styled += f"{code}{part}{_RESET}" if code and part else part
        yield plain, styled


def visible_length(styled: str) -> int:
    """Characters of a text without its colours."""
    return sum(1 for _ in _visible(styled))


def styled_rest(styled: str, skipped: int) -> str:
    """A text in colours without its first visible characters, which keep theirs."""
    for number, place in enumerate(_visible(styled)):
        if number == skipped:
            codes = styled[:place].split("\x1b[")[1:]
            last = codes[-1].partition("m")[0] if codes else "0"
            return ("" if last == "0" else f"\x1b[{last}m") + styled[place:]
    return ""


def _visible(styled: str) -> Iterator[int]:
    """The places of the characters that are seen."""
    inside = False
    for place, character in enumerate(styled):
        if character == "\x1b":
            inside = True
        elif inside:
            inside = character != "m"
        else:
            yield place


def _code(kind: Any) -> str:
    """The colour of a token of this kind, of those that every terminal has and that can be read on light and dark."""
    from pygments.token import Comment, Error, Keyword, Name, Number, Operator, String

    for family, code in (
        (Error, ""),
        (Comment, "\x1b[2m"),
        (Keyword, "\x1b[35m"),
        (Operator.Word, "\x1b[35m"),
        (String, "\x1b[32m"),
        (Number, "\x1b[36m"),
        (Name.Function, "\x1b[34m"),
        (Name.Class, "\x1b[34m"),
        (Name.Decorator, "\x1b[36m"),
        (Name.Builtin, "\x1b[36m"),
    ):
        if kind in family:
            return code
    return ""
