"""Where the time of a training step goes, and what share of the machine's matrix peak each part of it reaches."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the command line does, before torch is loaded

import torch
from common import arguments, heading, run, text
from training_rate import model_operations, muon_operations

import seqgen
from seqgen.machine import matrix_rate, prepare_training
from seqgen.models import CELLS
from seqgen.runs import reopen_corpus
from seqgen.trainer import Trainer

SIZES = (256, 512)
"""Units."""
STEPS = 40
"""That are timed, and as many that are profiled, after a few that are not."""
PARTS = {
    "steps through time": ("_Lstm", "_LstmBackward"),
    "products of whole windows": ("aten::mm", "aten::addmm"),
    "products of Muon": ("aten::bmm", "aten::baddbmm"),
    "copies, other types": ("aten::copy_", "aten::cat"),
}
"""Each with the operations that it is made of, by torch's names; what else torch computes is told together."""


def main() -> None:
    """Prints a table for each size."""
    options = arguments("where the time of a training step goes").parse_args()
    corpus = text(options.data, "tinyshakespeare.txt")
    heading(
        "Parts of a training step",
        f"seqgen train tinyshakespeare.txt --steps 20 --set model.hidden=H; then {STEPS} steps of it in one process, timed, "
        f"and {STEPS} under torch's profiler, whose times are scaled to those. Peak: the best of 1024^3 bfloat16 products "
        "just before. 'steps through time' has the packing of the weights in it.",
    )
    prepare_training()
    for hidden in SIZES:
        with tempfile.TemporaryDirectory() as scratch:
            asked: list[str | Path] = ["train", corpus, "--steps", "20", "--set", f"model.hidden={hidden}"]
            run(*asked, "--out", "run", folder=Path(scratch))
            checkpoint = seqgen.load(Path(scratch) / "run").checkpoint
            trainer = Trainer(checkpoint.recipe, reopen_corpus(checkpoint), checkpoint.manifest.model)
        if trainer.recipe.training.kernels != "compiled":
            sys.exit("This machine trains with torch's kernels: there is nothing to tell apart.")
        _print(trainer)


def _print(trainer: Trainer) -> None:
    peak = matrix_rate(torch.bfloat16, seconds=2)
    for _ in range(10):
        trainer.step()
    whole = _seconds_of_step(trainer)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        slower = _seconds_of_step(trainer) / whole
    seconds = {event.key: event.self_cpu_time_total / 1e6 / STEPS / slower for event in profile.key_averages()}

    recipe, operations = trainer.recipe, _operations(trainer)
    training = recipe.training
    print(
        f"{recipe.model.hidden} units, {training.lanes} lanes, windows of {training.window}: {whole * 1e3:.1f} ms, peak "
        f"{peak / 1e9:,.0f} GFLOP/s; profiled {slower:.2f} times as long"
    )
    took = {part: sum(seconds.pop(name, 0.0) for name in names) for part, names in PARTS.items()}
    took["what else torch computes"] = sum(each for name, each in seconds.items() if name.startswith("aten::"))
    took["Python, autograd"] = whole - sum(took.values())
    for part, each in {**took, "all": whole}.items():
        of_matrices = sum(operations.values()) if part == "all" else operations.get(part)
        share = f"{of_matrices / 1e9:6.2f} GFLOP  {of_matrices / each / peak:6.1%}" if of_matrices else ""
        print(f"  {part:25}  {each * 1e3:6.2f} ms  {share}")
    print(flush=True)


def _seconds_of_step(trainer: Trainer) -> float:
    start = time.perf_counter()
    for _ in range(STEPS):
        trainer.step()
    return (time.perf_counter() - start) / STEPS


def _operations(trainer: Trainer) -> dict[str, float]:
    """Floating point operations of a step, by part."""
    recipe = trainer.recipe
    model, training = recipe.model, recipe.training
    symbols = training.lanes * training.window
    all_of_model = model_operations(recipe, trainer.corpus.tokenizer.size) * symbols
    # There and back: the gradients of the weights are a product of the whole window.
    steps = 4.0 * len(CELLS[model.cell].gates) * model.hidden**2 * model.layers * symbols
    return {
        "steps through time": steps,
        "products of whole windows": all_of_model - steps,
        "products of Muon": muon_operations(recipe),
    }


if __name__ == "__main__":
    main()
