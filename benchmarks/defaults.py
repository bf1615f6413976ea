"""Are the defaults right? For corpora of several sizes and times, what is chosen beside the best of a grid around it."""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from common import arguments, heading, run

ALTERNATIVES = {
    "chosen": (),
    "smaller": ("model.hidden={half}", "model.embedding={embedding}"),
    "larger": ("model.hidden={more}",),
    "more dropout": ("model.hidden_dropout={up}", "model.output_dropout={up}"),
    "less dropout": ("model.hidden_dropout={down}", "model.output_dropout={down}"),
    "short windows": ("training.lanes=32", "training.window=64"),
    "lower rates": ("training.matrix_rate=0.02", "training.learning_rate=0.006"),
    "higher rates": ("training.matrix_rate=0.06", "training.learning_rate=0.018"),
}


@dataclass(frozen=True)
class Cell:
    """A corpus, how many of its characters are used, and a time."""

    name: str
    path: Path
    characters: int | None
    time: str


def main() -> None:
    """Runs each cell of the grid through the command line and prints validation nats per character."""
    parser = arguments("the defaults against a grid")
    parser.add_argument("corpora", nargs="+", type=Path, metavar="NAME=PATH[:CHARACTERS]", help="what to learn from")
    parser.add_argument("--times", default="30s,3m")
    parser.add_argument("--only", default=",".join(ALTERNATIVES), help="which alternatives")
    options = parser.parse_args()
    cells = [cell(str(corpus), time) for corpus, time in itertools.product(options.corpora, options.times.split(","))]
    heading(
        "defaults",
        "seqgen train CORPUS --time TIME with nothing else set, and the same with some settings changed: nats per character on "
        "the validation text. `chosen` should be within 0.02 of the best.",
    )
    for each in cells:
        measure(each, options)


def cell(corpus: str, time: str) -> Cell:
    """From NAME=PATH[:CHARACTERS]."""
    name, _, rest = corpus.partition("=")
    path, _, characters = rest.partition(":")
    if not Path(path).exists():
        sys.exit(f"{path} is missing")
    return Cell(name, Path(path).absolute(), int(characters) if characters else None, time)


def measure(each: Cell, options: argparse.Namespace) -> None:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        corpus = each.path
        if each.characters is not None:
            corpus = Path(scratch, "corpus.txt")
            corpus.write_text(each.path.read_text(encoding="utf-8")[: each.characters], encoding="utf-8")
        figures: dict[str, float] = {}
        places: dict[str, object] = {}
        for name in options.only.split(","):
            settings = [part.format(**places) for part in ALTERNATIVES[name]]
            asked = [word for setting in settings for word in ("--set", setting)]
            lines, _ = run("train", corpus, "--time", each.time, *asked, "--out", name, folder=Path(scratch))
            figures[name] = lines[-1]["valid"]["nats_per_character"]
            if name == "chosen":
                model = lines[-1]["recipe"]["model"]
                hidden, dropout = model["hidden"], model["hidden_dropout"]
                places = {"half": hidden * 5 // 8 // 16 * 16, "more": hidden * 3 // 2, "up": min(0.6, dropout + 0.15),
                          "down": max(0.0, dropout - 0.15), "embedding": min(model["embedding"], hidden // 2)}  # fmt: skip
            print(f"{each.name:16} {each.time:>4}  {name:14} {figures[name]:.4f}", flush=True)
        best = min(figures, key=lambda name: figures[name])
        print(
            f"{each.name:16} {each.time:>4}  best: {best}, chosen is {figures['chosen'] - figures[best]:+.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
