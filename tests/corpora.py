"""Small helpers of the tests of `seqgen.corpus` and `seqgen.cache`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from seqgen.corpus import Corpus, prepare, reopen
from seqgen.folders import cache_folder
from tests.test_modalities import wrapped_prose

PLAIN = wrapped_prose(4).replace(" the", ", the")
PROSE = PLAIN + "Ünïcödé, once.\n"


def write(name: str, text: str | bytes = PROSE) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return name


def prepared(*sources: str, tokenizer: dict[str, Any] | None = None, **settings: Any) -> Corpus:
    return prepare({"corpus": {"sources": sources, **settings}, "tokenizer": tokenizer or {}})


def reopened(corpus: Corpus) -> Corpus:
    return reopen(corpus.settings, corpus.tokenizer_settings, corpus.tokenizer, corpus.folder.name, corpus.digest)


def text_of(corpus: Corpus, name: str) -> str:
    return corpus.tokenizer.decode(corpus.splits[name].ids)


def documents_of(corpus: Corpus, name: str) -> list[str]:
    """The documents of a split, or their parts."""
    split = corpus.splits[name]
    return [corpus.tokenizer.decode(part) for part in np.split(split.ids, split.starts)[1:]]


def entries() -> list[str]:
    """What lies in the cache, but for the models that are known to be harmless."""
    return sorted(path.name for path in cache_folder().glob("*") if path.name not in ("known-models", ".lock"))
