"""Streams that a network draws side by side, by the compiled path (``streams.c``).

What a stream draws depends on nothing beside it: not on how many there are, nor on how many symbols are drawn at once.
"""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Sequence
from ctypes import POINTER, Structure, c_double, c_float, c_int32, c_int64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqgen.decoding.rules import RECENT, WINDOW, Ground, RuleSettings
from seqgen.models.plain import PlainNetwork
from seqgen.native.compiling import load_library

SOURCE = Path(__file__).with_name("streams.c")
CELLS = ("lstm", "gru", "rnn")
"""In the order of their numbers in the C source."""
RULES = ("phrases", "min_length", "no_repeat", "repetition_penalty", "temperature", "top_k", "top_p", "min_p")
"""Those of `decoding/rules.py` that the C source knows, in its order."""
ROOM = 1024
"""Symbols that a history has room for at first."""
MOST_SYMBOLS, MOST_HIDDEN = 1 << 15, 1 << 12
"""Of a network that the compiled path takes: what a step needs lies on the stack."""
LARGEST = 127
"""Of a byte with a sign; what an input of 1 becomes."""

Ids = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]


class _Matrix(Structure):
    _fields_ = (
        ("weights", c_void_p),
        ("bias", c_void_p),
        ("scales", c_void_p),
        ("offsets", c_void_p),
        ("inputs", c_int32),
        ("outputs", c_int32),
    )


class _Layer(Structure):
    _fields_ = (("input", _Matrix), ("recurrent", _Matrix))


class _Network(Structure):
    _fields_ = (
        ("table", c_void_p),
        ("layers", POINTER(_Layer)),
        ("output", _Matrix),
        ("cell", c_int32),
        ("count", c_int32),
        ("hidden", c_int32),
        ("symbols", c_int32),
    )


class _Rules(Structure):
    _fields_ = (
        ("next", c_void_p),
        ("raises", c_void_p),
        ("sizes", c_void_p),
        ("first", c_double),
        ("last", c_double),
        ("length", c_double),
        ("least", c_double),
        ("penalty", c_float),
        ("top_p", c_float),
        ("min_p", c_float),
        ("recent", c_int32),
        ("ngram", c_int32),
        ("top_k", c_int32),
        ("window", c_int64),
    )


class _Stream(Structure):
    _fields_ = (
        ("state", c_void_p),
        ("logits", c_void_p),
        ("history", c_void_p),
        ("seen", c_int64),
        ("written", c_int64),
        ("place", c_int32),
    )


def is_available() -> bool:
    """Whether there is a compiled path on this machine."""
    return load_library(SOURCE) is not None


def has_fast_bytes() -> bool:
    """Whether this processor has instructions for products of bytes."""
    library = load_library(SOURCE)
    return library is not None and bool(library.has_int8())


def fits(network: PlainNetwork, rules: Collection[str]) -> bool:
    """Whether the compiled path knows a network's cell and these rules by their names, and has room for it."""
    known = network.cell in CELLS and set(rules) <= set(RULES)
    return known and len(network.output) <= MOST_SYMBOLS and network.hidden <= MOST_HIDDEN


class Drawer:
    """A network laid out for the compiled path.

    Args:
        network: its matrices.
        precision: one of `WEIGHTS`.

    Raises:
        RuntimeError: there is no compiled path.
    """

    def __init__(self, network: PlainNetwork, precision: str) -> None:
        library = load_library(SOURCE)
        if library is None:
            raise RuntimeError("there is no compiled path on this machine")
        self.library, self.network, self.precision = library, network, precision
        self._kept: list[Any] = []  # what C points to
        self._packed: list[npt.NDArray[Any]] = []
        self.panel = int(library.panel())
        self.padded = _up(network.hidden, 4)
        layers = (_Layer * len(network.layers))()
        for made, layer in zip(layers, network.layers, strict=True):
            made.recurrent = self._pack(layer.recurrent, layer.recurrent_bias)
            if layer.input is not None and layer.input_bias is not None:
                made.input = self._pack(layer.input, layer.input_bias)
        output = self._pack(network.output, network.output_bias)
        self.symbols, self.padded_symbols = len(network.output), int(output.outputs)
        cell = CELLS.index(network.cell)
        table = self._keep(_floats(network.table))
        self.c_network = _Network(table, layers, output, cell, len(layers), network.hidden, self.symbols)
        self._kept.append(layers)

    def _keep(self, array: npt.NDArray[Any]) -> int:
        self._kept.append(array)
        return int(array.ctypes.data)

    def _lay(self, array: npt.NDArray[Any]) -> int:
        self._packed.append(_aligned(array))
        return int(self._packed[-1].ctypes.data)

    def _pack(self, weights: Tensor, bias: Tensor) -> _Matrix:
        """A matrix (outputs, inputs) in panels of outputs; see the C source."""
        outputs, inputs = _up(len(weights), self.panel), self.padded
        whole = np.zeros((outputs, inputs), np.float32)
        whole[: len(weights), : weights.shape[1]] = _floats(weights)
        all_bias = np.zeros(outputs, np.float32)
        all_bias[: len(bias)] = _floats(bias)
        panels = outputs // self.panel
        if self.precision == "float32":
            laid = whole.reshape(panels, self.panel, inputs).transpose(0, 2, 1)
            return _Matrix(self._lay(laid), self._keep(all_bias), None, None, inputs, outputs)
        steps = np.maximum(np.abs(whole).max(1), 1e-30) / LARGEST
        rounded = np.rint(whole / steps[:, None]).astype(np.int8)
        laid = rounded.reshape(panels, self.panel, inputs // 4, 4).transpose(0, 2, 1, 3)
        offsets = (128 * rounded.sum(1, dtype=np.int32)).astype(np.int32)
        scales = self._keep((steps / LARGEST).astype(np.float32))
        return _Matrix(self._lay(laid), self._keep(all_bias), scales, self._keep(offsets), inputs, outputs)


class Chain:
    """Rules for the compiled path; see `decoding/rules.py`.

    Args:
        settings: the rules.
        ground: what they must know of the symbols and the sample.
    """

    def __init__(self, settings: RuleSettings, ground: Ground) -> None:
        self._ground, phrases = ground, ground.phrases
        self.sizes: Ids = ground.sizes.numpy().astype(np.int32)
        self._steps: Ids | None = None if phrases is None else phrases.next.numpy().astype(np.int32)
        self._raises = None if phrases is None else _floats(phrases.raises)
        last = settings.temperature if settings.final_temperature is None else settings.final_temperature
        self.c_rules = _Rules(
            None if self._steps is None else self._steps.ctypes.data,
            None if self._raises is None else self._raises.ctypes.data,
            self.sizes.ctypes.data,
            settings.temperature,
            last,
            max(1, ground.length or 1),
            ground.least,
            settings.repetition_penalty or 1.0,
            1.0 if settings.top_p is None else settings.top_p,
            settings.min_p or 0.0,
            RECENT,
            settings.no_repeat or 0,
            settings.top_k or 0,
            WINDOW,
        )

    def begin(self, prompt: Sequence[int]) -> tuple[int, int]:
        """The state of the automaton after a prompt; and the characters drawn so far, below 0 where some that stand in the
        seed already are drawn first."""
        phrases = self._ground.phrases
        return 0 if phrases is None else int(phrases.place(torch.tensor([list(prompt)]))), -self._ground.given

    def place_after(self, place: int, symbol: int) -> int:
        """The state of the automaton after one more symbol."""
        return 0 if self._steps is None else int(self._steps[place, symbol])


class Streams:
    """Streams that grow from one prompt.

    Args:
        drawer: the network.
        chain: the rules.
        state: after the prompt, by names; each (1, hidden), layer by layer as `State.tensors()` has them.
        logits: of the first symbol, (1, symbols).
        prompt: the ids that were read, at least one.
        count: how many streams.
    """

    def __init__(
        self,
        drawer: Drawer,
        chain: Chain,
        state: dict[str, Tensor],
        logits: Tensor,
        prompt: Sequence[int],
        count: int,
    ) -> None:
        self._drawer, self._chain, self.count = drawer, chain, count
        parts = [_floats(tensor).reshape(-1) for tensor in state.values()]
        one = np.zeros((len(parts), drawer.padded), np.float32)
        for row, part in zip(one, parts, strict=True):
            row[: len(part)] = part
        self._state = np.tile(one.reshape(1, -1), (count, 1))
        self._logits = np.zeros((count, drawer.padded_symbols), np.float32)
        self._logits[:, : drawer.symbols] = _floats(logits)
        self._history: Ids = np.zeros((count, len(prompt) + ROOM), np.int32)
        self._history[:, : len(prompt)] = np.array(prompt, np.int32)
        self._streams = (_Stream * count)()
        place, written = chain.begin(prompt)
        for stream in self._streams:
            stream.seen, stream.place, stream.written = len(prompt), place, written
        self._point()

    def draw(self, uniform: npt.NDArray[np.float64]) -> Ids:
        """Draws symbols in each stream, one after another.

        Args:
            uniform: a number in [0, 1) for each of them, (streams, symbols).

        Returns:
            Their ids, (streams, symbols).
        """
        block, seen = uniform.shape[1], int(self._streams[0].seen)
        self._make_room(block)
        numbers = np.ascontiguousarray(uniform)
        drawer = self._drawer
        drawer.library.draw(
            ctypes.byref(drawer.c_network),
            ctypes.byref(self._chain.c_rules),
            self._streams,
            c_int32(self.count),
            c_void_p(numbers.ctypes.data),
            c_int32(block),
        )
        return self._history[:, seen : seen + block]

    def feed(self, ids: Sequence[int]) -> None:
        """Reads a symbol in each stream that was drawn by other means."""
        seen, drawer, chain = int(self._streams[0].seen), self._drawer, self._chain
        self._make_room(1)
        for stream, row, symbol in zip(self._streams, self._history, ids, strict=True):
            row[seen] = symbol
            stream.seen = seen + 1
            stream.written += int(chain.sizes[symbol])
            stream.place = chain.place_after(int(stream.place), symbol)
        drawer.library.read_streams(ctypes.byref(drawer.c_network), self._streams, c_int32(self.count))

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these streams alone."""
        kept = (_Stream * len(rows))(*(self._streams[row] for row in rows))
        self._streams, self.count = kept, len(rows)
        self._state, self._logits = self._state[list(rows)], self._logits[list(rows)]
        self._history = self._history[list(rows)]
        self._point()

    @property
    def logits(self) -> Floats:
        """Of the next symbol, before the rules; (streams, symbols)."""
        return self._logits[:, : self._drawer.symbols]

    @property
    def history(self) -> Ids:
        """What each stream has read, the prompt included; (streams, symbols)."""
        return self._history[:, : int(self._streams[0].seen)]

    @property
    def symbols(self) -> int:
        """How many the network knows."""
        return self._drawer.symbols

    def _make_room(self, block: int) -> None:
        if int(self._streams[0].seen) + block > self._history.shape[1]:
            more = max(block, self._history.shape[1])
            self._history = np.concatenate([self._history, np.zeros((self.count, more), np.int32)], axis=1)
            self._point()

    def _point(self) -> None:
        for row, stream in enumerate(self._streams):
            stream.state = self._state[row].ctypes.data
            stream.logits = self._logits[row].ctypes.data
            stream.history = self._history[row].ctypes.data


def _up(number: int, to: int) -> int:
    return -(-number // to) * to


def _floats(tensor: Tensor) -> Floats:
    return np.ascontiguousarray(tensor.detach().cpu().float().numpy())


def _aligned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A copy that begins where a cache line does, as vectors are read fastest."""
    room = np.empty(array.nbytes + 64, np.uint8)
    start = -room.ctypes.data % 64
    place = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    place[...] = array
    return place
