"""The command line, driven end to end: results on stdout, words on stderr, exit codes, and errors that help."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seqgen import __version__
from seqgen.cli import main as program
from tests.commands import SMALL, Run, spawn
from tests.texts import verse

TRAIN = ["train", "verse.txt", "--steps", "64", *SMALL]


@pytest.fixture(autouse=True)
def _a_corpus() -> None:
    Path("verse.txt").write_text(verse(6000), encoding="utf-8")


@pytest.fixture
def trained(run: Run) -> str:
    result = run(*TRAIN, "-q")
    assert (result.code, result.out, result.err) == (0, "checkpoints/verse\n", "")
    return "verse"


def test_a_training_says_what_it_chose_how_it_went_and_what_to_type_next(run: Run) -> None:
    result = run(*TRAIN)
    assert result.code == 0 and result.out == "checkpoints/verse\n"
    for words in (
        "1 document",
        "2 layers of 12",
        "bits per character on validation text",
        "unigram",
        "10-gram",
        "seqgen sample verse",
    ):
        assert words in result.err
    assert {path.name for path in Path("checkpoints/verse").iterdir()} >= {
        "checkpoint.json",
        "metrics.jsonl",
        "loss.png",
    }


def test_train_json_prints_looks_and_then_the_result(run: Run) -> None:
    lines = run(*TRAIN, "--json", "-q").json()
    assert [line["step"] for line in lines[:-1]][-1] == 64
    last = lines[-1]
    assert last["checkpoint"] == "checkpoints/verse" and last["steps"] == 64
    assert {"seconds", "symbols_per_second", "recipe"} <= last.keys()
    assert {"nats_per_symbol", "bits_per_character"} <= last["valid"].keys()


def test_a_sample_grows_from_its_seed_on_stdout(run: Run, trained: str) -> None:
    result = run("sample", trained, "--seed", "the moon ", "-n", "20", "--random-seed", "4", "-t", "0.3")
    assert result.out.startswith("the moon ") and len(result.out) == len("the moon ") + 20 + 1
    assert "random seed 4" in result.err
    assert (
        run("sample", trained, "--seed", "the moon ", "-n", "20", "--random-seed", "4", "-t", "0.3", "-q").out
        == result.out
    )


def test_sample_json_has_the_settled_names(run: Run, trained: str) -> None:
    lines = run("sample", trained, "--seed", "a", "-n", "5", "--count", "3", "--json", "-t", "0.5", "-q").json()
    assert [line["index"] for line in lines] == [0, 1, 2]
    names = {"index", "seed", "text", "files", "symbols", "seconds", "stopped_by", "random_seed", "path", "settings"}
    assert all(names <= line.keys() and line["path"] in ("native", "tile") for line in lines)
    assert lines[0]["settings"]["temperature"] == 0.5


def test_samples_go_to_files_and_existing_ones_are_kept(run: Run, trained: str) -> None:
    command = ["sample", trained, "-n", "9", "--count", "2", "--random-seed", "3", "-o", "s.txt", "-q"]
    assert run(*command).out == ""
    line = run("sample", trained, "-n", "9", "--count", "2", "--random-seed", "3", "--json", "-q").json()[1]
    assert Path("s-02.txt").read_text(encoding="utf-8") == line["text"]
    again = run(*command)
    assert again.code == 2 and "--force" in again.err
    assert run(*command, "--force").code == 0


def test_a_seed_file_loses_one_final_newline(run: Run, trained: str) -> None:
    Path("seed.txt").write_text("the moon\n\n", encoding="utf-8")
    line = run("sample", trained, "--seed-file", "seed.txt", "-n", "3", "--json", "-q").json()[0]
    assert line["seed"] == "the moon\n"
    assert run("sample", trained, "--seed-file", "seed.txt", "--seed", "x").code == 2


def test_a_seed_of_digits_gets_a_hint_and_unknown_characters_a_warning(run: Run, trained: str) -> None:
    assert "--random-seed" in run("sample", trained, "--seed", "42", "-n", "3").err
    result = run("sample", trained, "--seed", "\N{SNOWMAN}", "-n", "3")
    assert result.code == 0 and "U+2603" in result.err


def test_control_characters_do_not_reach_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from seqgen.cli.common import shown

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert shown("a\x1b[2Jb\n\tc\x9b") == "a\\x1b[2Jb\n\tc\\x9b"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert shown("a\x1b") == "a\x1b"


def test_control_characters_of_an_error_are_shown(run: Run) -> None:
    result = run("train", "\x1b[2J.txt")
    assert result.code == 3 and "\\x1b[2J.txt" in result.err and "\x1b" not in result.err


def test_a_live_line_shows_control_characters_and_no_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from seqgen.cli.display import display_for
    from seqgen.progress import Progress

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with display_for(as_json=False, quiet=False, tensorboard=False) as tell:
        tell(Progress("prepared", message="a\x1b]0;owned\x07[/x] :smile:"))
    assert "a\\x1b]0;owned\\x07[/x] :smile:" in capsys.readouterr().err


def test_eval_prints_the_model_beside_baselines(run: Run, trained: str) -> None:
    line = run("eval", trained, "--json").json()[0]
    names = {
        "split",
        "symbols",
        "characters",
        "nats_per_symbol",
        "bits_per_character",
        "perplexity",
        "unit",
        "baselines",
    }
    assert names <= line.keys() and line["split"] == "test"
    assert list(line["baselines"]) == ["unigram", "10-gram", "xz -9"]
    assert run("eval", trained, "--split", "valid", "--json").json()[0]["split"] == "valid"
    table = run("eval", trained).out
    assert f"{line['bits_per_character']:.3f}" in table and "this model" in table
    assert all(f"{name} " in table and f"{bits:.3f}" in table for name, bits in line["baselines"].items())


def test_eval_agrees_with_what_training_said(run: Run) -> None:
    said = run(*TRAIN, "--json", "-q").json()[-1]["valid"]
    line = run("eval", "verse", "--split", "valid", "--json").json()[0]
    assert line["nats_per_symbol"] == pytest.approx(said["nats_per_symbol"], rel=1e-6)
    assert {name: bits for name, bits in line["baselines"].items() if name != "xz -9"} == said["baselines"]


def test_eval_reads_another_text(run: Run, trained: str) -> None:
    Path("other.txt").write_text(verse(900, seed=4), encoding="utf-8")
    line = run("eval", trained, "other.txt", "--json").json()[0]
    assert line["characters"] == 900 and list(line["baselines"]) == ["unigram", "10-gram", "xz -9"]
    assert run("eval", trained, "other.txt", "--split", "test").code == 2


@pytest.mark.parametrize("name", ["[/b].txt", "[bold].txt", ":smile:.txt"])
def test_names_that_look_like_markup_are_text(run: Run, trained: str, name: str) -> None:
    Path("checkpoints", trained).rename(Path("checkpoints", "[b]mine"))
    assert "[b]mine" in run("list").out
    Path(name.replace("/", "")).write_text(verse(900, seed=4), encoding="utf-8")
    result = run("eval", "[b]mine", name.replace("/", ""))
    assert result.code == 0 and f"[b]mine on {name.replace('/', '')}" in " ".join(result.out.split())


def test_info_prints_a_recipe_that_train_takes(run: Run, trained: str) -> None:
    Path("mine.toml").write_text(run("info", trained).out, encoding="utf-8")
    assert run("train", "--recipe", "mine.toml", "-q").out == "checkpoints/verse-2\n"
    line = run("info", trained, "--json").json()[0]
    assert {"format", "kind", "tokenizer", "parameters", "recipe", "metrics", "files"} <= line.keys()


def test_list_shows_checkpoints_and_says_so_where_there_are_none(run: Run) -> None:
    assert "no checkpoints" in run("list").err
    run(*TRAIN, "-q")
    assert "verse" in run("list").out
    assert run("list", "--json").json()[0]["name"] == "verse"


def test_corpus_verbs(run: Run) -> None:
    cards = run("corpus", "list").out
    assert "python" in cards and "manual" in cards
    assert "PSF-2.0" in run("corpus", "show", "manual").out
    line = run("corpus", "stats", "verse.txt", "--json").json()[0]
    assert line["characters"] == 6000 and line["splits"]["train"]["characters"] == 5400
    assert "1 prepared corpora removed" in run("corpus", "clean").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(run: Run, shell: str) -> None:
    assert "_SEQGEN_COMPLETE" in run("completion", shell).out


def test_help_and_version(run: Run) -> None:
    assert run("--version").out == f"seqgen, version {__version__}\n"
    for verb in program.VERBS:
        assert run(verb, "-h").out.startswith("Usage:")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train"], 2, "no corpus"),
        (["train", "missing.txt"], 3, "missing.txt"),
        (["train", "empty.txt"], 3, "no text"),
        (["train", "binary.bin"], 3, "byte"),
        (["train", "latin.txt"], 3, "--encoding"),
        (["train", "verse.txt", "--time", "soon"], 2, "duration"),
        (["train", "verse.txt", "--time", "3m", "--steps", "5"], 2, "contradict"),
        (["train", "verse.txt", "--set", "model.hiden=3"], 2, "model.hidden"),
        (["train", "verse.txt", "--seed", "3"], 2, "--random-seed"),
        (["train", "verse.txt", "--cell", "elman"], 2, "lstm, gru, rnn"),
        (["train", "verse.txt", "--kind", "poem"], 2, "text"),
        (["train", "verse.txt", "--tokenizer", "words"], 2, "characters"),
        (["train", "verse.txt", "--device", "abacus"], 2, "cpu"),
        (["train", "verse.txt", "--resume"], 4, "--name"),
        (["train", "verse.txt", "--name", "../up"], 2, "--out"),
        (["train", "verse.txt", "--name", "a", "--out", "b"], 2, "contradict"),
        (["train", "verse.txt", "--out", "empty.txt", "--steps", "2"], 4, "file"),
        (["train", "verse.txt", "--set", "training.device=cuda", "--steps", "2"], 2, "cpu"),
        (["train", "verse.txt", "--recipe", "nothing.toml"], 2, "nothing.toml"),
        (["sample", "nobody"], 4, "nobody"),
        (["eval", "nobody"], 4, "nobody"),
        (["info", "."], 4, "checkpoint.json"),
        (["corpus", "show", "nothing"], 3, "python"),
        (["frobnicate"], 2, "frobnicate"),
    ],
)
def test_bad_input_gets_an_exit_code_and_a_word_of_help(run: Run, arguments: list[str], code: int, words: str) -> None:
    Path("empty.txt").touch()
    Path("binary.bin").write_bytes(b"\x7fELF\0\0")
    Path("latin.txt").write_bytes("caf\u00e9".encode("latin-1") * 50)
    result = run(*arguments)
    assert result.code == code
    assert words in result.err and "Traceback" not in result.err
    assert result.out == ""
    assert not any(Path("checkpoints").glob("*"))


@pytest.mark.parametrize(
    "options", [["-t", "-1"], ["--top-p", "1.5"], ["--top-p", "0"], ["--top-k", "0"], ["-n", "-3"]]
)
def test_bad_sample_options_are_refused(run: Run, trained: str, options: list[str]) -> None:
    result = run("sample", trained, *options)
    assert result.code == 2 and result.out == ""


def test_an_unexpected_error_says_where_and_only_with_debug_what_it_quotes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no \x1b[2J number: 'Dear Zenobia'")

    monkeypatch.setattr("seqgen.cards.card_names", broken)
    result = run("corpus", "list")
    assert result.code == 1 and "Traceback" not in result.err and "Zenobia" not in result.err
    assert re.search(r"internal error: RuntimeError, raised in seqgen/cli/corpus\.py, line \d+\n", result.err)
    told = run("corpus", "list", "--debug")
    assert told.code == 1 and "Traceback" in told.err and "no \\x1b[2J number: 'Dear Zenobia'" in told.err
    assert "\x1b" not in told.err


def test_standard_input_is_a_corpus() -> None:
    with spawn("train", "-", "--name", "piped", "--steps", "3", "-q", *SMALL, stdin=subprocess.PIPE) as process:
        out, err = process.communicate(verse(4000).encode())
    assert (process.returncode, out, err) == (0, b"checkpoints/piped\n", b"")


def test_a_reader_that_goes_away_ends_the_sample_quietly(trained: str) -> None:
    with spawn("sample", trained, "-n", "200000", "-q") as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read(5)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_ctrl_c_keeps_the_work_and_exits_with_130() -> None:
    with spawn("train", "verse.txt", "--steps", "1000000", *SMALL, "--set", "training.evaluate_every=8") as process:
        deadline = time.monotonic() + 60
        while not Path("checkpoints/verse/metrics.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == b"checkpoints/verse\n"
    assert b"--name verse --resume" in err and b"Traceback" not in err


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_a_killed_run_ends_bit_identical_when_the_command_resumes_it(run: Run) -> None:
    """Of the program itself; tests/test_killing.py kills all kinds at any moment."""
    options = ["--steps", "400", *SMALL, "--set", "training.evaluate_every=10"]
    with spawn("train", "verse.txt", "--name", "killed", *options) as process:
        while not Path("checkpoints/killed/metrics.jsonl").exists():
            time.sleep(0.02)
        process.kill()
    assert run("train", "--name", "killed", "--resume").code == 0
    assert run("train", "verse.txt", "--name", "whole", *options).code == 0
    whole, killed = Path("checkpoints/whole"), Path("checkpoints/killed")
    assert (whole / "metrics.jsonl").read_bytes() == (killed / "metrics.jsonl").read_bytes()
    newest = [sorted(path.name for path in folder.glob("resume/state-400-*")) for folder in (whole, killed)]
    assert newest[0] == newest[1] and len(newest[0]) == 2


@pytest.mark.skipif(os.name != "posix", reason="closes what a shell closes")
def test_a_program_without_an_output_does_its_work(run: Run) -> None:
    """As some daemons start one."""
    options = shlex.join(["train", "verse.txt", "--name", "quiet", "--steps", "2", "-q", *SMALL])
    done = subprocess.run(f"{shlex.quote(sys.executable)} -m seqgen {options} >&- 2>&-", shell=True, check=False)
    assert done.returncode == 0 and run("info", "quiet").code == 0


def test_colour_is_off_where_no_color_is_set(trained: str) -> None:
    with spawn("list", env={**os.environ, "NO_COLOR": "1", "FORCE_COLOR": ""}) as process:
        out, _ = process.communicate()
    assert b"\x1b[3" not in out


def test_tensorboard_without_its_package_names_the_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    result = run(*TRAIN, "--tensorboard")
    assert result.code == 2 and "seqgen[tensorboard]" in result.err
    assert not Path("checkpoints").exists()
