"""`seqgen info`."""

from __future__ import annotations

import click

from seqgen.cli.common import checkpoint_argument, common_options, json_option, print_json, put, write
from seqgen.units import UNITS
from seqgen.visible import one_line

NAMES = {"valid": "validation"}
"""What people call a split, where it is not its name."""


@click.command(short_help="Say what a checkpoint is and how it was made.")
@checkpoint_argument
@json_option
@common_options
def command(checkpoint: str, as_json: bool) -> None:
    """Say what a checkpoint is: its size, figures and files, and the recipe that makes it again (TOML, for --recipe)."""
    from seqgen.checkpoint import find_checkpoint

    found = find_checkpoint(checkpoint)
    manifest, recipe = found.manifest, found.recipe
    parameters = found.parameters()
    if as_json:
        print_json(
            {
                "format": manifest.format,
                "kind": recipe.corpus.kind,
                "tokenizer": recipe.tokenizer.kind,
                "parameters": parameters,
                "status": manifest.status,
                "step": manifest.step,
                "recipe": recipe.to_dict(),
                "metrics": manifest.metrics,
                "made_by": manifest.made_by or None,
                "corpus": {name: value for name, value in manifest.corpus.items() if name != "entry"},
                "versions": manifest.versions,
                "files": manifest.files,
            }
        )
        return
    made = f"{recipe.corpus.kind}, {recipe.tokenizer.kind}, {parameters:,} parameters"
    _remark(f"{found.folder}: {made}, {manifest.status} after {manifest.step:,} steps")
    for split, measured in manifest.metrics.items():
        others = ", ".join(f"{name} {value:.3f}" for name, value in measured["baselines"].items())
        unit = UNITS[measured["unit"]]
        value, alone = measured[unit.key], measured.get(f"{unit.key}_without_recall")
        without = f" ({alone:.3f} without what it recalls)" if alone not in (None, value) else ""
        _remark(f"{NAMES.get(split, split)}: {value:.3f} {unit.name}{without}; by counting alone: {others}")
    if manifest.made_by:
        _remark(f"made by: {manifest.made_by}")
    versions = ", ".join(f"{name} {version}" for name, version in manifest.versions.items())
    _remark(f"made with {versions}")
    put("")
    write(recipe.to_toml())


def _remark(text: str) -> None:
    """A line above the recipe that is none of it, whatever a checkpoint from elsewhere says of itself."""
    put(f"# {one_line(text)}")
