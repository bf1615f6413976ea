"""Tables, dialogues and mail become conversations, and what is wrong in them is said with its line."""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from seqgen.conversations import Pair, pack, unpack
from seqgen.corpus import Corpus, read_split
from seqgen.errors import DataError, UsageError
from seqgen.modalities import guess_kind
from seqgen.modalities.replies import divide, outline, sequences
from seqgen.pairs import Pairs, echo_of
from seqgen.recipe import CorpusSettings
from seqgen.sources.base import Asking, LeftOut, Source
from seqgen.sources.exchanges import convert_exchanges, is_mail
from seqgen.sources.tables import count_left_out
from seqgen.splits import SPLITS, Split, replies_in
from tests.corpora import prepared
from tests.exchanges import exchanges, write_tsv

SECRET = "the safe's code"


def source(name: str, text: str) -> Source:
    return Source(name, data=text.encode(), asked_for=True)


def read(name: str, text: str, left_out: LeftOut | None = None, **asking: object) -> list[Pair]:
    found: list[Pair] = []
    for _, result in convert_exchanges([source(name, text)], left_out or LeftOut(), Asking(**asking)):  # type: ignore[arg-type]
        if isinstance(result, DataError):
            raise result
        assert result is not None
        found += [pair for part in result.split("\x1d")[:-1] for pair in unpack(part)]
    return found


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.tsv", "Hi\tHello\nBye\tSee you\n"),
        ("a.tsv", "message\treply\nHi\tHello\nBye\tSee you\n"),
        ("a.csv", "Hi,Hello\nBye,See you\n"),
        ("a.csv", "id;Answer;Question\n1;Hello;Hi\n2;See you;Bye\n"),
        ("a.jsonl", '{"prompt": "Hi", "response": "Hello"}\n{"prompt": "Bye", "response": "See you"}\n'),
        ("a.jsonl", '{"message": "Hi", "reply": ["Hello"]}\n{"message": ["Bye"], "reply": "See you"}\n'),
        ("a.txt", "Hi\nHello\n\n \nBye\nSee you\n"),
    ],
)
def test_every_format_gives_the_same_pairs(name: str, text: str) -> None:
    assert read(name, text) == [Pair("Hi", "Hello"), Pair("Bye", "See you")]


def test_columns_can_be_named_and_numbered() -> None:
    table = "no\tthey\twe\n1\tHi\tHello\n"
    assert read("a.tsv", table, columns=("they", "we")) == [Pair("Hi", "Hello")]
    assert read("a.tsv", table, columns=("3", "2"))[-1] == Pair("Hello", "Hi")
    nested = json.dumps({"mail": {"text": "Hi"}, "answer": "Hello"}) + "\n"
    assert read("a.jsonl", nested, columns=("mail.text", "answer")) == [Pair("Hi", "Hello")]


def test_quotes_in_a_tsv_are_characters_and_in_a_csv_they_are_quotes() -> None:
    assert read("a.tsv", '"Hi\tHe said "no"\n') == [Pair('"Hi', 'He said "no"')]
    assert read("a.csv", '"Hi, you","He said ""no"""\n') == [Pair("Hi, you", 'He said "no"')]


def test_in_a_dialogue_each_utterance_answers_the_one_before() -> None:
    assert read("a.txt", "one\ntwo\nthree\n\nfour\n") == [Pair("one", "two"), Pair("two", "three")]


def test_lists_mean_that_each_reply_fits_each_message() -> None:
    row = json.dumps({"messages": ["a", "b"], "replies": ["x", "y"]})
    assert read("a.jsonl", row) == [Pair("a", "x"), Pair("a", "y"), Pair("b", "x"), Pair("b", "y")]


@pytest.mark.parametrize(
    ("name", "text", "where", "what"),
    [
        ("a.tsv", f"{SECRET}\tb\tc\n", "a.tsv:1", "3 columns"),
        ("a.tsv", f"{SECRET}\n", "a.tsv:1", "1 column"),
        ("a.tsv", f"a\tb\n{SECRET}\tb\tc\n", "a.tsv:2", "3 columns"),
        ("a.csv", f"message,reply\na,b\n{SECRET}\n", "a.csv:3", "1 column,"),
        ("a.jsonl", f'{{"message": "a", "reply": "b"}}\n{{"message": "{SECRET}"}}\n', "a.jsonl:2", "no 'reply'"),
        ("a.jsonl", f"{SECRET}\n", "a.jsonl:1", "broken JSON"),
        ("a.jsonl", f'{{"a": "{SECRET}", "b": "x", "c": "y"}}\n', "a.jsonl", "3 columns"),
        ("a.tsv", "", "a.tsv", "empty"),
        ("a.jsonl", "", "a.jsonl", "empty"),
    ],
)
def test_a_row_that_is_no_pair_is_an_error_with_its_line_and_without_its_text(
    name: str, text: str, where: str, what: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(name, text)
    assert caught.value.where == where and what in caught.value.what
    assert SECRET not in str(caught.value)


def test_a_column_that_is_not_there_is_refused_without_showing_the_first_row() -> None:
    with pytest.raises(DataError) as caught:
        read("a.tsv", f"{SECRET}\tb\tc\n", columns=("1", "7"))
    assert SECRET not in str(caught.value) and "--columns" in str(caught.value.hint)


def test_rows_with_an_empty_cell_are_left_out_and_named() -> None:
    left_out = LeftOut()
    assert read("a.tsv", "a\tb\n\td\ne\t \n", left_out) == [Pair("a", "b")]
    assert left_out.names == {"empty": ["a.tsv:2", "a.tsv:3"]}
    left_out = LeftOut()
    rows = '{"message": "a", "reply": "b"}\n{"message": true, "reply": "b"}\n{"message": "c", "reply": null}\n'
    assert read("a.jsonl", rows, left_out) == [Pair("a", "b")]
    assert left_out.names == {"neither a text nor a list of texts": ["a.jsonl:2", "a.jsonl:3"]}


def test_of_many_rows_that_are_left_out_the_first_are_named_and_all_are_counted() -> None:
    left_out = LeftOut()
    read("a.tsv", "a\tb\n" + "c\t\n" * 3000, left_out)
    (names,) = left_out.names.values()
    assert len(names) == 21 and names[-1] == "a.tsv: and 2,980 more rows" and count_left_out(names) == 3000


def test_a_broken_message_of_a_mailbox_is_an_error_for_the_strict() -> None:
    whole = "From: a@x\nSubject: s\n\nWhere is it?\n\n"
    mailbox = f"From a@x Mon Jan  1 00:00:00 2024\n{whole}From a@x Mon Jan  1 00:00:00 2024\nX: y\n\nno mail\n"
    with pytest.raises(DataError, match="none answers another"):
        read("a.mbox", mailbox)
    with pytest.raises(DataError, match="cannot be read") as caught:
        read("a.mbox", mailbox, LeftOut(strict=True))
    assert caught.value.where == "a.mbox, message 2"


def test_rows_that_are_no_unicode_are_left_out_and_named() -> None:
    left_out = LeftOut()
    rows = '{"message": "a", "reply": "b"}\n{"message": "\\ud800", "reply": "b"}\n{"message": "c", "reply": ["d", "\\udc00"]}\n'
    assert read("a.jsonl", rows, left_out) == [Pair("a", "b")]
    assert left_out.names == {"half of a Unicode character": ["a.jsonl:2", "a.jsonl:3"]}


def test_where_nothing_can_be_read_the_first_reason_is_said() -> None:
    Path("talk").mkdir()
    Path("talk/a.tsv").write_text(f"{SECRET}\tb\tc\n", encoding="utf-8")
    Path("talk/b.eml").write_bytes(b"no headers\n")
    with pytest.raises(DataError, match="3 columns") as caught:
        prepared("talk", kind="replies")
    assert str(caught.value.where).endswith("a.tsv:1")
    write_tsv("talk/c.tsv")
    assert set(prepared("talk", kind="replies").left_out) == {
        "3 columns, where a message and a reply are wanted",
        "no mail: it does not begin with headers",
    }


def test_a_missing_library_for_mail_is_said_though_nobody_named_the_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "quotequail", None)
    Path("mail").mkdir()
    letter = "From: a@b.example\nSubject: s\n\nYes.\n\nOn 4 Mar 2024, at 09:12, Tom <tom@gray.example> wrote:\n> Is it there?\n"
    Path("mail/a.eml").write_text(letter, encoding="utf-8")
    write_tsv("mail/b.tsv")
    with pytest.raises(DataError, match="library for mail is missing") as caught:
        prepared("mail", kind="replies")
    assert "seqgen[mail]" in str(caught.value.hint)


@pytest.mark.parametrize("columns", [(), ("1", "2")])
@pytest.mark.parametrize(
    ("first", "header"),
    [
        ("Asked\tTold", True),
        ("What they wrote\tAnswer", False),
        ("Hi there\tWell?", False),
        ("Customer Wrote\tWe Answered", True),
    ],
)
def test_a_row_that_names_columns_is_no_pair(first: str, header: bool, columns: tuple[str, ...]) -> None:
    rows = [f"Where is thing {number}?\tOn the shelf." for number in range(6)]
    left_out = LeftOut()
    pairs = read("a.tsv", "\n".join([first, *rows]) + "\n", columns=columns, left_out=left_out)
    assert (first.split("\t")[0] in str(pairs)) == (not header)
    assert left_out.names == ({"taken for the names of the columns": ["a.tsv:1"]} if header else {})


def test_short_rows_and_few_rows_tell_nothing_of_the_one_before_them() -> None:
    assert "Hund" in str(read("a.tsv", "Hund\tdog\n" + "Katze\tcat\nweißer Wal\twhite whale\n" * 5))
    assert "Hello" in str(read("a.tsv", "Hello\tHi\n" + "How are you today?\tFine, thanks a lot.\n" * 3))


def test_too_few_pairs_are_refused_with_what_to_do() -> None:
    with pytest.raises(DataError, match="2 pairs") as caught:
        read("a.tsv", "a\tb\nc\td\n", least=20)
    assert "more" in str(caught.value.hint)


def test_what_cannot_be_opened_is_no_mail_and_costs_no_other() -> None:
    def refuse() -> BinaryIO:
        raise DataError("this archive has changed since it was listed", where="a.zip")

    assert not is_mail(Source("a.zip!Sent", opener=refuse, inside="Sent"))
    assert is_mail(Source("a.zip!Sent", opener=lambda: io.BytesIO(b"From a@b Mon"), inside="Sent"))


@pytest.mark.parametrize(
    ("name", "inside", "data", "mail"),
    [
        ("in.mbox", None, b"", True),
        ("1.eml", None, b"", True),
        ("m/cur/1204680122.27c448a8-3.mail.host:2,S", "cur/1204680122.27c448a8-3.mail.host:2,S", b"", True),
        ("m/cur/1204680122.27c448a8-3.mail.host:2,", "1204680122.27c448a8-3.mail.host:2,", b"", True),
        ("m/new/1204680122.M3P4.host", "new/1204680122.M3P4.host", b"", True),
        ("m/new/1204680122.M3P4V5_6.host,S=12:2,RS", "1204680122.M3P4V5_6.host,S=12:2,RS", b"", True),
        ("1204680122_0.345.mail.example.org", None, b"", True),
        ("1204680122.345.mail.example.pl", None, b"", True),
        ("m/new/notes.txt", "new/notes.txt", b"", False),
        ("m/new/2024-01.txt", "new/2024-01.txt", b"", False),
        ("new/1204680122.notes.txt", "new/1204680122.notes.txt", b"", False),
        ("cur/1204680122.csv", "cur/1204680122.csv", b"", False),
        ("1204680122_plan.md.txt", None, b"", False),
        ("Sent", None, b"From a@b Mon", True),
        ("Notes", None, b"Frommage", False),
        ("a.txt", None, b"From a@b Mon", False),
    ],
)
def test_mail_is_known_by_its_name_or_its_beginning(name: str, inside: str | None, data: bytes, mail: bool) -> None:
    assert is_mail(Source(name, data=data, inside=inside)) is mail


def test_mailboxes_are_replies_and_tables_are_text_until_somebody_says_otherwise() -> None:
    assert guess_kind([Path("a.mbox")]) == "replies"
    assert guess_kind([Path("1204680122.1.host:2,S"), Path("1204680123.2.host")]) == "replies"
    assert guess_kind([Path("new/2024-01.txt"), Path("cur/1.csv")]) == "text"
    assert guess_kind([Path("a.tsv")]) == "text"


def test_the_text_form_keeps_every_pair_and_the_separators_stay_out_of_it() -> None:
    pairs = [Pair("a\x1fb", "c\x1e"), Pair("", "d"), Pair("e\nf", "g")]
    assert unpack(pack([pairs])) == [Pair("a b", "c"), Pair("", "d"), Pair("e\nf", "g")]
    assert sequences(pack([pairs])) == ["a b", "c", "", "d", "e\nf", "g"]
    assert outline(pack([[Pair("a", "b"), Pair("a", "c"), Pair("d", "b")]])) == "a\nd"


def test_a_conversation_is_divided_between_its_pairs() -> None:
    pairs = [Pair(str(number), "x") for number in range(10)]
    parts = [unpack(part) for part in divide(pack([pairs]), (0.8, 0.1, 0.1))]
    assert parts == [pairs[:8], pairs[8:9], pairs[9:]]


def texts(corpus: Corpus, split: Split) -> list[tuple[str, str]]:
    pairs = Pairs(split)
    decode = corpus.tokenizer.decode
    return [(decode(pairs.message(place)), decode(pairs.reply(place))) for place in range(len(pairs))]


def test_a_corpus_of_replies_holds_every_pair_once_and_no_message_on_two_sides() -> None:
    corpus = prepared(write_tsv("a.tsv"), kind="replies")
    assert corpus.split_by == "document" and corpus.documents == 40
    found = {name: texts(corpus, corpus.splits[name]) for name in SPLITS}
    assert sorted(pair for pairs in found.values() for pair in pairs) == sorted(exchanges())
    messages = [{message for message, _ in pairs} for pairs in found.values()]
    assert all(messages) and not messages[0] & (messages[1] | messages[2]) and not messages[1] & messages[2]


def test_few_conversations_are_cut_by_position_between_pairs() -> None:
    talk = "\n".join(f"This is utterance {number}, and it is said." for number in range(60))
    Path("a.txt").write_text(talk, encoding="utf-8")
    corpus = prepared("a.txt", kind="replies")
    found = [pair for name in SPLITS for pair in texts(corpus, corpus.splits[name])]
    lines = talk.splitlines()
    assert found == list(itertools.pairwise(lines))
    assert all(len(corpus.splits[name]) for name in SPLITS)


def test_mail_in_folders_of_splits_is_split_by_its_first_letters() -> None:
    for split, count in (("train", 20), ("valid", 3), ("test", 2)):
        for number in range(count):
            head = f"From: bob@example.org\nSubject: s\nMessage-ID: <{split}{number}@x>\n"
            answer = f"From: ann@example.org\nIn-Reply-To: <{split}{number}@x>\n\nYes, in {split}.\n"
            for folder, name, mail in ((split, "a", f"{head}\nIs it number {number}?\n"), ("valid", "b", answer)):
                path = Path("mail", folder, "in", f"{split}{number}{name}.eml")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(mail, encoding="utf-8")
    corpus = prepared("mail", split="folders")
    for split, count in (("train", 20), ("valid", 3), ("test", 2)):
        assert [reply for _, reply in texts(corpus, corpus.splits[split])] == [f"Yes, in {split}."] * count


def test_only_replies_are_predicted_by_the_baselines() -> None:
    corpus = prepared(write_tsv("a.tsv"), kind="replies")
    replies = [reply for _, reply in texts(corpus, corpus.splits["train"])]
    alone = replies_in(corpus.splits["train"], corpus.tokenizer)
    assert corpus.tokenizer.decode(alone.ids) == "".join(replies)
    assert alone.characters == sum(map(len, replies)) and len(alone.starts) == len(replies)
    assert set(corpus.with_baselines().splits["valid"].baselines) >= {"unigram"}


def test_masks_are_for_mail_and_for_who_wants_them() -> None:
    pairs = [(f"Is {number} right?", f"No, {number + 1} is.") for number in range(30)]
    plain = prepared(write_tsv("a.tsv", pairs), kind="replies")
    masked = prepared(write_tsv("a.tsv", pairs), kind="replies", mask=True)
    assert not plain.settings.mask and masked.settings.mask
    assert any("7" in message for message, _ in texts(plain, plain.splits["train"]))
    for name in SPLITS:
        assert all(pair == ("Is [number] right?", "No, [number] is.") for pair in texts(masked, masked.splits[name]))


def test_a_card_that_says_masks_now_is_prepared_anew() -> None:
    Path("talk").mkdir()
    Path("corpora").mkdir()
    write_tsv("talk/a.tsv", [(f"Is {number} right?", "Yes.") for number in range(30)])
    card = 'title = "t"\nkind = "replies"\ndocuments = "conversation"\nlicence = "mine"\nsplit = "90/5/5"\n'
    for mask in (False, True):
        text = f"{card}mask = {str(mask).lower()}\n[source]\nfolder = '../talk'\n"
        Path("corpora/mine.toml").write_text(text, encoding="utf-8")
        assert prepared("mine").settings.mask is mask


def test_another_table_is_read_as_the_model_reads() -> None:
    corpus = prepared(write_tsv("a.tsv"), kind="replies")
    other = read_split(
        (write_tsv("b.tsv", [("Where is the rope?", "Here.")]),),
        corpus.settings,
        corpus.tokenizer_settings,
        corpus.tokenizer,
        corpus.with_baselines(),
    )
    assert texts(corpus, other) == [("Where is the rope?", "Here.")] and "unigram" in other.baselines


@pytest.mark.parametrize("columns", [("a",), ("a", "b", "c"), ("a", "a"), ("a", "b", "a")])
def test_two_columns_are_wanted(columns: Sequence[str]) -> None:
    with pytest.raises(UsageError, match=r"corpus\.columns"):
        CorpusSettings(columns=tuple(columns))
    with pytest.raises(UsageError, match=r"corpus\.columns"):
        prepared(write_tsv("a.tsv"), kind="replies", columns=tuple(columns))


def test_two_names_of_one_column_are_refused() -> None:
    with pytest.raises(DataError, match="are the same"):
        read("a.tsv", "a\tb\nc\td\n", columns=("1", "A"))


@pytest.mark.parametrize(
    ("setting", "value", "kind"),
    [
        ("column", "message", "replies"),
        ("documents", "line", "replies"),
        ("documents", "file", "replies"),
        ("columns", ("1", "2"), "text"),
        ("me", ("0123456789abcdef",), "text"),
        ("mask", True, "text"),
    ],
)
def test_what_has_no_meaning_for_the_kind_is_refused_before_anything_is_read(
    setting: str, value: Any, kind: str
) -> None:
    Path("a.tsv").write_text(f"{SECRET}\tb\tc\n", encoding="utf-8")
    with pytest.raises(UsageError, match=f"corpus.{setting}") as caught:
        prepared("a.tsv", kind=kind, **{setting: value})
    assert SECRET not in str(caught.value) and caught.value.hint
    assert prepared(write_tsv("b.tsv"), kind="replies", documents="conversation").settings.documents == "conversation"


def split_of(lengths: Sequence[tuple[int, int]]) -> Split:
    ids: list[int] = []
    starts = []
    for number, sides in enumerate(lengths):
        for side in sides:
            starts.append(len(ids))
            ids += [0, *[number % 200 + 1] * side]
    return Split(np.array(ids, dtype=np.uint16), np.array(starts), len(ids))


def pairs_of(lengths: Sequence[tuple[int, int]]) -> Pairs:
    return Pairs(split_of(lengths))


def test_the_echo_of_pairs_is_how_far_the_lengths_of_replies_follow_those_of_messages() -> None:
    assert echo_of(split_of([(2, 4), (3, 6), (9, 18)])) == pytest.approx(1)
    assert echo_of(split_of([(1, 5), (2, 1), (3, 5)])) == pytest.approx(0)
    assert echo_of(split_of([(1, 9), (2, 5), (3, 2)])) < -0.9
    for lengths in ([], [(1, 2)], [(1, 2), (2, 4)], [(2, 1), (2, 2), (2, 3)], [(1, 2), (2, 2), (3, 2)]):
        assert echo_of(split_of(lengths)) == 0


def test_batches_hold_every_pair_once_and_not_too_many_symbols() -> None:
    generator = np.random.default_rng(1)
    pairs = pairs_of([(int(a), int(b)) for a, b in generator.integers(0, 30, (100, 2))])
    for seed in range(3):
        batches = pairs.batches(64, np.random.default_rng(seed).permutation(100))
        assert sorted(np.concatenate(batches).tolist()) == list(range(100))
        assert len(batches) == len(pairs.batches(64, np.arange(100)))
        for batch in batches:
            exchanges_ = pairs.exchanges(batch)
            assert len(batch) == 1 or exchanges_.messages.numel() + exchanges_.targets.numel() <= 64


def test_batches_are_hardly_padded_where_lengths_of_messages_and_replies_differ() -> None:
    lengths = np.random.default_rng(2).geometric(0.05, (2000, 2))
    pairs = pairs_of([(int(a), int(b)) for a, b in lengths])
    padded = 0
    for batch in pairs.batches(2000, np.arange(2000)):
        exchanges_ = pairs.exchanges(batch)
        padded += exchanges_.messages.numel() + exchanges_.targets.numel()
    assert (lengths + 1).sum() > 0.7 * padded


def test_a_batch_says_where_messages_and_replies_end() -> None:
    exchanges_ = pairs_of([(2, 1), (0, 3)]).exchanges(np.array([0, 1]))
    assert exchanges_.messages.t().tolist() == [[1, 1, 0], [0, 0, 0]]
    assert exchanges_.lengths.tolist() == [3, 1]
    assert exchanges_.inputs.t().tolist() == [[0, 1, 0, 0, 0], [0, 2, 2, 2, 0]]
    assert exchanges_.targets.t().tolist() == [[1, 0, 0, 0, 0], [2, 2, 2, 0, 0]]
    assert exchanges_.wanted.t().tolist() == [[True, True, False, False, False], [True, True, True, True, False]]


def test_many_batches_have_the_same_shape_so_that_kernels_need_not_be_prepared_for_each() -> None:
    lengths = np.random.default_rng(3).poisson(10, (20_000, 2))
    pairs = pairs_of([(int(a), int(b)) for a, b in lengths])
    batches = [pairs.exchanges(batch) for batch in pairs.batches(2000, np.arange(20_000))]
    often = Counter((batch.messages.shape, batch.targets.shape) for batch in batches)
    assert len(batches) > 200 and len(often) < len(batches) / 2
    assert sum(count for count in often.values() if count > 1) > 0.7 * len(batches)


def test_nothing_is_padded_much_further_than_it_is_long() -> None:
    for length in (0, 1, 2, 7, 12, 40, 255):
        exchanges_ = pairs_of([(length, 0), (0, length)]).exchanges(np.array([0, 1]))
        for positions in (len(exchanges_.messages), len(exchanges_.targets)):
            assert length + 1 <= positions <= max(length + 2, 1.2 * (length + 1))
