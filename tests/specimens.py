"""Makes the tiny checkpoints of today's format that are kept in `tests/old`, so that every later seqgen is tried on them:
`python -m tests.specimens`, once for each format, before it is changed.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import seqgen
from seqgen.machine import torch_settings
from seqgen.manifest import LOSS_PLOT, MANIFEST, TIMING
from seqgen.migrations import FORMAT
from seqgen.recipe import Overrides, merge
from seqgen.saving import LOCK
from tests.killing import LANES, REPLIES, write_corpora

OLD = Path(__file__).parent / "old"
TINY: Overrides = {
    "model": {"layers": 1, "hidden": 8, "embedding": 4},
    "training": {"dtype": "float32", "threads": 1, "evaluate_every": 4},
}
KINDS: dict[str, tuple[str, Overrides]] = {
    "text": ("verse.txt", LANES),
    "symbols": ("verse.txt", merge(LANES, {"tokenizer": {"kind": "symbols"}})),
    "voices": ("music", LANES),
    "frames": ("music", merge(LANES, {"tokenizer": {"kind": "frames"}})),
    "melody": ("tunes", merge(LANES, {"tokenizer": {"kind": "melody"}})),
    "replies": ("pairs.tsv", merge(REPLIES, {"tokenizer": {"kind": "characters"}})),
}  # fmt: skip
"""Name -> what is learned (of `tests.killing.write_corpora`), and how."""
WITH_STATE = ("text", "replies")
"""Those whose training state is kept; that of others is alike, and larger."""


def nats_of(folder: Path, corpus: str) -> float:
    """Nats per symbol that a checkpoint needs for a corpus."""
    with torch_settings(1, "cpu"):
        return seqgen.load(folder).evaluate(corpus).nats_per_symbol


def keep(folder: Path, corpus: str, nats: float, states: int = 1) -> None:
    """Strips a checkpoint of what need not be kept, and notes what it is to come to."""
    for name in (LOCK, LOSS_PLOT, TIMING):
        (folder / name).unlink(missing_ok=True)
    data: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    kept = data["states"][len(data["states"]) - states :]
    for name in {name for names in data["states"] if names not in kept for name in names}:
        (folder / name).unlink()
        del data["files"][name]
    data["states"] = kept
    data["recipe"]["corpus"]["sources"] = [corpus]
    (folder / MANIFEST).write_text(json.dumps(data, indent=2), encoding="utf-8")
    (folder / "expected.json").write_text(json.dumps({"corpus": corpus, "nats_per_symbol": nats}), encoding="utf-8")


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        os.chdir(home)
        os.environ["SEQGEN_CACHE"] = str(Path(home) / "cache")
        write_corpora(Path())
        for name, (corpus, settings) in KINDS.items():
            folder = seqgen.train(corpus, steps=8, out=name, settings=merge(TINY, settings)).checkpoint
            keep(folder, corpus, nats_of(folder, corpus), int(name in WITH_STATE))
            shutil.copytree(folder, OLD / f"format-{FORMAT}-{name}")


if __name__ == "__main__":
    main()
