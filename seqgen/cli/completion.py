"""`seqgen completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from seqgen.cli.common import common_options, write


@click.command(short_help="Print a script for shell completion.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common_options
def command(shell: str) -> None:
    """Print a script that completes verbs, options and names of checkpoints.

    \b
        seqgen completion bash >> ~/.bashrc
        seqgen completion zsh >> ~/.zshrc
        seqgen completion fish > ~/.config/fish/completions/seqgen.fish
    """
    from seqgen.cli.main import program

    completion = get_completion_class(shell)
    assert completion is not None
    write(completion(program, {}, "seqgen", "_SEQGEN_COMPLETE").source() + "\n")
