"""`seqgen eval`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from seqgen.cli.common import (
    checkpoint_argument,
    columns_option,
    common_options,
    console,
    json_option,
    literal,
    only_given,
    print_json,
    put,
)

if TYPE_CHECKING:
    from seqgen.modalities import Likeness
    from seqgen.modalities.reply_measures import Quality

MEASURES = {"bleu": 2, "chrf": 2, "distinct_1": 3, "distinct_2": 3, "generic": 3, "copied": 3, "words": 1}
"""Of replies, and how many decimals they have."""


@click.command("eval", short_help="Measure how well a model predicts what it has not seen.")
@checkpoint_argument
@click.argument("corpus", metavar="[CORPUS]...", nargs=-1)
@click.option(
    "--split",
    type=click.Choice(["test", "valid", "train"]),
    help="Of the model's own corpus. Default: test, or valid where there is no test text.",
)
@click.option(
    "--samples",
    metavar="N",
    type=click.IntRange(2),
    help="Music: also measure N samples beside held-out pieces: harmony, rhythm, voice leading, copied passages. "
    "Replies: how many messages are answered and the answers measured, 1000 where not given.",
)
@click.option("--beam", metavar="N", type=click.IntRange(1, 64), help="Replies: followed at once. Default 24.")
@click.option(
    "--tokenized",
    is_flag=True,
    help="Replies: words and marks are apart in this text already, so BLEU takes it as it is.",
)
@columns_option
@click.option(
    "--dynamic",
    is_flag=True,
    help="Also measure the model while it goes on learning from what it reads: each segment is predicted, then learned. The "
    "checkpoint stays as it is.",
)
@click.option("--random-seed", metavar="N", type=int, default=0, help="Of those samples. Default 0.")
@click.option("--device", metavar="DEVICE", default="auto", help="auto, cpu, cuda or mps. Default auto.")
@json_option
@common_options
def command(
    checkpoint: str,
    corpus: tuple[str, ...],
    split: str | None,
    samples: int | None,
    beam: int | None,
    tokenized: bool,
    columns: tuple[str, ...] | None,
    dynamic: bool,
    random_seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Measure how well a model predicts text, music or replies that it has not seen, beside simple baselines.

    Without CORPUS that is what was held out of the model's own corpus. The unit is bits per character; of music, nats per
    note. In the same unit and on the same text: the model without what it recalls of the document that it reads, if it has
    learned to; the best n-gram, which only counts (modified Kneser-Ney, its order chosen on validation text); and, of text,
    what xz -9 needs when it has just seen the training text.

    A model of replies predicts each real reply, given its message. It also answers the messages itself; what its replies are
    like stands beside the real ones, the most frequent one and the reply to the nearest message that was learned.

    \b
        seqgen eval shakespeare --dynamic   also what it gains by learning as it reads
        seqgen eval bach --samples 100      also what samples are like, beside held-out pieces
    """
    if corpus and split:
        raise click.UsageError("--split belongs to the model's own corpus, so it cannot be given with another CORPUS.")
    if columns and not corpus:
        raise click.UsageError("--columns are of another table, so that CORPUS must be given, too.")

    from seqgen.api import load
    from seqgen.reply_evaluation import ComparisonSettings

    model = load(checkpoint, device)
    answers = model.modality.sequences is not None
    if not answers and (beam or tokenized or columns):
        raise click.UsageError("--beam, --tokenized and --columns are for models of replies.")
    likenesses: Sequence[Likeness] = []
    qualities: Mapping[str, Quality] = {}
    if answers:
        comparison = ComparisonSettings(**only_given(messages=samples, beam=beam), tokenized=tokenized)
        result, qualities = model.evaluate_replies(
            *corpus, split=split, columns=columns, settings=comparison, dynamic=dynamic
        )
    else:
        if samples:  # first, since it refuses what it cannot measure
            likenesses = model.compare(samples, random_seed)
        result = model.evaluate(*corpus, split=split, dynamic=dynamic)
    if as_json:
        compared: dict[str, Any] = {"samples": [vars(likeness) for likeness in likenesses]} if likenesses else {}
        compared |= {"replies": {name: vars(quality) for name, quality in qualities.items()}} if answers else {}
        print_json({**result.to_dict(), **compared})
        return

    from rich.table import Table

    title = f"{checkpoint} on {result.split}: {result.characters:,} {result.unit.counted}s"
    table = Table(title=literal(title), title_justify="left")
    table.add_column("")
    table.add_column(result.unit.name, justify="right")
    if result.words:
        table.add_column("perplexity per word", justify="right")

    def by_word(value: float) -> list[str]:
        return [f"{result.perplexity_per_word(value):.2f}"] if result.words else []

    table.add_row("this model", f"{result.value:.3f}", *by_word(result.value), style="bold")
    if result.nats_without_recall != result.nats:
        table.add_row("  without what it recalls", f"{result.value_without_recall:.3f}")
    if learning := result.dynamic:
        value = result.in_unit(learning.nats)
        table.add_row("this model, learning as it reads", f"{value:.3f}", *by_word(value), style="bold")
        if learning.nats_without_recall != learning.nats:
            table.add_row("  without what it recalls", f"{result.in_unit(learning.nats_without_recall):.3f}")
    for name, value in result.baselines.items():
        table.add_row(f"{name}, without the message" if answers else name, f"{value:.3f}", *by_word(value))
    console().print(table)
    if result.split == "valid" and result.nats_without_recall != result.nats:
        put("What recall is worth was learned from this text: the figure with it is a little too good.")
    for name, figure in result.figures.items():
        put(f"{name.replace('_', ' ')}: {figure:,.4g}")
    perplexity, guessed = math.exp(result.nats_per_symbol), 100 * result.accuracy
    put(
        f"{result.nats_per_symbol:.4f} nats per symbol, perplexity {perplexity:.2f}, {guessed:.1f} % of symbols guessed right"
    )
    if learning:
        rate = result.characters / learning.reading
        put(f"learning as it reads: {rate:,.0f} {result.unit.counted}s a second")
    if likenesses:
        _show_likenesses(likenesses, samples or 0)
    if qualities:
        _show_qualities(qualities)


def _show_qualities(qualities: Mapping[str, Quality]) -> None:
    from rich.table import Table

    table = Table(title="replies", title_justify="left")
    table.add_column("")
    for name in qualities:
        table.add_column(name if name != "model" else "this model", justify="right")
    for measure, digits in MEASURES.items():
        values = [getattr(quality, measure) for quality in qualities.values()]
        row = ("" if value is None else f"{value:.{digits}f}" for value in values)
        table.add_row(measure.replace("_", "-"), *row)
    console().print(table)


def _show_likenesses(likenesses: Sequence[Likeness], samples: int) -> None:
    from rich.table import Table

    table = Table(title=literal(f"{samples} samples beside held-out pieces"), title_justify="left")
    for name in ("", "samples", "held out", "\u00b1", "unit"):
        table.add_column(name, justify="left" if name in ("", "unit") else "right")
    for one in likenesses:
        figures = ("" if value is None else f"{value:.3g}" for value in (one.samples, one.held_out, one.error))
        table.add_row(literal(one.name), *figures, literal(one.unit))
    console().print(table)
