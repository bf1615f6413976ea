"""Word documents, books, web pages and PDFs become text; what cannot be read is refused with a way out."""

from __future__ import annotations

import io
import sys
import zipfile

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.errors import DataError
from seqgen.sources import archives, formats, pages
from seqgen.sources.formats import CONVERSIONS, FORMATS, INSTALL, convert, refusal

HYPHENATED = ["The old fox waits for the ri-", "ver and Anne-", "Marie sings."]


def text_of(suffix: str, data: bytes) -> str:
    return convert(suffix, io.BytesIO(data), f"book{suffix}")


def refused(suffix: str, data: bytes) -> DataError:
    with pytest.raises(DataError) as error:
        text_of(suffix, data)
    assert error.value.where is not None
    assert error.value.where.startswith(f"book{suffix}")
    assert error.value.hint
    return error.value


def word(*paragraphs: str, xml: str = "") -> bytes:
    """A Word document with these paragraphs, and then a piece of XML."""
    document = docx.Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    if xml:
        names = nsdecls("w") + ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
        document.element.body.insert(len(paragraphs), parse_xml(xml.replace(">", f" {names}>", 1)))
    return saved(document)


def saved(document: docx.document.Document) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def packed(parts: dict[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in parts.items():
            package.writestr(name, data)
    return file.getvalue()


def book(chapters: dict[str, str], **more: str) -> dict[str, str | bytes]:
    """The parts of an EPUB whose spine goes backwards through the chapters."""
    items = "".join(
        f'<item id="i{index}" href="{href}" media-type="application/xhtml+xml"/>' for index, href in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="i{index}"/>' for index in reversed(range(len(chapters))))
    parts: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
        "OEBPS/book.opf": f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest>'
        f"<spine>{spine}</spine></package>",
    }
    parts |= {f"OEBPS/{href.replace('%20', ' ')}": page for href, page in chapters.items()}
    return parts | more


BOOK = book({"b.xhtml": "<h1>Two</h1><p>The end.</p>", "text/a%20b.xhtml": "<h1>One</h1><p>It began.</p>"})


def pdf(*pages: list[str], trailer: str = "") -> bytes:
    """A PDF of these pages, each a list of lines."""
    kids = " ".join(f"{4 + 2 * index} 0 R" for index in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for index, lines in enumerate(pages):
        content = "BT /F1 12 Tf 14 TL 72 700 Td " + " ".join(f"({line}) Tj T*" for line in lines) + " ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * index} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    data, places = "%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        places.append(len(data))
        data += f"{number} 0 obj\n{each}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{len(data)}\n%%EOF\n"
    return f"{data}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode("latin-1")


VALID = {
    ".docx": word("A line."),
    ".epub": packed(BOOK),
    ".html": b"<p>A <b>line</b>.</p><!-- a --><pre>\n b</pre>",
    ".pdf": pdf(["A line."]),
}


def test_paragraphs_of_a_manuscript_stand_between_blank_lines() -> None:
    assert text_of(".docx", word("One.", "Two\tand\nmore. ", "Three.")) == "One.\n\nTwo\tand\nmore.\n\nThree.\n"


def test_an_empty_paragraph_in_a_manuscript_is_one_more_blank_line() -> None:
    paragraphs = [f"{index}." for index in range(20)]
    paragraphs[10] = ""
    assert "8.\n\n9.\n\n\n11.\n\n12." in text_of(".docx", word(*paragraphs))


def test_where_empty_paragraphs_set_others_apart_each_is_a_line() -> None:
    assert text_of(".docx", word("One", "Two", "", "Three", "Four")) == "One\nTwo\n\nThree\nFour\n"


def test_tables_come_where_they_stand_in_a_manuscript() -> None:
    document = docx.Document()
    document.add_paragraph("Before")
    table = document.add_table(2, 2)
    for index, text in enumerate(["a", "b", "c", ""]):
        table.cell(index // 2, index % 2).text = text
    document.add_paragraph("After")
    assert text_of(".docx", saved(document)) == "Before\n\na\n\nb\n\nc\n\nAfter\n"


def test_tracked_changes_count_as_accepted() -> None:
    run = "<w:r><w:t>{}</w:t></w:r>"
    xml = f"<w:p>{run.format('one')}<w:ins>{run.format(' two')}</w:ins><w:moveFrom>{run.format('gone')}</w:moveFrom>"
    xml += "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
    assert text_of(".docx", word("Start.", xml=xml)) == "Start.\n\none two\n"


def test_fields_and_text_boxes_of_a_manuscript_are_read_once() -> None:
    box = "<w:txbxContent><w:p><w:r><w:t>box</w:t></w:r></w:p></w:txbxContent>"
    xml = f"<w:sdt><w:sdtContent><w:p><w:r><mc:AlternateContent><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}"
    xml += "</mc:Fallback></mc:AlternateContent><w:t>held</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    assert text_of(".docx", word("Start.", xml=xml)) == "Start.\n\nbox\n\nheld\n"


def test_a_page_becomes_paragraphs() -> None:
    page = """<!DOCTYPE html><html><head><title>no</title><style>no</style></head><body><nav>no</nav>
    <h1>One &amp; <em>two</em></h1> <p>Some  words
    in&nbsp;a row,<br>and&shy; <!-- no --> caf&eacute;.</p><p>&nbsp;</p><script>no</script><div>line</div>
    <div>line <b>two</b></div><ul><li>a<li>b</ul>end<template>no</template></body></html>"""
    assert text_of(".html", page.encode()) == (
        "One & two\n\nSome words in\u00a0a row,\nand café.\n\nline\nline two\n\na\nb\n\nend\n"
    )


def test_white_space_of_preformatted_text_is_kept() -> None:
    page = b"<p>a</p><pre>\n  one\n\n\n    <b>two</b>  three\r\n</pre>b"
    assert text_of(".htm", page) == "a\n\n  one\n\n\n    two  three\n\nb\n"


def test_rows_of_a_table_on_a_page_are_lines() -> None:
    page = b"a<table><tr><td>1</td><td>2 3</td></tr><tr><th>4<th>5</table>b"
    assert text_of(".html", page) == "a\n\n1\t2 3\n4\t5\n\nb\n"


@pytest.mark.parametrize("tag", ["div", "p", "b"])
def test_elements_in_elements_ten_thousand_deep_are_read(tag: str) -> None:
    assert text_of(".html", (f"<{tag}>" * 10_000 + "deep").encode()) == "deep\n"


def test_markup_that_never_closes_is_text_and_takes_no_time() -> None:
    assert text_of(".html", b"<p>a</p><!-- b <c d") == "a\n\n<!-- b <c d\n"
    assert len(text_of(".html", b"<!--" * 200_000)) == 800_001  # ten minutes, if each were looked for anew


@pytest.mark.parametrize(
    "data",
    [
        "<p>naïve “é”".encode(),
        "\ufeff<p>naïve “é”".encode(),
        '<meta charset="windows-1252"><p>naïve “é”'.encode("cp1252"),
        '<meta charset="iso-8859-1"><p>naïve “é”'.encode("cp1252"),  # what browsers take it for
        '<?xml version="1.0" encoding="utf-16"?><p>naïve “é”'.encode(),  # it cannot be
        '<?xml version="1.0" encoding="utf-16"?> <p>naïve “é”'.encode(),
        '<meta charset="nonsense"><p>naïve “é”'.encode(),
        '<meta charset="hex"><p>naïve “é”'.encode(),
        "<p>naïve “é”".encode("cp1252"),
        "\ufeff<p>naïve “é”".encode("utf-16-le"),
        "\ufeff<p>naïve “é”".encode("utf-16-be"),
    ],
)
def test_the_encoding_of_a_page_is_found(data: bytes) -> None:
    assert text_of(".html", data) == "naïve “é”\n"


def test_a_page_is_text() -> None:
    assert "binary" in refused(".html", b"\x89PNG\0\0").what
    assert "not text" in refused(".html", b"<p>\x81\x8d").what


def test_chapters_of_a_book_come_in_the_order_of_its_spine() -> None:
    assert text_of(".epub", packed(BOOK)) == "One\n\nIt began.\n\nTwo\n\nThe end.\n"


def test_a_book_with_encrypted_chapters_is_refused_and_one_with_encrypted_fonts_is_read() -> None:
    names = (
        "<encryption><EncryptedData><CipherData><CipherReference URI='{}'/></CipherData></EncryptedData></encryption>"
    )
    locked = BOOK | {"META-INF/encryption.xml": names.format("OEBPS/text/a%20b.xhtml")}
    assert "DRM" in refused(".epub", packed(locked)).what
    assert "It began." in text_of(".epub", packed(BOOK | {"META-INF/encryption.xml": names.format("OEBPS/f.otf")}))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("part", ["META-INF/container.xml", "OEBPS/book.opf"])
def test_entities_in_a_book_are_refused(part: str, encoding: str) -> None:
    xml = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY b "c">]>{BOOK[part]!s}'
    error = refused(".epub", packed(BOOK | {part: xml.encode(encoding)}))
    assert "entities" in error.what
    assert error.where == f"book.epub!{part}"


def test_a_doctype_alone_is_no_harm() -> None:
    xml = '<!DOCTYPE package PUBLIC "-//x//y" "http://example.invalid/oeb.dtd">' + str(BOOK["OEBPS/book.opf"])
    assert "It began." in text_of(".epub", packed(BOOK | {"OEBPS/book.opf": xml}))


@pytest.mark.parametrize("part", ["META-INF/container.xml", "OEBPS/book.opf", "OEBPS/b.xhtml"])
def test_a_book_without_one_of_its_parts_is_refused(part: str) -> None:
    parts = {name: data for name, data in BOOK.items() if name != part}
    assert "not a readable EPUB" in refused(".epub", packed(parts)).what


def test_pictures_in_the_spine_are_passed_over_and_no_chapter_is_read_twice() -> None:
    opf = str(BOOK["OEBPS/book.opf"]).replace("<item ", '<item id="p" href="p.jpg" media-type="image/jpeg"/><item ', 1)
    opf = opf.replace("</spine>", '<itemref idref="p"/><itemref idref="i1"/></spine>')
    parts = BOOK | {"OEBPS/book.opf": opf, "OEBPS/p.jpg": b"\xff\xd8\0"}
    assert text_of(".epub", packed(parts)) == text_of(".epub", packed(BOOK))


@pytest.mark.parametrize("suffix", [".epub", ".docx"])
def test_a_document_that_expands_too_far_is_refused(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FREE_EXPANSION", 1 << 16)
    parts = book({"a.xhtml": "<p>" + " " * 10_000_000})
    parts["word/document.xml"] = parts["OEBPS/a.xhtml"]
    assert "expands to more than 250 times" in refused(suffix, packed(parts)).what


TOO_MUCH = {
    "bytes of a page": ("LARGEST", ".html", b"<p>" + b"a" * 2000, "larger than 0 MiB"),
    "bytes of a chapter": ("LARGEST_PART", ".epub", packed(book({"a.html": "<p>" + "a" * 2000})), "larger than 0 MiB"),
    "bytes of a manuscript": ("LARGEST_PART", ".docx", VALID[".docx"], "larger than 0 MiB"),
    "tags of a page": ("MOST_TAGS", ".html", b"<b>a" * 1001, "1,001 tags, where at most 1,000 are read"),
    "time of pages": ("SECONDS", ".pdf", pdf(["A line."], ["Another."]), "took longer than 0 seconds"),
    "time of chapters": ("SECONDS", ".epub", packed(BOOK), "took longer than 0 seconds"),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_a_document_that_takes_too_much_is_refused(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit, suffix, data, reason = TOO_MUCH[what]
    assert text_of(suffix, data)
    monkeypatch.setattr(pages if limit == "MOST_TAGS" else formats, limit, 0 if limit == "SECONDS" else 1000)
    assert reason in refused(suffix, data).what


def test_a_document_in_an_archive_is_not_held_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "LARGEST", 1000)
    asked = []

    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            asked.append(size)
            return bytes(size)

    for suffix in VALID:
        with pytest.raises(DataError, match="larger than 0 MiB"):
            convert(suffix, Endless(), "book")  # type: ignore[arg-type]
    assert set(asked) == {1001}


def test_an_encrypted_part_is_refused() -> None:
    data = bytearray(packed(BOOK))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + place] |= 1
    assert "encrypted" in refused(".epub", bytes(data)).what
    assert "encrypted" in refused(".docx", bytes(data)).what


def test_pages_of_a_pdf_follow_each_other_and_words_are_joined() -> None:
    data = pdf(HYPHENATED, ["The second page ends in a hy-"], ["phen."])
    assert text_of(".pdf", data) == (
        "The old fox waits for the river and Anne-\nMarie sings.\nThe second page ends in a hyphen.\n"
    )


def test_a_scanned_pdf_is_sent_to_ocr() -> None:
    error = refused(".pdf", pdf([], []))
    assert error.what == "no text in it: pages are pictures; run OCR first"


def test_an_encrypted_pdf_is_refused() -> None:
    key = "<" + "00" * 32 + ">"
    lock = f"<< /Filter /Standard /V 1 /R 2 /O {key} /U {key} /P -4 >>"
    assert refused(".pdf", pdf(["a"], trailer=f"/ID [<00> <00>] /Encrypt {lock}")).what == "this PDF is encrypted"
    unknown = "<< /Filter /Standard /V 77 /R 99 >>"
    refused(".pdf", pdf(["a"], trailer=f"/ID [<00> <00>] /Encrypt {unknown}"))


def test_a_pdf_that_only_forbids_printing_is_read() -> None:
    import pypdf

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf(["A line."])))
    writer.encrypt("", "owner", algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    assert text_of(".pdf", file.getvalue()) == "A line.\n"


def test_odd_files_leave_the_screen_quiet(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    damaged = pdf(["A line."]).replace(b"0000000009 00000 n", b"0000000003 00000 n")
    assert text_of(".pdf", damaged) == "A line.\n"
    text_of(".html", b"<?xml version='1.0'?><p>a</p>")
    text_of(".html", b"http://example.invalid/")
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


@pytest.mark.parametrize("suffix", [".docx", ".epub", ".pdf"])
@pytest.mark.parametrize("data", [b"", b"This is a text.\n" * 50, bytes(range(256)) * 9, packed({"a.txt": "a"})])
def test_what_is_not_what_its_name_says_is_refused(suffix: str, data: bytes) -> None:
    error = refused(suffix, data)
    assert error.what.startswith(f"not a readable {FORMATS[suffix].title} (")


def test_an_old_office_file_is_told_apart() -> None:
    assert "old .doc, or a .docx with a password" in refused(".docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 99).what


@pytest.mark.parametrize(("suffix", "data"), [(".html", b"<p> </p>"), (".docx", word()), (".epub", packed(book({})))])
def test_a_document_without_text_is_refused(suffix: str, data: bytes) -> None:
    assert refused(suffix, data).what == "no text in it"


@pytest.mark.parametrize(
    ("suffix", "module"), [(".docx", "docx"), (".pdf", "pypdf"), (".html", "bs4"), (".xhtml", "bs4"), (".epub", "bs4")]
)
def test_a_missing_library_is_an_error_that_says_how_to_install_it(
    suffix: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    data = VALID[".html" if suffix == ".xhtml" else suffix]
    error = refused(suffix, data)
    assert error.hint == INSTALL == "Install the extra: pip install 'seqgen[documents]', or convert it to .txt first."
    assert module in error.what


def test_a_file_that_cannot_seek_is_read() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, offset: int, whence: int = 0) -> int:
            raise io.UnsupportedOperation

    for suffix, data in VALID.items():
        assert convert(suffix, Pipe(data), "book") == text_of(suffix, data)


def test_the_text_can_always_be_written_as_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    import pypdf

    texts = iter(["\ud83d\ude00 and \ud800 alone\r\nend"])
    monkeypatch.setattr(pypdf.PageObject, "extract_text", lambda self: next(texts))
    assert text_of(".pdf", VALID[".pdf"]) == "\U0001f600 and \ufffd alone\nend\n"


@pytest.mark.parametrize("suffix", CONVERSIONS)
def test_a_format_that_cannot_be_read_says_how_to_convert_it(suffix: str) -> None:
    error = refusal(suffix, f"book{suffix}")
    assert error.where == f"book{suffix}"
    assert error.hint is not None
    assert ("soffice --headless --convert-to txt FILE" in error.hint) != ("ebook-convert" in error.hint)
    assert suffix not in FORMATS


def _converts(suffix: str, data: bytes) -> None:
    try:
        text = text_of(suffix, data)
    except DataError as error:
        assert error.hint
    else:
        assert text.strip()
        text.encode()


@given(suffix=st.sampled_from(sorted(FORMATS)), data=st.binary(max_size=300))
def test_any_bytes_are_text_or_refused(suffix: str, data: bytes) -> None:
    _converts(suffix, data)


@given(
    text=st.lists(st.sampled_from(["<p>", "</p>", "<pre>", "<!", "<![", "<?", "--", ">", "]", "&#xD800;", "a ", "\n"]))
)
def test_any_page_is_text_or_refused(text: list[str]) -> None:
    _converts(".html", "".join(text).encode())


@pytest.mark.parametrize("suffix", VALID)
@given(data=st.data())
@settings(max_examples=30)
def test_a_mutated_document_is_text_or_refused(suffix: str, data: st.DataObject) -> None:
    mutated = bytearray(VALID[suffix])
    for _ in range(data.draw(st.integers(1, 5))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    _converts(suffix, bytes(mutated[: data.draw(st.integers(len(mutated) // 2, len(mutated)))]))


@pytest.mark.parametrize("suffix", [".docx", ".epub"])
@given(data=st.data())
@settings(max_examples=30)
def test_a_package_with_a_mutated_part_is_text_or_refused(suffix: str, data: st.DataObject) -> None:
    with zipfile.ZipFile(io.BytesIO(VALID[suffix])) as package:
        parts: dict[str, str | bytes] = {name: package.read(name) for name in package.namelist()}
    name = data.draw(st.sampled_from(sorted(name for name in parts if name.endswith((".xml", ".rels", ".opf")))))
    part = bytearray(parts[name])  # type: ignore[arg-type]
    part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    _converts(suffix, packed(parts | {name: bytes(part)}))
