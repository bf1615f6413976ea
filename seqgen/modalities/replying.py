"""A reply as it grows: text that ends where the model ends it, or after so many words."""

from __future__ import annotations

import re

from seqgen.modalities.base import Modality
from seqgen.modalities.streaming import TextWriting
from seqgen.tokenizers import Opening, Tokenizer
from seqgen.writing import Limits

MOST_WORDS = 200
"""Of a reply whose length is not said."""
_WORD = re.compile(r"\S+\s*")


class ReplyWriting(TextWriting):
    """One reply to a message. Its length is counted in words.

    Args:
        modality: of replies.
        tokenizer: turns ids into bytes.
        settings: length in words, and stop texts.
        opening: the message, of which nothing is written.
        seed: the same as text, likewise.

    Raises:
        UsageError: a limit that only music has.
    """

    def __init__(
        self, modality: Modality, tokenizer: Tokenizer, settings: Limits, opening: Opening, seed: str = ""
    ) -> None:
        super().__init__(modality, tokenizer, settings, Opening([]))
        self._words = MOST_WORDS if settings.length is None else settings.length

    def _end_of_length(self, before: int) -> list[tuple[int, str]]:
        text = self.text
        words = list(_WORD.finditer(text))
        if len(words) <= self._words:
            return []
        return [(len(text[: words[self._words].start()].rstrip()), "length")]
