"""AdamW, and Muon for the matrices between hidden units. One line in ``OPTIMIZERS`` each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seqgen.machine import DTYPES
from seqgen.models.base import Model
from seqgen.recipe import TrainingSettings

Optimizers = list[torch.optim.Optimizer]

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic whose iteration drives all singular values towards 1 (Jordan et al. 2024)."""


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal: every direction of a matrix learns equally fast (Jordan et al. 2024).

    Each gate's block of rows is a matrix of its own. The learning rate is the spectral norm of a step.

    Args:
        params: matrices, each (blocks * hidden, features), and how many blocks each of them has.
        lr: learning rate.
        weight_decay: decoupled.
        iterations: of Newton and Schulz; five bring singular values to about 0.7 to 1.2.
        dtype: of their matrix products.
    """

    def __init__(
        self,
        params: list[tuple[nn.Parameter, int]],
        *,
        lr: float,
        weight_decay: float,
        iterations: int,
        dtype: torch.dtype,
    ) -> None:
        groups: dict[int, list[nn.Parameter]] = {}
        for param, blocks in params:
            groups.setdefault(blocks, []).append(param)
        super().__init__(
            [{"params": members, "blocks": blocks} for blocks, members in groups.items()],
            {"lr": lr, "weight_decay": weight_decay},
        )
        self.iterations, self.dtype = iterations, dtype

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update. Matrices of equal shape are made orthogonal together."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for param in group["params"]:
                by_shape.setdefault(param.shape, []).append(param)
            for params in by_shape.values():
                wanted = torch.stack([self._direction(param) for param in params])
                blocks = wanted.reshape(
                    len(params) * group["blocks"], -1, wanted.shape[-1]
                )  # (matrices * blocks, hidden, features)
                updates = orthogonalize(blocks, self.iterations, self.dtype).reshape_as(wanted)
                for param, update in zip(params, updates, strict=True):
                    param.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-group["lr"])

    def _direction(self, param: nn.Parameter) -> Tensor:
        """Nesterov momentum."""
        assert param.grad is not None
        state = self.state[param]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(param)
        momentum: Tensor = state["momentum"].lerp_(param.grad, 1 - MOMENTUM)
        return param.grad.lerp(momentum, MOMENTUM)


def orthogonalize(blocks: Tensor, iterations: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """The nearest orthogonal matrices, roughly: U V^T of each U S V^T.

    Args:
        blocks: (matrices, rows, columns), float32.
        iterations: of the quintic Newton-Schulz iteration.
        dtype: of its matrix products.
    """
    a, b, c = COEFFICIENTS
    wide = blocks.shape[-2] < blocks.shape[-1]
    values = (blocks if wide else blocks.mT).to(dtype)
    values = values / (values.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(iterations):
        gram = values @ values.mT
        values = torch.baddbmm(values, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), values, beta=a)
    return (values if wide else values.mT).float()


def _adamw(params: list[nn.Parameter], settings: TrainingSettings) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        params,
        lr=settings.learning_rate,
        betas=(0.9, settings.beta2),
        weight_decay=settings.weight_decay,
        fused=settings.device in ("cpu", "cuda"),
    )


def adamw(model: Model, settings: TrainingSettings) -> Optimizers:
    """AdamW for everything (Loshchilov and Hutter 2019)."""
    return [_adamw(list(model.parameters()), settings)]


def muon(model: Model, settings: TrainingSettings) -> Optimizers:
    """Muon for the matrices between hidden units, AdamW for embeddings, output and biases."""
    matrices = model.matrices()
    inside = {id(matrix) for matrix, _ in matrices}
    rest = [param for param in model.parameters() if id(param) not in inside]
    return [
        Muon(
            matrices,
            lr=settings.matrix_rate,
            weight_decay=settings.weight_decay,
            iterations=settings.orthogonal_iterations,
            dtype=DTYPES[settings.dtype],
        ),
        _adamw(rest, settings),
    ]


OPTIMIZERS: dict[str, Callable[[Model, TrainingSettings], Optimizers]] = {"muon": muon, "adamw": adamw}
REMEMBERED: dict[type[torch.optim.Optimizer], set[str]] = {
    Muon: {"momentum"},
    torch.optim.AdamW: {"step", "exp_avg", "exp_avg_sq"},
}
"""What each of them knows of a parameter, once it was updated: of a shape with it, but for `step`."""
