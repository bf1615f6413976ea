"""Pieces of words, learned from the text by sentencepiece: byte-pair encoding and a unigram language model.

Ids are sentencepiece's own: 0, its unknown piece, is the document symbol, since nothing is unknown to it; byte b is
b + 1; then the pieces. A line end is its byte, so no piece reaches over one, and a line's ids are the same wherever
it stands. Nothing is normalised. The library is imported where it is used: looking at a corpus need not wait for it.
"""

from __future__ import annotations

import io
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Self

import numpy as np

from seqgen.recipe import MOST_SYMBOLS, TokenizerSettings
from seqgen.tokenizers import trials
from seqgen.tokenizers.base import (
    DOCUMENT,
    DOCUMENT_KEY,
    Ids,
    Opening,
    TextTokenizer,
    as_array,
    bytes_of,
    encode_each,
    id_type,
    in_blocks,
    text_of,
)
from seqgen.tokenizers.bytes import BYTE_KEYS, ByteDecoder
from seqgen.tokenizers.piece_models import check_model

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

FIRST_PIECE = 257
"""The first id after the document symbol and the bytes."""
SAMPLE = 4_000_000
"""Characters of the text that pieces are learned from, at most."""
BLOCK = 8_000
"""Characters of each stretch of the text that is in the sample or not."""
TRAINING_LINE = 1_000
"""Characters: a longer line is learned from in parts, since sentencepiece leaves long ones out."""
ENCODED_LINE = 4_096
"""Characters: a longer line is encoded in parts of this size, so that no text takes more than linear time."""
TEXT_FOR_A_PIECE = 32
"""Characters of text for each piece that is learned, at least: one seen but a few times is noise."""
BATCH = 10_000
"""Lines that are encoded at once."""
LARGEST_MODEL = 16 << 20
"""Bytes: three times what the largest vocabulary takes."""

WORD_MARK, UNKNOWN_MARK = "\u2581", "\u2585"
"""Sentencepiece writes a space as the first, and lets the second into no piece."""
_NEVER_PIECES = {"\n", "\r", "\0", WORD_MARK, UNKNOWN_MARK}
"""What sentencepiece cuts off, stumbles over or means something else by; with the lone surrogates."""
_STOOD_IN_FOR = re.compile(f"[{WORD_MARK}{UNKNOWN_MARK}\ud800-\udfff]")
_STAND_IN = bytes_of(UNKNOWN_MARK)
_LINE = re.compile(rf"\n{{1,{ENCODED_LINE}}}|[^\n]{{1,{ENCODED_LINE}}}")
_PROBE = (
    "  \ufb01 A\u030a \u212b \uff21\t\u00a0\u3000 e\u0301\r\n\0 <unk><s><0x41> \u05d0 \U0001f600 \u2581\u2585\ud800 \n "
)
"""What a model that normalises would change."""


class PieceTokenizer(TextTokenizer):
    """What `bpe` and `unigram` share: the file is a model of sentencepiece.

    Args:
        model: its bytes, from a source that is trusted.

    Raises:
        ValueError: they are no model that keeps every text.
    """

    name: str
    suffix = "model"
    by_line = False

    def __init__(self, model: bytes) -> None:
        self.note = ""
        self._model = model
        self._processor = _load(model)
        self._names = [self._processor.id_to_piece(symbol) for symbol in range(self._processor.get_piece_size())]
        if self._names[1:FIRST_PIECE] != [f"<0x{byte:02X}>" for byte in range(256)]:
            raise ValueError("its ids do not begin with the document symbol and the 256 bytes")
        self._pieces = [name.replace(WORD_MARK, " ") for name in self._names[FIRST_PIECE:]]
        self._bytes = [b"", *(bytes([byte]) for byte in range(256)), *(piece.encode() for piece in self._pieces)]
        self._check()

    @classmethod
    def build(cls, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """Learns `vocabulary` pieces, or as many as the text gives, from all of it or a sample.

        The text is cut into blocks of 8,000 characters. Where there are more than 500, 500 of them, drawn with a fixed
        seed, each as likely as the others (reservoir sampling, algorithm R: Vitter 1985), are the sample of 4 million
        characters, in the order of the text. Its characters that occur at least `min_count` times become pieces of
        their own, the most frequent first, until they take half of what the vocabulary has beside the bytes.
        """
        blocks, length = _sample(texts)
        alphabet = _alphabet(blocks, settings)
        lines = _training_lines(blocks, alphabet)
        sampled = sum(map(len, blocks))
        least = FIRST_PIECE + len(alphabet)
        size = max(least, min(settings.vocabulary, least + sampled // TEXT_FOR_A_PIECE))
        model = _train(lines, cls.name, size)
        trials.remember(model)
        tokenizer = cls(model)
        tokenizer.note = _note(tokenizer.size, settings.vocabulary, sampled, length)
        return tokenizer

    def extended(self, texts: Iterable[str], settings: TokenizerSettings) -> Self:
        """Itself: any text can be spelled with the pieces that are there."""
        return self

    @property
    def size(self) -> int:
        """How many ids there are."""
        return len(self._names)

    def encode(self, text: str) -> Ids:
        """The ids of the pieces, and of the bytes of what is in none; shape (symbols,)."""
        stood_in_for = [] if text.isascii() else _STOOD_IN_FOR.findall(text)
        if stood_in_for:
            text = _STOOD_IN_FOR.sub(UNKNOWN_MARK, text)
        ids = self._encode_lines(text)
        if stood_in_for:  # each is three bytes, as the stand-in is
            first, second, third = (byte + 1 for byte in _STAND_IN)
            places = np.flatnonzero((ids[:-2] == first) & (ids[1:-1] == second) & (ids[2:] == third))
            data = np.frombuffer(bytes_of("".join(stood_in_for)), dtype=np.uint8)
            ids[places[:, None] + np.arange(3)] = data.reshape(-1, 3).astype(ids.dtype) + ids.dtype.type(1)
        return ids

    encode_all = encode_each

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """The text of these ids."""
        return text_of(b"".join([self._bytes[symbol] for symbol in as_array(ids).tolist()]))

    def decoder(self) -> PieceDecoder:
        """A fresh streaming decoder."""
        return PieceDecoder(self._bytes)

    def unknown(self, text: str) -> list[str]:
        """The distinct characters that are spelled in bytes, but for the line end, which is one byte by design."""
        known = {"\n", *self._pieces}
        return [character for character in dict.fromkeys(text) if character not in known]

    def writes(self) -> list[bytes]:
        """The bytes and the pieces."""
        return self._bytes

    def reopen(self, ids: Sequence[int]) -> Opening:
        """Without the last piece, which the first one drawn must begin with. A byte is left: it is no beginning of a piece."""
        if not ids or ids[-1] < FIRST_PIECE:
            return Opening(list(ids))
        last = self._bytes[ids[-1]]
        allowed = np.array([piece.startswith(last) for piece in self._bytes])
        return Opening(list(ids[:-1]), allowed, last)

    def keys(self) -> list[str]:
        """The document symbol, the bytes and the pieces, a space in them as sentencepiece writes it."""
        return [DOCUMENT_KEY, *BYTE_KEYS, *(f"piece {name}" for name in self._names[FIRST_PIECE:])]

    def to_bytes(self) -> bytes:
        """A model of sentencepiece."""
        return self._model

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The tokenizer again. A model that this machine has not seen is first tried in a process of its own.

        Raises:
            ValueError: it is no model, or one that would not keep every text, or one that crashes the library.
        """
        if len(data) > LARGEST_MODEL:
            raise ValueError("far too large to be a model that seqgen writes")
        check_model(data, MOST_SYMBOLS)
        trials.check(cls.name, data)
        return cls(data)

    def _encode_lines(self, text: str) -> Ids:
        """Lines one by one, longer ones in parts of a fixed size."""
        dtype = id_type(self.size)
        parts = [np.zeros(0, dtype=dtype)]
        lines = (match[0] for match in _LINE.finditer(text))
        while batch := list(islice(lines, BATCH)):
            ids = self._processor.encode(batch, out_type=int, num_threads=1)
            parts.append(np.fromiter(chain.from_iterable(ids), dtype=dtype))
        return np.concatenate(parts)

    def _check(self) -> None:
        """Raises ValueError where the model changes texts: it normalises, or holds a mark that stands for another."""
        if any(UNKNOWN_MARK in piece for piece in self._pieces):
            raise ValueError(f"one of its pieces holds {UNKNOWN_MARK!r}, which none may")
        text = "\n".join([_PROBE, *self._pieces])
        if self.decode(self.encode(text)) != text:
            raise ValueError("it does not keep every text as it is")


class BpeTokenizer(PieceTokenizer):
    """The most frequent pair of neighbours becomes one piece, again and again (Sennrich et al. 2016)."""

    name = "bpe"


class UnigramTokenizer(PieceTokenizer):
    """The pieces under which a text is likeliest, each by its own probability (Kudo 2018)."""

    name = "unigram"


class PieceDecoder:
    """Pieces by their table; bytes are joined to characters.

    Args:
        table: the UTF-8 of each id.
    """

    def __init__(self, table: Sequence[bytes]) -> None:
        self._table = table
        self._bytes = ByteDecoder()

    def feed(self, symbol: int) -> bytes:
        """The bytes that are complete with this id."""
        if symbol < FIRST_PIECE:  # the ids of the document symbol and of bytes are those of the tokenizer of bytes
            return self._bytes.feed(symbol)
        return self._bytes.finish() + self._table[symbol]

    def finish(self) -> bytes:
        """The bytes of an unfinished character."""
        return self._bytes.finish()


def _sample(texts: Iterable[str]) -> tuple[list[str], int]:
    """The sample that `build` describes, as blocks in the order of the text, and the length of the whole text."""
    choose = random.Random(0)  # noqa: S311 - a sample, no secret
    kept: list[tuple[int, str]] = []
    length = 0
    with_line_ends = (text if text.endswith("\n") else text + "\n" for text in texts if text)
    for place, block in enumerate(in_blocks(with_line_ends, BLOCK)):
        length += len(block)
        if len(kept) < SAMPLE // BLOCK:
            kept.append((place, block))
        elif (slot := choose.randrange(place + 1)) < len(kept):
            kept[slot] = (place, block)
    return [block for _, block in sorted(kept)], length


def _alphabet(blocks: Iterable[str], settings: TokenizerSettings) -> set[str]:
    """The characters that become pieces of their own; the others are spelled in bytes.

    The space is always one of them: sentencepiece would spell its own mark instead.
    """
    counts: Counter[str] = Counter()
    for block in blocks:
        counts.update(block)
    frequent = [
        character
        for character, count in counts.items()
        if count >= settings.min_count and character not in _NEVER_PIECES and not "\ud800" <= character <= "\udfff"
    ]
    limit = (settings.vocabulary - FIRST_PIECE) // 2
    return {" "} | set(sorted(frequent, key=lambda character: (-counts[character], character))[:limit])


def _training_lines(blocks: Iterable[str], alphabet: set[str]) -> list[str]:
    """A space, and the lines of the sample, cut where a character stands that is no piece, and after 1,000 characters."""
    run = re.compile(f"[{re.escape(''.join(sorted(alphabet)))}]{{1,{TRAINING_LINE}}}")
    return [" ", *(match[0] for block in blocks for match in run.finditer(block))]


def _train(lines: Iterable[str], kind: str, size: int) -> bytes:
    """A model with at most this many pieces. Equal lines give equal bytes."""
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type=kind,
        vocab_size=size,
        hard_vocab_limit=False,
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        max_sentence_length=4 * TRAINING_LINE,  # bytes
        unk_id=DOCUMENT,
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        # With sentencepiece's own values (a million, 0.75, 2), `unigram` takes 5 to 20 times as long and compresses worse.
        seed_sentencepiece_size=10 * size,
        shrinking_factor=0.5,
        num_sub_iterations=1,
        num_threads=1,
        minloglevel=9,
    )
    return model.getvalue()


def _note(size: int, wanted: int, sampled: int, length: int) -> str:
    """What became of the wish for a vocabulary, in words."""
    parts = []
    if size < wanted:
        parts.append(f"{size:,} pieces instead of {wanted:,}: the text gives no more")
    if sampled < length:
        parts.append(f"learned from a sample of {sampled / 1e6:.1f} of {length / 1e6:.1f} million characters")
    return "; ".join(parts)


def _load(model: bytes) -> SentencePieceProcessor:
    from sentencepiece import SentencePieceProcessor

    try:
        return SentencePieceProcessor(model_proto=model)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"not a model of sentencepiece: {error}") from error
