"""Piano rolls: time to the right, pitch upwards; as pictures and for terminals."""

from __future__ import annotations

import io
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from seqgen.scores.piece import TICKS, Part, Piece
from seqgen.scores.pitches import name_key, name_pitch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#444444")
"""Told apart by colour-blind people, too (after Okabe and Ito 2008); from the ninth part on they come again."""
BARS = 8
"""On a row, where a piece has no more rows than fit."""
ROWS = 12
_WIDTH, _HEIGHT = 11, 60
"""In inches; the height at most."""
_DOTS = 120
"""To the inch."""
_BLACK = (1, 3, 6, 8, 10)
_NUMBERS = 20
"""Bars on a row that are numbered, at most."""
_MARGIN = 2
"""Semitones shown below and above the notes."""
_LEAST = 12
"""Semitones that a picture shows."""
DRUMS = {
    35: "bass drum 2", 36: "bass drum", 37: "side stick", 38: "snare", 39: "clap", 40: "snare 2", 41: "low floor tom",
    42: "closed hi-hat", 43: "floor tom", 44: "pedal hi-hat", 45: "low tom", 46: "open hi-hat", 47: "low-mid tom",
    48: "mid tom", 49: "crash", 50: "high tom", 51: "ride", 52: "china", 53: "ride bell", 54: "tambourine", 55: "splash",
    56: "cowbell", 57: "crash 2", 59: "ride 2", 69: "cabasa", 70: "maracas", 75: "claves", 76: "wood block", 81: "triangle",
}  # fmt: skip
"""General MIDI's, the common ones."""


_Spans = defaultdict[int, list[tuple[int, int]]]
"""Height -> when notes sound there."""


class Bar(NamedTuple):
    """Its number, 0 for a pickup, and where it is in ticks."""

    number: int
    start: int
    stop: int


def write_png(piece: Piece) -> bytes:
    """Draws a piano roll of a piece as a PNG, about eight bars a row; drums have rows of their own below the pitches.

    Args:
        piece: of any length, also without notes.
    """
    bars = bars_of(piece)
    rows = _in_rows(bars)
    low, high, drums = _extent(piece)
    lines = high - low + 1 + len(drums)
    height = min(0.075 * lines, _HEIGHT / len(rows)) + 0.45
    figure = _new_figure(_WIDTH, len(rows) * height + 0.9)
    panels = figure.subplots(len(rows), squeeze=False)[:, 0]
    longest = max(row[-1].stop - row[0].start for row in rows)
    for axes, row in zip(panels, rows, strict=True):
        _draw_row(axes, piece, row, longest, (low, high), drums)
    named = [(number, part) for number, part in enumerate(piece.parts) if part.notes]
    if len(named) > 1 or any(part.name for _, part in named):
        _draw_legend(figure, named)
    figure.suptitle(_heading(piece), parse_math=False, fontsize=11, x=0.01, ha="left")
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def bars_of(piece: Piece) -> list[Bar]:
    """Its bars; an empty one if it has no notes."""
    first = 0 if piece.pickup else 1
    bars = [Bar(number, *bar) for number, bar in enumerate(piece.bars(), first)]
    return bars or [Bar(1, 0, 4 * TICKS)]


def _in_rows(bars: Sequence[Bar]) -> list[Sequence[Bar]]:
    """As even as they can be; a pickup stands before the first row's bars."""
    counted = sum(bar.number > 0 for bar in bars) or 1
    rows = min(ROWS, math.ceil(counted / (BARS if counted > BARS + 2 else counted)))
    each = math.ceil(counted / rows)
    pickup = len(bars) - counted if len(bars) > counted else 0
    edges = [0, *range(pickup + each, len(bars), each), len(bars)]
    return [bars[start:stop] for start, stop in itertools.pairwise(edges)]


def _extent(piece: Piece) -> tuple[int, int, list[int]]:
    """The lowest and highest pitch that is shown, and the drums."""
    pitches = [note.pitch for part in piece.parts if not part.drums for note in part.notes]
    drums = sorted({note.pitch for part in piece.parts if part.drums for note in part.notes})
    if not pitches:
        return (60, 59, drums) if drums else (60, 71, drums)
    low, high = min(pitches) - _MARGIN, max(pitches) + _MARGIN
    wanting = max(0, _LEAST - (high - low + 1))
    return max(0, low - wanting // 2), min(127, high + (wanting + 1) // 2), drums


def _heading(piece: Piece) -> str:
    key = ", then ".join(_each_once(name_key(key) for key in piece.keys)[:3])
    metre = ", ".join(_each_once(map(str, piece.metres))[:4])
    tempo = f"{piece.tempos[0].bpm:.4g} quarter notes a minute" if piece.tempos else ""
    title = " ".join(piece.title.split())
    title = title if len(title) <= 60 else f"{title[:59]}…"
    return "  ·  ".join(part for part in (title, key, metre, tempo) if part)


def _each_once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


def _draw_row(
    axes: Axes, piece: Piece, row: Sequence[Bar], longest: int, extent: tuple[int, int], drums: Sequence[int]
) -> None:
    """Draws some bars: what they stand on, then the notes, the highest part's last so that it is on top."""
    low, high = extent
    start, stop = row[0].start, row[-1].stop
    bottom = low - len(drums)
    black = [pitch for pitch in range(low, high + 1) if pitch % 12 in _BLACK]
    axes.barh(black, stop - start, height=1, left=start, color="#f0f0f0", linewidth=0)
    lines = [pitch - 0.5 for pitch in range(low + 1, high + 1) if pitch % 12 == 0]
    axes.hlines(lines, start, stop, color="#bbbbbb", linewidth=0.7)
    if drums and high >= low:
        axes.hlines(low - 0.5, start, stop, color="black", linewidth=0.8)
    edges = [*(bar.start for bar in row), stop]
    axes.vlines(edges, bottom - 0.5, high + 0.5, color="#777777", linewidth=0.8 if len(row) <= 50 else 0.3)
    for bar in row[:: math.ceil(len(row) / _NUMBERS)]:
        if bar.number:
            axes.annotate(str(bar.number), (bar.start, high + 0.6), va="bottom", ha="left", color="#555555", fontsize=8)
    places = {drum: bottom + place for place, drum in enumerate(drums)}
    taken: _Spans = defaultdict(list)
    for number, part in reversed(list(enumerate(piece.parts))):
        _draw_notes(axes, part, _color(number), (start, stop), places, taken)
    octaves = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]
    ticks = [*places.values(), *octaves]
    names = [*(drum_name(drum) for drum in drums), *(name_pitch(pitch) for pitch in octaves)]
    axes.set_yticks(ticks, names, fontsize=8, parse_math=False)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlim(start - 0.002 * longest, start + 1.002 * longest)
    axes.set_ylim(bottom - 0.6, high + 0.6)


def _draw_notes(
    axes: Axes, part: Part, color: str, span: tuple[int, int], places: dict[int, int], taken: _Spans
) -> None:
    """Draws the notes of a part as bars with a gap behind each, so that repeated notes are seen apart; where another part
    has the same note already, a thinner one that does not hide it.
    """
    start, stop = span
    gap = (stop - start) / 500
    shown = [note for note in part.notes if note.start < stop and note.end > start]
    heights = [places[note.pitch] if part.drums else note.pitch for note in shown]
    lefts = [max(note.start, start) for note in shown]
    widths = []
    thick = []
    for note, height, left in zip(shown, heights, lefts, strict=True):
        length = min(note.end, stop) - left
        widths.append(max(length - gap, 0.6 * length) if note.end <= stop else length)
        thick.append(0.35 if any(note.start < end and begin < note.end for begin, end in taken[height]) else 0.8)
    axes.barh(heights, widths, height=thick, left=lefts, color=color, linewidth=0)
    for note, height in zip(shown, heights, strict=True):
        taken[height].append((note.start, note.end))
    held = [
        ((note.start + note.end) / 2, height + 0.75)
        for note, height in zip(shown, heights, strict=True)
        if note.fermata and note.end <= stop
    ]
    if held:
        _draw_fermatas(axes, *zip(*held, strict=True))


def _draw_fermatas(axes: Axes, places: Sequence[float], heights: Sequence[float]) -> None:
    """Draws the sign, an arc above a dot, which the font lacks."""
    from matplotlib.path import Path as Shape

    axes.scatter(
        places, heights, s=45, marker=Shape.arc(0, 180), facecolors="none", edgecolors="black", linewidths=0.9, zorder=3
    )
    axes.scatter(places, [height + 0.25 for height in heights], s=2, color="black", zorder=3)


def _draw_legend(figure: Figure, parts: Sequence[tuple[int, Part]]) -> None:
    from matplotlib.patches import Patch

    patches = [Patch(color=_color(number), label=part_name(part, number).replace("$", r"\$")) for number, part in parts]
    figure.legend(handles=patches, loc="outside right upper", frameon=False, fontsize=8)


def part_name(part: Part, number: int) -> str:
    """What a part is called: by its number, from 1, where it has no name."""
    name = " ".join(part.name.split()).lstrip("_") or f"part {number + 1}"
    return name if len(name) <= 20 else f"{name[:19]}…"


def drum_name(drum: int) -> str:
    """What a drum is called."""
    return DRUMS.get(drum, f"drum {drum}")


def _color(number: int) -> str:
    return COLORS[number % len(COLORS)]


def _new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DOTS, layout="constrained")
