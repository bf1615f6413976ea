"""Folders in which some of the files are broken, each in another way: all good ones must be prepared, all broken ones named."""

from __future__ import annotations

import argparse
import bz2
import contextlib
import gzip
import io
import json
import lzma
import os
import random
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from common import SEQGEN, WORDS, heading

from seqgen.scores.piece import TICKS, Metre, Note, Part, Piece, Tempo
from seqgen.scores.to_midi import write_midi
from seqgen.scores.to_musicxml import write_musicxml

SCALE = (60, 62, 64, 65, 67, 69, 71, 72)
VARIATIONS = 300
"""Pieces of music that are made; the others are these in other tempos."""
SOON = 0.003
"""Seconds between two looks at whether the reading has begun."""

Maker = Callable[[Path, random.Random], None]
"""Makes something broken at a path."""


def main() -> None:
    """Prints, of text and of music, what of the good files was prepared and what of the broken ones was named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="in each folder (default 10,000)")
    parser.add_argument("--share", type=float, default=0.03, help="of them that are broken (default 0.03)")
    parser.add_argument("--only", choices=sorted(CORPORA), help="one of the two (default both)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    heading(
        f"{options.files:,} files, {options.share:.1%} of them broken",
        "seqgen corpus stats FOLDER --kind KIND --documents file --json with an empty cache; whole process; memory is the "
        "largest resident set of any of its processes.",
    )
    failed = False
    for kind in [options.only] if options.only else sorted(CORPORA):
        figures = prepared(kind, options.files, options.share, options.seed)
        print(figures, flush=True)
        failed = failed or not figures.is_kept
    sys.exit("a promise is broken: see above" if failed else 0)


@dataclass(frozen=True)
class Figures:
    """What became of a folder with broken files.

    Attributes:
        kind: of corpus.
        files: in the folder, the broken ones among them.
        broken: how many are.
        ways: in how many different ways.
        documents: that were prepared; each good file is one.
        lost: names of good files that were left out.
        unnamed: names of broken files that the program did not name, and how they were broken.
        left_out: how many were, by reason.
        seconds: that the command took.
        memory: bytes of the largest resident set.
    """

    kind: str
    files: int
    broken: int
    ways: int
    documents: int
    lost: list[str]
    unnamed: list[str]
    left_out: dict[str, int]
    seconds: float
    memory: int

    @property
    def prepared(self) -> float:
        """The share of the good files that were prepared."""
        return self.documents / (self.files - self.broken)

    @property
    def is_kept(self) -> bool:
        """Whether a broken file cost no good one, and none was left out in silence."""
        return self.prepared == 1 and not self.lost and not self.unnamed

    def __str__(self) -> str:
        reasons = "".join(f"\n  {count:5}  {reason}" for reason, count in sorted(self.left_out.items()))
        bad = "".join(f"\n  good, but left out: {name!r}" for name in self.lost)
        bad += "".join(f"\n  broken, but not named: {name!r}" for name in self.unnamed)
        return (
            f"{self.kind}: {self.files:,} files, {self.broken:,} broken in {self.ways} ways; of the good ones "
            f"{self.prepared:.2%} prepared; {self.seconds:.1f} s, {self.memory / 1e6:.0f} MB; left out:{reasons}{bad}"
        )


def prepared(kind: str, files: int = 10_000, share: float = 0.03, seed: int = 0) -> Figures:
    """Makes a folder, has the program prepare it, and says what became of it.

    Args:
        kind: a key of `CORPORA`.
        files: how many.
        share: of them that are broken.
        seed: another one, other files.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "corpus")
        made = _fill(folder, CORPORA[kind], files, share, random.Random(seed))
        environment = {**os.environ, "SEQGEN_CACHE": str(Path(scratch, "cache")), "TMPDIR": str(Path(scratch, "tmp"))}
        Path(scratch, "tmp").mkdir()
        command = [*SEQGEN, "corpus", "stats", str(folder), "--kind", kind, "--documents", "file", "--json"]
        start = time.perf_counter()
        with (
            Path(scratch, "out").open("wb+") as out,
            subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, env=environment) as process,
            _changing(made.changing, Path(scratch, "tmp"), process),
        ):
            assert process.stderr
            complaint = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            result = out.read()
        seconds = time.perf_counter() - start
        if process.returncode:
            sys.exit(f"seqgen corpus stats of {kind} failed:\n{complaint.decode(errors='replace')}")
    told = json.loads(result)
    names = [name for names in told["left_out"].values() for name in names]
    known = {part for name in names for part in (name, name.partition("!")[0], name.partition(": ")[0])}
    return Figures(
        kind=kind,
        files=files,
        broken=len(made.broken),
        ways=len(set(made.broken.values())),
        documents=told["documents"],
        lost=sorted(known & made.good),
        unnamed=[f"{name} ({way})" for name, way in made.broken.items() if name not in known],
        left_out={reason: len(names) for reason, names in told["left_out"].items()},
        seconds=seconds,
        memory=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
    )


@dataclass
class _Made:
    """What a folder was filled with: names of good files, of broken ones with how they are broken, and who changes."""

    good: set[str] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)
    changing: dict[Path, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Corpus:
    """How the files of a kind of corpus are made.

    Attributes:
        suffix: of its files.
        good: the bytes of one.
        odd: endings of good files that are not plain, and what makes them of plain bytes.
        broken: the ways to be broken: an ending, and what makes such a file.
    """

    suffix: str
    good: Callable[[random.Random], bytes]
    odd: dict[str, Callable[[bytes], bytes]]
    broken: dict[str, tuple[str, Maker]]


def _fill(folder: Path, corpus: _Corpus, files: int, share: float, draw: random.Random) -> _Made:
    """A folder of folders. What changes comes last: it must not have been read when it does."""
    made, ways = _Made(), [*corpus.broken.items()]
    broken = round(files * share)
    places = set(draw.sample(range(files), broken))
    odd = list(corpus.odd.items())
    for number in range(files):
        here = folder / f"{number // 1000:03}"
        here.mkdir(parents=True, exist_ok=True)
        if number in places:
            way, (suffix, make) = ways[len(made.broken) % len(ways)]
            path = (folder / "zz" if way in CHANGES else here) / f"broken-{number:06}{suffix}"
            path.parent.mkdir(exist_ok=True)
            make(path, draw)
            made.broken[str(path)] = way
            if way in CHANGES:
                made.changing[path] = way
        elif number % 100 == 50:
            suffix, pack = odd[number // 100 % len(odd)]
            path = here / f"good-{number:06}{suffix}"
            path.write_bytes(pack(corpus.good(draw)))
            made.good.add(str(path))
        else:
            path = here / f"{_name(number)}{corpus.suffix}"
            data = corpus.good(draw)
            try:
                path.write_bytes(data)
            except OSError:  # a system that wants names to be text
                path = here / f"good-{number:06}{corpus.suffix}"
                path.write_bytes(data)
            made.good.add(str(path))
    return made


def _name(number: int) -> str:
    """A good file may be called anything."""
    if number % 97 == 0:
        return os.fsdecode(b"good-\xe9-%06d" % number)
    if number % 89 == 0:
        return f"good\n\x1b[31m{number:06}"
    return f"good-{number:06}"


@contextlib.contextmanager
def _changing(paths: dict[Path, str], temporary: Path, process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Changes these files once the program has listed them: it makes a temporary folder then, before it reads any."""

    def change() -> None:
        while not any(temporary.glob("seqgen-*")):
            if process.poll() is not None:
                return
            time.sleep(SOON)
        for path, way in paths.items():
            CHANGES[way](path)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"and more of it\n")


CHANGES: dict[str, Callable[[Path], None]] = {
    "vanishing": Path.unlink,
    "becomes a folder": _become_a_folder,
    "becomes a pipe": _become_a_pipe,
    "growing": _grow,
}
"""What happens to files while they are read."""


# What is in the files


def _text(draw: random.Random) -> bytes:
    sentences = (" ".join(draw.choices(WORDS, k=draw.randint(4, 12))).capitalize() for _ in range(draw.randint(2, 12)))
    return (".\n".join(sentences) + f" {draw.randrange(10**9)}.\n").encode()


def _piece(draw: random.Random) -> Piece:
    """Two voices in 4/4 that end together."""
    parts: list[Part] = []
    for low in (0, -12):
        notes, start, place = [], 0, 3
        while start < 16 * TICKS:
            length = min(draw.choice((1, 2, 2, 4)) * TICKS // 2, 16 * TICKS - start)
            notes.append(Note(start, length, SCALE[place] + low))
            start, place = start + length, min(max(place + draw.choice((-2, -1, 1, 2)), 0), len(SCALE) - 1)
        parts.append(Part(tuple(notes), f"Voice {len(parts) + 1}"))
    return Piece(tuple(parts), (Metre(0, 4, 4),), tempos=(Tempo(0, float(draw.randrange(60, 180))),))


class _Pieces:
    """Pieces of music as MIDI, made once each."""

    def __init__(self) -> None:
        self._made: list[bytes] = []

    def __call__(self, draw: random.Random) -> bytes:
        if len(self._made) < VARIATIONS:
            self._made.append(write_midi(_piece(draw)))
            return self._made[-1]
        data = draw.choice(self._made)
        place = data.index(b"\xff\x51\x03") + 3  # microseconds of a quarter note
        return data[:place] + draw.randrange(300_000, 1_000_000).to_bytes(3, "big") + data[place + 3 :]


# How they are broken


def _bytes(make: Callable[[random.Random], bytes]) -> Maker:
    def write(path: Path, draw: random.Random) -> None:
        path.write_bytes(make(draw))

    return write


def _link(target: Callable[[Path], str | Path]) -> Maker:
    return lambda path, draw: path.symlink_to(target(path))


def _socket(path: Path, draw: random.Random) -> None:
    """Bound from its folder: the name of a socket must be short."""
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(path.name)
    finally:
        os.fchdir(here)
        os.close(here)


def _zip(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in files.items():
            package.writestr(name, data)
    return file.getvalue()


def _tar(name: str, data: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size, info.type, info.linkname = len(data), kind, "/etc/passwd"
        tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def _lying_zip(data: bytes) -> bytes:
    """A zip that says of its file that it is large."""
    package = bytearray(_zip({"a.txt": data}))
    place = package.index(b"PK\x01\x02")
    package[place + 24 : place + 28] = (2**32 - 2).to_bytes(4, "little")
    return bytes(package)


PLACES: dict[str, Maker] = {
    "a pipe": lambda path, draw: os.mkfifo(path),
    "a socket": _socket,
    "a device": _link(lambda path: "/dev/zero"),
    "a link to itself": _link(lambda path: path.name),
    "a link to nowhere": _link(lambda path: "nowhere"),
    "a link out of the folder": _link(lambda path: "/etc/passwd"),
    "a link to the folder that it lies in": _link(lambda path: path.parent),
}
"""What is no file of its own."""


def _ways(suffix: str, good: Callable[[random.Random], bytes]) -> dict[str, tuple[str, Maker]]:
    """The ways in which files of any kind are broken."""
    made: dict[str, tuple[str, Maker]] = {
        "empty": (suffix, _bytes(lambda draw: b"")),
        "zero bytes": (suffix, _bytes(lambda draw: bytes(5000))),
        "gzip cut short": (f"{suffix}.gz", _bytes(lambda draw: gzip.compress(good(draw))[:-12])),
        "bzip2 cut short": (f"{suffix}.bz2", _bytes(lambda draw: bz2.compress(good(draw))[:-12])),
        "no xz": (f"{suffix}.xz", _bytes(good)),
        "no zip": (".zip", _bytes(good)),
        "a zip cut short": (".zip", _bytes(lambda draw: _zip({f"a{suffix}": good(draw)})[:-30])),
        "a zip that lies of a size": (".zip", _bytes(lambda draw: _lying_zip(good(draw)))),
        "a zip in a zip": (".zip", _bytes(lambda draw: _zip({"b.zip": _zip({f"a{suffix}": good(draw)})}))),
        "a gzip bomb": (f"{suffix}.gz", _bytes(lambda draw: _bomb())),
        "a tar that climbs out": (".tgz", _bytes(lambda draw: _tar("../../evil.txt", good(draw)))),
        "a tar of a link": (".tar.gz", _bytes(lambda draw: _tar(f"a{suffix}", b"", tarfile.SYMTYPE))),
        "a tar of a device": (".tar.gz", _bytes(lambda draw: _tar(f"a{suffix}", b"", tarfile.CHRTYPE))),
    }
    made |= {way: (suffix, make) for way, make in PLACES.items()}
    return made | {way: (suffix, _bytes(good)) for way in CHANGES}


def _bomb(size: int = 200 << 20) -> bytes:
    """Blanks that are packed very well; made once."""
    if not _BOMBS:
        _BOMBS.append(gzip.compress(b" " * size))
    return _BOMBS[0]


_BOMBS: list[bytes] = []
MIDI = _Pieces()
CORPORA = {
    "text": _Corpus(
        ".txt",
        _text,
        {
            ".txt.gz": gzip.compress,
            ".txt.xz": lzma.compress,
            ".zip": lambda data: _zip({"a.txt": data}),
            ".html": lambda data: b"<html><body><p>" + data + b"</p></body></html>",
            ".md": lambda data: data.decode().encode("utf-16"),
        },
        {
            **_ways(".txt", _text),
            "not utf-8": (".txt", _bytes(lambda draw: _text(draw) + "caf\xe9\n".encode("latin-1"))),
            "half of a UTF-16 file": (".txt", _bytes(lambda draw: _text(draw).decode().encode("utf-16")[:-1])),
            "binary": (".txt", _bytes(lambda draw: b"\x7fELF\0\0" + draw.randbytes(300))),
            "blank": (".txt", _bytes(lambda draw: b" \n\t\n")),
            "no Word document": (".docx", _bytes(_text)),
            "an old Word document": (".doc", _bytes(lambda draw: b"\xd0\xcf\x11\xe0" + draw.randbytes(300))),
            "no PDF": (".pdf", _bytes(lambda draw: b"%PDF-1.7\n" + draw.randbytes(300))),
            "no EPUB": (".epub", _bytes(lambda draw: _zip({"a.txt": _text(draw)}))),
            "a page without text": (".html", _bytes(lambda draw: b"<html><script>x</script></html>")),
        },
    ),
    "music": _Corpus(
        ".mid",
        MIDI,
        {
            ".mid.gz": gzip.compress,
            ".zip": lambda data: _zip({"a.mid": data}),
            ".MID": bytes,
            ".musicxml": lambda data: write_musicxml(_piece(random.Random(data))),
        },
        {
            **_ways(".mid", MIDI),
            "cut short": (".mid", _bytes(lambda draw: MIDI(draw)[:-40])),
            "no MIDI": (".mid", _bytes(_text)),
            "random bytes": (".mid", _bytes(lambda draw: draw.randbytes(500))),
            "a header and random bytes": (".mid", _bytes(lambda draw: MIDI(draw)[:14] + draw.randbytes(500))),
            "without tracks": (".mid", _bytes(lambda draw: MIDI(draw)[:14])),
            "times in seconds": (".mid", _bytes(lambda draw: MIDI(draw)[:12] + b"\xe7\x28" + MIDI(draw)[14:])),
            "no MusicXML": (".musicxml", _bytes(lambda draw: b"<html></html>")),
            "XML with entities": (".xml", _bytes(lambda draw: b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')),
            "a damaged .mxl": (".mxl", _bytes(lambda draw: _zip({"a.xml": b"<score-partwise/>"})[:-9])),
            "ABC without a key": (".abc", _bytes(lambda draw: b"X:1\nT:none\nCDEF|\n")),
            "no kern": (".krn", _bytes(_text)),
        },
    ),
}
"""Kind of corpus -> how its files are made."""


if __name__ == "__main__":
    main()
