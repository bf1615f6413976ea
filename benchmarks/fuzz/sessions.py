"""Lines typed to a session with a small model, as `repl` hears them from a script."""

from __future__ import annotations

import contextlib
import functools
import io
import random
from collections.abc import Sequence
from pathlib import Path

import click
import torch

import seqgen
from fuzz.damage import damaged
from fuzz.target import Case, Target, text_case
from seqgen.api import Loaded
from seqgen.cli.stages import Interrupts, Pipe, Terminal
from seqgen.errors import DataError, SeqgenError
from seqgen.manifest import Manifest
from seqgen.modalities import MODALITIES
from seqgen.models import MODELS as MODELS_BY_NAME
from seqgen.recipe import Recipe
from seqgen.saving import CheckpointWriter
from seqgen.session.commands import hear
from seqgen.session.session import Session
from seqgen.tokenizers import DOCUMENT, TOKENIZERS, alphabet_of

PATIENCE = 200
"""Symbols of an answer that are waited for."""
ENDS = 3.0
"""Nats by which the end of a reply is likelier than it would be: else it would have none."""
BEFORE = (b"/length 6",)
"""What is set first, so that answers are short."""
FOUR = "key: G major\nmetre: 4/4\nSoprano: G4 A4 B4 C5\nAlto: D4:4\nTenor: B3:2 C4:2\nBass: G2:4"
MODELS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "prose": ("the ", "text", "characters", ("the old fox waits for the river. " * 20,)),
    "python": ("def ", "code", "characters", ("def total(values):\n    return sum(values)  # 12\n\n\n" * 10,)),
    "voices": ("G4", "music", "voices", (FOUR,)),
    "melody": ("G4 A4", "music", "melody", ("Tune: C4 D4 E4:2 | G4:2 E4 C4 |]",)),
    "replies": ("Where is the tea?", "replies", "characters", ("Where is the tea?", "In the hall is the tea.")),
}
"""Each with something to type to it, its kind, its tokenizer and the texts of that."""
SETTINGS = (
    *("temperature", "t", "temp", "top-k", "top-p", "min-p", "repetition-penalty", "no-repeat", "length", "count"),
    *("min-length", "until", "stop", "ban", "prefer", "recall", "precision", "bars", "key", "metre", "range"),
    *("tempo", "program", "transpose", "soundfont", "random-seed", "beam", "start", "--top_k", "nothing"),
)  # fmt: skip
VALUES = (
    *("0", "1", "2", "5", "0.5", "-1", "nan", "inf", "1e400", "0.3..1.5", "1...2", "..", "9" * 30, "9" * 5000),
    *("\u0663", "\u00b2", "on", "off", "default", "auto", "int8", "line", "sentence", "document", "C3-C6", "C6-C3"),
    *("G4-G4", "D minor", "Am", "3/4", "0/4", '"a" "b"', '"', '"\\ud800"', "\\", "e", "e a", '"' + "[" * 3000),
    *("a" * 500, "\u202e", "\u0130", "3", "40", "2147483647", "2147483648", "/nowhere.sf2", ""),
)  # fmt: skip
SEEDS = (
    *("the ", "def f(", "G4", "C4 E4:0.5 | G4+B4:2", "C4:100000", "tempo: nan", "Where is it?", "Yes.", "1", "99"),
    *("\u00e9\u0130\u202e", "\ud800", "x" * 3000, "a\nb", "\t", "r", "/nothing", "/# no", "key: C\nC4"),
    *("metre: 7/8\nC4 |]", "<3", "12345678901", "\0", "\x1b[2J", "e\u0301", "\U0001f600", '"', "%", "// a"),
)  # fmt: skip
FILES = (
    *("a.txt", "a.mid", "a.notes", "a.musicxml", "a.abc", "a.png", "a.tsv", "a.jsonl", "a.md", "session.txt"),
    *("session-2.txt", "a", ".", "..", "~", "~nobody/a.txt", "b/c.txt", "a" * 300 + ".txt", "\0.txt", "\ud800.txt"),
    *('"a b.txt"', "a.txt --force", "a.mid --kept --force", "--kept", "a.py", "a.TXT", "-.txt"),
    *("s.txt --session --force",),
)  # fmt: skip
PLAIN = (
    *("/again", "/more", "/next", "/undo", "/keep", "/show", "/adapt on", "/adapt off", "/adapt", "/help", "/seed"),
    *("/set", "/cut 0", "/cut 1", "/cut", "/play x", "1", "2", "3", "9", "0", "/next 1", "/next the", '/next "'),
    *("/help more", "/help \u0130", "/temp", "/load", "/load nowhere", "/load voices", "/load replies", "/#"),
    *("/bye x", "", " ", "/keep 1", '/seed "a\\nb"', '/seed "\\ud800"', "/seed 5", "/seed " + "[" * 3000),
    *('/seed "' + "\\\\" * 300, "/next " + '"' + "a" * 99),
)  # fmt: skip
PIECES = tuple(
    f"{piece}\n".encode("utf-8", "surrogateescape")
    for piece in ("/again", "/more", "/next", "/undo", "1", "/keep", "/adapt on")
)


def specimens() -> list[Case]:
    """A script for each model."""
    lines = (
        "/again",
        "/next",
        "1",
        "/more",
        "/keep",
        "/undo",
        "/count 2",
        "/again",
        "2",
        "/show",
        "/save a.txt --force",
    )
    for name, (_, kind, tokenizer, texts) in MODELS.items():
        _make(name, kind, tokenizer, texts)
    return [text_case(name, "\n".join([seed, *lines])) for name, (seed, *_) in MODELS.items()]


def _make(name: str, kind: str, tokenizer: str, texts: Sequence[str]) -> None:
    """A model that has learned nothing, which is quick."""
    network = MODALITIES[kind].model
    recipe = Recipe.from_dict(
        {
            "model": {"hidden": 16, "embedding": 8, "layers": 1},
            "corpus": {"kind": kind, "sources": ["a.txt"]},
            "tokenizer": {"kind": tokenizer},
        }
    )
    built = TOKENIZERS[tokenizer].build(iter(texts), recipe.tokenizer)
    model = MODELS_BY_NAME[network](alphabet_of(built), recipe.model)
    model.reset_parameters(torch.Generator().manual_seed(3))
    weights = dict(model.state_dict())
    if kind == "replies":
        weights["output_bias"][DOCUMENT] += ENDS
    writer = CheckpointWriter(Path("checkpoints", name))
    writer.commit(Manifest(recipe, model=network), weights, built)
    writer.close()


def mutate(case: Case, specimens: Sequence[Case], draw: random.Random) -> Case:
    """Some lines of a script and others, damaged or not."""
    lines = case.text.split("\n")
    lines = lines[: draw.choice((1, 1, 2, 5, 12))]
    for _ in range(draw.choice((0, 2, 4, 8))):
        lines.insert(draw.randrange(len(lines) + 1), _line(draw))
    script = text_case(case.name, "\n".join(lines).encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape"))
    return damaged(script, draw, pieces=PIECES) if draw.random() < 0.3 else script


def _line(draw: random.Random) -> str:
    chance = draw.random()
    if chance < 0.35:
        return draw.choice(PLAIN)
    if chance < 0.6:
        return f"/set {draw.choice(SETTINGS)} {draw.choice(VALUES)}"
    if chance < 0.7:
        return f"{draw.choice(('/temp', '/top-p', '/length', '/count'))} {draw.choice(VALUES)}"
    if chance < 0.8:
        return f"/save {draw.choice(FILES)}"
    return draw.choice(SEEDS)


class Impatient(Interrupts):
    """Somebody who interrupts each answer that takes long.

    Attributes:
        looks: how often the answer has asked whether it is to stop.
    """

    looks = 0

    @property
    def heard(self) -> bool:
        """Whether it is."""
        self.looks += 1
        return self.looks > PATIENCE

    @heard.setter
    def heard(self, value: bool) -> None:
        """Not for this one to say."""


@functools.cache
def _open(name: str) -> Loaded:
    return seqgen.load(name)


def run(case: Case) -> None:
    """Types the lines. Each is done, or refused with the session as it was before; the last refusal is what is told of it."""
    refused: SeqgenError | None = None
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown), click.Context(click.Command("repl")):
        interrupts = Impatient()
        stage = Terminal(interrupts, colour=True) if len(case.data) % 2 else Pipe(interrupts)
        session = Session(_open, case.name, stage, 7)
        try:
            for line in [*BEFORE, *case.data.split(b"\n")]:
                interrupts.looks = 0
                refused = _hear(session, line) or refused
                if session.is_over:
                    break
        finally:
            session.adapt(False)  # the next script begins with what was trained, and with no files of this one
            _sweep()
    if refused:
        raise refused


def _sweep() -> None:
    for path in Path().iterdir():
        if path.is_file():
            path.unlink()


def _hear(session: Session, data: bytes) -> SeqgenError | None:
    """Does what a line says, as `repl` does it with a script."""
    scene, record = session.scene, list(session.record)
    try:
        line = data.decode()
    except UnicodeDecodeError:
        return DataError("not utf-8")
    try:
        hear(session, line)
    except (SeqgenError, OSError) as error:
        assert (session.scene, session.record) == (scene, record), (
            "something that was refused has left something behind"
        )
        return error if isinstance(error, SeqgenError) else DataError(error.strerror or str(error))
    return None


SESSIONS = Target("sessions", "scripts for sessions with small models of all kinds", specimens, mutate, run, seconds=20)
