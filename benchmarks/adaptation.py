"""What a model gains by learning from what it reads: on its own validation text, on another text, and by how often it reads."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import torch
from common import arguments, heading, run, text

import seqgen
from seqgen.evaluation import nats_of

OTHER = 50_000
"""Characters of the other text that are evaluated on."""
SIZES, PASSES, HELD_OUT = (2000, 8000, 20_000), (1, 2, 3, 4), 10_000
"""Characters of the files that are adapted to, how often they are read, and the characters after them that are measured
on."""


def main() -> None:
    """Trains, if need be, then measures through the command line; the passes through `Loaded.adapt`, as `--adapt` does."""
    parser = arguments("what learning from what is read is worth")
    parser.add_argument(
        "--checkpoint", type=Path, help="a model of Tiny Shakespeare, 90 %% of it for training; default: train one"
    )
    parser.add_argument("--time", default="3m", help="of that training")
    parser.add_argument(
        "--others", action="store_true", help="instead: other models, trained for a minute each, on their test text"
    )
    options = parser.parse_args()
    if options.others:
        measure_others(options.data)
        return
    shakespeare, other = text(options.data, "tinyshakespeare.txt"), text(options.data, "warandpeace.txt")
    heading(
        "adaptation",
        f"`seqgen train tinyshakespeare.txt --time {options.time} --set corpus.split=90/10/0`, unless a checkpoint is given; "
        f"`seqgen eval --split valid --dynamic`; then the same model on {OTHER:,} characters of War and Peace.",
    )
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        model = options.checkpoint.absolute() if options.checkpoint else here / "checkpoints" / "shakespeare"
        if options.checkpoint is None:
            learn = (
                "train",
                shakespeare,
                "--time",
                options.time,
                "--name",
                "shakespeare",
                "--set",
                "corpus.split=90/10/0",
            )
            run(*learn, folder=here)
        (record,), seconds = run("eval", model, "--split", "valid", "--dynamic", folder=here)
        tell("validation text", record, seconds)
        whole = other.read_text(encoding="utf-8")
        middle = len(whole) // 2
        (here / "other.txt").write_text(whole[middle : middle + OTHER], encoding="utf-8")
        (record,), seconds = run("eval", model, "other.txt", "--dynamic", folder=here)
        tell("War and Peace", record, seconds)
        print(f"\nnats per character of the {HELD_OUT:,} characters after a file that was read so often:")
        for size in SIZES:
            path = here / f"{size}.txt"
            path.write_text(whole[middle : middle + size], encoding="utf-8")
            after = whole[middle + size : middle + size + HELD_OUT]
            print(f"{size:7,} characters: {still(seqgen.load(model), after):.3f} without", end="", flush=True)
            for passes in PASSES:
                loaded = seqgen.load(model)
                loaded.adapt(str(path), passes=passes)
                print(f", {passes}: {still(loaded, after):.3f}", end="", flush=True)
            print()


def measure_others(data: Path) -> None:
    """Trains a model of each of several corpora, and measures it on its test text."""
    heading(
        "adaptation: other models",
        "`seqgen train CORPUS --time 60s`, nothing else set; `seqgen eval --dynamic`: its test text, not learning and learning.",
    )
    corpora: dict[str, str | Path] = {
        "War and Peace": text(data, "warandpeace.txt"),
        "python": "python",
        "Nottingham": data.absolute() / "music" / "nottingham",
        "bach": "bach",
        "replies": "replies",
    }
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        for name, corpus in corpora.items():
            run("train", corpus, "--time", "60s", "--out", f"checkpoints/{name}", folder=here)
            asked = ("--samples", "2") if name == "replies" else ()  # how its answers are is not the question
            (record,), _ = run("eval", f"checkpoints/{name}", "--dynamic", *asked, folder=here)
            unit = record["unit"]
            figures = [
                record[f"{unit}{part}"] for part in ("_without_recall", "_dynamic_without_recall", "", "_dynamic")
            ]
            alone, learning, recalling, both = figures
            print(
                f"{name}, {unit}: the network alone {alone:.3f}, learning {learning:.3f}; with recall {recalling:.3f}, "
                f"both {both:.3f}",
                flush=True,
            )


def tell(name: str, record: dict[str, Any], seconds: float) -> None:
    """Prints nats per character and what was gained."""
    for recall in ("", "_without_recall"):
        before, learning = (record[f"bits_per_character{part}{recall}"] * math.log(2) for part in ("", "_dynamic"))
        words = "the network alone" if recall else "with recall"
        print(
            f"{name}, {words}: {before:.4f} nats per character, learning {learning:.4f}, gained {before - learning:.4f}"
        )
    print(
        f"  {record['characters']:,} characters, {record['dynamic_characters_per_second']:,.0f} a second after "
        f"{record['dynamic_preparing_seconds']:.1f} s; {seconds:.0f} s in all",
        flush=True,
    )


def still(model: seqgen.Loaded, after: str) -> float:
    """Nats per character of a text by the weights as they are, the network alone."""
    return float(nats_of(model.model, torch.tensor([0, *model.tokenizer.encode(after).tolist()])).sum()) / len(after)


if __name__ == "__main__":
    main()
