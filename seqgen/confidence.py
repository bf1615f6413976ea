"""How sure a trained network may be: one factor for all its logits, learned from validation text.

A network that has read its text several times is surer than it should be of text that it has not read. On verse, half of what
it loses against the text it has seen comes from that, and one number mends it (temperature scaling: Guo et al. 2017).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from seqgen.predictions import Predictions

FACTORS = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1)
"""That are tried. Nats are nearly a parabola of the factor, whose lowest point may lie between two of them."""
LEAST_SYMBOLS = 1000
"""Of validation text from which it is learned; a shorter one says too little."""
MOST_SYMBOLS, STRETCH = 40_960, 4096
"""Of it that are read, in stretches from everywhere: its first pages may be easier than the rest. Of tiny-shakespeare they are,
where a factor of the first 10,000 characters leaves 0.005 nats."""
MOST_LOGITS = 1 << 24
"""That are compared, six times each: all of 250,000 characters of 65 kinds, every tenth of 40,000 pieces of 4,096."""


def can_learn(wanted: int, symbols: int) -> bool:
    """Whether a factor is learned from so many symbols of a text that has so many."""
    return min(wanted, symbols) >= LEAST_SYMBOLS


def spread(ids: npt.NDArray[Any], most: int) -> npt.NDArray[Any]:
    """Of a text that is longer than so many symbols stretches from everywhere, one after the other."""
    stretches = max(1, most // STRETCH)
    if len(ids) <= max(most, STRETCH * stretches):
        return ids[:most]
    starts = np.linspace(0, len(ids) - STRETCH, stretches).astype(np.int64)
    return np.concatenate([ids[start : start + STRETCH] for start in starts.tolist()])[:most]


class Confidence:
    """Learns the factor from what a network predicts, window by window.

    Args:
        symbols: that are going to be predicted.
    """

    def __init__(self, symbols: int) -> None:
        self._symbols = symbols
        self._plain, self._compared, self._nats = 0.0, 0, np.zeros(len(FACTORS))

    def add(self, read: Predictions) -> None:
        """Some of the text, as it was predicted."""
        every = max(1, -(-self._symbols * read.alone.shape[-1] // MOST_LOGITS))
        chosen = torch.from_numpy(np.flatnonzero(read.places % every == 0)).to(read.targets.device)
        alone, targets = read.alone[chosen], read.targets[chosen]
        cross_entropy = torch.nn.functional.cross_entropy
        nats = torch.stack([cross_entropy(alone * factor, targets, reduction="sum") for factor in FACTORS])
        self._nats += nats.cpu().double().numpy()
        self._plain += torch.nn.functional.nll_loss(read.alone, read.targets, reduction="sum").item()
        self._compared += len(targets)

    @property
    def factor(self) -> float:
        """Of all logits, with which the text needs the fewest nats."""
        return _lowest(self._nats).factor

    @property
    def nats_per_symbol(self) -> float:
        """What the text costs with that factor."""
        saved = self._nats[FACTORS.index(1.0)] - _lowest(self._nats).nats
        return float(self._plain / self._symbols - saved / self._compared)


class _Lowest(NamedTuple):
    """Where a parabola is lowest: a factor, and its nats."""

    factor: float
    nats: float


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
