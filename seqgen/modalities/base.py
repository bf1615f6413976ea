"""What a modality declares: everything about a kind of corpus that the rest of the program asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from seqgen.overlaps import Judge, Learned
from seqgen.tokenizers import Opening, Tokenizer
from seqgen.writing import Limits, Rendering, Writing

Reason = str
"""Why a file is left out, in words that fit after "left out": "binary", "generated"."""


@dataclass(frozen=True)
class Likeness:
    """A measure of samples beside the same of held-out documents.

    Attributes:
        name: of the measure.
        unit: of both values.
        samples: the mean over the samples; None: it has no meaning for them.
        held_out: the mean over the held-out documents.
        error: the standard error of the samples' mean, where it is known.
    """

    name: str
    unit: str
    samples: float | None
    held_out: float | None
    error: float | None


@dataclass(frozen=True)
class Modality:
    """A kind of corpus: how it is recognised, read and cut, and where a piece of it ends."""

    name: str
    title: str
    """One line for people: what this kind is."""
    model: str
    """The network that learns it, by its name in the table of models."""
    document: str
    """What a document is called: "document", "piece"."""
    affinity: Callable[[PurePath], float]
    """How sure a file's name makes us, from 0 to 1, that it is of this kind."""
    skip_folder: Callable[[PurePath], Reason | None]
    """Why a whole folder inside a corpus is left out, or None."""
    skip_file: Callable[[PurePath, str], Reason | None]
    """Why a file inside a corpus folder is left out, given its name and text, or None."""
    conversion: str
    """What turns its files into text, from the table of `sources/converting.py`; empty: they are text."""
    notice: Callable[[Sequence[str]], dict[str, Any]]
    """The tokenizer settings that the beginnings of its files call for, however long they are trained on; empty: none."""
    noticed: Sequence[dict[str, Any]]
    """All that `notice` can say."""
    tokenizers: Sequence[str]
    """The tokenizers that can read it, the names from their table."""
    outline: Callable[[str], str] | None
    """What of a document tells whether another is nearly the same; None: its text."""
    count: Callable[[str], int]
    """How much of what people count a document has: characters, notes."""
    divide: Callable[[str, Sequence[float]], list[str]] | None
    """Cuts a document into parts of these shares, where that is not at any character; parts may be empty."""
    sequences: Callable[[str], list[str]] | None
    """What of a document is opened by a document symbol of its own: message and reply in turn; None: the whole alone."""
    guess_documents: Callable[[Sequence[str]], str]
    """The `corpus.documents` setting that suits these texts, one per file."""
    end: Callable[[str], int | None]
    """Where the first whole unit (a sentence, a definition) of a text ends once it has been written, in characters;
    None while it has not. It is asked again after each character of a sample."""
    writing: Callable[[Modality, Tokenizer, Limits, Opening, str], Writing]
    """What makes a sample of the symbols that are drawn, given the limits, the opening and the seed."""
    prompt: Callable[[Tokenizer, str], list[int]]
    """The ids of a seed that the model reads before it writes; what they lack, the writing brings in."""
    read_seed: Callable[[str, bytes | None, str, int | None], str]
    """The text of a seed: as it was typed, or from the bytes of a file of some name; of music, only so many bars."""
    check_files: Callable[[Sequence[str], Rendering], None]
    """Refuses endings of files, and ways to play, that a sample of this kind cannot have."""
    compare: Callable[[Sequence[str], Sequence[str], Sequence[str]], list[Likeness]] | None
    """Measures samples beside held-out documents, given those and the training documents; None: there is no measure yet."""
    originality: Callable[[Sequence[Learned], Sequence[str]], Judge] | None
    """What judges a sample by the training documents and the held-out ones, where copying shows in something else than in its
    characters; None: those tell."""
    name_document: Callable[[str], str] | None
    """The title that a document has, perhaps empty; None: documents have none."""
    lead: str
    """What stands before such a unit in the midst of a document. A seed is read after it where that makes it likelier than
    it is at the beginning of one; empty: every seed is a beginning."""
    open_ended: bool
    """Whether a text that stops anywhere can be gone on from as it stands; else it is the symbols that are gone on from."""
    go_on: Callable[[str, Limits], tuple[str, Limits]]
    """The seed and the limits of a sample that goes on from a whole one, perhaps beyond its end."""
    highlighted: bool
    """Whether it is shown in colours, as files of its ending are."""
    end_name: str
    """What `end` finds: "sentence", "block"."""
    unit_length: int
    """About how many characters a sample without a length should have before it may end at such a place."""
