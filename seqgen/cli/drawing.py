"""Options that say how a sample is drawn (by which rules, where it ends, what music keeps to), and the settings they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from seqgen.cli.common import Command
from seqgen.writing import PRECISIONS, UNTIL

if TYPE_CHECKING:
    from seqgen.generation import SampleSettings

OF_RULES = ("top_k", "top_p", "min_p", "repetition_penalty", "no_repeat", "ban", "prefer")
"""Options that are fields of `RuleSettings`, beside the temperature."""
OF_SAMPLE = ("length", "min_length", "until", "stop", "recall", "precision", "bars", "key", "metre", "pitches")
"""Options that are fields of `SampleSettings`."""

Option = Callable[[Any], Any]
"""What `click.option` makes."""


def _temperatures(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, float | None]:
    """A temperature, or two of them: `0.5..1.2`."""
    first, slope, last = value.partition("..")
    if last.startswith("."):  # of three dots nobody knows what is meant
        last = "three dots"
    try:
        return float(first), float(last) if slope else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a number nor two like 0.5..1.2") from None


DRAWING: tuple[Option, ...] = (
    click.option(
        "-n",
        "--length",
        metavar="N",
        type=click.IntRange(0),
        help="Characters or notes to write at most. Default: until a document or a sentence ends.",
    ),
    click.option(
        "--min-length",
        metavar="N",
        type=click.IntRange(0),
        help="Text: characters before which it does not end by itself.",
    ),
    click.option(
        "--until",
        type=click.Choice(UNTIL),
        help="Text: where it ends: with its first line, its first sentence (of code: block), or where the model ends "
        "the document.",
    ),
    click.option("--stop", metavar="TEXT", multiple=True, help="End before this text. Can be repeated."),
    click.option(
        "-t",
        "--temperature",
        metavar="T",
        callback=_temperatures,
        default="0.8",
        show_default=True,
        help="Below 1 safer, above 1 wilder; 0 always takes the likeliest. From 0.5 to 1.2 along a sample of "
        "length -n: 0.5..1.2.",
    ),
    click.option("--top-k", metavar="K", type=int, help="Draw among the K likeliest symbols."),
    click.option(
        "--top-p", metavar="P", type=float, help="Draw among the likeliest symbols that together have probability P."
    ),
    click.option(
        "--min-p", metavar="P", type=float, help="Draw among symbols at least P times as likely as the likeliest."
    ),
    click.option(
        "--repetition-penalty",
        metavar="R",
        type=float,
        help="Divide the logits of the latest 64 symbols by R, above 1 (negative ones: multiply).",
    ),
    click.option("--no-repeat", metavar="N", type=int, help="No run of N symbols comes twice."),
    click.option("--ban", metavar="TEXT", multiple=True, help="Never write this text. Can be repeated."),
    click.option(
        "--prefer",
        metavar="TEXT",
        multiple=True,
        help="Make what begins this text, or goes on with it, four times as likely. Can be repeated.",
    ),
    click.option(
        "--recall/--no-recall",
        default=True,
        help="Use the names and phrases of a long seed again, if the model has learned to recall. Default: --recall.",
    ),
)
PIECE: tuple[Option, ...] = (
    click.option(
        "--bars", metavar="N", type=click.IntRange(1), help="Music: so many bars in all, an upbeat not counted."
    ),
    click.option("--key", metavar="KEY", help='Music: "D minor", one of those learned.'),
    click.option("--metre", metavar="METRE", help="Music: 3/4, one of those learned."),
    click.option("--range", "pitches", metavar="LOW-HIGH", help="Music: no pitch beyond these, such as C3-C6."),
)


def drawing_options(command: Command) -> Command:
    """From `--length` to `--recall`: where a sample ends, and the rules by which each symbol is drawn."""
    return _with(DRAWING, command)


def precision_option(command: Command) -> Command:
    """`--precision`."""
    return click.option(
        "--precision",
        type=click.Choice(PRECISIONS),
        default="auto",
        help="Of the weights: int8 is faster and nearly the same. Default auto: int8 for several samples where the processor "
        "has instructions for it, else float32.",
    )(command)


def piece_options(command: Command) -> Command:
    """From `--bars` to `--range`: what a piece of music keeps to."""
    return _with(PIECE, command)


def sample_settings(options: Mapping[str, Any]) -> SampleSettings:
    """What these options ask for, all of them given by name; others among them are left alone.

    Raises:
        UsageError: values that cannot be meant.
    """
    from seqgen.decoding.rules import RuleSettings
    from seqgen.generation import SampleSettings

    first, last = options["temperature"]
    rules = RuleSettings(temperature=first, final_temperature=last, **{name: options[name] for name in OF_RULES})
    return SampleSettings(rules=rules, **{name: options[name] for name in OF_SAMPLE})


def _with(options: Sequence[Option], command: Command) -> Command:
    """A command with these options, in this order of its help."""
    for option in reversed(options):
        command = option(command)
    return command
