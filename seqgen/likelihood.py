"""How likely a model finds what was drawn, and how far faster arithmetic strays from its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from seqgen.decoding.rules import Ground, RuleSettings
from seqgen.generation import Draws
from seqgen.models import Batch, Model
from seqgen.native.streams import Chain, Drawer, Streams
from seqgen.tokenizers import DOCUMENT

WINDOW = 128
LARGEST = 1 << 22
"""Logits in memory at once."""
COMPARED = (16, 64)
"""Streams, and symbols of each, by which two precisions are compared."""


@torch.inference_mode()
def mean_nats(model: Model, prompt: Sequence[int], drawn: Sequence[Sequence[int]], symbols: int) -> list[float]:
    """The mean surprise of each continuation of a prompt, in nats per symbol, by the network alone and without any rules.

    Args:
        model: in evaluation mode.
        prompt: what all of them go on from.
        drawn: the ids of each; of an empty one the mean is 0.
        symbols: how many the model knows.
    """
    means: list[float] = []
    rows = max(1, LARGEST // (WINDOW * symbols))
    for first in range(0, len(drawn), rows):
        part = drawn[first : first + rows]
        longest = max(map(len, part))
        ids = torch.zeros(len(prompt) + longest, len(part), dtype=torch.long)
        ids[: len(prompt)] = torch.tensor(prompt).unsqueeze(1)
        for row, each in enumerate(part):
            ids[len(prompt) : len(prompt) + len(each), row] = torch.tensor(each, dtype=torch.long)
        nats = _nats(model, ids.to(model.device))[len(prompt) - 1 :].cpu().double().numpy()
        means += [float(nats[: len(each), row].mean()) if len(each) else 0.0 for row, each in enumerate(part)]
    return means


def _nats(model: Model, ids: Tensor) -> Tensor:
    """Nats of each symbol after the first, ids (time, batch) read side by side; (time - 1, batch)."""
    state, parts = model.zero_state(ids.shape[1]), []
    for inputs, targets in zip(torch.split(ids[:-1], WINDOW), torch.split(ids[1:], WINDOW), strict=True):
        nats, state = model.loss(Batch(inputs, targets), state)
        parts.append(nats)
    return torch.cat(parts)


@torch.inference_mode()
def divergence(model: Model, drawer: Drawer) -> float:
    """The Kullback-Leibler divergence of a drawer's distributions from those of the model in float32, in nats per symbol: the
    mean over symbols that it draws itself, from the beginning of a document.

    Args:
        model: in evaluation mode.
        drawer: the same network, laid out with other weights.
    """
    count, length = COMPARED
    logits, state = model.start(torch.tensor([[DOCUMENT]]))
    ground = Ground(sizes=torch.zeros(drawer.symbols, dtype=torch.long))
    chain = Chain(RuleSettings(temperature=1.0), ground)
    streams = Streams(drawer, chain, state.tensors(), logits, [DOCUMENT], count)
    numbers = Draws(0, range(count)).take(length)
    drawn, ours = [], []
    for time in range(length):
        drawn.append(streams.draw(numbers[:, time : time + 1])[:, 0].copy())
        ours.append(torch.from_numpy(streams.logits.copy()))
    ids = torch.from_numpy(np.stack(drawn).astype(np.int64))  # (time, streams)
    theirs, _ = model(ids, state.select(torch.zeros(count, dtype=torch.long)))
    theirs, approximate = theirs.double().log_softmax(-1), torch.stack(ours).double().log_softmax(-1)
    return float((theirs.exp() * (theirs - approximate)).sum(-1).mean().clamp(min=0))
