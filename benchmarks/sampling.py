"""Speed of sampling: one stream beside what memory allows, all rules together, a thousand samples, the first symbol."""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from common import SEQGEN, arguments, heading, run, text
from torch import nn

from seqgen.machine import default_threads
from seqgen.native.compiling import SWITCH

LENGTH = {256: 6000, 512: 2000}
RUNS = 7
SAMPLES, EACH = 1000, 500
SYMBOLS = 81
"""Of this text."""
RULES = (
    *("--top-k", "40", "--top-p", "0.97", "--min-p", "0.005", "--repetition-penalty", "1.05", "--no-repeat", "24"),
    *("--ban", "wherefore", "--prefer", "love", "--min-length", "100", "-t", "0.7..0.9"),
)


def stock_rate(hidden: int, symbols: int, streams: int, seconds: float = 3.0) -> float:
    """Symbols per second of stepping `nn.Embedding`, `nn.LSTM` and `nn.Linear` as they come, drawing with torch.multinomial."""
    torch.set_num_threads(default_threads())
    embedding, lstm, output = nn.Embedding(symbols, hidden), nn.LSTM(hidden, hidden, 2), nn.Linear(hidden, symbols)
    rates = []
    with torch.no_grad():
        ids, state = torch.zeros(1, streams, dtype=torch.long), None
        for _ in range(RUNS):
            start, count = time.perf_counter(), 0
            while time.perf_counter() - start < seconds / RUNS:
                values, state = lstm(embedding(ids), state)
                ids = torch.multinomial((output(values[-1]) / 0.8).softmax(-1), 1).t()
                count += streams
            rates.append(count / (time.perf_counter() - start))
    return statistics.median(rates)


def bandwidth(size: int, threads: int) -> float:
    """Bytes per second at which a buffer of so many bytes is read again and again: the best of many sums over it."""
    torch.set_num_threads(threads)
    buffer, best = torch.ones(size // 4), float("inf")
    for _ in range(40):
        start = time.perf_counter()
        for _ in range(20):
            buffer.sum()
        best = min(best, (time.perf_counter() - start) / 20)
    return size / best


def rates(checkpoint: str, folder: Path, *options: str) -> list[float]:
    """Symbols per second of one sample, run by run, by the program's own clock."""
    found: list[float] = []
    for seed in itertools.count():
        lines, _ = run("sample", checkpoint, "--random-seed", str(seed), *options, folder=folder)
        if lines[0]["stopped_by"] == "length":  # one that ends by itself says little about speed
            found.append(lines[0]["symbols"] / lines[0]["seconds"])
        if len(found) == RUNS:
            return found
    raise AssertionError


def many_rate(checkpoint: str, folder: Path, *options: str) -> tuple[float, float | None]:
    """Symbols per second of a thousand samples, by the program's own clock; and the divergence of their weights."""
    found = []
    for seed in range(3):
        command = "sample", checkpoint, "--count", str(SAMPLES), "-n", str(EACH), "--random-seed", str(seed)
        lines, _ = run(*command, *options, folder=folder)
        found.append(sum(line["symbols"] for line in lines) / max(line["seconds"] for line in lines))
    return statistics.median(found), lines[0]["divergence"]


def one_stream(name: str, hidden: int, folder: Path) -> None:
    """Prints what one stream does in each precision, beside what memory allows and what torch does."""
    weights = 4 * (12 * hidden * hidden + SYMBOLS * hidden)
    for precision, size in (("float32", weights), ("int8", weights // 4)):
        length = str(LENGTH[hidden] if precision == "float32" else 3 * LENGTH[hidden])
        found = rates(name, folder, "-n", length, "--precision", precision)
        bounds = [max(bandwidth(size, threads) for _ in range(3)) / size for threads in (1, 2)]
        lines, _ = run("sample", name, "-n", "9", "--precision", precision, folder=folder)
        strays = "" if lines[0]["divergence"] is None else f"; KL from float32 {lines[0]['divergence']:.1e} nats/symbol"
        ours = statistics.median(found)
        print(
            f"H={hidden} {precision} ({size / 1e6:.1f} MB a step): {ours:,.0f} symbols/s "
            f"({min(found):,.0f} to {max(found):,.0f}), "
            f"{100 * ours / bounds[0]:.0f} % of what one core reads ({bounds[0] * size / 1e9:.0f} GB/s: {bounds[0]:,.0f}/s), "
            f"{100 * ours / bounds[1]:.0f} % of what two read ({bounds[1] * size / 1e9:.0f} GB/s){strays}",
            flush=True,
        )
        if precision == "float32":
            plain, stock = ours, stock_rate(hidden, SYMBOLS, 1)
    bent = statistics.median(rates(name, folder, "-n", str(LENGTH[hidden]), *RULES, "--precision", "float32"))
    print(f"H={hidden} float32, all rules on: {bent:,.0f} symbols/s, {100 * (1 - bent / plain):.0f} % slower")
    print(f"H={hidden} nn.LSTM stepped as it comes: {stock:,.0f} symbols/s; ours is {plain / stock:.1f} times as fast")
    os.environ[SWITCH] = "off"
    torch_rate = statistics.median(rates(name, folder, "-n", "2000"))
    torch_bent = statistics.median(rates(name, folder, "-n", "2000", *RULES))
    del os.environ[SWITCH]
    slower = 100 * (1 - torch_bent / torch_rate)
    print(
        f"H={hidden} without the compiled path: {torch_rate:,.0f} symbols/s, all rules on {slower:.0f} % slower",
        flush=True,
    )


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
        f"seqgen sample --json on models of two layers of H, trained for 40 steps on characters (its own clock: seconds of "
        f"drawing, without loading), median of {RUNS} runs, of many samples of 3. The bound: the bytes of all weights that a "
        "step multiplies, read at the best rate at which torch sums a buffer of that size. Beside it nn.Embedding, nn.LSTM "
        "and nn.Linear (float32, no_grad) in the same minute.",
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for hidden in LENGTH:
            name = f"checkpoints/h{hidden}"
            run("train", corpus, "--steps", "40", "--set", f"model.hidden={hidden}", "--out", name, folder=folder)
            one_stream(name, hidden, folder)
        stock = stock_rate(256, SYMBOLS, 1024)
        rate, strays = many_rate("h256", folder)
        exact, _ = many_rate("h256", folder, "--precision", "float32")
        print(
            f"{SAMPLES} samples of {EACH} symbols, H=256: {rate:,.0f} symbols/s (KL from float32 {strays or 0:.1e}), float32 "
            f"{exact:,.0f}; nn.LSTM stepped with 1,024 streams {stock:,.0f}",
            flush=True,
        )
        seconds = statistics.median(first_symbol("h256", folder) for _ in range(RUNS))
        print(f"first symbol on screen: {seconds:.2f} s after the start")
    print(f"seqgen --help: {statistics.median(help_seconds() for _ in range(RUNS)):.3f} s")


if __name__ == "__main__":
    main()
