"""Speed of training as a share of the machine's matrix peak."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from common import arguments, heading, run, text

from seqgen.machine import matrix_rate
from seqgen.models import CELLS
from seqgen.recipe import Recipe

STEPS = {256: 240, 512: 120}
"""Of each training, by its units; the second half is counted."""


def rate_of(lines: list[dict[str, Any]]) -> float:
    """Symbols a second in the second half of a training, from what its progress tells."""
    told = [line for line in lines if "seconds" in line and "checkpoint" not in line]
    middle = next(line for line in told if line["step"] >= told[-1]["step"] / 2)
    training = Recipe.from_dict(lines[-1]["recipe"]).training
    steps, seconds = told[-1]["step"] - middle["step"], told[-1]["seconds"] - middle["seconds"]
    return float(steps * training.lanes * training.window / seconds)


def model_operations(recipe: Recipe, vocabulary: int) -> float:
    """Floating point operations for a symbol: two for each weight of a matrix forward, four backward."""
    model = recipe.model
    gates = len(CELLS[model.cell].gates)
    widths = [model.embedding] + [model.hidden] * (model.layers - 1)
    weights = sum(gates * model.hidden * (width + model.hidden) for width in widths) + model.hidden * vocabulary
    return 6.0 * weights


def muon_operations(recipe: Recipe) -> float:
    """Floating point operations of one Muon step: in each iteration three products for each gate's block."""
    model, training = recipe.model, recipe.training
    if training.optimizer != "muon":
        return 0.0
    gates, iterations = len(CELLS[model.cell].gates), training.orthogonal_iterations
    total = 0.0
    for width in [model.embedding] + [model.hidden] * (model.layers - 1):
        for columns in (width, model.hidden):
            small, large = sorted((columns, model.hidden))
            total += gates * iterations * (4.0 * small**2 * large + 2.0 * small**3)
    return total


def main() -> None:
    """Trains a few steps at two sizes with each optimiser and prints the rates beside the peak of the same minute."""
    options = arguments("training rate as a share of the bfloat16 matrix peak").parse_args()
    corpus = text(options.data, "tinyshakespeare.txt")
    heading(
        "Training rate",
        "seqgen train tinyshakespeare.txt --steps N --set model.hidden=H, "
        f"N = {' and '.join(map(str, STEPS.values()))}; symbols per second in its second half, with a save or two; peak: the "
        "best of 1024^3 bfloat16 products just before. 'model' counts 6 operations for each weight and symbol, 'all' Muon's "
        "products, too.",
    )
    print(
        f"{'H':>4}  {'optimiser':9}  {'lanes':>5}  {'window':>6}  {'symbols/s':>9}  {'peak GF/s':>9}  {'model':>6}  {'all':>6}"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for hidden, steps in STEPS.items():
            for optimizer, lanes in (("muon", None), ("adamw", None), ("adamw", 64)):
                peak = matrix_rate(torch.bfloat16, seconds=2)
                asked: list[Any] = ["train", corpus, "--steps", str(steps), "--set", f"model.hidden={hidden}"]
                asked += ["--set", f"training.optimizer={optimizer}", "--set", f"training.evaluate_every={steps // 2}"]
                asked += ["--set", "training.evaluate_symbols=1000"]
                asked += ["--set", f"training.lanes={lanes}"] if lanes else []
                lines, _ = run(*asked, "--out", f"{optimizer}-{hidden}-{lanes}", folder=Path(scratch))
                recipe, rate = Recipe.from_dict(lines[-1]["recipe"]), rate_of(lines)
                per_symbol = model_operations(recipe, 81)
                muon = muon_operations(recipe) / (recipe.training.lanes * recipe.training.window)
                shares = f"{rate * per_symbol / peak:6.1%}  {rate * (per_symbol + muon) / peak:6.1%}"
                training = recipe.training
                how = f"{hidden:4}  {optimizer:9}  {training.lanes:5}  {training.window:6}"
                print(f"{how}  {rate:9,.0f}  {peak / 1e9:9.0f}  {shares}", flush=True)


if __name__ == "__main__":
    main()
