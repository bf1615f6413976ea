"""`seqgen eval`."""

from __future__ import annotations

import math

import click

from seqgen.cli.common import checkpoint_argument, common_options, console, json_option, literal, print_json


@click.command("eval", short_help="Measure how well a model predicts text.")
@checkpoint_argument
@click.argument("corpus", metavar="[CORPUS]...", nargs=-1)
@click.option(
    "--split",
    type=click.Choice(["test", "valid", "train"]),
    help="Of the model's own corpus. Default: test, or valid where there is no test text.",
)
@click.option("--device", metavar="DEVICE", default="auto", help="auto, cpu, cuda or mps. Default auto.")
@json_option
@common_options
def command(checkpoint: str, corpus: tuple[str, ...], split: str | None, device: str, as_json: bool) -> None:
    """Measure how well a model predicts text that it has not seen, beside simple baselines.

    Without CORPUS the text is what was held out of the model's own corpus. The unit is bits per character. In the same
    unit and on the same text: the model without what it recalls of the document that it reads, if it has learned to; the
    best n-gram, which only counts (modified Kneser-Ney, its order chosen on validation text); and what xz -9 needs when
    it has just seen the training text.
    """
    if corpus and split:
        raise click.UsageError("--split belongs to the model's own corpus, so it cannot be given with another CORPUS.")

    from seqgen.api import load

    result = load(checkpoint, device).evaluate(*corpus, split=split)
    if as_json:
        print_json(result.to_dict())
        return

    from rich.table import Table

    title = f"{checkpoint} on {result.split}: {result.characters:,} characters"
    table = Table(title=literal(title), title_justify="left")
    table.add_column("")
    table.add_column("bits per character", justify="right")
    table.add_row("this model", f"{result.bits_per_character:.3f}", style="bold")
    if result.nats_without_recall != result.nats:
        table.add_row("  without what it recalls", f"{result.bits_without_recall:.3f}")
    for name, value in result.baselines.items():
        table.add_row(name, f"{value:.3f}")
    console().print(table)
    if result.split == "valid" and result.nats_without_recall != result.nats:
        click.echo("What recall is worth was learned from this text: the figure with it is a little too good.")
    perplexity, guessed = math.exp(result.nats_per_symbol), 100 * result.accuracy
    click.echo(
        f"{result.nats_per_symbol:.4f} nats per symbol, perplexity {perplexity:.2f}, {guessed:.1f} % of symbols guessed right"
    )
