"""`seqgen sample`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seqgen.cli.common import (
    adapt_option,
    adapt_to,
    checkpoint_argument,
    common_options,
    console,
    draw,
    json_option,
    print_json,
    say,
    uninterrupted,
    write,
)
from seqgen.cli.drawing import drawing_options, piece_options, precision_option, sample_settings
from seqgen.errors import DataError
from seqgen.inputs import read_named
from seqgen.outputs import check_output, numbered, write_file

if TYPE_CHECKING:
    from seqgen.api import Loaded
    from seqgen.generation import SampleSettings
    from seqgen.samples import Sample

MOST_OF_SEED = 64 << 20
"""Bytes of a file with a seed; no piece of music needs that much."""


@click.command(short_help="Grow samples from a seed.")
@checkpoint_argument
@click.option(
    "--seed",
    metavar="TEXT-OR-NOTES",
    help="What the sample grows from: text, or notes such as C4 F#4:0.5 r:1 C4+E4+G4:2. Default: nothing, as a document begins.",
)
@click.option(
    "--seed-file",
    metavar="FILE|-",
    help="Read it from a file or standard input; for music a MIDI file or score. One final newline of a text is dropped.",
)
@drawing_options
@adapt_option
@click.option("--count", metavar="N", type=click.IntRange(1), default=1, help="How many samples. Default 1.")
@click.option("--index", metavar="I", type=click.IntRange(0), help="Only the sample with this number, as among many.")
@click.option(
    "--rank",
    metavar="N",
    type=click.IntRange(2),
    help="Draw N and show the --count whose mean surprise is nearest to that of real text.",
)
@precision_option
@click.option("--random-seed", metavar="N", type=int, help="Repeat a sample. Default: a new one each time, printed.")
@click.option("--check", is_flag=True, help="Say how much of it stands in the training text, beside held-out text.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Write to this file instead, byte for byte; of several samples p.txt becomes p-01.txt...",
)
@click.option("--force", is_flag=True, help="Overwrite existing files.")
@click.option(
    "--format", "file_format", metavar="FORMAT", help="Music: what -o - writes: mid, musicxml, abc, png, notes."
)
@piece_options
@click.option("--seed-bars", metavar="N", type=click.IntRange(1), help="Music: only so many bars of the seed.")
@click.option(
    "--tempo",
    metavar="BPM",
    type=click.FloatRange(5, 1000),
    help="Music: quarter notes a minute, in files and on playing.",
)
@click.option(
    "--program",
    metavar="N",
    type=click.IntRange(0, 127),
    help="Music: the General MIDI instrument of all parts, 0 to 127.",
)
@click.option("--transpose", metavar="N", type=int, default=0, help="Music: write everything N semitones higher.")
@click.option(
    "--soundfont",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Music: the instruments for .wav (.sf2 or .sf3).",
)
@click.option("--device", metavar="DEVICE", default="auto", help="auto, cpu, cuda or mps. Default auto.")
@json_option
@common_options
def command(
    checkpoint: str, seed: str | None, seed_file: str | None, output: tuple[Path, ...], as_json: bool, **options: Any
) -> None:
    """Grow samples from a seed, drawn symbol by symbol from a trained model.

    A model of music writes what the endings of -o say: .mid, .musicxml, .abc, .png, .wav or .notes; without -o notes, which can
    be a seed again, and a small picture.

    \b
        seqgen sample diary --seed "Dear " -n 500 -t 0.8
        seqgen sample diary --adapt letters.txt
        seqgen sample diary --count 10 --json
        seqgen sample bach --seed G4 --bars 12 -o piece.mid -o piece.png
    """
    count = options["count"]
    for path in output:
        for index in range(count):
            if str(path) != "-":
                check_output(numbered(path, index, count), options["force"])
    _check_format(output, options["file_format"])

    from seqgen.api import load
    from seqgen.cli.checking import Check
    from seqgen.writing import Rendering

    settings = sample_settings(options)
    rendering = Rendering(options["tempo"], options["program"], options["transpose"], options["soundfont"])
    model = load(checkpoint, options["device"])
    seed = model.read_seed(seed, *_seed_bytes(seed, seed_file), options["seed_bars"])
    suffixes = [f".{options['file_format'] or 'notes'}" if str(path) == "-" else path.suffix for path in output]
    model.check_suffixes(suffixes, rendering)
    _remark(model, seed, options["random_seed"])
    adapt_to(model, options["adapt"])
    if options["adapt"] and not seed and _is_text(model):
        say(
            "hint: a sample without --seed begins as the training text does; with a word from the file it goes on in its manner"
        )
    check = Check(model.checkpoint, count) if options["check"] else None

    def show(place: int, sample: Sample) -> None:
        interrupted = _deliver(sample, streaming=count == 1 and not output and not as_json)
        if not output and not as_json and (picture := sample.picture(*_screen())):
            draw(picture)
        files = [path if str(path) == "-" else numbered(path, place, count) for path in output]
        rendered = [sample.render(suffix, rendering) for suffix in suffixes]  # all of them, before any is written
        for path, data in zip(files, rendered, strict=True):
            _put(path, data)
        if interrupted and output:
            say("interrupted: this is what was drawn so far", fg="yellow")
        if not as_json and not output and count > 1:
            write(sample.text + ("\n\n" if "\n" in sample.text.rstrip("\n") else "\n"))
        originality = check.look(sample, interrupted) if check else {}
        if as_json:
            record = {**sample.to_dict([str(path) for path in files], settings), **originality}
            record["settings"]["adapt"] = options["adapt"]
            print_json(record)
        if interrupted:
            raise KeyboardInterrupt

    for place, sample in enumerate(_samples(model, seed, settings, options)):
        if place == 0:
            say(_origin(sample), dim=True)
        with uninterrupted() if count > 1 else contextlib.nullcontext():  # a sole sample is drawn while it is shown
            show(place, sample)
    if check:
        check.close()


def _is_text(model: Loaded) -> bool:
    """Whether it writes text; of music, a number is a note."""
    return model.tokenizer.unit.matter == "text"


def _remark(model: Loaded, seed: str, random_seed: int | None) -> None:
    """Says what may not be meant in a seed."""
    if _is_text(model) and seed.strip().isdigit() and random_seed is None:
        say(
            f"hint: --seed {seed} is text that the sample grows from; the random number generator's seed is --random-seed"
        )
    if unknown := model.unknown(seed):
        names = ", ".join(map(_describe, unknown[:10]))
        say(f"warning: the model has not learned these parts of the seed, they are spelled in bytes: {names}")


def _samples(model: Loaded, seed: str, settings: SampleSettings, options: dict[str, Any]) -> Iterator[Sample]:
    count, random_seed, index, of = (options[name] for name in ("count", "random_seed", "index", "rank"))
    if of is not None:
        if index is not None:
            raise click.UsageError("--rank chooses among many samples, --index names one. Give only one of them.")
        if of < count:
            raise click.UsageError(f"--rank {of} is below --count {count}: it says how many are drawn to choose among.")
        return iter(model.ranked(seed, settings, count, of, random_seed))
    if index is not None and count > 1:
        raise click.UsageError("--index is one sample of many: give no --count.")
    return model.samples(seed, settings, count, random_seed, None if index is None else [index])


def _origin(sample: Sample) -> str:
    """What makes a sample repeatable, and how far its arithmetic strays."""
    strays = (
        ""
        if sample.divergence is None
        else f", {sample.precision}: {sample.divergence:.4f} nats per symbol from float32"
    )
    return f"random seed {sample.random_seed}{strays}"


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


def _put(path: Path, data: bytes) -> None:
    """A sample into its file, or to stdout; a terminal is shown what it must not obey."""
    if str(path) == "-" and sys.stdout.isatty():
        write(data.decode("utf-8", "backslashreplace"))
    elif str(path) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        write_file(path, data)
        say(str(path))


def _describe(part: str) -> str:
    """A character with its number, since it may be one that cannot be seen; a longer part as it is."""
    return f"{part!r} (U+{ord(part):04X})" if len(part) == 1 else repr(part)


def _seed_bytes(seed: str | None, seed_file: str | None) -> tuple[bytes | None, str]:
    """What the seed's file holds, and its name; None where there is no such file."""
    if seed is not None and seed_file is not None:
        raise click.UsageError("--seed and --seed-file contradict each other. Give only one of them.")
    if seed_file is None:
        return None, ""
    try:
        return read_named(seed_file, MOST_OF_SEED, "Take a part of it."), seed_file
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"cannot be read: {reason}", where=seed_file) from error


def _check_format(output: tuple[Path, ...], file_format: str | None) -> None:
    if file_format is not None and not any(str(path) == "-" for path in output):
        raise click.UsageError("--format says what -o - writes; the ending of a file says it itself.")


def _screen() -> tuple[int, bool]:
    """How wide a picture on the terminal may be, and whether in colour."""
    terminal = console(stderr=True)
    return terminal.width, terminal.is_terminal and not terminal.no_color
