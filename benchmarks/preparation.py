"""A large corpus: how fast one file becomes ids, and how much memory that takes."""

from __future__ import annotations

import os
import random
import re
import subprocess
import tempfile
import textwrap
import time
from pathlib import Path

from common import SEQGEN, arguments, heading

WORDS = (
    "the",
    "of",
    "and",
    "river",
    "stone",
    "light",
    "morning",
    "before",
    "under",
    "letter",
    "answer",
    "window",
    "garden",
)


def main() -> None:
    """Writes a text, runs `seqgen corpus stats` on it twice, and prints the rates and the peak of private memory."""
    parser = arguments("a large text file to ids")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--tokenizer", default="characters")
    options = parser.parse_args()
    heading(
        f"{options.megabytes} MB in one file",
        f"seqgen corpus stats FILE --tokenizer {options.tokenizer} with an empty cache, and again: whole process, start and "
        "summary included; memory is the "
        "largest sum of private pages (Private_Clean + Private_Dirty of /proc/PID/smaps_rollup, asked every 50 ms).",
    )
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "large.txt")
        write(path, options.megabytes)
        path.read_bytes()[:1]  # so that the disk is not what is measured
        for name in ("prepared", "found in the cache"):
            seconds, private = measure(path, Path(scratch, "cache"), options.tokenizer)
            rate = path.stat().st_size / 1e6 / seconds
            print(f"{name:18}  {seconds:6.1f} s  {rate:8.0f} MB/s  {private / 1e6:6.0f} MB private", flush=True)


def write(path: Path, megabytes: int) -> None:
    """A text of made-up sentences, with some characters that are not ASCII."""
    generator = random.Random(0)
    sentences = (
        " ".join(generator.choices(WORDS, k=generator.randint(4, 14))).capitalize() + generator.choice(".!?")
        for _ in range(20_000)
    )
    block = textwrap.fill(" ".join(sentences), 72) + "\n\nCaf\u00e9 na\u00efve \u2014 \u201cquoted\u201d\n\n"
    data = block.encode()
    with path.open("wb") as file:
        while file.tell() < megabytes * 1_000_000:
            file.write(data)


def measure(path: Path, cache: Path, tokenizer: str) -> tuple[float, int]:
    """Seconds and the peak of private memory in bytes."""
    start, peak = time.perf_counter(), 0
    environment = {**os.environ, "SEQGEN_CACHE": str(cache)}
    process = subprocess.Popen(
        [*SEQGEN, "corpus", "stats", str(path), "--tokenizer", tokenizer], stdout=subprocess.DEVNULL, env=environment
    )
    while process.poll() is None:
        peak = max(peak, private_memory(process.pid))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit("seqgen corpus stats failed")
    return time.perf_counter() - start, peak


def private_memory(pid: int) -> int:
    """Bytes of memory that a process has to itself; 0 where this system does not tell."""
    try:
        pages = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return 1024 * sum(int(kilobytes) for kilobytes in re.findall(r"^Private_(?:Clean|Dirty): +(\d+)", pages, re.M))


if __name__ == "__main__":
    main()
