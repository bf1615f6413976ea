"""`seqgen repl`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from seqgen.cli.common import checkpoint_argument, common_options, complain, console, say
from seqgen.errors import DataError, SeqgenError

if TYPE_CHECKING:
    from seqgen.api import Loaded
    from seqgen.cli.stages import Interrupts
    from seqgen.session.scene import Stage
    from seqgen.session.session import Session

WELCOME = "What you type is answered. /help lists the commands, Ctrl-C stops an answer, Ctrl-D leaves."


@click.command(short_help="Play with a model, line by line.")
@checkpoint_argument
@click.option(
    "--random-seed",
    metavar="N",
    type=click.IntRange(0),
    help="Of the first answer. Default: a new one each time, printed.",
)
@click.option("--no-history", is_flag=True, help="Neither read nor remember what was typed in earlier sessions.")
@click.option("--device", metavar="DEVICE", default="auto", help="auto, cpu, cuda or mps. Default auto.")
@common_options
def command(checkpoint: str, random_seed: int | None, no_history: bool, device: str) -> int:
    """Play with a model, line by line: what you type is a seed, or a message, and the answer streams.

    Lines that begin with a known command are commands; /help lists them. Ctrl-C stops an answer, Ctrl-D leaves. Standard input
    that is no terminal is a script of such lines: answers go to standard output, words to standard error.

    \b
        seqgen repl python
        printf 'G4\\n/save piece.mid\\n' | seqgen repl bach
        seqgen repl bach < session.txt
    """
    from seqgen.api import load
    from seqgen.cli.stages import Interrupts, Pipe, Terminal
    from seqgen.generation import new_random_seed
    from seqgen.session.session import Session

    interrupts, is_typed = Interrupts(), sys.stdin.isatty()
    colour = not console().no_color
    stage: Stage = Terminal(interrupts, colour) if sys.stdout.isatty() else Pipe(interrupts)
    seed = new_random_seed() if random_seed is None else random_seed

    def open_model(name: str) -> Loaded:
        return load(name, device)

    session = Session(open_model, checkpoint, stage, seed)
    if is_typed and sys.stdout.isatty():
        from seqgen.cli.prompting import Prompt

        return _talk(session, interrupts, Prompt(session, remembers=not no_history, colour=colour).read)
    return _run(session, interrupts)


def _talk(session: Session, interrupts: Interrupts, read: Callable[[], str]) -> int:
    """Hears what is typed, until the person leaves."""
    say(WELCOME, dim=True)
    with interrupts.listening():
        while not session.is_over:
            try:
                line = read()
            except KeyboardInterrupt:  # it takes back what was typed
                continue
            except EOFError:
                break
            _hear(session, interrupts, line)
    return 0


def _run(session: Session, interrupts: Interrupts) -> int:
    """Hears a script to its end, whatever of it cannot be done; the exit code is that of the first such line."""
    code = 0
    for number, data in enumerate(sys.stdin.buffer, 1):
        try:
            line = data.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            found = DataError(
                f"not utf-8 at byte {error.start} of the line", where=f"line {number}", hint="Convert it to UTF-8."
            )
            complain(found)
            code = code or found.exit_code
            continue
        if line.strip():
            say(f"> {line}", dim=True)
        with interrupts.listening():
            found_code = _hear(session, interrupts, line)
        code = code or found_code
        if interrupts.heard:
            raise KeyboardInterrupt
        if session.is_over:
            break
    return code


def _hear(session: Session, interrupts: Interrupts, line: str) -> int:
    """Does what a line says; the exit code of the error, if it cannot be done."""
    from seqgen.session.commands import hear

    try:
        with interrupts.working():
            hear(session, line)
    except SeqgenError as error:
        complain(error)
        return error.exit_code
    except KeyboardInterrupt:
        say("interrupted", fg="yellow")
    except BrokenPipeError:
        raise
    except OSError as error:
        complain(DataError(error.strerror or str(error), where=str(error.filename or "the output")))
        return DataError.exit_code
    return 0
