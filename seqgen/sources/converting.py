"""Documents that are not plain text become files of plain text, once, for the passes that follow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from seqgen.errors import DataError
from seqgen.sources.base import LeftOut, Source
from seqgen.sources.formats import CONVERSIONS, FORMATS, convert, refusal
from seqgen.sources.texts import unreadable


def convert_all(sources: list[Source], folder: Path, left_out: LeftOut) -> list[Source]:
    """The sources, those of a known format replaced by their text.

    Args:
        sources: of any format.
        folder: for the texts; the sources that are returned can be read as long as it exists.
        left_out: takes those that the user has not named and that cannot be converted.

    Raises:
        DataError: one that the user has named cannot be converted.
    """
    kept = []
    for number, source in enumerate(sources):
        try:
            kept.append(_convert(source, folder / f"{number}.txt"))
        except DataError as error:
            if source.asked_for:
                raise
            left_out.add(source.name, error.what)
    return kept


def _convert(source: Source, place: Path) -> Source:
    if source.suffix in CONVERSIONS:
        raise refusal(source.suffix, source.name)
    if source.suffix not in FORMATS:
        return source
    try:
        with source.open() as file:
            text = convert(source.suffix, file, source.name)
    except OSError as error:
        raise unreadable(source.name, error) from error
    place.write_text("\ufeff" + text, encoding="utf-8", newline="")  # the mark overrules corpus.encoding
    return replace(source, path=place, data=None, opener=None)
