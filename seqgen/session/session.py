"""``Session``: hears lines, one after another, and shows on its stage what comes of them."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from seqgen.api import Loaded
from seqgen.errors import DataError, UsageError
from seqgen.generation import new_random_seed
from seqgen.scores.playing import play
from seqgen.session.answers import Budget
from seqgen.session.apprentice import Apprentice, Lesson
from seqgen.session.chat import Chat
from seqgen.session.scene import About, Passage, Picture, Scene, Stage, Turn
from seqgen.session.settings import Setting, find_setting, written
from seqgen.session.writer import Writer

PAST = 100
"""Lines that can be undone."""
LONGEST_PAST = 1_000_000
"""Characters of answers that are remembered for that."""
SHOWN = 60
"""Characters of a text that is named in a line."""
RANDOM_SEED = "random-seed"


class Past(NamedTuple):
    """How it was before something was done."""

    scene: Scene
    done: str
    with_seed: bool = False
    """Whether it had another random seed, too."""


class Player(Protocol):
    """What a model does in a session."""

    @property
    def settings(self) -> Mapping[str, Setting]:
        """What can be set."""
        ...

    answers: bool
    """Whether it answers messages; else it writes on."""

    def check(self, values: Mapping[str, Any]) -> None:
        """Refuses settings that it has no use for."""
        ...

    def answer(self, scene: Scene, seed: str, stage: Stage, budget: Budget) -> Scene:
        """What comes of a seed or a message."""
        ...

    def again(self, scene: Scene, stage: Stage, budget: Budget) -> Scene:
        """Another answer to the same."""
        ...

    def more(self, scene: Scene, stage: Stage, budget: Budget) -> Scene:
        """What comes after it."""
        ...

    def next(self, scene: Scene, text: str | None, stage: Stage) -> Scene:
        """What could come next, to take by its number."""
        ...

    def words(self) -> Sequence[str]:
        """Words that the model knows, the frequent ones first; as a help for those who type."""
        ...

    def learned_from(self, passage: Passage) -> npt.NDArray[np.int64]:
        """What the model reads to learn from a passage."""
        ...

    def render(self, passages: Sequence[Passage] | None, scene: Scene, suffix: str) -> list[bytes]:
        """Passages as files with this ending, or None: what is on the table."""
        ...

    def picture(self, passage: Passage) -> Picture:
        """What a passage looks like."""
        ...


PLAYERS: dict[str, Callable[[Loaded], Player]] = {"language": Writer, "reply": Chat}
"""By the name of the model."""


class Session:
    """A person at play with a model. Whatever raises an error leaves the session as it was before.

    Args:
        open_model: a model by the name of its checkpoint.
        name: of the first one.
        stage: where it is shown.
        random_seed: of the first answer.

    Attributes:
        first: the name of the first model.
        record: the lines that make the session again.
        interrupted_at: the steps after which the latest answer was interrupted; None: it was not.
        is_over: whether the person has left.

    Raises:
        CheckpointError: there is no such model.
    """

    def __init__(self, open_model: Callable[[str], Loaded], name: str, stage: Stage, random_seed: int) -> None:
        self._open, self.stage = open_model, stage
        self.record = [f"/set random-seed {random_seed}"]
        self.interrupted_at: int | None = None
        self.is_over = False
        self._cut: int | None = None
        self._past: deque[Past] = deque(maxlen=PAST)
        self.scene = Scene(random_seed)
        self.first = name
        self._begin(open_model(name), random_seed)

    @property
    def about(self) -> About:
        """What its stage must know of the model."""
        modality, corpus = self.model.modality, self.model.checkpoint.manifest.corpus
        ending = str(corpus.get("ending", "")) if modality.highlighted else ""
        return About(self.model.checkpoint.name, modality.title, ending, self.player.answers)

    def load(self, name: str) -> None:
        """Goes on with another model, and an empty table.

        Raises:
            CheckpointError: there is none.
        """
        self._begin(self._open(name), self.scene.random_seed)

    def answer(self, seed: str) -> None:
        """Answers a seed or a message.

        Raises:
            DataError: it cannot be read.
        """
        self._play(
            lambda budget: self.player.answer(self.scene, seed, self.stage, budget), f"the answer to {_short(seed)!r}"
        )

    def again(self) -> None:
        """Another answer."""
        self._play(lambda budget: self.player.again(self.scene, self.stage, budget), "/again")

    def more(self) -> None:
        """Goes on.

        Raises:
            UsageError: there is nothing to go on from.
        """
        self._play(lambda budget: self.player.more(self.scene, self.stage, budget), "/more")

    def next(self, text: str | None) -> None:
        """Offers what could come next, after the passage or after another text.

        Raises:
            DataError: the text cannot be read.
            UsageError: there is nothing that something could come after.
        """
        self._turn_to(self.player.next(self.scene, text, self.stage), "/next")

    def take(self, number: int) -> None:
        """Takes one of the choices.

        Raises:
            UsageError: it is none of them.
        """
        scene = self.scene
        if not 1 <= number <= len(scene.choices):
            have = f"There are {len(scene.choices)}." if scene.choices else "/next offers some."
            raise UsageError(f"there is no choice {number}", hint=have)
        choice = scene.choices[number - 1]
        turns = scene.turns
        if self.player.answers:
            turns = (*turns[:-1], Turn(choice.passage.seed, choice.passage.text))
        after = dataclasses.replace(scene, passage=choice.passage, turns=turns)
        if choice.goes_on:
            after = self.player.next(after, None, self.stage)
        elif any(each.goes_on for each in scene.choices):
            after = dataclasses.replace(after, choices=())
        self.stage.tell(f"taken: {_short(choice.label)}")
        self._turn_to(after, f"the choice of {number}")

    def undo(self) -> None:
        """Goes back to how it was before the last line that changed something. The next answer has a new random seed.

        Raises:
            UsageError: nothing was done yet.
        """
        if not self._past:
            raise UsageError("there is nothing to undo")
        before, done, with_seed = self._past[-1]
        before = before if with_seed else dataclasses.replace(before, random_seed=self.scene.random_seed)
        self._learn(before)
        self._past.pop()
        self.scene = before
        table = _short(before.passage.text) if before.passage else "nothing"
        self.stage.tell(f"undone: {done}; on the table: {table}")

    def keep(self) -> None:
        """Keeps the passage.

        Raises:
            UsageError: there is none.
            DataError: it is to be learned, and cannot be.
        """
        passage = self.passage()
        kept = (*self.scene.kept, passage)
        self._turn_to(dataclasses.replace(self.scene, kept=kept), "/keep")
        self.stage.tell(f"kept {len(kept)}: {_short(passage.text)}")

    def adapt(self, on: bool) -> None:
        """Lets the model learn from what is kept, before and from now on; or forget it.

        Raises:
            DataError: something of it cannot be learned.
        """
        self._turn_to(dataclasses.replace(self.scene, adapting=on), f"/adapt {'on' if on else 'off'}")
        known = f"from the {len(self.scene.kept)} kept so far, and " if self.scene.kept else ""
        self.stage.tell(
            f"learning {known}from what you /keep" if on else "not learning; the model is as it was trained"
        )

    def set(self, name: str, text: str | None) -> None:
        """Sets something, or sets it back.

        Args:
            name: of a setting.
            text: its value as it is typed; None: the default.

        Raises:
            UsageError: there is no such setting, or it cannot have this value.
        """
        full = find_setting(self.player.settings, name)
        try:
            value = None if text is None else self.player.settings[full].read(text)
        except UsageError as error:
            raise UsageError(f"{full}: {error.what}", hint=error.hint or self.player.settings[full].about) from error
        if full == RANDOM_SEED:
            random_seed = new_random_seed() if value is None else value
            self._turn_to(dataclasses.replace(self.scene, random_seed=random_seed), f"/set {full}", with_seed=True)
            return
        values = {key: old for key, old in self.scene.values.items() if key != full}
        if value is not None:
            values[full] = value
        self.player.check(values)
        self._turn_to(dataclasses.replace(self.scene, values=MappingProxyType(values)), f"/set {full}")

    def full_name(self, name: str) -> str:
        """Of a setting.

        Raises:
            UsageError: there is no such setting.
        """
        return find_setting(self.player.settings, name)

    def about_setting(self, name: str) -> str:
        """A setting, its value, and what it does, in a line.

        Raises:
            UsageError: there is no such setting.
        """
        full = self.full_name(name)
        return f"{full:<20}{self.value(full):<16}{self.player.settings[full].about}"

    def value(self, name: str) -> str:
        """A setting as it can be typed, or in words.

        Raises:
            UsageError: there is no such setting.
        """
        full = find_setting(self.player.settings, name)
        if full == RANDOM_SEED:
            return str(self.scene.random_seed)
        values = self.scene.values
        return written(values[full]) if full in values else self.player.settings[full].usual

    def cut(self, steps: int) -> None:
        """Ends the next answer after so many steps, as an interrupt has done before."""
        self._cut = steps

    def show(self) -> None:
        """Shows what is on the table, and says what is kept and set."""
        scene, stage = self.scene, self.stage
        if scene.passage is not None and scene.passage.text:
            stage.show(scene.passage, self.player.picture(scene.passage))
        for turn in scene.turns[:-1]:
            stage.report(f"> {turn.message}\n{turn.reply}")
        values = [f"{name} {written(value)}" for name, value in scene.values.items()]
        learning = ", which it learns from" if scene.adapting else ""
        stage.report(
            "\n".join(
                [
                    f"{self.about.name}: {self.about.title}",
                    f"set: {', '.join(values) or 'nothing'}; random seed of the next answer {scene.random_seed}",
                    *(
                        f"kept {number}{learning}: {_short(passage.text)}"
                        for number, passage in enumerate(scene.kept, 1)
                    ),
                ]
            )
        )

    def render(self, suffix: str, kept: bool) -> list[bytes]:
        """What is on the table as a file with this ending; or all that was kept, each as one; of a chat all that was said.

        Raises:
            UsageError: there is nothing, or it cannot be written so.
        """
        scene, player = self.scene, self.player
        if kept and not scene.kept:
            raise UsageError("nothing was kept yet", hint="/keep keeps what is on the table.")
        return player.render(scene.kept if kept else None, scene, suffix)

    def play(self) -> None:
        """Plays what is on the table.

        Raises:
            UsageError: it is no music.
            DataError: there is no player.
        """
        passage = self.passage()
        if self.model.tokenizer.unit.matter != "music":
            raise UsageError(f"{self.model.modality.name} cannot be played")
        play(lambda suffix: self.player.render([passage], self.scene, suffix)[0], self.stage.halted)

    def begin_line(self) -> None:
        """Something new is about to be done, which has not been interrupted."""
        self.interrupted_at = None

    def passage(self) -> Passage:
        """What is on the table.

        Raises:
            UsageError: there is nothing.
        """
        if self.scene.passage is None:
            raise UsageError(
                "there is nothing yet", hint="Type a seed first; /seed alone begins as the training text does."
            )
        return self.scene.passage

    def _begin(self, model: Loaded, random_seed: int) -> None:
        self.model, self.player = model, PLAYERS[model.model.name](model)
        self._apprentice = Apprentice(model.model)
        self.scene = Scene(random_seed)
        self._past.clear()
        self.stage.enter(self.about)

    def _play(self, act: Callable[[Budget], Scene], done: str) -> None:
        budget, self._cut = Budget(self._cut), None
        self._turn_to(act(budget), done)
        self.interrupted_at = budget.steps if budget.interrupted else None

    def _turn_to(self, scene: Scene, done: str, with_seed: bool = False) -> None:
        """Makes this the present, and what was the past, from which something that was done leads here."""
        self._learn(scene)
        self.interrupted_at = None
        self._past.append(Past(self.scene, done, with_seed))
        self.scene = scene
        while sum(_size(past.scene) for past in self._past) > LONGEST_PAST:
            self._past.popleft()

    def _learn(self, scene: Scene) -> None:
        """Brings the model to where it has learned what it is to have learned in a scene; if it cannot be, to where it was."""
        before, after = (now.kept if now.adapting else () for now in (self.scene, scene))
        if before == after:
            return
        try:
            found = self._apprentice.learn(self._lessons(after))
        except BaseException:
            self._apprentice.learn(self._lessons(before))
            raise
        if found is not None:
            first, last = found
            self.stage.tell(f"learned it: {first:.2f} nats per symbol before, {last:.2f} after")

    def _lessons(self, kept: Sequence[Passage]) -> list[Lesson]:
        """What the model reads to learn from them.

        Raises:
            DataError: one of them cannot be learned.
        """
        lessons = []
        for number, passage in enumerate(kept, 1):
            try:
                lessons.append(self.player.learned_from(passage))
            except DataError as error:
                what = f"{_short(passage.text)!r} cannot be learned: {error.what}"
                raise DataError(
                    what, where=f"kept {number}", hint="/undo takes it back, /adapt off goes on without."
                ) from error
        return lessons


def _size(scene: Scene) -> int:
    """Characters of the passages of a scene, of which several scenes may share some."""
    return sum(len(choice.passage.text) for choice in scene.choices) + len(scene.passage.text if scene.passage else "")


def _short(text: str) -> str:
    """A text in a line."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN // 2]} … {line[-SHOWN // 2 :]}"
