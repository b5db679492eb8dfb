"""The world of many forms: its solutions, its judge and its start."""

import asyncio
import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.errors import UsageError
from cal_grpo.grading import grade_answer
from cal_grpo.oracles import Query, Tag, corrected
from cal_grpo.tasks import Example, stories
from study.second import wordy
from study.second.arm import Judge
from study.second.judge import WordyJudge
from study.second.plan import load_plan
from study.second.worlds import lessons
from study.world import World

EXAMPLE = Example("q", "71", "81-15=66\n66-3=63\n63+8=71\n#### 71")
STORY = wordy.Story(81, (-15, -3, 8))


EXACT = Judge()


def judged(response, judge=EXACT, seed=0):
    return asyncio.run(WordyJudge({"q": EXAMPLE.reference}, judge, seed).locate(Query("q", "", response)))


def test_a_story_is_read_from_its_equations():
    assert wordy.story_of(EXAMPLE.reference) == STORY
    assert STORY.end == 71


@given(st.integers(0, 400), st.integers(1, 12))
def test_a_solution_is_right_in_whatever_words_and_order(number, steps):
    example = next(itertools.islice(stories(seed=number, steps=steps, split="train"), 1))
    *lines, answer = wordy.wordy(example).split("\n")
    found = wordy.checked(wordy.story_of(example.reference), lines)
    assert len(found.right) == len(lines) == steps
    assert found.left == []
    assert answer == f"#### {example.answer}"
    assert all(0 <= line.after <= 199 for line in found.right)


def test_solutions_differ_in_words_and_order():
    solutions = [wordy.wordy(Example(f"q{i}", "71", EXAMPLE.reference)) for i in range(100)]
    assert len(set(solutions)) > 80
    firsts = {wordy.read(solution.split("\n")[0]).change for solution in solutions}
    assert firsts == {-15, 8}  # as told, and from the last on
    assert all(grade_answer(solution, "71").correct for solution in solutions)


@pytest.mark.parametrize(
    ("line", "means"),
    [
        ("81-15=66", (81, -15, 66)),
        ("Taking 15 leaves 81-15=66.", (81, -15, 66)),
        ("8 more make 63+8=71.", (63, 8, 71)),
        ("Adding 8 gives 63+8=72.", (63, 8, 72)),
        ("81-15=66 now", None),
        ("#### 71", None),
        ("", None),
    ],
)
def test_a_line_is_read_in_our_wordings_alone(line, means):
    read = wordy.read(line)
    assert (read and (read.before, read.change, read.after)) == means


RIGHT = "So now 81-15=66.\n66-3=63\n"


@pytest.mark.parametrize(
    ("response", "kept"),
    [
        (RIGHT + "Adding 8 gives 63+8=72.\n#### 72", RIGHT),  # a sum
        (RIGHT + "63-8=55\n#### 55", RIGHT),  # a sign
        (RIGHT + "63+9=72\n#### 72", RIGHT),  # an amount
        (RIGHT + "Then there are 66+8=74.\n#### 74", RIGHT),  # an older total
        (RIGHT + "#### 63", RIGHT),  # a change left out
        (RIGHT + "66-3=63\n63+8=71\n#### 71", RIGHT),  # a change twice
        ("63+8=71\n", ""),  # not where the story begins
        ("3 less make 81-3=78.\n78-15=62\n#### 70", "3 less make 81-3=78.\n"),  # another order
        (RIGHT, "So now 81-15=66.\n"),  # cut off behind a line: that line is said again, and more
    ],
)
def test_the_judge_names_the_first_wrong_line_and_its_correction_is_right(response, kept):
    response = response.removesuffix("\n") if response == RIGHT else response
    cut, rest = corrected(response, judged(response))
    assert response[:cut] == kept
    *lines, answer = (kept + rest).split("\n")
    assert answer == "#### 71"
    assert wordy.checked(STORY, lines).left == []
    assert len(lines) == 3


def test_a_correction_is_in_the_answers_own_words():
    story = wordy.Story(10, (5,) * 1 + (6, 7, 8, 9))
    rest = wordy.rest(story, ["Adding 5 gives 10+5=15.", "15+6=22"], 1, random.Random(0))
    assert rest[:-1] == [
        "Adding 6 gives 15+6=21.",
        "Adding 7 gives 21+7=28.",
        "Adding 8 gives 28+8=36.",
        "Adding 9 gives 36+9=45.",
    ]
    assert rest[-1] == "#### 45"


def test_of_an_answer_without_a_line_nothing_is_said():
    assert judged("").tag is Tag.ABSTAINED


def test_lessons_are_the_same_each_time_and_teach(toy_folder):
    world = World(str(toy_folder), 1, 1, 2, reference_of=wordy.wordy, answer_tokens=36)
    once, again = lessons(world, 2, each=4), lessons(world, 2, each=4)
    assert np.array_equal(once["embedding"], again["embedding"])
    assert not np.array_equal(once["embedding"], world.params["embedding"])


WRONG = "So now 81-15=66.\n66-3=64\n64+8=72\n#### 72"  # the second line is


@pytest.mark.parametrize("seed", range(8))
def test_a_misplacing_judge_names_another_line_and_goes_on_from_there(seed):
    cut, rest = corrected(WRONG, judged(WRONG, Judge(misplaced=1.0), seed))
    at = WRONG[:cut].count("\n")
    assert at in {0, 2, 3}
    *lines, answer = rest.split("\n")
    changes = [(line.before, line.change, line.after) for line in map(wordy.read, lines)]
    assert (changes, answer) == ([(81, -15, 66), (66, -3, 63), (63, 8, 71)][at:], "#### 71")


def test_a_misplaced_verdict_in_another_order_keeps_to_it():
    response = "81+8=89\n89-3=87\n87-15=72\n#### 72"
    found = {corrected(response, judged(response, Judge(misplaced=1.0), seed)) for seed in range(20)}
    assert {cut for cut, _ in found} == {0, 16, 25}
    for cut, rest in found:
        first = wordy.read(rest.split("\n")[0])
        assert cut or (first.before, first.change) == (81, 8)
        assert rest.endswith("#### 71")


@pytest.mark.parametrize("seed", range(8))
def test_a_slip_is_one_wrong_result_in_the_answers_words(seed):
    cut, rest = corrected(WRONG, judged(WRONG, Judge(slips=1.0), seed))
    right = ["So now 66-3=63.", "So now 63+8=71.", "#### 71"]
    lines = rest.split("\n")
    wrong = [i for i in range(3) if lines[i] != right[i]]
    assert cut == len("So now 81-15=66.\n")
    assert wrong in ([0], [1], [2], [0, 1, 2], [1, 2])
    assert [bool(wordy.read(line)) for line in lines] == [True, True, False]


def test_a_silent_judge_says_nothing():
    assert judged(WRONG, Judge(silent=1.0)).tag is Tag.ABSTAINED


def test_a_judge_that_reads_references_is_refused_there(tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text(
        "held_out: 4\nfirst: 8\ntrials:\n  - {arm: {credit: grpo}, steps: 1, learning_rate: 1.0e-3, seed: 0, world: wordy, "
        "judge: {reads: true}}\n"
    )
    with pytest.raises(UsageError, match="no judge that reads"):
        load_plan(file)
