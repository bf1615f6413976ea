"""Music from a folder of files to samples, as a user of the command line sees it."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import sys
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
import torch

import seqgen
from seqgen.checkpoint import Checkpoint
from seqgen.cli import main as program
from seqgen.evaluation import nats_of
from seqgen.runs import reopen_corpus
from seqgen.scores.notation import parse, write
from seqgen.scores.piece import TICKS, Piece, Tempo
from seqgen.scores.writing import write_piece
from tests.commands import SMALL, Result, Run
from tests.corpora import write as write_file
from tests.interrupts import CtrlC
from tests.pieces import bare, chorale, corpus

TRAIN = ["--steps", "12", "--name", "it", "--set", "corpus.split=60/20/20", *SMALL]
PIECES = corpus()


def suffix_of(number: int) -> str:
    """Most are texts, which are read fast."""
    return {3: ".mid", 7: ".musicxml"}.get(number % 10, ".notes")


def fill(folder: str) -> None:
    """Thirty little chorales, a file that is empty, and one that is cut short."""
    for number, piece in enumerate(PIECES):
        write_file(f"{folder}/{number:02}{suffix_of(number)}", write_piece(piece, suffix_of(number)))
    write_file(f"{folder}/empty.mid", b"")
    write_file(f"{folder}/cut.mid", write_piece(PIECES[0], ".mid")[:60])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder where a tiny model was trained, and what was said."""
    folder, said = tmp_path_factory.mktemp("music"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        patch.chdir(folder)
        patch.setenv("SEQGEN_CACHE", str(folder / "cache"))
        patch.setattr(sys, "argv", ["seqgen", "train", "c", *TRAIN])
        fill("c")
        assert program._run() == 0, said.getvalue()
    return folder, said.getvalue()


@pytest.fixture
def model(trained: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The trained model; its corpus is in the cache."""
    monkeypatch.setenv("SEQGEN_CACHE", str(trained[0] / "cache"))
    return str(trained[0] / "checkpoints" / "it")


@pytest.fixture(scope="module")
def of_text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny model of text."""
    folder = tmp_path_factory.mktemp("text")
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        patch.chdir(folder)
        patch.setenv("SEQGEN_CACHE", str(folder / "cache"))
        patch.setattr(sys, "argv", ["seqgen", "train", "a.txt", "--steps", "2", "--name", "it", *SMALL])
        write_file("a.txt", "some words of text\n" * 40)
        assert program._run() == 0
    return str(folder / "checkpoints" / "it")


def sampled(run: Run, model: str, *options: str) -> Piece:
    """The piece of a sample, as it is printed."""
    result = run("sample", model, "--random-seed", "1", *options)
    assert result.code == 0, result.err
    return parse(result.out)


def refused(result: Result, code: int, *words: str) -> None:
    """One reason, in words, and nothing written."""
    assert (result.code, result.out) == (code, ""), (result.code, result.err)
    assert "Traceback" not in result.err
    assert all(word in result.err for word in words), result.err


# Training, figures


def test_files_of_all_forms_in_a_folder_are_one_corpus(trained: tuple[Path, str]) -> None:
    notes = sum(piece.notes for piece in PIECES)
    assert f"music, {notes:,} notes in 30 pieces, as voices, split 60/20/20 by document, 2 left out" in " ".join(
        trained[1].split()
    )
    assert "nats per note on validation music" in " ".join(trained[1].split())


def test_all_forms_say_the_same_of_a_piece(model: str) -> None:
    splits = reopen_corpus(seqgen.load(model).checkpoint).splits
    decode = seqgen.load(model).tokenizer.decode
    found = [bare(parse(decode(part))) for split in splits.values() for part in np.split(split.ids, split.starts)[1:]]
    assert [number for number, piece in enumerate(PIECES) if bare(piece) not in found] == []


def test_stats_count_and_name_what_was_left_out(run: Run, model: str, trained: tuple[Path, str]) -> None:
    (line,) = run("corpus", "stats", str(trained[0] / "c"), "--json").json()
    notes = sum(piece.notes for piece in PIECES)
    assert (line["kind"], line["tokenizer"], line["documents"]) == ("music", "voices", 30)
    assert line["notes"] == notes
    assert line["document_notes"]["mean"] == pytest.approx(notes / 30)
    assert line["splits"]["train"]["notes"] > notes  # in many keys
    left_out = {Path(name).name: reason for reason, names in line["left_out"].items() for name in names}
    assert {*left_out} == {"empty.mid", "cut.mid"}
    assert "empty" in left_out["empty.mid"] and "cut short" in left_out["cut.mid"]
    table = run("corpus", "stats", str(trained[0] / "c")).out
    assert "cut.mid" in table and "empty.mid" in table


def test_nats_are_told_for_each_note_and_for_each_frame(run: Run, model: str) -> None:
    (line,) = run("eval", model, "--json").json()
    loaded = seqgen.load(model)
    split = reopen_corpus(loaded.checkpoint).splits["test"]
    nats = nats_of(loaded.model, torch.from_numpy(np.array(split.ids, dtype=np.int64))).double().numpy()
    pieces = [parse(loaded.tokenizer.decode(part)) for part in np.split(split.ids, split.starts)[1:]]
    notes, frames, later, first = sum(piece.notes for piece in pieces), 0, 0.0, 0
    for piece, part in zip(pieces, np.split(split.ids, split.starts)[1:], strict=True):
        words = loaded.tokenizer.words_of(part)  # type: ignore[attr-defined]
        header = next(place for place, word in enumerate(words, 1) if word.startswith("2 "))  # and the first step
        frames += piece.end // (TICKS // 4)
        later += nats[first + header : first + len(words) + 1].sum()
        first += len(words) + 1
    assert (line["split"], line["notes"], line["unit"]) == ("test", notes, "nats_per_note")
    assert line["nats_per_note"] == pytest.approx(nats.sum() / notes, rel=1e-4)
    assert line["frames"] == frames
    assert line["nats_per_frame"] == pytest.approx(nats.sum() / frames, rel=1e-4)
    assert line["nats_per_frame_from_second"] == pytest.approx(later / (frames - len(pieces)), rel=1e-4)
    assert line["characters"] is None and line["bits_per_character"] is None
    table = run("eval", model).out
    assert "nats per note" in table and f"{line['nats_per_note']:.3f}" in table and "notes" in table


def test_other_music_is_evaluated_and_what_it_lacks_is_no_failure(run: Run, model: str) -> None:
    odd = parse("key: F# minor\nmetre: 5/4\nS: C6:5\nA: C2:5\nT: C4:0.5 r:0.5 D4:4\nB: C1:5")
    write_file("other/a.notes", write(odd))
    write_file("other/b.mid", write_piece(chorale(77), ".mid"))
    (line,) = run("eval", model, "other", "--json").json()
    assert line["notes"] == odd.notes + chorale(77).notes


def test_the_model_says_that_it_is_of_music(run: Run, model: str) -> None:
    told = run("info", model)
    assert told.code == 0 and "music" in told.out and "nats per note" in told.out + told.err


def test_pieces_are_learned_while_they_are_measured_and_before_one_is_written(run: Run, model: str) -> None:
    write_file("mine.mid", write_piece(chorale(77, bars=8), ".mid"))
    (line,) = run("eval", model, "mine.mid", "--dynamic", "--json").json()
    assert line["nats_per_note_dynamic"] < line["nats_per_note"]
    command = ["sample", model, "--bars", "2", "--random-seed", "3", "--json"]
    adapted = run(*command, "--adapt", "mine.mid")
    (still,), (line,) = run(*command).json(), adapted.json()
    assert f"learned from mine.mid: {chorale(77, bars=8).notes} notes" in adapted.err
    assert line["settings"]["adapt"] == "mine.mid" and line["notes"] != still["notes"] and parse(line["notes"]).notes
    write_file("cut.mid", write_piece(PIECES[0], ".mid")[:60])
    assert "cut.mid" in run(*command, "--adapt", "cut.mid").refusal()


# Seeds


@pytest.mark.parametrize(
    ("seed", "start"),
    [("C5 D5:0.5 r:0.5 E5:2", [(0, 480, 72), (480, 240, 74), (960, 960, 76)]), ("r:2 C5", [(960, 480, 72)]),
     ("72 74:0.5", [(0, 480, 72), (480, 240, 74)]),
     ("tinynotation: 4/4 c'4 d'8 r8 e'2", [(0, 480, 72), (480, 240, 74), (960, 960, 76)]),
     ("metre: 3/4\npickup: 1\nSoprano: C5 | D5 E5", [(0, 480, 72), (480, 480, 74), (960, 480, 76)])],
)  # fmt: skip
def test_a_melody_is_harmonised_and_continued(
    run: Run, model: str, seed: str, start: list[tuple[int, int, int]]
) -> None:
    piece = sampled(run, model, "--seed", seed, "--bars", "2")
    melody, *others = bare(piece)
    assert melody[: len(start) - 1] == start[:-1]
    assert (melody[len(start) - 1][0], melody[len(start) - 1][2]) == (start[-1][0], start[-1][2])
    assert len(others) == 3 and all(others)


def test_a_chord_is_a_seed(run: Run, model: str) -> None:
    piece = sampled(run, model, "--seed", "C5+G4+E4+C3:2", "--bars", "1")
    assert [part.notes[0].pitch for part in piece.parts] == [72, 67, 64, 48]
    assert all(part.notes[0].duration >= 2 * TICKS for part in piece.parts)


@pytest.mark.parametrize("suffix", [".mid", ".musicxml", ".notes"])
def test_the_first_bars_of_a_file_are_a_seed(run: Run, model: str, suffix: str) -> None:
    seed = chorale(1, bars=4)
    write_file(f"seed{suffix}", write_piece(seed, suffix))
    piece = sampled(run, model, "--seed-file", f"seed{suffix}", "--seed-bars", "2", "--bars", "4")
    end = 2 * seed.metres[0].bar
    for mine, theirs in zip(piece.parts, seed.parts, strict=True):
        assert [note[:3:2] for note in mine.notes if note.start < end] == [
            note[:3:2] for note in theirs.notes if note.start < end
        ]
    assert (piece.keys, piece.metres) == (seed.keys, seed.metres)
    assert piece.end > end


def test_what_goes_to_standard_output_is_a_seed_again(run: Run, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run("sample", model, "--bars", "2", "--random-seed", "3").out
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(first.encode())))
    second = sampled(run, model, "--seed-file", "-", "--bars", "4")
    for before, after in zip(parse(first).parts, second.parts, strict=True):
        assert [(note.start, note.pitch) for note in before.notes] == [
            (note.start, note.pitch) for note in after.notes
        ][: len(before.notes)]
    assert parse(run("sample", model, "--seed", first, "--bars", "4", "--random-seed", "1").out).keys == second.keys


# What is wanted


@pytest.mark.parametrize("bars", [1, 3, 18])
def test_there_are_as_many_bars_as_are_wanted(run: Run, model: str, bars: int) -> None:
    (line,) = run("sample", model, "--bars", str(bars), "--random-seed", "2", "--json").json()
    piece = parse(line["notes"])
    assert len([*piece.bars()]) - (piece.pickup > 0) == line["bars"] == bars
    assert line["stopped_by"] == "bars"


def test_a_length_is_in_notes(run: Run, model: str) -> None:
    (line,) = run("sample", model, "-n", "20", "--random-seed", "2", "--json").json()
    assert 17 <= parse(line["notes"]).notes < 24
    assert line["stopped_by"] in ("length", "document")


def test_key_metre_and_range_are_kept(run: Run, model: str) -> None:
    for key, metre in itertools.product(("D minor", "Ab"), ("3/4", "4/4")):
        (line,) = run(
            "sample", model, "--key", key, "--metre", metre, "--range", "B2-E4", "--bars", "2", "--json"
        ).json()
        assert (line["key"], line["metre"]) == ({"Ab": "Ab major"}.get(key, key), metre)
        pitches = {note.pitch for part in parse(line["notes"]).parts for note in part.notes}
        assert 47 <= min(pitches) <= max(pitches) <= 64


def test_a_sample_says_all_about_itself(run: Run, model: str) -> None:
    (line,) = run("sample", model, "--seed", "C5 D5", "--bars", "2", "--random-seed", "5", "--json").json()
    assert {
        "index",
        "seed",
        "notes",
        "key",
        "metre",
        "bars",
        "files",
        "symbols",
        "seconds",
        "random_seed",
        "stopped_by",
    } <= {*line}
    assert (line["index"], line["seed"], line["random_seed"], line["files"]) == (0, "C5 D5", 5, [])
    assert "text" not in line and "continuation" not in line


def test_a_random_seed_repeats_a_sample(run: Run, model: str) -> None:
    first, second, other = (
        run("sample", model, "--bars", "2", "--random-seed", number).out for number in ("7", "7", "8")
    )
    assert first == second != other


def test_a_picture_is_shown_beside_the_notes(run: Run, model: str) -> None:
    result = run("sample", model, "--bars", "2", "--random-seed", "1")
    assert parse(result.out).notes
    assert "S Soprano" in result.err and "│" in result.err and "│" not in result.out


# Files


def test_several_files_are_written_of_one_sample(run: Run, model: str) -> None:
    names = [f"p{suffix}" for suffix in (".mid", ".musicxml", ".png", ".notes")]
    outputs = [part for name in names for part in ("-o", name)]
    wanted = ["--bars", "2", "--metre", "4/4", "--random-seed", "1"]
    result = run("sample", model, *outputs, *wanted, "--tempo", "88", "--program", "52", "--transpose", "-2")
    assert (result.code, result.out) == (0, "")
    assert all(name in result.err for name in names)
    heads = [Path(name).read_bytes()[:8] for name in names]
    assert heads[0][:4] == b"MThd" and heads[1][:5] == b"<?xml" and heads[2] == b"\x89PNG\r\n\x1a\n"
    written = parse(Path("p.notes").read_text())
    plain = sampled(run, model, *wanted)
    assert bare(written) == bare(plain.transposed(-2)) and written.keys == plain.transposed(-2).keys
    assert written.tempos == (Tempo(0, 88.0),)
    assert {part.program for part in written.parts} == {52}
    assert Path("p.mid").read_bytes() == write_piece(written, ".mid")
    again = sampled(run, model, "--seed-file", "p.mid", "--seed-bars", "1", "--bars", "1")
    assert [note.pitch for note in again.parts[0].notes] == [
        note.pitch for note in written.parts[0].notes if note.start < written.pickup + written.metres[0].bar
    ]


def test_several_samples_are_numbered(run: Run, model: str) -> None:
    result = run("sample", model, "--count", "3", "-o", "p.mid", "-o", "p.notes", "--bars", "1", "--json")
    lines = result.json()
    assert [line["files"] for line in lines] == [[f"p-0{n}.mid", f"p-0{n}.notes"] for n in (1, 2, 3)]
    assert sorted(path.name for path in Path().glob("p-*")) == [
        f"p-0{n}.{ending}" for n in (1, 2, 3) for ending in ("mid", "notes")
    ]
    assert [parse(Path(f"p-0{n}.notes").read_text()) for n in (1, 2, 3)] == [parse(line["notes"]) for line in lines]
    assert len({line["notes"] for line in lines}) == 3


def test_several_samples_on_the_screen_are_pieces_with_a_blank_line_between_them(run: Run, model: str) -> None:
    result = run("sample", model, "--count", "2", "--bars", "1", "-q")
    texts = [text for text in result.out.split("\n\n") if text.strip()]
    assert len(texts) == 2 and all(parse(text).notes for text in texts)


@pytest.mark.parametrize(
    ("file_format", "head"), [("mid", b"MThd"), ("musicxml", b"<?xml"), ("png", b"\x89PNG"), ("notes", b"")]
)
def test_a_file_goes_to_standard_output(
    model: str, monkeypatch: pytest.MonkeyPatch, file_format: str, head: bytes
) -> None:
    data = io.BytesIO()
    out = io.TextIOWrapper(data, encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(
        sys,
        "argv",
        ["seqgen", "sample", model, "--bars", "1", "-o", "-", "--format", file_format, "--random-seed", "1"],
    )
    assert program._run() == 0
    assert data.getvalue().startswith(head)
    assert file_format != "notes" or parse(data.getvalue().decode()).notes


def test_an_existing_file_is_kept(run: Run, model: str) -> None:
    write_file("p.mid", b"mine")
    refused(run("sample", model, "-o", "p.mid"), 2, "p.mid")
    assert Path("p.mid").read_bytes() == b"mine"
    assert run("sample", model, "-o", "p.mid", "--force", "--bars", "1").code == 0
    assert Path("p.mid").read_bytes()[:4] == b"MThd"


# Bad input


@pytest.mark.parametrize(
    ("options", "code", "word"),
    [
        (["--seed", "H9"], 3, "'H9'"),
        (["--seed", "C4 C4:-1"], 3, "item 2, 'C4:-1'"),
        (["--seed", "tinynotation: 4/4 xyz!"], 3, "xyz"),
        (["--seed", "C9"], 2, "C9 (MIDI 120)"),
        (["--seed", "C5\nC4\nC4\nC5"], 2, "Bass"),
        (["--seed", "C5+D5+E5+F5+G5"], 2, "4 voices"),
        (["--seed", "key: H\nC5"], 3, "'H' is not a key"),
        (["--seed", "metre: 11/8\nC5"], 2, "11/8"),
        (["--key", "H minor"], 2, "'H minor' is not a key"),
        (["--metre", "waltz"], 2, "'waltz' is not a metre"),
        (["--metre", "7/8"], 2, "It knows: 3/4, 4/4"),
        (["--range", "C8-C9"], 2, "leaves no pitch"),
        (["--range", "C4"], 2, "'C4'"),
        (["--range", "C5-C4"], 2, "'C5-C4'"),
        (["--bars", "0"], 2, "--bars"),
        (["--bars", "x"], 2, "--bars"),
        (["--seed", "C5", "--seed-bars", "0"], 2, "--seed-bars"),
        (["-n", "-1"], 2, "-n"),
        (["--tempo", "0"], 2, "--tempo"),
        (["--program", "128"], 2, "--program"),
        (["--stop", "x"], 2, "--stop"),
        (["-o", "p.pdf"], 2, ".pdf"),
        (["-o", "p"], 2, "without an ending"),
        (["--format", "mid"], 2, "--format"),
        (["-o", "-", "--format", "pdf"], 2, "pdf"),
        (["-o", "p.mid", "--transpose", "100", "--bars", "1"], 2, "--transpose"),
        (["-o", "p.abc", "--bars", "1"], 3, "voice"),
        (["--tempo", "90"], 2, "-o piece.mid"),
        (["--transpose", "2"], 2, "-o piece.mid"),
        (["-o", "p.mid", "--soundfont", "f.sf2"], 2, "piece.wav"),
        (["--seed-bars", "2"], 2, "--seed-bars"),
        (["--seed-file", "none.mid"], 3, "none.mid"),
        (["--seed-file", "none.mid", "--seed", "C4"], 2, "--seed"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_what_cannot_be_sampled_is_refused(run: Run, model: str, options: list[str], code: int, word: str) -> None:
    refused(run("sample", model, *options), code, word)
    assert not [*Path().glob("p*")]


@pytest.mark.parametrize("data", [b"", b"MThd\0\0\0\6", b"\xff\xfe"], ids=["empty", "cut", "no music"])
def test_a_seed_file_that_is_no_music_is_refused(run: Run, model: str, data: bytes) -> None:
    write_file("seed.mid", data)
    refused(run("sample", model, "--seed-file", "seed.mid", "--bars", "1"), 3, "seed.mid")


@pytest.mark.parametrize(
    "options",
    [["--bars", "2"], ["--key", "C"], ["--metre", "3/4"], ["--range", "C3-C4"], ["--seed-bars", "1"],
     ["-o", "a", "--tempo", "90"],
     ["-o", "a", "--program", "1"], ["-o", "a", "--transpose", "1"]],
    ids=lambda value: value[-2],
)  # fmt: skip
def test_a_model_of_text_has_no_use_for_what_music_has(run: Run, of_text: str, options: list[str]) -> None:
    refused(run("sample", of_text, "-n", "5", *options), 2)
    assert not Path("a").exists()


@pytest.mark.parametrize(
    ("name", "data"), [("empty.mid", b""), ("cut.mid", b"MThd\0\0\0\6\0\1"), ("x.musicxml", b"<x"), ("h.notes", b"H9")]
)
def test_a_file_that_is_named_alone_is_refused(run: Run, name: str, data: bytes) -> None:
    write_file(name, data)
    for command in (["corpus", "stats"], ["train"]):
        result = run(*command, name, *(TRAIN if command == ["train"] else []))
        refused(result, 3, name)


def test_a_folder_without_music_is_no_corpus_of_music(run: Run) -> None:
    write_file("c/a.txt", "words\n" * 40)
    refused(run("train", "c", "--kind", "music", *TRAIN), 3)
    Path("empty").mkdir()
    refused(run("train", "empty", "--kind", "music", *TRAIN), 3)


def test_a_folder_of_broken_music_alone_is_refused(run: Run) -> None:
    write_file("c/a.mid", b"")
    write_file("c/b.notes", "H9\n")
    refused(run("train", "c", *TRAIN), 3)


def test_settings_of_music_must_make_sense(run: Run) -> None:
    write_file("a.notes", "\n".join(map(write, PIECES[:3])))
    refused(run("train", "a.notes", *TRAIN, "--set", "tokenizer.grid=7"), 2, "grid")
    refused(run("train", "a.notes", *TRAIN, "--set", "tokenizer.voices=0"), 2, "voices")
    refused(run("train", "a.notes", *TRAIN, "--tokenizer", "characters"), 2, "characters does not read music")
    refused(run("train", "a.notes", *TRAIN[:-2], "--set", "corpus.split=folders"), 3, "train, valid or test")


def test_json_of_a_sample_is_one_line_each(run: Run, model: str) -> None:
    out = run("sample", model, "--count", "2", "--bars", "1", "--json").out
    assert [json.loads(line)["index"] for line in out.splitlines()] == [0, 1]


def test_frames_are_trained_and_sampled_too(run: Run) -> None:
    write_file("c.notes", "\n".join(map(write, PIECES)))
    assert run("train", "c.notes", "--tokenizer", "frames", *TRAIN).code == 0
    piece = sampled(run, "it", "--seed", "C4+E4+G4:2", "--bars", "2", "--range", "C3-C5")
    assert {note.pitch for note in piece.parts[0].notes if note.start == 0} == {60, 64, 67}
    assert piece.end <= 8 * TICKS
    (line,) = run("eval", "it", "--json").json()
    assert line["frames"] > 0 and line["nats_per_frame"] == pytest.approx(
        line["nats_per_symbol"] * line["symbols"] / line["frames"]
    )
    refused(run("sample", "it", "--key", "C"), 2, "--key")


def test_where_one_of_several_files_cannot_be_made_none_is_written(run: Run, model: str) -> None:
    result = run("sample", model, "--bars", "1", "-o", "p.mid", "-o", "p.abc")
    assert result.code == 3
    assert "voice" in result.err
    assert not Path("p.mid").exists() and not Path("p.abc").exists()


def test_an_error_in_a_seed_says_where_it_stands(run: Run, model: str) -> None:
    write_file("letter.txt", "C4 D4\ndear diary\n")
    assert "letter.txt: line 2: item 1" in run("sample", model, "--seed-file", "letter.txt").err
    assert "seed: line 1: item 2" in run("sample", model, "--seed", "C4 H9").err


@pytest.mark.parametrize("stop_after", [1, 7])
def test_an_interrupted_and_resumed_training_of_voices_ends_with_the_same_weights(model: str, stop_after: int) -> None:
    fill("c")
    # Of two arithmetics the faster one would be measured for each of the trainings, which on a busy machine may differ.
    settings: dict[str, dict[str, Any]] = {
        "model": {"hidden": 16, "embedding": 16},
        "training": {"lanes": 4, "window": 16, "dtype": "float32"},
    }
    whole = seqgen.train("c", steps=12, name="whole", threads=2, settings=settings)
    stopped = seqgen.train("c", steps=12, name="stopped", threads=2, settings=settings, progress=CtrlC(stop_after))
    assert not stopped.finished
    resumed = seqgen.train(name="stopped", resume=True)
    first, second = (Checkpoint(each.checkpoint).training_state().tensors for each in (whole, resumed))
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert {"hidden/registers.0", "model/experts.progressions"} <= first.keys()


def test_a_piece_is_checked_by_its_melodies(model: str, run: Run) -> None:
    (line,) = run("sample", model, "--bars", "4", "--check", "--json", "--random-seed", "2", "-q").json()
    told = line["originality"]
    assert told["unit"] == "note" and told["held_out"]["stretches"] > 0 and "8" in told["shares"]
    if told["longest"]:
        assert told["longest"]["source"]["source"].startswith("c/") and told["longest"]["source"]["bar"] >= 0


def test_a_training_piece_is_found_with_its_title(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, piece in enumerate(PIECES[:12]):
        write_file(f"p/{number:02}.notes", f"title: Number {number}\n{write(piece)}")
    assert run("train", "p", *TRAIN, "-q").code == 0
    corpus = reopen_corpus(Checkpoint(Path("checkpoints/it")))
    split = corpus.splits["train"]
    text = corpus.tokenizer.decode(split.ids[split.starts[0] : split.starts[1]])
    found = seqgen.load("checkpoints/it").check(text).longest
    assert found is not None and found.place.title.startswith("Number ") and found.place.source is not None
    assert PurePath(found.place.source).stem == f"{int(found.place.title.split()[1]):02}"
