"""Time and memory that `seqgen score` takes for a sentence and for a megabyte of text."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import SEQGEN, arguments, heading, run, text

SENTENCE = "The wether was colde that night."
MEGABYTE = 1_000_000


def main() -> None:
    """Trains a model briefly and scores a sentence and a megabyte with it, each way that a result can go."""
    parser = arguments("scoring speed")
    parser.add_argument("--hidden", type=int, default=256, help="units of each of the two layers (default 256)")
    options = parser.parse_args()
    corpus = text(options.data, "tinyshakespeare.txt")
    heading(
        "Scoring",
        f"seqgen score, wall time of the whole command with its start, on a model of two layers of {options.hidden} that was "
        "trained for 40 steps on tinyshakespeare. "
        "Its peak memory is its resident set.",
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        settings = ("--steps", "40", "--set", f"model.hidden={options.hidden}", "--out", "checkpoints/it")
        run("train", corpus, *settings, folder=folder)
        (folder / "long.txt").write_text(corpus.read_text(encoding="utf-8")[:MEGABYTE], encoding="utf-8")
        long = ("--file", "long.txt")
        for name, command in {
            "a sentence": (SENTENCE,),
            "a sentence, and what comes next": (SENTENCE, "--next", "5"),
            "a megabyte, a line for each symbol": long,
            "a megabyte, JSON": (*long, "--json"),
            "a megabyte, a page": (*long, "--html", "page.html"),
        }.items():
            start = time.perf_counter()
            process = subprocess.Popen([*SEQGEN, "score", "it", *command, "-q"], cwd=folder, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            seconds, peak = time.perf_counter() - start, usage.ru_maxrss / 1024
            if status:
                sys.exit(f"seqgen score failed for {name}")
            print(f"{name}: {seconds:.1f} s, peak memory {peak:,.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
