"""A model that answers: a chat, with replies to choose from. It remembers the last turns."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seqgen.api import Loaded
from seqgen.conversations import tidy
from seqgen.errors import UsageError
from seqgen.mail.masks import fill, is_whole, mask
from seqgen.replying import Reply, ReplySettings
from seqgen.session.answers import Budget, chances, has_text, rules_of, word_of
from seqgen.session.scene import Choice, Passage, Picture, Scene, Stage, Turn
from seqgen.session.settings import OF_CHATTING, Setting
from seqgen.tokenizers import DOCUMENT

REMEMBERED = 6
"""The last turns that a reply takes into account."""
FEW_WORDS = 4
"""Of a message that may mean nothing without the one before it."""
OFFERED = 9
"""Pieces of a reply that could come next that are offered."""
OF_DRAWING = ("temperature", "top-k", "top-p", "min-p", "repetition-penalty", "no-repeat")
"""Settings with which replies are drawn, and not chosen from the likeliest."""


class Chat:
    """Answers with a model of replies.

    Args:
        model: of replies.
    """

    answers = True

    def __init__(self, model: Loaded) -> None:
        self.model = model
        self.settings: Mapping[str, Setting] = OF_CHATTING

    def check(self, values: Mapping[str, Any]) -> None:
        """Refuses settings that cannot be meant together.

        Raises:
            UsageError: the first of them.
        """
        _settings(values, 0, values.get("count", 1))

    def answer(self, scene: Scene, seed: str, stage: Stage, budget: Budget) -> Scene:
        """Replies to a message. The first is taken to be said, until another one is.

        Raises:
            DataError: the message is empty or cannot be read.
        """
        return self._suggest(dataclasses.replace(scene, shown=0), seed, stage)

    def again(self, scene: Scene, stage: Stage, budget: Budget) -> Scene:
        """Other replies to the same message.

        Raises:
            UsageError: there was none.
        """
        if not scene.turns or scene.passage is None:
            raise UsageError("there is nothing to answer", hint="Type a message first.")
        before = dataclasses.replace(scene, turns=scene.turns[:-1])
        found = self._suggest(before, scene.passage.seed, stage)
        return found if found.choices else scene

    def more(self, scene: Scene, stage: Stage, budget: Budget) -> Scene:
        """Nothing: a reply says itself where it ends.

        Raises:
            UsageError: always.
        """
        raise UsageError("a reply ends by itself", hint="/again shows others, /next builds one piece by piece.")

    def next(self, scene: Scene, text: str | None, stage: Stage) -> Scene:
        """Offers what a reply to the last message could begin or go on with.

        Raises:
            UsageError: there was no message.
        """
        if scene.passage is None:
            raise UsageError("there is nothing to answer", hint="Type a message first.")
        message = scene.passage.seed
        draft = scene.passage.text if scene.passage.stopped_by is None else ""
        passage = Passage(message, draft if text is None else text)
        names = self.model.tokenizer.names()
        found = []
        for one in self.model.next(passage.text, OFFERED, message):
            ends, more = one.text == names[DOCUMENT], word_of(one)
            if not (ends or has_text(one, names)):
                continue
            after = Passage(message, passage.text + ("" if ends else more), stopped_by="document" if ends else None)
            found.append(Choice(one.text if ends else more, after, chances(one), not ends))
        stage.offer(tuple(found))
        return dataclasses.replace(scene, passage=passage, choices=tuple(found))

    def words(self) -> Sequence[str]:
        """Those that are a symbol."""
        pieces = (name.strip() for name in self.model.tokenizer.names())
        return [piece for piece in pieces if len(piece) > 2 and piece.isalpha()]

    def learned_from(self, passage: Passage) -> npt.NDArray[np.int64]:
        """The ids that the model reads to learn a reply to its message."""
        sides = (tidy(mask(side) if self.model.masked else side) for side in (passage.seed, passage.text))
        parts = (
            [DOCUMENT],
            self.model.tokenizer.encode(next(sides)),
            [DOCUMENT],
            self.model.tokenizer.encode(next(sides)),
        )
        return np.concatenate([np.asarray(part, dtype=np.int64) for part in parts])

    def render(self, passages: Sequence[Passage] | None, scene: Scene, suffix: str) -> list[bytes]:
        """Messages and replies in one file, or all that was said; as a table or as objects they can be learned from.

        Raises:
            UsageError: there is no such file, or nothing was said.
        """
        turns = scene.turns if passages is None else [Turn(passage.seed, passage.text) for passage in passages]
        if not turns:
            raise UsageError("nothing was said yet", hint="Type a message first.")
        return [render_turns(turns, suffix)]

    def picture(self, passage: Passage) -> Picture:
        """Nothing."""
        return lambda width, colour: []

    def _suggest(self, scene: Scene, message: str, stage: Stage) -> Scene:
        """Offers replies that were not said in the last turns, nor shown to this message before."""
        turns, count = scene.turns[-REMEMBERED:], scene.values.get("count", ReplySettings().count)
        said = {_plain(turn.reply) for turn in turns}
        drawn = any(name in scene.values for name in OF_DRAWING)
        seen = 0 if drawn else scene.shown  # what is drawn is new each time
        settings = _settings(scene.values, scene.random_seed, count + len(said) + seen)
        replies = self._replies(message, turns, settings)
        shown = [reply for reply in replies if _plain(reply.text) not in said][seen:][:count]
        if not shown:
            stage.tell("no more replies that differ")
            return dataclasses.replace(scene, choices=())
        random_seed = scene.random_seed if drawn else None
        choices = tuple(
            Choice(reply.text, Passage(message, reply.text, (), random_seed, "document"), f"{reply.score:.2f}")
            for reply in shown
        )
        stage.offer(choices)
        return dataclasses.replace(
            scene,
            passage=choices[0].passage,
            choices=choices,
            shown=scene.shown + len(shown),
            turns=(*scene.turns, Turn(message, choices[0].label)),
            random_seed=scene.random_seed + 1,
        )

    def _replies(self, message: str, turns: Sequence[Turn], settings: ReplySettings) -> list[Reply]:
        """Replies to a message after some turns. A short one ("And on Friday?") is also read behind the message before it: every
        other reply answers both. Numbers and the like that it lacks are taken from earlier messages, the latest first."""
        readings = [message]
        if turns and len(message.split()) <= FEW_WORDS:
            readings.insert(0, f"{turns[-1].message} {message}")
        beam = max(1, settings.beam // len(readings))  # so that two readings take no longer than one
        found = self.model.replies(readings, dataclasses.replace(settings, raw=True, beam=beam))
        mixed = [reply for row in itertools.zip_longest(*found) for reply in row if reply is not None]
        said = "\n".join([message, *(turn.message for turn in reversed(turns))])
        filled = [reply._replace(text=fill(reply.text, said)) if self.model.masked else reply for reply in mixed]
        different = {_plain(reply.text): reply for reply in reversed(filled)}
        once = [reply for reply in filled if different[_plain(reply.text)] is reply]
        return sorted(once, key=lambda reply: self.model.masked and not is_whole(reply.text))


def render_turns(turns: Sequence[Turn], suffix: str) -> bytes:
    """What was said, as a file with this ending: `.txt` to read, `.tsv` and `.jsonl` also to learn from.

    Raises:
        UsageError: there is no such file.
    """
    match suffix.lower():
        case ".jsonl":
            lines = [json.dumps(turn._asdict(), ensure_ascii=False) for turn in turns]
        case ".tsv":
            lines = ["\t".join(" ".join(side.split()) for side in turn) for turn in turns]
        case ".txt" | ".md":
            lines = [line for turn in turns for line in (f"> {turn.message}", turn.reply, "")][:-1]
        case _:
            raise UsageError(
                f"replies cannot be written as {suffix or 'a file without an ending'}",
                hint="There are: .txt, .md, .tsv, .jsonl.",
            )
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _settings(values: Mapping[str, Any], random_seed: int, count: int) -> ReplySettings:
    """What so many replies should be like."""
    settings = ReplySettings()
    drawn = any(name in values for name in OF_DRAWING)
    return ReplySettings(
        count=count,
        beam=values.get("beam", settings.beam),
        start=values.get("start", settings.start),
        rules=rules_of(values) if drawn else None,
        words=values.get("length"),
        random_seed=random_seed if drawn else 0,
    )


def _plain(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum()) or text
