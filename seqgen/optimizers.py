"""AdamW, and Muon for the matrices between hidden units. One line in ``OPTIMIZERS`` each.

They are our own, since torch's load its compiler with their first step, which takes longer than a second.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from seqgen.machine import DTYPES
from seqgen.models.base import Model
from seqgen.native.updates import Following, Updating, follow, update
from seqgen.recipe import TrainingSettings

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic whose iteration drives all singular values towards 1 (Jordan et al. 2024)."""
BETA1 = 0.9
"""AdamW's memory of gradients."""
EPSILON = 1e-8


class Optimizer(ABC):
    """Updates parameters by their gradients, and remembers something of each.

    Args:
        params: in the order in which a training state numbers them.
        lr: the highest learning rate.
        weight_decay: decoupled.

    Attributes:
        state: of each parameter what is remembered by name, float32; nothing before its first update.
    """

    remembers: ClassVar[tuple[str, ...]]
    """The names, of tensors of a parameter's shape, but for `step`, which is a number."""

    def __init__(self, params: Sequence[nn.Parameter], lr: float, weight_decay: float) -> None:
        self.params, self.lr, self.weight_decay = list(params), lr, weight_decay
        self.state: list[dict[str, Tensor]] = [{} for _ in self.params]

    @abstractmethod
    def step(self, share: float = 1.0) -> None:
        """One update of all that have a gradient, at this share of the highest learning rate."""


class Muon(Optimizer):
    """Momentum whose update is made orthogonal: every direction of a matrix learns equally fast (Jordan et al. 2024).

    Each gate's block of rows is a matrix of its own. The learning rate is the spectral norm of a step.

    Args:
        matrices: each (blocks * hidden, features), and how many blocks each of them has.
        lr: the highest learning rate.
        weight_decay: decoupled.
        iterations: of Newton and Schulz; two bring the singular values that count to about 0.7 to 1.2.
        dtype: of their matrix products.
    """

    remembers = ("momentum",)

    def __init__(
        self,
        matrices: Sequence[tuple[nn.Parameter, int]],
        *,
        lr: float,
        weight_decay: float,
        iterations: int,
        dtype: torch.dtype,
    ) -> None:
        by_blocks: dict[int, list[nn.Parameter]] = {}
        for param, blocks in matrices:
            by_blocks.setdefault(blocks, []).append(param)
        super().__init__([param for params in by_blocks.values() for param in params], lr, weight_decay)
        self.iterations, self.dtype = iterations, dtype
        self._alike: dict[tuple[int, torch.Size], list[int]] = {}
        """The places of parameters with as many blocks and of one shape, which are made orthogonal together."""
        blocks_of = {id(param): blocks for param, blocks in matrices}
        for place, param in enumerate(self.params):
            self._alike.setdefault((blocks_of[id(param)], param.shape), []).append(place)

    @torch.no_grad()
    def step(self, share: float = 1.0) -> None:
        """One update."""
        lr = share * self.lr
        groups = [
            (blocks, places, self.params[places[0]].new_empty((len(places), *shape), dtype=self.dtype))
            for (blocks, shape), places in self._alike.items()
        ]
        directions = ((place, each) for _, places, wanted in groups for place, each in zip(places, wanted, strict=True))
        follow([self._following(place, each) for place, each in directions], MOMENTUM)
        updates: list[Updating] = []
        for blocks, places, wanted in groups:
            matrices = wanted.view(len(places) * blocks, -1, wanted.shape[-1])  # (matrices * blocks, hidden, features)
            changes = orthogonalize(matrices, self.iterations).reshape_as(wanted)
            updates += [Updating(self.params[place], change) for place, change in zip(places, changes, strict=True)]
        update(updates, 1 - lr * self.weight_decay, lr)

    def _following(self, place: int, wanted: Tensor) -> Following:
        gradient, state = self.params[place].grad, self.state[place]
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        return Following(gradient, state["momentum"], wanted)


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Args:
        params: of any shape.
        lr: the highest learning rate.
        weight_decay: decoupled.
        beta2: memory of squared gradients.
    """

    remembers = ("step", "exp_avg", "exp_avg_sq")

    def __init__(self, params: Sequence[nn.Parameter], *, lr: float, weight_decay: float, beta2: float) -> None:
        super().__init__(params, lr, weight_decay)
        self.beta2 = beta2

    @torch.no_grad()
    def step(self, share: float = 1.0) -> None:
        """One update, by torch's fused kernel."""
        params: list[Tensor] = []
        gradients: list[Tensor] = []
        states: list[dict[str, Tensor]] = []
        for param, state in zip(self.params, self.state, strict=True):
            if param.grad is not None:
                params.append(param)
                gradients.append(param.grad)
                states.append(state)
                if not state:
                    state["step"] = torch.zeros((), device=param.device)
                    state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(param), torch.zeros_like(param)
        steps, means, squares = ([state[name] for state in states] for name in self.remembers)
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            params,
            gradients,
            means,
            squares,
            [],
            steps,
            lr=share * self.lr,
            beta1=BETA1,
            beta2=self.beta2,
            weight_decay=self.weight_decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )


def orthogonalize(blocks: Tensor, iterations: int) -> Tensor:
    """The nearest orthogonal matrices, roughly: U V^T of each U S V^T.

    Each row is first scaled by the sum of its products with all rows, after which no singular value is above 1 and most are
    near it (Boissin et al. 2025); divided by the norm of the whole matrix they would be small, and take an iteration more.

    Args:
        blocks: (matrices, rows, columns), of the type in which it is computed.
        iterations: of the quintic Newton-Schulz iteration.
    """
    a, b, c = COEFFICIENTS
    tall = blocks.shape[-2] > blocks.shape[-1]
    values = blocks.mT if tall else blocks
    gram = values @ values.mT
    scales = gram.abs().sum(-1).add_(1e-20).rsqrt_()
    values = values * scales.unsqueeze(-1)
    gram.mul_(scales.unsqueeze(-1)).mul_(scales.unsqueeze(-2))
    for iteration in range(iterations):
        gram = values @ values.mT if iteration else gram
        values = torch.baddbmm(values, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), values, beta=a)
    return values.mT if tall else values


def _adamw(params: list[nn.Parameter], settings: TrainingSettings) -> AdamW:
    return AdamW(params, lr=settings.learning_rate, weight_decay=settings.weight_decay, beta2=settings.beta2)


def adamw(model: Model, settings: TrainingSettings) -> list[Optimizer]:
    """AdamW for everything."""
    return [_adamw(list(model.parameters()), settings)]


def muon(model: Model, settings: TrainingSettings) -> list[Optimizer]:
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


OPTIMIZERS: dict[str, Callable[[Model, TrainingSettings], list[Optimizer]]] = {"muon": muon, "adamw": adamw}
