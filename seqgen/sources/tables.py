"""One column of a table, each value to become a document: .csv, .tsv and .jsonl (or .ndjson), as a stream.

CSV has a header. Its delimiter is the one of ``, ; tab |`` that stands most often in the header's first line, outside of
quotes (where two are as frequent, the first in this order); .tsv always has tabs. Fields may be quoted with ", and then
hold delimiters, line breaks and doubled quotes.
"""

from __future__ import annotations

import csv
import difflib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from seqgen.errors import DataError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
MAX_FIELD = 10_000_000
"""Characters in a field of a CSV at most, so that a quote that never closes does not swallow the rest of the file."""
SHOWN_COLUMNS = 20
"""How many columns an error names."""
PROBED_OBJECTS = 100
"""From how many objects of a JSONL its columns are known."""
DEEPEST_PATH = 8
"""Keys in the paths that are shown; longer ones can be asked for."""
LONGEST_NAME, MOST_WORDS = 40, 4
"""Characters and words of what is taken for the name of a column."""
NOT_NAMES = "Where its columns should be named stands what looks like text, which is not quoted here."
EMPTY = "empty"
NAMED_ROWS = 20
"""How many rows of a table are named for each reason to leave them out; more are only counted."""

_UNLIKE_A_NAME = re.compile(r"[@!?;\n]|[.,:]\Z|\A[\d\W]*\Z")
_DELIMITERS = ",;\t|"
_QUOTED = (".csv", ".tsv")
_MORE = re.compile(r": and (\d[\d,]*) more rows?\Z", re.ASCII)
ABSENT = object()
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)
"""Leaves numbers as they are written."""
LeaveOut = Callable[[str, str], None]
"""Takes the name of what is left out, and why."""


def read_column(lines: Iterable[str], suffix: str, column: str, name: str, leave_out: LeaveOut) -> Iterator[str]:
    """The values of one column, row by row.

    Args:
        lines: of the table, with their ends; only a line feed ends one.
        suffix: one of `SUFFIXES`.
        column: its name, exact or, where one alone fits, in other case and without the blanks around it. In a CSV also
            its number, from 1, unless a column is named so; in JSONL also a path such as `message.text`.
        name: of the table, for errors.
        leave_out: told of rows without a text, as `name:line`, and why: of the first `NAMED_ROWS` for each reason; the
            others are told as one, `name: and 12,345 more rows`.

    Raises:
        DataError: no such column, or a row that cannot be read (with its line).
    """
    read = _read_csv if suffix in _QUOTED else _read_json
    account = Account(name, leave_out)
    yield from read(lines, suffix, column, name, account.add)
    account.close()


class Account:
    """Names the first rows that are left out and counts the others, so that a table of any length can be told of."""

    def __init__(self, name: str, leave_out: LeaveOut) -> None:
        self._name, self._leave_out = name, leave_out
        self._counts: Counter[str] = Counter()

    def add(self, row: str, reason: str) -> None:
        """One row."""
        self._counts[reason] += 1
        if self._counts[reason] <= NAMED_ROWS:
            self._leave_out(row, reason)

    def close(self) -> None:
        """At the end of the table."""
        for reason, count in self._counts.items():
            if (more := count - NAMED_ROWS) > 0:
                self._leave_out(f"{self._name}: and {more:,} more {'row' if more == 1 else 'rows'}", reason)


def count_left_out(names: Iterable[str]) -> int:
    """How many files, folders and rows these names of what was left out stand for."""
    matches = map(_MORE.search, names)
    return sum(int(match[1].replace(",", "")) if match else 1 for match in matches)


def columns(lines: Iterable[str], suffix: str, name: str = "this table") -> list[str]:
    """The names of the columns: the header of a CSV, the keys (as paths) of the first 100 objects of a JSONL.

    Raises:
        DataError: the table is empty, or what was looked at cannot be read.
    """
    if suffix in _QUOTED:
        return _header(rows_of(lines, suffix, name), name)
    known: dict[str, None] = {}
    for number, (_, row) in enumerate(objects_of(lines, name, lambda name, reason: None), start=1):
        known.update(dict.fromkeys(_paths(row)))
        if number == PROBED_OBJECTS:
            break
    if not known:
        raise _empty(name)
    return list(known)


def _empty(name: str) -> DataError:
    return DataError("this table is empty", where=name, hint="Name a table with rows in it.")


def _read_csv(lines: Iterable[str], suffix: str, column: str, name: str, leave_out: LeaveOut) -> Iterator[str]:
    rows = rows_of(lines, suffix, name)
    header = _header(rows, name)
    place = place_of(header, column, name)
    for line, row in rows:
        if row and len(row) != len(header):
            raise DataError(
                f"this row has {_fields(len(row))}, the header has {len(header)}",
                where=f"{name}:{line}",
                hint="Put a field that holds the delimiter or a line break into quotes, or take the row out.",
            )
        value = row[place].replace("\r\n", "\n") if row else ""
        if value.strip():
            yield value
        else:
            leave_out(f"{name}:{line}", EMPTY)


def _header(rows: Iterator[tuple[int, list[str]]], name: str) -> list[str]:
    for _, header in rows:
        if header:
            return header
    raise _empty(name)


def rows_of(lines: Iterable[str], suffix: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Rows and the lines that they begin in; blank lines before the header are passed over."""
    lines = iter(lines)
    before, first = next(((index, line) for index, line in enumerate(lines) if line.strip()), (0, ""))
    csv.field_size_limit(MAX_FIELD)  # one setting for the whole process, and always the same
    delimiter = "\t" if suffix == ".tsv" else _sniff(first)
    reader = csv.reader(chain([first], lines), delimiter=delimiter, strict=True)
    while True:
        line = before + reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise DataError(
                f"broken quoting in the row that begins here ({error})",
                where=f"{name}:{line}",
                hint='Close the quote; write a quote inside a quoted field twice: "".',
            ) from error
        if row is None:
            return
        yield line, row


def _sniff(header: str) -> str:
    unquoted = "".join(header.split('"')[::2])
    return max(_DELIMITERS, key=unquoted.count)  # the first of the most frequent


def place_of(header: list[str], column: str, name: str) -> int:
    """The index of a column by its name or number."""
    for wanted, names in ((column, header), (_plain(column), list(map(_plain, header)))):
        places = [index for index, each in enumerate(names) if each == wanted]
        if len(places) == 1:
            return places[0]
        if places:
            numbers = " or ".join(str(index + 1) for index in places)
            raise DataError(
                f"{len(places)} columns are called {column!r}", where=name, hint=f"Give its number: {numbers}."
            )
    if column.isdecimal() and len(column) < 10 and 1 <= int(column) <= len(header):
        return int(column) - 1
    raise _no_column(column, header, name)


def _read_json(lines: Iterable[str], suffix: str, column: str, name: str, leave_out: LeaveOut) -> Iterator[str]:
    known: dict[str, None] = {}
    count = found = 0
    for line, row in objects_of(lines, name, leave_out):
        count += 1
        if count <= PROBED_OBJECTS:
            known.update(dict.fromkeys(_paths(row)))
        value = value_at(row, column)
        found += value is not ABSENT
        reason = f"no {column!r} in this row" if value is ABSENT else _unusable(value)
        if reason:
            leave_out(f"{name}:{line}", reason)
        else:
            yield value
    if count == 0:
        raise _empty(name)
    if found == 0:
        raise _no_column(column, list(known), name)


def objects_of(lines: Iterable[str], name: str, leave_out: LeaveOut) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL and the lines that they stand in."""
    for number, line in enumerate(lines, start=1):
        where = f"{name}:{number}"
        if not line.strip():
            leave_out(where, EMPTY)
            continue
        try:
            row = _DECODER.decode(line)
        except json.JSONDecodeError as error:
            raise _broken(f"broken JSON at column {error.pos + 1} ({error.msg})", where) from error
        except RecursionError as error:
            raise _broken("JSON nested too deep", where) from error
        if not isinstance(row, dict):
            raise _broken("not an object", where)
        yield number, row


def _broken(what: str, where: str) -> DataError:
    return DataError(
        what, where=where, hint='Each line must be one object, such as {"text": "..."}; take out or mend this one.'
    )


def _paths(row: dict[str, Any], depth: int = 1) -> Iterator[str]:
    """The keys of an object; those of objects inside it as paths, unless they lie very deep."""
    for key, value in row.items():
        if isinstance(value, dict) and value and depth < DEEPEST_PATH:
            yield from (f"{key}.{inner}" for inner in _paths(value, depth + 1))
        else:
            yield key


def value_at(row: dict[str, Any], column: str) -> Any:
    """The value of a key, or of a path of keys."""
    if column in row:
        return row[column]
    value: Any = row
    for key in column.split("."):
        if not isinstance(value, dict) or key not in value:
            return ABSENT
        value = value[key]
    return value


def _unusable(value: object) -> str | None:
    """Why a value is no text, or None."""
    if isinstance(value, str):
        return None if value.strip() else EMPTY
    kinds: dict[type, str] = {list: "a list", dict: "an object", bool: "true or false"}
    return f"{kinds.get(type(value), 'null')}, not text"


def _no_column(column: str, names: list[str], name: str) -> DataError:
    """The error that helps to find the column that was meant."""
    if not are_names(names):
        return DataError(f"there is no column {column!r}", where=name, hint=NOT_NAMES)
    by_plain = {_plain(each): each for each in reversed(names)}
    nearest = difflib.get_close_matches(_plain(column), by_plain, n=1)
    guess = f"Did you mean {by_plain[nearest[0]]!r}? " if nearest else ""
    more = f", and {len(names) - SHOWN_COLUMNS} more" if len(names) > SHOWN_COLUMNS else ""
    return DataError(
        f"there is no column {column!r}",
        where=name,
        hint=f"{guess}There are: {', '.join(map(repr, names[:SHOWN_COLUMNS]))}{more}.",
    )


def are_names(header: list[str]) -> bool:
    """Whether these look like names of columns. A table without such ones begins with a text, which no message quotes."""
    return all(
        len(name) <= LONGEST_NAME and len(name.split()) <= MOST_WORDS and not _UNLIKE_A_NAME.search(name.strip())
        for name in header
    )


def _plain(name: str) -> str:
    return name.strip().casefold()


def _fields(count: int) -> str:
    return "1 field" if count == 1 else f"{count} fields"
