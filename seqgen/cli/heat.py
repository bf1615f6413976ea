"""Text coloured by surprise, for a terminal; without colours, digits stand under it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from seqgen.showing import (
    END_MARK,
    LONGEST_WORD,
    MARKS,
    STEPS,
    chance,
    expectations,
    grown,
    label,
    level,
    name_of,
    parted,
    percent,
)
from seqgen.visible import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from seqgen.surprises import Next, Score, Span

COLOURS = (
    ("#b5ad8c", "#000000"),
    ("#d1a64e", "#000000"),
    ("#ee8a2e", "#000000"),
    ("#f2593f", "#000000"),
    ("#b8145f", "#ffffff"),
)
"""Background and text of each step of surprise: from dull to vivid, since terminals are dark or light and do not say which."""
FEW_COLOURS = ("underline", "yellow underline", "black on yellow", "white on red", "bold white on magenta")
"""The same where a terminal has but sixteen colours, which are its own."""
PART = 2000
"""Characters of a line that are printed at once."""
BAR = 20
"""Characters of a bar for a probability of 1."""
BEFORE = 20
"""Characters that a list shows before a symbol."""


def screen() -> Console:
    """The terminal; where the user wants no colours, without any escape codes."""
    from rich.console import Console

    found = Console(highlight=False)
    if found.no_color:
        return Console(highlight=False, color_system=None, force_terminal=found.is_terminal)
    return found


def show_text(console: Console, score: Score) -> None:
    """Prints a text with each symbol in the colour of its surprise."""
    if console.color_system is None:
        _show_with_digits(console, score)
    else:
        _show_in_colour(console, score)


def show_legend(console: Console) -> None:
    """Prints what the colours mean."""
    from rich.text import Text

    if console.color_system is None:
        line = Text(
            f"Under a symbol: its surprise in bits from {STEPS[0]} on; + is 10 or more, 1 in 1,024.", style="dim"
        )
    else:
        line = Text(f"bits: under {STEPS[0]} plain ")
        for bits, style in zip(STEPS, _styles(console), strict=True):
            line.append(f" {bits}: {chance(bits)} ", style=style).append(" ")
    console.print(line, soft_wrap=True)


def show_lists(console: Console, score: Score, count: int) -> None:
    """Prints the most surprising symbols and words."""
    from rich.text import Text

    text = score.text
    spans = score.most_surprising(count)
    head = ("place", "bits", "symbol", "", "expected there")
    rows: list[Sequence[str | Text]] = []
    for span in spans:
        begun = visible(text[max(0, span.start - BEFORE) : span.start].rpartition("\n")[2])
        begun += parted(score, span.text)[0].replace("\n", " ")
        shown = Text(begun, style="dim").append(name_of(score, span.text), style="not dim bold")
        chosen = "" if span.last - span.first == 1 else "not learned; "
        expected = f"{chosen}{expectations(score, span.first)}"
        rows.append((_place(score, span), f"{span.bits:.1f}", shown, percent(span.probability), expected))
    _print_table(console, "most surprising symbols", head, rows)
    if score.has_words:
        words = [
            (_place(score, one), f"{one.bits:.1f}", name_of(score, one.text))
            for one in score.most_surprising_words(count)
        ]
        console.print()
        _print_table(console, "most surprising words", ("place", "bits", "word"), words)


def show_next(console: Console, score: Score, following: Sequence[Next]) -> None:
    """Prints what could come next after a text, with bars."""
    from rich.text import Text

    text = "".join(score.symbols[-LONGEST_WORD:])

    rows: list[Sequence[str | Text]] = []
    for one in following:
        bar = "\u2588" * round(BAR * one.probability) or "\u258f"
        begun, more = grown(text, one)
        word = Text(begun, style="dim").append(more, style="not dim")
        rows.append((label(one.text), percent(one.probability), bar, word, percent(one.word_probability)))
    _print_table(console, "what could come next", ("symbol", "", "", "which becomes", ""), rows)


def _place(score: Score, span: Span) -> str:
    return f"{span.line}:{span.column}" if score.is_text else f"{score.line_name} {span.line}"


def _print_table(console: Console, title: str, head: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
    for name in head:  # figures stay on one line, whatever the width
        table.add_column(name, justify="right" if name == "bits" else "left", no_wrap=name != "expected there")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    console.print(Text(title, style="bold"))  # a table's own title is wrapped where the table is narrow
    console.print(table)


def _styles(console: Console) -> Sequence[str]:
    if console.color_system in ("standard", "windows"):
        return FEW_COLOURS
    return [f"{front} on {back}" for back, front in COLOURS]


def _show_in_colour(console: Console, score: Score) -> None:
    from rich.text import Text

    styles, line = ["", *_styles(console)], Text()
    for text, step, is_last in _runs(score):
        line.append(text, style=styles[step])
        if is_last or len(line) >= PART:
            console.print(line, end="\n" if is_last else "", soft_wrap=True)
            line = Text()


def _runs(score: Score) -> Iterator[tuple[str, int, bool]]:
    """Stretches of one step of surprise, as they are shown, and whether a line ends with them."""
    held, step = "", 0
    for now, lines in _parts(score):
        for number, part in enumerate(lines):
            if number:
                yield held, step, True
                held = ""
            if now != step or len(held) >= PART:
                if held:
                    yield held, step, False
                held, step = "", now
            held += part
    yield held, step, True


def _parts(score: Score) -> Iterator[tuple[int, list[str]]]:
    """Symbols with their steps of surprise, as lines; of music what stands between them, too, which surprises nobody."""
    for span in score.spans():
        lead, text = parted(score, span.text)
        if lead:
            yield 0, lead.split("\n")
        yield level(span.bits), _lines(text, score.is_text and level(span.bits) > 0)


def _lines(text: str, marked: bool) -> list[str]:
    """The parts of a symbol between line feeds, which are marked where they surprise, as tabs are."""
    if not text:
        return [END_MARK]
    lines = visible(text).split("\n")
    if marked:
        lines = [f"{line}{MARKS[chr(10)]}" for line in lines[:-1]] + lines[-1:]
        lines = [line.replace("\t", f"{MARKS[chr(9)]}\t") for line in lines]
    return lines


def _show_with_digits(console: Console, score: Score) -> None:
    from rich.cells import cell_len
    from rich.text import Text

    above, below, width = "", "", max(20, console.width)

    def end() -> None:
        console.print(Text(above), soft_wrap=True)
        if below.strip():
            console.print(Text(below.rstrip()), soft_wrap=True)

    for span in score.spans():
        digit = " " if span.bits < STEPS[0] else "+" if span.bits >= 10 else str(int(span.bits))
        lead, text = parted(score, span.text)
        lines = _lines(text, score.is_text and span.bits >= STEPS[0])
        if lead == "\n":
            lines = ["", *lines]
        elif above:
            above, below = above + visible(lead), below + " " * len(lead)
        for number, part in enumerate(lines):
            if number:
                end()
                above = below = ""
            part = part.expandtabs(4)
            if above and cell_len(above) + cell_len(part) > width:
                end()
                above = below = ""
            above += part
            if cell_len(part):
                below += digit + " " * (cell_len(part) - 1)
                digit = " "
    end()
