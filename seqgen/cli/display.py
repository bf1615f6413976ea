"""How a training looks: a live line on a terminal, plain lines elsewhere, JSON for programs."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from seqgen.cli.common import console, print_json, say
from seqgen.errors import UsageError
from seqgen.visible import one_line, visible

if TYPE_CHECKING:
    from seqgen.progress import Progress

Listener = Callable[["Progress"], None]
PLAIN_EVERY = 10.0
"""Seconds between two plain lines."""


@contextlib.contextmanager
def display_for(as_json: bool, quiet: bool, tensorboard: bool) -> Iterator[Listener]:
    """The listener that suits where the output goes."""
    with contextlib.ExitStack() as stack:
        listeners: list[Listener] = []
        if as_json:
            listeners.append(_as_json)
        if not quiet:
            listeners.append(stack.enter_context(_live()) if sys.stderr.isatty() else _Plain())
        if tensorboard:
            listeners.append(_TensorBoard())

        def tell(progress: Progress) -> None:
            for listener in list(listeners):
                try:
                    listener(progress)
                except BrokenPipeError:  # nobody reads any more: train on, and be silent there
                    listeners.remove(listener)

        yield tell


def _as_json(progress: Progress) -> None:
    if progress.look:
        seen = {"step": progress.step, "steps": progress.steps, "seconds": round(progress.seconds, 2)}
        speed = {"symbols_per_second": round(progress.symbols_per_second)}
        print_json({**seen, **dataclasses.asdict(progress.look), **speed})


class _Plain:
    """A line at each message, and another now and then."""

    def __init__(self) -> None:
        self.last = -PLAIN_EVERY

    def __call__(self, progress: Progress) -> None:
        if progress.message:
            say(progress.message)
        elif progress.phase == "training" and time.monotonic() - self.last >= PLAIN_EVERY:
            self.last = time.monotonic()
            say(f"step {progress.step}/{progress.steps}  {_figures(progress)}")


@contextlib.contextmanager
def _live() -> Iterator[Listener]:
    from rich.progress import BarColumn, Progress, TextColumn

    figures = TextColumn("{task.percentage:>3.0f} %  {task.fields[figures]}")
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), figures)
    with Progress(*columns, console=console(stderr=True), refresh_per_second=4) as bar:
        task = bar.add_task("training", total=None, visible=False, figures="")

        def tell(progress: Any) -> None:
            if progress.message:
                bar.console.print(one_line(progress.message), markup=False, emoji=False)
            if progress.sample:
                text = visible(progress.sample).replace("\n", "\u23ce").replace("\t", "\u21e5")
                bar.console.print(
                    f"  {text}", markup=False, emoji=False, style="dim", no_wrap=True, overflow="ellipsis"
                )
            if progress.phase == "training":
                bar.update(
                    task, total=progress.steps, completed=progress.step, visible=True, figures=_figures(progress)
                )
            elif progress.phase == "evaluating":
                bar.update(task, completed=progress.step, description="evaluating")

        yield tell


def _figures(progress: Progress) -> str:
    parts = [] if progress.train is None else [f"train {progress.train:.3f}"]
    parts += [] if progress.valid is None else [f"valid {progress.valid:.3f}"]
    left = int(progress.seconds_left)
    clock = f"{left // 60}:{left % 60:02d} left"
    return f"{'  '.join(parts)} {progress.unit.short}  {progress.symbols_per_second:,.0f}/s  {clock}"


class _TensorBoard:
    """Writes each look as scalars."""

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UsageError(
                "--tensorboard needs a package that is not installed",
                hint="Install it with: pip install 'seqgen[tensorboard]'",
            ) from error
        self._make = SummaryWriter
        self._writer: Any = None

    def __call__(self, progress: Progress) -> None:
        if progress.folder and self._writer is None:
            self._writer = self._make(str(progress.folder / "tensorboard"))
        if look := progress.look:
            for name, value in (("nats/train", look.train_nats), ("nats/valid", look.valid_nats), ("rate", look.rate)):
                if value is not None:
                    self._writer.add_scalar(name, value, look.step)
            self._writer.flush()
