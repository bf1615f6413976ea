"""What every rule in the table promises, alone and in a chain."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seqgen.decoding.rules import RULES, RuleSettings, build_rules
from seqgen.errors import UsageError

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "temperature": st.floats(0, 5),
    "top_k": st.integers(1, 12),
    "top_p": st.floats(0, 1, exclude_min=True),
    "min_p": st.floats(0, 1, exclude_min=True),
}
"""Values that turn each rule on. A rule that is added to the table is added here."""
IDENTITY: dict[str, Any] = {"temperature": 1.0, "top_k": 1000, "top_p": 1.0, "min_p": 1e-300}
"""A value of each rule that changes no probability."""
SETTINGS = st.fixed_dictionaries({}, optional=VALUES).map(lambda values: RuleSettings(**{"temperature": 1.0, **values}))
NO_HISTORY = torch.zeros(1, 0, dtype=torch.long)
every_rule = pytest.mark.parametrize("name", RULES)


@st.composite
def some_logits(draw: st.DrawFn) -> Tensor:
    """Logits of shape (batch, symbols), some masked, in each row at least one not."""
    batch, symbols = draw(st.integers(1, 3)), draw(st.integers(1, 8))
    row = st.lists(st.floats(-60, 60, width=32) | st.just(-math.inf), min_size=symbols, max_size=symbols)
    rows = [draw(row) for _ in range(batch)]
    for values in rows:
        values[draw(st.integers(0, symbols - 1))] = draw(st.floats(-60, 60, width=32))
    return torch.tensor(rows)


def bend(logits: Tensor, settings: RuleSettings) -> Tensor:
    for rule in build_rules(settings):
        logits = rule(logits, NO_HISTORY.expand(len(logits), 0))
    return logits


def check_bent(before: Tensor, after: Tensor) -> None:
    assert after.shape == before.shape
    assert after.softmax(-1).sum(-1).tolist() == pytest.approx([1.0] * len(after), abs=1e-5)
    assert after[before == -math.inf].eq(-math.inf).all()


def probabilities(*values: float) -> Tensor:
    return torch.tensor([values]).log()


def kept(logits: Tensor) -> list[int]:
    return [index for index, value in enumerate(logits[0].tolist()) if value > -math.inf]


def test_each_rule_is_a_setting_of_the_same_name_and_is_tested() -> None:
    assert [field.name for field in dataclasses.fields(RuleSettings)] == list(RULES)
    assert set(VALUES) == set(IDENTITY) == set(RULES)


@every_rule
@given(logits=some_logits(), data=st.data())
def test_after_each_rule_probabilities_sum_to_one_and_what_was_masked_stays_masked(
    name: str, logits: Tensor, data: st.DataObject
) -> None:
    check_bent(logits, RULES[name](data.draw(VALUES[name]))(logits, NO_HISTORY))


@given(logits=some_logits(), settings=SETTINGS)
def test_after_any_chain_probabilities_sum_to_one_and_what_was_masked_stays_masked(
    logits: Tensor, settings: RuleSettings
) -> None:
    check_bent(logits, bend(logits, settings))


@given(logits=some_logits(), settings=SETTINGS)
def test_temperature_0_is_argmax_under_every_combination_of_rules(logits: Tensor, settings: RuleSettings) -> None:
    bent = bend(logits, dataclasses.replace(settings, temperature=0))
    assert (bent > -math.inf).sum(-1).tolist() == [1] * len(logits)
    assert bent.argmax(-1).tolist() == logits.argmax(-1).tolist()


@given(logits=some_logits(), settings=SETTINGS)
def test_no_rule_masks_the_likeliest_symbol(logits: Tensor, settings: RuleSettings) -> None:
    bent = bend(logits, settings)
    assert bent.gather(-1, logits.argmax(-1, keepdim=True)).gt(-math.inf).all()


@given(logits=some_logits(), settings=SETTINGS)
def test_a_row_is_bent_as_if_it_were_alone_and_the_logits_are_left_as_they_were(
    logits: Tensor, settings: RuleSettings
) -> None:
    copy = logits.clone()
    bent = bend(logits, settings)
    assert torch.equal(logits, copy)
    for index in range(len(logits)):
        assert torch.equal(bend(logits[index : index + 1], settings), bent[index : index + 1])


def test_settings_that_are_off_make_no_rule() -> None:
    assert build_rules(RuleSettings(temperature=1)) == []


@every_rule
@given(logits=some_logits())
def test_each_rule_has_a_value_that_changes_no_probability(name: str, logits: Tensor) -> None:
    bent = RULES[name](IDENTITY[name])(logits, NO_HISTORY)
    assert torch.equal(bent > -math.inf, logits > -math.inf)
    assert torch.allclose(bent.softmax(-1), logits.softmax(-1), atol=1e-6)


def test_top_p_1_keeps_the_least_likely_of_many_symbols() -> None:
    logits = torch.linspace(0, -30, 5000).unsqueeze(0)
    assert torch.equal(RULES["top_p"](1.0)(logits, NO_HISTORY), logits)


def test_temperature_divides_the_logits() -> None:
    bent = bend(probabilities(0.8, 0.2), RuleSettings(temperature=0.5))
    assert bent.softmax(-1)[0].tolist() == pytest.approx([0.64 / 0.68, 0.04 / 0.68])


@pytest.mark.parametrize("temperature", [1e-300, 1e-6, 1e-5, 1e30])
def test_an_extreme_temperature_neither_overflows_nor_becomes_nan(temperature: float) -> None:
    logits = torch.tensor([[1e34, 0.0, -1e34, -math.inf]])
    check_bent(logits, bend(logits, RuleSettings(temperature=temperature)))


def test_of_equals_argmax_takes_the_first() -> None:
    assert kept(bend(torch.tensor([[1.0, 3.0, 3.0, 3.0]]), RuleSettings(temperature=0))) == [1]


def test_top_k_keeps_exactly_k_even_of_equals() -> None:
    assert kept(bend(probabilities(0.1, 0.4, 0.2, 0.3), RuleSettings(1, top_k=2))) == [1, 3]
    assert len(kept(bend(torch.zeros(1, 6), RuleSettings(1, top_k=4)))) == 4


def test_top_p_keeps_the_smallest_set_that_reaches_the_probability() -> None:
    logits = probabilities(0.125, 0.5, 0.125, 0.25)
    assert kept(bend(logits, RuleSettings(1, top_p=0.4))) == [1]
    assert kept(bend(logits, RuleSettings(1, top_p=0.6))) == [1, 3]
    assert kept(bend(logits, RuleSettings(1, top_p=0.8))) == [0, 1, 3]
    assert kept(bend(logits, RuleSettings(1, top_p=0.9))) == [0, 1, 2, 3]
    assert kept(bend(torch.zeros(1, 2), RuleSettings(1, top_p=0.5))) == [0]


def test_min_p_keeps_what_is_at_least_that_share_of_the_likeliest() -> None:
    logits = probabilities(0.1, 0.5, 0.15, 0.25)
    assert kept(bend(logits, RuleSettings(1, min_p=0.49))) == [1, 3]
    assert kept(bend(logits, RuleSettings(1, min_p=0.51))) == [1]
    assert kept(bend(logits, RuleSettings(1, min_p=0.29))) == [1, 2, 3]
    assert kept(bend(logits, RuleSettings(1, min_p=1))) == [1]


def test_temperature_comes_before_the_rules_that_cut() -> None:
    logits = probabilities(0.5, 0.3, 0.2)
    assert kept(bend(logits, RuleSettings(temperature=1, top_p=0.6))) == [0, 1]
    assert kept(bend(logits, RuleSettings(temperature=0.5, top_p=0.6))) == [0]


def test_each_rule_cuts_what_the_one_before_it_left() -> None:
    logits = probabilities(0.4, 0.3, 0.2, 0.1)
    assert kept(bend(logits, RuleSettings(1, top_p=0.65))) == [0, 1]
    assert kept(bend(logits, RuleSettings(1, top_k=2, top_p=0.55))) == [0]  # of the two, 0.4 is 0.57


@pytest.mark.parametrize(
    "wrong",
    [
        *[{"temperature": value} for value in (math.nan, math.inf, -0.1)],
        *[{"top_k": value} for value in (0, -3)],
        *[{name: value} for name in ("top_p", "min_p") for value in (0, -0.5, 1.01, math.nan)],
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_its_name(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(UsageError, match=name.replace("_", "-")):
        RuleSettings(**wrong)


def test_the_smallest_top_p_still_keeps_the_likeliest_symbol() -> None:
    assert kept(bend(probabilities(0.3, 0.7), RuleSettings(1, top_p=1e-300))) == [1]
