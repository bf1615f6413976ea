"""Each byte of a checkpoint flipped, and each file cut at each length: all of it refused, or harmless."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.checkpoint import MANIFEST, Files
from seqgen.errors import SeqgenError

FLIPS = (0x01, 0x20)
"""Bits that are turned over: a digit becomes its neighbour, a letter a large one, a sign another. Both in `checkpoint.json`, in
other files one and the other by turns."""
CUTS = 200
"""Lengths at which a file is cut, at most."""
SHOWN = 20


@dataclass
class Figures:
    """What came of damaged checkpoints.

    Attributes:
        tried: how many there were.
        refused: with a reason.
        harmless: loaded all the same: a byte of a date, of a name that is only told.
        crashed: raised something else.
        crashes: the first of them, each with where it was damaged.
    """

    tried: int = 0
    refused: int = 0
    harmless: int = 0
    crashed: int = 0
    crashes: list[str] = field(default_factory=list)


def flip_every_byte(folder: Path) -> Figures:
    """Damages a checkpoint in every place: each byte of its JSON and of the headers of its tensors is flipped, with digests that
    are right and, in every seventh place, with those that were; and each file is cut.

    Args:
        folder: the checkpoint; it is not touched.
    """
    figures = Figures()
    files = {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("[!.]*.*")) if path.is_file()
    }
    with tempfile.TemporaryDirectory(prefix="seqgen-flips-") as scratch:
        copy = Path(shutil.copytree(folder, Path(scratch, "it")))
        for where, changed in damaged(files):
            for name, data in changed.items():
                (copy / name).write_bytes(data)
            _try(copy, where, figures, any(name.startswith("resume/") for name in changed), MANIFEST in changed)
            for name in changed:
                (copy / name).write_bytes(files[name])
    return figures


def damaged(files: Files) -> Iterator[tuple[str, Files]]:
    """Where something was changed, and the files that are others by that."""
    manifest = json.loads(files[MANIFEST])
    for name in (MANIFEST, *manifest["files"]):
        data = files[name]
        for place in range(_reach(name, data)):
            for bit in FLIPS if name == MANIFEST else FLIPS[place % 2 :][:1]:
                flipped = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
                where = f"{name}, byte {place}, {data[place]:#x} to {flipped[place]:#x}"
                if name == MANIFEST or place % 7 == 0:
                    yield where, {name: flipped}
                if name != MANIFEST:
                    digests = {**manifest["files"], name: hashlib.sha256(flipped).hexdigest()}
                    yield where, {name: flipped, MANIFEST: json.dumps({**manifest, "files": digests}).encode()}
        for length in range(0, len(data), max(1, len(data) // CUTS)):
            yield f"{name}, cut after {length}", {name: data[:length]}


def _reach(name: str, data: bytes) -> int:
    """How many bytes of a file are JSON, or say where it is; of others all."""
    return 8 + int.from_bytes(data[:8], "little") if name.endswith(".safetensors") else len(data)


def _try(folder: Path, where: str, figures: Figures, is_state: bool, may_fit: bool) -> None:
    """Reads a damaged checkpoint; of a training state that alone, which has its own door. What does not fit its digest must be
    refused."""
    import seqgen
    from seqgen.checkpoint import Checkpoint

    figures.tried += 1
    try:
        if not is_state:
            seqgen.load(folder, device="cpu").checkpoint.parameters()
        checkpoint = Checkpoint(folder)
        if checkpoint.manifest.states:
            checkpoint.training_state()
        if not may_fit:
            raise AssertionError("read, though it is not what was written")
        figures.harmless += 1
    except SeqgenError:
        figures.refused += 1
    except Exception as error:  # what a crash is
        figures.crashed += 1
        if len(figures.crashes) < SHOWN:
            figures.crashes.append(f"{where}: {type(error).__name__}: {error!s:.200}")
