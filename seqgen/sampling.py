"""Samples of a model: one that streams while it is drawn, or many side by side.

There are two ways to draw. The compiled one (``native/``) takes recurrent networks that are nothing else, on a processor;
what a sample becomes there depends on its index alone. Plain torch (``generation.py``) takes all models. A sample is a
function of the checkpoint, the seed, the settings, the random seed, its index and the way, which it names.
"""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqgen.decoding.phrases import build_phrases
from seqgen.decoding.rules import PREFERENCE, WINDOW, Ground, bend, build_rules, rules_on
from seqgen.errors import UsageError
from seqgen.generation import TILE, Draws, SampleSettings, choose, generate, masked
from seqgen.likelihood import divergence
from seqgen.machine import default_threads
from seqgen.models import Model
from seqgen.models.plain import PlainNetwork
from seqgen.models.recall import LEAST_SEED
from seqgen.native.streams import Chain, Drawer, Streams, fits, has_fast_bytes, is_available
from seqgen.tokenizers import Opening, Tokenizer
from seqgen.writing import Writing

BLOCKS = range(24, 65)
"""Symbols that many streams draw at once, before their texts are looked at."""
CHUNK = 64
"""Streams that one thread draws."""


PATIENCE = 0.2
"""Seconds after which somebody who waits looks whether they were interrupted; not all systems wake them."""
Part = list[tuple[int, Writing]]
"""Writings with the indices of their samples."""


@dataclass(frozen=True)
class Task:
    """What all samples of one call have in common.

    Attributes:
        model: in evaluation mode.
        opening: the ids they grow from.
        settings: what they should be like.
        ground: what rules must know.
        random_seed: with the index it makes a sample repeatable.
    """

    model: Model
    opening: Opening
    settings: SampleSettings
    ground: Ground
    random_seed: int


class Start(NamedTuple):
    """A model after the opening: its state by names, each (1, hidden), and the logits (1, symbols) of what comes next."""

    state: dict[str, Tensor]
    logits: Tensor


@torch.inference_mode()
def start_of(task: Task) -> Start:
    """The model of a task after the opening."""
    logits, state = task.model.start(torch.tensor([list(task.opening.ids)]))
    return Start(state.tensors(), logits)


class Way(Protocol):
    """A way to draw."""

    path: str
    precision: str
    divergence: float | None
    """From float32, in nats per symbol; None: it is float32."""

    def one(self, task: Task, writing: Writing, index: int) -> Iterator[str]:
        """Draws one sample: what can be shown after each step, perhaps nothing."""
        ...

    def many(self, task: Task, writings: Iterator[tuple[int, Writing]]) -> Iterator[Part]:
        """Draws many samples: groups of them, when they are complete. Interrupted, it hands out what there is first."""
        ...


def ground_of(tokenizer: Tokenizer, settings: SampleSettings, opening: Opening) -> Ground:
    """What the rules must know of a tokenizer's symbols and of the samples.

    Raises:
        UsageError: texts are to be banned or preferred, and there are none; or they are too many.
    """
    rules, writes = settings.rules, tokenizer.writes()
    texts = {name: [tokenizer.phrase(text) for text in getattr(rules, name)] for name in ("ban", "prefer")}
    for name, found in texts.items():
        if found and not writes:
            raise UsageError(f"--{name} is for text, and this model writes none", hint="Leave it out.")
        if b"" in found:
            raise UsageError(f"a text to {name} holds no symbol", hint=f"Leave --{name} out.")
    phrases = build_phrases(writes, texts["ban"], texts["prefer"], PREFERENCE)
    sizes = torch.from_numpy(tokenizer.sizes().astype(np.int64))
    given = sum(byte & 0xC0 != 0x80 for byte in opening.taken_back)  # characters
    return Ground(sizes=sizes, given=given, length=settings.length, least=settings.min_length or 0, phrases=phrases)


def choose_way(task: Task, many: bool) -> Way:
    """The fastest way there is: the compiled one for plain networks on a processor that recall nothing of the seed.

    Raises:
        UsageError: another precision than float32 was asked for, and there is no compiled way; or a rule lacks what it needs.
    """
    model, opening, settings = task.model, task.opening, task.settings
    rules = rules_on(settings.rules, task.ground)
    recalls = settings.recall and model.recall is not None and len(opening.ids) > LEAST_SEED
    network = None if model.device.type != "cpu" or recalls or not is_available() else model.plain()
    if network is not None and fits(network, rules):
        fast = "int8" if many and has_fast_bytes() else "float32"
        return NativeWay(model, network, fast if settings.precision == "auto" else settings.precision)
    if settings.precision not in ("auto", "float32"):
        raise UsageError(
            f"{settings.precision} needs the compiled path, which there is not for this model, seed or machine",
            hint="Leave --precision out. The path needs a processor, a C compiler or pip install 'seqgen[native]', a model "
            "of text, and no long seed (or --no-recall).",
        )
    return TorchWay(many)


class TorchWay:
    """Plain torch: symbol by symbol, several samples in tiles of one width."""

    precision = "float32"
    divergence: float | None = None

    def __init__(self, many: bool) -> None:
        self.path = "tile" if many else "single"

    def one(self, task: Task, writing: Writing, index: int) -> Iterator[str]:
        """Draws one sample as a single stream."""
        for (symbol,) in self._draw(task, [index], [writing]):
            yield writing.feed(symbol)
            if writing.is_done():
                return

    def many(self, task: Task, writings: Iterator[tuple[int, Writing]]) -> Iterator[Part]:
        """Draws tile by tile. Each sample has its own place in its tile, so that its numbers are the same with any others."""
        for _, group in itertools.groupby(writings, key=lambda pair: pair[0] // TILE):
            tile = list(group)
            places = [index % TILE for index, _ in tile]
            indices, row = [-1] * TILE, [tile[0][1]] * TILE
            for place, (index, writing) in zip(places, tile, strict=True):
                indices[place], row[place] = index, writing
            try:
                if not all(writing.is_done() for _, writing in tile):
                    for symbols in self._draw(task, indices, row):
                        for place, (_, writing) in zip(places, tile, strict=True):
                            writing.feed(symbols[place])
                        if all(writing.is_done() for _, writing in tile):
                            break
            except KeyboardInterrupt:
                for _, writing in tile:
                    writing.finish()
                yield tile
                raise
            yield tile

    def _draw(self, task: Task, indices: list[int], writings: Sequence[Writing]) -> Iterator[list[int]]:
        def allowed() -> npt.NDArray[np.bool_] | None:
            masks = [writing.allowed() for writing in writings]
            known = [mask for mask in masks if mask is not None]
            return np.stack(known) if len(known) == len(masks) else None

        settings = task.settings
        start = task.opening.ids, settings.rules, task.random_seed, indices
        return generate(task.model, *start, allowed, settings.recall, ground=task.ground)


class NativeWay:
    """The compiled path: blocks of symbols, many samples by several threads.

    Args:
        model: on the processor.
        network: its matrices, which are all that there is to it.
        precision: of its weights.
    """

    path = "native"

    def __init__(self, model: Model, network: PlainNetwork, precision: str) -> None:
        self.precision = precision
        self._drawer = Drawer(network, precision)
        self.divergence = None if precision == "float32" else divergence(model, self._drawer)

    def one(self, task: Task, writing: Writing, index: int) -> Iterator[str]:
        """Draws one sample; the first symbols come one by one, later ones in growing blocks."""
        group, block = _Group(self._drawer, task, start_of(task), [(index, writing)]), 1
        while group.goes_on():
            yield group.draw(block)
            block = min(2 * block, BLOCKS[0])

    def many(self, task: Task, writings: Iterator[tuple[int, Writing]]) -> Iterator[Part]:
        """Draws groups of samples in several threads, each symbol of which depends on its own sample alone."""
        threads, stop, start = default_threads(), threading.Event(), start_of(task)
        length = task.settings.length or 0
        block = min(BLOCKS, key=lambda size: (-length % size, -size))  # so that none is drawn in vain

        def run(part: Part) -> Part:
            group = _Group(self._drawer, task, start, part)
            while group.goes_on() and not stop.is_set():
                group.draw(block)
            return part

        running: deque[Future[Part]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            try:
                parts = iter(lambda: list(itertools.islice(writings, CHUNK)), [])
                for part in parts:
                    running.append(pool.submit(run, part))
                    if len(running) > 2 * threads:
                        yield _wait(running).result()
                while running:
                    yield _wait(running).result()
            except KeyboardInterrupt:  # what is there is handed out first
                stop.set()
                for future in running:
                    if future.cancel():
                        continue
                    part = future.result()
                    if not any(writing.ids for _, writing in part):  # it came to its turn only now
                        continue
                    for _, writing in part:
                        writing.finish()
                    yield part
                raise
            finally:
                stop.set()
                pool.shutdown(cancel_futures=True)


def _wait(running: deque[Future[Part]]) -> Future[Part]:
    """The first of what is running, once it is complete; it is taken out only then. An interrupt is heard meanwhile."""
    while not running[0].done():
        wait([running[0]], timeout=PATIENCE)
    return running.popleft()


class _Group:
    """Streams that one thread draws, and the writings that are not complete."""

    def __init__(self, drawer: Drawer, task: Task, start: Start, part: Part) -> None:
        ids = list(task.opening.ids)
        read = ids[-WINDOW:]  # no rule looks at more
        ground = dataclasses.replace(task.ground, prompt=len(read))
        self._rules = build_rules(task.settings.rules, ground)
        self._writings = [writing for _, writing in part]
        self._draws = Draws(task.random_seed, [index for index, _ in part])
        chain = Chain(task.settings.rules, ground)
        self._streams = Streams(drawer, chain, start.state, start.logits, read, len(part))
        self._drop_complete()

    def goes_on(self) -> bool:
        """Whether any of the writings is not complete."""
        return bool(self._writings)

    def draw(self, block: int) -> str:
        """Draws a block of symbols for each writing; what can be shown of the first."""
        if all(writing.is_free() for writing in self._writings):
            drawn = self._streams.draw(self._draws.take(block)).tolist()
        else:
            drawn = [[symbol] for symbol in self._draw_masked()]
        shown = [writing.feed_all(symbols) for writing, symbols in zip(self._writings, drawn, strict=True)]
        self._drop_complete()
        return shown[0]

    def _draw_masked(self) -> list[int]:
        """One symbol for each writing, of those that it allows."""
        masks = [writing.allowed() for writing in self._writings]
        rows = [np.ones(self._streams.symbols, np.bool_) if mask is None else mask for mask in masks]
        logits = masked(torch.from_numpy(self._streams.logits.copy()), np.stack(rows))
        history = torch.from_numpy(self._streams.history.astype(np.int64))
        uniform = torch.from_numpy(self._draws.take(1)[:, 0])
        drawn = choose(bend(logits, history, self._rules), uniform).tolist()
        self._streams.feed(drawn)
        return list(drawn)

    def _drop_complete(self) -> None:
        kept = [row for row, writing in enumerate(self._writings) if not writing.is_done()]
        if len(kept) < len(self._writings):
            self._writings = [self._writings[row] for row in kept]
            self._streams.keep(kept)
            self._draws.keep(kept)
