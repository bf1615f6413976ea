"""Options and habits that the verbs share."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from seqgen.errors import DataError, SeqgenError, UsageError
from seqgen.outputs import check_output
from seqgen.visible import escaped_in_json, one_line, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from seqgen.api import Loaded

Command = TypeVar("Command", bound=Callable[..., Any])


def common_options(command: Command) -> Command:
    """`-q` and `--debug`, which every verb has."""
    quiet = click.option(
        "-q",
        "--quiet",
        is_flag=True,
        help="Say nothing but results and errors.",
        expose_value=False,
        callback=_remember,
    )
    debug = click.option("--debug", is_flag=True, help="Show the traceback of an error.", expose_value=False)
    return quiet(debug(command))


def json_option(command: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print results as JSON, one object a line.")(command)


def columns_option(command: Command) -> Command:
    """`--columns`: what of a table is message and reply, as a setting of a corpus."""
    return click.option(
        "--columns",
        metavar="MESSAGE,REPLY",
        callback=lambda context, parameter, value: None if value is None else tuple(map(str.strip, value.split(","))),
        help="Replies: the two columns of a table, by name or number. Default: those called message and reply and the "
        "like, or the only two.",
    )(command)


def pair_options(command: Command) -> Command:
    """`--columns`, and `--me`: which letters are replies, likewise."""
    mine = click.option(
        "--me",
        metavar="ADDRESS",
        multiple=True,
        callback=_digests,
        help="Replies from mail: learn only what was written from this address. Can be repeated.",
    )
    return columns_option(mine(command))


def adapt_option(command: Command) -> Command:
    """`--adapt`: a text that the model learns from before it writes."""
    return click.option(
        "--adapt",
        metavar="FILE",
        help="First learn from this file, of the kind that the model was trained on, so as to write like it. The checkpoint "
        "stays as it is.",
    )(command)


def adapt_to(model: Loaded, file: str | None) -> None:
    """Lets a model learn from what `--adapt` names, and says what came of it.

    Raises:
        DataError: there is nothing in it that the model can learn from.
    """
    if file is None:
        return
    found = model.adapt(file, announce=lambda words: say(words, dim=True))
    say(
        f"learned from {file}: {found.characters:,} {found.unit.counted}s, passes {found.passes}; {found.unit.name}: "
        f"{found.before:.3f} before, {found.while_reading:.3f} as it was first read, {found.after:.3f} after",
        dim=True,
    )


def checkpoint_argument(command: Command) -> Command:
    """CHECKPOINT, completed from `./checkpoints` and from what came with seqgen."""
    return click.argument("checkpoint", metavar="CHECKPOINT", shell_complete=_complete_checkpoint)(command)


def only_given(**options: Any) -> dict[str, Any]:
    """The options that the user gave; for the others the defaults of the settings hold."""
    return {name: value for name, value in options.items() if value is not None}


def say(message: str, **style: Any) -> None:
    """Words for people on a line of stderr, unless `--quiet`."""
    if not is_quiet():
        click.secho(one_line(message), err=True, **style)


def tell(message: str) -> None:
    """A finding that was asked for, beside a result on stdout: on stderr, also with `--quiet`."""
    click.echo(one_line(message), err=True)


def draw(picture: str) -> None:
    """A picture that seqgen made, with its own colours: on stderr, unless `--quiet`."""
    if not is_quiet():
        click.echo(picture, err=True)


def complain(error: SeqgenError) -> None:
    """What is wrong on a line of stderr, and what to do about it on the next, whatever names and values they quote."""
    click.secho("error: ", fg="red", bold=True, err=True, nl=False)
    what = f"{error.where}: {error.what}" if error.where else error.what
    for line in (what, error.hint):
        if line:
            click.echo(one_line(line), err=True)


def is_quiet() -> bool:
    """Whether the user wants no words."""
    context = click.get_current_context(silent=True)
    return bool(context and context.find_root().meta.get("quiet"))


def print_json(record: Mapping[str, Any]) -> None:
    """One object on a line of stdout."""
    click.echo(json_text(record))


def json_text(value: Any) -> str:
    """JSON in which nothing drives a terminal: such characters are numbers, which a program reads as what they were."""
    return escaped_in_json(json.dumps(value, ensure_ascii=False))


def console(stderr: bool = False) -> Console:
    """A rich console for tables and live lines."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def shown(text: str) -> str:
    """Text as it may go to stdout: on a terminal control characters are shown, so that they cannot drive it; a program gets it as
    it is."""
    return visible(text) if sys.stdout.isatty() else text


def put(text: str) -> None:
    """A line of a result to stdout, on a terminal surely one."""
    click.echo(one_line(text) if sys.stdout.isatty() else text)


def literal(text: str) -> Text:
    """Text as it may go into a table: what looks like rich's markup is none."""
    from rich.text import Text

    return Text(shown(text))


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """A Ctrl-C in here is heard when it is over, so that nothing is written by half."""
    heard: list[int] = []
    try:
        before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    except ValueError:  # not in the main thread, which alone is interrupted
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt


def write(text: str, at_once: bool = True) -> None:
    """A piece of a result to stdout, at once or when there are many of them."""
    sys.stdout.write(shown(text))
    if at_once:
        sys.stdout.flush()


def check_picture(path: Path, force: bool) -> None:
    """Refuses what cannot be a picture, or would overwrite a file, before any work is done.

    Raises:
        UsageError: as `check_output`, or the name does not end in .png.
    """
    check_output(path, force)
    if path.suffix.lower() != ".png":
        raise UsageError("pictures are PNG files", where=str(path), hint="Let its name end in .png.")


def write_picture(path: Path, draw: Callable[[], None]) -> None:
    """Draws a picture and says where it is.

    Raises:
        DataError: it cannot be written.
    """
    try:
        draw()
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}", where=str(path)) from error
    say(f"picture: {path}")


def _remember(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().meta["quiet"] = True


def _digests(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...] | None:
    """What stands for addresses in settings; None where none is given."""
    if not value:
        return None
    from seqgen.mail.threads import digest_of

    return tuple(map(digest_of, value))


def _complete_checkpoint(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from seqgen.checkpoint import checkpoint_folders

    names = (name for name in checkpoint_folders() if name == one_line(name))  # others would drive the shell's terminal
    return sorted(name for name in names if name.startswith(incomplete))
