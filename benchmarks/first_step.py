"""How long a training takes to begin: from the command to its first step."""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from common import SEQGEN, arguments, heading, text


def begin(command: list[str], folder: Path) -> float:
    """Seconds from a command to the first step of its training, which is interrupted then."""
    start = time.monotonic()
    with subprocess.Popen(
        [*SEQGEN, *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            if told.get("step"):  # what it prints first, some steps later, says how long ago the first of them began
                seconds = time.monotonic() - start - float(told["seconds"])
                process.send_signal(signal.SIGINT)
                break
        process.stdout.read()
    return seconds


def main() -> None:
    """Begins trainings on a text and on a card, and prints how long that took."""
    parser = arguments("seconds from `seqgen train` to the first step, the corpus prepared before")
    parser.add_argument("--times", type=int, default=7, help="how often each (default 7)")
    options = parser.parse_args()
    heading(
        "First step",
        f"seqgen train CORPUS --time 3m --json, {options.times} times each after a first that is not counted; wall time until "
        "the first line of progress, less the seconds of training that it tells.",
    )
    print(f"{'corpus':24}  {'median s':>8}  {'worst s':>7}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for number, corpus in enumerate((str(text(options.data, "tinyshakespeare.txt")), "python", "bach", "replies")):
            _, *took = [  # the first prepares the corpus
                begin(["train", corpus, "--time", "3m", "--json", "-q", "--out", f"run-{number}-{each}"], folder)
                for each in range(options.times + 1)
            ]
            print(f"{Path(corpus).name:24}  {statistics.median(took):8.2f}  {max(took):7.2f}", flush=True)


if __name__ == "__main__":
    main()
