"""What the samples are like: functions that parse, titles that end."""

from __future__ import annotations

import argparse
import ast
import re
import statistics
from itertools import pairwise
from pathlib import Path
from typing import Any

from common import heading, run

import seqgen

DEFINITION_END = re.compile(r"\n(?=\S)")
LONGEST = 3000


def main() -> None:
    """Draws samples from a trained checkpoint through `seqgen sample`, and counts."""
    parser = argparse.ArgumentParser(description="samples of a trained checkpoint")
    parser.add_argument("what", choices=("definitions", "titles"))
    parser.add_argument("checkpoint", type=Path, help="folder of a checkpoint trained on Python, or on titles")
    parser.add_argument("--count", type=int)
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--show", type=int, default=0, help="also print so many of them")
    options = parser.parse_args()
    measure = definitions if options.what == "definitions" else titles
    measure(options.checkpoint.absolute(), options.count, options.temperature, options.show)


def definitions(checkpoint: Path, count: int | None, temperature: float | None, show: int) -> None:
    """How many sampled top-level definitions are accepted by `ast.parse`."""
    count, temperature = count or 200, 0.7 if temperature is None else temperature
    heading(
        f"{count} definitions",
        f'seqgen sample CHECKPOINT --seed "def " -t {temperature} -n {LONGEST} --count {count} --random-seed 0; each ended at '
        "the next line in column 0. A copy stands letter for letter in the training text.",
    )
    samples = draw(checkpoint, count, temperature, "--seed", "def ", "-n", str(LONGEST))
    learned = training_text(checkpoint)
    kinds: dict[str, list[str]] = {"parse": [], "parse, of one statement": [], "parse, copied": [], "do not": []}
    for sample in samples:
        match = DEFINITION_END.search(sample["text"])
        text = sample["text"][: match.start() + 1] if match else sample["text"]
        kinds[kind_of(text, learned)].append(text)
    for kind, texts in kinds.items():
        print(f"{kind:24} {len(texts):4}  {len(texts) / count:6.1%}")
    accepted = count - len(kinds["do not"])
    print(f"{'accepted in all':24} {accepted:4}  {accepted / count:6.1%}")
    for kind, texts in kinds.items():
        for text in texts[:show]:
            print(f"\n--- {kind}\n{text}")


def kind_of(text: str, learned: str) -> str:
    """What a sampled definition is."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return "do not"
    if text in learned:
        return "parse, copied"
    function = body[0] if body else None
    return "parse" if isinstance(function, ast.FunctionDef) and len(function.body) > 1 else "parse, of one statement"


def titles(checkpoint: Path, count: int | None, temperature: float | None, show: int) -> None:
    """How long sampled titles are beside the corpus's, and how many ended by themselves."""
    count, temperature = count or 1000, 1.0 if temperature is None else temperature
    heading(
        f"{count} titles",
        f"seqgen sample CHECKPOINT -t {temperature} --count {count} --random-seed 0, without a seed and without -n.",
    )
    samples = draw(checkpoint, count, temperature)
    lengths = [len(sample["text"]) for sample in samples]
    learned = training_text(checkpoint).split("\0")[1:]
    corpus = [len(title) for title in learned]
    known = set(learned)
    copied = sum(sample["text"] in known for sample in samples)
    ended = sum(sample["stopped_by"] == "document" for sample in samples)
    ratio = statistics.mean(lengths) / statistics.mean(corpus)
    print(
        f"mean length {statistics.mean(lengths):.1f} characters, the corpus {statistics.mean(corpus):.1f}: {ratio - 1:+.1%}"
    )
    print(f"ended by themselves {ended / count:.1%}")
    print(f"copies of training titles {copied / count:.1%}")
    for sample in samples[:show]:
        print(f"  {sample['text']}")


def draw(checkpoint: Path, count: int, temperature: float, *more: str) -> list[dict[str, Any]]:
    """The samples as `seqgen sample --json` prints them."""
    settings = ("-t", str(temperature), "--count", str(count), "--random-seed", "0", *more)
    return run("sample", checkpoint, *settings, folder=Path.cwd())[0]


def training_text(checkpoint: Path) -> str:
    """What the model has learned from, with a zero character before each document."""
    from seqgen.runs import reopen_corpus

    corpus = reopen_corpus(seqgen.load(checkpoint).checkpoint)
    split = corpus.splits["train"]
    bounds = [*split.starts.tolist(), len(split)]
    decode = corpus.tokenizer.decode
    return "".join("\0" + decode(split.ids[start:stop]) for start, stop in pairwise(bounds))


if __name__ == "__main__":
    main()
