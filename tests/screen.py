"""What is on the screen of a terminal after it has been sent something."""

from __future__ import annotations

import re

from rich.cells import cell_len

_SEQUENCE = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])")
TAB = 8


class Screen:
    """A terminal of so many columns, without a last row, that knows what seqgen sends: colours, line ends, the beginning of the
    line, a few rows up, and clearing from the cursor on.

    Args:
        width: in columns.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._cells: list[list[tuple[str, str]]] = [[]]
        """Of each row the characters and their colours; of a wide character the second cell is empty."""
        self._wraps: list[bool] = [False]
        """Whether a row goes on in the next."""
        self._row = self._column = 0
        self._colour = ""

    def send(self, text: str) -> None:
        """Takes what a program writes."""
        place = 0
        while place < len(text):
            if match := _SEQUENCE.match(text, place):
                self._obey(match[1], match[2])
                place = match.end()
                continue
            self._write(text[place])
            place += 1

    @property
    def lines(self) -> list[str]:
        """The text on it: rows that were wrapped are one line; without blanks at the ends of lines."""
        return ["".join(character for character, _ in line).rstrip(" ") for line in self._whole()]

    @property
    def colours(self) -> list[list[tuple[str, str]]]:
        """Of each line the characters that are no blank and their colours."""
        return [[cell for cell in line if cell[0].strip()] for line in self._whole()]

    def _whole(self) -> list[list[tuple[str, str]]]:
        lines: list[list[tuple[str, str]]] = [[]]
        for row, wraps in zip(self._cells, self._wraps, strict=True):
            lines[-1] += row
            if not wraps:
                lines.append([])
        return lines[:-1]

    def _obey(self, numbers: str, what: str) -> None:
        if what == "m":
            self._colour = "" if numbers in ("", "0") else numbers
        elif what == "K":
            assert numbers in ("", "0")
            del self._cells[self._row][self._column :]
        elif what == "J":
            assert numbers in ("", "0")
            del self._cells[self._row][self._column :], self._cells[self._row + 1 :], self._wraps[self._row + 1 :]
            self._wraps[self._row] = False
        elif what == "A":
            self._row = max(0, self._row - int(numbers or 1))
        else:
            raise AssertionError(f"an unknown sequence: {numbers}{what}")

    def _write(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            self._down(wraps=False)
        elif character == "\t":  # it moves, but never beyond the last column
            width = min(TAB - self._column % TAB, self.width - 1 - self._column)
            self._put([("\t", self._colour), *[("", "")] * (width - 1)][: max(0, width)])
        else:
            assert character >= " ", f"a control character: {character!r}"
            size = cell_len(character)
            if not size and self._column:  # it belongs to the one before
                row, place = self._cells[self._row], self._column - 1
                while not row[place][0]:
                    place -= 1
                row[place] = (row[place][0] + character, row[place][1])
                return
            if self._column + size > self.width:
                self._down(wraps=True)
            self._put([(character, self._colour), *[("", "")] * (size - 1)])

    def _put(self, cells: list[tuple[str, str]]) -> None:
        row = self._cells[self._row]
        row.extend([(" ", "")] * (self._column - len(row)))
        row[self._column : self._column + len(cells)] = cells
        self._column += len(cells)

    def _down(self, wraps: bool) -> None:
        self._wraps[self._row] = wraps
        self._row, self._column = self._row + 1, 0
        if self._row == len(self._cells):
            self._cells.append([])
            self._wraps.append(False)
