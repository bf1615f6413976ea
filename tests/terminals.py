"""The program at a terminal: what is typed goes through a pseudo-terminal, as the keys of a person would."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

ENTER, UP, ALT_ENTER, CTRL_C, CTRL_D, CTRL_R = "\r", "\x1b[A", "\x1b\r", "\x03", "\x04", "\x12"
COLUMNS, ROWS = 90, 30
PATIENCE = 30.0
"""Seconds after which what was waited for will not come: many, since the machine may be busy."""
_PROMPT = b"\x1b[?2004h"
"""What is sent whenever something can be typed: what is pasted is to be told from keys."""
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][0-9A-B]|[=>78])")


class Typed:
    """`seqgen` at a pseudo-terminal.

    Args:
        arguments: of the command line.
        folder: where it runs.
        environment: beside that of the tests.

    Attributes:
        sent: all that came to the terminal so far, or since it was forgotten.
    """

    def __init__(self, *arguments: str, folder: Path, environment: Mapping[str, str]) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self.sent = b""
        self._read_to = self._prompts = self._forgotten = 0
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        inherited = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "seqgen", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={**inherited, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", **environment},
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

    def forget(self) -> None:
        """Begins anew with what comes, so that a long session does not become slow to look at."""
        self.sent, self._read_to, self._forgotten = b"", 0, self.prompts

    @property
    def prompts(self) -> int:
        """How many prompts there were."""
        return self._forgotten + self.sent.count(_PROMPT)

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
            if not self.pump(end - time.monotonic()):
                raise AssertionError(f"{pattern!r} is not in {shown!r}")

    def wait_for_prompt(self, name: str) -> str:
        """Waits until a new prompt of this name waits for keys; returns what was shown since something was waited for.

        Raises:
            AssertionError: it does not come.
        """
        end = time.monotonic() + PATIENCE
        while self.prompts <= self._prompts or not self.text.endswith(f"{name}> "):
            if not self.pump(end - time.monotonic()):
                raise AssertionError(f"no prompt of {name} behind {self.text[self._read_to :]!r}")
        self._prompts = self.prompts
        shown, self._read_to = self.text[self._read_to :], len(self.text)
        return shown

    def answer(self, line: str, prompt: str) -> str:
        """Types a line, and waits for the next prompt: what was shown in between."""
        self.type(line + ENTER)
        return self.wait_for_prompt(prompt)

    def leave(self) -> int:
        """Waits for its end: the exit code."""
        end = time.monotonic() + PATIENCE
        while self.pump(end - time.monotonic()):
            pass
        return self.process.wait(max(1.0, end - time.monotonic()))

    def pump(self, seconds: float) -> bool:
        """Takes what comes within some seconds; whether anything came."""
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
