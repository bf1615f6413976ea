"""What a model of sentencepiece is made of, read without the library: a protocol buffer, field by field.

What the library does by tables in the file (normalising, and undoing that) it does without looking whether they are sound: a
crafted one could crash it at a text long after the model was loaded. Models that seqgen writes have none of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

NORMALIZER, SELF_TEST, DENORMALIZER = 3, 4, 5
"""Fields of a model."""
RULES, TABLE = 6, 2
"""Fields of a normaliser: its rules as text, and what was compiled of them."""
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
"""How a field is written."""
_OTHERS = 4
"""Fields of a model beside its pieces."""
_SHORT = 1000
"""Bytes of a normaliser that leaves texts as they are."""
_LONGEST = 10
"""Bytes of a number."""


class Field(NamedTuple):
    """A field of a message: its number, and its bytes; of numbers none."""

    number: int
    data: bytes


def check_model(data: bytes, most: int) -> None:
    """Refuses a model that is more than its pieces and its settings.

    Args:
        data: of the file.
        most: pieces that it may have.

    Raises:
        ValueError: it is no model, has too many pieces, or tables by which texts are changed.
    """
    for count, field in enumerate(fields_of(data)):
        if count > most + _OTHERS:
            raise ValueError(f"it has more than {most:,} pieces")
        if field.number == NORMALIZER and len(field.data) > _SHORT:
            raise ValueError("it normalises texts, and none may be changed")
        if field.number in (SELF_TEST, DENORMALIZER) and field.data:
            raise ValueError("it undoes or tests a change of texts, and none may be changed")
        if field.number == NORMALIZER and any(
            each.number in (TABLE, RULES) and each.data for each in fields_of(field.data)
        ):
            raise ValueError("it normalises texts, and none may be changed")


def fields_of(data: bytes) -> Iterator[Field]:
    """The fields of a message, in order.

    Raises:
        ValueError: the data is none.
    """
    place = 0
    while place < len(data):
        tag, place = _number(data, place)
        number, how = tag >> 3, tag & 7
        if how == _VARINT:
            _, place = _number(data, place)
            yield Field(number, b"")
            continue
        if how == _BYTES:
            length, place = _number(data, place)
        elif how in (_EIGHT, _FOUR):
            length = 8 if how == _EIGHT else 4
        else:
            raise ValueError("not a model of sentencepiece")
        if length > len(data) - place:
            raise ValueError("not a model of sentencepiece: it is cut short")
        yield Field(number, data[place : place + length])
        place += length


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = 0
    for count, byte in enumerate(data[place : place + _LONGEST]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, place + count + 1
    raise ValueError("not a model of sentencepiece: it is cut short")
