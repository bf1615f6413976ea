"""A memory of the document: what it counts, what it is worth, and who uses it."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

import seqgen
from seqgen import evaluation, training
from seqgen.alphabet import Alphabet
from seqgen.checkpoint import Checkpoint
from seqgen.decoding.rules import RuleSettings
from seqgen.errors import CheckpointError
from seqgen.evaluation import learn_recall, predict
from seqgen.generation import generate
from seqgen.migrations import FORMAT, WITH_REPEATS
from seqgen.models import LanguageModel, recall
from seqgen.models.recall import (
    CONTEXTS,
    KINDS,
    LEAST_SEED,
    NOTHING,
    SLOTS,
    TABLE_SHAPE,
    Memory,
    Observed,
    Reminder,
    candidates_of,
    learn,
    raised,
)
from seqgen.recipe import ModelSettings, Overrides
from tests.commands import SMALL, Run

WORDS = [3, 4, 5, 6, 7, 8]


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    built = LanguageModel(Alphabet(20), ModelSettings(hidden=16, embedding=8))
    built.reset_parameters(torch.Generator().manual_seed(1))
    return built.eval()


def repetitive(length: int, seed: int = 1) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Documents of three words each, in any order: a word that was seen comes again, whole."""
    draw = np.random.default_rng(seed)
    ids: list[int] = []
    while len(ids) < length:
        words = draw.integers(1, 20, (3, 6))
        ids += [0, *words[draw.integers(0, 3, 40)].ravel().tolist()]
    return np.array(ids[:length], dtype=np.uint8)


def test_the_first_time_there_is_nothing_to_recall() -> None:
    memory = Memory(0)
    assert [memory.feed(symbol) for symbol in (0, 1, 2, 3, 4)] == [NOTHING] * 5


def test_the_second_time_every_context_knows_what_followed() -> None:
    memory = Memory(0)
    for symbol in (0, *WORDS, 9, *WORDS):
        candidates, kinds = memory.feed(symbol)
    known = [candidate for candidate, kind in zip(candidates, kinds, strict=True) if kind]
    assert known == [9] * (len(CONTEXTS) + 1), "and so does the repeat"


def test_the_latest_follower_comes_first_and_the_others_after_it() -> None:
    memory = Memory(0)
    for symbol in (0, 1, 5, 1, 6, 1, 7, 1):
        candidates, kinds = memory.feed(symbol)
    assert candidates[:3] == [7, 6, 5] and kinds[0] != kinds[1] != 0


def test_often_outweighs_lately() -> None:
    memory = Memory(0)
    for symbol in (0, 1, 5, 1, 5, 1, 5, 1, 6, 1, 5, 1, 6, 1, 5, 1, 5, 1, 6, 1):
        candidates, _ = memory.feed(symbol)
    assert candidates[:2] == [6, 5]  # one half and an eighth and a thirty-second ago, against the rest
    for symbol in (5, 1):
        candidates, _ = memory.feed(symbol)
    assert candidates[:2] == [5, 6]


def test_a_document_begins_with_an_empty_memory() -> None:
    memory = Memory(0)
    for symbol in (0, *WORDS, *WORDS, 0, *WORDS):
        slots = memory.feed(symbol)
    assert slots == NOTHING


@given(st.lists(st.integers(0, 4), max_size=300))
def test_a_candidate_has_followed_its_context_before(ids: list[int]) -> None:
    memory = Memory(0)
    sizes = [size for size, wanted in CONTEXTS for _ in range(wanted)]
    for place, symbol in enumerate(ids):
        candidates, kinds = memory.feed(symbol)
        start = max((before for before in range(place + 1) if ids[before] == 0), default=-1) + 1
        assert len(candidates) == len(kinds) == SLOTS and all(0 <= kind < KINDS for kind in kinds)
        for size, candidate, kind in zip(
            sizes, candidates[:-1], kinds[:-1], strict=True
        ):  # the last one: test_repeats.py
            context = ids[place - size + 1 : place + 1]
            seen = {ids[end] for end in range(start + size, place + 1) if ids[end - size : end] == context}
            assert not kind or candidate in seen


def test_the_memory_forgets_and_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "REMEMBERED", 100)
    memory = Memory(0)
    ids = np.random.default_rng(1).integers(1, 1000, 5000).tolist()
    for symbol in (0, *ids):
        memory.feed(symbol)
    assert len(memory._followers) + len(memory._older) <= 200 * len(CONTEXTS)
    assert len(memory._repeats._symbols) <= 200 >= len(memory._repeats._places) + len(memory._repeats._older)
    for symbol in ids[-100:-50]:  # what is not too long ago is still there
        slots = memory.feed(symbol)
    assert ids[-50] in slots[0]


def test_a_raise_changes_only_the_candidates_and_probabilities_sum_to_one() -> None:
    generator = torch.Generator().manual_seed(1)
    log_p = torch.randn(4, 20, generator=generator).log_softmax(-1)
    log_p[0, 7] = -math.inf
    candidates = torch.randint(0, 10, (4, SLOTS), generator=generator)
    candidates[0, 0] = 7
    kinds = torch.randint(0, KINDS, (4, SLOTS), generator=generator)
    bent = raised(log_p, torch.randn(TABLE_SHAPE, generator=generator), candidates, kinds)
    assert torch.equal(bent[:, 10:], log_p[:, 10:]) and not torch.equal(bent, log_p)
    assert bent[0, 7] == -math.inf and bent.isfinite().sum() == bent.numel() - 1
    assert torch.equal(raised(log_p, torch.randn(TABLE_SHAPE), candidates, torch.zeros_like(kinds)), log_p)


def test_what_a_table_is_learned_from_agrees_with_what_it_does(model: LanguageModel) -> None:
    """The nats that learning computes from a few probabilities are those of the whole distribution."""
    ids = repetitive(600)
    targets = torch.from_numpy(ids[1:].astype(np.int64))
    candidates, kinds = map(torch.from_numpy, candidates_of(Memory(0), ids[:-1].tolist()))
    table = torch.randn(TABLE_SHAPE, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        logits, _ = model(torch.from_numpy(ids[:-1].astype(np.int64)).unsqueeze(1), model.zero_state(1))
        log_p = logits.squeeze(1).log_softmax(-1)
        nats = -log_p.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
        observed = Observed(targets, nats, candidates, kinds, log_p.gather(-1, candidates))
        bent = raised(log_p, table, candidates, kinds).log_softmax(-1)
    wanted = -bent.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    assert not torch.allclose(wanted, nats)
    torch.testing.assert_close(observed.nats(table.double()).float(), wanted, atol=1e-4, rtol=1e-4)


def test_it_learns_to_recall_and_says_what_that_is_worth(model: LanguageModel) -> None:
    ids = repetitive(6000)
    table, known = learn_recall(model, ids)
    assert table is not None and table.shape == TABLE_SHAPE
    assert table[:, 0].abs().sum() == 0, "an empty slot raises nothing"
    alone = predict(model, ids).nats
    assert known.mean() < 0.6 * alone.mean()
    model.recall = table
    try:
        unseen = predict(model, repetitive(6000, seed=2))
        seen = predict(model, ids)
    finally:
        model.recall = None
    assert unseen.nats.mean() == pytest.approx(known.mean(), rel=0.05), "the figure is not of what was learned by heart"
    assert seen.nats.mean() < known.mean() and (seen.alone == alone).all()
    assert unseen.right.mean() > 0.5


@pytest.mark.parametrize("length", [300, 1500])
def test_a_short_text_teaches_nothing(model: LanguageModel, length: int) -> None:
    table, known = learn_recall(model, repetitive(length))
    assert table is None and (known == predict(model, repetitive(length)).nats.astype(np.float32)).all()


def test_a_text_that_says_nothing_twice_teaches_nothing(model: LanguageModel) -> None:
    ids = np.random.default_rng(3).integers(1, 20, 6000).astype(np.uint8)
    assert learn_recall(model, ids)[0] is None


def test_learning_is_repeatable(model: LanguageModel) -> None:
    first, second = (learn_recall(model, repetitive(3000))[0] for _ in range(2))
    assert first is not None and second is not None and torch.equal(first, second)


def test_blocks_and_lanes_change_nothing(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = repetitive(9000)
    table, _ = learn_recall(model, ids)
    model.recall = table
    try:
        whole = predict(model, ids, lanes=1)
        monkeypatch.setattr(evaluation, "BLOCK", 2500)
        blocks = predict(model, ids)
    finally:
        model.recall = None
    np.testing.assert_allclose(blocks.nats, whole.nats, atol=5e-3)
    np.testing.assert_allclose(blocks.alone, whole.alone, atol=2e-3)


def sample(model: LanguageModel, prompt: list[int], indices: list[int], recall: bool = True) -> list[list[int]]:
    drawn = generate(model, prompt, RuleSettings(temperature=0.5), 1, indices, recall=recall)
    return [next(drawn) for _ in range(40)]


def test_a_sample_recalls_a_long_seed_and_nothing_else(model: LanguageModel) -> None:
    prompt = [0, *WORDS * 20]
    assert len(prompt) > LEAST_SEED
    model.recall = learn(observed_words(model))[0]
    assert model.recall is not None
    try:
        with_it, without = sample(model, prompt, [0]), sample(model, prompt, [0], recall=False)
        short = [sample(model, [0, *WORDS], [0], recall=each) for each in (True, False)]
        tile = sample(model, prompt, [0, 1])
    finally:
        model.recall = None
    likely = {(a, b) for a, b in zip(WORDS, [*WORDS[1:], WORDS[0]], strict=True)}

    def known(drawn: list[list[int]]) -> int:
        return sum((a[0], b[0]) in likely for a, b in itertools.pairwise(drawn))

    assert known(with_it) > 30 > 10 > known(without)
    assert short[0] == short[1]
    assert known(tile) > 30


def test_a_sample_does_not_recall_its_own_words() -> None:
    table = torch.tensor([2.0, 0.0]).expand(TABLE_SHAPE)  # every candidate is raised by 2
    reminder = Reminder(table, 0, [0, *WORDS * 2], width=2)
    logits = torch.randn(2, 20, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    assert not torch.equal(reminder.bend(logits), logits), "the seed is recalled"
    for _ in range(5):
        for symbol in (11, 12, 13, 14):
            reminder.feed([symbol, symbol])
            assert torch.allclose(reminder.bend(logits), logits)
    reminder.feed([WORDS[0], 15])
    bent = reminder.bend(logits)
    assert bent[0, WORDS[1]] > logits[0, WORDS[1]] + 1, "what followed in the seed is still known"
    assert torch.allclose(bent[1], logits[1])


def observed_words(model: LanguageModel) -> Observed:
    ids = repetitive(6000)
    targets = torch.from_numpy(ids[1:].astype(np.int64))
    candidates, kinds = map(torch.from_numpy, candidates_of(Memory(0), ids[:-1].tolist()))
    with torch.no_grad():
        logits, _ = model(torch.from_numpy(ids[:-1].astype(np.int64)).unsqueeze(1), model.zero_state(1))
        log_p = logits.squeeze(1).log_softmax(-1)
    nats = -log_p.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return Observed(targets, nats, candidates, kinds, log_p.gather(-1, candidates))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of documents that repeat their names."""
    folder = tmp_path_factory.mktemp("recall")
    choose = random.Random(1)
    documents = []
    for _ in range(60):
        names = ["".join(choose.choices("abcdefghijklmnopqrstuvwxyz", k=8)) for _ in range(3)]
        documents.append(" ".join(choose.choice(names) for _ in range(90)) + "\n")
    (folder / "names.txt").write_text("\n".join(documents), encoding="utf-8")
    settings: Overrides = {
        "model": {"hidden": 16, "layers": 1},
        "training": {"threads": 1, "dtype": "float32", "lanes": 4, "window": 32},
        "corpus": {"documents": "blank-line"},
    }
    seqgen.train(folder / "names.txt", steps=60, out=folder / "model", settings=settings)
    return folder / "model"


def test_a_trained_model_recalls_and_its_figures_say_so(trained: Path, run: Run) -> None:
    [figures] = run("eval", str(trained), "--json").json()
    assert figures["bits_per_character"] < 0.7 * figures["bits_per_character_without_recall"]
    valid = json.loads((trained / "checkpoint.json").read_text(encoding="utf-8"))["metrics"]["valid"]
    assert valid["bits_per_character"] < 0.7 * valid["bits_per_character_without_recall"]
    shown = run("eval", str(trained)).out
    assert "without what it recalls" in shown and f"{figures['bits_per_character_without_recall']:.3f}" in shown


def test_score_uses_what_stood_before(trained: Path) -> None:
    model = seqgen.load(trained)
    once, twice = (model.score("qqwertyz " * times).nats for times in (1, 2))
    assert twice[: len(once)] == pytest.approx(once, abs=1e-4)
    assert sum(twice[len(once) :]) < 0.5 * sum(once)


def names_in(sample: dict[str, Any]) -> int:
    return sum(sample["continuation"].count(name) for name in ("qqwertyz", "poiuzz"))


def test_a_long_seed_gives_its_names_and_no_recall_does_not(trained: Path, run: Run) -> None:
    Path("seed.txt").write_text("qqwertyz poiuzz " * 10, encoding="utf-8")
    command = ("sample", str(trained), "--seed-file", "seed.txt", "-n", "300", "--random-seed", "1")
    recalled, plain = run(*command, "--json").json()[0], run(*command, "--json", "--no-recall").json()[0]
    assert names_in(recalled) > 3 > names_in(plain)
    assert (recalled["settings"]["recall"], plain["settings"]["recall"]) == (True, False)
    several = run(*command, "--count", "3", "--json").json()
    assert all(names_in(sample) > 3 for sample in several)


def test_it_can_be_left_out_of_a_training(trained: Path, run: Run) -> None:
    path = str(trained.parent / "names.txt")
    options = ("--set", "training.recall_symbols=0", "--set", "corpus.documents=blank-line", *SMALL)
    assert run("train", path, "--steps", "5", *options, "-q", "--name", "plain").code == 0
    [figures] = run("eval", "plain", "--json").json()
    assert figures["bits_per_character"] == figures["bits_per_character_without_recall"]
    assert seqgen.load("plain").model.recall is None
    assert "without" not in run("eval", "plain").out


def test_the_picture_shows_where_recall_leads(trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    drawn: list[Any] = []
    monkeypatch.setattr(training, "draw_loss", lambda *arguments: drawn.extend(arguments))
    outcome = seqgen.train(out=copy, steps="+20", resume=True)
    assert outcome.valid is not None and drawn[-1] == outcome.valid.bits_per_character
    assert drawn[-1] < 0.7 * min(drawn[3])


def test_the_weights_of_a_resumed_run_recall_the_same(trained: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    seqgen.train(out=copy, steps="+20", resume=True)
    assert seqgen.load(copy).model.recall is not None, "it is learned anew"
    repeated = seqgen.train(recipe=str(copy), out=tmp_path / "repeated").checkpoint
    names = [Checkpoint(folder).manifest.weights for folder in (copy, repeated)]
    assert names[0] == names[1], "the same bits, what it recalls included"


def with_table(folder: Path, change: Callable[[Tensor], Tensor], number: int = FORMAT) -> Path:
    """The checkpoint with another table, as of another format."""
    manifest = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
    weights = load_file(folder / manifest["weights"])
    weights["recall"] = change(weights["recall"]).contiguous()
    save_file(weights, folder / manifest["weights"])
    manifest["files"][manifest["weights"]] = hashlib.sha256((folder / manifest["weights"]).read_bytes()).hexdigest()
    manifest["format"] = number
    (folder / "checkpoint.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


@pytest.mark.parametrize("change", [lambda table: table[:, :-1], lambda table: table[:-1]])
def test_a_table_of_another_shape_is_refused(trained: Path, tmp_path: Path, change: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(CheckpointError, match="shape"):
        seqgen.load(with_table(Path(shutil.copytree(trained, tmp_path / "copy")), change))


def test_a_table_from_before_repeats_says_what_it_said(trained: Path, tmp_path: Path) -> None:
    earlier = with_table(Path(shutil.copytree(trained, tmp_path / "copy")), lambda table: table[:-1], WITH_REPEATS - 1)
    read, today = seqgen.load(earlier).model.recall, seqgen.load(trained).model.recall
    assert read is not None and today is not None and read.shape == TABLE_SHAPE
    assert torch.equal(read[:-1], today[:-1]) and not read[-1].any() and today[-1].any()
    seqgen.train(out=earlier, steps="+5", resume=True)
    learned = seqgen.load(earlier).model.recall
    assert learned is not None and learned[-1].any(), "a training that goes on learns of repeats, too"
