"""`seqgen corpus`."""

from __future__ import annotations

from typing import Any

import click

from seqgen.cli.common import common_options, console, json_option, print_json

SHOWN_NAMES = 5
SHOWN_CHARACTERS = 40


@click.group("corpus", short_help="Look at corpora: list, show, stats, clean.")
def command() -> None:
    """Look at corpora: the named ones, your own, and the cache of prepared ones."""


@command.command("list", short_help="List the corpora that have a name.")
@json_option
@common_options
def list_cards(as_json: bool) -> None:
    """List the corpora that have a name, for seqgen train NAME."""
    from seqgen.cards import card_names, load_card

    for card in map(load_card, card_names()):
        if as_json:
            print_json({"name": card.name, "kind": card.kind, "title": card.title, "licence": card.licence})
        else:
            click.echo(f"{card.name:10} {card.kind:6} {card.title} ({card.licence})")


@command.command(short_help="Show a corpus card.")
@click.argument("name")
@json_option
@common_options
def show(name: str, as_json: bool) -> None:
    """Show a corpus card: what it is, where it is read from, its licence and split."""
    from seqgen.cards import load_card

    card = load_card(name)
    if as_json:
        print_json(vars(card))
        return
    for field, value in vars(card).items():
        shown = "; ".join(f"{key} {item}" for key, item in value.items()) if isinstance(value, dict) else value
        click.echo(f"{field:10} {shown}")


@command.command(short_help="Say what a corpus holds and what is left out.")
@click.argument("corpora", metavar="CORPUS...", nargs=-1, required=True)
@click.option("--kind", metavar="KIND", help="text or code. Default: guessed.")
@click.option("--documents", metavar="HOW", help="file, line, blank-line, or a separator. Default: guessed.")
@click.option("--encoding", metavar="NAME", help="The text encoding of the files. Default utf-8.")
@json_option
@common_options
def stats(corpora: tuple[str, ...], as_json: bool, **options: str | None) -> None:
    """Say what a corpus holds as seqgen train would read it: sizes, documents, alphabet, and what is left out and why."""
    from seqgen.corpus import prepare, summarize

    asked: dict[str, Any] = {
        "sources": corpora,
        **{name: value for name, value in options.items() if value is not None},
    }
    corpus = prepare({"corpus": asked})
    summary = summarize(corpus)
    if as_json:
        print_json({**summary, "left_out": corpus.left_out})
        return

    from rich.table import Table

    title = f"{summary['kind']}, a document is a {summary['documents_are']}"
    columns = ("split", "documents", "characters", "symbols", "6-gram, bits per character")
    table = Table(*columns, title=title, title_justify="left")
    for name, part in summary["splits"].items():
        bits = part["baselines"].get("6-gram")
        table.add_row(
            name,
            f"{part['documents']:,}",
            f"{part['characters']:,}",
            f"{part['symbols']:,}",
            f"{bits:.3f}" if bits else "",
        )
    console().print(table)
    alphabet = summary["alphabet"]
    common = " ".join(repr(character)[1:-1] for character in alphabet[:SHOWN_CHARACTERS])
    click.echo(f"split by {corpus.split_by}; {len(alphabet)} characters with an id, the most frequent: {common}")
    for reason, names in corpus.left_out.items():
        more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        click.echo(f"left out, {reason}: {len(names)} ({', '.join(names[:SHOWN_NAMES])}{more})")


@command.command(short_help="Empty the cache of prepared corpora.")
@common_options
def clean() -> None:
    """Empty the cache of prepared corpora. They are prepared again when they are needed."""
    from seqgen.corpus import cache_folder, clean_cache

    count, size = clean_cache()
    click.echo(f"{count} prepared corpora removed, {size / 1e6:.1f} MB ({cache_folder()})")
