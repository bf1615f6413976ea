"""Options and habits that the verbs share."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from seqgen.errors import DataError, UsageError
from seqgen.outputs import check_output

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from seqgen.api import Loaded

Command = TypeVar("Command", bound=Callable[..., Any])

_CONTROLS = {code: f"\\x{code:02x}" for code in [*range(32), 127, *range(0x80, 0xA0)] if chr(code) not in "\n\t"}
_BYTES = {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(0x80, 0x100)}
"""How Python holds the bytes of a file's name that are no text."""
_NO_TEXT = re.compile("[\ud800-\udfff]")


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
    """Words for people, on stderr, unless `--quiet`."""
    context = click.get_current_context(silent=True)
    if not (context and context.find_root().meta.get("quiet")):
        click.secho(escape(message), err=True, **style)


def tell(message: str) -> None:
    """A finding that was asked for, beside a result on stdout: on stderr, also with `--quiet`."""
    click.echo(escape(message), err=True)


def is_quiet() -> bool:
    """Whether the user wants no words."""
    return bool(click.get_current_context().find_root().meta.get("quiet"))


def print_json(record: Mapping[str, Any]) -> None:
    """One object on a line of stdout. What of a file's name is no text (os.fsdecode) is written so that it can be told again."""
    line = json.dumps(record, ensure_ascii=False)
    click.echo(_NO_TEXT.sub(lambda match: f"\\u{ord(match[0]):04x}", line))


def console(stderr: bool = False) -> Console:
    """A rich console for tables and live lines."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def escape(text: str) -> str:
    """Text as it may go to stderr: control characters are shown, so that they cannot drive a terminal."""
    return text.translate(_CONTROLS | _BYTES)


def on_one_line(name: str) -> str:
    """A name as it may stand in a line of others: names of files may hold line feeds, and bytes that are no text."""
    return escape(name).replace("\n", "\\n").replace("\t", "\\t")


def shown(text: str) -> str:
    """Text as it may go to stdout: escaped on a terminal, and as it is for a program."""
    return escape(text) if sys.stdout.isatty() else text


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


def write(text: str) -> None:
    """A piece of a result to stdout, at once."""
    sys.stdout.write(shown(text))
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

    return sorted(name for name in checkpoint_folders() if name.startswith(incomplete))
