"""The program: finds the verb, runs it, and turns every error into a message and an exit code."""

from __future__ import annotations

import time

STARTED = time.monotonic()
"""When the user's command began, as near as can be: `--time` counts from here."""

import gc  # noqa: E402
import os  # noqa: E402

# What is imported stays. To look through all of it for garbage again and again takes a tenth of the time until a verb begins;
# what is young is looked through as ever.
gc.set_threshold(*gc.get_threshold()[:2], 1000)

# Threads that wait for each other spin. Where another program wants the same cores, libgomp's long default spin makes a
# training ten times slower; a short one costs nothing on a quiet machine. It must be set before torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import contextlib  # noqa: E402
import importlib  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402
import warnings  # noqa: E402
from pathlib import Path  # noqa: E402
from types import FrameType  # noqa: E402
from typing import Any, NoReturn  # noqa: E402

import click  # noqa: E402

from seqgen import __version__  # noqa: E402
from seqgen.cli.common import complain, tell  # noqa: E402
from seqgen.errors import SeqgenError  # noqa: E402
from seqgen.visible import one_line, visible  # noqa: E402

VERBS = ("train", "sample", "repl", "reply", "eval", "score", "corpus", "list", "info", "completion")
_MODULES = {"eval": "evaluate", "list": "listing"}


class LazyGroup(click.Group):
    """Imports a verb when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order in which one uses them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's command, or None."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"seqgen.cli.{_MODULES.get(cmd_name, cmd_name)}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the verb; a reader that has gone away (`| head`) ends it quietly, where click would exit with 1."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return None
        return result


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="seqgen")
def program() -> None:
    """Sequence models for a corpus of your own.

    Train on a text or a folder of code, then sample what was learned:

    \b
        seqgen train my-novel.txt --time 3m
        seqgen sample my-novel --seed "It was "
    """


def main() -> NoReturn:
    """Runs the command line and exits."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    warnings.showwarning = _warn
    tidy_when_ended()
    sys.exit(_run())


def tidy_when_ended() -> None:
    """Lets a process that is told to end, or whose terminal is closed, remove its temporary files, in which private text may lie.
    What others ignore, as `nohup` does, stays ignored, and whoever has work to save hears it first."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


def _run() -> int:
    debug = "--debug" in sys.argv
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed before the program began; then nobody wants to hear it
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - until the process ends
    try:
        color = False if os.environ.get("NO_COLOR") else None
        code = program.main(standalone_mode=False, color=color)  # what a verb or its Exit says, else None
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        _refuse(error)
        return error.exit_code
    except SeqgenError as error:
        _trace(debug)
        complain(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        tell("interrupted")
        return 130
    except OSError as error:
        _trace(debug)
        complain(SeqgenError(error.strerror or str(error), where=str(error.filename or "the output")))
        return 1
    except Exception as error:
        _trace(debug)
        click.secho("internal error: ", fg="red", bold=True, err=True, nl=False)
        tell(f"{type(error).__name__}, raised in {_place_of(error)}")
        tell("This is a bug in seqgen. Report what it prints with --debug, which can quote what it was reading.")
        return 1


def _refuse(error: click.ClickException) -> None:
    """What click says of a wrong command, with the words of the user, which it quotes in its message, on one line."""
    vars(error)["message"] = one_line(error.message or "")
    error.show()


def _trace(wanted: bool) -> None:
    """The traceback of the error that is being handled, with `--debug`."""
    if wanted:
        click.echo(visible(traceback.format_exc()), err=True, nl=False)


def _place_of(error: Exception) -> str:
    """The file and line of seqgen nearest to where an error was raised. What a library says of it may quote a text, so it is told
    only where the user asks for it."""
    root = Path(__file__).parents[1]
    places = [(Path(frame.f_code.co_filename), line) for frame, line in traceback.walk_tb(error.__traceback__)]
    ours = [(file.relative_to(root.parent), line) for file, line in places if file.is_relative_to(root)]
    return f"{ours[-1][0].as_posix()}, line {ours[-1][1]}"


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """What a library warns of, on a line; where a terminal shows it, it must not obey it."""
    tell(f"warning: {message} ({category.__name__} in {filename}, line {lineno})")
