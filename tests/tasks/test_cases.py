"""Question files that went wrong silently once, each the small form of a kind."""

from pathlib import Path

import pytest

from cal_grpo.config import load_config
from cal_grpo.errors import UsageError
from cal_grpo.tasks import load_task
from cal_grpo.tasks.sources import read_source
from cal_grpo.tasks.types import Fields

CASES = Path(__file__).parent / "cases"


def read(name, **fields):
    return read_source(CASES / name, Fields(**fields))[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("badescape.jsonl", r"line 6: field 'answer' has a control character in the place of \\frac.*twice: \\\\frac"),
        ("multiline.jsonl", r"line 1: field 'answer' is prose that marks no answer \('We add 0 and 1\.\\nThis gives 1"),
        ("nan.jsonl", "line 6: field 'answer' is nan; expected text"),
        ("prose.jsonl", "line 1: field 'answer' is prose that marks no answer"),
        ("surrogate.jsonl", r"line 6: field 'question' holds half a character, '\\ud83d'"),
        ("processbench.jsonl", "line 1: field 'question' is missing; .*the row has id, generator, problem, steps"),
        ("processbench.json", "line 2: field 'question' is missing; .*the row has id, generator, problem, steps"),
    ],
)
def test_what_is_no_question_is_one_line_with_its_place(name, message):
    with pytest.raises(UsageError, match=message) as caught:
        read(name)
    assert "\n" not in str(caught.value)
    str(caught.value).encode()  # a terminal can show it


def test_numbers_keep_their_spelling():
    expected = ["0.00001", "1e16", "0.30000000000000004", "12345678901234567890123", "1e5", "33.333333333333336"]
    assert [example.answer for example in read("float1.jsonl")] == expected


def test_a_question_with_a_space_behind_it_is_the_same_question():
    task = load_task(load_config(overrides={"task": "jsonl", "data": CASES / "space.jsonl"}))
    sides = [{e.question.strip() for e in part} for part in (task.train, task.eval)]
    assert not sides[0] & sides[1]
    assert len(task.train) + len(task.eval) == 4
    assert task.notes[0].startswith("2 questions of data ")
    assert "occur more than once" in task.notes[0]


def test_trls_columns():
    examples = read("trl.jsonl")
    assert [(e.question, e.answer) for e in examples] == [("What is 0+1?", "1"), ("What is 1+1?", "2"), ("What is 2+1?", "3")]
    assert examples[0].reference == "$\\boxed{1}$"
    assert examples == read("trl.jsonl", question="prompt", answer="solution")


@pytest.mark.parametrize("name", ["verl.jsonl", "verl.parquet"])
def test_verls_columns(name):
    usual = read(name)
    assert [(e.question, e.answer) for e in usual[:2]] == [("What is 0+1?", "1"), ("What is 1+1?", "2")]
    nested = read(name, question="extra_info.question", answer="reward_model.ground_truth", reference="extra_info.answer")
    assert [(e.question, e.answer) for e in nested] == [(e.question, e.answer) for e in usual]
    assert nested[1].reference == "1+1=2\n#### 2"


def test_processbench_as_an_array_and_as_lines():
    columns = {"question": "problem", "answer": "label"}
    array, lines = (read(name, **columns) for name in ("processbench.json", "processbench.jsonl"))
    assert array == lines
    assert [e.answer for e in array] == ["1", "-1"]
