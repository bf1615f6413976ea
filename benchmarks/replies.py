"""Replies: translation and dialogue as yardsticks, messages that nobody prepared, and how fast replies come."""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import arguments, heading, run
from sacrebleu.metrics.chrf import CHRF

import seqgen
from seqgen.replying import ReplySettings

CORPUS = Path(__file__).parent.parent / "corpora" / "replies"
MESSAGES = Path(__file__).parent / "messages.txt"
"""Messages that were written by somebody who had not seen the corpus of replies, one a line."""
PARTS = {"train": "train", "valid": "val", "test": "test_2016_flickr"}


def main() -> None:
    """Runs the tasks that are named."""
    parser = arguments("Replies, trained and measured through the command line")
    parser.add_argument("--task", choices=TASKS, action="append", help="default: all")
    parser.add_argument("--time", help="of each training, as for `seqgen train`; default: as the task says")
    parser.add_argument("--set", action="append", default=[], help="also give this to `seqgen train`")
    parser.add_argument("--messages", type=Path, default=MESSAGES, help="for the task of that name")
    options = parser.parse_args()
    options.extra = [argument for each in options.set for argument in ("--set", each)]
    for name in options.task or TASKS:
        with tempfile.TemporaryDirectory() as folder:
            TASKS[name](options, Path(folder))


def translation(options: argparse.Namespace, here: Path) -> None:
    """Multi30k, German to English."""
    spent = options.time or "40m"
    heading(
        "Multi30k, German to English",
        f"29,000 pairs, tokenised and in small letters, as a table; `seqgen train m30k --kind replies --set "
        f"corpus.split=folders --time {spent}`; BLEU by `seqgen eval m30k --beam 5 --tokenized` on test_2016_flickr (sacrebleu, "
        "tokenize=none). Published on this text: bi-GRU with attention 28.11, convolutional 34.14, transformer 36.52.",
    )
    for part, name in PARTS.items():
        sides = [data(options, f"pairs/multi30k.{name}.{side}").read_text(encoding="utf-8") for side in ("de", "en")]
        rows = zip(*(side.splitlines() for side in sides), strict=True)
        (here / "m30k" / part).mkdir(parents=True)
        (here / "m30k" / part / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in rows), encoding="utf-8")
    train = ["train", "m30k", "--kind", "replies", "--set", "corpus.split=folders", "--time", spent, *options.extra]
    learn(train, here)
    (record,), seconds = run("eval", "m30k", "--beam", "5", "--tokenized", folder=here)
    tell(record)
    print(f"  1,000 sentences in {seconds:.0f} s, start and everything included\n")


def dialogue(options: argparse.Namespace, here: Path) -> None:
    """DailyDialog: the last tenth of the conversations for the test."""
    spent = options.time or "10m"
    conversations = data(options, "pairs/dailydialog.txt").read_text(encoding="utf-8").strip().split("\n\n")
    test = len(conversations) * 9 // 10
    cuts = {"train": (0, test * 19 // 20), "valid": (test * 19 // 20, test), "test": (test, len(conversations))}
    heading(
        "DailyDialog",
        f"{len(conversations):,} conversations, the last 10 % for the test, 5 % of the others for validation; `seqgen train "
        f"talk --kind replies --set corpus.split=folders --time {spent}`. Beside it a model of the same replies that sees no "
        "message: `seqgen train alone --documents line` of the same length, its replies shuffled.",
    )
    for part, (first, last) in cuts.items():
        (here / "talk" / part).mkdir(parents=True)
        (here / "alone" / part).mkdir(parents=True)
        chosen = conversations[first:last]
        (here / "talk" / part / "talk.txt").write_text("\n\n".join(chosen) + "\n", encoding="utf-8")
        replies = [line for talk in chosen for line in talk.splitlines()[1:] if line.strip()]
        random.Random(0).shuffle(replies)  # in their order, each would stand behind the message that it answers
        (here / "alone" / part / "replies.txt").write_text("\n".join(replies) + "\n", encoding="utf-8")
    split = ("--set", "corpus.split=folders", "--time", spent)
    learn(["train", "talk", "--kind", "replies", *split, *options.extra], here)
    (record,), _ = run("eval", "talk", folder=here)
    tell(record)
    learn(["train", "alone", "--documents", "line", *split], here)
    (blind,), _ = run("eval", "alone", folder=here)
    for name in ("bits_per_character", "bits_per_character_without_recall"):
        nats = blind[name] * blind["characters"] * math.log(2)
        print(f"  a decoder that sees no message, {name}: perplexity per word {math.exp(nats / record['words']):.2f}")
    print()


def unprepared(options: argparse.Namespace, here: Path) -> None:
    """Messages that nobody prepared, against the project's own corpus."""
    spent = options.time or "2m"
    messages = [line for line in options.messages.read_text(encoding="utf-8").splitlines() if line.strip()]
    heading(
        f"{len(messages)} unprepared messages",
        f"`seqgen train replies --time {spent}`, then `seqgen reply replies MESSAGE` for each. chrF is the mean over the pairs "
        "of a message's three replies: the lower, the more they differ. Whether they fit, read for yourself.",
    )
    learn(["train", "replies", "--time", spent, *options.extra], here)
    overlaps, chrf = [], CHRF()
    model = seqgen.load(here / "checkpoints" / "replies")
    for number, message in enumerate(messages, 1):
        replies = [reply.text for reply in model.reply(message)]
        pairs = itertools.permutations(replies, 2)
        overlaps.append([chrf.sentence_score(one, [other]).score for one, other in pairs])
        print(f"{number:3} {message}")
        print("".join(f"      {reply}\n" for reply in replies), end="")
    means = [sum(each) / len(each) for each in overlaps if each]
    print(f"\n  mean pairwise chrF among the replies to a message: {sum(means) / len(means):.1f}")
    print(f"  messages with fewer than three replies: {sum(len(each) < 6 for each in overlaps)}\n")
    (record,), _ = run("eval", "replies", folder=here)
    tell(record)
    speed(model, messages)


def few(options: argparse.Namespace, here: Path) -> None:
    """So few pairs that no language can be learned from them."""
    spent = options.time or "60s"
    messages = options.messages.read_text(encoding="utf-8").splitlines()[:10]
    heading(
        "Few pairs",
        f"One message and one of its replies from 80 and from 400 records of the project's own corpus, drawn at random; `seqgen "
        f"train few.tsv --kind replies --time {spent}`, and the same without learning them by heart (`--set "
        "training.by_heart=false`). Then the replies to ten unprepared messages, to be read.",
    )
    choose = random.Random(1)
    records = [
        list(json.loads(line).values())
        for path in sorted(CORPUS.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    choose.shuffle(records)
    for count in (80, 400):
        rows = [f"{choose.choice(messages)}\t{choose.choice(replies)}\n" for messages, replies in records[:count]]
        (here / f"few{count}.tsv").write_text("".join(rows), encoding="utf-8")
        for name, extra in ((f"by-heart-{count}", []), (f"best-{count}", ["--set", "training.by_heart=false"])):
            learn(
                [
                    "train",
                    f"few{count}.tsv",
                    "--kind",
                    "replies",
                    "--time",
                    spent,
                    "--name",
                    name,
                    *extra,
                    *options.extra,
                ],
                here,
            )
            model = seqgen.load(here / "checkpoints" / name)
            for message in messages:
                print(f"    {message} -> {' | '.join(reply.text for reply in model.reply(message))}")
            (record,), _ = run("eval", name, folder=here)
            tell(record)


def speed(model: seqgen.Loaded, messages: Sequence[str]) -> None:
    """How long replies take, and how many come out differently in a batch."""
    model.reply(messages[0])
    each = []
    for message in messages:
        start = time.perf_counter()
        model.reply(message)
        each.append(time.perf_counter() - start)
    print(
        f"  three replies after loading: median {1000 * sorted(each)[len(each) // 2]:.0f} ms, longest {1000 * max(each):.0f} ms"
    )
    many = list(itertools.islice(itertools.cycle(messages), 64))
    settings = ReplySettings(count=1, beam=5)
    start = time.perf_counter()
    together = model.replies(many, settings)
    batch = time.perf_counter() - start
    start = time.perf_counter()
    alone = [model.reply(message, settings) for message in many]
    single = time.perf_counter() - start
    different = sum(one != other for one, other in zip(texts(together), texts(alone), strict=True))
    print(f"  beam 5, 64 messages: {batch:.3f} s at once, {single:.3f} s one by one: {single / batch:.1f} times")
    print(f"  of these {different} replies differ in float32", end="; ")
    model.model.double().eval()
    different = sum(
        one != other
        for one, other in zip(
            texts(model.replies(many, settings)),
            texts([model.reply(message, settings) for message in many]),
            strict=True,
        )
    )
    print(f"in float64 {different}\n")


def texts(replies: Sequence[Sequence[Any]]) -> list[list[str]]:
    """The texts of the replies to each message."""
    return [[reply.text for reply in each] for each in replies]


def learn(command: list[str], here: Path) -> None:
    """Trains, and prints what was chosen."""
    records, seconds = run(*command, folder=here)
    recipe = records[-1]["recipe"]
    model, training = recipe["model"], recipe["training"]
    print(
        f"seqgen {' '.join(command)}: {records[-1]['steps']:,} steps in {seconds:.0f} s; {model['layers']} layers of "
        f"{model['hidden']}, embedding {model['embedding']}, {recipe['tokenizer']['vocabulary']} pieces, attention "
        f"{model['attention']}, dropout {model['hidden_dropout']}, {training['optimizer']}, {training['dtype']}"
    )


def tell(record: dict[str, Any]) -> None:
    """Prints the figures of an evaluation."""
    print(f"  perplexity per word {record['perplexity_per_word']:.2f}", end="; without the message: ")
    print(", ".join(f"{name} {value:.2f}" for name, value in record["baselines_per_word"].items()))
    for name, quality in record["replies"].items():
        figures = (f"{key} {value:.3g}" for key, value in quality.items() if value is not None)
        print(f"  {name + ':':15} {', '.join(figures)}")


def data(options: argparse.Namespace, name: str) -> Path:
    """A public file, or a plain word that it is missing."""
    path: Path = options.data / name
    if not path.is_file():
        sys.exit(f"{path} is missing: name the folder that has {name} with --data.")
    return path


TASKS: dict[str, Callable[[argparse.Namespace, Path], None]] = {
    "unprepared": unprepared,
    "translation": translation,
    "dialogue": dialogue,
    "few": few,
}

if __name__ == "__main__":
    main()
