"""Twenty samples of each model that comes with seqgen, with the command that repeats each: writes docs/gallery.md.

The seeds were chosen before the models were trained, and all that comes is shown. What people say of a sample stands in
gallery_notes.toml, by the model and the number of the sample; it is kept when the page is made again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shlex
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from seqgen.cards import load_card
from seqgen.checkpoint import SHIPPED, Checkpoint
from seqgen.cli.main import program
from seqgen.modalities import MODALITIES
from seqgen.units import UNITS

PAGE = Path(__file__).parent.parent / "docs" / "gallery.md"
NOTES = Path(__file__).parent / "gallery_notes.toml"
HEAD = """\
<!-- Made by benchmarks/gallery.py. Write what you think of a sample into benchmarks/gallery_notes.toml, and run it again. -->

# Gallery

What the models write that come with seqgen. Nothing was chosen afterwards: the seeds were written down before, the random
seeds are the numbers of the samples, everything else is the default. The command above a sample repeats it; a machine that
rounds otherwise may take another turn where a draw is close.
"""


class Exhibit(NamedTuple):
    """A model, and what it is asked for.

    Attributes:
        name: of the model.
        language: of its samples, for those who colour Markdown.
        verb: `sample` or `reply`.
        asked: the options of each sample, or the messages.
        always: options of all of them.
    """

    name: str
    language: str
    verb: str
    asked: Sequence[Sequence[str]]
    always: Sequence[str] = ()


def seeds(*texts: str) -> list[list[str]]:
    """The options for each of these seeds; an empty one is none."""
    return [["--seed", text] if text else [] for text in texts]


def eight(*asked: list[str]) -> list[list[str]]:
    """The same, of eight bars: a whole chorale is long to read."""
    return [[*options, "--bars", "8"] for options in asked]


EXHIBITS = (
    Exhibit(
        "prose",
        "text",
        "sample",
        seeds(
            *(
                "",
                "The ",
                "A function ",
                "When ",
                "If the object ",
                "In Python, ",
                "Strings ",
                "An iterator ",
                "Note that ",
            ),
            *(
                "For example, ",
                "Lists are ",
                "This is not ",
                "Errors ",
                "Every ",
                "Numbers ",
                "Whatever ",
                "The first thing ",
            ),
            *("Once upon a time ", "My grandmother ", "import"),
        ),
    ),
    Exhibit(
        "python",
        "python",
        "sample",
        seeds(
            *(
                "",
                "def ",
                "class ",
                "import ",
                "from ",
                "def parse_",
                "def is_",
                "async def ",
                "class Test",
                "if __name__",
            ),
            *(
                "try:",
                "for i in range(",
                "with open(",
                "@property",
                "# ",
                "def fibonacci(n):",
                "class Queue:",
                "def main():",
            ),
            *("x = ", "    def __init__(self, "),
        ),
    ),
    Exhibit(
        "bach",
        "text",
        "sample",
        [
            *seeds("", "G4"),
            *eight(*seeds("", "C5", "A4 B4 C5", "D4 F4 A4", "G4:2 F4 E4", "E5 D5 C5 B4", "Bb4 A4 C5 B4", "F#4 G4 A4")),
            *eight(*seeds("C4 C4 G4 G4 A4 A4 G4:2", "E4 E4 F4 G4 G4 F4 E4 D4")),
            *eight(*(["--key", key] for key in ("D minor", "G major", "A minor", "Eb major"))),
            *eight(["--metre", "3/4"], ["--seed", "D5 C5 Bb4 A4", "--key", "G minor"]),
            ["--bars", "4"],
            ["--key", "B minor", "--bars", "12"],
        ],
    ),
    Exhibit(
        "folk",
        "text",
        "sample",
        [
            *seeds("", "", "G4", "D5", "D4 G4 B4", "A4 B4 C5", "E5 D5 B4 A4", "G4:0.5 A4:0.5 B4 D5", "F#4 A4 D5"),
            *seeds("C4 C4 G4 G4 A4 A4 G4:2", "E4 E4 F4 G4 G4 F4 E4 D4"),
            *(["--key", key] for key in ("D major", "G major", "A minor", "E minor")),
            ["--metre", "6/8"],
            ["--metre", "3/4"],
            ["--bars", "16"],
            ["--key", "D major", "--metre", "6/8", "--bars", "8"],
            ["--seed", "B4 A4 G4", "--metre", "2/4"],
        ],
        ("-o", "-", "--format", "abc"),
    ),
    Exhibit(
        "replies",
        "text",
        "reply",
        [
            ["Are you free on Thursday?"],
            ["hi, is the room on the second floor still available?"],
            ["Mum, when are you coming to get me?"],
            ["I got the job!!!"],
            ["The printer on our floor is broken again."],
            ["Could you look over my slides before tomorrow morning?"],
            ["sorry i'm late, the bus never came"],
            ["Would you like to have dinner with us on Saturday at 7?"],
            ["My cat died last night."],
            ["What's the wifi password?"],
            ["Please find the signed contract attached."],
            ["Thanks a lot for driving me home yesterday!"],
            ["do you know a good dentist around here"],
            ["We have not received your payment for invoice 4711."],
            ["How was your holiday in Portugal?"],
            ["Is it ok if I bring my sister to the party?"],
            ["I can't find my keys, did I leave them at your place?"],
            ["The interview has been moved to Monday at 9:30, does that work for you?"],
            ["lol did you see what he posted"],
            ["Dear Sir or Madam, I would like to cancel my subscription."],
        ],
    ),
)


def main() -> None:
    """Draws what is wanted, and writes the page."""
    parser = argparse.ArgumentParser(description="twenty samples of each shipped model, as a page")
    parser.add_argument("--output", type=Path, default=PAGE, help="default docs/gallery.md")
    options = parser.parse_args()
    notes = tomllib.loads(NOTES.read_text(encoding="utf-8")) if NOTES.is_file() else {}
    sections = [HEAD]
    for exhibit in EXHIBITS:
        folder = next((root / exhibit.name for root in SHIPPED if (root / exhibit.name).is_dir()), None)
        if folder is None:
            print(f"{exhibit.name} does not come with this seqgen: left out", file=sys.stderr)
            continue
        sections.append(section(exhibit, Checkpoint(folder), notes.get(exhibit.name, {})))
    options.output.write_text("\n".join(sections), encoding="utf-8", newline="\n")
    print(options.output)


def section(exhibit: Exhibit, checkpoint: Checkpoint, notes: dict[str, Any]) -> str:
    """What is said and shown of a model.

    Args:
        exhibit: the model.
        checkpoint: the same.
        notes: number of a sample -> what somebody says of it; `weights` names the weights that drew what they had before them.
    """
    if notes.get("weights", checkpoint.manifest.weights) != checkpoint.manifest.weights:
        print(
            f"the notes on {exhibit.name} are of other weights, {notes['weights']}: look at them again", file=sys.stderr
        )
    parts = [f"## {exhibit.name}\n", f"{about(checkpoint)}\n"]
    for number, asked in enumerate(exhibit.asked, 1):
        drawn = ["--random-seed", str(number)] if exhibit.verb == "sample" else []
        command = [exhibit.verb, exhibit.name, *asked, *drawn, *exhibit.always]
        text = told(command)
        print(f"{exhibit.name} {number}", file=sys.stderr)
        fence = "````" if "```" in text else "```"
        parts.append(f"**{number}**\n\n```sh\nseqgen {shlex.join(command)}\n```\n")
        parts.append(f"{fence}{exhibit.language}\n{text.rstrip()}\n{fence}\n")
        if note := notes.get(str(number)):
            parts.append(f"> {note}\n")
    return "\n".join(parts)


def about(checkpoint: Checkpoint) -> str:
    """What a model is, and how good."""
    manifest = checkpoint.manifest
    card = load_card(checkpoint.recipe.corpus.sources[0])
    split, measured = list(manifest.metrics.items())[-1]
    unit = UNITS[measured["unit"]]
    others = ", ".join(f"{name} {value:.3f}" for name, value in measured["baselines"].items())
    answers = MODALITIES[checkpoint.recipe.corpus.kind].sequences is not None
    known = "; counting has seen what was also replied to other messages" if answers else ""
    model = checkpoint.recipe.model
    shape = f"{model.layers} layer{'s' * (model.layers > 1)} of {model.hidden} ({model.cell})"
    return (
        f"{card.title}. Licence: {card.licence}.\n\n"
        f"{shape}, {checkpoint.parameters():,} numbers, made by `{manifest.made_by}`. It needs "
        f"**{measured[unit.key]:.3f} {unit.name}** for the {split} split, which is new to it; by counting alone: {others}{known}."
    )


def told(command: Sequence[str]) -> str:
    """What `seqgen` prints to stdout, in an empty folder."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        program.main(list(command), prog_name="seqgen", standalone_mode=False)
    out.flush()
    data: bytes = out.buffer.getvalue()
    return data.decode()


if __name__ == "__main__":
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    main()
