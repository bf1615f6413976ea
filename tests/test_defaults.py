"""The first choices: they fit the text, the time and each other."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.defaults import (
    CHOICES,
    CHOOSERS,
    LEAST_FOR_PIECES,
    NOMINAL_RATE,
    Choosers,
    Facts,
    Forms,
    TextFacts,
    choose,
    choose_dropout,
    choose_reply,
    choose_tokenizer,
    choose_weight_decay,
    choose_weight_dropout,
    describe,
    looks_like_symbols,
    useful_rate,
)
from seqgen.recipe import Recipe, TokenizerSettings, TrainingSettings
from seqgen.tokenizers import TOKENIZERS
from tests.texts import verse

FACTS = st.builds(
    Facts,
    symbols=st.integers(0, 10**9),
    vocabulary=st.integers(2, 60_000),
    seconds=st.floats(0.1, 1e6),
    matrix_rate=st.floats(1e8, 1e15),
    device=st.sampled_from(["cpu", "cuda", "mps"]),
)
NOVEL = Facts(symbols=1_000_000, vocabulary=80, seconds=180, matrix_rate=4e11)


def training(facts: Facts) -> TrainingSettings:
    return Recipe.from_dict(choose(facts)).training


@pytest.mark.parametrize("chooser", CHOOSERS.values(), ids=CHOOSERS)
@given(facts=FACTS)
def test_every_choice_is_a_recipe_and_can_be_told(chooser: Choosers, facts: Facts) -> None:
    recipe = Recipe.from_dict(chooser.settings(facts))
    assert recipe.model.embedding <= recipe.model.hidden
    told, dropped = describe(recipe, facts.symbols, facts.vocabulary), recipe.model.weight_dropout
    assert str(recipe.model.hidden) in told
    assert (f"({dropped:g} of recurrent weights)" in told) == ("recurrent weights" in told) == (dropped > 0)


@given(facts=FACTS)
def test_the_text_is_long_enough_for_lanes_and_window(facts: Facts) -> None:
    settings = training(facts)
    assert settings.lanes * (settings.window + 1) <= max(9, facts.symbols)


@given(facts=FACTS)
def test_a_choice_depends_on_the_facts_alone(facts: Facts) -> None:
    assert choose(facts) == choose(dataclasses.replace(facts))


@given(facts=FACTS, factor=st.floats(1, 100))
def test_more_time_or_a_faster_machine_never_makes_a_smaller_model(facts: Facts, factor: float) -> None:
    hidden = choose(facts)["model"]["hidden"]
    assert choose(dataclasses.replace(facts, seconds=facts.seconds * factor))["model"]["hidden"] >= hidden
    assert choose(dataclasses.replace(facts, matrix_rate=facts.matrix_rate * factor))["model"]["hidden"] >= hidden


@given(facts=FACTS, factor=st.integers(1, 100))
def test_more_text_never_makes_a_smaller_model_or_fewer_lanes(facts: Facts, factor: int) -> None:
    more = dataclasses.replace(facts, symbols=facts.symbols * factor)
    assert choose(more)["model"]["hidden"] >= choose(facts)["model"]["hidden"]
    assert training(more).lanes >= training(facts).lanes


def test_a_text_that_is_read_many_times_gets_dropout_and_one_read_once_next_to_none() -> None:
    small = choose(dataclasses.replace(NOVEL, symbols=20_000, seconds=3600))["model"]["hidden_dropout"]
    large = choose(dataclasses.replace(NOVEL, symbols=10**9))["model"]["hidden_dropout"]
    assert small > 0.3
    assert large < 0.05


def test_what_is_read_in_many_alike_forms_is_forgotten_sooner_and_nothing_inherited_is() -> None:
    def decay(**changes: Any) -> float:
        return training(dataclasses.replace(NOVEL, **changes)).weight_decay

    assert decay() == decay(forms=Forms(12)) == 0.04
    assert 0.15 < decay(forms=Forms(12, alike=True), seconds=10) < 0.3
    assert decay(hidden=256) == TrainingSettings().weight_decay < 0.04


@pytest.mark.parametrize(("seconds", "symbols"), [(10, 6_000), (180, 53_665), (600, 97_979), (3600, 100_000)])
def test_recall_is_learned_from_so_much_that_it_takes_little_of_the_time(seconds: float, symbols: int) -> None:
    assert training(dataclasses.replace(NOVEL, seconds=seconds)).recall_symbols == symbols


def test_a_long_training_on_alike_forms_has_more_units_and_a_short_one_as_many() -> None:
    def hidden(forms: Forms, seconds: float) -> int:
        facts = dataclasses.replace(NOVEL, symbols=10**7, seconds=seconds, forms=forms)
        return int(choose(facts)["model"]["hidden"])

    alike, others = Forms(7, alike=True), Forms(7)
    assert hidden(alike, 60) == hidden(others, 60) and hidden(Forms(), 3600) == hidden(others, 3600)
    assert 1.15 < hidden(alike, 900) / hidden(others, 900) < hidden(alike, 3600) / hidden(others, 3600) < 1.3


def test_what_is_read_often_in_alike_forms_is_forgotten_sooner() -> None:
    alike = Forms(7, alike=True)
    assert choose_weight_decay(0, alike) == choose_weight_decay(1, alike) < 0.15
    assert 0.2 < choose_weight_decay(5, alike) < 0.3 < choose_weight_decay(10, alike) < 0.35
    assert choose_weight_decay(1000, alike) == 0.35
    for forms in (Forms(1), Forms(7), Forms(1, alike=True)):
        assert choose_weight_decay(1, forms) == 0.04
    assert choose_weight_decay(20, Forms(7)) == 0.04


@given(rate=st.floats(1e9, 1e15), factor=st.floats(1.01, 100))
def test_a_higher_rate_of_products_is_worth_more_but_less_and_less(rate: float, factor: float) -> None:
    slow, fast = useful_rate(rate, "cpu"), useful_rate(rate * factor, "cpu")
    assert slow < fast < slow * factor
    assert useful_rate(rate, "cuda") == rate
    assert useful_rate(NOMINAL_RATE, "cpu") == NOMINAL_RATE


# What a symbol is

CHORDS = "C G Am F C G F7 F\nBb Eb C C G Am\n" * 20
SYMBOLS = {
    "chords": CHORDS,
    "moves": "e4 e5 Nf3 Nc6 Bb5 a6 O-O\nd4 d5 c4 e6 Nf3 Nf6 O-O\n" * 20,
    "bases": "A C G T T A C G\n" * 30,
    "numbers": "60 62 64 65 67 -1 60\n" * 40,
}
LANGUAGE = {
    "verse": verse(6000),
    "one sentence again and again": "the cat sat on the mat. " * 300,
    "few lines": CHORDS[:300],
    "Japanese": "これは犬です。それは猫です。\n" * 300,
    "one long line": "x" * 100_000,
    "genes without spaces": "ACGTTACG" * 1000 + "\n",
    "different words": " ".join(f"word{number}" for number in range(3000)),
    "nothing": "",
}


@pytest.mark.parametrize("name", SYMBOLS)
def test_sequences_of_few_kinds_of_symbols_are_known(name: str) -> None:
    assert looks_like_symbols([SYMBOLS[name]])
    assert looks_like_symbols(SYMBOLS[name].splitlines(keepends=True))


@pytest.mark.parametrize("name", LANGUAGE)
def test_language_is_not_taken_for_symbols(name: str) -> None:
    assert not looks_like_symbols([LANGUAGE[name]])


def test_no_text_at_all_is_not_taken_for_symbols() -> None:
    assert not looks_like_symbols([])


@pytest.mark.parametrize("is_symbols", [True, False])
@given(characters=st.integers(0, 10**12), alphabet=st.integers(0, 200_000), seconds=st.floats(0, 1e9))
def test_the_choice_of_symbols_is_one_that_there_is(
    is_symbols: bool, characters: int, alphabet: int, seconds: float
) -> None:
    choice = choose_tokenizer(TextFacts(characters, alphabet, {"kind": "symbols"} if is_symbols else {}), seconds)
    settings = TokenizerSettings(**choice)
    assert choice in CHOICES or is_symbols
    assert settings.kind in TOKENIZERS
    assert TOKENIZERS[settings.kind].by_line == is_symbols


@given(characters=st.integers(LEAST_FOR_PIECES, 10**12), seconds=st.floats(0, 1e6), factor=st.integers(1, 100))
def test_more_text_never_makes_finer_symbols(characters: int, seconds: float, factor: int) -> None:
    texts = [TextFacts(characters * times, 90, noticed={}) for times in (1, factor)]
    sizes = [choose_tokenizer(text, seconds).get("vocabulary", 0) for text in texts]
    assert sizes[0] <= sizes[1]


@given(seconds=st.floats(0, 1e6), factor=st.floats(1, 100))
def test_more_time_for_endless_text_never_makes_finer_symbols(seconds: float, factor: float) -> None:
    text = TextFacts(10**12, 90, noticed={})
    sizes = [choose_tokenizer(text, each)["vocabulary"] for each in (seconds, seconds * factor)]
    assert sizes[0] <= sizes[1]


@pytest.mark.parametrize(
    ("megabytes", "seconds", "pieces"),
    [
        (1.1, 30, 1024),
        (1.1, 180, 0),
        (3.2, 180, 1024),
        (9.5, 30, 1024),
        (9.5, 180, 2048),
        (31, 30, 1024),
        (31, 180, 4096),
    ],
)
def test_the_choices_that_were_measured(megabytes: float, seconds: float, pieces: int) -> None:
    """Each is a cell of the grid in docs/defaults.md."""
    choice = choose_tokenizer(TextFacts(int(megabytes * 1e6), 90, noticed={}), seconds)
    assert choice.get("vocabulary", 0) == pieces


def test_dropout_begins_where_a_text_is_read_often_and_grows_with_every_reading() -> None:
    assert [choose_dropout(epochs, 10**6) for epochs in (0, 1, 5, 7, 10, 20, 40, 10**9)] == [
        0,
        0,
        0,
        0.053,
        0.11,
        0.145,
        0.18,
        0.4,
    ]
    apart = [choose_dropout(20, 10**6, Forms(number)) for number in (0.5, 1, 2, 4, 12)]
    assert apart == [0.145, 0.145, 0.11, 0, 0]
    alike = [choose_dropout(20, 10**6, Forms(number, alike=True)) for number in (0.5, 1, 2, 4, 12)]
    assert alike == [0.22, 0.22, 0.33, 0.44, 0.6]
    assert 0.11 < choose_dropout(10, 10_000) < 0.22, "a short text is sooner learned by heart"


def test_weights_are_dropped_where_a_text_is_read_again_and_again_but_not_of_music_in_alike_forms() -> None:
    assert [choose_weight_dropout(epochs) for epochs in (0, 5, 10, 20, 40, 80, 10**9)] == [
        0,
        0,
        0,
        0.133,
        0.266,
        0.399,
        0.4,
    ]
    apart = [choose_weight_dropout(40, Forms(number)) for number in (0.5, 1, 2, 4, 12)]
    assert apart == [0.266, 0.266, 0.133, 0, 0]
    assert choose_weight_dropout(40, Forms(7, alike=True)) == 0
    often = dataclasses.replace(NOVEL, symbols=20_000, seconds=3600)
    assert choose(often)["model"]["weight_dropout"] > 0 == choose(NOVEL)["model"]["weight_dropout"]


def test_enough_time_for_any_text_makes_characters() -> None:
    assert choose_tokenizer(TextFacts(10**7, 90, noticed={}), 7200)["kind"] == "characters"


def test_a_short_or_chinese_text_is_learned_in_characters_however_little_time_there_is() -> None:
    assert choose_tokenizer(TextFacts(LEAST_FOR_PIECES, 90, noticed={}), 1)["kind"] == "bpe"
    assert choose_tokenizer(TextFacts(LEAST_FOR_PIECES - 1, 90, noticed={}), 1)["kind"] == "characters"
    assert choose_tokenizer(TextFacts(LEAST_FOR_PIECES, 3000, noticed={}), 1)["kind"] == "characters"


PAIRS = Facts(symbols=1_300_000, vocabulary=4000, seconds=120, matrix_rate=4e11)


def test_replies_that_are_read_a_few_times_are_learned_fast_and_matched() -> None:
    recipe = Recipe.from_dict(choose_reply(PAIRS))
    assert recipe.model.layers == 1 and recipe.model.hidden_dropout == recipe.model.label_smoothing == 0
    assert recipe.model.matching > 0 and recipe.model.phrases and recipe.training.optimizer == "muon"


def test_where_replies_say_what_their_messages_say_nothing_is_learned_of_what_fits_what() -> None:
    for seconds in (60, 600):
        answers, translations = (
            Recipe.from_dict(choose_reply(dataclasses.replace(PAIRS, seconds=seconds, echo=echo)))
            for echo in (0.3, 0.9)
        )
        assert answers.model.matching > 0 and answers.model.phrases
        assert translations.model.matching == 0 and not translations.model.phrases


def test_few_pairs_that_are_read_very_often_are_not_learned_by_heart() -> None:
    few = Recipe.from_dict(choose_reply(dataclasses.replace(PAIRS, symbols=150_000, seconds=600)))
    assert few.model.matching == few.model.label_smoothing == 0 and not few.model.phrases
    assert few.model.hidden_dropout > 0.2 and few.model.message_dropout > 0 and not few.training.by_heart


def test_of_too_few_answers_whole_sentences_are_learned() -> None:
    for symbols, echo, seconds, wanted in (
        (90_000, 0.1, 60, True),
        (110_000, 0.1, 60, False),
        (90_000, 0.9, 60, False),
        (90_000, 0.1, 3, False),
    ):
        facts = dataclasses.replace(PAIRS, symbols=symbols, echo=echo, seconds=seconds, vocabulary=1000)
        recipe = Recipe.from_dict(choose_reply(facts))
        assert recipe.training.by_heart == wanted
        assert (recipe.model.message_dropout > 0) == (symbols == 110_000 or wanted)
        assert recipe.model.matching == 0 or recipe.model.message_dropout == 0


def test_replies_that_are_read_often_are_kept_from_being_learned_by_heart() -> None:
    fast, slow = (
        Recipe.from_dict(choose_reply(PAIRS)),
        Recipe.from_dict(choose_reply(dataclasses.replace(PAIRS, seconds=2400, echo=0.9))),
    )
    assert slow.model.layers == 2 and slow.model.hidden > fast.model.hidden
    assert min(slow.model.hidden_dropout, slow.model.embedding_dropout, slow.model.label_smoothing) > 0
    for name in ("learning_rate", "matrix_rate"):
        assert getattr(slow.training, name) < getattr(fast.training, name)
