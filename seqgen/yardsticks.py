"""What simple methods need for the held-out splits of a corpus: the best n-gram, and xz.

Both read the text that the model reads, a line end for each document symbol, so that they pay for the ends of documents, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from seqgen.baselines import TRAINING_SYMBOLS, XZ_DICTIONARY, count_baselines, xz_bits
from seqgen.splits import Split
from seqgen.tokenizers import Tokenizer, bytes_of
from seqgen.units import BITS_PER_CHARACTER

XZ = "xz -9"
COMPRESSED = 16 << 20
"""Symbols of a held-out text at most that xz is measured on, from its beginning."""
BLOCK = 1 << 20
"""Symbols that are decoded at once."""
_CODE_POINTS = 0x110000


def count(splits: Mapping[str, Split], tokenizer: Tokenizer) -> dict[str, dict[str, float]]:
    """What counting alone needs for "valid" and "test" after "train", in bits per character: by the model's own symbols, and
    by characters where those differ.
    """
    train, valid, test = (splits[name] for name in ("train", "valid", "test"))
    if len(valid) + len(test) < 2:
        return {"valid": {}, "test": {}}
    characters = {name: split.characters for name, split in splits.items()}
    counted = count_baselines(train.ids, valid.ids, test.ids, tokenizer.size, characters)
    if tokenizer.unit == BITS_PER_CHARACTER and len(train) <= 0.9 * train.characters:
        alphabet = np.zeros(_CODE_POINTS, dtype=np.bool_)
        points = [_code_points(split, tokenizer, alphabet) for split in (train, valid, test)]
        ids = (np.cumsum(alphabet) - 1).astype(np.min_scalar_type(int(alphabet.sum())))
        learned, first, second = (ids[part] for part in points)
        by_character = count_baselines(learned, first, second, int(alphabet.sum()), characters)
        for name, figures in by_character.items():
            counted[name] |= {f"{baseline} of characters": bits for baseline, bits in figures.items()}
    if len(train) <= TRAINING_SYMBOLS:
        return counted
    part = f"(from {TRAINING_SYMBOLS / 1e6:.0f} million symbols)"
    return {name: {f"{each} {part}": bits for each, bits in figures.items()} for name, figures in counted.items()}


def compress(learned: Split, held_out: Split, tokenizer: Tokenizer) -> dict[str, float]:
    """What xz needs for a held-out text once it has seen the training text, in bits per character."""
    first = max(0, len(learned) - XZ_DICTIONARY)  # a symbol is a byte at least, nearly always: no more is in its reach
    seen = b"".join(map(bytes_of, _texts(learned, tokenizer, first, len(learned))))
    new = "".join(_texts(held_out, tokenizer, 0, COMPRESSED))
    return {XZ: xz_bits(seen, bytes_of(new)) / max(1, len(new) - int((held_out.starts < COMPRESSED).sum()))}


def _texts(split: Split, tokenizer: Tokenizer, first: int, last: int) -> Iterator[str]:
    """The text of these symbols in pieces, a line end for each document symbol."""
    line_end = tokenizer.encode("\n")
    for start in range(first, min(last, len(split)), BLOCK):
        ids = split.ids[start : min(start + BLOCK, last)]
        inside = (
            split.starts[np.searchsorted(split.starts, start) : np.searchsorted(split.starts, start + len(ids))] - start
        )
        yield tokenizer.decode(np.insert(ids, np.repeat(inside, len(line_end)), np.tile(line_end, len(inside))))


def _code_points(split: Split, tokenizer: Tokenizer, alphabet: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint32]:
    """The characters of a split, as many as a baseline learns from; they are marked in the alphabet."""
    parts, length = [np.zeros(0, dtype=np.uint32)], 0
    for text in _texts(split, tokenizer, 0, len(split)):
        parts.append(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32))
        alphabet[parts[-1]] = True
        length += len(text)
        if length >= TRAINING_SYMBOLS:
            break
    return np.concatenate(parts)
