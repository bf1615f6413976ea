"""Settings: what is accepted, what is refused by name, and the course of the learning rate."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import json
import math
import tomllib
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seqgen.errors import UsageError
from seqgen.recipe import (
    SECTIONS,
    CorpusSettings,
    Recipe,
    TrainingSettings,
    check_overrides,
    merge,
    parse_assignment,
    parse_duration,
    read_recipe,
)

FIELDS = [(section, name, hint) for section, kind in SECTIONS.items() for name, hint in get_type_hints(kind).items()]
NUMBERS = [
    pytest.param(section, name, hint, id=f"{section}.{name}") for section, name, hint in FIELDS if hint in (int, float)
]
SHARE = st.floats(0, 1, exclude_max=True)
LINE = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@st.composite
def schedules(draw: st.DrawFn) -> list[list[float]]:
    """Segments that begin at step 0 and later, as a TOML file has them; none at all is one straight course."""
    starts = sorted(draw(st.sets(st.integers(1, 4999), max_size=4)))
    segments = [[start, draw(st.floats(0, 1)), draw(st.floats(0, 0.1))] for start in [0, *starts]]
    return draw(st.sampled_from([[], segments]))


RECIPES = st.fixed_dictionaries(
    {},
    optional={
        "corpus": st.fixed_dictionaries(
            {},
            optional={
                "sources": st.lists(LINE, max_size=3),
                "kind": LINE,
                "documents": LINE,
                "column": LINE,
                "split": st.sampled_from(["90/5/5", "100/0/0", "80/20/0", "33.3/33.3/33.4"]),
                "encoding": LINE,
            },
        ),
        "tokenizer": st.fixed_dictionaries(
            {},
            optional={
                "kind": LINE,
                "min_count": st.integers(1, 99),
                "max_size": st.integers(1, 99),
                "vocabulary": st.integers(300, 999),
            },
        ),
        "model": st.fixed_dictionaries(
            {}, optional={"layers": st.integers(1, 9), "cell": LINE, "hidden_dropout": SHARE, "weight_dropout": SHARE}
        ),
        "training": st.fixed_dictionaries(
            {},
            optional={
                "steps": st.integers(5000, 9000),
                "learning_rate": st.floats(0, 1, exclude_min=True),
                "clip": st.floats(0, 1e300, exclude_min=True),
                "beta2": SHARE,
                "init_from": LINE,
                "random_seed": st.integers(0, 2**63 - 1),
            },
        ),
    },
)  # fmt: skip
"""Recipes as a TOML file has them: some sections, some settings."""


COURSES = st.builds(
    lambda steps, schedule: {"steps": steps, "schedule": schedule}, st.integers(5000, 6000), schedules()
)
"""Settings of a run that was perhaps corrected or prolonged."""


def training(**settings: Any) -> TrainingSettings:
    return Recipe.from_dict({"training": settings}).training


# Data and files


@given(data=RECIPES, course=COURSES)
def test_a_recipe_is_the_same_after_toml_and_json(data: dict[str, dict[str, Any]], course: dict[str, Any]) -> None:
    recipe = Recipe.from_dict(merge(data, {"training": course}))
    assert Recipe.from_dict(tomllib.loads(recipe.to_toml())) == recipe
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@given(data=RECIPES)
def test_what_is_set_is_kept_and_the_rest_is_the_default(data: dict[str, dict[str, Any]]) -> None:
    recipe, default = Recipe.from_dict(data).to_dict(), Recipe().to_dict()
    for section, name, _ in FIELDS:
        wanted = data.get(section, {}).get(name, default[section][name])
        assert json.dumps(recipe[section][name]) == json.dumps(wanted)


def test_values_have_the_type_of_their_field() -> None:
    recipe = Recipe.from_dict({"corpus": {"sources": ["a"]}, "model": {"hidden": 64.0}, "training": {"clip": 2}})
    assert recipe.corpus.sources == ("a",)
    assert type(recipe.model.hidden) is int
    assert type(recipe.training.clip) is float


def test_a_large_random_seed_is_kept_to_its_last_digit() -> None:
    assert training(random_seed=2**63 - 1).random_seed == 2**63 - 1
    assert parse_assignment(f"training.random_seed={2**53 + 1}") == ("training", "random_seed", 2**53 + 1)


def test_every_setting_has_a_docstring_under_it() -> None:
    for kind in SECTIONS.values():
        body = ast.parse(inspect.getsource(kind)).body[0]
        assert isinstance(body, ast.ClassDef)
        documented = {
            first.target.id
            for first, second in itertools.pairwise(body.body)
            if isinstance(first, ast.AnnAssign) and isinstance(first.target, ast.Name)
            if isinstance(second, ast.Expr) and isinstance(second.value, ast.Constant)
        }
        assert documented == {field.name for field in dataclasses.fields(kind)}


def test_replace_changes_training_alone() -> None:
    recipe = Recipe()
    changed = recipe.replace(lanes=3)
    assert changed.training == dataclasses.replace(recipe.training, lanes=3)
    assert (changed.corpus, changed.model) == (recipe.corpus, recipe.model)


def test_a_recipe_file_is_read_also_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xef\xbb\xbf[model]\nhidden = 96\n")
    assert read_recipe(path) == {"model": {"hidden": 96}}


@pytest.mark.parametrize(
    "data", [b"[model\n", b"[model]\nhiden = 3\n", b"[model]\nhidden = 'wide'\n", b"\xff\xfe", b"model = 3\n", None]
)
def test_an_unusable_recipe_file_is_named(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "recipe.toml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError) as caught:
        read_recipe(path)
    assert caught.value.where == str(path)


# Names and types


@pytest.mark.parametrize(
    ("data", "suggestion"),
    [
        ({"model": {"hiden": 3}}, "model.hidden"),
        ({"training": {"learningrate": 3}}, "training.learning_rate"),
        ({"modle": {}}, "model"),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(data: dict[str, Any], suggestion: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_overrides(data)
    assert caught.value.hint == f"Did you mean {suggestion}?"


def test_a_name_like_no_other_gets_the_list_of_names() -> None:
    with pytest.raises(UsageError) as caught:
        check_overrides({"xyzzy": {}})
    assert all(section in str(caught.value.hint) for section in SECTIONS)


def test_a_section_that_is_a_value_is_not_called_unknown() -> None:
    with pytest.raises(UsageError, match="model=3 is not a section"):
        check_overrides({"model": 3})


@pytest.mark.parametrize(("section", "name", "hint"), NUMBERS)
@pytest.mark.parametrize(
    "wrong", [math.nan, math.inf, -math.inf, "nan", "inf", "many", "", True, None, [1], {}, 10**400]
)
def test_no_number_is_what_is_no_finite_number(section: str, name: str, hint: type, wrong: Any) -> None:
    with pytest.raises(UsageError, match=rf"{section}\.{name}="):
        Recipe.from_dict({section: {name: wrong}})


@pytest.mark.parametrize("wrong", [1.5, "1.5", "1e3"])
@pytest.mark.parametrize("name", [f"{section}.{name}" for section, name, hint in FIELDS if hint is int])
def test_a_whole_number_is_no_fraction(name: str, wrong: Any) -> None:
    section, field = name.split(".")
    with pytest.raises(UsageError, match=rf"{name}=.* is not of type int"):
        check_overrides({section: {field: wrong}})


@pytest.mark.parametrize("name", [f"{section}.{name}" for section, name, hint in FIELDS if hint is str])
@pytest.mark.parametrize("wrong", [1, 1.5, True, None, ["a"]])
def test_a_text_is_no_number(name: str, wrong: Any) -> None:
    section, field = name.split(".")
    with pytest.raises(UsageError, match=name):
        check_overrides({section: {field: wrong}})


@pytest.mark.parametrize("wrong", [1, 0, "yes", "", None])
def test_a_switch_is_true_or_false(wrong: Any) -> None:
    with pytest.raises(UsageError, match=r"model\.tied"):
        check_overrides({"model": {"tied": wrong}})


@pytest.mark.parametrize("wrong", [3, True, None, [[0, 0.0]], [0, 0, 1], [[0.5, 0, 1]], [[0, math.nan, 1]], "0,0,1"])
def test_a_schedule_is_a_list_of_steps_with_two_numbers(wrong: Any) -> None:
    with pytest.raises(UsageError, match=r"training\.schedule"):
        training(schedule=wrong)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("model.hidden=128", ("model", "hidden", 128)),
        (" model.tied=TRUE", ("model", "tied", True)),
        ("training.clip=5e-1", ("training", "clip", 0.5)),
        ("corpus.sources=a.txt,b.txt", ("corpus", "sources", ("a.txt", "b.txt"))),
        ("corpus.documents===", ("corpus", "documents", "==")),
    ],
)
def test_an_assignment_becomes_a_value_of_its_fields_type(text: str, value: tuple[str, str, Any]) -> None:
    assert parse_assignment(text) == value


@pytest.mark.parametrize("text", ["model.hidden", "hidden=3", "=", "", "model.=3", ".hidden=3", "model.hidden=wide"])
def test_what_is_no_assignment_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_assignment(text)


def test_later_settings_win_and_nothing_else_is_changed() -> None:
    first, second = {"model": {"hidden": 1, "layers": 1}}, {"model": {"hidden": 2}, "training": {"lanes": 3}}
    assert merge(first, second) == {"model": {"hidden": 2, "layers": 1}, "training": {"lanes": 3}}
    assert first == {"model": {"hidden": 1, "layers": 1}}


# Values that cannot be meant


@pytest.mark.parametrize(
    ("split", "shares"), [("90/5/5", (0.9, 0.05, 0.05)), ("100/0/0", (1, 0, 0)), ("79.5/20.5/0", (0.795, 0.205, 0))]
)
def test_a_split_is_three_shares(split: str, shares: tuple[float, float, float]) -> None:
    assert CorpusSettings(split=split).shares == pytest.approx(shares)


@pytest.mark.parametrize(
    "split", ["90/5", "90/5/6", "0/50/50", "-10/100/10", "a/b/c", "90/5/5/0", "", "nan/5/5", "90 5 5"]
)
def test_a_split_that_cannot_be_meant_is_refused(split: str) -> None:
    with pytest.raises(UsageError, match=r"corpus\.split"):
        CorpusSettings(split=split)


@pytest.mark.parametrize(
    ("section", "settings"),
    [
        ("corpus", {"documents": ""}),
        ("tokenizer", {"min_count": 0}),
        ("tokenizer", {"max_size": 0}),
        ("tokenizer", {"vocabulary": 299}),
        ("model", {"tied": True, "hidden": 32, "embedding": 16}),
        ("model", {"layers": 0}),
        ("model", {"hidden_dropout": 1.0}),
        ("model", {"weight_dropout": -0.1}),
        ("training", {"lanes": 0}),
        ("training", {"window": -1}),
        ("training", {"threads": 0}),
        ("training", {"evaluate_every": 0}),
        ("training", {"learning_rate": 0.0}),
        ("training", {"matrix_rate": 10.0}),
        ("training", {"clip": 0.0}),
        ("training", {"warmup": 1.0}),
        ("training", {"averaging": 1.0}),
        ("training", {"weight_decay": -1.0}),
        ("training", {"orthogonal_iterations": -1}),
        ("training", {"random_seed": -1}),
        ("training", {"random_seed": 2**63}),
        ("training", {"dtype": "float16"}),
        ("training", {"device": "gpu"}),
        ("training", {"steps": 0}),
        ("training", {"schedule": [[1, 0.0, 0.1]]}),
        ("training", {"schedule": [[0, 0.0, 0.1], [0, 0.5, 0.1]]}),
        ("training", {"schedule": [[0, 0.0, 0.1], [9, 0.5, 0.1], [5, 0.6, 0.1]]}),
        ("training", {"schedule": [[0, 0.0, 0.1], [9, 0.5, 0.1]], "steps": 9}),
        ("training", {"schedule": [[0, 1.5, 0.1]]}),
        ("training", {"schedule": [[0, -0.1, 0.1]]}),
        ("training", {"schedule": [[0, 0.0, -0.1]]}),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_its_name(section: str, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{section}.{next(iter(settings))}"):
        Recipe.from_dict({section: settings})


# Durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("90", 90), ("3m", 180), ("3min", 180), ("1.5h", 5400), ("1h30m", 5400), ("1h1m1.5s", 3661.5), (" 2M ", 120)],
)  # fmt: skip
def test_a_duration_is_read_in_hours_minutes_and_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "-3m", "3x", "m", "h3", "3s2m", "3 m 2", "nan", "inf", "1e3", "9" * 400, "1:30"]
)
def test_what_is_no_duration_is_refused_with_the_way_to_write_one(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_duration(text)
    assert "1h30m" in str(caught.value.hint)


@given(hours=st.integers(0, 99), minutes=st.integers(0, 99), seconds=st.integers(0, 99))
def test_parts_of_a_duration_add_up(hours: int, minutes: int, seconds: int) -> None:
    assume(hours + minutes + seconds > 0)
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == 3600 * hours + 60 * minutes + seconds


# The course of the learning rate


def test_a_course_is_straight_from_0_to_1_until_it_is_changed() -> None:
    settings = training(steps=200)
    assert [settings.progress(step) for step in (0, 50, 200, 999)] == pytest.approx([0, 0.25, 1, 1])


def test_each_segment_of_a_course_holds_until_the_next() -> None:
    settings = training(steps=200, schedule=[[0, 0.0, 0.01], [100, 0.4, 0.006]])
    assert [settings.progress(step) for step in (0, 25, 99, 100, 150, 200, 999)] == pytest.approx(
        [0, 0.25, 0.99, 0.4, 0.7, 1, 1]
    )


@given(course=COURSES, warmup=SHARE)
def test_progress_and_rate_stay_between_0_and_1(course: dict[str, Any], warmup: float) -> None:
    settings = training(**course, warmup=warmup)
    for step in {*range(0, settings.steps + 1, 97), *(start for start, _, _ in settings.schedule)}:
        assert 0 <= settings.progress(step) <= 1
        assert 0 <= settings.rate(step) <= 1


@given(steps=st.integers(1, 400), warmup=SHARE)
def test_the_rate_rises_to_1_and_then_falls_to_0(steps: int, warmup: float) -> None:
    settings = training(steps=steps, warmup=warmup)
    rates = [settings.rate(step) for step in range(steps + 1)]
    rising = sum(settings.progress(step) < warmup for step in range(steps + 1))
    assert rates[0] > 0
    assert rates[:rising] == sorted(rates[:rising])
    assert rates[rising:] == sorted(rates[rising:], reverse=True)
    assert rates[-1] == pytest.approx(0)
    if settings.progress(rising) == warmup:
        assert rates[rising] == 1


def test_the_rate_warms_up_in_the_first_fiftieth_and_then_falls_straight_to_zero() -> None:
    settings = training(steps=1000, warmup=0.02)
    assert 0 < settings.rate(0) < 0.06
    assert settings.rate(10) == pytest.approx(0.5)
    assert settings.rate(20) == pytest.approx(1)
    assert settings.rate(265) == pytest.approx(0.75)
    assert settings.rate(510) == pytest.approx(0.5)
    assert 0 < settings.rate(999) < 0.0011


def test_without_a_warm_up_the_rate_begins_at_1() -> None:
    assert training(warmup=0.0).rate(0) == 1


def test_looks_are_regular_with_early_ones_and_one_at_the_end() -> None:
    settings = training(steps=250, evaluate_every=80)
    assert [step for step in range(1, 251) if settings.looks(step)] == [10, 20, 40, 80, 160, 240, 250]


@given(steps=st.integers(1, 300), every=st.integers(1, 400))
def test_the_last_step_is_always_looked_at(steps: int, every: int) -> None:
    assert training(steps=steps, evaluate_every=every).looks(steps)


def test_a_run_is_looked_at_where_its_course_was_changed() -> None:
    settings = training(steps=250, evaluate_every=80, schedule=[[0, 0.0, 0.005], [100, 0.5, 0.004]])
    assert [step for step in range(251) if settings.begins_segment(step)] == [100]
    assert settings.looks(100)
