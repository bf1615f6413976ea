"""The corpora that have a name: every card in the folder can be read on this machine."""

from __future__ import annotations

import sys
from pathlib import Path, PurePath

import pytest

from seqgen.cards import card_names, cards_folder, load_card
from seqgen.errors import DataError
from seqgen.modalities import MODALITIES
from seqgen.reading import LeftOut, find_sources, guess

every_card = pytest.mark.parametrize("name", card_names())


def test_there_are_cards_and_each_file_is_one() -> None:
    assert {"python", "manual"} <= set(card_names())
    assert card_names() == sorted(path.stem for path in cards_folder().iterdir() if path.suffix == ".toml")


@every_card
def test_a_card_says_what_it_is_and_under_which_licence(name: str) -> None:
    card = load_card(name)
    assert card.name == name
    assert card.kind in MODALITIES
    assert card.documents in ("file", "line", "blank-line")
    assert all((card.title, card.licence, card.split))


@every_card
def test_a_card_names_sources_of_its_own_which_can_be_read(name: str) -> None:
    sources, card = find_sources((name,), LeftOut())
    assert card == load_card(name)
    assert len(sources) > 20
    assert all(source.name.startswith(f"{name}:") and not source.asked_for for source in sources)
    assert len({source.name for source in sources}) == len(sources)
    assert all(source.read() is not None for source in sources[:5])
    assert sources == find_sources((name,), LeftOut())[0]


@every_card
def test_kind_and_documents_are_what_the_card_says(name: str) -> None:
    sources, card = find_sources((name,), LeftOut())
    assert card
    assert guess(sources, None, card, "utf-8") == (card.kind, card.documents)


@pytest.mark.parametrize("name", [name for name in card_names() if "folder" in load_card(name).source])
def test_a_card_of_a_folder_keeps_to_its_endings_and_leaves_out_what_it_excludes(name: str) -> None:
    left_out = LeftOut()
    card = load_card(name)
    sources, _ = find_sources((name,), left_out)
    for source in sources:
        assert source.path
        inside = source.path.relative_to(card.folder.absolute())
        assert inside.suffix in card.source["suffixes"]
        assert not set(inside.parts[:-1]) & set(card.source["exclude"])
    assert {PurePath(path).name for path in left_out.names["excluded by the card"]} <= set(card.source["exclude"])


def test_the_card_of_python_reads_this_pythons_own_library() -> None:
    sources, _ = find_sources(("python",), LeftOut())
    assert Path(str(sys.modules["pathlib"].__file__)).name in {source.path.name for source in sources if source.path}


@pytest.mark.parametrize("name", ["nothing", "", "../pyproject", "python.toml", "*"])
def test_an_unknown_card_is_refused_with_the_names_of_all(name: str) -> None:
    with pytest.raises(DataError) as caught:
        load_card(name)
    assert all(known in str(caught.value.hint) for known in card_names())
