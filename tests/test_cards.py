"""The corpora that have a name: every card is a proper one, and one that is not is refused by its file."""

from __future__ import annotations

import sys
from pathlib import Path, PurePath
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from seqgen import cards
from seqgen.cards import card_names, cards_folder, load_card
from seqgen.errors import DataError, UsageError
from seqgen.modalities import MODALITIES
from seqgen.recipe import CorpusSettings
from seqgen.sources import LeftOut, documents_of, find_sources, kind_of

every_card = pytest.mark.parametrize("name", card_names())
on_this_machine = pytest.mark.parametrize("name", [name for name in card_names() if not load_card(name).address])
HERE: dict[str, Any] = {"folder": "texts", "suffixes": [".txt"], "exclude": ["old"]}
TOPICS: dict[str, Any] = {"module": "pydoc_data.topics", "attribute": "topics"}
WEB: dict[str, Any] = {"url": "https://example.org/a.txt", "sha256": "0" * 64, "size": 12, "file": "a.txt"}
MINE: dict[str, Any] = {
    "title": "My poems",
    "kind": "text",
    "documents": "blank-line",
    "licence": "mine",
    "split": "80/10/10",
    "source": HERE,
}


def write(card: dict[str, Any], name: str = "poems") -> Path:
    Path("corpora").mkdir(exist_ok=True)
    path = Path("corpora", f"{name}.toml")
    path.write_text(tomli_w.dumps(card), encoding="utf-8")
    return path.absolute()


def refuse(name: str = "poems") -> DataError:
    """The error of a card that is refused; it names the file and helps."""
    with pytest.raises(DataError) as caught:
        load_card(name)
    assert caught.value.where == str(Path("corpora", f"{name}.toml").absolute())
    assert caught.value.hint
    return caught.value


def test_there_are_cards_and_each_file_is_one() -> None:
    assert {"python", "manual", "tiny-shakespeare"} <= set(card_names())
    assert card_names() == sorted(path.stem for path in cards_folder().iterdir() if path.suffix == ".toml")


@every_card
def test_a_card_says_what_it_is_and_under_which_licence(name: str) -> None:
    card = load_card(name)
    assert card.name == name and card.path.stem == name
    assert card.kind in MODALITIES
    assert card.documents in ("file", "line", "blank-line", "conversation")
    assert all((card.title, card.licence, card.about))
    assert CorpusSettings(split=card.split).shares


def test_the_splits_are_those_of_the_comparisons() -> None:
    assert {name: load_card(name).split for name in ("python", "manual", "tiny-shakespeare")} == {
        "python": "90/5/5",
        "manual": "90/5/5",
        "tiny-shakespeare": "90/10/0",
    }


def test_the_card_of_python_reads_this_pythons_own_library() -> None:
    sources, _ = find_sources(("python",), LeftOut())
    assert Path(str(sys.modules["pathlib"].__file__)).name in {source.place.name for source in sources}


@on_this_machine
def test_a_card_names_sources_of_its_own_which_can_be_read(name: str) -> None:
    sources, card = find_sources((name,), LeftOut())
    assert card == load_card(name)
    if card.documents == "conversation":  # many in a file
        assert sum(Path(source.path).stat().st_size for source in sources if source.path) > 100_000
    else:
        assert len(sources) > 20
    assert all(source.name.startswith(f"{name}:") and not source.asked_for for source in sources)
    assert len({source.name for source in sources}) == len(sources)
    filled = 0
    for source in sources[:20]:
        with source.open() as file:
            filled += bool(file.read(1))
    assert filled > min(10, len(sources) - 1)
    assert sources == find_sources((name,), LeftOut())[0]


@on_this_machine
def test_kind_and_documents_are_what_the_card_says(name: str) -> None:
    sources, card = find_sources((name,), LeftOut())
    assert card
    assert kind_of(sources, card) == card.kind
    assert documents_of(sources, card.kind, card, "utf-8")[0] == card.documents


@pytest.mark.parametrize("name", [name for name in card_names() if "folder" in load_card(name).source])
def test_a_card_of_a_folder_keeps_to_its_endings_and_leaves_out_what_it_excludes(name: str) -> None:
    left_out = LeftOut()
    card = load_card(name)
    sources, _ = find_sources((name,), left_out)
    for source in sources:
        assert source.path
        inside = Path(source.path).relative_to(card.folder.absolute())
        assert inside.suffix in card.source["suffixes"]
        assert not set(inside.parts[:-1]) & set(card.source.get("exclude", ()))
    assert {PurePath(path).name for path in left_out.names.get("excluded by the card", ())} <= set(
        card.source.get("exclude", ())
    )


def test_only_a_card_with_a_url_has_an_address() -> None:
    assert load_card("python").address is load_card("manual").address is None
    address = load_card("tiny-shakespeare").address
    assert address
    assert (address.size, address.sha256[:8]) == (1_115_394, "86c4e6aa")


@pytest.mark.parametrize("name", ["nothing", "", "../pyproject", "python.toml", "*", "..", "."])
def test_an_unknown_card_is_refused_with_the_names_of_all(name: str) -> None:
    with pytest.raises(DataError) as caught:
        load_card(name)
    assert all(known in str(caught.value.hint) for known in card_names())


@pytest.mark.parametrize(("typed", "meant"), [("pyton", "python"), ("tinyshakespeare", "tiny-shakespeare")])
def test_an_unknown_card_suggests_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(DataError) as caught:
        load_card(typed)
    assert f"Did you mean {meant}?" in str(caught.value.hint)


@pytest.mark.parametrize("source", [HERE, TOPICS, WEB, {"folder": "/srv/texts"}, {**WEB, "file": "été 1.tar.gz"}])
def test_a_card_of_ones_own_is_found_in_this_folder(source: dict[str, Any]) -> None:
    before = card_names()
    path = write({**MINE, "source": source, "about": "Written at sea."})
    assert set(card_names()) == {*before, "poems"}
    card = load_card("poems")
    assert (card.title, card.split, card.about, card.source) == ("My poems", "80/10/10", "Written at sea.", source)
    assert card.path == path


def test_a_folder_of_a_card_of_ones_own_begins_where_the_card_lies() -> None:
    write(MINE)
    assert load_card("poems").folder == Path("corpora/texts").absolute()
    write({**MINE, "source": {"folder": "/srv/texts"}})
    assert load_card("poems").folder == Path("/srv/texts").absolute()


def test_a_card_of_ones_own_comes_before_one_of_the_package_and_is_listed_once() -> None:
    before = card_names()
    write(MINE, "python")
    assert card_names() == before
    assert load_card("python").title == "My poems"


def test_in_the_folder_of_the_package_itself_no_card_is_listed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    before = card_names()
    monkeypatch.chdir(cards_folder().parent)
    assert card_names() == before


def test_a_hidden_file_is_no_card() -> None:
    write(MINE, ".poems")
    write(MINE, "..")  # its stem would lead out of the folder of fetched corpora
    assert set(card_names()) == {path.stem for path in cards_folder().glob("*.toml")}


@pytest.mark.parametrize("field", list(MINE))
def test_a_missing_field_is_named(field: str) -> None:
    write({name: value for name, value in MINE.items() if name != field})
    assert f"{field} is missing" in refuse().what


@pytest.mark.parametrize(("source", "field"), [(TOPICS, "attribute"), *[(WEB, field) for field in list(WEB)[1:]]])
def test_a_missing_field_of_the_source_is_named(source: dict[str, Any], field: str) -> None:
    write({**MINE, "source": {name: value for name, value in source.items() if name != field}})
    assert f"{field} is missing" in refuse().what


@pytest.mark.parametrize(("typed", "meant"), [("license", "licence"), ("sources", "source"), ("zzz", "title, kind")])
def test_an_unknown_field_is_refused_with_the_nearest(typed: str, meant: str) -> None:
    write({**MINE, typed: "x"})
    error = refuse()
    assert repr(typed) in error.what and meant in str(error.hint)


@pytest.mark.parametrize("source", [HERE, TOPICS, WEB])
def test_an_unknown_field_of_the_source_is_refused(source: dict[str, Any]) -> None:
    write({**MINE, "source": {**source, "mirror": "x"}})
    assert "'mirror'" in refuse().what


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[(field, 3) for field in MINE],
        ("title", ["a"]),
        ("about", True),
        ("title", ""),
        ("title", "a\x1b[31m"),
        ("licence", "a\nb"),
    ],
)
def test_a_field_of_the_wrong_type_or_without_content_is_named(field: str, value: object) -> None:
    write({**MINE, field: value})
    assert field in refuse().what


@pytest.mark.parametrize(
    "wrong",
    [
        {**HERE, "suffixes": ".txt"},
        {**HERE, "suffixes": [1]},
        {**HERE, "exclude": [["a"]]},
        {**HERE, "folder": "a\0b"},
        {**HERE, "folder": ""},
        {**TOPICS, "module": "somebody.elses"},
        {**TOPICS, "module": "unittest.__main__"},
        {**TOPICS, "module": ".topics"},
        *[
            {**TOPICS, "module": module}
            for module in ("os", "winreg", "antigravity", "pydoc_data", "pydoc_data.topics.x")
        ],
        {**WEB, "size": "12"},
        {**WEB, "size": True},
        {**WEB, "size": 12.0},
        {**WEB, "size": 0},
        {**WEB, "size": -1},
        {**WEB, "sha256": "0" * 63},
        {**WEB, "sha256": "A" * 64},
        *[{**WEB, "file": file} for file in ("", ".", "..", "../a", "a/b", "a\\b", ".a", "a.", "C:a", "a" * 300)],
        *[
            {**WEB, "url": url}
            for url in (
                "file:///etc/passwd",
                "ftp://example.org/a",
                "data:,abc",
                "example.org/a",
                "https:///a",
                "https://example.org:port/a",
                "https://example.org:99999/a",
                "https://[::1/a",
                "https://me:word@example.org/a",
                "https://example.org/a b",
                "https://example.org/é",
            )
        ],
        {},
        {**HERE, **TOPICS},
        {"path": "texts"},
    ],
)
def test_a_source_that_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    write({**MINE, "source": wrong})
    refuse()


@pytest.mark.parametrize("text", ["title = ", "title", "a = 1\na = 2", "x = " + "[" * 20000, "\ufeff\0"])
def test_what_is_not_toml_is_refused(text: str) -> None:
    write(MINE).write_text(text, encoding="utf-8")
    assert "TOML" in refuse().what


def test_what_is_not_text_or_not_a_file_is_refused() -> None:
    write(MINE).write_bytes(b"title = '\xff'")
    assert "TOML" in refuse().what
    Path("corpora/folder.toml").mkdir()
    with pytest.raises(DataError, match="this is none"):
        load_card("folder")


@pytest.mark.parametrize("attribute", ["nothing", "__name__", "__dict__", "__path__"])
def test_an_attribute_that_is_no_dict_of_texts_is_refused_by_the_cards_file(attribute: str) -> None:
    path = write({**MINE, "source": {**TOPICS, "attribute": attribute}})
    with pytest.raises(DataError, match=f"pydoc_data.topics.{attribute} is no dict of texts") as caught:
        find_sources(("poems",), LeftOut())
    assert caught.value.where == str(path) and caught.value.hint


def test_a_module_that_this_python_lacks_is_refused_by_the_cards_file(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write({**MINE, "source": TOPICS})
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match="no dict of texts in this Python") as caught:
        find_sources(("poems",), LeftOut())
    assert caught.value.where == str(path)


@pytest.mark.parametrize("source", [HERE, TOPICS, WEB])
def test_a_kind_that_there_is_not_is_refused_by_the_cards_file(source: dict[str, Any]) -> None:
    path = write({**MINE, "kind": "poem", "source": source})
    with pytest.raises(DataError, match="no kind 'poem'") as caught:
        find_sources(("poems",), LeftOut())
    assert caught.value.where == str(path) and "text, code" in str(caught.value.hint)


NUMBERS = st.sampled_from(["0", "5", "10", "90", "80.5", "9.5", "100", "-5", "1e1", "", " 5", "٩٠", "x"])


@given(
    parts=st.lists(NUMBERS, min_size=1, max_size=4)
    | st.sampled_from([["90", "10", "0"], ["80.5", "10", "9.5"], ["٩٠", "10", "0"]])
)
def test_a_split_is_taken_exactly_if_the_setting_takes_it(parts: list[str]) -> None:
    split = "/".join(parts) or "-"
    try:
        meant = bool(CorpusSettings(split=split).shares)
    except UsageError:
        meant = False
    write({**MINE, "split": split})
    if meant:
        assert load_card("poems").split == split
    else:
        assert "split" in refuse().what


def test_no_card_is_read_to_list_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    write(MINE).write_text("not TOML", encoding="utf-8")
    monkeypatch.setattr(cards, "_read", None)
    assert "poems" in card_names()
