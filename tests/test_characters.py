"""Characters become ids in blocks, which are small so that they are fast, and nobody can tell."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.recipe import TokenizerSettings
from seqgen.tokenizers import characters
from seqgen.tokenizers.characters import CharacterTokenizer
from seqgen.tokenizers.spelling import FIRST_HALF_BYTE, FIRST_KNOWN

KNOWN = "aé€😀\ud800\n"
TEXTS = st.text(st.sampled_from("aé€😀\ud800\nbß文🚀\udfff\0"), max_size=40)
BLOCKS = st.sampled_from([1, 2, 3, 7, 1 << 16])
MANY_KNOWN = "".join(map(chr, range(0x3041, 0x3041 + 300)))
"""So many that an id no longer fits in a byte."""


def one_by_one(text: str, known: str) -> list[int]:
    """The ids of a text, said in the plainest way."""
    ids: list[int] = []
    for character in text:
        if character in known:
            ids.append(FIRST_KNOWN + known.index(character))
        else:
            for byte in character.encode("utf-8", "surrogatepass"):
                ids += [FIRST_HALF_BYTE + byte // 16, FIRST_HALF_BYTE + byte % 16]
    return ids


@pytest.mark.parametrize("known", ["", "a", "ab\n\0", KNOWN, KNOWN + MANY_KNOWN])
@given(text=TEXTS, block=BLOCKS)
def test_the_ids_are_those_of_the_characters_one_by_one_whatever_the_block(known: str, text: str, block: int) -> None:
    tokenizer = CharacterTokenizer(known)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(characters, "BLOCK", block)
        ids = tokenizer.encode(text)
    assert ids.tolist() == one_by_one(text, known)
    assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("known", ["", "a", KNOWN, KNOWN + MANY_KNOWN])
@given(texts=st.lists(TEXTS, min_size=1, max_size=6), block=BLOCKS)
def test_many_texts_together_have_the_ids_that_each_has_alone(known: str, texts: list[str], block: int) -> None:
    tokenizer = CharacterTokenizer(known)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(characters, "BLOCK", block)
        ids, counts = tokenizer.encode_all(texts)
    alone = [one_by_one(text, known) for text in texts]
    assert ids.tolist() == list(chain.from_iterable(alone))
    assert counts.tolist() == list(map(len, alone))


@given(texts=st.lists(TEXTS, max_size=6), block=BLOCKS, least=st.integers(1, 3))
def test_characters_are_counted_across_texts_whatever_the_block(texts: list[str], block: int, least: int) -> None:
    settings = TokenizerSettings(kind="characters", min_count=least, max_size=1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(characters, "BLOCK", block)
        tokenizer = CharacterTokenizer.build(texts, settings)
    counts = Counter("".join(texts))
    assert tokenizer.characters == "".join(sorted(each for each, count in counts.items() if count >= least))
