"""Corpora of every form and symbols of every kind, as a user sees them: trained, sampled and evaluated by command."""

from __future__ import annotations

import gzip
import json
import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch

import seqgen
from seqgen.evaluation import nats_of
from seqgen.modalities import MODALITIES
from seqgen.runs import reopen_corpus
from tests.commands import SMALL, Result, Run
from tests.corpora import PLAIN, write
from tests.sources import pack
from tests.test_formats import word
from tests.test_modalities import words
from tests.texts import verse

TRAIN = ["--steps", "12", "--name", "it", *SMALL]


def song(lines: int) -> str:
    draw = random.Random(1)
    return "".join(" ".join(draw.choices(["A", "C", "G", "Am7", "D7", "F#m"], k=9)) + "\n" for _ in range(lines))


def said_of_corpus(result: Result) -> str:
    """What the program says that it has read."""
    assert (result.code, result.out) == (0, "checkpoints/it\n")
    return next(line for line in result.err.splitlines() if " characters in " in line)


# Symbols of every kind


@pytest.mark.parametrize("kind", MODALITIES["text"].tokenizers)
def test_a_model_of_any_symbols_is_trained_sampled_and_measured_per_character(run: Run, kind: str) -> None:
    write("verse.txt", verse(6000) + "ß\n")
    settings = ["--tokenizer", kind, "--set", "tokenizer.vocabulary=320"]
    assert run("train", "verse.txt", "--documents", "file", *settings, *TRAIN).code == 0
    sample = run("sample", "it", "--seed", "the moon ß", "-n", "15", "--random-seed", "1", "--json", "-q").json()[0]
    assert sample["text"] == "the moon ß" + sample["continuation"] and len(sample["continuation"]) <= 15
    table, line = run("eval", "it").out, run("eval", "it", "--json").json()[0]
    assert f"{line['bits_per_character']:.3f}" in table and "this model" in table and "xz -9" in table

    loaded = seqgen.load("it")
    split = reopen_corpus(loaded.checkpoint).splits["test"]
    nats = float(nats_of(loaded.model, torch.from_numpy(np.array(split.ids, dtype=np.int64))).double().sum())
    characters = len(loaded.tokenizer.decode(split.ids))
    assert line["characters"] == characters == 301
    assert line["bits_per_character"] == pytest.approx(nats / math.log(2) / characters, rel=1e-4)
    assert line["nats_per_symbol"] == pytest.approx(nats / line["symbols"], rel=1e-4)
    long = kind in ("bpe", "unigram", "symbols")
    best = [name for name in line["baselines"] if name.endswith("-gram of characters" if long else "-gram")]
    assert len(best) == 1 and f"{best[0]} " in table and f"{line['baselines'][best[0]]:.3f}" in table
    assert all(0 < bits < 8 for bits in line["baselines"].values())


def test_baselines_in_characters_are_the_same_whatever_the_symbols_are(run: Run) -> None:
    write("verse.txt", verse(6000))
    figures = {}
    for kind in ("characters", "bpe"):
        assert run("train", "verse.txt", "--tokenizer", kind, *TRAIN, "--out", f"as-{kind}").code == 2  # beside --name
        assert run("train", "verse.txt", "--tokenizer", kind, *TRAIN[:2], *SMALL, "--name", kind).code == 0
        figures[kind] = run("eval", kind, "--json").json()[0]["baselines"]
    assert figures["bpe"]["unigram of characters"] == pytest.approx(figures["characters"]["unigram"], rel=0.02)
    assert figures["bpe"]["10-gram of characters"] == pytest.approx(figures["characters"]["10-gram"], rel=0.05)
    assert figures["bpe"]["xz -9"] == figures["characters"]["xz -9"]


def test_a_file_of_chords_is_symbols_by_the_line_and_a_seed_goes_on_with_a_space(run: Run) -> None:
    write("song.txt", song(150))
    said = run("train", "song.txt", "--steps", "80", "--name", "it", *SMALL)
    assert "150 documents (line)" in said_of_corpus(said)
    assert seqgen.load("it").checkpoint.recipe.tokenizer.kind == "symbols"
    command = ["sample", "it", "-n", "12", "-t", "0.3", "--random-seed", "4", "-q"]
    for count in ("1", "5"):
        for sample in run(*command, "--seed", "A C", "--count", count, "--json").json():
            assert sample["text"] == "A C" + sample["continuation"]
            assert sample["continuation"].startswith(" ")
            assert set(sample["text"].split()[:-1]) <= {"A", "C", "G", "Am7", "D7", "F#m"}  # the last one may be cut
    assert run(*command, "--seed", "A C ").out[:5].split(" ")[2] != ""


def test_unknown_symbols_of_a_seed_are_named(run: Run) -> None:
    write("song.txt", song(150))
    run("train", "song.txt", *TRAIN)
    result = run("sample", "it", "--seed", "A Bb7 \N{SNOWMAN} C", "-n", "5")
    assert result.code == 0 and result.out.startswith("A Bb7 \N{SNOWMAN} C")
    assert "'Bb7', '\N{SNOWMAN}' (U+2603)" in result.err


# Corpora of every form

ROWS = [(number, words(12, number)) for number in range(80)]
TABLES = {
    "letters.csv": "id,text\n" + "".join(f'{number},"{text}, yours"\n' for number, text in ROWS),
    "letters.tsv": "id\ttext\n" + "".join(f"{number}\t{text}, yours\n" for number, text in ROWS),
    "letters.jsonl": "".join(json.dumps({"id": number, "text": f"{text}, yours"}) + "\n" for number, text in ROWS),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_column_of_a_table_is_a_corpus(run: Run, name: str) -> None:
    write(name, TABLES[name])
    wanted = sum(len(f"{text}, yours") for _, text in ROWS)
    said = run("train", name, "--column", "text", *TRAIN)
    assert f"{wanted:,} characters in 80 documents (row)" in said_of_corpus(said)
    assert "plain text" not in said.err
    (line,) = run("corpus", "stats", name, "--column", "text", "--json").json()
    assert (line["characters"], line["documents"]) == (wanted, 80)
    for verb in (["train", *TRAIN], ["corpus", "stats"]):
        refused = run(*verb, name, "--column", "body")
        assert "there is no column 'body'" in refused.refusal()
        assert "There are: 'id', 'text'." in refused.err
    assert run("eval", "it", write("other.txt", verse(500)), "--json").json()[0]["characters"] == 500


@pytest.mark.parametrize("name", TABLES)
def test_a_table_without_a_column_is_text_and_says_how_to_name_one(run: Run, name: str) -> None:
    write(name, TABLES[name])
    said = run("train", name, *TRAIN)
    assert " (row)" not in said_of_corpus(said)
    assert f"{name} is read as plain text; to learn one column of the table: --column id or text" in said.err


@pytest.mark.parametrize(
    "text", ["just words, no table\n", '{"text": "cut sho\n', '"a quote that never closes, ', "[1]\n"]
)
@pytest.mark.parametrize("name", ["notes.csv", "notes.jsonl"])
def test_text_that_is_only_called_a_table_is_text(run: Run, name: str, text: str) -> None:
    write(name, text * 60)
    said = run("train", name, *TRAIN)
    assert "read as plain text" in said.err
    assert f"{60 * len(text):,} characters" in said_of_corpus(said) or "60 documents" in said.err


def test_a_table_of_very_long_rows_is_text(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqgen.sources.documents.HEAD", 1000)
    write("long.jsonl", "".join(json.dumps({"id": number, "text": verse(700, number)}) + "\n" for number in range(8)))
    assert "--column id or text" in run("train", "long.jsonl", *TRAIN).err


def test_documents_of_other_formats_are_read_among_texts(run: Run) -> None:
    write("c/a.txt", verse(3000))
    write("c/manuscript.docx", word("It was a docx.", "It ended."))
    write("c/page.html", "<html><head><title>x</title></head><body><p>It was a page.</p></body></html>")
    write("c/broken.docx", b"PK no document")
    said = said_of_corpus(run("train", "c", *TRAIN))
    wanted = 3000 + len("It was a docx.\n\nIt ended.\n") + len("It was a page.\n")
    assert f"{wanted:,} characters in 3 documents (file)" in said and "1 left out" in said
    (line,) = run("corpus", "stats", "c", "--json").json()
    assert [Path(name).name for names in line["left_out"].values() for name in names] == ["broken.docx"]
    assert "not a readable Word document" in next(iter(line["left_out"]))


@pytest.mark.parametrize("name", ["letters.zip", "letters.tgz"])
def test_an_archive_is_a_corpus_like_the_folder_in_it(run: Run, name: str) -> None:
    files: dict[str, str | bytes] = {"one/a.txt": verse(2000), "one/b.txt": verse(1000, 2), "one/b.bin": b"\0"}
    pack(Path(name), files)
    said = said_of_corpus(run("train", name, *TRAIN))
    assert "3,000 characters in 2 documents (file)" in said and "1 left out" in said
    assert run("eval", "it", "--json").json()[0]["characters"] == 150
    assert run("train", "--name", "it", "--resume", "--steps", "+2", "-q").code == 0
    (line,) = run("corpus", "stats", name, "--json").json()
    assert line["left_out"] == {"binary": [f"{name}!one/b.bin"]}


def test_a_compressed_file_is_a_corpus(run: Run) -> None:
    write("verse.txt.gz", gzip.compress(verse(3000).encode()))
    assert "3,000 characters in 1 document" in said_of_corpus(run("train", "verse.txt.gz", *TRAIN))


# Text of every kind


def test_two_hundred_thousand_different_characters_are_learned(run: Run) -> None:
    text = "".join(map(chr, range(0x20000, 0x20000 + 200_000)))
    write("many.txt", text)
    said = run("train", "many.txt", *TRAIN)
    assert "200,000 characters in 1 document" in said_of_corpus(said)
    assert "of 17 kinds" in said.err
    loaded = seqgen.load("it")
    assert loaded.tokenizer.decode(loaded.tokenizer.encode(text[::500])) == text[::500]


SCRIPTS = {
    "Hebrew": "\u05d1\u05b0\u05bc\u05e8\u05b5\u05d0\u05e9\u05b4\u05c1\u05d9\u05ea \u05d1\u05bc\u05b8\u05e8\u05b8\u05d0\n",
    "Arabic": "\u0627\u0644\u0642\u0650\u0637\u0651\u064f \u064a\u064e\u0646\u0627\u0645\u064f \u200f(\u0627)\u200e\n",
    "combining": "a\u0301\u0323 e\u0301 Z\u0351\u036b\u0343\u036a\u0302 \u1112\u1161\u11ab \u0915\u094d\u0937\u093f\n",
    "joined emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308 \U0001f44d\U0001f3fd\n",
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("kind", ["characters", "bpe", "symbols"])
def test_text_of_every_script_comes_back_as_it_was(run: Run, script: str, kind: str) -> None:
    text = SCRIPTS[script] * 120
    write("script.txt", text)
    options = ["--tokenizer", kind, "--documents", "file", "--set", "tokenizer.vocabulary=300"]
    assert run("train", "script.txt", *options, *TRAIN).code == 0
    loaded = seqgen.load("it")
    splits = reopen_corpus(loaded.checkpoint).splits.values()
    assert "".join(loaded.tokenizer.decode(split.ids) for split in splits) == text
    seed = SCRIPTS[script].strip()
    sample = run("sample", "it", "--seed", seed, "-n", "8", "--json", "-q").json()[0]
    assert sample["text"].startswith(seed)
    assert run("eval", "it", "--json").json()[0]["characters"] == len(text) - int(len(text) * 0.95 + 1e-6)


def test_a_corpus_of_one_line_is_learned(run: Run) -> None:
    write("line.txt", PLAIN.replace("\n", " "))
    assert "in 1 document (file)" in said_of_corpus(run("train", "line.txt", *TRAIN))
    assert run("sample", "it", "--seed", "the", "-n", "9", "-q").out.startswith("the")


def test_encodings_that_are_marked_are_read_among_others_and_what_is_not_is_left_out(run: Run) -> None:
    text = "Käse, ähnlich.\n" * 40
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
        write(f"c/{encoding}.txt", text.encode(encoding))
    for encoding in ("latin-1", "cp1252", "cp437"):
        write(f"c/{encoding}.txt", text.encode(encoding))
    said = said_of_corpus(run("train", "c", *TRAIN))
    assert f"{4 * len(text):,} characters in 4 documents (file)" in said and "3 left out" in said
    (line,) = run("corpus", "stats", "c", "--json").json()
    assert {reason: len(names) for reason, names in line["left_out"].items()} == {"not utf-8": 3}
