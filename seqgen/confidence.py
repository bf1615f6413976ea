"""How sure a trained network may be: one factor for all its logits, learned from validation text.

A network that has read its text several times is surer than it should be of text that it has not read. On verse, half of what
it loses against the text it has seen comes from that, and one number mends it (temperature scaling: Guo et al. 2017).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from seqgen.evaluation import predictions
from seqgen.models import Model

FACTORS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
"""That are tried. Nats are nearly a parabola of the factor, whose lowest point may lie between two of them."""
LEAST_SYMBOLS = 1000
"""Of validation text from which it is learned; a shorter one says too little."""
MOST_SYMBOLS = 10_000
"""Of it that are read: an error of the factor that they leave costs about 0.0001 nats."""


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
        for place, factor in enumerate(FACTORS):
            nats[place] += torch.nn.functional.cross_entropy(alone * factor, targets, reduction="sum").item()
    return _lowest(nats)


def _lowest(nats: npt.NDArray[np.float64]) -> float:
    """Where the parabola through the best factor and its neighbours is lowest."""
    place = int(np.clip(nats.argmin(), 1, len(FACTORS) - 2))
    before, here, after = nats[place - 1 : place + 2].tolist()
    step = FACTORS[place] - FACTORS[place - 1]
    bend = before - 2 * here + after
    shift = 0.5 * step * (before - after) / bend if bend > 0 else 0.0
    return float(np.clip(FACTORS[place] + shift, FACTORS[0], FACTORS[-1]))
