"""Pictures: the loss curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def draw_loss(
    path: Path,
    steps: Sequence[int],
    train: Sequence[float],
    valid: Sequence[float | None],
    unit: str,
    baselines: dict[str, float],
) -> None:
    """Draws training and validation loss over the steps, with the baselines as lines.

    Args:
        path: of the PNG.
        steps: where the loss was looked at.
        train: mean training loss since the look before.
        valid: validation loss, None where there is none.
        unit: the axis's label.
        baselines: name -> loss.
    """
    import matplotlib

    matplotlib.use("Agg", force=False)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.plot(steps, train, color="#8aa4c8", label="training (with dropout)")
    seen = [(step, value) for step, value in zip(steps, valid, strict=True) if value is not None]
    if seen:
        axes.plot(*zip(*seen, strict=True), color="#1f4e8c", marker="o", markersize=3, label="validation")
        best_step, best = min(seen, key=lambda pair: pair[1])
        axes.annotate(
            f"{best:.3f}", (best_step, best), textcoords="offset points", xytext=(0, -14), ha="center", color="#1f4e8c"
        )
    for name, value in baselines.items():
        axes.axhline(value, color="#b0402f", linewidth=0.9, linestyle="--")
        axes.annotate(
            name,
            (1, value),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            xytext=(-4, 3),
            ha="right",
            color="#b0402f",
        )
    lowest = min([value for _, value in seen] + list(train) + list(baselines.values()))
    highest = max([*train[1:], *baselines.values(), *(value for _, value in seen[1:])], default=max(train))
    axes.set_ylim(lowest - 0.15 * (highest - lowest) - 0.01, highest + 0.08 * (highest - lowest) + 0.01)
    axes.set_xlabel("step")
    axes.set_ylabel(unit)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(path)
