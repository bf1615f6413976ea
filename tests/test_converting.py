"""Documents of known formats are read as the text that they hold."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import docx
import pytest

from seqgen.errors import DataError
from seqgen.modalities import MODALITIES
from seqgen.sources import LeftOut, Reader, Source, convert_all
from seqgen.sources.base import Asking
from tests.sources import find, joined, pack, write

PAGE = "<html><body><p>Ein Gruß</p><p>€ 5</p></body></html>"


def word(*paragraphs: str) -> bytes:
    """A Word document."""
    file, document = io.BytesIO(), docx.Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    document.save(file)
    return file.getvalue()


def converted(*names: str | Path) -> tuple[list[Source], dict[str, list[str]]]:
    folder = Path("converted")
    folder.mkdir()
    sources, left_out = find(*names)
    kept = convert_all(sources, "formats", folder, left_out, Asking())
    reasons = {reason: [Path(name).name for name in names] for reason, names in left_out.names.items()}
    return kept, reasons


def texts_of(sources: list[Source], encoding: str = "utf-8") -> list[str]:
    reader = Reader(MODALITIES["text"], "file", encoding)
    return [text for source in sources for text in joined(reader.read(source, LeftOut()))]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16", "shift_jis"])
def test_documents_become_text_whatever_encoding_plain_files_have(encoding: str) -> None:
    write(Path("c/a.docx"), word("Dear Zoë,", "it rains — €."))
    write(Path("c/b.html"), PAGE)
    write(Path("c/c.txt"), "plain é".encode("latin-1"))
    sources, left_out = converted("c/a.docx", "c/b.html")
    assert left_out == {}
    assert texts_of(sources, encoding) == ["Dear Zoë,\n\nit rains — €.\n", "Ein Gruß\n\n€ 5\n"]


def test_what_is_plain_text_already_is_left_as_it_is_and_the_order_is_kept() -> None:
    write(Path("c/a.txt"), "first")
    write(Path("c/b.html"), PAGE)
    write(Path("c/c.md"), "<p>third</p>")
    sources, _ = converted("c")
    assert texts_of(sources) == ["first", "Ein Gruß\n\n€ 5\n", "<p>third</p>"]
    before, _ = find("c")
    assert (sources[0], sources[2]) == (before[0], before[2])


def test_a_converted_source_keeps_its_name_and_what_the_user_said() -> None:
    write(Path("c/sub/a.html"), PAGE)
    for named in ("c", "c/sub/a.html"):
        (before,), _ = find(named)
        (after,) = convert_all([before], "formats", Path(), LeftOut(), Asking())
        assert (after.name, after.inside, after.asked_for) == (before.name, before.inside, before.asked_for)


def test_a_document_is_read_once_and_its_text_as_often_as_one_likes() -> None:
    write(Path("a.html"), PAGE)
    sources, _ = converted("a.html")
    Path("a.html").unlink()
    assert texts_of(sources) == texts_of(sources) == ["Ein Gruß\n\n€ 5\n"]


@pytest.mark.parametrize("name", ["letters.zip", "letters.tgz"])
def test_documents_in_an_archive_are_converted(name: str) -> None:
    pack(Path(name), {"a.docx": word("first"), "b.html": PAGE, "c.txt": "third"})
    sources, left_out = converted(name)
    assert left_out == {}
    assert texts_of(sources) == ["first\n", "Ein Gruß\n\n€ 5\n", "third"]


def test_standard_input_is_plain_text() -> None:
    source = Source("standard input", data=b"<p>typed</p>", asked_for=True)
    assert convert_all([source], "formats", Path(), LeftOut(), Asking()) == [source]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("old.doc", b"\xd0\xcf\x11\xe0", "an old Word document cannot be read"),
        ("book.mobi", b"any", "a Mobipocket book cannot be read"),
        ("broken.docx", b"no zip", "not a readable Word document"),
        ("empty.html", b"<p></p>", "no text in it"),
        ("broken.pdf", b"%PDF-1.4", "not a readable PDF"),
    ],
)
def test_what_cannot_be_converted_is_left_out_of_a_folder_but_an_error_where_it_was_named(
    name: str, content: bytes, reason: str
) -> None:
    write(Path("c", name), content)
    write(Path("c/a.html"), PAGE)
    sources, left_out = converted("c")
    assert texts_of(sources) == ["Ein Gruß\n\n€ 5\n"]
    ((given, names),) = left_out.items()
    assert given.startswith(reason)
    assert names == [name]
    (source,), _ = find(f"c/{name}")
    with pytest.raises(DataError, match=reason) as caught:
        convert_all([source], "formats", Path(), LeftOut(), Asking())
    assert caught.value.where == str(Path("c", name))
    assert caught.value.hint


def test_a_document_that_has_gone_meanwhile_is_an_error_with_a_way_out() -> None:
    write(Path("a.html"), PAGE)
    sources, left_out = find("a.html")
    Path("a.html").unlink()
    with pytest.raises(DataError, match="cannot be read: No such file") as caught:
        convert_all(sources, "formats", Path(), left_out, Asking())
    assert caught.value.where == "a.html"
    assert "permissions" in str(caught.value.hint)


@pytest.mark.parametrize("named", ["c", "c/a.html"])
def test_a_full_disk_is_an_error_with_the_folder_that_is_full(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("c/a.html"), PAGE)
    sources, left_out = find(named)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(DataError, match="cannot be kept: No space left") as caught:
        convert_all(sources, "formats", Path("converted"), left_out, Asking())
    assert str(caught.value.where).endswith("a.html")
    assert "converted" in str(caught.value.hint) and "TMPDIR" in str(caught.value.hint)
    assert left_out.names == {}
