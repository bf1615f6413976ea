"""A column of a table becomes documents, and no row goes missing in silence."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgen.errors import DataError
from seqgen.sources import tables
from seqgen.sources.tables import columns, count_left_out, read_column

LeftOut = list[tuple[str, str]]


def lines_of(text: str) -> list[str]:
    return [line + "\n" for line in text.split("\n")[:-1]] + ([last] if (last := text.rpartition("\n")[2]) else [])


def read(text: str, column: str = "text", suffix: str = ".csv", left_out: LeftOut | None = None) -> list[str]:
    told: LeftOut = []
    values = list(read_column(lines_of(text), suffix, column, "t", lambda name, reason: told.append((name, reason))))
    if left_out is None:
        assert told == []
    else:
        left_out += told
    return values


def refused(text: str, column: str = "text", suffix: str = ".csv") -> DataError:
    with pytest.raises(DataError) as error:
        read(text, column, suffix, [])
    assert error.value.where is not None
    assert error.value.hint
    return error.value


def test_a_column_is_read_by_its_name() -> None:
    assert read("id,text\n1,one fox\n2,two herons\n") == ["one fox", "two herons"]


def test_a_quoted_field_keeps_its_line_breaks_delimiters_and_quotes() -> None:
    assert read('text,id\n"a, ""b""\r\n\nc",1\nd,2\n') == ['a, "b"\n\nc', "d"]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("id,text", "1,one"),
        ("id;text", "1;one"),
        ("id\ttext", "1\tone"),
        ("id|text", "1|one"),
        ('"a;b;c",text', "1,one"),
        ("text", "one"),
        ("a,b;text", "1,2;one"),
    ],
)
def test_the_delimiter_is_the_most_frequent_in_the_header(header: str, row: str) -> None:
    column = "b;text" if header.startswith("a,") else "text"  # as frequent: the comma comes first
    assert read(f"{header}\n{row}\n", column) == ["2;one" if header.startswith("a,") else "one"]


def test_a_tsv_has_tabs_whatever_its_header_holds() -> None:
    assert read("a,b,c\ttext\n1\tone, two\n", suffix=".tsv") == ["one, two"]


def test_a_column_is_found_in_other_case_and_by_its_number() -> None:
    assert read("id, Text \n1,one\n") == ["one"]
    assert read("id,words\n1,one\n", "2") == ["one"]
    assert read("2,words\nfirst,second\n", "2") == ["first"]  # a name goes before a number
    assert read("Text,text\nfirst,second\n") == ["second"]  # and an exact name before another one


def test_two_columns_of_one_name_are_told_apart_by_number_only() -> None:
    assert refused("text,id,text\n1,2,3\n").hint == "Give its number: 1 or 3."
    assert refused("Text,TEXT\n1,2\n").what == "2 columns are called 'text'"


def test_a_missing_column_is_answered_with_those_that_are_there() -> None:
    error = refused("id,text,author\n1,2,3\n", "Txt")
    assert error.what == "there is no column 'Txt'"
    assert error.hint == "Did you mean 'text'? There are: 'id', 'text', 'author'."
    many = refused(",".join(f"column{index}" for index in range(25)) + "\n", "zzz")
    assert many.hint is not None
    assert many.hint.startswith("There are: 'column0', ")
    assert many.hint.endswith("'column19', and 5 more.")


@pytest.mark.parametrize("column", ["0", "3", "-1", "9" * 5000])
def test_a_number_without_a_column_is_refused(column: str) -> None:
    assert "no column" in refused("id,text\n1,2\n", column).what


@pytest.mark.parametrize(("row", "count"), [("1", "1 field"), ("1,2,3", "3 fields")])
def test_a_row_of_another_length_is_named_by_its_first_line(row: str, count: str) -> None:
    error = refused(f'id,text\n1,"a\nb\nc"\n{row}\n')
    assert (error.what, error.where) == (f"this row has {count}, the header has 2", "t:5")


def test_a_quote_that_never_closes_is_an_error_where_it_opens() -> None:
    assert refused('id,text\n1,ok\n2,"open\n3,more\n4,more\n').where == "t:3"
    assert refused('id,text\n1,"a"b\n').where == "t:2"


def test_a_quote_that_never_closes_does_not_swallow_a_long_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_FIELD", 1000)
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        yield "text,id\n"
        yield '"open\n'
        while True:
            taken += 1
            yield "another line\n"

    with pytest.raises(DataError) as error:
        list(read_column(endless(), ".csv", "text", "t", lambda name, reason: None))
    assert error.value.where == "t:2"
    assert taken < 100


def test_empty_values_and_blank_lines_are_left_out_by_line() -> None:
    left_out: LeftOut = []
    assert read('\nid,text\n1,\n\n2," \t"\n3,three\n', left_out=left_out) == ["three"]
    assert left_out == [("t:3", "empty"), ("t:4", "empty"), ("t:5", "empty")]


@pytest.mark.parametrize(("rows", "more"), [(20, ""), (21, "t: and 1 more row"), (12_365, "t: and 12,345 more rows")])
def test_the_first_rows_that_are_left_out_are_named_and_the_others_counted(rows: int, more: str) -> None:
    left_out: LeftOut = []
    texts = ["one", *[""] * rows, "two"]
    assert read("id,text\n" + "".join(f"1,{text}\n" for text in texts), left_out=left_out) == ["one", "two"]
    named = [(f"t:{line}", "empty") for line in range(3, 23)]
    assert left_out == [*named, *([(more, "empty")] if more else [])]
    assert count_left_out(name for name, _ in left_out) == rows


def test_rows_are_named_for_each_reason() -> None:
    left_out: LeftOut = []
    assert read('{"id": 1}\n{"text": null}\n' * 30 + '{"text": "ok"}\n', suffix=".jsonl", left_out=left_out) == ["ok"]
    for line, reason in ((1, "no 'text' in this row"), (2, "null, not text")):
        names = [name for name, why in left_out if why == reason]
        assert names == [*(f"t:{line + 2 * index}" for index in range(20)), "t: and 10 more rows"]


@pytest.mark.parametrize("name", ["a.csv", "c/and 7 more rows", "x: and 7 more rows.txt", "x: and , more rows"])
def test_a_file_that_is_left_out_counts_as_one(name: str) -> None:
    assert count_left_out([name]) == 1


@pytest.mark.parametrize("suffix", tables.SUFFIXES)
def test_an_empty_table_is_an_error(suffix: str) -> None:
    assert refused("", suffix=suffix).what == refused("\n \n", suffix=suffix).what == "this table is empty"
    with pytest.raises(DataError, match="empty"):
        columns([], suffix)


def test_rows_are_read_one_at_a_time() -> None:
    lines = iter(["text\n", "one\n", "two\n", "three\n"])
    values = read_column(lines, ".csv", "text", "t", lambda name, reason: None)
    assert next(values) == "one"
    assert list(lines) == ["two\n", "three\n"]


@given(
    rows=st.lists(st.lists(st.text(), min_size=3, max_size=3), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t|"),
)
def test_what_python_writes_is_read_back(rows: list[list[str]], delimiter: str) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([["id", "text", "note"], *rows])
    left_out: LeftOut = []
    texts = [row[1].replace("\r\n", "\n") for row in rows if row[1].strip()]
    assert read(file.getvalue(), left_out=left_out) == texts
    assert len(texts) + len(left_out) == len(rows)


@given(text=st.text('a"\n,;1', max_size=60), column=st.sampled_from(["a", "1", "2"]))
def test_any_csv_is_read_or_refused(text: str, column: str) -> None:
    try:
        read(text, column, left_out=[])
    except DataError as error:
        assert error.where is not None


def test_a_key_of_each_object_is_read() -> None:
    text = '{"text": "one \\u00e9\\n", "id": 1}\n{"text": "two"}\n'
    assert read(text, suffix=".jsonl") == read(text, suffix=".ndjson") == ["one é\n", "two"]


def test_a_path_leads_into_objects_unless_a_key_is_called_so() -> None:
    assert read('{"message": {"text": "in"}}\n{"message.text": "out"}\n', "message.text", ".jsonl") == ["in", "out"]


def test_numbers_become_text_as_they_are_written() -> None:
    rows = ["1.10", "12345678901234567890123", "1e5", "-0", "NaN", "1" * 5000]
    assert read("".join(f'{{"text": {row}}}\n' for row in rows), suffix=".jsonl") == rows


def test_rows_without_a_text_are_left_out_by_line_and_reason() -> None:
    rows = ['{"text": "ok"}', '{"id": 1}', '{"text": ""}', '{"text": null}', '{"text": []}', '{"text": {}}']
    left_out: LeftOut = []
    assert read("\n".join([*rows, '{"text": true}', "", ""]), suffix=".jsonl", left_out=left_out) == ["ok"]
    assert left_out == [
        ("t:2", "no 'text' in this row"),
        ("t:3", "empty"),
        ("t:4", "null, not text"),
        ("t:5", "a list, not text"),
        ("t:6", "an object, not text"),
        ("t:7", "true or false, not text"),
        ("t:8", "empty"),
    ]


def test_a_key_that_no_row_has_is_an_error() -> None:
    error = refused('{"id": 1, "message": {"texts": "a"}}\n{"id": 2}\n', "message.text", ".jsonl")
    assert error.hint == "Did you mean 'message.texts'? There are: 'id', 'message.texts'."


def test_broken_json_is_named_by_line_and_column() -> None:
    error = refused('{"text": "ok"}\n{"text": oops}\n', suffix=".jsonl")
    assert error.where == "t:2"
    assert error.what.startswith("broken JSON at column 10 ")


@pytest.mark.parametrize("line", ['["text"]', '"text"', "1", "null"])
def test_a_line_that_is_no_object_is_an_error(line: str) -> None:
    assert refused(f"{line}\n", suffix=".jsonl").what == "not an object"


@pytest.mark.parametrize("line", ["[" * 100_000, '{"a":' * 100_000])
def test_json_nested_too_deep_is_an_error(line: str) -> None:
    assert "deep" in refused(line, suffix=".jsonl").what


@given(st.text('{}[]":,a1 \n', max_size=40))
def test_any_jsonl_is_read_or_refused(text: str) -> None:
    try:
        read(text, "a", ".jsonl", [])
    except DataError as error:
        assert error.where is not None


def test_the_columns_are_the_header_or_the_keys_of_the_first_objects() -> None:
    assert columns(['id;"the text"\n', "1;2\n"], ".csv") == ["id", "the text"]
    rows: list[dict[str, object]] = [{"id": 1, "message": {"text": "a"}}, {"note": {}, "id": 2}]
    more: list[dict[str, object]] = [{"id": index} for index in range(98)]
    rows += [*more, {"late": 1}]
    deep = '{"a":' * 12 + "1" + "}" * 12
    assert columns([deep], ".jsonl") == ["a.a.a.a.a.a.a.a"]
    assert read(deep, ".".join("a" * 12), ".jsonl") == ["1"]
    assert columns((json.dumps(row) + "\n" for row in rows), ".jsonl") == ["id", "message.text", "note"]
