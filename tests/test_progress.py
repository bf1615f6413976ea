"""What a training came to: the verdict."""

from __future__ import annotations

from typing import Any

import pytest

from seqgen.progress import judge


def _looks(*valid: float, epochs: float = 3.0) -> list[dict[str, Any]]:
    return [
        {"step": 10 * number, "valid_nats": nats, "train_nats": nats, "epoch": epochs * number / len(valid)}
        for number, nats in enumerate(valid, 1)
    ]


@pytest.mark.parametrize(
    ("looks", "stopped_early", "verdict"),
    [
        (_looks(3.0, 2.5, 2.2, 2.0), False, "improving"),
        (_looks(3.0, 2.001, 2.0, 2.0), False, "done"),
        (_looks(3.0, 2.0, 2.1, 2.3), False, "overfitted"),
        (_looks(3.0, 2.0, 2.1, 2.3, epochs=0.2), False, "done"),
        (_looks(3.0, 2.0, 2.0, 2.0), True, "overfitted"),
        ([{"step": 1, "valid_nats": None, "train_nats": 1.0, "epoch": 0.1}], False, "done"),
    ],
)
def test_the_verdict_follows_the_validation_curve(
    looks: list[dict[str, Any]], stopped_early: bool, verdict: str
) -> None:
    assert judge(looks, 40, False, stopped_early).name == verdict


def test_what_is_known_by_heart_is_not_called_overfitted_and_what_is_not_yet_known_needs_more_time() -> None:
    looks = _looks(3.0, 2.0, 2.5, 3.0)
    for train, verdict in (((3.0, 1.0, 0.8, 0.5), "by-heart"), ((3.0, 2.0, 1.5, 1.49), "improving")):
        told = [{**look, "train_nats": nats} for look, nats in zip(looks, train, strict=True)]
        assert judge(told, 40, False, False, by_heart=True).name == verdict
    assert judge(looks, 2, False, False, by_heart=True).sentence.startswith("Only 2 steps")
    assert judge(looks, 40, True, False, by_heart=True).name == "interrupted"


@pytest.mark.parametrize(("steps", "words"), [(1, "Only 1 step:"), (2, "Only 2 steps:")])
def test_a_run_of_a_few_steps_is_not_judged(steps: int, words: str) -> None:
    verdict = judge(_looks(9.0, 3.0), steps, False, False)
    assert verdict.name == "improving" and verdict.sentence.startswith(words)
