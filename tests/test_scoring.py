"""Scores: what they say agrees with the model read step by step, and adds up; and so does what could come next."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import seqgen
from seqgen import evaluation, scoring
from seqgen.api import Loaded
from seqgen.errors import DataError, UsageError
from seqgen.modalities import MODALITIES
from seqgen.models.recall import TABLE_SHAPE, Reminder
from seqgen.recipe import TokenizerSettings
from seqgen.tokenizers import DOCUMENT, TOKENIZERS, Tokenizer
from seqgen.tokenizers.spelling import FIRST_HALF_BYTE, FIRST_KNOWN
from tests.exchanges import exchanges
from tests.texts import verse
from tests.untrained import untrained

TEXT = verse(6000)
TUNE = "key: G major\nmetre: 3/4\npickup: 1\npart 1: D4 | G4 A4:0.5 B4:0.5 A4 | G4:2 |]\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("scored") / "model"
    loaded = seqgen.load(untrained(folder, [TEXT], kind_of_tokenizer="characters"))
    loaded.model.state_dict()["output_bias"][FIRST_HALF_BYTE:FIRST_KNOWN] -= 9  # as a trained model would have it
    return loaded


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("pieces") / "model"
    return seqgen.load(untrained(folder, [TEXT], kind_of_tokenizer="bpe", vocabulary=320))


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    texts = [side for pair in exchanges() for side in pair]
    folder = tmp_path_factory.mktemp("replies") / "model"
    return seqgen.load(untrained(folder, texts, "replies", kind_of_tokenizer="characters"))


@pytest.fixture
def recalling(model: Loaded, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    """The same model with a memory of the document."""
    table = torch.randn(TABLE_SHAPE, generator=torch.Generator().manual_seed(1)).abs()
    monkeypatch.setattr(model.model, "recall", table)
    return model


def stepped(loaded: Loaded, text: str, recall: bool = False) -> list[torch.Tensor]:
    """Log-probabilities before each symbol of a text and after it, by `start` and `step`."""
    ids = loaded.tokenizer.encode(text).tolist()
    logits, state = loaded.model.start(torch.tensor([[DOCUMENT]]))
    found = []
    for number, symbol in enumerate([*ids, DOCUMENT]):
        if recall:
            assert loaded.model.recall is not None
            logits = Reminder(loaded.model.recall, DOCUMENT, [DOCUMENT, *ids[:number]], 1).bend(logits)
        found.append(logits[0].log_softmax(-1))
        logits, state = loaded.model.step(torch.tensor([symbol]), state)
    return found


# What was surprising


@pytest.mark.parametrize("recall", [False, True])
def test_probabilities_ranks_and_what_was_expected_are_those_of_the_model(recalling: Loaded, recall: bool) -> None:
    text = "the fox, the fox, the fox"
    found = recalling.score(text, recall=recall)
    steps = stepped(recalling, text, recall)
    for place, (symbol, log_p) in enumerate(zip(found.ids.tolist(), steps, strict=False)):
        assert found.nats[place] == pytest.approx(-float(log_p[symbol]), abs=1e-3)
        assert found.ranks[place] == 1 + int((log_p > log_p[symbol]).sum())
        expected = found.expected(place)
        assert [one.text for one in expected] == [found.names[i] for i in log_p.topk(3).indices.tolist()]
        assert [one.probability for one in expected] == pytest.approx(log_p.topk(3).values.exp().tolist(), abs=1e-3)
    assert len(set(found.ranks.tolist())) > 3


def test_a_rank_of_one_is_the_likeliest(model: Loaded) -> None:
    found = model.score(TEXT[:300])
    assert ((found.ranks == 1) == (found.likeliest[:, 0] == found.ids)).all()
    assert 1 in found.ranks


def test_the_network_alone_is_told_beside_what_is_recalled(recalling: Loaded) -> None:
    with_it, without = (recalling.score("fox fox fox fox", recall=recall) for recall in (True, False))
    assert with_it.nats_without_recall == without.nats == without.nats_without_recall
    assert with_it.nats != without.nats
    assert (with_it.held_out, without.held_out) == (1.87, 2.05)
    assert with_it.held_out_without_recall == 2.05


def test_the_bits_of_all_spans_words_and_blanks_are_the_bits_of_the_text(model: Loaded) -> None:
    text = "The fox \N{FOX FACE}\n\n  über 狐 end"
    found = model.score(text)
    spans = list(found.spans())
    assert math.fsum(span.bits for span in spans) == pytest.approx(found.bits)
    blanks = math.fsum(span.bits for span in spans if not span.text.strip())
    assert math.fsum(word.bits for word in found.words()) + blanks == pytest.approx(found.bits)
    assert found.bits_per_character == pytest.approx(found.bits / len(text))
    assert found.perplexity == pytest.approx(math.exp(sum(found.nats) / len(found.nats)))


def test_a_character_that_is_spelled_in_bytes_is_one_span(model: Loaded) -> None:
    fox = next(span for span in model.score("a \N{FOX FACE} b").spans() if span.text == "\N{FOX FACE}")
    assert fox.last - fox.first == 8  # half-bytes
    assert fox.probability == pytest.approx(2**-fox.bits)


@given(text=st.text(alphabet="ab .\n\tü\N{FOX FACE}", max_size=25))
def test_spans_are_the_text_and_know_their_places(model: Loaded, text: str) -> None:
    found = model.score(text)
    spans = list(found.spans())
    assert "".join(span.text for span in spans) == text == found.text
    for span in spans:
        before = text[: span.start]
        assert text[span.start :].startswith(span.text)
        assert (span.line, span.column) == (1 + before.count("\n"), 1 + len(before) - (before.rfind("\n") + 1))
    assert [word.text for word in found.words()] == text.split()
    for word in found.words():
        assert text[word.start :].startswith(word.text)
        before = text[: word.start]
        assert (word.line, word.column) == (1 + before.count("\n"), 1 + len(before) - (before.rfind("\n") + 1))


@given(text=st.text(alphabet="the fox.\n", max_size=40))
def test_words_of_pieces_are_those_of_the_text(pieces: Loaded, text: str) -> None:
    found = pieces.score(text)
    assert found.text == text
    assert [word.text for word in found.words()] == text.split()


def test_the_most_surprising_come_first(model: Loaded) -> None:
    found = model.score(TEXT[:200])
    assert [span.nats for span in found.most_surprising(5)] == sorted(found.nats, reverse=True)[:5]
    words = found.most_surprising_words(200)
    assert [word.nats for word in words] == sorted((word.nats for word in found.words()), reverse=True)


def test_a_long_text_in_lanes_is_scored_like_one_stream(model: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = model.score(TEXT)
    monkeypatch.setattr(scoring, "EXACT", 100)
    monkeypatch.setattr(evaluation, "BLOCK", 2500)
    lanes = model.score(TEXT)
    assert lanes.text == TEXT
    assert np.abs(np.array(whole.nats) - np.array(lanes.nats)).max() < 0.02
    assert (whole.ranks == lanes.ranks).mean() > 0.98


def test_an_empty_text_has_no_surprise(model: Loaded) -> None:
    found = model.score("")
    assert (found.bits, found.value, list(found.spans()), list(found.words())) == (0, 0, [], [])


def test_code_is_read_within_a_file_where_it_is_likelier_there(tmp_path: Path) -> None:
    loaded = seqgen.load(untrained(tmp_path / "code", ["x = 1\n\n\n" * 9], "code", kind_of_tokenizer="characters"))
    for text in ("x = 1", "1", "="):
        prompt = loaded.prompt(text)
        found = loaded.score(text)
        ids = loaded.tokenizer.encode(text)
        logits, _ = loaded.model.start(torch.tensor([prompt[: len(prompt) - len(ids)]]))
        assert found.nats[0] == pytest.approx(-float(logits[0].log_softmax(-1)[int(ids[0])]), abs=1e-4)
        assert found.text == text


# Replies


def test_a_reply_is_scored_after_its_message_and_its_end_counts(replies: Loaded) -> None:
    message, reply = exchanges()[0]
    found = replies.score(reply, message)
    prompt = replies.modality.prompt(replies.tokenizer, message)
    logits, state = replies.model.start(torch.tensor([prompt]))
    for nats, symbol in zip(found.nats, [*replies.tokenizer.encode(reply).tolist(), DOCUMENT], strict=True):
        assert nats == pytest.approx(-float(logits[0].log_softmax(-1)[symbol]), abs=1e-3)
        logits, state = replies.model.step(torch.tensor([symbol]), state)
    assert found.nats != replies.score(reply, "Another one").nats
    assert (found.text, found.characters) == (reply, len(reply))
    assert list(found.spans())[-1].text == ""


def test_what_a_reply_answers_must_be_said_and_nothing_else_answers(replies: Loaded, model: Loaded) -> None:
    for wrong in (lambda: replies.score("Yes."), lambda: replies.next("Yes"), lambda: model.score("a", "b")):
        with pytest.raises(UsageError, match="message"):
            wrong()
    with pytest.raises(DataError, match="message is empty"):
        replies.score("Yes.", " ")


def test_a_reply_too_long_to_be_read_is_refused(replies: Loaded) -> None:
    for reply, message in (("a" * 5000, "b"), ("a", "b" * 5000)):
        with pytest.raises(DataError, match="at most 4,000"):
            replies.score(reply, message)
        with pytest.raises(DataError, match="at most 4,000"):
            replies.next(reply, message=message)


# Music


@pytest.fixture(scope="module")
def tunes(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return seqgen.load(untrained(tmp_path_factory.mktemp("tunes") / "m", [TUNE], "music", kind_of_tokenizer="melody"))


def test_music_is_scored_note_by_note_a_bar_a_line(tunes: Loaded) -> None:
    found = tunes.score(TUNE)
    assert found.characters == 6 and found.unit.name == "nats per note"
    assert found.value == pytest.approx(sum(found.nats) / 6)
    first, *bars = found.text.splitlines()
    assert first.startswith("key G major metre 3/4 pickup 1 D4:1")
    assert [bar.split(" ")[:3] for bar in bars] == [["|", "(2", "left)"], ["|", "(1", "left)"]]
    assert {span.line for span in found.spans()} == {0, 1, 2}
    assert found.line_name == "bar" and not found.has_words


def test_music_that_the_model_cannot_read_is_refused_with_the_reason(tunes: Loaded) -> None:
    with pytest.raises(DataError, match="cannot read the piece: chords"):
        tunes.score("C4+E4+G4 D4")
    with pytest.raises(DataError, match="not a pitch") as caught:
        tunes.score("hello")
    assert caught.value.where == "line 1"
    with pytest.raises(UsageError, match="nothing comes next"):
        tunes.next("C4")


@pytest.mark.parametrize("name", TOKENIZERS)
def test_every_tokenizer_names_its_symbols_and_text_flows_as_it_is(name: str) -> None:
    settings = TokenizerSettings(kind=name, vocabulary=300)
    music = name in MODALITIES["music"].tokenizers
    voices = TUNE + "part 2: B3 | D4:3 | B3:2 |]\npart 3: G3 | B3:3 | G3:2 |]\npart 4: G2 | G2:3 | G2:2 |]\n"
    text = (voices if name == "voices" else TUNE) if music else "the old fox \N{FOX FACE}, ü\n\tand  more"
    tokenizer: Tokenizer = TOKENIZERS[name].build([text if music else TEXT], settings)
    names, ids = tokenizer.names(), tokenizer.encode(text).tolist()
    assert len(names) == tokenizer.size and all(names) and names[DOCUMENT] == "\u27e8end\u27e9"
    flow = tokenizer.flow(ids)
    assert len(flow) == len(ids)
    if music:
        assert "".join(flow).split() and [part.strip() for part in flow] == [names[symbol] for symbol in ids]
        assert "G4" in "".join(flow)
    else:
        assert "".join(flow) == text
        assert set(TEXT) <= set(names) or name == "symbols"


# What could come next


@pytest.mark.parametrize("recall", [False, True])
def test_what_could_come_next_agrees_with_the_score_of_what_came(recalling: Loaded, recall: bool) -> None:
    text = "the fox, the fox, the f"
    following = recalling.next(text, 5, recall=recall)
    assert [one.probability for one in following] == sorted((one.probability for one in following), reverse=True)
    names, log_p = recalling.tokenizer.names(), stepped(recalling, text, recall)[-1]
    told = 0
    for one in recalling.next(text, 60, recall=recall):
        assert one.probability == pytest.approx(float(log_p[names.index(one.text)].exp()), abs=1e-4)
        if "\u27e8" in one.text:
            continue
        told += 1
        assert one.word.startswith(one.text)
        nats = recalling.score(text + one.word, recall=recall).nats[len(text) :]
        assert one.probability == pytest.approx(math.exp(-nats[0]), abs=1e-4)
        if not recall and len(nats) == len(one.word):  # of what it writes itself it remembers nothing
            assert one.word_probability == pytest.approx(math.exp(-sum(nats)), rel=1e-2)
    assert told > 5


def test_all_that_could_come_next_is_certain(model: Loaded, pieces: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "LONGEST_ENDING", 1)
    for loaded in (model, pieces):
        for text in ("the ol", "", "a fox\n"):
            every = loaded.next(text, 10_000)
            assert sum(one.probability for one in every) == pytest.approx(1, abs=1e-3)
            assert len({one.text for one in every}) == len(every)


def test_a_text_that_stops_within_a_piece_can_go_on_within_it(pieces: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "LONGEST_ENDING", 1)
    whole = next(name for name in pieces.tokenizer.names() if len(name) > 4 and name.startswith(" "))
    text = f"the{whole[:-1]}"
    found = {one.text: one.probability for one in pieces.next(text, 10_000)}
    opening = pieces.tokenizer.reopen([DOCUMENT, *pieces.tokenizer.encode(text).tolist()])
    assert opening.taken_back
    assert found[whole[-1]] > 0  # the piece as a whole, or its last letter by itself


def test_a_reply_goes_on_after_its_message(replies: Loaded) -> None:
    message, reply = exchanges()[0]
    for one in replies.next(reply[:4], 60, message):
        if one.text == " " or "\u27e8half" in one.text:  # a reply ends with no blank
            continue
        text = "" if one.text == "\u27e8end\u27e9" else one.text
        nats = replies.score(reply[:4] + text, message).nats
        assert one.probability == pytest.approx(math.exp(-nats[4]), abs=1e-4)


def test_a_word_ends_where_the_next_one_begins() -> None:
    words = {
        "er of": "er",
        "!": "!",
        " the cat": " the",
        "n't go": "n't",
        "'s so": "'s",
        "' so": "'",
        "\n\nKING:": "\n\nKING",
        "   ": None,
    }
    for text, wanted in words.items():
        match = scoring._WORD.match(text)
        assert (match and match[0]) == wanted
