"""What recall is worth: to a trained network, and to the best n-gram, which may recall the document in the same way."""

from __future__ import annotations

import argparse
import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from common import heading

import seqgen
from seqgen.baselines import ngrams
from seqgen.evaluation import learn_recall, predict, predictions
from seqgen.models import Model
from seqgen.models.recall import SLOTS, Memory, Observed, candidates_of, learn
from seqgen.runs import reopen_corpus
from seqgen.tokenizers import DOCUMENT

Ids = npt.NDArray[np.int64]


class Text(NamedTuple):
    """A held-out text, and all n-grams whose probability a table for an n-gram model needs, one after another."""

    ids: Ids
    candidates: Ids
    kinds: Ids
    grams: Ids


def main() -> None:
    """Prints the surprise of network and n-gram on the same text, without and with recall."""
    parser = argparse.ArgumentParser(description="what recall is worth to the network, and to the best n-gram")
    parser.add_argument("checkpoint", help="its folder or name")
    parser.add_argument("--symbols", type=int, default=40_000, help="of the validation and of the test text")
    options = parser.parse_args()
    model = seqgen.load(options.checkpoint)
    corpus = reopen_corpus(model.checkpoint)
    heading(
        f"recall: {options.checkpoint}",
        f"The first {options.symbols:,} symbols of the test text; what is recalled is learned from as many of the validation "
        "text, for both models in the same way. The n-gram is interpolated modified Kneser-Ney of the order that `seqgen eval` "
        "chose.",
    )
    valid, test = (corpus.splits[name].ids[: options.symbols + 1].astype(np.int64) for name in ("valid", "test"))
    unit = model.tokenizer.unit.name
    bits = model.tokenizer.unit.scale / model.tokenizer.count(test)
    model.model.recall = learn_recall(model.model, valid)[0]
    network = predict(model.model, test)
    learned, measured = (of_contexts(model.model, ids) for ids in (valid, test))
    table, _ = learn(learned)
    contexts = measured.alone if table is None else measured.nats(table.double())
    print(
        f"network {network.alone.sum() * bits:.3f} {unit}, with recall {network.nats.sum() * bits:.3f}; of contexts, "
        f"without repeats, {float(contexts.sum()) * bits:.3f}"
    )

    name = next(
        name for name in corpus.with_baselines().splits["test"].baselines if "gram" in name and name != "unigram"
    )
    order = int(re.match(r"\d+", name)[0])  # type: ignore[index]
    texts = [prepare(ids, order) for ids in (valid, test)]
    wanted = [part for text in texts for part in (text.ids, text.grams)]
    *_, nats = ngrams(
        corpus.splits["train"].ids, [part.astype(np.uint32) for part in wanted], model.tokenizer.size, order
    )
    learned, measured = (observe(text, nats[2 * place], nats[2 * place + 1], order) for place, text in enumerate(texts))
    table, _ = learn(learned)
    recalled = measured.alone if table is None else measured.nats(table.double())
    print(f"{name} {float(measured.alone.sum()) * bits:.3f} {unit}, with recall {float(recalled.sum()) * bits:.3f}")


def of_contexts(model: Model, ids: Ids) -> Observed:
    """What a table is learned from that knows nothing of repeats."""
    candidates, kinds = map(torch.from_numpy, candidates_of(Memory(DOCUMENT), ids[:-1].tolist()))
    kinds[:, -1] = 0
    targets, log_p = torch.from_numpy(ids[1:]), torch.zeros(candidates.shape)
    nats = torch.zeros(len(targets))
    for places, alone, _, wanted in predictions(model, ids):
        where = torch.from_numpy(places)
        log_p[where] = alone.gather(-1, candidates[where])
        nats[where] = -alone.gather(-1, wanted[:, None])[:, 0]
    return Observed(targets, nats, candidates, kinds, log_p)


def prepare(ids: Ids, order: int) -> Text:
    """A text, and for each of its symbols and slots the n-gram that ends with the candidate."""
    candidates, kinds = candidates_of(Memory(DOCUMENT), ids[:-1].tolist())
    padded = np.concatenate([np.zeros(order - 1, np.int64), ids])
    contexts = np.stack([padded[place : place + len(ids) - 1] for place in range(1, order)], axis=1)
    grams = np.concatenate([np.repeat(contexts[:, None], SLOTS, axis=1), candidates[:, :, None]], axis=2)
    return Text(ids, candidates, kinds, grams.ravel())


def observe(text: Text, nats: npt.NDArray[np.float64], gram_nats: npt.NDArray[np.float64], order: int) -> Observed:
    """What a table is learned from, with the n-gram in the place of the network."""
    of_candidates = np.concatenate([[0.0], gram_nats]).reshape(-1, SLOTS, order)[:, :, -1]
    tensors = (text.ids[1:], nats, text.candidates, text.kinds, -of_candidates)
    return Observed(*map(torch.from_numpy, tensors))


if __name__ == "__main__":
    main()
