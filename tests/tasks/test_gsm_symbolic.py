import itertools
import re
from fractions import Fraction

import pytest

from cal_grpo.tasks.gsm_symbolic import TEMPLATES, problems

NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def operands(text):
    return [Fraction(number.replace(",", "")) for number in NUMBER.findall(text)]


def operators(text):
    # units such as minutes/batch hold a slash between letters; an operator has a digit, a space or a bracket before it
    return re.findall(r"(?<=[\d\s)])[+\-*/](?=[\s\d(])", text)


def apply(numbers, signs):
    """Left to right, products before sums: enough for these templates, which write no brackets."""
    numbers, signs = list(numbers), list(signs)
    while (i := next((i for i, s in enumerate(signs) if s in "*/"), None)) is not None:
        numbers[i : i + 2] = [numbers[i] * numbers[i + 1] if signs.pop(i) == "*" else numbers[i] / numbers[i + 1]]
    for sign, number in zip(signs, numbers[1:], strict=True):
        numbers[0] += number if sign == "+" else -number
    return numbers[0]


def equations(reference):
    """(left, right) of every ``... = x`` of a solution, prose before the arithmetic cut away."""
    for line in reference.splitlines():
        if "=" in line:
            left, right = line.split("=")
            signs = operators(left)
            yield line, operands(left)[-len(signs) - 1 :], signs, operands(right)[0]


@pytest.mark.parametrize("seed", [1, 2])
def test_every_equation_is_true_and_the_last_one_ends_in_the_answer(seed):
    for example in itertools.islice(problems(seed=seed, split="train"), 800):
        result = None
        for line, numbers, signs, right in equations(example.reference):
            assert apply(numbers, signs) == right, line
            result = right
        assert example.reference.splitlines()[-1] == f"#### {example.answer}"
        assert result == Fraction(example.answer)


def test_at_least_a_dozen_templates_and_all_are_drawn():
    assert len(set(TEMPLATES)) >= 12
    plain = {re.sub(r"\d+|\b[A-Z]\w+", "", e.question)[-25:] for e in itertools.islice(problems(seed=0, split="train"), 600)}
    assert len(plain) >= 12


def test_training_and_held_out_questions_share_no_text_and_seeds_differ():
    train = [e.question for s in range(3) for e in itertools.islice(problems(seed=s, split="train"), 500)]
    held_out = {e.question for e in itertools.islice(problems(seed=0, split="eval"), 500)}
    assert not held_out & set(train)
    first, again = ([e.question for e in itertools.islice(problems(seed=9, split="eval"), 30)] for _ in "ab")
    assert first == again
    assert first != [e.question for e in itertools.islice(problems(seed=10, split="eval"), 30)]
