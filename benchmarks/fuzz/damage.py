"""What happens to files and texts: bytes flip, parts are lost, doubled and moved, numbers become absurd."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Sequence

from fuzz.target import Case

Damage = Callable[[bytearray, random.Random], None]
TIMES = (1, 1, 2, 5, 20)
"""How often an input is damaged."""
NUMBERS = (
    *(b"0", b"1", b"-1", b"255", b"65536", b"2147483647", b"4294967296", b"1000000000000", b"9" * 30, b"9" * 5000),
    *(b"1e999", b"nan", b"inf", b"0.0000001", b"0x" + b"f" * 40, "\u0663".encode(), "\u00b2".encode()),
)  # fmt: skip
PIECES = (
    *(b"\0", b"\n", b"\r\n", b"\r", b"\t", b" ", b'"', b"'", b"\\", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf", b"<"),
    *(b">", b"&", b"[" * 200, b"{" * 200, b"(" * 200, b"]", b"}", b"=", b":", b",", b";", b"/", b"../", b"%s"),
    *(b"\x1b[2J", b"\x85", "\u2028".encode(), "\u0130".encode(), "\u202e".encode(), "e\u0301".encode()),
    *("\U0001f600".encode(), b"\xed\xa0\x80", b"\xc3", b"a" * 5000),
)  # fmt: skip
"""Bytes that mean something to some readers."""


def damaged(
    case: Case, draw: random.Random, damages: Sequence[Damage] | None = None, pieces: Sequence[bytes] = ()
) -> Case:
    """The input with some damage.

    Args:
        case: a sound input.
        draw: where chance comes from.
        damages: what may happen to it; None: anything.
        pieces: bytes that mean something to its reader, to be put in.
    """
    data = bytearray(case.data)
    for _ in range(draw.choice(TIMES)):
        if pieces and draw.random() < 0.4:
            put(data, draw.choice(pieces), draw)
        else:
            draw.choice(damages or DAMAGES)(data, draw)
    return Case(case.name, bytes(data))


def put(data: bytearray, piece: bytes, draw: random.Random) -> None:
    """A piece stands in between, or in the place of some bytes."""
    start = draw.randrange(len(data) + 1)
    data[start : start + draw.choice((0, 0, draw.randrange(20)))] = piece


def flip(data: bytearray, draw: random.Random) -> None:
    """One byte becomes another."""
    if data:
        data[draw.randrange(len(data))] = draw.randrange(256)


def cut(data: bytearray, draw: random.Random) -> None:
    """The end, or some bytes in the middle, are missing."""
    start = draw.randrange(len(data) + 1)
    stop = len(data) if draw.random() < 0.2 else start + draw.randrange(50)
    del data[start:stop]


def insert(data: bytearray, draw: random.Random) -> None:
    """Random bytes, or some that stand elsewhere in the file, stand in between."""
    at, source, length = draw.randrange(len(data) + 1), draw.randrange(len(data) + 1), draw.randrange(60)
    data[at:at] = draw.randbytes(length) if draw.random() < 0.5 else data[source : source + length]


def enlarge(data: bytearray, draw: random.Random) -> None:
    """A number of four bytes, or one in digits, becomes an absurd one."""
    numbers = list(re.finditer(rb"\d+", data))
    if numbers and draw.random() < 0.7:
        number = draw.choice(numbers)
        data[number.start() : number.end()] = draw.choice(NUMBERS)
    elif len(data) > 8:
        at = draw.randrange(len(data) - 4)
        data[at : at + 4] = struct.pack(draw.choice("<>") + "I", draw.choice((2**32 - 1, 2**31, 2**24, 0)))


def piece(data: bytearray, draw: random.Random) -> None:
    """Something stands in between that means something to many readers."""
    put(data, draw.choice(PIECES), draw)


def lines(data: bytearray, draw: random.Random) -> None:
    """A line comes twice, stands elsewhere, or is missing."""
    rows = bytes(data).split(b"\n")
    taken = rows.pop(draw.randrange(len(rows)))
    for _ in range(draw.randrange(3)):
        rows.insert(draw.randrange(len(rows) + 1), taken)
    data[:] = b"\n".join(rows)


DAMAGES: tuple[Damage, ...] = (flip, cut, insert, enlarge, piece, lines)
BINARY: tuple[Damage, ...] = (flip, cut, insert, enlarge)
"""For files whose bytes are no text."""
