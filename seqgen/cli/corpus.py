"""`seqgen corpus`."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from seqgen.cli.common import common_options, console, is_quiet, json_option, print_json, put, say
from seqgen.cli.display import PLAIN_EVERY
from seqgen.cli.stats import stats
from seqgen.errors import DataError

if TYPE_CHECKING:
    from seqgen.cards import Card

Listener = Callable[[int, int | None], None]
"""Is told the bytes of a download that are here, and of the whole."""


@click.group("corpus", short_help="Look at corpora: list, show, fetch, stats, clean.")
def command() -> None:
    """Look at corpora: the named ones, your own, and the cache of prepared ones. A named one is a card, a TOML file:
    one of seqgen's own, or one that you have put into ./corpora.
    """


command.add_command(stats)


@command.command("list", short_help="List the corpora that have a name.")
@json_option
@common_options
def list_cards(as_json: bool) -> None:
    """List the corpora that have a name, for seqgen train NAME, and whether they are at hand or to be fetched."""
    from seqgen.cards import card_names, load_card

    names = card_names()
    width = max(map(len, names), default=0)
    problems = []
    for name in names:
        try:
            card = load_card(name)
        except DataError as error:  # one wrong card does not hide the others
            problems.append(error)
            continue
        at_hand = _is_at_hand(card)
        if as_json:
            fields = {"name": name, "kind": card.kind, "title": card.title, "licence": card.licence}
            print_json({**fields, "at_hand": at_hand})
        else:
            where = "at hand" if at_hand else "to be fetched"
            put(f"{name:{width}}  {card.kind:5}  {where:13}  {card.title} ({card.licence})")
    if problems:
        raise problems[0]


@command.command(short_help="Show a corpus card.")
@click.argument("name")
@json_option
@common_options
def show(name: str, as_json: bool) -> None:
    """Show a corpus card: what it is, where it is read from, its licence and split, and whether it is at hand."""
    from seqgen.cards import load_card
    from seqgen.fetching import fetched

    card = load_card(name)
    file, at_hand = fetched(card), _is_at_hand(card)
    if as_json:
        found = {"at_hand": at_hand, "fetched": str(file) if file else None}
        print_json({**vars(card), "path": str(card.path), **found})
        return
    own = {field: value for field, value in vars(card).items() if value and field not in ("path", "source")}
    where = file or "yes" if at_hand else f"not yet: seqgen corpus fetch {name}"
    for field, value in {**own, **card.source, "card": card.path, "at hand": where}.items():
        put(f"{field:10} {', '.join(value) if isinstance(value, list) else value}")


@command.command(short_help="Download a corpus that has an address.")
@click.argument("name")
@json_option
@common_options
def fetch(name: str, as_json: bool) -> None:
    """Download the corpus of a card that has an address, check it, and print where it lies.

    Only this command uses the network. One that was interrupted goes on where it stopped.
    """
    from seqgen.cards import load_card
    from seqgen.fetching import fetch as download

    card = load_card(name)
    address = card.address
    if address is None:
        say(f"there is nothing to fetch: {name} can be used as it is")
        if as_json:
            print_json({"name": name, "path": None, "bytes": None, "sha256": None})
        return
    say(card.title)
    say(f"licence: {card.licence}")
    downloaded = False
    with _download_display() as display:

        def tell(done: int, total: int | None) -> None:
            nonlocal downloaded
            downloaded = True
            with contextlib.suppress(BrokenPipeError):  # nobody reads any more: fetch on
                display(done, total)

        try:
            path = download(card, tell)
        except KeyboardInterrupt:
            say("stopped; what has come is kept, and the next fetch goes on from there")
            raise
    say(f"{'fetched' if downloaded else 'already here'}, and its checksum is right")
    if as_json:
        print_json({"name": name, "path": str(path), "bytes": address.size, "sha256": address.sha256})
    else:
        put(str(path))


@command.command(short_help="Empty the cache of prepared corpora.")
@common_options
def clean() -> None:
    """Empty the cache of prepared corpora. They are prepared again when they are needed, which a --resume
    or eval can only do while their files are what they were."""
    from seqgen.cache import clean_cache
    from seqgen.folders import cache_folder

    count, size = clean_cache()
    put(f"{count} prepared corpora removed, {size / 1e6:.1f} MB ({cache_folder()})")


def _is_at_hand(card: Card) -> bool:
    from seqgen.fetching import fetched

    return card.address is None or fetched(card) is not None


@contextlib.contextmanager
def _download_display() -> Iterator[Listener]:
    """How a download looks: a live bar on a terminal, a line now and then elsewhere, nothing with `--quiet`."""
    if is_quiet():
        yield lambda done, total: None
    elif not sys.stderr.isatty():
        yield _plain_lines()
    else:
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        columns = (BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console(stderr=True), refresh_per_second=4) as bar:

            def draw(done: int, total: int | None) -> None:
                if not bar.task_ids:
                    bar.add_task("", total=total, completed=done)
                bar.update(bar.task_ids[0], completed=done)

            yield draw


def _plain_lines() -> Listener:
    last = -PLAIN_EVERY

    def draw(done: int, total: int | None) -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_EVERY:
            last = time.monotonic()
            say(f"{done / 1e6:.1f}{f' of {total / 1e6:.1f}' if total else ''} MB")

    return draw
