"""Evaluation: the lanes that make it fast change nothing but the speed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from seqgen import evaluation
from seqgen.alphabet import Alphabet
from seqgen.errors import DataError
from seqgen.evaluation import evaluate, nats_of, predict, validation_nats
from seqgen.models import LanguageModel
from seqgen.recipe import ModelSettings
from seqgen.splits import Split
from seqgen.tokenizers import DOCUMENT
from seqgen.tokenizers.characters import CharacterTokenizer


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    built = LanguageModel(Alphabet(20), ModelSettings(hidden=16, embedding=8))
    built.reset_parameters(torch.Generator().manual_seed(1))
    return built.eval()


def ids_of(length: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.random.default_rng(1).integers(0, 20, length).astype(np.uint8)


@pytest.mark.parametrize("length", [2, 3, 700, 1025, 5000, 40_000])
def test_lanes_give_the_nats_of_one_stream(model: LanguageModel, length: int) -> None:
    ids = ids_of(length)
    nats, alone, right = predict(model, ids)
    wanted = nats_of(model, torch.from_numpy(ids.astype(np.int64))).numpy()
    assert nats.shape == right.shape == (length - 1,)
    np.testing.assert_allclose(nats, wanted, atol=2e-3)
    assert (alone == nats).all(), "a model that does not recall is the network alone"


def test_a_lane_knows_its_document_from_the_beginning() -> None:
    """A model that forgets nothing but at the opening of a document: 256 symbols of it are not enough then."""
    built = LanguageModel(Alphabet(20), ModelSettings(hidden=8, embedding=8, layers=1))
    built.reset_parameters(torch.Generator().manual_seed(1))
    [layer] = built.recurrent_layers()
    rows = {gate: slice(8 * number, 8 * number + 8) for number, gate in enumerate(layer.cell.gates)}
    with torch.no_grad():
        built.embedding[:, 0], built.embedding[DOCUMENT, 0] = 0, 10
        layer.input[rows["forget"]], layer.recurrent[rows["forget"]], layer.input_bias[rows["forget"]] = 0, 0, 20
        layer.input[rows["forget"], 0] = layer.input[rows["input"], 0] = -10
    draw = np.random.default_rng(1)
    documents = [[DOCUMENT, *draw.integers(1, 20, draw.integers(300, 500)).tolist()] for _ in range(80)]
    ids = np.concatenate(documents).astype(np.uint8)
    wanted = predict(built.eval(), ids, lanes=1).nats
    np.testing.assert_allclose(predict(built, ids).nats, wanted, atol=2e-3)


def test_accuracy_counts_symbols_that_were_the_likeliest(model: LanguageModel) -> None:
    ids = ids_of(300)
    right = predict(model, ids).right
    logits, _ = model(torch.from_numpy(ids[:-1].astype(np.int64)).unsqueeze(1), model.zero_state(1))
    assert right.tolist() == (logits.squeeze(1).argmax(-1).numpy() == ids[1:]).tolist()


def test_figures_agree_with_each_other(model: LanguageModel) -> None:
    split = Split(ids_of(3000), np.array([0]), 1500, {"unigram": 4.0})
    result = evaluate(model, CharacterTokenizer("abc"), split, "valid")
    plain = result.to_dict()
    assert plain["symbols"] == 2999 and plain["characters"] == 1500
    assert plain["bits_per_character"] == pytest.approx(result.nats / math.log(2) / 1500)
    assert plain["perplexity"] == pytest.approx(math.exp(plain["nats_per_symbol"]))
    assert plain["baselines"] == {"unigram": 4.0}


def test_a_look_reads_only_so_much(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    split = Split(ids_of(5000), np.array([0]), 4999)
    monkeypatch.setattr(evaluation, "LANE_LEAST", 10**9)  # one stream, so that the beginning is the same
    whole = predict(model, split.ids).nats
    assert validation_nats(model, split, 100, "float32") == pytest.approx(whole[:100].mean())


def test_an_empty_split_is_refused(model: LanguageModel) -> None:
    with pytest.raises(DataError, match="test split"):
        evaluate(model, CharacterTokenizer("abc"), Split(ids_of(1), np.array([0]), 0), "test")
