"""`seqgen list`."""

from __future__ import annotations

import click

from seqgen.cli.common import common_options, console, json_option, literal, print_json, say
from seqgen.units import UNITS


@click.command("list", short_help="List the checkpoints at hand.")
@json_option
@common_options
def command(as_json: bool) -> None:
    """List the checkpoints in ./checkpoints, and those that came with seqgen."""
    from rich.table import Table

    from seqgen.checkpoint import list_checkpoints, shipped_folder

    hidden = []
    table = Table("name", "kind", "tokens", "model", "steps", "surprise", "status")
    for found in list_checkpoints():
        manifest, recipe = found.manifest, found.recipe
        valid = manifest.metrics.get("valid", {})
        unit = UNITS.get(valid.get("unit", ""))
        if as_json:
            print_json(
                {
                    "name": found.name,
                    "folder": str(found.folder),
                    "kind": recipe.corpus.kind,
                    "status": manifest.status,
                    "shipped": found.is_shipped,
                    "step": manifest.step,
                    "bits_per_character": valid.get("bits_per_character"),
                    "nats_per_note": valid.get("nats_per_note"),
                }
            )
        model = f"{recipe.model.layers} x {recipe.model.hidden} {recipe.model.cell}"
        table.add_row(
            literal(found.name),
            literal(recipe.corpus.kind),
            literal(recipe.tokenizer.kind),
            literal(model),
            f"{manifest.step:,}",
            f"{valid[unit.key]:.3f} {unit.short}" if unit else "-",
            literal("shipped" if found.is_shipped else manifest.status),
        )
        if not found.is_shipped and (other := shipped_folder(found.name)):
            hidden.append(f"{found.name} is your own; the one that came with seqgen is {other}")
    if not as_json and table.row_count:
        console().print(table)
        for note in hidden:
            say(note, dim=True)
    if not table.row_count:
        say("no checkpoints here yet; train one: seqgen train YOUR-FILE --time 3m")
