"""A corpus from its sources to ids, and what becomes of it when files change."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from seqgen import corpus as preparation
from seqgen import defaults
from seqgen.cache import clean_cache
from seqgen.corpus import prepare, read_split, reopen
from seqgen.errors import DataError, UsageError
from seqgen.modalities import MODALITIES
from seqgen.recipe import TokenizerSettings
from seqgen.sources import texts
from seqgen.splits import SPLITS
from seqgen.tokenizers import DOCUMENT
from tests.corpora import PLAIN, PROSE, documents_of, entries, prepared, reopened, text_of, write
from tests.test_modalities import titles, words

every_tokenizer = pytest.mark.parametrize("kind", MODALITIES["text"].tokenizers)


# From sources to ids


@every_tokenizer
def test_the_splits_together_are_the_text(kind: str) -> None:
    corpus = prepared(write("a.txt"), tokenizer={"kind": kind}, documents="file")
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


def test_documents_that_are_nearly_equal_are_never_on_both_sides() -> None:
    letters = {}
    for number in range(60):
        text = words(120, number)
        for draft in range(2):
            letters[f"c/{number:02}-{draft}.txt"] = f"{number} {text} {'the end' if draft else 'so long'}.\n"
    for name, text in letters.items():
        write(name, text)
    corpus = prepared("c")
    assert (corpus.documents, corpus.split_by) == (120, "document")
    sides = [{text.split()[0] for text in documents_of(corpus, name)} for name in SPLITS]
    assert all(sides)
    assert sum(map(len, sides)) == 60
    assert [2 * len(side) for side in sides] == [len(documents_of(corpus, name)) for name in SPLITS]


CARD = {"title": "Mine", "kind": "text", "documents": "file", "licence": "mine", "split": "80/10/10"}


def test_the_split_of_a_card_is_the_default_and_may_be_overruled() -> None:
    write("texts/a.txt")
    write("corpora/mine.toml", tomli_w.dumps({**CARD, "source": {"folder": "../texts"}}))
    assert prepared("mine").settings.split == "80/10/10"
    assert prepared("mine", split="50/25/25").settings.split == "50/25/25"
    assert prepared("texts").settings.split == "90/5/5"


def test_what_a_document_is_says_the_card_also_where_texts_look_like_symbols() -> None:
    write("texts/a.txt", "A C G\nC C G\n\nG C A\n" * 50)
    write("corpora/mine.toml", tomli_w.dumps({**CARD, "documents": "blank-line", "source": {"folder": "../texts"}}))
    corpus = prepared("mine")
    assert (corpus.settings.documents, corpus.tokenizer_settings.kind) == ("blank-line", "symbols")
    assert prepared("texts").settings.documents == "line"
    assert prepared("mine", documents="file").settings.documents == "file"


def test_lines_of_a_few_words_that_come_often_are_symbols() -> None:
    song = "C G Am F\nC G F F7 Bb Eb\n" * 40
    corpus = prepared(write("songs.txt", song))
    assert (corpus.tokenizer_settings.kind, corpus.settings.documents, corpus.documents) == ("symbols", "line", 80)
    assert prepared("songs.txt", tokenizer={"kind": "characters"}).settings.documents == "line"  # they are short, too
    long = song.replace("\n", " ") + "\n"
    assert prepared(write("long.txt", long * 3)).settings.documents == "line"
    assert prepared(write("prose.txt"), tokenizer={"kind": "symbols"}).settings.documents == "line"
    assert prepared("prose.txt").tokenizer_settings.kind == "characters"


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
    program = "".join(f"name_{number} = {number}\n" for number in range(200))
    write("c/a.py", program)
    write("c/build/lib/a.py", "y = 2\n" * 300)
    corpus = prepared("c")
    assert (corpus.settings.kind, corpus.characters) == ("code", len(program))
    assert corpus.left_out == {"build output": [str(Path("c/build").absolute())]}
    assert read_split(("c",), corpus.settings, corpus.tokenizer_settings, corpus.tokenizer, None).characters == len(
        program
    )


def test_baselines_stand_beside_what_is_kept_apart() -> None:
    corpus = prepared(
        write("a.txt", "the cat sat on the mat. " * 200), tokenizer={"kind": "characters"}
    ).with_baselines()
    assert corpus.splits["train"].baselines == {}
    for name in ("valid", "test"):
        figures = corpus.splits[name].baselines
        assert len(figures) == 2
        unigram, best = figures.values()
        assert 0 < best < 0.3 < unigram
        assert corpus.with_xz(name).splits[name].baselines.keys() == {*figures, "xz -9"}


@pytest.mark.parametrize("kind", ["bpe", "unigram", "symbols"])
def test_where_symbols_are_longer_than_characters_those_are_counted_as_well(kind: str) -> None:
    corpus = prepared(write("a.txt", PLAIN), tokenizer={"kind": kind, "vocabulary": 400}, documents="file")
    by_character = prepared("a.txt").with_baselines()
    for name in ("valid", "test"):
        figures = corpus.with_baselines().splits[name].baselines
        wanted = {f"{other} of characters": bits for other, bits in by_character.splits[name].baselines.items()}
        assert figures.keys() > wanted.keys() and "unigram" in figures
        # A character of 218 is not predicted there: the first, which follows the document symbol here.
        assert {each: figures[each] for each in wanted} == pytest.approx(wanted, rel=0.05)


def test_without_anything_kept_apart_there_are_no_baselines() -> None:
    corpus = prepared(write("a.txt"), split="100/0/0").with_baselines().with_xz("test")
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


def lines(count: int, seed: int) -> str:
    return "".join(f"{words(4, seed + number)} {number}\n" for number in range(count))


BROKEN: dict[str, Callable[[], bytes]] = {
    "not utf-8": lambda: (lines(300, 0) + "caf\xe9\n").encode("latin-1"),
    "this archive is damaged, cut short or not what its name says": lambda: gzip.compress(lines(300, 0).encode())[:-20],
    "binary": lambda: lines(300, 0).encode() + b"\0\n",
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_file_in_a_folder_that_breaks_half_way_is_taken_back_and_the_others_stay(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "CHUNK", 100)  # so that many of its lines were read before it broke
    name = write("c/b.txt.gz" if "archive" in reason else "c/b.txt", BROKEN[reason]())
    write("c/a.txt", lines(40, 1000))
    write("c/z.txt", lines(40, 2000))
    corpus = prepared("c", documents="line")
    assert [(why, len(names)) for why, names in corpus.left_out.items()] == [(reason, 1)]
    assert corpus.left_out[reason][0].startswith(str(Path(name).absolute()))
    kept = sorted(document for split in SPLITS for document in documents_of(corpus, split))
    assert kept == sorted((lines(40, 1000) + lines(40, 2000)).splitlines())
    with pytest.raises(DataError) as caught:
        prepared(name, documents="line")
    assert str(caught.value.where).startswith(name)
    assert caught.value.hint


def test_a_folder_in_which_everything_breaks_is_no_corpus() -> None:
    write("c/a.txt", BROKEN["not utf-8"]())
    with pytest.raises(DataError, match=r"no text in it \(left out: 1 not utf-8\)"):
        prepared("c")


def append(path: Path) -> None:
    path.write_text(path.read_text() + "one more\n")


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: dict[str, Callable[[Path], object]] = {
    "longer": append,
    "shorter": lambda path: path.write_text(path.read_text()[:-10]),
    "fewer lines": lambda path: path.write_text(path.read_text().replace("\n", " ", 1)),
    "empty": lambda path: path.write_text(""),
    "gone": lambda path: path.unlink(),
    "of another encoding": lambda path: path.write_bytes(path.read_bytes()[:-5] + b"\xe9\xe9\xe9\xe9\n"),
    "as long, but another": lambda path: path.write_text(path.read_text().upper()),
    "a folder": become_a_folder,
}


def change_before(name: str, change: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Something happens once, in the middle of a preparation."""
    real, waiting = getattr(preparation, name), [change]

    def change_it(*arguments: Any) -> Any:
        if waiting:
            waiting.pop()()
        return real(*arguments)

    monkeypatch.setattr(preparation, name, change_it)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("after", ["Texts", "plan_split", "new_entry"])
def test_a_file_that_changes_while_it_is_read_is_left_out_and_costs_no_other(
    change: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(write("c/a.txt", lines(30, 0)))
    write("c/b.txt", lines(30, 50))
    change_before(after, lambda: CHANGES[change](path), monkeypatch)
    corpus = prepared("c", documents="line", tokenizer={"kind": "bytes"})
    assert [*corpus.left_out.values()] == [[str(path.absolute())]]
    kept = lines(30, 50).splitlines()
    assert (corpus.documents, corpus.characters) == (len(kept), len("".join(kept)))
    assert all(any(line.startswith(part) for line in kept) for part in documents_of(corpus, "train"))
    if change not in ("gone", "a folder", "empty", "of another encoding"):
        assert [*corpus.left_out] == ["changed while it was being read"]
        again = prepared("c", documents="line", tokenizer={"kind": "bytes"})  # it is read as it is now
        assert again.fresh and again.left_out == {} and again.documents > corpus.documents


@pytest.mark.parametrize("after", ["plan_split", "new_entry"])
def test_a_file_that_the_user_named_is_an_error_where_it_changes(after: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(write("a.txt", lines(30, 0)))
    change_before(after, lambda: append(path), monkeypatch)
    with pytest.raises(DataError, match="the corpus changed while it was being read") as caught:
        prepared("a.txt", documents="line")
    assert caught.value.where == "a.txt" and caught.value.hint
    assert entries() == []


def test_a_corpus_that_changes_all_the_while_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        write(f"c/{number}.txt", lines(30, 50 * number))
    real, numbers = vars(preparation)["plan_split"], iter(range(9))

    def change_it(*arguments: Any) -> Any:
        append(Path(f"c/{next(numbers)}.txt"))
        return real(*arguments)

    monkeypatch.setattr(preparation, "plan_split", change_it)
    with pytest.raises(DataError, match="the corpus changed while it was being read"):
        prepared("c", documents="line")
    assert next(numbers) == 5
    assert entries() == []


def test_a_tune_that_changes_after_it_was_read_costs_nothing_and_before_only_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("a", "b", "c"):
        write(f"c/{name}.abc", f"X:1\nT:{name}\nM:4/4\nL:1/4\nK:C\n{'CDEF|GABc|' * 8}\n")
    change_before("convert_all", lambda: append(Path("c/a.abc")), monkeypatch)
    change_before("new_entry", lambda: Path("c/b.abc").unlink(), monkeypatch)
    corpus = prepared("c", kind="music")
    assert corpus.documents == 2
    assert corpus.left_out == {"changed while it was being read": [str(Path("c/a.abc").absolute())]}


def test_other_text_that_changes_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = prepared(write("a.txt", lines(30, 0)))
    for name in ("a", "b"):
        write(f"c/{name}.txt", lines(30, 50))
    change_before("SplitWriter", lambda: append(Path("c/a.txt")), monkeypatch)
    split = read_split(("c",), corpus.settings, corpus.tokenizer_settings, corpus.tokenizer, None)
    assert split.characters == len(lines(30, 50)) - 30  # without its line feeds


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


@every_tokenizer
def test_a_corpus_that_has_changed_is_refused_when_the_cache_is_gone(kind: str) -> None:
    corpus = prepared(write("a.txt"), tokenizer={"kind": kind})
    clean_cache()
    write("a.txt", PROSE.replace("river", "brook"))
    with pytest.raises(DataError, match="changed since this training began") as caught:
        reopened(corpus)
    assert caught.value.where == str(Path("a.txt").absolute())


def test_an_entry_of_another_text_is_not_taken_for_the_corpus() -> None:
    corpus, other = prepared(write("a.txt")), prepared(write("b.txt", titles(100)))
    again = reopen(corpus.settings, corpus.tokenizer_settings, corpus.tokenizer, other.folder.name, corpus.digest)
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


# Other text


@every_tokenizer
def test_other_text_is_encoded_whole_with_the_tokenizer_of_the_model(kind: str) -> None:
    corpus = prepared(write("a.txt"), tokenizer={"kind": kind})
    write("other/x.txt", "A letter, 漢字.\r\n")
    write("other/y.txt", "Another.\n")
    line_end = "" if corpus.tokenizer.by_line else "\n"  # there a document is a line
    split = read_split(("other",), corpus.settings, corpus.tokenizer_settings, corpus.tokenizer, corpus)
    assert corpus.tokenizer.decode(split.ids) == f"A letter, 漢字.{line_end}Another.{line_end}"
    assert (len(split.starts), split.characters) == (2, len("A letter, 漢字.Another.") + 2 * len(line_end))
    assert split.baselines.keys() >= {"unigram", "xz -9"}
    assert read_split(("other",), corpus.settings, corpus.tokenizer_settings, corpus.tokenizer, None).baselines == {}


def test_other_text_for_a_model_of_symbols_is_read_by_the_line() -> None:
    song = "C G Am F " * 40
    corpus = prepared(write("songs.txt", f"{song}\n" * 30))
    split = read_split(
        (write("other.txt", f"{song}\n{song}\n"),), corpus.settings, corpus.tokenizer_settings, corpus.tokenizer, None
    )
    assert len(split.starts) == 2


def test_other_text_for_a_model_of_a_column_may_be_a_table_with_that_column_or_any_text() -> None:
    corpus = prepared(write("a.csv", "id,text\n" + "".join(f"{i},{words(9, i)}\n" for i in range(90))), column="text")
    assert corpus.settings.documents == "row"
    for name, text in (("b.csv", 'text,more\n"one, two",x\nthree,y\n'), ("b.txt", "one, two")):
        split = read_split((write(name, text),), corpus.settings, corpus.tokenizer_settings, corpus.tokenizer, corpus)
        decoded = [corpus.tokenizer.decode(part) for part in np.split(split.ids, split.starts)[1:]]
        assert decoded == (["one, two", "three"] if name == "b.csv" else ["one, two"])
    with pytest.raises(DataError, match="no column 'text'"):
        read_split(
            (write("c.csv", "id,title\n1,x\n"),), corpus.settings, corpus.tokenizer_settings, corpus.tokenizer, None
        )


def test_other_text_must_hold_text() -> None:
    corpus = prepared(write("a.txt"))
    with pytest.raises(DataError, match="no text in it"):
        read_split((write("nothing.txt", ""),), corpus.settings, corpus.tokenizer_settings, corpus.tokenizer, None)


# What a review found


def test_the_same_files_named_otherwise_are_another_entry_with_their_own_sources() -> None:
    write("d/x.txt")
    named = [prepared("d/x.txt"), prepared("d"), prepared("d/*.txt")]
    here = str(Path.cwd())
    assert [corpus.settings.sources for corpus in named] == [(f"{here}/d/x.txt",), (f"{here}/d",), (f"{here}/d/*.txt",)]


def test_a_folder_that_was_named_is_not_served_from_where_it_was_left_out_nor_the_other_way() -> None:
    write("proj/a.py", "x = 1\n" * 100)
    write("proj/build/b.py", "y = 2\n" * 100)
    assert prepared("proj/build").characters == 600
    corpus = prepared("proj")
    assert (corpus.characters, list(corpus.left_out)) == (600, ["build output"])
    assert "y" not in text_of(corpus, "train")


def test_what_is_left_out_for_a_missing_library_is_read_once_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    write("c/a.txt")
    write("c/b.html", f"<p>{PLAIN}</p>")
    with monkeypatch.context() as without:
        without.setattr(preparation, "readers", list)
        without.setitem(sys.modules, "bs4", None)
        assert any("missing" in reason for reason in prepared("c").left_out)
    assert prepared("c").left_out == {}


def test_the_split_of_a_card_is_not_applied_to_what_is_mixed_with_it() -> None:
    Path("corpora").mkdir()
    write("texts/a.txt", PROSE)
    write("own.txt", PROSE)
    card = 'title = "t"\nkind = "text"\ndocuments = "file"\nlicence = "mine"\nsplit = "60/40/0"\n'
    write("corpora/mine.toml", card + '[source]\nfolder = "../texts"\n')
    assert prepared("mine").settings.split == "60/40/0"
    assert prepared("mine", "own.txt").settings.split == "90/5/5"


def test_symbols_are_kept_whole_where_a_long_line_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "".join(f"move{number % 50} " for number in range(4000))
    monkeypatch.setattr("seqgen.sources.texts.CHUNK", 100)
    monkeypatch.setattr("seqgen.sources.documents.LONGEST_PIECE", 300)
    corpus = prepared(write("moves.txt", line), tokenizer={"kind": "symbols"}, documents="file", split="100/0/0")
    assert text_of(corpus, "train") == line


def test_other_text_has_the_documents_that_the_model_knows() -> None:
    corpus = prepared(write("titles.txt", titles(300)), documents="line")
    split = read_split(
        (write("other.txt", "One title\nAnother\nA third\n"),),
        corpus.settings,
        corpus.tokenizer_settings,
        corpus.tokenizer,
        None,
    )
    assert len(split.starts) == 3


def test_the_time_chooses_the_symbols_and_each_choice_is_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "LEAST_FOR_PIECES", 1000)
    source = write("novel.txt", PROSE * 3)

    def prepared_for(seconds: float) -> tuple[str, int, bool]:
        corpus = prepare({"corpus": {"sources": (source,)}}, seconds=seconds)
        return corpus.tokenizer_settings.kind, corpus.tokenizer_settings.vocabulary, corpus.fresh

    usual = TokenizerSettings().vocabulary
    assert prepared_for(3600) == ("characters", usual, True)
    assert prepared_for(1e-3) == ("bpe", 1024, True)
    assert prepared_for(1800) == ("characters", usual, False)
    assert prepared_for(1e-4) == ("bpe", 1024, False)
    assert prepare({"corpus": {"sources": (source,)}, "tokenizer": {"vocabulary": 300}}, seconds=1e-3).fresh
