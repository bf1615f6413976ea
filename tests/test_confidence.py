"""How sure a trained network may be: found again where it is known, and worth something where a text is learned by heart."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from seqgen.alphabet import Alphabet
from seqgen.checkpoint import Checkpoint
from seqgen.confidence import COMPARED, FACTORS, LEAST_SYMBOLS, calibrated_nats, learn_confidence
from seqgen.evaluation import evaluate, predict
from seqgen.held_out import find_held_out
from seqgen.manifest import METRICS
from seqgen.models import LanguageModel
from seqgen.recipe import ModelSettings, Overrides
from seqgen.tokenizers import Ids
from seqgen.training import train

SYMBOLS = 6


def build() -> LanguageModel:
    model = LanguageModel(Alphabet(SYMBOLS), ModelSettings(hidden=16, embedding=8, layers=1))
    model.reset_parameters(torch.Generator().manual_seed(1))
    return model.eval()


def drawn_from(model: LanguageModel, symbols: int) -> Ids:
    """A text that the model itself writes, so that it is as sure of it as it may be."""
    draw = torch.Generator().manual_seed(2)
    model.scale_logits(6.0)  # so that it has something to be sure of
    ids, state = [0], model.zero_state(1)
    for _ in range(symbols):
        logits, state = model.step(torch.tensor(ids[-1:]), state)
        ids.append(int(torch.multinomial(logits.softmax(-1)[0], 1, generator=draw)))
    return np.array(ids)


@pytest.mark.parametrize("factor", [0.95, 1.0, 1.5])
def test_who_is_too_sure_or_not_sure_enough_is_told_by_how_much(factor: float) -> None:
    model = build()
    ids = drawn_from(model, 6_000)
    honest = predict(model, ids).nats.mean()
    model.scale_logits(factor)
    assert len(ids) > COMPARED and calibrated_nats(model, ids, "float32") == pytest.approx(honest, abs=2e-3)
    model.scale_logits(learn_confidence(model, ids))
    assert predict(model, ids).nats.mean() == pytest.approx(honest, abs=2e-3)


def test_of_a_short_text_nothing_is_learned() -> None:
    model = build()
    ids = drawn_from(model, LEAST_SYMBOLS)
    model.scale_logits(3.0)
    assert learn_confidence(model, ids) == FACTORS[0]
    assert learn_confidence(model, ids[:LEAST_SYMBOLS]) == 1.0
    too_sure = predict(model, ids).nats.mean()
    assert calibrated_nats(model, ids, "float32") < too_sure - 0.01
    assert calibrated_nats(model, ids[:LEAST_SYMBOLS], "float32") == pytest.approx(
        predict(model, ids[:LEAST_SYMBOLS]).nats.mean(), rel=1e-6
    )


def test_factors_beyond_those_tried_are_not_promised() -> None:
    """A model three times too sure is calmed as far as the lowest factor, and its look says what that costs, and no less."""
    model = build()
    ids = drawn_from(model, 6_000)
    model.scale_logits(3.0)
    looked = calibrated_nats(model, ids, "float32")
    model.scale_logits(FACTORS[0])
    assert looked == pytest.approx(predict(model, ids).nats.mean(), abs=2e-3)


def test_a_trained_network_is_as_sure_of_validation_text_as_it_may_be(tmp_path: Path) -> None:
    choose = random.Random(1)
    words = ["".join(choose.choices("abcdefgh", k=5)) for _ in range(300)]
    text = tmp_path / "words.txt"  # of which each stands there a few times only
    text.write_text("".join(choose.choice(words) + choose.choice(" \n") for _ in range(4_000)), encoding="utf-8")
    settings: Overrides = {
        "corpus": {"split": "80/20/0"},
        "model": {"hidden": 128, "embedding": 16, "hidden_dropout": 0.0, "output_dropout": 0.0, "weight_dropout": 0.0},
        "training": {"evaluate_every": 100_000, "weight_decay": 0.0},  # so that it is learned by heart
    }
    loaded: dict[str, float] = {}
    best_look: dict[str, float] = {}
    for name, symbols in (("raw", 0), ("calm", 5_000)):
        settings["training"]["recall_symbols"] = symbols
        outcome = train(text, steps=500, out=tmp_path / name, settings=settings, random_seed=3)
        checkpoint = Checkpoint(outcome.checkpoint)
        tokenizer = checkpoint.tokenizer()
        valid = find_held_out(checkpoint, tokenizer, (), "valid").split
        loaded[name] = evaluate(checkpoint.load_model(tokenizer), tokenizer, valid, "valid").nats_per_symbol
        looks = [json.loads(line)["valid_nats"] for line in (tmp_path / name / METRICS).read_text("utf-8").splitlines()]
        best_look[name] = min(looks)
        assert outcome.valid is not None
        assert outcome.valid.nats_per_symbol == pytest.approx(loaded[name], rel=1e-6), "what was told is what is kept"
    assert loaded["calm"] < loaded["raw"] - 0.02
    for name, nats in loaded.items():
        assert best_look[name] == pytest.approx(nats, abs=0.01), "looks cost what the kept weights do"
