"""What a corpus is like, told from a look at it."""

from __future__ import annotations

import pytest

from seqgen import survey
from seqgen.corpus import Corpus
from seqgen.duplicates import Repetition
from seqgen.modalities import MODALITIES
from seqgen.survey import summarize
from tests.corpora import PLAIN, PROSE, prepared, write
from tests.test_modalities import titles

every_tokenizer = pytest.mark.parametrize("kind", MODALITIES["text"].tokenizers)


@every_tokenizer
def test_the_alphabet_is_what_occurs_sorted_by_frequency(kind: str) -> None:
    text = "eeeetttaaon é" * 40
    corpus = prepared(write("a.txt", text), tokenizer={"kind": kind}, documents="file")
    summary = summarize(corpus)
    assert dict(summary.alphabet) == {character: text.count(character) for character in text}
    assert [character for character, _ in summary.alphabet][:3] == ["e", "t", "a"]
    assert summary.looked_at == len(text)


def test_a_summary_of_a_large_corpus_looks_at_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "LOOKED_AT", 300)
    corpus = prepared(write("a.txt"))
    assert 200 < summarize(corpus).looked_at < 300
    assert len(summarize(corpus).lengths) == 1


@pytest.mark.parametrize("settings", [{"kind": "bytes"}, {"kind": "characters", "min_count": 10_000}])
@pytest.mark.parametrize("length", range(60, 70))
def test_a_cut_inside_a_character_adds_none_to_the_alphabet(
    settings: dict[str, object], length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "LOOKED_AT", 3 * length)
    text = "a\U0001f98a\ufffd" * 50
    corpus = prepared(write("a.txt", text), tokenizer=settings, split="100/0/0")
    summary = summarize(corpus)
    counts = dict(summary.alphabet)
    assert set(counts) <= set(text)
    assert (
        counts["\ufffd"] in (counts["a"], counts["a"] - 1) and counts["\ufffd"] <= counts["\U0001f98a"] <= counts["a"]
    )
    assert sum(counts.values()) == summary.looked_at


@every_tokenizer
def test_a_summary_knows_how_many_characters_every_document_has(kind: str) -> None:
    text = titles(300).replace("e", "é")
    corpus = prepared(write("titles.txt", text), tokenizer={"kind": kind}, documents="line")
    assert summarize(corpus).lengths.tolist() == [len(line) for line in text.splitlines()]


@pytest.mark.parametrize("split", ["90/5/5", "80/20/0", "100/0/0"])
def test_documents_that_were_cut_count_as_wholes(split: str) -> None:
    for name in "ab":
        write(f"c/{name}.txt", PLAIN)
    corpus = prepared("c", split=split)
    assert corpus.split_by == "position"
    assert summarize(corpus).lengths.tolist() == [len(PLAIN), len(PLAIN)]


def repeated(corpus: Corpus) -> Repetition:
    found = summarize(corpus).repetition
    assert found
    return found


def test_a_summary_finds_what_is_repeated() -> None:
    assert repeated(prepared(write("twice.txt", PROSE + PROSE))).characters == pytest.approx(0.5, abs=0.01)
    assert repeated(prepared(write("once.txt"))).characters == 0


@every_tokenizer
def test_lines_that_are_documents_are_repeated_lines_and_their_ends_are_no_part_of_the_alphabet(kind: str) -> None:
    once = sorted(set(titles(200).splitlines()))
    write("titles.txt", "".join(f"{line}\n" for line in [*once, *once]))
    summary = summarize(prepared("titles.txt", tokenizer={"kind": kind}, documents="line"))
    assert summary.repetition
    assert summary.repetition.lines == pytest.approx(0.5)
    assert "\n" not in dict(summary.alphabet)
    assert summary.looked_at == sum(summary.lengths)
