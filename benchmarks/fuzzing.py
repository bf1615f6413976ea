"""Damaged inputs of all kinds: each must be read, or refused with a reason, in little time and memory.

python benchmarks/fuzzing.py recipe seeds --time 10m --keep findings
python benchmarks/fuzzing.py recipe --only 1234
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from common import heading
from fuzz import TARGETS
from fuzz.driver import LARGEST, Figures, fuzz, make, outcome, specimens_of, stay_in

from seqgen.errors import UsageError
from seqgen.recipe import parse_duration

SHOWN = 12
"""Reasons of a target that are printed."""
KEPT = 5
"""Inputs that are kept of findings that look alike."""


def main() -> None:
    """Prints what came of the inputs of each target; fails where one of them is a finding."""
    options = _options()
    for name in options.targets:
        if name not in TARGETS:
            sys.exit(f"there is no target {name}: {', '.join(TARGETS)}")
    if options.only is not None:
        sys.exit(_replay(options.targets, options))
    heading(
        "Damaged inputs",
        f"Of each target inputs until {options.time:.0f} s are over"
        + (f", {options.count} at most" if options.count else "")
        + f"; seed {options.seed}. Every input in a child process, within seconds and megabytes.",
    )
    found = []
    print(
        _row(
            "target",
            "inputs",
            "seconds",
            "read",
            "refused",
            "stopped",
            "crashes",
            "hangs",
            "memory",
            "MB at most",
            "slowest (index)",
        )
    )
    print(_row(*["---"] * 10))
    for name in options.targets:
        figures = fuzz(name, options.time, options.seed, options.count, options.first, options.specimens)
        found.append(figures)
        print(_line(figures), flush=True)
    for figures in found:
        _explain(figures)
        if options.keep:
            _keep(figures, options.keep, options.specimens)
    findings = sum(len(figures.findings) for figures in found)
    sys.exit(f"{findings} findings" if findings else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(f"{target.name:<12}{target.about}" for target in TARGETS.values()),
    )
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="TARGET", help="default: all")
    parser.add_argument("--time", type=_seconds, help="for each target, such as 90s or 10m (default 60s, or --count)")
    parser.add_argument("--count", type=int, help="inputs of each target")
    parser.add_argument("--seed", type=int, default=0, help="of all chance")
    parser.add_argument("--first", type=int, default=0, help="index of the first input")
    parser.add_argument("--only", type=int, metavar="INDEX", help="run the one input again, and show what it does")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for the inputs that are findings")
    parser.add_argument(
        "--specimens",
        type=Path,
        metavar="FOLDER",
        help=f"damage its files, too, where they have {LARGEST} bytes at most",
    )
    options = parser.parse_args()
    options.time = options.time or (float("inf") if options.count else 60.0)
    return options


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _replay(names: list[str], options: argparse.Namespace) -> int:
    """Runs one input in this process, under the same limits of time and memory but for what kills a child."""
    if len(names) != 1:
        sys.exit("--only needs one target")
    target, folder = TARGETS[names[0]], options.specimens and options.specimens.absolute()
    keep = options.keep and options.keep.absolute()
    with tempfile.TemporaryDirectory(prefix="seqgen-fuzz-") as home:
        os.chdir(home)
        os.environ |= {"SEQGEN_CACHE": f"{home}/cache", "HOME": home, "TMPDIR": home}
        case = make(target, specimens_of(target, folder), options.seed, options.only)
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{options.only}-{case.name}").write_bytes(case.data)
        stay_in(Path(home))
        print(f"{case.name}: {case.data[:2000]!r}", flush=True)
        found = outcome(target, case)
        os.chdir("/")
    print(
        f"{found.kind}, {found.reason or 'without a remark'} ({found.seconds:.2f} s, {found.megabytes:.0f} MB)\n{found.details}"
    )
    return 0 if found.kind in ("read", "refused") else 1


def _line(figures: Figures) -> str:
    counts = (figures.read, figures.refused, figures.stopped, figures.crashes, figures.hangs, figures.over_memory)
    return _row(
        figures.target,
        f"{figures.inputs:,}",
        f"{figures.seconds:.0f}",
        *(f"{count:,}" for count in counts),
        f"{figures.megabytes:.0f}",
        f"{figures.slowest[0]:.2f} s ({figures.slowest[1]})",
    )


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _explain(figures: Figures) -> None:
    """The commonest reasons to refuse, and a line for each kind of finding."""
    print(f"\n{figures.target}:")
    if figures.unread:
        print(f"  not read even undamaged: {', '.join(figures.unread)}")
    reasons = [(reason, count) for (kind, reason), count in figures.outcomes.most_common() if kind == "refused"]
    for reason, count in reasons[:SHOWN]:
        print(f"{count:8,} {reason}")
    if len(reasons) > SHOWN:
        print(f"{sum(count for _, count in reasons[SHOWN:]):8,} for {len(reasons) - SHOWN} other reasons")
    for (kind, reason), count in figures.outcomes.most_common():
        first = [index for index, each in figures.findings if (each.kind, each.reason) == (kind, reason)]
        if first:
            again = f"python benchmarks/fuzzing.py {figures.target} --seed {figures.seed} --only {first[0]}"
            print(f"{count:8,} {kind.upper()}: {reason}\n         again: {again}")


def _keep(figures: Figures, folder: Path, specimens: Path | None) -> None:
    """Writes the inputs of findings, some of each kind, with what they led to."""
    if not figures.findings:
        return
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    target, specimens = TARGETS[figures.target], specimens and specimens.absolute()
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="seqgen-fuzz-") as home:
        os.chdir(home)
        sound = specimens_of(target, specimens)
        os.chdir(before)
    seen: dict[str, int] = {}
    for index, found in figures.findings:
        seen[found.reason] = seen.get(found.reason, 0) + 1
        if seen[found.reason] <= KEPT:
            case = make(target, sound, figures.seed, index)
            name = f"{figures.target}-{figures.seed}-{index}"
            (folder / f"{name}-{case.name}").write_bytes(case.data)
            (folder / f"{name}.txt").write_text(f"{found.kind}: {found.reason}\n{found.details}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
