"""A trained model of replies as its user meets it: on the command line, in Python, and with input that nobody prepared."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import seqgen
from seqgen import api, held_out
from seqgen.api import Loaded
from seqgen.conversations import Pair, pack, unpack
from seqgen.corpus import read_split
from seqgen.decoding.rules import RuleSettings
from seqgen.errors import CheckpointError, DataError, UsageError
from seqgen.manifest import MANIFEST
from seqgen.models import ReplyModel
from seqgen.recipe import TrainingSettings
from seqgen.reply_evaluation import ComparisonSettings
from seqgen.replying import BEAM, FLUENCY_BY_HEART, Replier, ReplySettings, _unlike, _usual
from seqgen.searching import Found
from tests.commands import Run
from tests.exchanges import exchanges, write_tsv
from tests.interrupts import CtrlC

SETTINGS: dict[str, dict[str, Any]] = {
    "model": {
        "hidden": 48,
        "embedding": 32,
        "layers": 1,
        "hidden_dropout": 0.0,
        "output_dropout": 0.0,
        "message_dropout": 0.0,
    },
    "training": {"threads": 1, "dtype": "float32", "learning_rate": 0.01, "batch_symbols": 800},
}
TINY = ["--threads", "1", "--kind", "replies", "--set", "model.hidden=8", "--set", "training.dtype=float32"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows its corpus nearly by heart."""
    folder = tmp_path_factory.mktemp("trained")
    before = os.environ.get("SEQGEN_CACHE"), Path.cwd()
    os.environ["SEQGEN_CACHE"] = str(folder / "cache")
    os.chdir(folder)
    try:
        settings = {"corpus": {"kind": "replies"}, **SETTINGS}
        return seqgen.train(write_tsv("talk.tsv"), steps=250, settings=settings, out=folder / "model").checkpoint
    finally:
        os.chdir(before[1])
        if before[0] is None:
            del os.environ["SEQGEN_CACHE"]
        else:
            os.environ["SEQGEN_CACHE"] = before[0]


@pytest.fixture(scope="module")
def model(trained: Path) -> Loaded:
    return seqgen.load(trained)


def typed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))


def test_it_answers_what_it_has_learned(model: Loaded) -> None:
    answers: dict[str, list[str]] = {}
    for message, reply in exchanges():
        answers.setdefault(message, []).append(reply)
    told = model.replies(list(answers), ReplySettings(count=1))
    right = sum(replies[0].text in answers[message] for message, replies in zip(answers, told, strict=True))
    assert right > 0.8 * len(answers)


def test_replies_differ(model: Loaded) -> None:
    for message, _ in exchanges()[:10]:
        replies = model.reply(message)
        assert len({reply.text for reply in replies}) == len(replies) == 3


def test_the_best_comes_first_and_then_what_is_unlike_it() -> None:
    found = [Found(ids, 1.0, -1.0) for ids in ([4, 5, 6], [4, 5, 7], [8, 9], [4, 5, 6, 7])]
    assert [one.ids for one in _unlike(found, [-1.0, -0.9, -1.3, -0.95])] == [
        [4, 5, 7],
        [8, 9],
        [4, 5, 6],
        [4, 5, 6, 7],
    ]
    assert _unlike([], []) == []


def test_what_matches_the_message_far_better_comes_first(model: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """A match that is far better overrules the likelihood."""
    messages = [message for message, _ in exchanges()[:3]]
    replier = model.replier()
    plain = replier.replies(messages, ReplySettings(count=2))

    def match(self: ReplyModel, state: Any, owners: Tensor, replies: Tensor, real: Tensor) -> Tensor:
        wanted = [replier.tokenizer.encode(each[1].text).tolist() for each in plain]
        pairs = zip(owners.tolist(), replies.t().tolist(), strict=True)
        return torch.tensor([100.0 * (ids[: len(wanted[owner])] == wanted[owner]) for owner, ids in pairs])

    monkeypatch.setattr(ReplyModel, "match", match)
    for before, after in zip(plain, replier.replies(messages, ReplySettings(count=2)), strict=True):
        assert after[0] == before[1]


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Loaded:
    """The same model, as if it had learned what is said anyhow."""
    folder = tmp_path_factory.mktemp("drawing") / "model"
    shutil.copytree(trained, folder)
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    manifest["recipe"]["model"]["message_dropout"] = 0.2
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    return seqgen.load(folder)


def test_where_it_knows_what_is_said_anyhow_it_draws_and_the_seed_repeats_it(drawing: Loaded) -> None:
    messages = ["Where is the rope?", "Please hand the lid to Ivy."]
    told = {seed: drawing.replies(messages, ReplySettings(count=20, random_seed=seed)) for seed in range(3)}
    assert drawing.replies(messages, ReplySettings(count=20, random_seed=1)) == told[1]
    assert len({str(each) for each in told.values()}) == 3
    for message, together in zip(messages, told[1], strict=True):
        alone = drawing.reply(message, ReplySettings(count=20, random_seed=1))
        assert [reply.text for reply in alone] == [reply.text for reply in together]


def test_a_beam_of_one_is_greedy_there_too(drawing: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqgen.replying.DRAWN_AT", 9.0)
    one, *others = (
        drawing.reply("Where is the rope?", ReplySettings(count=1, beam=1, random_seed=n)) for n in range(5)
    )
    assert others == [one] * 4


def test_first_comes_what_the_message_makes_likelier(drawing: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = [message for message, _ in exchanges()[:3]]
    plain = drawing.replies(messages, ReplySettings(count=2))
    wanted = [drawing.tokenizer.encode(each[1].text).tolist() for each in plain]

    def gains(self: ReplyModel, nats: Tensor, replies: Tensor, real: Tensor) -> Tensor:
        return torch.tensor([100.0 * any(ids[: len(one)] == one for one in wanted) for ids in replies.t().tolist()])

    monkeypatch.setattr(ReplyModel, "gains", gains)
    for before, after in zip(plain, drawing.replies(messages, ReplySettings(count=2)), strict=True):
        assert after[0] == before[1]


def test_all_are_answered_however_few_at_once(drawing: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    messages = list(dict.fromkeys(message for message, _ in exchanges()))[:7]
    together = drawing.replies(messages, ReplySettings(count=1))
    for name, most in (("TOGETHER", 2), ("MOST_CHOICES", 1)):
        monkeypatch.setattr(f"seqgen.replying.{name}", most)
        apart = drawing.replies(messages, ReplySettings(count=1))
        assert [each[0].text for each in apart] == [each[0].text for each in together]


def test_half_a_character_that_was_spelled_can_be_written(model: Loaded) -> None:
    spelled = [byte + 1 for byte in b"a \xed\xb4\xbb b"]
    (reply,) = model.replier()._told([Found(spelled, 1.0, -0.1)], "", ReplySettings())
    assert reply.text == "a \ufffd b"


def test_how_well_it_is_said_is_told_by_others_of_its_length(model: Loaded) -> None:
    nats, lengths, owners = torch.tensor([2.0, 8.0, 9.0]), torch.tensor([2, 3, 3]), torch.tensor([0, 0, 1])
    torch.testing.assert_close(_usual(nats, lengths, owners), torch.tensor([4.0, 6.0, 9.0]))


def test_what_is_known_by_heart_comes_before_what_tells_more(drawing: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a few hundred pairs, what hangs together is what was learned."""
    monkeypatch.setattr(ReplyModel, "gains", lambda self, nats, replies, real: torch.tensor([0.0, 3.0]))
    likely, telling = Found([5, 6, 7], 1.0, -0.25), Found([8, 9, 10], 5.0, -1.25)
    for by_heart in (True, False):
        replier = Replier(drawing.replier().model, drawing.tokenizer, False, by_heart)
        state = replier.model.open(torch.tensor([[4, 0]]))
        ((first, second),) = replier._merits([[likely, telling]], state, 0)
        assert (first > second) == by_heart


def test_what_was_begun_for_them_does_not_favour_short_replies(
    drawing: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReplyModel, "gains", lambda self, nats, replies, real: torch.zeros(2))
    replier = drawing.replier()
    state = replier.model.open(torch.tensor([[4, 0]]))
    begun = [5] * 6
    ((short, long),) = replier._merits(
        [[Found([*begun, 6], 4.0, -2.0), Found([*begun, *[6] * 9], 20.0, -2.0)]], state, 6
    )
    assert short == pytest.approx(long)


@pytest.mark.parametrize("seed", [-1, 1 << 63, 1 << 70])
def test_every_number_seeds_what_is_drawn(drawing: Loaded, seed: int) -> None:
    assert drawing.reply("Where is the rope?", ReplySettings(random_seed=seed))


def test_the_usual_number_of_symbols_to_recall_may_be_named_though_replies_recall_nothing(run: Run) -> None:
    write_tsv("a.tsv")
    small = ["--threads", "1", "--kind", "replies", "--set", "model.hidden=32", "--steps", "2"]
    result = run("train", "a.tsv", *small, "--set", f"training.recall_symbols={TrainingSettings().recall_symbols}")
    assert result.code == 0, result.err
    assert seqgen.load("a").replier().model.recall is None


def test_few_pairs_are_known_by_heart_in_the_end_and_that_is_said(run: Run) -> None:
    write_tsv("a.tsv")
    small = ["--threads", "1", "--kind", "replies", "--set", "model.hidden=32", "--set", "training.evaluate_every=40"]
    small += ["--set", "training.dtype=float32"]  # in which the final look reads, too
    result = run("train", "a.tsv", *small, "--steps", "240", "--set", "training.patience=1")
    assert result.code == 0 and "by heart" in result.err, result.err
    model = seqgen.load("a")
    assert model.replier()._fluency == FLUENCY_BY_HEART and model.checkpoint.manifest.step == 240
    looks = [json.loads(line) for line in Path("checkpoints/a/metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    seen = [look["valid_nats"] for look in looks]
    kept = model.checkpoint.manifest.metrics["valid"]["nats_per_symbol"]
    assert kept == pytest.approx(seen[-1], abs=2e-3) and kept > min(seen) + 0.01


def test_a_long_answer_must_be_likelier_by_its_mean_than_a_short_one(
    model: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    replier = model.replier()
    state = replier.model.open(torch.tensor([[4, 0]]))
    long, short = Found([5] * 20, 21 * 0.50, -0.50), Found([5] * 3, 4 * 0.55, -0.55)
    for matches, likelier in ((torch.zeros(2), short), (None, long)):
        monkeypatch.setattr(ReplyModel, "match", lambda *_: matches)  # noqa: B023
        ((first, second),) = replier._merits([[long, short]], state, 0)
        assert (first > second) == (likelier is long)


def test_how_many_replies_are_wanted_does_not_change_which_comes_first(model: Loaded) -> None:
    for message in {message for message, _ in exchanges()}:
        first, *_ = many = model.reply(message, ReplySettings(count=3))
        assert model.reply(message, ReplySettings(count=1)) == [first], many


def test_as_many_are_followed_as_are_wanted_and_what_is_drawn_stands_in_order(model: Loaded) -> None:
    assert len(model.reply("Where is the rope?", ReplySettings(count=3, beam=1))) > 1
    drawn = model.reply(
        "Where is the rope?", ReplySettings(count=6, rules=RuleSettings(temperature=2.0), random_seed=1)
    )
    scores = [reply.score for reply in drawn]
    assert len(scores) > 2 and scores == sorted(scores, reverse=True)


def test_many_messages_at_once_get_the_replies_that_each_gets_alone(trained: Path) -> None:
    model = seqgen.load(trained)
    model.model.double()  # in float32 rounding may turn what is equally likely
    messages = list(dict.fromkeys(message for message, _ in exchanges()))
    together = model.replies(messages, ReplySettings(count=2, beam=3))
    for message, replies in zip(messages, together, strict=True):
        alone = model.reply(message, ReplySettings(count=2, beam=3))
        assert [reply.text for reply in replies] == [reply.text for reply in alone]


def test_a_reply_begun_is_completed(model: Loaded) -> None:
    for start in ("In the h", "No, ", "I "):
        for settings in (ReplySettings(start=start), ReplySettings(start=start, rules=RuleSettings())):
            assert all(reply.text.startswith(start.strip()) for reply in model.reply("Where is the rope?", settings))


def test_the_words_of_the_start_are_not_counted_and_never_cut(model: Loaded) -> None:
    for words in (1, 2, 50):
        (reply, *_) = model.reply("Where is the rope?", ReplySettings(start="In the hall is ", words=words))
        assert reply.text.split()[:4] == ["In", "the", "hall", "is"]
        assert len(reply.text.split()) == min(4 + words, 6 + reply.text.endswith("today.")), reply


def test_a_reply_with_a_mark_that_nothing_fills_comes_last(model: Loaded) -> None:
    replier = Replier(model.replier().model, model.tokenizer, masked=True)
    found = [
        Found(model.tokenizer.encode(text).tolist(), 1.0, -1.0) for text in ("Call [number].", "Later.", "Ask [link].")
    ]
    for message, order in (("Hi.", [1, 0, 2]), ("I am at 12.", [0, 1, 2])):
        told = [reply.text for reply in replier._told(found, message, ReplySettings())]
        assert told == [
            ("Call 12." if "12" in message else "Call [number].", "Later.", "Ask [link].")[place] for place in order
        ]
    assert [reply.text[:4] for reply in replier._told(found, "Hi.", ReplySettings(raw=True))] == [
        "Call",
        "Late",
        "Ask ",
    ]


def test_a_message_is_read_as_it_would_have_been_learned(model: Loaded) -> None:
    asked, odd = "Where is\n\nthe rope?", " Where is\n\nthe\x1frope?\x1d\n"
    assert unpack(pack([[Pair(odd, "Here.")]])) == [Pair(asked, "Here.")]
    assert model.replier()._message(odd) == model.prompt(odd) == [*model.tokenizer.encode(asked).tolist(), 0]
    assert model.reply(odd) == model.reply(asked)


def test_the_score_is_what_the_model_gives_the_reply(model: Loaded) -> None:
    reply = model.reply("Where is the rope?", ReplySettings(count=1))[0]
    replier = model.replier()
    wanted = replier.tokenizer.encode(reply.text).tolist()
    logits, state = replier.model.start(torch.tensor([replier._message("Where is the rope?")]))
    nats = 0.0
    for symbol in [*wanted, 0]:
        nats += float(logits[0].log_softmax(-1)[symbol])
        logits, state = replier.model.step(torch.tensor([symbol]), state)
    assert reply.score == pytest.approx(nats / (len(wanted) + 1), abs=1e-4)


def test_attention_looks_at_the_word_that_the_answer_repeats(model: Loaded) -> None:
    look = model.replier().look("Do we have the salt?", "No, we need the salt.")
    assert look.weights.shape == (len(look.reply), len(look.message))
    assert look.weights.sum(1) == pytest.approx([1.0] * len(look.reply), abs=1e-5)
    assert "".join(look.message[:-1]) == "Do we have the salt?"


def test_the_nearest_message_to_a_learned_one_is_itself(
    trained: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQGEN_CACHE", str(trained.parent / "cache"))
    learned = seqgen.load(trained).nearest_messages("Please order the ink?", 50)
    message = next(near.message for near in learned if near.message in dict(exchanges()))
    near = seqgen.load(trained).nearest_messages(message, 3)
    assert near[0].message == message and near[0].similarity == pytest.approx(1.0, abs=1e-4)
    assert near[0].reply in [reply for each, reply in exchanges() if each == message]
    assert len({each.message for each in near}) == 3
    result = run("reply", str(trained), message, "--near", "2", "--json")
    assert [each["message"] for each in result.json()[0]["near"]] == [each.message for each in near[:2]]


def test_the_command_line_prints_replies_with_scores_and_json(trained: Path, run: Run) -> None:
    result = run("reply", str(trained), "Where is the rope?")
    assert result.code == 0 and len(result.out.splitlines()) == 3
    (record,) = run("reply", str(trained), "Where is the rope?", "--count", "2", "--json").json()
    assert record["message"] == "Where is the rope?"
    assert [set(reply) for reply in record["replies"]] == [{"text", "score"}] * 2
    quiet = run("reply", str(trained), "Where is the rope?", "-q").out.splitlines()
    assert quiet[:2] == [reply["text"] for reply in record["replies"]] or len(quiet) == 3


def test_drawn_replies_repeat_with_their_random_seed(trained: Path, run: Run) -> None:
    ask = ("reply", str(trained), "Where is the rope?", "-t", "1.5", "--json", "--random-seed")
    first, again, other = (run(*ask, seed).json() for seed in ("1", "1", "2"))
    assert first == again != other


def test_words_are_counted(trained: Path, run: Run) -> None:
    (record,) = run("reply", str(trained), "Where is the rope?", "-n", "2", "--json").json()
    assert all(len(reply["text"].split()) <= 2 for reply in record["replies"])
    (sample,) = run("sample", str(trained), "--seed", "Where is the rope?", "-n", "2", "--json").json()
    assert len(sample["text"].split()) <= 2 and "rope?" not in sample["text"]


def test_a_picture_of_the_attention_is_drawn_and_not_overwritten(trained: Path, run: Run) -> None:
    assert run("reply", str(trained), "Where is the rope?", "--attention", "a.png").code == 0
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    assert run("reply", str(trained), "Where is the rope?", "--attention", "a.png").code == 2


@pytest.mark.parametrize("name", ["look", "look.xyz", "new/look.png"])
def test_a_picture_that_cannot_be_is_refused_before_the_model_is_sought(run: Run, name: str) -> None:
    Path("look.png").touch()
    result = run("reply", "no-such-model", "Where is the rope?", "--attention", name)
    assert result.code == 2 and name.partition("/")[0] in result.err


def test_a_message_and_a_whole_mail_are_read_from_standard_input(
    trained: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, b"Where is the rope?\n")
    assert run("reply", str(trained), "-", "--json").json()[0]["replies"]
    headers = b"From: a@example.org\r\nSubject: rope\r\nTo: b@example.org\r\n\r\n"
    typed(monkeypatch, headers + b"Hi Bea,\r\n\r\nwhere is the rope?\r\n\r\n-- \r\nAnn\r\n")
    assert run("reply", str(trained), "-", "--json").json()[0]["message"] == "where is the rope?"


@pytest.mark.parametrize(
    "message",
    [
        "\U0001f600\U0001f389",
        "\u041a\u043e\u0433\u0434\u0430?",
        "\u4f60\u597d",
        "x" * 100_000,
        "\x00\x1d\x1e\x1f",
        "a " * 50_000,
    ],
)
def test_no_message_is_too_strange_to_be_answered(trained: Path, run: Run, message: str) -> None:
    (record,) = run("reply", str(trained), message, "--json", "--count", "1").json()
    assert record["replies"] is not None


@pytest.mark.parametrize("message", ["", " \n\t"])
def test_an_empty_message_is_refused(trained: Path, model: Loaded, run: Run, message: str) -> None:
    assert "empty" in run("reply", str(trained), message).refusal()
    with pytest.raises(DataError, match="empty"):
        model.nearest_messages(message, 1)


def test_standard_input_that_is_no_text_is_refused(trained: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, b"\xff\xfe\xff")
    assert "utf-8" in run("reply", str(trained), "-").refusal()


def test_fewer_replies_and_the_name_of_a_file_are_spoken_of(trained: Path, run: Run) -> None:
    few = run("reply", str(trained), "Where is the rope?", "--beam", "1", "--count", "50", "-n", "1")
    assert few.code == 0 and 0 < len(few.out.splitlines()) < 50
    assert f"{len(few.out.splitlines())} of 50 replies" in few.err
    Path("one.eml").write_text("Subject: rope", encoding="utf-8")
    named = run("reply", str(trained), "one.eml")
    assert named.code == 0 and "- < one.eml" in named.err
    plain = run("reply", str(trained), "Where is the rope?").err
    assert "replies" not in plain and "<" not in plain
    assert run("reply", str(trained), "word " * 200).code == 0  # too long for the name of a file


def test_beam_and_temperature_contradict_each_other(trained: Path, run: Run) -> None:
    assert run("reply", str(trained), "Hi", "--beam", "3", "-t", "1").code == 2


def test_a_model_of_text_answers_nothing_and_one_of_replies_scores_no_text_by_itself(model: Loaded, run: Run) -> None:
    Path("a.txt").write_text("some words, again and again\n" * 200, encoding="utf-8")
    small = ["--set", "model.hidden=8", "--steps", "2", "--threads", "1"]
    assert run("train", "a.txt", *small).code == 0
    result = run("reply", "a", "Hi")
    assert result.code == 2 and "answers nothing" in result.err
    with pytest.raises(UsageError, match="given its message"):
        model.score("Hi")


def test_marks_are_filled_from_the_message(run: Run) -> None:
    pairs = [(f"Is {number} the right one?", f"Yes, {number} it is.") for number in range(10, 60)]
    write_tsv("a.tsv", pairs)
    settings = {**SETTINGS, "corpus": {"kind": "replies", "mask": True}}
    seqgen.train("a.tsv", steps=120, settings=settings, name="a")
    assert seqgen.load("a").reply("Is 7,431 the right one?")[0].text == "Yes, 7,431 it is."


def test_eval_measures_replies_beside_real_ones_and_simple_ways_to_answer(
    trained: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQGEN_CACHE", str(trained.parent / "cache"))
    (record,) = run("eval", str(trained), "--json", "--split", "train", "--samples", "20").json()
    replies = record["replies"]
    assert set(replies) == {"model", "real", "most frequent", "nearest"}
    assert replies["model"]["bleu"] > 60 and replies["nearest"]["bleu"] > 90 and replies["most frequent"]["bleu"] < 60
    assert replies["most frequent"]["generic"] == 1.0 and replies["nearest"]["copied"] == 1.0
    (record,) = run("eval", str(trained), "--json").json()
    assert record["split"] == "test" and record["words"] > 0 and record["perplexity_per_word"] > 1
    assert record["baselines_per_word"]["unigram"] > 1
    table = run("eval", str(trained))
    assert table.code == 0 and "without the message" in table.out and "distinct-2" in table.out


def test_eval_takes_another_table(trained: Path, run: Run) -> None:
    write_tsv("other.tsv", [("Where is the rope?", "In the hall is the rope."), ("Where is the tea?", "Somewhere.")])
    (record,) = run("eval", str(trained), "other.tsv", "--json", "--beam", "1", "--tokenized").json()
    assert record["split"] == "other.tsv" and record["words"] == 6 + 1 + 1 + 1 + 0 * 2
    refused = run("eval", str(trained), "other.tsv", "--split", "test")
    assert refused.code == 2


def test_eval_takes_another_table_whose_columns_are_called_otherwise(trained: Path, run: Run) -> None:
    rows = [
        "asked\tby\ttold",
        "Where is the rope?\tAnn\tIn the hall is the rope.",
        "Where is the tea?\tBob\tSomewhere.",
    ]
    Path("other.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert "--columns" in run("eval", str(trained), "other.tsv", "--beam", "1").err
    (record,) = run("eval", str(trained), "other.tsv", "--json", "--beam", "1", "--columns", "asked,told").json()
    assert record["words"] == 6 + 1 + 1 + 1
    assert "does not name two columns" in run("eval", str(trained), "other.tsv", "--columns", "asked").err
    assert "--columns" in run("eval", str(trained), "--columns", "asked,told").err


def test_an_unknown_split_is_refused(model: Loaded) -> None:
    for measure in (model.evaluate, model.compare_replies):
        with pytest.raises(UsageError, match="no split"):
            measure(split="foo")
        with pytest.raises(UsageError, match="another text"):
            measure("other.tsv", split="test")


def test_a_run_of_replies_that_was_stopped_resumes_bit_for_bit(run: Run) -> None:
    write_tsv("a.tsv")
    assert run("train", "a.tsv", *TINY, "--steps", "30", "--name", "whole").code == 0
    settings: dict[str, dict[str, Any]] = {"corpus": {"kind": "replies"}, "model": {"hidden": 8}}
    settings["training"] = {"dtype": "float32"}
    stopped = seqgen.train("a.tsv", steps=30, name="cut", settings=settings, threads=1, progress=CtrlC(11))
    assert not stopped.finished and 11 <= stopped.steps < 30
    assert run("train", "--name", "cut", "--resume").code == 0
    whole, cut = (load_file(next(Path("checkpoints", name).glob("model-*.safetensors"))) for name in ("whole", "cut"))
    assert whole.keys() == cut.keys() and all(torch.equal(whole[name], cut[name]) for name in whole)


@pytest.mark.parametrize("by_heart", [True, False])
def test_the_last_weights_are_kept_of_an_interrupted_run_too(
    run: Run, by_heart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqgen.training.REPORT_EVERY", -1.0)  # so that it can be stopped between two looks
    write_tsv("a.tsv")
    settings: dict[str, dict[str, Any]] = {"corpus": {"kind": "replies"}, "model": {"hidden": 8}}
    settings["training"] = {"dtype": "float32", "by_heart": by_heart, "evaluate_every": 8}
    assert seqgen.train("a.tsv", steps=30, name="cut", settings=settings, threads=1, progress=CtrlC(11)).steps == 11
    kept = load_file(next(Path("checkpoints/cut").glob("model-*.safetensors")))
    state = load_file(next(Path("checkpoints/cut/resume").glob("state-11-*.safetensors")))
    assert all(torch.equal(tensor, state[f"averaged/{name}"]) for name, tensor in kept.items()) == by_heart


@pytest.mark.parametrize("cell", ["gru", "rnn"])
@pytest.mark.parametrize("attention", ["none", "bahdanau"])
def test_every_cell_and_attention_can_be_trained_and_asked(run: Run, cell: str, attention: str) -> None:
    write_tsv("a.tsv")
    trained = run("train", "a.tsv", *TINY, "--steps", "3", "--cell", cell, "--set", f"model.attention={attention}")
    assert trained.code == 0
    result = run("reply", "a", "Where is the rope?", "--json")
    assert result.code == 0, result.err
    assert len(result.json()[0]["replies"]) > 0
    assert run("reply", "a", "Hi", "--attention", "a.png").code == (2 if attention == "none" else 0)


@pytest.mark.parametrize(
    ("columns", "code"), [(["--columns", "a , b"], 0), (["--set", "corpus.columns=b, a"], 0), (["--columns", "a"], 2)]
)
def test_columns_are_named_with_a_comma_between_them(run: Run, columns: list[str], code: int) -> None:
    write_tsv("a.tsv", [("a", "b"), *exchanges()])
    result = run("train", "a.tsv", *TINY, "--steps", "1", *columns)
    assert result.code == code, result.err
    assert code == 0 or "corpus.columns" in result.err


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        ("training.lanes=3", "replies"),
        ("model.tied=true", "replies"),
        ("model.attention=dot", "text"),
        ("model.message_dropout=0.2", "text"),
        ("training.by_heart=true", "text"),
    ],
)
def test_a_setting_without_effect_is_refused(run: Run, setting: str, kind: str) -> None:
    write_tsv("a.tsv")
    result = run("train", "a.tsv", "--kind", kind, "--steps", "1", "--set", setting, "--set", "model.hidden=64")
    assert result.code == 2 and setting.partition("=")[0] in result.err


def test_an_odd_number_of_units_is_refused(run: Run, trained: Path, tmp_path: Path) -> None:
    write_tsv("a.tsv")
    result = run("train", "a.tsv", *TINY, "--steps", "1", "--set", "model.hidden=9")
    assert result.code == 2 and "even number" in result.err
    copy = Path(shutil.copytree(trained, tmp_path / "copy"))
    text = (copy / MANIFEST).read_text(encoding="utf-8")
    (copy / MANIFEST).write_text(text.replace('"hidden": 48', '"hidden": 49'), encoding="utf-8")
    with pytest.raises(CheckpointError, match="cannot be halved"):
        seqgen.load(copy)


def test_fewer_than_20_pairs_are_refused(run: Run) -> None:
    write_tsv("a.tsv", exchanges()[:19])
    assert "19 pairs" in run("train", "a.tsv", "--kind", "replies").refusal()


def test_no_private_text_stands_in_info_or_in_what_training_says(run: Run) -> None:
    pairs = [(f"The code is {number} zebra", f"I keep the zebra, {number}") for number in range(30)]
    write_tsv("a.tsv", pairs)
    trained = run("train", "a.tsv", *TINY, "--steps", "3", "--json")
    informed = [run("info", "a").out, run("info", "a", "--json").out]
    assert trained.code == 0
    assert all("zebra" not in text for text in (trained.err, trained.out, *informed))


def mailbox() -> str:
    """25 threads, in each of which Ann answers Bob and he thanks her."""
    mails = [
        f"From {who}@example.org Mon Jan  1 00:00:00 2024\nFrom: {who.title()} <{who}@example.org>\nTo: x@example.org\n"
        f"Subject: s\nMessage-ID: <{number}@x>\n{answers}\n{text}\n\n"
        for thread in range(25)
        for number, who, answers, text in (
            (3 * thread, "bob", "", f"Shall we meet at the river, plan {thread}?"),
            (3 * thread + 1, "ann", f"In-Reply-To: <{3 * thread}@x>\n", "Yes, at the river."),
            (3 * thread + 2, "bob", f"In-Reply-To: <{3 * thread + 1}@x>\n", "Thank you, that is kind."),
        )
    ]
    Path("a.mbox").write_text("".join(mails), encoding="utf-8")
    return "a.mbox"


def test_stats_read_a_table_and_mail_as_train_does(run: Run) -> None:
    (whole,) = run("corpus", "stats", mailbox(), "--json").json()
    (mine,) = run("corpus", "stats", "a.mbox", "--me", "Ann@example.org", "--json").json()
    assert (whole["documents"], mine["documents"], mine["kind"]) == (25, 25, "replies")
    assert mine["characters"] < whole["characters"]
    Path("b.tsv").write_text(
        "\n".join(f"{number}\tWhere is {number}?\tHere." for number in range(30)), encoding="utf-8"
    )
    refused = run("corpus", "stats", "b.tsv", "--kind", "replies")
    assert refused.code == 3 and "--columns" in refused.err
    (table,) = run("corpus", "stats", "b.tsv", "--kind", "replies", "--columns", "2, 3", "--json").json()
    assert table["documents"] == 30


def test_an_address_among_the_settings_is_refused(run: Run) -> None:
    for setting in ("corpus.me=ann@example.org", "corpus.me=0123456789abcdef,ann@example.org"):
        result = run("train", mailbox(), "--steps", "1", "--set", setting)
        assert result.code == 2 and "--me" in result.err and "ann@" not in result.err


def test_of_mail_only_what_i_wrote_is_learned(run: Run) -> None:
    mailbox()
    assert (
        run("train", "a.mbox", *TINY[:2], "--steps", "3", "--me", "Ann@example.org", "--set", "model.hidden=8").code
        == 0
    )
    (about,) = run("info", "a", "--json").json()
    assert about["kind"] == "replies" and about["recipe"]["corpus"]["mask"]
    assert "ann" not in json.dumps(about["recipe"]["corpus"]["me"])
    learned = [near.reply for near in seqgen.load("a").nearest_messages("river", 50)]
    assert learned and set(learned) == {"Yes, at the river."}
    nobody = run("train", "a.mbox", "--steps", "3", "--me", "zoe@example.org")
    assert "75 letters" in nobody.refusal() and "--me" in nobody.err


def test_a_model_of_text_cannot_begin_one_of_replies(run: Run) -> None:
    Path("a.txt").write_text("some words, again and again\n" * 200, encoding="utf-8")
    small = ["--set", "model.hidden=8", "--steps", "2", "--threads", "1", "--tokenizer", "bpe"]
    assert run("train", "a.txt", *small).code == 0
    write_tsv("b.tsv")
    result = run("train", "b.tsv", "--kind", "replies", "--steps", "2", "--init-from", "a")
    assert result.code == 2 and "cannot begin" in result.err


def test_a_model_of_replies_begins_from_another(run: Run) -> None:
    write_tsv("a.tsv")
    write_tsv("b.tsv", [(message.upper(), reply) for message, reply in exchanges()])
    assert run("train", "a.tsv", *TINY, "--steps", "3").code == 0
    result = run("train", "b.tsv", "--kind", "replies", "--steps", "3", "--threads", "1", "--init-from", "a")
    assert result.code == 0, result.err


def test_a_translation_is_told_by_its_lengths_and_does_not_learn_to_match(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seqgen.defaults.KNOWN_BY_HEART", math.inf)  # so few pairs are read very often
    sides = [" ".join(f"{word}{number}" for number in range(1 + place % 7)) for place in range(60) for word in "ab"]
    echoes = list(zip(sides[::2], sides[1::2], strict=True))
    for name, pairs, matches in (("a", exchanges(), True), ("b", echoes, False)):
        write_tsv(f"{name}.tsv", pairs)
        assert run("train", f"{name}.tsv", *TINY, "--steps", "1").code == 0
        assert (seqgen.load(name).checkpoint.recipe.model.matching > 0) == matches


@pytest.mark.parametrize("matching", [0.0, 0.3])
def test_whether_it_matches_is_taken_over(run: Run, matching: float) -> None:
    write_tsv("a.tsv")
    assert run("train", "a.tsv", *TINY, "--steps", "3", "--set", f"model.matching={matching}").code == 0
    begin = ("train", "a.tsv", "--kind", "replies", "--steps", "3", "--threads", "1", "--init-from")
    assert run(*begin, "a", "--name", "b").code == 0
    assert seqgen.load("b").checkpoint.recipe.model.matching == matching
    result = run(*begin, "a", "--name", "c", "--set", f"model.matching={0.3 - matching}")
    assert result.code == 2 and "model.matching" in result.err, result.err


def test_the_help_names_the_beam_that_is_used(run: Run) -> None:
    assert f"Default {BEAM}." in " ".join(run("reply", "--help").out.split())


def test_the_help_names_the_numbers_that_are_used(run: Run) -> None:
    helps = {verb: " ".join(run(verb, "--help").out.split()) for verb in ("reply", "eval")}
    assert f"How many replies. Default {ReplySettings().count}." in helps["reply"]
    assert f"followed at once. Default {ComparisonSettings().beam}." in helps["eval"]
    assert f"the answers measured, {ComparisonSettings().messages} where not given" in helps["eval"]


def test_another_corpus_is_read_once_for_all_that_eval_says(
    trained: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    monkeypatch.setattr(held_out, "read_split", lambda *asked: read.append(asked) or read_split(*asked))  # type: ignore[func-returns-value]
    assert run("eval", str(trained), write_tsv("other.tsv", exchanges()[:4]), "--beam", "1").code == 0
    assert len(read) == 1


def test_what_a_model_of_text_has_no_use_for_is_refused_before_it_is_measured(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.txt").write_text("some words, again and again\n" * 200, encoding="utf-8")
    assert run("train", "a.txt", "--set", "model.hidden=8", "--steps", "2", "--threads", "1").code == 0
    monkeypatch.setattr(api, "evaluate", None)
    for option in (["--beam", "2"], ["--tokenized"], ["--samples", "2"]):
        result = run("eval", "a", *option)
        assert result.code == 2 and option[0] in result.err, result.err


def test_an_unreadable_message_is_an_error_of_data(model: Loaded) -> None:
    with pytest.raises(DataError, match="Unicode"):
        model.reply("half of a pair: \ud83d")
