"""`seqgen sample`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seqgen.cli.common import (
    check_output,
    checkpoint_argument,
    common_options,
    json_option,
    numbered,
    print_json,
    say,
    write,
    write_file,
)
from seqgen.errors import DataError

if TYPE_CHECKING:
    from seqgen.api import Sample


@click.command(short_help="Grow samples from a seed.")
@checkpoint_argument
@click.option("--seed", metavar="TEXT", help="What the sample grows from. Default: nothing, as a document begins.")
@click.option(
    "--seed-file", metavar="FILE|-", help="Read it from a file or standard input; one final newline is dropped."
)
@click.option(
    "-n",
    "--length",
    metavar="N",
    type=click.IntRange(0),
    help="Characters to write at most. Default: until a document or a sentence ends.",
)
@click.option(
    "-t",
    "--temperature",
    metavar="T",
    type=float,
    default=0.8,
    show_default=True,
    help="Below 1 safer, above 1 wilder; 0 always takes the likeliest.",
)
@click.option("--top-k", metavar="K", type=int, help="Draw among the K likeliest symbols.")
@click.option(
    "--top-p", metavar="P", type=float, help="Draw among the likeliest symbols that together have probability P."
)
@click.option(
    "--min-p", metavar="P", type=float, help="Draw among symbols at least P times as likely as the likeliest."
)
@click.option("--stop", metavar="TEXT", multiple=True, help="End before this text. Can be repeated.")
@click.option(
    "--recall/--no-recall",
    default=True,
    help="Use the names and phrases of a long seed again, if the model has learned to recall. Default: --recall.",
)
@click.option("--count", metavar="N", type=click.IntRange(1), default=1, help="How many samples. Default 1.")
@click.option("--random-seed", metavar="N", type=int, help="Repeat a sample. Default: a new one each time, printed.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Write to this file instead, byte for byte; of several samples p.txt becomes p-01.txt...",
)
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@click.option("--device", metavar="DEVICE", default="auto", help="auto, cpu, cuda or mps. Default auto.")
@json_option
@common_options
def command(
    checkpoint: str, seed: str | None, seed_file: str | None, output: tuple[Path, ...], as_json: bool, **options: Any
) -> None:
    """Grow samples from a seed, drawn symbol by symbol from a trained model.

    \b
        seqgen sample diary --seed "Dear " -n 500 -t 0.8
        seqgen sample diary --count 10 --json
    """
    seed = _read_seed(seed, seed_file)
    count = options["count"]
    for path in output:
        for index in range(count):
            if str(path) != "-":
                check_output(numbered(path, index, count), options["force"])

    from seqgen.api import load
    from seqgen.decoding.rules import RuleSettings
    from seqgen.generation import SampleSettings

    rules = RuleSettings(
        temperature=options["temperature"], top_k=options["top_k"], top_p=options["top_p"], min_p=options["min_p"]
    )
    settings = SampleSettings(rules=rules, length=options["length"], stop=options["stop"], recall=options["recall"])
    model = load(checkpoint, options["device"])
    if seed.strip().isdigit() and options["random_seed"] is None:
        say(
            f"hint: --seed {seed} is text that the sample grows from; the random number generator's seed is --random-seed"
        )
    if unknown := model.unknown(seed):
        names = ", ".join(map(_describe, unknown[:10]))
        say(f"warning: the model has not learned these parts of the seed, they are spelled in bytes: {names}")

    random_seed = options["random_seed"]
    for sample in model.samples(seed, settings, count, random_seed):
        if sample.index == 0:
            say(f"random seed {sample.random_seed}", dim=True)
        interrupted = _deliver(sample, streaming=count == 1 and not output and not as_json)
        files = [path if str(path) == "-" else numbered(path, sample.index, count) for path in output]
        for path in files:
            if str(path) == "-":
                sys.stdout.buffer.write(sample.data)
                sys.stdout.buffer.flush()
            else:
                write_file(path, sample.data)
                say(str(path))
        if as_json:
            print_json(sample.to_dict([str(path) for path in files], settings))
        elif not output and count > 1:
            write(sample.text + ("\n\n" if "\n" in sample.text.rstrip("\n") else "\n"))
        if interrupted:
            raise KeyboardInterrupt


def _deliver(sample: Sample, streaming: bool) -> bool:
    """Draws the whole sample, showing it as it grows where that is wanted; whether the user interrupted it."""
    interrupted = False
    try:
        for piece in sample:
            if streaming:
                write(piece)
    except KeyboardInterrupt:
        interrupted = True
        held = sample.finish()
        if streaming:
            write(held)
    if streaming:
        write("\n")
    return interrupted


def _describe(part: str) -> str:
    """A character with its number, since it may be one that cannot be seen; a longer part as it is."""
    return f"{part!r} (U+{ord(part):04X})" if len(part) == 1 else repr(part)


def _read_seed(seed: str | None, seed_file: str | None) -> str:
    if seed is not None and seed_file is not None:
        raise click.UsageError("--seed and --seed-file contradict each other. Give only one of them.")
    if seed_file is None:
        return seed or ""
    try:
        data = sys.stdin.buffer.read() if seed_file == "-" else Path(seed_file).read_bytes()
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"not utf-8 at byte {error.start}", where=seed_file, hint="Convert it to UTF-8 first."
        ) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=seed_file) from error
    return text.removesuffix("\n")
