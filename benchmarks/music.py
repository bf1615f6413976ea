"""A folder of MIDI prepared, and a model of chorales beside held-out Bach, through the command line."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from common import arguments, heading, run


def main() -> None:
    """Measures what is named, each with an empty cache."""
    parser = arguments("music: preparing MIDI, and samples beside held-out pieces")
    parser.add_argument("--card", default="bach", help="the corpus that a model is trained on (default bach)")
    parser.add_argument("--time", default="3m", help="of its training")
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--random-seed", default="0", help="of the training")
    parser.add_argument("--only", choices=("midi", "samples"), help="default: both")
    options = parser.parse_args()
    if options.only != "samples":
        prepare(options.data)
    if options.only != "midi":
        sample(options.card, options.time, options.samples, options.random_seed)


def prepare(data: Path) -> None:
    """Times `corpus stats` on the Nottingham tunes, first and again."""
    tunes = (data / "music" / "nottingham").absolute()
    if not tunes.is_dir():
        sys.exit(f"{tunes} is missing: name the folder that has music/nottingham with --data.")
    files = len(list(tunes.glob("*.mid")))
    heading(
        f"{files:,} MIDI files",
        "`seqgen corpus stats FOLDER` as a process, start included; with an empty cache, and again.",
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SEQGEN_CACHE"] = str(Path(folder) / "cache")
        for when in ("first", "again"):
            (told,), seconds = run("corpus", "stats", tunes, folder=Path(folder))
            print(f"{when}: {seconds:.1f} s; {told['documents']:,} pieces as {told['tokenizer']}, {told['notes']:,} notes, "
                  f"left out: {told['left_out'] or 'nothing'}", flush=True)  # fmt: skip


def sample(card: str, duration: str, samples: int, random_seed: str) -> None:
    """Trains on a card, and measures samples at the default settings beside held-out pieces."""
    heading(
        f"{samples} samples of {card} after {duration}",
        f"`seqgen train {card} --time {duration}`, then `seqgen eval {card} --split test --samples {samples}`: default settings, "
        "no seed, no constraint. Held out are all pieces of the validation and the test split. The last column is by how much "
        "samples differ from them.",
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SEQGEN_CACHE"] = str(Path(folder) / "cache")
        start = time.perf_counter()
        run("train", card, "--time", duration, "--random-seed", random_seed, folder=Path(folder))
        print(f"training: {time.perf_counter() - start:.0f} s, the first preparation included")
        (told,), seconds = run("eval", card, "--split", "test", "--samples", str(samples), folder=Path(folder))
    baselines = ", ".join(f"{name} {value:.3f}" for name, value in told["baselines"].items())
    frames = f", {told['nats_per_frame']:.3f} per frame" if "nats_per_frame" in told else ""
    print(f"test: {told['nats_per_note']:.3f} nats per note{frames}; {baselines}")
    print(f"drawing and measuring: {seconds:.0f} s")
    for one in told["samples"]:
        mine, theirs = one["samples"], one["held_out"]
        apart = f"{100 * (mine / theirs - 1):+.0f} %" if theirs else "" if mine == theirs else "from none"
        print(f"  {one['name']:35} {mine:8.3f} {theirs:8.3f}  {apart:>9}  {one['unit']}")


if __name__ == "__main__":
    main()
