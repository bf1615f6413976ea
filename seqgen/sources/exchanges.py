"""Files of messages and replies -> conversations: mail, tables of pairs, and dialogues.

- **Mail**: mbox files, folders of `.eml`, Maildirs (see `seqgen/mail/`).
- **Tables**: `.tsv`, `.csv`, `.jsonl`. The columns are named with `corpus.columns`, or have a name of `COLUMNS`, or are the only
  two. In a TSV quotes are characters like others. In a JSONL a value may be a list of texts: each reply fits each message.
- **Dialogues**: any other text. A line is an utterance and answers the one before; a blank line ends a conversation.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any

from seqgen.conversations import Conversation, Pair, pack
from seqgen.errors import DataError
from seqgen.mail.extras import MissingLibraryError
from seqgen.mail.letters import BROKEN, Letter, read_letters
from seqgen.mail.masks import mask
from seqgen.mail.threads import Thread, threads_of
from seqgen.modalities.replies import affinity
from seqgen.sources.base import Asking, Converted, LeftOut, Source
from seqgen.sources.documents import lines_of
from seqgen.sources.tables import ABSENT, EMPTY, Account, objects_of, place_of, rows_of, value_at
from seqgen.sources.texts import read_text

COLUMNS = (
    ("message", "reply"),
    ("question", "answer"),
    ("prompt", "response"),
    ("prompt", "completion"),
    ("instruction", "output"),
    ("input", "output"),
    ("source", "target"),
    ("from", "to"),
    ("messages", "replies"),
)
"""What the columns of message and reply are called."""
SNIFFED = 512
"""Bytes of a file without an ending that tell whether it is a mailbox."""
LEAST_PAIRS = 20
"""Pairs that a corpus must have to be learned."""
FOLLOWING, LEAST_FOLLOWING = 20, 5
"""Rows that tell whether the one before them is a header, and how many there must be to tell."""
MOST_WORDS_OF_A_NAME = 2
SENTENCE_ENDS = (".", "?", "!", ",", "\u3002", "\uff1f", "\uff01")
HEADER = "taken for the names of the columns"
BY_NUMBER = "Name the two with --columns, by their names or numbers: --columns 1,2"
BY_NAME = "Name the two with --columns MESSAGE,REPLY; each row must have both."
_HALF = re.compile("[\ud800-\udfff]")
"""What JSON can write and no file of UTF-8 can hold."""
_Row = tuple[int, Any, Any]
"""The line in which a row begins, its message and its reply."""


def is_mail(source: Source) -> bool:
    """Whether a source is a mailbox, a letter, or a letter in a Maildir."""
    if affinity(source.place):
        return True
    if source.suffix:
        return False
    try:
        with source.open() as file:
            return file.read(SNIFFED).startswith(b"From ")
    except (OSError, DataError):
        return False  # reading it says what is wrong


def convert_exchanges(sources: list[Source], left_out: LeftOut, asking: Asking) -> Converted:
    """The conversations of each source in their text form. Letters answer letters in other files: the conversations of mail are
    those of the first source in the folder where their first letter lies, so that folders can say what is held out.

    Raises:
        DataError: there are fewer pairs than must be, or nothing in the mail answers anything; a library for mail is missing;
            or no source can be read.
    """
    letters, errors, found = [], [], 0
    mail: dict[PurePath, Source] = {}  # by the folder: the first that lies in it
    homes: dict[str, Source] = {}  # by the name of a letter
    for source in sources:
        try:
            if is_mail(source):
                read = _letters(source, left_out)
                home = mail.setdefault(source.place.parent, source)
                homes |= dict.fromkeys((letter.name for letter in read), home)
                letters += read
                continue
            pairs = _masked(_read_pairs(source, left_out, asking), asking.mask)
        except MissingLibraryError:
            raise  # else each letter of a folder would be left out for it, and the reason never said
        except DataError as error:
            errors.append(error)
            yield source, error
            continue
        found += sum(map(len, pairs))
        yield source, pack(pairs)
    if errors and not letters and not found:
        raise errors[0]
    threads = threads_of(letters, asking.mine)
    if mail and not threads and not found:
        raise _nothing_answered(len(letters), asking, next(iter(mail.values())).name)
    for home, pairs in _by_home(threads, homes):
        found += sum(map(len, pairs))
        yield home, pack(_masked(pairs, asking.mask))
    if found < asking.least:
        raise DataError(
            f"{found} {'pair' if found == 1 else 'pairs'} of message and reply, where at least {asking.least} are needed",
            where=", ".join(source.name for source in sources[:3]) + (", ..." if len(sources) > 3 else ""),
            hint="Bring more of them: a model of a few hundred pairs begins to be of use.",
        )


def _letters(source: Source, left_out: LeftOut) -> list[Letter]:
    def leave_out(place: str, reason: str) -> None:
        (left_out.refuse if reason == BROKEN else left_out.add)(place, reason)

    return list(read_letters(source.open, source.name, leave_out))


def _by_home(threads: list[Thread], homes: dict[str, Source]) -> Iterable[tuple[Source, list[Conversation]]]:
    """The conversations of each source that the first letters of threads are at home in."""
    found: dict[str, tuple[Source, list[Conversation]]] = {}
    for first, pairs in threads:
        home = homes[first.name]
        found.setdefault(home.name, (home, []))[1].append(pairs)
    return found.values()


def _nothing_answered(letters: int, asking: Asking, name: str) -> DataError:
    if letters and asking.mine:
        hint = (
            "Is --me the address that you write from? It can be given several times. Sent mail must be in the corpus."
        )
    else:
        hint = "Bring the folder of sent mail, and that of received mail where there is one."
    what = "letter" if letters == 1 else "letters"
    return DataError(f"{letters:,} {what}, of which none answers another", where=name, hint=hint)


def _masked(found: list[Conversation], wanted: bool) -> list[Conversation]:
    if not wanted:
        return found
    return [[Pair(mask(message), mask(reply)) for message, reply in pairs] for pairs in found]


def _read_pairs(source: Source, left_out: LeftOut, asking: Asking) -> list[Conversation]:
    lines = lines_of(read_text(source, asking.encoding))
    if source.suffix in (".jsonl", ".ndjson"):
        return _by_message(_json_rows(lines, asking, source.name), source.name, left_out)
    if source.suffix in (".csv", ".tsv"):
        return _by_message(_table_rows(lines, source, asking, left_out), source.name, left_out)
    return _dialogues(lines)


def _dialogues(lines: Iterator[str]) -> list[Conversation]:
    """Each utterance after the first answers the one before it."""
    found = []
    for blank, group in itertools.groupby(lines, key=lambda line: not line.strip()):
        if not blank:
            utterances = [line.strip() for line in group]
            found.append([Pair(*pair) for pair in itertools.pairwise(utterances)])
    return [pairs for pairs in found if pairs]


def _by_message(rows: Iterator[_Row], name: str, left_out: LeftOut) -> list[Conversation]:
    """The replies to a message as one conversation, so that no message is both learned and held out."""
    found: dict[str, Conversation] = {}
    account = Account(name, left_out.add)
    for line, *sides in rows:
        if reason := next(filter(None, map(_unusable, sides)), None):
            account.add(f"{name}:{line}", reason)
            continue
        messages, replies = map(_texts, sides)
        for message in messages:
            found.setdefault(message, []).extend(Pair(message, reply) for reply in replies)
    account.close()
    return list(found.values())


def _unusable(value: Any) -> str | None:
    """Why a value or a list has no text that can be learned, or None."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in values):
        return "neither a text nor a list of texts"
    if any(_HALF.search(each) for each in values):
        return "half of a Unicode character"
    return None if _texts(value) else EMPTY


def _texts(value: Any) -> list[str]:
    """The texts of a value or a list that are not empty."""
    return [each.strip() for each in (value if isinstance(value, list) else [value]) if each.strip()]


def _json_rows(lines: Iterator[str], asking: Asking, name: str) -> Iterator[_Row]:
    objects = objects_of(lines, name, lambda name, reason: None)
    first = next(objects, None)
    if first is None:
        raise DataError("this table is empty", where=name, hint="Name a table with rows in it.")
    message, reply = asking.columns or _named(list(first[1]), name)
    for line, row in itertools.chain([first], objects):
        sides = [value_at(row, column) for column in (message, reply)]
        for column, side in zip((message, reply), sides, strict=True):
            if side is ABSENT:
                raise DataError(f"no {column!r} in this row", where=f"{name}:{line}", hint=BY_NAME)
        yield line, sides[0], sides[1]


def _table_rows(lines: Iterator[str], source: Source, asking: Asking, left_out: LeftOut) -> Iterator[_Row]:
    rows = _plain_rows(lines) if source.suffix == ".tsv" else rows_of(lines, source.suffix, source.name)
    rows = ((line, row) for line, row in rows if row)
    first = next(rows, None)
    if first is None:
        raise DataError("this table is empty", where=source.name, hint="Name a table with rows in it.")
    header = first[1]
    if asking.columns:
        places = _column_places(header, asking, source.name)
        numbered = all(column.isdecimal() and column not in header for column in asking.columns)
    else:
        numbered = not _has_names(header)
        places = [0, 1] if numbered else [header.index(name) for name in _named(header, source.name)]
        if numbered and len(header) != 2:
            raise DataError(_shape(len(header)), where=f"{source.name}:{first[0]}", hint=_hint(len(header)))
    following = list(itertools.islice(rows, FOLLOWING))
    if numbered and _heads(header, [row for _, row in following], places):
        left_out.add(f"{source.name}:{first[0]}", HEADER)
        numbered = False
    for line, row in itertools.chain([first] if numbered else [], following, rows):
        if len(row) != len(header):
            raise DataError(
                f"this row has {_columns(len(row))}, the first has {len(header)}",
                where=f"{source.name}:{line}",
                hint="Correct the row, or take it out.",
            )
        message, reply = (row[place] for place in places)
        yield line, message, reply


def _heads(first: list[str], following: list[list[str]], places: list[int]) -> bool:
    """Whether the first row of a table rather names its columns: a word or two each, where the rows that follow hold more."""

    def words(row: list[str]) -> list[int]:
        return [len(row[place].split()) for place in places if place < len(row)]

    named = all(1 <= count <= MOST_WORDS_OF_A_NAME for count in words(first))
    plain = not any(first[place].strip().endswith(SENTENCE_ENDS) for place in places)
    return (
        len(following) >= LEAST_FOLLOWING
        and named
        and plain
        and all(max(words(row), default=0) > MOST_WORDS_OF_A_NAME for row in following)
    )


def _plain_rows(lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """The rows of a TSV, in which a tab and a line end mean nothing else."""
    for number, line in enumerate(lines, 1):
        text = line.removesuffix("\n")
        yield number, text.split("\t") if text.strip() else []


def _has_names(header: Sequence[str]) -> bool:
    plain = {name.strip().casefold() for name in header}
    return any(set(names) <= plain for names in COLUMNS)


def _named(header: Sequence[str], name: str) -> tuple[str, str]:
    """The columns of message and reply as they are called in this table."""
    plain = {each.strip().casefold(): each for each in header}
    for message, reply in COLUMNS:
        if message in plain and reply in plain:
            return plain[message], plain[reply]
    if len(header) == 2:
        return header[0], header[1]
    raise DataError(_shape(len(header)), where=name, hint=_hint(len(header)))


def _hint(count: int) -> str:
    return BY_NUMBER if count > 1 else "Bring a table with a column of messages and one of replies."


def _shape(count: int) -> str:
    return f"{_columns(count)}, where a message and a reply are wanted"


def _columns(count: int) -> str:
    return f"{count} column{'' if count == 1 else 's'}"


def _column_places(header: Sequence[str], asking: Asking, name: str) -> list[int]:
    try:
        places = [place_of(list(header), column, name) for column in asking.columns]
    except DataError:  # which would show the header: where there is none, that is somebody's mail
        raise DataError("there is no such column, or there are two", where=name, hint=BY_NUMBER) from None
    if places[0] == places[1]:
        raise DataError("both columns that are named are the same", where=name, hint=BY_NUMBER)
    return places
