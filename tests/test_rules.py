"""What every rule in the table promises, alone and in a chain."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from seqgen.decoding.phrases import build_phrases
from seqgen.decoding.rules import RULES, Ground, RuleSettings, build_rules
from seqgen.decoding.rules import bend as bend_all
from seqgen.errors import UsageError

SYMBOLS = 8
WRITES: list[bytes | int] = [b"", b"a", b"b", b"ab", b"ba", b" a", b"", b"c"]
TEXTS = st.lists(st.text("abc ", min_size=1, max_size=3).map(str.encode), min_size=1, max_size=2)
VALUES: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "phrases": {"ban": TEXTS, "prefer": TEXTS},
    "min_length": {"least": st.integers(1, 9)},
    "no_repeat": {"no_repeat": st.integers(2, 4)},
    "repetition_penalty": {"repetition_penalty": st.floats(1, 5)},
    "temperature": {"temperature": st.floats(0, 5), "final_temperature": st.floats(0, 5)},
    "top_k": {"top_k": st.integers(1, 12)},
    "top_p": {"top_p": st.floats(0, 1, exclude_min=True)},
    "min_p": {"min_p": st.floats(0, 1, exclude_min=True)},
}
"""What turns each rule on. A rule that is added to the table is added here."""
IDENTITY: dict[str, dict[str, Any]] = {
    "phrases": {"ban": [b"cccc"]},
    "min_length": {"least": 1},
    "no_repeat": {"no_repeat": 100},
    "repetition_penalty": {"repetition_penalty": 1.0},
    "temperature": {"temperature": 1.0},
    "top_k": {"top_k": 1000},
    "top_p": {"top_p": 1.0},
    "min_p": {"min_p": 1e-300},
}
"""Values of each rule that change no probability."""
NO_HISTORY = torch.zeros(1, 0, dtype=torch.long)
every_rule = pytest.mark.parametrize("name", RULES)


class Setup:
    """Settings of rules, and what they must know."""

    def __init__(self, values: dict[str, Any], prompt: int = 0) -> None:
        values = {"temperature": 1.0, **values}
        ban, prefer = values.pop("ban", []), values.pop("prefer", [])
        sizes = torch.tensor([len(each) if isinstance(each, bytes) else 0 for each in WRITES])
        phrases = build_phrases(WRITES, ban, prefer, 4.0)
        self.ground = Ground(sizes=sizes, prompt=prompt, length=10, least=values.pop("least", 0), phrases=phrases)
        self.settings = RuleSettings(**values)

    def bend(self, logits: Tensor, history: Tensor) -> Tensor:
        return bend_all(logits, history, build_rules(self.settings, self.ground))


SETUPS = st.fixed_dictionaries(
    {}, optional={name: strategy for values in VALUES.values() for name, strategy in values.items()}
).map(Setup)


@st.composite
def some_logits(draw: st.DrawFn) -> Tensor:
    """Logits of shape (batch, symbols), some masked, in each row at least one not."""
    batch = draw(st.integers(1, 3))
    row = st.lists(st.floats(-60, 60, width=32) | st.just(-math.inf), min_size=SYMBOLS, max_size=SYMBOLS)
    rows = [draw(row) for _ in range(batch)]
    for values in rows:
        values[draw(st.integers(0, SYMBOLS - 1))] = draw(st.floats(-60, 60, width=32))
    return torch.tensor(rows)


@st.composite
def some_histories(draw: st.DrawFn) -> Tensor:
    """Three histories of one length."""
    length = draw(st.integers(1, 12))
    row = st.lists(st.integers(0, SYMBOLS - 1), min_size=length, max_size=length)
    return torch.tensor([draw(row) for _ in range(3)])


def bend(logits: Tensor, settings: RuleSettings) -> Tensor:
    return bend_all(logits, NO_HISTORY.expand(len(logits), 0), build_rules(settings, Ground()))


def history_of(text: str) -> Tensor:
    """Symbols that each write one letter of it."""
    return torch.tensor([[WRITES.index(letter.encode()) for letter in text]])


def check_bent(before: Tensor, after: Tensor) -> None:
    assert after.shape == before.shape
    assert after.softmax(-1).sum(-1).tolist() == pytest.approx([1.0] * len(after), abs=1e-5)
    assert after[before == -math.inf].eq(-math.inf).all()


def probabilities(*values: float) -> Tensor:
    return torch.tensor([values]).log()


def kept(logits: Tensor) -> list[int]:
    return [index for index, value in enumerate(logits[0].tolist()) if value > -math.inf]


@every_rule
@given(data=st.data(), logits=some_logits(), history=some_histories())
def test_a_rule_keeps_its_promises(name: str, data: st.DataObject, logits: Tensor, history: Tensor) -> None:
    setup = Setup({key: data.draw(values, key) for key, values in VALUES[name].items()})
    rule = RULES[name](setup.settings, setup.ground)
    if rule is not None:
        check_bent(logits, rule(logits, history[: len(logits)]))


@given(setup=SETUPS, logits=some_logits(), history=some_histories())
def test_so_does_a_chain_of_them(setup: Setup, logits: Tensor, history: Tensor) -> None:
    check_bent(logits, setup.bend(logits, history[: len(logits)]))


@every_rule
@given(data=st.data(), logits=some_logits(), history=some_histories())
def test_temperature_0_is_argmax_under_every_rule(
    name: str, data: st.DataObject, logits: Tensor, history: Tensor
) -> None:
    values = {key: data.draw(each, key) for key, each in VALUES[name].items()}
    setup = Setup({**values, "temperature": 0.0, "final_temperature": None})
    history = history[: len(logits)]
    before = list(RULES).index("temperature")
    allowed = bend_all(logits, history, build_rules(setup.settings, setup.ground)[:0])
    for make in list(RULES.values())[:before]:
        rule = make(setup.settings, setup.ground)
        allowed = allowed if rule is None else rule(allowed, history)
    bent = setup.bend(logits, history)
    assert (bent > -math.inf).sum(-1).eq(1).all()
    assert bent.argmax(-1).tolist() == allowed.argmax(-1).tolist()


@every_rule
@given(logits=some_logits(), history=some_histories())
def test_off_is_the_identity(name: str, logits: Tensor, history: Tensor) -> None:
    setup = Setup({})
    assert RULES[name](setup.settings, setup.ground) is None
    assert setup.bend(logits, history) is logits


@every_rule
@given(logits=some_logits())
def test_a_value_that_asks_for_nothing_changes_no_probability(name: str, logits: Tensor) -> None:
    history = history_of("abcc").expand(len(logits), -1)
    bent = Setup(IDENTITY[name]).bend(logits, history)
    assert torch.equal(bent > -math.inf, logits > -math.inf)
    assert torch.allclose(bent.softmax(-1), logits.softmax(-1), atol=1e-6)


def test_every_rule_of_the_table_is_tested_here() -> None:
    assert list(VALUES) == list(IDENTITY) == list(RULES)


def test_top_p_1_keeps_the_least_likely_of_many_symbols() -> None:
    logits = torch.linspace(0, -30, 5000).unsqueeze(0)
    assert torch.equal(bend(logits, RuleSettings(temperature=1.0, top_p=1.0)), logits)


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
        {"repetition_penalty": 0.5},
        {"no_repeat": 1},
        {"no_repeat": 1 << 40},
        {"top_k": (1 << 32) + 1},
        {"temperature": 1e39},
        {"repetition_penalty": 1e39},
        {"ban": ("",)},
        {"prefer": ("a", "")},
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_its_name(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(UsageError, match=name.replace("_", "-")):
        RuleSettings(**wrong)


def test_the_smallest_top_p_still_keeps_the_likeliest_symbol() -> None:
    assert kept(bend(probabilities(0.3, 0.7), RuleSettings(1, top_p=1e-300))) == [1]


def test_a_banned_text_is_never_completed_however_it_is_cut() -> None:
    setup = Setup({"ban": [b"ab"]})
    flat = torch.zeros(1, SYMBOLS)
    assert kept(setup.bend(flat, history_of("c"))) == [0, 1, 2, 4, 5, 6, 7], "of all symbols only `ab` writes it whole"
    assert kept(setup.bend(flat, history_of("a"))) == [0, 1, 5, 6, 7], "nor what goes on with b after an a"
    assert kept(setup.bend(flat, history_of("ca"))) == kept(setup.bend(flat, history_of("a")))


def test_a_preferred_text_is_raised_symbol_by_symbol_and_begins_like_a_word() -> None:
    setup = Setup({"prefer": [b"ab"]})
    flat = torch.zeros(1, SYMBOLS)
    raised = math.log(4.0)
    assert setup.bend(flat, history_of("c"))[0].tolist() == pytest.approx([0, 0, 0, 0, 0, raised, 0, 0])
    after_space = torch.tensor([[5]])  # " a"
    assert setup.bend(flat, after_space)[0].tolist() == pytest.approx([0, 0, raised, 0, raised, raised, 0, 0])


def test_half_bytes_spell_banned_texts_too() -> None:
    writes: list[bytes | int] = [b"", *range(16), b"v", b" "]
    phrases = build_phrases(writes, ["\N{SNOWMAN}".encode(), b"b"], [], 4.0)
    assert phrases is not None
    last = [1 + half for byte in "\N{SNOWMAN}".encode() for half in (byte >> 4, byte & 15)]
    history = torch.tensor([[17, *last[:-1]]])
    assert phrases.raises[phrases.place(history)][0].isinf().nonzero().flatten().tolist() == [last[-1]]
    assert not phrases.raises[phrases.place(torch.tensor([[17]]))].isinf().any(), "v and a space hold no b between them"
    high_of_b = torch.tensor([[17, 7]])
    assert phrases.raises[phrases.place(high_of_b)][0].isinf().nonzero().flatten().tolist() == [3]


@given(
    ids=st.lists(st.integers(0, 18), max_size=40),
    text=st.sampled_from(["v", "\N{SNOWMAN}v", "v\N{SNOWMAN}", " \N{SNOWMAN}"]),
)
def test_the_state_after_a_history_is_that_of_every_step(ids: list[int], text: str) -> None:
    writes: list[bytes | int] = [b"", *range(16), b"v", b" "]
    phrases = build_phrases(writes, [text.encode()], [], 4.0)
    assert phrases is not None
    state = 0
    for symbol in ids:
        state = int(phrases.next[state, symbol])
    found = int(phrases.place(torch.tensor([ids], dtype=torch.long))[0])
    assert torch.equal(phrases.raises[found], phrases.raises[state])


@pytest.mark.parametrize("snowmen", range(1, 6))
def test_a_text_is_known_after_a_run_of_half_bytes(snowmen: int) -> None:
    writes: list[bytes | int] = [b"", *range(16), b"v"]
    phrases = build_phrases(writes, ["\N{SNOWMAN}v".encode()], [], 4.0)
    assert phrases is not None
    spelled = [1 + half for byte in "\N{SNOWMAN}".encode() for half in (byte >> 4, byte & 15)]
    place = phrases.place(torch.tensor([spelled * snowmen]))
    assert phrases.raises[place][0].isinf().nonzero().flatten().tolist() == [17]


def test_words_of_other_alphabets_begin_after_a_border_too() -> None:
    phrases = build_phrases(
        [b"", "\N{LATIN SMALL LETTER E WITH ACUTE}".encode(), b"a", b" "], [], ["\u00e9a".encode()], 4.0
    )
    assert phrases is not None
    assert phrases.raises[phrases.place(torch.tensor([[2]]))].eq(0).all()
    assert phrases.raises[phrases.place(torch.tensor([[3]]))][0, 1] > 0


def test_too_many_texts_are_refused() -> None:
    with pytest.raises(UsageError, match="too many"):
        build_phrases([b"x"] * 8000, [f"word {number}".encode() for number in range(2000)], [], 4.0)


@given(history=some_histories(), text=st.text("abc", min_size=1, max_size=4))
def test_the_automaton_knows_when_a_text_is_complete(history: Tensor, text: str) -> None:
    phrases = build_phrases(WRITES, [text.encode()], [], 4.0)
    assert phrases is not None
    for row in history:
        masked = phrases.raises[phrases.place(row.unsqueeze(0))][0].isinf()
        tail = b"".join(WRITES[symbol] for symbol in row[-8:].tolist())
        for symbol, written in enumerate(WRITES):
            assert isinstance(written, bytes)
            complete = text.encode() in (tail[-len(text) + 1 :] if len(text) > 1 else b"") + written
            if 0 not in row and 6 not in row:  # those end a document
                assert masked[symbol] == (complete and bool(written))


def test_no_run_comes_twice() -> None:
    flat = torch.zeros(1, SYMBOLS)
    assert kept(Setup({"no_repeat": 3}).bend(flat, history_of("abcab"))) == [0, 1, 2, 3, 4, 5, 6]
    assert kept(Setup({"no_repeat": 2}).bend(flat, history_of("abcaab"))) == [0, 1, 2, 3, 4, 5, 6]
    assert len(kept(Setup({"no_repeat": 3}).bend(flat, history_of("ab")))) == SYMBOLS


def test_the_penalty_makes_recent_symbols_less_likely_whatever_their_sign() -> None:
    bent = Setup({"repetition_penalty": 2.0}).bend(torch.tensor([[0.0, 2.0, -2.0, 1, 0, 0, 0, 0]]), history_of("aab"))
    assert bent[0, :4].tolist() == [0.0, 1.0, -4.0, 1.0]
    old = torch.cat([history_of("a"), history_of("b").expand(1, 64)], dim=1)
    assert Setup({"repetition_penalty": 2.0}).bend(torch.ones(1, SYMBOLS), old)[0, 1] == 1, (
        "64 symbols ago is forgotten"
    )


def test_the_end_waits_for_the_least_length_and_the_prompt_does_not_count() -> None:
    flat = torch.zeros(1, SYMBOLS)
    assert 0 not in kept(Setup({"least": 3}).bend(flat, history_of("ab")))
    assert 0 in kept(Setup({"least": 3}).bend(flat, history_of("abc")))
    assert 0 not in kept(Setup({"least": 3}, prompt=1).bend(flat, history_of("abc")))


def test_a_rule_that_would_mask_everything_does_nothing() -> None:
    only_banned = torch.full((1, SYMBOLS), -math.inf)
    only_banned[0, 2] = 0.0
    assert kept(Setup({"ban": [b"ab"]}).bend(only_banned, history_of("a"))) == [2]
    only_end = torch.full((1, SYMBOLS), -math.inf)
    only_end[0, 0] = 0.0
    assert kept(Setup({"least": 5}).bend(only_end, history_of("a"))) == [0]


def test_a_temperature_may_change_along_the_sample() -> None:
    setup = Setup({"temperature": 0.5, "final_temperature": 1.5})  # of 10 characters
    logits = torch.linspace(0, -3, SYMBOLS).unsqueeze(0)
    for text, temperature in (("", 0.5), ("abcab", 1.0), ("abcabcabca", 1.5), ("abc" * 5, 1.5)):
        history = history_of(text) if text else NO_HISTORY
        expected = (logits / temperature).softmax(-1)
        assert torch.allclose(setup.bend(logits, history).softmax(-1), expected, atol=1e-6)
    with pytest.raises(UsageError, match="needs its length"):
        build_rules(RuleSettings(0.5, 1.5), Ground())
