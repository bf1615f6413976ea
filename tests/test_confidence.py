"""How sure a trained network may be: found again where it is known, and worth something where a text is learned by heart."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from seqgen import confidence
from seqgen.alphabet import Alphabet
from seqgen.checkpoint import Checkpoint
from seqgen.confidence import FACTORS, LEAST_SYMBOLS, MOST_SYMBOLS, STRETCH, can_learn, spread
from seqgen.evaluation import evaluate, learn_confidence, predict, validation_nats
from seqgen.held_out import find_held_out
from seqgen.manifest import METRICS
from seqgen.models import LanguageModel
from seqgen.recipe import ModelSettings, Overrides
from seqgen.splits import Split
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


def look(model: LanguageModel, ids: Ids) -> float:
    return validation_nats(model, Split(ids, np.array([0]), len(ids)), len(ids) - 1, "float32", calibrated=True)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("factor", [0.95, 1.0, 1.5])
def test_who_is_too_sure_or_not_sure_enough_is_told_by_how_much(
    factor: float, every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build()
    ids = drawn_from(model, 6_000)
    monkeypatch.setattr(confidence, "MOST_LOGITS", (len(ids) - 1) * SYMBOLS // every)
    honest = predict(model, ids).nats.mean()
    model.scale_logits(factor)
    assert look(model, ids) == pytest.approx(honest, abs=2e-3 if every == 1 else 1e-2)
    model.scale_logits(learn_confidence(model, ids, len(ids)))
    assert predict(model, ids).nats.mean() == pytest.approx(honest, abs=2e-3)


def test_of_a_short_text_nothing_is_learned() -> None:
    model = build()
    ids = drawn_from(model, LEAST_SYMBOLS + 1)
    model.scale_logits(3.0)
    assert learn_confidence(model, ids, len(ids)) == FACTORS[0]
    assert learn_confidence(model, ids, LEAST_SYMBOLS - 1) == 1.0
    assert learn_confidence(model, ids[:LEAST_SYMBOLS], len(ids)) == 1.0
    assert [can_learn(*case) for case in ((0, 10**6), (10**6, LEAST_SYMBOLS - 1), (LEAST_SYMBOLS, LEAST_SYMBOLS))] == [
        0,
        0,
        1,
    ]


def test_factors_beyond_those_tried_are_not_promised() -> None:
    """A model three times too sure is calmed as far as the lowest factor, and its look says what that costs, and no less."""
    model = build()
    ids = drawn_from(model, 6_000)
    model.scale_logits(3.0)
    looked = look(model, ids)
    model.scale_logits(FACTORS[0])
    assert looked == pytest.approx(predict(model, ids).nats.mean(), abs=2e-3)


def test_a_text_that_is_easier_at_its_beginning_says_how_sure_one_may_be_on_the_whole() -> None:
    """All of it is what the model writes; but behind its first third every eighth letter is another."""
    model, chance = build(), np.random.default_rng(1)
    ids = drawn_from(model, 3 * MOST_SYMBOLS // 2)
    wrong = np.flatnonzero((chance.random(len(ids)) < 1 / 8) & (np.arange(len(ids)) > MOST_SYMBOLS // 2))
    ids[wrong] = chance.integers(0, SYMBOLS, len(wrong))
    model.scale_logits(learn_confidence(model, ids, MOST_SYMBOLS))
    calmed = predict(model, ids).nats.mean()
    for factor in (0.9, 1.0 / 0.9):
        model.scale_logits(factor)
        assert predict(model, ids).nats.mean() > calmed
        model.scale_logits(1 / factor)


@pytest.mark.parametrize(
    ("length", "most"), [(10, 20), (4_000, 1_001), (5_000, 1_001), (100_000, 40_961), (100_000, 9_000), (4_097, 4_097)]
)
def test_stretches_come_from_everywhere_and_are_no_more_than_asked_for(length: int, most: int) -> None:
    ids = np.arange(length)
    chosen = spread(ids, most)
    assert min(length, most) - STRETCH < len(chosen) <= min(length, most) and (np.diff(chosen) > 0).all()
    if most >= 2 * STRETCH:
        assert (
            chosen[0] == 0
            and chosen[-1] == length - 1
            and len(np.flatnonzero(np.diff(chosen) > 1)) == most // STRETCH - 1
        )


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
