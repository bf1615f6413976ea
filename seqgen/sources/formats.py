"""Documents that are not plain text -> text: .docx, .epub, .html and .pdf, and how to convert those we cannot read.

What a manuscript becomes: paragraphs stand between blank lines, as in HTML and EPUB. Where a Word document sets paragraphs
apart with empty ones (a tenth of all or more: verse, or a writer who presses Enter twice), each is a line, as it was typed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import posixpath
import re
import time
import urllib.parse
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from xml.parsers import expat

from seqgen.errors import DataError
from seqgen.sources.archives import Budget, check_directory, is_plain
from seqgen.sources.pages import text_of_page

if TYPE_CHECKING:
    import pypdf

INSTALL = "Install the extra: pip install 'seqgen[documents]', or convert it to .txt first."
DAMAGED = "Open it in the program that made it and save it again, or convert it to .txt."
CUT = "Cut it into several, or convert it to .txt first."
LARGEST = 256 << 20
"""Bytes of a document that is held in memory."""
LARGEST_PART = 64 << 20
"""Bytes of a part of a package that becomes a tree in memory, twenty times as large; that of a thousand pages has ten million."""
SECONDS = 120.0
"""For one document; a book takes a few."""
_PARSED = (".xml", ".rels", ".html", ".htm", ".xhtml", ".opf")
_OCR = "Run OCR first, for example: ocrmypdf IN.pdf OUT.pdf"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
"""How old Office files begin, and new ones with a password."""

_ENCRYPTION = "META-INF/encryption.xml"
_HYPHEN = re.compile(r"([^\W\d_])[-\u00ad\u2010]\n[ \t]*(?=[^\W\d_])")


Part = TypeVar("Part")
Elements = list[tuple[str, dict[str, str]]]
"""Names of elements and their attributes."""


@dataclass(frozen=True)
class Format:
    """What a file is called, and its reader: (file that can seek, name) -> text."""

    title: str
    read: Callable[[BinaryIO, str], str]


def convert(suffix: str, file: BinaryIO, name: str) -> str:
    """The text of a document: line feeds as line ends, one at its end, and nothing that UTF-8 cannot hold.

    Args:
        suffix: one of `FORMATS`.
        file: its bytes.
        name: of the document, for errors.

    Raises:
        DataError: damaged, encrypted, not what its name says, without text, or its library is not installed.
    """
    kind = FORMATS[suffix]
    try:
        with _quiet():
            text = kind.read(file if file.seekable() else io.BytesIO(_all_of(file, name)), name)
    except (DataError, MemoryError):  # the second is no fault of the file
        raise
    except ImportError as error:
        raise DataError(f"the library for {kind.title}s is missing ({error.name})", where=name, hint=INSTALL) from error
    except Exception as error:  # for damaged bytes the libraries raise nearly anything, RecursionError too
        reason = type(error).__name__  # what they say may quote the document
        raise DataError(f"not a readable {kind.title} ({reason})", where=name, hint=DAMAGED) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n")
    if not text.strip():
        raise DataError("no text in it", where=name, hint="Take it out, or convert it to .txt yourself.")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") + "\n"  # joins halves of characters


def readers() -> list[str]:
    """The optional libraries that are installed: what is left out depends on them."""
    return [name for name in ("bs4", "docx", "pypdf") if importlib.util.find_spec(name)]


def refusal(suffix: str, name: str) -> DataError:
    """The error for a format that cannot be read: it says how to convert it."""
    title, hint = CONVERSIONS[suffix]
    return DataError(f"{title} cannot be read", where=name, hint=hint)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the libraries' remarks on odd files off the screen."""
    logger = logging.getLogger("pypdf")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _all_of(file: BinaryIO, name: str) -> bytes:
    """The bytes of a file that is held in memory."""
    data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise DataError(f"larger than {LARGEST >> 20} MiB", where=name, hint=CUT)
    return data


def _in_time(parts: Iterable[Part], name: str) -> Iterator[Part]:
    """The parts of a document, as long as it has not taken too long. Its reader is asked for no part that comes too late."""
    until = time.monotonic() + SECONDS
    for part in parts:
        yield part
        if time.monotonic() > until:
            raise DataError(f"took longer than {SECONDS:g} seconds to read", where=name, hint=CUT)


class _Package:
    """A document that is a zip; what is read of it stays within the limits for archives."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._name = name
        self._budget = Budget(name, file.seek(0, io.SEEK_END))
        check_directory(file, name)
        self._zip = zipfile.ZipFile(file)

    def check(self) -> None:
        """Refuses it if all its parts together are beyond the limits."""
        for info in self._zip.infolist():
            self._check(info)

    def has(self, part: str) -> bool:
        """Whether there is a part of that name."""
        return part in self._zip.NameToInfo

    def read(self, part: str) -> bytes:
        """The bytes of a part; KeyError where there is none of that name."""
        info = self._zip.getinfo(part)
        self._check(info)
        return self._zip.read(info)

    def _check(self, info: zipfile.ZipInfo) -> None:
        if not is_plain(info):
            raise DataError(
                "a part of it is encrypted, or packed in an unusual way",
                where=f"{self._name}!{info.filename}",
                hint=DAMAGED,
            )
        if info.file_size > LARGEST_PART and info.filename.lower().endswith(_PARSED):
            raise DataError(
                f"a part of it is larger than {LARGEST_PART >> 20} MiB", where=f"{self._name}!{info.filename}", hint=CUT
            )
        self._budget.count(info.filename, info.file_size)  # Python reads no more than this, whatever there really is


def _read_docx(file: BinaryIO, name: str) -> str:
    """The main text with its tables and text boxes; without headers, footers, notes, comments and what was deleted."""
    import docx

    if file.read(len(_OLD_OFFICE)) == _OLD_OFFICE:
        raise DataError(
            "this is an old .doc, or a .docx with a password", where=name, hint="Save it as .docx without a password."
        )
    _Package(file, name).check()
    file.seek(0)
    paragraphs: list[str] = []
    _word_text(docx.Document(file).element.body, [], paragraphs)
    paragraphs = [each.rstrip() for each in paragraphs]
    if 10 * paragraphs.count("") >= len(paragraphs):
        return "\n".join(paragraphs)
    return re.sub("\n{4,}", "\n\n\n", "\n\n".join(paragraphs))  # an empty paragraph is one more blank line


def _word_text(element: Any, line: list[str], paragraphs: list[str]) -> None:
    """Appends the text of an element to the line, and what is complete to the paragraphs.

    python-docx itself passes over text in tracked insertions, content controls and text boxes.
    """
    for child in element.iterchildren("*"):
        tag = child.tag.rpartition("}")[2]
        if tag == "p":
            inner: list[str] = []
            _word_text(child, inner, paragraphs)
            text = "".join(inner)
            if text.strip() or not _in_table(child):
                paragraphs.append(text)
        elif tag == "t":
            line.append(child.text or "")
        elif tag in _WORD_MARKS:
            line.append(_WORD_MARKS[tag])
        elif tag not in _WORD_SKIPPED:
            _word_text(child, line, paragraphs)


_WORD_MARKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_WORD_SKIPPED = {"pPr", "rPr", "tblPr", "sectPr", "del", "moveFrom", "Fallback", "rt"}
"""Settings, what tracked changes took away, what is there again for older programs, and how characters are spoken."""


def _in_table(paragraph: Any) -> bool:
    return bool(paragraph.getparent().tag.endswith("}tc"))


def _read_html(file: BinaryIO, name: str) -> str:
    return text_of_page(_all_of(file, name), name)


def _read_epub(file: BinaryIO, name: str) -> str:
    """The chapters in the order of the spine."""
    package = _Package(file, name)
    container = _elements(package.read("META-INF/container.xml"), f"{name}!META-INF/container.xml")
    root = next(each["full-path"] for tag, each in container if tag == "rootfile")
    chapters = _spine(_elements(package.read(root), f"{name}!{root}"), posixpath.dirname(root))
    if package.has(_ENCRYPTION):
        listed = _elements(package.read(_ENCRYPTION), f"{name}!{_ENCRYPTION}")
        encrypted = {urllib.parse.unquote(each.get("URI", "")) for tag, each in listed if tag == "CipherReference"}
        if encrypted & set(chapters):  # else it is only fonts
            raise DataError("its chapters are encrypted (DRM)", where=name, hint="Get a copy of the book without DRM.")
    texts = [text_of_page(package.read(chapter), f"{name}!{chapter}") for chapter in _in_time(chapters, name)]
    return "\n\n".join(text for text in texts if text)


def _spine(elements: Elements, folder: str) -> list[str]:
    """The names of the chapters, each once; pictures that stand for a page are passed over."""
    items = {each["id"]: each for tag, each in elements if tag == "item"}
    spine = [items[each["idref"]] for tag, each in elements if tag == "itemref"]
    hrefs = [each["href"] for each in spine if not each.get("media-type", "").startswith("image/")]
    paths = [posixpath.join(folder, urllib.parse.unquote(href.partition("#")[0])) for href in hrefs]
    return list(dict.fromkeys(map(posixpath.normpath, paths)))


def _elements(data: bytes, where: str) -> Elements:
    """The elements of a piece of XML, with their attributes, in order; one that declares entities is refused."""
    found: Elements = []

    def begin(tag: str, attributes: dict[str, str]) -> None:
        found.append((tag.rpartition("}")[2], attributes))

    def begin_doctype(doctype: str, system: str | None, public: str | None, internal: bool) -> None:
        if internal:  # the only place where entities can be declared that we would read
            raise DataError("it declares XML entities, which no book needs", where=where, hint=DAMAGED)

    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartElementHandler = begin
    parser.StartDoctypeDeclHandler = begin_doctype
    parser.Parse(data, True)
    return found


def _read_pdf(file: BinaryIO, name: str) -> str:
    """The pages, one after another; words that were hyphenated at a line's end are joined."""
    import pypdf

    reader = pypdf.PdfReader(file)
    if reader.is_encrypted and not _unlocked(reader):
        raise DataError(
            "this PDF is encrypted", where=name, hint="Decrypt it first: qpdf --password=... --decrypt IN.pdf OUT.pdf"
        )
    pages = [page.extract_text().strip() for page in _in_time(reader.pages, name)]
    lines = [line.rstrip() for page in pages if page for line in page.split("\n")]
    if not lines:
        raise DataError("no text in it: pages are pictures; run OCR first", where=name, hint=_OCR)
    return _HYPHEN.sub(_join, "\n".join(lines))


def _unlocked(reader: pypdf.PdfReader) -> bool:
    """Whether an encrypted PDF opens without a password, as those do that only forbid printing."""
    try:
        return bool(reader.decrypt(""))
    except Exception:  # an unknown cipher, or one that needs a further library: nothing that pypdf can open
        return False


def _join(match: re.Match[str]) -> str:
    """Joins a word; before a capital the hyphen is part of a name."""
    return match[1] if match.string[match.end()].islower() else match[0]


FORMATS: dict[str, Format] = {
    ".docx": Format("Word document", _read_docx),
    ".epub": Format("EPUB", _read_epub),
    ".html": Format("web page", _read_html),
    ".htm": Format("web page", _read_html),
    ".xhtml": Format("web page", _read_html),
    ".pdf": Format("PDF", _read_pdf),
}
"""Suffix -> reader."""
_OFFICE = "Save it as .docx or .txt; LibreOffice: soffice --headless --convert-to txt FILE"
_CALIBRE = "Convert it with Calibre: ebook-convert FILE book.epub"
CONVERSIONS: dict[str, tuple[str, str]] = {
    ".doc": ("an old Word document", _OFFICE),
    ".odt": ("an OpenDocument text", _OFFICE),
    ".rtf": ("a rich text file", _OFFICE),
    ".mobi": ("a Mobipocket book", _CALIBRE),
    ".azw3": ("a Kindle book", _CALIBRE),
}
"""Suffix -> what it is, and how to convert it."""
