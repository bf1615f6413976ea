"""`seqgen sample --check` on a large corpus: what the first look costs, and each one after it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import SEQGEN, arguments, heading
from preparation import private_memory

SUFFIXES = {".py", ".h", ".hpp"}
LENGTH, SAMPLES, AGAIN = 500, 20, 3


def main() -> None:
    """Gathers sources, trains on them for a moment, and prints seconds, memory and what is ordinary."""
    parser = arguments("originality of samples from a large corpus")
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--text", type=Path, help="a file to learn from instead of this machine's Python and C sources")
    parser.add_argument("--tokenizer", default="characters")
    parser.add_argument("--steps", type=int, default=20, help="of the training")
    options = parser.parse_args()
    what = options.text.name if options.text else f"{options.megabytes} MB of this machine's Python and C sources"
    heading(
        f"Originality: {what}",
        f"seqgen train --kind text --set corpus.split=99.8/0.1/0.1 --steps {options.steps}; then seqgen sample --check "
        f"-n {LENGTH} --count {SAMPLES} with nothing kept of its passages, and {AGAIN} times again. Seconds are of the whole "
        "process; the first look costs what it takes longer than the others' median. Memory is the largest sum of private "
        "pages (Private_Clean + Private_Dirty of /proc/PID/smaps_rollup, asked every 20 ms). A lookup is a sample's own, as "
        "--json tells it.",
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        corpus = options.text.absolute() if options.text else gather(folder / "sources", options.megabytes)
        environment = {**os.environ, "SEQGEN_CACHE": str(folder / "cache")}
        train = ["train", str(corpus), "--kind", "text", "--name", "m", "--steps", str(options.steps), "-q"]
        small = [
            "--set",
            "corpus.split=99.8/0.1/0.1",
            "--tokenizer",
            options.tokenizer,
            "--set",
            "model.hidden=64",
            "--set",
            "model.layers=1",
            "--set",
            "model.embedding=16",
        ]
        subprocess.run([*SEQGEN, *train, *small], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        runs = [check(folder, environment, number) for number in range(1 + AGAIN)]
        plain = statistics.median(seconds for _, seconds, _ in runs[1:])
        for name, (_, seconds, memory) in zip(["first", *["again"] * AGAIN], runs, strict=True):
            print(f"{name}: {seconds:6.1f} s, {memory / 1e6:6.0f} MB private")
        print(f"the first look costs {runs[0][1] - plain:.1f} s and {(runs[0][2] - runs[1][2]) / 1e6:.0f} MB, once")
        lookups = [each["seconds"] * 1000 for found, _, _ in runs[1:] for each in found]
        print(f"a lookup of {LENGTH} characters: {statistics.median(lookups):.0f} ms, {max(lookups):.0f} ms at most")
        tell(runs[-1][0])


def gather(folder: Path, megabytes: int) -> Path:
    """Copies source files into a folder until they are as large as that."""
    folder.mkdir()
    size = 0
    for number, path in enumerate(sources()):
        data = path.read_bytes()
        if b"\0" in data or not data.strip():
            continue
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            continue
        (folder / f"{number:06d}-{path.name}.txt").write_bytes(data)
        size += len(data)
        if size >= megabytes * 1_000_000:
            return folder
    sys.exit(f"there are only {size / 1e6:.0f} MB of sources on this machine: ask for less with --megabytes")


def sources() -> Iterator[Path]:
    """The files of Python's library, of installed packages and of /usr/include, in an order that stays."""
    roots = [sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), "/usr/lib/python3", "/usr/include"]
    for root in dict.fromkeys(roots):
        paths = (path for path in Path(root).rglob("*") if path.suffix in SUFFIXES and path.is_file())
        yield from sorted(paths)


def check(folder: Path, environment: dict[str, str], random_seed: int) -> tuple[list[dict[str, Any]], float, int]:
    """What --check says of each sample, the seconds of the process, and its peak of private memory in bytes."""
    command = ["sample", "m", "--check", "-n", str(LENGTH), "--count", str(SAMPLES), "--random-seed", str(random_seed)]
    start, peak = time.perf_counter(), 0
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([*SEQGEN, *command, "--json", "-q"], cwd=folder, env=environment, stdout=out)
        while process.poll() is None:
            peak = max(peak, private_memory(process.pid))
            time.sleep(0.02)
        seconds = time.perf_counter() - start
        if process.returncode:
            sys.exit("seqgen sample failed")
        out.seek(0)
        return [json.loads(line)["originality"] for line in out.read().splitlines()], seconds, peak


def tell(found: list[dict[str, Any]]) -> None:
    """Prints what is ordinary, and what the samples have."""
    known = found[0]["held_out"]
    longest = [each["longest"]["length"] if each["longest"] else 0 for each in found]
    print(f"longest runs of {len(longest)} samples: {statistics.mean(longest):.1f} on average, {max(longest)} at most")
    print(f"of {known['stretches']} held-out stretches: {known['mean']:.1f} on average, {known['longest']} at most")
    for n, theirs in known["shares"].items():
        ours = [each["shares"][n] for each in found if each["shares"][n] is not None]
        if ours and theirs is not None:
            print(f"share of known {n}-grams: {100 * statistics.mean(ours):.2f} %; held-out {100 * theirs:.2f} %")


if __name__ == "__main__":
    main()
