"""What --check and `Loaded.check` say: how much of a sample is copied from where, beside held-out text; or why nobody knows."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seqgen
from seqgen import originality, passages
from seqgen.api import Loaded
from seqgen.cache import ORIGINS, clean_cache
from seqgen.errors import DataError
from seqgen.folders import cache_folder
from seqgen.modalities.likeness import ScoreJudge
from seqgen.originality import NGRAMS, PART, TextJudge, ordinary_of
from seqgen.overlaps import Learned, Place
from seqgen.scores.copying import NGRAM
from tests.commands import SMALL, Run
from tests.corpora import prepared, reopened, write
from tests.texts import verse

LINES = [f"line {number} says {number * 7919 % 1000:03d} to {chr(97 + number % 26) * 5}" for number in range(60)]


@pytest.fixture
def lines() -> TextJudge:
    """Sixty lines, each a document; the first nine of ten were not all learned, so some are held out."""
    return TextJudge(prepared(write("poems/lines.txt", "\n".join(LINES) + "\n"), documents="line"))


def learned_line() -> int:
    """A line that is in the training split, from 0."""
    corpus = prepared("poems/lines.txt", documents="line")
    split = corpus.splits["train"]
    text = corpus.tokenizer.decode(split.ids[split.starts[5] : split.starts[6]])
    return LINES.index(text)


def test_a_copied_line_is_found_with_its_file_and_its_line(lines: TextJudge) -> None:
    number = learned_line()
    found = lines.judge(f"##{LINES[number]}##")
    assert found.longest is not None
    assert (found.longest.length, found.longest.text) == (len(LINES[number]), LINES[number])
    assert found.longest.details == {"start": 2} and found.longest.places == 1
    place = found.longest.place
    assert place.source == "poems/lines.txt" and place.document == 6
    assert place.details == {"line": number + 1, "offset": 0}
    whole = len(LINES[number])
    assert found.shares[20] == (whole - 19) / (whole + 4 - 19)
    assert found.shares[200] is None
    words = found.words()
    assert f"{whole} characters" in words[0] and f"poems/lines.txt line {number + 1}" in words[0]
    assert "held-out text" in words[0] and "runs of 20 characters" in words[1]


def test_only_the_training_split_counts_as_learned(lines: TextJudge) -> None:
    corpus = prepared("poems/lines.txt", documents="line")
    split = corpus.splits["test"]
    text = corpus.tokenizer.decode(split.ids[: split.starts[1]])
    found = lines.judge(text)
    assert text in LINES and found.longest is not None and found.longest.length < len(text)


def test_the_seed_is_not_counted(lines: TextJudge) -> None:
    line = LINES[learned_line()]
    found = lines.judge(line, line[:10])
    assert found.length == len(line) - 10
    assert found.longest is not None and found.longest.text == line[10:]
    assert found.longest.place.details["offset"] == 10
    assert "all of it" in found.words()[0]


def test_a_line_within_a_file_is_counted_from_its_beginning() -> None:
    judge = TextJudge(prepared(write("a.txt", "\n" + verse(4000) + "the zyx is here.\n" + verse(4000, 2))))
    found = judge.judge("!the zyx is here.!").longest
    assert found is not None and found.place.source == "a.txt"
    assert found.place.details["line"] == verse(4000).count("\n") + 2


def test_of_what_was_another_format_no_line_is_told() -> None:
    page = f"<html><body><p>{verse(3000)} one zyx</p></body></html>"
    found = TextJudge(prepared(write("a.html", page), kind="text")).judge("the moon").longest
    assert found is not None and found.place.source == "a.html" and found.place.details["line"] is None


def test_of_a_row_of_a_table_the_line_is_told_on_which_it_ends() -> None:
    rows = [f'{number},"{line}"' for number, line in enumerate(LINES)]
    rows[3] = '3,"two\nlines of zyx"'
    judge = TextJudge(
        prepared(write("t.csv", "\n".join(["number,text", *rows]) + "\n"), column="text", split="100/0/0")
    )
    first, later = judge.judge("lines of zyx").longest, judge.judge(LINES[10]).longest
    assert first is not None and first.place.details["line"] == 6
    assert later is not None and later.place.details["line"] == 13


def test_an_entry_of_an_older_version_names_the_document_alone(lines: TextJudge) -> None:
    corpus = prepared("poems/lines.txt", documents="line")
    (corpus.folder / ORIGINS).unlink()
    place = TextJudge(reopened(corpus)).judge(LINES[learned_line()]).longest
    assert place is not None and str(place.place) == "document 6"
    assert place.place.to_dict() == {"document": 6, "source": None, "line": None, "offset": 0}


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"{}"])
def test_damaged_origins_name_the_document_alone(lines: TextJudge, damage: bytes) -> None:
    corpus = prepared("poems/lines.txt", documents="line")
    (corpus.folder / ORIGINS).write_bytes(damage)
    found = TextJudge(reopened(corpus)).judge(LINES[learned_line()]).longest
    assert found is not None and found.place.source is None


def test_the_passages_are_put_in_order_once_and_for_their_owner_alone(
    lines: TextJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = prepared("poems/lines.txt", documents="line")
    assert stat.S_IMODE((corpus.folder / PART).stat().st_mode) & 0o077 == 0 or os.name == "nt"

    def never(*arguments: Any) -> None:
        raise AssertionError("made again")

    with monkeypatch.context() as patch:
        patch.setattr(originality, "write_passages", never)
        assert TextJudge(corpus).judge("line").longest
    assert not corpus.fresh
    clean_cache()
    assert not (corpus.folder / PART).exists()


@pytest.mark.parametrize("name", [passages.ORDER, passages.META, originality.HELD_OUT])
def test_damaged_passages_are_made_again(lines: TextJudge, name: str) -> None:
    corpus = prepared("poems/lines.txt", documents="line")
    path = corpus.folder / PART / name
    damaged = path.read_bytes()[:7]
    path.unlink()  # the other one is mapped into memory
    path.write_bytes(damaged)
    assert TextJudge(corpus).judge(LINES[learned_line()]) == lines.judge(LINES[learned_line()])
    assert [path.name for path in cache_folder().glob(".making-*")] == []


@given(
    runs=st.lists(st.integers(0, 30), max_size=60),
    length=st.integers(0, 70),
)
def test_stretches_of_held_out_text_are_as_long_as_the_sample(runs: list[int], length: int) -> None:
    left = np.arange(len(runs), 0, -1)
    both = np.stack([np.minimum(np.array(runs, dtype=np.int64), left), left])
    known = ordinary_of(both, length)
    if not runs or not length:
        assert known is None
        return
    assert known is not None and known.length == min(length, len(runs))
    assert known.stretches == len(runs) // known.length
    assert known.longest <= known.length and known.mean <= known.longest
    if known.length == len(runs):
        assert known.longest == max(both[0])


def test_shares_of_held_out_text_leave_out_what_would_cross_a_border() -> None:
    lengths = [*range(25, 0, -1), *range(10, 0, -1)]  # two documents, both known whole; one is too short
    known = ordinary_of(np.array([lengths, lengths]), 35)
    assert known is not None and known.shares == {20: 1.0, 50: None, 200: None}


def test_held_out_text_is_as_the_training_text_or_not_at_all() -> None:
    alike = TextJudge(prepared(write("a.txt", verse(80_000)))).judge(verse(500, 9))
    assert alike.ordinary is not None and alike.ordinary.length == 500 and 15 < alike.ordinary.mean < 60
    alone = TextJudge(prepared("a.txt", split="100/0/0")).judge(verse(500, 9))
    assert alone.ordinary is None and "held-out" not in " ".join(alone.words())
    assert alone.to_dict()["held_out"] is None


def test_of_much_held_out_text_stretches_here_and_there_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(originality, "EXCERPT", 3000)
    for kind in ("bytes", "bpe"):
        judge = TextJudge(prepared(write("a.txt", verse(60_000).replace("e", "\u20ac")), tokenizer={"kind": kind}))
        assert 2000 < judge._held_out.shape[1] <= 3100


def test_an_empty_text_has_nothing_in_common(lines: TextJudge) -> None:
    found = lines.judge("")
    assert found.longest is None and found.words() == ["nothing of it stands in the training text"]
    assert found.shares == dict.fromkeys(NGRAMS)


TUNE = "C4 D4:0.5 E4:0.5 F4 G4 | A4 G4 F4:2 | E4:0.5 D4:0.5 C4:3"


def score_judge() -> ScoreJudge:
    return ScoreJudge([Learned(TUNE, Place(3, "a.abc", "The Tune"))], ["C4 D4 E4 C4 D4 E4"])


def test_a_copied_melody_is_found_in_another_key_with_its_title_and_bar() -> None:
    found = score_judge().judge("metre: 4/4\nx: C5:4 | G4 A4:0.5 B4:0.5 C5 D5 C#5", "")
    assert found.longest is not None
    assert (found.longest.length, found.longest.text) == (5, "G4 A4:0.5 B4:0.5 C5 D5")
    assert found.longest.details["bar"] == 2
    assert found.longest.place.to_dict() == {
        "document": 3, "source": "a.abc", "title": "The Tune", "part": 1, "bar": 1,
    }  # fmt: skip
    words = found.words()[0]
    assert (
        "5 notes from bar 2 on" in words
        and "\u201cThe Tune\u201d, a.abc, bar 1" in words
        and "held-out pieces" in words
    )
    assert found.ordinary is not None and found.ordinary.stretches == 1


def test_the_notes_of_a_seed_are_not_counted() -> None:
    seed = "C4 D4:0.5 E4:0.5 F4"
    found = score_judge().judge(TUNE, seed)
    assert found.longest is not None and found.longest.length == 7 and found.length == 7
    assert score_judge().judge(TUNE, "").longest.length == 11  # type: ignore[union-attr]


def test_a_copied_texture_is_told_too() -> None:
    chorale = "Upper: E4 F4 G4:2 A4 B4 C5:2\nLower: C4:2 B3 C4 F3 G3 C3:2"
    judge = ScoreJudge([Learned(chorale, Place(1))], [])
    texture = judge.judge(chorale, "").further["texture"]
    assert texture is not None and texture.length == 7 and texture.text.count("\n") == 2
    assert judge.judge("C4 D4", "").further["texture"] is None
    assert judge.judge(chorale, "").shares.keys() == {NGRAM}


@pytest.fixture
def trained(run: Run) -> str:
    write("verse.txt", verse(6000))
    assert run("train", "verse.txt", "--steps", "8", *SMALL, "-q").code == 0
    return "verse"


def test_the_command_line_says_it_on_stderr_and_in_json(run: Run, trained: str) -> None:
    result = run("sample", trained, "--seed", "the moon ", "-n", "60", "--check", "--random-seed", "1")
    plain = run("sample", trained, "--seed", "the moon ", "-n", "60", "--random-seed", "1")
    assert result.code == 0 and result.out == plain.out
    assert re.search(r"longest run that stands in the training text: \d+ characters?.* verse\.txt line \d+", result.err)
    assert "held-out text: " in result.err
    (line,) = run(
        "sample", trained, "--seed", "the moon ", "-n", "60", "--check", "--random-seed", "1", "--json"
    ).json()
    told = line["originality"]
    assert (
        told["length"] == len(line["continuation"]) and told["unit"] == "character" and "originality_note" not in line
    )
    assert told["longest"]["text"] in line["continuation"]
    assert told["longest"]["text"] in Path("verse.txt").read_text(encoding="utf-8")
    assert told["shares"].keys() == {"20", "50", "200"} == told["held_out"]["shares"].keys()
    assert "originality" not in run("sample", trained, "-n", "5", "--json").json()[0]


def test_of_many_samples_each_is_told_and_then_all(run: Run, trained: str) -> None:
    result = run("sample", trained, "-n", "30", "--count", "3", "--check", "--random-seed", "1")
    assert [f"sample {number}: longest run" in result.err for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert "3 samples: the longest run has" in result.err
    lines = run("sample", trained, "-n", "30", "--count", "3", "--check", "--random-seed", "1", "--json", "-q").json()
    assert all(line["originality"]["length"] == len(line["continuation"]) for line in lines)


@pytest.mark.parametrize("change", ["changed", "gone"])
def test_without_its_corpus_a_sample_is_there_and_says_why_it_was_not_checked(
    run: Run, trained: str, change: str
) -> None:
    clean_cache()
    write("verse.txt", verse(6000, 3)) if change == "changed" else Path("verse.txt").unlink()
    result = run("sample", trained, "-n", "20", "--check", "--count", "2", "--json")
    assert result.code == 0 and result.err.count("not checked: ") == 1
    assert [line["originality"] for line in result.json()] == [None, None]
    assert all("verse" in line["originality_note"] for line in result.json())
    same = ["sample", trained, "-n", "20", "--random-seed", "1"]
    assert run(*same, "--check").out == run(*same).out


def test_a_cache_that_cannot_be_written_is_told(run: Run, trained: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(originality, "write_passages", full)
    result = run("sample", trained, "-n", "20", "--check")
    assert result.code == 0 and "No space left" in result.err and "SEQGEN_CACHE" in result.err


def test_in_python(run: Run, trained: str) -> None:
    model: Loaded = seqgen.load("checkpoints/verse")
    learned = Path("verse.txt").read_text(encoding="utf-8")[100:200]
    found = model.check(f"{learned}\ud800")
    assert found.longest is not None and found.longest.text == learned and found.shares[50] == 51 / 52
    Path("verse.txt").unlink()
    clean_cache()
    with pytest.raises(DataError):
        seqgen.load("checkpoints/verse").check("x")


def test_replies_are_checked_by_their_characters(run: Run) -> None:
    rows = [f"what is number {number}?,it is {number * 7919 % 1000} of course" for number in range(80)]
    write("pairs.csv", "\n".join(["message,reply", *rows]))
    tiny = ["--kind", "replies", "--set", "model.hidden=8", "--set", "training.dtype=float32", "--threads", "1"]
    assert run("train", "pairs.csv", "--steps", "4", "--name", "r", *tiny, "-q").code == 0
    (line,) = run("sample", "r", "--seed", "what is number 4?", "-n", "5", "--check", "--json", "-q").json()
    assert line["originality"]["length"] == len(line["continuation"])
    assert line["originality"]["longest"] is None or line["originality"]["longest"]["source"]["source"] == "pairs.csv"
