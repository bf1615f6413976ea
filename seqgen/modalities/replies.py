"""Replies: messages and what was answered, from mail, tables of pairs and dialogues."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from seqgen.conversations import WHOLE_CONVERSATION, pack, tidy, unpack
from seqgen.modalities.base import Modality, Reason
from seqgen.modalities.code import SUFFIXES as CODE
from seqgen.modalities.replying import ReplyWriting
from seqgen.modalities.text import FORMATS, check_files, go_on, read_seed, skip_folder
from seqgen.modalities.text import SUFFIXES as TEXT
from seqgen.tokenizers import DOCUMENT, Tokenizer

MAILBOXES = {".mbox", ".eml"}
VOCABULARIES = ((2_000, 1000), (8_000, 2000), (25_000, 4000))
"""Up to how many different words a corpus is learned in how many pieces."""
MOST_PIECES = 6000
HEAD = 1 << 20
"""Characters of a file whose words are counted."""
_DELIVERED = re.compile(r"\d{9,10}[._][^.]*\.")
"""How the name of a letter in a Maildir begins: the second of its delivery, what makes it unique, and then the host's name."""
_FLAGS = re.compile(r"[:;!]2,[A-Za-z]*\Z")
"""How it ends once somebody has seen it: `:2,S`."""
_ENDINGS = TEXT | FORMATS | CODE | {".json", ".xml", ".zip", ".jpg", ".jpeg", ".png"}
_DOMAIN = re.compile(r"\.([a-z]{2}|org)", re.IGNORECASE)
"""An ending that is a host's rather than a file's."""


def affinity(path: PurePath) -> float:
    """Mailboxes and letters; tables and dialogues are text unless the user says otherwise."""
    return 1.0 if path.suffix.lower() in MAILBOXES or _is_delivered(path) else 0.0


def _is_delivered(path: PurePath) -> bool:
    """Whether its name is that of a letter in a Maildir; other files begin with a time, too."""
    if not _DELIVERED.match(path.name):
        return False
    if _FLAGS.search(path.name) or _DOMAIN.fullmatch(path.suffix):
        return True
    return path.suffix.lower() not in _ENDINGS


def skip_file(path: PurePath, text: str) -> Reason | None:
    """Leaves out hidden files and those without a pair."""
    if path.name.startswith("."):
        return "hidden"
    return None if text.strip() else "no message with a reply"


def notice(heads: Sequence[str]) -> dict[str, Any]:
    """Pieces of words, the more the more different words there are."""
    words: set[str] = set()
    for head in heads:
        words.update(head[:HEAD].split())
    size = next((pieces for most, pieces in VOCABULARIES if len(words) <= most), MOST_PIECES)
    return {"kind": "bpe", "vocabulary": size}


def sequences(text: str) -> list[str]:
    """The messages and replies of a conversation in turn."""
    return [side for pair in unpack(text) for side in pair]


def outline(text: str) -> str:
    """Its messages: two conversations that begin alike are not to be learned and held out."""
    return "\n".join(dict.fromkeys(pair.message for pair in unpack(text)))


def divide(text: str, shares: Sequence[float]) -> list[str]:
    """The pairs of a conversation in parts of these shares."""
    pairs, bounds, total = unpack(text), [0], 0.0
    for share in shares:
        total += share
        bounds.append(round(len(pairs) * total))
    parts = (pairs[first:last] for first, last in itertools.pairwise(bounds))
    return [pack([part]) for part in parts]


def prompt(tokenizer: Tokenizer, seed: str) -> list[int]:
    """A message as it would have been learned, and its end."""
    return [*tokenizer.encode(tidy(seed)).tolist(), DOCUMENT]


def end(text: str) -> int | None:
    """Nowhere: a reply ends where the model ends it."""
    return None


REPLIES = Modality(
    name="replies",
    title="replies: mail, pairs of message and reply, dialogues",
    model="reply",
    document="conversation",
    affinity=affinity,
    skip_folder=skip_folder,
    skip_file=skip_file,
    conversion="exchanges",
    notice=notice,
    noticed=[{"kind": "bpe", "vocabulary": size} for size in (*(size for _, size in VOCABULARIES), MOST_PIECES)],
    tokenizers=("bpe", "unigram", "characters", "bytes"),
    outline=outline,
    count=len,
    divide=divide,
    sequences=sequences,
    guess_documents=lambda texts: WHOLE_CONVERSATION,
    writing=ReplyWriting,
    prompt=prompt,
    read_seed=read_seed,
    check_files=check_files,
    compare=None,
    originality=None,
    name_document=None,
    end=end,
    lead="",
    open_ended=True,
    go_on=go_on,
    highlighted=False,
    end_name="reply",
    unit_length=300,
)
