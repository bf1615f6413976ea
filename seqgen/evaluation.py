"""``evaluate()``: how well a model predicts text it has not seen, in nats, bits and perplexity, beside simple baselines.

Replies are read one by one, each after its message (``pair_evaluation.py``). Any other text is one
stream, read with the state carried on. To be fast it is cut into lanes that are read side by side; each lane first reads
symbols before it, uncounted, so that its state is as if it had read on from there: ``WARM_UP`` of them, or all of its document
so far, where documents are short. A piece of music says at its beginning in what key and metre it is.
The memory of the document (``models/recall.py``) needs no warm-up: it reads the whole stream beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqgen.confidence import MOST_SYMBOLS, Confidence, can_learn, spread
from seqgen.errors import DataError
from seqgen.machine import DTYPES
from seqgen.models import Batch, Model
from seqgen.models.recall import Memory, Observed, candidates_of, learn, raised
from seqgen.pair_evaluation import guessed, read_pairs, surprise
from seqgen.predictions import Evaluation, Prediction, Predictions
from seqgen.splits import Split
from seqgen.tokenizers import DOCUMENT, Tokenizer

LANES = 32
LANE_LEAST = 1024
"""Symbols that a lane has at least; shorter texts are read in fewer lanes."""
CHUNK = 256
WARM_UP = CHUNK
LONGEST_WARM_UP, MOST_WARMING = 2048, 0.5
"""Symbols up to which a document is short, and how much of a lane they may be: so much more time is spent at most."""
BLOCK = 1 << 18
"""Symbols whose candidates are in memory at once."""


Reader = Callable[[npt.NDArray[Any], int, int], Iterator[tuple[npt.NDArray[np.int64], Tensor, Tensor]]]
"""Reads a stretch of a text, as `_read` does."""


def evaluate(
    model: Model,
    tokenizer: Tokenizer,
    split: Split,
    name: str,
    *,
    symbols: int | None = None,
    known: npt.NDArray[np.float64] | None = None,
) -> Evaluation:
    """How well a model predicts a split.

    Args:
        model: in evaluation mode.
        tokenizer: what the ids mean.
        split: ids of the text.
        name: what the split is called in the result.
        symbols: only so many from its beginning; None: all.
        known: nats of its first symbols, to be used for what the model would give them now.

    Raises:
        DataError: the split is empty.
    """
    if len(split) < 2:
        raise DataError(
            f"the {name} split of this corpus is empty",
            hint="The corpus may be too small to hold any out. Choose another with --split, or name a text to evaluate on.",
        )
    return READINGS[model.name].evaluate(model, tokenizer, split, name, symbols, known)


def look_back(
    model: Model, tokenizer: Tokenizer, split: Split, recall_symbols: int, *, symbols: int | None = None
) -> Evaluation:
    """What a trained network is to recall of a document, learned from validation text, and how well it predicts that text then.

    Args:
        model: without a memory; it gets one (`recall`) where that is worth it.
        tokenizer: what the ids mean.
        split: the validation text.
        recall_symbols: of it, from which recall is learned; each part of them is measured by what the others taught.
        symbols: as for `evaluate`.

    Raises:
        DataError: the split is empty.
    """
    known = None
    if recall_symbols:
        model.recall, known = learn_recall(model, split.ids[: recall_symbols + 1])
    return evaluate(model, tokenizer, split, "valid", symbols=symbols, known=known)


def _evaluate_stream(
    model: Model,
    tokenizer: Tokenizer,
    split: Split,
    name: str,
    symbols: int | None,
    known: npt.NDArray[np.float64] | None,
) -> Evaluation:
    ids = split.ids if symbols is None else split.ids[: symbols + 1]
    nats, alone, right = predict(model, ids)
    if known is not None:
        nats[: len(known)] = known[: len(nats)]
    return Evaluation(
        name,
        len(nats),
        split.characters if len(ids) == len(split) else max(1, tokenizer.count(ids)),
        math.fsum(nats.tolist()),
        math.fsum(alone.tolist()),
        float(right.mean()),
        _baselines(split, tokenizer),
        tokenizer.unit,
        tokenizer.figures(np.asarray(ids), nats),
    )


def _evaluate_pairs(
    model: Model,
    tokenizer: Tokenizer,
    split: Split,
    name: str,
    symbols: int | None,
    known: npt.NDArray[np.float64] | None,
) -> Evaluation:
    read = read_pairs(model, split, symbols)
    characters, words = read.text(tokenizer)
    nats = math.fsum(read.nats.tolist())
    accuracy, baselines = float(read.right.mean()), _baselines(split, tokenizer)
    counted = (len(read.nats), max(1, characters))
    return Evaluation(name, *counted, nats, nats, accuracy, baselines, tokenizer.unit, {}, words)


def _baselines(split: Split, tokenizer: Tokenizer) -> dict[str, float]:
    in_bits = math.log(2) * tokenizer.unit.scale
    return {baseline: bits * in_bits for baseline, bits in split.baselines.items()}


def validation_nats(model: Model, split: Split, symbols: int, dtype: str, *, calibrated: bool = False) -> float:
    """Nats per symbol over so many symbols of a split: the look that training takes now and then.

    Args:
        model: in evaluation mode.
        split: the validation text.
        symbols: of it, from its beginning.
        dtype: of the arithmetic.
        calibrated: as sure of them as it may be, as kept weights are made (`confidence.py`), so that weights are compared by what
            they will cost then. Replies are not calibrated.
    """
    return READINGS[model.name].look(model, split, symbols, dtype, calibrated)


def _look_at_stream(model: Model, split: Split, symbols: int, dtype: str, calibrated: bool) -> float:
    ids = split.ids[: symbols + 1]
    if calibrated:
        return _confidence(model, ids, dtype).nats_per_symbol
    return float(predict(model, ids, dtype=dtype).nats.mean())


def _look_at_pairs(model: Model, split: Split, symbols: int, dtype: str, calibrated: bool) -> float:
    return float(read_pairs(model, split, symbols, dtype).nats.mean())


def learn_confidence(model: Model, ids: npt.NDArray[Any], most: int) -> float:
    """The factor of all logits at which a text that the model has not seen needs the fewest nats; 1 where the text is too short.

    Args:
        model: in evaluation mode.
        ids: the text, as one stream.
        most: symbols that are read.
    """
    if not can_learn(most, len(ids) - 1):
        return 1.0
    return _confidence(model, spread(ids, min(most, MOST_SYMBOLS) + 1), "float32").factor


@torch.inference_mode()
def _confidence(model: Model, ids: npt.NDArray[Any], dtype: str) -> Confidence:
    confidence = Confidence(len(ids) - 1)
    for read in predictions(model, ids, dtype=dtype):
        confidence.add(read)
    return confidence


@torch.inference_mode()
def predict(
    model: Model, ids: npt.NDArray[Any], *, dtype: str = "float32", lanes: int = LANES, read: Reader | None = None
) -> Prediction:
    """How each symbol of a text after the first is predicted.

    Args:
        model: in evaluation mode.
        ids: the text, as one stream.
        dtype: of the arithmetic.
        lanes: at most.
        read: how it is read instead.
    """
    total = len(ids) - 1
    result = Prediction(np.zeros(total), np.zeros(total), np.zeros(total, dtype=np.bool_))
    for places, alone, log_p, targets in predictions(model, ids, dtype=dtype, lanes=lanes, read=read):
        result.alone[places] = surprise(alone, targets)
        result.nats[places] = surprise(log_p, targets)
        result.right[places] = guessed(log_p, targets)
    return result


@torch.inference_mode()
def predictions(
    model: Model, ids: npt.NDArray[Any], *, dtype: str = "float32", lanes: int = LANES, read: Reader | None = None
) -> Iterator[Predictions]:
    """What `predict` sums up, a window of it at a time, so that a long text takes little memory; see there."""
    read = read or partial(_read, model, dtype, lanes)
    total = len(ids) - 1
    memory = Memory(DOCUMENT)
    for begin in range(0, total, BLOCK):
        end = min(begin + BLOCK, total)
        if model.recall is not None:
            candidates, kinds = _candidates(memory, ids[begin:end], model.device)
        for places, alone, targets in read(ids, begin, end):
            log_p = alone
            if model.recall is not None:
                rows = torch.from_numpy(np.minimum(places, end - 1) - begin)
                log_p = raised(alone, model.recall, candidates[rows], kinds[rows]).log_softmax(-1)
            if (wanted := places < end).all():
                yield Predictions(places.ravel(), alone.flatten(0, 1), log_p.flatten(0, 1), targets.flatten())
            else:
                chosen = torch.from_numpy(wanted).to(targets.device)
                yield Predictions(places[wanted], alone[chosen], log_p[chosen], targets[chosen])


@torch.no_grad()
def learn_recall(
    model: Model, ids: npt.NDArray[Any], *, dtype: str = "float32"
) -> tuple[Tensor | None, npt.NDArray[np.float64]]:
    """What a model without a memory is to make of one, learned from a text that it has not seen.

    Returns:
        The table, or None where it would gain next to nothing; and the nats of the text's symbols after the first, each part
        by what was learned from the others.
    """
    total = len(ids) - 1
    candidates, kinds = _candidates(Memory(DOCUMENT), ids[:total], torch.device("cpu"))
    nats, log_p = torch.zeros(total), torch.zeros(candidates.shape)
    for places, log_probabilities, targets in _read(model, dtype, LANES, ids, 0, total):
        wanted = places < total
        where = torch.from_numpy(places[wanted])
        rows = torch.from_numpy(np.minimum(places, total - 1))
        nats[where] = torch.from_numpy(surprise(log_probabilities, targets)[wanted]).float()
        log_p[where] = log_probabilities.cpu().gather(-1, candidates[rows])[torch.from_numpy(wanted)]
    targets = torch.from_numpy(ids[1:].astype(np.int64))
    table, known = learn(Observed(targets, nats, candidates, kinds, log_p))
    return None if table is None else table.to(model.device), known.numpy()


@torch.inference_mode()
def nats_of(model: Model, ids: Tensor) -> Tensor:
    """Nats of each symbol after the first by the network alone, read as one stream from the zero state; (symbols - 1,)."""
    if len(ids) < 2:
        return torch.zeros(0)
    column, state, parts = ids.unsqueeze(1).to(model.device), model.zero_state(1), []
    for inputs, targets in zip(torch.split(column[:-1], CHUNK), torch.split(column[1:], CHUNK), strict=True):
        nats, state = model.loss(Batch(inputs, targets), state)
        parts.append(nats.squeeze(1).cpu())
    return torch.cat(parts)


def _candidates(memory: Memory, ids: npt.NDArray[Any], device: torch.device) -> tuple[Tensor, Tensor]:
    """What the memory makes of each symbol: candidates and kinds, both (symbols, slots)."""
    candidates, kinds = candidates_of(memory, ids.tolist())
    return torch.from_numpy(candidates).to(device), torch.from_numpy(kinds).to(device)


def _read(
    model: Model, dtype: str, most_lanes: int, ids: npt.NDArray[Any], begin: int, end: int
) -> Iterator[tuple[npt.NDArray[np.int64], Tensor, Tensor]]:
    """Reads a stretch of a text side by side in lanes, from symbol `begin` up to `end`.

    Yields:
        For a window of every lane: the places of the symbols that were read, (time, lanes), beyond `end` where the last
        lane has no more; the log-probabilities of the symbols after them; and those symbols.
    """
    device = model.device
    lanes = max(1, min(most_lanes, (end - begin) // LANE_LEAST))
    length = math.ceil((end - begin) / lanes)
    warm_up = _warm_up(ids, begin + length * np.arange(lanes), length)
    # Lane l reads symbols begin + l*length ... begin + (l+1)*length - 1; before the text and after it there is padding.
    all_places = begin + np.arange(lanes)[None, :] * length + np.arange(-warm_up, length + 1)[:, None]  # (time, lanes)
    state = model.zero_state(lanes)
    for start in range(0, warm_up + length, CHUNK):
        stop = min(start + CHUNK, warm_up + length)
        places = all_places[start : stop + 1]
        window = torch.from_numpy(np.asarray(ids[np.clip(places, 0, len(ids) - 1)], dtype=np.int64)).to(device)
        with torch.autocast(torch.device(device).type, DTYPES[dtype], enabled=dtype != "float32"):
            logits, state = model(window[:-1], state)
        if start < warm_up:
            if stop == warm_up and begin == 0:  # the first lane has nothing before it
                state = _reset_first(state, model)
            continue
        yield places[:-1], logits.float().log_softmax(-1), window[1:]


def _warm_up(ids: npt.NDArray[Any], starts: npt.NDArray[np.int64], length: int) -> int:
    """How many symbols lanes that begin at these places read beforehand: a multiple of `CHUNK`."""
    most = max(WARM_UP, min(LONGEST_WARM_UP, int(MOST_WARMING * length) // CHUNK * CHUNK))
    needed = 0
    for start in starts[starts > 0].tolist():
        openings = np.flatnonzero(ids[max(0, start - most) : start + 1][::-1] == DOCUMENT)
        needed = max(needed, WARM_UP, *openings[:1].tolist())
    return math.ceil(needed / CHUNK) * CHUNK


def _reset_first(state: Any, model: Model) -> Any:
    zero = model.zero_state(1).tensors()
    tensors = {name: torch.cat([zero[name].to(tensor), tensor[1:]]) for name, tensor in state.tensors().items()}
    return state.with_tensors(tensors)


class Reading(NamedTuple):
    """How what a model of some name predicts is read."""

    evaluate: Callable[
        [Model, Tokenizer, Split, str, int | None, npt.NDArray[np.float64] | None],
        Evaluation,
    ]
    look: Callable[[Model, Split, int, str, bool], float]


READINGS = {
    "language": Reading(_evaluate_stream, _look_at_stream),
    "reply": Reading(_evaluate_pairs, _look_at_pairs),
}
"""By the name of the model."""
