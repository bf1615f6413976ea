"""Symbols <-> ids. A tokenizer is one file here and one line in ``TOKENIZERS``."""

from __future__ import annotations

from seqgen.tokenizers.base import (
    DOCUMENT,
    Decoder,
    Ids,
    Opening,
    Tokenizer,
    alphabet_of,
    bytes_of,
    id_type,
    text_of,
)
from seqgen.tokenizers.bytes import ByteTokenizer
from seqgen.tokenizers.characters import CharacterTokenizer
from seqgen.tokenizers.frames import FramesTokenizer
from seqgen.tokenizers.melody import MelodyTokenizer
from seqgen.tokenizers.notes import RemiTokenizer, TsdTokenizer
from seqgen.tokenizers.pieces import BpeTokenizer, UnigramTokenizer
from seqgen.tokenizers.symbols import SymbolTokenizer
from seqgen.tokenizers.voices import VoicesTokenizer

__all__ = [
    "DOCUMENT",
    "TOKENIZERS",
    "Decoder",
    "Ids",
    "Opening",
    "Tokenizer",
    "alphabet_of",
    "bytes_of",
    "id_type",
    "text_of",
]

TOKENIZERS: dict[str, type[Tokenizer]] = {
    CharacterTokenizer.name: CharacterTokenizer,
    ByteTokenizer.name: ByteTokenizer,
    BpeTokenizer.name: BpeTokenizer,
    UnigramTokenizer.name: UnigramTokenizer,
    SymbolTokenizer.name: SymbolTokenizer,
    FramesTokenizer.name: FramesTokenizer,
    VoicesTokenizer.name: VoicesTokenizer,
    MelodyTokenizer.name: MelodyTokenizer,
    RemiTokenizer.name: RemiTokenizer,
    TsdTokenizer.name: TsdTokenizer,
}
