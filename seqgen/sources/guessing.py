"""What a corpus is, where the user has not said so: its kind, and what a document of it is."""

from __future__ import annotations

from seqgen.cards import Card
from seqgen.modalities import MODALITIES, guess_kind
from seqgen.sources.base import LeftOut, Source
from seqgen.sources.documents import read_head
from seqgen.sources.finding import without_folders

PROBED = 50
"""Files whose beginnings are looked at."""


def kind_of(sources: list[Source], card: Card | None) -> str:
    """The kind that the names of the files speak for, or the card."""
    if card is not None and is_all_from(card, sources):
        return card.kind
    written = sources  # by people: an environment beside a few notes does not make them code
    for modality in MODALITIES.values():
        written = without_folders(written, modality, LeftOut())
    return guess_kind(source.place for source in written or sources)


def documents_of(sources: list[Source], kind: str, card: Card | None, encoding: str) -> tuple[str, list[str]]:
    """The `corpus.documents` setting that suits the sources, and the beginnings of some of them."""
    probed = sources[:: max(1, len(sources) // PROBED)]
    heads = [head for source in probed if (head := read_head(source, encoding))]
    if card is not None and is_all_from(card, sources) and card.kind == kind:
        return card.documents, heads
    return MODALITIES[kind].guess_documents(heads), heads


def is_all_from(card: Card, sources: list[Source]) -> bool:
    """Whether nothing but the corpus of a card was named."""
    return all(source.name.startswith(f"{card.name}:") for source in sources)
