"""Damaged music files, with bytes flipped, cut, inserted and lengths enlarged: all must be read or refused with a reason."""

from __future__ import annotations

import argparse
import collections
import io
import random
import re
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from seqgen.errors import DataError
from seqgen.scores.reading import SUFFIXES, File, Read, read_all

UNEXPLAINED = ("crashed the reader", "took longer", "its reader failed")
"""What no damage should lead to."""


def main() -> None:
    """Prints how many were read and, by reason, refused; fails where one of them crashed, hung or was not explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="where to look for music files")
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--largest", type=int, default=100_000, help="bytes of the files to damage")
    parser.add_argument("--keep", type=Path, help="folder for the files that led to something unexplained")
    options = parser.parse_args()
    paths = find(options.folders, options.largest)
    print(f"{options.count} damaged files made from {sum(map(len, paths.values()))}: ", end="", flush=True)
    started = time.perf_counter()
    results: collections.Counter[str] = collections.Counter()
    bad = 0
    for (name, data), result in read(damaged(paths, options.count, options.seed)):
        reason = "read" if isinstance(result, Read) else general(result.what)
        results[reason] += 1
        if any(word in reason for word in UNEXPLAINED):
            bad += 1
            print(f"\n{name}: {result}")
            if options.keep:
                (options.keep / f"{bad}-{name}").write_bytes(data)
    print(f"{time.perf_counter() - started:.0f} s")
    for reason, count in results.most_common():
        print(f"{count:6} {reason}")
    sys.exit(f"{bad} without an explanation" if bad else 0)


def general(reason: str) -> str:
    """Without what differs from file to file."""
    return re.sub(r"\d[\d,.]*", "N", re.sub(r"\(.*|the first: .*", "", reason)).strip()


def find(folders: Iterable[Path], largest: int) -> dict[str, list[Path]]:
    """The music files in these folders, by their endings."""
    paths: dict[str, list[Path]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in SUFFIXES and path.stat().st_size <= largest:
                paths.setdefault(path.suffix, []).append(path)
    return paths or sys.exit("no music files there")


def damaged(paths: dict[str, list[Path]], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of damaged files, of each ending as often."""
    generator = random.Random(seed)
    for _ in range(count):
        path = generator.choice(paths[generator.choice(sorted(paths))])
        data = bytearray(path.read_bytes())
        for _ in range(generator.choice((1, 1, 2, 5, 20))):
            generator.choice(DAMAGES)(data, generator)
        yield path.name, bytes(data)


def read(files: Iterable[tuple[str, bytes]]) -> Iterator[tuple[tuple[str, bytes], Read | DataError]]:
    """Each file with its result."""
    sent: collections.deque[tuple[str, bytes]] = collections.deque()

    def music() -> Iterator[File]:
        for name, data in files:
            sent.append((name, data))
            yield File(name, Path(name).suffix, lambda data=data: io.BytesIO(data))  # type: ignore[misc]

    for result in read_all(music()):
        yield sent.popleft(), result


def flip(data: bytearray, generator: random.Random) -> None:
    """One byte becomes another."""
    if data:
        data[generator.randrange(len(data))] = generator.randrange(256)


def cut(data: bytearray, generator: random.Random) -> None:
    """The end, or some bytes in the middle, are missing."""
    start = generator.randrange(len(data) + 1)
    stop = len(data) if generator.random() < 0.2 else start + generator.randrange(50)
    del data[start:stop]


def insert(data: bytearray, generator: random.Random) -> None:
    """Random bytes, or some that stand elsewhere in the file, stand in between."""
    at, source, length = (
        generator.randrange(len(data) + 1),
        generator.randrange(len(data) + 1),
        generator.randrange(60),
    )
    data[at:at] = generator.randbytes(length) if generator.random() < 0.5 else data[source : source + length]


def enlarge(data: bytearray, generator: random.Random) -> None:
    """A number of four bytes, or one in digits, becomes a large one."""
    numbers = list(re.finditer(rb"\d+", data))
    if numbers and generator.random() < 0.7:
        number = generator.choice(numbers)
        data[number.start() : number.end()] = b"%d" % generator.choice((0, 255, 2**16, 2**31 - 1, 10**12))
    elif len(data) > 8:
        at = generator.randrange(len(data) - 4)
        data[at : at + 4] = struct.pack(">I", generator.choice((2**32 - 1, 2**31, 2**24, 0)))


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (flip, cut, insert, enlarge)

if __name__ == "__main__":
    main()
