"""What the benchmarks share: they call the shipped command line and print protocol, machine and versions."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from seqgen import __version__
from seqgen.machine import describe

SEQGEN = [sys.executable, "-m", "seqgen"]
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
"""Of texts that are made by chance."""


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("../shared/data"),
        help="folder with the public texts (default ../shared/data)",
    )
    return parser


def text(data: Path, name: str) -> Path:
    """A public text, or a plain word that it is missing."""
    path = data / "text" / name
    if not path.is_file():
        sys.exit(f"{path} is missing: this benchmark needs it. Name the folder that has text/{name} with --data.")
    return path.absolute()


def heading(title: str, protocol: str) -> None:
    """Prints what is measured, how, where and with which versions."""
    print(f"## {title}\n{protocol}\nseqgen {__version__}; {describe()}\n", flush=True)


def run(*command: str | Path, folder: Path) -> tuple[list[dict[str, Any]], float]:
    """Runs `seqgen ... --json` in a folder: the objects that it printed, and its wall time in seconds."""
    start = time.perf_counter()
    done = subprocess.run(
        [*SEQGEN, *map(str, command), "--json", "-q"], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"seqgen {' '.join(map(str, command))} failed:\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()], time.perf_counter() - start
