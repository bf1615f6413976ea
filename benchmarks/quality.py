"""Quality per minute: a timed training with the shipped defaults, and what held-out text then costs."""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import arguments, heading, run, text

FAST_TARGET = 1.886
"""Nats per character: what nanoGPT's recipe for a processor reaches on this kind of machine."""


@dataclass(frozen=True)
class Case:
    """A corpus with the split that its published figures use; None: the program's own."""

    source: str
    split: str | None
    measured: str


CASES = {
    "tiny-shakespeare": Case("tinyshakespeare.txt", "90/10/0", "valid"),
    "war-and-peace": Case("warandpeace.txt", "80/10/10", "test"),
    "python": Case("python", None, "test"),
}


def main() -> None:
    """Trains and prints bits and nats per character beside the best n-gram and xz, and how fast it got there."""
    parser = arguments("held-out bits per character after a time, with nothing else set")
    parser.add_argument("corpus", nargs="?", default="tiny-shakespeare", help=f"{', '.join(CASES)}, or a path")
    parser.add_argument("--time", default="3m")
    parser.add_argument("--random-seeds", type=int, default=1, help="how many random seeds, counted from 0")
    parser.add_argument("--set", action="append", default=[], metavar="section.key=value", help="besides the defaults")
    parser.add_argument("--curve", action="store_true", help="print what each look at the validation text said, too")
    parser.add_argument("--keep", type=Path, help="keep the checkpoints in this folder")
    options = parser.parse_args()
    case = CASES.get(options.corpus, Case(options.corpus, None, "test"))
    corpus = (
        text(options.data, case.source) if case.source.endswith(".txt") and options.corpus in CASES else case.source
    )
    if options.corpus not in CASES and not Path(corpus).exists():
        sys.exit(f"{corpus} is missing")
    if Path(corpus).exists():
        corpus = Path(corpus).absolute()
    settings = [*options.set, *([f"corpus.split={case.split}"] if case.split else [])]
    asked = [part for setting in settings for part in ("--set", setting)]
    heading(
        options.corpus,
        f"seqgen train {case.source} --time {options.time} {' '.join(asked)}; then seqgen eval --split {case.measured}: the "
        "whole split, state carried (of validation text with recall: what the training says). "
        "'alone': the network without what it recalls of the document. "
        f"'below {FAST_TARGET}': training time at the first look under it, in nats per character.",
    )
    print(
        "seed  nats/char  bits/char  below n-gram | alone: nats/char  bits/char  below n-gram |  best n-gram      xz -9  "
        f"symbols/s  wall s  below {FAST_TARGET}"
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep.absolute() if options.keep else Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        run("train", corpus, "--steps", "1", *asked, "--out", str(Path(scratch, "prepare")), folder=folder)
        figures = []
        for seed in range(options.random_seeds):
            out = f"run-{seed}"
            command = ["train", corpus, "--time", options.time, *asked, "--random-seed", str(seed), "--out", out]
            lines, wall = run(*command, folder=folder)
            [result], _ = run("eval", out, "--split", case.measured, folder=folder)
            figures.append(math.log(2) * result["bits_per_character_without_recall"])
            _report(seed, lines, result, wall)
            if options.curve:
                print(f"      {_curve(lines)}", flush=True)
    if len(figures) > 1:
        print(f"alone: mean {statistics.mean(figures):.4f} nats, from {min(figures):.4f} to {max(figures):.4f}")


def _report(seed: int, lines: list[dict[str, Any]], result: dict[str, Any], wall: float) -> None:
    *looks, last = lines
    baselines = result["baselines"]
    name, best = min(((name, bits) for name, bits in baselines.items() if "gram" in name), key=lambda item: item[1])
    bits, alone = result["bits_per_character"], result["bits_per_character_without_recall"]
    if result["split"] == "valid":  # from which recall was learned: the training's own figure is cross-validated
        bits = last["valid"]["bits_per_character"]
    per_character = last["valid"]["nats_per_character"] / last["valid"]["nats_per_symbol"]
    below = (look["seconds"] for look in looks if (look["valid_nats"] or 99) * per_character < FAST_TARGET)
    print(
        f"{seed:4}  {bits * math.log(2):9.4f}  {bits:9.4f}  {1 - bits / best:12.1%} | {alone * math.log(2):16.4f}  {alone:9.4f}  "
        f"{1 - alone / best:12.1%} |  {best:6.3f} {name:>9}  "
        f"{baselines.get('xz -9', float('nan')):6.3f}  {last['symbols_per_second']:9.0f}  {wall:6.1f}  "
        f"{next((f'{seconds:.1f} s' for seconds in below), 'never')}",
        flush=True,
    )


def _curve(lines: list[dict[str, Any]]) -> str:
    """Seconds of training and validation nats per character at each look, of the averaged weights, calibrated."""
    *looks, last = lines
    per_character = last["valid"]["nats_per_character"] / last["valid"]["nats_per_symbol"]
    read = [look for look in looks if look["valid_nats"]]
    return ", ".join(f"{look['seconds']:.0f} s {look['valid_nats'] * per_character:.3f}" for look in read)


if __name__ == "__main__":
    main()
