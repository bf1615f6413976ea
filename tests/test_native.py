"""The compiled path: what plain torch says, whatever is drawn beside it, and only where it can be trusted."""

from __future__ import annotations

import ctypes
import importlib.util
import math
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from torch import Tensor

from seqgen.alphabet import Alphabet
from seqgen.cache import clean_cache
from seqgen.decoding.rules import Ground, RuleSettings
from seqgen.likelihood import divergence
from seqgen.models import LanguageModel
from seqgen.models.cells import CELLS
from seqgen.native import compiling, streams
from seqgen.native.compiling import find_compilers, load_library
from seqgen.native.streams import SOURCE, Chain, Drawer, Streams
from seqgen.recipe import ModelSettings
from seqgen.writing import WEIGHTS
from tests.test_rules import SETUPS, SYMBOLS, Setup, some_histories, some_logits

needs_compiler = pytest.mark.skipif(not streams.is_available(), reason="needs a C compiler")
PROMPT = [0, 3, 1, 4, 1]


def network(cell: str = "lstm", layers: int = 2, hidden: int = 20, symbols: int = 37) -> LanguageModel:
    """A small one with random weights, large enough to tell symbols apart; no size is that of a vector."""
    settings = ModelSettings(cell=cell, layers=layers, hidden=hidden, embedding=7)
    model = LanguageModel(Alphabet(symbols), settings)
    model.reset_parameters(torch.Generator().manual_seed(hidden + layers))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.mul_(3 if name.startswith("output") else 1.5)
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model.requires_grad_(False).eval()


def begin(model: LanguageModel, precision: str, count: int, rules: RuleSettings | None = None) -> Streams:
    plain = model.plain()
    assert plain is not None
    logits, state = model.start(torch.tensor([PROMPT]))
    ground = Ground(sizes=torch.ones(model.size, dtype=torch.long), prompt=len(PROMPT), length=50)
    chain = Chain(rules or RuleSettings(temperature=1.0), ground)
    return Streams(Drawer(plain, precision), chain, state.tensors(), logits, PROMPT, count)


def numbers(count: int, symbols: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(0).random((count, symbols))


@needs_compiler
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("layers", "hidden"), [(1, 16), (2, 20), (3, 33)])
def test_logits_are_those_of_plain_torch(cell: str, layers: int, hidden: int) -> None:
    model = network(cell, layers, hidden)
    drawing = begin(model, "float32", 5)
    drawn = drawing.draw(numbers(5, 40))
    for row in range(5):
        logits, _ = model.start(torch.tensor([PROMPT + drawn[row].tolist()]))
        np.testing.assert_allclose(drawing.logits[row], logits[0].numpy(), atol=1e-4, rtol=0)


@needs_compiler
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("precision", WEIGHTS)
def test_a_stream_does_not_depend_on_what_is_drawn_beside_it_or_at_once(cell: str, precision: str) -> None:
    model, uniform = network(cell), numbers(7, 60)
    all_of_them = begin(model, precision, 7)
    together = all_of_them.draw(uniform)
    for row in range(7):
        alone = begin(model, precision, 1)
        parts = [alone.draw(uniform[row : row + 1, at : at + 20]).copy() for at in range(0, 60, 20)]
        assert np.concatenate(parts, axis=1)[0].tolist() == together[row].tolist()
        assert alone.logits[0].tolist() == all_of_them.logits[row].tolist()
    some = begin(model, precision, 7)
    some.draw(uniform[:, :20])
    some.keep([1, 4, 6])
    assert (some.draw(uniform[[1, 4, 6], 20:]) == together[[1, 4, 6], 20:]).all()


@needs_compiler
def test_bytes_are_nearly_as_good_and_the_divergence_says_how_nearly() -> None:
    model = network(hidden=64)
    plain = model.plain()
    assert plain is not None
    exact, bytes_ = (divergence(model, Drawer(plain, precision)) for precision in WEIGHTS)
    assert exact < 1e-9 < bytes_ < 0.02
    broken = Drawer(plain, "int8")
    broken._packed[0][...] = np.roll(broken._packed[0], 1, axis=0)
    assert divergence(model, broken) > 10 * bytes_


@needs_compiler
@given(setup=SETUPS, logits=some_logits(), history=some_histories())
def test_the_rules_are_those_of_the_reference(setup: Setup, logits: Tensor, history: Tensor) -> None:
    library = load_library(SOURCE)
    assert library is not None
    library.bent.restype = ctypes.c_double
    chain = Chain(setup.settings, setup.ground)
    logits = logits.mul(4).round().div(4)  # so that none are equal but for rounding
    for row, past in zip(logits, history, strict=False):
        expected = setup.bend(row.unsqueeze(0), past.unsqueeze(0))[0]
        bent, read = row.numpy().copy(), past.numpy().astype(np.int32)
        phrases = setup.ground.phrases
        place = 0 if phrases is None else int(phrases.place(past.unsqueeze(0)))
        stream = streams._Stream(None, None, read.ctypes.data, len(read), int(setup.ground.written(past[None])), place)
        temperature = library.bent(
            ctypes.byref(chain.c_rules), ctypes.byref(stream), SYMBOLS, ctypes.c_void_p(bent.ctypes.data)
        )
        if temperature == 0:
            assert int(bent.argmax()) == int(expected.argmax())
        else:
            ours, theirs = torch.from_numpy(bent).double().softmax(-1), expected.double().softmax(-1)
            assert torch.allclose(ours, theirs, atol=1e-5) or near_a_border(setup, ours, theirs)


def near_a_border(setup: Setup, ours: Tensor, theirs: Tensor) -> bool:
    """Whether two distributions are the same but for symbols at the very edge of what is kept, which rounding decides on."""
    both = (ours > 0) & (theirs > 0)
    one, other = (part[both] / part[both].sum() for part in (ours, theirs))
    wider = ours if int((ours > 0).sum()) > int((theirs > 0).sum()) else theirs
    rest = 1 - float(wider[both].sum())  # of the symbols that only one of them keeps
    edge, least = setup.settings.top_p or 1.0, setup.settings.min_p or 0.0
    ratio = float(wider[~both].max() / wider.max()) if bool((wider[~both] > 0).any()) else 0.0
    at_the_edge = abs(float(wider[both].sum()) - edge) < 1e-4 or abs(ratio - least) < 1e-4 or rest < 1e-4
    return torch.allclose(one, other, atol=1e-5) and at_the_edge


@needs_compiler
@pytest.mark.parametrize(
    ("probabilities", "rules", "kept"),
    [
        ([0.5, 0.25, 0.125, 0.125], {"top_p": 0.6}, [0, 1]),
        ([0.5, 0.25, 0.125, 0.125], {"top_p": 0.4}, [0]),
        ([0.125, 0.125, 0.5, 0.25], {"top_p": 0.8}, [0, 2, 3]),
        ([0.1, 0.5, 0.15, 0.25], {"min_p": 0.49}, [1, 3]),
        ([0.1, 0.5, 0.15, 0.25], {"min_p": 0.29}, [1, 2, 3]),
        ([0.25, 0.25, 0.25, 0.25], {"top_k": 2}, [0, 1]),
        ([0.4, 0.3, 0.2, 0.1], {"top_k": 2, "top_p": 0.55}, [0]),
    ],
)
def test_the_rules_keep_exactly_what_they_should(
    probabilities: list[float], rules: dict[str, Any], kept: list[int]
) -> None:
    library = load_library(SOURCE)
    assert library is not None
    logits = np.log(np.array(probabilities, np.float32))
    chain = Chain(RuleSettings(temperature=1.0, **rules), Ground(sizes=torch.zeros(4, dtype=torch.long)))
    history = np.zeros(1, np.int32)
    stream = streams._Stream(None, None, history.ctypes.data, 1, 0, 0)
    library.bent(ctypes.byref(chain.c_rules), ctypes.byref(stream), 4, ctypes.c_void_p(logits.ctypes.data))
    assert np.flatnonzero(logits > -np.inf).tolist() == kept


@needs_compiler
@pytest.mark.parametrize("history", [[1, 2, 3, 1, 2], [0, 1, 2, 3, 0, 1, 2], [1, 2, 3] + [0] * 7 + [1, 2]])
def test_no_run_comes_twice_wherever_it_stands(history: list[int]) -> None:
    library = load_library(SOURCE)
    assert library is not None
    chain = Chain(RuleSettings(temperature=1.0, no_repeat=3), Ground(sizes=torch.zeros(4, dtype=torch.long)))
    read, logits = np.array(history, np.int32), np.zeros(4, np.float32)
    stream = streams._Stream(None, None, read.ctypes.data, len(read), 0, 0)
    library.bent(ctypes.byref(chain.c_rules), ctypes.byref(stream), 4, ctypes.c_void_p(logits.ctypes.data))
    assert np.flatnonzero(logits == -np.inf).tolist() == [3]


@needs_compiler
@pytest.mark.parametrize(("written", "temperature"), [(-3, 0.5), (0, 0.5), (5, 1.0), (10, 1.5), (100, 1.5)])
def test_the_temperature_stays_between_its_ends(written: int, temperature: float) -> None:
    library = load_library(SOURCE)
    assert library is not None
    library.bent.restype = ctypes.c_double
    sizes = torch.ones(4, dtype=torch.long)
    chain = Chain(RuleSettings(temperature=0.5, final_temperature=1.5), Ground(sizes=sizes, length=10))
    read, logits = np.zeros(1, np.int32), np.zeros(4, np.float32)
    stream = streams._Stream(None, None, read.ctypes.data, 1, written, 0)
    found = library.bent(ctypes.byref(chain.c_rules), ctypes.byref(stream), 4, ctypes.c_void_p(logits.ctypes.data))
    assert found == pytest.approx(temperature)


@needs_compiler
def test_what_is_drawn_follows_the_probabilities() -> None:
    model = network(symbols=5)
    first = begin(model, "float32", 4000).draw(numbers(4000, 1))[:, 0]
    logits, _ = model.start(torch.tensor([PROMPT]))
    shares = np.bincount(first, minlength=5) / 4000
    np.testing.assert_allclose(shares, logits.softmax(-1)[0].numpy(), atol=0.03)


@needs_compiler
def test_the_edges_of_the_random_numbers_draw_what_is_possible() -> None:
    model = network()
    ids = begin(model, "float32", 2, RuleSettings(1.0, top_k=3)).draw(np.array([[0.0], [1 - 2**-53]]))
    logits, _ = model.start(torch.tensor([PROMPT]))
    best = logits[0].topk(3).indices.tolist()
    assert ids[:, 0].tolist() == [min(best), max(best)]


@needs_compiler
def test_a_history_grows_beyond_its_first_room_and_rules_still_see_it() -> None:
    drawing = begin(network(), "float32", 2, RuleSettings(1.0, no_repeat=3))
    uniform = numbers(2, 2400)
    drawn = np.concatenate([drawing.draw(uniform[:, at : at + 60]).copy() for at in range(0, 2400, 60)], axis=1)
    for row in drawn.tolist():
        runs = list(zip(row, row[1:], row[2:], strict=False))
        assert len(set(runs)) == len(runs)


@needs_compiler
def test_a_symbol_that_was_drawn_otherwise_is_read_the_same() -> None:
    model, uniform = network(), numbers(3, 30)
    first = begin(model, "int8", 3)
    drawn = first.draw(uniform).copy()
    second = begin(model, "int8", 3)
    second.draw(uniform[:, :10])
    for column in drawn[:, 10:].T:
        second.feed(column.tolist())
    assert (second.history == first.history).all() and (second.logits == first.logits).all()


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache of its own, in which nothing is compiled."""
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(compiling.SWITCH, raising=False)
    load_library.cache_clear()
    yield tmp_path / "cache" / "native"
    load_library.cache_clear()


@needs_compiler
def test_it_is_compiled_once_and_for_its_owner_alone(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_library(SOURCE) is not None
    (library,) = fresh.iterdir()
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700
    load_library.cache_clear()
    monkeypatch.setattr(compiling, "_compile", None)
    assert load_library(SOURCE) is not None
    assert list(fresh.iterdir()) == [library]


@needs_compiler
def test_it_loads_whatever_the_umask_is(fresh: Path) -> None:
    before = os.umask(0o002)
    try:
        assert load_library(SOURCE) is not None
        load_library.cache_clear()
        assert load_library(SOURCE) is not None
    finally:
        os.umask(before)


@needs_compiler
@pytest.mark.parametrize("which", ["itself", "parent", "link"])
def test_a_folder_that_others_can_change_is_not_trusted(fresh: Path, which: str) -> None:
    fresh.mkdir(parents=True, mode=0o700)
    if which == "link":
        elsewhere = fresh.parent.parent / "open" / "native"
        elsewhere.mkdir(parents=True)
        elsewhere.parent.chmod(0o777)
        fresh.rmdir()
        fresh.symlink_to(elsewhere)
    else:
        (fresh if which == "itself" else fresh.parent).chmod(0o777)
    assert load_library(SOURCE) is None


@needs_compiler
def test_a_library_that_others_can_write_is_not_loaded(fresh: Path) -> None:
    assert load_library(SOURCE) is not None
    (library,) = fresh.iterdir()
    library.chmod(0o777)
    load_library.cache_clear()
    assert load_library(SOURCE) is None


@needs_compiler
def test_a_compiler_that_works_is_found_behind_one_that_does_not(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "false --anything")
    assert load_library(SOURCE) is not None


def test_why_there_is_none_is_noted_and_not_tried_again(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import sys; print('no such option'); sys.exit(1)"
    monkeypatch.setattr(compiling, "find_compilers", lambda: iter([[sys.executable, "-c", script]]))
    assert load_library(SOURCE) is None
    (note,) = fresh.iterdir()
    assert note.suffix == ".failed" and "no such option" in note.read_text(encoding="utf-8")
    load_library.cache_clear()
    monkeypatch.setattr(compiling, "_compile", None)
    assert load_library(SOURCE) is None


def test_a_compiler_that_hangs_is_ended(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    monkeypatch.setattr(compiling, "find_compilers", lambda: iter([[sys.executable, "-c", script]]))
    monkeypatch.setattr(compiling, "PATIENCE", 0.5)
    began = time.monotonic()
    assert load_library(SOURCE) is None
    assert time.monotonic() - began < 20
    assert "did not end" in next(fresh.iterdir()).read_text(encoding="utf-8")


def test_the_cache_is_cleaned_of_libraries_too(fresh: Path) -> None:
    fresh.mkdir(parents=True)
    (fresh / f"streams-{'0' * 32}.so").write_bytes(b"")
    clean_cache()
    assert not fresh.exists()


@pytest.mark.parametrize("way", ["off", "no compiler", "broken compiler", "no folder"])
def test_without_it_there_is_none_and_no_error(fresh: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    if way == "off":
        monkeypatch.setenv(compiling.SWITCH, "off")
    elif way == "no compiler":
        monkeypatch.setattr(compiling, "find_compilers", lambda: iter(()))
    elif way == "broken compiler":
        monkeypatch.setattr(compiling, "find_compilers", lambda: iter([["false"]]))
    else:
        fresh.parent.mkdir(parents=True)
        fresh.write_text("in the way", encoding="utf-8")
    assert load_library(SOURCE) is None
    assert not streams.is_available() and not streams.has_fast_bytes()


def test_compilers_are_looked_for_by_name_and_then_as_a_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert list(find_compilers()) == []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == "ziglang" or None)
    assert [command[1:] for command in find_compilers()] == [["-m", "ziglang", "cc"]]
    (tmp_path / "gcc").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "gcc").chmod(0o755)
    assert next(find_compilers()) == [str(tmp_path / "gcc")]
    monkeypatch.setenv("CC", "ccache gcc")
    assert next(find_compilers()) == ["ccache", "gcc"]


@needs_compiler
def test_masked_logits_are_never_drawn_at_any_temperature() -> None:
    model = network()
    for temperature in (0.0, 1e-300, 1e-7, 1e-5, 1e30):
        rules = RuleSettings(temperature=temperature, top_k=2)
        drawn = begin(model, "float32", 4, rules).draw(numbers(4, 1))[:, 0]
        logits, _ = model.start(torch.tensor([PROMPT]))
        best = logits[0].topk(2).indices.tolist()
        assert set(drawn.tolist()) <= set(best)
        assert temperature > 1e-6 or set(drawn.tolist()) == {best[0]}
        assert math.isfinite(float(logits.sum()))
