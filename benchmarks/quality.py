"""Quality per minute: a timed training with the shipped defaults, and what the validation text then costs."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from common import arguments, heading, run, text

FAST_TARGET = 1.886
"""Nats per character: what nanoGPT's recipe for a processor reaches on this kind of machine."""


def main() -> None:
    """Trains on tiny-shakespeare and prints nats per character over the whole validation text, and how fast it got there."""
    parser = arguments("tiny-shakespeare: validation nats per character after a time")
    parser.add_argument("--time", default="3m")
    parser.add_argument("--random-seeds", type=int, default=1, help="how many random seeds, counted from 0")
    options = parser.parse_args()
    corpus = text(options.data, "tinyshakespeare.txt")
    heading(
        "tiny-shakespeare",
        f"seqgen train tinyshakespeare.txt --time {options.time} --set corpus.split=90/10/0; nats per character over the whole "
        f"validation text (the last 10 %), state carried. 'below {FAST_TARGET}' is the training time at the first look under it.",
    )
    names = (
        f"{'seed':>4}  {'nats/char':>9}  {'bits/char':>9}  {'6-gram':>6}  {'steps':>6}  {'symbols/s':>9}  {'wall s':>6}"
    )
    print(f"{names}  below {FAST_TARGET}")
    figures = []
    with tempfile.TemporaryDirectory() as scratch:
        split = ("--set", "corpus.split=90/10/0")  # a first preparation of the corpus is not counted
        run("train", corpus, "--steps", "1", *split, "--out", "prepare", folder=Path(scratch))
        for seed in range(options.random_seeds):
            asked = [
                "train",
                corpus,
                "--time",
                options.time,
                "--set",
                "corpus.split=90/10/0",
                "--random-seed",
                str(seed),
                "--out",
                f"run-{seed}",
            ]
            lines, wall = run(*asked, folder=Path(scratch))
            *looks, last = lines
            valid = last["valid"]
            below = next(
                (f"{look['seconds']:.1f} s" for look in looks if (look["valid_nats"] or 9) < FAST_TARGET), "never"
            )
            figures.append(valid["nats_per_character"])
            print(
                f"{seed:4}  {figures[-1]:9.4f}  {valid['bits_per_character']:9.4f}  {valid['baselines']['6-gram']:6.3f}  "
                f"{last['steps']:6}  {last['symbols_per_second']:9.0f}  {wall:6.1f}  {below}",
                flush=True,
            )
    if len(figures) > 1:
        print(f"mean {statistics.mean(figures):.4f}, from {min(figures):.4f} to {max(figures):.4f}")


if __name__ == "__main__":
    main()
