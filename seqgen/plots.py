"""Pictures: the loss curve, and what a corpus holds."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, PALE, RED = "#1f4e8c", "#8aa4c8", "#b0402f"
SYMBOLS = 40
"""How many of an alphabet are drawn."""
REASONS = 5
"""How many reasons for leaving something out are named."""
LARGEST_MAP = 120
"""Pieces of a message or a reply that an attention map grows with."""
_DOTS = 120
"""To the inch."""
_NAMES = {" ": "space", "\n": "newline", "\t": "tab", "\r": "return", "": "nothing"}
_MARKS = {" ": "␣", "\n": "↵", "\t": "⇥"}
_UNSEEN = ("C", "M", "Z")
"""The Unicode categories of control characters, marks that stand on other letters, and separators."""


def draw_loss(
    path: Path,
    steps: Sequence[int],
    train: Sequence[float],
    valid: Sequence[float | None],
    unit: str,
    baselines: dict[str, float],
    recalled: float | None = None,
) -> None:
    """Draws training and validation loss over the steps, with the baselines as lines; the figures stand on the right.

    Args:
        path: of the PNG.
        steps: where the loss was looked at.
        train: mean training loss since the look before.
        valid: validation loss, None where there is none.
        unit: the axis's label.
        baselines: name -> loss.
        recalled: validation loss in the end, with what the model recalls of a document.

    Raises:
        OSError: it cannot be written; an older picture is left as it is.
    """
    figure = _new_figure(8, 4.2)
    axes = figure.subplots()
    axes.plot(steps, train, color=PALE, label="training (with dropout)")
    seen = [(step, value) for step, value in zip(steps, valid, strict=True) if value is not None]
    labels = [(value, name, RED) for name, value in baselines.items()]
    if seen:
        axes.plot(*zip(*seen, strict=True), color=BLUE, marker="o", markersize=3, label="validation")
        labels.append((min(value for _, value in seen), "validation", BLUE))
    if recalled is not None:
        axes.plot(steps[-1], recalled, color=BLUE, marker="*", markersize=9)
        labels.append((recalled, "with recall", BLUE))
    for value in baselines.values():
        axes.axhline(value, color=RED, linewidth=0.9, linestyle="--")
    values = [*train, *(value for value, _, _ in labels), *(value for _, value in seen)]
    lowest = min(values)
    highest = max([*train[1:], *baselines.values(), *(value for _, value in seen[1:])], default=max(train))
    extent = highest - lowest
    axes.set_ylim(max(0.0, lowest - 0.15 * extent - 0.01), highest + 0.08 * extent + 0.01)
    _label_values(axes, labels)
    axes.set_xlabel("step")
    axes.set_ylabel(unit)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    _save(figure, path)


def _label_values(axes: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Writes values, names and colours to the right of the axes, each at its height or as near as the others let it."""
    low, high = axes.get_ylim()
    ordered = sorted(labels)
    for (value, name, color), height in zip(
        ordered, spread([value for value, *_ in ordered], 0.05 * (high - low)), strict=True
    ):
        axes.annotate(
            f"{value:.3f} {name}",
            (1, height),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            xytext=(5, 0),
            va="center",
            color=color,
            fontsize=9,
            annotation_clip=False,
        )


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Ascending places moved apart as far as need be, up and down alike: no two are nearer than the gap."""
    up, down = list(places), list(places)
    for place in range(1, len(places)):
        up[place] = max(up[place], up[place - 1] + gap)
        down[-1 - place] = min(down[-1 - place], down[-place] - gap)
    return [(above + below) / 2 for above, below in zip(up, down, strict=True)]


def draw_corpus(
    path: Path,
    *,
    title: str,
    lengths: Sequence[int] | npt.NDArray[Any],
    alphabet: Sequence[tuple[str, int]],
    splits: dict[str, int],
    left_out: dict[str, int],
) -> None:
    """Draws how long a corpus's documents are, its most frequent symbols, its splits and what was left out.

    Args:
        path: of the PNG, 1200 by 900.
        title: above all.
        lengths: of the documents in characters, shape (documents,).
        alphabet: symbols and how often each occurs, the most frequent first.
        splits: name -> characters.
        left_out: reason -> how many were left out for it.

    Raises:
        OSError: it cannot be written; an older picture is left as it is.
    """
    lengths = np.maximum(np.asarray(lengths, dtype=np.int64), 1)  # an empty one has no place on a log axis
    reasons = _most_frequent(left_out)
    figure = _new_figure(10, 7.5)
    are_many = len(lengths) > 1
    upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=[1, 1 if are_many else 2])[:, 0]
    right = upper
    if are_many:
        left, right = upper.subfigures(1, 2, squeeze=False, width_ratios=[3, 2])[0]
        _draw_lengths(left.subplots(), lengths)
    rows = [len(splits), len(reasons)] if reasons else [len(splits)]
    panels = right.subplots(len(rows), squeeze=False, height_ratios=[count + 1 for count in rows])[:, 0]
    _draw_bars(panels[0], "Splits, in characters", splits, BLUE)
    if reasons:
        _draw_bars(panels[1], "Left out", reasons, RED)
    _draw_symbols(lower.subplots(), alphabet)
    note = f"one document of {lengths[0]:,} characters" if len(lengths) == 1 else f"{len(lengths):,} documents"
    figure.suptitle(f"{_shortened(_drawable(title), 60)}: {note}", parse_math=False, fontsize=14)
    _save(figure, path)


def _draw_lengths(axes: Axes, lengths: npt.NDArray[np.int64]) -> None:
    from matplotlib.ticker import LogLocator

    shortest, longest = int(lengths.min()), int(lengths.max())
    axes.hist(lengths, bins=_bin_edges(shortest, longest), color=PALE, edgecolor="white", linewidth=0.5)
    median = float(np.median(lengths))
    axes.axvline(median, color=BLUE, linewidth=1.2, label=f"median {median:,.0f}")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if longest < 1000 * shortest else (1,)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter("")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_title("Lengths of documents", loc="left")
    axes.set_xlabel("characters")
    axes.set_ylabel("documents")
    axes.legend(frameon=False)
    _clear(axes)


def _bin_edges(shortest: int, longest: int) -> list[float]:
    """About forty bins that hold whole numbers: of one width where all documents are short, else growing with length."""
    width = -(-(longest - shortest + 1) // 40)
    growth = 0.0 if width <= 10 else (longest / shortest) ** (1 / 40) - 1
    edges = [shortest]
    while edges[-1] <= longest:
        edges.append(edges[-1] + (max(1, int(edges[-1] * growth)) if growth else width))
    return [edge - 0.5 for edge in edges]


def _draw_bars(axes: Axes, title: str, sizes: dict[str, int], color: str) -> None:
    """Bars to the right, each with its name and size above it."""
    total = max(1, sum(sizes.values()))
    axes.barh(range(len(sizes)), list(sizes.values()), height=0.3, color=color)
    for place, (name, size) in enumerate(sizes.items()):
        text = f"{_shortened(_drawable(name), 38)}  {size:,} ({size / total:.1%})"
        note = axes.annotate(text, (0, place - 0.2), va="bottom", fontsize=9, parse_math=False)
        note.set_in_layout(False)
    axes.set_ylim(len(sizes) - 0.5, -0.8)
    axes.set_xlim(0, 1.02 * max([1, *sizes.values()]))
    axes.set_title(title, loc="left")
    axes.set_axis_off()


def _most_frequent(reasons: dict[str, int]) -> dict[str, int]:
    ordered = sorted(reasons.items(), key=lambda reason: -reason[1])
    kept = dict(ordered[:REASONS])
    if len(ordered) > REASONS:
        kept["other reasons"] = kept.get("other reasons", 0) + sum(count for _, count in ordered[REASONS:])
    return kept


def _draw_symbols(axes: Axes, alphabet: Sequence[tuple[str, int]]) -> None:
    total = max(1, sum(count for _, count in alphabet))
    shown = alphabet[:SYMBOLS]
    axes.bar(range(len(shown)), [100 * count / total for _, count in shown], color=PALE, width=0.8)
    axes.set_xticks(range(len(shown)), [label_symbol(symbol) for symbol, _ in shown], parse_math=False)
    for label in axes.get_xticklabels():
        is_long = len(label.get_text()) > 2
        label.set(rotation=90 if is_long else 0, fontsize=9 if is_long else 12)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.7, SYMBOLS - 0.3)
    most = f"The {len(shown)} most frequent of" if len(alphabet) > len(shown) else "All"
    axes.set_title(f"{most} {len(alphabet):,} symbols", loc="left", pad=10)
    axes.set_ylabel("% of the text's symbols")
    _clear(axes)


def label_symbol(symbol: str) -> str:
    """A symbol as it can be drawn: white space by its name, and what the font lacks or nobody sees as U+XXXX."""
    if symbol in _NAMES:
        return _NAMES[symbol]
    return _shortened("".join(_MARKS.get(each) or _visible(each) for each in symbol), 12)


def _visible(character: str) -> str:
    is_seen = unicodedata.category(character)[0] not in _UNSEEN and _has_glyph(character)
    return character if is_seen else f"U+{ord(character):04X}"


def _drawable(text: str) -> str:
    """With a box for each character that the font lacks."""
    return "".join(each if _has_glyph(each) else "□" for each in text)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _has_glyph(character: str) -> bool:
    from matplotlib.font_manager import findfont, get_font

    return bool(get_font(findfont("DejaVu Sans")).get_char_index(ord(character)))


def _clear(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)


def _new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DOTS, layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    """Writes the whole picture or none."""
    beside = path.with_name(path.name + ".tmp")
    try:
        figure.savefig(beside, format="png")
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def draw_attention(path: Path, message: Sequence[str], reply: Sequence[str], weights: npt.NDArray[np.float32]) -> None:
    """Draws what each piece of a reply looked at of a message, with a scale: a row for each piece of the reply, dark where it
    looked most.

    Args:
        path: of the PNG.
        message: its pieces.
        reply: its pieces.
        weights: (reply, message), each row sums to 1.

    Raises:
        OSError: it cannot be written; an older picture is left as it is.
    """
    width, height = (max(3.0, 1.5 + 0.3 * min(len(pieces), LARGEST_MAP)) for pieces in (message, reply))
    figure = _new_figure(width, height)
    axes = figure.add_subplot()
    image = axes.imshow(weights, cmap="Blues", vmin=0.0, vmax=float(weights.max()), aspect="auto")
    figure.colorbar(image, ax=axes, shrink=0.8).ax.tick_params(
        labelsize=8
    )  # else a look that is unsure would look sure
    axes.set_xticks(range(len(message)), [_shown(piece) for piece in message], rotation=60, ha="left", fontsize=8)
    axes.set_yticks(range(len(reply)), [_shown(piece) for piece in reply], fontsize=8)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_xlabel("message")
    axes.set_ylabel("reply")
    _save(figure, path)


def _shown(piece: str) -> str:
    """A piece as text that matplotlib does not take for a formula; blanks in it can be seen."""
    text = piece.replace(" ", "\u2423").replace("\n", "\u21b5")
    return "".join(character if character.isprintable() else "\u00b7" for character in text).replace("$", r"\$")
