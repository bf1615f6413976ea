"""The baselines of a corpus: fair to every kind of symbol, and bounded."""

from __future__ import annotations

import lzma
import random

import pytest

from seqgen import yardsticks
from seqgen.yardsticks import XZ, compress, count
from tests.corpora import prepared, write
from tests.test_modalities import titles


@pytest.mark.parametrize("kind", ["characters", "bpe", "bytes"])
def test_the_ngram_of_characters_is_one_figure_whatever_the_symbols_are(kind: str) -> None:
    """It pays for the ends of documents as the model does, and reads the same text."""
    write("titles.txt", titles(900))
    plain = prepared("titles.txt", tokenizer={"kind": "characters"}, documents="line").with_baselines()
    figures = (
        prepared("titles.txt", tokenizer={"kind": kind}, documents="line").with_baselines().splits["test"].baselines
    )
    by_character = {name: bits for name, bits in figures.items() if kind != "bpe" or "characters" in name}
    wanted = plain.splits["test"].baselines
    assert sorted(by_character.values()) == pytest.approx(sorted(wanted.values()), rel=0.02)


def test_only_so_much_text_is_decoded_as_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = prepared(write("titles.txt", titles(900)), tokenizer={"kind": "bpe"}, documents="line")
    monkeypatch.setattr(yardsticks, "BLOCK", 500)
    whole = count(corpus.splits, corpus.tokenizer)
    monkeypatch.setattr(yardsticks, "TRAINING_SYMBOLS", 1500)
    decoded: list[int] = []
    decode = type(corpus.tokenizer).decode

    def counted(self: object, ids: object) -> str:
        text = decode(self, ids)  # type: ignore[arg-type]
        decoded.append(len(text))
        return text

    monkeypatch.setattr(type(corpus.tokenizer), "decode", counted)
    part = count(corpus.splits, corpus.tokenizer)
    assert sum(decoded) < 3 * (1500 + 500 * 8)
    assert all("symbols)" in name for name in part["test"])
    assert not any("symbols)" in name for name in whole["test"])


def test_without_held_out_text_nothing_is_counted() -> None:
    corpus = prepared(write("a.txt"), split="100/0/0")
    assert count(corpus.splits, corpus.tokenizer) == {"valid": {}, "test": {}}


def test_xz_is_measured_on_what_it_has_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    digits = random.Random(0).choices("0123456789", k=40_000)
    corpus = prepared(write("a.txt", "".join(digits)), split="80/10/10")
    learned, held_out = corpus.splits["train"], corpus.splits["test"]
    text = corpus.tokenizer.decode(held_out.ids)
    alone = 8 * len(lzma.compress(text.encode(), preset=9)) / len(text)
    whole = compress(learned, held_out, corpus.tokenizer)[XZ]
    assert 0.8 * alone < whole < 1.1 * alone
    monkeypatch.setattr(yardsticks, "COMPRESSED", 1000)
    assert compress(learned, held_out, corpus.tokenizer)[XZ] == pytest.approx(whole, rel=0.1)
