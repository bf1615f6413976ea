"""The tree of errors: its exit codes, and what a person reads."""

from __future__ import annotations

import inspect

import pytest

from seqgen import errors
from seqgen.errors import CheckpointError, DataError, SeqgenError, TrainingError, UsageError

TREE = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SeqgenError)]


@pytest.mark.parametrize(
    ("kind", "code"), [(SeqgenError, 1), (UsageError, 2), (DataError, 3), (CheckpointError, 4), (TrainingError, 1)]
)
def test_the_exit_codes_are_settled(kind: type[SeqgenError], code: int) -> None:
    assert kind.exit_code == code
    assert kind("wrong").exit_code == code


@pytest.mark.parametrize("kind", TREE)
def test_every_error_is_drawn_in_the_tree_with_its_exit_code(kind: type[SeqgenError]) -> None:
    lines = [line.replace("├── ", "").replace("└── ", "").split() for line in (errors.__doc__ or "").splitlines()]
    assert [words[1] for words in lines if words[:1] == [kind.__name__]] == [str(kind.exit_code)]


@pytest.mark.parametrize("kind", TREE)
def test_an_error_says_where_what_and_what_to_do(kind: type[SeqgenError]) -> None:
    error = kind("not utf-8 at byte 3", where="diary.txt", hint="Name its encoding.")
    assert str(error) == "diary.txt: not utf-8 at byte 3\nName its encoding."
    assert (error.what, error.where, error.hint) == ("not utf-8 at byte 3", "diary.txt", "Name its encoding.")


def test_an_error_without_a_place_or_a_hint_is_one_plain_line() -> None:
    assert str(DataError("no text in it")) == "no text in it"
