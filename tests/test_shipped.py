"""The models that come with seqgen, each that lies in the checkout: small, whole, and at hand by name in an empty folder."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load as load_tensors

from seqgen.cards import cards_folder, load_card
from seqgen.checkpoint import RECALL, SHIPPED, Checkpoint
from seqgen.modalities import MODALITIES, Modality
from seqgen.shipping import LARGEST, size_of
from seqgen.units import UNITS
from tests.commands import Run

FOLDER = Path(__file__).parent.parent / "checkpoints" / "shipped"
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
MADE_BY = re.compile(r"seqgen train (?P<card>\w+) --time 10m --name (?P<name>\w+)( --set [\w.]+=\w+)*")
PROMISED = {"bach", "folk", "prose", "python", "replies"}
SEEDS = {"text": "The ", "code": "def ", "music": "G4"}

each = pytest.mark.parametrize("name", NAMES)


def modality_of(name: str) -> Modality:
    return MODALITIES[Checkpoint(FOLDER / name).recipe.corpus.kind]


@pytest.fixture(autouse=True)
def _shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqgen.checkpoint.SHIPPED", SHIPPED)


def test_all_that_are_promised_are_there() -> None:
    assert set(NAMES) == PROMISED


@each
def test_it_is_small_and_holds_weights_of_two_bytes(name: str) -> None:
    manifest = Checkpoint(FOLDER / name).manifest
    assert size_of(FOLDER / name) <= LARGEST
    assert manifest.status == "finished" and manifest.states == []
    weights = load_tensors((FOLDER / name / manifest.weights).read_bytes())
    assert {tensor.dtype for key, tensor in weights.items() if key != RECALL} == {torch.bfloat16}


@each
def test_it_names_its_card_and_the_command_that_makes_it_again(name: str, run: Run) -> None:
    manifest = Checkpoint(FOLDER / name).manifest
    made = MADE_BY.fullmatch(manifest.made_by)
    assert made and made["name"] == name
    card = load_card(made["card"])
    assert card.path.parent == cards_folder()
    assert manifest.recipe.corpus.sources == (card.name,) and manifest.recipe.corpus.kind == card.kind
    assert manifest.recipe.corpus.split == card.split and manifest.budget == {"seconds": 600.0}
    shown = run("info", name)
    assert shown.code == 0 and f"# made by: {manifest.made_by}\n" in shown.out
    assert Checkpoint(FOLDER / name).recipe.to_toml() in shown.out


@each
def test_its_figures_stand_beside_baselines(name: str) -> None:
    metrics = Checkpoint(FOLDER / name).manifest.metrics
    assert list(metrics) == ["valid", "test"]
    for split, measured in metrics.items():
        value, symbols = measured[UNITS[measured["unit"]].key], Checkpoint(FOLDER / name).manifest.corpus["symbols"]
        assert measured["split"] == split and 0 < value < math.inf
        assert any("gram" in baseline for baseline in measured["baselines"])
        # Whether it is better than counting the record says; it must have learned more than how frequent symbols are.
        assert value < measured["baselines"]["unigram"]
        assert 0 < measured["symbols"] < symbols[split]


@each
def test_it_is_listed_in_an_empty_folder(name: str, run: Run) -> None:
    lines: dict[str, Any] = {line["name"]: line for line in run("list", "--json").json()}
    assert lines[name]["shipped"] and lines[name]["folder"] == str(FOLDER / name)


@each
def test_it_writes_or_answers_at_once(name: str, run: Run) -> None:
    if modality_of(name).sequences is not None:
        (answered,) = run("reply", name, "Are you free on Thursday?", "--json").json()
        assert len({reply["text"] for reply in answered["replies"]}) == 3
        return
    seed = SEEDS[modality_of(name).name]
    drawn = [run("sample", name, "--seed", seed, "-n", "40", "--random-seed", "1", "--json").json()[0] for _ in "12"]
    written = drawn[0].get("text") or drawn[0]["notes"]
    assert seed in written and len(written) > len(seed) + 10
    assert written == (drawn[1].get("text") or drawn[1]["notes"])
