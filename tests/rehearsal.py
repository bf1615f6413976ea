"""A session without a terminal: small models to play with, a stage that remembers what it was shown, and a line after another."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import seqgen
from seqgen.api import Loaded
from seqgen.errors import SeqgenError
from seqgen.scores.notation import write
from seqgen.session.commands import hear
from seqgen.session.scene import About, Choice, Passage, Picture, Scene
from seqgen.session.session import Session
from tests.exchanges import exchanges
from tests.pieces import corpus
from tests.texts import verse
from tests.untrained import untrained

CODE = (
    "import os\n\n\ndef total(values):\n    '''Adds them.'''\n    return sum(values)  # 12\n\n\nclass Box:\n    pass\n"
)
SEEDS = {"text": "the ", "code": "def ", "voices": "G4", "melody": "G4", "replies": "Where is the tea?"}
"""Something to type to each of the models that there are to play with."""
KINDS = tuple(SEEDS)
LENGTH = 12
"""Of answers, where nothing else is said: characters, notes or words."""


def make_models(folder: Path) -> None:
    """Models of every kind under `folder/checkpoints`. They have learned nothing, but that a reply is short."""
    home = folder / "checkpoints"
    untrained(home / "text", [verse(3000)])
    untrained(home / "code", [CODE * 5], "code", corpus={"ending": ".py"})
    untrained(home / "voices", [write(piece) for piece in corpus(4)], "music", kind_of_tokenizer="voices", voices=4)
    untrained(home / "melody", ["Tune: C4 D4 E4:2 | G4:2 E4 C4 |]"], "music", kind_of_tokenizer="melody")
    sides = [side for pair in exchanges() for side in pair]
    untrained(home / "replies", sides, "replies", ends=2.0)


class Notes:
    """A stage that remembers what it was shown.

    Attributes:
        seen: what happened: its kind, and what belongs to it.
        patience: how often it is asked whether an answer is to stop before it wants that; None: it never does.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.patience: int | None = None

    def enter(self, about: About) -> None:
        self.seen.append(("enter", about))

    def begin(self, given: str, number: int | None) -> None:
        self.seen.append(("begin", (given, number)))

    def grow(self, piece: str, picture: Picture) -> None:
        self.seen.append(("grow", piece))

    def end(self, passage: Passage, picture: Picture) -> None:
        self.seen.append(("end", passage))

    def show(self, passage: Passage, picture: Picture) -> None:
        self.seen.append(("show", passage))

    def offer(self, choices: tuple[Choice, ...]) -> None:
        self.seen.append(("offer", choices))

    def tell(self, words: str) -> None:
        self.seen.append(("tell", words))

    def report(self, words: str) -> None:
        self.seen.append(("report", words))

    def halted(self) -> bool:
        if self.patience is None:
            return False
        self.patience -= 1
        return self.patience < 0

    def of(self, kind: str) -> list[Any]:
        """All of one kind."""
        return [what for name, what in self.seen if name == kind]

    @property
    def told(self) -> str:
        """All words."""
        return "\n".join(what for name, what in self.seen if name in ("tell", "report"))

    @property
    def text(self) -> str:
        """All that was given and written, of answers that are text."""
        return "".join(what if name == "grow" else what[0] for name, what in self.seen if name in ("begin", "grow"))

    @property
    def results(self) -> list[Any]:
        """Answers, and what there was to choose from."""
        return [what for name, what in self.seen if name in ("end", "offer")]


class Play:
    """A session and its stage.

    Args:
        folder: as `make_models` has filled it.
        name: of the model.
        lines: that are heard at once.
        length: of answers; None: as it comes.
        random_seed: of the first answer.
    """

    def __init__(self, folder: Path, name: str, *lines: str, length: int | None = LENGTH, random_seed: int = 7) -> None:
        self._folder, self._name, self._random_seed = folder, name, random_seed
        self.stage = Notes()
        self.session = Session(self._open, name, self.stage, random_seed)
        self.hear(*([] if length is None else [f"/length {length}"]), *lines)
        if not lines:
            self.stage.seen.clear()

    def _open(self, name: str) -> Loaded:
        return seqgen.load(self._folder / "checkpoints" / name)

    @property
    def scene(self) -> Scene:
        return self.session.scene

    @property
    def passage(self) -> Passage:
        """What is on the table."""
        assert self.scene.passage is not None
        return self.scene.passage

    @property
    def weights(self) -> list[Tensor]:
        """Those of the model, as they are now."""
        return [weight.detach().clone() for weight in self.session.model.model.parameters()]

    def hear(self, *lines: str, patience: int | None = None) -> Play:
        """Types these lines; an answer is interrupted when the stage has been asked so often."""
        for line in lines:
            self.stage.patience = patience
            hear(self.session, line)
        self.stage.patience = None
        return self

    def refusal(self, line: str) -> SeqgenError:
        """Why a line cannot be done. It leaves nothing behind."""
        before, record = self.scene, list(self.session.record)
        with pytest.raises(SeqgenError) as caught:
            hear(self.session, line)
        assert (self.scene, self.session.record) == (before, record)
        assert caught.value.what
        return caught.value

    def replayed(self) -> Play:
        """Another session, in which what was recorded of this one is typed."""
        return Play(self._folder, self._name, *self.session.record, length=None, random_seed=0)


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    """Whether weights are the same to the last bit."""
    return all(map(torch.equal, one, other))


def but_its_random_seed(scene: Scene) -> Scene:
    """A scene, to be compared with one whose next answer has another random seed."""
    return dataclasses.replace(scene, random_seed=0)


def assert_repeated(play: Play) -> None:
    """What a session has recorded makes it again, to the last bit."""
    again = play.replayed()
    assert again.stage.results == play.stage.results
    assert again.scene == play.scene
    assert equal(again.weights, play.weights)
    assert again.session.record[1:] == play.session.record
