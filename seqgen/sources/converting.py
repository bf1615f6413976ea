"""Documents that are not plain text become files of plain text, once, for the passes that follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from seqgen.errors import DataError
from seqgen.scores.reading import SUFFIXES, File, read_all
from seqgen.sources.base import Asking, Converted, LeftOut, Source
from seqgen.sources.exchanges import convert_exchanges
from seqgen.sources.formats import CONVERSIONS, FORMATS, convert, refusal
from seqgen.sources.texts import unreadable


def convert_all(
    sources: list[Source], conversion: str, folder: Path, left_out: LeftOut, asking: Asking
) -> list[Source]:
    """The sources, those that are not plain text replaced by their text.

    Args:
        sources: of any format.
        conversion: from the table of `CONVERTERS`; empty: all are text.
        folder: for the texts; the sources that are returned can be read as long as it exists.
        left_out: takes those that the user has not named and that cannot be converted.
        asking: what else a conversion goes by.

    Raises:
        DataError: one that the user has named cannot be converted, or a text cannot be written.
    """
    if not conversion:
        return sources
    kept = []
    for number, (source, text) in enumerate(CONVERTERS[conversion](sources, left_out, asking)):
        if isinstance(text, DataError):
            if source.is_needed:
                raise text
            left_out.refuse(source.name, text.what)
            continue
        kept.append(source if text is None else _keep(text, source, folder / f"{number}.txt"))
    return kept


def _convert_formats(sources: list[Source], left_out: LeftOut, asking: Asking) -> Converted:
    for source in sources:
        try:
            yield source, _convert(source)
        except DataError as error:
            yield source, error


def _convert_scores(sources: list[Source], left_out: LeftOut, asking: Asking) -> Converted:
    """Music is read in worker processes, several files at a time."""
    files = (File(source.name, source.suffix, source.open) for source in sources if source.suffix in SUFFIXES)
    results = read_all(files)
    for source in sources:
        if source.suffix not in SUFFIXES:
            yield source, None
            continue
        result = next(results)
        if isinstance(result, DataError):
            yield source, result
            continue
        for tune in result.skipped:
            left_out.refuse(f"{source.name}: {tune}", "tune that cannot be read")
        yield source, result.text


CONVERTERS: dict[str, Callable[[list[Source], LeftOut, Asking], Converted]] = {
    "formats": _convert_formats,
    "scores": _convert_scores,
    "exchanges": convert_exchanges,
}


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
    return replace(source, path=place, data=None, opener=None, converted=True)
