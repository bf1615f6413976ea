"""`seqgen corpus stats`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seqgen.cli.common import common_options, console, json_option, literal, print_json, say, shown

if TYPE_CHECKING:
    from seqgen.corpus import Corpus
    from seqgen.survey import Summary

SHOWN_NAMES = 5
SHOWN_CHARACTERS = 40


@click.command(short_help="Say what a corpus holds and what is left out.")
@click.argument("corpora", metavar="CORPUS...", nargs=-1, required=True)
@click.option("--kind", metavar="KIND", help="text or code. Default: guessed.")
@click.option("--documents", metavar="HOW", help="file, line, blank-line, or a separator. Default: guessed.")
@click.option("--column", metavar="NAME", help="The column of a table (CSV, TSV, JSONL) to read.")
@click.option("--encoding", metavar="NAME", help="The text encoding of the files. Default utf-8.")
@click.option("--tokenizer", metavar="NAME", help="What a symbol is. Default: chosen for the corpus.")
@click.option("--picture", metavar="FILE.png", type=click.Path(path_type=Path), help="Also draw it.")
@json_option
@common_options
def stats(
    corpora: tuple[str, ...], picture: Path | None, tokenizer: str | None, as_json: bool, **options: str | None
) -> None:
    """Say what a corpus holds as seqgen train would read it: sizes, documents, alphabet, repetition, and what is left
    out and why.
    """
    from seqgen.corpus import prepare
    from seqgen.survey import summarize

    asked: dict[str, Any] = {
        "sources": corpora,
        **{name: value for name, value in options.items() if value is not None},
    }
    corpus = prepare({"corpus": asked, "tokenizer": {"kind": tokenizer} if tokenizer else {}})
    summary = summarize(corpus)
    if picture:
        _draw(picture, corpora, corpus, summary)
    if as_json:
        print_json(_plain(corpus, summary))
    else:
        _show(corpus, summary)


def _plain(corpus: Corpus, summary: Summary) -> dict[str, Any]:
    return {
        "kind": corpus.settings.kind,
        "tokenizer": corpus.tokenizer_settings.kind,
        "documents_are": corpus.settings.documents,
        "documents": corpus.documents,
        "characters": corpus.characters,
        "split_by": corpus.split_by,
        "splits": {
            name: {"documents": len(split.starts), "characters": split.characters, "symbols": len(split)}
            for name, split in corpus.splits.items()
        },
        "document_characters": {
            "mean": float(summary.lengths.mean()),
            "shortest": int(summary.lengths.min()),
            "longest": int(summary.lengths.max()),
        },
        "looked_at": summary.looked_at,
        "alphabet": "".join(character for character, _ in summary.alphabet),
        "repetition": vars(summary.repetition),
        "left_out": corpus.left_out,
        "notes": list(corpus.notes),
    }


def _show(corpus: Corpus, summary: Summary) -> None:
    from rich.table import Table

    from seqgen.sources.tables import count_left_out

    tokens = corpus.tokenizer_settings.kind
    title = f"{corpus.settings.kind}; a document is a {corpus.settings.documents}"
    table = Table(title=literal(title), title_justify="left")
    table.add_column("")
    for name in ("documents", "characters", f"symbols ({tokens})"):
        table.add_column(name, justify="right")
    for name, split in corpus.splits.items():
        table.add_row(name, f"{len(split.starts):,}", f"{split.characters:,}", f"{len(split):,}")
    console().print(table)
    lengths, repeated = summary.lengths, summary.repetition
    click.echo(f"split {corpus.settings.split} by {corpus.split_by}")
    if len(lengths) > 1:
        spread = f"shortest {lengths.min():,}, mean {lengths.mean():,.1f}, longest {lengths.max():,} characters"
        click.echo(f"documents: {spread}")
    common = " ".join(repr(character)[1:-1] for character, _ in summary.alphabet[:SHOWN_CHARACTERS])
    where = "" if summary.looked_at >= corpus.characters else f" in {summary.looked_at:,} characters looked at"
    click.echo(f"alphabet: {len(summary.alphabet):,} characters{where}, the most frequent: {common}")
    click.echo(
        f"repetition{where}: {repeated.characters:.1%} stands in stretches of 50 characters that occurred before; "
        f"{repeated.lines:.1%} of the lines occurred before"
    )
    for note in corpus.notes:
        say(note)
    for reason, names in corpus.left_out.items():
        count = count_left_out(names)
        more = f" and {count - SHOWN_NAMES:,} more" if len(names) > SHOWN_NAMES else ""
        click.echo(shown(f"left out, {reason}: {count:,} ({', '.join(names[:SHOWN_NAMES])}{more})"))


def _draw(picture: Path, corpora: tuple[str, ...], corpus: Corpus, summary: Summary) -> None:
    from seqgen.plots import draw_corpus
    from seqgen.sources.tables import count_left_out

    try:
        draw_corpus(
            picture,
            title=", ".join(corpora),
            lengths=summary.lengths,
            alphabet=summary.alphabet,
            splits={name: split.characters for name, split in corpus.splits.items()},
            left_out={reason: count_left_out(names) for reason, names in corpus.left_out.items()},
        )
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--picture {picture} cannot be written: {error}") from error
    say(f"picture: {picture}")
