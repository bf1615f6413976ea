"""From what the user names to documents: files, folders, globs, archives, cards and standard input."""

from __future__ import annotations

from seqgen.sources.base import LeftOut, Source
from seqgen.sources.converting import convert_all
from seqgen.sources.documents import Reader, Stream, read_head
from seqgen.sources.finding import find_sources, without_folders
from seqgen.sources.formats import readers
from seqgen.sources.guessing import documents_of, is_all_from, kind_of
from seqgen.sources.texts import check_encoding

__all__ = [
    "LeftOut",
    "Reader",
    "Source",
    "Stream",
    "check_encoding",
    "convert_all",
    "documents_of",
    "find_sources",
    "is_all_from",
    "kind_of",
    "read_head",
    "readers",
    "without_folders",
]
