"""`seqgen train`."""

from __future__ import annotations

import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seqgen.cli.common import common_options, is_quiet, json_option, pair_options, print_json, put, say
from seqgen.cli.main import STARTED
from seqgen.recipe import merge, parse_assignment

if TYPE_CHECKING:
    from seqgen.progress import Outcome


@click.command(short_help="Train a model on text, code, music or replies of your own.")
@click.argument("corpora", metavar="CORPUS...", nargs=-1)
@click.option(
    "--time", metavar="TIME", help="Wall time to spend: 90s, 3m, 1h30m; with --resume, +10m adds to it. Default 3m."
)
@click.option("--steps", metavar="N", help="Train for so many updates instead; +N with --resume.")
@click.option("--epochs", metavar="N", help="Train for so many passes over the text instead; +N with --resume.")
@click.option("--name", metavar="NAME", help="Write to checkpoints/NAME. Default: the corpus's name, counted up.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), help="Write to this folder instead.")
@click.option(
    "--kind", metavar="KIND", help="What the corpus is: text, code, music or replies. Default: guessed and said."
)
@click.option(
    "--documents",
    metavar="HOW",
    help="What a document is: file, line, blank-line, or a separator. Default: guessed and said.",
)
@click.option(
    "--column", metavar="NAME", help="The column of a table (CSV, TSV, JSONL) to learn; each value is a document."
)
@pair_options
@click.option("--encoding", metavar="NAME", help="The text encoding of the files. Default utf-8.")
@click.option(
    "--tokenizer",
    metavar="NAME",
    help="What a symbol is: characters, bytes, bpe, unigram or symbols; of music melody, voices, remi, tsd or frames. "
    "Default: chosen for the corpus.",
)
@click.option("--cell", metavar="CELL", help="The recurrent cell: lstm, gru or rnn. Default lstm.")
@click.option(
    "--set",
    "assignments",
    metavar="section.key=value",
    multiple=True,
    help="Any setting of docs/settings.md. Can be repeated.",
)
@click.option(
    "--recipe", metavar="FILE|CHECKPOINT", help="Take settings from a TOML file, or repeat a checkpoint's training."
)
@click.option(
    "--init-from",
    metavar="CHECKPOINT",
    help="Begin with the weights of a trained model: for a small text, after training on a larger one of its kind.",
)
@click.option("--strict", is_flag=True, help="Stop at the first file that cannot be used, instead of leaving it out.")
@click.option("--resume", is_flag=True, help="Go on with an interrupted run, or train a finished one further.")
@click.option("--device", metavar="DEVICE", help="auto, cpu, cuda or mps. Default auto.")
@click.option("--threads", metavar="N", type=click.IntRange(1), help="Processor threads. Default: one a core.")
@click.option("--random-seed", metavar="N", type=click.IntRange(0), help="Of weights, dropout and order. Default 0.")
@click.option(
    "--tensorboard",
    is_flag=True,
    help="Also log for TensorBoard, in the checkpoint's folder. Needs seqgen[tensorboard].",
)
@click.option("--seed", hidden=True)
@json_option
@common_options
def command(
    corpora: tuple[str, ...],
    assignments: tuple[str, ...],
    seed: str | None,
    as_json: bool,
    tensorboard: bool,
    **options: Any,
) -> None:
    """Train a model on a corpus of your own, and keep it in a checkpoint folder.

    CORPUS is a file, a folder, a glob in quotes, - for standard input, or the name of a card (seqgen corpus list).
    Everything that you do not set is chosen for the corpus, the machine and the time, and shown.
    Ctrl-C at any time keeps the work; --resume goes on with it.

    \b
        seqgen train diary.txt --time 3m
        seqgen train src/ --time 10m --name mycode
        seqgen train --name mycode --resume --time +10m
    """
    if seed is not None:
        raise click.UsageError(
            "--seed is what a sample grows from. The seed of the random number generator is --random-seed."
        )
    fields = (
        ("corpus", "kind"),
        ("corpus", "documents"),
        ("corpus", "column"),
        ("corpus", "columns"),
        ("corpus", "me"),
        ("corpus", "encoding"),
        ("model", "cell"),
    )
    settings = merge(*({section: {name: options[name]}} for section, name in fields if options[name] is not None))
    if options["tokenizer"] is not None:
        settings = merge(settings, {"tokenizer": {"kind": options["tokenizer"]}})
    for assignment in assignments:
        section, name, value = parse_assignment(assignment)
        settings = merge(settings, {section: {name: value}})
    passed = (
        "time",
        "steps",
        "epochs",
        "name",
        "out",
        "recipe",
        "resume",
        "device",
        "threads",
        "random_seed",
        "init_from",
        "strict",
    )

    from seqgen.cli.display import display_for
    from seqgen.training import train

    with display_for(as_json, is_quiet(), tensorboard) as listener:
        outcome = train(
            *corpora, settings=settings, progress=listener, started=STARTED, **{name: options[name] for name in passed}
        )
    _report(outcome, as_json)
    if not outcome.finished:
        raise click.exceptions.Exit(130)


def _report(outcome: Outcome, as_json: bool) -> None:
    from seqgen.modalities import MODALITIES

    folder = outcome.checkpoint
    by_name = folder.parent == Path("checkpoints")
    answers = MODALITIES[outcome.recipe.corpus.kind].sequences is not None
    where = shlex.quote(folder.name if by_name else str(folder))
    how = f"--name {where}" if by_name else f"--out {where}"
    if outcome.valid:
        value, nats, unit = outcome.valid.value, outcome.valid.nats_per_symbol, outcome.valid.unit
        figures = f"{value:.3f} {unit.name} on validation {unit.matter} ({nats:.4f} nats per symbol"
        alone = outcome.valid.value_without_recall
        figures += f"; {alone:.3f} {unit.name.split()[0]} without what it recalls)" if alone != value else ")"
        others = ", ".join(f"{name} {value:.3f}" for name, value in outcome.valid.baselines.items())
        say(f"{figures}; by counting alone: {others}" if others else figures)
        if alone > min(outcome.valid.baselines.values(), default=math.inf):
            without = "" if alone == value else " without what it recalls"
            known = "; counting has seen what was also replied to other messages" if answers else ""
            say(f"Counting alone is still better than this model{without}{known}.")
    say(outcome.verdict.sentence)
    more = "" if outcome.verdict.name == "interrupted" else " --time +10m"
    if outcome.verdict.name in ("interrupted", "improving"):
        say(f"Train on:  seqgen train {how} --resume{more}")
    say(f'Reply:     seqgen reply {where} "..."' if answers else f"Sample:    seqgen sample {where}")
    say(f"Play:      seqgen repl {where}")
    if as_json:
        print_json(outcome.to_dict())
    else:
        put(str(folder))
