"""Where lines are typed: history, completion, several lines, colours."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.filters import is_searching
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout.screen import Char
from prompt_toolkit.lexers import DynamicLexer, Lexer, PygmentsLexer
from prompt_toolkit.output import ColorDepth

from seqgen.cli.common import say
from seqgen.cli.painting import find_lexer
from seqgen.session.commands import COMMANDS, HIDDEN, split
from seqgen.visible import VISIBLE, visible

if TYPE_CHECKING:
    from seqgen.session.session import Session

HISTORY = "history"
"""The file that remembers what was typed; only its owner can read it."""
LONGEST_HISTORY = 1 << 20
"""Bytes of it; of more the older half is forgotten."""
OFFERED = 12
"""Words that are offered."""
INDENT = 4
_WORD = re.compile(r"[^\W\d]\w*\Z")
_OPENS_BLOCK = re.compile(r"[:{(\[]\s*\Z")
# What is typed, pasted, remembered or offered looks as it does in answers. prompt_toolkit has signs of its own, `^[`, for control
# characters, and none for those that turn the direction.
Char.display_mappings.update({chr(code): seen for code, seen in VISIBLE.items()})


def history_file() -> Path:
    """Where what was typed is remembered: in `$SEQGEN_STATE`, or the system's folder for such things."""
    return Path(os.environ.get("SEQGEN_STATE") or platformdirs.user_state_dir("seqgen", appauthor=False)) / HISTORY


class Prompt:
    """Reads lines for a session.

    Args:
        session: whose model and commands help to complete them.
        remembers: whether they are remembered, and those of earlier sessions at hand.
        colour: whether the terminal has colours.
    """

    def __init__(self, session: Session, remembers: bool, colour: bool) -> None:
        self._session = session
        self._prompt: PromptSession[str] = PromptSession(
            history=_open_history() if remembers else InMemoryHistory(),
            completer=Words(session),
            complete_while_typing=False,
            multiline=True,
            key_bindings=_keys(),
            lexer=DynamicLexer(self._lexer) if colour else None,
            prompt_continuation=lambda width, number, is_soft_wrap: " " * width,
            color_depth=None if colour else ColorDepth.DEPTH_1_BIT,
            reserve_space_for_menu=6,
        )

    def read(self) -> str:
        """What is typed next; several lines are joined by line feeds.

        Raises:
            EOFError: Ctrl-D.
            KeyboardInterrupt: Ctrl-C, where it comes before anything can be typed.
        """
        return self._prompt.prompt(FormattedText([("ansigreen bold", f"{self._session.about.name}> ")]))

    def _lexer(self) -> Lexer | None:
        """Of the language that the model writes."""
        found = find_lexer(self._session.about.ending)
        return None if found is None else PygmentsLexer(type(found))


class Words(Completer):
    """Completes commands, what stands behind them, files, and words that the model knows.

    Args:
        session: at whose prompt they are typed.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._files = PathCompleter(expanduser=True)
        self._known: tuple[object, list[str]] = (None, [])

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """What the text before the cursor could become."""
        for one in self._completions(document, complete_event):  # the menu is as wide as what it shows
            yield Completion(one.text, one.start_position, display=visible(one.display_text))

    def _completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        name, argument = split(text)
        if text.startswith("/") and not re.search(r"\s", text):
            names = (f"{each} " if COMMANDS[each].usage else each for each in COMMANDS if each not in HIDDEN)
            yield from _beginning(text, names)
        elif name in COMMANDS and (known := COMMANDS[name].known) is None:
            yield from self._files.get_completions(Document(argument), complete_event)
        elif name in COMMANDS and known is not None and name not in ("/seed", "/next"):
            yield from self._arguments(argument, list(known(self._session)))
        elif match := _WORD.search(text):
            yield from _beginning(match[0], self._words())

    def _arguments(self, argument: str, known: list[str]) -> Iterable[Completion]:
        """The first word behind a command; or of a setting its value."""
        first, blank, second = argument.partition(" ")
        settings = list(self._session.player.settings)
        if not blank:
            yield from _beginning(first, (f"{word} " for word in known) if known[:1] == settings[:1] else known)
        elif first in settings:
            yield from _beginning(second, [*self._session.player.settings[first].known, "default"])

    def _words(self) -> list[str]:
        """Those that the model knows, found when they are first asked for."""
        player = self._session.player
        if self._known[0] is not player:
            self._known = (player, list(player.words()))
        return self._known[1]


def _beginning(begun: str, words: Iterable[str]) -> list[Completion]:
    fitting = [word for word in words if word.startswith(begun) and word != begun]
    return [Completion(word, start_position=-len(begun)) for word in fitting[:OFFERED]]


def _keys() -> KeyBindings:
    """Enter sends; Alt-Enter begins a new line, as far indented as code should be; Ctrl-C takes back what was typed."""
    keys = KeyBindings()

    @keys.add("enter")
    def send(event: KeyPressEvent) -> None:
        if event.current_buffer.complete_state and event.current_buffer.complete_state.current_completion:
            event.current_buffer.complete_state = None  # it chooses what is marked in the menu
            return
        event.current_buffer.validate_and_handle()

    @keys.add("c-c", filter=~is_searching)
    @keys.add("<sigint>", filter=~is_searching)
    def take_back(event: KeyPressEvent) -> None:
        event.current_buffer.reset()

    @keys.add("escape", "enter")
    def open_line(event: KeyPressEvent) -> None:
        before = event.current_buffer.document.current_line_before_cursor
        indent = before[: len(before) - len(before.lstrip())]
        deeper = ("\t" if indent.startswith("\t") else " " * INDENT) if _OPENS_BLOCK.search(before) else ""
        event.current_buffer.insert_text(f"\n{indent}{deeper}")

    return keys


def _open_history() -> History:
    path = history_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        if path.stat().st_size > LONGEST_HISTORY:
            _forget_older_half(path)
    except OSError as error:
        say(f"what you type is not remembered: {path}: {error.strerror}")
        return InMemoryHistory()
    return FileHistory(str(path))


def _forget_older_half(path: Path) -> None:
    """Entries are separated by a comment line that says when they were typed."""
    data = path.read_bytes()
    place = data.find(b"\n# ", len(data) // 2)
    with contextlib.suppress(OSError):
        path.write_bytes(data[place:] if place >= 0 else b"")
