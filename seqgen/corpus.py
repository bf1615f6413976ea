"""Documents -> ids -> splits: a corpus is found in the cache, or read, split and tokenized in three passes over its text.

The first pass measures the documents, the second lets the tokenizer learn from the training text, the third writes ids.
Each reads the sources anew, in pieces, so that a corpus of any size takes little memory.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from seqgen import defaults
from seqgen.cache import (
    DAMAGE,
    VERSION,
    Entry,
    SplitWriter,
    keep_baselines,
    new_entry,
    open_entry,
)
from seqgen.cards import Card
from seqgen.conversations import WHOLE_CONVERSATION
from seqgen.errors import DataError, UsageError
from seqgen.folders import cache_folder
from seqgen.modalities import MODALITIES, Modality
from seqgen.passes import Texts
from seqgen.recipe import CorpusSettings, Overrides, TokenizerSettings, check_pairs
from seqgen.sources import (
    LeftOut,
    Source,
    check_encoding,
    convert_all,
    documents_of,
    find_sources,
    is_all_from,
    kind_of,
    read_head,
    readers,
    without_folders,
)
from seqgen.sources.base import Asking
from seqgen.sources.exchanges import LEAST_PAIRS, is_mail
from seqgen.sources.tables import SUFFIXES as TABLES
from seqgen.sources.tables import are_names, columns
from seqgen.sources.watching import Watch, read_steadily, without_changed
from seqgen.splits import SPLITS, Plan, Split, plan_split, replies_in
from seqgen.tokenizers import TOKENIZERS, Tokenizer
from seqgen.units import BITS_PER_CHARACTER
from seqgen.yardsticks import XZ, compress, count

OF_PAIRS = ("columns", "me", "mask")
"""The settings of a corpus that only messages and replies have a use for."""
SMALL_ENOUGH_FOR_COPIES = 20_000_000
"""Characters of a corpus of music up to which each piece is also learned in other keys: some 10,000 pieces."""


@dataclass(frozen=True)
class Corpus:
    """A prepared corpus: its settings with every guess resolved, its tokenizer, and the ids of its splits."""

    settings: CorpusSettings
    tokenizer_settings: TokenizerSettings
    tokenizer: Tokenizer
    splits: dict[str, Split]
    left_out: dict[str, list[str]]
    split_by: str
    documents: int
    digest: str
    folder: Path
    fresh: bool
    """Prepared just now, not found in the cache."""
    characters: int
    """Or notes, in all splits together, without the copies in other keys."""
    forms: defaults.Forms = defaults.ONE_FORM
    """In which training documents are read, on average: a piece in so many keys."""
    notes: tuple[str, ...] = ()
    """What the user should know of how it was prepared."""

    def predicted(self, name: str) -> Split:
        """What of a split a model is to predict: of messages and replies the replies, else all."""
        split = self.splits[name]
        return split if MODALITIES[self.settings.kind].sequences is None else replies_in(split, self.tokenizer)

    def with_baselines(self) -> Corpus:
        """The same, with what counting alone needs for its held-out splits; counted once, then kept in the cache."""
        if any("unigram" in split.baselines for split in self.splits.values()):
            return self
        counted = count({name: self.predicted(name) for name in SPLITS}, self.tokenizer)
        keep_baselines(self.folder, counted)
        splits = {name: replace(split, baselines=counted.get(name, {})) for name, split in self.splits.items()}
        return replace(self, splits=splits)

    def with_xz(self, name: str) -> Corpus:
        """The same, with what xz needs for a held-out split once it has seen the training text; likewise kept."""
        split, learned = self.splits[name], self.splits["train"]
        if (
            MODALITIES[self.settings.kind].sequences is not None
            or name == "train"
            or XZ in split.baselines
            or len(split) < 2
            or self.tokenizer.unit != BITS_PER_CHARACTER
        ):
            return self
        splits = {
            **self.splits,
            name: replace(split, baselines={**split.baselines, **compress(learned, split, self.tokenizer)}),
        }
        keep_baselines(self.folder, {each: part.baselines for each, part in splits.items()})
        return replace(self, splits=splits)


def reopen(
    settings: CorpusSettings,
    tokenizer_settings: TokenizerSettings,
    tokenizer: Tokenizer,
    entry: str,
    digest: str,
    hint: str = "",
) -> Corpus:
    """The very corpus that a run was trained on: from the cache, or prepared again from its sources.

    Args:
        settings: resolved, from the run's recipe.
        tokenizer_settings: likewise.
        tokenizer: the run's; nothing is added to it by the text that it was made from.
        entry: its name in the cache.
        digest: what its ids hashed to when they were written.
        hint: what to do if it has changed; empty: bring the files back.

    Raises:
        DataError: it is gone or has changed.
    """
    with contextlib.suppress(*DAMAGE):
        corpus = _corpus(open_entry(cache_folder() / entry), fresh=False)
        if corpus.digest == digest:
            return corpus
    if "-" in settings.sources:
        raise DataError(
            "this corpus came from standard input and is no longer in the cache", hint="Pipe it into a new training."
        )
    corpus = prepare({"corpus": vars(settings), "tokenizer": vars(tokenizer_settings)}, tokenizer)
    if corpus.digest != digest:
        raise DataError(
            "the corpus has changed since this training began",
            where=", ".join(settings.sources),
            hint=hint or "Bring back the old files, or train anew under another --name.",
        )
    return corpus


def prepare(
    overrides: Overrides,
    base: Tokenizer | None = None,
    seconds: float = defaults.NOMINAL_SECONDS,
    strict: bool = False,
) -> Corpus:
    """Finds the corpus in the cache, or reads, splits and tokenizes it.

    Args:
        overrides: `corpus.sources` and whatever else of the sections corpus and tokenizer is set; the rest is guessed.
        base: a tokenizer to extend instead of building one.
        seconds: for how long a model will be trained on it, by which its symbols are chosen.
        strict: a file that cannot be used is an error, and not left out.

    Raises:
        DataError: the corpus cannot be used.
        UsageError: a setting that cannot be meant, or that this kind of corpus has no use for.
    """
    asked, asked_tokenizer = overrides.get("corpus", {}), overrides.get("tokenizer", {})
    _check(asked, asked_tokenizer)
    left_out = LeftOut(strict=strict)
    sources, card = find_sources(tuple(asked.get("sources", ())), left_out)
    card = card if card and is_all_from(card, sources) else None  # in a mixture it does not speak for the rest
    kind = asked.get("kind") or kind_of(sources, card)
    modality = MODALITIES[kind]
    _check_meaning(asked, modality)
    watch = Watch(sources)
    place = functools.partial(_place, watch.digest, card, asked, base)
    cached = _cached(place, asked_tokenizer, seconds)
    if cached and not (strict and cached.meta["left_out"]):
        return _corpus(cached, fresh=False)
    wanted = _Wanted(asked, asked_tokenizer, kind, card, base, seconds)
    return read_steadily(
        sources, left_out, lambda sources, left_out: _prepare_anew(sources, left_out, wanted, watch, place)
    )


@dataclass(frozen=True)
class _Wanted:
    """What a corpus is prepared by, besides its sources."""

    asked: dict[str, Any]
    tokenizer: dict[str, Any]
    kind: str
    card: Card | None
    base: Tokenizer | None
    seconds: float


def _prepare_anew(
    sources: list[Source],
    left_out: LeftOut,
    wanted: _Wanted,
    watch: Watch,
    place: Callable[[dict[str, Any]], Path],
) -> Corpus:
    """Reads, splits and tokenizes a corpus that the cache does not hold.

    Raises:
        ChangedError: sources changed meanwhile.
        DataError: the corpus cannot be used.
        UsageError: a tokenizer that does not read this kind.
    """
    asked, kind, card = wanted.asked, wanted.kind, wanted.card
    modality = MODALITIES[kind]
    with tempfile.TemporaryDirectory(prefix="seqgen-") as converted:
        asking = _asking(asked, kind, card, sources)
        sources = _readable(sources, kind, Path(converted), left_out, asking, watch)
        documents, heads = documents_of(sources, kind, card, asked.get("encoding", "utf-8"))
        noticed = modality.notice(heads)
        reader = wanted.tokenizer.get("kind") or noticed.get("kind")
        if reader is not None and reader not in modality.tokenizers:
            raise UsageError(f"{reader} does not read {kind}", hint=f"There are: {', '.join(modality.tokenizers)}.")
        if card is None and reader is not None and TOKENIZERS[reader].by_line:
            documents = "line"
        guessed = {"documents": "row" if asked.get("column") else documents, "kind": kind, "mask": asking.mask}
        paths = tuple(map(absolute_source, asked.get("sources", ())))
        settings = CorpusSettings(**{**guessed, **({"split": card.split} if card else {}), **asked, "sources": paths})
        refusal = _refusal({**noticed, **wanted.tokenizer}) if modality.divide else None
        texts = Texts(sources, settings, left_out, refusal)
        with watch.over(texts.read_in_place):
            measured = texts.measure()
            plan = texts.by_folder() if settings.by_folder else plan_split(measured, settings.shares)
            facts = defaults.TextFacts(int(measured.lengths.sum()), len(set().union(*heads)), noticed)
            chosen = _chosen(wanted.tokenizer, facts, wanted.seconds)
            tokenizer_settings = TokenizerSettings(**chosen)
            training_text = texts.training_text(plan)
            tokenizer: Tokenizer
            if wanted.base is None:
                tokenizer = TOKENIZERS[tokenizer_settings.kind].build(training_text, tokenizer_settings)
            else:
                tokenizer = wanted.base.extended(training_text, tokenizer_settings)
        folder = place(chosen)
        copies = settings.transpose and facts.characters <= SMALL_ENOUGH_FOR_COPIES
        with new_entry(folder, tokenizer, copies) as entry:
            with watch.over(texts.read_in_place):
                texts.encode(plan, entry.splits)
            notes = (tokenizer.note, _spelling_note(entry.splits["train"]), _table_note(sources, settings))
            entry.commit(
                {
                    "text": vars(facts),
                    "settings": vars(settings),
                    "tokenizer_settings": vars(tokenizer_settings),
                    "left_out": left_out.names,
                    "split_by": plan.by,
                    "documents": len(measured),
                    "notes": [note for note in notes if note],
                },
                texts.counts,
                texts.origins(),
            )
    return _corpus(open_entry(folder), fresh=True)


def _chosen(asked: dict[str, Any], facts: defaults.TextFacts, seconds: float) -> dict[str, Any]:
    """The settings of the tokenizer: what the user asked for, and what suits the text unless the user named another kind."""
    if asked.get("kind") in (None, facts.noticed.get("kind")):
        return {**defaults.choose_tokenizer(facts, seconds), **asked}
    return asked


def _refusal(chosen: dict[str, Any]) -> Callable[[str], str | None]:
    settings = TokenizerSettings(**chosen)
    return lambda text: TOKENIZERS[settings.kind].refusal(text, settings)


def _cached(place: Callable[[dict[str, Any]], Path], asked: dict[str, Any], seconds: float) -> Entry | None:
    """The prepared corpus with the symbols that would be chosen for it; what they would be, any entry of its text can tell."""
    noticed = [choice for modality in MODALITIES.values() for choice in modality.noticed]
    fitting = [choice for choice in (*noticed, *defaults.CHOICES) if asked.get("kind") in (None, choice["kind"])]
    choices = [{**choice, **asked} for choice in fitting]
    for choice in choices if "kind" not in asked or asked in choices else [*choices, asked]:
        with contextlib.suppress(*DAMAGE):  # made anew
            entry = open_entry(place(choice))
            if _chosen(asked, defaults.TextFacts(**entry.meta["text"]), seconds) == choice:
                return entry
    return None


def read_split(
    sources: tuple[str, ...],
    settings: CorpusSettings,
    tokenizer_settings: TokenizerSettings,
    tokenizer: Tokenizer,
    corpus: Corpus | None,
) -> Split:
    """Other text, encoded whole with the tokenizer of a trained model, so that the model can be evaluated on it.

    Args:
        sources: files, folders, globs or names of cards.
        settings: of the corpus that the model was trained on.
        tokenizer_settings: of the model.
        tokenizer: of the model.
        corpus: the model's own, from which the baselines learn; None where it is not at hand.

    Raises:
        DataError: there is no text.
    """
    left_out = LeftOut()
    found, card = find_sources(sources, left_out)
    watch = Watch(found)
    settings = replace(settings, sources=sources)
    split = read_steadily(
        found,
        left_out,
        lambda found, left_out: _encoded(found, left_out, card, settings, tokenizer_settings, tokenizer, watch),
    )
    if corpus is None:
        return split
    sequences = MODALITIES[settings.kind].sequences
    other = split if sequences is None else replies_in(split, tokenizer)
    counted = count({**{name: corpus.predicted(name) for name in SPLITS}, "test": other}, tokenizer)["test"]
    if tokenizer.unit != BITS_PER_CHARACTER or sequences is not None:
        return replace(split, baselines=counted)
    return replace(split, baselines={**counted, **compress(corpus.splits["train"], split, tokenizer)})


def _encoded(
    found: list[Source],
    left_out: LeftOut,
    card: Card | None,
    settings: CorpusSettings,
    tokenizer_settings: TokenizerSettings,
    tokenizer: Tokenizer,
    watch: Watch,
) -> Split:
    """Sources as one split.

    Raises:
        ChangedError: some changed meanwhile.
        DataError: there is no text.
    """
    with tempfile.TemporaryDirectory(prefix="seqgen-") as converted, tempfile.TemporaryFile() as file:
        asking = Asking(settings.encoding, settings.columns, settings.me, settings.mask)
        found = _readable(found, settings.kind, Path(converted), left_out, asking, watch)
        column = settings.column if all(source.suffix in TABLES for source in found) else ""  # other text is just text
        documents = settings.documents  # what the model takes for one, except for a corpus that says it itself
        if card is not None and is_all_from(card, found):
            documents = card.documents
        elif settings.column and not column:
            documents = "line" if tokenizer.by_line else "file"
        refusal = (
            (lambda text: tokenizer.refusal(text, tokenizer_settings)) if MODALITIES[settings.kind].divide else None
        )
        texts = Texts(found, replace(settings, documents=documents, column=column), left_out, refusal)
        writer = SplitWriter(file, tokenizer)
        with watch.over(texts.read_in_place):
            texts.measure(grouped=False)
            texts.encode(Plan("position", None, (1.0, 0.0, 0.0)), {"train": writer})
        about = writer.finish()
        file.seek(0)
        ids = np.frombuffer(file.read(), dtype=about["dtype"])
    return Split(ids, np.frombuffer(writer.starts, dtype=np.int64), writer.characters)


def _spelling_note(train: SplitWriter) -> str:
    """A hint for those whose text the symbols do not fit."""
    if train.unit != BITS_PER_CHARACTER:
        return ""
    each = train.symbols / max(1, train.characters)
    return (
        f"{each:.1f} symbols for a character: another --tokenizer would spell less of it in bytes" if each > 1.5 else ""
    )


def _table_note(sources: list[Source], settings: CorpusSettings) -> str:
    """A hint for those who gave a table and named no column."""
    tables = [source for source in sources if source.suffix in TABLES]
    if MODALITIES[settings.kind].sequences is not None or settings.column or not tables or len(tables) < len(sources):
        return ""
    head = read_head(tables[0], settings.encoding)
    lines = head[: head.rfind("\n") + 1].splitlines(keepends=True)  # the last line of a long table is cut
    names = ["NAME"]
    with contextlib.suppress(DataError):  # not a table after all, perhaps: it is only text here
        found = columns(lines, tables[0].suffix)
        names = found if are_names(found) else names
    return (
        f"{tables[0].name} is read as plain text; to learn one column of the table: --column {' or '.join(names[:5])}"
    )


def _asking(asked: dict[str, Any], kind: str, card: Card | None, sources: list[Source]) -> Asking:
    """What the conversion of a new corpus goes by."""
    mask = asked.get("mask")
    if mask is None:
        mask = MODALITIES[kind].sequences is not None and (
            card.mask if card and is_all_from(card, sources) else any(map(is_mail, sources))
        )
    encoding, columns, mine = asked.get("encoding", "utf-8"), asked.get("columns", ()), asked.get("me", ())
    return Asking(encoding, columns, mine, mask, LEAST_PAIRS)


def _readable(
    sources: list[Source], kind: str, converted: Path, left_out: LeftOut, asking: Asking, watch: Watch
) -> list[Source]:
    """The sources that this kind of corpus reads, as plain text where it reads formatted documents.

    Raises:
        ChangedError: some changed meanwhile, of which the texts of others may hold a part.
    """
    modality = MODALITIES[kind]
    sources = without_folders(sources, modality, left_out)
    if modality.sequences is not None:
        with watch.over(lambda: sources):
            return convert_all(sources, modality.conversion, converted, left_out, asking)
    texts = convert_all(sources, modality.conversion, converted, left_out, asking)
    return without_changed(texts, watch.changed(texts), left_out)


def _corpus(entry: Entry, fresh: bool) -> Corpus:
    meta, train = entry.meta, entry.meta["splits"]["train"]
    return Corpus(
        settings=entry.settings,
        tokenizer_settings=entry.tokenizer_settings,
        tokenizer=entry.tokenizer,
        splits=entry.splits,
        left_out=meta["left_out"],
        split_by=meta["split_by"],
        documents=meta["documents"],
        digest=meta["digest"],
        folder=entry.folder,
        fresh=fresh,
        characters=sum(split["distinct"] for split in meta["splits"].values()),
        forms=defaults.Forms(train["characters"] / max(1, train["distinct"]), entry.tokenizer.registers() is not None),
        notes=tuple(meta["notes"]),
    )


def _check(corpus: dict[str, Any], tokenizer: dict[str, Any]) -> None:
    check_encoding(corpus.get("encoding", "utf-8"))
    check_pairs(corpus.get("columns", ()), corpus.get("me", ()))
    for value, table, what in (
        (corpus.get("kind"), MODALITIES, "kind {!r} of corpus"),
        (tokenizer.get("kind"), TOKENIZERS, "tokenizer {!r}"),
    ):
        if value is not None and value not in table:
            raise UsageError(f"there is no {what.format(value)}", hint=f"There are: {', '.join(table)}.")


def _check_meaning(corpus: dict[str, Any], modality: Modality) -> None:
    """Refuses what has no meaning for this kind, before anything is read: an error while reading could show private text."""
    if modality.sequences is None:
        for name in OF_PAIRS:
            if corpus.get(name):
                raise UsageError(f"corpus.{name} has no meaning for {modality.name}", hint="Leave it out.")
        return
    if corpus.get("column"):
        raise UsageError(
            f"corpus.column has no meaning for {modality.name}",
            hint="Name the columns of message and reply: --columns MESSAGE,REPLY",
        )
    if corpus.get("documents", WHOLE_CONVERSATION) != WHOLE_CONVERSATION:
        raise UsageError(
            f"corpus.documents={corpus['documents']!r} has no meaning for {modality.name}",
            hint=f"Leave it out: a document is always a {WHOLE_CONVERSATION}.",
        )


def _place(
    stamps: str,
    card: Card | None,
    corpus: dict[str, Any],
    base: Tokenizer | None,
    tokenizer: dict[str, Any],
) -> Path:
    """Where the cache keeps these sources with these settings: another place for each difference that matters."""
    wanted = {**corpus, "sources": [absolute_source(name) for name in corpus.get("sources", ())]}
    extended = hashlib.sha256(base.to_bytes()).hexdigest() if base else ""
    said = [card.kind, card.documents, card.split, card.mask] if card else []
    parts = [VERSION, stamps, said, readers(), wanted, tokenizer, extended]
    return (
        cache_folder()
        / hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    )


def absolute_source(name: str) -> str:
    """A path or glob that means the same from every folder; the name of a card and `-` stay as they are."""
    is_path = name != "-" and (Path(name).exists() or glob.has_magic(name))
    return str(Path(name).absolute()) if is_path else name
