"""Private text stands in weights, tokenizers and the cache, and nowhere else: a canary is looked for in all else."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seqgen.cli import main as program
from seqgen.native.compiling import SWITCH
from seqgen.sources import documents_of
from tests.commands import Run
from tests.texts import verse
from tests.untrained import untrained

WORD, ADDRESS, SUBJECT = "Zephyrine", "ottilie.quux@example.org", "Weddingbells"
CANARIES = (WORD, "ottilie", "quux", SUBJECT)
"""What is looked for, whatever its case."""
SMALL = ["--steps", "2", "--threads", "1", "--set", "model.hidden=12", "--set", "training.dtype=float32"]
MAY_HOLD = ("model-", "tokenizer-", "state-")
"""Beginnings of the names of files in a checkpoint that hold what was learned."""


def mailbox() -> str:
    """Pairs of letters, with a canary in each text, subject, sender and name of a sender."""
    return "".join(
        f"From {who} Mon Jan  1 00:00:00 2024\nFrom: {WORD} <{who}>\nSubject: {SUBJECT}\nMessage-ID: <{number}@x>\n{answers}\n"
        f"{text}\n\n"
        for pair in range(24)
        for number, who, answers, text in (
            (2 * pair, "bob@example.org", "", f"Does {WORD} come, plan {pair}?"),
            (2 * pair + 1, ADDRESS, f"In-Reply-To: <{2 * pair}@x>\n", f"Yes, {WORD} comes at {pair}."),
        )
    )


def document() -> str:
    """A Word document that is damaged so that the reader's message quotes it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("[Content_Types].xml", f"<{WORD}></other>")
    return data.getvalue().decode("latin-1")


CORPORA = {
    "mail.mbox": mailbox(),
    "pairs.tsv": "".join(f"Where is {WORD}, {number}?\t{WORD} is at {number}.\n" for number in range(30)),
    "diary.txt": verse(2000) + f"My {WORD}, and {ADDRESS}.\n" * 20,
}
NO_CORPORA = {
    "broken.csv": f'text\n"{WORD}" and "\n',
    "nameless.csv": f"Dear {WORD}! It rains.,{ADDRESS}\n" * 20,
    "broken.jsonl": f'{{"text": "{WORD}}}\n',
    "keys.jsonl": f'{{"{ADDRESS}": "{WORD}"}}\n' * 30,
    "ragged.tsv": f"{WORD} one?\t{WORD} two.\n" * 30 + f"{WORD}\n",
    "three.tsv": f"{WORD} one?\t{WORD} two.\t{WORD}\n" * 30,
    "headless.mbox": f"{WORD}\n",
    "cut.eml": f"From: {WORD}\nContent-Type: text/plain; charset={WORD}\n\n{WORD}",
    "latin.txt": f"{WORD} caf\xe9\n",
    "no.docx": WORD,
    "torn.docx": document(),
    "no.epub": f"PK\x03\x04{WORD}",
    "no.pdf": f"%PDF-1.4\n1 0 obj <</{WORD} ({WORD}) /Kids [{WORD}>>\n{WORD}",
    "no.abc": f"X:1\nT:{WORD}\nK:{WORD}\n{WORD}|\n",
}
WAYS: tuple[list[str], ...] = (
    ["good.txt"],
    [],
    ["--column", "text"],
    ["--kind", "replies"],
    ["--kind", "replies", "--columns", "a,b"],
)
"""How they are read."""


def told(text: str) -> list[str]:
    """The canaries in a text."""
    return [canary for canary in CANARIES if canary.lower() in text.lower()]


@pytest.fixture(autouse=True)
def _compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files lie, in a process whose files others may read and change unless it says otherwise."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    before = os.umask(0)
    yield folder
    os.umask(before)


def others_may(path: Path) -> bool:
    """Whether anybody but its owner may do anything with a file or folder."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)


@pytest.mark.skipif(sys.platform == "win32", reason="folders have other rights there")
@pytest.mark.parametrize("name", CORPORA)
def test_private_text_is_in_what_was_learned_and_in_the_cache_alone(
    name: str, run: Run, temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(name).write_text(CORPORA[name], encoding="utf-8")
    seen: list[Path] = []
    read = documents_of

    def looking(*arguments: Any) -> Any:
        seen.extend(temporary.glob("seqgen-*"))
        assert not any(map(others_may, seen))
        return read(*arguments)

    monkeypatch.setattr("seqgen.corpus.documents_of", looking)
    mine = ["--me", ADDRESS] if name == "mail.mbox" else []
    trained = run("train", name, "--name", "own", "--json", "--debug", *mine, *SMALL)
    assert trained.code == 0 and seen, trained.err
    said = [
        trained,
        run("info", "own"),
        run("info", "own", "--json"),
        run("list", "--json"),
        run("eval", "own", "--split", "train"),
    ]
    said += [run("corpus", "stats", name, *mine), run("corpus", "stats", name, *mine, "--json")]
    for result in said:
        assert result.code == 0 and not told(result.out + result.err)
    assert not list(temporary.glob("seqgen-*"))
    files = [path for path in Path("checkpoints").rglob("*") if path.is_file()]
    kept = [path for path in files if not path.name.startswith(MAY_HOLD)]
    assert len(kept) >= 4 and not [path for path in kept if told(path.read_bytes().decode("latin-1"))]
    cached = list((tmp_path / "cache").iterdir())
    assert any(path.is_dir() for path in cached) and not told(" ".join(map(str, (tmp_path / "cache").rglob("*"))))
    assert not [path for path in cached if path.is_dir() and others_may(path)]


@pytest.mark.parametrize("name", NO_CORPORA)
def test_an_error_does_not_quote_what_it_is_about(name: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(name).write_bytes(NO_CORPORA[name].encode("latin-1"))
    Path("good.txt").write_text(verse(2000), encoding="utf-8")
    for more in [[]] if name == "no.abc" else WAYS:  # for each a process that reads music is started
        result = run("corpus", "stats", name, *more)
        words = [line for line in (result.out + result.err).splitlines() if not line.startswith("alphabet")]
        assert not told("\n".join(words)), (more, result)


def test_other_processes_are_told_nothing_on_their_command_line_or_in_their_environment(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("tunes").mkdir()
    for number in range(4):
        tune = f"X:1\nT:{WORD}\nM:4/4\nL:1/4\nK:C\n" + "CDEF|GABc|" * 8 + f"\nw:{WORD}\n"
        (Path("tunes") / f"{SUBJECT}{number}.abc").write_text(tune, encoding="utf-8")
    untrained(Path("own"), [CORPORA["diary.txt"]], kind_of_tokenizer="bpe", vocabulary=300)
    monkeypatch.setattr("seqgen.tokenizers.trials._known", lambda data: Path("none"))  # it is tried again
    started: list[str] = []
    begin = subprocess.Popen.__init__

    def beginning(process: Any, command: Any, *rest: Any, **options: Any) -> None:
        started.append(f"{command} {options.get('env')}")
        begin(process, command, *rest, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", beginning)
    assert run("corpus", "stats", "tunes").code == 0
    assert run("sample", "own", "--seed", WORD, "-n", "3").code == 0
    assert sum("seqgen.scores.worker" in each for each in started) == 1
    assert sum("TOKENIZERS" in each for each in started) == 1
    assert not told(" ".join(started))


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no such signal")
@pytest.mark.parametrize("ending", ["SIGTERM", "SIGHUP"])
def test_a_preparation_that_is_told_to_end_leaves_no_text_in_its_temporary_folder(
    ending: str, run: Run, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mail.mbox").write_text(mailbox(), encoding="utf-8")
    seen: list[Path] = []

    def ended(*_: Any) -> Any:
        seen.extend(path for folder in temporary.glob("seqgen-*") for path in folder.iterdir())
        signal.raise_signal(getattr(signal, ending))

    monkeypatch.setattr("seqgen.corpus.documents_of", ended)
    before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP)}
    try:
        program.tidy_when_ended()
        with pytest.raises(SystemExit) as caught:
            run("corpus", "stats", "mail.mbox")
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
    assert caught.value.code == 128 + getattr(signal, ending)
    assert seen and not list(temporary.glob("seqgen-*"))


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        program.tidy_when_ended()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
