"""The models that come with seqgen: makes them, and trains them again to see whether their figures come out the same.

python benchmarks/shipped.py make bach folk         trains each with the defaults, and puts a small copy into checkpoints/shipped
python benchmarks/shipped.py make bach --from RUN   ships what was trained by that very command before
python benchmarks/shipped.py check                  trains each again by its recipe, as many steps, and prints both figures
python benchmarks/shipped.py check --timed          the same by its command: as many steps as fit its time on this machine
python benchmarks/shipped.py show                   measures what is shipped
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import heading, run

from seqgen.checkpoint import Checkpoint
from seqgen.pacing import Budget
from seqgen.predictions import Evaluation
from seqgen.recipe import parse_assignment
from seqgen.shipping import LARGEST, ship, size_of

MODELS: dict[str, tuple[str, ...]] = {
    "bach": ("bach",),
    "folk": ("folk",),
    "python": ("python",),
    "prose": ("manual",),
    "replies": ("replies", "tokenizer.vocabulary=2000", "model.hidden=128", "model.embedding=128"),
}
"""The models; of each the card that it learns from, and where need be what is set besides the defaults: `section.key=value`. By
default `replies` has 6.4 million numbers, twice what fits."""
TIME = "10m"
SHIPPED = Path(__file__).parent.parent / "checkpoints" / "shipped"
ROW = "{:8} {:5} {:15} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>6} {:>6}  {}"


def main() -> None:
    """Does what is asked with the models that are named."""
    parser = argparse.ArgumentParser(description="the models that come with seqgen")
    parser.add_argument("what", choices=("make", "check", "show"))
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"{', '.join(MODELS)}; default: all, of check and show those that are there",
    )
    parser.add_argument("--timed", action="store_true", help="check: for the time of the command, not for its steps")
    parser.add_argument("--from", dest="trained", type=Path, metavar="FOLDER", help="a checkpoint; default: train one")
    options = parser.parse_args()
    if unknown := set(options.names) - set(MODELS):
        sys.exit(f"there is no {', '.join(unknown)}; there are: {', '.join(MODELS)}")
    there = [name for name in MODELS if (SHIPPED / name).is_dir()]
    names = options.names or (list(MODELS) if options.what == "make" else there)
    if options.trained and len(names) != 1:
        sys.exit("--from is one model: name it")
    if options.what != "make" and (missing := set(names) - set(there)):
        sys.exit(f"{', '.join(missing)} is not in {SHIPPED}; make it first")
    if options.what == "show":
        show(names)
    elif options.what == "check":
        check(names, options.trained, options.timed)
    else:
        for name in names:
            make(name, options.trained)


def command(name: str) -> list[str]:
    """What makes a model, all that follows `seqgen`."""
    card, *assignments = MODELS[name]
    return ["train", card, "--time", TIME, "--name", name, *(part for each in assignments for part in ("--set", each))]


def repetition(name: str) -> list[str]:
    """What makes a model with the steps that it took, likewise."""
    return ["train", "--recipe", name, "--name", f"{name}-again"]


@contextmanager
def trained(name: str, folder: Path | None, by: list[str]) -> Iterator[Path]:
    """The checkpoint of a training by the command of a model: this one, or a new one in a temporary folder."""
    if folder is not None:
        checkpoint = Checkpoint(folder)
        budget = Budget.parse(TIME, None, None)
        assert budget is not None
        card, *assignments = MODELS[name]
        recipe = checkpoint.recipe.to_dict()
        settings = [parse_assignment(each) for each in assignments]
        differ = [each for each in settings if recipe[each[0]][each[1]] != each[2]]
        if differ or recipe["corpus"]["sources"] != (card,) or checkpoint.manifest.budget != budget.to_dict():
            sys.exit(f"{folder} was not made by: seqgen {' '.join(command(name))}")
        yield folder.absolute()
        return
    with tempfile.TemporaryDirectory() as scratch:
        _, seconds = run(*by, folder=Path(scratch))
        print(f"seqgen {' '.join(by)}: {seconds:.0f} s", flush=True)
        yield Path(scratch, "checkpoints", by[-1] if "--recipe" in by else name)


def make(name: str, folder: Path | None) -> None:
    """Trains a model and ships it."""
    heading(
        f"{name}, to come with seqgen",
        f"seqgen {' '.join(command(name))}; then its weights are rounded to bfloat16, and validation and test text are measured "
        "with the rounded ones.",
    )
    with trained(name, folder, command(name)) as path:
        before = Checkpoint(path).manifest.metrics["valid"]
        figures = ship(Checkpoint(path), SHIPPED / name, f"seqgen {' '.join(command(name))}")
    for split, figure in figures.items():
        print(f"{split}: {told(figure)}")
    print(f"valid before the weights were rounded: {before[before['unit']]:.4f}")
    size = size_of(SHIPPED / name)
    print(f"{SHIPPED.name}/{name}: {size / 1e6:.2f} MB", flush=True)
    if size > LARGEST:
        sys.exit(f"that is more than {LARGEST / 1e6:.0f} MB, and too large to come with seqgen")


def told(figure: Evaluation) -> str:
    """A figure in words, beside those of the baselines."""
    others = ", ".join(f"{name} {value:.3f}" for name, value in figure.baselines.items())
    alone = f" ({figure.value_without_recall:.4f} without what it recalls)"
    return (
        f"{figure.value:.4f} {figure.unit.name}{alone if figure.nats != figure.nats_without_recall else ''}; {others}"
    )


def check(names: list[str], folder: Path | None, timed: bool) -> None:
    """Trains again, and prints the figures of what is shipped and of what came out."""
    how = f"command, seqgen train CARD --time {TIME} --name NAME" if timed else "recipe, seqgen train --recipe NAME"
    heading(
        "Shipped models, trained again",
        f"each by its {how}, in an empty folder; both measured by seqgen eval "
        "on the test split, in the model's unit. 'again' has float32 weights. 'recorded': what seqgen info says of the shipped "
        "one. BLEU: of 1,000 answers.",
    )
    head("again", "more")
    for name in names:
        with trained(name, folder, command(name) if timed else repetition(name)) as path:
            again = measured(str(path))
        row(name, again)


def show(names: list[str]) -> None:
    """Prints the figures of what is shipped."""
    heading(
        "Shipped models",
        "seqgen eval NAME --json in an empty folder: the test split, in the model's unit. 'recorded': what seqgen info says. "
        "BLEU: of 1,000 answers.",
    )
    head("", "")
    for name in names:
        row(name)


def measured(name: str) -> dict[str, Any]:
    """What `seqgen eval` says, in an empty folder."""
    with tempfile.TemporaryDirectory() as scratch:
        (result,), _ = run("eval", name, folder=Path(scratch))
    return result


def head(again: str, more: str) -> None:
    """Prints what the columns are."""
    print(
        ROW.format(
            "model", "split", "unit", "recorded", "shipped", again, more, "alone", "n-gram", "BLEU", "MB", "others"
        )
    )


def row(name: str, again: dict[str, Any] | None = None) -> None:
    """Prints the figures of a shipped model, and of one that was trained again."""
    found = measured(name)
    unit, split = found["unit"], found["split"]
    recorded = Checkpoint(SHIPPED / name).manifest.metrics[split][unit]
    best = min(value for baseline, value in found["baselines"].items() if "gram" in baseline)
    compared = ("", "") if again is None else (f"{again[unit]:.4f}", f"{again[unit] - found[unit]:+.4f}")
    bleu, others = "", []
    if "replies" in found:
        bleu = f"{found['replies']['model']['bleu']:.2f}"
        others = [f"BLEU again {again['replies']['model']['bleu']:.2f}"] if again else []
        others += [
            f"BLEU {who} {each['bleu']:.2f}"
            for who, each in found["replies"].items()
            if who != "model" and each["bleu"]
        ]
    others += [f"{baseline} {value:.3f}" for baseline, value in found["baselines"].items() if value != best]
    figures = (
        f"{recorded:.4f}",
        f"{found[unit]:.4f}",
        *compared,
        f"{found[f'{unit}_without_recall']:.4f}",
        f"{best:.4f}",
    )
    size = size_of(SHIPPED / name) / 1e6
    print(
        ROW.format(name, split, unit.replace("_per_", "/"), *figures, bleu, f"{size:.2f}", ", ".join(others)),
        flush=True,
    )


if __name__ == "__main__":
    main()
