"""The cache of prepared corpora: what is found in it, what makes another entry, and what becomes of a damaged one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from seqgen import cache, yardsticks
from seqgen import corpus as preparation
from seqgen.cache import SplitWriter, clean_cache
from seqgen.errors import DataError
from seqgen.folders import cache_folder
from seqgen.splits import SPLITS
from seqgen.tokenizers import DOCUMENT, Tokenizer
from seqgen.tokenizers.bytes import ByteTokenizer
from seqgen.tokenizers.characters import CharacterTokenizer
from seqgen.tokenizers.trials import remember
from tests.corpora import PROSE, prepared, text_of, write
from tests.test_modalities import titles


def entries() -> list[str]:
    """What lies in the cache, but for its lock and the models that are known to be harmless."""
    return sorted(path.name for path in cache_folder().glob("*") if path.name not in (".lock", "known-models"))


def test_a_second_time_the_corpus_is_found_and_the_same() -> None:
    first = prepared(write("a.txt"))
    second = prepared("a.txt")
    assert (first.fresh, second.fresh) == (True, False)
    assert (second.folder, second.digest, second.settings) == (first.folder, first.digest, first.settings)
    assert second.tokenizer.to_bytes() == first.tokenizer.to_bytes()
    for name in SPLITS:
        assert np.array_equal(first.splits[name].ids, second.splits[name].ids)
    assert entries() == [first.folder.name]


@pytest.mark.parametrize("tokenizer", [CharacterTokenizer("ab€"), CharacterTokenizer(""), ByteTokenizer()])
@given(
    documents=st.lists(st.lists(st.text(st.sampled_from("ab€é\ud800😀"), min_size=1), min_size=1), max_size=8),
    together=st.sampled_from([1, 2, 5, 1 << 16]),
)
def test_a_split_is_written_as_its_documents_are_encoded_one_by_one(
    tokenizer: Tokenizer, documents: list[list[str]], together: int
) -> None:
    ids: list[int] = []
    starts: list[int] = []
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryFile() as file:
        patch.setattr(cache, "_TOGETHER", together)
        writer = SplitWriter(file, tokenizer)
        for pieces in documents:
            starts.append(len(ids))
            ids += [DOCUMENT, *(symbol for piece in pieces for symbol in tokenizer.encode(piece).tolist())]
            for place, piece in enumerate(pieces):
                writer.write(piece, opens=place == 0)
        about = writer.finish()
        file.seek(0)
        written = file.read()
    assert np.frombuffer(written, about["dtype"]).tolist() == ids
    assert writer.starts.tolist() == starts
    assert about["digest"] == hashlib.sha256(written).hexdigest()
    assert (about["symbols"], about["characters"]) == (len(ids), sum(map(len, chain.from_iterable(documents))))


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
    *((f"{name}.ids", data) for name in SPLITS for data in (b"", b"rubbish", None)),
    *((f"{name}.npy", data) for name in ("train-starts", "lengths") for data in (b"", b"\x93NUMPY", b"rubbish", None)),
    *(("tokenizer.json", data) for data in (b"", b"{}", b"\xff", b'{"code_points": [97, 97]}', None)),
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


@pytest.mark.parametrize(
    "name", ["lengths.npy", *(f"{name}{part}" for name in SPLITS for part in (".ids", "-starts.npy"))]
)
def test_an_entry_that_was_cut_short_is_made_anew(name: str) -> None:
    corpus = prepared(write("a.txt"))
    path = corpus.folder / name
    path.write_bytes(path.read_bytes()[:-1])
    assert prepared("a.txt").fresh


@pytest.mark.parametrize(
    ("section", "fields"),
    [("settings", {"unheard": 1}), ("settings", {"split": "1/2"}), ("tokenizer_settings", {"kind": "words"})],
)
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
    assert clean_cache() == (2, size)
    assert entries() == ["documents", "notes.txt"]
    assert (cache_folder() / "documents" / "diary.txt").exists()
    assert prepared("a.txt").fresh


def test_cleaning_the_cache_forgets_the_known_models_and_keeps_what_is_not_its_own() -> None:
    known = cache_folder() / "known-models"
    remember(b"one")
    clean_cache()
    assert not known.exists()
    remember(b"two")
    (known / "mine.model").touch()
    clean_cache()
    assert [path.name for path in known.iterdir()] == ["mine.model"]


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


def test_a_cache_that_cannot_be_written_is_an_error_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQGEN_CACHE", str(Path(write("file.txt")) / "cache"))
    with pytest.raises(DataError, match="cannot be written") as caught:
        prepared("file.txt")
    assert "SEQGEN_CACHE" in str(caught.value.hint)


def test_a_card_that_was_changed_is_prepared_again() -> None:
    write("texts/a.txt")
    card = {"title": "Mine", "kind": "text", "documents": "file", "licence": "mine", "split": "80/10/10"}
    for split in ("80/10/10", "60/20/20"):
        write("corpora/mine.toml", tomli_w.dumps({**card, "split": split, "source": {"folder": "../texts"}}))
        assert prepared("mine").settings.split == split


# Baselines


class Counted:
    """A function that counts its calls."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls, self._real = 0, getattr(yardsticks, name)
        monkeypatch.setattr(yardsticks, name, self)

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        return self._real(*arguments)


def test_baselines_are_counted_once_and_then_found(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counted("count_baselines", monkeypatch)
    assert prepared(write("a.txt")).splits["test"].baselines == {}
    first = prepared("a.txt").with_baselines()
    second = prepared("a.txt").with_baselines()
    assert counting.calls == 1
    assert first.splits["test"].baselines == second.splits["test"].baselines != {}
    assert json.loads((first.folder / "baselines.json").read_bytes()) == {
        name: split.baselines for name, split in second.splits.items() if name != "train"
    }


def test_what_xz_needs_is_measured_once_for_each_split(monkeypatch: pytest.MonkeyPatch) -> None:
    measuring = Counted("xz_bits", monkeypatch)
    prepared(write("a.txt")).with_baselines().with_xz("test")
    both = prepared("a.txt").with_baselines().with_xz("test").with_xz("valid").with_xz("train")
    assert measuring.calls == 2
    again = prepared("a.txt").with_baselines().with_xz("test").with_xz("valid")
    assert measuring.calls == 2
    for name in ("valid", "test"):
        assert set(both.splits[name].baselines) >= {"unigram", "xz -9"}
        assert again.splits[name].baselines == both.splits[name].baselines


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"\xff", b'{"valid": 1}', b'{"test": {"unigram": "many"}}', b'{"test": {}}']
)
def test_damaged_baselines_are_counted_again(data: bytes) -> None:
    wanted = prepared(write("a.txt")).with_baselines()
    (wanted.folder / "baselines.json").write_bytes(data)
    again = prepared("a.txt").with_baselines()
    assert again.splits["test"].baselines == wanted.splits["test"].baselines
    assert prepared("a.txt").splits["test"].baselines == wanted.splits["test"].baselines


def test_baselines_that_cannot_be_kept_are_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    corpus = prepared(write("a.txt"))
    monkeypatch.setattr(Path, "write_text", full)
    assert corpus.with_baselines().with_xz("test").splits["test"].baselines.keys() >= {"unigram", "xz -9"}


# Writing


def test_an_entry_that_was_not_finished_leaves_nothing() -> None:
    write("c/a.txt")
    with pytest.raises(DataError, match="no text"):
        prepared(write("empty.txt", ""))
    assert entries() == []


def test_an_entry_that_another_process_made_meanwhile_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = cache.open_entry
    first = prepared(write("a.txt"), tokenizer={"kind": "characters"})
    before = (first.folder / "meta.json").stat().st_ino

    def not_yet(folder: Path) -> Any:
        monkeypatch.setattr(preparation, "open_entry", opened)
        raise FileNotFoundError

    monkeypatch.setattr(preparation, "open_entry", not_yet)
    second = prepared("a.txt", tokenizer={"kind": "characters"})
    assert second.fresh and second.digest == first.digest
    assert (first.folder / "meta.json").stat().st_ino == before


def test_of_two_that_make_the_same_entry_at_once_one_installs_it_and_both_have_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = prepared(write("a.txt"))
    (first.folder / "meta.json").unlink()
    ready, removed = threading.Barrier(2, timeout=20), list[Path]()
    commit, remove = cache.EntryWriter.commit, shutil.rmtree

    def commit_together(*arguments: Any) -> None:
        ready.wait()
        commit(*arguments)

    def remove_slowly(path: Path, **options: Any) -> None:
        remove(path, **options)
        if path == first.folder:
            removed.append(path)
            time.sleep(0.3)

    monkeypatch.setattr(cache.EntryWriter, "commit", commit_together)
    monkeypatch.setattr(shutil, "rmtree", remove_slowly)
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(prepared, ["a.txt", "a.txt"]))
    assert [corpus.digest for corpus in both] == [first.digest, first.digest]
    assert removed == [first.folder] and entries() == [first.folder.name]


def test_a_cache_that_another_process_keeps_to_itself_is_an_error_and_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "PATIENCE", 0.1)
    cache_folder().mkdir()
    with FileLock(cache_folder() / ".lock"):
        with pytest.raises(DataError, match="another seqgen") as caught:
            prepared(write("a.txt"))
        assert caught.value.hint
        with pytest.raises(DataError, match="another seqgen"):
            clean_cache()
    assert entries() == []


MAKING = """
import time
from seqgen.cache import new_entry
from seqgen.folders import cache_folder
from seqgen.tokenizers import TOKENIZERS
with new_entry(cache_folder() / ("0" * 32), TOKENIZERS["bytes"]()):
    print("making", flush=True)
    time.sleep(60)
"""


def test_what_is_in_the_making_stays_while_its_process_lives_and_goes_after_it_was_killed() -> None:
    def making() -> list[str]:
        return [name for name in entries() if name.startswith(".making-")]

    command = [sys.executable, "-c", MAKING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(cache.__file__).parents[1]) as process:
        assert process.stdout is not None and process.stdout.readline().strip() == b"making"
        here = making()
        corpus = prepared(write("a.txt"))
        clean_cache()
        assert making() == here != []
        process.terminate()
        process.wait(20)
    assert making() == here
    prepared("a.txt")
    assert entries() == [corpus.folder.name]


def test_what_processes_that_were_killed_have_left_is_cleaned() -> None:
    cache_folder().mkdir()
    for name in (".making-0", ".making-1"):
        (cache_folder() / name).mkdir()
    for name in (".making-0.lock", ".making-2.lock"):
        (cache_folder() / name).touch()
    (cache_folder() / ".making-0" / "train.ids").write_bytes(bytes(1000))
    assert clean_cache() == (0, 1000)
    assert entries() == []


@pytest.mark.parametrize("size", [255, 256, 257, 65_536])
def test_ids_take_the_smallest_type_that_holds_them(size: int) -> None:
    symbols = "".join(map(chr, range(0x20000, 0x20000 + size - 17)))
    corpus = prepared(write("a.txt", symbols), tokenizer={"min_count": 1, "max_size": 100_000}, split="100/0/0")
    assert corpus.tokenizer.size == size
    assert corpus.splits["train"].ids.dtype == (np.uint8 if size <= 256 else "<u2")
    assert text_of(corpus, "train") == symbols
