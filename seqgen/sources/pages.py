"""A web page -> the text that a reader sees on it."""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from seqgen.errors import DataError

if TYPE_CHECKING:
    from bs4 import Tag

_DAMAGED = "Open it in a browser and save it again, or convert it to .txt."
MOST_TAGS = 1_000_000
"""Of a page: each takes a kilobyte and 25 microseconds. The longest books have a hundred thousand."""
_SKIPPED = {"script", "style", "nav", "head", "template", "svg", "rt", "rp"}
"""Elements without text to read; rt and rp say how the characters beside them are spoken."""
_PARAGRAPHS = {
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "pre", "blockquote", "ul", "ol", "dl", "table", "figure"),
    *("article", "section", "header", "footer", "main", "aside", "form", "fieldset", "details"),
}
"""Elements with a blank line before and after them."""
_LINES = {"div", "li", "dt", "dd", "tr", "caption", "figcaption", "address", "summary", "option", "legend", "center"}
"""Elements on lines of their own."""
_MARKUP = (("<!--", r"--\s*!?>"), ("<![", r"]\s*>"), ("<", ">"))
"""How comments, sections and tags open and close."""
_CELLS = {"td", "th"}
_BLANKS = " \t\n\r\f"
"""White space in HTML; a no-break space is a character like others."""
_WEB_ENCODINGS = {"ascii": "cp1252", "iso8859-1": "cp1252", "gb2312": "gb18030"}
"""What the name of an encoding means on the web, where that is not what it says."""
_NOT_ON_THE_WEB = re.compile("utf-?(7|16|32)|idna|punycode|unicode|raw|undefined|mbcs|oem")


def text_of_page(data: bytes, name: str) -> str:
    """The text of a page; its elements are walked without recursion, however deep they lie.

    Raises:
        DataError: it is no text, or has too many tags.
    """
    from bs4 import BeautifulSoup, Tag
    from bs4.element import CData, NavigableString

    text = _escape_unclosed(_decode_page(data, name))
    if (tags := text.count("<")) > MOST_TAGS:
        raise DataError(f"{tags:,} tags, where at most {MOST_TAGS:,} are read", where=name, hint=_DAMAGED)
    soup = BeautifulSoup(text, "html.parser")
    page = _Page()
    waiting: list[tuple[Tag, Iterator[Any]]] = [(soup, iter(soup.contents))]
    while waiting:
        parent, nodes = waiting[-1]
        node = next(nodes, None)
        if node is None:
            page.close(parent)
            waiting.pop()
        elif isinstance(node, Tag):
            if node.name not in _SKIPPED:
                page.open(node)
                waiting.append((node, iter(node.contents)))
        elif type(node) in (NavigableString, CData):  # other kinds are comments and declarations
            page.add(str(node))
    return "".join(page.parts)


def _escape_unclosed(page: str) -> str:
    """A page in which what never closes is text: html.parser would look for the end of each such tag or comment anew."""
    for opening, closing in _MARKUP:
        last = max((match.end() for match in re.finditer(closing, page)), default=0)
        page = page[:last] + page[last:].replace(opening, f"&lt;{opening[1:]}")
    return page


class _Page:
    """Text as it grows: white space is held back until a word comes after it."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._gap = ""
        self._pre = 0
        """How many elements with kept white space we are in."""
        self._pre_start = 0

    def open(self, tag: Tag) -> None:
        """What the beginning of an element does."""
        if tag.name == "br":
            self._widen("\n\n" if "\n" in self._gap else "\n")
        self._edge(tag.name)
        if tag.name == "pre":
            self._pre += 1
            self._pre_start = len(self.parts)

    def close(self, tag: Tag) -> None:
        """What the end of an element does."""
        self._edge(tag.name)
        self._pre -= tag.name == "pre"

    def add(self, text: str) -> None:
        """A text of the page."""
        text = text.replace("\r\n", "\n").replace("\u00ad", "")  # where a word may be hyphenated
        if self._pre:
            self._add_lines(text)
            return
        words = [word for word in re.split(f"[{_BLANKS}]+", text) if word.strip()]  # what is not only no-break spaces
        if text[:1].isspace():
            self._widen(" ")
        if words:
            self._put(" ".join(words))
            if text[-1].isspace():
                self._widen(" ")

    def _add_lines(self, text: str) -> None:
        """Lines as they are, without the first ones where they are empty."""
        for index, line in enumerate(text.split("\n")):
            if index and len(self.parts) > self._pre_start:
                self._gap += "\n"
            if line:
                self._put(line)

    def _edge(self, name: str) -> None:
        if name in _PARAGRAPHS:
            self._widen("\n\n")
        elif name in _LINES:
            self._widen("\n")
        elif name in _CELLS:
            self._widen("\t")

    def _widen(self, gap: str) -> None:
        """Makes the gap before the next word at least so wide."""
        self._gap = max(self._gap, gap, key=lambda each: (each.count("\n"), len(each), each == "\t"))

    def _put(self, text: str) -> None:
        if self.parts:
            self.parts.append(self._gap)
        self.parts.append(text)
        self._gap = ""


def _decode_page(data: bytes, name: str) -> str:
    """The text of a page in the encoding of its byte order mark, its declaration, UTF-8 or Windows-1252.

    Not guessed from the bytes, which would depend on what else is installed.
    """
    from bs4.dammit import EncodingDetector

    body, marked = EncodingDetector.strip_byte_order_mark(data)
    if marked is None and b"\0" in body:
        raise DataError("this is a binary file, not a page", where=name, hint=_DAMAGED)
    declared = EncodingDetector.find_declared_encoding(body, is_html=True) or ""
    for encoding in [marked] if marked else [declared, "utf-8", "cp1252"]:
        with contextlib.suppress(LookupError, ValueError):  # unknown, or not the encoding that it has
            encoding = codecs.lookup(encoding).name
            if marked or not _NOT_ON_THE_WEB.match(encoding):
                return body.decode(_WEB_ENCODINGS.get(encoding, encoding))
    raise DataError("not text in its encoding, UTF-8 or Windows-1252", where=name, hint=_DAMAGED)
