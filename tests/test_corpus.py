"""A corpus from its sources to ids, the cache that keeps it, and what becomes of both when files change."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqgen.baselines import BASELINES
from seqgen.corpus import Corpus, cache_folder, clean_cache, prepare, read_split, reopen, summarize
from seqgen.errors import DataError, UsageError
from seqgen.splits import SPLITS
from seqgen.tokenizers import DOCUMENT, TOKENIZERS
from tests.test_modalities import titles, wrapped_prose

every_tokenizer = pytest.mark.parametrize("kind", TOKENIZERS)
PROSE = wrapped_prose(4) + "Ünïcödé, once.\n"


def write(name: str, text: str = PROSE) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return name


def prepared(*sources: str, tokenizer: dict[str, Any] | None = None, **settings: Any) -> Corpus:
    return prepare({"corpus": {"sources": sources, **settings}, "tokenizer": tokenizer or {}})


def text_of(corpus: Corpus, name: str) -> str:
    return corpus.tokenizer.decode(corpus.splits[name].ids)


def entries() -> list[str]:
    return sorted(path.name for path in cache_folder().iterdir())


def reopened(corpus: Corpus) -> Corpus:
    return reopen(corpus.settings, corpus.tokenizer_settings, corpus.folder.name, corpus.digest)


# From sources to ids


@every_tokenizer
def test_the_splits_together_are_the_text(kind: str) -> None:
    corpus = prepared(write("a.txt"), tokenizer={"kind": kind})
    assert "".join(text_of(corpus, name) for name in SPLITS) == PROSE
    assert [round(split.characters / len(PROSE), 2) for split in corpus.splits.values()] == [0.9, 0.05, 0.05]
    assert corpus.characters == len(PROSE)
    assert (corpus.documents, corpus.split_by) == (1, "position")


@every_tokenizer
def test_every_document_is_opened_by_the_document_symbol_and_it_stands_nowhere_else(kind: str) -> None:
    corpus = prepared(write("titles.txt", titles(300)), tokenizer={"kind": kind})
    for split in corpus.splits.values():
        assert np.flatnonzero(split.ids == DOCUMENT).tolist() == split.starts.tolist()
        assert len(split) == len(split.ids)
        assert int(split.ids.max()) < corpus.tokenizer.size


@pytest.mark.parametrize("characters", [1, 238, 239, 240, 300])
def test_ids_of_an_alphabet_of_every_size_are_kept_whole(characters: int) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + characters))) * 2
    corpus = prepared(write("a.txt", text), split="100/0/0")
    assert corpus.tokenizer.size == 1 + 16 + characters
    assert text_of(corpus, "train") == text


def test_two_thousand_titles_are_two_thousand_documents() -> None:
    unique = "".join(f"{index}. {line}\n" for index, line in enumerate(titles(2000).splitlines()))
    corpus = prepared(write("titles.txt", unique))
    assert (corpus.documents, corpus.split_by, corpus.settings.documents) == (2000, "document", "line")
    assert sum(len(split.starts) for split in corpus.splits.values()) == 2000


def test_equal_titles_are_never_on_both_sides() -> None:
    corpus = prepared(write("titles.txt", titles(200) * 3), documents="line")
    sides = []
    for split in corpus.splits.values():
        pieces = np.split(split.ids, split.starts[1:])
        sides.append({corpus.tokenizer.decode(piece) for piece in pieces})
    assert corpus.split_by == "document"
    assert all(sides)
    assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]


def test_the_alphabet_is_learned_from_the_training_text_alone() -> None:
    corpus = prepared(write("a.txt", "ab" * 90 + "z" * 20), tokenizer={"min_count": 1})
    assert corpus.tokenizer.unknown("abz") == ["z"]
    assert text_of(corpus, "test") == "z" * 10


def test_every_guess_is_resolved_and_paths_are_absolute() -> None:
    write("c/a.txt")
    corpus = prepared("c", write("b.txt"), "c/*.txt", split="80/10/10")
    here = str(Path.cwd())
    assert corpus.settings.sources == (f"{here}/c", f"{here}/b.txt", f"{here}/c/*.txt")
    assert (corpus.settings.kind, corpus.settings.documents, corpus.settings.split) == ("text", "file", "80/10/10")


def test_what_was_asked_for_is_not_guessed() -> None:
    corpus = prepared(write("titles.txt", titles(300)), documents="file", kind="code")
    assert (corpus.documents, corpus.settings.kind) == (1, "code")


def test_what_is_left_out_is_kept_with_the_corpus() -> None:
    write("c/a.txt")
    Path("c/b.bin").write_bytes(b"\0")
    assert prepared("c").left_out == {"binary": [str(Path("c/b.bin").absolute())]}
    assert prepared("c").left_out == {"binary": [str(Path("c/b.bin").absolute())]}


def test_a_folder_that_the_kind_leaves_out_is_not_learned() -> None:
    write("c/a.py", "x = 1\n" * 200)
    write("c/build/lib/a.py", "y = 2\n" * 300)
    corpus = prepared("c")
    assert (corpus.settings.kind, corpus.characters) == ("code", 6 * 200)
    assert corpus.left_out == {"build output": [str(Path("c/build").absolute())]}
    assert read_split(("c",), corpus.settings, corpus.tokenizer, None).characters == 6 * 200


def test_baselines_stand_beside_what_is_kept_apart() -> None:
    corpus = prepared(write("a.txt", "the cat sat on the mat. " * 200))
    assert corpus.splits["train"].baselines == {}
    for name in ("valid", "test"):
        figures = corpus.splits[name].baselines
        assert set(figures) == set(BASELINES)
        assert 0 < figures["6-gram"] < 0.3 < figures["unigram"]


def test_without_anything_kept_apart_there_are_no_baselines() -> None:
    corpus = prepared(write("a.txt"), split="100/0/0")
    assert text_of(corpus, "train") == PROSE
    assert [len(corpus.splits[name]) for name in SPLITS[1:]] == [0, 0]
    assert [corpus.splits[name].baselines for name in SPLITS[1:]] == [{}, {}]


def test_standard_input_is_a_corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PROSE.encode())))
    corpus = prepared("-")
    assert corpus.settings.sources == ("-",)
    assert corpus.characters == len(PROSE)


# What cannot be used


@pytest.mark.parametrize("content", ["", " \n\t\n"])
def test_an_empty_file_is_no_corpus(content: str) -> None:
    with pytest.raises(DataError, match="no text in it") as caught:
        prepared(write("nothing.txt", content), documents="line")
    assert str(caught.value.where).endswith("nothing.txt")


def test_a_folder_without_text_is_no_corpus_and_says_what_it_has_left_out() -> None:
    write("c/.hidden")
    for name in ("a.bin", "b.bin"):
        Path("c", name).write_bytes(b"\0")
    with pytest.raises(DataError, match=r"no text in it \(left out: 1 hidden; 2 binary\)"):
        prepared("c")


def test_nothing_is_no_corpus() -> None:
    with pytest.raises(DataError, match="no text in it"):
        prepared()


@pytest.mark.parametrize("settings", [{"kind": "poetry"}, {"encoding": "nonsense"}, {"tokenizer": {"kind": "words"}}])
def test_an_unknown_kind_encoding_or_tokenizer_is_refused_before_anything_is_read(settings: dict[str, Any]) -> None:
    Path("a.bin").write_bytes(b"\0")
    with pytest.raises(UsageError, match="there is no"):
        prepared("a.bin", **settings)


@pytest.mark.parametrize("settings", [{"documents": ""}, {"split": "50/50"}])
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        prepared(write("a.txt"), **settings)


def test_an_encoding_error_names_file_and_byte_and_goes_away_when_the_encoding_is_named() -> None:
    Path("menu.txt").write_bytes("café au lait\n".encode("latin-1") * 20)
    with pytest.raises(DataError, match=r"menu.txt: not utf-8 at byte 3 \(0xe9\)"):
        prepared("menu.txt")
    corpus = prepared("menu.txt", encoding="latin-1")
    assert text_of(corpus, "train").startswith("café au lait\n")
    assert corpus.settings.encoding == "latin-1"


def test_a_cache_that_cannot_be_written_is_an_error_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQGEN_CACHE", str(Path(write("file.txt")) / "cache"))
    with pytest.raises(DataError, match="cannot be written") as caught:
        prepared("file.txt")
    assert "SEQGEN_CACHE" in str(caught.value.hint)


# The cache


def test_a_second_time_the_corpus_is_found_and_the_same() -> None:
    first = prepared(write("a.txt"))
    second = prepared("a.txt")
    assert (first.fresh, second.fresh) == (True, False)
    assert (second.folder, second.digest, second.settings) == (first.folder, first.digest, first.settings)
    assert second.tokenizer.to_json() == first.tokenizer.to_json()
    for name in SPLITS:
        assert np.array_equal(first.splits[name].ids, second.splits[name].ids)
        assert first.splits[name].baselines == second.splits[name].baselines
    assert entries() == [first.folder.name]


def test_a_cached_corpus_is_mapped_and_not_held_in_memory() -> None:
    assert isinstance(prepared(write("a.txt")).splits["train"].ids, np.memmap)


def test_a_changed_file_is_prepared_again() -> None:
    first = prepared(write("c/a.txt"))
    write("c/a.txt", PROSE + "more")
    second = prepared("c/a.txt")
    assert second.fresh
    assert second.digest != first.digest
    assert second.characters == len(PROSE) + 4


def test_a_file_of_the_same_size_is_prepared_again_by_its_time() -> None:
    prepared(write("a.txt"))
    write("a.txt", PROSE.upper())
    os.utime("a.txt", ns=(0, 0))
    assert prepared("a.txt").fresh


def test_a_file_that_was_added_to_a_folder_is_read() -> None:
    write("c/a.txt")
    prepared("c")
    write("c/b.txt")
    assert prepared("c").documents == 2


@pytest.mark.parametrize(
    "other", [{"split": "80/10/10"}, {"documents": "line"}, {"kind": "code"}, {"tokenizer": {"kind": "bytes"}}]
)
def test_other_settings_are_another_entry(other: dict[str, Any]) -> None:
    first = prepared(write("a.txt"))
    assert prepared("a.txt", **other).fresh
    assert not prepared("a.txt").fresh
    assert len(entries()) == 2
    assert prepared("a.txt").digest == first.digest


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("umask", [0o022, 0])
def test_the_cache_is_for_its_owner_alone(umask: int) -> None:
    before = os.umask(umask)
    try:
        corpus = prepared(write("a.txt"))
    finally:
        os.umask(before)
    for folder in (corpus.folder, cache_folder()):
        assert stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0


def test_an_entry_in_a_folder_that_others_can_read_is_still_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "open"))
    corpus = prepared(write("a.txt"))
    assert corpus.folder.parent == tmp_path / "open"
    assert stat.S_IMODE(corpus.folder.stat().st_mode) & 0o077 == 0


DAMAGE: list[tuple[str, bytes | None]] = [
    ("meta.json", b""),
    ("meta.json", b"{"),
    ("meta.json", b"null"),
    ("meta.json", b"[]"),
    ("meta.json", b"{}"),
    ("meta.json", b"\xff"),
    ("meta.json", None),
    *((f"{name}.npy", data) for name in SPLITS for data in (b"", b"\x93NUMPY", b"rubbish", None)),
    ("train-starts.npy", b""),
    ("train-starts.npy", None),
]


@pytest.mark.parametrize(("name", "data"), DAMAGE)
def test_a_damaged_entry_is_made_anew(name: str, data: bytes | None) -> None:
    corpus = prepared(write("a.txt"))
    text = text_of(corpus, "train")  # now, since the file under the map is damaged
    if data is None:
        (corpus.folder / name).unlink()
    else:
        (corpus.folder / name).write_bytes(data)
    again = prepared("a.txt")
    assert again.fresh
    assert (again.digest, again.folder) == (corpus.digest, corpus.folder)
    assert text_of(again, "train") == text
    assert entries() == [corpus.folder.name]


@pytest.mark.parametrize("name", [f"{name}{part}.npy" for name in SPLITS for part in ("", "-starts")])
def test_an_entry_that_was_cut_short_is_made_anew(name: str) -> None:
    corpus = prepared(write("a.txt"))
    path = corpus.folder / name
    path.write_bytes(path.read_bytes()[:-1])
    assert prepared("a.txt").fresh


@pytest.mark.parametrize(
    ("section", "fields"),
    [("settings", {"unheard": 1}), ("settings", {"split": "1/2"}), ("tokenizer_settings", {"kind": "words"}),
     ("tokenizer", {"code_points": [97, 97]})],
)  # fmt: skip
def test_an_entry_of_another_version_of_seqgen_is_made_anew(section: str, fields: dict[str, Any]) -> None:
    corpus = prepared(write("a.txt"))
    path = corpus.folder / "meta.json"
    meta = json.loads(path.read_text())
    meta[section].update(fields)
    path.write_text(json.dumps(meta))
    assert prepared("a.txt").fresh


def test_cleaning_the_cache_counts_what_it_removes_and_touches_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "home"))
    prepared(write("a.txt"))
    prepared(write("b.txt", titles(100)))
    size = sum(path.stat().st_size for path in cache_folder().rglob("*") if path.is_file())
    (cache_folder() / ".making-left-over").mkdir()
    (cache_folder() / "documents").mkdir()
    (cache_folder() / "documents" / "diary.txt").write_text("dear")
    (cache_folder() / "notes.txt").write_text("mine")
    assert clean_cache() == (3, size)
    assert entries() == ["documents", "notes.txt"]
    assert (cache_folder() / "documents" / "diary.txt").exists()
    assert prepared("a.txt").fresh


def test_cleaning_a_cache_that_is_not_there_removes_nothing() -> None:
    assert clean_cache() == (0, 0)
    assert not cache_folder().exists()


def test_a_digest_tells_texts_and_tokenizers_apart_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = prepared(write("a.txt"))
    assert prepared("a.txt", tokenizer={"kind": "bytes"}).digest != first.digest
    assert prepared(write("b.txt", PROSE[:-1])).digest != first.digest
    monkeypatch.setenv("SEQGEN_CACHE", str(tmp_path / "another"))
    assert prepared(write("c.txt")).digest == first.digest


# Opening again


def test_a_run_finds_its_corpus_in_the_cache_even_without_the_file() -> None:
    corpus = prepared(write("a.txt"))
    Path("a.txt").unlink()
    again = reopened(corpus)
    assert not again.fresh
    assert again.digest == corpus.digest


@pytest.mark.parametrize("source", ["a.txt", "c", "c/*.txt", "c/**/*.txt"])
def test_a_run_finds_its_corpus_from_another_folder_and_without_the_cache(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.txt")
    write("c/b.txt")
    corpus = prepared(source)
    clean_cache()
    monkeypatch.chdir(tmp_path)
    again = reopened(corpus)
    assert again.fresh
    assert again.digest == corpus.digest
    assert again.settings == corpus.settings


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_corpus_that_has_changed_is_refused_when_the_cache_is_gone(kind: str) -> None:
    corpus = prepared(write("a.txt"), tokenizer={"kind": kind})
    clean_cache()
    write("a.txt", PROSE.replace("river", "brook"))
    with pytest.raises(DataError, match="changed since this training began") as caught:
        reopened(corpus)
    assert caught.value.where == str(Path("a.txt").absolute())


def test_an_entry_of_another_text_is_not_taken_for_the_corpus() -> None:
    corpus, other = prepared(write("a.txt")), prepared(write("b.txt", titles(100)))
    again = reopen(corpus.settings, corpus.tokenizer_settings, other.folder.name, corpus.digest)
    assert again.digest == corpus.digest


def test_a_corpus_that_is_gone_is_named() -> None:
    corpus = prepared(write("a.txt"))
    clean_cache()
    Path("a.txt").unlink()
    with pytest.raises(DataError) as caught:
        reopened(corpus)
    assert caught.value.where == str(Path("a.txt").absolute())


def test_standard_input_cannot_be_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    write("-", "a file of that name is something else")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PROSE.encode())))
    corpus = prepared("-")
    assert reopened(corpus).digest == corpus.digest
    clean_cache()
    with pytest.raises(DataError, match="standard input"):
        reopened(corpus)


# Other text, and summaries


@every_tokenizer
def test_other_text_is_encoded_whole_with_the_tokenizer_of_the_model(kind: str) -> None:
    corpus = prepared(write("a.txt"), tokenizer={"kind": kind})
    write("other/x.txt", "A letter, 漢字.\r\n")
    write("other/y.txt", "Another.\n")
    split = read_split(("other",), corpus.settings, corpus.tokenizer, corpus.splits["train"])
    assert corpus.tokenizer.decode(split.ids) == "A letter, 漢字.\nAnother.\n"
    assert (len(split.starts), split.characters) == (2, len("A letter, 漢字.\nAnother.\n"))
    assert set(split.baselines) == set(BASELINES)
    assert read_split(("other",), corpus.settings, corpus.tokenizer, None).baselines == {}


def test_other_text_must_hold_text() -> None:
    corpus = prepared(write("a.txt"))
    with pytest.raises(DataError, match="no text in it"):
        read_split((write("nothing.txt", ""),), corpus.settings, corpus.tokenizer, None)


@every_tokenizer
def test_the_alphabet_is_what_occurs_sorted_by_frequency(kind: str) -> None:
    text = "eeeetttaaon é" * 40
    corpus = prepared(write("a.txt", text), tokenizer={"kind": kind}, split="100/0/0")
    summary = summarize(corpus)
    alphabet = summary["alphabet"]
    assert alphabet.startswith("eta")
    assert sorted(alphabet) == sorted(set(text) if kind == "characters" else set(text) - {"é"})
    assert json.loads(json.dumps(summary)) == summary


def test_a_summary_counts_documents_characters_and_symbols() -> None:
    corpus = prepared(write("titles.txt", titles(300)), tokenizer={"kind": "bytes"})
    summary = summarize(corpus)
    assert (summary["documents"], summary["documents_are"], summary["kind"]) == (300, "line", "text")
    parts = summary["splits"]
    assert sum(part["documents"] for part in parts.values()) == 300
    assert sum(part["characters"] for part in parts.values()) == summary["characters"] == len(titles(300)) - 300
    assert all(part["symbols"] == part["characters"] + part["documents"] for part in parts.values())
