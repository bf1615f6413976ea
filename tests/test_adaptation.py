"""Adaptation: each segment is predicted before it is learned, it is learned well, and nothing of it stays behind."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import seqgen
from seqgen import adaptation, courses
from seqgen.adaptation import Adapter, adapt
from seqgen.api import Loaded
from seqgen.courses import AdaptationSettings
from seqgen.errors import DataError, UsageError
from seqgen.evaluation import nats_of, predict
from seqgen.models import CELLS, LanguageModel, Model
from seqgen.pair_evaluation import read_pairs
from seqgen.recipe import ModelSettings
from seqgen.splits import Split
from tests.commands import SMALL, Run
from tests.exchanges import exchanges, write_tsv
from tests.texts import verse
from tests.trained import trained_on_verse

Ids = np.ndarray[tuple[int], np.dtype[np.int64]]
SEGMENT = AdaptationSettings().segment
FAST = AdaptationSettings(rate=5e-3)
"""For models so small that a weight of theirs must move far."""
STILL = AdaptationSettings(rate=0.0, decay=0.0)


@pytest.fixture(autouse=True)
def _little_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courses, "WRITTEN", 8)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model of verse."""
    return trained_on_verse(tmp_path_factory.mktemp("adapted"))


@pytest.fixture
def loaded(trained: Path) -> Loaded:
    return seqgen.load(trained)


def ids_of(loaded: Loaded, text: str) -> Ids:
    return np.array([0, *loaded.tokenizer.encode(text).tolist()])


def weights_of(model: Model) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(model: Model, weights: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def still(loaded: Loaded, ids: Ids) -> Any:
    return nats_of(loaded.model, torch.from_numpy(ids)).numpy()


def test_the_first_segment_is_predicted_as_without_learning_and_later_ones_better(loaded: Loaded) -> None:
    ids = ids_of(loaded, verse(4000, seed=5).upper())
    nats, alone = Adapter(loaded.model).read(ids), still(seqgen.load(loaded.checkpoint.folder), ids)
    assert nats.shape == (len(ids) - 1,)
    np.testing.assert_allclose(nats[:SEGMENT], alone[:SEGMENT], atol=1e-4)
    assert nats[-1000:].mean() < alone[-1000:].mean() - 0.5


def test_without_a_rate_nothing_is_learned(loaded: Loaded) -> None:
    ids, before = ids_of(loaded, verse(900)), weights_of(loaded.model)
    np.testing.assert_allclose(Adapter(loaded.model, STILL).read(ids), still(loaded, ids), atol=1e-4)
    assert same(loaded.model, before)


def test_no_symbol_is_predicted_by_what_learned_from_it_or_from_a_later_one(loaded: Loaded) -> None:
    ids, adapter = ids_of(loaded, verse(1000)), Adapter(loaded.model)
    nats = adapter.read(ids)
    for place in (1, SEGMENT, SEGMENT + 1, 500, len(ids) - 1):
        other = ids.copy()
        other[place] = 1 + ids[place] % 5
        adapter.reset()
        changed = adapter.read(other)
        assert (changed[: place - 1] == nats[: place - 1]).all() and changed[place - 1] != nats[place - 1]


def test_the_same_text_gives_the_same_nats_again(loaded: Loaded) -> None:
    ids, adapter = ids_of(loaded, verse(1000)), Adapter(loaded.model)
    nats = adapter.read(ids)
    adapter.reset()
    assert (adapter.read(ids) == nats).all()
    adapter.reset()
    assert (Adapter(loaded.model).read(ids) == nats).all()


def test_a_text_that_repeats_itself_is_soon_known(loaded: Loaded) -> None:
    ids = ids_of(loaded, "the moon sings to seven foxes.\n" * 120)
    nats, alone = Adapter(loaded.model, FAST).read(ids), still(seqgen.load(loaded.checkpoint.folder), ids)
    assert nats[-300:].mean() < alone[-300:].mean() / 3


def test_reset_brings_back_every_bit_and_samples_follow_what_was_learned(loaded: Loaded) -> None:
    def sample() -> str:
        return "".join(loaded.sample("the ", length=40, random_seed=3))

    before, first = weights_of(loaded.model), sample()
    adapter = Adapter(loaded.model, FAST)
    adapter.read(ids_of(loaded, "ooo " * 600))
    assert not same(loaded.model, before) and "ooo" in sample()
    adapter.reset()
    assert same(loaded.model, before) and sample() == first
    assert not loaded.model.training and not any(weight.requires_grad for weight in loaded.model.parameters())


def test_decay_pulls_the_weights_back(loaded: Loaded) -> None:
    ids, before = ids_of(loaded, verse(2000)), weights_of(loaded.model)

    def moved(decay: float) -> float:
        adapter = Adapter(loaded.model, AdaptationSettings(decay=decay))
        adapter.read(ids)
        distance = sum(
            float((tensor - before[name]).square().sum()) for name, tensor in loaded.model.state_dict().items()
        )
        adapter.reset()
        return distance

    assert moved(0.5) < moved(0.0) / 2


def test_no_text_however_strange_ruins_the_weights(loaded: Loaded) -> None:
    draw = np.random.default_rng(2)
    ids: Ids = np.concatenate([[0], draw.integers(0, loaded.tokenizer.size, 6000)])
    nats, alone = Adapter(loaded.model).read(ids), still(seqgen.load(loaded.checkpoint.folder), ids)
    assert np.isfinite(nats).all() and nats.mean() < alone.mean()


def test_small_weights_take_smaller_steps(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ids_of(loaded, verse(2 * SEGMENT))[: SEGMENT + 1]  # one segment
    small = dict(loaded.model.named_parameters())["layers.0.recurrent"]
    size = float(small.square().mean().sqrt())

    def moved(usual: float) -> float:
        monkeypatch.setattr(adaptation, "USUAL_WEIGHT", usual)
        before, adapter = small.clone(), Adapter(loaded.model, AdaptationSettings(rate=1e-5, decay=0.0))
        adapter.read(ids)
        distance = float((small - before).norm())
        adapter.reset()
        return distance

    monkeypatch.setattr(adaptation, "LARGEST_STEP", 1e9)
    assert moved(10 * size) == pytest.approx(moved(size) / 10, rel=1e-2)
    assert moved(0.5 * size) == moved(size), "large ones go by the rate alone"


def test_no_step_is_longer_than_it_may_be(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptation, "LARGEST_STEP", 0.05)
    before, ids = weights_of(loaded.model), ids_of(loaded, verse(SEGMENT).upper())
    Adapter(loaded.model, AdaptationSettings(rate=0.01, decay=0.0)).read(ids[:SEGMENT])  # in one segment
    weights = dict(loaded.model.named_parameters())
    moved = sum(float((weight - before[name]).square().sum()) for name, weight in weights.items()) ** 0.5
    longest = 0.01 * 0.05 * sum(weight.numel() for weight in weights.values()) ** 0.5
    assert moved == pytest.approx(longest, rel=1e-3)
    assert not loaded.model.training and not any(weight.requires_grad for weight in weights.values())


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_learns(cell: str) -> None:
    from seqgen.alphabet import Alphabet

    model = LanguageModel(Alphabet(12), ModelSettings(cell=cell, hidden=16, embedding=8, tied=False))
    model.reset_parameters(torch.Generator().manual_seed(1))
    model.eval().requires_grad_(False)
    ids: Ids = np.tile(np.array([0, 3, 1, 4, 1, 5, 9, 2, 6, 5]), 60)
    nats = Adapter(model, AdaptationSettings(rate=3e-3)).read(ids)
    assert nats[-100:].mean() < nats[:100].mean()


def test_a_stream_is_learned_from_while_it_is_evaluated(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    from seqgen import evaluation

    ids = ids_of(loaded, verse(3000, seed=4))
    adapter = Adapter(loaded.model)
    nats = adapter.read(ids)
    adapter.reset()
    monkeypatch.setattr(evaluation, "BLOCK", 10 * SEGMENT)  # of whole segments, so that they are the same
    np.testing.assert_array_equal(predict(loaded.model, ids, read=adapter.windows).alone, nats.astype(np.float64))


def test_settings_that_cannot_be_meant_are_refused() -> None:
    for wrong in ({"rate": -1.0}, {"decay": float("nan")}, {"floor": float("inf")}, {"segment": 0}, {"pairs": 0}):
        with pytest.raises(UsageError):
            AdaptationSettings(**wrong)


def test_a_text_that_is_too_long_is_refused_before_it_is_read(loaded: Loaded) -> None:
    ids = np.zeros(adaptation.MOST + 1, dtype=np.uint8)
    with pytest.raises(DataError, match="500,001 symbols are too many"):
        adapt(loaded.model, loaded.tokenizer, Split(ids, np.array([0]), 2), "it", 1)


def test_a_text_that_is_too_short_is_refused(loaded: Loaded) -> None:
    with pytest.raises(DataError, match="only 3 symbols"):
        adapt(loaded.model, loaded.tokenizer, Split(np.array([0, 1, 2]), np.array([0]), 2), "it", 1)


# From the command line


def command_line(run: Run, *arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--json", "-q")
    assert result.code == 0, result.err
    return result.json()[0]


def test_eval_dynamic_stands_beside_the_still_figure_and_leaves_the_checkpoint(run: Run, trained: Path) -> None:
    Path("other.txt").write_text(verse(3000, seed=9).upper(), encoding="utf-8")
    before = hashes(trained)
    line = command_line(run, "eval", str(trained), "other.txt", "--dynamic")
    plain = command_line(run, "eval", str(trained), "other.txt")
    assert line["bits_per_character"] == plain["bits_per_character"] and "bits_per_character_dynamic" not in plain
    assert line["bits_per_character_dynamic"] < line["bits_per_character"] - 0.3
    assert line["bits_per_character_dynamic_without_recall"] < line["bits_per_character_without_recall"] - 0.3
    assert line["dynamic_characters_per_second"] > 0 and line["dynamic_sizes"]
    again = command_line(run, "eval", str(trained), "other.txt", "--dynamic")
    assert again["bits_per_character_dynamic"] == line["bits_per_character_dynamic"]
    table = run("eval", str(trained), "other.txt", "--dynamic").out
    assert "learning as it reads" in table and f"{line['bits_per_character_dynamic']:.3f}" in table
    assert hashes(trained) == before


def test_a_sample_is_like_what_it_was_adapted_to(run: Run, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptation, "AdaptationSettings", lambda: FAST)
    Path("letters.txt").write_text("ooo " * 600, encoding="utf-8")
    before = hashes(trained)
    command = ["sample", str(trained), "-n", "60", "--random-seed", "3", "--adapt", "letters.txt"]
    line = command_line(run, *command)
    assert line["settings"]["adapt"] == "letters.txt"
    assert command_line(run, *command)["text"] == line["text"]
    still = command_line(run, *command[:-2])
    assert still["settings"]["adapt"] is None
    assert line["text"].count("ooo") > still["text"].count("ooo") + 3
    said = run(*command).err
    assert "learned from letters.txt: 2,400 characters" in said and "as it was first read" in said
    assert hashes(trained) == before


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("none.txt", None),
        ("empty.txt", b""),
        ("short.txt", b"Hi."),
        ("nul.bin", bytes(3000)),
        ("noise.txt", bytes(range(256)) * 9),
    ],
)
def test_a_file_to_adapt_to_that_cannot_be_used_is_refused(
    run: Run, trained: Path, name: str, data: bytes | None
) -> None:
    if data is not None:
        Path(name).write_bytes(data)
    assert name in run("sample", str(trained), "--adapt", name).refusal()


def test_replies_are_learned_pair_by_pair(run: Run) -> None:
    write_tsv("pairs.tsv")
    small = ["--set", "training.batch_symbols=512", *SMALL[:4], *SMALL[-2:]]
    trained = run("train", "pairs.tsv", "--kind", "replies", "--steps", "40", "--name", "it", *small, "-q")
    assert trained.code == 0, trained.err
    write_tsv(
        "mine.tsv", [(message, f"Ask the cook, {number}.") for number, (message, _) in enumerate(exchanges()[:60])]
    )
    before = hashes(Path("checkpoints/it"))
    line = command_line(run, "eval", "it", "mine.tsv", "--dynamic", "--samples", "2", "--beam", "1")
    assert line["bits_per_character_dynamic"] < line["bits_per_character"]
    command = ["reply", "it", "Where is the milk?", "--adapt", "mine.tsv"]
    adapted = command_line(run, *command)
    assert adapted["adapt"] == "mine.tsv"
    assert adapted == command_line(run, *command) != command_line(run, *command[:-2])
    assert "learned from mine.tsv" in run(*command).err
    Path("prose.txt").write_text("", encoding="utf-8")
    assert "prose.txt" in run("reply", "it", "Hello?", "--adapt", "prose.txt").refusal()
    assert hashes(Path("checkpoints/it")) == before

    model = seqgen.load("it")
    split = Split(*(lambda ids: (ids, np.flatnonzero(ids == 0)))(pair_ids(model, exchanges()[:9])), 0)
    adapter = Adapter(model.model)
    nats = adapter.read(split.ids)
    adapter.reset()
    first = read_pairs(model.model, Split(split.ids[: split.starts[8]], split.starts[:8], 0))  # the first four pairs
    assert nats[: len(first.nats)].sum() == pytest.approx(first.nats.sum(), rel=1e-4)
    assert len(nats) == len(read_pairs(model.model, split).nats)


def pair_ids(model: Loaded, pairs: list[tuple[str, str]]) -> Ids:
    return np.concatenate([ids_of(model, side) for pair in pairs for side in pair])
