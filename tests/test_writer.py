"""A model that writes on: several answers, going on, what could come next, and what it learns from."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqgen.errors import DataError
from seqgen.generation import SampleSettings
from seqgen.samples import Sample
from seqgen.scores.notation import parse
from seqgen.session import writer as module
from seqgen.session.answers import Budget, chances, word_of
from seqgen.session.scene import Passage
from seqgen.session.writer import OFFERED
from seqgen.surprises import Next
from tests.rehearsal import LENGTH, SEEDS, Notes, Play, assert_repeated
from tests.untrained import untrained

WRITERS = [name for name in SEEDS if name != "replies"]


def probabilities(play: Play) -> list[float]:
    return [float(choice.detail.split("%")[0]) for choice in play.scene.choices]


@pytest.mark.parametrize("name", WRITERS)
def test_several_answers_are_those_of_as_many_random_seeds(models: Path, name: str) -> None:
    play = Play(models, name, "/count 3", SEEDS[name])
    single = [Play(models, name, SEEDS[name], random_seed=seed).passage for seed in (7, 8, 9)]
    assert [choice.passage for choice in play.scene.choices] == single and play.scene.random_seed == 10
    assert play.passage == single[0], "the first is on the table until another is taken"
    assert [number for _, number in play.stage.of("begin")] == [1, 2, 3]


@pytest.mark.parametrize("name", WRITERS)
def test_again_is_another_answer_to_the_same(models: Path, name: str) -> None:
    play = Play(models, name, SEEDS[name], "/again", "/again")
    found = play.stage.of("end")
    assert [passage.seed for passage in found] == [SEEDS[name]] * 3
    assert [passage.random_seed for passage in found] == [7, 8, 9]


def test_again_without_a_seed_begins_as_the_training_text_does(models: Path) -> None:
    assert Play(models, "text", "/again").passage == Play(models, "text", "/seed").passage


@pytest.mark.parametrize("name", ["text", "code"])
def test_more_goes_on_from_where_it_stopped(models: Path, name: str) -> None:
    play = Play(models, name, SEEDS[name])
    for _ in range(4):
        before, seen = play.passage, len(play.stage.seen)
        play.hear("/more")
        assert play.passage.text.startswith(before.text) and play.passage.seed == SEEDS[name]
        assert 0 < len(play.passage.text) - len(before.text) <= LENGTH
        latest = Notes()
        latest.seen = play.stage.seen[seen:]
        ((given, _),) = latest.of("begin")
        assert given == before.text[before.text.rfind("\n") + 1 :], "its last line is shown again, and no more"
        assert latest.text == given + play.passage.text[len(before.text) :]
    assert_repeated(play)


def test_more_does_not_show_again_what_ends_with_a_line(models: Path) -> None:
    play = Play(models, "text", '/next "the river\\n"')
    play.hear("/more")
    assert play.stage.text == play.passage.text.removeprefix("the river\n")


def test_more_goes_on_after_the_end_of_a_document_too(models: Path) -> None:
    play = Play(models, "code", "/seed")
    while play.passage.stopped_by != "document":
        play.hear("/again")
    ended = play.passage.text
    play.hear("/more")
    assert play.passage.text.startswith(ended) and len(play.passage.text) > len(ended)


@pytest.mark.parametrize("name", ["voices", "melody"])
def test_music_goes_on_from_its_last_bar(models: Path, name: str) -> None:
    play = Play(models, name, SEEDS[name])
    before = parse(play.passage.text)
    play.hear("/more")
    after = parse(play.passage.text)
    # Where it was cut, the last notes may go on to sound.
    assert after.notes > before.notes
    for old, new in zip(before.parts, after.parts, strict=True):
        assert [note.pitch for note in new.notes][: len(old.notes)] == [note.pitch for note in old.notes]
    assert_repeated(play)


def test_music_goes_on_for_some_bars_more(models: Path) -> None:
    play = Play(models, "melody", "/set bars 2", "G4", length=None)
    bars = sum(1 for _ in parse(play.passage.text).bars())
    play.hear("/more")
    assert sum(1 for _ in parse(play.passage.text).bars()) == bars + 2


def test_again_after_more_is_another_way_to_go_on(models: Path) -> None:
    play = Play(models, "text", "the ", "/more")
    base = play.stage.of("end")[0]
    play.hear("/again")
    first, second = play.stage.of("end")[1:]
    assert first.text.startswith(base.text) and second.text.startswith(base.text) and first.text != second.text
    play.hear("/more", "/again")
    assert play.passage.text.startswith(second.text)
    assert_repeated(play)


def test_a_seed_after_more_is_answered_afresh(models: Path) -> None:
    play = Play(models, "text", "the ", "/more", "my ", "/again")
    assert play.passage.seed == "my " and len(play.passage.text) <= len("my ") + LENGTH


def test_of_a_long_text_the_end_alone_is_read_again(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(models, "text", length=80).hear("the ", "/more", "/more")
    read, samples = list[str](), play.session.model.samples

    def reading(seed: str, settings: SampleSettings, count: int, random_seed: int | None = None) -> Iterator[Sample]:
        read.append(seed)
        return samples(seed, settings, count, random_seed)

    monkeypatch.setattr(play.session.model, "samples", reading)
    monkeypatch.setattr(module, "REREAD", 40)
    before = play.passage.text
    play.hear("/more")
    assert len(read[0]) <= 40 < len(before) and before.endswith(read[0])
    assert play.passage.text.startswith(before), "nothing of it is lost"
    place = len(before) - len(read[0])
    assert before[place - 1] == "\n" or len(read[0]) == 40


# What could come next


@pytest.mark.parametrize("name", WRITERS)
def test_what_could_come_next_has_probabilities_the_likeliest_first(models: Path, name: str) -> None:
    play = Play(models, name, SEEDS[name]).hear("/next")
    found = probabilities(play)
    assert 1 <= len(found) <= OFFERED and found == sorted(found, reverse=True)
    assert 0 < sum(found) <= 100.5
    assert play.stage.of("offer") == [play.scene.choices]


@pytest.mark.parametrize("name", WRITERS)
def test_taking_what_could_come_next_asks_again(models: Path, name: str) -> None:
    play = Play(models, name, f"/next {SEEDS[name]}")
    for number in (1, 2, 1):
        if len(play.scene.choices) < number:
            number = 1
        choice = play.scene.choices[number - 1]
        play.hear(str(number))
        if name in ("text", "code"):
            assert play.passage == choice.passage
        if not choice.goes_on:
            break
        assert play.scene.choices and play.scene.choices != (choice,)
    assert_repeated(play)


def test_what_is_taken_grows_the_text(models: Path) -> None:
    play = Play(models, "text", "/next the ")
    texts = [play.passage.text]
    for _ in range(5):
        play.hear(str(next(n for n, choice in enumerate(play.scene.choices, 1) if choice.goes_on)))
        texts.append(play.passage.text)
    assert texts[0] == "the "
    assert all(longer.startswith(text) and longer != text for text, longer in itertools.pairwise(texts))
    play.hear("/more")
    assert play.passage.text.startswith(texts[-1])


def test_taking_the_end_ends_it(tmp_path: Path) -> None:
    untrained(tmp_path / "checkpoints" / "short", ["the river"], ends=4.0)
    play = Play(tmp_path, "short", "/next the ")
    number = next(number for number, choice in enumerate(play.scene.choices, 1) if not choice.goes_on)
    play.hear(str(number))
    assert (play.passage.text, play.passage.stopped_by, play.scene.choices) == ("the ", "document", ())


def test_next_after_a_text_puts_it_on_the_table(models: Path) -> None:
    play = Play(models, "text", "the ", "/next my ow")
    assert play.passage == Passage("my ow", "my ow")
    assert Play(models, "text", "/next").passage == Passage("", ""), "and without any text the beginning"


def test_a_number_behind_next_takes_a_choice_if_there_is_one(models: Path) -> None:
    play = Play(models, "text", "/next the ", "/next 2")
    other = Play(models, "text", "/next the ", "2")
    assert play.scene == other.scene and play.session.record == other.session.record
    assert play.hear("/next 77").passage.seed == "77"


def test_parts_of_characters_are_not_offered(models: Path) -> None:
    play = Play(models, "text")
    for text in ("", "the ", "é", "\u00e9\n", "xyz"):
        play.hear(f'/next "{text}"'.replace("\n", "\\n"))
        assert not any("\u27e8" in choice.passage.text for choice in play.scene.choices)


@pytest.mark.parametrize("name", ["voices", "melody"])
def test_music_is_only_offered_what_may_come(models: Path, name: str) -> None:
    play = Play(models, name, "/next G4")
    for _ in range(8):
        assert play.scene.choices
        for choice in play.scene.choices:
            assert not has_notes(choice.passage.text) or "G4" in choice.passage.text, "it keeps to its seed"
        if not play.scene.choices[0].goes_on:
            break
        play.hear("1")
    assert len(play.passage.ids) > 3
    play.hear("/undo")
    assert_repeated(play)


def has_notes(text: str) -> bool:
    try:
        return bool(parse(text).notes)
    except DataError:
        return False


def test_a_word_is_taken_as_a_whole_where_it_begins_with_the_symbol() -> None:
    grows = Next("ri", 0.5, "river", 0.25)
    assert (word_of(grows), chances(grows)) == ("river", "50.0%, the whole 25.0%")
    alone = Next(" ", 0.125, "", 0.125)
    assert (word_of(alone), chances(alone)) == (" ", "12.5%")


# Words, seeds, lessons


def test_the_words_that_a_model_knows_are_the_same_at_each_call(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLES", 8)
    player = Play(models, "text").session.player
    words = player.words()
    assert words and words == player.words() and len(set(words)) == len(words)
    assert all(re.fullmatch(r"[^\W\d]\w{2,}", word) for word in words)
    assert Play(models, "voices").session.player.words() == ()


def test_parts_of_a_seed_that_the_model_does_not_know_are_named(models: Path) -> None:
    play = Play(models, "text", "the ")
    assert "not learned" not in play.stage.told
    play.hear("Ωmega ∑ß")
    assert "'Ω'" in play.stage.told and "'∑'" in play.stage.told and play.passage.text.startswith("Ωmega ∑ß")


def test_a_lesson_begins_as_a_document_does(models: Path) -> None:
    play = Play(models, "text")
    ids = play.session.player.learned_from(Passage("the ", "the fox"))
    assert ids.dtype == np.int64 and ids[0] == 0
    assert play.session.model.tokenizer.decode(ids[1:]) == "the fox"


def test_what_its_tokenizer_cannot_hold_is_no_lesson(models: Path) -> None:
    chord = Passage("", "Piano: C4+E4+G4:2\n")
    with pytest.raises(DataError):
        Play(models, "melody").session.player.learned_from(chord)


def test_a_text_that_is_too_long_to_be_learned_at_once_is_refused(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_LESSON", 10)
    player = Play(models, "text").session.player
    with pytest.raises(DataError, match="too many") as caught:
        player.learned_from(Passage("", "a" * 11))
    assert "--adapt" in (caught.value.hint or "")
    assert len(player.learned_from(Passage("", "a" * 10))) == 11


def test_pieces_of_words_are_taken_whole(tmp_path: Path) -> None:
    """A model of pieces: what is offered is a piece, and what is taken the word that it grows to."""
    untrained(
        tmp_path / "checkpoints" / "pieces", ["the river and the rain " * 40], kind_of_tokenizer="bpe", vocabulary=300
    )
    play = Play(tmp_path, "pieces", "/next the r")
    for choice in play.scene.choices:
        if choice.goes_on:
            assert choice.passage.text.startswith("the r") and len(choice.passage.text) > len("the r")


# Budgets


def test_a_budget_ends_where_it_is_used_up_or_somebody_interrupts(models: Path) -> None:
    stage = Play(models, "text").stage
    budget, endless = Budget(2), Budget()

    def ends(budget: Budget, steps: int, patience: int | None = None) -> tuple[bool, bool]:
        budget.steps, stage.patience = steps, patience
        return budget.ends(stage), budget.interrupted

    assert ends(budget, 1) == (False, False) and ends(budget, 2) == (True, True)
    assert ends(endless, 10**9) == (False, False)
    assert ends(endless, 1, patience=0) == (True, True) and ends(endless, 1) == (True, True), "it stays so"


def test_what_was_written_is_not_recalled_as_if_it_had_been_given(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play, asked = Play(models, "text", length=9), []
    draw = play.session.model.samples

    def samples(seed: str, settings: Any, *more: Any) -> Any:
        asked.append(settings.recall)
        return draw(seed, settings, *more)

    monkeypatch.setattr(play.session.model, "samples", samples)
    play.hear("the ", "/more")
    assert asked == [True, False]
