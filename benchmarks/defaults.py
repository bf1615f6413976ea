"""Are the defaults right? For corpora of several sizes and times, what is chosen beside the best of a grid around it."""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import arguments, heading, run

CARDS = ("python", "manual")
ALTERNATIVES: dict[str, tuple[str, ...]] = {
    "chosen": (),
    "smaller": ("model.hidden={less}", "model.embedding={embedding}"),
    "larger": ("model.hidden={more}",),
    "more dropout": ("model.hidden_dropout={up}", "model.output_dropout={up}"),
    "less dropout": ("model.hidden_dropout={down}", "model.output_dropout={down}"),
    "other symbols": ("tokenizer.kind={kind}", "tokenizer.vocabulary={vocabulary}"),
    "finer symbols": ("tokenizer.kind={finer}", "tokenizer.vocabulary={half}"),
    "fewer lanes": ("training.lanes={lanes}",),
    "lower rates": ("training.matrix_rate=0.02", "training.learning_rate=0.006"),
    "higher rates": ("training.matrix_rate=0.06", "training.learning_rate=0.018"),
}
"""What is changed in each, seen from what was chosen."""


@dataclass(frozen=True)
class Cell:
    """A corpus, how many of its characters are used, and a time."""

    name: str
    path: Path | str
    characters: int | None
    time: str


def main() -> None:
    """Runs each cell of the grid through the command line and prints validation nats per character."""
    parser = arguments("the defaults against a grid")
    parser.add_argument("corpora", nargs="+", metavar="NAME=PATH[:CHARACTERS]", help="what to learn from")
    parser.add_argument("--times", default="30s,3m")
    parser.add_argument("--only", default=",".join(ALTERNATIVES), help="which alternatives")
    options = parser.parse_args()
    cells = [cell(corpus, time) for corpus, time in itertools.product(options.corpora, options.times.split(","))]
    heading(
        "defaults",
        "seqgen train CORPUS --time TIME with nothing else set, and the same with some settings changed: nats per character on "
        "the validation text, by the network alone. `chosen` should be within 0.02 of the best.",
    )
    for each in cells:
        measure(each, options)


def cell(corpus: str, time: str) -> Cell:
    """From NAME=PATH[:CHARACTERS]."""
    name, _, rest = corpus.partition("=")
    path, _, characters = rest.partition(":")
    if not Path(path).exists() and path not in CARDS:
        sys.exit(f"{path} is missing")
    return Cell(name, path if path in CARDS else Path(path).absolute(), int(characters) if characters else None, time)


def measure(each: Cell, options: argparse.Namespace) -> None:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        corpus = each.path
        if each.characters is not None:
            corpus = Path(scratch, "corpus.txt")
            corpus.write_text(Path(each.path).read_text(encoding="utf-8")[: each.characters], encoding="utf-8")
        figures: dict[str, float] = {}
        places: dict[str, object] = {}
        for name in ["chosen", *(name for name in options.only.split(",") if name != "chosen")]:
            settings = [part.format(**places) for part in ALTERNATIVES[name]]
            asked = [word for setting in settings for word in ("--set", setting)]
            lines, _ = run("train", corpus, "--time", each.time, *asked, "--out", name, folder=Path(scratch))
            last = lines[-1]
            figures[name] = math.log(2) * last["valid"]["bits_per_character_without_recall"]
            if name == "chosen":
                places = neighbours(last["recipe"])
                best_gram = min(bits for model, bits in last["valid"]["baselines"].items() if "gram" in model)
                print(
                    f"{each.name:12} {each.time:>4}  best n-gram    {best_gram * math.log(2):.4f}  {described(last['recipe'])}"
                )
            print(f"{each.name:12} {each.time:>4}  {name:14} {figures[name]:.4f}  {' '.join(settings)}", flush=True)
        best = min(figures, key=lambda name: figures[name])
        print(
            f"{each.name:12} {each.time:>4}  best: {best}; chosen {figures['chosen'] - figures[best]:+.4f}", flush=True
        )


def neighbours(recipe: dict[str, Any]) -> dict[str, object]:
    """The values around those of a recipe."""
    model, tokenizer = recipe["model"], recipe["tokenizer"]
    hidden, dropout = model["hidden"], model["hidden_dropout"]
    less = hidden * 5 // 8 // 16 * 16
    by_pieces = tokenizer["kind"] == "bpe"
    return {
        "less": less,
        "more": hidden * 3 // 2 // 16 * 16,
        "embedding": min(model["embedding"], less),
        "up": round(min(0.6, dropout + 0.15), 3),
        "down": round(max(0.0, dropout - 0.15), 3),
        "kind": "bpe",
        "vocabulary": tokenizer["vocabulary"] * 2 if by_pieces else 512,
        "finer": "bpe" if by_pieces and tokenizer["vocabulary"] > 1024 else "characters",
        "half": tokenizer["vocabulary"] // 2,
        "lanes": max(1, recipe["training"]["lanes"] // 2),
    }


def described(recipe: dict[str, Any]) -> str:
    """What was chosen, in short."""
    model, tokenizer, training = recipe["model"], recipe["tokenizer"], recipe["training"]
    symbols = f"bpe {tokenizer['vocabulary']}" if tokenizer["kind"] == "bpe" else tokenizer["kind"]
    batch = f"{training['lanes']}x{training['window']}, {training['steps']} steps"
    return f"{symbols}, {model['hidden']} units, dropout {model['hidden_dropout']:g} and {model['weight_dropout']:g}, {batch}"


if __name__ == "__main__":
    main()
