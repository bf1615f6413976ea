"""`seqgen reply`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seqgen.cli.common import (
    adapt_option,
    adapt_to,
    check_picture,
    checkpoint_argument,
    common_options,
    is_quiet,
    json_option,
    only_given,
    print_json,
    say,
    write,
    write_picture,
)

if TYPE_CHECKING:
    from seqgen.api import Loaded
    from seqgen.replying import Near, Reply

MOST_OF_MAIL = 64 << 20
"""Bytes of a message that is read."""


@click.command(short_help="Answer a message.")
@checkpoint_argument
@click.argument("message", metavar="[MESSAGE|-]", required=False)
@click.option("--start", metavar="TEXT", default="", help='Complete a reply that begins so: --start "Yes, "')
@click.option("--count", metavar="N", type=click.IntRange(1, 50), help="How many replies. Default 3.")
@click.option(
    "--beam",
    metavar="N",
    type=click.IntRange(1, 64),
    help="How many are followed at once, to choose from. 1: greedy. Default 24.",
)
@click.option(
    "-t",
    "--temperature",
    metavar="T",
    type=float,
    help="Draw each reply by itself instead of choosing from many: below 1 safer, above 1 wilder.",
)
@click.option(
    "-n",
    "--length",
    metavar="N",
    type=click.IntRange(1),
    help="Words of a reply at most, after those of --start. Default: as the model ends it.",
)
@click.option(
    "--random-seed",
    metavar="N",
    type=int,
    help="Of what is drawn; nothing is, where a model looks for the likeliest. Default: with -t a new one each time, else 0.",
)
@click.option(
    "--attention",
    metavar="FILE.png",
    type=click.Path(path_type=Path),
    help="Also draw what of the message each piece of the first reply looked at.",
)
@click.option(
    "--near", metavar="N", type=click.IntRange(1), help="Also show the N nearest messages that it learned from."
)
@adapt_option
@click.option("--force", is_flag=True, help="Overwrite an existing picture.")
@click.option("--device", metavar="DEVICE", default="auto", help="auto, cpu, cuda or mps. Default auto.")
@json_option
@common_options
def command(
    checkpoint: str,
    message: str | None,
    start: str,
    count: int | None,
    beam: int | None,
    temperature: float | None,
    length: int | None,
    random_seed: int | None,
    attention: Path | None,
    near: int | None,
    adapt: str | None,
    force: bool,
    device: str,
    as_json: bool,
) -> None:
    """Answer a message with a model of replies: a few that differ, each with its score, the first that fits best.

    The score is the mean log-probability of its pieces: 0 would be certain. With - the message, or a whole mail, is read from
    standard input.

    \b
        seqgen reply replies "Are you free on Thursday at 3?"
        seqgen reply replies --start "Yes, " "Are you free on Thursday at 3?"
        seqgen reply replies --adapt my-answers.csv "Are you free on Thursday at 3?"
        seqgen reply mine - < mail.eml
    """
    if beam is not None and temperature is not None:
        raise click.UsageError("--beam chooses from many replies and -t draws each by itself. Give only one of them.")
    if attention:
        check_picture(attention, force)

    from seqgen.api import load
    from seqgen.decoding.rules import RuleSettings
    from seqgen.generation import new_random_seed
    from seqgen.replying import ReplySettings

    rules = None if temperature is None else RuleSettings(temperature=temperature)
    if random_seed is None:
        random_seed = 0 if rules is None else new_random_seed()
    given = only_given(count=count, beam=beam)
    settings = ReplySettings(**given, start=start, rules=rules, words=length, random_seed=random_seed)
    model = load(checkpoint, device)
    model.replier()  # refuses a model of another kind before anything is read
    text = _read(message)
    adapt_to(model, adapt)
    replies = model.reply(text, settings)
    if rules is not None:
        say(f"random seed {random_seed}", dim=True)
    if len(replies) < settings.count:
        say(f"{len(replies)} of {settings.count} replies: no more of those that were followed differ", dim=True)
    found = model.nearest_messages(text, near) if near else []
    if as_json:
        _print_json(text, replies, found, near is not None, adapt)
    else:
        for reply in replies:
            write(f"{reply.text}\n" if is_quiet() else f"{reply.score:6.2f}  {reply.text}\n")
        for one in found:
            write(f"{one.similarity:6.2f}  {one.message}  ->  {one.reply}\n")
    if attention and replies:
        _draw(attention, model, text, replies[0])


def _read(message: str | None) -> str:
    """The message as it was typed, or what standard input holds: a message or a whole mail.

    Raises:
        DataError: it cannot be read.
    """
    if message not in (None, "-"):
        assert message is not None
        if _is_file(message):
            say(f"This answers the words {message!r}. To answer what is in that file: - < {message}")
        return message
    from seqgen.inputs import read_typed
    from seqgen.mail.typed import read_message

    return read_message(read_typed(MOST_OF_MAIL, "Give the message alone, without what is attached."))


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a zero byte
        return False


def _print_json(message: str, replies: list[Reply], found: list[Near], asked: bool, adapt: str | None) -> None:
    more: dict[str, Any] = {"near": [one._asdict() for one in found]} if asked else {}
    if adapt is not None:
        more["adapt"] = adapt
    print_json({"message": message, "replies": [reply._asdict() for reply in replies], **more})


def _draw(path: Path, model: Loaded, message: str, reply: Reply) -> None:
    from seqgen.plots import draw_attention

    look = model.replier().look(message, reply.text)
    write_picture(path, functools.partial(draw_attention, path, look.message, look.reply, look.weights))
