"""A score as a web page that needs nothing else: no network, no fonts, no other file.

Each symbol is an element with its surprise as a class and the figures as a title. A small script shows these figures beside the
text, under the mouse or as one moves with the arrow keys; without it the page can still be read. What a text contains is escaped,
and the page forbids itself everything but its own style and script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape

from seqgen import __version__
from seqgen.showing import (
    END_MARK,
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
from seqgen.surprises import Next, Score, Span
from seqgen.visible import visible

SHOWN = 30_000
"""Symbols that a page shows at most: a browser stays quick, and the page is a few megabytes."""
LISTED = 10
"""Words and symbols in its tables."""
LIGHT = (
    ("#ffffff", "#1b1b1b"),
    ("#fdf0bd", "#1b1b1b"),
    ("#fbd382", "#1b1b1b"),
    ("#f6a45c", "#1b1b1b"),
    ("#e5693b", "#1b1b1b"),
    ("#a81739", "#ffffff"),
)
DARK = (
    ("#16181c", "#e4e4e4"),
    ("#38331f", "#f2ead0"),
    ("#594414", "#fdf3d8"),
    ("#7d4a10", "#ffffff"),
    ("#a43d18", "#ffffff"),
    ("#d02a5c", "#ffffff"),
)
"""Background and text of each step of surprise, plain first, on light and on dark pages."""

_STYLE = """
:root { color-scheme: light dark; --edge: #c9c9c9; --soft: #5d5d5d; LIGHT }
@media (prefers-color-scheme: dark) { :root { --edge: #44484f; --soft: #a9adb5; DARK } }
body { margin: 0 auto; max-width: 56rem; padding: 1rem 1rem 7rem; background: var(--b0); color: var(--f0);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.3rem; margin: .5rem 0; overflow-wrap: anywhere; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); }
.legend span { padding: .1rem .45rem; margin-right: .3rem; border: 1px solid var(--edge); border-radius: .2rem;
  white-space: nowrap; display: inline-block; }
#text { font: 1.05rem/1.9 ui-monospace, Consolas, Menlo, monospace; white-space: pre-wrap; overflow-wrap: anywhere; tab-size: 4;
  border: 1px solid var(--edge); border-radius: .3rem; padding: .6rem .8rem; margin-top: .6rem; }
#text b { font-weight: inherit; border-radius: .15rem; padding: .12em 0; }
#text b:hover, #text b:focus { outline: 2px solid var(--f0); outline-offset: 1px; }
#text i { font-style: normal; opacity: .75; user-select: none; }
LEVELS
.h4, .h5 { text-decoration: underline; text-underline-offset: .2em; }
@media (forced-colors: active) { .h1, .h2, .h3, .h4, .h5 { text-decoration: underline; } .h5 { text-decoration-style: double; } }
#said { position: fixed; inset: auto 0 0 0; padding: .7rem 1rem; background: var(--b0); border-top: 2px solid var(--edge);
  min-height: 1.5em; text-align: center; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .15rem 1rem .15rem 0; vertical-align: top; }
th { font-weight: 600; } td.n { text-align: right; font-variant-numeric: tabular-nums; } td.s { font-family:
  ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
"""
_SCRIPT = """
const text = document.getElementById("text"), said = document.getElementById("said");
const tell = (one) => { if (one && one.title) said.textContent = one.title; };
const find = (event) => event.target.closest ? event.target.closest("#text b") : null;
text.addEventListener("mouseover", (event) => tell(find(event)));
text.addEventListener("focusin", (event) => tell(find(event)));
const go = (one) => {
  if (!one) return;
  text.querySelectorAll("[tabindex='0']").forEach((each) => { each.tabIndex = -1; });
  one.tabIndex = 0;
  one.focus();
};
text.addEventListener("click", (event) => go(find(event)));
text.addEventListener("keydown", (event) => {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [-1, 3], ArrowDown: [1, 3] };
  let one = find(event);
  if (!one || !moves[event.key]) return;
  const [way, least] = moves[event.key];
  do { one = way < 0 ? one.previousElementSibling : one.nextElementSibling; }
  while (one && Number(one.className.slice(1)) < least);
  event.preventDefault();
  go(one);
});
said.textContent = "Point at a symbol, or move with the arrow keys: up and down go to the next surprising one.";
"""


def page(score: Score, title: str, following: Sequence[Next] = (), message: str | None = None) -> str:
    """The page of a score.

    Args:
        score: with one symbol at least.
        title: what was scored, by which model.
        following: what could come next; empty: it is not told.
        message: what the text answers, where it is a reply.
    """
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return "".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            f'<meta name="generator" content="seqgen {__version__}">\n',
            f"<title>{_text(title)}</title>\n<style>{_style()}</style>\n</head>\n<body>\n<h1>{_text(title)}</h1>\n",
            *(f"<p>{_text(line)}</p>\n" for line in summary(score)),
            "" if message is None else f"<p>In answer to: <q>{_text(message)}</q></p>\n",
            _legend(),
            *_marked(score),
            *_tables(score, following),
            f'<p class="soft">Made with seqgen {__version__}.</p>\n<output id="said" aria-live="polite"></output>\n',
            f"<script>{_SCRIPT}</script>\n</body>\n</html>\n",
        ]
    )


def left_out(score: Score) -> int:
    """How many symbols of a score a page does not show."""
    return max(0, len(score.nats) - SHOWN)


def summary(score: Score) -> list[str]:
    """What people are told of the whole text, in a few lines."""
    unit, counted = score.unit, score.unit.counted
    many = f"{score.characters:,} {counted}{'' if score.characters == 1 else 's'}"
    lines = [
        f"{score.bits:,.1f} bits in {many}: {score.value:.2f} {unit.name}, perplexity {score.perplexity:,.1f} for each symbol."
    ]
    if score.held_out is not None:
        told = f"{unit.matter.capitalize()} held out of the model's own corpus has {score.held_out:.2f}"
        if score.held_out_without_recall not in (None, score.held_out):
            told += f"; {score.held_out_without_recall:.2f} by the network alone, without what it recalls of what came before"
        lines.append(f"{told}.")
    return lines


def _style() -> str:
    levels = "\n".join(
        f".h{step} {{ background: var(--b{step}); color: var(--f{step}); }}" for step in range(1, len(LIGHT))
    )
    return _STYLE.replace("LIGHT", _variables(LIGHT)).replace("DARK", _variables(DARK)).replace("LEVELS", levels)


def _variables(colours: Sequence[tuple[str, str]]) -> str:
    return " ".join(f"--b{step}: {back}; --f{step}: {front};" for step, (back, front) in enumerate(colours))


def _text(text: str) -> str:
    """A text as it may stand anywhere on a page."""
    return escape(visible(text), quote=True)


def _legend() -> str:
    steps = "".join(f'<span class="h{step}">{bits} bits: {chance(bits)}</span>' for step, bits in enumerate(STEPS, 1))
    return f'<p class="legend">Surprise: <span>under {STEPS[0]} bits</span>{steps}</p>\n'


def _marked(score: Score) -> Iterator[str]:
    left = left_out(score)
    if left:
        yield f"<p>These are the first {SHOWN:,} of {len(score.nats):,} symbols.</p>\n"
    yield '<div id="text" role="group" aria-label="the text, symbol by symbol">'
    for number, span in enumerate(score.spans()):
        if span.last > SHOWN:
            break
        step = level(span.bits)
        lead, text = parted(score, span.text)
        shown = _shown(text, step if score.is_text else 0)
        yield f'{_text(lead)}<b class="h{step}" tabindex="{-1 if number else 0}" title="{_told(score, span)}">{shown}</b>'
    yield "</div>\n"


def _shown(text: str, step: int) -> str:
    """A symbol; a line feed or the end as a mark, where they surprise, that is not copied with the text."""
    if not text:
        return f"<i>{END_MARK}</i>"
    text = _text(text)
    return text.replace("\n", f"<i>{MARKS[chr(10)]}</i>\n") if step else text


def _told(score: Score, span: Span) -> str:
    expected = expectations(score, span.first)
    return escape(
        f"{name_of(score, span.text)}  {span.bits:.1f} bits, probability {percent(span.probability)}, "
        f"rank {score.ranks[span.first]}. Expected: {expected}",
        quote=True,
    )


def _tables(score: Score, following: Sequence[Next]) -> Iterator[str]:
    if following:
        rows = [
            (
                label(one.text),
                percent(one.probability),
                "".join(grown(score.text, one)),
                percent(one.word_probability),
            )
            for one in following
        ]
        yield _table("What could come next", ("symbol", "probability", "which becomes", "probability"), rows)
    head = ("place", "bits", "symbol", "expected")
    spans = ((span, expectations(score, span.first)) for span in score.most_surprising(LISTED))
    yield _table("The most surprising symbols", head, [(*_row(score, span), expected) for span, expected in spans])
    if score.has_words:
        words = [_row(score, span) for span in score.most_surprising_words(LISTED)]
        yield _table("The most surprising words", (*head[:2], "word"), words)


def _row(score: Score, span: Span) -> tuple[str, str, str]:
    return f"{score.line_name} {span.line}:{span.column}", f"{span.bits:.1f}", name_of(score, span.text)


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="{"n" if cell[:1].isdigit() else "s"}">{escape(cell)}</td>' for cell in row)
        + "</tr>\n"
        for row in rows
    )
    return f"<h2>{title}</h2>\n<table>\n<thead><tr>{cells}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"
