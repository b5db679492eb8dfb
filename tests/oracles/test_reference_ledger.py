import itertools
import random

import pytest
from _corrupted import KINDS, corrupt

from cal_grpo.oracles import Query, ReferenceOracle, Tag
from cal_grpo.tasks.gsm_symbolic import problems
from cal_grpo.tasks.ledger import stories


def step_named(found, response):
    """Index of the line that holds the quote, told from its twins by the hint."""
    lines = response.split("\n")
    before = [sum(map(len, lines[:i])) + i for i in range(len(lines))]
    return next(i for i, at in enumerate(before) if lines[i] == found.segment and response[:at].endswith(found.hint))


@pytest.mark.parametrize("steps", [2, 4, 8, 12])
def test_in_a_ledger_the_first_line_that_diverges_is_named(steps):
    oracle, asked, missed = ReferenceOracle(), 0, []
    for kind in KINDS:
        rng = random.Random(f"corrupt/{kind}/{steps}")
        for example in itertools.islice(stories(seed=3, steps=steps, split="train"), 60):
            corrupted = corrupt(example, kind, rng)
            if corrupted is None:
                continue
            response, first_wrong = corrupted
            found = oracle.locate_now(Query(example.question, example.reference, response))
            asked += 1
            if found.tag is not Tag.FOUND or step_named(found, response) != first_wrong:
                missed.append((kind, first_wrong, found.segment, response))
    assert asked > 300
    # Now and then an error runs into a value that the reference has elsewhere, from the same amounts.
    assert len(missed) <= 0.003 * asked, missed[:3]


def test_of_two_errors_in_a_ledger_the_first_is_named():
    oracle, rng, asked, missed = ReferenceOracle(), random.Random("two errors"), 0, []
    for example in itertools.islice(stories(seed=4, steps=12, split="train"), 800):
        first = corrupt(example, rng.choice(KINDS), rng)
        second = corrupt(example, "slip", rng)
        if first is None or second is None or second[1] <= first[1] + 1 or first[0].count("\n") != second[0].count("\n"):
            continue
        wrong = first[0].splitlines()
        later = wrong[second[1]]
        wrong[second[1]] = later + "0"  # and a false line further down
        response = "\n".join(wrong)
        found = oracle.locate_now(Query(example.question, example.reference, response))
        asked += 1
        if step_named(found, response) != first[1]:
            missed.append((first[1], found.segment, response))
    assert asked > 60
    assert len(missed) <= 0.02 * asked, missed[:3]


def test_the_references_of_the_tasks_never_diverge_from_themselves():
    oracle = ReferenceOracle()
    examples = [
        *itertools.islice(stories(seed=1, steps=8, split="eval"), 50),
        *itertools.islice(problems(seed=1, split="train"), 50),
    ]
    for example in examples:
        found = oracle.locate_now(Query(example.question, example.reference, example.reference))
        assert found.tag is Tag.ABSTAINED, (example, found)


def test_a_ledger_answered_without_its_last_change_is_blamed_at_its_end():
    example = next(stories(seed=5, steps=4, split="train"))
    *lines, _ = example.reference.splitlines()
    response = "\n".join([*lines[:3], f"#### {lines[2].split('=')[1]}"])
    assert (
        ReferenceOracle().locate_now(Query(example.question, example.reference, response)).segment == response.splitlines()[-1]
    )
