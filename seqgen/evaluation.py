"""``evaluate()``: how well a model predicts text it has not seen, in nats, bits and perplexity, beside simple baselines.

The text is one stream, read with the state carried on. To be fast it is cut into lanes that are read side by side; each
lane first reads the ``WARM_UP`` symbols before it, uncounted, so that its state is as if it had read on from there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqgen.errors import DataError
from seqgen.machine import DTYPES
from seqgen.models import Batch, LanguageModel
from seqgen.splits import Split
from seqgen.tokenizers import Tokenizer

LANES = 32
LANE_LEAST = 1024
"""Symbols that a lane has at least; shorter texts are read in fewer lanes."""
CHUNK = 256
WARM_UP = CHUNK


@dataclass(frozen=True)
class Evaluation:
    """How well a text is predicted.

    Attributes:
        split: which part of the corpus.
        symbols: how many symbols were predicted.
        characters: how many characters of text they stand for.
        nats: the surprise of all symbols together.
        accuracy: the share of symbols that were the likeliest one.
        baselines: bits per character of simpler models on the whole split.
    """

    split: str
    symbols: int
    characters: int
    nats: float
    accuracy: float
    baselines: dict[str, float]

    @property
    def nats_per_symbol(self) -> float:
        """Nats for each symbol."""
        return self.nats / self.symbols

    @property
    def bits_per_character(self) -> float:
        """Bits for each character of text: comparable whatever the symbols are."""
        return self.nats / math.log(2) / self.characters

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for `--json`."""
        return {
            "split": self.split,
            "symbols": self.symbols,
            "characters": self.characters,
            "nats_per_symbol": self.nats_per_symbol,
            "nats_per_character": self.nats / self.characters,
            "bits_per_character": self.bits_per_character,
            "perplexity": math.exp(self.nats_per_symbol),
            "accuracy": self.accuracy,
            "unit": "bits_per_character",
            "baselines": self.baselines,
        }


def evaluate(
    model: LanguageModel, tokenizer: Tokenizer, split: Split, name: str, *, symbols: int | None = None
) -> Evaluation:
    """How well a model predicts a split.

    Args:
        model: in evaluation mode.
        tokenizer: what the ids mean.
        split: ids of the text.
        name: what the split is called in the result.
        symbols: only so many from its beginning; None: all.

    Raises:
        DataError: the split is empty.
    """
    if len(split) < 2:
        raise DataError(
            f"the {name} split of this corpus is empty",
            hint="Choose another with --split, or name a text to evaluate on.",
        )
    ids = split.ids if symbols is None else split.ids[: symbols + 1]
    nats, right = predict(model, ids)
    characters = split.characters if len(ids) == len(split) else len(tokenizer.decode(ids))
    return Evaluation(name, len(nats), characters, math.fsum(nats.tolist()), float(right.mean()), split.baselines)


def validation_nats(model: LanguageModel, split: Split, symbols: int, dtype: str) -> float:
    """Nats per symbol over the first so many symbols of a split: the look that training takes now and then."""
    nats, _ = predict(model, split.ids[: symbols + 1], dtype=dtype)
    return float(nats.mean())


@torch.inference_mode()
def predict(
    model: LanguageModel, ids: npt.NDArray[Any], *, dtype: str = "float32"
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Nats of each symbol after the first, and whether it was the likeliest; both of shape (symbols - 1,)."""
    device = model.device
    total = len(ids) - 1
    lanes = max(1, min(LANES, total // LANE_LEAST))
    length = math.ceil(total / lanes)
    warm_up = WARM_UP if lanes > 1 else 0
    nats = np.zeros((lanes, length))
    right = np.zeros((lanes, length), dtype=np.bool_)
    # Lane l predicts symbols l*length + 1 ... (l+1)*length; before the text and after it there is padding.
    places = np.arange(lanes)[None, :] * length + np.arange(-warm_up, length + 1)[:, None]  # (time, lanes)
    state = model.zero_state(lanes)
    for start in range(0, warm_up + length, CHUNK):
        stop = min(start + CHUNK, warm_up + length)
        stretch = places[start : stop + 1]
        window = torch.from_numpy(np.asarray(ids[np.clip(stretch, 0, total)], dtype=np.int64)).to(device)
        with torch.autocast(torch.device(device).type, DTYPES[dtype], enabled=dtype != "float32"):
            logits, state = model(window[:-1], state)
        if start < warm_up:
            if stop == warm_up:  # the first lane has nothing before it
                state = _reset_first(state, model)
            continue
        log_probabilities = logits.float().log_softmax(-1)
        targets = window[1:]
        columns = slice(start - warm_up, stop - warm_up)
        nats[:, columns] = -log_probabilities.gather(-1, targets.unsqueeze(-1)).squeeze(-1).t().cpu().numpy()
        right[:, columns] = (log_probabilities.argmax(-1) == targets).t().cpu().numpy()
    return nats.ravel()[:total], right.ravel()[:total]


@torch.inference_mode()
def nats_of(model: LanguageModel, ids: Tensor) -> Tensor:
    """Nats of each symbol after the first, read as one stream from the zero state; shape (symbols - 1,)."""
    if len(ids) < 2:
        return torch.zeros(0)
    column, state, parts = ids.unsqueeze(1).to(model.device), model.zero_state(1), []
    for inputs, targets in zip(torch.split(column[:-1], CHUNK), torch.split(column[1:], CHUNK), strict=True):
        nats, state = model.loss(Batch(inputs, targets), state)
        parts.append(nats.squeeze(1).cpu())
    return torch.cat(parts)


def _reset_first(state: Any, model: LanguageModel) -> Any:
    zero = model.zero_state(1).tensors()
    tensors = {name: torch.cat([zero[name].to(tensor), tensor[1:]]) for name, tensor in state.tensors().items()}
    return state.with_tensors(tensors)
