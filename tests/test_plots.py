"""Pictures: that they are whole, can be drawn for every corpus, and label every symbol so that it can be read."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from seqgen import plots
from seqgen.plots import draw_corpus, draw_loss, label_symbol, spread

PICTURE = Path("picture.png")
LATIN = [(symbol, 500 - place) for place, symbol in enumerate(" etaoinshr\n\tdlucm")]
SPLITS = {"train": 900, "valid": 50, "test": 50}


def size_of(path: Path) -> tuple[int, ...]:
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG") and data.endswith(b"IEND\xae\x42\x60\x82")
    return struct.unpack(">II", data[16:24])


def draw(
    lengths: list[int],
    alphabet: list[tuple[str, int]] = LATIN,
    splits: dict[str, int] = SPLITS,
    left_out: dict[str, int] | None = None,
    title: str = "corpus.txt",
) -> tuple[int, ...]:
    draw_corpus(PICTURE, title=title, lengths=lengths, alphabet=alphabet, splits=splits, left_out=left_out or {})
    return size_of(PICTURE)


def panels(monkeypatch: pytest.MonkeyPatch, lengths: list[int], left_out: dict[str, int]) -> list[str]:
    """The titles in a picture."""
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    draw_corpus(PICTURE, title="here", lengths=lengths, alphabet=LATIN, splits=SPLITS, left_out=left_out)
    return [figures[0].get_suptitle(), *(axes.get_title(loc="left") for axes in figures[0].axes)]


@pytest.mark.parametrize("lengths", [[], [0], [1_234_567], [7, 7, 7], [0, 1, 10**8], [3, 5, 90, 41, 2000]])
def test_documents_of_every_length_can_be_drawn(lengths: list[int]) -> None:
    assert draw(lengths) == (1200, 900)


def test_lengths_may_be_an_array() -> None:
    lengths = np.arange(1, 20_000)
    draw_corpus(PICTURE, title="", lengths=lengths, alphabet=LATIN, splits=SPLITS, left_out={})
    assert size_of(PICTURE) == (1200, 900)


@pytest.mark.parametrize(
    "symbols",
    [
        "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于",
        "ابتثجحخدذرزسشصضطظعغفقكلمنهوي\u064e\u0651،؟",
        "\U0001f600\U0001f44d\U0001f3fd\u200d\ufe0f❤",
        "\0\x07\x7f\u00a0\u00ad\u0301\u2028\ud800\U0010ffff\ufffe",
        "$_^{}\\%#&~",
    ],
)
def test_symbols_of_every_script_can_be_drawn_without_a_warning(symbols: str) -> None:
    """Warnings are errors in these tests."""
    draw([10, 20], [(symbol, 9) for symbol in symbols], left_out={symbols: 1}, title=f"{symbols} $x$")
    draw([10, 20], [(symbols, 2), (" $x$", 1), ("", 1)])


def test_corpora_without_anything_can_be_drawn() -> None:
    draw([], [], {})
    draw([0, 0], [("a", 0)], {"train": 0, "valid": 0, "test": 0}, {"empty": 0})


@pytest.mark.parametrize(
    ("symbol", "label"),
    [
        (" ", "space"),
        ("\n", "newline"),
        ("\t", "tab"),
        ("\r", "return"),
        ("", "nothing"),
        ("a", "a"),
        ("$", "$"),
        ("ж", "ж"),
        ("ب", "ب"),
        ("的", "U+7684"),
        ("\0", "U+0000"),
        ("\u0301", "U+0301"),
        ("\u00a0", "U+00A0"),
        ("\U0001f9ff", "U+1F9FF"),
        (" the", "␣the"),
        ("\n\t", "↵⇥"),
        ("a very long piece", "a␣very␣long…"),
    ],
)
def test_a_symbol_has_a_label_that_can_be_read(symbol: str, label: str) -> None:
    assert label_symbol(symbol) == label


def test_the_lengths_of_one_document_are_no_histogram(monkeypatch: pytest.MonkeyPatch) -> None:
    assert panels(monkeypatch, [5000], {}) == [
        "here: one document of 5,000 characters",
        "Splits, in characters",
        "All 17 symbols",
    ]


def test_what_was_left_out_is_drawn_when_anything_was(monkeypatch: pytest.MonkeyPatch) -> None:
    assert panels(monkeypatch, [5, 9], {"binary": 3}) == [
        "here: 2 documents",
        "Lengths of documents",
        "Splits, in characters",
        "Left out",
        "All 17 symbols",
    ]


def test_rare_reasons_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, int]] = []
    monkeypatch.setattr(plots, "_draw_bars", lambda axes, title, sizes, color: seen.append(sizes))
    draw([5, 9], left_out={"a": 1, "b": 2, "c": 30, "d": 4, "e": 5, "f": 6, "g": 7})
    assert seen[1] == {"c": 30, "g": 7, "f": 6, "e": 5, "d": 4, "other reasons": 3}


@pytest.mark.parametrize(("shortest", "longest"), [(1, 1), (7, 90), (1, 10**8), (5000, 5001), (1, 500)])
def test_every_length_is_in_a_bin(shortest: int, longest: int) -> None:
    edges = plots._bin_edges(shortest, longest)
    assert edges[0] < shortest and longest < edges[-1]
    assert (np.diff(edges) >= 1).all()
    assert len(edges) < 100


@given(st.lists(st.floats(0, 10), min_size=1, max_size=8).map(sorted))
def test_labels_are_moved_apart_and_no_further_than_they_must(places: list[float]) -> None:
    moved = spread(places, 1.0)
    assert all(after - before >= 1.0 - 1e-9 for before, after in itertools.pairwise(moved))
    assert all(abs(new - old) <= 0.5 * len(places) for new, old in zip(moved, places, strict=True))
    far = [3.0 * place for place in range(len(places))]
    assert spread(far, 1.0) == far


def test_equal_figures_can_all_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    baselines = {"unigram": 4.6, "8-gram": 2.2, "8-gram of characters": 2.2, "xz -9": 2.201}
    draw_loss(PICTURE, [1, 2, 3], [3.0, 2.4, 2.2], [None, 2.3, 2.2], "bits per character", baselines, recalled=2.199)
    draw_loss(PICTURE, [1, 2, 3], [6.0, 4.0, 0.1], [5.0, 3.0, 0.1], "bits per character", {})
    assert figures[1].axes[0].get_ylim()[0] == 0, "no text is predicted better than perfectly"
    figure = figures[0]
    figure.draw_without_rendering()
    boxes = {text.get_text(): text.get_window_extent() for text in figure.axes[0].texts}
    assert set(boxes) == {"4.600 unigram", "2.200 8-gram", "2.200 8-gram of characters", "2.201 xz -9",
                          "2.200 validation", "2.199 with recall"}  # fmt: skip
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes.values(), 2))
    assert all(min(box.x0, box.y0) >= 0 and box.x1 <= figure.bbox.width for box in boxes.values())


def test_a_loss_curve_is_drawn_with_and_without_validation() -> None:
    draw_loss(PICTURE, [1, 2, 3], [3.0, 2.0, 1.5], [None, 2.2, 1.9], "bits per character", {"bigrams": 2.5})
    assert size_of(PICTURE) == (960, 504)
    draw_loss(PICTURE, [1, 2], [3.0, 2.0], [None, None], "bits per character", {})
    assert size_of(PICTURE) == (960, 504)


def test_a_picture_that_cannot_be_written_leaves_the_older_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    def fail(figure: Figure, path: Path, **options: str) -> None:
        path.write_bytes(b"half")
        raise OSError("the disk is full")

    PICTURE.write_bytes(b"older")
    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(OSError, match="full"):
        draw([1, 2])
    with pytest.raises(OSError, match="full"):
        draw_loss(PICTURE, [1, 2], [3.0, 2.0], [None, None], "bits per character", {})
    assert PICTURE.read_bytes() == b"older"
    assert list(Path().iterdir()) == [PICTURE]
