"""Symbols <-> ids. A tokenizer is one file here and one line in ``TOKENIZERS``."""

from __future__ import annotations

from seqgen.tokenizers.base import DOCUMENT, Decoder, Ids, Opening, Tokenizer, bytes_of, id_type, text_of
from seqgen.tokenizers.bytes import ByteTokenizer
from seqgen.tokenizers.characters import CharacterTokenizer
from seqgen.tokenizers.pieces import BpeTokenizer, UnigramTokenizer
from seqgen.tokenizers.symbols import SymbolTokenizer

__all__ = ["DOCUMENT", "TOKENIZERS", "Decoder", "Ids", "Opening", "Tokenizer", "bytes_of", "id_type", "text_of"]

TOKENIZERS: dict[str, type[Tokenizer]] = {
    CharacterTokenizer.name: CharacterTokenizer,
    ByteTokenizer.name: ByteTokenizer,
    BpeTokenizer.name: BpeTokenizer,
    UnigramTokenizer.name: UnigramTokenizer,
    SymbolTokenizer.name: SymbolTokenizer,
}
