"""A corpus is fetched once, whole and checked, from nowhere but where it may come from; what breaks goes on later."""

from __future__ import annotations

import ast
import contextlib
import errno
import functools
import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from filelock import FileLock

from seqgen import fetching
from seqgen.cards import Card, load_card
from seqgen.cli import main as program
from seqgen.errors import DataError
from seqgen.fetching import data_folder, fetch, fetched, need

DATA = bytes(range(256)) * 2000
AT_ONCE = (0.0, 0.0, 0.0)
PACKAGE = Path(fetching.__file__).parent


@dataclass
class Server:
    """What the server does, and what it was asked for."""

    port: int = 0
    data: bytes = DATA
    version: str = '"one"'
    modified: str | None = None
    knows_ranges: bool = True
    says_length: bool = True
    stops_after: list[int] = field(default_factory=list)
    """After how many bytes of the body each of the next answers breaks off."""
    pauses: bool = False
    answers: dict[str, Callable[[Handler], None]] = field(default_factory=dict)
    """Paths that are answered otherwise."""
    requests: list[dict[str, str]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    """Bytes of each body."""

    def url(self, path: str = "/corpus.txt") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ranges(self) -> list[str | None]:
        return [request.get("Range") for request in self.requests]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    about: Server

    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        about = self.about
        about.requests.append({"path": self.path, **self.headers})
        self.close_connection = True
        if self.path in about.answers:
            about.answers[self.path](self)
            return
        wanted, same = self.headers.get("Range"), self.headers.get("If-Range") in (None, about.version, about.modified)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and same and about.knows_ranges else 0
        if start >= len(about.data):
            self.answer(416, {"Content-Range": f"bytes */{len(about.data)}"})
            return
        headers = {"ETag": about.version} if about.version else {}
        headers |= {"Last-Modified": about.modified} if about.modified else {}
        headers |= {"Content-Length": str(len(about.data) - start)} if about.says_length else {}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(about.data) - 1}/{len(about.data)}"
        self.answer(206 if start else 200, headers, about.data[start:])

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        # Noted before the headers leave: on them alone, a redirect's, the other side may already ask another thread.
        if self.about.stops_after:
            body = body[: self.about.stops_after.pop(0)]
        self.about.sent.append(len(body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):  # the other side had enough
            self.wfile.write(body)
            self.wfile.flush()
            if self.about.pauses:
                time.sleep(30)


def redirect(target: str) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(302, {"Location": target, "Content-Length": "0"})


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("SEQGEN_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "*")
    about = Server()
    handler = type("BoundHandler", (Handler,), {"about": about})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.daemon_threads, http.block_on_close = True, False
        about.port = http.server_port
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield about
        http.shutdown()
        thread.join()


def card_of(server: Server, **source: Any) -> Card:
    """A card of one's own in this folder, for what the server has."""
    address = {"url": server.url(), "sha256": hashlib.sha256(DATA).hexdigest(), "size": len(DATA), "file": "corpus.txt"}
    data = {"title": "Numbers", "kind": "text", "documents": "file", "licence": "CC0", "split": "90/5/5"}
    Path("corpora").mkdir(exist_ok=True)
    text = tomli_w.dumps({**data, "source": {**address, **source}})
    Path("corpora/numbers.toml").write_text(text, encoding="utf-8")
    return load_card("numbers")


def get(card: Card, progress: Callable[[int, int | None], None] = lambda done, size: None) -> Path:
    return fetch(card, progress, AT_ONCE)


def refuse(card: Card) -> DataError:
    """The error of a fetch that fails, which says where and what to do."""
    with pytest.raises(DataError) as caught:
        get(card)
    assert caught.value.where and caught.value.hint
    return caught.value


def place(data: bytes = DATA) -> Path:
    """The folder of what the card describes."""
    return data_folder() / "numbers" / hashlib.sha256(data).hexdigest()[:16]


def kept() -> set[str]:
    """What lies in the folder of the corpus, apart from the lock."""
    return {path.name for path in place().iterdir()} - {"corpus.txt.lock"}


def test_a_file_is_fetched_whole_and_nothing_is_left_beside_it(server: Server) -> None:
    card, seen = card_of(server), list[tuple[int, int | None]]()
    assert fetched(card) is None
    path = get(card, lambda done, size: seen.append((done, size)))
    assert path == fetched(card) == need(card) == place() / "corpus.txt"
    assert path.read_bytes() == DATA
    assert kept() == {"corpus.txt"}
    assert seen[0] == (0, len(DATA)) and seen[-1] == (len(DATA), len(DATA)) and seen == sorted(seen)


def test_the_folders_are_for_their_owner_alone(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQGEN_DATA", str(tmp_path / "new" / "data"))
    path = get(card_of(server))
    for folder in (path.parent, path.parent.parent, path.parent.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_data_folder_is_the_systems_unless_one_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQGEN_DATA", "here")
    assert data_folder() == Path("here").absolute()
    monkeypatch.delenv("SEQGEN_DATA")
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name, appauthor: str(tmp_path / name))
    assert data_folder() == tmp_path / "seqgen" / "corpora"


def test_a_second_fetch_makes_no_request(server: Server) -> None:
    card, told = card_of(server), list[int]()
    first = get(card)
    assert get(card, lambda done, size: told.append(done)) == first
    assert len(server.requests) == 1 and told == []


@pytest.mark.parametrize("damaged", [DATA[:-1], b"x" + DATA[1:], b""])
def test_a_file_that_was_changed_is_fetched_again(server: Server, damaged: bytes) -> None:
    card = card_of(server)
    get(card).write_bytes(damaged)
    assert get(card).read_bytes() == DATA
    assert len(server.requests) == 2


def test_a_broken_connection_is_taken_up_where_it_broke(server: Server) -> None:
    server.stops_after = [100_000, 50_000]
    assert get(card_of(server)).read_bytes() == DATA
    assert server.ranges() == [None, "bytes=100000-", "bytes=150000-"]
    assert server.sent == [100_000, 50_000, len(DATA) - 150_000]
    assert [request.get("If-Range") for request in server.requests] == [None, '"one"', '"one"']


@pytest.mark.parametrize(
    ("version", "modified", "asked"),
    [
        ('W/"one"', "Mon, 01 Jan 2024 00:00:00 GMT", "Mon, 01 Jan 2024 00:00:00 GMT"),
        ('"one"', "Mon, 01 Jan 2024 00:00:00 GMT", '"one"'),
        ('W/"one"', None, None),
        ("", None, None),
    ],
)
def test_only_what_tells_versions_apart_byte_by_byte_ties_two_parts_together(
    server: Server, version: str, modified: str | None, asked: str | None
) -> None:
    server.version, server.modified, server.stops_after = version, modified, [1000]
    assert get(card_of(server)).read_bytes() == DATA
    assert server.requests[1].get("If-Range") == asked
    assert server.sent == [1000, len(DATA) - 1000]


def test_a_later_fetch_goes_on_with_what_a_failed_one_has_left(server: Server) -> None:
    server.stops_after = [1000, 1000, 1000, 1000]
    card = card_of(server)
    error = refuse(card)
    assert "4,000 of 512,000 bytes are here" in str(error.hint)
    assert len(server.requests) == 4 and fetched(card) is None
    assert get(card).read_bytes() == DATA
    assert server.ranges()[-1] == "bytes=4000-"


def test_a_part_that_is_whole_already_needs_no_request(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    card = card_of(server)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        error = refuse(card)
    assert "No space left" in error.what and "Free some space" in str(error.hint) and "SEQGEN_DATA" in str(error.hint)
    assert fetched(card) is None
    assert get(card).read_bytes() == DATA
    assert len(server.requests) == 1


def test_a_server_that_knows_no_ranges_sends_all_again(server: Server) -> None:
    server.knows_ranges, server.stops_after = False, [1000]
    assert get(card_of(server)).read_bytes() == DATA
    assert server.ranges() == [None, "bytes=1000-"]
    assert server.sent == [1000, len(DATA)]


def test_another_version_at_the_server_is_fetched_from_its_start(server: Server) -> None:
    server.data, server.stops_after = DATA[::-1], [1000] * 4
    card = card_of(server)
    refuse(card)
    server.data, server.version = DATA, '"two"'
    assert get(card).read_bytes() == DATA
    assert server.ranges()[-1] == "bytes=4000-" and server.sent[-1] == len(DATA)


def test_a_part_of_another_file_is_not_gone_on_with(server: Server) -> None:
    server.stops_after = [1000] * 4
    refuse(card_of(server, sha256="0" * 64))
    assert get(card_of(server)).read_bytes() == DATA
    assert server.ranges()[-1] is None


@pytest.mark.parametrize("note", [b"", b"\xff", b"a\nb", b"\0" * 100, None])
def test_a_part_without_a_proper_note_is_not_gone_on_with(server: Server, note: bytes | None) -> None:
    card = card_of(server)
    server.stops_after = [1000] * 4
    refuse(card)
    path = place() / "corpus.txt.part.note"
    path.unlink() if note is None else path.write_bytes(note)
    assert get(card).read_bytes() == DATA
    assert server.ranges()[-1] is None


def test_a_part_that_is_too_long_is_not_gone_on_with(server: Server) -> None:
    card = card_of(server)
    server.stops_after = [1000] * 4
    refuse(card)
    (place() / "corpus.txt.part").write_bytes(DATA + b"x")
    assert get(card).read_bytes() == DATA
    assert server.ranges()[-1] is None


def test_a_body_of_unknown_length_is_taken_and_measured(server: Server) -> None:
    server.says_length = False
    assert get(card_of(server)).read_bytes() == DATA


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(server: Server) -> None:
    server.data = DATA[::-1]
    error = refuse(card_of(server))
    assert hashlib.sha256(DATA).hexdigest() in error.what and hashlib.sha256(server.data).hexdigest() in error.what
    assert kept() == set()


@pytest.mark.parametrize("says_length", [True, False])
def test_more_bytes_than_the_card_says_are_refused_and_nothing_is_kept(server: Server, says_length: bool) -> None:
    server.data, server.says_length = DATA * 20, says_length
    most = 0

    def watch(done: int, size: int | None) -> None:
        nonlocal most
        most = done

    with pytest.raises(DataError, match="512,000"):
        get(card_of(server), watch)
    assert most <= len(DATA) and kept() == set()
    assert len(server.requests) == 1


def test_fewer_bytes_than_the_card_says_are_refused_and_nothing_is_kept(server: Server) -> None:
    server.data = DATA[:1000]
    assert "1,000 bytes, and the card says 512,000" in refuse(card_of(server)).what
    assert kept() == set() and len(server.requests) == 1


def test_a_file_that_became_shorter_than_what_is_here_is_refused(server: Server) -> None:
    card = card_of(server)
    server.stops_after = [1000] * 4
    refuse(card)
    server.data = DATA[:500]
    assert "500 bytes, and the card says 512,000" in refuse(card).what
    assert kept() == set() and len(server.requests) == 4 + 1


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (416, {}),
        (206, {}),
        (206, {"Content-Range": "bytes 900-511999/512000"}),
        (206, {"Content-Range": "bytes 1000-511999/*"}),
        (206, {"Content-Range": f"bytes 1000-511999/{'9' * 5000}"}),
    ],
)
def test_a_server_that_goes_on_wrongly_is_asked_from_the_start(
    server: Server, status: int, headers: dict[str, str]
) -> None:
    def confused(handler: Handler) -> None:
        if handler.headers.get("Range"):
            handler.answer(status, {**headers, "Content-Length": "3"}, b"abc")
        else:
            first = len(server.requests) == 1
            handler.answer(200, {"Content-Length": str(len(DATA))}, DATA[:1000] if first else DATA)

    server.answers["/corpus.txt"] = confused
    assert get(card_of(server)).read_bytes() == DATA
    assert server.ranges() == [None, "bytes=1000-", None]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "proxy"),
        (403, "proxy"),
        (407, "proxy"),
        (404, "no longer there"),
        (410, "no longer there"),
        (429, "later"),
        (500, "later"),
        (503, "later"),
    ],
)
def test_a_status_is_named_with_what_to_do_and_not_tried_again(server: Server, status: int, words: str) -> None:
    server.answers["/corpus.txt"] = lambda handler: handler.answer(status, {"Content-Length": "0"})
    error = refuse(card_of(server))
    assert str(status) in error.what and words in str(error.hint)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [204, 206, 226, 300, 304, 416, 418, 999])
def test_a_status_that_makes_no_sense_is_refused(server: Server, status: int) -> None:
    server.answers["/corpus.txt"] = lambda handler: handler.answer(status, {"Content-Length": "0"})
    assert str(status) in refuse(card_of(server)).what


def test_redirects_within_the_web_are_followed_and_the_rest_is_asked_for_there(server: Server) -> None:
    server.answers["/old"] = redirect("/newer")
    server.answers["/newer"] = redirect(server.url())
    server.stops_after = [0, 0, 1000]
    assert get(card_of(server, url=server.url("/old"))).read_bytes() == DATA
    assert [request["path"] for request in server.requests] == ["/old", "/newer", "/corpus.txt"] * 2
    assert server.ranges()[-1] == "bytes=1000-"


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/a", "data:,abc", "gopher://a/", "http://[::1/", "http://a b/"]
)
def test_redirects_out_of_the_web_are_refused(server: Server, target: str) -> None:
    server.answers["/corpus.txt"] = redirect(target)
    assert target in refuse(card_of(server)).what
    assert len(server.requests) == 1 and kept() == set()


def test_a_redirect_from_https_to_http_is_refused() -> None:
    with pytest.raises(DataError, match="not encrypted"):
        fetching._follow("https://example.org/a", "http://example.org/a")
    assert fetching._follow("http://example.org/a", "https://example.org/b") == "https://example.org/b"
    assert fetching._follow("https://example.org/a/b", "c") == "https://example.org/a/c"


def test_redirects_come_to_an_end(server: Server) -> None:
    server.answers["/corpus.txt"] = redirect("/corpus.txt")
    assert "redirected more than 5 times" in refuse(card_of(server)).what
    assert len(server.requests) == 6


def test_nobody_there_is_tried_four_times_and_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    card = card_of(server, url="http://127.0.0.1:1/a")
    with pytest.raises(DataError, match=r"cannot be fetched: .*refused") as caught:
        fetch(card, lambda done, size: None)
    assert slept == list(fetching.WAITS) and len(slept) == 3
    assert "Check the connection" in str(caught.value.hint)


def test_silence_counts_as_a_broken_connection(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "TIMEOUT", 0.1)
    server.pauses, server.stops_after = True, [1000] * 4
    started = time.monotonic()
    error = refuse(card_of(server))
    assert "timed out" in error.what and "4,000 of 512,000" in str(error.hint)
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("line", [b"nonsense\r\n\r\n", b"\x1b[31m\r\n\r\n", b"HTTP/1.1 2000 x\r\n\r\n", b""])
def test_what_is_not_http_is_said_without_driving_the_terminal(server: Server, line: bytes) -> None:
    def babble(handler: Handler) -> None:
        handler.wfile.write(line)

    server.answers["/corpus.txt"] = babble
    error = refuse(card_of(server))
    assert "cannot be fetched" in error.what and error.what.isprintable()


def test_ctrl_c_keeps_the_part_and_the_next_fetch_goes_on(server: Server) -> None:
    card = card_of(server)

    def stop(done: int, size: int | None) -> None:
        if done >= 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(card, stop)
    part = place() / "corpus.txt.part"
    size = part.stat().st_size
    assert size >= 100_000 and part.read_bytes() == DATA[:size] and fetched(card) is None
    assert get(card).read_bytes() == DATA
    assert server.ranges() == [None, f"bytes={size}-"]


def test_a_second_fetch_at_the_same_time_is_told(server: Server) -> None:
    card = card_of(server)
    place().mkdir(parents=True)
    with FileLock(place() / "corpus.txt.lock"):
        assert "another seqgen" in refuse(card).what
    assert server.requests == []
    get(card)


def test_a_folder_that_cannot_be_made_is_said(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("occupied").touch()
    monkeypatch.setenv("SEQGEN_DATA", "occupied/data")
    error = refuse(card_of(server))
    assert "cannot be kept" in error.what and "SEQGEN_DATA" in str(error.hint)


def test_a_file_of_another_size_does_not_count_as_fetched(server: Server) -> None:
    card = card_of(server)
    get(card).write_bytes(DATA[:-1])
    assert fetched(card) is None


def test_a_file_of_another_card_of_the_same_name_and_size_does_not_count_as_fetched(server: Server) -> None:
    get(card_of(server))
    server.data = DATA[::-1]
    other = card_of(server, sha256=hashlib.sha256(server.data).hexdigest())
    assert fetched(other) is None
    assert get(other).read_bytes() == DATA[::-1] and fetched(other) == place(server.data) / "corpus.txt"
    assert (place() / "corpus.txt").read_bytes() == DATA


def test_what_is_not_here_is_needed_in_vain(server: Server) -> None:
    with pytest.raises(DataError, match="not on this machine yet") as caught:
        need(card_of(server))
    assert "seqgen corpus fetch numbers" in str(caught.value.hint)


def test_a_card_without_an_address_is_neither_fetched_nor_to_be_fetched() -> None:
    card = load_card("python")
    assert fetched(card) is None
    assert "no address" in refuse(card).what


def test_the_network_is_used_here_only_and_only_for_the_verb() -> None:
    web = {
        "urllib.request",
        "http.client",
        "http",
        "socket",
        "ssl",
        "ftplib",
        "asyncio",
        "requests",
        "httpx",
        "aiohttp",
    }
    users, callers = set(), set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            if web & set(modules):
                users.add(path.relative_to(PACKAGE).as_posix())
            if isinstance(node, ast.ImportFrom) and node.module in ("seqgen", "seqgen.fetching"):
                names = {name.name for name in node.names}
                if names & {"fetch", "fetching", "*"}:
                    callers.add(path.relative_to(PACKAGE).as_posix())
            if isinstance(node, ast.Import) and "seqgen.fetching" in modules:
                callers.add(path.relative_to(PACKAGE).as_posix())
    assert users == {"fetching.py"} and callers == {"cli/corpus.py"}


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_it(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["seqgen", "corpus", *arguments])
        capsys.readouterr()
        code = program._run()
        return Result(code, *capsys.readouterr())

    return run_it


def test_the_verb_fetches_prints_the_path_and_says_the_licence(server: Server, run: Run) -> None:
    path = place() / "corpus.txt"
    card_of(server)
    first = run("fetch", "numbers")
    assert (first.code, first.out) == (0, f"{path}\n")
    assert "licence: CC0" in first.err and "of 0.5 MB" in first.err and "fetched" in first.err
    second = run("fetch", "numbers")
    assert (second.code, second.out) == (0, f"{path}\n") and "already here" in second.err
    assert len(server.requests) == 1 and path.read_bytes() == DATA


def test_the_verb_is_quiet_and_prints_json_where_asked(server: Server, run: Run) -> None:
    card = card_of(server)
    result = run("fetch", "numbers", "--json", "-q")
    assert (result.code, result.err) == (0, "")
    path, digest = str(fetched(card)), hashlib.sha256(DATA).hexdigest()
    assert json.loads(result.out) == {"name": "numbers", "path": path, "bytes": len(DATA), "sha256": digest}


def test_on_a_terminal_there_is_a_bar(server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    card_of(server)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    result = run("fetch", "numbers")
    assert result.code == 0 and "512.0/512.0 kB" in result.err


def test_there_is_nothing_to_fetch_for_a_card_without_an_address(run: Run) -> None:
    result = run("fetch", "python")
    assert (result.code, result.out) == (0, "") and "nothing to fetch" in result.err and "as it is" in result.err
    assert json.loads(run("fetch", "python", "--json").out)["path"] is None


def test_a_failed_fetch_is_an_error_with_a_hint_and_no_traceback(server: Server, run: Run) -> None:
    server.answers["/corpus.txt"] = lambda handler: handler.answer(404, {"Content-Length": "0"})
    card_of(server)
    result = run("fetch", "numbers")
    assert (result.code, result.out) == (3, "")
    assert server.url() in result.err and "404" in result.err and "Traceback" not in result.err


def test_list_and_show_say_whether_a_card_is_at_hand(server: Server, run: Run) -> None:
    card_of(server)

    def line() -> str:
        return next(line for line in run("list").out.splitlines() if line.startswith("numbers"))

    def at_hand() -> dict[str, bool]:
        return {card["name"]: card["at_hand"] for card in map(json.loads, run("list", "--json").out.splitlines())}

    assert "to be fetched" in line() and not at_hand()["numbers"] and at_hand()["python"]
    assert "seqgen corpus fetch numbers" in run("show", "numbers").out
    run("fetch", "numbers")
    assert "at hand" in line() and at_hand()["numbers"]
    shown = run("show", "numbers").out
    for words in ("Numbers", "CC0", "90/5/5", server.url(), hashlib.sha256(DATA).hexdigest(), "512000", "corpus.txt"):
        assert words in shown
    record = json.loads(run("show", "numbers", "--json").out)
    assert record["source"]["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert record["at_hand"] and record["fetched"] == str(place() / "corpus.txt")


def test_one_wrong_card_does_not_hide_the_others(run: Run) -> None:
    Path("corpora").mkdir()
    Path("corpora/broken.toml").write_text("title = 3", encoding="utf-8")
    result = run("list")
    assert result.code == 3 and "broken.toml" in result.err
    assert "python" in result.out and "tiny-shakespeare" in result.out


def test_an_unknown_name_suggests_the_nearest(run: Run) -> None:
    result = run("fetch", "tinyshakespear")
    assert (result.code, result.out) == (3, "") and "Did you mean tiny-shakespeare?" in result.err


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_ctrl_c_says_that_the_part_is_kept_and_exits_with_130(server: Server) -> None:
    card_of(server)
    server.pauses, server.stops_after = True, [1000]
    command = [sys.executable, "-m", "seqgen", "corpus", "fetch", "numbers"]
    # A shell that runs the tests in the background ignores Ctrl-C, and what it starts inherits that.
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, preexec_fn=heard) as process:
        part, deadline = place() / "corpus.txt.part", time.monotonic() + 20
        while not part.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, b"")
    assert part.exists() and b"what has come is kept" in err and b"Traceback" not in err
