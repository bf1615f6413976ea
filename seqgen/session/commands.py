"""``COMMANDS``: what can be typed in a session beside seeds. A command is one function and one line of the table."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from seqgen import __version__
from seqgen.checkpoint import list_checkpoints
from seqgen.errors import UsageError
from seqgen.outputs import check_output, numbered, write_file
from seqgen.session.session import RANDOM_SEED, Session
from seqgen.session.settings import DEFAULT

SESSION = "session"
"""How the name of a text file begins that is to hold the session, and not what was written in it."""
_NAME = re.compile(r"(/[a-z-]+|/#)(?:\s+|\Z)")
_FLAG = re.compile(r"(?:^|\s+)--(force|kept|session)\s*\Z")
_STEPS = re.compile(r"\s*[0-9]{1,18}\s*")
_FRAGILE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]|^\s|\s$")
"""What of a seed would not survive as a line of a file."""


class Command(NamedTuple):
    """Something that a session can be told.

    Attributes:
        run: does it, given what was typed behind its name; returns the line that does it again, "" if nothing need be done.
        usage: what may be typed behind it.
        about: what it does, in a line.
        known: what may stand behind it, for completion; None: a file.
        takes_text: whether what is typed behind it is text, perhaps of several lines.
    """

    run: Callable[[Session, str], str]
    usage: str
    about: str
    known: Callable[[Session], Iterable[str]] | None = lambda session: ()
    takes_text: bool = False


def hear(session: Session, line: str) -> None:
    """Does what a line says: a command, the number of a choice, or else a seed. Blank lines are none.

    Args:
        session: that is to do it.
        line: as it was typed, perhaps several lines of a seed.

    Raises:
        SeqgenError: it cannot be done; the session is as it was before.
    """
    if not line.strip():
        return
    session.begin_line()
    name, argument = split(line)
    if name in COMMANDS:
        if not COMMANDS[name].takes_text and "\n" in argument:
            raise UsageError(f"{name} takes one line", hint='/seed "..." takes any text, as JSON writes it.')
        again = COMMANDS[name].run(session, argument)
    elif is_choice(session, line):
        session.take(int(line))
        again = line.strip()
    else:
        if hint := unlike(line):
            session.stage.tell(hint)
        again = _answer(session, line)
    if again:
        if session.interrupted_at is not None:
            session.record.append(f"/cut {session.interrupted_at}")
        session.record.append(again)


def split(line: str) -> tuple[str, str]:
    """The name that a command would have, and what stands behind it."""
    match = _NAME.match(line)
    return (match[1], line[match.end() :]) if match else ("", line)


def is_choice(session: Session, line: str) -> bool:
    """Whether a line is the number of a choice that there is."""
    plain = line.strip()
    return plain.isascii() and plain.isdigit() and len(plain) < 4 and 1 <= int(plain) <= len(session.scene.choices)


def unlike(line: str) -> str:
    """What is said where a seed looks like a command; empty: nothing."""
    match = re.match(r"/[a-z][\w.-]*", line)
    name = match[0] if match else ""
    close = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.7)
    return f"{name} is no command, so this is a seed; did you mean {close[0]}?" if close else ""


def _answer(session: Session, seed: str) -> str:
    session.answer(seed)
    plain = (
        not _FRAGILE.search(seed) and split(seed)[0] not in COMMANDS and not seed.isdigit() and not seed.startswith('"')
    )
    return seed if plain and seed else f"/seed {_quoted(seed)}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _unquoted(argument: str) -> str:
    """A text as it stands, or in double quotes as JSON writes it."""
    try:
        read = json.loads(argument) if argument.startswith('"') else argument
    except ValueError:
        return argument  # it begins with a quotation mark
    return read if isinstance(read, str) else argument


def _seed(session: Session, argument: str) -> str:
    return _answer(session, _unquoted(argument))


def _plainly(act: Callable[[Session], None], again: str) -> Callable[[Session, str], str]:
    """A command that nothing is typed behind."""

    def run(session: Session, argument: str) -> str:
        if argument.strip():
            raise UsageError(f"nothing belongs behind this command, and there is {argument.strip()!r}")
        act(session)
        return again

    return run


def _next(session: Session, argument: str) -> str:
    if argument and is_choice(session, argument):
        session.take(int(argument))
        return argument.strip()
    text = _unquoted(argument) if argument else None
    session.next(text)
    return "/next" if text is None else f"/next {_quoted(text)}"


def _adapt(session: Session, argument: str) -> str:
    word = argument.strip()
    if word not in ("on", "off"):
        raise UsageError(f"it is {'on' if session.scene.adapting else 'off'} now", hint="/adapt on or /adapt off")
    session.adapt(word == "on")
    return f"/adapt {word}"


def _set(session: Session, argument: str) -> str:
    name, _, value = (part.strip() for part in argument.strip().partition(" "))
    if not value:
        names = [name] if name else list(session.player.settings)
        session.stage.report("\n".join(session.about_setting(each) for each in names))
        return ""
    session.set(name, None if value == DEFAULT else value)
    if session.full_name(name) == RANDOM_SEED:
        return f"/set {RANDOM_SEED} {session.scene.random_seed}"
    session.stage.tell(f"{session.full_name(name)}: {session.value(name)}")
    return f"/set {name} {value}"


def _short_for(name: str) -> Callable[[Session, str], str]:
    return lambda session, argument: _set(session, f"{name} {argument}")


def _save(session: Session, argument: str) -> str:
    name, flags = argument.strip(), set[str]()
    while match := _FLAG.search(name):
        flags.add(match[1])
        name = name[: match.start()]
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1]
    if not name:
        raise UsageError("no file is named", hint=f"/save {COMMANDS['/save'].usage}")
    force = "force" in flags
    path = _checked(name, force)
    if "session" in flags or (path.suffix.lower() == ".txt" and path.stem.lower().startswith(SESSION)):
        again = f"seqgen repl {shlex.quote(session.first)} < {shlex.quote(path.name)}"
        lines = [f"/# seqgen {__version__}: {again}", *session.record]
        write_file(path, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
        session.stage.tell(f"{path}: this session; it comes again with {again}")
        return ""
    rendered = session.render(path.suffix, "kept" in flags)  # all of them, before any is written
    files = [_checked(str(numbered(path, number, len(rendered))), force) for number in range(len(rendered))]
    for file, data in zip(files, rendered, strict=True):
        write_file(file, data)
        session.stage.tell(str(file))
    return ""


def _checked(name: str, force: bool) -> Path:
    """Where a file may be written.

    Raises:
        UsageError: it may not, or it can have no such name.
    """
    try:
        if "\0" in name:
            raise ValueError("it has a zero byte")
        path = Path(name).expanduser()
        check_output(path, force)
    except (OSError, ValueError, RuntimeError) as error:  # too long, with a zero byte, of nobody's home
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise UsageError(f"no file can be called {name[:60]!r}: {why}", hint="Choose another name.") from error
    return path


def _load(session: Session, argument: str) -> str:
    if not argument.strip():
        raise UsageError("no model is named", hint=f"At hand: {', '.join(_checkpoints(session))}.")
    session.load(argument.strip())
    return f"/load {argument.strip()}"


def _cut(session: Session, argument: str) -> str:
    if not _STEPS.fullmatch(argument):
        raise UsageError("a number of steps belongs behind it")
    session.cut(int(argument))
    return ""


def _help(session: Session, argument: str) -> str:
    word = argument.strip()
    name = word if word.startswith("/") else f"/{word}"
    if word and name not in COMMANDS:
        raise UsageError(f"there is no command {name}", hint=f"There are: {', '.join(COMMANDS)}.")
    shown = [name] if word else [name for name in COMMANDS if name not in HIDDEN]
    lines = [(f"{name} {COMMANDS[name].usage}".rstrip(), COMMANDS[name].about) for name in shown]
    width = max(len(usage) for usage, _ in lines) + 2
    told = [f"{usage:<{width}}{about}" for usage, about in lines]
    if not word:
        told.insert(
            0, "Anything else is a message to answer." if session.player.answers else "Anything else is a seed."
        )
        told.append("Ctrl-C stops an answer, Ctrl-D leaves; Alt-Enter begins a new line; Tab completes.")
    session.stage.report("\n".join(told))
    return ""


def _bye(session: Session) -> None:
    session.is_over = True


def _checkpoints(session: Session) -> list[str]:
    return list(dict.fromkeys(found.name for found in list_checkpoints()))


def _settings(session: Session) -> list[str]:
    return list(session.player.settings)


COMMANDS: dict[str, Command] = {
    "/again": Command(_plainly(Session.again, "/again"), "", "another answer: the same settings, the next random seed"),
    "/more": Command(_plainly(Session.more, "/more"), "", "goes on from where it stopped"),
    "/next": Command(_next, "[N|TEXT]", "what could come next; its number alone takes it", takes_text=True),
    "/undo": Command(_plainly(Session.undo, "/undo"), "", "takes the last line back"),
    "/keep": Command(_plainly(Session.keep, "/keep"), "", "keeps what is on the table"),
    "/adapt": Command(_adapt, "on|off", "the model learns from what you keep", lambda session: ("on", "off")),
    "/temp": Command(_short_for("temperature"), "[T]", "below 1 safer, above 1 wilder"),
    "/top-p": Command(_short_for("top-p"), "[P]", "among the likeliest that have this probability together"),
    "/length": Command(_short_for("length"), "[N]", "characters, notes or words to write at most"),
    "/count": Command(_short_for("count"), "[N]", "answers at once; their number takes one"),
    "/set": Command(_set, "[NAME [VALUE]]", "shows or sets anything; the value default sets it back", _settings),
    "/show": Command(_plainly(Session.show, ""), "", "what is on the table, kept and set"),
    "/save": Command(
        _save,
        "FILE [--kept] [--force]",
        "writes what is on the table, or all that was kept; session.txt: this session",
        None,
    ),
    "/play": Command(_plainly(Session.play, ""), "", "plays music, where the machine has a player"),
    "/load": Command(_load, "NAME", "goes on with another model", _checkpoints),
    "/seed": Command(
        _seed, "[TEXT]", 'a seed that looks like something else, or "as JSON\\n"; alone: none', takes_text=True
    ),
    "/cut": Command(_cut, "N", "ends the next answer after N steps, as an interrupt did"),
    "/help": Command(_help, "[NAME]", "this", lambda session: COMMANDS),
    "/bye": Command(_plainly(_bye, ""), "", "leaves"),
    "/quit": Command(_plainly(_bye, ""), "", "leaves"),
    "/exit": Command(_plainly(_bye, ""), "", "leaves"),
    "/#": Command(lambda session, argument: "", "...", "a remark, which is not read"),
}
HIDDEN = ("/cut", "/#", "/quit", "/exit")
"""Those that people need not be told of."""
