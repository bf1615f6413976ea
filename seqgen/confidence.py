"""How sure a trained network may be: one factor for all its logits, learned from validation text.

A network that has read its text several times is surer than it should be of text that it has not read. On verse, half of what
it loses against the text it has seen comes from that, and one number mends it (temperature scaling: Guo et al. 2017).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqgen.evaluation import predictions
from seqgen.models import Model

FACTORS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
"""That are tried. Nats are nearly a parabola of the factor, whose lowest point may lie between two of them."""
LEAST_SYMBOLS = 1000
"""Of validation text from which it is learned; a shorter one says too little."""
MOST_SYMBOLS = 10_000
"""Of it that are read: an error of the factor that they leave costs about 0.0001 nats."""


COMPARED = 4000
"""Symbols of a look that are read with each factor: what it saves of nats says little that is chance, since all factors read the
same. All of them, of a few thousand kinds, would take as long as the network does."""


def learn_confidence(model: Model, ids: npt.NDArray[Any]) -> float:
    """The factor of all logits at which a text that the model has not seen needs the fewest nats; 1 where the text is too short.

    Args:
        model: in evaluation mode.
        ids: the text, as one stream.
    """
    if len(ids) <= LEAST_SYMBOLS:
        return 1.0
    nats = np.zeros(len(FACTORS))
    for _, alone, _, targets in predictions(model, ids[: MOST_SYMBOLS + 1]):
        nats += _by_factor(alone, targets)
    return _lowest(nats).factor


def calibrated_nats(model: Model, ids: npt.NDArray[Any], dtype: str) -> float:
    """Nats per symbol of a text by a network that is as sure of it as it may be: with the factor at which it needs the fewest.
    So the weights of a run are compared by what they will cost once they are kept, and not by how sure they are.

    Args:
        model: in evaluation mode.
        ids: the text, as one stream; of a short one the factor is 1.
        dtype: of the arithmetic.
    """
    total = len(ids) - 1
    every = max(1, total // COMPARED) | 1  # odd, so that it meets all lanes
    plain, compared, nats = 0.0, 0, np.zeros(len(FACTORS))
    for _, alone, _, targets in predictions(model, ids, dtype=dtype):
        plain += torch.nn.functional.nll_loss(alone, targets, reduction="sum").item()
        nats += _by_factor(alone[::every], targets[::every])
        compared += len(targets[::every])
    saved = (nats[FACTORS.index(1.0)] - _lowest(nats).nats) / compared if total >= LEAST_SYMBOLS else 0.0
    return float(plain / total - saved)


class _Lowest(NamedTuple):
    """Where a parabola is lowest: a factor, and its nats."""

    factor: float
    nats: float


@torch.inference_mode()
def _by_factor(log_p: Tensor, targets: Tensor) -> npt.NDArray[np.float64]:
    """Nats of some symbols together with each of the factors; log-probabilities are (symbols, kinds)."""
    cross_entropy = torch.nn.functional.cross_entropy
    return (
        torch.stack([cross_entropy(log_p * factor, targets, reduction="sum") for factor in FACTORS])
        .double()
        .cpu()
        .numpy()
    )


def _lowest(nats: npt.NDArray[np.float64]) -> _Lowest:
    """Where the parabola through the best factor and its neighbours is lowest, among the factors."""
    place = int(np.clip(nats.argmin(), 1, len(FACTORS) - 2))
    before, here, after = nats[place - 1 : place + 2].tolist()
    bend, slope = before - 2 * here + after, (after - before) / 2
    shift = -slope / bend if bend > 0 else 0.0
    step = FACTORS[place] - FACTORS[place - 1]
    factor = float(np.clip(FACTORS[place] + shift * step, FACTORS[0], FACTORS[-1]))
    shift = (factor - FACTORS[place]) / step
    return _Lowest(factor, here + slope * shift + 0.5 * bend * shift**2)
