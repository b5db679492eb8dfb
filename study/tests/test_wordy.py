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
from study.second.judge import WordyJudge
from study.second.plan import load_plan
from study.second.worlds import lessons
from study.world import World

EXAMPLE = Example("q", "71", "81-15=66\n66-3=63\n63+8=71\n#### 71")
STORY = wordy.Story(81, (-15, -3, 8))


def judged(response):
    return asyncio.run(WordyJudge({"q": EXAMPLE.reference}, seed=0).locate(Query("q", "", response)))


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
    _, rest = wordy.rest(story, ["Adding 5 gives 10+5=15.", "15+6=22"], random.Random(0))
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


def test_a_judge_that_errs_is_refused_there(tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text(
        "held_out: 4\nfirst: 8\ntrials:\n  - {arm: {credit: grpo}, steps: 1, learning_rate: 1.0e-3, seed: 0, world: wordy, "
        "judge: {silent: 0.5}}\n"
    )
    with pytest.raises(UsageError, match="without errors"):
        load_plan(file)
