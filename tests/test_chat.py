"""A model that answers: suggestions, turns that are remembered, and replies that are built piece by piece."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seqgen.errors import DataError, UsageError
from seqgen.replying import Reply, ReplySettings
from seqgen.session.answers import Budget
from seqgen.session.chat import REMEMBERED, Chat, render_turns
from seqgen.session.scene import Passage, Scene, Turn
from tests.exchanges import exchanges
from tests.rehearsal import Play, assert_repeated
from tests.untrained import untrained

ASKED, ALSO = "Where is the tea?", "Do we have any ink left?"


class Canned:
    """Replies that are known before they are asked for, in place of a model's.

    Attributes:
        asked: messages, and how many replies were wanted.
    """

    def __init__(self, *texts: str) -> None:
        self.texts, self.asked = texts, list[tuple[list[str], int]]()

    def __call__(self, messages: Sequence[str], settings: ReplySettings) -> list[list[Reply]]:
        self.asked.append((list(messages), settings.count))
        return [[Reply(text, -0.5) for text in self.texts[: settings.count]] for _ in messages]


def canned(models: Path, monkeypatch: pytest.MonkeyPatch, *texts: str) -> tuple[Play, Canned]:
    """A chat whose model has only these replies."""
    play, replies = Play(models, "replies", length=None), Canned(*texts)
    monkeypatch.setattr(play.session.model, "replies", replies)
    return play, replies


def labels(play: Play) -> list[str]:
    return [choice.label for choice in play.scene.choices]


def test_three_replies_are_suggested_and_the_first_is_said(models: Path) -> None:
    play = Play(models, "replies", ASKED)
    assert len(labels(play)) == 3 == len(set(labels(play)))
    assert play.passage == play.scene.choices[0].passage and play.passage.seed == ASKED
    assert play.scene.turns == (Turn(ASKED, labels(play)[0]),)
    assert play.stage.of("offer") == [play.scene.choices]
    assert all(-20 < float(choice.detail) <= 0 for choice in play.scene.choices)


def test_a_number_says_another_one(models: Path) -> None:
    play = Play(models, "replies", ASKED, ALSO)
    first = play.scene.turns[0]
    for number in (3, 2, 1):
        play.hear(str(number))
        assert play.scene.turns == (first, Turn(ALSO, labels(play)[number - 1]))
        assert play.passage.text == labels(play)[number - 1]
    assert_repeated(play)


def test_count_says_how_many_are_suggested(models: Path) -> None:
    assert len(labels(Play(models, "replies", "/count 5", ASKED))) == 5
    assert len(labels(Play(models, "replies", "/count 1", ASKED))) == 1


def test_again_shows_others_and_says_the_first_of_them(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play, _ = canned(models, monkeypatch, *"abcdefgh")
    play.hear(ASKED)
    shown = [labels(play)]
    for _ in range(2):
        play.hear("/again")
        shown.append(labels(play))
        assert play.scene.turns == (Turn(ASKED, labels(play)[0]),)
    assert shown == [["a", "b", "c"], ["d", "e", "f"], ["g", "h"]]
    scene = play.scene
    play.hear("/again")
    assert "no more replies that differ" in play.stage.told and play.scene == scene
    play.hear(ALSO)
    assert labels(play) == ["a", "b", "c"], "to another message they are new, but for what was said"


def test_what_was_said_in_the_last_turns_is_not_suggested(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"reply {letter}" for letter in "abcdefghijkl"]
    play, replies = canned(models, monkeypatch, *texts)
    for _ in range(REMEMBERED + 2):
        play.hear("What do you say to that, then?")
    said = [turn.reply for turn in play.scene.turns]
    assert said[: REMEMBERED + 1] == texts[: REMEMBERED + 1]
    assert said[REMEMBERED + 1] == texts[0], "what is longer ago than that can be said again"
    assert max(count for _, count in replies.asked) == 3 + REMEMBERED


def test_what_differs_in_signs_alone_is_the_same(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play, _ = canned(models, monkeypatch, "Yes.", "yes!", "No.", "Yes", "?", "!", "Well")
    play.hear("/count 9", "What do you say to that?")
    assert labels(play) == ["Yes.", "No.", "?", "!", "Well"]


def test_a_short_message_is_also_read_behind_the_one_before_it(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play, replies = canned(models, monkeypatch, *"abcdefghij")
    play.hear("Are you free on Thursday evening?", "And on Friday?", "Then let us meet at the old mill.")
    assert [messages for messages, _ in replies.asked] == [
        ["Are you free on Thursday evening?"],
        ["Are you free on Thursday evening? And on Friday?", "And on Friday?"],
        ["Then let us meet at the old mill."],
    ]
    assert [turn.message for turn in play.scene.turns][1] == "And on Friday?"


def test_a_message_to_which_nothing_is_left_to_say_is_said_so(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play, _ = canned(models, monkeypatch, "Yes.")
    play.hear("Is that all you can say?", "I asked you whether that is all.")
    assert "no more replies that differ" in play.stage.told and play.scene.choices == ()


def test_numbers_are_taken_from_this_message_and_then_from_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = [side for pair in exchanges() for side in pair]
    folder = untrained(tmp_path / "checkpoints" / "masked", [*sides, "[number]"], "replies")
    manifest = json.loads((folder / "checkpoint.json").read_text(encoding="utf-8"))
    manifest["recipe"]["corpus"]["mask"] = True
    (folder / "checkpoint.json").write_text(json.dumps(manifest), encoding="utf-8")
    play = Play(tmp_path, "masked", length=None)
    assert play.session.model.masked
    monkeypatch.setattr(play.session.model, "replies", Canned("At [number].", "No [link].", "Fine."))
    play.hear("Shall we meet at 17 o'clock then?")
    assert labels(play) == ["At 17.", "Fine.", "No [link]."], "what cannot be filled comes last"
    play.hear("Or would you rather come at noon?")
    assert "At 17." not in labels(play), "it was said"
    play.hear("/keep")


def test_drawn_replies_are_new_each_time_and_come_again(models: Path) -> None:
    play = Play(models, "replies", "/temp 1.2", ASKED)
    first = labels(play)
    play.hear("/again", "/temp default", ASKED)
    second, third = (offered[0].passage.random_seed for offered in play.stage.of("offer")[1:])
    assert [choice.label for choice in play.stage.of("offer")[1]] != first
    assert (second, third) == (8, None), "what is not drawn has no random seed"
    assert_repeated(play)


def test_every_reply_can_begin_as_one_likes(models: Path) -> None:
    play = Play(models, "replies", "/set start In ", ASKED)
    assert all(label.startswith("In") for label in labels(play))


def test_the_settings_of_replies_reach_the_model(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play, seen = Play(models, "replies", length=None), list[ReplySettings]()

    def replies(messages: Sequence[str], settings: ReplySettings) -> list[list[Reply]]:
        seen.append(settings)
        return [[Reply("a", 0.0)]]

    monkeypatch.setattr(play.session.model, "replies", replies)
    play.hear("/set beam 9", "/set start Yes", "/length 4", "/top-p 0.5", ASKED)
    (wanted,) = seen
    assert (wanted.beam, wanted.start, wanted.words, wanted.random_seed) == (9, "Yes", 4, 7)
    assert wanted.rules is not None and wanted.rules.top_p == 0.5


# Piece by piece


def test_a_reply_can_be_built_piece_by_piece(models: Path) -> None:
    play = Play(models, "replies", ASKED, "/next")
    assert play.passage == Passage(ASKED, ""), "it begins anew"
    for _ in range(3):
        choices = play.scene.choices
        number = next(number for number, choice in enumerate(choices, 1) if choice.goes_on)
        play.hear(str(number))
        assert play.passage == choices[number - 1].passage
        assert play.scene.turns == (Turn(ASKED, play.passage.text),)
    ends = [number for number, choice in enumerate(play.scene.choices, 1) if not choice.goes_on]
    draft = play.passage.text
    play.hear(str(ends[0]))
    assert (play.passage.text, play.passage.stopped_by, play.scene.choices) == (draft, "document", ())
    assert_repeated(play)


def test_next_goes_on_from_a_text(models: Path) -> None:
    play = Play(models, "replies", ASKED, "/next In the ")
    assert play.passage == Passage(ASKED, "In the ")
    assert all(choice.passage.text.startswith("In the ") for choice in play.scene.choices)


def test_parts_of_characters_are_not_offered(models: Path) -> None:
    play = Play(models, "replies", "0", '/next "0\\r"')
    assert not any("\u27e8" in choice.passage.text for choice in play.scene.choices)


# Words, lessons, files


def test_the_words_that_it_knows_are_its_symbols(tmp_path: Path) -> None:
    sides = [side for pair in exchanges() for side in pair] * 4
    untrained(tmp_path / "checkpoints" / "pieces", sides, "replies", kind_of_tokenizer="bpe", vocabulary=320)
    words = Play(tmp_path, "pieces").session.player.words()
    assert "the" in words and all(len(word) > 2 and word.isalpha() for word in words)


def test_a_lesson_is_a_message_and_its_reply(models: Path) -> None:
    play = Play(models, "replies")
    ids = play.session.player.learned_from(Passage("Where is it?\r\n", "In the hall."))
    assert ids.dtype == np.int64 and list(np.flatnonzero(ids == 0)) == [0, 1 + len("Where is it?")]
    assert play.session.model.tokenizer.decode(ids) == "Where is it?In the hall."


TURNS = [Turn("Where is\tthe tea?", "In the hall.\nOr not."), Turn("\ud800?", "»Ja«")]


def test_what_was_said_is_written_as_its_ending_says() -> None:
    assert render_turns(TURNS, ".TXT").decode() == "> Where is\tthe tea?\nIn the hall.\nOr not.\n\n> ??\n»Ja«\n"
    assert render_turns(TURNS, ".tsv").decode() == "Where is the tea?\tIn the hall. Or not.\n??\t»Ja«\n"
    first, _ = render_turns(TURNS, ".jsonl").decode().splitlines()
    assert json.loads(first) == TURNS[0]._asdict()


@pytest.mark.parametrize("suffix", ["", ".mid", ".csv", ".json"])
def test_replies_are_not_written_as_what_cannot_hold_them(suffix: str) -> None:
    with pytest.raises(UsageError, match="cannot be written") as caught:
        render_turns(TURNS, suffix)
    assert ".jsonl" in (caught.value.hint or "")


@pytest.mark.parametrize("line", ['/seed " "', '/seed "\\u2003\\n"', "/seed"])
def test_an_empty_message_is_not_answered(models: Path, line: str) -> None:
    assert isinstance(Play(models, "replies", ASKED).refusal(line), DataError)


def test_numbers_that_a_message_lacks_come_from_the_latest_that_had_them() -> None:
    found = [Reply("At [number], then.", -1.0)]
    model: Any = SimpleNamespace(masked=True, replies=lambda readings, settings: [found for _ in readings])
    stage: Any = SimpleNamespace(offer=lambda choices: None, tell=lambda words: None)
    turns = (Turn("Is 5 too early?", "No."), Turn("Or at 7?", "Well."))
    scene = Chat(model).answer(Scene(1, turns=turns), "Settled?", stage, Budget())
    assert scene.passage is not None and scene.passage.text == "At 7, then."
