"""Whatever a corpus is, it ends with exit code 3 and one line that says what is wrong with it, never with a traceback."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from seqgen.sources import archives
from tests.commands import SMALL, Run
from tests.corpora import write
from tests.sources import pack
from tests.test_formats import packed, pdf
from tests.texts import verse

TRAIN = ["--steps", "3", "--name", "it", *SMALL]
GOOD = verse(3000)


def damaged_zip() -> bytes:
    """A zip whose only text does not match its checksum."""
    data = packed({"a.txt": GOOD})
    place = data.index(b"a.txt") + 200
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


def tar_of_links() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        link = tarfile.TarInfo("a.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return file.getvalue()


BAD: dict[str, tuple[str, Callable[[], bytes] | bytes, str]] = {
    "empty": ("a.txt", b"", "no text in it"),
    "blank": ("a.txt", b" \n\t\n ", "no text in it|too few"),
    "a single character": ("a.txt", b"a", "too few"),
    "a few characters": ("a.txt", b"abc abc", "too few"),
    "binary": ("a.txt", b"\x7fELF\0\0", "binary file, not text .a zero byte at byte 4"),
    "latin-1": ("a.txt", b"good\n" * 999 + b"caf\xe9\n", r"not utf-8 at byte 4998 \(0xe9\)"),
    "half of a UTF-16 file": ("a.txt", "\ufeffabc".encode("utf-16-le") * 99 + b"\0", "utf-16"),
    "no gzip": ("a.txt.gz", b"no gzip", "damaged, cut short or not what its name says"),
    "gzip cut short": ("a.txt.gz", lambda: gzip.compress(GOOD.encode())[:-30], "damaged, cut short"),
    "bzip2 cut short": ("a.txt.bz2", lambda: bz2.compress(GOOD.encode())[:-30], "damaged, cut short"),
    "xz cut short": ("a.txt.xz", lambda: lzma.compress(GOOD.encode())[:-30], "damaged, cut short"),
    "no zip": ("a.zip", b"no zip", "damaged, cut short"),
    "an empty zip": ("a.zip", lambda: packed({}), "no text in it"),
    "a damaged text in a zip": ("a.zip", damaged_zip, "damaged|cut short"),
    "a zip in a zip": ("a.zip", lambda: packed({"b.zip": packed({"a.txt": GOOD})}), "1 archive in an archive"),
    "a tar of links": ("a.tar", tar_of_links, "1 link"),
    "no document": ("a.docx", b"no document", "not a readable Word document"),
    "an old document": ("a.doc", b"\xd0\xcf\x11\xe0", "old Word document"),
    "a PDF of pictures": ("a.pdf", lambda: pdf([]), "pages are pictures"),
    "a page without text": ("a.html", b"<html><script>x</script></html>", "no text in it"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_corpus_that_cannot_be_used_is_refused_with_one_line(run: Run, what: str) -> None:
    name, content, wanted = BAD[what]
    write(name, content() if callable(content) else content)
    reason = run("train", name, *TRAIN).refusal()
    assert re.search(wanted, reason)
    assert not any(Path("checkpoints").glob("*"))


@pytest.mark.parametrize("what", [what for what, (_, _, wanted) in BAD.items() if "too few" not in wanted])
def test_among_others_it_is_left_out_and_counted(run: Run, what: str) -> None:
    name, content, _ = BAD[what]
    write(f"c/{name}", content() if callable(content) else content)
    write("c/good.txt", GOOD)
    result = run("train", "c", "--documents", "file", *TRAIN)
    assert (result.code, result.out) == (0, "checkpoints/it\n")
    assert "3,000 characters in 1 document" in result.err
    if what != "an empty zip":
        assert "1 left out" in result.err


# Names

LATIN, LINES = os.fsdecode(b"caf\xe9"), "two\nlines\x1b[31m"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems want names to be text")
def test_a_name_that_is_no_text_or_of_several_lines_is_told_so_that_it_can_be_read(run: Run) -> None:
    for name in (LATIN, LINES):
        write(f"c/{name}.txt", GOOD)
        write(f"c/bad {name}.txt", b"\xe9")
    bad = {str(Path(f"c/bad {name}.txt").absolute()) for name in (LATIN, LINES)}
    result = run("corpus", "stats", "c", "--json")
    assert (result.code, result.out.count("\n")) == (0, 1)
    (told,) = result.json()
    assert set(told["left_out"]["not utf-8"]) == bad
    result.out.encode()  # what goes to a file or a pipe is text
    (line,) = [line for line in run("corpus", "stats", "c").out.splitlines() if "not utf-8" in line]
    assert r"bad caf\xe9.txt" in line and r"bad two\nlines\x1b[31m.txt" in line
    for name, shown in ((LATIN, r"c/bad caf\xe9.txt: not utf-8"), (LINES, r"c/bad two\nlines\x1b[31m.txt: not utf-8")):
        assert shown in run("corpus", "stats", f"c/bad {name}.txt").refusal()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems want names to be text")
def test_a_training_goes_on_with_a_corpus_whose_name_is_no_text(run: Run) -> None:
    name = LATIN
    write(f"{name}.txt", GOOD)
    assert run("train", f"{name}.txt", *TRAIN).code == 0
    assert run("corpus", "clean").code == 0
    result = run("train", "--name", "it", "--resume", "--steps", "+2", "--threads", "1")
    assert (result.code, result.out) == (0, "checkpoints/it\n")
    assert run("info", "it", "--json").json()[0]["recipe"]["corpus"]["sources"] == [str(Path(f"{name}.txt").absolute())]


# Archives that mean harm


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
@pytest.mark.parametrize("inside", ["../../evil.txt", "/tmp/evil.txt"])
def test_what_climbs_out_of_an_archive_is_left_out_and_nothing_is_written(run: Run, name: str, inside: str) -> None:
    pack(Path(name), {inside: GOOD})
    reason = run("train", name, *TRAIN).refusal()
    assert "no text in it (left out: 1 its name leads out of the archive)" in reason
    pack(Path(name), {inside: GOOD, "good.txt": GOOD})
    result = run("train", name, *TRAIN)
    assert result.code == 0 and "3,000 characters" in result.err and "1 left out" in result.err
    assert not [path for folder in (Path(), Path(".."), Path("../.."), Path("/tmp")) for path in folder.glob("evil*")]


@pytest.mark.parametrize("name", ["a.zip", "a.txt.gz", "a.tgz"])
def test_an_archive_bomb_is_refused_and_left_out_of_a_folder(
    run: Run, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "FREE_EXPANSION", 10_000)
    monkeypatch.setattr(archives, "MAX_RATIO", 20)
    Path("c").mkdir()
    blanks = "and on " * 40_000
    if name == "a.zip":
        with zipfile.ZipFile("c/a.zip", "w", zipfile.ZIP_DEFLATED) as package:
            package.writestr("a.txt", blanks)
    elif name == "a.tgz":
        pack(Path("c/a.tgz"), {"a.txt": blanks})
    else:
        write("c/a.txt.gz", gzip.compress(blanks.encode()))
    result = run("train", f"c/{name}", *TRAIN)
    assert "expands to more than 20 times its packed size" in result.refusal()
    write("c/good.txt", GOOD)
    result = run("train", "c", "--documents", "file", *TRAIN)
    assert result.code == 0 and "3,000 characters in 1 document" in result.err
    assert "1 left out" in result.err


# Tables

TABLES = {
    "a quote that never closes": ("a.csv", 'id,text\n1,fine\n2,"never\n3,closed\n', "a.csv:3: broken quoting"),
    "a quote inside a field": ("a.csv", 'id,text\n1,"a "quote" inside"\n', "a.csv:2: broken quoting"),
    "a row too short": ("a.csv", "id,text\n1,fine\n2\n", "a.csv:3: this row has 1 field, the header has 2"),
    "a row too long": ("a.tsv", "id\ttext\n1\tfine\tand more\n", "a.tsv:2: this row has 3 fields, the header has 2"),
    "no header": ("a.csv", "\n\n", "a.csv: this table is empty"),
    "no rows": ("a.csv", "id,text\n", "no text in it"),
    "only empty rows": ("a.csv", "id,text\n1,\n2,\n", "no text in it (left out: 2 empty)"),
    "broken JSON": ("a.jsonl", '{"text": "fine"}\n{"text": \n', "a.jsonl:2: broken JSON at column 11"),
    "no objects": ("a.jsonl", '["text"]\n', "a.jsonl:1: not an object"),
    "no texts": ("a.jsonl", '{"text": null}\n', "no text in it (left out: 1 null, not text)"),
    "no table": ("a.txt", GOOD, "a.txt: not a table, but a column was asked for"),
}


@pytest.mark.parametrize("what", TABLES)
@pytest.mark.parametrize("verb", [["train", *TRAIN], ["corpus", "stats"]])
def test_a_table_that_cannot_be_read_is_refused_with_its_line(run: Run, what: str, verb: list[str]) -> None:
    name, content, reason = TABLES[what]
    write(name, content)
    assert reason in run(*verb, name, "--column", "text").refusal()


def test_other_text_that_cannot_be_used_is_refused_like_a_corpus(run: Run) -> None:
    write("verse.txt", GOOD)
    assert run("train", "verse.txt", *TRAIN).code == 0
    for name, content, wanted in (("b.txt", b"\0", "binary"), ("c.txt", b"", "no text"), ("d.txt", b"\xe9", "utf-8")):
        write(name, content)
        assert wanted in run("eval", "it", name).refusal()
    assert "missing.txt" in run("eval", "it", "missing.txt").refusal()
