"""Files of the forms in which ProcessBench and PRM800K are published, made up by hand."""

import json
from collections import Counter

import pytest
from tokenizers import Tokenizer

from cal_grpo.alignment import Aligner
from cal_grpo.errors import UsageError
from cal_grpo.oracles import CALOracle, Query
from cal_grpo.oracles.bench import bench_figures, read_labelled, run_bench
from cal_grpo.policies import EMBEDDED

PROCESSBENCH = {
    "id": "made-up-0",
    "generator": "nobody",
    "problem": "What is (1+1)*3?",
    "steps": ["First, 1 + 1 = 2.", "Then 2 * 3 = 7.\nThat is all.", "The answer is \\boxed{7}."],
    "final_answer_correct": False,
    "label": 1,
}


def step(*completions, chosen=0, human=None):
    rated = [{"text": text, "rating": rating, "flagged": None} for text, rating in completions]
    return {"completions": rated, "chosen_completion": chosen, "human_completion": human}


def prm800k(*steps, reason="found_error", **question):
    about = {"problem": "What is (1+1)*3?", "ground_truth_answer": "6"} | question
    return {"labeler": "x", "question": about, "label": {"steps": list(steps), "total_time": 1, "finish_reason": reason}}


PRM800K = prm800k(
    step(("First, 1 + 1 = 2.", 1)),
    step(("So far, so good.", 0), ("Then 2 * 3 = 8.", -1), chosen=0),
    step(("Then 2 * 3 = 7.", -1), ("Then 2 * 3 = 9.", -1), chosen=None),
)


@pytest.fixture
def read(tmp_path):
    def write_and_read(*rows, array=False, **settings):
        file = tmp_path / "rows.json"
        file.write_text(json.dumps(rows, indent=1) if array else "".join(f"{json.dumps(row)}\n" for row in rows))
        return read_labelled(file, **settings)

    return write_and_read


@pytest.mark.parametrize("array", [False, True])
def test_processbench_as_it_is(read, array):
    left_out = Counter()
    rows = read(PROCESSBENCH, PROCESSBENCH | {"id": "made-up-1", "label": -1}, array=array, left_out=left_out)
    assert left_out == {"no step is marked wrong": 1}
    (row,) = rows
    response = "First, 1 + 1 = 2.\n\nThen 2 * 3 = 7.\nThat is all.\n\nThe answer is \\boxed{7}."
    assert row.query == Query("What is (1+1)*3?", "", response)
    assert [response[slice(*span)] for span in row.spans] == PROCESSBENCH["steps"]
    assert (row.first_error, row.solution, row.number, row.answer) == (1, "made-up-0", 1, None)


def test_the_labelled_way_of_prm800k_ends_at_the_first_wrong_step(read):
    (row,) = read(PRM800K)
    response = "First, 1 + 1 = 2.\nSo far, so good.\nThen 2 * 3 = 7."
    assert row.query == Query("What is (1+1)*3?", "6", response)
    assert [response[slice(*span)] for span in row.spans] == response.split("\n")
    assert (row.first_error, row.answer) == (2, "6")


def test_what_was_generated_behind_it_is_added_where_the_file_has_it(read):
    generated = ["First, 1 + 1 = 2.", "Then 2 * 3 = 7.", "# Answer\n\n7"]
    steps = step((generated[0], 1)), step((generated[1], -1), chosen=None)
    (row,) = read(prm800k(*steps, pre_generated_steps=generated, ground_truth_solution="1+1=2, 2*3=6"))
    assert (row.query.response, row.query.reference) == ("\n".join(generated), "1+1=2, 2*3=6")
    assert (len(row.spans), row.first_error) == (3, 1)
    (other,) = read(prm800k(*steps, pre_generated_steps=["Another way.", *generated]))
    assert other.query.response == "\n".join(generated[:2])


def test_a_persons_own_step_is_gone_on_with(read):
    human = step(("1 + 1 = 3.", -1), chosen=None, human={"text": "1 + 1 = 2.", "rating": None})
    (row,) = read(prm800k(human, step(("2 * 3 = 7.", -1), chosen=None)))
    assert (row.query.response, row.first_error) == ("1 + 1 = 2.\n2 * 3 = 7.", 1)


def test_what_has_no_first_error_is_left_out_and_counted(read):
    left_out = Counter()
    right = step(("1 + 1 = 2.", 1))
    rows = [
        PRM800K,
        prm800k(right, reason="solution"),
        prm800k(right, step(("hm", 0), chosen=None), reason="give_up"),
        prm800k(right, reason="bad_problem"),
        prm800k(right, step(("  ", -1), chosen=None)),
    ]
    assert len(read(*rows, left_out=left_out)) == 1
    assert left_out == {
        "no step is marked wrong": 2,
        "the problem is marked as bad": 1,
        "the problem or the marked step is blank": 1,
    }
    with pytest.raises(UsageError, match=r"no rows with a first error \(no step is marked wrong: 1\)"):
        read(rows[1])


def test_blank_steps_are_no_steps(read):
    (row,) = read(PROCESSBENCH | {"steps": ["", " 1 + 1 = 2 ", "\n", "2 * 3 = 7"], "label": 3})
    assert [row.query.response[slice(*span)] for span in row.spans] == ["1 + 1 = 2", "2 * 3 = 7"]
    assert row.first_error == 1


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (PROCESSBENCH | {"steps": "1"}, "steps is '1'; expected a list of texts"),
        (PROCESSBENCH | {"steps": [1]}, "steps is [1]"),
        (PROCESSBENCH | {"label": 3}, "label is 3; expected the index of a step, 0 to 2, or -1"),
        (PROCESSBENCH | {"label": True}, "label is True"),
        (PROCESSBENCH | {"problem": None}, "problem is None; expected text"),
        (PRM800K | {"question": "?"}, "question is '?'; expected an object"),
        (prm800k(step(("a", 1), chosen=2)), "label.steps[0]: chosen_completion is 2; expected an index of its 1 completions"),
        (prm800k(step((5, -1))), "label.steps[0]: text is 5"),
        (prm800k("step"), "label.steps[0] is 'step'; expected an object"),
        (prm800k({"completions": ["a"]}), "label.steps[0]: completions is ['a']; expected objects"),
        (PRM800K | {"label": {"steps": 7}}, "label.steps is 7; expected a list"),
        (7, "a int; expected an object"),
    ],
)
@pytest.mark.parametrize("array", [False, True])
def test_a_row_that_does_not_fit_is_one_line_with_its_place(read, bad, said, array):
    with pytest.raises(UsageError) as caught:
        read(PROCESSBENCH, bad, array=array)
    assert said in str(caught.value)
    assert f"{'item' if array else 'line'} 2" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[", "[{}", "[" * 100_000, '["\ud800"]'])
def test_an_array_that_is_none_is_one_line(tmp_path, text):
    (tmp_path / "rows.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(UsageError, match="not JSON") as caught:
        read_labelled(tmp_path / "rows.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "exact", "abstained"), [("arithmetic", 1.0, {}), ("reference", 0.5, {"abstained": 1})])
def test_both_are_benched_and_without_a_reference_nobody_is_blamed_by_it(read, name, exact, abstained):
    tokenizer = Tokenizer.from_file(str(EMBEDDED / "tokenizer.json"))
    solved = PRM800K | {"question": PRM800K["question"] | {"ground_truth_solution": "1 + 1 = 2\n2 * 3 = 6"}}
    with CALOracle(name) as oracle:
        rows = read(PROCESSBENCH, solved)
        figures = bench_figures(run_bench(rows, oracle, Aligner(tokenizer), lambda text: tokenizer.encode(text).ids))
    assert (figures["n"], figures["exact"]["value"], figures["abstained_why"]) == (2, exact, abstained)
