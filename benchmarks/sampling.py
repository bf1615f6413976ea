"""Speed of sampling one stream, of the first symbol on screen, and of `seqgen --help`."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from common import SEQGEN, arguments, heading, run, text
from torch import nn

from seqgen.machine import default_threads

LENGTH = {256: 3000, 512: 1500}
RUNS = 5


def stock_rate(hidden: int, symbols: int, seconds: float = 3.0) -> float:
    """Symbols per second of stepping `nn.Embedding`, `nn.LSTM` and `nn.Linear` as they come, drawing with torch.multinomial."""
    torch.set_num_threads(default_threads())
    embedding, lstm, output = nn.Embedding(symbols, hidden), nn.LSTM(hidden, hidden, 2), nn.Linear(hidden, symbols)
    rates = []
    with torch.no_grad():
        ids, state = torch.zeros(1, 1, dtype=torch.long), None
        for _ in range(RUNS):
            start, count = time.perf_counter(), 0
            while time.perf_counter() - start < seconds / RUNS:
                values, state = lstm(embedding(ids), state)
                ids = torch.multinomial((output(values[-1]) / 0.8).softmax(-1), 1)
                count += 1
            rates.append(count / (time.perf_counter() - start))
    return statistics.median(rates)


def first_symbol(checkpoint: str, folder: Path) -> float:
    """Seconds from the start of `seqgen sample` to the first byte on its stdout after the seed's."""
    start = time.perf_counter()
    command = [*SEQGEN, "sample", checkpoint, "-q", "-n", "50"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        seconds = time.perf_counter() - start
        process.stdout.read()
    return seconds


def help_seconds() -> float:
    """Wall seconds of `seqgen --help`."""
    start = time.perf_counter()
    subprocess.run([*SEQGEN, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Prints each figure as the median of several runs."""
    options = arguments("sampling speed").parse_args()
    corpus = text(options.data, "tinyshakespeare.txt")
    heading(
        "Sampling",
        f"seqgen sample --json on a model of two layers (its own clock: seconds of the sample, without loading), median of "
        f"{RUNS} runs, against stepping nn.LSTM (embedding of H, two layers, float32, no_grad) in the same minute.",
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for hidden, length in LENGTH.items():
            name = f"checkpoints/h{hidden}"
            run("train", corpus, "--steps", "40", "--set", f"model.hidden={hidden}", "--out", name, folder=folder)
            rates = []
            for seed in range(RUNS):
                lines, _ = run("sample", name, "-n", str(length), "--random-seed", str(seed), folder=folder)
                assert lines[0]["stopped_by"] == "length", "a sample that ends by itself says little about speed"
                rates.append(lines[0]["symbols"] / lines[0]["seconds"])
            ours, stock = statistics.median(rates), stock_rate(hidden, 81)
            print(
                f"H={hidden}: {ours:,.0f} symbols/s, nn.LSTM stepped {stock:,.0f} symbols/s, {ours / stock:.1f} times",
                flush=True,
            )
        seconds = statistics.median(first_symbol("h256", folder) for _ in range(RUNS))
        print(f"first symbol on screen: {seconds:.2f} s after the start")
    print(f"seqgen --help: {statistics.median(help_seconds() for _ in range(RUNS)):.3f} s")


if __name__ == "__main__":
    main()
