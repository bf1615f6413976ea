"""A session as it is played: how soon it is there, how soon it answers, an hour of it, and its memory."""

from __future__ import annotations

import argparse
import collections
import itertools
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from common import SEQGEN, heading

from seqgen.checkpoint import find_checkpoint
from tests.terminals import ALT_ENTER, CTRL_C, CTRL_D, ENTER, UP, Typed

STARTS = 5
LONG_WAIT = 20.0
"""Seconds after which whoever plays loses patience, and presses Ctrl-C."""
GIVEN_UP = 120.0
"""Seconds after which a session does not answer any more."""
QUIET = 0.05
"""Seconds without anything new after which a screen is complete."""
TAKEN_BACK = ("completion", "taken back")
"""Kinds of lines that end with Ctrl-C and not with Enter."""
SYMBOLS, EACH = 1_000_000, 1_000
SEEDS = {
    "text": ["The ", "I was ", "And then ", "My dear ", "It is ", "What ", "There ", "O ", "No, ", "When the ", "She said ",
             "In the ", "A ", "You ", "We ", "But ", "Of all ", "He had ", "If ", "They "],
    "code": ["def ", "class ", "import ", "from ", "# ", "@", "x = ", "for ", "if ", "return ", "try:", "with open(", "self.",
             "print(", "while ", "async def ", "raise ", "assert ", "def __init__(self", "lambda "],
    "music": ["G4", "C4 D4 E4", "A4:2", "E5", "D4", "F4 G4", "B4", "C5:0.5 B4:0.5", "G4 | A4", "D5", "A3", "F#4", "Bb4", "E4 E4",
              "C4:4", "G4 G4 G4", "A4 B4 C5", "D4:3", "E4:0.5 F4:0.5", "C5"],
    "replies": ["Hello!", "Are you free on Thursday?", "Thank you for your help.", "Where is the report?", "Can we meet at 3?",
                "Please call me.", "Did you get my letter?", "Happy birthday!", "What do you think?", "I am ill today.",
                "When will it be ready?", "Who is coming?", "Is it true?", "I like it.", "Let us go.", "How are you?",
                "Do you have time?", "See you tomorrow.", "What is the price?", "Good night."],
}  # fmt: skip
ODD = ["", "// no command", "/* nor this */", "/tmep 3", "Grüße", "日本語のテキスト", "\U0001f98a", "é", "12345", "0", "-1",
       '"quoted"', "[" * 40, "x" * 300, "\u202eright to left", "a\u0301", "{", "'''", "/usr/bin/env", "\u00a0",
       "a" * 2000]  # fmt: skip


def main() -> None:
    """Prints what was measured; fails where a session has failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", nargs="+", help="by name or folder: of text, code, music, replies")
    parser.add_argument("--commands", type=int, default=500, help="of the hour (default 500)")
    parser.add_argument("--random-seed", type=int, default=1, help="of the hour (default 1)")
    parser.add_argument("--parts", default="start,answers,hour,memory", help="what to do (default all, in this order)")
    given = parser.parse_args()
    names = [str(find_checkpoint(name).folder.resolve()) for name in given.checkpoints]
    failures = 0
    with tempfile.TemporaryDirectory(prefix="seqgen-play-") as folder:
        for part in given.parts.split(","):
            match part:
                case "start":
                    start(names, Path(folder))
                case "answers":
                    answers(names, Path(folder))
                case "hour":
                    failures += hour(names, Path(folder), given.commands, given.random_seed)
                case "memory":
                    memory(names, Path(folder))
                case _:
                    parser.error(f"there is no part {part!r}")
    sys.exit(1 if failures else 0)


def kind_of(name: str) -> str:
    """What a model writes."""
    return find_checkpoint(name).recipe.corpus.kind


def repl(name: str, folder: Path, *options: str) -> Typed:
    """A session at a pseudo-terminal."""
    return Typed("repl", name, *options, folder=folder, environment={"SEQGEN_STATE": str(folder / "state")})


def start(names: list[str], folder: Path) -> None:
    """From the start of the process to its first prompt."""
    heading("Start", f"Wall time from the start of the process to its prompt, at a pseudo-terminal, {STARTS} times.")
    for name in names:
        times = []
        for _ in range(STARTS):
            began = time.perf_counter()
            with repl(name, folder) as typed:
                typed.wait_for_prompt(Path(name).name)
                times.append(time.perf_counter() - began)
                typed.type(CTRL_D)
                typed.leave()
        print(f"{Path(name).name:<10} {told(times)}", flush=True)
    print()


def answers(names: list[str], folder: Path) -> None:
    """From Enter to the first thing on the screen that the model has made."""
    heading(
        "First answer",
        "Time from Enter to the first character behind the seed, the first picture, or the first reply on the screen of a\n"
        "pseudo-terminal; 20 seeds in one session, the first of them included.",
    )
    for name in names:
        kind, prompt = kind_of(name), Path(name).name
        with repl(name, folder, "--no-history", "--random-seed", "1") as typed:
            typed.wait_for_prompt(prompt)
            typed.answer({"music": "/set bars 4", "replies": "/count 3"}.get(kind, "/length 200"), prompt)
            times = []
            for seed in SEEDS[kind]:
                typed.type(seed)
                settle(typed)
                seen = len(typed.sent)
                began = time.perf_counter()
                typed.type(ENTER)
                while not is_answered(typed.sent[seen:], seed, kind):
                    typed.pump(GIVEN_UP)
                times.append(time.perf_counter() - began)
                typed.wait_for_prompt(prompt)
        print(f"{prompt:<10} {told(times)}; the first {times[0] * 1000:.0f} ms", flush=True)
    print()


def is_answered(sent: bytes, seed: str, kind: str) -> bool:
    """Whether something is there that the model has made."""
    _, left, answer = sent.partition(b"\x1b[?2004l")  # the prompt has been left
    text = re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", answer.decode("utf-8", "replace")).replace("\r", "")
    match kind:
        case "music":
            return bool(left) and "\n" in text and len(text) > 20
        case "replies":
            return bool(re.search(r"^1  \S", text, re.MULTILINE))
    place = text.find(seed.strip())
    return bool(left) and place >= 0 and len(text) > place + len(seed)


def settle(typed: Typed) -> None:
    """Waits until nothing new comes."""
    while typed.pump(QUIET):
        pass


def told(times: list[float]) -> str:
    """Times in words."""
    return f"median {statistics.median(times) * 1000:.0f} ms, worst {max(times) * 1000:.0f} ms of {len(times)}"


# An hour's play


class Typing(NamedTuple):
    """Something to type: its kind, and the keys, the last Enter not among them."""

    kind: str
    keys: str


def typings(draw: random.Random, names: list[str], kind: Callable[[], str]) -> Iterator[Typing]:
    """All kinds of lines, for ever."""

    def number(*usual: str) -> str:
        return draw.choice([*usual, "", "default", "x", "-1", "0", "1e9", "nan", "²"])

    def setting() -> str:
        name = draw.choice(["top-k", "min-p", "repetition-penalty", "no-repeat", "until", "stop", "ban", "prefer",
                            "recall", "key", "metre", "range", "tempo", "program", "transpose", "bars", "beam", "start",
                            "random-seed", "nonsense"])  # fmt: skip
        values = [
            "5",
            "0.05",
            "1.1",
            "line",
            '"a" "b"',
            "e",
            "off",
            "D minor",
            "3/4",
            "C3-C6",
            "90",
            "4",
            "default",
            "",
            "?",
        ]
        return f"/set {name} {draw.choice(values)}"

    def seed() -> str:
        return draw.choice(SEEDS[kind()])

    def lines() -> str:
        return ALT_ENTER.join(draw.choice(["if x:", "y = 1", "  z", "", "é"]) for _ in range(draw.randint(2, 4)))

    def file() -> str:
        ending = draw.choice([".txt", ".mid", ".py", ".notes", ".musicxml", ".jsonl", ".tsv", ".png", ".nothing", ""])
        flags = draw.choice(["", " --force", " --force", " --kept --force", " --session --force"])
        return f"/save {draw.choice(['a', 'b b', 'no/a', 'session', '~nobody-x/a', ''])}{ending}{flags}"

    makers: list[tuple[int, str, Callable[[], str]]] = [
        (30, "seed", seed),
        (6, "odd seed", lambda: draw.choice(ODD)),
        (4, "seed of several lines", lines),
        (3, "/seed", lambda: f"/seed {draw.choice(['', seed(), json_like(), '1'])}"),
        (8, "/again", lambda: "/again"),
        (8, "/more", lambda: "/more"),
        (8, "/next", lambda: f"/next {draw.choice(['', '', '1', seed(), 'x'])}".rstrip()),
        (10, "number", lambda: str(draw.randint(0, 10))),
        (7, "/undo", lambda: "/undo"),
        (5, "/keep", lambda: "/keep"),
        (3, "/adapt", lambda: f"/adapt {draw.choice(['on', 'off', '', 'maybe'])}"),
        (4, "/temp", lambda: f"/temp {number('0.5', '1', '0.5..1.2')}"),
        (3, "/top-p", lambda: f"/top-p {number('0.9')}"),
        (4, "/length", lambda: f"/length {number('40', '200')}"),
        (3, "/count", lambda: f"/count {number('2', '4')}"),
        (10, "/set", setting),
        (3, "/show", lambda: "/show"),
        (6, "/save", file),
        (1, "/play", lambda: "/play"),
        (3, "/load", lambda: f"/load {draw.choice([*names, 'nobody', ''])}"),
        (2, "/help", lambda: f"/help {draw.choice(['', 'seed', '/undo', 'x'])}"),
        (1, "/cut", lambda: f"/cut {draw.choice(['3', '0', '', 'x'])}"),
        (1, "/#", lambda: "/# a remark"),
        (2, "leaving with words", lambda: "/bye now"),
        (4, "history", lambda: UP * draw.randint(1, 5)),
        (3, "completion", lambda: draw.choice(["/te\t", "/set un\t", "/load \t", "the\t", "/save \t", "/help /\t"])),
        (2, "taken back", seed),
    ]
    weights = [weight for weight, _, _ in makers]
    while True:
        _, name, make = draw.choices(makers, weights)[0]
        yield Typing(name, make())


def json_like() -> str:
    """A seed in double quotes."""
    return '"a\\nb \\u00e9 "'


def hour(names: list[str], folder: Path, commands: int, random_seed: int) -> int:
    """Plays, and replays; how much went wrong."""
    heading(
        f"{commands} commands",
        f"Random commands of every kind through a pseudo-terminal (random seed {random_seed}), one in four interrupted at a\n"
        "random moment; then the saved session is replayed twice. What is neither done nor refused in words is a failure.",
    )
    draw, wrong = random.Random(random_seed), list[str]()
    counts, interrupted, refused, impatient = collections.Counter[str](), 0, 0, 0
    began = time.monotonic()
    with repl(names[0], folder, "--random-seed", str(random_seed)) as typed:
        typed.wait_for_prompt(Path(names[0]).name)
        by_prompt = {Path(name).name: name for name in names}
        playing = [names[0]]  # the model that is loaded
        for typing in itertools.islice(typings(draw, names, lambda: kind_of(playing[-1])), commands):
            counts[typing.kind] += 1
            typed.forget()
            interrupt = draw.random() < 0.25 and typing.kind not in TAKEN_BACK
            impatient += type_and_wait(typed, typing, draw.uniform(0, 0.4) if interrupt else None, draw)
            interrupted += interrupt
            shown = typed.text
            refused += "error: " in shown
            playing.append(by_prompt.get(shown[shown.rfind("\n") + 1 :].strip().removesuffix(">"), playing[-1]))
            if typed.process.poll() is not None:
                wrong.append(f"it ended with {typed.process.returncode} at {typing}: {shown[-300:]!r}")
                break
            if found := re.search(r"internal error.*|Traceback.*|Press ENTER.*", shown):
                wrong.append(f"{found[0].strip()!r} at {typing}")
        else:
            wrong += replayed(typed, names[0], playing[-1], folder)
    for kind, count in counts.most_common():
        print(f"{count:5}  {kind}")
    print(
        f"{interrupted} interrupted, {refused} refused in words, {impatient} stopped after {LONG_WAIT:.0f} s; "
        f"{time.monotonic() - began:.0f} s in all"
    )
    print(*(f"FAILURE: {each}" for each in wrong), sep="\n")
    print(f"{len(wrong)} failures\n", flush=True)
    return len(wrong)


def type_and_wait(typed: Typed, typing: Typing, interrupt: float | None, draw: random.Random) -> bool:
    """Types something, and waits until something can be typed again; whether that took too long for whoever plays."""
    before = typed.prompts
    typed.type(typing.keys)
    settle(typed)  # a person's Enter does not come within a millisecond of the last key
    if typing.kind in TAKEN_BACK:
        time.sleep(draw.uniform(0, 0.5))
        typed.type(CTRL_C)
        settle(typed)
        return False
    typed.type(ENTER)
    if interrupt is not None:
        end = time.monotonic() + interrupt
        while (left := end - time.monotonic()) > 0:
            typed.pump(left)
        if draw.random() < 0.5:
            typed.type(CTRL_C)
        elif typed.process.poll() is None:
            typed.process.send_signal(signal.SIGINT)
    return wait(typed, before)


def wait(typed: Typed, before: int) -> bool:
    """Waits for a new prompt and quiet; presses Enter where something waits for it, and Ctrl-C where it takes too long."""
    began, impatient = time.monotonic(), False
    while typed.process.poll() is None:
        waits = typed.text.endswith("> ") and typed.prompts > before
        if not typed.pump(QUIET if waits else 1.0):
            if waits:
                return impatient
            if "Press ENTER" in typed.text[-200:]:
                typed.type(ENTER)
            if time.monotonic() - began > LONG_WAIT:
                typed.type(CTRL_C)
                impatient = True
            if time.monotonic() - began > GIVEN_UP:
                typed.process.kill()
    return impatient


def replayed(typed: Typed, first: str, current: str, folder: Path) -> list[str]:
    """Saves the session and what is on the table, leaves, and replays it twice: what went wrong."""
    wrong, suffix = [], {"music": ".notes", "replies": ".jsonl"}.get(kind_of(current), ".txt")
    plainly = "/set transpose default"  # of music, which might else lead out of what can be written
    for line in (
        plainly,
        "/length 30",
        SEEDS[kind_of(current)][0],
        f"/save last{suffix} --force",
        "/save session.txt --force",
    ):
        type_and_wait(typed, Typing("", line), None, random.Random(0))
    typed.type("/bye" + ENTER)
    if code := typed.leave():
        wrong.append(f"it left with {code}")
    script = (folder / "session.txt").read_bytes() + f"/save replayed{suffix} --force\n".encode()
    outputs = []
    for _ in range(2):
        command = [*SEQGEN, "repl", first]
        done = subprocess.run(command, input=script, cwd=folder, capture_output=True, check=False)
        outputs.append(done.stdout)
        if done.returncode or b"error: " in done.stderr:
            errors = [line for line in done.stderr.decode().splitlines() if "error: " in line]
            wrong.append(f"a replay ended with {done.returncode}: {errors[:3]}")
    last, again = ((folder / f"{name}{suffix}") for name in ("last", "replayed"))
    if outputs[0] != outputs[1]:
        wrong.append("two replays differ")
    if not again.is_file() or again.read_bytes() != last.read_bytes():
        wrong.append("what is on the table after a replay is something else")
    print(f"replayed twice: {script.count(bytes([10]))} lines, {len(outputs[0]):,} bytes of results")
    return wrong


# Memory


def memory(names: list[str], folder: Path) -> None:
    """Of a session in which a million symbols are sampled, and then as many in one answer."""
    heading(
        "Memory",
        f"{SYMBOLS:,} symbols in answers of {EACH:,}, then as many in a single one, by a script: resident memory, in MB.",
    )
    for name in names:
        if kind_of(name) not in ("text", "code"):
            continue
        command = [*SEQGEN, "repl", name, "--random-seed", "1"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, cwd=folder, bufsize=0, **pipes) as process:  # type: ignore[call-overload]
            assert process.stdin is not None and process.stderr is not None
            errors = iter(process.stderr.readline, b"")

            def answer(
                *lines: str, process: subprocess.Popen[bytes] = process, errors: Iterator[bytes] = errors
            ) -> None:
                assert process.stdin is not None
                process.stdin.write("".join(f"{line}\n" for line in lines).encode())
                next(line for line in errors if b"random seed" in line and not line.startswith(b"> "))

            def limits(symbols: int) -> tuple[str, str, str]:
                return "/set min-length default", f"/length {symbols}", f"/set min-length {symbols}"

            seeds = itertools.cycle(SEEDS[kind_of(name)])
            answer(*limits(EACH), next(seeds))
            found, began = [resident(process.pid)], time.monotonic()
            for number in range(1, SYMBOLS // EACH):
                answer(next(seeds))
                if number in (SYMBOLS // EACH // 10, SYMBOLS // EACH - 1):
                    found.append(resident(process.pid))
            seconds = time.monotonic() - began
            answer("/length default", *limits(SYMBOLS), next(seeds))
            found.append(resident(process.pid))
            process.stdin.close()
            process.wait()
        print(
            f"{Path(name).name:<10} first answer {found[0]:.0f}, after 10 % {found[1]:.0f}, after all {found[2]:.0f} "
            f"({found[2] - found[1]:+.1f}; {seconds:.0f} s); after a single one of {SYMBOLS:,} {found[3]:.0f}",
            flush=True,
        )


def resident(process: int) -> float:
    """The resident memory of a process, in MB."""
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(process)], capture_output=True, text=True, check=True)
    return int(told.stdout) / 1024


if __name__ == "__main__":
    os.environ.pop("SEQGEN_STATE", None)
    main()
