"""`seqgen score`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from seqgen.cli.common import (
    checkpoint_argument,
    common_options,
    json_option,
    json_text,
    say,
    write,
)
from seqgen.errors import DataError
from seqgen.inputs import read_named, read_typed
from seqgen.outputs import check_output, write_file
from seqgen.visible import escaped

if TYPE_CHECKING:
    from rich.console import Console

    from seqgen.surprises import Next, Score, Span

MOST = 4 << 20
"""Bytes of a text that is read."""
TOO_LONG = "That is too much to look at. Measure it with seqgen eval."
LISTED = 5
"""Symbols that are listed on a terminal where `--top` does not say how many."""
HEAD = 40
"""Characters of a text that name it."""
SLOW = 200_000
"""Symbols of a text for which one has to wait."""


@click.command(short_help="Show how surprising each symbol of a text is.")
@checkpoint_argument
@click.argument("text", metavar="[TEXT|-]", required=False)
@click.option(
    "--file",
    "file",
    metavar="FILE",
    help="Read the text from a file; for music a MIDI file or score. One final newline of a text is dropped.",
)
@click.option("--message", metavar="TEXT", help="Replies: the message that the text answers.")
@click.option(
    "--top",
    metavar="N",
    type=click.IntRange(0),
    help="List the N most surprising symbols and words, and what was expected there. Default: 5 on a terminal.",
)
@click.option(
    "--next",
    "following",
    metavar="N",
    type=click.IntRange(1, 1000),
    help="Also tell the N likeliest symbols after the text, and the words that they become.",
)
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a web page on which each symbol tells its figures; it needs no network.",
)
@click.option("--force", is_flag=True, help="Overwrite an existing page.")
@click.option(
    "--recall/--no-recall",
    default=True,
    help="Let the model recall what stood in the text before, if it has learned to. Default: --recall.",
)
@click.option("--device", metavar="DEVICE", default="auto", help="auto, cpu, cuda or mps. Default auto.")
@json_option
@common_options
def command(
    checkpoint: str,
    text: str | None,
    file: str | None,
    message: str | None,
    top: int | None,
    following: int | None,
    html: Path | None,
    force: bool,
    recall: bool,
    device: str,
    as_json: bool,
) -> None:
    """Look inside: how surprising each symbol of a text is to a model, in bits, and what it had expected instead.

    A symbol of n bits had a chance of 1 in 2 to the n. A terminal shows the text in colours, or with digits under it where it
    has none. Into a pipe goes a line for each symbol, or for the N of --top, with tabs between: bits, line:column, rank,
    symbol, the likeliest symbol there and its probability; those of --next begin with "next". Of music the symbols are its
    notes and what says when they sound.

    --json prints one object: text, symbols (each with text, bits, probability, rank, line, column, ids, expected), top, words,
    next; and of the whole bits, bits_per_character, perplexity, held_out.

    \b
        seqgen score diary "It was a dark and stromy night" --next 5
        seqgen score diary --file draft.txt --html draft.html
        seqgen score replies "Yes, gladly." --message "Are you free on Thursday?"
        seqgen score bach --file chorale.mid --top 10
    """
    if html:
        check_output(html, force)
    data, name = _read(text, file)

    from seqgen.api import load

    model = load(checkpoint, device)
    read = model.read_seed(text, data, name)
    if not read and not following:
        raise DataError("there is nothing to score", where=name or None, hint="Give a text, or ask for --next alone.")
    if len(read) > SLOW:
        say(f"reading {len(read):,} characters", dim=True)
    found = model.score(read, message, recall=recall)
    if model.masked:
        say("numbers, links and addresses are read as marks, as the model has learned them", dim=True)
    if found.is_text and (unknown := model.unknown(found.text)):
        some = ", ".join(repr(part) for part in unknown[:10]) + (", ..." if len(unknown) > 10 else "")
        say(f"warning: the model has not learned these parts of the text, they are spelled in bytes: {some}")
    after = model.next(read, following, message, recall=recall) if following else []
    if as_json:
        _print_json(found, after, LISTED if top is None else top)
    else:
        _print(found, after, top, shown=html is None)
    if html:
        _write_page(html, found, after, message, f"{name or _head(read)}, as {model.checkpoint.name} reads it")


def _read(text: str | None, file: str | None) -> tuple[bytes | None, str]:
    """The bytes of a file or of standard input, and its name; None where the text was typed.

    Raises:
        UsageError: there is no text, or there are two.
        DataError: it cannot be read, or is too long.
    """
    if text is not None and file is not None:
        raise click.UsageError("TEXT and --file contradict each other. Give only one of them.")
    if text not in (None, "-"):
        return None, ""
    if text is None and file is None and sys.stdin.isatty():
        raise click.UsageError("There is no text. Give one, or --file FILE, or - for standard input.")
    try:
        if file in (None, "-"):
            return read_typed(MOST, TOO_LONG), "standard input"
        assert file is not None
        return read_named(file, MOST, TOO_LONG), file
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot be read: {reason}", where=file) from error


def _head(text: str) -> str:
    """The beginning of a text, as its name."""
    words = " ".join(text.split())
    return f"\u201c{words if len(words) <= HEAD else words[:HEAD] + chr(0x2026)}\u201d"


def _print(score: Score, following: Sequence[Next], top: int | None, shown: bool) -> None:
    """For people on a terminal, for programs in a pipe.

    Args:
        score: of the text; it may be empty.
        following: what could come next.
        top: how many symbols are listed.
        shown: whether the text itself is, which a page shows already.
    """
    from seqgen.cli.heat import screen as find_screen

    screen = find_screen()
    if screen.is_terminal:
        _show(screen, score, following, LISTED if top is None else top, shown)
        return
    if top is not None:
        lines = [_line(score, span) for span in score.most_surprising(top)]
        write("".join(lines))
    elif shown:
        for span in score.spans():
            write(_line(score, span), at_once=False)
    if following:
        for one in following:
            line = f"{one.probability:.6f}\t{escaped(one.text)}\t{escaped(one.word)}\t{one.word_probability:.6f}"
            write(f"next\t{line}\n", at_once=False)
    if score.nats:
        _say_summary(score)


def _show(screen: Console, score: Score, following: Sequence[Next], top: int, shown: bool) -> None:
    from seqgen.cli.heat import show_legend, show_lists, show_next, show_text
    from seqgen.score_page import summary

    if score.nats:
        if shown:
            show_text(screen, score)
            screen.print()
            show_legend(screen)
        for line in summary(score):
            screen.print(line, markup=False)
        if top:
            screen.print()
            show_lists(screen, score, top)
    if following:
        if score.nats:
            screen.print()
        show_next(screen, score, following)


def _say_summary(score: Score) -> None:
    from seqgen.score_page import summary

    for line in summary(score):
        say(line)


def _line(score: Score, span: Span) -> str:
    """A symbol as a line for programs."""
    (likeliest, *_) = score.expected(span.first)
    fields = (
        f"{span.bits:.3f}",
        f"{span.line}:{span.column}",
        str(score.ranks[span.first]),
        escaped(span.text),
        escaped(likeliest.text),
        f"{likeliest.probability:.4f}",
    )
    return "\t".join(fields) + "\n"


def _print_json(score: Score, following: Sequence[Next], top: int) -> None:
    """One object on one line. The symbols of a long text are written one by one: together they would take gigabytes."""
    write(f'{{"text": {json_text(score.text)}, "symbols": [', at_once=False)
    for number, span in enumerate(score.spans()):
        write(f"{', ' if number else ''}{json_text(score.span_to_dict(span))}", at_once=False)
    words = [
        {"text": span.text, "bits": span.bits, score.line_name: span.line, "column": span.column}
        for span in (score.most_surprising_words(top) if score.has_words else [])
    ]
    rest = {
        **score.to_dict(),
        "top": [score.span_to_dict(span) for span in score.most_surprising(top)],
        "words": words,
        "next": [one._asdict() for one in following],
    }
    write(f"], {json_text(rest)[1:]}\n")


def _write_page(path: Path, score: Score, following: Sequence[Next], message: str | None, title: str) -> None:
    from seqgen.score_page import SHOWN, left_out, page

    write_file(path, page(score, title, following, message).encode())
    left = left_out(score)
    say(f"page: {path}" + (f", with the first {SHOWN:,} of {len(score.nats):,} symbols" if left else ""))
