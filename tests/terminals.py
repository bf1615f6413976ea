"""The program at a terminal: what is typed goes through a pseudo-terminal, as the keys of a person would."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

ENTER, TAB, UP, ALT_ENTER, CTRL_C, CTRL_D = "\r", "\t", "\x1b[A", "\x1b\r", "\x03", "\x04"
PATIENCE = 60.0
"""Seconds after which what was waited for will not come: many, since the machine may be busy."""
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][0-9A-B]|[=>78])")


class Typed:
    """`seqgen` at a pseudo-terminal.

    Args:
        arguments: of the command line.
        folder: where it runs.
        environment: beside that of the tests.
        size: columns and rows.

    Attributes:
        sent: all that came to the terminal so far.
    """

    def __init__(
        self, *arguments: str, folder: Path, size: tuple[int, int] = (90, 30), **environment: str | None
    ) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self.sent = b""
        self._read_to = 0
        self._master, slave = pty.openpty()
        columns, rows = size
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        wanted = {**os.environ, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", "NO_COLOR": None, **environment}
        for name in ("COLUMNS", "LINES"):
            wanted.setdefault(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seqgen", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={name: value for name, value in wanted.items() if value is not None},
            preexec_fn=lambda: _take(slave),
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    @property
    def text(self) -> str:
        """What came, without sequences for colours and the cursor."""
        return _SEQUENCE.sub("", self.sent.decode("utf-8", "replace"))

    def type(self, keys: str | bytes) -> None:
        """Presses keys."""
        os.write(self._master, keys.encode() if isinstance(keys, str) else keys)

    def wait_for(self, pattern: str) -> str:
        """Waits until something is shown behind what was waited for before; returns what was shown up to its end.

        Raises:
            AssertionError: it does not come.
        """
        end = time.monotonic() + PATIENCE
        while True:
            shown = self.text[self._read_to :]
            if match := re.search(pattern, shown):
                self._read_to += match.end()
                return shown[: match.end()]
            if not self._pump(end - time.monotonic()):
                raise AssertionError(f"{pattern!r} is not in {shown!r}")

    def answer(self, line: str, prompt: str) -> str:
        """Types a line, and waits for the next prompt: what was shown in between."""
        self.type(line + ENTER)
        return self.wait_for(rf"\n[^\n]*{re.escape(prompt)}> ")

    def leave(self) -> int:
        """Waits for its end: the exit code."""
        end = time.monotonic() + PATIENCE
        while self._pump(end - time.monotonic()):
            pass
        return self.process.wait(max(1.0, end - time.monotonic()))

    def _pump(self, seconds: float) -> bool:
        """Takes what has come; whether more may come."""
        if seconds <= 0 or not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            found = os.read(self._master, 1 << 16)
        except OSError:  # on Linux this is the end
            return False
        self.sent += found
        return bool(found)


def _take(slave: int) -> None:
    """Makes a terminal the one that signals come from."""
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
