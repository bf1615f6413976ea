"""What a modality declares: everything about a kind of corpus that the rest of the program asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

Reason = str
"""Why a file is left out, in words that fit after "left out": "binary", "generated"."""


@dataclass(frozen=True)
class Modality:
    """A kind of corpus: how it is recognised, read and cut, and where a piece of it ends."""

    name: str
    title: str
    """One line for people: what this kind is."""
    affinity: Callable[[PurePath], float]
    """How sure a file's name makes us, from 0 to 1, that it is of this kind."""
    skip_folder: Callable[[PurePath], Reason | None]
    """Why a whole folder inside a corpus is left out, or None."""
    skip_file: Callable[[PurePath, str], Reason | None]
    """Why a file inside a corpus folder is left out, given its name and text, or None."""
    reads_formats: bool
    """Whether formatted documents (.docx, .epub, .html, .pdf) are read as the text that they hold."""
    may_be_symbols: bool
    """Whether such files may also hold sequences of other symbols than those of a language: moves, chords."""
    guess_documents: Callable[[Sequence[str]], str]
    """The `corpus.documents` setting that suits these texts, one per file."""
    end: Callable[[str], int | None]
    """Where the first whole unit (a sentence, a definition) of a text ends once it has been written, in characters;
    None while it has not. It is asked again after each character of a sample."""
    lead: str
    """What stands before such a unit in the midst of a document. A seed is read after it where that makes it likelier than
    it is at the beginning of one; empty: every seed is a beginning."""
    end_name: str
    """What `end` finds: "sentence", "block"."""
    unit_length: int
    """About how many characters a sample without a length should have before it may end at such a place."""
