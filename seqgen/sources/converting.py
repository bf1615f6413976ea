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
        DataError: one that the user has named cannot be converted, or a text cannot be written.
    """
    kept = []
    for number, source in enumerate(sources):
        try:
            text = _convert(source)
        except DataError as error:
            if source.asked_for:
                raise
            left_out.add(source.name, error.what)
            continue
        kept.append(source if text is None else _keep(text, source, folder / f"{number}.txt"))
    return kept


def _convert(source: Source) -> str | None:
    """The text of a document of a known format; None where it is plain text already."""
    if source.suffix in CONVERSIONS:
        raise refusal(source.suffix, source.name)
    if source.suffix not in FORMATS:
        return None
    try:
        with source.open() as file:
            return convert(source.suffix, file, source.name)
    except OSError as error:
        raise unreadable(source.name, error) from error


def _keep(text: str, source: Source, place: Path) -> Source:
    """The source, read from a file with its text; not being able to write that is no fault of the source."""
    try:
        place.write_text("\ufeff" + text, encoding="utf-8", newline="")  # the mark overrules corpus.encoding
    except OSError as error:
        raise DataError(
            f"its text cannot be kept: {error.strerror or error}",
            where=source.name,
            hint=f"Free some space in {place.parent}, or set TMPDIR to a folder that has more.",
        ) from error
    return replace(source, path=place, data=None, opener=None)
