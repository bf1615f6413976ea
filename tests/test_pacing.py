"""From a time, steps or epochs to a schedule, and its correction by a clock that the tests turn themselves."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.errors import UsageError
from seqgen.pacing import LATE_TOLERANCE, RESUME_PROGRESS, WIND_UP, Budget, Course, Pacer, looks_for, plan, prolong
from seqgen.recipe import TrainingSettings

SECOND = 1.0


def bent(settings: TrainingSettings, course: Course) -> TrainingSettings:
    return dataclasses.replace(settings, **course)


def course_of(settings: TrainingSettings, steps: int) -> list[float]:
    """How far the course has come before each of the first steps, to the last bit."""
    return [settings.progress(step) for step in range(steps)]


@dataclasses.dataclass
class Ended:
    """How a simulated run went."""

    seconds: float
    settings: TrainingSettings
    corrections: int


def simulate(
    step_seconds: Callable[[int], float],
    settings: TrainingSettings,
    deadline: float,
    first_step: int = 0,
    look_seconds: float = 0.0,
) -> Ended:
    """A timed run on a fake clock, which begins at a number of its own, up to and with what follows the last step."""
    origin = now = 1000.0
    pacer, step, corrections = Pacer(origin + deadline, origin, first_step), first_step, 0
    while step < settings.steps:
        now, step = now + step_seconds(step), step + 1
        if course := pacer.correct(settings, step, now):
            settings, corrections = bent(settings, course), corrections + 1
        if settings.looks(step):
            now, pacer.look = now + look_seconds, look_seconds
    return Ended(now - origin + pacer.reserve, settings, corrections)


# Budgets


@pytest.mark.parametrize(
    ("given_text", "budget"),
    [
        (("3m", None, None), Budget(seconds=180)),
        ((90, None, None), Budget(seconds=90)),
        ((1.5, None, None), Budget(seconds=1.5)),
        (("+10m", None, None), Budget(seconds=600, more=True)),
        ((None, 7, None), Budget(steps=7)),
        ((None, "+500", None), Budget(steps=500, more=True)),
        ((None, None, "0.5"), Budget(epochs=0.5)),
        ((None, None, "+2"), Budget(epochs=2, more=True)),
        ((None, None, None), None),
    ],
)  # fmt: skip
def test_a_budget_is_a_time_steps_or_epochs_and_perhaps_more_of_them(
    given_text: tuple[str | float | None, str | int | None, str | float | None], budget: Budget | None
) -> None:
    assert Budget.parse(*given_text) == budget


@pytest.mark.parametrize(
    "given_text", [("3m", 5, None), ("3m", None, 1), (None, 5, 1), ("3m", "5", "1")]
)  # fmt: skip
def test_two_budgets_contradict_each_other(
    given_text: tuple[str | None, str | int | None, str | int | None],
) -> None:
    with pytest.raises(UsageError, match="contradict") as caught:
        Budget.parse(*given_text)
    for name, value in zip(("--time", "--steps", "--epochs"), given_text, strict=True):
        assert (name in str(caught.value)) == (value is not None)


@pytest.mark.parametrize("wrong", ["0", "-1", "+0", "nan", "inf", "1e12", "many", ""])
@pytest.mark.parametrize("name", ["time", "steps", "epochs"])
def test_a_budget_that_is_no_number_above_0_is_refused(name: str, wrong: str) -> None:
    with pytest.raises(UsageError):
        Budget.parse(**{**dict.fromkeys(("time", "steps", "epochs")), name: wrong})


def test_steps_are_whole() -> None:
    with pytest.raises(UsageError, match="--steps"):
        Budget.parse(None, "1.5", None)


def test_a_record_of_a_budget_holds_what_was_given() -> None:
    assert Budget(epochs=2, more=True).to_dict() == {"epochs": 2}


# Plans


@pytest.mark.parametrize(
    ("budget", "steps"),
    [
        (Budget(steps=77), 77),
        (Budget(epochs=1.5), 150),
        (Budget(epochs=0.001), 1),
        (Budget(seconds=999), 240),
    ],
)
def test_a_plan_buys_steps(budget: Budget, steps: int) -> None:
    assert plan(budget, steps_per_epoch=100, step_seconds=0.5, available=120) == steps


@pytest.mark.parametrize("available", [0.1, 0, -5])
def test_there_is_at_least_one_step_even_without_time(available: float) -> None:
    assert plan(Budget(seconds=1), steps_per_epoch=100, step_seconds=0.5, available=available) == 1


@given(steps=st.integers(1, 10**6), lanes=st.integers(1, 512), window=st.integers(1, 512), valid=st.integers(0, 10**7))
def test_looks_can_be_set_and_cost_a_few_percent(steps: int, lanes: int, window: int, valid: int) -> None:
    looks = looks_for(steps, lanes * window, valid)
    settings = bent(TrainingSettings(steps=steps), looks)
    assert 1 <= settings.evaluate_symbols <= max(1, valid - 1)
    regular = steps // settings.evaluate_every
    assert regular <= 31
    read, trained = regular * settings.evaluate_symbols, steps * lanes * window
    assert read <= 0.25 * trained or settings.evaluate_symbols <= 4096


# Prolonging


def test_a_finished_run_rises_again_where_it_ended() -> None:
    settings = bent(TrainingSettings(steps=100), prolong(TrainingSettings(steps=100), 100, 50))
    assert settings.steps == 150
    assert [settings.progress(step) for step in (99, 100, 125, 150)] == pytest.approx(
        [0.99, RESUME_PROGRESS, (1 + RESUME_PROGRESS) / 2, 1]
    )


def test_a_run_that_was_stopped_early_goes_on_from_where_it_is() -> None:
    settings = bent(TrainingSettings(steps=100), prolong(TrainingSettings(steps=100), 25, 50))
    assert settings.steps == 75
    assert [settings.progress(step) for step in (24, 25, 50, 75)] == pytest.approx([0.24, 0.25, 0.625, 1])


def test_a_run_that_has_not_begun_is_planned_anew() -> None:
    settings = bent(TrainingSettings(steps=100), prolong(TrainingSettings(steps=100), 0, 50))
    assert settings.steps == 50
    assert course_of(settings, 51) == pytest.approx(course_of(TrainingSettings(steps=50), 51))


@given(stays=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 60)), min_size=1, max_size=4))
def test_prolonging_ends_at_the_wanted_step_and_keeps_the_past_to_the_last_bit(stays: list[tuple[int, int]]) -> None:
    settings, step = TrainingSettings(steps=100), 0
    for done, more in stays:  # a run that was prolonged and stopped before it did anything is among them
        step = min(step + done, settings.steps)
        longer = bent(settings, prolong(settings, step, more))
        assert longer.steps == step + more
        assert longer.progress(longer.steps) == pytest.approx(1)
        assert longer.progress(step) == min(RESUME_PROGRESS, settings.progress(step))
        assert course_of(longer, step) == course_of(settings, step)
        settings = longer


# Keeping a deadline


def test_a_run_at_the_planned_speed_is_left_alone() -> None:
    ended = simulate(lambda step: 0.1, TrainingSettings(steps=1000), deadline=102 * SECOND)
    assert ended.corrections == 0


@pytest.mark.parametrize("factor", [0.25, 0.5, 2, 4, 10])
@pytest.mark.parametrize("at", [0, 200, 500, 800])
def test_a_run_that_slows_down_or_speeds_up_midway_ends_near_the_deadline(factor: float, at: int) -> None:
    ended = simulate(
        lambda step: 0.1 * (factor if step >= at else 1), TrainingSettings(steps=1000), deadline=102 * SECOND
    )
    assert 0.85 * 102 <= ended.seconds <= 1.02 * 102
    assert ended.settings.progress(ended.settings.steps) == pytest.approx(1)


def test_a_run_that_slows_down_near_its_end_is_not_much_later() -> None:
    ended = simulate(lambda step: 0.1 if step < 950 else 0.5, TrainingSettings(steps=1000), deadline=102 * SECOND)
    assert ended.seconds <= 1.25 * 102


@pytest.mark.parametrize("look_seconds", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("at", [0, 20_000, 32_000, 34_000])
@pytest.mark.parametrize("factor", [0.97, 1.0, 1.03, 1.06])
def test_half_an_hour_ends_within_seconds(factor: float, at: int, look_seconds: float) -> None:
    settings = TrainingSettings(steps=35_960, evaluate_every=3000)
    ended = simulate(
        lambda step: 0.05 * (factor if step >= at else 1), settings, 1800 * SECOND, look_seconds=look_seconds
    )
    late = max(LATE_TOLERANCE, look_seconds) + 0.02 * 1800 * abs(factor - 1)  # what is left after the last correction
    assert -look_seconds - late <= ended.seconds - 1800 <= late  # sooner rather than later


def test_time_is_kept_for_the_look_that_a_correction_brings_and_for_the_last_one() -> None:
    pacer = Pacer(100 * SECOND, 0.0, 0)
    pacer.look = 3 * SECOND
    course = pacer.correct(TrainingSettings(steps=2000), 1000, 60 * SECOND)
    assert course is not None
    assert course["steps"] == 1000 + int((100 - pacer.reserve - 60 - 2 * 3) / 0.06)


def test_more_time_is_kept_for_the_end_where_the_machine_has_become_slower_and_no_less_where_faster() -> None:
    def kept(step_seconds: float) -> float:
        pacer = Pacer(1000 * SECOND, 0.0, 0)
        pacer.reserve, pacer.planned_step = 40 * SECOND, 0.05
        course = pacer.correct(TrainingSettings(steps=1_000_000), 2000, 2000 * step_seconds)
        assert course is not None
        return (1000 - int(course["steps"]) * step_seconds) * SECOND

    assert kept(0.05) == pytest.approx(40, abs=0.1) == kept(0.02)
    assert kept(0.1) == pytest.approx(2 * 40 - WIND_UP, abs=0.2)


@given(factor=st.floats(0.05, 20), noise=st.floats(0, 0.5), steps=st.integers(50, 400))
def test_a_misjudged_and_uneven_machine_ends_near_the_deadline(factor: float, noise: float, steps: int) -> None:
    deadline = 0.1 * steps + 2
    ended = simulate(
        lambda step: 0.1 * factor * (1 + noise * math.sin(step)), TrainingSettings(steps=steps), deadline=deadline
    )
    assert ended.seconds <= 1.1 * deadline + 2 * 0.1 * factor * 1.5
    assert ended.seconds >= 0.85 * deadline - 0.1 * factor * 1.5


def test_a_prolonged_run_keeps_the_deadline_of_its_added_time() -> None:
    finished = TrainingSettings(steps=100_000)
    longer = bent(finished, prolong(finished, 100_000, 1000))
    ended = simulate(lambda step: 0.101, longer, deadline=90 * SECOND, first_step=100_000)
    assert 0.95 * 90 <= ended.seconds <= 1.02 * 90
    assert ended.settings.progress(50_000) == pytest.approx(0.5)


@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_a_finished_run_is_not_made_longer(steps: int) -> None:
    ended = simulate(lambda step: 0.1, TrainingSettings(steps=steps), deadline=2 + 0.1 * steps)
    assert ended.settings.steps <= steps


def test_a_deadline_that_has_passed_ends_the_run_at_the_next_step() -> None:
    ended = simulate(lambda step: 10, TrainingSettings(steps=1000), deadline=5 * SECOND)
    assert ended.settings.steps == 2


@given(slow=st.floats(0.02, 5), at=st.integers(1, 300))
def test_a_correction_keeps_the_past_to_the_last_bit_and_never_goes_back(slow: float, at: int) -> None:
    settings, seen, now, step = TrainingSettings(steps=300), [], 0.0, 0
    pacer = Pacer(32.0, 0.0, 0)
    while step < settings.steps:
        seen.append(settings.progress(step))
        now, step = now + (0.1 if step < at else slow), step + 1
        if course := pacer.correct(settings, step, now):
            settings = bent(settings, course)
            assert settings.steps > step
    assert course_of(settings, len(seen)) == seen
    assert all(before <= after for before, after in itertools.pairwise([*seen, 1.0]))
