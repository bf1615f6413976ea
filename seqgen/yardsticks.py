"""What simple methods need for the held-out splits of a corpus: the best n-gram, and xz."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from seqgen.baselines import count_baselines, xz_bits
from seqgen.splits import Split
from seqgen.tokenizers import Tokenizer, bytes_of

XZ = "xz -9"
XZ_SYMBOLS = 64 << 20
"""Symbols of the training text that xz is shown: what came before is out of its reach."""


def count(splits: Mapping[str, Split], tokenizer: Tokenizer) -> dict[str, dict[str, float]]:
    """What counting alone needs for "valid" and "test" after "train", in bits per character: by the model's own symbols, and
    by characters where those differ.
    """
    characters = {name: split.characters for name, split in splits.items()}
    ids = {name: split.ids for name, split in splits.items()}
    counted = count_baselines(ids["train"], ids["valid"], ids["test"], tokenizer.size, characters)
    if len(splits["train"]) > 0.9 * characters["train"]:
        return counted
    texts = {name: tokenizer.decode(part).encode("utf-32-le", "surrogatepass") for name, part in ids.items()}
    points = {name: np.frombuffer(text, np.uint32) for name, text in texts.items()}
    alphabet = np.unique(np.concatenate([np.unique(part) for part in points.values()]))
    points = {name: np.searchsorted(alphabet, part).astype(np.int32) for name, part in points.items()}
    by_character = count_baselines(points["train"], points["valid"], points["test"], len(alphabet), characters)
    return {
        name: {**counted[name], **{f"{other} of characters": bits for other, bits in by_character[name].items()}}
        for name in counted
    }


def compress(learned: Split, held_out: Split, tokenizer: Tokenizer) -> dict[str, float]:
    """What xz needs for a held-out text once it has seen the training text, in bits per character."""
    seen, new = (bytes_of(tokenizer.decode(split.ids[-XZ_SYMBOLS:])) for split in (learned, held_out))
    return {XZ: xz_bits(seen, new) / max(1, held_out.characters)}
