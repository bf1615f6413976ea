"""The program: finds the verb, runs it, and turns every error into a message and an exit code."""

from __future__ import annotations

import time

STARTED = time.monotonic()
"""When the user's command began, as near as can be: `--time` counts from here."""

import os  # noqa: E402

# Threads that wait for each other spin. Where another program wants the same cores, libgomp's long default spin makes a
# training ten times slower; a short one costs nothing on a quiet machine. It must be set before torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import contextlib  # noqa: E402
import importlib  # noqa: E402
import sys  # noqa: E402
from typing import Any, NoReturn  # noqa: E402

import click  # noqa: E402

from seqgen import __version__  # noqa: E402
from seqgen.cli.common import escape  # noqa: E402
from seqgen.errors import SeqgenError  # noqa: E402

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
    sys.exit(_run())


def _run() -> int:
    debug = "--debug" in sys.argv
    try:
        color = False if os.environ.get("NO_COLOR") else None
        code = program.main(standalone_mode=False, color=color)  # what a verb or its Exit says, else None
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SeqgenError as error:
        if debug:
            raise
        click.secho("error: ", fg="red", bold=True, err=True, nl=False)
        click.echo(escape(str(error)), err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return 130
    except OSError as error:
        if debug:
            raise
        click.secho("error: ", fg="red", bold=True, err=True, nl=False)
        click.echo(escape(f"{error.filename or 'the output'}: {error.strerror or error}"), err=True)
        return 1
    except Exception as error:
        if debug:
            raise
        click.secho("internal error: ", fg="red", bold=True, err=True, nl=False)
        click.echo(
            f"{escape(f'{type(error).__name__}: {error}')}\n"
            "This is a bug in seqgen. Run it again with --debug and report what it prints.",
            err=True,
        )
        return 1
