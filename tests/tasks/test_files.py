"""JSON lines, a JSON array and Parquet give the same questions; what they cannot give is one line."""

import json
import math
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.config import TrainConfig
from cal_grpo.errors import UsageError
from cal_grpo.tasks import load_task
from cal_grpo.tasks.jsonl import read_jsonl
from cal_grpo.tasks.parquet import read_parquet
from cal_grpo.tasks.rows import parse_row
from cal_grpo.tasks.sources import read_source
from cal_grpo.tasks.types import USUAL, Fields

ROWS = [{"question": f"How much is {i} + {i}?", "answer": str(2 * i), "more": {"why": f"{i}+{i}={2 * i}"}} for i in range(40)]


def written(folder, form):
    file = folder / f"data.{form}"
    if form == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), file)
    elif form == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    else:
        file.write_text(json.dumps(ROWS, indent=2 if form == "json" else None))
    return file


@pytest.mark.parametrize("form", ["jsonl", "json", "one-line.json", "parquet"])
def test_every_form_gives_the_same_questions(tmp_path, form):
    examples, test = read_source(written(tmp_path, form), Fields(reference="more.why"))
    assert test is None
    assert [(e.question, e.answer, e.reference) for e in examples] == [
        (row["question"], row["answer"], row["more"]["why"]) for row in ROWS
    ]


def test_parquet_is_known_by_its_content(tmp_path):
    file = written(tmp_path, "parquet").rename(tmp_path / "data")
    assert len(read_source(file, USUAL)[0]) == 40


def test_the_home_folder_is_found(tmp_path, monkeypatch):
    written(tmp_path, "jsonl")
    monkeypatch.setenv("HOME", str(tmp_path))
    task = load_task(TrainConfig(task="jsonl", data=Path("~/data.jsonl")))
    assert len(task.train) + len(task.eval) == 40


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "empty"),
        ("[\n\n]\n", "empty"),
        ('[\n{"question": "q", "answer": "1"},\n{"question": "q"}\n]', "line 3: field 'answer' is missing"),
        ('[\n{"question": "q", "answer": "1"}\n{"question": "q"}\n]', "line 3: not JSON .expected a comma"),
        ('[\n{"question": "q", "answer": "1"},\n{"question": \n]', "line 4: not JSON"),
        ('[{"question": "q", "answer": "1"}', "line 1: not JSON .expected a comma"),
        ('[{"question": "q", "answer": "1"},', "line 1: not JSON"),
        ('[{"question": "q", "answer": "1"}]\n\n[]', "line 1: not JSON .something behind its end"),
        ('{"question": "q", "answer": "1"} {"question": "r", "answer": "1"}', "line 1: not JSON .something behind its end"),
        ('[\n"text"]', "line 2: a list .'text'.; expected objects"),
        ("question,answer\nq,1\n", "line 1: not JSON"),
        ('{"question": "q", "answer": Infinity}', "line 1: field 'answer' is inf"),
        ('{"question": "q", "answer": ""}', "line 1: field 'answer' is ''; expected text"),
    ],
)
def test_a_malformed_file_says_what_and_where(tmp_path, text, message):
    file = tmp_path / "data.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_jsonl(file)
    assert "\n" not in str(caught.value)


def test_what_is_no_utf_8_and_what_is_not_there_say_what_to_do(tmp_path):
    good = tmp_path / "good.jsonl"
    good.write_text('{"question": "q", "answer": "1"}')
    with pytest.raises(UsageError, match=r"god.jsonl: not found; .*; did you mean .*good.jsonl\?$"):
        read_jsonl(tmp_path / "god.jsonl")
    with pytest.raises(UsageError, match=r"x: cannot be read \(Not a directory\); check the path$"):
        read_jsonl(good / "x")
    good.write_text(good.read_text(), encoding="utf-16")
    with pytest.raises(
        UsageError, match=r"is no UTF-8 text \(byte 0xff at 0\); expected JSON lines .* saved as UTF-8"
    ) as caught:
        read_jsonl(good)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 and not more PAR1", b'{"question": "q", "answer": "1"}'])
def test_a_file_that_is_not_parquet(tmp_path, content):
    file = tmp_path / "data.parquet"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="cannot be read as Parquet") as caught:
        read_source(file, USUAL)
    assert "\n" not in str(caught.value)


def test_a_parquet_file_without_rows_and_a_bad_row(tmp_path):
    file = tmp_path / "data.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"question": pyarrow.array([], pyarrow.string())}), file)
    with pytest.raises(UsageError, match="empty"):
        read_parquet(file)
    pyarrow.parquet.write_table(pyarrow.table({"question": ["a", "b"], "answer": [0.00001, math.nan]}), file)
    with pytest.raises(UsageError, match="row 2: field 'answer' is nan"):
        read_parquet(file)


@pytest.mark.parametrize(
    ("number", "spelled"),
    [(0.00001, "0.00001"), (1e16, "10000000000000000"), (0.1, "0.1"), (12.0, "12.0"), (Decimal("1E-7"), "0.0000001"), (7, "7")],
)
def test_a_number_that_has_no_spelling_gets_a_persons(number, spelled):
    assert parse_row({"question": "q", "answer": number}, "row 1").answer == spelled


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?", fullmatch=True))
def test_numbers_in_json_keep_their_spelling(tmp_path_factory, number):
    file = tmp_path_factory.mktemp("data") / "data.jsonl"
    file.write_text(f'{{"question": "q", "answer": {number}}}\n')
    assert read_jsonl(file)[0].answer == number


@pytest.mark.parametrize(
    ("row", "fields", "answer"),
    [
        ({"a.b": "1", "a": {"b": "2"}}, "a.b", "1"),
        ({"a": {"b": "2"}}, "a.b", "2"),
        ({"a": {"b": {"c": 3}}}, "a.b.c", "3"),
    ],
)
def test_a_dot_reaches_into_a_field_and_a_column_of_that_name_wins(row, fields, answer):
    assert parse_row({"question": "q"} | row, "row 1", Fields(answer=fields)).answer == answer


@pytest.mark.parametrize("path", ["a.x", "a.b.c", "x.b"])
def test_a_path_that_leads_nowhere_names_those_that_there_are(path):
    with pytest.raises(UsageError, match=rf"row 1: field '{path}' is missing; .*the row has question, a\.b, a\.c\)"):
        parse_row({"question": "q", "a": {"b": "1", "c": "2"}}, "row 1", Fields(answer=path))


def test_short_floats_of_parquet_are_as_they_were_written(tmp_path):
    file = tmp_path / "questions.parquet"
    answers = pyarrow.array([0.1, 1e-7, 33.333332], pyarrow.float32())
    pyarrow.parquet.write_table(pyarrow.table({"question": ["a", "b", "c"], "answer": answers}), file)
    assert [example.answer for example in read_source(file, USUAL)[0]] == ["0.1", "0.0000001", "33.333332"]


@pytest.mark.parametrize("field", ["question", "answer"])
@pytest.mark.parametrize("blank", ["\u200b", "\ufeff", "\u2060 \u200e"])
def test_what_has_no_width_is_no_text(tmp_path, field, blank):
    file = tmp_path / "questions.jsonl"
    file.write_text(json.dumps({"question": "a", "answer": "5"} | {field: blank}))
    with pytest.raises(UsageError, match=f"line 1: field '{field}' is"):
        read_source(file, USUAL)
