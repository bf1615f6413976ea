"""The passes over a corpus: measure its documents, hand out the training text, encode everything.

Each reads the sources anew, in pieces, so that a corpus of any size takes little memory.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections.abc import Callable, Iterator
from typing import NoReturn

import numpy as np

from seqgen.cache import Origins, SplitWriter
from seqgen.duplicates import Sketcher
from seqgen.errors import DataError
from seqgen.modalities import MODALITIES
from seqgen.recipe import CorpusSettings
from seqgen.sources import LeftOut, Reader, Source, Stream
from seqgen.sources.documents import Begins
from seqgen.sources.tables import count_left_out
from seqgen.splits import MANY_DOCUMENTS, SPLITS, Measured, Plan
from seqgen.tokenizers import Ids


class Texts:
    """The documents of a corpus, read again at each pass so that they need not be held in memory."""

    def __init__(
        self,
        sources: list[Source],
        settings: CorpusSettings,
        left_out: LeftOut,
        refusal: Callable[[str], str | None] | None = None,
    ) -> None:
        """`refusal`: why a document cannot be used, or None; each is held in memory as a whole for it."""
        self.sources, self.settings, self.left_out, self.refusal = sources, settings, left_out, refusal
        self.modality = MODALITIES[settings.kind]
        self.counts: Ids = np.zeros(0, dtype=np.int64)
        """What people count, of each document."""
        self._counts = array("q")  # stays empty where characters are counted
        self._refused: set[tuple[str, int]] = set()
        self.lengths: Ids = np.zeros(0, dtype=np.int64)
        self.owners: list[int] = []
        """Of each document, which source it comes from."""
        self._begins: Begins = array("q")
        """Of each document, the line on which it begins."""
        self._titles: list[str] = []
        """Of each document; stays empty where they have none."""
        self._learned = array("q")
        """Which document each opening of the training split is from."""
        self.reader = Reader(MODALITIES[settings.kind], settings.documents, settings.encoding, settings.column)

    def measure(self, grouped: bool = True) -> Measured:
        """The first pass. What cannot be used is left out here, and not read again.

        Args:
            grouped: find near-duplicates, too, where there are documents enough to split between them.

        Raises:
            DataError: a source that the user named cannot be used, or there is no text in any.
        """
        lengths, digests, usable, owners = array("q"), array("Q"), [], []
        for source in self.sources:
            before = len(lengths)
            try:
                whole = self.refusal is not None
                read = self._usable if whole else self.reader.read
                stream = read(source, self.left_out, self._begins)
                _measure(stream, lengths, digests)
            except DataError as error:
                if source.is_needed:
                    raise
                self.left_out.refuse(source.name, _reason(error))
                for noted in (
                    lengths,
                    digests,
                    self._counts,
                    self._begins,
                    self._titles,
                ):  # of what came before the place where it broke
                    del noted[before:]
            if source.converted:
                self._begins[before:] = array("q", bytes(8 * (len(lengths) - before)))
            if len(lengths) > before:
                usable.append(source)
                owners += [len(usable) - 1] * (len(lengths) - before)
        self.sources, self.lengths = usable, np.frombuffer(lengths, dtype=np.int64)
        self.owners = owners
        self.counts = np.frombuffer(self._counts, dtype=np.int64) if self._counts else self.lengths
        if self.lengths.sum() == 0:
            self._refuse()
        many = grouped and len(lengths) >= MANY_DOCUMENTS
        groups = self._near_duplicates() if many else np.arange(len(lengths))
        return Measured(self.lengths, np.frombuffer(digests, dtype=np.uint64), groups)

    def read_in_place(self) -> list[Source]:
        """The sources whose texts are not kept elsewhere: what happens to them happens to the corpus."""
        return [source for source in self.sources if not source.converted]

    def training_text(self, plan: Plan) -> Iterator[str]:
        """The second pass: the training text of all documents, a long one in parts."""
        return (text for name, text, _, _ in self._cut(plan) if name == SPLITS[0])

    def encode(self, plan: Plan, writers: dict[str, SplitWriter]) -> None:
        """The last pass: every split as ids.

        Raises:
            DataError: the sources are no longer what they were in the first pass.
        """
        self._learned = array("q")
        for name, text, opens, document in self._cut(plan):
            writers[name].write(text, opens)
            if opens and name == SPLITS[0]:
                self._learned.append(document)
        for writer in writers.values():
            writer.flush()

    def origins(self) -> Origins:
        """Where each document that opens in the training split comes from; known once all was encoded."""
        learned = np.frombuffer(self._learned, dtype=np.int64)
        owners, begins = np.array(self.owners, dtype=np.int64), np.frombuffer(self._begins, dtype=np.int64)
        _, documents = np.unique(learned, return_inverse=True)
        titles = [self._titles[document] for document in np.unique(learned)] if self._titles else []
        places = np.stack([documents, owners[learned], begins[learned]], axis=1)
        return Origins(places, [source.name for source in self.sources], titles)

    def _cut(self, plan: Plan) -> Iterator[tuple[str, str, bool, int]]:
        """All text, as pieces that lie in one split: its name, the text, whether a document's part begins with it, and the
        document's number.
        """
        lengths = self.lengths.data  # gives plain integers, which are faster one by one than numpy's
        where = None if plan.where is None else plan.where.data
        document = position = 0
        for text in self._read():
            if text is None:
                if position != lengths[document]:
                    raise self._changed()
                document, position = document + 1, 0
                continue
            if document >= len(lengths) or position + len(text) > lengths[document]:
                raise self._changed()
            if where is not None:
                yield from self._opened(SPLITS[where[document]], text, position == 0, document)
            elif self.modality.divide is not None:
                for name, part in zip(SPLITS, self.modality.divide(text, plan.shares), strict=True):
                    yield from self._opened(name, part, True, document) if part else ()
            else:
                for name, start, stop in plan.cut(document, lengths[document]):
                    first, last = max(start - position, 0), min(stop - position, len(text))
                    if first < last:
                        yield name, text[first:last], position + first == start, document
            position += len(text)
        if document != len(lengths):
            raise self._changed()

    def _opened(self, name: str, text: str, opens: bool, document: int) -> Iterator[tuple[str, str, bool, int]]:
        """A piece of text; or what of it is opened by a document symbol of its own."""
        if self.modality.sequences is None:
            yield name, text, opens, document
        else:
            yield from ((name, part, True, document) for part in self.modality.sequences(text))

    def by_folder(self) -> Plan:
        """The splits as folders called `train`, `valid` and `test` say.

        Raises:
            DataError: a source lies in none of them, or there is nothing to train on.
        """
        where = np.array([_split_of(self.sources[owner]) for owner in self.owners], dtype=np.int8)
        if not (where == 0).any():
            raise DataError("there is nothing in a folder called train", where=", ".join(self.settings.sources))
        return Plan("folder", where, self.settings.shares)

    def _usable(self, source: Source, left_out: LeftOut, begins: Begins) -> Stream:
        """The documents of a source that can be used, of which each is held in memory; the first pass finds out which."""
        reasons, found = [], False
        places: Begins = array("q")
        for number, text in enumerate(_whole(self.reader.read(source, left_out, places)), 1):
            if self.refusal is not None and (reason := self.refusal(text)):
                reasons.append(reason)
                self._refused.add((source.name, number))
                left_out.refuse(source.name if number == 1 else f"{source.name}, document {number}", reason)
            else:
                found = True
                self._counts.append(self.modality.count(text))
                begins.append(places[number - 1])
                if self.modality.name_document:
                    self._titles.append(self.modality.name_document(text))
                yield text
                yield None
        if source.is_needed and reasons and not found:
            raise DataError(reasons[0], where=source.name, hint="Leave it out, or choose another --tokenizer.")

    def _again(self, source: Source) -> Stream:
        """The same in later passes."""
        for number, text in enumerate(_whole(self.reader.read(source, LeftOut())), 1):
            if (source.name, number) not in self._refused:
                yield text
                yield None

    def _read(self) -> Stream:
        for source in self.sources:
            yield from self.reader.read(source, LeftOut()) if self.refusal is None else self._again(source)

    def _near_duplicates(self) -> Ids:
        sketcher = Sketcher()
        outline = self.modality.outline
        for text in self._read():
            sketcher.add(outline(text) if outline and text else text or "", last=text is None)
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
            hint="Point at a file or folder of text, or of music, or say what it is with --kind.",
        )


def _whole(stream: Stream) -> Iterator[str]:
    """The documents of a stream, each as one text."""
    parts: list[str] = []
    for text in stream:
        if text is not None:
            parts.append(text)
        else:
            yield "".join(parts)
            parts = []


def _split_of(source: Source) -> int:
    folders = [part for part in source.place.parts[:-1] if part in SPLITS]
    if not folders:
        raise DataError(
            "in no folder called train, valid or test", where=source.name, hint="Move it, or use another corpus.split."
        )
    return SPLITS.index(folders[0])


def _measure(stream: Stream, lengths: array[int], digests: array[int]) -> None:
    """Appends the length of each document in characters and 64 bits of its hash."""
    length, digest = 0, None
    for text in stream:
        if text is None:
            lengths.append(length)
            digests.append(int.from_bytes(digest.digest()[:8]) if digest else 0)
            length, digest = 0, None
        else:
            length += len(text)
            data = text.encode("utf-8", "surrogatepass")
            if digest is None:
                digest = hashlib.sha256(data)  # one call for a short document, of which there may be millions
            else:
                digest.update(data)


def _reason(error: DataError) -> str:
    """Why a source is left out, without the place where it broke, so that equal reasons are counted together."""
    if "binary" in error.what:
        return "binary"
    return re.split(r" at byte | \(", error.what)[0]
