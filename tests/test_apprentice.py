"""A model that learns from what is kept, and forgets it again to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from seqgen.adaptation import Adapter
from seqgen.errors import DataError
from tests.rehearsal import SEEDS, Play, assert_repeated, equal

KINDS = ("text", "melody", "replies")


@pytest.mark.parametrize("name", KINDS)
def test_what_is_learned_is_forgotten_to_the_last_bit(models: Path, name: str) -> None:
    seed = SEEDS[name]
    play = Play(models, name, length=20)
    first = play.weights
    play.hear(seed, "/keep", "/adapt on")
    one = play.weights
    assert not equal(one, first)
    play.hear("/again", "/keep")
    two = play.weights
    assert not equal(two, one)
    assert equal(play.hear("/undo").weights, one), "the last one that was kept"
    assert equal(play.hear("/keep").weights, two), "and learned again"
    assert equal(play.hear("/adapt off").weights, first)
    assert equal(play.hear("/adapt on").weights, two), "both at once are as one after the other"
    assert equal(play.hear("/undo", "/undo", "/undo").weights, one)
    assert equal(play.hear("/undo").weights, one), "what was answered in between is no lesson"
    assert equal(play.hear("/undo").weights, first)
    assert_repeated(play)


def test_learning_before_or_after_keeping_is_the_same(models: Path) -> None:
    after = Play(models, "text", "/next the ", "/keep", "/next my own river", "/keep", "/adapt on")
    before = Play(models, "text", "/adapt on", "/next the ", "/keep", "/next my own river", "/keep")
    assert [passage.text for passage in before.scene.kept] == ["the ", "my own river"]
    assert before.scene.kept == after.scene.kept and equal(before.weights, after.weights)


@pytest.mark.parametrize("name", KINDS)
def test_it_answers_by_what_it_has_learned(models: Path, name: str) -> None:
    seed = SEEDS[name]
    play = Play(models, name, seed, "/keep", "/adapt on", "/set random-seed 7", seed, length=150)
    plain = Play(models, name, seed, "/keep", "/set random-seed 7", seed, length=150)
    learned, before = play.stage.results[-1], plain.stage.results[-1]
    assert learned != before
    play.hear("/adapt off", "/set random-seed 7", seed)
    if name != "replies":  # a chat does not say the same again
        assert play.stage.results[-1] == before


def test_it_is_less_surprised_by_what_it_has_learned(models: Path) -> None:
    play = Play(models, "text", "the ", length=200)
    before = play.session.model.score(play.passage.text).nats_per_symbol
    play.hear("/keep", "/adapt on")
    assert play.session.model.score(play.passage.text).nats_per_symbol < before
    assert "learned it: " in play.stage.told


def test_nothing_is_learned_that_was_not_kept(models: Path) -> None:
    play = Play(models, "text", "/adapt on")
    first = play.weights
    assert equal(play.hear("the ", "/more", "/next", "1").weights, first)
    assert equal(play.hear("/adapt off", "/keep").weights, first)


def test_what_holds_nothing_is_not_kept_while_it_is_learned_from(models: Path) -> None:
    play = Play(models, "text", "the ", "/keep", "/adapt on", length=0)
    weights = play.weights
    play.hear("/seed")
    error = play.refusal("/keep")
    assert isinstance(error, DataError) and "nothing in it to learn" in error.what
    assert equal(play.weights, weights) and len(play.scene.kept) == 1
    play.hear("/adapt off", "/keep")
    play.refusal("/adapt on")
    assert not play.scene.adapting


def test_a_lesson_that_is_broken_off_leaves_no_trace(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(models, "text", "the ", "/keep", "/adapt on", "/again")
    weights, scene, read = play.weights, play.scene, Adapter.read
    calls = 0

    def interrupted(adapter: Adapter, ids: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return read(adapter, ids)

    monkeypatch.setattr(Adapter, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        play.hear("/keep")
    assert calls > 2 and play.scene == scene and equal(play.weights, weights)
    play.hear("/keep", "/undo")
    assert equal(play.weights, weights)


def test_another_model_has_learned_nothing(models: Path) -> None:
    play = Play(models, "text")
    first = play.weights
    play.hear("the ", "/keep", "/adapt on", "/load text")
    assert equal(play.weights, first) and not play.scene.adapting
    play.hear("/length 9", "the ", "/keep")
    assert equal(play.weights, first)


def test_another_model_learns_for_itself(models: Path) -> None:
    lines = ("/length 9", "/set random-seed 7", "the ", "/keep", "/adapt on", "/again", "/keep")
    play = Play(models, "text", "the ", "/keep", "/adapt on", "/load text", *lines)
    fresh = Play(models, "text", *lines)
    assert equal(play.weights, fresh.weights) and not equal(play.weights, Play(models, "text").weights)


def test_the_checkpoint_stays_as_it_is(models: Path) -> None:
    files = {path: path.read_bytes() for path in (models / "checkpoints" / "text").iterdir() if path.is_file()}
    Play(models, "text", "the ", "/keep", "/adapt on")
    assert files == {path: path.read_bytes() for path in (models / "checkpoints" / "text").iterdir() if path.is_file()}


def test_of_replies_the_surprise_is_told_per_symbol_that_is_learned(models: Path) -> None:
    play = Play(models, "replies", "Where is the tea?", "/keep")
    passage = play.passage
    expected = play.session.model.score(passage.text, passage.seed).nats_per_symbol
    play.hear("/adapt on")
    assert f"learned it: {expected:.2f} nats per symbol before" in play.stage.told
