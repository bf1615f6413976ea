"""Large corpora, one file and a list of many lines: how fast they become ids, and how much memory that takes."""

from __future__ import annotations

import os
import random
import re
import subprocess
import tempfile
import textwrap
import time
from pathlib import Path

from common import SEQGEN, WORDS, arguments, heading


def main() -> None:
    """Writes texts, runs `seqgen corpus stats` on each twice, and prints the rates and the peak of private memory."""
    parser = arguments("large text files to ids")
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the list in which each is a document")
    parser.add_argument("--tokenizer", default="characters")
    options = parser.parse_args()
    heading(
        f"{options.megabytes} MB in one file, and a list of {options.lines:,} lines",
        f"seqgen corpus stats FILE --tokenizer {options.tokenizer} with an empty cache, and again: whole process, start and "
        "summary included; memory is the "
        "largest sum of private pages (Private_Clean + Private_Dirty of /proc/PID/smaps_rollup, asked every 50 ms).",
    )
    with tempfile.TemporaryDirectory() as scratch:
        text, titles = Path(scratch, "text.txt"), Path(scratch, "titles.txt")
        write(text, options.megabytes)
        write_titles(titles, options.lines)
        for path, documents in ((text, "file"), (titles, "line")):
            path.read_bytes()[:1]  # so that the disk is not what is measured
            for name in ("prepared", "found in the cache"):
                seconds, private = measure(path, documents, Path(scratch, "cache"), options.tokenizer)
                rate = path.stat().st_size / 1e6 / seconds
                print(
                    f"{path.name:10}  {name:18}  {seconds:6.1f} s  {rate:8.0f} MB/s  {private / 1e6:6.0f} MB private",
                    flush=True,
                )


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


def write_titles(path: Path, lines: int) -> None:
    """A list of made-up titles of about 50 characters, few of which are equal; one in 50 is not ASCII."""
    generator = random.Random(0)
    syllables = ["ka", "lo", "mi", "ner", "sta", "ru", "ven", "ti", "gal", "os", "be", "dra"]
    words = [*WORDS, *("".join(generator.choices(syllables, k=3)) for _ in range(5000))]
    with path.open("w", encoding="utf-8") as file:
        for number in range(lines):
            file.write(" ".join(generator.choices(words, k=7)) + ("\n" if number % 50 else " \u2014 caf\u00e9\n"))


def measure(path: Path, documents: str, cache: Path, tokenizer: str) -> tuple[float, int]:
    """Seconds and the peak of private memory in bytes."""
    start, peak = time.perf_counter(), 0
    environment = {**os.environ, "SEQGEN_CACHE": str(cache)}
    process = subprocess.Popen(
        [*SEQGEN, "corpus", "stats", str(path), "--documents", documents, "--tokenizer", tokenizer],
        stdout=subprocess.DEVNULL,
        env=environment,
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
