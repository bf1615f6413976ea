"""`seqgen corpus stats`: what a corpus holds, in words, as JSON and as a picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from tests.commands import SMALL, Run
from tests.corpora import PLAIN, write
from tests.test_modalities import titles, words


def test_figures_as_json(run: Run) -> None:
    write("titles.txt", titles(300))
    result = run("corpus", "stats", "titles.txt", "--json")
    assert (result.code, result.err) == (0, "")
    (line,) = result.json()
    assert (line["kind"], line["documents_are"], line["documents"], line["tokenizer"]) == (
        "text",
        "line",
        300,
        "symbols",
    )
    assert line["characters"] == len(titles(300)) - 300
    parts = line["splits"]
    assert list(parts) == ["train", "valid", "test"]
    assert sum(part["documents"] for part in parts.values()) == 300
    assert sum(part["characters"] for part in parts.values()) == line["characters"]
    assert all(part["symbols"] >= part["documents"] for part in parts.values())
    lengths = line["document_characters"]
    assert lengths["mean"] * 300 == pytest.approx(line["characters"])
    assert 1 <= lengths["shortest"] < lengths["mean"] < lengths["longest"]
    assert set(line["alphabet"]) == set(titles(300)) - {"\n"}
    assert (line["left_out"], line["remarks"], line["split_by"]) == ({}, [], "document")
    seen = titles(300).splitlines()
    assert line["repetition"]["lines"] == pytest.approx(1 - len(set(seen)) / len(seen))


def test_figures_are_those_that_train_goes_by(run: Run) -> None:
    write("a.txt", PLAIN)
    (line,) = run("corpus", "stats", "a.txt", "--json").json()
    said = run("train", "a.txt", "--steps", "1", *SMALL).err
    assert f"{line['characters']:,} characters in 1 document" in said
    assert f"{line['splits']['train']['symbols']:,} symbols" in said


def test_words_for_people(run: Run) -> None:
    write("c/a.txt", PLAIN)
    write("c/b.txt", PLAIN)
    out = run("corpus", "stats", "c").out
    for part in ("text; a document is a file", "symbols (characters)", "split 90/5/5 by position", "train", "test"):
        assert part in out
    assert f"documents: shortest {len(PLAIN):,}, mean {len(PLAIN):,}.0, longest {len(PLAIN):,} characters" in out
    assert f"alphabet: {len(set(PLAIN))} characters, the most frequent:   e r n" in out
    assert "repetition: 50.0% stands in stretches of 50 characters that occurred before" in out
    assert "documents: shortest" not in run("corpus", "stats", "c/a.txt").out


def test_what_is_left_out_is_named_with_its_reason(run: Run) -> None:
    write("c/a.txt", PLAIN)
    for number in range(7):
        write(f"c/{number}.bin", b"\0")
    write("c/menu.txt", b"a line\n" * 100 + "café\n".encode("latin-1"))
    result = run("corpus", "stats", "c")
    assert "left out, not utf-8: 1" in result.out and "menu.txt" in result.out
    assert "left out, binary: 7" in result.out and "4.bin and 2 more" in result.out
    (line,) = run("corpus", "stats", "c", "--json").json()
    assert len(line["left_out"]["binary"]) == 7
    assert ", 8 left out" in run("train", "c", "--steps", "1", *SMALL).err


def test_a_column_of_a_table(run: Run) -> None:
    rows = "".join(f'{number};"{words(5, number)}; said she"\n' for number in range(60))
    write("letters.csv", f"id;text\n{rows}")
    (line,) = run("corpus", "stats", "letters.csv", "--column", "text", "--json").json()
    assert (line["documents_are"], line["documents"], line["remarks"]) == ("row", 60, [])
    assert set(line["alphabet"]) <= set(words(999, 1)) | set("; said she")
    result = run("corpus", "stats", "letters.csv")
    assert "read as plain text" in result.err and "--column id or text" in result.err
    assert "id or text" in run("corpus", "stats", "letters.csv", "--json").json()[0]["remarks"][0]
    assert "There are: 'id', 'text'." in run("corpus", "stats", "letters.csv", "--column", "body").err


def test_rows_without_a_text_are_counted_with_their_lines(run: Run) -> None:
    write("letters.csv", "id,text\n1,\n2,one two three\n3,  \n")
    (line,) = run("corpus", "stats", "letters.csv", "--column", "text", "--json").json()
    assert (line["documents"], line["left_out"]) == (1, {"empty": ["letters.csv:2", "letters.csv:4"]})


def test_the_options_say_what_it_is(run: Run) -> None:
    write("menu.txt", "café au lait\n\nthé\n".encode("latin-1") * 30)
    options = ["--encoding", "latin-1", "--documents", "blank-line", "--kind", "code"]
    (line,) = run("corpus", "stats", "menu.txt", *options, "--json").json()
    assert (line["kind"], line["documents_are"], line["documents"]) == ("code", "blank-line", 31)
    assert "é" in line["alphabet"]


def test_the_split_of_a_card_and_one_that_overrules_it(run: Run) -> None:
    write("texts/a.txt", PLAIN)
    card = {"title": "Mine", "kind": "text", "documents": "file", "licence": "mine", "split": "80/20/0"}
    write("corpora/mine.toml", tomli_w.dumps({**card, "source": {"folder": "../texts"}}))
    assert "split 80/20/0 by position" in run("corpus", "stats", "mine").out
    train = ["train", "mine", "--steps", "1", *SMALL]
    assert "split 80/20/0 by position" in run(*train).err
    assert "split 50/25/25 by position" in run(*train, "--set", "corpus.split=50/25/25").err


@pytest.mark.parametrize("name", ["corpus.png", "new/corpus.png", ".", "corpus.jpg"])
def test_a_picture_is_drawn_or_refused_in_words(run: Run, name: str) -> None:
    write("a.txt", PLAIN)
    result = run("corpus", "stats", "a.txt", "--picture", name)
    if name == "corpus.png":
        assert result.code == 0 and "picture: corpus.png" in result.err
        assert Path(name).read_bytes().startswith(b"\x89PNG")
    else:
        assert result.code == 2 and name in result.err and "Traceback" not in result.err
        assert result.out == ""


def test_nothing_to_look_at_is_refused(run: Run) -> None:
    assert run("corpus", "stats").code == 2
    assert "missing.txt" in run("corpus", "stats", "missing.txt").refusal()
    write("empty.txt", "")
    assert "no text in it" in run("corpus", "stats", "empty.txt").refusal()


def test_many_rows_without_a_text_are_all_counted_and_few_are_kept_by_name(run: Run) -> None:
    write("letters.csv", "id,text\n0,one two three\n" + "1,\n" * 5000)
    (line,) = run("corpus", "stats", "letters.csv", "--column", "text", "--json").json()
    assert len(line["left_out"]["empty"]) == 21 and line["left_out"]["empty"][-1] == "letters.csv: and 4,980 more rows"
    assert "left out, empty: 5,000 (letters.csv:3" in run("corpus", "stats", "letters.csv", "--column", "text").out


@pytest.mark.parametrize("separator", ["[/x]", "[bold]", ":smile:"])
def test_what_looks_like_markup_is_text(run: Run, separator: str) -> None:
    write("a.txt", f"{PLAIN}{separator}{PLAIN}")
    result = run("corpus", "stats", "a.txt", "--documents", separator)
    assert result.code == 0 and f"a document is a {separator}" in result.out


def test_control_characters_of_a_file_do_not_reach_stderr(run: Run) -> None:
    write("a.csv", "\x1b[2Jowned\x07,text\n" + "1,one two three\n" * 20)
    for command in (["corpus", "stats", "a.csv"], ["train", "a.csv", "--steps", "1", *SMALL]):
        result = run(*command)
        assert result.code == 0 and "\\x1b[2Jowned\\x07" in result.err and "\x1b" not in result.err
    error = run("corpus", "stats", "a.csv", "--column", "\x1b[2J").err
    assert "no column" in error and "\x1b" not in error
