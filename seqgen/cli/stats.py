"""`seqgen corpus stats`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seqgen.cli.common import (
    check_picture,
    common_options,
    console,
    json_option,
    literal,
    only_given,
    pair_options,
    print_json,
    put,
    say,
    write_picture,
)
from seqgen.visible import one_line

if TYPE_CHECKING:
    from seqgen.corpus import Corpus
    from seqgen.survey import Summary

SHOWN_NAMES = 5
SHOWN_CHARACTERS = 40


@click.command(short_help="Say what a corpus holds and what is left out.")
@click.argument("corpora", metavar="CORPUS...", nargs=-1, required=True)
@click.option("--kind", metavar="KIND", help="text, code, music or replies. Default: guessed.")
@click.option("--documents", metavar="HOW", help="file, line, blank-line, or a separator. Default: guessed.")
@click.option("--column", metavar="NAME", help="The column of a table (CSV, TSV, JSONL) to read.")
@pair_options
@click.option("--encoding", metavar="NAME", help="The text encoding of the files. Default utf-8.")
@click.option("--tokenizer", metavar="NAME", help="What a symbol is. Default: chosen for the corpus.")
@click.option("--picture", metavar="FILE.png", type=click.Path(path_type=Path), help="Also draw it.")
@json_option
@common_options
def stats(corpora: tuple[str, ...], picture: Path | None, tokenizer: str | None, as_json: bool, **options: Any) -> None:
    """Say what a corpus holds as seqgen train would read it: sizes, documents, alphabet, repetition, and what is left
    out and why.
    """
    from seqgen.corpus import prepare
    from seqgen.survey import summarize

    asked: dict[str, Any] = {
        "sources": corpora,
        **only_given(**options),
    }
    if picture:
        check_picture(picture, force=True)
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
        f"{corpus.tokenizer.unit.counted}s": corpus.characters,
        "split_by": corpus.split_by,
        "splits": {
            name: {
                "documents": len(split.starts),
                f"{corpus.tokenizer.unit.counted}s": split.characters,
                "symbols": len(split),
            }
            for name, split in corpus.splits.items()
        },
        f"document_{corpus.tokenizer.unit.counted}s": {
            "mean": float(summary.lengths.mean()),
            "shortest": int(summary.lengths.min()),
            "longest": int(summary.lengths.max()),
        },
        "looked_at": summary.looked_at,
        "alphabet": ("" if summary.repetition else " ").join(symbol for symbol, _ in summary.alphabet),
        "repetition": vars(summary.repetition) if summary.repetition else None,
        "left_out": corpus.left_out,
        "remarks": list(corpus.notes),
    }


def _show(corpus: Corpus, summary: Summary) -> None:
    from rich.table import Table

    from seqgen.modalities import MODALITIES
    from seqgen.sources.tables import count_left_out

    tokens = corpus.tokenizer_settings.kind
    modality = MODALITIES[corpus.settings.kind]
    unit = corpus.settings.documents if modality.divide is None else modality.document
    title = f"{corpus.settings.kind}; a document is a {unit}"
    table = Table(title=literal(title), title_justify="left")
    table.add_column("")
    opened, sides = ("documents", 1) if modality.sequences is None else ("pairs", 2)
    for name in (opened, f"{corpus.tokenizer.unit.counted}s", f"symbols ({tokens})"):
        table.add_column(name, justify="right")
    for name, split in corpus.splits.items():
        table.add_row(name, f"{len(split.starts) // sides:,}", f"{split.characters:,}", f"{len(split):,}")
    console().print(table)
    lengths = summary.lengths
    put(f"split {corpus.settings.split} by {corpus.split_by}")
    if corpus.forms.number > 1:
        put(
            f"{corpus.documents:,} {modality.document}s; those for training count once for each key they are learned in"
        )
    if len(lengths) > 1:
        spread = f"shortest {lengths.min():,}, mean {lengths.mean():,.1f}, longest {lengths.max():,}"
        put(f"documents: {spread} {corpus.tokenizer.unit.counted}s")
    _show_content(corpus, summary)
    for note in corpus.notes:
        say(note)
    for reason, names in corpus.left_out.items():
        count = count_left_out(names)
        more = f" and {count - SHOWN_NAMES:,} more, named with --json" if len(names) > SHOWN_NAMES else ""
        named = ", ".join(map(one_line, names[:SHOWN_NAMES]))
        put(f"left out, {one_line(reason)}: {count:,} ({named}{more})")


def _show_content(corpus: Corpus, summary: Summary) -> None:
    counted, repeated = corpus.tokenizer.unit.counted, summary.repetition
    where = "" if summary.looked_at >= corpus.characters else f" in {summary.looked_at:,} {counted}s looked at"
    frequent = summary.alphabet[:SHOWN_CHARACTERS]
    if repeated is None:
        put(f"{len(summary.alphabet):,} words, the most frequent: {', '.join(word for word, _ in frequent)}")
        return
    common = " ".join(repr(character)[1:-1] for character, _ in frequent)
    put(f"alphabet: {len(summary.alphabet):,} characters{where}, the most frequent: {common}")
    put(
        f"repetition{where}: {repeated.characters:.1%} stands in stretches of 50 characters that occurred before; "
        f"{repeated.lines:.1%} of the lines occurred before"
    )


def _draw(picture: Path, corpora: tuple[str, ...], corpus: Corpus, summary: Summary) -> None:
    from seqgen.plots import draw_corpus
    from seqgen.sources.tables import count_left_out

    draw = functools.partial(
        draw_corpus,
        picture,
        title=", ".join(corpora),
        lengths=summary.lengths,
        alphabet=summary.alphabet,
        splits={name: split.characters for name, split in corpus.splits.items()},
        left_out={reason: count_left_out(names) for reason, names in corpus.left_out.items()},
    )
    write_picture(picture, draw)
