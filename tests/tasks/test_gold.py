import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cal_grpo.errors import UsageError
from cal_grpo.tasks.escapes import eaten_command
from cal_grpo.tasks.gold import final_answer
from cal_grpo.tasks.jsonl import read_jsonl


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("12", "12"),
        (" -3.5 ", "-3.5"),
        ("1,600", "1,600"),
        ("18 eggs", "18 eggs"),
        ("5 red apples.", "5 red apples."),
        ("\\frac{1}{4}", "\\frac{1}{4}"),
        ("\\text{the red ball}", "\\text{the red ball}"),
        ("\\begin{pmatrix} 1 \\\\\n 2 \\end{pmatrix}", "\\begin{pmatrix} 1 \\\\\n 2 \\end{pmatrix}"),
        ("(B) The sun is larger than the earth and 2 moons.", "(B) The sun is larger than the earth and 2 moons."),
        ("(-\\infty, 3]", "(-\\infty, 3]"),
        (">", ">"),
        ("Monday", "Monday"),
        ("north by east", "north by east"),
        ("3 + 4 = <<3+4=7>>7\n#### 7", "7"),
        ("so \\boxed{\\frac{1}{4}}.", "\\frac{1}{4}"),
        ("<answer>5</answer>", "5"),
        ("<think>2 + 3</think>\n<answer> \\frac{3}{4} </answer>", "\\frac{3}{4}"),
        ("We get 5.\n<answer>\\boxed{5}</answer>", "5"),
        ("She has 3 and buys 2, so the answer is 5.", "5"),
        ("Answer: 5", "5"),
        ("<think>We add 2 and 3, which gives 5 as we saw.</think>7", "7"),
        ("$$\n\\frac{1}{2}\n$$", "$$\n\\frac{1}{2}\n$$"),
    ],
)
def test_what_is_an_answer(text, answer):
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        "We add 0 and 1, giving 1 after 2 steps.",
        "We add 0 and 1.\nThis gives 1 after 2 steps.",
        "She has five apples left.",
        "We add.\n5",
        "5\n6",
        "x=1\nx=2",
        "<think>5</think>",
        "\u200b",
        "\ufeff.",
        "\0",
        "The total is 12",
        "It is 4.",
        "我们把零和一相加得到一所以结果是一",
        "<answer></answer>",
        "<answer>We add 0 and 1, giving 1 after 2 steps.</answer>",
        "####",
        "so \\boxed{}",
        "#### NaN",
        "NaN",
        "nan",
        "null",
        "N/A",
        "<NA>",
        "...",
        "-",
        "?",
    ],
)
def test_what_is_none(text):
    with pytest.raises(ValueError, match="expected") as caught:
        final_answer(text)
    assert "\n" not in str(caught.value)


def test_a_worked_solution_must_mark_its_answer():
    assert final_answer("It is $\\boxed{4}$.", worked=True) == "4"
    for text in ("4", "The answer is 4."):
        with pytest.raises(ValueError, match="marks no answer"):
            final_answer(text, worked=True)


@given(st.text())
def test_any_text_is_an_answer_or_a_reason(text):
    try:
        said = final_answer(text)
    except ValueError as e:
        said = str(e).replace("\n", "")
        one_line = said == str(e)
    else:
        one_line = True
    assert one_line
    assert said.strip()


@pytest.mark.parametrize(
    "command",
    ["\\boxed{2}", "\\frac{1}{2}", "\\times 3", "\\text{cm}", "\\tfrac12", "\\theta", "\\tan(x)", "\\tan\\alpha", "\\beta",
     "\\bar{x}", "\\binom{3}{2}", "\\forall x", "\\right)", "\\rho", "\\rightarrow", "\\rfloor", "\\neq 3", "\\nabla f",
     "\\notin A"],
)  # fmt: skip
def test_a_command_whose_backslash_json_ate_is_found(tmp_path, command):
    file = tmp_path / "data.jsonl"
    eaten = command[:2] + command[2:].replace("\\", "\\\\")
    file.write_text(f'{{"question": "so it is {eaten}", "answer": "1"}}\n')
    with pytest.raises(UsageError, match="line 1: field 'question' has a control character") as caught:
        read_jsonl(file)
    name = command.split("{")[0].split("(")[0].split()[0].rstrip("12)").split("\\")[1]
    assert f"write it twice: \\\\{name}" in str(caught.value)
    file.write_text(json.dumps({"question": f"so it is {command}", "answer": "1"}))
    assert read_jsonl(file)[0].question == f"so it is {command}"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("if $a = \nu$ then", "\\nu"),
        ("$x \ne 5$", "\\ne"),
        ("as $x \to 0$", "\\to"),
        ("$\tan 45$", "\\tan"),
        ("costs \\$5, and $\nu$", "\\nu"),
        # ordinary text that begins a line or follows a tab with the same letters
        ("a\nu\n", None),
        ("i) one\nii) two\ne) three", None),
        ("$x = 1$\ne is 2.71", None),
        ("$$\nu = 5\n$$", None),
        ("name\tan apple\tto eat", None),
        ("mid\nless than five\nparallel lines", None),
        ("old\r\nlines\r\nmore", None),
        ("page one\fthe next", None),
    ],
)
def test_letters_that_begin_a_line_too_are_a_command_only_inside_a_formula(text, command):
    assert eaten_command(text) == command


@pytest.mark.parametrize("escape", ["\\sqrt{2}", "\\pi", "\\cdot", "\\(x\\)", "\\underline{x}"])
def test_a_backslash_that_json_does_not_know_is_refused_with_the_same_hint(tmp_path, escape):
    file = tmp_path / "data.jsonl"
    file.write_text(f'{{"question": "q", "answer": "1"}}\n{{"question": "q {escape}", "answer": "1"}}\n')
    with pytest.raises(UsageError, match=r"line 2: not JSON .*write a backslash twice"):
        read_jsonl(file)
