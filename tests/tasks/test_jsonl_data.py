import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.config import TrainConfig
from cal_grpo.errors import UsageError
from cal_grpo.tasks import load_task
from cal_grpo.tasks.jsonl import parse_row, read_jsonl
from cal_grpo.tasks.split import split_of


def write(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_gsm8k_answer_is_reference_and_answer():
    example = parse_row({"question": "q", "answer": "3 * 4 = <<3*4=12>>12\n#### 12"}, "row 1")
    assert (example.answer, example.reference) == ("12", "3 * 4 = <<3*4=12>>12\n#### 12")


@pytest.mark.parametrize(
    ("row", "answer", "reference"),
    [
        ({"answer": "12"}, "12", "12"),
        ({"answer": 12}, "12", "12"),
        ({"answer": 0.5, "reference": "1/2"}, "0.5", "1/2"),
        ({"answer": "7", "solution": "3+4=7"}, "7", "3+4=7"),
        ({"answer": "so \\boxed{7}"}, "7", "so \\boxed{7}"),
        ({"answer": "#### 7", "solution": "3+4=7"}, "7", "3+4=7"),
    ],
)
def test_a_bare_answer_is_its_own_reference_unless_there_is_one(row, answer, reference):
    example = parse_row({"question": "q"} | row, "row 1")
    assert (example.answer, example.reference) == (answer, reference)


@pytest.mark.parametrize("row", [{}, {"question": "q"}, {"question": "", "answer": "1"}, {"question": "q", "answer": None},
                                 {"question": "q", "answer": True}, {"question": ["q"], "answer": "1"},
                                 {"question": "q", "answer": "1", "reference": ["1"]}])  # fmt: skip
def test_a_missing_or_empty_field_is_named_with_its_place(row):
    with pytest.raises(UsageError, match=r"line 3: field '(question|answer|reference)'") as caught:
        parse_row(row, "line 3")
    one_line(caught)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b'{"question": "q", "answer": "1"}\n\n{"question": ', "line 3: not JSON"),
        (b"[1, 2]\n", "line 1: a list"),
        (b'{"question": "q"}\n', "line 1: field 'answer'"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b'{"question": ' + b"[" * 100_000, "line 1: not JSON"),
    ],
)
def test_a_bad_file_says_what_and_where(tmp_path, content, message):
    file = tmp_path / "data.jsonl"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read_jsonl(file)
    assert str(file) in one_line(caught)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(UsageError, match="not found") as caught:
        read_jsonl(tmp_path / "nope.jsonl")
    one_line(caught)
    with pytest.raises(UsageError, match="cannot be read"):
        read_jsonl(tmp_path)


def test_line_separators_inside_a_text_are_not_ends_of_lines(tmp_path):
    # U+2028 and friends end a line for str.splitlines, not for JSON
    file = tmp_path / "data.jsonl"
    file.write_text(json.dumps({"question": "a\u2028b\u0085c", "answer": "1"}, ensure_ascii=False) + "\r\n", encoding="utf-8")
    assert read_jsonl(file)[0].question == "a\u2028b\u0085c"


def test_a_byte_order_mark_is_read_past(tmp_path):
    file = tmp_path / "data.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"question": "q", "answer": "1"}\n')
    assert read_jsonl(file)[0].question == "q"


def test_both_parts_of_a_file_are_disjoint_and_do_not_depend_on_the_seed(tmp_path):
    file = write(tmp_path / "data.jsonl", [{"question": f"question {i}?", "answer": i} for i in range(400)])
    tasks = [load_task(TrainConfig(task="jsonl", data=file, seed=seed)) for seed in (0, 1)]
    train, held_out = ({e.question for e in part} for part in (tasks[0].train, tasks[0].eval))
    assert not train & held_out
    assert len(train | held_out) == 400
    assert 25 <= len(held_out) <= 75  # an eighth
    assert tasks[0].eval == tasks[1].eval
    assert tasks[0].train != tasks[1].train
    assert {e.question for e in tasks[1].train} == train
    assert tasks[0].train == load_task(TrainConfig(task="gsm8k", data=file)).train


def test_a_duplicated_question_stays_on_one_side(tmp_path):
    rows = [{"question": f"question {i % 20}?", "answer": i} for i in range(200)]
    task = load_task(TrainConfig(task="jsonl", data=write(tmp_path / "data.jsonl", rows)))
    assert not {e.question for e in task.train} & {e.question for e in task.eval}


def test_sample_limits(tmp_path):
    file = write(tmp_path / "data.jsonl", [{"question": f"question {i}?", "answer": i} for i in range(400)])
    task = load_task(TrainConfig(task="jsonl", data=file, max_train_samples=10, max_eval_samples=3))
    assert (len(task.train), len(task.eval)) == (10, 3)
    assert load_task(TrainConfig(task="jsonl", data=file, max_eval_samples=0)).eval == []


def test_a_file_that_leaves_nothing_to_train_on(tmp_path):
    question = next(f"q{i}" for i in range(1000) if split_of(f"q{i}") == "eval")
    with pytest.raises(UsageError, match="held-out eighth"):
        load_task(TrainConfig(task="jsonl", data=write(tmp_path / "data.jsonl", [{"question": question, "answer": 1}])))


def test_jsonl_without_data_and_an_unknown_task():
    with pytest.raises(UsageError, match=r"--data FILE\.jsonl"):
        load_task(TrainConfig(task="jsonl"))
    with pytest.raises(UsageError, match="did you mean 'ledger'"):
        load_task(TrainConfig(task="leger"))


@pytest.mark.parametrize("task", ["ledger", "gsm_symbolic"])
def test_generated_tasks_obey_limits_and_are_reproducible(task):
    config = TrainConfig(task=task, max_train_samples=12, max_eval_samples=5, seed=3)
    first, again = load_task(config), load_task(config)
    assert (len(first.train), len(first.eval)) == (12, 5)
    assert first == again
    assert first.eval == load_task(config.model_copy(update={"seed": 4})).eval


@given(st.text())
def test_the_split_is_a_function_of_the_text(question):
    assert split_of(question) == split_of(question)


SOLUTION = "Half of $\\frac{1}{2}$ is $\\boxed{\\frac{1}{4}}$."


def test_math_reads_problem_and_boxed_solution(tmp_path):
    rows = [{"problem": f"problem {i}", "solution": SOLUTION, "level": "Level 1"} for i in range(40)]
    task = load_task(TrainConfig(task="math", data=write(tmp_path / "math.jsonl", rows)))
    assert {(e.answer, e.reference) for e in (*task.train, *task.eval)} == {("\\frac{1}{4}", SOLUTION)}
    assert len(task.train) + len(task.eval) == 40


def test_a_math_solution_without_a_box_is_refused_with_its_line(tmp_path):
    rows = [{"problem": "p", "solution": SOLUTION}, {"problem": "q", "solution": "It is 4."}]
    with pytest.raises(UsageError, match="line 2: field 'solution' marks no answer") as caught:
        load_task(TrainConfig(task="math", data=write(tmp_path / "math.jsonl", rows)))
    one_line(caught)


def test_the_config_names_the_columns_of_any_file(tmp_path):
    rows = [{"problem": f"p{i}", "answer": "\\frac{1}{4}", "why": "half of a half"} for i in range(40)]
    file = write(tmp_path / "data.jsonl", rows)
    config = {"data": file, "fields": {"question": "problem", "answer": "answer", "reference": "why"}}
    for task in ("jsonl", "math"):
        loaded = load_task(TrainConfig(task=task, **config)).train[0]
        assert (loaded.answer, loaded.reference) == ("\\frac{1}{4}", "half of a half")
    with pytest.raises(
        UsageError, match=r"field 'question' is missing.*the row has problem, answer, why.*fields\.question=NAME"
    ):
        load_task(TrainConfig(task="jsonl", data=file))


def test_an_evaluation_holds_out_an_eighth_or_every_question_of_a_file(tmp_path):
    file = write(tmp_path / "data.jsonl", [{"question": f"question {i}?", "answer": i} for i in range(100)])
    config = TrainConfig(task="jsonl", data=file)
    assert load_task(config, train=False).eval == load_task(config).eval
    assert load_task(config, train=False).train == []
    every = load_task(config, train=False, every=True)
    assert {e.question for e in every.eval} == {f"question {i}?" for i in range(100)}
    with pytest.raises(UsageError, match="--all got no data file"):
        load_task(TrainConfig(), train=False, every=True)
