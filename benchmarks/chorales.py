"""Nats per frame and per note on the JSB chorales, trained and measured through the command line."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from common import arguments, heading, run

from seqgen.scores import notation
from seqgen.scores.piece import TICKS, Note, Part, Piece

SPLITS = ("train", "valid", "test")
VOICES = ("Soprano", "Alto", "Tenor", "Bass")


class Task(NamedTuple):
    """A published task.

    Attributes:
        file: of the data, under music/.
        arguments: for `seqgen train`.
        split: on which figures are published.
        published: what they are.
    """

    file: str
    arguments: tuple[str, ...]
    split: str
    published: str


FRAMES = ("--tokenizer", "frames", "--set", "tokenizer.grid=1")
TASKS = {
    "quarter": Task(
        "jsb-chorales-quarter.json",
        (*FRAMES, "--set", "corpus.transpose=false"),
        "test",
        "nats per frame: LSTM 8.45, TCN 8.10 (Bai et al. 2018, 88 independent outputs), RNN-NADE 5.56",
    ),
    "quarter-transposed": Task("jsb-chorales-quarter.json", FRAMES, "test", "the same, with other keys to learn from"),
    "sixteenth": Task(
        "jsb-16th-satb.json",
        ("--tokenizer", "voices", "--set", "tokenizer.held=false"),
        "valid",
        "nats per note: Coconet in order 0.436, transformer 0.417, Music Transformer 0.335",
    ),
}


def main() -> None:
    """Trains and evaluates the tasks that are named."""
    parser = arguments("JSB chorales, trained and measured through the command line")
    parser.add_argument("--task", choices=TASKS, action="append", help="default: all")
    parser.add_argument("--time", default="10m", help="of each training, as for `seqgen train`")
    parser.add_argument("--set", action="append", default=[], help="also give this to `seqgen train`")
    parser.add_argument("--dynamic", action="store_true", help="also let the model learn from the pieces that it reads")
    parser.add_argument("--keep", type=Path, help="keep pieces and checkpoints in folders of this one, by task")
    options = parser.parse_args()
    heading(
        "JSB chorales",
        f"The standard split, each training `seqgen train FOLDER --set corpus.split=folders --time {options.time}` and nothing "
        "else but what is shown; figures by `seqgen eval --json`, all its nats over the frames and notes of the data set. "
        "Weights are chosen, and recall is learned, on the validation pieces; what these need with recall is what the training "
        "says, which is cross-validated (where it had time to read all of them; else by what was learned from them).",
    )
    for name in options.task or TASKS:
        measure(name, TASKS[name], options)


def measure(name: str, task: Task, options: argparse.Namespace) -> None:
    """Trains one task in a folder of its own, and prints its figures beside the published ones."""
    data = json.loads((options.data / "music" / task.file).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        here = options.keep.absolute() / name if options.keep else Path(scratch)
        for split in SPLITS:
            (here / "jsb" / split).mkdir(parents=True)
            for number, frames in enumerate(data[split]):
                piece = from_voices(frames) if "voices" in task.arguments else from_frames(frames)
                (here / "jsb" / split / f"{number:03}.notes").write_text(notation.write(piece), encoding="utf-8")
        extra = [argument for each in options.set for argument in ("--set", each)]
        train = ["train", "jsb", "--set", "corpus.split=folders", *task.arguments, "--time", options.time, *extra]
        (*_, trained), _ = run(*train, folder=here)
        model = trained["recipe"]["model"]
        print(
            f"{name}: seqgen {' '.join(train)}: {trained['steps']:,} steps, {model['layers']} layers of {model['hidden']}, "
            f"dropout {model['hidden_dropout']} ({model['weight_dropout']} of recurrent weights), "
            f"weight decay {trained['recipe']['training']['weight_decay']}\n"
            f"  published, on {task.split}: {task.published}"
        )
        for split in SPLITS[1:]:
            (figures,), _ = run(
                "eval", "jsb", "--split", split, *(["--dynamic"] if options.dynamic else []), folder=here
            )
            if split == "valid" and trained["valid"]["symbols"] == figures["symbols"]:
                figures["nats_per_note"] = trained["valid"]["nats_per_note"]
            tell(split, figures, data[split])


def tell(split: str, figures: dict[str, Any], pieces: list[list[list[int]]]) -> None:
    """Prints the figures of a split per frame and per note of the data set."""
    frames = sum(map(len, pieces))
    notes = len(VOICES) * frames
    each = figures["notes"]  # as seqgen counts them: rests that fill the last bar, too
    named = {
        "seqgen": "nats_per_note",
        "without recall": "nats_per_note_without_recall",
        "learning, without recall": "nats_per_note_dynamic_without_recall",
    }
    in_all = {what: each * figures[name] for what, name in named.items() if name in figures}
    in_all |= {baseline: each * value for baseline, value in figures["baselines"].items()}
    later = figures["nats_per_frame_from_second"] * (figures["frames"] - len(pieces))
    for what, nats in in_all.items():
        print(f"  {split}, {what}: {nats / frames:.3f} nats per frame, {nats / notes:.4f} per note of four voices")
    print(f"  {split}, seqgen, frames 2..T alone: {later / (frames - len(pieces)):.3f} nats per frame", flush=True)


def from_frames(frames: list[list[int]]) -> Piece:
    """Each frame a chord of a quarter note."""
    notes = (Note(place * TICKS, TICKS, pitch) for place, frame in enumerate(frames) for pitch in sorted(set(frame)))
    return Piece((Part(tuple(notes)),))


def from_voices(frames: list[list[int]]) -> Piece:
    """Four voices on a grid of sixteenths; a pitch that stays is one note."""
    parts = []
    for voice, name in enumerate(VOICES):
        notes: list[Note] = []
        for place, frame in enumerate(frames):
            start, pitch = place * TICKS // 4, frame[voice]
            if pitch < 0:
                continue
            if notes and notes[-1].pitch == pitch and notes[-1].end == start:
                notes[-1] = notes[-1]._replace(duration=notes[-1].duration + TICKS // 4)
            else:
                notes.append(Note(start, TICKS // 4, pitch))
        parts.append(Part(tuple(notes), name))
    return Piece(tuple(parts))


if __name__ == "__main__":
    main()
