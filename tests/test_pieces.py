"""Pieces of words: what they are learned from, that they keep every text, and that no file of them does harm."""

from __future__ import annotations

import functools
import hashlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import SentencePieceTrainer

from seqgen.recipe import TokenizerSettings
from seqgen.tokenizers import DOCUMENT, TOKENIZERS, Tokenizer, pieces, trials
from tests.test_tokenizers import ANY_TEXT
from tests.texts import verse

KINDS = ("bpe", "unigram")
each_kind = pytest.mark.parametrize("kind", KINDS)
LINE_END = 1 + 0x0A


def build(kind: str, *texts: str, min_count: int = 1, vocabulary: int = 2048) -> Tokenizer:
    return TOKENIZERS[kind].build(texts, TokenizerSettings(kind=kind, min_count=min_count, vocabulary=vocabulary))


def learned(tokenizer: Tokenizer) -> list[str]:
    """The pieces, spaces as spaces."""
    return [key.removeprefix("piece ").replace("\u2581", " ") for key in tokenizer.keys()[257:]]


VERSE = {kind: build(kind, verse(20_000)) for kind in KINDS}


@each_kind
def test_words_that_come_again_become_pieces(kind: str) -> None:
    text = verse(5000, seed=2)
    assert len(VERSE[kind].encode(text)) < 0.6 * len(text)
    assert {"bpe": {" river", " stones"}, "unigram": {"the", " her"}}[kind] <= {*learned(VERSE[kind])}


@each_kind
def test_no_piece_reaches_over_a_line_end(kind: str) -> None:
    assert not [piece for piece in learned(VERSE[kind]) if "\n" in piece]
    assert VERSE[kind].encode("\n").tolist() == [LINE_END]


@each_kind
@given(before=ANY_TEXT, line=ANY_TEXT, after=ANY_TEXT)
def test_a_line_has_the_same_ids_wherever_it_stands(kind: str, before: str, line: str, after: str) -> None:
    tokenizer = VERSE[kind]
    ids = [tokenizer.encode(part).tolist() for part in (f"the moon{before}", line, f"sings to{after}")]
    whole = tokenizer.encode(f"the moon{before}\n{line}\nsings to{after}")
    assert whole.tolist() == [*ids[0], LINE_END, *ids[1], LINE_END, *ids[2]]


@each_kind
def test_a_long_line_is_cut_after_4096_characters(kind: str) -> None:
    tokenizer, line = VERSE[kind], "the river " * 1000
    parts = [line[:4096], line[4096:8192], line[8192:]]
    assert tokenizer.encode(line).tolist() == [symbol for part in parts for symbol in tokenizer.encode(part).tolist()]


@each_kind
@pytest.mark.parametrize(
    "text", ["<unk>", "<s></s>", "<0x41>", "\u2581the\u2581moon", " \u2581 ", "\u2585", "a\ud800\udc00b", "a\0b", "\t\tx\r\n",
             "\u05d0\u05d1 \u202e\u0628", "e\u0301\u0301", "\ufb01\u212b\uff21", "\U0001f600", "   x   ", "\ufeff"],
)  # fmt: skip
def test_what_sentencepiece_would_change_comes_back(kind: str, text: str) -> None:
    for tokenizer in (VERSE[kind], build(kind, text * 9)):
        assert tokenizer.decode(tokenizer.encode(text)) == text


@each_kind
@given(text=st.text(st.sampled_from("\u2581\u2585\u2584\u2580\ud800\udfffa\u2582 ")))
def test_marks_are_told_from_what_stands_in_for_them(kind: str, text: str) -> None:
    assert VERSE[kind].decode(VERSE[kind].encode(text)) == text


@each_kind
def test_equal_texts_give_equal_bytes_in_any_process(kind: str) -> None:
    code = """
import hashlib, sys
from seqgen.recipe import TokenizerSettings
from seqgen.tokenizers import TOKENIZERS
from tests.texts import verse
made = TOKENIZERS[sys.argv[1]].build([verse(20_000)], TokenizerSettings(min_count=1))
print(hashlib.sha256(made.to_bytes()).hexdigest())
"""
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code, kind], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [hashlib.sha256(VERSE[kind].to_bytes()).hexdigest()]


@each_kind
def test_a_long_line_is_never_skipped_in_learning(kind: str) -> None:
    assert "letter" in "".join(learned(build(kind, "letter by letter " * 3000)))


@each_kind
def test_rare_characters_are_spelled_in_bytes(kind: str) -> None:
    tokenizer = build(kind, "abc" * 200 + "\u00e9", min_count=2)
    assert tokenizer.encode("\u00e9").tolist() == [1 + 0xC3, 1 + 0xA9]
    assert tokenizer.unknown("a\u00e9\n\u00e9z") == ["\u00e9", "z"]


@each_kind
def test_of_too_many_characters_the_most_frequent_become_pieces(kind: str) -> None:
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 500)))
    tokenizer = build(kind, many + many[:21], vocabulary=300)
    assert tokenizer.size == 300 or tokenizer.note
    assert [character for character in many if len(tokenizer.encode(character)) == 1] == list(many[:21])


@each_kind
def test_a_vocabulary_that_is_too_large_is_lowered_and_that_is_said(kind: str) -> None:
    tokenizer = build(kind, "ab ab")
    assert tokenizer.size == 260
    assert tokenizer.note == "260 pieces instead of 2,048: the text gives no more"
    assert build(kind, verse(20_000), vocabulary=300).note == ""


@each_kind
def test_a_sample_is_learned_from_and_that_is_said(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SAMPLE", 16_000)
    tokenizer = build(kind, verse(64_000), vocabulary=300)
    assert tokenizer.note == "learned from a sample of 0.0 of 0.1 million characters"
    assert tokenizer.to_bytes() == build(kind, verse(64_000), vocabulary=300).to_bytes()


def test_a_sample_is_blocks_from_all_over_the_text_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SAMPLE", 10 * pieces.BLOCK)
    text = "".join(f"{number:7}\n" for number in range(100_000))
    blocks, length = pieces._sample([text[:12_344], text[12_344:]])
    starts = [int(block[:7]) if place else 0 for place, block in enumerate(blocks)]
    assert length == len(text)
    assert len(blocks) == 10 and all(len(block) == pieces.BLOCK for block in blocks)
    assert starts == sorted(starts) and 20_000 < starts[5] < 80_000  # as likely from its beginning as from its end


@each_kind
def test_learning_and_refusing_print_nothing(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    build(kind, verse(3000))
    with pytest.raises(ValueError, match="not a model"):
        TOKENIZERS[kind](b"no model")  # type: ignore[call-arg]
    assert capfd.readouterr() == ("", "")


def foreign(**settings: Any) -> bytes:
    """A model of sentencepiece that was not made here."""
    model = io.BytesIO()
    given_here = {"model_type": "bpe", "vocab_size": 400, "hard_vocab_limit": False, "minloglevel": 9, "bos_id": -1,
                  "eos_id": -1, "byte_fallback": True, "normalization_rule_name": "identity", "add_dummy_prefix": False,
                  "remove_extra_whitespaces": False}  # fmt: skip
    lines = iter(verse(2000).splitlines())
    SentencePieceTrainer.train(sentence_iterator=lines, model_writer=model, **{**given_here, **settings})
    return model.getvalue()


def test_a_model_from_elsewhere_that_keeps_every_text_is_taken() -> None:
    tokenizer = TOKENIZERS["bpe"].from_bytes(foreign())
    assert tokenizer.decode(tokenizer.encode("a\u2581\ud800 \n")) == "a\u2581\ud800 \n"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"normalization_rule_name": "nmt_nfkc"}, "keep every text"),
        ({"add_dummy_prefix": True}, "keep every text"),
        ({"remove_extra_whitespaces": True}, "keep every text"),
        ({"byte_fallback": False}, "256 bytes"),
        ({"bos_id": 1}, "256 bytes"),
    ],
)
def test_a_model_that_would_change_texts_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TOKENIZERS["bpe"](foreign(**settings))  # type: ignore[call-arg]


def test_a_model_with_a_piece_that_may_not_be_is_refused() -> None:
    changed = build("bpe", "\u2584 " * 50).to_bytes().replace("\u2584".encode(), "\u2585".encode())
    with pytest.raises(ValueError, match="which none may"):
        TOKENIZERS["bpe"].from_bytes(changed)


@pytest.mark.parametrize("data", [b"", b"{}", b"\0" * 100, VERSE["bpe"].to_bytes()[:-9]])
def test_what_is_no_model_is_refused_in_words(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a model|256 bytes"):
        TOKENIZERS["bpe"].from_bytes(data)


def test_a_file_that_is_far_too_large_is_not_even_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LARGEST_MODEL", 10)
    with pytest.raises(ValueError, match="too large"):
        TOKENIZERS["bpe"].from_bytes(b"x" * 11)


def test_a_model_that_crashes_its_reader_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_WORKER", "import os; os.abort()")
    with pytest.raises(ValueError, match="crashes"):
        TOKENIZERS["bpe"].from_bytes(foreign())


def test_a_model_that_is_never_read_to_its_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials, "_WORKER", "import time; time.sleep(60)")
    monkeypatch.setattr(trials, "PATIENCE", 0.3)
    with pytest.raises(ValueError, match=r"within 0\.3 seconds"):
        TOKENIZERS["bpe"].from_bytes(foreign())


def test_a_model_is_tried_once_and_one_made_here_never(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[object] = []
    real = subprocess.run

    def run(*arguments: Any, **options: Any) -> Any:
        runs.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(subprocess, "run", run)
    TOKENIZERS["bpe"].from_bytes(build("bpe", "made here").to_bytes())
    assert len(runs) == 0
    for _ in range(2):
        TOKENIZERS["bpe"].from_bytes(foreign())
    assert len(runs) == 1
    for _ in range(2):  # one that was refused is not remembered
        with pytest.raises(ValueError, match="256 bytes"):
            TOKENIZERS["bpe"].from_bytes(foreign(byte_fallback=False))
    assert len(runs) == 3


def test_a_cache_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    monkeypatch.setenv("SEQGEN_CACHE", "file")
    model = build("unigram", verse(1000)).to_bytes()
    assert TOKENIZERS["unigram"].from_bytes(model).to_bytes() == model


def test_the_trial_imports_nothing_from_the_working_folder() -> None:
    for name in ("sentencepiece.py", "numpy.py", "json.py"):
        Path(name).write_text("raise SystemExit('not me')")
    TOKENIZERS["bpe"].from_bytes(foreign())


def test_sentencepiece_is_loaded_where_it_is_used() -> None:
    code = "import sys, seqgen.tokenizers; print('sentencepiece' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@functools.cache
def small_bpe() -> Tokenizer:
    return TOKENIZERS["bpe"].build([verse(20_000)], TokenizerSettings(kind="bpe", vocabulary=400))


@given(text=st.text("abc de\n", min_size=1))
def test_a_prompt_is_taken_back_by_its_last_piece_and_what_comes_first_begins_with_it(text: str) -> None:
    tokenizer = small_bpe()
    ids = [DOCUMENT, *tokenizer.encode(text).tolist()]
    opening = tokenizer.reopen(ids)
    kept = tokenizer.decode(opening.ids)
    assert kept + opening.taken_back.decode() == text
    if opening.allowed is not None:
        allowed = np.flatnonzero(opening.allowed).tolist()
        assert ids[-1] in allowed
        assert all(tokenizer.decode([each]).startswith(opening.taken_back.decode()) for each in allowed)
        assert len(allowed) < tokenizer.size


def test_nothing_is_taken_back_from_a_prompt_of_bytes_or_of_nothing() -> None:
    tokenizer = small_bpe()
    for text in ("", "a\n", "漢"):
        ids = [DOCUMENT, *tokenizer.encode(text).tolist()]
        opening = tokenizer.reopen(ids)
        assert (opening.ids, opening.allowed, opening.taken_back) == (ids, None, b"")
