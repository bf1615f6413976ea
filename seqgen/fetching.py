"""Corpora with an address: downloaded once, when the user asks for it, and checked. Nothing else uses the network."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import platformdirs

from seqgen.cards import Address, Card, find_fault
from seqgen.disk import sync_folder
from seqgen.errors import DataError

if TYPE_CHECKING:
    from http.client import HTTPResponse

# urllib.request and filelock take longer to import than all else here, and only a download needs them.

Progress = Callable[[int, int | None], None]
"""Is told the bytes that are here and the bytes of the whole, the latter where they are known."""
TIMEOUT = 30.0
"""Seconds of silence after which a connection counts as broken."""
WAITS = (0.5, 1.0, 2.0)
"""Seconds before each further attempt, after a connection has broken."""
MOST_REDIRECTS = 5
_BLOCK = 1 << 16
_REDIRECTS = (301, 302, 303, 307, 308)
_CONTENT_RANGE = re.compile(r"bytes (?P<start>\d{1,18})-\d{1,18}/(?P<size>\d{1,18})", re.ASCII)
_UNSATISFIED = re.compile(r"bytes \*/(?P<size>\d{1,18})", re.ASCII)


class _BrokenError(Exception):
    """The connection failed. What has come is kept, and another attempt may go on from there."""


def data_folder() -> Path:
    """Where fetched corpora are kept: `$SEQGEN_DATA`, or a folder among the system's ones for data."""
    chosen = os.environ.get("SEQGEN_DATA")
    return Path(chosen).absolute() if chosen else Path(platformdirs.user_data_dir("seqgen", appauthor=False), "corpora")


def fetched(card: Card) -> Path | None:
    """Where the card's file lies, if it has been fetched (in a folder named by its SHA-256, its size is right); else None."""
    address = card.address
    if address is None:
        return None
    path = _place(card, address)
    try:
        return path if path.is_file() and path.stat().st_size == address.size else None
    except OSError:
        return None  # fetching it says what is wrong


def need(card: Card) -> Path:
    """Where the fetched file of a card lies.

    Raises:
        DataError: it has not been fetched.
    """
    path = fetched(card)
    if path is None:
        raise DataError(
            "this corpus is not on this machine yet",
            where=card.name,
            hint=f"Fetch it once: seqgen corpus fetch {card.name}",
        )
    return path


def fetch(card: Card, progress: Progress, waits: Sequence[float] = WAITS) -> Path:
    """Downloads the file of a card, unless it is here and right; goes on from what an earlier attempt has left.

    Args:
        card: one with an address.
        progress: called at the start of a download and after each block; what it raises ends the download.
        waits: seconds before each further attempt after a broken connection.

    Raises:
        DataError: it cannot be fetched or kept, or is not what the card describes.
    """
    from filelock import FileLock, Timeout

    address = card.address
    if address is None:
        raise DataError("this corpus has no address to be fetched from", where=card.name, hint="Use it as it is.")
    path = _place(card, address)
    try:
        _make_folder(path.parent)
        with FileLock(path.with_name(f"{path.name}.lock"), timeout=0):
            if not (fetched(card) and _hash(path) == address.sha256):
                part = _Part(path, address)
                _download(part, progress, waits)
                part.install(path)
    except Timeout as error:
        raise DataError(
            "another seqgen is fetching this corpus", where=card.name, hint="Wait until it is done."
        ) from error
    except OSError as error:
        raise _cannot_keep(path, error) from error
    return path


class _Part:
    """What has come of a file so far, and beside it a note of the version that it belongs to.

    Args:
        path: where the whole file will lie.
        address: of that file.
    """

    def __init__(self, path: Path, address: Address) -> None:
        self.path = path.with_name(f"{path.name}.part")
        self.note = path.with_name(f"{path.name}.part.note")
        self.address = address

    def size(self) -> int:
        """Bytes to go on from: 0 where there are none, or they belong to another file."""
        size = self.path.stat().st_size if self.path.is_file() and self._version() is not None else 0
        return size if size <= self.address.size else 0

    def headers(self) -> dict[str, str]:
        """What asks a server for the rest only, provided that it still has the same version."""
        size, version = self.size(), self._version()
        return {"Range": f"bytes={size}-", **({"If-Range": version} if version else {})} if size else {}

    def begin(self, response: HTTPResponse) -> None:
        """Starts over, and notes which version this is."""
        self.discard()
        tag = response.headers.get("ETag", "")
        # A weak tag (W/...) stands for equal meaning, not equal bytes, so that it cannot tie two parts together.
        version = tag if tag.startswith('"') else response.headers.get("Last-Modified", "")
        lines = [self.address.url, self.address.sha256, version if version.isascii() and version.isprintable() else ""]
        self.note.write_text("\n".join(lines), encoding="ascii")

    def discard(self) -> None:
        """Keeps nothing."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def check_size(self, size: int | None) -> None:
        """Refuses a file of another size than the card's, where it is known, and what has come of it.

        Raises:
            DataError: it has another.
        """
        if size is not None and size != self.address.size:
            self.discard()
            more = " or more" if size > self.address.size else ""
            raise DataError(
                f"not what the card describes: {size:,} bytes{more}, and the card says {self.address.size:,}",
                where=self.address.url,
                hint="Nothing was kept. The file has changed there, or the address is wrong: correct the corpus card.",
            )

    def install(self, path: Path) -> None:
        """Makes it the file, if it is the right one: checked, synced, renamed into place.

        Raises:
            DataError: its checksum is wrong.
        """
        if (found := _hash(self.path)) != self.address.sha256:
            self.discard()
            raise DataError(
                f"not what the card describes: the SHA-256 is {found}, and the card says {self.address.sha256}",
                where=self.address.url,
                hint="Nothing was kept. Fetch it once more; if that does not help, the file has changed there: correct "
                "the corpus card.",
            )
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        self.path.replace(path)
        self.note.unlink(missing_ok=True)
        sync_folder(path.parent)

    def _version(self) -> str | None:
        """What the server calls the version, maybe nothing; None where no note says that this is the card's file."""
        with contextlib.suppress(OSError, ValueError):
            url, sha256, version = self.note.read_text(encoding="ascii").split("\n")
            return version if (url, sha256) == (self.address.url, self.address.sha256) else None
        return None


def _download(part: _Part, progress: Progress, waits: Sequence[float]) -> None:
    """Gets all bytes into the part, in several attempts if need be."""
    url, size = part.address.url, part.address.size
    for wait in (*waits, None):
        try:
            progress(part.size(), size)
            if part.size() < size:
                with _request(url, part.headers()) as response:
                    _receive(response, _begin(response, part), part, progress)
            return
        except _BrokenError as error:
            if wait is None:
                here = f"{part.size():,} of {size:,} bytes are here, and it goes on from there."
                raise DataError(
                    f"cannot be fetched: {error}", where=url, hint=f"Check the connection and fetch it again: {here}"
                ) from error
            time.sleep(wait)


def _request(url: str, headers: dict[str, str]) -> HTTPResponse:
    """The answer to a request, whatever its status; redirects are followed, but only where they may lead.

    Raises:
        _BrokenError: there is none.
        DataError: a redirect leads where it may not.
    """
    from http.client import HTTPException
    from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, UnknownHandler

    # urllib's usual opener also opens files and FTP, and reads the body of a redirect however long it is.
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler(), UnknownHandler()):
        opener.add_handler(handler)
    for _ in range(MOST_REDIRECTS + 1):
        request = Request(url, headers={"User-Agent": "seqgen", **headers})  # noqa: S310 - find_fault has checked the url
        try:
            response: HTTPResponse = opener.open(request, timeout=TIMEOUT)
        except (OSError, HTTPException, ValueError) as error:
            raise _BrokenError(_explain(error)) from error
        if response.status not in _REDIRECTS:
            return response
        response.close()
        url = _follow(url, response.headers.get("Location", ""))
    raise DataError(
        f"redirected more than {MOST_REDIRECTS} times", where=url, hint="Correct the address in the corpus card."
    )


def _follow(url: str, location: str) -> str:
    """The address that a redirect leads to.

    Raises:
        DataError: it is not of http or https, or leads from https to http.
    """
    try:
        target = urljoin(url, location)
        fault = find_fault(target)
    except ValueError:
        target, fault = location, "is no web address"
    if fault is None and urlsplit(url).scheme == "https" and urlsplit(target).scheme == "http":
        fault = "is not encrypted, while the card's address is"
    if fault is None:
        return target
    raise DataError(
        f"the server redirects to {target!r}, which {fault}; seqgen does not follow",
        where=url,
        hint="Correct the address in the corpus card.",
    )


def _begin(response: HTTPResponse, part: _Part) -> int:
    """At which byte of the file the body of an answer begins.

    Raises:
        _BrokenError: it is of no use, but another attempt, from the start, may be.
        DataError: the file there is not the one of the card, or there is none.
    """
    had = part.size()
    if response.status == 200:
        part.check_size(response.length)
        part.begin(response)
        return 0
    if not had or response.status not in (206, 416):
        raise _refused(response.status, part.address.url)
    pattern = _CONTENT_RANGE if response.status == 206 else _UNSATISFIED
    match = pattern.fullmatch(response.headers.get("Content-Range", ""))
    if match:
        part.check_size(int(match["size"]))
        if response.status == 206 and int(match["start"]) == had:
            return had
    part.discard()
    raise _BrokenError("the server would not go on from what is here")


def _receive(response: HTTPResponse, done: int, part: _Part, progress: Progress) -> None:
    size = part.address.size
    with part.path.open("ab") as file:
        while block := _read(response):
            done += len(block)
            if done > size:
                break
            file.write(block)
            progress(done, size)
    if done > size:
        part.check_size(done)
    if done < size:
        raise _BrokenError(f"the connection ended at byte {done:,} of {size:,}")


def _read(response: HTTPResponse) -> bytes:
    """The next bytes of the body, as soon as there are some; none at its end."""
    from http.client import HTTPException

    try:
        return response.read1(_BLOCK)
    except (OSError, HTTPException) as error:
        raise _BrokenError(_explain(error)) from error


def _refused(status: int, url: str) -> DataError:
    from http.client import responses

    hint = "Open the address in a browser to see what is there, and correct the corpus card."
    if status in (401, 403, 407):
        hint = "It is not for everybody, or a proxy is in between: get the file by other means."
    elif status in (404, 410):
        hint = "The file is no longer there: correct the address in the corpus card."
    elif status == 429 or status >= 500:
        hint = "The server has troubles of its own: try again later."
    phrase = responses.get(status, "unknown")  # our own words for it: the server's could hold anything
    return DataError(f"the server answers with status {status} ({phrase})", where=url, hint=hint)


def _explain(error: Exception) -> str:
    """What went wrong with a connection, in words that cannot drive a terminal."""
    inner = getattr(error, "reason", error)
    text = str(getattr(inner, "strerror", None) or inner) or type(inner).__name__
    return text if text.isprintable() else repr(text)


def _place(card: Card, address: Address) -> Path:
    """Where the file is kept: never where a file of the same name and size, but of another card, lies already."""
    return data_folder() / card.name / address.sha256[:16] / address.file


def _make_folder(folder: Path) -> None:
    """A folder, and those that it lies in, for the owner alone where they are new."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cannot_keep(path: Path, error: OSError) -> DataError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = "Free some space there and fetch it again (it goes on from what is here)"
    else:
        advice = "Check the folder's permissions"
    return DataError(
        f"the corpus cannot be kept: {error.strerror or error}",
        where=str(path),
        hint=f"{advice}, or set SEQGEN_DATA to another folder.",
    )
