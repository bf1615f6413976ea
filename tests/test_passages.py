"""Passages that another text shares with a training text are found as a search by hand finds them, within documents alone."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen import passages
from seqgen.errors import DataError
from seqgen.passages import Found, Passages, write_passages
from seqgen.recipe import TokenizerSettings
from seqgen.splits import Split
from seqgen.tokenizers import DOCUMENT, TOKENIZERS, Tokenizer

LETTERS = st.sampled_from("ab\n \u00e9\u20ac\U0001f600\ud800")
TEXTS = st.text(LETTERS, max_size=20)
KINDS = ("characters", "bytes", "symbols", "bpe")


def tokenizer_of(kind: str, documents: Sequence[str]) -> Tokenizer:
    settings = TokenizerSettings(kind=kind, vocabulary=300) if kind == "bpe" else TokenizerSettings(kind=kind)
    return TOKENIZERS[kind].build(documents, settings)


TRAINED = {kind: tokenizer_of(kind, ["ab abba baab \u00e9a\nb" * 20]) for kind in KINDS}


def indexed(documents: Sequence[str], tokenizer: Tokenizer | None = None) -> Passages:
    tokenizer = tokenizer or TRAINED["characters"]
    each = [np.array([DOCUMENT, *tokenizer.encode(text).tolist()]) for text in documents]
    ids = np.concatenate([np.zeros(0, dtype=np.int64), *each])
    starts = np.cumsum([0, *map(len, each)])[:-1]
    with tempfile.TemporaryDirectory() as folder:
        write_passages(Split(ids, starts, sum(map(len, documents))), tokenizer, Path(folder))
        return Passages(Path(folder))


def by_hand(text: str, documents: Sequence[str]) -> list[int]:
    """The length of the longest known passage from each character on."""
    return [
        max(
            size for size in range(len(text) - first + 1) if any(text[first : first + size] in one for one in documents)
        )
        if documents
        else 0
        for first in range(len(text))
    ]


@pytest.mark.parametrize("kind", KINDS)
@given(documents=st.lists(TEXTS, max_size=4), text=TEXTS, repeats=st.integers(1, 3))
def test_the_longest_known_passage_from_each_character_on_is_found(
    kind: str, documents: list[str], text: str, repeats: int
) -> None:
    known = indexed(documents, TRAINED[kind])
    for asked in (text, text * repeats, "".join(documents)):
        assert known.match(asked).tolist() == by_hand(asked, documents)


@given(documents=st.lists(TEXTS, min_size=1, max_size=4), data=st.data())
def test_the_first_place_of_a_passage_is_found(documents: list[str], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(documents) - 1))
    first = data.draw(st.integers(0, len(documents[number])))
    passage = documents[number][first : first + data.draw(st.integers(1, 5))]
    if not passage:
        return
    places = [
        (which, offset)
        for which, text in enumerate(documents)
        for offset in range(len(text))
        if text.startswith(passage, offset)
    ]
    which, offset = places[0]
    expected = Found(which, offset, documents[which][:offset].count("\n"), len(places))
    assert indexed(documents).find(passage) == expected


def test_a_passage_does_not_go_on_into_the_next_document() -> None:
    assert indexed(["the old", " fox"]).match("the old fox").tolist()[0] == 7
    assert indexed(["the old fox"]).match("the old fox").tolist()[0] == 11


def test_a_long_copy_takes_few_searches(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(map(str, range(30_000)))
    known = indexed([text])
    searches = itertools.count()
    bisect = Passages._bisect
    monkeypatch.setattr(Passages, "_bisect", lambda self, pattern: (next(searches), bisect(self, pattern))[1])
    copied = text[1000:101_000]
    assert known.match(copied + "x").tolist()[:2] == [100_000, 99_999]
    assert next(searches) < 200


def test_places_far_into_a_long_document_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passages, "STEP", 64)
    monkeypatch.setattr(passages, "BLOCK", 50)
    lines = [f"\u00e9{number}\n" for number in range(2000)]
    known = indexed(["one\n" * 30, "".join(lines)])
    assert known.find("\u00e91234\n") == Found(1, len("".join(lines[:1234])), 1234, 1)
    assert known.match("".join(lines)).tolist()[0] == len("".join(lines))


def test_a_training_text_may_be_empty() -> None:
    assert indexed([]).match("abc").tolist() == [0, 0, 0]
    assert indexed([""]).match("abc").tolist() == [0, 0, 0]


def test_too_much_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passages, "LARGEST", 20)
    with pytest.raises(DataError, match="more than"):
        indexed(["a" * 20])


@pytest.mark.parametrize("name", ["text", "order", "marks.npy", "passages.json"])
def test_what_is_damaged_is_not_opened(tmp_path: Path, name: str) -> None:
    tokenizer = TRAINED["bytes"]
    ids = np.array([DOCUMENT, *tokenizer.encode("some text").tolist()])
    write_passages(Split(ids, np.array([0]), 9), tokenizer, tmp_path)
    Passages(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-5])
    with pytest.raises((ValueError, EOFError)):
        Passages(tmp_path)


@given(documents=st.lists(TEXTS, max_size=4), text=TEXTS)
def test_a_whole_document_is_known_from_a_part_of_one(documents: list[str], text: str) -> None:
    known = indexed(documents)
    for asked in (text, *documents, "".join(documents)):
        assert known.holds_document(asked) == (asked in documents)
