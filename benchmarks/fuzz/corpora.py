"""Damaged files of a corpus: texts, tables, pairs, archives and documents, as `train` reads them."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import random
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fuzz.damage import BINARY, damaged
from fuzz.target import Case, Target
from seqgen.corpus import prepare
from seqgen.errors import DataError
from seqgen.folders import cache_folder
from seqgen.modalities import MODALITIES
from seqgen.passes import Texts
from seqgen.recipe import CorpusSettings
from seqgen.sources import LeftOut, convert_all, documents_of, find_sources, kind_of, without_folders
from seqgen.sources.base import Asking
from seqgen.sources.formats import CONVERSIONS, FORMATS
from seqgen.sources.tables import SUFFIXES as TABLES

PAIRS = "pairs"
"""How the name of a file begins that is read as messages and replies."""
COLUMN = "text"
WHOLE = 20
"""Of so many inputs one is prepared whole, which takes ten times as long as to read it."""
PROSE = "".join(f"Paragraph {number}: the old fox waits, \u201csings\u201d and forgets.\n\n" for number in range(30))
ROWS = [(str(number), f"Do we have salt {number}?", f"No, we need {number},\nand tea.") for number in range(25)]
ZIPPED = frozenset({".zip", ".docx", ".epub"})
COMPRESSED: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    ".gz": (gzip.compress, gzip.decompress),
    ".tgz": (gzip.compress, gzip.decompress),
    ".bz2": (bz2.compress, bz2.decompress),
    ".xz": (lzma.compress, lzma.decompress),
}
"""Ending -> how such a file is packed and unpacked."""
ENDINGS = frozenset({".txt", ".tar", *TABLES, *FORMATS, *CONVERSIONS, *COMPRESSED, *ZIPPED})
PIECES: dict[str, tuple[bytes, ...]] = {
    ".csv": (
        *(b'"', b'""', b",", b"\n,,\n", b"\r", b"\0", b";" * 50, b'"' + b"x" * 3000, b"\xef\xbb\xbf"),
    ),
    ".jsonl": (
        *(b"[" * 3000, b'{"a":' * 3000, b'"\\ud800"', b"1e999", b"NaN", b"-", b"9" * 5000, b"null", b"{}\n"),
        *(b'{"text": []}\n', b'"\\u0000"'),
    ),
    ".html": (
        *(b"<table>", b"<div>" * 2000, b"<!--", b"<![CDATA[", b"&#1114112;", b"&#xD800;", b"<br/>" * 50),
        *(b"<meta charset=idna>", b"<script>", b"<meta charset=utf-7>", b"</p>" * 50, b"<p hidden>", b"<svg><math>"),
        *(b"&nbsp", b"<?xml version='1.0' encoding='hex'?>", b"<template>"),
    ),
    ".pdf": (
        *(b"obj", b"endobj\n", b"stream\n", b"endstream", b"<<" * 500, b"[" * 500, b"/Kids [2 0 R]"),
        *(b"/Length 99999999", b"/Count -1", b"1 0 R", b"9999999 0 R", b"/Filter /FlateDecode"),
        *(b"/Filter [/ASCII85Decode /LZWDecode]", b"/Parent 4 0 R", b"/Encrypt 1 0 R", b"/Prev 9"),
        *(b"/Contents 2 0 R", b"(" * 99, b"BT", b" 1e99 Tf", b"/ToUnicode 1 0 R", b"/Type /ObjStm /N 99999 /First 1"),
        *(b"/Predictor 15 /Columns 99999999", b"Do", b"\\377"),
    ),
    ".docx": (
        *(b"<w:p>", b"</w:p>", b"<w:r><w:t>", b"<w:tbl><w:tr><w:tc>", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;"),
        *(b"w:gridSpan", b'w:val="-1"', b'w:val="99999999"'),
    ),
    ".epub": (
        *(b'href="../../x"', b'idref="nowhere"', b"<itemref/>", b"<item/>", b"%00", b"%"),
        *(b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"rootfile", b"full-path"),
    ),
    ".tar": (
        *(b"\0" * 512, b"././@LongLink", b"99 path=a\n", b"9999999999 size=1\n", b"../x", b"77777777777\0", b"ustar"),
        *(b"x", b"S"),
    ),
}  # fmt: skip
PIECES |= {".tsv": PIECES[".csv"], ".xhtml": PIECES[".html"]}


def specimens() -> list[Case]:
    """A file of each kind that a corpus may be made of, and one of a kind that is refused."""
    rows = "".join(f'{number},{message},"{reply}"\n' for number, message, reply in ROWS)
    flat = "".join(f"{message}\t{' '.join(reply.split())}\n" for _, message, reply in ROWS)
    objects = "".join(f'{{"text": "{message}", "n": {{"a": [{number}, 1.5, null]}}}}\n' for number, message, _ in ROWS)
    pairs = "".join(f'{{"message": "{message}", "reply": ["No.", "Never {number}."]}}\n' for number, message, _ in ROWS)
    page = "".join(f"<h2>{number}</h2><p>{message}<br>a &amp; b</p>" for number, message, _ in ROWS)
    files = {"a.txt": PROSE.encode(), "b/c.txt": PROSE.upper().encode(), "d.txt": PROSE.encode("utf-16")}
    tarred = _tar(files)
    return [
        Case("plain.txt", PROSE.encode()),
        Case("wide.txt", PROSE.encode("utf-16")),
        Case("rows.csv", f"n,text,reply\n{rows}".encode()),
        Case("rows.tsv", f"text\treply\n{flat}".encode()),
        Case("rows.jsonl", objects.encode()),
        Case("pairs.csv", f"n,message,reply\n{rows}".encode()),
        Case("pairs.tsv", flat.encode()),
        Case("pairs.jsonl", pairs.encode()),
        Case("pairs.txt", "\n".join(f"{message}\n{reply}\n" for _, message, reply in ROWS).encode()),
        Case("page.html", f"<html><head><title>A</title></head><body>{page}<table><tr><td>c<td>d</table></body></html>".encode()),
        Case("page.xhtml", f'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body>{page}</body></html>'.encode()),
        Case("book.epub", _zip(_book(page))),
        Case("book.docx", _word()),
        Case("book.pdf", _pdf(compressed=False)),
        Case("packed.pdf", _pdf(compressed=True)),
        Case("letter.rtf", rb"{\rtf1 A letter.}"),
        Case("files.zip", _zip(files)),
        Case("files.tar", tarred),
        Case("files.tar.gz", gzip.compress(tarred, mtime=0)),
        Case("files.tar.xz", lzma.compress(tarred)),
        Case("files.tgz", gzip.compress(tarred, mtime=0)),
        Case("one.txt.gz", gzip.compress(PROSE.encode(), mtime=0)),
        Case("one.txt.bz2", bz2.compress(PROSE.encode())),
        Case("one.txt.xz", lzma.compress(PROSE.encode())),
    ]  # fmt: skip


def _zip(files: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in files.items():
            package.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"{name[:1]}{'long' * 30}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _book(page: str) -> dict[str, str]:
    container = '<container><rootfiles><rootfile full-path="o/b.opf"/></rootfiles></container>'
    items = '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/><item id="b" href="p.png" media-type="image/png"/>'
    spine = '<spine><itemref idref="a"/><itemref idref="b"/></spine>'
    return {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": container,
        "o/b.opf": f"<package><manifest>{items}</manifest>{spine}</package>",
        "o/a.xhtml": f"<html><body>{page}</body></html>",
    }


def _word() -> bytes:
    import docx

    document = docx.Document()
    for _, message, reply in ROWS:
        document.add_paragraph(message)
        document.add_paragraph(reply, style="List Bullet")
    document.add_table(2, 2).cell(1, 1).text = "in a table"
    buffer = io.BytesIO()
    document.save(buffer)
    with zipfile.ZipFile(buffer) as package:  # written anew: a zip holds the time
        return _zip({name: package.read(name) for name in package.namelist()})


def _pdf(compressed: bool) -> bytes:
    """A PDF of two pages."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [4 0 R 6 0 R] /Count 2 >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /FirstChar 32 /Widths [278 278] >>",
    ]
    for number in (0, 1):
        shown = " ".join(f"({message}) Tj T* [(ki) -120 (ng)] TJ" for _, message, _ in ROWS[number::2])
        content = f"q 1 0 0 1 0 0 cm BT /F1 12 Tf 14 TL 72 700 Td {shown} ET Q".encode()
        filters = b""
        if compressed:
            content, filters = zlib.compress(content), b" /Filter /FlateDecode"
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
            % (5 + 2 * number)
        )
        objects.append(b"<< /Length %d%s >>\nstream\n%s\nendstream" % (len(content), filters, content))
    data, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    return data + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        count, table, count, len(data),
    )  # fmt: skip


def mutate(case: Case, specimens: Sequence[Case], draw: random.Random) -> Case:
    """Bytes are damaged: those of the file, or those inside of what it packs. Now and then a file has another's name."""
    if draw.random() < 0.03:
        case = Case(draw.choice(specimens).name, case.data)
    ending = Path(case.name).suffix
    if draw.random() < 0.7:
        with contextlib.suppress(OSError, EOFError, ValueError, zipfile.BadZipFile, lzma.LZMAError, RuntimeError):
            if ending in ZIPPED:
                return Case(case.name, _damaged_inside(case, draw))
            if ending in COMPRESSED:
                pack, unpack = COMPRESSED[ending]
                return Case(case.name, pack(damaged(Case("", unpack(case.data)), draw, pieces=PIECES[".tar"]).data))
    packed = ending in COMPRESSED or ending in ZIPPED or ending == ".tar"
    return damaged(case, draw, BINARY if packed else None, PIECES.get(ending, ()))


def _damaged_inside(case: Case, draw: random.Random) -> bytes:
    """A zip in which one of its files is damaged, or lacks, or has another name."""
    with zipfile.ZipFile(io.BytesIO(case.data)) as package:
        files = {name: package.read(name) for name in package.namelist()}
    telling = [name for name in files if not name.endswith((".jpeg", ".png"))]
    name = draw.choice([*telling, *(each for each in telling if each.endswith(("document.xml", ".xhtml", ".opf")))])
    data = files.pop(name)
    if draw.random() < 0.05:
        return _zip(files)
    if draw.random() < 0.05:
        return _zip(files | {damaged(Case("", name.encode()), draw).data.decode("latin-1"): data})
    return _zip(files | {name: damaged(Case("", data), draw, pieces=PIECES.get(Path(case.name).suffix, ())).data})


def run(case: Case) -> None:
    """Prepares a corpus of the file: named, and in a folder beside another one, where it may be left out. A table is read whole
    and by one column, and what is called pairs as messages and replies."""
    folder = Path("folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = Path(case.name)
    path.write_bytes(case.data)
    (folder / case.name).write_bytes(case.data)
    (folder / "sound.txt").write_text(PROSE, encoding="utf-8")
    refusals = []
    for asked in _askings(case.name):
        try:
            _read(asked)
            if zlib.crc32(case.data) % WHOLE == 0:
                prepare({"corpus": asked})
        except DataError as error:
            refusals.append(error)
    shutil.rmtree(cache_folder(), ignore_errors=True)
    if refusals:
        raise refusals[0]


def _read(asked: dict[str, Any]) -> None:
    """The reading half of `seqgen.corpus.prepare`: it finds, converts, guesses and measures, and keeps nothing."""
    left_out = LeftOut()
    sources, card = find_sources(asked["sources"], left_out)
    kind = asked.get("kind") or kind_of(sources, card)
    modality = MODALITIES[kind]
    sources = without_folders(sources, modality, left_out)
    with tempfile.TemporaryDirectory(dir=".") as folder:
        sources = convert_all(sources, modality.conversion, Path(folder), left_out, Asking())
        documents, _ = documents_of(sources, kind, card, "utf-8")
        settings = CorpusSettings(documents=documents, **{**asked, "kind": kind})
        Texts(sources, settings, left_out).measure()


def _askings(name: str) -> Iterator[dict[str, Any]]:
    if name.startswith(PAIRS):
        yield {"sources": (name,), "kind": "replies"}
        return
    yield {"sources": (name,)}
    if Path(name).suffix in TABLES:
        yield {"sources": (name,), "column": COLUMN}
    else:
        yield {"sources": ("folder",), "kind": "text"}


CORPORA = Target(
    "corpora", "texts, tables, pairs, archives and documents, as they are learned", specimens, mutate, run, ENDINGS
)
