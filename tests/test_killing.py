"""Trainings that are killed at any moment end, resumed, with the bits of one that never was."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.killing import FINISHED, KILLED, Trainings, Variant, variants

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks processes to kill them")
SOME = (
    "text-characters-lstm-bfloat16-compiled",
    "text-characters-lstm-stretches",
    "text-bpe-lstm",
    "text-characters-gru",
    "music-voices",
    "replies-rnn",
)
KILLS = 3
"""Of each; `benchmarks/trust.py` kills all variants more often."""


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainings]:
    with Trainings(tmp_path_factory.mktemp("trainings")) as started:
        yield started


@pytest.mark.parametrize("variant", [each for each in variants() if each.name in SOME], ids=str)
def test_a_training_that_is_killed_again_and_again_ends_with_the_same_bits(
    trainings: Trainings, variant: Variant
) -> None:
    trainings.survives(variant, KILLS)


def test_a_training_that_is_killed_before_its_first_save_can_be_begun_again(trainings: Trainings) -> None:
    variant = variants()[0]
    for at in (3, 9, 14):
        assert trainings.run(variant, "begun", at=at)[0] == KILLED
        left = [path.name for path in (trainings.folder / "begun").rglob("*") if path.is_file()]
    assert any(name.startswith("model-") for name in left) and "checkpoint.json" not in left
    assert trainings.run(variant, "begun")[0] == FINISHED


def test_every_tokenizer_and_cell_has_its_variant() -> None:
    assert len({variant.name for variant in variants()}) == len(variants()) > 20
    assert not set(SOME) - {variant.name for variant in variants()}
