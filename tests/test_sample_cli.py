"""The options of `seqgen sample`, as a user types them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import Run
from tests.trained import trained_on_verse


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_on_verse(tmp_path_factory.mktemp("trained"), steps=64, characters=6000)


@pytest.fixture(autouse=True)
def _at_hand(trained: Path) -> None:
    shutil.copytree(trained, "checkpoints/verse")


def sample(run: Run, *options: str) -> list[dict[str, object]]:
    result = run("sample", "verse", "--random-seed", "3", "--json", "-q", *options)
    assert (result.code, result.err) == (0, "")
    return result.json()


def test_every_rule_has_an_option_and_is_told(run: Run) -> None:
    options = {
        "--top-k": "9",
        "--top-p": "0.9",
        "--min-p": "0.01",
        "--repetition-penalty": "1.1",
        "--no-repeat": "4",
        "--ban": "e",
        "--prefer": "oo",
        "-t": "0.5..1.5",
        "--min-length": "2",
        "--precision": "float32",
    }
    (line,) = sample(run, "-n", "80", *(part for pair in options.items() for part in pair))
    settings = line["settings"]
    assert isinstance(settings, dict) and "e" not in str(line["continuation"])
    expected = {
        "top_k": 9,
        "top_p": 0.9,
        "min_p": 0.01,
        "repetition_penalty": 1.1,
        "no_repeat": 4,
        "ban": ["e"],
        "prefer": ["oo"],
        "temperature": 0.5,
        "final_temperature": 1.5,
        "min_length": 2,
        "precision": "float32",
    }
    assert {name: settings[name] for name in expected} == expected
    assert (line["precision"], line["divergence"]) == ("float32", None)
    (free,) = sample(run, "-n", "80")
    assert "e" in str(free["continuation"])


def test_an_index_repeats_one_of_many(run: Run) -> None:
    many = sample(run, "--count", "4", "-n", "25")
    (third,) = sample(run, "--index", "2", "-n", "25")
    assert (third["index"], third["text"]) == (2, many[2]["text"])
    assert len({str(line["text"]) for line in many}) == 4


def test_a_text_ends_with_its_line(run: Run) -> None:
    (line,) = sample(run, "--until", "line", "--seed", "the ")
    assert line["stopped_by"] == "line" and "\n" not in str(line["text"]).strip()


def test_ranked_samples_say_how_surprising_they_are_and_go_to_numbered_files(run: Run) -> None:
    lines = sample(run, "--rank", "12", "--count", "2", "-n", "30", "-o", "r.txt")
    assert all(isinstance(line["nats_per_symbol"], float) for line in lines)
    assert Path("r-01.txt").read_text(encoding="utf-8") == lines[0]["text"]
    assert Path("r-02.txt").read_text(encoding="utf-8") == lines[1]["text"]


def test_what_bytes_cost_is_said(run: Run) -> None:
    from seqgen.native.streams import is_available

    if not is_available():
        pytest.skip("needs a C compiler")
    result = run("sample", "verse", "-n", "9", "--precision", "int8")
    assert result.code == 0 and "nats per symbol from float32" in result.err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["-t", "0.5..1.2"], "Give -n"),
        (["-t", "warm"], "neither a number nor two"),
        (["-t", "1.."], "neither a number nor two"),
        (["-t", "0.5...1"], "neither a number nor two"),
        (["-t", "-1..1"], "not from 0"),
        (["--no-repeat", "1"], "no-repeat 1 is below 2"),
        (["--repetition-penalty", "0.5"], "not from 1"),
        (["--ban", ""], "Leave --ban out"),
        (["--rank", "3", "--count", "4"], "it says how many are drawn"),
        (["--rank", "4", "--index", "1"], "Give only one of them"),
        (["--index", "1", "--count", "2"], "no --count"),
        (["-n", "5", "--min-length", "6"], "above the length"),
        (["--until", "never"], "never"),
        (["--precision", "int4"], "int4"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(run: Run, options: list[str], reason: str) -> None:
    result = run("sample", "verse", *options)
    assert result.code == 2 and result.out == "" and reason in " ".join(result.err.split())


def test_ctrl_c_hands_out_what_is_there_of_many_samples() -> None:
    command = [sys.executable, "-m", "seqgen", "sample", "verse", "--count", "3000", "--json"]
    command += ["-n", "3000", "--min-length", "3000"]
    with subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    lines = [json.loads(line) for line in (first + out).decode().splitlines()]
    assert 0 < len(lines) < 3000
    assert [line["index"] for line in lines] == list(range(len(lines)))
    assert all(line["symbols"] > 0 for line in lines), "none is handed out that never began"


def test_it_samples_without_the_compiled_path() -> None:
    for options in ([], ["--count", "2"]):
        command = [sys.executable, "-m", "seqgen", "sample", "verse", "-n", "30", "--json", "-q", *options]
        done = subprocess.run(
            command, env={**os.environ, "SEQGEN_NATIVE": "off"}, capture_output=True, text=True, check=True
        )
        assert '"path": "tile"' in done.stdout if options else '"path": "single"' in done.stdout
