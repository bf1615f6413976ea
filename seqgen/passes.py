"""The passes over a corpus: measure its documents, hand out the training text, encode everything.

Each reads the sources anew, in pieces, so that a corpus of any size takes little memory.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Iterator
from typing import NoReturn

import numpy as np

from seqgen.cache import SplitWriter
from seqgen.duplicates import Sketcher
from seqgen.errors import DataError
from seqgen.modalities import MODALITIES
from seqgen.recipe import CorpusSettings
from seqgen.sources import LeftOut, Reader, Source, Stream
from seqgen.sources.tables import count_left_out
from seqgen.splits import MANY_DOCUMENTS, SPLITS, Measured, Plan
from seqgen.tokenizers import Ids


class Texts:
    """The documents of a corpus, read again at each pass so that they need not be held in memory."""

    def __init__(self, sources: list[Source], settings: CorpusSettings, left_out: LeftOut) -> None:
        self.sources, self.settings, self.left_out = sources, settings, left_out
        self.lengths: Ids = np.zeros(0, dtype=np.int64)
        self.reader = Reader(MODALITIES[settings.kind], settings.documents, settings.encoding, settings.column)

    def measure(self, grouped: bool = True) -> Measured:
        """The first pass. What cannot be used is left out here, and not read again.

        Args:
            grouped: find near-duplicates, too, where there are documents enough to split between them.

        Raises:
            DataError: a source that the user named cannot be used, or there is no text in any.
        """
        lengths, digests, usable = array("q"), array("Q"), []
        for source in self.sources:
            before = len(lengths)
            try:
                for length, digest in _measure(self.reader.read(source, self.left_out)):
                    lengths.append(length)
                    digests.append(digest)
            except DataError as error:
                if source.asked_for:
                    raise
                self.left_out.add(source.name, _reason(error))
                del lengths[before:], digests[before:]  # of what came before the place where it broke
            if len(lengths) > before:
                usable.append(source)
        self.sources, self.lengths = usable, np.array(lengths, dtype=np.int64)
        if self.lengths.sum() == 0:
            self._refuse()
        many = grouped and len(lengths) >= MANY_DOCUMENTS
        groups = self._near_duplicates() if many else np.arange(len(lengths))
        return Measured(self.lengths, np.array(digests, dtype=np.uint64), groups)

    def training_text(self, plan: Plan) -> Iterator[str]:
        """The second pass: the training text of all documents, a long one in parts."""
        return (text for name, text, _ in self._cut(plan, self.lengths) if name == SPLITS[0])

    def encode(self, plan: Plan, writers: dict[str, SplitWriter]) -> None:
        """The last pass: every split as ids.

        Raises:
            DataError: the sources are no longer what they were in the first pass.
        """
        for name, text, opens in self._cut(plan, self.lengths):
            writers[name].write(text, opens)

    def _cut(self, plan: Plan, lengths: Ids) -> Iterator[tuple[str, str, bool]]:
        """All text, as pieces that lie in one split: its name, the text, and whether a document's part begins with it."""
        document = position = 0
        for text in self._read():
            if text is None:
                if position != lengths[document]:
                    raise self._changed()
                document, position = document + 1, 0
                continue
            if document >= len(lengths) or position + len(text) > lengths[document]:
                raise self._changed()
            for name, start, stop in plan.cut(document, int(lengths[document])):
                first, last = max(start - position, 0), min(stop - position, len(text))
                if first < last:
                    yield name, text[first:last], position + first == start
            position += len(text)
        if document != len(lengths):
            raise self._changed()

    def _read(self) -> Stream:
        for source in self.sources:
            yield from self.reader.read(source, LeftOut())

    def _near_duplicates(self) -> Ids:
        sketcher = Sketcher()
        for text in self._read():
            sketcher.add(text or "", last=text is None)
        return sketcher.groups()

    def _changed(self) -> DataError:
        return DataError(
            "the corpus changed while it was being read",
            where=", ".join(self.settings.sources),
            hint="Try again when nothing writes to it.",
        )

    def _refuse(self) -> NoReturn:
        reasons = "; ".join(f"{count_left_out(files)} {reason}" for reason, files in self.left_out.names.items())
        raise DataError(
            "no text in it" + (f" (left out: {reasons})" if reasons else ""),
            where=", ".join(self.settings.sources),
            hint="Point at a file or folder of text, or say what it is with --kind text or --kind code.",
        )


def _measure(stream: Stream) -> Iterator[tuple[int, int]]:
    """Length in characters and 64 bits of the hash of each document."""
    length, digest = 0, hashlib.sha256()
    for text in stream:
        if text is None:
            yield length, int.from_bytes(digest.digest()[:8])
            length, digest = 0, hashlib.sha256()
        else:
            length += len(text)
            digest.update(text.encode("utf-8", "surrogatepass"))


def _reason(error: DataError) -> str:
    """Why a source is left out, without the place where it broke, so that equal reasons are counted together."""
    if "binary" in error.what:
        return "binary"
    return re.split(r" at byte | \(", error.what)[0]
